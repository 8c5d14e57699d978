//! What is where in the sandbox. Most paths of a program are in few directories: those are kept
//! open for a moment, and a name in one is then looked up by a single call.

use super::judge::{Judged, changeable, is_kept, judge, wanted};
use super::processes::KNOWN;
use crate::process::path_of;
use crate::walk::{Identity, identity, identity_at};
use std::cell::OnceCell;
use std::collections::HashMap;
use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::{Duration, Instant};
use swathe_record::event::Action;
use swathe_sys::Errno;
use swathe_sys::rustix::fd::OwnedFd;
use swathe_sys::rustix::fs::{
    Access, AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, accessat, fstat, openat2,
    readlinkat,
};

/// As many links as the kernel follows (`MAXSYMLINKS`).
const MAX_LINKS: usize = 40;
/// How many directories are kept open.
const MAX_DIRECTORIES: usize = 64;
/// For how long where somebody is asked: what was there and is taken away by the host is missed for
/// as long.
const BRIEFLY: Duration = Duration::from_millis(5);

/// The files of a sandbox, from its root.
#[derive(Debug)]
pub struct Tree {
    root: OwnedFd,
    /// Whether somebody is asked about what is not there: that is looked up each time.
    asks: bool,
    known: HashMap<Vec<u8>, Directory>,
}

/// A directory that was looked into.
#[derive(Debug)]
struct Directory {
    fd: OwnedFd,
    /// Its path with links followed.
    path: Vec<u8>,
    identity: Identity,
    /// What its mount permits.
    changeable: OnceCell<Judged>,
    /// Whether names in it can be made and removed.
    writable: OnceCell<Judged>,
    /// Whether the same directory is there on the host.
    shared: OnceCell<bool>,
    since: Instant,
}

/// Where a path leads, and what comes of a call there.
#[derive(Debug)]
pub struct Place {
    /// The path with its links followed; as it was, where it leads to nothing.
    pub object: Vec<u8>,
    /// What the call will come to.
    pub outcome: Judged,
    /// Whether it is a directory.
    pub directory: bool,
    /// Whether what is missing may be there on the host.
    pub elsewhere: bool,
}

impl Place {
    fn missing(whole: &[u8], errno: Errno) -> Self {
        let outcome = Err(errno);
        Self { object: whole.to_owned(), outcome, directory: false, elsewhere: true }
    }
}

impl Tree {
    /// Below this root. What is not there is looked up each time by who `asks`.
    pub fn new(root: OwnedFd, asks: bool) -> Self {
        Self { root, asks, known: HashMap::new() }
    }

    /// Whether directories are kept open.
    pub fn is_resting(&self) -> bool {
        self.known.is_empty()
    }

    /// Closes them.
    pub fn rest(&mut self) {
        self.known.clear();
    }

    /// What is at or below this path is going to be something else. It may be a link on the way to
    /// whatever was reached through links.
    pub fn forget(&mut self, path: &[u8]) {
        self.known.retain(|name, directory| !is_below(name, path) && *name == directory.path);
    }

    /// Where a path leads. The object is opened in the sandbox's root; that is to be told, not to
    /// be decided on.
    pub fn look(&mut self, whole: &[u8], follow: bool, action: Action, now: Instant) -> Place {
        let asks = self.asks;
        let short = split(whole).and_then(|(parent, name)| {
            self.directory(parent, now)?.look(whole, name, follow, action)
        });
        let short = short.filter(|place| !asks || place.outcome.is_ok());
        short.unwrap_or_else(|| self.walk(whole, follow, action))
    }

    /// A directory, from the paths that were looked at just before if it is there. None: it is
    /// nothing of the kind, or cannot be looked at.
    fn directory(&mut self, path: &[u8], now: Instant) -> Option<&Directory> {
        let longest = if self.asks { BRIEFLY } else { KNOWN };
        let fresh = |known: &Directory| now.duration_since(known.since) <= longest;
        if !self.known.get(path).is_some_and(fresh) {
            if self.known.len() >= MAX_DIRECTORIES {
                self.known.clear();
            }
            self.known.remove(path);
            let directory = Directory::open(self.find(path, true).ok()?, now)?;
            self.known.insert(path.to_owned(), directory);
        }
        self.known.get(path)
    }

    /// The same by following the whole path.
    fn walk(&self, whole: &[u8], follow: bool, action: Action) -> Place {
        let parent = |path: &[u8]| {
            let (fd, kind) = self.find(split(path).map_or(path, |(parent, _)| parent), true)?;
            judge(&fd, kind, action)
        };
        match self.find(whole, follow) {
            Ok((fd, kind)) => {
                let object = path_of(&fd);
                let outcome = if names(action) { parent(whole) } else { judge(&fd, kind, action) };
                let object = object.unwrap_or_else(|_| whole.to_owned());
                let directory = kind == FileType::Directory;
                Place { object, outcome, directory, elsewhere: true }
            }
            Err(Errno::NOENT) => {
                let led = self.led(whole);
                let missing = Place::missing(&led, Errno::NOENT);
                match action {
                    Action::Create => Place { outcome: parent(&led), ..missing },
                    _ => missing,
                }
            }
            Err(errno) => Place::missing(whole, errno),
        }
    }

    /// Where the links of a path lead that leads to nothing here: as far as there are any.
    fn led(&self, whole: &[u8]) -> Vec<u8> {
        // Mostly there is no link: its directory is there, and nothing in it has the name.
        if split(whole).is_some_and(|(parent, _)| self.find(parent, true).is_ok())
            && !matches!(self.find(whole, false), Ok((_, FileType::Symlink)))
        {
            return whole.to_owned();
        }
        let mut at = Vec::new();
        let mut left: Vec<Vec<u8>> =
            whole.split(|&b| b == b'/').rev().map(<[u8]>::to_vec).collect();
        let mut links = 0;
        while let Some(name) = left.pop() {
            match name.as_slice() {
                b"" | b"." => continue,
                b".." => {
                    at.truncate(at.iter().rposition(|&b| b == b'/').unwrap_or_default());
                    continue;
                }
                _ => {}
            }
            let above = at.len();
            at.push(b'/');
            at.extend_from_slice(&name);
            let target = match self.find(&at, false) {
                Ok((fd, FileType::Symlink)) => readlinkat(fd, c"", Vec::new()),
                Ok(_) => continue,
                Err(errno) => Err(errno),
            };
            let Ok(target) = target.map(CString::into_bytes) else {
                // From here on there is nothing to follow.
                left.into_iter().rev().for_each(|name| {
                    at.push(b'/');
                    at.extend_from_slice(&name);
                });
                return at;
            };
            links += 1;
            if links > MAX_LINKS {
                return whole.to_owned();
            }
            at.truncate(if target.first() == Some(&b'/') { 0 } else { above });
            left.extend(target.split(|&b| b == b'/').rev().map(<[u8]>::to_vec));
        }
        at
    }

    /// Whether a path that cannot be looked at is one of the host, with something else in its place
    /// here: the sandbox hides it.
    pub fn is_covered(&self, whole: &[u8]) -> bool {
        let path = Path::new(OsStr::from_bytes(whole));
        path.ancestors().any(|above| {
            let bytes = above.as_os_str().as_bytes();
            let inside = self.find(bytes, false).and_then(|(fd, _)| identity(fd));
            let Ok(inside) = inside else { return false };
            let host = identity_at(CWD, bytes, AtFlags::SYMLINK_NOFOLLOW);
            host.is_ok_and(|host| inside.mode & 0o777 == 0 && !host.is_same_file(&inside))
        })
    }

    fn find(&self, whole: &[u8], follow: bool) -> Result<(OwnedFd, FileType), Errno> {
        let way = OFlags::PATH | OFlags::CLOEXEC;
        let way = if follow { way } else { way | OFlags::NOFOLLOW };
        let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let fd = openat2(&self.root, whole, way, Mode::empty(), inside)?;
        let kind = FileType::from_raw_mode(fstat(&fd)?.st_mode);
        Ok((fd, kind))
    }
}

impl Directory {
    fn open((fd, kind): (OwnedFd, FileType), since: Instant) -> Option<Self> {
        (kind == FileType::Directory).then_some(())?;
        let path = path_of(&fd).ok()?;
        let identity = identity(&fd).ok()?;
        let (changeable, writable, shared) = (OnceCell::new(), OnceCell::new(), OnceCell::new());
        Some(Self { fd, path, identity, changeable, writable, shared, since })
    }

    /// What a name in it leads to. None: further, through a link or to another mount.
    fn look(&self, whole: &[u8], name: &[u8], follow: bool, action: Action) -> Option<Place> {
        let found = match identity_at(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => found,
            Err(Errno::NOENT) => {
                let outcome = match action {
                    Action::Create => self.writable(),
                    _ => Err(Errno::NOENT),
                };
                let elsewhere = outcome == Err(Errno::NOENT) && !self.is_shared(whole);
                return Some(Place { outcome, elsewhere, ..Place::missing(whole, Errno::NOENT) });
            }
            Err(_) => return None,
        };
        let kind = FileType::from_raw_mode(found.mode.into());
        let link = kind == FileType::Symlink && (follow || action != Action::Stat);
        if link || found.mount != self.identity.mount {
            return None;
        }
        let outcome = match action {
            action if names(action) => self.writable(),
            Action::Metadata => self.changeable(),
            action => self.permits(name, kind, found.mode, action),
        };
        let directory = kind == FileType::Directory;
        let mut object = Vec::with_capacity(self.path.len() + 1 + name.len());
        object.extend_from_slice(self.path.strip_suffix(b"/").unwrap_or(&self.path));
        object.push(b'/');
        object.extend_from_slice(name);
        Some(Place { object, outcome, directory, elsewhere: true })
    }

    /// What the kernel will say of a file in it.
    fn permits(&self, name: &[u8], kind: FileType, mode: u16, action: Action) -> Judged {
        const READABLE: u16 = 0o444;
        let Some(wanted) = wanted(action) else { return Ok(()) };
        if wanted == Access::WRITE_OK && is_kept(kind) {
            self.changeable()?;
        }
        if wanted == Access::READ_OK && mode & READABLE == READABLE {
            return Ok(());
        }
        accessat(&self.fd, name, wanted, AtFlags::EACCESS)
    }

    fn changeable(&self) -> Judged {
        *self.changeable.get_or_init(|| changeable(&self.fd))
    }

    fn writable(&self) -> Judged {
        *self.writable.get_or_init(|| judge(&self.fd, FileType::Directory, Action::Create))
    }

    /// Whether the host has the same directory by the same path: what is missing in one is in both.
    fn is_shared(&self, whole: &[u8]) -> bool {
        *self.shared.get_or_init(|| {
            let path = split(whole).map_or(whole, |(parent, _)| parent);
            let host = identity_at(CWD, path, AtFlags::empty());
            host.is_ok_and(|host| host.is_same_file(&self.identity))
        })
    }
}

/// Whether an action is about a name: its directory decides.
const fn names(action: Action) -> bool {
    matches!(action, Action::Create | Action::Remove | Action::Rename)
}

/// The directory of a whole path and the name in it; the root has none.
fn split(whole: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = whole.iter().rposition(|&b| b == b'/')?;
    let (parent, name) = (whole.get(..at.max(1))?, whole.get(at + 1..)?);
    (!name.is_empty()).then_some((parent, name))
}

/// Whether a whole path is this one or below it.
pub fn is_below(path: &[u8], top: &[u8]) -> bool {
    let top = top.strip_suffix(b"/").unwrap_or(top);
    path.strip_prefix(top).is_some_and(|rest| matches!(rest, [] | [b'/', ..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was just granted is there, whatever was known of its directory; a record believes for a
    /// moment what it knows. The time stands still.
    #[test]
    fn missing() {
        let own = swathe_sys::rustix::process::getuid().as_raw();
        for (asks, expected) in [(true, Ok(())), (false, Err(Errno::NOENT))] {
            let temp = swathe_testkit::TempDir::new(own);
            temp.dir("shown");
            temp.dir("later");
            temp.file("later/file", "");
            let root = openat2(CWD, "/", OFlags::PATH, Mode::empty(), ResolveFlags::empty());
            let mut tree = Tree::new(root.expect("a root"), asks);
            let now = Instant::now();
            let path = temp.at("shown/file").into_bytes();
            let mut look = || tree.look(&path, true, Action::Read, now).outcome;
            assert_eq!(look(), Err(Errno::NOENT));
            std::fs::rename(temp.at("shown"), temp.at("before")).expect("renamed");
            std::fs::rename(temp.at("later"), temp.at("shown")).expect("renamed");
            assert_eq!(look(), expected, "asks: {asks}");
        }
    }

    #[test]
    fn names() {
        assert_eq!(split(b"/a/b"), Some((&b"/a"[..], &b"b"[..])));
        assert_eq!(split(b"/a"), Some((&b"/"[..], &b"a"[..])));
        assert_eq!(split(b"/"), None);
        for (path, top, below) in
            [("/a/b", "/a", true), ("/a", "/a", true), ("/ab", "/a", false), ("/a", "/", true)]
        {
            assert_eq!(is_below(path.as_bytes(), top.as_bytes()), below, "{path} {top}");
        }
    }
}

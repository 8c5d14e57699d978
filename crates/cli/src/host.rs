//! What the host is like, for the resolver.

use crate::out::Failure;
use rustix::fs::{Access, FileType};
use rustix::io::Errno;
use std::cell::RefCell;
use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io::Read as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use swathe::plan::model::StandIn;
use swathe_host::facts::Facts;
use swathe_host::layers::{LANDLOCK_SCOPES, Quick, capabilities};
use swathe_policy::resolve::{Files, Host, Kind, Layers, Needs};

/// The largest account database that is read.
const MAX_ACCOUNTS: u64 = 4 << 20;

/// The most links that are followed on the way to one file, as the kernel has it.
const MAX_LINKS: usize = 40;

/// The host's files as they are. Where a path leads is asked once: most paths begin alike.
#[derive(Debug, Default)]
pub struct HostFiles(RefCell<HashMap<PathBuf, Option<PathBuf>>>);

impl HostFiles {
    /// As realpath(3), a component at a time.
    fn follow(&self, path: &Path, links: usize) -> Option<PathBuf> {
        if let Some(known) = self.0.borrow().get(path) {
            return known.clone();
        }
        let found = self.look(path, links);
        // Nothing is known of what was not followed to its end.
        if links == 0 || found.is_some() {
            self.0.borrow_mut().insert(path.to_owned(), found.clone());
        }
        found
    }

    fn look(&self, path: &Path, links: usize) -> Option<PathBuf> {
        let Some(parent) = path.parent() else { return path.has_root().then(|| path.to_owned()) };
        let parent = self.follow(parent, links)?;
        // `path` ends with `..` where it has no name.
        let Some(name) = path.file_name() else {
            let above = parent.parent().unwrap_or(&parent);
            return parent.is_dir().then(|| above.to_owned());
        };
        let here = parent.join(name);
        match rustix::fs::readlink(&here, Vec::new()) {
            Ok(_) if links >= MAX_LINKS => None,
            Ok(target) => {
                let target = parent.join(OsStr::from_bytes(target.as_bytes()));
                self.follow(&target, links + 1)
            }
            Err(Errno::INVAL) => Some(here),
            Err(_) => None,
        }
    }
}

impl Files for HostFiles {
    fn kind(&self, path: &Path) -> Option<Kind> {
        let stat = rustix::fs::lstat(path).ok()?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        // What another run put where nothing was goes with that run.
        let size = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
        if matches!(kind, FileType::Directory | FileType::RegularFile)
            && StandIn::is(kind == FileType::Directory, stat.st_mode & 0o7777, size)
            && is_empty_or_gone(path, kind, size)
        {
            return None;
        }
        Some(match kind {
            FileType::Directory => Kind::Directory,
            FileType::Symlink => Kind::Link,
            FileType::RegularFile => Kind::File,
            _ => Kind::Other,
        })
    }

    fn link(&self, path: &Path) -> Option<PathBuf> {
        std::fs::read_link(path).ok()
    }

    fn real(&self, path: &Path) -> Option<PathBuf> {
        // A slash at the end says that it has to be a directory.
        let plain = path.has_root() && !path.as_os_str().as_bytes().ends_with(b"/");
        if plain { self.follow(path, 0) } else { std::fs::canonicalize(path).ok() }
    }

    fn read(&self, path: &Path, most: usize) -> Option<Vec<u8>> {
        // Not `std::fs::read`: a FIFO would hold us, and nobody says how much there is.
        swathe_host::files::read(path.as_os_str().as_bytes(), most).ok()
    }

    fn list(&self, path: &Path, most: usize) -> Vec<OsString> {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        entries.take(most).map(|entry| entry.file_name()).collect()
    }

    fn directories(&self, path: &Path, most: usize) -> Vec<OsString> {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        let is_directory =
            |entry: &std::fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
        entries.filter(is_directory).take(most).map(|entry| entry.file_name()).collect()
    }

    fn executable(&self, path: &Path) -> bool {
        rustix::fs::access(path, Access::EXEC_OK).is_ok()
    }

    fn needs(&self, path: &Path) -> Option<Needs> {
        let needs = swathe_host::needs::of(path.as_os_str().as_bytes())?;
        Some(Needs {
            interpreter: needs.interpreter.map(|path| OsString::from_vec(path).into()),
            libraries: needs.libraries,
            search: needs.search.into_iter().map(PathBuf::from).collect(),
        })
    }
}

/// Whether what looks like a placeholder holds no more than ours do: anyone can give the same mode to
/// a repository, which would then not be seen as one. One that has gone meanwhile was one: its run
/// has ended.
fn is_empty_or_gone(path: &Path, kind: FileType, size: u64) -> bool {
    /// The longest text of a placeholder that a policy asks for: `{}` and a line break.
    const LONGEST: u64 = 3;
    match kind {
        FileType::Directory => match std::fs::read_dir(path) {
            Ok(mut names) => names.next().is_none(),
            Err(e) => e.kind() == std::io::ErrorKind::NotFound,
        },
        _ => size <= LONGEST,
    }
}

/// What this machine can enforce, as far as that can be known without trying.
pub fn layers() -> swathe_host::layers::Layers {
    capabilities(&Facts::probe_quick(None))
}

/// Asks for everything that a plan depends on.
pub fn probe(layers: &Quick) -> Result<Host, Failure> {
    let uid = rustix::process::getuid().as_raw();
    let gid = rustix::process::getgid().as_raw();
    let account = account(uid);
    let user = account.as_ref().map_or_else(|| "user".to_owned(), |account| account.0.clone());
    let cwd = std::env::current_dir().and_then(|cwd| cwd.canonicalize()).map_err(|e| {
        Failure::new(format!("the working directory cannot be used: {e}"))
            .hint("change to a directory that exists, such as: cd ~")
    })?;
    let home = home(account.map(|account| account.1), &user);
    Ok(Host {
        uid,
        gid,
        places: crate::wanted::places(&home, &cwd),
        deciding: Vec::new(),
        stores: Vec::new(),
        state: None,
        home,
        user,
        cwd,
        env: std::env::vars_os().collect(),
        memory: memory(),
        layers: Layers {
            landlock_scopes: layers.landlock >= LANDLOCK_SCOPES,
            pid_max: layers.pid_max,
        },
    })
}

/// Name and home directory of a user in the account database.
fn account(uid: u32) -> Option<(String, PathBuf)> {
    let found = accounts().into_iter().find(|(number, ..)| *number == uid);
    found.map(|(_, name, home)| (name, home))
}

/// The home directories of this user and of people, without links: `$HOME` may be another, and who
/// runs this as root may be in somebody else's.
pub fn homes() -> Vec<PathBuf> {
    /// The first number of people's accounts, and that of nobody.
    const PEOPLE: std::ops::Range<u32> = 1000..65534;
    let own = rustix::process::getuid().as_raw();
    let homes = accounts().into_iter().filter(|(uid, ..)| *uid == own || PEOPLE.contains(uid));
    homes.filter_map(|(.., home)| home.canonicalize().ok()).collect()
}

/// Number, name and home directory of each account.
fn accounts() -> Vec<(u32, String, PathBuf)> {
    let mut text = Vec::new();
    let read = std::fs::File::open("/etc/passwd")
        .and_then(|file| file.take(MAX_ACCOUNTS).read_to_end(&mut text));
    if read.is_err() {
        return Vec::new();
    }
    let account = |line: &[u8]| {
        let fields: Vec<&[u8]> = line.split(|byte| *byte == b':').collect();
        let number = std::str::from_utf8(fields.get(2)?).ok()?.parse().ok()?;
        let home = PathBuf::from(OsStr::from_bytes(fields.get(5)?));
        Some((number, String::from_utf8_lossy(fields.first()?).into_owned(), home))
    };
    text.split(|byte| *byte == b'\n').filter_map(account).collect()
}

/// The home directory, without links. One that is a directory of the system, as services have it,
/// is replaced by a made-up one: it must be possible to cover it.
fn home(account: Option<PathBuf>, user: &str) -> PathBuf {
    const SYSTEM: [&str; 9] =
        ["/usr", "/bin", "/sbin", "/lib", "/etc", "/dev", "/proc", "/sys", "/run"];
    let named = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
    let usable = |home: &PathBuf| {
        home.parent().is_some() && !SYSTEM.iter().any(|system| home.starts_with(system))
    };
    named
        .into_iter()
        .chain(account)
        .filter_map(|home| home.canonicalize().ok())
        .find(usable)
        .unwrap_or_else(|| Path::new("/home").join(user))
}

/// Bytes of memory of the machine.
fn memory() -> u64 {
    let info = rustix::system::sysinfo();
    info.totalram.saturating_mul(u64::from(info.mem_unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where paths lead is what realpath(3) says, in whatever order they are asked for: links to
    /// links, out of their directory, in a circle, to nothing, and through what is no directory.
    #[test]
    fn paths_lead_where_they_do() {
        use std::os::unix::fs::symlink;
        let name = format!("swathe-real-{}", std::process::id());
        let root = std::env::temp_dir().canonicalize().expect("a directory").join(name);
        std::fs::create_dir_all(root.join("a/b")).expect("directories");
        std::fs::write(root.join("a/file"), "").expect("a file");
        for (target, link) in [
            ("b", "a/to-b"),
            ("../a/to-b", "a/b/up"),
            ("to-b/up/../file", "a/long"),
            ("loop", "loop"),
            ("gone", "dangling"),
            ("a/file/..", "through-file"),
            ("/", "top"),
        ] {
            symlink(target, root.join(link)).expect("a link");
        }
        let paths = [
            "",
            "a",
            "a/to-b",
            "a/to-b/up",
            "a/b/up/up/up",
            "a/long",
            "a/./b/../long",
            "loop",
            "dangling",
            "dangling/x",
            "through-file",
            "a/file/..",
            "a/file/",
            "a/b/",
            "a/file/x",
            "top/proc",
            "top/..",
            "..",
        ];
        for forwards in [true, false] {
            let files = HostFiles::default();
            let mut order: Vec<&str> = paths.to_vec();
            if !forwards {
                order.reverse();
            }
            for _ in 0..2 {
                for path in &order {
                    let path = root.join(path);
                    assert_eq!(files.real(&path), path.canonicalize().ok(), "{}", path.display());
                }
            }
        }
        std::fs::remove_dir_all(root).expect("removed");
    }
}

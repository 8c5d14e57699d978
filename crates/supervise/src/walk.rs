//! Following a path as the kernel would for the process, holding a descriptor of each step.
//!
//! What is decided about and what is worked on is the same descriptor: whatever the process renames
//! or mounts meanwhile, nothing is looked up again. A path that leads where the supervisor cannot
//! or will not follow is left to the kernel, which keeps the floor.

use crate::process::Caller;
use std::cell::OnceCell;
use std::ffi::{CStr, CString};
use swathe_sys::rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use swathe_sys::rustix::fs::{
    AtFlags, FileType, Mode, OFlags, PROC_SUPER_MAGIC, StatxFlags, fstatfs, openat, readlinkat,
    statx,
};
use swathe_sys::rustix::io::fcntl_dupfd_cloexec;
use swathe_sys::{Errno, Result};

/// As many links as the kernel follows (`MAXSYMLINKS`).
const MAX_LINKS: usize = 40;
/// More than a path of 4096 bytes and forty links have.
const MAX_COMPONENTS: usize = 100_000;

/// Where a path leads.
#[derive(Debug)]
pub struct Found {
    /// The directory.
    pub dir: OwnedFd,
    /// The name in it; `.` where the path ends in a directory without naming it.
    pub name: CString,
    /// What has that name, opened with O_PATH; none if nothing has it.
    pub object: Option<Object>,
    /// How the path ends.
    pub end: End,
    /// Whether a slash follows the name.
    pub slash: bool,
    /// Whether the name is a link of procfs that was followed: the object is not in the directory.
    pub jumped: bool,
}

/// How a path ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With a name.
    Name,
    /// With `.`.
    Here,
    /// With `..`.
    Up,
    /// It is `/`.
    Root,
}

/// What a name leads to.
#[derive(Debug)]
pub struct Object {
    /// Opened with O_PATH; a link itself, where it was not to be followed.
    pub fd: OwnedFd,
    /// File, directory, link …
    pub kind: FileType,
    /// What it is; its size is that of the moment when it was found.
    pub identity: Identity,
}

impl Object {
    fn new(fd: OwnedFd) -> Result<Self> {
        let identity = identity(&fd)?;
        Ok(Self { fd, kind: FileType::from_raw_mode(identity.mode.into()), identity })
    }
}

/// What tells one file from another, and the mount that it was reached through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Device.
    pub device: (u32, u32),
    /// Inode.
    pub inode: u64,
    /// Mount.
    pub mount: u64,
    /// Type and mode.
    pub mode: u16,
    /// Size in bytes.
    pub size: u64,
}

/// Identity of what a descriptor refers to.
///
/// # Errors
/// Those of statx(2).
pub fn identity(fd: impl AsFd) -> Result<Identity> {
    identity_at(fd, b"", AtFlags::EMPTY_PATH)
}

/// Identity of what a path leads to.
///
/// # Errors
/// Those of statx(2).
pub fn identity_at(dir: impl AsFd, path: &[u8], flags: AtFlags) -> Result<Identity> {
    let wanted = StatxFlags::BASIC_STATS | StatxFlags::MNT_ID;
    let found = statx(dir, path, flags, wanted)?;
    if found.stx_mask & StatxFlags::MNT_ID.bits() == 0 {
        return Err(Errno::NOSYS);
    }
    Ok(Identity {
        device: (found.stx_dev_major, found.stx_dev_minor),
        inode: found.stx_ino,
        mount: found.stx_mnt_id,
        mode: found.stx_mode,
        size: found.stx_size,
    })
}

impl Identity {
    /// Whether both are the same place: the same file by the same mount.
    #[must_use]
    pub fn is_same_place(&self, other: &Self) -> bool {
        (self.device, self.inode, self.mount) == (other.device, other.inode, other.mount)
    }

    /// Whether both are the same file, by whatever mount.
    #[must_use]
    pub fn is_same_file(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

/// A way through the file system of a process.
pub struct Walk<'a> {
    caller: &'a Caller,
    /// Its root, opened when it is needed first.
    root: OnceCell<OwnedFd>,
    links: usize,
    /// Whether the name is what is worked on: it is not followed, not even before a slash.
    name_only: bool,
    /// The component after the root of a procfs, while in that procfs.
    of_proc: Option<Vec<u8>>,
}

fn open_way(dir: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd> {
    openat(dir, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

fn is_procfs(fd: impl AsFd) -> bool {
    fstatfs(fd).is_ok_and(|found| found.f_type == PROC_SUPER_MAGIC)
}

impl<'a> Walk<'a> {
    /// Of this process.
    #[must_use]
    pub const fn new(caller: &'a Caller) -> Self {
        Self { caller, root: OnceCell::new(), links: 0, name_only: false, of_proc: None }
    }

    fn root(&self) -> Result<&OwnedFd> {
        if let Some(root) = self.root.get() {
            return Ok(root);
        }
        let root = self.caller.root()?;
        Ok(self.root.get_or_init(|| root))
    }

    /// Finds a name that is to be made, removed or renamed.
    ///
    /// # Errors
    /// As those of [`Self::find`].
    pub fn find_name(mut self, dir: i32, path: &[u8]) -> Result<Found> {
        self.name_only = true;
        self.find(dir, path, false)
    }

    /// Follows `path` from a descriptor of the process (or its working directory). The last
    /// component is followed if it is a link and `follow`.
    ///
    /// # Errors
    /// As the kernel would fail; EACCES also where a link of procfs leads into another process.
    pub fn find(mut self, dir: i32, path: &[u8], follow: bool) -> Result<Found> {
        if path.is_empty() {
            return Err(Errno::NOENT);
        }
        let mut at = if path.first() == Some(&b'/') {
            fcntl_dupfd_cloexec(self.root()?, 0)?
        } else {
            self.caller.start(dir)?
        };
        let mut slash = path.last() == Some(&b'/');
        let mut end = End::Root;
        let mut left = components(path);
        for _ in 0..MAX_COMPONENTS {
            let Some(name) = left.pop() else {
                let fd = open_way(at.as_fd(), c".")?;
                let object = Some(Object::new(fd)?);
                let name = c".".to_owned();
                return Ok(Found { dir: at, name, object, end, slash, jumped: false });
            };
            let last = left.is_empty();
            match name.as_slice() {
                b"." => {
                    end = End::Here;
                    continue;
                }
                b".." => {
                    end = End::Up;
                    at = self.parent(at)?;
                    continue;
                }
                _ => {}
            }
            let name = CString::new(name).map_err(|_| Errno::INVAL)?;
            let named = |dir: OwnedFd, name, object, jumped| {
                Ok(Found { dir, name, object, end: End::Name, slash, jumped })
            };
            let fd = match open_way(at.as_fd(), &name) {
                Ok(fd) => fd,
                Err(Errno::NOENT) if last => return named(at, name, None, false),
                Err(e) => return Err(e),
            };
            let object = Object::new(fd)?;
            if object.kind != FileType::Symlink {
                if last {
                    return named(at, name, Some(object), false);
                }
                self.note_proc(&at, &name);
                at = object.fd;
                continue;
            }
            if last && !follow && (!slash || self.name_only) {
                return named(at, name, Some(object), false);
            }
            self.links += 1;
            if self.links > MAX_LINKS {
                return Err(Errno::LOOP);
            }
            match self.target(&at, &name, &object.fd)? {
                Target::Text(text) => {
                    if text.first() == Some(&b'/') {
                        at = fcntl_dupfd_cloexec(self.root()?, 0)?;
                        self.of_proc = None;
                    }
                    if last {
                        end = End::Root;
                        slash |= text.last() == Some(&b'/');
                    }
                    left.extend(components(&text));
                }
                Target::Object(fd) => {
                    self.of_proc = None;
                    if last {
                        return named(at, name, Some(Object::new(fd)?), true);
                    }
                    at = fd;
                }
            }
        }
        Err(Errno::LOOP)
    }

    /// The directory above; the process's root has none.
    fn parent(&mut self, at: OwnedFd) -> Result<OwnedFd> {
        self.of_proc = None;
        if identity(&at)?.is_same_place(&identity(self.root()?)?) {
            return Ok(at);
        }
        open_way(at.as_fd(), c"..")
    }

    fn note_proc(&mut self, at: &OwnedFd, name: &CStr) {
        if self.of_proc.is_none() && is_procfs(at) && is_procfs_root(at) {
            self.of_proc = Some(name.to_bytes().to_vec());
        }
    }

    /// Where a link leads. Those of procfs that stand for a process's own objects have no text that
    /// could be followed: only those of the caller's own process are, by its own directory.
    fn target(&self, at: &OwnedFd, name: &CStr, link: &OwnedFd) -> Result<Target> {
        if !is_procfs(at) {
            return readlinkat(link, c"", Vec::new()).map(|t| Target::Text(t.into_bytes()));
        }
        let status = self.caller.status()?;
        if is_procfs_root(at) {
            return match name.to_bytes() {
                b"self" => Ok(Target::Text(status.inner.0.to_string().into_bytes())),
                b"thread-self" => {
                    let (process, thread) = status.inner;
                    Ok(Target::Text(format!("{process}/task/{thread}").into_bytes()))
                }
                _ => readlinkat(link, c"", Vec::new()).map(|t| Target::Text(t.into_bytes())),
            };
        }
        let own = status.inner.0.to_string();
        if self.of_proc.as_deref() != Some(own.as_bytes()) {
            return Err(Errno::ACCESS);
        }
        let way = OFlags::PATH | OFlags::CLOEXEC;
        openat(at, name, way, Mode::empty()).map(Target::Object)
    }
}

enum Target {
    Text(Vec<u8>),
    Object(OwnedFd),
}

/// The inode of the root of every procfs (`PROC_ROOT_INO`).
fn is_procfs_root(fd: impl AsFd) -> bool {
    identity(fd).is_ok_and(|found| found.inode == 1)
}

/// The components, the first last.
fn components(path: &[u8]) -> Vec<Vec<u8>> {
    let parts = path.split(|&b| b == b'/').filter(|part| !part.is_empty());
    let mut parts: Vec<Vec<u8>> = parts.map(<[u8]>::to_vec).collect();
    parts.reverse();
    parts
}

//! Directories by descriptor. No path is followed through a link or onto another file system.

use crate::meta::Meta;
use rustix::fs::{
    AtFlags, CWD, Dir as ReadDir, Mode, OFlags, RenameFlags, ResolveFlags, Timespec, Timestamps,
    openat2, renameat_with, statat,
};
use rustix::io::Errno;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

type Io<T> = Result<T, Errno>;

/// A directory that is only walked through: opened without reading it.
#[derive(Debug)]
pub(crate) struct Dir(pub(crate) OwnedFd);

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn resolve() -> ResolveFlags {
    ResolveFlags::BENEATH
        | ResolveFlags::NO_SYMLINKS
        | ResolveFlags::NO_MAGICLINKS
        | ResolveFlags::NO_XDEV
}

impl Dir {
    /// Opens a directory by a path that the user chose, links allowed.
    pub fn open(path: &Path) -> Io<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::openat(CWD, path, flags, Mode::empty()).map(Self)
    }

    /// Opens the directory at a path relative to this one; empty: itself.
    pub fn at(&self, path: &[u8]) -> Io<Self> {
        let path = if path.is_empty() { b"." } else { path };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        openat2(&self.0, path, flags, Mode::empty(), resolve()).map(Self)
    }

    /// As [`Self::at`]; none where no directory of this file system is there.
    pub fn find(&self, path: &[u8]) -> Io<Option<Self>> {
        match self.at(path) {
            Ok(dir) => Ok(Some(dir)),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// Opens something in it for reading or, with other flags, otherwise.
    pub fn file(&self, name: &[u8], flags: OFlags, mode: u32) -> Io<OwnedFd> {
        let mut flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        if !flags.contains(OFlags::PATH) {
            flags |= OFlags::NONBLOCK | OFlags::NOCTTY;
        }
        let name = if name.is_empty() { b"." } else { name };
        openat2(&self.0, name, flags, Mode::from_raw_mode(mode), resolve())
    }

    /// What is there under a name of this directory; none: nothing.
    pub fn stat(&self, name: &[u8]) -> Io<Option<Meta>> {
        let name = if name.is_empty() { b"." } else { name };
        match statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT) {
            Ok(stat) => Ok(Some(Meta::of(&stat))),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(errno) => Err(errno),
        }
    }

    /// What it is itself.
    pub fn meta(&self) -> Io<Meta> {
        rustix::fs::fstat(&self.0).map(|stat| Meta::of(&stat))
    }

    /// A descriptor that reads or syncs.
    pub fn readable(&self) -> Io<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat2(&self.0, c".", flags, Mode::empty(), resolve())
    }

    /// The names in it, sorted.
    pub fn list(&self) -> Io<Vec<Vec<u8>>> {
        let mut names = Vec::new();
        for entry in ReadDir::new(self.readable()?)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(name.to_vec());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Flushes its entries to the disk.
    pub fn sync(&self) -> Io<()> {
        rustix::fs::fsync(self.readable()?)
    }

    /// A path of the kernel's own that leads to a name in it, for calls that take no descriptor.
    /// The last component is not followed by the calls that it is used with.
    pub fn proc_path(&self, name: &[u8]) -> Vec<u8> {
        let mut path = format!("/proc/self/fd/{}/", self.0.as_raw_fd()).into_bytes();
        path.extend_from_slice(if name.is_empty() { b"." } else { name });
        path
    }

    /// The target of a symlink in it.
    pub fn link(&self, name: &[u8]) -> Io<Vec<u8>> {
        rustix::fs::readlinkat(&self.0, name, Vec::new()).map(std::ffi::CString::into_bytes)
    }

    pub fn mkdir(&self, name: &[u8], mode: u32) -> Io<()> {
        rustix::fs::mkdirat(&self.0, name, Mode::from_raw_mode(mode))
    }

    /// Makes it if it is not there, and opens it.
    pub fn make(&self, name: &[u8], mode: u32) -> Io<Self> {
        match self.mkdir(name, mode) {
            Ok(()) | Err(Errno::EXIST) => self.at(name),
            Err(errno) => Err(errno),
        }
    }

    /// Sets permission bits of what is no symlink.
    pub fn chmod(&self, name: &[u8], mode: u32) -> Io<()> {
        // By descriptor: a name could have become a symlink. Itself it can be one that its owner
        // may not enter.
        let own = name.is_empty();
        let fd = if own { None } else { Some(self.file(name, OFlags::PATH, 0)?) };
        let path = format!("/proc/self/fd/{}", fd.as_ref().unwrap_or(&self.0).as_raw_fd());
        rustix::fs::chmodat(CWD, path, Mode::from_raw_mode(mode), AtFlags::empty())
    }

    pub fn chown(&self, name: &[u8], uid: u32, gid: u32) -> Io<()> {
        let (uid, gid) = (rustix::fs::Uid::from_raw(uid), rustix::fs::Gid::from_raw(gid));
        rustix::fs::chownat(&self.0, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
    }

    /// Sets the time of last change; that of last access is left.
    pub fn touch(&self, name: &[u8], mtime: (i64, u32)) -> Io<()> {
        let name = if name.is_empty() { b"." } else { name };
        rustix::fs::utimensat(&self.0, name, &changed_at(mtime), AtFlags::SYMLINK_NOFOLLOW)
    }

    /// Moves a name; never over something.
    pub fn rename(&self, name: &[u8], to: &Self, new: &[u8]) -> Io<()> {
        renameat_with(&self.0, name, &to.0, new, RenameFlags::NOREPLACE)
    }

    /// Exchanges two names.
    pub fn exchange(&self, name: &[u8], to: &Self, other: &[u8]) -> Io<()> {
        renameat_with(&self.0, name, &to.0, other, RenameFlags::EXCHANGE)
    }

    /// Removes a name that is no directory; what is not there is no error.
    pub fn unlink(&self, name: &[u8]) -> Io<()> {
        gone(rustix::fs::unlinkat(&self.0, name, AtFlags::empty()))
    }

    /// Removes an empty directory; what is not there is no error.
    pub fn rmdir(&self, name: &[u8]) -> Io<()> {
        gone(rustix::fs::unlinkat(&self.0, name, AtFlags::REMOVEDIR))
    }
}

fn gone(result: Io<()>) -> Io<()> {
    match result {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

/// A time of last change to set, with the time of last access left.
pub(crate) fn changed_at(mtime: (i64, u32)) -> Timestamps {
    let omit = Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT as _ };
    let modified = Timespec { tv_sec: mtime.0, tv_nsec: mtime.1.into() };
    Timestamps { last_access: omit, last_modification: modified }
}

/// Directory and name of a relative path.
pub(crate) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|b| *b == b'/') {
        Some(at) => (path.get(..at).unwrap_or_default(), path.get(at + 1..).unwrap_or_default()),
        None => (b"", path),
    }
}

/// A relative path with a name added.
pub(crate) fn join(path: &[u8], name: &[u8]) -> Vec<u8> {
    let mut all = path.to_vec();
    if !all.is_empty() {
        all.push(b'/');
    }
    all.extend_from_slice(name);
    all
}

/// The bytes of a path.
pub(crate) fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

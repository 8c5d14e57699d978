//! mount(2) for kernels without the newer calls: as strict, but slower.
//!
//! Targets and sources are named by their descriptors (`self/fd/N` below procfs), so that no path
//! is walked twice. mount(2) does not apply flags to a bind mount as it makes it, nor to what is
//! mounted below: the mount table is read and every mount of the new tree is remounted with its own
//! flags and the ones asked for. The tree is writable for that moment, before anything runs.

use crate::files::mountinfo;
use crate::files::mounts::{Attrs, NewFs, fd_path};
use crate::files::root::Attach;
use crate::files::root::Root;
use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::CStr;
use swathe_sys::Errno;
use swathe_sys::mount::{Propagation, attr, mount};
use swathe_sys::rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use swathe_sys::rustix::fs::{self, CWD, Mode, OFlags};
use swathe_sys::rustix::io::fcntl_dupfd_cloexec;
use swathe_sys::rustix::process::{chdir, fchdir, pivot_root};

type Result<T> = core::result::Result<T, Errno>;

const MS_RDONLY: u64 = 1;
const MS_NOSUID: u64 = 2;
const MS_NODEV: u64 = 4;
const MS_NOEXEC: u64 = 8;
const MS_REMOUNT: u64 = 32;
const MS_BIND: u64 = 4096;
const MS_REC: u64 = 16384;
const MS_SILENT: u64 = 32768;
const MS_PRIVATE: u64 = 1 << 18;

const PATH: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

fn flags_of(attrs: u64) -> u64 {
    let pairs = [
        (attr::RDONLY, MS_RDONLY),
        (attr::NOSUID, MS_NOSUID),
        (attr::NODEV, MS_NODEV),
        (attr::NOEXEC, MS_NOEXEC),
    ];
    pairs.iter().filter(|(a, _)| attrs & a != 0).map(|(_, flag)| flag).sum()
}

/// The inode on which to mount.
fn target(root: &Root, place: &Attach) -> Result<OwnedFd> {
    match place {
        Attach::Name(dir, name) => {
            root.forget();
            fs::openat(root.dir(dir), name, PATH | OFlags::NOFOLLOW, Mode::empty())
        }
        Attach::Open(fd) => fcntl_dupfd_cloexec(fd, 3),
        Attach::Root => fcntl_dupfd_cloexec(root, 3),
    }
}

/// Runs `mount` with procfs as the working directory, so that `self/fd/N` names descriptors even
/// where the sandbox covers /proc. The working directory has no other use during the set-up.
fn mounted<'a>(
    proc_fd: BorrowedFd<'_>,
    at: BorrowedFd<'a>,
    mount_on: impl FnOnce(&CStr) -> Result<()>,
) -> Result<OwnedFd> {
    fchdir(proc_fd)?;
    let path = fd_path(at);
    mount_on(&path)?;
    // The topmost mount over the inode: its path, walked once more, crosses into it. What it led
    // to is checked against the mount table by the callers that set flags.
    let text = fs::readlinkat(CWD, &path, Vec::new())?;
    fs::openat(CWD, &text, PATH | OFlags::NOFOLLOW, Mode::empty())
}

/// Binds the tree behind `source`; returns the new mount's root.
pub fn bind(
    proc_fd: BorrowedFd<'_>,
    source: BorrowedFd<'_>,
    root: &Root,
    place: &Attach,
    attrs: Attrs,
) -> Result<OwnedFd> {
    let at = target(root, place)?;
    let from = fd_path(source);
    let fd = mounted(proc_fd, at.as_fd(), |path| {
        mount(&from, path, None, MS_BIND | MS_REC | MS_SILENT, None)
    })?;
    let (a, b) = (fs::fstat(&fd)?, fs::fstat(source)?);
    if a.st_dev != b.st_dev || a.st_ino != b.st_ino {
        return Err(Errno::STALE);
    }
    apply(proc_fd, fd.as_fd(), attrs)?;
    Ok(fd)
}

/// Sets attributes of every mount of the tree at `top`.
pub fn apply(proc_fd: BorrowedFd<'_>, top: BorrowedFd<'_>, attrs: Attrs) -> Result<()> {
    fchdir(proc_fd)?;
    let top_path = fs::readlinkat(CWD, fd_path(top), Vec::new())?;
    // First: what arrived after the table was read would be missed.
    if attrs.propagation == Propagation::Private {
        mount(c"none", &fd_path(top), None, MS_PRIVATE | MS_REC | MS_SILENT, None)?;
    }
    let tree = mountinfo::tree(proc_fd, top_path.to_bytes())?;
    for (i, entry) in tree.iter().enumerate() {
        let flags = entry.flags | flags_of(attrs.set);
        if flags == entry.flags {
            continue;
        }
        let how = MS_REMOUNT | MS_BIND | MS_SILENT | flags;
        let done = if i == 0 {
            mount(c"none", &fd_path(top), None, how, None)
        } else {
            let path = CString::new(entry.point.clone()).map_err(|_| Errno::INVAL)?;
            mount(c"none", &path, None, how, None)
        };
        match done {
            // A mount that this user cannot reach cannot be reached in the sandbox either.
            Err(Errno::ACCESS) if i > 0 => {}
            other => other?,
        }
    }
    Ok(())
}

/// Makes a file system at a place; returns its root.
pub fn mount_fs(
    proc_fd: BorrowedFd<'_>,
    new: &NewFs<'_>,
    root: &Root,
    place: &Attach,
) -> Result<OwnedFd> {
    let at = target(root, place)?;
    let data = data(new.options)?;
    let fd = mounted(proc_fd, at.as_fd(), |path| {
        mount(new.kind, path, Some(new.kind), flags_of(new.attrs) | MS_SILENT, Some(&data))
    })?;
    // A file system just made is on a device of its own.
    if fs::fstat(&fd)?.st_dev == fs::fstat(&at)?.st_dev {
        return Err(Errno::STALE);
    }
    Ok(fd)
}

fn data(options: &[(&CStr, CString)]) -> Result<CString> {
    let mut text: Vec<u8> = Vec::new();
    for (key, value) in options {
        if !text.is_empty() {
            text.push(b',');
        }
        text.extend(key.to_bytes());
        if !value.is_empty() {
            text.push(b'=');
            text.extend(value.to_bytes());
        }
    }
    // The kernel reads one page.
    if text.len() > 4000 {
        return Err(Errno::TOOBIG);
    }
    CString::new(text).map_err(|_| Errno::INVAL)
}

/// Makes one mount read-only.
pub fn read_only(proc_fd: BorrowedFd<'_>, top: BorrowedFd<'_>) -> Result<()> {
    fchdir(proc_fd)?;
    let top_path = fs::readlinkat(CWD, fd_path(top), Vec::new())?;
    let tree = mountinfo::tree(proc_fd, top_path.to_bytes())?;
    let Some(entry) = tree.first() else { return Err(Errno::INVAL) };
    let how = MS_REMOUNT | MS_BIND | MS_SILENT | MS_RDONLY | MS_NOSUID | MS_NODEV | entry.flags;
    mount(c"none", &fd_path(top), None, how, None)
}

/// A tmpfs of our own as the process's root, on which the new tree is built.
#[derive(Debug)]
pub struct Base {
    /// Its root.
    pub root: OwnedFd,
    /// The directory, a mount of its own, that becomes the sandbox's root.
    pub new_root: OwnedFd,
    /// A directory out of the sandbox's reach.
    pub scratch: OwnedFd,
}

/// Makes the base. It is mounted over /tmp, which always exists, and made the root at once: the
/// host's tree, now below it, would otherwise contain it wherever the host's root is bound.
pub fn base(options: &[(&CStr, CString)]) -> Result<Base> {
    let data = data(options)?;
    let flags = MS_NOSUID | MS_NODEV | MS_SILENT;
    mount(c"tmpfs", c"/tmp", Some(c"tmpfs"), flags, Some(&data))?;
    chdir(c"/tmp")?;
    for name in [c"newroot", c"oldroot", c"scratch"] {
        fs::mkdirat(CWD, name, Mode::from_raw_mode(0o755))?;
    }
    mount(c"newroot", c"newroot", None, MS_BIND | MS_REC | MS_SILENT, None)?;
    pivot_root(c".", c"oldroot")?;
    chdir(c"/")?;
    let open = |path: &CStr| fs::openat(CWD, path, PATH | OFlags::DIRECTORY, Mode::empty());
    Ok(Base { root: open(c"/")?, new_root: open(c"/newroot")?, scratch: open(c"/scratch")? })
}

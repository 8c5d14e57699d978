//! Copies where nothing can be renamed: to another file system, or another mount of the same.

use crate::entry::Kind;
use crate::meta::Meta;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    AtFlags, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags, chownat, fchmod, fgetxattr,
    flistxattr, fsetxattr, ioctl_ficlone, mknodat, openat, readlinkat, symlinkat, unlinkat,
    utimensat,
};
use rustix::io::{Errno, Result};
use std::ffi::CStr;
use std::fs::File;

/// The longest list of names of extended attributes, and the longest value (`XATTR_SIZE_MAX`).
const MAX_XATTR: usize = 64 << 10;

/// Copies what has a name, which must be what `meta` says, to a name that nothing has. Mode, times
/// and extended attributes are kept; the owner as far as the user may give files away.
pub fn copy(
    from: BorrowedFd<'_>,
    name: &CStr,
    meta: &Meta,
    to: BorrowedFd<'_>,
    new: &CStr,
) -> Result<()> {
    let done = match meta.kind {
        Kind::File => file(from, name, meta, to, new),
        Kind::Link => {
            let target = readlinkat(from, name, Vec::new())?;
            symlinkat(target, to, new).and_then(|()| settle(meta, to, new))
        }
        Kind::Pipe => mknodat(to, new, rustix::fs::FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)
            .and_then(|()| settle(meta, to, new)),
        Kind::Directory => Err(Errno::ISDIR),
        Kind::Socket | Kind::Device => Err(Errno::XDEV),
    };
    if done.as_ref().is_err_and(|e| *e != Errno::EXIST) {
        // Half a copy is none.
        let _ = unlinkat(to, new, AtFlags::empty());
    }
    done
}

fn file(
    from: BorrowedFd<'_>,
    name: &CStr,
    meta: &Meta,
    to: BorrowedFd<'_>,
    new: &CStr,
) -> Result<()> {
    let open = OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NOCTTY;
    let source = openat(from, name, OFlags::RDONLY | OFlags::NONBLOCK | open, Mode::empty())?;
    if !Meta::of(&source)?.is_same_file(meta) {
        return Err(Errno::AGAIN);
    }
    let new_file = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | open;
    let target = openat(to, new, new_file, Mode::RUSR | Mode::WUSR)?;
    if ioctl_ficlone(&target, &source).is_err() {
        let mut copied = File::from(target.try_clone().map_err(errno)?);
        std::io::copy(&mut File::from(source.try_clone().map_err(errno)?), &mut copied)
            .map_err(errno)?;
    }
    attributes(&source, &target);
    let mut mode = meta.mode;
    if chownat(to, new, owner(meta), group(meta), AtFlags::SYMLINK_NOFOLLOW).is_err() {
        // These are powers of the owner that it no longer has.
        mode &= !0o6000;
    }
    fchmod(&target, Mode::from_raw_mode(mode))?;
    times(meta, to, new)
}

fn errno(error: std::io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}

fn owner(meta: &Meta) -> Option<Uid> {
    Some(Uid::from_raw(meta.uid))
}

fn group(meta: &Meta) -> Option<Gid> {
    Some(Gid::from_raw(meta.gid))
}

/// Extended attributes, as far as the user may set them.
fn attributes(source: &OwnedFd, target: &OwnedFd) {
    let mut names = vec![0_u8; MAX_XATTR];
    let Ok(length) = flistxattr(source, &mut names[..]) else { return };
    names.truncate(length);
    for name in names.split_inclusive(|&b| b == 0) {
        let Ok(name) = CStr::from_bytes_with_nul(name) else { continue };
        let mut value = vec![0_u8; MAX_XATTR];
        let Ok(length) = fgetxattr(source, name, &mut value[..]) else { continue };
        value.truncate(length);
        let _ = fsetxattr(target, name, &value, XattrFlags::empty());
    }
}

/// Owner and times of what is not opened.
fn settle(meta: &Meta, dir: BorrowedFd<'_>, name: &CStr) -> Result<()> {
    let _ = chownat(dir, name, owner(meta), group(meta), AtFlags::SYMLINK_NOFOLLOW);
    if meta.kind == Kind::Pipe {
        rustix::fs::chmodat(dir, name, Mode::from_raw_mode(meta.mode), AtFlags::empty())?;
    }
    times(meta, dir, name)
}

fn times(meta: &Meta, dir: impl AsFd, name: &CStr) -> Result<()> {
    let time = |(tv_sec, nanos): (i64, u32)| Timespec { tv_sec, tv_nsec: nanos.into() };
    let times =
        Timestamps { last_access: time(meta.accessed), last_modification: time(meta.modified) };
    utimensat(dir, name, &times, AtFlags::SYMLINK_NOFOLLOW)
}

//! What the kernel says of a thing.

use crate::entry::{Entry, Kind};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{AtFlags, FileType, Statx, StatxFlags, statx};
use rustix::io::{Errno, Result};
use std::ffi::CStr;

/// Attributes of a file, and the mount that it was reached through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    pub kind: Kind,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub size: u64,
    /// What it takes up on the disk, in bytes.
    pub space: u64,
    pub modified: (i64, u32),
    pub accessed: (i64, u32),
    pub device: (u32, u32),
    pub inode: u64,
    pub mount: u64,
}

const WANTED: StatxFlags = StatxFlags::BASIC_STATS.union(StatxFlags::MNT_ID);

impl Meta {
    /// Of a name, never of what a link leads to.
    pub fn at(dir: impl AsFd, name: &CStr) -> Result<Self> {
        Self::from(&statx(dir, name, AtFlags::SYMLINK_NOFOLLOW, WANTED)?)
    }

    /// Of what a descriptor refers to.
    pub fn of(fd: impl AsFd) -> Result<Self> {
        Self::from(&statx(fd, c"", AtFlags::EMPTY_PATH, WANTED)?)
    }

    fn from(found: &Statx) -> Result<Self> {
        if found.stx_mask & StatxFlags::MNT_ID.bits() == 0 {
            return Err(Errno::NOSYS);
        }
        let kind = match FileType::from_raw_mode(found.stx_mode.into()) {
            FileType::RegularFile => Kind::File,
            FileType::Symlink => Kind::Link,
            FileType::Directory => Kind::Directory,
            FileType::Fifo => Kind::Pipe,
            FileType::Socket => Kind::Socket,
            _ => Kind::Device,
        };
        Ok(Self {
            kind,
            mode: u32::from(found.stx_mode) & 0o7777,
            uid: found.stx_uid,
            gid: found.stx_gid,
            size: found.stx_size,
            space: found.stx_blocks.saturating_mul(512),
            modified: (found.stx_mtime.tv_sec, found.stx_mtime.tv_nsec),
            accessed: (found.stx_atime.tv_sec, found.stx_atime.tv_nsec),
            device: (found.stx_dev_major, found.stx_dev_minor),
            inode: found.stx_ino,
            mount: found.stx_mnt_id,
        })
    }

    /// Whether both are the same file, by whatever mount.
    pub fn is_same_file(&self, other: &Self) -> bool {
        (self.device, self.inode, self.kind) == (other.device, other.inode, other.kind)
    }

    /// Writes itself into an entry.
    pub fn describe(&self, entry: &mut Entry) {
        entry.kind = self.kind;
        // That of a directory says nothing.
        entry.size = if self.kind == Kind::Directory { 0 } else { self.size };
        entry.mode = self.mode;
        (entry.uid, entry.gid) = (self.uid, self.gid);
        entry.modified = self.modified;
        (entry.device, entry.inode) = (self.device, self.inode);
    }
}

/// Fails with EROFS where nothing can be changed through this descriptor's mount.
pub fn writable(dir: BorrowedFd<'_>) -> Result<()> {
    let read_only = rustix::fs::StatVfsMountFlags::RDONLY;
    if rustix::fs::fstatvfs(dir)?.f_flag.contains(read_only) { Err(Errno::ROFS) } else { Ok(()) }
}

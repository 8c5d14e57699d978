//! What the file system says of a file.

use rustix::fs::{FileType, RawMode, Stat};
use serde::{Deserialize, Serialize};

/// A kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A device, of either sort.
    Device,
}

/// What is kept of a file beside its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// Its kind.
    pub kind: FileKind,
    /// Permission bits, with set-user-ID, set-group-ID and sticky bit.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bytes.
    pub size: u64,
    /// Last change of the content, seconds and nanoseconds.
    pub mtime: (i64, u32),
    /// Last change of the inode, seconds and nanoseconds.
    pub ctime: (i64, u32),
    /// Inode number.
    pub ino: u64,
    /// Device number of the file system.
    pub dev: u64,
    /// Names of the inode.
    pub nlink: u64,
    /// Device number of a device, 0 for a whiteout.
    pub rdev: u64,
    /// Space taken, in units of 512 bytes.
    pub blocks: u64,
}

/// What tells a file from another one, or from itself before it was written to. A rename keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Id {
    /// Its kind.
    pub kind: FileKind,
    /// Inode number.
    pub ino: u64,
    /// Bytes; 0 for directories.
    pub size: u64,
    /// Last change of the content; zeros for directories.
    pub mtime: (i64, u32),
}

impl Meta {
    #[allow(clippy::useless_conversion, clippy::unnecessary_cast)] // types differ by architecture
    pub(crate) fn of(stat: &Stat) -> Self {
        let kind = match FileType::from_raw_mode(stat.st_mode as RawMode) {
            FileType::RegularFile => FileKind::File,
            FileType::Directory => FileKind::Directory,
            FileType::Symlink => FileKind::Symlink,
            FileType::Fifo => FileKind::Fifo,
            FileType::Socket => FileKind::Socket,
            _ => FileKind::Device,
        };
        Self {
            kind,
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            mtime: (stat.st_mtime as i64, stat.st_mtime_nsec as u32),
            ctime: (stat.st_ctime as i64, stat.st_ctime_nsec as u32),
            ino: stat.st_ino as u64,
            dev: stat.st_dev as u64,
            nlink: stat.st_nlink as u64,
            rdev: stat.st_rdev as u64,
            blocks: u64::try_from(stat.st_blocks).unwrap_or(0),
        }
    }

    pub(crate) fn is_dir(&self) -> bool {
        self.kind == FileKind::Directory
    }

    /// A character device 0:0, as the kernel's overlay leaves for what was deleted.
    pub(crate) fn is_whiteout(&self) -> bool {
        self.kind == FileKind::Device && self.rdev == 0
    }

    pub(crate) fn id(&self) -> Id {
        let own = !self.is_dir();
        Id {
            kind: self.kind,
            ino: self.ino,
            size: if own { self.size } else { 0 },
            mtime: if own { self.mtime } else { (0, 0) },
        }
    }

    /// The mode that a commit gives: without set-user-ID and set-group-ID. A directory keeps its
    /// set-group-ID bit, which is about the group of new files.
    pub(crate) fn safe_mode(&self) -> u32 {
        if self.is_dir() { self.mode & 0o3777 } else { self.mode & 0o1777 }
    }
}

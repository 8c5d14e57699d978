//! What lay below a workspace when its run began.
//!
//! One file for each root: a head, then a block for each directory with its entries, then an end
//! mark with the number of entries. Where a tree has more entries than the bound, the file only
//! says when the run began, and what has changed since is told by the time of last change.

mod read;
mod walk;

pub(crate) use read::{Base, Found};
pub(crate) use walk::write;

use crate::meta::{FileKind, Id, Meta};
use serde::{Deserialize, Serialize};

const MAGIC: &[u8; 12] = b"swathe-base\x01";

/// The end mark stands where a block has the length of its path.
const END: u32 = u32::MAX;

/// What a snapshot records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotOptions {
    /// The most files and directories of one root that are recorded one by one.
    pub most: u64,
    /// Bytes of text files that are kept for three-way merges, of all roots together. 0: none.
    /// They are read as the run begins, which takes time.
    pub texts: u64,
}

impl Default for SnapshotOptions {
    fn default() -> Self {
        Self { most: 2_000_000, texts: 0 }
    }
}

/// What a snapshot has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Snapshot {
    /// Files and directories that were recorded.
    pub entries: u64,
    /// Whether every root is recorded one by one. Otherwise a file that the host deletes while the
    /// program changes it is not told from one that never was.
    pub whole: bool,
    /// Text files that were kept.
    pub texts: u64,
}

/// A file as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub kind: FileKind,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub ino: u64,
    pub size: u64,
    pub mtime: (i64, u32),
    pub ctime: (i64, u32),
    /// Of the content, where times alone could miss a change.
    pub hash: Option<[u8; 32]>,
    /// Where its text is kept.
    pub text: Option<u64>,
}

impl Found {
    /// Whether a file is the recorded one but for its inode and when that was last changed: it was
    /// moved or copied.
    pub fn is_like(self, now: Option<&Entry>) -> bool {
        match (self, now) {
            (Self::Entry(was), Some(now)) => {
                let seen = |entry: &Entry| (entry.kind, entry.mode, entry.uid, entry.gid);
                let content = |entry: &Entry| (entry.size, entry.mtime);
                seen(&was) == seen(now)
                    && (was.kind == FileKind::Directory || content(&was) == content(now))
            }
            (Self::Absent, None) => true,
            _ => false,
        }
    }
}

impl Entry {
    pub fn of(meta: &Meta) -> Self {
        let id: Id = meta.id();
        Self {
            kind: meta.kind,
            mode: meta.mode,
            uid: meta.uid,
            gid: meta.gid,
            ino: meta.ino,
            size: id.size,
            mtime: id.mtime,
            ctime: meta.ctime,
            hash: None,
            text: None,
        }
    }
}

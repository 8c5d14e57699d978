//! What is written down of a workspace.

use crate::dir::{Dir, bytes};
use crate::error::{Error, ErrorKind, Result, Step as _};
use rustix::fs::{OFlags, StatxFlags, statx};
use serde::{Deserialize, Serialize};
use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};
use swathe_record::bytes::Bytes;

/// The version of the files of a workspace.
pub(crate) const VERSION: u32 = 1;

/// The longest `workspace.json` that is read, in bytes.
const LONGEST: u64 = 1 << 20;

const FILE: &[u8] = b"workspace.json";

/// Bounds on what a run may write. They are kept here and enforced by who mounts the overlay, by
/// [`crate::Workspace::usage`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of the upper directories together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Inodes of the upper directories together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inodes: Option<u64>,
}

/// A directory of the host, and where what is written below it goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    /// The directory on the host, absolute.
    pub path: Bytes,
    /// Its device when the workspace was made.
    pub dev: u64,
    /// Its inode.
    pub ino: u64,
    /// When it was made, where the file system knows: seconds and nanoseconds.
    pub born: Option<(i64, u32)>,
    /// The directory that holds `upper`, `work` and `undo`, absolute.
    pub area: Bytes,
    /// Whether files can be renamed between the area and the directory. Otherwise a commit copies.
    pub can_rename: bool,
}

impl Root {
    /// Where the overlay writes to, absolute.
    #[must_use]
    pub fn upper(&self) -> PathBuf {
        self.area.as_path().join("upper")
    }

    /// The overlay's working directory, absolute.
    #[must_use]
    pub fn work(&self) -> PathBuf {
        self.area.as_path().join("work")
    }
}

/// What `workspace.json` holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// Version of the format.
    pub version: u32,
    /// Its name in the store.
    pub id: String,
    /// Whether its user named it. Otherwise it belongs to one run.
    pub named: bool,
    /// The run that made it.
    pub run: String,
    /// Seconds since 1970 when it was made.
    pub created: u64,
    /// The directories.
    pub roots: Vec<Root>,
    /// Bounds on what is written.
    #[serde(default)]
    pub limits: Limits,
}

impl About {
    pub(crate) fn read(dir: &Dir, shown: &Path) -> Result<Self> {
        let damaged = |why: String| {
            Error::new(
                ErrorKind::Damaged,
                format!("cannot read workspace.json of {}: {why}", Bytes::from(shown)),
            )
        };
        let fd = dir.file(FILE, OFlags::RDONLY, 0).step("open workspace.json of", bytes(shown))?;
        let mut text = String::new();
        let read = std::fs::File::from(fd).take(LONGEST).read_to_string(&mut text);
        read.map_err(|e| damaged(e.to_string()))?;
        let about: Self = serde_json::from_str(&text).map_err(|e| damaged(e.to_string()))?;
        if about.version != VERSION {
            return Err(damaged(format!("version {} is unknown", about.version)));
        }
        Ok(about)
    }

    pub(crate) fn write(&self, dir: &Dir, shown: &Path) -> Result<()> {
        let text = serde_json::to_vec_pretty(self).unwrap_or_default();
        replace(dir, FILE, &text).step("write workspace.json of", bytes(shown))
    }
}

/// Writes a whole file by a temporary one, so that there is the old or the new one.
pub(crate) fn replace(dir: &Dir, name: &[u8], content: &[u8]) -> std::io::Result<()> {
    let temporary = [name, b".new"].concat();
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC;
    let mut file = std::fs::File::from(dir.file(&temporary, flags, 0o600)?);
    file.write_all(content)?;
    file.sync_all()?;
    rustix::fs::renameat(dir.as_fd(), temporary.as_slice(), dir.as_fd(), name)?;
    Ok(dir.sync()?)
}

/// When a directory was made, and on which mount it is.
pub(crate) fn born_and_mount(dir: &Dir) -> Result<(Option<(i64, u32)>, u64), rustix::io::Errno> {
    let wanted = StatxFlags::BTIME | StatxFlags::MNT_ID;
    let found = statx(dir, c"", rustix::fs::AtFlags::EMPTY_PATH, wanted)?;
    let known = StatxFlags::from_bits_retain(found.stx_mask).contains(StatxFlags::BTIME);
    let born = known.then_some((found.stx_btime.tv_sec, found.stx_btime.tv_nsec));
    Ok((born, found.stx_mnt_id))
}

//! How much a workspace takes.

use crate::dir::{Dir, join};
use crate::error::{Result, Step as _};
use crate::store::Workspace;
use rustix::io::Errno;
use serde::Serialize;
use std::rc::Rc;

/// Space and inodes of the upper directories.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Usage {
    /// Bytes on the disk.
    pub bytes: u64,
    /// Files and directories.
    pub inodes: u64,
    /// Bytes of the saved copies of the last commit.
    pub saved: u64,
}

impl Workspace {
    /// Counts what the workspace takes, while a run is going on, too. A file with several names
    /// counts once for each.
    ///
    /// # Errors
    /// The system refuses to be asked.
    pub fn usage(&self) -> Result<Usage> {
        let mut all = Usage::default();
        for root in &self.about.roots {
            let area = match Dir::open(root.area.as_path()) {
                // A removal was interrupted.
                Err(Errno::NOENT) => continue,
                other => other.step("open", &root.area.0)?,
            };
            let (bytes, inodes) = tree(&area, b"upper").step("count", &root.area.0)?;
            all.bytes += bytes;
            all.inodes += inodes;
            all.saved += tree(&area, b"undo").step("count", &root.area.0)?.0;
        }
        Ok(all)
    }
}

/// The longest path that is walked from one descriptor, in bytes: the kernel takes no longer ones.
const LONGEST: usize = 2048;

/// Bytes and inodes below a directory, itself not counted. What cannot be entered is left out.
pub(crate) fn tree(dir: &Dir, name: &[u8]) -> Result<(u64, u64), Errno> {
    let (mut bytes, mut inodes) = (0, 0);
    let Ok(top) = dir.at(name) else { return Ok((0, 0)) };
    // Directories to come, by a descriptor above them: a program can make more of them beside each
    // other, and deeper ones, than there are descriptors.
    let mut open = vec![(Rc::new(top), Vec::new())];
    while let Some((above, path)) = open.pop() {
        let Ok(dir) = above.at(&path).map(Rc::new) else { continue };
        let Ok(names) = dir.list() else { continue };
        let (above, path) =
            if path.len() < LONGEST { (above, path) } else { (Rc::clone(&dir), Vec::new()) };
        for name in names {
            let Some(meta) = dir.stat(&name)? else { continue };
            inodes += 1;
            bytes += meta.blocks.saturating_mul(512);
            if meta.is_dir() {
                open.push((Rc::clone(&above), join(&path, &name)));
            }
        }
    }
    Ok((bytes, inodes))
}

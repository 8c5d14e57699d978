//! Records what lies below a workspace before its run, and what a commit has changed of that.

use crate::base::{Entry, Snapshot, SnapshotOptions};
use crate::dir::Dir;
use crate::error::{Error, ErrorKind, Result, Step as _};
use crate::store::{Held, Workspace};
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use swathe_record::bytes::Bytes;

/// The longest file of patches that is read, in bytes.
const LONGEST: u64 = 1 << 28;

/// What a commit left at a path.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Patch {
    path: Bytes,
    entry: Option<Entry>,
}

impl Held {
    /// Records what lies below the roots: inode, size and times of every path, so that a commit can
    /// tell what the host has changed meanwhile. To be called before every run. Of a workspace that
    /// was used before, what the upper hides from the program keeps what was recorded then.
    ///
    /// # Errors
    /// The workspace is half committed: what a run wrote now would go to the host unseen when that
    /// commit goes on. A root is gone, or the system refuses a step.
    pub fn snapshot(&self, options: &SnapshotOptions) -> Result<Snapshot> {
        if crate::journal::is_open(&self.dir) {
            return Err(self.half_done());
        }
        let mut all = Snapshot { whole: true, ..Snapshot::default() };
        for number in 0..self.about.roots.len() {
            let sides = self.sides(number)?;
            let old = self.base(number)?;
            let name = format!("base-{number}");
            let temporary = format!("{name}.new");
            let open = |name: &str, flags| {
                let flags = OFlags::RDWR | OFlags::CREATE | flags;
                self.dir.file(name.as_bytes(), flags, 0o600).map(File::from)
            };
            let file = open(&temporary, OFlags::TRUNC).step("make", temporary.as_bytes())?;
            let texts = format!("texts-{number}");
            let keep = if old.is_some() { OFlags::empty() } else { OFlags::TRUNC };
            let mut texts = open(&texts, keep).step("make", texts.as_bytes())?;
            let used = texts.seek(SeekFrom::End(0)).step("write", name.as_bytes())?;
            let left = SnapshotOptions { texts: options.texts.saturating_sub(used), ..*options };
            let files = (&file, &mut texts);
            let seen = crate::base::write(&sides.lower, &sides.upper, old.as_ref(), files, &left)
                .step("record", self.about.roots.get(number).map_or(&[], |r| &r.path.0))?;
            file.sync_all().step("write", name.as_bytes())?;
            rustix::fs::renameat(&self.dir, temporary, &self.dir, name.as_str())
                .step("write", name.as_bytes())?;
            self.dir.unlink(patch_name(number).as_bytes()).step("remove", name.as_bytes())?;
            all.entries += seen.entries;
            all.texts += seen.texts;
            all.whole &= seen.whole;
        }
        Ok(all)
    }
}

/// What lies at a path now.
pub(crate) fn entry(lower: &Dir, path: &[u8]) -> Result<Option<Entry>> {
    let (dir, name) = crate::dir::split(path);
    let Some(dir) = lower.find(dir).step("open", dir)? else { return Ok(None) };
    Ok(dir.stat(name).step("look at", path)?.map(|meta| Entry::of(&meta)))
}

fn patch_name(number: usize) -> String {
    format!("patch-{number}")
}

/// What commits have changed since the snapshot.
pub(crate) fn patches(
    workspace: &Workspace,
    number: usize,
) -> Result<Vec<(Vec<u8>, Option<Entry>)>> {
    let name = patch_name(number);
    let fd = match workspace.dir.file(name.as_bytes(), OFlags::RDONLY, 0) {
        Err(rustix::io::Errno::NOENT) => return Ok(Vec::new()),
        other => other.step("open", name.as_bytes())?,
    };
    let mut text = String::new();
    let damaged =
        |why: String| Error::new(ErrorKind::Damaged, format!("cannot read {name}: {why}"));
    File::from(fd).take(LONGEST).read_to_string(&mut text).map_err(|e| damaged(e.to_string()))?;
    let mut all = Vec::new();
    for line in text.lines() {
        let patch: Patch = serde_json::from_str(line).map_err(|e| damaged(e.to_string()))?;
        all.push((patch.path.0, patch.entry));
    }
    Ok(all)
}

/// Adds patches. Repeating it does no harm: the last one of a path counts.
pub(crate) fn patch(
    workspace: &Workspace,
    number: usize,
    patches: &[(Vec<u8>, Option<Entry>)],
) -> Result<()> {
    if patches.is_empty() {
        return Ok(());
    }
    let name = patch_name(number);
    let mut text = Vec::new();
    for (path, entry) in self::patches(workspace, number)?.iter().chain(patches) {
        let patch = Patch { path: Bytes(path.clone()), entry: *entry };
        text.extend(serde_json::to_vec(&patch).unwrap_or_default());
        text.write_all(b"\n").step("write", name.as_bytes())?;
    }
    crate::about::replace(&workspace.dir, name.as_bytes(), &text).step("write", name.as_bytes())
}

//! Merging what both sides changed.

use super::Texts;
use super::text::is_text;
use crate::base::Found;
use crate::change::Change;
use crate::error::{Result, Step as _};
use crate::store::Workspace;
use rustix::fs::OFlags;
use similar::DiffTag;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};

/// The outcome of a merge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merge {
    /// The text, with marks around what a person has to decide.
    pub content: Vec<u8>,
    /// Whether there are such marks.
    pub conflicts: bool,
    /// Whether the text from before the run was there to compare with. Otherwise every difference is
    /// a conflict.
    pub three_way: bool,
}

/// The text from before the run, where it was kept.
pub(super) fn base(workspace: &Workspace, change: &Change) -> Result<Option<Vec<u8>>> {
    let Some(base) = workspace.base(change.root)? else { return Ok(None) };
    let Found::Entry(entry) = base.find(&change.path.0) else { return Ok(None) };
    let Some(at) = entry.text else { return Ok(None) };
    let name = format!("texts-{}", change.root);
    let Ok(fd) = workspace.dir.file(name.as_bytes(), OFlags::RDONLY, 0) else { return Ok(None) };
    let mut file = File::from(fd);
    file.seek(SeekFrom::Start(at)).step("read", name.as_bytes())?;
    let mut text = Vec::new();
    file.take(entry.size.min(super::text::LARGEST))
        .read_to_end(&mut text)
        .step("read", name.as_bytes())?;
    Ok((text.len() as u64 == entry.size && is_text(&text)).then_some(text))
}

pub(super) fn merge(texts: &Texts, base: Option<&[u8]>) -> Merge {
    let Some(base) = base else { return two_way(texts) };
    let (content, conflicts) = match diffy::merge_bytes(base, &texts.old, &texts.new) {
        Ok(merged) => (merged, false),
        Err(marked) => (marked, true),
    };
    Merge { content, conflicts, three_way: true }
}

/// Marks every difference.
fn two_way(texts: &Texts) -> Merge {
    let lines = |text| <[u8]>::split_inclusive(text, |b: &u8| *b == b'\n').collect::<Vec<_>>();
    let (old, new) = (lines(&texts.old), lines(&texts.new));
    let (mut content, mut conflicts) = (Vec::new(), false);
    for op in texts.ops() {
        let was = old.get(op.old_range()).unwrap_or_default();
        let is = new.get(op.new_range()).unwrap_or_default();
        if op.tag() == DiffTag::Equal {
            content.extend(was.concat());
            continue;
        }
        conflicts = true;
        for (mark, lines) in [("<<<<<<< host\n", was), ("=======\n", is)] {
            content.extend(mark.as_bytes());
            content.extend(lines.concat());
            if content.last() != Some(&b'\n') {
                content.push(b'\n');
            }
        }
        content.extend(b">>>>>>> workspace\n");
    }
    Merge { content, conflicts, three_way: false }
}

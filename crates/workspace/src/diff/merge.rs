//! Merging what both sides changed.

use super::Texts;
use super::text::{is_text, lines};
use crate::base::Found;
use crate::change::Change;
use crate::error::{Result, Step as _};
use crate::store::Workspace;
use rustix::fs::OFlags;
use similar::DiffTag;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::ops::Range;

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
    /// Permission bits: the host's where only the host changed them, else the program's. None where
    /// both did, and differently, or where it is not known how they were.
    pub mode: Option<u32>,
}

/// The permission bits of the merge.
pub(crate) fn mode(workspace: &Workspace, change: &Change) -> Result<Option<u32>> {
    let (Some(old), Some(new)) = (change.old, change.new) else { return Ok(None) };
    if old.mode == new.mode {
        return Ok(Some(new.mode));
    }
    let Some(base) = workspace.base(change.root)? else { return Ok(None) };
    let Found::Entry(was) = base.find(&change.path.0) else { return Ok(None) };
    Ok(match was.mode {
        mode if mode == old.mode => Some(new.mode),
        // What has other names in the workspace would get it there, too.
        mode if mode == new.mode && new.nlink == 1 => Some(old.mode),
        _ => None,
    })
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

/// A run of lines that a side changed.
#[derive(Debug, Clone)]
struct Edit {
    base: Range<usize>,
    side: Range<usize>,
}

/// One side beside the text from before.
struct Side<'a> {
    lines: Vec<&'a [u8]>,
    edits: Vec<Edit>,
}

impl<'a> Side<'a> {
    fn new(base: &'a [u8], text: &'a [u8]) -> Self {
        let edits = super::text::ops(base, text)
            .iter()
            .filter(|op| op.tag() != DiffTag::Equal)
            .map(|op| Edit { base: op.old_range(), side: op.new_range() })
            .collect();
        Self { lines: lines(text), edits }
    }

    /// The edits that begin in or touch a run of lines of the text from before.
    fn touching(&self, from: usize, run: &Range<usize>) -> usize {
        let rest = self.edits.get(from..).unwrap_or_default();
        rest.iter().take_while(|edit| edit.base.start <= run.end).count()
    }

    /// This side's version of such a run.
    fn version(&self, edits: &[Edit], base: &[&[u8]], run: &Range<usize>) -> Vec<u8> {
        let (mut out, mut at) = (Vec::new(), run.start);
        for edit in edits {
            out.extend(base.get(at..edit.base.start).unwrap_or_default().concat());
            out.extend(self.lines.get(edit.side.clone()).unwrap_or_default().concat());
            at = edit.base.end;
        }
        out.extend(base.get(at..run.end).unwrap_or_default().concat());
        out
    }
}

pub(super) fn merge(texts: &Texts, base: Option<&[u8]>, mode: Option<u32>) -> Merge {
    let Some(base) = base else { return two_way(texts, mode) };
    let (host, program) = (Side::new(base, &texts.old), Side::new(base, &texts.new));
    let base = lines(base);
    let (mut content, mut conflicts) = (Vec::new(), false);
    let (mut at, mut next) = (0, [0, 0]);
    loop {
        let first = |side: &Side<'_>, next: usize| side.edits.get(next).map(|e| e.base.start);
        let starts = [first(&host, next[0]), first(&program, next[1])];
        let Some(start) = starts.into_iter().flatten().min() else { break };
        let mut run = start..start;
        let mut counts = [0, 0];
        // Edits that touch go together, until none of either side touches what was gathered.
        loop {
            let more = [host.touching(next[0], &run), program.touching(next[1], &run)];
            if more == counts {
                break;
            }
            counts = more;
            for (side, (next, count)) in [&host, &program].into_iter().zip(next.iter().zip(counts))
            {
                let edits = side.edits.get(*next..*next + count).unwrap_or_default();
                run.end = edits.iter().map(|edit| edit.base.end).fold(run.end, usize::max);
            }
        }
        content.extend(base.get(at..run.start).unwrap_or_default().concat());
        let ours = host.edits.get(next[0]..next[0] + counts[0]).unwrap_or_default();
        let theirs = program.edits.get(next[1]..next[1] + counts[1]).unwrap_or_default();
        let ours_text = host.version(ours, &base, &run);
        let theirs_text = program.version(theirs, &base, &run);
        if theirs.is_empty() || ours_text == theirs_text {
            content.extend(ours_text);
        } else if ours.is_empty() {
            content.extend(theirs_text);
        } else {
            conflicts = true;
            let before = base.get(run.clone()).unwrap_or_default().concat();
            mark(&mut content, "<<<<<<< host\n", &ours_text);
            mark(&mut content, "||||||| before the run\n", &before);
            mark(&mut content, "=======\n", &theirs_text);
            content.extend(b">>>>>>> workspace\n");
        }
        next = [next[0] + counts[0], next[1] + counts[1]];
        at = run.end;
    }
    content.extend(base.get(at..).unwrap_or_default().concat());
    Merge { content, conflicts, three_way: true, mode }
}

/// Writes one side of a conflict, with a line feed at its end.
fn mark(content: &mut Vec<u8>, mark: &str, text: &[u8]) {
    content.extend(mark.as_bytes());
    content.extend(text);
    if content.last() != Some(&b'\n') {
        content.push(b'\n');
    }
}

/// Marks every difference.
fn two_way(texts: &Texts, mode: Option<u32>) -> Merge {
    let (old, new) = (lines(&texts.old), lines(&texts.new));
    let (mut content, mut conflicts) = (Vec::new(), false);
    for op in texts.ops() {
        let was = old.get(op.old_range()).unwrap_or_default().concat();
        if op.tag() == DiffTag::Equal {
            content.extend(was);
            continue;
        }
        conflicts = true;
        mark(&mut content, "<<<<<<< host\n", &was);
        mark(&mut content, "=======\n", &new.get(op.new_range()).unwrap_or_default().concat());
        content.extend(b">>>>>>> workspace\n");
    }
    Merge { content, conflicts, three_way: false, mode }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(0..4_u8, 0..12)
            .prop_map(|lines| lines.iter().flat_map(|n| [b'a' + n, b'\n']).collect())
    }

    proptest! {
        /// What only one side changed is taken, what both changed alike is taken once.
        #[test]
        fn one_side(base in text(), side in text()) {
            for (old, new) in [(&base, &side), (&side, &base), (&side, &side)] {
                let texts = Texts { old: old.clone(), new: new.clone() };
                let merged = merge(&texts, Some(&base), None);
                prop_assert!(!merged.conflicts);
                prop_assert_eq!(&merged.content, &side);
            }
        }

        /// Edits at both ends of a long text do not clash.
        #[test]
        fn both_ends(first in text(), last in text()) {
            let middle: Vec<u8> = (0..50).flat_map(|n| format!("middle {n}\n").into_bytes()).collect();
            let join = |a: &[u8], b: &[u8]| [a, &middle, b].concat();
            let texts = Texts { old: join(&first, b""), new: join(b"", &last) };
            let merged = merge(&texts, Some(&middle), None);
            prop_assert!(!merged.conflicts);
            prop_assert_eq!(merged.content, join(&first, &last));
        }

        /// All and no hunks give either side; what is chosen and what is not make up the whole.
        #[test]
        fn hunks(old in text(), new in text()) {
            let texts = Texts { old: old.clone(), new: new.clone() };
            let all = texts.hunks(3);
            prop_assert_eq!(texts.with(&all).expect("known hunks"), new.clone());
            prop_assert_eq!(texts.with(&[]).expect("known hunks"), old.clone());
            prop_assert_eq!(texts.without(&[]).expect("known hunks"), new);
            prop_assert_eq!(texts.without(&all).expect("known hunks"), old);
        }

        /// Any three texts are merged without a panic.
        #[test]
        fn any(base: Vec<u8>, old: Vec<u8>, new: Vec<u8>) {
            let _ = merge(&Texts { old, new }, Some(&base), None);
        }
    }
}

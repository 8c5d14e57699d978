//! Two texts, line by line.

use super::{Stat, content, no_text};
use crate::change::{Change, ChangeKind};
use crate::error::{Error, ErrorKind, Result};
use crate::meta::FileKind;
use crate::scan::Sides;
use serde::Serialize;
use similar::{Algorithm, DiffOp, DiffTag, capture_diff_slices_deadline, group_diff_ops};
use std::io::{self, Write};
use std::time::{Duration, Instant};
use swathe_record::bytes::Bytes;

/// The longest text that is compared, in bytes.
pub(super) const LARGEST: u64 = 8 << 20;

/// Lines around the hunks that can be chosen.
pub(super) const CONTEXT: usize = 3;

/// After so long a comparison need not be the shortest any more.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a line of a hunk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sign {
    /// On both sides.
    Same,
    /// Only on the host's.
    Removed,
    /// Only on the program's.
    Added,
}

/// A line of a hunk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Where it is.
    pub sign: Sign,
    /// Its bytes, with the line feed unless it is the last line and has none.
    pub text: Bytes,
}

/// Lines that differ, with those around.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hunk {
    /// Index of its first line on the host's side, from 0.
    pub old_start: usize,
    /// Lines on the host's side.
    pub old_len: usize,
    /// Index of its first line on the program's side, from 0.
    pub new_start: usize,
    /// Lines on the program's side.
    pub new_len: usize,
    /// Its lines.
    pub lines: Vec<Line>,
}

/// Both sides of a text.
#[derive(Debug)]
pub(crate) struct Texts {
    pub old: Vec<u8>,
    pub new: Vec<u8>,
}

pub(super) fn is_text(bytes: &[u8]) -> bool {
    !bytes.contains(&0)
}

pub(super) fn lines(text: &[u8]) -> Vec<&[u8]> {
    text.split_inclusive(|b| *b == b'\n').collect()
}

/// What turns one text into another, line by line.
pub(super) fn ops(old: &[u8], new: &[u8]) -> Vec<DiffOp> {
    let deadline = Instant::now().checked_add(PATIENCE);
    capture_diff_slices_deadline(Algorithm::Myers, &lines(old), &lines(new), deadline)
}

impl Texts {
    /// Reads both sides of a modified file.
    pub fn read(sides: &[Sides], change: &Change) -> Result<Self> {
        let sides = sides.get(change.root).ok_or_else(|| no_text(&change.path))?;
        let (Some(old), Some(new), ChangeKind::Modified) = (change.old, change.new, change.kind)
        else {
            return Err(no_text(&change.path));
        };
        if (old.kind, new.kind) != (FileKind::File, FileKind::File) {
            return Err(no_text(&change.path));
        }
        let old = content(&sides.lower, &change.path.0, old)?.text;
        let new = content(&sides.upper, &change.path.0, new)?.text;
        match (old, new) {
            (Some(old), Some(new)) => Ok(Self { old, new }),
            _ => Err(no_text(&change.path)),
        }
    }

    pub(super) fn ops(&self) -> Vec<DiffOp> {
        ops(&self.old, &self.new)
    }

    pub fn stat(&self) -> Stat {
        let mut stat = Stat::default();
        for op in self.ops().iter().filter(|op| op.tag() != DiffTag::Equal) {
            stat.added += op.new_range().len();
            stat.removed += op.old_range().len();
        }
        stat
    }

    pub fn hunks(&self, context: usize) -> Vec<Hunk> {
        let (old, new) = (lines(&self.old), lines(&self.new));
        group_diff_ops(self.ops(), context).iter().map(|group| hunk(group, &old, &new)).collect()
    }

    /// The host's text with these hunks.
    pub fn with(&self, chosen: &[Hunk]) -> Result<Vec<u8>> {
        compose(&self.old, chosen, (Sign::Removed, Sign::Added), |hunk| hunk.old_start)
    }

    /// The program's text without these hunks.
    pub fn without(&self, chosen: &[Hunk]) -> Result<Vec<u8>> {
        compose(&self.new, chosen, (Sign::Added, Sign::Removed), |hunk| hunk.new_start)
    }
}

/// A text in which the lines of one sign are replaced by those of the other. The texts are not
/// compared again: that may find other hunks than those that were looked at.
fn compose(
    text: &[u8],
    chosen: &[Hunk],
    (gone, new): (Sign, Sign),
    start: impl Fn(&Hunk) -> usize,
) -> Result<Vec<u8>> {
    let is = lines(text);
    let mut hunks: Vec<&Hunk> = chosen.iter().collect();
    hunks.sort_by_key(|hunk| start(hunk));
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    for hunk in hunks {
        let other = || {
            let text = format!("line {} is not as the hunk has it", at.max(start(hunk)) + 1);
            Error::new(ErrorKind::Unusable, text).fix("look at the file again, then repeat")
        };
        out.extend(is.get(at..start(hunk)).ok_or_else(other)?.concat());
        let mut here = start(hunk);
        for line in &hunk.lines {
            if line.sign != new {
                if is.get(here) != Some(&line.text.0.as_slice()) {
                    return Err(other());
                }
                here += 1;
            }
            if line.sign != gone {
                out.extend(&line.text.0);
            }
        }
        at = here;
    }
    out.extend(is.get(at..).unwrap_or_default().concat());
    Ok(out)
}

fn hunk(group: &[DiffOp], old: &[&[u8]], new: &[&[u8]]) -> Hunk {
    let mut lines = Vec::new();
    let mut add = |sign, range: &[&[u8]]| {
        lines.extend(range.iter().map(|text| Line { sign, text: Bytes(text.to_vec()) }));
    };
    for op in group {
        let (was, is) = (op.old_range(), op.new_range());
        if op.tag() == DiffTag::Equal {
            add(Sign::Same, old.get(was).unwrap_or_default());
        } else {
            add(Sign::Removed, old.get(was).unwrap_or_default());
            add(Sign::Added, new.get(is).unwrap_or_default());
        }
    }
    let first = group.first();
    let count = |sign| lines.iter().filter(|line| line.sign != sign).count();
    Hunk {
        old_start: first.map_or(0, |op| op.old_range().start),
        new_start: first.map_or(0, |op| op.new_range().start),
        old_len: count(Sign::Added),
        new_len: count(Sign::Removed),
        lines,
    }
}

impl Hunk {
    /// Writes it as in a unified diff.
    ///
    /// # Errors
    /// `out` fails.
    pub fn write(&self, visible: bool, out: &mut dyn Write) -> io::Result<()> {
        let range = |start: usize, len: usize| match len {
            0 => format!("{start},0"),
            1 => format!("{}", start + 1),
            _ => format!("{},{len}", start + 1),
        };
        let (old, new) = (range(self.old_start, self.old_len), range(self.new_start, self.new_len));
        writeln!(out, "@@ -{old} +{new} @@")?;
        for line in &self.lines {
            out.write_all(match line.sign {
                Sign::Same => b" ",
                Sign::Removed => b"-",
                Sign::Added => b"+",
            })?;
            let (text, ended) = match line.text.0.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (line.text.0.as_slice(), false),
            };
            if visible {
                out.write_all(shown(text).as_bytes())?;
            } else {
                out.write_all(text)?;
            }
            out.write_all(if ended { b"\n" } else { b"\n\\ No newline at end of file\n" })?;
        }
        Ok(())
    }
}

/// A line in which nothing steers a terminal. Tabs and backslashes stay.
fn shown(text: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for (index, plain) in text.split(|b| *b == b'\t' || *b == b'\\').enumerate() {
        if index > 0 {
            let at = plain.as_ptr() as usize - text.as_ptr() as usize;
            out.push(text.get(at - 1).map_or('\t', |b| char::from(*b)));
        }
        out.push_str(&Bytes(plain.to_vec()).to_string());
    }
    out
}

//! The journal of a change: what is to be done, written down before it is begun.
//!
//! A line for each step, a line that ends the plan, then marks of progress. Steps can be repeated:
//! each looks at what is there and does what is missing, so that after an interruption all are done
//! again in order.

use crate::base::Entry;
use crate::dir::Dir;
use crate::error::{Error, ErrorKind, Result, Step as _};
use crate::meta::Id;
use crate::xattr::Named;
use rustix::fs::OFlags;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, BufWriter, Read as _};
use swathe_record::bytes::Bytes;

/// The journal while it is worked on.
pub(crate) const OPEN: &[u8] = b"journal";

/// The journal of the last commit, by which it is undone.
pub(crate) const LAST: &[u8] = b"last";

/// The longest journal that is read, in bytes.
const LONGEST: u64 = 1 << 31;

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Task {
    Commit,
    Discard,
    /// Everything in the upper directories goes, unseen.
    DiscardAll,
}

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    pub version: u32,
    pub task: Task,
    /// Names the temporary files and the directory of saved copies.
    pub id: String,
    /// Seconds since 1970.
    pub time: u64,
    /// Whether old versions are kept afterwards.
    pub saved: bool,
}

/// Where a new version comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum From {
    /// The upper's own, by rename.
    Move,
    /// A copy of the upper's.
    Copy,
    /// A copy with these paths below it only, and the largest trees among them.
    Part { paths: Vec<Bytes>, trees: Vec<Bytes> },
    /// Content that was put together beforehand. `keep`: the upper's version stays there.
    Staged { keep: bool },
}

/// A directory's own data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DirData {
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub mtime: (i64, u32),
    /// None: they are left as they are.
    pub xattrs: Option<Vec<(Bytes, Bytes)>>,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Do {
    /// Puts a new version where `old` is, or nothing.
    Put { from: From, new: Id, old: Option<Id> },
    /// Deletes what is there.
    Delete { old: Id },
    /// A directory that both sides have: open for changes first, as it shall be at the end.
    Directory { old: DirData, new: DirData, upper: Option<DirData> },
    /// Of a discard: takes a name out of the upper.
    Drop,
    /// Of a discard: puts staged content in place of the upper's.
    Rewrite,
}

/// A step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Op {
    pub n: usize,
    pub root: usize,
    pub path: Bytes,
    pub act: Do,
    /// Modes of the old and the new version where they are directories: moving one can need a mode
    /// for a moment that lets its owner write.
    #[serde(default)]
    pub modes: (Option<u32>, Option<u32>),
    /// Whether the host had changed what the step is about since it was recorded, and what was
    /// recorded of its path: that it did is a conflict again when the step is taken back.
    #[serde(default)]
    pub conflict: bool,
    #[serde(default)]
    pub base: Option<Entry>,
}

impl Op {
    pub fn new(n: usize, root: usize, path: Bytes, act: Do) -> Self {
        Self { n, root, path, act, modes: (None, None), conflict: false, base: None }
    }
}

/// A line after the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Note {
    /// The plan is whole, with so many steps.
    Planned(usize),
    /// A temporary file was made for a step.
    Made { n: usize, id: Id },
    /// All were made: from here on the host is changed.
    Ready,
    /// Old versions are not kept, and from here on they go: there is no way back.
    Dropping,
    /// It is to be taken back.
    Undo,
}

/// What a journal says.
#[derive(Debug, Clone)]
pub(crate) struct Journal {
    pub head: Head,
    pub ops: Vec<Op>,
    pub made: HashMap<usize, Id>,
    pub ready: bool,
    pub dropping: bool,
    pub undo: bool,
}

/// Whether a change was begun and not ended.
pub(crate) fn is_open(dir: &Dir) -> bool {
    !matches!(dir.stat(OPEN), Ok(None))
}

impl Journal {
    pub fn new(task: Task, saved: bool, ops: Vec<Op>) -> Result<Self> {
        let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let head = Head {
            version: crate::about::VERSION,
            task,
            id: random()?,
            time: time.map_or(0, |d| d.as_secs()),
            saved,
        };
        Ok(Self::with(head, ops))
    }

    fn with(head: Head, ops: Vec<Op>) -> Self {
        let made = HashMap::new();
        Self { head, ops, made, ready: false, dropping: false, undo: false }
    }

    /// Writes the plan. From then on it has to be ended.
    pub fn begin(&self, dir: &Dir) -> Result<()> {
        let write = || -> std::io::Result<()> {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC;
            let mut out = BufWriter::new(File::from(dir.file(b"journal.new", flags, 0o600)?));
            line(&mut out, &self.head)?;
            for op in &self.ops {
                line(&mut out, op)?;
            }
            line(&mut out, &Note::Planned(self.ops.len()))?;
            out.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?;
            rustix::fs::renameat(dir, "journal.new", dir, OPEN)?;
            Ok(dir.sync()?)
        };
        write().step("write", OPEN)
    }

    /// Adds notes, on the disk when it returns.
    pub fn note(&self, dir: &Dir, name: &[u8], notes: &[Note]) -> Result<()> {
        let write = || -> std::io::Result<()> {
            let flags = OFlags::WRONLY | OFlags::APPEND;
            let mut out = BufWriter::new(File::from(dir.file(name, flags, 0)?));
            for note in notes {
                line(&mut out, note)?;
            }
            out.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()
        };
        write().step("write", name)
    }

    /// Reads a journal; none when there is none.
    pub fn read(dir: &Dir, name: &[u8]) -> Result<Option<Self>> {
        let fd = match dir.file(name, OFlags::RDONLY, 0) {
            Err(Errno::NOENT) => return Ok(None),
            other => other.step("open", name)?,
        };
        let damaged = |why: &str| {
            let name = Bytes(name.to_vec());
            Error::new(ErrorKind::Damaged, format!("cannot read {name}: {why}"))
        };
        let mut lines = BufReader::new(File::from(fd).take(LONGEST)).split(b'\n');
        let first = lines.next().and_then(|line| line.ok()).unwrap_or_default();
        let head: Head = serde_json::from_slice(&first).map_err(|e| damaged(&e.to_string()))?;
        if head.version != crate::about::VERSION || !is_hex(&head.id) {
            return Err(damaged("its version is unknown"));
        }
        let mut found = Self::with(head, Vec::new());
        let mut planned = false;
        for text in lines {
            let text = text.map_err(|e| damaged(&e.to_string()))?;
            if !planned && let Ok(op) = serde_json::from_slice::<Op>(&text) {
                check(&op, found.ops.len()).map_err(damaged)?;
                found.ops.push(op);
                continue;
            }
            match serde_json::from_slice(&text) {
                Ok(Note::Planned(count)) if count == found.ops.len() => planned = true,
                Ok(Note::Made { n, id }) => {
                    found.made.insert(n, id);
                }
                Ok(Note::Ready) => found.ready = true,
                Ok(Note::Dropping) => found.dropping = true,
                Ok(Note::Undo) => found.undo = true,
                // The last line can be cut off where the power failed: it was not on the disk.
                Err(_) if planned => break,
                _ => return Err(damaged("the plan is not whole")),
            }
        }
        if planned { Ok(Some(found)) } else { Err(damaged("the plan is not whole")) }
    }

    /// The name of a step's temporary file beside its destination.
    pub fn temporary(&self, n: usize) -> Vec<u8> {
        format!(".swathe-commit-{}-{n}", self.head.id).into_bytes()
    }

    /// Whether a file is a step's new version.
    pub fn is_new(&self, op: &Op, id: &Id) -> bool {
        match &op.act {
            Do::Put { from: From::Move, new, .. } => (new.ino, new.kind) == (id.ino, id.kind),
            Do::Put { .. } => {
                self.made.get(&op.n).is_some_and(|made| (made.ino, made.kind) == (id.ino, id.kind))
            }
            _ => false,
        }
    }

    /// Whether it is a step's new version and was not written to since.
    pub fn is_untouched(&self, op: &Op, id: &Id) -> bool {
        match &op.act {
            Do::Put { from: From::Move, new, .. } => new == id,
            Do::Put { .. } => self.made.get(&op.n) == Some(id),
            _ => false,
        }
    }
}

/// Paths of a journal lead nowhere but below their root; the calls see to it, this to the rest.
fn check(op: &Op, expected: usize) -> std::result::Result<(), &'static str> {
    if op.n != expected {
        return Err("its steps are not in order");
    }
    let odd = |part: &[u8]| matches!(part, b"" | b"." | b"..") || part.contains(&0);
    if !op.path.0.is_empty() && op.path.0.split(|b| *b == b'/').any(odd) {
        return Err("a path of it leads out of its root");
    }
    Ok(())
}

fn line(out: &mut impl std::io::Write, value: &impl Serialize) -> std::io::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")
}

fn is_hex(id: &str) -> bool {
    id.len() == 16 && id.bytes().all(|b| b.is_ascii_hexdigit())
}

pub(crate) fn random() -> Result<String> {
    let mut bytes = [0_u8; 8];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .step("get random bytes for", OPEN)?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}

impl DirData {
    pub fn of(dir: &Dir, xattrs: bool) -> std::result::Result<Self, Errno> {
        let meta = dir.meta()?;
        let named = |(name, value): Named| (Bytes(name), Bytes(value));
        let xattrs = if xattrs {
            Some(crate::xattr::kept(dir, b"")?.into_iter().map(named).collect())
        } else {
            None
        };
        Ok(Self { mode: meta.mode, uid: meta.uid, gid: meta.gid, mtime: meta.mtime, xattrs })
    }
}

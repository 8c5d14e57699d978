//! Contents beside each other: unified text, single hunks, merges.

mod merge;
mod text;

pub use merge::Merge;
pub(crate) use text::Texts;
pub use text::{Hunk, Line, Sign};

use crate::change::{Change, ChangeKind};
use crate::dir::{Dir, split};
use crate::error::{Error, ErrorKind, Result, Step as _};
use crate::meta::{FileKind, Meta};
use crate::scan::Sides;
use crate::store::Workspace;
use rustix::fs::OFlags;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, Read as _, Write};
use swathe_record::bytes::Bytes;

/// The longest content that is hashed, in bytes. A file that is mostly hole can be said to have any
/// size.
const LARGEST_HASHED: u64 = 1 << 30;

/// How a change is written out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiffOptions {
    /// Lines around each hunk.
    pub context: usize,
    /// Whether control characters of the contents, and characters that turn text around, are written
    /// as `\xNN`. Names always are.
    pub visible: bool,
}

impl Default for DiffOptions {
    fn default() -> Self {
        Self { context: 3, visible: true }
    }
}

/// How large a change is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Stat {
    /// Lines that are new.
    pub added: usize,
    /// Lines that are gone.
    pub removed: usize,
    /// Whether it is no text, or too large to be compared as such.
    pub binary: bool,
}

/// One side of a change.
struct Content {
    meta: Meta,
    /// None: no text.
    text: Option<Vec<u8>>,
    hash: Option<String>,
}

impl Workspace {
    /// Writes one change of a change set as a unified diff: what happened to the path, then what
    /// differs in the content. Of what is no text, or longer than 8 MiB, size and hash are written, of what is longer
    /// than 1 GiB only the size.
    ///
    /// # Errors
    /// A side cannot be read any more, or `out` fails.
    pub fn diff(
        &self,
        change: &Change,
        options: &DiffOptions,
        out: &mut dyn Write,
    ) -> Result<Stat> {
        let sides = self.sides(change.root)?;
        let (old, new) = contents(&sides, change)?;
        let path = change.path.to_string();
        let mut write = || -> io::Result<Stat> {
            head(change, &path, &mut *out)?;
            body(&path, (old.as_ref(), new.as_ref()), options, &mut *out)
        };
        write().step("write the difference of", &change.path.0)
    }

    /// How many lines a change adds and removes.
    ///
    /// # Errors
    /// A side cannot be read any more.
    pub fn stat(&self, change: &Change) -> Result<Stat> {
        if !has_content(change) {
            return Ok(Stat::default());
        }
        let sides = self.sides(change.root)?;
        let (old, new) = contents(&sides, change)?;
        let side = |content: &Option<Content>| match content {
            None => Some(Vec::new()),
            Some(content) => content.text.clone(),
        };
        Ok(match (side(&old), side(&new)) {
            (Some(old), Some(new)) => Texts { old, new }.stat(),
            _ => Stat { binary: true, ..Stat::default() },
        })
    }

    /// The hunks of a modified text file, in order. Their indices are those of
    /// [`crate::Take::Hunks`].
    ///
    /// # Errors
    /// It is no modified text file, or cannot be read any more.
    pub fn hunks(&self, change: &Change) -> Result<Vec<Hunk>> {
        let mut all = Vec::new();
        for number in 0..self.about.roots.len() {
            all.push(self.sides(number)?);
        }
        Ok(Texts::read(&all, change)?.hunks(text::CONTEXT))
    }

    /// Merges a text file that both the host and the program changed. With the text that was kept
    /// when the run began it is a three-way merge; without it, every difference is a conflict.
    ///
    /// # Errors
    /// It is no text file on both sides, or cannot be read any more.
    pub fn merge(&self, change: &Change) -> Result<Merge> {
        let mut all = Vec::new();
        for number in 0..self.about.roots.len() {
            all.push(self.sides(number)?);
        }
        let texts = Texts::read(&all, change)?;
        let base = merge::base(self, change)?;
        Ok(merge::merge(&texts, base.as_deref()))
    }
}

fn has_content(change: &Change) -> bool {
    let file = |meta: &Option<Meta>| {
        meta.is_some_and(|meta| matches!(meta.kind, FileKind::File | FileKind::Symlink))
    };
    let differs = change.kind != ChangeKind::Modified || change.parts.content;
    differs && (file(&change.old) || file(&change.new))
}

fn contents(sides: &Sides, change: &Change) -> Result<(Option<Content>, Option<Content>)> {
    if !has_content(change) {
        return Ok((None, None));
    }
    let read = |dir: &Dir, meta: Option<Meta>| -> Result<Option<Content>> {
        match meta {
            Some(meta) if matches!(meta.kind, FileKind::File | FileKind::Symlink) => {
                content(dir, &change.path.0, meta).map(Some)
            }
            _ => Ok(None),
        }
    };
    Ok((read(&sides.lower, change.old)?, read(&sides.upper, change.new)?))
}

/// Reads one side, and hashes it where it is no text.
fn content(root: &Dir, path: &[u8], meta: Meta) -> Result<Content> {
    let (dir, name) = split(path);
    let dir = root.at(dir).step("open", dir)?;
    if meta.kind == FileKind::Symlink {
        let text = dir.link(name).step("read", path)?;
        return Ok(Content { meta, text: Some(text), hash: None });
    }
    let file = match dir.file(name, OFlags::RDONLY, 0) {
        Ok(file) => File::from(file),
        Err(rustix::io::Errno::ACCESS) => return Ok(Content { meta, text: None, hash: None }),
        Err(errno) => return Err(Error::system("open", path, errno)),
    };
    if meta.size > LARGEST_HASHED {
        return Ok(Content { meta, text: None, hash: None });
    }
    let mut bytes = Vec::new();
    let mut rest = file.take(u64::MAX);
    let small = meta.size <= text::LARGEST;
    if small {
        rest.set_limit(text::LARGEST + 1);
        rest.read_to_end(&mut bytes).step("read", path)?;
        let fits = bytes.len() as u64 <= text::LARGEST;
        if fits && text::is_text(&bytes) {
            return Ok(Content { meta, text: Some(bytes), hash: None });
        }
        rest.set_limit(LARGEST_HASHED);
    }
    let mut hash = Sha256::new();
    hash.update(&bytes);
    let mut buffer = vec![0; 128 * 1024];
    loop {
        match rest.read(&mut buffer).step("read", path)? {
            0 => break,
            len => hash.update(buffer.get(..len).unwrap_or_default()),
        }
    }
    let hash: String = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
    Ok(Content { meta, text: None, hash: Some(hash) })
}

/// What happened to the path.
fn head(change: &Change, path: &str, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "diff a/{path} b/{path}")?;
    let shown = |meta: &Meta| format!("{} {:04o}", kind_name(meta.kind), meta.mode);
    match (change.kind, &change.old, &change.new) {
        (ChangeKind::Added, _, Some(new)) => writeln!(out, "new {}", shown(new))?,
        (ChangeKind::Deleted, Some(old), _) => writeln!(out, "deleted {}", shown(old))?,
        (ChangeKind::Replaced, Some(old), Some(new)) => {
            writeln!(out, "{} replaced by {}", shown(old), shown(new))?;
        }
        (ChangeKind::Modified, Some(old), Some(new)) => {
            if change.parts.mode {
                writeln!(out, "old mode {:04o}\nnew mode {:04o}", old.mode, new.mode)?;
            }
            if change.parts.owner {
                let (a, b) = ((old.uid, old.gid), (new.uid, new.gid));
                writeln!(out, "old owner {}:{}\nnew owner {}:{}", a.0, a.1, b.0, b.1)?;
            }
            if change.parts.xattrs {
                writeln!(out, "attributes differ")?;
            }
            if change.parts.links {
                writeln!(out, "one file with another change, under several names")?;
            }
            if change.parts.is_touch() {
                writeln!(out, "only the time of last change differs")?;
            }
        }
        _ => {}
    }
    if let Some(from) = &change.renamed_from {
        writeln!(out, "same content as the deleted {from}")?;
    }
    if let Some(to) = &change.renamed_to {
        writeln!(out, "same content as the new {to}")?;
    }
    Ok(())
}

fn kind_name(kind: FileKind) -> &'static str {
    match kind {
        FileKind::File => "file",
        FileKind::Directory => "directory",
        FileKind::Symlink => "symlink",
        FileKind::Fifo => "named pipe",
        FileKind::Socket => "socket",
        FileKind::Device => "device",
    }
}

fn body(
    path: &str,
    (old, new): (Option<&Content>, Option<&Content>),
    options: &DiffOptions,
    out: &mut dyn Write,
) -> io::Result<Stat> {
    if old.is_none() && new.is_none() {
        return Ok(Stat::default());
    }
    let text = |content: Option<&Content>| match content {
        None => Some(Vec::new()),
        Some(content) => content.text.clone(),
    };
    let (Some(a), Some(b)) = (text(old), text(new)) else {
        let shown = |content: &Content| match (&content.text, &content.hash) {
            (Some(text), _) => format!("{} bytes of text", text.len()),
            (None, Some(hash)) => format!("{} bytes, sha256 {hash}", content.meta.size),
            (None, None) => format!("{} bytes, not read", content.meta.size),
        };
        for (sign, content) in [("old", old), ("new", new)] {
            if let Some(content) = content {
                writeln!(out, "{sign} content: {}", shown(content))?;
            }
        }
        return Ok(Stat { binary: true, ..Stat::default() });
    };
    let texts = Texts { old: a, new: b };
    let hunks = texts.hunks(options.context);
    if !hunks.is_empty() {
        let old_name = if old.is_some() { format!("a/{path}") } else { "/dev/null".to_owned() };
        let new_name = if new.is_some() { format!("b/{path}") } else { "/dev/null".to_owned() };
        writeln!(out, "--- {old_name}\n+++ {new_name}")?;
    }
    for hunk in &hunks {
        hunk.write(options.visible, out)?;
    }
    Ok(texts.stat())
}

/// A change whose two sides cannot be compared as text.
fn no_text(path: &Bytes) -> Error {
    Error::new(ErrorKind::Unusable, format!("{path} is not a text file on both sides"))
        .fix("take the file as a whole")
}

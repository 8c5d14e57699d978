//! Contents beside each other: unified text, single hunks, merges.

mod merge;
mod patch;
mod text;

pub use merge::Merge;
pub(crate) use merge::mode as merged_mode;
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
use std::io::{Read as _, Write};
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
    /// Writes one change of a change set as git's patches do: what such a patch cannot say in lines
    /// before it, then its header, then what differs in the content. Of what is no text, or longer
    /// than 8 MiB, size and hash are written, of what is longer than 1 GiB only the size.
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
        patch::write(change, None, (old.as_ref(), new.as_ref()), options, out)
            .step("write the difference of", &change.path.0)
    }

    /// As [`Self::diff`], of both halves of a rename as one: a deletion and the change that is
    /// [`Change::renamed_from`] its path.
    ///
    /// # Errors
    /// `out` fails.
    pub fn diff_renamed(
        &self,
        from: &Change,
        change: &Change,
        options: &DiffOptions,
        out: &mut dyn Write,
    ) -> Result<Stat> {
        patch::write(change, Some(from), (None, None), options, out)
            .step("write the difference of", &change.path.0)
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

    /// The hunks of a modified text file, in order, for [`crate::Take::Hunks`].
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
        Ok(merge::merge(&texts, base.as_deref(), merge::mode(self, change)?))
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

/// A change whose two sides cannot be compared as text.
fn no_text(path: &Bytes) -> Error {
    Error::new(ErrorKind::Unusable, format!("{path} is not a text file on both sides"))
        .fix("take the file as a whole")
}

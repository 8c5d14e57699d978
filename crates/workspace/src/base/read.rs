//! Reads a snapshot. The file is the user's own, but it is read as if it were not.

use super::{END, Entry, MAGIC};
use crate::meta::FileKind;
use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{self, Read as _};

/// The largest snapshot that is read, in bytes.
const LARGEST: u64 = 1 << 30;

/// What a snapshot says of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// It was like this.
    Entry(Entry),
    /// Nothing was there.
    Absent,
    /// It does not say.
    Unknown,
}

/// A directory that was asked for last, and its entries.
type Decoded = (Vec<u8>, HashMap<Vec<u8>, Entry>);

/// A snapshot in memory.
#[derive(Debug)]
pub(crate) struct Base {
    bytes: Vec<u8>,
    /// Where the entries of a directory begin.
    blocks: HashMap<Vec<u8>, usize>,
    /// What a commit has changed since.
    patches: HashMap<Vec<u8>, Option<Entry>>,
    whole: bool,
    /// When the run began.
    pub start: (i64, u32),
    /// The root itself.
    pub root: Entry,
    last: RefCell<Decoded>,
    /// What was found out of directories without a block.
    missing: RefCell<HashMap<Vec<u8>, Found>>,
}

impl Base {
    pub fn read(
        mut file: impl io::Read,
        patches: Vec<(Vec<u8>, Option<Entry>)>,
    ) -> io::Result<Self> {
        let mut bytes = Vec::new();
        file.by_ref().take(LARGEST).read_to_end(&mut bytes)?;
        let bad = || io::Error::new(io::ErrorKind::InvalidData, "the snapshot is damaged");
        let mut cursor = Cursor { bytes: &bytes, at: 0 };
        if cursor.take(MAGIC.len()) != Some(MAGIC) {
            return Err(bad());
        }
        let whole = cursor.array().map(u8::from_le_bytes).ok_or_else(bad)? == 1;
        let start = cursor.time().ok_or_else(bad)?;
        let (_, root) = cursor.entry().ok_or_else(bad)?;
        let (blocks, total) = cursor.blocks().ok_or_else(bad)?;
        if cursor.u64() != Some(total) {
            return Err(bad());
        }
        let patches = patches.into_iter().collect();
        let (last, missing) = (RefCell::default(), RefCell::default());
        Ok(Self { bytes, blocks, patches, whole, start, root, last, missing })
    }

    /// What was at a path.
    pub fn find(&self, path: &[u8]) -> Found {
        if let Some(patch) = self.patches.get(path) {
            return patch.map_or(Found::Absent, Found::Entry);
        }
        if path.is_empty() {
            return Found::Entry(self.root);
        }
        if !self.whole {
            return Found::Unknown;
        }
        let (dir, name) = crate::dir::split(path);
        let mut last = self.last.borrow_mut();
        if last.0 != dir || last.1.is_empty() {
            *last = (dir.to_vec(), self.block(dir).into_iter().collect());
        }
        match last.1.get(name) {
            Some(entry) => Found::Entry(*entry),
            None if self.blocks.contains_key(dir) => Found::Absent,
            None => self.above(dir),
        }
    }

    /// Of a directory without a block: it was not there, or it could not be read.
    fn above(&self, dir: &[u8]) -> Found {
        let mut asked = Vec::new();
        let mut at = dir;
        let answer = loop {
            if let Some(known) = self.missing.borrow().get(at) {
                break *known;
            }
            if at.is_empty() {
                break Found::Unknown;
            }
            asked.push(at);
            let (above, name) = crate::dir::split(at);
            if self.blocks.contains_key(above) {
                let was = self.block(above).into_iter().find(|(n, _)| n == name);
                break match was {
                    Some((_, entry)) if entry.kind == FileKind::Directory => Found::Unknown,
                    _ => Found::Absent,
                };
            }
            at = above;
        };
        let mut missing = self.missing.borrow_mut();
        missing.extend(asked.into_iter().map(|dir| (dir.to_vec(), answer)));
        answer
    }

    /// What was in a directory.
    pub fn children(&self, dir: &[u8]) -> Vec<(Vec<u8>, Entry)> {
        let mut all = self.block(dir);
        for (path, patch) in &self.patches {
            let (above, name) = crate::dir::split(path);
            if above == dir && !path.is_empty() {
                all.retain(|(n, _)| n != name);
                all.extend(patch.map(|entry| (name.to_vec(), entry)));
            }
        }
        all
    }

    fn block(&self, dir: &[u8]) -> Vec<(Vec<u8>, Entry)> {
        let Some(&at) = self.blocks.get(dir) else { return Vec::new() };
        let mut cursor = Cursor { bytes: &self.bytes, at };
        let count = cursor.u32().unwrap_or(0);
        (0..count).map_while(|_| cursor.entry()).map(|(n, e)| (n.to_vec(), e)).collect()
    }
}

struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(len)?;
        let found = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(found)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn time(&mut self) -> Option<(i64, u32)> {
        Some((self.array().map(i64::from_le_bytes)?, self.u32()?))
    }

    fn entry(&mut self) -> Option<(&'a [u8], Entry)> {
        let len = self.array().map(u16::from_le_bytes)?;
        let name = self.take(len.into())?;
        let [kind, flags] = self.array()?;
        let kind = match kind {
            0 => FileKind::File,
            1 => FileKind::Directory,
            2 => FileKind::Symlink,
            3 => FileKind::Fifo,
            4 => FileKind::Socket,
            5 => FileKind::Device,
            _ => return None,
        };
        let (mode, uid, gid) = (self.u32()?, self.u32()?, self.u32()?);
        let (ino, size) = (self.u64()?, self.u64()?);
        let (mtime, ctime) = (self.time()?, self.time()?);
        let hash = if flags & 1 != 0 { Some(self.array()?) } else { None };
        let text = if flags & 2 != 0 { Some(self.u64()?) } else { None };
        Some((name, Entry { kind, mode, uid, gid, ino, size, mtime, ctime, hash, text }))
    }

    /// Where the directories' entries begin, and how many entries there are.
    fn blocks(&mut self) -> Option<(HashMap<Vec<u8>, usize>, u64)> {
        let (mut blocks, mut total) = (HashMap::new(), 0);
        loop {
            let len = self.u32()?;
            if len == END {
                return Some((blocks, total));
            }
            let path = self.take(usize::try_from(len).ok()?)?;
            blocks.insert(path.to_vec(), self.at);
            let count = self.u32()?;
            for _ in 0..count {
                self.entry()?;
            }
            total += u64::from(count);
        }
    }
}

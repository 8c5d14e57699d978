//! Writes a snapshot.

use super::{END, Entry, Found, MAGIC, Snapshot, SnapshotOptions};
use crate::base::Base;
use crate::dir::{Dir, join};
use crate::meta::{FileKind, Meta};
use crate::xattr::Xattrs;
use rustix::fs::OFlags;
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Files up to this size are hashed when they were changed a moment before the snapshot: a change
/// within the same tick of the clock would not show in their times.
const HASHED: u64 = 64 * 1024;

/// How many seconds before the snapshot such a moment begins.
const MOMENT: i64 = 2;

/// Text files up to this size are kept for merges.
const LARGEST_TEXT: u64 = 256 * 1024;

/// The deepest directory that is recorded.
const DEEPEST: usize = 512;

/// Writes the snapshot of one root. `upper` and `old` are those of a workspace that is used again:
/// what the upper hides keeps what the old one says of it.
pub(crate) fn write(
    lower: &Dir,
    upper: &Dir,
    old: Option<&Base>,
    files: (&File, &mut File),
    options: &SnapshotOptions,
) -> io::Result<Snapshot> {
    let start = now();
    let mut walk = Walk {
        out: BufWriter::with_capacity(1 << 18, files.0),
        texts: files.1,
        old,
        start,
        seen: Snapshot { whole: true, ..Snapshot::default() },
        budget: options.texts,
        most: options.most,
    };
    walk.head(lower, 1)?;
    match walk.tree(lower, upper) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::QuotaExceeded => {
            // Too many: begin anew, with the time only.
            walk.out.seek(SeekFrom::Start(0))?;
            walk.seen = Snapshot::default();
            walk.head(lower, 0)?;
        }
        Err(error) => return Err(error),
    }
    walk.out.write_all(&END.to_le_bytes())?;
    walk.out.write_all(&walk.seen.entries.to_le_bytes())?;
    walk.out.flush()?;
    let end = walk.out.stream_position()?;
    files.0.set_len(end)?;
    Ok(walk.seen)
}

/// The time, less what the clock of file systems can be behind.
fn now() -> (i64, u32) {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let since = since.saturating_sub(Duration::from_millis(20));
    (i64::try_from(since.as_secs()).unwrap_or(i64::MAX), since.subsec_nanos())
}

struct Walk<'a> {
    out: BufWriter<&'a File>,
    texts: &'a mut File,
    old: Option<&'a Base>,
    start: (i64, u32),
    seen: Snapshot,
    budget: u64,
    most: u64,
}

/// A directory to come.
struct Next {
    path: Vec<u8>,
    depth: usize,
    /// Whether the upper has a directory there that lets this one shine through.
    shared: bool,
    /// Whether only what the old snapshot says counts.
    hidden: bool,
}

impl Walk<'_> {
    fn head(&mut self, lower: &Dir, whole: u8) -> io::Result<()> {
        self.out.write_all(MAGIC)?;
        self.out.write_all(&[whole])?;
        time(&mut self.out, self.start)?;
        let root = Entry::of(&lower.meta()?);
        self.entry(b"", &root)
    }

    fn tree(&mut self, lower: &Dir, upper: &Dir) -> io::Result<()> {
        let mut queue = VecDeque::new();
        queue.push_back(Next { path: Vec::new(), depth: 0, shared: true, hidden: false });
        while let Some(next) = queue.pop_front() {
            if next.depth <= DEEPEST {
                self.directory(lower, upper, &next, &mut queue)?;
            }
        }
        Ok(())
    }

    fn directory(
        &mut self,
        lower: &Dir,
        upper: &Dir,
        next: &Next,
        queue: &mut VecDeque<Next>,
    ) -> io::Result<()> {
        let here = if next.shared { upper.find(&next.path) } else { Ok(None) };
        let seen = |dir: &Dir| dir.readable().map(drop);
        let here = match here.and_then(|dir| dir.as_ref().map_or(Ok(()), seen).and(Ok(dir))) {
            Ok(here) => here,
            // Only the top: of others that cannot be looked into nothing is shared.
            Err(Errno::ACCESS) => None,
            Err(errno) => return Err(errno.into()),
        };
        let all = next.hidden || self.old.is_some() && next.path.is_empty() && here.is_none();
        let mut entries = if all {
            Vec::new()
        } else {
            match listed(lower, &next.path) {
                Ok(entries) => entries,
                // What its user cannot read, the program cannot either.
                Err(Errno::ACCESS | Errno::NOENT | Errno::XDEV | Errno::LOOP | Errno::NOTDIR) => {
                    return Ok(());
                }
                Err(errno) => return Err(errno.into()),
            }
        };
        let mut hidden = Vec::new();
        if let (Some(old), Some(here)) = (self.old, &here) {
            hidden = shadowed(here)?;
            entries.retain(|(name, _)| !hidden.contains(name));
            for name in &hidden {
                if let Found::Entry(entry) = old.find(&join(&next.path, name)) {
                    entries.push((name.clone(), entry));
                }
            }
        } else if let (Some(old), true) = (self.old, all) {
            entries = old.children(&next.path);
        }
        self.out.write_all(&u32::try_from(next.path.len()).unwrap_or(END - 1).to_le_bytes())?;
        self.out.write_all(&next.path)?;
        self.out.write_all(&u32::try_from(entries.len()).unwrap_or(0).to_le_bytes())?;
        let dir = if all { None } else { lower.find(&next.path)? };
        for (name, mut entry) in entries {
            self.seen.entries += 1;
            if self.seen.entries > self.most {
                return Err(io::ErrorKind::QuotaExceeded.into());
            }
            let kept = all || hidden.contains(&name);
            if let (false, Some(dir)) = (kept, &dir) {
                self.content(dir, &name, &mut entry)?;
            }
            self.entry(&name, &entry)?;
            if entry.kind == FileKind::Directory {
                let path = join(&next.path, &name);
                let shared = !kept
                    && here.as_ref().is_some_and(|h| {
                        h.stat(&name).is_ok_and(|m| m.is_some_and(|m| m.is_dir()))
                    });
                queue.push_back(Next { path, depth: next.depth + 1, shared, hidden: kept });
            }
        }
        Ok(())
    }

    /// Reads a file whose times do not tell enough, or whose text is to be kept.
    fn content(&mut self, dir: &Dir, name: &[u8], entry: &mut Entry) -> io::Result<()> {
        let recent = entry.ctime.0 >= self.start.0 - MOMENT && entry.size <= HASHED;
        let text = self.budget >= entry.size && entry.size <= LARGEST_TEXT && self.budget > 0;
        if entry.kind != FileKind::File || !(recent || text) {
            return Ok(());
        }
        let Ok(fd) = dir.file(name, OFlags::RDONLY, 0) else { return Ok(()) };
        let most = entry.size.saturating_add(1);
        // Bounded above: by what is hashed, or kept as a text.
        let mut content = Vec::with_capacity(usize::try_from(most).unwrap_or(0));
        if File::from(fd).take(most).read_to_end(&mut content).is_err()
            || content.len() as u64 != entry.size
        {
            return Ok(());
        }
        if recent {
            entry.hash = Some(Sha256::digest(&content).into());
        }
        if text && !content.contains(&0) {
            entry.text = Some(self.texts.stream_position()?);
            self.texts.write_all(&content)?;
            self.budget -= entry.size;
            self.seen.texts += 1;
        }
        Ok(())
    }

    fn entry(&mut self, name: &[u8], entry: &Entry) -> io::Result<()> {
        let out = &mut self.out;
        out.write_all(&u16::try_from(name.len()).unwrap_or(0).to_le_bytes())?;
        out.write_all(name)?;
        let flags = u8::from(entry.hash.is_some()) | u8::from(entry.text.is_some()) << 1;
        out.write_all(&[entry.kind as u8, flags])?;
        for number in [entry.mode, entry.uid, entry.gid] {
            out.write_all(&number.to_le_bytes())?;
        }
        out.write_all(&entry.ino.to_le_bytes())?;
        out.write_all(&entry.size.to_le_bytes())?;
        time(out, entry.mtime)?;
        time(out, entry.ctime)?;
        if let Some(hash) = entry.hash {
            out.write_all(&hash)?;
        }
        if let Some(at) = entry.text {
            out.write_all(&at.to_le_bytes())?;
        }
        Ok(())
    }
}

fn time(out: &mut impl io::Write, time: (i64, u32)) -> io::Result<()> {
    out.write_all(&time.0.to_le_bytes())?;
    out.write_all(&time.1.to_le_bytes())
}

fn listed(lower: &Dir, path: &[u8]) -> Result<Vec<(Vec<u8>, Entry)>, Errno> {
    let dir = lower.at(path)?;
    let mut entries = Vec::new();
    for name in dir.list()? {
        if let Some(meta) = dir.stat(&name)? {
            entries.push((name, Entry::of(&meta)));
        }
    }
    Ok(entries)
}

/// The names that an upper directory hides from the program: all but directories that let what is
/// below shine through.
fn shadowed(here: &Dir) -> Result<Vec<Vec<u8>>, Errno> {
    let mut hidden = Vec::new();
    for name in here.list()? {
        let dir = here.stat(&name)?.is_some_and(|meta: Meta| meta.is_dir());
        let shines = dir && {
            let overlay = Xattrs::read(here, &name)?.overlay(here, &name)?;
            // Of one that cannot be looked into nobody knows.
            !overlay.opaque
                && !overlay.unknown
                && here.find(&name)?.map_or(Ok(false), |dir| is_seen(&dir))?
        };
        if !shines {
            hidden.push(name);
        }
    }
    Ok(hidden)
}

/// Whether its owner can look into a directory.
fn is_seen(dir: &Dir) -> Result<bool, Errno> {
    match dir.readable() {
        Ok(_) => Ok(true),
        Err(Errno::ACCESS) => Ok(false),
        Err(errno) => Err(errno),
    }
}

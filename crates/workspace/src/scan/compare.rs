//! Comparing the two sides, and the host with what it was.

use crate::base::{Base, Entry, Found};
use crate::change::{Conflict, Parts};
use crate::dir::Dir;
use crate::meta::{FileKind, Meta};
use crate::xattr::Xattrs;
use rustix::fs::OFlags;
use rustix::io::Errno;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::Read as _;

/// The most bytes that are read at once.
const BUFFER: usize = 64 * 1024;

/// One side of a path.
#[derive(Clone, Copy)]
pub(super) struct Side<'a> {
    pub dir: &'a Dir,
    pub meta: Meta,
}

/// What differs between two files of one kind. `attributes`: those of the old and the new one, none
/// where their user may not read them: they differ then.
pub(super) fn parts(
    old: Side<'_>,
    new: Side<'_>,
    name: &[u8],
    attributes: Option<(Xattrs, Xattrs)>,
) -> Result<Parts, Errno> {
    let (was, is) = (old.meta, new.meta);
    let dir = is.is_dir();
    let content = match is.kind {
        FileKind::File => was.size != is.size || !same_content(old.dir, new.dir, name, is.size)?,
        FileKind::Symlink => old.dir.link(name)? != new.dir.link(name)?,
        FileKind::Device => was.rdev != is.rdev,
        FileKind::Directory | FileKind::Fifo | FileKind::Socket => false,
    };
    let xattrs = match attributes {
        Some((was, is)) => was.values(old.dir, name)? != is.values(new.dir, name)?,
        None => true,
    };
    Ok(Parts {
        content,
        mode: is.kind != FileKind::Symlink && was.mode != is.mode,
        owner: (was.uid, was.gid) != (is.uid, is.gid),
        xattrs,
        mtime: !dir && was.mtime != is.mtime,
        links: false,
    })
}

/// Whether two regular files of one size have the same bytes. What its user may not read differs.
fn same_content(a: &Dir, b: &Dir, name: &[u8], size: u64) -> Result<bool, Errno> {
    match same_files((a, name), (b, name), size) {
        Err(Errno::ACCESS) => Ok(false),
        other => other,
    }
}

pub(super) fn same_files(
    (a, a_name): (&Dir, &[u8]),
    (b, b_name): (&Dir, &[u8]),
    size: u64,
) -> Result<bool, Errno> {
    let mut a = File::from(a.file(a_name, OFlags::RDONLY, 0)?);
    let mut b = File::from(b.file(b_name, OFlags::RDONLY, 0)?);
    // Small files take one read each.
    let buffer = usize::try_from(size).unwrap_or(usize::MAX).clamp(1, BUFFER);
    let (mut left, mut right) = (vec![0; buffer], vec![0; buffer]);
    let mut rest = size;
    while rest > 0 {
        let (here, there) = (fill(&mut a, &mut left)?, fill(&mut b, &mut right)?);
        if left.get(..here) != right.get(..there) {
            return Ok(false);
        }
        if here < buffer {
            break;
        }
        rest = rest.saturating_sub(here as u64);
    }
    Ok(true)
}

/// Reads until the buffer is full or the file ends.
fn fill(file: &mut File, buffer: &mut [u8]) -> Result<usize, Errno> {
    let mut done = 0;
    while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(more) => done += more,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return Err(Errno::IO),
        }
    }
    Ok(done)
}

/// How the host's side of a path differs from what it was. `metadata`: of a directory, its own
/// permissions count, too.
pub(super) fn conflict(
    base: Option<&Base>,
    path: &[u8],
    low: Option<Side<'_>>,
    name: &[u8],
    metadata: bool,
) -> Result<Option<Conflict>, Errno> {
    let Some(base) = base else { return Ok(None) };
    Ok(match (base.find(path), low) {
        (Found::Entry(_), None) => Some(Conflict::Deleted),
        (Found::Absent, Some(_)) => Some(Conflict::Created),
        (Found::Absent | Found::Unknown, None) => None,
        (Found::Unknown, Some(low)) => {
            (!low.meta.is_dir() && low.meta.ctime >= base.start).then_some(Conflict::Modified)
        }
        (Found::Entry(was), Some(low)) => return changed(&was, low, name, metadata),
    })
}

fn changed(
    was: &Entry,
    low: Side<'_>,
    name: &[u8],
    metadata: bool,
) -> Result<Option<Conflict>, Errno> {
    let is = Entry::of(&low.meta);
    if is.kind != was.kind {
        return Ok(Some(Conflict::Replaced));
    }
    let rights = (is.mode, is.uid, is.gid) == (was.mode, was.uid, was.gid);
    if is.kind == FileKind::Directory {
        if is.ino != was.ino {
            return Ok(Some(Conflict::Replaced));
        }
        return Ok((metadata && !rights).then_some(Conflict::Modified));
    }
    let times = (is.ino, is.size, is.mtime, is.ctime) == (was.ino, was.size, was.mtime, was.ctime);
    let same = match was.hash {
        Some(hash) => rights && is.size == was.size && hash_of(low.dir, name)? == Some(hash),
        None => times && rights,
    };
    Ok((!same).then_some(Conflict::Modified))
}

/// The hash of a regular file's content; none when its user may not read it.
fn hash_of(dir: &Dir, name: &[u8]) -> Result<Option<[u8; 32]>, Errno> {
    let mut file = match dir.file(name, OFlags::RDONLY, 0) {
        Err(Errno::ACCESS) => return Ok(None),
        other => File::from(other?),
    };
    let mut hash = Sha256::new();
    let mut buffer = vec![0; BUFFER];
    loop {
        match fill(&mut file, &mut buffer)? {
            0 => return Ok(Some(hash.finalize().into())),
            len => hash.update(buffer.get(..len).unwrap_or_default()),
        }
    }
}

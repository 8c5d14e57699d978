//! Copies and cleans files that a program left.

use crate::dir::{Dir, changed_at, join, split};
use crate::meta::{FileKind, Id, Meta};
use crate::xattr;
use rustix::fs::{FileType, Mode, OFlags, SeekFrom};
use rustix::io::Errno;
use std::collections::{HashMap, HashSet};
use std::os::fd::OwnedFd;

/// Files up to this size are read and written at once.
const SMALL: usize = 64 * 1024;

/// Which files below a directory are copied.
pub(crate) enum Filter<'a> {
    /// All.
    All,
    /// These paths, relative to the copied one; directories above them are meant, too.
    Only(&'a HashSet<Vec<u8>>),
}

impl Filter<'_> {
    fn takes(&self, path: &[u8]) -> bool {
        match self {
            Self::All => true,
            Self::Only(paths) => paths.contains(path),
        }
    }
}

/// Copies trees of one root; names of one file become names of one copy.
pub(crate) struct Copier {
    /// Whether set-user-ID bits and attributes that give rights go along: a saved copy of the
    /// host's is exact, what a program made is not.
    pub exact: bool,
    /// Whether the file system shares blocks between files, until it says that it does not.
    reflink: bool,
    /// Where the copies lie, and below it the first copy of each file with several names.
    root: Dir,
    links: HashMap<(u64, u64), Vec<u8>>,
    buffer: Vec<u8>,
}

impl Copier {
    /// All copies go below `root`.
    pub fn new(exact: bool, root: Dir) -> Self {
        Self { exact, reflink: true, root, links: HashMap::new(), buffer: vec![0; SMALL] }
    }

    /// Copies a file or tree to a path below the root that must not be there. `to`: its directory.
    /// What the copy is.
    pub fn tree(
        &mut self,
        (from, name): (&Dir, &[u8]),
        to: &Dir,
        path: &[u8],
        filter: &Filter<'_>,
    ) -> Result<Id, Errno> {
        let meta = from.stat(name)?.ok_or(Errno::NOENT)?;
        self.entry((from, name, &meta), (to, split(path).1), path, path.len(), filter)
    }

    /// Copies what is no directory to a name that must not be there, as a file of its own although
    /// it may have several names. `meta`: what it was a moment before. What the copy is.
    pub fn single(
        &mut self,
        (from, name, meta): (&Dir, &[u8], &Meta),
        to: (&Dir, &[u8]),
    ) -> Result<Id, Errno> {
        let alone = Meta { nlink: 1, ..*meta };
        self.entry((from, name, &alone), to, name, 0, &Filter::All)
    }

    fn entry(
        &mut self,
        (from, name, meta): (&Dir, &[u8], &Meta),
        (to, new): (&Dir, &[u8]),
        path: &[u8],
        top: usize,
        filter: &Filter<'_>,
    ) -> Result<Id, Errno> {
        if meta.nlink > 1 && !meta.is_dir() {
            if let Some(first) = self.links.get(&(meta.dev, meta.ino)) {
                let (dir, first) = split(first);
                let flags = rustix::fs::AtFlags::empty();
                rustix::fs::linkat(self.root.at(dir)?, first, to, new, flags)?;
                return to.stat(new)?.map(|made| made.id()).ok_or(Errno::NOENT);
            }
            self.links.insert((meta.dev, meta.ino), path.to_vec());
        }
        match meta.kind {
            FileKind::File => return self.file((from, name), (to, new), meta),
            FileKind::Directory => {
                to.mkdir(new, 0o700)?;
                let (here, there) = (from.at(name)?, to.at(new)?);
                for child in here.list()? {
                    let path = join(path, &child);
                    if filter.takes(path.get(top + 1..).unwrap_or_default()) {
                        let meta = here.stat(&child)?.ok_or(Errno::NOENT)?;
                        let child = child.as_slice();
                        self.entry((&here, child, &meta), (&there, child), &path, top, filter)?;
                    }
                }
            }
            FileKind::Symlink => rustix::fs::symlinkat(from.link(name)?, to, new)?,
            FileKind::Fifo => rustix::fs::mknodat(to, new, FileType::Fifo, Mode::RUSR, 0)?,
            FileKind::Socket => rustix::fs::mknodat(to, new, FileType::Socket, Mode::RUSR, 0)?,
            FileKind::Device if self.exact => {
                // Only root has such a file to save.
                rustix::fs::mknodat(to, new, FileType::CharacterDevice, Mode::RUSR, meta.rdev)?;
            }
            FileKind::Device => return Err(Errno::PERM),
        }
        self.finish((from, name), (to, new), meta)
    }

    /// Gives a copy that is no regular file its owner, attributes, mode and time.
    fn finish(
        &self,
        (from, name): (&Dir, &[u8]),
        (to, new): (&Dir, &[u8]),
        meta: &Meta,
    ) -> Result<Id, Errno> {
        let made = to.stat(new)?.ok_or(Errno::NOENT)?;
        if (made.uid, made.gid) != (meta.uid, meta.gid) {
            may(to.chown(new, meta.uid, meta.gid))?;
        }
        xattr::assign(to, new, &xattr::kept(from, name)?)?;
        if meta.kind != FileKind::Symlink {
            to.chmod(new, if self.exact { meta.mode } else { meta.safe_mode() })?;
        }
        to.touch(new, meta.mtime)?;
        to.stat(new)?.map(|made| made.id()).ok_or(Errno::NOENT)
    }

    fn file(
        &mut self,
        (from, name): (&Dir, &[u8]),
        (to, new): (&Dir, &[u8]),
        meta: &Meta,
    ) -> Result<Id, Errno> {
        let source = open(from, name, meta)?;
        let target = to.file(new, OFlags::RDWR | OFlags::CREATE | OFlags::EXCL, 0o600)?;
        self.content(&source, &target, meta)?;
        let made = rustix::fs::fstat(&target)?;
        if (made.st_uid, made.st_gid) != (meta.uid, meta.gid) {
            let owner = rustix::fs::Uid::from_raw(meta.uid);
            let group = rustix::fs::Gid::from_raw(meta.gid);
            may(rustix::fs::fchown(&target, Some(owner), Some(group)))?;
        }
        // Also without any: the directory can have given the copy an access list.
        xattr::copy(&source, &target)?;
        let mode = if self.exact { meta.mode } else { meta.safe_mode() };
        rustix::fs::fchmod(&target, Mode::from_raw_mode(mode))?;
        rustix::fs::futimens(&target, &changed_at(meta.mtime))?;
        rustix::fs::fstat(&target).map(|made| Meta::of(&made).id())
    }

    fn content(&mut self, from: &OwnedFd, to: &OwnedFd, meta: &Meta) -> Result<(), Errno> {
        let len = usize::try_from(meta.size).unwrap_or(usize::MAX);
        if len <= SMALL && meta.blocks.saturating_mul(512) >= meta.size {
            // What the kernel says of its size is what it has: nobody writes to it any more.
            return self.bytes(from, to, meta.size);
        }
        if self.reflink {
            match rustix::fs::ioctl_ficlone(to, from) {
                Ok(()) => return Ok(()),
                Err(Errno::OPNOTSUPP | Errno::XDEV | Errno::INVAL | Errno::NOTTY) => {
                    self.reflink = false;
                }
                Err(errno) => return Err(errno),
            }
        }
        self.segments(from, to, meta.size)?;
        rustix::fs::ftruncate(to, meta.size)
    }

    /// Copies what is no hole.
    fn segments(&mut self, from: &OwnedFd, to: &OwnedFd, size: u64) -> Result<(), Errno> {
        let mut at = 0;
        while at < size {
            let begin = match rustix::fs::seek(from, SeekFrom::Data(at)) {
                Ok(begin) => begin,
                Err(Errno::NXIO) => return Ok(()),
                Err(Errno::INVAL) => at,
                Err(errno) => return Err(errno),
            };
            let end = rustix::fs::seek(from, SeekFrom::Hole(begin)).unwrap_or(size).min(size);
            self.range(from, to, begin, end)?;
            at = end.max(begin + 1);
        }
        Ok(())
    }

    fn range(&mut self, from: &OwnedFd, to: &OwnedFd, begin: u64, end: u64) -> Result<(), Errno> {
        let (mut here, mut there) = (begin, begin);
        while here < end {
            let most = usize::try_from(end - here).unwrap_or(usize::MAX).min(1 << 30);
            let copied =
                rustix::fs::copy_file_range(from, Some(&mut here), to, Some(&mut there), most);
            match copied {
                Ok(0) => return Ok(()),
                Ok(_) | Err(Errno::INTR) => {}
                Err(Errno::XDEV | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
                    rustix::fs::seek(from, SeekFrom::Start(here))?;
                    rustix::fs::seek(to, SeekFrom::Start(here))?;
                    return self.bytes(from, to, end - here);
                }
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }

    fn bytes(&mut self, from: &OwnedFd, to: &OwnedFd, mut left: u64) -> Result<(), Errno> {
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(self.buffer.len());
            let Some(buffer) = self.buffer.get_mut(..most) else { return Err(Errno::INVAL) };
            let len = match rustix::io::read(from, &mut *buffer) {
                Ok(0) => return Ok(()),
                Err(Errno::INTR) => continue,
                other => other?,
            };
            let mut rest = buffer.get(..len).unwrap_or_default();
            while !rest.is_empty() {
                match rustix::io::write(to, rest) {
                    Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                    Err(Errno::INTR) => {}
                    Err(errno) => return Err(errno),
                }
            }
            left = left.saturating_sub(len as u64);
        }
        Ok(())
    }
}

/// Opens a file for reading, also one that its owner may not read.
fn open(from: &Dir, name: &[u8], meta: &Meta) -> Result<OwnedFd, Errno> {
    match from.file(name, OFlags::RDONLY, 0) {
        Err(Errno::ACCESS) => {
            from.chmod(name, meta.mode | 0o400)?;
            let opened = from.file(name, OFlags::RDONLY, 0);
            from.chmod(name, meta.mode)?;
            opened
        }
        other => other,
    }
}

/// An owner that its user may not give stays the user.
fn may(result: Result<(), Errno>) -> Result<(), Errno> {
    match result {
        Err(Errno::PERM | Errno::INVAL) => Ok(()),
        other => other,
    }
}

/// Takes from a tree of the upper what must not come out of it: set-user-ID bits, and attributes of
/// the overlay and of rights. Repeating it does no harm.
pub(crate) fn clean(dir: &Dir, name: &[u8]) -> Result<(), Errno> {
    let meta = dir.stat(name)?.ok_or(Errno::NOENT)?;
    for attribute in xattr::Xattrs::read(dir, name)?.stripped {
        xattr::remove(dir, name, &attribute)?;
    }
    if meta.kind != FileKind::Symlink && meta.mode != meta.safe_mode() {
        dir.chmod(name, meta.safe_mode())?;
    }
    if meta.is_dir() {
        let here = dir.at(name)?;
        for child in here.list()? {
            clean(&here, &child)?;
        }
    }
    Ok(())
}

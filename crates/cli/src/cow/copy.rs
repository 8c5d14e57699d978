//! A copy of a directory in the place of an overlay, for where the kernel lays none.
//!
//! Before the run the host's directory is copied, as the workspace changes it; after the run what is
//! new in the copy goes to the upper directory, in the form that an overlay would have left, and the
//! copy is removed. So a workspace is the same whichever way it was filled. What was not touched is
//! known by its inode's time of last change, which no program can set.

use crate::out::{Failure, shown};
use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, SeekFrom, Timespec, Timestamps, XattrFlags, ioctl_ficlone,
};
use rustix::io::Errno;
use std::collections::{BTreeMap, HashMap};
use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// The deepest directory that is copied.
pub(super) const DEEPEST: usize = 200;

/// Marks of an overlay on directories and files of an upper directory.
pub(super) const OPAQUE: &str = "user.overlay.opaque";

/// The longest list of attributes, and the largest of them, as the kernel has it.
const MOST_XATTRS: usize = 64 << 10;

/// What tells an untouched file of the copy.
pub(super) type Stamp = (u64, i64, i64);

/// What was copied: by its path in the copy, what it is, and whether it comes from the upper.
#[derive(Debug, Default)]
pub struct Copied {
    pub(super) entries: HashMap<PathBuf, Entry>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub stamp: Stamp,
    pub directory: bool,
    /// It is as the upper has it, not as the host has it.
    pub own: bool,
    /// The host has something there.
    pub below: bool,
}

pub(super) fn stamp(meta: &fs::Metadata) -> Stamp {
    (meta.ino(), meta.ctime(), meta.ctime_nsec())
}

fn failed(what: &str, path: &Path, error: &io::Error) -> Failure {
    let path = shown(&path.to_string_lossy());
    let failure = Failure::new(format!("cannot {what} {path}: {error}"));
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::NOSPC | Errno::DQUOT) => {
            failure.hint("a copy takes as much space as the directory: free some, then repeat")
        }
        _ => failure,
    }
}

/// Copies `host` as changed by `upper` to `tree`, which must not exist. What is mounted below the
/// host's directory is left out.
///
/// # Errors
/// Something cannot be read or copied.
pub fn make(host: &Path, upper: &Path, tree: &Path) -> Result<Copied, Failure> {
    let mut copier = Copier { host, upper, tree, names: HashMap::new(), copied: Copied::default() };
    if fs::symlink_metadata(tree).is_ok() {
        let at = shown(&tree.to_string_lossy());
        return Err(Failure::new(format!(
            "a run was killed before the changes of its copy were kept: {at}"
        ))
        .hint("take from there what is needed, then remove it: rm -r"));
    }
    let made = copier.directory(Path::new(""), true, true, 0).and_then(|()| copier.stamps());
    if let Err(failure) = made {
        drop(remove(tree));
        return Err(failure);
    }
    Ok(copier.copied)
}

/// Removes a copy, whatever its program made of it; that it is not there is no error.
///
/// # Errors
/// It cannot be removed.
pub fn remove(tree: &Path) -> Result<(), Failure> {
    open_up(tree, 0);
    match fs::remove_dir_all(tree) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(failed("remove", tree, &e)),
        _ => Ok(()),
    }
}

/// Gives directories that cannot be entered back to their owner.
fn open_up(directory: &Path, depth: usize) {
    let Ok(meta) = fs::symlink_metadata(directory) else { return };
    if !meta.is_dir() || depth > DEEPEST * 2 {
        return;
    }
    if meta.mode() & 0o700 != 0o700 {
        let mode = fs::Permissions::from_mode(meta.mode() | 0o700);
        drop(fs::set_permissions(directory, mode));
    }
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        open_up(&entry.path(), depth + 1);
    }
}

struct Copier<'p> {
    host: &'p Path,
    upper: &'p Path,
    tree: &'p Path,
    /// Files with several names: where the first one was copied to.
    names: HashMap<(u64, u64), PathBuf>,
    copied: Copied,
}

impl Copier<'_> {
    /// Copies one directory: `host` and `upper` say on which sides it is.
    fn directory(
        &mut self,
        path: &Path,
        host: bool,
        upper: bool,
        depth: usize,
    ) -> Result<(), Failure> {
        let (below, above) = (self.host.join(path), self.upper.join(path));
        let to = self.tree.join(path);
        if depth > DEEPEST {
            let error = io::Error::other("it is too deep to be copied");
            return Err(failed("copy", &below, &error));
        }
        let model = if upper { &above } else { &below };
        fs::create_dir(&to).map_err(|e| failed("make", &to, &e))?;
        // The host's names, and over them those of the upper.
        let mut names: HashMap<std::ffi::OsString, bool> = HashMap::new();
        if host {
            for name in list(&below).map_err(|e| failed("read", &below, &e))? {
                names.insert(name, false);
            }
        }
        if upper {
            for name in list(&above).map_err(|e| failed("read", &above, &e))? {
                names.insert(name, true);
            }
        }
        for (name, own) in names {
            self.entry(&path.join(name), host, own, depth)?;
        }
        attributes(model, &to).map_err(|e| failed("copy", model, &e))
    }

    fn entry(&mut self, path: &Path, host: bool, own: bool, depth: usize) -> Result<(), Failure> {
        let (below, above) = (self.host.join(path), self.upper.join(path));
        let from = if own { &above } else { &below };
        let meta = match fs::symlink_metadata(from) {
            // It went while it was copied.
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            meta => meta.map_err(|e| failed("look at", from, &e))?,
        };
        let under = if host { fs::symlink_metadata(&below).ok() } else { None };
        let to = self.tree.join(path);
        let kind = FileType::from_raw_mode(meta.mode());
        match kind {
            FileType::Directory => {
                let opaque = own && rustix::fs::lgetxattr(from, OPAQUE, &mut [0_u8; 1][..]).is_ok();
                let mounted = !own && device(&below) != device(self.host);
                let merged =
                    !opaque && !mounted && under.as_ref().is_some_and(fs::Metadata::is_dir);
                self.directory(path, merged, own, depth + 1)?;
            }
            FileType::RegularFile => self.file(from, &meta, &to)?,
            FileType::Symlink => {
                let target = fs::read_link(from).map_err(|e| failed("read", from, &e))?;
                std::os::unix::fs::symlink(target, &to).map_err(|e| failed("make", &to, &e))?;
                times(&meta, &to).map_err(|e| failed("copy", from, &e))?;
            }
            // A whiteout: what the host has there was deleted. Other devices cannot be copied.
            FileType::CharacterDevice | FileType::BlockDevice if own => {}
            _ => {
                let mode = Mode::from_raw_mode(meta.mode() & 0o7777);
                // Sockets and devices of the host are nothing without who serves them.
                if kind == FileType::Fifo {
                    rustix::fs::mknodat(CWD, &to, kind, mode, 0)
                        .map_err(|e| failed("make", &to, &e.into()))?;
                }
            }
        }
        let directory = kind == FileType::Directory;
        let entry = Entry { stamp: (0, 0, 0), directory, own, below: under.is_some() };
        self.copied.entries.insert(path.to_owned(), entry);
        Ok(())
    }

    fn file(&mut self, from: &Path, meta: &fs::Metadata, to: &Path) -> Result<(), Failure> {
        let error = |e: io::Error| failed("copy", from, &e);
        let key = (meta.dev(), meta.ino());
        if meta.nlink() > 1 {
            if let Some(first) = self.names.get(&key) {
                return fs::hard_link(first, to).map_err(error);
            }
            self.names.insert(key, to.to_owned());
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let source = match rustix::fs::open(from, flags, Mode::empty()) {
            Ok(fd) => File::from(fd),
            // As in an overlay: the name is there, and cannot be read.
            Err(Errno::ACCESS) => {
                let mode = fs::Permissions::from_mode(0o000);
                File::create_new(to).and_then(|file| file.set_permissions(mode)).map_err(error)?;
                return Ok(());
            }
            Err(e) => return Err(error(e.into())),
        };
        let target = File::create_new(to).map_err(|e| failed("make", to, &e))?;
        if ioctl_ficlone(&target, &source).is_err() {
            let has_holes = meta.blocks().saturating_mul(512) < meta.size();
            let size = Some(meta.size()).filter(|_| has_holes);
            content(&source, &target, size).map_err(error)?;
        }
        drop(target);
        attributes(from, to).map_err(error)
    }

    /// What everything is now that nothing of it is touched any more.
    fn stamps(&mut self) -> Result<(), Failure> {
        let mut gone = Vec::new();
        for (path, entry) in &mut self.copied.entries {
            match fs::symlink_metadata(self.tree.join(path)) {
                Ok(meta) => entry.stamp = stamp(&meta),
                Err(_) => gone.push(path.clone()),
            }
        }
        // Whiteouts, and what cannot be copied.
        for path in gone {
            self.copied.entries.remove(&path);
        }
        Ok(())
    }
}

/// Copies what a file has. `size`: of one with holes, which stay holes: the disk of a virtual machine
/// can be said to be larger than the one that it lies on.
fn content(mut source: &File, mut target: &File, size: Option<u64>) -> io::Result<()> {
    let Some(size) = size else { return io::copy(&mut source, &mut target).map(drop) };
    let mut at = 0;
    while at < size {
        let begin = match rustix::fs::seek(source, SeekFrom::Data(at)) {
            Ok(begin) => begin,
            // Nothing but a hole is left.
            Err(Errno::NXIO) => break,
            // The file system tells of no holes.
            Err(Errno::INVAL) => at,
            Err(errno) => return Err(errno.into()),
        };
        let end = rustix::fs::seek(source, SeekFrom::Hole(begin)).unwrap_or(size).min(size);
        rustix::fs::seek(source, SeekFrom::Start(begin))?;
        rustix::fs::seek(target, SeekFrom::Start(begin))?;
        io::copy(&mut source.by_ref().take(end.saturating_sub(begin)), &mut target)?;
        at = end.max(begin + 1);
    }
    target.set_len(size)
}

pub(super) fn list(directory: &Path) -> io::Result<Vec<std::ffi::OsString>> {
    fs::read_dir(directory)?.map(|entry| Ok(entry?.file_name())).collect()
}

fn device(path: &Path) -> Option<u64> {
    fs::symlink_metadata(path).ok().map(|meta| meta.dev())
}

/// Names and values of the attributes of something, but for the overlay's own.
pub(super) fn xattrs(of: &Path) -> BTreeMap<CString, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut names = vec![0_u8; MOST_XATTRS];
    let length = rustix::fs::llistxattr(of, &mut names[..]).unwrap_or(0);
    for name in names.get(..length).unwrap_or_default().split(|byte| *byte == 0) {
        let Ok(name) = CString::new(name) else { continue };
        if name.is_empty() || name.as_bytes().starts_with(b"user.overlay.") {
            continue;
        }
        let mut value = vec![0_u8; MOST_XATTRS];
        let Ok(length) = rustix::fs::lgetxattr(of, &name, &mut value[..]) else { continue };
        value.truncate(length);
        found.insert(name, value);
    }
    found
}

/// Mode, attributes and times of something that is no link.
pub(super) fn attributes(from: &Path, to: &Path) -> io::Result<()> {
    let meta = fs::symlink_metadata(from)?;
    for (name, value) in xattrs(from) {
        // What the user may not set is not part of a change either.
        let _ = rustix::fs::lsetxattr(to, &name, &value, XattrFlags::empty());
    }
    fs::set_permissions(to, fs::Permissions::from_mode(meta.mode() & 0o7777))?;
    times(&meta, to)
}

fn times(meta: &fs::Metadata, to: &Path) -> io::Result<()> {
    let time = |seconds, nanoseconds| Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
    let times = Timestamps {
        last_access: time(meta.atime(), meta.atime_nsec()),
        last_modification: time(meta.mtime(), meta.mtime_nsec()),
    };
    Ok(rustix::fs::utimensat(CWD, to, &times, AtFlags::SYMLINK_NOFOLLOW)?)
}

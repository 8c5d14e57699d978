//! Putting things back.

use crate::copy::copy;
use crate::entry::{Entry, Id, Kind};
use crate::keep::rename_new;
use crate::meta::Meta;
use crate::quarantine::Quarantine;
use crate::store::{Kept, Store};
use crate::{Error, Result};
use rustix::fd::{AsFd as _, BorrowedFd, OwnedFd};
use rustix::fs::{
    AtFlags, CWD, Mode, OFlags, ResolveFlags, Timespec, Timestamps, fchmod, mkdirat, open, openat,
    openat2, unlinkat, utimensat,
};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::ffi::{CStr, CString};
use std::path::{Component, Path, PathBuf};

/// Where a thing goes.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// An absolute path without `..`.
    pub path: &'a Path,
    /// Whether links on the way are followed: where the user named the path, and not the program.
    pub follow: bool,
    /// Whether directories that are missing on the way are made.
    pub parents: bool,
}

const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

impl Store {
    /// Puts a thing back where nothing is. What it was is kept: mode, times, and owner as far as the
    /// user may give files away.
    ///
    /// # Errors
    /// Something is there, the directory is not, a link is in the way, or the kernel refuses. The
    /// thing is still in the trash then.
    pub fn restore(&self, kept: &Kept, target: &Target<'_>) -> Result<()> {
        let place = self.place_of(kept)?;
        let (dir, name) = destination(target)?;
        if kept.entry.kind == Kind::Directory && place.held(kept.id).is_err() {
            mkdirat(&dir, &name, Mode::RWXU).map_err(|e| refused(e, &dir, &name, target.path))?;
            place.forget(kept.id);
            return finish(&dir, &name, &kept.entry)
                .map_err(|e| Error::new("set the mode of", target.path, e));
        }
        back(&place, kept.id, &dir, &name).map_err(|e| refused(e, &dir, &name, target.path))?;
        place.forget(kept.id);
        Ok(())
    }

    /// Puts back what [`crate::tree`] found, each where it was or, from `from` on, below `to`.
    /// Directories that are there already are left as they are. What could not be put back, and why.
    pub fn restore_tree(&self, kept: &[Kept], moved: Option<(&Path, &Path)>) -> Vec<Error> {
        let mut failed = Vec::new();
        let mut made: BTreeMap<PathBuf, &Entry> = BTreeMap::new();
        for one in kept {
            let mut path = one.entry.path.as_path().to_owned();
            if let Some((from, to)) = moved
                && let Ok(below) = path.strip_prefix(from)
            {
                path = if below.as_os_str().is_empty() { to.to_owned() } else { to.join(below) };
            }
            let target = Target { path: &path, follow: moved.is_some(), parents: true };
            match self.restore(one, &target) {
                Ok(()) if one.entry.kind == Kind::Directory => {
                    made.insert(path, &one.entry);
                }
                Ok(()) => {}
                Err(e) if e.errno == Some(Errno::EXIST) && one.entry.kind == Kind::Directory => {
                    match destination(&target).and_then(|(dir, name)| {
                        Meta::at(&dir, &name).map_err(|e| Error::new("look at", &path, e))
                    }) {
                        Ok(meta) if meta.kind == Kind::Directory => {
                            drop(self.destroy(std::slice::from_ref(one)))
                        }
                        _ => failed.push(e),
                    }
                }
                Err(e) => failed.push(e),
            }
        }
        // What came into them has changed their times; and a mode can forbid to put something in.
        for (path, entry) in made.iter().rev() {
            let target = Target { path, follow: moved.is_some(), parents: false };
            let done = destination(&target).and_then(|(dir, name)| {
                finish(&dir, &name, entry).map_err(|e| Error::new("set the mode of", path, e))
            });
            failed.extend(done.err());
        }
        failed
    }
}

/// The directory that a thing goes to, and its name there.
fn destination(target: &Target<'_>) -> Result<(OwnedFd, CString)> {
    let failed = |e| Error::new("restore", target.path, e);
    let path = target.path;
    let plain = |part| matches!(part, Component::RootDir | Component::Normal(_));
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(failed(Errno::INVAL));
    };
    if !path.is_absolute() || !path.components().all(plain) {
        return Err(failed(Errno::INVAL));
    }
    let name = CString::new(name.as_encoded_bytes()).map_err(|_| failed(Errno::INVAL))?;
    let dir = match directory(parent, target) {
        Err(Errno::NOENT) => Err(Error {
            cause: format!("there is no directory {}", swathe_record::bytes::Bytes::from(parent)),
            ..failed(Errno::NOENT)
        }),
        Err(Errno::LOOP) => Err(Error {
            cause: "a symbolic link is in its place or above it now".to_owned(),
            ..failed(Errno::LOOP)
        }),
        dir => dir.map_err(failed),
    };
    dir.map(|dir| (dir, name))
}

/// The recorded path had no links: one that is there now leads elsewhere.
fn directory(path: &Path, target: &Target<'_>) -> rustix::io::Result<OwnedFd> {
    let way = if target.follow {
        ResolveFlags::empty()
    } else {
        ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS
    };
    let found = openat2(CWD, path, DIRECTORY, Mode::empty(), way);
    if !target.parents || !matches!(found, Err(Errno::NOENT)) {
        return found;
    }
    let mut at = open("/", DIRECTORY, Mode::empty())?;
    for part in path.components() {
        let Component::Normal(name) = part else { continue };
        let step = || openat2(&at, name, DIRECTORY, Mode::empty(), way);
        at = match step() {
            Err(Errno::NOENT) => {
                match mkdirat(&at, name, Mode::from_raw_mode(0o777)) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(e) => return Err(e),
                }
                openat(&at, name, DIRECTORY | OFlags::NOFOLLOW, Mode::empty())?
            }
            found => found?,
        };
    }
    Ok(at)
}

/// Mode and time of a directory that was made anew; what it is must not have been swapped for a link.
fn finish(dir: &OwnedFd, name: &CStr, entry: &Entry) -> rustix::io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let made = openat(dir, name, flags, Mode::empty())?;
    let (tv_sec, nanos) = entry.modified;
    let time = Timespec { tv_sec, tv_nsec: nanos.into() };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(dir, name, &times, AtFlags::SYMLINK_NOFOLLOW)?;
    // Powers that only its owner can have given to it go with its owner.
    let own = Meta::of(&made)?;
    let same = (own.uid, own.gid) == (entry.uid, entry.gid);
    let mode = if same { entry.mode } else { entry.mode & 0o1777 };
    fchmod(&made, Mode::from_raw_mode(mode))
}

/// Moves or copies it to a name that nothing has.
fn back(place: &Quarantine, id: Id, dir: &OwnedFd, name: &CStr) -> rustix::io::Result<()> {
    let (files, own) = (place.files.as_fd(), Quarantine::name(id));
    // By the directory's mount: a descriptor of a path alone is enough.
    let done = rename_new(files, &own, dir.as_fd(), name);
    if done != Err(Errno::XDEV) {
        return done;
    }
    let meta = place.held(id)?;
    let new = CString::new(format!(".swathe-restore-{id}")).map_err(|_| Errno::INVAL)?;
    // Left by one that was interrupted.
    let _ = unlinkat(dir, &new, AtFlags::empty());
    copied(files, &own, &meta, dir.as_fd(), (&new, name))?;
    unlinkat(files, &own, AtFlags::empty())
}

/// Others see the whole file or none.
fn copied(
    files: BorrowedFd<'_>,
    own: &CStr,
    meta: &Meta,
    dir: BorrowedFd<'_>,
    (new, name): (&CStr, &CStr),
) -> rustix::io::Result<()> {
    copy(files, own, meta, dir, new)?;
    let done = rename_new(dir, new, dir, name);
    if done.is_err() {
        let _ = unlinkat(dir, new, AtFlags::empty());
    }
    done
}

/// Says what is there.
fn refused(errno: Errno, dir: &OwnedFd, name: &CStr, path: &Path) -> Error {
    let error = Error::new("restore", path, errno);
    if errno != Errno::EXIST {
        return error;
    }
    let what = Meta::at(dir, name).map_or_else(
        |_| "something".to_owned(),
        |meta| match meta.kind {
            Kind::File => format!("a file of {} bytes", meta.size),
            Kind::Link => "a symbolic link".to_owned(),
            Kind::Directory => "a directory".to_owned(),
            _ => "something that is no file".to_owned(),
        },
    );
    Error { cause: format!("{what} is there"), ..error }
}

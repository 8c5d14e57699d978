//! All that was kept for a user: the user's own trash, and those of other file systems that it knows.

use crate::entry::{Entry, Id, Kind};
use crate::quarantine::{Limits, Quarantine, make_own, open_own};
use crate::select::Filter;
use crate::{Error, Result};
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Dir, Mode, OFlags, openat, readlinkat, renameat, symlinkat};
use rustix::io::Errno;
use std::ffi::{CStr, CString, OsString};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// The most other trashes that are looked at.
const MAX_PLACES: usize = 1024;
/// The longest file of limits.
const MAX_LIMITS: u64 = 4096;
/// How long what was written down may wait to be moved, in microseconds.
const PENDING: u64 = 600_000_000;

const PLACES: &CStr = c"places";
const LIMITS: &CStr = c"limits.json";

/// All that was kept for a user.
#[derive(Debug)]
pub struct Store {
    base: PathBuf,
    dir: OwnedFd,
    places: OwnedFd,
}

/// A thing in the trash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Its name.
    pub id: Id,
    /// What it is.
    pub entry: Entry,
    /// The trash that holds it.
    pub place: PathBuf,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// Things, the newest first.
    pub kept: Vec<Kept>,
    /// Trashes that cannot be looked at now, such as on a disk that is not there.
    pub missing: Vec<Error>,
}

impl Store {
    /// The store at this path, which is made with the directories above it.
    ///
    /// # Errors
    /// It cannot be made, or is not a directory of the user's alone.
    pub fn open(base: &Path) -> Result<Self> {
        let failed = |e| Error::new("make the trash", base, e);
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(base)
            .map_err(|e| Error::because("make the trash", base, e.to_string()))?;
        // Names of the kernel, not of links: what is compared with paths of the program.
        let base = base.canonicalize();
        let base = base.map_err(|e| failed(Errno::from_io_error(&e).unwrap_or(Errno::IO)))?;
        let name = CString::new(base.as_os_str().as_encoded_bytes());
        let name = name.map_err(|_| failed(Errno::INVAL))?;
        let dir = open_own(CWD, &name).map_err(|e| match e {
            Errno::PERM => {
                Error::because("use the trash", &base, "it is not a directory of this user alone")
            }
            e => failed(e),
        })?;
        let places = make_own(&dir, PLACES).map_err(failed)?;
        Ok(Self { base, dir, places })
    }

    /// As [`Self::open`], where it is there already.
    ///
    /// # Errors
    /// It is there and cannot be used.
    pub fn existing(base: &Path) -> Result<Option<Self>> {
        match std::fs::symlink_metadata(base) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            _ => Self::open(base).map(Some),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn base(&self) -> &Path {
        &self.base
    }

    /// The user's own trash.
    ///
    /// # Errors
    /// It cannot be made.
    pub(crate) fn own(&self) -> Result<Quarantine> {
        Quarantine::make(&self.dir, &self.base)
    }

    /// Remembers the trash of another file system.
    pub(crate) fn know(&self, quarantine: &Quarantine) -> rustix::io::Result<()> {
        let path = quarantine.path().as_os_str().as_encoded_bytes();
        let ((major, minor), inode) = (quarantine.meta.device, quarantine.meta.inode);
        let name = format!("{major:x}-{minor:x}-{inode:x}");
        if readlinkat(&self.places, &name, Vec::new()).is_ok_and(|old| old.as_bytes() == path) {
            return Ok(());
        }
        // A path fits into a link, and comes into being with it.
        let new = format!(".{name}.{}", std::process::id());
        let _ = rustix::fs::unlinkat(&self.places, &new, rustix::fs::AtFlags::empty());
        symlinkat(path, &self.places, &new)?;
        renameat(&self.places, &new, &self.places, &name)
    }

    /// Where trashes of other file systems are, whether they are there now or not.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn places(&self) -> Result<Vec<PathBuf>> {
        let failed = |e| Error::new("read", &self.base, e);
        let mut found = Vec::new();
        for entry in Dir::read_from(&self.places).map_err(failed)?.take(MAX_PLACES) {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            if name.to_bytes().starts_with(b".") {
                continue;
            }
            let path = readlinkat(&self.places, name, Vec::new()).map_err(failed)?;
            let path = PathBuf::from(OsString::from_vec(path.into_bytes()));
            found.extend(path.is_absolute().then_some(path));
        }
        found.sort();
        found.dedup();
        Ok(found)
    }

    /// All trashes that can be looked at now.
    fn open_all(&self) -> Result<(Vec<Quarantine>, Vec<Error>)> {
        let (mut found, mut missing) = (vec![self.own()?], Vec::new());
        for path in self.places()? {
            match Quarantine::open(&path) {
                Ok(quarantine) => found.push(quarantine),
                Err(e) => missing.push(e),
            }
        }
        Ok((found, missing))
    }

    /// The trash that holds a thing.
    pub(crate) fn place_of(&self, kept: &Kept) -> Result<Quarantine> {
        if kept.place == self.base { self.own() } else { Quarantine::open(&kept.place) }
    }

    /// What is there.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn list(&self, filter: &Filter<'_>) -> Result<Listing> {
        let (places, missing) = self.open_all()?;
        let mut kept = Vec::new();
        for place in &places {
            let ids = place.ids().map_err(|e| Error::new("read", place.path(), e))?;
            for id in ids.into_iter().filter(|id| filter.id(*id)) {
                let Some(entry) = place.read(id).filter(|entry| filter.entry(entry)) else {
                    continue;
                };
                // What was never moved, since what should have been done failed or was interrupted.
                if entry.kind != Kind::Directory && place.held(id).is_err() {
                    continue;
                }
                kept.push(Kept { id, entry, place: place.path().to_owned() });
            }
        }
        kept.sort_by(|a, b| (b.id, &b.place).cmp(&(a.id, &a.place)));
        Ok(Listing { kept, missing })
    }

    /// Destroys things. How many.
    ///
    /// # Errors
    /// The first that cannot be removed; those before it are gone.
    pub fn destroy(&self, kept: &[Kept]) -> Result<usize> {
        let mut open: Option<Quarantine> = None;
        for one in kept {
            let place = match open.take() {
                Some(place) if place.path() == one.place => place,
                _ => self.place_of(one)?,
            };
            place.destroy(one.id)?;
            open = Some(place);
        }
        Ok(kept.len())
    }

    /// Removes what interrupted runs left: what was written down and never moved, before `now`, in
    /// microseconds since 1970; what cannot be read, with the thing itself, is destroyed if `all`.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn tidy(&self, now: u64, all: bool) -> Result<()> {
        let (places, _) = self.open_all()?;
        for place in &places {
            let ids = place.ids().map_err(|e| Error::new("read", place.path(), e))?;
            for id in ids.into_iter().filter(|id| id.time().saturating_add(PENDING) < now) {
                let entry = place.read(id);
                let is_dir = entry.as_ref().is_some_and(|entry| entry.kind == Kind::Directory);
                if !is_dir && place.held(id) == Err(Errno::NOENT) {
                    place.forget(id);
                } else if entry.is_none() && all {
                    place.destroy(id)?;
                }
            }
        }
        Ok(())
    }

    /// The upper bounds of each trash.
    ///
    /// # Errors
    /// They are written down and cannot be read.
    pub fn limits(&self) -> Result<Limits> {
        let path = || self.base.join("limits.json");
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = match openat(&self.dir, LIMITS, flags, Mode::empty()) {
            Err(Errno::NOENT) => return Ok(Limits::default()),
            file => file.map_err(|e| Error::new("read", &path(), e))?,
        };
        let mut text = Vec::new();
        File::from(file)
            .take(MAX_LIMITS)
            .read_to_end(&mut text)
            .map_err(|e| Error::because("read", &path(), e.to_string()))?;
        serde_json::from_slice(&text).map_err(|e| Error::because("read", &path(), e.to_string()))
    }

    /// Sets them, for runs that start later.
    ///
    /// # Errors
    /// They cannot be written down.
    pub fn set_limits(&self, limits: &Limits) -> Result<()> {
        let path = self.base.join("limits.json");
        let failed = |e: std::io::Error| Error::because("write", &path, e.to_string());
        let text = serde_json::to_vec(limits).map_err(|e| failed(e.into()))?;
        let new = format!(".limits.{}", std::process::id());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW;
        let mode = Mode::RUSR | Mode::WUSR;
        let file =
            openat(&self.dir, &new, flags | OFlags::CLOEXEC, mode).map_err(|e| failed(e.into()))?;
        File::from(file).write_all(&text).map_err(failed)?;
        renameat(&self.dir, &new, &self.dir, LIMITS).map_err(|e| failed(e.into()))
    }
}

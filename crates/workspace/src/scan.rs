//! Looks through the upper directories and says what they change.
//!
//! An upper is written by the program: nothing in it is trusted. It is walked by descriptor, through
//! no link and onto no other file system, within bounds.

mod compare;
mod deleted;
mod names;
mod renames;
mod walk;

use crate::about::Root;
use crate::base::Base;
use crate::change::Changeset;
use crate::danger::Sensitive;
use crate::dir::Dir;
use crate::error::{Error, ErrorKind, Result, Step as _};
use crate::store::{Held, State, Workspace};
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::fs::File;
use std::io::BufReader;
use swathe_record::bytes::Bytes;

/// How a workspace is looked through.
#[derive(Debug, Clone)]
pub struct ScanOptions {
    /// Paths to mark as protected.
    pub sensitive: Sensitive,
    /// The most changes that are listed.
    pub most: usize,
    /// The deepest directory that is entered, at most 400.
    pub deepest: usize,
}

impl Default for ScanOptions {
    fn default() -> Self {
        Self { sensitive: Sensitive::default(), most: 2_000_000, deepest: 200 }
    }
}

/// The sides of one root.
#[derive(Debug)]
pub(crate) struct Sides {
    pub upper: Dir,
    pub lower: Dir,
}

impl Held {
    /// As [`Workspace::scan`], of a workspace that the caller holds and in which no run is going on.
    ///
    /// # Errors
    /// The same.
    pub fn scan(&self, options: &ScanOptions) -> Result<Changeset> {
        if crate::journal::is_open(&self.dir) {
            return Err(self.half_done());
        }
        self.scan_held(options, false)
    }
}

impl Workspace {
    /// Says what the workspace changes of the host as it is now.
    ///
    /// # Errors
    /// A root is gone or another directory than when the workspace was made, the workspace is
    /// damaged or half committed, there are too many changes, or the system refuses to be asked.
    pub fn scan(&self, options: &ScanOptions) -> Result<Changeset> {
        let state = self.state();
        if state == State::HalfDone {
            return Err(self.half_done());
        }
        self.scan_held(options, state == State::InUse)
    }

    pub(crate) fn scan_held(&self, options: &ScanOptions, live: bool) -> Result<Changeset> {
        let mut set = Changeset { live, ..Changeset::default() };
        for number in 0..self.about.roots.len() {
            let sides = self.sides(number)?;
            let base = self.base(number)?;
            walk::root(self, number, &sides, base.as_ref(), options, &mut set)?;
            renames::find(number, &sides, &mut set);
        }
        Ok(set)
    }

    /// Whether there is something in the workspace that can be a change, found without a look
    /// through all of it. `false` only where it certainly holds nothing: where a directory cannot be
    /// looked at, for its disk is not there, nobody knows.
    #[must_use]
    pub fn may_hold_changes(&self) -> bool {
        (0..self.about.roots.len()).any(|number| !self.is_certainly_empty(number))
    }

    fn is_certainly_empty(&self, number: usize) -> bool {
        let Some(root) = self.about.roots.get(number) else { return false };
        let area = match Dir::open(root.area.as_path()) {
            Ok(area) => area,
            // A removal was interrupted, or that the whole disk is gone.
            Err(Errno::NOENT) => return self.lower(number).is_ok(),
            Err(_) => return false,
        };
        // A copy that a run worked on and nobody has collected lies beside the upper.
        let known = |name: &Vec<u8>| matches!(name.as_slice(), b"upper" | b"work" | b"undo");
        if !area.list().is_ok_and(|names| names.iter().all(known)) {
            return false;
        }
        let names = match area.at(b"upper").and_then(|upper| upper.list()) {
            Err(Errno::NOENT) => return true,
            names => names,
        };
        if !names.is_ok_and(|names| names.is_empty()) {
            return false;
        }
        match self.sides(number) {
            Ok(sides) => {
                // Its own mode or attributes.
                let mut set = Changeset::default();
                let options = ScanOptions::default();
                walk::root(self, number, &sides, None, &options, &mut set).is_ok()
                    && set.changes.is_empty()
            }
            // What there was to change is gone, and there is no change.
            Err(error) => error.kind == ErrorKind::Gone,
        }
    }

    pub(crate) fn half_done(&self) -> Error {
        let text = format!("a change of the workspace {} was interrupted", self.about.id);
        Error::new(ErrorKind::HalfDone, text)
            .fix(format!("swathe commit --resume {} ends it", self.about.id))
    }

    /// Opens both sides of a root, after a look whether the host's is still the same directory.
    pub(crate) fn sides(&self, number: usize) -> Result<Sides> {
        let (root, lower) = self.lower(number)?;
        let area = root.area.as_path();
        let upper = Dir::open(area).step("open", &root.area.0)?;
        crate::store::check_ours(&upper, area)?;
        let upper = upper.at(b"upper").step("open the upper directory in", &root.area.0)?;
        Ok(Sides { upper, lower })
    }

    /// The host's side of a root.
    fn lower(&self, number: usize) -> Result<(&Root, Dir)> {
        let lost = || Error::new(ErrorKind::Damaged, "the workspace has no such root".to_owned());
        let root = self.about.roots.get(number).ok_or_else(lost)?;
        let path = root.path.as_path();
        let lower = Dir::open(path).map_err(|errno| {
            let mut error = Error::system("open", &root.path.0, errno);
            if matches!(errno, Errno::NOENT | Errno::NOTDIR) {
                error.kind = ErrorKind::Gone;
            }
            error.fix("put the directory back where it was; the workspace is kept until then")
        })?;
        let meta = lower.meta().step("look at", &root.path.0)?;
        let (born, _) = crate::about::born_and_mount(&lower).step("look at", &root.path.0)?;
        // Device numbers change from boot to boot; they count where there is nothing better.
        let known = root.born.is_some() && born.is_some();
        let same = if known { born == root.born } else { meta.dev == root.dev };
        if meta.ino != root.ino || !same {
            let text =
                format!("{} is another directory than when the workspace was made", root.path);
            return Err(Error::new(ErrorKind::Gone, text)
                .fix("put the old directory back where it was; the workspace is kept until then"));
        }
        Ok((root, lower))
    }

    /// What lay below a root when the run began; none before the first snapshot.
    pub(crate) fn base(&self, number: usize) -> Result<Option<Base>> {
        let name = format!("base-{number}");
        let fd = match self.dir.file(name.as_bytes(), OFlags::RDONLY, 0) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => return Ok(None),
            Err(errno) => return Err(Error::system("open", name.as_bytes(), errno)),
        };
        let patches = crate::snapshot::patches(self, number)?;
        let base = Base::read(BufReader::new(File::from(fd)), patches);
        base.map(Some).map_err(|error| {
            let shown = Bytes::from(self.path.as_path());
            Error::new(ErrorKind::Damaged, format!("cannot read {name} of {shown}: {error}"))
        })
    }
}

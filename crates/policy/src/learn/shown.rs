//! What a sandbox shows at a path and what may be done there, from its plan alone.

use crate::model::Access;
use crate::resolve::{Placed, Sandbox};
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use swathe_plan::model::{self as plan, FileOp, OverlayUpper};

/// What is at a path of a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grade {
    /// The host's file or directory, with this access.
    Host(Access),
    /// A place of the sandbox's own that can be written to and is gone with it. Nothing of the host
    /// is seen there.
    Private,
    /// A file that was made for the sandbox.
    Made,
    /// Processes, devices: the kernel's, for this sandbox.
    Kernel,
    /// Covered: nothing can be done with it.
    Covered,
    /// A directory that is only there to hold others.
    Frame,
}

/// The places of one plan, in the order in which they are mounted.
#[derive(Debug, Clone, Default)]
pub struct Shown {
    places: Vec<(PathBuf, Grade)>,
    /// The directories above them.
    frames: BTreeSet<PathBuf>,
    levels: Vec<Placed>,
}

impl Shown {
    /// What a sandbox shows.
    #[must_use]
    pub fn of(sandbox: &Sandbox) -> Self {
        let mut shown = Self { levels: sandbox.levels.clone(), ..Self::default() };
        for step in &sandbox.plan.steps {
            let Some(grade) = grade(&step.op) else { continue };
            let path = PathBuf::from(OsStr::from_bytes(&step.op.dest().0));
            shown.frames.extend(path.ancestors().skip(1).map(Path::to_owned));
            shown.places.push((path, grade));
        }
        shown
    }

    /// What is at a path; nothing: it does not exist there.
    #[must_use]
    pub fn at(&self, path: &Path) -> Option<Grade> {
        let found = self.places.iter().rev().find(|(place, _)| path.starts_with(place));
        match found {
            // A directory between a private place and what is shown below it.
            Some((place, Grade::Private)) if path != place && self.frames.contains(path) => {
                Some(Grade::Frame)
            }
            Some((place, Grade::Host(Access::ReadWrite))) => {
                Some(Grade::Host(self.level(path, place).unwrap_or(Access::ReadWrite)))
            }
            Some((_, grade)) => Some(*grade),
            None => self.frames.contains(path).then_some(Grade::Frame),
        }
    }

    /// Whether a directory is there before any program makes it, and lies in a private place.
    #[must_use]
    pub fn has_private(&self, path: &Path) -> bool {
        let top = |(place, grade): &(PathBuf, Grade)| place == path && *grade == Grade::Private;
        let private = |path: &Path| {
            let found = self.places.iter().rev().find(|(place, _)| path.starts_with(place));
            found.is_some_and(|(_, grade)| *grade == Grade::Private)
        };
        self.places.iter().any(top) || self.frames.contains(path) && private(path)
    }

    /// The access level of a place that is mounted writable.
    fn level(&self, path: &Path, place: &Path) -> Option<Access> {
        let holds = self.levels.iter().filter(|level| path.starts_with(&level.path));
        let nearest = holds.max_by_key(|level| level.path.components().count())?;
        nearest.access.filter(|_| nearest.path.starts_with(place))
    }
}

fn grade(op: &FileOp) -> Option<Grade> {
    Some(match op {
        FileOp::Bind { access: plan::Access::ReadOnly, .. } => Grade::Host(Access::ReadOnly),
        FileOp::Bind { access: plan::Access::ReadWrite, .. } => Grade::Host(Access::ReadWrite),
        FileOp::Bind { access: plan::Access::Device, .. } => Grade::Kernel,
        FileOp::Overlay { upper: OverlayUpper::None, .. } => Grade::Host(Access::ReadOnly),
        FileOp::Overlay { .. } => Grade::Host(Access::ReadWrite),
        FileOp::Proc { .. } | FileOp::Dev { .. } | FileOp::Mqueue { .. } => Grade::Kernel,
        FileOp::Tmpfs { .. } => Grade::Private,
        FileOp::File { .. } | FileOp::BindData { .. } | FileOp::Symlink { .. } => Grade::Made,
        FileOp::Dir { .. } => Grade::Private,
        FileOp::Mask { .. } => Grade::Covered,
        FileOp::RemountReadOnly { .. } | FileOp::Chmod { .. } | FileOp::Pin { .. } => return None,
    })
}

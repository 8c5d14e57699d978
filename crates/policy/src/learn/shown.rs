//! What a sandbox shows at a path and what may be done there, from its plan alone.

use crate::model::Access;
use crate::resolve::{Placed, Sandbox};
use std::collections::{BTreeSet, HashMap};
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
    /// By path; the number says which comes later. Of the same path the last counts.
    places: HashMap<PathBuf, (usize, Grade)>,
    /// The directories above them.
    frames: BTreeSet<PathBuf>,
    levels: Vec<Placed>,
}

impl Shown {
    /// What a sandbox shows.
    #[must_use]
    pub fn of(sandbox: &Sandbox) -> Self {
        let mut shown = Self { levels: sandbox.levels.clone(), ..Self::default() };
        for (number, step) in sandbox.plan.steps.iter().enumerate() {
            let Some(grade) = grade(&step.op) else { continue };
            let path = PathBuf::from(OsStr::from_bytes(&step.op.dest().0));
            shown.frames.extend(path.ancestors().skip(1).map(Path::to_owned));
            shown.places.insert(path, (number, grade));
        }
        shown
    }

    /// What is at a path; nothing: it does not exist there.
    #[must_use]
    pub fn at(&self, path: &Path) -> Option<Grade> {
        // What was mounted last on the way to it covers what was there before.
        let found = path
            .ancestors()
            .filter_map(|above| {
                self.places.get(above).map(|(number, grade)| (number, above, grade))
            })
            .max_by_key(|(number, ..)| **number);
        match found.map(|(_, place, grade)| (place, grade)) {
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

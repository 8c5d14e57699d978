//! Which changes a commit or a discard takes.

use crate::change::{ChangeKind, Changeset};
use crate::diff::Hunk;
use std::collections::BTreeMap;

/// What is taken of one change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Take {
    /// All of it.
    Whole,
    /// Of a modified text file: these of its hunks, as [`crate::Workspace::hunks`] told them. The
    /// rest stays in the workspace, and with it mode and attributes.
    Hunks(Vec<Hunk>),
    /// This content instead of the program's: a merge that a person has looked at. The program's own
    /// version leaves the workspace with it.
    Content(Vec<u8>),
}

/// A choice of changes, by their index in one [`Changeset`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    pub(crate) taken: BTreeMap<usize, Take>,
    pub(crate) despite: Vec<usize>,
    /// What was meant and is not taken.
    pub(crate) passed: Vec<usize>,
}

impl Selection {
    /// Nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Every change that can be taken: no conflicts, nothing refused.
    #[must_use]
    pub fn all(set: &Changeset) -> Self {
        let mut chosen = Self::new();
        for (index, change) in set.changes.iter().enumerate() {
            if change.is_clean() {
                chosen.taken.insert(index, Take::Whole);
            } else {
                chosen.passed.push(index);
            }
        }
        chosen
    }

    /// Takes a change.
    pub fn take(&mut self, index: usize, take: Take) {
        self.taken.insert(index, take);
    }

    /// Takes a path and all below it. Whether there was something.
    pub fn take_path(&mut self, set: &Changeset, root: usize, path: &[u8]) -> bool {
        let mut some = false;
        for index in set.below(root, path) {
            some = true;
            self.taken.entry(index).or_insert(Take::Whole);
        }
        some
    }

    /// Leaves a change out.
    pub fn leave(&mut self, index: usize) {
        self.taken.remove(&index);
    }

    /// Leaves a change out that was meant, for it cannot be taken: the other half of a rename stays
    /// with it.
    pub fn pass_over(&mut self, index: usize) {
        self.taken.remove(&index);
        self.passed.push(index);
    }

    /// Takes a change although the host changed the path, too. What the host has there goes to the
    /// saved copies. It holds for the host's file as the change set shows it, not for a later one.
    pub fn take_despite(&mut self, index: usize, take: Take) {
        self.taken.insert(index, take);
        self.despite.push(index);
    }

    /// Whether a change is taken.
    #[must_use]
    pub fn has(&self, index: usize) -> bool {
        self.taken.contains_key(&index)
    }

    /// What is taken, by index.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &Take)> {
        self.taken.iter().map(|(index, take)| (*index, take))
    }

    /// What of it a commit would take, by index: without what is refused, in conflict, or stays with
    /// something that is.
    #[must_use]
    pub fn settled(&self, set: &Changeset) -> Vec<usize> {
        crate::plan::settle(set, self).0.into_keys().collect()
    }

    /// Adds what the chosen changes need for a commit: new directories above new files, the deleted
    /// or replaced directory of a deleted file. Returns what was added.
    pub fn complete(&mut self, set: &Changeset) -> Vec<usize> {
        let paths: BTreeMap<(usize, &[u8]), usize> = set
            .changes
            .iter()
            .enumerate()
            .map(|(index, change)| ((change.root, change.path.0.as_slice()), index))
            .collect();
        let mut added = Vec::new();
        for index in self.taken.keys().copied().collect::<Vec<_>>() {
            let Some(change) = set.changes.get(index) else { continue };
            let mut path = change.path.0.as_slice();
            while !path.is_empty() {
                path = crate::dir::split(path).0;
                let Some(&above) = paths.get(&(change.root, path)) else { continue };
                let needed = set.changes.get(above).is_some_and(|above| {
                    above.is_dir() && matches!(above.kind, ChangeKind::Added | ChangeKind::Replaced)
                });
                if needed && self.taken.insert(above, Take::Whole).is_none() {
                    added.push(above);
                }
            }
            if let Some(top) = change.part_of
                && self.taken.insert(top, Take::Whole).is_none()
            {
                added.push(top);
            }
        }
        added
    }
}

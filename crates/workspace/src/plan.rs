//! Turns a choice of changes into the steps of a commit.

mod units;

use crate::base::{Base, Found};
use crate::change::{Change, ChangeKind, Changeset, Conflict};
use crate::commit::{CommitOptions, Left, Why};
use crate::dir::{Dir, split};
use crate::error::{Error, ErrorKind, Result, Step as _};
use crate::journal::{DirData, Do, Op};
use crate::meta::Meta;
use crate::scan::Sides;
use crate::select::{Selection, Take};
use crate::store::Workspace;
use crate::work::Cache;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use swathe_record::bytes::Bytes;
use units::Unit;

/// The steps, and what goes with them.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub ops: Vec<Op>,
    /// Content of steps that was put together, by the step's number.
    pub staged: BTreeMap<usize, Vec<u8>>,
    pub left: Vec<Left>,
    /// Bytes of old versions.
    pub old_bytes: u64,
    /// Changes that the steps make.
    pub changes: usize,
}

/// What is taken once dependencies and refusals are seen to.
pub(crate) fn settle(set: &Changeset, selection: &Selection) -> (BTreeMap<usize, Take>, Vec<Left>) {
    let mut chosen = selection.clone();
    chosen.complete(set);
    let (mut taken, mut left) = (BTreeMap::new(), Vec::new());
    let mut blocked: HashSet<(usize, &[u8])> = HashSet::new();
    for (index, take) in chosen.iter() {
        let Some(change) = set.changes.get(index) else { continue };
        let despite = selection.despite.contains(&index);
        let why = if change.is_refused() {
            Some(Why::Refused)
        } else if change.conflict == Some(Conflict::Mounted)
            || change.conflict.is_some() && !despite
        {
            change.conflict.map(Why::Conflict)
        } else {
            let mut above = change.path.0.as_slice();
            let mut found = None;
            while !above.is_empty() && found.is_none() {
                above = split(above).0;
                found = blocked.contains(&(change.root, above)).then_some(Why::Above);
            }
            found
        };
        match why {
            Some(why) if change.part_of.is_none() => {
                let new_dir = change.is_dir() && change.kind != ChangeKind::Modified;
                if new_dir || why == Why::Above {
                    blocked.insert((change.root, &change.path.0));
                }
                left.push(Left { root: change.root, path: change.path.clone(), why });
            }
            Some(_) => {}
            // What goes with another stays with it.
            None if change.part_of.is_some_and(|top| !taken.contains_key(&top)) => {}
            None => {
                taken.insert(index, take.clone());
            }
        }
    }
    halves(set, &chosen, &mut taken, &mut left);
    (taken, left)
}

/// Where both halves of a rename were meant and one stays, the other does: the file would be gone
/// from the host, or be there twice.
fn halves(
    set: &Changeset,
    chosen: &Selection,
    taken: &mut BTreeMap<usize, Take>,
    left: &mut Vec<Left>,
) {
    let other = |change: &Change| {
        let path = change.renamed_from.as_ref().or(change.renamed_to.as_ref())?;
        Some((change.root, path.0.clone()))
    };
    let places: HashMap<(usize, &[u8]), usize> = (set.changes.iter().enumerate())
        .filter(|(_, change)| other(change).is_some())
        .map(|(index, change)| ((change.root, change.path.0.as_slice()), index))
        .collect();
    let other = |index: usize| {
        let (root, path) = set.changes.get(index).and_then(other)?;
        places.get(&(root, path.as_slice())).copied()
    };
    let meant: HashSet<usize> =
        chosen.iter().map(|(index, _)| index).chain(chosen.passed.iter().copied()).collect();
    let lone = |index: &usize| {
        other(*index).is_some_and(|half| meant.contains(&half) && !taken.contains_key(&half))
    };
    let mut open: Vec<usize> = taken.keys().copied().filter(lone).collect();
    while let Some(index) = open.pop() {
        if !taken.contains_key(&index) {
            continue;
        }
        let top = set.changes.get(index).and_then(|change| change.part_of).unwrap_or(index);
        let Some(change) = set.changes.get(top) else { continue };
        left.push(Left { root: change.root, path: change.path.clone(), why: Why::Half });
        for index in top..set.end(top) {
            if taken.remove(&index).is_some() {
                open.extend(other(index).filter(|half| taken.contains_key(half)));
            }
        }
    }
}

pub(crate) struct Planner<'a> {
    pub workspace: &'a Workspace,
    pub sides: &'a [Sides],
    pub set: &'a Changeset,
    pub options: &'a CommitOptions,
    pub plan: Plan,
    pub caches: Vec<Cache>,
    /// What was recorded, by root, read when it is needed first.
    pub bases: HashMap<usize, Option<Base>>,
}

impl Planner<'_> {
    pub fn run(mut self, selection: &Selection) -> Result<Plan> {
        let (taken, left) = settle(self.set, selection);
        self.plan.left = left;
        let mut links: HashMap<(usize, u64), u64> = HashMap::new();
        for (index, take) in &taken {
            if let Some((root, new)) = self.file(*index).filter(|_| *take == Take::Whole) {
                *links.entry((root, new)).or_default() += 1;
            }
        }
        let mut units = self.units(&taken, &links)?;
        self.unlink(&mut units);
        self.write(units, &taken)?;
        Ok(self.plan)
    }

    fn write(&mut self, units: Vec<Unit>, taken: &BTreeMap<usize, Take>) -> Result<()> {
        self.plan.changes = taken.len();
        for index in taken.keys() {
            if let Some(old) = self.set.changes.get(*index).and_then(|change| change.old) {
                self.plan.old_bytes += if old.is_dir() { 0 } else { old.size };
            }
        }
        let mut directories: BTreeMap<(usize, Vec<u8>), bool> = BTreeMap::new();
        // Those of them whose own data are a change with a conflict.
        let mut conflicts: BTreeSet<(usize, Vec<u8>)> = BTreeSet::new();
        let set = self.set;
        for unit in units {
            let Some(change) = set.changes.get(unit.index) else { continue };
            let path = &change.path.0;
            let new = change.new.map(|new| new.id());
            let old = change.old.map(|old| old.id());
            let act = match (unit.from, new, old) {
                (None, None, Some(old)) => Do::Delete { old },
                (Some(from), Some(new), old) => Do::Put { from, new, old },
                _ => {
                    let at = (change.root, path.clone());
                    if change.conflict.is_some() {
                        conflicts.insert(at.clone());
                    }
                    directories.insert(at, true);
                    continue;
                }
            };
            above(self.sides, change.root, path, &mut directories)?;
            if let Some(content) = unit.staged {
                self.plan.staged.insert(self.plan.ops.len(), content);
            }
            let mode = |meta: Option<Meta>| meta.filter(Meta::is_dir).map(|meta| meta.safe_mode());
            let mut op = Op::new(self.plan.ops.len(), change.root, change.path.clone(), act);
            op.modes = (change.old.filter(Meta::is_dir).map(|old| old.mode), mode(change.new));
            let mut inside =
                set.changes.get(unit.index..set.end(unit.index)).unwrap_or_default().iter();
            if inside.any(|change| change.conflict.is_some()) {
                self.conflict(&mut op)?;
            }
            self.plan.ops.push(op);
        }
        // Deletions come after everything else.
        self.plan.ops.sort_by_key(|op| matches!(op.act, Do::Delete { .. }));
        let mut staged = std::mem::take(&mut self.plan.staged);
        for (n, op) in self.plan.ops.iter_mut().enumerate() {
            if let Some(content) = staged.remove(&op.n) {
                self.plan.staged.insert(n, content);
            }
            op.n = n;
        }
        for (at, own) in directories {
            let act = directory(self.sides, at.0, &at.1, own)?;
            let conflict = conflicts.contains(&at);
            let mut op = Op::new(self.plan.ops.len(), at.0, Bytes(at.1), act);
            if conflict {
                self.conflict(&mut op)?;
            }
            self.plan.ops.push(op);
        }
        Ok(())
    }

    /// Notes what was recorded of a step's path before.
    fn conflict(&mut self, op: &mut Op) -> Result<()> {
        op.conflict = true;
        if !self.bases.contains_key(&op.root) {
            self.bases.insert(op.root, self.workspace.base(op.root)?);
        }
        let base = self.bases.get(&op.root).and_then(Option::as_ref);
        if let Some(Found::Entry(was)) = base.map(|base| base.find(&op.path.0)) {
            op.base = Some(was);
        }
        Ok(())
    }
}

/// Adds the directory of a path, and those above it whose opacity has to be spread.
pub(crate) fn above(
    sides: &[Sides],
    root: usize,
    path: &[u8],
    directories: &mut BTreeMap<(usize, Vec<u8>), bool>,
) -> Result<()> {
    let mut at = split(path).0;
    match directories.entry((root, at.to_vec())) {
        // Those above are there, too, unless only its own data change.
        Entry::Occupied(known) if !*known.get() => return Ok(()),
        Entry::Occupied(_) => {}
        Entry::Vacant(free) => {
            free.insert(false);
        }
    }
    let Some(sides) = sides.get(root) else { return Ok(()) };
    loop {
        let upper = sides.upper.find(at).step("open", at)?;
        let lower = sides.lower.find(at).step("open", at)?;
        if let (Some(upper), Some(_)) = (upper, lower)
            && crate::opaque::is(&upper).step("look at", at)?
        {
            directories.entry((root, at.to_vec())).or_insert(false);
        }
        if at.is_empty() {
            return Ok(());
        }
        at = split(at).0;
    }
}

/// The step for a directory of the upper. `own`: its own data change.
pub(crate) fn directory(sides: &[Sides], root: usize, path: &[u8], own: bool) -> Result<Do> {
    let lost = || Error::new(ErrorKind::Damaged, "the workspace has no such root".to_owned());
    let sides = sides.get(root).ok_or_else(lost)?;
    let read = |dir: &Dir, xattrs| DirData::of(dir, xattrs).step("look at", path);
    let mut is = read(&sides.upper.at(path).step("open", path)?, own)?;
    is.mode &= 0o3777;
    let old = match sides.lower.find(path).step("open", path)? {
        Some(lower) => read(&lower, own)?,
        // Only a discard works in directories that the host does not have.
        None => is.clone(),
    };
    let new = if own { is.clone() } else { DirData { mtime: is.mtime, ..old.clone() } };
    Ok(Do::Directory { old, new, upper: Some(is) })
}

//! Turns a choice of changes into the steps of a commit.

use crate::change::{Change, ChangeKind, Changeset, Conflict};
use crate::commit::{CommitOptions, Left, Why};
use crate::dir::{Dir, join, split};
use crate::error::{Error, ErrorKind, Result, Step as _};
use crate::journal::{DirData, Do, From, Op};
use crate::meta::{FileKind, Meta};
use crate::scan::Sides;
use crate::select::{Selection, Take};
use crate::store::Workspace;
use crate::work::Cache;
use crate::xattr::Xattrs;
use rustix::io::Errno;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::rc::Rc;
use swathe_record::bytes::Bytes;

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

/// A change that goes as one.
struct Unit {
    index: usize,
    from: Option<From>,
    staged: Option<Vec<u8>>,
    /// Inodes with several names in it.
    linked: Vec<u64>,
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
            None => {
                taken.insert(index, take.clone());
            }
        }
    }
    (taken, left)
}

pub(crate) struct Planner<'a> {
    pub workspace: &'a Workspace,
    pub sides: &'a [Sides],
    pub set: &'a Changeset,
    pub options: &'a CommitOptions,
    pub plan: Plan,
    pub caches: Vec<Cache>,
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

    fn file(&self, index: usize) -> Option<(usize, u64)> {
        let change = self.set.changes.get(index)?;
        let new = change.new.filter(|new| new.kind != FileKind::Directory && new.nlink > 1)?;
        Some((change.root, new.ino))
    }

    fn units(
        &self,
        taken: &BTreeMap<usize, Take>,
        links: &HashMap<(usize, u64), u64>,
    ) -> Result<Vec<Unit>> {
        let mut units: Vec<Unit> = Vec::new();
        let mut covered = 0;
        for (&index, take) in taken {
            let Some(change) = self.set.changes.get(index) else { continue };
            if index < covered || change.part_of.is_some() {
                continue;
            }
            self.check_upper(change)?;
            let new_dir = change.is_dir() && change.kind != ChangeKind::Modified;
            let mut unit = Unit { index, from: None, staged: None, linked: Vec::new() };
            if new_dir {
                covered = self.end(index);
                self.new_directory(&mut unit, covered, taken, links)?;
            } else if change.new.is_some() && !change.is_dir() {
                self.file_unit(&mut unit, change, take, links)?;
            }
            units.push(unit);
        }
        Ok(units)
    }

    /// The index after the last change below one.
    fn end(&self, index: usize) -> usize {
        let Some(top) = self.set.changes.get(index) else { return index };
        let inside = |change: &Change| {
            change.root == top.root && crate::change::is_at_or_below(&change.path.0, &top.path.0)
        };
        let rest = self.set.changes.get(index..).unwrap_or_default();
        index + rest.iter().take_while(|change| inside(change)).count()
    }

    fn moves(&self, root: usize) -> bool {
        let can = self.workspace.about.roots.get(root).is_some_and(|root| root.can_rename);
        can && !self.options.copy
    }

    fn file_unit(
        &self,
        unit: &mut Unit,
        change: &Change,
        take: &Take,
        links: &HashMap<(usize, u64), u64>,
    ) -> Result<()> {
        let staged = match take {
            Take::Whole => None,
            Take::Content(content) => Some((content.clone(), false)),
            Take::Hunks(chosen) => {
                let text = crate::diff::Texts::read(self.sides, change)?;
                Some((text.with(chosen)?, true))
            }
        };
        if let Some((content, keep)) = staged {
            unit.from = Some(From::Staged { keep });
            unit.staged = Some(content);
            return Ok(());
        }
        let whole = match self.file(unit.index) {
            None => true,
            Some(key) => {
                unit.linked.push(key.1);
                links.get(&key) == change.new.map(|new| new.nlink).as_ref()
            }
        };
        let (_, name) = split(&change.path.0);
        let upper = self.directory_of(change)?;
        let plain = change.new.map_or(Ok(false), |new| is_plain(&upper, name, &new));
        let moves = whole && self.moves(change.root) && plain.step("look at", &change.path.0)?;
        unit.from = Some(if moves { From::Move } else { From::Copy });
        Ok(())
    }

    fn new_directory(
        &self,
        unit: &mut Unit,
        end: usize,
        taken: &BTreeMap<usize, Take>,
        links: &HashMap<(usize, u64), u64>,
    ) -> Result<()> {
        let Some(top) = self.set.changes.get(unit.index) else { return Ok(()) };
        let relative = |index: usize| {
            let path = &self.set.changes.get(index)?.path.0;
            path.get(top.path.0.len() + 1..).map(<[u8]>::to_vec)
        };
        let mut inside = HashMap::new();
        let (mut all, mut whole) = (true, true);
        for index in unit.index + 1..end {
            let is_taken = taken.contains_key(&index);
            all &= is_taken;
            let Some(path) = relative(index).filter(|_| is_taken) else { continue };
            if let Some(key) = self.file(index) {
                unit.linked.push(key.1);
                let nlink = self.set.changes.get(index).and_then(|c| c.new).map(|new| new.nlink);
                whole &= links.get(&key) == nlink.as_ref();
            }
            inside.insert(path, index);
        }
        let (_, name) = split(&top.path.0);
        let upper = self.directory_of(top)?;
        let seen = upper.at(name).and_then(|dir| self.is_exactly(&dir, b"", &mut inside.clone()));
        let seen = seen.step("look through", &top.path.0)?.filter(|_| all);
        let own = top.new.map_or(Ok(false), |new| is_plain(&upper, name, &new));
        let own = own.step("look at", &top.path.0)?;
        unit.from = Some(if seen.is_none() {
            let paths: BTreeSet<Vec<u8>> = inside.into_keys().collect();
            let trees = self.trees(unit.index, end, taken, &relative);
            let bytes = |all: Vec<Vec<u8>>| all.into_iter().map(Bytes).collect();
            From::Part { paths: bytes(paths.into_iter().collect()), trees: bytes(trees) }
        } else if whole && own && seen == Some(true) && self.moves(top.root) {
            From::Move
        } else {
            From::Copy
        });
        Ok(())
    }

    /// The largest trees below a directory of which all is taken.
    fn trees(
        &self,
        top: usize,
        end: usize,
        taken: &BTreeMap<usize, Take>,
        relative: &dyn Fn(usize) -> Option<Vec<u8>>,
    ) -> Vec<Vec<u8>> {
        let mut trees = Vec::new();
        let mut index = top + 1;
        while index < end {
            let below = self.end(index).min(end);
            let whole = (index..below).all(|index| taken.contains_key(&index));
            // A directory may hold what is no change: only files go as they are.
            let dir = self.set.changes.get(index).is_some_and(Change::is_dir);
            if whole && !dir {
                trees.extend(relative(index));
                index = below;
            } else {
                index += 1;
            }
        }
        trees
    }

    /// Whether a directory of the upper holds just what was shown and chosen: none when it does not,
    /// else whether all of it can be moved as it is.
    fn is_exactly(
        &self,
        dir: &Dir,
        path: &[u8],
        expected: &mut HashMap<Vec<u8>, usize>,
    ) -> std::result::Result<Option<bool>, Errno> {
        let mut all_plain = true;
        for name in dir.list()? {
            let path = join(path, &name);
            let index = expected.remove(&path);
            let change = index.and_then(|index| self.set.changes.get(index));
            let shown = change.and_then(|change| change.new).map(|new| new.id());
            let Some(meta) = dir.stat(&name)?.filter(|meta| shown == Some(meta.id())) else {
                return Ok(None);
            };
            all_plain &= is_plain(dir, &name, &meta)?;
            if meta.is_dir() {
                let Some(plain) = self.is_exactly(&dir.at(&name)?, &path, expected)? else {
                    return Ok(None);
                };
                all_plain &= plain;
            }
        }
        Ok((!path.is_empty() || expected.is_empty()).then_some(all_plain))
    }

    fn upper(&self, root: usize) -> Result<&Dir> {
        let lost = || Error::new(ErrorKind::Damaged, "the workspace has no such root".to_owned());
        self.sides.get(root).map(|sides| &sides.upper).ok_or_else(lost)
    }

    /// The directory of the upper that holds a change.
    fn directory_of(&self, change: &Change) -> Result<Rc<Dir>> {
        let gone =
            || Error::new(ErrorKind::Gone, format!("the directory of {} is gone", change.path));
        let cache = self.caches.get(change.root).ok_or_else(gone)?;
        cache.find(self.upper(change.root)?, split(&change.path.0).0)?.ok_or_else(gone)
    }

    /// What is committed is what was shown.
    fn check_upper(&self, change: &Change) -> Result<()> {
        let (dir, name) = split(&change.path.0);
        let cache = self.caches.get(change.root);
        let dir = match cache {
            Some(cache) => cache.find(self.upper(change.root)?, dir)?,
            None => None,
        };
        let now = match dir {
            Some(dir) => dir.stat(name).step("look at", &change.path.0)?,
            None => None,
        };
        let whiteout = change.new.is_none();
        let same = match now {
            None => whiteout,
            Some(now) if whiteout => now.is_whiteout() || now.kind == FileKind::File,
            Some(now) => change.new.map(|new| new.id()) == Some(now.id()),
        };
        if same {
            return Ok(());
        }
        let text = format!("{} has changed in the workspace since it was looked at", change.path);
        Err(Error::new(ErrorKind::Unusable, text).fix("look at it again, then repeat"))
    }

    /// Where one name of a file has to be copied, all are.
    fn unlink(&self, units: &mut [Unit]) {
        loop {
            let copied: HashSet<(usize, u64)> = units
                .iter()
                .filter(|unit| !matches!(unit.from, None | Some(From::Move)))
                .flat_map(|unit| {
                    let root = self.set.changes.get(unit.index).map_or(0, |change| change.root);
                    unit.linked.iter().map(move |ino| (root, *ino))
                })
                .collect();
            let mut changed = false;
            for unit in units.iter_mut().filter(|unit| unit.from == Some(From::Move)) {
                let root = self.set.changes.get(unit.index).map_or(0, |change| change.root);
                if unit.linked.iter().any(|ino| copied.contains(&(root, *ino))) {
                    unit.from = Some(From::Copy);
                    changed = true;
                }
            }
            if !changed {
                return;
            }
        }
    }

    fn write(&mut self, units: Vec<Unit>, taken: &BTreeMap<usize, Take>) -> Result<()> {
        self.plan.changes = taken.len();
        for index in taken.keys() {
            if let Some(old) = self.set.changes.get(*index).and_then(|change| change.old) {
                self.plan.old_bytes += if old.is_dir() { 0 } else { old.size };
            }
        }
        let mut directories: BTreeMap<(usize, Vec<u8>), bool> = BTreeMap::new();
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
                    directories.insert((change.root, path.clone()), true);
                    continue;
                }
            };
            above(self.sides, change.root, path, &mut directories)?;
            if let Some(content) = unit.staged {
                self.plan.staged.insert(self.plan.ops.len(), content);
            }
            let mode = |meta: Option<Meta>| meta.filter(Meta::is_dir).map(|meta| meta.safe_mode());
            let modes = (change.old.filter(Meta::is_dir).map(|old| old.mode), mode(change.new));
            self.push(change.root, path.clone(), act, modes);
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
        for ((root, path), own) in directories {
            let act = directory(self.sides, root, &path, own)?;
            self.push(root, path, act, (None, None));
        }
        Ok(())
    }

    fn push(&mut self, root: usize, path: Vec<u8>, act: Do, modes: (Option<u32>, Option<u32>)) {
        self.plan.ops.push(Op { n: self.plan.ops.len(), root, path: Bytes(path), act, modes });
    }
}

/// Whether what must not come out can be taken from it without a change of its mode.
fn is_plain(dir: &Dir, name: &[u8], meta: &Meta) -> std::result::Result<bool, Errno> {
    let writes = meta.mode & 0o200 != 0 || rustix::process::geteuid().is_root();
    Ok(writes || Xattrs::read(dir, name)?.stripped.is_empty())
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

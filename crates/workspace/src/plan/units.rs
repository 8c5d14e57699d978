//! Which changes go as one, and whether each is moved or copied.

use super::Planner;
use crate::change::{Change, ChangeKind};
use crate::dir::{Dir, join, split};
use crate::error::{Error, ErrorKind, Result, Step as _};
use crate::journal::From;
use crate::meta::{FileKind, Meta};
use crate::select::Take;
use crate::xattr::Xattrs;
use rustix::io::Errno;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::rc::Rc;
use swathe_record::bytes::Bytes;

/// A change that goes as one.
pub(super) struct Unit {
    pub index: usize,
    pub from: Option<From>,
    pub staged: Option<Vec<u8>>,
    /// Inodes with several names in it.
    linked: Vec<u64>,
}

impl Planner<'_> {
    pub(super) fn file(&self, index: usize) -> Option<(usize, u64)> {
        let change = self.set.changes.get(index)?;
        let new = change.new.filter(|new| new.kind != FileKind::Directory && new.nlink > 1)?;
        Some((change.root, new.ino))
    }

    pub(super) fn units(
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
                covered = self.set.end(index);
                self.new_directory(&mut unit, covered, taken, links)?;
            } else if change.new.is_some() && !change.is_dir() {
                self.file_unit(&mut unit, change, take, links)?;
            }
            units.push(unit);
        }
        Ok(units)
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
            let below = self.set.end(index).min(end);
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
    pub(super) fn unlink(&self, units: &mut [Unit]) {
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
}

/// Whether what must not come out can be taken from it without a change of its mode.
fn is_plain(dir: &Dir, name: &[u8], meta: &Meta) -> std::result::Result<bool, Errno> {
    let writes = meta.mode & 0o200 != 0 || rustix::process::geteuid().is_root();
    Ok(writes || Xattrs::read(dir, name)?.stripped.is_empty())
}

//! Takes changes out of a workspace without keeping them.

use crate::change::{ChangeKind, Changeset, Mark};
use crate::dir::Dir;
use crate::error::{Error, ErrorKind, Result, Step as _};
use crate::journal::{DirData, Do, Journal, OPEN, Op, Task};
use crate::select::{Selection, Take};
use crate::store::Held;
use crate::work::{Place, Work};
use rustix::io::Errno;
use serde::Serialize;
use std::collections::BTreeMap;
use swathe_record::bytes::Bytes;

/// What a discard did, or with `dry_run` would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Discarded {
    /// Files and trees that were taken out.
    pub steps: usize,
}

impl Held {
    /// Takes the chosen changes out of the workspace: the program sees what the host has there. A new
    /// directory goes when all that is in it is chosen. When it is interrupted, [`Held::resume`]
    /// ends it.
    ///
    /// # Errors
    /// The workspace is half committed, or the system refuses a step.
    pub fn discard(
        &self,
        set: &Changeset,
        selection: &Selection,
        dry_run: bool,
    ) -> Result<Discarded> {
        if crate::journal::is_open(&self.dir) {
            return Err(self.half_done());
        }
        let taken = closed(set, selection);
        let sides = (0..self.about.roots.len()).map(|n| self.sides(n));
        let sides = sides.collect::<Result<Vec<_>>>()?;
        let (mut ops, mut staged) = (Vec::new(), BTreeMap::new());
        let mut directories = BTreeMap::new();
        let (mut covered, mut tops) = (0, 0);
        for (&index, take) in &taken {
            let Some(change) = set.changes.get(index).filter(|c| c.part_of.is_none()) else {
                continue;
            };
            if index < covered {
                continue;
            }
            let new_dir = change.is_dir() && change.kind != ChangeKind::Modified;
            let end = below(set, index);
            if new_dir && !(index..end).all(|index| taken.contains_key(&index)) {
                continue;
            }
            let n = ops.len();
            // What could not be looked into goes as a whole: nothing else of it was shown.
            let blind = |mark: &Mark| matches!(mark, Mark::Unreadable | Mark::TooDeep);
            let mut unseen = change.marks.iter().any(blind);
            if let (true, Some(sides)) =
                (unseen && change.path.0.is_empty(), sides.get(change.root))
            {
                // Only the top stays, with what is in it.
                unseen = false;
                if dry_run {
                    tops += 1;
                    continue;
                }
                open_up(&sides.upper)?;
            }
            let act = match take {
                Take::Hunks(chosen) => {
                    let text = crate::diff::Texts::read(&sides, change)?;
                    staged.insert(n, text.without(chosen)?);
                    Do::Rewrite
                }
                Take::Whole | Take::Content(_) if change.is_dir() && !new_dir && !unseen => {
                    directories.insert((change.root, change.path.0.clone()), true);
                    continue;
                }
                Take::Whole | Take::Content(_) => {
                    covered = if new_dir { end } else { covered };
                    Do::Drop
                }
            };
            crate::plan::above(&sides, change.root, &change.path.0, &mut directories)?;
            let (root, path) = (change.root, Bytes(change.path.0.clone()));
            ops.push(Op::new(n, root, path, act));
        }
        let steps = tops + ops.len() + directories.values().filter(|own| **own).count();
        for ((root, path), own) in directories {
            let mut act = crate::plan::directory(&sides, root, &path, own)?;
            if let (true, Do::Directory { old, upper, .. }) = (own, &mut act) {
                // What it is in the end: as the host's.
                *upper = Some(old.clone());
            }
            ops.push(Op::new(ops.len(), root, Bytes(path), act));
        }
        if !dry_run && steps > 0 {
            drop(sides);
            let journal = Journal::new(Task::Discard, false, ops)?;
            let work = Work::open(self, &journal)?;
            crate::commit::stage(&self.dir, &journal, &staged)?;
            journal.begin(&self.dir)?;
            self.drop_all(&work, &journal)?;
        }
        Ok(Discarded { steps })
    }

    /// Takes everything out of the workspace, whatever it is, without looking at it.
    ///
    /// # Errors
    /// The workspace is half committed, or the system refuses a step.
    pub fn discard_all(&self) -> Result<()> {
        if crate::journal::is_open(&self.dir) {
            return Err(self.half_done());
        }
        let journal = Journal::new(Task::DiscardAll, false, Vec::new())?;
        let work = Work::open(self, &journal)?;
        journal.begin(&self.dir)?;
        self.drop_all(&work, &journal)
    }

    pub(crate) fn drop_all(&self, work: &Work<'_>, journal: &Journal) -> Result<()> {
        let run = || -> Result<()> {
            match journal.head.task {
                Task::DiscardAll => work.places.iter().try_for_each(empty)?,
                _ => {
                    crate::prepare::open_directories(work, journal, false)?;
                    crate::prepare::spread(work, journal)?;
                    for op in &journal.ops {
                        drop_one(work, journal, op)?;
                    }
                    crate::apply::prune_all(work, journal)?;
                }
            }
            work.sync()?;
            self.forget(work, journal)
        };
        run().map_err(|error| {
            let id = &self.about.id;
            let cause = error.fix.as_deref().map_or(String::new(), |fix| format!("{fix}; "));
            error.fix(format!(
                "{cause}the discard is half done: swathe commit --resume {id} ends it"
            ))
        })
    }
}

/// The choice with the tops of what goes only as a whole.
fn closed(set: &Changeset, selection: &Selection) -> BTreeMap<usize, Take> {
    let mut taken: BTreeMap<usize, Take> =
        selection.iter().map(|(index, take)| (index, take.clone())).collect();
    for index in taken.keys().copied().collect::<Vec<_>>() {
        if let Some(top) = set.changes.get(index).and_then(|change| change.part_of) {
            taken.insert(top, Take::Whole);
        }
    }
    taken
}

fn below(set: &Changeset, index: usize) -> usize {
    let Some(top) = set.changes.get(index) else { return index };
    let rest = set.changes.get(index..).unwrap_or_default();
    let inside = |change: &&crate::change::Change| {
        change.root == top.root && crate::change::is_at_or_below(&change.path.0, &top.path.0)
    };
    index + rest.iter().take_while(inside).count()
}

fn drop_one(work: &Work<'_>, journal: &Journal, op: &Op) -> Result<()> {
    let place = work.place(op)?;
    let path = &op.path.0;
    let Some(at) = place.upper(path)? else { return Ok(()) };
    let put_away = place.saved(&format!("up-{}", op.n));
    match &op.act {
        Do::Drop if put_away.id()?.is_none() => {
            at.rename(&put_away)?;
        }
        Do::Rewrite => {
            let new = place.saved(&format!("new-{}", op.n));
            if at.id()?.is_some() && put_away.id()?.is_none() {
                new.remove()?;
                let content = crate::commit::staged(&work.workspace.dir, journal, op.n)?;
                crate::prepare::write_staged(content, &at, &new).step("write", path)?;
                if at.exchange(&new)? {
                    new.rename(&put_away)?;
                }
            }
        }
        _ => {}
    }
    Ok(())
}

/// Lets its owner do everything in an upper directory.
fn open_up(upper: &Dir) -> Result<()> {
    let mode = upper.meta().step("look at", b"upper")?.mode;
    if mode & 0o700 == 0o700 {
        return Ok(());
    }
    upper.chmod(b"", mode | 0o700).step("set the mode of", b"upper")
}

/// Empties an upper directory.
fn empty(place: &Place) -> Result<()> {
    let upper = &place.sides.upper;
    open_up(upper)?;
    let mut number = 0_u64;
    for name in upper.list().step("list", b"upper")? {
        loop {
            let kept = place.saved(&format!("all-{number}"));
            match upper.rename(&name, &kept.dir, &kept.name) {
                Ok(()) | Err(Errno::NOENT) => break,
                Err(Errno::EXIST) => number += 1,
                // To move a directory its owner has to be able to write to it.
                Err(Errno::ACCESS) if number < u64::MAX => {
                    upper.chmod(&name, 0o700).step("set the mode of", &name)?;
                }
                Err(errno) => return Err(Error::system("discard", &name, errno)),
            }
        }
    }
    let attributes = crate::xattr::Xattrs::read(upper, b"").step("look at", b"upper")?;
    for attribute in attributes.stripped {
        crate::xattr::remove(upper, b"", &attribute).step("clear", b"upper")?;
    }
    let data = DirData::of(&place.sides.lower, true).step("look at", b"")?;
    crate::apply::directory(upper, b"", &data, None).map(drop)
}

impl Held {
    /// Says in words what else is given up when the workspace is removed: what an interrupted change
    /// has not done. None: nothing was interrupted.
    ///
    /// # Errors
    /// It cannot be removed: a commit is half done, and can be ended or taken back.
    pub fn gives_up(&self) -> Result<Option<String>> {
        if !crate::journal::is_open(&self.dir) {
            return Ok(None);
        }
        let mut gone = Vec::new();
        for (number, root) in self.about.roots.iter().enumerate() {
            match self.sides(number) {
                Err(error) if error.kind == ErrorKind::Gone => gone.push(root.path.to_string()),
                _ => {}
            }
        }
        let all_gone = gone.len() == self.about.roots.len();
        match Journal::read(&self.dir, OPEN) {
            // It changes nothing but the workspace.
            Ok(Some(journal)) if journal.head.task != Task::Commit => {
                Ok(Some("the rest of a discard that was interrupted".to_owned()))
            }
            _ if all_gone => Ok(Some(format!(
                "a commit that was interrupted: {} is not there any more, so that it can neither be \
                 ended nor taken back; the old versions that it had saved go, too",
                gone.join(", ")
            ))),
            Ok(Some(_)) if !gone.is_empty() => Err(self.half_done().fix(format!(
                "put {} back where it was, then swathe commit --resume {} ends it; the old versions \
                 that it saved of files in the other directories are needed until then",
                gone.join(", "),
                self.about.id
            ))),
            Ok(_) => Err(self.half_done()),
            Err(error) => Err(error),
        }
    }

    /// Removes the workspace with all that is in it.
    ///
    /// # Errors
    /// As [`Self::gives_up`], or the system refuses a step.
    pub fn remove(self, store: &crate::Store) -> Result<()> {
        self.gives_up()?;
        for root in &self.about.roots {
            crate::area::remove(root)?;
        }
        let (dir, _) = store.parts();
        let name = self.about.id.as_bytes();
        if dir.at(name).and_then(|dir| dir.meta()).ok() != self.dir.meta().ok() {
            let text = format!("{} is not a workspace of this store", self.about.id);
            return Err(Error::new(ErrorKind::Unusable, text));
        }
        crate::remove::away(dir, name)
    }
}

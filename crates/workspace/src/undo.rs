//! Takes the last commit back: the host gets its old versions, the workspace the changes.

use crate::apply::{Step, directory, modes, prune};
use crate::base::{Base, Entry};
use crate::commit::{Left, Why};
use crate::copy::{Copier, Filter};
use crate::dir::{Dir, join, split};
use crate::error::{Error, ErrorKind, Result, Step as _};
use crate::journal::{DirData, Do, From, Journal, LAST, Note, OPEN, Op, Task};
use crate::meta::{FileKind, Id};
use crate::store::{Held, Workspace};
use crate::work::{At, Work, is};
use rustix::io::Errno;
use serde::Serialize;
use std::collections::HashSet;

/// A commit that can be undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Saved {
    /// Seconds since 1970 when it was made.
    pub time: u64,
    /// Files and trees that it put in place or deleted.
    pub steps: usize,
}

/// What an undo did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Undone {
    /// Files and trees that are as before the commit.
    pub steps: usize,
    /// What was changed on the host since the commit, and stays as it is. Its old version is kept
    /// until the next commit or collection.
    pub left: Vec<Left>,
}

impl Workspace {
    /// The commit that an undo would take back; none: nothing was kept.
    ///
    /// # Errors
    /// Its record cannot be read.
    pub fn saved(&self) -> Result<Option<Saved>> {
        let steps = |journal: &Journal| {
            let moves = journal.ops.iter().filter(|op| !matches!(op.act, Do::Directory { .. }));
            moves.count()
        };
        let last = Journal::read(&self.dir, LAST)?;
        Ok(last.map(|journal| Saved { time: journal.head.time, steps: steps(&journal) }))
    }
}

impl Held {
    /// Takes back the commit that was interrupted, or else the last one. The changes are in the
    /// workspace again. When it is interrupted, [`Held::resume`] ends it.
    ///
    /// # Errors
    /// Nothing was kept, a discard was interrupted, or the system refuses a step.
    pub fn undo(&self) -> Result<Undone> {
        let (mut journal, open) = match Journal::read(&self.dir, OPEN)? {
            Some(journal) if journal.head.task != Task::Commit => return Err(self.half_done()),
            Some(journal) => (journal, true),
            None => match Journal::read(&self.dir, LAST)? {
                Some(journal) => (journal, false),
                None => {
                    let text = format!("nothing of a commit of {} is kept", self.about.id);
                    return Err(Error::new(ErrorKind::Gone, text).fix(
                        "only the last commit can be undone, while its saved copies are kept",
                    ));
                }
            },
        };
        if open && journal.dropping {
            let text = "the old versions are being removed already".to_owned();
            let id = &self.about.id;
            return Err(Error::new(ErrorKind::Gone, text)
                .fix(format!("swathe commit --resume {id} ends the commit")));
        }
        // Where a root is gone nothing is begun.
        let work = Work::open(self, &journal)?;
        if !journal.undo {
            journal.note(&self.dir, if open { OPEN } else { LAST }, &[Note::Undo])?;
            journal.undo = true;
        }
        if !open {
            rustix::fs::renameat(&self.dir, LAST, &self.dir, OPEN).step("rename", LAST)?;
            self.dir.sync().step("write", OPEN)?;
        }
        self.take_back(&work, &journal)
    }

    pub(crate) fn take_back(&self, work: &Work<'_>, journal: &Journal) -> Result<Undone> {
        let mut undone = Undone::default();
        if !journal.ready {
            crate::prepare::remove(work, journal)?;
            self.forget(work, journal)?;
            return Ok(undone);
        }
        crate::prepare::open_directories(work, journal, true)?;
        let mut restored = HashSet::new();
        let left = |op: &Op| Left { root: op.root, path: op.path.clone(), why: Why::Late };
        for op in journal.ops.iter().rev() {
            let step = Step { place: work.place(op)?, journal, op, first: false };
            let done = match &op.act {
                Do::Put { from, old, .. } => step.put_back(from, old.as_ref())?,
                Do::Delete { old } => step.undelete(old)?,
                _ => continue,
            };
            if done {
                undone.steps += 1;
                restored.insert(op.n);
            } else {
                undone.left.push(left(op));
            }
        }
        for op in self.directories_back(work, journal)? {
            if op.1 {
                restored.insert(op.0.n);
            } else {
                undone.left.push(left(op.0));
            }
        }
        self.note_restored(work, journal, &restored)?;
        work.sync()?;
        if undone.left.is_empty() {
            self.forget(work, journal)?;
        } else {
            rustix::fs::renameat(&self.dir, OPEN, &self.dir, LAST).step("rename", OPEN)?;
            self.dir.sync().step("write", LAST)?;
        }
        Ok(undone)
    }

    /// Gives directories their data back. Of those whose own data the commit had changed, whether
    /// they have it: others were changed on the host since.
    fn directories_back<'j>(
        &self,
        work: &Work<'_>,
        journal: &'j Journal,
    ) -> Result<Vec<(&'j Op, bool)>> {
        let modes = modes(journal);
        let mut own = Vec::new();
        for op in journal.ops.iter().rev() {
            let Do::Directory { old, new, upper } = &op.act else { continue };
            let place = work.place(op)?;
            let done = directory(&place.sides.lower, &op.path.0, old, Some(new))?;
            if new.xattrs.is_some() {
                own.push((op, done));
            }
            let Some(upper) = upper else { continue };
            if new.xattrs.is_some() {
                upper_parents(&place.sides.upper, &place.sides.lower, &op.path.0)?;
            }
            prune(place, (op.root, &op.path.0), upper, &modes)?;
        }
        Ok(own)
    }

    /// What lies below has new inodes or times of last change. What is not restored is not known to
    /// the workspace as it is now, and what was in conflict before is so again.
    fn note_restored(
        &self,
        work: &Work<'_>,
        journal: &Journal,
        restored: &HashSet<usize>,
    ) -> Result<()> {
        for (number, place) in work.places.iter().enumerate() {
            let base = self.base(number)?;
            let mut noted =
                Restored { lower: &place.sides.lower, known: None, patches: Vec::new() };
            let own = |op: &&Op| op.root == number && restored.contains(&op.n);
            for op in journal.ops.iter().filter(own) {
                noted.known = base.as_ref().filter(|_| op.conflict);
                if op.conflict {
                    noted.patches.push((op.path.0.clone(), op.base));
                    noted.below(&op.path.0)?;
                } else {
                    noted.tree(op.path.0.clone(), !place.moves)?;
                }
                if let Do::Put { from: From::Part { paths, .. }, .. } = &op.act {
                    for below in paths {
                        noted.tree(join(&op.path.0, &below.0), false)?;
                    }
                }
            }
            crate::snapshot::patch(self, number, &noted.patches)?;
        }
        Ok(())
    }
}

/// Notes what is on the host again.
struct Restored<'a> {
    lower: &'a Dir,
    /// Where the host had changed something: only what is as it was recorded is noted.
    known: Option<&'a Base>,
    patches: Vec<(Vec<u8>, Option<Entry>)>,
}

impl Restored<'_> {
    fn tree(&mut self, path: Vec<u8>, deep: bool) -> Result<()> {
        let entry = crate::snapshot::entry(self.lower, &path)?;
        if self.known.is_none_or(|known| known.find(&path).is_like(entry.as_ref())) {
            self.patches.push((path.clone(), entry));
        }
        let is_dir = entry.is_some_and(|entry| entry.kind == FileKind::Directory);
        if deep && !path.is_empty() && is_dir { self.below(&path) } else { Ok(()) }
    }

    fn below(&mut self, path: &[u8]) -> Result<()> {
        let dir = match self.lower.find(path) {
            // It is a file.
            Ok(None) | Err(Errno::NOTDIR) => return Ok(()),
            Ok(Some(dir)) => dir,
            Err(errno) => return Err(Error::system("open", path, errno)),
        };
        for name in dir.list().step("list", path)? {
            self.tree(join(path, &name), true)?;
        }
        Ok(())
    }
}

/// Makes the directories of a path in the upper that are not there, with the host's data. The last
/// one is open for its owner: it is one of the plan's, which get their modes at the end.
pub(crate) fn upper_parents(upper: &Dir, lower: &Dir, path: &[u8]) -> Result<()> {
    let mut missing = Vec::new();
    let mut at = path;
    while !at.is_empty() && upper.find(at).step("open", at)?.is_none() {
        missing.push(at);
        at = split(at).0;
    }
    let mut made = Vec::new();
    for path in missing.into_iter().rev() {
        let (above, name) = split(path);
        let Some(host) = lower.find(path).step("open", path)? else { return Ok(()) };
        let dir = upper.at(above).step("open", above)?;
        if dir.stat(name).step("look at", path)?.is_some() {
            return Ok(());
        }
        let mtime = dir.meta().step("look at", above)?.mtime;
        dir.mkdir(name, 0o700).step("make", path)?;
        dir.touch(b"", mtime).step("set the time of", above)?;
        let data = DirData::of(&host, true).step("look at", path)?;
        directory(upper, path, &DirData { mode: data.mode | 0o300, ..data.clone() }, None)?;
        made.push((path, data));
    }
    made.pop();
    made.iter().rev().try_for_each(|(path, data)| directory(upper, path, data, None).map(drop))
}

/// Whether a file is an old version or a copy of it.
fn is_like(found: Option<Id>, old: &Id) -> bool {
    found.is_some_and(|found| Id { ino: old.ino, ..found } == *old)
}

impl Step<'_> {
    fn put_back(&self, from: &From, old: Option<&Id>) -> Result<bool> {
        let Some(at) = self.place.lower(&self.op.path.0)? else {
            return Ok(false);
        };
        let aside = at.beside(self.journal.temporary(self.op.n));
        let saved = self.place.saved(&self.op.n.to_string());
        let now = at.id()?;
        for held in [&aside, &saved] {
            self.gone(held).remove()?;
        }
        if !self.is_new(now) {
            for held in [&aside, &saved] {
                if self.is_new(held.id()?) {
                    at.settle(self.op.modes.0)?;
                    return self.give_back(from, held);
                }
            }
            at.settle(self.op.modes.0)?;
            self.settle_waiting(from)?;
            return Ok(match old {
                Some(old) => is_like(now, old),
                None => now.is_none(),
            });
        }
        if !now.is_some_and(|now| self.journal.is_untouched(self.op, &now)) {
            return Ok(false);
        }
        let Some(old) = old else { return self.give_back(from, &at) };
        let source = if saved.id()?.is_some() && !self.place.moves {
            // What is beside the place can be half removed: the saved copy is whole.
            self.copy_back(&saved, &aside)?;
            aside
        } else {
            match self.waiting(from)? {
                // It was interrupted before the old version was saved.
                Some(waiting) if is(waiting.id()?, old) => waiting,
                _ => saved,
            }
        };
        if !is_like(source.id()?, old) || !self.exchange(&source, &at)? {
            return Ok(false);
        }
        if !source.id()?.is_some_and(|id| self.journal.is_untouched(self.op, &id)) {
            self.exchange(&source, &at)?;
            return Ok(false);
        }
        at.settle(self.op.modes.0)?;
        self.give_back(from, &source)
    }

    /// A directory of the upper that was opened to be moved, and was not.
    fn settle_waiting(&self, from: &From) -> Result<()> {
        let moves = matches!(from, From::Move);
        let waiting = moves.then(|| self.place.upper(&self.op.path.0)).transpose()?.flatten();
        match waiting {
            Some(waiting) if self.is_new(waiting.id()?) => waiting.settle(self.op.modes.1),
            _ => Ok(()),
        }
    }

    /// Makes a copy of a saved version beside its place.
    fn copy_back(&self, saved: &At, aside: &At) -> Result<()> {
        let part = aside.beside([&aside.name[..], b".part"].concat());
        part.remove()?;
        aside.remove()?;
        let path = join(split(&self.op.path.0).0, &part.name);
        let root = self.place.sides.lower.at(b"").step("open", &path)?;
        Copier::new(true, root)
            .tree((&saved.dir, &saved.name), &part.dir, &path, &Filter::All)
            .step("restore", &self.op.path.0)?;
        part.rename(aside)?;
        Ok(())
    }

    /// Brings the program's version back to the upper. `new`: where the one from the host is.
    fn give_back(&self, from: &From, new: &At) -> Result<bool> {
        let path = &self.op.path.0;
        let (upper, lower) = (&self.place.sides.upper, &self.place.sides.lower);
        if self.place.upper(path)?.is_none() {
            upper_parents(upper, lower, split(path).0)?;
        }
        match from {
            From::Move => {
                let Some(place) = self.place.upper(path)? else { return Ok(false) };
                // After an interruption it can be there already.
                if self.is_new(place.id()?) || new.rename(&place)? {
                    place.settle(self.op.modes.1)?;
                    return Ok(true);
                }
                // A later run has made another version: this one goes when the undo is over.
                if new.name == self.op_name() {
                    new.rename(&self.place.saved(&format!("late-{}", self.op.n)))?;
                }
                return Ok(true);
            }
            From::Copy | From::Staged { keep: false } => self.take_out(path)?,
            From::Staged { keep: true } => {}
            From::Part { paths, trees } => {
                let (dir, name) = (&new.dir, &new.name);
                let model = dir.find(name).step("open", path)?;
                self.open_part(paths)?;
                if let Some(model) = &model {
                    let below = paths.iter().map(|path| &path.0[..]);
                    self.part_parents(model, std::iter::once(&b""[..]).chain(below))?;
                }
                for (index, tree) in trees.iter().enumerate() {
                    let kept = self.place.saved(&format!("up-{}-{index}", self.op.n));
                    if let Some(place) = At::find(upper, &join(path, &tree.0))? {
                        kept.rename(&place)?;
                    }
                }
                if let Some(model) = &model {
                    self.close_part(paths, model)?;
                }
                self.place.forget();
            }
        }
        // Under another name first: half of it says nothing about the modes of what was in it.
        let gone = self.gone(new);
        gone.remove()?;
        new.rename(&gone)?;
        gone.remove()?;
        Ok(true)
    }

    /// The name under which what was given back is removed.
    fn gone(&self, new: &At) -> At {
        let name = [&self.journal.temporary(self.op.n)[..], b".gone"].concat();
        let here = new.name == self.op_name() || new.name == self.journal.temporary(self.op.n);
        if here { new.beside(name) } else { self.place.saved(&format!("{}.gone", self.op.n)) }
    }

    fn op_name(&self) -> &[u8] {
        split(&self.op.path.0).1
    }

    /// Makes the directories of a part that are not in the upper any more.
    fn part_parents<'p>(&self, tree: &Dir, paths: impl Iterator<Item = &'p [u8]>) -> Result<()> {
        for below in paths {
            let Some(model) = tree.find(below).step("open", below)? else { continue };
            let path = if below.is_empty() {
                self.op.path.0.clone()
            } else {
                join(&self.op.path.0, below)
            };
            let Some(at) = At::find(&self.place.sides.upper, &path)? else { continue };
            if at.id()?.is_some() {
                continue;
            }
            at.dir.mkdir(&at.name, 0o700).step("make", &path)?;
            let data = DirData::of(&model, true).step("look at", &path)?;
            let open = DirData { mode: data.mode | 0o300, ..data };
            directory(&self.place.sides.upper, &path, &open, None)?;
        }
        Ok(())
    }

    /// Brings back what was put away of the upper.
    fn take_out(&self, path: &[u8]) -> Result<()> {
        let kept = self.place.saved(&format!("up-{}", self.op.n));
        if let Some(place) = self.place.upper(path)? {
            kept.rename(&place)?;
            place.settle(self.op.modes.1)?;
        }
        Ok(())
    }

    fn undelete(&self, old: &Id) -> Result<bool> {
        let path = &self.op.path.0;
        let Some(at) = self.place.lower(path)? else { return Ok(false) };
        let aside = at.beside(self.journal.temporary(self.op.n));
        let saved = self.place.saved(&self.op.n.to_string());
        let now = at.id()?;
        let restored = match now {
            Some(_) => is_like(now, old),
            None => {
                let source = if self.place.moves {
                    saved
                } else {
                    // What is beside the place can be half removed: a saved copy is whole.
                    if saved.id()?.is_some() {
                        self.copy_back(&saved, &aside)?;
                    }
                    aside
                };
                // Nothing there: the host had deleted it itself.
                source.id()?.is_none() || source.rename(&at)?
            }
        };
        if restored {
            at.settle(self.op.modes.0)?;
            if self.place.upper(path)?.is_none() {
                upper_parents(&self.place.sides.upper, &self.place.sides.lower, split(path).0)?;
            }
            self.take_out(path)?;
        }
        Ok(restored)
    }
}

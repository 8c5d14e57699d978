//! Brings chosen changes to the host.

use crate::change::{Changeset, Conflict};
use crate::dir::{Dir, split};
use crate::error::{Error, ErrorKind, Result, Step as _};
use crate::journal::{Do, From, Journal, LAST, Note, OPEN, Task};
use crate::plan::{Plan, Planner};
use crate::scan::Sides;
use crate::select::Selection;
use crate::store::Held;
use crate::work::{Cache, Work};
use rustix::fs::OFlags;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write as _;
use swathe_record::bytes::Bytes;

/// How a commit is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommitOptions {
    /// Nothing is changed; the result says what would be.
    pub dry_run: bool,
    /// Files are copied although they could be renamed.
    pub copy: bool,
    /// The most bytes of old versions that are kept for an undo. With more none is kept.
    pub most_saved: u64,
}

impl Default for CommitOptions {
    fn default() -> Self {
        Self { dry_run: false, copy: false, most_saved: 1 << 30 }
    }
}

/// Why a change was left in the workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// The host changed it, too.
    Conflict(Conflict),
    /// What it is is never committed; its marks say why.
    Refused,
    /// Its new directory was left.
    Above,
    /// It is one half of a rename of which the other was left.
    Half,
    /// The host changed it while the commit was going on.
    Late,
}

/// A change that was chosen and left in the workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Left {
    /// Which directory of the workspace.
    pub root: usize,
    /// Relative to that directory.
    pub path: Bytes,
    /// Why.
    pub why: Why,
}

/// What a commit did.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Committed {
    /// Changes that are on the host now.
    pub changes: usize,
    /// Steps that moved files or trees.
    pub moved: usize,
    /// Steps that copied files or trees.
    pub copied: usize,
    /// Steps that deleted files or trees.
    pub deleted: usize,
    /// What was chosen and is still in the workspace.
    pub left: Vec<Left>,
    /// Whether the old versions were kept, so that the commit can be undone.
    pub saved: bool,
    /// Bytes of the old versions.
    pub old_bytes: u64,
}

impl Held {
    /// Brings the chosen changes of a change set to the host, and takes them out of the workspace.
    /// What the host changed since the run began stays as it is, unless the selection says otherwise.
    /// Nothing may use the overlay. When it is interrupted, [`Held::resume`] ends it and
    /// [`Held::undo`] takes it back.
    ///
    /// # Errors
    /// The workspace changed since it was looked at, is half committed, or the system refuses a
    /// step. Before the first file of the host was changed, everything is as before; after that the
    /// commit can be resumed.
    pub fn commit(
        &self,
        set: &Changeset,
        selection: &Selection,
        options: &CommitOptions,
    ) -> Result<Committed> {
        if crate::journal::is_open(&self.dir) {
            return Err(self.half_done());
        }
        if set.live {
            let text = "the changes were listed while a run was going on".to_owned();
            return Err(Error::new(ErrorKind::Unusable, text)
                .fix("look at them again now that it has ended, then repeat"));
        }
        let sides = (0..self.about.roots.len()).map(|n| self.sides(n));
        let sides = sides.collect::<Result<Vec<_>>>()?;
        let caches = sides.iter().map(|_| Cache::default()).collect();
        let plan = Plan::default();
        let bases = std::collections::HashMap::new();
        let planner = Planner { workspace: self, sides: &sides, set, options, plan, caches, bases };
        let mut plan = planner.run(selection)?;
        let left = std::mem::take(&mut plan.left);
        let saved = plan.old_bytes <= options.most_saved;
        let (changes, old_bytes) = (plan.changes, plan.old_bytes);
        let staged = std::mem::take(&mut plan.staged);
        let journal = Journal::new(Task::Commit, saved, plan.ops)?;
        let nothing = journal.ops.is_empty();
        let mut done = if options.dry_run || nothing {
            counted(&journal, &vec![true; journal.ops.len()])
        } else {
            self.take_modes(set, &sides, &journal, &staged)?;
            drop(sides);
            let work = Work::open(self, &journal)?;
            stage(&self.dir, &journal, &staged)?;
            journal.begin(&self.dir)?;
            self.carry_out(&work, journal, true)?
        };
        done.changes = changes.saturating_sub(done.left.len());
        done.left.splice(0..0, left);
        done.saved = saved && !nothing;
        done.old_bytes = old_bytes;
        Ok(done)
    }

    /// Gives the program's version of what is merged the permission bits that only the host changed:
    /// the new version gets those of the program's.
    fn take_modes(
        &self,
        set: &Changeset,
        sides: &[Sides],
        journal: &Journal,
        staged: &BTreeMap<usize, Vec<u8>>,
    ) -> Result<()> {
        for op in staged.keys().filter_map(|n| journal.ops.get(*n)) {
            let change = set.find(op.root, &op.path.0).and_then(|index| set.changes.get(index));
            let Some(change) = change.filter(|change| change.conflict.is_some()) else { continue };
            let Some(mode) = crate::diff::merged_mode(self, change)? else { continue };
            if change.new.is_some_and(|new| new.mode != mode)
                && let Some(sides) = sides.get(op.root)
            {
                let (dir, name) = split(&op.path.0);
                let dir = sides.upper.at(dir).step("open", dir)?;
                dir.chmod(name, mode).step("set the mode of", &op.path.0)?;
            }
        }
        Ok(())
    }

    /// Makes what is to be made, then changes the host.
    fn carry_out(&self, work: &Work, mut journal: Journal, fresh: bool) -> Result<Committed> {
        let first = !journal.ready;
        if first {
            match crate::prepare::all(work, &journal, fresh) {
                Ok(made) => {
                    let mut notes: Vec<Note> =
                        made.iter().map(|(n, id)| Note::Made { n: *n, id: *id }).collect();
                    notes.push(Note::Ready);
                    work.sync()?;
                    journal.note(&self.dir, OPEN, &notes)?;
                    journal.made = made;
                    journal.ready = true;
                }
                Err(error) => {
                    // The host is as before: so shall be the workspace. If even that fails, the
                    // journal stays, and the commit is resumed or undone later.
                    if crate::prepare::remove(work, &journal).is_ok() {
                        self.forget(work, &journal)?;
                    }
                    return Err(error);
                }
            }
        }
        let done =
            crate::apply::all(work, &journal, first).map_err(|error| self.interrupted(error))?;
        if !journal.head.saved && !journal.dropping {
            journal
                .note(&self.dir, OPEN, &[Note::Dropping])
                .map_err(|error| self.interrupted(error))?;
        }
        crate::apply::tidy(work, &journal, &done, first)
            .and_then(|()| crate::apply::settle(work, &journal, &done, first))
            .map_err(|error| self.interrupted(error))?;
        self.finish(work, &journal).map_err(|error| self.interrupted(error))?;
        Ok(counted(&journal, &done))
    }

    pub(crate) fn interrupted(&self, error: Error) -> Error {
        let cause = error.fix.as_deref().map_or(String::new(), |fix| format!("{fix}; "));
        let id = &self.about.id;
        error.fix(format!(
            "{cause}the commit is half done: swathe commit --resume {id} ends it, \
             swathe commit --undo {id} takes it back"
        ))
    }

    /// Ends a commit: its journal becomes that of the last one, and what was saved before goes.
    fn finish(&self, work: &Work, journal: &Journal) -> Result<()> {
        if journal.head.saved {
            rustix::fs::renameat(&self.dir, OPEN, &self.dir, LAST).step("rename", OPEN)?;
        } else {
            // The old versions go, and with them what could be undone before.
            work.remove_saved(None)?;
            self.dir.unlink(LAST).step("remove", LAST)?;
            self.dir.unlink(OPEN).step("remove", OPEN)?;
        }
        self.dir.sync().step("write", LAST)?;
        unstage(&self.dir, journal)?;
        let keep = journal.head.saved.then_some(journal.head.id.as_bytes());
        work.remove_saved(keep)
    }

    /// Drops a journal that changed nothing.
    pub(crate) fn forget(&self, work: &Work, journal: &Journal) -> Result<()> {
        self.dir.unlink(OPEN).step("remove", OPEN)?;
        self.dir.sync().step("write", OPEN)?;
        unstage(&self.dir, journal)?;
        work.remove_own(journal)
    }

    /// Ends what was interrupted: a commit, an undo or a discard. None: nothing was.
    ///
    /// # Errors
    /// A root is gone or another directory, or the system refuses a step.
    pub fn resume(&self) -> Result<Option<Committed>> {
        let Some(journal) = Journal::read(&self.dir, OPEN)? else { return Ok(None) };
        match journal.head.task {
            Task::Commit if journal.undo => {
                let work = Work::open(self, &journal)?;
                self.take_back(&work, &journal)?;
                Ok(Some(Committed::default()))
            }
            Task::Commit => {
                let work = Work::open(self, &journal)?;
                self.carry_out(&work, journal, false).map(Some)
            }
            Task::Discard | Task::DiscardAll => {
                let work = Work::open(self, &journal)?;
                self.drop_all(&work, &journal)?;
                Ok(Some(Committed::default()))
            }
        }
    }
}

fn counted(journal: &Journal, done: &[bool]) -> Committed {
    let mut all = Committed { saved: journal.head.saved, ..Committed::default() };
    for (op, done) in journal.ops.iter().zip(done) {
        match &op.act {
            _ if !done => {
                let why = Why::Late;
                all.left.push(Left { root: op.root, path: op.path.clone(), why });
            }
            Do::Put { from: From::Move, .. } => all.moved += 1,
            Do::Put { .. } => all.copied += 1,
            Do::Delete { .. } => all.deleted += 1,
            Do::Directory { .. } | Do::Drop | Do::Rewrite => {}
        }
    }
    all.changes = all.moved + all.copied + all.deleted;
    all
}

fn stage_name(journal: &Journal) -> Vec<u8> {
    format!("stage-{}", journal.head.id).into_bytes()
}

/// Writes content that was put together, before the journal that needs it.
pub(crate) fn stage(dir: &Dir, journal: &Journal, staged: &BTreeMap<usize, Vec<u8>>) -> Result<()> {
    if staged.is_empty() {
        return Ok(());
    }
    let name = stage_name(journal);
    let write = || -> std::io::Result<()> {
        let stage = dir.make(&name, 0o700)?;
        for (n, content) in staged {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
            let mut file = File::from(stage.file(n.to_string().as_bytes(), flags, 0o600)?);
            file.write_all(content)?;
            file.sync_all()?;
        }
        Ok(stage.sync()?)
    };
    let written = write().step("write", &name);
    if written.is_err() {
        let _ = crate::remove::tree(dir, &name);
    }
    written
}

pub(crate) fn staged(dir: &Dir, journal: &Journal, n: usize) -> Result<File> {
    let name = stage_name(journal);
    let stage = dir.at(&name).step("open", &name)?;
    let file = stage.file(n.to_string().as_bytes(), OFlags::RDONLY, 0).step("open", &name)?;
    Ok(File::from(file))
}

pub(crate) fn unstage(dir: &Dir, journal: &Journal) -> Result<()> {
    let name = stage_name(journal);
    crate::remove::tree(dir, &name).step("remove", &name)
}

//! Removes what nobody needs any more.

use crate::dir::Dir;
use crate::error::{ErrorKind, Result, Step as _};
use crate::journal::{Journal, LAST};
use crate::store::{Held, State, Store};
use serde::Serialize;
use std::time::{SystemTime, UNIX_EPOCH};

/// How long a directory without `workspace.json` may be one that is just being made, in seconds.
const YOUNG: i64 = 60;

/// What is collected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GcOptions {
    /// Saved copies of commits older than so many seconds go. None: they stay.
    pub saved_older: Option<u64>,
    /// Workspaces of runs, not named ones, older than so many seconds go with all their changes.
    /// None: they stay as long as there is something in them.
    pub unnamed_older: Option<u64>,
    /// Nothing is removed; the result says what would be.
    pub dry_run: bool,
}

/// What was collected.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Collected {
    /// Workspaces that were removed.
    pub removed: Vec<String>,
    /// Workspaces whose saved copies or left-over files were removed.
    pub tidied: Vec<String>,
    /// Workspaces with an interrupted change: they have to be resumed or undone first.
    pub half_done: Vec<String>,
}

impl Store {
    /// Removes what nobody needs: saved copies that are too old, files that an interrupted change
    /// left in the store, workspaces of runs that hold nothing, and what is left of workspaces that
    /// were half made or half removed. What is in use is left alone.
    ///
    /// # Errors
    /// The store cannot be read, or the system refuses to remove something.
    pub fn gc(&self, options: &GcOptions) -> Result<Collected> {
        let mut all = Collected::default();
        for listed in self.list()? {
            match listed.state {
                State::InUse => {}
                State::HalfDone => all.half_done.push(listed.id),
                State::Broken(_) => {
                    if self.is_remains(&listed.id) {
                        if !options.dry_run {
                            let (dir, _) = self.parts();
                            let name = listed.id.as_bytes();
                            crate::remove::tree(dir, name).step("remove", name)?;
                        }
                        all.removed.push(listed.id);
                    }
                }
                State::Idle => {
                    let held = match self.find(&listed.id).and_then(crate::Workspace::hold) {
                        Ok(held) => held,
                        Err(error) if error.kind == ErrorKind::InUse => continue,
                        Err(error) => return Err(error),
                    };
                    self.collect(held, options, &mut all)?;
                }
            }
        }
        Ok(all)
    }

    fn collect(&self, held: Held, options: &GcOptions, all: &mut Collected) -> Result<()> {
        let id = held.about.id.clone();
        let old = |time: u64, bound: Option<u64>| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
            bound.is_some_and(|bound| now.saturating_sub(time) > bound)
        };
        let expired = old(held.about.created, options.unnamed_older);
        let saved = held.saved()?;
        let kept = saved.filter(|saved| !old(saved.time, options.saved_older));
        if !held.about.named && (expired || kept.is_none() && held.usage()?.inodes == 0) {
            if !options.dry_run {
                held.remove(self)?;
            }
            all.removed.push(id);
            return Ok(());
        }
        if held.tidy(kept.is_some(), options.dry_run)? {
            all.tidied.push(id);
        }
        Ok(())
    }

    /// Whether it has no description, is the user's and not being made.
    fn is_remains(&self, id: &str) -> bool {
        let (dir, path) = self.parts();
        let Ok(dir) = dir.at(id.as_bytes()) else { return false };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        let young = |dir: &Dir| {
            dir.meta().map_or(true, |meta| {
                meta.mtime.0 > i64::try_from(now).unwrap_or(i64::MAX).saturating_sub(YOUNG)
            })
        };
        crate::store::check_ours(&dir, &path.join(id)).is_ok()
            && matches!(dir.stat(b"workspace.json"), Ok(None))
            && !young(&dir)
    }
}

impl Held {
    /// Removes what an interrupted change left, and the saved copies unless they are kept. Whether
    /// there was something.
    fn tidy(&self, keep: bool, dry_run: bool) -> Result<bool> {
        let mut some = false;
        let last = if keep { Journal::read(&self.dir, LAST)? } else { None };
        for name in self.dir.list().step("list", b"")? {
            let left_over = name.starts_with(b"stage-") || name.ends_with(b".new");
            if left_over || name == LAST && !keep {
                some = true;
                if !dry_run {
                    crate::remove::tree(&self.dir, &name).step("remove", &name)?;
                }
            }
        }
        let keep = last.map(|journal| journal.head.id.into_bytes());
        for root in &self.about.roots {
            let area = Dir::open(root.area.as_path()).step("open", &root.area.0)?;
            let undo = area.make(b"undo", 0o700).step("open", &root.area.0)?;
            for name in undo.list().step("list", &root.area.0)? {
                if Some(&name) != keep.as_ref() {
                    some = true;
                    if !dry_run {
                        crate::remove::tree(&undo, &name).step("remove", &name)?;
                    }
                }
            }
        }
        Ok(some)
    }
}

//! Removes what nobody needs any more.

use crate::dir::Dir;
use crate::error::{ErrorKind, Result, Step as _};
use crate::journal::{Journal, LAST};
use crate::store::{Held, State, Store, check_ours};
use rustix::io::Errno;
use serde::Serialize;
use std::time::{SystemTime, UNIX_EPOCH};
use swathe_record::bytes::Bytes;

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
                            crate::remove::away(dir, listed.id.as_bytes())?;
                        }
                        all.removed.push(listed.id);
                    }
                }
                State::Idle => {
                    let held = match self.find(&listed.id).and_then(crate::Workspace::hold) {
                        Ok(held) => held,
                        Err(error) if matches!(error.kind, ErrorKind::InUse | ErrorKind::Gone) => {
                            continue;
                        }
                        Err(error) => return Err(error),
                    };
                    self.collect(held, options, &mut all)?;
                }
            }
        }
        self.collect_hidden(options, &mut all)?;
        Ok(all)
    }

    /// What was just being made or removed when its process was killed.
    fn collect_hidden(&self, options: &GcOptions, all: &mut Collected) -> Result<()> {
        let (store, path) = self.parts();
        for name in store.list().step("list", crate::dir::bytes(path))? {
            if !name.starts_with(crate::remove::HIDDEN) {
                continue;
            }
            let Some(dir) = store.find(&name).step("open", &name)? else { continue };
            let lock = crate::store::open_lock(&dir).ok();
            let held = lock.is_some_and(|lock| crate::store::is_held(&lock) != Ok(false));
            let shown = Bytes(name.clone());
            if held || is_young(&dir) || check_ours(&dir, &path.join(shown.as_path())).is_err() {
                continue;
            }
            if !options.dry_run {
                crate::remove::remains(store, &name)?;
            }
            all.removed.push(shown.to_string());
        }
        Ok(())
    }

    fn collect(&self, held: Held, options: &GcOptions, all: &mut Collected) -> Result<()> {
        let id = held.about.id.clone();
        // It was looked at before it was locked.
        if crate::journal::is_open(&held.dir) {
            all.half_done.push(id);
            return Ok(());
        }
        let old = |time: u64, bound: Option<u64>| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
            bound.is_some_and(|bound| now.saturating_sub(time) > bound)
        };
        let expired = old(held.about.created, options.unnamed_older);
        let saved = held.saved()?;
        let kept = saved.filter(|saved| !old(saved.time, options.saved_older));
        if !held.about.named && (expired || kept.is_none() && !held.may_hold_changes()) {
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
        check_ours(&dir, &path.join(id)).is_ok()
            && matches!(dir.stat(b"workspace.json"), Ok(None))
            && !is_young(&dir)
    }
}

/// Whether something was made or removed in a directory a moment ago.
fn is_young(dir: &Dir) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let since = i64::try_from(now).unwrap_or(i64::MAX).saturating_sub(YOUNG);
    dir.meta().map_or(true, |meta| meta.mtime.0 > since)
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
            let area = match Dir::open(root.area.as_path()) {
                // A removal was interrupted.
                Err(Errno::NOENT) => continue,
                other => other.step("open", &root.area.0)?,
            };
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{New, NewRoot};

    /// A commit that was begun and killed after the workspace was listed keeps what it needs.
    #[test]
    fn interrupted_since_it_was_listed() -> Result<()> {
        let dir = std::env::temp_dir().join(format!("swathe-gc-{}", std::process::id()));
        let root = dir.join("root");
        std::fs::create_dir_all(&root).step("make", b"root")?;
        let store = Store::open(&dir.join("store"))?;
        let roots = vec![NewRoot { path: root, candidates: Vec::new() }];
        let limits = crate::Limits::default();
        let held = store.create(&New { id: "w", named: false, run: "r", roots, limits })?;
        std::fs::write(held.path.join("journal"), "").step("write", b"journal")?;
        let mut all = Collected::default();
        store.collect(held, &GcOptions::default(), &mut all)?;
        let there = dir.join("store/w/journal").exists();
        std::fs::remove_dir_all(&dir).step("remove", b"root")?;
        assert!(there && all.half_done == ["w"], "{all:?}");
        Ok(())
    }
}

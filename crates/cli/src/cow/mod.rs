//! Copy-on-write: a run's changes go to a workspace, and the host sees nothing of them.

mod bounds;
mod collect;
mod copy;
mod options;
mod place;
mod store;

pub use options::CowOptions;
pub use store::{exists, names, remove, roots_of, store, stores, tidy};

use crate::out::{Failure, note, shown};
use crate::rundir;
use bounds::Watch;
use rustix::fd::AsFd as _;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use swathe_policy::Environment;
use swathe_policy::resolve::{Copied, CopyRoot, Place};
use swathe_workspace::{
    ErrorKind, Held, Limits, New, NewRoot, ScanOptions, SnapshotOptions, Store,
};

/// What becomes of the changes of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// They are kept for review.
    Yes,
    /// As `Yes`, and the sandbox outlives this process.
    Session,
    /// Nothing is run, or nothing is kept.
    No,
}

/// Where the changes of a run go.
#[derive(Debug)]
pub struct Workspace {
    /// None where they are thrown away.
    held: Option<Held>,
    copies: Vec<Copied>,
    /// Whether this run made it.
    made: bool,
    limits: Limits,
    env: Environment,
    /// What was copied, where that was asked for in the place of overlays.
    by_copy: Vec<ByCopy>,
}

/// A directory that was copied.
#[derive(Debug)]
struct ByCopy {
    host: PathBuf,
    upper: PathBuf,
    tree: PathBuf,
    copied: copy::Copied,
}

/// Copies a directory, and says so in its place.
fn by_copy(copied: &mut Copied) -> Result<ByCopy, Failure> {
    let Place::Overlay { upper, .. } = &copied.place else {
        return Err(Failure::new("a directory has no place for its copy"));
    };
    let (host, upper) = (copied.root.clone(), upper.clone());
    let tree = upper.with_file_name("copy");
    let found = copy::make(&host, &upper, &tree)?;
    let mounts = place::mounts_below(&host);
    copied.place = Place::Copy { tree: tree.clone(), mounts };
    Ok(ByCopy { host, upper, tree, copied: found })
}

/// A failure of the library.
pub fn failed(error: &swathe_workspace::Error) -> Failure {
    let failure = Failure::new(shown(&error.text));
    match &error.fix {
        Some(fix) => failure.hint(shown(fix)),
        None => failure,
    }
}

/// As [`failed`], of one workspace: says who uses it.
pub fn failed_on(name: &str, error: &swathe_workspace::Error) -> Failure {
    if error.kind != ErrorKind::InUse {
        return failed(error);
    }
    let running = rundir::running().unwrap_or_default();
    let user = running.into_iter().find(|state| state.workspace.as_deref() == Some(name));
    match user {
        Some(state) => {
            let id = shown(&state.id);
            let (what, end) = match state.session {
                Some(_) => ("the session", format!("swathe session stop {id}")),
                None => ("the run", format!("swathe kill {id}")),
            };
            Failure::new(format!(
                "the workspace {name} is in use by {what} {id} (pid {})",
                state.pid
            ))
            .hint(format!("wait until it has ended, or end it: {end}"))
        }
        None => Failure::new(format!("the workspace {name} is in use by another swathe"))
            .hint("a commit, a discard or a run of it goes on: repeat when that has ended"),
    }
}

/// Makes or finds the workspace of a run.
///
/// # Errors
/// It is in use, covers other directories, or overlays cannot work there.
pub fn prepare(
    options: &CowOptions,
    roots: &[CopyRoot],
    id: &str,
    env: &Environment,
    keep: Keep,
) -> Result<Option<Workspace>, Failure> {
    let limits = options.limits()?;
    let unused = [
        ("--workspace", options.workspace.is_some()),
        ("--cow-size", limits.bytes.is_some()),
        ("--cow-files", limits.inodes.is_some()),
        ("--cow-copy", options.cow_copy),
    ];
    if roots.is_empty() {
        return match unused.iter().find(|(_, used)| *used && keep != Keep::No) {
            Some((option, _)) => Err(Failure::new(format!(
                "{option}: nothing is changed on a copy"
            ))
            .hint("--cow keeps changes below the current directory apart, --cow=PATH others")),
            None => Ok(None),
        };
    }
    if keep == Keep::Session && limits != Limits::default() {
        return Err(Failure::new("the limits of a workspace are kept by who waits for its run")
            .hint("start the session without --cow-size and --cow-files"));
    }
    if keep == Keep::Session && options.cow_copy {
        return Err(Failure::new("what a session changes in a copy is collected by nobody")
            .hint("start the session without --cow-copy"));
    }
    if !options.cow_copy {
        roots.iter().try_for_each(|root| place::overlay_works(&root.path))?;
    }
    roots.iter().for_each(|root| place::note_foreign(&root.path));
    if keep == Keep::No || options.cow_discard {
        let nowhere = |root: &CopyRoot| Copied { root: root.path.clone(), place: Place::Nowhere };
        let copies = roots.iter().map(nowhere).collect();
        return Ok(Some(Workspace {
            held: None,
            copies,
            made: false,
            limits,
            env: env.clone(),
            by_copy: Vec::new(),
        }));
    }
    let store = store(env)?;
    let (held, made) = match &options.workspace {
        Some(name) if exists(env, name) => (find(&store, name, roots)?, false),
        named => (make(&store, named.as_deref(), roots, id, env, limits)?, true),
    };
    let mut workspace = Workspace {
        held: Some(held),
        copies: Vec::new(),
        by_copy: Vec::new(),
        made,
        limits,
        env: env.clone(),
    };
    let Some(held) = &workspace.held else { return Ok(None) };
    if held.about().limits != Limits::default() && (keep == Keep::Session || options.cow_copy) {
        let name = &held.about().id;
        let what = if options.cow_copy { "of a copy" } else { "of a session" };
        return Err(Failure::new(format!(
            "the workspace {name} was made with limits, and the changes {what} are not counted"
        ))
        .hint("use another one: --workspace NAME"));
    }
    let mut copies = copies(held, roots)?;
    held.snapshot(&snapshot()).map_err(|error| failed(&error))?;
    if options.cow_copy {
        for copied in &mut copies {
            workspace.by_copy.push(by_copy(copied)?);
        }
    }
    workspace.copies = copies;
    Ok(Some(workspace))
}

/// What is recorded of the host's side before a run. The texts of small projects are kept for merges;
/// reading those of large ones would hold every run up.
fn snapshot() -> SnapshotOptions {
    SnapshotOptions { texts: 16 << 20, ..SnapshotOptions::default() }
}

fn find(store: &Store, name: &str, roots: &[CopyRoot]) -> Result<Held, Failure> {
    let found = store.find(name).map_err(|error| failed(&error))?;
    let known: Vec<PathBuf> =
        found.about().roots.iter().map(|root| root.path.as_path().to_owned()).collect();
    if let Some(other) = roots.iter().find(|root| !known.contains(&root.path)) {
        let list: Vec<String> = known.iter().map(|path| shown(&path.to_string_lossy())).collect();
        let other = shown(&other.path.to_string_lossy());
        return Err(Failure::new(format!(
            "the workspace {name} holds changes of {}, not of {other}",
            list.join(", ")
        ))
        .hint("choose another name for this directory: --workspace NAME"));
    }
    found.hold().map_err(|error| failed_on(name, &error))
}

fn make(
    store: &Store,
    named: Option<&str>,
    roots: &[CopyRoot],
    id: &str,
    env: &Environment,
    limits: Limits,
) -> Result<Held, Failure> {
    let mut new_roots = Vec::new();
    for root in roots {
        let place = place::choose(&root.path, &env.state)?;
        let name = shown(&root.path.to_string_lossy());
        if !place.renames {
            let there = shown(&place.directory.to_string_lossy());
            note(&format!(
                "changes of {name} are kept in {there}, on another file system: a commit copies them"
            ));
        }
        // The store itself comes last by itself.
        let own = place.directory == place::usual(&env.state);
        let candidates = if own { Vec::new() } else { vec![place.directory] };
        new_roots.push(NewRoot { path: root.path.clone(), candidates });
    }
    let free = |name: &String| !exists(env, name);
    let unnamed = || {
        // A pid comes back; a name of changes that are kept must not.
        let numbered = (2..=1000).map(|number| format!("{id}.{number}"));
        std::iter::once(id.to_owned()).chain(numbered).find(free)
    };
    let name = match named {
        Some(name) => name.to_owned(),
        None => unnamed().ok_or_else(|| {
            Failure::new(format!("there are too many workspaces {id}"))
                .hint("swathe workspace list shows them")
        })?,
    };
    let new = New { id: &name, named: named.is_some(), run: id, roots: new_roots, limits };
    store.create(&new).map_err(|error| failed(&error))
}

fn copies(held: &Held, roots: &[CopyRoot]) -> Result<Vec<Copied>, Failure> {
    let of = |root: &CopyRoot| {
        let known = held.about().roots.iter().find(|known| known.path.as_path() == root.path)?;
        let place = Place::Overlay { upper: known.upper(), work: known.work() };
        Some(Copied { root: root.path.clone(), place })
    };
    roots.iter().map(of).collect::<Option<_>>().ok_or_else(|| {
        Failure::new("the workspace does not hold what it was made for")
            .hint("swathe workspace list shows it")
    })
}

impl Workspace {
    /// Where the changes of each directory go.
    pub fn copies(&self) -> Vec<Copied> {
        self.copies.clone()
    }

    /// Its name; none where nothing is kept.
    pub fn name(&self) -> Option<&str> {
        self.held.as_ref().map(|held| held.about().id.as_str())
    }

    /// A descriptor that keeps it locked as long as it is open anywhere.
    ///
    /// # Errors
    /// There are no more descriptors.
    pub fn lock(&self) -> Result<Option<OwnedFd>, Failure> {
        let Some(held) = &self.held else { return Ok(None) };
        let copy = held.lock().as_fd().try_clone_to_owned();
        copy.map(Some).map_err(|e| Failure::new(format!("cannot lock the workspace: {e}")))
    }

    /// Watches its limits where it has some.
    ///
    /// # Errors
    /// It cannot be watched.
    pub fn watch(&self, child: &swathe::Child) -> Result<Option<Watch>, Failure> {
        let Some(held) = &self.held else { return Ok(None) };
        let about = held.about();
        // Those that it was made with hold where this run has none.
        let bytes = self.limits.bytes.or(about.limits.bytes);
        let inodes = self.limits.inodes.or(about.limits.inodes);
        if (bytes, inodes) == (None, None) {
            return Ok(None);
        }
        let workspace = store(&self.env)?.find(&about.id).map_err(|error| failed(&error))?;
        Watch::start(workspace, Limits { bytes, inodes }, child).map(Some)
    }

    /// After the run: says what is kept, and removes a workspace of this run that holds nothing.
    ///
    /// # Errors
    /// It cannot be looked through.
    pub fn finish(mut self) -> Result<(), Failure> {
        let by_copy = std::mem::take(&mut self.by_copy);
        let Some(held) = self.held.take() else { return Ok(()) };
        let name = held.about().id.clone();
        // Where one fails, the others are collected all the same, and the workspace stays: it holds
        // the copy, and in it what the run did.
        let collected = by_copy.iter().map(|by| {
            let done = collect::collect(&by.copied, &by.host, &by.upper, &by.tree);
            done.map_err(|failure| left_in_copy(failure, &by.tree, &name))
        });
        collected.fold(Ok(()), Result::and)?;
        let found = held.scan(&ScanOptions::default()).map_err(|error| failed(&error))?;
        if found.changes.is_empty() && self.made {
            return self.remove(held);
        }
        say_kept(&name, found.changes.len());
        Ok(())
    }

    fn remove(&self, held: Held) -> Result<(), Failure> {
        remove(&store(&self.env)?, held)
    }

    /// Leaves it to a sandbox that outlives this process.
    pub fn hand_over(mut self) {
        self.held = None;
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        // Nothing ran in it: it would only be in the way.
        for by in &self.by_copy {
            drop(copy::remove(&by.tree));
        }
        if let Some(held) = self.held.take().filter(|_| self.made) {
            drop(self.remove(held));
        }
    }
}

/// Says where the rest is of what a run did in a copy.
fn left_in_copy(failure: Failure, tree: &Path, name: &str) -> Failure {
    let tree = shown(&tree.to_string_lossy());
    failure
        .hint(format!("what is not in workspace {name} of what the run did is still in {tree}"))
        .hint(format!("take from there what is needed, then: swathe workspace rm {name}"))
}

fn say_kept(name: &str, count: usize) {
    match count {
        0 => {}
        1 => crate::out::say(&format!("1 change kept in workspace {name}; swathe diff {name}")),
        n => crate::out::say(&format!("{n} changes kept in workspace {name}; swathe diff {name}")),
    }
}

/// After a session: says what is kept.
///
/// # Errors
/// The workspace cannot be looked through.
pub fn ended(name: &str, env: &Environment) -> Result<(), Failure> {
    let workspace = store(env)?.find(name).map_err(|error| failed(&error))?;
    let held = workspace.hold().map_err(|error| failed_on(name, &error))?;
    let made = !held.about().named;
    Workspace {
        held: Some(held),
        copies: Vec::new(),
        made,
        limits: Limits::default(),
        env: env.clone(),
        by_copy: Vec::new(),
    }
    .finish()
}

/// Whether the step that failed lays an overlay.
pub fn is_overlay(error: &swathe::SetupError) -> bool {
    error.words.iter().any(|word| matches!(word.as_str(), "--overlay" | "--tmp-overlay"))
}

/// Says what to do where the kernel lays no overlay.
pub fn no_overlay(failure: Failure) -> Failure {
    failure
        .hint("no overlay can be laid over this directory: swathe doctor says what is missing here")
        .hint("--cow-copy works on a copy of the directory instead")
}

/// Without namespaces there are no overlays.
///
/// # Errors
/// The run has a workspace.
pub fn none_degraded(workspace: Option<&Workspace>) -> Result<(), Failure> {
    match workspace {
        None => Ok(()),
        Some(_) => Err(Failure::new("without namespaces nothing can be changed on a copy")
            .hint("leave --cow out: the run then writes to the directory itself where -w says so")),
    }
}

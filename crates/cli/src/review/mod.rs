//! Review of what a workspace holds: which workspace and which of its changes a command is about,
//! and in which order they are shown.

pub mod commit;
pub mod diff;
pub mod discard;
mod interactive;
mod json;
pub mod list;
mod marks;
mod pager;
mod stat;
pub mod text;
mod tool;

use crate::cow;
use crate::out::{Failure, shown};
use std::collections::HashSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use swathe_policy::Environment;
use swathe_policy::resolve::{PROTECTIONS, ProtectedBase};
use swathe_workspace::{Change, Changeset, Held, ScanOptions, Sensitive, State, Store, Workspace};

/// Which workspace, and which paths of it.
#[derive(clap::Args, Debug, Clone, Default)]
pub struct Which {
    /// The workspace, as swathe workspace list names it; the newest of the current directory if
    /// left out
    workspace: Option<OsString>,
    /// Only what is at or below these paths
    paths: Vec<OsString>,
}

/// A workspace that a command is about.
pub struct Target {
    /// Its name.
    pub name: String,
    /// What lies where.
    pub env: Environment,
    /// The store that it is in.
    pub store: Store,
    /// The named paths, absolute.
    paths: Vec<PathBuf>,
}

impl Which {
    /// The workspace and the paths that are meant. A first word that names no workspace is a path.
    ///
    /// # Errors
    /// There is none.
    pub fn target(&self, wanted: Newest) -> Result<Target, Failure> {
        let env = crate::store::environment()?;
        let store = cow::store(&env)?;
        let named = self.workspace.as_ref().and_then(|name| name.to_str());
        let found = named.filter(|name| cow::exists(&env, name));
        let mut words: Vec<&OsString> = self.paths.iter().collect();
        let name = match (found, &self.workspace) {
            (Some(name), _) => name.to_owned(),
            (None, None) => newest(&env, &store, wanted)?,
            (None, Some(word)) => {
                let is_path =
                    Path::new(word).symlink_metadata().is_ok() || word.as_bytes().contains(&b'/');
                // What a run has made is not there on the host.
                match newest(&env, &store, wanted) {
                    Ok(name) if is_path || holds(&store, &name, &env.cwd.join(word)) => {
                        words.insert(0, word);
                        name
                    }
                    _ => return Err(none_of(word)),
                }
            }
        };
        let paths = words.iter().map(|word| plain(&env.cwd.join(word))).collect();
        Ok(Target { name, env, store, paths })
    }
}

fn none_of(word: &OsString) -> Failure {
    let word = shown(&word.to_string_lossy());
    Failure::new(format!("there is no workspace {word}, and no change of a path of that name"))
        .hint("swathe workspace list shows what there is")
}

/// Whether a workspace changes something at or below a path.
fn holds(store: &Store, name: &str, path: &Path) -> bool {
    let path = plain(path);
    store.find(name).is_ok_and(|workspace| {
        workspace.about().roots.iter().any(|root| {
            path.strip_prefix(root.path.as_path())
                .is_ok_and(|below| root.upper().join(below).symlink_metadata().is_ok())
        })
    })
}

/// A path without `.` and `..`, by its text: what it names may exist only in a workspace.
fn plain(path: &Path) -> PathBuf {
    let mut result = PathBuf::new();
    for component in path.components() {
        match component {
            std::path::Component::ParentDir => drop(result.pop()),
            std::path::Component::CurDir => {}
            component => result.push(component),
        }
    }
    result
}

/// Which workspaces count where none is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Newest {
    /// Those that change something, or were interrupted while they were changed.
    WithChanges,
    /// Those with a commit that can be taken back, or was interrupted.
    WithSaved,
}

impl Newest {
    fn fits(self, workspace: &Workspace) -> bool {
        if workspace.state() == State::HalfDone {
            return true;
        }
        match self {
            Self::WithChanges => workspace.may_hold_changes(),
            Self::WithSaved => workspace.saved().is_ok_and(|saved| saved.is_some()),
        }
    }

    fn missing(self, cwd: &str) -> Failure {
        match self {
            Self::WithChanges => Failure::new(format!("no workspace holds changes of {cwd}")),
            Self::WithSaved => Failure::new(format!("no commit to {cwd} can be undone")).hint(
                "only the last commit of a workspace can be, while its saved copies are kept",
            ),
        }
    }
}

/// The newest workspace of the current directory.
fn newest(env: &Environment, store: &Store, wanted: Newest) -> Result<String, Failure> {
    let mut best = None;
    let mut others = 0;
    for name in cow::names(env) {
        let Ok(workspace) = store.find(&name) else { continue };
        let about = workspace.about();
        let here = |root: &swathe_workspace::Root| {
            env.cwd.starts_with(root.path.as_path()) || root.path.as_path().starts_with(&env.cwd)
        };
        if !about.roots.iter().any(here) {
            others += 1;
        } else if !wanted.fits(&workspace) {
        } else if best.as_ref().is_none_or(|(made, _)| *made <= workspace.made()) {
            best = Some((workspace.made(), name));
        }
    }
    best.map(|(_, name)| name).ok_or_else(|| {
        let cwd = shown(&env.cwd.to_string_lossy());
        let failure = wanted.missing(&cwd);
        let failure = match others {
            0 => failure,
            _ => failure.hint("swathe workspace list shows those of other directories"),
        };
        match wanted {
            Newest::WithChanges => {
                failure.hint("swathe run --cow -- CMD keeps what CMD changes in one")
            }
            Newest::WithSaved => failure,
        }
    })
}

impl Target {
    /// Opens it to look at it.
    ///
    /// # Errors
    /// It is gone, another user's, or damaged.
    pub fn find(&self) -> Result<Workspace, Failure> {
        self.store.find(&self.name).map_err(|error| cow::failed(&error))
    }

    /// Locks it.
    ///
    /// # Errors
    /// As [`Self::find`], or it is in use.
    pub fn hold(&self) -> Result<Held, Failure> {
        self.find()?.hold().map_err(|error| cow::failed_on(&self.name, &error))
    }

    /// How it is looked through.
    pub fn options(&self) -> ScanOptions {
        ScanOptions { sensitive: sensitive(&self.env), ..ScanOptions::default() }
    }

    /// What it changes.
    ///
    /// # Errors
    /// It cannot be looked through.
    pub fn scan(&self, workspace: &Workspace) -> Result<Changeset, Failure> {
        workspace.scan(&self.options()).map_err(|error| cow::failed_on(&self.name, &error))
    }

    /// As [`Self::scan`], of one that this process holds.
    ///
    /// # Errors
    /// It cannot be looked through.
    pub fn scan_held(&self, held: &Held) -> Result<Changeset, Failure> {
        let mut set = self.scan(held)?;
        // It is in use by this process, and by nothing that writes to it.
        set.live = false;
        Ok(set)
    }

    /// Ends what was interrupted, and says so.
    ///
    /// # Errors
    /// It cannot be ended.
    pub fn resume(&self, held: &Held) -> Result<bool, Failure> {
        let resumed = held.resume().map_err(|error| cow::failed(&error))?;
        let Some(done) = &resumed else { return Ok(false) };
        crate::out::say(&format!(
            "a change of workspace {} had been interrupted: it is done now ({} {})",
            self.name,
            done.changes,
            if done.changes == 1 { "path" } else { "paths" }
        ));
        commit::left(held, &done.left);
        Ok(true)
    }

    /// Whether only some paths were named.
    pub fn is_narrowed(&self) -> bool {
        !self.paths.is_empty()
    }

    /// The changes that are meant, by their index, the most dangerous first, then in the order of
    /// the tree.
    ///
    /// # Errors
    /// A path was named at and below which nothing is changed.
    pub fn chosen(&self, workspace: &Workspace, set: &Changeset) -> Result<Vec<usize>, Failure> {
        let mut chosen: Vec<usize> = Vec::new();
        if self.paths.is_empty() {
            chosen.extend(0..set.changes.len());
        }
        for path in &self.paths {
            let mut found = at(workspace, set, path);
            if found.is_empty() {
                // The directory can have a link among those above it.
                found = real(workspace, path).map_or(found, |path| at(workspace, set, &path));
            }
            chosen.extend(&found);
            if found.is_empty() {
                let path = shown(&path.to_string_lossy());
                let text = format!("the workspace {} changes nothing at {path}", self.name);
                return Err(Failure::new(text)
                    .hint(format!("swathe diff --name-only {} lists what it changes", self.name)));
            }
        }
        chosen.sort_unstable();
        chosen.dedup();
        chosen.sort_by_key(|index| (rank(set, *index), *index));
        Ok(chosen)
    }
}

/// The changes at and below an absolute path.
fn at(workspace: &Workspace, set: &Changeset, path: &Path) -> Vec<usize> {
    let mut found = Vec::new();
    for (number, root) in workspace.about().roots.iter().enumerate() {
        let root = root.path.as_path();
        if let Ok(below) = path.strip_prefix(root) {
            found.extend(set.below(number, below.as_os_str().as_bytes()));
        } else if root.starts_with(path) {
            found.extend(set.below(number, b""));
        }
    }
    found
}

/// A path with the links above its last name followed, as far as it is there: what lies in the
/// workspace alone the host does not have.
fn real(workspace: &Workspace, path: &Path) -> Option<PathBuf> {
    let mut above = path.ancestors().skip(1);
    let (above, known) = above.find_map(|above| Some((above, above.canonicalize().ok()?)))?;
    let real = known.join(path.strip_prefix(above).ok()?);
    // A link in a directory of the workspace is meant itself.
    let inside = workspace.about().roots.iter().any(|root| real.starts_with(root.path.as_path()));
    if inside { Some(real) } else { path.canonicalize().ok() }
}

/// The place of a change in a review: by its most dangerous mark, what is not marked last.
fn rank(set: &Changeset, index: usize) -> usize {
    let marks = set.changes.get(index).map(|change| change.marks.as_slice()).unwrap_or_default();
    marks.iter().map(|mark| marks::rank(*mark)).min().unwrap_or(usize::MAX)
}

/// What is shown of the changes: not one by one what goes with a directory that is deleted or replaced.
fn listed(set: &Changeset, chosen: &[usize]) -> Vec<usize> {
    let all: HashSet<usize> = chosen.iter().copied().collect();
    let goes = |index: &usize| {
        let above = set.changes.get(*index).and_then(|change| change.part_of);
        above.is_some_and(|above| all.contains(&above))
    };
    chosen.iter().copied().filter(|index| !goes(index)).collect()
}

/// The paths that make other programs run something, and those that decide about the next run.
fn sensitive(env: &Environment) -> Sensitive {
    let paths = |base: ProtectedBase| {
        let all = PROTECTIONS.iter().filter(move |protection| protection.base == base);
        all.flat_map(|protection| protection.paths)
            .map(|path| Path::new(path.trim_end_matches('/')))
    };
    let own = [&env.config, &env.data, &env.state].map(|path| path.join("swathe"));
    let home = paths(ProtectedBase::Home).map(|path| env.home.join(path));
    Sensitive {
        anywhere: paths(ProtectedBase::Writable).map(Path::to_owned).collect(),
        absolute: home.chain(own).collect(),
    }
}

/// How a change is named to a person: relative to its directory where there is one, else in full.
pub fn path_of(workspace: &Workspace, change: &Change) -> Vec<u8> {
    full(workspace, change.root, &change.path.0)
}

/// As [`path_of`], of a path of one of the directories.
fn full(workspace: &Workspace, root: usize, path: &[u8]) -> Vec<u8> {
    let roots = &workspace.about().roots;
    match roots.as_slice() {
        [_] if !path.is_empty() => path.to_vec(),
        [_] => b".".to_vec(),
        roots => {
            let root = roots.get(root).map(|root| root.path.0.clone()).unwrap_or_default();
            if path.is_empty() { root } else { [&root, &b"/"[..], path].concat() }
        }
    }
}

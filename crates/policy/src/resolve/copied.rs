//! Directories whose changes go to a workspace (access `cow`): an overlay at the same place, or a
//! copy of the whole where overlays cannot work.
//!
//! Protected paths are not covered there: the host's are not touched, and whoever commits sees
//! changes of them first.

use super::build::Build;
use super::files::{self, Shown};
use super::{Files, Host, Kind, Refusal, Request, boxed};
use crate::model::{Access, Policy, Source};
use crate::paths::CREDENTIALS;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use swathe_plan::model::{self as plan, FileOp, HostPath, OverlayUpper, StandIn};
use swathe_plan::options::Opt;

/// A directory that is to be shown with its changes kept apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyRoot {
    /// Where it is, without links.
    pub path: PathBuf,
    /// Who asked.
    pub source: Source,
}

/// Where the changes below one directory go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// The directory.
    pub root: PathBuf,
    /// The place of its changes.
    pub place: Place,
}

/// A place for changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The upper and work directories of an overlay.
    Overlay {
        /// What was changed.
        upper: PathBuf,
        /// The kernel's own, on the same file system, and empty.
        work: PathBuf,
    },
    /// A copy of the directory.
    Copy {
        /// Where the copy is.
        tree: PathBuf,
        /// What the host mounts below the directory: it is no part of the copy, and shown read-only.
        mounts: Vec<PathBuf>,
    },
    /// Nowhere: they are gone with the run, and bounded as temporary file systems are.
    Nowhere,
}

/// The directories of a run whose changes are kept apart. One that lies in another shares its place.
///
/// # Errors
/// As [`resolve`](super::resolve), for what is asked of the user's files.
pub fn roots(
    policy: &Policy,
    request: &Request,
    host: &Host,
    files: &dyn Files,
) -> Result<Vec<CopyRoot>, Refusal> {
    let mut build = Build::new(policy, request, host, files);
    let shown = files::all(&mut build)?;
    let own = shown.iter().filter(|entry| is_root(entry, &shown));
    own.map(|entry| match build.files.kind(&entry.path) {
        Some(Kind::Directory) => {
            Ok(CopyRoot { path: entry.path.clone(), source: entry.source.clone() })
        }
        _ => Err(Refusal::new(
            format!(
                "{} is no directory: only directories are changed on a copy",
                entry.path.display()
            ),
            &entry.source,
        )
        .hint("name the directory that holds it")),
    })
    .collect()
}

/// Whether a directory needs a place of its own.
fn is_root(entry: &Shown, all: &[Shown]) -> bool {
    let above =
        all.iter().rfind(|other| other.path != entry.path && entry.path.starts_with(&other.path));
    entry.access == Access::CopyOnWrite
        && above.is_none_or(|above| above.access != Access::CopyOnWrite)
}

/// Shows a directory with its changes kept apart.
pub(super) fn add(build: &mut Build<'_>, entry: &Shown, all: &[Shown]) -> Result<(), Refusal> {
    let (path, source) = (&entry.path, &entry.source);
    if is_root(entry, all) {
        let Some(copied) = build.request.copies.iter().find(|copied| copied.root == *path) else {
            let text = format!("{} has no workspace for its changes", path.display());
            return Err(Refusal::new(text, source));
        };
        let host = |path: &Path| HostPath(path.as_os_str().as_bytes().to_vec());
        let overlay =
            |upper| FileOp::Overlay { layers: vec![host(path)], upper, dest: boxed(path) };
        match &copied.place {
            Place::Overlay { upper, work } => {
                let upper = OverlayUpper::Host { upper: host(upper), work: host(work) };
                build.step(overlay(upper), Opt::Overlay, source);
            }
            Place::Nowhere => build.step(overlay(OverlayUpper::Tmp), Opt::TmpOverlay, source),
            Place::Copy { tree, mounts } => {
                build.bind(tree, path, plan::Access::ReadWrite, source);
                for mount in mounts {
                    build.bind(mount, mount, plan::Access::ReadOnly, source);
                }
            }
        }
        build.copied.push(path.clone());
    }
    build.visible.push(path.clone());
    build.shown.push(path.clone());
    if *path == build.host.home {
        private(build, all);
    }
    Ok(())
}

/// Who names the home directory does not mean the keys in it, nor what decides about other runs.
fn private(build: &mut Build<'_>, all: &[Shown]) {
    let places = &build.host.places;
    let own = [&places.config, &places.data, &places.state].map(|path| path.join("swathe"));
    let keys = CREDENTIALS.iter().map(|name| build.host.home.join(name));
    let named = |path: &Path| {
        all.iter().any(|entry| entry.path != build.host.home && path.starts_with(&entry.path))
    };
    let mut hidden: Vec<PathBuf> = keys.filter(|path| !named(path)).chain(own).collect();
    // By the name that was judged and by the place it leads to.
    let real: Vec<PathBuf> = hidden.iter().filter_map(|path| build.files.real(path)).collect();
    hidden.extend(real);
    hidden.retain(|path| {
        path.starts_with(&build.host.home)
            && matches!(build.files.kind(path), Some(Kind::Directory | Kind::File))
    });
    hidden.sort();
    hidden.dedup();
    for path in hidden {
        hide(build, &path);
    }
}

/// Where workspaces are kept nobody writes but swathe, and nobody looks: what one run changed is no
/// business of another.
pub(super) fn stores(build: &mut Build<'_>) {
    for store in &build.host.stores {
        let Some(real) = build.files.real(store) else { continue };
        if build.is_visible(&real) {
            hide(build, &real);
        }
    }
}

fn hide(build: &mut Build<'_>, path: &Path) {
    let op = FileOp::Mask { dest: boxed(path), stand_in: StandIn::Unreadable };
    build.step(op, Opt::Mask, &Source::Default);
}

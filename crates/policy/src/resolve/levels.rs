//! Access finer than writable or not: what Landlock takes away, and which directories the
//! supervisor has to work in (docs/adr/0017-mediated-access.md).
//!
//! Landlock gives rights to a directory with all below, and takes nothing away again below. So what
//! holds a directory with less has none itself, and the supervisor does there what is allowed.
//!
//! The right to truncate is not handled: where it is, the kernel goes up the path of every file that
//! is opened, be it only to read. Whatever makes a file shorter is the supervisor's instead, and what
//! it does not do is not done.

use super::build::Build;
use super::{Refusal, boxed};
use crate::model::{Access, Intent, Source};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use swathe_plan::model::{self as plan, Allowance, FileOp, FileRights, OverlayUpper};

/// A directory or file that the supervisor works in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// Where it is inside: a mount point. On the host it is at the same place, if it has an access.
    pub path: PathBuf,
    /// What may be done there; `None`: everything that the mounts permit.
    pub access: Option<Access>,
    /// Whether Landlock's rules allow there what the access does. Otherwise nothing is allowed but
    /// by the supervisor.
    pub ruled: bool,
}

/// What was asked for, while the sandbox is worked out.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub path: PathBuf,
    pub access: Access,
    pub source: Source,
}

/// The rights that one access takes away.
fn taken(access: Access) -> FileRights {
    let names = FileRights::REMOVE_FILE | FileRights::REMOVE_DIR | FileRights::REFER;
    match access {
        Access::Append | Access::NoDelete => names | FileRights::WRITE_FILE,
        Access::Trash => names,
        _ => FileRights::default(),
    }
}

/// The rights that one access leaves.
fn left(access: Access) -> FileRights {
    match access {
        Access::Append | Access::NoDelete => FileRights::REFER,
        _ => FileRights::REFER | FileRights::WRITE_FILE,
    }
}

/// Adds the rules; after everything else of the tree. Nothing where no level was asked for.
pub(super) fn add(build: &mut Build<'_>) -> Result<(), Refusal> {
    let asked = std::mem::take(&mut build.asked_levels);
    let Some(first) = asked.first() else { return Ok(()) };
    possible(build, first)?;
    let handled = asked.iter().fold(FileRights::default(), |all, one| all | taken(one.access));
    let mut mounts = mounts(build);
    mounts.sort();
    mounts.dedup();
    let level = |path: &Path| asked.iter().find(|one| one.path == path);
    let holds =
        |path: &Path| asked.iter().any(|one| one.path != path && one.path.starts_with(path));
    let mut places = vec![Placed { path: "/".into(), access: None, ruled: false }];
    let mut allowed: Vec<(PathBuf, FileRights)> = Vec::new();
    for path in &mounts {
        let access = level(path).map(|one| one.access);
        let holds = holds(path);
        let rights = access.map_or(handled, left) & handled;
        if path != Path::new("/") {
            // One that nobody asked for is listed, too: it is not a part of what it lies in, and
            // what is done there is the kernel's to decide.
            places.push(Placed { path: path.clone(), access, ruled: !holds });
        }
        if holds || rights.is_empty() {
            continue;
        }
        let covered = allowed.iter().any(|(above, r)| path.starts_with(above) && *r == rights);
        if !covered {
            allowed.push((path.clone(), rights));
        }
    }
    pins(build, &asked, &mut places);
    build.plan.handled_rights = handled;
    let allow = |(path, rights): (PathBuf, FileRights)| Allowance { rights, path: boxed(&path) };
    build.plan.allowances = allowed.into_iter().map(allow).collect();
    build.levels = places;
    Ok(())
}

/// What cannot be had together.
fn possible(build: &Build<'_>, first: &Asked) -> Result<(), Refusal> {
    let name = crate::describe::access_name(first.access);
    let refuse = |text: String, hint: &str| Err(Refusal::new(text, &first.source).hint(hint));
    if !build.host.layers.landlock_scopes {
        return refuse(
            format!("access \"{name}\" needs Landlock (Linux 6.12, ABI 6)"),
            "swathe doctor says whether it can be switched on",
        );
    }
    for (intent, word, why) in [
        (Intent::NestedSandbox, "nested-sandbox", "Landlock's rules forbid to mount"),
        (Intent::Bits32, "32bit", "calls of 32-bit programs would go past the supervisor"),
    ] {
        if build.wants(&intent) {
            return refuse(
                format!("access \"{name}\" and {word} exclude each other: {why}"),
                "leave one of them out",
            );
        }
    }
    Ok(())
}

/// Mount points that the sandbox can write below, as far as the mount says.
fn mounts(build: &Build<'_>) -> Vec<PathBuf> {
    let path = |dest: &plan::BoxPath| Some(PathBuf::from(OsStr::from_bytes(&dest.0)));
    let writable = |step: &plan::Step| match &step.op {
        FileOp::Bind { dest, access, .. } if *access != plan::Access::ReadOnly => path(dest),
        FileOp::Overlay { dest, upper, .. } if *upper != OverlayUpper::None => path(dest),
        FileOp::BindData { dest, read_only: false, .. } => path(dest),
        FileOp::Proc { dest }
        | FileOp::Dev { dest }
        | FileOp::Tmpfs { dest, .. }
        | FileOp::Mqueue { dest } => path(dest),
        _ => None,
    };
    build.plan.steps.iter().filter_map(writable).collect()
}

/// A pinned directory is a mount of its own within that of its level.
fn pins(build: &Build<'_>, asked: &[Asked], places: &mut Vec<Placed>) {
    for step in &build.plan.steps {
        let FileOp::Pin { dest } = &step.op else { continue };
        let path = PathBuf::from(OsStr::from_bytes(&dest.0));
        let nearest = asked.iter().filter(|one| path.starts_with(&one.path) && path != one.path);
        let Some(level) = nearest.max_by_key(|one| one.path.components().count()) else { continue };
        let ruled = places.iter().find(|p| p.path == level.path).is_some_and(|p| p.ruled);
        if places.iter().all(|placed| placed.path != path) {
            places.push(Placed { path, access: Some(level.access), ruled });
        }
    }
}

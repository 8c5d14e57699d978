//! Which trash a thing can be renamed to.
//!
//! A rename works within a mount only: not even two mounts of one file system will do. So the trash
//! has to be on the mount that the host shows the directory by.

use crate::meta::Meta;
use crate::quarantine::{Quarantine, make_own};
use rustix::fd::{AsFd as _, BorrowedFd, OwnedFd};
use rustix::fs::{Mode, OFlags, openat};
use rustix::io::{Result, fcntl_dupfd_cloexec};
use std::ffi::CString;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

/// Paths have at most 2048 components.
const MAX_DEPTH: usize = 4096;

/// Makes a trash in the topmost directory of the mount that the user can make one in, and the
/// program cannot see. None where there is no such directory.
pub fn above(dir: BorrowedFd<'_>, seen: &[PathBuf]) -> Result<Option<Quarantine>> {
    let mut way = ancestors(dir)?;
    while let Some((fd, path)) = way.pop() {
        let Some(path) = path.filter(|path| !is_seen(path, seen)) else {
            continue;
        };
        if !is_safe(&fd) {
            continue;
        }
        let name = format!(".swathe-trash-{}", rustix::process::geteuid().as_raw());
        let whole = path.join(&name);
        let Ok(name) = CString::new(name) else { continue };
        if let Ok(made) = make_own(&fd, &name)
            && let Ok(quarantine) = Quarantine::make(&made, &whole)
            && quarantine.meta.mount == Meta::of(dir)?.mount
        {
            return Ok(Some(quarantine));
        }
    }
    Ok(None)
}

type Step = (OwnedFd, Option<PathBuf>);

/// The directory and those above on the same mount, the topmost last.
fn ancestors(dir: BorrowedFd<'_>) -> Result<Vec<Step>> {
    let mut at = fcntl_dupfd_cloexec(dir, 0)?;
    let mut meta = Meta::of(&at)?;
    let mut found = Vec::new();
    for _ in 0..MAX_DEPTH {
        let up = openat(&at, c"..", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
        let above = Meta::of(&up)?;
        let path = path_of(&at);
        found.push((at, path));
        if above.mount != meta.mount || above.is_same_file(&meta) {
            break;
        }
        (at, meta) = (up, above);
    }
    Ok(found)
}

/// Where everybody may rename what is others', nothing is kept.
fn is_safe(dir: &OwnedFd) -> bool {
    Meta::of(dir).is_ok_and(|meta| meta.mode & 0o022 == 0 || meta.mode & 0o1000 != 0)
}

/// The path of a directory; none where it has none that leads to it.
pub fn path_of(dir: &OwnedFd) -> Option<PathBuf> {
    let path = std::fs::read_link(format!("/proc/self/fd/{}", dir.as_raw_fd())).ok()?;
    let again = openat(
        rustix::fs::CWD,
        path.as_path(),
        OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW,
        Mode::empty(),
    );
    let same = Meta::of(again.ok()?).ok()?.is_same_file(&Meta::of(dir.as_fd()).ok()?);
    (same && path.is_absolute()).then_some(path)
}

/// Whether a path lies in one of the trees.
fn is_seen(path: &Path, seen: &[PathBuf]) -> bool {
    seen.iter().any(|tree| path.starts_with(tree))
}

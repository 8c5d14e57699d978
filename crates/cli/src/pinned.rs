//! The user's directories as what was judged, and not as whatever has their names a moment later.
//!
//! Between the making of a plan and its start, a program that can write to a directory above (in
//! another sandbox, or as another user) can put a symbolic link there to what the plan would not
//! have shown. Paths of plans are without links, so that one on the way now was not there before.

use crate::out::{Failure, shown};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use swathe::plan::model::{Access, BindSource, FdNumber, FileOp, HostPath, Plan};
use swathe_policy::resolve::Sandbox;

/// The numbers that these descriptors get: above the library's own, below those of made files, and
/// below the usual limit of descriptors.
const FIRST_FD: FdNumber = 300;
const MOST: usize = 600;

/// A plan whose binds of the user's files name descriptors, and these.
#[derive(Debug)]
pub struct Pinned {
    /// The plan.
    pub plan: Plan,
    /// Its descriptors, beside those with made contents.
    pub fds: Vec<(FdNumber, OwnedFd)>,
}

/// Opens what a plan shows of the user's.
///
/// # Errors
/// A path is another than when the plan was made.
pub fn pin(sandbox: &Sandbox) -> Result<Pinned, Failure> {
    let mut plan = sandbox.plan.clone();
    let mut fds: Vec<(FdNumber, OwnedFd)> = Vec::new();
    for (index, step) in plan.steps.iter_mut().enumerate() {
        let path = match &step.op {
            FileOp::Bind {
                source: BindSource::Path { path, optional: false },
                access: Access::ReadOnly | Access::ReadWrite,
                ..
            } => path.clone(),
            // Of an overlay what lies below: its other directories are those of a workspace.
            FileOp::Overlay { layers, .. } => match layers.as_slice() {
                [lower] => lower.clone(),
                _ => continue,
            },
            _ => continue,
        };
        let path = Path::new(OsStr::from_bytes(&path.0));
        if fds.len() >= MOST || !is_users(sandbox, path) {
            continue;
        }
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        match openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS) {
            Ok(fd) => {
                let number = FIRST_FD + FdNumber::try_from(fds.len()).unwrap_or(0);
                fds.push((number, fd));
                match &mut step.op {
                    FileOp::Bind { source, .. } => *source = BindSource::Fd(number),
                    FileOp::Overlay { layers, .. } => {
                        *layers = vec![HostPath(format!("/proc/self/fd/{number}").into_bytes())];
                    }
                    _ => {}
                }
            }
            Err(Errno::LOOP) => return Err(changed(path)),
            // Before Linux 5.6, or where a filter around us knows no such call.
            Err(Errno::NOSYS | Errno::PERM) => {}
            Err(e) => {
                let path = shown(&path.to_string_lossy());
                let failure = Failure::new(format!("cannot show {path}: {e}"));
                let asked = sandbox.sources.get(index).map(crate::explain::source_text);
                return Err(match asked {
                    Some(asked) => failure.hint(format!("asked for by {asked}")),
                    None => failure,
                });
            }
        }
    }
    Ok(Pinned { plan, fds })
}

fn is_users(sandbox: &Sandbox, path: &Path) -> bool {
    path.starts_with(&sandbox.home) || sandbox.shown.iter().any(|shown| path.starts_with(shown))
}

fn changed(path: &Path) -> Failure {
    let path = shown(&path.to_string_lossy());
    Failure::new(format!("{path} was replaced while the run was started"))
        .hint("a symbolic link is on the way to it now: nothing was run")
}

/// Whether the words by which the engine names a step may be those of this one, pinned.
pub fn is_step(op: &FileOp, words: &[Vec<u8>]) -> bool {
    let own = swathe::plan::render::operation(op);
    let base = |words: &[Vec<u8>]| -> Option<(Vec<u8>, Vec<u8>)> {
        let (name, dest) = (words.first()?, words.last()?);
        Some((name.strip_suffix(b"-fd").unwrap_or(name).to_vec(), dest.clone()))
    };
    let pinned = matches!(op, FileOp::Bind { .. } | FileOp::Overlay { .. });
    own == words || pinned && base(&own) == base(words)
}

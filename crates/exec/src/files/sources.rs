//! The host's side of bind mounts and overlays, opened before anything is changed.

use crate::failure::{At, Failure, Result, Stage};
use crate::files::devices;
use crate::files::mounts::{Attrs, Mounter, Tree, fd_path};
use crate::files::root::same_inode;
use crate::prepare::{Base, Prepared};
use alloc::ffi::CString;
use alloc::format;
use alloc::vec::Vec;
use core::ffi::CStr;
use swathe_plan::model::{Access, BindSource, FileOp, OverlayUpper};
use swathe_sys::Errno;
use swathe_sys::rustix::fd::{AsFd as _, OwnedFd};
use swathe_sys::rustix::fs::{self, CWD, Mode, OFlags};
use swathe_sys::rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What an operation shows of the host.
#[derive(Debug)]
pub enum Source {
    /// Nothing, or it was used already.
    None,
    /// An optional source that does not exist.
    Missing,
    /// A tree to mount.
    Tree(Tree),
    /// Layers of an overlay, lowest first, then upper and work directory if it has them.
    Layers(Vec<OwnedFd>),
    /// Device nodes and their names.
    Nodes(Vec<Node>),
}

/// A device node to mount, and its name.
pub type Node = (&'static CStr, Tree);

/// The sources of all operations.
#[derive(Debug)]
pub struct Sources(Vec<Source>);

impl Sources {
    /// Takes the tree of an operation.
    pub fn take(&mut self, index: usize) -> Option<Tree> {
        match self.source(index) {
            Source::Tree(tree) => Some(tree),
            _ => None,
        }
    }

    /// Takes the source of an operation.
    pub fn source(&mut self, index: usize) -> Source {
        self.0.get_mut(index).map_or(Source::None, |s| core::mem::replace(s, Source::None))
    }
}

/// Raises the soft limit of descriptors for the set-up, if the plan may need more; returns what to
/// put back before the command.
pub fn raise_limit(prepared: &Prepared<'_>) -> Option<Rlimit> {
    // A bind mount takes one, a new file system two, a /dev twelve.
    let needed = 128 + prepared.plan.steps.len() as u64 * 4;
    let limit = getrlimit(Resource::Nofile);
    let short = limit.current.is_some_and(|soft| soft < needed);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    (short && setrlimit(Resource::Nofile, raised).is_ok()).then_some(limit)
}

/// Opens every source, before anything is changed.
pub fn open(mounter: &Mounter, prepared: &Prepared<'_>) -> Result<Sources> {
    let steps = &prepared.plan.steps;
    let in_place = matches!(prepared.base, Base::InPlace(_)) && mounter.kernel.mount_fds;
    let mut all = Vec::with_capacity(steps.len());
    for (index, step) in steps.iter().enumerate() {
        let source = if index == 0 && in_place && prepared.new_user_ns {
            Source::None
        } else {
            open_one(mounter, prepared, index, &step.op).map_err(|f| f.in_op(index))?
        };
        all.push(source);
    }
    Ok(Sources(all))
}

/// Opens the source of one operation.
fn open_one(
    mounter: &Mounter,
    prepared: &Prepared<'_>,
    index: usize,
    op: &FileOp,
) -> Result<Source> {
    match op {
        FileOp::Bind { source: BindSource::Path { optional, .. }, access, .. } => {
            let path = &prepared.sources[index];
            let tree = match mounter.tree(CWD, path, Attrs::of(*access)) {
                Err(Errno::NOENT) if *optional => return Ok(Source::Missing),
                // A mount that may not be copied, such as one of another namespace, is no missing
                // source: name the step rightly.
                Err(e @ (Errno::INVAL | Errno::PERM)) => {
                    let exists =
                        fs::openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
                    let stage = if exists.is_ok() { Stage::Bind } else { Stage::Source };
                    return Err(e).at(stage);
                }
                other => other.at(Stage::Source)?,
            };
            Ok(Source::Tree(tree))
        }
        FileOp::Bind { source: BindSource::Fd(number), access, .. } => {
            open_fd(mounter, *number, *access).map(Source::Tree)
        }
        FileOp::Overlay { layers, upper, .. } => {
            overlay(mounter, layers, upper).map(Source::Layers)
        }
        FileOp::Dev { .. } => {
            devices::open_nodes(mounter, prepared.tty.as_ref()).map(Source::Nodes)
        }
        // The host's procfs, whose processes are the sandbox's.
        FileOp::Proc { .. } if !prepared.own_pid_ns => {
            let tree = mounter.tree(CWD, c"/proc", Attrs::of(Access::ReadWrite)).at(Stage::Proc)?;
            Ok(Source::Tree(tree))
        }
        _ => Ok(Source::None),
    }
}

/// A descriptor belongs to the host's mount namespace, of which nothing can be mounted here: its
/// path is opened anew, and what that gave is compared with it before anything is attached.
fn open_fd(mounter: &Mounter, number: i32, access: Access) -> Result<Tree> {
    let given = swathe_sys::process::borrow_fd(number).at(Stage::Source)?;
    let link = CString::new(format!("self/fd/{number}")).unwrap_or_default();
    let path = fs::readlinkat(mounter.proc_fd(), &link, Vec::new()).at(Stage::Source)?;
    let tree = mounter.tree(CWD, &path, Attrs::of(access)).at(Stage::Source)?;
    if !same_inode(given, tree.fd()).at(Stage::SourceRace)? {
        return Err(Failure::found(Stage::SourceRace));
    }
    Ok(tree)
}

fn overlay(
    mounter: &Mounter,
    layers: &[swathe_plan::model::HostPath],
    upper: &OverlayUpper,
) -> Result<Vec<OwnedFd>> {
    // What is no directory is for overlayfs to refuse, when its turn comes.
    let open = |path: &[u8], stage: Stage, detail: usize| {
        let path = CString::new(path).unwrap_or_default();
        let fd = fs::openat(CWD, &path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).at(stage);
        let fd =
            fd.and_then(|fd| if is_descriptor(&path) { reopened(mounter, fd) } else { Ok(fd) });
        fd.map_err(|f| f.about(detail as u32))
    };
    let mut fds = Vec::new();
    for (i, layer) in layers.iter().enumerate() {
        fds.push(open(&layer.0, Stage::OverlaySource, i)?);
    }
    if let OverlayUpper::Host { upper, work } = upper {
        fds.push(open(&upper.0, Stage::OverlaySource, layers.len())?);
        fds.push(open(&work.0, Stage::OverlayWork, 0)?);
    }
    Ok(fds)
}

/// Whether a path is the name of a descriptor that this process was given.
fn is_descriptor(path: &CStr) -> bool {
    let number = path.to_bytes().strip_prefix(b"/proc/self/fd/");
    number.is_some_and(|number| !number.is_empty() && number.iter().all(u8::is_ascii_digit))
}

/// As with [`open_fd`]: what the descriptor stands for, on this namespace's mounts.
fn reopened(mounter: &Mounter, given: OwnedFd) -> Result<OwnedFd> {
    let path = fs::readlinkat(mounter.proc_fd(), fd_path(given.as_fd()), Vec::new());
    let path = path.at(Stage::Source)?;
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = fs::openat(CWD, &path, flags, Mode::empty()).at(Stage::Source)?;
    if !same_inode(given.as_fd(), fd.as_fd()).at(Stage::SourceRace)? {
        return Err(Failure::found(Stage::SourceRace));
    }
    Ok(fd)
}

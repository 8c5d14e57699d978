//! The sandbox's file tree: built beside the host's, then put in its place.
//!
//! Order matters. All sources are opened first, on the host, before anything is created: a missing
//! source then leaves nothing behind, and a later operation cannot change what an earlier word
//! meant. The new root is attached over the old one, where only descriptors reach it. The
//! operations follow in the order given. Last, the old root is left.

use alloc::format;
use alloc::string::String;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
pub mod build;
pub mod devices;
pub mod legacy;
mod masks;
pub mod mountinfo;
pub mod mounts;
pub mod overlay;
pub mod root;
pub mod sources;
pub mod walk;

use crate::failure::{At, Failure, Result, Stage};
use crate::files::mounts::{Attrs, Mounter, NewFs};
use crate::files::root::Root;
use crate::prepare::{Base, Prepared};
use alloc::ffi::CString;
use core::ffi::CStr;
use swathe_sys::mount::{Propagation, attr, set_attr};
use swathe_sys::rustix::fd::{AsFd, OwnedFd};
use swathe_sys::rustix::fs::{self, CWD, Mode, OFlags};
use swathe_sys::rustix::io::fcntl_dupfd_cloexec;
use swathe_sys::rustix::mount::{UnmountFlags, unmount};
use swathe_sys::rustix::process::{fchdir, pivot_root};

/// A tmpfs of our own that no path of the sandbox leads to: for the files of `--bind-data` and the
/// upper directories of `--tmp-overlay`. Attached over "/", out of reach of every path.
fn scratch(mounter: &Mounter, prepared: &Prepared<'_>) -> Result<Option<OwnedFd>> {
    if !prepared.needs_scratch {
        return Ok(None);
    }
    own_tmpfs(mounter, prepared, Stage::Scratch).map(Some)
}

fn own_tmpfs(mounter: &Mounter, prepared: &Prepared<'_>, stage: Stage) -> Result<OwnedFd> {
    let options = tmpfs_options(prepared, 0o755, None, None);
    let new = NewFs { kind: c"tmpfs", options: &options, attrs: attr::NOSUID | attr::NODEV };
    let fd = mounter.detached(&new).at(stage)?;
    mounts::over_root(fd.as_fd()).at(stage)?;
    Ok(fd)
}

/// What the operations start from.
struct Start {
    root: Root,
    /// How many operations it already stands for.
    first: usize,
    scratch: Option<OwnedFd>,
    /// The root that the process has had so far.
    old: OwnedFd,
    /// Whether that is the sandbox's too.
    in_place: bool,
}

/// Options of a tmpfs with the limits that apply to it.
pub(crate) fn tmpfs_options(
    prepared: &Prepared<'_>,
    perms: u32,
    size: Option<u64>,
    inodes: Option<u64>,
) -> Vec<(&'static CStr, CString)> {
    let text = |s: String| CString::new(s).unwrap_or_default();
    let mut options = vec![(c"mode", text(format!("{perms:o}")))];
    if let Some(size) = size.or(prepared.plan.default_tmpfs_size) {
        options.push((c"size", text(size.to_string())));
    }
    if let Some(inodes) = inodes.or(prepared.plan.default_tmpfs_inodes) {
        options.push((c"nr_inodes", text(inodes.to_string())));
    }
    if let Some(label) = &prepared.plan.file_label {
        options.push((c"context", CString::new(label.as_slice()).unwrap_or_default()));
    }
    options
}

/// Builds the whole tree and makes it the root of this process.
pub(crate) fn set_up(mounter: &Mounter, prepared: &Prepared<'_>) -> Result<()> {
    if !prepared.new_user_ns {
        // Before anything is copied: a copy of a mount that is shared with the host would be its
        // peer, and what is mounted on the copy would appear on the host. A user namespace of our
        // own gets its mounts as slaves already (mount_namespaces(7)).
        let slave = if mounter.kernel.mount_fds {
            set_attr(CWD, c"/", 0, Propagation::Slave, true)
        } else {
            const REC_SLAVE_SILENT: u64 = (1 << 19) | 16384 | 32768;
            swathe_sys::mount::mount(c"none", c"/", None, REC_SLAVE_SILENT, None)
        };
        slave.at(Stage::Slave)?;
    }
    prepared.limit.set(sources::raise_limit(prepared));
    let mut sources = sources::open(mounter, prepared)?;
    if prepared.maps_are_external() {
        // Not sooner: a missing source is what bubblewrap reports first.
        crate::ids::assert_mapped(mounter.proc_fd())?;
    }
    let base = match prepared.base {
        // That a user namespace could be made shows that "/" is the root of this mount namespace,
        // not of a chroot; without one nothing shows it.
        Base::InPlace(_) if !prepared.new_user_ns => Base::Bound,
        base => base,
    };
    let start = start(mounter, prepared, base, &mut sources)?;
    let Start { root, first, scratch, old, in_place } = start;
    let mut builder = build::Builder { mounter, prepared, root, scratch, sources, overlays: 0 };
    for index in first..prepared.plan.steps.len() {
        builder.step(index).map_err(|f| f.in_op(index))?;
    }
    builder.finish(&old, in_place)
}

fn start(
    mounter: &Mounter,
    prepared: &Prepared<'_>,
    base: Base,
    sources: &mut sources::Sources,
) -> Result<Start> {
    let kernel = mounter.kernel;
    if !kernel.mount_fds {
        let options = tmpfs_options(prepared, 0o755, None, None);
        let base = legacy::base(&options).at(Stage::RootTmpfs)?;
        let root = Root::new(base.new_root, kernel);
        let scratch = Some(base.scratch);
        return Ok(Start { root, first: 0, scratch, old: base.root, in_place: false });
    }
    let old = fs::open(c"/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .at(Stage::Pivot)?;
    if let Base::InPlace(access) = base {
        // "/" is the root of a mount for certain: in a chroot no user namespace can be made.
        let attrs = Attrs::of(access);
        set_attr(old.as_fd(), c"", attrs.set, attrs.propagation, true)
            .at(Stage::BindRoot)
            .map_err(|f: Failure| f.in_op(0))?;
        let root = Root::new(fcntl_dupfd_cloexec(&old, 3).at(Stage::Pivot)?, kernel);
        return Ok(Start { root, first: 1, scratch: None, old, in_place: true });
    }
    // Below the new root, so that it leaves with the old one.
    let scratch = scratch(mounter, prepared)?;
    if base == Base::Bound {
        // The first operation covers the root: no tmpfs need lie below it.
        if let Some(mounts::Tree::Detached(fd)) = sources.take(0) {
            mounts::over_root(fd.as_fd()).at(Stage::BindRoot).map_err(|f| f.in_op(0))?;
            let root = Root::new(fd, kernel);
            return Ok(Start { root, first: 1, scratch, old, in_place: false });
        }
    }
    let fd = own_tmpfs(mounter, prepared, Stage::RootTmpfs)?;
    Ok(Start { root: Root::new(fd, kernel), first: 0, scratch, old, in_place: false })
}

impl build::Builder<'_> {
    /// Leaves the old root. Nothing of the host is reachable afterwards but what was mounted.
    fn finish(self, old: &OwnedFd, in_place: bool) -> Result<()> {
        let scratch = self.scratch.as_ref().filter(|_| self.mounter.kernel.mount_fds);
        if in_place && self.root.covered() == 0 {
            return Ok(());
        }
        fchdir(&self.root).at(Stage::Pivot)?;
        pivot_root(c".", c".").at(Stage::Pivot)?;
        // Both roots are mounted on each other now; the working directory says which is meant.
        fchdir(old).at(Stage::UnmountOld)?;
        // umount takes what lies on top: first the scratch tmpfs and the roots that were covered,
        // then the old root itself.
        let mut layers = 1 + usize::from(scratch.is_some());
        if self.mounter.kernel.mount_fds {
            layers += self.root.covered().saturating_sub(usize::from(in_place));
        }
        for _ in 0..layers {
            unmount(c".", UnmountFlags::DETACH).at(Stage::UnmountOld)?;
        }
        // What is no longer mounted cannot be unmounted: the old root is gone for certain. Were it
        // still there, on top of the new one, whoever joins the namespace would see it.
        match unmount(c".", UnmountFlags::DETACH) {
            Err(swathe_sys::Errno::INVAL) => {}
            _ => return Err(Failure::found(Stage::OldRootLeft)),
        }
        swathe_sys::rustix::process::chdir(c"/").at(Stage::UnmountOld)
    }
}

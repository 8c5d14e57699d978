//! Making and attaching mounts: by the newer calls, with descriptors of detached mounts.

use crate::failure::{At, Failure, Result, Stage};
use crate::files::legacy;
use crate::files::root::{Attach, Root};
use crate::kernel::Kernel;
use alloc::ffi::CString;
use alloc::format;
use core::cell::Cell;
use core::ffi::CStr;
use swathe_plan::model::Access;
use swathe_sys::Errno;
use swathe_sys::mount::{Propagation, attr, clone_tree_with_attr, set_attr};
use swathe_sys::rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use swathe_sys::rustix::fs::{self, CWD, Mode, OFlags};
use swathe_sys::rustix::io::fcntl_dupfd_cloexec;
use swathe_sys::rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};

/// Makes mounts in the way that the kernel has.
#[derive(Debug)]
pub struct Mounter {
    /// What the kernel has.
    pub kernel: Kernel,
    tree_attr: Cell<bool>,
    /// procfs of the host, for the paths of descriptors.
    proc_fd: OwnedFd,
}

/// A file system to make.
#[derive(Debug)]
pub struct NewFs<'a> {
    /// Its type.
    pub kind: &'a CStr,
    /// Its options; an empty value is a flag.
    pub options: &'a [(&'a CStr, CString)],
    /// Attributes of the mount ([`attr`]).
    pub attrs: u64,
}

/// What is to be attached: a detached mount, or for older kernels what to bind with which
/// attributes.
#[derive(Debug)]
pub enum Tree {
    /// A detached mount.
    Detached(OwnedFd),
    /// An inode of the host, to be bound recursively.
    Source(OwnedFd, Attrs),
}

/// Attributes of a whole tree.
#[derive(Debug, Clone, Copy)]
pub struct Attrs {
    /// Bits of [`attr`].
    pub set: u64,
    /// Propagation.
    pub propagation: Propagation,
}

impl Attrs {
    /// Those of a bind mount. A read-only tree receives nothing from the host any more: what is
    /// mounted there later would arrive writable.
    pub fn of(access: Access) -> Self {
        let (set, propagation) = match access {
            Access::ReadOnly => (attr::RDONLY | attr::NOSUID | attr::NODEV, Propagation::Private),
            Access::ReadWrite => (attr::NOSUID | attr::NODEV, Propagation::Keep),
            Access::Device => (attr::NOSUID, Propagation::Keep),
        };
        Self { set, propagation }
    }
}

impl Tree {
    /// The root of what is to be attached.
    pub fn fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Detached(fd) | Self::Source(fd, _) => fd.as_fd(),
        }
    }
}

impl Mounter {
    /// `proc_fd`: the host's procfs.
    pub fn new(kernel: Kernel, proc_fd: OwnedFd) -> Self {
        Self { kernel, tree_attr: Cell::new(kernel.tree_attr), proc_fd }
    }

    /// The host's procfs.
    pub fn proc_fd(&self) -> BorrowedFd<'_> {
        self.proc_fd.as_fd()
    }

    /// A copy of the tree at `path` below `dir`, with everything mounted in it, not yet attached.
    pub fn tree(
        &self,
        dir: BorrowedFd<'_>,
        path: &CStr,
        attrs: Attrs,
    ) -> core::result::Result<Tree, Errno> {
        if !self.kernel.mount_fds {
            let fd = if path.is_empty() {
                fcntl_dupfd_cloexec(dir, 3)?
            } else {
                fs::openat(dir, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?
            };
            return Ok(Tree::Source(fd, attrs));
        }
        if self.tree_attr.get() {
            match clone_tree_with_attr(dir, path, attrs.set, attrs.propagation) {
                Err(Errno::NOSYS) => self.tree_attr.set(false),
                other => return other.map(Tree::Detached),
            }
        }
        let flags = OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_RECURSIVE
            | OpenTreeFlags::AT_EMPTY_PATH;
        let fd = open_tree(dir, path, flags)?;
        set_attr(fd.as_fd(), c"", attrs.set, attrs.propagation, true)?;
        Ok(Tree::Detached(fd))
    }

    /// Attaches a tree. Mounting over the root makes the tree the root.
    pub fn attach(&self, tree: Tree, root: &mut Root, place: Attach, stage: Stage) -> Result<()> {
        match tree {
            Tree::Detached(fd) => {
                place_mount(fd.as_fd(), root, &place).at(stage)?;
                match place {
                    Attach::Root => root.replace(fd),
                    _ => leave_open(fd),
                }
                Ok(())
            }
            Tree::Source(fd, attrs) => {
                let mounted = legacy::bind(self.proc_fd(), fd.as_fd(), root, &place, attrs);
                self.mounted(mounted, root, &place, stage)
            }
        }
    }

    fn mounted(
        &self,
        mounted: core::result::Result<OwnedFd, Errno>,
        root: &mut Root,
        place: &Attach,
        stage: Stage,
    ) -> Result<()> {
        let fd = mounted.at(stage)?;
        if matches!(place, Attach::Root) {
            root.replace(fd);
        }
        Ok(())
    }

    /// Makes a file system and attaches it; returns its root.
    pub fn attach_new(
        &self,
        new: &NewFs<'_>,
        root: &mut Root,
        place: Attach,
        stage: Stage,
    ) -> Result<OwnedFd> {
        if !self.kernel.mount_fds {
            let fd = legacy::mount_fs(self.proc_fd(), new, root, &place).at(stage)?;
            if matches!(place, Attach::Root) {
                root.replace(fcntl_dupfd_cloexec(&fd, 3).at(stage)?);
            }
            return Ok(fd);
        }
        let fd = self.detached(new).at(stage)?;
        place_mount(fd.as_fd(), root, &place).at(stage)?;
        if matches!(place, Attach::Root) {
            root.replace(fcntl_dupfd_cloexec(&fd, 3).at(stage)?);
        }
        Ok(fd)
    }

    /// A new file system that is not yet attached. Only with the newer calls.
    pub fn detached(&self, new: &NewFs<'_>) -> core::result::Result<OwnedFd, Errno> {
        let context = fsopen(new.kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
        // The first field of the mount table, as mount(2) has it.
        fsconfig_set_string(context.as_fd(), c"source", new.kind)?;
        for (key, value) in new.options {
            if value.is_empty() {
                fsconfig_set_flag(context.as_fd(), *key)?;
            } else {
                fsconfig_set_string(context.as_fd(), *key, value)?;
            }
        }
        fsconfig_create(context.as_fd())?;
        let attrs = MountAttrFlags::from_bits_retain(new.attrs as u32);
        let mount = fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attrs);
        leave_open(context);
        mount
    }

    /// Makes one mount read-only, not those below it; nosuid and nodev too, as bubblewrap does.
    pub fn read_only(&self, mount: BorrowedFd<'_>) -> core::result::Result<(), Errno> {
        if !self.kernel.mount_fds {
            return legacy::read_only(self.proc_fd(), mount);
        }
        let set = attr::RDONLY | attr::NOSUID | attr::NODEV;
        set_attr(mount, c"", set, Propagation::Keep, false)
    }
}

fn place_mount(
    mount: BorrowedFd<'_>,
    root: &Root,
    place: &Attach,
) -> core::result::Result<(), Errno> {
    match place {
        Attach::Name(dir, name) => to_name(mount, root.dir(dir), name),
        Attach::Open(at) => {
            root.forget();
            to_fd(mount, at.as_fd())
        }
        Attach::Root => to_fd(mount, root.as_fd()),
    }
}

/// Attaches a detached mount at a name; a link there is not followed.
pub fn to_name(
    mount: BorrowedFd<'_>,
    dir: BorrowedFd<'_>,
    name: &CStr,
) -> core::result::Result<(), Errno> {
    move_mount(mount, c"", dir, name, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
}

/// Attaches a detached mount on an inode.
pub fn to_fd(mount: BorrowedFd<'_>, at: BorrowedFd<'_>) -> core::result::Result<(), Errno> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(mount, c"", at, c"", flags)
}

/// Attaches a detached mount over "/". Lookups from "/" go on below it: the process's root is the
/// old one until it changes.
pub fn over_root(mount: BorrowedFd<'_>) -> core::result::Result<(), Errno> {
    to_name(mount, CWD, c"/")
}

/// The path of a descriptor below procfs.
pub fn fd_path(fd: BorrowedFd<'_>) -> CString {
    use swathe_sys::rustix::fd::AsRawFd;
    CString::new(format!("self/fd/{}", fd.as_raw_fd())).unwrap_or_default()
}

/// A failure that the mounts of older kernels report for lack of a way.
pub fn unsupported(stage: Stage) -> Failure {
    Failure { stage, errno: Errno::NOSYS.raw_os_error(), op: None, detail: 0 }
}

/// Leaves a descriptor to the close-on-exec of the command, and to the closing of everything in
/// pid 1: one call fewer for each of what may be a thousand mounts.
pub fn leave_open(fd: OwnedFd) {
    use swathe_sys::rustix::fd::IntoRawFd;
    let _ = fd.into_raw_fd();
}

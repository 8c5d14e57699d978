//! The mount calls that rustix lacks: mount_setattr(2), open_tree_attr(2).

use crate::{Result, check};
use core::ffi::CStr;
use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Attributes of a mount for mount_setattr(2) (`MOUNT_ATTR_*`).
pub mod attr {
    /// Read-only.
    pub const RDONLY: u64 = 0x1;
    /// No set-user-ID.
    pub const NOSUID: u64 = 0x2;
    /// No device files.
    pub const NODEV: u64 = 0x4;
    /// No execution.
    pub const NOEXEC: u64 = 0x8;
}

/// What a change of attributes does to propagation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// Leave it.
    Keep,
    /// Neither send nor receive mounts.
    Private,
    /// Receive, but do not send.
    Slave,
}

impl Propagation {
    fn bits(self) -> u64 {
        match self {
            Self::Keep => 0,
            Self::Private => libc::MS_PRIVATE,
            Self::Slave => libc::MS_SLAVE,
        }
    }
}

/// `struct mount_attr` of mount_setattr(2).
#[repr(C)]
#[derive(Default)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    userns_fd: u64,
}

/// Sets (never clears: clearing a locked attribute fails the whole call) attributes of the mount
/// at `dir`/`path` and, with `recursive`, of all below it. An empty path means `dir` itself.
///
/// # Errors
/// EINVAL: not the root of a mount. ENOSYS: Linux before 5.12. Others as in mount_setattr(2).
pub fn set_attr(
    dir: BorrowedFd<'_>,
    path: &CStr,
    set: u64,
    propagation: Propagation,
    recursive: bool,
) -> Result<()> {
    let attr = MountAttr { set, propagation: propagation.bits(), ..MountAttr::default() };
    let mut flags = libc::AT_EMPTY_PATH | libc::AT_SYMLINK_NOFOLLOW;
    if recursive {
        flags |= libc::AT_RECURSIVE;
    }
    change_attr(dir, path, flags, &attr)
}

/// Clears attributes of the one mount whose root `mount` is.
///
/// # Errors
/// EPERM: an attribute is locked, since a more privileged namespace has set it. Others as in
/// mount_setattr(2).
pub fn clear_attr(mount: BorrowedFd<'_>, clear: u64) -> Result<()> {
    let attr = MountAttr { clear, ..MountAttr::default() };
    change_attr(mount, c"", libc::AT_EMPTY_PATH | libc::AT_SYMLINK_NOFOLLOW, &attr)
}

fn change_attr(
    dir: BorrowedFd<'_>,
    path: &CStr,
    flags: libc::c_int,
    attr: &MountAttr,
) -> Result<()> {
    // SAFETY: the path is NUL-terminated and `attr` is of the size passed; both outlive the call.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            dir.as_raw_fd(),
            path.as_ptr(),
            flags,
            core::ptr::from_ref(attr),
            size_of::<MountAttr>(),
        )
    })
    .map(drop)
}

/// open_tree_attr(2): a detached, recursive copy of the tree at `path`, its attributes set as by
/// [`set_attr`] with `recursive`.
///
/// # Errors
/// ENOSYS: Linux before 6.15. Others as in open_tree(2) and mount_setattr(2).
pub fn clone_tree_with_attr(
    dir: BorrowedFd<'_>,
    path: &CStr,
    set: u64,
    propagation: Propagation,
) -> Result<OwnedFd> {
    const SYS_OPEN_TREE_ATTR: libc::c_long = 467;
    const OPEN_TREE_CLONE: libc::c_int = 1;
    let attr = MountAttr { set, propagation: propagation.bits(), ..MountAttr::default() };
    let flags = OPEN_TREE_CLONE | libc::O_CLOEXEC | libc::AT_RECURSIVE | libc::AT_EMPTY_PATH;
    // SAFETY: as in `set_attr`.
    let fd = check(unsafe {
        libc::syscall(
            SYS_OPEN_TREE_ATTR,
            dir.as_raw_fd(),
            path.as_ptr(),
            flags,
            &raw const attr,
            size_of::<MountAttr>(),
        )
    })?;
    // SAFETY: the kernel just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// mount(2), for kernels without the newer calls and for labelled tmpfs.
///
/// # Errors
/// Those of mount(2).
pub fn mount(
    source: &CStr,
    target: &CStr,
    fs_type: Option<&CStr>,
    flags: u64,
    data: Option<&CStr>,
) -> Result<()> {
    let ptr = |s: Option<&CStr>| s.map_or(core::ptr::null(), CStr::as_ptr);
    // SAFETY: all strings are NUL-terminated and outlive the call; null is allowed for the others.
    check(
        unsafe {
            libc::mount(source.as_ptr(), target.as_ptr(), ptr(fs_type), flags, ptr(data).cast())
        }
        .into(),
    )
    .map(drop)
}

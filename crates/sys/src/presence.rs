//! Which system calls this kernel has, asked without doing anything: each call gets arguments that
//! it refuses before it looks at anything else.

use crate::{Errno, check};
use core::ptr::null;

/// A system call, and the Linux version that brought it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// clone3(2), 5.3.
    Clone3,
    /// pidfd_open(2), 5.3.
    PidfdOpen,
    /// openat2(2), 5.6.
    Openat2,
    /// close_range(2), 5.9.
    CloseRange,
    /// mount_setattr(2), 5.12.
    MountSetattr,
    /// open_tree_attr(2), 6.15.
    OpenTreeAttr,
    /// io_uring_setup(2), 5.1.
    IoUring,
}

/// What a call answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It is there.
    Present,
    /// The kernel does not have it, or a filter says so (ENOSYS).
    Missing,
    /// Somebody forbids it (EPERM, EACCES): a seccomp filter, or a setting.
    Refused,
}

/// Asks for one call.
pub fn ask(call: Call) -> Answer {
    const SYS_OPEN_TREE_ATTR: libc::c_long = 467;
    // SAFETY: every pointer is null and every size 0, which each call refuses with EINVAL or
    // EFAULT; no descriptor -1, no pid 0 and no range that ends before it begins exists.
    let result = check(unsafe {
        match call {
            Call::Clone3 => libc::syscall(libc::SYS_clone3, null::<u8>(), 0usize),
            Call::PidfdOpen => libc::syscall(libc::SYS_pidfd_open, 0usize, 0usize),
            Call::Openat2 => {
                libc::syscall(libc::SYS_openat2, -1isize, null::<u8>(), null::<u8>(), 0usize)
            }
            Call::CloseRange => libc::syscall(libc::SYS_close_range, 2usize, 1usize, 0usize),
            Call::MountSetattr => libc::syscall(
                libc::SYS_mount_setattr,
                -1isize,
                null::<u8>(),
                0usize,
                null::<u8>(),
                0usize,
            ),
            Call::OpenTreeAttr => libc::syscall(
                SYS_OPEN_TREE_ATTR,
                -1isize,
                null::<u8>(),
                0usize,
                null::<u8>(),
                0usize,
            ),
            Call::IoUring => libc::syscall(libc::SYS_io_uring_setup, 0usize, null::<u8>()),
        }
    });
    match result {
        Err(Errno::NOSYS) => Answer::Missing,
        Err(Errno::PERM | Errno::ACCESS) => Answer::Refused,
        _ => Answer::Present,
    }
}

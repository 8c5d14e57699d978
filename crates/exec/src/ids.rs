//! User and group ids of a user namespace (user_namespaces(7)).

use crate::failure::{At, Result, Stage};
use alloc::format;
use core::ffi::CStr;
use swathe_sys::rustix::fd::BorrowedFd;
use swathe_sys::rustix::fs::{self, Mode, OFlags, ResolveFlags};
use swathe_sys::{Errno, rustix};

/// Writes a file below the host's procfs. Nothing mounted over a part of it is crossed.
pub fn write_proc(
    proc_fd: BorrowedFd<'_>,
    path: &CStr,
    text: &[u8],
) -> core::result::Result<(), Errno> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let resolve = ResolveFlags::NO_XDEV | ResolveFlags::NO_MAGICLINKS;
    let file = match fs::openat2(proc_fd, path, flags, Mode::empty(), resolve) {
        Err(Errno::NOSYS) => fs::openat(proc_fd, path, flags, Mode::empty())?,
        other => other?,
    };
    // The kernel takes a map in one write or not at all.
    match rustix::io::write(&file, text)? {
        n if n == text.len() => Ok(()),
        _ => Err(Errno::IO),
    }
}

/// Makes sure that somebody has mapped ids into the new namespace that this process is in: without
/// a map every id is the overflow id, and the sandbox is not what was asked for.
pub fn assert_mapped(proc_fd: BorrowedFd<'_>) -> Result<()> {
    for (path, stage) in [(c"self/uid_map", Stage::UidMap), (c"self/gid_map", Stage::GidMap)] {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = fs::openat(proc_fd, path, flags, Mode::empty()).at(stage)?;
        if rustix::io::read(&file, &mut [0; 64]).at(stage)? == 0 {
            return Err(Errno::OVERFLOW).at(stage);
        }
    }
    Ok(())
}

/// Maps one user and one group of the new namespace that this process is in.
///
/// `inside` and `outside` are (uid, gid). Changing groups is forbidden first: an unprivileged
/// process may map its group only then.
pub fn map_self(
    proc_fd: BorrowedFd<'_>,
    inside: (u32, u32),
    outside: (u32, u32),
    deny_setgroups: bool,
) -> Result<()> {
    let line = |inside: u32, outside: u32| format!("{inside} {outside} 1\n");
    let uid_map = line(inside.0, outside.0);
    write_proc(proc_fd, c"self/uid_map", uid_map.as_bytes()).at(Stage::UidMap)?;
    if deny_setgroups {
        write_proc(proc_fd, c"self/setgroups", b"deny\n").at(Stage::SetGroups)?;
    }
    let gid_map = line(inside.1, outside.1);
    write_proc(proc_fd, c"self/gid_map", gid_map.as_bytes()).at(Stage::GidMap)
}

//! What the kernel will say of a file, by its mount and its mode.

use swathe_record::event::Action;
use swathe_sys::Errno;
use swathe_sys::rustix::fd::{AsRawFd as _, OwnedFd};
use swathe_sys::rustix::fs::{
    Access, AtFlags, CWD, FileType, StatVfsMountFlags, accessat, fstatvfs,
};

/// Nothing, or the error that a call will fail with.
pub type Judged = Result<(), Errno>;

/// What an action needs of a file by its mode; none: nothing.
pub const fn wanted(action: Action) -> Option<Access> {
    match action {
        Action::Create | Action::Remove | Action::Rename | Action::Write | Action::Truncate => {
            Some(Access::WRITE_OK)
        }
        Action::Read => Some(Access::READ_OK),
        Action::Execute => Some(Access::EXEC_OK),
        _ => None,
    }
}

/// What the mount permits.
pub fn changeable(fd: &OwnedFd) -> Judged {
    match fstatvfs(fd) {
        Ok(fs) if fs.f_flag.contains(StatVfsMountFlags::RDONLY) => Err(Errno::ROFS),
        _ => Ok(()),
    }
}

/// Whether what is written to it is written into a file system.
pub const fn is_kept(kind: FileType) -> bool {
    matches!(kind, FileType::RegularFile | FileType::Directory)
}

/// What the kernel will say, by the mount and the mode.
pub fn judge(fd: &OwnedFd, kind: FileType, action: Action) -> Judged {
    // Whose file it is decides about the rest.
    if action == Action::Metadata {
        return changeable(fd);
    }
    let Some(wanted) = wanted(action) else { return Ok(()) };
    if wanted == Access::WRITE_OK && is_kept(kind) {
        changeable(fd)?;
    }
    if kind == FileType::Symlink {
        return Ok(());
    }
    let own = format!("/proc/self/fd/{}", fd.as_raw_fd());
    accessat(CWD, own, wanted, AtFlags::EACCESS)
}

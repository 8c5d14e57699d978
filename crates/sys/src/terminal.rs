//! The controlling terminal.

use crate::{Result, check};
use rustix::fd::{AsFd, AsRawFd};

/// Makes the terminal the controlling one of the calling session leader (`TIOCSCTTY`).
///
/// # Errors
/// EPERM: not a session leader, or the terminal belongs to another session.
pub fn set_controlling(fd: impl AsFd) -> Result<()> {
    // SAFETY: TIOCSCTTY takes an integer.
    check(unsafe { libc::ioctl(fd.as_fd().as_raw_fd(), libc::TIOCSCTTY as _, 0) }.into()).map(drop)
}

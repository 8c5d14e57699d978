//! Where a supervisor begins: the listener, and no more rights than it needs.

use swathe_sys::rustix::event::{PollFd, PollFlags, poll};
use swathe_sys::rustix::fd::OwnedFd;
use swathe_sys::{Errno, Result};

const SIGXFSZ: i32 = 25;

/// The rights that this thread has no need for: it acts for a process that does not have them. Its
/// umask and directory become its own.
pub fn confine() -> Result<()> {
    use swathe_sys::process::{Caps, set_caps, unshare_fs};
    // A limit of file sizes ends calls with EFBIG, not this program.
    swathe_sys::signal::SignalSet::new(&[SIGXFSZ]).block()?;
    unshare_fs()?;
    set_caps(Caps::default())
}

/// Waits for the listener; none: the supervisor was stopped, or the engine has ended.
pub fn receive(socket: &OwnedFd, wake: &OwnedFd) -> Result<Option<OwnedFd>> {
    loop {
        let mut fds = [PollFd::new(socket, PollFlags::IN), PollFd::new(wake, PollFlags::IN)];
        match poll(&mut fds, None) {
            Err(Errno::INTR) => continue,
            other => other?,
        };
        if !fds[1].revents().is_empty() {
            return Ok(None);
        }
        return swathe_sys::socket::receive_descriptor(socket);
    }
}

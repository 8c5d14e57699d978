//! Handing files over to the process that asked for them.

use crate::process::Caller;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use swathe_sys::notify::{self, Notification};
use swathe_sys::rustix::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use swathe_sys::rustix::fs::{Mode, OFlags, fcntl_getfl, fcntl_setfl, open};
use swathe_sys::rustix::io::fcntl_dupfd_cloexec;
use swathe_sys::{Errno, Result};

/// Threads that wait for the other end of a pipe at the same time.
const MAX_SLOW: usize = 64;

/// How files are handed over.
#[derive(Debug, Clone)]
pub struct Hands {
    /// Whether only a signal that kills interrupts a call that is being answered.
    undisturbed: bool,
    slow: Arc<AtomicUsize>,
}

impl Hands {
    /// See the field.
    pub fn new(undisturbed: bool) -> Self {
        Self { undisturbed, slow: Arc::default() }
    }

    /// Gives a file to the process. It is not open here any more when the process has it: a program
    /// that was just written could not be run ("text file busy"), a lock would last longer than its
    /// holder has the file open, a pipe would seem to have a reader.
    pub fn over(&self, listener: &OwnedFd, id: u64, fd: OwnedFd, cloexec: bool) -> Result<()> {
        let done = if self.undisturbed {
            notify::inject_last(listener, id, fd, cloexec)
        } else {
            notify::inject(listener, id, fd.as_fd(), cloexec)
        };
        match done {
            Err(errno @ (Errno::MFILE | Errno::NFILE)) => notify::refuse(listener, id, errno),
            other => other,
        }
    }

    /// Opens it on a thread of its own, and hands it over: it lasts until somebody opens the other
    /// end.
    pub fn over_slowly(
        &self,
        listener: &OwnedFd,
        &Notification { id, pid, .. }: &Notification,
        file: OwnedFd,
        flags: OFlags,
        cloexec: bool,
    ) -> Result<()> {
        let listener = fcntl_dupfd_cloexec(listener, 0)?;
        if self.slow.fetch_add(1, Ordering::Relaxed) >= MAX_SLOW {
            self.slow.fetch_sub(1, Ordering::Relaxed);
            return Err(Errno::AGAIN);
        }
        let hands = self.clone();
        let opened = move || {
            let own = format!("/proc/self/fd/{}", file.as_raw_fd());
            let still = || notify::is_waiting(&listener, id);
            match wait_for_other_end(&own, flags, &Caller::new(pid), still) {
                Ok(fd) => drop(hands.over(&listener, id, fd, cloexec)),
                Err(errno) => drop(notify::refuse(&listener, id, errno)),
            }
            hands.slow.fetch_sub(1, Ordering::Relaxed);
        };
        let thread = std::thread::Builder::new().name("supervisor-pipe".into()).spawn(opened);
        thread.map(drop).map_err(|_| {
            self.slow.fetch_sub(1, Ordering::Relaxed);
            Errno::AGAIN
        })
    }
}

/// Opens a named pipe as soon as its other end is open, as long as the process waits.
fn wait_for_other_end(
    path: &str,
    flags: OFlags,
    caller: &Caller,
    still: impl Fn() -> bool,
) -> Result<OwnedFd> {
    const PAUSE: std::time::Duration = std::time::Duration::from_millis(5);
    let mut before = None;
    loop {
        match open(path, flags | OFlags::NONBLOCK, Mode::empty()) {
            Ok(fd) => {
                if !flags.contains(OFlags::NONBLOCK) {
                    let now = fcntl_getfl(&fd)?;
                    fcntl_setfl(&fd, now - OFlags::NONBLOCK)?;
                }
                return Ok(fd);
            }
            // The same of a file, by whoever holds a lease on it.
            Err(Errno::NXIO | Errno::AGAIN) if !flags.contains(OFlags::NONBLOCK) => {}
            Err(e) => return Err(e),
        }
        // One that was there the last time, too: others that can take it had the time to.
        let signal = caller.interruption()?;
        if !still() {
            return Err(Errno::INTR);
        }
        if let Some(errno) = signal.filter(|_| signal == before) {
            return Err(errno);
        }
        before = signal;
        std::thread::sleep(PAUSE);
    }
}

//! Upper bounds of what a run may change. The kernel has none for an ordinary user's directory, so
//! that they are looked at while the run goes on: it can exceed them for about half a second, and is
//! ended then.

use crate::out::Failure;
use rustix::process::{Signal, pidfd_send_signal};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use swathe_workspace::{Limits, Usage, Workspace};

/// The time between two looks, at least.
const PAUSE: Duration = Duration::from_millis(500);

/// Looks take at most this part of the time.
const SHARE: u32 = 10;

/// Somebody who looks.
#[derive(Debug)]
pub struct Watch {
    ended: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
}

impl Watch {
    /// Ends the sandbox of `child` when the workspace holds more than these limits allow.
    ///
    /// # Errors
    /// The sandbox cannot be watched.
    pub fn start(
        workspace: Workspace,
        limits: Limits,
        child: &swathe::Child,
    ) -> Result<Self, Failure> {
        let watch = Self { ended: Arc::default(), stop: Arc::default() };
        let (ended, stop) = (Arc::clone(&watch.ended), Arc::clone(&watch.stop));
        let cannot = |e: std::io::Error| {
            Failure::new(format!("the limits of the workspace cannot be watched: {e}"))
        };
        let Some(pidfd) = child.pidfd() else {
            return Err(Failure::new("the limits of a workspace need Linux 5.3"));
        };
        let pidfd = pidfd.try_clone_to_owned().map_err(cannot)?;
        std::thread::Builder::new()
            .name("bounds".to_owned())
            .spawn(move || look(&workspace, limits, &pidfd, &ended, &stop))
            .map_err(cannot)?;
        Ok(watch)
    }

    /// Whether the run was ended for its changes.
    pub fn has_ended_it(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

fn look(
    workspace: &Workspace,
    limits: Limits,
    pidfd: &OwnedFd,
    ended: &AtomicBool,
    stop: &AtomicBool,
) {
    let mut pause = PAUSE;
    while !stop.load(Ordering::SeqCst) {
        std::thread::sleep(pause);
        let start = Instant::now();
        // What the program removes meanwhile may be an error; the next look counts again.
        if workspace.usage().is_ok_and(|usage| is_over(usage, limits)) {
            ended.store(true, Ordering::SeqCst);
            // It may have ended by itself.
            let _ = pidfd_send_signal(pidfd, Signal::KILL);
            return;
        }
        pause = PAUSE.max(start.elapsed() * SHARE);
    }
}

fn is_over(usage: Usage, limits: Limits) -> bool {
    limits.bytes.is_some_and(|most| usage.bytes > most)
        || limits.inodes.is_some_and(|most| usage.inodes > most)
}

//! Upper bounds of what a run may change. The kernel has none for an ordinary user's directory, so
//! that they are looked at while the run goes on: it can exceed them for about half a second, and is
//! ended then.

use crate::out::Failure;
use crate::review::text::size;
use rustix::process::{Signal, pidfd_send_signal};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use swathe_workspace::{Limits, Usage, Workspace};

/// The time between two looks, at least.
const PAUSE: Duration = Duration::from_millis(500);

/// Looks take at most this part of the time.
const SHARE: u32 = 10;

/// Somebody who looks.
#[derive(Debug)]
pub struct Watch {
    /// What the workspace held when the run was ended for it.
    ended: Arc<OnceLock<Usage>>,
    stop: Arc<AtomicBool>,
    limits: Limits,
    name: String,
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
        let name = workspace.about().id.clone();
        let watch = Self { ended: Arc::default(), stop: Arc::default(), limits, name };
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

    /// What the run was ended for, if it was.
    pub fn ended_for(&self) -> Option<String> {
        let usage = self.ended.get()?;
        let bytes = self.limits.bytes.filter(|most| usage.bytes > *most);
        let (is, most, option) = match (bytes, self.limits.inodes) {
            (None, Some(most)) => (format!("{} files", usage.inodes), most.to_string(), "files"),
            (most, _) => (size(usage.bytes), size(most.unwrap_or_default()), "size"),
        };
        let name = &self.name;
        Some(format!(
            "ended: the workspace {name} holds {is}, and --cow-{option} allows {most}; \
             what was changed until then is kept"
        ))
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
    ended: &OnceLock<Usage>,
    stop: &AtomicBool,
) {
    let mut pause = PAUSE;
    while !stop.load(Ordering::SeqCst) {
        std::thread::sleep(pause);
        let start = Instant::now();
        // What the program removes meanwhile may be an error; the next look counts again.
        if let Some(usage) = workspace.usage().ok().filter(|usage| is_over(*usage, limits)) {
            let _ = ended.set(usage);
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

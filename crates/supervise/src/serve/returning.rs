//! When a call is over that the kernel went on with.
//!
//! Nothing tells it. What a call does that names a path takes microseconds of the processor, unless
//! it waits; so it is over when its thread has called something else, waits elsewhere, has ended, or
//! has had a processor for longer than such a call takes.

use std::time::{Duration, Instant};
use swathe_sys::notify::Notification;

/// How long no such call runs without waiting, of processor time.
const RUNS: u64 = 20_000_000;
/// The same by the clock, where the kernel does not count.
const LASTS: Duration = Duration::from_secs(2);

/// A call that the kernel went on with.
#[derive(Debug, Clone, Copy)]
pub struct Returning {
    /// The question that it was asked about.
    pub question: u64,
    /// Its thread.
    pub pid: u32,
    nr: i32,
    /// Nanoseconds that the thread had run before.
    ran: Option<u64>,
    since: Instant,
}

impl Returning {
    /// Before it goes on.
    pub fn new(question: u64, notification: &Notification) -> Self {
        let Notification { pid, nr, .. } = *notification;
        Self { question, pid, nr, ran: ran(pid), since: Instant::now() }
    }

    /// Whether it has returned.
    pub fn is_over(&self) -> bool {
        // Whoever looks may look at fewer processes after one has changed what it runs.
        match std::fs::read_to_string(format!("/proc/{}/syscall", self.pid)) {
            Ok(text) => self.says(&text, ran(self.pid)),
            Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => {
                self.says("running", ran(self.pid))
            }
            Err(_) => true,
        }
    }

    /// What the file of procfs says of it, and how long the thread has run up to now.
    fn says(&self, text: &str, ran: Option<u64>) -> bool {
        match text.split_ascii_whitespace().next() {
            // On a processor, or about to be: in the call or not.
            Some("running") => match (self.ran, ran) {
                (Some(before), Some(now)) => now.saturating_sub(before) > RUNS,
                _ => self.since.elapsed() > LASTS,
            },
            // It waits in this call. The next of its kind would have been told.
            Some(number) => number.parse() != Ok(self.nr),
            None => true,
        }
    }
}

/// Nanoseconds that a thread has run, where the kernel counts that.
fn ran(pid: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/schedstat")).ok()?;
    text.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As long as it waits in the call it is not over, however long that takes.
    #[test]
    fn over() {
        let notification = Notification { id: 1, pid: 1, nr: 257, arch: 0, args: [0; 6] };
        let call = Returning { ran: Some(5), ..Returning::new(7, &notification) };
        assert!(!call.says("257 0xffffff9c 0x1 0x0 0x0 0x0 0x0 0x7ffd 0x7f00\n", Some(u64::MAX)));
        assert!(call.says("0 0x3 0x1 0x0 0x0 0x0 0x0 0x7ffd 0x7f00\n", Some(5)));
        assert!(call.says("-1 0x7ffd 0x7f00\n", Some(5)));
        assert!(!call.says("running\n", Some(1_000_000)));
        assert!(call.says("running\n", Some(30_000_000)));
        assert!(call.says("", Some(5)));
        assert!(!call.says("running\n", None));
    }
}

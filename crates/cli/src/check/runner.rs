//! Runs probes, each in a process of its own: the hidden side of `swathe check`, inside and outside.

use super::facts::Facts;
use super::probe::{Finding, Probe};
use super::probes;
use crate::out::Failure;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};
use swathe_sys::process::{Fork, fork};

/// How long one probe may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// The most that a probe may say.
const MAX_SAID: u64 = 64 << 10;

/// What one probe found, as a line of JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The probe.
    pub id: String,
    /// What it found.
    #[serde(flatten)]
    pub finding: Finding,
}

/// Tries all probes, in the order of the table; prints a line each.
pub fn run(facts: &str) -> Result<u8, Failure> {
    let facts: Facts = serde_json::from_str(facts)
        .map_err(|e| Failure::new(format!("the facts of a check cannot be read: {e}")))?;
    // What probes send to everybody shall not end the one that runs them.
    for signal in [Signal::USR1, Signal::USR2, Signal::HUP, Signal::PIPE] {
        swathe_sys::probe::ignore(signal.as_raw())
            .map_err(|e| Failure::new(format!("cannot ignore a signal: {e}")))?;
    }
    let mut out = std::io::stdout();
    for probe in probes::all() {
        let line = Line { id: probe.id.to_owned(), finding: attempt(probe, &facts)? };
        let mut text = serde_json::to_vec(&line).map_err(|e| Failure::new(e.to_string()))?;
        text.push(b'\n');
        out.write_all(&text)
            .and_then(|()| out.flush())
            .map_err(|e| Failure::new(format!("cannot report: {e}")))?;
    }
    Ok(0)
}

/// One probe in a process of its own, which may crash, hang or be killed.
fn attempt(probe: &Probe, facts: &Facts) -> Result<Finding, Failure> {
    let cannot = |e: std::io::Error| Failure::new(format!("cannot try {}: {e}", probe.id));
    let (ours, theirs) = std::io::pipe().map_err(cannot)?;
    match fork(0, false).map_err(|e| cannot(e.into()))? {
        Fork::Child => {
            drop(ours);
            let finding = (probe.run)(facts);
            let said = serde_json::to_vec(&finding).unwrap_or_default();
            let mut pipe = File::from(OwnedFd::from(theirs));
            // Without a reader there is nobody to tell.
            let told = pipe.write_all(&said).is_ok();
            swathe_sys::process::exit(i32::from(!told))
        }
        Fork::Parent(pid) => {
            drop(theirs);
            let ended = wait(pid).map_err(cannot)?;
            // A process that the probe left behind may hold the other end: no waiting for it.
            let mut said = Vec::new();
            if is_ready(&ours) {
                rustix::fs::fcntl_setfl(&ours, rustix::fs::OFlags::NONBLOCK)
                    .map_err(|e| cannot(e.into()))?;
                // What was said before the end is there; after it comes WouldBlock or the end.
                drop(File::from(OwnedFd::from(ours)).take(MAX_SAID).read_to_end(&mut said));
            }
            Ok(serde_json::from_slice(&said).unwrap_or(ended))
        }
    }
}

fn is_ready(pipe: &std::io::PipeReader) -> bool {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let mut fds = [PollFd::new(pipe, PollFlags::IN)];
    poll(&mut fds, Some(&now)).is_ok_and(|ready| ready > 0)
}

/// Waits for a process as long as patience lasts; how it ended if it says nothing itself.
fn wait(pid: i32) -> Result<Finding, std::io::Error> {
    let pid = Pid::from_raw(pid).ok_or_else(|| std::io::Error::other("no pid"))?;
    let end = Instant::now() + PATIENCE;
    // Most end within a millisecond; the others are few.
    let mut pause = Duration::from_micros(50);
    loop {
        if let Some((_, status)) = waitpid(Some(pid), WaitOptions::NOHANG)? {
            let signal = status.terminating_signal();
            return Ok(Finding::Killed(signal.unwrap_or_default()));
        }
        if Instant::now() >= end {
            kill_process(pid, Signal::KILL)?;
            waitpid(Some(pid), WaitOptions::empty())?;
            return Ok(Finding::Hung);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(5));
    }
}

//! Private memory of the processes that stay beside a sleeping payload.
#![allow(unsafe_code)] // kcmp and poll have no safe form in std

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::time::Duration;

use crate::host;
use crate::launch::{self, Command, Options};

/// The name the payload's process bears.
const PAYLOAD: &str = "strue";

/// Launches `command`, whose payload sleeps, and returns the sum of private clean and dirty memory
/// in kB of the launcher and everything below it but the payload. Processes that share one address
/// space count once. A launch that leaves no process beside its payload counts 0.
///
/// # Errors
/// When the launch fails, the payload does not start within 10 s, or `/proc` refuses to tell.
pub fn beside_payload(command: &Command, user: Option<u32>) -> io::Result<f64> {
    let (hold_read, hold) = host::pipe()?;
    let (ready, ready_write) = host::pipe()?;
    let stdio = [hold_read.as_raw_fd(), ready_write.as_raw_fd(), 2];
    let launcher = command.spawn(Options { user, stdio: Some(stdio), traced: false })?;
    drop((hold_read, ready_write));
    let measured = readable(&ready).and_then(|()| {
        let mut byte = [0];
        File::from(ready).read_exact(&mut byte)?;
        // The launcher is about to wait; let it arrive there.
        std::thread::sleep(Duration::from_millis(20));
        sum(launcher)
    });
    drop(hold);
    let status = launch::wait(launcher)?;
    if status != 0 {
        return Err(io::Error::other(format!("launch ended with status {status:#x}")));
    }
    measured
}

fn readable(fd: &impl AsRawFd) -> io::Result<()> {
    let mut poll = libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one live entry.
    match unsafe { libc::poll(&mut poll, 1, 10_000) } {
        1 if poll.revents & libc::POLLIN != 0 => Ok(()),
        _ => Err(io::Error::other("the payload did not start")),
    }
}

fn sum(launcher: i32) -> io::Result<f64> {
    let mut counted: Vec<i32> = Vec::new();
    let mut total = 0.0;
    for (pid, name) in family(launcher)? {
        if name == PAYLOAD || counted.iter().any(|other| same_memory(*other, pid)) {
            continue;
        }
        total += private(pid)?;
        counted.push(pid);
    }
    Ok(total)
}

/// The launcher and its descendants, with their names.
fn family(launcher: i32) -> io::Result<Vec<(i32, String)>> {
    let mut all: BTreeMap<i32, (i32, String)> = BTreeMap::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|n| n.parse().ok()) else { continue };
        // A process may end while we look.
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        let (Some(open), Some(close)) = (stat.find('('), stat.rfind(')')) else { continue };
        let parent = stat[close + 1..].split_whitespace().nth(1).and_then(|p| p.parse().ok());
        all.insert(pid, (parent.unwrap_or(0), stat[open + 1..close].to_owned()));
    }
    let below = |mut pid: i32| {
        while let Some((parent, _)) = all.get(&pid) {
            if pid == launcher {
                return true;
            }
            pid = *parent;
        }
        false
    };
    Ok(all.iter().filter(|(pid, _)| below(**pid)).map(|(pid, (_, n))| (*pid, n.clone())).collect())
}

fn same_memory(a: i32, b: i32) -> bool {
    const KCMP_VM: i32 = 1;
    // SAFETY: plain integers.
    unsafe { libc::syscall(libc::SYS_kcmp, a, b, KCMP_VM, 0, 0) == 0 }
}

fn private(pid: i32) -> io::Result<f64> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let field = |line: &str| line.split_whitespace().nth(1).and_then(|n| n.parse::<f64>().ok());
    Ok(rollup.lines().filter(|l| l.starts_with("Private_")).filter_map(field).sum())
}

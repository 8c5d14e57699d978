//! Launches that run at full speed: waiting for their end, and finding who is left.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::time::{Duration, Instant};

use crate::sys::{self, Pid, Waited};

/// How the children of this process ended, and who had to be killed.
#[derive(Debug, Default)]
pub struct Ended {
    /// Every process that was waited for: children, and orphans that came to us.
    pub waited: HashMap<Pid, Waited>,
    /// Descriptions of the processes that were left at the deadline.
    pub survivors: Vec<String>,
}

/// Waits until no child is left, for `limit` at most; then kills and describes whoever remains.
///
/// # Errors
/// Those of wait4(2) other than the expected ones.
pub fn wait_all(limit: Duration) -> io::Result<Ended> {
    let start = Instant::now();
    let mut ended = Ended::default();
    let mut killing = false;
    loop {
        match sys::wait_any(true) {
            Ok(Some((pid, what))) => {
                ended.waited.insert(pid, what);
            }
            Ok(None) => {}
            Err(e) if e.raw_os_error() == Some(libc::ECHILD) => return Ok(ended),
            Err(e) if e.kind() != io::ErrorKind::Interrupted => return Err(e),
            Err(_) => {}
        }
        if start.elapsed() >= limit {
            for (pid, about) in descendants() {
                if !killing {
                    ended.survivors.push(about);
                }
                sys::kill(pid, libc::SIGKILL);
            }
            killing = true;
        }
    }
}

/// Every living descendant of this process, with its name, state and what it waits in.
pub fn descendants() -> Vec<(Pid, String)> {
    let mut parents: HashMap<Pid, (Pid, String)> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<Pid>().ok()) else {
            continue;
        };
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        // The name may hold anything, brackets too: the fields start after the last one.
        let Some((name, rest)) = stat.rsplit_once(") ") else { continue };
        let mut fields = rest.split(' ');
        let (state, parent) = (fields.next(), fields.next().and_then(|p| p.parse().ok()));
        let (Some(state), Some(parent)) = (state, parent) else { continue };
        let name = name.split_once('(').map_or("", |(_, n)| n);
        let place = fs::read_to_string(format!("/proc/{pid}/wchan")).unwrap_or_default();
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words = String::from_utf8_lossy(&words).replace('\0', " ");
        let words: String = words.chars().take(80).collect();
        parents.insert(pid, (parent, format!("{name} [{state}] in {place}: {words}")));
    }
    let own = Pid::try_from(std::process::id()).unwrap_or(0);
    let ours = |mut pid: Pid| {
        // Bounded: a pid that is reused meanwhile could close a circle.
        for _ in 0..64 {
            match parents.get(&pid) {
                Some((parent, _)) if *parent == own => return true,
                Some((parent, _)) => pid = *parent,
                None => return false,
            }
        }
        false
    };
    parents
        .iter()
        .filter(|(pid, _)| ours(**pid))
        .map(|(pid, (_, about))| (*pid, about.clone()))
        .collect()
}

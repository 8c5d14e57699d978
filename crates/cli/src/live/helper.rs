//! The helper for mounts: finding the sandbox's, and starting it.

use crate::out::Failure;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::fs::File;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;
use swathe::Child;
use swathe_mounter::Mounter;

/// How long a sandbox may take to be set up.
const SET_UP: Duration = Duration::from_secs(60);

/// The mounts of a sandbox whose program was held back; it starts meanwhile. None: it was not held
/// back, or has ended.
///
/// # Errors
/// They cannot be opened.
pub fn namespace(child: &mut Child) -> Result<Option<OwnedFd>, Failure> {
    let failed = |e: swathe::Error| Failure::new(e.to_string());
    let namespace = child.mount_namespace().map_err(failed)?;
    child.release().map_err(failed)?;
    match namespace {
        Some(namespace) => Ok(child.is_set_up(SET_UP).map_err(failed)?.then_some(namespace)),
        None => Ok(None),
    }
}

/// Starts it. `known`: the mounts, if they are known.
pub fn start(engine: u32, known: Option<&OwnedFd>) -> Result<Mounter, Failure> {
    let cannot = |e: &dyn std::fmt::Display| {
        Failure::new(format!("cannot change what the sandbox sees: {e}"))
    };
    let found = || mounts_of(engine).map(OwnedFd::from);
    let namespace = known.map_or_else(found, |known| known.try_clone().ok());
    let namespace = namespace.ok_or_else(|| cannot(&"none of its processes can be looked at"))?;
    let pid = i32::try_from(engine).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| cannot(&"it has ended"))?;
    let ended = pidfd_open(pid, PidfdFlags::empty()).map_err(|e| cannot(&e))?;
    let program = std::env::current_exe().map_err(|e| cannot(&e))?;
    Mounter::start(&program, namespace.as_fd(), ended.as_fd()).map_err(|e| cannot(&e))
}

/// How many processes are looked at for one that lets itself be looked at: pid 1 does not.
const MAX_PROCESSES: usize = 10_000;

/// The mount namespace of the sandbox of this engine: that of a process below it which has another
/// than the engine's.
fn mounts_of(engine: u32) -> Option<File> {
    let own = std::fs::metadata("/proc/self/ns/mnt").ok()?.ino();
    let mut left = std::collections::VecDeque::from([engine]);
    for _ in 0..MAX_PROCESSES {
        let pid = left.pop_front()?;
        let found = File::open(format!("/proc/{pid}/ns/mnt")).ok();
        let other = |file: &File| file.metadata().is_ok_and(|found| found.ino() != own);
        if let Some(file) = found.filter(other) {
            return Some(file);
        }
        let children = format!("/proc/{pid}/task/{pid}/children");
        let children = std::fs::read_to_string(children).unwrap_or_default();
        left.extend(children.split_ascii_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
    }
    None
}

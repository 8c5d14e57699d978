//! Limits that are kept from outside the sandbox: a control group where the machine delegates one,
//! and the time of a run.

use crate::out::{Failure, note};
use crate::streams::Signals;
use rustix::fs::{Mode, OFlags};
use std::fs;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use swathe::{Child, Command, ExitStatus};
use swathe_host::layers::Delegation;
use swathe_policy::Limits;

/// Controllers without which a group would limit nothing.
const CONTROLLERS: [&str; 2] = ["memory", "pids"];

/// How long the kernel may take to let a group of ended processes go.
const EMPTIED: Duration = Duration::from_secs(2);

/// Processes of a sandbox without a limit of their own.
const PROCESSES: u64 = 4096;

/// A control group of one sandbox (cgroups(7)); removed when dropped.
#[derive(Debug)]
pub struct Group(PathBuf);

impl Group {
    /// Makes one below a delegated group, with these limits; `None` where that cannot be divided.
    pub fn make(delegation: &Delegation, id: &str, limits: &Limits, memory: u64) -> Option<Self> {
        let has = |name: &str| delegation.controllers.iter().any(|c| c == name);
        let above = Path::new(&delegation.path);
        if !CONTROLLERS.iter().all(|name| has(name)) || !hand_on(above) {
            return None;
        }
        let group = Self(above.join(format!("swathe-{id}")));
        fs::create_dir(&group.0).ok()?;
        let memory = limits.memory.unwrap_or(memory / 2);
        group.write("memory.max", memory)?;
        group.write("pids.max", limits.processes.unwrap_or(PROCESSES))?;
        // What cannot be had in memory shall not be had in swap; kernels without swap have no file.
        let _ = group.write("memory.swap.max", 0);
        // A sandbox that runs out of memory ends as a whole: half of one helps nobody.
        let _ = group.write("memory.oom.group", 1);
        Some(group)
    }

    fn write(&self, name: &str, value: u64) -> Option<()> {
        fs::write(self.0.join(name), value.to_string()).ok()
    }

    /// The limits that were run into, by their names in profiles.
    fn reached(&self) -> Vec<&'static str> {
        let counted = |file: &str, names: &[&str]| {
            let text = fs::read_to_string(self.0.join(file)).unwrap_or_default();
            text.lines().filter_map(|line| line.split_once(' ')).any(|(name, count)| {
                names.contains(&name) && count.trim().parse::<u64>().is_ok_and(|count| count > 0)
            })
        };
        let memory = counted("memory.events", &["oom_kill", "oom_group_kill"]);
        let processes = counted("pids.events", &["max"]);
        memory.then_some("memory").into_iter().chain(processes.then_some("processes")).collect()
    }

    /// The group's directory, for the engine.
    fn open(&self) -> Option<OwnedFd> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        rustix::fs::open(&self.0, flags, Mode::empty()).ok()
    }

    /// Starts the command's sandbox in the group.
    pub fn start(&self, command: Command) -> Command {
        match self.open() {
            Some(fd) => command.cgroup(fd),
            None => command,
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let end = Instant::now() + EMPTIED;
        // Ended processes leave their group a little later.
        while fs::remove_dir(&self.0).is_err() && self.0.exists() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Whether groups below this one have the controllers. They are handed on where they are not yet;
/// the kernel allows that only while the group itself holds no process, so this one moves to a group
/// of its own if it is the only one.
fn hand_on(above: &Path) -> bool {
    let handed = || {
        let text = fs::read_to_string(above.join("cgroup.subtree_control")).unwrap_or_default();
        CONTROLLERS.iter().all(|name| text.split_whitespace().any(|word| word == *name))
    };
    let hand = || drop(fs::write(above.join("cgroup.subtree_control"), "+memory +pids"));
    if handed() {
        return true;
    }
    hand();
    if handed() {
        return true;
    }
    let own = std::process::id().to_string();
    let there = fs::read_to_string(above.join("cgroup.procs")).unwrap_or_default();
    if there.trim() != own {
        return false;
    }
    let aside = above.join(format!("swathe-own-{own}"));
    if fs::create_dir(&aside).is_err() || fs::write(aside.join("cgroup.procs"), &own).is_err() {
        return false;
    }
    hand();
    handed()
}

/// Waits for the end of a sandbox, at most as long as it may take, and passes signals on meanwhile.
/// Also the limits that it ran into, as far as that shows from outside, by their names in profiles.
pub fn wait(
    child: &mut Child,
    limits: &Limits,
    signals: &Signals,
    group: Option<&Group>,
) -> Result<(ExitStatus, Vec<&'static str>), Failure> {
    let failed = |e: swathe::Error| Failure::new(e.to_string());
    let mut reached = Vec::new();
    if !signals.pass_on(child, limits.time.map(Duration::from_secs)) {
        let seconds = limits.time.unwrap_or(0);
        note(&format!("ended after {seconds} seconds, the limit of this run"));
        child.kill().map_err(failed)?;
        reached.push("time");
    }
    let status = child.wait().map_err(failed)?;
    reached.extend(group.map(Group::reached).unwrap_or_default());
    Ok((status, reached))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delegation(dir: &Path) -> Delegation {
        let controllers = CONTROLLERS.map(str::to_owned).to_vec();
        Delegation { path: dir.display().to_string(), controllers }
    }

    /// A directory that looks like a group which hands its controllers on: the sandbox's group gets
    /// the limits, and is removed.
    #[test]
    fn a_group_gets_the_limits() {
        let dir = std::env::temp_dir().join(format!("swathe-group-{}", std::process::id()));
        fs::create_dir(&dir).expect("directory");
        fs::write(dir.join("cgroup.subtree_control"), "cpu memory pids\n").expect("file");
        let limits = Limits { processes: Some(7), ..Limits::default() };
        let group = Group::make(&delegation(&dir), "x", &limits, 4096).expect("group");
        let read = |name: &str| fs::read_to_string(dir.join("swathe-x").join(name));
        assert_eq!(read("memory.max").expect("file"), "2048");
        assert_eq!(read("pids.max").expect("file"), "7");
        assert_eq!(group.reached(), Vec::<&str>::new());
        let events = |name: &str, text: &str| fs::write(dir.join("swathe-x").join(name), text);
        events("memory.events", "low 0\nmax 3\noom 1\noom_kill 2\n").expect("file");
        events("pids.events", "max 1\n").expect("file");
        assert_eq!(group.reached(), ["memory", "processes"]);
        // The kernel's files go with their directory; these do not.
        fs::remove_dir_all(dir.join("swathe-x")).expect("removed");
        drop(group);
        fs::remove_dir_all(&dir).expect("removed");
    }

    /// A group that holds other processes, or lacks a controller, is left alone.
    #[test]
    fn a_group_of_others_is_left_alone() {
        let dir = std::env::temp_dir().join(format!("swathe-others-{}", std::process::id()));
        fs::create_dir(&dir).expect("directory");
        fs::write(dir.join("cgroup.procs"), "1\n2\n").expect("file");
        let mut named = delegation(&dir);
        named.controllers.pop();
        assert!(Group::make(&named, "x", &Limits::default(), 4096).is_none());
        assert!(!dir.join("swathe-x").exists());
        fs::remove_dir_all(&dir).expect("removed");
    }
}

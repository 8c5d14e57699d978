//! What can be used up.

use crate::check::facts::Facts;
use crate::check::probe::{
    Class, Finding, Layer, Probe, absent, closed, open, probe, tried, words,
};
use rustix::fs::{Access, StatVfs};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::path::Path;
use swathe_sys::process::{Fork, fork};

use Class::Resource as Use;
use Layer::{Limits, Namespace};

/// No more than this counts as bounded, whatever the caller's own limit is.
const PROCESSES: u64 = 4096;
/// As with processes: files of one temporary file system.
const FILES: u64 = 1 << 20;

pub const PROBES: &[Probe] = &[
    probe("processes", Use, Limits, "start processes without bound", |f| {
        bounded(Resource::Nproc, f.processes, PROCESSES)
    }),
    probe("processes-enforced", Use, Limits, "start more than the bound allows", enforced),
    probe("memory", Use, Limits, "allocate more memory than the machine has", |f| {
        let bytes = usize::try_from(f.memory).unwrap_or(usize::MAX / 2);
        tried(swathe_sys::probe::reserve(bytes))
    }),
    probe("core-dumps", Use, Limits, "leave core dumps", |_| {
        match getrlimit(Resource::Core).maximum {
            Some(0) => closed("none allowed"),
            Some(bytes) => open(format!("up to {bytes} bytes")),
            None => open("without bound"),
        }
    }),
    probe("real-time", Use, Namespace, "take processors for itself (real time)", |_| {
        tried(swathe_sys::probe::real_time())
    }),
    probe("priority", Use, Namespace, "raise its priority (nice)", |_| {
        tried(rustix::process::setpriority_process(None, -5))
    }),
    probe("limits-raise", Use, Namespace, "raise its limits", |_| {
        let files = getrlimit(Resource::Nofile);
        let higher = files.maximum.map(|most| most.saturating_add(1));
        match higher {
            None => open("there is none"),
            higher => {
                tried(setrlimit(Resource::Nofile, Rlimit { current: higher, maximum: higher }))
            }
        }
    }),
    probe("inotify", Use, Limits, "use up the user's inotify instances", inotify),
    probe("fill-root", Use, Limits, "fill /", |f| fill(f, Path::new("/"))),
    probe("fill-tmp", Use, Limits, "fill /tmp", |f| fill(f, Path::new("/tmp"))),
    probe("fill-var-tmp", Use, Limits, "fill /var/tmp", |f| fill(f, Path::new("/var/tmp"))),
    probe("fill-shm", Use, Limits, "fill /dev/shm", |f| fill(f, Path::new("/dev/shm"))),
    probe("fill-run", Use, Limits, "fill /run", |f| fill(f, Path::new("/run"))),
    probe("fill-dev", Use, Limits, "fill /dev", |f| fill(f, Path::new("/dev"))),
    probe("fill-home", Use, Limits, "fill the home directory", |f| fill(f, &f.home)),
    probe("files-root", Use, Limits, "make files without bound in /", |f| files(f, Path::new("/"))),
    probe("files-tmp", Use, Limits, "… in /tmp", |f| files(f, Path::new("/tmp"))),
    probe("files-shm", Use, Limits, "… in /dev/shm", |f| files(f, Path::new("/dev/shm"))),
    probe("files-run", Use, Limits, "… in /run", |f| files(f, Path::new("/run"))),
    probe("files-home", Use, Limits, "… in the home directory", |f| files(f, &f.home)),
];

/// Closed when the limit is lower than the caller's, or low.
fn bounded(resource: Resource, callers: Option<u64>, low: u64) -> Finding {
    match getrlimit(resource).maximum {
        None => open("no limit"),
        Some(limit) if limit <= low || callers.is_none_or(|callers| limit < callers) => {
            closed(format!("at most {limit}"))
        }
        Some(limit) => open(format!("the caller's limit: {limit}")),
    }
}

/// With a limit of one, which there are more than already, no process can be started.
fn enforced(_: &Facts) -> Finding {
    let most = getrlimit(Resource::Nproc).maximum;
    if most.is_none_or(|most| most > PROCESSES) {
        return open("there is no low limit to enforce");
    }
    if let Err(e) = setrlimit(Resource::Nproc, Rlimit { current: Some(1), maximum: most }) {
        return absent(words(e));
    }
    match fork(0, false) {
        Ok(Fork::Child) => swathe_sys::process::exit(0),
        // Root is not bound by it, but by the ids that its pid namespace has.
        Ok(Fork::Parent(_)) => match process_ids() {
            Some(most) if most <= 2 * PROCESSES => closed(format!("fewer than {most} process ids")),
            _ => open("the limit does not hold for this user"),
        },
        Err(e) => closed(words(e)),
    }
}

/// The bound of process ids in this pid namespace (proc_sys_kernel(5)).
fn process_ids() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/sys/kernel/pid_max").ok()?;
    text.trim().parse().ok()
}

/// Whether as many instances can be had as the user may have outside.
fn inotify(facts: &Facts) -> Finding {
    /// More than this many are a bound only by name.
    const MANY: u64 = 1024;
    if facts.inotify == 0 || facts.inotify > MANY {
        return absent("the user's own limit is high");
    }
    let most = facts.inotify.saturating_sub(facts.inotify / 4).max(1);
    let mut held = Vec::new();
    while (held.len() as u64) < most {
        match rustix::fs::inotify::init(rustix::fs::inotify::CreateFlags::CLOEXEC) {
            Ok(fd) => held.push(fd),
            Err(Errno::MFILE) => return closed(format!("at most {}", held.len())),
            Err(e) => return closed(words(e)),
        }
    }
    open(format!("{} of the user's {}", held.len(), facts.inotify))
}

/// The file system that a new file there would be on; `None` when none can be made.
fn writable(path: &Path) -> Result<StatVfs, Finding> {
    rustix::fs::access(path, Access::WRITE_OK).map_err(|e| closed(words(e)))?;
    rustix::fs::statvfs(path).map_err(|e| closed(words(e)))
}

fn fill(facts: &Facts, path: &Path) -> Finding {
    let found = match writable(path) {
        Ok(found) => found,
        Err(closed) => return closed,
    };
    if facts.is_the_hosts(path) == Some(true) {
        return open("it is the host's");
    }
    let size = found.f_blocks.saturating_mul(found.f_frsize);
    match size {
        0 => open("no limit"),
        size if size > facts.memory / 2 => open(format!("up to {} MiB", size >> 20)),
        size => closed(format!("at most {} MiB", size >> 20)),
    }
}

fn files(facts: &Facts, path: &Path) -> Finding {
    let found = match writable(path) {
        Ok(found) => found,
        Err(closed) => return closed,
    };
    if facts.is_the_hosts(path) == Some(true) {
        return open("it is the host's");
    }
    match found.f_files {
        0 => open("no limit"),
        most if most > FILES => open(format!("up to {most}")),
        most => closed(format!("at most {most}")),
    }
}

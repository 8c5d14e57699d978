//! Upper bounds on what a run uses.

use super::Refusal;
use super::build::Build;
use crate::model::Limits;
use std::path::Path;
use swathe_plan::model::{Limit, UserLimit};
use swathe_plan::tables;

/// Processes and threads of a run.
const PROCESSES: u64 = 4096;
/// Files of each temporary file system.
const TMPFS_FILES: u64 = 262_144;
/// The share of memory that one process may use for data, and each temporary file system.
const DATA_SHARE: u64 = 2;
const TMPFS_SHARE: u64 = 4;

/// What holds where nobody says otherwise, on a machine with so many bytes of memory.
#[must_use]
pub fn defaults(memory: u64) -> Limits {
    Limits {
        memory: Some(memory / DATA_SHARE),
        processes: Some(PROCESSES),
        tmpfs: Some((memory / TMPFS_SHARE).max(4096)),
        tmpfs_files: Some(TMPFS_FILES),
        open_files: None,
        time: None,
    }
}

pub(super) fn add(build: &mut Build<'_>) -> Result<(), Refusal> {
    watches(build);
    let limits = &build.policy.limits;
    let plan = &mut build.plan;
    // The kernel rounds up to pages; less than one would mean no limit.
    plan.default_tmpfs_size = limits.tmpfs.map(|bytes| bytes.max(4096));
    plan.default_tmpfs_inodes = limits.tmpfs_files;
    let mut limit = |name: &str, value: u64| {
        if let Some(resource) = tables::resource(name.as_bytes()) {
            plan.limits.push(Limit { resource, soft: Some(value), hard: Some(value) });
        }
    };
    if let Some(processes) = limits.processes {
        limit("nproc", processes);
        if build.host.layers.pid_max {
            // The limit above does not bind root. Ids below 300 are used once only.
            let most = processes.saturating_add(300).clamp(301, 4_194_304);
            plan.namespaces.pid_max = u32::try_from(most).ok();
        }
    }
    // Not the address space: node, Go and Java reserve far more of it than they use.
    if let Some(memory) = limits.memory {
        limit("data", memory);
    }
    limit("core", 0);
    if let Some(files) = limits.open_files {
        limit("nofile", files);
    }
    Ok(())
}

/// What the kernel counts by user, also across namespaces: half of it stays for the user's programs
/// outside.
fn watches(build: &mut Build<'_>) {
    /// Longer than any number.
    const MAX_NUMBER: usize = 32;
    for (name, file) in [
        ("max_inotify_instances", "/proc/sys/fs/inotify/max_user_instances"),
        ("max_inotify_watches", "/proc/sys/fs/inotify/max_user_watches"),
    ] {
        let text = build.files.read(Path::new(file), MAX_NUMBER).unwrap_or_default();
        let number = String::from_utf8_lossy(&text).trim().parse::<u32>().ok();
        if let (Some(number), Some(kind)) = (number, tables::user_limit(name.as_bytes())) {
            // The option takes no more.
            let count = (number / 2).clamp(1, i32::MAX.cast_unsigned() - 1);
            build.plan.namespaces.user_limits.push(UserLimit { kind, count });
        }
    }
}

//! Upper bounds on what a run uses.

use super::Refusal;
use super::build::Build;
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

pub(super) fn add(build: &mut Build<'_>) -> Result<(), Refusal> {
    watches(build);
    let limits = &build.policy.limits;
    let memory = build.host.memory;
    let plan = &mut build.plan;
    plan.default_tmpfs_size = Some(limits.tmpfs.unwrap_or(memory / TMPFS_SHARE).max(4096));
    plan.default_tmpfs_inodes = Some(limits.tmpfs_files.unwrap_or(TMPFS_FILES));
    let mut limit = |name: &str, value: u64| {
        if let Some(resource) = tables::resource(name.as_bytes()) {
            plan.limits.push(Limit { resource, soft: Some(value), hard: Some(value) });
        }
    };
    limit("nproc", limits.processes.unwrap_or(PROCESSES));
    // Not the address space: node, Go and Java reserve far more of it than they use.
    limit("data", limits.memory.unwrap_or(memory / DATA_SHARE));
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

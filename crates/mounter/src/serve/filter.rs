//! The helper's own filter: the system calls that it makes once it is ready, and no others.

use rustix::io::Errno;
use std::collections::BTreeMap;
use swathe_plan::filter::{Action, Arch, Case, Table, Test, assemble};
use swathe_sys::seccomp;

/// What it asks for and answers, what it opens and looks at, what it mounts; memory; its end. Where a
/// machine has two calls for one thing the C library, or rustix, uses either.
const CALLS: &[&str] = &[
    // Asking and answering.
    "poll",
    "ppoll",
    "recvmsg",
    "send",
    "sendto",
    // Files.
    "close",
    "fchdir",
    "fcntl",
    "fcntl64",
    "fstat",
    "fstat64",
    "fstatfs",
    "fstatfs64",
    "fstatat64",
    "mkdirat",
    "newfstatat",
    "openat",
    "openat2",
    "pread64",
    "statx",
    "unlinkat",
    // Mounts.
    "mount_setattr",
    "move_mount",
    "open_tree",
    "open_tree_attr",
    "umount2",
    // Memory.
    "brk",
    "madvise",
    "mmap",
    "mmap2",
    "mremap",
    "munmap",
    // The end, and going on after a signal.
    "exit",
    "exit_group",
    "restart_syscall",
    "rt_sigreturn",
    "sigaltstack",
];

/// `CLONE_NEWNS`: the one kind of namespace that it enters from then on.
const MOUNT_NAMESPACE: Test = Test::int(1, 0x0002_0000);

/// Loads it. The process may make no other call from now on: the kernel ends it.
pub fn load() -> Result<(), Errno> {
    let arch = Arch::native().ok_or(Errno::NOSYS)?;
    let numbers = CALLS.iter().filter_map(|name| arch.number(name));
    let mut calls: BTreeMap<_, _> = numbers.map(|number| (number, Vec::new())).collect();
    let mounts = Case { tests: &[MOUNT_NAMESPACE], action: Action::Allow };
    let others = Case { tests: &[], action: Action::Kill };
    calls.insert(arch.number("setns").ok_or(Errno::NOSYS)?, vec![mounts, others]);
    let table = Table { arch, calls, others: Action::Kill };
    let program = assemble(&[table], Action::Kill).map_err(|_| Errno::INVAL)?;
    seccomp::load(&seccomp::parse(&program).ok_or(Errno::INVAL)?)
}

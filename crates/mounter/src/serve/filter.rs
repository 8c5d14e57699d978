//! The helper's own filter: the system calls that it makes once it is ready, and no others.

use rustix::io::Errno;
use swathe_helper::serve::{Test, allow};

/// What it opens and looks at, and what it mounts.
const CALLS: &[&str] = &[
    // Files.
    "fchdir",
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
];

/// `CLONE_NEWNS`: the one kind of namespace that it enters from then on.
const MOUNT_NAMESPACE: Test = Test::int(1, 0x0002_0000);

/// Loads it. The process may make no other call from now on: the kernel ends it.
pub fn load() -> Result<(), Errno> {
    allow(CALLS, &[("setns", &[&[MOUNT_NAMESPACE]])])
}

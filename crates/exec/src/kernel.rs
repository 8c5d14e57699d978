//! Which system calls there are. A call that answers ENOSYS selects an older way that is just as
//! strict; any other error is an error.

use swathe_plan::model::KernelVersion;
use swathe_sys::Errno;
use swathe_sys::mount::{Propagation, set_attr};
use swathe_sys::rustix::fs::CWD;

/// What may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kernel {
    /// open_tree, move_mount, fsopen (5.2) and mount_setattr (5.12): all or none.
    pub mount_fds: bool,
    /// openat2 (5.6).
    pub openat2: bool,
    /// open_tree_attr (6.15).
    pub tree_attr: bool,
    /// close_range (5.9; 5.11 with its flag).
    pub close_range: bool,
}

impl Kernel {
    /// What a version has.
    pub fn assumed(version: KernelVersion) -> Self {
        let since = |major, minor| version >= KernelVersion { major, minor };
        Self {
            mount_fds: since(5, 12),
            openat2: since(5, 6),
            tree_attr: since(6, 15),
            close_range: since(5, 11),
        }
    }

    /// What this kernel has, as far as one cheap call can tell; the rest is found out in use.
    pub fn probe(assume: Option<KernelVersion>) -> Self {
        if let Some(version) = assume {
            return Self::assumed(version);
        }
        // The youngest call of the group, with a path that is not there: only ENOSYS says that it
        // is missing.
        let answer = set_attr(CWD, c"/proc/self/no such file", 0, Propagation::Keep, false);
        let mount_fds = answer != Err(Errno::NOSYS);
        Self { mount_fds, openat2: true, tree_attr: mount_fds, close_range: true }
    }
}

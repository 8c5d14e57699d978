//! What this machine can do, as plain data: probed here, or recorded elsewhere and read back.
//!
//! A `None` always means *unknown*: the kernel does not have the setting, or it cannot be read.
//! Nothing in this module judges; [`crate::findings`] and [`crate::layers`] do.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

mod probe;
mod slow;
mod trial;

pub use trial::TRIAL_SECONDS;

/// The version of the recorded form that this program writes and reads.
pub const FORMAT: u32 = 1;

/// The longest recording that is read, in bytes.
pub const MAX_RECORDING: usize = 1 << 20;

/// All that is known of a machine, seen from one process on it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Facts {
    /// [`FORMAT`].
    pub format: u32,
    /// The name of the system, `PRETTY_NAME` of os-release(5).
    pub system: Option<String>,
    /// Who asks.
    pub caller: Caller,
    /// What the kernel can do.
    pub kernel: Kernel,
    /// Linux security modules.
    pub security: Security,
    /// What allows or forbids namespaces.
    pub namespaces: Namespaces,
    /// The container or sandbox around the caller.
    pub surroundings: Surroundings,
    /// Control groups.
    pub cgroup: Cgroup,
    /// Ranges of user and group ids.
    pub ids: Ids,
    /// Settings that change what a sandbox has to keep away.
    pub settings: Settings,
    /// What a filtered network could use.
    pub network: Network,
    /// The program that makes the sandboxes; none was found where this is `None`.
    pub bwrap: Option<Bwrap>,
}

/// The process that asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Caller {
    /// Effective user id.
    pub uid: u32,
    /// Whether it has `CAP_SYS_ADMIN` (capabilities(7)), to which most restrictions do not apply.
    pub sys_admin: bool,
    /// Whether it is in the machine's first user namespace, as far as `/proc/self/uid_map` tells.
    pub first_user_namespace: bool,
    /// `no_new_privs` (prctl(2)): set-user-ID helpers give nothing.
    pub no_new_privs: bool,
    /// Whether a seccomp filter is in force for it.
    pub filtered: bool,
    /// Whether its root directory is no mount: a chroot(2), in which no user namespace can be made.
    pub in_chroot: bool,
}

/// Whether a system call can be used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Presence {
    /// It is there.
    Present,
    /// ENOSYS.
    #[default]
    Missing,
    /// EPERM: a filter or a setting.
    Refused,
}

/// Abilities of the kernel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Kernel {
    /// `uname -r`.
    pub release: String,
    /// `uname -m`.
    pub machine: String,
    /// Landlock's ABI; 0 when it is missing, switched off or refused (landlock(7)).
    pub landlock_abi: u32,
    /// Whether filters can be loaded (`CONFIG_SECCOMP_FILTER`).
    pub seccomp_filters: bool,
    /// `/proc/sys/kernel/seccomp/actions_avail` (seccomp(2)).
    pub seccomp_actions: Vec<String>,
    /// clone3(2), Linux 5.3.
    pub clone3: Presence,
    /// pidfd_open(2), Linux 5.3.
    pub pidfd_open: Presence,
    /// openat2(2), Linux 5.6.
    pub openat2: Presence,
    /// close_range(2), Linux 5.9.
    pub close_range: Presence,
    /// mount_setattr(2), Linux 5.12.
    pub mount_setattr: Presence,
    /// open_tree_attr(2), Linux 6.15.
    pub open_tree_attr: Presence,
    /// io_uring_setup(2), Linux 5.1; refused where `kernel.io_uring_disabled` says so.
    pub io_uring: Presence,
    /// Whether the overlay file system is there now, and with a full probe also whether its module
    /// lies on the disk.
    pub overlay: Overlay,
}

/// The overlay file system.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Overlay {
    /// In `/proc/filesystems`.
    Loaded,
    /// Not there, but a module of this kernel that root can load.
    Module,
    /// Neither.
    #[default]
    Missing,
}

/// Linux security modules.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Security {
    /// `/sys/kernel/security/lsm`.
    pub modules: Option<Vec<String>>,
    /// SELinux: whether it enforces (`/sys/fs/selinux/enforce`); `None` without SELinux.
    pub selinux_enforcing: Option<bool>,
    /// The caller's label, of whichever module has `/proc/self/attr/current`.
    pub label: Option<String>,
    /// `kernel.apparmor_restrict_unprivileged_userns`.
    pub apparmor_restricts_userns: Option<bool>,
    /// The AppArmor profile on disk whose text names our `bwrap` and allows `userns`.
    pub apparmor_profile: Option<String>,
}

/// What allows or forbids namespaces.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Namespaces {
    /// The kinds that the kernel has: names in `/proc/self/ns`.
    pub kinds: Vec<String>,
    /// `kernel.unprivileged_userns_clone` (kernels of Debian, Arch and others).
    pub unprivileged_clone: Option<bool>,
    /// `/sys/module/user_namespace/parameters/enable` (kernels of RHEL 7).
    pub module_enabled: Option<bool>,
    /// `user.max_*_namespaces` (namespaces(7)), by the word in the middle: `user`, `mnt` …
    pub limits: BTreeMap<String, u64>,
}

/// The container or sandbox around the caller.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Surroundings {
    /// Its kind: `docker`, `podman`, `lxc`, `kubernetes`, `systemd-nspawn`, `flatpak`, `bwrap`,
    /// `wsl` …
    pub container: Option<String>,
    /// What is mounted over parts of `/proc`. The kernel then allows no new `/proc` in a user
    /// namespace, because that would show what is hidden (`mount_too_revealing`).
    pub masked_proc: Vec<String>,
}

/// Control groups (cgroups(7)).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cgroup {
    /// Which version is mounted.
    pub version: CgroupVersion,
    /// The caller's own cgroup as a directory, with version 2.
    pub path: Option<String>,
    /// Whether the caller may make cgroups there and move its processes into them.
    pub writable: bool,
    /// The controllers that it may hand on: `cgroup.controllers` there.
    pub controllers: Vec<String>,
    /// The cgroup of the user's service manager when that is the caller's to write. A process gets
    /// there only by asking that manager (`systemd-run --user`).
    pub user_manager: Option<String>,
    /// The controllers of that one.
    pub user_controllers: Vec<String>,
}

/// Which control groups are mounted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CgroupVersion {
    /// None.
    #[default]
    None,
    /// Version 1, perhaps with version 2 beside it that holds no controllers.
    V1,
    /// Version 2 alone.
    V2,
}

/// How many ids a user may map beyond its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ids {
    /// `newuidmap`, if it is on `PATH`.
    pub newuidmap: Option<Helper>,
    /// `newgidmap`, if it is on `PATH`.
    pub newgidmap: Option<Helper>,
    /// How many user ids `/etc/subuid` gives to the caller (subuid(5)).
    pub subuids: u64,
    /// How many group ids `/etc/subgid` gives to the caller.
    pub subgids: u64,
}

/// A helper that needs privileges of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Helper {
    /// Where it is.
    pub path: String,
    /// Whether it has the set-user-ID bit or file capabilities.
    pub privileged: bool,
}

/// Settings that change what a sandbox has to keep away.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// `dev.tty.legacy_tiocsti`: whether programs may type into their terminal (Linux 6.2).
    pub legacy_tiocsti: Option<bool>,
    /// `kernel.yama.ptrace_scope`, 0 to 3.
    pub ptrace_scope: Option<u32>,
    /// `kernel.io_uring_disabled`, 0 to 2 (Linux 6.6).
    pub io_uring_disabled: Option<u32>,
}

/// What a filtered network could use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Network {
    /// Whether the caller may open `/dev/net/tun`.
    pub tun: bool,
    /// Redirecting all TCP by nftables in the network of a sandbox that was really made.
    pub redirect: Outcome,
    /// Making every address local there by routes, and listening.
    pub routes: Outcome,
    /// Bringing the host's network into one of a sandbox that was really made, by pasta(1).
    pub pasta: Outcome,
}

/// The program that makes the sandboxes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Bwrap {
    /// Its path, without links.
    pub path: String,
    /// What its `--version` says.
    pub version: Option<String>,
    /// What became of trying it; `None` when nothing was tried.
    pub trial: Option<Trial>,
}

/// Sandboxes that were really made, one per question.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Trial {
    /// A user and a mount namespace that shows the whole host.
    pub user: Outcome,
    /// All of user, mount, pid, network, ipc and host name namespaces.
    pub namespaces: Outcome,
    /// A new `/proc` in them.
    pub procfs: Outcome,
    /// An overlay mount in a user namespace.
    pub overlay: Outcome,
}

/// What became of one trial.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was made.
    Made,
    /// It was not; the first line of what the program said.
    Failed(String),
    /// It was not tried.
    #[default]
    Untried,
}

impl Outcome {
    /// Whether it was made; `None` when it was not tried.
    pub fn made(&self) -> Option<bool> {
        match self {
            Self::Made => Some(true),
            Self::Failed(_) => Some(false),
            Self::Untried => None,
        }
    }
}

impl Kernel {
    /// The first two numbers of the release; (0, 0) when there are none.
    pub fn version(&self) -> (u32, u32) {
        let mut numbers = self.release.split(|c: char| !c.is_ascii_digit());
        let mut next = || numbers.next().and_then(|n| n.parse().ok()).unwrap_or(0);
        (next(), next())
    }
}

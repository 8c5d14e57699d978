//! Which layers of a sandbox can be enforced on a machine: what has to be said before a run.

use crate::facts::{Cgroup, CgroupVersion, Facts, Kernel, Outcome, Overlay, Trial};
use serde::{Deserialize, Serialize};

/// Whether something can be used here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Usable {
    /// It can, or nothing is known that forbids it.
    Yes,
    /// It may not: a trial decides. Why, as part of a sentence.
    Unsure(String),
    /// It cannot. Why, as part of a sentence.
    No(String),
}

impl Usable {
    /// Whether it is worth trying.
    pub fn likely(&self) -> bool {
        !matches!(self, Self::No(_))
    }

    /// Why it cannot be used, or may not.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Yes => None,
            Self::Unsure(reason) | Self::No(reason) => Some(reason),
        }
    }
}

/// A cgroup that the caller may divide.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delegation {
    /// The directory.
    pub path: String,
    /// The controllers that can be switched on below it: `memory`, `pids`, `cpu` …
    pub controllers: Vec<String>,
}

/// What of the layers can be enforced here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layers {
    /// User namespaces with what depends on them: mount, pid, network, ipc, host name.
    pub user_namespaces: Usable,
    /// A `/proc` of the sandbox's own.
    pub procfs: Usable,
    /// Seccomp filters.
    pub seccomp: Usable,
    /// Seccomp notification: learn, ask, trash, audit.
    pub notification: Usable,
    /// Landlock's ABI, 0 for none. Files from 1, renames between directories from 2, truncation
    /// from 3, TCP ports from 4, device ioctls from 5, scopes from 6.
    pub landlock: u32,
    /// A pid namespace with a bound of its own on process ids (Linux 6.14).
    #[serde(default)]
    pub pid_max: bool,
    /// Overlay mounts: copy-on-write.
    pub overlay: Usable,
    /// The cgroup whose limits hold for the whole sandbox; without one there are only limits of
    /// each process and of namespaces.
    pub cgroup: Option<Delegation>,
}

/// The Landlock ABI with scopes of signals and abstract sockets (Linux 6.12).
pub const LANDLOCK_SCOPES: u32 = swathe_sys::landlock::ABI_SCOPES;

impl Layers {
    /// Whether Landlock can keep signals and abstract sockets within the sandbox.
    pub fn landlock_scopes(&self) -> bool {
        self.landlock >= LANDLOCK_SCOPES
    }

    /// Whether a cgroup can limit the sandbox with this controller.
    pub fn limits(&self, controller: &str) -> bool {
        self.cgroup
            .as_ref()
            .is_some_and(|cgroup| cgroup.controllers.iter().any(|c| c == controller))
    }
}

/// What each run has to know of the layers, for a handful of system calls: parts of [`Layers`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quick {
    /// As [`Layers::landlock`].
    pub landlock: u32,
    /// As [`Layers::pid_max`].
    pub pid_max: bool,
    /// As [`Layers::cgroup`].
    pub cgroup: Option<Delegation>,
}

impl Quick {
    /// Asks this machine.
    pub fn probe() -> Self {
        let release = swathe_sys::rustix::system::uname().release().to_string_lossy().into_owned();
        let kernel = Kernel { release, ..Kernel::default() };
        Self {
            landlock: swathe_sys::landlock::abi(),
            pid_max: kernel.version() >= PID_MAX,
            cgroup: divisible(&Cgroup::probe()),
        }
    }
}

/// The version since which a pid namespace has a bound of its own.
const PID_MAX: (u32, u32) = (6, 14);

/// What of the layers can be enforced on the machine of these facts.
pub fn capabilities(facts: &Facts) -> Layers {
    let trial = facts.bwrap.as_ref().and_then(|bwrap| bwrap.trial.as_ref());
    let user_namespaces = user_namespaces(facts, trial);
    Layers {
        procfs: procfs(facts, trial, &user_namespaces),
        seccomp: seccomp(facts),
        notification: notification(facts),
        landlock: facts.kernel.landlock_abi,
        pid_max: facts.kernel.version() >= PID_MAX,
        overlay: overlay(facts, trial, &user_namespaces),
        cgroup: divisible(&facts.cgroup),
        user_namespaces,
    }
}

/// A trial's word against what was inferred: what was made can be made.
fn decided(outcome: Option<&Outcome>, inferred: Usable) -> Usable {
    match (outcome, inferred) {
        (Some(Outcome::Made), _) => Usable::Yes,
        (Some(Outcome::Failed(_)), Usable::No(reason) | Usable::Unsure(reason)) => {
            Usable::No(reason)
        }
        (Some(Outcome::Failed(text)), Usable::Yes) => Usable::No(text.clone()),
        (_, inferred) => inferred,
    }
}

fn user_namespaces(facts: &Facts, trial: Option<&Trial>) -> Usable {
    decided(trial.map(|trial| &trial.namespaces), inferred_user_namespaces(facts))
}

/// What the settings say about user namespaces, before anything was tried.
fn inferred_user_namespaces(facts: &Facts) -> Usable {
    let (spaces, privileged) = (&facts.namespaces, facts.caller.sys_admin);
    let no = |reason: &str| Usable::No(reason.to_owned());
    if !spaces.kinds.iter().any(|kind| kind == "user") {
        return no("the kernel has no user namespaces");
    }
    if let Some((kind, _)) = spaces.limits.iter().find(|(kind, limit)| is_zero(kind, **limit)) {
        return no(&format!("user.max_{kind}_namespaces is 0"));
    }
    if spaces.module_enabled == Some(false) {
        return no("the kernel was started without user_namespace.enable=1");
    }
    if facts.caller.in_chroot {
        return no("the root directory is a chroot, in which the kernel makes none");
    }
    if spaces.unprivileged_clone == Some(false) && !privileged {
        return no("kernel.unprivileged_userns_clone is 0");
    }
    let security = &facts.security;
    // What the setting restricts is a program that no profile confines.
    let confined = security.label.as_deref().is_some_and(|label| !label.starts_with("unconfined"));
    if security.apparmor_restricts_userns == Some(true)
        && !privileged
        && !confined
        && security.apparmor_profile.is_none()
    {
        return Usable::Unsure(
            "kernel.apparmor_restrict_unprivileged_userns is 1, and no profile is known to list \
             bwrap"
                .to_owned(),
        );
    }
    if facts.caller.filtered {
        return Usable::Unsure("a seccomp filter of the surroundings may forbid them".to_owned());
    }
    Usable::Yes
}

/// Whether a limit forbids a kind of namespace without which there is no sandbox.
fn is_zero(kind: &str, limit: u64) -> bool {
    limit == 0 && kind != "cgroup"
}

fn procfs(facts: &Facts, trial: Option<&Trial>, user: &Usable) -> Usable {
    if let Usable::No(reason) = user {
        return Usable::No(reason.clone());
    }
    let masked = &facts.surroundings.masked_proc;
    let inferred = match masked.first() {
        Some(first) => {
            let more = masked.len().saturating_sub(1);
            let more = if more == 0 { String::new() } else { format!(" and {more} more") };
            Usable::No(format!("parts of /proc are hidden here ({first}{more})"))
        }
        None => user.clone(),
    };
    decided(trial.map(|trial| &trial.procfs), inferred)
}

fn overlay(facts: &Facts, trial: Option<&Trial>, user: &Usable) -> Usable {
    if let Usable::No(reason) = user {
        return Usable::No(reason.clone());
    }
    let inferred = if facts.kernel.version() < (5, 11) {
        Usable::Unsure("overlay mounts in user namespaces came with Linux 5.11".to_owned())
    } else if facts.kernel.overlay != Overlay::Loaded {
        Usable::Unsure("the overlay file system is not loaded".to_owned())
    } else {
        user.clone()
    };
    decided(trial.map(|trial| &trial.overlay), inferred)
}

fn seccomp(facts: &Facts) -> Usable {
    if facts.kernel.seccomp_filters {
        return Usable::Yes;
    }
    Usable::No("the kernel has no seccomp filters".to_owned())
}

fn notification(facts: &Facts) -> Usable {
    let has = |wanted: &str| facts.kernel.seccomp_actions.iter().any(|action| action == wanted);
    match seccomp(facts) {
        Usable::Yes if has("user_notif") => Usable::Yes,
        Usable::Yes => Usable::No("seccomp notification came with Linux 5.0".to_owned()),
        other => other,
    }
}

fn divisible(cgroup: &Cgroup) -> Option<Delegation> {
    let usable = cgroup.version == CgroupVersion::V2 && cgroup.writable;
    let path = cgroup.path.clone().filter(|_| usable)?;
    Some(Delegation { path, controllers: cgroup.controllers.clone() })
}

//! Whether a sandbox can be made at all, and what forbids it.

use super::Severity::{Blocks, Degrades, Info};
use super::{APPARMOR, DropIn, Finding, Severity, tried};
use crate::facts::{Facts, Outcome};
use crate::layers::{Layers, Usable};

pub(super) fn judge(facts: &Facts, layers: &Layers, found: &mut Vec<Finding>) {
    let Some(bwrap) = &facts.bwrap else {
        found.push(
            Finding::new(
                "bwrap",
                Blocks,
                "no bwrap was found",
                "swathe leaves it to the small program bwrap to make sandboxes.",
            )
            .advice("Install the bwrap of this project beside swathe, or name it: SWATHE_BWRAP=/path/to/bwrap"),
        );
        causes(facts, Blocks, found);
        return;
    };
    let made = tried(facts).and_then(Outcome::made);
    // A setting that did not hinder the trial hinders nobody like this caller.
    let severity = if made == Some(true) { Info } else { Blocks };
    let before = found.len();
    causes(facts, severity, found);
    let explained = found[before..].iter().any(|finding| finding.severity == Blocks);
    match (tried(facts), &layers.user_namespaces) {
        (Some(Outcome::Made), _) => found.push(Finding::ok(
            "sandbox",
            format!(
                "{} made a sandbox: user, mount, pid, network, ipc and host name namespaces",
                bwrap.path
            ),
        )),
        (Some(Outcome::Failed(text)), _) => found.push(failed(facts, text, explained)),
        (_, Usable::Yes) => {
            found.push(Finding::ok(
                "sandbox",
                "nothing is known that forbids a sandbox (not tried)",
            ));
        }
        (_, Usable::No(reason) | Usable::Unsure(reason)) => found.push(Finding::new(
            "sandbox",
            Blocks,
            "a sandbox can probably not be made here (not tried)",
            format!("{}.", capital(reason)),
        )),
    }
    procfs(facts, layers, found);
    cgroup_namespace(facts, found);
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

fn failed(facts: &Facts, text: &str, explained: bool) -> Finding {
    let finding = Finding::new(
        "sandbox",
        Blocks,
        "no sandbox can be made here",
        format!("It was tried, and the answer was: {text}"),
    )
    .reference("user_namespaces(7)");
    if explained {
        return finding;
    }
    if facts.security.selinux_enforcing == Some(true) {
        return finding.advice(
            "No cause is known. SELinux is in force: look for its refusals with \"sudo ausearch \
             -m avc -ts recent\".",
        );
    }
    finding.advice("No cause is known. The kernel may say more: sudo dmesg | tail")
}

/// What is known to forbid user namespaces or what depends on them.
fn causes(facts: &Facts, severity: Severity, found: &mut Vec<Finding>) {
    kernel_lacks(facts, severity, found);
    for kind in ["user", "mnt", "pid", "net", "ipc", "uts"] {
        if facts.namespaces.limits.get(kind) == Some(&0) {
            let key = format!("user.max_{kind}_namespaces");
            found.push(
                Finding::new(
                    &key.replace(['.', '_'], "-"),
                    severity,
                    format!("{key} is 0"),
                    format!("The kernel makes no {kind} namespaces, for root neither."),
                )
                .setting(&key)
                .reference("namespaces(7), \"The /proc/sys/user directory\""),
            );
        }
    }
    if facts.namespaces.unprivileged_clone == Some(false) {
        let severity = if facts.caller.sys_admin { Info } else { severity };
        found.push(
            Finding::new(
                "unprivileged-userns-clone",
                severity,
                "kernel.unprivileged_userns_clone is 0",
                "Only root may make user namespaces, with which every sandbox begins.",
            )
            .setting("kernel.unprivileged_userns_clone")
            .reference("user_namespaces(7)"),
        );
    }
    apparmor(facts, severity, found);
    around(facts, severity, found);
}

fn kernel_lacks(facts: &Facts, severity: Severity, found: &mut Vec<Finding>) {
    let has = |kind: &str| facts.namespaces.kinds.iter().any(|known| known == kind);
    let missing: Vec<&str> =
        ["user", "mnt", "pid", "net", "ipc", "uts"].into_iter().filter(|kind| !has(kind)).collect();
    if !missing.is_empty() {
        found.push(
            Finding::new(
                "kernel-namespaces",
                severity,
                format!("the kernel has no {} namespaces", missing.join(", ")),
                "They were left out when this kernel was built, and nothing can take their place.",
            )
            .advice("Use a kernel with CONFIG_USER_NS, CONFIG_PID_NS and CONFIG_NET_NS.")
            .reference("namespaces(7)"),
        );
    }
    if facts.namespaces.module_enabled == Some(false) {
        found.push(
            Finding::new(
                "user-namespace-parameter",
                severity,
                "user namespaces are switched off at boot",
                "This kernel makes them only when it was started with user_namespace.enable=1.",
            )
            .advice(
                "sudo grubby --update-kernel=ALL --args=user_namespace.enable=1, and boot again.",
            ),
        );
    }
    if facts.caller.in_chroot {
        found.push(
            Finding::new(
                "chroot",
                severity,
                "the root directory is a chroot",
                "The kernel makes no user namespace for a process in a chroot.",
            )
            .advice("Enter the directory by a mount namespace and pivot_root instead of chroot.")
            .reference("clone(2), EPERM"),
        );
    }
}

fn apparmor(facts: &Facts, severity: Severity, found: &mut Vec<Finding>) {
    let security = &facts.security;
    if security.apparmor_restricts_userns != Some(true) {
        return;
    }
    let path = facts.bwrap.as_ref().map_or("/usr/local/bin/bwrap", |bwrap| &bwrap.path);
    if let Some(profile) = &security.apparmor_profile
        && severity < Blocks
    {
        found.push(Finding::ok("apparmor", format!("AppArmor lists {path} ({profile})")));
        return;
    }
    let severity = if facts.caller.sys_admin { Info } else { severity };
    let (what, why) = match &security.apparmor_profile {
        Some(profile) => (
            format!("{profile} names {path}, and yet AppArmor may be what forbids it"),
            "A profile on the disk works only once it is loaded.",
        ),
        None if severity < Blocks => (
            "AppArmor lets only listed programs make user namespaces".to_owned(),
            "It does not hinder this bwrap for this caller, by a profile that was not found or by \
             the caller's privileges.",
        ),
        None => (
            format!("AppArmor does not list {path}"),
            "kernel.apparmor_restrict_unprivileged_userns is 1: only programs with a profile that \
             says so may use user namespaces.",
        ),
    };
    let file = "/etc/apparmor.d/bwrap-swathe";
    found.push(
        Finding::new("apparmor", severity, what, why)
            .temporary("sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0")
            .permanent(DropIn {
                path: file.to_owned(),
                contents: APPARMOR.replace("@BINARY@", &quoted(path)),
                then: format!("sudo apparmor_parser -r {file}"),
            })
            .reference(
                "https://ubuntu.com/blog/ubuntu-23-10-restricted-unprivileged-user-namespaces",
            ),
    );
}

/// A path as AppArmor takes it: quoted, and without what would be a pattern.
fn quoted(path: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '+');
    if path.chars().all(plain) {
        return path.to_owned();
    }
    let mut text = String::from("\"");
    for c in path.chars() {
        if matches!(c, '"' | '\\' | '*' | '?' | '[' | ']' | '{' | '}' | '^' | '@') {
            text.push('\\');
        }
        // A line's end cannot be written in a profile; the profile then names another path.
        text.push(if c.is_control() { '?' } else { c });
    }
    text + "\""
}

/// The container or sandbox around the caller.
fn around(facts: &Facts, severity: Severity, found: &mut Vec<Finding>) {
    let kind = facts.surroundings.container.as_deref();
    let confined = facts.security.label.as_deref().filter(|label| label.ends_with("(enforce)"));
    let guilty = facts.caller.filtered || confined.is_some();
    let Some(kind) = kind else {
        if guilty {
            let what = match confined {
                Some(label) => format!("this process is confined by AppArmor ({label})"),
                None => "a seccomp filter is in force here".to_owned(),
            };
            let severity = if tried(facts).is_none() { Info } else { severity };
            found.push(
                Finding::new(
                    "surroundings",
                    severity,
                    what,
                    "A sandbox or service around this process may forbid clone, unshare or mount.",
                )
                .advice("Run swathe outside of it, or allow these calls there.")
                .reference("seccomp(2)"),
            );
        }
        return;
    };
    let severity = if guilty { severity } else { Info };
    let finding = Finding::new(
        "container",
        severity,
        format!("this is inside a container ({kind})"),
        "A container's filter and its security module decide whether a sandbox can be made in it.",
    );
    let finding = match container_fix(kind) {
        Some(command) if severity != Info => finding.temporary(command),
        None if severity != Info => {
            finding.advice("Allow clone, unshare, mount and pivot_root in the container.")
        }
        _ => finding,
    };
    found.push(finding);
}

/// How containers of a kind are started so that sandboxes can be made in them.
fn container_fix(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "docker" => {
            "docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined \
             --security-opt systempaths=unconfined ..."
        }
        "podman" => {
            "podman run --security-opt seccomp=unconfined --security-opt label=disable \
             --security-opt unmask=ALL ..."
        }
        "lxd" => "lxc config set NAME security.nesting=true",
        "incus" => "incus config set NAME security.nesting=true",
        "lxc" => "lxc-start -s lxc.include=/usr/share/lxc/config/nesting.conf ...",
        _ => return None,
    })
}

fn procfs(facts: &Facts, layers: &Layers, found: &mut Vec<Finding>) {
    let trial = facts.bwrap.as_ref().and_then(|bwrap| bwrap.trial.as_ref());
    let refused = trial.is_some_and(|trial| trial.procfs.made() == Some(false));
    let Usable::No(reason) = &layers.procfs else { return };
    if !layers.user_namespaces.likely() && facts.surroundings.masked_proc.is_empty() {
        return;
    }
    let severity = if layers.user_namespaces.likely() { Degrades } else { Info };
    let reason = if refused && facts.surroundings.masked_proc.is_empty() {
        reason.clone()
    } else {
        format!("parts of /proc are hidden here ({})", first_of(&facts.surroundings.masked_proc, 3))
    };
    let finding = Finding::new(
        "procfs",
        severity,
        "a sandbox cannot have a /proc of its own",
        format!("{}: the kernel shows nobody what was hidden from it.", capital(&reason)),
    )
    .reference("mount_namespaces(7)");
    found.push(match facts.surroundings.container.as_deref() {
        Some("docker") => finding.temporary("docker run --security-opt systempaths=unconfined ..."),
        Some("podman") => finding.temporary("podman run --security-opt unmask=ALL ..."),
        Some("kubernetes") => finding.advice(
            "Set procMount: Unmasked in the container's securityContext (with hostUsers: false).",
        ),
        _ => finding.advice("Start the surrounding container without masks over /proc."),
    });
}

fn first_of(list: &[String], most: usize) -> String {
    let shown = list.iter().take(most).map(String::as_str).collect::<Vec<_>>().join(", ");
    match list.len().saturating_sub(most) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn cgroup_namespace(facts: &Facts, found: &mut Vec<Finding>) {
    let key = "user.max_cgroup_namespaces";
    if facts.namespaces.limits.get("cgroup") == Some(&0) {
        found.push(
            Finding::new(
                "user-max-cgroup-namespaces",
                Degrades,
                format!("{key} is 0"),
                "A sandbox sees its place in the host's tree of cgroups.",
            )
            .setting(key)
            .reference("cgroup_namespaces(7)"),
        );
    }
}

//! What the kernel has to offer beside namespaces.

use super::Severity::{Degrades, Info};
use super::{DropIn, Finding, MODULES};
use crate::facts::{Facts, Overlay, Presence};
use crate::layers::{Layers, Usable};

pub(super) fn judge(facts: &Facts, layers: &Layers, found: &mut Vec<Finding>) {
    landlock(facts, layers, found);
    seccomp(facts, layers, found);
    overlay(facts, layers, found);
    calls(facts, found);
    settings(facts, found);
    if facts.caller.uid == 0 {
        found.push(Finding::new(
            "root",
            Info,
            "this is root's view",
            "Most restrictions do not apply to root: ask again as the user who runs sandboxes.",
        ));
    }
}

fn landlock(facts: &Facts, layers: &Layers, found: &mut Vec<Finding>) {
    let (abi, (major, minor)) = (layers.landlock, facts.kernel.version());
    if layers.landlock_scopes() {
        found.push(Finding::ok("landlock", format!("Landlock ABI {abi}")));
        return;
    }
    if abi > 0 {
        found.push(
            Finding::new(
                "landlock-scopes",
                Degrades,
                format!("Landlock ABI {abi} has no scopes"),
                "Signals and abstract sockets are kept within a sandbox by namespaces alone, so \
                 that one with the host's network reaches the host's abstract sockets.",
            )
            .advice(format!("Linux 6.12 brings ABI 6; this is {major}.{minor}."))
            .reference("landlock(7)"),
        );
        return;
    }
    let listed = facts.security.modules.as_ref().map(|list| list.iter().any(|m| m == "landlock"));
    let finding = Finding::new(
        "landlock",
        Degrades,
        "Landlock is not available",
        "A sandbox has no second layer below its mounts, and write-but-not-delete cannot be had.",
    )
    .reference("landlock(7)");
    found.push(match (listed, &facts.security.modules) {
        (Some(true), _) => finding.advice(
            "The kernel has it, but something around this process refuses it: allow \
             landlock_create_ruleset, landlock_add_rule and landlock_restrict_self there.",
        ),
        (Some(false), Some(modules)) if (major, minor) >= (5, 13) => {
            boot_with(finding, facts, &format!("lsm=landlock,{}", modules.join(",")))
        }
        _ if (major, minor) < (5, 13) => {
            finding.advice(format!("Linux 5.13 brings it; this is {major}.{minor}."))
        }
        _ => finding.advice(
            "Add landlock to lsm= on the kernel's command line, if the kernel was built with it.",
        ),
    });
}

/// The kernel's command line is changed in another way on each family of systems.
fn boot_with(finding: Finding, facts: &Facts, word: &str) -> Finding {
    // Always in force, whether named or not, and not taken by lsm=.
    let word = word.replace(",capability", "");
    let system = facts.system.as_deref().unwrap_or_default();
    let is = |names: &[&str]| names.iter().any(|name| system.contains(name));
    if is(&["Ubuntu", "Debian", "Mint", "Pop!_OS"]) {
        return finding.permanent(DropIn {
            path: "/etc/default/grub.d/60-swathe.cfg".to_owned(),
            contents: format!("GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX {word}\"\n"),
            then: "sudo update-grub && sudo reboot".to_owned(),
        });
    }
    if is(&["Red Hat", "Fedora", "CentOS", "AlmaLinux", "Rocky", "Oracle"]) {
        return finding.advice(format!(
            "If the kernel was built with it (CONFIG_SECURITY_LANDLOCK): sudo grubby \
             --update-kernel=ALL --args={word}, and boot again."
        ));
    }
    finding.advice(format!(
        "If the kernel was built with it (CONFIG_SECURITY_LANDLOCK), add {word} to its command \
         line and boot again."
    ))
}

fn seccomp(facts: &Facts, layers: &Layers, found: &mut Vec<Finding>) {
    if let Usable::No(_) = layers.seccomp {
        found.push(
            Finding::new(
                "seccomp",
                Degrades,
                "the kernel has no seccomp filters",
                "System calls that sandboxes should not make cannot be refused.",
            )
            .advice("Use a kernel with CONFIG_SECCOMP_FILTER.")
            .reference("seccomp(2)"),
        );
    } else if let Usable::No(_) = layers.notification {
        let actions = &facts.kernel.seccomp_actions;
        let unknown = actions.is_empty() && facts.kernel.version() >= (5, 0);
        let why = if unknown {
            "/proc/sys/kernel/seccomp/actions_avail cannot be read here."
        } else {
            "Learning, asking and trash need SECCOMP_RET_USER_NOTIF of Linux 5.0."
        };
        found.push(
            Finding::new("seccomp-notify", Degrades, "no seccomp notification", why)
                .advice("Use a newer kernel.")
                .reference("seccomp_unotify(2)"),
        );
    } else {
        found.push(Finding::ok("seccomp", "seccomp filters and notification"));
    }
}

fn overlay(facts: &Facts, layers: &Layers, found: &mut Vec<Finding>) {
    // Without any sandbox there is nothing to say about its parts.
    if !layers.user_namespaces.likely() {
        return;
    }
    let (reason, severity) = match &layers.overlay {
        Usable::Yes => {
            found.push(Finding::ok("overlay", "overlay mounts in user namespaces"));
            return;
        }
        Usable::Unsure(reason) | Usable::No(reason) => (reason, Degrades),
    };
    let finding = Finding::new(
        "overlay",
        severity,
        "overlay mounts cannot be made in a user namespace",
        format!("Copy-on-write needs them; the answer was: {reason}"),
    )
    .reference("https://docs.kernel.org/filesystems/overlayfs.html");
    let version = facts.kernel.version();
    found.push(if version < (5, 11) {
        let (major, minor) = version;
        finding.advice(format!("Linux 5.11 brings them; this is {major}.{minor}."))
    } else if facts.kernel.overlay == Overlay::Module {
        finding.temporary("sudo modprobe overlay").permanent(DropIn {
            path: "/etc/modules-load.d/swathe.conf".to_owned(),
            contents: MODULES.to_owned(),
            then: "sudo modprobe overlay".to_owned(),
        })
    } else if facts.kernel.overlay == Overlay::Missing {
        finding.advice("Use a kernel with CONFIG_OVERLAY_FS.")
    } else {
        finding
    });
}

fn calls(facts: &Facts, found: &mut Vec<Finding>) {
    let kernel = &facts.kernel;
    let all = [
        ("clone3", kernel.clone3, "5.3"),
        ("pidfd_open", kernel.pidfd_open, "5.3"),
        ("openat2", kernel.openat2, "5.6"),
        ("close_range", kernel.close_range, "5.9"),
        ("mount_setattr", kernel.mount_setattr, "5.12"),
    ];
    let of = |wanted: Presence| {
        let named = |&(name, presence, since): &(&str, Presence, &str)| {
            (presence == wanted).then(|| format!("{name} ({since})"))
        };
        all.iter().filter_map(named).collect::<Vec<_>>().join(", ")
    };
    let (missing, refused) = (of(Presence::Missing), of(Presence::Refused));
    if !missing.is_empty() {
        found.push(Finding::new(
            "kernel-calls",
            Info,
            format!("system calls are missing: {missing}"),
            "Older ways are used in their place, which are as strict and slower.",
        ));
    }
    if !refused.is_empty() {
        found.push(
            Finding::new(
                "refused-calls",
                Degrades,
                format!("system calls are refused: {refused}"),
                "A filter around this process answers EPERM, which is never taken for absence.",
            )
            .advice("Let the surrounding filter answer ENOSYS, or allow these calls.")
            .reference("seccomp(2)"),
        );
    }
    if missing.is_empty() && refused.is_empty() {
        let (major, minor) = kernel.version();
        found.push(Finding::ok(
            "kernel",
            format!("Linux {major}.{minor} has all system calls that are used"),
        ));
    }
}

fn settings(facts: &Facts, found: &mut Vec<Finding>) {
    let settings = &facts.settings;
    let typing = match settings.legacy_tiocsti {
        Some(true) => true,
        Some(false) => false,
        // Before the setting there was no way to forbid it.
        None => facts.kernel.version() < (6, 2) && facts.kernel.version() > (0, 0),
    };
    if typing {
        let finding = Finding::new(
            "tiocsti",
            Info,
            "programs may type into their terminal (TIOCSTI)",
            "A sandbox refuses that by its filter and has a terminal of its own; programs outside \
             are not kept from it.",
        )
        .reference("ioctl_tty(2), TIOCSTI");
        found.push(if settings.legacy_tiocsti.is_some() {
            finding.setting("dev.tty.legacy_tiocsti")
        } else {
            finding
        });
    }
    if settings.ptrace_scope == Some(3) {
        found.push(
            Finding::new(
                "ptrace",
                Info,
                "kernel.yama.ptrace_scope is 3",
                "Nobody may trace a program until the next boot: a debugger works in no sandbox.",
            )
            .reference("ptrace(2), \"/proc/sys/kernel/yama/ptrace_scope\""),
        );
    }
    if facts.caller.no_new_privs {
        found.push(
            Finding::new(
                "no-new-privs",
                Info,
                "no_new_privs is set for this process",
                "Helpers such as newuidmap get no privileges here, so no ranges of ids.",
            )
            .reference("PR_SET_NO_NEW_PRIVS(2const)"),
        );
    }
    if let Some(true) = facts.security.selinux_enforcing {
        found.push(Finding::new(
            "selinux",
            Info,
            "SELinux is in force",
            "Its policy holds in a sandbox too, and may refuse what the sandbox allows.",
        ));
    }
}

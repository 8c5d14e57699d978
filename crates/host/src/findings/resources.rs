//! Limits of a whole sandbox, and ranges of ids.

use super::Severity::{Degrades, Info};
use super::{DELEGATE, DropIn, Finding};
use crate::facts::{CgroupVersion, Facts, Helper};
use crate::layers::Layers;

/// The controllers that the default limits need.
const WANTED: [&str; 2] = ["memory", "pids"];

pub(super) fn judge(facts: &Facts, layers: &Layers, found: &mut Vec<Finding>) {
    found.push(cgroup(facts, layers));
    ids(facts, found);
}

fn missing(controllers: &[String]) -> Vec<&'static str> {
    WANTED.into_iter().filter(|wanted| !controllers.iter().any(|c| c == wanted)).collect()
}

fn cgroup(facts: &Facts, layers: &Layers) -> Finding {
    let why = "Memory and processes are limited for each process and by namespaces only, not for \
               the sandbox as a whole.";
    let cgroup = &facts.cgroup;
    if let Some(own) = &layers.cgroup {
        let lacking = missing(&own.controllers);
        if lacking.is_empty() {
            let list = own.controllers.join(", ");
            return Finding::ok("cgroup", format!("cgroup limits: {list} ({})", own.path));
        }
        let what = format!("the cgroup here has no controllers {}", lacking.join(", "));
        let finding = Finding::new("cgroup", Degrades, what, why);
        return delegate(finding.reference("cgroups(7)"), facts);
    }
    match cgroup.version {
        CgroupVersion::V2 => {
            let finding = Finding::new("cgroup", Degrades, "no cgroup is delegated here", why)
                .reference("systemd.resource-control(5), Delegate=");
            if cgroup.user_manager.is_none() {
                return finding.temporary(
                    "d=/sys/fs/cgroup/swathe-$(id -u); sudo mkdir -p $d/shell && sudo chown -R \
                     $(id -u) $d && echo $$ | sudo tee $d/shell/cgroup.procs",
                );
            }
            let finding = finding.temporary("systemd-run --user --scope --quiet swathe run ...");
            if missing(&cgroup.user_controllers).is_empty() {
                return finding.advice(
                    "Programs of the desktop and user services have it already; a login by ssh or \
                     on a console needs the command above.",
                );
            }
            delegate(finding, facts)
        }
        CgroupVersion::V1 => Finding::new("cgroup", Degrades, "cgroups are of version 1", why)
            .advice(
                "Boot with cgroups of version 2: systemd.unified_cgroup_hierarchy=1 on the \
                 kernel's command line, or rc_cgroup_mode=unified in /etc/rc.conf (OpenRC).",
            )
            .reference("cgroups(7)"),
        CgroupVersion::None => Finding::new("cgroup", Degrades, "no cgroups are mounted", why)
            .advice("Mount cgroup2 at /sys/fs/cgroup.")
            .reference("cgroups(7)"),
    }
}

fn delegate(finding: Finding, facts: &Facts) -> Finding {
    if facts.cgroup.user_manager.is_none() {
        return finding
            .advice("Whoever made this cgroup has to switch them on in cgroup.subtree_control.");
    }
    finding.permanent(DropIn {
        path: "/etc/systemd/system/user@.service.d/60-swathe.conf".to_owned(),
        contents: DELEGATE.to_owned(),
        then: "sudo systemctl daemon-reload".to_owned(),
    })
}

fn ids(facts: &Facts, found: &mut Vec<Finding>) {
    // Root maps any range itself.
    if facts.caller.sys_admin {
        return;
    }
    let why = "Only sandboxes that ask for more than one user need ranges of ids; the default has \
               one.";
    let helpers = [&facts.ids.newuidmap, &facts.ids.newgidmap];
    if helpers.iter().any(|helper| helper.is_none()) {
        found.push(
            Finding::new("newuidmap", Info, "newuidmap or newgidmap is missing", why)
                .advice(
                    "Install the package uidmap (Debian, Ubuntu), shadow-utils or shadow-subids.",
                )
                .reference("newuidmap(1)"),
        );
        return;
    }
    let weak = |helper: &&Helper| !helper.privileged;
    if let Some(helper) = helpers.into_iter().flatten().find(weak) {
        let what = format!("{} is not privileged", helper.path);
        found.push(
            Finding::new("newuidmap", Info, what, why)
                .temporary(format!("sudo chmod u+s {}", helper.path))
                .reference("newuidmap(1)"),
        );
        return;
    }
    if facts.ids.subuids == 0 || facts.ids.subgids == 0 {
        found.push(
            Finding::new("subuid", Info, "no ranges of ids are given to this user", why)
                .temporary(
                    "sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 \
                     \"$USER\"",
                )
                .reference("subuid(5)"),
        );
        return;
    }
    let (users, groups) = (facts.ids.subuids, facts.ids.subgids);
    found.push(Finding::ok("ids", format!("ranges of {users} user and {groups} group ids")));
}

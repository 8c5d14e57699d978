//! What the facts of a machine mean for sandboxes, and what to do about it. Pure: the same facts
//! give the same findings, wherever they were recorded.

use crate::facts::{Facts, Outcome};
use crate::layers::{Layers, capabilities};
use serde::Serialize;

mod kernel;
mod namespaces;
mod network;
mod resources;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// As it should be.
    Ok,
    /// Worth knowing; nothing is lost.
    Info,
    /// Sandboxes can be made, but a layer or a feature is missing.
    Degrades,
    /// No sandbox can be made.
    Blocks,
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// A short name that stays the same from version to version.
    pub id: String,
    /// How bad it is.
    pub severity: Severity,
    /// What is the case, in a few words.
    pub what: String,
    /// Why that matters, in one sentence.
    pub why: String,
    /// What to do about it.
    pub fix: Option<Fix>,
    /// Where to read more: a manual page, or a document of the kernel.
    pub reference: Option<String>,
}

/// What to do about a finding.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Fix {
    /// A command that helps until the next boot or the end of the session.
    pub temporary: Option<String>,
    /// A file that helps for good.
    pub permanent: Option<DropIn>,
    /// What else there is to do, as a sentence, where no file can do it.
    pub advice: Option<String>,
}

/// A file to be put into place, by root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DropIn {
    /// Where.
    pub path: String,
    /// What it holds.
    pub contents: String,
    /// The command that puts it in force.
    pub then: String,
}

impl Finding {
    fn new(id: &str, severity: Severity, what: impl Into<String>, why: impl Into<String>) -> Self {
        let (what, why) = (what.into(), why.into());
        Self { id: id.to_owned(), severity, what, why, fix: None, reference: None }
    }

    fn ok(id: &str, what: impl Into<String>) -> Self {
        Self::new(id, Severity::Ok, what, "")
    }

    fn temporary(mut self, command: impl Into<String>) -> Self {
        self.fix.get_or_insert_default().temporary = Some(command.into());
        self
    }

    fn permanent(mut self, file: DropIn) -> Self {
        self.fix.get_or_insert_default().permanent = Some(file);
        self
    }

    fn advice(mut self, text: impl Into<String>) -> Self {
        self.fix.get_or_insert_default().advice = Some(text.into());
        self
    }

    fn reference(mut self, text: &str) -> Self {
        self.reference = Some(text.to_owned());
        self
    }

    /// Both fixes for a kernel setting, from the packaged drop-in.
    fn setting(self, key: &str) -> Self {
        let Some((block, value)) = setting(key) else { return self };
        self.temporary(format!("sudo sysctl -w {key}={value}")).permanent(DropIn {
            path: "/etc/sysctl.d/60-swathe.conf".to_owned(),
            contents: block,
            then: "sudo sysctl --system".to_owned(),
        })
    }
}

/// The packaged sysctl drop-in.
pub const SYSCTL: &str = include_str!("../../../packaging/sysctl.d/60-swathe.conf");
/// The packaged AppArmor profile of `bwrap`, with `@BINARY@` in the place of its path.
pub const APPARMOR: &str = include_str!("../../../packaging/apparmor/bwrap-swathe");
/// The packaged file that has the overlay module loaded.
pub const MODULES: &str = include_str!("../../../packaging/modules-load.d/swathe.conf");
/// The packaged systemd drop-in that delegates controllers.
pub const DELEGATE: &str =
    include_str!("../../../packaging/systemd/user@.service.d/60-swathe.conf");

/// The paragraph of the packaged drop-in about one setting, switched on, and the value there.
fn setting(key: &str) -> Option<(String, String)> {
    let of_key = |line: &str| {
        let line = line.strip_prefix('#').unwrap_or(line);
        let line = line.strip_prefix('-').unwrap_or(line);
        let value = line.strip_prefix(key)?.trim_start().strip_prefix('=')?;
        Some(value.trim().to_owned())
    };
    SYSCTL.split("\n\n").find_map(|block| {
        let value = block.lines().find_map(of_key)?;
        let line = |line: &str| match of_key(line) {
            Some(_) => format!("{}\n", line.trim_start_matches('#')),
            None => format!("{line}\n"),
        };
        Some((block.lines().map(line).collect(), value))
    })
}

/// All findings of a machine, the worst first.
pub fn findings(facts: &Facts) -> Vec<Finding> {
    let layers = capabilities(facts);
    let mut found = Vec::new();
    namespaces::judge(facts, &layers, &mut found);
    kernel::judge(facts, &layers, &mut found);
    resources::judge(facts, &layers, &mut found);
    network::judge(facts, &mut found);
    found.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    found
}

/// The worst of some findings; [`Severity::Ok`] of none.
pub fn worst(findings: &[Finding]) -> Severity {
    findings.iter().map(|finding| finding.severity).max().unwrap_or(Severity::Ok)
}

/// Whether a real sandbox was made; `None` when nothing was tried.
fn tried(facts: &Facts) -> Option<&Outcome> {
    let trial = facts.bwrap.as_ref()?.trial.as_ref()?;
    Some(&trial.namespaces).filter(|outcome| **outcome != Outcome::Untried)
}

/// The layers that nothing forbids, for a heading.
pub fn enforceable(layers: &Layers) -> Vec<String> {
    let mut names = Vec::new();
    let mut add = |there: bool, name: &str| {
        if there {
            names.push(name.to_owned());
        }
    };
    add(layers.user_namespaces.likely(), "namespaces");
    add(layers.seccomp.likely(), "seccomp");
    add(layers.landlock > 0, &format!("Landlock (ABI {})", layers.landlock));
    add(layers.overlay.likely(), "overlay");
    add(layers.cgroup.is_some(), "cgroup limits");
    names
}

//! How likely a denial is why the run failed.

use super::group::{Group, file_name, went_well};
use super::{Run, changes, errno, number};
use crate::paths::Environment;
use std::path::Path;
use swathe_record::event::{Action, Event, Layer};

/// Events of a process that come last in it, and in the run.
const LAST: usize = 8;

/// The more, the likelier.
pub fn weight(run: &Run, group: &Group<'_>, events: &[Event], env: &Environment) -> i32 {
    let event = group.last;
    let errno = number(event).unwrap_or(0);
    let base = match (event.layer, errno) {
        (Layer::Limit, _) => 90,
        (Layer::Level | Layer::User, _) => 80,
        (Layer::Mount, errno::ENOENT | errno::ENOTDIR) if event.action == Action::Stat => 30,
        (Layer::Mount, errno::ENOENT | errno::ENOTDIR) => 50,
        (Layer::Mount | Layer::Landlock, _) => 70,
        (Layer::Network, _) => 65,
        (Layer::Filter, _) => 55,
        (Layer::Other, _) if event.reason.is_some() => 60,
        (Layer::Other, _) => 25,
    };
    let after = events.get(group.at + 1..).unwrap_or_default();
    let mut weight = base;
    // Close to the end of the run, and of the process.
    weight += if after.len() < LAST { 15 } else { 0 };
    weight += if ends(event, after) { 15 } else { 0 };
    // What is tried again is wanted.
    weight += i32::try_from(group.count.min(6)).unwrap_or(0) * 2 - 2;
    if event.action == Action::Execute && matches!(run.status, Some(126 | 127)) {
        weight += 40;
    }
    if is_search(event, after) {
        weight -= 45;
    }
    // A program that may not write often tries to read.
    if group.included {
        weight -= 25;
    }
    // Without a network there are no servers of names.
    let unused = run.offline && event.object.0 == b"/etc/resolv.conf";
    if !changes(event.action) && (unused || is_noise(event, env)) {
        weight -= 35;
    }
    weight
}

/// Whether the process did little after that.
fn ends(event: &Event, after: &[Event]) -> bool {
    let own = |other: &&Event| other.pid == event.pid && other.program == event.program;
    after.iter().filter(own).take(LAST).count() < LAST / 2
}

/// Whether the same name was found elsewhere soon after, as on a search path, or the same thing went
/// well in the end.
fn is_search(event: &Event, after: &[Event]) -> bool {
    let Some(name) = file_name(event) else { return false };
    let reads = matches!(event.action, Action::Stat | Action::Read | Action::Execute);
    let same = |other: &&Event| {
        other.pid == event.pid
            && matches!(other.action, Action::Stat | Action::Read | Action::Execute)
            && file_name(other) == Some(name)
    };
    reads && after.iter().take(64).filter(same).any(went_well)
}

/// Names that programs look for and do without.
fn is_noise(event: &Event, env: &Environment) -> bool {
    const PARTS: [&str; 19] = [
        "/sys/fs/cgroup",
        "/sys/kernel/mm/",
        "/locale",
        "/.terminfo",
        "/terminfo",
        "/.inputrc",
        "/.profile",
        "/.bash",
        "/.zsh",
        "/.curlrc",
        "/.wgetrc",
        "/.vim",
        "/.python_history",
        "/.lesshst",
        "/.hushlogin",
        "/gconv",
        "/nscd",
        "/.nanorc",
        "/.toprc",
    ];
    let text = event.object.to_string();
    // Who walks up to the root looks for a repository or a project above its own.
    let path = event.object.as_path();
    let above = path.parent().is_some_and(|at| env.cwd != at && env.cwd.starts_with(at))
        && file_name(event).and_then(Path::to_str).is_some_and(is_marker);
    let settings = path.starts_with(&env.config)
        && path.components().count() <= env.config.components().count() + 2;
    above || settings || PARTS.iter().any(|part| text.contains(part))
}

/// Names that say where a project begins.
fn is_marker(name: &str) -> bool {
    const NAMES: [&str; 14] = [
        "Cargo.toml",
        "package.json",
        "node_modules",
        "pyproject.toml",
        "setup.cfg",
        "tox.ini",
        "pytest.ini",
        "tsconfig.json",
        "go.mod",
        "go.work",
        "Makefile",
        "pom.xml",
        "build.gradle",
        "rust-toolchain",
    ];
    name.starts_with('.') || NAMES.iter().any(|known| name.starts_with(known))
}

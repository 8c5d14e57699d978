//! Sequences of changes in real overlays, faults and hostile uppers, as root and as an ordinary user.
//! The work is done by the example `drive`, a process of that user.
//!
//! | Variable | Meaning |
//! |---|---|
//! | `SWATHE_MODEL_SEQUENCES` | sequences of the model test, 100 by default |
//! | `SWATHE_FAULT_STEP` | every so-manieth system call gets a fault, 9 by default as root, 100 as a user |

use std::path::PathBuf;
use std::process::Command;
use swathe_testkit::{Bwrap, Side, TempDir, Who, reachable};

/// The test program: cargo builds examples together with tests.
fn drive() -> PathBuf {
    let test = std::env::current_exe().expect("a running test has a path");
    let path = test.ancestors().nth(2).expect("cargo's layout").join("examples/drive");
    assert!(path.exists(), "no test program at {}", path.display());
    reachable(&path)
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).map_or(default, |text| text.parse().expect("a number"))
}

/// Runs the program as the user, and returns what it says. A failure is the test's.
fn run(b: &Bwrap, words: &[&str]) -> String {
    let is_root = rustix::process::geteuid().is_root();
    let mut command = if b.who == Who::User && is_root {
        let mut command = Command::new("setpriv");
        let uid = b.uid();
        command.arg(format!("--reuid={uid}")).arg(format!("--regid={uid}")).arg("--clear-groups");
        command.arg(drive());
        command
    } else {
        Command::new(drive())
    };
    let done = command.args(words).current_dir("/").output().expect("run the test program");
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let said = text(&done.stdout);
    assert!(done.status.success(), "{words:?}: {said}{}", text(&done.stderr));
    said
}

/// Random changes in an overlay, committed, are the same changes made directly; discarded, none.
fn model(b: &Bwrap) {
    let dir = TempDir::in_memory(b.uid());
    let first = if b.is_root() { 0 } else { 1_000_000 };
    let count = number("SWATHE_MODEL_SEQUENCES", 100);
    let (bwrap, path) = (b.path.display().to_string(), dir.path().display().to_string());
    let said = run(b, &["model", &bwrap, &path, &first.to_string(), &count.to_string()]);
    assert!(said.starts_with(&format!("{count} sequences")), "{said}");
}

/// Killed, or out of space, at any system call: the old tree, the new one, or one of them later.
fn faults(b: &Bwrap) {
    let (dir, other) = (TempDir::in_memory(b.uid()), b.temp());
    let step = number("SWATHE_FAULT_STEP", if b.is_root() { 9 } else { 100 });
    let path = dir.path().display().to_string();
    let said = run(b, &["faults", &path, &other.path().display().to_string(), &step.to_string()]);
    let points = said.lines().last().and_then(|line| line.split(' ').next());
    let points: u64 = points.and_then(|n| n.parse().ok()).expect("a number of points");
    assert!(points * step > 15_000, "only {points} points: {said}");
}

/// Whatever the upper holds, a commit stays inside, and the list shows the truth.
fn hostile(b: &Bwrap) {
    let dir: TempDir = b.temp();
    let said = run(b, &["hostile", &dir.path().display().to_string()]);
    let count = said.split(' ').next().and_then(|n| n.parse::<u32>().ok());
    assert!(count.is_some_and(|count| count >= 60), "{said}");
}

/// Single behaviours: conflicts, choice, merges, locks, saved copies, collection.
fn cases(b: &Bwrap) {
    let dir: TempDir = b.temp();
    let said = run(b, &["cases", &dir.path().display().to_string()]);
    assert_eq!(said.lines().count(), 34, "{said}");
}

fn with(who: Who, test: fn(&Bwrap)) {
    if let Some(b) = Bwrap::find(Side::Ours, who, None) {
        test(&b);
    }
}

mod root {
    use super::{Who, with};

    #[test]
    fn model() {
        with(Who::Root, super::model);
    }

    #[test]
    fn faults() {
        with(Who::Root, super::faults);
    }

    #[test]
    fn cases() {
        with(Who::Root, super::cases);
    }

    #[test]
    fn hostile() {
        with(Who::Root, super::hostile);
    }
}

mod user {
    use super::{Who, with};

    #[test]
    fn model() {
        with(Who::User, super::model);
    }

    #[test]
    fn faults() {
        with(Who::User, super::faults);
    }

    #[test]
    fn cases() {
        with(Who::User, super::cases);
    }

    #[test]
    fn hostile() {
        with(Who::User, super::hostile);
    }
}

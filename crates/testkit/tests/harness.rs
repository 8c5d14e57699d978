//! The harness catches what it is there for. These tests need no bwrap.

use std::path::PathBuf;
use std::time::Duration;
use swathe_testkit::{Bwrap, Ended, Side, Who, data, pipe, probe};

/// A runner of scripts, as each user that is possible; its program is never run.
fn runners() -> Vec<Bwrap> {
    let runner = |who| Bwrap { path: PathBuf::from("/bin/true"), who, side: Side::Ours };
    let mut runners = vec![runner(Who::User)];
    if runners[0].root_script("true").is_some() {
        runners.push(runner(Who::Root));
    }
    runners
}

/// Exit statuses, signals and output come back as they were.
#[test]
fn outcomes() {
    for b in runners() {
        assert_eq!(b.script("echo out; echo err >&2; exit 7").exits(7).text(), "out");
        assert_eq!(b.script("kill -9 $$").go().ended, Ended::Signal(9));
        assert_eq!(b.script("kill -9 $$").go().ended.shell(), 137);
    }
}

/// A process that is left behind fails the test, and is killed.
#[test]
fn leftovers() {
    for b in runners() {
        let (mut read, write) = pipe();
        let run = b.script("sleep 60 > /dev/null 2>&1 & exit 0").fd(9, write);
        let outcome = run.may_leave(Duration::from_millis(50)).go();
        assert_eq!(outcome.left, 1, "{outcome}");
        // The pipe ends because the sleeper is dead.
        std::io::Read::read_to_end(&mut read, &mut Vec::new()).expect("end of file");
    }
}

/// A mount on the host is noticed, and does not reach the machine.
#[test]
fn mounts() {
    for b in runners().into_iter().filter(Bwrap::is_root) {
        let temp = b.temp();
        let script = format!("mount -t tmpfs leak {}", temp.path().display());
        let run = b.script(&script);
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run.go()));
        assert!(caught.is_err(), "a mount went unnoticed");
        let table = std::fs::read_to_string("/proc/self/mountinfo").expect("mountinfo");
        assert!(!table.contains(&temp.at("")[..temp.at("").len() - 1]), "it reached the machine");
    }
}

/// Commands run as the user they are meant to run as, without other groups, and see only the
/// descriptors and the environment that were given.
#[test]
fn surroundings() {
    for b in runners() {
        let words = probe().display().to_string();
        let run = b.script(&format!("exec {words} uid groups fd env")).no_env().env("A", "b");
        let outcome = run.fd(5, data("x")).fd(4, data("y")).exits(0);
        assert_eq!(outcome.one("uid"), format!("{0} {0} {0}", b.uid()));
        let fds: Vec<usize> =
            (0..1000).filter(|fd| !outcome.all(&format!("fd.{fd}")).is_empty()).collect();
        assert_eq!(fds, [0, 1, 2, 4, 5], "{outcome}");
        assert!(outcome.all("env").contains(&"A=b".to_owned()), "{outcome}");
        if !b.is_root() && runners().len() == 2 {
            assert_eq!(outcome.all("groups").concat(), "");
        }
    }
}

/// Every known difference is named by a test, so that it cannot outlive its reason.
#[test]
fn known_differences_are_tested() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let document = std::fs::read_to_string(root.join("docs/known-differences.md")).expect("a file");
    let tests = std::fs::read_dir(root.join("crates/bwrap/tests")).expect("the contract tests");
    let source = |entry: std::fs::DirEntry| std::fs::read_to_string(entry.path()).expect("a test");
    let files = tests.flatten().filter(|entry| entry.path().is_file());
    let source: String = files.map(source).collect();
    let ids: Vec<&str> =
        document.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    assert!(ids.len() > 5, "{ids:?}");
    for id in ids {
        assert!(source.contains(&format!("original_differs(\"{id}\"")), "{id} is in no test");
    }
}

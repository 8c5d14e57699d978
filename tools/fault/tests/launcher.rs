//! The launcher of this workspace under a small, seeded part of every mode.

use std::path::PathBuf;
use std::process::Command;

/// The launcher under test, if there is one: `SWATHE_TEST_BWRAP`, or the workspace's own.
fn launcher() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("SWATHE_TEST_BWRAP") {
        return Some(path.into());
    }
    let beside = PathBuf::from(env!("CARGO_BIN_EXE_fault")).with_file_name("bwrap");
    beside.is_file().then_some(beside)
}

/// Runs one mode and expects it to find nothing.
fn clean(words: &str) {
    let Some(bwrap) = launcher() else {
        use std::io::Write;
        let why = "skipped: SWATHE_TEST_BWRAP is not set and no bwrap was built beside the tool\n";
        let _ = std::io::stderr().write_all(why.as_bytes());
        return;
    };
    let output = Command::new(env!("CARGO_BIN_EXE_fault"))
        .args(words.split_whitespace())
        .arg("--bwrap")
        .arg(bwrap)
        .output()
        .expect("the tool runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}\n{text}{errors}");
}

/// Any one failing call leaves the same sandbox or none, and a message.
#[test]
fn faults() {
    clean("inject --sample 400");
}

/// A slow process beside the payload changes nothing in what the payload sees.
#[test]
fn stalls() {
    clean("stall --sample 40 -j 8");
}

/// Nobody survives a kill at a system call.
#[test]
fn kills() {
    clean("kill --sample 200");
}

/// Nobody survives a kill at a random moment.
#[test]
fn random_kills() {
    clean("random-kill 100");
}

/// Documents that cannot be written, and few descriptors, end the launch with a message.
#[test]
fn broken_descriptors() {
    clean("status-fd");
}

/// Launches at once and in a row all work and leave nothing.
#[test]
fn load() {
    clean("load --at-once 50 --count 100");
}

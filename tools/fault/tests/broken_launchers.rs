//! The tool against launchers that are broken in a known way: each mode must be able to fail.
//!
//! The launchers are small shell scripts that drop their own words and run the payload without any
//! sandbox, so that these tests need no privileges and no namespaces.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// Drops every word up to `--`.
const SKIP_WORDS: &str = "while [ \"$1\" != -- ]; do shift; done; shift\n";

/// A script in a directory of its own, removed at the end of the test.
struct Script(PathBuf);

impl Script {
    fn new(body: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("swathe-fault-test-{}-{number}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        fs::create_dir(&dir).expect("scratch directory");
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).expect("mode");
        let script = Self(dir);
        let text = format!("#!/bin/sh\n{SKIP_WORDS}{body}\n");
        fs::write(script.path(), text).expect("script");
        fs::set_permissions(script.path(), fs::Permissions::from_mode(0o755)).expect("mode");
        script
    }

    fn path(&self) -> PathBuf {
        self.0.join("launcher")
    }

    /// Runs the tool on the script with the smallest profile: (exit status, what it printed).
    fn fault(&self, words: &str) -> (Option<i32>, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_fault"))
            .args(words.split_whitespace())
            .args(["--profile", "min", "--seed", "1", "--bwrap"])
            .arg(self.path())
            .output()
            .expect("the tool runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), text + &errors)
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A launcher that becomes its payload leaves nobody when it is killed, and bears any load.
#[test]
fn a_transparent_launcher_passes() {
    let script = Script::new("exec \"$@\"");
    for words in ["random-kill 20 --victim launcher", "load --at-once 20 --count 40"] {
        let (status, text) = script.fault(words);
        assert_eq!(status, Some(0), "{words}: {text}");
        assert!(text.contains(" passed, 0 failed"), "{words}: {text}");
    }
}

/// A payload that outlives the caller of its launcher is found, at full speed and traced.
#[test]
fn survivors_of_the_caller_are_found() {
    let script = Script::new("exec \"$@\"");
    for words in
        ["random-kill 4 --victim caller --after 300000", "kill --victim caller --at rest:0"]
    {
        let (status, text) = script.fault(words);
        assert_eq!(status, Some(1), "{words}: {text}");
        assert!(text.contains("ORPHAN"), "{words}: {text}");
    }
}

/// A payload that outlives its launcher is found.
#[test]
fn survivors_of_the_launcher_are_found() {
    let script = Script::new("\"$@\" & wait $!");
    let (status, text) = script.fault("kill --victim launcher --at rest:0");
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("ORPHAN"), "{text}");
}

/// A launcher that claims success although the payload could not be started is found.
#[test]
fn false_success_is_found() {
    let script = Script::new("\"$@\"; exit 0");
    let (status, text) = script.fault("inject --errno ENOMEM");
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("FALSE SUCCESS"), "{text}");
}

/// A launcher that goes on without a step that failed is found: the sandbox differs.
#[test]
fn a_weaker_sandbox_is_found() {
    let script = Script::new("umask 077; cd /usr 2>/dev/null; exec \"$@\"");
    let (status, text) = script.fault("inject --errno EPERM");
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("FAIL-OPEN"), "{text}");
    assert!(text.contains("+cwd"), "{text}");
}

/// A launcher that ignores the descriptors it is given is found.
#[test]
fn ignored_documents_are_found() {
    let script = Script::new("exec \"$@\"");
    let (status, text) = script.fault("status-fd");
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("DOCUMENT"), "{text}");
}

/// A launcher that never ends is found, and does not stay behind.
#[test]
fn hangs_are_found() {
    let script = Script::new("cd /usr 2>/dev/null || sleep 1000; exec \"$@\"");
    let (status, text) = script.fault("inject --errno EINVAL --timeout 1");
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("HANG"), "{text}");
}

/// An undisturbed launch that fails is a failure of the run, not an empty success.
#[test]
fn a_launcher_that_never_works_fails() {
    let script = Script::new("echo no >&2; exit 1");
    let (status, text) = script.fault("inject");
    assert_eq!(status, Some(1), "{text}");
    assert!(text.contains("the undisturbed launch fails"), "{text}");
}

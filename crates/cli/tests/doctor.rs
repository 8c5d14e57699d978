//! `swathe doctor`, on the machine that runs the tests and on recorded ones.

use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use swathe_testkit::{Bwrap, Side, Terminal, Who};

fn swathe() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_swathe"));
    command.env_remove("NO_COLOR").env("TERM", "xterm").stdin(Stdio::null());
    command
}

fn recording(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../host/tests/recorded/{name}.json"))
}

fn judge(name: &str, words: &[&str]) -> Output {
    let done = swathe().args(["doctor", "--facts"]).arg(recording(name)).args(words).output();
    done.expect("run swathe")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

fn user() -> Bwrap {
    Bwrap::find(Side::Ours, Who::User, None).expect("ours is always there")
}

/// The exit status says what the worst finding is, and never what a failed or misused command says.
#[test]
fn the_exit_status_is_the_verdict() {
    for (name, status) in
        [("debian-13-desktop", 0), ("debian-12", 3), ("ubuntu-24.04", 4), ("docker", 4)]
    {
        for words in [&[] as &[&str], &["--json"]] {
            assert_eq!(judge(name, words).status.code(), Some(status), "{name} {words:?}");
        }
    }
    let misused = swathe().args(["doctor", "--no-such"]).output().expect("run");
    assert_eq!(misused.status.code(), Some(2));
}

/// Piped output has no colour, and nothing wider than 80 columns but a word that cannot be broken.
#[test]
fn piped_output_is_plain_and_narrow() {
    let names = ["alpine-3.22", "centos-7", "docker", "rhel-9", "rhel-9-stig", "ubuntu-24.04"];
    for name in names {
        let out = text(&judge(name, &[]).stdout);
        assert!(!out.contains('\x1b'), "{out}");
        for line in out.lines() {
            let one_word = line.split_whitespace().count() == 1;
            assert!(line.chars().count() <= 80 || one_word, "{name}: {line}");
        }
    }
}

/// What a person reads has the temporary command and the file for good, exactly.
#[test]
fn people_can_copy_the_fix() {
    let out = text(&judge("ubuntu-24.04", &[]).stdout);
    for expected in [
        "This machine cannot sandbox.\n",
        "blocks    AppArmor does not list /usr/local/bin/bwrap\n",
        "\n            sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0\n",
        "          For good, in the file /etc/apparmor.d/bwrap-swathe:\n",
        "\n            profile bwrap-swathe /usr/local/bin/bwrap flags=(unconfined) {\n",
        "\n              userns,\n",
        "\n            sudo apparmor_parser -r /etc/apparmor.d/bwrap-swathe\n",
    ] {
        assert!(out.contains(expected), "no {expected:?} in\n{out}");
    }
    let out = text(&judge("docker", &[]).stdout);
    let mut command = out.lines().skip_while(|line| !line.contains("docker run"));
    let first = command.next().unwrap_or_default();
    assert!(first.ends_with(" \\"), "a command that goes on says so: {first:?}");
}

/// What `--json` prints is what `--facts` reads, and it is judged the same.
#[test]
fn recordings_are_read_back() {
    let first = judge("rhel-9-stig", &["--json"]).stdout;
    let report: Value = serde_json::from_slice(&first).expect("JSON");
    assert_eq!((&report["format"], &report["verdict"]), (&1.into(), &"blocks".into()));
    assert_eq!(report["findings"][0]["severity"], "blocks");
    let dir = user().temp();
    let file = dir.file("report.json", &first);
    let again = swathe().args(["doctor", "--json", "--facts", &file]).output().expect("run");
    assert_eq!(text(&first), text(&again.stdout));
    let stdin = std::fs::File::open(&file).expect("the file");
    let piped = swathe().args(["doctor", "--json", "--facts", "-"]).stdin(stdin).output();
    assert_eq!(text(&first), text(&piped.expect("run").stdout));
}

/// Recordings that are wrong are refused with a line that says where, and that cannot draw.
#[test]
fn bad_recordings_are_refused() {
    let dir = user().temp();
    let wide = format!("{{\"format\": 1, \"system\": \"{}\"}}", "x".repeat(1 << 20));
    let deep = "[".repeat(100_000);
    for (content, expected) in [
        ("", "EOF while parsing"),
        ("{", "EOF while parsing"),
        ("7", "invalid type"),
        ("{}", "it is of format 0, and this program reads 1"),
        ("{\"format\": 2}", "it is of format 2"),
        ("{\"format\": -1}", "invalid value"),
        ("{\"format\": 1, \"kernel\": 7}", "invalid type"),
        ("{\"format\": 1, \"n\\u001b[2J\": 7}", "unknown field"),
        ("\u{0}\u{1}", "expected value"),
        (wide.as_str(), "it is longer than 1048576 bytes"),
        (deep.as_str(), "recursion limit exceeded"),
    ] {
        let file = dir.file("facts", content);
        let done = swathe().args(["doctor", "--facts", &file]).output().expect("run");
        let err = text(&done.stderr);
        assert_eq!(done.status.code(), Some(1), "{err}");
        assert!(err.starts_with("swathe: cannot read facts from "), "{err}");
        assert!(err.contains(expected), "no {expected:?} in {err}");
        assert!(done.stdout.is_empty() && err.lines().count() == 1, "{err}");
        assert!(!err.contains('\x1b'), "{err:?}");
    }
    let done = swathe().args(["doctor", "--facts", "/no/such/file"]).output().expect("run");
    assert_eq!(done.status.code(), Some(1));
    assert!(text(&done.stderr).contains("No such file"), "{}", text(&done.stderr));
}

/// Hostile texts in a recording are shown escaped.
#[test]
fn recordings_cannot_draw() {
    let dir = user().temp();
    let facts = "{\"format\": 1, \"system\": \"\\u001b[2J\\u202e\", \"bwrap\": {\"path\": \
                 \"/\\u001b]0;x\", \"trial\": {\"namespaces\": {\"failed\": \"\\r\\u0007\"}}}, \
                 \"security\": {\"apparmor_restricts_userns\": true}, \"surroundings\": \
                 {\"container\": \"\\u001b[1m\", \"masked_proc\": [\"\\u009b2J\"]}}";
    let file = dir.file("facts", facts);
    let done = swathe().args(["doctor", "--facts", &file]).output().expect("run");
    assert_eq!(done.status.code(), Some(4), "{}", text(&done.stderr));
    let out = text(&done.stdout);
    let bad = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!out.contains(bad), "{out:?}");
}

/// A reader that has gone is an error, not a panic.
#[test]
fn a_reader_may_go() {
    let mut command = swathe();
    command.args(["doctor", "--json", "--facts"]).arg(recording("docker"));
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let child = command.stdout(writer).stderr(Stdio::piped()).spawn().expect("run");
    let done = child.wait_with_output().expect("wait");
    assert_eq!(done.status.code(), Some(1));
    assert!(text(&done.stderr).starts_with("swathe: cannot write to standard output"));
}

/// On a terminal there is colour, unless it is not wanted.
#[test]
fn colour_is_for_terminals() {
    let b = user();
    for (variable, coloured) in [("SOME_COLOR", true), ("NO_COLOR", false)] {
        let mut terminal = Terminal::open(&b);
        let mut command = swathe();
        command.args(["doctor", "--facts"]).arg(recording("debian-13-desktop"));
        let status = command.env(variable, "1").stdout(terminal.inner()).status().expect("run");
        assert_eq!(status.code(), Some(0));
        let seen = terminal.read_until("group ids");
        assert_eq!(seen.contains("\x1b["), coloured, "{seen}");
    }
}

/// On this machine, as root and as an ordinary user: the trial's result is what that user's bwrap
/// really can do, and the doctor leaves no process and no mount behind.
#[test]
fn the_trial_is_what_bwrap_can_do() {
    for who in [Who::Root, Who::User] {
        let Some(b) = Bwrap::find(Side::Ours, who, None) else { continue };
        let dir = b.temp();
        let program = dir.at("swathe");
        std::fs::copy(env!("CARGO_BIN_EXE_swathe"), &program).expect("copy for the user");
        let words = "--unshare-user --unshare-pid --unshare-net --ro-bind / / --proc /proc true";
        let truth = b.script(&format!("\"$BWRAP\" {words}")).go().ended.shell() == 0;
        let run = b.script("SWATHE_BWRAP=$BWRAP \"$SWATHE\" doctor --json");
        let outcome = run.env("SWATHE", &program).go();
        let report: Value =
            serde_json::from_slice(&outcome.out).unwrap_or_else(|e| panic!("{e} in {outcome}"));
        let trial = &report["facts"]["bwrap"]["trial"];
        assert_eq!(trial["procfs"] == "made", truth, "{report:#}");
        assert_eq!(report["facts"]["caller"]["uid"], b.uid(), "{report:#}");
        assert_eq!(report["layers"]["procfs"] == "yes", truth, "{report:#}");
        let status = match report["verdict"].as_str() {
            Some("blocks") => 4,
            Some("degrades") => 3,
            _ => 0,
        };
        assert_eq!(outcome.ended.shell(), status, "{report:#}");
    }
}

/// A bwrap that makes nothing is found out, although no setting forbids anything.
#[test]
fn a_bwrap_that_fails_blocks() {
    let dir = user().temp();
    let fake = dir.file("bwrap", "#!/bin/sh\necho 'bwrap: no luck today' >&2\nexit 1\n");
    dir.mode("bwrap", 0o755);
    let done = swathe().arg("doctor").env("SWATHE_BWRAP", &fake).output().expect("run");
    let out = text(&done.stdout);
    assert_eq!(done.status.code(), Some(4), "{out}");
    assert!(out.contains("blocks    no sandbox can be made here\n"), "{out}");
    assert!(out.contains("bwrap: no luck today"), "{out}");
}

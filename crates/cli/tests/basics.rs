//! What a run does with statuses, signals, streams, words, the environment and the directory.

mod common;

use common::{Place, TOKENS, no_secret};
use std::ffi::OsStr;
use std::io::{Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use swathe_testkit::{Ended, pipe};

/// The exit status is the program's own; a signal counts as in a shell.
fn statuses(place: &Place) {
    for status in [0, 1, 2, 3, 77, 125, 126, 127, 128, 129, 137, 200, 254, 255] {
        place.inside("", &format!("exit {status}")).exits(status);
    }
    for signal in [1, 2, 3, 6, 9, 10, 11, 13, 14, 15] {
        // The shell itself, not a child of it.
        place.inside("", &format!("kill -{signal} $$")).exits(128 + signal);
    }
}

/// What cannot be started is status 1, and says why and what to do.
fn not_started(place: &Place) {
    let files = "printf '#!/no/interpreter\n' >script; printf '#!/usr/bin/env nothere\n' >env; echo data >data; \
        printf '#!/bin/sh\necho fine\n' >tool; mkdir directory; chmod +x script env tool; \
        ln -s nowhere dangling; : >empty; chmod +x empty";
    place.host(files);
    let project = place.project("");
    for (words, status, says) in [
        ("run -- nosuchprogram", 1, "there is no program \"nosuchprogram\""),
        ("run -- ./nosuchprogram", 1, "there is no program \"./nosuchprogram\""),
        ("run -- /usr/bin/nosuchprogram", 1, "leads nowhere"),
        ("run -- tool", 1, "./tool"),
        ("run -- ./data", 1, "ermission denied"),
        ("run -- ./directory", 1, "directory"),
        ("run -- ./dangling", 1, "there is no program"),
        ("run -- ./script", 1, "/no/interpreter"),
        ("run -- ./env", 127, "nothere"),
        ("run -- ./tool", 0, ""),
        ("run -- ./directory/..", 1, "is a directory"),
        ("run --", 2, "Usage"),
        ("run", 2, "Usage"),
        ("run --nonsense -- true", 2, "--nonsense"),
        ("run --allow nonsense -- true", 1, "nonsense"),
        ("run --profile nonsense -- true", 1, "nonsense"),
        ("run --allow files.dir=/nonexistent -- true", 1, "/nonexistent does not exist"),
        ("run --allow files.dir=~:rw -- true", 1, "home directory"),
        ("run --allow files.dir=/ -- true", 1, "cannot be shown"),
    ] {
        let ran = place.swathe(words).go();
        assert_eq!(ran.ended, Ended::Exit(status), "{ran}");
        assert!(ran.errors().contains(says), "{words} does not say {says:?}: {ran}");
        assert!(!ran.errors().contains("bwrap:"), "{ran}");
        assert!(ran.text().is_empty() || status == 0, "{ran}");
        for line in ran.errors().lines().filter(|line| line.starts_with("swathe: ")) {
            assert!(!line.ends_with('.'), "{line}");
        }
    }
    let ran = place.swathe("run -- ./tool").cwd(format!("{project}/directory")).exits(1);
    assert!(ran.message().contains("./tool"), "{ran}");
}

/// Signals that swathe gets are the program's.
fn signals(place: &Place) {
    for (number, name) in
        [(1, "HUP"), (2, "INT"), (3, "QUIT"), (15, "TERM"), (10, "USR1"), (12, "USR2")]
    {
        let (mut read, write) = pipe();
        let text = format!("trap 'exit 40' {name}; echo up; while :; do sleep 0.05; done");
        let running = place.inside("", &text).fd(1, write).start();
        read.read_exact(&mut [0; 3]).expect("it is up");
        running.kill(number);
        let ran = running.wait();
        assert_eq!(ran.ended, Ended::Exit(40), "{name}: {ran}");
        // Not handled it ends the program, and swathe says how.
        let (mut read, write) = pipe();
        let running =
            place.swathe("run -- sh -c").arg("echo up; exec sleep 100").fd(1, write).start();
        read.read_exact(&mut [0; 3]).expect("it is up");
        running.kill(number);
        let ran = running.wait();
        assert_eq!(ran.ended.shell(), 128 + number, "{name}: {ran}");
    }
}

/// Input is read and its end is seen; output and errors are apart; a reader that goes ends it.
fn streams(place: &Place) {
    place.host("echo all of it >file0");
    let (read, mut write) = pipe();
    write.write_all(b"one\ntwo\n").expect("write");
    drop(write);
    assert_eq!(place.swathe("run -- cat").stdin(read).prints(), "one\ntwo");
    assert_eq!(place.swathe("run -- cat").prints(), "");
    let ran = place.inside("", "echo out; echo err >&2").exits(0);
    assert_eq!((ran.text(), ran.errors()), ("out".into(), "err\n".into()));
    place.host("\"$SWATHE\" run -- yes | head -n 1 | grep -q y");
    let big = "head -c 3000000 /dev/zero | \"$SWATHE\" run -- cat | wc -c";
    assert_eq!(place.host(big), "3000000");
    // Closed streams are no other file's.
    place.host("\"$SWATHE\" run -- sh -c 'ls -l /proc/self/fd >/dev/null' <&- >&- 2>&-");
    let ran = place.outside("\"$SWATHE\" run -- ls -l /proc/self/fd/0/ <$HOME").exits(1);
    assert!(ran.message().contains("standard input is a directory"), "{ran}");
    assert_eq!(place.host("\"$SWATHE\" run -- cat <file0"), "all of it");
    // What was given for reading cannot be opened again for writing, nor is its directory reached.
    place.host("echo keep >../data; chmod 666 ../data");
    place.outside("\"$SWATHE\" run -- sh -c 'echo x >/proc/self/fd/0; echo x >/dev/stdin; ls /proc/self/fd/0/..' <../data")
        .go();
    assert_eq!(place.dir.read("data").as_deref(), Some("keep\n"));
}

/// Words arrive as they are: empty, with spaces, line breaks, options, and not UTF-8.
fn words(place: &Place) {
    let odd = OsStr::from_bytes(b"\xff\xfe \n'\"$x");
    let ran = place
        .swathe("run -- printf [%s]")
        .args([OsStr::new(""), OsStr::new("a b"), odd, OsStr::new("--help"), OsStr::new("-w")])
        .exits(0);
    assert_eq!(ran.out, b"[][a b][\xff\xfe \n'\"$x][--help][-w]");
    // Options end with the program's name.
    assert_eq!(place.swathe("run echo -w --allow x").prints(), "-w --allow x");
    assert_eq!(place.swathe("run -- sh -c").arg("echo $0 $1").args(["a", "b"]).prints(), "a b");
    let long = "x".repeat(100_000);
    assert_eq!(place.swathe("run -- printf %s").arg(&long).prints(), long);
    let name = OsStr::from_bytes(b"\xffdir");
    let path = place.dir.path().join("project").join(name);
    place.outside("mkdir \"$1\"; echo odd >\"$1/f\"").arg("sh").arg(&path).exits(0);
    assert_eq!(place.swathe("run -- cat f").cwd(&path).prints(), "odd");
    assert_eq!(place.swathe("run -w -- cat f").cwd(&path).prints(), "odd");
}

/// A list of variables passes, and no secret.
fn environment(place: &Place) {
    let run = place
        .swathe("run -- env")
        .env("LANG", "C.UTF-8")
        .env("TZ", "UTC")
        .env("NO_COLOR", "1")
        .env("LD_PRELOAD", "/nonexistent.so")
        .env("LD_LIBRARY_PATH", "/nonexistent")
        .env("BASH_ENV", "/nonexistent")
        .env("ENV", "/nonexistent")
        .env("PYTHONPATH", "/nonexistent")
        .env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/run/user/0/bus")
        .env("DISPLAY", ":0")
        .env("PATH", "/usr/local/bin:/usr/bin:/bin:relative:/nonexistent");
    let ran = run.exits(0);
    no_secret(&ran);
    let text = ran.text();
    let mut names: Vec<&str> = text.lines().filter_map(|line| line.split('=').next()).collect();
    names.sort_unstable();
    let mut expected = vec![
        "HOME",
        "LANG",
        "LC_ALL",
        "LOGNAME",
        "NO_COLOR",
        "PATH",
        "SWATHE_RUN",
        "TERM",
        "TZ",
        "USER",
        "XDG_RUNTIME_DIR",
    ];
    expected.extend(names.contains(&"PWD").then_some("PWD"));
    expected.sort_unstable();
    assert_eq!(names, expected, "{ran}");
    let path = text.lines().find(|line| line.starts_with("PATH=")).unwrap_or_default();
    assert!(!path.contains("relative") && !path.contains("nonexistent"), "{path}");
    // By name they do.
    for name in TOKENS {
        let words = format!("run --allow env={name} -- printenv {name}");
        assert_eq!(place.swathe(&words).prints(), common::SECRET);
    }
    assert_eq!(place.swathe("run --allow env=X=y -- printenv X").prints(), "y");
    let ran = place.swathe("run --allow env=NOTSET -- true").exits(0);
    assert!(ran.errors().contains("NOTSET"), "{ran}");
    let run = place.swathe("run -- true").no_env().env("SWATHE_BWRAP", &place.engine);
    run.env("XDG_RUNTIME_DIR", place.dir.at("runtime")).exits(0);
}

/// No descriptor but the three passes.
fn descriptors(place: &Place) {
    let secret = std::fs::File::open(place.home(".ssh/id_ed25519")).expect("open");
    let directory = std::fs::File::open(place.home("")).expect("open");
    let (_read, write) = pipe();
    let ran = place
        .inside(
            "",
            "ls /proc/self/fd | tr '\\n' ' '; cat <&7; ls /proc/self/fd/8/; cat /proc/*/fd/7",
        )
        .fd(7, secret)
        .fd(8, directory)
        .fd(100, write)
        .go();
    assert!(ran.text().starts_with("0 1 2 3 \n") || ran.text().starts_with("0 1 2 3 "), "{ran}");
    no_secret(&ran);
}

/// The working directory: shown where it is a project, never where it is too much.
fn directories(place: &Place) {
    place.host("mkdir -p a/b; echo here >a/b/f");
    assert_eq!(
        place.inside("", "pwd; cat f").cwd(place.project("a/b")).prints(),
        format!("{}\nhere", place.project("a/b"))
    );
    // What is above is not visible, but what was made for the way.
    assert_eq!(place.inside("", "ls ../..").cwd(place.project("a/b")).prints(), "a");
    for (directory, why) in [
        (place.home(""), "home directory"),
        ("/".into(), "home directory"),
        ("/tmp".into(), ""),
        ("/etc".into(), "system"),
    ] {
        let ran = place.inside("", "pwd; ls -a").cwd(&directory).exits(0);
        assert!(ran.errors().contains("is not shown") && ran.errors().contains(why), "{ran}");
        assert!(ran.text().starts_with(&place.home("")), "{ran}");
        no_secret(&ran);
        let ran = place.inside("-w", "true").cwd(&directory).exits(1);
        assert!(ran.message().contains("cannot be made writable as a whole"), "{ran}");
        assert!(ran.errors().contains("start in a directory of the project"), "{ran}");
    }
    // Directories of credentials.
    for name in [".ssh", ".config", ".aws"] {
        no_secret(&place.inside("", "cat *").cwd(place.home(name)).go());
        place.inside("-w", "true").cwd(place.home(name)).exits(1);
    }
    let gone = "mkdir gone; cd gone; rmdir ../gone; \"$SWATHE\" run -- true";
    let ran = place.outside(gone).exits(1);
    assert!(ran.message().contains("working directory"), "{ran}");
    // Through a link, and below the home directory.
    place.host("ln -s a l; mkdir $HOME/code; echo mine >$HOME/code/f; cd l/b; test \"$(\"$SWATHE\" run -- cat f)\" = here");
    assert_eq!(
        place.inside("", "cat f; ls -a ~").cwd(place.home("code")).prints(),
        "mine\n.\n..\n.gitconfig\ncode"
    );
    place.inside("-w", "echo new >f").cwd(place.home("code")).exits(0);
    assert_eq!(place.dir.read("home/code/f").as_deref(), Some("new\n"));
    // Not writable without -w.
    let ran = place.inside("", "echo x >f").cwd(place.project("a/b")).go();
    assert!(ran.errors().contains("Read-only"), "{ran}");
}

/// The home directory is private, writable, and gone with the run.
fn private_places(place: &Place) {
    let text = "for d in $HOME /tmp /var/tmp /dev/shm $XDG_RUNTIME_DIR; do echo x >$d/x-swathe-test || echo no $d; done; \
        ls -A $HOME; test ! -e /etc/shadow; test ! -e /sys/kernel; test \"$(ls /proc | grep -c '^[0-9]')\" -lt 6";
    place.inside("", text).exits(0);
    for path in ["/tmp/x-swathe-test", "/var/tmp/x-swathe-test", "/dev/shm/x-swathe-test"] {
        assert!(!std::path::Path::new(path).exists(), "{path}");
    }
    assert!(!place.dir.list("home").contains(&"x-swathe-test".to_owned()));
    for text in [
        "echo x >/usr/x",
        "echo x >/etc/x && echo x >/etc/os-release",
        "mount -t tmpfs x /tmp",
        "unshare -U true",
    ] {
        assert_ne!(place.inside("", text).go().ended.shell(), 0, "{text}");
    }
}

both! {
    statuses,
    not_started,
    signals,
    streams,
    words,
    environment,
    descriptors,
    directories,
    private_places,
}

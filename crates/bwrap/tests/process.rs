//! The payload as a process: how it is started, what it inherits, and what its end becomes.

use swathe_testkit::{Bwrap, Ended, Terminal, contract, data, pipe, probe, usr};

/// The payload's exit status is ours, with a monitor and without.
fn exit_status(b: &Bwrap) {
    for options in [
        "--ro-bind / /",
        "--ro-bind / / --unshare-pid",
        "--ro-bind / / --unshare-pid --as-pid-1",
        "--ro-bind / / --die-with-parent",
        "--bind / / --sync-fd 0",
        "--ro-bind / / --lock-file /usr",
        "--ro-bind / / --json-status-fd 2",
    ] {
        for status in [0, 1, 2, 42, 127, 128, 255] {
            b.run(options).sh(&format!("exit {status}")).exits(status);
        }
        b.run(options).sh("exit 257").exits(1);
    }
}

/// A payload that dies of signal N ends as 128+N. Where no monitor is needed ours has none: then
/// the caller sees the death itself, which a shell shows as the same number.
fn death_by_signal(b: &Bwrap) {
    for (name, number) in [("KILL", 9), ("TERM", 15), ("SEGV", 11), ("PIPE", 13), ("USR1", 10)] {
        let script = format!("ulimit -c 0; kill -{name} $$");
        for options in [
            "--ro-bind / / --unshare-pid",
            "--ro-bind / / --json-status-fd 2",
            "--ro-bind / / --sync-fd 0",
            "--ro-bind / / --die-with-parent",
        ] {
            b.run(options).sh(&script).exits(128 + number);
        }
        let outcome = b.run("--ro-bind / /").sh(&script).go();
        assert_eq!(outcome.ended.shell(), 128 + number);
        b.original_differs("no-monitor", || assert_eq!(outcome.ended, Ended::Signal(number)));
    }
}

/// Where nothing asks for a monitor, ours leaves no process beside the payload.
fn no_monitor(b: &Bwrap) {
    b.original_differs("no-monitor", || {
        let text = "exec \"$BWRAP\" --ro-bind / / sh -c 'echo $PPID'";
        let parent = b.script(&format!("echo $PPID; {text}")).prints();
        let lines: Vec<&str> = parent.lines().collect();
        assert_eq!(lines[0], lines[1]);
    });
}

/// A command that cannot be executed is an error of ours, with the kernel's reason.
fn failed_exec(b: &Bwrap) {
    let temp = b.temp();
    temp.file("script", "#!/nonexistent/interpreter\n");
    temp.mode("script", 0o755);
    for (command, reason) in [
        ("/nonexistent", "No such file or directory"),
        ("nonexistent-command", "No such file or directory"),
        ("/etc", "Permission denied"),
        ("/etc/passwd", "Permission denied"),
        ("/etc/passwd/x", "Not a directory"),
        (&temp.at("script"), "No such file or directory"),
    ] {
        for options in ["--ro-bind / /", "--ro-bind / / --unshare-pid"] {
            b.run(&format!("{options} {command} --help"))
                .fails(&format!("execvp {command}: {reason}"));
        }
    }
    b.run("--ro-bind / /").arg("").fails("execvp : No such file or directory");
}

/// The command is looked up in PATH as --setenv left it, inside the sandbox; without PATH in the
/// system's default directories, and a slash skips the search.
fn path_search(b: &Bwrap) {
    let temp = b.temp();
    temp.file("hello", "#!/bin/sh\necho hello \"$@\"\n");
    temp.mode("hello", 0o755);
    temp.file("plain", "echo plain \"$@\"\n");
    temp.mode("plain", 0o755);
    let dir = temp.path().display();
    assert_eq!(
        b.run(&format!("--ro-bind / / --setenv PATH /nonexistent:{dir}:/usr/bin hello 1 2"))
            .prints(),
        "hello 1 2"
    );
    b.run("--ro-bind / / --setenv PATH /nonexistent true")
        .fails("execvp true: No such file or directory");
    b.run("--ro-bind / / --unsetenv PATH true").exits(0);
    b.run("--ro-bind / / --clearenv true").exits(0);
    // An empty entry is the working directory of the payload.
    for path in ["", ":/nonexistent", "/nonexistent:", "/nonexistent::/nonexistent"] {
        let run = b
            .run("--ro-bind / / --setenv PATH")
            .arg(path)
            .words(&format!("--chdir {dir} ./hello x"));
        assert_eq!(run.prints(), "hello x");
        let run = b
            .run("--ro-bind / / --setenv PATH")
            .arg(path)
            .words(&format!("--chdir {dir} --setenv X y plain"));
        let outcome = run.go();
        assert_eq!(outcome.text(), "plain", "{path:?}: {outcome}");
    }
    // A file without an interpreter line is a shell script, as execvp has it.
    assert_eq!(b.run(&format!("--ro-bind / / {dir}/plain a b")).prints(), "plain a b");
    b.run(&format!("--ro-bind / / --tmpfs {dir} --setenv PATH {dir} hello"))
        .fails("execvp hello: No such file or directory");
}

/// An entry of PATH that may not be executed is skipped, and is the reason when nothing is found.
fn path_search_without_permission(b: &Bwrap) {
    let temp = b.temp();
    temp.file("true", "");
    let dir = temp.path().display();
    b.run(&format!("--ro-bind / / --setenv PATH {dir}:/bin true")).exits(0);
    b.run(&format!("--ro-bind / / --setenv PATH {dir}:/nonexistent true"))
        .fails("execvp true: Permission denied");
}

/// --argv0 is the name that the program sees; the lookup uses the command.
fn argv0(b: &Bwrap) {
    let path = probe();
    for (words, expected) in [("--argv0 other", "other"), ("", path.to_str().expect("text"))] {
        let outcome = b.run(&format!("--ro-bind / / {words} {} argv", path.display())).exits(0);
        assert_eq!(outcome.one("argv.0"), expected);
        assert_eq!(outcome.one("argv.1"), "argv");
    }
    let outcome = b
        .run("--ro-bind / / --argv0")
        .arg("")
        .words(&format!("{} argv.0", path.display()))
        .exits(0);
    assert_eq!(outcome.one("argv.0"), "");
    b.run("--ro-bind / / --argv0 name nonexistent")
        .fails("execvp nonexistent: No such file or directory");
}

/// The environment is the caller's, changed by --setenv, --unsetenv and --clearenv in their order.
fn environment(b: &Bwrap) {
    let env = |words: &str| {
        let run = b.run(&format!("--ro-bind / / {words} {} env", probe().display())).no_env();
        let outcome = run.env("A", "1").env("B", "2").exits(0);
        let mut env = outcome.all("env");
        env.sort();
        env.join(" ")
    };
    assert_eq!(env(""), "A=1 B=2 PWD=/");
    assert_eq!(env("--unsetenv A --setenv C 3 --unsetenv none"), "B=2 C=3 PWD=/");
    assert_eq!(env("--setenv A 9 --setenv A 8"), "A=8 B=2 PWD=/");
    assert_eq!(env("--clearenv"), "PWD=/");
    assert_eq!(env("--setenv C 3 --clearenv --setenv D 4"), "D=4 PWD=/");
    assert_eq!(env("--setenv PWD /x --setenv OLDPWD /y"), "A=1 B=2 OLDPWD=/y PWD=/");
    assert_eq!(env("--unsetenv PWD"), "A=1 B=2 PWD=/");
}

/// The working directory: --chdir or die; else the caller's where it exists inside; else HOME; else
/// the root. PWD says where.
fn working_directory(b: &Bwrap) {
    let temp = b.temp();
    let dir = temp.dir("d");
    temp.link("d", "link");
    let cwd = |words: &str, home: &str| {
        let run = b.run(&format!("{words} --ro-bind {} /probe /probe cwd env", probe().display()));
        let outcome =
            run.cwd(temp.at("link")).no_env().env("HOME", home).env("OLDPWD", "/old").exits(0);
        let pwd = outcome
            .all("env")
            .into_iter()
            .find(|line| line.starts_with("PWD="))
            .unwrap_or_default();
        assert!(outcome.all("env").contains(&"OLDPWD=/old".to_owned()), "{outcome}");
        format!("{} {pwd}", outcome.one("cwd"))
    };
    let bind = format!("--bind {dir} {dir} --tmpfs /home2");
    assert_eq!(cwd(&bind, "/home2"), format!("{dir} PWD={dir}"));
    assert_eq!(cwd("--tmpfs /home2", "/home2"), "/home2 PWD=/home2");
    assert_eq!(
        cwd("--tmpfs /home2 --setenv HOME /home3 --dir /home3", "/home2"),
        "/home3 PWD=/home3"
    );
    assert_eq!(cwd("--tmpfs /home2 --unsetenv HOME", "/home2"), "/ PWD=/");
    assert_eq!(cwd("--tmpfs /home2", "/none"), "/ PWD=/");
    assert_eq!(cwd("--tmpfs /home2 --chdir /home2", "/none"), "/home2 PWD=/home2");
    assert_eq!(cwd("--dir /a/b --symlink a/b /l --chdir /l", "/none"), "/a/b PWD=/l");
}

/// A --chdir that fails is an error.
fn failed_chdir(b: &Bwrap) {
    b.run("--ro-bind / / --chdir /nonexistent true")
        .fails("Can't chdir to /nonexistent: No such file or directory");
    b.run("--ro-bind / / --chdir /etc/passwd true")
        .fails("Can't chdir to /etc/passwd: Not a directory");
}

/// Descriptors above 2 reach the payload; those named in options do not, used up or not.
fn inherited_descriptors(b: &Bwrap) {
    let words = format!("--ro-bind / / --proc /proc {} fd", probe().display());
    let outcome = b.run(&words).fd(3, data("")).fd(17, data("")).fd(333, data("")).exits(0);
    let open: Vec<usize> =
        (0..400).filter(|fd| !outcome.all(&format!("fd.{fd}")).is_empty()).collect();
    assert_eq!(open, [0, 1, 2, 3, 17, 333], "{outcome}");
    let (_keep, write) = pipe();
    let (read, _hold) = pipe();
    drop(_hold);
    let words = format!(
        "--ro-bind / / --proc /proc --tmpfs /mnt --args 10 --file 11 /mnt/a --bind-data 12 \
            /mnt/b --ro-bind-data 13 /mnt/c \
        --bind-fd 14 /mnt/d --ro-bind-fd 15 /mnt/e --info-fd 16 --block-fd 18 --sync-fd 19 \
        --seccomp 20 {} fd",
        probe().display()
    );
    let usr = || std::fs::File::open("/usr").expect("open");
    let allow: [u8; 8] = [6, 0, 0, 0, 0, 0, 0xff, 0x7f];
    let outcome = b
        .run(&words)
        .fd(10, data(""))
        .fd(11, data(""))
        .fd(12, data(""))
        .fd(13, data(""))
        .fd(14, usr())
        .fd(15, usr())
        .fd(16, write)
        .fd(18, read)
        .fd(19, data(""))
        .fd(20, data(allow))
        .fd(21, data(""))
        .exits(0);
    let open: Vec<usize> =
        (0..400).filter(|fd| !outcome.all(&format!("fd.{fd}")).is_empty()).collect();
    assert_eq!(open, [0, 1, 2, 21], "{outcome}");
}

/// The status document's descriptor is not the payload's either.
fn status_descriptor_is_kept_back(b: &Bwrap) {
    let words = format!("--ro-bind / / --proc /proc --json-status-fd 9 {} fd.9", probe().display());
    let outcome = b.run(&words).fd(9, data("")).exits(0);
    assert_eq!(outcome.text(), "");
}

/// Standard descriptors that are closed stay closed; nothing of ours is found there.
fn closed_standard_descriptors(b: &Bwrap) {
    for close in ["<&-", "<&- 2>&-"] {
        let script = format!("\"$BWRAP\" --ro-bind / / --proc /proc \"$PROBE\" fd {close}");
        let outcome = b.script(&script).exits(0);
        assert_eq!(outcome.all("fd.0"), [""; 0], "{outcome}");
        assert_eq!(outcome.all("fd.3"), [""; 0], "{outcome}");
    }
}

/// The payload gets the signal mask and the dispositions that the caller had, SIGPIPE included;
/// only SIGCHLD is set to its default.
fn signals_are_inherited(b: &Bwrap) {
    let words = format!("--ro-bind / / {} signal", probe().display());
    let mask = |text: String| u64::from_str_radix(&text, 16).expect("a number");
    // What the tests themselves were started with.
    let before = b.script("exec \"$PROBE\" signal").exits(0);
    let ignored = mask(before.one("signal.ignored"));
    for options in ["", "--unshare-pid ", "--unshare-pid --as-pid-1 ", "--json-status-fd 2 "] {
        let script =
            |prefix: &str| b.script(&format!("{prefix} exec \"$BWRAP\" {options}{words}")).exits(0);
        let seen = script("");
        assert_eq!(mask(seen.one("signal.ignored")), ignored, "{options}");
        assert_eq!(seen.one("signal.blocked"), "0000000000000000", "{options}");
        let seen = script("trap '' PIPE USR1 HUP;");
        let expected = ignored | 1 << 12 | 1 << 9 | 1;
        assert_eq!(mask(seen.one("signal.ignored")), expected, "{options}");
    }
    let script =
        format!("exec env --block-signal=USR2,TERM --ignore-signal=CHLD \"$BWRAP\" {words}");
    let outcome = b.script(&script).go();
    if outcome.ended == Ended::Exit(0) {
        assert_eq!(outcome.one("signal.blocked"), format!("{:016x}", 1 << 11 | 1 << 14));
        assert_eq!(mask(outcome.one("signal.ignored")), ignored);
    } else {
        swathe_testkit::notice("env has no --block-signal: the signal mask is not checked");
    }
}

/// Limits, umask and session are the caller's.
fn other_attributes_are_inherited(b: &Bwrap) {
    let words = format!("--ro-bind / / {} rlimit umask sid pgrp", probe().display());
    let text = format!(
        "umask 0137; ulimit -n 77 -c 0; \"$PROBE\" rlimit umask sid pgrp; exec \"$BWRAP\" {words}"
    );
    let outcome = b.script(&text).exits(0);
    let text = outcome.text();
    let lines: Vec<&str> = text.lines().collect();
    let (before, after) = lines.split_at(lines.len() / 2);
    assert_eq!(before, after, "{outcome}");
    assert_eq!(outcome.all("umask"), ["0137", "0137"]);
}

/// --new-session makes a session, so that the terminal of the caller is out of reach; without it
/// the payload keeps its terminal.
fn new_session(b: &Bwrap) {
    let words = |options: &str| {
        format!("setsid -c \"$BWRAP\" --dev-bind / / {options} \"$PROBE\" tty sid pid")
    };
    for (options, tty) in [
        ("", "yes"),
        ("--new-session", "no"),
        ("--unshare-pid --new-session", "no"),
        ("--new-session --unshare-pid --as-pid-1", "no"),
    ] {
        let terminal = Terminal::open(b);
        let outcome = b.script(&words(options)).fd(0, terminal.inner()).exits(0);
        assert_eq!(outcome.one("tty"), tty, "{options}: {outcome}");
    }
}

/// The words of the payload's command line are passed as they are.
fn argument_bytes(b: &Bwrap) {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    let odd = b"a\xff\n\t\\ ,:'\"$x\x01";
    let outcome = b
        .run(&format!("{} --ro-bind {} /probe --setenv ODD", usr(), probe().display()))
        .arg(OsStr::from_bytes(odd))
        .words("/probe argv env")
        .arg(OsStr::from_bytes(odd))
        .arg("")
        .exits(0);
    let escaped = "a\\xff\\x0a\\x09\\x5c ,:'\"$x\\x01";
    assert_eq!(outcome.one("argv.3"), escaped);
    assert_eq!(outcome.one("argv.4"), "");
    assert!(outcome.all("env").contains(&format!("ODD={escaped}")), "{outcome}");
}

/// Paths are bytes as well: in sources, destinations, link targets, --chdir.
fn path_bytes(b: &Bwrap) {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    let temp = b.temp();
    for odd in [
        &b"a b"[..],
        b"a\nb",
        b"a\tb",
        b"a\\b",
        b"a\\040b",
        b"a,b:c",
        b"\xff\xfe",
        b"--bind",
        b"#x",
        b"\xc3\xa4",
    ] {
        let name = OsStr::from_bytes(odd);
        let dir = temp.path().join(name);
        std::fs::create_dir(&dir).expect("a directory");
        std::fs::write(dir.join("f"), "content").expect("a file");
        for option in ["--ro-bind", "--bind"] {
            let inside = std::path::Path::new("/q").join(name);
            let run = b
                .run(&format!("{} --proc /proc {option}", usr()))
                .arg(&dir)
                .arg(&inside)
                .arg("--remount-ro")
                .arg(&inside);
            let run = run.arg("--symlink").arg(&inside).arg("/link").arg("--chdir").arg(&inside);
            assert_eq!(
                run.sh("cat f /link/f; touch x 2>&- || echo ro").prints(),
                "contentcontentro",
                "{odd:?}"
            );
        }
    }
}

contract! {
    exit_status,
    death_by_signal,
    no_monitor,
    failed_exec,
    path_search,
    path_search_without_permission,
    argv0,
    environment,
    working_directory,
    failed_chdir,
    inherited_descriptors,
    status_descriptor_is_kept_back,
    closed_standard_descriptors,
    signals_are_inherited,
    other_attributes_are_inherited,
    new_session,
    argument_bytes,
    path_bytes,
}

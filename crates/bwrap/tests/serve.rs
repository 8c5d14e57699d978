//! `--serve`: more commands in a running sandbox, for processes outside and for nobody else.

mod session;

use session::{Session, failure, lines, python};
use std::io::{Read as _, Write as _};
use swathe_plan::serve::{Reply, Request, Step};
use swathe_testkit::{Bwrap, Ended, Terminal, ours, pipe, probe};

/// A filter as filters(7) has them: each of the system calls fails with its error.
fn denying(calls: &[(i64, i32)]) -> Vec<u8> {
    let mut program = Vec::new();
    let mut put = |code: u16, jt: u8, jf: u8, k: u32| {
        program.extend(code.to_ne_bytes());
        program.extend([jt, jf]);
        program.extend(k.to_ne_bytes());
    };
    put(0x20, 0, 0, 0);
    for &(call, error) in calls {
        put(0x15, 0, 1, u32::try_from(call).expect("a small number"));
        put(0x06, 0, 0, 0x0005_0000 | u32::try_from(error).expect("a small number"));
    }
    put(0x06, 0, 0, 0x7fff_0000);
    program
}

/// What a command is not the same in as another one: its numbers, and its descriptors.
const OWN: [&str; 6] = ["pid", "sid", "pgrp", "foreground", "fd.", "isatty"];

/// Capabilities, limits, ids, filters, namespaces, mounts, environment, signals, working directory:
/// a command that is entered has those of the first one, under every option that changes them.
fn the_same_as_the_first(b: &Bwrap) {
    let cases = [
        "",
        "--unshare-all",
        "--unshare-user --uid 5 --gid 6 --cap-add CAP_NET_ADMIN --cap-add CAP_KILL",
        "--unshare-user --cap-add ALL --disable-userns --dev /dev",
        "--unshare-user --cap-drop ALL --user-limit max_inotify_watches 7",
        "--rlimit nofile 64:128 --rlimit core 0 --rlimit nproc 500 --rlimit fsize 1000000",
        "--clearenv --setenv A 1 --setenv B x --chdir /usr",
        "--close-fds --new-session --scope-signals --scope-abstract-sockets",
        "--add-seccomp-fd 7 --add-seccomp-fd 8 --unshare-net",
        "--unshare-user --info-fd 2 --cap-add ALL",
        "--forward-signals --unshare-uts --hostname box",
    ];
    for options in cases {
        let probe = probe();
        let (stdin, hold) = pipe();
        let run = |run: swathe_testkit::Run| {
            let program = denying(&[(libc::SYS_mkdirat, 1), (libc::SYS_mount, 1)]);
            run.stdin(stdin)
                .fd(7, swathe_testkit::data(&program))
                .fd(8, swathe_testkit::data(denying(&[(libc::SYS_ptrace, 1)])))
        };
        let words = format!("--ro-bind / / --dev /dev --unshare-pid --proc /proc {options}");
        let command = format!("{} --sleep", probe.display());
        let session = Session::start_with(b, &words, &command, run);
        let (code, entered) = session.run(&[&probe.display().to_string(), "--sleep"]);
        assert_eq!(code, 0, "{options}");
        drop(hold);
        let outcome = session.wait();
        let own = |line: &&str| !OWN.iter().any(|key| line.starts_with(key));
        // The caller's own descriptors are the first command's alone.
        let first: Vec<String> = lines(&outcome.text()).filter(own).map(str::to_owned).collect();
        let entered: Vec<String> = lines(&entered).filter(own).map(str::to_owned).collect();
        assert!(first.len() > 60, "{outcome}");
        assert_eq!(entered, first, "{options}");
    }
}

/// A command gets its three streams and what it was given beside them, at the numbers asked for,
/// and nothing else: nothing of pid 1 either.
fn descriptors(b: &Bwrap) {
    let session = Session::serve(b, "--ro-bind / / --dev /dev --unshare-pid --proc /proc");
    let text =
        "for f in /proc/self/fd/*; do echo $f $(readlink $f); done; ls -l /proc/1/fd; cat <&8";
    let (out, write) = pipe();
    let (given, mut fill) = pipe();
    fill.write_all(b"given").expect("room in a pipe");
    drop(fill);
    let null = std::fs::File::open("/dev/null").expect("open");
    let client = session.connect();
    // Numbers that are in pid 1's way, and in each other's.
    let numbers = [3, 4, 5, 6, 7, 8, 255];
    let mut fds = vec![&null, &write, &null];
    fds.extend([&null; 5]);
    fds.extend([&given, &null]);
    client.ask(&["/bin/sh", "-c", text], &[], "", false, &numbers, &fds);
    drop(write);
    assert_eq!(client.ends(), 0);
    let mut seen = String::new();
    (&out).read_to_string(&mut seen).expect("text");
    assert!(seen.ends_with("given"), "{seen}");
    let open: Vec<&str> = lines(&seen).filter_map(|l| l.strip_prefix("/proc/self/fd/")).collect();
    for line in &open {
        let (number, target) = line.split_once(' ').unwrap_or((line, ""));
        let number: u8 = number.parse().expect("a number");
        // The shell has the directory open, too.
        let expected = number < 3 || numbers.contains(&number) || target.is_empty();
        assert!(expected && !target.contains("socket"), "{seen}");
    }
    assert_eq!(open.iter().filter(|l| l.ends_with("/dev/null")).count(), 8, "{seen}");
    session.stop(0);
}

/// Input, output, exit statuses, ends by signals, commands that do not exist or may not be run,
/// working directories that do not exist.
fn streams_and_statuses(b: &Bwrap) {
    let session =
        Session::serve(b, "--ro-bind / / --dev /dev --unshare-pid --proc /proc --tmpfs /tmp");
    for (text, code) in [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", 137), ("kill -15 $$", 143)] {
        assert_eq!(session.run(&["sh", "-c", text]).0, code, "{text}");
    }
    let (stdin, mut write) = pipe();
    let (out, stdout) = pipe();
    write.write_all(b"hello").expect("room in a pipe");
    drop(write);
    let client = session.connect();
    client.ask(&["cat"], &[], "/tmp", false, &[], &[&stdin, &stdout, &stdout]);
    drop(stdout);
    assert_eq!(client.ends(), 0);
    assert_eq!(std::io::read_to_string(out).expect("text"), "hello");
    let fail = |argv: &[&str], cwd: &str| {
        let client = session.connect();
        client.ask_plain(argv, &[], cwd);
        failure(&client)
    };
    assert_eq!(fail(&["no-such-command"], ""), (Step::Command, libc::ENOENT));
    assert_eq!(fail(&["/etc/passwd"], ""), (Step::Command, libc::EACCES));
    assert_eq!(fail(&["/no/such"], ""), (Step::Command, libc::ENOENT));
    assert_eq!(fail(&["true"], "/no/such"), (Step::Directory, libc::ENOENT));
    assert_eq!(session.run(&["true"]).0, 0);
    session.stop(0);
}

/// The environment is the first command's with the changes asked for; PWD is the directory asked
/// for, and PATH finds the command.
fn environment_and_directory(b: &Bwrap) {
    let words = "--ro-bind / / --unshare-pid --clearenv --setenv A 1 --setenv B 2 --setenv PATH /x";
    let session = Session::serve(b, words);
    let client = session.connect();
    let (out, write) = pipe();
    let null = std::fs::File::open("/dev/null").expect("open");
    let changes = ["B", "C=3=4", "A=", "PATH=/usr/bin:/bin", "PWD=/wrong"];
    client.ask(&["env"], &changes, "/usr", false, &[], &[&null, &write, &null]);
    drop(write);
    assert_eq!(client.ends(), 0);
    let seen = std::io::read_to_string(out).expect("text");
    let mut seen: Vec<&str> = lines(&seen).collect();
    seen.sort_unstable();
    assert_eq!(seen, ["A=", "C=3=4", "PATH=/usr/bin:/bin", "PWD=/usr"]);
    let client = session.connect();
    client.ask_plain(&["env"], &[], "");
    assert_eq!(failure(&client), (Step::Command, libc::ENOENT), "PATH is /x");
    session.stop(0);
}

/// Signals reach the command, or its whole group; a stop is told.
fn signals(b: &Bwrap) {
    let session = Session::serve(b, "--ro-bind / / --dev /dev --unshare-pid");
    let client = session.connect();
    let (mut out, write) = pipe();
    let null = std::fs::File::open("/dev/null").expect("open");
    // It says that it is up when both handlers are set.
    let text = "trap 'echo hup; exit 7' HUP
        (trap 'echo child; exit' HUP; echo up; while :; do sleep 0.05; done) & wait $!; exit 8";
    client.ask(&["sh", "-c", text], &[], "", false, &[], &[&null, &write, &null]);
    assert_eq!(client.reply(), Some(Reply::Started));
    let mut up = [0; 3];
    out.read_exact(&mut up).expect("a line");
    client.send(Request::Signal { number: 19, group: false });
    assert_eq!(client.reply(), Some(Reply::Stopped(19)));
    client.send(Request::Signal { number: 18, group: true });
    client.send(Request::Signal { number: 1, group: true });
    assert_eq!(client.ends(), 7);
    drop(write);
    let seen = std::io::read_to_string(out).expect("text");
    let mut seen: Vec<&str> = lines(&seen).collect();
    seen.sort_unstable();
    assert_eq!(seen, ["child", "hup"]);
    session.stop(0);
}

/// Hundreds of commands, one after the other and many at once; pid 1 has as many descriptors and as
/// much memory as before.
fn many(b: &Bwrap) {
    let session = Session::serve(b, "--ro-bind / / --dev /dev --unshare-pid");
    let state = || {
        let pid = session.pid_1();
        let fds = std::fs::read_dir(format!("/proc/{pid}/fd")).map(Iterator::count).ok();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let data = lines(&status).find(|l| l.starts_with("VmData")).map(str::to_owned);
        (fds, data)
    };
    let mut before = None;
    for i in 0..400 {
        assert_eq!(session.run(&["true"]).0, 0);
        if i == 20 {
            before = Some(state());
        }
    }
    let null = std::fs::File::open("/dev/null").expect("open");
    let held: Vec<_> = (0..60)
        .map(|i| {
            let (stdin, hold) = pipe();
            let client = session.connect();
            let text = format!("read x; exit {i}");
            client.ask(&["sh", "-c", &text], &[], "", false, &[], &[&stdin, &null, &null]);
            assert_eq!(client.reply(), Some(Reply::Started));
            (client, hold)
        })
        .collect();
    for (i, (client, hold)) in held.into_iter().enumerate() {
        drop(hold);
        assert_eq!(usize::try_from(client.ends()), Ok(i));
    }
    assert_eq!(Some(state()), before);
    session.stop(0);
}

/// The Landlock domain holds for the first command and for those that are entered: an abstract socket
/// of outside is out of reach. It is one domain: they reach each other's.
fn one_landlock_domain(b: &Bwrap) {
    use std::os::linux::net::SocketAddrExt as _;
    let Some(python) = python() else { return };
    let name = format!("swathe-test-{}-{}", std::process::id(), b.uid());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).expect("a name");
    let _outside = std::os::unix::net::UnixListener::bind_addr(&address).expect("listen");
    let try_it = |name: &str| {
        format!(
            "import socket
try:
    socket.socket(socket.AF_UNIX).connect('\\0{name}')
    print('reached')
except PermissionError:
    print('refused')"
        )
    };
    for (option, expected) in [("", "reached\n"), ("--scope-abstract-sockets", "refused\n")] {
        let words = format!("--ro-bind / / --dev /dev --unshare-pid {option}");
        let session = Session::start(b, &words, &format!("{python} -c"), Some(&try_it(&name)));
        assert_eq!(String::from_utf8_lossy(&session.wait().out), expected, "the first, {option}");
        let session = Session::serve(b, &words);
        assert_eq!(session.run(&[python, "-c", &try_it(&name)]).1, expected, "{option}");
        let inside = format!("{name}-inside");
        let listen = format!(
            "import socket, os, sys
s = socket.socket(socket.AF_UNIX)
s.bind('\\0{inside}')
s.listen()
if os.fork(): os._exit(0)
os.closerange(0, 3)
s.accept()"
        );
        assert_eq!(session.run(&[python, "-c", &listen]).0, 0);
        assert_eq!(session.run(&[python, "-c", &try_it(&inside)]).1, "reached\n", "{option}");
        session.stop(0);
    }
}

/// What a command leaves running lives on, and another command can signal it: also where signals
/// are scoped, since all are in one Landlock domain.
fn background_lives_on(b: &Bwrap) {
    for options in ["", "--scope-signals"] {
        let words = format!("--ro-bind / / --dev /dev --unshare-pid --proc /proc {options}");
        let session = Session::serve(b, &words);
        let (code, text) = session.run(&["sh", "-c", "sleep 1000 >&- 2>&- & echo $!"]);
        assert_eq!(code, 0);
        let pid = text.trim();
        assert_eq!(session.run(&["sh", "-c", &format!("kill -0 {pid}")]).0, 0, "{options}");
        assert_eq!(session.run(&["sh", "-c", &format!("kill {pid}")]).0, 0, "{options}");
        let text = format!("while kill -0 {pid}; do sleep 0.01; done");
        assert_eq!(session.run(&["sh", "-c", &text]).0, 0, "{options}");
        session.stop(0);
    }
}

/// A client that goes takes its command with it, not what that has started.
fn a_client_that_goes(b: &Bwrap) {
    let session = Session::serve(b, "--ro-bind / / --dev /dev --unshare-pid --proc /proc");
    let client = session.connect();
    let (mut out, write) = pipe();
    let null = std::fs::File::open("/dev/null").expect("open");
    let text = "sleep 1000 & echo $$ $!; wait";
    client.ask(&["sh", "-c", text], &[], "", false, &[], &[&null, &write, &null]);
    let mut line = Vec::new();
    while line.last() != Some(&b'\n') {
        let mut byte = [0];
        out.read_exact(&mut byte).expect("a line");
        line.push(byte[0]);
    }
    drop(client);
    let line = String::from_utf8(line).expect("text");
    let (shell, sleeper) = line.trim().split_once(' ').expect("two numbers");
    let text = format!("while kill -0 {shell}; do sleep 0.01; done; kill -0 {sleeper}");
    assert_eq!(session.run(&["sh", "-c", &text]).0, 0);
    session.stop(0);
}

/// A terminal becomes the controlling one of the command's session; its keys reach the command.
fn terminals(b: &Bwrap) {
    let session =
        Session::serve(b, "--ro-bind / / --dev-bind /dev /dev --unshare-pid --proc /proc");
    let Terminal { mut outer, inner } = Terminal::open(b);
    let inner = std::fs::File::from(inner);
    let client = session.connect();
    let text = "(: < /dev/tty) && ps -o tty= -p $$ > /dev/null; echo ready; sleep 1000";
    client.ask(&["sh", "-c", text], &[], "", true, &[], &[&inner, &inner, &inner]);
    assert_eq!(client.reply(), Some(Reply::Started));
    let mut seen = Vec::new();
    while !seen.windows(5).any(|w| w == b"ready") {
        let mut buffer = [0; 256];
        match outer.read(&mut buffer) {
            Ok(n) => seen.extend_from_slice(&buffer[..n]),
            Err(_) => std::thread::sleep(std::time::Duration::from_millis(5)),
        }
        assert!(seen.len() < 4096, "{}", String::from_utf8_lossy(&seen));
    }
    outer.write_all(b"\x03").expect("a key");
    assert_eq!(client.ends(), 130);
    // What is no terminal cannot be one.
    let client = session.connect();
    let null = std::fs::File::open("/dev/null").expect("open");
    client.ask(&["true"], &[], "", true, &[], &[&null, &null, &null]);
    assert_eq!(failure(&client).0, Step::Terminal);
    session.stop(0);
}

/// The sandbox lasts as long as its first command or anything else in it; its status is the first
/// command's. Without a first command it lasts until it is told to stop.
fn ends(b: &Bwrap) {
    let words = "--ro-bind / / --dev /dev --unshare-pid --proc /proc";
    let session = Session::start(b, words, "sh -c", Some("exit 5"));
    assert_eq!(session.wait().ended, Ended::Exit(5));
    let session = Session::start(b, words, "sh -c", Some("sleep 0.3 & exit 6"));
    assert_eq!(session.wait().ended, Ended::Exit(6));
    // Killed by the stop.
    let session = Session::start(b, words, "sleep", Some("1000"));
    assert_eq!(session.run(&["sh", "-c", "exec >&-; sleep 1000 & sleep 1000 & exit 1"]).0, 1);
    session.stop(137);
    let words = format!("{words} --end-with-command");
    let session = Session::start(b, &words, "sh -c", Some("read x; sleep 1000 & exit 4"));
    assert_eq!(session.wait().ended, Ended::Exit(4));
    // A command that cannot be run is a failure, as always.
    let session = Session::start(b, words.as_str(), "no-such-command", None);
    let outcome = session.wait();
    assert_eq!(outcome.ended, Ended::Exit(1));
    assert!(outcome.message().contains("execvp no-such-command"), "{outcome}");
}

/// Whatever ends the launcher ends the sandbox, with all that was entered: the harness finds no
/// process left.
fn the_launcher_is_killed(b: &Bwrap) {
    for signal in [libc::SIGKILL, libc::SIGTERM] {
        for command in ["", "sleep 1000"] {
            let session = Session::start(
                b,
                "--ro-bind / / --dev /dev --unshare-pid --proc /proc",
                command,
                None,
            );
            let text = "exec >&-; setsid sleep 1000 & sleep 1000 & trap '' TERM HUP; exit 0";
            assert_eq!(session.run(&["sh", "-c", text]).0, 0);
            session.kill(signal);
            let outcome = session.wait();
            assert_eq!(outcome.ended, Ended::Signal(signal), "{outcome}");
        }
    }
}

ours! {
    the_same_as_the_first,
    descriptors,
    streams_and_statuses,
    environment_and_directory,
    signals,
    many,
    one_landlock_domain,
    background_lives_on,
    a_client_that_goes,
    terminals,
    ends,
    the_launcher_is_killed,
}

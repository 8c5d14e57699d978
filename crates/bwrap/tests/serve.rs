//! `--serve`: more commands in a running sandbox, for processes outside and for nobody else.

mod session;

use session::{Client, Session, failure, lines, python};
use std::io::{Read as _, Write as _};
use swathe_plan::serve::{Reply, Request, Step};
use swathe_testkit::{Bwrap, Ended, Terminal, notice, ours, pipe, probe};

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

/// Requests that are none end their connection and nothing else.
fn hostile_clients(b: &Bwrap) {
    let session = Session::serve(b, "--ro-bind / / --dev /dev --unshare-pid");
    let null = std::fs::File::open("/dev/null").expect("open");
    let (run, text) = Client::text(&["true"], &[], "", false, &[]);
    let good = Request::Run(run).encode();
    let refused = |bytes: &[u8], fds: &[&std::fs::File]| {
        let client = session.connect();
        client.send_raw(bytes, fds);
        match client.reply() {
            None => {}
            Some(Reply::Failed { step: Step::Request, .. }) => {}
            other => panic!("{other:?} to {bytes:?} with {} descriptors", fds.len()),
        }
        // The command's process, if there was one, ended by itself.
        while client.reply().is_some() {}
    };
    let file = session::memory(&text);
    refused(&[], &[]);
    refused(b"x", &[]);
    refused(&good[..47], &[&file, &null, &null, &null]);
    refused(&[&good[..], b"x"].concat(), &[&file, &null, &null, &null]);
    refused(&[0xff; 60_000], &[]);
    for fds in [0, 1, 3, 5, 20, 21, 100, 253] {
        let all = [&[&file][..], &vec![&null; 253]].concat();
        refused(&good, &all[..fds]);
        refused(b"garbage", &all[..fds]);
    }
    // A text that is shorter, no file, not to be read, or not what the message says.
    let (read, _write) = pipe();
    let directory = std::fs::File::open("/").expect("open");
    let short = session::memory(b"/");
    let wrong = session::memory(&vec![b'x'; text.len()]);
    for bad in [&read, &directory, &short, &wrong] {
        refused(&good, &[bad, &null, &null, &null]);
    }
    refused(&Request::Signal { number: 9, group: true }.encode(), &[]);
    for word in 0..12 {
        let mut bytes = good;
        bytes[4 * word] ^= 0x55;
        bytes[4 * word + 2] ^= 0x55;
        refused(&bytes, &[&file, &null, &null, &null]);
    }
    // A second command over a connection ends the first one.
    let client = session.connect();
    client.ask_plain(&["sleep", "1000"], &[], "");
    assert_eq!(client.reply(), Some(Reply::Started));
    client.send_raw(&good, &[&file, &null, &null, &null]);
    assert!(matches!(client.reply(), Some(Reply::Failed { step: Step::Request, .. })));
    assert_eq!(client.reply(), None);
    assert_eq!(session.run(&["true"]).0, 0);
    session.stop(0);
}

/// Floods: more connections than there is room for, clients that say nothing, that do not read, that
/// come and go. A command still gets in.
fn floods(b: &Bwrap) {
    let session = Session::serve(b, "--ro-bind / / --dev /dev --unshare-pid");
    let idle: Vec<Client> = (0..400).map(|_| session.connect()).collect();
    assert_eq!(session.run(&["true"]).0, 0);
    for _ in 0..2000 {
        drop(session.connect());
    }
    for client in &idle {
        client.send_raw(b"garbage", &[]);
    }
    // Signals without end to a command, whose replies nobody reads.
    let deaf = session.connect();
    deaf.ask_plain(&["sh", "-c", "while :; do kill -STOP $$; done"], &[], "");
    for _ in 0..2000 {
        deaf.send(Request::Signal { number: 18, group: false });
    }
    assert_eq!(session.run(&["true"]).0, 0);
    // Room for 256, of which one is taken: the next one waits for one of them to end.
    drop(idle);
    let mut held: Vec<Client> = (0..255)
        .map(|_| {
            let client = session.connect();
            client.ask_plain(&["sleep", "1000"], &[], "");
            assert_eq!(client.reply(), Some(Reply::Started));
            client
        })
        .collect();
    let late = session.connect();
    late.ask_plain(&["true"], &[], "");
    assert!(late.is_silent(), "a 257th command");
    held.pop();
    assert_eq!(late.ends(), 0);
    drop(held);
    session.stop(0);
}

/// A command whose text is long, or in a file on a disk, runs like any other.
fn long_texts(b: &Bwrap) {
    let session = Session::serve(b, "--ro-bind / / --dev /dev --unshare-pid");
    let long = "x".repeat(100_000);
    let words: Vec<&str> = std::iter::repeat_n("y", 3000).collect();
    let text = "echo $# ${#1}";
    assert_eq!(session.run(&["sh", "-c", text, "sh", &long]), (0, "1 100000\n".to_owned()));
    let argv = [&["sh", "-c", text, "sh"][..], &words].concat();
    assert_eq!(session.run(&argv), (0, "3000 1\n".to_owned()));
    let temp = b.temp();
    let (run, text) = Client::text(&["sh", "-c", "exit 9"], &[], "", false, &[]);
    temp.file("text", String::from_utf8(text).expect("text"));
    let file = std::fs::File::open(temp.path().join("text")).expect("open");
    let null = std::fs::File::open("/dev/null").expect("open");
    let client = session.connect();
    client.send_raw(&Request::Run(run).encode(), &[&file, &null, &null, &null]);
    assert_eq!(client.ends(), 9);
    session.stop(0);
}

/// A program that cannot be opened for a long time (somebody has a lease on it) holds up its own
/// command only, is run when it can be, and once.
fn a_slow_program(b: &Bwrap) {
    use std::os::fd::AsRawFd as _;
    let temp = b.temp();
    temp.file("slow", "#!/bin/sh\necho ran; exit 5\n");
    temp.mode("slow", 0o755);
    let words = format!("--ro-bind / / --dev /dev --ro-bind {0} {0} --unshare-pid", temp.at(""));
    let session = Session::serve(b, &words);
    let file = std::fs::File::open(temp.at("slow")).expect("open");
    // SAFETY: numbers only. SIGURG, which is ignored, instead of SIGIO when somebody waits.
    unsafe {
        assert_eq!(libc::fcntl(file.as_raw_fd(), 10, libc::SIGURG), 0, "F_SETSIG");
        if libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_WRLCK) != 0 {
            notice("the file system of the tests has no leases: a slow program is not tried");
            return session.stop(0);
        }
    }
    let (out, write) = pipe();
    let null = std::fs::File::open("/dev/null").expect("open");
    let client = session.connect();
    let path = temp.at("slow");
    client.ask(&[&path], &[], "", false, &[], &[&null, &write, &null]);
    drop(write);
    for _ in 0..5 {
        assert_eq!(session.run(&["true"]).0, 0);
    }
    // One that waits can be given up, too.
    let second = session.connect();
    second.ask_plain(&[&path], &[], "");
    drop(second);
    assert_eq!(session.run(&["true"]).0, 0);
    drop(file);
    assert_eq!(client.ends(), 5);
    assert_eq!(std::io::read_to_string(out).expect("text"), "ran\n");
    session.stop(0);
}

/// Whoever is not the sandbox's user is not heard: neither another user nor, where the sandbox has a
/// user namespace and cannot tell it from others, root.
fn other_users(b: &Bwrap) {
    if !swathe_testkit_root() {
        notice("not started as root: other users are not tried");
        return;
    }
    let session = Session::serve(b, "--ro-bind / / --unshare-pid --unshare-user");
    for uid in [0, 1, 12345, 54321, 65534] {
        let client = session.connect_as(uid);
        client.try_ask(&["true"]);
        if uid == b.uid() {
            assert_eq!(client.ends(), 0, "the control");
        } else {
            assert_eq!(client.reply(), None, "{uid}");
        }
    }
    session.stop(0);
}

fn swathe_testkit_root() -> bool {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// A process of the sandbox that sees the socket's name connects in vain, also from a pid namespace
/// below, and as the first command; the same program outside is heard.
fn the_payload_is_not_heard(b: &Bwrap) {
    let Some(python) = python() else { return };
    let temp = b.temp();
    let words = format!(
        "--ro-bind / / --bind {0} {0} --unshare-user --dev /dev --unshare-pid --proc /proc --cap-add ALL",
        temp.path().display()
    );
    let session = Session::start_at(b, &words, "", None, &temp);
    let script = format!(
        "import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect('{}')
try:
    s.send(bytes.fromhex('{}'))
    print(s.recv(100))
except OSError as e:
    print('refused')",
        session.path().display(),
        Request::Stop.encode().iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    );
    let below = ["unshare", "--pid", "--fork", "--mount-proc", python, "-c", &script];
    for argv in [&[python, "-c", &script][..], &below] {
        let (code, text) = session.run(argv);
        assert_eq!(code, 0, "{text}");
        assert!(text == "b''\n" || text == "refused\n", "{text}");
        assert_eq!(session.run(&["true"]).0, 0, "the sandbox lives on");
    }
    // The control: outside it is heard.
    let script = format!("exec {python} -c \"$SCRIPT\"");
    let _ = b.script(&script).env("SCRIPT", below[6]).go();
    assert_eq!(session.wait().ended, Ended::Exit(0));
}

/// Nothing of pid 1 can be looked into, also where somebody has asked for its number, and its
/// descriptors cannot be had; a signal from inside does nothing to it.
fn pid_1_is_private(b: &Bwrap) {
    for options in ["", "--info-fd 2", "--info-fd 2 --unshare-user --cap-add ALL --uid 0"] {
        let words =
            format!("--ro-bind / / --dev /dev --unshare-pid --proc /proc --unshare-user {options}");
        let session = Session::serve(b, &words);
        let text = "for f in environ auxv syscall mem; do
                x=$(head -c 10 /proc/1/$f | tr -d '\\0') && [ -n \"$x\" ] && echo $f; done
            for f in exe fd/0 root cwd ns/mnt; do x=$(readlink /proc/1/$f) && echo $f; done
            for f in /proc/1/fd/*; do readlink $f && echo $f; done; for s in 1 2 9 15 17 19; do kill -$s 1; done; true";
        let (_, seen) = session.run(&["sh", "-c", &format!("({text}) 2>&-")]);
        assert_eq!(seen, "", "{options}");
        assert_eq!(session.run(&["true"]).0, 0, "{options}");
        session.stop(0);
    }
}

/// What does not go together, and sockets of another kind.
fn refusals(b: &Bwrap) {
    let base = "--ro-bind / /";
    let kind = "the descriptor of --serve is no listening UNIX socket of type SOCK_SEQPACKET";
    b.run(&format!("{base} --serve 9 true")).fails("Specifying --serve requires --unshare-pid");
    let cases = [
        ("--as-pid-1 true", "Specifying --as-pid-1 and --serve is not permitted"),
        ("--lock-file /etc/passwd true", "--serve is not compatible with --lock-file"),
        ("--pty", "--pty requires a command"),
        ("--end-with-command", "--end-with-command requires a command"),
        (
            "--unshare-user --uid 65534",
            "--serve is not possible as uid 65534, which stands for all unknown users",
        ),
        ("true", "Can't use fd 9: Bad file descriptor"),
    ];
    for (words, message) in cases {
        b.run(&format!("{base} --unshare-pid --serve 9 {words}")).fails(message);
    }
    let words = format!("{base} --unshare-pid --serve 9 true");
    let (stream, _other) = std::os::unix::net::UnixStream::pair().expect("sockets");
    b.run(&words).fd(9, stream).fails(kind);
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").expect("listen");
    b.run(&words).fd(9, tcp).fails(kind);
    b.run(&words).fd(9, session::unheard()).fails(kind);
    let outcome = b.run(&words).fd(9, swathe_testkit::data("")).exits(1);
    assert!(outcome.message().contains("SOCK_SEQPACKET"), "{outcome}");
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
    hostile_clients,
    floods,
    long_texts,
    a_slow_program,
    other_users,
    the_payload_is_not_heard,
    pid_1_is_private,
    refusals,
}

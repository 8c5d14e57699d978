//! `--serve` under attack: clients that are hostile, slow or not welcome, and the payload itself.

mod session;

use session::{Client, Session, python};
use swathe_plan::serve::{Reply, Request, Step};
use swathe_testkit::{Bwrap, Ended, notice, ours, pipe};

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
    hostile_clients,
    floods,
    long_texts,
    a_slow_program,
    other_users,
    the_payload_is_not_heard,
    pid_1_is_private,
    refusals,
}

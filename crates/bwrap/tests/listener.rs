//! A filter that asks somebody outside: `--seccomp-listener`.

mod session;
mod supervisor;

use session::Session;
use std::fs::{read_dir, read_link, read_to_string};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::sync::mpsc::channel;
use supervisor::{Answer, Call, Seen, Supervisor, mkdir, pair, stream, trapping};
use swathe_testkit::{Bwrap, Outcome, Run, data, notice, pipe, probe};

/// The options that make processes differ.
const SHAPES: [&str; 9] = [
    "",
    "--close-fds",
    "--die-with-parent",
    "--unshare-pid",
    "--unshare-pid --as-pid-1",
    "--unshare-pid --info-fd 6 --add-seccomp-fd 7",
    "--unshare-user --unshare-pid --cap-add ALL",
    "--unshare-all --new-session --close-fds --forward-signals",
    "--unshare-pid --add-seccomp-fd 7 --lock-file /etc/passwd --die-with-parent",
];

/// The descriptors that the options of a shape name.
fn shaped(run: Run, options: &str) -> Run {
    let run = if options.contains("-fd 6") { run.fd(6, data("")) } else { run };
    if options.contains("-fd 7") { run.fd(7, data(trapping(&[], false))) } else { run }
}

/// A run under a filter that traps making directories, with this one to listen.
fn run(b: &Bwrap, options: &str, socket: impl Into<OwnedFd>) -> Run {
    let run = b.run(&format!("--ro-bind / / --proc /proc {options} --seccomp-listener 9 8"));
    shaped(run, options).fd(8, socket).fd(9, data(trapping(&mkdir(), true)))
}

/// The calls that were trapped, after the test call, which has to be the first.
#[track_caller]
fn after_probe(seen: &Seen) -> Vec<Call> {
    assert_eq!(seen.listeners, 1, "{seen:?}");
    let (first, rest) = seen.calls.split_first().expect("a call");
    assert!(first.is_probe(), "{seen:?}");
    rest.to_vec()
}

/// In every shape, over both kinds of sockets, the listener comes out once, the test call is the
/// first that it hears of, and the command's calls come after it.
fn asked_and_answered(b: &Bwrap) {
    for options in SHAPES {
        for kind in [libc::SOCK_STREAM, libc::SOCK_SEQPACKET] {
            let (theirs, ours) = pair(kind);
            let supervisor = Supervisor::good(ours, Answer::Value(0));
            // Where it is mounted read-only, nothing can be made but in the answer.
            run(b, options, theirs).words("mkdir /trapped").exits(0);
            let calls = after_probe(&supervisor.end());
            assert_eq!(calls.len(), 1, "{options}: {calls:?}");
            assert!(mkdir().contains(&calls[0].number), "{options}: {calls:?}");
        }
        let (theirs, ours) = stream();
        let supervisor = Supervisor::good(ours, Answer::Error(libc::ENOTTY));
        let outcome = run(b, options, theirs).words("mkdir /trapped").exits(1);
        assert!(outcome.errors().contains("Inappropriate ioctl"), "{options}: {outcome}");
        after_probe(&supervisor.end());
    }
}

/// execve(2) may be trapped: it comes after the test call.
fn execve_can_be_trapped(b: &Bwrap) {
    for options in SHAPES {
        for (answer, code) in [(Answer::GoOn, 3), (Answer::Error(libc::EPERM), 1)] {
            let (theirs, ours) = stream();
            let supervisor = Supervisor::good(ours, answer);
            let run = b
                .run(&format!("--ro-bind / / {options} --seccomp-listener 9 8 /bin/sh -c"))
                .arg("exit 3")
                .fd(8, theirs)
                .fd(9, data(trapping(&[libc::SYS_execve], true)));
            let outcome = shaped(run, options).exits(code);
            let refused = outcome.errors().contains("execvp /bin/sh: Operation not permitted");
            assert_eq!(refused, code == 1, "{options}: {outcome}");
            let calls = after_probe(&supervisor.end());
            assert!(!calls.is_empty() && calls.iter().all(|c| c.number == libc::SYS_execve));
        }
    }
}

/// What the command has, and every process of the sandbox above it: neither the listener nor the
/// sockets.
fn nothing_leaks(b: &Bwrap) {
    for options in SHAPES {
        let (theirs, ours) = stream();
        let supervisor = Supervisor::good(ours, Answer::Value(0));
        let outcome = run(b, options, theirs).arg(probe()).arg("fd").exits(0);
        let open: Vec<i32> =
            (3..900).filter(|fd| !outcome.all(&format!("fd.{fd}")).is_empty()).collect();
        assert!(open.is_empty(), "{options}: {open:?} {outcome}");
        after_probe(&supervisor.end());

        let (theirs, ours) = stream();
        let socket = read_link(format!("/proc/self/fd/{}", theirs.as_raw_fd())).expect("a link");
        let (found, finds) = channel();
        let supervisor = Supervisor::start(ours, move |call| {
            if call.is_probe() {
                return Answer::Value(1);
            }
            let _ = found.send(look(call.pid));
            Answer::Value(0)
        });
        let words = "sh -c";
        run(b, options, theirs).words(words).arg("mkdir /trapped; true").exits(0);
        after_probe(&supervisor.end());
        let Some(all) = finds.recv().expect("a look") else {
            notice("not started as root: what pid 1 has open is not looked at");
            continue;
        };
        assert!(!all.is_empty());
        for target in all {
            let kept = target == socket || target.to_string_lossy().contains("seccomp notify");
            assert!(!kept, "{options}: {}", target.display());
        }
    }
}

/// What a process and those above it, up to bwrap itself, have open; none when that cannot be seen.
fn look(pid: u32) -> Option<Vec<std::path::PathBuf>> {
    let mut all = Vec::new();
    let mut pid = pid.to_string();
    loop {
        let status = read_to_string(format!("/proc/{pid}/status")).ok()?;
        let field = |name: &str| status.lines().find_map(|l| l.strip_prefix(name)).map(str::trim);
        if !["bwrap", "sh", "mkdir"].contains(&field("Name:")?) {
            return Some(all);
        }
        for fd in read_dir(format!("/proc/{pid}/fd")).ok()?.flatten() {
            all.extend(read_link(fd.path()));
        }
        pid = field("PPid:")?.to_owned();
    }
}

/// Whatever the answer to the test call is but the right one, the command does not run.
fn wrong_answers(b: &Bwrap) {
    let cases = [
        (
            Answer::Close,
            "Nobody listens to the filter of --seccomp-listener: Function not implemented",
        ),
        (
            Answer::GoOn,
            "The filter of --seccomp-listener does not trap the test call: Invalid argument",
        ),
        (
            Answer::Value(0),
            "The listener of --seccomp-listener gave a wrong answer to the test call",
        ),
        (
            Answer::Value(2),
            "The listener of --seccomp-listener gave a wrong answer to the test call",
        ),
        (
            Answer::Error(libc::EPERM),
            "The test call of --seccomp-listener was refused: Operation not permitted",
        ),
    ];
    for options in SHAPES {
        for (answer, message) in cases {
            let (theirs, ours) = stream();
            let supervisor = Supervisor::start(ours, move |_| answer);
            refused(run(b, options, theirs), message);
            assert_eq!(after_probe(&supervisor.end()), [], "{options}");
        }
        // Who closes the listener before the test call is made, or never receives it.
        let (theirs, ours) = stream();
        let thread = std::thread::spawn(move || drop(ours));
        let outcome = run(b, options, theirs).words("echo ran").exits(1);
        let errors = outcome.errors();
        let gone = errors.contains("Can't send the listener of --seccomp-listener: Broken pipe")
            || errors.contains("Nobody listens to the filter of --seccomp-listener");
        assert!(gone && outcome.out.is_empty(), "{options}: {outcome}");
        thread.join().expect("a thread");
    }
}

/// The command has not run, and the message says why.
#[track_caller]
fn refused(run: Run, message: &str) -> Outcome {
    let outcome = run.words("echo ran").exits(1);
    // A document may come before it.
    let line = format!("bwrap: {message}");
    assert!(outcome.errors().lines().any(|l| l == line), "{message}: {outcome}");
    assert!(outcome.out.is_empty(), "{outcome}");
    outcome
}

/// A program that does not trap the test call, is none, or comes from nowhere.
fn wrong_programs(b: &Bwrap) {
    for options in SHAPES {
        let words = format!("--ro-bind / / {options} --seccomp-listener 9 8");
        let run = |program: Vec<u8>| {
            let (theirs, ours) = stream();
            let run = shaped(b.run(&words), options);
            (run.fd(8, theirs).fd(9, data(program)), Supervisor::good(ours, Answer::Value(0)))
        };
        let (deaf, supervisor) = run(trapping(&mkdir(), false));
        refused(
            deaf,
            "The filter of --seccomp-listener does not trap the test call: Invalid argument",
        );
        assert_eq!(supervisor.end().calls, []);
        for (program, message) in [
            (vec![0; 9], "Invalid seccomp data, must be multiple of 8"),
            (vec![], "Invalid seccomp data, must be multiple of 8"),
            (vec![0xff; 8], "Can't load the filter of --seccomp-listener: Invalid argument"),
        ] {
            let (bad, supervisor) = run(program);
            refused(bad, message);
            assert_eq!(supervisor.end().listeners, 0);
        }
    }
    let (theirs, _ours) = stream();
    b.run("--ro-bind / / --seccomp-listener 9 8 echo ran")
        .fd(8, theirs)
        .fails("Can't read seccomp data: Bad file descriptor");
}

/// A descriptor over which no listener can be sent.
fn wrong_sockets(b: &Bwrap) {
    let none = "the second descriptor of --seccomp-listener is no connected UNIX socket of type \
                SOCK_STREAM or SOCK_SEQPACKET";
    let temp = b.temp();
    let path = temp.path().join("socket");
    let listening = UnixListener::bind(path).expect("a socket");
    let inet = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let not = format!("{none}: Socket operation on non-socket");
    let alone = format!("{none}: Transport endpoint is not connected");
    let cases: [(OwnedFd, &str); 6] = [
        (data("x"), &not),
        (pipe().1.into(), &not),
        (UnixDatagram::pair().expect("a socket pair").0.into(), none),
        (inet.into(), none),
        (listening.into(), &alone),
        (session::unheard(), &alone),
    ];
    for (fd, message) in cases {
        for options in ["", "--unshare-pid"] {
            refused(run(b, options, fd.try_clone().expect("a copy")), message);
        }
    }
    b.run("--ro-bind / / --seccomp-listener 9 8 echo ran")
        .fd(9, data(trapping(&[], true)))
        .fails("Can't use fd 8: Bad file descriptor");
    for (option, words) in [
        ("--sync-fd", "--unshare-pid --sync-fd 8"),
        ("--info-fd", "--info-fd 8"),
        ("--add-seccomp-fd", "--add-seccomp-fd 8"),
    ] {
        let (theirs, _ours) = stream();
        let message =
            "--seccomp-listener is not compatible with another option for the same descriptor";
        let outcome = refused(run(b, words, theirs), message);
        assert!(!outcome.errors().contains(option), "{outcome}");
    }
}

/// There is one listener in a chain of filters: a sandbox in a sandbox cannot have one, too.
fn one_in_a_chain(b: &Bwrap) {
    for options in ["", "--unshare-pid"] {
        let (outer, ours) = stream();
        let (inner, _inner) = stream();
        let supervisor = Supervisor::good(ours, Answer::Value(0));
        let program = data(trapping(&[], true));
        let copy = data(trapping(&[], true));
        let words = "--ro-bind / / --seccomp-listener 6 5";
        let nested = run(b, options, outer).fd(5, inner).fd(6, copy).fd(7, program);
        let nested = nested.arg(&b.path).words(words);
        refused(
            nested,
            "Can't load the filter of --seccomp-listener: one before it has a listener already: \
             Device or resource busy",
        );
        after_probe(&supervisor.end());
    }
}

/// Where the one who listens has gone, calls that the filter traps fail; the rest goes on.
fn gone_meanwhile(b: &Bwrap) {
    for options in SHAPES {
        let (theirs, ours) = stream();
        let supervisor = Supervisor::start(ours, |call| match call.is_probe() {
            true => Answer::Value(1),
            false => Answer::Close,
        });
        let script = "mkdir /a; mkdir /b; echo on";
        let outcome = run(b, options, theirs).sh(script).exits(0);
        assert_eq!(outcome.text(), "on", "{options}: {outcome}");
        let failed = outcome.errors().matches("Function not implemented").count();
        assert_eq!(failed, 2, "{options}: {outcome}");
        after_probe(&supervisor.end());
    }
}

/// A call that is not answered does not keep the sandbox alive when bwrap is killed.
fn killed_while_waiting(b: &Bwrap) {
    for options in ["--die-with-parent", "--die-with-parent --unshare-pid"] {
        for at_probe in [true, false] {
            let (theirs, ours) = stream();
            let (told, tell) = channel();
            let (hold, held) = channel::<()>();
            let supervisor = Supervisor::start(ours, move |call| {
                if call.is_probe() != at_probe {
                    return Answer::Value(1);
                }
                let _ = told.send(());
                let _ = held.recv();
                Answer::Close
            });
            let running = run(b, options, theirs).words("mkdir /trapped").start();
            tell.recv().expect("a call");
            running.kill(libc::SIGKILL);
            assert_eq!(running.wait().ended, swathe_testkit::Ended::Signal(libc::SIGKILL));
            drop(hold);
            supervisor.end();
        }
    }
}

/// With --serve pid 1 has the filter, once: the first command and those that are entered are asked
/// for over the same listener. The first one has what it was given, and nobody has the listener.
fn served(b: &Bwrap) {
    let commands = ["", "sh -c"];
    for command in commands {
        let (theirs, ours) = stream();
        let supervisor = Supervisor::good(ours, Answer::Value(0));
        let (hold, stay) = pipe();
        let script = "mkdir /first && read line <&7 && mkdir /last && ls /proc/self/fd";
        let words = "--ro-bind / / --dev /dev --unshare-pid --proc /proc --add-seccomp-fd 6 \
                     --seccomp-listener 5 8";
        let session = Session::start_with(b, words, command, |run| {
            let run = if command.is_empty() { run } else { run.arg(script) };
            run.fd(5, data(trapping(&mkdir(), true)))
                .fd(6, data(trapping(&[], false)))
                .fd(7, hold)
                .fd(8, theirs)
        });
        for _ in 0..2 {
            let (code, text) = session.run(&["sh", "-c", "mkdir /x && ls /proc/self/fd"]);
            assert_eq!((code, text.as_str()), (0, "0\n1\n2\n3\n"));
        }
        let mut least = 2;
        if command.is_empty() {
            session.stop(0);
        } else {
            std::io::Write::write_all(&mut &stay, b"x\n").expect("room in a pipe");
            let outcome = session.wait();
            assert_eq!((outcome.ended.shell(), outcome.text().as_str()), (0, "0\n1\n2\n3\n7"));
            least = 4;
        }
        let calls = after_probe(&supervisor.end());
        assert_eq!(calls.len(), least, "{calls:?}");
    }
}

/// With --serve, too, nothing runs unless somebody listens.
fn served_by_nobody(b: &Bwrap) {
    for command in ["", "echo ran"] {
        let (theirs, ours) = stream();
        let supervisor = Supervisor::start(ours, |_| Answer::Close);
        let words = "--ro-bind / / --unshare-pid --seccomp-listener 5 8";
        let session = Session::start_with(b, words, command, |run| {
            run.fd(5, data(trapping(&[], true))).fd(8, theirs)
        });
        let outcome = session.wait();
        assert_eq!(outcome.ended.shell(), 1, "{outcome}");
        assert!(
            outcome.message().contains("Nobody listens") && outcome.out.is_empty(),
            "{outcome}"
        );
        assert_eq!(supervisor.end().calls.len(), 1);
    }
}

swathe_testkit::ours! {
    asked_and_answered,
    execve_can_be_trapped,
    nothing_leaks,
    wrong_answers,
    wrong_programs,
    wrong_sockets,
    one_in_a_chain,
    gone_meanwhile,
    killed_while_waiting,
    served,
    served_by_nobody,
}

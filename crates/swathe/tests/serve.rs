//! The client of a served sandbox, as root and as an ordinary user.

mod common;

use common::as_each_user;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use swathe::serve::{Error, Event, Request, Session, listen};
use swathe_plan::serve::{Invalid, Step};
use swathe_testkit::{Bwrap, pipe};

/// A sandbox that ends with the test.
struct Sandbox {
    bwrap: Child,
    path: PathBuf,
}

impl Sandbox {
    fn start(b: &Bwrap, path: &Path, words: &str) -> Self {
        let listener = listen(path).expect("listen");
        let number = listener.as_raw_fd();
        let mut command = Command::new(&b.path);
        command.args("--ro-bind / / --dev /dev --unshare-pid --serve".split(' '));
        command.arg(number.to_string()).args(words.split_whitespace());
        // SAFETY: one system call, on a descriptor that is open.
        unsafe {
            command.pre_exec(move || match libc::fcntl(number, libc::F_SETFD, 0) {
                -1 => Err(std::io::Error::last_os_error()),
                _ => Ok(()),
            });
        }
        Self { bwrap: command.spawn().expect("start bwrap"), path: path.to_owned() }
    }

    fn session(&self) -> Session {
        Session::connect(&self.path).expect("connect")
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = self.bwrap.kill();
        let _ = self.bwrap.wait();
    }
}

/// Commands run with their streams, environment, directory and further descriptors; their status
/// and pid are told; the end of the sandbox is waited for.
fn runs(b: &Bwrap) {
    let temp = b.temp();
    let path = temp.path().join("socket");
    let mut sandbox = Sandbox::start(b, &path, "");
    let mode = path.metadata().expect("a socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let session = sandbox.session();
    let (out, write) = pipe();
    let (given, mut fill) = pipe();
    fill.write_all(b"given").expect("room in a pipe");
    drop(fill);
    let request = Request {
        stdin: given.as_fd(),
        stdout: write.as_fd(),
        keep: vec![(7, write.as_fd())],
        env: vec![("A".into(), Some("1".into())), ("HOME".into(), None)],
        cwd: Some("/usr".into()),
        ..Request::new(["sh", "-c", "cat; echo \" $A ${HOME-none} $PWD\" >&7; exit 4"])
    };
    let running = session.run(&request).expect("run");
    let pid = running.pid().expect("a pid");
    assert!(pid > 1);
    assert_eq!(running.wait().expect("an end").code(), 4);
    drop(write);
    assert_eq!(std::io::read_to_string(out).expect("text"), "given 1 none /usr\n");
    for _ in 0..20 {
        let status = session.run(&Request::new(["true"])).and_then(swathe::serve::Running::wait);
        assert!(status.expect("an end").success());
    }
    session.stop().expect("stop");
    assert_eq!(sandbox.bwrap.wait().expect("its end").code(), Some(0));
    // Another test's process may hold the socket for a moment, from its fork to its exec.
    let ended = session.run(&Request::new(["true"]));
    assert!(matches!(ended, Err(Error::Connect { .. } | Error::Closed)));
}

/// Signals arrive, stops are told, a command that is dropped is killed.
fn signals(b: &Bwrap) {
    let temp = b.temp();
    let sandbox = Sandbox::start(b, &temp.path().join("socket"), "");
    let session = sandbox.session();
    let mut running = session.run(&Request::new(["sleep", "1000"])).expect("run");
    running.signal(19, false).expect("a signal");
    assert_eq!(running.event().expect("a stop"), Event::Stopped(19));
    running.signal(15, true).expect("a signal");
    running.signal(18, true).expect("a signal");
    assert_eq!(running.wait().expect("an end").code(), 143);
    let (mut out, write) = pipe();
    let request = Request { stdout: write.as_fd(), ..Request::new(["sleep", "1000"]) };
    let running = session.run(&request).expect("run");
    assert!(matches!(running.signal(0, false), Err(Error::System { .. })));
    drop(write);
    drop(running);
    // The end of file: its process has gone.
    assert_eq!(out.read(&mut [0]).expect("an end"), 0);
}

/// What cannot be run or reached is an error that says why.
fn errors(b: &Bwrap) {
    let temp = b.temp();
    // Longer than an address.
    let long = temp.path().join("d".repeat(120));
    std::fs::create_dir(&long).expect("a directory");
    let path = long.join("socket");
    let sandbox = Sandbox::start(b, &path, "");
    let session = sandbox.session();
    let failed = |request: Request<'_>| {
        let ended = session.run(&request).and_then(swathe::serve::Running::wait);
        ended.expect_err("no end")
    };
    let error = failed(Request::new(["/usr/no-such-command"]));
    assert!(matches!(error, Error::Failed { step: Step::Command, .. }), "{error}");
    assert_eq!(
        error.to_string(),
        "cannot execute the command: No such file or directory (os error 2)"
    );
    let error = failed(Request { cwd: Some("/no".into()), ..Request::new(["true"]) });
    assert!(matches!(error, Error::Failed { step: Step::Directory, .. }), "{error}");
    let null = File::open("/dev/null").expect("open");
    let request = Request { terminal: true, stdin: null.as_fd(), ..Request::new(["true"]) };
    assert!(matches!(failed(request), Error::Failed { step: Step::Terminal, .. }));
    assert!(matches!(failed(Request::new([""; 0])), Error::Invalid(Invalid::Nothing)));
    assert!(matches!(failed(Request::new(["a\0b"])), Error::Invalid(Invalid::Word)));
    let large = "x".repeat(3 << 20);
    assert!(matches!(failed(Request::new([&large])), Error::Invalid(Invalid::TooMuch)));
    let keep = vec![(2, null.as_fd())];
    assert!(matches!(failed(Request { keep, ..Request::new(["true"]) }), Error::Numbers));
    let env = vec![("A=B".into(), None)];
    assert!(matches!(failed(Request { env, ..Request::new(["true"]) }), Error::Invalid(_)));
    assert!(matches!(listen(&path), Err(Error::Connect { .. })));
    // The sandbox dies while a command runs.
    let running = session.run(&Request::new(["sleep", "1000"])).expect("run");
    drop(sandbox);
    assert!(matches!(running.wait(), Err(Error::Closed)));
    // Whoever connects while it dies is told so.
    while let Ok(session) = Session::connect(&path) {
        let ended = session.run(&Request::new(["true"]));
        assert!(matches!(ended, Err(Error::Closed | Error::Connect { .. })));
    }
    assert!(matches!(Session::connect("/no/socket"), Err(Error::Connect { .. })));
}

#[test]
fn commands_run() {
    as_each_user(runs);
}

#[test]
fn commands_get_signals() {
    as_each_user(signals);
}

#[test]
fn errors_say_why() {
    as_each_user(errors);
}

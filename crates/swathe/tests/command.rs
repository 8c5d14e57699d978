//! The library on its own: what a program that launches sandboxes sees.

mod common;

use common::as_each_user;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};
use swathe::{Command, Engine, Error, Event, ExitStatus};
use swathe_testkit::Bwrap;

/// A sandbox with the system's programs.
fn system(b: &Bwrap, program: &str) -> Command {
    let engine = Engine::at(&b.path).expect("our bwrap");
    let command = Command::new(program).engine(engine).unshare_all().ro_bind("/usr", "/usr");
    ["bin", "lib", "lib64", "sbin"].iter().fold(command, |command, name| {
        let path = PathBuf::from("/").join(name);
        match std::fs::read_link(&path) {
            Ok(target) => command.symlink(target, path),
            Err(_) if path.exists() => command.ro_bind(&path, &path),
            Err(_) => command,
        }
    })
}

/// The documented example: output, status, and the end as an event.
#[test]
fn output_and_status() {
    as_each_user(output_and_status_as);
}

fn output_and_status_as(b: &Bwrap) {
    let mut child =
        system(b, "/usr/bin/id").arg("-u").stdout(Stdio::piped()).spawn().expect("spawn");
    let mut text = String::new();
    child.stdout.take().expect("piped").read_to_string(&mut text).expect("read");
    assert_eq!(child.wait().expect("wait"), ExitStatus::Exited(0));
    assert_eq!(text.trim().parse::<u32>().ok(), Some(b.uid()));
    let events: Vec<Event> = child.events().collect();
    assert_eq!(events, [Event::Ended(ExitStatus::Exited(0))]);
}

/// Codes, and signals as 128 and their number.
#[test]
fn how_it_ended() {
    as_each_user(how_it_ended_as);
}

fn how_it_ended_as(b: &Bwrap) {
    for (script, status) in [("exit 7", 7), ("kill -TERM $$", 143)] {
        let mut child = system(b, "sh").args(["-c", script]).spawn().expect("spawn");
        assert_eq!(child.wait().expect("wait"), ExitStatus::Exited(status), "{script}");
    }
}

/// A step that fails: the program did not run, and the event says which step and why.
#[test]
fn a_failed_step_is_an_event() {
    as_each_user(a_failed_step_is_an_event_as);
}

fn a_failed_step_is_an_event_as(b: &Bwrap) {
    let mut child = system(b, "true")
        .ro_bind("/nonexistent-source", "/x")
        .stderr(Stdio::null())
        .spawn()
        .expect("spawn");
    assert_eq!(child.wait().expect("wait"), ExitStatus::NotStarted);
    let event = child.events().next();
    let Some(Event::Failed(error)) = event else { panic!("{event:?}") };
    assert_eq!(error.option.as_deref(), Some("--ro-bind"));
    assert!(error.message.contains("/nonexistent-source"), "{error:?}");
    assert_eq!(error.errno, Some(2));
}

/// Nothing of the caller's environment or descriptors reaches the program but what is named.
#[test]
fn nothing_is_inherited() {
    as_each_user(nothing_is_inherited_as);
}

fn nothing_is_inherited_as(b: &Bwrap) {
    let (_read, write) = std::io::pipe().expect("pipe");
    // Without close-on-exec, as a careless caller leaves it.
    let leaked = rustix::io::dup(&write).expect("dup");
    rustix::io::fcntl_setfd(&leaked, rustix::io::FdFlags::empty()).expect("fcntl");
    let mut child = system(b, "sh")
        .args(["-c", "env; ls -1 /proc/self/fd | wc -l"])
        .env("GIVEN", "yes")
        .env("PATH", "/usr/bin:/bin")
        .proc("/proc")
        .stdout(Stdio::piped())
        .spawn()
        .expect("spawn");
    let mut text = String::new();
    child.stdout.take().expect("piped").read_to_string(&mut text).expect("read");
    assert!(child.wait().expect("wait").success());
    let mut names: Vec<&str> = text.lines().filter_map(|l| Some(l.split_once('=')?.0)).collect();
    names.sort_unstable();
    assert_eq!(names, ["GIVEN", "PATH", "PWD"], "{text}");
    // Its three streams, and the directory that ls reads.
    assert_eq!(text.lines().last().map(str::trim), Some("4"), "{text}");
}

/// Made files, a descriptor of one's own, standard input, the working directory.
#[test]
fn data_and_streams() {
    as_each_user(data_and_streams_as);
}

fn data_and_streams_as(b: &Bwrap) {
    let mut child = system(b, "sh")
        .args(["-c", "pwd; cat /made; cat"])
        .tmpfs("/work", Some(1 << 20))
        .data("/made", b"contents\n")
        .expect("data")
        .env("PATH", "/usr/bin:/bin")
        .current_dir("/work")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("spawn");
    child.stdin.take().expect("piped").write_all(b"input\n").expect("write");
    let mut text = String::new();
    child.stdout.take().expect("piped").read_to_string(&mut text).expect("read");
    assert_eq!(text, "/work\ncontents\ninput\n");
    assert!(child.wait().expect("wait").success());
}

/// Killing ends every process of the sandbox; the pidfd tells.
#[test]
fn kill_ends_everything() {
    as_each_user(kill_ends_everything_as);
}

fn kill_ends_everything_as(b: &Bwrap) {
    let mut child = system(b, "sh")
        .args(["-c", "sleep 1000 & echo started; wait"])
        .dev("/dev")
        .env("PATH", "/usr/bin:/bin")
        .stdout(Stdio::piped())
        .spawn()
        .expect("spawn");
    let mut out = child.stdout.take().expect("piped");
    let mut text = [0; 8];
    out.read_exact(&mut text).expect("read");
    let pidfd: OwnedFd = child.pidfd().expect("pidfd").try_clone_to_owned().expect("dup");
    child.kill().expect("kill");
    let status = child.wait().expect("wait");
    assert_eq!(status, ExitStatus::Killed(9));
    // The background process held the pipe's other end: its end of file is that process's end.
    let start = Instant::now();
    out.read_to_end(&mut Vec::new()).expect("read");
    assert!(start.elapsed() < Duration::from_secs(20));
    let mut polled = [rustix::event::PollFd::new(&pidfd, rustix::event::PollFlags::IN)];
    let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    assert_eq!(rustix::event::poll(&mut polled, Some(&now)), Ok(1));
}

/// A program that is held back does not run, and its sandbox's mount namespace is the one that it
/// has when it is let go; served or not, and also when what holds it is dropped.
#[test]
fn held_back() {
    as_each_user(held_back_as);
}

fn held_back_as(b: &Bwrap) {
    let temp = b.temp();
    for served in [false, true] {
        let command = system(b, "/usr/bin/readlink").arg("/proc/self/ns/mnt").proc("/proc");
        let command = command.hold_start().stdout(Stdio::piped());
        let command = if served {
            let path = temp.path().join("socket");
            command.serve(swathe::serve::listen(&path).expect("listen"))
        } else {
            command
        };
        let mut child = command.spawn().expect("spawn");
        let namespace = child.mount_namespace().expect("open").expect("it runs");
        assert!(!child.is_set_up(Duration::from_millis(50)).expect("wait"));
        let mut out = child.stdout.take().expect("piped");
        let mut polled = [rustix::event::PollFd::new(&out, rustix::event::PollFlags::IN)];
        let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
        assert_eq!(rustix::event::poll(&mut polled, Some(&now)), Ok(0));
        child.release().expect("release");
        assert!(child.is_set_up(Duration::from_secs(20)).expect("wait"));
        assert!(child.mount_namespace().expect("too late").is_none());
        let mut text = String::new();
        out.read_to_string(&mut text).expect("read");
        let file = std::fs::File::from(namespace);
        let inode = std::os::unix::fs::MetadataExt::ino(&file.metadata().expect("metadata"));
        assert_eq!(text.trim(), format!("mnt:[{inode}]"));
        assert_eq!(child.wait().expect("wait"), ExitStatus::Exited(0));
        drop(std::fs::remove_file(temp.path().join("socket")));
    }
    let mut child = system(b, "true").hold_start().spawn().expect("spawn");
    assert_eq!(child.wait().expect("wait"), ExitStatus::Exited(0));
}

/// A program that is held back and killed does not run, not even for a moment.
#[test]
fn held_back_and_killed() {
    as_each_user(held_back_and_killed_as);
}

fn held_back_and_killed_as(b: &Bwrap) {
    for _ in 0..50 {
        let command = system(b, "/bin/echo").arg("ran").hold_start().stdout(Stdio::piped());
        let mut child = command.spawn().expect("spawn");
        child.mount_namespace().expect("open").expect("it runs");
        // By then it usually waits where it is held back, which is when it could be let go.
        std::thread::sleep(Duration::from_millis(20));
        child.kill().expect("kill");
        child.release().expect("too late");
        assert_eq!(child.wait().expect("wait"), ExitStatus::Killed(9));
        let mut text = String::new();
        let mut out = child.stdout.take().expect("piped");
        drop(child);
        out.read_to_string(&mut text).expect("read");
        assert_eq!(text, "");
    }
}

/// Signals reach a program that was held back, served or not, however early they come.
#[test]
fn held_back_and_signalled() {
    as_each_user(held_back_and_signalled_as);
}

fn held_back_and_signalled_as(b: &Bwrap) {
    let temp = b.temp();
    for round in 0..20 {
        let script = "trap 'exit 40' TERM; echo up; while :; do sleep 0.01; done";
        let command = system(b, "sh").args(["-c", script]).env("PATH", "/usr/bin:/bin");
        let mut plan = command.plan().clone();
        plan.lifecycle.forward_signals = true;
        let command = Command::from_plan(plan).engine(Engine::at(&b.path).expect("our bwrap"));
        let command = command.hold_start().stdout(Stdio::piped());
        let command = if round % 2 == 0 {
            let path = temp.path().join(format!("socket{round}"));
            command.serve(swathe::serve::listen(&path).expect("listen"))
        } else {
            command
        };
        let mut child = command.spawn().expect("spawn");
        child.mount_namespace().expect("open").expect("it runs");
        child.release().expect("release");
        let mut out = child.stdout.take().expect("piped");
        out.read_exact(&mut [0; 3]).expect("it is up");
        child.signal(rustix::process::Signal::TERM).expect("signal");
        let end = Instant::now() + Duration::from_secs(20);
        let pidfd = child.pidfd().expect("a pidfd");
        let mut polled = [rustix::event::PollFd::new(&pidfd, rustix::event::PollFlags::IN)];
        let time = rustix::event::Timespec { tv_sec: 20, tv_nsec: 0 };
        let ended = rustix::event::poll(&mut polled, Some(&time));
        assert!(ended == Ok(1) && Instant::now() < end, "round {round}: it got no signal");
        assert_eq!(child.wait().expect("wait"), ExitStatus::Exited(40), "round {round}");
    }
}

/// Where the set-up fails there is nothing to open, and the end is told as ever.
#[test]
fn held_back_and_failed() {
    as_each_user(held_back_and_failed_as);
}

fn held_back_and_failed_as(b: &Bwrap) {
    let command = system(b, "true").ro_bind("/nonexistent/source", "/x").hold_start();
    let mut child = command.spawn().expect("spawn");
    // Whether it is there still depends on who is faster.
    child.mount_namespace().expect("no error");
    child.release().expect("release");
    assert!(!child.is_set_up(Duration::from_secs(20)).expect("wait"));
    assert_eq!(child.wait().expect("wait"), ExitStatus::NotStarted);
    assert!(matches!(child.events().next(), Some(Event::Failed(_))));
}

/// Words with NUL, an engine that is none: errors before anything starts.
#[test]
fn bad_input() {
    as_each_user(bad_input_as);
}

fn bad_input_as(b: &Bwrap) {
    let error = system(b, "true").arg("a\0b").spawn().expect_err("NUL");
    assert!(matches!(error, Error::Nul(_)), "{error}");
    let error = Engine::at("/usr/bin/true").expect_err("not ours");
    assert!(matches!(error, Error::WrongEngine(..)), "{error}");
    let error = Engine::at("/nonexistent").expect_err("nothing there");
    assert!(matches!(error, Error::Io(..)), "{error}");
}

//! Rights on files, and a filter that asks this process.

mod common;
#[path = "../../bwrap/tests/supervisor/mod.rs"]
mod supervisor;

use common::as_each_user;
use std::process::Stdio;
use supervisor::{Answer, Supervisor, mkdir, stream, trapping};
use swathe::{Command, Engine, Event, ExitStatus, FileRights};
use swathe_testkit::{Bwrap, notice};

fn shell(b: &Bwrap, script: &str) -> Command {
    let engine = Engine::at(&b.path).expect("our bwrap");
    let command = Command::new("/bin/sh").engine(engine).unshare_all().ro_bind("/", "/");
    command.env("PATH", "/usr/bin:/bin").args(["-c", script]).stderr(Stdio::null())
}

/// Rights are taken away, and given at one place; a place that is not there ends it.
#[test]
fn rights_on_files() {
    as_each_user(|b| {
        let temp = b.temp();
        let all = FileRights::MAKE_DIR | FileRights::REMOVE_DIR;
        let start = |place: &str| {
            let made = shell(b, "mkdir x/in && rmdir x/in && ! mkdir y")
                .bind(temp.path(), temp.path())
                .current_dir(temp.path())
                .landlock_handle(FileRights::MAKE_DIR)
                .landlock_handle(FileRights::REMOVE_DIR)
                .landlock_allow(all, temp.path().join(place));
            let mut child = made.spawn().expect("spawn");
            let status = child.wait().expect("wait");
            let failed = child.events().find_map(|event| match event {
                Event::Failed(error) => Some(error.message),
                _ => None,
            });
            (status, failed.unwrap_or_default())
        };
        let dir = temp.path().join("x");
        std::fs::create_dir(&dir).expect("a directory");
        std::os::unix::fs::chown(&dir, Some(b.uid()), Some(b.uid())).expect("give it away");
        let (status, message) = start("x");
        if message.contains("needs Landlock ABI") {
            notice("this kernel has no Landlock: rights on files are not tried");
            return;
        }
        assert_eq!((status, message.as_str()), (ExitStatus::Exited(0), ""));
        let (status, message) = start("z");
        assert_eq!(status, ExitStatus::NotStarted);
        assert!(message.contains("--landlock-allow"), "{message}");
    });
}

/// The program asks whoever has the other end of the socket.
#[test]
fn a_listener() {
    as_each_user(|b| {
        for (good, expected) in [(true, ExitStatus::Exited(0)), (false, ExitStatus::NotStarted)] {
            let (theirs, ours) = stream();
            let supervisor = match good {
                true => Supervisor::good(ours, Answer::Value(0)),
                false => Supervisor::start(ours, |_| Answer::Close),
            };
            let made = shell(b, "mkdir /trapped")
                .seccomp_listener(&trapping(&mkdir(), true), theirs.into())
                .expect("a file in memory");
            let mut child = made.spawn().expect("spawn");
            assert_eq!(child.wait().expect("wait"), expected);
            assert_eq!(supervisor.end().calls.len(), if good { 2 } else { 1 });
        }
    });
}

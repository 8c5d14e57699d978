//! The least that the kernel needs to watch a command: its calls are trapped as for a record, and
//! another process, in a session of its own as a supervisor's is, lets each go on. Nothing is read
//! and nothing written down.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use swathe_supervise::trap;
use swathe_sys::rustix::event::{PollFd, PollFlags, poll};
use swathe_sys::rustix::fd::{AsFd as _, OwnedFd};
use swathe_sys::rustix::process::setsid;
use swathe_sys::rustix::stdio::stdin;
use swathe_sys::rustix::thread::set_no_new_privs;
use swathe_sys::{Errno, notify, seccomp, socket};

/// The name of the way.
pub const FLOOR: &str = "floor";
/// Before the file that is opened to append, which may be empty, and the command.
pub const WORD: &str = "--floor";
/// The same in the process that becomes the command, with a socket as its input.
const INSIDE: &str = "--floor-inside";

/// This program's part, if its words ask for it.
pub fn asked(words: &[String]) -> Option<io::Result<()>> {
    match words {
        [word, file, command @ ..] if word == WORD => Some(outside(file, command)),
        [word, file, command @ ..] if word == INSIDE => Some(inside(file, command)),
        _ => None,
    }
}

fn outside(file: &str, command: &[String]) -> io::Result<()> {
    let (ours, theirs) = UnixStream::pair()?;
    let mut child = Command::new(std::env::current_exe()?)
        .args([INSIDE, file])
        .args(command)
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .spawn()?;
    let listener = socket::receive_descriptor(&ours)?;
    let listener = listener.ok_or_else(|| io::Error::other("no listener"))?;
    supervise(&listener, file)?;
    match child.wait()? {
        status if status.success() => Ok(()),
        status => Err(io::Error::other(format!("{command:?}: {status}"))),
    }
}

/// Until nothing with the filter runs.
fn supervise(listener: &OwnedFd, file: &str) -> io::Result<()> {
    notify::wake_in_turn(listener, true)?;
    let mut options = OpenOptions::new();
    options.append(true);
    loop {
        let mut fds = [PollFd::new(listener, PollFlags::IN)];
        match poll(&mut fds, None) {
            Err(Errno::INTR) => continue,
            other => other?,
        };
        if !fds[0].revents().contains(PollFlags::IN) {
            return Ok(());
        }
        let call = match notify::receive(listener) {
            Err(Errno::NOENT | Errno::INTR) => continue,
            other => other?,
        };
        let performed = !file.is_empty() && call.args[2] & libc::O_APPEND as u64 != 0;
        let done = match performed.then(|| options.open(file)) {
            None => notify::proceed(listener, call.id),
            Some(Ok(file)) => notify::inject_last(listener, call.id, file.into(), true),
            Some(Err(_)) => notify::refuse(listener, call.id, Errno::IO),
        };
        // One whose process was ended is over.
        match done {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

fn inside(file: &str, command: &[String]) -> io::Result<()> {
    setsid()?;
    set_no_new_privs(true)?;
    let observe = file.is_empty();
    let wanted = trap::Wanted { observe, writes: !observe, ..trap::Wanted::default() };
    let program = trap::program(wanted).map_err(|e| io::Error::other(e.to_string()))?;
    let program = seccomp::parse(&program).ok_or_else(|| io::Error::other("no program"))?;
    let listener = seccomp::load_listener(&program)?;
    socket::send_descriptor(stdin(), listener.as_fd())?;
    let (first, rest) = command.split_first().ok_or_else(|| io::Error::other("no command"))?;
    Err(Command::new(first).args(rest).stdin(Stdio::null()).exec())
}

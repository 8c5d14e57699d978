//! Pid 1 of a sandbox: starts the command, reaps everything, tells the launcher how the command
//! ended, and ends when nothing is left.

use crate::child::{self, Directory};
use crate::failure::{At, Failure, Message, Result, Stage};
use crate::prepare::Prepared;
use crate::privileges;
use crate::wait::{Channel, close_all, status_code};
use std::cell::Cell;
use std::ffi::CString;
use swathe_sys::rustix::fd::{AsRawFd, OwnedFd};
use swathe_sys::rustix::fs::{self, CWD, Mode, OFlags};
use swathe_sys::rustix::process::{DumpableBehavior, WaitOptions, set_dumpable_behavior, wait};
use swathe_sys::{Errno, process};

/// Runs pid 1. Returns only a failure before the command was started; otherwise the process ends.
pub fn main(prepared: &Prepared<'_>, channel: &Channel, directory: Directory) -> Failure {
    match run(prepared, channel, directory) {
        Ok(code) => process::exit(code),
        Err(failure) => failure,
    }
}

fn run(prepared: &Prepared<'_>, channel: &Channel, directory: Directory) -> Result<i32> {
    let life = &prepared.plan.lifecycle;
    let locks = lock_files(prepared)?;
    // The command shares this user and could look into this process through /proc/1. What it could
    // find: the caller's words and environment, and the launcher's file. Someone who asked for our
    // pid in a document wants to open /proc/PID/ns and root, which needs a dumpable process.
    let watched = life.info_fd.is_some() || life.json_status_fd.is_some();
    if !watched {
        set_dumpable_behavior(DumpableBehavior::NotDumpable).at(Stage::Dumpable)?;
    }
    swathe_sys::entry::wipe_args();
    if life.pty {
        child::own_terminal()?;
    }
    // Without capabilities for the command there are none here either, from before it starts.
    let caps_done = prepared.caps == Some(0);
    if caps_done {
        privileges::no_caps(prepared)?;
    }
    let pid = start_command(prepared, directory, caps_done)?;
    let keep = locks.iter().map(AsRawFd::as_raw_fd).chain(life.sync_fds.iter().copied());
    let keep: Vec<i32> = keep.chain([channel.as_raw_fd()]).collect();
    close_all(&keep, false).at(Stage::CloseFds)?;
    if !caps_done {
        privileges::no_caps(prepared)?;
    }
    if !life.die_with_parent {
        child::die_with_parent(false)?;
    }
    if !prepared.own_pid_ns {
        swathe_sys::signal::ignore_sigpipe().at(Stage::Wait)?;
    }
    privileges::filters(prepared)?;
    reap(channel, pid, life.end_with_command)
}

/// Starts the command in a process that shares this memory until it is the command.
fn start_command(prepared: &Prepared<'_>, directory: Directory, caps_done: bool) -> Result<i32> {
    let failed = Cell::new(None);
    let pid = process::vfork(&mut || {
        let life = &prepared.plan.lifecycle;
        // In a pid namespace the end of pid 1 ends all.
        let armed = if life.die_with_parent && !prepared.own_pid_ns {
            child::die_with_parent(true)
        } else {
            Ok(())
        };
        let failure = match armed {
            Ok(()) => child::run_command(prepared, directory, caps_done),
            Err(failure) => failure,
        };
        failed.set(Some(failure));
        1
    })
    .at(Stage::Fork)?;
    match failed.get() {
        Some(failure) => Err(failure),
        None => Ok(pid),
    }
}

/// Waits for all processes. Only system calls that bubblewrap's pid 1 makes too: it runs under the
/// command's filters.
fn reap(channel: &Channel, command: i32, end_with_command: bool) -> Result<i32> {
    let mut code = 1;
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid.as_raw_nonzero().get() == command => {
                code = status_code(status);
                // The launcher may be gone: nobody wants to know then.
                channel.send(Message::Exited(code));
                if end_with_command {
                    return Ok(code);
                }
            }
            Ok(_) | Err(Errno::INTR) => {}
            Err(Errno::CHILD) => return Ok(code),
            Err(e) => return Err(e).at(Stage::Wait),
        }
    }
}

fn lock_files(prepared: &Prepared<'_>) -> Result<Vec<OwnedFd>> {
    let mut held = Vec::new();
    for (i, path) in prepared.plan.lifecycle.lock_files.iter().enumerate() {
        let path = CString::new(path.0.as_slice()).unwrap_or_default();
        let about = |f: Failure| f.about(i as u32);
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = fs::openat(CWD, &path, flags, Mode::empty()).at(Stage::LockOpen);
        let file = file.map_err(about)?;
        use swathe_sys::rustix::fd::AsFd;
        process::read_lock(file.as_fd()).at(Stage::Lock).map_err(about)?;
        held.push(file);
    }
    Ok(held)
}

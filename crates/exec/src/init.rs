//! Pid 1 of a sandbox: starts the command, reaps everything, tells the launcher how the command
//! ended, and ends when nothing is left.

use crate::child::{self, Inherited};
use crate::failure::{At, Failure, Message, Result, Stage};
use crate::prepare::Prepared;
use crate::privileges;
use crate::wait::{Channel, close_all, status_code};
use alloc::ffi::CString;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::Cell;
use swathe_sys::process::Fork;
use swathe_sys::rustix::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use swathe_sys::rustix::fs::{self, CWD, Mode, OFlags};
use swathe_sys::rustix::pipe::{PipeFlags, pipe_with};
use swathe_sys::rustix::process::{DumpableBehavior, WaitOptions, set_dumpable_behavior, wait};
use swathe_sys::{Errno, process, rustix};

/// Runs pid 1. Returns only a failure before the command was started; otherwise the process ends.
pub fn main(prepared: &Prepared<'_>, channel: &Channel) -> Failure {
    match run(prepared, channel) {
        Ok(code) => process::exit(code),
        Err(failure) => failure,
    }
}

fn run(prepared: &Prepared<'_>, channel: &Channel) -> Result<i32> {
    let life = &prepared.plan.lifecycle;
    let locks = lock_files(prepared)?;
    // The command shares this user and could look into this process through /proc/1. What it could
    // find: the caller's words and environment, and the launcher's file. Someone who asked for our
    // pid in a document wants to open /proc/PID/ns and root, which needs a dumpable process.
    let watched = prepared.is_watched();
    if !prepared.is_open() {
        set_dumpable_behavior(DumpableBehavior::NotDumpable).at(Stage::Dumpable)?;
    }
    swathe_sys::entry::wipe_args();
    if life.pty {
        child::own_terminal()?;
    }
    if let Some(number) = life.serve {
        return crate::serve::run(prepared, channel, number);
    }
    // With nothing left to take away from this process, the command can be started the fast way.
    // Where this process can be looked into, its descriptors have to be gone first, too.
    // A lock is lost when any descriptor of its file is closed: it is taken again then.
    // Nor shall this process wait for whoever answers for a listener.
    let simple = !watched
        && locks.is_empty()
        && prepared.caps == Some(0)
        && prepared.filters.is_empty()
        && prepared.listener.is_none();
    let pid = if simple {
        privileges::no_caps(prepared)?;
        arm(prepared)?;
        let pid = start(prepared, channel)?;
        close_others(prepared, channel, &[])?;
        pid
    } else {
        let (pid, gate) = start_behind_gate(prepared, channel, Inherited::Nothing)?;
        let ours: Vec<_> = locks.iter().chain([&gate]).map(AsRawFd::as_raw_fd).collect();
        close_others(prepared, channel, &ours)?;
        for (i, file) in locks.iter().enumerate() {
            process::read_lock(file.as_fd()).at(Stage::Lock).map_err(|f| f.about(i as u32))?;
        }
        privileges::no_caps(prepared)?;
        arm(prepared)?;
        privileges::filters(prepared)?;
        if watched && prepared.plan.namespaces.join_user.is_some() {
            // Nothing of the host is left in this process, and who asked for its pid may look.
            set_dumpable_behavior(DumpableBehavior::Dumpable).at(Stage::Dumpable)?;
        }
        open_gate(&gate)?;
        if watched {
            // From now on its end is the command's.
            channel.send(Message::Ready);
        }
        pid
    };
    reap(prepared, channel, pid)
}

/// The signals of this process for the time of the command.
fn arm(prepared: &Prepared<'_>) -> Result<()> {
    if !prepared.plan.lifecycle.die_with_parent {
        child::die_with_parent(false)?;
    }
    if !prepared.plan.namespaces.pid {
        swathe_sys::signal::ignore_sigpipe().at(Stage::Wait)?;
    }
    Ok(())
}

/// Closes every descriptor that was inherited for the command.
pub fn close_others(prepared: &Prepared<'_>, channel: &Channel, ours: &[RawFd]) -> Result<()> {
    let mut keep = vec![channel.as_raw_fd()];
    keep.extend(ours);
    keep.extend(&prepared.plan.lifecycle.sync_fds);
    keep.extend(prepared.janitor.as_ref().map(AsRawFd::as_raw_fd));
    close_all(&keep, false).at(Stage::CloseFds)
}

/// Steps of the command's process that come before what it shares with other shapes.
fn before_command(prepared: &Prepared<'_>, channel: &Channel) -> Result<()> {
    if prepared.plan.lifecycle.forward_signals || prepared.plan.lifecycle.pty {
        // The kernel adds the sender's pid: so the launcher knows whom to pass signals to.
        channel.send(Message::Ready);
    }
    let life = &prepared.plan.lifecycle;
    if life.pty || life.forward_signals && life.new_session {
        child::own_job().at(Stage::Terminal)?;
    }
    if !prepared.plan.namespaces.pid {
        swathe_sys::signal::restore_sigpipe(prepared.sigpipe_ignored).at(Stage::Fork)?;
    }
    if prepared.plan.lifecycle.die_with_parent {
        child::die_with_parent(true)?;
        // It only tells of a reaper that ends from now on.
        child::leave_if_alone(channel);
    }
    Ok(())
}

/// Starts the command in a process that shares this memory until it is the command.
fn start(prepared: &Prepared<'_>, channel: &Channel) -> Result<i32> {
    let failed = Cell::new(None);
    let pid = process::vfork(&mut || {
        let failure = match before_command(prepared, channel) {
            Ok(()) => child::run_command(prepared, Inherited::Capabilities),
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

/// Starts a process that becomes the command when the gate opens: not before this one has lost its
/// privileges and is under the command's filters. It ends if the gate closes instead.
pub fn start_behind_gate(
    prepared: &Prepared<'_>,
    channel: &Channel,
    inherited: Inherited,
) -> Result<(i32, OwnedFd)> {
    let (theirs, ours) = pipe_with(PipeFlags::CLOEXEC).at(Stage::Fork)?;
    match process::fork(0, false).at(Stage::Fork)? {
        Fork::Parent(pid) => Ok((pid, ours)),
        Fork::Child => {
            drop(ours);
            let mut byte = [0];
            loop {
                match rustix::io::read(&theirs, &mut byte) {
                    Ok(1) => break,
                    Err(Errno::INTR) => {}
                    // The gate will not open: whose fault that is, pid 1 says.
                    Ok(_) => process::exit(1),
                    Err(e) => {
                        if let Err(failure) = Err::<(), _>(e).at(Stage::Fork) {
                            channel.send(Message::Failed(failure));
                        }
                        process::exit(1)
                    }
                }
            }
            let failure = match before_command(prepared, channel) {
                Ok(()) => child::run_command(prepared, inherited),
                Err(failure) => failure,
            };
            channel.send(Message::Failed(failure));
            process::exit(1)
        }
    }
}

/// By write(2), which the command's filters, in force by now, allow most of all. A filter may also
/// answer it with any error, for ever.
pub fn open_gate(gate: &OwnedFd) -> Result<()> {
    const TRIES: usize = 100;
    for _ in 0..TRIES {
        match rustix::io::write(gate, &[1]) {
            Err(Errno::INTR) => {}
            other => return other.map(drop).at(Stage::Fork),
        }
    }
    Err(Errno::INTR).at(Stage::Fork)
}

/// Waits for all processes. Only system calls that bubblewrap's pid 1 makes too: it runs under the
/// command's filters.
fn reap(prepared: &Prepared<'_>, channel: &Channel, command: i32) -> Result<i32> {
    let life = &prepared.plan.lifecycle;
    let relayed = life.forward_signals || life.pty;
    let options = if relayed { WaitOptions::UNTRACED } else { WaitOptions::empty() };
    let mut code = 1;
    loop {
        match wait(options) {
            Ok(Some((pid, status))) if status.stopped() => {
                if pid.as_raw_nonzero().get() == command {
                    channel.send(Message::Stopped);
                }
            }
            Ok(Some((pid, status))) if pid.as_raw_nonzero().get() == command => {
                code = status_code(status);
                // The launcher may be gone: nobody wants to know then.
                channel.send(Message::Exited(code));
                if life.end_with_command {
                    return Ok(code);
                }
            }
            Ok(Some(_)) | Err(Errno::INTR) => {}
            Err(Errno::CHILD) => return Ok(code),
            // Only a filter's made-up answer says that nothing has happened.
            Ok(None) => return Err(Errno::IO).at(Stage::Wait),
            Err(e) => return Err(e).at(Stage::Wait),
        }
    }
}

fn lock_files(prepared: &Prepared<'_>) -> Result<Vec<OwnedFd>> {
    let mut held = Vec::new();
    if prepared.plan.lifecycle.lock_files.is_empty() {
        return Ok(held);
    }
    // With no more rights than pid 1 has later: the rights to set a sandbox up are not there to
    // open a file that is closed to everybody.
    let caps = privileges::set_aside(prepared)?;
    for (i, path) in prepared.plan.lifecycle.lock_files.iter().enumerate() {
        let path = CString::new(path.0.as_slice()).unwrap_or_default();
        let about = |f: Failure| f.about(i as u32);
        // A FIFO must not hold us.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = fs::openat(CWD, &path, flags, Mode::empty()).at(Stage::LockOpen);
        let file = file.map_err(about)?;
        process::read_lock(file.as_fd()).at(Stage::Lock).map_err(about)?;
        held.push(file);
    }
    privileges::take_up(caps)?;
    Ok(held)
}

//! A process that becomes a command which somebody outside has asked for (`--serve`).
//!
//! It is a copy of pid 1: what the sandbox is, it is already. What comes from the client is read
//! here, where it can hold up or break nobody else.

use crate::child::{self, Inherited};
use crate::failure::{At, Failure, Result, Stage};
use crate::prepare::{Command, Prepared, c_string, candidates};
use crate::serve::{Descriptors, reply};
use alloc::vec;
use alloc::vec::Vec;
use swathe_plan::serve::{MIN_DESCRIPTORS, Reply, Run, Step, Words};
use swathe_sys::process::{self, borrow_fd};
use swathe_sys::rustix::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use swathe_sys::rustix::io::fcntl_dupfd_cloexec;
use swathe_sys::rustix::process::setsid;
use swathe_sys::signal::SignalSet;
use swathe_sys::{Errno, rustix};

/// Becomes the command, or says why not and ends. `descriptors`: as many as the message says.
pub fn main(
    prepared: &Prepared<'_>,
    socket: &OwnedFd,
    mask: &SignalSet,
    run: &Run,
    descriptors: &mut Descriptors,
) -> ! {
    // Out of the way of the command's own numbers.
    let least = run.kept.as_slice().iter().fold(3, |most, &n| most.max(RawFd::from(n) + 1));
    let moved = move_up(socket, least);
    let socket = match &moved {
        Ok(Some(copy)) => copy,
        _ => socket,
    };
    let failure = match &moved {
        Ok(_) => enter(prepared, socket, mask, run, descriptors, least),
        Err(failure) => *failure,
    };
    reply(socket, Reply::Failed { step: step(failure.stage), errno: failure.errno });
    process::exit(1)
}

/// Everything up to the exec; returns only what failed.
fn enter(
    prepared: &Prepared<'_>,
    socket: &OwnedFd,
    mask: &SignalSet,
    run: &Run,
    descriptors: &mut Descriptors,
    least: RawFd,
) -> Failure {
    match get_ready(prepared, mask, run, descriptors, least) {
        Ok((command, directory)) => {
            reply(socket, Reply::Started);
            child::exec(&command, directory)
        }
        Err(failure) => failure,
    }
}

fn get_ready(
    prepared: &Prepared<'_>,
    mask: &SignalSet,
    run: &Run,
    descriptors: &mut Descriptors,
    least: RawFd,
) -> Result<(Command, child::Directory)> {
    mask.set_mask().at(Stage::Fork)?;
    let text = match &descriptors[0] {
        Some(file) => read(file, run.len as usize)?,
        None => return Err(malformed()),
    };
    place(run, descriptors, least)?;
    let words = Words::parse(run, &text).ok_or_else(malformed)?;
    let command = command(prepared, &words);
    setsid().at(Stage::Setsid)?;
    if run.terminal {
        let stdin = borrow_fd(0).at(Stage::Terminal)?;
        swathe_sys::terminal::set_controlling(stdin).at(Stage::Terminal)?;
    }
    let directory = child::last_steps(prepared, &command, Inherited::Everything)?;
    Ok((command, directory))
}

fn malformed() -> Failure {
    Failure { errno: Errno::PROTO.raw_os_error(), ..Failure::found(Stage::Request) }
}

/// A copy of a descriptor whose number is below `least`.
fn move_up(fd: &OwnedFd, least: RawFd) -> Result<Option<OwnedFd>> {
    if fd.as_raw_fd() >= least {
        return Ok(None);
    }
    fcntl_dupfd_cloexec(fd, least).map(Some).at(Stage::Descriptor)
}

/// Puts the command's descriptors at their numbers. The others of this process are closed by exec.
fn place(run: &Run, descriptors: &mut Descriptors, least: RawFd) -> Result<()> {
    let own = &mut descriptors[1..];
    for place in own.iter_mut() {
        if let Some(fd) = place
            && let Some(copy) = move_up(fd, least)?
        {
            // Not closed: the number may be one that something is put at below.
            core::mem::forget(place.replace(copy));
        }
    }
    let kept = run.kept.as_slice().iter().map(|&n| RawFd::from(n));
    for (number, fd) in (0..MIN_DESCRIPTORS as RawFd - 1).chain(kept).zip(own.iter()) {
        let fd = fd.as_ref().ok_or_else(malformed)?;
        process::dup_to(fd.as_fd(), number).at(Stage::Descriptor)?;
    }
    Ok(())
}

/// Reads a text of this length: from a file, at its start, wherever its offset is.
fn read(file: &OwnedFd, len: usize) -> Result<Vec<u8>> {
    let mut text = vec![0; len];
    let mut done = 0;
    while done < len {
        match rustix::io::pread(file, &mut text[done..], done as u64) {
            Ok(0) => return Err(malformed()),
            Ok(n) => done += n,
            Err(Errno::INTR) => {}
            Err(e) => return Err(e).at(Stage::Request),
        }
    }
    Ok(text)
}

fn command(prepared: &Prepared<'_>, words: &Words<'_>) -> Command {
    let first = &prepared.command;
    let env = words.environment(first.env.iter().map(|entry| entry.to_bytes()));
    let path = env.iter().find_map(|entry| entry.strip_prefix(b"PATH="));
    let name = words.arguments.first().copied().unwrap_or_default();
    let directories = match words.directory {
        b"" => first.directories.clone(),
        dir => vec![(c_string(dir), c_string(&[b"PWD=", dir].concat()))],
    };
    Command {
        candidates: candidates(name, path),
        argv: words.arguments.iter().map(|word| c_string(word)).collect(),
        env: env.iter().filter(|e| !e.starts_with(b"PWD=")).map(|e| c_string(e)).collect(),
        directories,
    }
}

/// The step as the protocol calls it.
fn step(stage: Stage) -> Step {
    match stage {
        Stage::Request => Step::Request,
        Stage::Descriptor => Step::Descriptors,
        Stage::Setsid => Step::Session,
        Stage::Terminal => Step::Terminal,
        Stage::Label => Step::Label,
        Stage::Capabilities | Stage::Ambient => Step::Capabilities,
        Stage::Chdir => Step::Directory,
        Stage::Landlock => Step::Landlock,
        Stage::Rlimit => Step::Limits,
        Stage::Seccomp => Step::Filters,
        Stage::Exec => Step::Command,
        _ => Step::Process,
    }
}

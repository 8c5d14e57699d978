//! The process that attends to a session: what it may reach is changed by it, its network by rules is
//! kept by it, and what appears and is to be hidden is hidden by it. It ends with the session.

use crate::globs::Hidden;
use crate::live::Live;
use crate::net::{Apart, Bridge, Keeper};
use crate::out::Failure;
use crate::rundir::Record;
use crate::store;
use command_fds::{CommandFdExt as _, FdMapping};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Signal, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{PipeReader, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::Stdio;
use swathe::Child;
use swathe::serve::Session;
use swathe_netns::pasta::Pasta;
use swathe_policy::resolve::Sandbox;
use swathe_record::bytes::Bytes;

/// The hidden command.
const ATTEND: &str = "__attend";
/// Its descriptors: what it is told, where it says that it is ready, where requests come in, the
/// session's mounts, and the engine's process.
const TOLD: i32 = 100;
const READY: i32 = 101;
const CONTROL: i32 = 102;
const MOUNTS: i32 = 103;
const ENGINE: i32 = 104;
/// And the session's network, where somebody outside is needed for it.
const NETNS: i32 = 105;
/// The most that it is told, and that it says.
const MAX_TEXT: u64 = 16 << 20;
const MAX_TROUBLE: u64 = 64 << 10;
/// What it says when it is ready.
const FINE: &[u8] = b"ready\n";

/// What it is told.
#[derive(Debug, Serialize, Deserialize)]
struct Description {
    engine: u32,
    /// The session's socket.
    socket: Bytes,
    /// The user's directories that are visible from the start.
    shown: Vec<Bytes>,
    hidden: Option<Hidden>,
    /// Its network, where it is not made by itself.
    network: Option<Outside>,
}

/// Who is outside for a network.
#[derive(Debug, Serialize, Deserialize)]
pub enum Outside {
    /// Whoever keeps its rules.
    Rules(Box<Apart>),
    /// Whoever brings the host's in.
    Whole(Bridge),
}

/// The same at work: the network ends with it.
enum Attending {
    Rules(Keeper),
    Whole { _pasta: Pasta },
}

/// Starts it for a session that is set up, and waits until it is ready: what a glob hides is hidden
/// then.
///
/// # Errors
/// It cannot be started; or what it is for cannot be kept.
pub fn start(
    record: &Record,
    sandbox: &Sandbox,
    child: &Child,
    mounts: OwnedFd,
    network: Option<(Outside, OwnedFd)>,
) -> Result<(), Failure> {
    let (network, netns) = network.unzip();
    let description = Description {
        engine: child.id(),
        socket: record.socket().into(),
        shown: sandbox.shown.iter().map(|path| path.as_path().into()).collect(),
        hidden: Hidden::of(sandbox),
        network,
    };
    let text = serde_json::to_vec(&description).map_err(|e| failed(&e))?;
    let engine = child.pidfd().ok_or_else(|| failed(&"the kernel has no pidfds (Linux 5.3)"))?;
    let engine = engine.try_clone_to_owned().map_err(|e| failed(&e))?;
    let control = crate::control::listen(&record.control())?;
    let (reader, mut writer) = std::io::pipe().map_err(|e| failed(&e))?;
    let (said, ready) = std::io::pipe().map_err(|e| failed(&e))?;
    let program = std::env::current_exe().map_err(|e| failed(&e))?;
    let mut process = std::process::Command::new(program);
    process.arg(ATTEND).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    std::os::unix::process::CommandExt::process_group(&mut process, 0);
    let fds: [(i32, OwnedFd); 5] = [
        (TOLD, reader.into()),
        (READY, ready.into()),
        (CONTROL, control.into()),
        (MOUNTS, mounts),
        (ENGINE, engine),
    ];
    let fds = fds.into_iter().chain(netns.map(|netns| (NETNS, netns)));
    let mappings = fds.map(|(child_fd, parent_fd)| FdMapping { parent_fd, child_fd });
    process.fd_mappings(mappings.collect()).map_err(|e| failed(&e))?;
    // It is nobody's to wait for: it ends with the session, after this process.
    drop(process.spawn().map_err(|e| failed(&e))?);
    drop(process);
    writer.write_all(&text).map_err(|e| failed(&e))?;
    drop(writer);
    is_ready(said)
}

fn is_ready(said: PipeReader) -> Result<(), Failure> {
    let mut text = Vec::new();
    said.take(MAX_TROUBLE).read_to_end(&mut text).map_err(|e| failed(&e))?;
    match text.as_slice() {
        FINE => Ok(()),
        b"" => Err(failed(&"it ended, and nothing says why")),
        trouble => {
            let trouble = String::from_utf8_lossy(trouble);
            let mut lines = trouble.lines();
            let failure = Failure::new(lines.next().unwrap_or_default());
            Err(lines.fold(failure, |failure, hint| failure.hint(hint)))
        }
    }
}

fn failed(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(format!("cannot attend to the session: {error}"))
}

/// The hidden command, where this is it.
pub fn hidden() -> Option<Result<u8, Failure>> {
    (std::env::args_os().nth(1)? == ATTEND).then(attend)
}

fn attend() -> Result<u8, Failure> {
    let adopt = |number| swathe_sys::process::adopt_fd(number).map_err(|e| failed(&e));
    let (told, ready) = (adopt(TOLD)?, adopt(READY)?);
    let (control, mounts, engine) = (adopt(CONTROL)?, adopt(MOUNTS)?, adopt(ENGINE)?);
    let mut ready = File::from(ready);
    let done = serve(File::from(told), control, mounts, &engine);
    // Whoever started this may have gone.
    drop(match &done {
        Ok(_) => ready.write_all(FINE),
        Err(failure) => {
            let lines = std::iter::once(&failure.message).chain(&failure.hints);
            ready.write_all(lines.map(|line| format!("{line}\n")).collect::<String>().as_bytes())
        }
    });
    drop(ready);
    let attending = done?;
    while poll(&mut [PollFd::new(&engine, PollFlags::IN)], None) == Err(Errno::INTR) {}
    drop(attending);
    Ok(0)
}

/// Starts what it does, on threads; the network ends with what is returned.
fn serve(
    told: File,
    control: OwnedFd,
    mounts: OwnedFd,
    engine: &OwnedFd,
) -> Result<Option<Attending>, Failure> {
    let description: Description =
        serde_json::from_reader(told.take(MAX_TEXT)).map_err(|e| failed(&e))?;
    let Description { engine: pid, socket, shown, hidden, network } = description;
    let shown = shown.iter().map(|path| path.as_path().to_owned()).collect();
    let live = Live::new(pid, Some(mounts), shown, store::environment()?);
    if let Some(hidden) = hidden {
        let copy = || engine.try_clone().map_err(|e| failed(&e));
        let (ended, engine) = (copy()?, copy()?);
        live.keep_hidden(hidden.watch()?, ended, move |_| {
            // Nobody is there to be told.
            drop(Session::connect(socket.as_path()).and_then(|session| session.stop()));
            let _ = pidfd_send_signal(&engine, Signal::KILL);
        })?;
    }
    let attending = match network {
        Some(network) => {
            let netns = swathe_sys::process::adopt_fd(NETNS).map_err(|e| failed(&e))?;
            Some(match network {
                Outside::Rules(rules) => {
                    Attending::Rules(rules.start(netns, engine.as_fd(), pid)?)
                }
                Outside::Whole(bridge) => Attending::Whole { _pasta: bridge.start(netns)? },
            })
        }
        None => None,
    };
    if let Some(Attending::Rules(keeper)) = &attending {
        live.set_network(keeper.controls());
    }
    live.listen(control.into())?;
    Ok(attending)
}

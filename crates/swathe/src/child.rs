//! A sandbox that was started.

use crate::error::{Error, SetupError, io};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, pidfd_send_signal};
use serde::Deserialize;
use std::io::{PipeReader, PipeWriter, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ChildStderr, ChildStdin, ChildStdout};
use std::time::{Duration, Instant};
use swathe_plan::Plan;

/// The most that the engine may say about errors.
const MAX_ERRORS: u64 = 1 << 20;

/// How a sandbox ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// The program ended by itself with this code. One that a signal killed counts as 128 and the
    /// signal's number.
    Exited(i32),
    /// The sandbox was killed from outside by this signal.
    Killed(i32),
    /// The set-up failed, and the program was not started.
    NotStarted,
}

impl ExitStatus {
    /// Whether the program ended with 0.
    #[must_use]
    pub fn success(self) -> bool {
        self == Self::Exited(0)
    }
}

/// What happened to a sandbox, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A step of the set-up failed.
    Failed(SetupError),
    /// It ended.
    Ended(ExitStatus),
}

/// The most that the engine may say about the sandbox's namespaces.
const MAX_INFO: u64 = 4096;

/// A sandbox whose program waits.
#[derive(Debug)]
pub(crate) struct Held {
    /// Where the engine tells of the namespaces.
    info: PipeReader,
    /// What it told.
    known: Option<Info>,
    /// The program starts when a byte comes or this is closed. It holds one byte.
    gate: PipeWriter,
    /// Whether the byte was sent.
    released: bool,
    /// Whether the sandbox was killed: its program must not start in its last moment.
    killed: bool,
}

impl Held {
    pub(crate) fn new(info: PipeReader, gate: PipeWriter) -> Self {
        Self { info, known: None, gate, released: false, killed: false }
    }
}

/// What the engine tells of them.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Info {
    #[serde(rename = "child-pid")]
    pid: i32,
    #[serde(rename = "mnt-namespace")]
    mounts: u64,
    /// Absent where the sandbox shares the host's network.
    #[serde(rename = "net-namespace")]
    network: Option<u64>,
}

/// A running sandbox. Dropping it does not end it; the end of the calling process does.
#[derive(Debug)]
pub struct Child {
    process: std::process::Child,
    pidfd: Option<OwnedFd>,
    errors: Option<PipeReader>,
    held: Option<Held>,
    failed: Vec<SetupError>,
    status: Option<ExitStatus>,
    plan: Plan,
    /// The program's standard input, if it was piped.
    pub stdin: Option<ChildStdin>,
    /// The program's standard output, if it was piped.
    pub stdout: Option<ChildStdout>,
    /// The program's standard error, if it was piped.
    pub stderr: Option<ChildStderr>,
}

impl Child {
    pub(crate) fn new(
        mut process: std::process::Child,
        errors: PipeReader,
        held: Option<Held>,
        plan: Plan,
    ) -> Self {
        let pid = i32::try_from(process.id()).ok().and_then(Pid::from_raw);
        // Kernels before 5.3 have none.
        let pidfd = pid.and_then(|pid| {
            rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok()
        });
        Self {
            stdin: process.stdin.take(),
            stdout: process.stdout.take(),
            stderr: process.stderr.take(),
            process,
            pidfd,
            errors: Some(errors),
            held,
            failed: Vec::new(),
            status: None,
            plan,
        }
    }

    /// The pid of the engine's process, which stands for the sandbox.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// A descriptor that becomes readable when the sandbox ends (`pidfd_open(2)`); `None` before
    /// Linux 5.3.
    #[must_use]
    pub fn pidfd(&self) -> Option<BorrowedFd<'_>> {
        self.pidfd.as_ref().map(AsFd::as_fd)
    }

    /// The plan that is executed.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The sandbox's mount namespace, while its program is held back
    /// ([`Command::hold_start`](crate::Command::hold_start)). Its mounts are made only when
    /// [`Self::is_set_up`] says so.
    /// `None`: it is not held back, or has ended, of which [`Self::wait`] tells.
    ///
    /// # Errors
    /// The engine says what cannot be understood, or the namespace cannot be opened.
    pub fn mount_namespace(&mut self) -> Result<Option<OwnedFd>, Error> {
        self.namespace("mnt", |info| Some(info.mounts), "open the sandbox's mount namespace")
    }

    /// The sandbox's network namespace, while its program is held back; its loopback interface may not
    /// be up yet. `None`: as [`Self::mount_namespace`], or it has none of its own.
    ///
    /// # Errors
    /// As [`Self::mount_namespace`].
    pub fn network_namespace(&mut self) -> Result<Option<OwnedFd>, Error> {
        self.namespace("net", |info| info.network, "open the sandbox's network namespace")
    }

    fn namespace(
        &mut self,
        name: &str,
        inode: fn(&Info) -> Option<u64>,
        what: &'static str,
    ) -> Result<Option<OwnedFd>, Error> {
        let Some(info) = self.info(what)? else { return Ok(None) };
        let Some(inode) = inode(&info) else { return Ok(None) };
        let file = match std::fs::File::open(format!("/proc/{}/ns/{name}", info.pid)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(io(what))?,
        };
        // The process may have ended, and its number be another's.
        let found = std::os::unix::fs::MetadataExt::ino(&file.metadata().map_err(io(what))?);
        Ok((found == inode).then(|| file.into()))
    }

    /// What the engine tells of the namespaces, which it does once.
    fn info(&mut self, what: &'static str) -> Result<Option<Info>, Error> {
        let Some(held) = self.held.as_mut().filter(|held| !held.released) else {
            return Ok(None);
        };
        if held.known.is_none() {
            let mut text = Vec::new();
            (&held.info).take(MAX_INFO).read_to_end(&mut text).map_err(io(what))?;
            if !text.is_empty() {
                held.known = Some(serde_json::from_slice(&text).map_err(io(what))?);
            }
        }
        Ok(held.known)
    }

    /// Lets a program start that is held back, as soon as the sandbox is set up. Dropping the child
    /// does so, too.
    ///
    /// # Errors
    /// It cannot be told so. Then it is let go all the same, and [`Self::is_set_up`] does not know.
    pub fn release(&mut self) -> Result<(), Error> {
        let waits = |held: &&mut Held| !held.released && !held.killed;
        let Some(held) = self.held.as_mut().filter(waits) else { return Ok(()) };
        held.released = true;
        let sent = held.gate.write_all(&[1]);
        if sent.is_err() {
            self.held = None;
        }
        match sent {
            // It has ended.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            other => other.map_err(io("let the program start")),
        }
    }

    /// Waits, for so long at most, until a sandbox whose program was held back and is released has
    /// all its mounts. False: it has ended or is not held back, or it takes longer.
    ///
    /// # Errors
    /// It cannot be waited for.
    pub fn is_set_up(&self, patience: Duration) -> Result<bool, Error> {
        let Some(held) = &self.held else { return Ok(false) };
        let what = "wait until the sandbox is set up";
        let end = Instant::now() + patience;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let timeout = Timespec::try_from(left).unwrap_or_default();
            // There is room in the pipe again once the byte was read, also when its other end is
            // closed by now.
            let mut fds = [PollFd::new(&held.gate, PollFlags::OUT)];
            match poll(&mut fds, Some(&timeout)) {
                Ok(0) if left.is_zero() => return Ok(false),
                Ok(0) | Err(Errno::INTR) => {}
                Ok(_) => {
                    let [gate] = fds.map(|fd| fd.revents());
                    return Ok(held.released && gate.contains(PollFlags::OUT));
                }
                Err(e) => return Err(io(what)(e)),
            }
        }
    }

    /// Ends every process of the sandbox. A program that is held back does not start any more: wait
    /// for the end before this is dropped.
    ///
    /// # Errors
    /// The signal cannot be sent; that the sandbox has ended is no error.
    pub fn kill(&mut self) -> Result<(), Error> {
        if let Some(held) = &mut self.held {
            held.killed = true;
        }
        // The engine's end is the end of all: with die_with_parent by the kernel.
        self.process.kill().map_err(io("kill the sandbox"))
    }

    /// Sends a signal to the engine, which passes it on where the plan says so.
    ///
    /// # Errors
    /// There is no such signal, or the sandbox has ended.
    pub fn signal(&self, signal: Signal) -> Result<(), Error> {
        match &self.pidfd {
            Some(pidfd) => pidfd_send_signal(pidfd, signal).map_err(io("send a signal")),
            None => {
                let ended = std::io::Error::other("the sandbox has no pid");
                let pid = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw);
                let pid = pid.ok_or(Error::Io("send a signal", ended))?;
                rustix::process::kill_process(pid, signal).map_err(io("send a signal"))
            }
        }
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// The process cannot be waited for.
    pub fn wait(&mut self) -> Result<ExitStatus, Error> {
        if let Some(status) = self.status {
            return Ok(status);
        }
        drop(self.stdin.take());
        self.release()?;
        let status = self.process.wait().map_err(io("wait for the sandbox"))?;
        self.read_errors();
        let status = match (status.code(), status.signal()) {
            _ if !self.failed.is_empty() => ExitStatus::NotStarted,
            (Some(code), _) => ExitStatus::Exited(code),
            (None, Some(signal)) => ExitStatus::Killed(signal),
            (None, None) => ExitStatus::NotStarted,
        };
        self.status = Some(status);
        Ok(status)
    }

    /// What happened so far; the end is among it once [`Self::wait`] has returned.
    pub fn events(&mut self) -> impl Iterator<Item = Event> + '_ {
        self.failed
            .iter()
            .cloned()
            .map(Event::Failed)
            .chain(self.status.into_iter().map(Event::Ended))
    }

    fn read_errors(&mut self) {
        let Some(errors) = self.errors.take() else { return };
        let mut text = Vec::new();
        // The engine said all before it ended. Pid 1 of a sandbox that lives on may hold the other
        // end: there is no end of file to wait for.
        if rustix::fs::fcntl_setfl(&errors, rustix::fs::OFlags::NONBLOCK).is_err() {
            return;
        }
        // What cannot be read cannot be told; the exit status still is.
        drop(errors.take(MAX_ERRORS).read_to_end(&mut text));
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            self.failed.extend(serde_json::from_slice::<SetupError>(line).ok());
        }
    }
}

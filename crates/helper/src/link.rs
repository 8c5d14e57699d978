//! The client's side: starting a helper, asking it, ending it.

use crate::{CLIENT, MAX_FDS, NAMESPACE, SANDBOX, SOCKET};
use command_fds::{CommandFdExt as _, FdMapping};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, IoSliceMut};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg,
    sendmsg, socketpair,
};
use rustix::process::{PidfdFlags, getpid, pidfd_open};
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a helper may take for a request: a path may lead to a file system that hangs.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long its end is waited for.
const DEATH: Duration = Duration::from_secs(1);

/// Why there is no answer.
#[derive(Debug)]
pub enum Broken {
    /// The helper has ended, or was ended because it broke the protocol.
    Ended,
    /// No answer in time; the helper was ended.
    TimedOut,
    /// A system call of this process failed.
    Io(Stage, io::Error),
}

/// What the client was doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Starting the helper.
    Start,
    /// Asking it.
    Ask,
    /// Hearing from it.
    Hear,
}

/// `map_err(io(stage))`.
fn io<E: Into<io::Error>>(stage: Stage) -> impl Fn(E) -> Broken {
    move |error| Broken::Io(stage, error.into())
}

/// A helper that runs. Dropped, it is ended.
#[derive(Debug)]
pub struct Link {
    socket: OwnedFd,
    helper: Child,
    patience: Duration,
    broken: bool,
}

impl Link {
    /// Starts `program` with the word `command`. `namespace` is the one that the helper is about.
    /// `sandbox` becomes readable when the sandbox has ended, such as a pidfd; then the helper ends.
    ///
    /// # Errors
    /// [`Broken::Io`].
    pub fn start(
        program: &Path,
        command: &str,
        namespace: BorrowedFd<'_>,
        sandbox: BorrowedFd<'_>,
    ) -> Result<Self, Broken> {
        let failed = Stage::Start;
        let pair =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
        let (socket, theirs) = pair.map_err(io(failed))?;
        let client = pidfd_open(getpid(), PidfdFlags::empty()).map_err(io(failed))?;
        let copy = |fd: BorrowedFd<'_>| fd.try_clone_to_owned().map_err(io(failed));
        let fds = [
            (SOCKET, theirs),
            (NAMESPACE, copy(namespace)?),
            (CLIENT, client),
            (SANDBOX, copy(sandbox)?),
        ];
        let mut started = Command::new(program);
        started.arg(command).env_clear().current_dir("/");
        started.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let fds = fds.map(|(child_fd, parent_fd)| FdMapping { parent_fd, child_fd });
        let twice = |_| Broken::Io(failed, io::Error::other("a descriptor is used twice"));
        started.fd_mappings(fds.into()).map_err(twice)?;
        let helper = started.spawn().map_err(io(failed))?;
        // It holds the other end of the socket.
        drop(started);
        Ok(Self { socket, helper, patience: PATIENCE, broken: false })
    }

    /// How long the helper may take for a request; ten seconds unless set.
    pub fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// The helper's process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.helper.id()
    }

    /// Sends a request, with descriptors.
    ///
    /// # Errors
    /// See [`Broken`].
    pub fn send(&mut self, message: &[u8], fds: &[BorrowedFd<'_>]) -> Result<(), Broken> {
        if self.broken {
            return Err(Broken::Ended);
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(Broken::Io(Stage::Ask, Errno::NOBUFS.into()));
        }
        let flags = SendFlags::NOSIGNAL;
        loop {
            match sendmsg(&self.socket, &[IoSlice::new(message)], &mut control, flags) {
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(Errno::PIPE | Errno::CONNRESET) => return Err(self.end(Broken::Ended)),
                Err(e) => return Err(io(Stage::Ask)(e)),
            }
        }
    }

    /// The helper's next message: its length, which is that of `into` or less, and what came with
    /// it.
    ///
    /// # Errors
    /// See [`Broken`]. EMFILE: this process has no room for the descriptors.
    pub fn receive(&mut self, into: &mut [u8]) -> Result<(usize, Vec<OwnedFd>), Broken> {
        let end = Instant::now() + self.patience;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let timeout = Timespec::try_from(left).unwrap_or_default();
            match poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], Some(&timeout)) {
                Ok(0) if left.is_zero() => return Err(self.end(Broken::TimedOut)),
                Ok(0) | Err(Errno::INTR) => continue,
                Ok(_) => {}
                Err(e) => return Err(self.end(io(Stage::Hear)(e))),
            }
            match take(&self.socket, into) {
                Ok(Some(found)) => return Ok(found),
                Ok(None) | Err(Errno::PIPE | Errno::CONNRESET) => {
                    return Err(self.end(Broken::Ended));
                }
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(e) => return Err(self.end(io(Stage::Hear)(e))),
            }
        }
    }

    /// Ends the helper, which broke the protocol or was too late: a late reply must not be taken for
    /// that to a later request.
    pub fn end(&mut self, error: Broken) -> Broken {
        self.broken = true;
        self.kill();
        error
    }

    /// Kills the helper and waits for its end; not for long, since a file system that hangs may hold
    /// it.
    fn kill(&mut self) {
        drop(self.helper.kill());
        let end = Instant::now() + DEATH;
        while let Ok(None) = self.helper.try_wait()
            && Instant::now() < end
        {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if !self.broken {
            self.kill();
        }
    }
}

/// One message that waits; `None` at the end of file and for a message that is longer than `into`.
fn take(socket: &OwnedFd, into: &mut [u8]) -> Result<Option<(usize, Vec<OwnedFd>)>, Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    let message = recvmsg(socket, &mut [IoSliceMut::new(into)], &mut control, flags)?;
    let mut fds = Vec::new();
    for part in control.drain() {
        if let RecvAncillaryMessage::ScmRights(more) = part {
            fds.extend(more);
        }
    }
    if message.flags.contains(ReturnFlags::CTRUNC) {
        return Err(Errno::MFILE);
    }
    let whole = message.bytes > 0 && !message.flags.contains(ReturnFlags::TRUNC);
    Ok(whole.then_some((message.bytes, fds)))
}

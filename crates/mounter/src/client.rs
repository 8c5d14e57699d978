//! The client: starts the helper and asks it.

use crate::COMMAND;
use crate::error::{Error, io};
use crate::protocol::{
    Access, CLIENT, NAMESPACE, REPLY, Reply, Request, SANDBOX, SOCKET, decode_reply, is_path,
    is_place,
};
use command_fds::{CommandFdExt as _, FdMapping};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags,
    SocketType, recv, sendmsg, socketpair,
};
use rustix::process::{PidfdFlags, getpid, pidfd_open};
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long the helper may take for a request: a path may lead to a file system that hangs.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long its end is waited for.
const DEATH: Duration = Duration::from_secs(1);

/// A mount that a [`Mounter`] has made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Id(u64);

/// Changes the mounts of one sandbox. Dropped, it ends its helper; what it has mounted stays.
#[derive(Debug)]
pub struct Mounter {
    socket: OwnedFd,
    helper: Child,
    patience: Duration,
    broken: bool,
}

impl Mounter {
    /// Starts the helper and waits until it is ready.
    ///
    /// `program`: executed with the word [`COMMAND`], on which it calls [`serve`](crate::serve).
    /// `namespace`: the sandbox's mount namespace, which the caller, or root, must own. The sandbox
    /// must be set up: before, its mounts are not its own, and its ids mean nothing. Close it then:
    /// the namespace, and what is mounted in it, stays as long as a descriptor of it is open.
    /// `sandbox`: becomes readable when the sandbox has ended, such as a pidfd; then the helper ends.
    ///
    /// # Errors
    /// [`Error::Io`]: it could not be started. [`Error::Refused`]: it could not get ready, for lack
    /// of permission or on a kernel before 5.12. [`Error::Ended`], [`Error::TimedOut`].
    pub fn start(
        program: &Path,
        namespace: BorrowedFd<'_>,
        sandbox: BorrowedFd<'_>,
    ) -> Result<Self, Error> {
        let start = "start the helper for mounts";
        let pair =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
        let (socket, theirs) = pair.map_err(io(start))?;
        let client = pidfd_open(getpid(), PidfdFlags::empty()).map_err(io(start))?;
        let copy = |fd: BorrowedFd<'_>| fd.try_clone_to_owned().map_err(io(start));
        let fds = [
            (SOCKET, theirs),
            (NAMESPACE, copy(namespace)?),
            (CLIENT, client),
            (SANDBOX, copy(sandbox)?),
        ];
        let mut command = Command::new(program);
        command.arg(COMMAND).env_clear().current_dir("/");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let fds = fds.map(|(child_fd, parent_fd)| FdMapping { parent_fd, child_fd });
        let twice = |_| Error::Io(start, std::io::Error::other("a descriptor is used twice"));
        command.fd_mappings(fds.into()).map_err(twice)?;
        let helper = command.spawn().map_err(io(start))?;
        // It holds the other end of the socket.
        drop(command);
        let mut mounter = Self { socket, helper, patience: PATIENCE, broken: false };
        mounter.hear()?.map_err(|refusal| Error::refused(Path::new(""), refusal))?;
        Ok(mounter)
    }

    /// How long the helper may take for a request; ten seconds unless set.
    pub fn set_patience(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// The helper's process, for whoever lists what belongs to a sandbox.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.helper.id()
    }

    /// Shows `host`, with everything mounted below it, at `path` in the sandbox, without set-user-ID
    /// and devices. What is missing of `path` is created where the sandbox has a temporary file
    /// system of its own, never on the host.
    ///
    /// Neither path may lead through a symbolic link.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn show(&mut self, host: &Path, path: &Path, access: Access) -> Result<Id, Error> {
        if !is_path(host.as_os_str().as_bytes()) {
            return Err(Error::Path(host.to_owned()));
        }
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let object = openat2(CWD, host, flags, Mode::empty(), resolve)
            .map_err(|errno| Error::Host(host.to_owned(), errno.into()))?;
        self.show_object(object.as_fd(), host, path, access)
    }

    /// The same for an object that is open, so that what was judged is what is shown: if `host` leads
    /// to another one when the helper gets there, it refuses ([`Step::HostChanged`]).
    ///
    /// # Errors
    /// See [`Error`].
    ///
    /// [`Step::HostChanged`]: crate::Step::HostChanged
    pub fn show_object(
        &mut self,
        object: BorrowedFd<'_>,
        host: &Path,
        path: &Path,
        access: Access,
    ) -> Result<Id, Error> {
        let bytes = host.as_os_str().as_bytes();
        if !is_path(bytes) {
            return Err(Error::Path(host.to_owned()));
        }
        let request = Request::Show { host: bytes, path: place(path)?, access };
        self.ask(path, &request, Some(object)).map(Id)
    }

    /// Makes the read-only mount whose root is at `path` in the sandbox, and is the host's `host`,
    /// writable: also for processes that have it as their working directory, for which another mount
    /// on top would change nothing. Taken back, it is read-only again.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn thaw(&mut self, host: &Path, path: &Path) -> Result<Id, Error> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let object = openat2(CWD, host, flags, Mode::empty(), resolve)
            .map_err(|errno| Error::Host(host.to_owned(), errno.into()))?;
        let request = Request::Thaw { path: place(path)? };
        self.ask(path, &request, Some(object.as_fd())).map(Id)
    }

    /// Covers what is at `path` in the sandbox, which must exist, with something unreadable and
    /// empty. It stays what it was on the host, and for whoever has opened it before. If the host
    /// replaces the file by renaming another over it, the cover goes with the old one.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn hide(&mut self, path: &Path) -> Result<Id, Error> {
        let request = Request::Hide { path: place(path)? };
        self.ask(path, &request, None).map(Id)
    }

    /// Takes a mount away again, with what has been mounted below it: what was at its place before is
    /// seen again. What was created for it is removed if it is still there and empty.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn undo(&mut self, id: Id) -> Result<(), Error> {
        self.ask(Path::new("the mount"), &Request::Undo { id: id.0 }, None).map(drop)
    }

    fn ask(
        &mut self,
        path: &Path,
        request: &Request<'_>,
        object: Option<BorrowedFd<'_>>,
    ) -> Result<u64, Error> {
        if self.broken {
            return Err(Error::Ended);
        }
        let message = request.encode().ok_or_else(|| Error::Path(path.to_owned()))?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let fds: Vec<_> = object.into_iter().collect();
        if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&fds)) {
            return Err(Error::Io("ask the helper for mounts", Errno::NOBUFS.into()));
        }
        let flags = SendFlags::NOSIGNAL;
        loop {
            match sendmsg(&self.socket, &[IoSlice::new(&message)], &mut control, flags) {
                Ok(_) => break,
                Err(Errno::INTR) => {}
                Err(Errno::PIPE | Errno::CONNRESET) => return Err(self.end(Error::Ended)),
                Err(e) => return Err(io("ask the helper for mounts")(e)),
            }
        }
        self.hear()?.map_err(|refusal| Error::refused(path, refusal))
    }

    /// The helper's next message.
    fn hear(&mut self) -> Result<Reply, Error> {
        let end = Instant::now() + self.patience;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let timeout = Timespec::try_from(left).unwrap_or_default();
            match poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], Some(&timeout)) {
                Ok(0) if left.is_zero() => return Err(self.end(Error::TimedOut)),
                Ok(0) | Err(Errno::INTR) => continue,
                Ok(_) => {}
                Err(e) => {
                    let error = io("hear from the helper for mounts")(e);
                    return Err(self.end(error));
                }
            }
            let mut message = [0; REPLY + 1];
            match recv(&self.socket, &mut message[..], RecvFlags::DONTWAIT) {
                Ok((_, n)) => {
                    let reply = message.get(..n).and_then(decode_reply);
                    return reply.ok_or_else(|| self.end(Error::Ended));
                }
                Err(Errno::INTR | Errno::AGAIN) => {}
                Err(_) => return Err(self.end(Error::Ended)),
            }
        }
    }

    /// Ends the helper: after an error a late reply must not be taken for that to a later request.
    fn end(&mut self, error: Error) -> Error {
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

impl Drop for Mounter {
    fn drop(&mut self) {
        if !self.broken {
            self.kill();
        }
    }
}

/// The bytes of a path at which something can be mounted.
fn place(path: &Path) -> Result<&[u8], Error> {
    let bytes = path.as_os_str().as_bytes();
    if is_place(bytes) { Ok(bytes) } else { Err(Error::Path(path.to_owned())) }
}

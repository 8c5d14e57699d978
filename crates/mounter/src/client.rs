//! The client: starts the helper and asks it.

use crate::COMMAND;
use crate::error::Error;
use crate::protocol::{Access, REPLY, Reply, Request, decode_reply, is_path, is_place};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;
use swathe_helper::{Broken, Link};

/// A mount that a [`Mounter`] has made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Id(u64);

/// Changes the mounts of one sandbox. Dropped, it ends its helper; what it has mounted stays.
#[derive(Debug)]
pub struct Mounter {
    link: Link,
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
        let mut mounter = Self { link: Link::start(program, COMMAND, namespace, sandbox)? };
        mounter.hear()?.map_err(|refusal| Error::refused(Path::new(""), refusal))?;
        Ok(mounter)
    }

    /// How long the helper may take for a request; ten seconds unless set.
    pub fn set_patience(&mut self, patience: Duration) {
        self.link.set_patience(patience);
    }

    /// The helper's process, for whoever lists what belongs to a sandbox.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.link.id()
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

    /// As [`Self::hide`], but only if `object` is what is at the path: else it is refused
    /// ([`Step::HostChanged`], [`Step::Place`]), and nothing is changed. What is covered already is
    /// left so. Such a cover is never taken away.
    ///
    /// # Errors
    /// See [`Error`].
    ///
    /// [`Step::HostChanged`]: crate::Step::HostChanged
    /// [`Step::Place`]: crate::Step::Place
    pub fn cover(&mut self, object: BorrowedFd<'_>, path: &Path) -> Result<(), Error> {
        let request = Request::Cover { path: place(path)? };
        self.ask(path, &request, Some(object)).map(drop)
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
        let message = request.encode().ok_or_else(|| Error::Path(path.to_owned()))?;
        self.link.send(&message, object.as_slice())?;
        self.hear()?.map_err(|refusal| Error::refused(path, refusal))
    }

    /// The helper's next message.
    fn hear(&mut self) -> Result<Reply, Error> {
        let mut message = [0; REPLY + 1];
        let (length, _) = self.link.receive(&mut message)?;
        let reply = message.get(..length).and_then(decode_reply);
        reply.ok_or_else(|| self.link.end(Broken::Ended).into())
    }
}

/// The bytes of a path at which something can be mounted.
fn place(path: &Path) -> Result<&[u8], Error> {
    let bytes = path.as_os_str().as_bytes();
    if is_place(bytes) { Ok(bytes) } else { Err(Error::Path(path.to_owned())) }
}

//! The side of whoever starts the helper.

use crate::control::receive;
use crate::protocol::{Config, MAX_FDS, MAX_MESSAGE, MAX_RULES, Order, Report, decode, encode};
use crate::{COMMAND, CONFIG, SOCKET};
use command_fds::{CommandFdExt as _, FdMapping};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, SeekFrom, memfd_create, seek};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, Shutdown, SocketFlags,
    SocketType, sendmsg, shutdown, socketpair,
};
use std::fs::File;
use std::io::{self, IoSlice, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use swathe_netrules::{Rule, Rules};

/// How long the helper may take to begin, and its end to come.
const PATIENCE: Duration = Duration::from_secs(10);
const DEATH: Duration = Duration::from_secs(1);
/// How long it may take to say its last words, which it gives itself half of.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A running helper. Dropped, it is ended, and with it every connection of the sandbox; what it has
/// decided until then can be heard before.
#[derive(Debug)]
pub struct Helper {
    link: Link,
    process: Child,
}

/// The socket to a helper, for several threads.
#[derive(Debug, Clone)]
pub struct Link(Arc<OwnedFd>);

impl Helper {
    /// Starts it: `program` is executed with the word [`COMMAND`], on which it calls
    /// [`serve`](crate::serve). It has no sockets yet.
    ///
    /// # Errors
    /// No process, no descriptors.
    pub fn start(program: &Path, config: &Config) -> io::Result<Self> {
        let kind = SocketType::SEQPACKET;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
        let text = memfd_create("network", MemfdFlags::CLOEXEC)?;
        let mut text = File::from(text);
        text.write_all(&serde_json::to_vec(config)?)?;
        seek(&text, SeekFrom::Start(0))?;
        let mut command = Command::new(program);
        command.arg(COMMAND).env_clear().current_dir("/");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let fds = [(SOCKET, theirs), (CONFIG, text.into())];
        let fds = fds.map(|(child_fd, parent_fd)| FdMapping { parent_fd, child_fd });
        command.fd_mappings(fds.into()).map_err(io::Error::other)?;
        let process = command.spawn()?;
        // It holds the other end of the socket.
        drop(command);
        Ok(Self { link: Link(Arc::new(ours)), process })
    }

    /// The socket to it.
    #[must_use]
    pub fn link(&self) -> Link {
        self.link.clone()
    }

    fn ends_within(&mut self, patience: Duration) -> bool {
        let end = Instant::now() + patience;
        loop {
            match self.process.try_wait() {
                Ok(None) if Instant::now() < end => std::thread::sleep(Duration::from_millis(1)),
                ended => return !matches!(ended, Ok(None)),
            }
        }
    }

    /// Its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // There are no more orders: it ends by itself when it has said what it has to say.
        let _ = shutdown(&self.link.0, Shutdown::Write);
        if !self.ends_within(LAST_WORDS) {
            drop(self.process.kill());
            self.ends_within(DEATH);
        }
    }
}

impl Link {
    /// Tells it something, with descriptors where the order speaks of them.
    ///
    /// # Errors
    /// It has ended, or the order is too long.
    pub fn send(&self, order: &Order, fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let bytes = encode(order).ok_or_else(|| io::Error::other("too many rules"))?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(Errno::NOBUFS.into());
        }
        loop {
            match sendmsg(&self.0, &[IoSlice::new(&bytes)], &mut control, SendFlags::NOSIGNAL) {
                Err(Errno::INTR) => {}
                other => return other.map(drop).map_err(Into::into),
            }
        }
    }

    /// Has it go by other rules, told in as many messages as it takes.
    ///
    /// # Errors
    /// As [`Link::send`].
    pub fn go_by(&self, rules: &Rules, ask: bool) -> io::Result<()> {
        let parts = |rules: &[Rule]| rules.chunks(MAX_RULES).map(<[Rule]>::to_vec).collect();
        let (allow, deny): (Vec<_>, Vec<_>) = (parts(&rules.allow), parts(&rules.deny));
        let allow = allow.into_iter().map(|allow| Rules { allow, ..Rules::default() });
        let deny = deny.into_iter().map(|deny| Rules { deny, ..Rules::default() });
        for rules in allow.chain(deny) {
            self.send(&Order::Rules { rules, ask, last: false }, &[])?;
        }
        self.send(&Order::Rules { rules: Rules::default(), ask, last: true }, &[])
    }

    /// Gives it sockets, in as many messages as it takes; they are its own then.
    ///
    /// # Errors
    /// As [`Link::send`].
    pub fn give(&self, sockets: Vec<(crate::protocol::Role, OwnedFd)>) -> io::Result<()> {
        for part in sockets.chunks(MAX_FDS) {
            let roles = part.iter().map(|(role, _)| *role).collect();
            let fds: Vec<_> = part.iter().map(|(_, fd)| fd.as_fd()).collect();
            self.send(&Order::Sockets(roles), &fds)?;
        }
        Ok(())
    }

    /// What it reports next; none when it has ended.
    ///
    /// # Errors
    /// It says what nobody understands: it is broken.
    pub fn next(&self) -> io::Result<Option<Report>> {
        let mut buffer = vec![0; MAX_MESSAGE];
        loop {
            wait(&self.0, None)?;
            match receive(&self.0, &mut buffer) {
                Ok((0, _)) => return Ok(None),
                Ok((length, _)) => {
                    let report = buffer.get(..length).and_then(decode);
                    let wrong = || io::Error::other("the helper for the network is broken");
                    return report.map(Some).ok_or_else(wrong);
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) if e.kind() == io::ErrorKind::ConnectionReset => return Ok(None),
                Err(e) => return Err(e),
            }
        }
    }

    /// Has it begin, and waits until it has: nothing of the sandbox should run before.
    ///
    /// # Errors
    /// It does not, or not in time.
    pub fn begin(&self) -> io::Result<()> {
        self.send(&Order::Begin, &[])?;
        if !wait(&self.0, Some(PATIENCE))? {
            return Err(io::ErrorKind::TimedOut.into());
        }
        match self.next()? {
            Some(Report::Ready) => Ok(()),
            Some(Report::Trouble(text)) => Err(io::Error::other(text)),
            _ => Err(io::Error::other("the helper for the network has ended")),
        }
    }
}

/// Whether there is something to read, or the end.
fn wait(socket: &OwnedFd, patience: Option<Duration>) -> io::Result<bool> {
    let timeout = patience.map(|time| Timespec::try_from(time).unwrap_or_default());
    loop {
        match poll(&mut [PollFd::new(socket, PollFlags::IN)], timeout.as_ref()) {
            Err(Errno::INTR) => {}
            other => return Ok(other? > 0),
        }
    }
}

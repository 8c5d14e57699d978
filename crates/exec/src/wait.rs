//! The channel between launcher and sandbox, and small helpers of waiting and closing.

use crate::documents::KINDS;
use crate::failure::{At, Failure, MESSAGE_SIZE, Message, Result, Stage};
use alloc::vec::Vec;
use swathe_sys::rustix::event::{PollFd, PollFlags, poll};
use swathe_sys::rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use swathe_sys::rustix::io::IoSliceMut;
use swathe_sys::rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SocketFlags, SocketType,
    recv, socketpair,
};
use swathe_sys::rustix::process::WaitStatus;
use swathe_sys::{Errno, process, rustix};

/// One end of the channel. Its messages are whole or absent; its end of file is the other's death.
#[derive(Debug)]
pub struct Channel(OwnedFd);

/// What was heard from the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// A message.
    Message(Message),
    /// All copies of the other end are closed.
    End,
}

impl Channel {
    /// Both ends: the launcher's, and the sandbox's.
    pub fn pair() -> Result<(Self, Self)> {
        let (a, b) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .at(Stage::Channel)?;
        Ok((Self(a), Self(b)))
    }

    /// Sends a message; a peer that is gone needs none. By write(2), the call that filters allow
    /// most of all. SIGPIPE does no harm: pid 1 of a namespace ignores what it has no handler for,
    /// other reapers ignore it, and for a set-up the launcher's death is the end anyway.
    pub fn send(&self, message: Message) {
        let bytes = message.encode();
        while rustix::io::write(&self.0, &bytes) == Err(Errno::INTR) {}
    }

    /// Lets the sandbox's process go on; one that has gone is noticed by the monitor.
    pub fn go(&self) -> Result<()> {
        let bytes = Message::Ready.encode();
        loop {
            match rustix::net::send(&self.0, &bytes, rustix::net::SendFlags::NOSIGNAL) {
                Err(Errno::INTR) => {}
                Ok(_) | Err(Errno::PIPE) => return Ok(()),
                Err(e) => return Err(e).at(Stage::Channel),
            }
        }
    }

    /// Tells the numbers of the namespaces.
    pub fn send_ids(&self, ids: [u64; KINDS]) -> Result<()> {
        let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_ne_bytes()).collect();
        rustix::net::send(&self.0, &bytes, rustix::net::SendFlags::NOSIGNAL)
            .map(drop)
            .at(Stage::Channel)
    }

    /// Waits for the numbers of the namespaces, or for the failure that comes instead.
    pub fn hear_ids(&self) -> Result<[u64; KINDS]> {
        let mut bytes = [0; 8 * KINDS];
        let n = loop {
            match rustix::io::read(&self.0, &mut bytes) {
                Err(Errno::INTR) => {}
                other => break other.at(Stage::Channel)?,
            }
        };
        if n == bytes.len() {
            let word = |i: usize| bytes[8 * i..8 * i + 8].try_into().unwrap_or_default();
            return Ok(core::array::from_fn(|i| u64::from_ne_bytes(word(i))));
        }
        match Message::decode(&bytes[..n]) {
            Some(Message::Failed(failure)) => Err(failure),
            _ => Err(Failure::found(Stage::Died)),
        }
    }

    /// Waits until the launcher lets this process go on; false when it never will.
    pub fn wait_for_go(&self) -> bool {
        matches!(self.hear(), Heard::Message(Message::Ready))
    }

    /// Waits for what the other end says.
    pub fn hear(&self) -> Heard {
        let mut bytes = [0; MESSAGE_SIZE];
        loop {
            match rustix::io::read(&self.0, &mut bytes) {
                Ok(0) => return Heard::End,
                Ok(n) => {
                    return Message::decode(&bytes[..n]).map_or(Heard::End, Heard::Message);
                }
                Err(Errno::INTR) => {}
                Err(_) => return Heard::End,
            }
        }
    }

    /// Makes [`Self::hear_from`] tell the sender.
    pub fn tell_senders(&self) -> Result<()> {
        rustix::net::sockopt::set_socket_passcred(&self.0, true).at(Stage::Channel)
    }

    /// Like [`Self::hear`]; also the sender's pid as this process sees it (0: not known).
    pub fn hear_from(&self) -> (Heard, i32) {
        let mut bytes = [0; MESSAGE_SIZE];
        let mut space = [core::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmCredentials(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let n = loop {
            let mut into = [IoSliceMut::new(&mut bytes)];
            let flags = RecvFlags::CMSG_CLOEXEC;
            match rustix::net::recvmsg(&self.0, &mut into, &mut ancillary, flags) {
                Ok(received) => break received.bytes,
                Err(Errno::INTR) => {}
                Err(_) => return (Heard::End, 0),
            }
        };
        let sender = ancillary.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmCredentials(from) => Some(from.pid.as_raw_nonzero().get()),
            _ => None,
        });
        let heard = Message::decode(&bytes[..n]).map_or(Heard::End, Heard::Message);
        (heard, sender.unwrap_or(0))
    }

    /// Whether the other end is still open.
    pub fn has_peer(&self) -> bool {
        let mut byte = [0; 1];
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        match recv(&self.0, &mut byte[..], flags) {
            Ok((0, _)) => false,
            Ok(_) | Err(Errno::AGAIN | Errno::INTR) => true,
            Err(_) => false,
        }
    }
}

impl AsRawFd for Channel {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The exit status that stands for how a process ended: its own, or 128 and the signal.
pub fn status_code(status: WaitStatus) -> i32 {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => code,
        (None, Some(signal)) => 128 + signal,
        _ => 1,
    }
}

/// Closes, or only marks close-on-exec, every descriptor above 2 but `keep`.
pub fn close_all(keep: &[RawFd], cloexec: bool) -> core::result::Result<(), Errno> {
    let mut keep: Vec<u32> = keep.iter().filter_map(|&fd| u32::try_from(fd).ok()).collect();
    keep.push(2);
    keep.sort_unstable();
    let mut first = 3;
    for &fd in keep.iter().filter(|&&fd| fd > 2) {
        if fd > first {
            range(first, fd - 1, cloexec)?;
        }
        first = fd + 1;
    }
    range(first, u32::MAX, cloexec)
}

fn range(first: u32, last: u32, cloexec: bool) -> core::result::Result<(), Errno> {
    match process::close_range(first, last, cloexec) {
        Err(Errno::NOSYS | Errno::INVAL) => one_by_one(first, last, cloexec),
        other => other,
    }
}

/// For kernels without close_range(2): every number that a descriptor can have had. The limit of
/// this process says nothing, it may have been lowered; fs.nr_open is 2^20 unless it was raised.
fn one_by_one(first: u32, last: u32, cloexec: bool) -> core::result::Result<(), Errno> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    let most = limit.unwrap_or(0).clamp(1 << 20, 1 << 26) as u32;
    for number in first..=last.min(most) {
        let Ok(number) = RawFd::try_from(number) else { break };
        if cloexec {
            if let Ok(fd) = process::borrow_fd(number) {
                rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::CLOEXEC)?;
            }
        } else {
            process::close_fd(number);
        }
    }
    Ok(())
}

/// Waits until one of the descriptors has something to say (input, hang-up or error); returns which
/// have.
pub fn ready<const N: usize>(fds: [Option<BorrowedFd<'_>>; N], flags: [PollFlags; N]) -> [bool; N] {
    let mut out = [false; N];
    // The channel stands in for what is not given; its answer is not looked at.
    let Some(any) = fds.iter().flatten().next() else { return out };
    let mut polled: [PollFd<'_>; N] = core::array::from_fn(|i| {
        let (fd, flags) = match &fds[i] {
            Some(fd) => (fd, flags[i]),
            None => (any, PollFlags::empty()),
        };
        PollFd::from_borrowed_fd(*fd, flags)
    });
    if poll(&mut polled, None).is_ok() {
        for (i, fd) in polled.iter().enumerate() {
            out[i] = fds[i].is_some() && !fd.revents().is_empty();
        }
    }
    out
}

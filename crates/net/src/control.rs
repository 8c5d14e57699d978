//! The helper's side of the socket to whoever started it. What is said is bounded and never waited
//! for: a report that nobody takes is left out, and counted.

use crate::protocol::{MAX_FDS, MAX_MESSAGE, Order, Report, decode, encode};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendFlags, recvmsg, send,
};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use tokio::io::Interest;
use tokio::net::UnixDatagram;
use tokio::sync::Notify;

/// Reports that wait to be taken.
const MAX_WAITING: usize = 4096;

/// The socket, for several tasks.
#[derive(Debug)]
pub struct Control {
    socket: UnixDatagram,
    waiting: RefCell<VecDeque<Report>>,
    lost: Cell<u64>,
    more: Notify,
    ending: Cell<bool>,
}

impl Control {
    /// # Errors
    /// Of epoll(7).
    pub fn new(socket: OwnedFd) -> io::Result<Rc<Self>> {
        rustix::io::ioctl_fionbio(&socket, true)?;
        let socket = UnixDatagram::from_std(socket.into())?;
        let (waiting, lost, more) = (RefCell::default(), Cell::default(), Notify::new());
        Ok(Rc::new(Self { socket, waiting, lost, more, ending: Cell::new(false) }))
    }

    /// Has [`Control::send_reports`] return when all is said.
    pub fn end(&self) {
        self.ending.set(true);
        self.more.notify_one();
    }

    /// Has something said; false: there is too much already, and it will not be.
    pub fn say(&self, report: Report) -> bool {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.len() >= MAX_WAITING {
            self.lost.set(self.lost.get().saturating_add(1));
            return false;
        }
        waiting.push_back(report);
        self.more.notify_one();
        true
    }

    /// Says what is to be said, until nobody listens any more, or to the [end](Control::end).
    pub async fn send_reports(&self) -> io::Result<()> {
        loop {
            let next = self.waiting.borrow_mut().pop_front();
            let report = match next {
                Some(report) => report,
                None if self.lost.get() > 0 => Report::Lost(self.lost.take()),
                None if self.ending.get() => return Ok(()),
                None => {
                    self.more.notified().await;
                    continue;
                }
            };
            let Some(bytes) = encode(&report) else {
                self.lost.set(self.lost.get().saturating_add(1));
                continue;
            };
            let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
            let write = || send(&self.socket, &bytes, flags).map_err(Into::into);
            self.socket.async_io(Interest::WRITABLE, write).await?;
        }
    }

    /// The next order, and its descriptors; none when there is nobody any more.
    ///
    /// # Errors
    /// It was not understood: whoever started the helper is another version, or broken.
    pub async fn next(&self) -> io::Result<Option<(Order, Vec<OwnedFd>)>> {
        let mut buffer = vec![0; MAX_MESSAGE];
        let read = || receive(&self.socket, &mut buffer);
        let (length, fds) = self.socket.async_io(Interest::READABLE, read).await?;
        if length == 0 {
            return Ok(None);
        }
        let order = buffer.get(..length).and_then(decode);
        let wrong = || io::Error::other("an order that is not understood");
        order.map(|order| Some((order, fds))).ok_or_else(wrong)
    }
}

/// One message and its descriptors.
///
/// # Errors
/// Of recvmsg(2), or the message did not fit.
pub fn receive(socket: impl AsFd, buffer: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    let message = loop {
        let parts = &mut [IoSliceMut::new(buffer)];
        match recvmsg(&socket, parts, &mut control, flags) {
            Err(Errno::INTR) => {}
            other => break other?,
        }
    };
    let mut fds = Vec::new();
    for part in control.drain() {
        if let RecvAncillaryMessage::ScmRights(more) = part {
            fds.extend(more);
        }
    }
    if message.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
        return Err(io::Error::other("a message that is too long"));
    }
    Ok((message.bytes, fds))
}

//! Netlink, as much as is needed: messages are written, and the kernel says whether it did what they
//! say (netlink(7)).

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with,
};
use std::os::fd::OwnedFd;

/// `NLM_F_REQUEST`.
const REQUEST: u16 = 1;
/// `NLM_F_ACK`: the kernel says so when it has been done, too.
const ACK: u16 = 4;
/// `NLM_F_CREATE`.
pub const CREATE: u16 = 0x400;
/// `NLM_F_EXCL`.
pub const EXCLUSIVE: u16 = 0x200;
/// `NLM_F_APPEND`.
pub const APPEND: u16 = 0x800;

/// `NLMSG_ERROR`.
const ERROR: u16 = 2;
/// Bytes of a message's head (`struct nlmsghdr`).
const HEAD: usize = 16;
/// `NLA_F_NESTED`.
const NESTED: u16 = 0x8000;

/// Room for an answer: an error repeats the message that it is about.
const ANSWER: usize = 8192;

/// Messages that are sent together.
#[derive(Default)]
pub struct Batch {
    bytes: Vec<u8>,
    sequence: u32,
    awaited: u32,
}

/// The inside of a message or an attribute.
pub struct Body<'a>(&'a mut Vec<u8>);

impl Body<'_> {
    /// Plain bytes: the fixed part, at the beginning.
    pub fn plain(&mut self, bytes: &[u8]) {
        self.0.extend(bytes);
        pad(self.0);
    }

    /// An attribute.
    pub fn attribute(&mut self, kind: u16, value: &[u8]) {
        self.write(kind, |body| body.0.extend(value));
    }

    /// An attribute whose value is text with a NUL.
    pub fn text(&mut self, kind: u16, value: &str) {
        self.write(kind, |body| body.0.extend([value.as_bytes(), b"\0"].concat()));
    }

    /// An attribute whose value is a number in network byte order, as nftables wants it.
    pub fn number(&mut self, kind: u16, value: u32) {
        self.attribute(kind, &value.to_be_bytes());
    }

    /// An attribute whose value is attributes.
    pub fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Body<'_>)) {
        self.write(kind | NESTED, fill);
    }

    fn write(&mut self, kind: u16, fill: impl FnOnce(&mut Body<'_>)) {
        let start = self.0.len();
        self.0.extend([0; 4]);
        fill(&mut Body(self.0));
        let length = u16::try_from(self.0.len() - start).unwrap_or(u16::MAX);
        put(self.0, start, &length.to_ne_bytes());
        put(self.0, start + 2, &kind.to_ne_bytes());
        pad(self.0);
    }
}

impl Batch {
    /// Adds a message whose outcome is awaited.
    pub fn add(&mut self, kind: u16, flags: u16, fill: impl FnOnce(&mut Body<'_>)) {
        self.awaited += 1;
        self.write(kind, flags | ACK, fill);
    }

    /// Adds a message that the kernel says nothing of.
    pub fn add_quietly(&mut self, kind: u16, fill: impl FnOnce(&mut Body<'_>)) {
        self.write(kind, 0, fill);
    }

    fn write(&mut self, kind: u16, flags: u16, fill: impl FnOnce(&mut Body<'_>)) {
        let start = self.bytes.len();
        self.sequence += 1;
        self.bytes.extend([0; 4]);
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend((flags | REQUEST).to_ne_bytes());
        self.bytes.extend(self.sequence.to_ne_bytes());
        self.bytes.extend([0; 4]);
        fill(&mut Body(&mut self.bytes));
        let length = u32::try_from(self.bytes.len() - start).unwrap_or(u32::MAX);
        put(&mut self.bytes, start, &length.to_ne_bytes());
    }

    /// Sends all by a new socket (without a protocol: rtnetlink), and waits for nothing: the kernel
    /// has answered when it has taken them.
    pub fn send(&self, protocol: Option<Protocol>) -> Result<(), Errno> {
        let socket =
            socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)?;
        send(&socket, &self.bytes, SendFlags::empty())?;
        let mut left = self.awaited;
        while left > 0 {
            left = left.saturating_sub(self.answers(&socket)?);
        }
        Ok(())
    }

    /// How many messages were done, of the next answers.
    fn answers(&self, socket: &OwnedFd) -> Result<u32, Errno> {
        let mut buffer = vec![0; ANSWER];
        let (_, length) = recv(socket, &mut buffer[..], RecvFlags::DONTWAIT)?;
        let mut rest = buffer.get(..length).ok_or(Errno::BADMSG)?;
        let mut done = 0;
        while !rest.is_empty() {
            let (length, kind) = head(rest).ok_or(Errno::BADMSG)?;
            let message = rest.get(..length).ok_or(Errno::BADMSG)?;
            if kind == ERROR {
                let code = message.get(HEAD..).and_then(|rest| rest.first_chunk());
                match code.map(|code| i32::from_ne_bytes(*code)).ok_or(Errno::BADMSG)? {
                    0 => done += 1,
                    code @ -4095..0 => return Err(Errno::from_raw_os_error(-code)),
                    _ => return Err(Errno::BADMSG),
                }
            }
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        Ok(done)
    }
}

/// The length of the message that begins here, which is that of its head or more, and its kind.
fn head(bytes: &[u8]) -> Option<(usize, u16)> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_ne_bytes(*length)).ok()?;
    let kind = u16::from_ne_bytes(*rest.first_chunk()?);
    (length >= HEAD).then_some((length, kind))
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    for (to, from) in bytes.iter_mut().skip(at).zip(value) {
        *to = *from;
    }
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

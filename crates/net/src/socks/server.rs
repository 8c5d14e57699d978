//! The side of a proxy.

use super::{
    ADDRESS_V4, ADDRESS_V6, CONNECT, DOMAIN, NO_AUTHENTICATION, NONE_ACCEPTABLE, Reader, V4, V5,
};
use crate::target::Target;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The longest text of SOCKS 4 (user, name), in bytes without its NUL.
const LONGEST_TEXT: usize = 255;

/// Reads what a client says until it has asked for a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Server {
    /// SOCKS 5, and the client knows that no password is wanted.
    greeted: bool,
}

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The message is not here as a whole. It has at most 600 bytes.
    NeedMore,
    /// So many bytes were read, and this is to be answered; the next message follows.
    Say {
        /// Bytes to take off the front.
        used: usize,
        /// The answer.
        bytes: [u8; 2],
    },
    /// A connection is asked for. [`Request::reply`] answers.
    Connect {
        /// Bytes to take off the front; what is behind them is for the server.
        used: usize,
        /// Where to.
        request: Request,
    },
}

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The host.
    pub target: Target,
    /// The port, not 0.
    pub port: u16,
    version: u8,
}

/// A client that is not served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// The answer before the end; empty for what is no SOCKS.
    pub reply: Vec<u8>,
    /// Why, for people.
    pub reason: &'static str,
}

/// What a request comes to (RFC 1928, 6). SOCKS 4 knows only the first and that it was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reply {
    /// The connection is there.
    Succeeded = 0,
    /// Something else failed.
    Failed = 1,
    /// The rules refuse it.
    NotAllowed = 2,
    /// No way to the network.
    NetworkUnreachable = 3,
    /// No way to the host, or its name leads nowhere.
    HostUnreachable = 4,
    /// The host refuses.
    ConnectionRefused = 5,
    /// It took too long.
    TimedOut = 6,
    /// Something other than a connection was asked for.
    CommandNotSupported = 7,
    /// An address of an unknown kind, or a name that is none.
    AddressNotSupported = 8,
}

impl Request {
    /// The answer to this request. The address in it is all zeros: no client has a use for it, and
    /// the real one is the host's.
    #[must_use]
    pub fn reply(&self, reply: Reply) -> Vec<u8> {
        encode(self.version, reply)
    }
}

fn encode(version: u8, reply: Reply) -> Vec<u8> {
    const GRANTED: u8 = 90;
    const REJECTED: u8 = 91;
    if version == V4 {
        let code = if reply == Reply::Succeeded { GRANTED } else { REJECTED };
        return vec![0, code, 0, 0, 0, 0, 0, 0];
    }
    vec![V5, reply as u8, 0, ADDRESS_V4, 0, 0, 0, 0, 0, 0]
}

fn rejected(version: u8, reply: Reply, reason: &'static str) -> Rejected {
    Rejected { reply: encode(version, reply), reason }
}

impl Server {
    /// A client that has said nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Looks at what the client sent and was not taken off yet, old and new.
    ///
    /// # Errors
    /// The client asks for something that there is not.
    pub fn push(&mut self, pending: &[u8]) -> Result<Outcome, Rejected> {
        let Some(version) = pending.first() else { return Ok(Outcome::NeedMore) };
        let mut reader = Reader::new(pending);
        match (*version, self.greeted) {
            (V5, false) => self.greet(&mut reader),
            (V5, true) => request5(&mut reader),
            (V4, false) => request4(&mut reader),
            _ => Err(Rejected { reply: Vec::new(), reason: "no SOCKS 4 or 5" }),
        }
    }

    fn greet(&mut self, reader: &mut Reader<'_>) -> Result<Outcome, Rejected> {
        let methods = reader.byte().and_then(|_| reader.short());
        let Some(methods) = methods else { return Ok(Outcome::NeedMore) };
        if !methods.contains(&NO_AUTHENTICATION) {
            return Err(Rejected {
                reply: vec![V5, NONE_ACCEPTABLE],
                reason: "the client insists on a password, and there is none",
            });
        }
        self.greeted = true;
        Ok(Outcome::Say { used: reader.used, bytes: [V5, NO_AUTHENTICATION] })
    }
}

fn request5(reader: &mut Reader<'_>) -> Result<Outcome, Rejected> {
    let Some([_, command, _, kind]) = reader.array() else { return Ok(Outcome::NeedMore) };
    if command != CONNECT {
        let reason = "only connections are made (no BIND, no UDP ASSOCIATE)";
        return Err(rejected(V5, Reply::CommandNotSupported, reason));
    }
    let target = match kind {
        ADDRESS_V4 => reader.array::<4>().map(|a| Some(address(Ipv4Addr::from(a)))),
        ADDRESS_V6 => reader.array::<16>().map(|a| Some(address(Ipv6Addr::from(a)))),
        DOMAIN => reader.short().map(Target::parse),
        _ => {
            let reason = "an address of an unknown kind";
            return Err(rejected(V5, Reply::AddressNotSupported, reason));
        }
    };
    let (Some(target), Some(port)) = (target, reader.port()) else { return Ok(Outcome::NeedMore) };
    connect(V5, target, port, reader.used)
}

fn request4(reader: &mut Reader<'_>) -> Result<Outcome, Rejected> {
    let Some([_, command]) = reader.array() else { return Ok(Outcome::NeedMore) };
    if command != CONNECT {
        return Err(rejected(
            V4,
            Reply::CommandNotSupported,
            "only connections are made (no BIND)",
        ));
    }
    let (Some(port), Some(ip)) = (reader.port(), reader.array::<4>()) else {
        return Ok(Outcome::NeedMore);
    };
    if text(reader)?.is_none() {
        return Ok(Outcome::NeedMore);
    }
    // 4a: an address that nobody has stands for a name behind the user.
    let named = ip[..3] == [0; 3] && ip[3] != 0;
    let target = match named {
        false => Some(address(Ipv4Addr::from(ip))),
        true => match text(reader)? {
            None => return Ok(Outcome::NeedMore),
            Some(name) => Target::parse(name),
        },
    };
    connect(V4, target, port, reader.used)
}

/// A text that ends in NUL.
fn text<'a>(reader: &mut Reader<'a>) -> Result<Option<&'a [u8]>, Rejected> {
    let rest = &reader.bytes[reader.used..];
    match rest.iter().take(LONGEST_TEXT + 1).position(|byte| *byte == 0) {
        Some(end) => {
            reader.used += end + 1;
            Ok(Some(&rest[..end]))
        }
        None if rest.len() > LONGEST_TEXT => {
            Err(rejected(V4, Reply::Failed, "a text of more than 255 bytes"))
        }
        None => Ok(None),
    }
}

fn connect(
    version: u8,
    target: Option<Target>,
    port: u16,
    used: usize,
) -> Result<Outcome, Rejected> {
    match target {
        _ if port == 0 => Err(rejected(version, Reply::AddressNotSupported, "port 0")),
        None => {
            let reason = "neither the name of a host nor an address";
            Err(rejected(version, Reply::AddressNotSupported, reason))
        }
        Some(target) => Ok(Outcome::Connect { used, request: Request { target, port, version } }),
    }
}

fn address(address: impl Into<IpAddr>) -> Target {
    Target::Address(address.into())
}

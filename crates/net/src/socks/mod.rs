//! SOCKS 5 (RFC 1928), 4 and 4a: as a server for programs that insist on a proxy, and as a client
//! of an upstream proxy (SOCKS 5, RFC 1929).
//!
//! The server asks for no user and no password: whoever reaches it is in the sandbox.

mod client;
mod server;

pub use client::{Client, ClientError, ClientStep};
pub use server::{Outcome, Rejected, Reply, Request, Server};

const V4: u8 = 4;
const V5: u8 = 5;
const CONNECT: u8 = 1;
const NO_AUTHENTICATION: u8 = 0;
const PASSWORD: u8 = 2;
const NONE_ACCEPTABLE: u8 = 0xff;
const ADDRESS_V4: u8 = 1;
const DOMAIN: u8 = 3;
const ADDRESS_V6: u8 = 4;

/// Reads the parts of a message one after the other; `None` is the end of what is there.
struct Reader<'a> {
    bytes: &'a [u8],
    used: usize,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, used: 0 }
    }

    fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let part = self.bytes.get(self.used..self.used.checked_add(count)?)?;
        self.used += count;
        Some(part)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }

    fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn port(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// Bytes behind a length of one byte.
    fn short(&mut self) -> Option<&'a [u8]> {
        let length = self.byte()?;
        self.bytes(length.into())
    }
}

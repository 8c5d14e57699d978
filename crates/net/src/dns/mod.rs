//! Messages of DNS (RFC 1035, 6891, 8914): what a sandbox asks and is answered, and what resolvers
//! of the host are asked and answer. Both sides are hostile; nothing here does I/O.
//!
//! What a sandbox sends never goes on: a question is read down to its name and kind, and a new
//! message is made of these. Of an answer only the records asked for are taken, under the name that
//! was asked for.

mod answer;
mod query;
#[cfg(test)]
mod tests;

pub use answer::{Answer, Records, Unusable, answer, question};
pub use query::{
    Bad, Query, Transport, addresses, failed, no_data, no_such_name, parse, pointer, records,
    refused,
};

use hickory_proto::rr::{Name as WireName, RecordType};
use swathe_netrules::name::Name;

/// The largest question of a sandbox that is looked at, in bytes.
pub const LARGEST_QUERY: usize = 4096;
/// The largest message over UDP, in bytes: it is never fragmented (DNS flag day 2020).
pub const UDP_PAYLOAD: u16 = 1232;
/// The most addresses or records that one answer has.
pub const MOST_RECORDS: usize = 64;
/// The longest that an answer is good for, in seconds: one day.
pub const LONGEST_TTL: u32 = 86_400;
/// How many aliases (CNAME) an answer may lead through.
pub const MOST_ALIASES: usize = 16;

/// Length of a message's header.
const HEADER: usize = 12;

/// What is asked about a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// The name of an address.
    Ptr,
    /// The name that this one stands for.
    Cname,
    /// Mail servers.
    Mx,
    /// Texts.
    Txt,
    /// Servers of a service.
    Srv,
    /// Name servers.
    Ns,
    /// Who may issue certificates.
    Caa,
    /// Anything else, by its number: answered with nothing, so that a program does without.
    Other(u16),
}

impl Kind {
    /// Whether records of this kind are passed on from the host's resolver. The others are made
    /// here, or there are none: HTTPS and SVCB (65, 64) would tell addresses past the pool.
    #[must_use]
    pub fn passed_on(self) -> bool {
        matches!(self, Self::Cname | Self::Mx | Self::Txt | Self::Srv | Self::Ns | Self::Caa)
    }

    fn wire(self) -> RecordType {
        match self {
            Self::A => RecordType::A,
            Self::Aaaa => RecordType::AAAA,
            Self::Ptr => RecordType::PTR,
            Self::Cname => RecordType::CNAME,
            Self::Mx => RecordType::MX,
            Self::Txt => RecordType::TXT,
            Self::Srv => RecordType::SRV,
            Self::Ns => RecordType::NS,
            Self::Caa => RecordType::CAA,
            Self::Other(number) => RecordType::from(number),
        }
    }
}

impl From<RecordType> for Kind {
    fn from(kind: RecordType) -> Self {
        match kind {
            RecordType::A => Self::A,
            RecordType::AAAA => Self::Aaaa,
            RecordType::PTR => Self::Ptr,
            RecordType::CNAME => Self::Cname,
            RecordType::MX => Self::Mx,
            RecordType::TXT => Self::Txt,
            RecordType::SRV => Self::Srv,
            RecordType::NS => Self::Ns,
            RecordType::CAA => Self::Caa,
            other => Self::Other(other.into()),
        }
    }
}

/// What a stream (TCP) starts with: messages follow each other, each behind its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    /// The message is not here as a whole.
    NeedMore,
    /// A message: its place in the bytes. What follows begins at its end.
    Whole {
        /// The first byte.
        start: usize,
        /// The one after the last.
        end: usize,
    },
    /// It is longer than allowed: the stream is of no use any more.
    TooLong,
}

/// The first message of a stream, of at most `most` bytes.
#[must_use]
pub fn frame(stream: &[u8], most: usize) -> Frame {
    let Some((length, rest)) = stream.split_first_chunk::<2>() else { return Frame::NeedMore };
    match usize::from(u16::from_be_bytes(*length)) {
        length if length > most => Frame::TooLong,
        length if length > rest.len() => Frame::NeedMore,
        length => Frame::Whole { start: 2, end: 2 + length },
    }
}

/// A message as it is written to a stream. One that is too long for that is cut to nothing, which
/// no builder here makes.
#[must_use]
pub fn framed(message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap_or(0);
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.extend_from_slice(&message[..usize::from(length)]);
    bytes
}

/// The name in the form of messages. `None` for what is too long there, which no [`Name`] is.
fn to_wire(name: &Name) -> Option<WireName> {
    WireName::from_labels(name.as_str().split('.').map(str::as_bytes)).ok()
}

/// The name of a message in canonical form, if it is the name of a host.
fn from_wire(wire: &WireName) -> Option<Name> {
    let mut text = Vec::with_capacity(wire.len());
    for label in wire.iter() {
        // A dot within a label would become one between labels.
        if !label.is_ascii() || label.contains(&b'.') {
            return None;
        }
        text.extend_from_slice(label);
        text.push(b'.');
    }
    text.pop();
    Name::parse(&text).ok()
}

/// A number of two bytes in a header.
fn field(bytes: &[u8], at: usize) -> u16 {
    let byte = |at: usize| bytes.get(at).copied().unwrap_or(0);
    u16::from_be_bytes([byte(at), byte(at + 1)])
}

//! What a sandbox asks, and the answers that are made for it.

use super::{
    HEADER, Kind, LARGEST_QUERY, LONGEST_TTL, MOST_RECORDS, Records, UDP_PAYLOAD, field, from_wire,
    to_wire,
};
use hickory_proto::op::{Edns, Message, Metadata, OpCode, Query as Question, ResponseCode};
use hickory_proto::rr::rdata::opt::EdnsOption;
use hickory_proto::rr::rdata::{A, AAAA, PTR};
use hickory_proto::rr::{DNSClass, RData, Record};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};
use std::net::IpAddr;
use swathe_netrules::name::Name;

/// The longest reason in an answer, in bytes: with it, an answer still fits into 512 bytes.
const LONGEST_REASON: usize = 160;
/// The smallest message that every client takes over UDP.
const SMALLEST_PAYLOAD: u16 = 512;
/// Extended error "Prohibited" (RFC 8914, 4.19), and the number of the option that carries it.
const PROHIBITED: u16 = 18;
const EXTENDED_ERROR: u16 = 15;

/// How a question came, which bounds the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// At most what the client says that it takes, and 1,232 bytes; more is marked as cut (TC).
    Udp,
    /// At most 65,535 bytes.
    Tcp,
}

/// One question of a sandbox.
#[derive(Debug, Clone)]
pub struct Query {
    /// Of the request, with response bits set.
    metadata: Metadata,
    question: Question,
    name: Option<Name>,
    edns: bool,
    /// Bytes that an answer may have.
    limit: u16,
}

impl Query {
    /// The name asked about, if it is the name of a host.
    #[must_use]
    pub fn name(&self) -> Option<&Name> {
        self.name.as_ref()
    }

    /// The address whose name is asked for (`in-addr.arpa`, `ip6.arpa`).
    #[must_use]
    pub fn reverse(&self) -> Option<IpAddr> {
        if self.kind() != Kind::Ptr {
            return None;
        }
        let net = self.question.name.parse_arpa_name().ok()?;
        (net.prefix_len() == net.max_prefix_len()).then(|| net.addr())
    }

    /// What is asked about the name.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.question.query_type.into()
    }

    /// The name as it was asked, for people: printable ASCII, with escapes, at most 1,024 bytes.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = self.question.name.to_ascii();
        text.retain(|c| c.is_ascii_graphic());
        text.truncate(1024);
        text
    }
}

/// Why there is no question in a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bad {
    /// Nothing is answered: too short, too long, or itself an answer.
    Drop,
    /// This is answered.
    Reply(Vec<u8>),
}

/// Reads a question: exactly one, class IN, of at most [`LARGEST_QUERY`] bytes.
///
/// # Errors
/// [`Bad`] says what to do with anything else.
pub fn parse(bytes: &[u8], over: Transport) -> Result<Query, Bad> {
    const RESPONSE: u8 = 0x80;
    if !(HEADER..=LARGEST_QUERY).contains(&bytes.len()) || bytes[2] & RESPONSE != 0 {
        return Err(Bad::Drop);
    }
    let bare = |code| Bad::Reply(bare_error(bytes, code));
    if (bytes[2] >> 3) & 0xf != 0 {
        return Err(bare(ResponseCode::NotImp));
    }
    // One question, no answers, no authorities; EDNS, and room for a signature that is ignored.
    if [field(bytes, 4), field(bytes, 6), field(bytes, 8)] != [1, 0, 0] || field(bytes, 10) > 4 {
        return Err(bare(ResponseCode::FormErr));
    }
    let mut decoder = BinDecoder::new(bytes);
    let mut message = Message::read(&mut decoder).map_err(|_| bare(ResponseCode::FormErr))?;
    let question = message.queries.pop().ok_or_else(|| bare(ResponseCode::FormErr))?;
    if !decoder.is_empty() {
        return Err(bare(ResponseCode::FormErr));
    }
    let mut metadata = Metadata::response_from_request(&message.metadata);
    metadata.recursion_available = true;
    metadata.checking_disabled = false;
    let limit = match (over, &message.edns) {
        (Transport::Tcp, _) => u16::MAX,
        (Transport::Udp, None) => SMALLEST_PAYLOAD,
        (Transport::Udp, Some(edns)) => edns.max_payload().clamp(SMALLEST_PAYLOAD, UDP_PAYLOAD),
    };
    let class = question.query_class;
    let version = message.edns.as_ref().map_or(0, Edns::version);
    let name = from_wire(&question.name);
    let query = Query { metadata, question, name, edns: message.edns.is_some(), limit };
    if version != 0 {
        return Err(Bad::Reply(empty(&query, ResponseCode::BADVERS)));
    }
    if class != DNSClass::IN {
        return Err(Bad::Reply(empty(&query, ResponseCode::NotImp)));
    }
    Ok(query)
}

/// These addresses, those of the kind asked for, good for `ttl` seconds.
#[must_use]
pub fn addresses(query: &Query, addresses: &[IpAddr], ttl: u32) -> Vec<u8> {
    let data = addresses.iter().filter_map(|address| match (address, query.kind()) {
        (IpAddr::V4(v4), Kind::A) => Some(RData::A(A(*v4))),
        (IpAddr::V6(v6), Kind::Aaaa) => Some(RData::AAAA(AAAA(*v6))),
        _ => None,
    });
    answered(query, data, ttl)
}

/// Records that the host's resolver gave for the name.
#[must_use]
pub fn records(query: &Query, records: &Records) -> Vec<u8> {
    answered(query, records.data.iter().cloned(), records.ttl)
}

/// The name of the address asked about.
#[must_use]
pub fn pointer(query: &Query, name: &Name, ttl: u32) -> Vec<u8> {
    answered(query, to_wire(name).map(|name| RData::PTR(PTR(name))), ttl)
}

/// The name exists, but has nothing of the kind asked for.
#[must_use]
pub fn no_data(query: &Query) -> Vec<u8> {
    empty(query, ResponseCode::NoError)
}

/// There is no such name (NXDOMAIN).
#[must_use]
pub fn no_such_name(query: &Query) -> Vec<u8> {
    empty(query, ResponseCode::NXDomain)
}

/// The rules refuse the name (REFUSED). A client that knows EDNS is told the reason as an extended
/// error, of which the first 160 bytes are kept.
#[must_use]
pub fn refused(query: &Query, reason: &str) -> Vec<u8> {
    let mut message = response(query, ResponseCode::Refused);
    if let Some(edns) = &mut message.edns {
        let reason = &reason[..reason.floor_char_boundary(LONGEST_REASON)];
        let option = [&PROHIBITED.to_be_bytes(), reason.as_bytes()].concat();
        edns.options_mut().insert(EdnsOption::Unknown(EXTENDED_ERROR, option));
    }
    encode(&message, query)
}

/// The name could not be resolved just now (SERVFAIL).
#[must_use]
pub fn failed(query: &Query) -> Vec<u8> {
    empty(query, ResponseCode::ServFail)
}

fn answered(query: &Query, data: impl IntoIterator<Item = RData>, ttl: u32) -> Vec<u8> {
    let mut message = response(query, ResponseCode::NoError);
    let owner = &query.question.name;
    let records = data.into_iter().take(MOST_RECORDS);
    message.add_answers(
        records.map(|data| Record::from_rdata(owner.clone(), ttl.min(LONGEST_TTL), data)),
    );
    encode(&message, query)
}

fn empty(query: &Query, code: ResponseCode) -> Vec<u8> {
    encode(&response(query, code), query)
}

fn response(query: &Query, code: ResponseCode) -> Message {
    let mut message = Message::response(query.metadata.id, OpCode::Query);
    message.metadata = query.metadata;
    message.metadata.response_code = code;
    message.add_query(query.question.clone());
    if query.edns {
        let mut edns = Edns::new();
        edns.set_max_payload(UDP_PAYLOAD);
        message.set_edns(edns);
    }
    message
}

/// The message in at most as many bytes as the client takes: with nothing but the question and the
/// mark where it would be more.
fn encode(message: &Message, query: &Query) -> Vec<u8> {
    let fits = |bytes: &Vec<u8>| bytes.len() <= usize::from(query.limit);
    if let Some(bytes) = message.to_vec().ok().filter(fits) {
        return bytes;
    }
    if let Some(bytes) = message.truncate().to_vec().ok().filter(fits) {
        return bytes;
    }
    bare_error(&query.metadata.id.to_be_bytes(), ResponseCode::ServFail)
}

/// An answer without anything but its header, for a question that could not be read.
fn bare_error(request: &[u8], code: ResponseCode) -> Vec<u8> {
    const OPCODE_AND_RECURSION: u8 = 0x79;
    let flags = request.get(2).copied().unwrap_or(0) & OPCODE_AND_RECURSION;
    let mut bytes = vec![0; HEADER];
    bytes[..2].copy_from_slice(&field(request, 0).to_be_bytes());
    bytes[2] = 0x80 | flags;
    bytes[3] = 0x80 | code.low();
    bytes
}

//! What resolvers of the host are asked, and what is believed of their answers.

use super::{
    HEADER, Kind, LONGEST_TTL, MOST_ALIASES, MOST_RECORDS, UDP_PAYLOAD, field, from_wire, to_wire,
};
use hickory_proto::op::{
    Edns, Header, Message, MessageType, OpCode, Query as Question, ResponseCode,
};
use hickory_proto::rr::{DNSClass, Name as WireName, RData, Record};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};
use std::fmt;
use std::net::IpAddr;
use swathe_netrules::name::Name;

/// How long "there is nothing" is good for where the answer does not say, in seconds; and at most.
const NEGATIVE_TTL: u32 = 30;
const LONGEST_NEGATIVE_TTL: u32 = 3600;

/// What a resolver answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Addresses at the end of all aliases, at least one and at most [`MOST_RECORDS`], each once.
    Addresses {
        /// All of the kind asked for.
        addresses: Vec<IpAddr>,
        /// How many seconds they are good for.
        ttl: u32,
    },
    /// Records of another kind.
    Records(Records),
    /// The name exists and has nothing of the kind.
    NoData {
        /// How many seconds that is good for.
        ttl: u32,
    },
    /// There is no such name.
    NoSuchName {
        /// How many seconds that is good for.
        ttl: u32,
    },
    /// The answer did not fit: ask again over TCP.
    Truncated,
}

/// Records that are passed on, at least one and at most [`MOST_RECORDS`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Records {
    pub(super) data: Vec<RData>,
    pub(super) ttl: u32,
}

impl Records {
    /// How many seconds they are good for.
    #[must_use]
    pub fn ttl(&self) -> u32 {
        self.ttl
    }

    /// The hosts that they name (of CNAME, MX, SRV and NS): a program will ask for these next.
    pub fn hosts(&self) -> impl Iterator<Item = Name> {
        self.data.iter().filter_map(|data| match data {
            RData::CNAME(name) => from_wire(name),
            RData::NS(name) => from_wire(name),
            RData::MX(mx) => from_wire(&mx.exchange),
            RData::SRV(srv) => from_wire(&srv.target),
            _ => None,
        })
    }
}

/// Why a message answers nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unusable {
    /// It is no answer to this question: late, misled, or forged. The right one may still come.
    Foreign,
    /// The resolver answers the question with nonsense; what is wrong.
    Malformed(&'static str),
    /// The resolver says that it cannot (SERVFAIL, REFUSED, …); its code.
    Failed(u8),
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign => f.write_str("it answers another question"),
            Self::Malformed(what) => write!(f, "the answer is malformed: {what}"),
            Self::Failed(code) => {
                write!(f, "the resolver answers: {}", ResponseCode::from_low(*code))
            }
        }
    }
}

impl std::error::Error for Unusable {}

/// A question to a resolver: recursion desired, EDNS with [`UDP_PAYLOAD`]. Nothing of what the
/// sandbox sent is in it but the canonical name.
#[must_use]
pub fn question(id: u16, name: &Name, kind: Kind) -> Vec<u8> {
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Question::query(to_wire(name).unwrap_or_default(), kind.wire()));
    let mut edns = Edns::new();
    edns.set_max_payload(UDP_PAYLOAD);
    message.set_edns(edns);
    message.to_vec().unwrap_or_default()
}

/// Reads what a resolver sent after `question(id, name, kind)`.
///
/// # Errors
/// [`Unusable::Foreign`] for what answers something else, the others for what ends the question.
pub fn answer(bytes: &[u8], id: u16, name: &Name, kind: Kind) -> Result<Answer, Unusable> {
    const RESPONSE_AND_OPCODE: u16 = 0xf800;
    const TRUNCATED: u16 = 0x0200;
    let flags = field(bytes, 2);
    if bytes.len() < HEADER || field(bytes, 0) != id || flags & RESPONSE_AND_OPCODE != 0x8000 {
        return Err(Unusable::Foreign);
    }
    let code = bytes[3] & 0xf;
    // Resolvers that do not know EDNS may send a header only.
    if bytes.len() == HEADER && field(bytes, 4) == 0 && code != 0 {
        return Err(Unusable::Failed(code));
    }
    let wire = to_wire(name).ok_or(Unusable::Foreign)?;
    let mut decoder = BinDecoder::new(bytes);
    let header = Header::read(&mut decoder).map_err(|_| Unusable::Foreign)?;
    let asked = Question::read(&mut decoder).map_err(|_| Unusable::Foreign)?;
    let same = asked.name == wire && asked.query_type == kind.wire();
    if header.counts.queries != 1 || !same || asked.query_class != DNSClass::IN {
        return Err(Unusable::Foreign);
    }
    // What follows may end anywhere.
    if flags & TRUNCATED != 0 {
        return Ok(Answer::Truncated);
    }
    let mut section = |count: u16, what| {
        Message::read_records(&mut decoder, count.into(), false, OpCode::Query)
            .map(|(records, ..)| records)
            .map_err(|_| Unusable::Malformed(what))
    };
    match code {
        0 | 3 => {}
        code => return Err(Unusable::Failed(code)),
    }
    let answers = section(header.counts.answers, "its answers")?;
    let authorities = section(header.counts.authorities, "its authorities")?;
    let ttl = negative_ttl(&authorities);
    if code == 3 {
        return Ok(Answer::NoSuchName { ttl });
    }
    Ok(select(&answers, wire, kind)?.unwrap_or(Answer::NoData { ttl }))
}

/// Follows aliases from `name`, and takes what is at their end.
fn select(answers: &[Record], mut name: WireName, kind: Kind) -> Result<Option<Answer>, Unusable> {
    let mut ttl = LONGEST_TTL;
    for _ in 0..=MOST_ALIASES {
        let own = || answers.iter().filter(|r| r.dns_class == DNSClass::IN && r.name == name);
        let found: Vec<&Record> =
            own().filter(|r| r.record_type() == kind.wire()).take(MOST_RECORDS).collect();
        if !found.is_empty() {
            let ttl = found.iter().fold(ttl, |ttl, record| ttl.min(seconds(record.ttl)));
            return Ok(taken(&found, kind, ttl));
        }
        let alias = own().find_map(|record| match &record.data {
            RData::CNAME(target) => Some((target.0.clone(), record.ttl)),
            _ => None,
        });
        let Some((target, good_for)) = alias else { return Ok(None) };
        name = target;
        ttl = ttl.min(seconds(good_for));
    }
    Err(Unusable::Malformed("more than 16 aliases"))
}

fn taken(found: &[&Record], kind: Kind, ttl: u32) -> Option<Answer> {
    if !matches!(kind, Kind::A | Kind::Aaaa) {
        let data = found.iter().map(|record| record.data.clone()).collect();
        return Some(Answer::Records(Records { data, ttl }));
    }
    let mut addresses = Vec::with_capacity(found.len());
    for record in found {
        let address = match &record.data {
            RData::A(v4) => IpAddr::V4(v4.0),
            RData::AAAA(v6) => IpAddr::V6(v6.0),
            _ => continue,
        };
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    (!addresses.is_empty()).then_some(Answer::Addresses { addresses, ttl })
}

/// A time to live, which is nothing when its first bit is set (RFC 2181, 8).
fn seconds(ttl: u32) -> u32 {
    if ttl > i32::MAX.cast_unsigned() { 0 } else { ttl }
}

/// RFC 2308: the smaller of the two times of the zone's SOA.
fn negative_ttl(authorities: &[Record]) -> u32 {
    let soa = authorities.iter().find_map(|record| match &record.data {
        RData::SOA(soa) => Some(seconds(record.ttl).min(seconds(soa.minimum))),
        _ => None,
    });
    soa.unwrap_or(NEGATIVE_TTL).min(LONGEST_NEGATIVE_TTL)
}

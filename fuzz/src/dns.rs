//! Messages of DNS: as a sandbox's question, and as a resolver's answer.

use std::net::IpAddr;
use swathe_net::dns::{
    self, Answer, Bad, Frame, Kind, LONGEST_TTL, MOST_RECORDS, Query, Transport, Unusable,
};
use swathe_netrules::name::Name;

const ID: u16 = 0x1234;

/// A question is answered within its bounds, and each answer is read as what it is. An answer is
/// bounded, and says the same when it is passed on.
pub fn run(data: &[u8]) {
    for (over, most) in [(Transport::Udp, 1232), (Transport::Tcp, 65535)] {
        match dns::parse(data, over) {
            Ok(query) => answers(&query, data, most),
            Err(Bad::Reply(reply)) => assert!(reply[..2] == data[..2] && reply.len() <= most),
            Err(Bad::Drop) => {}
        }
    }
    if let Frame::Whole { start, end } = dns::frame(data, 4096) {
        assert_eq!(dns::framed(&data[start..end]), &data[..end]);
    }
    upstream(data);
}

fn answers(query: &Query, request: &[u8], most: usize) {
    let v4 = IpAddr::from([198, 18, 1, 1]);
    let v6 = IpAddr::from([0xfd73, 0, 0, 0, 0, 0, 0, 1]);
    let _ = (query.reverse(), query.text());
    let id = u16::from_be_bytes([request[0], request[1]]);
    let read = |reply: Vec<u8>| {
        assert!(reply.len() <= most && reply[2] & 0x80 != 0);
        query.name().map(|name| dns::answer(&reply, id, name, query.kind()))
    };
    let addresses = match query.kind() {
        Kind::A => Some(Answer::Addresses { addresses: vec![v4], ttl: 7 }),
        Kind::Aaaa => Some(Answer::Addresses { addresses: vec![v6], ttl: 7 }),
        _ => Some(Answer::NoData { ttl: 30 }),
    };
    let name = query.name();
    assert_eq!(read(dns::addresses(query, &[v4, v6], 7)), name.and(addresses).map(Ok));
    assert_eq!(read(dns::no_data(query)), name.map(|_| Ok(Answer::NoData { ttl: 30 })));
    assert_eq!(read(dns::no_such_name(query)), name.map(|_| Ok(Answer::NoSuchName { ttl: 30 })));
    assert_eq!(read(dns::refused(query, "no rule")), name.map(|_| Err(Unusable::Failed(5))));
    assert_eq!(read(dns::failed(query)), name.map(|_| Err(Unusable::Failed(2))));
    if let Some(name) = name {
        read(dns::pointer(query, name, 7));
    }
}

/// The data is a kind, flags, counts of records, and records behind the question.
fn upstream(data: &[u8]) {
    let Ok(name) = Name::parse(b"a.example") else { unreachable!("a good name") };
    let Some((&[kind, flags, code, answers, authorities], records)) = data.split_first_chunk()
    else {
        return;
    };
    let kind = match kind % 6 {
        0 => Kind::A,
        1 => Kind::Aaaa,
        2 => Kind::Mx,
        3 => Kind::Txt,
        4 => Kind::Srv,
        _ => Kind::Caa,
    };
    let mut message = dns::question(ID, &name, kind);
    let question = message.clone();
    // Without its EDNS record.
    message.truncate(message.len() - 11);
    message[2..4].copy_from_slice(&[0x80 | (flags & 7), code & 0xf]);
    message[7] = answers;
    message[9] = authorities;
    message[11] = 0;
    message.extend_from_slice(records);
    match dns::answer(&message, ID, &name, kind) {
        Ok(Answer::Addresses { addresses, ttl }) => {
            assert!((1..=MOST_RECORDS).contains(&addresses.len()) && ttl <= LONGEST_TTL);
            assert!(addresses.iter().all(|a| a.is_ipv4() == (kind == Kind::A)));
        }
        Ok(Answer::Records(records)) => {
            let Ok(query) = dns::parse(&question, Transport::Tcp) else { unreachable!("ours") };
            let passed_on = dns::records(&query, &records);
            assert_eq!(dns::answer(&passed_on, ID, &name, kind), Ok(Answer::Records(records)));
        }
        Ok(Answer::NoData { ttl } | Answer::NoSuchName { ttl }) => assert!(ttl <= 3600),
        Ok(Answer::Truncated) => assert!(flags & 2 != 0),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    // Another id, name or kind: whatever it is, it answers something else.
    assert_eq!(dns::answer(&message, ID + 1, &name, kind), Err(Unusable::Foreign));
}

use super::*;
use proptest::prelude::*;
use std::net::{IpAddr, Ipv6Addr};

fn name(text: &str) -> Name {
    Name::parse(text.as_bytes()).expect(text)
}

/// A question as clients send it, for labels of any bytes.
fn asked(labels: &[&[u8]], kind: u16, edns: Option<u16>) -> Vec<u8> {
    let mut bytes = vec![0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, u8::from(edns.is_some())];
    for label in labels {
        bytes.push(u8::try_from(label.len()).expect("label"));
        bytes.extend_from_slice(label);
    }
    bytes.push(0);
    bytes.extend(kind.to_be_bytes());
    bytes.extend([0, 1]);
    if let Some(size) = edns {
        bytes.extend([0, 0, 41]);
        bytes.extend(size.to_be_bytes());
        bytes.extend([0; 6]);
    }
    bytes
}

fn query(labels: &[&[u8]], kind: u16, edns: Option<u16>) -> Query {
    parse(&asked(labels, kind, edns), Transport::Udp).expect("a question")
}

const ID: u16 = 0xabcd;
const A: u16 = 1;
const AAAA: u16 = 28;

#[test]
fn a_question_is_read_down_to_its_canonical_name() {
    let query = query(&[b"WwW", b"Example", b"COM"], A, None);
    assert_eq!(query.name(), Some(&name("www.example.com")));
    assert_eq!((query.kind(), query.text().as_str()), (Kind::A, "WwW.Example.COM."));
    for labels in [&[&b"a.b"[..], b"example"][..], &[b"a\0b", b"example"], &[b"localhost"], &[]] {
        assert_eq!(self::query(labels, A, None).name(), None, "{labels:?}");
    }
    assert!(self::query(&[b"a\0\n\xff"], A, None).text().bytes().all(|b| b.is_ascii_graphic()));
}

#[test]
fn reverse_names() {
    let v4 = query(&[b"4", b"3", b"18", b"198", b"in-addr", b"ARPA"], 12, None);
    assert_eq!(v4.reverse(), Some(IpAddr::from([198, 18, 3, 4])));
    let nibbles: Vec<&[u8]> = std::iter::once(&b"1"[..]).chain([&b"0"[..]; 31]).collect();
    let v6 = query(&[nibbles, vec![b"ip6", b"arpa"]].concat(), 12, None);
    assert_eq!(v6.reverse(), Some(IpAddr::V6(Ipv6Addr::LOCALHOST)));
    for labels in [&[&b"18"[..], b"198", b"in-addr", b"arpa"][..], &[b"in-addr", b"arpa"], &[b"a"]]
    {
        assert_eq!(query(labels, 12, None).reverse(), None, "{labels:?}");
    }
}

#[test]
fn answers_are_read_back() {
    let host = name("a.example");
    let v4 = [IpAddr::from([198, 18, 1, 2])];
    let v6 = [IpAddr::V6("fd73::2".parse().expect("address"))];
    for edns in [None, Some(1232)] {
        let a = query(&[b"A", b"example"], A, edns);
        let read = |reply: &[u8]| answer(reply, ID, &host, Kind::A);
        let both = [v4, v6].concat();
        let expected = Answer::Addresses { addresses: v4.to_vec(), ttl: 5 };
        assert_eq!(read(&addresses(&a, &both, 5)), Ok(expected));
        assert_eq!(read(&no_data(&a)), Ok(Answer::NoData { ttl: 30 }));
        assert_eq!(read(&no_such_name(&a)), Ok(Answer::NoSuchName { ttl: 30 }));
        assert_eq!(read(&refused(&a, "not in the rules")), Err(Unusable::Failed(5)));
        assert_eq!(read(&failed(&a)), Err(Unusable::Failed(2)));
        assert!(addresses(&a, &v4, 5).windows(3).any(|w| w == [1, b'A', 7]), "case is kept");
    }
    let aaaa = query(&[b"a", b"example"], AAAA, None);
    let expected = Answer::Addresses { addresses: v6.to_vec(), ttl: LONGEST_TTL };
    let reply = addresses(&aaaa, &v6, u32::MAX);
    assert_eq!(answer(&reply, ID, &host, Kind::Aaaa), Ok(expected));
}

#[test]
fn a_refusal_says_why_to_who_knows_edns() {
    let said = |edns| refused(&query(&[b"a"], A, edns), "no rule: a");
    assert!(said(Some(4096)).ends_with(b"\0\x0f\0\x0c\0\x12no rule: a"));
    assert!(!said(None).windows(7).any(|w| w == b"no rule"));
    // The longest name, and a reason that is cut within a character.
    let long: Vec<&[u8]> = vec![&[b'a'; 63], &[b'a'; 63], &[b'a'; 63], &[b'a'; 61]];
    let reply = refused(&query(&long, A, Some(512)), &"\u{20ac}".repeat(1000));
    assert!(reply.len() <= 512 && reply[2] & 2 == 0, "{}", reply.len());
}

#[test]
fn an_answer_fits_or_says_that_it_was_cut() {
    let many: Vec<IpAddr> = (0..100).map(|i| IpAddr::V6(Ipv6Addr::from_bits(i))).collect();
    let host = name("a");
    for (edns, over, most, cut) in [
        (None, Transport::Udp, 512, true),
        (Some(0), Transport::Udp, 512, true),
        (Some(65535), Transport::Udp, 1232, true),
        (None, Transport::Tcp, 65535, false),
    ] {
        let query = parse(&asked(&[b"a"], AAAA, edns), over).expect("a question");
        let reply = addresses(&query, &many, 1);
        assert!(reply.len() <= most);
        match answer(&reply, ID, &host, Kind::Aaaa) {
            Ok(Answer::Truncated) => assert!(cut),
            Ok(Answer::Addresses { addresses, .. }) => {
                assert!(!cut);
                assert_eq!(addresses.len(), MOST_RECORDS);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_is_no_question_is_dropped_or_answered() {
    let good = asked(&[b"a"], A, None);
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        match parse(&bytes, Transport::Udp) {
            Err(Bad::Reply(reply)) => {
                assert_eq!(reply[..2], good[..2]);
                assert_eq!(reply[2] & 0x80, 0x80);
                Some(reply[3] & 0xf)
            }
            Err(Bad::Drop) => None,
            Ok(query) => panic!("{query:?}"),
        }
    };
    assert_eq!(with(2, 0x80), None, "an answer");
    assert_eq!(with(2, 0x28), Some(4), "an update");
    assert_eq!(with(5, 0), Some(1), "no question");
    assert_eq!(with(5, 2), Some(1), "two questions");
    assert_eq!(with(7, 1), Some(1), "an answer within");
    assert_eq!(with(11, 1), Some(1), "a record that is not there");
    assert_eq!(with(18, 3), Some(4), "class CHAOS");
    assert_eq!(with(12, 0xc0), Some(1), "a pointer to itself");
    assert_eq!(with(12, 64), Some(1), "a label of 64 bytes");
    assert_eq!(parse(&good[..11], Transport::Udp).err(), Some(Bad::Drop));
    assert_eq!(parse(&[0; 4097], Transport::Udp).err(), Some(Bad::Drop));
    let mut newer = asked(&[b"a"], A, Some(512));
    let version = newer.len() - 5;
    newer[version] = 1;
    let Err(Bad::Reply(reply)) = parse(&newer, Transport::Udp) else { panic!("EDNS 1") };
    assert_eq!(reply[reply.len() - 6], 1, "BADVERS, in the upper bits");
}

/// An answer to `question(ID, a.example, kind)` with these records behind it.
fn answered(flags: u16, kind: Kind, records: &[(&[u8], u16, u32, &[u8])]) -> Vec<u8> {
    let mut bytes = question(ID, &name("a.example"), kind);
    // Without its EDNS record.
    bytes.truncate(bytes.len() - 11);
    bytes[2..4].copy_from_slice(&flags.to_be_bytes());
    bytes[11] = 0;
    bytes[7] = u8::try_from(records.len()).expect("few");
    for (owner, kind, ttl, data) in records {
        bytes.extend_from_slice(owner);
        bytes.extend(kind.to_be_bytes());
        bytes.extend([0, 1]);
        bytes.extend(ttl.to_be_bytes());
        bytes.extend(u16::try_from(data.len()).expect("short").to_be_bytes());
        bytes.extend_from_slice(data);
    }
    bytes
}

const QUESTION: &[u8] = &[0xc0, 12];
const OK: u16 = 0x8180;

#[test]
fn aliases_are_followed_to_their_addresses() {
    let read = |bytes: &[u8]| answer(bytes, ID, &name("a.example"), Kind::A);
    let found = |ttl| Ok(Answer::Addresses { addresses: vec![IpAddr::from([192, 0, 2, 1])], ttl });
    let address: &[u8] = &[192, 0, 2, 1];
    // The smallest time of all, any order, any case; addresses of others are nobody's.
    let chain = answered(
        OK,
        Kind::A,
        &[
            (b"\x01C\0", A, 50, address),
            (b"\x01d\0", A, 1, &[192, 0, 2, 9]),
            (QUESTION, 5, 70, b"\x01b\0"),
            (b"\x01B\0", 5, 60, b"\x01c\0"),
            (b"\x01c\0", A, 80, address),
        ],
    );
    assert_eq!(read(&chain), found(50));
    assert_eq!(
        read(&answered(OK, Kind::A, &[(b"\x01d\0", A, 1, address)])),
        Ok(Answer::NoData { ttl: 30 })
    );
    let circle = answered(OK, Kind::A, &[(QUESTION, 5, 1, QUESTION)]);
    assert_eq!(read(&circle), Err(Unusable::Malformed("more than 16 aliases")));
    // A time with its first bit set is none.
    let negative = answered(OK, Kind::A, &[(QUESTION, A, 0x8000_0001, address)]);
    assert_eq!(read(&negative), found(0));
    // SOA: the smaller of its two times.
    let mut nothing = answered(
        OK | 3,
        Kind::A,
        &[(QUESTION, 6, 900, &[0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 1, 0])],
    );
    nothing.swap(7, 9);
    assert_eq!(read(&nothing), Ok(Answer::NoSuchName { ttl: 256 }));
}

#[test]
fn only_the_answer_to_the_question_is_believed() {
    let host = name("a.example");
    let good = answered(OK, Kind::A, &[(QUESTION, A, 1, &[192, 0, 2, 1])]);
    let read = |bytes: &[u8], id, host: &Name, kind| answer(bytes, id, host, kind);
    assert!(read(&good, ID, &host, Kind::A).is_ok());
    assert_eq!(read(&good, 1, &host, Kind::A), Err(Unusable::Foreign));
    assert_eq!(read(&good, ID, &name("b.example"), Kind::A), Err(Unusable::Foreign));
    assert_eq!(read(&good, ID, &host, Kind::Aaaa), Err(Unusable::Foreign));
    let flagged = |flags| read(&answered(flags, Kind::A, &[]), ID, &host, Kind::A);
    assert_eq!(flagged(0x0100), Err(Unusable::Foreign), "a question");
    assert_eq!(flagged(OK | 0x2800), Err(Unusable::Foreign), "an update");
    assert_eq!(flagged(OK | 0x0200), Ok(Answer::Truncated));
    assert_eq!(flagged(OK | 5), Err(Unusable::Failed(5)));
    // Cut anywhere, and with the mark of being cut.
    for end in 0..good.len() {
        let result = read(&good[..end], ID, &host, Kind::A);
        let expected =
            if end < 27 { Unusable::Foreign } else { Unusable::Malformed("its answers") };
        assert_eq!(result, Err(expected), "{end} bytes");
    }
    // Resolvers without EDNS answer with a header.
    assert_eq!(
        read(&[0xab, 0xcd, 0x81, 0x81, 0, 0, 0, 0, 0, 0, 0, 0], ID, &host, Kind::A),
        Err(Unusable::Failed(1))
    );
}

#[test]
fn other_records_pass_under_the_name_that_was_asked_for() {
    let host = name("a.example");
    let upstream = answered(
        OK,
        Kind::Mx,
        &[
            (QUESTION, 5, 9, b"\x01b\0"),
            (b"\x01b\0", 15, 7, b"\0\x0a\x04mail\xc0\x0e"),
            (b"\x01z\0", 15, 7, b"\0\x0a\x01z\0"),
        ],
    );
    let Ok(Answer::Records(found)) = answer(&upstream, ID, &host, Kind::Mx) else { panic!() };
    assert_eq!((found.ttl(), found.hosts().collect::<Vec<_>>()), (7, vec![name("mail.example")]));
    let reply = records(&query(&[b"a", b"example"], 15, None), &found);
    assert_eq!(answer(&reply, ID, &host, Kind::Mx), Ok(Answer::Records(found)));
    let reverse = query(&[b"1", b"2", b"0", b"192", b"in-addr", b"arpa"], 12, None);
    let reply = pointer(&reverse, &host, 3);
    assert!(reply.ends_with(b"\x01a\x07example\0"));
}

#[test]
fn streams_are_cut_into_messages() {
    assert_eq!(frame(b"\0", 10), Frame::NeedMore);
    assert_eq!(frame(b"\0\x03ab", 10), Frame::NeedMore);
    assert_eq!(frame(b"\0\x03abcd", 10), Frame::Whole { start: 2, end: 5 });
    assert_eq!(frame(b"\0\0", 10), Frame::Whole { start: 2, end: 2 });
    assert_eq!(frame(b"\0\x0b", 10), Frame::TooLong);
    assert_eq!(framed(b"abc"), b"\0\x03abc");
}

proptest! {
    /// No message, and no broken one, is more than an error.
    #[test]
    fn any_bytes(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..200),
        labels in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..20), 0..6),
        at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let host = name("a.example");
        let _ = parse(&bytes, Transport::Udp);
        let labels: Vec<&[u8]> = labels.iter().map(Vec::as_slice).collect();
        let mut question = asked(&labels, A, Some(4000));
        if let Ok(query) = parse(&question, Transport::Udp) {
            prop_assert!(addresses(&query, &[IpAddr::from([1, 1, 1, 1])], 1).len() <= 1232);
        }
        let place = at.index(question.len());
        question[place] = byte;
        let _ = parse(&question, Transport::Tcp);
        let mut reply = answered(OK, Kind::A, &[(QUESTION, A, 1, &[1, 1, 1, 1])]);
        let place = at.index(reply.len());
        reply[place] = byte;
        reply.append(&mut bytes);
        let _ = answer(&reply, ID, &host, Kind::A);
    }
}

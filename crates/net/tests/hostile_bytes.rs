//! Bytes that somebody made on purpose, for every parser: each case is refused, and for the right
//! reason, in one piece and in many.

mod support;

use support::{
    check, extension, hello, hello_body, hello_for, long, pieces, proxy, records, server_names,
    socks, spoken,
};
use swathe_net::dns::{self, Bad, Kind, Transport, Unusable};
use swathe_net::sniff::Spoken;
use swathe_net::sniff::http::Checker;
use swathe_net::sniff::tls::{ServerName, Sniffed};
use swathe_netrules::name::Name;

const SIZES: [&[u8]; 3] = [&[], &[1], &[2, 7]];

fn host() -> Name {
    Name::parse(b"a.example").expect("a name")
}

/// Requests on a connection to `a.example:80`, with the status and a word of the reason. `{H}` is a
/// line with the right host.
const REQUESTS: [(&str, u16, &str); 57] = [
    // The host.
    ("GET / HTTP/1.1\r\n\r\n", 400, "without `Host`"),
    ("GET / HTTP/1.1\r\nHost: b.example\r\n\r\n", 403, "b.example"),
    ("GET / HTTP/1.1\r\nHost:\r\n\r\n", 403, "host"),
    ("GET / HTTP/1.1\r\n{H}{H}\r\n", 400, "twice"),
    ("GET / HTTP/1.1\r\n{H}hOsT: b.example\r\n\r\n", 400, "twice"),
    ("GET / HTTP/1.0\r\nHost: b.example\r\n\r\n", 403, "b.example"),
    ("GET / HTTP/1.1\r\nHost: a.example:8080\r\n\r\n", 403, "8080"),
    ("GET / HTTP/1.1\r\nHost: a.example:\r\n\r\n", 403, "host"),
    ("GET / HTTP/1.1\r\nHost: a.example:080x\r\n\r\n", 403, "host"),
    ("GET / HTTP/1.1\r\nHost: a.example:65616\r\n\r\n", 403, "65616"),
    ("GET / HTTP/1.1\r\nHost: a.example.evil.example\r\n\r\n", 403, "evil"),
    ("GET / HTTP/1.1\r\nHost: evila.example\r\n\r\n", 403, "evil"),
    ("GET / HTTP/1.1\r\nHost: a.example, b.example\r\n\r\n", 403, "host"),
    ("GET / HTTP/1.1\r\nHost: a.example b.example\r\n\r\n", 403, "host"),
    ("GET / HTTP/1.1\r\nHost: b.example@a.example\r\n\r\n", 403, "host"),
    ("GET / HTTP/1.1\r\nHost: a.example@b.example\r\n\r\n", 403, "host"),
    ("GET / HTTP/1.1\r\nHost: a.example/\r\n\r\n", 403, "host"),
    ("GET / HTTP/1.1\r\nHost: a.example#\r\n\r\n", 403, "host"),
    ("GET / HTTP/1.1\r\nHost: \u{ff41}.example\r\n\r\n", 403, "host"),
    ("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 403, "127.0.0.1"),
    ("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", 403, "localhost"),
    ("GET http://b.example/ HTTP/1.1\r\n{H}\r\n", 403, "target"),
    ("GET http://a.example@b.example/ HTTP/1.1\r\n{H}\r\n", 403, "target"),
    ("GET http://a.example:81/ HTTP/1.1\r\n{H}\r\n", 403, "target"),
    ("GET https://a.example/ HTTP/1.1\r\n{H}\r\n", 400, "target"),
    ("GET a.example HTTP/1.1\r\n{H}\r\n", 400, "target"),
    ("CONNECT b.example:443 HTTP/1.1\r\n{H}\r\n", 403, "target"),
    ("CONNECT a.example:443 HTTP/1.1\r\n{H}\r\n", 403, "target"),
    // Lines and headers that servers read differently.
    ("GET / HTTP/1.1\nHost: a.example\n\n", 400, "line feed alone"),
    ("GET / HTTP/1.1\r\n{H}X: y\nHost: b.example\r\n\r\n", 400, "line feed alone"),
    ("GET / HTTP/1.1\r\n{H}X: y\rHost: b.example\r\n\r\n", 400, "carriage return"),
    ("GET / HTTP/1.1\r\n{H}X: y\r\r\n\r\n", 400, "carriage return"),
    ("GET / HTTP/1.1\r\n{H}X: \0\r\n\r\n", 400, "NUL"),
    ("GET / HTTP/1.1\r\nHost: a.example\r\n b.example\r\n\r\n", 400, "no HTTP"),
    ("GET / HTTP/1.1\r\nHost : b.example\r\n{H}\r\n", 400, "no HTTP"),
    ("GET / HTTP/1.1\r\n Host: b.example\r\n{H}\r\n", 400, "no HTTP"),
    ("GET / HTTP/1.1\r\n{H}no colon\r\n\r\n", 400, "no HTTP"),
    ("\r\nGET / HTTP/1.1\r\n{H}\r\n", 400, "empty line"),
    ("GET  / HTTP/1.1\r\n{H}\r\n", 400, "no HTTP"),
    ("GET / HTTP/1.1 \r\n{H}\r\n", 400, "no HTTP"),
    ("GET / HTTP/2.0\r\n{H}\r\n", 505, "version"),
    ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "version"),
    // Bodies.
    ("POST / HTTP/1.1\r\n{H}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "both"),
    ("POST / HTTP/1.1\r\n{H}Content-Length: 1\r\nContent-Length: 1\r\n\r\n", 400, "twice"),
    ("POST / HTTP/1.1\r\n{H}Content-Length: 1, 1\r\n\r\n", 400, "no number"),
    ("POST / HTTP/1.1\r\n{H}Content-Length: +1\r\n\r\n", 400, "no number"),
    ("POST / HTTP/1.1\r\n{H}Content-Length: -1\r\n\r\n", 400, "no number"),
    ("POST / HTTP/1.1\r\n{H}Content-Length: 0x1\r\n\r\n", 400, "no number"),
    ("POST / HTTP/1.1\r\n{H}Content-Length: 18446744073709551617\r\n\r\n", 400, "no number"),
    ("POST / HTTP/1.1\r\n{H}Content-Length:\r\n\r\n", 400, "no number"),
    ("POST / HTTP/1.1\r\n{H}Content_Length: 1\r\n\r\n", 400, "for another"),
    ("POST / HTTP/1.1\r\n{H}Transfer-Encoding: gzip, chunked\r\n\r\n", 501, "coding"),
    ("POST / HTTP/1.1\r\n{H}Transfer-Encoding: xchunked\r\n\r\n", 501, "coding"),
    ("POST / HTTP/1.1\r\n{H}Transfer-Encoding: \x0bchunked\r\n\r\n", 400, "no HTTP"),
    ("POST / HTTP/1.0\r\n{H}Transfer-Encoding: chunked\r\n\r\n", 400, "HTTP/1.0"),
    ("POST / HTTP/1.1\r\n{H}Expect: 100-continue, x\r\n\r\n", 417, "expectation"),
    ("POST / HTTP/1.1\r\n{H}Expect: x\r\nExpect: 100-continue\r\n\r\n", 400, "twice"),
];

#[test]
fn requests() {
    for (text, status, word) in REQUESTS {
        let text = text.replace("{H}", "Host: a.example\r\n");
        for sizes in SIZES {
            let sent = pieces(text.as_bytes(), sizes);
            let passed = check(&mut Checker::new(&host(), 80), &mut Vec::new(), &sent);
            let refusal = passed.refused.unwrap_or_else(|| panic!("{text:?} goes on"));
            assert_eq!(passed.forwarded, b"", "{text:?}");
            assert_eq!(refusal.status, status, "{text:?}: {refusal}");
            assert!(refusal.reason.contains(word), "{text:?}: {refusal}");
            // What gets here at all: no spelling of a request is taken for another protocol.
            assert_eq!(spoken(&sent), Spoken::Http, "{text:?}");
        }
    }
}

/// Chunks behind a good head: what of them goes on before the rest is refused.
const CHUNKS: [(&str, &str); 14] = [
    ("", "x\r\n"),
    ("", "\r\n"),
    ("", "-1\r\n"),
    ("", "+1\r\n"),
    ("", "0x1\r\n"),
    ("", "1 \r\n"),
    ("", "1\n"),
    ("", "1;\nx\r\n"),
    ("", "10000000000000000\r\n"),
    ("1\r\na", "\n"),
    ("2\r\nab", "c\r\n"),
    ("0\r\n", " X: y\r\n"),
    ("0\r\nX: y\r\n", "GET / HTTP/1.1\r\n"),
    ("0\r\n", "X: y\n"),
];

#[test]
fn chunks() {
    let head = "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (good, bad) in CHUNKS {
        let text = format!("{head}{good}{bad}\r\n\r\n");
        for sizes in SIZES {
            let sent = pieces(text.as_bytes(), sizes);
            let passed = check(&mut Checker::new(&host(), 80), &mut Vec::new(), &sent);
            let forwarded = String::from_utf8(passed.forwarded).expect("text");
            assert_eq!(forwarded, format!("{head}{good}"), "{bad:?}");
            assert_eq!(passed.refused.expect(bad).status, 400);
        }
    }
    let long = format!("{head}1;{}", "x".repeat(300));
    let passed = check(&mut Checker::new(&host(), 80), &mut Vec::new(), &[long.as_bytes()]);
    assert!(passed.refused.expect("a long line").reason.contains("too long"));
}

#[test]
fn endless_heads() {
    let start = "GET / HTTP/1.1\r\nHost: a.example\r\n";
    for (text, status) in [
        (format!("GET /{}", "a".repeat(70_000)), 431),
        (format!("{start}X: {}", "a".repeat(70_000)), 431),
        (format!("{start}{}\r\n", "X: y\r\n".repeat(101)), 431),
        (format!("{start}{}", "X: y\r\n".repeat(20_000)), 431),
    ] {
        for sizes in [&[][..], &[200]] {
            let sent = pieces(text.as_bytes(), sizes);
            let passed = check(&mut Checker::new(&host(), 80), &mut Vec::new(), &sent);
            assert_eq!(
                (passed.forwarded.len(), passed.refused.expect("endless").status),
                (0, status)
            );
        }
    }
}

#[test]
fn hellos() {
    let good = hello_body(&[server_names(&[b"a.example"]), extension(21, &[0; 50])]);
    let with = |extensions: &[Vec<u8>]| records(1, &hello_body(extensions), 16384);
    let name = server_names(&[b"a.example"]);
    let changed = |at: usize, byte: u8| {
        let mut body = good.clone();
        body[at] = byte;
        records(1, &body, 16384)
    };
    let whole = hello_for(b"a.example");
    let split = records(1, &good, 20);
    let mut interrupted = split[..25].to_vec();
    interrupted.extend_from_slice(b"\x15\x03\x01\0\x02\x01\0");
    let mut in_record = whole.clone();
    in_record[4] += 1;
    in_record.push(0);
    let cases: [(&str, Vec<u8>, &str); 25] = [
        ("the same name twice", with(&[name.clone(), name.clone()]), "twice"),
        ("two names", with(&[server_names(&[b"a.example", b"b.example"])]), "more than one"),
        ("an empty name", with(&[server_names(&[b""])]), "empty"),
        ("no name in the list", with(&[server_names(&[])]), "length"),
        ("a name of another kind", with(&[extension(0, &long(b"\x01\0\x01a"))]), "kind"),
        ("a list that ends early", with(&[extension(0, b"\0\x05\0\0\x09")]), "length"),
        ("a list with bytes over", with(&[extension(0, b"\0\x04\0\0\x01ab")]), "over"),
        ("a name longer than its list", with(&[extension(0, b"\0\x04\0\0\x02a")]), "length"),
        ("an empty extension", with(&[extension(0, b"")]), "length"),
        ("GREASE twice", with(&[extension(0x0a0a, b""), extension(0x0a0a, b"")]), "twice"),
        ("an empty protocol", with(&[extension(16, &long(b"\0"))]), "empty"),
        ("no protocols", with(&[extension(16, &long(b""))]), "empty"),
        ("a protocol that ends early", with(&[extension(16, &long(b"\x05h2"))]), "length"),
        ("version 2", changed(0, 2), "version"),
        ("a session of 33 bytes", changed(34, 33), "32 bytes"),
        ("an odd list of ciphers", changed(36, 3), "ciphers"),
        ("no ciphers", changed(36, 0), "ciphers"),
        ("no compression", changed(39, 0), "compressions"),
        ("extensions that end early", changed(42, 1), "over"),
        ("extensions that are not there", changed(42, 200), "length"),
        ("another message", records(2, &good, 16384), "not a ClientHello"),
        ("an alert in between", interrupted, "another record"),
        ("a message behind it", in_record, "follows"),
        ("an empty record", b"\x16\x03\x01\0\0".to_vec(), "zero"),
        ("a record of 16385 bytes", b"\x16\x03\x01\x40\x01".to_vec(), "16384"),
    ];
    for (what, bytes, word) in cases {
        for sizes in SIZES {
            match hello(&pieces(&bytes, sizes)) {
                Sniffed::Malformed(reason) => {
                    assert!(reason.contains(word), "{what}: {reason}")
                }
                other => panic!("{what}: {other:?}"),
            }
        }
    }
    let large = [&b"\x16\x03\x01\x40\0\x01\x01\0\0"[..], &[0; 16380]].concat();
    assert!(matches!(hello(&[&large]), Sniffed::Malformed(reason) if reason.contains("64 KiB")));
    let many = records(1, &good, 1);
    assert!(matches!(hello(&[&many]), Sniffed::Malformed(reason) if reason.contains("64 records")));
    for sslv2 in [&b"\x80\x2e\x01\x03\x01\0\x15\0\0\0\x10"[..], b"\x2e\0\x01"] {
        assert_eq!((hello(&[sslv2]), spoken(&[sslv2])), (Sniffed::NotTls, Spoken::Other));
    }
    for name in [&b"a\0.example"[..], b"127.1", b"::1", b"*.example", b"a..example", b" a"] {
        match hello(&[&hello_for(name)]) {
            Sniffed::Hello(hello) => assert_eq!(hello.server, ServerName::Invalid(name.to_vec())),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn socks_clients() {
    let hello5 = b"\x05\x01\0";
    let five = |rest: &[u8]| [hello5, rest].concat();
    for (what, bytes, reply) in [
        ("no method", b"\x05\0".to_vec(), &b"\x05\xff"[..]),
        ("passwords only", b"\x05\x01\x02".to_vec(), b"\x05\xff"),
        ("HTTP", b"GET / HTTP/1.1\r\n".to_vec(), b""),
        ("another version", b"\x06\x01\0".to_vec(), b""),
        ("version 4 within 5", five(b"\x04\x01\0\x50"), b""),
        ("BIND", five(b"\x05\x02\0\x01"), b"\x05\x07"),
        ("UDP ASSOCIATE", five(b"\x05\x03\0\x01"), b"\x05\x07"),
        ("a command that is none", five(b"\x05\0\0\x01"), b"\x05\x07"),
        ("an address that is none", five(b"\x05\x01\0\x02"), b"\x05\x08"),
        ("an empty name", five(b"\x05\x01\0\x03\0\0\x50"), b"\x05\x08"),
        ("a name with NUL", five(b"\x05\x01\0\x03\x03a\0b\0\x50"), b"\x05\x08"),
        ("a short address", five(b"\x05\x01\0\x03\x05127.1\0\x50"), b"\x05\x08"),
        ("a number as address", five(b"\x05\x01\0\x03\x0a2130706433\0\x50"), b"\x05\x08"),
        ("below localhost", five(b"\x05\x01\0\x03\x0ba.localhost\0\x50"), b"\x05\x08"),
        ("port 0", five(b"\x05\x01\0\x01\x7f\0\0\x01\0\0"), b"\x05\x08"),
        ("BIND of version 4", b"\x04\x02\0\x50".to_vec(), b"\0\x5b"),
        (
            "an endless user",
            [&b"\x04\x01\0\x50\x01\x01\x01\x01"[..], &[b'a'; 256]].concat(),
            b"\0\x5b",
        ),
        ("an endless name", [&b"\x04\x01\0\x50\0\0\0\x01\0"[..], &[b'a'; 256]].concat(), b"\0\x5b"),
        ("no name in 4a", b"\x04\x01\0\x50\0\0\0\x01\0\0".to_vec(), b"\0\x5b"),
    ] {
        for sizes in SIZES {
            let Some(Err(rejected)) = socks(&pieces(&bytes, sizes)).1 else { panic!("{what}") };
            assert!(rejected.reply.starts_with(reply), "{what}: {rejected:?}");
            assert_eq!(rejected.reply.is_empty(), reply.is_empty(), "{what}");
        }
    }
}

#[test]
fn proxy_clients() {
    for (text, status, word) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, "this is a proxy"),
        ("OPTIONS * HTTP/1.1\r\n\r\n", 400, "this is a proxy"),
        ("GET ftp://a/ HTTP/1.1\r\n\r\n", 400, "http://"),
        ("GET https://a/ HTTP/1.1\r\n\r\n", 400, "http://"),
        ("GET http:/// HTTP/1.1\r\n\r\n", 400, "neither"),
        ("GET http://u:p@a/ HTTP/1.1\r\n\r\n", 400, "neither"),
        ("GET http://a/#x HTTP/1.1\r\n\r\n", 400, "fragment"),
        ("GET http://0x7f000001/ HTTP/1.1\r\n\r\n", 400, "neither"),
        ("GET http://017700000001/ HTTP/1.1\r\n\r\n", 400, "neither"),
        ("GET http://a\\@b/ HTTP/1.1\r\n\r\n", 400, "neither"),
        ("CONNECT a HTTP/1.1\r\n\r\n", 400, "without a port"),
        ("CONNECT a:0 HTTP/1.1\r\n\r\n", 400, "neither"),
        ("CONNECT a:443/x HTTP/1.1\r\n\r\n", 400, "neither"),
        ("CONNECT http://a:443 HTTP/1.1\r\n\r\n", 400, "neither"),
        ("CONNECT ::1:443 HTTP/1.1\r\n\r\n", 400, "neither"),
        ("CONNECT [::1%lo]:443 HTTP/1.1\r\n\r\n", 400, "neither"),
        ("TRACE http://a/ HTTP/1.1\r\n\r\n", 405, "TRACE"),
        ("GET http://a/ HTTP/1.1\nHost: a\n\n", 400, "line feed alone"),
        (
            "GET http://a/ HTTP/1.1\r\nConnection: Content-Length\r\nContent-Length: 3\r\n\r\n",
            400,
            "names",
        ),
        ("GET http://a/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "twice"),
        ("\x05\x01\0\r\n\r\n", 400, "NUL"),
    ] {
        for sizes in SIZES {
            let Some(Err(refusal)) = proxy(&pieces(text.as_bytes(), sizes)) else {
                panic!("{text:?} is served")
            };
            assert_eq!(refusal.status, status, "{text:?}: {refusal}");
            assert!(refusal.reason.contains(word), "{text:?}: {refusal}");
        }
    }
}

#[test]
fn dns_questions() {
    let good = b"\xab\xcd\x01\0\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01";
    assert!(dns::parse(good, Transport::Udp).is_ok());
    let long: Vec<u8> =
        [&good[..12], &[&[63][..], &[b'a'; 63]].concat().repeat(5), b"\0\0\x01\0\x01"].concat();
    for (what, bytes, code) in [
        ("nothing", &b""[..], None),
        ("half a header", &good[..6], None),
        ("an answer", b"\xab\xcd\x81\0\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01", None),
        ("a header alone", &good[..12], Some(1)),
        ("a cut name", &good[..14], Some(1)),
        ("a cut class", &good[..18], Some(1)),
        ("65535 questions", b"\xab\xcd\x01\0\xff\xff\0\0\0\0\0\0\x01a\0\0\x01\0\x01", Some(1)),
        ("65535 records", b"\xab\xcd\x01\0\0\x01\0\0\0\0\xff\xff\x01a\0\0\x01\0\x01", Some(1)),
        ("a pointer forward", b"\xab\xcd\x01\0\0\x01\0\0\0\0\0\0\xc0\x20\0\x01\0\x01", Some(1)),
        ("a pointer to itself", b"\xab\xcd\x01\0\0\x01\0\0\0\0\0\0\xc0\x0c\0\x01\0\x01", Some(1)),
        ("an old label type", b"\xab\xcd\x01\0\0\x01\0\0\0\0\0\0\x41a\0\0\x01\0\x01", Some(1)),
        ("a name of 320 bytes", &long, Some(1)),
        ("bytes behind it", b"\xab\xcd\x01\0\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01x", Some(1)),
        ("a notification", b"\xab\xcd\x21\0\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\x01", Some(4)),
        ("class ANY", b"\xab\xcd\x01\0\0\x01\0\0\0\0\0\0\x01a\0\0\x01\0\xff", Some(4)),
        (
            "EDNS twice",
            b"\xab\xcd\x01\0\0\x01\0\0\0\0\0\x02\x01a\0\0\x01\0\x01\
              \0\0\x29\x10\0\0\0\0\0\0\0\0\0\x29\x10\0\0\0\0\0\0\0",
            Some(1),
        ),
        (
            "an EDNS option past its end",
            b"\xab\xcd\x01\0\0\x01\0\0\0\0\0\x01\x01a\0\0\x01\0\x01\
              \0\0\x29\x10\0\0\0\0\0\0\x04\0\x03\0\x09",
            Some(1),
        ),
    ] {
        match (dns::parse(bytes, Transport::Udp), code) {
            (Err(Bad::Drop), None) => {}
            (Err(Bad::Reply(reply)), Some(code)) => {
                assert_eq!((&reply[..2], reply[3] & 0xf), (&b"\xab\xcd"[..], code), "{what}");
            }
            (other, _) => panic!("{what}: {other:?}"),
        }
    }
}

#[test]
fn dns_answers() {
    let answer = |bytes: &[u8]| dns::answer(bytes, 0xabcd, &host(), Kind::A);
    let question = b"\x01a\x07example\0\0\x01\0\x01";
    let with = |flags: &[u8; 2], counts: &[u8; 8], rest: &[u8]| {
        answer(&[&b"\xab\xcd"[..], flags, counts, question, rest].concat())
    };
    let one = b"\0\x01\0\x01\0\0\0\0";
    for (what, rest) in [
        ("a record that is not there", &b""[..]),
        ("an address of 3 bytes", b"\xc0\x0c\0\x01\0\x01\0\0\0\x01\0\x03\x01\x02\x03"),
        ("an address of 5 bytes", b"\xc0\x0c\0\x01\0\x01\0\0\0\x01\0\x05\x01\x02\x03\x04\x05"),
        ("data past the end", b"\xc0\x0c\0\x01\0\x01\0\0\0\x01\0\xff\x01\x02\x03\x04"),
        ("an owner that points forward", b"\xc0\xff\0\x01\0\x01\0\0\0\x01\0\x04\x01\x02\x03\x04"),
        ("an alias to itself", b"\xc0\x0c\0\x05\0\x01\0\0\0\x01\0\x02\xc0\x0c"),
        ("EDNS among answers", b"\0\0\x29\x10\0\0\0\0\0\0\0"),
    ] {
        match with(b"\x81\x80", one, rest) {
            Err(Unusable::Malformed(_)) => {}
            other => panic!("{what}: {other:?}"),
        }
    }
    let others = [
        ("no question", answer(b"\xab\xcd\x81\x80\0\0\0\0\0\0\0\0")),
        ("two questions", with(b"\x81\x80", b"\0\x02\0\0\0\0\0\0", question)),
        ("a header", answer(b"\xab\xcd\x81")),
        ("an opcode", with(b"\xa9\x80", b"\0\x01\0\0\0\0\0\0", b"")),
    ];
    for (what, result) in others {
        assert_eq!(result, Err(Unusable::Foreign), "{what}");
    }
    // Addresses of another owner, class or kind are none of the name's.
    for record in [
        &b"\x01b\0\0\x01\0\x01\0\0\0\x01\0\x04\x01\x02\x03\x04"[..],
        b"\xc0\x0c\0\x01\0\x03\0\0\0\x01\0\x04\x01\x02\x03\x04",
        b"\xc0\x0c\0\x1c\0\x01\0\0\0\x01\0\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01",
    ] {
        assert_eq!(with(b"\x81\x80", one, record), Ok(dns::Answer::NoData { ttl: 30 }));
    }
}

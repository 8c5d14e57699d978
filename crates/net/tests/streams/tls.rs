//! ClientHellos.

use crate::name;
use crate::support::{
    extension, hello, hello_body, hello_for, long, pieces, records, server_names,
};
use proptest::prelude::*;
use swathe_net::sniff::tls::{Hello, MOST_PROTOCOLS, ServerName, Sniffed, client_hello};

fn read(bytes: &[u8]) -> Hello {
    match client_hello(bytes) {
        Sniffed::Hello(hello) => hello,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_hello_in_any_records_and_pieces() {
    let extensions = [
        extension(0x0a0a, b""),
        server_names(&[b"WWW.Example.com"]),
        extension(16, &long(b"\x02h2\x08http/1.1")),
        extension(0x1a1a, b"\0"),
    ];
    let expected = Sniffed::Hello(Hello {
        server: ServerName::Name(name("www.example.com")),
        alpn: vec![b"h2".to_vec(), b"http/1.1".to_vec()],
        ech: false,
    });
    for size in [2, 5, 50, 16384] {
        let bytes = records(1, &hello_body(&extensions), size);
        let behind = [&bytes[..], b"\x14\x03\x03\0\x01\x01"].concat();
        for sizes in [&[][..], &[1], &[5, 1, 200]] {
            assert_eq!(hello(&pieces(&bytes, sizes)), expected, "{size} {sizes:?}");
            assert_eq!(hello(&pieces(&behind, sizes)), expected, "{size} {sizes:?}");
        }
        assert_eq!(client_hello(&bytes[..bytes.len() - 1]), Sniffed::NeedMore);
    }
}

#[test]
fn server_names_in_their_forms() {
    for (sent, server) in [
        (&b"a.example"[..], ServerName::Name(name("a.example"))),
        (b"a.example.", ServerName::Name(name("a.example"))),
        (b"192.0.2.1", ServerName::Invalid(b"192.0.2.1".to_vec())),
        (b"0x7f.1", ServerName::Invalid(b"0x7f.1".to_vec())),
        (b"localhost", ServerName::Invalid(b"localhost".to_vec())),
        (b"a\0.example", ServerName::Invalid(b"a\0.example".to_vec())),
        ("b\u{fc}cher.example".as_bytes(), ServerName::Invalid("b\u{fc}cher.example".into())),
    ] {
        assert_eq!(read(&hello_for(sent)).server, server);
    }
    assert_eq!(read(&records(1, &hello_body(&[]), 9999)).server, ServerName::Absent);
    // TLS 1.2 without extensions at all.
    let body = hello_body(&[]);
    assert_eq!(read(&records(1, &body[..body.len() - 2], 9999)), Hello::default());
}

#[test]
fn encrypted_hellos_are_marked_and_lists_bounded() {
    assert!(read(&records(1, &hello_body(&[extension(0xfe0d, b"\0")]), 9999)).ech);
    let many = extension(16, &long(&b"\x01a".repeat(100)));
    assert_eq!(read(&records(1, &hello_body(&[many]), 9999)).alpn.len(), MOST_PROTOCOLS);
    // Large, as with many key shares of new algorithms.
    let large = hello_body(&[extension(51, &[0; 60000]), server_names(&[b"a"])]);
    assert_eq!(read(&records(1, &large, 16384)).server, ServerName::Name(name("a")));
}

proptest! {
    /// Nothing panics, and pieces make no difference.
    #[test]
    fn broken_hellos(
        at in any::<prop::sample::Index>(), byte in any::<u8>(), size in 1usize..300,
        sizes in proptest::collection::vec(any::<u8>(), 1..5),
    ) {
        let extensions = [server_names(&[b"a.example"]), extension(16, &long(b"\x02h2"))];
        let mut bytes = records(1, &hello_body(&extensions), size);
        let place = at.index(bytes.len());
        bytes[place] = byte;
        prop_assert_eq!(hello(&pieces(&bytes, &sizes)), client_hello(&bytes));
    }
}

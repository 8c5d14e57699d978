//! The first bytes of connections: what is spoken, and the server name of TLS.

use crate::pieces;
use crate::streams;
use swathe_net::sniff::Spoken;
use swathe_net::sniff::tls::{MOST_PROTOCOLS, ServerName, Sniffed};

/// In pieces and as a whole they are the same; a name that is read is there.
pub fn run(data: &[u8]) {
    let (sizes, bytes) = pieces(data);
    let whole = streams::hello(&[bytes]);
    assert_eq!(streams::hello(&streams::pieces(bytes, sizes)), whole);
    let spoken = streams::spoken(&[bytes]);
    assert_eq!(streams::spoken(&streams::pieces(bytes, sizes)), spoken);
    match whole {
        Sniffed::NeedMore => assert!(matches!(spoken, Spoken::Tls | Spoken::NeedMore)),
        Sniffed::NotTls => assert!(spoken != Spoken::Tls),
        Sniffed::Malformed(reason) => assert!(!reason.is_empty() && spoken == Spoken::Tls),
        Sniffed::Hello(hello) => {
            assert!(spoken == Spoken::Tls && hello.alpn.len() <= MOST_PROTOCOLS);
            let record = usize::from(u16::from_be_bytes([bytes[3], bytes[4]])) + 5;
            let lower = bytes[..record.min(bytes.len())].to_ascii_lowercase();
            if let ServerName::Name(name) = hello.server
                && !name.as_str().contains("xn--")
                && !bytes[record..].starts_with(&[22])
            {
                let name = name.as_str().as_bytes();
                assert!(lower.windows(name.len()).any(|part| part == name));
            }
        }
    }
}

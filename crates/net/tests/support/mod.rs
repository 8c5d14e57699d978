//! Drives the parsers as their callers do: what may not go on yet is kept, and shown again with
//! what comes. The fuzz targets use it, too.
#![allow(dead_code)]

use swathe_net::connect::{self, Asked};
use swathe_net::sniff::http::{Checker, LONGEST_HEAD, Refusal};
use swathe_net::sniff::tls::{Sniffed, client_hello};
use swathe_net::sniff::{Spoken, classify};
use swathe_net::socks::{Client, ClientError, ClientStep, Outcome, Rejected, Request, Server};

/// The bytes in pieces of these sizes, over and over; in one piece for none.
pub fn pieces<'a>(mut bytes: &'a [u8], sizes: &[u8]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    let mut sizes = sizes.iter().cycle();
    while !bytes.is_empty() {
        let size = sizes.next().map_or(bytes.len(), |size| usize::from(*size).max(1));
        let (piece, rest) = bytes.split_at(size.min(bytes.len()));
        pieces.push(piece);
        bytes = rest;
    }
    pieces
}

/// What a checker let through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    pub forwarded: Vec<u8>,
    pub refused: Option<Refusal>,
    /// It waits for the server's answer.
    pub waits: bool,
}

/// Shows pieces to a checker, behind what it held of earlier ones.
pub fn check(checker: &mut Checker, held: &mut Vec<u8>, pieces: &[&[u8]]) -> Passed {
    let mut passed = Passed { forwarded: Vec::new(), refused: None, waits: false };
    for piece in pieces {
        held.extend_from_slice(piece);
        loop {
            match checker.push(held) {
                Ok(progress) => {
                    passed.waits = progress.need_reply;
                    passed.forwarded.extend(held.drain(..progress.forward));
                    if progress.forward == 0 {
                        break;
                    }
                }
                Err(refusal) => {
                    passed.refused = Some(refusal);
                    return passed;
                }
            }
        }
        assert!(passed.waits || held.len() <= LONGEST_HEAD, "{} bytes are held", held.len());
    }
    passed
}

/// What a classifier says of growing bytes; what it has said, it says again.
pub fn spoken(pieces: &[&[u8]]) -> Spoken {
    let mut seen = Vec::new();
    let mut last = Spoken::NeedMore;
    for piece in pieces {
        seen.extend_from_slice(piece);
        let now = classify(&seen);
        assert!(last == Spoken::NeedMore || now == last, "{last:?}, then {now:?}");
        last = now;
    }
    last
}

/// What the reader of hellos says of growing bytes; what it has said, it says again.
pub fn hello(pieces: &[&[u8]]) -> Sniffed {
    let mut seen = Vec::new();
    let mut last = Sniffed::NeedMore;
    for piece in pieces {
        seen.extend_from_slice(piece);
        let now = client_hello(&seen);
        assert!(last == Sniffed::NeedMore || now == last, "{last:?}, then {now:?}");
        last = now;
    }
    last
}

/// What a client of a SOCKS server is told before its request, and what that comes to. The number
/// is of the bytes read in all.
pub type Socks = (Vec<u8>, Option<Result<(Request, usize), Rejected>>);

pub fn socks(pieces: &[&[u8]]) -> Socks {
    let (mut server, mut pending, mut said, mut read) = (Server::new(), vec![], vec![], 0);
    for piece in pieces {
        pending.extend_from_slice(piece);
        loop {
            match server.push(&pending) {
                Ok(Outcome::NeedMore) => break,
                Ok(Outcome::Say { used, bytes }) => {
                    said.extend(bytes);
                    read += used;
                    pending.drain(..used);
                }
                Ok(Outcome::Connect { used, request }) => {
                    return (said, Some(Ok((request, read + used))));
                }
                Err(rejected) => return (said, Some(Err(rejected))),
            }
        }
        assert!(pending.len() <= 600, "{} bytes are held", pending.len());
    }
    (said, None)
}

/// What a SOCKS client sends behind its greeting, and whether a connection came of it, behind how
/// many bytes.
pub fn socks_client(
    client: &mut Client,
    pieces: &[&[u8]],
) -> (Vec<u8>, Option<Result<usize, ClientError>>) {
    let (mut pending, mut sent, mut read) = (vec![], vec![], 0);
    for piece in pieces {
        pending.extend_from_slice(piece);
        loop {
            match client.push(&pending) {
                Ok(ClientStep::NeedMore) => break,
                Ok(ClientStep::Say { used, bytes }) => {
                    sent.extend(bytes);
                    read += used;
                    pending.drain(..used);
                }
                Ok(ClientStep::Open { used }) => return (sent, Some(Ok(read + used))),
                Err(error) => return (sent, Some(Err(error))),
            }
        }
        assert!(pending.len() <= 262, "{} bytes are held", pending.len());
    }
    (sent, None)
}

/// What a proxy is asked, once it is known.
pub fn proxy(pieces: &[&[u8]]) -> Option<Result<Asked, Refusal>> {
    let (mut pending, mut scanned) = (Vec::new(), 0);
    for piece in pieces {
        pending.extend_from_slice(piece);
        if let Some(asked) = connect::request(&pending, &mut scanned).transpose() {
            return Some(asked);
        }
        assert!(pending.len() <= LONGEST_HEAD, "{} bytes are held", pending.len());
    }
    None
}

/// An extension of TLS.
pub fn extension(kind: u16, data: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &long(data)].concat()
}

/// The extension with these server names.
pub fn server_names(names: &[&[u8]]) -> Vec<u8> {
    let list: Vec<u8> = names.iter().flat_map(|name| [&[0][..], &long(name)].concat()).collect();
    extension(0, &long(&list))
}

/// Bytes behind a length of two bytes.
pub fn long(data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).expect("short enough");
    [&length.to_be_bytes()[..], data].concat()
}

/// The body of a ClientHello with these extensions.
pub fn hello_body(extensions: &[Vec<u8>]) -> Vec<u8> {
    let fixed: &[u8] = &[&[3, 3][..], &[7; 32], &[0], &[0, 2, 0x13, 1], &[1, 0]].concat();
    [fixed, &long(&extensions.concat())].concat()
}

/// A handshake message in records of at most `size` bytes.
pub fn records(kind: u8, body: &[u8], size: usize) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("short enough").to_be_bytes();
    let message = [&[kind], &length[1..], body].concat();
    message.chunks(size).flat_map(|part| [&[22, 3, 1][..], &long(part)].concat()).collect()
}

/// A whole hello for this server name.
pub fn hello_for(name: &[u8]) -> Vec<u8> {
    records(1, &hello_body(&[server_names(&[name])]), 16384)
}

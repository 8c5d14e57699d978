//! What a program says to the proxies in its sandbox, and upstream proxies to us.

use crate::pieces;
use crate::streams;
use swathe_net::connect::{Asked, connect_reply};
use swathe_net::sniff::http::Checker;
use swathe_net::socks::{Client, Reply};
use swathe_net::target::Target;

/// In pieces and as a whole they are the same; a request that goes on to a server is a good one for
/// that server.
pub fn run(data: &[u8]) {
    let (sizes, bytes) = pieces(data);
    let cut = streams::pieces(bytes, sizes);
    let socks = streams::socks(&[bytes]);
    assert_eq!(streams::socks(&cut), socks);
    if let Some(Ok((request, used))) = socks.1 {
        assert!(used <= bytes.len() && request.port != 0);
        assert!(request.reply(Reply::NotAllowed).len() <= 10);
    }
    let asked = streams::proxy(&[bytes]);
    assert_eq!(streams::proxy(&cut), asked);
    if let Some(Ok(Asked::Forward(forward))) = asked
        && let Target::Name(name) = &forward.target
        && forward.head.iter().filter(|byte| **byte == b'\n').count() < 90
    {
        let passed = Checker::new(name, forward.port).push(&forward.head);
        assert_eq!(passed.map(|progress| progress.forward), Ok(forward.head.len()));
    }
    let drive = |pieces: &[&[u8]]| {
        let Ok(mut client) = Client::new(&Target::Localhost, 1, Some(("u", "p"))) else {
            unreachable!("a short login")
        };
        streams::socks_client(&mut client, pieces)
    };
    assert_eq!(drive(&cut), drive(&[bytes]));
    if let Ok(Some(used)) = connect_reply(bytes) {
        assert!(used <= bytes.len());
    }
}

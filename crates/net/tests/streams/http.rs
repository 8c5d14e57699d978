//! Connections that speak plain HTTP.

use crate::name;
use crate::support::{check, pieces, spoken};
use proptest::prelude::*;
use swathe_net::sniff::Spoken;
use swathe_net::sniff::http::Checker;

fn checker() -> Checker {
    Checker::new(&name("a.example"), 8080)
}

/// All of it goes on, in pieces of any size.
fn passes(text: &str) {
    for sizes in [&[][..], &[1], &[7, 1, 30]] {
        let passed = check(&mut checker(), &mut Vec::new(), &pieces(text.as_bytes(), sizes));
        assert_eq!(passed.refused, None, "{text:?}");
        assert_eq!(
            passed.forwarded.escape_ascii().to_string(),
            text.as_bytes().escape_ascii().to_string()
        );
        assert!(!passed.waits);
    }
}

#[test]
fn requests_for_the_name_go_on() {
    assert_eq!(spoken(&[b"GET / HTTP/1.1\r\n"]), Spoken::Http);
    for host in ["a.example", "A.Example:8080", "a.example.", "  a.example  "] {
        passes(&format!("GET /x HTTP/1.1\r\nHost: {host}\r\nAccept: */*\r\n\r\n"));
    }
    passes("GET / HTTP/1.0\r\n\r\n");
    passes("GET http://a.EXAMPLE:8080/x?y HTTP/1.1\r\nHost: a.example:8080\r\n\r\n");
    passes("OPTIONS * HTTP/1.1\r\nhost:a.example\r\n\r\n");
    passes("CONNECT a.example:8080 HTTP/1.1\r\nHost: a.example:8080\r\n\r\n");
}

#[test]
fn each_request_of_a_connection_is_checked() {
    let get = "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
    let post = "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\nGET /";
    let chunked = "PUT / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: Chunked\r\n\r\n\
                   5\r\nGET /\r\n1A;x=\"y\"\r\nabcdefghijklmnopqrstuvwxyz\r\n000\r\nX: y\r\n\r\n";
    let good = [
        get,
        post,
        chunked,
        "PUT / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        get,
    ]
    .concat();
    passes(&good);
    let other = format!("{good}GET / HTTP/1.1\r\nHost: b.example\r\n\r\n{get}");
    for sizes in [&[][..], &[1], &[9]] {
        let passed = check(&mut checker(), &mut Vec::new(), &pieces(other.as_bytes(), sizes));
        assert_eq!(passed.forwarded, good.as_bytes());
        let refusal = passed.refused.expect("another host");
        assert_eq!(refusal.status, 403);
        assert!(refusal.reason.contains("b.example") && refusal.reason.contains("a.example:8080"));
    }
}

#[test]
fn a_refusal_is_an_answer_and_stays() {
    let mut checker = checker();
    let bad = b"GET / HTTP/1.1\r\nHost: b\x1b[2J.example\r\n\r\n";
    let refusal = checker.push(bad).expect_err("another host");
    assert_eq!(checker.push(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"), Err(refusal.clone()));
    let reply = String::from_utf8(refusal.reply()).expect("text");
    let (head, body) = reply.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("HTTP/1.1 4") && head.contains("\r\nConnection: close"));
    assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())));
    assert!(body.starts_with("swathe: ") && !body.contains('\x1b'));
}

const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: keep-alive, Upgrade\r\n\
                       Upgrade: websocket\r\n\r\n";

#[test]
fn another_protocol_begins_where_the_server_agrees() {
    let hidden = "GET / HTTP/1.1\r\nHost: b.example\r\n\r\n";
    for (answer, opaque) in [
        ("HTTP/1.1 101 Switching Protocols\r\n", true),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nA: b\r\n\r\nHTTP/1.1 101\r\n", true),
        ("HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 101 Switching Protocols\r\n", false),
        ("HTTP/1.0 101 Switching Protocols\r\n", false),
        ("HTTP/1.1 1010 Switching Protocols\r\n", false),
        ("SSH-2.0-server: HTTP/1.1 101 \r\n", false),
    ] {
        for sizes in [&[][..], &[1]] {
            let (mut checker, mut held) = (checker(), Vec::new());
            let sent = [UPGRADE, hidden].concat();
            let passed = check(&mut checker, &mut held, &pieces(sent.as_bytes(), sizes));
            assert_eq!((passed.forwarded, passed.waits), (UPGRADE.into(), true));
            let waits = pieces(answer.as_bytes(), sizes).iter().all(|piece| checker.reply(piece));
            assert!(!waits && !checker.needs_reply(), "{answer:?}");
            let passed = check(&mut checker, &mut held, &[b"\x81\0"]);
            let expected = if opaque { [hidden, "\u{81}\0"].concat().len() - 1 } else { 0 };
            assert_eq!((passed.forwarded.len(), passed.refused.is_none()), (expected, opaque));
        }
    }
}

#[test]
fn a_server_that_never_answers_whole_is_not_waited_for_forever() {
    let mut checker = checker();
    assert!(checker.push(UPGRADE.as_bytes()).expect("an upgrade").need_reply);
    assert!(checker.reply(b"HTTP/1.1 100 Continue\r\n"));
    assert!(!checker.reply(&[b'a'; 70_000]));
}

#[test]
fn http_2_and_later_requests_never_become_opaque() {
    let get = "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
    let h2c = UPGRADE.replace("websocket", "h2c");
    // Clients offer it and go on with HTTP/1.1.
    passes(&[&h2c, get].concat());
    passes(&[get, UPGRADE, get].concat());
    passes(&[&UPGRADE.replace("websocket", "websocket, h2c"), get].concat());
    passes(&[&UPGRADE.replace("websocket", "TLS/1.2"), get].concat());
    passes(&[&UPGRADE.replace("Connection: keep-alive, Upgrade\r\n", ""), get].concat());
    let preface = [&h2c[..], "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"].concat();
    let passed = check(&mut checker(), &mut Vec::new(), &[preface.as_bytes()]);
    assert_eq!(passed.refused.expect("HTTP/2").status, 505);
}

/// Parts of requests, good and bad.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let part = prop::sample::select(
        &[
            "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 9\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n",
            "Host: b.example\r\n",
            "Content-Length: 2\r\n",
            "3\r\nabc\r\n",
            "0\r\n\r\n",
            "0\r\nA: b\r\n",
            "\r\n",
            "\n",
            "\r",
            "\0",
            "x",
            UPGRADE,
        ][..],
    );
    proptest::collection::vec(part, 0..8).prop_map(|parts| parts.concat().into_bytes())
}

proptest! {
    /// Pieces make no difference to what goes on.
    #[test]
    fn pieces_make_no_difference(
        stream in stream(), sizes in proptest::collection::vec(any::<u8>(), 1..5),
        answer in "HTTP/1.1 (100|101|200) (\r\n){0,2}",
    ) {
        let drive = |sizes: &[u8]| {
            let (mut checker, mut held) = (checker(), Vec::new());
            let first = check(&mut checker, &mut held, &pieces(&stream, sizes));
            pieces(answer.as_bytes(), sizes).iter().all(|piece| checker.reply(piece));
            (first, check(&mut checker, &mut held, &[b"GET / HTTP/1.1\r\n"]))
        };
        prop_assert_eq!(drive(&sizes), drive(&[]));
    }

    /// No bytes are more than a refusal.
    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = check(&mut checker(), &mut Vec::new(), &[&bytes]);
        let _ = spoken(&pieces(&bytes, &[3]));
    }
}

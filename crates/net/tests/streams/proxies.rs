//! Proxies: SOCKS and HTTP, both sides.

use crate::name;
use crate::support::{pieces, proxy, socks, socks_client};
use proptest::prelude::*;
use swathe_net::connect::{Asked, Forward, TunnelError, connect_reply, connect_request};
use swathe_net::socks::{Client, ClientError, Reply};
use swathe_net::target::Target;

fn named(text: &str) -> Target {
    Target::Name(name(text))
}

fn address(text: &str) -> Target {
    Target::Address(text.parse().expect(text))
}

#[test]
fn socks_requests_of_all_versions() {
    let v5 = b"\x05\x02\x02\0";
    for (bytes, target, port) in [
        ([v5, &b"\x05\x01\0\x03\x09A.example\0\x50"[..]].concat(), named("a.example"), 80),
        ([v5, &b"\x05\x01\0\x01\xc0\0\x02\x01\x01\xbb"[..]].concat(), address("192.0.2.1"), 443),
        ([v5, &b"\x05\x01\0\x03\x09127.0.0.1\0\x50"[..]].concat(), address("127.0.0.1"), 80),
        ([v5, &b"\x05\x01\0\x03\x09localhost\0\x50"[..]].concat(), Target::Localhost, 80),
        ([v5, &b"\x05\x01\0\x04"[..], &[0; 15], b"\x01\0\x50"].concat(), address("::1"), 80),
        (b"\x04\x01\0\x50\xc0\0\x02\x01user\0".to_vec(), address("192.0.2.1"), 80),
        (b"\x04\x01\0\x50\0\0\0\x01\0a.example\0".to_vec(), named("a.example"), 80),
    ] {
        let behind = [&bytes[..], b"early"].concat();
        for sizes in [&[][..], &[1], &[3, 8]] {
            let (said, end) = socks(&pieces(&behind, sizes));
            let (request, used) = end.expect("an end").expect("a request");
            assert_eq!((&request.target, request.port, used), (&target, port, bytes.len()));
            assert_eq!(said, if bytes[0] == 5 { &b"\x05\0"[..] } else { b"" });
            let refused = request.reply(Reply::NotAllowed);
            assert_eq!(refused[1], if bytes[0] == 5 { 2 } else { 91 });
            let granted = request.reply(Reply::Succeeded);
            assert_eq!(granted[1], if bytes[0] == 5 { 0 } else { 90 });
            assert_eq!(granted.len(), if bytes[0] == 5 { 10 } else { 8 });
        }
    }
}

#[test]
fn a_socks_client_and_its_proxy() {
    let ask = |login, answers: &[u8], sizes: &[u8]| {
        let mut client = Client::new(&named("a.example"), 443, login).expect("a client");
        let (sent, end) = socks_client(&mut client, &pieces(answers, sizes));
        ([client.greeting(), sent].concat(), end)
    };
    let request = b"\x05\x01\0\x03\x09a.example\x01\xbb";
    let open = b"\x05\0\0\x01\0\0\0\0\0\0rest";
    for sizes in [&[][..], &[1]] {
        let (sent, end) = ask(None, &[&b"\x05\0"[..], open].concat(), sizes);
        assert_eq!(sent, [&b"\x05\x01\0"[..], request].concat());
        assert_eq!(end, Some(Ok(12)));
        let answers = [&b"\x05\x02\x01\0"[..], b"\x05\0\0\x03\x01a\0\0rest"].concat();
        let (sent, end) = ask(Some(("u", "pw")), &answers, sizes);
        let login = b"\x01\x01u\x02pw";
        assert_eq!(sent, [&b"\x05\x02\0\x02"[..], login, request].concat());
        assert_eq!(end, Some(Ok(12)));
    }
    for (login, answers, error) in [
        (None, &b"\x05\x02"[..], ClientError::Denied),
        (None, b"\x05\xff", ClientError::Denied),
        (Some(("u", "p")), b"\x05\x02\x01\x01", ClientError::Denied),
        (None, b"HTTP/1.1 400", ClientError::Malformed("another version")),
        (None, b"\x05\0\x05\x02\0\x01", ClientError::Refused(2)),
        (None, b"\x05\0\x05\0\0\x07", ClientError::Malformed("an address of an unknown kind")),
    ] {
        assert_eq!(ask(login, answers, &[]).1, Some(Err(error)));
    }
    let long = "x".repeat(256);
    assert_eq!(
        Client::new(&Target::Localhost, 1, Some((&long, "p"))).err(),
        Some(ClientError::Login)
    );
    assert_eq!(Client::new(&Target::Localhost, 1, Some(("u", ""))).err(), Some(ClientError::Login));
}

#[test]
fn tunnels_of_an_http_proxy() {
    for (authority, target, port) in [
        ("A.example:443", named("a.example"), 443),
        ("[2001:db8::1]:22", address("2001:db8::1"), 22),
        ("192.0.2.1:1", address("192.0.2.1"), 1),
        ("localhost:5432", Target::Localhost, 5432),
    ] {
        let text =
            format!("CONNECT {authority} HTTP/1.1\r\nHost: x\r\nProxy-Authorization: y\r\n\r\n");
        let behind = format!("{text}\x16\x03");
        for sizes in [&[][..], &[1]] {
            let asked =
                proxy(&pieces(behind.as_bytes(), sizes)).expect("a head").expect("a tunnel");
            let target = target.clone();
            assert_eq!(asked, Asked::Tunnel { target, port, used: text.len() });
        }
    }
}

fn forwarded(text: &str) -> Forward {
    match proxy(&[text.as_bytes()]) {
        Some(Ok(Asked::Forward(forward))) => forward,
        other => panic!("{other:?}"),
    }
}

#[test]
fn requests_through_an_http_proxy_are_made_those_of_the_server() {
    let text = "POST HTTP://A.example:8080/x?y=z HTTP/1.1\r\nHost: b.example\r\nAccept: a\r\n\
                Proxy-Authorization: Basic eA==\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\n\
                Proxy-Connection: keep-alive\r\nTE: trailers\r\nUpgrade: h2c\r\n\
                Content-Length: 3\r\n\r\n";
    let mut forward = forwarded(&format!("{text}abcGET / HTTP/1.1\r\n"));
    assert_eq!(
        (&forward.target, forward.port, forward.used),
        (&named("a.example"), 8080, text.len())
    );
    assert_eq!(
        String::from_utf8(forward.head.clone()).expect("text"),
        "POST /x?y=z HTTP/1.1\r\nHost: a.example:8080\r\nConnection: close\r\nAccept: a\r\n\
         Content-Length: 3\r\n\r\n"
    );
    assert_eq!(forward.body.push(b"abcGET /"), Ok(3));
    assert!(forward.body.ended());
    for (line, first) in [
        ("GET http://a.example", "GET / HTTP/1.1\r\nHost: a.example\r\n"),
        ("GET http://a.example:80?q", "GET /?q HTTP/1.1\r\nHost: a.example\r\n"),
        ("OPTIONS http://a.example", "OPTIONS * HTTP/1.1\r\nHost: a.example\r\n"),
        ("GET http://[::1]:81/", "GET / HTTP/1.1\r\nHost: [::1]:81\r\n"),
    ] {
        let forward = forwarded(&format!("{line} HTTP/1.1\r\n\r\n"));
        assert!(forward.head.starts_with(first.as_bytes()), "{line}");
        assert!(forward.body.ended());
    }
}

#[test]
fn tunnels_through_an_upstream_proxy() {
    assert_eq!(
        connect_request(&named("a.example"), 443, Some("user:pass\r\n")),
        b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\
          Proxy-Authorization: Basic dXNlcjpwYXNzDQo=\r\n\r\n"
    );
    assert!(connect_request(&address("::1"), 1, None).starts_with(b"CONNECT [::1]:1 HTTP/1.1\r\n"));
    let long = [&b"HTTP/1.1 200 OK\r\nA: "[..], &[b'a'; 20_000]].concat();
    for (bytes, reply) in [
        (&b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nrest"[..], Ok(Some(25))),
        (b"HTTP/1.0 200 OK\r\n\r", Ok(None)),
        (b"", Ok(None)),
        (b"HTTP/1.1 407 No\r\n\r\n", Err(TunnelError::Refused(407))),
        (b"HTTP/1.1 101 Switching\r\n\r\n", Err(TunnelError::Refused(101))),
        (b"SSH-2.0-x\r\n", Err(TunnelError::Malformed)),
        (&long, Err(TunnelError::Malformed)),
    ] {
        assert_eq!(connect_reply(bytes), reply, "{}", bytes.escape_ascii());
    }
}

proptest! {
    /// Nothing panics, and pieces make no difference.
    #[test]
    fn pieces_make_no_difference(
        bytes in "(\u{5}|\u{1}|\u{0}|\u{3}|\u{4}|a){0,20}",
        head in "(CONNECT |GET |http://|a|:80| HTTP/1.1|\r\n|\n|Host: a|Connection: ){0,12}",
        sizes in proptest::collection::vec(any::<u8>(), 1..4),
    ) {
        prop_assert_eq!(socks(&pieces(bytes.as_bytes(), &sizes)), socks(&[bytes.as_bytes()]));
        prop_assert_eq!(proxy(&pieces(head.as_bytes(), &sizes)), proxy(&[head.as_bytes()]));
        let drive = |sizes: &[u8]| {
            let mut client = Client::new(&Target::Localhost, 1, Some(("u", "p"))).expect("a client");
            socks_client(&mut client, &pieces(bytes.as_bytes(), sizes))
        };
        prop_assert_eq!(drive(&sizes), drive(&[]));
        let _ = connect_reply(bytes.as_bytes());
    }
}

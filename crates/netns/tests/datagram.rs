//! Datagrams with the address that they were sent to.

use std::net::{IpAddr, Ipv6Addr, UdpSocket};
use swathe_sys::Errno;
use swathe_sys::datagram::{prepare, receive, send};
use swathe_testkit::notice;

/// What was sent to an address arrives with it, and a reply from that address is taken by a
/// socket that is connected to it; IPv4 also on a socket of both families.
#[test]
fn there_and_back() {
    for (ours, port_of, theirs) in [
        ("127.0.0.1:0", "127.0.0.1", "127.0.0.1:0"),
        ("0.0.0.0:0", "127.8.8.8", "127.0.0.1:0"),
        ("[::]:0", "127.8.8.8", "127.0.0.1:0"),
        ("[::]:0", "::1", "[::1]:0"),
    ] {
        let Ok(server) = UdpSocket::bind(ours) else {
            notice(&format!("no socket at {ours}: not tried"));
            continue;
        };
        prepare(&server, ours.starts_with('[')).expect("prepare");
        let asked: IpAddr = port_of.parse().expect("an address");
        let port = server.local_addr().expect("its address").port();
        let client = UdpSocket::bind(theirs).expect("bind");
        client.connect((asked, port)).expect("connect");
        client.send(b"question").expect("send");
        let mut bytes = [0; 64];
        let got = receive(&server, &mut bytes).expect("receive");
        assert_eq!(&bytes[..got.length], b"question");
        assert_eq!(got.asked.to_canonical(), asked);
        let from = client.local_addr().expect("its address");
        assert_eq!((got.peer.ip().to_canonical(), got.peer.port()), (from.ip(), from.port()));
        send(&server, b"answer", got.peer, got.asked).expect("send");
        assert_eq!(client.recv(&mut bytes).expect("receive"), 6);
        client.send(&[1; 65]).expect("send");
        assert_eq!(receive(&server, &mut bytes), Err(Errno::MSGSIZE));
    }
}

/// Two families make no datagram, and a socket that was not prepared tells no address.
#[test]
fn refused() {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("bind");
    let own = socket.local_addr().expect("its address");
    assert_eq!(send(&socket, b"", own, Ipv6Addr::LOCALHOST.into()), Err(Errno::AFNOSUPPORT));
    socket.send_to(b"x", own).expect("send");
    assert_eq!(receive(&socket, &mut [0; 8]), Err(Errno::AFNOSUPPORT));
}

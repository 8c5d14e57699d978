//! The helper as a process of its own: what it relays, what it refuses, and what it cannot do.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;
use swathe_net::protocol::{Config, Order, Report, Role};
use swathe_net::{Helper, Link};
use swathe_netrules::{Form, Name, Rule, Rules};

/// A wait that no working helper reaches.
const PATIENCE: Duration = Duration::from_secs(20);

fn program() -> PathBuf {
    let own = std::env::current_exe().expect("this program");
    own.parent().and_then(|dir| dir.parent()).expect("a directory").join("examples/helper")
}

fn rules(allow: &[&str], deny: &[&str]) -> Rules {
    let parse = |form| move |text: &&str| Rule::parse(text, form).expect("a rule");
    Rules {
        allow: allow.iter().map(parse(Form::Allow)).collect(),
        deny: deny.iter().map(parse(Form::Deny)).collect(),
    }
}

/// A helper with an explicit proxy of either kind.
struct Running {
    helper: Helper,
    link: Link,
    http: SocketAddr,
    socks: SocketAddr,
}

impl Running {
    fn new(allow: &[&str], deny: &[&str]) -> Self {
        Self::with(Config {
            rules: rules(allow, deny),
            ask: false,
            servers: Vec::new(),
            hosts: Vec::new(),
            upstream: None,
            connections: 64,
        })
    }

    fn with(config: Config) -> Self {
        let helper = Helper::start(&program(), &config).expect("a helper");
        let link = helper.link();
        let listen = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
        let (http, socks) = (listen(), listen());
        let own = |one: &TcpListener| one.local_addr().expect("an address");
        let addresses = (own(&http), own(&socks));
        let sockets: Vec<(Role, OwnedFd)> =
            vec![(Role::HttpProxy, http.into()), (Role::Socks, socks.into())];
        link.give(sockets).expect("given");
        link.begin().expect("begun");
        Self { helper, link, http: addresses.0, socks: addresses.1 }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.http).expect("connected");
        stream.set_read_timeout(Some(PATIENCE)).expect("set");
        stream
    }

    /// A tunnel to a port of this machine; otherwise what the proxy says.
    fn tunnel(&self, target: &str) -> Result<TcpStream, String> {
        let mut stream = self.connect();
        write!(stream, "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n").expect("written");
        let head = head(&mut stream);
        if head.starts_with("HTTP/1.1 200 ") { Ok(stream) } else { Err(head) }
    }

    /// The next decision that is reported.
    fn decision(&self) -> swathe_net::protocol::Decision {
        loop {
            if let Report::Decided(decision) = self.link.next().expect("a report").expect("one") {
                return decision;
            }
        }
    }
}

fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|n| n == 1) {
        head.push(byte[0]);
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// A server of one connection.
fn server(serve: impl FnOnce(TcpStream) + Send + 'static) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        if let Ok((stream, _)) = listener.accept() {
            serve(stream);
        }
    });
    port
}

fn echo(mut stream: TcpStream) {
    let mut reader = stream.try_clone().expect("a copy");
    let _ = std::io::copy(&mut reader, &mut stream);
    let _ = stream.shutdown(Shutdown::Write);
}

/// Bytes go both ways, and the end of one direction leaves the other open.
#[test]
fn both_ways_and_half_closed() {
    let port = server(|mut stream| {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).expect("read");
        all.reverse();
        stream.write_all(&all).expect("written");
    });
    let running = Running::new(&[&format!("localhost:{port}")], &[]);
    let mut stream = running.tunnel(&format!("localhost:{port}")).expect("a tunnel");
    let sent: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let mut writer = stream.try_clone().expect("a copy");
    let copy = sent.clone();
    let writing = std::thread::spawn(move || {
        writer.write_all(&copy).expect("written");
        writer.shutdown(Shutdown::Write).expect("shut");
    });
    let mut back = Vec::new();
    stream.read_to_end(&mut back).expect("read");
    writing.join().expect("written");
    back.reverse();
    assert_eq!(back.len(), sent.len());
    assert!(back == sent);
    let decision = running.decision();
    assert!(decision.allowed, "{decision:?}");
    assert_eq!(decision.object, format!("tcp:127.0.0.1:{port}"));
}

/// Whoever says a word to a host by its name, and waits for the answer, gets one: it may be the
/// beginning of a request, and goes on all the same.
#[test]
fn words_without_an_end() {
    let port = server(echo);
    let host = (Name::parse(b"good.example").expect("a name"), vec![Ipv4Addr::LOCALHOST.into()]);
    let running = Running::with(Config {
        rules: rules(&[&format!("good.example:{port}"), &format!("127.0.0.1:{port}")], &[]),
        ask: false,
        servers: Vec::new(),
        hosts: vec![host],
        upstream: None,
        connections: 64,
    });
    let mut stream = running.tunnel(&format!("good.example:{port}")).expect("a tunnel");
    for word in ["ruok", " GET", "\0and more"] {
        let mut back = vec![0; word.len()];
        stream.write_all(word.as_bytes()).expect("written");
        stream.read_exact(&mut back).expect("an answer");
        assert_eq!(back, word.as_bytes());
    }
}

/// What is not granted is refused with the reason, reported, and nothing is dialled.
#[test]
fn refused() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
    listener.set_nonblocking(true).expect("set");
    let port = listener.local_addr().expect("an address").port();
    let running = Running::new(&["localhost:1", "example.org"], &[]);
    for target in [
        format!("localhost:{port}"),
        format!("127.0.0.1:{port}"),
        format!("[::1]:{port}"),
        format!("[::ffff:127.0.0.1]:{port}"),
        format!("127.1.2.3:{port}"),
        format!("0.0.0.0:{port}"),
    ] {
        let said = running.tunnel(&target).expect_err("no tunnel");
        assert!(said.starts_with("HTTP/1.1 403 "), "{target}: {said}");
        let decision = running.decision();
        assert!(!decision.allowed && decision.reason.is_some(), "{target}: {decision:?}");
    }
    for target in [format!("2130706433:{port}"), format!("0x7f.1:{port}"), format!("127.1:{port}")]
    {
        let said = running.tunnel(&target).expect_err("no tunnel");
        assert!(said.starts_with("HTTP/1.1 4"), "{target}: {said}");
    }
    assert!(listener.accept().is_err(), "somebody connected");
}

/// A connection that one side breaks off is broken off for the other.
#[test]
fn reset() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let port = server(move |mut stream| {
        let mut buffer = [0; 16];
        stream.write_all(b"hello").expect("written");
        let ended = loop {
            match stream.read(&mut buffer) {
                Ok(0) => break None,
                Ok(_) => {}
                Err(e) => break Some(e.kind()),
            }
        };
        sender.send(ended).expect("a test");
    });
    let running = Running::new(&[&format!("localhost:{port}")], &[]);
    let mut stream = running.tunnel(&format!("localhost:{port}")).expect("a tunnel");
    stream.read_exact(&mut [0; 5]).expect("hello");
    let now = Some(Duration::ZERO);
    rustix::net::sockopt::set_socket_linger(&stream, now).expect("set");
    drop(stream);
    let ended = receiver.recv_timeout(PATIENCE).expect("an end");
    assert_eq!(ended, Some(std::io::ErrorKind::ConnectionReset));
}

/// Whether a connection is over. One that is only silent is not.
fn has_ended(stream: &mut TcpStream) -> bool {
    use std::io::ErrorKind::{TimedOut, WouldBlock};
    match stream.read(&mut [0]) {
        Ok(read) => read == 0,
        Err(e) => !matches!(e.kind(), TimedOut | WouldBlock),
    }
}

/// Rules that are taken away end what they allowed, and the helper's end ends all.
#[test]
fn revoked_and_killed() {
    let (first, second) = (server(echo), server(echo));
    let granted = [format!("localhost:{first}"), format!("localhost:{second}")];
    let running = Running::new(&[&granted[0], &granted[1]], &[]);
    let mut one = running.tunnel(&granted[0]).expect("a tunnel");
    let mut two = running.tunnel(&granted[1]).expect("a tunnel");
    for stream in [&mut one, &mut two] {
        stream.write_all(b"x").expect("written");
        stream.read_exact(&mut [0]).expect("back");
    }
    let order = Order::Rules { rules: rules(&[&granted[1]], &[]), ask: false, last: true };
    running.link.send(&order, &[]).expect("sent");
    assert!(has_ended(&mut one), "it goes on");
    two.write_all(b"x").expect("written");
    two.read_exact(&mut [0]).expect("back");
    let http = running.http;
    drop(running);
    assert!(has_ended(&mut two), "it goes on");
    assert!(TcpStream::connect(http).is_err(), "somebody listens");
}

/// A host that is slow to accept is not spoken to where its rule is taken away meanwhile.
#[test]
fn revoked_while_dialling() {
    use rustix::net::{AddressFamily, SocketType, bind, listen, socket};
    let slow = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
    bind(&slow, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).expect("bound");
    listen(&slow, 0).expect("listening");
    let slow = TcpListener::from(slow);
    let address = slow.local_addr().expect("an address");
    // Its queue is full when one more has to wait.
    let connect = || TcpStream::connect_timeout(&address, Duration::from_millis(300));
    let full: Vec<_> = std::iter::from_fn(|| connect().ok()).take(8).collect();
    assert!(full.len() < 8, "nobody has to wait");
    let target = format!("localhost:{}", address.port());
    let running = Running::new(&[&target], &[]);
    let mut stream = running.connect();
    write!(stream, "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n").expect("written");
    // SYN_SENT, as proc_pid_net(5) has it.
    let dials = format!(":{:04X} 02 ", address.port());
    let start = std::time::Instant::now();
    while !std::fs::read_to_string("/proc/net/tcp").expect("sockets").contains(&dials) {
        assert!(start.elapsed() < PATIENCE, "nobody dials");
        std::thread::sleep(Duration::from_millis(5));
    }
    let order = Order::Rules { rules: rules(&[], &[]), ask: false, last: true };
    running.link.send(&order, &[]).expect("sent");
    // It does one thing after the other.
    running.link.send(&Order::List, &[]).expect("sent");
    let next = || running.link.next().expect("a report").expect("one");
    while !matches!(next(), Report::List { .. }) {}
    for _ in &full {
        slow.accept().expect("accepted");
    }
    drop(head(&mut stream));
    assert!(has_ended(&mut stream), "it goes on");
}

/// SOCKS, with a name and an address.
#[test]
fn socks() {
    let port = server(echo);
    let running = Running::new(&[&format!("localhost:{port}")], &[]);
    let ask = |address: &[u8], port: u16| {
        let mut stream = TcpStream::connect(running.socks).expect("connected");
        stream.set_read_timeout(Some(PATIENCE)).expect("set");
        stream.write_all(&[5, 1, 0]).expect("written");
        stream.read_exact(&mut [0; 2]).expect("a method");
        let request = [&[5, 1, 0], address, &port.to_be_bytes()].concat();
        stream.write_all(&request).expect("written");
        let mut reply = [0; 10];
        stream.read_exact(&mut reply).expect("a reply");
        (reply[1], stream)
    };
    let (denied, _) = ask(&[1, 127, 0, 0, 1], port.wrapping_add(1).max(1));
    assert_eq!(denied, 2);
    let (allowed, mut stream) = ask(b"\x03\x09localhost", port);
    assert_eq!(allowed, 0);
    stream.write_all(b"x").expect("written");
    stream.read_exact(&mut [0]).expect("back");
}

/// An answer of a user counts for those who wait, and nothing is dialled before.
#[test]
fn asked() {
    let port = server(echo);
    let running = Running::with(Config {
        rules: rules(&["example.org"], &[]),
        ask: true,
        servers: Vec::new(),
        hosts: Vec::new(),
        upstream: None,
        connections: 64,
    });
    let target = format!("localhost:{port}");
    let asking = std::thread::spawn({
        let (http, target) = (running.http, target.clone());
        move || {
            let mut stream = TcpStream::connect(http).expect("connected");
            write!(stream, "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n").expect("written");
            head(&mut stream)
        }
    });
    let question = loop {
        if let Some(Report::Question { id, target, .. }) = running.link.next().expect("a report") {
            assert_eq!(target, format!("tcp:127.0.0.1:{port}"));
            break id;
        }
    };
    running.link.send(&Order::Answer { question, allow: true }, &[]).expect("sent");
    assert!(asking.join().expect("asked").starts_with("HTTP/1.1 200 "));
}

/// Whoever asks the helper for names.
struct Names(UdpSocket);

impl Names {
    fn of(running: &Running) -> Self {
        let inside = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
        swathe_sys::datagram::prepare(&inside, false).expect("prepared");
        let resolver = inside.local_addr().expect("an address");
        running.link.give(vec![(Role::Names, inside.into())]).expect("given");
        let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
        client.connect(resolver).expect("connected");
        client.set_read_timeout(Some(PATIENCE)).expect("set");
        Self(client)
    }

    fn ask(&self, name: &str) {
        let mut question = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for label in name.split('.') {
            question.push(label.len() as u8);
            question.extend(label.as_bytes());
        }
        question.extend([0, 0, 1, 0, 1]);
        self.0.send(&question).expect("sent");
    }

    fn answer(&self) -> Vec<u8> {
        let mut buffer = [0; 512];
        let length = self.0.recv(&mut buffer).expect("an answer");
        buffer[..length].to_vec()
    }
}

/// Names: granted ones lead to the pool, others are refused without a question to anybody.
#[test]
fn names() {
    let upstream = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    let running = Running::with(Config {
        rules: rules(&["granted.example:443"], &[]),
        ask: false,
        servers: vec![upstream.local_addr().expect("an address")],
        hosts: Vec::new(),
        upstream: None,
        connections: 64,
    });
    let names = Names::of(&running);
    names.ask("other.example");
    assert_eq!(names.answer()[3] & 0xf, 5, "REFUSED");
    assert_eq!(names.answer()[3] & 0xf, 3, "and for musl that there is none");
    upstream.set_nonblocking(true).expect("set");
    assert!(upstream.recv(&mut [0; 512]).is_err(), "a name has left");
    upstream.set_nonblocking(false).expect("set");
    names.ask("Granted.EXAMPLE");
    // Both families are asked for, one with an address.
    for _ in 0..2 {
        let mut buffer = [0; 512];
        let (length, peer) = upstream.recv_from(&mut buffer).expect("a question");
        let mut reply = buffer[..length].to_vec();
        let end = 12 + "granted.example".len() + 2;
        let kind = reply[end + 1];
        reply.truncate(end + 4);
        reply[2..4].copy_from_slice(&[0x81, 0x80]);
        reply[10..12].copy_from_slice(&[0, 0]);
        if kind == 1 {
            reply[7] = 1;
            reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 93, 184, 216, 34]);
        }
        upstream.send_to(&reply, peer).expect("sent");
    }
    let answer = names.answer();
    assert_eq!(answer[3] & 0xf, 0, "{answer:?}");
    assert!(answer.windows(4).any(|four| four == [198, 18, 1, 0]), "{answer:?}");
}

/// What was decided before its end is heard, even where it could not say it yet.
#[test]
fn last_words() {
    const MANY: usize = 2_000;
    let running = Running::with(Config {
        rules: rules(&["granted.example:443"], &[]),
        ask: false,
        servers: Vec::new(),
        hosts: vec![(
            swathe_netrules::Name::parse(b"granted.example").expect("a name"),
            vec![Ipv4Addr::LOCALHOST.into()],
        )],
        upstream: None,
        connections: 64,
    });
    let names = Names::of(&running);
    for _ in 0..MANY {
        names.ask("granted.example");
        assert_eq!(names.answer()[3] & 0xf, 0);
    }
    let Running { helper, link, .. } = running;
    let heard = std::thread::spawn(move || {
        let next = || link.next().expect("a report");
        std::iter::from_fn(next).filter(|said| matches!(said, Report::Decided(_))).count()
    });
    drop(helper);
    assert_eq!(heard.join().expect("heard"), MANY);
}

/// The helper has no file system, and the kernel ends it for a call that it has no need for.
#[test]
fn confined() {
    let running = Running::new(&[], &[]);
    let pid = running.helper.id();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("its status");
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).expect("a line");
        line.split_ascii_whitespace().nth(1).expect("a value").to_owned()
    };
    assert_eq!(field("Seccomp:"), "2");
    assert_eq!(field("NoNewPrivs:"), "1");
    for caps in ["CapEff:", "CapPrm:", "CapInh:", "CapAmb:"] {
        assert!(field(caps).chars().all(|c| c == '0'), "{caps} {}", field(caps));
    }
    assert_eq!(field("Threads:"), "1");
    if rustix::process::getuid().is_root() {
        // Only root may look.
        let root = std::fs::read_dir(format!("/proc/{pid}/root/")).expect("its root");
        assert_eq!(root.count(), 0);
    }
}

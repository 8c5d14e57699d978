//! The network of a sandbox, made from outside: the helper and its client, as root and as an ordinary
//! user.

mod common;
mod mounting;
mod networking;

use networking::{Network, request, wait};
use rustix::net::sockopt;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::os::fd::AsFd as _;
use swathe::plan::model::CapOp;
use swathe_netns::{Error, Inside, MAX_PORTS, Role, Step, Way};
use swathe_sys::datagram;
use swathe_testkit::{Bwrap, notice};

const ADDRESSES: [&str; 6] =
    ["1.2.3.4", "198.18.1.7", "192.168.0.1", "2001:db8::7", "fd73:7761:7468:6500::105", "fe00::1"];

/// Where a connection was meant to go.
fn destination(stream: &TcpStream, way: Way) -> SocketAddr {
    let found = match stream.local_addr().expect("its address") {
        own if way == Way::AnyIp => own,
        own if own.ip().to_canonical().is_ipv4() => {
            sockopt::ip_original_dst(stream).expect("its destination").into()
        }
        _ => sockopt::ipv6_original_dst(stream).expect("its destination").into(),
    };
    SocketAddr::new(found.ip().to_canonical(), found.port())
}

/// Answers a line with another.
fn answer(stream: &TcpStream, text: &str) -> String {
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).expect("read");
    (&*stream).write_all(format!("{text}\n").as_bytes()).expect("write");
    line.trim_end().to_owned()
}

/// A connection to any address arrives with its destination, in both families.
fn tcp(b: &Bwrap, way: Way, role: Role, port: u16) {
    let mut network = Network::new(b, way);
    assert_eq!(network.made.way, way);
    for address in ADDRESSES {
        network.client(&format!("tcp(\"{address}\", {port}, \"hello\")"));
        let stream = network.accept(role);
        let ip: IpAddr = address.parse().expect("an address");
        assert_eq!(destination(&stream, way), SocketAddr::new(ip, port));
        assert_eq!(answer(&stream, "well"), "hello");
        assert_eq!(network.shell.hear(), "well");
    }
}

fn tcp_arrives_by_routes(b: &Bwrap) {
    tcp(b, Way::AnyIp, Role::TcpPort(443), 443);
}

fn tcp_arrives_by_nftables(b: &Bwrap) {
    tcp(b, Way::Nft, Role::Tcp, 443);
    tcp(b, Way::Nft, Role::Tcp, 61_234);
}

/// Datagrams come with the address asked, and a connected socket takes the reply.
fn udp_arrives(b: &Bwrap) {
    for way in [Way::AnyIp, Way::Nft] {
        let mut network = Network::new(b, way);
        for (role, port) in [(Role::DnsUdp, 53), (Role::Udp(123), 123)] {
            for address in ["8.8.8.8", "198.18.0.1", "127.0.0.53", "2001:4860:4860::8888"] {
                network.client(&format!("udp(\"{address}\", {port}, \"name?\")"));
                let socket = network.socket(role);
                wait(socket);
                let mut bytes = [0; 64];
                let got = datagram::receive(socket, &mut bytes).expect("receive");
                assert_eq!(&bytes[..got.length], b"name?");
                let ip: IpAddr = address.parse().expect("an address");
                assert_eq!(got.asked.to_canonical(), ip);
                datagram::send(socket, b"an address", got.peer, got.asked).expect("send");
                assert_eq!(network.shell.hear(), "an address");
            }
        }
    }
}

/// What nobody serves is refused at once.
fn ports_without_a_listener(b: &Bwrap) {
    let refused = libc::ECONNREFUSED.to_string();
    let mut network = Network::new(b, Way::AnyIp);
    for address in ["1.2.3.4", "2001:db8::7"] {
        assert_eq!(network.run(&format!("tcp(\"{address}\", 81, \"\")")), refused);
        assert_eq!(network.run(&format!("udp(\"{address}\", 443, \"\")")), refused);
    }
    let mut network = Network::new(b, Way::Nft);
    for address in ["127.0.0.1", "::1", "198.18.0.1", "fd73:7761:7468:6500::1"] {
        assert_eq!(network.run(&format!("tcp(\"{address}\", 81, \"\")")), refused);
    }
    assert_eq!(network.run("udp(\"1.2.3.4\", 443, \"\")"), refused);
}

/// A program's own servers are its own: on any port with nftables, and at loopback always.
fn own_servers(b: &Bwrap) {
    const BIND_LOW_PORTS: u64 = 1 << 10;
    let edit = |plan: &mut swathe::plan::Plan| plan.caps.push(CapOp::Add(BIND_LOW_PORTS));
    let network = Network::with(b, &request(Way::Nft), |command| command, edit);
    let mut network = network.unwrap_or_else(|e| panic!("{e}"));
    let low: &[(&str, u16)] = &[("0.0.0.0", 443), ("::", 80)];
    // An ordinary user's capabilities are of a second user namespace, which the network is not of.
    let low = if b.is_root() { low } else { &[] };
    let high = [("0.0.0.0", 3128), ("0.0.0.0", 1080), ("0.0.0.0", 8080), ("::", 8081)];
    for (host, port) in low.iter().copied().chain(high) {
        let to = if host == "::" { "::1" } else { "127.0.0.1" };
        let code = format!(
            "my $l = bind_to(\"{host}\", {port}); if (fork) {{ my $c = $l->accept; my $s = <$c>; \
             print $c \"own $s\"; close $c; wait }} else {{ tcp(\"{to}\", {port}, \"hello\") }}"
        );
        assert_eq!(network.run(&code), "own hello", "{host}:{port}");
    }
    let mut network = Network::new(b, Way::AnyIp);
    let code = "my $l = bind_to(\"127.0.0.1\", 8080); if (fork) { my $c = $l->accept; \
                my $s = <$c>; print $c \"own $s\"; close $c; wait } \
                else { tcp(\"127.0.0.1\", 8080, \"hello\") }";
    assert_eq!(network.run(code), "own hello");
}

/// The C library sees a network of both families, so that it asks for both kinds of addresses.
fn families(b: &Bwrap) {
    let mut network = Network::new(b, Way::AnyIp);
    network.client(
        "my ($e) = getaddrinfo(\"a.example.\", 80, { flags => AI_ADDRCONFIG, \
         socktype => SOCK_STREAM }); print $e + 0 == EAI_NONAME ? \"none\" : $e",
    );
    let mut kinds = Vec::new();
    while kinds.len() < 2 {
        let socket = network.socket(Role::DnsUdp);
        wait(socket);
        let mut bytes = [0; 512];
        let got = datagram::receive(socket, &mut bytes).expect("receive");
        // A head of 12 bytes, the name, the kind.
        let kind = bytes[12 + b"\x01a\x07example\0".len() + 1];
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
        // An answer that says that there is no such name.
        (bytes[2], bytes[3]) = (0x81, 0x83);
        datagram::send(socket, &bytes[..got.length], got.peer, got.asked).expect("send");
    }
    assert_eq!(network.shell.hear(), "none");
    kinds.sort_unstable();
    assert_eq!(kinds, [1, 28]);
}

/// Nobody answers ping but who reads the sockets, from the address that was asked.
fn ping(b: &Bwrap) {
    let request = swathe_netns::Request { echo: true, ..request(Way::AnyIp) };
    let network = Network::with(b, &request, |command| command, |_| ());
    let mut network = network.unwrap_or_else(|e| panic!("{e}"));
    for (role, address, family, protocol, question, reply) in [
        (Role::Echo4, "1.2.3.4", "AF_INET", 1, 8, 0),
        (Role::Echo6, "2001:db8::7", "AF_INET6", 58, 128, 129),
    ] {
        network.client(&format!(
            "socket(my $s, {family}, SOCK_DGRAM, {protocol}) or print 0+$!; \
             my $a = {family} == AF_INET ? pack_sockaddr_in(0, inet_aton(\"{address}\")) : \
             pack_sockaddr_in6(0, inet_pton(AF_INET6, \"{address}\")); \
             connect($s, $a) or print 0+$!; \
             send($s, pack(\"CCnnna*\", {question}, 0, 0, 0, 1, \"ping\"), 0) or print 0+$!; \
             recv($s, my $got, 512, 0); print substr($got, 8)"
        ));
        let socket = network.socket(role);
        wait(socket);
        let mut bytes = [0; 128];
        let got = datagram::receive(socket, &mut bytes).expect("receive");
        assert_eq!(got.asked, address.parse::<IpAddr>().expect("an address"));
        // IPv4 comes with its header of 20 bytes, and without options.
        let start = if role == Role::Echo4 { 20 } else { 0 };
        let message = &mut bytes[start..got.length];
        assert_eq!((message[0], &message[8..]), (question, &b"ping"[..]));
        message[0] = reply;
        message[8..].copy_from_slice(b"pong");
        if role == Role::Echo4 {
            checksum(message);
        }
        datagram::send(socket, message, got.peer, got.asked).expect("send");
        assert_eq!(network.shell.hear(), "pong", "{address}");
    }
    let mut network = Network::new(b, Way::AnyIp);
    let settings =
        "cat /proc/sys/net/ipv4/icmp_echo_ignore_all /proc/sys/net/ipv6/icmp/echo_ignore_all";
    assert_eq!(network.shell.ask(settings), "1\n1");
}

/// That of an ICMP message.
fn checksum(message: &mut [u8]) {
    message[2..4].fill(0);
    let words = message
        .chunks(2)
        .map(|two| u32::from(two[0]) << 8 | two.get(1).map_or(0, |b| u32::from(*b)));
    let sum: u32 = words.sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = !u16::try_from((sum & 0xffff) + (sum >> 16)).expect("16 bits");
    message[2..4].copy_from_slice(&sum.to_be_bytes());
}

/// A program can take neither the routes nor the rule away, nor change a setting, also not in a user
/// namespace of its own.
fn stays(b: &Bwrap) {
    let mut network = Network::new(b, Way::Nft);
    let code = "sub try_route { \
        socket(my $s, 16, SOCK_RAW, 0) or return print 0+$!; \
        my $m = pack(\"LSSLL CCCCCCCCL\", 28, 25, 5, 1, 0,  2, 0, 0, 0, 255, 0, 255, 2, 0); \
        send($s, $m, 0); sysread($s, my $r, 512); print -unpack(\"x16l\", $r), \" \" } \
        sub try_table { socket(my $s, 16, SOCK_RAW, 12) or return print 0+$!; \
        my $b = sub { pack(\"LSSLL CCn\", 20, $_[0], 1, 0, 0, 0, 0, 10) }; \
        my $m = pack(\"LSSLL CCn SSa8\", 32, 10 << 8 | 2, 5, 1, 0, 1, 0, 0, 12, 1, \"swathe\"); \
        send($s, $b->(16) . $m . $b->(17), 0); sysread($s, my $r, 512); \
        print -unpack(\"x16l\", $r), \" \" } \
        sub try_setting { open(my $f, \">\", \"/proc/sys/net/ipv4/icmp_echo_ignore_all\") \
        or return print \"no \"; print \"yes \" } try_route; try_table; try_setting; ";
    let eperm = libc::EPERM;
    // Root's number alone opens settings here; `swathe run` hides them.
    let setting = if b.is_root() { "yes" } else { "no" };
    let refused = format!("{eperm} {eperm} {setting}");
    assert_eq!(network.run(code), refused);
    let nested = format!("syscall(272, 0x10000000) == 0 or print \"no namespace \"; {code}");
    if cfg!(target_arch = "x86_64") {
        assert_eq!(network.run(&nested), refused);
    }
    // The control: it is what would work with the capability.
    network.client("tcp(\"1.2.3.4\", 5, \"hello\")");
    assert_eq!(answer(&network.accept(Role::Tcp), "still"), "hello");
    assert_eq!(network.shell.hear(), "still");
}

/// With a second user namespace inside, the network belongs to the first.
fn a_second_user_namespace(b: &Bwrap) {
    let edit = |plan: &mut swathe::plan::Plan| {
        plan.namespaces.user = swathe::plan::model::UserNamespace::New;
        plan.namespaces.disable_user = true;
    };
    for way in [Way::AnyIp, Way::Nft] {
        let network = Network::with(b, &request(way), |command| command, edit);
        let mut network = network.unwrap_or_else(|e| panic!("{e}"));
        network.client("tcp(\"1.2.3.4\", 80, \"hello\")");
        let role = if way == Way::Nft { Role::Tcp } else { Role::TcpPort(80) };
        assert_eq!(answer(&network.accept(role), "well"), "hello");
        assert_eq!(network.shell.hear(), "well");
    }
}

/// A socket that is made inside and connected outside reaches a server inside.
fn publishes(b: &Bwrap) {
    let mut network = Network::new(b, Way::Nft);
    network.client(
        "my $l = bind_to(\"127.0.0.1\", 8000); my $m = bind_to(\"::1\", 8000); $| = 1; \
         print \"up\\n=end=\\n\"; for ($l, $m) { my $c = $_->accept; my $s = <$c>; \
         print $c \"served $s\"; close $c } ",
    );
    assert_eq!(network.shell.hear(), "up");
    for (ipv6, address) in [(false, "127.0.0.1:8000"), (true, "[::1]:8000")] {
        let socket = network.inside.socket(ipv6).unwrap_or_else(|e| panic!("{e}"));
        rustix::io::ioctl_fionbio(&socket, false).expect("set");
        let address: SocketAddr = address.parse().expect("an address");
        rustix::net::connect(&socket, &address).expect("connect");
        let mut stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(std::time::Duration::from_secs(20))).expect("set");
        stream.write_all(b"from outside\n").expect("write");
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).expect("read");
        assert_eq!(line, "served from outside\n");
    }
}

/// More ports can be had while the program runs, but not one twice, and not what a way has no use
/// for.
fn later(b: &Bwrap) {
    let mut network = Network::new(b, Way::AnyIp);
    let socket = network.inside.listen_tcp(9000).unwrap_or_else(|e| panic!("{e}"));
    network.made.sockets.push((Role::TcpPort(9000), socket));
    network.client("tcp(\"1.2.3.4\", 9000, \"hello\")");
    assert_eq!(answer(&network.accept(Role::TcpPort(9000)), "well"), "hello");
    assert_eq!(network.shell.hear(), "well");
    let failed = step(network.inside.listen_tcp(9000));
    assert_eq!(failed, (Step::Bind, libc::EADDRINUSE, Some(9000)));
    assert_eq!(step(network.inside.listen_udp(53)), (Step::Bind, libc::EADDRINUSE, Some(53)));
    assert_eq!(step(network.inside.listen_tcp(0)).0, Step::Request);
    assert!(network.inside.listen_udp(9000).is_ok());
    assert!(network.inside.listen_tcp(22).is_ok());
    let mut network = Network::new(b, Way::Nft);
    assert!(network.inside.listen_tcp(9000).is_ok());
    assert!(network.inside.listen_udp(9000).is_ok());
}

/// Where the kernel has no nftables each port gets its listener, and it is said why; who insists on
/// it gets an error.
fn without_nftables(b: &Bwrap) {
    use swathe_plan::filter::{Action, Arch, Case, Table, Test, assemble};
    let Some(arch) = Arch::native() else { return notice("no filter for this machine") };
    // NETLINK_NETFILTER of AF_NETLINK, for this thread and what it starts.
    let refuse = Action::Errno(libc::EPROTONOSUPPORT as u16);
    let case = Case { tests: &[Test::int(0, 16), Test::int(2, 12)], action: refuse };
    let socket = arch.number("socket").expect("its number");
    let calls = arch.calls().map(|(_, number)| (number, Vec::new()));
    let mut calls: std::collections::BTreeMap<_, _> = calls.collect();
    calls.insert(socket, vec![case]);
    let table = Table { arch, calls, others: Action::Allow };
    let program = assemble(&[table], Action::Allow).expect("a filter");
    rustix::thread::set_no_new_privs(true).expect("set");
    swathe_sys::seccomp::load(&swathe_sys::seccomp::parse(&program).expect("code")).expect("load");
    let mut network = Network::new(b, Way::Auto);
    assert_eq!(network.made.way, Way::AnyIp);
    let [(Way::Nft, error)] = network.made.refused.as_slice() else {
        panic!("{:?}", network.made.refused);
    };
    assert!(error.to_string().contains("redirect all TCP by nftables"), "{error}");
    network.client("tcp(\"1.2.3.4\", 80, \"hello\")");
    assert_eq!(answer(&network.accept(Role::TcpPort(80)), "well"), "hello");
    assert_eq!(network.shell.hear(), "well");
    let refused = Network::with(b, &request(Way::Nft), |command| command, |_| ()).map(|_| ());
    assert_eq!(step(refused), (Step::Redirect, libc::EPROTONOSUPPORT, None));
}

/// Explicit proxies alone: no address can be reached but theirs.
fn proxies(b: &Bwrap) {
    let mut network = Network::new(b, Way::Proxy);
    let unreachable = libc::ENETUNREACH.to_string();
    assert_eq!(network.run("tcp(\"1.2.3.4\", 80, \"\")"), unreachable);
    network.client("tcp(\"127.0.0.1\", 3128, \"hello\")");
    assert_eq!(answer(&network.accept(Role::HttpProxy), "well"), "hello");
    assert_eq!(network.shell.hear(), "well");
    for way in [Way::AnyIp, Way::Nft] {
        let mut network = Network::new(b, way);
        network.client("tcp(\"198.18.0.2\", 1080, \"hello\")");
        assert_eq!(answer(&network.accept(Role::Socks), "well"), "hello");
        assert_eq!(network.shell.hear(), "well");
        network.client("tcp(\"9.9.9.9\", 53, \"hello\")");
        assert_eq!(answer(&network.accept(Role::DnsTcp), "well"), "hello");
        assert_eq!(network.shell.hear(), "well");
    }
}

/// As many listeners as there can be, which take several messages; and one more.
fn many_ports(b: &Bwrap) {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.maximum.is_some_and(|most| most < 2 * MAX_PORTS as u64) {
        notice("too few descriptors: listeners for 4096 ports are not tried");
        return;
    }
    let raised = rustix::process::Rlimit { current: limit.maximum, maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised).expect("raise the limit of descriptors");
    let last = 10_000 + MAX_PORTS as u16 - 1;
    let mut many = request(Way::AnyIp);
    many.tcp = vec![10_000..=last, 10_000..=10_010];
    let network = Network::with(b, &many, |command| command, |_| ());
    let mut network = network.unwrap_or_else(|e| panic!("{e}"));
    let ports = network.made.sockets.iter().filter(|(role, _)| matches!(role, Role::TcpPort(_)));
    assert_eq!(ports.count(), MAX_PORTS);
    network.client(&format!("tcp(\"1.2.3.4\", {last}, \"hello\")"));
    assert_eq!(answer(&network.accept(Role::TcpPort(last)), "well"), "hello");
    assert_eq!(network.shell.hear(), "well");
    many.tcp.push(9_999..=9_999);
    let refused = Network::with(b, &many, |command| command, |_| ()).map(|_| ());
    assert_eq!(step(refused).0, Step::TooManyPorts);
}

/// It is what it is: no capability but one, a filter, nobody looks into it; and it ends with the
/// sandbox.
fn the_helper(b: &Bwrap) {
    let mut network = Network::new(b, Way::Nft);
    let id = network.inside.id();
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("its status");
    let line = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect(name);
        line.trim_start_matches(':').trim().to_owned()
    };
    assert_eq!(u64::from_str_radix(&line("CapEff"), 16), Ok(1 << 10));
    assert_eq!(u64::from_str_radix(&line("CapPrm"), 16), Ok(1 << 10));
    assert_eq!((line("Seccomp").as_str(), line("NoNewPrivs").as_str()), ("2", "1"));
    let owner = std::fs::metadata(format!("/proc/{id}/maps")).expect("its memory");
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&owner), 0, "it can be looked into");
    let inside = network.shell.ask("grep -l __netns /proc/[0-9]*/cmdline; echo end");
    assert_eq!(inside, "end");
    network.shell.child.kill().expect("kill");
    network.shell.child.wait().expect("wait");
    let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !matches!(network.inside.socket(false), Err(Error::Ended)) {
        assert!(std::time::Instant::now() < end, "it goes on");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

/// Where the namespace is not the sandbox's, or none at all, nothing is made.
fn what_is_not_ours(b: &Bwrap) {
    let network = Network::new(b, Way::Proxy);
    let pidfd = network.shell.child.pidfd().expect("a pidfd");
    let start = |path: &str| {
        let file = std::fs::File::open(path).expect(path);
        let request = request(Way::Auto);
        Inside::start(&mounting::program(), file.as_fd(), pidfd, &request).map(|_| ())
    };
    assert_eq!(step(start("/dev/null")), (Step::JoinUser, libc::ENOTTY, None));
    assert_eq!(step(start("/proc/self/ns/net")), (Step::JoinNetwork, libc::EINVAL, None));
}

/// The step that a refusal names.
#[track_caller]
fn step<T: std::fmt::Debug>(result: Result<T, Error>) -> (Step, i32, Option<u16>) {
    match result {
        Err(Error::Refused { step, errno, port }) => {
            (step, errno.map_or(0, |e| e.raw_os_error()), port)
        }
        other => panic!("no refusal: {other:?}"),
    }
}

as_each_user! {
    tcp_arrives_by_routes,
    tcp_arrives_by_nftables,
    udp_arrives,
    ports_without_a_listener,
    own_servers,
    families,
    ping,
    stays,
    a_second_user_namespace,
    publishes,
    later,
    without_nftables,
    proxies,
    many_ports,
    the_helper,
    what_is_not_ours,
}

//! Attempts to reach what was not granted, from inside a sandbox: by every spelling, port, protocol
//! and relay. Each is judged by what arrived outside, where an observer sees every packet, and each
//! table has a control: the same attempts reach their aims where they are granted, or without a
//! sandbox.

mod common;
mod hostile_net;

use common::Place;
use common::world::World;
use hostile_net::tables::{GRANTS, MISMATCHES, NAMES, PORTS, QUESTIONS};
use hostile_net::{Attempts, all_reached, none_reached, only};

/// What a granted host is reached by: its questions, connections and greetings.
const GRANTED: [&str; 4] =
    ["udp 93.184.0.1 53", "syn 93.184.216.34 ", "syn 2600:1f00:1::34 ", "syn 93.184.0.1 53"];

/// Special addresses: of the host itself, private, of the same wire, of clouds, and what is no host.
const SPECIAL: [&str; 24] = [
    "127.0.0.1",
    "127.8.9.10",
    "0.0.0.0",
    "10.0.0.2",
    "10.0.0.5",
    "93.184.0.2",
    "100.64.0.1",
    "100.100.100.200",
    "169.254.169.254",
    "172.16.0.1",
    "192.168.1.1",
    "192.0.2.1",
    "198.18.0.77",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::1",
    "2600:1f00::2",
    "fd00::1",
    "fe80::1",
    "2002:a00:5::1",
    "64:ff9b::a00:5",
    "::ffff:10.0.0.5",
    "fec0::1",
];

/// Addresses that no host answers at, even where nothing is in the way, or that a sandbox has
/// itself.
const NO_HOST: [&str; 5] = ["224.0.0.1", "255.255.255.255", "fe80::1", "240.0.0.1", "198.18.0.77"];

fn bracketed(address: &str) -> String {
    if address.contains(':') { format!("[{address}]") } else { address.to_owned() }
}

/// A name whose only address this is.
fn leading_to(address: &str) -> String {
    match address.contains(':') {
        false => format!("to-{}.example.com", address.replace('.', "-")),
        // A mapped address has both marks.
        true => format!("to6-{}.example.com", address.replace(':', "-").replace('.', "_")),
    }
}

/// Every special address by every way to one: itself, the proxies, and a name that leads there.
fn special_rows() -> Vec<(String, String)> {
    let mut rows = Vec::new();
    for address in SPECIAL {
        let kind = if address.contains(':') { 4 } else { 1 };
        let host = bracketed(address);
        let name = leading_to(address);
        // The sandbox's own loopback is its own affair: only the proxies could mean the host's.
        rows.push((format!("itself {address}"), format!("tcp('{address}', 80)")));
        rows.push((format!("connect {address}"), format!("connect('{host}:80')")));
        rows.push((format!("proxied {address}"), format!("proxied('http://{host}/')")));
        rows.push((format!("socks {address}"), format!("socks({kind}, '{address}')")));
        rows.push((format!("name {address}"), format!("tcp('{name}', 80)")));
        rows.push((format!("name connect {address}"), format!("connect('{name}:80')")));
        rows.push((format!("name socks {address}"), format!("socks(3, '{name}')")));
    }
    rows
}

/// Spellings of special addresses, for the proxies and for the C library.
const SPELLINGS: [&str; 29] = [
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0177.0.0.1",
    "017700000001",
    "127.1",
    "127.0.1",
    "127.0.0.1.",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "a.localhost",
    "167772165",
    "0xa000005",
    "012.0.0.5",
    "10.5",
    "10.0.5",
    "2852039166",
    "0xa9fea9fe",
    "169.254.43518",
    "0",
    "0.0",
    "0x0",
    "metadata.google.internal",
    "METADATA.google.internal.",
    "hosted.example",
    "cname-to-10-0-0-5.example.com",
    "cname-cname-to-169-254-169-254.example.com",
    "cname-to6-fd00--1.example.com",
];

/// What only a proxy is given.
const PROXY_SPELLINGS: [&str; 12] = [
    "[::ffff:7f00:1]",
    "[::ffff:127.0.0.1]",
    "[0:0:0:0:0:ffff:a00:5]",
    "[::10.0.0.5]",
    "[fe80::1%lo]",
    "[::1%25lo]",
    "www.example.com@10.0.0.5",
    "10.0.0.5#www.example.com",
    "10.0.0.5/www.example.com",
    "10.0.0.5\\x00.example.com",
    "\\xef\\xbc\\x91\\xef\\xbc\\x90.0.0.5",
    "10.0.0.5 www.example.com",
];

fn spelling_rows() -> Vec<(String, String)> {
    let mut rows = Vec::new();
    for text in SPELLINGS {
        rows.push((format!("itself {text}"), format!("tcp('{text}', 80)")));
    }
    for text in SPELLINGS.into_iter().chain(PROXY_SPELLINGS) {
        rows.push((format!("connect {text}"), format!("connect('{text}:80')")));
        rows.push((format!("proxied {text}"), format!("proxied('http://{text}/')")));
        rows.push((format!("socks {text}"), format!("socks(3, '{text}')")));
    }
    rows
}

/// What is special is not reached although everything is granted, by any spelling, name or way.
fn special_addresses(place: &Place) {
    let Some(mut world) = World::new(place) else { return };
    let attempts = Attempts::new(special_rows());
    none_reached(&attempts.inside(&world, "--net *:80"));
    none_reached(&Attempts::new(spelling_rows()).inside(&world, "--net *:80"));
    only(&world.internet(), &[&GRANTED[..], &["dns "]].concat());
    only(&world.host(), &[]);
    // The control: without a sandbox, and where they are named in so many words.
    let direct = Attempts::new(special_rows().into_iter().filter(|(name, _)| {
        !NO_HOST.iter().any(|address| name.ends_with(address))
            && !name.contains("::ffff:")
            && (name.starts_with("itself ") || name.starts_with("name 1"))
    }));
    all_reached(&direct.outside(&world), &[]);
    let named = "--net localhost:80,10.0.0.2:80,10.0.0.5:80,93.184.0.2:80,169.254.169.254:80,\
        172.16.0.1:80,*:80";
    let granted = ["10.0.0.2", "10.0.0.5", "93.184.0.2", "169.254.169.254", "172.16.0.1"];
    let rows = special_rows().into_iter().filter(|(name, _)| {
        granted.iter().any(|address| name.ends_with(&format!(" {address}")))
            || *name == "connect 127.0.0.1"
            || *name == "connect ::1"
            || *name == "socks 127.0.0.1"
    });
    all_reached(&Attempts::new(rows).inside(&world, named), &[]);
}

/// Every way to a name.
fn name_rows() -> Vec<(String, String)> {
    let mut rows = Vec::new();
    for name in NAMES {
        rows.push((format!("dns {name}"), format!("dns('{name}')")));
        rows.push((format!("connect {name}"), format!("connect('{name}:80')")));
        rows.push((format!("proxied {name}"), format!("proxied('http://{name}/')")));
        rows.push((format!("socks {name}"), format!("socks(3, '{name}', 80)")));
    }
    rows
}

fn owned(rows: &[(&str, &str)]) -> Vec<(String, String)> {
    rows.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

/// No packet leaves for a name that is not granted, whatever is asked about it and whom.
fn names(place: &Place) {
    let Some(mut world) = World::new(place) else { return };
    let attempts = Attempts::new([name_rows(), owned(QUESTIONS)].concat());
    none_reached(&attempts.inside(&world, GRANTS));
    only(&world.internet(), &[]);
    only(&world.host(), &[]);
    // In another spelling, a granted one is the same; what was added to the question stays inside.
    let granted = Attempts::new([
        ("dns in capitals", "dns('GOOD.eXample.COM')"),
        (
            "dns with options",
            "dns('good.example.com', more=b'\\0\\0\\x29\\4\\xd0\\0\\0\\0\\0\\0\\n\\0\\n\\0\\6secret')",
        ),
        ("with a dot", "tcp('good.example.com.', 80, request('good.example.com.'))"),
        ("in capitals", "tls('Good.Example.COM', 'GOOD.example.com')"),
        ("below", "tls('a.b.wild.example.com', 'a.b.wild.example.com')"),
        ("without a name in its greeting", "tls('good.example.com', None, 'good.example.com')"),
        ("by connect", "connect('GOOD.example.com.:80')"),
        ("by proxy", "proxied('http://good.example.com/')"),
        ("by socks", "socks(3, 'good.example.com', say=request('good.example.com'))"),
    ]);
    all_reached(&granted.inside(&world, GRANTS), &[]);
    let log = world.internet();
    let asked = |line: &&str| line.starts_with("dns ");
    let odd = |line: &str| line.contains("secret") || line.contains("GOOD") || line.contains("eX");
    assert!(log.lines().filter(asked).count() > 0, "{log}");
    assert!(!log.lines().filter(asked).any(odd), "{log}");
    // The control: where nothing is denied, what is a name at all is reached.
    let plain = |name: &String| name.ends_with(".com") || name.ends_with(".net");
    let rows = name_rows().into_iter().filter(|(name, _)| {
        plain(name) && !name.contains(['@', '#', '*', '\\']) && name.matches(' ').count() == 1
    });
    all_reached(&Attempts::new(rows).inside(&world, "--net *"), &[]);
    let outside =
        Attempts::new(owned(QUESTIONS).into_iter().filter(|(name, _)| name.starts_with("to ")));
    all_reached(&outside.outside(&world), &[]);
}

/// What is granted is a host at its ports: not its address, other ports, other protocols.
fn ports(place: &Place) {
    let Some(mut world) = World::new(place) else { return };
    none_reached(&Attempts::new(owned(PORTS)).inside(&world, GRANTS));
    // Whether a name is there is looked up, and that is all.
    only(&world.internet(), &["udp 93.184.0.1 53", "dns A ", "dns AAAA "]);
    only(&world.host(), &[]);
    let direct = owned(PORTS).into_iter().filter(|(_, text)| {
        !text.contains("198.1")
            && !text.contains("fd73:")
            && !text.starts_with("connect")
            && !text.starts_with("prox")
            && !text.starts_with("socks")
            && !text.contains("6379")
            && !text.contains("53, b'hello'")
    });
    all_reached(&Attempts::new(direct).outside(&world), &[]);
}

/// A host that is granted hears no other name than its own, in no greeting and no request.
fn mismatches(place: &Place) {
    let Some(mut world) = World::new(place) else { return };
    let attempts = Attempts::new(owned(MISMATCHES));
    none_reached(&attempts.inside(&world, GRANTS));
    let foreign = |log: &str| {
        let of = |line: &&str| line.contains("example.net") || line.contains("evil");
        log.lines().filter(of).map(str::to_owned).collect::<Vec<_>>()
    };
    let heard = foreign(&world.internet());
    assert!(heard.is_empty(), "{heard:#?}");
    only(&world.host(), &[]);
    let direct = owned(MISMATCHES).into_iter().filter(|(_, text)| {
        !text.contains("PROXY")
            && !text.contains("SOCKS")
            && !text.contains("prox")
            && !text.contains("connect(")
            && !text.contains("tunnel(")
            && !text.contains("socks(")
    });
    let direct = Attempts::new(direct);
    direct.outside(&world);
    let heard = foreign(&world.internet()).len();
    assert!(heard > direct.len() / 2, "the control: of {} only {heard} were heard", direct.len());
}

/// Without rules, or with rules for nothing, nothing is reached.
fn nothing_granted(place: &Place) {
    let Some(mut world) = World::new(place) else { return };
    let attempts = Attempts::new([
        ("a name", "tcp('good.example.com', 80)"),
        ("an address", "tcp('93.184.216.34', 80)"),
        ("an address by IPv6", "tcp('2600:1f00:1::34', 80)"),
        ("the host", "tcp('93.184.0.2', 80)"),
        ("a question", "dns('good.example.com')"),
        ("a question to the host's resolver", "dns('good.example.com', server='93.184.0.1')"),
        ("a datagram", "udp('93.184.216.34', 123)"),
        ("a ping", "echo('93.184.216.34')"),
        ("by connect", "connect('good.example.com:80')"),
        ("by socks", "socks(1, '93.184.216.34')"),
    ]);
    let unlisted = "--net good.example.com --net-deny good.example.com,*";
    for options in ["", "--net none", "--net loopback", "--net other.example.com:9", unlisted] {
        none_reached(&attempts.inside(&world, options));
        only(&world.internet(), &[]);
        only(&world.host(), &[]);
    }
    all_reached(&attempts.outside(&world), &["a question", "an address by IPv6", "a ping", "by "]);
}

/// A thousand names that lead to a public address first, and to a private one when they are looked
/// up again, are never a way to the private one.
const REBINDING: &str = r#"
import socket, sys, time
from concurrent.futures import ThreadPoolExecutor
from attempt import request, hear
kind, count = sys.argv[1], int(sys.argv[2])
def attempt(n):
    name = f"{kind}-{n}.wild.example.com"
    try:
        address = socket.getaddrinfo(name, 80, socket.AF_INET, socket.SOCK_STREAM)[0][4]
        time.sleep(2.3)
        with socket.create_connection(address, 10) as link:
            link.sendall(request(name))
            return hear(link)
    except OSError as error:
        return str(error).encode()
with ThreadPoolExecutor(250) as pool:
    results = list(pool.map(attempt, range(count)))
print(count, sum(b"says hello" in result for result in results), set(results) if count < 50 else "")
"#;

fn rebinding(place: &Place) {
    let Some(mut world) = World::new(place) else { return };
    place.dir.file("project/attempt.py", hostile_net::ATTEMPT);
    place.dir.file("project/rebinding.py", REBINDING);
    let late = world.inside(GRANTS, "python3 rebinding.py late 1000").prints();
    assert!(late.starts_with("1000 0 "), "{late}");
    let both = world.inside(GRANTS, "python3 rebinding.py both 20").prints();
    assert!(both.starts_with("20 20 "), "the public one of two addresses is reached: {both}");
    let log = world.internet();
    let arrived: Vec<_> = log.lines().filter(|line| line.starts_with("syn 10.")).collect();
    assert!(arrived.is_empty(), "{arrived:?}");
    let again = log.lines().filter(|line| line.starts_with("dns A late-")).count();
    assert!(again >= 1900, "they were looked up {again} times");
    // The control: where the private address is named in so many words it is reached.
    let named = format!("{GRANTS} --net 10.0.0.5:80");
    let late = world.inside(&named, "python3 rebinding.py late-x 20").prints();
    assert!(late.starts_with("20 20 ") && world.internet().contains("syn 10.0.0.5 80"), "{late}");
}

both! { special_addresses, names, ports, mismatches, nothing_granted, rebinding }

//! The network, and what is named machine-wide: abstract sockets, shared memory, queues, keys.

use crate::check::facts::Facts;
use crate::check::probe::{
    Class, Finding, Layer, Probe, absent, closed, open, probe, tried, words,
};
use std::ffi::CString;
use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixStream};
use std::time::Duration;
use swathe_sys::probe as calls;

use Class::{Escape, Leak};
use Layer::{Landlock, Namespace, Seccomp};

/// Longer than any answer of this machine's own.
const PATIENCE: Duration = Duration::from_millis(500);
/// The most that is heard of a server.
const MAX_SAID: u64 = 1 << 10;

pub const PROBES: &[Probe] = &[
    probe("net-loopback", Escape, Namespace, "connect to a service on localhost", |f| {
        says(f, SocketAddr::from((Ipv4Addr::LOCALHOST, f.port)))
    }),
    probe("net-mapped", Escape, Namespace, "the same by ::ffff:127.0.0.1", |f| {
        says(f, SocketAddr::from((Ipv4Addr::LOCALHOST.to_ipv6_mapped(), f.port)))
    }),
    probe("net-loopback-zero", Escape, Namespace, "the same by 0.0.0.0", |f| {
        says(f, SocketAddr::from((Ipv4Addr::UNSPECIFIED, f.port)))
    }),
    probe("net-own", Escape, Namespace, "connect to an address of the machine's own", |f| {
        f.own.map_or_else(|| absent("it has none"), |own| says(f, own))
    }),
    probe("net-own-mapped", Escape, Namespace, "the same by its IPv4-mapped form", |f| {
        match f.own.map(|own| (own.ip(), own.port())) {
            Some((IpAddr::V4(own), port)) => says(f, (own.to_ipv6_mapped(), port).into()),
            _ => absent("it has none"),
        }
    }),
    probe("net-own-datagrams", Escape, Namespace, "send datagrams there", |f| {
        f.own_datagrams.map_or_else(|| absent("it has none"), |own| answers(f, own))
    }),
    probe("net-names", Leak, Namespace, "look a name up, as tunnels do", |f| match nameserver() {
        Some(server) => looked_up(&f.name, server),
        None => absent("there is no server of names"),
    }),
    probe("net-internet", Escape, Namespace, "find a route to the internet", |_| {
        route(SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 443)))
    }),
    probe("net-internet-6", Escape, Namespace, "find one by IPv6", |_| {
        route(SocketAddr::from((Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1), 443)))
    }),
    probe("net-local", Escape, Namespace, "find a route to private networks", |_| {
        route(SocketAddr::from((Ipv4Addr::new(10, 255, 255, 254), 80)))
    }),
    probe("net-metadata", Escape, Namespace, "find one to a cloud's metadata service", |_| {
        route(SocketAddr::from((Ipv4Addr::new(169, 254, 169, 254), 80)))
    }),
    probe("net-interfaces", Leak, Namespace, "see network interfaces", |_| match interface() {
        Ok(other) => other.map_or_else(|| closed("none but lo"), open),
        Err(e) => closed(words(e)),
    }),
    probe("net-connections", Leak, Namespace, "see connections of the host", |f| {
        let port = format!(":{:04X} ", f.port);
        listed("/proc/net/tcp", &port)
    }),
    probe("abstract-connect", Escape, Landlock, "connect to an abstract socket outside", |f| {
        let address = UnixAddr::from_abstract_name(&f.abstract_name);
        tried(address.and_then(|address| UnixStream::connect_addr(&address)))
    }),
    probe("abstract-list", Leak, Namespace, "see names of sockets outside", |f| {
        listed("/proc/net/unix", &f.abstract_name)
    }),
    probe("shared-memory", Escape, Namespace, "open SysV shared memory outside", |f| {
        if f.shm_key == 0 {
            return absent("none could be made");
        }
        tried(calls::shared_memory(f.shm_key, false))
    }),
    probe("shared-memory-list", Leak, Namespace, "see it in /proc/sysvipc", |f| {
        if f.shm_key == 0 {
            return absent("none could be made");
        }
        listed("/proc/sysvipc/shm", &format!("{} ", f.shm_key))
    }),
    probe("message-queue", Escape, Namespace, "open a POSIX message queue outside", |f| {
        if !f.has_queue {
            return absent("none could be made");
        }
        match CString::new(f.name.as_str()) {
            Ok(name) => tried(calls::message_queue(&name, false)),
            Err(e) => closed(e.to_string()),
        }
    }),
    probe("dev-shm", Escape, Layer::Mount, "open a file in the host's /dev/shm", |f| {
        let path = format!("/dev/shm/{}", f.name);
        match f.is_in_file(path.as_ref()) {
            Ok(true) => open("the planted secret"),
            Ok(false) => closed("another file"),
            Err(e) => closed(words(e)),
        }
    }),
    probe("keyring", Leak, Seccomp, "find a key of the caller's session", |f| {
        if !f.has_key {
            return absent("none could be made");
        }
        match CString::new(f.name.as_str()) {
            Ok(name) => tried(calls::find_key(&name)),
            Err(e) => closed(e.to_string()),
        }
    }),
    probe("keyring-add", Escape, Seccomp, "put a key there", |f| {
        let name = CString::new(format!("{}-made", f.name)).unwrap_or_default();
        let made = calls::add_key(&name, b"x");
        if let Ok(key) = made {
            // The outside's own is not to fill up.
            let _ = calls::remove_key(key);
        }
        tried(made)
    }),
];

/// Whether packets would go somewhere. A datagram socket that is connected sends none.
fn route(address: SocketAddr) -> Finding {
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let connected = UdpSocket::bind(any).and_then(|socket| socket.connect(address));
    match interface() {
        // What goes there ends in this network itself.
        Ok(None) if connected.is_ok() => closed("it ends in the sandbox"),
        _ => tried(connected),
    }
}

/// An interface beside the loopback one.
fn interface() -> std::io::Result<Option<String>> {
    let text = std::fs::read_to_string("/proc/net/dev")?;
    let names = text.lines().filter_map(|line| line.split_once(':'));
    let other = names.map(|(name, _)| name.trim()).find(|name| *name != "lo");
    Ok(other.map(str::to_owned))
}

/// Whether somebody there says the secret.
fn says(f: &Facts, address: SocketAddr) -> Finding {
    let heard = TcpStream::connect_timeout(&address, PATIENCE).and_then(|stream| {
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut bytes = Vec::new();
        stream.take(MAX_SAID).read_to_end(&mut bytes)?;
        Ok(bytes)
    });
    heard_of(f, heard)
}

/// Whether somebody there answers a datagram with it.
fn answers(f: &Facts, address: SocketAddr) -> Finding {
    heard_of(f, exchange(address, b"?"))
}

fn heard_of(f: &Facts, heard: std::io::Result<Vec<u8>>) -> Finding {
    match heard {
        Ok(bytes) if f.is_in(&bytes) => open("the planted secret"),
        Ok(_) => closed("nobody says anything"),
        Err(e) => closed(words(e)),
    }
}

/// The answer to a datagram.
fn exchange(address: SocketAddr, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let any: IpAddr = match address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0))?;
    socket.connect(address)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.send(bytes)?;
    let mut answer = vec![0; 1 << 10];
    let length = socket.recv(&mut answer)?;
    answer.truncate(length);
    Ok(answer)
}

/// The first server of resolv.conf(5).
fn nameserver() -> Option<SocketAddr> {
    const DNS: u16 = 53;
    let text = std::fs::read_to_string("/etc/resolv.conf").ok()?;
    let mut words = text.lines().filter_map(|line| line.strip_prefix("nameserver"));
    words.find_map(|word| Some(SocketAddr::new(word.trim().parse().ok()?, DNS)))
}

/// Whether a server of names asks others about a name that nobody granted: then its owner hears
/// what stands in it.
fn looked_up(name: &str, server: SocketAddr) -> Finding {
    // Number 1, recursion desired, one question: NAME.example, A, IN.
    let mut question = vec![0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in [name, "example"] {
        question.push(u8::try_from(label.len()).unwrap_or(0));
        question.extend(label.as_bytes());
    }
    question.extend([0, 0, 1, 0, 1]);
    // No error, and no such name.
    const KNOWN: [u8; 2] = [0, 3];
    match exchange(server, &question) {
        Ok(answer) => match answer.get(3).map(|flags| flags & 0xf) {
            Some(code) if KNOWN.contains(&code) => open("it was asked about outside"),
            Some(code) => closed(format!("refused (code {code})")),
            None => closed("no answer to it"),
        },
        Err(e) => closed(words(e)),
    }
}

/// Whether a table of the kernel has this text.
fn listed(path: &str, text: &str) -> Finding {
    match std::fs::read(path) {
        Ok(found) if found.windows(text.len()).any(|window| window == text.as_bytes()) => {
            open("listed")
        }
        Ok(_) => closed("not listed"),
        Err(e) => closed(words(e)),
    }
}

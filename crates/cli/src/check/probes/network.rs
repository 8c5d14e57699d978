//! The network, and what is named machine-wide: abstract sockets, shared memory, queues, keys.

use crate::check::probe::{
    Class, Finding, Layer, Probe, absent, closed, open, probe, tried, words,
};
use std::ffi::CString;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixStream};
use std::time::Duration;
use swathe_sys::probe as calls;

use Class::{Escape, Leak};
use Layer::{Landlock, Namespace, Seccomp};

/// Longer than any answer of this machine's own.
const PATIENCE: Duration = Duration::from_millis(500);

pub const PROBES: &[Probe] = &[
    probe("net-loopback", Escape, Namespace, "connect to a service on localhost", |f| {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, f.port));
        tried(TcpStream::connect_timeout(&address, PATIENCE))
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
    probe("net-interfaces", Leak, Namespace, "see network interfaces", |_| {
        match std::fs::read_to_string("/proc/net/dev") {
            Ok(text) => {
                let names = text.lines().filter_map(|line| line.split_once(':'));
                let other = names.map(|(name, _)| name.trim()).find(|name| *name != "lo");
                other.map_or_else(|| closed("none but lo"), open)
            }
            Err(e) => closed(words(e)),
        }
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
    tried(UdpSocket::bind(any).and_then(|socket| socket.connect(address)))
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

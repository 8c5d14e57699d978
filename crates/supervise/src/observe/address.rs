//! Addresses of sockets: how events name them, and where they lead.

use super::{Network, Seen};
use crate::process::Caller;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use swathe_record::bytes::Bytes;
use swathe_record::event::{Action, Layer, Outcome};
use swathe_sys::rustix::fd::AsFd as _;
use swathe_sys::rustix::net::SocketType;
use swathe_sys::rustix::net::sockopt::socket_type;
use swathe_sys::{Errno, notify};

/// Longest address that a socket can have.
const MAX_ADDRESS: usize = 128;
const UNIX: i32 = 1;
const INET: i32 = 2;
const INET6: i32 = 10;

/// An address, in bytes of ours.
#[derive(Debug, PartialEq, Eq)]
pub enum Address {
    /// A socket of the file system: its path as the call has it.
    Path(Vec<u8>),
    /// One without a file.
    Abstract(Vec<u8>),
    /// A host and a port.
    Host(IpAddr, u16),
}

/// Copies an address of a call. None: it cannot be read.
pub fn bytes_of(caller: &Caller, address: u64, length: u32) -> Option<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(length).ok()?.min(MAX_ADDRESS)];
    caller.bytes(address, &mut bytes).ok()?;
    Some(bytes)
}

/// What a socket is called in an address. It is looked at as it is now; what cannot be looked at is
/// taken for the usual.
pub fn protocol(caller: &Caller, fd: i32) -> &'static str {
    let kind = || {
        let process = notify::open_thread(caller.pid)?;
        socket_type(notify::take_fd(process.as_fd(), fd)?)
    };
    if kind() == Ok(SocketType::DGRAM) { "udp" } else { "tcp" }
}

/// What the bytes of a `struct sockaddr` say. None: another family, or no address.
pub fn parse(bytes: &[u8]) -> Option<Address> {
    let (family, rest) = bytes.split_first_chunk::<2>()?;
    let family = i32::from(u16::from_ne_bytes(*family));
    if family == UNIX {
        if let Some(name) = rest.strip_prefix(b"\0") {
            return Some(Address::Abstract(name.to_vec()));
        }
        let text = rest.split(|&b| b == 0).next().filter(|text| !text.is_empty())?;
        return Some(Address::Path(text.to_vec()));
    }
    let (port, rest) = rest.split_first_chunk::<2>()?;
    let host: IpAddr = match family {
        INET => Ipv4Addr::from(*rest.first_chunk::<4>()?).into(),
        INET6 => Ipv6Addr::from(*rest.get(4..)?.first_chunk::<16>()?).into(),
        _ => return None,
    };
    Some(Address::Host(host, u16::from_be_bytes(*port)))
}

/// A host, and whether it can be reached as far as the interfaces tell. None: somebody else tells.
pub fn host(
    network: &Network,
    protocol: &str,
    (host, port): (IpAddr, u16),
    action: Action,
) -> Option<Seen> {
    let local = host.is_loopback() || host.is_unspecified();
    let outcome = match network {
        Network::Elsewhere(ports) if action == Action::Connect => {
            let told = ports.iter().any(|(first, last)| (*first..=*last).contains(&port));
            if !local || told {
                return None;
            }
            Outcome::Allowed
        }
        Network::Nowhere if !local && action == Action::Connect => {
            Outcome::Denied(Errno::NETUNREACH.raw_os_error())
        }
        _ => Outcome::Allowed,
    };
    let object = format!("{protocol}:{}", SocketAddr::new(host, port));
    let (object, layer) = (Bytes(object.into_bytes()), Layer::Network);
    Some(Seen { action, object, to: None, outcome, layer, directory: false })
}

/// The name of a socket of the file system, or of one without a file.
pub fn unix(name: &[u8]) -> Bytes {
    Bytes([b"unix:", name].concat())
}

//! Pings: an echo request to a host that was granted is sent on by the host, and what comes back is
//! given to the program. The kernel of the sandbox answers none by itself: every address is local
//! there, so that all hosts would seem to be alive.

use crate::judge::{Kind, Refusal, Target, own};
use crate::protocol::Decision;
use crate::resolve::Outcome;
use crate::state::{State, now};
use crate::tcp::target;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, ipproto, socket_with};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;
use swathe_netrules::Verdict;
use swathe_netrules::address::canonical;
use swathe_sys::datagram;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest packet.
const MAX_PACKET: usize = 65_535;
/// Type, code, checksum, identifier, sequence.
const HEADER: usize = 8;

/// Numbers of a family (RFC 792, RFC 4443).
#[derive(Debug, Clone, Copy)]
struct Numbers {
    request: u8,
    reply: u8,
    ipv6: bool,
}

const V4: Numbers = Numbers { request: 8, reply: 0, ipv6: false };
const V6: Numbers = Numbers { request: 128, reply: 129, ipv6: true };

/// Answers requests that come to this raw socket.
pub async fn serve(state: Rc<State>, socket: OwnedFd, ipv6: bool) {
    let Ok(socket) = UdpSocket::from_std(socket.into()) else { return };
    let socket = Rc::new(socket);
    let numbers = if ipv6 { V6 } else { V4 };
    let mut buffer = vec![0; MAX_PACKET];
    loop {
        let receive = || datagram::receive(&*socket, &mut buffer).map_err(Into::into);
        let Ok(came) = socket.async_io(Interest::READABLE, receive).await else {
            tokio::task::yield_now().await;
            continue;
        };
        let packet = buffer.get(..came.length).unwrap_or_default();
        let Some(request) = request(packet, numbers) else { continue };
        // What is too much is lost, as packets are.
        let Some(place) = state.place() else { continue };
        let (state, socket) = (Rc::clone(&state), Rc::clone(&socket));
        let request = request.to_vec();
        tokio::task::spawn_local(async move {
            let to = canonical(came.asked);
            if let Some(reply) = answer(&state, &request, to, numbers).await {
                let _ = datagram::send(&*socket, &reply, came.peer, came.asked);
            }
            drop(place);
        });
    }
}

/// The echo request in a packet. A raw socket of IPv4 has the header of the packet before it.
fn request(packet: &[u8], numbers: Numbers) -> Option<&[u8]> {
    let message = if numbers.ipv6 {
        packet
    } else {
        let words = usize::from(packet.first()? & 0xf);
        packet.get(words * 4..)?
    };
    (message.len() >= HEADER && message[0] == numbers.request && message[1] == 0).then_some(message)
}

/// The reply to a request: itself, with another type.
fn reply(request: &[u8], numbers: Numbers) -> Vec<u8> {
    let mut reply = request.to_vec();
    reply[..4].copy_from_slice(&[numbers.reply, 0, 0, 0]);
    if !numbers.ipv6 {
        // The kernel does that for IPv6.
        let sum = checksum(&reply);
        reply[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    reply
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum = 0_u32;
    for pair in bytes.chunks(2) {
        let word = u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]);
        sum += u32::from(word);
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(u16::try_from(sum).unwrap_or(u16::MAX))
}

async fn answer(state: &State, request: &[u8], to: IpAddr, numbers: Numbers) -> Option<Vec<u8>> {
    if to.is_loopback() {
        return Some(reply(request, numbers));
    }
    let target = target(state, to)?;
    let found = address(state, &target, numbers.ipv6).await;
    let object = match &target {
        Target::Name(name) => format!("echo:{name}"),
        Target::Address(address) => format!("echo:{address}"),
    };
    state.decided(Decision {
        time: now(),
        object,
        address: found.as_ref().ok().map(|address| SocketAddr::new(*address, 0)),
        peer: None,
        allowed: found.as_ref().err().is_none_or(|refusal| refusal.kind != Kind::Denied),
        asked: false,
        reason: found.as_ref().err().map(|refusal| refusal.reason.clone()),
        fix: found.as_ref().err().and_then(|refusal| refusal.fix.clone()),
    });
    let echoed = timeout(PATIENCE, send_on(found.ok()?, request)).await;
    echoed.ok()?.ok().map(|()| reply(request, numbers))
}

/// The host's address, if it may be sent to.
async fn address(state: &State, target: &Target, ipv6: bool) -> Result<IpAddr, Refusal> {
    let (name, addresses) = match target {
        Target::Address(address) => (None, vec![*address]),
        Target::Name(name) => match state.resolver.lookup(name).await {
            Outcome::Found(found) => (Some(name), found),
            _ => return Err(Refusal::no_name(format!("{name} leads to no address"))),
        },
    };
    let rules = state.rules.borrow();
    let mut last = Refusal::no_name("no address of this family".to_owned());
    for address in addresses {
        match rules.echoed(name, address, &own(address)) {
            Verdict::Allowed(_) if address.is_ipv6() == ipv6 => return Ok(address),
            Verdict::Allowed(_) => {}
            Verdict::Refused(reason) => last = Refusal::denied(&reason),
        }
    }
    Err(last)
}

/// Sends it to the host and waits for what comes back. The kernel gives it an identifier of its own.
///
/// Where the host does not let this user send any (`net.ipv4.ping_group_range`), there is no answer.
async fn send_on(address: IpAddr, request: &[u8]) -> io::Result<()> {
    let (family, protocol, numbers) = match address {
        IpAddr::V4(_) => (AddressFamily::INET, ipproto::ICMP, V4),
        IpAddr::V6(_) => (AddressFamily::INET6, ipproto::ICMPV6, V6),
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::DGRAM, flags, Some(protocol))?;
    connect(&socket, &SocketAddr::new(address, 0))?;
    let socket = UdpSocket::from_std(socket.into())?;
    socket.send(request).await?;
    let mut buffer = vec![0; MAX_PACKET];
    loop {
        let length = socket.recv(&mut buffer).await?;
        let came = buffer.get(..length).unwrap_or_default();
        // The same sequence, and the same data.
        if came.first() == Some(&numbers.reply) && came.get(6..) == request.get(6..) {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_has_what_the_request_had_and_a_right_checksum() {
        let request = [8, 0, 1, 2, 0x12, 0x34, 0, 7, b'h', b'i', b'!'];
        let reply = reply(&request, V4);
        assert_eq!(reply[0], 0);
        assert_eq!(reply[4..], request[4..]);
        assert_eq!(checksum(&reply), 0);
    }

    #[test]
    fn only_whole_requests_are_found() {
        let mut packet = vec![0x45; 20];
        assert_eq!(request(&packet, V4), None);
        packet.extend([8, 0, 0, 0, 1, 1, 2, 2]);
        assert_eq!(request(&packet, V4).map(<[u8]>::len), Some(8));
        packet[20] = 0;
        assert_eq!(request(&packet, V4), None);
        assert_eq!(request(&[], V4), None);
        assert_eq!(request(&[0x4f, 0, 0], V4), None);
        assert_eq!(request(&[128, 0, 0, 0, 0, 0, 0, 0], V6).map(<[u8]>::len), Some(8));
    }
}

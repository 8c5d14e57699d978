//! The helper: one thread, which makes the network once and then a socket when it is asked.
//!
//! It is in the user namespace that owns the sandbox's network, and in that network; in the host's
//! pid and mount namespaces, so that nothing in the sandbox can name it. It reads nothing that comes
//! from the sandbox, and once the network is made it keeps one capability, that of listening below
//! port 1024.

mod filter;
mod netlink;
mod nft;
mod routes;
pub(crate) mod settings;
mod sockets;

use crate::protocol::{Asked, MAX_REQUEST, Refusal, Reply, Request, Role, Step, Way, at};
use rustix::io::Errno;
use rustix::net::Ipv4Addr;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use sockets::Made;
use std::os::fd::{AsFd as _, OwnedFd};
use swathe_helper::MAX_FDS;
use swathe_helper::serve::{self as helper, Descriptors, Heard};

const CAP_NET_BIND_SERVICE: u64 = 1 << 10;

/// Runs the helper to its end, which comes with that of its client or of the sandbox. Returns the
/// exit status: 0, or 1 when it was not started by an [`Inside`](crate::Inside) or could not make
/// the network.
///
/// To be called before the process has a second thread, or anything of value in its memory.
#[must_use]
pub fn serve() -> u8 {
    let Some(fds) = Descriptors::adopt() else { return 1 };
    let mut buffer = vec![0; MAX_REQUEST + 1];
    let Some(request) = first(&fds, &mut buffer) else { return 1 };
    let mut said = Vec::new();
    let made = set_up(&request, &fds.namespace, &mut said);
    // The network is the sandbox's, and it is to end with it.
    drop(fds.namespace);
    match made {
        Ok((way, ipv6, sockets)) => {
            let told = said.iter().all(|reply| tell(&fds.socket, reply))
                && hand_over(&fds.socket, way, sockets);
            if told {
                while helper::asked(&fds.socket, &fds.client, &fds.sandbox)
                    && answer(&fds.socket, way, ipv6, &mut buffer)
                {}
            }
            u8::from(!told)
        }
        Err(refusal) => {
            let last = Reply { more: false, way: request.way, result: Err(refusal) };
            said.push(last);
            let _ = said.iter().all(|reply| tell(&fds.socket, reply));
            1
        }
    }
}

/// The request that has to come first.
fn first(fds: &Descriptors, buffer: &mut [u8]) -> Option<Request> {
    loop {
        if !helper::asked(&fds.socket, &fds.client, &fds.sandbox) {
            return None;
        }
        match helper::hear(&fds.socket, buffer) {
            Heard::Nothing => {}
            Heard::End => return None,
            Heard::Message(length, _) => {
                if let Some(Asked::SetUp(request)) = buffer.get(..length).and_then(Asked::decode) {
                    return Some(request);
                }
                let result = Err(Refusal::found(Step::Request));
                let _ = tell(&fds.socket, &Reply { more: false, way: Way::Auto, result });
                return None;
            }
        }
    }
}

/// Makes the network: how, whether with IPv6, and the sockets. `said`: of ways that were refused.
fn set_up(
    request: &Request,
    namespace: &OwnedFd,
    said: &mut Vec<Reply>,
) -> Result<(Way, bool, Vec<Made>), Refusal> {
    helper::isolate().map_err(at(Step::Isolate))?;
    let proc = helper::open_proc().map_err(at(Step::Isolate))?;
    // Root's request for the host's own network would be granted otherwise.
    if helper::is_own(namespace, &proc, "net").map_err(at(Step::JoinNetwork))? {
        return Err(at(Step::JoinNetwork)(Errno::INVAL));
    }
    helper::join_owner(namespace, &proc).map_err(at(Step::JoinUser))?;
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
        .map_err(at(Step::JoinNetwork))?;
    // The engine does so too, at a time of its own.
    swathe_sys::net::loopback_up().map_err(at(Step::Loopback))?;
    let ipv6 = sockets::has_ipv6();
    let (way, made) = if request.way == Way::Proxy {
        (Way::Proxy, sockets::proxies(Ipv4Addr::LOCALHOST)?)
    } else {
        transparent(request, &proc, ipv6, said)?
    };
    helper::keep_caps(CAP_NET_BIND_SERVICE).map_err(at(Step::Capabilities))?;
    filter::load().map_err(at(Step::Filter))?;
    Ok((way, ipv6, made))
}

/// The network for programs that need not know of it.
fn transparent(
    request: &Request,
    proc: &OwnedFd,
    ipv6: bool,
    said: &mut Vec<Reply>,
) -> Result<(Way, Vec<Made>), Refusal> {
    settings::make(proc, ipv6, request.echo)?;
    routes::make(ipv6)?;
    let mut made = sockets::datagrams(request, ipv6)?;
    if request.way != Way::AnyIp {
        match sockets::redirected(ipv6) {
            Ok(more) => {
                made.extend(more);
                return Ok((Way::Nft, made));
            }
            Err(refusal) if request.way == Way::Nft => return Err(refusal),
            Err(refusal) => {
                said.push(Reply { more: true, way: Way::Nft, result: Err(refusal) });
            }
        }
    }
    made.extend(sockets::for_each(request, ipv6)?);
    Ok((Way::AnyIp, made))
}

/// Sends the sockets, in groups that a message can carry.
fn hand_over(socket: &OwnedFd, way: Way, sockets: Vec<Made>) -> bool {
    let mut left = sockets.as_slice();
    loop {
        let (group, rest) = left.split_at(left.len().min(MAX_FDS));
        let roles: Vec<Role> = group.iter().map(|(role, _)| *role).collect();
        let fds: Vec<_> = group.iter().map(|(_, fd)| fd.as_fd()).collect();
        let message = Reply { more: !rest.is_empty(), way, result: Ok(roles) }.encode();
        if !helper::reply(socket, &message, &fds, true) {
            return false;
        }
        if rest.is_empty() {
            return true;
        }
        left = rest;
    }
}

/// Answers the next request; false at the end of file.
fn answer(socket: &OwnedFd, way: Way, ipv6: bool, buffer: &mut [u8]) -> bool {
    let length = match helper::hear(socket, buffer) {
        Heard::Nothing => return true,
        Heard::End => return false,
        Heard::Message(length, _) => length,
    };
    let one = |role, made: Result<OwnedFd, Refusal>| made.map(|socket| vec![(role, socket)]);
    let made = match buffer.get(..length).and_then(Asked::decode) {
        Some(Asked::Socket { ipv6 }) => one(Role::Unconnected, sockets::unconnected(ipv6)),
        // With a redirect, too: what is to a loopback address is not redirected.
        Some(Asked::ListenTcp(port)) if way != Way::Proxy => {
            one(Role::TcpPort(port), sockets::tcp_port(port, ipv6))
        }
        Some(Asked::ListenUdp(port)) if way != Way::Proxy => {
            one(Role::Udp(port), sockets::udp_port(port, ipv6))
        }
        _ => Err(Refusal::found(Step::Request)),
    };
    match made {
        Ok(sockets) => hand_over(socket, way, sockets),
        Err(refusal) => tell(socket, &Reply { more: false, way, result: Err(refusal) }),
    }
}

/// Whether there is anybody to take a reply without sockets.
fn tell(socket: &OwnedFd, reply: &Reply) -> bool {
    helper::reply(socket, &reply.encode(), &[], false)
}

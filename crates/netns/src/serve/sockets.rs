//! The sockets.

use super::nft;
use crate::protocol::{MAX_PORTS, Refusal, Request, Role, Step, at_port};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, SocketFlags,
    SocketType, bind, ipproto, listen, socket_with, sockopt,
};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use swathe_netrules::fixed::{HTTP_PROXY_PORT, PROXY_V4, RESOLVER_PORT, SOCKS_PROXY_PORT};
use swathe_sys::datagram::{only_echo_requests, prepare};

/// How many connections wait for a listener.
const BACKLOG: i32 = 4096;

/// A socket and what it is for.
pub type Made = (Role, OwnedFd);

/// Whether the kernel has IPv6.
pub fn has_ipv6() -> bool {
    let made = socket_with(AddressFamily::INET6, SocketType::DGRAM, SocketFlags::CLOEXEC, None);
    !matches!(made, Err(Errno::AFNOSUPPORT))
}

/// Any address: of both families, where there is IPv6.
fn any(ipv6: bool) -> IpAddr {
    if ipv6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() }
}

/// Datagrams: to the resolver, to the ports of a request, and echo requests.
pub fn datagrams(request: &Request, ipv6: bool) -> Result<Vec<Made>, Refusal> {
    let mut made = vec![(Role::DnsUdp, datagram(any(ipv6), RESOLVER_PORT)?)];
    let udp: BTreeSet<u16> =
        request.udp.iter().copied().filter(|port| *port != RESOLVER_PORT).collect();
    for port in udp {
        made.push((Role::Udp(port), udp_port(port, ipv6)?));
    }
    if request.echo {
        made.push((Role::Echo4, echo(false)?));
        if ipv6 {
            made.push((Role::Echo6, echo(true)?));
        }
    }
    Ok(made)
}

/// The proxies, at an address.
pub fn proxies(address: Ipv4Addr) -> Result<Vec<Made>, Refusal> {
    Ok(vec![
        (Role::HttpProxy, listener(address.into(), HTTP_PROXY_PORT)?),
        (Role::Socks, listener(address.into(), SOCKS_PROXY_PORT)?),
    ])
}

/// Listeners at ports that the kernel chose, to which rules bring all TCP, and the rules.
pub fn redirected(ipv6: bool) -> Result<Vec<Made>, Refusal> {
    let chosen = |address| {
        let socket = listener(address, 0)?;
        let own = rustix::net::getsockname(&socket).and_then(SocketAddr::try_from);
        Ok((own.map_err(at_port(Step::Bind, 0))?.port(), socket))
    };
    let loopback = IpAddr::from(Ipv4Addr::LOCALHOST);
    let (all, all_socket) = chosen(any(ipv6))?;
    let (dns, dns_socket) = chosen(any(ipv6))?;
    let (http_proxy, http_socket) = chosen(loopback)?;
    let (socks, socks_socket) = chosen(loopback)?;
    let ports = nft::Ports { all, dns, http_proxy, socks };
    nft::redirect_tcp(ports).map_err(at_port(Step::Redirect, 0))?;
    Ok(vec![
        (Role::Tcp, all_socket),
        (Role::DnsTcp, dns_socket),
        (Role::HttpProxy, http_socket),
        (Role::Socks, socks_socket),
    ])
}

/// A listener for each port, the resolver's, and the proxies.
pub fn for_each(request: &Request, ipv6: bool) -> Result<Vec<Made>, Refusal> {
    let mut ports = BTreeSet::new();
    for port in request.tcp.iter().cloned().flatten().filter(|port| *port != RESOLVER_PORT) {
        ports.insert(port);
        if ports.len() > MAX_PORTS {
            return Err(Refusal::found(Step::TooManyPorts));
        }
    }
    let mut made = proxies(PROXY_V4)?;
    made.push((Role::DnsTcp, listener(any(ipv6), RESOLVER_PORT)?));
    for port in ports {
        made.push((Role::TcpPort(port), tcp_port(port, ipv6)?));
    }
    Ok(made)
}

/// A listener for connections to any address at a port.
pub fn tcp_port(port: u16, ipv6: bool) -> Result<OwnedFd, Refusal> {
    given(port)?;
    listener(any(ipv6), port)
}

/// Datagrams to any address at a port.
pub fn udp_port(port: u16, ipv6: bool) -> Result<OwnedFd, Refusal> {
    given(port)?;
    datagram(any(ipv6), port)
}

/// A TCP socket that is not connected.
pub fn unconnected(ipv6: bool) -> Result<OwnedFd, Refusal> {
    let family = if ipv6 { AddressFamily::INET6 } else { AddressFamily::INET };
    new(family, SocketType::STREAM, None, 0)
}

/// A port that is none would be one that the kernel chooses.
fn given(port: u16) -> Result<(), Refusal> {
    if port == 0 { Err(Refusal::found(Step::Request)) } else { Ok(()) }
}

fn listener(address: IpAddr, port: u16) -> Result<OwnedFd, Refusal> {
    let socket = bound(SocketType::STREAM, address, port)?;
    listen(&socket, BACKLOG).map_err(at_port(Step::Listen, port))?;
    Ok(socket)
}

fn datagram(address: IpAddr, port: u16) -> Result<OwnedFd, Refusal> {
    let socket = bound(SocketType::DGRAM, address, port)?;
    prepare(&socket, address.is_ipv6()).map_err(at_port(Step::Socket, port))?;
    Ok(socket)
}

fn bound(kind: SocketType, address: IpAddr, port: u16) -> Result<OwnedFd, Refusal> {
    let (family, address): (_, SocketAddr) = match address {
        IpAddr::V4(v4) => (AddressFamily::INET, SocketAddrV4::new(v4, port).into()),
        IpAddr::V6(v6) => (AddressFamily::INET6, SocketAddrV6::new(v6, port, 0, 0).into()),
    };
    let socket = new(family, kind, None, port)?;
    if address.is_ipv6() {
        // Of both families, whatever net.ipv6.bindv6only says.
        sockopt::set_ipv6_v6only(&socket, false).map_err(at_port(Step::Socket, port))?;
    }
    bind(&socket, &address).map_err(at_port(Step::Bind, port))?;
    Ok(socket)
}

fn echo(ipv6: bool) -> Result<OwnedFd, Refusal> {
    let (family, protocol) = if ipv6 {
        (AddressFamily::INET6, ipproto::ICMPV6)
    } else {
        (AddressFamily::INET, ipproto::ICMP)
    };
    let socket = new(family, SocketType::RAW, Some(protocol), 0)?;
    let prepared = only_echo_requests(&socket, ipv6).and_then(|()| prepare(&socket, ipv6));
    prepared.map_err(at_port(Step::Socket, 0))?;
    Ok(socket)
}

fn new(
    family: AddressFamily,
    kind: SocketType,
    protocol: Option<rustix::net::Protocol>,
    port: u16,
) -> Result<OwnedFd, Refusal> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socket_with(family, kind, flags, protocol).map_err(at_port(Step::Socket, port))
}

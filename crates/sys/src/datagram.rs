//! Datagrams with the address that they were sent to: on a socket that takes those for many
//! addresses, the peer only accepts a reply that comes from the one it asked.
//!
//! Addresses are those of the socket's family: on an IPv6 socket IPv4 addresses are mapped
//! (`::ffff:a.b.c.d`), and [`core::net::IpAddr::to_canonical`] makes them plain.

use crate::{Errno, Result, check};
use core::mem::{size_of, zeroed};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use rustix::fd::{AsFd, AsRawFd};

/// A datagram that was received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// Its length in bytes, all of which are there.
    pub length: usize,
    /// Who sent it; port 0 on a raw socket.
    pub peer: SocketAddr,
    /// To which address.
    pub asked: IpAddr,
}

/// What tells of the address, in either family.
#[repr(C, align(8))]
struct Control([u8; 64]);

/// Lets [`receive`] tell the address (`IP_PKTINFO`, `IPV6_RECVPKTINFO`), and [`send`] use any, also
/// one that no interface has (`IP_FREEBIND`). Needs no privilege.
///
/// # Errors
/// Those of setsockopt(2).
pub fn prepare(socket: impl AsFd, ipv6: bool) -> Result<()> {
    /// `IPV6_FREEBIND`, which libc has for some targets only.
    const IPV6_FREEBIND: libc::c_int = 78;
    if ipv6 {
        switch_on(&socket, libc::SOL_IPV6, libc::IPV6_RECVPKTINFO)?;
        switch_on(&socket, libc::SOL_IPV6, IPV6_FREEBIND)
    } else {
        switch_on(&socket, libc::SOL_IP, libc::IP_PKTINFO)?;
        switch_on(&socket, libc::SOL_IP, libc::IP_FREEBIND)
    }
}

/// Lets a raw ICMP socket hear echo requests alone, and nothing of the kernel's own business.
///
/// # Errors
/// Those of setsockopt(2).
pub fn only_echo_requests(socket: impl AsFd, ipv6: bool) -> Result<()> {
    const ICMP_ECHO: u32 = 8;
    const ICMPV6_ECHO_REQUEST: usize = 128;
    const ICMP_FILTER: libc::c_int = 1;
    const ICMP6_FILTER: libc::c_int = 1;
    const SOL_RAW: libc::c_int = 255;
    const SOL_ICMPV6: libc::c_int = 58;
    // A set bit keeps a type away.
    if ipv6 {
        let mut filter = [u32::MAX; 8];
        filter[ICMPV6_ECHO_REQUEST / 32] &= !(1 << (ICMPV6_ECHO_REQUEST % 32));
        set(&socket, SOL_ICMPV6, ICMP6_FILTER, &filter)
    } else {
        set(&socket, SOL_RAW, ICMP_FILTER, &!(1u32 << ICMP_ECHO))
    }
}

fn switch_on(socket: &impl AsFd, level: libc::c_int, option: libc::c_int) -> Result<()> {
    set(socket, level, option, &1i32)
}

/// `T`: integers without padding.
fn set<T>(socket: &impl AsFd, level: libc::c_int, option: libc::c_int, value: &T) -> Result<()> {
    let fd = socket.as_fd().as_raw_fd();
    let length = size_of::<T>() as libc::socklen_t;
    // SAFETY: the kernel reads `length` bytes of `value`, all of which are initialised.
    check(unsafe { libc::setsockopt(fd, level, option, (&raw const *value).cast(), length) }.into())
        .map(drop)
}

/// Receives one datagram from a socket that was [`prepare`]d.
///
/// # Errors
/// EMSGSIZE: it is longer than `into`, and gone. EAFNOSUPPORT: it has no address of IPv4 or IPv6, or
/// the socket was not prepared. Those of recvmsg(2): EAGAIN where none is there and the socket does
/// not wait, or what became of a datagram that was sent before.
pub fn receive(socket: impl AsFd, into: &mut [u8]) -> Result<Received> {
    // SAFETY: integers only, of which zeroes are a value.
    let mut name: libc::sockaddr_storage = unsafe { zeroed() };
    let mut control = Control([0; 64]);
    let mut part = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
    // SAFETY: a zeroed msghdr is valid; the fields that matter are set below.
    let mut header: libc::msghdr = unsafe { zeroed() };
    header.msg_name = (&raw mut name).cast();
    header.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    header.msg_control = control.0.as_mut_ptr().cast();
    header.msg_controllen = size_of::<Control>() as _;
    let flags = libc::MSG_CMSG_CLOEXEC;
    // SAFETY: the header describes three live buffers of the lengths given.
    let n = check(unsafe { libc::recvmsg(socket.as_fd().as_raw_fd(), &raw mut header, flags) }
        as libc::c_long)?;
    if header.msg_flags & libc::MSG_TRUNC != 0 {
        return Err(Errno::MSGSIZE);
    }
    let length = usize::try_from(n).map_err(|_| Errno::MSGSIZE)?;
    // SAFETY: the kernel has filled `header` and what it points to, all of which is still alive.
    let (peer, asked) = unsafe { (peer(&name), asked(&header)) };
    let (Some(peer), Some(asked)) = (peer, asked) else { return Err(Errno::AFNOSUPPORT) };
    Ok(Received { length, peer, asked })
}

fn peer(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
    let name = &raw const *name;
    // SAFETY: a sockaddr_storage has the size and alignment of each, and every value of their
    // integers is valid.
    unsafe {
        match i32::from((*name).ss_family) {
            libc::AF_INET => {
                let v4 = &*name.cast::<libc::sockaddr_in>();
                let address = Ipv4Addr::from(v4.sin_addr.s_addr.to_ne_bytes());
                Some(SocketAddrV4::new(address, u16::from_be(v4.sin_port)).into())
            }
            libc::AF_INET6 => {
                let v6 = &*name.cast::<libc::sockaddr_in6>();
                let address = Ipv6Addr::from(v6.sin6_addr.s6_addr);
                let (port, scope) = (u16::from_be(v6.sin6_port), v6.sin6_scope_id);
                Some(SocketAddrV6::new(address, port, 0, scope).into())
            }
            _ => None,
        }
    }
}

/// The address in the control messages.
///
/// # Safety
/// recvmsg(2) has filled the header, and its control buffer is alive.
unsafe fn asked(header: &libc::msghdr) -> Option<IpAddr> {
    // SAFETY: the kernel has written `msg_controllen` bytes of well-formed messages, which the
    // macros walk within that length; one is read only where it is as long as its type.
    unsafe {
        let mut message = libc::CMSG_FIRSTHDR(header);
        while !message.is_null() {
            let holds =
                |size: usize| (*message).cmsg_len as usize >= libc::CMSG_LEN(size as u32) as usize;
            let data = libc::CMSG_DATA(message);
            match ((*message).cmsg_level, (*message).cmsg_type) {
                (libc::SOL_IP, libc::IP_PKTINFO) if holds(size_of::<libc::in_pktinfo>()) => {
                    let info = data.cast::<libc::in_pktinfo>().read_unaligned();
                    return Some(Ipv4Addr::from(info.ipi_addr.s_addr.to_ne_bytes()).into());
                }
                (libc::SOL_IPV6, libc::IPV6_PKTINFO) if holds(size_of::<libc::in6_pktinfo>()) => {
                    let info = data.cast::<libc::in6_pktinfo>().read_unaligned();
                    return Some(Ipv6Addr::from(info.ipi6_addr.s6_addr).into());
                }
                _ => {}
            }
            message = libc::CMSG_NXTHDR(header, message);
        }
    }
    None
}

/// Sends one datagram to `to` from the address `from`, which is of the same family, and the socket's
/// port.
///
/// # Errors
/// EAFNOSUPPORT: two families. Those of sendmsg(2): EAGAIN where there is no room and the socket does
/// not wait, EINVAL for an address that is no host's.
pub fn send(socket: impl AsFd, bytes: &[u8], to: SocketAddr, from: IpAddr) -> Result<()> {
    let mut control = Control([0; 64]);
    let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    // SAFETY: integers only, of which zeroes are a value.
    let (mut v4, mut v6): (libc::sockaddr_in, libc::sockaddr_in6) = unsafe { zeroed() };
    // SAFETY: a zeroed msghdr is valid; the fields that matter are set below.
    let mut header: libc::msghdr = unsafe { zeroed() };
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    header.msg_control = control.0.as_mut_ptr().cast();
    match (to, from) {
        (SocketAddr::V4(to), IpAddr::V4(from)) => {
            v4.sin_family = libc::AF_INET as libc::sa_family_t;
            v4.sin_port = to.port().to_be();
            v4.sin_addr.s_addr = u32::from_ne_bytes(to.ip().octets());
            header.msg_name = (&raw mut v4).cast();
            header.msg_namelen = size_of::<libc::sockaddr_in>() as libc::socklen_t;
            // SAFETY: integers only, of which zeroes are a value.
            let mut info: libc::in_pktinfo = unsafe { zeroed() };
            info.ipi_spec_dst.s_addr = u32::from_ne_bytes(from.octets());
            // SAFETY: the header's control buffer is `control`, 64 bytes.
            unsafe { put(&mut header, libc::SOL_IP, libc::IP_PKTINFO, info) };
        }
        (SocketAddr::V6(to), IpAddr::V6(from)) => {
            v6.sin6_family = libc::AF_INET6 as libc::sa_family_t;
            v6.sin6_port = to.port().to_be();
            v6.sin6_addr.s6_addr = to.ip().octets();
            v6.sin6_scope_id = to.scope_id();
            header.msg_name = (&raw mut v6).cast();
            header.msg_namelen = size_of::<libc::sockaddr_in6>() as libc::socklen_t;
            // SAFETY: integers only, of which zeroes are a value.
            let mut info: libc::in6_pktinfo = unsafe { zeroed() };
            info.ipi6_addr.s6_addr = from.octets();
            // SAFETY: the header's control buffer is `control`, 64 bytes.
            unsafe { put(&mut header, libc::SOL_IPV6, libc::IPV6_PKTINFO, info) };
        }
        _ => return Err(Errno::AFNOSUPPORT),
    }
    let flags = libc::MSG_NOSIGNAL;
    // SAFETY: the header describes live buffers of the lengths given; the kernel only reads them.
    check(unsafe { libc::sendmsg(socket.as_fd().as_raw_fd(), &raw const header, flags) } as _)
        .map(drop)
}

/// Makes `value` the one control message.
///
/// # Safety
/// `msg_control` points to at least 64 writable zeroed bytes, aligned as a header; `T` is no longer
/// than an `in6_pktinfo`, 20 bytes.
unsafe fn put<T>(header: &mut libc::msghdr, level: libc::c_int, kind: libc::c_int, value: T) {
    let size = size_of::<T>() as u32;
    // SAFETY: by the caller's word there is room for a header and the value, and the macros compute
    // addresses in that room only.
    unsafe {
        header.msg_controllen = libc::CMSG_SPACE(size) as _;
        let message = libc::CMSG_FIRSTHDR(header);
        (*message).cmsg_level = level;
        (*message).cmsg_type = kind;
        (*message).cmsg_len = libc::CMSG_LEN(size) as _;
        libc::CMSG_DATA(message).cast::<T>().write_unaligned(value);
    }
}

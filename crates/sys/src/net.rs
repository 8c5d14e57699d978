//! The loopback interface of a new network namespace.

use crate::{Result, check};
use rustix::fd::AsRawFd;

/// `struct ifreq` with its flags (netdevice(7)).
#[repr(C)]
struct IfReqFlags {
    name: [u8; libc::IFNAMSIZ],
    flags: libc::c_short,
    // The kernel copies the whole union: 40 bytes in all on 64-bit machines.
    rest: [u8; 22],
}

/// Brings up `lo`, to which the kernel then gives 127.0.0.1/8 and ::1 itself, with host scope.
///
/// # Errors
/// EPERM: no CAP_NET_ADMIN over the network namespace. Others as in netdevice(7).
pub fn loopback_up() -> Result<()> {
    let socket = rustix::net::socket_with(
        rustix::net::AddressFamily::INET,
        rustix::net::SocketType::DGRAM,
        rustix::net::SocketFlags::CLOEXEC,
        None,
    )?;
    let mut request = IfReqFlags {
        name: [0; libc::IFNAMSIZ],
        flags: libc::IFF_UP as libc::c_short,
        rest: [0; 22],
    };
    request.name[..2].copy_from_slice(b"lo");
    // SAFETY: SIOCSIFFLAGS reads a struct ifreq, which `request` is at least as large as.
    check(
        unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &raw mut request) }
            .into(),
    )
    .map(drop)
}

//! Interfaces and addresses of the network namespace, by one netlink dump each.

use crate::Report;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use swathe_differ::os;

/// Reports interfaces, their state, and addresses.
pub fn report(out: &mut Report) {
    for (name, kind) in
        [("link", libc::RTM_GETLINK), ("address", libc::RTM_GETADDR), ("route", libc::RTM_GETROUTE)]
    {
        match dump(kind) {
            Ok(answer) => messages(out, name, &answer),
            Err(e) => out.add("net", &format!("{name}: {e}")),
        }
    }
}

/// The whole answer to one dump request.
fn dump(kind: u16) -> std::io::Result<Vec<u8>> {
    // SAFETY: plain integers; the new descriptor has no other owner.
    let socket = unsafe {
        let fd = libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0);
        os::check(fd.into())?;
        OwnedFd::from_raw_fd(fd)
    };
    let mut request = Vec::new();
    request.extend_from_slice(&36u32.to_ne_bytes());
    request.extend_from_slice(&kind.to_ne_bytes());
    request.extend_from_slice(&0x301u16.to_ne_bytes()); // NLM_F_REQUEST | NLM_F_DUMP
    request.resize(36, 0);
    // An unbound netlink socket that was never connected sends to the kernel.
    os::write_all(socket.as_raw_fd(), &request)?;
    let mut all = Vec::new();
    let mut buffer = vec![0u8; 65536];
    loop {
        // SAFETY: the buffer is valid for writes of its own length.
        let n = unsafe { libc::read(socket.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len()) };
        let n = os::check(n as i64)? as usize;
        all.extend_from_slice(&buffer[..n]);
        let last = u16::from_ne_bytes([buffer[4], buffer[5]]);
        if n < 16 || last == libc::NLMSG_DONE as u16 || last == libc::NLMSG_ERROR as u16 {
            return Ok(all);
        }
    }
}

/// Reports the fixed header of each message, and of its attributes those that are set by hand.
fn messages(out: &mut Report, name: &str, mut rest: &[u8]) {
    while rest.len() >= 16 {
        let length = u32::from_ne_bytes([rest[0], rest[1], rest[2], rest[3]]) as usize;
        if length < 16 || length > rest.len() {
            return;
        }
        let body = &rest[16..length];
        let kind = u16::from_ne_bytes([rest[4], rest[5]]);
        match (name, kind) {
            ("link", libc::RTM_NEWLINK) if body.len() >= 16 => {
                let flags = u32::from_ne_bytes([body[8], body[9], body[10], body[11]]);
                out.add("net", &format!("link {} flags {flags:x}", text(body, 16, 3)));
            }
            ("address", libc::RTM_NEWADDR) if body.len() >= 8 => {
                out.add(
                    "net",
                    &format!(
                        "address family {} prefix {} flags {:x} scope {} local {}",
                        body[0],
                        body[1],
                        body[2],
                        body[3],
                        text(body, 8, 1)
                    ),
                );
            }
            ("route", libc::RTM_NEWROUTE) if body.len() >= 12 => {
                out.add(
                    "net",
                    &format!(
                        "route family {} prefix {} table {} scope {} type {} to {}",
                        body[0],
                        body[1],
                        body[4],
                        body[6],
                        body[7],
                        text(body, 12, 1)
                    ),
                );
            }
            _ => {}
        }
        rest = &rest[((length + 3) & !3).min(rest.len())..];
    }
}

/// The attribute `wanted` as hexadecimal text, or `-`.
fn text(body: &[u8], start: usize, wanted: u16) -> String {
    let mut rest = &body[start..];
    while rest.len() >= 4 {
        let length = u16::from_ne_bytes([rest[0], rest[1]]) as usize;
        if length < 4 || length > rest.len() {
            break;
        }
        if u16::from_ne_bytes([rest[2], rest[3]]) == wanted {
            return rest[4..length].iter().map(|b| format!("{b:02x}")).collect();
        }
        rest = &rest[((length + 3) & !3).min(rest.len())..];
    }
    "-".into()
}

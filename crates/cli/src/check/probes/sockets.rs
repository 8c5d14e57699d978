//! Sockets of services that act with the power of the user or of root, and families of sockets.

use crate::check::facts::Facts;
use crate::check::probe::{Class, Finding, Layer, Probe, any, closed, open, probe, reached, words};
use rustix::fs::{Access, AtFlags, CWD};
use std::os::unix::fs::FileTypeExt as _;
use swathe_sys::probe::socket;

use Class::{Escape, Surface};
use Layer::{Mount, Seccomp};

const DGRAM: i32 = 2;
const STREAM: i32 = 1;
const RAW: i32 = 3;
const SEQPACKET: i32 = 5;

const INET: i32 = 2;
const NETLINK: i32 = 16;
const PACKET: i32 = 17;
const ALG: i32 = 38;
const VSOCK: i32 = 40;
const KCM: i32 = 41;
const XDP: i32 = 44;

const SCTP: i32 = 132;
const UDPLITE: i32 = 136;
const MPTCP: i32 = 262;

pub const PROBES: &[Probe] = &[
    probe("socket-canary", Escape, Mount, "reach a socket in a directory outside", |f| {
        visible(f, "canary-socket")
    }),
    probe("socket-bus", Escape, Mount, "reach the session bus", |f| visible(f, "session-bus")),
    probe("socket-system", Escape, Mount, "reach the system bus", |f| visible(f, "system-bus")),
    probe("socket-containers", Escape, Mount, "reach docker, podman or containerd", |f| {
        visible(f, "containers")
    }),
    probe("socket-display", Escape, Mount, "reach X11 or Wayland", |f| visible(f, "display")),
    probe("socket-agents", Escape, Mount, "reach an SSH or GnuPG agent", |f| {
        visible(f, "agents-of-keys")
    }),
    probe("socket-sound", Escape, Mount, "reach PipeWire or PulseAudio", |f| visible(f, "sound")),
    probe("socket-others", Escape, Mount, "reach any other socket of the host", |f| {
        visible(f, "sockets")
    }),
    probe("family-vsock", Escape, Seccomp, "make a socket to the virtual machine's host", |_| {
        reached(socket(VSOCK, STREAM, 0))
    }),
    probe("family-alg", Surface, Seccomp, "make a socket of the kernel's ciphers", |_| {
        reached(socket(ALG, SEQPACKET, 0))
    }),
    probe("family-packet", Surface, Seccomp, "make a socket of raw packets", |_| {
        reached(socket(PACKET, RAW, 0))
    }),
    probe("family-kcm", Surface, Seccomp, "make a kernel connection multiplexor", |_| {
        reached(socket(KCM, DGRAM, 0))
    }),
    probe("family-xdp", Surface, Seccomp, "make a socket of express data paths", |_| {
        reached(socket(XDP, RAW, 0))
    }),
    probe("inet-raw", Surface, Seccomp, "make a raw internet socket", |_| {
        reached(socket(INET, RAW, 1))
    }),
    probe("inet-sctp", Surface, Seccomp, "make an SCTP socket", |_| {
        reached(socket(INET, SEQPACKET, SCTP))
    }),
    probe("inet-mptcp", Surface, Seccomp, "make an MPTCP socket", |_| {
        reached(socket(INET, STREAM, MPTCP))
    }),
    probe("inet-udplite", Surface, Seccomp, "make a UDP-Lite socket", |_| {
        reached(socket(INET, DGRAM, UDPLITE))
    }),
    probe("netlink-diag", Surface, Seccomp, "ask for sockets by netlink", |_| netlink(4)),
    probe("netlink-xfrm", Surface, Seccomp, "reach IPsec by netlink", |_| netlink(6)),
    probe("netlink-audit", Surface, Seccomp, "reach the audit system by netlink", |_| netlink(9)),
    probe("netlink-connector", Surface, Seccomp, "reach the process connector", |_| netlink(11)),
    probe("netlink-netfilter", Surface, Seccomp, "reach netfilter by netlink", |_| netlink(12)),
    probe("netlink-uevent", Surface, Seccomp, "hear of devices by netlink", |_| netlink(15)),
    probe("netlink-generic", Surface, Seccomp, "reach drivers by generic netlink", |_| netlink(16)),
    probe("netlink-crypto", Surface, Seccomp, "reach the ciphers by netlink", |_| netlink(21)),
];

fn netlink(protocol: i32) -> Finding {
    reached(socket(NETLINK, RAW, protocol))
}

/// Whether a socket of the host can be connected to. It is not: that may start a service.
fn visible(facts: &Facts, kind: &str) -> Finding {
    any(facts.places(kind).iter().map(|path| match path.metadata() {
        Ok(found) if found.file_type().is_socket() => {
            match rustix::fs::accessat(CWD, path, Access::WRITE_OK, AtFlags::EACCESS) {
                Ok(()) => open(path.display().to_string()),
                Err(e) => closed(words(e)),
            }
        }
        Ok(_) => closed("no socket there"),
        Err(e) => closed(words(e)),
    }))
}

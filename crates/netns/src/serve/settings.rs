//! Settings of the network namespace, which `/proc/sys/net` shows to whoever is in it.

use crate::protocol::{Refusal, Step, at};
use rustix::fs::{Mode, OFlags, openat};
use rustix::io::{Errno, read, write};
use rustix::process::getegid;
use std::os::fd::OwnedFd;
use std::time::Duration;

/// What a busy client needs. Some kernels do not show all of them to those who are not root on the
/// host; everything works without, for fewer connections at a time.
const WISHES: [(&str, &str); 5] = [
    // As many connections can wait to be accepted as a listener asks for.
    ("core/somaxconn", "4096"),
    ("ipv4/tcp_max_syn_backlog", "4096"),
    // Ports for 1,000 connections a second to one address: some 49,000, each free again after a
    // second. Those below stay for servers.
    ("ipv4/ip_local_port_range", "16384 65535"),
    ("ipv4/tcp_tw_reuse", "1"),
    // The record of a redirected connection, in a table that all namespaces share.
    ("netfilter/nf_conntrack_tcp_timeout_time_wait", "2"),
];

/// How often a map of ids is looked at, a millisecond apart.
const LOOKS: u32 = 5000;

/// Writes all that is wanted. `ping`: whether the sandbox's programs may use it.
pub fn make(proc: &OwnedFd, ipv6: bool, ping: bool) -> Result<(), Refusal> {
    let set = |step, name: &str, value: &str| write_to(proc, name, value).map_err(at(step));
    // Every address is the kernel's own here, so that it would say that every host is up.
    set(Step::EchoIgnore, "ipv4/icmp_echo_ignore_all", "1")?;
    if ipv6 {
        set(Step::EchoIgnore, "ipv6/icmp/echo_ignore_all", "1")?;
        // A new namespace takes over what the host has.
        set(Step::Ipv6, "ipv6/conf/all/disable_ipv6", "0")?;
        set(Step::Ipv6, "ipv6/conf/lo/disable_ipv6", "0")?;
    }
    if ping {
        allow_ping(proc).map_err(at(Step::EchoAllow))?;
    }
    for (name, value) in WISHES {
        let _ = write_to(proc, name, value);
    }
    Ok(())
}

/// Lets the sandbox's group use ping: it is this process's, in the user namespace that was joined.
pub fn allow_ping(proc: &OwnedFd) -> Result<(), Errno> {
    mapped(proc, "gid_map")?;
    let group = getegid().as_raw();
    write_to(proc, "ipv4/ping_group_range", &format!("{group} {group}"))
}

/// Waits until this process's ids have numbers in the user namespace that was joined: only once the
/// engine has written the map, `uid_map` or `gid_map`, which may be now.
pub fn mapped(proc: &OwnedFd, map: &str) -> Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    for _ in 0..LOOKS {
        let map = openat(proc, format!("self/{map}"), flags, Mode::empty())?;
        if read(&map, &mut [0; 64])? > 0 {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    Err(Errno::TIMEDOUT)
}

fn write_to(proc: &OwnedFd, name: &str, value: &str) -> Result<(), Errno> {
    let flags = OFlags::WRONLY | OFlags::CLOEXEC;
    let file = openat(proc, format!("sys/net/{name}"), flags, Mode::empty())?;
    write(&file, value.as_bytes()).map(drop)
}

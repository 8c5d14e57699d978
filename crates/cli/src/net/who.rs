//! Which process of a sandbox has a connection, by the tables that the kernel shows of its network.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use swathe_netrules::address::canonical;
use swathe_record::bytes::Bytes;

/// Processes and descriptors that are looked at: it is for a message, and may be in vain.
const MAX_PROCESSES: usize = 512;
const MAX_DESCRIPTORS: usize = 1024;
const MAX_TABLE: usize = 4 << 20;

/// The longest command line that is of interest, in bytes and words.
const MAX_COMMAND: u64 = 4096;
const MAX_WORDS: usize = 64;

/// A process that has a connection.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Asker {
    /// Its number on the host.
    pub pid: u32,
    /// The program that it runs.
    pub program: Bytes,
}

impl Asker {
    /// Its command line, as it has it now; its program where it has none.
    #[must_use]
    pub fn command(&self) -> Vec<Bytes> {
        use std::io::Read as _;
        let mut text = Vec::new();
        if let Ok(file) = std::fs::File::open(format!("/proc/{}/cmdline", self.pid)) {
            // Half of it is better than none.
            let _ = file.take(MAX_COMMAND).read_to_end(&mut text);
        }
        let text = text.strip_suffix(b"\0").unwrap_or(&text);
        if text.is_empty() {
            return vec![self.program.clone()];
        }
        text.split(|&byte| byte == 0).take(MAX_WORDS).map(|word| Bytes(word.to_vec())).collect()
    }
}

/// A sandbox, by its engine.
#[derive(Debug, Clone, Copy)]
pub struct Sandbox(pub u32);

impl Sandbox {
    /// The process whose socket has this address, and the program that it runs; none: it has closed
    /// it, or cannot be looked at.
    #[must_use]
    pub fn who(self, peer: Option<SocketAddr>) -> Option<Asker> {
        let peer = peer?;
        let pids = self.processes();
        let inode = pids.iter().find_map(|pid| inode_of(*pid, peer))?;
        let wanted = format!("socket:[{inode}]");
        let pid = pids.into_iter().find(|pid| has(*pid, &wanted))?;
        let program = std::fs::read_link(format!("/proc/{pid}/exe")).ok()?;
        Some(Asker { pid, program: Bytes::from(program.as_path()) })
    }

    fn processes(self) -> Vec<u32> {
        let mut left = VecDeque::from([self.0]);
        let mut found = Vec::new();
        while let Some(pid) = left.pop_front()
            && found.len() < MAX_PROCESSES
        {
            if pid != self.0 {
                found.push(pid);
            }
            let children = format!("/proc/{pid}/task/{pid}/children");
            let children = std::fs::read_to_string(children).unwrap_or_default();
            left.extend(
                children.split_ascii_whitespace().filter_map(|pid| pid.parse::<u32>().ok()),
            );
        }
        found
    }
}

fn has(pid: u32, wanted: &str) -> bool {
    let Ok(all) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    all.flatten()
        .take(MAX_DESCRIPTORS)
        .any(|entry| std::fs::read_link(entry.path()).is_ok_and(|link| link.as_os_str() == wanted))
}

/// The socket with this local address in the tables of a process's network (proc_pid_net(5)).
fn inode_of(pid: u32, peer: SocketAddr) -> Option<u64> {
    ["tcp", "tcp6", "udp", "udp6"].iter().find_map(|table| {
        use std::io::Read as _;
        let file = std::fs::File::open(format!("/proc/{pid}/net/{table}")).ok()?;
        let mut text = String::new();
        file.take(MAX_TABLE as u64).read_to_string(&mut text).ok()?;
        text.lines().skip(1).find_map(|line| matches(line, peer))
    })
}

/// The number in a line, if it is of a socket with this address.
fn matches(line: &str, peer: SocketAddr) -> Option<u64> {
    const LOCAL: usize = 1;
    const INODE: usize = 9;
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let (address, port) = words.get(LOCAL)?.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let own = address_of(address)?;
    // Of a datagram socket that is bound to no address only the port is known.
    let same = own.is_unspecified() || canonical(own) == canonical(peer.ip());
    (port == peer.port() && same).then(|| words.get(INODE)?.parse().ok()).flatten()
}

/// An address as these tables have it: words of 32 bits in the machine's order.
fn address_of(text: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        let text = text.get(at * 8..at * 8 + 8)?;
        u32::from_str_radix(text, 16).ok().map(u32::to_ne_bytes)
    };
    match text.len() {
        8 => Some(IpAddr::V4(Ipv4Addr::from(word(0)?))),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?];
            let mut bytes = [0; 16];
            for (part, word) in bytes.chunks_mut(4).zip(words) {
                part.copy_from_slice(&word);
            }
            Some(IpAddr::V6(Ipv6Addr::from(bytes)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_found_by_its_address() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a listener");
        let address = listener.local_addr().expect("an address");
        let inode = inode_of(std::process::id(), address).expect("its line");
        assert!(has(std::process::id(), &format!("socket:[{inode}]")));
    }

    #[test]
    fn addresses_are_read_as_the_kernel_writes_them() {
        let v6 = format!("{:08X}", u32::from_ne_bytes([0xfd, 0x73, 0x77, 0x61])) + &"0".repeat(24);
        assert_eq!(address_of(&v6), "fd73:7761::".parse().ok());
        assert_eq!(address_of("nonsense!"), None);
        assert_eq!(address_of(""), None);
    }
}

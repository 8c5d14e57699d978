//! The host's network, whole, in a network namespace of the sandbox's own: by pasta(1), from the
//! package passt. What listens on the host's loopback interface, and its abstract sockets, stay out.

use super::host;
use crate::out::{Failure, shown};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::net::{IpAddr, Ipv6Addr, UdpSocket};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use swathe_netns::pasta::Pasta;
use swathe_netrules::fixed::{RESOLVER_V4, RESOLVER_V6};

/// The way's name.
pub const PASTA: &str = "pasta";
/// Names the program where it is elsewhere.
const NAMED: &str = "SWATHE_PASTA";
/// Where it is looked for. Not on `PATH`: a directory of that may be one that a sandbox writes to,
/// and pasta runs outside.
const PLACES: [&str; 4] =
    ["/usr/bin/pasta", "/usr/local/bin/pasta", "/bin/pasta", "/run/current-system/sw/bin/pasta"];
/// What it makes the sandbox's interface by.
const TUN: &str = "/dev/net/tun";

/// How names are resolved where the host's resolver may be out of reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolver {
    /// The sandbox's resolv.conf(5).
    pub text: String,
    /// An address of the sandbox's that stands for the host's first resolver.
    pub forward: Option<IpAddr>,
}

impl Resolver {
    /// The one for this host.
    #[must_use]
    pub fn of_host() -> Self {
        Self::new(&host::read(host::RESOLV_CONF), is_own)
    }

    /// `own`: whether an address is the host's, which is the sandbox's there.
    fn new(text: &str, own: impl Fn(IpAddr) -> bool) -> Self {
        let (mut kept, mut reached, mut lost) = (String::new(), false, Vec::new());
        for line in text.lines() {
            let mut words = line.split_ascii_whitespace();
            let server = words.next().filter(|word| *word == "nameserver").and(words.next());
            match server.map(address) {
                Some(Some(server)) if is_local(server) || own(server) => {
                    lost.push(server);
                    continue;
                }
                Some(_) => reached = true,
                None => {}
            }
            kept.push_str(line);
            kept.push('\n');
        }
        // Only where there is no other: by TCP old versions of pasta forward nothing.
        let forward =
            (!reached && !lost.is_empty()).then(|| match lost.iter().any(IpAddr::is_ipv4) {
                true => IpAddr::from(RESOLVER_V4),
                false => RESOLVER_V6.into(),
            });
        if let Some(address) = forward {
            kept.push_str(&format!("nameserver {address}\n"));
        }
        Self { text: kept, forward }
    }
}

/// A server's address, without the name of an interface.
fn address(word: &str) -> Option<IpAddr> {
    word.split('%').next()?.parse().ok()
}

/// Whether an address means another host in each network, or this one in all.
fn is_local(address: IpAddr) -> bool {
    let linked = |v6: Ipv6Addr| v6.is_unicast_link_local();
    let address = address.to_canonical();
    address.is_loopback()
        || address.is_unspecified()
        || matches!(address, IpAddr::V6(v6) if linked(v6))
}

/// Whether an address is one of the host's own: the kernel would go there from there.
fn is_own(address: IpAddr) -> bool {
    let any: IpAddr = match address {
        IpAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // No packet is sent by that.
    let from = UdpSocket::bind((any, 0)).and_then(|socket| {
        socket.connect((address, 53))?;
        socket.local_addr()
    });
    from.is_ok_and(|from| from.ip() == address)
}

/// All that it takes to bring the network in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Bridge {
    program: PathBuf,
    forward: Option<IpAddr>,
}

impl Bridge {
    /// Finds pasta, and what it needs.
    ///
    /// # Errors
    /// It is not installed, or cannot work here for this user.
    pub fn new(resolver: &Resolver) -> Result<Self, Failure> {
        let program = find()?;
        File::options().read(true).write(true).open(TUN).map_err(|e| no_device(&e))?;
        Ok(Self { program, forward: resolver.forward })
    }

    /// Brings it into the network namespace of a sandbox that is held back. It ends with what is
    /// returned, and with the thread that calls.
    ///
    /// # Errors
    /// It cannot be done: then the program must not run.
    pub fn start(&self, netns: OwnedFd) -> Result<Pasta, Failure> {
        let program = std::env::current_exe().map_err(|e| failed(&e))?;
        Pasta::start(&program, &self.program, netns, self.forward).map_err(|e| failed(&e))
    }
}

/// The program.
fn find() -> Result<PathBuf, Failure> {
    let named = std::env::var_os(NAMED).filter(|name| !name.is_empty()).map(PathBuf::from);
    if let Some(named) = named {
        let name = shown(&named.to_string_lossy());
        return match named.is_absolute() && named.is_file() {
            true => Ok(named),
            false => Err(Failure::new(format!("{NAMED}={name} is no path of a program"))),
        };
    }
    let found = PLACES.into_iter().map(Path::new).find(|path| path.is_file());
    found.map(Path::to_owned).ok_or_else(|| {
        Failure::new("the network by pasta: pasta is not installed")
            .hint("install the package passt, which has it (sudo apt install passt)")
            .hint(format!("or name it: {NAMED}=/path/to/pasta"))
    })
}

fn no_device(error: &std::io::Error) -> Failure {
    let failure = Failure::new(format!("the network by pasta: cannot open {TUN}: {error}"));
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => {
            failure.hint(format!("sudo chmod 666 {TUN} lets every user make devices of their own"))
        }
        _ => failure.hint("sudo modprobe tun, if the kernel has it as a module"),
    }
}

fn failed(error: &dyn std::fmt::Display) -> Failure {
    let text = format!("cannot bring the host's network in by pasta: {error}");
    Failure::new(shown(&text))
        .hint("pasta needs an interface with a default route, and namespaces that it can join")
        .hint("without pasta, net.all shares the host's network")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolver(text: &str) -> Resolver {
        Resolver::new(text, |address| address.to_string() == "10.0.0.2")
    }

    #[test]
    fn a_resolver_elsewhere_stays() {
        let text = "# text\nsearch example.com\nnameserver 10.0.0.1\noptions edns0\n";
        assert_eq!(resolver(text), Resolver { text: text.to_owned(), forward: None });
        let found = resolver("nameserver 127.0.0.53\nnameserver 2600::1\nnameserver nonsense\n");
        assert_eq!(found.text, "nameserver 2600::1\nnameserver nonsense\n");
        assert_eq!(found.forward, None);
    }

    #[test]
    fn a_resolver_of_this_host_is_forwarded_to() {
        for (address, stands) in [
            ("127.0.0.53", "198.18.0.1"),
            ("10.0.0.2", "198.18.0.1"),
            ("0.0.0.0", "198.18.0.1"),
            ("::1", "fd73:7761:7468:6500::1"),
            ("fe80::1%eth0", "fd73:7761:7468:6500::1"),
        ] {
            let found = resolver(&format!("search a.example\nnameserver {address}\n"));
            assert_eq!(found.text, format!("search a.example\nnameserver {stands}\n"));
            assert_eq!(found.forward, stands.parse().ok());
        }
        assert_eq!(
            resolver("nameserver ::1\nnameserver 127.0.0.1").text,
            "nameserver 198.18.0.1\n"
        );
        assert_eq!(resolver(""), Resolver { text: String::new(), forward: None });
    }

    #[test]
    fn own_addresses_are_known() {
        assert!(is_own(std::net::Ipv4Addr::LOCALHOST.into()));
        assert!(!is_own("203.0.113.1".parse().expect("an address")));
    }
}

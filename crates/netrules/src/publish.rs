//! Ports of a sandbox that others connect to.

use crate::ports::{PortsError, port};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// A port of the sandbox that a TCP address of the host leads to: `8080`, `8080:3000` (host's,
/// then sandbox's), `127.0.0.1:8080:3000`, `[::1]:8080`. Without an address it is 127.0.0.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Publish {
    /// Where the host listens; never port 0.
    pub host: SocketAddr,
    /// The port inside; never 0.
    pub port: u16,
}

/// Why a text publishes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PublishError {
    /// What stands before the ports is no address of four decimal numbers, or of IPv6 in brackets.
    Address,
    /// No host can listen there.
    Multicast,
    /// A port is none.
    Port(PortsError),
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address => f.write_str(
                "the host's address is four decimal numbers, or of IPv6 in brackets without a zone",
            ),
            Self::Multicast => f.write_str("nobody can listen on a multicast address"),
            Self::Port(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for PublishError {}

impl Publish {
    /// Whether only programs of this machine can connect.
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.host.ip().is_loopback()
    }

    /// Whether both want the host to listen at the same place.
    #[must_use]
    pub fn collides(&self, other: &Self) -> bool {
        let (own, others) = (self.host.ip(), other.host.ip());
        let overlap = own == others
            || own.is_unspecified() && others.is_ipv4() == own.is_ipv4()
            || others.is_unspecified() && others.is_ipv4() == own.is_ipv4();
        self.host.port() == other.host.port() && overlap
    }
}

impl FromStr for Publish {
    type Err = PublishError;

    fn from_str(text: &str) -> Result<Self, PublishError> {
        let (address, ports) = split(text)?;
        if address.is_multicast() || address == IpAddr::V4(Ipv4Addr::BROADCAST) {
            return Err(PublishError::Multicast);
        }
        let number = |text| port(text).map_err(PublishError::Port);
        let (host, inside) = match ports.split_once(':') {
            Some((host, inside)) => (number(host)?, number(inside)?),
            None => (number(ports)?, number(ports)?),
        };
        Ok(Self { host: SocketAddr::new(address, host), port: inside })
    }
}

/// The address, and what stands behind it.
fn split(text: &str) -> Result<(IpAddr, &str), PublishError> {
    if let Some(rest) = text.strip_prefix('[') {
        let (address, ports) = rest.split_once("]:").ok_or(PublishError::Address)?;
        let address: Ipv6Addr = address.parse().map_err(|_| PublishError::Address)?;
        return Ok((IpAddr::V6(address).to_canonical(), ports));
    }
    match text.split_once(':') {
        // No port has a dot in it.
        Some((address, ports)) if address.contains('.') => {
            let address: Ipv4Addr = address.parse().map_err(|_| PublishError::Address)?;
            Ok((address.into(), ports))
        }
        Some(("", _)) => Err(PublishError::Address),
        _ => Ok((Ipv4Addr::LOCALHOST.into(), text)),
    }
}

impl fmt::Display for Publish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl TryFrom<String> for Publish {
    type Error = PublishError;
    fn try_from(text: String) -> Result<Self, PublishError> {
        text.parse()
    }
}

impl From<Publish> for String {
    fn from(publish: Publish) -> Self {
        publish.to_string()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn texts_have_one_form() {
        for (text, form) in [
            ("8080", "127.0.0.1:8080:8080"),
            ("8080:3000", "127.0.0.1:8080:3000"),
            ("127.0.0.1:8080", "127.0.0.1:8080:8080"),
            ("0.0.0.0:80:3000", "0.0.0.0:80:3000"),
            ("[::1]:8080", "[::1]:8080:8080"),
            ("[0:0::1]:8080:3000", "[::1]:8080:3000"),
            ("[::ffff:127.0.0.1]:1:65535", "127.0.0.1:1:65535"),
        ] {
            assert_eq!(text.parse::<Publish>().unwrap().to_string(), form, "{text}");
        }
    }

    #[test]
    fn what_publishes_nothing_is_refused() {
        for text in [
            "",
            ":",
            ":80",
            "80:",
            "0",
            "0:80",
            "80:0",
            "65536",
            "-1",
            "80:80:80",
            "1.2.3:80",
            "127.1:80",
            "0x7f.0.0.1:80",
            "localhost:80",
            "::1:80",
            "[::1]",
            "[::1]80",
            "[::1]:",
            "[fe80::1%eth0]:80",
            "224.0.0.1:80",
            "255.255.255.255:80",
            "[ff02::1]:80",
            "127.0.0.1",
            "80/udp",
            "80-90",
            " 80",
            "127.0.0.1:80:80:80",
            "*:80",
            "[127.0.0.1]:80",
        ] {
            assert!(text.parse::<Publish>().is_err(), "{text}");
        }
    }

    #[test]
    fn two_may_not_listen_at_one_place() {
        let one = |text: &str| text.parse::<Publish>().unwrap();
        assert!(one("80").collides(&one("80:81")));
        assert!(one("0.0.0.0:80").collides(&one("127.0.0.1:80")));
        assert!(!one("81:80").collides(&one("80")));
        assert!(!one("[::1]:80").collides(&one("80")));
        assert!(!one("127.0.0.2:80").collides(&one("80")));
    }

    proptest! {
        #[test]
        fn text_round_trip(v4: bool, bits: u128, host in 1u16.., port in 1u16..) {
            let address = match v4 {
                true => IpAddr::V4(Ipv4Addr::from(bits as u32)),
                false => IpAddr::V6(Ipv6Addr::from(bits)),
            };
            let publish = Publish { host: SocketAddr::new(address, host), port };
            prop_assume!(!address.is_multicast() && address.to_canonical() == address);
            prop_assume!(address != IpAddr::V4(Ipv4Addr::BROADCAST));
            prop_assert_eq!(publish.to_string().parse::<Publish>(), Ok(publish));
        }

        #[test]
        fn no_text_panics(text in ".{0,60}") {
            let _ = text.parse::<Publish>();
        }
    }
}

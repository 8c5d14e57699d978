//! Where a client of a proxy wants to go, as it wrote it.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use swathe_netrules::name::Name;

/// The host of a request to a proxy. The rules decide; nothing here does.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Target {
    /// A host's name.
    Name(Name),
    /// An address, written in the one form that is never taken for another: four decimal numbers,
    /// or IPv6.
    Address(IpAddr),
    /// `localhost`: the loopback of the host, as far as the rules name it.
    Localhost,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => name.fmt(f),
            Self::Address(IpAddr::V6(v6)) => write!(f, "[{v6}]"),
            Self::Address(v4) => v4.fmt(f),
            Self::Localhost => f.write_str("localhost"),
        }
    }
}

impl Target {
    /// Reads a host without a port: a name, four decimal numbers, or IPv6 with or without brackets.
    /// ASCII only, since what is on the wire is in its final form.
    #[must_use]
    pub fn parse(host: &[u8]) -> Option<Self> {
        if let Some(inner) = host.strip_prefix(b"[") {
            return ipv6(inner.strip_suffix(b"]")?);
        }
        if host.contains(&b':') {
            return ipv6(host);
        }
        let text = std::str::from_utf8(host).ok().filter(|text| text.is_ascii())?;
        if text.strip_suffix('.').unwrap_or(text).eq_ignore_ascii_case("localhost") {
            return Some(Self::Localhost);
        }
        if let Ok(address) = text.parse() {
            return Some(Self::Address(IpAddr::V4(address)));
        }
        Name::parse(host).ok().map(Self::Name)
    }
}

fn ipv6(text: &[u8]) -> Option<Target> {
    let address: Ipv6Addr = std::str::from_utf8(text).ok()?.parse().ok()?;
    Some(Target::Address(IpAddr::V6(address)))
}

/// The host and the port of an authority (`host`, `host:port`, `[v6]:port`), each still text. A
/// port has 1 to 5 digits and is not 0.
pub(crate) fn split(authority: &[u8]) -> Option<(&[u8], Option<u16>)> {
    // The colon behind the brackets, or the only one.
    let after = authority.iter().rposition(|byte| *byte == b']').map_or(0, |at| at + 1);
    let Some(colon) = authority[after..].iter().position(|byte| *byte == b':') else {
        return (!authority.is_empty()).then_some((authority, None));
    };
    let (host, port) = (&authority[..after + colon], &authority[after + colon + 1..]);
    if host.is_empty() || port.len() > 5 || !port.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let port: u16 = std::str::from_utf8(port).ok()?.parse().ok()?;
    (port != 0).then_some((host, Some(port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities() {
        for (text, host, port) in [
            ("a.example", "a.example", None),
            ("a.example:80", "a.example", Some(80)),
            ("[::1]:65535", "[::1]", Some(65535)),
            ("[::1]", "[::1]", None),
        ] {
            assert_eq!(split(text.as_bytes()), Some((host.as_bytes(), port)), "{text}");
        }
        for text in ["", ":80", "a:", "a:0", "a:+1", "a:65536", "a:000080", "a:b:1", "[::1]:-1"] {
            assert_eq!(split(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn targets() {
        let name = |text: &str| Some(Target::Name(Name::parse(text.as_bytes()).expect(text)));
        let address = |text: &str| Some(Target::Address(text.parse().expect(text)));
        for (text, target) in [
            ("A.example.", name("a.example")),
            ("192.0.2.1", address("192.0.2.1")),
            ("[2001:db8::1]", address("2001:db8::1")),
            ("2001:db8::1", address("2001:db8::1")),
            ("LocalHost", Some(Target::Localhost)),
            ("localhost.", Some(Target::Localhost)),
            ("a.localhost", None),
            ("0x7f.1", None),
            ("127.1", None),
            ("2130706433", None),
            ("192.0.2.1.", None),
            ("[192.0.2.1]", None),
            ("[fe80::1%eth0]", None),
            ("b\u{fc}cher.example", None),
            ("a\0b", None),
            ("", None),
        ] {
            assert_eq!(Target::parse(text.as_bytes()), target, "{text}");
        }
    }
}

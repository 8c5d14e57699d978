//! One rule, and its text.

use crate::address::{Cidr, CidrError, Class};
use crate::name::{Name, NameError, Pattern};
use crate::ports::{Ports, PortsError};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The longest text of a rule, in bytes: the longest name, and all ranges of ports.
pub const LONGEST_RULE: usize = 2048;

/// How a program talks to a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// By TCP.
    Tcp,
    /// By UDP.
    Udp,
}

/// What a rule is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// Hosts by name.
    Name(Pattern),
    /// Hosts by address.
    Cidr(Cidr),
    /// The loopback interface of the host: 127.0.0.1 and `::1`.
    HostLoopback,
    /// Every name, and every address that is a host of the internet.
    Any,
}

/// Hosts, ports and protocols: `github.com:443`, `*.npmjs.org`, `10.0.0.0/8:5432`,
/// `[2001:db8::]/32:80-90`, `time.nist.gov:123/udp`, `localhost:5432`, `*`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rule {
    /// Which hosts.
    pub what: What,
    /// Which of their ports.
    pub ports: Ports,
    /// How; `None` is both ways.
    pub protocol: Option<Protocol>,
}

/// Whether a text allows or denies. What it leaves out is the least that it can mean where it
/// allows (ports 80 and 443, TCP), and the most where it denies (every port, both protocols).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// It allows.
    Allow,
    /// It denies.
    Deny,
}

/// Why a text is no rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RuleError {
    /// There is nothing in it.
    Empty,
    /// It is longer than 2048 bytes.
    TooLong,
    /// It is a URL.
    Url,
    /// What stands where the host should is no name.
    Name(NameError),
    /// What looks like an address is none.
    Address(CidrError),
    /// An IPv6 address without brackets, after which a port could not be told from it.
    Brackets,
    /// The ports cannot be understood.
    Ports(PortsError),
    /// After the last `/` stands no protocol.
    Protocol,
    /// The host's loopback without ports.
    LoopbackPorts,
    /// A loopback address that is neither 127.0.0.1 nor `::1`.
    LoopbackAddress,
    /// UDP without ports.
    UdpPorts,
}

impl RuleError {
    /// What to do about it, where the error itself does not say so.
    #[must_use]
    pub fn help(&self) -> Option<String> {
        Some(match self {
            Self::Url => "name the host alone, such as `github.com:443`".to_owned(),
            Self::Name(NameError::AddressLike) => {
                "an address is four decimal numbers without leading zeros".to_owned()
            }
            Self::Name(NameError::Localhost) | Self::LoopbackPorts | Self::LoopbackAddress => {
                "a port of this machine is `localhost:PORT`".to_owned()
            }
            Self::Name(NameError::Character) => {
                "`*.` stands only at the beginning, for all names below one".to_owned()
            }
            Self::Address(CidrError::Bits(block)) => format!("did you mean {block}?"),
            Self::Brackets => "write `[2001:db8::1]:443`".to_owned(),
            Self::UdpPorts => "name them: `time.nist.gov:123/udp`".to_owned(),
            _ => return None,
        })
    }
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name(error) => return error.fmt(f),
            Self::Address(error) => return error.fmt(f),
            Self::Ports(error) => return error.fmt(f),
            Self::Empty => "the rule is empty",
            Self::TooLong => "the rule is longer than 2048 bytes",
            Self::Url => "a rule names a host, and no URL",
            Self::Brackets => "an IPv6 address stands in brackets",
            Self::Protocol => "after the ports stands nothing, `/tcp`, `/udp` or `/any`",
            Self::LoopbackPorts => "a rule for this machine names its ports",
            Self::LoopbackAddress => {
                "of this machine's loopback addresses only 127.0.0.1 and ::1 can be reached"
            }
            Self::UdpPorts => "a rule for UDP names its ports",
        })
    }
}

impl std::error::Error for RuleError {}

impl Rule {
    /// The rule of a text.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(text: &str, form: Form) -> Result<Self, RuleError> {
        if text.is_empty() {
            return Err(RuleError::Empty);
        }
        if text.len() > LONGEST_RULE {
            return Err(RuleError::TooLong);
        }
        if text.contains("://") {
            return Err(RuleError::Url);
        }
        let (rest, protocol) = match text.rsplit_once('/') {
            Some((rest, "tcp")) => (rest, Some(Protocol::Tcp)),
            Some((rest, "udp")) => (rest, Some(Protocol::Udp)),
            Some((rest, "any")) => (rest, None),
            _ => (text, (form == Form::Allow).then_some(Protocol::Tcp)),
        };
        let (host, ports) = split(rest)?;
        let what = what(&host)?;
        let ports = match ports {
            Some(ports) if ports.contains('/') => return Err(RuleError::Protocol),
            Some(ports) => ports.parse().map_err(RuleError::Ports)?,
            None if form == Form::Deny => Ports::all(),
            None if what == What::HostLoopback => return Err(RuleError::LoopbackPorts),
            None if protocol != Some(Protocol::Tcp) => return Err(RuleError::UdpPorts),
            None => Ports::web(),
        };
        Ok(Self { what, ports, protocol })
    }

    /// The text that [`Rule::parse`] reads as this rule; ports are always named.
    #[must_use]
    pub fn text(&self, form: Form) -> String {
        let usual = match form {
            Form::Allow => Some(Protocol::Tcp),
            Form::Deny => None,
        };
        let protocol = match self.protocol {
            protocol if protocol == usual => "",
            Some(Protocol::Tcp) => "/tcp",
            Some(Protocol::Udp) => "/udp",
            None => "/any",
        };
        format!("{}:{}{protocol}", self.what, self.ports)
    }

    /// Whether this is about the port by that protocol.
    #[must_use]
    pub fn is_at(&self, port: u16, protocol: Protocol) -> bool {
        self.is_by(protocol) && self.ports.contains(port)
    }

    /// Whether this is about the protocol.
    #[must_use]
    pub fn is_by(&self, protocol: Protocol) -> bool {
        self.protocol.is_none_or(|own| own == protocol)
    }

    /// Whether this is about a host of that name.
    #[must_use]
    pub fn is_about(&self, name: &Name) -> bool {
        match &self.what {
            What::Name(pattern) => pattern.matches(name),
            What::Any => true,
            What::Cidr(_) | What::HostLoopback => false,
        }
    }

    /// Whether this is about an address, special or not.
    #[must_use]
    pub fn is_about_address(&self, address: IpAddr) -> bool {
        match &self.what {
            What::Cidr(block) => block.contains(address),
            What::HostLoopback => is_host_loopback(address),
            What::Any => true,
            What::Name(_) => false,
        }
    }

    /// Whether this names an address of a special block in so many words: by a block that lies
    /// within the special one.
    #[must_use]
    pub fn means(&self, address: IpAddr, special: &Cidr) -> bool {
        match &self.what {
            What::Cidr(block) => block.contains(address) && block.is_within(special),
            What::HostLoopback => is_host_loopback(address),
            What::Any | What::Name(_) => false,
        }
    }

    /// Whether all that the other rule allows this one allows, too. Where that is hard to say
    /// (blocks that begin with special addresses) it is not.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        let hosts = match (&self.what, &other.what) {
            (What::Name(own), What::Name(other)) => own.covers(other),
            (What::Cidr(own), What::Cidr(other)) => {
                // A larger block is about less: it does not mean the special ones within it.
                let special = crate::address::special(other.address());
                let means = special.is_none_or(|(_, block)| own.is_within(&block));
                own == other || other.is_within(own) && means
            }
            (What::Any, What::Name(_) | What::Any) | (What::HostLoopback, What::HostLoopback) => {
                true
            }
            _ => false,
        };
        hosts
            && self.protocol.is_none_or(|own| other.protocol == Some(own))
            && other.ports.is_within([&self.ports])
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(pattern) => pattern.fmt(f),
            Self::Cidr(block) if block.address().is_ipv4() => block.fmt(f),
            Self::Cidr(block) if block.is_single() => write!(f, "[{}]", block.address()),
            Self::Cidr(block) => write!(f, "[{}]/{}", block.address(), block.prefix()),
            Self::HostLoopback => f.write_str("localhost"),
            Self::Any => f.write_str("*"),
        }
    }
}

fn is_host_loopback(address: IpAddr) -> bool {
    match crate::address::canonical(address) {
        IpAddr::V4(v4) => v4 == Ipv4Addr::LOCALHOST,
        IpAddr::V6(v6) => v6 == Ipv6Addr::LOCALHOST,
    }
}

/// The host as it stands there, and what stands behind its colon.
fn split(text: &str) -> Result<(Host<'_>, Option<&str>), RuleError> {
    if let Some(inside) = text.strip_prefix('[') {
        let (address, rest) =
            inside.split_once(']').ok_or(RuleError::Address(CidrError::Address))?;
        let (prefix, ports) = colon(rest);
        return match prefix.strip_prefix('/') {
            Some(prefix) => Ok((Host::V6(address, Some(prefix)), ports)),
            None if prefix.is_empty() => Ok((Host::V6(address, None), ports)),
            None => Err(RuleError::Address(CidrError::Address)),
        };
    }
    if text.bytes().filter(|b| *b == b':').count() > 1 {
        let Some((address, rest)) = text.split_once('/') else { return Err(RuleError::Brackets) };
        let (prefix, ports) = colon(rest);
        return Ok((Host::V6(address, Some(prefix)), ports));
    }
    let (host, ports) = colon(text);
    Ok((Host::Other(host), ports))
}

/// What stands before and behind the first colon.
fn colon(text: &str) -> (&str, Option<&str>) {
    text.split_once(':').map_or((text, None), |(before, behind)| (before, Some(behind)))
}

/// The part of a text that says which hosts.
enum Host<'t> {
    /// An IPv6 address, and the bits of a block.
    V6(&'t str, Option<&'t str>),
    /// Anything else.
    Other(&'t str),
}

fn what(host: &Host<'_>) -> Result<What, RuleError> {
    match host {
        Host::V6(address, prefix) => {
            if !address.contains(':') {
                return Err(RuleError::Address(CidrError::Address));
            }
            let text = match prefix {
                Some(prefix) => format!("{address}/{prefix}"),
                None => (*address).to_owned(),
            };
            text.parse().map_err(RuleError::Address).and_then(block)
        }
        Host::Other("*") => Ok(What::Any),
        Host::Other(text) => {
            let bare = text.strip_suffix('.').unwrap_or(text);
            if bare.eq_ignore_ascii_case("localhost") {
                return Ok(What::HostLoopback);
            }
            if text.contains('/') || text.parse::<IpAddr>().is_ok() {
                return text.parse().map_err(RuleError::Address).and_then(block);
            }
            Pattern::parse(text.as_bytes()).map(What::Name).map_err(RuleError::Name)
        }
    }
}

fn block(block: Cidr) -> Result<What, RuleError> {
    if block.is_single() && is_host_loopback(block.address()) {
        return Ok(What::HostLoopback);
    }
    match Class::of(block.address()) {
        // The sandbox has these addresses itself: nothing that goes there comes out.
        Class::Loopback => Err(RuleError::LoopbackAddress),
        _ => Ok(What::Cidr(block)),
    }
}

//! Addresses: what each is for, blocks of them, and one form for the ways to write them.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// What an address is for (IANA's registries of special-purpose addresses).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// A host of the internet.
    Public,
    /// No address yet, or this network: 0.0.0.0/8, `::`. Linux connects to itself there.
    Unspecified,
    /// The machine itself.
    Loopback,
    /// A local network.
    Private,
    /// Between a provider and its customers (100.64.0.0/10).
    Shared,
    /// What is at the same wire.
    LinkLocal,
    /// Where clouds hand out credentials of the machine.
    Metadata,
    /// Many at once.
    Multicast,
    /// For documentation, benchmarks, tunnels, or for nothing yet.
    Reserved,
}

impl Class {
    /// The class of an address, also of one written within another: IPv4 mapped into IPv6, by
    /// NAT64, by 6to4.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        special(address).map_or(Self::Public, |(class, _)| class)
    }

    /// With its article, for messages.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Public => "a public address",
            Self::Unspecified => "an address of no host",
            Self::Loopback => "a loopback address of this machine",
            Self::Private => "a private address",
            Self::Shared => "an address shared by a provider's customers",
            Self::LinkLocal => "a link-local address",
            Self::Metadata => "an address where clouds hand out credentials",
            Self::Multicast => "a multicast address",
            Self::Reserved => "a reserved address",
        }
    }
}

/// The one form of an address: an IPv4 address mapped into IPv6 is that IPv4 address, since the
/// kernel connects to it.
#[must_use]
pub fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Cidr {
    Cidr { address: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), prefix }
}

const fn v6(first: [u16; 4], last: [u16; 4], prefix: u8) -> Cidr {
    let ([a, b, c, d], [e, f, g, h]) = (first, last);
    Cidr { address: IpAddr::V6(Ipv6Addr::new(a, b, c, d, e, f, g, h)), prefix }
}

const NONE: [u16; 4] = [0; 4];

/// Special blocks; what lies within another stands before it.
const SPECIAL: &[(Cidr, Class)] = &[
    // Metadata services: AWS and most others, AWS for containers, Alibaba, Oracle, Azure.
    (v4(169, 254, 169, 254, 32), Class::Metadata),
    (v4(169, 254, 170, 2, 32), Class::Metadata),
    (v4(169, 254, 170, 23, 32), Class::Metadata),
    (v4(100, 100, 100, 200, 32), Class::Metadata),
    (v4(192, 0, 0, 192, 32), Class::Metadata),
    (v4(168, 63, 129, 16, 32), Class::Metadata),
    (v4(0, 0, 0, 0, 8), Class::Unspecified),
    (v4(127, 0, 0, 0, 8), Class::Loopback),
    (v4(10, 0, 0, 0, 8), Class::Private),
    (v4(172, 16, 0, 0, 12), Class::Private),
    (v4(192, 168, 0, 0, 16), Class::Private),
    (v4(100, 64, 0, 0, 10), Class::Shared),
    (v4(169, 254, 0, 0, 16), Class::LinkLocal),
    (v4(224, 0, 0, 0, 4), Class::Multicast),
    (v4(192, 0, 0, 0, 24), Class::Reserved),
    (v4(192, 0, 2, 0, 24), Class::Reserved),
    (v4(192, 88, 99, 0, 24), Class::Reserved),
    (v4(198, 18, 0, 0, 15), Class::Reserved),
    (v4(198, 51, 100, 0, 24), Class::Reserved),
    (v4(203, 0, 113, 0, 24), Class::Reserved),
    (v4(240, 0, 0, 0, 4), Class::Reserved),
    // The same for IPv6: AWS, AWS for containers, Google.
    (v6([0xfd00, 0xec2, 0, 0], [0, 0, 0, 0x254], 128), Class::Metadata),
    (v6([0xfd00, 0xec2, 0, 0], [0, 0, 0, 0x23], 128), Class::Metadata),
    (v6([0xfd20, 0xce, 0, 0], [0, 0, 0, 0x254], 128), Class::Metadata),
    (v6(NONE, NONE, 128), Class::Unspecified),
    (v6(NONE, [0, 0, 0, 1], 128), Class::Loopback),
    (v6([0xfc00, 0, 0, 0], NONE, 7), Class::Private),
    (v6([0xfec0, 0, 0, 0], NONE, 10), Class::Private),
    (v6([0xfe80, 0, 0, 0], NONE, 10), Class::LinkLocal),
    (v6([0xff00, 0, 0, 0], NONE, 8), Class::Multicast),
    // Teredo, ORCHID, benchmarks; documentation.
    (v6([0x2001, 0, 0, 0], NONE, 32), Class::Reserved),
    (v6([0x2001, 2, 0, 0], NONE, 48), Class::Reserved),
    (v6([0x2001, 0x10, 0, 0], NONE, 28), Class::Reserved),
    (v6([0x2001, 0x20, 0, 0], NONE, 28), Class::Reserved),
    (v6([0x2001, 0xdb8, 0, 0], NONE, 32), Class::Reserved),
    (v6([0x3fff, 0, 0, 0], NONE, 20), Class::Reserved),
];

/// Where IPv6 addresses hold an IPv4 address that they lead to: the block, at which bit, and the
/// class where that one is public.
const HOLDING: &[(Cidr, u8, Class)] = &[
    // NAT64 with the well-known prefix (RFC 6052): on some networks all of IPv4 is there.
    (v6([0x64, 0xff9b, 0, 0], NONE, 96), 96, Class::Public),
    // 6to4 (RFC 3056).
    (v6([0x2002, 0, 0, 0], NONE, 16), 16, Class::Public),
    // SIIT (RFC 2765), and "IPv4-compatible" (RFC 4291): both deprecated.
    (v6(NONE, [0xffff, 0, 0, 0], 96), 96, Class::Reserved),
    (v6(NONE, NONE, 96), 96, Class::Reserved),
];

/// The block of the internet's hosts of IPv6; all others that no table names are reserved.
const GLOBAL_V6: Cidr = v6([0x2000, 0, 0, 0], NONE, 3);
/// Interface identifiers of ISATAP (RFC 5214): an IPv4 address follows.
const ISATAP: [u32; 2] = [0x5efe, 0x0200_5efe];

/// The class of an address that is not simply a host of the internet, and the block within which a
/// rule has to lie to mean it.
#[must_use]
pub fn special(address: IpAddr) -> Option<(Class, Cidr)> {
    let address = canonical(address);
    if let Some((block, class)) = SPECIAL.iter().find(|(block, _)| block.contains(address)) {
        return Some((*class, *block));
    }
    let IpAddr::V6(v6) = address else { return None };
    if let Some((block, at, otherwise)) = HOLDING.iter().find(|(b, ..)| b.contains(address)) {
        let public = || (*otherwise != Class::Public).then_some((*otherwise, *block));
        return held(v6, *at).or_else(public);
    }
    if ISATAP.contains(&bits32(v6, 64)) {
        return held(v6, 96);
    }
    let rest = Cidr { address, prefix: 3 }.masked();
    (!GLOBAL_V6.contains(address)).then_some((Class::Reserved, rest))
}

/// 32 bits of an address, from this bit on.
fn bits32(address: Ipv6Addr, at: u8) -> u32 {
    ((address.to_bits() << at) >> 96) as u32
}

/// The class of the IPv4 address that lies at this bit, where it is special, with the block of the
/// whole address.
fn held(address: Ipv6Addr, at: u8) -> Option<(Class, Cidr)> {
    let (class, block) = special(Ipv4Addr::from_bits(bits32(address, at)).into())?;
    let prefix = at.saturating_add(block.prefix);
    Some((class, Cidr { address: address.into(), prefix }.masked()))
}

/// A block of addresses: those that begin with the same bits. Always canonical: no bit is set
/// after the prefix, and what is mapped into IPv6 is IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cidr {
    address: IpAddr,
    prefix: u8,
}

/// Why something is no block of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CidrError {
    /// Not an address in its usual form.
    Address,
    /// A zone after `%`: names of interfaces mean nothing outside.
    Zone,
    /// Not a number from 0 to 32 or 128.
    Prefix,
    /// Bits are set after the prefix; the block that was probably meant.
    Bits(Cidr),
}

impl fmt::Display for CidrError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address => f.write_str("not an address of four decimal numbers, or of IPv6"),
            Self::Zone => f.write_str("an address with a zone (`%`) cannot be named"),
            Self::Prefix => f.write_str("the prefix is no number from 0 to 32, or 128 for IPv6"),
            Self::Bits(block) => write!(f, "bits are set after the prefix; the block is {block}"),
        }
    }
}

impl std::error::Error for CidrError {}

impl Cidr {
    /// The block of one address.
    #[must_use]
    pub fn single(address: IpAddr) -> Self {
        let address = canonical(address);
        Self { address, prefix: width(address) }
    }

    /// The block of so many bits.
    ///
    /// # Errors
    /// The prefix is longer than the address, or bits are set after it.
    pub fn new(address: IpAddr, prefix: u8) -> Result<Self, CidrError> {
        if prefix > width(address) {
            return Err(CidrError::Prefix);
        }
        let short = canonical(address);
        let block = match prefix.checked_sub(96) {
            Some(rest) if short.is_ipv4() && address.is_ipv6() => {
                Self { address: short, prefix: rest }
            }
            _ => Self { address, prefix },
        };
        match block.masked() {
            masked if masked == block => Ok(block),
            masked => Err(CidrError::Bits(masked)),
        }
    }

    /// Whether the address, in whatever form, is one of these.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, canonical(address)) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (own.to_bits() ^ other.to_bits()).leading_zeros() >= u32::from(self.prefix)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                (own.to_bits() ^ other.to_bits()).leading_zeros() >= u32::from(self.prefix)
            }
            _ => false,
        }
    }

    /// Whether all of these lie in the other block.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        self.prefix >= other.prefix && other.contains(self.address)
    }

    /// Whether it is a single address.
    #[must_use]
    pub fn is_single(&self) -> bool {
        self.prefix == width(self.address)
    }

    /// The first address.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// How many bits are the same for all.
    #[must_use]
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    fn masked(self) -> Self {
        let address = match self.address {
            IpAddr::V4(own) => {
                let rest = u32::MAX.checked_shr(u32::from(self.prefix)).unwrap_or(0);
                Ipv4Addr::from_bits(own.to_bits() & !rest).into()
            }
            IpAddr::V6(own) => {
                let rest = u128::MAX.checked_shr(u32::from(self.prefix)).unwrap_or(0);
                Ipv6Addr::from_bits(own.to_bits() & !rest).into()
            }
        };
        Self { address, ..self }
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

impl FromStr for Cidr {
    type Err = CidrError;

    /// `ADDRESS` or `ADDRESS/BITS`, without brackets.
    fn from_str(text: &str) -> Result<Self, CidrError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        if address.contains('%') {
            return Err(CidrError::Zone);
        }
        let address = IpAddr::from_str(address).map_err(|_| CidrError::Address)?;
        let Some(prefix) = prefix else { return Ok(Self::single(address)) };
        let plain = prefix.len() <= 3 && prefix.bytes().all(|b| b.is_ascii_digit());
        let plain = plain && (prefix == "0" || !prefix.starts_with('0'));
        let number = if plain { prefix.parse().ok() } else { None };
        Self::new(address, number.ok_or(CidrError::Prefix)?)
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.is_single() {
            true => write!(f, "{}", self.address),
            false => write!(f, "{}/{}", self.address, self.prefix),
        }
    }
}

impl TryFrom<String> for Cidr {
    type Error = CidrError;
    fn try_from(text: String) -> Result<Self, CidrError> {
        text.parse()
    }
}

impl From<Cidr> for String {
    fn from(block: Cidr) -> Self {
        block.to_string()
    }
}

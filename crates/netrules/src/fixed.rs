//! Addresses and ports that every sandbox with a network by rules has inside.
//!
//! They are of blocks that no network uses (198.18.0.0/15, RFC 2544; a unique local prefix, RFC
//! 4193), so that none of them hides a host that could be wanted.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The resolver's IPv4 address.
pub const RESOLVER_V4: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
/// The resolver's IPv6 address.
pub const RESOLVER_V6: Ipv6Addr = Ipv6Addr::new(0xfd73, 0x7761, 0x7468, 0x6500, 0, 0, 0, 1);
/// The resolver's port, by UDP and TCP.
pub const RESOLVER_PORT: u16 = 53;
/// The address of the explicit proxy.
pub const PROXY_V4: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);
/// The port of the explicit proxy that speaks HTTP.
pub const HTTP_PROXY_PORT: u16 = 3128;
/// The port of the explicit proxy that speaks SOCKS5.
pub const SOCKS_PROXY_PORT: u16 = 1080;

/// How many names have an address at once: those of 198.18.1.0 to 198.19.255.255.
pub const POOL_SIZE: u32 = (1 << 17) - POOL_START;

/// What the host bits of both families begin with; what is below is not given to names.
const POOL_START: u32 = 256;
const POOL_BASE_V4: u32 = 0xc612_0000;
const POOL_BASE_V6: u128 = 0xfd73_7761_7468_6500 << 64;

/// The name of the sandbox inside.
pub const HOST_NAME: &str = "sandbox";

/// `/etc/resolv.conf`.
pub const RESOLV_CONF: &str = "nameserver 198.18.0.1\n";
/// `/etc/hosts`.
pub const HOSTS: &str =
    "127.0.0.1 localhost sandbox\n::1 localhost ip6-localhost ip6-loopback sandbox\n";
/// The line of `/etc/nsswitch.conf` about hosts.
pub const NSSWITCH_HOSTS: &str = "files dns";

/// The two addresses of the pool's entry of this number, counted from 0; none from [`POOL_SIZE`] on.
#[must_use]
pub fn pool_addresses(index: u32) -> Option<(Ipv4Addr, Ipv6Addr)> {
    let host = POOL_START + (index < POOL_SIZE).then_some(index)?;
    let v4 = Ipv4Addr::from_bits(POOL_BASE_V4 | host);
    let v6 = Ipv6Addr::from_bits(POOL_BASE_V6 | u128::from(host));
    Some((v4, v6))
}

/// The number of the pool's entry that has this address.
#[must_use]
pub fn pool_index(address: IpAddr) -> Option<u32> {
    let host = match address {
        IpAddr::V4(v4) => v4.to_bits().wrapping_sub(POOL_BASE_V4),
        IpAddr::V6(v6) => u32::try_from(v6.to_bits().wrapping_sub(POOL_BASE_V6)).ok()?,
    };
    host.checked_sub(POOL_START).filter(|index| *index < POOL_SIZE)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_pool_begins_and_ends_where_it_says() {
        let (first, sixth) = pool_addresses(0).unwrap();
        assert_eq!(first, Ipv4Addr::new(198, 18, 1, 0));
        assert_eq!(sixth.to_string(), "fd73:7761:7468:6500::100");
        let (last, _) = pool_addresses(POOL_SIZE - 1).unwrap();
        assert_eq!(last, Ipv4Addr::new(198, 19, 255, 255));
        assert_eq!(pool_addresses(POOL_SIZE), None);
    }

    #[test]
    fn an_address_leads_back_to_its_entry() {
        for index in [0, 1, 255, 256, 65_535, 65_536, POOL_SIZE - 1] {
            let (v4, v6) = pool_addresses(index).unwrap();
            assert_eq!(pool_index(v4.into()), Some(index));
            assert_eq!(pool_index(v6.into()), Some(index));
        }
    }

    #[test]
    fn other_addresses_are_no_entries() {
        let others = [
            "198.18.0.1",
            "198.18.0.2",
            "198.18.0.255",
            "198.17.255.255",
            "198.20.0.0",
            "0.0.0.0",
            "255.255.255.255",
            "fd73:7761:7468:6500::1",
            "fd73:7761:7468:6500::2:0",
            "fd73:7761:7468:6501::100",
            "fd73:7761:7468:64ff::100",
            "::100",
            "::",
        ];
        for text in others {
            assert_eq!(pool_index(text.parse().unwrap()), None, "{text}");
        }
    }

    #[test]
    fn the_resolver_is_the_one_of_the_file() {
        assert_eq!(RESOLV_CONF.trim(), format!("nameserver {RESOLVER_V4}"));
    }
}

//! Addresses that stand for names: what a program is told that a name leads to, so that a connection
//! says by its destination which name it is for.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use swathe_netrules::{Name, fixed};

/// The names that have an address. An address is never given to another name: programs remember
/// what they were told for as long as they like.
#[derive(Debug, Default)]
pub struct Pool {
    numbers: HashMap<Name, u32>,
    names: Vec<Name>,
}

impl Pool {
    /// Its two addresses, which it keeps; none when there are as many names as addresses.
    pub fn addresses(&mut self, name: &Name) -> Option<(Ipv4Addr, Ipv6Addr)> {
        if let Some(number) = self.numbers.get(name) {
            return fixed::pool_addresses(*number);
        }
        let number = u32::try_from(self.names.len()).ok()?;
        let addresses = fixed::pool_addresses(number)?;
        self.names.push(name.clone());
        self.numbers.insert(name.clone(), number);
        Some(addresses)
    }

    /// Which name this address stands for; none: for no name.
    #[must_use]
    pub fn name(&self, address: IpAddr) -> Option<&Name> {
        let number = fixed::pool_index(address)?;
        self.names.get(usize::try_from(number).ok()?)
    }
}

/// Whether this is an address of the sandbox's own making, whether it stands for a name or not.
#[must_use]
pub fn is_own(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.octets()[0] == 198 && v4.octets()[1] & 0xfe == 18,
        IpAddr::V6(v6) => v6.to_bits() >> 64 == fixed::RESOLVER_V6.to_bits() >> 64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse(text.as_bytes()).expect("a name")
    }

    #[test]
    fn a_name_keeps_its_addresses_and_no_other_gets_them() {
        let mut pool = Pool::default();
        let first = pool.addresses(&name("a.example")).expect("room");
        let (v4, v6) = pool.addresses(&name("b.example")).expect("room");
        assert_ne!(first.0, v4);
        assert_eq!(pool.addresses(&name("a.example")), Some(first));
        for address in [IpAddr::from(v4), IpAddr::from(v6)] {
            assert_eq!(pool.name(address), Some(&name("b.example")), "{address}");
        }
    }

    #[test]
    fn an_address_that_was_not_given_out_is_no_name() {
        let mut pool = Pool::default();
        pool.addresses(&name("a.example"));
        let (next, _) = fixed::pool_addresses(1).expect("room");
        assert_eq!(pool.name(next.into()), None);
        assert_eq!(pool.name(fixed::RESOLVER_V4.into()), None);
    }
}

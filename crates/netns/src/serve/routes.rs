//! An address of the sandbox's own, and routes that make every address local (rtnetlink(7)).

use super::netlink::{Batch, CREATE};
use crate::protocol::{Refusal, Step, at};
use std::net::IpAddr;
use swathe_netrules::fixed::{RESOLVER_V4, RESOLVER_V6};

const NEW_ADDRESS: u16 = 20;
const NEW_ROUTE: u16 = 24;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
/// The interface number of `lo` in every network namespace.
const LOOPBACK: u32 = 1;

/// Makes them.
///
/// The address has global scope, so that the C library takes the sandbox for one with a network in
/// both families (`AI_ADDRCONFIG`). It is the source of what the routes carry: without it a
/// connection would come from the address that it goes to, and could meet itself.
pub fn make(ipv6: bool) -> Result<(), Refusal> {
    let own = [IpAddr::V4(RESOLVER_V4), IpAddr::V6(RESOLVER_V6)];
    let own = own.get(..if ipv6 { 2 } else { 1 }).unwrap_or_default();
    let mut addresses = Batch::default();
    own.iter().for_each(|address| add_address(&mut addresses, *address));
    addresses.send(None).map_err(at(Step::Address))?;
    let mut routes = Batch::default();
    own.iter().for_each(|address| add_route(&mut routes, *address));
    routes.send(None).map_err(at(Step::Route))
}

fn octets(address: IpAddr) -> (u8, Vec<u8>) {
    match address {
        IpAddr::V4(v4) => (AF_INET, v4.octets().to_vec()),
        IpAddr::V6(v6) => (AF_INET6, v6.octets().to_vec()),
    }
}

fn add_address(batch: &mut Batch, address: IpAddr) {
    const IFA_ADDRESS: u16 = 1;
    const IFA_LOCAL: u16 = 2;
    const NO_DUPLICATE_DETECTION: u8 = 2;
    const UNIVERSE: u8 = 0;
    let (family, octets) = octets(address);
    let prefix = if family == AF_INET { 32 } else { 128 };
    batch.add(NEW_ADDRESS, CREATE, |body| {
        let head = [family, prefix, NO_DUPLICATE_DETECTION, UNIVERSE];
        body.plain(&[head, LOOPBACK.to_ne_bytes()].concat());
        body.attribute(IFA_LOCAL, &octets);
        body.attribute(IFA_ADDRESS, &octets);
    });
}

fn add_route(batch: &mut Batch, source: IpAddr) {
    const RTA_OIF: u16 = 4;
    const RTA_PREFSRC: u16 = 7;
    const TABLE_LOCAL: u8 = 255;
    const PROTOCOL_STATIC: u8 = 4;
    const SCOPE_HOST: u8 = 254;
    const TYPE_LOCAL: u8 = 2;
    let (family, octets) = octets(source);
    batch.add(NEW_ROUTE, CREATE, |body| {
        let any = [family, 0, 0, 0];
        body.plain(&[any, [TABLE_LOCAL, PROTOCOL_STATIC, SCOPE_HOST, TYPE_LOCAL], [0; 4]].concat());
        body.attribute(RTA_OIF, &LOOPBACK.to_ne_bytes());
        body.attribute(RTA_PREFSRC, &octets);
    });
}

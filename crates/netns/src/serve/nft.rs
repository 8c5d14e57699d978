//! Rules that bring all TCP to a few listeners, by nftables, without the program `nft`.
//!
//! ```text
//! table inet swathe {
//!     chain output {
//!         type nat hook output priority dstnat;
//!         ip daddr 127.0.0.0/8 accept
//!         ip6 daddr ::1 accept
//!         tcp dport 53 redirect to :DNS
//!         ip daddr 198.18.0.2 tcp dport 3128 redirect to :HTTP
//!         ip daddr 198.18.0.2 tcp dport 1080 redirect to :SOCKS
//!         ip daddr 198.18.0.0/24 accept
//!         ip6 daddr fd73:7761:7468:6500::/120 accept
//!         meta l4proto tcp redirect to :ALL
//!     }
//! }
//! ```
//!
//! What is accepted is the sandbox's own: loopback, and addresses below those that names get.

use super::netlink::{APPEND, Batch, Body, CREATE, EXCLUSIVE};
use rustix::io::Errno;
use rustix::net::{Ipv6Addr, netlink};
use swathe_netrules::fixed::{
    HTTP_PROXY_PORT, PROXY_V4, RESOLVER_PORT, RESOLVER_V4, RESOLVER_V6, SOCKS_PROXY_PORT,
};

const SUBSYSTEM: u16 = 10;
const NEW_TABLE: u16 = SUBSYSTEM << 8;
const NEW_CHAIN: u16 = (SUBSYSTEM << 8) | 3;
const NEW_RULE: u16 = (SUBSYSTEM << 8) | 6;
const BATCH_BEGIN: u16 = 16;
const BATCH_END: u16 = 17;

const FAMILY_NONE: u8 = 0;
const FAMILY_INET: u8 = 1;
const FAMILY_IPV4: u8 = 2;
const FAMILY_IPV6: u8 = 10;
const TCP: u8 = 6;

const TABLE: &str = "swathe";
const CHAIN: &str = "output";

/// Register 1.
const REGISTER: u32 = 1;
/// Register 0, which holds the verdict.
const VERDICT: u32 = 0;

/// Where the listeners are: ports at 127.0.0.1, and but for the proxies at ::1.
#[derive(Debug, Clone, Copy)]
pub struct Ports {
    /// For all that has no other.
    pub all: u16,
    /// For the resolver.
    pub dns: u16,
    /// For the HTTP proxy.
    pub http_proxy: u16,
    /// For the SOCKS proxy.
    pub socks: u16,
}

/// Loads it.
pub fn redirect_tcp(ports: Ports) -> Result<(), Errno> {
    let mut batch = Batch::default();
    batch.add_quietly(BATCH_BEGIN, |body| head(body, FAMILY_NONE, SUBSYSTEM));
    batch.add(NEW_TABLE, CREATE, |body| {
        head(body, FAMILY_INET, 0);
        body.text(1, TABLE);
    });
    batch.add(NEW_CHAIN, CREATE | EXCLUSIVE, chain);
    let own_v4 = RESOLVER_V4.octets();
    let own_v6 = RESOLVER_V6.octets();
    let to_proxy = |rule: &mut Body<'_>, port, listener| {
        to_ipv4(rule, &PROXY_V4.octets());
        to_port(rule, port);
        redirect(rule, listener);
    };
    let rules: [&dyn Fn(&mut Body<'_>); 8] = [
        &|rule| accept(to_ipv4(rule, &[127])),
        &|rule| accept(to_ipv6(rule, &Ipv6Addr::LOCALHOST.octets())),
        &|rule| redirect(to_port(rule, RESOLVER_PORT), ports.dns),
        &|rule| to_proxy(rule, HTTP_PROXY_PORT, ports.http_proxy),
        &|rule| to_proxy(rule, SOCKS_PROXY_PORT, ports.socks),
        &|rule| accept(to_ipv4(rule, &own_v4[..3])),
        &|rule| accept(to_ipv6(rule, &own_v6[..15])),
        &|rule| redirect(tcp(rule), ports.all),
    ];
    for rule in rules {
        batch.add(NEW_RULE, CREATE | APPEND, |body| {
            head(body, FAMILY_INET, 0);
            body.text(1, TABLE);
            body.text(2, CHAIN);
            body.nest(4, rule);
        });
    }
    batch.add_quietly(BATCH_END, |body| head(body, FAMILY_NONE, SUBSYSTEM));
    batch.send(Some(netlink::NETFILTER))
}

/// `struct nfgenmsg`: a family, the version 0, and a number in network byte order.
fn head(body: &mut Body<'_>, family: u8, resource: u16) {
    let [high, low] = resource.to_be_bytes();
    body.plain(&[family, 0, high, low]);
}

fn chain(body: &mut Body<'_>) {
    const HOOK_OUTPUT: u32 = 3;
    /// `dstnat` of the hook output.
    const PRIORITY: i32 = -100;
    head(body, FAMILY_INET, 0);
    body.text(1, TABLE);
    body.text(3, CHAIN);
    body.nest(4, |hook| {
        hook.number(1, HOOK_OUTPUT);
        hook.attribute(2, &PRIORITY.to_be_bytes());
    });
    body.text(7, "nat");
}

/// `ip daddr PREFIX`.
fn to_ipv4<'a, 'b>(rule: &'a mut Body<'b>, prefix: &[u8]) -> &'a mut Body<'b> {
    const DESTINATION: u32 = 16;
    meta(rule, META_FAMILY, FAMILY_IPV4);
    payload(rule, NETWORK_HEADER, DESTINATION, prefix)
}

/// `ip6 daddr PREFIX`.
fn to_ipv6<'a, 'b>(rule: &'a mut Body<'b>, prefix: &[u8]) -> &'a mut Body<'b> {
    const DESTINATION: u32 = 24;
    meta(rule, META_FAMILY, FAMILY_IPV6);
    payload(rule, NETWORK_HEADER, DESTINATION, prefix)
}

/// `meta l4proto tcp`.
fn tcp<'a, 'b>(rule: &'a mut Body<'b>) -> &'a mut Body<'b> {
    meta(rule, META_PROTOCOL, TCP)
}

/// `tcp dport PORT`.
fn to_port<'a, 'b>(rule: &'a mut Body<'b>, port: u16) -> &'a mut Body<'b> {
    const DESTINATION: u32 = 2;
    payload(tcp(rule), TRANSPORT_HEADER, DESTINATION, &port.to_be_bytes())
}

/// `redirect to :PORT`.
fn redirect(rule: &mut Body<'_>, port: u16) {
    expression(rule, "immediate", |data| {
        data.number(1, REGISTER);
        data.nest(2, |value| value.attribute(1, &port.to_be_bytes()));
    });
    expression(rule, "redir", |data| {
        data.number(1, REGISTER);
        data.number(2, REGISTER);
    });
}

/// `NFT_META_NFPROTO`.
const META_FAMILY: u32 = 15;
/// `NFT_META_L4PROTO`.
const META_PROTOCOL: u32 = 16;

/// The rule goes on only where what is known of the packet has this value.
fn meta<'a, 'b>(rule: &'a mut Body<'b>, key: u32, value: u8) -> &'a mut Body<'b> {
    expression(rule, "meta", |data| {
        data.number(1, REGISTER);
        data.number(2, key);
    });
    equal(rule, &[value])
}

const NETWORK_HEADER: u32 = 1;
const TRANSPORT_HEADER: u32 = 2;

/// The rule goes on only where the bytes at this place of a header are these.
fn payload<'a, 'b>(
    rule: &'a mut Body<'b>,
    base: u32,
    offset: u32,
    value: &[u8],
) -> &'a mut Body<'b> {
    expression(rule, "payload", |data| {
        data.number(1, REGISTER);
        data.number(2, base);
        data.number(3, offset);
        data.number(4, u32::try_from(value.len()).unwrap_or(u32::MAX));
    });
    equal(rule, value)
}

fn equal<'a, 'b>(rule: &'a mut Body<'b>, value: &[u8]) -> &'a mut Body<'b> {
    const EQUAL: u32 = 0;
    expression(rule, "cmp", |data| {
        data.number(1, REGISTER);
        data.number(2, EQUAL);
        data.nest(3, |data| data.attribute(1, value));
    });
    rule
}

fn accept(rule: &mut Body<'_>) {
    const ACCEPT: u32 = 1;
    expression(rule, "immediate", |data| {
        data.number(1, VERDICT);
        data.nest(2, |data| data.nest(2, |verdict| verdict.number(1, ACCEPT)));
    });
}

fn expression(rule: &mut Body<'_>, name: &str, fill: impl FnOnce(&mut Body<'_>)) {
    rule.nest(1, |element| {
        element.text(1, name);
        element.nest(2, fill);
    });
}

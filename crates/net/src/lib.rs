//! The network of a sandbox by host name: a resolver, relays and proxies that hold to the rules.
#![forbid(unsafe_code)]

pub mod connect;
pub mod dns;
pub mod sniff;
pub mod socks;
pub mod target;

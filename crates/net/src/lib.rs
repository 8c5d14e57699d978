//! The network of a sandbox by host name: a resolver, relays and proxies that hold to the rules.
#![forbid(unsafe_code)]

//! What the helper for the network is told of the host: its servers of names, the names that it
//! knows by itself, and its proxy.

use crate::out::Failure;
use std::collections::BTreeMap;
use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs as _};
use swathe_net::protocol::Upstream;
use swathe_netrules::Name;

/// The most that is read of a file.
const MAX_FILE: u64 = 1 << 20;
/// Where the host's servers of names are told.
pub const RESOLV_CONF: &str = "/etc/resolv.conf";
/// Servers that are asked, as in resolv.conf(5).
const MAX_SERVERS: usize = 3;
/// Names of hosts(5) that are taken over.
const MAX_HOSTS: usize = 10_000;

/// The servers of names in resolv.conf(5). Without any, the host's own is asked.
#[must_use]
pub fn servers() -> Vec<SocketAddr> {
    let found = parse_servers(&read(RESOLV_CONF));
    if found.is_empty() { vec![SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 53)] } else { found }
}

fn parse_servers(text: &str) -> Vec<SocketAddr> {
    let server = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let address = words.next().filter(|word| *word == "nameserver").and_then(|_| words.next());
        // The zone of a link-local address is a number or a name, which only the standard library's
        // own resolver understands.
        let address = address.and_then(|text| (text, 53).to_socket_addrs().ok());
        address.and_then(|mut all| all.next())
    };
    text.lines().filter_map(server).take(MAX_SERVERS).collect()
}

/// The names of hosts(5).
#[must_use]
pub fn hosts() -> Vec<(Name, Vec<IpAddr>)> {
    parse_hosts(&read("/etc/hosts"))
}

fn parse_hosts(text: &str) -> Vec<(Name, Vec<IpAddr>)> {
    let mut found: BTreeMap<String, (Name, Vec<IpAddr>)> = BTreeMap::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_ascii_whitespace();
        let Some(address) = words.next().and_then(|word| word.parse::<IpAddr>().ok()) else {
            continue;
        };
        // `localhost` is no name of the rules, and this machine's own name leads to itself.
        for name in words.filter_map(|word| Name::parse(word.as_bytes()).ok()) {
            if found.len() < MAX_HOSTS || found.contains_key(name.as_str()) {
                let entry = found.entry(name.as_str().to_owned());
                entry.or_insert_with(|| (name, Vec::new())).1.push(address);
            }
        }
    }
    found.into_values().collect()
}

/// What can be read of a file; it need not be there.
pub fn read(path: &str) -> String {
    let mut bytes = Vec::new();
    if let Ok(file) = std::fs::File::open(path) {
        // Half of it is better than none.
        let _ = file.take(MAX_FILE).read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The proxy behind `--net-proxy`: `http://[NAME:PASSWORD@]HOST:PORT` or `socks5://…`.
///
/// # Errors
/// It is no such address, or the host is not known.
pub fn upstream(text: &str) -> Result<Upstream, Failure> {
    let wrong = |why: &str| {
        Failure::new(format!("--net-proxy: {why}"))
            .hint("http://HOST:PORT or socks5://HOST:PORT, with NAME:PASSWORD@ before the host")
    };
    let text = text.trim_end_matches('/');
    let (socks, rest) = match text.split_once("://") {
        Some(("http", rest)) => (false, rest),
        Some(("socks5" | "socks5h", rest)) => (true, rest),
        _ => return Err(wrong("it begins neither with http:// nor with socks5://")),
    };
    let (login, host) = match rest.rsplit_once('@') {
        Some((login, host)) => {
            let plain = decoded(login);
            let plain = plain.ok_or_else(|| wrong("a % before the host begins no two digits"))?;
            (Some(plain), host)
        }
        None => (None, rest),
    };
    let mut found =
        host.to_socket_addrs().map_err(|e| wrong(&format!("{}: {e}", crate::out::shown(host))))?;
    let address = found.next().ok_or_else(|| wrong("the host has no address"))?;
    Ok(Upstream { address, socks, login })
}

/// A part of a URL without its encoding: `%40` is a `@`, as every other program takes it.
fn decoded(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        let plain = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        bytes.push(u8::from_str_radix(digits, 16).ok().filter(|_| plain)?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_those_of_the_file() {
        let text = "# a comment\nsearch example.com\nnameserver 10.0.0.1\nnameserver\tfe80::1%1\n\
                    nameserver nonsense with words\nnameserver ::1\nnameserver 10.0.0.2\n";
        let found = parse_servers(text);
        assert_eq!(found.len(), 3, "{found:?}");
        assert_eq!(found[0], "10.0.0.1:53".parse().expect("an address"));
        assert_eq!(found[2], "[::1]:53".parse().expect("an address"));
    }

    #[test]
    fn hosts_are_those_of_the_file() {
        let text = "127.0.0.1 localhost box\n# 1.1.1.1 no\n10.0.0.5 DB.internal. db # text\n\
                    ::1 box\nnonsense\n";
        let found = parse_hosts(text);
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["box", "db", "db.internal"]);
        assert_eq!(found[0].1.len(), 2);
    }

    #[test]
    fn a_proxy_has_a_kind_a_host_and_a_port() {
        let found = upstream("http://name:pass@127.0.0.1:3128/").ok();
        let found = found.expect("a proxy");
        assert_eq!(found.login.as_deref(), Some("name:pass"));
        assert!(!found.socks);
        let found = upstream("http://me:p%40ss%3a%C3%BC@127.0.0.1:3128").ok();
        assert_eq!(found.and_then(|found| found.login).as_deref(), Some("me:p@ss:\u{fc}"));
        assert!(upstream("socks5://127.0.0.1:1080").is_ok_and(|proxy| proxy.socks));
        for text in [
            "",
            "ftp://127.0.0.1:1",
            "http://127.0.0.1",
            "http://",
            "http://me:100%@127.0.0.1:1",
            "http://me:%+1@127.0.0.1:1",
            "http://me:%ff@127.0.0.1:1",
        ] {
            assert!(upstream(text).is_err(), "{text}");
        }
    }
}

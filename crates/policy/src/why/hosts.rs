//! What a program was kept from on the network, and the rules that would allow it.

use super::advise::whole_run;
use super::{Finding, Fix, Run};
use crate::model::Intent;
use std::net::{IpAddr, SocketAddr};
use swathe_netrules::{Form, Rule};
use swathe_record::bytes::Bytes;
use swathe_record::event::{Action, Event, Layer, Outcome};

/// Hosts of one command line that are named.
const MAX_HOSTS: usize = 4;
/// Ports by the schemes of addresses.
const SCHEMES: [(&str, u16); 11] = [
    ("https", 443),
    ("http", 80),
    ("wss", 443),
    ("ws", 80),
    ("ssh", 22),
    ("git+ssh", 22),
    ("git", 9418),
    ("ftp", 21),
    ("postgres", 5432),
    ("postgresql", 5432),
    ("redis", 6379),
];
const DNS: u16 = 53;
const LOOPBACK: Fix = Fix::Intent(Intent::NetLoopback);
/// What finds the names out.
const LEARN: Fix = Fix::Command("swathe learn -- CMD");

/// What would allow it.
pub fn fixes(run: &Run, event: &Event) -> Vec<Fix> {
    if let Some(rule) = &event.rule {
        return rule_of(rule).into_iter().collect();
    }
    let text = event.object.to_string();
    let address = text.split_once(':').and_then(|(kind, rest)| {
        let address: SocketAddr = rest.parse().ok()?;
        Some((kind == "udp", address))
    });
    match address {
        // The servers of names are asked outside, and only about hosts that are granted.
        Some((_, address)) if address.port() == DNS => of_command(run),
        Some((udp, address)) if address.ip().is_loopback() => {
            // A server of its own, or the host's.
            let by = if udp { "/udp" } else { "" };
            let host = rule_of(&format!("localhost:{}{by}", address.port()));
            std::iter::once(LOOPBACK).chain(host).collect()
        }
        Some((udp, address)) => {
            let host = match address.ip() {
                IpAddr::V4(v4) => v4.to_string(),
                IpAddr::V6(v6) => format!("[{v6}]"),
            };
            let by = if udp { "/udp" } else { "" };
            rule_of(&format!("{host}:{}{by}", address.port())).into_iter().collect()
        }
        None => of_command(run),
    }
}

/// An address as people write it.
pub fn shown(object: &Bytes) -> String {
    let text = object.to_string();
    text.strip_prefix("tcp:").map_or_else(|| text.clone(), str::to_owned)
}

/// A program without a network looked a name up: it fails before anything is sent, and all that is
/// to be seen is that it read the list of hosts.
pub fn names(run: &Run, events: &[Event]) -> Option<Finding> {
    let looked = |event: &&Event| {
        event.action == Action::Read
            && event.outcome == Outcome::Allowed
            && event.object.0 == b"/etc/hosts"
    };
    let failed = run.offline && run.status.is_some_and(|status| status != 0);
    let asked = events.iter().rev().find(looked).filter(|_| failed)?;
    let purpose = "resolve a host name";
    let cause = "names of hosts lead nowhere: the sandbox has no network".to_owned();
    // Who then connects to the loopback interface has looked `localhost` up.
    let local = |event: &Event| {
        let address = address_of(event, Action::Connect).filter(|_| event.program == asked.program);
        address.is_some_and(|address| address.ip().is_loopback() && address.port() > DNS)
    };
    let weight = if events.iter().any(local) { 40 } else { 65 };
    let found = whole_run(Layer::Network, purpose, cause, of_command(run), None, weight);
    let Event { pid, time, program, .. } = asked.clone();
    Some(Finding { action: Action::Connect, program, pid, time, ..found })
}

/// Where a call leads that went on.
fn address_of(event: &Event, action: Action) -> Option<SocketAddr> {
    // With another address in it, somebody has passed it on.
    let own = event.action == action && event.outcome == Outcome::Allowed && event.to.is_none();
    let (_, rest) = own.then(|| std::str::from_utf8(&event.object.0).ok())??.split_once(':')?;
    rest.parse::<SocketAddr>().ok()
}

/// A service of the machine that a program looks for on its loopback interface, which is one of the
/// sandbox's own: nobody refuses anything, there is just nobody.
pub fn loopback(run: &Run, events: &[Event]) -> Vec<Finding> {
    let failed = !run.online && run.status.is_some_and(|status| status != 0);
    // Port 0 is one that the kernel chooses.
    let bound: Vec<u16> =
        events.iter().filter_map(|e| address_of(e, Action::Bind)).map(|a| a.port()).collect();
    let listens = |port| bound.contains(&port) || bound.contains(&0);
    let mut found: Vec<Finding> = Vec::new();
    for event in events.iter().rev().filter(|_| failed) {
        let Some(address) = address_of(event, Action::Connect) else { continue };
        let nobody = address.ip().is_loopback() && address.port() > DNS && !listens(address.port());
        let fixes =
            fixes(run, event).into_iter().filter(|fix| *fix != LOOPBACK).collect::<Vec<_>>();
        if !nobody || fixes.is_empty() || found.iter().any(|one| one.fixes == fixes) {
            continue;
        }
        let cause =
            format!("nothing of the run listens at {address}, and the machine's is out of reach",);
        let purpose = super::purpose::address(&event.object.to_string());
        let one = whole_run(Layer::Network, &purpose, cause, fixes, None, 62);
        let Event { action, object, pid, time, program, .. } = event.clone();
        found.push(Finding { action, object, program, pid, time, ..one });
    }
    found
}

/// The hosts that the command line names; without any, what finds them out.
fn of_command(run: &Run) -> Vec<Fix> {
    let mut found: Vec<Fix> = Vec::new();
    let program = run.command.first().map(ToString::to_string).unwrap_or_default();
    let ssh = matches!(program.rsplit('/').next(), Some("ssh" | "sftp" | "ssh-copy-id"));
    for word in &run.command {
        let word = word.to_string();
        let host = named(&word).or_else(|| ssh.then(|| of_user(&word)).flatten());
        let rule = host.and_then(|text| rule_of(&text));
        if let Some(rule) = rule.filter(|rule| !found.contains(rule) && found.len() < MAX_HOSTS) {
            found.push(rule);
        }
    }
    if found.is_empty() { vec![LEARN] } else { found }
}

/// The host and port of a word: an address such as `https://host/path`, or `user@host:path`.
fn named(word: &str) -> Option<String> {
    let Some((scheme, rest)) = word.split_once("://") else {
        let (_, rest) = word.split_once('@')?;
        let (host, _) = rest.split_once(':')?;
        return Some(format!("{host}:22"));
    };
    let (_, port) = SCHEMES.iter().find(|(name, _)| scheme.ends_with(name))?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    Some(if has_port { host.to_owned() } else { format!("{host}:{port}") })
}

/// The host of `user@host`, a word of ssh(1).
fn of_user(word: &str) -> Option<String> {
    let (_, host) = word.split_once('@').filter(|(user, _)| !user.starts_with('-'))?;
    Some(format!("{host}:22"))
}

fn rule_of(text: &str) -> Option<Fix> {
    Rule::parse(text, Form::Allow).ok().map(|rule| Fix::Intent(Intent::NetReach(rule)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_words() {
        for (word, host) in [
            ("https://github.com/o/r", Some("github.com:443")),
            ("https://me:secret@example.org:8443?x", Some("example.org:8443")),
            ("git@github.com:o/r.git", Some("github.com:22")),
            ("--url=http://[2001:db8::1]:81/", Some("[2001:db8::1]:81")),
            ("postgres://db.example/x", Some("db.example:5432")),
            ("foo://example.org", None),
            ("me@example.org", None),
            ("/etc/passwd", None),
        ] {
            assert_eq!(named(word).as_deref(), host, "{word}");
        }
        assert_eq!(of_user("git@github.com").as_deref(), Some("github.com:22"));
        assert_eq!(of_user("-oProxyCommand=a@b"), None);
    }
}

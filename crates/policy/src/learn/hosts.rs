//! Hosts that a run reached, by their names: one line for each, with its ports.

use super::services::listened;
use super::touch::{Touch, Touched, extend, finish};
use super::{Class, Evidence, Learned, Line, Need, Place, Wanted};
use crate::model::Intent;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use swathe_netrules::{Form, Rule};
use swathe_record::bytes::Bytes;
use swathe_record::event::Action;

/// The port that a name stands for that was only looked up.
const HTTPS: u16 = 443;
/// Where the resolver of a program without a network asks in vain.
const DNS: u16 = 53;

/// A host, and whether by UDP. `localhost` is the loopback interface of the machine.
type Host = (String, bool);

/// What was done with a host.
#[derive(Default)]
struct Seen {
    ports: BTreeSet<u16>,
    evidence: Evidence,
}

/// Adds lines for them.
pub fn add(touched: &Touched, place: &Place<'_>, learned: &mut Learned) {
    let own = listened(touched);
    let mut needed: BTreeMap<Host, Seen> = BTreeMap::new();
    let mut tolerated: BTreeMap<Host, Seen> = BTreeMap::new();
    let mut looked_up = Vec::new();
    for (object, touch) in &touched.reached {
        match parse(object) {
            Some((host, None)) => looked_up.push((host, object, touch)),
            Some((host, Some(port))) if touch.did(&[Action::Connect]) => {
                match answers(&host, port, &own, place) {
                    Some(true) => note(&mut needed, host, port, object, touch),
                    Some(false) => note(&mut tolerated, host, port, object, touch),
                    None => {}
                }
            }
            _ => {}
        }
    }
    for (host, object, touch) in looked_up {
        if !needed.keys().any(|(name, _)| *name == host.0) {
            note(&mut needed, host, HTTPS, object, touch);
        }
    }
    for (object, touch) in touched.unreached.iter().filter(|(_, t)| t.did(&[Action::Connect])) {
        let rules = touch.rules.iter().filter_map(|text| split(text));
        let object_itself = parse(object).and_then(|(host, port)| Some((host, port?)));
        let denied: Vec<(Host, u16)> = match rules.collect::<Vec<_>>() {
            rules if rules.is_empty() => object_itself.into_iter().collect(),
            rules => rules,
        };
        for (host, port) in denied {
            if host.0 != LOCALHOST || !own.contains(&port) {
                note(&mut tolerated, host, port, object, touch);
            }
        }
    }
    lines(needed, Class::Needed, learned);
    lines(tolerated, Class::Tolerated, learned);
}

const LOCALHOST: &str = "localhost";

fn note(to: &mut BTreeMap<Host, Seen>, host: Host, port: u16, object: &Bytes, touch: &Touch) {
    let seen = to.entry(host).or_default();
    seen.ports.insert(port);
    extend(&mut seen.evidence, object, touch);
}

fn lines(hosts: BTreeMap<Host, Seen>, class: Class, learned: &mut Learned) {
    for ((host, udp), Seen { ports, mut evidence }) in hosts {
        let ports: Vec<String> = ports.iter().map(u16::to_string).collect();
        let by = if udp { "/udp" } else { "" };
        let text = format!("{host}:{}{by}", ports.join(","));
        // More ranges of ports than a rule may have are no list of single ones any more.
        let rule = Rule::parse(&text, Form::Allow)
            .or_else(|_| Rule::parse(&format!("{host}:1-65535{by}"), Form::Allow));
        let Ok(rule) = rule else { continue };
        finish(&mut evidence);
        let danger = crate::network::danger(&rule).map(|why| format!("careful: {why}"));
        let intent = Intent::NetReach(rule);
        let only = evidence.first.0.starts_with(b"dns:") && class == Class::Needed;
        let note =
            only.then(|| "only looked up; at which port it is reached is not known".to_owned());
        if class == Class::Needed {
            learned.needs.push(Need::Plain(intent.clone()));
        }
        let wanted = Wanted::Intent(intent);
        learned.lines.push(Line { wanted, class, note: note.or(danger), evidence });
    }
}

/// The host of an event, and the port where it has one.
fn parse(object: &Bytes) -> Option<(Host, Option<u16>)> {
    let text = std::str::from_utf8(&object.0).ok()?;
    let (kind, rest) = text.split_once(':')?;
    match kind {
        "dns" => Some(((rest.to_owned(), false), None)),
        "tcp" | "udp" => {
            let (host, port) = rest.rsplit_once(':')?;
            Some(((canonical(host), kind == "udp"), Some(port.parse().ok()?)))
        }
        _ => None,
    }
}

/// A rule's text as a host and a port.
fn split(rule: &str) -> Option<(Host, u16)> {
    let (text, udp) = match rule.strip_suffix("/udp") {
        Some(text) => (text, true),
        None => (rule, false),
    };
    let (host, port) = text.rsplit_once(':')?;
    Some(((host.to_owned(), udp), port.parse().ok()?))
}

fn canonical(host: &str) -> String {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    match address {
        Ok(address) if address.is_loopback() || address.is_unspecified() => LOCALHOST.to_owned(),
        _ => host.to_owned(),
    }
}

/// Whether somebody outside answers at a port; none: whoever does is of the run itself.
fn answers(host: &Host, port: u16, own: &BTreeSet<u16>, place: &Place<'_>) -> Option<bool> {
    if host.0 != LOCALHOST {
        return Some(true);
    }
    if port == 0 || own.contains(&port) {
        return None;
    }
    // Without a rule nobody can have answered; but it may have listened at a port that the kernel
    // chose.
    let given = leads_out(host, port, place);
    (given || (port != DNS && !own.contains(&0))).then_some(given)
}

/// Whether a port of the loopback interface led to the machine's.
fn leads_out((_, udp): &Host, port: u16, place: &Place<'_>) -> bool {
    let text = format!("{LOCALHOST}:{port}{}", if *udp { "/udp" } else { "" });
    let Ok(wanted) = Rule::parse(&text, Form::Allow) else { return false };
    place
        .given
        .iter()
        .any(|intent| matches!(intent, Intent::NetReach(rule) if rule.covers(&wanted)))
}

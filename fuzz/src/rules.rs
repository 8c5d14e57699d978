//! Rules over hosts, and what they say about an address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use swathe_netrules::{Class, Form, Name, Protocol, Publish, Rule, Rules, What};

/// Bits of an address, a port, then lines: rules that allow, below an empty line rules that deny.
/// Each line is a name and a published port, too.
pub fn run(data: &[u8]) {
    let Some((head, text)) = data.split_at_checked(18) else { return };
    let mut bits = [0; 16];
    bits.copy_from_slice(&head[..16]);
    let port = u16::from_be_bytes([head[16], head[17]]);
    let mut rules = Rules::default();
    let mut form = Form::Allow;
    for line in text.split(|byte| *byte == b'\n').take(64) {
        if line.is_empty() {
            form = Form::Deny;
        }
        name(line);
        let Ok(line) = std::str::from_utf8(line) else { continue };
        publish(line);
        let Some(rule) = rule(line, form) else { continue };
        match form {
            Form::Allow => rules.allow.push(rule),
            Form::Deny => rules.deny.push(rule),
        }
    }
    let v6 = Ipv6Addr::from(bits);
    let v4 = Ipv4Addr::new(bits[0], bits[1], bits[2], bits[3]);
    for address in [IpAddr::V6(v6), v4.into()] {
        addressed(&rules, address, port);
    }
    let (v4, mapped) = (IpAddr::V4(v4), IpAddr::V6(v4.to_ipv6_mapped()));
    let say = |address| rules.addressed(address, port, Protocol::Tcp, &[]);
    assert_eq!(say(v4), say(mapped));
}

/// A name is its own canonical form, and no address.
fn name(bytes: &[u8]) {
    let Ok(name) = Name::parse(bytes) else { return };
    assert_eq!(Name::parse(name.as_str().as_bytes()), Ok(name.clone()));
    assert!(name.as_str().len() <= 253 && name.as_str().is_ascii());
    assert!(name.as_str().parse::<IpAddr>().is_err());
    assert!(name.labels().last() != Some("localhost"));
}

fn publish(text: &str) {
    let Ok(publish) = text.parse::<Publish>() else { return };
    assert!(publish.host.port() != 0 && publish.port != 0 && !publish.host.ip().is_multicast());
    assert_eq!(publish.to_string().parse(), Ok(publish));
}

/// A rule is read back from its text, in either form.
fn rule(text: &str, form: Form) -> Option<Rule> {
    let rule = Rule::parse(text, form).ok()?;
    for form in [Form::Allow, Form::Deny] {
        assert_eq!(Rule::parse(&rule.text(form), form).as_ref(), Ok(&rule));
    }
    assert!(rule.covers(&rule));
    Some(rule)
}

/// A special address is allowed by nothing but a rule of its own; a denial holds; what one rule
/// allows a rule that covers it does, too.
fn addressed(rules: &Rules, address: IpAddr, port: u16) {
    let verdict = rules.addressed(address, port, Protocol::Tcp, &[]);
    let own = |rule: &&Rule| matches!(rule.what, What::Cidr(_) | What::HostLoopback);
    if verdict.is_allowed() {
        assert!(Class::of(address) == Class::Public || rules.allow.iter().any(|rule| own(&rule)));
        let denies =
            |rule: &Rule| rule.is_about_address(address) && rule.is_at(port, Protocol::Tcp);
        assert!(!rules.deny.iter().any(denies));
    }
    let alone = |rule: &Rule| {
        let rules = Rules { allow: vec![rule.clone()], deny: Vec::new() };
        rules.addressed(address, port, Protocol::Tcp, &[]).is_allowed()
    };
    for (larger, smaller) in rules.allow.iter().zip(rules.allow.iter().skip(1)) {
        assert!(!larger.covers(smaller) || !alone(smaller) || alone(larger));
    }
    let literally = |addresses: &[IpAddr]| rules.addressed(address, port, Protocol::Tcp, addresses);
    // That an address is the host's own never opens it.
    assert!(!literally(&[address]).is_allowed() || verdict.is_allowed());
}

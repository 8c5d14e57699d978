//! Names and addresses of those who want past the rules.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use swathe_netrules::address::CidrError;
use swathe_netrules::{
    Cause, Cidr, Class, Form, Name, Protocol, Rule, Rules, Subject, Verdict, What,
};

fn rules(allow: &[&str], deny: &[&str]) -> Rules {
    let all = |texts: &[&str], form| {
        texts
            .iter()
            .map(|text| Rule::parse(text, form).unwrap_or_else(|e| panic!("{text}: {e}")))
            .collect()
    };
    Rules { allow: all(allow, Form::Allow), deny: all(deny, Form::Deny) }
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn name(text: &str) -> Name {
    Name::parse(text.as_bytes()).unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn cause(verdict: Verdict) -> Option<Cause> {
    match verdict {
        Verdict::Allowed(_) => None,
        Verdict::Refused(reason) => Some(reason.cause),
    }
}

/// Never names.
const NO_NAMES: &[&[u8]] = &[
    b"",
    b".",
    b"..",
    b"example.com..",
    b".example.com",
    b"a..example.com",
    b"example.com\0",
    b"example.com\0.evil.net",
    b"\0",
    b"exa mple.com",
    b"example.com ",
    b" example.com",
    b"example.com\n",
    b"example.com\r\nHost: evil.net",
    b"exam\tple.com",
    b"example.com:443",
    b"example.com/",
    b"example.com/evil.net",
    b"user@example.com",
    b"example.com#",
    b"example.com?",
    b"example%2ecom",
    b"[::1]",
    b"::1",
    b"fe80::1%eth0",
    b"*",
    b"*.example.com",
    b"ex*mple.com",
    b"-example.com",
    b"example-.com",
    b"example.-com",
    b"\xff\xfe.com",
    b"\xc0\xae.com",
    b"example\\.com",
    b"\"example.com\"",
    b"exa\x7fmple.com",
    // The machine itself.
    b"localhost",
    b"localhost.",
    b"LOCALHOST",
    b"LocalHost.",
    b"foo.localhost",
    b"a.b.localhost.",
    "ｌｏｃａｌｈｏｓｔ".as_bytes(),
    "foo.ｌｏｃａｌｈｏｓｔ。".as_bytes(),
    "ⓛocalhost".as_bytes(),
    // Addresses: dotted, short, decimal, octal, hexadecimal, mixed, in other digits.
    b"127.0.0.1",
    b"127.0.0.1.",
    b"127.1",
    b"127.0.1",
    b"2130706433",
    b"0177.0.0.1",
    b"017700000001",
    b"0x7f.0.0.1",
    b"0x7f000001",
    b"0X7F000001",
    b"0x7f.1",
    b"127.0x1",
    b"127.0.0.0x1",
    b"0",
    b"0x0",
    b"0x",
    b"00000000",
    b"1.2.3.4",
    b"8.8.8.8",
    b"169.254.169.254",
    b"0xa9fea9fe",
    b"2852039166",
    b"0251.0376.0251.0376",
    b"169.254.43518",
    b"169.16689662",
    b"256.256.256.256",
    b"1.2.3.4.5",
    b"4294967296",
    b"foo.1",
    b"foo.0x1f",
    b"127.0.0.1.0x7f",
    "１２７.０.０.１".as_bytes(),
    "127。0。0。1".as_bytes(),
    "①②⑦.⓪.⓪.①".as_bytes(),
    // No international names.
    b"xn--",
    b"xn--a",
    b"xn--\xc3\xa9",
    b"xn--0.com",
    b"xn--zzzzzzzzzzzzzzzzzzzzz.com",
    "a\u{202e}b.com".as_bytes(),
    "\u{200b}".as_bytes(),
    "\u{ad}".as_bytes(),
];

#[test]
fn what_is_no_name_is_refused() {
    assert!(NO_NAMES.len() >= 60);
    for bytes in NO_NAMES {
        assert!(Name::parse(bytes).is_err(), "{:?}", String::from_utf8_lossy(bytes));
    }
    for long in [
        "a".repeat(64),
        "a".repeat(300),
        format!("{}.com", "a".repeat(64)),
        "a.".repeat(150),
        format!("{}com", "a.".repeat(126)),
        "é".repeat(300),
        "\0".repeat(300),
        "a".repeat(1 << 20),
    ] {
        assert!(Name::parse(long.as_bytes()).is_err(), "{} bytes", long.len());
    }
    let longest = format!("{}a", "a.".repeat(126));
    assert_eq!(name(&longest).as_str().len(), 253);
    assert_eq!(name(&"a".repeat(63)).as_str().len(), 63);
}

#[test]
fn a_name_has_one_form() {
    for (text, form) in [
        ("GitHub.com", "github.com"),
        ("github.com.", "github.com"),
        ("GITHUB.COM.", "github.com"),
        ("ｇｉｔｈｕｂ.com", "github.com"),
        ("github。com", "github.com"),
        ("github｡com", "github.com"),
        ("git\u{ad}hub.com", "github.com"),
        ("XN--BCHER-KVA.example", "xn--bcher-kva.example"),
        ("Bücher.example", "xn--bcher-kva.example"),
        ("BÜCHER.EXAMPLE", "xn--bcher-kva.example"),
        ("bu\u{308}cher.example", "xn--bcher-kva.example"),
        ("faß.de", "xn--fa-hia.de"),
        ("1e100.net", "1e100.net"),
        ("4chan.org", "4chan.org"),
        ("127.0.0.1.nip.io", "127.0.0.1.nip.io"),
        ("0x7f.example", "0x7f.example"),
        ("localhost.example", "localhost.example"),
        ("notlocalhost", "notlocalhost"),
    ] {
        assert_eq!(name(text).as_str(), form, "{text}");
    }
}

#[test]
fn a_look_alike_is_another_name() {
    let rules = rules(&["github.com:443", "*.example.com:443"], &[]);
    for text in [
        "gіthub.com",
        "githυb.com",
        "g1thub.com",
        "github.co",
        "github.com.evil.net",
        "evilgithub.com",
        "api.github.com",
        "github.comm",
        "ithub.com",
        "xn--gthub-cta.com",
        "github-com.net",
        "example.com",
        "evilexample.com",
        "evil-example.com",
        "example.com.evil.net",
        "xample.com",
        "a.example.co",
        "aexample.com",
        "example.net",
        "com",
        "exаmple.com",
        "a.exаmple.com",
        "a.example.com.evil",
        "_example.com",
        "example.com-a.net",
    ] {
        // Some are no names at all, which is as good.
        let Ok(name) = Name::parse(text.as_bytes()) else { continue };
        assert!(!rules.knows(&name), "{text}");
        assert_eq!(cause(rules.named(&name, 443, Protocol::Tcp)), Some(Cause::Unlisted), "{text}");
    }
    for text in ["github.com", "GITHUB.com.", "a.example.com", "a.b.example.com"] {
        assert!(rules.knows(&name(text)), "{text}");
    }
}

/// An address, its class.
const CLASSES: &[(&str, Class)] = &[
    ("8.8.8.8", Class::Public),
    ("1.1.1.1", Class::Public),
    ("100.63.255.255", Class::Public),
    ("100.128.0.0", Class::Public),
    ("172.15.255.255", Class::Public),
    ("172.32.0.0", Class::Public),
    ("192.167.255.255", Class::Public),
    ("2606:4700:4700::1111", Class::Public),
    ("2a00:1450:4001::1", Class::Public),
    ("::ffff:8.8.8.8", Class::Public),
    ("64:ff9b::8.8.8.8", Class::Public),
    ("2002:808:808::1", Class::Public),
    ("0.0.0.0", Class::Unspecified),
    ("0.0.0.1", Class::Unspecified),
    ("::", Class::Unspecified),
    ("::ffff:0.0.0.0", Class::Unspecified),
    ("127.0.0.1", Class::Loopback),
    ("127.255.255.254", Class::Loopback),
    ("::1", Class::Loopback),
    ("::ffff:127.0.0.1", Class::Loopback),
    ("::127.0.0.1", Class::Loopback),
    ("::ffff:0:127.0.0.1", Class::Loopback),
    ("64:ff9b::127.0.0.1", Class::Loopback),
    ("2002:7f00:1::", Class::Loopback),
    ("2a00::5efe:127.0.0.1", Class::Loopback),
    ("10.0.0.1", Class::Private),
    ("172.16.0.1", Class::Private),
    ("172.31.255.255", Class::Private),
    ("192.168.1.1", Class::Private),
    ("::ffff:10.0.0.1", Class::Private),
    ("::10.0.0.1", Class::Private),
    ("64:ff9b::192.168.1.1", Class::Private),
    ("2002:a00:1::1", Class::Private),
    ("2a00:1450::200:5efe:10.0.0.1", Class::Private),
    ("fc00::1", Class::Private),
    ("fd12:3456::1", Class::Private),
    ("fec0::1", Class::Private),
    ("100.64.0.1", Class::Shared),
    ("100.127.255.255", Class::Shared),
    ("::ffff:100.64.0.1", Class::Shared),
    ("169.254.0.1", Class::LinkLocal),
    ("fe80::1", Class::LinkLocal),
    ("febf::1", Class::LinkLocal),
    ("169.254.169.254", Class::Metadata),
    ("::ffff:169.254.169.254", Class::Metadata),
    ("::169.254.169.254", Class::Metadata),
    ("64:ff9b::169.254.169.254", Class::Metadata),
    ("2002:a9fe:a9fe::1", Class::Metadata),
    ("169.254.170.2", Class::Metadata),
    ("100.100.100.200", Class::Metadata),
    ("192.0.0.192", Class::Metadata),
    ("168.63.129.16", Class::Metadata),
    ("fd00:ec2::254", Class::Metadata),
    ("fd20:ce::254", Class::Metadata),
    ("224.0.0.1", Class::Multicast),
    ("239.255.255.250", Class::Multicast),
    ("ff02::1", Class::Multicast),
    ("255.255.255.255", Class::Reserved),
    ("240.0.0.1", Class::Reserved),
    ("192.0.2.1", Class::Reserved),
    ("198.18.0.1", Class::Reserved),
    ("198.19.255.255", Class::Reserved),
    ("203.0.113.1", Class::Reserved),
    ("2001:0:4136:e378:8000:63bf:3fff:fdd2", Class::Reserved),
    ("2001:db8::1", Class::Reserved),
    ("64:ff9b:1::1", Class::Reserved),
    ("100::1", Class::Reserved),
    ("5f00::1", Class::Reserved),
    ("4000::1", Class::Reserved),
    ("::8.8.8.8", Class::Reserved),
];

#[test]
fn an_address_has_its_class_by_every_spelling() {
    for (text, class) in CLASSES {
        assert_eq!(Class::of(ip(text)), *class, "{text}");
    }
}

#[test]
fn special_addresses_are_not_reached_by_large_rules() {
    let all = rules(
        &["*:*", "*:*/udp", "0.0.0.0/0:*/any", "[::]/0:*/any", "[::]/1:*", "*.nip.io:*"],
        &[],
    );
    let host = name("10.0.0.1.nip.io");
    for (text, class) in CLASSES {
        let (address, public) = (ip(text), *class == Class::Public);
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            let wanted = (!public).then_some(Cause::Special(*class));
            assert_eq!(cause(all.addressed(address, 80, protocol, &[])), wanted, "{text}");
            let resolved = all.resolved(&host, address, 80, protocol, &[]);
            assert_eq!(cause(resolved), wanted, "{text}");
        }
        assert_eq!(all.echoed(None, address, &[]).is_allowed(), public, "{text}");
        assert_eq!(all.echoed(Some(&host), address, &[]).is_allowed(), public, "{text}");
    }
}

#[test]
fn special_addresses_are_reached_by_a_rule_that_names_them() {
    for (rule, inside, outside) in [
        ("10.0.0.0/8:80", "10.1.2.3", "11.0.0.1"),
        ("10.1.0.0/16:80", "10.1.2.3", "10.2.0.1"),
        ("192.168.1.7:80", "192.168.1.7", "192.168.1.8"),
        ("169.254.0.0/16:80", "169.254.1.1", "169.254.169.254"),
        ("169.254.169.254:80", "169.254.169.254", "169.254.169.253"),
        ("100.64.0.0/10:80", "100.64.0.1", "100.100.100.200"),
        ("localhost:80", "127.0.0.1", "127.0.0.2"),
        ("localhost:80", "::1", "::2"),
        ("localhost:80", "::ffff:127.0.0.1", "::127.0.0.1"),
        ("[fd00::]/8:80", "fd12::1", "fd00:ec2::254"),
        ("[fd00:ec2::254]:80", "fd00:ec2::254", "fd00:ec2::253"),
        ("[64:ff9b::10.0.0.0]/104:80", "64:ff9b::10.0.0.1", "10.0.0.1"),
        ("10.0.0.0/8:80", "::ffff:10.0.0.1", "64:ff9b::10.0.0.1"),
        ("10.0.0.0/7:80", "11.0.0.1", "10.0.0.1"),
        ("[64:ff9b::]/96:80", "64:ff9b::8.8.8.8", "64:ff9b::10.0.0.1"),
    ] {
        let rules = rules(&[rule, "intern.example:80"], &[]);
        let reached = |text: &str| rules.addressed(ip(text), 80, Protocol::Tcp, &[]).is_allowed();
        let host = name("intern.example");
        assert!(reached(inside), "{rule}: {inside}");
        assert!(!reached(outside), "{rule}: {outside}");
        assert!(rules.resolved(&host, ip(inside), 80, Protocol::Tcp, &[]).is_allowed(), "{rule}");
        // Another port, another protocol.
        assert!(!rules.addressed(ip(inside), 81, Protocol::Tcp, &[]).is_allowed(), "{rule}");
        assert!(!rules.addressed(ip(inside), 80, Protocol::Udp, &[]).is_allowed(), "{rule}");
    }
}

#[test]
fn the_hosts_own_addresses_are_reached_by_literals_alone() {
    let own =
        [ip("192.168.1.5"), ip("93.184.216.34"), ip("::ffff:198.51.100.7"), ip("2606:2800::1")];
    let large = rules(&["*:*", "192.168.0.0/16:*", "0.0.0.0/0:*", "[::]/0:*"], &[]);
    for text in
        ["192.168.1.5", "93.184.216.34", "::ffff:93.184.216.34", "2606:2800::1", "198.51.100.7"]
    {
        let verdict = large.addressed(ip(text), 22, Protocol::Tcp, &own);
        assert_eq!(cause(verdict), Some(Cause::Own), "{text}");
        let verdict = large.resolved(&name("rebind.example"), ip(text), 22, Protocol::Tcp, &own);
        assert_eq!(cause(verdict), Some(Cause::Own), "{text}");
    }
    assert!(large.addressed(ip("192.168.1.6"), 22, Protocol::Tcp, &own).is_allowed());
    let literal = rules(&["192.168.1.5:22", "93.184.216.34:22"], &[]);
    for text in ["192.168.1.5", "::ffff:93.184.216.34"] {
        assert!(literal.addressed(ip(text), 22, Protocol::Tcp, &own).is_allowed(), "{text}");
    }
}

#[test]
fn no_rules_allow_nothing() {
    let none = Rules::default();
    assert!(!none.knows(&name("example.com")));
    for (text, _) in CLASSES {
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            assert!(!none.addressed(ip(text), 443, protocol, &[]).is_allowed(), "{text}");
        }
    }
}

#[test]
fn a_denial_beats_whatever_allows() {
    let rules = rules(
        &["*:*", "*.example.com:*/any", "10.0.0.0/8:*", "mixed.example:80,443"],
        &[
            "evil.example.com",
            "*.bad.example",
            "10.9.0.0/16",
            "93.184.216.0/24",
            "a.example.com:22",
            "mixed.example:443",
        ],
    );
    let named = |text: &str, port| rules.named(&name(text), port, Protocol::Tcp).is_allowed();
    assert!(!named("evil.example.com", 443));
    assert!(!rules.knows(&name("evil.example.com")));
    assert!(!named("x.bad.example", 443));
    assert!(named("bad.example", 443));
    assert!(
        named("b.example.com", 22) && named("a.example.com", 443) && !named("a.example.com", 22)
    );
    assert!(rules.knows(&name("a.example.com")));
    assert!(named("mixed.example", 80) && !named("mixed.example", 443));
    assert!(!rules.named(&name("evil.example.com"), 53, Protocol::Udp).is_allowed());
    let reached = |text: &str| rules.addressed(ip(text), 80, Protocol::Tcp, &[]).is_allowed();
    assert!(reached("10.8.0.1") && !reached("10.9.0.1") && !reached("::ffff:10.9.0.1"));
    assert!(!reached("93.184.216.34"));
    // A name does not help around an address that is denied.
    let resolved =
        rules.resolved(&name("good.example"), ip("93.184.216.34"), 80, Protocol::Tcp, &[]);
    assert!(matches!(cause(resolved), Some(Cause::Denied(_))));
}

#[test]
fn a_name_whose_ports_are_all_denied_is_not_looked_up() {
    let name = name("a.example");
    assert!(!rules(&["a.example:80,443"], &["a.example:80", "*.example:1-1000"]).knows(&name));
    assert!(rules(&["a.example:80,443"], &["a.example:80"]).knows(&name));
    assert!(rules(&["a.example:80/any"], &["a.example:80/tcp"]).knows(&name));
    assert!(!rules(&["10.0.0.0/8:*", "localhost:80"], &[]).knows(&name));
}

#[test]
fn a_reason_names_a_rule_that_helps() {
    let rules = rules(&["a.example:443"], &["b.example"]);
    let own = [ip("192.168.1.5")];
    let a = name("a.example");
    for (verdict, text, fix) in [
        (
            rules.named(&name("c.example"), 22, Protocol::Tcp),
            "c.example is allowed by no rule",
            Some("c.example:22"),
        ),
        (
            rules.named(&a, 80, Protocol::Tcp),
            "a.example is allowed, but not port 80",
            Some("a.example:80"),
        ),
        (
            rules.named(&a, 443, Protocol::Udp),
            "a.example is allowed, but not port 443 by UDP",
            Some("a.example:443/udp"),
        ),
        (
            rules.named(&name("b.example"), 443, Protocol::Tcp),
            "b.example is denied by the rule `b.example:*`",
            None,
        ),
        (
            rules.resolved(&a, ip("10.0.0.1"), 443, Protocol::Tcp, &[]),
            "a.example leads to 10.0.0.1, a private address, which no rule names",
            Some("10.0.0.1:443"),
        ),
        (
            rules.resolved(&a, ip("127.0.0.1"), 443, Protocol::Tcp, &[]),
            "a.example leads to 127.0.0.1, a loopback address of this machine, which no rule names",
            Some("localhost:443"),
        ),
        (
            rules.addressed(ip("8.8.8.8"), 53, Protocol::Udp, &[]),
            "8.8.8.8 is allowed by no rule",
            Some("8.8.8.8:53/udp"),
        ),
        (
            rules.addressed(ip("fd00:ec2::254"), 80, Protocol::Tcp, &[]),
            "fd00:ec2::254 is an address where clouds hand out credentials, which no rule names",
            Some("[fd00:ec2::254]:80"),
        ),
        (
            rules.addressed(own[0], 22, Protocol::Tcp, &own),
            "192.168.1.5 is an address of this machine, which no rule names",
            Some("192.168.1.5:22"),
        ),
    ] {
        let Verdict::Refused(reason) = verdict else { panic!("allowed: {text}") };
        assert_eq!(reason.to_string(), text);
        assert_eq!(reason.fix().as_deref(), fix);
        let Some(fix) = fix else { continue };
        // And it does help.
        let mut fixed = rules.clone();
        fixed.allow.push(Rule::parse(fix, Form::Allow).unwrap());
        let (port, protocol) = reason.port.unwrap();
        let verdict = match &reason.subject {
            Subject::Name(name) => fixed.named(name, port, protocol),
            Subject::Resolved(name, address) => {
                fixed.resolved(name, *address, port, protocol, &own)
            }
            Subject::Address(address) => fixed.addressed(*address, port, protocol, &own),
        };
        assert!(verdict.is_allowed(), "{text}");
    }
}

proptest! {
    /// What the standard library calls an address of no other host is never public here.
    #[test]
    fn no_special_address_is_public(bits: u32) {
        let v4 = Ipv4Addr::from(bits);
        let special = v4.is_loopback() || v4.is_private() || v4.is_link_local() || v4.is_multicast()
            || v4.is_unspecified() || v4.is_broadcast() || v4.is_documentation();
        if special {
            let all = rules(&["*:*", "0.0.0.0/0:*", "[::]/0:*"], &[]);
            for address in [
                IpAddr::V4(v4),
                v4.to_ipv6_mapped().into(),
                v4.to_ipv6_compatible().into(),
                Ipv6Addr::from((0x64_ff9b_u128 << 96) | u128::from(bits)).into(),
                Ipv6Addr::from((0x2002_u128 << 112) | (u128::from(bits) << 80) | 7).into(),
            ] {
                prop_assert_ne!(Class::of(address), Class::Public);
                prop_assert!(!all.addressed(address, 443, Protocol::Tcp, &[]).is_allowed());
            }
        }
    }

    /// A spelling of IPv4 within IPv6 is judged as the address itself.
    #[test]
    fn a_mapped_address_is_the_address(bits: u32) {
        let v4 = Ipv4Addr::from(bits);
        let mapped = IpAddr::V6(v4.to_ipv6_mapped());
        prop_assert_eq!(Class::of(v4.into()), Class::of(mapped));
        let some = rules(&["0.0.0.0/1:*", "10.0.0.0/8:*", "localhost:*"], &["64.0.0.0/2"]);
        prop_assert_eq!(
            some.addressed(v4.into(), 1, Protocol::Tcp, &[]),
            some.addressed(mapped, 1, Protocol::Tcp, &[])
        );
    }

    /// What a rule allows, one that covers it allows, too: a grant for the larger is enough.
    #[test]
    fn a_rule_that_covers_allows_as_much(
        at in (0..CLASSES.len(), 0..CLASSES.len(), 0..CLASSES.len()),
        prefix in (0u8..=128, 0u8..=128),
    ) {
        let rule = |index: usize, prefix: u8| {
            let address = ip(CLASSES[index].0).to_canonical();
            let prefix = prefix.min(if address.is_ipv4() { 32 } else { 128 });
            let block = match Cidr::new(address, prefix) {
                Ok(block) | Err(CidrError::Bits(block)) => block,
                Err(_) => return None,
            };
            Rule::parse(&format!("{}:80", What::Cidr(block)), Form::Allow).ok()
        };
        let (Some(larger), Some(smaller)) = (rule(at.0, prefix.0), rule(at.1, prefix.1)) else {
            return Ok(());
        };
        prop_assert!(larger.covers(&larger));
        if larger.covers(&smaller) {
            let says = |rule: Rule, address| {
                let rules = Rules { allow: vec![rule], deny: Vec::new() };
                rules.addressed(address, 80, Protocol::Tcp, &[]).is_allowed()
            };
            for address in [ip(CLASSES[at.2].0), ip(CLASSES[at.1].0)] {
                prop_assert!(!says(smaller.clone(), address) || says(larger.clone(), address));
            }
        }
    }
}

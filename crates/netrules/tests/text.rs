//! Texts of rules: what each means, what is none, and that each is read back as itself.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use swathe_netrules::address::CidrError;
use swathe_netrules::name::NameError;
use swathe_netrules::{Cidr, Form, Name, Pattern, Ports, Protocol, Rule, RuleError, Rules, What};

fn allow(text: &str) -> Rule {
    Rule::parse(text, Form::Allow).unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn name(text: &str) -> Name {
    Name::parse(text.as_bytes()).unwrap_or_else(|e| panic!("{text}: {e}"))
}

#[test]
fn a_text_has_one_form() {
    for (text, form) in [
        ("github.com", "github.com:80,443"),
        ("GitHub.COM.:443", "github.com:443"),
        ("github.com:443/tcp", "github.com:443"),
        ("*.npmjs.org", "*.npmjs.org:80,443"),
        ("host.example:1-1024,8080", "host.example:1-1024,8080"),
        ("host.example:*", "host.example:*"),
        ("time.nist.gov:123/udp", "time.nist.gov:123/udp"),
        ("a.example:443/any", "a.example:443/any"),
        ("bücher.example:443", "xn--bcher-kva.example:443"),
        ("*.Bücher.example", "*.xn--bcher-kva.example:80,443"),
        ("intranet:443", "intranet:443"),
        ("_sip.example:5060", "_sip.example:5060"),
        ("r3---sn-4g5e6nl7.googlevideo.com:443", "r3---sn-4g5e6nl7.googlevideo.com:443"),
        ("10.0.0.0/8:5432", "10.0.0.0/8:5432"),
        ("10.0.0.0/8", "10.0.0.0/8:80,443"),
        ("10.0.0.0/8:53/udp", "10.0.0.0/8:53/udp"),
        ("93.184.216.34", "93.184.216.34:80,443"),
        ("93.184.216.34/32:22", "93.184.216.34:22"),
        ("0.0.0.0/0:443", "0.0.0.0/0:443"),
        ("[2001:db8::]/32:80-90", "[2001:db8::]/32:80-90"),
        ("2001:db8::/32:80-90", "[2001:db8::]/32:80-90"),
        ("2001:DB8:0::/32", "[2001:db8::]/32:80,443"),
        ("[2606:4700::1111]:443", "[2606:4700::1111]:443"),
        ("[::]/0", "[::]/0:80,443"),
        ("[::ffff:10.0.0.0]/104:1", "10.0.0.0/8:1"),
        ("[::ffff:10.1.2.3]:1", "10.1.2.3:1"),
        ("localhost:5432", "localhost:5432"),
        ("LOCALHOST.:5432", "localhost:5432"),
        ("127.0.0.1:5432", "localhost:5432"),
        ("[::1]:5432", "localhost:5432"),
        ("[::ffff:127.0.0.1]:5432", "localhost:5432"),
        ("*", "*:80,443"),
        ("*:*", "*:*"),
    ] {
        let rule = allow(text);
        assert_eq!(rule.text(Form::Allow), form, "{text}");
        assert_eq!(allow(form), rule, "{text}");
    }
}

#[test]
fn what_a_denial_leaves_out_is_everything() {
    for (text, form) in [
        ("evil.example", "evil.example:*"),
        ("evil.example:443", "evil.example:443"),
        ("evil.example:443/any", "evil.example:443"),
        ("evil.example:443/tcp", "evil.example:443/tcp"),
        ("localhost", "localhost:*"),
        ("10.0.0.0/8", "10.0.0.0/8:*"),
        ("*", "*:*"),
    ] {
        let rule = Rule::parse(text, Form::Deny).unwrap();
        assert_eq!(rule.text(Form::Deny), form, "{text}");
        assert_eq!(Rule::parse(form, Form::Deny), Ok(rule), "{text}");
    }
    assert_eq!(Rule::parse("evil.example:443", Form::Deny).unwrap().protocol, None);
}

#[test]
fn what_is_no_rule_says_why() {
    let bits = |text: &str| RuleError::Address(CidrError::Bits(text.parse().unwrap()));
    for (text, error) in [
        ("", RuleError::Empty),
        ("https://github.com", RuleError::Url),
        ("github.com/path", RuleError::Address(CidrError::Address)),
        ("github.com:443/http", RuleError::Protocol),
        ("github.com:443/", RuleError::Protocol),
        ("*.*.example", RuleError::Name(NameError::Character)),
        ("a.*.example", RuleError::Name(NameError::Character)),
        ("*example.com", RuleError::Name(NameError::Character)),
        ("**", RuleError::Name(NameError::Character)),
        ("*.", RuleError::Name(NameError::Empty)),
        (":443", RuleError::Name(NameError::Empty)),
        ("a..b", RuleError::Name(NameError::EmptyLabel)),
        ("user@host:22", RuleError::Name(NameError::Character)),
        ("foo.localhost:1", RuleError::Name(NameError::Localhost)),
        ("*.localhost:1", RuleError::Name(NameError::Localhost)),
        ("localhost", RuleError::LoopbackPorts),
        ("127.0.0.1", RuleError::LoopbackPorts),
        ("127.0.0.2:80", RuleError::LoopbackAddress),
        ("127.0.0.0/8:80", RuleError::LoopbackAddress),
        ("10.0.0.1/8", bits("10.0.0.0/8")),
        ("[2001:db8::1]/32", bits("2001:db8::/32")),
        ("10.0.0.0/33", RuleError::Address(CidrError::Prefix)),
        ("10.0.0.0/", RuleError::Address(CidrError::Prefix)),
        ("10.0.0.0/08", RuleError::Address(CidrError::Prefix)),
        ("10.0.0.0/+8", RuleError::Address(CidrError::Prefix)),
        ("10.0/16", RuleError::Address(CidrError::Address)),
        ("010.0.0.1:80", RuleError::Name(NameError::AddressLike)),
        ("0x7f000001:80", RuleError::Name(NameError::AddressLike)),
        ("2130706433:80", RuleError::Name(NameError::AddressLike)),
        ("2001:db8::1", RuleError::Brackets),
        ("2001:db8::1:443", RuleError::Brackets),
        ("[2001:db8::1", RuleError::Address(CidrError::Address)),
        ("[10.0.0.1]:80", RuleError::Address(CidrError::Address)),
        ("[fe80::1%eth0]:80", RuleError::Address(CidrError::Zone)),
        ("[::1]x:80", RuleError::Address(CidrError::Address)),
        ("time.nist.gov/udp", RuleError::UdpPorts),
    ] {
        assert_eq!(Rule::parse(text, Form::Allow), Err(error), "{text:?}");
    }
    for text in ["a.example:", "a.example:0", "a.example:65536", "a.example:http", "a:1:2"] {
        assert!(Rule::parse(text, Form::Allow).is_err(), "{text}");
    }
    let long = format!("a.example:{}", "1,".repeat(2000));
    assert_eq!(Rule::parse(&long, Form::Allow), Err(RuleError::TooLong));
}

#[test]
fn one_rule_covers_another() {
    for (larger, smaller, covers) in [
        ("*.example.com:*", "a.example.com:443", true),
        ("*.example.com:*", "*.a.example.com:443", true),
        ("*.example.com:*", "*.example.com:443", true),
        ("*.example.com:*", "example.com:443", false),
        ("a.example.com:443", "*.example.com:443", false),
        ("example.com:443", "example.com:443/udp", false),
        ("example.com:443/any", "example.com:443/udp", true),
        ("example.com:443", "example.com:443/any", false),
        ("10.0.0.0/8:*", "10.1.0.0/16:1", true),
        ("10.1.0.0/16:1", "10.0.0.0/8:1", false),
        ("0.0.0.0/0:*", "10.0.0.0/8:1", false),
        ("0.0.0.0/0:*", "8.8.8.8:1", true),
        ("*:*", "a.example:1", true),
        ("*:*", "localhost:1", false),
        ("*:*", "10.0.0.0/8:1", false),
        ("localhost:1-10", "localhost:5", true),
    ] {
        assert_eq!(allow(larger).covers(&allow(smaller)), covers, "{larger} {smaller}");
    }
}

#[test]
fn rules_come_back_from_json() {
    let rules = Rules {
        allow: vec![allow("*.npmjs.org"), allow("[2001:db8::]/32:1-5/udp"), allow("*:443")],
        deny: vec![Rule::parse("10.0.0.0/8", Form::Deny).unwrap()],
    };
    let text = serde_json::to_string(&rules).unwrap();
    assert_eq!(serde_json::from_str::<Rules>(&text).unwrap(), rules);
    // What was never a rule is none after the journey either.
    for (from, to) in [("npmjs.org", "0x7f.1"), ("*.npmjs.org", "localhost"), ("443", "0")] {
        assert!(serde_json::from_str::<Rules>(&text.replace(from, to)).is_err(), "{to}");
    }
}

fn names() -> impl Strategy<Value = Name> {
    "([a-z0-9_]([a-z0-9_-]{0,20}[a-z0-9_])?\\.){0,4}[a-z][a-z0-9]{0,10}"
        .prop_filter_map("a name", |text| Name::parse(text.as_bytes()).ok())
}

fn hosts() -> impl Strategy<Value = What> {
    prop_oneof![
        names().prop_map(|name| What::Name(Pattern::Exact(name))),
        names().prop_map(|name| What::Name(Pattern::Below(name))),
        Just(What::HostLoopback),
        Just(What::Any),
        (any::<u32>(), 0u8..=32).prop_filter_map("no loopback", |(bits, prefix)| {
            let bits = bits & !u32::MAX.checked_shr(prefix.into()).unwrap_or(0);
            let address = std::net::Ipv4Addr::from(bits);
            let block = Cidr::new(address.into(), prefix).ok()?;
            (!address.is_loopback()).then_some(What::Cidr(block))
        }),
        (any::<u128>(), 0u8..=128).prop_filter_map("no loopback", |(bits, prefix)| {
            let bits = bits & !u128::MAX.checked_shr(prefix.into()).unwrap_or(0);
            let address = std::net::Ipv6Addr::from(bits);
            let block = Cidr::new(address.into(), prefix).ok()?;
            (!address.is_loopback()).then_some(What::Cidr(block))
        }),
    ]
}

proptest! {
    #[test]
    fn text_round_trip(
        what in hosts(),
        ports in prop_oneof!["[1-9][0-9]{0,3}(-6[0-4][0-9]{3})?", Just("*".to_owned())],
        protocol in prop_oneof![Just(None), Just(Some(Protocol::Tcp)), Just(Some(Protocol::Udp))],
    ) {
        let rule = Rule { what, ports: ports.parse().unwrap(), protocol };
        for form in [Form::Allow, Form::Deny] {
            prop_assert_eq!(Rule::parse(&rule.text(form), form), Ok(rule.clone()));
        }
        let json = serde_json::to_string(&rule).unwrap();
        prop_assert_eq!(serde_json::from_str::<Rule>(&json).unwrap(), rule);
    }

    #[test]
    fn no_text_panics(text in ".{0,300}", bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Rule::parse(&text, Form::Allow);
        let _ = Rule::parse(&text, Form::Deny);
        let _ = Name::parse(&bytes);
    }

    #[test]
    fn a_name_is_canonical(bytes in prop::collection::vec(any::<u8>(), 0..80), text in "\\PC{1,40}") {
        for bytes in [&bytes[..], text.as_bytes()] {
            let Ok(name) = Name::parse(bytes) else { continue };
            prop_assert_eq!(Name::parse(name.as_str().as_bytes()), Ok(name.clone()));
            prop_assert!(name.as_str().bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()
                || b"-_.".contains(&b)));
            prop_assert!(name.as_str().parse::<std::net::IpAddr>().is_err());
        }
    }

    #[test]
    fn a_wildcard_is_about_what_lies_below(name in names(), above in names(), label in "[a-z]{1,9}") {
        let below = Pattern::Below(above.clone());
        let dotted = format!(".{above}");
        prop_assert_eq!(below.matches(&name), name.as_str().ends_with(&dotted));
        if let Ok(inside) = Name::parse(format!("{label}.{above}").as_bytes()) {
            prop_assert!(below.matches(&inside));
        }
        // A look-alike.
        if let Ok(outside) = Name::parse(format!("{label}{above}").as_bytes()) {
            prop_assert!(!below.matches(&outside));
        }
        prop_assert!(!below.matches(&above));
    }
}

#[test]
fn a_rule_of_all_ports_is_about_all() {
    assert_eq!(allow("a.example:*").ports, Ports::all());
    assert!(Pattern::parse(b"*.example.com").unwrap().matches(&name("a.b.example.com")));
}

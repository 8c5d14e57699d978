//! Intents about the network: texts of rules and of published ports, and what they mean.

use crate::intent::quoted;
use crate::model::Intent;
use crate::paths::Asker;
use crate::value::Complaint;
use swathe_netrules::name::NameError;
use swathe_netrules::{Class, Form, Pattern, Protocol, Publish, Rule, RuleError, What, address};

/// The most ports of the host's loopback that one rule may allow: each is one that the program
/// cannot listen on itself.
const MOST_LOCAL_PORTS: usize = 256;

/// What a word takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// Hosts by name (`net.host`).
    Names,
    /// Hosts by address (`net.cidr`).
    Addresses,
    /// Both (`--net`).
    Both,
}

/// What one rule allows, and a warning where that is dangerous.
///
/// # Errors
/// The text is no rule, one of the other word, or one that nobody or no app may have.
pub fn reach(
    text: &str,
    takes: Takes,
    asker: Asker,
) -> Result<(Intent, Option<String>), Complaint> {
    let rule = rule(text, Form::Allow)?;
    let by_address = matches!(rule.what, What::Cidr(_));
    let wrong = |what: &str, word: &str| {
        Err(Complaint::new(format!("{} is {what}", quoted(text)), what).help(word))
    };
    match takes {
        Takes::Names if by_address => return wrong("an address", "`net.cidr` takes addresses"),
        Takes::Addresses if !by_address => return wrong("no address", "`net.host` takes names"),
        _ => {}
    }
    if rule.what == What::HostLoopback && rule.ports.count() > MOST_LOCAL_PORTS {
        let message = format!("more than {MOST_LOCAL_PORTS} ports of this machine");
        return Err(Complaint::new(message, "too many").help("name those that are needed"));
    }
    let metadata = match &rule.what {
        What::Cidr(block) => block.is_single() && Class::of(block.address()) == Class::Metadata,
        _ => false,
    };
    if metadata && asker == Asker::Manifest {
        let message = format!("{} cannot be reached: {METADATA}", quoted(text));
        return Err(Complaint::new(message, "refused").help("no app gets credentials"));
    }
    let warning = match &rule.what {
        _ if metadata => Some(METADATA.to_owned()),
        What::Name(Pattern::Below(name)) if name.labels().count() == 1 => Some(TOP.to_owned()),
        _ => None,
    };
    let warning = warning.map(|why| format!("{} is dangerous to reach: {why}", quoted(text)));
    Ok((Intent::NetReach(rule), warning))
}

const METADATA: &str = "clouds hand out the machine's credentials there";
const TOP: &str = "it allows all names of a top-level domain, which anybody can have";

/// What one rule denies.
///
/// # Errors
/// The text is no rule.
pub fn deny(text: &str) -> Result<Intent, Complaint> {
    rule(text, Form::Deny).map(Intent::NetDeny)
}

/// A port that is published.
///
/// # Errors
/// The text names none.
pub fn listen(text: &str) -> Result<Intent, Complaint> {
    let publish = text.parse::<Publish>().map_err(|error| {
        Complaint::new(format!("{} publishes no port: {error}", quoted(text)), "not a port").help(
            "write `8080`, `8080:3000` (the host's, then the sandbox's) or `ADDRESS:8080:3000`",
        )
    })?;
    Ok(Intent::NetListen(publish))
}

fn rule(text: &str, form: Form) -> Result<Rule, Complaint> {
    Rule::parse(text, form).map_err(|error| {
        let label = match error {
            RuleError::Ports(_) | RuleError::LoopbackPorts | RuleError::UdpPorts => "these ports",
            RuleError::Name(NameError::AddressLike) | RuleError::Address(_) => "not an address",
            RuleError::Name(_) => "not a name",
            _ => "not a rule",
        };
        let complaint = Complaint::new(format!("{} is no rule: {error}", quoted(text)), label);
        match error.help() {
            Some(help) => complaint.help(help),
            None => complaint,
        }
    })
}

/// The rules of a list as it stands behind `--net`, each with the byte at which it begins. A comma
/// between ports of one rule does not end it.
pub fn pieces(text: &str) -> Vec<(usize, &str)> {
    let ports = |piece: &str| {
        let piece = piece.split('/').next().unwrap_or_default();
        piece.starts_with(|c: char| c.is_ascii_digit())
            && piece.bytes().all(|b| b.is_ascii_digit() || b == b'-')
    };
    let mut result: Vec<(usize, &str)> = Vec::new();
    let mut at = 0;
    for piece in text.split(',') {
        let end = at + piece.len();
        match result.last_mut() {
            // A name is never all digits.
            Some((start, last)) if ports(piece) && has_ports(last) => *last = &text[*start..end],
            _ => result.push((at, piece)),
        }
        at = end + 1;
    }
    result
}

/// Whether a rule names ports: behind the last colon, but for that of an address.
fn has_ports(rule: &str) -> bool {
    rule.rsplit_once(':').is_some_and(|(_, behind)| !behind.contains(']'))
}

/// What a rule allows, in words.
pub fn describe(rule: &Rule) -> String {
    let ports = match rule.ports.is_all() {
        true => "every port".to_owned(),
        false if rule.ports.count() == 1 => format!("port {}", rule.ports),
        false => format!("ports {}", rule.ports.to_string().replace(',', ", ")),
    };
    let protocol = match rule.protocol {
        Some(Protocol::Tcp) => "",
        Some(Protocol::Udp) => " by UDP",
        None => " by TCP and UDP",
    };
    let host = match &rule.what {
        What::Name(Pattern::Exact(name)) => name.to_string(),
        What::Name(Pattern::Below(name)) => format!("every host below {name}"),
        What::Cidr(block) if block.is_single() => block.to_string(),
        What::Cidr(block) => format!("every address of {block}"),
        What::HostLoopback => "this machine (localhost)".to_owned(),
        What::Any => "every host of the internet".to_owned(),
    };
    format!("{host}, {ports}{protocol}")
}

/// Why a rule is dangerous to whoever allows it.
pub fn danger(rule: &Rule) -> Option<&'static str> {
    match &rule.what {
        What::Any => Some("reaches every host of the internet"),
        What::HostLoopback => {
            Some("reaches a service of this machine, which may trust whoever reaches it")
        }
        What::Name(Pattern::Below(name)) if name.labels().count() == 1 => Some(TOP),
        What::Name(_) => None,
        What::Cidr(block) => match address::special(block.address()) {
            Some((Class::Metadata, special)) if block.is_within(&special) => Some(METADATA),
            Some((_, special)) if block.is_within(&special) => {
                Some("reaches the local network or other machines that are not public")
            }
            _ if block.prefix() < 16 => Some("reaches a large part of the internet"),
            _ => None,
        },
    }
}

/// Why a published port is dangerous.
pub fn exposure(publish: &Publish) -> Option<&'static str> {
    (!publish.is_local()).then_some("other machines can connect to it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_divided_between_rules() {
        for (text, expected) in [
            ("github.com:443,*.npmjs.org", &["github.com:443", "*.npmjs.org"][..]),
            ("a:80,443,b:1-5,8080/udp,c", &["a:80,443", "b:1-5,8080/udp", "c"]),
            ("a,80", &["a", "80"]),
            ("[::]/0,10.0.0.0/8:1,2", &["[::]/0", "10.0.0.0/8:1,2"]),
            ("[2001:db8::1],80", &["[2001:db8::1]", "80"]),
            ("a:80,1.2.3.4:5", &["a:80", "1.2.3.4:5"]),
            ("a:80,4chan.example", &["a:80", "4chan.example"]),
            ("", &[""]),
            (",a,", &["", "a", ""]),
        ] {
            let found = pieces(text);
            let texts: Vec<&str> = found.iter().map(|(_, piece)| *piece).collect();
            assert_eq!(texts, expected, "{text}");
            assert!(found.iter().all(|(at, piece)| text[*at..].starts_with(piece)), "{text}");
        }
    }

    #[test]
    fn what_is_dangerous_says_so() {
        for (text, dangerous) in [
            ("github.com:443", false),
            ("*.npmjs.org", false),
            ("*.com", true),
            ("*", true),
            ("localhost:5432", true),
            ("10.1.2.3:80", true),
            ("192.168.0.0/16:80", true),
            ("169.254.169.254:80", true),
            ("[fd00::]/8:80", true),
            ("93.184.216.0/24:80", false),
            ("0.0.0.0/0:80", true),
        ] {
            let found = rule(text, Form::Allow).map(|rule| danger(&rule).is_some());
            assert_eq!(found, Ok(dangerous), "{text}");
        }
    }

    #[test]
    fn no_app_reaches_credentials_of_the_machine() {
        for text in ["169.254.169.254:80", "[fd00:ec2::254]:80", "[::ffff:169.254.169.254]:80"] {
            assert!(reach(text, Takes::Addresses, Asker::Manifest).is_err(), "{text}");
            let user = reach(text, Takes::Addresses, Asker::User);
            assert!(user.is_ok_and(|(_, warning)| warning.is_some()), "{text}");
        }
        // A block in which they lie does not mean them.
        assert!(reach("169.254.0.0/16:80", Takes::Addresses, Asker::Manifest).is_ok());
    }
}

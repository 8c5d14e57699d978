//! The rules of one sandbox, and what follows from them.

use crate::Ports;
use crate::address::{Cidr, Class, canonical, special};
use crate::name::Name;
use crate::rule::{Form, Protocol, Rule, What};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;

/// What may be reached. A rule that denies beats all that allow.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rules {
    /// What may be reached.
    pub allow: Vec<Rule>,
    /// What may not, even so.
    pub deny: Vec<Rule>,
}

/// What the rules say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The rule of this number in [`Rules::allow`] allows it.
    Allowed(usize),
    /// It is refused.
    Refused(Reason),
}

impl Verdict {
    /// Whether it is allowed.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Allowed(_))
    }
}

/// Who was to be reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// A name that was not looked up.
    Name(Name),
    /// A name, and the address that it led to.
    Resolved(Name, IpAddr),
    /// An address.
    Address(IpAddr),
}

/// Why something is refused. Its text is one sentence without a full stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Why.
    pub cause: Cause,
    /// Who was to be reached.
    pub subject: Subject,
    /// At which port and how; none where something else than a port was asked for (an echo).
    pub port: Option<(u16, Protocol)>,
}

/// The kinds of reasons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// This rule denies it.
    Denied(Rule),
    /// No rule is about it.
    Unlisted,
    /// A rule allows the host, but not this port or protocol.
    OtherPort,
    /// The address is special, and no rule names it in so many words.
    Special(Class),
    /// The address is the host's own, and no rule names it in so many words.
    Own,
}

/// A port by a protocol; none for an echo, which a rule for any port permits.
type At = Option<(u16, Protocol)>;

impl Rules {
    /// Whether a host of this name may be reached at the port. To be asked before the name is
    /// looked up; the address is judged by [`Rules::resolved`].
    #[must_use]
    pub fn named(&self, name: &Name, port: u16, protocol: Protocol) -> Verdict {
        self.judge_name(name, Some((port, protocol)))
    }

    /// Whether the address that a name led to may be dialled for it. `own` are the host's
    /// addresses.
    #[must_use]
    pub fn resolved(
        &self,
        name: &Name,
        address: IpAddr,
        port: u16,
        protocol: Protocol,
        own: &[IpAddr],
    ) -> Verdict {
        self.judge_resolved(name, address, Some((port, protocol)), own)
    }

    /// Whether an address that no name led to may be reached. `own` are the host's addresses.
    #[must_use]
    pub fn addressed(
        &self,
        address: IpAddr,
        port: u16,
        protocol: Protocol,
        own: &[IpAddr],
    ) -> Verdict {
        self.judge_address(address, Some((port, protocol)), own)
    }

    /// Whether an echo (ping) may be sent to an address, or to a name that led to it: where any
    /// port of it is allowed, and not all are denied.
    #[must_use]
    pub fn echoed(&self, name: Option<&Name>, address: IpAddr, own: &[IpAddr]) -> Verdict {
        match name {
            Some(name) => self.judge_resolved(name, address, None, own),
            None => self.judge_address(address, None, own),
        }
    }

    /// Whether the name may be looked up: some port of it is allowed, and not denied.
    #[must_use]
    pub fn knows(&self, name: &Name) -> bool {
        let left = |rule: &Rule, protocol: Protocol| {
            let denied = self.deny.iter().filter(|d| d.is_about(name) && d.is_by(protocol));
            rule.is_by(protocol) && !rule.ports.is_within(denied.map(|rule| &rule.ports))
        };
        let about = self.allow.iter().filter(|rule| rule.is_about(name));
        about.into_iter().any(|rule| left(rule, Protocol::Tcp) || left(rule, Protocol::Udp))
    }

    /// Ports of the host's loopback that some rule allows by the protocol; whether a rule denies
    /// one of them is still to be asked.
    pub fn host_loopback(&self, protocol: Protocol) -> impl Iterator<Item = &Ports> {
        let about = move |rule: &&Rule| rule.what == What::HostLoopback && rule.is_by(protocol);
        self.allow.iter().filter(about).map(|rule| &rule.ports)
    }

    /// Ports that some rule allows by the protocol, of whatever host.
    pub fn ports(&self, protocol: Protocol) -> impl Iterator<Item = &Ports> {
        self.allow.iter().filter(move |rule| rule.is_by(protocol)).map(|rule| &rule.ports)
    }

    fn judge_name(&self, name: &Name, at: At) -> Verdict {
        let refused = |cause| {
            Verdict::Refused(Reason { cause, subject: Subject::Name(name.clone()), port: at })
        };
        if let Some(rule) = self.deny.iter().find(|rule| rule.is_about(name) && denies(rule, at)) {
            return refused(Cause::Denied(rule.clone()));
        }
        let about = |rule: &&Rule| rule.is_about(name);
        match self.allow.iter().position(|rule| about(&rule) && allows(rule, at)) {
            Some(index) => Verdict::Allowed(index),
            None if self.allow.iter().any(|rule| about(&rule)) => refused(Cause::OtherPort),
            None => refused(Cause::Unlisted),
        }
    }

    fn judge_resolved(&self, name: &Name, address: IpAddr, at: At, own: &[IpAddr]) -> Verdict {
        let named = self.judge_name(name, at);
        if !named.is_allowed() {
            return named;
        }
        let address = canonical(address);
        let refused = |cause| {
            let subject = Subject::Resolved(name.clone(), address);
            Verdict::Refused(Reason { cause, subject, port: at })
        };
        if let Some(rule) = self.denial(address, at) {
            return refused(Cause::Denied(rule.clone()));
        }
        match narrow(address, own) {
            Some((cause, block)) if !self.means(address, &block, at) => refused(cause),
            _ => named,
        }
    }

    fn judge_address(&self, address: IpAddr, at: At, own: &[IpAddr]) -> Verdict {
        let address = canonical(address);
        let refused = |cause| {
            Verdict::Refused(Reason { cause, subject: Subject::Address(address), port: at })
        };
        if let Some(rule) = self.denial(address, at) {
            return refused(Cause::Denied(rule.clone()));
        }
        let narrow = narrow(address, own);
        let about = |rule: &Rule| match &narrow {
            Some((_, block)) => rule.means(address, block),
            None => rule.is_about_address(address),
        };
        match self.allow.iter().position(|rule| about(rule) && allows(rule, at)) {
            Some(index) => Verdict::Allowed(index),
            None if self.allow.iter().any(about) => refused(Cause::OtherPort),
            None => refused(narrow.map_or(Cause::Unlisted, |(cause, _)| cause)),
        }
    }

    fn denial(&self, address: IpAddr, at: At) -> Option<&Rule> {
        self.deny.iter().find(|rule| rule.is_about_address(address) && denies(rule, at))
    }

    fn means(&self, address: IpAddr, block: &Cidr, at: At) -> bool {
        self.allow.iter().any(|rule| rule.means(address, block) && allows(rule, at))
    }
}

fn allows(rule: &Rule, at: At) -> bool {
    at.is_none_or(|(port, protocol)| rule.is_at(port, protocol))
}

fn denies(rule: &Rule, at: At) -> bool {
    match at {
        Some((port, protocol)) => rule.is_at(port, protocol),
        None => rule.ports.is_all() && rule.protocol.is_none(),
    }
}

/// Why an address is not simply a host of the internet, and within which block a rule means it.
fn narrow(address: IpAddr, own: &[IpAddr]) -> Option<(Cause, Cidr)> {
    let special = special(address).map(|(class, block)| (Cause::Special(class), block));
    let is_own = || own.iter().any(|own| canonical(*own) == address);
    match special {
        // That it is this machine, or where its credentials are, says more.
        Some((Cause::Special(Class::Loopback | Class::Metadata), _)) => special,
        _ if is_own() => Some((Cause::Own, Cidr::single(address))),
        _ => special,
    }
}

impl Reason {
    /// The text of a rule that would allow it; none where a rule denies it, and where no program
    /// has a need for it.
    #[must_use]
    pub fn fix(&self) -> Option<String> {
        let what = match (&self.cause, &self.subject) {
            (Cause::Denied(_), _) => return None,
            (Cause::Special(Class::Unspecified | Class::Multicast), _) => return None,
            (Cause::Special(Class::Loopback), _) => What::HostLoopback,
            (_, Subject::Name(name)) => What::Name(crate::Pattern::Exact(name.clone())),
            (_, Subject::Resolved(_, address) | Subject::Address(address)) => {
                What::Cidr(Cidr::single(*address))
            }
        };
        let (port, protocol) = self.port.unwrap_or((443, Protocol::Tcp));
        let rule = Rule { what, ports: Ports::one(port), protocol: Some(protocol) };
        Some(rule.text(Form::Allow))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (who, is) = match &self.subject {
            Subject::Name(name) => (name.to_string(), " is"),
            Subject::Address(address) => (address.to_string(), " is"),
            Subject::Resolved(name, address) => (format!("{name} leads to {address}"), ","),
        };
        match &self.cause {
            Cause::Denied(rule) => {
                write!(f, "{who}{is} denied by the rule `{}`", rule.text(Form::Deny))
            }
            Cause::Unlisted => write!(f, "{who}{is} allowed by no rule"),
            Cause::OtherPort => match self.port {
                Some((port, Protocol::Tcp)) => write!(f, "{who}{is} allowed, but not port {port}"),
                Some((port, Protocol::Udp)) => {
                    write!(f, "{who}{is} allowed, but not port {port} by UDP")
                }
                None => write!(f, "{who}{is} allowed, but not for an echo"),
            },
            Cause::Special(class) => write!(f, "{who}{is} {}, which no rule names", class.text()),
            Cause::Own => write!(f, "{who}{is} an address of this machine, which no rule names"),
        }
    }
}

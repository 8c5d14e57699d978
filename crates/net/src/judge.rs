//! From a wish of the program to a connection: what the rules say, what the name leads to, and
//! whether that address may be dialled. The address that was judged is the one that is dialled.

use crate::protocol::Decision;
use crate::resolve::{Outcome, datagrams_to};
use crate::state::{State, now};
use crate::upstream;
use std::fmt;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;
use swathe_netrules::{Cause, Name, Pattern, Ports, Protocol, Reason, Rule, Rules, Verdict, What};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a host may take to accept a connection, and how many of its addresses are tried.
const PATIENCE: Duration = Duration::from_secs(10);
const MAX_ADDRESSES: usize = 6;

/// To whom the program wants to speak.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A host by name.
    Name(Name),
    /// A host by address. A loopback address is that of the host.
    Address(IpAddr),
}

/// What the program wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// To whom.
    pub target: Target,
    /// Which port.
    pub port: u16,
    /// By TCP or UDP.
    pub protocol: Protocol,
}

impl fmt::Display for Wish {
    /// As events have it: `tcp:github.com:443`, `udp:[::1]:53`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = match self.protocol {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        };
        match &self.target {
            Target::Name(name) => write!(f, "{protocol}:{name}:{}", self.port),
            Target::Address(address) => {
                write!(f, "{protocol}:{}", SocketAddr::new(*address, self.port))
            }
        }
    }
}

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What kind of.
    pub kind: Kind,
    /// In words.
    pub reason: String,
    /// The rule that would allow it.
    pub fix: Option<String>,
}

/// What kind of refusal: proxies have an answer for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It is not granted.
    Denied,
    /// The name leads nowhere.
    NoName,
    /// The host does not accept it.
    Unreachable,
}

impl Refusal {
    pub fn denied(reason: &Reason) -> Self {
        Self { kind: Kind::Denied, reason: reason.to_string(), fix: reason.fix() }
    }

    fn unreachable(reason: String) -> Self {
        Self { kind: Kind::Unreachable, reason, fix: None }
    }

    pub fn no_name(reason: String) -> Self {
        Self { kind: Kind::NoName, reason, fix: None }
    }
}

/// A connection, and how it came about.
#[derive(Debug)]
pub struct Dialled {
    /// To the host, or through a proxy.
    pub stream: TcpStream,
    /// The address that was dialled; none through a proxy.
    pub address: Option<SocketAddr>,
    /// Whether the user was asked, and said yes.
    pub asked: bool,
    /// The [number](State::rules_number) of the rules that it was judged by.
    pub rules: u64,
}

/// Whether the rules allow the wish as it stands, before a name is resolved.
pub fn verdict(state: &State, wish: &Wish) -> Verdict {
    let rules = state.rules.borrow();
    match &wish.target {
        Target::Name(name) => rules.named(name, wish.port, wish.protocol),
        Target::Address(address) => {
            rules.addressed(*address, wish.port, wish.protocol, &own(*address))
        }
    }
}

/// Whether the rules do not allow any more what led to this address (none: through a proxy). What the
/// user said yes to (`asked`) goes on until a rule denies it, or its address.
pub fn is_over(state: &State, wish: &Wish, address: Option<SocketAddr>, asked: bool) -> bool {
    let verdict = match (&wish.target, address.map(|address| address.ip())) {
        (Target::Name(name), Some(address)) => {
            let rules = rules_with(state, wish, asked);
            rules.resolved(name, address, wish.port, wish.protocol, &own(address))
        }
        _ => verdict(state, wish),
    };
    match (verdict, &wish.target) {
        (Verdict::Allowed(_), _) => false,
        (Verdict::Refused(Reason { cause: Cause::Denied(_), .. }), _) => true,
        (Verdict::Refused(_), Target::Name(_)) if address.is_some() => true,
        (Verdict::Refused(_), _) => !asked,
    }
}

/// The address, if it is the host's own: a socket that is connected to it would be to itself. Asked
/// of the kernel each time, since addresses come and go; nothing is sent.
pub fn own(address: IpAddr) -> Vec<IpAddr> {
    const ANY_PORT: u16 = 9;
    let local = datagrams_to(SocketAddr::new(address, ANY_PORT)).and_then(|s| s.local_addr());
    local.ok().map(|local| local.ip()).filter(|local| *local == address).into_iter().collect()
}

/// As the rules say, and where they do not allow it, as the user says, if there is one to ask.
/// `asked`: whether one was.
async fn allowed(
    state: &State,
    wish: &Wish,
    peer: Option<SocketAddr>,
    asked: &mut bool,
) -> Result<(), Refusal> {
    let reason = match verdict(state, wish) {
        Verdict::Allowed(_) => return Ok(()),
        Verdict::Refused(reason) => reason,
    };
    if !state.ask.get() || reason.fix().is_none() {
        return Err(Refusal::denied(&reason));
    }
    *asked = true;
    match state.question(&wish.to_string(), peer).await {
        true => Ok(()),
        false => Err(Refusal::denied(&reason)),
    }
}

/// The addresses that may be dialled; at least one.
pub async fn addresses(
    state: &State,
    wish: &Wish,
    asked: bool,
) -> Result<Vec<SocketAddr>, Refusal> {
    let name = match &wish.target {
        Target::Address(address) => {
            // The host's own loopback interface may serve one family only.
            let other = IpAddr::from(Ipv4Addr::LOCALHOST);
            let both = address.is_loopback() && *address != other;
            let all = [Some(*address), both.then_some(other)];
            return Ok(all
                .into_iter()
                .flatten()
                .map(|ip| SocketAddr::new(ip, wish.port))
                .collect());
        }
        Target::Name(name) => name,
    };
    let found = match state.resolver.lookup(name).await {
        Outcome::Found(found) => found,
        Outcome::NoSuchName => {
            return Err(Refusal::no_name(format!("there is no host {name}")));
        }
        Outcome::NoAddress => {
            return Err(Refusal::no_name(format!("{name} has no address")));
        }
        Outcome::Failed(text) => {
            return Err(Refusal::no_name(format!("cannot look {name} up: {text}")));
        }
    };
    let rules = rules_with(state, wish, asked);
    let mut refused = None;
    let mut may = Vec::new();
    for address in found {
        match rules.resolved(name, address, wish.port, wish.protocol, &own(address)) {
            Verdict::Allowed(_) => may.push(SocketAddr::new(address, wish.port)),
            Verdict::Refused(reason) => refused = Some(reason),
        }
    }
    match refused {
        Some(reason) if may.is_empty() => Err(Refusal::denied(&reason)),
        _ => {
            // Where the host has one family only, the other fails at once.
            may.truncate(MAX_ADDRESSES);
            Ok(may)
        }
    }
}

/// The rules, and what the user has just said yes to: to the name, not to whatever it leads to.
fn rules_with(state: &State, wish: &Wish, asked: bool) -> Rules {
    let mut rules = state.rules.borrow().clone();
    if let (true, Target::Name(name)) = (asked, &wish.target) {
        let what = What::Name(Pattern::Exact(name.clone()));
        let ports = Ports::one(wish.port);
        rules.allow.push(Rule { what, ports, protocol: Some(wish.protocol) });
    }
    rules
}

/// Connects, if it may be; and reports what was decided.
pub async fn dial(
    state: &State,
    wish: &Wish,
    peer: Option<SocketAddr>,
) -> Result<Dialled, Refusal> {
    let mut asked = false;
    let rules = state.rules_number();
    let dialled = async {
        allowed(state, wish, peer, &mut asked).await?;
        connect(state, wish, asked).await
    };
    let dialled = dialled.await.map(|dialled| Dialled { rules, ..dialled });
    report(state, wish, peer, asked, dialled.as_ref().map(|one| one.address)).await;
    dialled
}

/// The address for datagrams, if they may be sent, and whether the user was asked; and reports what was
/// decided.
pub async fn resolve_datagrams(
    state: &State,
    wish: &Wish,
    peer: Option<SocketAddr>,
) -> Result<(SocketAddr, bool), Refusal> {
    let mut asked = false;
    let found = async {
        allowed(state, wish, peer, &mut asked).await?;
        let all = addresses(state, wish, asked).await?;
        all.first().copied().ok_or_else(|| Refusal::unreachable("no address".to_owned()))
    };
    let found = found.await;
    report(state, wish, peer, asked, found.as_ref().map(|address| Some(*address))).await;
    found.map(|address| (address, asked))
}

async fn report(
    state: &State,
    wish: &Wish,
    peer: Option<SocketAddr>,
    asked: bool,
    done: Result<Option<SocketAddr>, &Refusal>,
) {
    let decision = Decision {
        time: now(),
        object: wish.to_string(),
        address: done.ok().flatten(),
        peer,
        // What the network itself does not do was not denied.
        allowed: done.err().is_none_or(|refusal| refusal.kind != Kind::Denied),
        asked,
        reason: done.err().map(|refusal| refusal.reason.clone()),
        fix: done.err().and_then(|refusal| refusal.fix.clone()),
    };
    state.show(decision).await;
}

async fn connect(state: &State, wish: &Wish, asked: bool) -> Result<Dialled, Refusal> {
    if let Some(proxy) = &state.upstream
        && !is_near(&wish.target)
    {
        let stream = timeout(PATIENCE, upstream::connect(proxy, wish)).await;
        return match stream {
            Ok(Ok(stream)) => Ok(Dialled { stream, address: None, asked, rules: 0 }),
            Ok(Err(e)) => Err(Refusal::unreachable(format!("the proxy {}: {e}", proxy.address))),
            Err(_) => Err(Refusal::unreachable(format!("the proxy {} is slow", proxy.address))),
        };
    }
    let mut last = String::from("no address");
    for address in addresses(state, wish, asked).await? {
        match timeout(PATIENCE, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                return Ok(Dialled { stream, address: Some(address), asked, rules: 0 });
            }
            Ok(Err(e)) => last = format!("{address}: {}", words(&e)),
            Err(_) => last = format!("{address}: no answer"),
        }
    }
    Err(Refusal::unreachable(last))
}

/// A proxy is not asked for what is on this machine.
fn is_near(target: &Target) -> bool {
    matches!(target, Target::Address(address) if address.is_loopback())
}

fn words(e: &std::io::Error) -> String {
    match e.kind() {
        ErrorKind::ConnectionRefused => "connection refused".to_owned(),
        _ => e.to_string(),
    }
}

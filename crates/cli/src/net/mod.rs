//! The network of a run by rules: the helper that relays, the sockets that are made for it inside
//! the sandbox, and what is done with what it reports.
//!
//! The order is what makes it safe: the program is held back until its network is set up and the
//! helper has begun; if any of it fails, the program does not run.

mod apart;
mod asking;
mod bridge;
mod events;
mod explicit;
mod host;
mod keeper;
mod view;
mod who;

pub use apart::Apart;
pub use bridge::{Bridge, PASTA, Resolver};
pub use explicit::tell;
pub use host::upstream;
pub use keeper::{Controls, Keeper, Sink, View};
pub use view::{Arguments, run};

use crate::out::Failure;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashSet};
use std::net::TcpListener;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use swathe_net::Helper;
use swathe_net::protocol::{Config, Role, Upstream};
use swathe_netns::{Inside, Made, Request, Way};
use swathe_netrules::fixed::RESOLVER_PORT;
use swathe_netrules::{Ports, Protocol, Publish, Rules};
use swathe_policy::resolve::Network;

/// Connections of a sandbox at the same time.
const MAX_CONNECTIONS: usize = 16_384;
/// Ports that are listened at one by one.
const MAX_UDP: usize = 1024;

/// What a sandbox may reach, and what may be reached of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Reach {
    /// What is allowed and denied.
    pub rules: Rules,
    /// Ports of the host that lead to servers inside.
    pub publish: Vec<Publish>,
}

impl From<&Network> for Reach {
    fn from(network: &Network) -> Self {
        Self { rules: network.rules.clone(), publish: network.publish.clone() }
    }
}

/// Ports of the loopback interface that lead to the host's: the first and the last of each range.
#[must_use]
pub fn relayed(network: &Network) -> Vec<(u16, u16)> {
    let tcp = network.rules.host_loopback(Protocol::Tcp);
    let all = tcp.chain(network.rules.host_loopback(Protocol::Udp));
    all.flat_map(|ports| ports.ranges().to_vec()).collect()
}

/// What was made before the sandbox: it fails early, and the helper starts meanwhile.
#[derive(Debug)]
pub struct Prepared {
    reach: Reach,
    way: Way,
    helper: Helper,
    published: Vec<(Role, OwnedFd)>,
    asks: bool,
}

/// How a network is set up.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Options {
    /// By which way, if not by the best: a name of [`way`].
    pub way: Option<String>,
    /// A proxy of the host through which everything goes.
    pub upstream: Option<Upstream>,
}

impl Prepared {
    /// Listens on the host for what is published, and starts the helper. `asks`: whether there is
    /// somebody to ask.
    ///
    /// # Errors
    /// A port is taken, or the helper cannot be started.
    pub fn new(reach: Reach, options: &Options, asks: bool) -> Result<Self, Failure> {
        let way = options.way.as_deref().map_or(Ok(Way::Auto), way)?;
        let published = reach
            .publish
            .iter()
            .map(|publish| listen(publish.host).map(|fd| (Role::Published(publish.port), fd)))
            .collect::<Result<_, _>>()?;
        let config = Config {
            rules: reach.rules.clone(),
            ask: asks,
            servers: host::servers(),
            hosts: host::hosts(),
            upstream: options.upstream.clone(),
            connections: MAX_CONNECTIONS,
        };
        let program = std::env::current_exe().map_err(|e| failed(&e))?;
        let helper = Helper::start(&program, &config).map_err(|e| failed(&e))?;
        Ok(Self { reach, way, helper, published, asks })
    }

    /// Sets the network of a sandbox up that is held back. `netns`: its network namespace. `sandbox`:
    /// becomes readable when it has ended; `engine` is its process.
    ///
    /// # Errors
    /// It cannot be set up: then the program must not run.
    pub fn attach(
        self,
        netns: OwnedFd,
        sandbox: BorrowedFd<'_>,
        engine: u32,
        sink: Sink,
    ) -> Result<Keeper, Failure> {
        let request = request(&self.reach.rules, self.way)?;
        let program = std::env::current_exe().map_err(|e| failed(&e))?;
        let (mut inside, made) = Inside::start(&program, netns.as_fd(), sandbox, &request)
            .map_err(|e| set_up(&e, self.way))?;
        // As long as it is open the namespace stays.
        drop(netns);
        let way = made.way;
        let mut listening = listening(&made);
        let mut sockets = roles(made);
        if way == Way::Nft {
            for (port, socket) in loopback(&mut inside, &self.reach.rules)? {
                listening.insert((Protocol::Tcp, port));
                sockets.push((Role::Tcp, socket));
            }
        }
        let link = self.helper.link();
        link.give(sockets).map_err(|e| failed(&e))?;
        link.begin().map_err(|e| failed(&e))?;
        // Somebody may have connected already: what the helper says of that comes after its first
        // word, by which it has begun.
        link.give(self.published).map_err(|e| failed(&e))?;
        let engine = who::Sandbox(engine);
        let inside = keeper::Within { inside, way, listening };
        Keeper::start(self.helper, inside, self.asks, self.reach, engine, sink)
    }
}

/// Listens on the host, for other programs of the host or of others.
fn listen(address: std::net::SocketAddr) -> Result<OwnedFd, Failure> {
    match TcpListener::bind(address) {
        Ok(listener) => Ok(listener.into()),
        Err(e) => {
            let failure = Failure::new(format!("cannot publish at {address}: {e}"));
            Err(match e.kind() {
                std::io::ErrorKind::AddrInUse => {
                    failure.hint("another program listens there: --publish PORT:PORT names another")
                }
                _ => failure,
            })
        }
    }
}

/// What is to be made inside.
fn request(rules: &Rules, way: Way) -> Result<Request, Failure> {
    // Thousands of rules are mostly for the same ports.
    let tcp = Ports::ranges_of_all(rules.ports(Protocol::Tcp));
    let tcp = tcp.into_iter().map(|(first, last)| first..=last).collect();
    let mut udp = BTreeSet::new();
    for ports in rules.ports(Protocol::Udp) {
        if ports.is_all() {
            // Whoever wants all means TCP, and names what is wanted by UDP.
            continue;
        }
        udp.extend(ports.ranges().iter().flat_map(|(first, last)| *first..=*last));
    }
    if udp.len() > MAX_UDP {
        let text = format!("rules for {} ports by UDP: {MAX_UDP} are possible", udp.len());
        return Err(Failure::new(text).hint("name those that are used, such as HOST:123/udp"));
    }
    // That one has a socket: who is asked there decides who is meant.
    udp.remove(&RESOLVER_PORT);
    Ok(Request { way, tcp, udp: udp.into_iter().collect(), echo: true })
}

/// The sockets by the helper's names for them.
fn roles(made: Made) -> Vec<(Role, OwnedFd)> {
    use swathe_netns::Role as Made;
    let is_redirected = made.way == Way::Nft;
    let role = |role| match role {
        Made::Tcp => Role::Redirected,
        // Whom a question was for is asked of the redirect: ours, or a server that was granted.
        Made::DnsTcp if is_redirected => Role::Redirected,
        Made::TcpPort(_) | Made::DnsTcp | Made::Unconnected => Role::Tcp,
        Made::Udp(port) => Role::Udp(port),
        Made::DnsUdp => Role::Names,
        Made::HttpProxy => Role::HttpProxy,
        Made::Socks => Role::Socks,
        Made::Echo4 => Role::Echo4,
        Made::Echo6 => Role::Echo6,
    };
    made.sockets.into_iter().map(|(one, fd)| (role(one), fd)).collect()
}

/// Ports at which something listens inside for every address, or for those of the loopback interface.
fn listening(made: &Made) -> HashSet<(Protocol, u16)> {
    use swathe_netns::Role as Made;
    let port = |role| match role {
        Made::TcpPort(port) => Some((Protocol::Tcp, port)),
        Made::Udp(port) => Some((Protocol::Udp, port)),
        Made::DnsUdp => Some((Protocol::Udp, RESOLVER_PORT)),
        // With a redirect it is at a port that the kernel chose.
        Made::DnsTcp if made.way == Way::AnyIp => Some((Protocol::Tcp, RESOLVER_PORT)),
        _ => None,
    };
    made.sockets.iter().filter_map(|(role, _)| port(*role)).collect()
}

/// Ports of the host's loopback interface that the program reaches at its own: nothing redirects
/// what is to a loopback address.
fn loopback(inside: &mut Inside, rules: &Rules) -> Result<Vec<(u16, OwnedFd)>, Failure> {
    let ports = rules.host_loopback(Protocol::Tcp).filter(|ports| !ports.is_all());
    let ranges = ports.flat_map(|ports| ports.ranges().to_vec());
    let all: BTreeSet<u16> = ranges.flat_map(|(first, last)| first..=last).collect();
    all.into_iter()
        .map(|port| Ok((port, inside.listen_tcp(port).map_err(|e| set_up(&e, Way::Nft))?)))
        .collect()
}

fn set_up(error: &dyn std::fmt::Display, way: Way) -> Failure {
    let failure = Failure::new(format!("cannot set up the sandbox's network: {error}"));
    match way {
        Way::Auto => failure.hint("swathe doctor says what this machine can do").hint(format!(
            "--allow-degraded {} runs with a proxy, for programs that use one",
            explicit::LAYER
        )),
        _ => failure,
    }
}

fn failed(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(format!("cannot start the helper for the network: {error}"))
}

/// The best way that the machine has.
pub const AUTO: &str = "auto";
/// The ways by their names on the command line.
const WAYS: [(&str, Way); 3] = [("nft", Way::Nft), ("routes", Way::AnyIp), ("proxy", Way::Proxy)];

/// A way of this name; `auto` is the best that the machine has.
///
/// # Errors
/// There is none.
pub fn way(name: &str) -> Result<Way, Failure> {
    if name == AUTO {
        return Ok(Way::Auto);
    }
    let found = WAYS.iter().find(|(word, _)| *word == name).map(|(_, way)| *way);
    found.ok_or_else(|| {
        let text = format!("{} is no way to set a network up", crate::out::shown(name));
        Failure::new(text).hint("auto, nft, routes and proxy are; and pasta for net.all")
    })
}

/// The name of a way.
fn way_name(way: Way) -> &'static str {
    WAYS.iter().find(|(_, one)| *one == way).map_or(AUTO, |(name, _)| name)
}

//! What the helper and whoever started it say to each other: one JSON value a message, over a socket
//! that keeps messages apart. Descriptors come with the message that speaks of them.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::net::{IpAddr, SocketAddr};
use swathe_netrules::{Name, Rules};

/// The longest message, in bytes.
pub const MAX_MESSAGE: usize = 128 << 10;
/// Rules of one message: they fit, however long they are.
pub const MAX_RULES: usize = 64;
/// Descriptors of one message.
pub const MAX_FDS: usize = 64;

/// What the helper is started with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Config {
    /// What may be reached.
    pub rules: Rules,
    /// Whether somebody is asked about the rest.
    pub ask: bool,
    /// The host's own servers of names, in order.
    pub servers: Vec<SocketAddr>,
    /// Names that the host knows without them.
    pub hosts: Vec<(Name, Vec<IpAddr>)>,
    /// A proxy through which everything goes.
    pub upstream: Option<Upstream>,
    /// Connections at the same time, of all kinds.
    pub connections: usize,
}

/// A proxy of the host's.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Upstream {
    /// Where it is.
    pub address: SocketAddr,
    /// Whether it speaks SOCKS 5, and not HTTP.
    pub socks: bool,
    /// A name and a password, `name:password`.
    pub login: Option<String>,
}

/// What a socket of the sandbox is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Listens for connections to every port; where they were to is asked of the kernel.
    Redirected,
    /// Listens at one port of every address, or of the loopback interface.
    Tcp,
    /// Receives datagrams to this port of every address.
    Udp(u16),
    /// Receives questions for names.
    Names,
    /// Listens for programs that insist on a proxy, and speak HTTP.
    HttpProxy,
    /// The same for SOCKS.
    Socks,
    /// Receives echo requests (IPv4, or IPv6).
    Echo4,
    /// The same for IPv6.
    Echo6,
    /// Not connected yet: for a connection to a server inside.
    Inside {
        /// Of IPv6, or IPv4.
        ipv6: bool,
    },
    /// Listens on the host, for a server at this port inside.
    Published(u16),
}

/// To the helper.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Sockets, a role for each descriptor of the message.
    Sockets(Vec<Role>),
    /// It has all that it needs to begin, and says when it has begun.
    Begin,
    /// Some of other rules, which hold from the last message of them on. Connections that they do
    /// not allow end.
    Rules {
        /// Some of the new ones, behind those of the messages before.
        rules: Rules,
        /// As in [`Config::ask`].
        ask: bool,
        /// Whether these are all.
        last: bool,
    },
    /// An answer to a question.
    Answer {
        /// Which.
        question: u64,
        /// Whether it may.
        allow: bool,
    },
    /// A port of the host is not published any more; its connections end.
    Unpublish(SocketAddr),
    /// Lists the connections.
    List,
}

/// From the helper.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Report {
    /// It has begun.
    Ready,
    /// It cannot begin: why.
    Trouble(String),
    /// A decision.
    Decided(Decision),
    /// The program waits for an answer to this.
    Question {
        /// Which.
        id: u64,
        /// To what it wants to connect.
        target: String,
        /// From where, inside.
        peer: Option<SocketAddr>,
    },
    /// Nobody waits for the answer any more.
    Withdrawn(u64),
    /// A socket inside is needed ([`Role::Inside`]): for IPv6, or IPv4.
    NeedInside {
        /// Which.
        ipv6: bool,
    },
    /// Some of the connections; the last message of a list says so.
    List {
        /// Some.
        rows: Vec<Row>,
        /// Whether that were all.
        last: bool,
    },
    /// So many reports were left out: nobody took them.
    Lost(u64),
}

/// What was decided about a wish of the program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Microseconds since 1970, UTC.
    pub time: u64,
    /// `tcp:github.com:443`, `udp:…`, `dns:name`, `echo:…`.
    pub object: String,
    /// The address that was dialled, where one was.
    pub address: Option<SocketAddr>,
    /// Where it came from, inside.
    pub peer: Option<SocketAddr>,
    /// Whether it was allowed.
    pub allowed: bool,
    /// Whether the user was asked.
    pub asked: bool,
    /// Why not, or what went wrong.
    pub reason: Option<String>,
    /// The rule that would allow it.
    pub fix: Option<String>,
}

/// A connection, or an exchange of datagrams.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Unique in a run; in the order of their beginning.
    pub id: u64,
    /// As in [`Decision::object`].
    pub object: String,
    /// The address that was dialled.
    pub address: Option<SocketAddr>,
    /// Milliseconds since it began.
    pub age: u64,
    /// Bytes from the program.
    pub sent: u64,
    /// Bytes to it.
    pub received: u64,
}

/// The bytes of a message; none where it is too long.
#[must_use]
pub fn encode(message: &impl Serialize) -> Option<Vec<u8>> {
    serde_json::to_vec(message).ok().filter(|bytes| bytes.len() <= MAX_MESSAGE)
}

/// The message of these bytes, where they are one.
#[must_use]
pub fn decode<M: DeserializeOwned>(bytes: &[u8]) -> Option<M> {
    serde_json::from_slice(bytes).ok()
}

//! Requests and replies. A request is one message of a `SOCK_SEQPACKET` pair, the next one only after
//! the reply. A reply is one message or more: sockets in groups, and before them what was tried in
//! vain.

use rustix::io::Errno;
use std::ops::RangeInclusive;

/// The most ports that can have a listener of their own, for each of TCP and UDP.
pub const MAX_PORTS: usize = 4096;

/// Bytes before the ports of a request.
const HEAD: usize = 8;

/// The longest request in bytes.
pub const MAX_REQUEST: usize = HEAD + 4 * MAX_PORTS + 2 * MAX_PORTS;

/// Bytes of a reply before its sockets.
const REPLY_HEAD: usize = 12;

/// Bytes of a socket's role.
const ROLE: usize = 4;

/// The longest reply in bytes.
pub const MAX_REPLY: usize = REPLY_HEAD + ROLE * swathe_helper::MAX_FDS;

/// How connections are brought to the sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Way {
    /// [`Self::Nft`] where the kernel can do that, else [`Self::AnyIp`].
    Auto = 0,
    /// All of TCP by a rule of nftables to one listener, [`Role::Tcp`], which finds the destination
    /// by `SO_ORIGINAL_DST`. Programs can listen on any port themselves.
    Nft,
    /// A listener for each port, [`Role::TcpPort`]: its accepted sockets have the destination as
    /// their own address. Programs can listen on these ports at loopback addresses only.
    AnyIp,
    /// Nothing but explicit proxies at 127.0.0.1, for programs that are told to use them.
    Proxy,
}

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// How.
    pub way: Way,
    /// The TCP ports that programs may connect to; [`Way::Nft`] takes all anyway.
    pub tcp: Vec<RangeInclusive<u16>>,
    /// The UDP ports.
    pub udp: Vec<u16>,
    /// Whether ping is answered, by whom reads the sockets [`Role::Echo4`] and [`Role::Echo6`].
    /// Nobody answers otherwise.
    pub echo: bool,
}

/// What a socket is for. TCP sockets listen. All have `O_NONBLOCK`. Where the kernel has IPv6 a
/// socket serves both families, but for the proxies and echo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Connections to any address and port, with [`Way::Nft`]. The destination is in
    /// `SO_ORIGINAL_DST`; a program can also connect to the listener itself, at loopback: refuse
    /// destinations that are loopback.
    Tcp,
    /// Connections to any address at this port.
    TcpPort(u16),
    /// Datagrams to any address at this port; see [`swathe_sys::datagram`].
    Udp(u16),
    /// Datagrams to any address at port 53.
    DnsUdp,
    /// Connections to any address at port 53.
    DnsTcp,
    /// Connections to the HTTP proxy.
    HttpProxy,
    /// Connections to the SOCKS proxy.
    Socks,
    /// A raw ICMP socket: echo requests to any address, with their IPv4 header.
    Echo4,
    /// A raw ICMPv6 socket: echo requests to any address.
    Echo6,
    /// A TCP socket that was asked for alone and is not connected.
    Unconnected,
}

impl Role {
    fn encode(self) -> [u8; ROLE] {
        let (kind, port) = match self {
            Self::Tcp => (1, 0),
            Self::TcpPort(port) => (2, port),
            Self::Udp(port) => (3, port),
            Self::DnsUdp => (4, 0),
            Self::DnsTcp => (5, 0),
            Self::HttpProxy => (6, 0),
            Self::Socks => (7, 0),
            Self::Echo4 => (8, 0),
            Self::Echo6 => (9, 0),
            Self::Unconnected => (10, 0),
        };
        let [p0, p1] = u16::to_ne_bytes(port);
        [kind, 0, p0, p1]
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let &[kind, 0, p0, p1] = bytes else { return None };
        Some(match (kind, u16::from_ne_bytes([p0, p1])) {
            (1, 0) => Self::Tcp,
            (2, port) => Self::TcpPort(port),
            (3, port) => Self::Udp(port),
            (4, 0) => Self::DnsUdp,
            (5, 0) => Self::DnsTcp,
            (6, 0) => Self::HttpProxy,
            (7, 0) => Self::Socks,
            (8, 0) => Self::Echo4,
            (9, 0) => Self::Echo6,
            (10, 0) => Self::Unconnected,
            _ => return None,
        })
    }
}

/// The step that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Step {
    /// The request makes no sense to the helper.
    Request = 1,
    /// Cutting itself off from its surroundings.
    Isolate,
    /// Finding and joining the user namespace of the sandbox.
    JoinUser,
    /// Joining the network namespace.
    JoinNetwork,
    /// Bringing the loopback interface up, which the engine does later.
    Loopback,
    /// Switching IPv6 on.
    Ipv6,
    /// Keeping the kernel from answering ping.
    EchoIgnore,
    /// Letting the sandbox's group use ping.
    EchoAllow,
    /// Giving the loopback interface an address.
    Address,
    /// Making all addresses local.
    Route,
    /// Redirecting all TCP by nftables.
    Redirect,
    /// More ports than can have listeners.
    TooManyPorts,
    /// Making a socket.
    Socket,
    /// Binding a socket to its port.
    Bind,
    /// Listening.
    Listen,
    /// Giving up capabilities.
    Capabilities,
    /// Giving up system calls.
    Filter,
}

const STEPS: [Step; 17] = [
    Step::Request,
    Step::Isolate,
    Step::JoinUser,
    Step::JoinNetwork,
    Step::Loopback,
    Step::Ipv6,
    Step::EchoIgnore,
    Step::EchoAllow,
    Step::Address,
    Step::Route,
    Step::Redirect,
    Step::TooManyPorts,
    Step::Socket,
    Step::Bind,
    Step::Listen,
    Step::Capabilities,
    Step::Filter,
];

/// A step that failed, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The step.
    pub step: Step,
    /// The error, where a system call failed.
    pub errno: Option<Errno>,
    /// The port that it was about; 0 where it was about none.
    pub port: u16,
}

impl Refusal {
    /// Something that was found, without an error of the system.
    pub fn found(step: Step) -> Self {
        Self { step, errno: None, port: 0 }
    }
}

/// `map_err(at(step))`.
pub fn at(step: Step) -> impl Fn(Errno) -> Refusal {
    at_port(step, 0)
}

/// `map_err(at_port(step, port))`.
pub fn at_port(step: Step, port: u16) -> impl Fn(Errno) -> Refusal {
    move |errno| Refusal { step, errno: Some(errno), port }
}

/// What the helper is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// All that is made before the program starts; once, and first.
    SetUp(Request),
    /// A TCP socket, of IPv6 or IPv4, that is not connected.
    Socket {
        /// Which.
        ipv6: bool,
    },
    /// A listener more, of [`Way::AnyIp`].
    ListenTcp(u16),
    /// A UDP port more.
    ListenUdp(u16),
}

impl Asked {
    /// The message; `None` if it has too many ports.
    pub fn encode(&self) -> Option<Vec<u8>> {
        let (op, flags, port) = match *self {
            Self::SetUp(ref request) => return set_up(request),
            Self::Socket { ipv6 } => (2, u8::from(ipv6), 0),
            Self::ListenTcp(port) => (3, 0, port),
            Self::ListenUdp(port) => (4, 0, port),
        };
        let mut message = vec![op, flags, 0, 0];
        message.extend(u16::to_ne_bytes(port));
        message.extend([0, 0]);
        Some(message)
    }

    /// What a message says; `None` if it is no request.
    pub fn decode(message: &[u8]) -> Option<Self> {
        let (head, ports) = message.split_first_chunk::<HEAD>()?;
        let [op, flags, echo, 0, a0, a1, b0, b1] = *head else { return None };
        let (a, b) = (u16::from_ne_bytes([a0, a1]), u16::from_ne_bytes([b0, b1]));
        match (op, flags, echo, b, ports.is_empty()) {
            (1, way, 0 | 1, ..) => {
                let way = [Way::Auto, Way::Nft, Way::AnyIp, Way::Proxy].get(usize::from(way))?;
                let (tcp, udp) = ports.split_at_checked(4 * usize::from(a))?;
                if usize::from(a).max(usize::from(b)) > MAX_PORTS || udp.len() != 2 * usize::from(b)
                {
                    return None;
                }
                let tcp: Vec<_> = numbers(tcp).collect();
                let tcp = tcp.chunks_exact(2).map(|pair| pair[0]..=pair[1]).collect();
                let udp = numbers(udp).collect();
                Some(Self::SetUp(Request { way: *way, tcp, udp, echo: echo == 1 }))
            }
            (2, 0 | 1, 0, 0, true) if a == 0 => Some(Self::Socket { ipv6: flags == 1 }),
            (3, 0, 0, 0, true) => Some(Self::ListenTcp(a)),
            (4, 0, 0, 0, true) => Some(Self::ListenUdp(a)),
            _ => None,
        }
    }
}

fn set_up(request: &Request) -> Option<Vec<u8>> {
    let Request { way, tcp, udp, echo } = request;
    let count = |length: usize| u16::try_from(length).ok().filter(|_| length <= MAX_PORTS);
    let mut message = vec![1, *way as u8, u8::from(*echo), 0];
    message.extend(count(tcp.len())?.to_ne_bytes());
    message.extend(count(udp.len())?.to_ne_bytes());
    for port in tcp.iter().flat_map(|range| [range.start(), range.end()]).chain(udp) {
        message.extend(port.to_ne_bytes());
    }
    Some(message)
}

fn numbers(bytes: &[u8]) -> impl Iterator<Item = u16> {
    bytes.chunks_exact(2).map(|pair| u16::from_ne_bytes([pair[0], pair[1]]))
}

/// A message of a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Whether another follows.
    pub more: bool,
    /// How it was made, or was tried to be.
    pub way: Way,
    /// What the descriptors that come with it are for; or what failed, of which there may be more
    /// where another way was tried then.
    pub result: Result<Vec<Role>, Refusal>,
}

impl Reply {
    /// The message.
    pub fn encode(&self) -> Vec<u8> {
        let (step, errno, port, roles) = match &self.result {
            Ok(roles) => (0, 0, 0, roles.as_slice()),
            Err(Refusal { step, errno, port }) => {
                (*step as u8, errno.map_or(0, Errno::raw_os_error), *port, &[][..])
            }
        };
        let mut message = vec![step, self.way as u8, u8::from(self.more), 0];
        message.extend(errno.to_ne_bytes());
        message.extend(port.to_ne_bytes());
        // The kernel takes no more than 253 descriptors in a message.
        message.extend(u16::try_from(roles.len()).unwrap_or(u16::MAX).to_ne_bytes());
        message.extend(roles.iter().flat_map(|role| role.encode()));
        message
    }

    /// What a message says; `None` if it is no reply.
    pub fn decode(message: &[u8]) -> Option<Self> {
        let (head, rest) = message.split_first_chunk::<REPLY_HEAD>()?;
        let [step, way, more @ (0 | 1), 0, e0, e1, e2, e3, p0, p1, n0, n1] = *head else {
            return None;
        };
        let way = *[Way::Auto, Way::Nft, Way::AnyIp, Way::Proxy].get(usize::from(way))?;
        let (errno, port) = (i32::from_ne_bytes([e0, e1, e2, e3]), u16::from_ne_bytes([p0, p1]));
        if rest.len() != ROLE * usize::from(u16::from_ne_bytes([n0, n1])) {
            return None;
        }
        let result = if step == 0 {
            let roles: Option<Vec<_>> = rest.chunks_exact(ROLE).map(Role::decode).collect();
            Ok(roles.filter(|_| errno == 0 && port == 0)?)
        } else {
            let step = *STEPS.iter().find(|known| **known as u8 == step && rest.is_empty())?;
            let errno = match errno {
                0 => None,
                1..4096 => Some(Errno::from_raw_os_error(errno)),
                _ => return None,
            };
            Err(Refusal { step, errno, port })
        };
        Some(Self { more: more == 1, way, result })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests() -> Vec<Asked> {
        let request = |way, echo| Request { way, tcp: vec![80..=80, 1..=9], udp: vec![53], echo };
        let none = Request { way: Way::AnyIp, tcp: vec![], udp: vec![], echo: false };
        vec![
            Asked::SetUp(request(Way::Auto, false)),
            Asked::SetUp(request(Way::Proxy, true)),
            Asked::SetUp(none),
            Asked::Socket { ipv6: true },
            Asked::Socket { ipv6: false },
            Asked::ListenTcp(65535),
            Asked::ListenUdp(1),
        ]
    }

    fn replies() -> Vec<Reply> {
        let roles = [Role::Tcp, Role::TcpPort(1), Role::Udp(65535), Role::DnsUdp, Role::DnsTcp];
        let more = [Role::HttpProxy, Role::Socks, Role::Echo4, Role::Echo6, Role::Unconnected];
        let roles = [roles, more].concat();
        let failed = STEPS.iter().flat_map(|&step| {
            [at_port(step, 80)(Errno::ADDRINUSE), Refusal::found(step)].map(|refusal| Reply {
                more: true,
                way: Way::Nft,
                result: Err(refusal),
            })
        });
        let made = [roles, Vec::new()].map(|roles| Reply {
            more: false,
            way: Way::AnyIp,
            result: Ok(roles),
        });
        failed.chain(made).collect()
    }

    /// What is encoded is decoded as it was.
    #[test]
    fn there_and_back() {
        for request in requests() {
            let message = request.encode().expect("short");
            assert!(message.len() <= MAX_REQUEST);
            assert_eq!(Asked::decode(&message), Some(request));
        }
        for reply in replies() {
            let message = reply.encode();
            assert!(message.len() <= MAX_REPLY);
            assert_eq!(Reply::decode(&message), Some(reply));
        }
    }

    /// Messages that are cut, longer, or changed in a byte are refused or mean something else, but
    /// never break anything.
    #[test]
    fn other_messages() {
        for message in requests().iter().map(|request| request.encode().expect("short")) {
            for end in 0..message.len() {
                assert_eq!(Asked::decode(&message[..end]), None);
            }
            assert_eq!(Asked::decode(&[&message[..], b"x"].concat()), None);
            for (i, byte) in (0..message.len()).flat_map(|i| (0..=255).map(move |byte| (i, byte))) {
                let mut other = message.clone();
                other[i] = byte;
                if let Some(found) = Asked::decode(&other) {
                    assert_eq!(found.encode().expect("short"), other);
                }
            }
        }
        for message in replies().iter().map(Reply::encode) {
            for end in 0..message.len() {
                assert_eq!(Reply::decode(&message[..end]), None);
            }
            assert_eq!(Reply::decode(&[&message[..], b"x"].concat()), None);
            for (i, byte) in (0..message.len()).flat_map(|i| (0..=255).map(move |byte| (i, byte))) {
                let mut other = message.clone();
                other[i] = byte;
                if let Some(found) = Reply::decode(&other) {
                    assert_eq!(found.encode(), other);
                }
            }
        }
    }

    /// Too many ports make no message.
    #[test]
    fn many_ports() {
        let request = |tcp, udp| {
            let request =
                Request { way: Way::Auto, tcp: vec![1..=1; tcp], udp: vec![1; udp], echo: false };
            Asked::SetUp(request).encode()
        };
        assert!(request(MAX_PORTS, MAX_PORTS).is_some_and(|it| it.len() == MAX_REQUEST));
        assert_eq!(request(MAX_PORTS + 1, 0), None);
        assert_eq!(request(0, MAX_PORTS + 1), None);
    }
}

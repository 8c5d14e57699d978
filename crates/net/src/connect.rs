//! HTTP proxies: what a program asks of the one in its sandbox, and what an upstream one is asked.

use crate::sniff::http::{Body, Head, Refusal, absolute, end_of_head, quoted};
use crate::target::{Target, split};
use data_encoding::BASE64;
use std::fmt;

/// The longest head of an upstream proxy's answer, in bytes.
pub const LONGEST_REPLY: usize = 16 * 1024;

const HTTP: u16 = 80;

/// What a client asks of the proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// A tunnel (`CONNECT`): answered by [`ESTABLISHED`], then bytes go both ways. What they are
    /// is checked like any other connection's.
    Tunnel {
        /// The host.
        target: Target,
        /// The port.
        port: u16,
        /// Bytes of the request; what is behind them is for the server.
        used: usize,
    },
    /// One request (`GET http://…`).
    Forward(Forward),
}

/// A request as it goes on to its server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forward {
    /// The host.
    pub target: Target,
    /// The port; 80 where none is said.
    pub port: u16,
    /// Bytes of the request's head.
    pub used: usize,
    /// The head for the server: origin form, its own `Host`, no headers that are for the proxy, and
    /// `Connection: close`, since the next request may be for another host.
    pub head: Vec<u8>,
    /// What belongs to it of the bytes behind its head. Nothing behind its end goes on.
    pub body: Body,
}

/// The answer to a tunnel that is there.
pub const ESTABLISHED: &[u8] = b"HTTP/1.1 200 Connection established\r\n\r\n";

/// Reads one request to a proxy. `scanned` is 0 at first, and the same variable with the same bytes
/// and more later. `None`: its head is not here as a whole.
///
/// # Errors
/// It is no request to a proxy, or none that is served. Nothing was forwarded.
pub fn request(pending: &[u8], scanned: &mut usize) -> Result<Option<Asked>, Refusal> {
    let Some(used) = end_of_head(pending, scanned)? else { return Ok(None) };
    let head = Head::parse(&pending[..used])?;
    match head.method {
        "CONNECT" => {
            let (target, port) = authority(head.target)?;
            let port = port.ok_or_else(|| Refusal::bad("`CONNECT` without a port"))?;
            Ok(Some(Asked::Tunnel { target, port, used }))
        }
        "TRACE" | "PRI" => {
            Err(Refusal::new(405, format!("the method `{}` is not forwarded", head.method)))
        }
        _ if head.target.starts_with('/') || head.target == "*" => Err(Refusal::bad(
            "this is a proxy: it takes `CONNECT host:port` and requests with `http://host/`",
        )),
        _ => forward(&head, used).map(|forward| Some(Asked::Forward(forward))),
    }
}

fn authority(text: &str) -> Result<(Target, Option<u16>), Refusal> {
    let parts = split(text.as_bytes());
    let target = parts.and_then(|(host, port)| Some((Target::parse(host)?, port)));
    target.ok_or_else(|| {
        let text = quoted(text.as_bytes());
        Refusal::bad(format!("`{text}` is neither a host nor an address, with a port or without"))
    })
}

fn forward(head: &Head<'_>, used: usize) -> Result<Forward, Refusal> {
    let (host, path) = absolute(head.target)?;
    let (target, port) = authority(host)?;
    let port = port.unwrap_or(HTTP);
    if path.contains('#') {
        return Err(Refusal::bad("a target with a fragment"));
    }
    let mut text = format!("{} ", head.method).into_bytes();
    match path {
        "" if head.method == "OPTIONS" => text.push(b'*'),
        path if path.starts_with('/') => {}
        _ => text.push(b'/'),
    }
    text.extend_from_slice(path.as_bytes());
    text.extend_from_slice(format!(" HTTP/1.{}\r\nHost: {target}", head.minor).as_bytes());
    if port != HTTP {
        text.extend_from_slice(format!(":{port}").as_bytes());
    }
    text.extend_from_slice(b"\r\nConnection: close\r\n");
    let named: Vec<&[u8]> = head.list("connection").collect();
    for header in &head.headers {
        if stays(header.name, &named)? {
            text.extend_from_slice(header.name.as_bytes());
            text.extend_from_slice(b": ");
            text.extend_from_slice(header.value);
            text.extend_from_slice(b"\r\n");
        }
    }
    text.extend_from_slice(b"\r\n");
    Ok(Forward { target, port, used, head: text, body: Body::new(head.body) })
}

/// Whether a header goes on: none that is between client and proxy (RFC 9110, 7.6.1), and none that
/// `Connection` names. What says how long the body is has to stay.
fn stays(name: &str, named: &[&[u8]]) -> Result<bool, Refusal> {
    const FRAMING: [&str; 2] = ["content-length", "transfer-encoding"];
    const OURS: [&str; 8] = [
        "host",
        "connection",
        "keep-alive",
        "proxy-connection",
        "proxy-authorization",
        "proxy-authenticate",
        "te",
        "upgrade",
    ];
    let is = |known: &&str| known.eq_ignore_ascii_case(name);
    let is_named = named.iter().any(|option| option.eq_ignore_ascii_case(name.as_bytes()));
    if is_named && FRAMING.iter().any(is) {
        return Err(Refusal::bad(format!("`Connection` names `{name}`")));
    }
    Ok(!is_named && !OURS.iter().any(is))
}

/// The request for a tunnel through an upstream proxy, with user and password (`user:password`) if
/// there are any.
#[must_use]
pub fn connect_request(target: &Target, port: u16, login: Option<&str>) -> Vec<u8> {
    let mut text = format!("CONNECT {target}:{port} HTTP/1.1\r\nHost: {target}:{port}\r\n");
    if let Some(login) = login {
        text.push_str("Proxy-Authorization: Basic ");
        BASE64.encode_append(login.as_bytes(), &mut text);
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    text.into_bytes()
}

/// Why an upstream proxy made no tunnel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TunnelError {
    /// It refuses, with this status.
    Refused(u16),
    /// Its answer is no HTTP/1.x, or longer than [`LONGEST_REPLY`].
    Malformed,
}

impl fmt::Display for TunnelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(407) => {
                f.write_str("the proxy wants a user and a password, or others (407)")
            }
            Self::Refused(status) => write!(f, "the proxy refuses the connection ({status})"),
            Self::Malformed => f.write_str("the proxy does not answer in HTTP"),
        }
    }
}

impl std::error::Error for TunnelError {}

/// Reads the answer of an upstream proxy, from all bytes that are there so far: how many it has, or
/// `None` where it is not here as a whole. What is behind it is from the host.
///
/// # Errors
/// There is no tunnel.
pub fn connect_reply(bytes: &[u8]) -> Result<Option<usize>, TunnelError> {
    const MOST_HEADERS: usize = 100;
    let within = &bytes[..bytes.len().min(LONGEST_REPLY)];
    let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    match response.parse(within) {
        Ok(httparse::Status::Complete(used)) => match response.code {
            Some(200..=299) => Ok(Some(used)),
            Some(status) => Err(TunnelError::Refused(status)),
            None => Err(TunnelError::Malformed),
        },
        Ok(httparse::Status::Partial) if bytes.len() < LONGEST_REPLY => Ok(None),
        _ => Err(TunnelError::Malformed),
    }
}

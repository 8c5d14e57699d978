//! The side of a client: a connection through an upstream proxy (SOCKS 5).

use super::{ADDRESS_V4, ADDRESS_V6, CONNECT, DOMAIN, NO_AUTHENTICATION, PASSWORD, Reader, V5};
use crate::target::Target;
use std::fmt;
use std::net::IpAddr;

const PASSWORD_VERSION: u8 = 1;

/// Asks a proxy for one connection.
#[derive(Debug)]
pub struct Client {
    request: Vec<u8>,
    /// The message with user and password, if there are any.
    login: Option<Vec<u8>>,
    awaits: Awaits,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Awaits {
    Method,
    Login,
    Connection,
}

/// What comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientStep {
    /// The proxy's message is not here as a whole. It has at most 262 bytes.
    NeedMore,
    /// So many bytes were read, and this is to be sent.
    Say {
        /// Bytes to take off the front.
        used: usize,
        /// What to send.
        bytes: Vec<u8>,
    },
    /// The connection is there.
    Open {
        /// Bytes to take off the front; what is behind them is from the host.
        used: usize,
    },
}

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientError {
    /// User and password have 1 to 255 bytes each.
    Login,
    /// The proxy wants a user and a password that were not given, or others.
    Denied,
    /// The proxy refuses, with this code of RFC 1928.
    Refused(u8),
    /// It does not speak SOCKS 5; what is wrong.
    Malformed(&'static str),
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Login => f.write_str("user and password need 1 to 255 bytes each"),
            Self::Denied => f.write_str("the proxy does not take the user and the password"),
            Self::Refused(code) => {
                let reason = match code {
                    1 => "it failed",
                    2 => "its rules refuse it",
                    3 => "the network is unreachable",
                    4 => "the host is unreachable",
                    5 => "the host refuses the connection",
                    6 => "it took too long",
                    7 => "it makes no connections",
                    8 => "it does not know this kind of address",
                    _ => "for an unknown reason",
                };
                write!(f, "the proxy makes no connection: {reason} (code {code})")
            }
            Self::Malformed(what) => write!(f, "the proxy does not speak SOCKS 5: {what}"),
        }
    }
}

impl std::error::Error for ClientError {}

impl Client {
    /// Asks for a connection to `target`, with user and password if there are any.
    ///
    /// # Errors
    /// [`ClientError::Login`].
    pub fn new(
        target: &Target,
        port: u16,
        login: Option<(&str, &str)>,
    ) -> Result<Self, ClientError> {
        let mut request = vec![V5, CONNECT, 0];
        match target {
            Target::Address(IpAddr::V4(v4)) => {
                request.push(ADDRESS_V4);
                request.extend(v4.octets());
            }
            Target::Address(IpAddr::V6(v6)) => {
                request.push(ADDRESS_V6);
                request.extend(v6.octets());
            }
            Target::Name(_) | Target::Localhost => {
                request.push(DOMAIN);
                // No name has more than 253 bytes.
                push_short(&mut request, &target.to_string()).ok_or(ClientError::Login)?;
            }
        }
        request.extend(port.to_be_bytes());
        let login = match login {
            None => None,
            Some((user, password)) => {
                let mut message = vec![PASSWORD_VERSION];
                push_short(&mut message, user).ok_or(ClientError::Login)?;
                push_short(&mut message, password).ok_or(ClientError::Login)?;
                Some(message)
            }
        };
        Ok(Self { request, login, awaits: Awaits::Method })
    }

    /// What is sent first.
    #[must_use]
    pub fn greeting(&self) -> Vec<u8> {
        match self.login {
            None => vec![V5, 1, NO_AUTHENTICATION],
            Some(_) => vec![V5, 2, NO_AUTHENTICATION, PASSWORD],
        }
    }

    /// Looks at what the proxy sent and was not taken off yet, old and new.
    ///
    /// # Errors
    /// There is no connection.
    pub fn push(&mut self, pending: &[u8]) -> Result<ClientStep, ClientError> {
        let mut reader = Reader::new(pending);
        let next = match self.awaits {
            Awaits::Connection => return opened(&mut reader),
            Awaits::Method => match reader.array() {
                None => return Ok(ClientStep::NeedMore),
                Some([V5, NO_AUTHENTICATION]) => None,
                Some([V5, PASSWORD]) => Some(self.login.clone().ok_or(ClientError::Denied)?),
                Some([V5, _]) => return Err(ClientError::Denied),
                Some(_) => return Err(ClientError::Malformed("another version")),
            },
            Awaits::Login => match reader.array() {
                None => return Ok(ClientStep::NeedMore),
                Some([PASSWORD_VERSION, 0]) => None,
                Some(_) => return Err(ClientError::Denied),
            },
        };
        let (awaits, bytes) = match next {
            Some(login) => (Awaits::Login, login),
            None => (Awaits::Connection, self.request.clone()),
        };
        self.awaits = awaits;
        Ok(ClientStep::Say { used: reader.used, bytes })
    }
}

fn opened(reader: &mut Reader<'_>) -> Result<ClientStep, ClientError> {
    let Some([version, code]) = reader.array() else { return Ok(ClientStep::NeedMore) };
    match (version, code) {
        (V5, 0) => {}
        (V5, code) => return Err(ClientError::Refused(code)),
        _ => return Err(ClientError::Malformed("another version")),
    }
    let Some([_, kind]) = reader.array() else { return Ok(ClientStep::NeedMore) };
    let bound = match kind {
        ADDRESS_V4 => reader.bytes(4),
        ADDRESS_V6 => reader.bytes(16),
        DOMAIN => reader.short(),
        _ => return Err(ClientError::Malformed("an address of an unknown kind")),
    };
    match bound.and(reader.port()) {
        None => Ok(ClientStep::NeedMore),
        Some(_) => Ok(ClientStep::Open { used: reader.used }),
    }
}

/// Adds a text of 1 to 255 bytes behind its length.
fn push_short(message: &mut Vec<u8>, text: &str) -> Option<()> {
    let length = u8::try_from(text.len()).ok().filter(|length| *length > 0)?;
    message.push(length);
    message.extend(text.as_bytes());
    Some(())
}

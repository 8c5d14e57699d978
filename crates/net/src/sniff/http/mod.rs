//! What a client sends on a plain HTTP/1.x connection that belongs to one name and port: every
//! request of it has to be for that name.
//!
//! The reading is strict (RFC 9112): what two servers could read as different requests goes to
//! none. What it costs are clients that end lines with a line feed alone, or the like.

mod body;
mod head;
mod refusal;
mod reply;

pub use body::Body;
pub use head::{LONGEST_HEAD, MOST_HEADERS};
pub use refusal::Refusal;

pub(crate) use head::{Head, end_of_head};
pub(crate) use refusal::quoted;

use crate::target::{Target, split};
use reply::Switch;
use swathe_netrules::name::Name;

/// Checks the requests of one connection.
#[derive(Debug)]
pub struct Checker {
    host: Name,
    port: u16,
    state: State,
    /// Whether the next request is the first: what the server says first is then its answer.
    first: bool,
}

#[derive(Debug)]
enum State {
    /// A head comes, of which so many bytes have been looked at.
    Head(usize),
    /// A body comes; behind it the protocol may change.
    Body(Body, bool),
    /// The server decides on another protocol.
    Switching(Switch),
    /// It has switched: no HTTP any more.
    Opaque,
    /// A request was refused: nothing goes on, for this reason.
    Refused(Refusal),
}

impl State {
    fn behind_body(upgrade: bool) -> Self {
        if upgrade { Self::Switching(Switch::new()) } else { Self::Head(0) }
    }
}

/// What is to be done with the bytes that were not forwarded yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// So many of them go on to the server. The others are kept, and pushed again with what comes.
    pub forward: usize,
    /// The others wait for the server: what it says goes through [`Checker::reply`].
    pub need_reply: bool,
}

impl Checker {
    /// A checker for a connection to this name and port.
    #[must_use]
    pub fn new(host: &Name, port: u16) -> Self {
        Self { host: host.clone(), port, state: State::Head(0), first: true }
    }

    /// Looks at what the client sent and was not forwarded yet, old and new: at most
    /// [`LONGEST_HEAD`] bytes have to be kept between two calls. Bytes of a head are held until it
    /// is complete, bytes of bodies are not. What is good before a request that is refused still
    /// goes on: push again until nothing does, and then read.
    ///
    /// # Errors
    /// The request that comes next is refused, and with it the connection.
    pub fn push(&mut self, pending: &[u8]) -> Result<Progress, Refusal> {
        let mut forward = 0;
        let stopped = loop {
            match self.step(&pending[forward..]) {
                Ok(0) => break None,
                Ok(used) => forward += used,
                Err(refusal) => break Some(refusal),
            }
        };
        match stopped {
            Some(refusal) if forward == 0 => Err(refusal),
            _ => Ok(Progress { forward, need_reply: self.needs_reply() }),
        }
    }

    /// One head, or what is there of a body; 0 where nothing can go on yet.
    fn step(&mut self, bytes: &[u8]) -> Result<usize, Refusal> {
        let next = match &mut self.state {
            State::Opaque => return Ok(bytes.len()),
            State::Switching(_) => return Ok(0),
            State::Refused(refusal) => return Err(refusal.clone()),
            State::Head(scanned) => match end_of_head(bytes, scanned) {
                Ok(None) => return Ok(0),
                Ok(Some(length)) => self.request(&bytes[..length]).map(|state| (length, state)),
                Err(refusal) => Err(refusal),
            },
            State::Body(body, upgrade) => match body.push(bytes) {
                Ok(used) if !body.ended() => return Ok(used),
                Ok(used) => Ok((used, State::behind_body(*upgrade))),
                Err(refusal) => Err(refusal),
            },
        };
        match next {
            Ok((used, state)) => {
                self.state = state;
                Ok(used)
            }
            Err(refusal) => {
                self.state = State::Refused(refusal.clone());
                Err(refusal)
            }
        }
    }

    /// Whether the server's next bytes have to go through [`Checker::reply`].
    #[must_use]
    pub fn needs_reply(&self) -> bool {
        matches!(self.state, State::Switching(_))
    }

    /// Whether the connection speaks something else by now, of which nothing is looked at.
    #[must_use]
    pub fn is_opaque(&self) -> bool {
        matches!(self.state, State::Opaque)
    }

    /// Looks at what the server sent, from its first byte on, each byte once. It all goes on to the
    /// client, whatever is found. Once it has been decided, `false` is answered, and what was held
    /// has to be pushed again.
    pub fn reply(&mut self, new: &[u8]) -> bool {
        let State::Switching(switch) = &mut self.state else { return false };
        match switch.push(new) {
            None => true,
            Some(switched) => {
                self.state = if switched { State::Opaque } else { State::Head(0) };
                false
            }
        }
    }

    /// Checks a head. What comes behind it.
    fn request(&mut self, bytes: &[u8]) -> Result<State, Refusal> {
        let head = Head::parse(bytes)?;
        if head.method == "PRI" {
            return Err(Refusal::new(505, "HTTP/2 without TLS"));
        }
        match head.host {
            Some(host) => self.compare("host", host)?,
            None if head.minor == 1 => return Err(Refusal::bad("a request without `Host`")),
            None => {}
        }
        if head.method == "CONNECT" {
            self.compare("target", head.target.as_bytes())?;
        } else if !head.target.starts_with('/') && head.target != "*" {
            self.compare("target", absolute(head.target)?.0.as_bytes())?;
        }
        // An answer to a later request cannot be told from what the server still says to an
        // earlier one: then everything goes on being checked.
        let upgrade = std::mem::replace(&mut self.first, false) && head.upgrade;
        let body = Body::new(head.body);
        Ok(if body.ended() { State::behind_body(upgrade) } else { State::Body(body, upgrade) })
    }

    fn compare(&self, what: &str, authority: &[u8]) -> Result<(), Refusal> {
        let same = split(authority).is_some_and(|(host, port)| {
            let port = port.unwrap_or(self.port);
            port == self.port
                && matches!(Target::parse(host), Some(Target::Name(name)) if name == self.host)
        });
        if same {
            return Ok(());
        }
        Err(Refusal::new(
            403,
            format!(
                "the {what} of a request is `{}`, and the connection is to `{}:{}`",
                quoted(authority),
                self.host,
                self.port
            ),
        ))
    }
}

/// The authority of a target in absolute form, and what follows it.
pub(crate) fn absolute(target: &str) -> Result<(&str, &str), Refusal> {
    let rest = match target.split_at_checked(7) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http://") => rest,
        _ => {
            let target = quoted(target.as_bytes());
            return Err(Refusal::bad(format!(
                "the target `{target}` is neither a path nor http://"
            )));
        }
    };
    Ok(rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len())))
}

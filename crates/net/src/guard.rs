//! Whether what a program sends is meant for the host that it was granted: the name in a TLS greeting
//! and in every HTTP request must be the one that the connection is for. A second look, not the
//! rule: which host is dialled is decided by the name that was resolved.

use crate::judge::{Target, Wish};
use crate::sniff::http::{Body, Checker};
use crate::sniff::{Spoken, classify, tls};
use std::rc::Rc;
use std::time::Duration;
use swathe_netrules::Name;
use tokio::sync::Notify;

/// How long a greeting or a head that has begun may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long words that may become the first line of a request are held. Whoever has sent less than a
/// line by then may wait for an answer to it, as other protocols do; of a request, a server needs
/// more.
const PAUSE: Duration = Duration::from_millis(200);

/// Looks at the beginning of a connection, and for HTTP at all of it.
#[derive(Debug)]
pub struct Guard {
    /// None where the host was granted by its address: then anything may be said to it.
    name: Option<Name>,
    port: u16,
    /// What was sent already, and not looked at.
    first: Vec<u8>,
    stage: Stage,
    /// How much of what is held has gone on already.
    gone: usize,
    told: Rc<Notify>,
}

#[derive(Debug)]
enum Stage {
    /// What was sent until now could be several things.
    Unknown(Vec<u8>),
    Tls(Vec<u8>),
    Http {
        checker: Box<Checker>,
        held: Vec<u8>,
        waits: bool,
    },
    /// One request of which the head has gone on.
    Body {
        body: Body,
        held: Vec<u8>,
    },
}

/// What becomes of what the program sent.
#[derive(Debug)]
pub enum Passed {
    /// These bytes may go on; the next are looked at.
    Bytes(Vec<u8>),
    /// These may go on, and all that follow.
    Open(Vec<u8>),
    /// None of it: why, and what the program is told.
    Refused {
        /// In words.
        reason: String,
        /// In its protocol; may be empty.
        reply: Vec<u8>,
    },
}

impl Guard {
    /// For a connection that this was wished for.
    #[must_use]
    pub fn new(wish: &Wish) -> Self {
        Self::with(wish, Vec::new())
    }

    /// The same; the program has sent something already.
    #[must_use]
    pub fn with(wish: &Wish, first: Vec<u8>) -> Self {
        let name = match &wish.target {
            Target::Name(name) => Some(name.clone()),
            Target::Address(_) => None,
        };
        let stage = Stage::Unknown(Vec::new());
        Self { name, port: wish.port, first, stage, gone: 0, told: Rc::default() }
    }

    /// For one request of which the head was looked at and has gone on.
    #[must_use]
    pub fn body(wish: &Wish, body: Body, first: Vec<u8>) -> Self {
        Self { stage: Stage::Body { body, held: Vec::new() }, ..Self::with(wish, first) }
    }

    /// What was sent before it began to look.
    pub fn take_first(&mut self) -> Option<Vec<u8>> {
        let first = std::mem::take(&mut self.first);
        (!first.is_empty()).then_some(first)
    }

    /// The program has sent this.
    pub fn push(&mut self, bytes: &[u8]) -> Passed {
        let passed = self.look(bytes);
        self.left(passed)
    }

    /// Without what has gone on before it was known what it is.
    fn left(&mut self, passed: Passed) -> Passed {
        let mut left = |mut bytes: Vec<u8>| {
            let gone = self.gone.min(bytes.len());
            self.gone -= gone;
            bytes.drain(..gone);
            bytes
        };
        match passed {
            Passed::Bytes(bytes) => Passed::Bytes(left(bytes)),
            Passed::Open(bytes) => Passed::Open(left(bytes)),
            refused @ Passed::Refused { .. } => refused,
        }
    }

    fn look(&mut self, bytes: &[u8]) -> Passed {
        match &mut self.stage {
            Stage::Unknown(held) => {
                held.extend_from_slice(bytes);
                let Some(name) = &self.name else { return Passed::Open(std::mem::take(held)) };
                let held = std::mem::take(held);
                match classify(&held) {
                    Spoken::NeedMore => {
                        self.stage = Stage::Unknown(held);
                        Passed::Bytes(Vec::new())
                    }
                    Spoken::Other => Passed::Open(held),
                    Spoken::Tls => {
                        self.stage = Stage::Tls(Vec::new());
                        self.tls(&held)
                    }
                    Spoken::Http => {
                        let checker = Box::new(Checker::new(name, self.port));
                        self.stage = Stage::Http { checker, held: Vec::new(), waits: false };
                        self.http(&held)
                    }
                }
            }
            Stage::Tls(_) => self.tls(bytes),
            Stage::Http { .. } => self.http(bytes),
            Stage::Body { body, held } => {
                held.extend_from_slice(bytes);
                if body.ended() {
                    // Whatever follows is for nobody: the server closes after its answer.
                    held.clear();
                    return Passed::Bytes(Vec::new());
                }
                match body.push(held) {
                    Ok(used) => {
                        let rest = held.split_off(used.min(held.len()));
                        Passed::Bytes(std::mem::replace(held, rest))
                    }
                    Err(refusal) => refused(refusal.to_string()),
                }
            }
        }
    }

    fn tls(&mut self, bytes: &[u8]) -> Passed {
        let Stage::Tls(held) = &mut self.stage else { return Passed::Bytes(Vec::new()) };
        held.extend_from_slice(bytes);
        let held = std::mem::take(held);
        match tls::client_hello(&held) {
            tls::Sniffed::NeedMore => {
                self.stage = Stage::Tls(held);
                Passed::Bytes(Vec::new())
            }
            tls::Sniffed::NotTls => Passed::Open(held),
            tls::Sniffed::Malformed(reason) => {
                refused(format!("a TLS greeting that is broken: {reason}"))
            }
            tls::Sniffed::Hello(hello) => match hello.server {
                tls::ServerName::Absent => Passed::Open(held),
                tls::ServerName::Name(name) if Some(&name) == self.name.as_ref() => {
                    Passed::Open(held)
                }
                tls::ServerName::Name(name) => {
                    let own = self.name.as_ref().map_or("another", Name::as_str);
                    refused(format!("its TLS greeting is for {name}, and not for {own}"))
                }
                tls::ServerName::Invalid(_) => {
                    refused("its TLS greeting is for something that is no name of a host".into())
                }
            },
        }
    }

    fn http(&mut self, bytes: &[u8]) -> Passed {
        let Stage::Http { checker, held, waits } = &mut self.stage else {
            return Passed::Bytes(Vec::new());
        };
        held.extend_from_slice(bytes);
        match checker.push(held) {
            Ok(progress) => {
                *waits = progress.need_reply;
                let rest = held.split_off(progress.forward.min(held.len()));
                let passed = std::mem::replace(held, rest);
                match checker.is_opaque() {
                    true => Passed::Open(passed),
                    false => Passed::Bytes(passed),
                }
            }
            Err(refusal) => {
                let reply = refusal.reply();
                Passed::Refused { reason: refusal.to_string(), reply }
            }
        }
    }

    /// The program has sent nothing for as long as [`Self::patience`].
    pub fn pause(&mut self) -> Passed {
        match &self.stage {
            Stage::Unknown(held) if !may_be_lines(held) => {
                let new = held.get(self.gone..).unwrap_or_default().to_vec();
                self.gone = held.len();
                Passed::Bytes(new)
            }
            _ => refused("what it began to say has not ended in time".to_owned()),
        }
    }

    /// The program will send no more.
    pub fn end(&mut self) -> Passed {
        let passed = self.last();
        self.left(passed)
    }

    fn last(&mut self) -> Passed {
        match &mut self.stage {
            Stage::Unknown(held) if !may_be_lines(held) => Passed::Open(std::mem::take(held)),
            Stage::Tls(_) => refused("its TLS greeting ends in the middle".to_owned()),
            Stage::Http { held, .. } if held.is_empty() => Passed::Bytes(Vec::new()),
            Stage::Body { body, .. } if body.ended() => Passed::Bytes(Vec::new()),
            Stage::Unknown(_) | Stage::Http { .. } | Stage::Body { .. } => {
                refused("its request ends in the middle".to_owned())
            }
        }
    }

    /// The server has answered: what was held is looked at again.
    pub fn again(&mut self) -> Passed {
        self.push(&[])
    }

    /// Whether the program's bytes are held until the server has answered.
    #[must_use]
    pub fn waits_for_reply(&self) -> bool {
        matches!(self.stage, Stage::Http { waits: true, .. })
    }

    /// The server has said this; nothing: it will say no more.
    pub fn reply(&mut self, bytes: &[u8]) {
        if let Stage::Http { checker, waits, .. } = &mut self.stage
            && *waits
        {
            *waits = !bytes.is_empty() && checker.reply(bytes);
            if !*waits {
                self.told.notify_one();
            }
        }
    }

    /// Is notified when the server has answered.
    #[must_use]
    pub fn told(&self) -> Rc<Notify> {
        Rc::clone(&self.told)
    }

    /// How long the next bytes may take; none: as long as they like.
    #[must_use]
    pub fn patience(&self) -> Option<Duration> {
        let begun = match &self.stage {
            Stage::Unknown(held) if !may_be_lines(held) => {
                return (held.len() > self.gone).then_some(PAUSE);
            }
            Stage::Unknown(_) => true,
            Stage::Tls(_) => true,
            Stage::Http { held, .. } => !held.is_empty(),
            Stage::Body { body, .. } => !body.ended(),
        };
        begun.then_some(PATIENCE)
    }
}

/// Whether what has no line's end may have some for a server that takes a carriage return for one: a
/// whole request, then.
fn may_be_lines(held: &[u8]) -> bool {
    held.trim_ascii_start().contains(&b'\r')
}

fn refused(reason: String) -> Passed {
    Passed::Refused { reason, reply: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use swathe_netrules::Protocol;

    fn guard() -> Guard {
        let target = Target::Name(Name::parse(b"good.example.com").expect("a name"));
        Guard::new(&Wish { target, port: 80, protocol: Protocol::Tcp })
    }

    fn said(passed: Passed) -> (String, bool) {
        match passed {
            Passed::Bytes(bytes) => (String::from_utf8(bytes).expect("text"), false),
            Passed::Open(bytes) => (String::from_utf8(bytes).expect("text"), true),
            Passed::Refused { reason, .. } => panic!("{reason}"),
        }
    }

    /// A client that waits for an answer to a word gets it, and what follows is looked at.
    #[test]
    fn words() {
        let mut guard = guard();
        assert_eq!(guard.patience(), None);
        assert_eq!(said(guard.push(b"ru")), (String::new(), false));
        assert_eq!(guard.patience(), Some(PAUSE));
        assert_eq!(said(guard.pause()), ("ru".to_owned(), false));
        assert_eq!(guard.patience(), None);
        assert_eq!(said(guard.push(b"ok")), (String::new(), false));
        assert_eq!(said(guard.pause()), ("ok".to_owned(), false));
        assert_eq!(said(guard.push(b"\0more")), ("\0more".to_owned(), true));
        let mut guard = self::guard();
        assert_eq!(said(guard.push(b"ruok")), (String::new(), false));
        assert_eq!(said(guard.pause()), ("ruok".to_owned(), false));
        assert_eq!(said(guard.end()), (String::new(), true));
    }

    /// A request that came in pieces goes on once, and only for its own host.
    #[test]
    fn requests_in_pieces() {
        let head = "GET /a HTTP/1.1\r\nHost: good.example.com\r\n\r\n";
        for at in 1..14 {
            let mut guard = guard();
            let (first, rest) = head.split_at(at);
            let mut all = said(guard.push(first.as_bytes())).0;
            all += &said(guard.pause()).0;
            all += &said(guard.push(rest.as_bytes())).0;
            assert_eq!(all, head, "{at}");
        }
        let mut guard = self::guard();
        assert_eq!(said(guard.push(b"GET /a")), (String::new(), false));
        assert_eq!(said(guard.pause()), ("GET /a".to_owned(), false));
        let rest = b" HTTP/1.1\r\nHost: bad.example.com\r\n\r\n";
        assert!(matches!(guard.push(rest), Passed::Refused { .. }));
        // Servers that take a carriage return for the end of a line would have all of it.
        let lines = b"GET /a HTTP/1.1\rHost: bad.example.com\r\r";
        for ends in [false, true] {
            let mut guard = self::guard();
            assert_eq!(said(guard.push(lines)), (String::new(), false));
            assert_eq!(guard.patience(), Some(PATIENCE));
            let last = if ends { guard.end() } else { guard.pause() };
            assert!(matches!(last, Passed::Refused { .. }));
        }
    }
}

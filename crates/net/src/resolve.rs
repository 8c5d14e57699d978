//! The host's names: what a name of the rules leads to, asked of the host's own servers.

use crate::dns::{self, Answer, Kind, Unusable};
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with};
use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant};
use swathe_netrules::Name;
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::Mutex;
use tokio::time::timeout;

/// How long one server is waited for.
const PATIENCE: Duration = Duration::from_millis(1_500);
/// How often each is asked.
const TRIES: usize = 2;
/// What is remembered at most, and for how long.
const MAX_KNOWN: usize = 4096;
const LONGEST: Duration = Duration::from_secs(300);
const SHORTEST: Duration = Duration::from_secs(2);
/// A server that does not answer is not asked for every connection.
const FAILED: Duration = Duration::from_secs(1);
/// The largest answer that is taken.
const MAX_ANSWER: usize = 64 << 10;

/// What came of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Its addresses; at least one.
    Found(Vec<IpAddr>),
    /// There is no such name.
    NoSuchName,
    /// It has no address.
    NoAddress,
    /// The servers did not say: why.
    Failed(String),
}

#[derive(Debug, Default)]
struct Known {
    outcome: Option<(Outcome, Instant)>,
}

/// Asks, and remembers for as long as the answer holds.
#[derive(Debug)]
pub struct Resolver {
    servers: Vec<SocketAddr>,
    hosts: HashMap<Name, Vec<IpAddr>>,
    known: RefCell<HashMap<Name, Rc<Mutex<Known>>>>,
}

impl Resolver {
    /// With these servers, in order, and what the host knows without them.
    #[must_use]
    pub fn new(servers: Vec<SocketAddr>, hosts: Vec<(Name, Vec<IpAddr>)>) -> Self {
        let hosts = hosts.into_iter().filter(|(_, addresses)| !addresses.is_empty()).collect();
        Self { servers, hosts, known: RefCell::default() }
    }

    /// What the name leads to. Whoever asks for it at the same time waits for the same answer.
    pub async fn lookup(&self, name: &Name) -> Outcome {
        if let Some(addresses) = self.hosts.get(name) {
            return Outcome::Found(addresses.clone());
        }
        let entry = self.entry(name);
        let mut entry = entry.lock().await;
        let now = Instant::now();
        if let Some((outcome, until)) = &entry.outcome
            && *until > now
        {
            return outcome.clone();
        }
        let (outcome, holds) = self.ask(name).await;
        entry.outcome = Some((outcome.clone(), Instant::now() + holds));
        outcome
    }

    fn entry(&self, name: &Name) -> Rc<Mutex<Known>> {
        let mut known = self.known.borrow_mut();
        if known.len() >= MAX_KNOWN && !known.contains_key(name) {
            // What nobody waits for can be asked again.
            known.retain(|_, entry| Rc::strong_count(entry) > 1);
        }
        Rc::clone(known.entry(name.clone()).or_default())
    }

    async fn ask(&self, name: &Name) -> (Outcome, Duration) {
        let (v4, v6) = tokio::join!(self.question(name, Kind::A), self.question(name, Kind::Aaaa));
        let mut found = Vec::new();
        let mut holds = LONGEST;
        let mut missing = false;
        let mut failed = None;
        for answer in [v4, v6] {
            match answer {
                Ok(Answer::Addresses { addresses, ttl }) => {
                    found.extend(addresses);
                    holds = holds.min(Duration::from_secs(ttl.into()));
                }
                Ok(Answer::NoSuchName { ttl }) => {
                    missing = true;
                    holds = holds.min(Duration::from_secs(ttl.into()));
                }
                Ok(Answer::NoData { ttl }) => holds = holds.min(Duration::from_secs(ttl.into())),
                Ok(Answer::Records(_) | Answer::Truncated) => {}
                Err(text) => failed = Some(text),
            }
        }
        let holds = holds.max(SHORTEST);
        match failed {
            _ if !found.is_empty() => (Outcome::Found(found), holds),
            Some(text) => (Outcome::Failed(text), FAILED),
            None if missing => (Outcome::NoSuchName, holds),
            None => (Outcome::NoAddress, holds),
        }
    }

    /// Asks one server after the other.
    pub async fn question(&self, name: &Name, kind: Kind) -> Result<Answer, String> {
        let mut last = String::from("the host has no name server");
        for _ in 0..TRIES {
            for server in &self.servers {
                match timeout(PATIENCE, ask_server(*server, name, kind)).await {
                    Ok(Ok(answer)) => return Ok(answer),
                    Ok(Err(e)) => last = format!("the name server {server}: {e}"),
                    Err(_) => last = format!("the name server {server} does not answer"),
                }
            }
        }
        Err(last)
    }
}

async fn ask_server(server: SocketAddr, name: &Name, kind: Kind) -> io::Result<Answer> {
    let socket = datagrams_to(server)?;
    let id = random()?;
    socket.send(&dns::question(id, name, kind)).await?;
    let mut buffer = vec![0; MAX_ANSWER];
    loop {
        let n = socket.recv(&mut buffer).await?;
        match dns::answer(buffer.get(..n).unwrap_or_default(), id, name, kind) {
            Ok(Answer::Truncated) => return over_tcp(server, name, kind).await,
            Ok(answer) => return Ok(answer),
            // Somebody guesses: the real one may still come.
            Err(Unusable::Foreign) => {}
            Err(e) => return Err(io::Error::other(e.to_string())),
        }
    }
}

async fn over_tcp(server: SocketAddr, name: &Name, kind: Kind) -> io::Result<Answer> {
    let stream = TcpStream::connect(server).await?;
    let id = random()?;
    crate::framed::send(&stream, &dns::question(id, name, kind)).await?;
    let bytes = crate::framed::receive(&stream, MAX_ANSWER).await?.unwrap_or_default();
    dns::answer(&bytes, id, name, kind).map_err(|e| io::Error::other(e.to_string()))
}

/// A socket whose port the kernel chooses and that takes datagrams of this address only.
pub fn datagrams_to(address: SocketAddr) -> io::Result<UdpSocket> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::DGRAM, flags, None)?;
    connect(&socket, &address)?;
    UdpSocket::from_std(socket.into())
}

fn random() -> io::Result<u16> {
    let mut bytes = [0; 2];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    Ok(u16::from_ne_bytes(bytes))
}

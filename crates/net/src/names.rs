//! The resolver of the sandbox. A name that the rules know is looked up on the host, and has an
//! address of the pool for an answer; one that they do not know is refused here, and nothing leaves.

use crate::dns::{self, Answer, Bad, Kind, Query, Transport};
use crate::framed;
use crate::judge::{self, Target, Wish};
use crate::pool::is_own;
use crate::protocol::Decision;
use crate::resolve::Outcome;
use crate::state::{State, now};
use crate::tcp::target;
use crate::udp::Flows;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;
use swathe_netrules::address::canonical;
use swathe_netrules::{Name, Protocol, Reason, Rule, Verdict, fixed};
use swathe_sys::datagram;
use tokio::io::Interest;
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

/// How long a program may remember an address. It never changes; the decision may.
const TTL: u32 = 60;
/// The longest question.
const MAX_QUESTION: usize = 4096;
/// Questions over one connection, and how long it may be silent.
const MAX_QUESTIONS: usize = 1000;
const PATIENCE: Duration = Duration::from_secs(10);

/// Answers questions that come as datagrams.
pub async fn serve(state: Rc<State>, socket: OwnedFd) {
    let Ok(socket) = UdpSocket::from_std(socket.into()) else { return };
    let socket = Rc::new(socket);
    let granted_servers = Flows::new(&socket, fixed::RESOLVER_PORT);
    loop {
        let mut buffer = [0; MAX_QUESTION];
        let receive = || datagram::receive(&*socket, &mut buffer).map_err(Into::into);
        let Ok(came) = socket.async_io(Interest::READABLE, receive).await else {
            // An error of an earlier answer.
            tokio::task::yield_now().await;
            continue;
        };
        if is_granted(&state, came.asked) {
            let bytes = buffer.get(..came.length).unwrap_or_default();
            granted_servers.pass_on(&state, (came.peer, came.asked), bytes.to_vec());
            continue;
        }
        // What is too much is not answered: the program asks again.
        let Some(place) = state.place() else { continue };
        let question = buffer.get(..came.length).unwrap_or_default().to_vec();
        let (state, socket) = (Rc::clone(&state), Rc::clone(&socket));
        tokio::task::spawn_local(async move {
            let answer = answer(&state, &question, Transport::Udp, came.peer).await;
            let again = answer.as_deref().and_then(for_musl);
            for message in answer.iter().chain(&again) {
                // From the address that was asked; one that is not taken is asked for again.
                let _ = datagram::send(&*socket, message, came.peer, came.asked);
            }
            drop(place);
        });
    }
}

/// Whether a rule names this server of names, and its port: then it is spoken to, as by TCP. Rules for
/// every port mean no datagrams.
fn is_granted(state: &State, asked: IpAddr) -> bool {
    let Some(target) = target(state, canonical(asked)) else { return false };
    let is_about = |rule: &Rule| match &target {
        Target::Name(name) => rule.is_about(name),
        Target::Address(address) => rule.is_about_address(*address),
    };
    let is_at = |rule: &Rule| {
        rule.is_at(fixed::RESOLVER_PORT, Protocol::Udp) && !rule.ports.is_all() && is_about(rule)
    };
    let is_named = state.rules.borrow().allow.iter().any(is_at);
    let wish = Wish { target, port: fixed::RESOLVER_PORT, protocol: Protocol::Udp };
    is_named && judge::verdict(state, &wish).is_allowed()
}

/// A second answer after one that refuses. The C library musl takes no notice of that, and would ask
/// again and again for five seconds; that there is no such name it believes. Others have taken the
/// first.
fn for_musl(answer: &[u8]) -> Option<Vec<u8>> {
    const CODE: usize = 3;
    const REFUSED: u8 = 5;
    const NO_SUCH_NAME: u8 = 3;
    let code = answer.get(CODE).filter(|code| **code & 0xf == REFUSED)?;
    let mut again = answer.to_vec();
    again[CODE] = code & 0xf0 | NO_SUCH_NAME;
    Some(again)
}

/// Answers questions that come over a connection.
pub async fn over_tcp(state: &State, stream: &TcpStream) {
    let Ok(peer) = stream.peer_addr() else { return };
    for _ in 0..MAX_QUESTIONS {
        let Ok(Ok(Some(question))) = timeout(PATIENCE, framed::receive(stream, MAX_QUESTION)).await
        else {
            return;
        };
        let Some(answer) = answer(state, &question, Transport::Tcp, peer).await else { return };
        match timeout(PATIENCE, framed::send(stream, &answer)).await {
            Ok(Ok(())) => {}
            _ => return,
        }
    }
}

/// The answer to a question; none where it deserves none.
async fn answer(state: &State, bytes: &[u8], over: Transport, peer: SocketAddr) -> Option<Vec<u8>> {
    let query = match dns::parse(bytes, over) {
        Ok(query) => query,
        Err(Bad::Reply(reply)) => return Some(reply),
        Err(Bad::Drop) => return None,
    };
    if let Some(address) = query.reverse() {
        return Some(reverse(state, &query, address));
    }
    if is_localhost(&query.text()) {
        let loopback = [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()];
        return Some(dns::addresses(&query, &loopback, TTL));
    }
    let Some(name) = query.name().cloned() else {
        let reason = "it is no name of a host";
        denied(state, &query.text(), peer, reason.to_owned(), None).await;
        return Some(dns::refused(&query, reason));
    };
    if state.rules.borrow().knows(&name) {
        return Some(granted(state, &query, &name, peer).await);
    }
    let reason = unknown(state, &name);
    let fix = reason.fix();
    if state.ask.get() && fix.is_some() {
        // Its address is given out, and the question asked when it is used: programs wait for a
        // connection longer than for a name. Nothing leaves until then.
        return Some(match query.kind() {
            Kind::A | Kind::Aaaa => pool_answer(state, &query, &name),
            _ => dns::no_data(&query),
        });
    }
    denied(state, name.as_str(), peer, reason.to_string(), fix).await;
    Some(dns::refused(&query, &reason.to_string()))
}

/// Why a name is not looked up, in the words of what it is mostly looked up for.
fn unknown(state: &State, name: &Name) -> Reason {
    const HTTPS: u16 = 443;
    match state.rules.borrow().named(name, HTTPS, Protocol::Tcp) {
        Verdict::Refused(reason) => reason,
        Verdict::Allowed(_) => Reason {
            cause: swathe_netrules::Cause::Unlisted,
            subject: swathe_netrules::Subject::Name(name.clone()),
            port: None,
        },
    }
}

async fn denied(state: &State, name: &str, peer: SocketAddr, reason: String, fix: Option<String>) {
    state.show(Decision { fix, ..decision(name, peer, reason) }).await;
}

/// It was allowed, and came to nothing.
fn failed(state: &State, name: &Name, peer: SocketAddr, reason: String) {
    state.decided(Decision { allowed: true, ..decision(name.as_str(), peer, reason) });
}

fn decision(name: &str, peer: SocketAddr, reason: String) -> Decision {
    Decision {
        time: now(),
        object: format!("dns:{name}"),
        address: None,
        peer: Some(peer),
        allowed: false,
        asked: false,
        reason: Some(reason),
        fix: None,
    }
}

/// `localhost`, and what is below it (RFC 6761, section 6.3): the sandbox's own.
fn is_localhost(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

/// What is granted is looked up, so that the program hears whether it is there.
async fn granted(state: &State, query: &Query, name: &Name, peer: SocketAddr) -> Vec<u8> {
    match query.kind() {
        Kind::A | Kind::Aaaa if state.upstream.is_some() => pool_answer(state, query, name),
        Kind::A | Kind::Aaaa => match state.resolver.lookup(name).await {
            Outcome::Found(_) => {
                let found =
                    Decision { reason: None, ..decision(name.as_str(), peer, String::new()) };
                state.decided(Decision { allowed: true, ..found });
                pool_answer(state, query, name)
            }
            Outcome::NoSuchName => {
                failed(state, name, peer, format!("there is no host {name}"));
                dns::no_such_name(query)
            }
            Outcome::NoAddress => {
                failed(state, name, peer, format!("{name} has no address"));
                dns::no_data(query)
            }
            Outcome::Failed(text) => {
                failed(state, name, peer, format!("cannot look {name} up: {text}"));
                dns::failed(query)
            }
        },
        kind if kind.passed_on() => match state.resolver.question(name, kind).await {
            Ok(Answer::Records(records)) => dns::records(query, &records),
            Ok(Answer::NoSuchName { .. }) => dns::no_such_name(query),
            Ok(_) => dns::no_data(query),
            Err(_) => dns::failed(query),
        },
        // Hints of other addresses and keys among them: without, programs use the ordinary ones.
        _ => dns::no_data(query),
    }
}

fn pool_answer(state: &State, query: &Query, name: &Name) -> Vec<u8> {
    let Some((v4, v6)) = state.pool.borrow_mut().addresses(name) else {
        // No address is left for another name.
        return dns::failed(query);
    };
    let address = match query.kind() {
        Kind::A => IpAddr::from(v4),
        _ => IpAddr::from(v6),
    };
    dns::addresses(query, &[address], TTL)
}

fn reverse(state: &State, query: &Query, address: IpAddr) -> Vec<u8> {
    match state.pool.borrow().name(address) {
        Some(name) => dns::pointer(query, name, TTL),
        None if is_own(address) => dns::no_such_name(query),
        None => dns::refused(query, "addresses are not looked up"),
    }
}

//! The explicit proxy, for programs that insist on one: HTTP and SOCKS, by the same rules.

use crate::connect::{self, Asked, ESTABLISHED, Forward};
use crate::framed::write_all;
use crate::guard::Guard;
use crate::judge::{self, Dialled, Kind, Refusal, Target, Wish};
use crate::sniff::http;
use crate::socks::{Outcome, Reply, Request, Server};
use crate::state::State;
use crate::target;
use crate::tcp::{carry, carry_with, while_here};
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;
use swathe_netrules::Protocol;
use swathe_netrules::address::canonical;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a client may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(30);
/// What is read at once of that.
const CHUNK: usize = 4096;
/// The longest request of SOCKS.
const LONGEST_SOCKS: usize = 1024;

/// Serves a client that speaks HTTP.
pub async fn http(state: &Rc<State>, client: TcpStream, peer: SocketAddr) {
    let mut pending = Vec::new();
    let Ok(asked) = timeout(PATIENCE, http_request(&client, &mut pending)).await else { return };
    match asked {
        Ok(Some(Asked::Tunnel { target, port, used })) => {
            let rest = pending.split_off(used.min(pending.len()));
            let wish = wish(state, target, port);
            match dial(state, &client, &wish, peer).await {
                Some(Ok(dialled)) => {
                    // Fails only where the client has gone, as the relay will see.
                    let _ = write_all(&client, ESTABLISHED).await;
                    // What came with the request is looked at as what follows is.
                    let guard = Guard::with(&wish, rest);
                    carry_with(state, &client, dialled, wish, Some(guard)).await;
                }
                Some(Err(refusal)) => answer(&client, &refused(&refusal)).await,
                None => {}
            }
        }
        Ok(Some(Asked::Forward(forward))) => {
            let rest = pending.split_off(forward.used.min(pending.len()));
            pass_on(state, client, peer, forward, rest).await;
        }
        Ok(None) => {}
        Err(refusal) => answer(&client, &refusal).await,
    }
}

/// One request, to a server that answers and closes.
async fn pass_on(
    state: &Rc<State>,
    client: TcpStream,
    peer: SocketAddr,
    forward: Forward,
    rest: Vec<u8>,
) {
    let wish = wish(state, forward.target, forward.port);
    match dial(state, &client, &wish, peer).await {
        Some(Ok(dialled)) => {
            // Fails only where the server has gone, as the relay will see.
            let _ = write_all(&dialled.stream, &forward.head).await;
            let guard = Guard::body(&wish, forward.body, rest);
            carry_with(state, &client, dialled, wish, Some(guard)).await;
        }
        Some(Err(refusal)) => answer(&client, &refused(&refusal)).await,
        None => {}
    }
}

async fn http_request(
    client: &TcpStream,
    pending: &mut Vec<u8>,
) -> Result<Option<Asked>, http::Refusal> {
    let mut scanned = 0;
    loop {
        if let Some(asked) = connect::request(pending, &mut scanned)? {
            return Ok(Some(asked));
        }
        if !more(client, pending).await {
            return Ok(None);
        }
    }
}

/// Serves a client that speaks SOCKS.
pub async fn socks(state: &Rc<State>, client: TcpStream, peer: SocketAddr) {
    let Ok(Some((request, rest))) = timeout(PATIENCE, socks_request(&client)).await else { return };
    let wish = wish(state, request.target.clone(), request.port);
    match dial(state, &client, &wish, peer).await {
        Some(Ok(dialled)) => {
            if write_all(&client, &request.reply(Reply::Succeeded)).await.is_err() {
                return;
            }
            match rest.is_empty() {
                true => carry(state, &client, dialled, wish).await,
                false => {
                    let guard = Guard::with(&wish, rest);
                    carry_with(state, &client, dialled, wish, Some(guard)).await;
                }
            }
        }
        Some(Err(refusal)) => {
            let reply = match refusal.kind {
                Kind::Denied => Reply::NotAllowed,
                Kind::NoName => Reply::HostUnreachable,
                Kind::Unreachable => Reply::ConnectionRefused,
            };
            let _ = write_all(&client, &request.reply(reply)).await;
        }
        None => {}
    }
}

/// What is asked for, and what came behind it; none where it is nothing that is served.
async fn socks_request(client: &TcpStream) -> Option<(Request, Vec<u8>)> {
    let mut server = Server::new();
    let mut pending = Vec::new();
    loop {
        match server.push(&pending) {
            Ok(Outcome::NeedMore) if pending.len() > LONGEST_SOCKS => return None,
            Ok(Outcome::NeedMore) => {
                if !more(client, &mut pending).await {
                    return None;
                }
            }
            Ok(Outcome::Say { used, bytes }) => {
                pending.drain(..used.min(pending.len()));
                write_all(client, &bytes).await.ok()?;
            }
            Ok(Outcome::Connect { used, request }) => {
                return Some((request, pending.split_off(used.min(pending.len()))));
            }
            Err(rejected) => {
                let _ = write_all(client, &rejected.reply).await;
                return None;
            }
        }
    }
}

/// Reads some more; false at the end.
async fn more(client: &TcpStream, pending: &mut Vec<u8>) -> bool {
    let mut buffer = [0; CHUNK];
    loop {
        if client.readable().await.is_err() {
            return false;
        }
        match client.try_read(&mut buffer) {
            Ok(0) => return false,
            Ok(n) => {
                pending.extend_from_slice(buffer.get(..n).unwrap_or_default());
                return true;
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return false,
        }
    }
}

/// The host's loopback is what a program means that asks a proxy for it: its own needs none. One that
/// has asked the resolver before asks for the address that it was told, and means the name.
fn wish(state: &State, target: target::Target, port: u16) -> Wish {
    let target = match target {
        target::Target::Name(name) => Target::Name(name),
        target::Target::Address(address) => {
            let address = canonical(address);
            crate::tcp::target(state, address).unwrap_or(Target::Address(address))
        }
        target::Target::Localhost => Target::Address(IpAddr::from(Ipv4Addr::LOCALHOST)),
    };
    Wish { target, port, protocol: Protocol::Tcp }
}

async fn dial(
    state: &Rc<State>,
    client: &TcpStream,
    wish: &Wish,
    peer: SocketAddr,
) -> Option<Result<Dialled, Refusal>> {
    while_here(client, judge::dial(state, wish, Some(peer))).await
}

fn refused(refusal: &Refusal) -> http::Refusal {
    let status = match refusal.kind {
        Kind::Denied => 403,
        Kind::NoName => 502,
        Kind::Unreachable => 504,
    };
    http::Refusal::new(status, refusal.reason.clone())
}

async fn answer(client: &TcpStream, refusal: &http::Refusal) {
    // Best effort: it may have gone.
    let _ = write_all(client, &refusal.reply()).await;
    crate::relay::linger(client).await;
}

//! Connections that programs make to any address: which host each is meant for, and then the relay.

use crate::guard::Guard;
use crate::judge::{self, Target, Wish};
use crate::pool::is_own;
use crate::protocol::Role;
use crate::relay::{End, prepare, relay, reset};
use crate::state::{Connection, Open, State, now};
use crate::{names, proxy};
use rustix::net::sockopt;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;
use swathe_netrules::Protocol;
use swathe_netrules::address::canonical;
use swathe_netrules::fixed;
use tokio::net::{TcpListener, TcpStream};

/// After a failure to accept that will not be over at once, such as no descriptor being left.
const PAUSE: Duration = Duration::from_millis(20);

/// Takes connections of the program for as long as the listener lives.
pub async fn listen(state: Rc<State>, listener: TcpListener, role: Role) {
    accept(state, listener, move |state, stream| serve(state, stream, role)).await;
}

/// Takes connections, as many as there is room for, and has each served.
pub async fn accept<S: Future<Output = ()> + 'static>(
    state: Rc<State>,
    listener: TcpListener,
    serve: impl Fn(Rc<State>, TcpStream) -> S,
) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let Some(place) = state.place() else {
                    // Too many: the program hears of it at once.
                    reset(&stream);
                    continue;
                };
                let served = serve(Rc::clone(&state), stream);
                tokio::task::spawn_local(async move {
                    served.await;
                    drop(place);
                });
            }
            Err(e) if e.kind() == ErrorKind::ConnectionAborted => {}
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

async fn serve(state: Rc<State>, stream: TcpStream, role: Role) {
    prepare(&stream);
    let Ok(peer) = stream.peer_addr() else { return reset(&stream) };
    let state = &state;
    match role {
        Role::HttpProxy => return proxy::http(state, stream, peer).await,
        Role::Socks => return proxy::socks(state, stream, peer).await,
        _ => {}
    }
    let Ok(meant) = destination(&stream, role) else { return reset(&stream) };
    let address = canonical(meant.ip());
    let to_proxy = |port| address == fixed::PROXY_V4 && meant.port() == port;
    if to_proxy(fixed::HTTP_PROXY_PORT) {
        proxy::http(state, stream, peer).await;
    } else if to_proxy(fixed::SOCKS_PROXY_PORT) {
        proxy::socks(state, stream, peer).await;
    } else if meant.port() == fixed::RESOLVER_PORT && !is_granted(state, address) {
        names::over_tcp(state, &stream).await;
    } else {
        transparent(state, stream, peer, SocketAddr::new(address, meant.port())).await;
    }
}

/// A server of names that was granted is spoken to; all others are ours.
fn is_granted(state: &State, address: IpAddr) -> bool {
    target(state, address).is_some_and(|target| {
        let wish = Wish { target, port: fixed::RESOLVER_PORT, protocol: Protocol::Tcp };
        judge::verdict(state, &wish).is_allowed()
    })
}

/// Where the program wanted to connect to.
fn destination(stream: &TcpStream, role: Role) -> io::Result<SocketAddr> {
    let own = stream.local_addr()?;
    if role != Role::Redirected {
        return Ok(own);
    }
    let v4 = canonical(own.ip()).is_ipv4();
    let meant = if v4 {
        sockopt::ip_original_dst(stream).map(SocketAddr::from)
    } else {
        sockopt::ipv6_original_dst(stream).map(SocketAddr::from)
    };
    // It was not redirected: the program has found the listener itself.
    Ok(meant.unwrap_or(own))
}

async fn transparent(state: &Rc<State>, client: TcpStream, peer: SocketAddr, meant: SocketAddr) {
    let Some(target) = target(state, meant.ip()) else {
        return reset(&client);
    };
    let wish = Wish { target, port: meant.port(), protocol: Protocol::Tcp };
    match while_here(&client, judge::dial(state, &wish, Some(peer))).await {
        Some(Ok(dialled)) => carry(state, &client, dialled, wish).await,
        Some(Err(_)) | None => reset(&client),
    }
}

/// For whom an address stands; none: for nobody, although it is of the sandbox's own making.
pub fn target(state: &State, address: IpAddr) -> Option<Target> {
    if let Some(name) = state.pool.borrow().name(address) {
        return Some(Target::Name(name.clone()));
    }
    (!is_own(address)).then_some(Target::Address(address))
}

/// Waits for something as long as the program has not broken the connection off.
pub async fn while_here<T>(client: &TcpStream, waited: impl Future<Output = T>) -> Option<T> {
    let gone = async {
        loop {
            match client.ready(tokio::io::Interest::ERROR).await {
                Ok(ready) if ready.is_error() || ready.is_write_closed() => return,
                Ok(_) => tokio::time::sleep(PAUSE).await,
                Err(_) => return,
            }
        }
    };
    tokio::select! {
        biased;
        done = waited => Some(done),
        () = gone => None,
    }
}

/// Relays until the end, and has the connection listed.
pub async fn carry(state: &Rc<State>, client: &TcpStream, dialled: judge::Dialled, wish: Wish) {
    carry_with(state, client, dialled, wish, None).await;
}

/// The same with a guard that has seen something already.
pub async fn carry_with(
    state: &Rc<State>,
    client: &TcpStream,
    dialled: judge::Dialled,
    wish: Wish,
    guard: Option<Guard>,
) {
    prepare(&dialled.stream);
    let guard = guard.unwrap_or_else(|| Guard::new(&wish));
    let (address, asked) = (dialled.address, dialled.asked);
    // The rules may have changed while the host was dialled.
    if dialled.rules != state.rules_number() && judge::is_over(state, &wish, address, asked) {
        reset(client);
        return reset(&dialled.stream);
    }
    let object = wish.to_string();
    let connection = Connection { address, ..Connection::new(object.clone(), Some(wish), asked) };
    let open = state.open(connection);
    let end = keep(client, &dialled.stream, Some(guard), &open).await;
    if let End::Refused(reason) = end {
        state.decided(crate::protocol::Decision {
            time: now(),
            object,
            address: dialled.address,
            peer: client.peer_addr().ok(),
            allowed: false,
            asked: false,
            reason: Some(reason),
            fix: None,
        });
    }
}

/// Relays until the end, or until it is ended.
pub async fn keep(
    client: &TcpStream,
    server: &TcpStream,
    guard: Option<Guard>,
    open: &Open,
) -> End {
    tokio::select! {
        end = relay(client, server, guard, &open.connection.counts) => end,
        () = open.connection.end.notified() => {
            reset(client);
            reset(server);
            End::Reset
        }
    }
}

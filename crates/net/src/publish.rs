//! Connections from outside to a server in the sandbox.

use crate::protocol::Report;
use crate::relay::{End, prepare, reset};
use crate::state::{Connection, State};
use crate::tcp::{accept, keep};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How long a socket of the sandbox is waited for, and how long its server.
const PATIENCE: Duration = Duration::from_secs(10);
/// Who waits for a socket.
const MAX_WAITERS: usize = 1024;

/// Sockets that were asked for: those of IPv4, and those of IPv6. They are made where only a helper
/// of another kind is.
#[derive(Debug, Default)]
pub struct Inside {
    waiters: [RefCell<VecDeque<oneshot::Sender<OwnedFd>>>; 2],
}

impl Inside {
    /// One has come.
    pub fn came(&self, socket: OwnedFd, ipv6: bool) {
        let mut socket = socket;
        let mut waiters = self.waiters[usize::from(ipv6)].borrow_mut();
        while let Some(waiter) = waiters.pop_front() {
            match waiter.send(socket) {
                Ok(()) => return,
                // Whoever waited has gone.
                Err(back) => socket = back,
            }
        }
    }

    async fn socket(&self, state: &State, ipv6: bool) -> Option<OwnedFd> {
        let (sender, socket) = oneshot::channel();
        {
            let mut waiters = self.waiters[usize::from(ipv6)].borrow_mut();
            if waiters.len() >= MAX_WAITERS {
                return None;
            }
            waiters.push_back(sender);
        }
        state.control.say(Report::NeedInside { ipv6 });
        timeout(PATIENCE, socket).await.ok()?.ok()
    }
}

/// Takes connections to the server at this port inside, until that is published no more.
pub fn listen(state: &Rc<State>, listener: TcpListener, port: u16) -> io::Result<()> {
    let at = listener.local_addr()?;
    let own = Rc::clone(state);
    let serve = move |state, stream| serve(state, stream, at, port);
    let task = tokio::task::spawn_local(accept(own, listener, serve));
    state.published.borrow_mut().insert(at, task.abort_handle());
    Ok(())
}

/// Nothing listens there any more, and what is connected by it ends.
pub fn close(state: &State, at: SocketAddr) {
    if let Some(task) = state.published.borrow_mut().remove(&at) {
        task.abort();
    }
    state.end_where(|one| one.published == Some(at));
}

async fn serve(state: Rc<State>, outer: TcpStream, at: SocketAddr, port: u16) {
    prepare(&outer);
    let Ok(own) = outer.local_addr() else { return reset(&outer) };
    let Ok(inner) = connect(&state, port).await else { return reset(&outer) };
    // It may have been taken back meanwhile.
    if !state.published.borrow().contains_key(&at) {
        return reset(&outer);
    }
    prepare(&inner);
    let connection = Connection {
        address: inner.peer_addr().ok(),
        published: Some(at),
        ..Connection::new(format!("listen:{own}"), None, false)
    };
    let open = state.open(connection);
    // Sent is what comes from the program, here as everywhere.
    if let End::Reset = keep(&inner, &outer, None, &open).await {
        reset(&outer);
    }
}

/// The server may listen on one family only.
async fn connect(state: &State, port: u16) -> io::Result<TcpStream> {
    let mut last = io::Error::from(ErrorKind::TimedOut);
    for address in [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)] {
        let socket = state.inside.socket(state, address.is_ipv6()).await;
        let socket = socket.ok_or(ErrorKind::TimedOut)?;
        let socket = TcpSocket::from_std_stream(socket.into());
        match timeout(PATIENCE, socket.connect(SocketAddr::new(address, port))).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(e)) => last = e,
            Err(_) => return Err(ErrorKind::TimedOut.into()),
        }
    }
    Err(last)
}

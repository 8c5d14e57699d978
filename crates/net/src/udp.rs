//! Datagrams to hosts that were granted for them: one socket on the host for each of the program's
//! sockets and the address that it sends to.

use crate::judge::{self, Wish};
use crate::resolve::datagrams_to;
use crate::state::{Connection, Open, State};
use crate::tcp::target;
use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;
use swathe_netrules::Protocol;
use swathe_netrules::address::canonical;
use swathe_sys::datagram;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::sync::mpsc::{Receiver, Sender, channel, error::TrySendError};
use tokio::time::timeout;

/// An exchange in which nothing is said for so long is over.
const SILENCE: Duration = Duration::from_secs(60);
/// Datagrams that wait for the host to be looked up.
const MAX_WAITING: usize = 64;
/// Exchanges at the same time over one port.
const MAX_FLOWS: usize = 1024;
/// The longest datagram.
const MAX_DATAGRAM: usize = 65_535;

type Flow = (SocketAddr, SocketAddr);

/// Exchanges datagrams that come to this port of any address.
pub async fn serve(state: Rc<State>, socket: OwnedFd, port: u16) {
    let Ok(socket) = UdpSocket::from_std(socket.into()) else { return };
    let socket = Rc::new(socket);
    let flows = Flows::new(&socket, port);
    let mut buffer = vec![0; MAX_DATAGRAM];
    loop {
        let receive = || datagram::receive(&*socket, &mut buffer).map_err(Into::into);
        let Ok(came) = socket.async_io(Interest::READABLE, receive).await else {
            tokio::task::yield_now().await;
            continue;
        };
        let bytes = buffer.get(..came.length).unwrap_or_default();
        flows.pass_on(&state, (came.peer, came.asked), bytes.to_vec());
    }
}

/// The exchanges over one port.
pub struct Flows {
    inner: Rc<UdpSocket>,
    port: u16,
    all: Rc<RefCell<HashMap<Flow, Sender<Vec<u8>>>>>,
}

impl Flows {
    /// None yet, of datagrams that come to this socket at this port.
    pub fn new(inner: &Rc<UdpSocket>, port: u16) -> Self {
        Self { inner: Rc::clone(inner), port, all: Rc::default() }
    }

    /// One has come, from the first address to the second.
    pub fn pass_on(&self, state: &Rc<State>, (peer, asked): (SocketAddr, IpAddr), bytes: Vec<u8>) {
        let flow = (peer, SocketAddr::new(asked, self.port));
        let known = self.all.borrow().get(&flow).cloned();
        let bytes = match known {
            None => bytes,
            Some(sender) => match sender.try_send(bytes) {
                // Datagrams may be lost.
                Ok(()) | Err(TrySendError::Full(_)) => return,
                Err(TrySendError::Closed(bytes)) => bytes,
            },
        };
        if self.all.borrow().len() >= MAX_FLOWS {
            return;
        }
        let Some(place) = state.place() else { return };
        let (sender, receiver) = channel(MAX_WAITING);
        // There is room: it is new.
        let _ = sender.try_send(bytes);
        self.all.borrow_mut().insert(flow, sender);
        let exchange = Exchange { inner: Rc::clone(&self.inner), program: peer, asked: flow.1 };
        let (state, all) = (Rc::clone(state), Rc::clone(&self.all));
        tokio::task::spawn_local(async move {
            exchange.run(&state, receiver).await;
            all.borrow_mut().remove(&flow);
            drop(place);
        });
    }
}

struct Exchange {
    inner: Rc<UdpSocket>,
    program: SocketAddr,
    asked: SocketAddr,
}

impl Exchange {
    async fn run(&self, state: &Rc<State>, mut receiver: Receiver<Vec<u8>>) {
        let address = canonical(self.asked.ip());
        let Some(target) = target(state, address) else { return };
        let wish = Wish { target, port: self.asked.port(), protocol: Protocol::Udp };
        let rules = state.rules_number();
        let is_as_judged = || rules == state.rules_number();
        let found = judge::resolve_datagrams(state, &wish, Some(self.program)).await;
        let Ok((address, asked)) = found else {
            // A program that goes on is not judged again for every datagram, but by other rules.
            while let Ok(Some(_)) = timeout(SILENCE, receiver.recv()).await
                && is_as_judged()
            {}
            return;
        };
        if !is_as_judged() && judge::is_over(state, &wish, Some(address), asked) {
            return;
        }
        let Ok(outer) = datagrams_to(address) else { return };
        let connection = Connection {
            address: Some(address),
            ..Connection::new(wish.to_string(), Some(wish), asked)
        };
        let open = state.open(connection);
        tokio::select! {
            () = self.exchange(&outer, &mut receiver, &open) => {}
            () = open.connection.end.notified() => {}
        }
    }

    async fn exchange(&self, outer: &UdpSocket, receiver: &mut Receiver<Vec<u8>>, open: &Open) {
        let counts = &open.connection.counts;
        let mut buffer = vec![0; MAX_DATAGRAM];
        loop {
            tokio::select! {
                sent = receiver.recv() => {
                    let Some(bytes) = sent else { return };
                    // One that the host does not take is lost, as it would be there.
                    if outer.send(&bytes).await.is_ok() {
                        counts.sent.set(counts.sent.get().saturating_add(bytes.len() as u64));
                    }
                }
                came = outer.recv(&mut buffer) => {
                    let Ok(length) = came else { continue };
                    let bytes = buffer.get(..length).unwrap_or_default();
                    let back = datagram::send(&*self.inner, bytes, self.program, self.asked.ip());
                    if back.is_ok() {
                        counts.received.set(counts.received.get().saturating_add(length as u64));
                    }
                }
                () = tokio::time::sleep(SILENCE) => return,
            }
        }
    }
}

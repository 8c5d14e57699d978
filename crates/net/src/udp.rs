//! Datagrams to hosts that were granted for them: one socket on the host for each of the program's
//! sockets and the address that it sends to.

use crate::judge::{self, Wish};
use crate::resolve::datagrams_to;
use crate::state::{Connection, Open, State};
use crate::tcp::target;
use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
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
    let flows: Rc<RefCell<HashMap<Flow, Sender<Vec<u8>>>>> = Rc::default();
    let mut buffer = vec![0; MAX_DATAGRAM];
    loop {
        let receive = || datagram::receive(&*socket, &mut buffer).map_err(Into::into);
        let Ok(came) = socket.async_io(Interest::READABLE, receive).await else {
            tokio::task::yield_now().await;
            continue;
        };
        let flow = (came.peer, SocketAddr::new(came.asked, port));
        let bytes = buffer.get(..came.length).unwrap_or_default().to_vec();
        let known = flows.borrow().get(&flow).cloned();
        let rest = match known.map(|sender| sender.try_send(bytes)) {
            // Datagrams may be lost.
            Some(Ok(()) | Err(TrySendError::Full(_))) => continue,
            Some(Err(TrySendError::Closed(bytes))) => bytes,
            None => buffer.get(..came.length).unwrap_or_default().to_vec(),
        };
        if flows.borrow().len() >= MAX_FLOWS {
            continue;
        }
        let Some(place) = state.place() else { continue };
        let (sender, receiver) = channel(MAX_WAITING);
        // There is room: it is new.
        let _ = sender.try_send(rest);
        flows.borrow_mut().insert(flow, sender);
        let exchange = Exchange { inner: Rc::clone(&socket), program: came.peer, asked: flow.1 };
        let (state, flows) = (Rc::clone(&state), Rc::clone(&flows));
        tokio::task::spawn_local(async move {
            exchange.run(&state, receiver).await;
            flows.borrow_mut().remove(&flow);
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
        let found = judge::resolve_datagrams(state, &wish, Some(self.program)).await;
        let Ok(address) = found else {
            // A program that goes on is not judged again for every datagram.
            while let Ok(Some(_)) = timeout(SILENCE, receiver.recv()).await {}
            return;
        };
        let Ok(outer) = datagrams_to(address) else { return };
        let connection = Connection {
            address: Some(address),
            ..Connection::new(wish.to_string(), Some(wish), false)
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

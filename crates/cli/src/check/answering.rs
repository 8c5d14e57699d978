//! Servers of the check's own that say the planted secret to whoever reaches them: that a
//! connection was accepted proves nothing where somebody stands between.

use rustix::event::{PollFd, PollFlags, poll};
use std::io::{PipeWriter, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::AsFd;
use std::thread::JoinHandle;

/// The servers; they end when this is dropped.
pub struct Answering {
    /// The port at 127.0.0.1.
    pub port: u16,
    /// An address of the machine's own, where it has one.
    pub own: Option<SocketAddr>,
    /// The same for datagrams.
    pub datagrams: Option<SocketAddr>,
    end: Option<PipeWriter>,
    thread: Option<JoinHandle<()>>,
}

impl Answering {
    /// Starts them.
    ///
    /// # Errors
    /// The loopback interface cannot be listened on, or there is no thread to be had.
    pub fn start(secret: String) -> std::io::Result<Self> {
        let loopback = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let own = own_address();
        let stream = own.and_then(|address| TcpListener::bind((address, 0)).ok());
        let datagrams = own.and_then(|address| UdpSocket::bind((address, 0)).ok());
        let (closed, end) = std::io::pipe()?;
        let mut answering = Self {
            port: loopback.local_addr()?.port(),
            own: stream.as_ref().and_then(|listener| listener.local_addr().ok()),
            datagrams: datagrams.as_ref().and_then(|socket| socket.local_addr().ok()),
            end: Some(end),
            thread: None,
        };
        let listeners: Vec<TcpListener> = std::iter::once(loopback).chain(stream).collect();
        let thread = std::thread::Builder::new().name("answers".into());
        answering.thread = Some(thread.spawn(move || {
            serve(&listeners, datagrams.as_ref(), closed.as_fd(), secret.as_bytes());
        })?);
        Ok(answering)
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.end = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn serve(
    listeners: &[TcpListener],
    datagrams: Option<&UdpSocket>,
    closed: impl AsFd,
    secret: &[u8],
) {
    loop {
        let mut all = vec![PollFd::new(&closed, PollFlags::IN)];
        all.extend(listeners.iter().map(|listener| PollFd::new(listener, PollFlags::IN)));
        all.extend(datagrams.map(|socket| PollFd::new(socket, PollFlags::IN)));
        match poll(&mut all, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return,
        }
        let came: Vec<bool> = all.iter().map(|one| !one.revents().is_empty()).collect();
        drop(all);
        if came.first() == Some(&true) {
            return;
        }
        for (listener, came) in listeners.iter().zip(came.iter().skip(1)) {
            if let Some((mut stream, _)) = came.then(|| listener.accept().ok()).flatten() {
                // Whoever has gone does not need it.
                let _ = stream.write_all(secret);
            }
        }
        let last = came.get(listeners.len() + 1) == Some(&true);
        if let Some(socket) = datagrams.filter(|_| last)
            && let Ok((_, from)) = socket.recv_from(&mut [0; 64])
        {
            let _ = socket.send_to(secret, from);
        }
    }
}

/// The address from which the machine reaches others; nothing is sent.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

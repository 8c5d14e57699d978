//! Bytes from one connection to another, both ways, until both have ended.

use crate::guard::{Guard, Passed};
use rustix::net::sockopt;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use std::cell::{Cell, RefCell};
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::TcpStream;

/// What is read at once, if there are not many connections. One buffer serves all of them: what could
/// not be written at once is kept by the connection itself.
const CHUNK: usize = 256 << 10;
/// What is read at once at least, and what all connections together may have to keep.
const LEAST: usize = 16 << 10;
const KEPT: usize = 128 << 20;

/// After so many bytes in one direction a pipe is worth its making.
const LARGE: u64 = 4 << 20;
/// What a pipe holds. The kernel counts the memory of a user's pipes, and makes those of others
/// smaller where it is too much: there are not many of them at a time.
const PIPE: usize = 256 << 10;
const MAX_PIPES: usize = 64;

thread_local! {
    static PIPES: Cell<usize> = const { Cell::new(0) };
    static PUMPS: Cell<usize> = const { Cell::new(0) };
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; CHUNK]);
}

/// How many bytes went where.
#[derive(Debug, Default)]
pub struct Counts {
    /// From the program.
    pub sent: Cell<u64>,
    /// To it.
    pub received: Cell<u64>,
}

/// How it ended.
#[derive(Debug)]
pub enum End {
    /// Both sides had said all.
    Closed,
    /// One of them broke it off.
    Reset,
    /// What the program sent is not for the host that it was granted: why.
    Refused(String),
}

/// Relays until both directions are closed or one side breaks it off; then so does this to the
/// other. `client`: the program's end.
pub async fn relay(
    client: &TcpStream,
    server: &TcpStream,
    guard: Option<Guard>,
    counts: &Counts,
) -> End {
    let guard = RefCell::new(guard);
    let _counted = Counted::new();
    let up = Pump { from: client, to: server, count: &counts.sent };
    let down = Pump { from: server, to: client, count: &counts.received };
    let ended =
        async { tokio::try_join!(up.guarded(&guard, down.to), down.watched(&guard)).map(drop) };
    match ended.await {
        Ok(()) => End::Closed,
        Err(Broken::Refused(reason)) => {
            reset(server);
            linger(client).await;
            End::Refused(reason)
        }
        Err(Broken::Io) => {
            reset(client);
            reset(server);
            End::Reset
        }
    }
}

/// Lets the client read what it was told: with bytes of it unread, a close would throw that away.
pub async fn linger(client: &TcpStream) {
    const PATIENCE: Duration = Duration::from_secs(1);
    let _ = sockopt_shutdown(client);
    let drain = async {
        let mut left = 1 << 20;
        let mut buffer = vec![0; 16 << 10];
        while left > 0 && client.readable().await.is_ok() {
            match client.try_read(&mut buffer) {
                Ok(0) => return,
                Ok(n) => left -= n.min(left),
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    };
    // One that goes on talking is cut off.
    let _ = tokio::time::timeout(PATIENCE, drain).await;
}

/// Makes the close that follows a reset: the other side hears that this was no orderly end.
pub fn reset(stream: &TcpStream) {
    // It fails only where the connection is over.
    let _ = sockopt::set_socket_linger(stream, Some(Duration::ZERO));
}

/// What becomes of every connection: small writes are not held back, and a peer that has vanished is
/// noticed.
pub fn prepare(stream: &TcpStream) {
    // The defaults do as well.
    let _ = stream.set_nodelay(true);
    let _ = sockopt::set_socket_keepalive(stream, true);
    let _ = sockopt::set_tcp_keepidle(stream, Duration::from_secs(300));
}

enum Broken {
    Io,
    Refused(String),
}

impl From<io::Error> for Broken {
    fn from(_: io::Error) -> Self {
        Self::Io
    }
}

/// The two directions of a connection, among all.
struct Counted;

impl Counted {
    fn new() -> Self {
        PUMPS.set(PUMPS.get() + 2);
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        PUMPS.set(PUMPS.get() - 2);
    }
}

/// A pipe between two sockets.
struct Pipe {
    read: OwnedFd,
    write: OwnedFd,
}

impl Pipe {
    /// None where there are many, or none can be made.
    fn new() -> Option<Self> {
        if PIPES.get() >= MAX_PIPES {
            return None;
        }
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).ok()?;
        // A small one does as well.
        let _ = fcntl_setpipe_size(&write, PIPE);
        PIPES.set(PIPES.get() + 1);
        Some(Self { read, write })
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        PIPES.set(PIPES.get() - 1);
    }
}

/// What a guard has to look at next.
enum Heard {
    /// What the program has sent; nothing: it will send no more.
    Bytes(Vec<u8>),
    /// The server has answered.
    Reply,
    /// Nothing for as long as it may take.
    Nothing,
}

/// One direction.
struct Pump<'s> {
    from: &'s TcpStream,
    to: &'s TcpStream,
    count: &'s Cell<u64>,
}

impl Pump<'_> {
    /// Lets a guard look at all that comes, as long as it wants to.
    async fn guarded(
        &self,
        guard: &RefCell<Option<Guard>>,
        client: &TcpStream,
    ) -> Result<(), Broken> {
        while guard.borrow().is_some() {
            let waits = guard.borrow().as_ref().is_some_and(Guard::waits_for_reply);
            let first = guard.borrow_mut().as_mut().and_then(Guard::take_first);
            let heard = if let Some(first) = first {
                Heard::Bytes(first)
            } else if waits {
                self.wait_for_reply(guard).await;
                Heard::Reply
            } else {
                let limit = guard.borrow().as_ref().and_then(Guard::patience);
                self.read_within(limit).await?
            };
            let ended = matches!(&heard, Heard::Bytes(bytes) if bytes.is_empty());
            let passed = match (guard.borrow_mut().as_mut(), heard) {
                (Some(guard), Heard::Reply) => guard.again(),
                (Some(guard), Heard::Nothing) => guard.pause(),
                (Some(guard), Heard::Bytes(_)) if ended => guard.end(),
                (Some(guard), Heard::Bytes(bytes)) => guard.push(&bytes),
                (None, Heard::Bytes(bytes)) => Passed::Open(bytes),
                (None, Heard::Reply | Heard::Nothing) => Passed::Open(Vec::new()),
            };
            match passed {
                Passed::Bytes(bytes) => self.write_all(&bytes).await?,
                Passed::Open(bytes) => {
                    *guard.borrow_mut() = None;
                    self.write_all(&bytes).await?;
                }
                Passed::Refused { reason, reply } => {
                    // The reason is in the record as well.
                    let _ = client.try_write(&reply);
                    return Err(Broken::Refused(reason));
                }
            }
            if ended {
                return self.finish();
            }
        }
        self.run().await
    }

    async fn read_within(&self, limit: Option<Duration>) -> Result<Heard, Broken> {
        let Some(limit) = limit else { return Ok(Heard::Bytes(self.read_some().await?)) };
        match tokio::time::timeout(limit, self.read_some()).await {
            Ok(read) => Ok(Heard::Bytes(read?)),
            Err(_) => Ok(Heard::Nothing),
        }
    }

    /// The guard holds the program's bytes until the server has answered.
    async fn wait_for_reply(&self, guard: &RefCell<Option<Guard>>) {
        let told = guard.borrow().as_ref().map(Guard::told);
        if let Some(told) = told {
            told.notified().await;
        }
    }

    /// The server's direction: a guard may need to see how an answer begins.
    async fn watched(&self, guard: &RefCell<Option<Guard>>) -> Result<(), Broken> {
        while guard.borrow().is_some() {
            let bytes = self.read_some().await?;
            let ended = bytes.is_empty();
            if let Some(guard) = guard.borrow_mut().as_mut() {
                guard.reply(&bytes);
            }
            self.write_all(&bytes).await?;
            if ended {
                return self.finish();
            }
        }
        self.run().await
    }

    /// Without anybody who looks.
    async fn run(&self) -> Result<(), Broken> {
        let mut rest = Vec::new();
        let start = self.count.get();
        loop {
            self.from.readable().await?;
            let moved = self.move_some(&mut rest);
            match moved {
                Ok(0) => return self.finish(),
                Ok(_) => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => continue,
                Err(e) => return Err(e.into()),
            }
            if !rest.is_empty() {
                self.write_all(&rest).await?;
                rest = Vec::new();
            }
            if self.count.get() - start >= LARGE
                && let Some(pipe) = Pipe::new()
            {
                return self.splice(&pipe).await;
            }
        }
    }

    /// Through a pipe, without a copy.
    async fn splice(&self, pipe: &Pipe) -> Result<(), Broken> {
        let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
        loop {
            // The pipe is empty: what would block is the socket.
            let read =
                || splice(self.from, None, &pipe.write, None, PIPE, flags).map_err(Into::into);
            let mut left = self.from.async_io(Interest::READABLE, read).await?;
            if left == 0 {
                return self.finish();
            }
            while left > 0 {
                let write =
                    || splice(&pipe.read, None, self.to, None, left, flags).map_err(Into::into);
                let written = self.to.async_io(Interest::WRITABLE, write).await?;
                self.add(written);
                left = left.saturating_sub(written);
            }
        }
    }

    /// Reads once and writes what can be written at once; the rest is left in `rest`.
    fn move_some(&self, rest: &mut Vec<u8>) -> io::Result<usize> {
        SCRATCH.with_borrow_mut(|scratch| {
            let size = (KEPT / PUMPS.get().max(1)).clamp(LEAST, CHUNK);
            let read = self.from.try_read(scratch.get_mut(..size).unwrap_or_default())?;
            let bytes = scratch.get(..read).unwrap_or_default();
            let written = match self.to.try_write(bytes) {
                Ok(written) => written,
                Err(e) if e.kind() == ErrorKind::WouldBlock => 0,
                Err(e) => return Err(e),
            };
            self.add(written);
            rest.extend_from_slice(bytes.get(written..).unwrap_or_default());
            Ok(read)
        })
    }

    async fn read_some(&self) -> io::Result<Vec<u8>> {
        loop {
            self.from.readable().await?;
            let read = SCRATCH.with_borrow_mut(|scratch| {
                let part = scratch.get_mut(..16 << 10).unwrap_or_default();
                self.from.try_read(part).map(|n| part.get(..n).unwrap_or_default().to_vec())
            });
            match read {
                Err(e) if e.kind() == ErrorKind::WouldBlock => {}
                other => return other,
            }
        }
    }

    async fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        let mut left = bytes;
        while !left.is_empty() {
            match self.to.try_write(left) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(n) => {
                    self.add(n);
                    left = left.get(n..).unwrap_or_default();
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    self.to.ready(Interest::WRITABLE).await?;
                }
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    fn add(&self, n: usize) {
        self.count.set(self.count.get().saturating_add(n as u64));
    }

    /// The end of one direction leaves the other as it is.
    fn finish(&self) -> Result<(), Broken> {
        sockopt_shutdown(self.to).map_err(Into::into)
    }
}

/// Nothing more will be written.
fn sockopt_shutdown(stream: &TcpStream) -> io::Result<()> {
    match rustix::net::shutdown(stream, rustix::net::Shutdown::Write) {
        // The other side has gone already.
        Err(rustix::io::Errno::NOTCONN) | Ok(()) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

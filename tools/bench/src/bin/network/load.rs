//! What runs at both ends of a connection: a server that takes, gives back or holds, and a client
//! that measures. The client runs inside of whatever is measured.

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use swathe_sys::rustix::event::epoll;

/// Bytes that are written at once.
const CHUNK: usize = 256 << 10;

/// Serves until the end of the process: the first byte of a connection says what it is. `s`: takes
/// all; `e`: gives back what comes; `c`: gives one byte back and closes, as many servers do.
///
/// # Errors
/// Of epoll(7).
pub fn serve(listener: TcpListener) -> io::Result<()> {
    let echo = Arc::new(Echo::new()?);
    let answers = Arc::clone(&echo);
    std::thread::spawn(move || answers.serve());
    std::thread::spawn(move || {
        loop {
            // Without a descriptor left, the client is told so by its own limit.
            let Ok((stream, _)) = listener.accept() else { continue };
            let stream = Arc::new(Mutex::new(Some(stream)));
            // Where there are too many threads, one has to end first.
            loop {
                let (stream, thread) = (Arc::clone(&stream), std::thread::Builder::new());
                let echo = Arc::clone(&echo);
                let serve = move || {
                    let taken = stream.lock().ok().and_then(|mut stream| stream.take());
                    taken.map(|stream| one(stream, &echo))
                };
                if thread.stack_size(64 << 10).spawn(serve).is_ok() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(2));
            }
        }
    });
    Ok(())
}

/// Connections that are given back what comes over them: thousands, which no thread waits for.
struct Echo {
    epoll: OwnedFd,
    streams: Mutex<HashMap<u64, TcpStream>>,
}

impl Echo {
    fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Self { epoll, streams: Mutex::default() })
    }

    fn take(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_nonblocking(true)?;
        let number = stream.as_raw_fd().unsigned_abs().into();
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        epoll::add(&self.epoll, &stream, epoll::EventData::new_u64(number), epoll::EventFlags::IN)?;
        streams.insert(number, stream);
        Ok(())
    }

    fn serve(&self) {
        let mut events = Vec::with_capacity(256);
        loop {
            events.clear();
            let room = swathe_sys::rustix::buffer::spare_capacity(&mut events);
            if epoll::wait(&self.epoll, room, None).is_err() {
                continue;
            }
            let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
            for number in events.iter().map(|event| event.data.u64()) {
                if streams.get_mut(&number).is_some_and(|stream| !gives_back(stream)) {
                    streams.remove(&number);
                }
            }
        }
    }
}

/// Whether there can be more.
fn gives_back(stream: &mut TcpStream) -> bool {
    let mut buffer = [0; 16];
    match stream.read(&mut buffer) {
        Ok(0) => false,
        Ok(n) => stream.write_all(buffer.get(..n).unwrap_or_default()).is_ok(),
        Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
    }
}

fn one(mut stream: TcpStream, echo: &Echo) {
    let mut kind = [0];
    let mut buffer = vec![0; 16];
    let _ = stream.set_nodelay(true);
    if stream.read_exact(&mut kind).is_err() {
        return;
    }
    if kind == *b"s" {
        buffer = vec![0; CHUNK];
        let mut all = 0_u64;
        while let Ok(n) = stream.read(&mut buffer) {
            if n == 0 {
                break;
            }
            all += n as u64;
        }
        let _ = stream.write_all(&all.to_be_bytes());
        return;
    }
    if kind == *b"e" {
        // Not taken: the client sees that it ends.
        let _ = echo.take(stream);
        return;
    }
    while let Ok(n) = stream.read(&mut buffer) {
        if n == 0 || stream.write_all(buffer.get(..n).unwrap_or_default()).is_err() {
            return;
        }
        let _ = stream.shutdown(std::net::Shutdown::Write);
    }
}

/// The client's part: `stream SECONDS`, `connect TIMES`, `hold CONNECTIONS`, `rate PER-SECOND
/// SECONDS`. One line with the result: bits a second, microseconds, connections that answer,
/// failures.
pub fn client(server: SocketAddr, what: &str, numbers: &[u64]) -> io::Result<String> {
    let number = |at: usize| numbers.get(at).copied().ok_or(ErrorKind::InvalidInput);
    match what {
        "stream" => stream(server, Duration::from_secs(number(0)?)).map(|bits| bits.to_string()),
        "connect" => connect(server, number(0)?).map(|microseconds| microseconds.to_string()),
        "hold" => hold(server, number(0)?).map(|held| held.to_string()),
        "rate" => rate(server, number(0)?, number(1)?).map(|failed| failed.to_string()),
        _ => Err(ErrorKind::InvalidInput.into()),
    }
}

fn open(server: SocketAddr, kind: u8) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(server)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    stream.write_all(&[kind])?;
    Ok(stream)
}

/// Bits a second that arrive over one connection.
fn stream(server: SocketAddr, time: Duration) -> io::Result<f64> {
    let mut stream = open(server, b's')?;
    let bytes = vec![0x5a; CHUNK];
    let start = Instant::now();
    while start.elapsed() < time {
        stream.write_all(&bytes)?;
    }
    stream.shutdown(std::net::Shutdown::Write)?;
    let mut all = [0; 8];
    stream.read_exact(&mut all)?;
    Ok(u64::from_be_bytes(all) as f64 * 8.0 / start.elapsed().as_secs_f64())
}

/// The median of microseconds until a new connection has answered a byte.
fn connect(server: SocketAddr, times: u64) -> io::Result<f64> {
    let mut all = Vec::new();
    for _ in 0..times {
        let start = Instant::now();
        answers(&mut open(server, b'e')?)?;
        all.push(start.elapsed().as_secs_f64() * 1e6);
    }
    Ok(crate::room::median(all))
}

fn answers(stream: &mut TcpStream) -> io::Result<()> {
    stream.write_all(b"x")?;
    stream.read_exact(&mut [0])
}

/// How many of so many connections answer while all are open. Then it waits for its standard input
/// to end, so that it can be looked at.
fn hold(server: SocketAddr, connections: u64) -> io::Result<u64> {
    let mut all = Vec::new();
    for _ in 0..connections {
        all.push(open(server, b'e')?);
    }
    let held = all.iter_mut().filter_map(|stream| answers(stream).ok()).count() as u64;
    io::stdout().write_all(b"held\n")?;
    io::stdout().flush()?;
    let mut end = Vec::new();
    io::stdin().read_to_end(&mut end)?;
    Ok(held)
}

/// How many of so many new connections a second fail.
fn rate(server: SocketAddr, per_second: u64, seconds: u64) -> io::Result<u64> {
    let start = Instant::now();
    let mut failed = 0;
    for number in 0..per_second * seconds {
        let due = Duration::from_secs_f64(number as f64 / per_second as f64);
        if let Some(early) = due.checked_sub(start.elapsed()) {
            std::thread::sleep(early);
        }
        // The server closes first: who does so keeps the port for a minute, and who dials has only some
        // 28,000 of them.
        let done = open(server, b'c').and_then(|mut stream| {
            answers(&mut stream)?;
            stream.read(&mut [0])
        });
        if !matches!(done, Ok(0)) {
            failed += 1;
        }
    }
    Ok(failed)
}

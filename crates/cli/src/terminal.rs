//! A terminal of its own for a command that enters a running sandbox: input, output and window size
//! are relayed between the caller's terminal and it.

use crate::out::Failure;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{
    OptionalActions, Termios, tcgetattr, tcgetpgrp, tcgetwinsize, tcsetattr, tcsetwinsize,
};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use swathe::serve::{Error, Event, Request, Running, Session};

/// Bytes that are relayed at a time.
const CHUNK: usize = 16 << 10;

/// The caller's terminal in raw mode; put back when dropped.
struct Raw(Termios);

impl Raw {
    fn new() -> Result<Self, Failure> {
        let stdin = rustix::stdio::stdin();
        let saved = tcgetattr(stdin).map_err(failed("ask the terminal for its settings"))?;
        let mut raw = saved.clone();
        raw.make_raw();
        tcsetattr(stdin, OptionalActions::Flush, &raw).map_err(failed("set up the terminal"))?;
        Ok(Self(saved))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // A terminal that has gone has no settings to put back.
        let _ = tcsetattr(rustix::stdio::stdin(), OptionalActions::Flush, &self.0);
    }
}

/// The settings of the caller's terminal, where a program gets that itself as one of its streams; put
/// back when dropped.
#[derive(Debug)]
pub struct Settings(Option<(OwnedFd, Termios)>);

impl Settings {
    /// Those of the first stream that is a terminal.
    pub fn keep() -> Self {
        let streams = [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()];
        let found = streams.into_iter().find_map(|fd| Some((fd, tcgetattr(fd).ok()?)));
        Self(found.and_then(|(fd, saved)| Some((fd.try_clone_to_owned().ok()?, saved))))
    }
}

impl Drop for Settings {
    fn drop(&mut self) {
        let Some((fd, saved)) = &self.0 else { return };
        // In the background it is somebody else's now, and who sets it is stopped.
        let ours = tcgetpgrp(fd).is_ok_and(|group| group == rustix::process::getpgrp());
        if ours {
            let _ = tcsetattr(fd, OptionalActions::Drain, saved);
        }
    }
}

fn failed<E: std::fmt::Display>(what: &'static str) -> impl FnOnce(E) -> Failure {
    move |e| Failure::new(format!("cannot {what}: {e}"))
}

/// An error of the session as one of the program.
pub fn refused(error: &Error) -> Failure {
    Failure::new(crate::out::shown(&error.to_string()))
}

/// Signals of this process as a descriptor: one byte each.
struct Signals(Vec<(i32, UnixStream)>);

impl Signals {
    fn new(numbers: &[i32]) -> Result<Self, Failure> {
        let mut streams = Vec::new();
        for &number in numbers {
            let (read, write) = UnixStream::pair().map_err(failed("make a socket"))?;
            read.set_nonblocking(true).map_err(failed("set up a socket"))?;
            signal_hook::low_level::pipe::register(number, write)
                .map_err(failed("catch signals"))?;
            streams.push((number, read));
        }
        Ok(Self(streams))
    }

    /// The signals that have come since.
    fn take(&self) -> Vec<i32> {
        let came = self.0.iter().filter(|(_, stream)| {
            let mut bytes = [0; 64];
            matches!(io::Read::read(&mut &*stream, &mut bytes), Ok(1..))
        });
        came.map(|(number, _)| *number).collect()
    }
}

/// Runs a command in a session with the caller's streams, and passes signals on. Returns its exit
/// status.
pub fn run_plain(session: &Session, request: &Request<'_>) -> Result<u8, Failure> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
    let signals = Signals::new(&[SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2])?;
    let _settings = Settings::keep();
    let mut running = session.run(request).map_err(|e| refused(&e))?;
    loop {
        let mut polled = vec![PollFd::new(&running, PollFlags::IN)];
        polled.extend(signals.0.iter().map(|(_, stream)| PollFd::new(stream, PollFlags::IN)));
        wait(&mut polled)?;
        let heard = !polled[0].revents().is_empty();
        drop(polled);
        forward(&running, &signals)?;
        if heard && let Some(code) = ended(&mut running)? {
            return Ok(code);
        }
    }
}

/// The same with a terminal of the command's own.
pub fn run_on_terminal(session: &Session, request: Request<'static>) -> Result<u8, Failure> {
    use signal_hook::consts::{SIGHUP, SIGTERM, SIGWINCH};
    let signals = Signals::new(&[SIGHUP, SIGTERM, SIGWINCH])?;
    let (ours, theirs) = open()?;
    let end = theirs.as_fd();
    let request = Request { stdin: end, stdout: end, stderr: end, terminal: true, ..request };
    let mut running = session.run(&request).map_err(|e| refused(&e))?;
    drop(request);
    // Its end of file is the end of the last process that has the terminal open.
    drop(theirs);
    let raw = Raw::new()?;
    let code = relay(&mut running, &ours, &signals);
    drop(raw);
    code
}

/// A new pair of terminal ends, as large as the caller's.
fn open() -> Result<(OwnedFd, OwnedFd), Failure> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let ours = openpt(flags).map_err(failed("open a terminal"))?;
    grantpt(&ours).and_then(|()| unlockpt(&ours)).map_err(failed("unlock a terminal"))?;
    let theirs = ioctl_tiocgptpeer(&ours, flags).map_err(failed("open a terminal"))?;
    resize(&ours);
    rustix::fs::fcntl_setfl(&ours, OFlags::NONBLOCK).map_err(failed("set up a terminal"))?;
    Ok((ours, theirs))
}

/// Programs cope with a window of unknown size.
fn resize(ours: &OwnedFd) {
    if let Ok(size) = tcgetwinsize(rustix::stdio::stdin()) {
        let _ = tcsetwinsize(ours, size);
    }
}

fn wait(polled: &mut [PollFd<'_>]) -> Result<(), Failure> {
    match poll(polled, None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(e) => Err(failed("wait for the command")(e)),
    }
}

fn forward(running: &Running, signals: &Signals) -> Result<(), Failure> {
    for number in signals.take() {
        let number = u32::try_from(number).unwrap_or(0);
        running.signal(number, false).map_err(|e| refused(&e))?;
    }
    Ok(())
}

/// The exit status when the command has ended. One that stopped is left to whoever stopped it.
fn ended(running: &mut Running) -> Result<Option<u8>, Failure> {
    match running.event().map_err(|e| refused(&e))? {
        Event::Exited(status) => Ok(Some(u8::try_from(status.code()).unwrap_or(u8::MAX))),
        Event::Stopped(_) => Ok(None),
    }
}

fn relay(running: &mut Running, ours: &OwnedFd, signals: &Signals) -> Result<u8, Failure> {
    let stdin = rustix::stdio::stdin();
    let mut pending: Vec<u8> = Vec::new();
    let mut open = true;
    loop {
        let mut polled = vec![PollFd::new(&*running, PollFlags::IN)];
        let wanted =
            if pending.is_empty() { PollFlags::IN } else { PollFlags::IN | PollFlags::OUT };
        polled.push(PollFd::new(ours, wanted));
        let reads = open && pending.is_empty();
        polled.push(PollFd::new(&stdin, if reads { PollFlags::IN } else { PollFlags::empty() }));
        polled.extend(signals.0.iter().map(|(_, stream)| PollFd::new(stream, PollFlags::IN)));
        wait(&mut polled)?;
        let ready: Vec<PollFlags> = polled.iter().map(|fd| fd.revents()).take(3).collect();
        drop(polled);
        for number in signals.take() {
            if number == signal_hook::consts::SIGWINCH {
                resize(ours);
            } else {
                running
                    .signal(u32::try_from(number).unwrap_or(0), true)
                    .map_err(|e| refused(&e))?;
            }
        }
        if ready[1].intersects(PollFlags::IN | PollFlags::HUP) {
            copy_out(ours)?;
        }
        if ready[1].contains(PollFlags::OUT) && !pending.is_empty() {
            match rustix::io::write(ours, &pending) {
                Ok(n) => drop(pending.drain(..n)),
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(_) => pending.clear(),
            }
        }
        if reads && !ready[2].is_empty() {
            open = copy_in(stdin, &mut pending);
        }
        if !ready[0].is_empty()
            && let Some(code) = ended(running)?
        {
            // What it wrote last.
            while copy_out(ours)? {}
            return Ok(code);
        }
    }
}

/// Copies what the command wrote; false when there is no more at the moment.
fn copy_out(ours: &OwnedFd) -> Result<bool, Failure> {
    let mut bytes = [0; CHUNK];
    match rustix::io::read(ours, &mut bytes) {
        Ok(0) => Ok(false),
        Ok(n) => {
            io::Write::write_all(&mut Stdout, &bytes[..n]).map_err(failed("write"))?;
            Ok(true)
        }
        // EIO: nobody has the other end open.
        Err(Errno::AGAIN | Errno::INTR | Errno::IO) => Ok(false),
        Err(e) => Err(failed("read from the command's terminal")(e)),
    }
}

/// Reads what was typed; false at the end of file.
fn copy_in(stdin: BorrowedFd<'_>, pending: &mut Vec<u8>) -> bool {
    let mut bytes = [0; CHUNK];
    match rustix::io::read(stdin, &mut bytes) {
        Ok(0) => false,
        Ok(n) => {
            pending.extend_from_slice(&bytes[..n]);
            true
        }
        Err(Errno::AGAIN | Errno::INTR) => true,
        Err(_) => false,
    }
}

/// Standard output without a buffer: a terminal shows what was written at once.
struct Stdout;

impl io::Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::write(rustix::stdio::stdout(), bytes)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

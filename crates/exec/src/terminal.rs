//! A terminal of the sandbox's own (`--pty`): the caller's is never in the command's reach.

use crate::failure::{At, Result, Stage};
use alloc::ffi::CString;
use alloc::format;
use alloc::vec::Vec;
use swathe_sys::process::borrow_fd;
use swathe_sys::rustix::event::{PollFd, PollFlags};
use swathe_sys::rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use swathe_sys::rustix::fs::{self, OFlags};
use swathe_sys::rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, ptsname, unlockpt};
use swathe_sys::rustix::termios::{
    OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize,
};
use swathe_sys::{Errno, rustix};

/// Both sides of the terminal.
#[derive(Debug)]
pub struct Pty {
    master: OwnedFd,
    slave: OwnedFd,
    /// The name of the sandbox's side on the host.
    pub path: CString,
    /// What its file is known by.
    pub identity: (u64, u64, u64),
}

fn is_terminal(number: i32) -> bool {
    borrow_fd(number).is_ok_and(isatty)
}

impl Pty {
    /// Opens a terminal like the one on the caller's standard streams, if there is one.
    pub fn open() -> Result<Self> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).at(Stage::Terminal)?;
        unlockpt(&master).at(Stage::Terminal)?;
        let slave = ioctl_tiocgptpeer(&master, flags).at(Stage::Terminal)?;
        let path = ptsname(&master, Vec::new()).at(Stage::Terminal)?;
        let identity = crate::prepare::identity(&fs::fstat(&slave).at(Stage::Terminal)?);
        if let Some(own) = (0..3).find(|&n| is_terminal(n)).and_then(|n| borrow_fd(n).ok()) {
            let settings = tcgetattr(own).at(Stage::Terminal)?;
            tcsetattr(&slave, OptionalActions::Now, &settings).at(Stage::Terminal)?;
            let size = tcgetwinsize(own).at(Stage::Terminal)?;
            tcsetwinsize(&slave, size).at(Stage::Terminal)?;
        }
        Ok(Self { master, slave, path, identity })
    }

    /// In the sandbox's first process: puts the terminal in place of every standard stream that is
    /// one. A stream that is a file or a pipe stays what it is.
    pub fn give_to_command(&self) -> Result<()> {
        if is_terminal(0) {
            rustix::stdio::dup2_stdin(&self.slave).at(Stage::Terminal)?;
        }
        if is_terminal(1) {
            rustix::stdio::dup2_stdout(&self.slave).at(Stage::Terminal)?;
        }
        if is_terminal(2) {
            rustix::stdio::dup2_stderr(&self.slave).at(Stage::Terminal)?;
        }
        Ok(())
    }

    /// The launcher's side.
    pub fn master(&self) -> BorrowedFd<'_> {
        self.master.as_fd()
    }

    /// Both descriptors.
    pub fn fds(&self) -> [BorrowedFd<'_>; 2] {
        [self.master.as_fd(), self.slave.as_fd()]
    }
}

/// The most bytes that are held for a side that does not take them.
const BUFFER: usize = 4096;

/// The launcher's end of a relayed terminal: the caller's terminal in raw mode, until dropped.
///
/// Nothing here waits: what a side does not take is held, and the other side is not read meanwhile.
#[derive(Debug)]
pub struct Relay<'p> {
    pty: &'p Pty,
    saved: Option<Termios>,
    /// Whether the caller's terminal gives input still.
    input: bool,
    /// Where input comes from: a non-blocking description of the caller's terminal. What was there
    /// when it was waited for may have been thrown away since, by whoever else has the terminal.
    typed: Option<OwnedFd>,
    /// Where output goes: a non-blocking description of the caller's terminal.
    output: Option<OwnedFd>,
    to_command: Vec<u8>,
    to_caller: Vec<u8>,
}

impl<'p> Relay<'p> {
    /// Starts to relay.
    pub fn start(pty: &'p Pty) -> Result<Self> {
        let input = is_terminal(0);
        let mut saved = None;
        if input {
            let stdin = borrow_fd(0).at(Stage::Terminal)?;
            saved = Some(tcgetattr(stdin).at(Stage::Terminal)?);
        }
        let flags = fs::fcntl_getfl(pty.master()).at(Stage::Terminal)?;
        fs::fcntl_setfl(pty.master(), flags | OFlags::NONBLOCK).at(Stage::Terminal)?;
        let output = (1..3).find(|&n| is_terminal(n));
        let output = output.map(|n| reopen(n, OFlags::WRONLY)).transpose()?;
        // One that may not be opened again is read as it is.
        let typed = if input { reopen(0, OFlags::RDONLY).ok() } else { None };
        let (to_command, to_caller) = (Vec::new(), Vec::new());
        let relay = Self { pty, saved, input, typed, output, to_command, to_caller };
        relay.set_raw(true);
        Ok(relay)
    }

    /// What to wait for, and with which events: the caller's input, the sandbox's side, and the
    /// caller's output.
    pub fn waits(&self) -> [(Option<BorrowedFd<'_>>, PollFlags); 3] {
        let reads = self.input && self.to_command.is_empty();
        let stdin = if reads { self.typed().ok() } else { None };
        let mut master = PollFlags::empty();
        master.set(PollFlags::IN, self.to_caller.is_empty());
        master.set(PollFlags::OUT, !self.to_command.is_empty());
        let output = self.output.as_ref().filter(|_| !self.to_caller.is_empty());
        [
            (stdin, PollFlags::IN),
            (Some(self.pty.master()).filter(|_| !master.is_empty()), master),
            (output.map(AsFd::as_fd), PollFlags::OUT),
        ]
    }

    fn typed(&self) -> core::result::Result<BorrowedFd<'_>, Errno> {
        self.typed.as_ref().map_or_else(|| borrow_fd(0), |fd| Ok(fd.as_fd()))
    }

    /// Moves what can be moved. Returns false when no one has the sandbox's side open.
    pub fn turn(&mut self, input: bool) -> bool {
        if input && self.to_command.is_empty() {
            let mut buffer = [0; BUFFER];
            match self.typed().and_then(|fd| rustix::io::read(fd, &mut buffer)) {
                Ok(n) if n > 0 => self.to_command.extend_from_slice(&buffer[..n]),
                Err(Errno::INTR | Errno::AGAIN) => {}
                // The caller's terminal has gone.
                _ => self.input = false,
            }
        }
        give(self.pty.master(), &mut self.to_command);
        self.output()
    }

    /// Moves output until a side has to be waited for.
    fn output(&mut self) -> bool {
        loop {
            if let Some(out) = &self.output {
                give(out.as_fd(), &mut self.to_caller);
            } else {
                self.to_caller.clear();
            }
            if !self.to_caller.is_empty() {
                return true;
            }
            let mut buffer = [0; BUFFER];
            match rustix::io::read(self.pty.master(), &mut buffer) {
                Ok(n) if n > 0 => self.to_caller.extend_from_slice(&buffer[..n]),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return true,
                _ => return false,
            }
        }
    }

    /// Adopts the size of the caller's terminal. The kernel tells the command.
    pub fn adopt_size(&self) {
        let own = (0..3).filter(|&n| is_terminal(n));
        let size = own.into_iter().find_map(|n| tcgetwinsize(borrow_fd(n).ok()?).ok());
        if let Some(size) = size {
            let _ = tcsetwinsize(self.pty.master(), size);
        }
    }

    /// Makes the caller's terminal raw, or puts it back as it was.
    pub fn set_raw(&self, on: bool) {
        let Some(saved) = &self.saved else { return };
        let mut settings = saved.clone();
        if on {
            settings.make_raw();
        }
        if let Ok(stdin) = borrow_fd(0) {
            let _ = tcsetattr(stdin, OptionalActions::Now, &settings);
        }
    }
}

impl Drop for Relay<'_> {
    fn drop(&mut self) {
        // The last output, as long as the terminal takes some within a second.
        const PATIENCE: rustix::event::Timespec = rustix::event::Timespec { tv_sec: 1, tv_nsec: 0 };
        self.output();
        while let Some(out) = self.output.as_ref().filter(|_| !self.to_caller.is_empty()) {
            let mut wait = [PollFd::new(out, PollFlags::OUT)];
            match rustix::event::poll(&mut wait, Some(&PATIENCE)) {
                Ok(n) if n > 0 => {}
                _ => break,
            }
            self.output();
        }
        self.set_raw(false);
    }
}

/// A non-blocking description of a terminal on a standard stream, by its own file.
fn reopen(number: i32, access: OFlags) -> Result<OwnedFd> {
    let flags = access | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let path = CString::new(format!("/proc/self/fd/{number}")).unwrap_or_default();
    fs::open(&path, flags, fs::Mode::empty()).at(Stage::Terminal)
}

/// Writes what is taken at once; what is not stays. What nobody can take any more is dropped.
fn give(fd: BorrowedFd<'_>, held: &mut Vec<u8>) {
    while !held.is_empty() {
        match rustix::io::write(fd, held) {
            Ok(n) => drop(held.drain(..n)),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return,
            Err(_) => held.clear(),
        }
    }
}

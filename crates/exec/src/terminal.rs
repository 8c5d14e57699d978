//! A terminal of the sandbox's own (`--pty`): the caller's is never in the command's reach.

use crate::failure::{At, Result, Stage};
use alloc::ffi::CString;
use alloc::vec::Vec;
use swathe_sys::process::borrow_fd;
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
    /// Its device number.
    pub device: u64,
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
        let device = fs::fstat(&slave).at(Stage::Terminal)?.st_rdev;
        if let Some(own) = (0..3).find(|&n| is_terminal(n)).and_then(|n| borrow_fd(n).ok()) {
            let settings = tcgetattr(own).at(Stage::Terminal)?;
            tcsetattr(&slave, OptionalActions::Now, &settings).at(Stage::Terminal)?;
            let size = tcgetwinsize(own).at(Stage::Terminal)?;
            tcsetwinsize(&slave, size).at(Stage::Terminal)?;
        }
        Ok(Self { master, slave, path, device })
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

/// The launcher's end of a relayed terminal: the caller's terminal in raw mode, until dropped.
#[derive(Debug)]
pub struct Relay<'p> {
    pty: &'p Pty,
    saved: Option<Termios>,
    input: bool,
}

impl<'p> Relay<'p> {
    /// Starts to relay.
    pub fn start(pty: &'p Pty) -> Result<Self> {
        let input = is_terminal(0);
        let mut saved = None;
        if input {
            let stdin = borrow_fd(0).at(Stage::Terminal)?;
            let settings = tcgetattr(stdin).at(Stage::Terminal)?;
            let mut raw = settings.clone();
            raw.make_raw();
            tcsetattr(stdin, OptionalActions::Drain, &raw).at(Stage::Terminal)?;
            saved = Some(settings);
        }
        let flags = fs::fcntl_getfl(pty.master()).at(Stage::Terminal)?;
        fs::fcntl_setfl(pty.master(), flags | OFlags::NONBLOCK).at(Stage::Terminal)?;
        Ok(Self { pty, saved, input })
    }

    /// What to wait for: the caller's input, and the sandbox's output.
    pub fn fds(&self) -> [Option<BorrowedFd<'_>>; 2] {
        [if self.input { borrow_fd(0).ok() } else { None }, Some(self.pty.master())]
    }

    /// Passes the caller's input on.
    pub fn forward_input(&mut self) {
        let mut buffer = [0; 4096];
        let n = match borrow_fd(0).and_then(|fd| rustix::io::read(fd, &mut buffer)) {
            Ok(n) if n > 0 => n,
            Err(Errno::INTR | Errno::AGAIN) => return,
            // The caller's terminal has gone.
            _ => {
                self.input = false;
                return;
            }
        };
        self.write_all(self.pty.master(), &buffer[..n]);
    }

    /// Passes the sandbox's output on; returns false when no one has the sandbox's side open.
    pub fn forward_output(&self) -> bool {
        let mut buffer = [0; 4096];
        loop {
            match rustix::io::read(self.pty.master(), &mut buffer) {
                Ok(n) if n > 0 => {
                    let Some(out) = [1, 2].into_iter().find(|&n| is_terminal(n)) else {
                        continue;
                    };
                    if let Ok(out) = borrow_fd(out) {
                        self.write_all(out, &buffer[..n]);
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return true,
                _ => return false,
            }
        }
    }

    fn write_all(&self, fd: BorrowedFd<'_>, mut rest: &[u8]) {
        while !rest.is_empty() {
            match rustix::io::write(fd, rest) {
                Ok(n) => rest = &rest[n..],
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    // The other side reads slowly; its output must go on flowing meanwhile.
                    self.forward_output();
                    let flags = [rustix::event::PollFlags::OUT, rustix::event::PollFlags::IN];
                    crate::wait::ready([Some(fd), Some(self.pty.master())], flags);
                }
                Err(_) => return,
            }
        }
    }

    /// Adopts the size of the caller's terminal. The kernel tells the command.
    pub fn adopt_size(&self) {
        let size =
            (0..3).filter(|&n| is_terminal(n)).find_map(|n| tcgetwinsize(borrow_fd(n).ok()?).ok());
        if let Some(size) = size {
            let _ = tcsetwinsize(self.pty.master(), size);
        }
    }

    /// Puts the caller's terminal back, or makes it raw again after a stop.
    pub fn set_raw(&self, on: bool) {
        let Some(saved) = &self.saved else { return };
        let mut settings = saved.clone();
        if on {
            settings.make_raw();
        }
        if let Ok(stdin) = borrow_fd(0) {
            let _ = tcsetattr(stdin, OptionalActions::Drain, &settings);
        }
    }
}

impl Drop for Relay<'_> {
    fn drop(&mut self) {
        self.forward_output();
        self.set_raw(false);
    }
}

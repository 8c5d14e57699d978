//! The monitor's loop for sandboxes whose signals or terminal are relayed.

use alloc::vec::Vec;

use crate::failure::{At, Message, Result, Stage};
use crate::monitor::{Life, Sandbox};
use crate::prepare::Shape;
use crate::terminal::Relay;
use crate::wait::{Heard, ready, status_code};
use swathe_sys::rustix::event::{PollFd, PollFlags, Timespec, poll};
use swathe_sys::rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use swathe_sys::rustix::process::{Pid, PidfdFlags, WaitOptions, pidfd_open, waitpid};
use swathe_sys::signal::{self, SignalSet};

// Numbers of Linux on the architectures that are supported (signal(7)).
const SIGHUP: i32 = 1;
const SIGINT: i32 = 2;
const SIGQUIT: i32 = 3;
const SIGUSR1: i32 = 10;
const SIGUSR2: i32 = 12;
const SIGALRM: i32 = 14;
const SIGTERM: i32 = 15;
const SIGCHLD: i32 = 17;
const SIGCONT: i32 = 18;
const SIGSTOP: i32 = 19;
const SIGTSTP: i32 = 20;
const SIGTTIN: i32 = 21;
const SIGTTOU: i32 = 22;
const SIGWINCH: i32 = 28;

const FORWARDED: [i32; 12] = [
    SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM, SIGTERM, SIGCONT, SIGTSTP, SIGTTIN,
    SIGTTOU, SIGWINCH,
];

/// Signals held for the loop, from before the sandbox's first process exists.
#[derive(Debug)]
pub struct Signals {
    fd: OwnedFd,
    before: SignalSet,
}

impl Signals {
    /// Blocks them.
    pub fn hold() -> Result<Self> {
        let set = SignalSet::new(&[&FORWARDED[..], &[SIGCHLD]].concat());
        // A caller that waits for signals itself has blocked them, which the command, for which
        // they are meant, must not inherit.
        let before = set.block().at(Stage::Wait)?.without(&FORWARDED);
        let fd = set.descriptor().at(Stage::Wait)?;
        Ok(Self { fd, before })
    }

    /// In the sandbox's first process: the caller's mask again.
    pub fn release(&self) -> Result<()> {
        self.before.set_mask().at(Stage::Wait)
    }

    /// Ends this process by a signal that asks for its end.
    fn end_by(&self, signal: i32) {
        if matches!(signal, SIGHUP | SIGINT | SIGQUIT | SIGTERM) {
            let own = swathe_sys::rustix::process::getpid().as_raw_nonzero().get();
            let _ = signal::kill(own, signal);
            // The set-up dies with this process.
            let _ = self.before.set_mask();
        }
    }

    /// Ends this process if it has been asked to end while it waits for something else.
    pub fn end_if_asked(&self) {
        while let Some(received) = signal::receive(&self.fd) {
            self.end_by(received.signal);
        }
    }

    /// The descriptor.
    pub fn fd(&self) -> &OwnedFd {
        &self.fd
    }
}

/// The state of the loop.
struct Loop<'s> {
    sandbox: &'s Sandbox<'s>,
    signals: &'s Signals,
    terminal: Option<Relay<'s>>,
    /// The command, once it is known.
    command: Option<OwnedFd>,
    is_ready: bool,
    channel_open: bool,
    output_open: bool,
    /// Signals that came before the command was known.
    early: Vec<i32>,
}

/// Waits for the sandbox, relaying meanwhile.
pub fn run(sandbox: &Sandbox<'_>, signals: &Signals) -> Life {
    let terminal = match sandbox.prepared.pty.as_ref().map(Relay::start).transpose() {
        Ok(terminal) => terminal,
        Err(failure) => return Life::Failed(failure),
    };
    let mut state = Loop {
        sandbox,
        signals,
        terminal,
        command: None,
        is_ready: false,
        channel_open: true,
        output_open: true,
        early: Vec::new(),
    };
    if sandbox.prepared.shape != Shape::Reaped {
        state.know(sandbox.pid);
    }
    loop {
        if let Some(life) = state.turn() {
            return life;
        }
    }
}

fn is_readable(fd: BorrowedFd<'_>) -> bool {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut [PollFd::from_borrowed_fd(fd, PollFlags::IN)], Some(&now)) == Ok(1)
}

impl Loop<'_> {
    fn know(&mut self, pid: i32) {
        self.command = Pid::from_raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        if self.is_ready {
            for signal in core::mem::take(&mut self.early) {
                self.forward(signal, false);
            }
        }
    }

    fn turn(&mut self) -> Option<Life> {
        let none = [(None, PollFlags::empty()); 3];
        let waits = self.terminal.as_ref().map_or(none, Relay::waits);
        let fds = [
            self.channel_open.then(|| self.sandbox.channel.as_fd()),
            self.sandbox.caller.fd(),
            Some(self.signals.fd.as_fd()),
            waits[0].0,
            waits[1].0.filter(|_| self.output_open),
            waits[2].0,
        ];
        let read = PollFlags::IN;
        let flags = [read, read, read, waits[0].1, waits[1].1, waits[2].1];
        let [channel, gone, signal, input, sandbox, output] = ready(fds, flags);
        if (input || sandbox || output)
            && let Some(terminal) = &mut self.terminal
            && !terminal.turn(input)
        {
            // Nobody in the sandbox has it open at this moment; the end is told elsewhere.
            self.output_open = false;
        }
        if channel && let Some(life) = self.channel() {
            return Some(life);
        }
        if gone {
            return Some(Life::Abandoned);
        }
        if !signal {
            return None;
        }
        // All that was said before the signal was sent: whoever sent it may know that the command
        // has started.
        while self.channel_open && is_readable(self.sandbox.channel.as_fd()) {
            if let Some(life) = self.channel() {
                return Some(life);
            }
        }
        self.signals()
    }

    fn channel(&mut self) -> Option<Life> {
        let (heard, sender) = self.sandbox.channel.hear_from();
        match heard {
            Heard::Message(Message::Ready) => {
                self.is_ready = true;
                if self.command.is_some() {
                    for signal in core::mem::take(&mut self.early) {
                        self.forward(signal, false);
                    }
                }
                // Pid 1, too, says that it is ready where somebody asked for its number.
                let first = sender == self.sandbox.pid;
                if self.sandbox.prepared.shape == Shape::Reaped && !first {
                    self.know(sender);
                }
                None
            }
            Heard::Message(Message::Exited(code)) => Some(Life::Exited(code)),
            Heard::Message(Message::Stopped) => {
                self.stop();
                None
            }
            Heard::Message(Message::Failed(failure)) => Some(Life::Failed(failure)),
            Heard::End if self.is_ready && self.sandbox.prepared.shape != Shape::Reaped => {
                // The command has been started in place of the first process.
                self.channel_open = false;
                None
            }
            Heard::End => Some(Life::Ended { ready: self.is_ready }),
        }
    }

    fn signals(&mut self) -> Option<Life> {
        while let Some(received) = signal::receive(&self.signals.fd) {
            match received.signal {
                SIGCHLD => {
                    if let Some(life) = self.child() {
                        return Some(life);
                    }
                }
                SIGWINCH if self.terminal.is_some() => {
                    if let Some(terminal) = &self.terminal {
                        terminal.adopt_size();
                        // Nothing was there to read from: it may be open again.
                        self.output_open = true;
                    }
                }
                signal => self.forward(signal, received.sender == 0),
            }
        }
        None
    }

    /// Passes a signal on. What a terminal's key sent has reached the command too, if it shares the
    /// launcher's session.
    fn forward(&mut self, signal: i32, from_terminal: bool) {
        let life = &self.sandbox.prepared.plan.lifecycle;
        let shared = !life.new_session && !life.pty;
        if from_terminal && shared && signal != SIGCONT {
            if matches!(signal, SIGTSTP | SIGTTIN | SIGTTOU) {
                self.stop();
            }
            return;
        }
        match &self.command {
            Some(command) if self.is_ready => {
                // As the terminal does: what the command has started stops and goes on with it.
                let all = from_terminal || signal == SIGCONT;
                if !all || signal::send_pidfd_group(command, signal).is_err() {
                    let _ = signal::send_pidfd(command, signal);
                }
            }
            // Nothing runs yet that could handle it.
            _ => {
                self.signals.end_by(signal);
                if self.early.len() < FORWARDED.len() {
                    self.early.push(signal);
                }
            }
        }
    }

    /// A child of the launcher has stopped or ended.
    fn child(&mut self) -> Option<Life> {
        if self.sandbox.prepared.shape == Shape::Reaped {
            // Pid 1 says what there is to know of the command.
            return None;
        }
        let pid = Pid::from_raw(self.sandbox.pid);
        match waitpid(pid, WaitOptions::NOHANG | WaitOptions::UNTRACED) {
            Ok(Some((_, status))) if status.stopped() => {
                self.stop();
                None
            }
            Ok(Some((_, status))) if self.is_ready => Some(Life::Exited(status_code(status))),
            Ok(Some(_)) => match self.channel() {
                Some(life) => Some(life),
                None => Some(Life::Ended { ready: false }),
            },
            _ => None,
        }
    }

    /// Stops with the command, so that the caller's job control sees it; goes on when continued.
    fn stop(&self) {
        if let Some(terminal) = &self.terminal {
            terminal.set_raw(false);
        }
        let own = swathe_sys::rustix::process::getpid().as_raw_nonzero().get();
        let _ = signal::kill(own, SIGSTOP);
        if let Some(terminal) = &self.terminal {
            terminal.set_raw(true);
            terminal.adopt_size();
        }
        // Continued: SIGCONT waits in the descriptor and is passed on from there.
    }
}

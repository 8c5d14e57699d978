//! Pid 1 of a sandbox that runs further commands for processes outside (`--serve`, docs/serve.md).
//!
//! Pid 1 is here what the commands are: it has their capabilities and is in their Landlock domain
//! and under their filters, so that what it forks is, too. It reads messages of fixed size and
//! nothing else; the text of a command is read by the process that becomes it. It never waits for a
//! client: sockets do not block, and a client that does not take its replies loses its connection.

use crate::child::{self, Inherited};
use crate::enter;
use crate::failure::{At, Failure, Message, Result, Stage};
use crate::init::{close_others, open_gate, start_behind_gate};
use crate::prepare::Prepared;
use crate::privileges;
use crate::wait::{Channel, status_code};
use alloc::vec::Vec;
use core::cell::Cell;
use core::mem::MaybeUninit;
use swathe_plan::model::Plan;
use swathe_plan::serve::{MAX_DESCRIPTORS, REQUEST_SIZE, Reply, Request, Run, Step};
use swathe_sys::process::{self, Fork, borrow_fd};
use swathe_sys::rustix::event::{PollFd, PollFlags, Timespec, poll};
use swathe_sys::rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use swathe_sys::rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use swathe_sys::rustix::io::IoSliceMut;
use swathe_sys::rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendFlags,
    SocketFlags, SocketType, accept_with, recvmsg, send, sockopt,
};
use swathe_sys::rustix::process::{WaitOptions, wait};
use swathe_sys::signal::{self, SignalSet};
use swathe_sys::{Errno, rustix, socket};

const SIGKILL: i32 = 9;
const SIGCHLD: i32 = 17;

/// The most connections, and so the most commands that run at a time for somebody outside.
const MAX_CONNECTIONS: usize = 256;

/// What is polled beside the connections: the launcher, signals, the listening socket.
const OWN: usize = 3;

/// How long connections are not accepted after there was no room for one.
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// How long the end waits for processes that were killed, ten times at the most in a row without
/// one that has ended. Whoever is left then dies with pid 1.
const PATIENCE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// What a command may have to be started the fast way: bytes of text, and words.
const FAST_TEXT: u32 = 16 << 10;
const FAST_WORDS: u32 = 512;

/// How long the fast way may take, and the signal that ends it then: the last real-time one, which
/// nobody uses for anything else and which does not dump core.
const FAST_MILLISECONDS: u32 = 100;
const ALARM: i32 = 64;

/// The descriptors that came with a request.
pub type Descriptors = [Option<OwnedFd>; MAX_DESCRIPTORS];

/// Makes sure that the socket is one that commands can be asked for over, and that asking it never
/// waits.
pub fn check(plan: &Plan) -> Result<()> {
    let Some(number) = plan.lifecycle.serve else { return Ok(()) };
    let fd = borrow_fd(number).at(Stage::ServeSocket)?;
    let right = sockopt::socket_domain(fd).at(Stage::ServeSocket)? == AddressFamily::UNIX
        && sockopt::socket_type(fd).at(Stage::ServeSocket)? == SocketType::SEQPACKET
        && sockopt::socket_acceptconn(fd).at(Stage::ServeSocket)?;
    if !right {
        return Err(Failure::found(Stage::ServeSocket));
    }
    let flags = fcntl_getfl(fd).at(Stage::ServeSocket)?;
    fcntl_setfl(fd, flags | OFlags::NONBLOCK).at(Stage::ServeSocket)
}

/// Runs pid 1; returns its exit status. It is not dumpable already.
pub fn run(prepared: &Prepared<'_>, channel: &Channel, number: i32) -> Result<i32> {
    let listener = borrow_fd(number).at(Stage::Serve)?;
    let own_uid = rustix::process::geteuid().as_raw();
    // First what the filters may forbid.
    privileges::command_caps(prepared)?;
    privileges::domain(prepared)?;
    // Whatever becomes of the command: this ends with its launcher.
    child::die_with_parent(true)?;
    child::leave_if_alone(channel);
    let has_command = !prepared.plan.command.is_empty();
    let wanted = SignalSet::new(&[SIGCHLD]);
    let signals = wanted.descriptor().at(Stage::Serve)?;
    // Of listeners there is one: a command can only inherit it.
    let listens = prepared.listener.is_some();
    if listens {
        privileges::all_filters(prepared)?;
    }
    let inherited = if listens { Inherited::Filters } else { Inherited::Domain };
    let first = match has_command {
        true => Some(start_behind_gate(prepared, channel, inherited)?),
        false => None,
    };
    let mask = wanted.block().at(Stage::Serve)?;
    let mut ours = [signals.as_raw_fd(), number].to_vec();
    ours.extend(first.as_ref().map(|(_, gate)| gate.as_raw_fd()));
    close_others(prepared, channel, &ours)?;
    if !listens {
        privileges::filters(prepared)?;
    }
    if let Some((_, gate)) = &first {
        open_gate(gate)?;
    }
    if prepared.is_watched() {
        channel.send(Message::Ready);
    }
    let mut server = Server {
        prepared,
        channel,
        listener,
        own_uid,
        signals,
        mask,
        first: first.map_or(0, |(pid, _)| pid),
        code: if has_command { 128 + SIGKILL } else { 0 },
        connections: Vec::with_capacity(MAX_CONNECTIONS),
        paused: false,
    };
    // The command may have ended before its end was watched for.
    let mut ended = server.reap()?;
    while !ended {
        ended = server.turn()?;
    }
    server.end();
    channel.send(Message::Exited(server.code));
    Ok(server.code)
}

/// Somebody outside.
struct Connection {
    socket: OwnedFd,
    /// The process that it asked for.
    command: Option<i32>,
}

struct Server<'s> {
    prepared: &'s Prepared<'s>,
    channel: &'s Channel,
    listener: BorrowedFd<'s>,
    own_uid: u32,
    signals: OwnedFd,
    /// The signal mask of the commands.
    mask: SignalSet,
    /// The plan's own command; 0 without one.
    first: i32,
    /// The exit status: that of the first command; that of a killed one, until it has ended.
    code: i32,
    connections: Vec<Connection>,
    /// Whether there was no room for a connection a moment ago.
    paused: bool,
}

/// What is to be done after a message.
#[derive(PartialEq, Eq)]
enum Next {
    Keep,
    Drop,
    Stop,
}

/// What came of the fast way to start a command.
enum Fast {
    /// It has been executed.
    Runs(i32),
    /// It has not, and the client has been told so.
    Failed,
    /// It has to be started the slow way.
    Slow,
}

impl Server<'_> {
    /// Waits for something to happen and does it. Returns whether all shall end.
    ///
    /// Nothing is allocated here: the process lives long, and its allocator does not free.
    fn turn(&mut self) -> Result<bool> {
        let mut ready = [false; OWN + MAX_CONNECTIONS];
        let count = OWN + self.connections.len();
        let room = self.connections.len() < MAX_CONNECTIONS
            || self.connections.iter().any(|c| c.command.is_none());
        let listen = if room && !self.paused { PollFlags::IN } else { PollFlags::empty() };
        let wait = {
            let mut polled: [PollFd<'_>; OWN + MAX_CONNECTIONS] =
                core::array::from_fn(|i| match i {
                    0 => PollFd::from_borrowed_fd(self.channel.as_fd(), PollFlags::IN),
                    1 => PollFd::from_borrowed_fd(self.signals.as_fd(), PollFlags::IN),
                    2 => PollFd::from_borrowed_fd(self.listener, listen),
                    i => match self.connections.get(i - OWN) {
                        Some(c) => PollFd::from_borrowed_fd(c.socket.as_fd(), PollFlags::IN),
                        None => PollFd::from_borrowed_fd(self.listener, PollFlags::empty()),
                    },
                });
            let wait = poll(&mut polled[..count], self.paused.then_some(&PAUSE));
            for (ready, polled) in ready.iter_mut().zip(&polled[..count]) {
                *ready = !polled.revents().is_empty();
            }
            wait
        };
        self.paused = false;
        match wait {
            Err(Errno::INTR) => return Ok(false),
            other => other.at(Stage::Serve)?,
        };
        // The launcher says nothing any more: this is its end.
        if ready[0] && !self.channel.has_peer() {
            return Ok(true);
        }
        // From the last to the first: those behind a removed one have had their turn.
        for i in (0..self.connections.len()).rev().filter(|i| ready[OWN + i]) {
            match self.hear(i) {
                Next::Keep => {}
                Next::Drop => self.drop_connection(i),
                Next::Stop => return Ok(true),
            }
        }
        if ready[2] && room {
            self.accept();
        }
        if ready[1] {
            while signal::receive(&self.signals).is_some() {}
            return self.reap();
        }
        Ok(false)
    }

    fn accept(&mut self) {
        let socket = match accept_with(self.listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)
        {
            Ok(socket) => socket,
            Err(Errno::AGAIN | Errno::INTR | Errno::CONNABORTED) => return,
            // No descriptor, no memory: the socket would be ready again at once.
            Err(_) => {
                self.paused = true;
                return;
            }
        };
        // Who is in a pid namespace of the sandbox has a pid here. Root of outside is nobody here,
        // like all users that the sandbox does not know.
        let outside =
            socket::peer(&socket).is_ok_and(|peer| peer.pid == 0 && peer.uid == self.own_uid);
        if !outside {
            return;
        }
        if self.connections.len() >= MAX_CONNECTIONS {
            // Who has asked for nothing yet gives way.
            let Some(idle) = self.connections.iter().position(|c| c.command.is_none()) else {
                return;
            };
            // In the order in which they came.
            drop(self.connections.remove(idle));
        }
        self.connections.push(Connection { socket, command: None });
    }

    /// Closes a connection; its command dies with it, what that one has started does not.
    fn drop_connection(&mut self, i: usize) {
        let connection = self.connections.remove(i);
        if let Some(pid) = connection.command {
            let _ = signal::kill(pid, SIGKILL);
        }
    }

    /// Hears a message.
    fn hear(&mut self, i: usize) -> Next {
        let mut bytes = [0; REQUEST_SIZE + 1];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let connection = &mut self.connections[i];
        let mut into = [IoSliceMut::new(&mut bytes)];
        let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
        let (n, flags) = match recvmsg(&connection.socket, &mut into, &mut ancillary, flags) {
            Err(Errno::INTR | Errno::AGAIN) => return Next::Keep,
            Ok(received) if received.bytes > 0 => (received.bytes, received.flags),
            _ => return Next::Drop,
        };
        let mut descriptors: Descriptors = [const { None }; MAX_DESCRIPTORS];
        let mut count = 0;
        for message in ancillary.drain() {
            let RecvAncillaryMessage::ScmRights(fds) = message else { continue };
            for fd in fds {
                if let Some(place) = descriptors.get_mut(count) {
                    *place = Some(fd);
                }
                count += 1;
            }
        }
        let whole = !flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC);
        match Request::decode(&bytes[..n]).filter(|_| whole) {
            Some(Request::Run(run))
                if connection.command.is_none() && count == run.descriptors() =>
            {
                self.start(i, run, &descriptors)
            }
            Some(Request::Signal { number, group }) if count == 0 => {
                pass_on(connection, number as i32, group)
            }
            Some(Request::Stop) if count == 0 => Next::Stop,
            _ => {
                let errno = Errno::PROTO.raw_os_error();
                reply(&connection.socket, Reply::Failed { step: Step::Request, errno });
                Next::Drop
            }
        }
    }

    /// Makes the process of a command.
    fn start(&mut self, i: usize, run: Run, descriptors: &Descriptors) -> Next {
        let made = match self.start_fast(i, run, descriptors) {
            Fast::Runs(pid) => Ok(pid),
            Fast::Failed => return Next::Drop,
            Fast::Slow => match process::fork(0, false) {
                Ok(Fork::Child) => {
                    let socket = &self.connections[i].socket;
                    enter::main(self.prepared, socket, &self.mask, &run, descriptors)
                }
                Ok(Fork::Parent(pid)) => Ok(pid),
                Err(e) => Err(e),
            },
        };
        let connection = &mut self.connections[i];
        match made {
            Ok(pid) => {
                connection.command = Some(pid);
                Next::Keep
            }
            Err(e) => {
                let errno = e.raw_os_error();
                reply(&connection.socket, Reply::Failed { step: Step::Process, errno });
                Next::Drop
            }
        }
    }

    /// Makes it share this process's memory until it is the command: a third of the time. This
    /// process waits meanwhile. So the text has to be short and in memory, and an alarm ends the
    /// attempt when a step takes long, such as to a directory or program on a file system that does
    /// not answer. A copy of this process tries again then; no instruction of the command has run.
    fn start_fast(&self, i: usize, run: Run, descriptors: &Descriptors) -> Fast {
        let Some(text) = &descriptors[0] else { return Fast::Slow };
        let short = run.len <= FAST_TEXT && run.arguments + run.variables <= FAST_WORDS;
        if !short || !process::is_in_memory(text.as_fd()) {
            return Fast::Slow;
        }
        let refused = Cell::new(false);
        let socket = &self.connections[i].socket;
        let made = process::vfork_and_forget(&mut || {
            if process::alarm_until_exec(ALARM, FAST_MILLISECONDS).is_err() {
                refused.set(true);
                return 1;
            }
            enter::main(self.prepared, socket, &self.mask, &run, descriptors)
        });
        let Ok(pid) = made else { return Fast::Slow };
        match process::end_before_exec(pid) {
            Ok(None) => Fast::Runs(pid),
            // The low bits are the signal that has ended it.
            Ok(Some(status)) if refused.get() || status & 0x7f == ALARM => Fast::Slow,
            Ok(Some(status)) => {
                if status & 0x7f != 0 {
                    // It could not say so itself.
                    reply(socket, Reply::Exited(128 + (status & 0x7f)));
                }
                Fast::Failed
            }
            // A filter forbids to ask: its end will show.
            Err(_) => Fast::Runs(pid),
        }
    }

    /// Takes note of all processes that have stopped or ended. Returns whether all shall end.
    fn reap(&mut self) -> Result<bool> {
        let life = &self.prepared.plan.lifecycle;
        loop {
            let (pid, status) = match wait(WaitOptions::NOHANG | WaitOptions::UNTRACED) {
                Ok(Some((pid, status))) => (pid.as_raw_nonzero().get(), status),
                Ok(None) => return Ok(false),
                // With a command of its own the sandbox ends with its last process.
                Err(Errno::CHILD) => return Ok(self.first != 0),
                Err(Errno::INTR) => continue,
                Err(e) => return Err(e).at(Stage::Wait),
            };
            let asked = self.connections.iter().position(|c| c.command == Some(pid));
            if status.stopped() {
                if let Some(i) = asked {
                    let signal = status.stopping_signal().unwrap_or(0);
                    reply(&self.connections[i].socket, Reply::Stopped(signal));
                } else if pid == self.first && (life.forward_signals || life.pty) {
                    self.channel.send(Message::Stopped);
                }
                continue;
            }
            let code = status_code(status);
            if let Some(i) = asked {
                reply(&self.connections[i].socket, Reply::Exited(code));
                drop(self.connections.remove(i));
            } else if pid == self.first {
                self.code = code;
                if life.end_with_command {
                    return Ok(true);
                }
            }
        }
    }

    /// Kills every process and waits until they are gone: who has asked for the end sees that of
    /// its connection not before.
    fn end(&mut self) {
        // -1: all but this one.
        let _ = signal::kill(-1, SIGKILL);
        let mut tries = 0;
        while tries < 10 {
            match wait(WaitOptions::NOHANG) {
                Ok(Some(_)) => tries = 0,
                Err(Errno::INTR) => {}
                Err(_) => return,
                Ok(None) => {
                    while signal::receive(&self.signals).is_some() {}
                    let mut polled = [PollFd::new(&self.signals, PollFlags::IN)];
                    let _ = poll(&mut polled, Some(&PATIENCE));
                    tries += 1;
                }
            }
        }
    }
}

/// Sends a signal to a connection's command.
fn pass_on(connection: &Connection, number: i32, group: bool) -> Next {
    let Some(pid) = connection.command else { return Next::Drop };
    // Its group is made by the new process itself: until then, the process alone.
    if !group || signal::kill(-pid, number) == Err(Errno::SRCH) {
        // Not yet waited for, so nobody else has this pid.
        let _ = signal::kill(pid, number);
    }
    Next::Keep
}

/// Sends a reply. Who has gone, or leaves replies lying, needs none: the connection's end says
/// enough.
pub fn reply(socket: &OwnedFd, reply: Reply) {
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    while send(socket, &reply.encode(), flags) == Err(Errno::INTR) {}
}

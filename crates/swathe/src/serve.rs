//! Commands in a running sandbox: the client of `bwrap --serve` (docs/serve.md).
//!
//! ```no_run
//! use swathe::serve::{Request, Session};
//!
//! let session = Session::connect("/run/user/1000/box.socket")?;
//! let status = session.run(&Request::new(["make", "test"]))?.wait()?;
//! assert!(status.success());
//! session.stop()?;
//! # Ok::<(), swathe::serve::Error>(())
//! ```

use rustix::fs::{MemfdFlags, Mode, OFlags, fchmod, memfd_create, open};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType, bind, connect, listen as listen_on, sendmsg, socket_with, sockopt,
};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use swathe_plan::serve::{
    self, Invalid, MAX_DESCRIPTORS, Numbers, REPLY_SIZE, Reply, Request as Message, Step,
};

/// Connections that wait for the sandbox to take them.
const BACKLOG: i32 = 128;

/// Why a command could not be run, or its end not be heard of.
#[derive(Debug)]
pub enum Error {
    /// There is no sandbox at this path, or it cannot be reached.
    Connect {
        /// The path.
        path: PathBuf,
        /// The error.
        error: io::Error,
    },
    /// The sandbox has closed the connection without a word: it has ended, or this process is not
    /// of its user.
    Closed,
    /// What was asked for cannot be said: no command, a NUL in a word, more than the bounds of
    /// [`swathe_plan::serve`] allow.
    Invalid(Invalid),
    /// Numbers of further descriptors that are below 3, double, or too many.
    Numbers,
    /// The command was not run.
    Failed {
        /// The step.
        step: Step,
        /// The error.
        error: io::Error,
    },
    /// The sandbox says what this version does not understand.
    Protocol,
    /// A system call of this process failed.
    System {
        /// What it was for.
        step: &'static str,
        /// The error.
        error: io::Error,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect { path, error } => {
                write!(f, "cannot reach the sandbox at {}: {error}", path.display())
            }
            Self::Closed => f.write_str(
                "the sandbox has closed the connection: it has ended, or belongs to another user",
            ),
            Self::Invalid(Invalid::Nothing) => f.write_str("there is no command to run"),
            Self::Invalid(Invalid::Word) => {
                f.write_str("an argument or variable holds a NUL, or a variable has no name")
            }
            Self::Invalid(Invalid::TooMuch) => write!(
                f,
                "the command is too long: at most {} bytes, {} arguments and {} variables",
                serve::MAX_TEXT,
                serve::MAX_ARGUMENTS,
                serve::MAX_VARIABLES
            ),
            Self::Numbers => write!(
                f,
                "a command gets at most {} further descriptors, with numbers of 3 and above",
                serve::MAX_KEPT
            ),
            Self::Failed { step, error } => write!(f, "{}: {error}", step.text()),
            Self::Protocol => f.write_str("the sandbox was started by another version of swathe"),
            Self::System { step, error } => write!(f, "cannot {step}: {error}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Connect { error, .. }
            | Self::Failed { error, .. }
            | Self::System { error, .. } => Some(error),
            _ => None,
        }
    }
}

fn system(step: &'static str) -> impl Fn(Errno) -> Error {
    move |e| Error::System { step, error: e.into() }
}

/// What to run.
#[derive(Debug, Clone)]
pub struct Request<'fd> {
    /// The command and its arguments.
    pub argv: Vec<OsString>,
    /// Changes of the environment of the sandbox's first command, in order: a value, or `None` to
    /// unset the variable. PWD follows the directory in any case.
    pub env: Vec<(OsString, Option<OsString>)>,
    /// Where to start, a path inside the sandbox; `None`: where its first command did.
    pub cwd: Option<PathBuf>,
    /// Standard input.
    pub stdin: BorrowedFd<'fd>,
    /// Standard output.
    pub stdout: BorrowedFd<'fd>,
    /// Standard error.
    pub stderr: BorrowedFd<'fd>,
    /// Further descriptors and the numbers (3 to 255) that they have in the command; at most 16.
    pub keep: Vec<(u8, BorrowedFd<'fd>)>,
    /// Standard input is a terminal that becomes the controlling one of the command's session. It
    /// must not be that of another session: make a new one for the command.
    pub terminal: bool,
}

impl Request<'static> {
    /// A command with the standard streams of this process, which must be open.
    pub fn new<W: AsRef<OsStr>>(argv: impl IntoIterator<Item = W>) -> Self {
        Self {
            argv: argv.into_iter().map(|word| word.as_ref().to_owned()).collect(),
            env: Vec::new(),
            cwd: None,
            stdin: rustix::stdio::stdin(),
            stdout: rustix::stdio::stdout(),
            stderr: rustix::stdio::stderr(),
            keep: Vec::new(),
            terminal: false,
        }
    }
}

impl Request<'_> {
    fn text(&self) -> Result<(serve::Run, Vec<u8>), Error> {
        let argv: Vec<&[u8]> = self.argv.iter().map(|word| word.as_bytes()).collect();
        let env: Vec<Vec<u8>> = self
            .env
            .iter()
            .map(|(name, value)| match value {
                Some(value) => [name.as_bytes(), b"=", value.as_bytes()].concat(),
                None => name.as_bytes().to_vec(),
            })
            .collect();
        if self.env.iter().any(|(name, _)| name.as_bytes().contains(&b'=')) {
            return Err(Error::Invalid(Invalid::Word));
        }
        let env: Vec<&[u8]> = env.iter().map(Vec::as_slice).collect();
        let numbers: Vec<u8> = self.keep.iter().map(|(number, _)| *number).collect();
        let numbers = Numbers::new(&numbers).ok_or(Error::Numbers)?;
        let cwd = self.cwd.as_ref().map_or(&[][..], |path| path.as_os_str().as_bytes());
        serve::text(cwd, &argv, &env, self.terminal, numbers).map_err(Error::Invalid)
    }
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status(i32);

impl Status {
    /// Its exit status; 128 and the signal's number, if a signal ended it.
    pub fn code(self) -> i32 {
        self.0
    }

    /// Whether it was 0.
    pub fn success(self) -> bool {
        self.0 == 0
    }
}

/// What happens to a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A signal of this number has stopped it.
    Stopped(i32),
    /// It has ended.
    Exited(Status),
}

/// A sandbox that takes commands. Many threads can use it at a time.
#[derive(Debug)]
pub struct Session {
    path: PathBuf,
    /// A connection that has not been used: each is good for one command.
    spare: Mutex<Option<OwnedFd>>,
}

impl Session {
    /// Connects to the sandbox that listens at `path`.
    ///
    /// Root has to become the sandbox's user first: a sandbox with a user namespace cannot tell it
    /// from others, and closes the connection.
    ///
    /// # Errors
    /// [`Error::Connect`], also when nobody listens any more (ECONNREFUSED).
    pub fn connect(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref().to_owned();
        let spare = Mutex::new(Some(dial(&path)?));
        Ok(Self { path, spare })
    }

    fn connection(&self) -> Result<OwnedFd, Error> {
        let spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner).take();
        spare.map_or_else(|| dial(&self.path), Ok)
    }

    /// Starts a command, and waits until the sandbox is about to execute it.
    ///
    /// # Errors
    /// See [`Error`]. A command that cannot be executed may also be an error of [`Running::wait`].
    pub fn run(&self, request: &Request<'_>) -> Result<Running, Error> {
        let (run, text) = request.text()?;
        let file = memfd_create(c"swathe-command", MemfdFlags::CLOEXEC)
            .map_err(system("make a file in memory"))?;
        let file = File::from(file);
        file.write_all_at(&text, 0)
            .map_err(|error| Error::System { step: "fill a file in memory", error })?;
        let socket = self.connection()?;
        let mut fds = vec![file.as_fd(), request.stdin, request.stdout, request.stderr];
        fds.extend(request.keep.iter().map(|(_, fd)| *fd));
        send(&socket, Message::Run(run), &fds)?;
        let mut running = Running { socket, pid: None };
        match running.hear()? {
            Reply::Started => Ok(running),
            Reply::Failed { step, errno } => Err(failed(step, errno)),
            _ => Err(Error::Protocol),
        }
    }

    /// Ends all processes of the sandbox; returns when they are gone.
    ///
    /// # Errors
    /// [`Error::Connect`] when there is no sandbox any more.
    pub fn stop(&self) -> Result<(), Error> {
        let socket = self.connection()?;
        match send(&socket, Message::Stop, &[]) {
            // It has ended meanwhile.
            Err(Error::Closed) => return Ok(()),
            other => other?,
        }
        match (Running { socket, pid: None }).hear() {
            Err(Error::Closed) => Ok(()),
            Ok(Reply::Failed { step, errno }) => Err(failed(step, errno)),
            Ok(_) => Err(Error::Protocol),
            Err(error) => Err(error),
        }
    }
}

/// A command that runs in a sandbox. Dropped before its end, the command is killed; what it has
/// started lives on.
#[derive(Debug)]
pub struct Running {
    socket: OwnedFd,
    pid: Option<u32>,
}

impl Running {
    /// Its process id as this process sees it; `None` when it cannot. Where the program took long
    /// to be opened it may be another one after the next [`Self::event`].
    pub fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// Sends it a signal; with `group`, to its whole process group. One that has ended gets none.
    ///
    /// # Errors
    /// [`Error::System`] for a number that is no signal, or a failed system call.
    pub fn signal(&self, number: u32, group: bool) -> Result<(), Error> {
        if !(1..=serve::MAX_SIGNAL).contains(&number) {
            return Err(system("send a signal of this number")(Errno::INVAL));
        }
        match send(&self.socket, Message::Signal { number, group }, &[]) {
            Err(Error::Closed) => Ok(()),
            other => other,
        }
    }

    /// Waits for the next thing that happens to it. To wait for other things at the same time, poll
    /// [`Self::as_fd`] for input first.
    ///
    /// # Errors
    /// [`Error::Failed`] when it could not be executed after all; [`Error::Closed`] when the sandbox
    /// has ended, and the command with it.
    pub fn event(&mut self) -> Result<Event, Error> {
        loop {
            match self.hear()? {
                Reply::Stopped(signal) => return Ok(Event::Stopped(signal)),
                Reply::Exited(code) => return Ok(Event::Exited(Status(code))),
                Reply::Failed { step, errno } => return Err(failed(step, errno)),
                // The sandbox has tried again, with another process.
                Reply::Started => {}
            }
        }
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// As [`Self::event`].
    pub fn wait(mut self) -> Result<Status, Error> {
        loop {
            if let Event::Exited(status) = self.event()? {
                return Ok(status);
            }
        }
    }

    fn hear(&mut self) -> Result<Reply, Error> {
        let mut bytes = [0; REPLY_SIZE + 1];
        let (n, sender) = loop {
            match swathe_sys::socket::receive(&self.socket, &mut bytes) {
                Err(swathe_sys::Errno::INTR) => {}
                Err(swathe_sys::Errno::CONNRESET) => return Err(Error::Closed),
                other => break other.map_err(system("hear from the sandbox"))?,
            }
        };
        if n == 0 {
            return Err(Error::Closed);
        }
        let reply = Reply::decode(&bytes[..n]).ok_or(Error::Protocol)?;
        if reply == Reply::Started {
            self.pid = u32::try_from(sender).ok().filter(|&pid| pid != 0);
        }
        Ok(reply)
    }
}

impl AsFd for Running {
    /// The connection: readable when something has happened. Nothing else may be done with it.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Makes the socket for `bwrap --serve`, at a path that does not exist, for this user alone. Whoever
/// starts bwrap closes it then: a connection to a socket that nobody serves waits for ever.
///
/// # Errors
/// [`Error::Connect`]: the path exists (EADDRINUSE), or cannot be made.
pub fn listen(path: impl AsRef<Path>) -> Result<OwnedFd, Error> {
    let path = path.as_ref();
    let fail = |e: Errno| Error::Connect { path: path.to_owned(), error: e.into() };
    let socket = socket().map_err(fail)?;
    // The mode of the name that is made for it.
    fchmod(&socket, Mode::RUSR | Mode::WUSR).map_err(fail)?;
    let (address, _parent) = address(path).map_err(fail)?;
    bind(&socket, &address).map_err(fail)?;
    listen_on(&socket, BACKLOG).map_err(fail)?;
    Ok(socket)
}

fn socket() -> Result<OwnedFd, Errno> {
    socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
}

/// The address of a path, and the descriptor that it may lead through: an address has 108 bytes.
fn address(path: &Path) -> Result<(SocketAddrUnix, Option<OwnedFd>), Errno> {
    use std::os::fd::AsRawFd as _;
    match SocketAddrUnix::new(path) {
        Err(Errno::NAMETOOLONG) => {
            let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
                return Err(Errno::NAMETOOLONG);
            };
            let parent = open(parent, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
            let short = Path::new("/proc/self/fd").join(parent.as_raw_fd().to_string()).join(name);
            Ok((SocketAddrUnix::new(short)?, Some(parent)))
        }
        other => Ok((other?, None)),
    }
}

fn dial(path: &Path) -> Result<OwnedFd, Error> {
    let fail = |e: Errno| Error::Connect { path: path.to_owned(), error: e.into() };
    let socket = socket().map_err(fail)?;
    // The kernel then says who sent a message: the command's process itself sends the first one.
    sockopt::set_socket_passcred(&socket, true).map_err(fail)?;
    let (address, _parent) = address(path).map_err(fail)?;
    loop {
        match connect(&socket, &address) {
            Err(Errno::INTR) => {}
            other => return other.map(|()| socket).map_err(fail),
        }
    }
}

fn send(socket: &OwnedFd, message: Message, fds: &[BorrowedFd<'_>]) -> Result<(), Error> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
        return Err(Error::Numbers);
    }
    let bytes = message.encode();
    loop {
        let parts = [io::IoSlice::new(&bytes)];
        match sendmsg(socket, &parts, &mut ancillary, SendFlags::NOSIGNAL) {
            Err(Errno::INTR) => {}
            Err(Errno::PIPE | Errno::CONNRESET) => return Err(Error::Closed),
            other => return other.map(drop).map_err(system("send to the sandbox")),
        }
    }
}

fn failed(step: Step, errno: i32) -> Error {
    Error::Failed { step, error: io::Error::from_raw_os_error(errno) }
}

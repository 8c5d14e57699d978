//! Who is asked during a run, and how: a person on the terminal, or a program over a socket.
//!
//! Before the sandbox is worked out, [`way`] says whether anybody can be asked at all; [`adapt`] gives
//! the program a terminal of its own where it would otherwise print over the questions; [`start`]
//! opens the desk once the engine runs. What is asked, and what an answer is about, is decided in
//! [`swathe_record::ask`].

mod draw;
mod keys;
pub mod pause;
pub mod subject;
pub mod terminal;

use crate::out::{Failure, note};
use crate::store::Asked;
use crate::streams::Signals;
use rustix::net::{AddressFamily, SocketType, sockopt};
use std::io::IsTerminal as _;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::thread::JoinHandle;
use std::time::Duration;
use swathe::Child;
use swathe_plan::Plan;
use swathe_policy::standing::{self, Subject};
use swathe_policy::{Environment, Standing};
use swathe_record::ask::desk::Setup;
use swathe_record::ask::{Bounds, Desk, lines};
use terminal::{Asking, Terminal};

/// The longest that a question may wait, in seconds.
const LONGEST_WAIT: u64 = 24 * 3600;

/// Options of commands that may ask.
#[derive(clap::Args, Debug, Clone, Default)]
#[group(id = "asking")]
pub struct Options {
    /// Ask on the terminal about what was not granted when the program first wants it
    #[arg(long)]
    pub ask: bool,
    /// Let a program answer, over the socket that has this number (docs/ask-protocol.md)
    #[arg(long, value_name = "FD", value_parser = clap::value_parser!(i32).range(3..))]
    pub ask_fd: Option<i32>,
    /// Refuse what nobody has answered after so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 300,
        value_parser = clap::value_parser!(u64).range(1..=LONGEST_WAIT))]
    pub ask_timeout: u64,
}

impl Options {
    /// Whether anybody is asked.
    pub fn is_wanted(&self) -> bool {
        self.ask || self.ask_fd.is_some()
    }
}

/// How it is asked.
#[derive(Debug)]
pub enum Way {
    /// A person, on the controlling terminal.
    Person(Terminal),
    /// A program, over this socket.
    Program(UnixStream),
}

/// How it is asked in a run with these options; `None` where it is not. To be called before anything
/// else is opened: the number of a descriptor is only known to be the caller's then.
///
/// # Errors
/// Nobody could be asked.
pub fn way(options: &Options) -> Result<Option<Way>, Failure> {
    match options.ask_fd {
        Some(number) => Ok(Some(Way::Program(socket(number)?))),
        None if options.ask => {
            let terminal = Terminal::open().map_err(|e| {
                Failure::new(format!("--ask has no terminal to ask on: {e}"))
                    .hint("let a program answer by --ask-fd FD, or grant what is needed by --allow")
            })?;
            Ok(Some(Way::Person(terminal)))
        }
        None => Ok(None),
    }
}

/// The caller's end of a pair of sockets; no program that is started gets it.
fn socket(number: i32) -> Result<UnixStream, Failure> {
    let refused = |why: &str| {
        Failure::new(format!("--ask-fd {number}: {why}"))
            .hint("it has to be one end of a pair of connected stream sockets (socketpair(2))")
    };
    let fd = swathe_sys::process::borrow_fd(number)
        .map_err(|_| refused("no descriptor of this number is open"))?;
    let stream = sockopt::socket_type(fd).is_ok_and(|kind| kind == SocketType::STREAM);
    let unix = sockopt::socket_domain(fd).is_ok_and(|family| family == AddressFamily::UNIX);
    if !stream || !unix {
        return Err(refused("not a stream socket of this machine (AF_UNIX)"));
    }
    if rustix::net::getpeername(fd).is_err() {
        return Err(refused("the socket is not connected"));
    }
    let set = || -> std::io::Result<OwnedFd> {
        rustix::io::fcntl_setfd(fd, rustix::io::FdFlags::CLOEXEC)?;
        fd.try_clone_to_owned()
    };
    Ok(UnixStream::from(set().map_err(|e| refused(&e.to_string()))?))
}

/// Gives the program a terminal of its own also where only some of its streams are one, so that
/// nothing of it is printed while a question is open.
///
/// # Errors
/// It is to have the caller's terminal itself.
pub fn adapt(way: &Way, plan: &mut Plan) -> Result<(), Failure> {
    let streams = [
        std::io::stdin().is_terminal(),
        std::io::stdout().is_terminal(),
        std::io::stderr().is_terminal(),
    ];
    let life = &mut plan.lifecycle;
    if matches!(way, Way::Program(_)) || life.pty || !streams.contains(&true) {
        return Ok(());
    }
    if !life.new_session {
        return Err(Failure::new(
            "questions cannot be told from what a program prints itself on the \
            terminal, which `tty` gives to it",
        )
        .hint("leave `tty` away, or let a program answer by --ask-fd FD"));
    }
    (life.pty, life.new_session) = (true, false);
    Ok(())
}

/// What an asker has to know of the run.
#[derive(Debug)]
pub struct Run<'r> {
    /// Its name.
    pub id: &'r str,
    /// What it is of: whose standing decisions hold.
    pub subject: Subject,
    /// What paths are made of.
    pub env: Environment,
    /// The engine, which rests while a question is on the terminal.
    pub child: &'r Child,
    /// What is passed on to it.
    pub signals: &'r Signals,
}

/// An asker at work, until dropped: then nothing is asked any more, all that waits is refused, and
/// the terminal is as it was.
#[derive(Debug)]
pub struct Asker {
    desk: Desk,
    thread: Option<JoinHandle<()>>,
}

impl Asker {
    /// Where the supervisor asks.
    #[must_use]
    pub fn desk(&self) -> &Desk {
        &self.desk
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        self.desk.close();
        if let Some(thread) = self.thread.take() {
            // It has put the terminal back, or has died.
            drop(thread.join());
        }
    }
}

/// Opens the desk.
///
/// # Errors
/// What was decided earlier cannot be read, or there is no thread to be had.
pub fn start(options: &Options, way: Way, run: Run<'_>) -> Result<Asker, Failure> {
    let asked = Asked::new(&run.env);
    let rules = asked.read()?.rules(&run.subject);
    let Run { id, subject, env, child, signals } = run;
    let holds = subject.to_string();
    let setup = Setup {
        bounds: Bounds { deadline: Duration::from_secs(options.ask_timeout), ..Bounds::default() },
        rules,
        advise: Box::new(move |question| standing::advice(question, &env)),
        keep: Box::new(move |rules| {
            let keep = |all: &mut Standing| all.keep(&subject, rules, crate::store::now());
            // It holds for this run all the same.
            if let Err(failure) = asked.change(keep) {
                note(&format!("not kept for later runs: {}", failure.message));
            }
        }),
    };
    let cannot = |e: std::io::Error| Failure::new(format!("cannot ask: {e}"));
    let (desk, counter) = Desk::new(setup).map_err(cannot)?;
    let thread = match way {
        Way::Program(stream) => {
            lines::serve(stream, counter, id, lines::PATIENCE).map_err(cannot)?;
            None
        }
        Way::Person(terminal) => {
            let pause = signals.pause();
            let engine = child.pidfd().ok_or_else(|| Failure::new("--ask needs Linux 5.4"))?;
            pause.set_engine(engine).map_err(cannot)?;
            let asking = Asking { terminal, counter, pause, holds };
            let thread = std::thread::Builder::new().name("prompts".to_owned());
            Some(thread.spawn(move || asking.run()).map_err(cannot)?)
        }
    };
    Ok(Asker { desk, thread })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd as _;
    use std::os::unix::net::{UnixDatagram, UnixListener};

    fn refused(fd: &impl std::os::fd::AsFd) -> String {
        let options = Options { ask_fd: Some(fd.as_fd().as_raw_fd()), ..Options::default() };
        way(&options).expect_err("refused").message
    }

    /// Only one end of a pair of connected stream sockets will do.
    #[test]
    fn descriptors() {
        let (pipe, _write) = std::io::pipe().expect("a pipe");
        assert!(refused(&pipe).contains("not a stream socket"));
        let (datagrams, _other) = UnixDatagram::pair().expect("a pair");
        assert!(refused(&datagrams).contains("not a stream socket"));
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").expect("a socket");
        assert!(refused(&tcp).contains("not a stream socket"));
        let path = std::env::temp_dir().join(format!("swathe-ask-fd-{}", std::process::id()));
        let listener = UnixListener::bind(&path).expect("a socket");
        std::fs::remove_file(&path).expect("removed");
        assert!(refused(&listener).contains("not connected"));
        let options = Options { ask_fd: Some(1 << 20), ..Options::default() };
        assert!(way(&options).expect_err("refused").message.contains("no descriptor"));
        let (ours, _theirs) = UnixStream::pair().expect("a pair");
        rustix::io::fcntl_setfd(&ours, rustix::io::FdFlags::empty()).expect("set");
        let options = Options { ask_fd: Some(ours.as_raw_fd()), ..Options::default() };
        assert!(matches!(way(&options), Ok(Some(Way::Program(_)))));
        let flags = rustix::io::fcntl_getfd(&ours).expect("flags");
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
        assert!(way(&Options::default()).expect("none").is_none());
    }
}

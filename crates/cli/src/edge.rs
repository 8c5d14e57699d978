//! The supervisor of a run: what it is made from, and where its events go.

use crate::history::{self, History};
use crate::live::Live;
use crate::net::Sink;
use crate::out::{Failure, note, things};
use crate::wanted::{Options, Wanted};
use command_fds::{CommandFdExt as _, FdMapping};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use swathe::Command;
use swathe_plan::model::{FdNumber, Listener};
use swathe_policy::Access;
use swathe_policy::resolve::{Placed, Sandbox};
use swathe_record::ask::{Desk, Reply, Why};
use swathe_record::audit::Writer;
use swathe_record::bytes::Bytes;
use swathe_record::event::{Event, Layer, Outcome};
use swathe_record::question::{Question, Term};
use swathe_supervise::observe::Network as Connections;
use swathe_supervise::perform::Trash;
use swathe_supervise::place::{Level, Place};
use swathe_supervise::serve::{self, Config, Handle};
use swathe_supervise::trap;
use swathe_trash::{Keeper, Store};

/// Numbers of the two descriptors in the engine; no plan of ours has others above 1000.
const FILTER: FdNumber = 998;
const SOCKET: FdNumber = 999;

/// The hidden command that is the supervisor of a session.
const SUPERVISE: &str = "__supervise";
/// Where the hidden command finds what to do, and its end of the socket.
const DESCRIPTION: i32 = 100;
const LISTENER: i32 = 101;
/// The largest audit file, in bytes; it is kept twice.
const MAX_AUDIT: u64 = 256 << 20;
/// The most that a supervisor is described with.
const MAX_TEXT: u64 = 16 << 20;

/// What a run needs a supervisor for.
pub struct Edge {
    description: Description,
    /// The filter of the supervisor; none: no supervisor is needed, only a record.
    program: Option<Vec<u8>>,
    history: History,
    questions: Option<Sender<Message>>,
    asked: Option<Receiver<Message>>,
    asks: Vec<PathBuf>,
}

/// What the thread that answers a supervisor hears.
enum Message {
    Asked(Question),
    Replied(Box<Question>, Reply),
    /// Nobody waits for its answer any more.
    Gone(u64),
    /// Its call is over.
    Returned(u64),
}

/// The same for a process of its own.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Description {
    writes: bool,
    append: bool,
    observe: bool,
    below: bool,
    bits32: bool,
    places: Vec<Described>,
    trash: Option<Trashed>,
    /// Whether there is no network but the loopback interface.
    offline: bool,
    /// With a network by rules: ports of the loopback interface that lead to the host.
    relayed: Option<Vec<(u16, u16)>>,
    /// Files that events are written to, and their limits.
    files: Vec<(Bytes, u64)>,
}

/// The trash: where it is, the run's name, and the trees that the program sees.
#[derive(Debug, Serialize, Deserialize)]
struct Trashed(Bytes, String, Vec<Bytes>);

/// A place: its path, its level, whether it is ruled, the path on the host.
#[derive(Debug, Serialize, Deserialize)]
struct Described(Bytes, Access, bool);

impl Edge {
    /// None where mounts and Landlock are enough. Otherwise the plan asks for it. `somebody`: whether
    /// there is anybody to ask.
    pub fn new(
        wanted: &mut Wanted,
        options: &Options,
        id: &str,
        command: &[OsString],
        somebody: bool,
    ) -> Result<Option<Self>, Failure> {
        let audit = options.audit.as_ref();
        // Everything, or what the policy wants asked about.
        let only = std::mem::take(&mut wanted.sandbox.asks);
        let asks = somebody && (options.ask.is_wanted() || !only.is_empty());
        let only = if options.ask.is_wanted() { Vec::new() } else { only };
        let looks = asks || options.record || audit.is_some();
        let supervised = looks || !wanted.sandbox.levels.is_empty();
        if !supervised && wanted.sandbox.network.is_none() {
            return Ok(None);
        }
        let run = history::about(id, command, looks, wanted.network);
        let history = History::create(&wanted.places, run)?;
        let mut files = vec![(Bytes::from(history.events()), history::MAX_EVENTS)];
        if let Some(path) = audit {
            let path = std::path::absolute(path).map_err(|e| failed(&e))?;
            files.push((Bytes::from(path), MAX_AUDIT));
        }
        let bits32 = wanted.bits32;
        let offline = matches!(wanted.network, "none" | "loopback");
        let relayed = wanted.sandbox.network.as_ref().map(crate::net::relayed);
        let sandbox = &mut wanted.sandbox;
        let description = Description { files, ..Description::default() };
        if !supervised {
            // Somebody else decides: only what that was is kept.
            let (questions, asked, program) = (None, None, None);
            return Ok(Some(Self { description, program, history, questions, asked, asks: only }));
        }
        let has = |access| sandbox.levels.iter().any(|placed| placed.access == Some(access));
        let append = has(Access::Append);
        let writes = append || has(Access::NoDelete);
        let places = sandbox.levels.iter().map(described).collect();
        let observe = looks;
        let trash = has(Access::Trash).then(|| Trashed::new(sandbox, id));
        let description = Description {
            writes,
            append,
            observe,
            below: asks,
            bits32,
            places,
            trash,
            offline,
            relayed,
            ..description
        };
        // What cannot be kept is said before the run, not by each call that fails then.
        description.trash.as_ref().map(Trashed::keeper).transpose()?;
        let program =
            trap::program(description.wanted()).map_err(|e| Failure::new(e.to_string()))?;
        sandbox.plan.listener = Some(Listener { filter: FILTER, socket: SOCKET });
        let (questions, asked) = if asks {
            let (questions, asked) = channel();
            (Some(questions), Some(asked))
        } else {
            (None, None)
        };
        let program = Some(program);
        Ok(Some(Self { description, program, history, questions, asked, asks: only }))
    }

    /// The files that events are written to, and their limits.
    pub fn files(&self) -> Vec<(Bytes, u64)> {
        self.description.files.clone()
    }

    /// Makes the engine send its listener; the other end of the socket for who takes it.
    fn attach(&self, command: Command) -> Result<(Command, OwnedFd), Failure> {
        let kind = SocketType::SEQPACKET;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)
            .map_err(|e| failed(&e))?;
        let command = command.fd(SOCKET, theirs);
        let program = self.program.as_deref().unwrap_or_default();
        let command = command.data_at(FILTER, program).map_err(|e| failed(&e))?;
        Ok((command, ours))
    }

    /// Starts a supervisor that ends with the handle.
    pub fn start(self, command: Command) -> Result<(Command, Watched), Failure> {
        let (sink, denials) = counting(&self.description.files)?;
        if self.program.is_none() {
            let Self { history, .. } = self;
            return Ok((
                command,
                Watched { handle: None, history, denials, questions: None, sink },
            ));
        }
        let (command, socket) = self.attach(command)?;
        let mut config = self.description.config(&sink)?;
        if let Some(questions) = self.questions.clone() {
            let (asked, gone) = (questions.clone(), questions.clone());
            config.ask = Some(Box::new(move |q| asked.send(Message::Asked(q)).is_ok()));
            config.withdrawn = Some(Box::new(move |id| drop(gone.send(Message::Gone(id)))));
            let over = questions.clone();
            config.returned = Some(Box::new(move |id| over.send(Message::Returned(id)).is_ok()));
            config.asks = self.asks.clone();
        }
        let handle = serve::start(config, socket).map_err(|e| failed(&e))?;
        Ok((
            command,
            Watched {
                handle: Some(handle),
                history: self.history,
                denials,
                questions: self.questions.zip(self.asked),
                sink,
            },
        ))
    }

    /// Starts a supervisor that ends with the sandbox, and outlives this process.
    pub fn start_apart(self, command: Command) -> Result<Command, Failure> {
        if self.program.is_none() {
            return Ok(command);
        }
        let (command, socket) = self.attach(command)?;
        let text = serde_json::to_vec(&self.description).map_err(|e| failed(&e))?;
        let program = std::env::current_exe().map_err(|e| failed(&e))?;
        let (reader, mut writer) = std::io::pipe().map_err(|e| failed(&e))?;
        let mut process = std::process::Command::new(program);
        process.arg(SUPERVISE);
        process.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        std::os::unix::process::CommandExt::process_group(&mut process, 0);
        let mappings = vec![
            FdMapping { parent_fd: reader.into(), child_fd: DESCRIPTION },
            FdMapping { parent_fd: socket, child_fd: LISTENER },
        ];
        process.fd_mappings(mappings).map_err(|e| failed(&e))?;
        // It is nobody's to wait for: it ends after this process, or with the sandbox.
        drop(process.spawn().map_err(|e| failed(&e))?);
        drop(process);
        writer.write_all(&text).map_err(|e| failed(&e))?;
        Ok(command)
    }
}

impl Description {
    fn wanted(&self) -> trap::Wanted {
        let &Self { writes, append, observe, below, bits32, .. } = self;
        let removes = !self.places.is_empty();
        trap::Wanted { removes, writes, append, observe, below, bits32 }
    }

    /// The supervisor's own words for it.
    fn config(self, sink: &Sink) -> Result<Config, Failure> {
        let wanted = self.wanted();
        let places = self.places.iter().map(Described::place).collect();
        let trash = match &self.trash {
            Some(trash) => Some(Box::new(trash.keeper()?) as Box<dyn Trash>),
            None => None,
        };
        let sink = Arc::clone(sink);
        let sink: serve::Sink = Box::new(move |event| sink(event));
        let network = match self.relayed {
            Some(ports) => Connections::Elsewhere(ports),
            None if self.offline => Connections::Nowhere,
            None => Connections::Host,
        };
        Ok(Config { wanted, places, trash, sink: Some(sink), network, ..Config::default() })
    }
}

impl Trashed {
    fn new(sandbox: &Sandbox, run: &str) -> Self {
        let seen = sandbox.shown.iter().map(|path| Bytes::from(path.as_path())).collect();
        Self(crate::trash::base(&sandbox.home).into(), run.to_owned(), seen)
    }

    fn keeper(&self) -> Result<Keeper, Failure> {
        let Self(base, run, seen) = self;
        let seen = seen.iter().map(|path| path.as_path().to_owned()).collect();
        Store::open(base.as_path())
            .and_then(|store| Keeper::new(store, run.as_str(), seen))
            .map_err(|e| Failure::new(e.to_string()))
    }
}

/// Where events go: every file gets all of them.
pub fn sink(files: &[(Bytes, u64)]) -> Result<Sink, Failure> {
    counting(files).map(|(sink, _)| sink)
}

/// The same, and how many denials there were.
fn counting(files: &[(Bytes, u64)]) -> Result<(Sink, Arc<AtomicU64>), Failure> {
    let open = |(path, limit): &(Bytes, u64)| {
        Writer::open(path.as_path(), *limit)
            .map_err(|e| Failure::new(format!("cannot write events to {path}: {e}")))
    };
    let writers: Vec<Writer> = files.iter().map(open).collect::<Result<_, _>>()?;
    // The supervisor and the keeper of the network have events.
    let writers = Mutex::new(writers);
    let denials = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&denials);
    let sink: Sink = Arc::new(move |event| {
        // What is nowhere, and what the file's own mode forbids, is none of the sandbox's.
        // Limits are said by themselves.
        let counts = !matches!(event.layer, Layer::Other | Layer::Limit);
        if matches!(event.outcome, Outcome::Denied(_)) && counts {
            count.fetch_add(1, Ordering::Relaxed);
        }
        let writers = writers.lock().unwrap_or_else(PoisonError::into_inner);
        // Mostly there is one.
        if let Some((last, others)) = writers.split_last() {
            others.iter().for_each(|writer| writer.event(event.clone()));
            last.event(event);
        }
    });
    Ok((sink, denials))
}

/// A supervised run.
pub struct Watched {
    handle: Option<Handle>,
    history: History,
    denials: Arc<AtomicU64>,
    questions: Option<(Sender<Message>, Receiver<Message>)>,
    sink: Sink,
}

impl Watched {
    /// Where events of this run go.
    pub fn sink(&self) -> Sink {
        Arc::clone(&self.sink)
    }

    /// Has what the program is not shown asked about at this desk, and shown where the answer is
    /// yes. On a thread that ends with the supervisor.
    pub fn ask(&mut self, desk: Desk, live: Arc<Live>) -> Result<(), Failure> {
        let Some((replies, messages)) = self.questions.take() else { return Ok(()) };
        let Some(answers) = self.handle.as_ref().map(Handle::answers) else { return Ok(()) };
        let answer = move || {
            while let Ok(message) = messages.recv() {
                match message {
                    Message::Asked(question) => {
                        let (replies, about) = (replies.clone(), Box::new(question.clone()));
                        desk.ask(question, move |reply| {
                            let _ = replies.send(Message::Replied(about, reply));
                        });
                    }
                    Message::Gone(id) => desk.withdraw(|question| question.id == id),
                    Message::Replied(question, reply) => {
                        let once = reply.why == Why::Answered(Term::Once);
                        let mut allowed = reply.allow;
                        if (reply.allow || reply.read_only)
                            && let Err(failure) = live.allow(&question, !reply.allow, once)
                        {
                            allowed = false;
                            note(&failure.message);
                        }
                        // What was not shown fails as before.
                        match once {
                            true => answers.go_on_once(question.id, allowed),
                            false => answers.go_on(question.id, allowed),
                        }
                    }
                    Message::Returned(id) => {
                        if let Err(failure) = live.returned(id) {
                            note(&failure.message);
                        }
                        answers.taken_back();
                    }
                }
            }
        };
        let thread = std::thread::Builder::new().name("answers".into()).spawn(answer);
        thread.map(drop).map_err(|e| failed(&e))
    }

    /// Why the sandbox was kept from starting, where the supervisor did that.
    pub fn trouble(&self) -> Option<String> {
        self.handle.as_ref().and_then(Handle::trouble)
    }

    /// Remembers the limits that the run ran into.
    pub fn reached(mut self, limits: &[&str]) -> Self {
        self.history.run.limits.extend(limits.iter().map(|name| (*name).to_owned()));
        for name in limits {
            let event = Event::of_limit(name, std::process::id());
            (self.sink)(event);
        }
        self
    }

    /// The run has ended: the rest is written, and where it failed, a line says what tells why.
    pub fn finish(mut self, status: u8) -> Result<History, Failure> {
        self.handle = None;
        // Whoever else has it has ended: the rest is written now.
        self.sink = Arc::new(|_| {});
        self.history.run.status = Some(status);
        self.history.write()?;
        let denials = self.denials.load(Ordering::Relaxed);
        if status != 0 && denials > 0 {
            let what = things(usize::try_from(denials).unwrap_or(usize::MAX));
            note(&format!("it was denied {what}: swathe why says what and why"));
        }
        Ok(self.history)
    }
}

fn described(placed: &Placed) -> Described {
    let access = placed.access.unwrap_or(Access::ReadWrite);
    Described(Bytes::from(placed.path.as_path()), access, placed.ruled)
}

impl Described {
    fn place(&self) -> Place {
        let Self(path, access, ruled) = self;
        let level = match access {
            Access::Append => Level::Append,
            Access::NoDelete => Level::NoDelete,
            Access::Trash => Level::Trash,
            _ => Level::Free,
        };
        let path = path.as_path().to_owned();
        let host = (level != Level::Free).then(|| path.clone());
        Place { path, level, ruled: *ruled, host }
    }
}

fn failed(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(format!("cannot start the supervisor of the sandbox: {error}"))
}

/// The hidden command, where this is it.
pub fn hidden() -> Option<Result<u8, Failure>> {
    (std::env::args_os().nth(1)? == SUPERVISE).then(supervise)
}

fn supervise() -> Result<u8, Failure> {
    let adopt = |number| swathe_sys::process::adopt_fd(number).map_err(|e| failed(&e));
    let (text, socket) = (adopt(DESCRIPTION)?, adopt(LISTENER)?);
    let text = File::from(text).take(MAX_TEXT);
    let description: Description = serde_json::from_reader(text).map_err(|e| failed(&e))?;
    let sink = sink(&description.files)?;
    let config = description.config(&sink)?;
    drop(sink);
    serve::run(config, socket).map_err(|e| failed(&e))?;
    Ok(0)
}

//! The supervisor: a thread that answers the calls of one sandbox until it ends.

use crate::observe::{Observer, Seen};
use crate::perform::{Noted, Performer, Trash, Verdict};
use crate::place::{Level, Place, Places};
use crate::process::Caller;
use crate::trap::{Call, Wanted, decode};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::IoSliceMut;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};
use swathe_plan::filter::Arch;
use swathe_record::bytes::Bytes;
use swathe_record::event::{Action, Event, Layer, Outcome};
use swathe_record::question::Question;
use swathe_sys::notify::{self, Notification};
use swathe_sys::rustix;
use swathe_sys::rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use swathe_sys::rustix::fd::{AsFd as _, OwnedFd};
use swathe_sys::rustix::fs::{Mode, OFlags, open};
use swathe_sys::rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use swathe_sys::{Errno, Result};

const SIGXFSZ: i32 = 25;

/// Calls that wait for an answer of the user at the same time; more go on as they are.
const MAX_PARKED: usize = 1024;
/// How often it is looked whether who asks still waits.
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 500_000_000 };
/// Threads that wait for the other end of a pipe at the same time.
const MAX_SLOW: usize = 64;

/// Where what happens is written. Must not block.
pub type Sink = Box<dyn FnMut(Event) + Send>;
/// Takes a question; whether it will be answered by [`Answers::go_on`]. Must not block.
pub type Ask = Box<dyn FnMut(Question) -> bool + Send>;

/// What a supervisor does.
#[derive(Default)]
pub struct Config {
    /// Which calls are trapped: as the filter was made.
    pub wanted: Wanted,
    /// Directories with levels.
    pub places: Vec<Place>,
    /// The trash behind [`Level::Trash`].
    pub trash: Option<Box<dyn Trash>>,
    /// Whether there is no network but the loopback interface.
    pub offline: bool,
    /// Where events go.
    pub sink: Option<Sink>,
    /// Who is asked about what is not mounted.
    pub ask: Option<Ask>,
    /// Only about what is at or below these paths; empty: about everything.
    pub asks: Vec<PathBuf>,
    /// Is told of questions whose process does not wait any more.
    pub withdrawn: Option<Box<dyn FnMut(u64) + Send>>,
}

enum Command {
    Answered(u64),
    Stop,
}

/// Tells a supervisor that a question was answered.
#[derive(Clone)]
pub struct Answers {
    commands: Sender<Command>,
    wake: Arc<OwnedFd>,
}

impl Answers {
    /// The question was answered, and what was granted is mounted: the call goes on.
    pub fn go_on(&self, question: u64) {
        self.tell(Command::Answered(question));
    }

    fn tell(&self, command: Command) {
        if self.commands.send(command).is_ok() {
            // Fails only when it is full, and then the thread is awake.
            let _ = swathe_sys::rustix::io::write(&*self.wake, &1_u64.to_ne_bytes());
        }
    }
}

/// A running supervisor.
pub struct Handle {
    answers: Answers,
    thread: Option<std::thread::JoinHandle<()>>,
    trouble: Arc<Mutex<Option<String>>>,
}

impl Handle {
    /// Where answers to questions go.
    #[must_use]
    pub fn answers(&self) -> Answers {
        self.answers.clone()
    }

    /// Why the sandbox was kept from starting, where the supervisor did that.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().ok()?.clone()
    }
}

impl Drop for Handle {
    /// Ends the supervisor: what is trapped from then on fails with ENOSYS.
    fn drop(&mut self) {
        self.answers.tell(Command::Stop);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// Starts a supervisor on its own thread. Over `socket` it gets the listener from the engine
/// (`--seccomp-listener`), once; nothing of the sandbox runs before it has answered the engine's
/// test, and it answers only when every place was found.
///
/// # Errors
/// No thread, or no descriptors.
pub fn start(config: Config, socket: OwnedFd) -> std::io::Result<Handle> {
    let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
    let (commands, receiver) = channel();
    let woken = Arc::clone(&wake);
    let trouble = Arc::default();
    let told = Arc::clone(&trouble);
    let thread = std::thread::Builder::new().name("supervisor".into()).spawn(move || {
        supervise(config, socket, &woken, &receiver, told);
    })?;
    Ok(Handle { answers: Answers { commands, wake }, thread: Some(thread), trouble })
}

/// As [`start`], on the calling thread and in its process, until the sandbox ends.
///
/// # Errors
/// No descriptors; or why the sandbox was kept from starting.
pub fn run(config: Config, socket: OwnedFd) -> std::io::Result<()> {
    let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
    let (_commands, receiver) = channel();
    let trouble: Arc<Mutex<Option<String>>> = Arc::default();
    supervise(config, socket, &wake, &receiver, Arc::clone(&trouble));
    match trouble.lock().ok().and_then(|mut trouble| trouble.take()) {
        Some(text) => Err(std::io::Error::other(text)),
        None => Ok(()),
    }
}

fn supervise(
    config: Config,
    socket: OwnedFd,
    wake: &OwnedFd,
    commands: &Receiver<Command>,
    trouble: Arc<Mutex<Option<String>>>,
) {
    // Without what separates it from other threads, it would act with too many rights.
    let started = confine().and_then(|()| receive_listener(&socket, wake));
    drop(socket);
    match started {
        Ok(Some(listener)) => Supervisor::new(config, listener, trouble).run(wake, commands),
        Ok(None) => {}
        Err(errno) => tell(&trouble, format!("the supervisor cannot start: {errno}")),
    }
}

/// The rights that this thread has no need for: it acts for a process that does not have them. Its
/// umask and directory become its own.
fn confine() -> Result<()> {
    use swathe_sys::process::{Caps, set_caps, unshare_fs};
    // A limit of file sizes ends calls with EFBIG, not this program.
    swathe_sys::signal::SignalSet::new(&[SIGXFSZ]).block()?;
    unshare_fs()?;
    set_caps(Caps::default())
}

/// Waits for the listener; none: the supervisor was stopped, or the engine has ended.
fn receive_listener(socket: &OwnedFd, wake: &OwnedFd) -> Result<Option<OwnedFd>> {
    loop {
        let mut fds = [PollFd::new(socket, PollFlags::IN), PollFd::new(wake, PollFlags::IN)];
        match poll(&mut fds, None) {
            Err(Errno::INTR) => continue,
            other => other?,
        };
        if !fds[1].revents().is_empty() {
            return Ok(None);
        }
        return receive_fd(socket);
    }
}

/// One descriptor that came over a socket; none at its end.
fn receive_fd(socket: &OwnedFd) -> Result<Option<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0; 1];
    let mut parts = [IoSliceMut::new(&mut byte)];
    recvmsg(socket, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let found = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    Ok(found)
}

fn tell(trouble: &Mutex<Option<String>>, text: String) {
    if let Ok(mut trouble) = trouble.lock() {
        trouble.get_or_insert(text);
    }
}

struct Parked {
    notification: u64,
}

struct Supervisor {
    listener: OwnedFd,
    config: Config,
    performer: Option<Performer>,
    /// Whether the engine's test was answered.
    ready: bool,
    observer: Option<Observer>,
    parked: HashMap<u64, Parked>,
    questions: u64,
    slow: Arc<AtomicUsize>,
    /// Whether only a signal that kills interrupts a call that is being answered.
    undisturbed: bool,
    trouble: Arc<Mutex<Option<String>>>,
}

impl Supervisor {
    fn new(config: Config, listener: OwnedFd, trouble: Arc<Mutex<Option<String>>>) -> Self {
        // An older kernel does without. One that has it has what `load_listener` asks for, too.
        let undisturbed = notify::wake_in_turn(&listener).is_ok();
        Self {
            listener,
            config,
            performer: None,
            ready: false,
            observer: None,
            parked: HashMap::new(),
            questions: 0,
            slow: Arc::default(),
            undisturbed,
            trouble,
        }
    }

    fn run(&mut self, wake: &OwnedFd, commands: &Receiver<Command>) {
        loop {
            let mut fds =
                [PollFd::new(&self.listener, PollFlags::IN), PollFd::new(wake, PollFlags::IN)];
            let timeout = (!self.parked.is_empty()).then_some(&PAUSE);
            match poll(&mut fds, timeout) {
                Err(Errno::INTR) => continue,
                Err(_) => break,
                Ok(0) => {
                    self.withdraw();
                    continue;
                }
                Ok(_) => {}
            }
            let (calls, woken) = (fds[0].revents(), fds[1].revents());
            if !woken.is_empty() {
                let mut count = [0; 8];
                let _ = swathe_sys::rustix::io::read(wake, &mut count);
                if !self.obey(commands) {
                    break;
                }
            }
            if calls.contains(PollFlags::IN) {
                match notify::receive(&self.listener) {
                    Ok(notification) => self.take(&notification),
                    // Its process was ended, or a signal came.
                    Err(Errno::NOENT | Errno::INTR | Errno::AGAIN) => {}
                    Err(_) => break,
                }
            } else if calls.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
                // Nothing with this filter runs any more.
                break;
            }
        }
    }

    /// Questions of processes that have ended, or were interrupted, are no questions any more.
    fn withdraw(&mut self) {
        let listener = &self.listener;
        let over = |parked: &Parked| !notify::is_waiting(listener, parked.notification);
        let gone = self.parked.iter().filter(|(_, parked)| over(parked)).map(|(id, _)| *id);
        for id in gone.collect::<Vec<_>>() {
            self.parked.remove(&id);
            if let Some(withdrawn) = &mut self.config.withdrawn {
                withdrawn(id);
            }
        }
    }

    fn obey(&mut self, commands: &Receiver<Command>) -> bool {
        while let Ok(command) = commands.try_recv() {
            match command {
                Command::Stop => return false,
                Command::Answered(question) => {
                    if let Some(parked) = self.parked.remove(&question) {
                        let _ = notify::proceed(&self.listener, parked.notification);
                    }
                }
            }
        }
        true
    }

    /// Every call is answered, or waits for the user.
    fn take(&mut self, notification: &Notification) {
        let id = notification.id;
        let known = Arch::ALL.into_iter().find(|arch| arch.audit() == notification.arch);
        let call = known.map_or(Call::Other, |arch| decode(arch, notification));
        // In another pid namespace than ours: nothing of it can be looked at.
        let caller = (notification.pid != 0).then(|| Caller::new(notification.pid));
        let verdict = match (call, &caller) {
            (Call::Probe, caller) => self.probe(caller.as_ref()),
            // There is no floor below these.
            (Call::TruncateOpen(..) | Call::SetFlags(..), None) => Verdict::Refuse(Errno::PERM),
            (_, None) => Verdict::Continue,
            (call, Some(caller)) => match self.judge(caller, call, id) {
                Some(verdict) => verdict,
                None => return,
            },
        };
        self.answer(notification, verdict);
    }

    /// The engine's test: the answer lets the command start.
    fn probe(&mut self, caller: Option<&Caller>) -> Verdict {
        let refuse = Verdict::Refuse(Errno::NODEV);
        if self.ready {
            return Verdict::Refuse(Errno::INVAL);
        }
        let Some(caller) = caller else {
            let text = "the supervisor cannot look at the sandbox's first process".to_owned();
            tell(&self.trouble, text);
            return refuse;
        };
        if !self.config.places.is_empty() {
            let places = match Places::find(caller, &self.config.places) {
                Ok(places) => places,
                Err((path, errno)) => {
                    let path = Bytes::from(path);
                    tell(&self.trouble, format!("the supervisor cannot find {path}: {errno}"));
                    return refuse;
                }
            };
            let listed = self.config.places.clone();
            self.performer = Some(Performer::new(places, listed, self.config.trash.take()));
        }
        if self.config.wanted.observe {
            let Ok(root) = caller.root() else { return refuse };
            let always = self.config.ask.is_some();
            self.observer = Some(Observer::new(root, self.config.offline, always));
        }
        self.ready = true;
        Verdict::Done(swathe_sys::seccomp::PROBE_ANSWER)
    }

    /// What becomes of a call; none: it waits for an answer.
    fn judge(&mut self, caller: &Caller, call: Call, id: u64) -> Option<Verdict> {
        if let Some(performer) = &mut self.performer {
            let still = || notify::is_waiting(&self.listener, id);
            let (verdict, noted) = performer.perform(caller, call, &still);
            if let Some(noted) = noted {
                self.note(caller, call, noted);
            }
            if !matches!(verdict, Verdict::Continue) {
                return Some(verdict);
            }
        }
        let seen = self.observer.as_mut().and_then(|observer| observer.look(caller.pid, call));
        let waits = seen.is_some_and(|seen| {
            notify::is_waiting(&self.listener, id) && self.observe(caller, &seen, id)
        });
        if let (Some(observer), Call::Execute(_)) = (&mut self.observer, call) {
            observer.forget(caller.pid);
        }
        if waits {
            return None;
        }
        Some(Verdict::Continue)
    }

    /// Writes down what was seen, and asks about it; whether the call has to wait.
    fn observe(&mut self, caller: &Caller, seen: &Seen, id: u64) -> bool {
        let hidden = seen.layer == Layer::Mount && seen.outcome != Outcome::Allowed;
        let said = Said {
            action: seen.action,
            object: seen.object.clone(),
            to: seen.to.clone(),
            outcome: seen.outcome,
            layer: seen.layer,
        };
        self.event(caller, said);
        if !hidden || self.parked.len() >= MAX_PARKED {
            return false;
        }
        let path = seen.object.0.strip_prefix(b"unix:").unwrap_or(&seen.object.0);
        let path = Path::new(OsStr::from_bytes(path));
        let asks = &self.config.asks;
        if !asks.is_empty() && !asks.iter().any(|asked| path.starts_with(asked)) {
            return false;
        }
        let Some(ask) = &mut self.config.ask else { return false };
        self.questions += 1;
        let question = Question {
            id: self.questions,
            pid: caller.pid,
            command: caller.command(),
            action: seen.action,
            object: seen.object.clone(),
            directory: seen.directory,
        };
        let asked = ask(question);
        if asked {
            self.parked.insert(self.questions, Parked { notification: id });
        }
        asked
    }

    fn note(&mut self, caller: &Caller, call: Call, noted: Noted) {
        if noted.level == Level::Free && noted.outcome == Outcome::Allowed {
            // As without levels.
            return;
        }
        let action = match call {
            Call::Open(..) | Call::Open2(..) => Action::Write,
            Call::Unlink(..) => Action::Remove,
            Call::Rename(..) => Action::Rename,
            Call::Link(..) => Action::Create,
            _ => Action::Truncate,
        };
        let layer = if noted.level == Level::Free { Layer::Other } else { Layer::Level };
        self.event(
            caller,
            Said {
                action,
                object: Bytes::from(noted.path),
                to: noted.to.map(Bytes::from),
                outcome: noted.outcome,
                layer,
            },
        );
    }

    fn event(&mut self, caller: &Caller, said: Said) {
        let program = match &mut self.observer {
            Some(observer) => observer.program(caller.pid),
            None => caller.program(),
        };
        let Some(sink) = &mut self.config.sink else { return };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        sink(Event {
            time: u64::try_from(now.as_micros()).unwrap_or(u64::MAX),
            pid: caller.pid,
            program,
            action: said.action,
            object: said.object,
            to: said.to,
            outcome: said.outcome,
            layer: said.layer,
            reason: None,
        });
    }

    /// A call that is over is no fault: its process was ended. What cannot be handed over is
    /// refused.
    fn answer(&self, notification: &Notification, verdict: Verdict) {
        let (listener, id) = (&self.listener, notification.id);
        let done = match verdict {
            Verdict::Continue => notify::proceed(listener, id),
            Verdict::Done(value) => notify::succeed(listener, id, value),
            Verdict::Refuse(errno) => notify::refuse(listener, id, errno),
            Verdict::Open(fd, cloexec) => hand_over(listener, id, fd, cloexec, self.undisturbed),
            Verdict::OpenSlowly(file, flags, cloexec) => {
                self.open_slowly(notification, file, flags, cloexec)
            }
        };
        if done.is_err() {
            let _ = notify::refuse(listener, id, Errno::ACCESS);
        }
    }

    /// On a thread of its own: it lasts until somebody opens the other end.
    fn open_slowly(
        &self,
        &Notification { id, pid, .. }: &Notification,
        file: OwnedFd,
        flags: OFlags,
        cloexec: bool,
    ) -> Result<()> {
        let listener = swathe_sys::rustix::io::fcntl_dupfd_cloexec(&self.listener, 0)?;
        if self.slow.fetch_add(1, Ordering::Relaxed) >= MAX_SLOW {
            self.slow.fetch_sub(1, Ordering::Relaxed);
            return Err(Errno::AGAIN);
        }
        let slow = Arc::clone(&self.slow);
        let undisturbed = self.undisturbed;
        let opened = move || {
            use swathe_sys::rustix::fd::AsRawFd as _;
            let own = format!("/proc/self/fd/{}", file.as_raw_fd());
            match wait_for_other_end(&own, flags, &Caller::new(pid), || {
                notify::is_waiting(&listener, id)
            }) {
                Ok(fd) => drop(hand_over(&listener, id, fd, cloexec, undisturbed)),
                Err(errno) => drop(notify::refuse(&listener, id, errno)),
            }
            slow.fetch_sub(1, Ordering::Relaxed);
        };
        let thread = std::thread::Builder::new().name("supervisor-pipe".into()).spawn(opened);
        thread.map(drop).map_err(|_| Errno::AGAIN)
    }
}

/// Opens a named pipe as soon as its other end is open, as long as the process waits.
fn wait_for_other_end(
    path: &str,
    flags: OFlags,
    caller: &Caller,
    still: impl Fn() -> bool,
) -> Result<OwnedFd> {
    const PAUSE: std::time::Duration = std::time::Duration::from_millis(5);
    let mut before = None;
    loop {
        match open(path, flags | OFlags::NONBLOCK, Mode::empty()) {
            Ok(fd) => {
                if !flags.contains(OFlags::NONBLOCK) {
                    let now = swathe_sys::rustix::fs::fcntl_getfl(&fd)?;
                    swathe_sys::rustix::fs::fcntl_setfl(&fd, now - OFlags::NONBLOCK)?;
                }
                return Ok(fd);
            }
            // The same of a file, by whoever holds a lease on it.
            Err(Errno::NXIO | Errno::AGAIN) if !flags.contains(OFlags::NONBLOCK) => {}
            Err(e) => return Err(e),
        }
        // One that was there the last time, too: others that can take it had the time to.
        let signal = caller.interruption()?;
        if !still() {
            return Err(Errno::INTR);
        }
        if let Some(errno) = signal.filter(|_| signal == before) {
            return Err(errno);
        }
        before = signal;
        std::thread::sleep(PAUSE);
    }
}

/// Gives a file to the process. One that is written, and whatever is no plain file, is not open here
/// any more when the process has it: a program that was just written could not be run ("text file
/// busy"), a pipe would seem to have a reader.
fn hand_over(
    listener: &OwnedFd,
    id: u64,
    fd: OwnedFd,
    cloexec: bool,
    undisturbed: bool,
) -> Result<()> {
    let done = if undisturbed && is_felt(&fd) {
        notify::inject_last(listener, id, fd, cloexec)
    } else {
        notify::inject(listener, id, fd.as_fd(), cloexec)
    };
    match done {
        Err(errno @ (Errno::MFILE | Errno::NFILE)) => notify::refuse(listener, id, errno),
        other => other,
    }
}

/// Whether others notice that somebody has the file open.
fn is_felt(fd: &OwnedFd) -> bool {
    use swathe_sys::rustix::fs::{FileType, fcntl_getfl, fstat};
    let reads = fcntl_getfl(fd).is_ok_and(|flags| {
        flags.contains(OFlags::PATH) || !flags.intersects(OFlags::WRONLY | OFlags::RDWR)
    });
    let plain = fstat(fd).is_ok_and(|found| {
        matches!(
            FileType::from_raw_mode(found.st_mode),
            FileType::RegularFile | FileType::Directory
        )
    });
    !(reads && plain)
}

struct Said {
    action: Action,
    object: Bytes,
    to: Option<Bytes>,
    outcome: Outcome,
    layer: Layer,
}

//! The supervisor: a thread that answers the calls of one sandbox until it ends.

mod events;
mod hand;
mod listener;
mod questions;
mod returning;
mod turns;

use crate::observe::{Network, Observer, Seen};
use crate::perform::{Noted, Performer, Trash, Verdict, is_ruled, refusal, shortens};
use crate::place::{Place, Places};
use crate::process::Caller;
use crate::trap::{Call, Decoder, Wanted};
use events::Said;
use hand::Hands;
use returning::Returning;
use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use swathe_record::bytes::Bytes;
use swathe_record::event::Event;
use swathe_record::question::Question;
use swathe_sys::Errno;
use swathe_sys::notify::{self, Notification};
use swathe_sys::rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use swathe_sys::rustix::fd::OwnedFd;
use turns::Turns;

/// Calls that wait for an answer of the user at the same time; more go on as they are.
const MAX_PARKED: usize = 1024;
/// How often it is looked whether who asks still waits.
const WAIT: Duration = Duration::from_millis(500);
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 500_000_000 };
/// How long other calls wait at most until what was granted for one is taken back.
const LONGEST: Duration = Duration::from_secs(5);
/// How often it is looked whether calls are over.
const LOOK: Duration = Duration::from_millis(5);
const SHORT_PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };
/// For how long a thread is known by its number: in far longer the kernel does not come around to it
/// again. Of another one, nothing could be looked at.
const MOMENT: Duration = Duration::from_millis(5);
/// After how long without a call nothing is kept open for the next one.
const REST: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

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
    /// Where connections lead.
    pub network: Network,
    /// Where events go.
    pub sink: Option<Sink>,
    /// Who is asked about what is not mounted.
    pub ask: Option<Ask>,
    /// Only about what is at or below these paths; empty: about everything.
    pub asks: Vec<PathBuf>,
    /// Is told of questions whose process does not wait any more.
    pub withdrawn: Option<Box<dyn FnMut(u64) + Send>>,
    /// Is told of questions whose call is over, after [`Answers::go_on_once`]; whether
    /// [`Answers::taken_back`] will be called.
    pub returned: Option<Box<dyn FnMut(u64) -> bool + Send>>,
}

enum Command {
    /// A question, whether the answer was yes, and whether it is to be told when its call is over.
    Answered {
        question: u64,
        allowed: bool,
        once: bool,
    },
    /// What was granted for a call alone is not there any more.
    TakenBack,
    Stop,
}

/// Tells a supervisor that a question was answered.
#[derive(Clone)]
pub struct Answers {
    commands: Sender<Command>,
    wake: Arc<OwnedFd>,
}

impl Answers {
    /// The question was answered, and what was granted is mounted: the call goes on. `allowed`: what
    /// it asked for was granted.
    pub fn go_on(&self, question: u64, allowed: bool) {
        self.tell(Command::Answered { question, allowed, once: false });
    }

    /// The same, and [`Config::returned`] is told when the call is over: what was granted for it
    /// alone can be taken back then.
    pub fn go_on_once(&self, question: u64, allowed: bool) {
        self.tell(Command::Answered { question, allowed, once: true });
    }

    /// What was granted for a call alone was taken back, or it was tried: calls that came meanwhile
    /// are looked at now.
    pub fn taken_back(&self) {
        self.tell(Command::TakenBack);
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
    let started = listener::confine().and_then(|()| listener::receive(&socket, wake));
    drop(socket);
    match started {
        Ok(Some(listener)) => Supervisor::new(config, listener, trouble).run(wake, commands),
        Ok(None) => {}
        Err(errno) => tell(&trouble, format!("the supervisor cannot start: {errno}")),
    }
}

fn tell(trouble: &Mutex<Option<String>>, text: String) {
    if let Ok(mut trouble) = trouble.lock() {
        trouble.get_or_insert(text);
    }
}

struct Parked {
    notification: Notification,
    /// What was asked about, and the program: written down with the answer.
    seen: Seen,
    program: Bytes,
}

struct Supervisor {
    listener: OwnedFd,
    config: Config,
    decoder: Decoder,
    performer: Option<Performer>,
    /// Whether the engine's test was answered.
    ready: bool,
    observer: Option<Observer>,
    parked: HashMap<u64, Parked>,
    questions: u64,
    /// Calls that went on and are not over.
    returning: Vec<Returning>,
    /// How much that was granted for a call alone is being taken back. Until it is, no other call is
    /// looked at: it would find what will not be there.
    taking_back: usize,
    taken_since: Instant,
    held: VecDeque<Notification>,
    hands: Hands,
    turns: Turns,
    /// Who called last, and when.
    last: Option<(Caller, Instant)>,
    trouble: Arc<Mutex<Option<String>>>,
}

impl Supervisor {
    fn new(config: Config, listener: OwnedFd, trouble: Arc<Mutex<Option<String>>>) -> Self {
        // An older kernel does without. One that has it has what `load_listener` asks for, too.
        let undisturbed = notify::wake_in_turn(&listener, true).is_ok();
        Self {
            listener,
            config,
            decoder: Decoder::default(),
            performer: None,
            ready: false,
            observer: None,
            parked: HashMap::new(),
            questions: 0,
            returning: Vec::new(),
            taking_back: 0,
            taken_since: Instant::now(),
            held: VecDeque::new(),
            hands: Hands::new(undisturbed),
            turns: Turns::default(),
            last: None,
            trouble,
        }
    }

    fn run(&mut self, wake: &OwnedFd, commands: &Receiver<Command>) {
        let (mut looked, mut waited_for) = (Instant::now(), Instant::now());
        loop {
            if self.taking_back > 0 && self.taken_since.elapsed() > LONGEST {
                self.taking_back = 0;
            }
            while self.taking_back == 0
                && let Some(held) = self.held.pop_front()
            {
                self.take(&held);
            }
            let calls = if self.taking_back == 0 { PollFlags::IN } else { PollFlags::empty() };
            let mut fds = [PollFd::new(&self.listener, calls), PollFd::new(wake, PollFlags::IN)];
            let timeout = match (self.returning.is_empty(), self.parked.is_empty()) {
                (false, _) => Some(&SHORT_PAUSE),
                _ if self.taking_back > 0 => Some(&PAUSE),
                (true, false) => Some(&PAUSE),
                (true, true) if self.is_resting() => None,
                (true, true) => Some(&REST),
            };
            let answered = Instant::now();
            match poll(&mut fds, timeout) {
                Err(Errno::INTR) => continue,
                Err(_) => break,
                Ok(0) => {
                    self.withdraw();
                    self.returned(Returning::is_over);
                    self.observer.iter_mut().for_each(Observer::rest);
                    continue;
                }
                Ok(_) => {}
            }
            let (calls, woken) = (fds[0].revents(), fds[1].revents());
            // Also where there is always something else to do.
            if !self.returning.is_empty() && looked.elapsed() > LOOK {
                looked = Instant::now();
                self.returned(Returning::is_over);
            }
            if !self.parked.is_empty() && waited_for.elapsed() > WAIT {
                waited_for = Instant::now();
                self.withdraw();
            }
            if !woken.is_empty() {
                let mut count = [0; 8];
                let _ = swathe_sys::rustix::io::read(wake, &mut count);
                if !self.obey(commands) {
                    break;
                }
            }
            if calls.contains(PollFlags::IN) && self.taking_back == 0 {
                let after = answered.elapsed();
                match notify::receive(&self.listener) {
                    Ok(notification) => {
                        if let Some(in_turn) = self.turns.next(after, notification.pid) {
                            // Without it, calls only take longer.
                            let _ = notify::wake_in_turn(&self.listener, in_turn);
                        }
                        self.take(&notification);
                    }
                    // Its process was ended, or a signal came.
                    Err(Errno::NOENT | Errno::INTR | Errno::AGAIN) => {}
                    Err(_) => break,
                }
            } else if calls.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
                // Nothing with this filter runs any more.
                break;
            }
        }
        self.unanswered();
    }

    fn obey(&mut self, commands: &Receiver<Command>) -> bool {
        while let Ok(command) = commands.try_recv() {
            // What is mounted is another thing now.
            self.observer.iter_mut().for_each(Observer::rest);
            match command {
                Command::Stop => return false,
                Command::Answered { question, allowed, once } => {
                    self.go_on(question, allowed, once);
                }
                Command::TakenBack => self.taking_back = self.taking_back.saturating_sub(1),
            }
        }
        true
    }

    /// Every call is answered, or waits for the user.
    fn take(&mut self, notification: &Notification) {
        if !self.returning.is_empty() {
            // Whoever calls again has returned from the call before.
            self.returned(|call| call.pid == notification.pid);
            if self.taking_back > 0 {
                return self.held.push_back(*notification);
            }
        }
        let call = self.decoder.decode(notification);
        // In another pid namespace than ours: nothing of it can be looked at.
        let caller = (notification.pid != 0).then(|| self.caller(notification.pid));
        let verdict = match (call, &caller) {
            (Call::Probe, caller) => Some(self.probe(caller.as_ref())),
            // There is no floor below these.
            (call, None) if !is_ruled(call) || self.config.wanted.writes && shortens(call) => {
                Some(Verdict::Refuse(refusal(call)))
            }
            (_, None) => Some(Verdict::Continue),
            (call, Some(caller)) => self.judge(caller, call, notification),
        };
        if let Some(verdict) = verdict {
            self.answer(notification, verdict);
        }
        self.last = caller.map(|caller| (caller, Instant::now()));
    }

    /// The thread with this number: the one that called last, if that was a moment ago, with what is
    /// open of it. In that time no number becomes that of another.
    fn caller(&mut self, pid: u32) -> Caller {
        let same = |(last, when): &(Caller, Instant)| last.pid == pid && when.elapsed() < MOMENT;
        self.last.take().filter(same).map_or_else(|| Caller::new(pid), |(last, _)| last)
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
            let (trash, notes_all) = (self.config.trash.take(), self.config.wanted.observe);
            self.performer = Some(Performer::new(places, listed, trash, notes_all));
        }
        if self.config.wanted.observe {
            let Ok(root) = caller.root() else { return refuse };
            let asks = self.config.ask.is_some();
            self.observer =
                Some(Observer::new(root, std::mem::take(&mut self.config.network), asks));
        }
        self.ready = true;
        Verdict::Done(swathe_sys::seccomp::PROBE_ANSWER)
    }

    /// What becomes of a call; none: it was let go on, or waits for an answer.
    fn judge(
        &mut self,
        caller: &Caller,
        call: Call,
        notification: &Notification,
    ) -> Option<Verdict> {
        let id = notification.id;
        // Before anything is done: a file that is made would be there.
        let seen = self.observer.as_mut().and_then(|observer| observer.look(caller.pid, call));
        if let Some(performer) = &mut self.performer {
            let still = || notify::is_waiting(&self.listener, id);
            let (verdict, noted) = performer.perform(caller, call, &still);
            let silent = noted.as_ref().is_some_and(Noted::is_silent);
            if let Some(noted) = noted.filter(|_| !silent) {
                self.note(caller, call, noted);
            }
            if !matches!(verdict, Verdict::Continue) {
                // As if the kernel had done it.
                if let Some((program, seen)) = seen.filter(|_| silent) {
                    self.event(caller, Said::of(seen, program));
                }
                return Some(verdict);
            }
        }
        let verdict = match seen {
            None => Some(Verdict::Continue),
            Some((program, seen)) if self.config.ask.is_some() => {
                let waits = notify::is_waiting(&self.listener, id)
                    && self.ask_about(caller, program, seen, notification);
                (!waits).then_some(Verdict::Continue)
            }
            Some((program, seen)) => {
                // What is only written down is so while the program goes on.
                match self.answer(notification, Verdict::Continue) {
                    true => self.event(caller, Said::of(seen, program)),
                    // What was looked at may have been another process.
                    false => self.observer.iter_mut().for_each(|o| o.forget(caller.pid)),
                }
                None
            }
        };
        if let (Some(observer), Call::Execute(_)) = (&mut self.observer, call) {
            observer.forget(caller.pid);
        }
        verdict
    }

    fn is_resting(&self) -> bool {
        self.observer.as_ref().is_none_or(Observer::is_resting)
    }

    /// Whether the call got this answer. One that is over is no fault: its process was ended. What
    /// cannot be handed over is refused.
    fn answer(&self, notification: &Notification, verdict: Verdict) -> bool {
        let (listener, id) = (&self.listener, notification.id);
        let done = match verdict {
            Verdict::Continue => notify::proceed(listener, id),
            Verdict::Done(value) => notify::succeed(listener, id, value),
            Verdict::Refuse(errno) => notify::refuse(listener, id, errno),
            Verdict::Open(fd, cloexec) => self.hands.over(listener, id, fd, cloexec),
            Verdict::OpenSlowly(file, flags, cloexec) => {
                self.hands.over_slowly(listener, notification, file, flags, cloexec)
            }
        };
        if done.is_err() {
            let _ = notify::refuse(listener, id, Errno::ACCESS);
        }
        done.is_ok()
    }
}

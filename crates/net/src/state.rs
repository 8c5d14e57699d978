//! What the tasks of the helper share. It has one thread.

use crate::control::Control;
use crate::pool::Pool;
use crate::protocol::{Config, Decision, Report, Row, Upstream};
use crate::relay::Counts;
use crate::resolve::Resolver;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use swathe_netrules::Rules;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::AbortHandle;

/// Questions that wait for an answer at the same time.
const MAX_QUESTIONS: usize = 256;
/// Who waits for the same answer.
const MAX_WAITERS: usize = 1024;
/// How long that moment is: nobody notices.
const MOMENT: Duration = Duration::from_millis(20);
/// Objects that are remembered to have been reported.
const MAX_SHOWN: usize = 4096;
/// Rows of one message: they fit, however long the names are.
const ROWS: usize = 64;

/// All of it.
#[derive(Debug)]
pub struct State {
    /// What may be reached.
    pub rules: RefCell<Rules>,
    /// Whether somebody is asked about the rest.
    pub ask: Cell<bool>,
    /// Addresses of names.
    pub pool: RefCell<Pool>,
    /// The host's names.
    pub resolver: Resolver,
    /// A proxy through which everything goes.
    pub upstream: Option<Upstream>,
    /// Where reports go.
    pub control: Rc<Control>,
    /// Sockets inside that are not connected yet.
    pub inside: crate::publish::Inside,
    /// Where the host listens for connections from outside, and what takes them.
    pub published: RefCell<HashMap<SocketAddr, AbortHandle>>,
    places: Arc<Semaphore>,
    rules_number: Cell<u64>,
    next: Cell<u64>,
    connections: RefCell<BTreeMap<u64, Rc<Connection>>>,
    questions: RefCell<HashMap<String, Asked>>,
    shown: RefCell<HashSet<String>>,
}

#[derive(Debug)]
struct Asked {
    id: u64,
    waiters: Vec<oneshot::Sender<bool>>,
}

/// A connection that is open.
#[derive(Debug)]
pub struct Connection {
    /// To what.
    pub object: String,
    /// What it is judged by when the rules change.
    pub wish: Option<crate::judge::Wish>,
    /// Whether a user said yes to it.
    pub asked: bool,
    /// The address that was dialled.
    pub address: Option<SocketAddr>,
    /// Where the host listens for it, for one from outside.
    pub published: Option<SocketAddr>,
    /// What went through it.
    pub counts: Counts,
    /// Ends it.
    pub end: Notify,
    /// When it began.
    pub since: Instant,
}

impl Connection {
    /// One that begins now.
    #[must_use]
    pub fn new(object: String, wish: Option<crate::judge::Wish>, asked: bool) -> Self {
        Self {
            object,
            wish,
            asked,
            address: None,
            published: None,
            counts: Counts::default(),
            end: Notify::new(),
            since: Instant::now(),
        }
    }
}

/// Takes the connection out of the list.
#[derive(Debug)]
pub struct Open {
    state: Rc<State>,
    id: u64,
    /// The connection.
    pub connection: Rc<Connection>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.state.connections.borrow_mut().remove(&self.id);
    }
}

impl State {
    /// At the start.
    #[must_use]
    pub fn new(config: Config, control: Rc<Control>) -> Rc<Self> {
        Rc::new(Self {
            rules: RefCell::new(config.rules),
            ask: Cell::new(config.ask),
            pool: RefCell::default(),
            resolver: Resolver::new(config.servers, config.hosts),
            upstream: config.upstream,
            control,
            inside: crate::publish::Inside::default(),
            published: RefCell::default(),
            places: Arc::new(Semaphore::new(config.connections.min(Semaphore::MAX_PERMITS))),
            rules_number: Cell::default(),
            next: Cell::default(),
            connections: RefCell::default(),
            questions: RefCell::default(),
            shown: RefCell::default(),
        })
    }

    /// Goes by other rules from now on.
    pub fn go_by(&self, rules: Rules, ask: bool) {
        self.rules.replace(rules);
        self.ask.set(ask);
        self.rules_number.set(self.rules_number.get() + 1);
    }

    /// Grows with every change of the rules: whoever waits between a judgement and what follows from
    /// it has to judge again where it is another.
    #[must_use]
    pub fn rules_number(&self) -> u64 {
        self.rules_number.get()
    }

    /// Room for one more connection or question; none where there are too many.
    #[must_use]
    pub fn place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    /// Lists a connection.
    #[must_use]
    pub fn open(self: &Rc<Self>, connection: Connection) -> Open {
        let id = self.number();
        let connection = Rc::new(connection);
        self.connections.borrow_mut().insert(id, Rc::clone(&connection));
        Open { state: Rc::clone(self), id, connection }
    }

    fn number(&self) -> u64 {
        let number = self.next.get() + 1;
        self.next.set(number);
        number
    }

    /// Ends every connection that this holds for.
    pub fn end_where(&self, over: impl Fn(&Connection) -> bool) {
        for connection in self.connections.borrow().values().filter(|one| over(one)) {
            connection.end.notify_one();
        }
    }

    /// Reports the connections.
    pub fn list(&self) {
        let row = |(id, one): (&u64, &Rc<Connection>)| Row {
            id: *id,
            object: one.object.clone(),
            address: one.address,
            age: u64::try_from(one.since.elapsed().as_millis()).unwrap_or(u64::MAX),
            sent: one.counts.sent.get(),
            received: one.counts.received.get(),
        };
        let rows: Vec<Row> = self.connections.borrow().iter().map(row).collect();
        for part in rows.chunks(ROWS) {
            self.control.say(Report::List { rows: part.to_vec(), last: false });
        }
        self.control.say(Report::List { rows: Vec::new(), last: true });
    }

    /// Reports a decision.
    pub fn decided(&self, decision: Decision) {
        self.control.say(Report::Decided(decision));
    }

    /// Reports a decision. Where it is a refusal, or the first about its object, the program's socket
    /// stays as it is for a moment: somebody looks for the process that it belongs to.
    pub async fn show(&self, decision: Decision) {
        let waits = self.is_first(&decision.object) || !decision.allowed;
        self.decided(decision);
        if waits {
            tokio::time::sleep(MOMENT).await;
        }
    }

    fn is_first(&self, object: &str) -> bool {
        let mut shown = self.shown.borrow_mut();
        shown.len() < MAX_SHOWN && shown.insert(object.to_owned())
    }

    /// Asks the user whether this may be reached, and waits for the answer; others that want the same
    /// wait for the same answer. No when there are too many.
    pub async fn question(&self, target: &str, peer: Option<SocketAddr>) -> bool {
        let (sender, answer) = oneshot::channel();
        {
            let mut questions = self.questions.borrow_mut();
            let full = questions.len() >= MAX_QUESTIONS;
            match questions.get_mut(target) {
                Some(asked) if asked.waiters.len() < MAX_WAITERS => asked.waiters.push(sender),
                Some(_) => return false,
                None if full => return false,
                None => {
                    let id = self.number();
                    let question = Report::Question { id, target: target.to_owned(), peer };
                    if !self.control.say(question) {
                        // Nobody would ever answer.
                        return false;
                    }
                    let asked = Asked { id, waiters: vec![sender] };
                    questions.insert(target.to_owned(), asked);
                }
            }
        }
        answer.await.unwrap_or(false)
    }

    /// The user has answered.
    pub fn answer(&self, question: u64, allow: bool) {
        let mut questions = self.questions.borrow_mut();
        let found = questions.iter().find(|(_, asked)| asked.id == question);
        let Some(target) = found.map(|(target, _)| target.clone()) else { return };
        let waiters = questions.remove(&target).map(|asked| asked.waiters).unwrap_or_default();
        for waiter in waiters {
            // Whoever has gone does not need it.
            let _ = waiter.send(allow);
        }
    }

    /// Questions for whose answers nobody waits any more are withdrawn.
    pub fn withdraw(&self) {
        self.questions.borrow_mut().retain(|_, asked| {
            let waits = asked.waiters.iter().any(|waiter| !waiter.is_closed());
            if !waits {
                self.control.say(Report::Withdrawn(asked.id));
            }
            waits
        });
    }
}

/// Microseconds since 1970.
#[must_use]
pub fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

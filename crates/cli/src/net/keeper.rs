//! What stays beside a running sandbox with a network by rules: it hears what the helper decides,
//! has the user asked, makes sockets inside when they are needed, and changes the rules.

use super::events::Known;
use super::who::Sandbox;
use super::{Reach, asking, events};
use crate::out::{Failure, note};
use serde::{Deserialize, Serialize};
use std::collections::{HashSet, VecDeque};
use std::net::SocketAddr;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use swathe_net::protocol::{Decision, Order, Report, Role, Row};
use swathe_net::{Helper, Link};
use swathe_netns::{Inside, Way};
use swathe_netrules::{Protocol, Publish, Rule, What};
use swathe_record::ask::Desk;
use swathe_record::event::Event;

/// Where events go. Must not block.
pub type Sink = Arc<dyn Fn(Event) + Send + Sync>;

/// Questions that wait for somebody who answers.
const MAX_EARLY: usize = 256;
/// Decisions that are shown with the connections.
const KEPT: usize = 200;
/// How long a list of connections may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Ends with it: the helper, and so every connection.
#[derive(Debug)]
pub struct Keeper {
    shared: Arc<Shared>,
    helper: Option<Helper>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Keeper {
    /// What the helper has said is written before that returns.
    fn drop(&mut self) {
        self.shared.ending.store(true, Ordering::Relaxed);
        self.helper = None;
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
        *self.shared.sink.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// What is shown of a network.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct View {
    /// How connections get to the helper.
    pub way: String,
    /// The rules, as on a command line.
    pub allowed: Vec<String>,
    /// Those that deny.
    pub denied: Vec<String>,
    /// Ports of the host.
    pub published: Vec<String>,
    /// Open connections.
    pub connections: Vec<Row>,
    /// The last decisions, the newest last.
    pub decisions: Vec<Decision>,
}

struct Shared {
    link: Link,
    way: Way,
    /// None when the run has ended: whoever shows and changes it may live longer.
    sink: Mutex<Option<Sink>>,
    sandbox: Sandbox,
    /// Whether the helper's end is wanted.
    ending: AtomicBool,
    state: Mutex<State>,
}

/// The network inside.
pub(super) struct Within {
    /// Makes sockets there.
    pub inside: Inside,
    /// How connections get to the helper.
    pub way: Way,
    /// Where something listens that the helper has.
    pub listening: HashSet<(Protocol, u16)>,
}

struct State {
    reach: Reach,
    inside: Inside,
    /// Never less: the helper keeps what it was given, and a rule that is taken back may come again.
    listening: HashSet<(Protocol, u16)>,
    /// Whether there will be a desk.
    asks: bool,
    desk: Option<Desk>,
    /// Questions that came before it.
    early: Vec<(u64, String, Option<SocketAddr>)>,
    decisions: VecDeque<Decision>,
    list: Vec<Row>,
    waits: Option<Sender<Vec<Row>>>,
    known: Known,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("way", &self.way).finish_non_exhaustive()
    }
}

impl Keeper {
    /// Listens to a helper that has begun. `asks`: [`Keeper::ask`] will be called.
    ///
    /// # Errors
    /// No thread can be started.
    pub(super) fn start(
        helper: Helper,
        Within { inside, way, listening }: Within,
        asks: bool,
        reach: Reach,
        sandbox: Sandbox,
        sink: Sink,
    ) -> Result<Self, Failure> {
        let state = State {
            reach,
            inside,
            listening,
            asks,
            desk: None,
            early: Vec::new(),
            decisions: VecDeque::new(),
            list: Vec::new(),
            waits: None,
            known: Known::default(),
        };
        let link = helper.link();
        let shared = Arc::new(Shared {
            link,
            way,
            sink: Mutex::new(Some(sink)),
            sandbox,
            state: Mutex::new(state),
            ending: AtomicBool::new(false),
        });
        let listening = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("network".into());
        let thread = thread.spawn(move || listening.listen()).map_err(|e| super::failed(&e))?;
        Ok(Self { shared, helper: Some(helper), thread: Some(thread) })
    }

    /// Whoever shows and changes it, for as long as it lives.
    #[must_use]
    pub fn controls(&self) -> Controls {
        Controls(Arc::clone(&self.shared))
    }

    /// Has the user asked at this desk, also what the program wanted before there was one.
    pub fn ask(&self, desk: Desk) {
        let early = {
            let mut state = self.shared.lock();
            state.desk = Some(desk.clone());
            std::mem::take(&mut state.early)
        };
        let Shared { link, sandbox, .. } = &*self.shared;
        for (id, target, peer) in early {
            asking::ask(&desk, link, *sandbox, (id, &target, peer));
        }
    }
}

/// Shows and changes a network.
#[derive(Debug, Clone)]
pub struct Controls(Arc<Shared>);

impl Controls {
    /// What there is now.
    ///
    /// # Errors
    /// The helper does not say.
    pub fn view(&self) -> Result<View, Failure> {
        let connections = self.list()?;
        let state = self.0.lock();
        let rules = &state.reach.rules;
        Ok(View {
            way: super::way_name(self.0.way).to_owned(),
            allowed: rules.allow.iter().map(text_of).collect(),
            denied: rules.deny.iter().map(text_of).collect(),
            published: state.reach.publish.iter().map(ToString::to_string).collect(),
            connections,
            decisions: state.decisions.iter().cloned().collect(),
        })
    }

    /// The connections. The helper does one thing after the other: what it was told before is done
    /// then.
    fn list(&self) -> Result<Vec<Row>, Failure> {
        let (sender, receiver) = channel();
        self.0.lock().waits = Some(sender);
        self.0.link.send(&Order::List, &[]).map_err(|e| gone(&e))?;
        receiver.recv_timeout(PATIENCE).map_err(|e| gone(&e))
    }

    /// Has the helper go by the rules as they are now.
    fn tell_rules(&self, state: MutexGuard<'_, State>) -> Result<(), Failure> {
        self.0.tell_rules(&state)?;
        // What is heard of the list needs it.
        drop(state);
        self.list().map(drop)
    }

    /// Allows it from now on.
    ///
    /// # Errors
    /// Its port cannot be listened at.
    pub fn allow(&self, rule: &Rule) -> Result<(), Failure> {
        let mut state = self.0.lock();
        let sockets = self.0.listeners(&mut state, rule)?;
        self.0.link.give(sockets).map_err(|e| gone(&e))?;
        state.reach.rules.deny.retain(|denied| denied != rule);
        if !state.reach.rules.allow.contains(rule) {
            state.reach.rules.allow.push(rule.clone());
        }
        self.tell_rules(state)
    }

    /// Does not allow it any more; what is connected by it ends. What there is to say about it: if there
    /// was no such rule, one that denies was added; other rules may allow the same.
    ///
    /// # Errors
    /// The helper is gone, and with it every connection.
    pub fn revoke(&self, rule: &Rule) -> Result<Option<String>, Failure> {
        let mut state = self.0.lock();
        let rules = &mut state.reach.rules;
        let before = rules.allow.len();
        rules.allow.retain(|allowed| allowed != rule);
        let found = rules.allow.len() < before;
        if !found && !rules.deny.contains(rule) {
            rules.deny.push(rule.clone());
        }
        let others = rules.allow.iter().filter(|other| other.covers(rule)).map(text_of);
        let others: Vec<String> = if found { others.collect() } else { Vec::new() };
        self.tell_rules(state)?;
        Ok(match (found, others.is_empty()) {
            (false, _) => Some("no rule says just that: one that denies it was added".to_owned()),
            (true, true) => None,
            (true, false) => Some(format!("it is still allowed, by {}", others.join(", "))),
        })
    }

    /// Denies it from now on; what is connected by it ends.
    ///
    /// # Errors
    /// The helper is gone, and with it every connection.
    pub fn deny(&self, rule: &Rule) -> Result<(), Failure> {
        let mut state = self.0.lock();
        if !state.reach.rules.deny.contains(rule) {
            state.reach.rules.deny.push(rule.clone());
        }
        self.tell_rules(state)
    }

    /// Takes a denial back.
    ///
    /// # Errors
    /// There is none, or the helper is gone.
    pub fn deny_no_more(&self, rule: &Rule) -> Result<(), Failure> {
        let mut state = self.0.lock();
        let before = state.reach.rules.deny.len();
        state.reach.rules.deny.retain(|denied| denied != rule);
        if state.reach.rules.deny.len() == before {
            return Err(Failure::new(format!("{} was not denied", text_of(rule))));
        }
        self.tell_rules(state)
    }

    /// Publishes a port.
    ///
    /// # Errors
    /// The host's port is taken.
    pub fn publish(&self, publish: &Publish) -> Result<(), Failure> {
        let mut state = self.0.lock();
        if state.reach.publish.contains(publish) {
            return Err(Failure::new(format!("{publish} is published already")));
        }
        let listener = super::listen(publish.host)?;
        let sockets = vec![(Role::Published(publish.port), listener)];
        self.0.link.give(sockets).map_err(|e| gone(&e))?;
        state.reach.publish.push(*publish);
        Ok(())
    }

    /// Publishes a port no more; what is connected by it ends. Whether it was published.
    ///
    /// # Errors
    /// The helper is gone, and with it every connection.
    pub fn unpublish(&self, publish: &Publish) -> Result<bool, Failure> {
        let mut state = self.0.lock();
        let before = state.reach.publish.len();
        state.reach.publish.retain(|one| one != publish);
        self.0.link.send(&Order::Unpublish(publish.host), &[]).map_err(|e| gone(&e))?;
        let found = state.reach.publish.len() < before;
        drop(state);
        self.list()?;
        Ok(found)
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listen(&self) {
        loop {
            match self.link.next() {
                Ok(Some(report)) => self.hear(report),
                Ok(None) if self.ending.load(Ordering::Relaxed) => return,
                Ok(None) => {
                    return note("the sandbox reaches nothing any more: its helper has ended");
                }
                Err(e) => return note(&format!("the sandbox reaches nothing any more: {e}")),
            }
        }
    }

    fn hear(&self, report: Report) {
        match report {
            Report::Decided(decision) => self.decided(decision),
            Report::Question { id, target, peer } => self.question(id, &target, peer),
            Report::Withdrawn(id) => {
                let mut state = self.lock();
                state.early.retain(|(early, ..)| *early != id);
                if let Some(desk) = state.desk.clone() {
                    drop(state);
                    asking::withdraw(&desk, id);
                }
            }
            Report::NeedInside { ipv6 } => {
                let socket = self.lock().inside.socket(ipv6);
                if let Ok(socket) = socket {
                    // Whoever waits for it gives up after some time.
                    let _ = self.give(Role::Inside { ipv6 }, socket);
                }
            }
            Report::List { rows, last } => {
                let mut state = self.lock();
                state.list.extend(rows);
                if last {
                    let list = std::mem::take(&mut state.list);
                    if let Some(waits) = state.waits.take() {
                        let _ = waits.send(list);
                    }
                }
            }
            Report::Lost(_) | Report::Ready | Report::Trouble(_) => {}
        }
    }

    fn give(&self, role: Role, socket: OwnedFd) -> std::io::Result<()> {
        self.link.send(&Order::Sockets(vec![role]), &[socket.as_fd()])
    }

    fn decided(&self, decision: Decision) {
        let new = self.lock().known.is_new(&decision.object);
        if !new && events::is_said_once(&decision) {
            return;
        }
        // Who it was takes a while to find out: of what is allowed again and again, only once.
        let looked_for = new || !decision.allowed;
        let asker = looked_for.then(|| self.sandbox.who(decision.peer)).flatten();
        self.event(events::event(&decision, asker.unwrap_or_default()));
        let mut state = self.lock();
        if state.decisions.len() >= KEPT {
            state.decisions.pop_front();
        }
        state.decisions.push_back(decision);
    }

    fn event(&self, event: Event) {
        if let Some(sink) = &*self.sink.lock().unwrap_or_else(PoisonError::into_inner) {
            sink(event);
        }
    }

    fn question(&self, id: u64, target: &str, peer: Option<SocketAddr>) {
        let mut state = self.lock();
        match state.desk.clone() {
            Some(desk) => {
                drop(state);
                asking::ask(&desk, &self.link, self.sandbox, (id, target, peer));
            }
            None if state.asks && state.early.len() < MAX_EARLY => {
                state.early.push((id, target.to_owned(), peer));
            }
            None => {
                let _ = self.link.send(&Order::Answer { question: id, allow: false }, &[]);
            }
        }
    }

    fn tell_rules(&self, state: &State) -> Result<(), Failure> {
        self.link.go_by(&state.reach.rules, state.asks).map_err(|e| gone(&e))
    }

    /// Sockets for ports at which nothing listens yet.
    fn listeners(&self, state: &mut State, rule: &Rule) -> Result<Vec<(Role, OwnedFd)>, Failure> {
        let cannot = |e: &dyn std::fmt::Display| {
            Failure::new(format!("cannot listen for {}: {e}", text_of(rule)))
        };
        let mut sockets = Vec::new();
        let mut new = Vec::new();
        for (protocol, by_one) in [
            (Protocol::Tcp, self.way == Way::AnyIp || rule.what == What::HostLoopback),
            (Protocol::Udp, true),
        ] {
            if !by_one
                || !rule.is_by(protocol)
                || (protocol == Protocol::Udp && rule.ports.is_all())
            {
                continue;
            }
            if rule.ports.count() > super::MAX_UDP {
                return Err(cannot(&"too many ports")
                    .hint("name those that are used, or start it again with the rule"));
            }
            for port in rule.ports.ranges().iter().flat_map(|(first, last)| *first..=*last) {
                if state.listening.contains(&(protocol, port)) {
                    continue;
                }
                new.push((protocol, port));
                let (role, made) = match protocol {
                    Protocol::Tcp => (Role::Tcp, state.inside.listen_tcp(port)),
                    Protocol::Udp => (Role::Udp(port), state.inside.listen_udp(port)),
                };
                sockets.push((role, made.map_err(|e| cannot(&e))?));
            }
        }
        state.listening.extend(new);
        Ok(sockets)
    }
}

fn text_of(rule: &Rule) -> String {
    rule.text(swathe_netrules::Form::Allow)
}

fn gone(error: &dyn std::fmt::Display) -> Failure {
    Failure::new(format!("the helper for the sandbox's network has gone: {error}"))
}

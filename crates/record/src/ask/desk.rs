//! The table with its clock, shared by the supervisor and the asker.

use super::rules::{Rule, Rules};
use super::table::{Advice, Bounds, Effect, Prompt, Reply, Table, Wrong};
use crate::question::{Answer, Question};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Called with the reply to a question, once, from any thread. It must not wait.
type Callback = Box<dyn FnOnce(Reply) + Send>;
type Advise = Box<dyn Fn(&Question) -> Advice + Send + Sync>;
type Keep = Box<dyn Fn(&[Rule]) + Send + Sync>;

/// What the desk needs to know.
pub struct Setup {
    /// How much may wait, and how long.
    pub bounds: Bounds,
    /// What was decided in earlier runs.
    pub rules: Rules,
    /// What is to be said about a question. Called where it is asked; it must not wait.
    pub advise: Advise,
    /// Writes down what holds from now on. Called in the asker's thread.
    pub keep: Keep,
}

impl std::fmt::Debug for Setup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Setup").field("bounds", &self.bounds).field("rules", &self.rules).finish()
    }
}

struct Shared {
    start: Instant,
    state: Mutex<State>,
    changed: Condvar,
    advise: Advise,
    keep: Keep,
}

struct State {
    table: Table,
    callbacks: HashMap<u64, Callback>,
    notices: VecDeque<Notice>,
}

/// What an asker is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// Ask this.
    Show(Prompt),
    /// Ask it no more: its time ran out, its process ended, or another answer was about it, too.
    Withdrawn(u64),
    /// It is over: nothing is asked any more.
    Closed,
}

/// What is done outside of the lock.
#[derive(Default)]
struct Due {
    replies: Vec<(Callback, Reply)>,
    kept: Vec<Rule>,
}

impl Due {
    fn run(self, shared: &Shared) {
        // First: who is told may end the run, and this process with it.
        if !self.kept.is_empty() {
            (shared.keep)(&self.kept);
        }
        for (callback, reply) in self.replies {
            callback(reply);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// Changes the table, and does what follows.
    fn change<T>(&self, change: impl FnOnce(&mut Table) -> (Vec<Effect>, T)) -> T {
        let mut state = self.lock();
        let (effects, result) = change(&mut state.table);
        let mut due = Due::default();
        for effect in effects {
            state.apply(effect, &mut due);
        }
        drop(state);
        self.changed.notify_all();
        due.run(self);
        result
    }

    fn close(&self) {
        self.change(|table| (table.close(), ()));
    }

    /// Refuses what is not answered in time, until all is over.
    fn keep_time(&self) {
        let mut state = self.lock();
        while !state.table.is_closed() {
            let next = state.table.next();
            let now = self.now();
            if next.is_some_and(|next| next <= now) {
                drop(state);
                self.change(|table| (table.tick(now), ()));
                state = self.lock();
                continue;
            }
            state = match next {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(next) => {
                    let rest = next.saturating_sub(now);
                    let waited = self.changed.wait_timeout(state, rest);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

impl State {
    fn apply(&mut self, effect: Effect, due: &mut Due) {
        match effect {
            Effect::Show(prompt) => self.notices.push_back(Notice::Show(prompt)),
            Effect::Withdraw(id) => {
                let before = self.notices.len();
                self.notices.retain(|n| !matches!(n, Notice::Show(p) if p.question.id == id));
                // What was not taken yet needs no taking back. So never more waits here than twice
                // the prompts.
                if self.notices.len() == before {
                    self.notices.push_back(Notice::Withdrawn(id));
                }
            }
            Effect::Reply(reply) => {
                let callback = self.callbacks.remove(&reply.id);
                due.replies.extend(callback.map(|callback| (callback, reply)));
            }
            Effect::Keep(rules) => due.kept.extend(rules),
        }
    }
}

/// The supervisor's side. The desk is closed when the last copy is dropped.
#[derive(Clone)]
pub struct Desk(Arc<Owner>);

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Desk")
    }
}

struct Owner(Arc<Shared>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Desk {
    /// A desk, and the asker's side of it.
    ///
    /// # Errors
    /// The thread that keeps the time cannot be started.
    pub fn new(setup: Setup) -> std::io::Result<(Self, Counter)> {
        let Setup { bounds, rules, advise, keep } = setup;
        let state = State {
            table: Table::new(bounds, rules),
            callbacks: HashMap::new(),
            notices: VecDeque::new(),
        };
        let shared = Arc::new(Shared {
            start: Instant::now(),
            state: Mutex::new(state),
            changed: Condvar::new(),
            advise,
            keep,
        });
        let keeper = Arc::clone(&shared);
        std::thread::Builder::new().name("asking".to_owned()).spawn(move || keeper.keep_time())?;
        Ok((Self(Arc::new(Owner(Arc::clone(&shared)))), Counter(shared)))
    }

    /// Asks. Never waits: `reply` is called when there is one, which may be at once.
    pub fn ask(&self, question: Question, reply: impl FnOnce(Reply) + Send + 'static) {
        let shared = &self.0.0;
        let advice = (shared.advise)(&question);
        let id = question.id;
        let mut state = shared.lock();
        let mut effects = state.table.ask(shared.now(), question, advice).into_iter();
        match effects.next() {
            // Not by its id: that may be one that waits.
            Some(Effect::Reply(answered)) => {
                drop(state);
                reply(answered);
            }
            first => {
                state.callbacks.insert(id, Box::new(reply));
                let mut due = Due::default();
                first.into_iter().chain(effects).for_each(|effect| state.apply(effect, &mut due));
                drop(state);
                shared.changed.notify_all();
                due.run(shared);
            }
        }
    }

    /// Gives questions up, such as those of a process that has ended; they are replied to with
    /// [`Why::Withdrawn`](super::Why::Withdrawn).
    pub fn withdraw(&self, which: impl Fn(&Question) -> bool) {
        self.0.0.change(|table| (table.withdraw(which), ()));
    }

    /// What was decided elsewhere: a grant, or its end, while it runs.
    pub fn learn(&self, rule: Rule) {
        self.0.0.change(|table| (table.learn(rule), ()));
    }

    /// Refuses everything from now on.
    pub fn close(&self) {
        self.0.0.close();
    }

    /// Whether anybody answers still. Once nobody does all is refused.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.0.0.lock().table.is_closed()
    }
}

/// The asker's side. Everything is refused from the moment on that it is dropped.
pub struct Counter(Arc<Shared>);

impl std::fmt::Debug for Counter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Counter")
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Counter {
    /// What happened since, waiting for at most so long.
    #[must_use]
    pub fn next(&self, patience: Duration) -> Option<Notice> {
        let shared = &self.0;
        let nothing = |state: &mut State| state.notices.is_empty() && !state.table.is_closed();
        let waited = shared.changed.wait_timeout_while(shared.lock(), patience, nothing);
        let mut state = waited.unwrap_or_else(PoisonError::into_inner).0;
        if state.table.is_closed() {
            return Some(Notice::Closed);
        }
        state.notices.pop_front()
    }

    /// Answers. What the answer is about beside its question is replied to as well, and withdrawn.
    ///
    /// # Errors
    /// It fits no question that waits.
    pub fn answer(&self, answer: &Answer) -> Result<(), Wrong> {
        let now = self.0.now();
        self.0.change(|table| match table.answer(now, answer) {
            Ok(effects) => (effects, Ok(())),
            Err(wrong) => (Vec::new(), Err(wrong)),
        })
    }

    /// How much longer a prompt waits.
    #[must_use]
    pub fn left(&self, prompt: &Prompt) -> Duration {
        prompt.until.saturating_sub(self.0.now())
    }

    /// Refuses everything from now on.
    pub fn close(&self) {
        self.0.close();
    }
}

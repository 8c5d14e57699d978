//! What is asked, what waits and what was answered: a state machine without threads or clock.
//!
//! Time is what has passed since some fixed moment; it is handed in and only compared.

use super::rules::{Rule, Rules, Want, directory_of, made_by};
use crate::bytes::Bytes;
use crate::question::{Answer, Question, Term};
use std::collections::BTreeMap;
use std::time::Duration;

/// The longest object that is asked about, in bytes: more than a path may have.
pub const LONGEST_OBJECT: usize = 4608;
/// The most words of a command line that are shown.
const MOST_WORDS: usize = 64;
/// The most bytes of a command line that are shown.
const LONGEST_COMMAND: usize = 2048;

/// How much may wait, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Prompts that wait for an answer at once; further questions are refused.
    pub prompts: usize,
    /// Questions that wait at once, those that share a prompt included.
    pub questions: usize,
    /// How long a question waits.
    pub deadline: Duration,
    /// As many refusals of one process within [`Self::window`] refuse whatever else it asks ...
    pub burst: usize,
    /// See [`Self::burst`].
    pub window: Duration,
    /// ... for so long.
    pub pause: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            prompts: 64,
            questions: 1024,
            deadline: Duration::from_secs(300),
            burst: 5,
            window: Duration::from_secs(60),
            pause: Duration::from_secs(60),
        }
    }
}

/// What is known of a question beside itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Advice {
    /// Whether it is refused without being asked.
    pub never: bool,
    /// Whether an answer may be widened to the directory.
    pub directory: bool,
    /// Why a yes would be dangerous.
    pub danger: Option<String>,
}

/// What the asker shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// The question. Its command line is bounded.
    pub question: Question,
    /// The directory to which an answer may be widened.
    pub directory: Option<Bytes>,
    /// Why a yes would be dangerous.
    pub danger: Option<String>,
    /// When it is refused for want of an answer, on the table's clock.
    pub until: Duration,
}

/// What is told to the one who asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The question's.
    pub id: u64,
    /// Whether the program may do what it wants, all of it.
    pub allow: bool,
    /// Whether it may at least read, although more was asked for. Never with `allow`.
    pub read_only: bool,
    /// What was decided for more than this question, by the answer to it. Empty where it was
    /// decided before.
    pub rules: Vec<Rule>,
    /// Why.
    pub why: Why,
}

/// Why a reply is what it is. All but the first two are refusals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Why {
    /// It was answered, for so long.
    Answered(Term),
    /// An earlier answer holds for it, too.
    Remembered,
    /// No answer came in time.
    Late,
    /// Too much waits already.
    TooMany,
    /// The process was refused too often lately.
    Storm,
    /// Its process ended, or gave up.
    Withdrawn,
    /// Nobody is there to answer.
    Gone,
    /// It is none that can be asked: an object too long or empty, or an id that is in use.
    Unfit,
    /// Nobody may allow it.
    Never,
}

/// Why an answer is none. The question waits on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrong {
    /// No question of this id waits.
    Unknown,
    /// It cannot be widened to a directory.
    NoDirectory,
}

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Unknown => "no question of this id waits",
            Self::NoDirectory => "this question has no directory that can be decided about",
        })
    }
}

impl std::error::Error for Wrong {}

/// What is to be done after a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Show it.
    Show(Prompt),
    /// Show it no more.
    Withdraw(u64),
    /// Tell who asked.
    Reply(Reply),
    /// Write down what holds from now on.
    Keep(Vec<Rule>),
}

/// A question that waits.
#[derive(Debug)]
struct Waiting {
    question: Question,
    advice: Advice,
    until: Duration,
}

/// What one prompt is about.
type Key = (u32, Want, Bytes);

/// A prompt that waits: the first of its questions is shown, the others want to do the same to other
/// things of the directory.
#[derive(Debug)]
struct Group {
    key: Key,
    first: Waiting,
    others: Vec<Waiting>,
}

/// Refusals of a process.
#[derive(Debug, Default)]
struct Strikes {
    when: Vec<Duration>,
    paused: Option<Duration>,
}

/// All questions of a run.
#[derive(Debug)]
pub struct Table {
    bounds: Bounds,
    rules: Rules,
    groups: Vec<Group>,
    strikes: BTreeMap<u32, Strikes>,
    gone: bool,
}

impl Table {
    /// An empty one, with what was decided in earlier runs.
    #[must_use]
    pub fn new(bounds: Bounds, rules: Rules) -> Self {
        Self { bounds, rules, groups: Vec::new(), strikes: BTreeMap::new(), gone: false }
    }

    /// What holds.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// How many questions wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.groups.iter().map(|group| 1 + group.others.len()).sum()
    }

    /// When [`Self::tick`] has something to do.
    #[must_use]
    pub fn next(&self) -> Option<Duration> {
        self.groups.iter().flat_map(Group::all).map(|waiting| waiting.until).min()
    }

    /// Takes a question: there is a reply among the effects, or it waits.
    pub fn ask(&mut self, now: Duration, question: Question, advice: Advice) -> Vec<Effect> {
        let refuse = |why| vec![Effect::Reply(refusal(question.id, why))];
        let length = question.object.0.len();
        let known = |waiting: &Waiting| waiting.question.id == question.id;
        if self.gone {
            return refuse(Why::Gone);
        }
        if length == 0
            || length > LONGEST_OBJECT
            || self.groups.iter().flat_map(Group::all).any(known)
        {
            return refuse(Why::Unfit);
        }
        if advice.never {
            return refuse(Why::Never);
        }
        let want = Want::of(question.action);
        if let Some(allow) = self.rules.decide(want, &question.object) {
            return vec![Effect::Reply(Reply { allow, ..refusal(question.id, Why::Remembered) })];
        }
        if self.paused(now, question.pid) {
            return refuse(Why::Storm);
        }
        if self.waiting() >= self.bounds.questions {
            return refuse(Why::TooMany);
        }
        let until = now.saturating_add(self.bounds.deadline);
        let key = key(&question);
        let waiting = Waiting { question: bounded(question.clone()), advice, until };
        if let Some(group) = self.groups.iter_mut().find(|group| group.key == key) {
            group.others.push(waiting);
            return Vec::new();
        }
        if self.groups.len() >= self.bounds.prompts {
            return refuse(Why::TooMany);
        }
        let show = Effect::Show(waiting.prompt());
        self.groups.push(Group { key, first: waiting, others: Vec::new() });
        vec![show]
    }

    /// Takes an answer.
    ///
    /// # Errors
    /// It fits no question that waits; nothing has changed.
    pub fn answer(&mut self, now: Duration, answer: &Answer) -> Result<Vec<Effect>, Wrong> {
        let at = self.groups.iter().position(|group| group.first.question.id == answer.id);
        let at = at.ok_or(Wrong::Unknown)?;
        let first = &self.groups.get(at).ok_or(Wrong::Unknown)?.first;
        if answer.directory && first.directory().is_none() {
            return Err(Wrong::NoDirectory);
        }
        let made = made_by(&first.question, answer).ok_or(Wrong::NoDirectory)?;
        let group = self.groups.remove(at);
        let asked = &group.first.question;
        let said = Rules::new(made.clone());
        let allow = said.decide(Want::of(asked.action), &asked.object) == Some(true);
        let lasts = answer.term != Term::Once;
        let reply = Reply {
            id: answer.id,
            allow,
            read_only: answer.allow && !allow,
            rules: if lasts { made.clone() } else { Vec::new() },
            why: Why::Answered(answer.term),
        };
        let mut effects = vec![Effect::Reply(reply)];
        if answer.term == Term::Always {
            effects.push(Effect::Keep(made.clone()));
        }
        let pid = asked.pid;
        // What waits with it is answered, too, where the answer is about it.
        let (covered, rest): (Vec<_>, Vec<_>) = group
            .others
            .into_iter()
            .map(|waiting| (said.about(&waiting), waiting))
            .partition(|(said, _)| said.is_some());
        effects.extend(
            covered
                .into_iter()
                .map(|(allow, waiting)| (waiting.question.id, allow == Some(true)))
                .map(|(id, allow)| match lasts {
                    true => remembered(id, allow),
                    false => {
                        Effect::Reply(Reply { allow, ..refusal(id, Why::Answered(Term::Once)) })
                    }
                }),
        );
        self.regroup(rest.into_iter().map(|(_, waiting)| waiting).collect(), &mut effects);
        if lasts {
            made.into_iter().for_each(|rule| self.rules.add(rule));
            self.sweep(&mut effects);
        }
        if answer.allow {
            self.strikes.remove(&pid);
        } else {
            self.strike(now, pid, &mut effects);
        }
        Ok(effects)
    }

    /// What was decided elsewhere from now on: a grant while it runs.
    pub fn learn(&mut self, rule: Rule) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.rules.add(rule);
        self.sweep(&mut effects);
        effects
    }

    /// Gives questions up, such as those of a process that has ended.
    pub fn withdraw(&mut self, which: impl Fn(&Question) -> bool) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.remove(&mut effects, |waiting| {
            which(&waiting.question).then(|| refusal(waiting.question.id, Why::Withdrawn))
        });
        effects
    }

    /// Refuses what nobody has answered in time.
    pub fn tick(&mut self, now: Duration) -> Vec<Effect> {
        let mut effects = Vec::new();
        let mut late = Vec::new();
        self.remove(&mut effects, |waiting| {
            (waiting.until <= now).then(|| {
                late.push(waiting.question.pid);
                refusal(waiting.question.id, Why::Late)
            })
        });
        for pid in late {
            self.strike(now, pid, &mut effects);
        }
        effects
    }

    /// Nobody answers any more: everything is refused from now on, whatever was decided before.
    pub fn close(&mut self) -> Vec<Effect> {
        self.gone = true;
        let groups = std::mem::take(&mut self.groups);
        let all =
            groups.into_iter().flat_map(|group| std::iter::once(group.first).chain(group.others));
        all.map(|waiting| Effect::Reply(refusal(waiting.question.id, Why::Gone))).collect()
    }

    /// Whether everything is refused.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.gone
    }

    /// Answers what a rule is about now.
    fn sweep(&mut self, effects: &mut Vec<Effect>) {
        let rules = std::mem::take(&mut self.rules);
        self.remove(effects, |waiting| {
            let allow = rules.about(waiting)?;
            Some(Reply { allow, ..refusal(waiting.question.id, Why::Remembered) })
        });
        self.rules = rules;
    }

    /// Takes questions off the table that `decide` has a reply to.
    fn remove(
        &mut self,
        effects: &mut Vec<Effect>,
        mut decide: impl FnMut(&Waiting) -> Option<Reply>,
    ) {
        for group in std::mem::take(&mut self.groups) {
            let Group { key, first, others } = group;
            let mut rest = Vec::new();
            let shown = decide(&first);
            for waiting in others {
                match decide(&waiting) {
                    Some(reply) => effects.push(Effect::Reply(reply)),
                    None => rest.push(waiting),
                }
            }
            match shown {
                None => self.groups.push(Group { key, first, others: rest }),
                Some(reply) => {
                    effects.push(Effect::Withdraw(first.question.id));
                    effects.push(Effect::Reply(reply));
                    self.regroup(rest, effects);
                }
            }
        }
    }

    /// Makes a prompt of questions that have lost theirs. All have the same key.
    fn regroup(&mut self, questions: Vec<Waiting>, effects: &mut Vec<Effect>) {
        let mut questions = questions.into_iter();
        let Some(first) = questions.next() else { return };
        effects.push(Effect::Show(first.prompt()));
        self.groups.push(Group { key: key(&first.question), first, others: questions.collect() });
    }

    fn paused(&mut self, now: Duration, pid: u32) -> bool {
        self.strikes.get(&pid).and_then(|strikes| strikes.paused).is_some_and(|until| now < until)
    }

    /// Counts a refusal; one too many refuses all that the process waits for.
    fn strike(&mut self, now: Duration, pid: u32, effects: &mut Vec<Effect>) {
        let Bounds { burst, window, pause, .. } = self.bounds;
        // Entries come by answers and deadlines only: those that count still are few.
        self.strikes.retain(|_, strikes| {
            strikes.when.retain(|when| now.saturating_sub(*when) < window);
            !strikes.when.is_empty() || strikes.paused.is_some_and(|until| now < until)
        });
        let strikes = self.strikes.entry(pid).or_default();
        strikes.when.push(now);
        if strikes.when.len() < burst {
            return;
        }
        strikes.when.clear();
        strikes.paused = Some(now.saturating_add(pause));
        self.remove(effects, |waiting| {
            (waiting.question.pid == pid).then(|| refusal(waiting.question.id, Why::Storm))
        });
    }
}

impl Rules {
    fn about(&self, waiting: &Waiting) -> Option<bool> {
        self.decide(Want::of(waiting.question.action), &waiting.question.object)
    }
}

impl Group {
    fn all(&self) -> impl Iterator<Item = &Waiting> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

impl Waiting {
    fn directory(&self) -> Option<Bytes> {
        directory_of(&self.question).filter(|_| self.advice.directory)
    }

    fn prompt(&self) -> Prompt {
        Prompt {
            question: self.question.clone(),
            directory: self.directory(),
            danger: self.advice.danger.clone(),
            until: self.until,
        }
    }
}

fn key(question: &Question) -> Key {
    let place = directory_of(question).unwrap_or_else(|| question.object.clone());
    (question.pid, Want::of(question.action), place)
}

fn refusal(id: u64, why: Why) -> Reply {
    Reply { id, allow: false, read_only: false, rules: Vec::new(), why }
}

fn remembered(id: u64, allow: bool) -> Effect {
    Effect::Reply(Reply { allow, ..refusal(id, Why::Remembered) })
}

/// A question with no more of the command line than is shown.
fn bounded(mut question: Question) -> Question {
    let mut room = LONGEST_COMMAND;
    let mut fits = 0;
    for word in question.command.iter().take(MOST_WORDS) {
        let Some(rest) = room.checked_sub(word.0.len() + 1) else { break };
        (room, fits) = (rest, fits + 1);
    }
    if fits < question.command.len() {
        // The beginning of a word that is too long.
        let next = question.command.get(fits).filter(|_| fits < MOST_WORDS);
        let cut = next.and_then(|word| word.0.get(..room.min(word.0.len()))).unwrap_or_default();
        let cut = Bytes(cut.to_vec());
        question.command.truncate(fits);
        question.command.extend((!cut.0.is_empty()).then_some(cut));
        question.command.push("...".into());
    }
    question
}

//! What is asked, joined, remembered and refused, on a clock of the test's own.

use proptest::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;
use swathe_record::ask::table::{Advice, Effect, Table};
use swathe_record::ask::{Bounds, Rule, Rules, Want, Why, Wrong};
use swathe_record::bytes::Bytes;
use swathe_record::event::Action;
use swathe_record::question::{Answer, Question, Term};

const START: Duration = Duration::from_secs(1000);

fn at(seconds: u64) -> Duration {
    START + Duration::from_secs(seconds)
}

fn question(id: u64, pid: u32, action: Action, object: &str) -> Question {
    let command = vec!["cat".into(), object.into()];
    Question { id, pid, command, action, object: object.into(), directory: false }
}

fn read(id: u64, pid: u32, object: &str) -> Question {
    question(id, pid, Action::Read, object)
}

fn answer(id: u64, allow: bool, term: Term) -> Answer {
    Answer { id, allow, term, directory: false, read_only: false }
}

fn table() -> Table {
    Table::new(Bounds::default(), Rules::default())
}

fn ask(table: &mut Table, now: Duration, question: Question) -> Vec<String> {
    words(table.ask(now, question, Advice { directory: true, ..Advice::default() }))
}

fn answers(table: &mut Table, now: Duration, answer: Answer) -> Vec<String> {
    words(table.answer(now, &answer).expect("fits"))
}

/// Effects as short words, in order.
fn words(effects: Vec<Effect>) -> Vec<String> {
    let word = |effect| match effect {
        Effect::Show(prompt) => format!("show {}", prompt.question.id),
        Effect::Withdraw(id) => format!("withdraw {id}"),
        Effect::Reply(reply) => {
            let said = match (reply.allow, reply.read_only) {
                (true, false) => "yes",
                (false, false) => "no",
                (false, true) => "read",
                (true, true) => "BOTH",
            };
            let why = match reply.why {
                Why::Answered(_) => String::new(),
                why => format!(" {why:?}"),
            };
            format!("{said} {}{why}", reply.id)
        }
        Effect::Keep(rules) => {
            let rules: Vec<String> = rules.iter().map(shown).collect();
            format!("keep {}", rules.join(", "))
        }
    };
    effects.into_iter().map(word).collect()
}

fn shown(rule: &Rule) -> String {
    let sign = if rule.allow { '+' } else { '-' };
    let below = if rule.directory { "/*" } else { "" };
    format!("{sign}{:?} {}{below}", rule.want, rule.object)
}

/// An answer for once is for once.
#[test]
fn once() {
    let mut table = table();
    assert_eq!(ask(&mut table, at(0), read(1, 7, "/h/a")), ["show 1"]);
    assert_eq!(answers(&mut table, at(1), answer(1, true, Term::Once)), ["yes 1"]);
    assert_eq!(ask(&mut table, at(2), read(2, 7, "/h/a")), ["show 2"]);
    assert_eq!(answers(&mut table, at(3), answer(2, false, Term::Once)), ["no 2"]);
    assert_eq!(ask(&mut table, at(4), read(3, 7, "/h/a")), ["show 3"]);
    assert_eq!(table.answer(at(5), &answer(1, true, Term::Run)), Err(Wrong::Unknown));
    assert_eq!(table.waiting(), 1);
}

/// What holds for the run is not asked again, by whichever process: yes and no, the object or all in
/// its directory.
#[test]
fn remembered() {
    let mut table = table();
    ask(&mut table, at(0), read(1, 7, "/h/a"));
    assert_eq!(answers(&mut table, at(1), answer(1, true, Term::Run)), ["yes 1"]);
    assert_eq!(ask(&mut table, at(2), read(2, 8, "/h/a")), ["yes 2 Remembered"]);
    assert_eq!(ask(&mut table, at(2), question(3, 8, Action::Write, "/h/a")), ["show 3"]);
    assert_eq!(answers(&mut table, at(3), answer(3, false, Term::Run)), ["no 3"]);
    assert_eq!(ask(&mut table, at(4), question(4, 9, Action::Create, "/h/a")), ["no 4 Remembered"]);
    assert_eq!(ask(&mut table, at(4), read(5, 9, "/h/a")), ["yes 5 Remembered"]);
    assert_eq!(ask(&mut table, at(4), read(6, 9, "/h/d/x")), ["show 6"]);
    let wide = Answer { directory: true, ..answer(6, true, Term::Run) };
    assert_eq!(answers(&mut table, at(5), wide), ["yes 6"]);
    assert_eq!(ask(&mut table, at(6), read(7, 9, "/h/d/e/y")), ["yes 7 Remembered"]);
    assert_eq!(ask(&mut table, at(6), read(8, 9, "/h/dd")), ["show 8"]);
}

/// Only answers for always are written down.
#[test]
fn kept() {
    let mut table = table();
    ask(&mut table, at(0), question(1, 7, Action::Truncate, "/h/a"));
    let narrow = Answer { directory: true, read_only: true, ..answer(1, true, Term::Always) };
    assert_eq!(
        answers(&mut table, at(1), narrow),
        ["read 1", "keep +Read /h/*, -Write /h/*"],
        "more was asked for than reading"
    );
    assert_eq!(ask(&mut table, at(2), read(2, 7, "/h/b")), ["yes 2 Remembered"]);
    let write = question(3, 7, Action::Write, "/h/b");
    assert_eq!(ask(&mut table, at(2), write), ["no 3 Remembered"]);
    ask(&mut table, at(3), question(4, 7, Action::Connect, "unix:/run/x"));
    let never = answers(&mut table, at(4), answer(4, false, Term::Always));
    assert_eq!(never, ["no 4", "keep -Connect unix:/run/x"]);
    let next = Table::new(Bounds::default(), table.rules().clone());
    let mut next = next;
    let again = question(1, 1, Action::Connect, "unix:/run/x");
    assert_eq!(ask(&mut next, at(9), again), ["no 1 Remembered"]);
}

/// One process that wants to do the same in one directory is asked about once; what the answer does
/// not cover is asked next.
#[test]
fn grouped() {
    let mut table = table();
    assert_eq!(ask(&mut table, at(0), read(1, 7, "/h/a")), ["show 1"]);
    for (id, name) in [(2, "/h/b"), (3, "/h/a"), (4, "/h/c")] {
        assert_eq!(ask(&mut table, at(0), read(id, 7, name)), [""; 0]);
    }
    assert_eq!(ask(&mut table, at(0), read(5, 8, "/h/a")), ["show 5"], "another process");
    let remove = question(6, 7, Action::Remove, "/h/a");
    assert_eq!(ask(&mut table, at(0), remove), ["show 6"], "another action");
    // The others of the group were never shown: they cannot be answered.
    assert_eq!(table.answer(at(1), &answer(2, true, Term::Run)), Err(Wrong::Unknown));
    let once = answers(&mut table, at(1), answer(1, true, Term::Once));
    assert_eq!(once, ["yes 1", "yes 3", "show 2"]);
    let wide = Answer { directory: true, ..answer(2, true, Term::Run) };
    let said = answers(&mut table, at(2), wide);
    assert_eq!(said, ["yes 2", "yes 4 Remembered", "withdraw 5", "yes 5 Remembered"]);
    assert_eq!(table.waiting(), 1);
}

/// No answer in time is a no; each question has its own time.
#[test]
fn deadlines() {
    let mut table = table();
    ask(&mut table, at(0), read(1, 7, "/h/a"));
    ask(&mut table, at(10), read(2, 7, "/h/b"));
    assert_eq!(table.next(), Some(at(300)));
    assert_eq!(words(table.tick(at(299))), [""; 0]);
    assert_eq!(words(table.tick(at(300))), ["withdraw 1", "no 1 Late", "show 2"]);
    assert_eq!(table.answer(at(300), &answer(1, true, Term::Once)), Err(Wrong::Unknown));
    assert_eq!(words(table.tick(at(310))), ["withdraw 2", "no 2 Late"]);
    assert_eq!(table.next(), None);
}

/// So many prompts wait, and so many questions in all; more are refused at once.
#[test]
fn too_many() {
    let bounds = Bounds { prompts: 2, questions: 4, ..Bounds::default() };
    let mut table = Table::new(bounds, Rules::default());
    assert_eq!(ask(&mut table, at(0), read(1, 1, "/h/a")), ["show 1"]);
    assert_eq!(ask(&mut table, at(0), read(2, 2, "/h/a")), ["show 2"]);
    assert_eq!(ask(&mut table, at(0), read(3, 3, "/h/a")), ["no 3 TooMany"]);
    assert_eq!(ask(&mut table, at(0), read(4, 1, "/h/b")), [""; 0]);
    assert_eq!(ask(&mut table, at(0), read(5, 1, "/h/c")), [""; 0]);
    assert_eq!(ask(&mut table, at(0), read(6, 1, "/h/d")), ["no 6 TooMany"]);
    answers(&mut table, at(1), answer(2, true, Term::Once));
    assert_eq!(ask(&mut table, at(1), read(7, 3, "/h/a")), ["show 7"]);
}

/// A process that was refused too often is refused for a while, and what it waits for, too.
#[test]
fn storms() {
    let mut table = table();
    for id in 0..5 {
        ask(&mut table, at(0), question(id, 7, Action::Read, &format!("/h{id}/a")));
    }
    ask(&mut table, at(0), read(10, 7, "/i/a"));
    ask(&mut table, at(0), read(11, 7, "/i/b"));
    ask(&mut table, at(0), read(12, 8, "/i/b"));
    for id in 0..4 {
        assert_eq!(
            answers(&mut table, at(id), answer(id, false, Term::Once)),
            [format!("no {id}")]
        );
    }
    let said = answers(&mut table, at(5), answer(4, false, Term::Once));
    assert_eq!(said, ["no 4", "no 11 Storm", "withdraw 10", "no 10 Storm"]);
    assert_eq!(ask(&mut table, at(6), read(13, 7, "/j/a")), ["no 13 Storm"]);
    assert_eq!(ask(&mut table, at(6), read(14, 9, "/j/a")), ["show 14"]);
    assert_eq!(ask(&mut table, at(65), read(15, 7, "/j/a")), ["show 15"]);
}

/// A yes forgives, and old refusals do not count.
#[test]
fn no_storm() {
    let mut table = table();
    for id in 0..20 {
        ask(&mut table, at(id * 20), read(id, 7, "/h/a"));
        answers(&mut table, at(id * 20), answer(id, false, Term::Once));
    }
    for id in 100..120 {
        ask(&mut table, at(500), read(id, 7, "/h/a"));
        answers(&mut table, at(500), answer(id, id % 4 == 0, Term::Once));
    }
    assert_eq!(ask(&mut table, at(501), read(1, 7, "/h/a")), ["show 1"]);
}

/// What ended is asked no more, and what waited behind it comes up.
#[test]
fn withdrawn() {
    let mut table = table();
    ask(&mut table, at(0), read(1, 7, "/h/a"));
    ask(&mut table, at(0), read(2, 7, "/h/b"));
    ask(&mut table, at(0), read(3, 8, "/h/b"));
    let said = words(table.withdraw(|question| question.id == 1));
    assert_eq!(said, ["withdraw 1", "no 1 Withdrawn", "show 2"]);
    let said = words(table.withdraw(|question| question.pid == 8));
    assert_eq!(said, ["withdraw 3", "no 3 Withdrawn"]);
    assert_eq!(words(table.withdraw(|question| question.id == 1)), [""; 0]);
}

/// Without an asker everything is refused: what waits, what comes, and what was decided.
#[test]
fn gone() {
    let mut table = table();
    ask(&mut table, at(0), read(1, 7, "/h/a"));
    answers(&mut table, at(0), answer(1, true, Term::Always));
    ask(&mut table, at(1), read(2, 7, "/i/a"));
    ask(&mut table, at(1), read(3, 7, "/i/b"));
    assert_eq!(words(table.close()), ["no 2 Gone", "no 3 Gone"]);
    assert_eq!(ask(&mut table, at(2), read(4, 7, "/h/a")), ["no 4 Gone"]);
    assert_eq!(table.answer(at(2), &answer(2, true, Term::Once)), Err(Wrong::Unknown));
}

/// An answer that does not fit changes nothing.
#[test]
fn misfits() {
    let mut table = table();
    let wide = |id| Answer { directory: true, ..answer(id, true, Term::Run) };
    let offered = Advice::default();
    table.ask(at(0), read(1, 7, "/home/u/.netrc"), offered);
    assert_eq!(table.answer(at(1), &wide(1)), Err(Wrong::NoDirectory), "not offered");
    ask(&mut table, at(0), question(2, 7, Action::Connect, "tcp:1.2.3.4:80"));
    assert_eq!(table.answer(at(1), &wide(2)), Err(Wrong::NoDirectory), "no path");
    ask(&mut table, at(0), read(3, 7, "/etc"));
    assert_eq!(table.answer(at(1), &wide(3)), Err(Wrong::NoDirectory), "the root");
    assert_eq!(table.waiting(), 3);
    assert_eq!(table.rules(), &Rules::default());
    // The same id again is refused, and the one that waits still waits.
    assert_eq!(ask(&mut table, at(2), read(3, 8, "/usr/x")), ["no 3 Unfit"]);
    assert_eq!(ask(&mut table, at(2), read(4, 8, "")), ["no 4 Unfit"]);
    let never = Advice { never: true, ..Advice::default() };
    assert_eq!(words(table.ask(at(2), read(4, 8, "/x"), never)), ["no 4 Never"]);
    let long = "/a".repeat(3000);
    assert_eq!(ask(&mut table, at(2), read(5, 8, &long)), ["no 5 Unfit"]);
    assert_eq!(answers(&mut table, at(3), answer(3, true, Term::Once)), ["yes 3"]);
}

/// A grant from elsewhere answers what waits.
#[test]
fn learned() {
    let mut table = table();
    ask(&mut table, at(0), read(1, 7, "/h/a"));
    ask(&mut table, at(0), read(2, 7, "/h/b"));
    let rule = Rule { want: Want::Write, object: "/h/a".into(), directory: false, allow: true };
    let said = words(table.learn(rule));
    assert_eq!(said, ["withdraw 1", "yes 1 Remembered", "show 2"]);
}

/// No more of a command line is shown than has room.
#[test]
fn long_commands() {
    let mut table = table();
    let shown = |table: &mut Table, id, command: Vec<Bytes>| {
        let question = Question { command, ..read(id, u32::try_from(id).unwrap_or(0), "/h/a") };
        match table.ask(at(0), question, Advice::default()).into_iter().next() {
            Some(Effect::Show(prompt)) => prompt.question.command,
            other => panic!("{other:?}"),
        }
    };
    let many = shown(&mut table, 1, vec!["x".into(); 1000]);
    assert_eq!((many.len(), many.last()), (65, Some(&"...".into())));
    let long = shown(&mut table, 2, vec!["sh".into(), Bytes(vec![b'y'; 1 << 20]), "z".into()]);
    assert_eq!(long.iter().map(|word| word.0.len()).collect::<Vec<_>>(), [2, 2045, 3]);
    let fine = shown(&mut table, 3, vec!["sh".into(), "".into()]);
    assert_eq!(fine, ["sh".into(), "".into()]);
}

/// What may happen to a table.
#[derive(Debug, Clone)]
enum Step {
    Ask { pid: u32, action: Action, object: usize, offered: bool },
    Answer { which: usize, answer: Answer },
    Withdraw { pid: u32 },
    Wait { seconds: u64 },
}

const OBJECTS: [&str; 6] = ["/h/a", "/h/b", "/h/d/a", "/h", "unix:/h/a", "/h/../a"];
const ACTIONS: [Action; 5] =
    [Action::Read, Action::Write, Action::Remove, Action::Execute, Action::Connect];

fn step() -> impl Strategy<Value = Step> {
    let term = prop_oneof![Just(Term::Once), Just(Term::Run), Just(Term::Always)];
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    prop_oneof![
        4 => (0..3u32, 0..ACTIONS.len(), 0..OBJECTS.len(), any::<bool>()).prop_map(
            |(pid, action, object, offered)| {
                Step::Ask { pid, action: ACTIONS[action], object, offered }
            }
        ),
        3 => (0..40usize, term, flags).prop_map(|(which, term, (allow, directory, read_only))| {
            Step::Answer { which, answer: Answer { id: 0, allow, term, directory, read_only } }
        }),
        1 => (0..3u32).prop_map(|pid| Step::Withdraw { pid }),
        1 => (0..200u64).prop_map(|seconds| Step::Wait { seconds }),
    ]
}

/// What an observer knows: what was asked, what is shown, and which answers were yes.
#[derive(Default)]
struct Model {
    asked: BTreeMap<u64, Question>,
    shown: BTreeMap<u64, bool>,
    replies: BTreeMap<u64, bool>,
    /// (pid for once, what, object, whether below it)
    yes: Vec<(Want, Bytes, bool)>,
}

impl Model {
    fn see(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Show(prompt) => {
                    let old = self.shown.insert(prompt.question.id, prompt.directory.is_some());
                    assert_eq!(old, None, "shown twice");
                }
                Effect::Withdraw(id) => assert!(self.shown.remove(&id).is_some(), "not shown"),
                Effect::Keep(_) => {}
                Effect::Reply(reply) => {
                    let question = &self.asked[&reply.id];
                    assert!(!reply.allow || self.justified(question), "{question:?}");
                    assert!(self.replies.insert(reply.id, reply.allow).is_none(), "twice");
                }
            }
        }
    }

    /// Whether any answer so far could be meant to allow this.
    fn justified(&self, question: &Question) -> bool {
        let want = Want::of(question.action);
        self.yes.iter().any(|(allowed, object, below)| {
            let inside = question.object.0.starts_with(&[&object.0[..], b"/"].concat())
                && !question.object.to_string().contains("..");
            allowed.includes(want) && (*object == question.object || *below && inside)
        })
    }
}

proptest! {
    /// Whatever happens, each question has one reply in the end, no yes comes without an answer that
    /// could be meant for it, and only what is shown can be answered.
    #[test]
    fn any_order(steps in prop::collection::vec(step(), 0..80)) {
        let bounds = Bounds { prompts: 4, questions: 8, ..Bounds::default() };
        let mut table = Table::new(bounds, Rules::default());
        let (mut model, mut now) = (Model::default(), START);
        for (id, step) in (0..).zip(steps) {
            match step {
                Step::Ask { pid, action, object, offered } => {
                    let question = question(id, pid, action, OBJECTS[object]);
                    model.asked.insert(id, question.clone());
                    let advice = Advice { directory: offered, ..Advice::default() };
                    model.see(table.ask(now, question, advice));
                }
                Step::Answer { which, answer } => {
                    let ids: Vec<u64> = model.asked.keys().copied().collect();
                    let Some(&id) = ids.get(which % ids.len().max(1)) else { continue };
                    let answer = Answer { id, ..answer };
                    let shown = model.shown.get(&id).copied();
                    if let Ok(effects) = table.answer(now, &answer) {
                        let wide = shown.expect("an answer to what is not shown");
                        prop_assert!(wide || !answer.directory);
                        let question = &model.asked[&id];
                        let own = Want::of(question.action);
                        let narrow = answer.read_only && own.is_of_files();
                        let want = if narrow { Want::Read } else { own };
                        let parent = match question.object.as_path().parent() {
                            Some(parent) if answer.directory => parent.into(),
                            _ => question.object.clone(),
                        };
                        model.yes.extend(answer.allow.then_some((want, parent, answer.directory)));
                        model.shown.remove(&id);
                        model.see(effects);
                    } else {
                        prop_assert!(shown.is_none() || answer.directory);
                    }
                }
                Step::Withdraw { pid } => model.see(table.withdraw(|question| question.pid == pid)),
                Step::Wait { seconds } => {
                    now += Duration::from_secs(seconds);
                    model.see(table.tick(now));
                }
            }
            prop_assert!(table.waiting() <= 8);
            prop_assert_eq!(table.waiting() + model.replies.len(), model.asked.len());
        }
        model.see(table.close());
        prop_assert_eq!(model.replies.len(), model.asked.len());
    }
}

//! Walks through changes on the terminal: what of them is to be committed.
//!
//! Line by line, with nothing but plain text: it works on every terminal, and nothing that a program
//! wrote into a name or file is obeyed by it. What was typed before a question is no answer.

use super::diff::{self, Paint};
use super::{Target, commit, listed, marks, path_of, stat, text};
use crate::out::Failure;
use crate::prompt::Terminal;
use std::collections::BTreeMap;
use swathe_workspace::diff::{DiffOptions, Hunk};
use swathe_workspace::{Change, ChangeKind, Changeset, Conflict, FileKind, Take, Workspace};

/// The most lines of one difference that are shown without being asked for.
const MOST_LINES: usize = 60;

const HELP: &str = "\
y  commit this\r\n\
n  leave it in the workspace\r\n\
a  commit this and all that follow of this file\r\n\
d  leave this and all that follow of this file\r\n\
A  commit this and all that follow, but what is marked with !\r\n\
m  where the host changed it, too: commit both versions, merged\r\n\
o  where the host changed it, too: commit this over the host's version, which is saved\r\n\
v  show all of it\r\n\
l  list all changes and what was chosen\r\n\
b  back to the one before\r\n\
c  commit what was chosen so far\r\n\
q  stop: commit nothing\r\n";

/// What was chosen.
#[derive(Debug, Default)]
pub struct Choice {
    /// The changes, by index.
    pub taken: BTreeMap<usize, Take>,
}

/// One question.
struct Item {
    index: usize,
    /// Of a file of which parts can be chosen.
    hunk: Option<usize>,
}

/// How a question was answered.
enum Answer {
    Yes,
    No,
    AllOfFile,
    NoneOfFile,
    AllHarmless,
    Merge,
    Over,
    Back,
    Commit,
    Quit,
}

struct Walk<'w> {
    workspace: &'w Workspace,
    set: &'w Changeset,
    terminal: Terminal,
    items: Vec<Item>,
    hunks: BTreeMap<usize, Vec<Hunk>>,
    /// By the place in `items`.
    answers: BTreeMap<usize, bool>,
    /// Whole files, by index: merged, or over the host's version.
    special: BTreeMap<usize, Take>,
}

/// Asks about each of the chosen changes. Nothing where the person gives up.
///
/// # Errors
/// There is no terminal, or a change cannot be read.
pub fn choose(
    target: &Target,
    workspace: &Workspace,
    set: &Changeset,
    chosen: &[usize],
) -> Result<Option<Choice>, Failure> {
    let terminal = Terminal::open().map_err(|_| {
        Failure::new("--interactive needs a terminal to ask on")
            .hint(format!("swathe commit {} PATH... commits by path", target.name))
    })?;
    let mut walk = Walk {
        workspace,
        set,
        terminal,
        items: Vec::new(),
        hunks: BTreeMap::new(),
        answers: BTreeMap::new(),
        special: BTreeMap::new(),
    };
    for index in listed(set, chosen) {
        walk.add(index);
    }
    let gone = |e: std::io::Error| Failure::new(format!("cannot ask on the terminal: {e}"));
    Ok(if walk.run().map_err(gone)? { Some(walk.choice(chosen)) } else { None })
}

impl<'w> Walk<'w> {
    fn add(&mut self, index: usize) {
        let Some(change) = self.set.changes.get(index) else { return };
        let file = change.new.is_some_and(|new| new.kind == FileKind::File);
        let parts = change.kind == ChangeKind::Modified && change.parts.content && file;
        let hunks = match change.conflict {
            None if parts => self.workspace.hunks(change).unwrap_or_default(),
            _ => Vec::new(),
        };
        if hunks.len() < 2 {
            self.items.push(Item { index, hunk: None });
            return;
        }
        self.items.extend((0..hunks.len()).map(|hunk| Item { index, hunk: Some(hunk) }));
        self.hunks.insert(index, hunks);
    }

    /// Asks one question after the other; false when the person gives up.
    fn run(&mut self) -> std::io::Result<bool> {
        let mut at = 0;
        while at < self.items.len() {
            let Some(answer) = self.question(at)? else { return Ok(false) };
            match answer {
                Answer::Yes => self.note(at, true),
                Answer::No => self.note(at, false),
                Answer::AllOfFile | Answer::NoneOfFile => {
                    let yes = matches!(answer, Answer::AllOfFile);
                    let end = self.end_of_file(at);
                    (at..end).for_each(|at| self.note(at, yes));
                    at = end;
                    continue;
                }
                Answer::AllHarmless => {
                    for at in at..self.items.len() {
                        let yes = self
                            .change(at)
                            .is_some_and(|c| c.is_clean() && !marks::is_dangerous(c));
                        self.note(at, yes);
                    }
                    break;
                }
                Answer::Merge | Answer::Over => self.decide(at, &answer)?,
                Answer::Back => {
                    at = self.before(at);
                    continue;
                }
                Answer::Commit => break,
                Answer::Quit => return Ok(false),
            }
            at += 1;
        }
        Ok(true)
    }

    /// Notes an answer. What was said before of the same question does not hold any more.
    fn note(&mut self, at: usize, yes: bool) {
        if let Some(item) = self.items.get(at) {
            self.special.remove(&item.index);
        }
        self.answers.insert(at, yes);
    }

    /// The question before one: what nobody is asked about is passed over.
    fn before(&self, at: usize) -> usize {
        let is_asked = |at: &usize| self.change(*at).is_some_and(|change| no_use(change).is_none());
        (0..at).rev().find(is_asked).unwrap_or(at)
    }

    fn change(&self, at: usize) -> Option<&'w Change> {
        self.set.changes.get(self.items.get(at)?.index)
    }

    fn end_of_file(&self, at: usize) -> usize {
        let index = self.items.get(at).map(|item| item.index);
        let rest = self.items.iter().skip(at);
        at + rest.take_while(|item| Some(item.index) == index).count()
    }

    /// A file that the host changed, too.
    fn decide(&mut self, at: usize, answer: &Answer) -> std::io::Result<()> {
        let Some(change) = self.change(at) else { return Ok(()) };
        let index = self.items.get(at).map_or(0, |item| item.index);
        let take = match answer {
            Answer::Merge => match commit::merged(self.workspace, change) {
                Some(merge) => Take::Content(merge.content),
                None => {
                    self.terminal.show(
                        b"Both changed the same place or its mode: it cannot be merged.\r\n",
                    )?;
                    self.note(at, false);
                    return Ok(());
                }
            },
            _ => Take::Whole,
        };
        self.note(at, true);
        self.special.insert(index, take);
        Ok(())
    }

    /// Asks one question until it is answered.
    fn question(&mut self, at: usize) -> std::io::Result<Option<Answer>> {
        let Some(change) = self.change(at) else { return Ok(Some(Answer::No)) };
        let shown = self.shown(at, change);
        let lines = shown.split_inclusive(|byte| *byte == b'\n').count();
        let head: Vec<u8> = shown
            .split_inclusive(|byte| *byte == b'\n')
            .take(MOST_LINES)
            .flatten()
            .copied()
            .collect();
        self.terminal.show(&raw(&head))?;
        if lines > MOST_LINES {
            self.terminal
                .show(format!("({} more lines: v shows all)\r\n", lines - MOST_LINES).as_bytes())?;
        }
        if let Some(why) = no_use(change) {
            self.terminal.show(format!("{why}\r\n").as_bytes())?;
            return Ok(Some(Answer::No));
        }
        let keys =
            if change.conflict.is_some() { "n,m,o,v,l,b,c,q,?" } else { "y,n,a,d,A,v,l,b,c,q,?" };
        let place = format!("({}/{}) commit this [{keys}]? ", at + 1, self.items.len());
        loop {
            let Some(typed) = self.terminal.ask(&place)? else { return Ok(None) };
            match typed.as_str() {
                "y" if change.conflict.is_some() => {
                    self.terminal
                        .show(b"The host changed it, too: m merges, o commits this over it.\r\n")?;
                }
                "y" => return Ok(Some(Answer::Yes)),
                "n" => return Ok(Some(Answer::No)),
                "a" if change.conflict.is_none() => return Ok(Some(Answer::AllOfFile)),
                "d" => return Ok(Some(Answer::NoneOfFile)),
                "A" => return Ok(Some(Answer::AllHarmless)),
                "m" if change.conflict.is_some() => return Ok(Some(Answer::Merge)),
                "o" if change.conflict.is_some() => return Ok(Some(Answer::Over)),
                "b" => return Ok(Some(Answer::Back)),
                "c" => return Ok(Some(Answer::Commit)),
                "q" => return Ok(Some(Answer::Quit)),
                "v" => self.terminal.show(&raw(&shown))?,
                "l" => self.list()?,
                _ => self.terminal.show(HELP.as_bytes())?,
            }
        }
    }

    /// What a question is about.
    fn shown(&self, at: usize, change: &Change) -> Vec<u8> {
        let paint = Paint::new(true);
        let mut out = Vec::new();
        let hunk = self.items.get(at).and_then(|item| {
            let hunk = item.hunk?;
            Some((hunk, self.hunks.get(&item.index)?.get(hunk)?))
        });
        let options = DiffOptions { visible: true, ..DiffOptions::default() };
        out.push(b'\n');
        if let Some(conflict) = change.conflict {
            let why = format!("conflict: {}\n", marks::conflict(conflict));
            out.extend(paint.bad(&why).into_bytes());
        }
        match hunk {
            Some((number, hunk)) => {
                if number == 0 && !change.marks.is_empty() {
                    out.extend(paint.bad(&format!("! {}\n", marks::line(change))).into_bytes());
                }
                let also = change.parts.mode || change.parts.owner || change.parts.xattrs;
                if let (0, true, Some(what)) = (number, also, stat::what(change)) {
                    let note = format!("# {what}: this goes with all parts of the file only\n");
                    paint.line(note.as_bytes(), false, &mut out);
                }
                let name = text::name(&path_of(self.workspace, change));
                paint.line(format!("{name}\n").as_bytes(), false, &mut out);
                let mut plain = Vec::new();
                // It cannot fail: it is memory.
                let _ = hunk.write(true, &mut plain);
                for line in plain.split_inclusive(|byte| *byte == b'\n') {
                    paint.line(line, true, &mut out);
                }
            }
            None => match diff::one(self.workspace, change, None, &options, &paint) {
                Ok(text) => out.extend(text),
                Err(failure) => out.extend(format!("{}\n", failure.message).into_bytes()),
            },
        }
        out
    }

    /// All changes, and what was chosen of them.
    fn list(&mut self) -> std::io::Result<()> {
        let mut text = String::new();
        let mut at = 0;
        while at < self.items.len() {
            let end = self.end_of_file(at);
            let Some(change) = self.change(at) else { break };
            let asked = end - at;
            let yes = (at..end).filter(|at| self.answers.get(at) == Some(&true)).count();
            let open = (at..end).filter(|at| !self.answers.contains_key(at)).count();
            let state = match (yes, open) {
                (_, open) if open == asked => "?".to_owned(),
                (0, _) => "n".to_owned(),
                (yes, _) if yes == asked => "y".to_owned(),
                (yes, _) => format!("{yes}/{asked}"),
            };
            let mark = if marks::is_dangerous(change) { '!' } else { ' ' };
            let name = text::name(&path_of(self.workspace, change));
            text.push_str(&format!("{state:>5} {mark} {} {name}\r\n", stat::letter(change)));
            at = end;
        }
        self.terminal.show(text.as_bytes())
    }

    fn choice(self, chosen: &[usize]) -> Choice {
        let mut choice = Choice { taken: self.special.clone() };
        let mut at = 0;
        while at < self.items.len() {
            let end = self.end_of_file(at);
            let Some(item) = self.items.get(at) else { break };
            let yes: Vec<usize> =
                (at..end).filter(|at| self.answers.get(at) == Some(&true)).collect();
            if !yes.is_empty() && !choice.taken.contains_key(&item.index) {
                let known = self.hunks.get(&item.index).map(Vec::as_slice).unwrap_or_default();
                let hunk = |at: &usize| known.get(self.items.get(*at)?.hunk?).cloned();
                let whole = yes.len() == end - at;
                let part = || Take::Hunks(yes.iter().filter_map(hunk).collect());
                choice.taken.insert(item.index, if whole { Take::Whole } else { part() });
            }
            at = end;
        }
        // What goes with a directory that was deleted or replaced is not asked about one by one.
        for index in chosen {
            let above = self.set.changes.get(*index).and_then(|change| change.part_of);
            if above.is_some_and(|above| choice.taken.contains_key(&above)) {
                choice.taken.entry(*index).or_insert(Take::Whole);
            }
        }
        choice
    }
}

/// Why nobody is asked about a change: no answer would commit it.
fn no_use(change: &Change) -> Option<&'static str> {
    if change.is_refused() {
        return Some("It is never committed.");
    }
    let mounted = change.conflict == Some(Conflict::Mounted);
    mounted.then_some("It can be committed only when that is unmounted.")
}

/// Line ends of a terminal whose mode another program may have changed.
fn raw(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 16);
    for &byte in text {
        if byte == b'\n' {
            out.push(b'\r');
        }
        out.push(byte);
    }
    out
}

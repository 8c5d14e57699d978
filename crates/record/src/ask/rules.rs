//! Answers that hold for more than one question, as rules.

use crate::bytes::Bytes;
use crate::event::Action;
use crate::question::{Answer, Question};
use serde::{Deserialize, Serialize};

/// What is wanted of an object, as far as answers tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Want {
    /// Look at it and read it.
    Read,
    /// Make it, write to it, change its length or attributes; reading included.
    Write,
    /// Remove, rename or link it.
    Remove,
    /// Run it; reading included.
    Run,
    /// Connect or send to it.
    Connect,
    /// Listen on it.
    Listen,
    /// Make this system call.
    Call,
}

impl Want {
    /// That of an action.
    #[must_use]
    pub fn of(action: Action) -> Self {
        match action {
            Action::Stat | Action::Read => Self::Read,
            Action::Write | Action::Create | Action::Truncate | Action::Metadata => Self::Write,
            Action::Remove | Action::Rename => Self::Remove,
            Action::Execute => Self::Run,
            Action::Connect => Self::Connect,
            Action::Bind => Self::Listen,
            Action::Call | Action::Exceed => Self::Call,
        }
    }

    /// Whether who may do this may do `other`, too.
    #[must_use]
    pub fn includes(self, other: Self) -> bool {
        self == other || (other == Self::Read && matches!(self, Self::Write | Self::Run))
    }

    /// Whether its objects are files, which lie in directories.
    #[must_use]
    pub fn is_of_files(self) -> bool {
        matches!(self, Self::Read | Self::Write | Self::Remove | Self::Run)
    }
}

/// One decision about an object, or about all below a directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Rule {
    /// What it is about.
    pub want: Want,
    /// A path, or an address as in [`crate::event::Event::object`].
    pub object: Bytes,
    /// Whether it holds for all below `object`, too.
    pub directory: bool,
    /// Yes or no.
    pub allow: bool,
}

impl Rule {
    /// Whether it decides about this.
    #[must_use]
    pub fn covers(&self, want: Want, object: &Bytes) -> bool {
        // Who may do more may do less; who may not do less may not do more.
        let fits = if self.allow { self.want.includes(want) } else { want.includes(self.want) };
        fits && (self.object == *object
            || self.directory && want.is_of_files() && is_below(&object.0, &self.object.0))
    }
}

/// Whether a path names something below a directory. No name that leads elsewhere is below anything.
fn is_below(path: &[u8], directory: &[u8]) -> bool {
    is_plain(path)
        && is_plain(directory)
        && path.strip_prefix(directory).is_some_and(|rest| rest.starts_with(b"/"))
}

/// Whether a path is absolute, without `.`, `..`, empty names and NUL, and not `/`.
#[must_use]
pub fn is_plain(path: &[u8]) -> bool {
    let Some(names) = path.strip_prefix(b"/") else { return false };
    !path.contains(&0)
        && names.split(|b| *b == b'/').all(|name| !matches!(name, b"" | b"." | b".."))
}

/// The directory that an answer about a question's directory is about; `None` where it has none that
/// could be given as a whole.
#[must_use]
pub fn directory_of(question: &Question) -> Option<Bytes> {
    let path = &question.object.0;
    if !Want::of(question.action).is_of_files() || !is_plain(path) {
        return None;
    }
    if question.directory {
        return Some(question.object.clone());
    }
    let slash = path.iter().rposition(|b| *b == b'/')?;
    let parent = path.get(..slash).filter(|parent| is_plain(parent))?;
    Some(Bytes(parent.to_vec()))
}

/// Rules, of which the one about the longest path that covers a question decides, and of two about
/// the same a refusal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules(Vec<Rule>);

impl Rules {
    /// Some.
    #[must_use]
    pub fn new(rules: Vec<Rule>) -> Self {
        Self(rules)
    }

    /// All.
    #[must_use]
    pub fn all(&self) -> &[Rule] {
        &self.0
    }

    /// Adds one. An older one about just the same no longer holds.
    pub fn add(&mut self, rule: Rule) {
        self.0.retain(|old| {
            (old.want, &old.object, old.directory) != (rule.want, &rule.object, rule.directory)
        });
        self.0.push(rule);
    }

    /// What they say.
    #[must_use]
    pub fn decide(&self, want: Want, object: &Bytes) -> Option<bool> {
        let covering = self.0.iter().filter(|rule| rule.covers(want, object));
        // Of a path and the directory of the same name the path is meant more narrowly.
        let narrow = |rule: &Rule| (rule.object.0.len(), !rule.directory, !rule.allow);
        covering.max_by_key(|rule| narrow(rule)).map(|rule| rule.allow)
    }
}

/// The rules that an answer makes, the more permissive first. None where it does not fit the
/// question.
#[must_use]
pub fn made_by(question: &Question, answer: &Answer) -> Option<Vec<Rule>> {
    let want = Want::of(question.action);
    let object = if answer.directory { directory_of(question)? } else { question.object.clone() };
    let directory = answer.directory;
    let rule = |want, allow| Rule { want, object: object.clone(), directory, allow };
    if answer.allow && answer.read_only && want.is_of_files() && want != Want::Read {
        return Some(vec![rule(Want::Read, true), rule(want, false)]);
    }
    Some(vec![rule(want, answer.allow)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::question::Term;

    fn rule(want: Want, object: &str, directory: bool, allow: bool) -> Rule {
        Rule { want, object: object.into(), directory, allow }
    }

    /// The narrowest rule decides, a refusal on a tie, and no rule says nothing.
    #[test]
    fn narrowest() {
        let mut rules = Rules::new(vec![
            rule(Want::Write, "/a", true, true),
            rule(Want::Read, "/a/b", true, false),
            rule(Want::Read, "/a/b/c", false, true),
        ]);
        let said = |rules: &Rules, want, path: &str| rules.decide(want, &path.into());
        assert_eq!(said(&rules, Want::Write, "/a/x"), Some(true));
        assert_eq!(said(&rules, Want::Read, "/a/x"), Some(true));
        assert_eq!(said(&rules, Want::Remove, "/a/x"), None);
        assert_eq!(said(&rules, Want::Read, "/a/b/x"), Some(false));
        assert_eq!(said(&rules, Want::Write, "/a/b/x"), Some(false), "writing includes reading");
        assert_eq!(said(&rules, Want::Read, "/a/b/c"), Some(true));
        assert_eq!(said(&rules, Want::Read, "/a/b/c/d"), Some(false));
        assert_eq!(said(&rules, Want::Read, "/ab"), None);
        rules.add(rule(Want::Run, "/a/b/c", false, false));
        assert_eq!(said(&rules, Want::Read, "/a/b/c"), Some(true));
        assert_eq!(said(&rules, Want::Run, "/a/b/c"), Some(false));
    }

    /// A refusal of less refuses more, and a yes to more allows less, never the other way round.
    #[test]
    fn inclusion() {
        let no = rule(Want::Write, "/f", false, false);
        assert!(no.covers(Want::Write, &"/f".into()) && !no.covers(Want::Read, &"/f".into()));
        let yes = rule(Want::Read, "/f", false, true);
        assert!(yes.covers(Want::Read, &"/f".into()) && !yes.covers(Want::Write, &"/f".into()));
        let socket = rule(Want::Connect, "unix:/f", true, true);
        assert!(!socket.covers(Want::Connect, &"unix:/f/g".into()));
        assert!(!socket.covers(Want::Listen, &"unix:/f".into()));
    }

    /// Names that lead elsewhere are below nothing, and nothing is `/`'s.
    #[test]
    fn crooked_paths() {
        let all = rule(Want::Read, "/a", true, true);
        for path in ["/a/../b", "/a/./b", "/a//b", "/a/", "a/b", "/a/b\0c", "/a/b/.."] {
            assert!(!all.covers(Want::Read, &path.into()), "{path:?}");
        }
        let root = rule(Want::Read, "/", true, true);
        assert!(!root.covers(Want::Read, &"/etc".into()));
        let empty = rule(Want::Read, "", true, true);
        assert!(!empty.covers(Want::Read, &"/etc".into()));
    }

    fn question(action: Action, object: &str, directory: bool) -> Question {
        Question { id: 1, pid: 2, command: Vec::new(), action, object: object.into(), directory }
    }

    #[test]
    fn directories() {
        let of = |action, object: &str, directory| {
            directory_of(&question(action, object, directory)).map(|d| d.to_string())
        };
        assert_eq!(of(Action::Read, "/a/b", false).as_deref(), Some("/a"));
        assert_eq!(of(Action::Read, "/a/b", true).as_deref(), Some("/a/b"));
        assert_eq!(of(Action::Read, "/a", false), None);
        assert_eq!(of(Action::Read, "/", true), None);
        assert_eq!(of(Action::Read, "/a/../b", false), None);
        assert_eq!(of(Action::Connect, "unix:/a/b", false), None);
        assert_eq!(of(Action::Connect, "/a/b", false), None);
    }

    /// Narrowed to reading, a yes to writing is a no to writing.
    #[test]
    fn narrowed() {
        let answer =
            Answer { id: 1, allow: true, term: Term::Run, directory: true, read_only: true };
        let rules = made_by(&question(Action::Write, "/a/b", false), &answer).expect("fits");
        assert_eq!(
            rules,
            [rule(Want::Read, "/a", true, true), rule(Want::Write, "/a", true, false)]
        );
        let rules = Rules::new(rules);
        assert_eq!(rules.decide(Want::Read, &"/a/c".into()), Some(true));
        assert_eq!(rules.decide(Want::Write, &"/a/c".into()), Some(false));
        assert_eq!(made_by(&question(Action::Connect, "unix:@x", false), &answer), None);
    }
}

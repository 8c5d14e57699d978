//! The differences that are meant: a written list, each with its reason, printed by
//! `differ --list-allowed`. Whatever is not here fails a run.

mod errors;
mod list;
mod state;

use crate::compare::Difference;
use crate::report::Outcome;
use crate::vector::{Vector, Word};
pub use list::RULES;
use std::collections::BTreeSet;

/// One allowed difference.
pub struct Rule {
    /// Its short name in reports.
    pub letter: &'static str,
    /// What may differ.
    pub what: &'static str,
    /// Why that is meant.
    pub why: &'static str,
    remove: fn(&mut [Difference], &Case) -> bool,
}

/// What a rule may look at.
pub struct Case<'a> {
    pub(crate) oracle: &'a Outcome,
    pub(crate) ours: &'a Outcome,
    pub(crate) vector: &'a Vector,
}

/// Takes everything allowed out of `differences` and returns the letters of the rules used.
pub fn remove(
    differences: &mut [Difference],
    oracle: &Outcome,
    ours: &Outcome,
    vector: &Vector,
) -> BTreeSet<&'static str> {
    let case = Case { oracle, ours, vector };
    // Twice, since one rule may leave what another then explains.
    let rules = RULES.iter().chain(&RULES);
    rules.filter(|r| (r.remove)(differences, &case)).map(|r| r.letter).collect()
}

impl Case<'_> {
    fn uses(&self, names: &[&str]) -> bool {
        let given = |name: &str| {
            self.vector.items.iter().flat_map(|i| &i.words).any(|w| match w {
                Word::Lit(bytes) => bytes == name.as_bytes(),
                Word::Fd(_) => false,
            })
        };
        names.iter().any(|n| given(n))
    }

    /// Whether the launcher has to stay for something.
    fn needs_monitor(&self) -> bool {
        self.uses(&[
            "--unshare-pid",
            "--unshare-all",
            "--pidns",
            "--lock-file",
            "--sync-fd",
            "--info-fd",
            "--json-status-fd",
            "--die-with-parent",
            "--as-pid-1",
        ])
    }

    /// Whether the first file-system operation binds the host's root on the root.
    fn keeps_root(&self) -> bool {
        let slash = |w: Option<&Word>| match w {
            Some(Word::Lit(b)) => b.iter().all(|c| *c == b'/') && !b.is_empty(),
            _ => false,
        };
        self.vector
            .items
            .iter()
            .any(|i| i.name().contains("bind") && slash(i.words.get(1)) && slash(i.words.get(2)))
    }
}

/// Runs `keep` on the differences with this label; whether anything was taken out.
fn filter(
    differences: &mut [Difference],
    label: &str,
    mut change: impl FnMut(&mut Difference) -> bool,
) -> bool {
    differences.iter_mut().filter(|d| d.label == label).fold(false, |any, d| change(d) | any)
}

/// Takes out lines on standard error that mean the same by `same`. An error need not be the first
/// line: warnings may come before it.
fn error_lines(differences: &mut [Difference], same: impl Fn(&str, &str) -> bool) -> bool {
    let mut change = |d: &mut Difference| {
        let before = d.oracle.len();
        d.oracle.retain(|a| match d.ours.iter().position(|b| same(a, b)) {
            Some(at) => {
                d.ours.remove(at);
                false
            }
            None => true,
        });
        d.oracle.len() != before
    };
    ["stderr-first", "stderr-rest"]
        .iter()
        .fold(false, |any, label| filter(differences, label, &mut change) | any)
}

fn clear(d: &mut Difference) -> bool {
    d.oracle.clear();
    d.ours.clear();
    true
}

fn says(outcome: &Outcome, text: &str) -> bool {
    let lines = ["stderr-first", "stderr-rest"].iter().filter_map(|l| outcome.get(l)).flatten();
    lines.clone().any(|line| line.contains(text))
}

fn all(differences: &mut [Difference]) -> bool {
    !differences.is_empty() && differences.iter_mut().fold(false, |_, d| clear(d))
}

fn option_with(case: &Case, name: &[u8], value: impl Fn(&[u8]) -> bool) -> bool {
    case.vector.items.iter().any(|item| {
        let mut words = item.words.iter().filter_map(|w| match w {
            Word::Lit(text) => Some(text.as_slice()),
            Word::Fd(_) => None,
        });
        words.next().is_some_and(|w| w.ends_with(name)) && words.next().is_none_or(&value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vector::Item;

    fn one(label: &'static str, a: &str, b: &str) -> Vec<Difference> {
        vec![Difference { label, oracle: vec![a.into()], ours: vec![b.into()] }]
    }

    fn used(mut d: Vec<Difference>, items: Vec<Item>) -> bool {
        let vector = Vector { items, ..Vector::default() };
        let empty = Outcome::new();
        !remove(&mut d, &empty, &empty, &vector).is_empty()
    }

    /// Proves that a foreign exit status is excused only where no monitor is needed.
    #[test]
    fn signals_are_excused_only_without_monitor() {
        let root = Item::new(&["--ro-bind", "/", "/"]);
        let case = || one("exit", "exit 143", "signal 15");
        assert!(used(case(), vec![root.clone()]));
        assert!(!used(case(), vec![root.clone(), Item::new(&["--unshare-pid"])]));
        assert!(!used(case(), vec![Item::new(&["--tmpfs", "/"])]));
        assert!(!used(one("exit", "exit 143", "signal 9"), vec![root]));
    }

    /// Proves that a missing new session is a difference also where no monitor is needed.
    #[test]
    fn a_missing_session_is_not_excused() {
        let mut d = one("relation", "session self", "session outside");
        let oracle = Outcome::from([("relation", vec![])]);
        let empty = Outcome::new();
        remove(&mut d, &oracle, &empty, &Vector::default());
        assert_eq!(d[0].oracle, ["session self"]);
        let mut d = one("relation", "group parent", "group self");
        remove(&mut d, &oracle, &empty, &Vector::default());
        assert!(d[0].oracle.is_empty());
    }

    /// Proves that a writable mount that lost its propagation is still a difference.
    #[test]
    fn propagation_is_excused_only_on_read_only_mounts() {
        let line =
            |flags: &str, p: &str| format!("/a #0 tmpfs flags={flags} propagation={p} source=x");
        let ro = (line("ro,nosuid", "master"), line("ro,nosuid", ""));
        let rw = (line("nosuid,rw", "master"), line("nosuid,rw", ""));
        assert!(used(one("mount", &ro.0, &ro.1), vec![]));
        assert!(!used(one("mount", &rw.0, &rw.1), vec![]));
    }
}

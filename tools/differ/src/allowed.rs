//! The differences that are meant: a written list, each with its reason, printed by
//! `differ --list-allowed`. Whatever is not here fails a run.

use crate::compare::Difference;
use crate::report::Outcome;
use crate::vector::{Vector, Word};
use std::collections::BTreeSet;

/// One allowed difference.
pub struct Rule {
    /// Its short name in reports.
    pub letter: &'static str,
    /// What may differ.
    pub what: &'static str,
    /// Why that is meant.
    pub why: &'static str,
    remove: fn(&mut Vec<Difference>, &Case) -> bool,
}

/// What a rule may look at.
pub struct Case<'a> {
    oracle: &'a Outcome,
    ours: &'a Outcome,
    vector: &'a Vector,
}

/// The whole list.
pub const RULES: [Rule; 6] = [
    Rule {
        letter: "a",
        what: "a payload killed by signal N: exit status 128+N there, killed by N here",
        why: "where nothing has to be watched and the host's root stays in place, no monitor \
              process remains, so the status is the payload's own; a shell shows 128+N for both",
        remove: signal_of_its_own,
    },
    Rule {
        letter: "b",
        what: "a read-only mount that is a slave of the host there and private here",
        why: "a mount that the host makes later below a read-only bind must not arrive writable",
        remove: private_read_only,
    },
    Rule {
        letter: "c",
        what: "`Can't mount proc on /newroot/P` here, without `/newroot` there",
        why: "callers that fall back to a run without --proc match the older text",
        remove: newroot_text,
    },
    Rule {
        letter: "d",
        what: "additional lines after the first on standard error",
        why: "hints come after the compatible line",
        remove: hints,
    },
    Rule {
        letter: "f",
        what: "details of pid 1 that are hidden here and readable there",
        why: "pid 1 is not dumpable and its arguments and environment are wiped, since they may \
              hold what the caller kept from the payload",
        remove: hidden_init,
    },
    Rule {
        letter: "g",
        what: "the relation of payload and launcher outside of a pid namespace",
        why: "without a monitor process the payload is the launcher's own process: its parent and \
              its group are the caller's, as for any program that executes another",
        remove: no_monitor,
    },
];

/// Takes everything allowed out of `differences` and returns the letters of the rules used.
pub fn remove(
    differences: &mut Vec<Difference>,
    oracle: &Outcome,
    ours: &Outcome,
    vector: &Vector,
) -> BTreeSet<&'static str> {
    let case = Case { oracle, ours, vector };
    RULES.iter().filter(|r| (r.remove)(differences, &case)).map(|r| r.letter).collect()
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
        self.vector.items.iter().any(|i| {
            i.name().contains("bind") && slash(i.words.get(1)) && slash(i.words.get(2))
        })
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

fn clear(d: &mut Difference) -> bool {
    d.oracle.clear();
    d.ours.clear();
    true
}

fn signal_of_its_own(differences: &mut Vec<Difference>, case: &Case) -> bool {
    if case.needs_monitor() || !case.keeps_root() {
        return false;
    }
    filter(differences, "exit", |d| {
        let (Some(a), Some(b)) = (d.oracle.first(), d.ours.first()) else {
            return false;
        };
        let there = a.strip_prefix("exit ").and_then(|n| n.parse::<i32>().ok());
        let here = b.strip_prefix("signal ").and_then(|n| n.parse::<i32>().ok());
        matches!((there, here), (Some(x), Some(n)) if x == 128 + n) && clear(d)
    })
}

fn private_read_only(differences: &mut Vec<Difference>, _: &Case) -> bool {
    filter(differences, "mount", |d| {
        let mut any = false;
        for index in (0..d.oracle.len()).rev() {
            let line = &d.oracle[index];
            let read_only = line.contains(" flags=ro,") || line.contains(",ro,") || line.contains(",ro ");
            let private = line.replace(" propagation=master ", " propagation= ");
            if read_only && private != *line && let Some(at) = d.ours.iter().position(|o| *o == private) {
                d.oracle.remove(index);
                d.ours.remove(at);
                any = true;
            }
        }
        any
    })
}

fn newroot_text(differences: &mut Vec<Difference>, _: &Case) -> bool {
    filter(differences, "stderr-first", |d| {
        let (Some(a), Some(b)) = (d.oracle.first(), d.ours.first()) else {
            return false;
        };
        b.contains("Can't mount proc on /newroot") && b.replace("/newroot", "") == *a && clear(d)
    })
}

fn hints(differences: &mut Vec<Difference>, _: &Case) -> bool {
    filter(differences, "stderr-rest", |d| {
        let mut ours = d.ours.iter();
        d.oracle.iter().all(|line| ours.any(|o| o == line)) && clear(d)
    })
}

fn hidden_init(differences: &mut Vec<Difference>, case: &Case) -> bool {
    let hidden = case.ours.get("init-link").is_some_and(|l| l.iter().any(|t| t.contains("ermission denied")));
    let mut any = filter(differences, "init-cmdline", |d| d.ours == ["empty"] && clear(d));
    any |= filter(differences, "init-link", |d| {
        if !d.ours.iter().all(|l| l.contains("ermission denied")) {
            return false;
        }
        clear(d)
    });
    any | (hidden && filter(differences, "init-fd", |d| d.ours.is_empty() && clear(d)))
}

fn no_monitor(differences: &mut Vec<Difference>, case: &Case) -> bool {
    if case.needs_monitor() || !case.oracle.contains_key("relation") {
        return false;
    }
    filter(differences, "relation", clear)
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

    /// Proves that a writable mount that lost its propagation is still a difference.
    #[test]
    fn propagation_is_excused_only_on_read_only_mounts() {
        let line = |flags: &str, p: &str| format!("/a #0 tmpfs flags={flags} propagation={p} source=x");
        let ro = (line("ro,nosuid", "master"), line("ro,nosuid", ""));
        let rw = (line("nosuid,rw", "master"), line("nosuid,rw", ""));
        assert!(used(one("mount", &ro.0, &ro.1), vec![]));
        assert!(!used(one("mount", &rw.0, &rw.1), vec![]));
    }
}

//! The differences that are meant: a written list, each with its reason, printed by
//! `differ --list-allowed`. Whatever is not here fails a run.

use crate::allowed_more as more;
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
    remove: fn(&mut [Difference], &Case) -> bool,
}

/// What a rule may look at.
pub struct Case<'a> {
    pub(crate) oracle: &'a Outcome,
    pub(crate) ours: &'a Outcome,
    pub(crate) vector: &'a Vector,
}

/// The whole list.
pub const RULES: [Rule; 29] = [
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
        letter: "e",
        what: "a namespace descriptor named in an option, open in the payload there and not here",
        why: "descriptors named in options are the launcher's; a user namespace must not leak",
        remove: leaked_namespace,
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
    Rule {
        letter: "h",
        what: "the program hangs there and ends here",
        why: "with --pidns and --unshare-pid a failing set-up there leaves a launcher that waits \
              for ever; an error must end the launch",
        remove: hang,
    },
    Rule {
        letter: "i",
        what: "the words between `Can't make overlay mount on` and the kernel's error",
        why: "they name descriptors of the launcher and, there, `(null)` for the destination",
        remove: overlay_text,
    },
    Rule {
        letter: "j",
        what: "signals blocked by pid 1, descriptors that it made itself (sockets, event and \
               signal files, a /proc directory) and the numbers of the others",
        why: "how pid 1 waits is its own affair; what it inherited or was told to hold is compared",
        remove: own_affairs_of_init,
    },
    Rule {
        letter: "k",
        what: "a second line of --version",
        why: "it names this product; callers parse the first line",
        remove: version,
    },
    Rule {
        letter: "l",
        what: "processes that outlive a launch there and not here",
        why: "a failed launch must leave nothing behind",
        remove: left_behind,
    },
    Rule {
        letter: "m",
        what: "`Unexpected short read from pid socket` as a later line there",
        why: "it says that the process which wrote the line before has died: no information",
        remove: short_read,
    },
    Rule {
        letter: "n",
        what: "the option mode= of a tmpfs made for the sandbox in the mount table",
        why: "the modes of directories and files are compared; how they came about is not visible",
        remove: root_mode,
    },
    Rule {
        letter: "o",
        what: "the text of the usage",
        why: "its words are this product's own; what callers look for in it is tested elsewhere",
        remove: usage,
    },
    Rule {
        letter: "p",
        what: "a source below /proc/self is not found there and is bound here",
        why: "callers bind /proc/self/ns/user; its lookup there happens where it does not exist",
        remove: source_in_proc,
    },
    Rule {
        letter: "q",
        what: "which error is reported when a filter is refused here as invalid",
        why: "a filter of wrong length is refused before anything is set up; there the set-up comes \
              first, and with it the documents and its own errors",
        remove: filter_first,
    },
    Rule {
        letter: "r",
        what: "the payload runs there, and not here, although the lock file cannot be locked",
        why: "there pid 1 starts the payload before it finds that out: a failed set-up must not run \
              anything",
        remove: lock_first,
    },
    Rule {
        letter: "s",
        what: "SIGCHLD, blocked by the caller, is unblocked in the payload there and not here",
        why: "the payload gets the signal mask that the caller had",
        remove: more::blocked_sigchld,
    },
    Rule {
        letter: "t",
        what: "pid 1 keeps CAP_AUDIT_READ in its permitted set here where a document was asked for",
        why: "it means nothing in a user namespace, and a payload that lacks it cannot look into \
              pid 1, which has to stay dumpable for who asked",
        remove: more::kept_capability,
    },
    Rule {
        letter: "t2",
        what: "the working directory of pid 1",
        why: "the payload enters its directory itself, with no more rights than it has; pid 1 stays \
              at the root",
        remove: more::init_directory,
    },
    Rule {
        letter: "t3",
        what: "what --cap-drop takes after --cap-add ALL from root that has not all capabilities",
        why: "there the whole change is refused by the kernel and ignored; here the drop counts",
        remove: more::dropped_of_all,
    },
    Rule {
        letter: "u",
        what: "the bounding set, and what execve gives root by it, with --userns2",
        why: "there the namespace that is joined last brings a full bounding set back",
        remove: more::bounded_after_userns2,
    },
    Rule {
        letter: "v",
        what: "a relative source of a -try option that does not exist, but does from \"/\"",
        why: "there it is bound after all, by accident; here it is left out",
        remove: more::relative_try,
    },
    Rule {
        letter: "w",
        what: "--pidns fails there and works, or fails later, here",
        why: "the launcher joins, which may where its child in a new user namespace may not",
        remove: more::pidns_from_outside,
    },
    Rule {
        letter: "x",
        what: "a mount on a file that has no name any more is not found again there",
        why: "there the path is looked up once more; here the descriptor is used",
        remove: more::deleted_destination,
    },
    Rule {
        letter: "x2",
        what: "--remount-ro of the root by a path with \"..\"",
        why: "there it makes a covered mount read-only and leaves the visible one writable",
        remove: more::remounted_root,
    },
    Rule {
        letter: "y",
        what: "a number with blanks or a sign, or that does not fit, is refused here",
        why: "there 4294967296 is taken for 0",
        remove: more::strict_numbers,
    },
    Rule {
        letter: "z",
        what: "a closed descriptor is refused here before anything else happens",
        why: "its number could become that of another file, and a failed launch must do nothing",
        remove: more::closed_descriptors,
    },
];

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
pub(crate) fn filter(
    differences: &mut [Difference],
    label: &str,
    mut change: impl FnMut(&mut Difference) -> bool,
) -> bool {
    differences.iter_mut().filter(|d| d.label == label).fold(false, |any, d| change(d) | any)
}

pub(crate) fn clear(d: &mut Difference) -> bool {
    d.oracle.clear();
    d.ours.clear();
    true
}

fn signal_of_its_own(differences: &mut [Difference], case: &Case) -> bool {
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

fn private_read_only(differences: &mut [Difference], _: &Case) -> bool {
    filter(differences, "mount", |d| {
        let mut any = false;
        for index in (0..d.oracle.len()).rev() {
            let line = &d.oracle[index];
            let read_only =
                line.contains(" flags=ro,") || line.contains(",ro,") || line.contains(",ro ");
            let private = line.replace(" propagation=master ", " propagation= ");
            if read_only
                && private != *line
                && let Some(at) = d.ours.iter().position(|o| *o == private)
            {
                d.oracle.remove(index);
                d.ours.remove(at);
                any = true;
            }
        }
        any
    })
}

fn newroot_text(differences: &mut [Difference], _: &Case) -> bool {
    filter(differences, "stderr-first", |d| {
        let (Some(a), Some(b)) = (d.oracle.first(), d.ours.first()) else {
            return false;
        };
        b.contains("Can't mount proc on /newroot") && b.replace("/newroot", "") == *a && clear(d)
    })
}

fn hints(differences: &mut [Difference], _: &Case) -> bool {
    filter(differences, "stderr-rest", |d| {
        if d.ours.is_empty() {
            return false;
        }
        let mut ours = d.ours.iter();
        d.oracle.iter().all(|line| ours.any(|o| o == line)) && clear(d)
    })
}

fn hidden_init(differences: &mut [Difference], case: &Case) -> bool {
    let hidden = case
        .ours
        .get("init-link")
        .is_some_and(|l| l.iter().any(|t| t.contains("ermission denied")));
    let mut any = filter(differences, "init-cmdline", |d| d.ours == ["empty"] && clear(d));
    any |= filter(differences, "init-link", |d| {
        if !d.ours.iter().all(|l| l.contains("ermission denied")) {
            return false;
        }
        clear(d)
    });
    any | (hidden && filter(differences, "init-fd", |d| d.ours.is_empty() && clear(d)))
}

fn no_monitor(differences: &mut [Difference], case: &Case) -> bool {
    if case.needs_monitor() || !case.oracle.contains_key("relation") {
        return false;
    }
    filter(differences, "relation", |d| {
        let before = d.oracle.len() + d.ours.len();
        d.oracle.retain(|l| !l.starts_with("parent "));
        d.ours.retain(|l| !l.starts_with("parent "));
        for what in ["group", "session"] {
            // What the launcher led there is led by the payload here; a new one would be "self"
            // on both sides.
            let there = d.oracle.iter().position(|l| *l == format!("{what} parent"));
            let here = d.ours.iter().position(|l| *l == format!("{what} self"));
            if let (Some(there), Some(here)) = (there, here) {
                d.oracle.remove(there);
                d.ours.remove(here);
            }
        }
        d.oracle.len() + d.ours.len() != before
    })
}

fn hang(differences: &mut [Difference], case: &Case) -> bool {
    if !case.uses(&["--pidns"]) || case.ours.get("exit").is_none_or(|e| e == &["hang"]) {
        return false;
    }
    filter(differences, "exit", |d| d.oracle == ["hang"] && clear(d))
}

fn overlay_text(differences: &mut [Difference], _: &Case) -> bool {
    let parts = |line: &str| -> Option<(String, String)> {
        let (before, rest) = line.split_once("Can't make overlay mount on")?;
        Some((before.into(), rest.rsplit_once(": ")?.1.into()))
    };
    filter(differences, "stderr-first", |d| {
        let (Some(a), Some(b)) = (d.oracle.first(), d.ours.first()) else {
            return false;
        };
        parts(a).is_some() && parts(a) == parts(b) && clear(d)
    })
}

fn own_affairs_of_init(differences: &mut [Difference], _: &Case) -> bool {
    let drop_from = |list: &mut Vec<String>, own: &dyn Fn(&str) -> bool| {
        let before = list.len();
        list.retain(|l| !own(l));
        list.len() != before
    };
    let mask = |l: &str| l.starts_with("SigBlk ");
    let file = |l: &str| {
        let kind = l.split_once(' ').map_or("", |(_, k)| k);
        kind.starts_with("anon_inode") || matches!(kind, "socket" | "/proc")
    };
    let init = filter(differences, "init", |d| {
        drop_from(&mut d.oracle, &mask) | drop_from(&mut d.ours, &mask)
    });
    let fds = filter(differences, "init-fd", |d| {
        let own = drop_from(&mut d.oracle, &file) | drop_from(&mut d.ours, &file);
        let kinds = |list: &[String]| {
            let mut kinds: Vec<String> =
                list.iter().filter_map(|l| Some(l.split_once(' ')?.1.to_string())).collect();
            kinds.sort();
            kinds
        };
        let same = !d.oracle.is_empty() && kinds(&d.oracle) == kinds(&d.ours);
        own | (same && clear(d))
    });
    init | fds
}

fn leaked_namespace(differences: &mut [Difference], case: &Case) -> bool {
    if !case.uses(&["--userns", "--userns2", "--pidns"]) {
        return false;
    }
    filter(differences, "fd", |d| {
        let before = d.oracle.len();
        d.oracle.retain(|l| !l.ends_with(" user") && !l.ends_with(" pid"));
        d.oracle.len() != before
    })
}

fn usage(differences: &mut [Difference], case: &Case) -> bool {
    let shows = |label| {
        case.oracle.get(label).is_some_and(|l| l.iter().any(|t| t.contains("Print this help")))
    };
    let help = shows("stdout") && filter(differences, "stdout", clear);
    help | (shows("stderr-rest") && filter(differences, "stderr-rest", clear))
}

fn version(differences: &mut [Difference], _: &Case) -> bool {
    filter(differences, "stdout", |d| {
        let product = d.oracle.len() == 1 && d.oracle[0].starts_with("bubblewrap ");
        product && d.ours.len() == 2 && d.ours[0] == d.oracle[0] && clear(d)
    })
}

fn left_behind(differences: &mut [Difference], _: &Case) -> bool {
    filter(differences, "survivors", |d| d.ours.is_empty() && clear(d))
}

fn short_read(differences: &mut [Difference], _: &Case) -> bool {
    filter(differences, "stderr-rest", |d| {
        let before = d.oracle.len();
        d.oracle.retain(|l| !l.ends_with("Unexpected short read from pid socket"));
        let changed = d.oracle.len() != before;
        changed && (d.oracle != d.ours || clear(d))
    })
}

fn root_mode(differences: &mut [Difference], _: &Case) -> bool {
    let plain = |line: &str| -> String {
        let keep = |o: &&str| !o.starts_with("mode=");
        let (before, options) = line.split_once(" options=").unwrap_or((line, ""));
        let options: Vec<&str> = options.split(',').filter(keep).collect();
        format!("{before} {}", options.join(","))
    };
    filter(differences, "mount", |d| {
        let mut any = false;
        for index in (0..d.oracle.len()).rev() {
            let line = plain(&d.oracle[index]);
            if line.contains(" tmpfs of=fresh ")
                && let Some(at) = d.ours.iter().position(|o| plain(o) == line)
            {
                d.oracle.remove(index);
                d.ours.remove(at);
                any = true;
            }
        }
        any
    })
}

fn source_in_proc(differences: &mut [Difference], case: &Case) -> bool {
    let refuses = |outcome: &Outcome| {
        let lines = ["stderr-first", "stderr-rest"].iter().filter_map(|l| outcome.get(l)).flatten();
        lines.clone().any(|l| l.contains("Can't find source path /proc/self/"))
    };
    if !refuses(case.oracle) || refuses(case.ours) || differences.is_empty() {
        return false;
    }
    differences.iter_mut().fold(false, |_, d| clear(d))
}

fn filter_first(differences: &mut [Difference], case: &Case) -> bool {
    let failed =
        |o: &Outcome| o.get("exit").is_some_and(|e| e == &["exit 1"]) && !o.contains_key("end");
    let ours = case
        .ours
        .get("stderr-first")
        .is_some_and(|l| l.iter().any(|t| t.contains("Invalid seccomp data")));
    if !ours || !failed(case.oracle) || !failed(case.ours) || differences.is_empty() {
        return false;
    }
    differences.iter_mut().fold(false, |_, d| clear(d))
}

fn lock_first(differences: &mut [Difference], case: &Case) -> bool {
    let told = |o: &Outcome| {
        let lines = ["stderr-first", "stderr-rest"].iter().filter_map(|l| o.get(l)).flatten();
        lines.clone().any(|l| l.contains("lock file"))
            && o.get("exit").is_some_and(|e| e == &["exit 1"])
    };
    let late = told(case.oracle) && told(case.ours) && !case.ours.contains_key("end");
    late && filter(differences, "ran", clear)
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

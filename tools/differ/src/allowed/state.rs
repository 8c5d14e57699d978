//! Rules on what the payload and the host see: where this product is stricter on purpose, or where
//! what the original does is an accident of how it does it.

use super::{Case, all, clear, filter, option_with, says};
use crate::compare::Difference;
use crate::escape;
use crate::vector::Word;

/// SIGCHLD (17) in a mask of /proc/PID/status.
const SIGCHLD: u64 = 1 << 16;

pub(super) fn signal_of_its_own(differences: &mut [Difference], case: &Case) -> bool {
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

pub(super) fn private_read_only(differences: &mut [Difference], _: &Case) -> bool {
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

pub(super) fn hidden_init(differences: &mut [Difference], case: &Case) -> bool {
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

pub(super) fn no_monitor(differences: &mut [Difference], case: &Case) -> bool {
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

pub(super) fn own_affairs_of_init(differences: &mut [Difference], _: &Case) -> bool {
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

pub(super) fn leaked_namespace(differences: &mut [Difference], case: &Case) -> bool {
    if !case.uses(&["--userns", "--userns2", "--pidns"]) {
        return false;
    }
    filter(differences, "fd", |d| {
        let before = d.oracle.len();
        d.oracle.retain(|l| !l.ends_with(" user") && !l.ends_with(" pid"));
        d.oracle.len() != before
    })
}

pub(super) fn root_mode(differences: &mut [Difference], _: &Case) -> bool {
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

pub(super) fn blocked_sigchld(differences: &mut [Difference], _: &Case) -> bool {
    let mask = |line: &String| u64::from_str_radix(line.strip_prefix("SigBlk:")?.trim(), 16).ok();
    filter(differences, "signal", |d| {
        let (Some(a), Some(b)) = (d.oracle.first().and_then(mask), d.ours.first().and_then(mask))
        else {
            return false;
        };
        d.oracle.len() == 1 && d.ours.len() == 1 && a | SIGCHLD == b && clear(d)
    })
}

pub(super) fn kept_capability(differences: &mut [Difference], _: &Case) -> bool {
    filter(differences, "init", |d| {
        let own =
            d.ours.iter().any(|l| l.starts_with("CapPrm") && l.ends_with(" 0000002000000000"));
        if own {
            d.oracle.retain(|l| !l.starts_with("CapPrm"));
            d.ours.retain(|l| !l.starts_with("CapPrm"));
        }
        own
    })
}

pub(super) fn init_directory(differences: &mut [Difference], _: &Case) -> bool {
    filter(differences, "init-link", |d| {
        let only = |lines: &[String]| lines.iter().all(|l| l.starts_with("cwd"));
        only(&d.oracle) && only(&d.ours) && clear(d)
    })
}

pub(super) fn dropped_of_all(differences: &mut [Difference], case: &Case) -> bool {
    let everything = option_with(case, b"--cap-add", |cap| cap.eq_ignore_ascii_case(b"all"));
    // Whoever makes or enters a user namespace has all of them there.
    let inside = ["--unshare-user", "--unshare-user-try", "--unshare-all", "--userns"];
    if !everything || case.uses(&inside) || !option_with(case, b"--cap-drop", |_| true) {
        return false;
    }
    // Untouched root has them by execve, without any ambient or inheritable one.
    let mut sets = case.oracle.get("cap").into_iter().flatten().filter_map(|l| capabilities(l));
    let had = sets.find(|(name, _)| *name == "CapPrm").map_or(0, |(_, set)| set);
    filter(differences, "cap", |d| pairs(d, |a, b| fewer_capabilities(a, b, had)))
        | filter(differences, "tree", |d| pairs(d, less_access))
}

/// Takes out a line of each side where `explains` both.
fn pairs(d: &mut Difference, explains: impl Fn(&str, &str) -> bool) -> bool {
    let before = d.oracle.len();
    d.oracle.retain(|a| match d.ours.iter().position(|b| explains(a, b)) {
        Some(at) => {
            d.ours.remove(at);
            false
        }
        None => true,
    });
    d.oracle.len() != before
}

/// The name and the bits of a set of capabilities.
fn capabilities(line: &str) -> Option<(&str, u64)> {
    let (name, digits) = line.split_once(":\t")?;
    Some((name, u64::from_str_radix(digits, 16).ok()?))
}

/// Whether the second line is the same set as the first with capabilities taken away; all that
/// there were are `had`.
fn fewer_capabilities(there: &str, here: &str, had: u64) -> bool {
    let (Some((a, x)), Some((b, y))) = (capabilities(there), capabilities(here)) else {
        return false;
    };
    let most = if matches!(a, "CapAmb" | "CapInh") { had } else { x };
    a == b && y & !most == 0
}

/// Whether the second line is the same file with access taken away.
fn less_access(there: &str, here: &str) -> bool {
    let parts = |line: &str| -> Option<(String, String)> {
        let (before, rest) = line.split_once(" access=")?;
        let (access, after) = rest.split_once(' ')?;
        Some((access.into(), format!("{before} {after}")))
    };
    let (Some((a, file)), Some((b, same))) = (parts(there), parts(here)) else { return false };
    file == same && a.chars().zip(b.chars()).all(|(a, b)| a == b || b == '-')
}

pub(super) fn bounded_after_userns2(differences: &mut [Difference], case: &Case) -> bool {
    option_with(case, b"--userns2", |_| true)
        && (["cap", "init"].iter())
            .fold(false, |any, label| filter(differences, label, clear) | any)
}

/// Source and destination of each `-try` option with a relative source.
fn relative_tries(case: &Case) -> Vec<(String, String)> {
    let literal = |word: Option<&Word>| match word {
        Some(Word::Lit(text)) => escape::line(text),
        _ => String::new(),
    };
    let tries = case.vector.items.iter().filter(|i| i.name().ends_with("bind-try"));
    let both = tries.map(|i| (literal(i.words.get(1)), literal(i.words.get(2))));
    both.filter(|(source, _)| !source.starts_with('/')).collect()
}

/// A path with one slash between its components and none at its end, without ".".
fn tidy(path: &str) -> String {
    path.split('/').filter(|c| !c.is_empty() && *c != ".").fold(String::new(), |p, c| p + "/" + c)
}

pub(super) fn relative_try(differences: &mut [Difference], case: &Case) -> bool {
    let tries = relative_tries(case);
    if tries.iter().any(|(source, _)| says(case.oracle, &format!("Can't open source {source}: "))) {
        return all(differences);
    }
    let below = |line: &String| {
        tries.iter().any(|(_, dest)| {
            let rest = line.strip_prefix(&tidy(dest));
            rest.is_some_and(|r| r.starts_with('/') || r.starts_with(' '))
        })
    };
    let mut change = |d: &mut Difference| {
        let before = d.oracle.len() + d.ours.len();
        // What was mounted there, what it covers here, and directories made above it.
        d.oracle.retain(|line| !below(line));
        d.ours.retain(|line| !below(line));
        (d.ours.is_empty() && clear(d)) || d.oracle.len() + d.ours.len() != before
    };
    !tries.is_empty()
        && ["mount", "tree", "host"]
            .iter()
            .fold(false, |any, label| filter(differences, label, &mut change) | any)
}

pub(super) fn remounted_root(differences: &mut [Difference], case: &Case) -> bool {
    // By ".." from the root, or from one directory that may be a link.
    let root = |path: &[u8]| {
        let names = path.split(|&b| b == b'/').filter(|name| !name.is_empty() && *name != b".");
        let deep =
            names.clone().fold(0, |deep: i32, n| (deep + if n == b".." { -1 } else { 1 }).max(0));
        deep == 0 && names.clone().any(|name| name == b"..")
    };
    option_with(case, b"--remount-ro", root) && all(differences)
}

//! Rules on launches that fail, and on what is said about it.

use super::{Case, all, clear, error_lines, filter, says};
use crate::compare::Difference;
use crate::report::Outcome;
use crate::vector::{Standard, Word};

pub(super) fn newroot_text(differences: &mut [Difference], _: &Case) -> bool {
    let same = |a: &str, b: &str| {
        b.contains("Can't mount proc on /newroot") && b.replace("/newroot", "") == a
    };
    error_lines(differences, same)
}

pub(super) fn hints(differences: &mut [Difference], _: &Case) -> bool {
    filter(differences, "stderr-rest", |d| {
        if d.ours.is_empty() {
            return false;
        }
        let mut ours = d.ours.iter();
        d.oracle.iter().all(|line| ours.any(|o| o == line)) && clear(d)
    })
}

pub(super) fn overlay_text(differences: &mut [Difference], _: &Case) -> bool {
    let parts = |line: &str| -> Option<(String, String)> {
        let (before, rest) = line.split_once("Can't make overlay mount on")?;
        Some((before.into(), rest.rsplit_once(": ")?.1.into()))
    };
    error_lines(differences, |a, b| parts(a).is_some() && parts(a) == parts(b))
}

pub(super) fn usage(differences: &mut [Difference], case: &Case) -> bool {
    let shows = |label| {
        case.oracle.get(label).is_some_and(|l| l.iter().any(|t| t.contains("Print this help")))
    };
    let help = shows("stdout") && filter(differences, "stdout", clear);
    help | (shows("stderr-rest") && filter(differences, "stderr-rest", clear))
}

pub(super) fn version(differences: &mut [Difference], _: &Case) -> bool {
    filter(differences, "stdout", |d| {
        let product = d.oracle.len() == 1 && d.oracle[0].starts_with("bubblewrap ");
        product && d.ours.len() == 2 && d.ours[0] == d.oracle[0] && clear(d)
    })
}

pub(super) fn left_behind(differences: &mut [Difference], _: &Case) -> bool {
    filter(differences, "survivors", |d| d.ours.is_empty() && clear(d))
}

pub(super) fn short_read(differences: &mut [Difference], _: &Case) -> bool {
    filter(differences, "stderr-rest", |d| {
        let before = d.oracle.len();
        d.oracle.retain(|l| !l.ends_with("Unexpected short read from pid socket"));
        let changed = d.oracle.len() != before;
        changed && (d.oracle != d.ours || clear(d))
    })
}

pub(super) fn source_in_proc(differences: &mut [Difference], case: &Case) -> bool {
    let refuses = |outcome: &Outcome| {
        let lines = ["stderr-first", "stderr-rest"].iter().filter_map(|l| outcome.get(l)).flatten();
        // By a relative name too.
        let names = ["Can't find source path /proc/self/", "Can't find source path proc/self/"];
        lines.clone().any(|l| names.iter().any(|name| l.contains(name)))
    };
    if !refuses(case.oracle) || refuses(case.ours) || differences.is_empty() {
        return false;
    }
    differences.iter_mut().fold(false, |_, d| clear(d))
}

pub(super) fn filter_first(differences: &mut [Difference], case: &Case) -> bool {
    let failed = |o: &Outcome| {
        // There a failure may hang: that is another matter.
        let ended = |e: &Vec<String>| e == &["exit 1"] || e == &["hang"];
        o.get("exit").is_some_and(ended) && !o.contains_key("end")
    };
    let says_both = |there: &str, here: &str| says(case.oracle, there) && says(case.ours, here);
    // It is read when its option is parsed there, and loaded after more has been done.
    let other = says(case.ours, "Invalid seccomp data")
        || says_both("Invalid seccomp data", "cannot be combined with")
        || says_both("Can't chdir to", "PR_SET_SECCOMP");
    other && failed(case.oracle) && failed(case.ours) && all(differences)
}

/// The line that says why the lock file is of no use.
fn lock_error(outcome: &Outcome) -> Option<&String> {
    let lines = ["stderr-first", "stderr-rest"].iter().filter_map(|l| outcome.get(l)).flatten();
    lines.clone().find(|l| l.contains(" lock file "))
}

pub(super) fn lock_first(differences: &mut [Difference], case: &Case) -> bool {
    let failed = |o: &Outcome| o.get("exit").is_some_and(|e| e == &["exit 1"]);
    let told = lock_error(case.oracle);
    if told.is_none()
        || told != lock_error(case.ours)
        || !failed(case.oracle)
        || !failed(case.ours)
        || case.ours.contains_key("end")
    {
        return false;
    }
    // The payload, running already, may have said something too, and before.
    let noise = |d: &mut Difference| {
        let before = d.oracle.len();
        d.oracle.retain(|l| Some(l) != told && !l.contains("execvp "));
        d.ours.retain(|l| Some(l) != told);
        d.oracle.len() != before
    };
    let status = |d: &mut Difference| {
        let before = d.oracle.len();
        d.oracle.retain(|line| !line.contains("exit-code"));
        d.oracle.len() != before
    };
    let lines = ["stderr-first", "stderr-rest"];
    filter(differences, "ran", clear)
        | filter(differences, "json", status)
        | lines.iter().fold(false, |any, label| filter(differences, label, noise) | any)
}

pub(super) fn said_twice(differences: &mut [Difference], case: &Case) -> bool {
    filter(differences, "stderr-rest", |d| {
        let first = case.oracle.get("stderr-first").and_then(|l| l.first());
        let at = d.oracle.iter().position(|l| Some(l) == first && l.contains("PR_SET_SECCOMP"));
        at.map(|at| d.oracle.remove(at)).is_some()
    })
}

pub(super) fn mqueue_again(differences: &mut [Difference], case: &Case) -> bool {
    let items = case.vector.items.iter();
    let several = items.filter(|i| i.name() == "--mqueue").count() > 1;
    let busy = ["stderr-first", "stderr-rest"].iter().filter_map(|l| case.oracle.get(l)).flatten();
    let text = ["Can't mount mqueue on ", ": Device or resource busy"];
    several && busy.clone().any(|l| text.iter().all(|t| l.contains(t))) && all(differences)
}

/// A message around the path of which programs may think differently.
fn around_path(line: &str) -> Option<(&str, &str)> {
    if let Some((before, rest)) = line.split_once("Can't bind mount ") {
        return Some((before, rest.split_once(" on ")?.1));
    }
    line.contains("Can't remount readonly on ").then_some(())?;
    let (before, rest) = line.split_once(": mount_setattr() failed at \"")?;
    Some((before, rest.rsplit_once('"')?.1))
}

pub(super) fn resolved_name(differences: &mut [Difference], _: &Case) -> bool {
    error_lines(differences, |a, b| around_path(a).is_some() && around_path(a) == around_path(b))
}

pub(super) fn nowhere_to_write(differences: &mut [Difference], case: &Case) -> bool {
    let closed = case.vector.caller.stdout == Standard::Closed;
    let asked = ["--help", "--version"].iter().any(|o| case.uses(&[o]));
    closed
        && asked
        && filter(differences, "exit", |d| {
            d.oracle == ["exit 0"] && d.ours == ["exit 1"] && clear(d)
        })
}

pub(super) fn hang(differences: &mut [Difference], case: &Case) -> bool {
    let hangs = |o: &Outcome| o.get("exit").is_some_and(|e| e == &["hang"]);
    if !hangs(case.oracle) || hangs(case.ours) {
        return false;
    }
    // The one FIFO of the world.
    if case.uses(&["--lock-file"]) && case.uses(&["/h/src/fifo"]) {
        return ["exit", "lock"].iter().fold(false, |any, l| filter(differences, l, clear) | any);
    }
    // Killed, it can say nothing of the payload's end.
    let status = |d: &mut Difference| {
        let before = d.ours.len();
        d.ours.retain(|line| !line.contains("exit-code"));
        d.ours.len() != before
    };
    let waits = case.uses(&["--pidns"]);
    waits && (filter(differences, "exit", clear) | filter(differences, "json", status))
}

pub(super) fn pidns_from_outside(differences: &mut [Difference], case: &Case) -> bool {
    says(case.oracle, "Setting pidns failed") && all(differences)
}

pub(super) fn used_up(differences: &mut [Difference], case: &Case) -> bool {
    let numbers: Vec<Vec<u8>> =
        case.vector.render().fds.iter().map(|(n, _)| n.to_string().into_bytes()).collect();
    // Every descriptor is named once by the option that it was made for, not by its number.
    let again = case.vector.items.iter().any(|item| {
        let literal = |w: &Word| matches!(w, Word::Lit(text) if numbers.contains(text));
        item.name().contains("ns") && item.words.iter().skip(1).any(literal)
    });
    let refused = |line: &str| Some(line.rsplit_once(" failed: ")?.0.to_string());
    again
        && error_lines(differences, |a, b| {
            a.ends_with(": Bad file descriptor") && refused(a).is_some() && refused(a) == refused(b)
        })
}

pub(super) fn deleted_destination(differences: &mut [Difference], case: &Case) -> bool {
    let there = says(case.oracle, "(deleted)\"") || says(case.oracle, "Can't reopen");
    there && all(differences)
}

pub(super) fn strict_numbers(differences: &mut [Difference], case: &Case) -> bool {
    let refused = ["Invalid fd:", "Invalid uid:", "Invalid gid:"];
    let strict = |text: &&str| says(case.ours, text) && !says(case.oracle, text);
    refused.iter().any(strict) && all(differences)
}

pub(super) fn closed_descriptors(differences: &mut [Difference], case: &Case) -> bool {
    let refused = case.ours.get("exit").is_some_and(|e| e == &["exit 1"]);
    let closed = says(case.ours, "Bad file descriptor")
        || says(case.ours, "Can't find source path /proc/self/fd/");
    refused && closed && all(differences)
}

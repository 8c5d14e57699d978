//! Further rules of the list in [`crate::allowed`]: where this product is stricter on purpose, or
//! where what the original does is an accident of how it does it.

use crate::allowed::{Case, clear, filter};
use crate::compare::Difference;
use crate::report::Outcome;
use crate::vector::Word;

/// SIGCHLD (17) in a mask of /proc/PID/status.
const SIGCHLD: u64 = 1 << 16;

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

pub(crate) fn blocked_sigchld(differences: &mut [Difference], _: &Case) -> bool {
    let mask = |line: &String| u64::from_str_radix(line.strip_prefix("SigBlk:")?.trim(), 16).ok();
    filter(differences, "signal", |d| {
        let (Some(a), Some(b)) = (d.oracle.first().and_then(mask), d.ours.first().and_then(mask))
        else {
            return false;
        };
        d.oracle.len() == 1 && d.ours.len() == 1 && a | SIGCHLD == b && clear(d)
    })
}

pub(crate) fn kept_capability(differences: &mut [Difference], _: &Case) -> bool {
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

pub(crate) fn init_directory(differences: &mut [Difference], _: &Case) -> bool {
    filter(differences, "init-link", |d| {
        let only = |lines: &[String]| lines.iter().all(|l| l.starts_with("cwd"));
        only(&d.oracle) && only(&d.ours) && clear(d)
    })
}

pub(crate) fn dropped_of_all(differences: &mut [Difference], case: &Case) -> bool {
    let everything = option_with(case, b"--cap-add", |cap| cap.eq_ignore_ascii_case(b"all"));
    everything && option_with(case, b"--cap-drop", |_| true) && all(differences)
}

pub(crate) fn bounded_after_userns2(differences: &mut [Difference], case: &Case) -> bool {
    option_with(case, b"--userns2", |_| true)
        && (["cap", "init"].iter())
            .fold(false, |any, label| filter(differences, label, clear) | any)
}

pub(crate) fn relative_try(differences: &mut [Difference], case: &Case) -> bool {
    let relative = option_with(case, b"bind-try", |source| !source.starts_with(b"/"));
    relative
        && ["mount", "tree", "host"].iter().fold(false, |any, label| {
            filter(differences, label, |d| d.ours.is_empty() && clear(d)) | any
        })
}

pub(crate) fn pidns_from_outside(differences: &mut [Difference], case: &Case) -> bool {
    says(case.oracle, "Setting pidns failed") && all(differences)
}

pub(crate) fn deleted_destination(differences: &mut [Difference], case: &Case) -> bool {
    let there = says(case.oracle, "(deleted)\"") || says(case.oracle, "Can't reopen");
    there && all(differences)
}

pub(crate) fn remounted_root(differences: &mut [Difference], case: &Case) -> bool {
    let above = |path: &[u8]| path.windows(2).any(|w| w == b"..");
    option_with(case, b"--remount-ro", above) && all(differences)
}

pub(crate) fn strict_numbers(differences: &mut [Difference], case: &Case) -> bool {
    let refused = ["Invalid fd:", "Invalid uid:", "Invalid gid:"];
    let strict = |text: &&str| says(case.ours, text) && !says(case.oracle, text);
    refused.iter().any(strict) && all(differences)
}

pub(crate) fn closed_descriptors(differences: &mut [Difference], case: &Case) -> bool {
    let refused = case.ours.get("exit").is_some_and(|e| e == &["exit 1"]);
    let closed = says(case.ours, "Bad file descriptor")
        || says(case.ours, "Can't find source path /proc/self/fd/");
    refused && closed && all(differences)
}

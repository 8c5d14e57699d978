//! Texts for words that are not understood.

use super::{Fault, LONE_OVERLAY_SRC};
use crate::options::{self, Opt, Spec};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// The text for an option whose arguments are missing, as bubblewrap words it.
pub(super) fn missing(spec: &Spec) -> Fault {
    let count = match (spec.opt, spec.arguments.len()) {
        (Opt::OverlaySrc, _) => return Fault::new(LONE_OVERLAY_SRC),
        (Opt::Argv0 | Opt::Chdir | Opt::RemountRo, _) => "one argument",
        (_, 1) => "an argument",
        (_, 2) => "two arguments",
        _ => "three arguments",
    };
    // bubblewrap names --bind-fd for both.
    let name = if spec.opt == Opt::RoBindFd { "--bind-fd" } else { spec.name };
    let names: Vec<_> = spec.arguments.iter().map(|a| a.name).collect();
    Fault::new(format!("{name} takes {count}")).hint(format!(
        "usage: {} {}",
        spec.name,
        names.join(" ")
    ))
}

/// What may have been meant by an unknown word.
pub(super) fn suggestion(word: &[u8]) -> String {
    let name = word.split(|&b| b == b'=').next().unwrap_or(word);
    if name.len() < word.len() && options::find(name).is_some() {
        let name = String::from_utf8_lossy(name);
        return format!("the value is a word of its own: {name} VALUE");
    }
    let near = options::TABLE
        .iter()
        .map(|spec| (distance(spec.name.as_bytes(), name), spec.name))
        .min()
        .filter(|&(d, _)| d <= 2);
    match near {
        Some((_, near)) => format!("did you mean {near}?"),
        None => "bwrap --help lists the options; a command that starts with - goes after --".into(),
    }
}

/// Levenshtein's distance, for words of an option's length; longer ones are far from everything.
fn distance(a: &[u8], b: &[u8]) -> usize {
    if b.len() > 40 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let above = row[j + 1];
            row[j + 1] = (diagonal + usize::from(x != y)).min(above + 1).min(row[j] + 1);
            diagonal = above;
        }
    }
    row[b.len()]
}

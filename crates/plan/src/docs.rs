//! Texts made from the option table: the help, the manual page, the completions.
//!
//! Pure functions. The tool `docs` writes their results to the repository and checks that they are
//! current.

mod completions;
mod manual;

pub use completions::{bash, fish, zsh};
pub use manual::manual;

use crate::options::{Kind, Opt, Section, Spec, TABLE};
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

fn usage_of(spec: &Spec) -> String {
    let mut text = spec.name.to_owned();
    for argument in spec.arguments {
        text.push(' ');
        text.push_str(argument.name);
    }
    text
}

/// The text of `--help`; `program` is the caller's argv\[0\].
pub fn help(program: &str) -> String {
    let mut out = format!("usage: {program} [OPTIONS...] [--] COMMAND [ARGS...]\n");
    for section in Section::ALL {
        let _ = writeln!(out, "\n{}:", section.title());
        for spec in TABLE.iter().filter(|spec| spec.section == section) {
            let usage = usage_of(spec);
            if usage.len() > 28 {
                let _ = writeln!(out, "    {usage}\n{:33}{}", "", spec.help);
            } else {
                let _ = writeln!(out, "    {usage:28} {}", spec.help);
            }
        }
    }
    out
}

/// What a shell offers for an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Offer {
    /// Nothing: a number or a text that only the user knows.
    Nothing,
    /// Paths. Those inside the sandbox too: they mostly are called as on the host.
    Path,
    /// Names of capabilities.
    Capability,
    /// Names of resource limits.
    Resource,
    /// Names of environment variables.
    Variable,
}

/// What a shell offers for argument `index` of an option.
fn offer(spec: &Spec, index: usize) -> Offer {
    match (spec.opt, spec.arguments.get(index).map(|a| a.kind)) {
        (Opt::CapAdd | Opt::CapDrop, _) => Offer::Capability,
        (Opt::Rlimit, _) if index == 0 => Offer::Resource,
        (Opt::Setenv | Opt::Unsetenv, _) if index == 0 => Offer::Variable,
        (Opt::Symlink, _) | (_, Some(Kind::HostPath | Kind::BoxPath)) => Offer::Path,
        _ => Offer::Nothing,
    }
}

/// The names of all options whose arguments get these offers, in the order of the table.
fn names_with(offers: &[Offer]) -> Vec<&'static str> {
    let same = |spec: &&Spec| {
        spec.arguments.len() == offers.len()
            && offers.iter().enumerate().all(|(i, wanted)| offer(spec, i) == *wanted)
    };
    TABLE.iter().filter(same).map(|spec| spec.name).collect()
}

/// Every list of offers that occurs, in the order of the table.
fn kinds() -> Vec<Vec<Offer>> {
    let mut all: Vec<Vec<Offer>> = Vec::new();
    for spec in TABLE {
        let offers: Vec<Offer> = (0..spec.arguments.len()).map(|i| offer(spec, i)).collect();
        if !all.contains(&offers) {
            all.push(offers);
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every option is in every generated text, and each has exactly one kind for completion.
    #[test]
    fn nothing_is_left_out() {
        let texts = [help("bwrap"), bash(), fish(), zsh()];
        for spec in TABLE {
            for text in &texts {
                assert!(text.contains(spec.name), "{}", spec.name);
            }
            let in_page = spec.name.replace('-', "\\-");
            assert!(manual("").contains(&format!("\\fB{in_page}\\fR")), "{}", spec.name);
            let listed = kinds().iter().filter(|k| names_with(k).contains(&spec.name)).count();
            assert_eq!(listed, 1, "{}", spec.name);
        }
    }

    /// What is offered follows from what an argument is.
    #[test]
    fn offers_by_kind() {
        let of =
            |name: &str, i| offer(crate::options::find(name.as_bytes()).expect("an option"), i);
        assert_eq!(of("--bind", 0), Offer::Path);
        assert_eq!(of("--bind", 1), Offer::Path);
        assert_eq!(of("--bind-fd", 0), Offer::Nothing);
        assert_eq!(of("--bind-fd", 1), Offer::Path);
        assert_eq!(of("--cap-add", 0), Offer::Capability);
        assert_eq!(of("--rlimit", 0), Offer::Resource);
        assert_eq!(of("--rlimit", 1), Offer::Nothing);
        assert_eq!(of("--hostname", 0), Offer::Nothing);
    }
}

//! Completions for bash, zsh and fish.
//!
//! Those of bash and fish walk the words as the parser does: each option swallows its arguments,
//! and the first word that is none starts the command.

use super::{Offer, kinds, names_with, offer};
use crate::options::{Repeat, Spec, TABLE};
use crate::tables::{CAPABILITIES, RESOURCES};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

/// Names of capabilities, as a shell's list of words.
fn capabilities() -> String {
    format!("ALL {}", CAPABILITIES.join(" "))
}

/// The word for an offer in the scripts.
fn word(offer: Offer) -> &'static str {
    match offer {
        Offer::Nothing => "nothing",
        Offer::Path => "path",
        Offer::Capability => "capability",
        Offer::Resource => "resource",
        Offer::Variable => "variable",
    }
}

fn words(offers: &[Offer]) -> String {
    offers.iter().map(|o| word(*o)).collect::<Vec<_>>().join(" ")
}

/// A script in which the lines `@CASES@`, `@OPTIONS@`, `@CAPABILITIES@` and `@RESOURCES@` are
/// replaced.
fn filled(script: &str, cases: &str, options: &str) -> String {
    script
        .replace("@CASES@\n", cases)
        .replace("@OPTIONS@", options)
        .replace("@CAPABILITIES@", &capabilities())
        .replace("@RESOURCES@", &RESOURCES.join(" "))
}

/// The completion for bash.
pub fn bash() -> String {
    let mut cases = String::new();
    for kind in kinds().iter().filter(|k| !k.is_empty()) {
        let _ = writeln!(cases, "        {})", names_with(kind).join(" | "));
        let _ = writeln!(cases, "            kinds=({}) ;;", words(kind));
    }
    let options: Vec<&str> = TABLE.iter().map(|spec| spec.name).collect();
    filled(include_str!("bwrap.bash.in"), &cases, &options.join("\n        "))
}

/// The completion for fish.
pub fn fish() -> String {
    let mut cases = String::new();
    for kind in kinds().iter().filter(|k| !k.is_empty()) {
        let _ = writeln!(cases, "            case {}", names_with(kind).join(" "));
        let _ = writeln!(cases, "                set kinds {}", words(kind));
    }
    let mut options = String::new();
    for spec in TABLE {
        let _ = writeln!(
            options,
            "complete -c bwrap -n 'test (__bwrap_at) = option' -f -a {} -d '{}'",
            spec.name,
            spec.help.replace('\\', "\\\\").replace('\'', "\\'")
        );
    }
    filled(include_str!("bwrap.fish.in"), &cases, options.trim_end())
}

/// The completion for zsh, by `_arguments`.
pub fn zsh() -> String {
    let mut out = String::from(
        "#compdef bwrap\n\
         # Generated from the option table: run \"cargo run -p swathe-docs\".\n\n\
         local -a capabilities resources\n",
    );
    let _ = writeln!(out, "capabilities=({})", capabilities());
    let _ = writeln!(out, "resources=({})\n", RESOURCES.join(" "));
    out.push_str("_arguments -S \\\n");
    for spec in TABLE {
        let _ = writeln!(out, "  '{}' \\", zsh_option(spec));
    }
    out.push_str("  '(-)1:command:_command_names -e' \\\n  '(-)*::argument:_normal'\n");
    out
}

fn zsh_option(spec: &Spec) -> String {
    let escaped = |text: &str| {
        let mut out = String::new();
        for c in text.chars() {
            match c {
                '[' | ']' | ':' | '\\' => out.extend(['\\', c]),
                '\'' => out.push_str("'\\''"),
                c => out.push(c),
            }
        }
        out
    };
    let star = if matches!(spec.repeat, Repeat::Each | Repeat::Modifier) { "*" } else { "" };
    let mut out = format!("{star}{}[{}]", spec.name, escaped(spec.help));
    for (i, argument) in spec.arguments.iter().enumerate() {
        let action = match offer(spec, i) {
            Offer::Nothing => " ",
            Offer::Path => "_files",
            Offer::Capability => "compadd -a capabilities",
            Offer::Resource => "compadd -a resources",
            Offer::Variable => "_parameters -g \"*export*\"",
        };
        let _ = write!(out, ":{}:{action}", escaped(argument.name));
    }
    out
}

//! Texts made from the option table: the help, the manual page, the completions.

use crate::options::{Kind, Section, Spec, TABLE};
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
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
/// The marker that is replaced when completions for other kinds of arguments are added.
#[allow(dead_code)]
const _: Option<Kind> = None;

//! A plan as a command for a shell.

use super::quoted;
use crate::out::Printer;
use swathe::plan::model::{FdNumber, FileOp, Plan};
use swathe::plan::options::{Section, Spec, TABLE};
use swathe::plan::render;
use swathe_policy::resolve::Sandbox;

/// Descriptors of made files start here: above those that bash uses itself.
const FIRST_FD: FdNumber = 20;

/// Prints it: one option a line, so that lines can be taken out. Made files come by process
/// substitution, which bash, zsh and ksh have.
pub fn print(out: &mut Printer, sandbox: &Sandbox) {
    let plan = renumbered(sandbox);
    let words = render::render(&plan);
    let lines = options(&words);
    let unknown = extensions(&lines);
    out.line("# for bash, zsh or ksh");
    if !unknown.is_empty() {
        out.line(
            "# bubblewrap's own bwrap does not know these options; without them it enforces less:",
        );
        for name in unknown {
            out.line(&format!("#   {name}"));
        }
    }
    if sandbox.network.is_some() {
        out.line("# swathe itself keeps the rules over hosts: without it nothing is reached");
    }
    out.line("bwrap \\");
    for line in &lines {
        let line: Vec<String> = line.iter().map(|word| quoted(word)).collect();
        out.line(&format!("  {} \\", line.join(" ")));
    }
    let mut command: Vec<String> = vec!["--".to_owned()];
    command.extend(plan.command.iter().map(|word| quoted(word)));
    out.plain(&format!("  {}", command.join(" ")));
    for (at, data) in sandbox.data.iter().enumerate() {
        out.plain(&format!(" \\\n  {}< <(printf '{}')", number(at), format_of(&data.bytes)));
    }
    out.plain("\n");
}

fn number(at: usize) -> FdNumber {
    FIRST_FD + FdNumber::try_from(at).unwrap_or(0)
}

/// The plan with descriptors of small numbers, which every limit allows.
fn renumbered(sandbox: &Sandbox) -> Plan {
    let mut plan = sandbox.plan.clone();
    let new = |fd: &mut FdNumber| {
        if let Some(at) = sandbox.data.iter().position(|data| data.fd == *fd) {
            *fd = number(at);
        }
    };
    for step in &mut plan.steps {
        if let FileOp::File { fd, .. } | FileOp::BindData { fd, .. } = &mut step.op {
            new(fd);
        }
    }
    plan.filters.iter_mut().for_each(|filter| new(&mut filter.value));
    plan
}

fn spec(name: &[u8]) -> Option<&'static Spec> {
    TABLE.iter().find(|spec| spec.name.as_bytes() == name)
}

/// The words of each option, up to the command.
fn options(words: &[Vec<u8>]) -> Vec<&[Vec<u8>]> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(spec) = words.get(at).and_then(|word| spec(word)) {
        let end = words.len().min(at + 1 + spec.arguments.len());
        found.push(&words[at..end]);
        at = end;
    }
    found
}

/// Options that only our bwrap has, each once.
fn extensions(lines: &[&[Vec<u8>]]) -> Vec<&'static str> {
    let mut names = Vec::new();
    for spec in lines.iter().filter_map(|line| spec(line.first()?)) {
        if spec.section == Section::Extensions && !names.contains(&spec.name) {
            names.push(spec.name);
        }
    }
    names
}

/// Bytes as a format of printf(1) between single quotes.
fn format_of(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|byte| match byte {
            b'%' => "%%".to_owned(),
            b'\n' => "\\n".to_owned(),
            b' '..=b'~' if !matches!(byte, b'\'' | b'\\') => char::from(*byte).to_string(),
            _ => format!("\\{byte:03o}"),
        })
        .collect()
}

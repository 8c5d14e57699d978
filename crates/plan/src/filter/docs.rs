//! The table of rules as a page for people: docs/filter.md.

use alloc::format;
use alloc::string::String;

use super::compile::Action;
use super::table::{ALL, Rule, Switch, When, errno};

/// The words of an answer, as in `refused (EPERM)`.
#[must_use]
pub fn answer(action: Action) -> String {
    match action {
        Action::Allow => "allowed".into(),
        Action::Errno(number) => match errno::name(number) {
            Some(name) => format!("refused ({name})"),
            None => format!("refused (error {number})"),
        },
        Action::Kill => "the process is killed".into(),
        Action::Notify => "asked".into(),
    }
}

/// The words of when a rule is in force, as in `without ptrace`.
#[must_use]
pub fn when(when: When) -> String {
    match when {
        When::Always => "always".into(),
        When::With(switch) => format!("with {}", intent(switch)),
        When::Without(switch) => format!("without {}", intent(switch)),
    }
}

/// What switches it, in the words of profiles.
#[must_use]
pub const fn intent(switch: Switch) -> &'static str {
    match switch {
        Switch::NestedSandbox => "nested-sandbox",
        Switch::Ptrace => "ptrace",
        Switch::Bits32 => "32bit",
        Switch::Inet => "internet sockets",
    }
}

/// The page, in Markdown.
#[must_use]
pub fn page() -> String {
    let mut text = String::from(HEAD);
    for (at, rule) in ALL.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|at| ALL.get(at));
        if before.is_none_or(|before| before.topic != rule.topic) {
            text += &format!("\n## {}\n\n| Calls | If | Answer | In force | Why |\n", rule.topic);
            text += "|---|---|---|---|---|\n";
        }
        line(&mut text, rule);
    }
    text
}

fn line(text: &mut String, rule: &Rule) {
    for (at, name) in rule.calls.iter().enumerate() {
        text.push_str(if at == 0 { "| " } else { ", " });
        text.push('`');
        text.push_str(name);
        text.push('`');
    }
    *text += &format!(
        " | {} | {} | {} | {} |\n",
        rule.condition,
        answer(rule.action),
        when(rule.when),
        rule.why
    );
}

const HEAD: &str = "\
# The filter of system calls

This page is made from the table in `crates/plan/src/filter/table.rs` by `cargo run -p swathe-docs`.

`swathe run` loads one seccomp filter. Every system call that Linux 6.18 has is allowed, but what \
is refused below. Of the rows about one call, the first whose condition holds counts.

- **A newer call fails with ENOSYS**, as on a kernel that does not have it: nobody has looked at \
what it can do, and programs know what to do without.
- **32-bit calls** (i386 on x86_64, arm on aarch64) fail with ENOSYS without the intent `32bit`; \
with it the same rows hold for them. The x32 calls of x86_64 always fail with ENOSYS. A call of \
any other machine kills the process.
- **Set-group-ID directories**: a `chmod` that keeps or sets that bit on a directory is refused \
as well, for instance `chmod 755` by GNU chmod on a directory that has it.
- **The intent `nested-sandbox`** also opens openat2, which distributions' bubblewrap cannot do \
without; with it a hostile program can make set-user-ID files, which the rows below refuse otherwise.
- **The intent `32bit`** also opens every family of sockets, since `socketcall` keeps the family in \
memory.

The errors are chosen for what programs do next: ENOSYS where they have a second way or do without, \
EPERM where they would otherwise try something else, and for sockets the error of a kernel without \
the protocol.
";

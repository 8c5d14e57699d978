//! Diagnostics: one line in bubblewrap's words, a second that says more, and the same as JSON.

use crate::hints::{self, Hint};
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt::Write as _;
use swathe_exec::failure::Failure;
use swathe_exec::report;
use swathe_plan::Plan;
use swathe_plan::model::{Bytes, Origin};
use swathe_plan::parse::{ParseError, Warning};
use swathe_plan::{options, render};
use swathe_sys::{Errno, process, rustix};

/// Exit status of every failure of ours.
pub const FAILURE: i32 = 1;

/// Where diagnostics go, and how they look.
#[derive(Debug, Default)]
pub struct Reporter {
    level_prefix: bool,
    json_fd: Option<i32>,
}

impl Reporter {
    /// Adopts what the plan says about diagnostics.
    pub fn follow(&mut self, plan: &Plan) {
        self.level_prefix = plan.level_prefix;
        self.json_fd = plan.json_errors_fd;
    }

    /// Whether diagnostics carry a level.
    pub fn level(&mut self, level_prefix: bool) {
        self.level_prefix = level_prefix;
    }

    /// A command line that cannot be used. Returns the exit status.
    pub fn parse_error(&mut self, error: &ParseError, words: &[&[u8]]) -> i32 {
        self.level_prefix = error.level_prefix;
        self.json_fd = error.json_errors_fd;
        let asked = error.origin.map(|origin| Asked { origin, words: used(&origin, words) });
        let hint = Hint { cause: error.hint.clone(), fix: String::new() };
        self.error(&error.message, "parse", asked, 0, &hint);
        FAILURE
    }

    /// A rule on combinations that is broken. Returns the exit status.
    pub fn rule(&self, text: &str) -> i32 {
        self.error(text.as_bytes(), "check", None, 0, &hints::rule(text));
        FAILURE
    }

    /// A remark.
    pub fn warning(&mut self, warning: &Warning) {
        self.level_prefix = warning.level_prefix;
        self.line(4, warning.message.as_bytes());
    }

    /// A step that failed. `explain`: whether the host can still be asked. Returns the exit status.
    pub fn failure(&self, plan: &Plan, failure: &Failure, explain: bool) -> i32 {
        let asked = report::step(plan, failure)
            .map(|step| Asked { origin: step.origin, words: render::operation(&step.op) });
        let hint = if explain { hints::explain(plan, failure) } else { Hint::default() };
        let step = format!("{:?}", failure.stage);
        let mut text = report::message(plan, failure);
        if let Some(found) = hints::existing_link(plan, failure).filter(|_| explain) {
            text = found;
        }
        self.error(&text, &step, asked, failure.errno, &hint);
        FAILURE
    }

    /// An explanation of how the command ended.
    pub fn explanation(&self, hint: &Hint) {
        if self.json_fd.is_none() {
            self.hint(None, hint);
        }
    }

    fn error(&self, text: &[u8], step: &str, asked: Option<Asked>, errno: i32, hint: &Hint) {
        // Who reads the one does not want the other beside it: standard error is the program's.
        let told = self.json_fd.is_some_and(|fd| {
            write_all(fd, json(text, step, asked.as_ref(), errno, hint).as_bytes()).is_ok()
        });
        if !told {
            self.line(3, text);
            self.hint(asked.as_ref(), hint);
        }
    }

    fn hint(&self, asked: Option<&Asked>, hint: &Hint) {
        let asked = asked
            .map(|a| format!("{} ({})", hints::place(&a.origin), hints::shell_words(&a.words)));
        let said = [hint.cause.clone(), hint.fix.clone()];
        let said = said.into_iter().filter(|s| !s.is_empty()).collect::<Vec<_>>().join("; ");
        let text = match (asked, said.is_empty()) {
            (None, true) => return,
            (None, false) => said,
            (Some(asked), true) => format!("it was asked for by {asked}"),
            (Some(asked), false) => format!("{asked}: {said}"),
        };
        self.line(3, format!("hint: {text}").as_bytes());
    }

    /// Text as it is, on standard error.
    pub fn raw(&self, text: &[u8]) {
        let _ = write_all(2, text);
    }

    /// One line in one write, so that lines of several processes do not mix.
    fn line(&self, level: u8, text: &[u8]) {
        let mut out = Vec::with_capacity(text.len() + 16);
        if self.level_prefix {
            out.extend([b'<', b'0' + level, b'>']);
        }
        out.extend(b"bwrap: ");
        // Bytes that a program would match stay as they are; a terminal must not obey them.
        let terminal = process::borrow_fd(2).is_ok_and(rustix::termios::isatty);
        for &byte in text {
            match byte {
                0..0x20 | 0x7f if terminal => out.extend(byte.escape_ascii()),
                _ => out.push(byte),
            }
        }
        out.push(b'\n');
        let _ = write_all(2, &out);
    }
}

/// The words that asked for something.
struct Asked {
    origin: Origin,
    words: Vec<Bytes>,
}

/// The words of an option that is wrong, as far as they are on the command line.
fn used(origin: &Origin, words: &[&[u8]]) -> Vec<Bytes> {
    let spec = options::spec(origin.opt);
    if origin.args_fd.is_some() {
        return vec![spec.name.into()];
    }
    let start = origin.index as usize - 1;
    let end = words.len().min(start + 1 + spec.arguments.len());
    words.get(start..end).unwrap_or_default().iter().map(|w| w.to_vec()).collect()
}

/// One object on one line. Bytes that are no UTF-8 appear as replacement characters.
fn json(text: &[u8], step: &str, asked: Option<&Asked>, errno: i32, hint: &Hint) -> String {
    let quote = |bytes: &[u8]| {
        let mut out = String::from("\"");
        for c in String::from_utf8_lossy(bytes).chars() {
            match c {
                '"' | '\\' => out.extend(['\\', c]),
                c if c.is_control() => {
                    let _ = write!(out, "\\u{:04x}", u32::from(c));
                }
                c => out.push(c),
            }
        }
        out.push('"');
        out
    };
    let mut out = format!("{{\"message\":{},\"step\":{}", quote(text), quote(step.as_bytes()));
    if let Some(asked) = asked {
        let words: Vec<String> = asked.words.iter().map(|w| quote(w)).collect();
        let name = quote(options::spec(asked.origin.opt).name.as_bytes());
        let _ = write!(out, ",\"option\":{name},\"argument\":{}", asked.origin.index);
        if let Some(fd) = asked.origin.args_fd {
            let _ = write!(out, ",\"args_fd\":{fd}");
        }
        let _ = write!(out, ",\"words\":[{}]", words.join(","));
    }
    if errno != 0 {
        let _ = write!(
            out,
            ",\"errno\":{errno},\"error\":{}",
            quote(report::error_text(errno).as_bytes())
        );
    }
    for (name, value) in [("cause", &hint.cause), ("fix", &hint.fix)] {
        if !value.is_empty() {
            let _ = write!(out, ",\"{name}\":{}", quote(value.as_bytes()));
        }
    }
    out.push_str("}\n");
    out
}

/// Writes everything to a descriptor by number.
pub fn write_all(number: i32, text: &[u8]) -> Result<(), Errno> {
    let fd = process::borrow_fd(number)?;
    let mut rest = text;
    while !rest.is_empty() {
        match rustix::io::write(fd, rest) {
            Ok(n) => rest = &rest[n..],
            Err(Errno::INTR) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

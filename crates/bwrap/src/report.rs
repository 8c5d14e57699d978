//! Diagnostics: one line in bubblewrap's words, a second that says more, and the same as JSON.

use swathe_exec::failure::Failure;
use swathe_exec::report;
use swathe_plan::Plan;
use swathe_plan::parse::{ParseError, Warning};
use swathe_sys::{Errno, process, rustix};

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

    /// A command line that cannot be used. Returns the exit status.
    pub fn parse_error(&mut self, error: &ParseError, _words: &[&[u8]]) -> i32 {
        self.level_prefix = error.level_prefix;
        self.json_fd = error.json_errors_fd;
        self.line(3, &error.message);
        if !error.hint.is_empty() {
            self.hint(&error.hint);
        }
        1
    }

    /// A rule on combinations that is broken. Returns the exit status.
    pub fn rule(&self, text: &str) -> i32 {
        self.line(3, text.as_bytes());
        1
    }

    /// A remark.
    pub fn warning(&mut self, warning: &Warning) {
        self.level_prefix = warning.level_prefix;
        self.line(4, warning.message.as_bytes());
    }

    /// A step that failed. Returns the exit status.
    pub fn failure(&self, plan: &Plan, failure: &Failure) -> i32 {
        self.line(3, &report::message(plan, failure));
        1
    }

    /// Text as it is, on standard error.
    pub fn raw(&self, text: &[u8]) {
        let _ = write_all(2, text);
    }

    fn hint(&self, text: &str) {
        self.line(3, format!("hint: {text}").as_bytes());
    }

    /// One line in one write, so that lines of several processes do not mix.
    fn line(&self, level: u8, text: &[u8]) {
        let mut out = Vec::with_capacity(text.len() + 16);
        if self.level_prefix {
            out.extend([b'<', b'0' + level, b'>']);
        }
        out.extend(b"bwrap: ");
        out.extend(text);
        out.push(b'\n');
        let _ = write_all(2, &out);
    }
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

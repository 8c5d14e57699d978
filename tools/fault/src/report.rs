//! Counts outcomes, shows the bad ones, and writes the summary.

use std::collections::BTreeMap;
use std::io::{self, Write};

use crate::verdict::{Class, Verdict, difference};

/// The outcomes of a run so far.
pub struct Report {
    counts: BTreeMap<Class, u64>,
    /// How often each bad outcome of the same kind at the same call was shown.
    shown: u64,
    show: u64,
    verbose: bool,
}

impl Report {
    /// An empty report that shows at most `show` bad cases in full, and the good ones too if
    /// `verbose`.
    pub fn new(show: u64, verbose: bool) -> Self {
        Self { counts: BTreeMap::new(), shown: 0, show, verbose }
    }

    /// Writes a line to standard output. A reader that went away is not an error.
    pub fn line(&self, text: &str) {
        let _ = writeln!(io::stdout().lock(), "{text}");
    }

    /// Counts an outcome; shows a bad one with the command that repeats it.
    pub fn verdict(&mut self, label: &str, again: &str, verdict: &Verdict) {
        *self.counts.entry(verdict.class).or_default() += 1;
        if !verdict.class.bad() && !self.verbose {
            return;
        }
        if verdict.class.bad() {
            self.shown += 1;
            if self.shown > self.show {
                return;
            }
        }
        let mut text = format!("{}: {label}", verdict.class);
        for line in verdict.detail.lines() {
            text.push_str(&format!("\n    {line}"));
        }
        if verdict.class.bad() {
            text.push_str(&format!("\n    again: {again}"));
        }
        self.line(&text);
    }

    /// A part of the run that could not take place.
    pub fn broken(&mut self, label: &str, error: &str) {
        self.verdict(label, "as this run", &Verdict::new(Class::Broken, error));
    }

    /// Counts the comparison of the files before and after all launches as one outcome.
    pub fn unchanged(&mut self, before: &[String], after: &[String]) {
        let (before, after) = (before.join("\n"), after.join("\n"));
        let verdict = if before == after {
            Verdict::new(Class::Gone, "")
        } else {
            Verdict::new(Class::FailOpen, difference(&before, &after))
        };
        self.verdict("files on the host are unchanged", "as this run", &verdict);
    }

    /// Writes the counts and the summary. Whether everything passed.
    pub fn finish(&self) -> bool {
        if self.shown > self.show {
            let hidden = self.shown - self.show;
            self.line(&format!("... and {hidden} more bad cases (--show N shows more)"));
        }
        let mut failed = 0;
        let mut passed = 0;
        for (class, count) in &self.counts {
            self.line(&format!("{class:>14}  {count}"));
            *(if class.bad() { &mut failed } else { &mut passed }) += count;
        }
        self.line(&format!("{passed} passed, {failed} failed"));
        failed == 0 && passed > 0
    }
}

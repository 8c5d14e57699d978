//! Counts outcomes, shows the bad ones, and writes the summary.

use std::collections::BTreeMap;
use std::io::{self, Write};

use crate::verdict::{Class, Verdict, difference};

/// With more bad cases than this the summary groups them.
const GROUPS_FROM: u64 = 10;

/// The outcomes of a run so far.
pub struct Report {
    counts: BTreeMap<Class, u64>,
    /// Bad outcomes so far.
    shown: u64,
    /// Bad outcomes by class and by what was disturbed.
    groups: BTreeMap<(Class, String), u64>,
    show: u64,
    verbose: bool,
}

impl Report {
    /// An empty report that shows at most `show` bad cases in full, and the good ones too if
    /// `verbose`.
    pub fn new(show: u64, verbose: bool) -> Self {
        Self { counts: BTreeMap::new(), shown: 0, groups: BTreeMap::new(), show, verbose }
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
            // Indices and moments vary from case to case; words do not.
            let varies = |w: &&str| !w.contains(|c: char| c.is_ascii_digit());
            let group = label.split_whitespace().filter(varies).collect::<Vec<_>>().join(" ");
            *self.groups.entry((verdict.class, group)).or_default() += 1;
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
        if self.shown > GROUPS_FROM {
            self.line("bad cases by kind:");
            for ((class, group), count) in &self.groups {
                self.line(&format!("{count:>7}  {class}: {group}"));
            }
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

//! The part on the `swathe` command: a run beside the same plan in bare `bwrap`, a command that
//! enters a session beside a launch, and jobs in and outside a sandbox, all interleaved.

mod cells;
mod record;
mod table;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use crate::args::Args;
use crate::fixture::Fixture;
use crate::{host, run};

pub use record::{RECORD, record};
pub use table::{Line, table};

/// What a row is about, and how it is judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// By how much the first cell takes longer than the second, in µs.
    Difference(&'static str, &'static str),
    /// How much longer the first cell takes than the second.
    Ratio(&'static str, &'static str),
    /// The ratio of a job in a sandbox, without what starting one takes, to the same job outside.
    Inside(&'static str, &'static str),
    /// A count of this name, which depends on no machine.
    Count(&'static str),
}

/// One row: its name, kind, and the targets from docs/benchmarks.md.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    pub name: &'static str,
    pub kind: Kind,
    /// At most this must be reached; `None`: recorded only.
    pub must: Option<f64>,
    /// At most this is aimed at.
    pub aim: Option<f64>,
}

impl Row {
    /// Whether missing the target fails the run: only where the figure depends on no machine.
    pub fn gates(&self) -> bool {
        matches!(self.kind, Kind::Count(_)) && self.must.is_some()
    }
}

const fn row(name: &'static str, kind: Kind, must: Option<f64>, aim: Option<f64>) -> Row {
    Row { name, kind, must, aim }
}

use Kind::{Count, Difference, Inside, Ratio};

/// Every row, in the order of the table.
pub const ROWS: &[Row] = &[
    row("swathe-run", Difference("run", "bare"), Some(5000.0), Some(2000.0)),
    row("swathe-run-write", Difference("run-write", "bare-write"), Some(5000.0), Some(2000.0)),
    row("swathe-entered", Ratio("entered", "run"), Some(0.1), None),
    row("swathe-entered-command", Ratio("entered-command", "run"), None, None),
    row("swathe-entered-spawn", Ratio("entered", "plain"), None, None),
    row("swathe-entered-command-spawn", Ratio("entered-command", "plain"), None, None),
    row("swathe-git", Ratio("git-swathe", "git-plain"), None, None),
    row("swathe-git-inside", Inside("git-swathe", "git-plain"), None, Some(1.05)),
    row("swathe-find", Ratio("find-swathe", "find-plain"), None, None),
    row("swathe-find-inside", Inside("find-swathe", "find-plain"), None, Some(1.05)),
    row("swathe-cc", Ratio("cc-swathe", "cc-plain"), None, None),
    row("swathe-cc-inside", Inside("cc-swathe", "cc-plain"), None, Some(1.05)),
    row("swathe-calls", Count("calls"), Some(450.0), Some(300.0)),
    row("swathe-calls-write", Count("calls-write"), None, None),
    row("swathe-processes", Count("processes"), Some(4.0), Some(4.0)),
];

/// What was measured: by cell or count, in order of rounds; and why something was not.
#[derive(Default)]
pub struct Samples {
    pub values: BTreeMap<String, Vec<f64>>,
    pub failures: BTreeMap<String, String>,
}

impl Samples {
    fn read(text: &str) -> Self {
        let mut samples = Self::default();
        for line in text.lines() {
            let fields: Vec<&str> = line.splitn(3, '\t').collect();
            let [what, name, value] = fields[..] else { continue };
            match (what, value.parse()) {
                ("value", Ok(v)) => samples.values.entry(name.to_owned()).or_default().push(v),
                _ => _ = samples.failures.insert(name.to_owned(), value.to_owned()),
            }
        }
        samples
    }
}

/// What the measurements share.
pub struct Part<'a> {
    args: &'a Args,
    fixture: &'a Fixture,
    swathe: PathBuf,
    bwrap: PathBuf,
    /// The user to measure as, when started as root.
    user: Option<u32>,
    /// The workspace, whose repository is worked in.
    workspace: Option<PathBuf>,
}

impl<'a> Part<'a> {
    /// The programs are copies that every user can run.
    pub fn new(
        args: &'a Args,
        fixture: &'a Fixture,
        swathe: PathBuf,
        bwrap: PathBuf,
        user: Option<u32>,
        workspace: Option<PathBuf>,
    ) -> io::Result<Self> {
        let part = Part { args, fixture, swathe, bwrap, user, workspace };
        part.files()?;
        Ok(part)
    }

    /// Measures everything.
    pub fn measure(&self) -> io::Result<Vec<Line>> {
        run::eprint_line("measuring swathe beside bwrap");
        let text = host::in_child(|out| self.work(out))?;
        Ok(table::lines(&Samples::read(&text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names are unique, and no figure that depends on the machine's speed can fail a run.
    #[test]
    fn table_is_consistent() {
        for (i, row) in ROWS.iter().enumerate() {
            assert!(ROWS[..i].iter().all(|r| r.name != row.name), "{} twice", row.name);
            let counts = matches!(row.kind, Kind::Count(_));
            assert_eq!(row.gates(), counts && row.must.is_some(), "{}", row.name);
        }
    }
}

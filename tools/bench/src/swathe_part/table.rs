//! From samples to the table and the JSON objects.

use std::fmt::Write;

use super::{Kind, ROWS, Row, Samples};
use crate::report::{number, quoted};
use crate::stats::{self, Dist};

/// One line of the table.
pub struct Line {
    pub row: &'static Row,
    /// With swathe, and what it is compared with; of a count only the first.
    cells: [Option<Dist>; 2],
    /// Median of the paired differences, µs.
    difference: Option<f64>,
    /// Median of the paired ratios.
    ratio: Option<f64>,
    /// Whether the target is met.
    met: Option<bool>,
    /// Why there is no figure.
    note: Option<String>,
}

impl Line {
    /// Whether this line fails the run.
    pub fn fails(&self) -> bool {
        self.row.gates() && self.met == Some(false)
    }

    /// As a JSON object.
    pub fn json(&self) -> String {
        let unit = if matches!(self.row.kind, Kind::Count(_)) { "count" } else { "us" };
        let mut out = format!("{{\"row\": {}, \"unit\": \"{unit}\"", quoted(self.row.name));
        for (name, cell) in ["swathe", "beside"].into_iter().zip(self.cells) {
            if let Some(Dist { median, p99 }) = cell {
                let _ = write!(out, ", \"{name}\": {{\"median\": {median}, \"p99\": {p99}}}");
            }
        }
        for (name, value) in [
            ("difference", self.difference),
            ("ratio", self.ratio),
            ("must", self.row.must),
            ("aim", self.row.aim),
        ] {
            if let Some(value) = value.filter(|v| v.is_finite()) {
                let _ = write!(out, ", \"{name}\": {value}");
            }
        }
        if let Some(met) = self.met {
            let _ = write!(out, ", \"met\": {met}");
        }
        let notes = self.note.as_deref().map(quoted).unwrap_or_default();
        let _ = write!(out, ", \"gate\": {}, \"notes\": [{notes}]}}", self.row.gates());
        out
    }
}

/// Computes all lines from what was measured.
pub fn lines(samples: &Samples) -> Vec<Line> {
    ROWS.iter().map(|row| line(row, samples)).collect()
}

fn line(row: &'static Row, samples: &Samples) -> Line {
    let get = |name: &str| samples.values.get(name).map(Vec::as_slice);
    let (a, b) = match row.kind {
        Kind::Difference(a, b) | Kind::Ratio(a, b) | Kind::Inside(a, b) => (a, Some(b)),
        Kind::Count(a) => (a, None),
    };
    let names = [Some(a), b];
    let failure = names.iter().flatten().find_map(|name| samples.failures.get(*name));
    let first = match row.kind {
        Kind::Inside(..) => inside(get(a), get("run"), get("plain")),
        _ => get(a).map(<[f64]>::to_vec),
    };
    let second = b.and_then(get);
    let pair = |f: fn(&[f64], &[f64]) -> Option<f64>| f(first.as_deref()?, second?);
    let (difference, ratio) = (pair(stats::paired_difference), pair(stats::paired));
    let figure = match row.kind {
        Kind::Difference(..) => difference,
        Kind::Ratio(..) | Kind::Inside(..) => ratio,
        Kind::Count(_) => first.as_deref().and_then(stats::dist).map(|d| d.median),
    };
    // What is only aimed at is told as well.
    let met = match (row.must.or(row.aim), figure) {
        (Some(most), Some(figure)) => Some(figure <= most),
        (Some(_), None) if failure.is_some_and(|f| !f.starts_with("skipped")) => Some(false),
        _ => None,
    };
    let cells = [first.as_deref().and_then(stats::dist), second.and_then(stats::dist)];
    Line { row, cells, difference, ratio, met, note: failure.cloned() }
}

/// A job's times without what a launch takes beyond a plain spawn in the same round.
fn inside(job: Option<&[f64]>, run: Option<&[f64]>, plain: Option<&[f64]>) -> Option<Vec<f64>> {
    let (job, run, plain) = (job?, run?, plain?);
    let all = job.iter().zip(run).zip(plain);
    (job.len() == run.len() && run.len() == plain.len())
        .then(|| all.map(|((job, run), plain)| job - (run - plain)).collect())
}

/// The table as text.
pub fn table(lines: &[Line]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let mut out = format!(
        "\n{:<30} {:>9} {:>9} {:>11} {:>7}  {:>6} {:>6}  met\n",
        "row", "swathe", "beside", "difference", "ratio", "must", "aim"
    );
    for line in lines {
        let [a, b] = line.cells.map(|c| number(c.map(|d| d.median)));
        let target = |t: Option<f64>| t.map_or("-".to_owned(), |t| format!("{t}"));
        let met = match (line.met, line.row.gates()) {
            (Some(true), _) => "yes",
            (Some(false), true) => "NO (gate)",
            (Some(false), false) => "no",
            (None, _) => "-",
        };
        let _ = writeln!(
            out,
            "{:<30} {a:>9} {b:>9} {:>11} {:>7}  {:>6} {:>6}  {met}",
            line.row.name,
            number(line.difference),
            line.ratio.map_or("-".to_owned(), |r| format!("{r:.3}")),
            target(line.row.must),
            target(line.row.aim),
        );
    }
    for line in lines {
        if let Some(note) = &line.note {
            let _ = writeln!(out, "{}: {note}", line.row.name);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, text: &str) -> Line {
        lines(&Samples::read(text))
            .into_iter()
            .find(|line| line.row.name == name)
            .unwrap_or_else(|| panic!("no row {name}"))
    }

    /// Times are judged by paired differences and ratios, and never fail a run; counts do, also
    /// when they could not be taken, but not when they were left out with a reason.
    #[test]
    fn judges() {
        let text = "value\trun\t9000\nvalue\tbare\t3000\nvalue\trun\t90000\nvalue\tbare\t84000\n";
        let line = of("swathe-run", text);
        assert_eq!((line.difference, line.met, line.fails()), (Some(6000.0), Some(false), false));
        let text = "value\tentered\t500\nvalue\trun\t10000\n";
        assert_eq!(of("swathe-entered", text).met, Some(true));
        assert!(of("swathe-processes", "value\tprocesses\t9\n").fails());
        assert!(!of("swathe-processes", "value\tprocesses\t4\n").fails());
        assert!(of("swathe-processes", "fail\tprocesses\tstatus 0x100\n").fails());
        assert!(!of("swathe-processes", "fail\tprocesses\tskipped: none\n").fails());
    }

    /// A job's own ratio leaves out what the launch of its sandbox takes.
    #[test]
    fn jobs_without_their_launch() {
        let text = "value\tgit-swathe\t60\nvalue\tgit-plain\t50\nvalue\trun\t12\nvalue\tplain\t2\n";
        assert_eq!(of("swathe-git-inside", text).ratio, Some(1.0));
        assert_eq!(of("swathe-git", text).ratio, Some(1.2));
    }
}

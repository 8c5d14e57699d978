//! From samples to the table and the JSON file.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::rows::{Kind, Row};
use crate::run::{Samples, Who};
use crate::stats::{self, Dist};

/// One line of the table.
pub struct Line {
    /// The row it answers.
    pub row: &'static Row,
    /// Median and p99, in the order of `Who::ALL`.
    pub cells: [Option<Dist>; 3],
    /// Median of the paired ratios ours / bubblewrap.
    pub to_oracle: Option<f64>,
    /// Median of the paired ratios ours / floor.
    pub to_floor: Option<f64>,
    /// Whether the target is met; `None` without a target, or when ours or what the target
    /// compares with was not there to be measured.
    pub met: Option<bool>,
    /// Why a cell is empty.
    pub notes: Vec<String>,
}

impl Line {
    /// Whether this line fails the run: it gates, ours was measured or failed, and the target is
    /// not met.
    pub fn fails(&self) -> bool {
        self.row.gates() && self.met == Some(false)
    }
}

/// Computes the lines of `rows` from what was measured.
pub fn lines(rows: &[&'static Row], samples: &Samples) -> Vec<Line> {
    rows.iter().map(|row| line(row, rows, samples)).collect()
}

fn line(row: &'static Row, rows: &[&'static Row], samples: &Samples) -> Line {
    let get = |name: &str, who: Who| samples.values.get(&(name.to_owned(), who));
    let ours = get(row.name, Who::Ours);
    let pair = |who| stats::paired(ours?, get(row.name, who)?);
    let (mut cells, mut notes) = ([None; 3], Vec::new());
    let mut failed = false;
    for (cell, who) in cells.iter_mut().zip(Who::ALL) {
        *cell = match row.sources() {
            [] => get(row.name, who).and_then(|v| stats::dist(v)),
            names => bend(row, rows, names, |name| stats::dist(get(name, who)?)),
        };
        if let Some(why) = samples.failures.get(&(row.name.to_owned(), who)) {
            failed |= who == Who::Ours && !why.starts_with("skipped");
            notes.push(format!("{}: {why}", who.name()));
        }
    }
    let (to_oracle, to_floor) = (pair(Who::Oracle), pair(Who::Floor));
    let figure = if row.is_relative() { to_oracle } else { cells[0].map(|d| d.median) };
    // A machine that is busy bends every program's times, the floor's too: what counts is what ours
    // bends more.
    let bent = match row.kind {
        Kind::TimeBend(_) => cells[2].map_or(1.0, |floor| floor.median.max(1.0)),
        _ => 1.0,
    };
    let figure = figure.map(|figure| figure / bent);
    let met = match (row.must, figure) {
        (Some(_), _) if failed => Some(false),
        (Some(must), Some(v)) => Some(if row.more_is_better() { v >= must } else { v <= must }),
        _ => None,
    };
    Line { row, cells, to_oracle, to_floor, met, notes }
}

/// The bend of a cost over the three rows `names`. Growth below a hundredth of the smallest cost
/// per hundred units is taken for that much (see `stats::bend`).
fn bend(
    row: &Row,
    rows: &[&'static Row],
    names: &[&str],
    get: impl Fn(&str) -> Option<Dist>,
) -> Option<Dist> {
    let mut points = [(0.0, 0.0); 3];
    for (point, name) in points.iter_mut().zip(names) {
        let source = rows.iter().find(|r| r.name == *name)?;
        *point = (source.extent() as f64, get(name)?.median);
    }
    let per_unit = if matches!(row.kind, Kind::CallsBend(_)) { 0.01 } else { points[0].1 / 5000.0 };
    let bend = stats::bend(points, per_unit);
    Some(Dist { median: bend, p99: bend })
}

/// The table as text.
pub fn table(lines: &[Line]) -> String {
    let mut out = format!(
        "{:<26}{:>6} {:>9} {:>9} {:>9} {:>7} {:>7}  {:>9} {:>9} {:>9}  {:>6} {:>6}  {}\n",
        "row",
        "unit",
        "ours",
        "bwrap",
        "floor",
        "/bwrap",
        "/floor",
        "p99 ours",
        "p99 bwrap",
        "p99 floor",
        "must",
        "aim",
        "met"
    );
    for line in lines {
        let medians = line.cells.map(|c| number(c.map(|d| d.median)));
        let p99s = line.cells.map(|c| match line.row.kind {
            Kind::Time(..) => number(c.map(|d| d.p99)),
            _ => String::new(),
        });
        let ratio = |r: Option<f64>| r.map_or("-".to_owned(), |r| format!("{r:.2}"));
        let target = |t: Option<f64>| t.map_or("-".to_owned(), |t| format!("{t}"));
        let met = match (line.met, line.row.gates()) {
            (Some(true), _) => "yes",
            (Some(false), true) => "NO (gate)",
            (Some(false), false) => "no",
            (None, _) => "-",
        };
        let _ = writeln!(
            out,
            "{:<26}{:>6} {:>9} {:>9} {:>9} {:>7} {:>7}  {:>9} {:>9} {:>9}  {:>6} {:>6}  {met}",
            line.row.name,
            line.row.unit(),
            medians[0],
            medians[1],
            medians[2],
            ratio(line.to_oracle),
            ratio(line.to_floor),
            p99s[0],
            p99s[1],
            p99s[2],
            target(line.row.must),
            target(line.row.aim),
        );
    }
    let mut by_note: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in lines {
        line.notes.iter().for_each(|n| by_note.entry(n).or_default().push(line.row.name));
    }
    for (note, names) in by_note {
        let _ = writeln!(out, "{}: {note}", names.join(", "));
    }
    out
}

/// A figure with as many digits as say something.
pub fn number(v: Option<f64>) -> String {
    match v {
        None => "-".to_owned(),
        Some(v) if v.abs() < 10.0 && v.fract() != 0.0 => format!("{v:.2}"),
        Some(v) => format!("{v:.0}"),
    }
}

/// The figures as JSON: `facts` (name, value) about the run, then one object per row, then the
/// objects of the rows on swathe.
pub fn json(facts: &[(&str, String)], lines: &[Line], swathe: &[String]) -> String {
    let mut out = "{\n".to_owned();
    for (name, value) in facts {
        let _ = writeln!(out, "  {}: {},", quoted(name), quoted(value));
    }
    out.push_str("  \"rows\": [\n");
    for (i, line) in lines.iter().enumerate() {
        let row = line.row;
        let _ =
            write!(out, "    {{\"row\": {}, \"unit\": {}", quoted(row.name), quoted(row.unit()));
        for (who, cell) in Who::ALL.into_iter().zip(line.cells) {
            if let Some(Dist { median, p99 }) = cell {
                let _ = write!(
                    out,
                    ", {}: {{\"median\": {median}, \"p99\": {p99}}}",
                    quoted(who.name())
                );
            }
        }
        for (name, value) in [
            ("ratio_to_bubblewrap", line.to_oracle),
            ("ratio_to_floor", line.to_floor),
            ("must", row.must),
            ("aim", row.aim),
        ] {
            if let Some(value) = value.filter(|v| v.is_finite()) {
                let _ = write!(out, ", {}: {value}", quoted(name));
            }
        }
        if let Some(met) = line.met {
            let _ = write!(out, ", \"met\": {met}");
        }
        let notes: Vec<String> = line.notes.iter().map(|n| quoted(n)).collect();
        let comma = if i + 1 < lines.len() { "," } else { "" };
        let _ = writeln!(
            out,
            ", \"gate\": {}, \"notes\": [{}]}}{comma}",
            row.gates(),
            notes.join(", ")
        );
    }
    let _ = writeln!(out, "  ],\n  \"swathe\": [\n    {}\n  ]\n}}", swathe.join(",\n    "));
    out
}

/// A JSON string.
pub fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::ROWS;

    fn of(name: &str, samples: &Samples) -> Line {
        let rows: Vec<&'static Row> = ROWS.iter().collect();
        lines(&rows, samples)
            .into_iter()
            .find(|l| l.row.name == name)
            .unwrap_or_else(|| panic!("no row {name}"))
    }

    fn samples(values: &[(&str, Who, &[f64])]) -> Samples {
        let values = values.iter().map(|(row, who, v)| (((*row).to_owned(), *who), v.to_vec()));
        Samples { values: values.collect(), ..Samples::default() }
    }

    /// A time is judged by its ratio to bubblewrap and never fails a run; a rate is judged upwards.
    #[test]
    fn judges_ratios() {
        let s = samples(&[
            ("min", Who::Ours, &[4.0, 5.0]),
            ("min", Who::Oracle, &[8.0, 10.0]),
            ("rate-std", Who::Ours, &[15.0]),
            ("rate-std", Who::Oracle, &[10.0]),
        ]);
        let min = of("min", &s);
        assert_eq!((min.to_oracle, min.met, min.fails()), (Some(0.5), Some(false), false));
        assert_eq!(of("rate-std", &s).met, Some(true));
        assert_eq!(of("std", &s).met, None);
    }

    /// A count over its limit fails the run, and so does one that could not be taken.
    #[test]
    fn gates_counts() {
        let mut s =
            samples(&[("calls-min", Who::Ours, &[80.0]), ("calls-std", Who::Ours, &[201.0])]);
        s.failures.insert(("calls-agent".to_owned(), Who::Ours), "status 0x100".to_owned());
        assert!(!of("calls-min", &s).fails());
        assert!(of("calls-std", &s).fails());
        assert!(of("calls-agent", &s).fails());
    }

    /// A quadratic launch time fails the linearity row; a linear one does not.
    #[test]
    fn gates_linearity() {
        let cost = |f: fn(f64) -> f64| {
            let v = [0.0, 300.0, 1000.0].map(f);
            let [a, b, c] = &v;
            let one = std::slice::from_ref;
            let s = samples(&[
                ("std", Who::Ours, one(a)),
                ("binds-300", Who::Ours, one(b)),
                ("binds-1000", Who::Ours, one(c)),
            ]);
            of("linear-binds", &s).fails()
        };
        assert!(!cost(|n| 1000.0 + 10.0 * n));
        assert!(cost(|n| 1000.0 + n * n));
    }

    /// Text goes into JSON with what JSON reserves escaped.
    #[test]
    fn quotes() {
        assert_eq!(quoted("a\"b\\c\n"), "\"a\\\"b\\\\c\\u000a\"");
    }
}

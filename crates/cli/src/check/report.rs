//! What a check found, for people and for programs.

use super::probe::{Class, Finding, Probe};
use crate::out::{Failure, Printer, Style, shown};
use serde_json::{Value, json};

/// What is to be thought of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Open outside and closed inside: the sandbox contains it.
    Contained,
    /// Open inside.
    Open,
    /// Closed outside, too, or not there: nobody's merit.
    NotHere,
    /// The probe ended without saying anything.
    Unclear,
}

impl Verdict {
    fn name(self) -> &'static str {
        match self {
            Self::Contained => "contained",
            Self::Open => "open",
            Self::NotHere => "n/a here",
            Self::Unclear => "unclear",
        }
    }

    fn style(self) -> Style {
        match self {
            Self::Contained => Style::Green,
            Self::Open => Style::Red,
            Self::NotHere => Style::Dim,
            Self::Unclear => Style::Yellow,
        }
    }
}

/// One probe, inside and outside.
pub struct Row {
    probe: &'static Probe,
    inside: Finding,
    outside: Finding,
    /// What is to be thought of it.
    pub verdict: Verdict,
}

/// SIGSYS, by which a filter ends a process.
const SIGSYS: i32 = 31;

impl Row {
    /// Judges.
    pub fn new(probe: &'static Probe, inside: Finding, outside: Finding) -> Self {
        let verdict = match (&inside, &outside) {
            (Finding::Open(_), _) => Verdict::Open,
            (Finding::Killed(signal), Finding::Open(_)) if *signal == SIGSYS => Verdict::Contained,
            (Finding::Closed(_) | Finding::Absent(_), Finding::Open(_)) => Verdict::Contained,
            (Finding::Closed(_) | Finding::Absent(_), Finding::Closed(_) | Finding::Absent(_)) => {
                Verdict::NotHere
            }
            // It crashes without a sandbox, too: a machine without that table of calls does so.
            (Finding::Closed(_) | Finding::Absent(_), Finding::Killed(_)) => Verdict::NotHere,
            (Finding::Killed(one), Finding::Killed(other)) if one == other && *one != 0 => {
                Verdict::NotHere
            }
            _ => Verdict::Unclear,
        };
        Self { probe, inside, outside, verdict }
    }
}

/// A finding as a word and its detail.
fn told(finding: &Finding) -> (&'static str, String) {
    match finding {
        Finding::Open(detail) => ("open", detail.clone()),
        Finding::Closed(detail) => ("closed", detail.clone()),
        Finding::Absent(detail) => ("absent", detail.clone()),
        Finding::Killed(0) => ("unclear", "it ended without saying anything".to_owned()),
        Finding::Killed(signal) => ("unclear", format!("killed by signal {signal}")),
        Finding::Hung => ("unclear", "it took too long".to_owned()),
    }
}

/// Widths of the columns before the last.
const ID: usize = 19;
const VERDICT: usize = 10;
const LAYER: usize = 10;
const OUTSIDE: usize = 8;

/// For people.
pub fn table(out: &mut Printer, rows: &[Row], verbose: bool) {
    let head = format!(
        "{:ID$}{:VERDICT$}{:LAYER$}{:OUTSIDE$}{}",
        "PROBE", "INSIDE", "LAYER", "OUTSIDE", "TRIED TO"
    );
    out.styled(Style::Dim, head.trim_end()).plain("\n");
    for class in [Class::Escape, Class::Leak, Class::Surface, Class::Resource] {
        out.styled(Style::Bold, class.name()).plain("\n");
        for row in rows.iter().filter(|row| row.probe.class == class) {
            line(out, row);
            if verbose || matches!(row.verdict, Verdict::Open | Verdict::Unclear) {
                for (side, finding) in [("inside", &row.inside), ("outside", &row.outside)] {
                    let (word, detail) = told(finding);
                    out.paragraph(4, &format!("{side}: {word}: {}", shown(&detail)));
                }
            }
        }
    }
    let count = |verdict| rows.iter().filter(|row| row.verdict == verdict).count();
    let unclear = count(Verdict::Unclear);
    out.plain("\n").styled(Style::Bold, &format!("{} contained", count(Verdict::Contained)));
    let open = count(Verdict::Open);
    let style = if open > 0 { Style::Red } else { Style::Green };
    out.plain(", ").styled(style, &format!("{open} open"));
    if unclear > 0 {
        out.plain(", ").styled(Style::Yellow, &format!("{unclear} unclear"));
    }
    out.line(&format!(
        ", {} n/a here (not open without a sandbox either)",
        count(Verdict::NotHere)
    ));
}

fn line(out: &mut Printer, row: &Row) {
    let indent = ID + VERDICT + LAYER + OUTSIDE;
    let verdict = row.verdict.name();
    // Whom to thank: only where there is something to thank for.
    let layer = if row.verdict == Verdict::Contained { row.probe.layer.name() } else { "-" };
    let what = wrapped(row.probe.what, out.width().saturating_sub(indent));
    let mut what = what.iter();
    out.plain(&format!("{:ID$}", row.probe.id));
    out.styled(row.verdict.style(), verdict);
    out.plain(&" ".repeat(VERDICT.saturating_sub(verdict.len())));
    out.plain(&format!("{layer:LAYER$}{:OUTSIDE$}", told(&row.outside).0));
    out.line(what.next().map_or("", String::as_str));
    for rest in what {
        out.line(&format!("{:indent$}{rest}", ""));
    }
}

/// Text in lines of at most so many characters, where its words allow.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// For programs.
pub fn json(out: &mut Printer, rows: &[Row]) -> Result<(), Failure> {
    let side = |finding: &Finding| {
        let (state, detail) = told(finding);
        json!({ "state": state, "detail": detail })
    };
    let probes: Vec<Value> = rows
        .iter()
        .map(|row| {
            json!({
                "id": row.probe.id,
                "class": row.probe.class.name(),
                "layer": row.probe.layer.name(),
                "tried": row.probe.what,
                "verdict": row.verdict.name(),
                "inside": side(&row.inside),
                "outside": side(&row.outside),
            })
        })
        .collect();
    let count = |verdict| rows.iter().filter(|row| row.verdict == verdict).count();
    let document = json!({
        "contained": count(Verdict::Contained),
        "open": count(Verdict::Open),
        "unclear": count(Verdict::Unclear),
        "not_applicable": count(Verdict::NotHere),
        "probes": probes,
    });
    let text = serde_json::to_string_pretty(&document).map_err(|e| Failure::new(e.to_string()))?;
    out.line(&text);
    Ok(())
}

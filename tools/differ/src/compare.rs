//! The difference of two outcomes, less what is allowed.

use crate::allowed;
use crate::report::{ORDERED, Outcome};
use crate::vector::Vector;
use std::collections::BTreeSet;

/// The lines of one label that only one side has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What was compared.
    pub label: &'static str,
    /// Lines of the oracle alone.
    pub oracle: Vec<String>,
    /// Lines of the program under test alone.
    pub ours: Vec<String>,
}

/// All differences, and the allowed ones that were taken out, by their letters.
pub struct Verdict {
    /// What no rule explains.
    pub differences: Vec<Difference>,
    /// Letters of the rules that explained something.
    pub allowed: BTreeSet<&'static str>,
}

/// Compares two outcomes of the same vector.
pub fn compare(oracle: &Outcome, ours: &Outcome, vector: &Vector) -> Verdict {
    let labels: BTreeSet<&'static str> = oracle.keys().chain(ours.keys()).copied().collect();
    let empty = vec![];
    let mut differences = vec![];
    for label in labels {
        let (a, b) = (oracle.get(label).unwrap_or(&empty), ours.get(label).unwrap_or(&empty));
        if a == b {
            continue;
        }
        let (only_a, only_b) = if ORDERED.contains(&label) {
            (a.clone(), b.clone())
        } else {
            (minus(a, b), minus(b, a))
        };
        differences.push(Difference { label, oracle: only_a, ours: only_b });
    }
    // When only one of the two ran the payload, everything it reported would differ.
    if differences.iter().any(|d| d.label == "ran") {
        let telling = ["ran", "exit", "stderr-first", "stderr-rest", "host", "survivors"];
        differences.retain(|d| telling.contains(&d.label));
    }
    let allowed = allowed::remove(&mut differences, oracle, ours, vector);
    differences.retain(|d| !d.oracle.is_empty() || !d.ours.is_empty());
    Verdict { differences, allowed }
}

/// The elements of `a` that `b` lacks, counting repetitions.
fn minus(a: &[String], b: &[String]) -> Vec<String> {
    let mut rest: Vec<&String> = b.iter().collect();
    a.iter()
        .filter(|line| match rest.iter().position(|r| r == line) {
            Some(at) => {
                rest.swap_remove(at);
                false
            }
            None => true,
        })
        .cloned()
        .collect()
}

impl Verdict {
    /// The labels that differ, for telling whether a smaller vector shows the same thing.
    pub fn labels(&self) -> BTreeSet<&'static str> {
        self.differences.iter().map(|d| d.label).collect()
    }

    /// What kind of difference this is: the first lines of each label without names and numbers.
    pub fn class(&self) -> String {
        let part = |d: &Difference| {
            let first = |l: &[String]| l.first().map_or("nothing".into(), |l| shape(l));
            format!("{}: {} → {}", d.label, first(&d.oracle), first(&d.ours))
        };
        self.differences.iter().map(part).collect::<Vec<_>>().join("; ")
    }

    /// Leaves out lines that contain one of `texts`.
    pub fn look_past(&mut self, texts: &[String]) {
        for d in &mut self.differences {
            for list in [&mut d.oracle, &mut d.ours] {
                list.retain(|l| !texts.iter().any(|t| l.contains(t)));
            }
        }
        self.differences.retain(|d| !d.oracle.is_empty() || !d.ours.is_empty());
    }

    /// The differences as text, at most `most` lines for each label and side.
    pub fn text(&self, most: usize) -> String {
        let mut out = String::new();
        for d in &self.differences {
            out.push_str(&format!("  {}:\n", d.label));
            for (sign, lines) in [('-', &d.oracle), ('+', &d.ours)] {
                for line in lines.iter().take(most) {
                    out.push_str(&format!("    {sign} {line}\n"));
                }
                if lines.len() > most {
                    out.push_str(&format!("    {sign} … {} more\n", lines.len() - most));
                }
            }
        }
        out
    }
}

/// A line with paths as `P` and numbers as `N`, cut to a readable length.
fn shape(line: &str) -> String {
    let word = |w: &str| {
        if w.starts_with('/') {
            return "P".to_string();
        }
        let mut out = String::new();
        for c in w.chars() {
            match c.is_ascii_digit() {
                true if out.ends_with('N') => {}
                true => out.push('N'),
                false => out.push(c),
            }
        }
        out
    };
    let text = line.split(' ').map(word).collect::<Vec<_>>().join(" ");
    text.chars().take(110).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Proves that repeated lines count, and that equal outcomes differ in nothing.
    #[test]
    fn multisets_are_compared() {
        let one = Outcome::from([("env", vec!["A=1".to_string(), "A=1".to_string()])]);
        let two = Outcome::from([("env", vec!["A=1".to_string()])]);
        let vector = Vector::default();
        assert!(compare(&one, &one, &vector).differences.is_empty());
        let verdict = compare(&one, &two, &vector);
        assert_eq!(verdict.differences[0].oracle, ["A=1"]);
        assert!(verdict.differences[0].ours.is_empty());
    }
}

//! Values of TOML with their places, and what is wrong with them.

use crate::diagnostic::{Diagnostic, Severity, SourceText};
use crate::intent::{Context, quoted};
use crate::model::Source;
use crate::profile::LONGEST_STRING;
use crate::value::{Complaint, nearest};
use std::ops::Range;
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Findings after which the rest of a text is not looked at.
pub const KEPT: usize = 500;

/// Reads values and gathers what is wrong with them.
pub struct Reader<'r> {
    /// The text.
    pub source: &'r Arc<SourceText>,
    /// Who asks.
    pub context: Context<'r>,
    found: Vec<Diagnostic>,
    lines: Vec<usize>,
}

impl<'r> Reader<'r> {
    pub fn new(source: &'r Arc<SourceText>, context: Context<'r>) -> Self {
        let breaks = source.text.bytes().enumerate().filter(|(_, b)| *b == b'\n');
        let lines = std::iter::once(0).chain(breaks.map(|(at, _)| at + 1)).collect();
        Self { source, context, found: Vec::new(), lines }
    }

    pub fn push(&mut self, diagnostic: Diagnostic) {
        if self.found.len() < KEPT {
            self.found.push(diagnostic);
        }
    }

    /// Whether so much is wrong that looking on helps nobody.
    pub fn full(&self) -> bool {
        self.found.len() >= KEPT
    }

    pub fn complain(&mut self, complaint: Complaint, span: Range<usize>) {
        let error = Diagnostic::error(complaint.message).at(self.source, span, complaint.label);
        self.push(Diagnostic { help: complaint.help, ..error });
    }

    pub fn warn(&mut self, message: String, span: Range<usize>) {
        let warning = Diagnostic { severity: Severity::Warning, ..Diagnostic::error(message) };
        self.push(warning.at(self.source, span, ""));
    }

    pub fn finish(self) -> Vec<Diagnostic> {
        self.found
    }

    /// The line of the text that asked.
    pub fn origin(&self, offset: usize) -> Source {
        let line = self.lines.partition_point(|start| *start <= offset).max(1);
        let start = self.lines[line - 1];
        let before = self.source.text.get(start..offset).unwrap_or_default();
        Source::File {
            path: self.source.path.clone().unwrap_or_default(),
            line,
            column: before.chars().count() + 1,
        }
    }

    fn mistyped(&mut self, value: &Spanned<DeValue<'_>>, key: &str, expected: &str) {
        let found = match value.get_ref() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a float",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "an array",
            DeValue::Table(_) => "a table",
        };
        let message = format!("{} must be {expected}, not {found}", quoted(key));
        let error = Diagnostic::error(message);
        self.push(error.at(self.source, value.span(), format!("expected {expected}")));
    }

    pub fn wrong(&mut self, value: &Spanned<DeValue<'_>>, key: &str, expected: &str) {
        self.mistyped(value, key, expected);
    }

    pub fn string<'v>(&mut self, value: &'v Spanned<DeValue<'_>>, key: &str) -> Option<&'v str> {
        let Some(text) = value.get_ref().as_str() else {
            self.mistyped(value, key, "a string");
            return None;
        };
        if text.len() > LONGEST_STRING {
            let error = Diagnostic::error(format!("{} is longer than 64 KiB", quoted(key)));
            self.push(error.at(self.source, value.span(), "too long"));
            return None;
        }
        Some(text)
    }

    pub fn strings(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        key: &str,
        most: usize,
    ) -> Vec<(String, Range<usize>)> {
        let DeValue::Array(array) = value.get_ref() else {
            self.mistyped(value, key, "an array of strings");
            return Vec::new();
        };
        if array.len() > most {
            let error = Diagnostic::error(format!("{} has more than {most} entries", quoted(key)));
            self.push(error.at(self.source, value.span(), "too many"));
            return Vec::new();
        }
        let mut result = Vec::new();
        for value in array {
            if value.get_ref().as_str().is_none() {
                let error = Diagnostic::error(format!("{} holds only strings", quoted(key)));
                self.push(error.at(self.source, value.span(), "not a string"));
            } else if let Some(text) = self.string(value, key) {
                result.push((text.to_owned(), value.span()));
            }
        }
        result
    }

    /// One string, or an array of them; a number is as good as its digits.
    pub fn one_or_more(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        key: &str,
        most: usize,
    ) -> Vec<(String, Range<usize>)> {
        match value.get_ref() {
            DeValue::Array(array) if array.is_empty() => {
                let error = Diagnostic::error(format!("{} is empty", quoted(key)));
                self.push(error.at(self.source, value.span(), "names nothing"));
                Vec::new()
            }
            DeValue::Array(array) if array.len() > most => self.strings(value, key, most),
            DeValue::Array(array) => {
                array.iter().filter_map(|value| self.text_or_digits(value, key)).collect()
            }
            _ => self.text_or_digits(value, key).into_iter().collect(),
        }
    }

    fn text_or_digits(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        key: &str,
    ) -> Option<(String, Range<usize>)> {
        let text = match value.get_ref() {
            DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str().to_owned(),
            _ => self.string(value, key)?.to_owned(),
        };
        Some((text, value.span()))
    }

    pub fn table<'v, 'i>(
        &mut self,
        value: &'v Spanned<DeValue<'i>>,
        key: &str,
    ) -> Option<&'v DeTable<'i>> {
        if let DeValue::Table(table) = value.get_ref() {
            return Some(table);
        }
        self.mistyped(value, key, "a table");
        None
    }

    pub fn unknown(&mut self, key: &str, span: Range<usize>, of: &str, known: &[&str]) {
        let error = Diagnostic::error(format!("`{of}` takes no key {}", quoted(key)));
        let label = match known {
            [] => "takes no keys".to_owned(),
            _ => format!("expected {}", known.join(", ")),
        };
        let error = error.at(self.source, span, label);
        self.push(match nearest(key, known.iter().copied()) {
            Some(near) => error.help(format!("did you mean `{near}`?")),
            None => error,
        });
    }
}

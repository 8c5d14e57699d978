//! What is wrong with a profile, a manifest or a word of the command line, and where, drawn with an
//! excerpt. The text may be hostile: what is drawn holds no control character of it.

use annotate_snippets::{AnnotationKind, Element, Group, Level, Origin, Renderer, Snippet};
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

/// A text and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceText {
    /// The file, as the user named it; nothing for words of the command line.
    pub path: Option<PathBuf>,
    /// Its contents.
    pub text: String,
}

impl SourceText {
    /// The contents of a file.
    pub fn file(path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        Self { path: Some(path.into()), text: text.into() }
    }

    /// Words of the command line.
    pub fn words(text: impl Into<String>) -> Self {
        Self { path: None, text: text.into() }
    }

    /// Line and column of a byte, both counted from 1, the column in characters.
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let before = &self.text[..floor(&self.text, offset)];
        let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        (line, before[start..].chars().count() + 1)
    }

    /// What it is called in messages.
    fn name(&self) -> String {
        self.path.as_ref().map_or("command line".to_owned(), |p| shown(&p.to_string_lossy()))
    }
}

/// A stretch of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The text.
    pub source: Arc<SourceText>,
    /// Bytes of it.
    pub span: Range<usize>,
    /// What is said beside the caret; may be empty.
    pub label: String,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Severity {
    /// Nothing can be done with the text.
    Error,
    /// The text means what it says, and that is dangerous.
    Warning,
}

/// One finding about a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// One line, lower case, without a full stop.
    pub message: String,
    /// Where, most important first. Empty where there is no text, such as a profile not found.
    pub places: Vec<Place>,
    /// What to do.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error without a place.
    pub fn error(message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, message: message.into(), places: Vec::new(), help: None }
    }

    /// Adds a place.
    #[must_use]
    pub fn at(
        mut self,
        source: &Arc<SourceText>,
        span: Range<usize>,
        label: impl Into<String>,
    ) -> Self {
        self.places.push(Place { source: Arc::clone(source), span, label: label.into() });
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Line and column, both counted from 1, where the finding has a place in a file.
    pub fn position(&self) -> Option<(usize, usize)> {
        let place = self.places.first()?;
        place.source.path.as_ref()?;
        Some(place.source.position(place.span.start))
    }

    /// The finding with excerpts, several lines without a final newline. Nothing of the text is
    /// drawn but printable characters.
    pub fn render(&self) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let excerpts: Vec<Excerpt> = self.places.iter().take(PLACES).map(Excerpt::of).collect();
        let mut group: Group<'_> =
            Group::with_title(level.primary_title(wrapped(&shown(&self.message))));
        for excerpt in &excerpts {
            group = group.element(excerpt.origin.clone());
            group = group.element(excerpt.element());
        }
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(wrapped(&shown(help))));
        }
        let drawn = Renderer::plain().render(&[group]);
        // An excerpt without a path of its own gets a mark in place of one. The path, line and
        // column stand above it: those of the excerpt, which is cut and escaped, would be others.
        let lines: Vec<&str> = drawn.lines().filter(|line| line.trim() != ":::").collect();
        lines.join("\n")
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render())
    }
}

/// All findings one below the other, each followed by an empty line but the last.
pub fn render_all(diagnostics: &[Diagnostic]) -> String {
    let texts: Vec<String> = diagnostics.iter().map(Diagnostic::render).collect();
    texts.join("\n\n")
}

/// Most places that one finding draws: a circle of profiles can be long.
const PLACES: usize = 8;

/// Characters of a line that are drawn before and after the beginning of a finding.
const BEFORE: usize = 30;
const AFTER: usize = 36;

/// Characters of a line of a message.
const LINE: usize = 68;

/// The drawn part of a line.
struct Excerpt {
    origin: Origin<'static>,
    line: usize,
    numbered: bool,
    text: String,
    span: Range<usize>,
    label: String,
}

impl Excerpt {
    fn of(place: &Place) -> Self {
        let text = &place.source.text;
        let start = floor(text, place.span.start);
        let end = floor(text, place.span.end).max(start);
        let (line, column) = place.source.position(start);
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let before = &text[line_start..start];
        let skipped = before.chars().count().saturating_sub(BEFORE);
        let mut drawn = if skipped > 0 { "...".to_owned() } else { String::new() };
        before.chars().skip(skipped).for_each(|c| push(&mut drawn, c));
        let from = drawn.len();
        let mut to = from;
        for (count, (at, c)) in text[start..line_end].char_indices().enumerate() {
            if count == AFTER {
                drawn.push_str("...");
                break;
            }
            push(&mut drawn, c);
            if start + at < end {
                to = drawn.len();
            }
        }
        let origin = Origin::path(place.source.name());
        let numbered = place.source.path.is_some();
        Self {
            origin: if numbered { origin.line(line).char_column(column) } else { origin },
            line,
            numbered,
            text: drawn,
            span: from..to,
            label: shown(&place.label),
        }
    }

    fn element(&self) -> Element<'_> {
        let annotation = AnnotationKind::Primary.span(self.span.clone());
        let annotation =
            if self.label.is_empty() { annotation } else { annotation.label(self.label.as_str()) };
        Snippet::source(self.text.as_str())
            .line_start(self.line)
            .line_numbering(self.numbered)
            .annotation(annotation)
            .into()
    }
}

/// Lines of a message, so that they stay within 80 columns.
fn wrapped(text: &str) -> String {
    let (mut result, mut length) = (String::new(), 0);
    for word in text.split(' ') {
        let own = word.chars().count();
        if length > 0 && length + 1 + own > LINE {
            result.push('\n');
            length = 0;
        } else if length > 0 {
            result.push(' ');
            length += 1;
        }
        result.push_str(word);
        length += own;
    }
    result
}

/// The last boundary of a character at or before a byte.
fn floor(text: &str, offset: usize) -> usize {
    let mut at = offset.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// Whether a character does something to a terminal, or to the order of what is read, but show
/// itself.
fn draws(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

fn push(text: &mut String, c: char) {
    match c {
        '\t' => text.push(' '),
        c if draws(c) => text.extend(c.escape_unicode()),
        c => text.push(c),
    }
}

/// Text of others as one line that cannot draw on a terminal: control characters, invisible ones and
/// those that change the direction of text are shown escaped.
pub fn shown(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    for c in text.chars() {
        if draws(c) {
            result.extend(c.escape_unicode());
        } else {
            result.push(c);
        }
    }
    result
}

//! What people and programs read. Std's print macros panic when the reader has gone; these do not.

use std::io::{IsTerminal as _, Write as _};

/// Exit status of a run that could not be started, or of a command that was used wrongly.
pub const FAILURE: u8 = 1;
/// Exit status for words that cannot be understood, as of the parser of options.
pub const USAGE: u8 = 2;

/// An error: what went wrong, and what can be done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// One line, lower case, without a full stop: step, object, cause.
    pub message: String,
    /// Lines that say what to do.
    pub hints: Vec<String>,
    /// A drawn excerpt of a file, printed as it is in place of the message.
    pub drawn: Option<String>,
    /// The exit status.
    pub code: u8,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl Failure {
    /// An error without hints.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hints: Vec::new(), drawn: None, code: FAILURE }
    }

    /// Adds a line that says what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Writes it to standard error.
    pub fn print(&self) {
        let mut text = match &self.drawn {
            Some(drawn) => format!("{}\n", drawn.trim_end()),
            None => format!("swathe: {}\n", self.message),
        };
        for hint in &self.hints {
            text.push_str(&format!("swathe: {hint}\n"));
        }
        // Nobody is left to tell when standard error is gone.
        drop(std::io::stderr().write_all(text.as_bytes()));
    }
}

/// Says something on standard error that is no error.
pub fn note(text: &str) {
    // As with errors.
    drop(std::io::stderr().write_all(format!("swathe: note: {}\n", shown(text)).as_bytes()));
}

/// Asks something on standard error; the answer comes on the same line.
pub fn ask(text: &str) {
    drop(std::io::stderr().write_all(shown(text).as_bytes()));
}

/// Says something on standard error that a person acts on.
pub fn say(text: &str) {
    // As with errors.
    drop(std::io::stderr().write_all(format!("swathe: {}\n", shown(text)).as_bytes()));
}

/// A stream that text is written to, with or without colour.
#[derive(Debug)]
pub struct Printer {
    text: String,
    colour: bool,
    width: usize,
}

/// Emphasis of a piece of text on a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Headings.
    Bold,
    /// Good news.
    Green,
    /// To be looked at.
    Yellow,
    /// Bad news.
    Red,
    /// Beside the point.
    Dim,
}

impl Printer {
    /// For standard output: colour only on a terminal, and never with `NO_COLOR`.
    pub fn stdout() -> Self {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        let terminal = std::io::stdout().is_terminal();
        let columns = rustix::termios::tcgetwinsize(std::io::stdout())
            .map(|size| usize::from(size.ws_col))
            .ok()
            .filter(|columns| terminal && *columns >= 40);
        Self {
            text: String::new(),
            colour: terminal && !plain,
            width: columns.unwrap_or(80).min(100),
        }
    }

    /// How many columns a line may have.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Text as it is.
    pub fn plain(&mut self, text: &str) -> &mut Self {
        self.text.push_str(text);
        self
    }

    /// Text with emphasis.
    pub fn styled(&mut self, style: Style, text: &str) -> &mut Self {
        if !self.colour {
            return self.plain(text);
        }
        let code = match style {
            Style::Bold => "1",
            Style::Green => "32",
            Style::Yellow => "33",
            Style::Red => "31",
            Style::Dim => "2",
        };
        self.text.push_str(&format!("\x1b[{code}m{text}\x1b[0m"));
        self
    }

    /// A line of text.
    pub fn line(&mut self, text: &str) -> &mut Self {
        self.plain(text).plain("\n")
    }

    /// A paragraph, wrapped, each line after `indent` spaces.
    pub fn paragraph(&mut self, indent: usize, text: &str) -> &mut Self {
        let mut line = String::new();
        for word in text.split_whitespace() {
            let longer = line.chars().count() + 1 + word.chars().count();
            if !line.is_empty() && longer > self.width.saturating_sub(indent) {
                self.text.push_str(&format!("{:indent$}{line}\n", ""));
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        self.text.push_str(&format!("{:indent$}{line}\n", ""));
        self
    }

    /// Writes what was gathered.
    ///
    /// # Errors
    /// The reader has gone, or the disk is full.
    pub fn finish(&mut self) -> Result<(), Failure> {
        let text = std::mem::take(&mut self.text);
        let mut stdout = std::io::stdout();
        stdout
            .write_all(text.as_bytes())
            .and_then(|()| stdout.flush())
            .map_err(|e| Failure::new(format!("cannot write to standard output: {e}")))
    }
}

/// How many, in words.
#[must_use]
pub fn things(count: usize) -> String {
    if count == 1 { "1 thing".to_owned() } else { format!("{count} things") }
}

/// Text of others (paths, reasons of manifests) as one line that cannot draw on a terminal: control
/// characters and those that change the direction of text are shown escaped.
pub fn shown(text: &str) -> String {
    let mut result = String::new();
    for c in text.chars() {
        let direction = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}');
        if c.is_control() || direction {
            result.extend(c.escape_unicode());
        } else {
            result.push(c);
        }
    }
    result
}

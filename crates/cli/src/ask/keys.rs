//! What a person types at a question, one byte after the other.
//!
//! A letter chooses and Enter confirms, so that no single key that was meant for the program is an
//! answer. As long as somebody types on from before the question, nothing counts.

use std::time::Duration;
use swathe_record::question::Term;

/// So long nothing may have been typed before a key counts.
pub const QUIET: Duration = Duration::from_millis(300);

/// What was typed so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    /// Since when nothing was typed that did not count; `None` once keys count.
    quiet_since: Option<Duration>,
    choice: Option<Choice>,
    /// Something else was typed: Enter is no answer before it is taken back.
    junk: bool,
    /// Whether all in the directory is meant.
    pub directory: bool,
    /// Whether only reading is meant.
    pub read_only: bool,
    may: May,
}

/// What can be switched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct May {
    /// There is a directory that an answer may be widened to.
    pub directory: bool,
    /// More than reading was asked for.
    pub read_only: bool,
}

/// An answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// Yes or no.
    pub allow: bool,
    /// For how long.
    pub term: Term,
}

/// What a byte does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Nothing is to be seen.
    Nothing,
    /// The line is to be drawn again.
    Draw,
    /// What can be typed is to be explained.
    Help,
    /// What was typed is no answer.
    NoAnswer,
    /// It is answered.
    Answer(Choice),
    /// Refused, and the program is to be interrupted, as the key does without a question.
    Interrupt,
}

/// No, this time.
pub const NO: Choice = Choice { allow: false, term: Term::Once };

impl Keys {
    /// Nothing was typed yet.
    pub fn new(now: Duration, may: May) -> Self {
        Self {
            quiet_since: Some(now),
            choice: None,
            junk: false,
            directory: false,
            read_only: false,
            may,
        }
    }

    /// Takes a byte that was typed.
    pub fn key(&mut self, byte: u8, now: Duration) -> Act {
        if let Some(since) = self.quiet_since {
            if now.saturating_sub(since) < QUIET {
                self.quiet_since = Some(now);
                return Act::Nothing;
            }
            self.quiet_since = None;
        }
        match byte.to_ascii_lowercase() {
            b'\r' | b'\n' => self.enter(),
            0x03 => Act::Interrupt,
            0x04 => Act::Answer(NO),
            // Backspace, and what takes back a word or a line.
            0x08 | 0x7f | 0x15 | 0x17 => {
                (self.choice, self.junk) = (None, false);
                Act::Draw
            }
            _ if self.junk => Act::Nothing,
            b'?' => Act::Help,
            b'd' if self.may.directory && self.choice.is_none() => {
                self.directory = !self.directory;
                Act::Draw
            }
            b'y' if self.may.read_only && self.choice.is_none() => {
                self.read_only = !self.read_only;
                Act::Draw
            }
            byte => {
                let choice = chosen(byte).filter(|_| self.choice.is_none());
                (self.choice, self.junk) = (choice, choice.is_none());
                Act::Draw
            }
        }
    }

    fn enter(&mut self) -> Act {
        let choice = self.choice.take();
        if std::mem::take(&mut self.junk) {
            return Act::NoAnswer;
        }
        Act::Answer(choice.unwrap_or(NO))
    }

    /// What was chosen, in a word; nothing, or what is no answer.
    pub fn word(&self) -> &'static str {
        match self.choice {
            _ if self.junk => "?",
            None => "",
            Some(Choice { allow: true, term: Term::Once }) => "once",
            Some(Choice { allow: true, term: Term::Run }) => "run",
            Some(Choice { allow: true, term: Term::Always }) => "always",
            Some(Choice { allow: false, term: Term::Always }) => "never",
            Some(Choice { allow: false, .. }) => "no",
        }
    }
}

fn chosen(byte: u8) -> Option<Choice> {
    let choice = |allow, term| Some(Choice { allow, term });
    match byte {
        b'o' => choice(true, Term::Once),
        b'r' => choice(true, Term::Run),
        b'a' => choice(true, Term::Always),
        b'n' => Some(NO),
        b'v' => choice(false, Term::Always),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAY: May = May { directory: true, read_only: true };

    /// What bytes lead to that are typed well after the question.
    fn typed(text: &[u8], may: May) -> (Act, Keys) {
        let mut keys = Keys::new(Duration::ZERO, may);
        let mut act = Act::Nothing;
        for byte in text {
            act = keys.key(*byte, QUIET);
        }
        (act, keys)
    }

    fn answer(text: &[u8]) -> Option<(bool, Term)> {
        match typed(text, MAY).0 {
            Act::Answer(choice) => Some((choice.allow, choice.term)),
            _ => None,
        }
    }

    #[test]
    fn answers() {
        assert_eq!(answer(b"o\r"), Some((true, Term::Once)));
        assert_eq!(answer(b"R\n"), Some((true, Term::Run)));
        assert_eq!(answer(b"a\r"), Some((true, Term::Always)));
        assert_eq!(answer(b"n\r"), Some((false, Term::Once)));
        assert_eq!(answer(b"v\r"), Some((false, Term::Always)));
        assert_eq!(answer(b"\r"), Some((false, Term::Once)));
        assert_eq!(answer(b"dy\r"), Some((false, Term::Once)));
        assert_eq!(answer(b"\x04"), Some((false, Term::Once)));
        assert_eq!(answer(b"x\x7fo\r"), Some((true, Term::Once)));
        assert_eq!(typed(b"o\x03", MAY).0, Act::Interrupt);
    }

    /// Words, escape sequences and keys that do nothing here are no answer.
    #[test]
    fn no_answers() {
        let words: [&[u8]; 11] = [
            b"o",
            b"r",
            b"oo\r",
            b"or\r",
            b"yes\r",
            b"run\r",
            b"no way\r",
            b"\x1b[A\r",
            b" \r",
            b"od\r",
            "\u{f6}\r".as_bytes(),
        ];
        for text in words {
            assert_eq!(answer(text), None, "{:?}", String::from_utf8_lossy(text));
        }
        // What was no answer leaves nothing behind.
        assert_eq!(answer(b"yes\r\r"), Some((false, Term::Once)));
        assert_eq!(typed(b"xo\r", MAY).0, Act::NoAnswer);
    }

    #[test]
    fn switches() {
        let (_, keys) = typed(b"dyo", MAY);
        assert!(keys.directory && keys.read_only && keys.word() == "once");
        let (_, keys) = typed(b"dydy", MAY);
        assert!(!keys.directory && !keys.read_only && keys.word().is_empty());
        let (_, keys) = typed(b"d", May { directory: false, read_only: false });
        assert!(!keys.directory && keys.word() == "?");
        let (act, keys) = typed(b"y\r", May { directory: true, read_only: false });
        assert!(!keys.read_only && act == Act::NoAnswer, "y is not yes");
    }

    /// Who types on from before answers nothing until they pause.
    #[test]
    fn typing_on() {
        let mut keys = Keys::new(Duration::ZERO, MAY);
        let at = Duration::from_millis;
        for (byte, when) in [(b'o', 10), (b'\r', 200), (b'a', 499), (b'\r', 700)] {
            assert_eq!(keys.key(byte, at(when)), Act::Nothing, "{when}");
        }
        assert_eq!(keys.key(b'r', at(1000)), Act::Draw);
        assert_eq!(keys.key(b'\r', at(1001)), Act::Answer(Choice { allow: true, term: Term::Run }));
    }
}

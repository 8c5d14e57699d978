//! Asks a person, on the terminal itself: what an app's manifest says is shown so that it cannot pass
//! for anything else, and nothing counts as an answer that was typed before the question.

use crate::out::{Failure, shown};
use crate::store::{Apps, now};
use rustix::termios::{
    LocalModes, OptionalActions, QueueSelector, Termios, tcflush, tcgetattr, tcgetwinsize,
    tcsetattr,
};
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use swathe_policy::grants::{Question, needed};
use swathe_policy::{Environment, Grants, Manifest};

/// The longest answer that is read, in bytes.
const LONGEST_ANSWER: usize = 256;

/// Asks whatever was not decided about an app yet, and keeps the answers. Gives all decisions.
///
/// # Errors
/// There is no terminal, the person gave up, or the answers cannot be kept. Answers that were given
/// before are kept.
pub fn decide(apps: &Apps, manifest: &Manifest, env: &Environment) -> Result<Grants, Failure> {
    let id = &manifest.app.id;
    let grants = apps.grants(id)?;
    let questions = needed(manifest, &grants, env);
    if questions.is_empty() {
        return Ok(grants);
    }
    let mut terminal = Terminal::open().map_err(|_| missing(id, &questions))?;
    let (answers, end) = ask(&mut terminal, manifest, &questions);
    drop(terminal);
    if answers.is_empty() {
        return end.map(|()| grants);
    }
    let grants = apps.change(id, |grants| grants.apply(&answers, now()))?;
    end.map(|()| grants)
}

/// Asks one question; none where the person gives up. `text` is printed as it is.
///
/// # Errors
/// There is no terminal.
pub fn confirm(text: &str) -> std::io::Result<Option<bool>> {
    Terminal::open()?.answer(text)
}

/// What is missing where nobody can be asked.
fn missing(id: &str, questions: &[Question]) -> Failure {
    let mut failure = Failure::new(format!(
        "{id} asks for what was not decided, and there is no terminal to ask on"
    ));
    for question in questions {
        let key = shown(&question.key);
        failure = failure.hint(format!("  {key}: {}", shown(&question.what)));
    }
    failure
        .hint(format!("`swathe app grant {id} INTENT...` allows some, `--all` all of them"))
        .hint(format!("`swathe app revoke {id} INTENT...` refuses"))
}

/// Answers so far, and how it ended.
fn ask(
    terminal: &mut Terminal,
    manifest: &Manifest,
    questions: &[Question],
) -> (Vec<(String, bool)>, Result<(), Failure>) {
    let mut answers = Vec::new();
    let title = title(manifest);
    for (number, question) in questions.iter().enumerate() {
        let head = format!("{title} wants ({} of {}):", number + 1, questions.len());
        let text = draw(&head, question, terminal.width());
        match terminal.answer(&text) {
            Ok(Some(answer)) => answers.push((question.key.clone(), answer)),
            Ok(None) => return (answers, Err(Failure::new("stopped: nothing was run"))),
            Err(e) => {
                let failure = Failure::new(format!("cannot ask on the terminal: {e}"));
                return (answers, Err(failure));
            }
        }
    }
    (answers, Ok(()))
}

fn title(manifest: &Manifest) -> String {
    match &manifest.app.name {
        Some(name) => {
            let name: String = name.chars().take(60).collect();
            format!("{} (\"{}\")", manifest.app.id, one_line(&name))
        }
        None => manifest.app.id.clone(),
    }
}

fn draw(head: &str, question: &Question, width: usize) -> String {
    let mut text = String::from("\r\n");
    wrapped(&mut text, 0, head, width);
    wrapped(&mut text, 2, &one_line(&question.what), width);
    // In quotes: these are the words of the app's author.
    wrapped(&mut text, 2, &format!("reason given: \"{}\"", one_line(&question.reason)), width);
    if let Some(danger) = &question.danger {
        wrapped(&mut text, 2, &format!("DANGEROUS: {danger}"), width);
    }
    text.push_str("Allow it? y = yes, n = no, q = stop [n]: ");
    text
}

/// Text of others without line breaks and runs of spaces, escaped.
fn one_line(text: &str) -> String {
    shown(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// A paragraph. A word longer than the line is broken, so that it cannot pass for the next line.
pub fn wrapped(text: &mut String, indent: usize, words: &str, width: usize) {
    let room = width.saturating_sub(indent).max(20);
    let mut line = String::new();
    let mut end = |line: &mut String| {
        text.push_str(&format!("{:indent$}{line}\r\n", ""));
        line.clear();
    };
    for word in words.split(' ') {
        let letters: Vec<char> = word.chars().collect();
        if !line.is_empty() && line.chars().count() + 1 + letters.len().min(room) > room {
            end(&mut line);
        }
        if !line.is_empty() {
            line.push(' ');
        }
        for letter in letters {
            if line.chars().count() >= room {
                end(&mut line);
            }
            line.push(letter);
        }
    }
    end(&mut line);
}

/// The controlling terminal, in the mode for lines, put back when it is dropped.
pub struct Terminal {
    file: File,
    before: Option<Termios>,
}

impl Terminal {
    /// The terminal of this process.
    ///
    /// # Errors
    /// There is none.
    pub fn open() -> std::io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open("/dev/tty")?;
        let before = tcgetattr(&file)?;
        let mut modes = before.clone();
        let wanted = LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
        let changed = !modes.local_modes.contains(wanted);
        modes.local_modes |= wanted;
        if changed {
            tcsetattr(&file, OptionalActions::Flush, &modes)?;
        }
        Ok(Self { file, before: changed.then_some(before) })
    }

    fn width(&self) -> usize {
        let columns = tcgetwinsize(&self.file).map_or(0, |size| usize::from(size.ws_col));
        if columns < 40 { 79 } else { columns.min(100) - 1 }
    }

    /// Yes or no, or nothing where the person gives up. Asks again for anything else.
    fn answer(&mut self, text: &str) -> std::io::Result<Option<bool>> {
        let mut text = text;
        for _ in 0..20 {
            // What was typed before the question was shown answers something else.
            tcflush(&self.file, QueueSelector::IFlush)?;
            self.file.write_all(text.as_bytes())?;
            let Some(answer) = self.line()? else { return Ok(None) };
            match answer.trim().to_ascii_lowercase().as_str() {
                "y" | "yes" => return Ok(Some(true)),
                "n" | "no" | "" => return Ok(Some(false)),
                "q" | "quit" => return Ok(None),
                _ => text = "Please answer y, n or q [n]: ",
            }
        }
        Ok(None)
    }

    /// Shows text.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn show(&mut self, text: &[u8]) -> std::io::Result<()> {
        self.file.write_all(text)
    }

    /// What is typed after a question, without spaces around it; nothing where the person gives up.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn ask(&mut self, question: &str) -> std::io::Result<Option<String>> {
        // What was typed before the question was shown answers something else.
        tcflush(&self.file, QueueSelector::IFlush)?;
        self.file.write_all(question.as_bytes())?;
        Ok(self.line()?.map(|line| line.trim().to_owned()))
    }

    fn line(&mut self) -> std::io::Result<Option<String>> {
        let mut line = Vec::new();
        let mut byte = [0];
        loop {
            match self.file.read(&mut byte) {
                Ok(0) => return Ok(None),
                Ok(_) if byte[0] == b'\n' => break,
                Ok(_) if line.len() < LONGEST_ANSWER => line.push(byte[0]),
                Ok(_) => {}
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        // Too long is no answer, whatever it begins with.
        let whole = line.len() < LONGEST_ANSWER;
        Ok(Some(if whole { String::from_utf8_lossy(&line).into_owned() } else { "?".to_owned() }))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // Nobody can be told.
            let _ = tcsetattr(&self.file, OptionalActions::Now, before);
        }
    }
}

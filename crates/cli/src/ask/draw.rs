//! A question as it is drawn. What programs say of themselves is escaped, in quotes, and cannot pass
//! for anything else.

use super::keys::Keys;
use crate::out::shown;
use crate::prompt::wrapped;
use swathe_record::ask::{Prompt, Want};
use swathe_record::bytes::Bytes;
use swathe_record::event::Action;
use swathe_record::question::Question;

/// The most characters of a command line that are shown.
const LONGEST_COMMAND: usize = 300;

/// What a program may have left a terminal in, undone as far as it would hide a question: an unfinished
/// sequence, a region that scrolls, another character set, colours, a hidden cursor, lines that do
/// not wrap. The cursor stays where it is, and a new line begins.
pub const RESET: &str = "\x18\x1b7\x1b[r\x1b8\x0f\x1b(B\x1b[0m\x1b[?25h\x1b[?7h\r\n";

/// The beginning of the line that is typed on, in place of what is there.
const LINE: &str = "\r\x1b[K";

/// What a program wants to do.
fn wish(action: Action, directory: bool) -> String {
    let verb = match action {
        Action::Stat => "look at",
        Action::Read if directory => "list",
        Action::Read => "read",
        Action::Write => "write to",
        Action::Create => "create",
        Action::Remove => "remove",
        Action::Rename => "rename or link",
        Action::Truncate => "cut short",
        Action::Metadata => "change mode, owner, times or attributes of",
        Action::Execute => "run",
        Action::Connect => "connect to",
        Action::Bind => "listen on",
        Action::Call => "make the system call",
        Action::Exceed => "go over the limit",
    };
    match action {
        _ if directory => format!("{verb} the directory"),
        Action::Connect | Action::Bind | Action::Call | Action::Exceed => verb.to_owned(),
        _ => format!("{verb} the file"),
    }
}

fn quoted(bytes: &Bytes) -> String {
    format!("\"{}\"", shown(&bytes.to_string()).replace('"', "\\x22"))
}

/// What it is about; a host as people write it.
fn object(question: &Question) -> String {
    let host = |kind: &[u8]| question.object.0.strip_prefix(kind).map(|host| Bytes(host.to_vec()));
    match (host(b"tcp:"), host(b"udp:")) {
        (Some(host), _) => quoted(&host),
        (_, Some(host)) => format!("{} by UDP", quoted(&host)),
        _ => quoted(&question.object),
    }
}

fn command(words: &[Bytes]) -> String {
    let words: Vec<String> = words.iter().map(|word| shown(&word.to_string())).collect();
    let text = words.join(" ");
    let short: String = text.chars().take(LONGEST_COMMAND).collect();
    let dots = if short.len() < text.len() { "..." } else { "" };
    format!("\"{}{dots}\"", short.replace('"', "\\x22"))
}

/// The whole question, but the line that is typed on.
pub fn question(prompt: &Prompt, width: usize) -> String {
    let question = &prompt.question;
    let mut text = String::from(RESET);
    let rule = "-".repeat(width.saturating_sub(15));
    text.push_str(&format!("-- swathe asks {rule}\r\n"));
    let wish = wish(question.action, question.directory);
    wrapped(&mut text, 0, &format!("process {} wants to {wish}", question.pid), width);
    wrapped(&mut text, 2, &object(question), width);
    wrapped(&mut text, 2, &format!("command: {}", command(&question.command)), width);
    if matches!(question.action, Action::Create | Action::Remove | Action::Rename) {
        wrapped(&mut text, 2, "a yes makes its directory writable as a whole", width);
    }
    if let Some(danger) = &prompt.danger {
        wrapped(&mut text, 2, &format!("DANGEROUS: {}", shown(danger)), width);
    }
    let mut keys = "[o]nce  [r]un  [a]lways  [n]o  ne[v]er".to_owned();
    if prompt.directory.is_some() {
        keys.push_str("  [d]irectory");
    }
    if may_narrow(prompt) {
        keys.push_str("  read-onl[y]");
    }
    wrapped(&mut text, 0, &format!("{keys}  [?] help"), width);
    text
}

/// Whether more than reading was asked for, of something that can be read.
pub fn may_narrow(prompt: &Prompt) -> bool {
    let want = Want::of(prompt.question.action);
    want.is_of_files() && want != Want::Read
}

/// The line that is typed on.
pub fn line(prompt: &Prompt, keys: &Keys, width: usize) -> String {
    let mut text = LINE.to_owned();
    let mut room = width.saturating_sub(12);
    let mut part = |part: &str| {
        let short: String = part.chars().take(room).collect();
        room -= short.chars().count();
        text.push_str(&short);
    };
    if keys.read_only {
        part("read only, ");
    }
    if let Some(directory) = prompt.directory.as_ref().filter(|_| keys.directory) {
        part(&format!("all in {}, ", quoted(directory)));
    }
    text.push_str(&format!("[no] > {}", keys.word()));
    text
}

/// What can be typed. `holds` is in which runs an answer for always holds.
pub fn help(prompt: &Prompt, holds: &str, width: usize) -> String {
    let mut text = String::from("\r\n");
    let mut line = |line: &str| wrapped(&mut text, 2, line, width);
    line("o  yes, this time");
    line("r  yes, until this sandbox ends");
    line(&format!("a  yes, now and in later runs of {}", shown(holds)));
    line("n  no, this time (so does Enter alone)");
    line("v  no, now and in later runs");
    if let Some(directory) = &prompt.directory {
        line(&format!("d  answer for all in {}", quoted(directory)));
    }
    if may_narrow(prompt) {
        line("y  allow reading only, and refuse the rest");
    }
    line(match Want::of(prompt.question.action) {
        Want::Write => "Writing includes making, changing attributes, and reading.",
        Want::Remove => "Removing includes renaming, and nothing else.",
        Want::Run => "Running includes reading.",
        _ => "It is about this only, and nothing that goes further.",
    });
    line("Enter confirms. Without an answer it is refused after a while.");
    text
}

#[cfg(test)]
mod tests {
    use super::super::keys::{May, QUIET};
    use super::*;
    use std::time::Duration;

    fn prompt(object: &[u8], command: &[&[u8]]) -> Prompt {
        let question = Question {
            id: 1,
            pid: 42,
            command: command.iter().map(|word| Bytes(word.to_vec())).collect(),
            action: Action::Write,
            object: Bytes(object.to_vec()),
            directory: false,
        };
        let danger = Some("it holds keys".to_owned());
        Prompt { question, directory: Some("/h".into()), danger, until: Duration::ZERO }
    }

    /// Nothing that a program says steers the terminal, begins a line, or leaves its quotes.
    #[test]
    fn hostile_words() {
        let object = b"/h/\x1b[2J\r\n-- swathe asks\x9b1A\xff\" [n]o \xe2\x80\xae\xe2\x80\x8b";
        let text = question(&prompt(object, &[b"sh\x07", b"-c\n\n", b"\"; exit"]), 79);
        let text = text.strip_prefix(RESET).expect("begins so");
        assert!(text.chars().all(|c| !c.is_control() || matches!(c, '\r' | '\n')), "{text:?}");
        assert!(!text.contains(['\u{202e}', '\u{200b}']), "{text:?}");
        assert_eq!(text.matches("\n-- swathe asks").count(), 0, "{text}");
        assert_eq!(text.matches('"').count(), 4, "{text}");
        assert!(text.contains("process 42 wants to write to the file\r\n"), "{text}");
        assert!(text.contains("  DANGEROUS: it holds keys\r\n"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 79), "{text}");
    }

    /// A host is told as people write it, and cannot be widened.
    #[test]
    fn hosts() {
        let mut prompt = Prompt { directory: None, danger: None, ..prompt(b"", &[b"curl"]) };
        prompt.question.action = Action::Connect;
        for (object, told) in [
            ("tcp:github.com:443", "connect to\r\n  \"github.com:443\"\r\n"),
            ("udp:time.example:123", "connect to\r\n  \"time.example:123\" by UDP\r\n"),
        ] {
            prompt.question.object = object.into();
            let text = question(&prompt, 79);
            assert!(text.contains(told), "{text}");
            assert!(!text.contains("[d]irectory") && !text.contains("read-onl[y]"), "{text}");
        }
    }

    /// A long path is shown whole, a long command line is not.
    #[test]
    fn long_words() {
        let object = [b"/".to_vec(), vec![b'x'; 4000]].concat();
        let text = question(&prompt(&object, &[&[b'y'; 2000]]), 60);
        assert_eq!(text.matches('x').count(), 4000);
        assert!(text.matches('y').count() < 310, "{text}");
        assert!(text.contains("...\""), "{text}");
    }

    #[test]
    fn typed_line() {
        let prompt = prompt(b"/h/a", &[b"sh"]);
        let mut keys = Keys::new(Duration::ZERO, May { directory: true, read_only: true });
        assert_eq!(line(&prompt, &keys, 79), "\r\x1b[K[no] > ");
        for byte in *b"dyr" {
            keys.key(byte, QUIET);
        }
        assert_eq!(line(&prompt, &keys, 79), "\r\x1b[Kread only, all in \"/h\", [no] > run");
    }
}

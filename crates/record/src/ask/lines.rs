//! A program as the asker: JSON lines over one socket, as `docs/ask-protocol.md` describes them.

use super::desk::{Counter, Notice};
use super::table::Prompt;
use crate::bytes::Bytes;
use crate::question::{Answer, Question};
use serde::{Deserialize, Serialize};
use std::io::{self, BufRead, BufReader, Write as _};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The version of the protocol.
pub const VERSION: u32 = 1;
/// The longest line in either direction, its end not counted.
pub const LONGEST_LINE: usize = 64 << 10;
/// As many lines that cannot be understood are forgiven.
pub const FORGIVEN: u32 = 16;
/// How long a client may take none of what it is sent.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A line to the client.
#[derive(Serialize)]
#[serde(untagged)]
enum Sent<'a> {
    Hello {
        #[serde(rename = "swathe-ask")]
        version: u32,
        run: &'a str,
    },
    Question {
        question: Shown<'a>,
    },
    Withdrawn {
        withdrawn: u64,
    },
    Error {
        error: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<u64>,
    },
}

/// A question as the client sees it.
#[derive(Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    question: &'a Question,
    /// The directory that an answer may be widened to.
    scope: Option<&'a Bytes>,
    danger: Option<&'a str>,
    /// How much time is left.
    seconds: u64,
}

/// A line from the client. What else it holds is passed over.
#[derive(Deserialize)]
struct Received {
    answer: Answer,
}

/// The side of the client's socket that is written to.
struct Output(Mutex<UnixStream>);

impl Output {
    fn send(&self, line: &Sent<'_>) -> io::Result<()> {
        let mut text = serde_json::to_vec(line)?;
        text.push(b'\n');
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write_all(&text)
    }
}

/// Lets a client answer. Returns at once; all is refused once the client has gone, takes nothing for
/// `patience`, or says too much that cannot be understood. The client's socket is closed when the
/// desk is.
///
/// # Errors
/// The socket cannot be set up, or the threads cannot be started.
pub fn serve(
    stream: UnixStream,
    counter: Counter,
    run: &str,
    patience: Duration,
) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_write_timeout(Some(patience))?;
    let input = stream.try_clone()?;
    let end = stream.try_clone()?;
    let output = Arc::new(Output(Mutex::new(stream)));
    let counter = Arc::new(counter);
    let (to_read, to_write) = (Arc::clone(&counter), Arc::clone(&output));
    let run = run.to_owned();
    let spawn = |name: &str, body: Box<dyn FnOnce() + Send>| {
        std::thread::Builder::new().name(name.to_owned()).spawn(body).map(drop)
    };
    let reader = move || {
        // Whatever it ended by, nobody answers any more.
        let _ = read(input, &to_read, &output);
        to_read.close();
    };
    let writer = move || {
        let _ = write(&counter, &to_write, &run);
        counter.close();
        // Wakes who reads, and tells the client.
        let _ = end.shutdown(Shutdown::Both);
    };
    // Without the other, the first ends with the desk, which the caller drops.
    spawn("answers", Box::new(reader))?;
    spawn("questions", Box::new(writer))
}

/// Tells the client what there is to ask, until it is over.
fn write(counter: &Counter, output: &Output, run: &str) -> io::Result<()> {
    output.send(&Sent::Hello { version: VERSION, run })?;
    loop {
        match counter.next(Duration::from_secs(3600)) {
            None => {}
            Some(Notice::Closed) => return Ok(()),
            Some(Notice::Withdrawn(id)) => output.send(&Sent::Withdrawn { withdrawn: id })?,
            Some(Notice::Show(prompt)) => output.send(&shown(counter, &prompt))?,
        }
    }
}

fn shown<'p>(counter: &Counter, prompt: &'p Prompt) -> Sent<'p> {
    let question = Shown {
        question: &prompt.question,
        scope: prompt.directory.as_ref(),
        danger: prompt.danger.as_deref(),
        seconds: counter.left(prompt).as_secs(),
    };
    Sent::Question { question }
}

/// Takes answers until the client ends or is no use.
fn read(input: UnixStream, counter: &Counter, output: &Output) -> io::Result<()> {
    let mut input = BufReader::new(input);
    let mut wrong = 0;
    loop {
        let error = match line(&mut input)? {
            Line::End => return Ok(()),
            Line::TooLong => (format!("a line of more than {LONGEST_LINE} bytes"), None),
            Line::Text(text) if text.trim_ascii().is_empty() => continue,
            Line::Text(text) => match serde_json::from_slice::<Received>(&text) {
                Err(e) => (format!("not understood: {e}"), None),
                Ok(Received { answer }) => match counter.answer(&answer) {
                    Ok(()) => continue,
                    // It may have been withdrawn meanwhile: no fault of the client's.
                    Err(e) => (e.to_string(), Some(answer.id)),
                },
            },
        };
        let (error, id) = error;
        wrong += u32::from(id.is_none());
        output.send(&Sent::Error { error, id })?;
        if wrong > FORGIVEN {
            return Ok(());
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Line {
    Text(Vec<u8>),
    TooLong,
    End,
}

/// The next line. One that was not ended is none: nobody knows how it would have gone on.
fn line(input: &mut impl BufRead) -> io::Result<Line> {
    let mut text = Vec::new();
    let mut too_long = false;
    loop {
        let bytes = match input.fill_buf() {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            bytes => bytes?,
        };
        if bytes.is_empty() {
            return Ok(Line::End);
        }
        let end = bytes.iter().position(|b| *b == b'\n');
        let part = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
        too_long |= text.len() + part.len() > LONGEST_LINE;
        if !too_long {
            text.extend_from_slice(part);
        }
        let used = end.map_or(bytes.len(), |end| end + 1);
        input.consume(used);
        if end.is_some() {
            return Ok(if too_long { Line::TooLong } else { Line::Text(text) });
        }
    }
}

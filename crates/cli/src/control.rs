//! Changes of what a running sandbox may reach: JSON lines over a socket beside its record.
//!
//! A request is one object, `{"grant":"files.dir=/x:ro"}` or `{"revoke":…}`, the intent as
//! behind `--allow`; or `"network"`, for what its network does. Each has one reply: `{"done":true}`,
//! with a `note` where there is something to say, or with a `view` of the network, or
//! `{"error":…}` with `hints`. Only the user whose sandbox it is may ask, and nobody
//! from inside a sandbox.

use crate::net::View;
use crate::out::{Failure, shown};
use rustix::net::sockopt::socket_peercred;
use serde::{Deserialize, Serialize};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Duration;

/// The longest request, and the longest reply: a network may have many connections.
const LONGEST_LINE: u64 = 64 << 10;
const LONGEST_REPLY: u64 = 32 << 20;
/// Requests of one connection.
const MOST_REQUESTS: usize = 64;
/// How long one side waits for the other to take or say something.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a change may take.
const CHANGING: Duration = Duration::from_secs(60);

/// What is to be changed. The text is an intent as behind `--allow`, with an absolute path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// It may be reached from now on.
    Grant(String),
    /// It may not any more.
    Revoke(String),
    /// What its network does.
    Network,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// It is so, and what is to be said about it.
    Done(Option<String>),
    /// What the network does.
    Network(Box<View>),
    /// It is as it was: why, and what to do.
    Refused {
        /// One line, lower case, without a full stop.
        error: String,
        /// Lines that say what to do.
        hints: Vec<String>,
    },
}

impl From<Failure> for Reply {
    fn from(failure: Failure) -> Self {
        Self::Refused { error: failure.message, hints: failure.hints }
    }
}

#[derive(Default, Serialize, Deserialize)]
struct Line {
    #[serde(default)]
    done: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    hints: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    view: Option<Box<View>>,
}

impl From<Reply> for Line {
    fn from(reply: Reply) -> Self {
        match reply {
            Reply::Network(view) => Self { done: true, view: Some(view), ..Self::default() },
            Reply::Done(note) => Self { done: true, note, ..Self::default() },
            Reply::Refused { error, hints } => {
                Self { error: Some(error), hints, ..Self::default() }
            }
        }
    }
}

/// Makes the socket, for this user alone: its directory is.
///
/// # Errors
/// It cannot be made.
pub fn listen(path: &Path) -> Result<UnixListener, Failure> {
    UnixListener::bind(path).map_err(|e| {
        Failure::new(format!("cannot listen at {}: {e}", shown(&path.to_string_lossy())))
    })
}

/// Takes requests, one at a time, until the listener fails (`shutdown(2)` of it ends it). A client
/// that stalls is left after some seconds.
///
/// # Errors
/// Why the listener failed.
pub fn serve(listener: &UnixListener, mut handler: impl FnMut(Request) -> Reply) -> io::Result<()> {
    loop {
        match listener.accept() {
            // It has gone, or said nothing that is understood: nothing was changed.
            Ok((stream, _)) => drop(connection(&stream, &mut handler)),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) if e.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(e) => return Err(e),
        }
    }
}

fn connection(stream: &UnixStream, handler: &mut impl FnMut(Request) -> Reply) -> io::Result<()> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut input = BufReader::new(stream);
    if !trusted(stream) {
        // Closed with something unread it would be told nothing.
        drop(read_line(&mut input, LONGEST_LINE));
        let error = "only the user of this sandbox may ask, and not from inside one".to_owned();
        return send_line(stream, &Line::from(Reply::Refused { error, hints: Vec::new() }));
    }
    for _ in 0..MOST_REQUESTS {
        let Some(line) = read_line(&mut input, LONGEST_LINE)? else { return Ok(()) };
        let reply = match serde_json::from_slice::<Request>(&line) {
            Ok(request) => handler(request),
            Err(e) => Reply::Refused { error: format!("not understood: {e}"), hints: Vec::new() },
        };
        send_line(stream, &Line::from(reply))?;
    }
    Ok(())
}

/// Whether the other side is a process of this user in this process's own namespaces.
fn trusted(stream: &UnixStream) -> bool {
    let Ok(peer) = socket_peercred(stream) else { return false };
    if peer.uid != rustix::process::getuid() {
        return false;
    }
    let pid = peer.pid.as_raw_nonzero().get();
    ["user", "pid"].iter().all(|name| {
        let namespace = |of: &str| std::fs::metadata(format!("/proc/{of}/ns/{name}"));
        match (namespace("self"), namespace(&pid.to_string())) {
            (Ok(own), Ok(other)) => (own.dev(), own.ino()) == (other.dev(), other.ino()),
            _ => false,
        }
    })
}

/// One line; nothing at the end. One that is too long or was not ended is an error.
fn read_line(input: &mut BufReader<&UnixStream>, most: u64) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    input.by_ref().take(most).read_until(b'\n', &mut line)?;
    match line.pop() {
        None => Ok(None),
        Some(b'\n') => Ok(Some(line)),
        Some(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "a line that does not end")),
    }
}

fn send_line(mut stream: &UnixStream, line: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    stream.write_all(&text)
}

/// Asks a running sandbox for a change, and waits for it. What there is to say about it.
///
/// # Errors
/// It takes no changes, does not answer, or refuses.
pub fn send(socket: &Path, run: &str, request: &Request) -> Result<Option<String>, Failure> {
    ask(socket, run, request).map(|line| line.note)
}

/// What the network of a running sandbox does.
///
/// # Errors
/// It has none by rules, or does not answer.
pub fn view(socket: &Path, run: &str) -> Result<View, Failure> {
    let line = ask(socket, run, &Request::Network)?;
    let none = || Failure::new(format!("{} does not say what its network does", shown(run)));
    line.view.map(|view| *view).ok_or_else(none)
}

fn ask(socket: &Path, run: &str, request: &Request) -> Result<Line, Failure> {
    let run = shown(run);
    let stream = UnixStream::connect(socket).map_err(|e| {
        let failure = Failure::new(format!("what {run} may reach cannot be changed: {e}"));
        match e.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
                failure.hint("it has ended, or what takes changes has: swathe ps lists what runs")
            }
            _ => failure,
        }
    })?;
    let failed = |e: io::Error| Failure::new(format!("{run} does not answer: {e}"));
    stream.set_read_timeout(Some(CHANGING)).map_err(failed)?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(failed)?;
    send_line(&stream, request).map_err(failed)?;
    let line = read_line(&mut BufReader::new(&stream), LONGEST_REPLY).map_err(failed)?;
    let line = line.ok_or_else(|| failed(io::ErrorKind::UnexpectedEof.into()))?;
    let line: Line = serde_json::from_slice(&line).map_err(|e| failed(e.into()))?;
    match line.error {
        None if line.done => Ok(line),
        error => {
            let error = error.unwrap_or_else(|| "it does not say why".to_owned());
            let failure = Failure::new(format!("{run} refuses: {}", shown(&error)));
            Err(line.hints.iter().fold(failure, |failure, hint| failure.hint(shown(hint))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd as _;
    use std::sync::mpsc::channel;

    /// A served socket in a directory of its own, until dropped.
    struct Place {
        directory: std::path::PathBuf,
        listener: UnixListener,
    }

    impl Place {
        fn new(name: &str, mut handler: impl FnMut(Request) -> Reply + Send + 'static) -> Self {
            let name = format!("swathe-control-{name}-{}", std::process::id());
            let directory = std::env::temp_dir().join(name);
            std::fs::create_dir(&directory).expect("a directory");
            let listener = listen(&directory.join("s")).expect("a socket");
            let served = listener.try_clone().expect("a copy");
            std::thread::spawn(move || serve(&served, &mut handler));
            Self { directory, listener }
        }

        fn send(&self, request: &Request) -> Result<Option<String>, Failure> {
            send(&self.directory.join("s"), "sh-1", request)
        }

        /// Raw lines, and what is answered until the other side has closed.
        fn say(&self, text: &[u8]) -> String {
            let mut stream = UnixStream::connect(self.directory.join("s")).expect("connected");
            // It may have closed already.
            drop(stream.write_all(text));
            drop(stream.shutdown(std::net::Shutdown::Write));
            let mut said = String::new();
            drop(stream.read_to_string(&mut said));
            said
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let both = rustix::net::Shutdown::Both;
            rustix::net::shutdown(self.listener.as_fd(), both).expect("shut");
            std::fs::remove_dir_all(&self.directory).expect("removed");
        }
    }

    /// Requests arrive as they were sent, and replies come back.
    #[test]
    fn requests_and_replies() {
        let (heard, requests) = channel();
        let place = Place::new("replies", move |request| {
            heard.send(request.clone()).expect("a test");
            match request {
                Request::Grant(text) if text.ends_with('!') => Reply::Refused {
                    error: "no \u{1b}[2J".to_owned(),
                    hints: vec!["try less".to_owned()],
                },
                Request::Grant(_) => Reply::Done(None),
                Request::Revoke(_) => Reply::Done(Some("open files stay open".to_owned())),
                Request::Network => Reply::Network(Box::default()),
            }
        });
        let grant = Request::Grant("files.dir=/x:ro".to_owned());
        assert_eq!(place.send(&grant), Ok(None));
        assert_eq!(requests.recv().expect("heard"), grant);
        let note = place.send(&Request::Revoke("gpu".to_owned())).expect("done");
        assert_eq!(note.as_deref(), Some("open files stay open"));
        let failure = place.send(&Request::Grant("gpu!".to_owned())).expect_err("refused");
        assert_eq!(failure.message, "sh-1 refuses: no \\u{1b}[2J");
        assert_eq!(failure.hints, ["try less"]);
        assert_eq!(
            place.say(b"{\"grant\":\"a\"}\n{\"revoke\":\"b\"}\n"),
            "{\"done\":true}\n{\"done\":true,\"note\":\"open files stay open\"}\n"
        );
    }

    /// What is no request changes nothing, and others are served afterwards.
    #[test]
    fn nonsense() {
        let (heard, requests) = channel();
        let place = Place::new("nonsense", move |request| {
            heard.send(request).expect("a test");
            Reply::Done(None)
        });
        for text in ["{}", "x", "{\"grant\":1}", "{\"grant\":\"a\",\"revoke\":\"b\"}", "\"grant\""]
        {
            let said = place.say(format!("{text}\n").as_bytes());
            assert!(
                said.starts_with("{\"done\":false,\"error\":\"not understood"),
                "{text}: {said}"
            );
        }
        assert_eq!(place.say(b"{\"grant\":\"a\"}"), "", "not ended");
        let long = format!("{{\"grant\":\"{}\"}}\n", "x".repeat(70_000));
        assert_eq!(place.say(long.as_bytes()), "", "too long");
        let many = b"{}\n".repeat(1000);
        assert!(place.say(&many).lines().count() <= MOST_REQUESTS);
        assert!(requests.try_recv().is_err());
        place.send(&Request::Grant("a".to_owned())).expect("served");
    }

    /// A process in namespaces of its own is refused, although it is the same user and can reach the
    /// socket.
    #[test]
    fn from_inside() {
        let place = Place::new("inside", |_| Reply::Done(None));
        let ask = "import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); \
            s.send(b'{\"grant\":\"a\"}\\n'); sys.stdout.write(s.recv(999).decode())";
        let said = |before: &[&str]| {
            let words = [before, &["/usr/bin/python3", "-c", ask]].concat();
            let out = std::process::Command::new(words[0])
                .args(&words[1..])
                .arg(place.directory.join("s"))
                .output()
                .ok()?;
            out.status.success().then(|| String::from_utf8_lossy(&out.stdout).into_owned())
        };
        let (Some(outside), Some(inside)) = (said(&["env"]), said(&["unshare", "--user"])) else {
            swathe_testkit::notice("no python3 or unshare: who asks from inside is not tried");
            return;
        };
        assert_eq!(outside, "{\"done\":true}\n");
        assert!(inside.contains("not from inside one"), "{inside}");
    }

    /// No socket, or one that nobody serves.
    #[test]
    fn nobody() {
        let failure = send(Path::new("/nonexistent/s"), "sh-1", &Request::Grant("a".to_owned()))
            .expect_err("nobody");
        assert_eq!(
            failure.hints,
            ["it has ended, or what takes changes has: swathe ps lists what runs"]
        );
    }
}

//! The ways to run a job.

use super::floor::{FLOOR, WORD};
use super::opens::PROGRAM;
use super::room::{User, timed};
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;

/// A way to run a job.
pub struct Way {
    pub name: &'static str,
    /// The words before those of the job.
    before: Vec<String>,
    /// Whether there is somebody to ask, who says no.
    asks: bool,
}

/// All of them.
pub fn ways(swathe: &str) -> Vec<Way> {
    let run = |name, options: &[&str]| {
        let words = [&[swathe, "run"], options, &["--"]].concat();
        Way { name, before: words.into_iter().map(str::to_owned).collect(), asks: false }
    };
    // Its socket is passed as standard input, since a program is given no other without `unsafe`.
    let ask = ["sh", "-c", "exec 7<&0 </dev/null; exec \"$@\"", "sh"].map(str::to_owned);
    let asked = run("ask", &["-w", "--ask-fd", "7"]);
    vec![
        Way::bare(),
        Way::performing(""),
        run("run -w", &["-w"]),
        run("no-delete", &["--allow", "files.cwd=no-delete"]),
        run("trash", &["--allow", "files.cwd=trash"]),
        run("append", &["--allow", "files.cwd=append"]),
        run("record", &["-w", "--record"]),
        Way { before: [ask.to_vec(), asked.before].concat(), asks: true, ..asked },
        Way {
            name: "strace",
            before: ["strace", "-f", "-o", "/dev/null"].map(str::to_owned).to_vec(),
            asks: false,
        },
    ]
}

impl Way {
    /// Without anything around it.
    pub fn bare() -> Self {
        Self { name: "bare", before: Vec::new(), asks: false }
    }

    /// With the least beside it that the kernel needs to watch, and to perform what opens a file to
    /// append, if one is named.
    pub fn performing(file: &str) -> Self {
        let words = [PROGRAM, WORD, file];
        Self { name: FLOOR, before: words.map(str::to_owned).to_vec(), asks: false }
    }

    /// The same with words before all others.
    pub fn pinned(&self, words: &[&str]) -> Self {
        let words = words.iter().map(|word| (*word).to_owned());
        Self { before: words.chain(self.before.iter().cloned()).collect(), ..*self }
    }

    /// Runs a command, which has to succeed: the seconds that it took, and what it said.
    pub fn run(&self, user: &User, cwd: &Path, words: &[&str]) -> io::Result<(f64, String)> {
        let before = self.before.iter().map(String::as_str);
        let words: Vec<&str> = before.chain(words.iter().copied()).collect();
        let mut command = user.command(&words, cwd);
        command.stdout(Stdio::piped());
        if self.asks {
            let (ours, theirs) = UnixStream::pair()?;
            command.stdin(Stdio::from(OwnedFd::from(theirs)));
            std::thread::spawn(move || refuse(&ours));
        }
        timed(&mut command)
    }
}

/// Says no to every question, until the run is over.
fn refuse(socket: &UnixStream) {
    for line in BufReader::new(socket).lines() {
        let Ok(line) = line else { return };
        // No more of JSON is needed: this is a number.
        let Some((_, rest)) = line.split_once("\"id\":") else { continue };
        let id: String = rest.chars().take_while(char::is_ascii_digit).collect();
        let answer = format!(
            "{{\"answer\":{{\"id\":{id},\"allow\":false,\"term\":\"run\",\"directory\":false,\"read_only\":false}}}}\n"
        );
        let mut socket = socket;
        if socket.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

//! The client: starts pasta, waits until the network is there, and ends it.

use super::COMMAND;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use std::io::{PipeReader, Read as _};
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};
use std::{fmt, io};

/// How long it may take until the network is there.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most that is heard of what it says, in bytes.
const MAX_SAID: usize = 4096;
/// The most lines of that in an error.
const MAX_LINES: usize = 3;
/// What old versions say about each of their own messages where no system logger listens.
const NO_LOGGER: &str = "Failed to send";

/// Why there is no network.
#[derive(Debug)]
pub enum Error {
    /// A system call of this process failed: what it was for.
    Io(&'static str, io::Error),
    /// It ended before the network was there; what it said of that.
    Ended(String),
    /// It took too long, and was ended.
    TimedOut,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(what, error) => write!(f, "cannot {what}: {error}"),
            Self::Ended(said) if said.is_empty() => {
                f.write_str("pasta has ended, and does not say why")
            }
            Self::Ended(said) => write!(f, "pasta: {said}"),
            Self::TimedOut => {
                write!(f, "pasta took longer than {} seconds, and was ended", PATIENCE.as_secs())
            }
        }
    }
}

impl std::error::Error for Error {}

fn io(what: &'static str) -> impl Fn(io::Error) -> Error {
    move |error| Error::Io(what, error)
}

/// A pasta that runs. It ends when this is dropped, and when the thread ends that started it.
#[derive(Debug)]
pub struct Pasta {
    process: Child,
}

impl Pasta {
    /// Starts it for a sandbox whose program does not run yet; the network is there when this
    /// returns.
    ///
    /// `joiner`: executed with the word [`COMMAND`], on which it calls [`serve`](super::serve).
    /// `pasta`: the program. `netns`: the sandbox's network namespace, which must be owned by a user
    /// namespace of the sandbox's own. `forward`: an address at which the host's resolver answers
    /// in the sandbox.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn start(
        joiner: &Path,
        pasta: &Path,
        netns: OwnedFd,
        forward: Option<IpAddr>,
    ) -> Result<Self, Error> {
        let pipe = || io::pipe().map_err(io("make a pipe for pasta"));
        let ((ready, tells), (errors, complains)) = (pipe()?, pipe()?);
        let mut command = Command::new(joiner);
        command.arg(COMMAND).arg(std::process::id().to_string()).arg(pasta);
        command.args(forward.map(|address| address.to_string()));
        command.env_clear().current_dir("/");
        command.stdin(netns).stdout(tells).stderr(complains);
        let process = command.spawn().map_err(io("start pasta"))?;
        // The other ends are its alone, and the namespace is.
        drop(command);
        let mut started = Self { process };
        started.wait(&ready, &errors)?;
        Ok(started)
    }

    /// Its process, for whoever lists what belongs to a sandbox.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Whether it has ended by itself: the sandbox reaches nothing since then.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.process.try_wait(), Ok(None))
    }

    /// Waits for the line that it says when all is set up.
    fn wait(&mut self, ready: &PipeReader, errors: &PipeReader) -> Result<(), Error> {
        let end = Instant::now() + PATIENCE;
        if hear(ready, end, true)?.contains(&b'\n') {
            return Ok(());
        }
        let said = hear(errors, end, false)?;
        Err(Error::Ended(reason(&String::from_utf8_lossy(&said))))
    }
}

impl Drop for Pasta {
    fn drop(&mut self) {
        // It fails where it has ended.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// What is said, until its end or, with `line`, until one line is whole.
fn hear(mut pipe: &PipeReader, end: Instant, line: bool) -> Result<Vec<u8>, Error> {
    let failed = io("hear from pasta");
    let mut said = Vec::new();
    let mut buffer = [0; 512];
    while said.len() < MAX_SAID && !(line && said.contains(&b'\n')) {
        let left = end.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).unwrap_or_default();
        match poll(&mut [PollFd::new(pipe, PollFlags::IN)], Some(&timeout)) {
            Ok(0) if left.is_zero() => return Err(Error::TimedOut),
            Ok(0) | Err(Errno::INTR) => continue,
            Ok(_) => {}
            Err(e) => return Err(failed(e.into())),
        }
        match pipe.read(&mut buffer).map_err(&failed)? {
            0 => break,
            length => said.extend(buffer.iter().take(length)),
        }
    }
    Ok(said)
}

/// The last of what was said: before that are warnings.
fn reason(said: &str) -> String {
    let lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
    let lines: Vec<&str> = lines.filter(|line| !line.starts_with(NO_LOGGER)).collect();
    let first = lines.len().saturating_sub(MAX_LINES);
    lines[first..].join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn the_reason_is_what_was_said_last() {
        assert_eq!(reason(""), "");
        let said = "one\nFailed to send 51 bytes to syslog\n\n two \nthree\nfour\n";
        assert_eq!(reason(said), "two; three; four");
    }

    #[test]
    fn no_more_is_heard_than_is_wanted() {
        let end = Instant::now() + PATIENCE;
        let (reader, mut writer) = io::pipe().expect("a pipe");
        writer.write_all(b"42\n").expect("written");
        assert_eq!(hear(&reader, end, true).expect("heard"), b"42\n");
        writer.write_all(&[b'x'; 2 * MAX_SAID]).expect("written");
        assert!(hear(&reader, end, false).expect("heard").len() < 2 * MAX_SAID);
        let (reader, writer) = io::pipe().expect("a pipe");
        assert!(matches!(hear(&reader, Instant::now(), true), Err(Error::TimedOut)));
        drop(writer);
        assert_eq!(hear(&reader, end, true).expect("heard"), b"");
    }
}

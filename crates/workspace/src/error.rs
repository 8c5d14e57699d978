//! What can go wrong, in words for the user.

use rustix::io::Errno;
use std::fmt;
use swathe_record::bytes::Bytes;

/// What kind of failure it is, for callers that act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// A run, a commit or another change of the workspace is going on.
    InUse,
    /// A commit, an undo or a discard was interrupted: `resume` ends it.
    HalfDone,
    /// No such workspace, no such root, or nothing to undo.
    Gone,
    /// It belongs to another user, or others can write to it.
    NotOurs,
    /// Files of the workspace cannot be read as what they should be.
    Damaged,
    /// A bound was passed.
    TooMuch,
    /// What was asked for cannot be done.
    Unusable,
    /// The system refused a step.
    System(Errno),
}

/// A failure: the step, the object, the cause, and what to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// Its kind.
    pub kind: ErrorKind,
    /// Step, object and cause, one line, nothing in it steers a terminal.
    pub text: String,
    /// What to do next, where something is known.
    pub fix: Option<String>,
}

/// The crate's results.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn new(kind: ErrorKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into(), fix: None }
    }

    /// A system call failed in `step` on `path`.
    pub(crate) fn system(step: &str, path: &[u8], errno: Errno) -> Self {
        let shown = Bytes(path.to_vec());
        let mut error = Self::new(
            ErrorKind::System(errno),
            format!("cannot {step} {shown}: {}", std::io::Error::from(errno)),
        );
        error.fix = match errno {
            Errno::NOSPC | Errno::DQUOT => Some("free some space, then repeat".to_owned()),
            Errno::ROFS => Some("make the file system writable, then repeat".to_owned()),
            _ => None,
        };
        error
    }

    pub(crate) fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Error {}

/// Turns a system call's failure into an [`Error`].
pub(crate) trait Step<T> {
    /// `step` is a verb, `path` what it was done to.
    fn step(self, step: &str, path: &[u8]) -> Result<T>;
}

impl<T> Step<T> for std::result::Result<T, Errno> {
    fn step(self, step: &str, path: &[u8]) -> Result<T> {
        self.map_err(|errno| Error::system(step, path, errno))
    }
}

impl<T> Step<T> for std::io::Result<T> {
    fn step(self, step: &str, path: &[u8]) -> Result<T> {
        self.map_err(|error| {
            let errno = error.raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error);
            Error::system(step, path, errno)
        })
    }
}

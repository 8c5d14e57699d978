//! What can go wrong before a sandbox runs.

use serde::Deserialize;
use std::path::PathBuf;
use std::{fmt, io};

/// An error of this library.
#[derive(Debug)]
pub enum Error {
    /// No `bwrap` of ours was found; these places were looked at.
    NoEngine(Vec<PathBuf>),
    /// A `bwrap` that is not ours, or of another version: the path, and what it says of itself.
    WrongEngine(PathBuf, String),
    /// A word, path or variable holds a NUL byte.
    Nul(Vec<u8>),
    /// A system call of this library failed: what it was for.
    Io(&'static str, io::Error),
}

/// A step of the set-up that failed: the command was not started.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct SetupError {
    /// One line, without the program's name.
    pub message: String,
    /// The step, such as `Bind` or `Exec`.
    pub step: String,
    /// The option that asked for it.
    #[serde(default)]
    pub option: Option<String>,
    /// The position of that option, counted from 1.
    #[serde(default)]
    pub argument: Option<u32>,
    /// The option's words.
    #[serde(default)]
    pub words: Vec<String>,
    /// The kernel's error number.
    #[serde(default)]
    pub errno: Option<i32>,
    /// Why, as far as the host shows it.
    #[serde(default)]
    pub cause: Option<String>,
    /// What to do.
    #[serde(default)]
    pub fix: Option<String>,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoEngine(places) => {
                let places: Vec<_> = places.iter().map(|p| p.display().to_string()).collect();
                write!(f, "found no bwrap of this project: looked at {}", places.join(", "))
            }
            Self::WrongEngine(path, says) => {
                write!(f, "{} is not the bwrap of this version: it says {says:?}", path.display())
            }
            Self::Nul(word) => write!(f, "a NUL byte in {}", word.escape_ascii()),
            Self::Io(what, error) => write!(f, "cannot {what}: {error}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(_, error) => Some(error),
            _ => None,
        }
    }
}

/// `map_err(io("do something"))`.
pub(crate) fn io<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> Error {
    move |error| Error::Io(what, error.into())
}

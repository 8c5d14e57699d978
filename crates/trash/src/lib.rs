//! The trash behind the access level of that name: what a sandboxed program removes or replaces is kept out of its reach, listed and restored.
//!
//! A trash is a directory of two: `info` says of each thing what it was (one JSON file each), `files`
//! holds the things. There is one for each mounted file system that something was removed from, so
//! that keeping a thing is one rename: the user's own below the data directory, others named
//! `.swathe-trash-UID` as far up as the user can make them. The user's own knows the others.
//!
//! Directories are never moved: an empty one is removed, and its mode and time are kept. So no
//! descriptor that a program holds leads into the trash, only to files that it had opened.

#![forbid(unsafe_code)]

mod copy;
mod entry;
mod keep;
mod meta;
mod place;
mod quarantine;
mod restore;
mod select;
mod store;

pub use entry::{Entry, Id, Kind};
pub use keep::Keeper;
pub use quarantine::Limits;
pub use restore::Target;
pub use select::{Filter, tree};
pub use store::{Kept, Listing, Store};

use rustix::io::Errno;
use std::fmt;
use std::path::{Path, PathBuf};

/// What could not be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The step, as behind "cannot".
    pub step: &'static str,
    /// With what.
    pub path: PathBuf,
    /// Why.
    pub cause: String,
    /// The error's number where the kernel gave one.
    pub errno: Option<Errno>,
}

impl Error {
    fn new(step: &'static str, path: &Path, errno: Errno) -> Self {
        Self { step, path: path.to_owned(), cause: errno.to_string(), errno: Some(errno) }
    }

    fn because(step: &'static str, path: &Path, cause: impl Into<String>) -> Self {
        Self { step, path: path.to_owned(), cause: cause.into(), errno: None }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = swathe_record::bytes::Bytes::from(self.path.as_path());
        write!(f, "cannot {} {path}: {}", self.step, self.cause)
    }
}

impl std::error::Error for Error {}

/// What most calls here give.
pub type Result<T> = std::result::Result<T, Error>;

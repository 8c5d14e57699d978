//! What can go wrong.

use crate::protocol::{MAX_MOUNTS, MAX_PATH, Refusal, Step};
use rustix::io::Errno;
use std::path::{Path, PathBuf};
use std::{fmt, io};
use swathe_helper::{Broken, Stage};

/// Why the mounts of a sandbox were not changed.
#[derive(Debug)]
pub enum Error {
    /// A path that is not absolute, is the root, has a component `..` or a NUL, or is too long.
    Path(PathBuf),
    /// What is to be shown cannot be opened on the host: the path, and why. ELOOP: a part of it is a
    /// symbolic link, which the caller has to resolve before it judges the path.
    Host(PathBuf, io::Error),
    /// The helper refused, or could not do it. Nothing has changed, but for [`Step::Moved`] of a
    /// path to hide: what was found there is hidden and stays so.
    Refused {
        /// The path in the sandbox; empty when the helper could not start.
        path: PathBuf,
        /// The step.
        step: Step,
        /// The error, where a system call failed.
        errno: Option<Errno>,
    },
    /// The helper has ended, or was ended because it broke the protocol: the sandbox has ended, or
    /// somebody has killed the helper. Nothing can be changed any more.
    Ended,
    /// No answer in time. The helper was ended; whether the change was made is not known.
    TimedOut,
    /// A system call of this process failed: what it was for.
    Io(&'static str, io::Error),
}

impl Error {
    /// The helper's refusal of a request about `path`.
    pub(crate) fn refused(path: &Path, refusal: Refusal) -> Self {
        Self::Refused { path: path.to_owned(), step: refusal.step, errno: refusal.errno }
    }
}

/// What a step is called in messages: it could not …
fn text(step: Step) -> &'static str {
    match step {
        Step::Request => "understand the request: another version of the program",
        Step::Isolate => "cut itself off from its surroundings",
        Step::JoinUser => "join the user namespace of the sandbox",
        Step::CopyMounts => "copy the mounts of the host",
        Step::StandIn => "make what stands in for hidden paths",
        Step::Capabilities => "give up its capabilities",
        Step::Filter => "give up system calls",
        Step::HostPath => "open the host's path again",
        Step::HostChanged => "show it: another file is at the host's path now",
        Step::CopyTree => "copy the mounts below the host's path",
        Step::EnterMounts => "enter the mounts of the sandbox",
        Step::Place => "find the place",
        Step::Kind => "use the place: it is a symbolic link, a part of /proc, or of another kind",
        Step::Create => "create the place",
        Step::CreateOnHost => {
            "create the place: it would be created on the host, in a directory that is shown"
        }
        Step::Attach => "mount there",
        Step::Moved => "keep the place: something in the sandbox moves it all the time",
        Step::TooMany => "make another mount",
        Step::NoSuchMount => "find the mount: it is not there, or no more",
        Step::Covered => "take it away: a later change lies on it or below it",
        Step::Detach => "unmount it",
        Step::NoMount => "find a read-only mount of it",
        Step::Thaw => "change whether it can be written to",
    }
}

/// What to do about it.
fn fix(step: Step, errno: Option<Errno>) -> Option<String> {
    Some(match (step, errno) {
        (Step::Place | Step::Create, Some(Errno::LOOP)) => {
            "a symbolic link in the sandbox is in the way: name the path that it leads to"
                .to_owned()
        }
        (Step::Place, Some(Errno::NOENT)) => "there is nothing at this path".to_owned(),
        (Step::Create, Some(Errno::ROFS)) => {
            "a directory of the sandbox is read-only: use a path below another one".to_owned()
        }
        (Step::CreateOnHost, _) => {
            "make the directory or file on the host, or use another path".to_owned()
        }
        (Step::Covered, _) => "undo that one first".to_owned(),
        (Step::TooMany, _) => format!("take some away: at most {MAX_MOUNTS}"),
        (_, Some(Errno::NOSYS)) => "the kernel is too old: Linux 5.12 is needed".to_owned(),
        (Step::Attach, Some(Errno::NOSPC)) => {
            "the sandbox has too many mounts: sysctl fs.mount-max".to_owned()
        }
        _ => return None,
    })
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(
                f,
                "{path:?} is no path for a mount: it must be absolute, without \"..\", not the \
                 root, and have at most {MAX_PATH} bytes"
            ),
            Self::Host(path, error) if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {
                write!(f, "cannot open {path:?}: a part of it is a symbolic link")
            }
            Self::Host(path, error) => write!(f, "cannot open {path:?}: {error}"),
            Self::Refused { path, step, errno } => {
                if path.as_os_str().is_empty() {
                    write!(f, "the helper for mounts could not {}", text(*step))?;
                } else {
                    write!(f, "cannot change {path:?} in the sandbox: could not {}", text(*step))?;
                }
                if let Some(errno) = errno {
                    write!(f, ": {}", io::Error::from(*errno))?;
                }
                match fix(*step, *errno) {
                    Some(fix) => write!(f, "; {fix}"),
                    None => Ok(()),
                }
            }
            Self::Ended => f.write_str(
                "the helper for mounts has ended, or the sandbox has: its mounts stay as they are",
            ),
            Self::TimedOut => f.write_str(
                "the helper for mounts did not answer in time and was ended: the sandbox's mounts \
                 cannot be changed any more",
            ),
            Self::Io(what, error) => write!(f, "cannot {what}: {error}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Host(_, error) | Self::Io(_, error) => Some(error),
            _ => None,
        }
    }
}

impl From<Broken> for Error {
    fn from(broken: Broken) -> Self {
        match broken {
            Broken::Ended => Self::Ended,
            Broken::TimedOut => Self::TimedOut,
            Broken::Io(stage, error) => {
                let what = match stage {
                    Stage::Start => "start the helper for mounts",
                    Stage::Ask => "ask the helper for mounts",
                    Stage::Hear => "hear from the helper for mounts",
                };
                Self::Io(what, error)
            }
        }
    }
}

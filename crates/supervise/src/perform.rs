//! What the supervisor does in place of a process, within the level of the place.
//!
//! Everything is done by descriptors that the walk holds, in the sandbox's own mounts, with the
//! user's own rights and no capability. What is left to the kernel (`Verdict::Continue`) is kept by
//! Landlock's rules, whatever has become of the path meanwhile. Where no rule would keep it, nothing
//! is left to the kernel.

mod length;
mod names;
mod opening;

use crate::place::{Level, Place, Placed, Places};
use crate::process::{Caller, path_of};
use crate::trap::{Call, only_truncates};
use crate::walk::Found;
use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use swathe_record::bytes::Bytes;
use swathe_record::event::Outcome;
use swathe_sys::rustix::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use swathe_sys::rustix::fs::OFlags;
use swathe_sys::{Errno, Result, notify};

/// How often a name is looked up again that appears or vanishes meanwhile.
const MAX_RACES: usize = 16;

/// What becomes of a call.
#[derive(Debug)]
pub enum Verdict {
    /// The kernel decides.
    Continue,
    /// It was done; this is the result.
    Done(i64),
    /// It was opened; the process gets it.
    Open(OwnedFd, bool),
    /// It has to be opened by a thread that may wait: a pipe whose other end nobody has opened.
    OpenSlowly(OwnedFd, OFlags, bool),
    /// It fails.
    Refuse(Errno),
}

/// A call that a level is about: for the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noted {
    /// The path.
    pub path: PathBuf,
    /// The other one of a rename or link.
    pub to: Option<PathBuf>,
    /// What came of it.
    pub outcome: Outcome,
    /// Which level.
    pub level: Level,
    /// The place that has it.
    pub place: Option<PathBuf>,
}

impl Noted {
    /// Whether the level decided; otherwise the kernel says the same without one.
    #[must_use]
    pub fn is_by_level(&self) -> bool {
        is_by_level(self.level, self.outcome)
    }

    /// Whether it is as without levels: no level is about it, and it went well.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.level == Level::Free && self.outcome == Outcome::Allowed
    }
}

/// Something that is removed, for the trash.
#[derive(Debug)]
pub struct Removal<'a> {
    /// Its directory, by the sandbox's mount.
    pub dir: BorrowedFd<'a>,
    /// The same directory by the host's mount, checked to be the same.
    pub host_dir: Option<BorrowedFd<'a>>,
    /// Its name.
    pub name: &'a CStr,
    /// Its path on the host.
    pub path: &'a Path,
    /// Whether it has to be an (empty) directory; otherwise it must not be one.
    pub directory: bool,
    /// The program that removes it, as the sandbox names its file.
    pub program: &'a Bytes,
}

/// The place behind the level [`Level::Trash`].
pub trait Trash: Send {
    /// Moves it away.
    ///
    /// # Errors
    /// Nothing was removed then. EDQUOT: the trash is full.
    fn keep(&mut self, removal: &Removal<'_>) -> Result<()>;

    /// Renames `name` of `dir` to what `replaced` names, which is moved away; at no moment is there
    /// nothing of that name.
    ///
    /// # Errors
    /// Nothing was renamed or removed then.
    fn replace(&mut self, dir: BorrowedFd<'_>, name: &CStr, replaced: &Removal<'_>) -> Result<()>;
}

/// Performs calls in places that have a level.
pub struct Performer {
    places: Places,
    listed: Vec<Place>,
    trash: Option<Box<dyn Trash>>,
    /// Whether there are files that must not become shorter.
    lengths: bool,
    /// Whether what went as it would without a level is noted, too.
    notes_all: bool,
}

/// What a call comes to, and what is to be noted of it.
pub type Performed = (Verdict, Option<Noted>);

const GO_ON: Performed = (Verdict::Continue, None);

/// Where no level holds: what no rule of the kernel keeps is performed there, too.
const ELSEWHERE: Placed = Placed { level: Level::Free, ruled: false, number: 0, exact: false };

impl Performer {
    /// For these places; `listed` is what `places` was found for. `notes_all`: what went as it would
    /// without a level is noted, too.
    #[must_use]
    pub fn new(
        places: Places,
        listed: Vec<Place>,
        trash: Option<Box<dyn Trash>>,
        notes_all: bool,
    ) -> Self {
        let lengths = listed.iter().any(|place| place.level <= Level::NoDelete);
        Self { places, listed, trash, lengths, notes_all }
    }

    /// Performs a call, or leaves it to the kernel. `still` says whether the process still waits:
    /// it is asked after everything about the process was read and before anything is done.
    pub fn perform(&mut self, caller: &Caller, call: Call, still: &dyn Fn() -> bool) -> Performed {
        for _ in 0..MAX_RACES {
            let done = match call {
                Call::Open(at, flags, mode) => self.open(caller, at, flags, mode, 0, still),
                Call::Open2(at, how, size) => self.open2(caller, at, (how, size), still),
                Call::Unlink(at, directory) => self.unlink(caller, at, directory, still),
                Call::Rename(from, to, flags) => self.rename(caller, from, to, flags, still),
                Call::Link(from, to) => self.link(caller, from, to, still),
                Call::Truncate(at, length) => self.truncate(caller, at, length, still),
                Call::TruncateOpen(fd, length) => self.truncate_open(caller, fd, length, still),
                Call::SetFlags(fd, flags) => self.set_flags(caller, fd, flags, still),
                _ => return GO_ON,
            };
            match done {
                Ok(Some((Verdict::Continue, _))) if !self.is_ruled(call) => {
                    return (Verdict::Refuse(refusal(call)), None);
                }
                Ok(Some(done)) => return done,
                // Something got in between: once more.
                Ok(None) => {}
                Err(errno) if !self.is_ruled(call) => return (Verdict::Refuse(errno), None),
                // What cannot be followed is not performed: the kernel's rules are the floor.
                Err(_) => return GO_ON,
            }
        }
        (Verdict::Refuse(Errno::AGAIN), None)
    }

    /// Whether the kernel's rules keep what is not performed, whatever has become of the path.
    fn is_ruled(&self, call: Call) -> bool {
        is_ruled(call) && !(self.lengths && shortens(call))
    }

    fn noted(
        &self,
        done: Result<Verdict>,
        found: &Found,
        to: Option<&Found>,
        Placed { level, number, .. }: Placed,
    ) -> Performed {
        let outcome = match &done {
            Err(errno) => Outcome::Denied(errno.raw_os_error()),
            Ok(_) if level == Level::Trash => Outcome::Kept,
            Ok(_) => Outcome::Allowed,
        };
        let done = done.unwrap_or_else(Verdict::Refuse);
        if !self.notes_all && (outcome == Outcome::Allowed || !is_by_level(level, outcome)) {
            return (done, None);
        }
        let path = |found: &Found| {
            let dir = path_of(&found.dir).unwrap_or_default();
            Path::new(OsStr::from_bytes(&dir)).join(OsStr::from_bytes(found.name.to_bytes()))
        };
        let place = self.listed.get(number).filter(|place| place.level == level);
        let place = place.map(|place| place.path.clone());
        let noted = Noted { path: path(found), to: to.map(path), outcome, level, place };
        (done, Some(noted))
    }
}

fn is_by_level(level: Level, outcome: Outcome) -> bool {
    let errno = match outcome {
        Outcome::Denied(errno) => Errno::from_raw_os_error(errno),
        _ => return level != Level::Free,
    };
    match level {
        Level::Free => false,
        Level::Trash => errno == Errno::DQUOT,
        _ => matches!(errno, Errno::ACCESS | Errno::PERM | Errno::OPNOTSUPP),
    }
}

/// A descriptor of this process by its path: what it refers to and nothing else.
fn own(fd: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

fn taken(caller: &Caller, fd: i32, still: &dyn Fn() -> bool) -> Result<OwnedFd> {
    let process = notify::open_thread(caller.pid)?;
    let file = notify::take_fd(process.as_fd(), fd)?;
    if still() { Ok(file) } else { Err(Errno::SRCH) }
}

/// Whether the kernel's rules say something about a call: about descriptors they do not, and the
/// number can have become that of another file meanwhile.
pub fn is_ruled(call: Call) -> bool {
    !matches!(call, Call::TruncateOpen(..) | Call::SetFlags(..))
}

/// The answer to what is neither performed nor left to the kernel.
pub fn refusal(call: Call) -> Errno {
    match call {
        // Callers are prepared for kernels without it.
        Call::Open2(..) => Errno::NOSYS,
        _ => Errno::ACCESS,
    }
}

/// Whether a call can make a file shorter that it does not open to write.
pub fn shortens(call: Call) -> bool {
    match call {
        Call::Truncate(..) => true,
        Call::Open(_, flags, _) => only_truncates(flags),
        // Its flags can change until the kernel reads them.
        Call::Open2(..) => true,
        _ => false,
    }
}

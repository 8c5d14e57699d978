//! The length and the flags of files.

use super::opening::is_ordinary;
use super::{ELSEWHERE, GO_ON, Noted, Performed, Performer, Verdict, is_by_level, own, taken};
use crate::place::{Level, Placed};
use crate::process::{Caller, path_of};
use crate::trap::At;
use crate::walk::{Walk, identity};
use std::cmp::Ordering;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;
use swathe_record::event::Outcome;
use swathe_sys::rustix::fd::OwnedFd;
use swathe_sys::rustix::fs::{
    FallocateFlags, FileType, Mode, OFlags, fallocate, fcntl_getfl, fcntl_setfl, ftruncate, open,
};
use swathe_sys::rustix::process::{Signal, pidfd_send_signal};
use swathe_sys::{Errno, Result, notify};

impl Performer {
    pub(super) fn truncate(
        &self,
        caller: &Caller,
        at: At,
        length: u64,
        still: &dyn Fn() -> bool,
    ) -> Result<Option<Performed>> {
        let path = caller.path(at.path)?;
        let found = Walk::new(caller).find(at.dir, &path, true)?;
        let mut placed = self.places.of_found(&found)?;
        // What came from outside by a descriptor is nowhere in the sandbox.
        let inside = !found.jumped || self.places.holds(&found);
        if placed.is_none() && self.lengths && inside {
            placed = Some(ELSEWHERE);
        }
        let Some(placed @ Placed { level, ruled, .. }) = placed else {
            return Ok(Some(GO_ON));
        };
        let done = match (&found.object, level) {
            (None, _) => Err(Errno::NOENT),
            (Some(object), _) if found.slash && object.kind != FileType::Directory => {
                Err(Errno::NOTDIR)
            }
            (_, Level::Append | Level::NoDelete) => Err(Errno::ACCESS),
            _ if ruled && !self.lengths => return Ok(Some(GO_ON)),
            (Some(object), _) => match object.kind {
                FileType::RegularFile if !is_ordinary(&found)? => Err(Errno::ACCESS),
                FileType::RegularFile if !still() => Err(Errno::SRCH),
                FileType::RegularFile => open(
                    own(&object.fd),
                    OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NONBLOCK,
                    Mode::empty(),
                )
                .and_then(|file| {
                    permitted(caller, &file, length, still)?;
                    shorten(&file, length)
                }),
                FileType::Directory => Err(Errno::ISDIR),
                _ => Err(Errno::INVAL),
            },
        };
        Ok(Some(self.noted(done.map(|()| Verdict::Done(0)), &found, None, placed)))
    }

    /// On a copy of the descriptor: by its number, the process could put another file there after
    /// it was looked at.
    pub(super) fn truncate_open(
        &self,
        caller: &Caller,
        fd: i32,
        length: u64,
        still: &dyn Fn() -> bool,
    ) -> Result<Option<Performed>> {
        if i64::try_from(length).is_err() {
            return Err(Errno::INVAL);
        }
        let file = taken(caller, fd, still)?;
        let level = self.level_of(&file)?;
        let kept = matches!(level, Some(Level::Append | Level::NoDelete));
        let done = permitted(caller, &file, length, still).and_then(|()| match kept {
            true => lengthen(&file, length),
            false => shorten(&file, length),
        });
        Ok(Some(refused(done, &file, level)))
    }

    pub(super) fn set_flags(
        &self,
        caller: &Caller,
        fd: i32,
        flags: u32,
        still: &dyn Fn() -> bool,
    ) -> Result<Option<Performed>> {
        let file = taken(caller, fd, still)?;
        let level = self.level_of(&file)?;
        let done = match level {
            Some(Level::Append) => Err(Errno::PERM),
            _ => fcntl_setfl(&file, OFlags::from_bits_retain(flags)),
        };
        Ok(Some(refused(done, &file, level)))
    }

    /// The level that an open file is kept by. One that was made by the process, and not to be
    /// appended to, is its own until it is closed.
    fn level_of(&self, file: &OwnedFd) -> Result<Option<Level>> {
        let found = identity(file)?;
        if FileType::from_raw_mode(found.mode.into()) != FileType::RegularFile {
            return Ok(None);
        }
        let level = self.places.of_mount(found.mount);
        let own = level == Some(Level::Append) && !fcntl_getfl(file)?.contains(OFlags::APPEND);
        Ok(level.filter(|_| !own))
    }
}

/// What a call on an open file comes to. Only what the level refuses is noted: without one, such calls
/// are not told.
fn refused(done: Result<()>, file: &OwnedFd, level: Option<Level>) -> Performed {
    let Err(errno) = done else { return (Verdict::Done(0), None) };
    let outcome = Outcome::Denied(errno.raw_os_error());
    let noted = level.filter(|level| is_by_level(*level, outcome)).map(|level| {
        let path = PathBuf::from(OsString::from_vec(path_of(file).unwrap_or_default()));
        Noted { path, to: None, outcome, level, place: None }
    });
    (Verdict::Refuse(errno), noted)
}

/// Whether the process may have a file of this length: its limit counts, not the supervisor's, and
/// it gets the signal, as the kernel does both (setrlimit(2)).
fn permitted(caller: &Caller, file: &OwnedFd, length: u64, still: &dyn Fn() -> bool) -> Result<()> {
    if length <= identity(file)?.size || length <= caller.file_limit()? {
        return if still() { Ok(()) } else { Err(Errno::SRCH) };
    }
    let thread = notify::open_thread(caller.pid)?;
    if !still() {
        return Err(Errno::SRCH);
    }
    // One that it cannot be sent has ended.
    let _ = pidfd_send_signal(thread, Signal::XFSZ);
    Err(Errno::FBIG)
}

/// Makes a file longer, and never shorter, not even by what is written to it at the same time.
fn lengthen(file: &OwnedFd, length: u64) -> Result<()> {
    if fcntl_getfl(file)? & OFlags::RWMODE == OFlags::RDONLY {
        return Err(Errno::INVAL);
    }
    match length.cmp(&identity(file)?.size) {
        Ordering::Less => Err(Errno::ACCESS),
        Ordering::Equal => Ok(()),
        // By one byte at its new end: allocating does not cut.
        Ordering::Greater => match fallocate(file, FallocateFlags::empty(), length - 1, 1) {
            Err(Errno::OPNOTSUPP) => Err(Errno::ACCESS),
            done => done,
        },
    }
}

fn shorten(file: &OwnedFd, length: u64) -> Result<()> {
    if i64::try_from(length).is_err() {
        return Err(Errno::INVAL);
    }
    ftruncate(file, length)
}

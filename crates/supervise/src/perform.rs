//! What the supervisor does in place of a process, within the level of the place.
//!
//! Everything is done by descriptors that the walk holds, in the sandbox's own mounts, with the
//! user's own rights and no capability. What is left to the kernel (`Verdict::Continue`) is kept by
//! Landlock's rules, whatever has become of the path meanwhile.

use crate::place::{Level, Place, Placed, Places};
use crate::process::{Caller, path_of};
use crate::trap::{At, Call, open_how, writes};
use crate::walk::{End, Found, Object, Walk, identity};
use std::cmp::Ordering;
use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use swathe_record::bytes::Bytes;
use swathe_record::event::Outcome;
use swathe_sys::rustix::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use swathe_sys::rustix::fs::{
    AtFlags, CWD, FallocateFlags, FileType, Mode, OFlags, RenameFlags, ResolveFlags, fallocate,
    fcntl_getfl, fcntl_setfl, fstat, fstatfs, ftruncate, linkat, open, openat, openat2,
    renameat_with, unlinkat,
};
use swathe_sys::rustix::process::umask;
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
}

/// What a call comes to, and what is to be noted of it.
pub type Performed = (Verdict, Option<Noted>);

const GO_ON: Performed = (Verdict::Continue, None);

impl Performer {
    /// For these places; `listed` is what `places` was found for.
    #[must_use]
    pub fn new(places: Places, listed: Vec<Place>, trash: Option<Box<dyn Trash>>) -> Self {
        Self { places, listed, trash }
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
                Ok(Some(done)) => return done,
                // Something got in between: once more.
                Ok(None) => {}
                // What is done to an open descriptor has no such floor, and the number can have
                // become that of another file meanwhile.
                Err(errno) if on_descriptor(call) => return (Verdict::Refuse(errno), None),
                // What cannot be followed is not performed: the kernel's rules are the floor.
                Err(_) => return GO_ON,
            }
        }
        (Verdict::Refuse(Errno::AGAIN), None)
    }

    fn open2(
        &self,
        caller: &Caller,
        at: At,
        (how, size): (u64, u64),
        still: &dyn Fn() -> bool,
    ) -> Result<Option<Performed>> {
        if size < 24 {
            return Ok(Some(GO_ON));
        }
        let mut bytes = [0; 24];
        caller.bytes(how, &mut bytes)?;
        let Some((flags, mode, restrictions)) = open_how(&bytes) else {
            return Ok(Some(GO_ON));
        };
        let nofollow = OFlags::from_bits_retain(flags).intersects(OFlags::NOFOLLOW);
        let exclusive = is_exclusive(flags);
        let at = At { follow: !nofollow && !exclusive, ..at };
        self.open(caller, at, flags, mode, restrictions, still)
    }

    fn open(
        &self,
        caller: &Caller,
        at: At,
        flags: u32,
        mode: u32,
        restrictions: u64,
        still: &dyn Fn() -> bool,
    ) -> Result<Option<Performed>> {
        if !writes(flags) {
            return Ok(Some(GO_ON));
        }
        let path = caller.path(at.path)?;
        let found = Walk::new(caller)?.find(at.dir, &path, at.follow)?;
        if found.jumped && !self.places.holds(&found)? {
            return reopen(caller, &found, flags, still);
        }
        let Some(Placed { level, ruled, exact, .. }) = self.places.of_found(&found)? else {
            return Ok(Some(GO_ON));
        };
        if !exact && !is_ordinary(&found)? {
            return Ok(Some(GO_ON));
        }
        // What is handed over is judged by its mount later on: of another, nothing is.
        if ruled && level > Level::Append || !exact && level != Level::Free {
            return Ok(Some(GO_ON));
        }
        // Callers of openat2 that restrict the way are prepared for kernels without it.
        if restrictions != 0 {
            return Ok(Some((Verdict::Refuse(Errno::NOSYS), None)));
        }
        let flags = OFlags::from_bits_retain(flags);
        let done = match &found.object {
            Some(_) if !still() => Err(Errno::SRCH),
            Some(object) => open_existing(&found, object, flags, level),
            None => create(caller, &found, flags, mode, still),
        };
        Ok(match done {
            Err(Errno::EXIST) if !is_exclusive(flags.bits()) => None,
            Err(Errno::NOENT) if found.object.is_some() => None,
            done => Some(self.noted(done, &found, None, level)),
        })
    }

    fn unlink(
        &mut self,
        caller: &Caller,
        at: At,
        directory: bool,
        still: &dyn Fn() -> bool,
    ) -> Result<Option<Performed>> {
        let path = caller.path(at.path)?;
        let found = Walk::new(caller)?.find_name(at.dir, &path)?;
        let Some(Placed { level, number, .. }) = self.places.of(found.dir.as_fd())? else {
            return Ok(Some(GO_ON));
        };
        let done = removable(&found, directory).and_then(|()| match level {
            Level::Append | Level::NoDelete => Err(Errno::ACCESS),
            _ if !still() => Err(Errno::SRCH),
            Level::Free => {
                let flags = if directory { AtFlags::REMOVEDIR } else { AtFlags::empty() };
                unlinkat(&found.dir, &found.name, flags)
            }
            Level::Trash => self.keep(caller, &found, number, directory),
        });
        Ok(Some(self.noted(done.map(|()| Verdict::Done(0)), &found, None, level)))
    }

    /// Renames only within a mount: across, there is nothing that the kernel would do either.
    fn rename(
        &mut self,
        caller: &Caller,
        from: At,
        to: At,
        flags: u32,
        still: &dyn Fn() -> bool,
    ) -> Result<Option<Performed>> {
        let (old, new) = (caller.path(from.path)?, caller.path(to.path)?);
        let old = Walk::new(caller)?.find_name(from.dir, &old)?;
        let new = Walk::new(caller)?.find_name(to.dir, &new)?;
        let left = self.places.of(old.dir.as_fd())?;
        let onto = self.places.of(new.dir.as_fd())?;
        let Some(placed) = onto.into_iter().chain(left).min_by_key(|placed| placed.level) else {
            return Ok(Some(GO_ON));
        };
        let level = placed.level;
        let done = self.renamed(caller, (&old, &new), placed, flags, still);
        Ok(match done {
            Err(Errno::EXIST) if flags == 0 => None,
            done => Some(self.noted(done.map(|()| Verdict::Done(0)), &old, Some(&new), level)),
        })
    }

    fn renamed(
        &mut self,
        caller: &Caller,
        (old, new): (&Found, &Found),
        Placed { level, number, .. }: Placed,
        flags: u32,
        still: &dyn Fn() -> bool,
    ) -> Result<()> {
        let all = RenameFlags::NOREPLACE | RenameFlags::EXCHANGE | RenameFlags::WHITEOUT;
        let flags = RenameFlags::from_bits_retain(flags);
        if !all.contains(flags) {
            return Err(Errno::INVAL);
        }
        let whiteout = flags.contains(RenameFlags::WHITEOUT);
        let alone = RenameFlags::NOREPLACE | RenameFlags::WHITEOUT;
        if flags.contains(RenameFlags::EXCHANGE) && flags.intersects(alone)
            || whiteout && level != Level::Free
        {
            return Err(Errno::INVAL);
        }
        // Of a path that ends so it is not known in which directory.
        let open = |found: &Found| matches!(found.end, End::Here | End::Up);
        if open(old) || open(new) {
            return Err(Errno::BUSY);
        }
        if identity(&old.dir)?.mount != identity(&new.dir)?.mount {
            return Err(Errno::XDEV);
        }
        if old.end != End::Name || new.end != End::Name {
            return Err(Errno::BUSY);
        }
        let Some(moved) = &old.object else { return Err(Errno::NOENT) };
        let is_dir = moved.kind == FileType::Directory;
        if (old.slash || new.slash) && !is_dir {
            return Err(Errno::NOTDIR);
        }
        movable(old)?;
        movable(new)?;
        if matches!(level, Level::Append | Level::NoDelete) {
            return Err(Errno::ACCESS);
        }
        if !still() {
            return Err(Errno::SRCH);
        }
        let replaced = match &new.object {
            Some(object) if flags.is_empty() && level == Level::Trash => {
                // Two names of one file: rename(2) does nothing.
                !identity(&object.fd)?.is_same_file(&identity(&moved.fd)?)
            }
            _ => false,
        };
        if replaced {
            return self.replace(caller, (old, new), number, is_dir);
        }
        // What appears there meanwhile is not replaced unseen.
        let flags = if flags.is_empty() && level == Level::Trash && new.object.is_none() {
            RenameFlags::NOREPLACE
        } else {
            flags
        };
        renameat_with(&old.dir, &old.name, &new.dir, &new.name, flags)
    }

    /// Links are new names: only where no rule of the kernel can allow them.
    fn link(
        &self,
        caller: &Caller,
        from: At,
        to: At,
        still: &dyn Fn() -> bool,
    ) -> Result<Option<Performed>> {
        let name = caller.path(to.path)?;
        let new = Walk::new(caller)?.find_name(to.dir, &name)?;
        let Some(Placed { level, ruled: false, .. }) = self.places.of(new.dir.as_fd())? else {
            return Ok(Some(GO_ON));
        };
        let path = caller.path(from.path)?;
        let file = if path.is_empty() && from.empty {
            caller.start(from.dir)?
        } else {
            let old = Walk::new(caller)?.find(from.dir, &path, from.follow)?;
            match old.object {
                Some(object) if old.slash && object.kind != FileType::Directory => {
                    return Ok(Some((Verdict::Refuse(Errno::NOTDIR), None)));
                }
                Some(object) => object.fd,
                None => return Ok(Some((Verdict::Refuse(Errno::NOENT), None))),
            }
        };
        let linked = || {
            if new.object.is_some() {
                return Err(Errno::EXIST);
            }
            if new.slash {
                return Err(Errno::NOENT);
            }
            if identity(&file)?.mount != identity(&new.dir)?.mount {
                return Err(Errno::XDEV);
            }
            if !still() {
                return Err(Errno::SRCH);
            }
            linkat(CWD, own(&file), &new.dir, &new.name, AtFlags::SYMLINK_FOLLOW)
        };
        let done = linked().map(|()| Verdict::Done(0));
        Ok(Some(self.noted(done, &new, None, level)))
    }

    fn truncate(
        &self,
        caller: &Caller,
        at: At,
        length: u64,
        still: &dyn Fn() -> bool,
    ) -> Result<Option<Performed>> {
        let path = caller.path(at.path)?;
        let found = Walk::new(caller)?.find(at.dir, &path, true)?;
        let Some(Placed { level, ruled, .. }) = self.places.of_found(&found)? else {
            return Ok(Some(GO_ON));
        };
        let done = match (&found.object, level) {
            (None, _) => Err(Errno::NOENT),
            (Some(object), _) if found.slash && object.kind != FileType::Directory => {
                Err(Errno::NOTDIR)
            }
            (_, Level::Append | Level::NoDelete) => Err(Errno::ACCESS),
            _ if ruled => return Ok(Some(GO_ON)),
            (Some(object), _) => match object.kind {
                FileType::RegularFile if !still() => Err(Errno::SRCH),
                FileType::RegularFile => open(
                    own(&object.fd),
                    OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NONBLOCK,
                    Mode::empty(),
                )
                .and_then(|file| shorten(&file, length)),
                FileType::Directory => Err(Errno::ISDIR),
                _ => Err(Errno::INVAL),
            },
        };
        Ok(Some(self.noted(done.map(|()| Verdict::Done(0)), &found, None, level)))
    }

    /// On a copy of the descriptor: by its number, the process could put another file there after
    /// it was looked at.
    fn truncate_open(
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
        let done = if matches!(self.level_of(&file)?, Some(Level::Append | Level::NoDelete)) {
            lengthen(&file, length)
        } else {
            shorten(&file, length)
        };
        Ok(Some((done.map_or_else(Verdict::Refuse, |()| Verdict::Done(0)), None)))
    }

    fn set_flags(
        &self,
        caller: &Caller,
        fd: i32,
        flags: u32,
        still: &dyn Fn() -> bool,
    ) -> Result<Option<Performed>> {
        let file = taken(caller, fd, still)?;
        let done = if self.level_of(&file)? == Some(Level::Append) {
            Err(Errno::PERM)
        } else {
            fcntl_setfl(&file, OFlags::from_bits_retain(flags))
        };
        Ok(Some((done.map_or_else(Verdict::Refuse, |()| Verdict::Done(0)), None)))
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

    fn keep(
        &mut self,
        caller: &Caller,
        found: &Found,
        place: usize,
        directory: bool,
    ) -> Result<()> {
        let dir = path_of(&found.dir)?;
        let host_dir = self.listed.get(place).and_then(|place| host_dir(place, &dir, found));
        let path =
            Path::new(OsStr::from_bytes(&dir)).join(OsStr::from_bytes(found.name.to_bytes()));
        let trash = self.trash.as_mut().ok_or(Errno::ACCESS)?;
        let host_dir = host_dir.as_ref().map(|fd| fd.as_fd());
        let (dir, name) = (found.dir.as_fd(), found.name.as_c_str());
        trash.keep(&Removal {
            dir,
            host_dir,
            name,
            path: &path,
            directory,
            program: &caller.program(),
        })
    }

    fn replace(
        &mut self,
        caller: &Caller,
        (old, new): (&Found, &Found),
        place: usize,
        directory: bool,
    ) -> Result<()> {
        let dir = path_of(&new.dir)?;
        let host_dir = self.listed.get(place).and_then(|place| host_dir(place, &dir, new));
        let path = Path::new(OsStr::from_bytes(&dir)).join(OsStr::from_bytes(new.name.to_bytes()));
        let trash = self.trash.as_mut().ok_or(Errno::ACCESS)?;
        let host_dir = host_dir.as_ref().map(|fd| fd.as_fd());
        let (dir, name) = (new.dir.as_fd(), new.name.as_c_str());
        let program = caller.program();
        let replaced = Removal { dir, host_dir, name, path: &path, directory, program: &program };
        trash.replace(old.dir.as_fd(), &old.name, &replaced)
    }

    fn noted(
        &self,
        done: Result<Verdict>,
        found: &Found,
        to: Option<&Found>,
        level: Level,
    ) -> Performed {
        let outcome = match &done {
            Err(errno) => Outcome::Denied(errno.raw_os_error()),
            Ok(_) if level == Level::Trash => Outcome::Kept,
            Ok(_) => Outcome::Allowed,
        };
        let path = |found: &Found| {
            let dir = path_of(&found.dir).unwrap_or_default();
            Path::new(OsStr::from_bytes(&dir)).join(OsStr::from_bytes(found.name.to_bytes()))
        };
        let noted = Noted { path: path(found), to: to.map(path), outcome, level };
        (done.unwrap_or_else(Verdict::Refuse), Some(noted))
    }
}

fn is_exclusive(flags: u32) -> bool {
    OFlags::from_bits_retain(flags).contains(OFlags::CREATE | OFlags::EXCL)
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

/// A mount point cannot be removed or renamed. The kernel knows of those of the supervisor's own
/// namespace only, and would take away the others' mounts. The process cannot make one meanwhile:
/// its rules forbid it to mount.
fn movable(found: &Found) -> Result<()> {
    if found.end != End::Name {
        return Err(Errno::BUSY);
    }
    match &found.object {
        Some(object) if identity(&object.fd)?.mount != identity(&found.dir)?.mount => {
            Err(Errno::BUSY)
        }
        _ => Ok(()),
    }
}

fn removable(found: &Found, directory: bool) -> Result<()> {
    let Some(object) = &found.object else { return Err(Errno::NOENT) };
    match found.end {
        End::Name => {}
        _ if !directory => return Err(Errno::ISDIR),
        End::Here => return Err(Errno::INVAL),
        End::Up => return Err(Errno::NOTEMPTY),
        End::Root => return Err(Errno::BUSY),
    }
    movable(found)?;
    match (object.kind == FileType::Directory, directory) {
        (true, false) => Err(Errno::ISDIR),
        (false, true) => Err(Errno::NOTDIR),
        (false, false) if found.slash => Err(Errno::NOTDIR),
        _ => Ok(()),
    }
}

fn open_existing(found: &Found, object: &Object, flags: OFlags, level: Level) -> Result<Verdict> {
    if flags.contains(OFlags::CREATE) && found.slash && found.end == End::Name {
        return Err(Errno::ISDIR);
    }
    if flags.contains(OFlags::CREATE | OFlags::EXCL) {
        return Err(Errno::EXIST);
    }
    let cloexec = flags.contains(OFlags::CLOEXEC);
    let once = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
    let again = (flags - once) | OFlags::CLOEXEC;
    match object.kind {
        FileType::Symlink => return Err(Errno::LOOP),
        FileType::Directory if flags.contains(OFlags::TMPFILE) => {
            // A file without a name is made with all rights to its contents, and can get one.
            return Err(Errno::OPNOTSUPP);
        }
        FileType::Directory => return Err(Errno::ISDIR),
        _ if found.slash || flags.contains(OFlags::DIRECTORY) => return Err(Errno::NOTDIR),
        FileType::RegularFile if level == Level::Append && !only_appends(flags) => {
            return Err(Errno::ACCESS);
        }
        FileType::RegularFile if level == Level::NoDelete && flags.contains(OFlags::TRUNC) => {
            return Err(Errno::ACCESS);
        }
        FileType::Fifo => {
            let file = swathe_sys::rustix::io::fcntl_dupfd_cloexec(&object.fd, 0)?;
            return Ok(Verdict::OpenSlowly(file, again, cloexec));
        }
        _ => {}
    }
    // Without waiting: who holds a lease on the file would hold up all others.
    let now = again | OFlags::NOCTTY | OFlags::NONBLOCK;
    match open(own(&object.fd), now, Mode::empty()) {
        Ok(fd) => {
            if !again.contains(OFlags::NONBLOCK) {
                fcntl_setfl(&fd, fcntl_getfl(&fd)? - OFlags::NONBLOCK)?;
            }
            Ok(Verdict::Open(fd, cloexec))
        }
        Err(Errno::AGAIN) if !again.contains(OFlags::NONBLOCK) => {
            let file = swathe_sys::rustix::io::fcntl_dupfd_cloexec(&object.fd, 0)?;
            Ok(Verdict::OpenSlowly(file, again, cloexec))
        }
        Err(errno) => Err(errno),
    }
}

/// Whether it is a file of a file system that keeps files. What opening others comes to depends on
/// who does it: `/dev/tty` would be the supervisor's own terminal, and files of procfs and its like
/// show the supervisor's own side.
fn is_ordinary(found: &Found) -> Result<bool> {
    if let Some(Object { kind: FileType::CharacterDevice | FileType::BlockDevice, .. }) =
        found.object
    {
        return Ok(false);
    }
    let magic = u32::try_from(fstatfs(&found.dir)?.f_type).unwrap_or_default();
    Ok(!PSEUDO.contains(&magic))
}

/// File systems whose files are the kernel's own: proc, sysfs, devpts, cgroup2, cgroup, debugfs,
/// tracefs, securityfs, selinuxfs, configfs, bpf, binfmt_misc, efivarfs, pstore, mqueue.
const PSEUDO: [u32; 15] = [
    0x9fa0,
    0x6265_6572,
    0x1cd1,
    0x6367_7270,
    0x0027_e0eb,
    0x6462_6720,
    0x7472_6163,
    0x7363_6673,
    0xf97c_ff8c,
    0x6265_6570,
    0xcafe_4a11,
    0x4249_4e4d,
    0xde5e_81e4,
    0x6165_676c,
    0x1980_0202,
];

/// Opens one of the process's own descriptors again by its link in procfs. A file or terminal that
/// came from outside lies below no directory that the kernel's rules allow; what the descriptor
/// permits already is given once more, and nothing else.
fn reopen(
    caller: &Caller,
    found: &Found,
    flags: u32,
    still: &dyn Fn() -> bool,
) -> Result<Option<Performed>> {
    let Some(object) = &found.object else { return Ok(Some(GO_ON)) };
    let number = found.name.to_str().ok().and_then(|name| name.parse::<i32>().ok());
    let named = fstat(&object.fd)?.st_nlink > 0
        && matches!(object.kind, FileType::RegularFile | FileType::CharacterDevice);
    let Some(number) = number.filter(|_| named) else { return Ok(Some(GO_ON)) };
    let file = taken(caller, number, still)?;
    if !identity(&file)?.is_same_place(&identity(&object.fd)?) {
        return Err(Errno::AGAIN);
    }
    let (flags, has) = (OFlags::from_bits_retain(flags), fcntl_getfl(&file)?);
    let wanted = flags & OFlags::RWMODE;
    if has.contains(OFlags::PATH)
        || wanted != has & OFlags::RWMODE && has & OFlags::RWMODE != OFlags::RDWR
    {
        return Ok(Some(GO_ON));
    }
    Ok(Some((Verdict::Open(file, flags.contains(OFlags::CLOEXEC)), None)))
}

/// Whether a call is about a descriptor and no path.
fn on_descriptor(call: Call) -> bool {
    matches!(call, Call::TruncateOpen(..) | Call::SetFlags(..))
}

/// Whether nothing but adding to its end can be done with a file opened so. One that can also be
/// read can be mapped, and overwritten by that.
fn only_appends(flags: OFlags) -> bool {
    flags & OFlags::RWMODE == OFlags::WRONLY
        && flags.contains(OFlags::APPEND)
        && !flags.contains(OFlags::TRUNC)
}

/// Makes a file, and nothing if there is one.
fn create(
    caller: &Caller,
    found: &Found,
    flags: OFlags,
    mode: u32,
    still: &dyn Fn() -> bool,
) -> Result<Verdict> {
    if !flags.contains(OFlags::CREATE) {
        return Err(Errno::NOENT);
    }
    if found.slash {
        return Err(Errno::ISDIR);
    }
    if flags.contains(OFlags::DIRECTORY) {
        return Err(Errno::INVAL);
    }
    // Set for the kernel to apply: where a directory has a default ACL, it does not count.
    let mask = caller.status()?.umask;
    if !still() {
        return Err(Errno::SRCH);
    }
    let before = umask(Mode::from_raw_mode(mask));
    let made = openat(
        &found.dir,
        &found.name,
        flags | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NOCTTY,
        Mode::from_raw_mode(mode & 0o7777),
    );
    umask(before);
    made.map(|fd| Verdict::Open(fd, flags.contains(OFlags::CLOEXEC)))
}

/// The same directory by the host's mount: a rename out of the sandbox's is one to another mount.
fn host_dir(place: &Place, dir: &[u8], found: &Found) -> Option<OwnedFd> {
    let below = Path::new(OsStr::from_bytes(dir)).strip_prefix(&place.path).ok()?;
    let root = open(place.host.as_ref()?, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let below = if below.as_os_str().is_empty() { Path::new(".") } else { below };
    let inside = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let fd = openat2(root, below.as_os_str().as_bytes(), flags, Mode::empty(), inside).ok()?;
    let same = identity(&fd).ok()?.is_same_file(&identity(&found.dir).ok()?);
    same.then_some(fd)
}

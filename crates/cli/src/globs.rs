//! What matches a glob of `files.hide` and appears while the sandbox runs: found by inotify(7),
//! and covered in the sandbox.
//!
//! Directories are watched on the host, where whatever the program makes shows, too. Each is opened
//! through no link: the program can put one where a directory was. What cannot be kept up with is an
//! error, and the sandbox ends with it.

use crate::live::{Cover, Live};
use crate::out::{Failure, shown};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::fs::{CWD, Dir, FileType, Mode, OFlags, ResolveFlags, fstat, openat2};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use swathe::plan::model::{FileOp, StandIn};
use swathe_policy::resolve::{Lasting, Sandbox};
use swathe_record::bytes::Bytes;

/// Directories that one run may have watched. The kernel bounds those of a user, too.
const MAX_DIRECTORIES: usize = 200_000;
/// Names that are looked at for one event, or at the start.
const MAX_SEEN: usize = 1_000_000;
/// Bytes of events that are read at a time.
const BUFFER: usize = 64 << 10;
/// How often something is tried to be covered that moves all the time.
const TRIES: usize = 2000;
/// How often it is found not to be in the sandbox, while it stays where it is.
const MISSES: usize = 40;

/// Globs that hold as long as a sandbox runs.
#[derive(Debug)]
pub struct Globs {
    globs: Vec<Lasting>,
    inotify: OwnedFd,
    directories: HashMap<i32, PathBuf>,
    /// The user's directories that are visible.
    roots: Vec<PathBuf>,
    /// Those whose files have another identity in the sandbox than on the host.
    copied: Vec<PathBuf>,
    /// What is to be covered as soon as that can be done.
    found: Vec<PathBuf>,
}

/// What is to be hidden, and where.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Hidden {
    globs: Vec<Bytes>,
    /// The user's directories that are visible.
    roots: Vec<Bytes>,
    /// Those whose files have another identity in the sandbox than on the host.
    copied: Vec<Bytes>,
    /// What is hidden from the start.
    masked: Vec<Bytes>,
}

impl Hidden {
    /// Of a sandbox; none: there is no glob.
    pub fn of(sandbox: &Sandbox) -> Option<Self> {
        let steps = || sandbox.plan.steps.iter().map(|step| &step.op);
        let copied = steps().filter_map(|op| match op {
            FileOp::Overlay { dest, .. } => Some(Bytes(dest.0.clone())),
            _ => None,
        });
        let masked = steps().filter_map(|op| match op {
            FileOp::Mask { dest, stand_in: StandIn::Unreadable } => Some(Bytes(dest.0.clone())),
            _ => None,
        });
        (!sandbox.lasting.is_empty()).then(|| Self {
            globs: sandbox.lasting.iter().map(|glob| glob.glob.as_path().into()).collect(),
            roots: sandbox.shown.iter().map(|path| path.as_path().into()).collect(),
            copied: copied.collect(),
            masked: masked.collect(),
        })
    }

    /// Begins to watch. What has appeared since the plan was made is found, too.
    ///
    /// # Errors
    /// The directories are too many for this, or for the kernel's limit.
    pub fn watch(self) -> Result<Globs, Failure> {
        let inotify = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)
            .map_err(|e| refused(&format!("no directory can be watched: {e}")))?;
        let globs = self.globs.iter().map(|glob| Lasting::new(glob.as_path()));
        let owned = |paths: Vec<Bytes>| paths.iter().map(|path| path.as_path().into()).collect();
        let mut globs = Globs {
            globs: globs.collect::<Result<_, _>>().map_err(|why| refused(&why))?,
            inotify,
            directories: HashMap::new(),
            roots: Vec::new(),
            copied: owned(self.copied),
            found: Vec::new(),
        };
        for root in &self.roots {
            globs.add(root.as_path())?;
        }
        let masked: Vec<PathBuf> = owned(self.masked);
        globs.found.retain(|path| !masked.contains(path));
        Ok(globs)
    }
}

impl Globs {
    /// Something more is visible.
    pub fn add(&mut self, root: &Path) -> Result<(), Failure> {
        self.roots.push(root.to_owned());
        self.look(root.to_owned())
    }

    /// Whether this name is hidden.
    pub fn hides(&self, path: &Path) -> bool {
        path.ancestors().any(|path| self.globs.iter().any(|glob| glob.matcher.is_match(path)))
    }

    /// A descriptor that becomes readable when there is something for [`Self::follow`].
    pub fn events(&self) -> Result<OwnedFd, Failure> {
        self.inotify.try_clone().map_err(|e| refused(&e.to_string()))
    }

    /// Finds what has appeared, and covers it.
    ///
    /// # Errors
    /// Something that was found may be visible.
    pub fn follow(&mut self, live: &Live) -> Result<(), Failure> {
        for (directory, what, name) in self.read()? {
            if what.contains(ReadFlags::QUEUE_OVERFLOW) {
                for root in self.roots.clone() {
                    self.look(root)?;
                }
            } else if what.contains(ReadFlags::IGNORED) {
                self.directories.remove(&directory);
            } else if let (Some(above), Some(name)) = (self.directories.get(&directory), name) {
                // A change of attributes matters where a directory could not be read before.
                if !what.contains(ReadFlags::ATTRIB) || what.contains(ReadFlags::ISDIR) {
                    self.look(above.join(name))?;
                }
            }
        }
        self.cover(live)
    }

    fn read(&self) -> Result<Vec<(i32, ReadFlags, Option<PathBuf>)>, Failure> {
        let mut buffer = vec![MaybeUninit::uninit(); BUFFER];
        let mut reader = Reader::new(&self.inotify, &mut buffer);
        let mut events = Vec::new();
        // As much as one read gives: the rest is announced again.
        loop {
            match reader.next() {
                Ok(event) => {
                    let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
                    events.push((event.wd(), event.events(), name.map(PathBuf::from)));
                }
                Err(Errno::AGAIN) => return Ok(events),
                Err(Errno::INTR) => {}
                Err(e) => return Err(refused(&format!("what is watched cannot be told: {e}"))),
            }
            if reader.is_buffer_empty() {
                return Ok(events);
            }
        }
    }

    /// Looks at a path and what is below: what matches is noted, directories are watched. Each is
    /// watched before it is listed, so that nothing appears unseen in between.
    fn look(&mut self, start: PathBuf) -> Result<(), Failure> {
        let mut left = vec![start];
        let mut seen = 0;
        while let Some(path) = left.pop() {
            if self.globs.iter().any(|glob| glob.matcher.is_match(&path)) {
                self.found.push(path);
                continue;
            }
            if !self.globs.iter().any(|glob| glob.reaches(&path)) {
                continue;
            }
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NONBLOCK;
            let opened = openat2(CWD, &path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS);
            // No directory, gone, or one that nobody of the sandbox can read either.
            let Ok(directory) = opened else { continue };
            self.add_watch(&directory, &path)?;
            let Ok(names) = Dir::new(directory) else { continue };
            for entry in names.flatten() {
                let name = OsStr::from_bytes(entry.file_name().to_bytes());
                if name == "." || name == ".." {
                    continue;
                }
                seen += 1;
                if seen > MAX_SEEN {
                    return Err(refused(&format!("there are more than {MAX_SEEN} names")));
                }
                let path = path.join(name);
                let matches = || self.globs.iter().any(|glob| glob.matcher.is_match(&path));
                if matches!(entry.file_type(), FileType::Directory | FileType::Unknown) || matches()
                {
                    left.push(path);
                }
            }
        }
        Ok(())
    }

    fn add_watch(&mut self, directory: &OwnedFd, path: &Path) -> Result<(), Failure> {
        let what =
            WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::ATTRIB | WatchFlags::ONLYDIR;
        let own = format!("/proc/self/fd/{}", directory.as_raw_fd());
        if self.directories.len() >= MAX_DIRECTORIES {
            return Err(refused(&format!("there are more than {MAX_DIRECTORIES} directories")));
        }
        match inotify::add_watch(&self.inotify, own, what) {
            // The same directory has the same number: it was moved here.
            Ok(number) => {
                self.directories.insert(number, path.to_owned());
                Ok(())
            }
            Err(Errno::NOSPC) => Err(refused("the user has too many directories watched")
                .hint("sysctl fs.inotify.max_user_watches=1048576 allows more")),
            Err(e) => Err(refused(&format!("{} cannot be watched: {e}", path.display()))),
        }
    }

    /// Covers what was found.
    fn cover(&mut self, live: &Live) -> Result<(), Failure> {
        for path in std::mem::take(&mut self.found) {
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let open =
                |path: &Path| openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS);
            // Gone; or its directory has moved, and was looked at there, too.
            let Ok(mut object) = open(&path) else { continue };
            if kind(&object) == Some(FileType::Symlink) {
                // What it leads to: the link itself tells nothing.
                let Some(real) = path.canonicalize().ok() else { continue };
                let Ok(real) = open(&real) else { continue };
                object = real;
            }
            self.cover_object(live, &object)?;
        }
        Ok(())
    }

    /// Covers something wherever it is by now. What is not in the sandbox needs no cover.
    fn cover_object(&self, live: &Live, object: &OwnedFd) -> Result<(), Failure> {
        let mut misses = 0;
        for _ in 0..TRIES {
            let Some(at) = place(object) else { return Ok(()) };
            if !self.roots.iter().any(|root| at.starts_with(root)) {
                return Ok(());
            }
            let exact = !self.copied.iter().any(|copied| at.starts_with(copied));
            match live.cover(exact.then(|| object.as_fd()), &at)? {
                Cover::Done => return Ok(()),
                Cover::Elsewhere if place(object).as_ref() == Some(&at) => misses += 1,
                Cover::Elsewhere => misses = 0,
            }
            if misses >= MISSES {
                // The sandbox shows something else there, such as what hides a directory above.
                return Ok(());
            }
            std::thread::sleep(Duration::from_micros(100));
        }
        let path = place(object).unwrap_or_default();
        Err(refused(&format!("{} cannot be hidden: it is moved all the time", path.display())))
    }
}

/// Follows a sandbox until its end, on the calling thread.
///
/// # Errors
/// Something may be visible that should not be.
pub fn follow(live: &Live, events: &OwnedFd, ended: &OwnedFd) -> Result<(), Failure> {
    loop {
        let mut fds = [PollFd::new(events, PollFlags::IN), PollFd::new(ended, PollFlags::IN)];
        match poll(&mut fds, None) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(e) => return Err(refused(&e.to_string())),
        }
        if !fds[1].revents().is_empty() {
            return Ok(());
        }
        let Err(failure) = live.follow() else { continue };
        // Of a sandbox that is just ending nothing can be hidden, and need not be.
        let second = Timespec { tv_sec: 1, tv_nsec: 0 };
        let is_over = poll(&mut [PollFd::new(ended, PollFlags::IN)], Some(&second));
        return if is_over == Ok(1) { Ok(()) } else { Err(failure) };
    }
}

fn kind(object: &OwnedFd) -> Option<FileType> {
    Some(FileType::from_raw_mode(fstat(object).ok()?.st_mode))
}

/// Where something is now on the host; none: it has no name any more.
fn place(object: &OwnedFd) -> Option<PathBuf> {
    if fstat(object).ok()?.st_nlink == 0 {
        return None;
    }
    std::fs::read_link(format!("/proc/self/fd/{}", object.as_raw_fd())).ok()
}

fn refused(why: &str) -> Failure {
    Failure::new(format!("files.hide with a glob cannot be kept: {}", shown(why)))
}

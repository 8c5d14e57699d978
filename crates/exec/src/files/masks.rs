//! Masks: paths of which the sandbox sees nothing, now and later.

use crate::failure::{At, Failure, Result, Stage};
use crate::files::build::Builder;
use crate::files::mounts::{Attrs, fd_path};
use crate::files::root::{Attach, kind_of};
use crate::janitor;
use alloc::borrow::ToOwned;
use alloc::ffi::CString;
use alloc::format;
use alloc::vec::Vec;
use core::ffi::CStr;
use swathe_plan::model::{Access, StandIn};
use swathe_sys::Errno;
use swathe_sys::mount::Propagation;
use swathe_sys::rustix::fd::{AsFd, OwnedFd};
use swathe_sys::rustix::fs::{self, AtFlags, FileType, Mode, OFlags, StatxAttributes, StatxFlags};
use swathe_sys::rustix::io::write;
use swathe_sys::rustix::thread::{Timespec, nanosleep};

const PATH: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// How often a placeholder that somebody else removes meanwhile is made anew.
const TRIES: usize = 100;
/// Nanoseconds before the next try: from the first, doubling. Who removes it may wait for a
/// processor meanwhile, so that all tries together take some seconds.
const FIRST_PAUSE: i64 = 50_000;
/// The longest.
const LONGEST_PAUSE: i64 = 100_000_000;

/// What has become of a placeholder.
enum Placeholder {
    /// It is there, and stays as long as the sandbox.
    Held(OwnedFd),
    /// Somebody removes it at this moment.
    Lost,
    /// Nothing can be created there.
    Impossible,
}

impl Builder<'_> {
    /// Hides a path: what is there is covered by something empty of its kind; what is not there gets
    /// a placeholder, where the sandbox could create it.
    pub(super) fn mask(&mut self, index: usize, stand_in: &StandIn) -> Result<()> {
        let mut pause = FIRST_PAUSE;
        for _ in 0..TRIES {
            if self.mask_now(index, stand_in)? {
                return Ok(());
            }
            let time = Timespec { tv_sec: 0, tv_nsec: pause };
            let _ = nanosleep(&time);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        Err(Errno::BUSY).at(Stage::Mask)
    }

    /// One try to hide a path; false when what is on the way has gone meanwhile.
    fn mask_now(&mut self, index: usize, stand_in: &StandIn) -> Result<bool> {
        let Some(path) = self.without_links(&self.prepared.targets[index].path)? else {
            return Ok(false);
        };
        let path = self.up_to_placeholder(path)?;
        self.pin(&path)?;
        let fd = match self.root.open(&path, PATH) {
            Ok(fd) => fd,
            Err(Errno::NOENT) => match self.placeholder(&path, stand_in)? {
                Placeholder::Held(fd) => return self.cover(index, fd, stand_in).map(|()| true),
                // It cannot be created here: the sandbox has no more rights than this process. Below
                // a placeholder that has come meanwhile that holds for a while only.
                Placeholder::Impossible => return Ok(self.up_to_placeholder(path.clone())? == path),
                Placeholder::Lost => return Ok(false),
            },
            // Below a file there is nothing, and below a new placeholder not for long.
            Err(Errno::NOTDIR) => return Ok(self.up_to_placeholder(path.clone())? == path),
            Err(e) => return Err(e).at(Stage::Mask),
        };
        let stat = fs::fstat(&fd).at(Stage::Mask)?;
        // Of another sandbox, which may end before this one.
        if janitor::is_placeholder(&stat) && !self.hold(&path, &stat)? {
            return Ok(false);
        }
        self.cover(index, fd, stand_in)?;
        Ok(true)
    }

    /// The path that a path leads to, links followed as far as it exists; none when what was there
    /// has gone meanwhile.
    fn without_links(&self, path: &CStr) -> Result<Option<CString>> {
        let bytes = path.to_bytes();
        let mut ends = bytes.iter().enumerate().filter(|&(_, &b)| b == b'/').map(|(i, _)| i);
        let ends = core::iter::once(bytes.len()).chain(core::iter::from_fn(|| ends.next_back()));
        for end in ends {
            let so_far = CString::new(&bytes[..end]).unwrap_or_default();
            let fd = match self.root.open(&so_far, OFlags::PATH | OFlags::CLOEXEC) {
                Ok(fd) => fd,
                Err(Errno::NOENT) => continue,
                Err(Errno::NOTDIR) => return Ok(Some(path.to_owned())),
                Err(e) => return Err(e).at(Stage::Mask),
            };
            let name = |fd: &OwnedFd| {
                let link = fd_path(fd.as_fd());
                fs::readlinkat(self.mounter.proc_fd(), &link, Vec::new()).at(Stage::Mask)
            };
            // Both as this process sees them: the new root is not "/" to every kernel's way.
            let root = self.root.open(c".", PATH).at(Stage::Mask)?;
            let (root, full) = (name(&root)?, name(&fd)?);
            let root = root.to_bytes().strip_suffix(b"/").unwrap_or(root.to_bytes());
            let Some(below) = full.to_bytes().strip_prefix(root) else {
                return Err(Failure::found(Stage::Mask));
            };
            let below = below.strip_prefix(b"/").unwrap_or(below);
            // The kernel has a name, and no true one, also for what was removed.
            if !self.is_at(&fd, below)? {
                return Ok(None);
            }
            let rest = bytes[end..].strip_prefix(b"/").unwrap_or(&bytes[end..]);
            let parts: Vec<&[u8]> =
                [below, rest].into_iter().filter(|part| !part.is_empty()).collect();
            let joined = CString::new(parts.join(&b'/'));
            return joined.map(Some).map_err(|_| Failure::found(Stage::Mask));
        }
        Ok(Some(path.to_owned()))
    }

    /// A path, or what of it is the placeholder of another sandbox: what is missing below that one is
    /// missing no longer than it is there.
    fn up_to_placeholder(&self, path: CString) -> Result<CString> {
        let bytes = path.to_bytes();
        for (end, _) in bytes.iter().enumerate().filter(|&(_, &byte)| byte == b'/') {
            let above = CString::new(&bytes[..end]).unwrap_or_default();
            let fd = match self.root.open(&above, PATH) {
                Ok(fd) => fd,
                Err(Errno::NOENT | Errno::NOTDIR) => break,
                Err(e) => return Err(e).at(Stage::Mask),
            };
            if janitor::is_placeholder(&fs::fstat(&fd).at(Stage::Mask)?) {
                match self.root.open(&path, PATH) {
                    Err(Errno::NOENT | Errno::NOTDIR) => return Ok(above),
                    _ => break,
                }
            }
        }
        Ok(path)
    }

    /// Whether what is open is what a path leads to.
    fn is_at(&self, fd: &OwnedFd, path: &[u8]) -> Result<bool> {
        let path = if path.is_empty() { b"." } else { path };
        let path = CString::new(path).map_err(|_| Failure::found(Stage::Mask))?;
        let there = match self.root.open(&path, PATH) {
            Ok(there) => there,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(false),
            Err(e) => return Err(e).at(Stage::Mask),
        };
        let (there, open) = (fs::fstat(&there).at(Stage::Mask)?, fs::fstat(fd).at(Stage::Mask)?);
        Ok(same(&there, &open))
    }

    /// Mounts each directory above the path on itself: what is a mount cannot be renamed away, and
    /// the path with it.
    fn pin(&mut self, path: &CStr) -> Result<()> {
        let bytes = path.to_bytes();
        let ends = bytes.iter().enumerate().filter(|&(_, &b)| b == b'/').map(|(i, _)| i);
        for end in ends.collect::<Vec<_>>() {
            let above = CString::new(&bytes[..end]).unwrap_or_default();
            let fd = match self.root.open(&above, PATH) {
                Ok(fd) => fd,
                Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
                Err(e) => return Err(e).at(Stage::Mask),
            };
            match kind_of(fd.as_fd()).at(Stage::Mask)? {
                FileType::Directory => {}
                FileType::Symlink => return Err(Failure::found(Stage::SymlinkDest)),
                _ => return Ok(()),
            }
            self.hold_name(fd, Stage::Mask)?;
        }
        Ok(())
    }

    /// Keeps a name, a link's too, from being removed, renamed or replaced: it becomes a mount.
    pub(super) fn pin_name(&mut self, index: usize) -> Result<()> {
        let fd = self.root.open(&self.prepared.targets[index].path, PATH).at(Stage::Pin)?;
        self.hold_name(fd, Stage::Pin)
    }

    /// Mounts something on itself, where it is no mount yet.
    fn hold_name(&mut self, fd: OwnedFd, stage: Stage) -> Result<()> {
        if is_mount(&fd) {
            return Ok(());
        }
        let as_it_is = Attrs { set: 0, propagation: Propagation::Keep };
        let tree = self.mounter.tree(fd.as_fd(), c"", as_it_is).at(stage)?;
        self.mounter.attach(tree, &mut self.root, Attach::Open(fd), stage)
    }

    /// Creates the first missing component of a path as a placeholder.
    fn placeholder(&mut self, path: &CStr, stand_in: &StandIn) -> Result<Placeholder> {
        let (dir, name) = self.first_missing(path)?;
        match self.make_whole(&dir, &name, stand_in) {
            Ok(()) | Err(Errno::EXIST) => {}
            // Another run that shared it has ended, or what it would be in has gone.
            Err(Errno::NOENT) => return Ok(Placeholder::Lost),
            Err(Errno::ROFS | Errno::ACCESS | Errno::PERM) => return Ok(Placeholder::Impossible),
            Err(e) => return Err(e).at(Stage::Mask),
        }
        if !self.hold_in(&dir, &name, None)? {
            return Ok(Placeholder::Lost);
        }
        fs::openat(&dir, &name, PATH, Mode::empty()).map(Placeholder::Held).at(Stage::Mask)
    }

    /// Makes what stands in for a missing path; a text gets its name when it is complete, where the
    /// file system can do that: programs of the host, and other runs, read it.
    fn make_whole(
        &self,
        dir: &OwnedFd,
        name: &CStr,
        stand_in: &StandIn,
    ) -> core::result::Result<(), Errno> {
        if let StandIn::Text(_) = stand_in {
            let flags = OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC;
            let mode = Mode::from_raw_mode(stand_in.mode());
            if let Ok(file) = fs::openat(dir, c".", flags, mode)
                && fill(&file, stand_in).is_ok()
            {
                let (proc, from) = (self.mounter.proc_fd(), fd_path(file.as_fd()));
                match fs::linkat(proc, &from, dir, name, AtFlags::SYMLINK_FOLLOW) {
                    Ok(()) => return Ok(()),
                    Err(Errno::EXIST) => return Err(Errno::EXIST),
                    Err(_) => {}
                }
            }
        }
        make(dir, name, stand_in)
    }

    /// The directory in which the first missing component of a path would be, and its name.
    fn first_missing(&self, path: &CStr) -> Result<(OwnedFd, CString)> {
        let mut dir = self.root.open(c".", PATH).at(Stage::Mask)?;
        let bytes = path.to_bytes();
        let mut start = 0;
        loop {
            let end = bytes[start..].iter().position(|&b| b == b'/').map(|n| start + n);
            let name = CString::new(&bytes[start..end.unwrap_or(bytes.len())]).unwrap_or_default();
            let Some(end) = end else { return Ok((dir, name)) };
            let so_far = CString::new(&bytes[..end]).unwrap_or_default();
            match self.root.open(&so_far, OFlags::PATH | OFlags::CLOEXEC) {
                Ok(next) => dir = next,
                Err(Errno::NOENT) => return Ok((dir, name)),
                Err(e) => return Err(e).at(Stage::Mask),
            }
            start = end + 1;
        }
    }

    /// Keeps a placeholder that is there from being removed while this sandbox lives; false when it
    /// has gone meanwhile, also when there is another by now.
    fn hold(&mut self, path: &CStr, found: &fs::Stat) -> Result<bool> {
        let bytes = path.to_bytes();
        let slash = bytes.iter().rposition(|&b| b == b'/');
        let above = slash.map_or(&b"."[..], |s| &bytes[..s]);
        let name = CString::new(slash.map_or(bytes, |s| &bytes[s + 1..])).unwrap_or_default();
        let above = CString::new(above).unwrap_or_default();
        match self.root.open(&above, OFlags::PATH | OFlags::CLOEXEC) {
            Ok(dir) => self.hold_in(&dir, &name, Some(found)),
            Err(Errno::NOENT) => Ok(false),
            Err(e) => Err(e).at(Stage::Mask),
        }
    }

    fn hold_in(&mut self, dir: &OwnedFd, name: &CStr, found: Option<&fs::Stat>) -> Result<bool> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match fs::openat(dir, name, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(false),
            Err(e) => return Err(e).at(Stage::Mask),
        };
        match janitor::share(&file) {
            Ok(()) => {}
            // Somebody is about to remove it.
            Err(Errno::AGAIN) => return Ok(false),
            Err(e) => return Err(e).at(Stage::Mask),
        }
        let still = fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW);
        let own = fs::fstat(&file).at(Stage::Mask)?;
        if !still.is_ok_and(|s| same(&s, &own)) || !found.is_none_or(|f| same(f, &own)) {
            return Ok(false);
        }
        match &self.prepared.janitor {
            Some(janitor) => janitor.take(dir.as_fd(), name, file.as_fd()).map(|()| true),
            None => Err(Failure::found(Stage::Mask)),
        }
    }

    fn cover(&mut self, index: usize, at: OwnedFd, stand_in: &StandIn) -> Result<()> {
        let kind = kind_of(at.as_fd()).at(Stage::Mask)?;
        if kind == FileType::Symlink {
            return Err(Failure::found(Stage::SymlinkDest));
        }
        let Some(scratch) = &self.scratch else {
            return Err(Failure::found(Stage::Scratch));
        };
        let directory = kind == FileType::Directory;
        let name = match (directory, stand_in) {
            (true, StandIn::Unreadable) => c"mask-dir".to_owned(),
            (true, _) => c"mask-empty-dir".to_owned(),
            (false, StandIn::Unreadable) => c"mask-file".to_owned(),
            (false, StandIn::Directory) => c"mask-empty-file".to_owned(),
            (false, StandIn::Text(_)) => {
                CString::new(format!("mask-text-{index}")).unwrap_or_default()
            }
        };
        let made = match (directory, stand_in) {
            (true, StandIn::Unreadable) => fs::mkdirat(scratch, &name, Mode::empty()),
            (true, _) => make(scratch, &name, &StandIn::Directory),
            (false, StandIn::Directory) => make(scratch, &name, &StandIn::Text(Vec::new())),
            (false, stand_in) => make(scratch, &name, stand_in),
        };
        match made {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(e).at(Stage::Mask),
        }
        let how = Attrs::of(Access::ReadOnly);
        let tree = self.mounter.tree(scratch.as_fd(), &name, how).at(Stage::Mask)?;
        self.mounter.attach(tree, &mut self.root, Attach::Open(at), Stage::Mask)
    }
}

/// Whether two looks were at one file.
fn same(a: &fs::Stat, b: &fs::Stat) -> bool {
    (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino)
}

/// Makes what stands in for a missing path. The umask is 0.
fn make(dir: &OwnedFd, name: &CStr, stand_in: &StandIn) -> core::result::Result<(), Errno> {
    let mode = Mode::from_raw_mode(stand_in.mode());
    if *stand_in == StandIn::Directory {
        fs::mkdirat(dir, name, mode)?;
    }
    let flags = match stand_in {
        StandIn::Directory => OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW,
        _ => OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL,
    };
    let file = fs::openat(dir, name, flags | OFlags::CLOEXEC, mode)?;
    fill(&file, stand_in)
}

/// Gives a new stand-in its text and its permission bits.
fn fill(file: &OwnedFd, stand_in: &StandIn) -> core::result::Result<(), Errno> {
    if let StandIn::Text(text) = stand_in {
        let mut line = text.clone();
        line.push(b'\n');
        // Too short to be written in parts.
        write(file, &line)?;
    }
    // Not every file system takes the bits at once.
    fs::fchmod(file, Mode::from_raw_mode(stand_in.mode()))
}

/// Whether a descriptor refers to a mount's root. Before Linux 5.8 nobody says.
fn is_mount(fd: &OwnedFd) -> bool {
    let flags = AtFlags::EMPTY_PATH | AtFlags::SYMLINK_NOFOLLOW;
    fs::statx(fd, c"", flags, StatxFlags::empty())
        .is_ok_and(|stat| stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

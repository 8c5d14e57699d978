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

const PATH: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// How often a placeholder that somebody else removes meanwhile is made anew.
const TRIES: usize = 100;

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
        let path = self.without_links(&self.prepared.targets[index].path)?;
        self.pin(&path)?;
        for _ in 0..TRIES {
            match self.root.open(&path, PATH) {
                Ok(fd) => {
                    let stat = fs::fstat(&fd).at(Stage::Mask)?;
                    // Of another sandbox, which may end before this one.
                    if !janitor::is_placeholder(&stat) || self.hold(&path)? {
                        return self.cover(index, fd, stand_in);
                    }
                }
                Err(Errno::NOENT) => match self.placeholder(&path, stand_in)? {
                    Placeholder::Held(fd) => return self.cover(index, fd, stand_in),
                    // It cannot be created here: the sandbox has no more rights than this process.
                    Placeholder::Impossible => return Ok(()),
                    Placeholder::Lost => {}
                },
                // Below a file there is nothing.
                Err(Errno::NOTDIR) => return Ok(()),
                Err(e) => return Err(e).at(Stage::Mask),
            }
        }
        Err(Errno::BUSY).at(Stage::Mask)
    }

    /// The path that a path leads to, links followed as far as it exists.
    fn without_links(&self, path: &CStr) -> Result<CString> {
        let bytes = path.to_bytes();
        let mut ends = bytes.iter().enumerate().filter(|&(_, &b)| b == b'/').map(|(i, _)| i);
        let ends = core::iter::once(bytes.len()).chain(core::iter::from_fn(|| ends.next_back()));
        for end in ends {
            let so_far = CString::new(&bytes[..end]).unwrap_or_default();
            let fd = match self.root.open(&so_far, OFlags::PATH | OFlags::CLOEXEC) {
                Ok(fd) => fd,
                Err(Errno::NOENT) => continue,
                Err(Errno::NOTDIR) => return Ok(path.to_owned()),
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
            let rest = bytes[end..].strip_prefix(b"/").unwrap_or(&bytes[end..]);
            let parts: Vec<&[u8]> =
                [below, rest].into_iter().filter(|part| !part.is_empty()).collect();
            return CString::new(parts.join(&b'/')).map_err(|_| Failure::found(Stage::Mask));
        }
        Ok(path.to_owned())
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
        match make(&dir, &name, stand_in) {
            Ok(()) => {}
            Err(Errno::EXIST) => {}
            Err(Errno::ROFS | Errno::ACCESS | Errno::PERM) => return Ok(Placeholder::Impossible),
            Err(e) => return Err(e).at(Stage::Mask),
        }
        if !self.hold_in(&dir, &name)? {
            return Ok(Placeholder::Lost);
        }
        fs::openat(&dir, &name, PATH, Mode::empty()).map(Placeholder::Held).at(Stage::Mask)
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
    /// has gone meanwhile.
    fn hold(&mut self, path: &CStr) -> Result<bool> {
        let bytes = path.to_bytes();
        let slash = bytes.iter().rposition(|&b| b == b'/');
        let above = slash.map_or(&b"."[..], |s| &bytes[..s]);
        let name = CString::new(slash.map_or(bytes, |s| &bytes[s + 1..])).unwrap_or_default();
        let above = CString::new(above).unwrap_or_default();
        match self.root.open(&above, OFlags::PATH | OFlags::CLOEXEC) {
            Ok(dir) => self.hold_in(&dir, &name),
            Err(Errno::NOENT) => Ok(false),
            Err(e) => Err(e).at(Stage::Mask),
        }
    }

    fn hold_in(&mut self, dir: &OwnedFd, name: &CStr) -> Result<bool> {
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
        if !still.is_ok_and(|s| (s.st_dev, s.st_ino) == (own.st_dev, own.st_ino)) {
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

/// Makes what stands in for a missing path.
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
    if let StandIn::Text(text) = stand_in {
        let mut line = text.clone();
        line.push(b'\n');
        // Too short to be written in parts.
        write(&file, &line)?;
    }
    // Neither every file system nor every umask takes the bits at once.
    fs::fchmod(&file, mode)
}

/// Whether a descriptor refers to a mount's root. Before Linux 5.8 nobody says.
fn is_mount(fd: &OwnedFd) -> bool {
    let flags = AtFlags::EMPTY_PATH | AtFlags::SYMLINK_NOFOLLOW;
    fs::statx(fd, c"", flags, StatxFlags::empty())
        .is_ok_and(|stat| stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

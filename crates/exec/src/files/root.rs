//! Paths beneath the sandbox's root, while the host is still there.
//!
//! A destination may run through directories that someone else writes to: a bind mount holds
//! whatever links its owner planted. Every such path is resolved by the kernel beneath the new root
//! (`RESOLVE_IN_ROOT`: absolute links and ".." stay inside) and never through magic links. What is
//! created is created by its last name in a directory that is held open, which no link can divert.

use crate::failure::{At, Failure, Result, Stage};
use crate::files::walk;
use crate::kernel::Kernel;
use crate::layout::Target;
use alloc::borrow::ToOwned;
use alloc::ffi::CString;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::ffi::CStr;
use swathe_sys::Errno;
use swathe_sys::rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use swathe_sys::rustix::fs::{self, AtFlags, FileType, Mode, OFlags, ResolveFlags};

/// The sandbox's root during the set-up.
#[derive(Debug)]
pub struct Root {
    fd: OwnedFd,
    kernel: Kernel,
    /// How many roots lie below this one.
    covered: usize,
    /// The directory in which something was made last: siblings need no walk.
    last: RefCell<Option<(Vec<u8>, Rc<OwnedFd>)>>,
}

/// A directory that is held open, or the root.
#[derive(Debug, Clone)]
pub enum Dir {
    /// The root.
    Root,
    /// Another.
    Open(Rc<OwnedFd>),
}

/// Where to attach a mount.
#[derive(Debug)]
pub enum Attach {
    /// At this name in a directory; a link there is not followed.
    Name(Dir, CString),
    /// On this inode.
    Open(OwnedFd),
    /// Over the root.
    Root,
}

/// Whether a mount point is a directory or something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PointKind {
    /// A directory.
    Directory,
    /// A regular file, or a socket, device and so on that exists.
    File,
}

const PATH: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

impl Root {
    /// Takes the root directory of the new tree.
    pub fn new(fd: OwnedFd, kernel: Kernel) -> Self {
        Self { fd, kernel, covered: 0, last: RefCell::new(None) }
    }

    /// Replaces the root by what has been mounted over it.
    pub fn replace(&mut self, fd: OwnedFd) {
        self.fd = fd;
        self.covered += 1;
        self.forget();
    }

    /// Forgets the directory held open: a mount may cover it now.
    pub fn forget(&self) {
        self.last.replace(None);
    }

    /// The descriptor of a directory.
    pub fn dir<'d>(&'d self, dir: &'d Dir) -> BorrowedFd<'d> {
        match dir {
            Dir::Root => self.fd.as_fd(),
            Dir::Open(fd) => fd.as_fd(),
        }
    }

    /// Opens a directory on whose path there is no link at all.
    fn plain(&self, path: &[u8]) -> core::result::Result<Dir, Errno> {
        if path.is_empty() {
            return Ok(Dir::Root);
        }
        if let Some((known, fd)) = &*self.last.borrow()
            && known == path
        {
            return Ok(Dir::Open(Rc::clone(fd)));
        }
        let text = CString::new(path).unwrap_or_default();
        let fd = Rc::new(open_plain(self.kernel, self.fd.as_fd(), &text)?);
        self.last.replace(Some((path.to_vec(), Rc::clone(&fd))));
        Ok(Dir::Open(fd))
    }

    /// How many times the root has been replaced.
    pub fn covered(&self) -> usize {
        self.covered
    }

    /// Opens a path beneath the root. The last component is not followed when `flags` has
    /// `NOFOLLOW`.
    pub fn open(&self, path: &CStr, flags: OFlags) -> core::result::Result<OwnedFd, Errno> {
        open_beneath(self.kernel, self.fd.as_fd(), path, flags)
    }

    /// Opens a destination that must exist and must not be a link.
    pub fn open_dest(&self, target: &Target, stage: Stage) -> Result<OwnedFd> {
        let fd = self.open(&target.path, PATH | OFlags::NOFOLLOW).at(stage)?;
        match kind_of(fd.as_fd()).at(stage)? {
            FileType::Symlink => Err(Failure::found(Stage::SymlinkDest)),
            _ => Ok(fd),
        }
    }

    /// Makes sure that the destination can be mounted on, creating it and what is above it.
    pub fn point(&self, target: &Target, kind: PointKind) -> Result<Attach> {
        if target.path.as_c_str() == c"." {
            return match kind {
                PointKind::Directory => Ok(Attach::Root),
                PointKind::File => Err(Failure::found(Stage::NotFile)),
            };
        }
        if target.fresh
            && let Some((dir, name)) = self.fresh(target)?
        {
            match create(self.dir(&dir), &name, kind) {
                Ok(()) => return Ok(Attach::Name(dir, name)),
                // There after all: see what it is.
                Err(Errno::EXIST) => {}
                Err(e) => return Err(e).at(Stage::Create),
            }
        }
        match self.open(&target.path, PATH | OFlags::NOFOLLOW) {
            Ok(fd) => match Self::existing(fd, kind)? {
                // "/usr/..", or a link to "/" on the way.
                Attach::Open(fd) if is_root(&fd, &self.fd).at(Stage::OpenDest)? => Ok(Attach::Root),
                place => Ok(place),
            },
            Err(Errno::NOENT) => {
                let (dir, name) = self.parent(target)?;
                let dir = self.dir(&dir);
                match create(dir, &name, kind) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(e) => return Err(e).at(Stage::Create),
                }
                let fd = fs::openat(dir, &name, PATH | OFlags::NOFOLLOW, Mode::empty())
                    .at(Stage::OpenDest)?;
                Self::existing(fd, kind)
            }
            Err(e) => Err(e).at(Stage::Parents),
        }
    }

    fn existing(fd: OwnedFd, kind: PointKind) -> Result<Attach> {
        match (kind_of(fd.as_fd()).at(Stage::OpenDest)?, kind) {
            (FileType::Symlink, _) => Err(Failure::found(Stage::SymlinkDest)),
            (FileType::Directory, PointKind::File) => Err(Failure::found(Stage::NotFile)),
            (FileType::Directory, PointKind::Directory) => Ok(Attach::Open(fd)),
            (_, PointKind::Directory) => Err(Failure::found(Stage::NotDirectory)),
            (_, PointKind::File) => Ok(Attach::Open(fd)),
        }
    }

    /// The directory that holds the destination, made if need be, and the destination's name in it.
    pub fn parent(&self, target: &Target) -> Result<(Dir, CString)> {
        if target.fresh
            && let Some(found) = self.fresh(target)?
        {
            return Ok(found);
        }
        let (dir, name) = split(target.path.to_bytes());
        if name == b"." && !dir.is_empty() {
            let fd = self.directory(dir, target.parent_mode)?;
            return Ok((Dir::Open(Rc::new(fd)), c".".to_owned()));
        }
        if matches!(name, b"" | b"." | b"..") {
            // No name to create: it has to be there.
            let fd = self.open(&target.path, PATH).at(Stage::Parents)?;
            return Ok((Dir::Open(Rc::new(fd)), c".".to_owned()));
        }
        let name = CString::new(name).unwrap_or_default();
        let dir = if dir.is_empty() { &b"."[..] } else { dir };
        Ok((Dir::Open(Rc::new(self.directory(dir, target.parent_mode)?)), name))
    }

    /// The same where nothing is expected on the way but directories of our own; `None` where
    /// something else is.
    fn fresh(&self, target: &Target) -> Result<Option<(Dir, CString)>> {
        let unexpected = |e: Errno| matches!(e, Errno::LOOP | Errno::NOENT | Errno::NOTDIR);
        for path in &target.parents {
            let (dir, name) = split(path.to_bytes());
            let name = CString::new(name).unwrap_or_default();
            let dir = match self.plain(dir) {
                Err(e) if unexpected(e) => return Ok(None),
                other => other.at(Stage::Parents)?,
            };
            match fs::mkdirat(self.dir(&dir), &name, Mode::from_raw_mode(target.parent_mode)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(e) => return Err(e).at(Stage::Parents),
            }
        }
        let (dir, name) = split(target.path.to_bytes());
        match self.plain(dir) {
            Ok(dir) => Ok(Some((dir, CString::new(name).unwrap_or_default()))),
            Err(e) if unexpected(e) => Ok(None),
            Err(e) => Err(e).at(Stage::Parents),
        }
    }

    /// Opens a directory beneath the root, making what is missing of the path.
    fn directory(&self, path: &[u8], mode: u32) -> Result<OwnedFd> {
        let flags = PATH | OFlags::DIRECTORY;
        let text = CString::new(path).unwrap_or_default();
        match self.open(&text, flags) {
            Err(Errno::NOENT) => {}
            other => return other.at(Stage::Parents),
        }
        let mut dir = self.open(c".", flags).at(Stage::Parents)?;
        let mut at = 0;
        while at < path.len() {
            let end = path[at..].iter().position(|&b| b == b'/').map_or(path.len(), |n| at + n);
            let name = &path[at..end];
            at = end + 1;
            if name.is_empty() || name == b"." {
                continue;
            }
            // From the root again each time: links on the way are relative to where they are.
            let so_far = CString::new(&path[..end]).unwrap_or_default();
            dir = match self.open(&so_far, flags) {
                Err(Errno::NOENT) => {
                    let name = CString::new(name).unwrap_or_default();
                    match fs::mkdirat(&dir, &name, Mode::from_raw_mode(mode)) {
                        Ok(()) | Err(Errno::EXIST) => {}
                        Err(e) => return Err(e).at(Stage::Parents),
                    }
                    self.open(&so_far, flags).at(Stage::Parents)?
                }
                other => other.at(Stage::Parents)?,
            };
        }
        Ok(dir)
    }
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Opens `path` beneath `dir`, which is "/" for it.
pub fn open_beneath(
    kernel: Kernel,
    dir: BorrowedFd<'_>,
    path: &CStr,
    flags: OFlags,
) -> core::result::Result<OwnedFd, Errno> {
    if kernel.openat2 {
        let how = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        // EAGAIN: something was renamed meanwhile, and the kernel could not tell whether ".." left
        // the root. A bound, so that nobody can keep us here.
        for _ in 0..128 {
            match fs::openat2(dir, path, flags | OFlags::CLOEXEC, Mode::empty(), how) {
                Err(Errno::AGAIN) => {}
                Err(Errno::NOSYS) => return walk::open_in_root(dir, path, flags),
                other => return other,
            }
        }
        return Err(Errno::AGAIN);
    }
    walk::open_in_root(dir, path, flags)
}

/// Whether a directory is the root of the same mount as `root`.
fn is_root(fd: &OwnedFd, root: &OwnedFd) -> core::result::Result<bool, Errno> {
    let (a, b) = (fs::fstat(fd)?, fs::fstat(root)?);
    if (a.st_dev, a.st_ino) != (b.st_dev, b.st_ino) {
        return Ok(false);
    }
    // The same directory may be mounted elsewhere too.
    let id = |fd: &OwnedFd| {
        fs::statx(fd, c"", AtFlags::EMPTY_PATH, fs::StatxFlags::MNT_ID).map(|s| s.stx_mnt_id)
    };
    match (id(fd), id(root)) {
        (Ok(a), Ok(b)) => Ok(a == b),
        // Linux before 4.11.
        (Err(Errno::NOSYS), _) => Ok(true),
        (Err(e), _) | (_, Err(e)) => Err(e),
    }
}

/// Opens a directory beneath `dir` on whose path there is no link.
fn open_plain(
    kernel: Kernel,
    dir: BorrowedFd<'_>,
    path: &CStr,
) -> core::result::Result<OwnedFd, Errno> {
    let flags = PATH | OFlags::DIRECTORY;
    if kernel.openat2 {
        let how = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        match fs::openat2(dir, path, flags, Mode::empty(), how) {
            Err(Errno::NOSYS) => {}
            other => return other,
        }
    }
    walk::open_plain(dir, path)
}

/// The type of the file behind a descriptor.
pub fn kind_of(fd: BorrowedFd<'_>) -> core::result::Result<FileType, Errno> {
    Ok(FileType::from_raw_mode(fs::fstat(fd)?.st_mode))
}

fn create(dir: BorrowedFd<'_>, name: &CStr, kind: PointKind) -> core::result::Result<(), Errno> {
    match kind {
        PointKind::Directory => fs::mkdirat(dir, name, Mode::from_raw_mode(0o755)),
        PointKind::File => {
            fs::mknodat(dir, name, FileType::RegularFile, Mode::from_raw_mode(0o444), 0)
        }
    }
}

/// A path from the root as the directory and the last name.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    let end = path.iter().rposition(|&b| b != b'/').map_or(0, |n| n + 1);
    let path = &path[..end];
    match path.iter().rposition(|&b| b == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (&[], path),
    }
}

/// The link target of the link `name` in `dir`.
pub fn read_link(dir: BorrowedFd<'_>, name: &CStr) -> core::result::Result<CString, Errno> {
    fs::readlinkat(dir, name, Vec::new())
}

/// Whether two descriptors refer to the same inode.
pub fn same_inode(a: BorrowedFd<'_>, b: BorrowedFd<'_>) -> core::result::Result<bool, Errno> {
    let (a, b) = (fs::fstat(a)?, fs::fstat(b)?);
    Ok(a.st_dev == b.st_dev && a.st_ino == b.st_ino)
}

/// The flags of `*at` calls that act on the descriptor itself.
pub const EMPTY_PATH: AtFlags = AtFlags::EMPTY_PATH;

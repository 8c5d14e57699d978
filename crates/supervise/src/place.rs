//! What may be done where: directories by the mount that they were reached through.

use crate::process::Caller;
use crate::walk::{Found, Identity, identity};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use swathe_sys::rustix::fd::{AsFd as _, BorrowedFd, OwnedFd};
use swathe_sys::rustix::fs::{
    Mode, OFlags, ResolveFlags, StatVfsMountFlags, fstatvfs, openat, openat2,
};
use swathe_sys::{Errno, Result};

/// How far up is looked for a mount that is known. Paths have at most 2048 components.
const MAX_DEPTH: usize = 4096;

/// What the supervisor does below a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Level {
    /// Files are created and appended to; nothing is removed, renamed or overwritten.
    Append,
    /// Nothing is removed, renamed or made shorter.
    NoDelete,
    /// What is removed or replaced is kept in the trash.
    Trash,
    /// The kernel's rules cannot allow it without allowing a directory with a level below: whatever
    /// the program could do there is done for it.
    Free,
}

/// A directory that has a level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Where it is in the sandbox; a mount point.
    pub path: PathBuf,
    /// The level.
    pub level: Level,
    /// Whether the kernel's rules allow there what the level does. Where it holds a directory with
    /// another level, they cannot, and the supervisor does that, too.
    pub ruled: bool,
    /// The same directory on the host.
    pub host: Option<PathBuf>,
}

impl Place {
    /// Whether the kernel's rules allow there whatever the mount does.
    fn is_plain(&self) -> bool {
        self.level == Level::Free && self.ruled
    }
}

/// The places of a sandbox, by their mounts.
#[derive(Debug, Default)]
pub struct Places {
    mounts: HashMap<u64, Placed>,
}

/// What is known of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// Its level.
    pub level: Level,
    /// As in [`Place::ruled`].
    pub ruled: bool,
    /// Its number in the list.
    pub number: usize,
    /// Whether this is the place's own mount, not one that lies on it.
    pub exact: bool,
}

impl Placed {
    /// None where the kernel's rules allow everything already.
    fn mediated(self) -> Option<Self> {
        (self.level != Level::Free || !self.ruled).then_some(self)
    }
}

impl Places {
    /// Looks the places up in the finished tree of a process of the sandbox.
    ///
    /// # Errors
    /// The path and why: not there, no mount of its own, or the same mount as another place.
    pub fn find(caller: &Caller, places: &[Place]) -> std::result::Result<Self, (PathBuf, Errno)> {
        let root = caller.root().map_err(|e| ("/".into(), e))?;
        let mut mounts = HashMap::new();
        for (number, place) in places.iter().enumerate() {
            let failed = |e| (place.path.clone(), e);
            if place.is_plain() {
                continue;
            }
            let placed = Placed { level: place.level, ruled: place.ruled, number, exact: true };
            let found = identity(open(&root, &place.path).map_err(failed)?).map_err(failed)?;
            if mounts.insert(found.mount, placed).is_some() {
                return Err(failed(Errno::EXIST));
            }
        }
        // Others only keep the supervisor away. One that lies under another mount is not there.
        for (number, place) in places.iter().enumerate().filter(|(_, place)| place.is_plain()) {
            let Ok(found) = open(&root, &place.path).and_then(identity) else { continue };
            let placed = Placed { level: place.level, ruled: place.ruled, number, exact: true };
            mounts.entry(found.mount).or_insert(placed);
        }
        Ok(Self { mounts })
    }

    /// The level of a mount that is a place.
    #[must_use]
    pub fn of_mount(&self, mount: u64) -> Option<Level> {
        self.mounts.get(&mount).map(|placed| placed.level)
    }

    /// Whether what a name leads to is on the mount of a place.
    #[must_use]
    pub fn holds(&self, found: &Found) -> bool {
        found.object.as_ref().is_some_and(|o| self.mounts.contains_key(&o.identity.mount))
    }

    /// The level of what a name leads to: a file can be a place of its own. What a link of procfs
    /// leads to is nowhere below the link.
    ///
    /// # Errors
    /// Those of [`Self::of`].
    pub fn of_found(&self, found: &Found) -> Result<Option<Placed>> {
        if let Some(object) = &found.object
            && let Some(placed) = self.mounts.get(&object.identity.mount)
        {
            return Ok(placed.mediated());
        }
        if found.jumped {
            return Ok(None);
        }
        self.of(found.dir.as_fd())
    }

    /// What is known of a directory. A mount that is none of a place has the level of what it lies
    /// on. What leads out of the sandbox has none.
    ///
    /// # Errors
    /// Those of statx(2) and open(2).
    pub fn of(&self, dir: BorrowedFd<'_>) -> Result<Option<Placed>> {
        let mut at = identity(dir)?;
        if let Some(placed) = self.mounts.get(&at.mount) {
            return Ok(placed.mediated());
        }
        let mut fd: Option<OwnedFd> = None;
        for _ in 0..MAX_DEPTH {
            let here = fd.as_ref().map_or(dir, |fd| fd.as_fd());
            let up = openat(here, c"..", OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
            let above: Identity = identity(&up)?;
            if let Some(placed) = self.mounts.get(&above.mount) {
                let placed = Placed { exact: false, ..*placed };
                // What cannot be written to is refused without help.
                let fixed = placed.level == Level::Free
                    && fstatvfs(dir)?.f_flag.contains(StatVfsMountFlags::RDONLY);
                return Ok(placed.mediated().filter(|_| !fixed));
            }
            if above.is_same_place(&at) {
                break;
            }
            (at, fd) = (above, Some(up));
        }
        Ok(None)
    }
}

fn open(root: &OwnedFd, path: &Path) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    openat2(root, path.as_os_str().as_encoded_bytes(), flags, Mode::empty(), inside)
}

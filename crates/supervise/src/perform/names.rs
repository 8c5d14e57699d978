//! Removing, renaming and linking.

use super::{GO_ON, Performed, Performer, Removal, Verdict, own};
use crate::place::{Level, Place, Placed};
use crate::process::{Caller, path_of};
use crate::trap::At;
use crate::walk::{End, Found, Walk, identity};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use swathe_sys::rustix::fd::{AsFd as _, OwnedFd};
use swathe_sys::rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, RenameFlags, ResolveFlags, linkat, open, openat2,
    renameat_with, unlinkat,
};
use swathe_sys::{Errno, Result};

impl Performer {
    pub(super) fn unlink(
        &mut self,
        caller: &Caller,
        at: At,
        directory: bool,
        still: &dyn Fn() -> bool,
    ) -> Result<Option<Performed>> {
        let path = caller.path(at.path)?;
        let found = Walk::new(caller).find_name(at.dir, &path)?;
        let Some(placed) = self.places.of(found.dir.as_fd())? else {
            return Ok(Some(GO_ON));
        };
        let level = placed.level;
        let done = removable(&found, directory).and_then(|()| match level {
            Level::Append | Level::NoDelete => Err(Errno::ACCESS),
            _ if !still() => Err(Errno::SRCH),
            Level::Free => {
                let flags = if directory { AtFlags::REMOVEDIR } else { AtFlags::empty() };
                unlinkat(&found.dir, &found.name, flags)
            }
            Level::Trash => self.keep(caller, &found, placed, directory),
        });
        Ok(Some(self.noted(done.map(|()| Verdict::Done(0)), &found, None, placed)))
    }

    /// Renames only within a mount: across, there is nothing that the kernel would do either.
    pub(super) fn rename(
        &mut self,
        caller: &Caller,
        from: At,
        to: At,
        flags: u32,
        still: &dyn Fn() -> bool,
    ) -> Result<Option<Performed>> {
        let (old, new) = (caller.path(from.path)?, caller.path(to.path)?);
        let old = Walk::new(caller).find_name(from.dir, &old)?;
        let new = Walk::new(caller).find_name(to.dir, &new)?;
        let left = self.places.of(old.dir.as_fd())?;
        let onto = self.places.of(new.dir.as_fd())?;
        let Some(placed) = onto.into_iter().chain(left).min_by_key(|placed| placed.level) else {
            return Ok(Some(GO_ON));
        };
        let done = self.renamed(caller, (&old, &new), placed, flags, still);
        Ok(match done {
            Err(Errno::EXIST) if flags == 0 => None,
            done => Some(self.noted(done.map(|()| Verdict::Done(0)), &old, Some(&new), placed)),
        })
    }

    fn renamed(
        &mut self,
        caller: &Caller,
        (old, new): (&Found, &Found),
        placed: Placed,
        flags: u32,
        still: &dyn Fn() -> bool,
    ) -> Result<()> {
        let level = placed.level;
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
                !object.identity.is_same_file(&moved.identity)
            }
            _ => false,
        };
        if replaced {
            return self.replace(caller, (old, new), placed, is_dir);
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
    pub(super) fn link(
        &self,
        caller: &Caller,
        from: At,
        to: At,
        still: &dyn Fn() -> bool,
    ) -> Result<Option<Performed>> {
        let name = caller.path(to.path)?;
        let new = Walk::new(caller).find_name(to.dir, &name)?;
        let Some(placed @ Placed { ruled: false, .. }) = self.places.of(new.dir.as_fd())? else {
            return Ok(Some(GO_ON));
        };
        let path = caller.path(from.path)?;
        let file = if path.is_empty() && from.empty {
            caller.start(from.dir)?
        } else {
            let old = Walk::new(caller).find(from.dir, &path, from.follow)?;
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
        Ok(Some(self.noted(done, &new, None, placed)))
    }

    /// Of what lies on another mount than the place's own there is no other way: the host's would
    /// pass that mount by.
    fn host_dir(&self, placed: Placed, dir: &[u8], found: &Found) -> Option<OwnedFd> {
        let place = self.listed.get(placed.number).filter(|_| placed.exact)?;
        host_dir(place, dir, found)
    }

    fn keep(
        &mut self,
        caller: &Caller,
        found: &Found,
        placed: Placed,
        directory: bool,
    ) -> Result<()> {
        let dir = path_of(&found.dir)?;
        let host_dir = self.host_dir(placed, &dir, found);
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
        placed: Placed,
        directory: bool,
    ) -> Result<()> {
        let dir = path_of(&new.dir)?;
        let host_dir = self.host_dir(placed, &dir, new);
        let path = Path::new(OsStr::from_bytes(&dir)).join(OsStr::from_bytes(new.name.to_bytes()));
        let trash = self.trash.as_mut().ok_or(Errno::ACCESS)?;
        let host_dir = host_dir.as_ref().map(|fd| fd.as_fd());
        let (dir, name) = (new.dir.as_fd(), new.name.as_c_str());
        let program = caller.program();
        let replaced = Removal { dir, host_dir, name, path: &path, directory, program: &program };
        trash.replace(old.dir.as_fd(), &old.name, &replaced)
    }
}

/// A mount point cannot be removed or renamed. The kernel knows of those of the supervisor's own
/// namespace only, and would take away the others' mounts. The process cannot make one meanwhile:
/// its rules forbid it to mount.
fn movable(found: &Found) -> Result<()> {
    if found.end != End::Name {
        return Err(Errno::BUSY);
    }
    match &found.object {
        Some(object) if object.identity.mount != identity(&found.dir)?.mount => Err(Errno::BUSY),
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

//! Places in the sandbox: finding them, creating what is missing.

use super::own::HostDevices;
use super::refuse;
use crate::protocol::{MAX_CREATED, Refusal, Step, components};
use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, ResolveFlags, StatxFlags, fstat, fstatfs, mkdirat, openat,
    openat2, statat, statx, unlinkat,
};
use rustix::io::Errno;
use rustix::mount::{OpenTreeFlags, open_tree};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use swathe_helper::serve::PROC;
use swathe_sys::mount::{attr, clear_attr};

/// Beneath the directory, whatever the path says, and through no link of any kind.
const RESOLVE: ResolveFlags =
    ResolveFlags::IN_ROOT.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);

/// How often a path is looked up that others change meanwhile.
const TRIES: usize = 100;

/// Something that was created for a mount.
pub struct Created {
    parent: OwnedFd,
    name: Vec<u8>,
    directory: bool,
    identity: (u64, u64),
}

/// Opens what is at a path below `root`. No link is followed, the last one neither.
pub fn open(root: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd, Errno> {
    let relative = components(path).collect::<Vec<_>>().join(&b'/');
    let relative = if relative.is_empty() { &b"."[..] } else { &relative };
    for _ in 0..TRIES {
        match openat2(root, relative, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), RESOLVE) {
            // Something above the path was renamed meanwhile (EAGAIN).
            Err(Errno::AGAIN | Errno::INTR) => {}
            other => return other,
        }
    }
    Err(Errno::AGAIN)
}

/// The same, creating what is missing: directories, and as the last one what is asked for.
pub fn open_or_create(
    root: BorrowedFd<'_>,
    path: &[u8],
    directory: bool,
    devices: &mut HostDevices,
) -> Result<(OwnedFd, Vec<Created>), Refusal> {
    match open(root, path) {
        Ok(fd) => return Ok((fd, Vec::new())),
        Err(Errno::NOENT) => {}
        Err(errno) => return refuse(Step::Place, Err(errno)),
    }
    refuse(Step::Create, devices.update())?;
    let mut created = Vec::new();
    match create(root, path, directory, devices, &mut created) {
        Ok(fd) => Ok((fd, created)),
        Err(refusal) => {
            remove(created);
            Err(refusal)
        }
    }
}

fn create(
    root: BorrowedFd<'_>,
    path: &[u8],
    directory: bool,
    devices: &HostDevices,
    created: &mut Vec<Created>,
) -> Result<OwnedFd, Refusal> {
    let mut here = refuse(Step::Place, open(root, b"/"))?;
    let mut names = components(path).peekable();
    while let Some(name) = names.next() {
        let next = match open(here.as_fd(), name) {
            Err(Errno::NOENT) => {
                if created.len() >= MAX_CREATED {
                    return Err(Refusal { step: Step::Create, errno: Some(Errno::NAMETOOLONG) });
                }
                let wanted = directory || names.peek().is_some();
                created.push(make(&here, name, wanted, devices)?);
                open(here.as_fd(), name)
            }
            other => other,
        };
        here = refuse(Step::Create, next)?;
    }
    Ok(here)
}

/// Creates one name.
fn make(
    dir: &OwnedFd,
    name: &[u8],
    directory: bool,
    devices: &HostDevices,
) -> Result<Created, Refusal> {
    if !refuse(Step::Create, devices.is_sandbox_tmpfs(dir.as_fd()))? {
        return Err(Refusal::found(Step::CreateOnHost));
    }
    let make_in = |dir: &OwnedFd| {
        if directory {
            return mkdirat(dir, name, Mode::from_raw_mode(0o755));
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        openat(dir, name, flags, Mode::from_raw_mode(0o444)).map(drop)
    };
    let parent = match make_in(dir) {
        Err(Errno::ROFS) => {
            let writable = refuse(Step::Create, writable(dir))?;
            refuse(Step::Create, make_in(&writable))?;
            writable
        }
        made => {
            refuse(Step::Create, made)?;
            refuse(Step::Create, dir.try_clone().map_err(|_| Errno::MFILE))?
        }
    };
    let stat = refuse(Step::Create, statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW))?;
    let identity = (stat.st_dev, stat.st_ino);
    Ok(Created { parent, name: name.to_vec(), directory, identity })
}

/// A view of a directory of the sandbox's own file system that can be written to although its mount
/// cannot. Only this process ever has it.
fn writable(dir: &OwnedFd) -> Result<OwnedFd, Errno> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    let view = open_tree(dir.as_fd(), "", flags)?;
    clear_attr(view.as_fd(), attr::RDONLY)?;
    Ok(view)
}

/// Removes what was created, unless it is something else by now or not empty.
pub fn remove(created: Vec<Created>) {
    for one in created.into_iter().rev() {
        let stat = statat(&one.parent, &one.name[..], AtFlags::SYMLINK_NOFOLLOW);
        let Ok(stat) = stat else { continue };
        let empty = one.directory || stat.st_size == 0;
        if (stat.st_dev, stat.st_ino) == one.identity && empty {
            let flags = if one.directory { AtFlags::REMOVEDIR } else { AtFlags::empty() };
            // What is not removed is an empty name in the sandbox.
            let _ = unlinkat(&one.parent, &one.name[..], flags);
        }
    }
}

/// Whether it is a directory.
pub fn is_directory(fd: &OwnedFd) -> Result<bool, Errno> {
    Ok(FileType::from_raw_mode(fstat(fd)?.st_mode) == FileType::Directory)
}

/// Refuses places on which nothing of this kind can, or should, be mounted.
pub fn check(place: &OwnedFd, directory: bool) -> Result<(), Refusal> {
    let same = refuse(Step::Kind, is_directory(place))? == directory;
    // What is mounted in procfs is seen by a process that has the same number by chance.
    let in_proc = refuse(Step::Kind, fstatfs(place))?.f_type as u64 == PROC;
    if !same || in_proc {
        return Err(Refusal::found(Step::Kind));
    }
    Ok(())
}

/// The mount that a descriptor is on.
pub fn mount_of(fd: &OwnedFd) -> Result<u64, Errno> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::SYMLINK_NOFOLLOW;
    let stat = statx(fd, "", flags, StatxFlags::MNT_ID)?;
    if StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::MNT_ID) {
        Ok(stat.stx_mnt_id)
    } else {
        Err(Errno::NOSYS)
    }
}

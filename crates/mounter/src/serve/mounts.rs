//! The mounts that the helper has made, and how.

use super::own::HostDevices;
use super::place::{self, Created};
use super::refuse;
use crate::protocol::{Access, MAX_MOUNTS, Refusal, Step, components};
use rustix::fs::{Mode, OFlags, StatVfsMountFlags, fstat, fstatvfs, openat};
use rustix::io::Errno;
use rustix::mount::{MoveMountFlags, OpenTreeFlags, UnmountFlags, move_mount, open_tree, unmount};
use rustix::process::fchdir;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::collections::BTreeMap;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use swathe_sys::mount::{Propagation, attr, clear_attr, clone_tree_with_attr, set_attr};

/// How often a place is looked for again that something in the sandbox moves.
const TRIES: usize = 8;

/// What covers hidden paths.
pub struct StandIns {
    /// What covers a directory.
    pub directory: OwnedFd,
    /// What covers anything else.
    pub file: OwnedFd,
}

impl StandIns {
    /// What covers a directory, or something else; not attached.
    fn copy(&self, directory: bool) -> Result<OwnedFd, Errno> {
        let how = Attributes {
            set: attr::RDONLY | attr::NOSUID | attr::NODEV | attr::NOEXEC,
            propagation: Propagation::Private,
        };
        copy(if directory { &self.directory } else { &self.file }, how)
    }
}

/// One mount, or several that cover what was found at one path at different moments.
struct Mount {
    /// Their roots.
    roots: Vec<OwnedFd>,
    /// Where they were made.
    path: Vec<u8>,
    created: Vec<Created>,
    /// A mount that was there before, and is read-only again when this is taken back.
    thawed: Option<OwnedFd>,
    /// Whether it is forgotten when it is gone: nobody takes it away by its number.
    loose: bool,
}

/// The state of the helper.
pub struct Mounts {
    /// The host's root, among the helper's own mounts.
    host: OwnedFd,
    /// The helper's own mount namespace.
    own: OwnedFd,
    /// The sandbox's.
    sandbox: OwnedFd,
    /// Procfs of the host.
    proc: OwnedFd,
    devices: HostDevices,
    stand_ins: StandIns,
    made: BTreeMap<u64, Mount>,
    next: u64,
}

/// What a tree is attached with.
#[derive(Clone, Copy)]
struct Attributes {
    set: u64,
    propagation: Propagation,
}

impl Attributes {
    /// As a bind mount of the same access has them that is made at the start of a sandbox.
    fn of(access: Access) -> Self {
        match access {
            // What the host mounts later would arrive writable.
            Access::ReadOnly => Self {
                set: attr::RDONLY | attr::NOSUID | attr::NODEV,
                propagation: Propagation::Private,
            },
            Access::ReadWrite => {
                Self { set: attr::NOSUID | attr::NODEV, propagation: Propagation::Keep }
            }
        }
    }
}

impl Mounts {
    /// See the fields.
    pub fn new(
        host: OwnedFd,
        own: OwnedFd,
        sandbox: OwnedFd,
        proc: OwnedFd,
        devices: HostDevices,
        stand_ins: StandIns,
    ) -> Self {
        Self { host, own, sandbox, proc, devices, stand_ins, made: BTreeMap::new(), next: 1 }
    }

    /// Shows an object of the host, which must be `object`. Returns the mount's number.
    pub fn show(
        &mut self,
        host: &[u8],
        path: &[u8],
        access: Access,
        object: &OwnedFd,
    ) -> Result<u64, Refusal> {
        self.has_room()?;
        let mut last = Refusal::found(Step::Moved);
        for _ in 0..TRIES {
            let tree = self.tree(host, Attributes::of(access), object)?;
            let directory = refuse(Step::CopyTree, place::is_directory(&tree))?;
            let done = self.inside(|mounts, root| {
                let (at, created) =
                    place::open_or_create(root, path, directory, &mut mounts.devices)?;
                let done = place::check(&at, directory)
                    .and_then(|()| attach(&tree, &at))
                    .and_then(|()| mounts.confirm(root, path, &tree));
                match done {
                    Ok(()) => Ok(created),
                    Err(refusal) => {
                        place::remove(created);
                        Err(refusal)
                    }
                }
            });
            match done {
                Ok(created) => return Ok(self.keep(vec![tree], path, created)),
                Err(refusal) if refusal.step == Step::Moved => last = refusal,
                Err(refusal) => return Err(refusal),
            }
        }
        Err(last)
    }

    /// Makes a read-only mount of `object` writable. Returns a number by which that is taken back.
    pub fn thaw(&mut self, path: &[u8], object: &OwnedFd) -> Result<u64, Refusal> {
        self.has_room()?;
        let meant = refuse(Step::HostPath, fstat(object))?;
        let mount = self.inside(|_, root| {
            let at = refuse(Step::Place, place::open(root, path))?;
            let found = refuse(Step::Place, fstat(&at))?;
            let above = match path.iter().rposition(|&byte| byte == b'/') {
                None | Some(0) => root.try_clone_to_owned().map_err(|_| Errno::NFILE),
                Some(end) => place::open(root, path.get(..end).unwrap_or_default()),
            };
            let above = refuse(Step::Place, above.and_then(|above| place::mount_of(&above)))?;
            let here = refuse(Step::Place, place::mount_of(&at))?;
            let frozen = refuse(Step::Place, fstatvfs(&at))?;
            if (meant.st_dev, meant.st_ino) != (found.st_dev, found.st_ino)
                || above == here
                || !frozen.f_flag.contains(StatVfsMountFlags::RDONLY)
            {
                return Err(Refusal::found(Step::NoMount));
            }
            refuse(Step::Thaw, clear_attr(at.as_fd(), attr::RDONLY))?;
            Ok(at)
        })?;
        let id = self.keep(Vec::new(), path, Vec::new());
        if let Some(kept) = self.made.get_mut(&id) {
            kept.thawed = Some(mount);
        }
        Ok(id)
    }

    /// Covers `object`, if that is what is at a path, and it is not covered already.
    pub fn cover(&mut self, path: &[u8], object: &OwnedFd) -> Result<u64, Refusal> {
        if self.made.len() >= MAX_MOUNTS {
            self.forget_gone()?;
        }
        self.has_room()?;
        // A new file system of the host's must not be taken for one of the sandbox's own.
        refuse(Step::Place, self.devices.update())?;
        let meant = refuse(Step::HostPath, fstat(object))?;
        let directory = refuse(Step::HostPath, place::is_directory(object))?;
        let tree = refuse(Step::CopyTree, self.stand_ins.copy(directory))?;
        let covered = self.inside(|mounts, root| {
            let at = refuse(Step::Place, place::open(root, path))?;
            if refuse(Step::Place, mounts.is_covered(&at))? {
                return Ok(false);
            }
            let found = refuse(Step::Place, fstat(&at))?;
            if (meant.st_dev, meant.st_ino) != (found.st_dev, found.st_ino) {
                return Err(Refusal::found(Step::HostChanged));
            }
            place::check(&at, directory)?;
            attach(&tree, &at)?;
            Ok(true)
        })?;
        if !covered {
            return Ok(0);
        }
        let id = self.keep(vec![tree], path, Vec::new());
        if let Some(kept) = self.made.get_mut(&id) {
            kept.loose = true;
        }
        Ok(id)
    }

    /// Whether something is what stands in for a hidden path, from here or from the start.
    fn is_covered(&self, at: &OwnedFd) -> Result<bool, Errno> {
        let stand_in = fstat(&self.stand_ins.file)?.st_dev;
        Ok(fstat(at)?.st_dev == stand_in || self.devices.is_sandbox_tmpfs(at.as_fd())?)
    }

    /// Forgets covers whose file was removed or replaced on the host, and which are gone with that.
    fn forget_gone(&mut self) -> Result<(), Refusal> {
        let gone = self.inside(|mounts, _| {
            let is_gone = |root: &OwnedFd| {
                // It is read-only already: nothing changes where it is still attached.
                let set = set_attr(root.as_fd(), c"", attr::RDONLY, Propagation::Keep, false);
                set == Err(Errno::INVAL)
            };
            let loose = mounts.made.iter().filter(|(_, mount)| mount.loose);
            let gone = loose.filter(|(_, mount)| mount.roots.iter().all(is_gone));
            Ok(gone.map(|(id, _)| *id).collect::<Vec<_>>())
        })?;
        gone.iter().for_each(|id| drop(self.made.remove(id)));
        Ok(())
    }

    /// Covers a path. Returns the mount's number.
    pub fn hide(&mut self, path: &[u8]) -> Result<u64, Refusal> {
        self.has_room()?;
        let mut roots = Vec::new();
        for _ in 0..TRIES {
            let directory = self.inside(|_, root| {
                let at = refuse(Step::Place, place::open(root, path))?;
                refuse(Step::Place, place::is_directory(&at))
            })?;
            let tree = refuse(Step::CopyTree, self.stand_ins.copy(directory))?;
            let covered = self.inside(|_, root| {
                let at = refuse(Step::Place, place::open(root, path))?;
                if refuse(Step::Place, place::is_directory(&at))? != directory {
                    return Ok(false);
                }
                place::check(&at, directory)?;
                attach(&tree, &at)?;
                Ok(true)
            })?;
            if !covered {
                continue;
            }
            let there = self.inside(|_, root| {
                refuse(Step::Place, place::open(root, path).and_then(|at| is_on(&at, &tree)))
            });
            // What was there is covered, and stays so, wherever it goes.
            roots.push(tree);
            if there == Ok(true) {
                return Ok(self.keep(roots, path, Vec::new()));
            }
        }
        Err(Refusal::found(Step::Moved))
    }

    /// Takes a mount away.
    pub fn undo(&mut self, id: u64) -> Result<(), Refusal> {
        let Some(mount) = self.made.get(&id) else {
            return Err(Refusal::found(Step::NoSuchMount));
        };
        // Unmounting takes all with it that lies on the mount. Who has a directory of it open would
        // see what a cover hides.
        let mut later = self.made.range(id + 1..).map(|(_, other)| other);
        if mount.thawed.is_none() && later.any(|other| is_below(&other.path, &mount.path)) {
            return Err(Refusal::found(Step::Covered));
        }
        let Some(mount) = self.made.remove(&id) else {
            return Err(Refusal::found(Step::NoSuchMount));
        };
        let done = self.inside(|mounts, _| {
            if let Some(thawed) = &mount.thawed {
                let set = set_attr(thawed.as_fd(), c"", attr::RDONLY, Propagation::Keep, false);
                return refuse(Step::Thaw, set);
            }
            let mut there = false;
            for root in &mount.roots {
                match mounts.detach(root) {
                    Ok(()) => there = true,
                    // The host has removed or replaced what it was mounted on, and it with that.
                    Err(Errno::INVAL) => {}
                    Err(errno) => return refuse(Step::Detach, Err(errno)),
                }
            }
            if there { Ok(()) } else { Err(Refusal::found(Step::NoSuchMount)) }
        });
        match done {
            Err(refusal) if refusal.step != Step::NoSuchMount => {
                self.made.insert(id, mount);
                Err(refusal)
            }
            done => {
                place::remove(mount.created);
                done
            }
        }
    }

    fn has_room(&self) -> Result<(), Refusal> {
        if self.made.len() < MAX_MOUNTS { Ok(()) } else { Err(Refusal::found(Step::TooMany)) }
    }

    fn keep(&mut self, roots: Vec<OwnedFd>, path: &[u8], created: Vec<Created>) -> u64 {
        let id = self.next;
        self.next += 1;
        let mount = Mount { roots, path: path.to_vec(), created, thawed: None, loose: false };
        self.made.insert(id, mount);
        id
    }

    /// A copy of the tree at a path of the host, not attached.
    fn tree(&self, path: &[u8], how: Attributes, object: &OwnedFd) -> Result<OwnedFd, Refusal> {
        let found = refuse(Step::HostPath, place::open(self.host.as_fd(), path))?;
        let (meant, found_is) =
            (refuse(Step::HostPath, fstat(object))?, refuse(Step::HostPath, fstat(&found))?);
        if (meant.st_dev, meant.st_ino) != (found_is.st_dev, found_is.st_ino) {
            return Err(Refusal::found(Step::HostChanged));
        }
        refuse(Step::CopyTree, copy(&found, how))
    }

    /// Does something among the sandbox's mounts. `act` gets the sandbox's root.
    fn inside<T>(
        &mut self,
        act: impl FnOnce(&mut Self, BorrowedFd<'_>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let mounts = Some(LinkNameSpaceType::Mount);
        refuse(Step::EnterMounts, move_into_link_name_space(self.sandbox.as_fd(), mounts))?;
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = openat(rustix::fs::CWD, "/", flags, Mode::empty());
        let done = refuse(Step::EnterMounts, root).and_then(|root| act(self, root.as_fd()));
        if move_into_link_name_space(self.own.as_fd(), mounts).is_err() {
            // Never anything of the host's while in there.
            swathe_sys::process::exit(1);
        }
        done
    }

    /// Makes sure that the path leads to the mount; if not, the mount is taken away again.
    fn confirm(&self, root: BorrowedFd<'_>, path: &[u8], tree: &OwnedFd) -> Result<(), Refusal> {
        let found = place::open(root, path).and_then(|found| is_on(&found, tree));
        if found == Ok(true) {
            return Ok(());
        }
        refuse(Step::Detach, self.detach(tree))?;
        Err(Refusal::found(Step::Moved))
    }

    /// Unmounts the mount whose root this is, by its descriptor: no path of the sandbox is walked.
    fn detach(&self, root: &OwnedFd) -> Result<(), Errno> {
        fchdir(&self.proc)?;
        unmount(format!("self/fd/{}", root.as_raw_fd()), UnmountFlags::DETACH)
    }
}

/// Whether both descriptors are on the same mount.
fn is_on(found: &OwnedFd, mount: &OwnedFd) -> Result<bool, Errno> {
    Ok(place::mount_of(found)? == place::mount_of(mount)?)
}

/// Whether a path is another, or below it.
fn is_below(path: &[u8], above: &[u8]) -> bool {
    let mut names = components(path);
    components(above).all(|name| names.next() == Some(name))
}

/// A copy of the tree whose root this is, its attributes set before anybody can see it.
fn copy(root: &OwnedFd, how: Attributes) -> Result<OwnedFd, Errno> {
    match clone_tree_with_attr(root.as_fd(), c"", how.set, how.propagation) {
        Err(Errno::NOSYS) => {}
        other => return other,
    }
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE
        | OpenTreeFlags::AT_EMPTY_PATH;
    let tree = open_tree(root.as_fd(), "", flags)?;
    set_attr(tree.as_fd(), c"", how.set, how.propagation, true)?;
    Ok(tree)
}

/// Attaches a detached tree on what a descriptor refers to.
fn attach(tree: &OwnedFd, at: &OwnedFd) -> Result<(), Refusal> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    refuse(Step::Attach, move_mount(tree.as_fd(), "", at.as_fd(), "", flags))
}

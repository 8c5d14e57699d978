//! What the helper does before it listens: cuts itself off, and joins the sandbox's user namespace.

use super::mounts::{Mounts, StandIns};
use super::own::HostDevices;
use super::refuse;
use crate::protocol::{Refusal, Step, at};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, fchmod, fstat, fstatfs, mkdirat, openat, statat};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags,
    fsconfig_create, fsconfig_set_string, fsmount, fsopen, mount_change, move_mount,
};
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit, setsid,
};
use rustix::thread::{
    LinkNameSpaceType, UnshareFlags, move_into_link_name_space, set_no_new_privs,
};
use std::os::fd::{AsFd as _, OwnedFd};
use swathe_sys::process::{self, Caps};

/// `PROC_SUPER_MAGIC`.
pub const PROC: u64 = 0x9fa0;

const CAP_DAC_READ_SEARCH: u64 = 1 << 2;
const CAP_SYS_CHROOT: u64 = 1 << 18;
const CAP_SYS_ADMIN: u64 = 1 << 21;

/// `sandbox`: its mount namespace.
pub fn get_ready(sandbox: OwnedFd) -> Result<Mounts, Refusal> {
    isolate().map_err(at(Step::Isolate))?;
    let path = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let proc = refuse(Step::Isolate, openat(CWD, "/proc", path, Mode::empty()))?;
    if refuse(Step::Isolate, fstatfs(&proc))?.f_type as u64 != PROC {
        return Err(Refusal::found(Step::Isolate));
    }
    // Root's request for its own mounts would be granted otherwise.
    let mounts = refuse(Step::JoinUser, statat(&proc, "self/ns/mnt", AtFlags::empty()))?;
    let theirs = refuse(Step::JoinUser, fstat(&sandbox))?;
    if (mounts.st_dev, mounts.st_ino) == (theirs.st_dev, theirs.st_ino) {
        return Err(Refusal { step: Step::JoinUser, errno: Some(Errno::INVAL) });
    }
    let foreign = join_user(&sandbox, &proc).map_err(at(Step::JoinUser))?;
    copy_mounts().map_err(at(Step::CopyMounts))?;
    let root = refuse(Step::CopyMounts, openat(CWD, "/", path, Mode::empty()))?;
    let read = OFlags::RDONLY | OFlags::CLOEXEC;
    let open = |name| refuse(Step::CopyMounts, openat(&proc, name, read, Mode::empty()));
    let (own, table) = (open("self/ns/mnt")?, open("self/mountinfo")?);
    let devices = HostDevices::new(table.into()).map_err(at(Step::CopyMounts))?;
    let stand_ins = stand_ins().map_err(at(Step::StandIn))?;
    // In the namespace of all, root keeps what it needs to get to a path.
    let more = if foreign { 0 } else { CAP_DAC_READ_SEARCH };
    drop_caps(CAP_SYS_ADMIN | CAP_SYS_CHROOT | more).map_err(at(Step::Capabilities))?;
    super::filter::load().map_err(at(Step::Filter))?;
    Ok(Mounts::new(root, own, sandbox, proc, devices, stand_ins))
}

/// Nothing looks into this process, and it starts nothing.
fn isolate() -> Result<(), Errno> {
    set_no_new_privs(true)?;
    // Before the user namespace is joined: others may have capabilities in it.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    // Away from the keys of the terminal. It fails for the leader of a session, which is away.
    let _ = setsid();
    process::umask(0o022);
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    for resource in [Resource::Nproc, Resource::Core, Resource::Fsize] {
        setrlimit(resource, none)?;
    }
    // A descriptor stays open for each mount.
    let most = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most })
}

/// Joins the user namespace that owns the sandbox's mounts. False if it is in it already: root's
/// sandboxes may have none of their own.
fn join_user(sandbox: &OwnedFd, proc: &OwnedFd) -> Result<bool, Errno> {
    let owner = process::owning_user_namespace(sandbox.as_fd())?;
    let theirs = fstat(&owner)?;
    let ours = statat(proc, "self/ns/user", AtFlags::empty())?;
    if (theirs.st_dev, theirs.st_ino) == (ours.st_dev, ours.st_ino) {
        return Ok(false);
    }
    move_into_link_name_space(owner.as_fd(), Some(LinkNameSpaceType::User))?;
    Ok(true)
}

/// A copy of the mounts. It hears of what the host mounts and unmounts, and never tells the host.
fn copy_mounts() -> Result<(), Errno> {
    process::unshare(UnshareFlags::NEWNS)?;
    mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)
}

/// A file and a directory that nobody may read, on a file system of their own. It needs a place in
/// this namespace, so that its parts can be copied: over /proc, which is there and of which nothing
/// is ever shown.
fn stand_ins() -> Result<StandIns, Errno> {
    let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (key, value) in [("size", "64k"), ("nr_inodes", "16"), ("mode", "0755")] {
        fsconfig_set_string(context.as_fd(), key, value)?;
    }
    fsconfig_create(context.as_fd())?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let mount = fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
    mkdirat(&mount, "directory", Mode::empty())?;
    let create = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    fchmod(openat(&mount, "file", create, Mode::empty())?, Mode::empty())?;
    move_mount(mount.as_fd(), "", CWD, "/proc", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
    let open = |name| openat(&mount, name, OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    Ok(StandIns { directory: open("directory")?, file: open("file")? })
}

/// Keeps these capabilities, of those that the process has, and no others.
fn drop_caps(keep: u64) -> Result<(), Errno> {
    let keep = process::caps()?.permitted & keep;
    process::set_caps(Caps { effective: keep, permitted: keep, inheritable: 0 })
}

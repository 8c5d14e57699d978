//! What the helper does before it listens: cuts itself off, and joins the sandbox's user namespace.

use super::mounts::{Mounts, StandIns};
use super::own::HostDevices;
use super::refuse;
use crate::protocol::{Refusal, Step, at};
use rustix::fs::{CWD, Mode, OFlags, fchmod, mkdirat, openat};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags,
    fsconfig_create, fsconfig_set_string, fsmount, fsopen, mount_change, move_mount,
};
use rustix::thread::UnshareFlags;
use std::os::fd::{AsFd as _, OwnedFd};
use swathe_helper::serve::{is_own, isolate, join_owner, keep_caps, open_proc};
use swathe_sys::process;

const CAP_DAC_READ_SEARCH: u64 = 1 << 2;
const CAP_SYS_CHROOT: u64 = 1 << 18;
const CAP_SYS_ADMIN: u64 = 1 << 21;

/// `sandbox`: its mount namespace.
pub fn get_ready(sandbox: OwnedFd) -> Result<Mounts, Refusal> {
    isolate().map_err(at(Step::Isolate))?;
    let proc = refuse(Step::Isolate, open_proc())?;
    // Root's request for its own mounts would be granted otherwise.
    if refuse(Step::JoinUser, is_own(&sandbox, &proc, "mnt"))? {
        return Err(Refusal { step: Step::JoinUser, errno: Some(Errno::INVAL) });
    }
    let foreign = join_owner(&sandbox, &proc).map_err(at(Step::JoinUser))?;
    copy_mounts().map_err(at(Step::CopyMounts))?;
    let path = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = refuse(Step::CopyMounts, openat(CWD, "/", path, Mode::empty()))?;
    let read = OFlags::RDONLY | OFlags::CLOEXEC;
    let open = |name| refuse(Step::CopyMounts, openat(&proc, name, read, Mode::empty()));
    let (own, table) = (open("self/ns/mnt")?, open("self/mountinfo")?);
    let devices = HostDevices::new(table.into()).map_err(at(Step::CopyMounts))?;
    let stand_ins = stand_ins().map_err(at(Step::StandIn))?;
    // In the namespace of all, root keeps what it needs to get to a path.
    let more = if foreign { 0 } else { CAP_DAC_READ_SEARCH };
    keep_caps(CAP_SYS_ADMIN | CAP_SYS_CHROOT | more).map_err(at(Step::Capabilities))?;
    super::filter::load().map_err(at(Step::Filter))?;
    Ok(Mounts::new(root, own, sandbox, proc, devices, stand_ins))
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

//! What the helper does before it reads a byte of the sandbox: cuts itself off from all that is not
//! the network. It has no file system, no capability in any namespace of the host, can start nothing
//! and signal nobody, and makes only the system calls of a list.

use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags, UnmountFlags,
    fsconfig_create, fsmount, fsopen, mount_change, move_mount, unmount,
};
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, chdir, getrlimit, pivot_root, set_dumpable_behavior,
    setrlimit, setsid,
};
use rustix::thread::{UnshareFlags, set_no_new_privs};
use std::os::fd::AsFd as _;
use swathe_plan::filter::Test;
use swathe_sys::landlock::{self, Ruleset};
use swathe_sys::process::{self, Caps};

/// Memory that it may have, address space included.
const MEMORY: u64 = 4 << 30;

/// A step, and why it failed.
pub type Failure = (&'static str, Errno);

/// Everything but the filter; then a runtime may be made.
pub fn cut_off() -> Result<(), Failure> {
    let step = |name| move |errno| (name, errno);
    set_no_new_privs(true).map_err(step("no_new_privs"))?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(step("not dumpable"))?;
    // Away from the keys of the terminal. It fails for the leader of a session, which is away.
    let _ = setsid();
    process::umask(0o077);
    limits().map_err(step("limits"))?;
    // Where a machine forbids new user namespaces, Landlock alone takes the files away.
    let apart = namespaces();
    let landlock = landlock();
    if let (Err(errno), Err(_)) = (apart, landlock) {
        return Err(("no file system: neither namespaces nor Landlock", errno));
    }
    process::set_caps(Caps::default()).map_err(step("capabilities"))
}

fn limits() -> Result<(), Errno> {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    for resource in [Resource::Nproc, Resource::Core, Resource::Fsize] {
        setrlimit(resource, none)?;
    }
    let memory = Rlimit { current: Some(MEMORY), maximum: Some(MEMORY) };
    setrlimit(Resource::As, memory)?;
    // Two descriptors stay open for each connection.
    let most = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most })
}

/// An empty, read-only root of its own, and nothing to speak to by System V or POSIX queues.
fn namespaces() -> Result<(), Errno> {
    let apart = UnshareFlags::NEWUSER | UnshareFlags::NEWNS | UnshareFlags::NEWIPC;
    process::unshare(apart | UnshareFlags::NEWUTS)?;
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private)?;
    let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(context.as_fd())?;
    let attributes = MountAttrFlags::MOUNT_ATTR_RDONLY
        | MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let root = fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)?;
    move_mount(root.as_fd(), "", CWD, "/", MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
    rustix::process::fchdir(&root)?;
    pivot_root(".", ".")?;
    unmount(".", UnmountFlags::DETACH)?;
    chdir("/")
}

/// No file may be opened, whatever is in view, and nobody signalled.
fn landlock() -> Result<(), Errno> {
    let abi = landlock::abi();
    if abi == 0 {
        return Err(Errno::NOSYS);
    }
    // Every right that the kernel knows: thirteen at first, then REFER, TRUNCATE and IOCTL_DEV.
    let rights = 13 + u32::from(abi >= 2) + u32::from(abi >= 3) + u32::from(abi >= 5);
    let files = (1 << rights) - 1;
    let scopes = if abi >= landlock::ABI_SCOPES {
        landlock::SCOPE_SIGNAL | landlock::SCOPE_ABSTRACT_UNIX_SOCKET
    } else {
        0
    };
    Ruleset::new(files, scopes)?.enter()
}

/// What it does with sockets and time, beside what every helper does. It binds nothing and listens to nothing: it is given
/// its listeners. Where a machine has two calls for one thing, either is used.
const CALLS: &[&str] = &[
    // Sockets.
    "accept4",
    "connect",
    "getpeername",
    "getsockname",
    "getsockopt",
    "recv",
    "recvfrom",
    "send",
    "sendto",
    "setsockopt",
    "shutdown",
    // Descriptors.
    "pipe2",
    "read",
    "readv",
    "splice",
    "write",
    "writev",
    // Waiting.
    "clock_gettime",
    "clock_gettime64",
    "epoll_ctl",
    "epoll_pwait",
    "epoll_pwait2",
    "epoll_wait",
    "futex",
    "futex_time64",
    // Chance, and what the C library does around an end.
    "getrandom",
    "rt_sigprocmask",
];

const FIONBIO: u32 = 0x5421;
const INET: u32 = 2;
const INET6: u32 = 10;
const PROT_EXEC: u32 = 4;

/// Loads the filter. The kernel ends a process that makes another call.
pub fn load_filter() -> Result<(), Failure> {
    const FAMILIES: &[&[Test]] = &[&[Test::int(0, INET)], &[Test::int(0, INET6)]];
    let only: &[(&str, &[&[Test]])] = &[
        ("socket", FAMILIES),
        ("ioctl", &[&[const { Test::int(1, FIONBIO) }]]),
        // An allocator gives memory back by taking its rights; none may be run.
        ("mprotect", &[&[const { Test::bits(2, PROT_EXEC, 0) }]]),
    ];
    swathe_helper::serve::allow(CALLS, only).map_err(|errno| ("filter", errno))
}

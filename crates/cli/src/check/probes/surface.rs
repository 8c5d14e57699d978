//! Parts of the kernel that programs do not need: whether their calls are let through. See
//! [`swathe_sys::probe::reach`] for why none of them does anything.

use crate::check::facts::Facts;
use crate::check::probe::{
    Class, Finding, Layer, Probe, absent, closed, open, probe, reached, words,
};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, FsPickFlags, MountFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
};
use std::fs::File;
use swathe_sys::probe::{Reach, getpid_32, getpid_x32, reach};
use swathe_sys::process::{Fork, fork, ns};

use Class::{Escape, Leak, Surface};
use Layer::Seccomp;

/// A probe of one call.
macro_rules! call {
    ($id:literal, $class:ident, $call:ident, $what:literal) => {
        probe($id, $class, Seccomp, $what, |_| reached(reach(Reach::$call)))
    };
}

pub const PROBES: &[Probe] = &[
    probe("table-i386", Surface, Seccomp, "use the 32-bit table of system calls", |_| {
        table(getpid_32())
    }),
    probe("table-x32", Surface, Seccomp, "use the x32 table", |_| table(getpid_x32())),
    call!("bpf", Surface, Bpf, "load programs into the kernel (bpf)"),
    call!("perf", Surface, PerfEventOpen, "watch by performance counters (perf)"),
    call!("io-uring", Surface, IoUringSetup, "make calls past the filter (io_uring)"),
    call!("io-uring-enter", Surface, IoUringEnter, "use an io_uring"),
    call!("io-uring-register", Surface, IoUringRegister, "register with an io_uring"),
    call!("userfaultfd", Surface, Userfaultfd, "hold the kernel up (userfaultfd)"),
    call!("fanotify", Leak, FanotifyInit, "watch file systems (fanotify)"),
    call!("modify-ldt", Surface, ModifyLdt, "change segments (modify_ldt)"),
    call!("personality", Surface, PersonalityExec, "make data executable (personality)"),
    call!("personality-random", Surface, PersonalityNoRandom, "switch address randomness off"),
    call!("prctl-mm", Surface, PrctlSetMm, "change its own memory layout (PR_SET_MM)"),
    call!("kcmp", Leak, Kcmp, "compare kernel objects (kcmp)"),
    call!("move-pages", Surface, MovePages, "move memory pages (move_pages)"),
    call!("migrate-pages", Surface, MigratePages, "move memory of others (migrate_pages)"),
    call!("process-madvise", Surface, ProcessMadvise, "advise memory of others"),
    probe("ptrace-child", Surface, Seccomp, "trace a child (ptrace)", |_| {
        reached(swathe_sys::probe::trace_me())
    }),
    probe("vm-read", Surface, Seccomp, "read memory of a process by a call", |_| {
        reached(swathe_sys::probe::read_memory(std::process::id().cast_signed()))
    }),
    call!("keyctl", Surface, Keyctl, "use keyrings (keyctl)"),
    call!("add-key", Surface, AddKey, "add keys (add_key)"),
    call!("request-key", Surface, RequestKey, "ask for keys (request_key)"),
    call!("kernel-log-call", Leak, Syslog, "read the kernel's log (syslog)"),
    call!("module-load", Escape, InitModule, "load a kernel module (init_module)"),
    call!("module-load-file", Escape, FinitModule, "… from a file (finit_module)"),
    call!("module-remove", Escape, DeleteModule, "remove one (delete_module)"),
    call!("kexec", Escape, KexecLoad, "load another kernel (kexec_load)"),
    call!("kexec-file", Escape, KexecFileLoad, "… from a file (kexec_file_load)"),
    call!("reboot", Escape, Reboot, "restart the machine (reboot)"),
    call!("swap-on", Escape, Swapon, "add swap space (swapon)"),
    call!("swap-off", Escape, Swapoff, "remove swap space (swapoff)"),
    call!("quota", Escape, Quotactl, "change quotas (quotactl)"),
    call!("accounting", Escape, Acct, "switch accounting (acct)"),
    call!("clock", Escape, SetTime, "set the clock (settimeofday)"),
    call!("ports", Escape, Iopl, "use hardware ports (iopl)"),
    call!("ports-some", Escape, Ioperm, "use one of them (ioperm)"),
    probe("hang-up", Escape, Seccomp, "hang up a terminal (vhangup)", |_| {
        // Out of the session first: there shall be no terminal to hang up.
        match rustix::process::setsid() {
            Ok(_) => reached(reach(Reach::Vhangup)),
            Err(e) => absent(words(e)),
        }
    }),
    call!("host-name-set", Surface, Sethostname, "set the host name"),
    call!("dcookie", Surface, LookupDcookie, "look paths up by cookies (obsolete)"),
    call!("ustat", Surface, Ustat, "ask about file systems (ustat, obsolete)"),
    probe("mount", Surface, Seccomp, "mount a file system (mount)", |f| {
        // There is no such file system.
        let none = c"swathe-none";
        reached(rustix::mount::mount(none, &f.scratch, none, MountFlags::empty(), None))
    }),
    probe("unmount", Surface, Seccomp, "unmount (umount2)", |f| {
        // No mount, of which the kernel complains to those who may.
        let path = f.scratch.join("no-mount");
        drop(std::fs::create_dir(&path));
        reached(rustix::mount::unmount(&path, UnmountFlags::empty()))
    }),
    probe("unmount-mask", Escape, Seccomp, "uncover what a mount hides", |f| {
        // Outside it is no mount, and the call says so.
        reached(rustix::mount::unmount(&f.shown, UnmountFlags::DETACH))
    }),
    probe("pivot-root", Surface, Seccomp, "change the root (pivot_root)", |f| {
        reached(rustix::process::pivot_root(&f.shown, &f.shown))
    }),
    probe("chroot", Surface, Seccomp, "change the root of a process (chroot)", |f| {
        reached(rustix::process::chroot(&f.scratch))
    }),
    probe("open-tree", Surface, Seccomp, "copy mounts (open_tree)", |f| {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        reached(rustix::mount::open_tree(rustix::fs::CWD, &f.shown, flags))
    }),
    probe("fs-open", Surface, Seccomp, "make a file system (fsopen)", |_| {
        reached(rustix::mount::fsopen(c"tmpfs", FsOpenFlags::FSOPEN_CLOEXEC))
    }),
    probe("fs-pick", Surface, Seccomp, "reconfigure a file system (fspick)", |f| {
        reached(rustix::mount::fspick(
            rustix::fs::CWD,
            f.shown.join("file"),
            FsPickFlags::FSPICK_CLOEXEC,
        ))
    }),
    probe("fs-mount", Surface, Seccomp, "mount without a path (fsmount)", |f| {
        with_file(f, |file| {
            let flags = FsMountFlags::FSMOUNT_CLOEXEC;
            reached(rustix::mount::fsmount(file, flags, rustix::mount::MountAttrFlags::empty()))
        })
    }),
    probe("move-mount", Surface, Seccomp, "move mounts (move_mount)", |f| {
        with_file(f, |file| {
            let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
            reached(rustix::mount::move_mount(file, c"", file, c"", flags))
        })
    }),
    call!("mount-setattr", Surface, MountSetattr, "change mounts (mount_setattr)"),
    call!("set-namespace", Surface, Setns, "enter namespaces (setns)"),
    probe("namespace-unshare", Surface, Seccomp, "be root of a namespace (unshare)", |_| {
        reached(swathe_sys::process::unshare(rustix::thread::UnshareFlags::NEWUSER))
    }),
    probe("namespace-clone", Surface, Seccomp, "… by clone", |_| reached(clone(ns::USER))),
    probe("namespace-clone3", Surface, Seccomp, "… by clone3", |_| {
        reached(swathe_sys::probe::clone3(ns::USER))
    }),
    probe("namespace-others", Surface, Seccomp, "make namespaces of other kinds", |_| {
        reached(clone(ns::MOUNT | ns::NET | ns::IPC | ns::UTS))
    }),
];

fn table(answer: Option<rustix::io::Result<i32>>) -> Finding {
    match answer {
        None => absent("this machine has none"),
        Some(Ok(_)) => open("getpid answers"),
        Some(Err(e)) => closed(words(e)),
    }
}

/// A process in new namespaces, which ends at once.
fn clone(flags: u32) -> rustix::io::Result<()> {
    match fork(flags, false)? {
        Fork::Child => swathe_sys::process::exit(0),
        Fork::Parent(pid) => {
            let pid = rustix::process::Pid::from_raw(pid);
            rustix::process::waitpid(pid, rustix::process::WaitOptions::empty()).map(drop)
        }
    }
}

fn with_file(facts: &Facts, then: fn(&File) -> Finding) -> Finding {
    match File::open(facts.shown.join("file")) {
        Ok(file) => then(&file),
        Err(e) => closed(words(e)),
    }
}

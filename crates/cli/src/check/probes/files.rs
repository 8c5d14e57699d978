//! The file tree: what is read-only stays so, and nothing leads out of it.

use crate::check::facts::Facts;
use crate::check::probe::{
    Class, Finding, Layer, Probe, absent, any, closed, open, probe, reached, tried, words,
};
use rustix::fs::{
    Access, AtFlags, CWD, FileType, Mode, OFlags, Timespec, Timestamps, UTIME_NOW, XattrFlags,
};
use rustix::io::Errno;
use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use Class::{Escape, Leak, Surface};
use Layer::{Mount, Namespace, Seccomp};

pub const PROBES: &[Probe] = &[
    probe("usr-write", Escape, Mount, "write to /usr", |f| system(f, "/usr")),
    probe("etc-write", Escape, Mount, "write to /etc", |f| system(f, "/etc")),
    probe("var-write", Escape, Mount, "write to /var", |f| system(f, "/var")),
    probe("root-write", Escape, Mount, "write to the host's /", |f| system(f, "/")),
    probe("boot-write", Escape, Mount, "write to /boot", |f| system(f, "/boot")),
    probe("opt-write", Escape, Mount, "write to /opt", |f| system(f, "/opt")),
    probe("run-write", Escape, Mount, "write to /run", |f| system(f, "/run")),
    probe("tmp-write", Escape, Mount, "write to the host's /tmp", |f| system(f, "/tmp")),
    probe("shm-write", Escape, Mount, "write to the host's /dev/shm", |f| system(f, "/dev/shm")),
    probe("ro-write", Escape, Mount, "write to a file shown read-only", |f| {
        tried(OpenOptions::new().append(true).open(file(f)))
    }),
    probe("ro-create", Escape, Mount, "make a file in a read-only directory", |f| {
        tried(std::fs::write(f.shown.join("made"), f.secret()))
    })
    .seen("shown/made"),
    probe("ro-remove", Escape, Mount, "remove a file from there", |f| {
        tried(std::fs::remove_file(f.shown.join("spare")))
    }),
    probe("ro-rename", Escape, Mount, "rename a file there", |f| {
        tried(std::fs::rename(f.shown.join("other"), f.shown.join("renamed")))
    }),
    probe("ro-chmod", Escape, Mount, "change a file's mode there", |f| {
        tried(rustix::fs::chmod(file(f), Mode::from_raw_mode(0o640)))
    }),
    probe("ro-chown", Escape, Mount, "change a file's owner there", |f| {
        let own = rustix::process::getuid();
        tried(rustix::fs::chown(file(f), Some(own), None))
    }),
    probe("ro-times", Escape, Mount, "change a file's times there", |f| {
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        let times = Timestamps { last_access: now, last_modification: now };
        tried(rustix::fs::utimensat(CWD, file(f), &times, AtFlags::empty()))
    }),
    probe("ro-xattr", Escape, Mount, "set an extended attribute there", |f| {
        match rustix::fs::setxattr(file(f), "user.swathe", b"x", XattrFlags::empty()) {
            Err(Errno::OPNOTSUPP) => absent("this file system has none"),
            result => tried(result),
        }
    }),
    probe("ro-link-out", Escape, Mount, "link it into a directory to write it there", |f| {
        // Where nothing of the host can be written to, the link is of no use and cannot be made.
        let to = f.work.join("linked");
        match std::fs::hard_link(file(f), &to) {
            Ok(()) => tried(OpenOptions::new().append(true).open(&to)),
            Err(e) => closed(words(e)),
        }
    }),
    probe(
        "ro-reopen",
        Escape,
        Mount,
        "reopen a descriptor of it for writing",
        |f| match File::open(file(f)) {
            Ok(held) => tried(
                OpenOptions::new().append(true).open(format!("/proc/self/fd/{}", held.as_raw_fd())),
            ),
            Err(e) => closed(words(e)),
        },
    ),
    probe("ro-remount", Escape, Seccomp, "remount it writable", |f| {
        let flags = rustix::mount::MountFlags::BIND;
        match rustix::mount::mount_remount(&f.shown, flags, c"") {
            // Outside it is no mount of its own.
            Err(Errno::INVAL) => open("let through: not a mount"),
            result => tried(result),
        }
    }),
    probe("link-out", Leak, Mount, "follow a planted link to a secret", |f| {
        match f.is_in_file(&f.shown.join("link")) {
            Ok(true) => open("it leads outside"),
            Ok(false) => closed("it leads elsewhere"),
            Err(e) => closed(words(e)),
        }
    }),
    probe("dot-dot", Leak, Namespace, "walk up from / and from the directory", |f| {
        let up = Path::new("/../../../../../..").join(relative(&f.outside));
        let around = f.shown.join("../outside");
        any([up.join("secret"), around.join("secret")].map(|path| holds(f, &path)))
    }),
    probe("proc-root", Leak, Namespace, "look through /proc/PID/root and cwd", |f| {
        let secret = relative(&f.outside).join("secret");
        any([
            "1/root",
            "self/root",
            "self/cwd/../../../../../../../..",
            "1/cwd/../../../../../../..",
        ]
        .map(|path| holds(f, &Path::new("/proc").join(path).join(&secret))))
    }),
    probe("file-handle", Leak, Seccomp, "open a secret by its file handle", handle),
    probe("device-make", Escape, Seccomp, "make a device node", |f| {
        let path = f.scratch.join("device");
        let mode = Mode::from_raw_mode(0o600);
        let device = rustix::fs::makedev(1, 3);
        match rustix::fs::mknodat(CWD, &path, FileType::CharacterDevice, mode, device) {
            Ok(()) => tried(File::open(&path)),
            Err(e) => closed(words(e)),
        }
    }),
    probe("device-disk", Escape, Mount, "open disks in /dev", |_| devices(is_disk)),
    probe("device-memory", Escape, Mount, "open the machine's memory and ports", |_| {
        named(&["/dev/mem", "/dev/kmem", "/dev/port"])
    }),
    probe("device-kvm", Surface, Mount, "open the hypervisor's devices", |_| {
        named(&["/dev/kvm", "/dev/vhost-net", "/dev/vhost-vsock", "/dev/vsock"])
    }),
    probe("device-fuse", Surface, Mount, "open devices that serve file systems", |_| {
        named(&["/dev/fuse", "/dev/cuse", "/dev/loop-control", "/dev/mapper/control"])
    }),
    probe("device-input", Leak, Mount, "open cameras, sound and input devices", |_| {
        any(["/dev/input", "/dev/snd", "/dev/dri", "/dev/bus/usb"]
            .map(entries)
            .into_iter()
            .chain([named(&["/dev/video0", "/dev/uinput", "/dev/uhid"])]))
    }),
    probe("device-other", Surface, Mount, "open any other device", |_| devices(is_other)),
    probe("kernel-log", Leak, Mount, "open /dev/kmsg and /proc/kmsg", |_| {
        named(&["/dev/kmsg", "/proc/kmsg"])
    }),
    probe("kernel-memory", Leak, Mount, "open /proc/kcore", |_| named(&["/proc/kcore"])),
    probe("kernel-keys", Leak, Mount, "read keys of others in /proc/keys", |f| {
        if !f.has_key {
            return absent("no key could be made");
        }
        match std::fs::read("/proc/keys") {
            Ok(text) if text.windows(f.name.len()).any(|w| w == f.name.as_bytes()) => {
                open("the planted key is listed")
            }
            Ok(_) => closed("not listed"),
            Err(e) => closed(words(e)),
        }
    }),
    probe("core-pattern", Escape, Mount, "name a program for the kernel to run", |_| {
        writable(&["/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe"])
    }),
    probe("sysctl", Escape, Mount, "change settings in /proc/sys", |_| {
        writable(&[
            "/proc/sys/kernel/randomize_va_space",
            "/proc/sys/vm/overcommit_memory",
            "/proc/sys/fs/protected_symlinks",
        ])
    }),
    probe("sysrq", Escape, Mount, "press the machine's emergency keys", |_| {
        writable(&["/proc/sysrq-trigger"])
    }),
    probe("proc-hardware", Escape, Mount, "change interrupts and buses in /proc", |_| {
        writable(&["/proc/irq/default_smp_affinity", "/proc/mtrr", "/proc/acpi/wakeup"])
    }),
    probe("proc-writable", Escape, Mount, "write anywhere else in /proc", |_| {
        let mut left = MAX_PROC;
        proc_writable(Path::new("/proc"), 0, &mut left)
    }),
    probe("uevent-helper", Escape, Mount, "change settings in /sys", |_| {
        writable(&["/sys/kernel/uevent_helper", "/sys/power/state", "/sys/kernel/mm/ksm/run"])
    }),
    probe("cgroup-write", Escape, Mount, "move processes between control groups", |_| {
        writable(&["/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/cgroup.subtree_control"])
    }),
];

fn file(facts: &Facts) -> PathBuf {
    facts.shown.join("file")
}

fn relative(path: &Path) -> &Path {
    path.strip_prefix("/").unwrap_or(path)
}

fn holds(facts: &Facts, path: &Path) -> Finding {
    match facts.is_in_file(path) {
        Ok(true) => open(path.display().to_string()),
        Ok(false) => closed("another file"),
        Err(e) => closed(words(e)),
    }
}

/// Whether the host's directory is here, and writable. Nothing is written.
fn system(facts: &Facts, path: &str) -> Finding {
    match facts.is_the_hosts(Path::new(path)) {
        None => absent("this machine has none"),
        Some(false) => closed("not the host's directory"),
        Some(true) => tried(rustix::fs::access(path, Access::WRITE_OK)),
    }
}

fn handle(facts: &Facts) -> Finding {
    if facts.handle.is_empty() {
        return absent("the file system has no handles");
    }
    let mount = match File::open(file(facts)) {
        Ok(mount) => mount,
        Err(e) => return closed(words(e)),
    };
    match swathe_sys::probe::open_handle(mount.as_fd(), &facts.handle) {
        Ok(_) => open("opened"),
        Err(e) => closed(words(e)),
    }
}

/// Devices and special files that are opened, without waiting, and closed.
fn named(paths: &[&str]) -> Finding {
    any(paths.iter().map(|path| {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        match rustix::fs::open(*path, flags, Mode::empty()) {
            Ok(_) => open(*path),
            Err(e) => closed(words(e)),
        }
    }))
}

/// Opened for writing and closed: nothing is written.
fn writable(paths: &[&str]) -> Finding {
    any(paths.iter().map(|path| match OpenOptions::new().write(true).open(path) {
        Ok(_) => open(*path),
        Err(e) => closed(words(e)),
    }))
}

/// The deepest that `/proc` is searched, and the most names.
const PROC_DEPTH: usize = 3;
const MAX_PROC: usize = 4096;

/// Anything of `/proc` that may be written to, but processes' own files, and what other probes try.
fn proc_writable(directory: &Path, depth: usize, left: &mut usize) -> Finding {
    const OTHERS: [&str; 5] = ["self", "thread-self", "sys", "net", "mounts"];
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let process = depth == 0 && name.starts_with(|c: char| c.is_ascii_digit());
        if process || (depth == 0 && OTHERS.contains(&name.as_ref())) {
            continue;
        }
        if *left == 0 {
            break;
        }
        *left -= 1;
        let path = entry.path();
        let Ok(kind) = entry.file_type() else { continue };
        if kind.is_dir() && depth < PROC_DEPTH {
            let found = proc_writable(&path, depth + 1, left);
            if matches!(found, Finding::Open(_)) {
                return found;
            }
        } else if path.metadata().is_ok_and(|found| found.is_file() && found.mode() & 0o002 == 0)
            // What anybody may write to, the kernel guards itself.
            && rustix::fs::access(&path, Access::WRITE_OK).is_ok()
        {
            return open(path.display().to_string());
        }
    }
    closed("nothing")
}

fn entries(directory: &str) -> Finding {
    let names = std::fs::read_dir(directory).into_iter().flatten().flatten();
    match names.take(1).next() {
        Some(entry) => open(entry.path().display().to_string()),
        None => closed("none"),
    }
}

/// Names in `/dev` that any program may need.
const USUAL: [&str; 9] =
    ["null", "zero", "full", "random", "urandom", "tty", "ptmx", "console", "pts"];
const MAX_DEVICES: usize = 4096;

fn is_disk(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|m| m.file_type().is_block_device())
}

fn is_other(path: &Path) -> bool {
    let usual = path.file_name().is_some_and(|name| USUAL.iter().any(|usual| name == *usual));
    let device = path.symlink_metadata().is_ok_and(|m| {
        let kind = m.file_type();
        // 0:0 is what overlay file systems take for "not there", no device.
        (kind.is_char_device() || kind.is_block_device()) && m.rdev() != 0
    });
    device && !usual
}

/// Whether a device of this sort is there and may be used; none is opened, since that may do
/// something.
fn devices(wanted: fn(&Path) -> bool) -> Finding {
    let names = std::fs::read_dir("/dev").into_iter().flatten().flatten().take(MAX_DEVICES);
    let found = names.map(|entry| entry.path()).filter(|path| wanted(path));
    let usable = |path: &PathBuf| rustix::fs::access(path, Access::READ_OK).is_ok();
    let found: Vec<PathBuf> = found.collect();
    match found.iter().find(|path| usable(path)) {
        Some(path) => open(path.display().to_string()),
        None if found.is_empty() => closed("none there"),
        None => closed("may not be read"),
    }
}

/// Files that would lend the user's identity to whoever runs them.
pub const SET_ID: &[Probe] = &[
    probe("setid-chmod", Escape, Seccomp, "make a set-user-ID file by chmod", |f| {
        set_id(f, |path| {
            File::create(path)?;
            Ok(rustix::fs::chmod(path, Mode::from_raw_mode(0o4755))?)
        })
    }),
    probe("setid-fchmod", Escape, Seccomp, "… by fchmod", |f| {
        set_id(f, |path| Ok(rustix::fs::fchmod(File::create(path)?, Mode::from_raw_mode(0o6755))?))
    }),
    probe("setid-fchmodat2", Escape, Seccomp, "… by fchmodat2", |f| {
        set_id(f, |path| {
            File::create(path)?;
            let path = CString::new(path.as_os_str().as_bytes())?;
            Ok(swathe_sys::probe::chmod_at_2(&path, 0o4755)?)
        })
    }),
    probe("setid-open", Escape, Seccomp, "… by open with O_CREAT", |f| {
        set_id(f, |path| {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
            rustix::fs::open(path, flags, Mode::from_raw_mode(0o4755))?;
            Ok(())
        })
    }),
    probe("setid-openat2", Escape, Seccomp, "… by openat2", |f| {
        set_id(f, |path| {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
            let mode = Mode::from_raw_mode(0o4755);
            rustix::fs::openat2(CWD, path, flags, mode, rustix::fs::ResolveFlags::empty())?;
            Ok(())
        })
    }),
    probe("setid-mknod", Escape, Seccomp, "… by mknod", |f| {
        set_id(f, |path| {
            let mode = Mode::from_raw_mode(0o4755);
            Ok(rustix::fs::mknodat(CWD, path, FileType::RegularFile, mode, 0)?)
        })
    }),
    probe("setid-tmpfile", Escape, Seccomp, "… by O_TMPFILE", |f| {
        let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
        match rustix::fs::open(&f.scratch, flags, Mode::from_raw_mode(0o4755)) {
            Ok(fd) => mode_of(rustix::fs::fstat(fd).map(|stat| stat.st_mode)),
            Err(e) => reached::<()>(Err(e)),
        }
    }),
    probe("setid-caps", Escape, Namespace, "give a file capabilities", |f| {
        let path = f.scratch.join("capable");
        // cap_net_bind_service, effective and permitted, version 2.
        let value = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        match File::create(&path) {
            Ok(_) => tried(rustix::fs::setxattr(
                &path,
                "security.capability",
                &value,
                XattrFlags::empty(),
            )),
            Err(e) => closed(words(e)),
        }
    }),
];

fn set_id(facts: &Facts, make: fn(&Path) -> std::io::Result<()>) -> Finding {
    rustix::process::umask(Mode::empty());
    let path = facts.scratch.join("set-id");
    drop(std::fs::remove_file(&path));
    match make(&path) {
        Ok(()) => mode_of(std::fs::metadata(&path).map(|m| m.mode())),
        Err(e) => closed(words(e)),
    }
}

fn mode_of<E: Into<std::io::Error>>(mode: Result<u32, E>) -> Finding {
    match mode {
        Ok(mode) if mode & 0o6000 != 0 => open(format!("mode {:04o}", mode & 0o7777)),
        Ok(_) => closed("the bit was dropped"),
        Err(e) => closed(words(e)),
    }
}

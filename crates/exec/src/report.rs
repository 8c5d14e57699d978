//! [`Failure`] → text: the first line in bubblewrap's words, so that callers who match them go on
//! working.

use crate::failure::{Failure, Stage};
use crate::files::devices::{LINK_NAMES, NODE_NAMES};
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use swathe_plan::model::{Bytes, FileOp, OverlayUpper, Plan, Step};
use swathe_plan::render;
use swathe_plan::tables::{FILE_RIGHTS, LANDLOCK_ABIS, RESOURCES, USER_LIMITS};
use swathe_sys::Errno;

/// The text for an error, as glibc's strerror(3) gives it: what callers and people know.
pub fn error_text(errno: i32) -> String {
    match TEXTS.iter().find(|(e, _)| e.raw_os_error() == errno) {
        Some((_, text)) => (*text).to_owned(),
        None => format!("Unknown error {errno}"),
    }
}

/// Texts of the errors that the calls of a launch can give. musl has other words for some.
const TEXTS: &[(Errno, &str)] = &[
    (Errno::PERM, "Operation not permitted"),
    (Errno::NOENT, "No such file or directory"),
    (Errno::SRCH, "No such process"),
    (Errno::INTR, "Interrupted system call"),
    (Errno::IO, "Input/output error"),
    (Errno::NXIO, "No such device or address"),
    (Errno::TOOBIG, "Argument list too long"),
    (Errno::NOEXEC, "Exec format error"),
    (Errno::BADF, "Bad file descriptor"),
    (Errno::CHILD, "No child processes"),
    (Errno::AGAIN, "Resource temporarily unavailable"),
    (Errno::NOMEM, "Cannot allocate memory"),
    (Errno::ACCESS, "Permission denied"),
    (Errno::FAULT, "Bad address"),
    (Errno::NOTBLK, "Block device required"),
    (Errno::BUSY, "Device or resource busy"),
    (Errno::EXIST, "File exists"),
    (Errno::XDEV, "Invalid cross-device link"),
    (Errno::NODEV, "No such device"),
    (Errno::NOTDIR, "Not a directory"),
    (Errno::ISDIR, "Is a directory"),
    (Errno::INVAL, "Invalid argument"),
    (Errno::NFILE, "Too many open files in system"),
    (Errno::MFILE, "Too many open files"),
    (Errno::NOTTY, "Inappropriate ioctl for device"),
    (Errno::TXTBSY, "Text file busy"),
    (Errno::FBIG, "File too large"),
    (Errno::NOSPC, "No space left on device"),
    (Errno::SPIPE, "Illegal seek"),
    (Errno::ROFS, "Read-only file system"),
    (Errno::MLINK, "Too many links"),
    (Errno::PIPE, "Broken pipe"),
    (Errno::RANGE, "Numerical result out of range"),
    (Errno::DEADLK, "Resource deadlock avoided"),
    (Errno::NAMETOOLONG, "File name too long"),
    (Errno::NOSYS, "Function not implemented"),
    (Errno::NOTEMPTY, "Directory not empty"),
    (Errno::LOOP, "Too many levels of symbolic links"),
    (Errno::OVERFLOW, "Value too large for defined data type"),
    (Errno::LIBBAD, "Accessing a corrupted shared library"),
    (Errno::USERS, "Too many users"),
    (Errno::OPNOTSUPP, "Operation not supported"),
    (Errno::NOBUFS, "No buffer space available"),
    (Errno::TIMEDOUT, "Connection timed out"),
    (Errno::STALE, "Stale file handle"),
    (Errno::DQUOT, "Disk quota exceeded"),
    (Errno::CONNREFUSED, "Connection refused"),
    (Errno::AFNOSUPPORT, "Address family not supported by protocol"),
    (Errno::NOTCONN, "Transport endpoint is not connected"),
    (Errno::NOTSOCK, "Socket operation on non-socket"),
];

/// The operation that a failure is part of.
pub fn step<'p>(plan: &'p Plan, failure: &Failure) -> Option<&'p Step> {
    plan.steps.get(failure.op? as usize)
}

/// The first line, without the program's name.
pub fn message(plan: &Plan, failure: &Failure) -> Bytes {
    let op = step(plan, failure).map(|s| &s.op);
    let mut text = subject(plan, failure, op);
    if failure.errno != 0 && appends_error(failure) {
        text.extend(b": ");
        text.extend(error_text(failure.errno).into_bytes());
    }
    text
}

fn appends_error(failure: &Failure) -> bool {
    let error = failure.error();
    match failure.stage {
        Stage::Clone => {
            !matches!(error, Some(Errno::INVAL | Errno::PERM | Errno::NOSPC | Errno::USERS))
        }
        Stage::JoinUser | Stage::Seccomp => error != Some(Errno::INVAL),
        _ => true,
    }
}

fn bytes(parts: &[&[u8]]) -> Bytes {
    parts.concat()
}

fn dest(op: Option<&FileOp>) -> &[u8] {
    op.map_or(b"?", |op| &op.dest().0)
}

/// Source of a bind mount as it was given.
fn source(op: Option<&FileOp>) -> Bytes {
    use swathe_plan::model::BindSource;
    match op {
        Some(FileOp::Bind { source: BindSource::Path { path, .. }, .. }) => path.0.clone(),
        Some(FileOp::Bind { source: BindSource::Fd(fd), .. }) => {
            format!("/proc/self/fd/{fd}").into_bytes()
        }
        Some(FileOp::BindData { .. }) => b"tmpfile".to_vec(),
        _ => b"?".to_vec(),
    }
}

/// The path of a destination below the new root, as bubblewrap names it.
fn newroot(dest: &[u8]) -> Bytes {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in dest.split(|&b| b == b'/').filter(|c| !c.is_empty() && *c != b".") {
        if part == b".." {
            parts.pop();
        } else {
            parts.push(part);
        }
    }
    bytes(&[b"/newroot/", &parts.join(&b'/')])
}

fn subject(plan: &Plan, failure: &Failure, op: Option<&FileOp>) -> Bytes {
    let d = dest(op);
    let detail = failure.detail as usize;
    match failure.stage {
        Stage::Source => bytes(&[b"Can't find source path ", &source(op)]),
        Stage::Bind => bytes(&[
            b"Can't bind mount ",
            &source(op),
            b" on ",
            d,
            b": Unable to mount source on destination",
        ]),
        Stage::BindRoot => b"Can't bind mount / on /newroot/".to_vec(),
        Stage::SourceRace => b"Race condition binding dirfd".to_vec(),
        Stage::Parents => bytes(&[b"Can't mkdir parents for ", d]),
        Stage::Create | Stage::DataFile => bytes(&[b"Can't create file ", d]),
        Stage::NotDirectory => bytes(&[b"Destination is not a directory ", d]),
        Stage::NotFile => bytes(&[b"Destination is not a file ", d]),
        Stage::SymlinkDest => bytes(&[b"Can't mount on symlink destination ", d]),
        Stage::OpenDest => bytes(&[b"Can't open ", d]),
        Stage::RemountReadOnly => bytes(&[
            b"Can't remount readonly on ",
            d,
            b": mount_setattr() failed at \"",
            &newroot(d),
            b"\"",
        ]),
        Stage::Proc => bytes(&[b"Can't mount proc on ", &newroot(d)]),
        Stage::ProcCover => {
            let part = ["sys", "sysrq-trigger", "irq", "bus"].get(detail).copied().unwrap_or("?");
            bytes(&[b"Can't access ", d, b"/", part.as_bytes()])
        }
        Stage::Tmpfs => bytes(&[b"Can't mount tmpfs on ", d]),
        Stage::DevNode | Stage::DevNodeKind | Stage::DevConsole => {
            let name = NODE_NAMES.get(detail).copied().unwrap_or("?").as_bytes();
            let what: &[u8] = match failure.stage {
                Stage::DevNodeKind => b"Not the device that its name promises: /dev/",
                _ => b"Can't bind device node /dev/",
            };
            bytes(&[what, name])
        }
        Stage::DevLink => {
            let name = LINK_NAMES.get(detail).copied().unwrap_or("?").as_bytes();
            bytes(&[b"Can't create symlink ", d, b"/", name])
        }
        Stage::DevDir => {
            let name = ["shm", "pts"].get(detail).copied().unwrap_or("?").as_bytes();
            bytes(&[b"Can't create ", d, b"/", name])
        }
        Stage::DevPts => bytes(&[b"Can't mount devpts on ", d, b"/pts"]),
        Stage::Mqueue => bytes(&[b"Can't mount mqueue on ", d]),
        Stage::OverlaySource | Stage::OverlayWork => overlay_source(failure, op),
        Stage::Overlay => overlay(op),
        Stage::OverlayOverlap => bytes(&[&overlay(op), b": Overlay directories may not overlap"]),
        Stage::CopyData => bytes(&[b"Can't write data to file ", d]),
        Stage::SymlinkMake => bytes(&[b"Can't make symlink at ", d]),
        Stage::SymlinkTarget => {
            bytes(&[b"Can't make symlink at ", d, b": existing destination has another target"])
        }
        Stage::SymlinkNotLink => {
            bytes(&[b"Can't make symlink at ", d, b": destination exists and is not a symlink"])
        }
        Stage::Chmod => {
            let mode = match op {
                Some(FileOp::Chmod { mode: 0, .. }) => "0".to_owned(),
                Some(FileOp::Chmod { mode, .. }) => format!("0{mode:o}"),
                _ => String::new(),
            };
            bytes(&[b"Can't chmod ", mode.as_bytes(), b" ", d])
        }
        Stage::Mask => bytes(&[b"Can't mask ", d]),
        Stage::Pin => bytes(&[b"Can't pin ", d]),
        _ => elsewhere(plan, failure),
    }
}

/// An overlay that was refused, with the options that it was to have. bubblewrap names descriptors
/// there; a line break in a path must not keep the kernel's error from the first line.
fn overlay(op: Option<&FileOp>) -> Bytes {
    let Some(FileOp::Overlay { layers, upper, dest }) = op else {
        return b"Can't make overlay mount".to_vec();
    };
    let mut options = Vec::new();
    if let OverlayUpper::Host { upper, work } = upper {
        options.extend([b"upperdir=", &upper.0[..], b",workdir=", &work.0, b","].concat());
    }
    let lower: Vec<&[u8]> = layers.iter().rev().map(|l| &l.0[..]).collect();
    options.extend([b"lowerdir=", &lower.join(&b':')[..], b",userxattr"].concat());
    let text =
        [b"Can't make overlay mount on ", &newroot(&dest.0)[..], b" with options ", &options]
            .concat();
    text.split(|&b| b == b'\n').collect::<Vec<_>>().join(&b"\\n"[..])
}

fn overlay_source(failure: &Failure, op: Option<&FileOp>) -> Bytes {
    let Some(FileOp::Overlay { layers, upper, .. }) = op else {
        return b"Can't open overlay source".to_vec();
    };
    let path: &[u8] = match (layers.get(failure.detail as usize), upper) {
        (Some(layer), _) if failure.stage == Stage::OverlaySource => &layer.0,
        (_, OverlayUpper::Host { upper, .. }) if failure.stage == Stage::OverlaySource => &upper.0,
        (_, OverlayUpper::Host { work, .. }) => &work.0,
        _ => b"?",
    };
    bytes(&[b"Can't find source path ", path])
}

/// Steps that belong to no operation.
fn elsewhere(plan: &Plan, failure: &Failure) -> Bytes {
    let detail = failure.detail as usize;
    let path = |paths: &[swathe_plan::model::BoxPath]| paths.get(detail).map(|p| p.0.clone());
    match failure.stage {
        Stage::Chdir => match &plan.chdir {
            Some(dir) => bytes(&[b"Can't chdir to ", &dir.0]),
            None => b"Can't chdir to /".to_vec(),
        },
        Stage::LockOpen => {
            let path = path(&plan.lifecycle.lock_files).unwrap_or_default();
            bytes(&[b"Unable to open lock file ", &path])
        }
        Stage::Lock => {
            let path = path(&plan.lifecycle.lock_files).unwrap_or_default();
            bytes(&[b"Unable to lock file ", &path])
        }
        Stage::Hostname => {
            bytes(&[b"Can't set hostname to ", plan.hostname.as_deref().unwrap_or_default()])
        }
        Stage::Label => {
            bytes(&[b"label_exec ", plan.command.first().map_or(&[][..], Vec::as_slice)])
        }
        Stage::Exec => bytes(&[b"execvp ", plan.command.first().map_or(&[][..], Vec::as_slice)]),
        Stage::Rlimit => {
            let name = RESOURCES.get(detail).copied().unwrap_or("?");
            format!("Can't set the limit of {name}").into_bytes()
        }
        Stage::Descriptor => {
            format!("Can't use fd {}", failure.detail.cast_signed()).into_bytes()
        }
        Stage::LandlockKernel => landlock_kernel(failure.detail).into_bytes(),
        Stage::LandlockPath => {
            let path = plan.allowances.get(detail).map_or(&b"?"[..], |a| &a.path.0);
            bytes(&[b"Can't allow rights at ", path, b" (--landlock-allow)"])
        }
        Stage::Listener if failure.error() == Some(Errno::BUSY) => {
            b"Can't load the filter of --seccomp-listener: one before it has a listener already"
                .to_vec()
        }
        Stage::ListenerProbe => listener_probe(failure).into(),
        Stage::Bounding => format!("Dropping capability {detail} from bounds").into_bytes(),
        Stage::Ambient => format!("Adding ambient capability {detail}").into_bytes(),
        Stage::SwitchIds => {
            let (what, id) = match failure.detail {
                0 => ("gid", plan.gid),
                _ => ("uid", plan.uid),
            };
            format!("unable to switch to {what} {}", id.unwrap_or_default()).into_bytes()
        }
        // Nobody has mapped ids: bubblewrap notices at this step.
        Stage::UidMap | Stage::GidMap if failure.error() == Some(Errno::OVERFLOW) => {
            b"Creating newroot failed".to_vec()
        }
        Stage::UserLimit if detail > 0 => {
            let limit = plan.namespaces.user_limits.get(detail - 1);
            let name = limit.and_then(|limit| USER_LIMITS.get(limit.kind as usize));
            format!("Can't set the limit user.{}", name.copied().unwrap_or("?")).into_bytes()
        }
        Stage::CgroupKind => {
            format!("fd {} is no directory of a cgroup v2 file system", failure.detail.cast_signed())
                .into_bytes()
        }
        Stage::Clone => clone_text(failure).into(),
        Stage::JoinUser if failure.error() == Some(Errno::INVAL) => {
            "Joining the specified user namespace failed, it might not be a descendant of the current user namespace.".into()
        }
        Stage::Seccomp if failure.error() == Some(Errno::INVAL) => {
            "Unable to set up system call filtering as requested: prctl(PR_SET_SECCOMP) reported EINVAL. (Hint: this requires a kernel configured with CONFIG_SECCOMP and CONFIG_SECCOMP_FILTER.)".into()
        }
        stage => plain(stage).into(),
    }
}

/// A right that the kernel lacks: its position, and the kernel's ABI in the low byte.
fn landlock_kernel(detail: u32) -> String {
    let right = FILE_RIGHTS.get((detail >> 8) as usize);
    let since = right.and_then(|r| LANDLOCK_ABIS.get((r.abi as usize).checked_sub(1)?));
    let (Some(right), Some(since)) = (right, since) else {
        return "--landlock-handle needs another kernel".to_owned();
    };
    let (name, abi, major, minor) = (right.name, right.abi, since.major, since.minor);
    let here = match detail & 0xff {
        0 => "there is no Landlock".to_owned(),
        abi => format!("this one has ABI {abi}"),
    };
    format!("--landlock-handle {name} needs Landlock ABI {abi} (Linux {major}.{minor}): {here}")
}

fn listener_probe(failure: &Failure) -> &'static str {
    match failure.error() {
        None => "The listener of --seccomp-listener gave a wrong answer to the test call",
        Some(Errno::INVAL) => "The filter of --seccomp-listener does not trap the test call",
        Some(Errno::NOSYS) => "Nobody listens to the filter of --seccomp-listener",
        Some(_) => "The test call of --seccomp-listener was refused",
    }
}

fn clone_text(failure: &Failure) -> &'static str {
    match failure.error() {
        Some(Errno::INVAL) => {
            "Creating new namespace failed, likely because the kernel does not support user namespaces.  bwrap must be installed setuid on such systems."
        }
        Some(Errno::PERM) => {
            "No permissions to create a new namespace, likely because the kernel does not allow non-privileged user namespaces. On e.g. debian this can be enabled with 'sysctl kernel.unprivileged_userns_clone=1'."
        }
        Some(Errno::NOSPC | Errno::USERS) => {
            "Creating new namespace failed: nesting depth or /proc/sys/user/max_*_namespaces exceeded (ENOSPC)"
        }
        _ => "Creating new namespace failed",
    }
}

/// Steps whose text is always the same.
fn plain(stage: Stage) -> &'static str {
    match stage {
        Stage::NoNewPrivs => "prctl(PR_SET_NO_NEW_PRIVS) failed",
        Stage::Credentials => "setuid use of bubblewrap is not supported",
        Stage::FileCapabilities => "Unexpected capabilities but not setuid, old file caps config?",
        Stage::OpenProc => "Can't open /proc",
        Stage::SeccompData => "Can't read seccomp data",
        Stage::SeccompBlob => "Invalid seccomp data, must be multiple of 8",
        Stage::JoinUser => "Joining specified user namespace failed",
        Stage::JoinPid => "Setting pidns failed",
        Stage::BelowPid => "unshare pid ns",
        Stage::JoinNet => "Setting netns failed",
        Stage::Channel => "Can't make a socket pair",
        Stage::CallerGone => "The calling process has ended",
        Stage::WriteInfo => "Write to info_fd",
        Stage::Map => "newuidmap or newgidmap refused the map",
        Stage::MapTool => "Can't run newuidmap or newgidmap",
        Stage::UidMap => "setting up uid map",
        Stage::SetGroups => "error writing to setgroups",
        Stage::GidMap => "setting up gid map",
        Stage::Loopback => "loopback: Failed RTM_NEWADDR",
        Stage::Slave => "Failed to make / slave",
        Stage::RootTmpfs => "Failed to mount tmpfs",
        Stage::Scratch => "Can't create a temporary file for the sandbox",
        Stage::Pivot => "pivot_root",
        Stage::UnmountOld => "unmount old root",
        Stage::OldRootLeft => "the old root is still mounted",
        Stage::JoinUserAfter => "Setting userns2 failed",
        Stage::UserLimit => "sysctl user.max_user_namespaces = 1",
        Stage::PidMax => "Can't set kernel.pid_max of the pid namespace",
        Stage::PidMaxKernel => "--pid-max needs Linux 6.14: pid_max is the whole machine's before",
        Stage::ServeSocket => {
            "the descriptor of --serve is no listening UNIX socket of type SOCK_SEQPACKET"
        }
        Stage::ListenerSocket => {
            "the second descriptor of --seccomp-listener is no connected UNIX socket of type SOCK_STREAM or SOCK_SEQPACKET"
        }
        Stage::Listener => "Can't load the filter of --seccomp-listener",
        Stage::ListenerSend => "Can't send the listener of --seccomp-listener",
        Stage::Serve => "Can't serve the socket",
        Stage::Request => "Can't understand the request",
        Stage::Cgroup => "Can't start a process in the cgroup",
        Stage::UnshareUser => "unshare user ns",
        Stage::UserNotDisabled => "creation of new user namespaces was not disabled as requested",
        Stage::Capabilities => "capset failed",
        Stage::Setsid => "setsid",
        Stage::Terminal => "Can't set up the sandbox's terminal",
        Stage::FileLabel => "--file-label setup failed",
        Stage::Fork => "Can't fork for pid 1",
        Stage::Landlock => "Can't enter a Landlock domain",
        Stage::CloseFds => "Can't close descriptors",
        Stage::Seccomp => "prctl(PR_SET_SECCOMP)",
        Stage::DeathSignal => "prctl(PR_SET_PDEATHSIG)",
        Stage::Dumpable => "can't set dumpable",
        Stage::Wait => "wait",
        Stage::Died => "The sandbox's first process ended during the set-up",
        Stage::Block => "Can't read from the descriptor to wait for",
        _ => "set-up failed",
    }
}

/// The words that asked for the failing operation.
pub fn words(plan: &Plan, failure: &Failure) -> Option<Vec<Bytes>> {
    step(plan, failure).map(|s| render::operation(&s.op))
}

//! The cheap questions: files of procfs and sysfs, and system calls that do nothing. Less than a
//! millisecond, and no process is started.

use super::{
    Bwrap, Caller, Cgroup, CgroupVersion, FORMAT, Facts, Kernel, Namespaces, Overlay, Presence,
    Security, Settings, Surroundings,
};
use crate::files;
use std::collections::BTreeMap;
use std::path::Path;
use swathe_sys::presence::{Answer, Call, ask};
use swathe_sys::rustix::fs::{Access, AtFlags, CWD, accessat};
use swathe_sys::{landlock, process, rustix};

/// The most that is read of one file, in bytes.
const MOST: usize = 256 << 10;

/// Kinds of namespaces that are made, by their names in `user.max_*_namespaces`.
const KINDS: [&str; 7] = ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup"];

impl Facts {
    /// What can be known in less than a millisecond without starting a process. `bwrap` is the
    /// program that is going to make the sandboxes. Questions that fail leave their field unknown.
    pub fn probe_quick(bwrap: Option<&Path>) -> Self {
        let status = text("/proc/self/status").unwrap_or_default();
        let mounts = text("/proc/self/mountinfo").unwrap_or_default();
        let real = bwrap.map(real_path);
        Self {
            format: FORMAT,
            caller: caller(&status, &mounts),
            kernel: kernel(&status),
            security: security(),
            namespaces: namespaces(),
            surroundings: Surroundings { container: container(), masked_proc: masked(&mounts) },
            cgroup: cgroup(&mounts),
            settings: Settings {
                legacy_tiocsti: flag("/proc/sys/dev/tty/legacy_tiocsti"),
                ptrace_scope: number("/proc/sys/kernel/yama/ptrace_scope"),
                io_uring_disabled: number("/proc/sys/kernel/io_uring_disabled"),
            },
            bwrap: real.map(|path| Bwrap { path, version: None, trial: None }),
            ..Self::default()
        }
    }
}

impl Cgroup {
    /// The caller's control group, and nothing else of the machine.
    pub fn probe() -> Self {
        cgroup(&text("/proc/self/mountinfo").unwrap_or_default())
    }
}

/// The path without links, as text.
pub(super) fn real_path(path: &Path) -> String {
    let real = path.canonicalize();
    real.as_deref().unwrap_or(path).to_string_lossy().into_owned()
}

/// A file of the kernel or of `/etc`, at most [`MOST`] of it, without white space around.
pub(super) fn text(path: &str) -> Option<String> {
    let bytes = files::read(path.as_bytes(), MOST).ok()?;
    Some(String::from_utf8_lossy(&bytes).trim().to_owned())
}

fn number<T: std::str::FromStr>(path: &str) -> Option<T> {
    text(path)?.parse().ok()
}

fn flag(path: &str) -> Option<bool> {
    match text(path)?.as_str() {
        "1" | "Y" | "y" => Some(true),
        "0" | "N" | "n" => Some(false),
        _ => None,
    }
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// The value of a line `NAME: value`.
fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| Some(line.strip_prefix(name)?.strip_prefix(':')?.trim()))
}

fn caller(status: &str, mounts: &str) -> Caller {
    const SYS_ADMIN: u64 = 1 << 21;
    let caps = process::caps().unwrap_or_default();
    let map = text("/proc/self/uid_map").unwrap_or_default();
    let whole = map.split_whitespace().eq(["0", "0", "4294967295"]);
    let at_root = |line: &str| mount_point(line) == Some("/");
    Caller {
        uid: rustix::process::geteuid().as_raw(),
        sys_admin: caps.effective & SYS_ADMIN != 0,
        first_user_namespace: whole,
        no_new_privs: field(status, "NoNewPrivs") == Some("1"),
        filtered: field(status, "Seccomp").is_some_and(|mode| mode != "0"),
        in_chroot: !mounts.is_empty() && !mounts.lines().any(at_root),
    }
}

fn presence(call: Call) -> Presence {
    match ask(call) {
        Answer::Present => Presence::Present,
        Answer::Missing => Presence::Missing,
        Answer::Refused => Presence::Refused,
    }
}

fn kernel(status: &str) -> Kernel {
    let uname = rustix::system::uname();
    let actions = text("/proc/sys/kernel/seccomp/actions_avail").unwrap_or_default();
    let systems = text("/proc/filesystems").unwrap_or_default();
    let overlay = systems.lines().any(|line| line.split_whitespace().last() == Some("overlay"));
    Kernel {
        release: uname.release().to_string_lossy().into_owned(),
        machine: uname.machine().to_string_lossy().into_owned(),
        landlock_abi: landlock::abi(),
        seccomp_filters: field(status, "Seccomp").is_some(),
        seccomp_actions: words(&actions),
        clone3: presence(Call::Clone3),
        pidfd_open: presence(Call::PidfdOpen),
        openat2: presence(Call::Openat2),
        close_range: presence(Call::CloseRange),
        mount_setattr: presence(Call::MountSetattr),
        open_tree_attr: presence(Call::OpenTreeAttr),
        io_uring: presence(Call::IoUring),
        overlay: if overlay { Overlay::Loaded } else { Overlay::Missing },
    }
}

fn security() -> Security {
    let modules = text("/sys/kernel/security/lsm");
    let label = text("/proc/self/attr/current").map(|label| label.trim_matches('\0').to_owned());
    Security {
        modules: modules.map(|list| list.split(',').map(str::to_owned).collect()),
        selinux_enforcing: flag("/sys/fs/selinux/enforce"),
        label: label.filter(|label| !label.is_empty()),
        apparmor_restricts_userns: flag("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
        apparmor_profile: None,
    }
}

fn namespaces() -> Namespaces {
    let limit = |kind: &&str| {
        Some(((*kind).to_owned(), number(&format!("/proc/sys/user/max_{kind}_namespaces"))?))
    };
    let exists = |kind: &&&str| files::kind(format!("/proc/self/ns/{kind}").as_bytes()).is_some();
    Namespaces {
        kinds: KINDS.iter().filter(exists).map(|kind| (*kind).to_owned()).collect(),
        unprivileged_clone: flag("/proc/sys/kernel/unprivileged_userns_clone"),
        module_enabled: flag("/sys/module/user_namespace/parameters/enable"),
        limits: KINDS.iter().filter_map(limit).collect::<BTreeMap<_, _>>(),
    }
}

/// The mount point of a line of mountinfo (proc_pid_mountinfo(5)).
fn mount_point(line: &str) -> Option<&str> {
    line.split(' ').nth(4)
}

/// What is mounted below `/proc` that hides something. binfmt_misc (often by way of autofs) and
/// other file systems lie on directories that exist for them, which are empty without them.
fn masked(mounts: &str) -> Vec<String> {
    let hides = |line: &&str| {
        let point = mount_point(line).unwrap_or_default();
        point.starts_with("/proc/")
            && !matches!(point, "/proc/sys/fs/binfmt_misc" | "/proc/fs/nfsd")
    };
    let points = mounts.lines().filter(hides).filter_map(mount_point).map(str::to_owned);
    points.take(32).collect()
}

/// The kind of container that the caller is in, by the marks that container engines leave.
fn container() -> Option<String> {
    let marks = [
        ("/run/.containerenv", "podman"),
        ("/.dockerenv", "docker"),
        ("/.flatpak-info", "flatpak"),
        ("/var/run/secrets/kubernetes.io", "kubernetes"),
        ("/dev/lxd/sock", "lxd"),
        ("/dev/incus/sock", "incus"),
    ];
    if let Some((_, kind)) = marks.iter().find(|(path, _)| files::exists(path.as_bytes())) {
        return Some((*kind).to_owned());
    }
    // systemd leaves the word for everybody; pid 1's environment is root's to read.
    let word = text("/run/systemd/container").or_else(|| {
        let environment = files::read(b"/proc/1/environ", MOST).ok()?;
        let value = environment.split(|&b| b == 0).find_map(|e| e.strip_prefix(b"container="))?;
        Some(String::from_utf8_lossy(value).into_owned())
    });
    word.filter(|word| !word.is_empty()).or_else(|| {
        let release = text("/proc/sys/kernel/osrelease")?;
        release.contains("WSL").then(|| "wsl".to_owned())
    })
}

fn writable(path: &str) -> bool {
    let allowed = |name: &str| {
        let flags = AtFlags::EACCESS;
        accessat(CWD, format!("{path}{name}"), Access::WRITE_OK, flags).is_ok()
    };
    allowed("") && allowed("/cgroup.procs") && allowed("/cgroup.subtree_control")
}

fn cgroup(mounts: &str) -> Cgroup {
    let of = |kind: &str| {
        let is = move |line: &&str| {
            line.split(" - ").nth(1).is_some_and(|rest| rest.split(' ').next() == Some(kind))
        };
        mounts.lines().find(is)
    };
    let (v1, v2) = (of("cgroup"), of("cgroup2"));
    let version = match (v1, v2) {
        (Some(_), _) => CgroupVersion::V1,
        (None, Some(_)) => CgroupVersion::V2,
        (None, None) => CgroupVersion::None,
    };
    let own = text("/proc/self/cgroup").unwrap_or_default();
    // A cgroup outside the cgroup namespace is shown by `..`, and cannot be reached.
    let own = own.lines().find_map(|line| line.strip_prefix("0::"));
    let own = own.filter(|own| !own.starts_with("/.."));
    let mount = v2.and_then(mount_point).filter(|_| version == CgroupVersion::V2);
    let (Some(own), Some(mount)) = (own, mount) else {
        return Cgroup { version, ..Cgroup::default() };
    };
    let path = format!("{mount}{own}").trim_end_matches('/').to_owned();
    let controllers =
        |path: &str| words(&text(&format!("{path}/cgroup.controllers")).unwrap_or_default());
    let uid = rustix::process::geteuid().as_raw();
    let manager = format!("{mount}/user.slice/user-{uid}.slice/user@{uid}.service");
    let manager = Some(manager).filter(|path| writable(path));
    Cgroup {
        version,
        writable: writable(&path),
        controllers: controllers(&path),
        user_controllers: manager.as_deref().map(controllers).unwrap_or_default(),
        user_manager: manager,
        path: Some(path),
    }
}

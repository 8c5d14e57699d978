//! The payload: it describes the sandbox it finds itself in, line by line.
//!
//! Two launches gave the same sandbox when their reports are equal. Whatever differs between two
//! launches of the same command line (mount ids, device numbers of new file systems, inode numbers
//! of pipes) is left out or replaced by what it means.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read, Write as _};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

/// First line of a report.
pub const BEGIN: &str = "sandbox report\n";
/// Last line of a report: without it the payload was cut short.
pub const END: &str = "end of report\n";

/// Kinds of namespaces, as named in `/proc/self/ns`.
const KINDS: [&str; 7] = ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"];

/// The calling process's namespaces, as `KIND=LINK,...`.
pub fn host_namespaces() -> String {
    let link = |kind: &str| {
        let target = fs::read_link(format!("/proc/self/ns/{kind}")).unwrap_or_default();
        format!("{kind}={}", target.display())
    };
    KINDS.map(link).join(",")
}

/// Runs the payload named by the tool's first word, if it is one. Returns the exit status.
pub fn run(words: &[String]) -> Option<i32> {
    let word = |n: usize| words.get(n).map(String::as_str).unwrap_or_default();
    match word(0) {
        "__probe" => {
            let text = format!("{BEGIN}{}{END}", report(word(1), word(2)));
            Some(i32::from(io::stdout().write_all(text.as_bytes()).is_err()))
        }
        "__sleep" => {
            let _ = io::stdout().write_all(b"ready\n");
            loop {
                std::thread::park();
            }
        }
        "__gate" => {
            raw::write_byte(word(1).parse().unwrap_or(-1));
            let _ = io::stdin().read(&mut [0; 1]);
            Some(0)
        }
        "__true" => Some(0),
        _ => None,
    }
}

/// The whole description. `host` is what [`host_namespaces`] said outside; `walk` lists the
/// directories to look into, separated by `:`.
fn report(host: &str, walk: &str) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "cwd {}", shown(std::env::current_dir()));
    identity(&mut out, host);
    for name in ["uid_map", "gid_map", "setgroups"] {
        let text = fs::read_to_string(format!("/proc/self/{name}"));
        let _ = writeln!(out, "{name} {}", fields(&text.unwrap_or_else(|e| e.to_string())));
    }
    let limits = "/proc/sys/user/max_user_namespaces";
    let _ =
        writeln!(out, "userns limit {}", fields(&fs::read_to_string(limits).unwrap_or_default()));
    status(&mut out, "self");
    if namespace_is_own(host, "pid") {
        settle();
        status(&mut out, "1");
    }
    mounts(&mut out);
    descriptors(&mut out);
    let mut env: Vec<_> = std::env::vars_os().collect();
    env.sort();
    for (name, value) in env {
        let _ = writeln!(out, "env {name:?}={value:?}");
    }
    for (number, limit) in raw::limits().iter().enumerate() {
        let _ = writeln!(out, "rlimit {number} {limit}");
    }
    for (name, value) in raw::settings() {
        let _ = writeln!(out, "{name} {value}");
    }
    network(&mut out);
    for dir in walk.split(':').filter(|d| !d.is_empty()) {
        list(&mut out, Path::new(dir));
    }
    out
}

/// Waits until pid 1 sleeps, for a quarter of a second at most: it may still be on its way to its
/// waiting loop, and what it does until then belongs to the sandbox.
fn settle() {
    for _ in 0..250 {
        let status = fs::read_to_string("/proc/1/status").unwrap_or_default();
        if status.is_empty() || status.lines().any(|l| l.starts_with("State:\tS")) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
}

/// A value or its error.
fn shown<T: std::fmt::Debug>(value: io::Result<T>) -> String {
    value.map_or_else(|e| e.to_string(), |v| format!("{v:?}"))
}

/// Text with every run of white space made one space.
fn fields(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether this process has another namespace of `kind` than the host.
fn namespace_is_own(host: &str, kind: &str) -> bool {
    let here = fs::read_link(format!("/proc/self/ns/{kind}")).unwrap_or_default();
    !host.split(',').any(|entry| entry == format!("{kind}={}", here.display()))
}

/// Namespaces, host name, and place among processes and sessions.
fn identity(out: &mut String, host: &str) {
    for kind in KINDS {
        let own = if namespace_is_own(host, kind) { "own" } else { "host" };
        let _ = writeln!(out, "namespace {kind} {own}");
    }
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let _ = writeln!(out, "hostname {}", name.trim());
    let (pid, parent, session, group) = raw::family();
    let own_pids = namespace_is_own(host, "pid");
    let relative = |other: i32| match other {
        0 => "outside".to_owned(),
        o if o == pid => "self".to_owned(),
        o if own_pids => o.to_string(),
        _ => "other".to_owned(),
    };
    let pid = if own_pids { pid.to_string() } else { "host's".to_owned() };
    let (parent, session, group) = (relative(parent), relative(session), relative(group));
    let _ = writeln!(out, "pid {pid} parent {parent} session {session} group {group}");
}

/// Ids, capabilities, filters and signals of a process.
fn status(out: &mut String, pid: &str) {
    const WANTED: [&str; 17] = [
        "Umask",
        "State",
        "Uid",
        "Gid",
        "Groups",
        "NStgid",
        "Threads",
        "SigBlk",
        "SigIgn",
        "CapInh",
        "CapPrm",
        "CapEff",
        "CapBnd",
        "CapAmb",
        "NoNewPrivs",
        "Seccomp",
        "Seccomp_filters",
    ];
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    if text.is_empty() {
        let _ = writeln!(out, "status {pid} unreadable");
    }
    for line in text.lines() {
        let Some((name, value)) = line.split_once(':') else { continue };
        // The state of another process, and the pids outside, are not ours to compare.
        let varies = (name == "State" && pid != "self") || (name == "NStgid" && pid == "self");
        if WANTED.contains(&name) && !varies {
            // Of the pid list only the innermost number is stable; of the state the letter.
            let value = match name {
                "NStgid" => value.split_whitespace().next_back().unwrap_or_default().to_owned(),
                // Signals 32 and 33 belong to the C library, whose posix_spawn sometimes leaves
                // them ignored; the launchers under test have no part in it.
                "SigIgn" => {
                    let set = u64::from_str_radix(value.trim(), 16).unwrap_or(u64::MAX);
                    format!("{:016x}", set & !(3 << 31))
                }
                _ => fields(value),
            };
            let _ = writeln!(out, "status {pid} {name} {value}");
        }
    }
}

/// The mount table, with parents named by their mount point and without changing numbers.
fn mounts(out: &mut String) {
    let text = fs::read("/proc/self/mountinfo").unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let points: HashMap<&str, &str> = text
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            Some((words.next()?, words.nth(3)?))
        })
        .collect();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [_, parent, device, rest @ ..] = words.as_slice() else { continue };
        let parent = points.get(parent).copied().unwrap_or("none");
        // Device numbers with major 0 are given out anew for each file system.
        let device = if device.starts_with("0:") { "0" } else { device };
        let rest: Vec<&str> = rest
            .iter()
            .map(|word| match word.split_once(':') {
                Some((kind @ ("shared" | "master" | "propagate_from"), _)) => kind,
                // A file that was removed after it was bound: its name was made up.
                _ if word.ends_with("//deleted") => "removed",
                _ => word,
            })
            .collect();
        let _ = writeln!(out, "mount {} on {parent} {device}", rest.join(" "));
    }
}

/// Open descriptors: number, kind and open flags.
fn descriptors(out: &mut String) {
    let Ok(entries) = fs::read_dir("/proc/self/fd") else {
        let _ = writeln!(out, "fds unreadable");
        return;
    };
    let mut numbers: Vec<u32> =
        entries.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).collect();
    numbers.sort_unstable();
    for number in numbers {
        // The directory's own descriptor is closed by now and has no link.
        let Ok(target) = fs::read_link(format!("/proc/self/fd/{number}")) else { continue };
        let info = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).unwrap_or_default();
        let flags = info.lines().find(|l| l.starts_with("flags:")).unwrap_or_default();
        let target = target.to_string_lossy();
        let target = target.split(":[").next().unwrap_or_default();
        let _ = writeln!(out, "fd {number} {target} {}", fields(flags));
    }
}

/// Interfaces, and whether the loopback address works.
fn network(out: &mut String) {
    let text = fs::read_to_string("/proc/self/net/dev").unwrap_or_default();
    let mut names: Vec<&str> =
        text.lines().filter_map(|l| Some(l.split_once(':')?.0.trim())).collect();
    names.sort_unstable();
    let _ = writeln!(out, "interfaces {}", names.join(" "));
    let loopback = std::net::UdpSocket::bind("127.0.0.1:0").and_then(|s| {
        s.connect(("127.0.0.1", 9))?;
        s.send(b"x")
    });
    let _ = writeln!(out, "loopback {}", shown(loopback));
}

/// The entries of one directory: kind, mode, owner, link target, and content of small files.
fn list(out: &mut String, dir: &Path) {
    let Ok(entries) = fs::read_dir(dir) else {
        let _ = writeln!(out, "list {} unreadable", dir.display());
        return;
    };
    let mut paths: Vec<_> = entries.flatten().map(|e| e.path()).collect();
    paths.push(dir.to_path_buf());
    paths.sort();
    for path in paths {
        let Ok(meta) = fs::symlink_metadata(&path) else { continue };
        let detail = if meta.is_symlink() {
            shown(fs::read_link(&path))
        } else if meta.is_file() && meta.len() < 256 {
            shown(fs::read(&path).map(|b| String::from_utf8_lossy(&b).into_owned()))
        } else {
            format!("device {:x}", meta.rdev())
        };
        let (mode, uid, gid) = (meta.permissions().mode(), meta.uid(), meta.gid());
        let name = String::from_utf8_lossy(path.as_os_str().as_bytes());
        let _ = writeln!(out, "list {name} {mode:o} {uid}:{gid} {detail}");
    }
}

/// What has no safe interface.
mod raw {
    #![allow(unsafe_code)]

    /// Writes one byte to a descriptor that was handed down by number.
    pub(super) fn write_byte(fd: i32) {
        // SAFETY: one byte of a live array; a wrong number is an error that shows as a missing byte.
        unsafe { libc::write(fd, [b'r'].as_ptr().cast(), 1) };
    }

    /// Own pid, parent, session and process group, as seen inside.
    pub(super) fn family() -> (i32, i32, i32, i32) {
        // SAFETY: these take integers, cannot fail, and touch no memory.
        unsafe { (libc::getpid(), libc::getppid(), libc::getsid(0), libc::getpgrp()) }
    }

    /// Soft and hard value of all sixteen resource limits.
    pub(super) fn limits() -> Vec<String> {
        (0..16)
            .map(|number| {
                let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
                // SAFETY: `limit` outlives the call.
                unsafe { libc::getrlimit(number, &raw mut limit) };
                format!("{} {}", limit.rlim_cur, limit.rlim_max)
            })
            .collect()
    }

    /// Values that only system calls tell.
    pub(super) fn settings() -> Vec<(&'static str, i64)> {
        let mut death = 0i32;
        let zero: libc::c_ulong = 0;
        // SAFETY: integers, one pointer to a live integer, and null pointers for add_key, which
        // fails on them (EFAULT, or EPERM by the filter) without touching memory.
        unsafe {
            libc::prctl(libc::PR_GET_PDEATHSIG, &raw mut death, zero, zero, zero);
            let get = |option| i64::from(libc::prctl(option, zero, zero, zero, zero));
            let filtered = libc::syscall(libc::SYS_add_key, 0, 0, 0, 0, 0);
            let errno = std::io::Error::last_os_error().raw_os_error().unwrap_or(0);
            vec![
                ("death signal", i64::from(death)),
                ("dumpable", get(libc::PR_GET_DUMPABLE)),
                ("securebits", get(libc::PR_GET_SECUREBITS)),
                ("keepcaps", get(libc::PR_GET_KEEPCAPS)),
                ("subreaper", subreaper()),
                ("priority", i64::from(libc::getpriority(libc::PRIO_PROCESS, 0))),
                ("add_key", if filtered == -1 { i64::from(errno) } else { 0 }),
            ]
        }
    }

    /// Whether this process adopts orphans.
    fn subreaper() -> i64 {
        let mut value = 0i32;
        let zero: libc::c_ulong = 0;
        // SAFETY: one pointer to a live integer.
        unsafe { libc::prctl(libc::PR_GET_CHILD_SUBREAPER, &raw mut value, zero, zero, zero) };
        i64::from(value)
    }
}

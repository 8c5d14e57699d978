//! What on this machine forbids a sandbox, and what to do about it.

use crate::files;
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use swathe_sys::Errno;
use swathe_sys::rustix::fs::{self, OFlags};
use swathe_sys::rustix::io;

/// Something that forbids namespaces here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// What it is.
    pub cause: String,
    /// What removes it.
    pub fix: String,
}

fn value(path: &str) -> Option<String> {
    let text = files::read(path.as_bytes(), 64 << 10).ok()?;
    Some(String::from_utf8_lossy(&text).trim().to_owned())
}

/// Why a user namespace cannot be made, or gives no privileges; most specific first.
pub fn user_namespace_obstacles() -> Vec<Obstacle> {
    let mut found = Vec::new();
    if value("/proc/sys/kernel/unprivileged_userns_clone").as_deref() == Some("0") {
        found.push(sysctl(
            "user namespaces are forbidden to ordinary users",
            "kernel.unprivileged_userns_clone",
            "1",
        ));
    }
    if value("/proc/sys/kernel/apparmor_restrict_unprivileged_userns").as_deref() == Some("1") {
        let exe = files::read_link(b"/proc/self/exe").unwrap_or_default();
        found.push(Obstacle {
            cause: format!(
                "AppArmor lets only listed programs make user namespaces, and {} is not listed",
                exe.escape_ascii()
            ),
            fix: "for now: sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0; for good: an AppArmor profile for that path with \"userns,\"".to_owned(),
        });
    }
    for name in ["user", "mnt", "pid", "net", "ipc", "uts", "cgroup"] {
        let key = format!("user.max_{name}_namespaces");
        if value(&format!("/proc/sys/user/max_{name}_namespaces")).as_deref() == Some("0") {
            found.push(sysctl(&format!("the limit of {name} namespaces is 0"), &key, "15000"));
        }
    }
    if let Some(kind) = container().filter(|_| filtered()) {
        found.push(Obstacle {
            cause: format!("this is inside a container ({kind}), whose filter may forbid namespaces"),
            fix: "start the container with --security-opt seccomp=unconfined --security-opt apparmor=unconfined, or allow clone, unshare and mount in its filter".to_owned(),
        });
    } else if filtered() {
        found.push(Obstacle {
            cause: "a seccomp filter is in force here, which may forbid namespaces".to_owned(),
            fix: "allow clone, unshare and mount in the filter of the surrounding sandbox"
                .to_owned(),
        });
    }
    found
}

fn sysctl(cause: &str, key: &str, wanted: &str) -> Obstacle {
    Obstacle {
        cause: format!("{cause} ({key})"),
        fix: format!(
            "for now: sudo sysctl -w {key}={wanted}; for good: the line \"{key} = {wanted}\" in /etc/sysctl.d/60-sandbox.conf"
        ),
    }
}

/// The kind of container that this process seems to be in.
pub fn container() -> Option<&'static str> {
    if files::exists(b"/run/.containerenv") {
        return Some("podman");
    }
    if files::exists(b"/.dockerenv") {
        return Some("docker");
    }
    let environment = files::read(b"/proc/1/environ", 64 << 10).unwrap_or_default();
    environment.split(|&b| b == 0).any(|e| e.starts_with(b"container=")).then_some("container=")
}

fn status_field(name: &str) -> Option<String> {
    let status = value("/proc/self/status")?;
    let line = status.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':'))?;
    Some(line.trim().to_owned())
}

/// Whether a seccomp filter is in force for this process.
pub fn filtered() -> bool {
    status_field("Seccomp").is_some_and(|mode| mode != "0")
}

/// Whether the kernel can load seccomp filters at all.
pub fn has_seccomp() -> bool {
    status_field("Seccomp").is_some()
}

/// Checks an SELinux label with the running policy, as `security_check_context` does: through
/// selinuxfs.
///
/// # Errors
/// `None`: SELinux is not in force here. `Some`: the kernel's text on the label.
pub fn check_label(label: &[u8]) -> Result<(), Option<String>> {
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    let text = |e: Errno| Some(format!("{e}"));
    match fs::openat(fs::CWD, c"/sys/fs/selinux/context", flags, fs::Mode::empty()) {
        Ok(file) => io::write(&file, label).map(drop).map_err(text),
        Err(Errno::NOENT | Errno::NOTDIR) => Err(None),
        Err(e) => Err(text(e)),
    }
}

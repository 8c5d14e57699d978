//! The system's directories, read-only, and the places that every program expects to write to.

use super::build::Build;
use super::{Kind, Refusal};
use crate::model::{Intent, Source, State};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use swathe_plan::model::{Access, FileOp, HostPath, OverlayUpper};
use swathe_plan::options::Opt;

/// Directories of programs, at the root. On most systems all but `/usr` are links into it.
const SYSTEM: [&str; 8] = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt"];

/// Directories of package managers that have a tree of their own.
const STORES: [&str; 3] = ["/nix/store", "/gnu/store", "/home/linuxbrew/.linuxbrew"];

/// Links in which a system may name its programs beside `/usr`.
const PROFILES: [&str; 2] = ["/run/current-system", "/nix/var/nix/profiles"];

/// Files of `/proc` that root can read without any capability, and that tell of the kernel's memory
/// and of everybody's work.
const PROC_SECRETS: [&str; 9] = [
    "kcore",
    "kpagecgroup",
    "kpagecount",
    "kpageflags",
    "latency_stats",
    "sched_debug",
    "slabinfo",
    "timer_list",
    "vmallocinfo",
];

/// What of `/proc` root can write to without any capability.
const PROC_SETTINGS: [&str; 11] = [
    "acpi",
    "asound",
    "driver",
    "dynamic_debug",
    "fs",
    "mtrr",
    "pressure",
    "scsi",
    "sys",
    "sysrq-trigger",
    "tty",
];

pub(super) fn add(build: &mut Build<'_>) {
    // Before what is shown below them.
    build.tmpfs(Path::new("/tmp"), 0o1777);
    build.tmpfs(Path::new("/var/tmp"), 0o1777);
    build.tmpfs(Path::new("/run"), 0o755);
    build.symlink(Path::new("../run"), Path::new("/var/run"));
    for path in SYSTEM.map(Path::new) {
        match build.files.kind(path) {
            Some(Kind::Directory) => build.show(path, &Source::Default),
            Some(Kind::Link) => {
                if let Some(target) = build.files.link(path) {
                    build.symlink(&target, path);
                    if let Some(real) = build.files.real(path) {
                        build.show(&real, &Source::Default);
                    }
                }
            }
            _ => {}
        }
    }
    for path in STORES.iter().chain(&PROFILES).map(Path::new) {
        // Read-only, and without the daemon's socket.
        if build.files.kind(path).is_some() {
            build.show(path, &Source::Default);
        }
    }
    let proc = FileOp::Proc { dest: super::boxed(Path::new("/proc")) };
    build.step(proc, Opt::Proc, &Source::Default);
    cover_proc(build);
    let dev = FileOp::Dev { dest: super::boxed(Path::new("/dev")) };
    build.step(dev, Opt::Dev, &Source::Default);
    if build.wants(&Intent::Gpu) || build.wants(&Intent::Camera) || build.wants(&Intent::Usb) {
        // Device libraries look their devices up there.
        build.show(Path::new("/sys"), &Source::Default);
    }
}

/// What `/proc` shows of the machine as a whole. A file that is covered by a device cannot be
/// opened: devices do not work there.
fn cover_proc(build: &mut Build<'_>) {
    let hide = |build: &mut Build<'_>, name: &str| {
        let path = Path::new("/proc").join(name);
        if build.files.kind(&path) == Some(Kind::File) {
            build.bind(Path::new("/dev/null"), &path, Access::ReadOnly, &Source::Default);
        }
    };
    // Below a covered procfs the kernel lets nobody mount another, as nested sandboxes do.
    if build.host.uid != 0 && build.wants(&Intent::NestedSandbox) {
        return;
    }
    // Keys are the user's, not a namespace's, and their names tell which services are used.
    for name in ["keys", "key-users"] {
        hide(build, name);
    }
    if build.host.uid != 0 {
        return;
    }
    // These ask for root's number, and not for a capability.
    for name in PROC_SECRETS {
        hide(build, name);
    }
    for name in PROC_SETTINGS {
        let path = Path::new("/proc").join(name);
        if matches!(build.files.kind(&path), Some(Kind::Directory | Kind::File)) {
            build.bind(&path, &path, Access::ReadOnly, &Source::Default);
        }
    }
}

/// The user's own places: a home and a runtime directory, empty but for what an app keeps.
pub(super) fn home(build: &mut Build<'_>) -> Result<(), Refusal> {
    let home = build.host.home.clone();
    match kept(build)? {
        Some((state, State::Overlay, source)) => {
            let layers = vec![HostPath(state.as_os_str().as_bytes().to_vec())];
            let upper = OverlayUpper::Tmp;
            let op = FileOp::Overlay { layers, upper, dest: super::boxed(&home) };
            build.step(op, Opt::TmpOverlay, &source);
        }
        Some((state, _, source)) => build.bind(&state, &home, Access::ReadWrite, &source),
        None if build.request.throwaway && build.files.kind(&home) == Some(Kind::Directory) => {
            build.overlay(&home, &Source::Default);
            build.visible.push(home.clone());
        }
        None => build.tmpfs(&home, 0o700),
    }
    let runtime = format!("/run/user/{}", build.host.uid);
    build.directory(Path::new("/run/user"), 0o755);
    build.directory(Path::new(&runtime), 0o700);
    Ok(())
}

/// The directory that an app keeps as its home, how, and who asked for it.
fn kept(build: &Build<'_>) -> Result<Option<(PathBuf, State, Source)>, Refusal> {
    let asked = |state| {
        let declared = build.declared(&Intent::State(state))?;
        Some((state, declared.source.clone()))
    };
    let Some((how, source)) = asked(State::Overlay).or_else(|| asked(State::Persist)) else {
        return Ok(None);
    };
    match &build.host.state {
        Some(state) => Ok(Some((state.clone(), how, source))),
        None => Err(Refusal::new("only an app has files of its own to keep", &source)
            .hint("swathe app add makes the program an app; swathe run --app ID runs it")),
    }
}

//! The environment: a list of what passes, so that no secret does by default.

use super::build::Build;
use crate::model::Intent;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use swathe_plan::model::EnvOp;

/// Variables that pass. None of them can hold a secret or a way out.
const PASSED: &[&str] = &[
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "COLORFGBG",
    "COLORTERM",
    "COLUMNS",
    "EDITOR",
    "FORCE_COLOR",
    "LANG",
    "LANGUAGE",
    "LESS",
    "LESSCHARSET",
    "LINES",
    "LOGNAME",
    "LS_COLORS",
    "MANPAGER",
    "NO_COLOR",
    "PAGER",
    "SHELL",
    "TERM",
    "TERM_PROGRAM",
    "TZ",
    "USER",
    "VISUAL",
];

/// Variables of tools that only say where they are; they pass when that place is visible.
const PLACES: &[&str] = &[
    "CARGO_HOME",
    "CONDA_PREFIX",
    "GOPATH",
    "GOROOT",
    "JAVA_HOME",
    "NVM_DIR",
    "OPAM_SWITCH_PREFIX",
    "PYENV_ROOT",
    "RUSTUP_HOME",
    "VIRTUAL_ENV",
    "VOLTA_HOME",
];

pub(super) fn add(build: &mut Build<'_>) {
    build.plan.env.push(EnvOp::Clear);
    let host = build.host;
    for (name, value) in &host.env {
        let text = name.to_string_lossy();
        let place = || {
            PLACES.contains(&text.as_ref())
                && build.files.real(Path::new(value)).is_some_and(|real| build.is_visible(&real))
        };
        if PASSED.contains(&text.as_ref()) || text.starts_with("LC_") || place() {
            set(build, &text, value.as_bytes());
        }
    }
    set(build, "HOME", host.home.as_os_str().as_bytes());
    set(build, "USER", host.user.as_bytes());
    set(build, "LOGNAME", host.user.as_bytes());
    let path = path(build);
    set(build, "PATH", path.as_bytes());
    set(build, "XDG_RUNTIME_DIR", format!("/run/user/{}", host.uid).as_bytes());
    set(build, "SWATHE_RUN", build.request.id.clone().as_bytes());
    if build.wants(&Intent::SshAgent)
        && let Some(socket) = host.var("SSH_AUTH_SOCK")
    {
        set(build, "SSH_AUTH_SOCK", socket.as_bytes());
    }
    let policy = build.policy;
    for declared in &policy.intents {
        match &declared.intent {
            Intent::EnvPass(name) => match host.var(name) {
                Some(value) => set(build, name, value.as_bytes()),
                None => build.note(format!("there is no variable {name} to pass")),
            },
            Intent::EnvSet(name, value) => set(build, name, value.as_bytes()),
            _ => {}
        }
    }
}

fn set(build: &mut Build<'_>, name: &str, value: &[u8]) {
    let name = name.as_bytes().to_vec();
    // The last one counts; one entry each keeps what `explain` prints short.
    build.plan.env.retain(|op| !matches!(op, EnvOp::Set { name: known, .. } if *known == name));
    build.plan.env.push(EnvOp::Set { name, value: value.to_vec() });
}

/// The directories of the caller's PATH that are visible or hold something that is, and the usual
/// ones.
fn path(build: &Build<'_>) -> OsString {
    let mut directories: Vec<PathBuf> = Vec::new();
    if let Some(path) = build.host.var("PATH") {
        for directory in std::env::split_paths(path).filter(|d| d.is_absolute()) {
            let holds = |path: &Path| build.visible.iter().any(|shown| shown.starts_with(path));
            let seen = |real: PathBuf| build.is_visible(&real) || holds(&real);
            let visible = holds(&directory) || build.files.real(&directory).is_some_and(seen);
            if visible && !directories.contains(&directory) {
                directories.push(directory);
            }
        }
    }
    for usual in ["/usr/local/bin", "/usr/bin", "/bin", "/usr/local/sbin", "/usr/sbin", "/sbin"] {
        let usual = Path::new(usual);
        if !directories.iter().any(|d| d == usual) {
            directories.push(usual.to_owned());
        }
    }
    // Names with a colon cannot be in PATH; none of these came from anywhere else.
    std::env::join_paths(directories).unwrap_or_else(|_| OsString::from("/usr/bin:/bin"))
}

//! Devices and services of the desktop that an intent opens.

use super::Kind;
use super::build::Build;
use crate::model::{Declared, Intent};
use std::path::{Path, PathBuf};
use swathe_plan::model::Access;

/// The most names of a device directory.
const MAX_NAMES: usize = 512;

pub(super) fn add(build: &mut Build<'_>) {
    let policy = build.policy;
    for declared in &policy.intents {
        match declared.intent {
            Intent::Gpu => {
                devices(build, declared, "/dev", &["nvidia", "kfd", "mali", "dma_heap"]);
                device(build, declared, Path::new("/dev/dri"));
            }
            Intent::Camera => devices(build, declared, "/dev", &["video", "media", "v4l-subdev"]),
            Intent::Usb => device(build, declared, Path::new("/dev/bus/usb")),
            Intent::Gamepad => devices(build, declared, "/dev/input", &["js", "event"]),
            Intent::Kvm => {
                for path in ["/dev/kvm", "/dev/vhost-net", "/dev/vhost-vsock"] {
                    device(build, declared, Path::new(path));
                }
            }
            _ => {}
        }
    }
}

/// Sockets and files of the user's session; after the temporary file systems that cover them.
pub(super) fn session(build: &mut Build<'_>) {
    let policy = build.policy;
    let home = build.host.home.clone();
    for declared in &policy.intents {
        match declared.intent {
            Intent::SshAgent => socket(build, declared, "SSH_AUTH_SOCK", "SSH agent"),
            Intent::GpgAgent => gpg(build, declared),
            Intent::Print => shared(build, declared, Path::new("/run/cups/cups.sock")),
            Intent::Fonts => {
                for name in [".fonts", ".local/share/fonts", ".config/fontconfig"] {
                    shared(build, declared, &home.join(name));
                }
            }
            Intent::Themes => {
                for name in [".themes", ".icons", ".local/share/themes", ".local/share/icons"] {
                    shared(build, declared, &home.join(name));
                }
            }
            _ => {}
        }
    }
}

fn device(build: &mut Build<'_>, declared: &Declared, path: &Path) {
    if build.files.kind(path).is_some() {
        build.bind(path, path, Access::Device, &declared.source);
    }
}

fn devices(build: &mut Build<'_>, declared: &Declared, directory: &str, prefixes: &[&str]) {
    let directory = PathBuf::from(directory);
    let mut names = build.files.list(&directory, MAX_NAMES);
    names.sort();
    for name in names {
        let text = name.to_string_lossy().into_owned();
        if prefixes.iter().any(|prefix| text.starts_with(prefix)) {
            device(build, declared, &directory.join(&name));
        }
    }
}

/// A file or directory of the host at its own place, where it exists.
fn shared(build: &mut Build<'_>, declared: &Declared, path: &Path) {
    if let Some(real) = build.files.real(path) {
        build.bind(&real, path, Access::ReadOnly, &declared.source);
    }
}

/// A socket that a variable names. A read-only bind can be connected to.
fn socket(build: &mut Build<'_>, declared: &Declared, variable: &str, what: &str) {
    let path = build.host.var(variable).map(PathBuf::from).filter(|path| path.is_absolute());
    // No directory, and no file: the variable may come from anywhere.
    let is_socket = |real: &PathBuf| build.files.kind(real) == Some(Kind::Other);
    match path.and_then(|path| build.files.real(&path).filter(is_socket).map(|r| (path, r))) {
        Some((path, real)) => build.bind(&real, &path, Access::ReadOnly, &declared.source),
        None => build.note(format!("there is no {what} to share: {variable} names no socket")),
    }
}

fn gpg(build: &mut Build<'_>, declared: &Declared) {
    let runtime = PathBuf::from(format!("/run/user/{}/gnupg", build.host.uid));
    let home = build.host.home.join(".gnupg");
    let places = [runtime.join("S.gpg-agent"), home.join("S.gpg-agent")];
    let found: Vec<_> = places.into_iter().filter(|p| build.files.kind(p).is_some()).collect();
    if found.is_empty() {
        build.note("there is no GnuPG agent to share");
    }
    for path in found {
        shared(build, declared, &path);
    }
    for name in ["pubring.kbx", "trustdb.gpg", "gpg.conf"] {
        shared(build, declared, &home.join(name));
    }
}

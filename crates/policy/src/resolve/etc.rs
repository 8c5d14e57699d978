//! A small `/etc`: what programs look up there, and nothing of the host's own set-up.

use super::Kind;
use super::build::Build;
use super::network::{self, Reach};
use crate::merge::is_whole;
use crate::model::Source;
use std::path::Path;
use swathe_netrules::fixed;

/// Shown as they are on the host, where they exist. None of these holds a secret that this user can
/// read; private keys are in directories that are not listed.
const SHOWN: &[&str] = &[
    "/etc/alternatives",
    "/etc/bash.bashrc",
    "/etc/bash_completion.d",
    "/etc/bashrc",
    "/etc/ca-certificates",
    "/etc/ca-certificates.conf",
    "/etc/crypto-policies",
    "/etc/debian_version",
    "/etc/emacs",
    "/etc/fish",
    "/etc/fonts",
    "/etc/gai.conf",
    "/etc/gitconfig",
    "/etc/glvnd",
    "/etc/gtk-2.0",
    "/etc/gtk-3.0",
    "/etc/host.conf",
    "/etc/inputrc",
    "/etc/java",
    "/etc/ld-musl-aarch64.path",
    "/etc/ld-musl-x86_64.d",
    "/etc/ld-musl-x86_64.path",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/locale.alias",
    "/etc/locale.conf",
    "/etc/lsb-release",
    "/etc/lynx",
    "/etc/magic",
    "/etc/magic.mime",
    "/etc/mailcap",
    "/etc/manpath.config",
    "/etc/maven",
    "/etc/mime.types",
    "/etc/nanorc",
    "/etc/os-release",
    "/etc/papersize",
    "/etc/perl",
    "/etc/php",
    "/etc/pki/ca-trust/extracted",
    "/etc/pki/tls/cert.pem",
    "/etc/pki/tls/certs",
    "/etc/pki/tls/openssl.cnf",
    "/etc/profile",
    "/etc/profile.d",
    "/etc/protocols",
    "/etc/python2.7",
    "/etc/python3",
    "/etc/redhat-release",
    "/etc/rpc",
    "/etc/services",
    "/etc/shells",
    "/etc/skel",
    "/etc/ssl/cert.pem",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/static",
    "/etc/terminfo",
    "/etc/tmux.conf",
    "/etc/vim",
    "/etc/vimrc",
    "/etc/virc",
    "/etc/wgetrc",
    "/etc/xdg",
    "/etc/zsh",
    "/etc/zshenv",
    "/etc/zshrc",
];

/// Versions are part of these names.
const SHOWN_PREFIXES: &[&str] = &["java-", "python3.", "lua5", "php"];

/// The most names of `/etc` that are looked at.
const MAX_NAMES: usize = 4096;

/// How long a link's chain may be.
const MAX_ZONE: usize = 256;

pub(super) fn add(build: &mut Build<'_>) {
    let etc = Path::new("/etc");
    build.directory(etc, 0o755);
    for path in SHOWN.iter().map(Path::new) {
        show(build, path);
    }
    let mut names = build.files.list(etc, MAX_NAMES);
    names.sort();
    for name in names {
        let text = name.to_string_lossy();
        if SHOWN_PREFIXES.iter().any(|prefix| text.starts_with(prefix)) {
            show(build, &etc.join(&name));
        }
    }
    accounts(build);
    time_zone(build);
    names_of_hosts(build);
    build.symlink(Path::new("/proc/self/mounts"), Path::new("/etc/mtab"));
}

/// A link is made again where it leads to something visible, so that it still is one.
fn show(build: &mut Build<'_>, path: &Path) {
    match build.files.kind(path) {
        Some(Kind::Link) => {
            let (Some(target), Some(real)) = (build.files.link(path), build.files.real(path))
            else {
                return;
            };
            if build.is_visible(&real) {
                build.symlink(&target, path);
            } else {
                build.bind(&real, path, swathe_plan::model::Access::ReadOnly, &Source::Default);
            }
        }
        Some(Kind::Directory | Kind::File) => build.show(path, &Source::Default),
        _ => {}
    }
}

/// The user, root and nobody; the names of the host's other users are not the program's business.
fn accounts(build: &mut Build<'_>) {
    let host = build.host;
    let (user, uid, gid) = (&host.user, host.uid, host.gid);
    let home = host.home.display();
    let shell = "/bin/sh";
    let mut passwd = String::new();
    let mut group = String::new();
    if uid != 0 {
        passwd.push_str(&format!("root:x:0:0:root:/root:{shell}\n"));
    }
    passwd.push_str(&format!("{user}:x:{uid}:{gid}:{user}:{home}:{shell}\n"));
    passwd.push_str("nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n");
    if gid != 0 {
        group.push_str("root:x:0:\n");
    }
    group.push_str(&format!("{user}:x:{gid}:\ntty:x:5:\nnogroup:x:65534:\n"));
    build.file(Path::new("/etc/passwd"), passwd, 0o644);
    build.file(Path::new("/etc/group"), group, 0o644);
}

fn time_zone(build: &mut Build<'_>) {
    let path = Path::new("/etc/localtime");
    if let Some(target) = build.files.link(path) {
        if build.files.real(path).is_some_and(|real| build.is_visible(&real)) {
            build.symlink(&target, path);
            if let Some(zone) = build.files.read(Path::new("/etc/timezone"), MAX_ZONE) {
                build.file(Path::new("/etc/timezone"), zone, 0o644);
            }
        }
    } else if build.files.kind(path) == Some(Kind::File) {
        build.show(path, &Source::Default);
    }
}

fn names_of_hosts(build: &mut Build<'_>) {
    build.file(Path::new("/etc/hosts"), fixed::HOSTS, 0o644);
    build.file(Path::new("/etc/hostname"), format!("{}\n", fixed::HOST_NAME), 0o644);
    let reach = network::reach(build);
    let hosts = match reach {
        Reach::Rules | Reach::Host => fixed::NSSWITCH_HOSTS,
        Reach::None | Reach::Loopback => "files",
    };
    build.file(Path::new("/etc/nsswitch.conf"), nsswitch(hosts), 0o644);
    let path = Path::new("/etc/resolv.conf");
    if reach == Reach::Rules {
        build.file(path, fixed::RESOLV_CONF, 0o644);
    }
    let whole = build.policy.intents.iter().find(|declared| is_whole(&declared.intent));
    let Some(declared) = whole.filter(|_| reach == Reach::Host) else { return };
    if let Some(text) = &build.request.bridge {
        build.file(path, text.clone(), 0o644);
        return;
    }
    if let Some(real) = build.files.real(path) {
        build.bind(&real, path, swathe_plan::model::Access::ReadOnly, &declared.source);
    }
}

fn nsswitch(hosts: &str) -> String {
    format!(
        "passwd: files\ngroup: files\nshadow: files\nhosts: {hosts}\nnetworks: files\nprotocols: files\nservices: files\nethers: files\nrpc: files\n"
    )
}

//! What belongs to the user and to the machine: secrets, names, sockets of the session.

use crate::check::facts::Facts;
use crate::check::probe::{
    Class, Finding, Layer, Probe, absent, any, closed, open, probe, tried, words,
};
use std::path::Path;

use Class::{Escape, Leak};
use Layer::{Launcher, Mount, Namespace};

pub const PROBES: &[Probe] = &[
    probe("home-ssh", Leak, Mount, "read keys and settings in ~/.ssh", |f| read(f, "ssh")),
    probe("home-gnupg", Leak, Mount, "read keys in ~/.gnupg", |f| read(f, "gnupg")),
    probe("home-cloud", Leak, Mount, "read credentials of cloud services", |f| read(f, "cloud")),
    probe("home-tokens", Leak, Mount, "read tokens of tools, such as ~/.netrc", |f| {
        read(f, "tokens")
    }),
    probe("home-agents", Leak, Mount, "read settings of coding agents", |f| read(f, "agents")),
    probe("home-passwords", Leak, Mount, "read password stores", |f| read(f, "passwords")),
    probe("home-browser", Leak, Mount, "read profiles of browsers and mail", |f| {
        read(f, "browser")
    }),
    probe("home-history", Leak, Mount, "read histories of shells and programs", |f| {
        read(f, "history")
    }),
    probe("home-start", Escape, Mount, "write start-up files of the shell", |f| write(f, "start")),
    probe("home-itself", Escape, Mount, "write in the home directory", home),
    probe("others-home", Leak, Mount, "list home directories", |f| list(f, "homes")),
    probe("canary-read", Leak, Mount, "read a file that only its owner may", |f| {
        search(f, &f.outside.join("secret"))
    }),
    probe("canary-write", Escape, Mount, "write to that file", |f| {
        tried(std::fs::OpenOptions::new().write(true).open(f.outside.join("target")))
    }),
    probe("canary-create", Escape, Mount, "make a file beside it", |f| {
        tried(std::fs::write(f.outside.join("created"), f.secret()))
    })
    .seen("outside/created"),
    probe("env-canary", Leak, Launcher, "read a made-up secret in the environment", |f| {
        variables(f, &["SWATHE_CANARY_TOKEN"])
    }),
    probe("env-secrets", Leak, Launcher, "read secrets with usual names there", |f| {
        variables(f, super::super::stage::SECRETS)
    }),
    probe("shadow", Leak, Mount, "read /etc/shadow", |_| readable("/etc/shadow")),
    probe("host-keys", Leak, Mount, "read private keys in /etc", |f| read(f, "host-keys")),
    probe("logs", Leak, Mount, "read /var/log", |f| list(f, "logs")),
    probe("spool", Leak, Mount, "list mail, jobs and data of services", |f| list(f, "services")),
    probe("machine-id", Leak, Mount, "read the machine's id", machine_id),
    probe("hardware-id", Leak, Mount, "read serial numbers below /sys", |f| read(f, "hardware")),
    probe("sysfs", Leak, Mount, "list the machine's devices in /sys", |f| list(f, "sysfs")),
    probe("host-name", Leak, Namespace, "read the machine's name", host_name),
    probe("host-name-file", Leak, Mount, "read the machine's name in /etc", |f| {
        match std::fs::read_to_string("/etc/hostname") {
            Ok(text) if text.trim() == f.host_name => open("it is the host's"),
            Ok(_) => closed("another name"),
            Err(e) if f.inside => closed(words(e)),
            Err(e) => absent(words(e)),
        }
    }),
];

/// Whether any of the host's files or directories of a kind can be read.
fn read(facts: &Facts, kind: &str) -> Finding {
    any(facts.places(kind).iter().map(readable))
}

fn readable(path: impl AsRef<Path>) -> Finding {
    let path = path.as_ref();
    let tried = match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => std::fs::read_dir(path).map(|mut names| names.any(|_| true)),
        // A device or FIFO would wait.
        Ok(found) if found.is_file() => std::fs::File::open(path).and_then(|mut file| {
            use std::io::Read as _;
            file.read(&mut [0; 16]).map(|read| read > 0)
        }),
        Ok(_) => Ok(false),
        Err(e) => Err(e),
    };
    match tried {
        Ok(true) => open(path.display().to_string()),
        Ok(false) => closed("empty"),
        Err(e) => closed(words(e)),
    }
}

/// Only directories whose inode is known: one of that name may be there for what a sandbox has
/// below it.
fn list(facts: &Facts, kind: &str) -> Finding {
    any(facts.places(kind).iter().filter_map(|path| match facts.is_the_hosts(path)? {
        false => Some(closed("not the host's directory")),
        true => Some(readable(path)),
    }))
}

fn write(facts: &Facts, kind: &str) -> Finding {
    any(facts.places(kind).iter().map(|path| {
        // Opened and closed: nothing is changed.
        match std::fs::OpenOptions::new().write(true).open(path) {
            Ok(_) => open(path.display().to_string()),
            Err(e) => closed(words(e)),
        }
    }))
}

fn home(facts: &Facts) -> Finding {
    match facts.is_the_hosts(&facts.home) {
        None => absent("there is no home directory"),
        Some(false) => closed("not the host's directory"),
        Some(true) => tried(rustix::fs::access(&facts.home, rustix::fs::Access::WRITE_OK)),
    }
}

fn search(facts: &Facts, path: &Path) -> Finding {
    match facts.is_in_file(path) {
        Ok(true) => open(path.display().to_string()),
        Ok(false) => closed("another file"),
        Err(e) => closed(words(e)),
    }
}

fn variables(facts: &Facts, names: &[&str]) -> Finding {
    let found = names.iter().find(|name| {
        std::env::var_os(name).is_some_and(|value| facts.is_in(value.as_encoded_bytes()))
    });
    found.map_or_else(|| closed("not passed on"), |name| open(*name))
}

fn machine_id(facts: &Facts) -> Finding {
    if facts.machine_id.is_empty() {
        return absent("this machine has none");
    }
    any(["/etc/machine-id", "/var/lib/dbus/machine-id"].map(|path| {
        match std::fs::read_to_string(path) {
            Ok(text) if text.trim() == facts.machine_id => open(path),
            Ok(_) => closed("another id"),
            Err(e) => closed(words(e)),
        }
    }))
}

fn host_name(facts: &Facts) -> Finding {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    if name == facts.host_name { open("it is the host's") } else { closed("another name") }
}

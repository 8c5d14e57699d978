//! What a program was probably doing.

use crate::paths::Environment;
use std::path::Path;
use swathe_record::bytes::Bytes;
use swathe_record::event::Action;

/// Paths below the home directory, and what they are to programs.
const HOME: &[(&str, &str)] = &[
    (".ssh", "SSH keys, settings and known hosts"),
    (".gnupg", "GnuPG's keys"),
    (".aws", "the credentials of AWS"),
    (".azure", "the credentials of Azure"),
    (".kube", "the credentials of Kubernetes"),
    (".docker", "Docker's settings and credentials"),
    (".config/gcloud", "the credentials of Google Cloud"),
    (".config/gh", "the credentials of the GitHub CLI"),
    (".config/git", "git's settings"),
    (".gitconfig", "git's settings"),
    (".git-credentials", "git's stored passwords"),
    (".netrc", "stored passwords of hosts"),
    (".npmrc", "npm's settings and token"),
    (".npm", "npm's cache"),
    (".nvm", "Node.js and its tools"),
    (".yarnrc", "Yarn's settings"),
    (".pypirc", "PyPI's credentials"),
    (".config/pip", "pip's settings"),
    (".local/lib/python", "Python packages of the user"),
    (".pyenv", "Pythons of the user"),
    (".cargo/registry", "cargo's downloaded packages"),
    (".cargo/credentials", "cargo's token"),
    (".cargo", "cargo and its tools"),
    (".rustup", "Rust toolchains"),
    (".gradle", "Gradle's cache and settings"),
    (".m2", "Maven's repository"),
    (".local/bin", "programs of the user"),
    (".local/share/keyrings", "the keyring"),
    (".mozilla", "Firefox's profile"),
    (".cache", "a cache"),
    (".config", "settings"),
    (".local/state", "state that it keeps"),
    (".local/share", "data that it keeps"),
    (".bash_history", "the history of commands"),
    (".viminfo", "vim's history"),
];

/// Sockets by a part of their path.
const SOCKETS: &[(&str, &str)] = &[
    ("docker.sock", "talk to Docker"),
    ("podman", "talk to Podman"),
    ("containerd", "talk to containerd"),
    ("gpg-agent.ssh", "sign with keys of the SSH agent"),
    ("gpg-agent", "sign or decrypt with the GnuPG agent"),
    ("keyring/ssh", "sign with keys of the SSH agent"),
    ("agent", "sign with keys of the SSH agent"),
    ("system_bus_socket", "talk to services of the system bus"),
    ("/bus", "talk to services of the session bus"),
    ("wayland", "show a window"),
    (".X11-unix", "show a window"),
    ("cups", "print"),
    ("pulse", "play or record sound"),
    ("pipewire", "play or record sound, or share the screen"),
    ("nscd", "look up users and hosts"),
    ("systemd/journal", "write to the system's log"),
    ("dev/log", "write to the system's log"),
    ("systemd/resolve", "resolve a host name"),
    ("PGSQL", "talk to PostgreSQL"),
    ("mysqld", "talk to MySQL"),
];

/// Devices.
const DEVICES: &[(&str, &str)] = &[
    ("dri", "use the graphics card"),
    ("nvidia", "use the graphics card"),
    ("kvm", "run a virtual machine"),
    ("video", "use a camera"),
    ("bus/usb", "use a USB device"),
    ("hidraw", "use an input device or a security key"),
    ("input", "read input devices"),
    ("snd", "play or record sound"),
    ("fuse", "mount a file system of its own"),
    ("net/tun", "make a network interface"),
    ("mem", "read the machine's memory"),
];

/// A verb and what follows.
pub fn purpose(action: Action, object: &Bytes, env: &Environment) -> String {
    let text = object.to_string();
    let known = |table: &[(&str, &'static str)]| {
        table.iter().find(|(part, _)| text.contains(part)).map(|(_, what)| (*what).to_owned())
    };
    match action {
        Action::Connect | Action::Bind if text.starts_with("unix:") => {
            return known(SOCKETS).unwrap_or_else(|| match action {
                Action::Bind => "offer a socket to other programs".to_owned(),
                _ => "talk to another program".to_owned(),
            });
        }
        Action::Connect if text.starts_with("dns:") => return "resolve a host name".to_owned(),
        Action::Connect if text.starts_with("echo:") => return "ping a host".to_owned(),
        Action::Connect => return address(&text),
        Action::Bind => return "offer a service on the network".to_owned(),
        Action::Call => return call(&text),
        _ => {}
    }
    let path = object.as_path();
    if let Ok(below) = path.strip_prefix("/dev") {
        let below = below.to_string_lossy();
        let device = DEVICES.iter().find(|(name, _)| below.starts_with(name));
        return device.map_or("use a device", |(_, what)| what).to_owned();
    }
    let what = home(path, env).map(str::to_owned);
    match action {
        Action::Execute => {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
            format!("run the program {}", Bytes(name.unwrap_or_default().into_bytes()))
        }
        Action::Stat | Action::Read => match what {
            Some(what) => format!("read {what}"),
            None => "read it".to_owned(),
        },
        Action::Remove => "remove it".to_owned(),
        Action::Rename => "save a file by renaming a new one over it, or move it".to_owned(),
        Action::Truncate if path.starts_with(&env.cwd) => {
            "overwrite a file in the working directory".to_owned()
        }
        Action::Truncate => "overwrite a file".to_owned(),
        Action::Metadata => "change its mode, owner or times".to_owned(),
        _ => match what {
            Some(what) => format!("write {what}"),
            None if path.starts_with(&env.cwd) => "write in the working directory".to_owned(),
            None => "write it".to_owned(),
        },
    }
}

fn home(path: &Path, env: &Environment) -> Option<&'static str> {
    let below = path.strip_prefix(&env.home).ok()?.to_str()?;
    let fits = |name: &str| {
        below.strip_prefix(name).is_some_and(|rest| !rest.starts_with(char::is_alphabetic))
    };
    HOME.iter().find(|(name, _)| fits(name)).map(|(_, what)| *what)
}

pub fn address(text: &str) -> String {
    let port = text.rsplit(':').next().unwrap_or_default();
    match port {
        "53" => "resolve a host name",
        "80" | "443" | "8080" | "8443" => "reach a web server",
        "22" => "log in by SSH, or fetch by git over SSH",
        "9418" => "fetch by git",
        "5432" => "talk to PostgreSQL",
        "3306" => "talk to MySQL",
        "6379" => "talk to Redis",
        "25" | "465" | "587" => "send mail",
        "123" => "ask for the time",
        _ => "reach a host",
    }
    .to_owned()
}

fn call(name: &str) -> String {
    match name {
        "ptrace" | "process_vm_readv" | "process_vm_writev" | "kcmp" => {
            "trace another process, as debuggers do".to_owned()
        }
        "unshare" | "setns" | "clone" | "clone3" | "mount" | "umount2" | "pivot_root"
        | "chroot" | "open_tree" | "move_mount" | "fsopen" | "fsmount" => {
            "make a sandbox or container of its own".to_owned()
        }
        "io_uring_setup" | "io_uring_enter" | "io_uring_register" => {
            "do input and output by io_uring".to_owned()
        }
        "bpf" | "perf_event_open" => "measure or trace the kernel".to_owned(),
        "keyctl" | "add_key" | "request_key" => "use the kernel's keyring".to_owned(),
        "socket" => "open a socket".to_owned(),
        "personality" | "modify_ldt" => "run a program of another architecture".to_owned(),
        _ => format!("make the system call {}", Bytes(name.as_bytes().to_vec())),
    }
}

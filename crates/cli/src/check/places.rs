//! What this host really has that a sandbox should not show. Only names are looked at.

use std::collections::BTreeMap;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

/// The most of one kind that probes try.
const MAX_PLACES: usize = 64;
/// The most names of a directory that are looked at.
const MAX_NAMES: usize = 256;

/// Below the home directory, by kind.
const HOME: &[(&str, &[&str])] = &[
    ("ssh", &[".ssh"]),
    ("gnupg", &[".gnupg", ".gnupg/private-keys-v1.d"]),
    (
        "cloud",
        &[
            ".aws",
            ".azure",
            ".boto",
            ".config/doctl",
            ".config/gcloud",
            ".config/hcloud",
            ".config/rclone",
            ".docker",
            ".kube",
            ".oci",
            ".s3cfg",
            ".terraform.d",
        ],
    ),
    (
        "tokens",
        &[
            ".cargo/credentials",
            ".cargo/credentials.toml",
            ".config/gh",
            ".config/git/credentials",
            ".config/glab-cli",
            ".config/hub",
            ".config/pip",
            ".gem/credentials",
            ".git-credentials",
            ".gradle/gradle.properties",
            ".m2/settings.xml",
            ".my.cnf",
            ".netrc",
            ".npmrc",
            ".pgpass",
            ".pypirc",
            ".vault-token",
            ".yarnrc.yml",
        ],
    ),
    (
        "agents",
        &[".claude", ".claude.json", ".codex", ".config/github-copilot", ".cursor", ".gemini"],
    ),
    (
        "passwords",
        &[
            ".config/Bitwarden",
            ".config/keepassxc",
            ".config/op",
            ".local/share/keyrings",
            ".local/share/kwalletd",
            ".password-store",
        ],
    ),
    (
        "browser",
        &[
            ".config/BraveSoftware",
            ".config/chromium",
            ".config/google-chrome",
            ".mozilla",
            ".thunderbird",
        ],
    ),
    (
        "history",
        &[
            ".bash_history",
            ".lesshst",
            ".local/share/fish/fish_history",
            ".mysql_history",
            ".node_repl_history",
            ".psql_history",
            ".python_history",
            ".viminfo",
            ".zsh_history",
        ],
    ),
    (
        "start",
        &[
            ".bash_profile",
            ".bashrc",
            ".config/fish/config.fish",
            ".profile",
            ".zprofile",
            ".zshenv",
            ".zshrc",
        ],
    ),
];

/// Of the machine, by kind.
const MACHINE: &[(&str, &[&str])] = &[
    ("homes", &["/home", "/root"]),
    ("logs", &["/var/log", "/var/log/journal"]),
    ("services", &["/media", "/mnt", "/srv", "/var/lib", "/var/mail", "/var/spool"]),
    ("sysfs", &["/sys/block", "/sys/bus", "/sys/class", "/sys/devices"]),
    (
        "hardware",
        &[
            "/sys/class/dmi/id/board_serial",
            "/sys/class/dmi/id/product_name",
            "/sys/class/dmi/id/product_serial",
            "/sys/class/dmi/id/product_uuid",
        ],
    ),
    ("host-keys", &["/etc/ssh", "/etc/ssl/private", "/etc/letsencrypt", "/etc/pki/tls/private"]),
    ("system-bus", &["/run/dbus/system_bus_socket"]),
    (
        "containers",
        &[
            "/run/containerd/containerd.sock",
            "/run/crio/crio.sock",
            "/run/docker.sock",
            "/run/libvirt/libvirt-sock",
            "/run/podman/podman.sock",
            "/run/snapd.socket",
            "/var/run/docker.sock",
        ],
    ),
];

/// In the user's runtime directory, by kind.
const RUNTIME: &[(&str, &[&str])] = &[
    ("session-bus", &["bus"]),
    ("containers", &["docker.sock", "podman/podman.sock"]),
    ("display", &["wayland-0", "wayland-1"]),
    ("agents-of-keys", &["gnupg", "keyring", "openssh_agent", "ssh-agent.socket"]),
    ("sound", &["pipewire-0", "pulse/native"]),
];

/// Directories that probes compare with the host's own.
const COMPARED: [&str; 25] = [
    "/",
    "/sys/block",
    "/sys/bus",
    "/var/log/journal",
    "/boot",
    "/dev",
    "/dev/shm",
    "/etc",
    "/home",
    "/media",
    "/mnt",
    "/opt",
    "/root",
    "/run",
    "/srv",
    "/sys/class",
    "/tmp",
    "/usr",
    "/var",
    "/var/lib",
    "/var/log",
    "/var/mail",
    "/var/spool",
    "/var/tmp",
    "/sys/devices",
];

/// What exists, by kind. Paths that are not UTF-8 are left out. `own`: the check's directory.
pub fn find(home: &Path, own: &Path) -> BTreeMap<String, Vec<PathBuf>> {
    let mut found: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    let mut add = |kind: &str, path: PathBuf| {
        let list = found.entry(kind.to_owned()).or_default();
        if list.len() < MAX_PLACES && path.to_str().is_some() && !list.contains(&path) {
            list.push(path);
        }
    };
    let uid = rustix::process::getuid().as_raw();
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let standard = PathBuf::from(format!("/run/user/{uid}"));
    let runtimes: Vec<PathBuf> =
        runtime.into_iter().filter(|path| path.is_absolute()).chain([standard]).collect();
    let bases = [(HOME, vec![home.to_owned()]), (MACHINE, vec!["/".into()]), (RUNTIME, runtimes)];
    for (kinds, bases) in &bases {
        for (kind, paths) in *kinds {
            for path in paths.iter().flat_map(|path| bases.iter().map(move |b| b.join(path))) {
                if path.symlink_metadata().is_ok() {
                    for name in names(&path) {
                        add(kind, path.join(name));
                    }
                    add(kind, path);
                }
            }
        }
    }
    if let Some(agent) = std::env::var_os("SSH_AUTH_SOCK").map(PathBuf::from) {
        add("agents-of-keys", agent);
    }
    for name in names(Path::new("/tmp/.X11-unix")) {
        add("display", Path::new("/tmp/.X11-unix").join(name));
    }
    add("canary-socket", own.join("outside/socket"));
    for base in
        bases[2].1.iter().map(PathBuf::as_path).chain([home, Path::new("/run"), Path::new("/tmp")])
    {
        for path in sockets(base) {
            add("sockets", path);
        }
    }
    found
}

/// Device and inode of the directories that probes compare, and of the home directory.
pub fn inodes(home: &Path) -> Vec<(PathBuf, u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    let paths = COMPARED.iter().map(Path::new).chain([home]);
    paths
        .filter_map(|path| {
            let found = std::fs::metadata(path).ok()?;
            path.to_str()?;
            Some((path.to_owned(), found.dev(), found.ino()))
        })
        .collect()
}

fn names(directory: &Path) -> Vec<std::ffi::OsString> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.take(MAX_NAMES).map(|entry| entry.file_name()).collect();
    names.sort();
    names
}

/// Sockets in a directory and in those right below it.
fn sockets(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for name in names(directory) {
        let path = directory.join(name);
        let Ok(kind) = path.symlink_metadata().map(|m| m.file_type()) else { continue };
        if kind.is_socket() {
            found.push(path);
        } else if kind.is_dir() {
            let below = names(&path).into_iter().map(|name| path.join(name));
            found.extend(
                below.filter(|path| {
                    path.symlink_metadata().is_ok_and(|m| m.file_type().is_socket())
                }),
            );
        }
    }
    found
}

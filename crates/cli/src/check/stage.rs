//! The outside of a check: what is planted there, and what became of it.
//!
//! Everything that probes could change is the check's own: a directory, sockets, a segment of
//! shared memory, a queue, a key, a process. It is removed with the [`Stage`].

use super::answering::Answering;
use super::facts::Facts;
use super::places;
use crate::out::Failure;
use std::ffi::CString;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, symlink};
use std::os::unix::net::{SocketAddr, UnixListener};
use std::path::{Path, PathBuf};
use swathe_sys::probe as calls;

/// Variables that hold the planted secret in the caller's environment.
pub const SECRETS: &[&str] = &[
    "ANTHROPIC_API_KEY",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "DATABASE_URL",
    "GH_TOKEN",
    "GITHUB_TOKEN",
    "NPM_TOKEN",
    "OPENAI_API_KEY",
    "PGPASSWORD",
    "SECRET_KEY",
    "VAULT_TOKEN",
];

/// Files of the directory that stands for a working directory.
const WORK: &[&str] = &[
    ".claude/settings.json",
    ".git/HEAD",
    ".git/config",
    ".git/hooks/post-commit",
    ".git/hooks/post-merge",
    ".git/hooks/post-rewrite",
    ".git/modules/sub/HEAD",
    ".git/modules/sub/config",
    ".git/modules/sub/hooks/post-commit",
    ".git/objects/info/packs",
    ".git/refs/heads/main",
    ".idea/workspace.xml",
];

/// The deepest that effects are looked for, and the most files.
const DEPTH: usize = 6;
const MAX_FILES: usize = 4096;

/// What was planted.
pub struct Stage {
    /// What probes are told.
    pub facts: Facts,
    directory: PathBuf,
    /// Left open for whoever is started, on purpose.
    pub leaked: OwnedFd,
    // Held for as long as somebody may try to connect.
    _sockets: (Answering, UnixListener, UnixListener),
    memory: Option<i32>,
    key: Option<i32>,
}

impl Stage {
    /// Plants everything. `inside`: for the sandbox, and not for the control.
    pub fn new(home: &Path, inside: bool, writable: bool) -> Result<Self, Failure> {
        let random = random()?;
        let (token, name) =
            (format!("canary-{}", &random[..24]), format!("swathe-check-{}", &random[24..40]));
        let directory = std::env::temp_dir()
            .canonicalize()
            .map_err(|e| cannot("find the temporary directory", &e))?
            .join(&name);
        if directory.to_str().is_none() {
            return Err(Failure::new("the path of the temporary directory is not UTF-8"));
        }
        DirBuilder::new()
            .mode(0o700)
            .create(&directory)
            .map_err(|e| cannot(&format!("make {}", directory.display()), &e))?;
        let planted = plant(&directory, &token).and_then(|()| listen(&directory, &name, &token));
        let sockets = match planted {
            Ok(planted) => planted,
            Err(e) => {
                drop(std::fs::remove_dir_all(&directory));
                return Err(cannot(&format!("plant files in {}", directory.display()), &e));
            }
        };
        let outside = directory.join("outside");
        let leaked: OwnedFd = File::open(&outside)
            .map_err(|e| cannot(&format!("open {}", outside.display()), &e))?
            .into();
        let c_name = CString::new(name.as_str()).unwrap_or_default();
        let shm_key = i32::from_str_radix(&random[40..47], 16).unwrap_or(1);
        let memory = calls::shared_memory(shm_key, true).ok();
        let queue = calls::message_queue(&c_name, true).is_ok();
        let key = calls::add_key(&c_name, token.as_bytes()).ok();
        let mut shm = OpenOptions::new();
        let shm = shm.write(true).create_new(true).mode(0o600).open(format!("/dev/shm/{name}"));
        // Where the machine has none, the probe says so.
        drop(shm.and_then(|mut file| file.write_all(token.as_bytes())));
        let handle = CString::new(outside.join("secret").as_os_str().as_bytes())
            .ok()
            .and_then(|path| calls::file_handle(&path).ok());
        let work = directory.join("work");
        let scratch = match (inside, writable) {
            (false, _) => directory.join("scratch"),
            (true, true) => work.clone(),
            (true, false) => "/tmp".into(),
        };
        let facts = Facts {
            inside,
            token: token.chars().rev().collect(),
            work,
            shown: directory.join("shown"),
            leaked: std::fs::metadata(&outside)
                .map(|m| vec![(m.dev(), m.ino())])
                .unwrap_or_default(),
            outside,
            scratch,
            abstract_name: name.clone(),
            port: sockets.0.port,
            own: sockets.0.own,
            own_datagrams: sockets.0.datagrams,
            shm_key: if memory.is_some() { shm_key } else { 0 },
            name,
            has_key: key.is_some(),
            has_queue: queue,
            handle: handle.unwrap_or_default(),
            places: places::find(home, &directory),
            inodes: places::inodes(home),
            ..machine(home)
        };
        Ok(Self { facts, directory, leaked, _sockets: sockets, memory, key })
    }

    /// A path of the stage's own.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Whether a file whose path ends so now holds the secret.
    pub fn has_effect(&self, suffix: &str) -> bool {
        let mut left = MAX_FILES;
        self.search(&self.directory, suffix, 0, &mut left)
    }

    fn search(&self, directory: &Path, suffix: &str, depth: usize, left: &mut usize) -> bool {
        let Ok(entries) = std::fs::read_dir(directory) else { return false };
        for entry in entries.flatten() {
            if *left == 0 {
                return false;
            }
            *left -= 1;
            let path = entry.path();
            let Ok(kind) = entry.file_type() else { continue };
            let found = if kind.is_dir() && depth < DEPTH {
                self.search(&path, suffix, depth + 1, left)
            } else {
                kind.is_file()
                    && path.as_os_str().as_bytes().ends_with(suffix.as_bytes())
                    && self.facts.is_in_file(&path).unwrap_or(false)
            };
            if found {
                return true;
            }
        }
        false
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Each may be gone, or never have been there.
        drop(std::fs::remove_dir_all(&self.directory));
        drop(std::fs::remove_file(format!("/dev/shm/{}", self.facts.name)));
        if let Ok(name) = CString::new(self.facts.name.as_str()) {
            let _ = calls::remove_message_queue(&name);
        }
        self.memory.map(calls::remove_shared_memory);
        self.key.map(calls::remove_key);
    }
}

fn cannot(what: &str, error: &std::io::Error) -> Failure {
    Failure::new(format!("cannot {what}: {error}"))
}

/// Sixty-four random hexadecimal digits.
fn random() -> Result<String, Failure> {
    let mut bytes = [0; 32];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|e| cannot("read /dev/urandom", &e))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn plant(directory: &Path, token: &str) -> std::io::Result<()> {
    let write = |name: &str, text: &str| {
        let path = directory.join(name);
        std::fs::create_dir_all(path.parent().unwrap_or(directory))?;
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600).open(path)?.write_all(text.as_bytes())
    };
    for name in WORK {
        write(&format!("work/{name}"), "\n")?;
    }
    for name in ["shown/file", "shown/spare", "shown/other", "outside/target", "input"] {
        write(name, "\n")?;
    }
    write("outside/secret", token)?;
    std::fs::create_dir(directory.join("scratch"))?;
    symlink("../outside/secret", directory.join("shown/link"))
}

type Listening = (Answering, UnixListener, UnixListener);

fn listen(directory: &Path, name: &str, token: &str) -> std::io::Result<Listening> {
    let answering = Answering::start(token.to_owned())?;
    let abstract_socket = UnixListener::bind_addr(&SocketAddr::from_abstract_name(name)?)?;
    let path = UnixListener::bind(directory.join("outside/socket"))?;
    Ok((answering, abstract_socket, path))
}

/// What is not planted.
fn machine(home: &Path) -> Facts {
    let info = rustix::system::sysinfo();
    let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    Facts {
        host_name: rustix::system::uname().nodename().to_string_lossy().into_owned(),
        machine_id: text("/etc/machine-id"),
        home: home.to_owned(),
        processes: rustix::process::getrlimit(rustix::process::Resource::Nproc).maximum,
        inotify: text("/proc/sys/fs/inotify/max_user_instances").parse().unwrap_or(0),
        memory: info.totalram.saturating_mul(u64::from(info.mem_unit)),
        ..Facts::default()
    }
}

//! What probes have to know of the outside.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The most of a file that is searched for the token.
const MAX_SEARCHED: u64 = 1 << 20;

/// What the outside is, and what was planted there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Whether this is the sandbox, and not the control.
    pub inside: bool,
    /// What planted secrets hold, backwards: the words of a command are no leak.
    pub token: String,
    /// A directory that a sandbox sees as it sees the working directory.
    pub work: PathBuf,
    /// A directory that a sandbox sees read-only.
    pub shown: PathBuf,
    /// A directory that no sandbox sees.
    pub outside: PathBuf,
    /// A directory to try things in.
    pub scratch: PathBuf,
    /// A process outside, of the same session and process group.
    pub victim: i32,
    /// A process above: pid 1 of the sandbox; for the control the victim.
    pub above: i32,
    /// An abstract socket that listens outside.
    pub abstract_name: String,
    /// A port of the loopback interface that listens outside, and says the secret.
    pub port: u16,
    /// The same at an address of the machine's own, where it has one.
    pub own: Option<SocketAddr>,
    /// The same by datagrams, for each that comes.
    pub own_datagrams: Option<SocketAddr>,
    /// The key of a shared memory segment outside.
    pub shm_key: i32,
    /// The name of a message queue and of a file in `/dev/shm` outside.
    pub name: String,
    /// Whether there is a key of that name in the session's keyring outside.
    pub has_key: bool,
    /// Whether there is a message queue of that name outside.
    pub has_queue: bool,
    /// The handle of a secret file outside.
    pub handle: Vec<u8>,
    /// What the host has, by kind.
    pub places: BTreeMap<String, Vec<PathBuf>>,
    /// Device and inode of directories of the host.
    pub inodes: Vec<(PathBuf, u64, u64)>,
    /// Device and inode of what was left open on purpose.
    pub leaked: Vec<(u64, u64)>,
    /// The host's name.
    pub host_name: String,
    /// The host's machine id.
    pub machine_id: String,
    /// The user's home directory.
    pub home: PathBuf,
    /// The caller's limit of processes.
    pub processes: Option<u64>,
    /// How many inotify instances a user may have.
    pub inotify: u64,
    /// Bytes of memory of the machine.
    pub memory: u64,
}

impl Facts {
    /// What planted secrets hold.
    pub fn secret(&self) -> String {
        self.token.chars().rev().collect()
    }

    /// Whether bytes hold the secret.
    pub fn is_in(&self, bytes: &[u8]) -> bool {
        let secret = self.secret();
        !secret.is_empty() && bytes.windows(secret.len()).any(|window| window == secret.as_bytes())
    }

    /// Whether a file can be read and holds the secret.
    pub fn is_in_file(&self, path: &Path) -> Result<bool, std::io::Error> {
        let mut bytes = Vec::new();
        std::fs::File::open(path)?.take(MAX_SEARCHED).read_to_end(&mut bytes)?;
        Ok(self.is_in(&bytes))
    }

    /// Existing things of one kind on the host.
    pub fn places(&self, kind: &str) -> &[PathBuf] {
        self.places.get(kind).map_or(&[], Vec::as_slice)
    }

    /// Whether what is here now is the directory that the host has at this path.
    pub fn is_the_hosts(&self, path: &Path) -> Option<bool> {
        use std::os::unix::fs::MetadataExt as _;
        let (_, dev, ino) = self.inodes.iter().find(|(known, ..)| known == path)?;
        let here = std::fs::metadata(path).ok();
        Some(here.is_some_and(|here| (here.dev(), here.ino()) == (*dev, *ino)))
    }
}

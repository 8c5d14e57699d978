//! Records of what runs: one file a sandbox, in the user's runtime directory.
//!
//! Each is locked by the process that runs the sandbox. A record that can be locked is one of a
//! process that died, and is removed by whoever sees it.

use crate::out::Failure;
use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;
use swathe_policy::resolve::Sandbox;

/// The largest record that is read.
const MAX_RECORD: u64 = 1 << 20;

/// How the file of a control socket ends.
const CONTROL: &str = "control";

/// How often, and how far apart, a record is tried to be locked.
const CLAIMS: u32 = 50;
const PAUSE: Duration = Duration::from_millis(2);

/// What is known of a running sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The name by which `enter` and `kill` know it.
    pub id: String,
    /// The session's name where it is one.
    #[serde(default)]
    pub session: Option<String>,
    /// The pid of the engine.
    pub pid: u32,
    /// When it started, in seconds since 1970.
    pub started: u64,
    /// The working directory it was started in.
    pub cwd: String,
    /// The command.
    pub command: Vec<String>,
    /// The user's directories and files that are visible in it.
    #[serde(default)]
    pub shown: Vec<String>,
    /// Directories that it can write to.
    #[serde(default)]
    pub writable: Vec<String>,
    /// The workspace that keeps its changes.
    #[serde(default)]
    pub workspace: Option<String>,
}

/// The record of a sandbox of this process; removed when dropped.
#[derive(Debug)]
pub struct Record {
    file: File,
    path: PathBuf,
    id: String,
    session: Option<String>,
    command: Vec<String>,
    keep: bool,
}

/// The directory of records: made if need be, and the user's alone.
pub fn directory() -> Result<PathBuf, Failure> {
    let uid = rustix::process::getuid().as_raw();
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let standard = PathBuf::from(format!("/run/user/{uid}"));
    let path = runtime
        .filter(|path| path.is_absolute())
        .into_iter()
        .chain([standard])
        .find(|path| is_own(path))
        .map_or_else(|| PathBuf::from(format!("/tmp/swathe-{uid}")), |path| path.join("swathe"));
    let made = std::fs::DirBuilder::new().mode(0o700).create(&path);
    match made {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(Failure::new(format!("cannot make {}: {e}", path.display())))
        }
        // Anyone can make a directory in /tmp.
        _ if !is_own(&path) => {
            Err(Failure::new(format!("{} is not a directory of this user alone", path.display()))
                .hint("set XDG_RUNTIME_DIR to a directory of mode 0700"))
        }
        _ => Ok(path),
    }
}

/// Makes and locks the file of a record, and empties what one that died with its lock has left.
/// `None` when somebody else has it.
fn claim(path: &Path) -> Result<Option<File>, Errno> {
    // Who lists the records locks each for a moment.
    for _ in 0..CLAIMS {
        let flags = OFlags::CREATE | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::open(path, flags, Mode::from_raw_mode(0o600))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            // It may have been removed before it was locked: then the name is somebody else's.
            Ok(()) if is_at(&file, path) => {
                rustix::fs::ftruncate(&file, 0)?;
                return Ok(Some(file.into()));
            }
            Ok(()) => {}
            Err(Errno::WOULDBLOCK | Errno::INTR) => std::thread::sleep(PAUSE),
            Err(e) => return Err(e),
        }
    }
    Ok(None)
}

/// Whether a file still has this name.
fn is_at(file: &OwnedFd, path: &Path) -> bool {
    let (here, there) = (rustix::fs::fstat(file), rustix::fs::lstat(path));
    matches!((here, there), (Ok(a), Ok(b)) if (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino))
}

fn is_own(path: &Path) -> bool {
    let uid = rustix::process::getuid().as_raw();
    std::fs::symlink_metadata(path)
        .is_ok_and(|m| m.is_dir() && m.uid() == uid && m.mode() & 0o077 == 0)
}

impl Record {
    /// A record with a name of its own, before the sandbox is started.
    pub fn new(command: &[OsString]) -> Result<Self, Failure> {
        let name: String = command
            .first()
            .map(|program| Path::new(program).file_name().unwrap_or(program).to_string_lossy())
            .unwrap_or_default()
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
            .take(24)
            .collect();
        let name = if name.trim_matches('.').is_empty() { "run".to_owned() } else { name };
        Self::open(format!("{name}-{}", std::process::id()), None, command)
    }

    /// The record of a session, which nobody else may have.
    pub fn session(name: &str, command: &[OsString]) -> Result<Self, Failure> {
        Self::open(name.to_owned(), Some(name.to_owned()), command)
    }

    fn open(id: String, session: Option<String>, command: &[OsString]) -> Result<Self, Failure> {
        let path = directory()?.join(format!("{id}.json"));
        let cannot = |e| Failure::new(format!("cannot write {}: {e}", path.display()));
        let Some(file) = claim(&path).map_err(cannot)? else {
            return Err(match session {
                Some(_) => Failure::new(format!("a session {id} is running already"))
                    .hint(format!("swathe session stop {id} ends it")),
                None => cannot(Errno::WOULDBLOCK),
            });
        };
        let command = command.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        // Left by one that died with its lock.
        remove_sockets(&path);
        Ok(Self { file, path, id, session, command, keep: false })
    }

    /// Where the sandbox takes further commands.
    pub fn socket(&self) -> PathBuf {
        self.path.with_extension("sock")
    }

    /// Where changes of what it may reach are taken: see [`control`].
    pub fn control(&self) -> PathBuf {
        self.path.with_extension(CONTROL)
    }

    /// A descriptor that keeps the record locked as long as it is open anywhere.
    pub fn lock(&self) -> Result<OwnedFd, Failure> {
        let copy = self.file.try_clone().map_err(|e| Failure::new(e.to_string()))?;
        Ok(copy.into())
    }

    /// Leaves the record to whoever holds its lock now.
    pub fn hand_over(mut self) {
        self.keep = true;
    }

    /// The name of the run.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Writes what is known now that the engine runs.
    pub fn started(
        &self,
        pid: u32,
        sandbox: &Sandbox,
        workspace: Option<&str>,
    ) -> Result<(), Failure> {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let state = State {
            id: self.id.clone(),
            session: self.session.clone(),
            pid,
            started: now.map_or(0, |now| now.as_secs()),
            cwd: std::env::current_dir().unwrap_or_default().display().to_string(),
            command: self.command.clone(),
            shown: sandbox.shown.iter().map(|path| path.display().to_string()).collect(),
            writable: sandbox.writable.iter().map(|path| path.display().to_string()).collect(),
            workspace: workspace.map(str::to_owned),
        };
        let text = serde_json::to_vec(&state).map_err(|e| Failure::new(e.to_string()))?;
        let mut file = &self.file;
        file.rewind()
            .and_then(|()| file.write_all(&text))
            .map_err(|e| Failure::new(format!("cannot write {}: {e}", self.path.display())))
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if !self.keep {
            remove(&self.path);
        }
    }
}

/// Removes a record and its sockets. They may be gone already, with the runtime directory. The caller
/// has the record's lock: as long as the record is there, the names are nobody else's.
fn remove(path: &Path) {
    remove_sockets(path);
    drop(std::fs::remove_file(path));
}

fn remove_sockets(path: &Path) {
    drop(std::fs::remove_file(path.with_extension("sock")));
    drop(std::fs::remove_file(path.with_extension(CONTROL)));
}

/// The record of a sandbox by its id; `None` when it says nothing.
pub fn read(id: &str) -> Result<Option<State>, Failure> {
    let path = directory()?.join(format!("{id}.json"));
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let Ok(fd) = rustix::fs::open(&path, flags, Mode::empty()) else { return Ok(None) };
    let mut text = Vec::new();
    let read = File::from(fd).take(MAX_RECORD).read_to_end(&mut text);
    Ok(read.ok().and_then(|_| serde_json::from_slice(&text).ok()))
}

/// The socket of a running sandbox.
pub fn socket(id: &str) -> Result<PathBuf, Failure> {
    Ok(directory()?.join(format!("{id}.sock")))
}

/// The socket over which what a running sandbox may reach is changed. None is there where a sandbox
/// has nobody who could.
pub fn control(id: &str) -> Result<PathBuf, Failure> {
    Ok(directory()?.join(format!("{id}.{CONTROL}")))
}

/// All sandboxes of this user that run, the oldest first.
pub fn running() -> Result<Vec<State>, Failure> {
    let directory = directory()?;
    let mut found = Vec::new();
    let entries = std::fs::read_dir(&directory)
        .map_err(|e| Failure::new(format!("cannot read {}: {e}", directory.display())))?;
    for entry in entries.flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let Ok(fd) = rustix::fs::open(&path, flags, Mode::empty()) else { continue };
        if flock(&fd, FlockOperation::NonBlockingLockShared).is_ok() {
            // Not while somebody else does the same, or makes a new one of it.
            if flock(&fd, FlockOperation::NonBlockingLockExclusive).is_ok() && is_at(&fd, &path) {
                remove(&path);
            }
            continue;
        }
        let mut text = Vec::new();
        if File::from(fd).take(MAX_RECORD).read_to_end(&mut text).is_ok() {
            // Empty between its making and its start.
            found.extend(serde_json::from_slice::<State>(&text).ok());
        }
    }
    found.sort_by(|a, b| (a.started, &a.id).cmp(&(b.started, &b.id)));
    Ok(found)
}

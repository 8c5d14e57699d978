//! What the last runs were denied and touched: a directory each, of which the newest are kept.

use crate::out::Failure;
use crate::store;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use swathe_policy::Environment;
use swathe_record::audit::{Recorded, read};
use swathe_record::bytes::Bytes;

/// How many runs are kept.
const KEPT: usize = 20;
/// Bytes of events that are kept of one run, twice at most.
pub const MAX_EVENTS: u64 = 64 << 20;
/// Events that are read of one run.
const MAX_READ: usize = 1 << 20;
/// The largest description that is read.
const MAX_RUN: u64 = 1 << 20;

/// What is known of a run beside its events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its name.
    pub id: String,
    /// When it started, in seconds since 1970.
    pub started: u64,
    /// Where.
    pub cwd: Bytes,
    /// The command.
    pub command: Vec<Bytes>,
    /// Whether everything was recorded, not only what levels decide.
    pub recorded: bool,
    /// The network it had: `none`, `loopback`, `rules` or `all`.
    pub network: String,
    /// Its exit status, as swathe returned it; none while it runs, or if swathe was ended.
    #[serde(default)]
    pub status: Option<u8>,
    /// Limits that it ran into, by their names in profiles.
    #[serde(default)]
    pub limits: Vec<String>,
}

/// The record of one run.
#[derive(Debug)]
pub struct History {
    directory: PathBuf,
    /// What is known of it.
    pub run: Run,
}

/// Where runs are kept.
pub fn directory(env: &Environment) -> PathBuf {
    env.state.join("swathe/runs")
}

impl History {
    /// Makes the directory of a run, and removes those of the oldest.
    pub fn create(env: &Environment, run: Run) -> Result<Self, Failure> {
        let all = directory(env);
        // The time first: names sort by it. Several runs may start within a second.
        let within = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let within = within.subsec_micros();
        let directory = all.join(format!("{:012}.{within:06}-{}", run.started, run.id));
        let failed = |e: std::io::Error| {
            Failure::new(format!("cannot keep a record of the run in {}: {e}", all.display()))
        };
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&all).map_err(failed)?;
        prune(&all, KEPT - 1);
        std::fs::DirBuilder::new().mode(0o700).create(&directory).map_err(failed)?;
        let history = Self { directory, run };
        history.write()?;
        Ok(history)
    }

    /// The file for its events.
    pub fn events(&self) -> PathBuf {
        self.directory.join("events.jsonl")
    }

    /// Writes what is known, as a whole or not at all.
    pub fn write(&self) -> Result<(), Failure> {
        let path = self.directory.join("run.json");
        let failed = |e| Failure::new(format!("cannot write {}: {e}", path.display()));
        let text = serde_json::to_vec(&self.run).map_err(std::io::Error::from).map_err(failed)?;
        let new = self.directory.join("run.json.new");
        let mut options = File::options();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(&new);
        file.and_then(|mut file| file.write_all(&text)).map_err(failed)?;
        std::fs::rename(&new, &path).map_err(failed)
    }

    /// What was recorded.
    pub fn read(&self) -> Result<Recorded, Failure> {
        let failed = |e| Failure::new(format!("cannot read {}: {e}", self.events().display()));
        let mut old = self.events().into_os_string();
        old.push(".1");
        let mut recorded = Recorded::default();
        for path in [PathBuf::from(old), self.events()] {
            let Ok(file) = File::open(&path) else { continue };
            let part = read(file, MAX_READ - recorded.events.len()).map_err(failed)?;
            recorded.events.extend(part.events);
            recorded.lost += part.lost;
            recorded.bad += part.bad;
        }
        Ok(recorded)
    }
}

/// All runs that are kept, the newest first.
pub fn all(env: &Environment) -> Vec<History> {
    let runs = names(&directory(env)).into_iter().rev();
    runs.filter_map(|path| Some(History { run: load(&path)?, directory: path })).collect()
}

/// A run by its name, or the newest.
pub fn find(env: &Environment, id: Option<&str>) -> Result<History, Failure> {
    let found = all(env).into_iter().find(|history| id.is_none_or(|id| history.run.id == id));
    found.ok_or_else(|| match id {
        Some(id) => Failure::new(format!("no record of a run {}", crate::out::shown(id)))
            .hint("swathe why --list lists those that are kept"),
        None => Failure::new("no run was recorded")
            .hint("swathe run --record CMD records what the program touches and is denied"),
    })
}

fn load(path: &Path) -> Option<Run> {
    let mut text = Vec::new();
    File::open(path.join("run.json")).ok()?.take(MAX_RUN).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

/// The directories of runs, the oldest first.
fn names(all: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(all).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

fn prune(all: &Path, keep: usize) {
    let found = names(all);
    for old in found.iter().take(found.len().saturating_sub(keep)) {
        // Somebody else may be about the same.
        drop(std::fs::remove_dir_all(old));
    }
}

/// The run that is about to start.
pub fn about(id: &str, command: &[std::ffi::OsString], recorded: bool, network: &str) -> Run {
    use std::os::unix::ffi::OsStrExt as _;
    Run {
        id: id.to_owned(),
        started: store::now(),
        cwd: Bytes::from(std::env::current_dir().unwrap_or_default()),
        command: command.iter().map(|word| Bytes(word.as_bytes().to_vec())).collect(),
        recorded,
        network: network.to_owned(),
        status: None,
        limits: Vec::new(),
    }
}

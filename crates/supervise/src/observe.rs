//! What a call is going to come to, for records and questions. Nothing is decided here: the call
//! goes on, and what is mounted decides.

mod address;
mod judge;
mod named;
mod processes;
mod tree;

use crate::trap::{CWD, Call};
use address::{Address, bytes_of, protocol};
use named::{Deed, Named, Names, named, whole};
use processes::Processes;
use std::collections::HashSet;
use std::collections::hash_map::DefaultHasher;
use std::ffi::OsStr;
use std::hash::{Hash as _, Hasher as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;
use swathe_record::bytes::Bytes;
use swathe_record::event::{Action, Layer, Outcome};
use swathe_sys::Errno;
use swathe_sys::rustix::fd::OwnedFd;
use tree::{Place, Tree, is_below};

/// What an observer remembers to have said already.
const MAX_REMEMBERED: usize = 1 << 20;

/// What was seen of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// What it does.
    pub action: Action,
    /// To what, as an event names it.
    pub object: Bytes,
    /// The other name; or the one that it was called by, where links lead to the object.
    pub to: Option<Bytes>,
    /// What it will most likely come to.
    pub outcome: Outcome,
    /// Who is behind that.
    pub layer: Layer,
    /// Whether it is a directory, here or on the host.
    pub directory: bool,
}

/// Where the connections of a sandbox lead.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Network {
    /// To whatever the host reaches.
    #[default]
    Host,
    /// Nowhere: there is a loopback interface at most.
    Nowhere,
    /// To somebody who decides by the name of the host, and tells what was decided. Also those to
    /// the loopback interface, at these ports (the first and the last of each range).
    Elsewhere(Vec<(u16, u16)>),
}

/// Looks at the calls of one sandbox.
#[derive(Debug)]
pub struct Observer {
    tree: Tree,
    /// Where connections lead.
    network: Network,
    /// Whether somebody is asked: a call is looked at each time, not only when it is new.
    asks: bool,
    said: HashSet<u64>,
    processes: Processes,
}

impl Observer {
    /// For a sandbox with this root: without privileges no process gets another. What somebody is
    /// to be asked about is looked at as it is then; a record may be a moment behind.
    #[must_use]
    pub fn new(root: OwnedFd, network: Network, asks: bool) -> Self {
        let (tree, processes) = (Tree::new(root, asks), Processes::new());
        Self { tree, network, asks, said: HashSet::new(), processes }
    }

    /// The program that a process runs, as the sandbox names it.
    pub fn program(&mut self, pid: u32) -> Bytes {
        self.processes.of(pid, Instant::now()).program().clone()
    }

    /// The process is about to run another program, or has ended.
    pub fn forget(&mut self, pid: u32) {
        self.processes.forget(pid);
    }

    /// Whether anything is kept open; see [`Self::rest`].
    #[must_use]
    pub fn is_resting(&self) -> bool {
        self.tree.is_resting()
    }

    /// Nothing has called for a while: what is kept open for the next call is closed.
    pub fn rest(&mut self) {
        self.tree.rest();
    }

    /// Looks at a call that waits, and at the program that makes it. None: it is about no path and
    /// no address, they cannot be read, or the same was seen before.
    pub fn look(&mut self, pid: u32, call: Call) -> Option<(Bytes, Seen)> {
        let now = Instant::now();
        let found = named(self.processes.of(pid, now), call);
        let seen = found.and_then(|found| self.looked(pid, call, found, now));
        let seen = seen.map(|seen| (self.processes.of(pid, now).program().clone(), seen));
        // A directory that is renamed can be the working directory of anybody.
        if matches!(call, Call::Enter(_) | Call::EnterOpen | Call::Rename(..)) {
            self.processes.moves(pid);
        }
        seen
    }

    fn looked(
        &mut self,
        pid: u32,
        call: Call,
        (deed, [first, second]): (Deed, Names),
        now: Instant,
    ) -> Option<Seen> {
        let process = self.processes.of(pid, now);
        let address = match call {
            Call::Connect(fd, address, length) | Call::Bind(fd, address, length) => {
                Some((bytes_of(&process.caller, address, length)?, protocol(&process.caller, fd)))
            }
            _ => None,
        };
        let action = deed.action;
        if matches!(action, Action::Remove | Action::Rename) {
            first.iter().chain(&second).for_each(|name| self.tree.forget(&name.whole));
        }
        let mut hasher = DefaultHasher::new();
        (process.program(), action, &address, &first, &second).hash(&mut hasher);
        if self.said.len() >= MAX_REMEMBERED {
            self.said.clear();
        }
        let new = self.said.insert(hasher.finish());
        if !new && !self.asks {
            return None;
        }
        if let Some((bytes, protocol)) = address {
            return self.socket(pid, &bytes, protocol, action, now);
        }
        let first = first?;
        let mut seen = self.seen(&first, action, now);
        // There is nothing of that name, here or on the host: it will be made, if its directory can
        // be written to.
        let missing = seen.outcome == Outcome::Denied(Errno::NOENT.raw_os_error());
        if deed.creates && missing && seen.layer != Layer::Mount {
            seen = self.seen(&first, Action::Create, now);
        }
        if let Some(second) = second {
            let to = self.seen(&second, Action::Create, now);
            let worse = if seen.outcome == Outcome::Allowed { &to } else { &seen };
            let (outcome, layer) = (worse.outcome, worse.layer);
            seen = Seen { to: Some(to.object), outcome, layer, ..seen };
        } else if seen.to.is_none() && seen.action != Action::Create && seen.object.0 != first.whole
        {
            seen.to = Some(Bytes(first.whole));
        }
        (new || seen.outcome != Outcome::Allowed).then_some(seen)
    }

    /// A path, as the sandbox shows it.
    fn seen(&mut self, Named { whole, follow }: &Named, action: Action, now: Instant) -> Seen {
        // What a process sees of itself there, nobody else does.
        let place = if is_below(whole, b"/proc") {
            let (object, outcome) = (whole.clone(), Ok(()));
            Place { object, outcome, directory: false, elsewhere: false }
        } else {
            self.tree.look(whole, *follow, action, now)
        };
        // A link inside leads where the program likes: what it wants is what is there on the host.
        let missing = matches!(place.outcome, Err(Errno::NOENT | Errno::NOTDIR));
        let host = || match (on_host(&place.object), action) {
            (None, Action::Create) => directory_on_host(&place.object),
            (found, _) => found,
        };
        let host = (missing && place.elsewhere).then(host).flatten();
        let covered = place.outcome == Err(Errno::ACCESS) && self.tree.is_covered(&place.object);
        let mount = place.outcome == Err(Errno::ROFS) || host.is_some() || covered;
        let layer = if mount { Layer::Mount } else { Layer::Other };
        let outcome = match place.outcome {
            Ok(()) => Outcome::Allowed,
            Err(errno) => Outcome::Denied(errno.raw_os_error()),
        };
        let directory = place.directory || host.as_ref().is_some_and(|(_, directory)| *directory);
        let named = Bytes(place.object);
        let object = host.map_or_else(|| named.clone(), |(real, _)| real.into());
        // The host's links are not here either.
        let to = (object != named).then_some(named);
        Seen { action, object, to, outcome, layer, directory }
    }

    /// An address, and whether it can be reached as far as the file system and the interfaces tell.
    fn socket(
        &mut self,
        pid: u32,
        bytes: &[u8],
        protocol: &str,
        action: Action,
        now: Instant,
    ) -> Option<Seen> {
        match address::parse(bytes)? {
            Address::Host(host, port) => {
                address::host(&self.network, protocol, (host, port), action)
            }
            Address::Abstract(name) => {
                let object = address::unix(&[b"@", name.as_slice()].concat());
                let (outcome, layer) = (Outcome::Allowed, Layer::Other);
                Some(Seen { action, object, to: None, outcome, layer, directory: false })
            }
            Address::Path(text) => {
                let whole = whole(self.processes.of(pid, now), CWD, &text)?;
                let wanted = if action == Action::Bind { Action::Create } else { Action::Stat };
                let seen = self.seen(&Named { whole, follow: true }, wanted, now);
                Some(Seen { action, object: address::unix(&seen.object.0), ..seen })
            }
        }
    }
}

/// The path that something would have on the host that is to be made: its directory is there.
fn directory_on_host(path: &[u8]) -> Option<(PathBuf, bool)> {
    let path = Path::new(OsStr::from_bytes(path));
    let directory = std::fs::canonicalize(path.parent()?).ok()?;
    let is_directory = std::fs::metadata(&directory).is_ok_and(|found| found.is_dir());
    is_directory.then(|| (directory.join(path.file_name().unwrap_or_default()), false))
}

/// The path of what the host has there, its links followed, and whether it is a directory.
fn on_host(path: &[u8]) -> Option<(PathBuf, bool)> {
    let path = Path::new(OsStr::from_bytes(path));
    // Mostly there is nothing, and one call says so.
    std::fs::symlink_metadata(path).ok()?;
    let real = std::fs::canonicalize(path).ok()?;
    let found = std::fs::symlink_metadata(&real).ok()?;
    Some((real, found.is_dir()))
}

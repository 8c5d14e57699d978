//! What is known of the processes that call. Nothing tells when one has ended and its number is
//! another's: what is known holds for a moment only.

use crate::process::Caller;
use crate::trap::CWD;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};
use swathe_record::bytes::Bytes;

/// How long something is known. No number is given to another process in less.
pub const KNOWN: Duration = Duration::from_millis(100);
/// Of how many.
const MAX_PROCESSES: usize = 1 << 12;

/// The processes (in truth threads) that have called.
#[derive(Debug)]
pub struct Processes {
    known: HashMap<u32, Process>,
    /// Counts changes of working directories and of names, of whichever process: threads share theirs.
    moves: u64,
    /// Threads whose last call was to change it, and that may not have done so yet.
    moving: HashSet<u32>,
}

/// A thread that has called.
#[derive(Debug)]
pub struct Process {
    /// To look at it.
    pub caller: Caller,
    program: Option<Bytes>,
    cwd: Option<Vec<u8>>,
    /// How many changes there were when the directory was looked up.
    moves: u64,
    since: Instant,
}

impl Processes {
    /// None yet.
    pub fn new() -> Self {
        Self { known: HashMap::new(), moves: 0, moving: HashSet::new() }
    }

    /// A process whose call waits now.
    pub fn of(&mut self, pid: u32, now: Instant) -> &mut Process {
        // What it called before is over.
        if !self.moving.is_empty() && self.moving.remove(&pid) {
            self.moves += 1;
        }
        if self.known.len() >= MAX_PROCESSES && !self.known.contains_key(&pid) {
            self.known.clear();
        }
        let process = self.known.entry(pid).or_insert_with(|| Process::new(pid, now));
        if now.duration_since(process.since) > KNOWN {
            *process = Process::new(pid, now);
        }
        if process.moves != self.moves {
            (process.moves, process.cwd) = (self.moves, None);
        }
        process
    }

    /// It is about to change its working directory, or the name of one.
    pub fn moves(&mut self, pid: u32) {
        if self.moving.len() >= MAX_PROCESSES {
            self.moving.clear();
        }
        self.moving.insert(pid);
        self.moves += 1;
    }

    /// It is about to run another program, or was no more when it was looked at.
    pub fn forget(&mut self, pid: u32) {
        self.known.remove(&pid);
    }
}

impl Process {
    fn new(pid: u32, now: Instant) -> Self {
        Self { caller: Caller::new(pid), program: None, cwd: None, moves: 0, since: now }
    }

    /// The program that it runs, as the sandbox names it.
    pub fn program(&mut self) -> &Bytes {
        self.program.get_or_insert_with(|| self.caller.program())
    }

    /// The path of where a path of it starts.
    pub fn place(&mut self, dir: i32) -> Option<Cow<'_, [u8]>> {
        if dir != CWD {
            return self.caller.place(dir).map(Cow::Owned);
        }
        if self.cwd.is_none() {
            self.cwd = self.caller.place(CWD);
        }
        self.cwd.as_deref().map(Cow::Borrowed)
    }
}

//! The network of a session, for the process that attends to it.

use super::{Keeper, Options, Prepared, Reach};
use crate::out::Failure;
use serde::{Deserialize, Serialize};
use std::os::fd::{BorrowedFd, OwnedFd};
use swathe_record::bytes::Bytes;

/// All that it takes to set it up.
#[derive(Debug, Serialize, Deserialize)]
pub struct Apart {
    /// What may be reached.
    pub reach: Reach,
    /// Files that events are written to, and their limits.
    pub files: Vec<(Bytes, u64)>,
    /// How.
    pub way: Options,
}

impl Apart {
    /// Sets it up. Nobody is asked: who started the session has gone.
    ///
    /// # Errors
    /// It cannot be set up: the session reaches nothing then.
    pub fn start(
        self,
        netns: OwnedFd,
        sandbox: BorrowedFd<'_>,
        engine: u32,
    ) -> Result<Keeper, Failure> {
        let sink = crate::edge::sink(&self.files)?;
        Prepared::new(self.reach, &self.way, false)?.attach(netns, sandbox, engine, sink)
    }
}

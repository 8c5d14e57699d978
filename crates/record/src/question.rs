//! What is asked of the user while a program waits, and what can be answered.

use crate::bytes::Bytes;
use crate::event::Action;
use serde::{Deserialize, Serialize};

/// A program waits for an answer to this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// Which; unique in a run.
    pub id: u64,
    /// The process, as the host numbers it.
    pub pid: u32,
    /// Its command line, bounded.
    pub command: Vec<Bytes>,
    /// What it wants.
    pub action: Action,
    /// Of what: a path on the host, or an address as in [`crate::event::Event::object`].
    pub object: Bytes,
    /// Whether `object` is a directory.
    pub directory: bool,
}

/// How long an answer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Term {
    /// This time.
    Once,
    /// As long as the sandbox runs.
    Run,
    /// From now on: the grant is written down.
    Always,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The question's.
    pub id: u64,
    /// Whether it may.
    pub allow: bool,
    /// How long that holds. A refusal `Always` is "never".
    pub term: Term,
    /// For the directory that holds the object (its parent, or itself if it is one), not only for
    /// the object.
    #[serde(default)]
    pub directory: bool,
    /// To read only, although more was asked for. Meaningless for refusals and addresses.
    #[serde(default)]
    pub read_only: bool,
}

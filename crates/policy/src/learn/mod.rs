//! From what a program did in a successful run to a profile of intents that lets it do so again.
//!
//! What every run shows anyway needs no line. What was used of the user's own becomes few lines, and
//! never one for everything: what holds credentials is left to a person, as a comment.

mod covers;
mod files;
mod hosts;
mod lines;
mod merge;
mod services;
mod shown;
mod text;
mod touch;

pub use covers::covers;
pub use merge::{Change, Merged, merge};

pub use shown::{Grade, Shown};
pub use text::{MAX_COMMENTS, profile};

use crate::model::{Access, Intent};
use crate::paths::Environment;
use crate::resolve::Files;
use std::ffi::OsString;
use std::path::PathBuf;
use swathe_record::bytes::Bytes;
use swathe_record::event::{Action, Event};

/// Events that are looked at; later ones are counted.
pub const MAX_EVENTS: usize = 1_000_000;
/// Lines that a profile gets below one directory before it is named instead.
pub const MAX_BELOW: usize = 64;
/// Lines of files that a profile gets. More would be refused by its reader.
pub const MAX_LINES: usize = 500;

/// Where the run was, and what every run has there.
pub struct Place<'p> {
    /// What paths are made of.
    pub env: &'p Environment,
    /// The user's number.
    pub uid: u32,
    /// What a run without any intent shows: [`Shown::of`] its plan.
    pub base: &'p Shown,
    /// The environment outside: which sockets are whose.
    pub vars: &'p [(OsString, OsString)],
    /// What was allowed while recording. What leaves no trace in events is taken over.
    pub given: &'p [Intent],
    /// Access levels that are no broader than what was seen, such as `no-delete`, and not only
    /// reading and writing. The next run may need more than the first: a file is then there already.
    pub strict: bool,
    /// The host's files.
    pub files: &'p dyn Files,
}

/// What a profile has to say about one intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// The run used it.
    Needed,
    /// It was allowed while recording, and whether it was used leaves no trace.
    Given,
    /// The run used it, and a person has to decide: a line that is commented out.
    Withheld,
    /// The run was denied it and went on: a line that is commented out.
    Tolerated,
}

/// Who used something, and of what.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Evidence {
    /// The programs with the number of their events, most first.
    pub programs: Vec<(Bytes, u64)>,
    /// What was done.
    pub actions: Vec<Action>,
    /// How many different objects.
    pub objects: u64,
    /// The first of them.
    pub first: Bytes,
}

/// One line of a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What it allows; none where no intent can, yet or ever.
    pub wanted: Wanted,
    /// Whether it is in force.
    pub class: Class,
    /// What is to be said beside the evidence.
    pub note: Option<String>,
    /// What used it.
    pub evidence: Evidence,
}

/// What a line allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// This.
    Intent(Intent),
    /// The protection of this name lifted.
    Unprotected(&'static str),
    /// A word that cannot be enforced yet, or nothing that there is a word for.
    Nothing(String),
}

/// One thing that the run needed and that a profile has to permit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    /// A file, or a directory with all below.
    Path {
        /// Which.
        path: PathBuf,
        /// How, at least.
        access: Access,
    },
    /// What an intent without a path opens.
    Plain(Intent),
}

/// What follows from a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Learned {
    /// The lines, in the order of the profile.
    pub lines: Vec<Line>,
    /// What the lines in force have to permit.
    pub needs: Vec<Need>,
    /// Events that were not looked at.
    pub left_out: u64,
}

impl Learned {
    /// The intents that are in force.
    pub fn intents(&self) -> impl Iterator<Item = &Intent> {
        self.lines.iter().filter_map(|line| match (&line.wanted, line.class) {
            (Wanted::Intent(intent), Class::Needed | Class::Given) => Some(intent),
            _ => None,
        })
    }
}

/// What a profile needs for a run like this one. The same events give the same result.
#[must_use]
pub fn learn(events: &[Event], place: &Place<'_>) -> Learned {
    let looked_at = events.get(..MAX_EVENTS).unwrap_or(events);
    let touched = touch::gather(looked_at, place);
    let mut learned = Learned {
        left_out: u64::try_from(events.len() - looked_at.len()).unwrap_or(u64::MAX),
        ..Learned::default()
    };
    services::add(&touched, place, &mut learned);
    files::add(&touched, place, &mut learned);
    learned.lines.sort_by_cached_key(text::order);
    learned
}

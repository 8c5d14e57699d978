//! Copy-on-write workspaces: what a program changed in an overlay, looked at, committed, undone or
//! discarded.
//!
//! A [`Store`] is a directory of workspaces. [`Store::create`] makes one for some directories of the
//! host, each with an upper directory for an overlay that somebody else mounts; [`Held::snapshot`]
//! records what lies below; after the run [`Workspace::scan`] says what the upper changes of the host
//! as a [`Changeset`], and a [`Selection`] of it goes to the host or is discarded. What the program
//! left in the upper is never trusted.

#![forbid(unsafe_code)]

mod about;
mod apply;
mod area;
mod base;
mod change;
mod commit;
mod copy;
mod danger;
pub mod diff;
mod dir;
mod discard;
mod error;
mod gc;
mod journal;
mod meta;
mod opaque;
mod plan;
mod prepare;
mod remove;
mod scan;
mod select;
mod snapshot;
mod store;
mod undo;
mod usage;
mod work;
mod xattr;

pub use about::{About, Limits, Root};
pub use base::{Snapshot, SnapshotOptions};
pub use change::{Change, ChangeKind, Changeset, Conflict, Mark, Oddity, Parts};
pub use commit::{CommitOptions, Committed, Left, Why};
pub use danger::Sensitive;
pub use discard::Discarded;
pub use error::{Error, ErrorKind, Result};
pub use gc::{Collected, GcOptions};
pub use meta::{FileKind, Id, Meta};
pub use scan::ScanOptions;
pub use select::{Selection, Take};
pub use store::{
    Held, LONGEST_ID, Listed, MOST_ROOTS, New, NewRoot, State, Store, Workspace, is_id,
};
pub use undo::{Saved, Undone};
pub use usage::Usage;

//! Changes the mounts of a running sandbox from outside, without privileges.
//!
//! A helper process joins the user namespace that owns the sandbox's mount namespace and keeps a
//! copy of the host's mounts there. On request it takes a tree from that copy and attaches it in the
//! sandbox, covers a path with something unreadable, or takes away again what it has attached. See
//! `docs/adr/0018-mounts-of-a-running-sandbox.md`.
//!
//! [`Mounter`] is the client. [`serve`] is what the helper runs: the program that uses this crate
//! executes itself with the word [`COMMAND`], and calls [`serve`] before it starts a thread.
//!
//! What a process has opened before a path is hidden stays open: only lookups by name change.
#![forbid(unsafe_code)]

mod client;
mod error;
mod protocol;
mod serve;

pub use client::{Id, Mounter};
pub use error::Error;
pub use protocol::{Access, MAX_MOUNTS, MAX_PATH, Step};
pub use serve::serve;

/// The word with which the helper's program is executed.
pub const COMMAND: &str = "__mounter";

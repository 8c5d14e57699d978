//! What a sandbox is, as pure data: the plan, bwrap's words for it, and what can be said about it
//! without asking the system. Nothing in this crate does I/O.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod check;
pub mod docs;
pub mod filter;
pub mod model;
pub mod options;
pub mod parse;
pub mod render;
pub mod rights;
pub mod serve;
pub mod tables;

pub use model::Plan;

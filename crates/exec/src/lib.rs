//! Plan → kernel: the launcher, the set-up, pid 1 and the monitor.
//!
//! All of it is single-threaded and runs in a fresh process. Either the command gets exactly what
//! the plan says, or it does not run: there is no best effort.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod child;
mod documents;
mod enter;
pub mod failure;
pub mod files;
mod ids;
mod init;
mod janitor;
mod kernel;
pub mod launch;
pub mod layout;
mod maps;
mod monitor;
pub mod prepare;
mod privileges;
mod relay;
pub mod report;
mod restrictions;
mod serve;
mod terminal;
mod wait;

pub use failure::{Failure, Stage};

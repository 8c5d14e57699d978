//! Plan → kernel: the launcher, the set-up, pid 1 and the monitor.
//!
//! All of it is single-threaded and runs in a fresh process. Either the command gets exactly what
//! the plan says, or it does not run: there is no best effort.
#![forbid(unsafe_code)]

mod child;
mod documents;
pub mod failure;
pub mod files;
mod ids;
mod init;
mod kernel;
pub mod launch;
pub mod layout;
mod maps;
mod monitor;
pub mod prepare;
mod privileges;
mod relay;
pub mod report;
mod terminal;
mod wait;

pub use failure::{Failure, Stage};

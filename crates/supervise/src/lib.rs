//! The supervisor of a running sandbox: answers seccomp notifications and enforces the access levels that mounts cannot express.

#![forbid(unsafe_code)]

pub mod observe;
pub mod perform;
pub mod place;
pub mod process;
pub mod serve;
pub mod trap;
pub mod walk;

//! What can be learned from the host to explain a failure: what a plan shows of it, what a program
//! needs to start, and what forbids a sandbox on this machine. Nothing here changes anything.
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod files;
pub mod machine;
pub mod needs;
pub mod view;

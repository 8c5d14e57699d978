//! What can be learned from the host to explain a failure: what a plan shows of it, what a program
//! needs to start, and what forbids a sandbox on this machine. Nothing here changes anything.
#![forbid(unsafe_code)]

pub mod machine;
pub mod needs;
pub mod view;

//! What can be learned from the host to explain a failure: what a plan shows of it, what a program
//! needs to start, and what forbids a sandbox on this machine. Nothing here changes anything.
//!
//! The feature `std` adds what `swathe` asks before it starts anything: [`facts`], [`layers`] and
//! [`findings`].
#![cfg_attr(not(any(test, feature = "std")), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

#[cfg(feature = "std")]
pub mod facts;
pub mod files;
#[cfg(feature = "std")]
pub mod findings;
#[cfg(feature = "std")]
pub mod layers;
pub mod machine;
pub mod needs;
pub mod view;

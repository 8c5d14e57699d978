//! Differential runner: the same random argument vectors on two bwrap-compatible programs, and a
//! comparison of everything that the payload and the host could notice.
//!
//! The flow is one way: [`rng`] → [`generate`] → [`vector`] → [`launch`] (inside a [`world`]) →
//! [`report`] (normalised lines under labels) → [`compare`] (what [`allowed`] does not explain) →
//! [`shrink`].
#![allow(unsafe_code)]
// A test-only tool that must bring a process into odd states (closed standard descriptors, ignored
// signals, foreign namespaces) needs raw system calls; all of them are in `os` and `launch`.

pub mod allowed;
pub mod cli;
pub mod compare;
pub mod escape;
pub mod generate;
pub mod launch;
pub mod os;
pub mod report;
pub mod rng;
pub mod shrink;
pub mod snapshot;
pub mod vector;
pub mod worker;
pub mod world;

/// Descriptor under which the payload finds a writable memory file for its report.
pub const REPORT_FD: i32 = 199;
/// Descriptor under which the payload finds the world's `/proc` directory, so that it can look at
/// itself even where the sandbox has no procfs.
pub const PROC_FD: i32 = 198;
/// Ordinary user of runs that start as root. Made up: it needs no account.
pub const PLAIN_ID: u32 = 54321;

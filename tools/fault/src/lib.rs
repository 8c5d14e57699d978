//! Fault injection, kills and load for launchers of sandboxes.
//!
//! The tool runs `LAUNCHER ARGS -- payload` many times, each time disturbing it in one way, and
//! judges what becomes of the launch. The invariant that it tests: whatever fails, and whoever
//! dies, either the payload runs in exactly the sandbox that was asked for, or it does not run, the
//! launcher says so, and nothing is left behind.

pub mod args;
pub mod inject;
pub mod kill;
pub mod launch;
pub mod load;
pub mod names;
pub mod pool;
pub mod probe;
pub mod profile;
pub mod random;
pub mod report;
pub mod rng;
pub mod statusfd;
pub mod survey;
pub mod sys;
pub mod trace;
pub mod untraced;
pub mod verdict;

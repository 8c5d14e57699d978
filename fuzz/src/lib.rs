//! The bodies of the fuzz targets, as plain functions: libFuzzer calls them with what it finds, and
//! the tests of this crate with the seeds. A body panics when something is wrong.
#![forbid(unsafe_code)]

extern crate alloc;

#[path = "../../crates/plan/tests/support/mod.rs"]
pub mod support;

#[path = "../../crates/net/tests/support/mod.rs"]
pub mod streams;

// The diagnostics belong to a program, not to a library: they are compiled in from there.
#[allow(dead_code)]
#[path = "../../crates/bwrap/src/hints.rs"]
mod hints;
#[allow(dead_code)]
#[path = "../../crates/bwrap/src/report.rs"]
mod report;

pub mod args;
pub mod argv;
pub mod diagnostics;
pub mod dns;
pub mod hello;
pub mod http;
pub mod layout;
pub mod manifest;
pub mod message;
pub mod mountinfo;
pub mod needs;
pub mod profile;
pub mod proxy;
pub mod round_trip;
pub mod rules;
pub mod seccomp;
pub mod serve;
pub mod tree;
pub mod values;
pub mod view;

/// A target's name and its body.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 19] = [
    ("argv", argv::run),
    ("args", args::run),
    ("values", values::run),
    ("seccomp", seccomp::run),
    ("serve", serve::run),
    ("mountinfo", mountinfo::run),
    ("message", message::run),
    ("diagnostics", diagnostics::run),
    ("needs", needs::run),
    ("view", view::run),
    ("layout", layout::run),
    ("round_trip", round_trip::run),
    ("profile", profile::run),
    ("manifest", manifest::run),
    ("dns", dns::run),
    ("hello", hello::run),
    ("http", http::run),
    ("proxy", proxy::run),
    ("rules", rules::run),
];

/// Sizes of pieces, and the bytes that come in them: the first byte says how many sizes follow.
fn pieces(data: &[u8]) -> (&[u8], &[u8]) {
    match data.split_first() {
        None => (&[], &[]),
        Some((count, rest)) => rest.split_at(usize::from(count % 8).min(rest.len())),
    }
}

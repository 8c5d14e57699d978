//! Workspaces that are counted, looked at and collected while others are at work, or where half of
//! them is not there.

use crate::cases::{Place, Test, at, commit};
use std::fs;
use swathe_workspace::{ErrorKind, Held, SnapshotOptions};

pub const ALL: [(&str, u64, Test); 1] = [("a run in a half committed one", 0, half_committed)];

/// A commit that was interrupted goes on with what was looked at: no run writes to it before.
fn half_committed(p: &Place, held: Held) {
    p.program("a", "of the program\n");
    fs::write(held.path().join("journal"), "").unwrap();
    let error = held.snapshot(&SnapshotOptions::default()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::HalfDone, "{error}");
    fs::remove_file(held.path().join("journal")).unwrap();
    held.snapshot(&SnapshotOptions::default()).unwrap();
}

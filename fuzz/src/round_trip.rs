//! A plan made from the data is rendered to words, which are parsed to the same plan.

use crate::argv::round_trip;
use crate::support::{Source, plan};

/// Renders and parses an arbitrary plan.
pub fn run(data: &[u8]) {
    round_trip(&plan(&mut Source::new(data)));
}

//! Mode to come.
use crate::{args::Options, launch::Setting, report::Report};
/// Runs the mode.
/// # Errors
/// None yet.
pub fn run(_: &Options, _: &Setting, _: &mut Report) -> std::io::Result<()> {
    Ok(())
}

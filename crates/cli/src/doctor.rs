//! `swathe doctor`.

use crate::out::{Failure, Printer};

/// Options of `swathe doctor`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs it.
pub fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let _ = arguments.json;
    Printer::stdout().finish()?;
    Ok(0)
}

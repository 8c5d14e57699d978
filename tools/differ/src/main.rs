//! `differ`: see `differ --help`.

use std::process::ExitCode;

fn main() -> ExitCode {
    swathe_differ::cli::main()
}

//! `swathe`: run any program so that it reaches what it declared and nothing else.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    swathe_cli::main()
}

//! `swathe`: run any program so that it reaches what it declared and nothing else.
#![forbid(unsafe_code)]

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: swathe_sys::early::Early = swathe_sys::early::Early::new();

fn main() -> ExitCode {
    swathe_cli::main()
}

//! `swathe`: run any program so that it reaches what it declared and nothing else.
#![forbid(unsafe_code)]

mod app;
mod doctor;
mod out;
mod profile;
mod prompt;
mod store;

use clap::Parser;
use out::Failure;
use std::process::ExitCode;

/// Run any program so that it reaches what it declared and nothing else
#[derive(Parser)]
#[command(name = "swathe", version, max_term_width = 80)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Say whether this machine can sandbox, and how to fix what forbids it
    Doctor(doctor::Arguments),
    /// Check profiles and manifests
    Profile(profile::Arguments),
    /// Apps: what they ask for, and what you allow
    App(app::Arguments),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result: Result<u8, Failure> = match arguments.command {
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Profile(arguments) => profile::run(&arguments),
        Command::App(arguments) => app::run(&arguments),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            failure.print();
            ExitCode::from(failure.code)
        }
    }
}

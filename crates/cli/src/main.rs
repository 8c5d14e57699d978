//! `swathe`: run any program so that it reaches what it declared and nothing else.
#![forbid(unsafe_code)]

mod app;
mod doctor;
mod explain;
mod host;
mod out;
mod processes;
mod profile;
mod prompt;
mod run;
mod rundir;
mod store;
mod streams;
mod wanted;

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
    /// Run a program in a sandbox
    Run(run::Arguments),
    /// Run your shell in a sandbox
    Shell(run::ShellArguments),
    /// Say what a sandbox would see, and what enforces it; runs nothing
    Explain(explain::Arguments),
    /// List running sandboxes
    Ps(processes::PsArguments),
    /// End a running sandbox
    Kill(processes::KillArguments),
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
        Command::Run(arguments) => run::run(&arguments),
        Command::Shell(arguments) => run::shell(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Ps(arguments) => processes::ps(&arguments),
        Command::Kill(arguments) => processes::kill(&arguments),
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

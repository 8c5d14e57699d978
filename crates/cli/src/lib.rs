//! The `swathe` command. A library so that its manual pages and completions can be made from the
//! same description that parses its options.
#![forbid(unsafe_code)]

mod app;
pub mod ask;
mod attend;
mod check;
pub mod control;
mod cow;
mod degraded;
mod doctor;
mod edge;
mod explain;
mod globs;
mod grants;
mod history;
mod host;
mod learn;
mod limits;
mod live;
mod net;
mod out;
mod pinned;
mod processes;
mod profile;
mod prompt;
mod review;
mod run;
pub mod rundir;
mod session;
mod store;
pub mod streams;
pub mod terminal;
mod trash;
mod wanted;
mod why;

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
    /// Watch a program, and write a profile of what it needs
    Learn(learn::Arguments),
    /// Say what a sandbox would see, and what enforces it; runs nothing
    Explain(explain::Arguments),
    /// Say what a run was denied, by whom, and what would allow it
    Why(why::Arguments),
    /// Prove it: probe a sandbox from inside, and the same without one
    Check(check::Arguments),
    /// List running sandboxes
    Ps(processes::PsArguments),
    /// Show the network of a running sandbox: hosts, bytes, decisions
    Net(net::Arguments),
    /// End a running sandbox
    Kill(processes::KillArguments),
    /// Run a program, or a shell, in a sandbox that runs already
    Enter(session::EnterArguments),
    /// Sandboxes that stay
    Session(session::Arguments),
    /// Show what a workspace changes, the most dangerous first
    Diff(review::diff::Arguments),
    /// Bring changes of a workspace to the host, or take the last commit back
    Commit(review::commit::Arguments),
    /// Give changes of a workspace up
    Discard(review::discard::Arguments),
    /// Workspaces: what runs with --cow changed
    Workspace(review::list::Arguments),
    /// Say whether this machine can sandbox, and how to fix what forbids it
    Doctor(doctor::Arguments),
    /// Check profiles and manifests
    Profile(profile::Arguments),
    /// What programs removed that ran with access `trash`
    Trash(trash::Arguments),
    /// Apps: what they ask for, and what you allow
    App(app::Arguments),
    /// Decisions that were made when runs asked, to hold from then on
    Grants(grants::Arguments),
    /// Allow a running sandbox one thing more
    Grant(grants::Change),
    /// Take from a running sandbox what it was allowed
    Revoke(grants::Change),
}

/// The description of the command line.
pub fn command() -> clap::Command {
    <Arguments as clap::CommandFactory>::command()
}

/// Runs the program.
pub fn main() -> ExitCode {
    match std::env::args_os().nth(1) {
        Some(word) if word == swathe_mounter::COMMAND => {
            return ExitCode::from(swathe_mounter::serve());
        }
        Some(word) if word == swathe_netns::COMMAND => {
            return ExitCode::from(swathe_netns::serve());
        }
        Some(word) if word == swathe_netns::pasta::COMMAND => {
            return ExitCode::from(swathe_netns::pasta::serve());
        }
        Some(word) if word == swathe_net::COMMAND => return ExitCode::from(swathe_net::serve()),
        _ => {}
    }
    let hidden =
        check::hidden().or_else(degraded::hidden).or_else(edge::hidden).or_else(attend::hidden);
    let result = hidden.unwrap_or_else(|| run_command(Arguments::parse().command));
    match result {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            failure.print();
            ExitCode::from(failure.code)
        }
    }
}

fn run_command(command: Command) -> Result<u8, Failure> {
    match command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Shell(arguments) => run::shell(&arguments),
        Command::Learn(arguments) => learn::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Why(arguments) => why::run(&arguments),
        Command::Check(arguments) => check::run(&arguments),
        Command::Ps(arguments) => processes::ps(&arguments),
        Command::Net(arguments) => net::run(&arguments),
        Command::Kill(arguments) => processes::kill(&arguments),
        Command::Enter(arguments) => session::enter(&arguments),
        Command::Session(arguments) => session::session(&arguments),
        Command::Diff(arguments) => review::diff::run(&arguments),
        Command::Commit(arguments) => review::commit::run(&arguments),
        Command::Discard(arguments) => review::discard::run(&arguments),
        Command::Workspace(arguments) => review::list::run(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Profile(arguments) => profile::run(&arguments),
        Command::Trash(arguments) => trash::run(&arguments),
        Command::App(arguments) => app::run(&arguments),
        Command::Grants(arguments) => grants::run(&arguments),
        Command::Grant(change) => grants::change(&change, true),
        Command::Revoke(change) => grants::change(&change, false),
    }
}

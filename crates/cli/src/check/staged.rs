//! Hidden commands: what `swathe check` starts of itself.

use super::facts::Facts;
use super::runner;
use crate::out::Failure;
use clap::Parser as _;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Signal;
use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use swathe_sys::signal::SignalSet;

/// How long the planted process lives if nobody ends it.
const LIFE: Duration = Duration::from_secs(300);
/// How often it looks whether its directory is still there.
const TICK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// What is no part of the command line that people see, in help, completions and manual.
#[derive(clap::Parser)]
enum Hidden {
    /// A session with something to attack, and a command.
    #[command(name = "__stage")]
    Stage(Arguments),
    /// What is attacked.
    #[command(name = "__victim")]
    Victim(Arguments),
    /// The probes.
    #[command(name = "__probe")]
    Probe(Arguments),
}

/// Words of a hidden command.
#[derive(clap::Args)]
struct Arguments {
    /// A terminal to become the controlling one
    #[arg(long)]
    terminal: Option<PathBuf>,
    /// What probes have to know
    #[arg(long)]
    facts: Option<String>,
    /// What follows
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

/// Runs a hidden command, if the program was started with one.
pub fn hidden() -> Option<Result<u8, Failure>> {
    let first = std::env::args_os().nth(1)?;
    if !["__stage", "__victim", "__probe"].iter().any(|name| first == *name) {
        return None;
    }
    Some(match Hidden::parse() {
        Hidden::Stage(arguments) => stage(&arguments),
        Hidden::Victim(arguments) => victim(&arguments),
        Hidden::Probe(arguments) => probe(&arguments),
    })
}

/// A session of its own with a process to attack, and then the command, with the facts as its last
/// word.
fn stage(arguments: &Arguments) -> Result<u8, Failure> {
    let cannot = |what: &str, e: std::io::Error| Failure::new(format!("cannot {what}: {e}"));
    let text = arguments.facts.as_deref().unwrap_or_default();
    let mut facts: Facts = serde_json::from_str(text).map_err(|e| Failure::new(e.to_string()))?;
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|e| cannot("end with the check", e.into()))?;
    rustix::process::setsid().map_err(|e| cannot("begin a session", e.into()))?;
    if let Some(path) = &arguments.terminal {
        let terminal = std::fs::OpenOptions::new().read(true).write(true).open(path);
        // Without one the probe of it is closed outside, too.
        drop(terminal.map(swathe_sys::terminal::set_controlling));
    }
    let program = std::env::current_exe().map_err(|e| cannot("find the program", e))?;
    let victim = Command::new(program)
        .args(["__victim", "--facts", text])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|e| cannot("start a process to attack", e))?;
    facts.victim = victim.id().cast_signed();
    facts.above = if facts.inside { 1 } else { facts.victim };
    let (first, rest) = arguments
        .words
        .split_first()
        .ok_or_else(|| Failure::new("there is no command to stage"))?;
    let text = serde_json::to_string(&facts).map_err(|e| Failure::new(e.to_string()))?;
    let error = Command::new(first).args(rest).arg("--facts").arg(text).exec();
    Err(cannot("execute the command", error))
}

/// Waits to be attacked: writes down which signals reach it, and ends with its directory.
fn victim(arguments: &Arguments) -> Result<u8, Failure> {
    let facts: Facts = serde_json::from_str(arguments.facts.as_deref().unwrap_or_default())
        .map_err(|e| Failure::new(e.to_string()))?;
    let cannot = |e: rustix::io::Errno| Failure::new(format!("cannot wait for signals: {e}"));
    let signals = SignalSet::new(&[Signal::USR1.as_raw(), Signal::USR2.as_raw()]);
    signals.block().map_err(cannot)?;
    // The session's end.
    swathe_sys::probe::ignore(Signal::HUP.as_raw()).map_err(cannot)?;
    let fd = signals.descriptor().map_err(cannot)?;
    let end = Instant::now() + LIFE;
    while facts.outside.exists() && Instant::now() < end {
        if poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&TICK)) == Ok(1) {
            // struct signalfd_siginfo: the signal's number comes first.
            let mut info = [0; 128];
            if rustix::io::read(&fd, &mut info).is_ok() {
                let name = format!("signal-{}", info[0]);
                // The directory may have gone meanwhile.
                drop(std::fs::write(facts.outside.join(name), facts.secret()));
            }
        }
    }
    Ok(0)
}

/// Tries all probes.
fn probe(arguments: &Arguments) -> Result<u8, Failure> {
    runner::run(arguments.facts.as_deref().unwrap_or_default())
}

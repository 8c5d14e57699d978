//! `swathe ps` and `swathe kill`.

use crate::out::{Failure, Printer, Style, shown};
use crate::rundir::{self, State};
use rustix::process::{Pid, Signal, kill_process};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long a sandbox may take to end by itself.
const GRACE: Duration = Duration::from_secs(5);

/// Options of `swathe ps`.
#[derive(clap::Args)]
pub struct PsArguments {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Options of `swathe kill`.
#[derive(clap::Args)]
pub struct KillArguments {
    /// End it at once instead of asking its program to end first
    #[arg(long)]
    now: bool,
    /// The sandboxes, as swathe ps names them
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<String>,
}

/// Lists running sandboxes.
pub fn ps(arguments: &PsArguments) -> Result<u8, Failure> {
    let running = rundir::running()?;
    let mut out = Printer::stdout();
    if arguments.json {
        let text =
            serde_json::to_string_pretty(&running).map_err(|e| Failure::new(e.to_string()))?;
        out.line(&text);
    } else if running.is_empty() {
        out.line("no sandbox of yours is running");
    } else {
        out.styled(Style::Bold, &format!("{:24} {:>8} {:>8}  {}", "RUN", "PID", "TIME", "COMMAND"));
        out.plain("\n");
        for state in &running {
            let room = out.width().saturating_sub(44);
            let command: String = shown(&state.command.join(" ")).chars().take(room).collect();
            out.line(&format!("{:24} {:>8} {:>8}  {command}", state.id, state.pid, age(state)));
        }
    }
    out.finish()?;
    Ok(0)
}

fn age(state: &State) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
    let seconds = now.saturating_sub(state.started);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}

/// The running sandbox of this name.
pub fn find(name: &str) -> Result<State, Failure> {
    let running = rundir::running()?;
    let named = running.iter().find(|s| s.id == name || s.session.as_deref() == Some(name));
    named.cloned().ok_or_else(|| {
        Failure::new(format!("no sandbox {} is running", shown(name)))
            .hint("swathe ps lists those that are")
    })
}

/// Ends sandboxes.
pub fn kill(arguments: &KillArguments) -> Result<u8, Failure> {
    let states = arguments.runs.iter().map(|run| find(run)).collect::<Result<Vec<_>, _>>()?;
    for state in &states {
        let pid = i32::try_from(state.pid).ok().and_then(Pid::from_raw);
        let Some(pid) = pid else { continue };
        if !arguments.now {
            // Passed on to the program, which may end in its own way.
            let _ = kill_process(pid, Signal::TERM);
            let end = Instant::now() + GRACE;
            while Instant::now() < end && is_running(&state.id)? {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        if is_running(&state.id)? {
            // The kernel ends everything inside with the engine.
            let _ = kill_process(pid, Signal::KILL);
        }
    }
    Ok(0)
}

fn is_running(id: &str) -> Result<bool, Failure> {
    Ok(rundir::running()?.iter().any(|state| state.id == id))
}

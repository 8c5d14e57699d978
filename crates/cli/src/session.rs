//! `swathe session`, `swathe enter`, and `swathe run --session`: sandboxes that stay, and commands
//! that enter them.

use crate::attend::Outside;
use crate::cow::{self, Keep, Workspace};
use crate::edge::Edge;
use crate::net;
use crate::out::{Failure, shown};
use crate::rundir::{self, Record, State};
use crate::wanted::{self, Ask, Options};
use crate::{attend, live, processes, run, streams, terminal};
use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::Stdio;
use swathe::Event;
use swathe::serve::{Error, Request, Session};

/// The longest name of a session.
const MAX_NAME: usize = 64;

/// Variables of the caller's terminal, which an entering command gets.
const TERMINAL: [&str; 3] = ["TERM", "COLORTERM", "NO_COLOR"];

/// Options of `swathe session`.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Start a sandbox that stays until it is stopped
    Start(Box<Start>),
    /// End sessions and everything that runs in them
    Stop(Stop),
}

#[derive(clap::Args)]
struct Start {
    #[command(flatten)]
    options: Options,
    /// The session's name: letters, digits, `.`, `_` and `-`
    name: String,
}

#[derive(clap::Args)]
struct Stop {
    /// The sessions
    #[arg(required = true, value_name = "NAME")]
    names: Vec<String>,
}

/// Options of `swathe enter`.
#[derive(clap::Args)]
pub struct EnterArguments {
    /// The sandbox, as swathe ps names it
    run: String,
    /// The program and its arguments; a shell if left out
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// Starts or stops sessions.
pub fn session(arguments: &Arguments) -> Result<u8, Failure> {
    match &arguments.command {
        Command::Start(start) => self::start(start),
        Command::Stop(stop) => self::stop(stop),
    }
}

fn valid(name: &str) -> Result<(), Failure> {
    let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty()
        || name.len() > MAX_NAME
        || name.starts_with(['.', '-'])
        || !name.chars().all(fine)
    {
        return Err(Failure::new(format!("{:?} is no name of a session", shown(name)))
            .hint(format!("letters, digits, `.`, `_` and `-`, at most {MAX_NAME}")));
    }
    Ok(())
}

fn start(start: &Start) -> Result<u8, Failure> {
    valid(&start.name)?;
    if start.options.ask.is_wanted() {
        return Err(Failure::new("nobody can be asked by a session: this process ends")
            .hint("grant it by --allow or in a profile before it starts"));
    }
    let record = Record::session(&start.name, &[])?;
    let mut wanted = wanted::resolve(&start.options, &[], record.id(), Ask::Yes, Keep::Session)?;
    for note in &wanted.sandbox.notes {
        crate::out::note(&note.0);
    }
    let edge = Edge::new(&mut wanted, &start.options, record.id(), &[], false)?;
    let files = edge.as_ref().map(Edge::files).unwrap_or_default();
    let network = wanted.sandbox.network.as_ref().map(net::Reach::from);
    let way = match &network {
        Some(_) => start.options.network(&mut wanted.sandbox.plan)?,
        None => net::Options::default(),
    };
    let bridge = wanted.bridge()?;
    let plan = &mut wanted.sandbox.plan;
    plan.command.clear();
    let life = &mut plan.lifecycle;
    // It outlives this process, and has no terminal: commands bring their own.
    life.die_with_parent = false;
    life.end_with_command = false;
    life.forward_signals = false;
    life.pty = false;
    life.new_session = true;
    let command = run::with_data(&wanted.sandbox)?;
    let listener = swathe::serve::listen(record.socket()).map_err(|e| terminal::refused(&e))?;
    let workspace = wanted.workspace.take();
    let mut command = command.serve(listener).hold(record.lock()?);
    if let Some(lock) = workspace.as_ref().map(Workspace::lock).transpose()?.flatten() {
        command = command.hold(lock);
    }
    let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let command = match edge {
        Some(edge) => edge.start_apart(command)?,
        None => command,
    };
    let mut child = command.hold_start().spawn_apart().map_err(|e| run::engine_failure(&e))?;
    let netns = child.network_namespace().map_err(|e| run::engine_failure(&e))?;
    let mounts = live::namespace(&mut child)?;
    let name = workspace.as_ref().and_then(Workspace::name);
    record.started(child.id(), &wanted.sandbox, name)?;
    if let Err(error) = answers(&record.socket()) {
        // It has ended, or will: what it says of itself is better than what the socket says.
        drop(child.kill());
        drop(child.wait());
        let failed = child.events().find_map(|event| match event {
            Event::Failed(error) => Some(error),
            Event::Ended(_) => None,
        });
        return Err(match failed {
            Some(failed) => run::set_up_failure(&wanted.sandbox, &failed),
            None => terminal::refused(&error),
        });
    }
    let rules = network.map(|reach| Outside::Rules(Box::new(net::Apart { reach, files, way })));
    let network = rules.or(bridge.map(Outside::Whole)).zip(netns);
    let attended =
        mounts.map(|mounts| attend::start(&record, &wanted.sandbox, &child, mounts, network));
    if let Some(Err(failure)) = attended {
        drop(Session::connect(record.socket()).and_then(|session| session.stop()));
        return Err(failure);
    }
    if let Some(app) = &wanted.app {
        app.record_use()?;
    }
    record.hand_over();
    if let Some(workspace) = workspace {
        workspace.hand_over();
    }
    Ok(0)
}

/// Whether the sandbox takes commands: it has to be asked to run one, which need not exist.
fn answers(socket: &Path) -> Result<(), Error> {
    let null = std::fs::File::open("/dev/null")
        .map_err(|error| Error::System { step: "open /dev/null", error })?;
    let mut request = Request::new(["/proc/self/no-such-program"]);
    let null = std::os::fd::AsFd::as_fd(&null);
    (request.stdin, request.stdout, request.stderr) = (null, null, null);
    match Session::connect(socket)?.run(&request).and_then(swathe::serve::Running::wait) {
        Ok(_) | Err(Error::Failed { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

fn stop(stop: &Stop) -> Result<u8, Failure> {
    for name in &stop.names {
        let state = processes::find(name)?;
        if state.session.is_none() {
            return Err(Failure::new(format!("{} is no session", shown(name)))
                .hint(format!("swathe kill {} ends it", shown(name))));
        }
        end(&state)?;
    }
    Ok(0)
}

/// Ends a session; returns when nothing of it is left.
pub fn end(state: &State) -> Result<(), Failure> {
    let session =
        Session::connect(rundir::socket(&state.id)?).map_err(|e| terminal::refused(&e))?;
    session.stop().map_err(|e| terminal::refused(&e))?;
    // Its record goes with its lock.
    rundir::running()?;
    match &state.workspace {
        Some(name) => cow::ended(name, &crate::store::environment()?),
        None => Ok(()),
    }
}

/// Runs a command in a sandbox that runs already.
pub fn enter(arguments: &EnterArguments) -> Result<u8, Failure> {
    let state = processes::find(&arguments.run)?;
    let shell = [OsString::from("/bin/sh")];
    let command: &[OsString] =
        if arguments.command.is_empty() { &shell } else { &arguments.command };
    run_in(&state.id, Some(&state), command)
}

/// Runs a command in a session by its name. It does not look at what else runs.
pub fn run_in_session(name: &str, command: &[OsString]) -> Result<u8, Failure> {
    valid(name)?;
    let state = rundir::read(name)?;
    run_in(name, state.as_ref(), command)
}

fn run_in(id: &str, state: Option<&State>, command: &[OsString]) -> Result<u8, Failure> {
    let session = Session::connect(rundir::socket(id)?).map_err(|error| match error {
        Error::Connect { .. } => Failure::new(format!("no sandbox {} is running", shown(id)))
            .hint("swathe ps lists those that are")
            .hint(format!("swathe session start {} starts one", shown(id))),
        error => terminal::refused(&error),
    })?;
    let mut request = Request::new(command);
    // Where the caller is, if that is visible inside.
    let cwd = std::env::current_dir().ok().and_then(|cwd| cwd.canonicalize().ok());
    request.cwd = cwd.filter(|cwd| {
        state.is_some_and(|state| state.shown.iter().any(|shown| cwd.starts_with(shown)))
    });
    for name in TERMINAL {
        if let Some(value) = std::env::var_os(name) {
            request.env.push((name.into(), Some(value)));
        }
    }
    if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
        terminal::run_on_terminal(&session, request)
    } else {
        streams::check()?;
        let input = streams::input()?;
        let (pipe, relay) = input.unzip();
        let stdin = pipe.as_ref().map_or(request.stdin, |pipe| pipe.as_fd());
        if let Some(relay) = relay {
            relay.start()?;
        }
        terminal::run_plain(&session, &Request { stdin, ..request })
    }
}

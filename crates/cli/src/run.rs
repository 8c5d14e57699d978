//! `swathe run` and `swathe shell`.

use crate::cow::{self, Keep};
use crate::edge::{Edge, Watched};
use crate::globs::{Globs, Hidden};
use crate::history::History;
use crate::limits::{self, Group};
use crate::live::{self, Live};
use crate::net::{self, Bridge, Keeper, Prepared, Sink};
use crate::out::{Failure, shown};
use crate::rundir::Record;
use crate::streams::{self, Signals};
use crate::wanted::{self, Ask, Options, Wanted};
use crate::{ask, degraded};
use rustix::process::{Signal, pidfd_send_signal};
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use swathe::{Child, Command, Event, ExitStatus, SetupError};
use swathe_netns::pasta::Pasta;
use swathe_policy::resolve::{Network, Sandbox};

/// Steps of the engine that fail where no sandbox can be made at all.
const NO_NAMESPACES: [&str; 2] = ["Clone", "UnshareUser"];

/// Options of `swathe run`.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    options: Options,
    /// Run it in this session instead of a sandbox of its own
    #[arg(long, value_name = "NAME", conflicts_with_all = [
        "write", "profile", "app", "allow", "net", "net_deny", "publish", "net_proxy", "net_way",
        "unprotect", "allow_degraded"
    ])]
    session: Option<String>,
    /// The program and its arguments; a profile or app may name one
    #[arg(
        required_unless_present_any = ["profile", "app"],
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "CMD"
    )]
    command: Vec<OsString>,
}

/// Options of `swathe shell`.
#[derive(clap::Args)]
pub struct ShellArguments {
    #[command(flatten)]
    options: Options,
}

/// Runs a program.
pub fn run(arguments: &Arguments) -> Result<u8, Failure> {
    match &arguments.session {
        Some(name) => crate::session::run_in_session(name, &arguments.command),
        None => start(&arguments.options, &arguments.command),
    }
}

/// Runs the user's shell.
pub fn shell(arguments: &ShellArguments) -> Result<u8, Failure> {
    let shell = std::env::var_os("SHELL").filter(|shell| !shell.is_empty());
    start(&arguments.options, &[shell.unwrap_or_else(|| OsString::from("/bin/sh"))])
}

fn start(options: &Options, words: &[OsString]) -> Result<u8, Failure> {
    go(options, words).map(|(status, _)| status)
}

/// Runs a program; its status and what was recorded of it, if anything was.
pub fn go(options: &Options, words: &[OsString]) -> Result<(u8, Option<History>), Failure> {
    // Before anything else is opened: it may be told a number.
    let way = ask::way(&options.ask)?;
    streams::check()?;
    let record = Record::new(words)?;
    let mut wanted = wanted::resolve(options, words, record.id(), Ask::Yes, Keep::Yes)?;
    for note in &wanted.sandbox.notes {
        crate::out::note(&note.0);
    }
    let workspace = wanted.workspace.take();
    if options.allow_degraded.iter().any(|name| name == degraded::NAMESPACES) {
        let layers = crate::host::layers();
        if degraded::needed(&layers, &options.allow_degraded)? {
            cow::none_degraded(workspace.as_ref())?;
            if !wanted.sandbox.lasting.is_empty() {
                return Err(Failure::new("files.hide with a glob needs namespaces")
                    .hint("name the paths themselves, or leave --allow-degraded out"));
            }
            if options.record || options.audit.is_some() || options.ask.is_wanted() {
                let text = "--record, --audit and --ask need namespaces";
                return Err(
                    Failure::new(text).hint("leave them out, or --allow-degraded namespaces")
                );
            }
            return degraded::run(&wanted, &layers).map(|status| (status, None));
        }
    }
    let way = way.or_else(|| asked_for(&wanted.sandbox));
    // Also when the set-up fails: an empty workspace goes.
    let result = in_sandbox(options, words, &record, &mut wanted, workspace.as_ref(), way);
    drop(record);
    let kept = workspace.map_or(Ok(()), cow::Workspace::finish);
    let ended = result?;
    kept.map(|()| ended)
}

fn in_sandbox(
    options: &Options,
    words: &[OsString],
    record: &Record,
    wanted: &mut Wanted,
    workspace: Option<&cow::Workspace>,
    way: Option<ask::Way>,
) -> Result<(u8, Option<History>), Failure> {
    if let Some(way) = &way {
        ask::adapt(way, &mut wanted.sandbox.plan)?;
    }
    let asks_of_hosts = asks_of_hosts(&wanted.sandbox, options, way.is_some());
    let network = wanted.sandbox.network.as_ref().map(net::Reach::from);
    let network = match network {
        Some(reach) => {
            let way = options.network(&mut wanted.sandbox.plan)?;
            Some(Prepared::new(reach, &way, asks_of_hosts)?)
        }
        None => None,
    };
    let bridge = wanted.bridge()?;
    let edge = Edge::new(wanted, options, record.id(), words, way.is_some())?;
    let mut command = with_data(&wanted.sandbox)?;
    let mut relay = None;
    if let Some((input, started)) = streams::input()? {
        command = command.stdin(input);
        relay = Some(started);
    }
    let signals = Signals::hold();
    let listener =
        swathe::serve::listen(record.socket()).map_err(|e| crate::terminal::refused(&e))?;
    let mut command = command.serve(listener);
    if let Some(lock) = workspace.map(cow::Workspace::lock).transpose()?.flatten() {
        // As long as anything of the sandbox lives, whatever becomes of this process.
        command = command.hold(lock);
    }
    let group = wanted.group.as_ref().and_then(|(delegation, memory)| {
        Group::make(delegation, record.id(), &wanted.sandbox.limits, *memory)
    });
    let command = match &group {
        Some(group) => group.start(command),
        None => command,
    };
    let (command, mut edge) = match edge {
        Some(edge) => edge.start(command).map(|(command, handle)| (command, Some(handle)))?,
        None => (command, None),
    };
    let globs = Hidden::of(&wanted.sandbox).map(Hidden::watch).transpose()?;
    let holds = globs.is_some() || network.is_some() || bridge.is_some();
    let command = if holds { command.hold_start() } else { command };
    let settings = crate::terminal::Settings::keep();
    // The engine says what fails only to us: we know what asked for it.
    let mut child = command.spawn().map_err(|e| engine_failure(&e))?;
    if let Some(relay) = relay {
        relay.start()?;
    }
    let network = match (network, &edge) {
        (Some(network), Some(edge)) => connect(network, &mut child, edge.sink())?,
        _ => None,
    };
    let pasta = match bridge {
        Some(bridge) => bring_in(&bridge, &mut child)?,
        None => None,
    };
    record.started(child.id(), &wanted.sandbox, workspace.and_then(cow::Workspace::name))?;
    let watch = workspace.map(|workspace| workspace.watch(&child)).transpose()?.flatten();
    if let Some(app) = &wanted.app {
        app.record_use()?;
    }
    let mounts = live::namespace(&mut child)?;
    let is_up = mounts.is_some();
    let live = Live::new(child.id(), mounts, wanted.sandbox.shown.clone(), wanted.places.clone());
    if let Some(globs) = globs.filter(|_| is_up) {
        hide_later(&live, globs, &child)?;
    }
    if let Some(network) = &network {
        live.set_network(network.controls());
    }
    live.listen(crate::control::listen(&record.control())?)?;
    let asker = match (way, &mut edge) {
        (Some(way), Some(edge)) => {
            let app = options.app.as_deref();
            let subject = ask::subject::of(app, &options.profile, words, &wanted.places);
            let (id, env) = (record.id(), wanted.places.clone());
            let run = ask::Run { id, subject, env, child: &child, signals: &signals };
            let asker = ask::start(&options.ask, way, run)?;
            edge.ask(asker.desk().clone(), live)?;
            if let Some(network) = network.as_ref().filter(|_| asks_of_hosts) {
                network.ask(asker.desk().clone());
            }
            Some(asker)
        }
        _ => None,
    };
    let (status, reached) =
        limits::wait(&mut child, &wanted.sandbox.limits, &signals, group.as_ref())?;
    let edge = edge.map(|edge| edge.reached(&reached));
    let trouble = edge.as_ref().and_then(Watched::trouble);
    drop(asker);
    drop(network);
    if pasta.is_some_and(|mut pasta| pasta.has_ended()) {
        crate::out::note("pasta ended before the program, which reached nothing since then");
    }
    drop(settings);
    if let Some(why) = watch.and_then(|watch| watch.ended_for()) {
        crate::out::note(&why);
    }
    let failed = child.events().find_map(|event| match event {
        Event::Failed(error) => Some(error),
        Event::Ended(_) => None,
    });
    match (status, failed) {
        (_, Some(_)) if trouble.is_some() => Err(Failure::new(trouble.unwrap_or_default())),
        (_, Some(error)) => {
            if NO_NAMESPACES.contains(&error.step.as_str()) {
                // Why, and what can be done: not asked before each run that goes well.
                degraded::needed(&crate::host::layers(), &options.allow_degraded)?;
            }
            let failure = set_up_failure(&wanted.sandbox, &error);
            Err(if cow::is_overlay(&error) { cow::no_overlay(failure) } else { failure })
        }
        (ExitStatus::Exited(code), None) => ended(u8::try_from(code).unwrap_or(u8::MAX), edge),
        (ExitStatus::Killed(signal), None) => {
            ended(u8::try_from(128 + signal).unwrap_or(u8::MAX), edge)
        }
        (ExitStatus::NotStarted, None) => {
            Err(Failure::new("the sandbox could not be started, and nothing says why"))
        }
    }
}

/// Hides what matches a glob and appears later. Where that cannot be kept, the sandbox ends.
fn hide_later(live: &Arc<Live>, globs: Globs, child: &Child) -> Result<(), Failure> {
    let pidfd = |what| Failure::new(format!("cannot watch the sandbox: {what}"));
    let copy = || child.pidfd().map(|fd| fd.try_clone_to_owned()).transpose();
    let copy = || copy().map_err(|e| pidfd(e.to_string()))?.ok_or_else(|| pidfd("no pidfd".into()));
    let (ended, engine) = (copy()?, copy()?);
    live.keep_hidden(globs, ended, move |failure| {
        failure.print();
        // It fails where it has ended by itself.
        let _ = pidfd_send_signal(&engine, Signal::KILL);
    })
}

/// Whether somebody is asked about hosts that no rule is about.
fn asks_of_hosts(sandbox: &Sandbox, options: &Options, somebody: bool) -> bool {
    let wanted = |network: &Network| network.ask || options.ask.is_wanted();
    somebody && sandbox.network.as_ref().is_some_and(wanted)
}

/// Sets the network up of a sandbox that is held back; none: it has ended, of which its end tells.
fn connect(network: Prepared, child: &mut Child, sink: Sink) -> Result<Option<Keeper>, Failure> {
    let engine = child.id();
    or_end(child, |child| match (network_of(child)?, child.pidfd()) {
        (Some(netns), Some(pidfd)) => network.attach(netns, pidfd, engine, sink).map(Some),
        _ => Ok(None),
    })
}

/// Brings the host's network into a sandbox that is held back; none: as [`connect`].
fn bring_in(bridge: &Bridge, child: &mut Child) -> Result<Option<Pasta>, Failure> {
    or_end(child, |child| network_of(child)?.map(|netns| bridge.start(netns)).transpose())
}

fn network_of(child: &mut Child) -> Result<Option<OwnedFd>, Failure> {
    child.network_namespace().map_err(|e| engine_failure(&e))
}

/// Does something for a sandbox that is held back, and must not run without it.
fn or_end<T>(
    child: &mut Child,
    make: impl FnOnce(&mut Child) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let made = make(child);
    if made.is_err() {
        let _ = child.kill();
        let _ = child.wait();
    }
    made
}

/// The user's terminal, where the policy wants something asked about and no option says whom.
fn asked_for(sandbox: &Sandbox) -> Option<ask::Way> {
    let hosts = sandbox.network.as_ref().is_some_and(|network| network.ask);
    let first = match sandbox.asks.first() {
        Some(path) => path.display().to_string(),
        None if hosts => "every host that no rule names".to_owned(),
        None => return None,
    };
    let terminal = ask::Options { ask: true, ..ask::Options::default() };
    match ask::way(&terminal) {
        Ok(way) => way,
        Err(_) => {
            let text = format!("{first} stays out of reach: there is nobody to ask");
            crate::out::note(&text);
            None
        }
    }
}

/// The program ran: its status, and what was seen of it.
fn ended(status: u8, edge: Option<Watched>) -> Result<(u8, Option<History>), Failure> {
    let history = edge.map(|edge| edge.finish(status)).transpose()?;
    Ok((status, history))
}

/// A command with the descriptors that its plan names.
pub fn with_data(sandbox: &Sandbox) -> Result<Command, Failure> {
    let pinned = crate::pinned::pin(sandbox)?;
    let mut command = Command::from_plan(pinned.plan);
    for (number, fd) in pinned.fds {
        command = command.fd(number, fd);
    }
    for data in &sandbox.data {
        command = command.data_at(data.fd, &data.bytes).map_err(|e| Failure::new(e.to_string()))?;
    }
    Ok(command)
}

/// The library cannot start the engine.
pub fn engine_failure(error: &swathe::Error) -> Failure {
    let failure = Failure::new(error.to_string());
    match error {
        swathe::Error::NoEngine(_) => {
            failure.hint("install it beside swathe, or name it: SWATHE_BWRAP=/path/to/bwrap")
        }
        _ => failure,
    }
}

/// A step of the set-up failed: what asked for it, why, and what to do.
pub fn set_up_failure(sandbox: &Sandbox, error: &SetupError) -> Failure {
    let mut failure = Failure::new(shown(&error.message));
    let asked = error.argument.and_then(|argument| source_of(sandbox, argument, error));
    if let Some(asked) = asked {
        failure = failure.hint(format!("asked for by {asked}"));
    }
    // The engine's advice is in the engine's words.
    let advice = |text: &&String| !text.starts_with("add --");
    for text in [&error.cause, &error.fix].into_iter().flatten().filter(advice) {
        failure = failure.hint(shown(text));
    }
    failure
}

/// Which of the plan's steps the engine speaks of: by the words, since it counts them.
fn source_of(sandbox: &Sandbox, _argument: u32, error: &SetupError) -> Option<String> {
    let words: Vec<Vec<u8>> = error.words.iter().map(|word| word.as_bytes().to_vec()).collect();
    let at = sandbox.plan.steps.iter().position(|step| crate::pinned::is_step(&step.op, &words))?;
    Some(crate::explain::source_text(sandbox.sources.get(at)?))
}

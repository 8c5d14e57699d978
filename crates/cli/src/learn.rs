//! `swathe learn`: from a run, or a file of its events, to a profile.

mod output;

use crate::cow::Keep;
use crate::explain::quoted;
use crate::host::HostFiles;
use crate::out::{Failure, note, shown, things};
use crate::store::Profiles;
use crate::wanted::{self, Ask, Options, refused};
use output::Output;
use std::ffi::OsString;
use std::fs::File;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use swathe_host::layers::Quick;
use swathe_policy::learn::{Class, Learned, MAX_EVENTS, Place, Shown, learn, merge, profile};
use swathe_policy::model::Intent;
use swathe_policy::resolve::Host;
use swathe_record::audit::{Recorded, read};
use swathe_record::html;

/// Options of `swathe learn`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Write the profile to this file, which must not exist; - is standard output
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["name", "merge"])]
    output: Option<PathBuf>,
    /// Write it as a profile of this name, for swathe run --profile NAME [default: the program's]
    #[arg(long, value_name = "NAME", conflicts_with = "merge")]
    name: Option<String>,
    /// Add to this profile what it lacks, and show the difference
    #[arg(long, value_name = "PROFILE")]
    merge: Option<OsString>,
    /// Change the profile without asking
    #[arg(short, long, requires = "merge")]
    yes: bool,
    /// Also write a report for a browser
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Learn from a file that --audit wrote, in the same directory, instead of a run
    #[arg(long, value_name = "FILE", conflicts_with_all = ["command", "expect"])]
    from: Option<PathBuf>,
    /// The exit status that means success
    #[arg(long, value_name = "STATUS", default_value_t = 0)]
    expect: u8,
    /// Access no broader than what was seen, such as no-delete; the next run may need more
    #[arg(long)]
    strict: bool,
    /// Allow this while watching, such as env=NAME
    #[arg(short, long, value_name = "INTENT")]
    allow: Vec<OsString>,
    /// Reach these hosts while watching, as swathe run has it; left out: every host of the internet at every port
    #[arg(long, value_name = "RULE,...", conflicts_with = "from")]
    net: Vec<OsString>,
    /// Watch without a network
    #[arg(long, conflicts_with_all = ["net", "from"])]
    no_net: bool,
    /// Watch although this layer cannot be enforced here: landlock
    #[arg(long, value_name = "LAYER")]
    allow_degraded: Vec<String>,
    /// Use the caller's terminal as plain standard streams, without one of its own
    #[arg(long)]
    no_pty: bool,
    /// The program and its arguments
    #[arg(
        required_unless_present = "from",
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "CMD"
    )]
    command: Vec<OsString>,
}

/// Learns from a run, or from a file.
pub fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let host = crate::host::probe(&Quick::probe())?;
    // Before the run, which would be for nothing.
    let output = Output::new(arguments, &host.places)?;
    output::free(arguments.html.as_deref())?;
    let (status, recorded) = match &arguments.from {
        Some(path) => (arguments.expect, from_file(path)?),
        None => record(arguments, &output)?,
    };
    finish(status, &recorded, arguments, &host, &output)
}

/// A run of which everything is seen and nothing stays: its status, and what was seen.
fn record(arguments: &Arguments, output: &Output) -> Result<(u8, Recorded), Failure> {
    let options = Options {
        profile: output.merged().map(|path| vec![path.into()]).unwrap_or_default(),
        allow: arguments.allow.clone(),
        net: network(arguments),
        allow_degraded: arguments.allow_degraded.clone(),
        no_pty: arguments.no_pty,
        record: true,
        throwaway: true,
        ..Options::default()
    };
    let (status, history) = crate::run::go(&options, &arguments.command)?;
    let history = history.ok_or_else(|| {
        Failure::new("nothing was recorded: without namespaces a program cannot be watched")
    })?;
    Ok((status, history.read()?))
}

/// Every name and every address that is not special, at every port: each is told by its name.
const EVERYTHING: &str = "*:*";

/// What is reached while watching.
fn network(arguments: &Arguments) -> Vec<OsString> {
    let own = arguments.allow.iter().any(|word| word.as_bytes().starts_with(b"net."));
    if arguments.no_net || own || !arguments.net.is_empty() {
        return arguments.net.clone();
    }
    vec![EVERYTHING.into()]
}

fn from_file(path: &std::path::Path) -> Result<Recorded, Failure> {
    let failed = |e| Failure::new(format!("cannot read {}: {e}", shown(&path.to_string_lossy())));
    let recorded = read(File::open(path).map_err(failed)?, MAX_EVENTS).map_err(failed)?;
    if recorded.events.is_empty() {
        let name = shown(&path.to_string_lossy());
        return Err(Failure::new(format!("{name} holds no events, so there is nothing to learn"))
            .hint("swathe run --audit FILE CMD writes such a file"));
    }
    Ok(recorded)
}

/// The report, and after a successful run the profile. Gives the exit status.
fn finish(
    status: u8,
    recorded: &Recorded,
    arguments: &Arguments,
    host: &Host,
    output: &Output,
) -> Result<u8, Failure> {
    if let Some(path) = &arguments.html {
        let words: Vec<_> = arguments.command.iter().map(|word| quoted(word.as_bytes())).collect();
        let title = if words.is_empty() { "a recorded run".into() } else { words.join(" ") };
        crate::store::create(path, &html::report(&title, &recorded.events, recorded.lost))?;
        note(&format!("the report is {}", path.display()));
    }
    if status != arguments.expect {
        return unsuccessful(status, recorded);
    }
    if recorded.lost + recorded.bad > 0 {
        let missing = recorded.lost + recorded.bad;
        note(&format!("{missing} events are missing: the profile may lack lines"));
    }
    let learned = learned(recorded, arguments, host, output)?;
    let of = |class| learned.lines.iter().filter(|line| line.class == class).count();
    let (withheld, tolerated) = (of(Class::Withheld), of(Class::Tolerated));
    output.write(arguments, host, &learned)?;
    if withheld > 0 {
        let what = things(withheld);
        note(&format!("left to you, as comments of the profile: {what} that it used"));
    }
    if tolerated > 0 && output.merged().is_none() {
        let what = things(tolerated);
        note(&format!("comments, too: {what} that it was denied and did without"));
    }
    Ok(0)
}

/// What to do about a run that failed: no profile of it would let it succeed.
fn unsuccessful(status: u8, recorded: &Recorded) -> Result<u8, Failure> {
    use swathe_record::event::{Layer, Outcome};
    note(&format!("the program ended with status {status}, so no profile is written"));
    let denied = recorded
        .events
        .iter()
        .filter(|event| matches!(event.outcome, Outcome::Denied(_)) && event.layer != Layer::Other);
    let network = denied.clone().find(|event| event.layer == Layer::Network);
    if let Some(event) = network {
        note(&format!(
            "it could not reach {}: --net {} lets it, while watching",
            event.object,
            event.rule.as_deref().unwrap_or("HOST:PORT")
        ));
    } else if denied.count() > 0 {
        note("swathe why says what it was denied");
    } else if let Some(reason) = recorded.events.iter().rev().find_map(|e| e.reason.as_deref()) {
        // A host that does not answer.
        note(&format!("not the sandbox: {}", shown(reason)));
    }
    Ok(status.max(1))
}

/// What the events say, beside what a run without any intent has.
fn learned(
    recorded: &Recorded,
    arguments: &Arguments,
    host: &Host,
    output: &Output,
) -> Result<Learned, Failure> {
    let options = Options {
        allow_degraded: arguments.allow_degraded.clone(),
        no_pty: true,
        ..Options::default()
    };
    let plain = wanted::resolve(&options, &arguments.command, "learn", Ask::No, Keep::No)?;
    let profiles: Vec<OsString> = output.merged().map(OsString::from).into_iter().collect();
    let loaded = swathe_policy::load(
        &Profiles::new(&host.places),
        &profiles,
        &host.places,
        &arguments.allow,
    )
    .map_err(|found| refused(&found))?;
    let mut given: Vec<Intent> = loaded.policy.intents.into_iter().map(|d| d.intent).collect();
    let net = wanted::network(&Options { net: network(arguments), ..Options::default() })?;
    given.extend(net.into_iter().map(|declared| declared.intent));
    let base = Shown::of(&plain.sandbox);
    let place = Place {
        env: &host.places,
        uid: host.uid,
        base: &base,
        vars: &host.env,
        given: &given,
        strict: arguments.strict,
        files: &HostFiles::default(),
    };
    Ok(learn(&recorded.events, &place))
}

//! `swathe grants`, `swathe grant` and `swathe revoke`.

use crate::control::{self, Request};
use crate::out::{Failure, Printer, Style, shown};
use crate::profile::print_json;
use crate::store::{Asked, environment};
use crate::wanted::refused;
use crate::{processes, rundir};
use serde_json::{Value, json};
use std::ffi::OsString;
use swathe_policy::standing::{About, Decided};
use swathe_policy::{Standing, words};
use swathe_record::ask::Want;

/// Options of `swathe grants`.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Forget decisions, so that they are asked again
    Forget {
        /// The decisions, as swathe grants lists them
        #[arg(required_unless_present = "all", value_name = "ID")]
        ids: Vec<String>,
        /// All of them
        #[arg(long, conflicts_with = "ids")]
        all: bool,
    },
}

/// Options of `swathe grant` and `swathe revoke`.
#[derive(clap::Args)]
pub struct Change {
    /// The sandbox, as swathe ps names it
    run: String,
    /// What, as behind `--allow`: files.dir=~/data:ro
    #[arg(required = true, value_name = "INTENT")]
    intents: Vec<OsString>,
}

/// Runs it.
pub fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let asked = Asked::new(&environment()?);
    match &arguments.command {
        None if arguments.json => print_json(&list_json(&asked.read()?))?,
        None => list(&asked.read()?)?,
        Some(Command::Forget { all: true, .. }) => {
            asked.change(|standing| standing.0.clear())?;
        }
        Some(Command::Forget { ids, .. }) => forget(&asked, ids)?,
    }
    Ok(0)
}

/// What is wanted, in a word.
fn verb(want: Want) -> &'static str {
    match want {
        Want::Read => "read",
        Want::Write => "write",
        Want::Remove => "remove",
        Want::Run => "run",
        Want::Connect => "connect",
        Want::Listen => "listen",
        Want::Call => "call",
    }
}

fn list(standing: &Standing) -> Result<(), Failure> {
    let mut out = Printer::stdout();
    if standing.0.is_empty() {
        out.line("nothing was decided for always or never");
    }
    let mut last = None;
    for (about, decided) in &standing.0 {
        if last != Some(&about.subject) {
            out.styled(Style::Bold, &shown(&about.subject.to_string())).plain("\n");
            last = Some(&about.subject);
        }
        let (style, word) =
            if decided.allow { (Style::Green, "always") } else { (Style::Red, "never") };
        let below = if about.directory { "/..." } else { "" };
        out.plain(&format!("  {}  ", about.id())).styled(style, &format!("{word:6}"));
        out.line(&format!(" {:7} {}{below}", verb(about.want), shown(&about.object.to_string())));
    }
    out.finish()
}

fn list_json(standing: &Standing) -> Value {
    let decision = |(about, decided): (&About, &Decided)| {
        json!({
            "id": about.id(),
            "subject": about.subject,
            "want": about.want,
            "object": about.object,
            "directory": about.directory,
            "allow": decided.allow,
            "when": decided.when,
        })
    };
    json!({ "decisions": standing.0.iter().map(decision).collect::<Vec<_>>() })
}

fn forget(asked: &Asked, ids: &[String]) -> Result<(), Failure> {
    asked.change(|standing| {
        let named = |id: &String| standing.0.keys().filter(|about| about.id() == *id).count();
        for id in ids {
            let problem = match named(id) {
                1 => continue,
                0 => "no decision",
                _ => "more than one decision",
            };
            return Err(Failure::new(format!("{problem} has the id {}", shown(id)))
                .hint("`swathe grants` lists them"));
        }
        standing.0.retain(|about, _| !ids.contains(&about.id()));
        Ok(())
    })?
}

/// Grants or revokes in a sandbox that runs.
pub fn change(change: &Change, grant: bool) -> Result<u8, Failure> {
    let state = processes::find(&change.run)?;
    let env = environment()?;
    let (declared, warnings) =
        words::read(&change.intents, &env).map_err(|errors| refused(&errors))?;
    // Nothing is changed where one of the words is wrong.
    let mut texts = Vec::new();
    for declared in &declared {
        let text = words::written(&declared.intent);
        let again = words::parse(std::ffi::OsStr::new(&text), &env);
        if again.ok().as_ref() != Some(&declared.intent) {
            return Err(Failure::new(format!("{} is not UTF-8", shown(&text)))
                .hint("what is granted to a running sandbox has to be"));
        }
        texts.push(text);
    }
    for warning in warnings.iter().filter(|_| grant) {
        crate::out::note(&warning.message);
    }
    let socket = rundir::control(&state.id)?;
    for text in texts {
        let request = if grant { Request::Grant(text) } else { Request::Revoke(text) };
        if let Some(note) = control::send(&socket, &state.id, &request)? {
            crate::out::note(&note);
        }
    }
    Ok(0)
}

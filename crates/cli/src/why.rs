//! `swathe why`: what the last run was denied, by which layer, and what would allow it.

use crate::explain::quoted;
use crate::history::{self, History};
use crate::host::HostFiles;
use crate::out::{Failure, Printer, Style, shown};
use crate::profile::print_json;
use crate::store::environment;
use serde_json::{Value, json};
use std::path::Path;
use swathe_policy::Environment;
use swathe_policy::resolve::{Files as _, Kind};
use swathe_policy::why::{Finding, Fix, Host, Run, explain};
use swathe_record::audit::Recorded;
use swathe_record::bytes::Bytes;
use swathe_record::event::Layer;

/// How many findings are shown.
const SHOWN: usize = 5;
/// Below this weight a finding is hardly why a run failed.
const LIKELY: i32 = 40;

/// Options of `swathe why`.
#[derive(clap::Args)]
pub struct Arguments {
    /// The run; the last one that was recorded if left out
    run: Option<String>,
    /// Show also what programs usually do without
    #[arg(long)]
    all: bool,
    /// List the runs that are kept
    #[arg(long, conflicts_with_all = ["run", "all"])]
    list: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What is on the host. What a run left out is looked for there.
struct Real(HostFiles);

impl Host for Real {
    fn kind(&self, path: &Path) -> Option<Kind> {
        self.0.kind(path)
    }
}

/// Runs it.
pub fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let mut env = environment()?;
    if arguments.list {
        return list(&env, arguments.json);
    }
    let history = history::find(&env, arguments.run.as_deref())?;
    let recorded = history.read()?;
    // What is below the working directory is that of the run.
    env.cwd = history.run.cwd.as_path().to_owned();
    let about = Run {
        status: history.run.status,
        limits: history.run.limits.clone(),
        online: history.run.network == "all",
        offline: matches!(history.run.network.as_str(), "none" | "loopback"),
        command: history.run.command.clone(),
    };
    let findings = explain(&about, &recorded.events, &env, &Real(HostFiles::default()));
    if arguments.json {
        print_json(&document(&history, &recorded, &findings, &env))?;
        return Ok(0);
    }
    let likely = |one: &&Finding| arguments.all || one.weight >= LIKELY;
    let most = if arguments.all { usize::MAX } else { SHOWN };
    let chosen: Vec<&Finding> = findings.iter().filter(likely).take(most).collect();
    let mut out = Printer::stdout();
    head(&mut out, &history);
    for (number, finding) in (1..).zip(&chosen) {
        draw(&mut out, number, finding, &env);
    }
    foot(&mut out, &history, &recorded, findings.len() - chosen.len());
    out.finish()?;
    Ok(0)
}

fn list(env: &Environment, json: bool) -> Result<u8, Failure> {
    let all = history::all(env);
    if json {
        let runs: Vec<Value> = all.iter().map(|one| json!(one.run)).collect();
        print_json(&json!({ "runs": runs }))?;
        return Ok(0);
    }
    let mut out = Printer::stdout();
    if all.is_empty() {
        out.line("no run was recorded");
    }
    for one in &all {
        out.line(&format!("{:24}  {:>6}  {}", shown(&one.run.id), status(one), command(one)));
    }
    out.finish()?;
    Ok(0)
}

fn status(history: &History) -> String {
    history.run.status.map_or_else(|| "-".to_owned(), |status| status.to_string())
}

fn command(history: &History) -> String {
    let words: Vec<String> = history.run.command.iter().map(Bytes::to_string).collect();
    words.join(" ")
}

fn head(out: &mut Printer, history: &History) {
    let ended = match history.run.status {
        Some(status) => format!("ended with status {status}"),
        None => "runs, or was ended with swathe".to_owned(),
    };
    out.styled(Style::Bold, &shown(&history.run.id)).plain(&format!(": {ended}\n"));
    let words = command(history);
    if !words.is_empty() {
        out.paragraph(2, &words);
    }
}

fn draw(out: &mut Printer, number: usize, finding: &Finding, env: &Environment) {
    out.plain("\n").styled(Style::Bold, &format!("{number}. {}", finding.cause)).plain("\n");
    let mut facts = vec![format!("layer: {}", layer(finding))];
    facts.extend(finding.error.map(|name| format!("error: {name}")));
    if finding.pid != 0 {
        let program = match finding.program.to_string() {
            name if name.is_empty() => "a program".to_owned(),
            name => name,
        };
        facts.push(format!("by {program} (process {})", finding.pid));
        facts.push(format!("at {}", clock(finding.time)));
    }
    if finding.count > 1 {
        facts.push(format!("{} times", finding.count));
    }
    out.paragraph(3, &facts.join(", "));
    out.paragraph(3, &format!("probably to {}", finding.purpose));
    if let Some(why) = &finding.never {
        out.paragraph(3, &format!("it cannot be allowed: {}", shown(why)));
    }
    for (at, fix) in finding.fixes.iter().enumerate() {
        // Of two words about the same path the stricter holds: this one has to stand alone.
        let replaces = finding.layer == Layer::Level && matches!(fix, Fix::Intent(_));
        let start = match (at, replaces) {
            (0, true) => "to allow it, in place of the access it has",
            (0, false) => "to allow it",
            _ => "or",
        };
        advise(out, start, fix, env);
    }
}

fn advise(out: &mut Printer, start: &str, fix: &Fix, env: &Environment) {
    if let Fix::Make(swathe_policy::Intent::FilesDir { path, .. }) = fix {
        let words = quoted(path.as_os_str().as_encoded_bytes());
        out.line(&format!("   first: mkdir -p {words}"));
    }
    match (fix, option(fix)) {
        (Fix::Command(command), _) => drop(out.line(&format!("   {start}: {command}"))),
        (_, Some(option)) => drop(out.line(&format!("   {start}: swathe run {option}"))),
        (_, None) => drop(out.line(&format!("   {start}, in a profile:"))),
    }
    // One form is enough on a terminal; JSON has both.
    if let (None, Some(profile)) = (option(fix), fix.profile()) {
        for line in profile.lines() {
            out.line(&format!("     {line}"));
        }
    }
    if let Some(danger) = fix.danger(env) {
        out.plain("   ").styled(Style::Red, "DANGEROUS").plain(": ").line(&shown(&danger));
    }
}

/// The option as a shell takes it.
fn option(fix: &Fix) -> Option<String> {
    let (name, value) = fix.option()?;
    Some(value.map_or_else(|| name.to_owned(), |v| format!("{name} {}", quoted(v.as_bytes()))))
}

fn layer(finding: &Finding) -> String {
    json!(finding.layer).as_str().unwrap_or_default().to_owned()
}

/// The time of day, UTC.
fn clock(micros: u64) -> String {
    let seconds = micros / 1_000_000 % 86_400;
    format!("{:02}:{:02}:{:02} UTC", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

fn foot(out: &mut Printer, history: &History, recorded: &Recorded, more: usize) {
    out.plain("\n");
    if more > 0 {
        out.line(&format!("{more} more that are less likely: swathe why --all"));
    }
    if !history.run.recorded {
        out.line("only what access levels decided was recorded: swathe run --record records all");
    }
    let missing = recorded.lost + recorded.bad;
    if missing > 0 {
        out.line(&format!("{missing} events are missing from the record"));
    }
}

fn document(
    history: &History,
    recorded: &Recorded,
    findings: &[Finding],
    env: &Environment,
) -> Value {
    let fix = |fix: &Fix| {
        let command = match fix {
            Fix::Command(command) => Some(*command),
            _ => None,
        };
        let make = match fix {
            Fix::Make(swathe_policy::Intent::FilesDir { path, .. }) => {
                Some(Bytes::from(path.as_path()))
            }
            _ => None,
        };
        let option = fix.option().map(|(name, value)| {
            std::iter::once(name.to_owned()).chain(value).collect::<Vec<String>>()
        });
        json!({
            "option": option,
            "profile": fix.profile(),
            "command": command,
            "make_first": make,
            "danger": fix.danger(env),
        })
    };
    let finding = |one: &Finding| {
        json!({
            "action": one.action,
            "object": one.object,
            "layer": one.layer,
            "errno": one.errno,
            "error": one.error,
            "count": one.count,
            "program": one.program,
            "pid": one.pid,
            "time": one.time,
            "purpose": one.purpose,
            "cause": one.cause,
            "fixes": one.fixes.iter().map(fix).collect::<Vec<_>>(),
            "never": one.never,
            "weight": one.weight,
            "likely": one.weight >= LIKELY,
        })
    };
    json!({
        "run": history.run,
        "findings": findings.iter().map(finding).collect::<Vec<_>>(),
        "events": recorded.events.len(),
        "lost": recorded.lost + recorded.bad,
    })
}

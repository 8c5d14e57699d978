//! `swathe app`.

use crate::out::{Failure, Printer, Style, shown};
use crate::profile::print_json;
use crate::prompt;
use crate::store::{Apps, environment, now, read};
use crate::wanted::refused;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use swathe_policy::grants::{Question, needed, select};
use swathe_policy::{Environment, Grants, Manifest};

/// Options of `swathe app`.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Add an app by its manifest; nothing is granted by that
    Add {
        /// The manifest
        file: PathBuf,
        /// Take it in place of another manifest of the same app
        #[arg(long)]
        replace: bool,
    },
    /// List apps
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what an app asks for, what was granted, and what it used
    Show {
        /// The app's id
        id: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Allow what an app asks for; asks what was not decided where no intent is named
    Grant(Choice),
    /// Refuse what an app asks for, also what was granted before
    Revoke(Choice),
    /// Forget decisions about an app, so that they are asked again; or the whole app
    Forget {
        /// The app's id
        id: String,
        /// Keep the app, forget the decisions
        #[arg(long)]
        decisions: bool,
    },
}

/// An app, and which of its intents.
#[derive(clap::Args)]
struct Choice {
    /// The app's id
    id: String,
    /// Intents as behind `--allow`, or a word such as `files.dir` for all intents that use it
    intents: Vec<OsString>,
    /// All that the app asks for
    #[arg(long, conflicts_with = "intents")]
    all: bool,
}

/// Runs it.
pub fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let env = environment()?;
    let apps = Apps::new(&env);
    match &arguments.command {
        Command::Add { file, replace } => add(&apps, &env, file, *replace)?,
        Command::List { json } => list(&apps, &env, *json)?,
        Command::Show { id, json } => show(&apps, &env, id, *json)?,
        Command::Grant(choice) if choice.intents.is_empty() && !choice.all => {
            let manifest = apps.manifest(&choice.id, &env)?;
            prompt::decide(&apps, &manifest, &env)?;
        }
        Command::Grant(choice) => decide(&apps, &env, choice, true)?,
        Command::Revoke(choice) => decide(&apps, &env, choice, false)?,
        Command::Forget { id, decisions } => forget(&apps, id, *decisions)?,
    }
    Ok(0)
}

fn add(apps: &Apps, env: &Environment, file: &Path, replace: bool) -> Result<(), Failure> {
    let source = Arc::new(read(file).map_err(|e| Failure::new(shown(&e)))?);
    let manifest = Manifest::read(&source, env).map_err(|errors| refused(&errors))?;
    let id = &manifest.app.id;
    // Whoever takes an id takes what was granted to it.
    if let Some(old) = apps.manifest_text(id)?
        && old.text != source.text
        && !replace
    {
        return Err(Failure::new(format!("there is another manifest of {id}"))
            .hint(format!(
                "`swathe app show {id}` shows it; what was granted to it would be granted"
            ))
            .hint("to the new one: `--replace` if both are of the same author"));
    }
    apps.add(id, &source.text)?;
    let grants = apps.grants(id)?;
    let open = needed(&manifest, &grants, env);
    let mut printer = Printer::stdout();
    printer.line(&format!("added {id}"));
    if !open.is_empty() {
        printer.line("it asks for:");
        open.iter().for_each(|question| {
            draw(&mut printer, question, None);
        });
        printer.line(&format!("decide with `swathe app grant {id}`, or when it first runs"));
    }
    printer.finish()
}

fn list(apps: &Apps, env: &Environment, json: bool) -> Result<(), Failure> {
    let mut rows = Vec::new();
    let mut printer = Printer::stdout();
    for id in apps.list()? {
        // One bad manifest hides no other app.
        let manifest = apps.manifest(&id, env);
        let grants = apps.grants(&id);
        let (Ok(manifest), Ok(grants)) = (manifest, grants) else {
            rows.push(json!({ "id": id, "error": "its manifest or grants cannot be read" }));
            printer.plain(&format!("{id}  "));
            printer.styled(Style::Red, "its manifest or grants cannot be read").plain("\n");
            continue;
        };
        let questions = manifest.questions(env);
        let open = needed(&manifest, &grants, env).len();
        let granted = granted(&questions, &grants);
        rows.push(json!({
            "id": id, "name": manifest.app.name, "asks": questions.len(), "granted": granted,
            "undecided": open,
        }));
        printer.plain(&format!("{id}  {granted} of {} granted", questions.len()));
        if open > 0 {
            printer.plain(", ").styled(Style::Yellow, &format!("{open} to decide"));
        }
        printer.plain("\n");
    }
    if json { print_json(&json!({ "apps": rows })) } else { printer.finish() }
}

fn granted(questions: &[Question], grants: &Grants) -> usize {
    questions.iter().filter(|question| state(question, grants) == Some(true)).count()
}

fn state(question: &Question, grants: &Grants) -> Option<bool> {
    grants.decision(&question.intent)
}

fn draw(printer: &mut Printer, question: &Question, decided: Option<(Style, String)>) {
    printer.plain(&format!("  {}", shown(&question.key)));
    if let Some((style, text)) = decided {
        printer.plain(": ").styled(style, &text);
    }
    printer.plain("\n");
    printer.paragraph(4, &shown(&flat(&question.what)));
    printer.paragraph(4, &format!("reason given: \"{}\"", shown(&flat(&question.reason))));
    if let Some(danger) = &question.danger {
        printer.paragraph(4, &format!("DANGEROUS: {danger}"));
    }
}

fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn show(apps: &Apps, env: &Environment, id: &str, json: bool) -> Result<(), Failure> {
    let manifest = apps.manifest(id, env)?;
    let grants = apps.grants(id)?;
    let questions = manifest.questions(env);
    // A decision stays when a manifest no longer asks; it is not in force.
    let asked: BTreeSet<&str> = questions.iter().map(|question| question.key.as_str()).collect();
    let stale = grants.decisions.keys().filter(|key| !asked.contains(key.as_str()));
    let stale: Vec<&str> = stale.map(String::as_str).collect();
    if json {
        return print_json(&show_json(&manifest, &questions, &grants, &stale));
    }
    let mut printer = Printer::stdout();
    printer.styled(Style::Bold, id).plain("\n");
    if let Some(name) = &manifest.app.name {
        printer.paragraph(2, &format!("name: {}", shown(&flat(name))));
    }
    let command: Vec<String> = manifest.app.command.iter().map(|word| shown(word)).collect();
    printer.paragraph(2, &format!("command: {}", command.join(" ")));
    printer.line("asks for:");
    for question in &questions {
        let used = grants.decisions.get(&question.key);
        let text = match (state(question, &grants), used) {
            (None, _) => (Style::Yellow, "not decided".to_owned()),
            (Some(false), _) => (Style::Red, "refused".to_owned()),
            (Some(true), Some(decision)) if decision.uses == 0 => {
                (Style::Green, "granted, never used".to_owned())
            }
            (Some(true), Some(decision)) => {
                (Style::Green, format!("granted, used {} times", decision.uses))
            }
            (Some(true), None) => (Style::Green, "granted, as part of a wider grant".to_owned()),
        };
        draw(&mut printer, question, Some(text));
    }
    if !stale.is_empty() {
        printer.line("decided, but no longer asked for (not in force):");
        stale.iter().for_each(|key| {
            printer.line(&format!("  {}", shown(key)));
        });
    }
    printer.finish()
}

fn show_json(
    manifest: &Manifest,
    questions: &[Question],
    grants: &Grants,
    stale: &[&str],
) -> Value {
    let intents: Vec<Value> = questions
        .iter()
        .map(|question| {
            let decision = grants.decisions.get(&question.key);
            json!({
                "intent": question.key,
                "what": question.what,
                "reason": question.reason,
                "danger": question.danger,
                "granted": state(question, grants),
                "when": decision.map(|decision| decision.when),
                "uses": decision.map(|decision| decision.uses),
                "last_used": decision.and_then(|decision| decision.last_used),
            })
        })
        .collect();
    json!({
        "id": manifest.app.id,
        "name": manifest.app.name,
        "command": manifest.app.command,
        "intents": intents,
        "not_in_force": stale,
    })
}

fn decide(apps: &Apps, env: &Environment, choice: &Choice, allowed: bool) -> Result<(), Failure> {
    let manifest = apps.manifest(&choice.id, env)?;
    let questions = manifest.questions(env);
    let mut keys = BTreeSet::new();
    if choice.all {
        keys.extend(questions.iter().map(|question| question.key.clone()));
    } else if choice.intents.is_empty() {
        return Err(Failure::new("no intent named").hint("name some, or all by `--all`"));
    }
    for word in &choice.intents {
        let selected = select(&questions, word, env).map_err(|e| {
            let hint = format!("`swathe app show {}` lists what it asks for", choice.id);
            Failure::new(shown(&e)).hint(hint)
        })?;
        keys.extend(selected);
    }
    let answers: Vec<(String, bool)> = keys.into_iter().map(|key| (key, allowed)).collect();
    apps.change(&choice.id, |grants| grants.apply(&answers, now()))?;
    let mut printer = Printer::stdout();
    for question in questions.iter().filter(|q| answers.iter().any(|(key, _)| *key == q.key)) {
        let verb = if allowed { "granted" } else { "refused" };
        printer.line(&format!("{verb} {}", shown(&question.key)));
        if let Some(danger) = question.danger.as_ref().filter(|_| allowed) {
            printer.paragraph(2, &format!("DANGEROUS: {danger}"));
        }
    }
    printer.finish()
}

fn forget(apps: &Apps, id: &str, decisions: bool) -> Result<(), Failure> {
    if !swathe_policy::grants::valid_id(id) {
        return Err(Failure::new(format!("`{}` is no id of an app", shown(id))));
    }
    if decisions {
        apps.change(id, |grants| grants.decisions.clear())?;
    } else if !apps.forget(id)? {
        return Err(Failure::new(format!("no app {id}")));
    }
    Printer::stdout().line(&format!("forgot {id}")).finish()
}

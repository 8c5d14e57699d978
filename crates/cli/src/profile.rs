//! `swathe profile`.

use crate::out::{Failure, Printer, shown};
use crate::store::{Profiles, environment, read};
use crate::wanted::refused;
use serde_json::{Value, json};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use swathe_policy::diagnostic::{Severity, render_all};
use swathe_policy::paths::Asker;
use swathe_policy::schema::schema;
use swathe_policy::{Diagnostic, Environment, Manifest};

/// Options of `swathe profile`.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Say what is wrong with a profile or manifest
    Check {
        /// The profile, or a manifest (it has a table `[app]`)
        file: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print the JSON schema of profiles
    Schema {
        /// That of manifests
        #[arg(long)]
        manifest: bool,
    },
}

/// Runs it.
pub fn run(arguments: &Arguments) -> Result<u8, Failure> {
    match &arguments.command {
        Command::Check { file, json } => check(file, *json),
        Command::Schema { manifest } => {
            let asker = if *manifest { Asker::Manifest } else { Asker::User };
            print_json(&schema(asker))?;
            Ok(0)
        }
    }
}

/// Prints a document for programs.
pub fn print_json(value: &Value) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|e| Failure::new(format!("cannot write JSON: {e}")))?;
    Printer::stdout().line(&text).finish()
}

/// What was found in one file.
struct Found {
    kind: &'static str,
    intents: usize,
    result: Result<Vec<Diagnostic>, Vec<Diagnostic>>,
}

fn check(file: &Path, json: bool) -> Result<u8, Failure> {
    let env = environment()?;
    let found = examine(file, &env)?;
    if json {
        return check_json(file, &found);
    }
    let warnings = found.result.map_err(|errors| refused(&errors))?;
    let mut printer = Printer::stdout();
    let name = shown(&file.to_string_lossy());
    printer.line(&format!("{name}: {} is fine, {} intents", found.kind, found.intents));
    if !warnings.is_empty() {
        printer.line("").line(&render_all(&warnings));
    }
    printer.finish()?;
    Ok(0)
}

fn examine(file: &Path, env: &Environment) -> Result<Found, Failure> {
    let source = Arc::new(read(file).map_err(|e| Failure::new(shown(&e)))?);
    if swathe_policy::profile::is_manifest(&source.text) {
        let manifest = Manifest::read(&source, env);
        let intents = manifest.as_ref().map_or(0, |manifest| manifest.policy.intents.len());
        let result = manifest.map(|manifest| manifest.warnings);
        return Ok(Found { kind: "manifest", intents, result });
    }
    let loaded = swathe_policy::load(&Profiles::new(env), &[with_slash(file)], env, &[]);
    let intents = loaded.as_ref().map_or(0, |loaded| loaded.policy.intents.len());
    Ok(Found { kind: "profile", intents, result: loaded.map(|loaded| loaded.warnings) })
}

/// A path that is not taken for a name.
fn with_slash(file: &Path) -> OsString {
    let bytes = file.as_os_str().as_bytes();
    if bytes.contains(&b'/') {
        return file.as_os_str().to_owned();
    }
    OsString::from_vec([b"./", bytes].concat())
}

fn check_json(file: &Path, found: &Found) -> Result<u8, Failure> {
    let (ok, all) = match &found.result {
        Ok(warnings) => (true, warnings),
        Err(errors) => (false, errors),
    };
    let diagnostics: Vec<Value> = all.iter().map(diagnostic).collect();
    print_json(&json!({
        "file": file.to_string_lossy(),
        "kind": found.kind,
        "ok": ok,
        "intents": found.intents,
        "diagnostics": diagnostics,
    }))?;
    Ok(u8::from(!ok))
}

fn diagnostic(diagnostic: &Diagnostic) -> Value {
    let place = diagnostic.places.first();
    let path = place.and_then(|place| place.source.path.as_ref());
    let position = diagnostic.position();
    json!({
        "severity": match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        "message": diagnostic.message,
        "label": place.map(|place| place.label.as_str()).filter(|label| !label.is_empty()),
        "file": path.map(|path| path.to_string_lossy()),
        "line": position.map(|(line, _)| line),
        "column": position.map(|(_, column)| column),
        "help": diagnostic.help,
    })
}

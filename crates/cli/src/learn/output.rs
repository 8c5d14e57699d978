//! Where a profile goes.

use super::Arguments;
use super::{Learned, merge, profile};
use crate::explain::quoted;
use crate::out::{Failure, Printer, Style, note, shown};
use crate::prompt;
use crate::store::{self, Profiles, private_directory};
use crate::wanted::refused;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use swathe_policy::describe::describe;
use swathe_policy::learn::Change;
use swathe_policy::profile::profile_name;
use swathe_policy::resolve::Host;
use swathe_policy::words::written;
use swathe_policy::{Environment, Loader as _};

/// Where a profile goes.
pub enum Output {
    /// Standard output.
    Print,
    /// A new file.
    New(PathBuf),
    /// A new profile that is found by its name.
    Named(String, PathBuf),
    /// A profile that is there.
    Merge(PathBuf),
}

impl Output {
    /// What the options say, where that can be had.
    pub fn new(arguments: &Arguments, env: &Environment) -> Result<Self, Failure> {
        let own = |name: &str| env.config.join("swathe/profiles").join(format!("{name}.toml"));
        if let Some(word) = &arguments.merge {
            let path = match word.to_str().filter(|word| !word.contains('/')) {
                Some(name) if profile_name(name) => own(name),
                _ => PathBuf::from(word),
            };
            return existing(&path);
        }
        if let Some(path) = &arguments.output {
            if path == Path::new("-") {
                return Ok(Self::Print);
            }
            free(Some(path))?;
            return Ok(Self::New(path.clone()));
        }
        let named = match (&arguments.name, arguments.command.first()) {
            (Some(name), _) => name.clone(),
            (None, Some(program)) => program_name(program)?,
            (None, None) => return Ok(Self::Print),
        };
        if !profile_name(&named) {
            let text = format!("--name {}: letters, digits, `.`, `_` and `-`", shown(&named));
            return Err(Failure::new(text));
        }
        let path = own(&named);
        free(Some(&path)).map_err(|failure| failure.hint(format!("--merge {named} adds to it")))?;
        // A profile of the system or of swathe itself would not be found any more.
        if Profiles::new(env).load(OsStr::new(&named)).is_ok() && arguments.name.is_none() {
            let text = format!("there is a profile {named}, which is not yours");
            return Err(Failure::new(text).hint("--name NAME gives this one another name"));
        }
        Ok(Self::Named(named, path))
    }

    /// The profile that is added to.
    pub fn merged(&self) -> Option<&Path> {
        match self {
            Self::Merge(path) => Some(path),
            _ => None,
        }
    }

    /// Writes what was learned.
    pub fn write(
        &self,
        arguments: &Arguments,
        host: &Host,
        learned: &Learned,
    ) -> Result<(), Failure> {
        let words: Vec<_> = arguments.command.iter().map(|word| quoted(word.as_bytes())).collect();
        let from = match &arguments.from {
            Some(path) => path.to_string_lossy().into_owned(),
            None => words.join(" "),
        };
        let mut title = vec![format!("Learned by swathe from: {from}")];
        let use_it = |profile: &str| {
            let command = if words.is_empty() { "CMD" } else { &words.join(" ") };
            format!("swathe run --profile {profile} -- {command}")
        };
        match self {
            Self::Print => {
                Printer::stdout().plain(&profile(learned, &title, &host.places)).finish()
            }
            Self::New(path) => {
                store::create(path, &profile(learned, &title, &host.places))?;
                let name = path.to_string_lossy();
                let name = if name.contains('/') { name.into_owned() } else { format!("./{name}") };
                note(&format!("the profile is {name}: {}", use_it(&name)));
                Ok(())
            }
            Self::Named(name, path) => {
                title.push(use_it(name));
                path.parent().map_or(Ok(()), private_directory)?;
                store::create(path, &profile(learned, &title, &host.places))?;
                note(&format!("the profile is {}: {}", path.display(), use_it(name)));
                Ok(())
            }
            Self::Merge(path) => add_to(path, arguments, host, learned),
        }
    }
}

/// A profile that is there, where links lead.
fn existing(path: &Path) -> Result<Output, Failure> {
    let name = shown(&path.to_string_lossy());
    let failed = |e| Failure::new(format!("cannot add to {name}: {e}"));
    let path = path.canonicalize().map_err(failed)?;
    Ok(Output::Merge(path))
}

/// Nothing is overwritten.
pub fn free(path: Option<&Path>) -> Result<(), Failure> {
    match path {
        Some(path) if std::fs::symlink_metadata(path).is_ok() => {
            let name = shown(&path.to_string_lossy());
            Err(Failure::new(format!("{name} is there already, and is not overwritten")))
        }
        _ => Ok(()),
    }
}

/// The program's own name, where a profile can have it.
fn program_name(program: &OsStr) -> Result<String, Failure> {
    let name = Path::new(program).file_name().unwrap_or_default().as_bytes();
    let name = String::from_utf8_lossy(name).into_owned();
    if profile_name(&name) {
        return Ok(name);
    }
    Err(Failure::new(format!("{} cannot be the name of a profile", shown(&name)))
        .hint("--name NAME gives it one"))
}

fn add_to(
    path: &Path,
    arguments: &Arguments,
    host: &Host,
    learned: &Learned,
) -> Result<(), Failure> {
    let source = Arc::new(store::read(path).map_err(|e| Failure::new(shown(&e)))?);
    let profiles = Profiles::new(&host.places);
    let loaded = swathe_policy::load(&profiles, &[path.into()], &host.places, &[])
        .map_err(|found| refused(&found))?;
    let merged = merge(&source, &loaded.policy.intents, learned, &host.places)
        .map_err(|found| refused(&found))?;
    for text in &merged.forbidden {
        note(&format!("the profile forbids what the run used: {text}"));
    }
    let name = path.display();
    if merged.changes.is_empty() {
        note(&format!("{name} allows all that the run needed"));
        return Ok(());
    }
    let mut printer = Printer::stdout();
    for line in merged.diff(&source.text).lines() {
        let style = match line.as_bytes().first() {
            Some(b'+') => Style::Green,
            Some(b'-') => Style::Red,
            _ => Style::Dim,
        };
        printer.styled(style, &shown(line)).plain("\n");
    }
    printer.finish()?;
    for change in &merged.changes {
        note(&match change {
            Change::Added(intent) => format!("new: {}", describe(intent)),
            Change::Widened(from, to) => format!("more: {} was {}", written(to), written(from)),
        });
    }
    if !arguments.yes {
        let question = format!("Write this to {}? y = yes, n = no [n]: ", shown(&name.to_string()));
        match prompt::confirm(&question) {
            Ok(Some(true)) => {}
            Ok(_) => {
                note("the profile stays as it was");
                return Ok(());
            }
            Err(_) => {
                return Err(Failure::new(format!(
                    "{name} is not changed without being asked for it"
                ))
                .hint("--yes does it"));
            }
        }
    }
    if store::read(path).map_err(|e| Failure::new(shown(&e)))?.text != source.text {
        return Err(Failure::new(format!("{name} was changed meanwhile")).hint("try again"));
    }
    store::replace(path, &merged.text)
}

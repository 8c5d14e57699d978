//! The text of a profile or manifest. All its errors are found, each with its place.

mod intents;
mod limits;
mod values;

use crate::diagnostic::{Diagnostic, Severity, SourceText};
use crate::intent::{Context, quoted};
use crate::model::Policy;
use crate::paths::{Asker, Environment};
use crate::resolve::PROTECTIONS;
use crate::value::nearest;
use std::ops::Range;
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeTable, DeValue};
use values::{KEPT, Reader};

/// The longest profile or manifest, in bytes.
pub const LONGEST_FILE: usize = 1 << 20;

/// Reads a file that swathe itself has written, within the longest.
///
/// # Errors
/// It is too long, or none of these; `what` names it in the plural.
pub fn decode<T: serde::de::DeserializeOwned>(
    source: &Arc<SourceText>,
    what: &str,
) -> Result<T, Vec<Diagnostic>> {
    if source.text.len() > LONGEST_FILE {
        let error = Diagnostic::error(format!("the {what} are longer than 1 MiB"));
        return Err(vec![error.at(source, 0..0, "too long")]);
    }
    toml::from_str(&source.text).map_err(|error| {
        let span = error.span().unwrap_or(0..0);
        let message: String = error.message().replace('\n', " ").chars().take(200).collect();
        vec![Diagnostic::error(message).at(source, span, "")]
    })
}
/// The longest string in one, in bytes.
pub const LONGEST_STRING: usize = 64 << 10;
/// The most intents in one, each path and variable counted.
pub const MOST_INTENTS: usize = 1000;
/// The most errors that are reported for one.
pub const MOST_ERRORS: usize = 20;
/// The most words of a command.
const MOST_WORDS: usize = 1000;
/// Above this many bytes only the first error of syntax is looked for.
const RECOVERED: usize = 64 << 10;

/// What a manifest says about its app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    /// Like `org.example.Scraper`: names of letters, digits, `_` and `-`, joined by dots.
    pub id: String,
    /// What a person calls it.
    pub name: Option<String>,
    /// The program and its arguments; at least one word.
    pub command: Vec<String>,
}

/// A text that was read, before what it extends is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The text.
    pub source: Arc<SourceText>,
    /// Names of profiles that this one adds to, and where they stand.
    pub extends: Vec<(String, Range<usize>)>,
    /// What it asks for.
    pub policy: Policy,
    /// What a manifest says about its app; never there in a profile.
    pub app: Option<App>,
    /// What is allowed and dangerous.
    pub warnings: Vec<Diagnostic>,
}

/// Reads a profile (asked for by a user) or a manifest.
///
/// # Errors
/// All that is wrong, in the order of the text, at most [`MOST_ERRORS`] and one that counts the
/// rest.
pub fn read(
    source: &Arc<SourceText>,
    asker: Asker,
    env: &Environment,
) -> Result<Document, Vec<Diagnostic>> {
    if source.text.len() > LONGEST_FILE {
        let message = format!("{} is longer than 1 MiB", kind(asker));
        return Err(vec![Diagnostic::error(message).at(source, 0..0, "too long")]);
    }
    let context = Context { env, asker, relative: false };
    let mut reader = Reader::new(source, context);
    let table = match syntax(source) {
        Ok(table) => table,
        Err(errors) => return Err(bounded(errors)),
    };
    let mut document = Document {
        source: Arc::clone(source),
        extends: Vec::new(),
        policy: Policy::default(),
        app: None,
        warnings: Vec::new(),
    };
    top(&mut reader, table.get_ref(), &mut document);
    if asker == Asker::Manifest && !table.get_ref().contains_key("app") {
        let error = Diagnostic::error("the manifest has no table `[app]`");
        let help = "add `[app]` with `id` and `command`";
        reader.push(error.at(source, 0..0, "missing").help(help));
    }
    let (warnings, errors): (Vec<_>, Vec<_>) =
        reader.finish().into_iter().partition(|d| d.severity == Severity::Warning);
    if !errors.is_empty() {
        return Err(bounded(errors));
    }
    document.warnings = bounded(warnings);
    Ok(document)
}

fn kind(asker: Asker) -> &'static str {
    match asker {
        Asker::User => "the profile",
        Asker::Manifest => "the manifest",
    }
}

/// In the order of the text, and not too many.
fn bounded(mut all: Vec<Diagnostic>) -> Vec<Diagnostic> {
    all.sort_by_key(|d| d.places.first().map_or(0, |place| place.span.start));
    let more = all.len().saturating_sub(MOST_ERRORS);
    if more > 0 {
        all.truncate(MOST_ERRORS);
        let severity = all[0].severity;
        let last =
            if more + MOST_ERRORS < KEPT { format!("and {more} more") } else { "and more".into() };
        all.push(Diagnostic { severity, ..Diagnostic::error(last) });
    }
    all
}

fn syntax(source: &Arc<SourceText>) -> Result<Spanned<DeTable<'_>>, Vec<Diagnostic>> {
    let text = source.text.as_str();
    let errors = if text.len() > RECOVERED {
        match DeTable::parse(text) {
            Ok(table) => return Ok(table),
            Err(error) => vec![error],
        }
    } else {
        match DeTable::parse_recoverable(text) {
            (table, errors) if errors.is_empty() => return Ok(table),
            (_, errors) => errors,
        }
    };
    let mut found: Vec<Diagnostic> = Vec::new();
    let mut lines: Vec<usize> = Vec::new();
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        // What follows an error on the same line mostly follows from it.
        let line = text.as_bytes()[..span.start.min(text.len())]
            .iter()
            .rposition(|b| *b == b'\n')
            .map_or(0, |at| at + 1);
        if lines.contains(&line) {
            continue;
        }
        lines.push(line);
        let message: String = error.message().replace('\n', " ").chars().take(200).collect();
        found.push(Diagnostic::error(message).at(source, span, ""));
        if found.len() > MOST_ERRORS {
            break;
        }
    }
    Err(found)
}

fn top<'t>(reader: &mut Reader<'_>, table: &'t DeTable<'t>, document: &mut Document) {
    let asker = reader.context.asker;
    for (key, value) in table {
        if reader.full() {
            break;
        }
        match (key.get_ref().as_ref(), asker) {
            ("intent", _) => document.policy.intents = intents::all(reader, value),
            ("limits", _) => document.policy.limits = limits::read(reader, value),
            ("extends", Asker::User) => document.extends = extends(reader, value),
            ("command", Asker::User) => document.policy.command = command(reader, value),
            ("unprotect", Asker::User) => document.policy.unprotect = unprotect(reader, value),
            ("app", Asker::Manifest) => {
                document.app = app(reader, key.span(), value);
                if let Some(app) = &document.app {
                    document.policy.app = Some(app.id.clone());
                    document.policy.command = app.command.clone();
                }
            }
            (name, _) => unknown(reader, name, key.span()),
        }
    }
}

fn unknown(reader: &mut Reader<'_>, name: &str, span: Range<usize>) {
    let manifest = reader.context.asker == Asker::Manifest;
    let known: &[&str] = if manifest {
        &["app", "intent", "limits"]
    } else {
        &["extends", "intent", "limits", "unprotect", "command"]
    };
    let told = match (name, manifest) {
        ("app", false) => Some("this is a manifest: `swathe app add FILE` reads it"),
        ("extends", true) => Some("a manifest names all that its app needs"),
        ("unprotect", true) => Some("only the user lifts the protection of paths"),
        ("command", true) => Some("the command stands in `[app]`"),
        ("grant" | "grants" | "granted" | "allow" | "allowed" | "trusted", true) => {
            Some("a manifest cannot grant anything: its user does, by `swathe app grant`")
        }
        ("intents", _) => Some("each intent is a table `[[intent]]`"),
        _ => None,
    };
    let help = told.map(str::to_owned).or_else(|| {
        nearest(name, known.iter().copied()).map(|near| format!("did you mean `{near}`?"))
    });
    let label = format!("expected {}", known.join(", "));
    let error = Diagnostic::error(format!("unknown key {}", quoted(name)));
    let error = error.at(reader.source, span, label);
    reader.push(match help {
        Some(help) => error.help(help),
        None => error,
    });
}

fn extends(reader: &mut Reader<'_>, value: &Spanned<DeValue<'_>>) -> Vec<(String, Range<usize>)> {
    let names = reader.strings(value, "extends", 64);
    let mut result = Vec::new();
    for (name, span) in names {
        if profile_name(&name) {
            result.push((name, span));
        } else {
            let error = Diagnostic::error(format!("{} is no name of a profile", quoted(&name)));
            let help = "letters, digits, `.`, `_` and `-`; names are searched in the user's and \
                        the system's directories";
            reader.push(error.at(reader.source, span, "not a name").help(help));
        }
    }
    result
}

/// Whether a word can name a profile: 1 to 64 letters, digits, `.`, `_` and `-`, the first a letter
/// or digit.
pub fn profile_name(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

fn command(reader: &mut Reader<'_>, value: &Spanned<DeValue<'_>>) -> Vec<String> {
    let words = reader.strings(value, "command", MOST_WORDS);
    if let DeValue::Array(array) = value.get_ref()
        && array.is_empty()
    {
        let error = Diagnostic::error("the command is empty");
        reader.push(error.at(reader.source, value.span(), "expected at least the program"));
    }
    for (word, span) in &words {
        if word.contains('\0') {
            let error = Diagnostic::error("a word of the command holds a NUL");
            reader.push(error.at(reader.source, span.clone(), "cannot be passed to a program"));
        }
    }
    if let Some((word, span)) = words.first()
        && word.is_empty()
    {
        let error = Diagnostic::error("the program's name is empty");
        reader.push(error.at(reader.source, span.clone(), "empty"));
    }
    words.into_iter().map(|(word, _)| word).collect()
}

fn unprotect(reader: &mut Reader<'_>, value: &Spanned<DeValue<'_>>) -> Vec<String> {
    let names = reader.strings(value, "unprotect", 64);
    for (name, span) in &names {
        if protections().any(|known| known == name) {
            continue;
        }
        let known: Vec<&str> = protections().collect();
        let error = Diagnostic::error(format!("unknown protected path {}", quoted(name)));
        let error = error.at(reader.source, span.clone(), "not in the list");
        reader.push(match nearest(name, known.iter().copied()) {
            Some(near) => error.help(format!("did you mean `{near}`?")),
            None => error.help(format!("known are {}", known.join(", "))),
        });
    }
    names.into_iter().map(|(name, _)| name).collect()
}

/// What `unprotect` takes.
pub fn protections() -> impl Iterator<Item = &'static str> {
    PROTECTIONS.iter().map(|protection| protection.name).chain(["all"])
}

fn app(reader: &mut Reader<'_>, key: Range<usize>, value: &Spanned<DeValue<'_>>) -> Option<App> {
    let table = reader.table(value, "app")?;
    let mut app = App { id: String::new(), name: None, command: Vec::new() };
    for (key, value) in table {
        match key.get_ref().as_ref() {
            "id" => {
                if let Some(id) = reader.string(value, "id") {
                    app.id = id.to_owned();
                    if !app_id(id) {
                        let error = Diagnostic::error(format!("{} is no id of an app", quoted(id)));
                        let help = "write it like `org.example.Name`: at least two names of \
                                    letters, digits, `_` and `-`, joined by dots";
                        reader.push(error.at(reader.source, value.span(), "not an id").help(help));
                    }
                }
            }
            "name" => app.name = reader.string(value, "name").map(str::to_owned),
            "command" => app.command = command(reader, value),
            other => reader.unknown(other, key.span(), "app", &["id", "name", "command"]),
        }
    }
    for wanted in ["id", "command"] {
        if !table.contains_key(wanted) {
            let error = Diagnostic::error(format!("`[app]` has no `{wanted}`"));
            reader.push(error.at(reader.source, key.clone(), format!("`{wanted}` is missing")));
        }
    }
    Some(app)
}

/// Whether a word can be an app's id: at least two names of letters, digits, `_` and `-` joined by
/// dots, at most 200 bytes. It becomes part of file names.
pub fn app_id(id: &str) -> bool {
    let name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
    };
    id.len() <= 200 && id.contains('.') && id.split('.').all(name)
}

/// Whether a text is a manifest rather than a profile. One that cannot be read is a profile.
pub fn is_manifest(text: &str) -> bool {
    text.len() <= LONGEST_FILE
        && DeTable::parse(text).is_ok_and(|table| table.get_ref().contains_key("app"))
}

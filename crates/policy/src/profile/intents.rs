//! `[[intent]]`.

use super::MOST_INTENTS;
use super::values::Reader;
use crate::diagnostic::Diagnostic;
use crate::intent::{access, directory, hidden, known, plain, set, state, variable, way};
use crate::model::{Access, Declared, Intent};
use crate::network::{self, Takes};
use crate::paths::Asker;
use crate::value::Complaint;
use crate::vocabulary::Word;
use crate::words::contradiction;
use std::ffi::OsStr;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The longest reason, in characters: it is read at a prompt.
const LONGEST_REASON: usize = 500;

/// Reads all of them.
pub fn all(reader: &mut Reader<'_>, value: &Spanned<DeValue<'_>>) -> Vec<Declared> {
    let DeValue::Array(array) = value.get_ref() else {
        reader.complain(
            Complaint::new("`intent` is a list of tables", "one table")
                .help("write `[[intent]]` with two brackets"),
            value.span(),
        );
        return Vec::new();
    };
    let mut result = Vec::new();
    for value in array {
        if reader.full() {
            break;
        }
        let Some(table) = reader.table(value, "intent") else { continue };
        let before = result.len();
        one(reader, value.span(), table, &mut result);
        if result.len() > MOST_INTENTS {
            let error = Diagnostic::error(format!("more than {MOST_INTENTS} intents"));
            reader.push(error.at(reader.source, value.span(), "too many from here on"));
            result.truncate(before);
            break;
        }
    }
    if let Some(complaint) = contradiction(&result) {
        let none = |value: &&Spanned<DeValue<'_>>| match value.get_ref() {
            DeValue::Table(table) => {
                table.get("use").and_then(|word| word.get_ref().as_str()) == Some("net.none")
            }
            _ => false,
        };
        let span = array.iter().find(none).map_or(value.span(), Spanned::span);
        reader.complain(complaint, span);
    }
    result
}

fn one(
    reader: &mut Reader<'_>,
    span: Range<usize>,
    table: &DeTable<'_>,
    result: &mut Vec<Declared>,
) {
    let Some(name) = table.get("use") else {
        reader.complain(Complaint::new("an intent without `use`", "`use` is missing"), span);
        return;
    };
    let name_span = name.span();
    let Some(name) = reader.string(name, "use") else { return };
    let reason = reason(reader, &span, table);
    let word = match known(name) {
        Ok(word) => word,
        Err(complaint) => return reader.complain(complaint, name_span),
    };
    if !keys(reader, word, &name_span, table) {
        return;
    }
    let origin = reader.origin(name_span.start);
    for intent in meaning(reader, word, &name_span, table) {
        result.push(Declared { intent, reason: reason.clone(), source: origin.clone() });
    }
}

fn reason(reader: &mut Reader<'_>, span: &Range<usize>, table: &DeTable<'_>) -> Option<String> {
    let Some(value) = table.get("reason") else {
        if reader.context.asker == Asker::Manifest {
            let complaint = Complaint::new("an intent without `reason`", "`reason` is missing")
                .help("say why the app needs it: its user is asked");
            reader.complain(complaint, span.clone());
        }
        return None;
    };
    let text = reader.string(value, "reason")?;
    if text.trim().is_empty() {
        reader.complain(Complaint::new("the reason is empty", "say why"), value.span());
    }
    if text.chars().count() > LONGEST_REASON {
        let message = format!("a reason of more than {LONGEST_REASON} characters");
        reader.complain(Complaint::new(message, "too long to read at a prompt"), value.span());
        return None;
    }
    Some(text.to_owned())
}

/// Refuses keys that the word does not take, and says which are missing.
fn keys(reader: &mut Reader<'_>, word: &Word, name: &Range<usize>, table: &DeTable<'_>) -> bool {
    let mut good = true;
    for (key, _) in table {
        let text = key.get_ref().as_ref();
        let known = text == "use" || text == "reason" || word.keys.iter().any(|k| k.name == text);
        if known {
            continue;
        }
        good = false;
        if matches!(text, "granted" | "allowed" | "grant" | "allow") {
            let message = format!("`{}` takes no key `{text}`", word.name);
            let complaint = Complaint::new(message, "an intent is no permission")
                .help("what an app may do is decided by its user, with `swathe app grant`");
            reader.complain(complaint, key.span());
            continue;
        }
        let names: Vec<&str> = word.keys.iter().map(|key| key.name).collect();
        reader.unknown(text, key.span(), word.name, &names);
    }
    for key in word.keys.iter().filter(|key| key.required && !table.contains_key(key.name)) {
        good = false;
        let message = format!("`{}` without `{}`", word.name, key.name);
        reader
            .complain(Complaint::new(message, format!("`{}` is missing", key.name)), name.clone());
    }
    good
}

fn meaning(
    reader: &mut Reader<'_>,
    word: &Word,
    name: &Range<usize>,
    table: &DeTable<'_>,
) -> Vec<Intent> {
    match word.name {
        "files.cwd" => chosen(reader, table).map(Intent::FilesCwd).into_iter().collect(),
        "files.args" => chosen(reader, table).map(Intent::FilesArgs).into_iter().collect(),
        "files.dir" => {
            let access = chosen(reader, table);
            let Some((path, span)) = path(reader, table) else { return Vec::new() };
            // A path is judged even where the access is wrong, to find both errors at once.
            let judged = access.unwrap_or(Access::ReadOnly);
            match directory(OsStr::new(&path), judged, reader.context) {
                Ok((intent, warning)) => {
                    if let Some(warning) = warning {
                        reader.warn(warning, span);
                    }
                    access.map(|_| intent).into_iter().collect()
                }
                Err(complaint) => {
                    reader.complain(complaint, span);
                    Vec::new()
                }
            }
        }
        "files.hide" => {
            let Some((path, span)) = path(reader, table) else { return Vec::new() };
            let intent = hidden(OsStr::new(&path), reader.context);
            intent.map_err(|complaint| reader.complain(complaint, span)).into_iter().collect()
        }
        "state" => {
            let Some(value) = table.get("mode") else { return Vec::new() };
            let Some(text) = reader.string(value, "mode") else { return Vec::new() };
            let mode = state(text).map(Intent::State);
            mode.map_err(|complaint| reader.complain(complaint, value.span())).into_iter().collect()
        }
        "net.all" => {
            let Some(value) = table.get("way") else { return vec![Intent::NetAll] };
            let Some(text) = reader.string(value, "way") else { return Vec::new() };
            way(text)
                .map_err(|complaint| reader.complain(complaint, value.span()))
                .into_iter()
                .collect()
        }
        "net.host" => reach(reader, table, Takes::Names),
        "net.cidr" => reach(reader, table, Takes::Addresses),
        "net.deny" => listed(reader, table, "to", |_, text| network::deny(text)),
        "net.listen" => listed(reader, table, "port", |_, text| network::listen(text)),
        "env" => variables(reader, name, table),
        other => plain(other).into_iter().collect(),
    }
}

fn chosen(reader: &mut Reader<'_>, table: &DeTable<'_>) -> Option<Access> {
    let Some(value) = table.get("access") else { return Some(Access::ReadOnly) };
    let text = reader.string(value, "access")?;
    access(text).map_err(|complaint| reader.complain(complaint, value.span())).ok()
}

fn path(reader: &mut Reader<'_>, table: &DeTable<'_>) -> Option<(String, Range<usize>)> {
    let value = table.get("path")?;
    Some((reader.string(value, "path")?.to_owned(), value.span()))
}

fn reach(reader: &mut Reader<'_>, table: &DeTable<'_>, takes: Takes) -> Vec<Intent> {
    listed(reader, table, "to", |reader, text| {
        let (intent, warning) = network::reach(text, takes, reader.context.asker)?;
        if let Some(warning) = warning {
            let span = table.get("to").map(toml::Spanned::span).unwrap_or_default();
            reader.warn(warning, span);
        }
        Ok(intent)
    })
}

/// The intents of a key whose value is one text or a list of them.
fn listed(
    reader: &mut Reader<'_>,
    table: &DeTable<'_>,
    key: &str,
    one: impl Fn(&mut Reader<'_>, &str) -> Result<Intent, Complaint>,
) -> Vec<Intent> {
    let Some(value) = table.get(key) else { return Vec::new() };
    let mut result = Vec::new();
    for (text, span) in reader.one_or_more(value, key, MOST_INTENTS) {
        match one(reader, &text) {
            Ok(intent) => result.push(intent),
            Err(complaint) => reader.complain(complaint, span),
        }
    }
    result
}

fn variables(reader: &mut Reader<'_>, name: &Range<usize>, table: &DeTable<'_>) -> Vec<Intent> {
    let mut result = Vec::new();
    if !table.contains_key("pass") && !table.contains_key("set") {
        let complaint = Complaint::new("`env` without `pass` or `set`", "names no variable");
        reader.complain(complaint, name.clone());
    }
    if let Some(value) = table.get("pass") {
        for (name, span) in reader.strings(value, "pass", MOST_INTENTS) {
            match variable(&name) {
                Ok(()) => result.push(Intent::EnvPass(name)),
                Err(complaint) => reader.complain(complaint, span),
            }
        }
    }
    let Some(value) = table.get("set") else { return result };
    let Some(values) = reader.table(value, "set") else { return result };
    for (key, value) in values.iter().take(MOST_INTENTS + 1) {
        let Some(text) = reader.string(value, key.get_ref()) else { continue };
        match set(key.get_ref(), text) {
            Ok(intent) => result.push(intent),
            Err(complaint) => reader.complain(complaint, key.span()),
        }
    }
    result
}

//! What was learned, as the text of a profile.

use super::{Class, Evidence, Learned, Line, Wanted};
use crate::describe::{access_name, name, state_name};
use crate::model::{Access, Intent};
use crate::paths::Environment;
use std::path::Path;
use swathe_netrules::Form;
use swathe_record::bytes::Bytes;
use swathe_record::event::Action;

/// Lines that are commented out, of each class.
pub const MAX_COMMENTS: usize = 32;
/// Programs that one comment names.
const MAX_PROGRAMS: usize = 4;
/// Characters of one name in a comment.
const MAX_NAME: usize = 200;

/// The order of lines in a profile.
pub fn order(line: &Line) -> (Class, u8, String) {
    let (rank, text) = match &line.wanted {
        Wanted::Unprotected(name) => (0, (*name).to_owned()),
        Wanted::Intent(intent @ (Intent::FilesCwd(_) | Intent::FilesArgs(_))) => {
            (1, name(intent).to_owned())
        }
        Wanted::Intent(Intent::FilesDir { path, .. }) => {
            (2, Bytes::from(path.as_path()).to_string())
        }
        Wanted::Intent(intent) => (3, crate::words::written(intent)),
        Wanted::Nothing(text) => (4, text.clone()),
    };
    (line.class, rank, text)
}

/// The profile. `title`: what it was learned from, as lines of a comment.
#[must_use]
pub fn profile(learned: &Learned, title: &[String], env: &Environment) -> String {
    let mut text = String::new();
    for line in title {
        push_comment(&mut text, line);
    }
    if learned.left_out > 0 {
        push_comment(&mut text, &format!("{} events were too many to look at.", learned.left_out));
    }
    // Keys come before tables.
    let unprotected = learned.lines.iter().filter(|l| matches!(l.wanted, Wanted::Unprotected(_)));
    for line in unprotected {
        let Wanted::Unprotected(name) = &line.wanted else { continue };
        text.push('\n');
        about(&mut text, line, env);
        push_comment(&mut text, &format!("unprotect = [{}]", quote(name)));
    }
    for line in &learned.lines {
        if let (Wanted::Intent(intent), Class::Needed | Class::Given) = (&line.wanted, line.class) {
            text.push('\n');
            about(&mut text, line, env);
            text.push_str(&table(intent, env));
        }
    }
    comments(&mut text, learned, env);
    text
}

/// What is not in force.
fn comments(text: &mut String, learned: &Learned, env: &Environment) {
    for (class, head) in [
        (Class::Withheld, "The run used this, too. It is for you to decide:"),
        (Class::Tolerated, "The run was denied this, and went on:"),
    ] {
        let of_class =
            |line: &&Line| line.class == class && !matches!(line.wanted, Wanted::Unprotected(_));
        let all = learned.lines.iter().filter(of_class);
        let count = all.clone().count();
        if count == 0 {
            continue;
        }
        text.push('\n');
        push_comment(text, head);
        for line in all.take(MAX_COMMENTS) {
            push_comment(text, "");
            match &line.wanted {
                Wanted::Intent(intent) => {
                    about(text, line, env);
                    table(intent, env).lines().for_each(|row| push_comment(text, row));
                }
                Wanted::Nothing(why) => {
                    push_comment(text, &short(why));
                    about(text, line, env);
                }
                Wanted::Unprotected(_) => {}
            }
        }
        if count > MAX_COMMENTS {
            push_comment(text, "");
            push_comment(text, &format!("and {} more", count - MAX_COMMENTS));
        }
    }
}

fn push_comment(text: &mut String, line: &str) {
    let line: String = line.chars().map(visible).collect();
    text.push('#');
    if !line.is_empty() {
        text.push(' ');
        text.push_str(&line);
    }
    text.push('\n');
}

/// The comment above a line.
pub fn about(text: &mut String, line: &Line, env: &Environment) {
    if let Some(used) = used(&line.evidence, env) {
        push_comment(text, &used);
    }
    if let Some(note) = &line.note {
        push_comment(text, note);
    }
}

/// Who used it, how, and of what the first.
fn used(evidence: &Evidence, env: &Environment) -> Option<String> {
    if evidence.objects == 0 {
        return None;
    }
    let mut by_name: Vec<(String, u64)> = Vec::new();
    for (program, count) in &evidence.programs {
        let name = program_name(program);
        match by_name.iter_mut().find(|(known, _)| *known == name) {
            Some((_, sum)) => *sum += count,
            None => by_name.push((name, *count)),
        }
    }
    by_name.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let more = by_name.len().saturating_sub(MAX_PROGRAMS);
    by_name.truncate(MAX_PROGRAMS);
    let mut programs: Vec<String> =
        by_name.into_iter().map(|(name, count)| format!("{name} ({count})")).collect();
    if more > 0 {
        programs.push(format!("{more} more"));
    }
    let only = evidence.actions.len() == 1;
    let told = evidence.actions.iter().filter(|action| only || **action != Action::Stat);
    let actions: Vec<&str> = told.map(|action| action.verb()).collect();
    let first = match evidence.first.as_path().strip_prefix(&env.home) {
        Ok(below) => format!("~/{}", Bytes::from(below)),
        Err(_) => evidence.first.to_string(),
    };
    let first = short(&first);
    let objects = match evidence.objects {
        1 => first,
        n => format!("{n} objects, first {first}"),
    };
    Some(format!("{}: {} {objects}", programs.join(", "), actions.join(", ")))
}

fn program_name(program: &Bytes) -> String {
    let name = program.as_path().file_name().map(|name| Bytes::from(Path::new(name)));
    let name = name.map(|name| short(&name.to_string()));
    name.unwrap_or_else(|| "a program".to_owned())
}

fn short(text: &str) -> String {
    if text.chars().count() <= MAX_NAME {
        return text.to_owned();
    }
    let start: String = text.chars().take(MAX_NAME).collect();
    format!("{start}...")
}

/// A character, or what stands for it in TOML where it steers a terminal, ends a line or is not seen.
fn visible(c: char) -> String {
    let unseen = matches!(
        c,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}'
            | '\u{e0000}'..='\u{e007f}'
    );
    if c.is_control() || unseen { format!("\\U{:08X}", u32::from(c)) } else { c.to_string() }
}

/// A string of TOML, on one line, without characters that steer a terminal or hide.
pub fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            _ => quoted.push_str(&visible(c)),
        }
    }
    quoted.push('"');
    quoted
}

/// A path as it stands in a profile: `~` for the home directory, `$` doubled.
pub fn path_text(path: &Path, env: &Environment) -> String {
    let dollars = |path: &Path| path.to_string_lossy().replace('$', "$$");
    match path.strip_prefix(&env.home) {
        Ok(below) if below.as_os_str().is_empty() => "~".to_owned(),
        Ok(below) => format!("~/{}", dollars(below)),
        Err(_) => dollars(path),
    }
}

/// The keys of an intent.
pub fn keys(intent: &Intent, env: &Environment) -> Vec<(&'static str, String)> {
    let mut keys = vec![("use", quote(name(intent)))];
    let level = |access: Access| ("access", quote(access_name(access)));
    match intent {
        Intent::FilesCwd(access) | Intent::FilesArgs(access) => keys.push(level(*access)),
        Intent::FilesDir { path, access } => {
            keys.push(("path", quote(&path_text(path, env))));
            keys.push(level(*access));
        }
        Intent::FilesHide(path) | Intent::FilesHideGlob(path) => {
            keys.push(("path", quote(&path_text(path, env))));
        }
        Intent::NetPasta => keys.push(("way", quote("pasta"))),
        Intent::NetReach(rule) => keys.push(("to", quote(&rule.text(Form::Allow)))),
        Intent::NetDeny(rule) => keys.push(("to", quote(&rule.text(Form::Deny)))),
        Intent::NetListen(publish) => keys.push(("port", quote(&publish.to_string()))),
        Intent::State(state) => keys.push(("mode", quote(state_name(*state)))),
        Intent::EnvPass(name) => keys.push(("pass", format!("[{}]", quote(name)))),
        Intent::EnvSet(name, value) => {
            keys.push(("set", format!("{{ {} = {} }}", quote(name), quote(value))));
        }
        _ => {}
    }
    keys
}

/// An intent as a table.
pub fn table(intent: &Intent, env: &Environment) -> String {
    let rows = keys(intent, env).into_iter().map(|(key, value)| format!("{key} = {value}\n"));
    std::iter::once("[[intent]]\n".to_owned()).chain(rows).collect()
}

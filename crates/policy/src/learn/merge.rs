//! A profile with what one more run needs, and nothing of what its author wrote touched but access
//! levels that are too low.

use super::text::{about, keys, quote, table};
use super::{Class, Learned, Line, Need, Wanted};
use crate::describe::{access_name, name};
use crate::diagnostic::{Diagnostic, SourceText};
use crate::merge::is_whole;
use crate::model::{Access, Declared, Intent};
use crate::paths::{Asker, Environment, expand};
use crate::profile::read;
use crate::resolve::globs;
use std::ffi::OsStr;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use swathe_netrules::{Form, Rule};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What was done to a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A line is new.
    Added(Intent),
    /// A line allows more than before.
    Widened(Intent, Intent),
}

/// A profile with more lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// The new text; the old one where nothing has changed.
    pub text: String,
    /// What was done.
    pub changes: Vec<Change>,
    /// What the run needs and the profile forbids in so many words: it still does.
    pub forbidden: Vec<String>,
}

impl Merged {
    /// The difference, as lines with `+` and `-`.
    #[must_use]
    pub fn diff(&self, old: &str) -> String {
        let diff = similar::TextDiff::from_lines(old, &self.text);
        diff.unified_diff().context_radius(2).to_string()
    }
}

/// An intent of the text that can be changed.
struct Entry {
    intent: Intent,
    /// The value of `use`.
    word: Range<usize>,
    /// The value of `access`.
    access: Option<Range<usize>>,
    inline: bool,
}

/// Adds to a profile what a run needs. `inherited`: what the profile has from those that it extends,
/// its own lines included or not.
///
/// # Errors
/// What is wrong with the profile.
pub fn merge(
    source: &Arc<SourceText>,
    inherited: &[Declared],
    learned: &Learned,
    env: &Environment,
) -> Result<Merged, Vec<Diagnostic>> {
    read(source, Asker::User, env)?;
    let failed = |message: &str| vec![Diagnostic::error(message).at(source, 0..0, "")];
    let text = source.text.as_str();
    let table = DeTable::parse(text).map_err(|e| failed(e.message()))?;
    let list = table.get_ref().get("intent");
    let own = list.map(|list| entries(list, text, env)).unwrap_or_default();
    let mut merging = Merging {
        own,
        inherited,
        edits: Vec::new(),
        added: Vec::new(),
        changes: Vec::new(),
        forbidden: Vec::new(),
    };
    for line in &learned.lines {
        if let (Wanted::Intent(intent), Class::Needed | Class::Given) = (&line.wanted, line.class) {
            merging.intent(intent, line);
        }
    }
    merging.forbidden_below(learned);
    let added = std::mem::take(&mut merging.added);
    if !added.is_empty() {
        merging.edits.push(addition(text, list, &added, env));
    }
    let new = edited(text, merging.edits);
    let checked = Arc::new(SourceText { text: new, path: source.path.clone() });
    read(&checked, Asker::User, env)?;
    let text = checked.text.clone();
    Ok(Merged { text, changes: merging.changes, forbidden: merging.forbidden })
}

fn entries(list: &Spanned<DeValue<'_>>, text: &str, env: &Environment) -> Vec<Entry> {
    let DeValue::Array(array) = list.get_ref() else { return Vec::new() };
    array.iter().filter_map(|value| entry(value, text, env)).collect()
}

fn entry(value: &Spanned<DeValue<'_>>, text: &str, env: &Environment) -> Option<Entry> {
    let DeValue::Table(table) = value.get_ref() else { return None };
    let string = |key: &str| table.get(key).and_then(|value| value.get_ref().as_str());
    let level = match string("access") {
        Some(word) => crate::intent::access(word).ok()?,
        None => Access::ReadOnly,
    };
    let path = || expand(OsStr::new(string("path")?), env, false).ok();
    let intent = match string("use")? {
        "files.cwd" => Intent::FilesCwd(level),
        "files.dir" => Intent::FilesDir { path: path()?, access: level },
        "files.hide" if string("path")?.contains(['*', '?', '[']) => Intent::FilesHideGlob(path()?),
        "files.hide" => Intent::FilesHide(path()?),
        "net.all" => crate::intent::way(string("way").unwrap_or("host")).ok()?,
        other => crate::intent::plain(other)?,
    };
    Some(Entry {
        intent,
        word: table.get("use")?.span(),
        access: table.get("access").map(Spanned::span),
        inline: text.get(value.span()).is_some_and(|text| text.starts_with('{')),
    })
}

struct Merging<'m> {
    own: Vec<Entry>,
    inherited: &'m [Declared],
    edits: Vec<(Range<usize>, String)>,
    added: Vec<(Intent, &'m Line)>,
    changes: Vec<Change>,
    forbidden: Vec<String>,
}

impl<'m> Merging<'m> {
    fn all(&self) -> impl Iterator<Item = &Intent> {
        let inherited = self.inherited.iter().map(|declared| &declared.intent);
        self.own.iter().map(|entry| &entry.intent).chain(inherited)
    }

    fn intent(&mut self, intent: &Intent, line: &'m Line) {
        match intent {
            Intent::FilesCwd(access) => self.cwd(*access, line),
            Intent::FilesDir { path, access } => self.path(path, *access, line),
            Intent::NetAll | Intent::NetPasta => self.network(intent, line),
            Intent::NetReach(rule) => self.reach(rule, line),
            Intent::EnvPass(name) | Intent::EnvSet(name, _) => {
                let known = self.all().any(|known| match known {
                    Intent::EnvPass(other) | Intent::EnvSet(other, _) => other == name,
                    _ => false,
                });
                self.add(!known, intent, line);
            }
            _ => {
                let known = self.all().any(|known| known == intent);
                self.add(!known, intent, line);
            }
        }
    }

    fn add(&mut self, missing: bool, intent: &Intent, line: &'m Line) {
        if missing {
            self.added.push((intent.clone(), line));
            self.changes.push(Change::Added(intent.clone()));
        }
    }

    fn cwd(&mut self, access: Access, line: &'m Line) {
        let own = self.own.iter().position(|entry| matches!(entry.intent, Intent::FilesCwd(_)));
        let has = |intent: &Intent| matches!(intent, Intent::FilesCwd(had) if *had >= access);
        match own {
            Some(at) => self.widen(at, access),
            None => {
                let known = self.all().any(has);
                self.add(!known, &Intent::FilesCwd(access), line);
            }
        }
    }

    fn path(&mut self, path: &Path, access: Access, line: &'m Line) {
        let depth = |path: &Path| path.components().count();
        let governing = self
            .all()
            .filter_map(at)
            .filter(|(at, _)| path.starts_with(at))
            .max_by_key(|(at, had)| (depth(at), std::cmp::Reverse(*had)));
        match governing {
            Some((at, Access::Hide)) => {
                self.forbidden.push(format!("{} is hidden by {}", path.display(), at.display()));
                return;
            }
            Some((at, Access::Ask)) => {
                self.forbidden.push(format!(
                    "{} is asked about, by {}",
                    path.display(),
                    at.display()
                ));
                return;
            }
            Some((_, had)) if had >= access => return,
            _ => {}
        }
        if let Some(glob) = self.hiding(path) {
            self.forbidden.push(format!("{} is hidden by {}", path.display(), glob.display()));
            return;
        }
        let same = |entry: &Entry| at(&entry.intent).is_some_and(|(at, _)| at == path);
        match self.own.iter().position(same) {
            Some(at) => self.widen(at, access),
            None => {
                let intent = Intent::FilesDir { path: path.to_owned(), access };
                self.add(true, &intent, line);
            }
        }
    }

    fn hiding(&self, path: &Path) -> Option<PathBuf> {
        let hides = |intent: &&Intent| match intent {
            Intent::FilesHideGlob(glob) => globs::compile(glob)
                .is_ok_and(|glob| path.ancestors().any(|above| glob.is_match(above))),
            _ => false,
        };
        match self.all().find(hides) {
            Some(Intent::FilesHideGlob(glob)) => Some(glob.clone()),
            _ => None,
        }
    }

    fn network(&mut self, wanted: &Intent, line: &'m Line) {
        // Which of both it is its author has chosen.
        if self.all().any(is_whole) {
            return;
        }
        let narrow = |entry: &Entry| matches!(entry.intent, Intent::NetNone | Intent::NetLoopback);
        match self.own.iter().find(|entry| narrow(entry)) {
            Some(entry) => {
                let before = if entry.inline { ", " } else { "\n" };
                let way = match wanted {
                    Intent::NetPasta => format!("{before}way = {}", quote("pasta")),
                    _ => String::new(),
                };
                self.edits.push((entry.word.clone(), quote(name(wanted)) + &way));
                self.changes.push(Change::Widened(entry.intent.clone(), wanted.clone()));
            }
            None => self.add(true, wanted, line),
        }
    }

    fn reach(&mut self, rule: &Rule, line: &'m Line) {
        let known = self.all().any(|intent| match intent {
            Intent::NetReach(known) => known.covers(rule),
            Intent::NetAll | Intent::NetPasta => true,
            _ => false,
        });
        if !known && self.all().any(|intent| *intent == Intent::NetNone) {
            self.forbidden.push(format!("{}, by net.none", rule.text(Form::Allow)));
            return;
        }
        self.add(!known, &Intent::NetReach(rule.clone()), line);
    }

    /// Raises the level of a line where it is too low.
    fn widen(&mut self, index: usize, access: Access) {
        let Some(entry) = self.own.get(index) else { return };
        let new = match &entry.intent {
            Intent::FilesCwd(had) if *had < access => Intent::FilesCwd(access),
            Intent::FilesDir { path, access: had } if *had < access => {
                Intent::FilesDir { path: path.clone(), access }
            }
            _ => return,
        };
        let value = quote(access_name(access));
        self.edits.push(match &entry.access {
            Some(span) => (span.clone(), value),
            None => {
                let end = entry.word.end;
                let before = if entry.inline { ", " } else { "\n" };
                (end..end, format!("{before}access = {value}"))
            }
        });
        self.changes.push(Change::Widened(entry.intent.clone(), new));
    }

    /// Needs below a new line that an older, deeper line forbids.
    fn forbidden_below(&mut self, learned: &Learned) {
        for need in &learned.needs {
            let Need::Path { path, access } = need else { continue };
            let deeper = self
                .own
                .iter()
                .filter_map(|entry| at(&entry.intent))
                .filter(|(at, _)| path.starts_with(at) && path != at)
                .max_by_key(|(at, _)| at.components().count());
            let added = self.added.iter().filter_map(|(intent, _)| at(intent));
            let added = added.filter(|(at, _)| path.starts_with(at));
            let new = added.map(|(at, _)| at.components().count()).max().unwrap_or(0);
            if let Some((at, had)) = deeper
                && at.components().count() > new
                && had < *access
                && !(had <= Access::Ask && self.is_told(at))
                && !self.changes.iter().any(|change| {
                    matches!(change, Change::Widened(_, Intent::FilesDir { path, .. }) if path == at)
                })
            {
                let had = access_name(had);
                let text = format!("{} stays {had}, and the run did more there", at.display());
                if !self.forbidden.contains(&text) {
                    self.forbidden.push(text);
                }
            }
        }
    }

    /// Whether that was said of a path.
    fn is_told(&self, hidden: &Path) -> bool {
        let ends =
            ["is hidden", "is asked about,"].map(|how| format!("{how} by {}", hidden.display()));
        self.forbidden.iter().any(|text| ends.iter().any(|end| text.ends_with(end)))
    }
}

/// The path of an intent that has one.
fn at(intent: &Intent) -> Option<(&Path, Access)> {
    match intent {
        Intent::FilesDir { path, access } => Some((path, *access)),
        Intent::FilesHide(path) => Some((path, Access::Hide)),
        _ => None,
    }
}

/// Where new lines go, and what they are.
fn addition(
    text: &str,
    list: Option<&Spanned<DeValue<'_>>>,
    added: &[(Intent, &Line)],
    env: &Environment,
) -> (Range<usize>, String) {
    // `intent = [...]` cannot be added to by `[[intent]]`.
    let inline = list.filter(|list| text.get(list.span()).is_some_and(|t| t.starts_with('[')));
    let inline = inline.filter(|list| !text.get(list.span()).is_some_and(|t| t.starts_with("[[")));
    let mut new = String::new();
    let Some((list, DeValue::Array(array))) = inline.map(|list| (list, list.get_ref())) else {
        if !text.is_empty() && !text.ends_with('\n') {
            new.push('\n');
        }
        for (intent, line) in added {
            new.push('\n');
            about(&mut new, line, env);
            new.push_str(&table(intent, env));
        }
        return (text.len()..text.len(), new);
    };
    let last = array.iter().last().map(Spanned::span);
    for (number, (intent, line)) in added.iter().enumerate() {
        new.push_str(if last.is_some() || number > 0 { ",\n" } else { "\n" });
        about(&mut new, line, env);
        let keys: Vec<String> =
            keys(intent, env).into_iter().map(|(key, value)| format!("{key} = {value}")).collect();
        new.push_str(&format!("{{ {} }}", keys.join(", ")));
    }
    let start = last.map_or(list.span().start + 1, |last| last.end);
    (start..start, new)
}

fn edited(text: &str, mut edits: Vec<(Range<usize>, String)>) -> String {
    edits.sort_by_key(|(span, _)| std::cmp::Reverse(span.start));
    let mut new = text.to_owned();
    for (span, value) in edits {
        if new.is_char_boundary(span.start) && new.is_char_boundary(span.end) {
            new.replace_range(span, &value);
        }
    }
    new
}

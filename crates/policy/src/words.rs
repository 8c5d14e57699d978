//! Intents as words of the command line, such as `--allow files.dir=~/pages:rw`.

use crate::describe::{access_name, name, state_name};
use crate::diagnostic::{Diagnostic, Severity, SourceText};
use crate::intent::{
    Context, access, directory, hidden, known, plain, quoted, set, state, variable,
};
use crate::model::{Access, Declared, Intent, Source};
use crate::paths::{Asker, Environment};
use crate::value::Complaint;
use crate::vocabulary::{ACCESS, Word};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;

/// The option that the words follow.
const OPTION: &str = "--allow ";

/// Reads the words behind `--allow`, and says what is dangerous. Relative paths are below the
/// working directory.
///
/// # Errors
/// Each word that is wrong.
pub fn read(
    words: &[OsString],
    env: &Environment,
) -> Result<(Vec<Declared>, Vec<Diagnostic>), Vec<Diagnostic>> {
    let (mut declared, mut warnings, mut errors) = (Vec::new(), Vec::new(), Vec::new());
    for text in words {
        match one(text, env) {
            Ok((intent, warning)) => {
                let source = Source::CommandLine(format!("{OPTION}{}", text.to_string_lossy()));
                declared.push(Declared { intent, reason: None, source });
                let Some(warning) = warning else { continue };
                let error = drawn(text, Complaint::new(warning, ""), 0);
                warnings.push(Diagnostic { severity: Severity::Warning, ..error });
            }
            Err((complaint, at)) => errors.push(drawn(text, complaint, at)),
        }
    }
    if errors.is_empty() { Ok((declared, warnings)) } else { Err(errors) }
}

/// One intent as it stands behind `--allow`.
///
/// # Errors
/// The word is wrong.
pub fn parse(text: &OsStr, env: &Environment) -> Result<Intent, Diagnostic> {
    one(text, env).map(|(intent, _)| intent).map_err(|(complaint, at)| drawn(text, complaint, at))
}

/// An intent as it stands behind `--allow`: the same text for the same intent, and another for
/// another, as long as its path is UTF-8.
pub fn written(intent: &Intent) -> String {
    let path = |path: &Path| path.to_string_lossy().replace('$', "$$");
    let word = name(intent);
    match intent {
        Intent::FilesCwd(access) | Intent::FilesArgs(access) => {
            format!("{word}={}", access_name(*access))
        }
        Intent::FilesDir { path: at, access } => {
            format!("{word}={}:{}", path(at), access_name(*access))
        }
        Intent::FilesHide(at) | Intent::FilesHideGlob(at) => format!("{word}={}", path(at)),
        Intent::State(state) => format!("{word}={}", state_name(*state)),
        Intent::EnvPass(name) => format!("{word}={name}"),
        Intent::EnvSet(name, value) => format!("{word}={name}={value}"),
        _ => word.to_owned(),
    }
}

/// A complaint about a word from byte `at` on.
fn drawn(text: &OsStr, complaint: Complaint, at: usize) -> Diagnostic {
    let start = String::from_utf8_lossy(&text.as_bytes()[..at]).len() + OPTION.len();
    let line = format!("{OPTION}{}", text.to_string_lossy());
    let span = start..line.len();
    let source = Arc::new(SourceText::words(line));
    let error = Diagnostic::error(complaint.message).at(&source, span, complaint.label);
    Diagnostic { help: complaint.help, ..error }
}

type Wrong = (Complaint, usize);

fn one(text: &OsStr, env: &Environment) -> Result<(Intent, Option<String>), Wrong> {
    let bytes = text.as_bytes();
    let equals = bytes.iter().position(|b| *b == b'=');
    let word = &bytes[..equals.unwrap_or(bytes.len())];
    let value = equals.map(|at| OsStr::from_bytes(&bytes[at + 1..]));
    let word = known(&String::from_utf8_lossy(word)).map_err(|complaint| (complaint, 0))?;
    let start = equals.map_or(0, |at| at + 1);
    let context = Context { env, asker: Asker::User, relative: true };
    let intent = match (word.name, value) {
        ("files.cwd", value) => Intent::FilesCwd(chosen(value, start)?),
        ("files.args", value) => Intent::FilesArgs(chosen(value, start)?),
        (_, None) if word.keys.is_empty() => {
            plain(word.name).ok_or_else(|| (Complaint::new("not a word", ""), 0))?
        }
        (_, None) => return Err((usage(word, "has no value"), 0)),
        ("files.dir", Some(value)) => {
            let (path, access) = with_access(value, start)?;
            return directory(path, access, context).map_err(|complaint| (complaint, start));
        }
        ("files.hide", Some(value)) => hidden(value, context).map_err(|c| (c, start))?,
        ("state", Some(value)) => {
            Intent::State(state(&value.to_string_lossy()).map_err(|c| (c, start))?)
        }
        ("env", Some(value)) if !value.is_empty() => environment(value).map_err(|c| (c, start))?,
        ("env", _) => return Err((usage(word, "names no variable"), start)),
        (_, Some(_)) => return Err((usage(word, "takes no value"), start - 1)),
    };
    Ok((intent, None))
}

fn usage(word: &Word, what: &str) -> Complaint {
    Complaint::new(format!("`{}` {what}", word.name), what)
        .help(format!("write `--allow {}`", word.short))
}

fn chosen(value: Option<&OsStr>, start: usize) -> Result<Access, Wrong> {
    match value {
        None => Ok(Access::ReadOnly),
        Some(value) => access(&value.to_string_lossy()).map_err(|complaint| (complaint, start)),
    }
}

/// `PATH` or `PATH:ACCESS`. What stands behind the last colon is always an access, so that a typing
/// error in it never becomes part of a path.
fn with_access(value: &OsStr, start: usize) -> Result<(&OsStr, Access), Wrong> {
    let bytes = value.as_bytes();
    let Some(colon) = bytes.iter().rposition(|b| *b == b':') else {
        return Ok((value, Access::ReadOnly));
    };
    let word = String::from_utf8_lossy(&bytes[colon + 1..]);
    let path = OsStr::from_bytes(&bytes[..colon]);
    let unknown = !ACCESS.iter().any(|(name, ..)| *name == word);
    match access(&word) {
        Ok(access) => Ok((path, access)),
        Err(complaint) if unknown && complaint.help.is_none() => {
            let help = format!(
                "a path with a colon needs its access: {}:ro",
                quoted(&value.to_string_lossy(),).trim_matches('`')
            );
            Err((complaint.help(help), start + colon + 1))
        }
        Err(complaint) => Err((complaint, start + colon + 1)),
    }
}

fn environment(value: &OsStr) -> Result<Intent, Complaint> {
    let text = value.to_str().ok_or_else(|| {
        Complaint::new("the variable is not UTF-8", "cannot be passed by `--allow`")
    })?;
    match text.split_once('=') {
        None => variable(text).map(|()| Intent::EnvPass(text.to_owned())),
        Some((name, value)) => set(name, value),
    }
}

//! Intents as words of the command line, such as `--allow files.dir=~/pages:rw` and
//! `--net github.com:443`.

use crate::describe::{access_name, name, state_name};
use crate::diagnostic::{Diagnostic, Severity, SourceText};
use crate::intent::{
    Context, access, directory, hidden, known, plain, quoted, set, state, variable, way,
};
use crate::merge::is_opening;
use crate::model::{Access, Declared, Intent, Source};
use crate::network::{self, Takes};
use crate::paths::{Asker, Environment};
use crate::value::Complaint;
use crate::vocabulary::{ACCESS, Word};
use std::ffi::{OsStr, OsString};
use std::ops::Range;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;
use swathe_netrules::Form;

/// The option that intents follow.
const ALLOW: &str = "--allow";

/// Reads the words behind `--allow`, and says what is dangerous. Relative paths are below the
/// working directory.
///
/// # Errors
/// Each word that is wrong.
pub fn read(
    words: &[OsString],
    env: &Environment,
) -> Result<(Vec<Declared>, Vec<Diagnostic>), Vec<Diagnostic>> {
    let mut found = Found::default();
    for text in words {
        let read = one(text, env).map_err(|(complaint, at)| (complaint, at..text.len()));
        found.add(ALLOW, text, 0..text.len(), read);
    }
    found.finish()
}

/// Options about the network, each with its values.
#[derive(Debug, Clone, Copy, Default)]
pub struct Network<'w> {
    /// `--net`: `none`, `loopback`, `all`, `ask`, or a rule; several joined by commas.
    pub net: &'w [OsString],
    /// `--net-deny`: rules, joined by commas.
    pub deny: &'w [OsString],
    /// `--publish`: a port, with an address or not.
    pub publish: &'w [OsString],
}

/// Reads the words behind the options about the network.
///
/// # Errors
/// Each word that is wrong.
pub fn network(words: Network<'_>) -> Result<(Vec<Declared>, Vec<Diagnostic>), Vec<Diagnostic>> {
    let deny = |text: &str| network::deny(text).map(|intent| (intent, None));
    let publish = |text: &str| network::listen(text).map(|intent| (intent, None));
    let mut found = Found::default();
    found.list("--net", words.net, &net);
    found.list("--net-deny", words.deny, &deny);
    for text in words.publish {
        let read = utf8(text).and_then(publish);
        let whole = 0..text.len();
        found.add("--publish", text, whole.clone(), read.map_err(|complaint| (complaint, whole)));
    }
    if let Some(complaint) = contradiction(&found.declared) {
        let none = words.net.iter().find(|text| text.as_bytes().starts_with(b"none"));
        let text = none.map_or(OsStr::new("none"), OsString::as_os_str);
        found.errors.push(drawn("--net", text, complaint, 0..text.len()));
    }
    found.finish()
}

/// No network, and something that needs one, asked for at once.
pub(crate) fn contradiction(declared: &[Declared]) -> Option<Complaint> {
    let none = declared.iter().any(|declared| declared.intent == Intent::NetNone);
    let opens = declared.iter().find(|declared| is_opening(&declared.intent))?;
    none.then(|| {
        let other = name(&opens.intent);
        Complaint::new(format!("`net.none` and `{other}` exclude each other"), "no network")
            .help("leave one of them out")
    })
}

fn net(text: &str) -> Result<Meant, Complaint> {
    let intent = match text {
        "none" => Intent::NetNone,
        "loopback" => Intent::NetLoopback,
        "all" => Intent::NetAll,
        "ask" => Intent::NetAsk,
        _ => return network::reach(text, Takes::Both, Asker::User),
    };
    Ok((intent, None))
}

fn utf8(text: &OsStr) -> Result<&str, Complaint> {
    text.to_str().ok_or_else(|| Complaint::new("the word is not UTF-8", "not UTF-8"))
}

/// What words ask for, and what is wrong with them.
#[derive(Default)]
struct Found {
    declared: Vec<Declared>,
    warnings: Vec<Diagnostic>,
    errors: Vec<Diagnostic>,
}

/// An intent, and what is dangerous about it.
type Meant = (Intent, Option<String>);

impl Found {
    /// What was read of these bytes of a word.
    fn add(
        &mut self,
        option: &str,
        text: &OsStr,
        at: Range<usize>,
        read: Result<Meant, (Complaint, Range<usize>)>,
    ) {
        match read {
            Ok((intent, warning)) => {
                let source = Source::CommandLine(format!("{option} {}", text.to_string_lossy()));
                self.declared.push(Declared { intent, reason: None, source });
                let Some(warning) = warning else { return };
                let error = drawn(option, text, Complaint::new(warning, ""), at);
                self.warnings.push(Diagnostic { severity: Severity::Warning, ..error });
            }
            Err((complaint, at)) => self.errors.push(drawn(option, text, complaint, at)),
        }
    }

    /// Words that are lists.
    fn list(
        &mut self,
        option: &str,
        words: &[OsString],
        one: &dyn Fn(&str) -> Result<Meant, Complaint>,
    ) {
        for text in words {
            let list = match utf8(text) {
                Ok(list) => list,
                Err(complaint) => {
                    let whole = 0..text.len();
                    self.add(option, text, whole.clone(), Err((complaint, whole)));
                    continue;
                }
            };
            for (start, piece) in network::pieces(list) {
                let at = start..start + piece.len();
                let read = one(piece).map_err(|complaint| (complaint, at.clone()));
                self.add(option, text, at, read);
            }
        }
    }

    fn finish(self) -> Result<(Vec<Declared>, Vec<Diagnostic>), Vec<Diagnostic>> {
        if self.errors.is_empty() { Ok((self.declared, self.warnings)) } else { Err(self.errors) }
    }
}

/// One intent as it stands behind `--allow`.
///
/// # Errors
/// The word is wrong.
pub fn parse(text: &OsStr, env: &Environment) -> Result<Intent, Diagnostic> {
    one(text, env)
        .map(|(intent, _)| intent)
        .map_err(|(complaint, at)| drawn(ALLOW, text, complaint, at..text.len()))
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
        Intent::NetPasta => format!("{word}=pasta"),
        Intent::NetReach(rule) => format!("{word}={}", rule.text(Form::Allow)),
        Intent::NetDeny(rule) => format!("{word}={}", rule.text(Form::Deny)),
        Intent::NetListen(publish) => format!("{word}={publish}"),
        Intent::EnvPass(name) => format!("{word}={name}"),
        Intent::EnvSet(name, value) => format!("{word}={name}={value}"),
        _ => word.to_owned(),
    }
}

/// A complaint about these bytes of a word.
fn drawn(option: &str, text: &OsStr, complaint: Complaint, at: Range<usize>) -> Diagnostic {
    let place = |at| String::from_utf8_lossy(&text.as_bytes()[..at]).len() + option.len() + 1;
    let line = format!("{option} {}", text.to_string_lossy());
    let span = place(at.start)..place(at.end);
    let source = Arc::new(SourceText::words(line));
    let error = Diagnostic::error(complaint.message).at(&source, span, complaint.label);
    Diagnostic { help: complaint.help, ..error }
}

/// A complaint, and the byte of the word from which on it is wrong.
type Wrong = (Complaint, usize);

fn one(text: &OsStr, env: &Environment) -> Result<Meant, Wrong> {
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
        ("net.all", None) => Intent::NetAll,
        ("net.all", Some(value)) => way(&value.to_string_lossy()).map_err(|c| (c, start))?,
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
        ("net.host" | "net.cidr", Some(value)) => {
            let takes = if word.name == "net.host" { Takes::Names } else { Takes::Addresses };
            let read = utf8(value).and_then(|text| network::reach(text, takes, Asker::User));
            return read.map_err(|complaint| (complaint, start));
        }
        ("net.deny", Some(value)) => utf8(value).and_then(network::deny).map_err(|c| (c, start))?,
        ("net.listen", Some(value)) => {
            utf8(value).and_then(network::listen).map_err(|c| (c, start))?
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

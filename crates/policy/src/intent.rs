//! One intent from the values of its keys, wherever they were written.

use crate::model::{Access, Intent, State};
use crate::paths::{Asker, Environment, Verdict, expand, judge, judge_access};
use crate::value::{Complaint, nearest};
use crate::vocabulary::{ACCESS, STATES, WAYS, WORDS, Word, word};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// Who asks, and for which environment.
#[derive(Debug, Clone, Copy)]
pub struct Context<'e> {
    /// What paths are made of.
    pub env: &'e Environment,
    /// Who asks.
    pub asker: Asker,
    /// Whether relative paths are below the working directory.
    pub relative: bool,
}

/// Text of others for a message: short, and in quotes. Control characters are left for the drawing.
pub fn quoted(text: &str) -> String {
    let short: String = text.chars().take(60).collect();
    let dots = if short.len() < text.len() { "..." } else { "" };
    format!("`{short}{dots}`")
}

/// The word of this name, where there is one that can be enforced.
///
/// # Errors
/// There is none, or its layer is missing.
pub fn known(name: &str) -> Result<&'static Word, Complaint> {
    let Some(word) = word(name) else {
        let complaint =
            Complaint::new(format!("unknown intent {}", quoted(name)), "not a word of intents");
        let near = nearest(name, WORDS.iter().map(|word| word.name));
        return Err(match near {
            Some(near) => complaint.help(format!("did you mean `{near}`?")),
            None => complaint.help("the words are listed by `swathe profile schema`"),
        });
    };
    match word.later {
        Some(reason) => Err(not_yet(word.name, reason)),
        None => Ok(word),
    }
}

fn not_yet(word: &str, reason: &str) -> Complaint {
    Complaint::new(format!("`{word}` cannot be enforced yet: it {reason}"), reason)
}

/// One of the words of a list, where it can be enforced.
fn choice(
    text: &str,
    what: &str,
    list: &[(&'static str, &'static str, Option<&'static str>)],
) -> Result<usize, Complaint> {
    let Some(index) = list.iter().position(|(name, ..)| *name == text) else {
        let names: Vec<&str> =
            list.iter().filter(|(.., later)| later.is_none()).map(|(name, ..)| *name).collect();
        let label = format!("expected {}", names.join(" or "));
        let complaint = Complaint::new(format!("unknown {what} {}", quoted(text)), label);
        return Err(match nearest(text, list.iter().map(|(name, ..)| *name)) {
            _ if text == "hide" => complaint.help("`files.hide` hides a path"),
            Some(near) => complaint.help(format!("did you mean `{near}`?")),
            None => complaint,
        });
    };
    match list[index].2 {
        Some(reason) => Err(not_yet(&format!("{what} {text}"), reason)),
        None => Ok(index),
    }
}

/// A way to access files.
///
/// # Errors
/// The word is unknown, or its layer is missing.
pub fn access(text: &str) -> Result<Access, Complaint> {
    let all = [
        Access::ReadOnly,
        Access::ReadWrite,
        Access::Append,
        Access::NoDelete,
        Access::Trash,
        Access::CopyOnWrite,
        Access::Ask,
    ];
    let index = choice(text, "access", &ACCESS)?;
    let missing = || Complaint::new(format!("unknown access {}", quoted(text)), "unknown");
    all.get(index).copied().ok_or_else(missing)
}

/// Where an app's own files live.
///
/// # Errors
/// The word is unknown, or its layer is missing.
pub fn state(text: &str) -> Result<State, Complaint> {
    let all = [State::Persist, State::Ephemeral, State::Overlay];
    choice(text, "mode", &STATES).map(|index| all[index])
}

/// The host's network, whole.
///
/// # Errors
/// There is no such way to have it.
pub fn way(text: &str) -> Result<Intent, Complaint> {
    let all = [Intent::NetAll, Intent::NetPasta];
    choice(text, "way", &WAYS).map(|index| all[index].clone())
}

/// An intent whose word says everything.
pub fn plain(name: &str) -> Option<Intent> {
    Some(match name {
        "net.none" => Intent::NetNone,
        "net.loopback" => Intent::NetLoopback,
        "net.all" => Intent::NetAll,
        "net.ask" => Intent::NetAsk,
        "tty" => Intent::Tty,
        "gpu" => Intent::Gpu,
        "camera" => Intent::Camera,
        "usb" => Intent::Usb,
        "gamepad" => Intent::Gamepad,
        "fonts" => Intent::Fonts,
        "themes" => Intent::Themes,
        "ssh-agent" => Intent::SshAgent,
        "gpg-agent" => Intent::GpgAgent,
        "print" => Intent::Print,
        "ptrace" => Intent::Ptrace,
        "nested-sandbox" => Intent::NestedSandbox,
        "kvm" => Intent::Kvm,
        "32bit" => Intent::Bits32,
        _ => return None,
    })
}

/// A directory or file, and a warning where the path is dangerous.
///
/// # Errors
/// The path cannot be asked for.
pub fn directory(
    path: &OsStr,
    access: Access,
    context: Context<'_>,
) -> Result<(Intent, Option<String>), Complaint> {
    let Context { env, asker, relative } = context;
    let write = access > Access::ReadOnly;
    if let Some(base) = glob(path, b"*?") {
        let base = if base.is_empty() { OsStr::new(".") } else { base };
        if let Ok(base) = expand(base, env, true)
            && let Verdict::Refuse(why) = judge(&base, write, asker, env)
        {
            let message = format!("the glob {} matches too much", quoted(&path.to_string_lossy()));
            return Err(Complaint::new(format!("{message}: {why}"), "refused"));
        }
        return Err(Complaint::new("`files.dir` takes no globs", "a glob")
            .help("name the directory that holds the files"));
    }
    let path = expand(path, env, relative)?;
    match judge_access(&path, access, asker, env) {
        Verdict::Fine => Ok((Intent::FilesDir { path, access }, None)),
        Verdict::Warn(why) => {
            let warning = format!("{} is dangerous to show: {why}", name(&path));
            Ok((Intent::FilesDir { path, access }, Some(warning)))
        }
        Verdict::Refuse(why) => {
            let how = if write { "written to" } else { "shown" };
            Err(Complaint::new(format!("{} cannot be {how}: {why}", name(&path)), "refused")
                .help("name just what is needed"))
        }
    }
}

/// A path that is hidden.
///
/// # Errors
/// The path is none or everything, or a glob that cannot be understood.
pub fn hidden(path: &OsStr, context: Context<'_>) -> Result<Intent, Complaint> {
    if let Some(base) = glob(path, b"*?[") {
        let everything = [&b""[..], b"/", b"~", b"~/", b"$HOME", b"$HOME/"];
        let last = path.as_bytes().rsplit(|b| *b == b'/').next().unwrap_or_default();
        if everything.contains(&base.as_bytes()) && last.iter().all(|b| *b == b'*') {
            let message = format!("the glob {} matches too much", quoted(&path.to_string_lossy()));
            return Err(Complaint::new(message, "nothing would be left"));
        }
        let path = expand(path, context.env, context.relative)?;
        return match crate::resolve::globs::compile(&path) {
            Ok(_) => Ok(Intent::FilesHideGlob(path)),
            Err(why) => Err(Complaint::new(format!("not a glob: {why}"), "not a glob")),
        };
    }
    let path = expand(path, context.env, context.relative)?;
    if path == Path::new("/") {
        return Err(Complaint::new("`/` cannot be hidden", "nothing would be left"));
    }
    Ok(Intent::FilesHide(path))
}

/// The path above the first component with one of the characters, where there is one.
fn glob<'p>(path: &'p OsStr, characters: &[u8]) -> Option<&'p OsStr> {
    let bytes = path.as_bytes();
    let first = bytes.iter().position(|b| characters.contains(b))?;
    let end = bytes[..first].iter().rposition(|b| *b == b'/').map_or(0, |at| at.max(1));
    Some(OsStr::from_bytes(&bytes[..end]))
}

fn name(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

/// The name of an environment variable.
///
/// # Errors
/// It is empty, longer than 255 bytes, or holds `=` or NUL.
pub fn variable(name: &str) -> Result<(), Complaint> {
    if name.is_empty() || name.len() > 255 || name.contains(['=', '\0']) {
        let message = format!("{} is no name of a variable", quoted(name));
        return Err(Complaint::new(message, "1 to 255 bytes without `=` and NUL"));
    }
    Ok(())
}

/// A variable with a value.
///
/// # Errors
/// The name is none, or the value holds a NUL.
pub fn set(name: &str, value: &str) -> Result<Intent, Complaint> {
    variable(name)?;
    if value.contains('\0') {
        return Err(Complaint::new(format!("the value of {} holds a NUL", quoted(name)), "here"));
    }
    Ok(Intent::EnvSet(name.to_owned(), value.to_owned()))
}

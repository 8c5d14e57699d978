//! Paths of intents: `~` and variables replaced, and those refused that reach too much.
//!
//! Everything here is about names. A name can be a symbolic link to something else: who opens it
//! judges the real path once more with [`judge`].

use crate::model::Access;
use crate::value::Complaint;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

/// What paths are made of. All are absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Environment {
    /// The user's home directory.
    pub home: PathBuf,
    /// `$XDG_CONFIG_HOME`, or `~/.config`.
    pub config: PathBuf,
    /// `$XDG_DATA_HOME`, or `~/.local/share`.
    pub data: PathBuf,
    /// `$XDG_CACHE_HOME`, or `~/.cache`.
    pub cache: PathBuf,
    /// `$XDG_STATE_HOME`, or `~/.local/state`.
    pub state: PathBuf,
    /// `$XDG_RUNTIME_DIR`, which has no default.
    pub runtime: Option<PathBuf>,
    /// The working directory.
    pub cwd: PathBuf,
}

impl Environment {
    /// An environment with the usual places below a home directory.
    pub fn usual(home: impl Into<PathBuf>, cwd: impl Into<PathBuf>) -> Self {
        let home = home.into();
        Self {
            config: home.join(".config"),
            data: home.join(".local/share"),
            cache: home.join(".cache"),
            state: home.join(".local/state"),
            runtime: None,
            cwd: cwd.into(),
            home,
        }
    }
}

/// Names that may stand behind `$` at the beginning of a path.
pub const VARIABLES: [&str; 6] = [
    "HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_CACHE_HOME",
    "XDG_STATE_HOME",
    "XDG_RUNTIME_DIR",
];

/// The longest path that the kernel takes.
const LONGEST: usize = 4095;

/// Replaces `~`, `$NAME` and `${NAME}` at the beginning of a path; `$$` is a dollar. A relative path
/// is below the working directory where `relative` says so.
///
/// # Errors
/// An unknown variable, `..`, a path that is empty, relative, too long or holds a NUL.
pub fn expand(text: &OsStr, env: &Environment, relative: bool) -> Result<PathBuf, Complaint> {
    let bytes = text.as_bytes();
    if bytes.is_empty() {
        return Err(Complaint::new("the path is empty", "empty"));
    }
    if bytes.contains(&0) {
        return Err(Complaint::new("the path holds a NUL", "no file has this name"));
    }
    let (base, rest) = beginning(bytes, env)?;
    let rest = dollars(rest)?;
    let mut path = base.unwrap_or_default();
    let mut bytes = path.as_os_str().as_bytes().to_vec();
    bytes.extend(rest);
    path = PathBuf::from(OsStr::from_bytes(&bytes));
    if !path.is_absolute() {
        if !relative {
            return Err(Complaint::new("the path is relative", "must begin with `/`, `~` or `$`")
                .help("`files.cwd` is the working directory"));
        }
        path = env.cwd.join(path);
    }
    let mut clean = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::ParentDir => {
                return Err(Complaint::new("`..` in a path", "not where a symbolic link leads")
                    .help("write the path without `..`"));
            }
            Component::Normal(name) if name.len() > 255 => {
                return Err(Complaint::new("a name of more than 255 bytes", "no file has it"));
            }
            Component::Normal(name) => clean.push(name),
            _ => {}
        }
    }
    if clean.as_os_str().len() > LONGEST {
        return Err(Complaint::new("a path of more than 4095 bytes", "too long"));
    }
    Ok(clean)
}

/// The directory that a path begins with by `~` or a variable, and the rest.
fn beginning<'b>(
    bytes: &'b [u8],
    env: &Environment,
) -> Result<(Option<PathBuf>, &'b [u8]), Complaint> {
    if let Some(rest) = bytes.strip_prefix(b"~") {
        if !rest.is_empty() && !rest.starts_with(b"/") {
            return Err(Complaint::new("`~NAME` is not replaced", "only `~` and `~/` are"));
        }
        return Ok((Some(env.home.clone()), rest));
    }
    let Some(rest) = bytes.strip_prefix(b"$").filter(|rest| !rest.starts_with(b"$")) else {
        return Ok((None, bytes));
    };
    let (name, rest) = if let Some(braced) = rest.strip_prefix(b"{") {
        let end = braced.iter().position(|b| *b == b'}').ok_or_else(|| {
            Complaint::new("`${` without `}`", "where does the name of the variable end?")
        })?;
        (&braced[..end], &braced[end + 1..])
    } else {
        let word = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
        let end = rest.iter().position(|b| !word(b)).unwrap_or(rest.len());
        rest.split_at(end)
    };
    let value = match name {
        b"HOME" => Some(env.home.clone()),
        b"XDG_CONFIG_HOME" => Some(env.config.clone()),
        b"XDG_DATA_HOME" => Some(env.data.clone()),
        b"XDG_CACHE_HOME" => Some(env.cache.clone()),
        b"XDG_STATE_HOME" => Some(env.state.clone()),
        b"XDG_RUNTIME_DIR" => env.runtime.clone(),
        _ => {
            let name = String::from_utf8_lossy(&name[..name.len().min(64)]);
            return Err(Complaint::new(format!("unknown variable `{name}`"), "not replaced")
                .help(format!("known are {}; a dollar is `$$`", VARIABLES.join(", "))));
        }
    };
    if !rest.is_empty() && !rest.starts_with(b"/") {
        return Err(Complaint::new("a variable is followed by `/` or nothing", "cannot be joined"));
    }
    let value = value.ok_or_else(|| {
        Complaint::new("XDG_RUNTIME_DIR is not set", "nothing to put in its place")
    })?;
    Ok((Some(value), rest))
}

/// `$$` as `$`.
fn dollars(bytes: &[u8]) -> Result<Vec<u8>, Complaint> {
    let mut result = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter().copied().peekable();
    while let Some(b) = rest.next() {
        if b == b'$' && rest.next() != Some(b'$') {
            return Err(Complaint::new("a variable in the middle of a path", "not replaced")
                .help("variables stand at the beginning of a path; a dollar is `$$`"));
        }
        result.push(b);
    }
    Ok(result)
}

/// Who asks for a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// The user: a profile of theirs, or words of the command line.
    User,
    /// The author of an app.
    Manifest,
}

/// What is to be said about a path that someone asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing.
    Fine,
    /// It is dangerous, and why.
    Warn(String),
    /// It cannot be asked for, and why.
    Refuse(String),
}

/// Files that hold keys, tokens and passwords, below the home directory.
pub const CREDENTIALS: [&str; 42] = [
    ".ssh",
    ".gnupg",
    ".aws",
    ".azure",
    ".kube",
    ".docker",
    ".netrc",
    ".authinfo",
    ".git-credentials",
    ".npmrc",
    ".yarnrc.yml",
    ".pypirc",
    ".pgpass",
    ".my.cnf",
    ".vault-token",
    ".password-store",
    ".pki",
    ".mozilla",
    ".thunderbird",
    ".claude",
    ".codex",
    ".terraform.d",
    ".cargo/credentials",
    ".cargo/credentials.toml",
    ".gem/credentials",
    ".m2/settings.xml",
    ".gradle/gradle.properties",
    ".config/gcloud",
    ".config/gh",
    ".config/glab-cli",
    ".config/git/credentials",
    ".config/op",
    ".config/rclone",
    ".config/sops",
    ".config/containers",
    ".config/google-chrome",
    ".config/chromium",
    ".config/BraveSoftware",
    ".local/share/keyrings",
    ".local/share/kwalletd",
    ".bash_history",
    ".zsh_history",
];

/// Files of the system that hold keys and passwords.
const SYSTEM_CREDENTIALS: [&str; 7] = [
    "/etc/shadow",
    "/etc/gshadow",
    "/etc/sudoers",
    "/etc/sudoers.d",
    "/etc/ssh",
    "/etc/ssl/private",
    "/etc/NetworkManager/system-connections",
];

/// Whether a path may be asked for. `write` says whether with more than reading.
pub fn judge(path: &Path, write: bool, asker: Asker, env: &Environment) -> Verdict {
    if let Some(why) = too_broad(path, write, env) {
        return Verdict::Refuse(why);
    }
    if let Some(why) = own_files(path, write, asker, env) {
        return Verdict::Refuse(why);
    }
    let concern = credentials(path, env).or_else(|| sockets(path, env));
    match (concern, asker) {
        (Some(why), Asker::Manifest) => Verdict::Refuse(format!("{why}; an app never gets it")),
        (Some(why), Asker::User) => Verdict::Warn(why),
        (None, Asker::Manifest) => match foreign(path, write, env) {
            Some(why) => Verdict::Refuse(why),
            None => Verdict::Fine,
        },
        (None, Asker::User) => Verdict::Fine,
    }
}

/// As [`judge`], with the access: what is written on a copy cannot harm, so that its user may name
/// even the home directory. Keys and tokens in it are not shown by that.
pub fn judge_access(path: &Path, access: Access, asker: Asker, env: &Environment) -> Verdict {
    if access == Access::CopyOnWrite && asker == Asker::User && path == env.home {
        return Verdict::Warn(
            "all files in it can be read, but those that are known to hold keys, tokens or passwords"
                .to_owned(),
        );
    }
    judge(path, access >= Access::Append, asker, env)
}

/// Whether `path` is `ancestor` or below it.
pub fn within(path: &Path, ancestor: impl AsRef<Path>) -> bool {
    path.starts_with(ancestor)
}

fn too_broad(path: &Path, write: bool, env: &Environment) -> Option<String> {
    let is = |names: &[&str]| names.iter().any(|name| path == Path::new(name));
    if path == Path::new("/") {
        return Some("it is everything".to_owned());
    }
    if path == env.home {
        return Some("it is the whole home directory".to_owned());
    }
    if within(&env.home, path) {
        return Some("the home directory lies in it".to_owned());
    }
    if is(&["/home", "/root"]) {
        return Some("it holds home directories".to_owned());
    }
    for tree in ["/proc", "/sys", "/dev"] {
        if within(path, tree) {
            return Some(format!("a sandbox has a {tree} of its own"));
        }
    }
    let below_run = path.strip_prefix("/run/user").is_ok_and(|p| p.components().count() <= 1);
    if is(&["/run", "/var/run"]) || below_run || env.runtime.as_deref() == Some(path) {
        return Some("it holds the sockets of services".to_owned());
    }
    if is(&["/tmp", "/var/tmp"]) {
        return Some("it holds files of all programs".to_owned());
    }
    if is(&["/var", "/boot", "/lost+found"]) {
        return Some("it holds the system's own data".to_owned());
    }
    let system = ["/etc", "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/boot"];
    if write && system.iter().any(|tree| within(path, tree)) {
        return Some("it belongs to the system, and other programs trust it".to_owned());
    }
    if write && is(&["/opt", "/srv", "/mnt", "/media", "/nix", "/usr/local"]) {
        return Some("it is a whole tree of the system".to_owned());
    }
    None
}

/// Profiles and grants: who writes them decides what may be reached.
fn own_files(path: &Path, write: bool, asker: Asker, env: &Environment) -> Option<String> {
    let own = [env.config.join("swathe"), env.data.join("swathe"), env.state.join("swathe")];
    let below = own.iter().any(|own| within(path, own));
    let above = own.iter().any(|own| within(own, path));
    if (below && (write || asker == Asker::Manifest)) || (above && write) {
        return Some("profiles and grants lie there: who writes them grants itself".to_owned());
    }
    None
}

/// What holds keys, tokens or passwords in the home directory, and profiles and grants.
pub fn secrets(env: &Environment) -> Vec<PathBuf> {
    let own = [env.config.join("swathe"), env.data.join("swathe"), env.state.join("swathe")];
    let mut all: Vec<PathBuf> = users_credentials(env).chain(own).collect();
    all.sort();
    all.dedup();
    all
}

fn users_credentials(env: &Environment) -> impl Iterator<Item = PathBuf> + use<> {
    let home = env.home.clone();
    let moved = [
        env.config.join("gcloud"),
        env.config.join("gh"),
        env.config.join("git/credentials"),
        env.data.join("keyrings"),
        env.data.join("kwalletd"),
    ];
    CREDENTIALS.iter().map(move |name| home.join(name)).chain(moved)
}

fn credentials(path: &Path, env: &Environment) -> Option<String> {
    let all = users_credentials(env).chain(SYSTEM_CREDENTIALS.map(PathBuf::from));
    for secret in all {
        if within(path, &secret) {
            return Some("it holds keys, tokens or passwords".to_owned());
        }
        if within(&secret, path) {
            return Some(format!("keys, tokens or passwords lie in it ({})", secret.display()));
        }
    }
    None
}

/// Sockets that let a program act outside the sandbox.
fn sockets(path: &Path, env: &Environment) -> Option<String> {
    let runtime = env.runtime.as_deref().is_some_and(|runtime| within(path, runtime));
    if runtime || within(path, "/run") || within(path, "/var/run") || within(path, "/tmp/.X11-unix")
    {
        return Some("sockets of services lie there, and some run commands outside".to_owned());
    }
    None
}

/// Where an app has nothing to look for.
fn foreign(path: &Path, write: bool, env: &Environment) -> Option<String> {
    let places: &[&str] = if write {
        &["/mnt", "/media", "/srv"]
    } else {
        &["/mnt", "/media", "/srv", "/opt", "/usr"]
    };
    let inside = path != env.home && within(path, &env.home)
        || places.iter().any(|place| within(path, place) && path != Path::new(place));
    if inside {
        return None;
    }
    if within(path, "/home") || within(path, "/root") {
        return Some("it belongs to another user; an app never gets it".to_owned());
    }
    Some(format!(
        "an app gets only what lies in the home directory, /mnt, /media, /srv{}",
        if write { "" } else { ", /opt or /usr" }
    ))
}

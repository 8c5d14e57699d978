//! Intents in words, for those who decide about them.

use crate::model::{Access, Intent, State};
use crate::network;
use crate::paths::Environment;
use crate::vocabulary::word;
use std::path::Path;
use swathe_netrules::What;

/// The word of an intent.
pub fn name(intent: &Intent) -> &'static str {
    match intent {
        Intent::FilesCwd(_) => "files.cwd",
        Intent::FilesArgs(_) => "files.args",
        Intent::FilesDir { .. } => "files.dir",
        Intent::FilesHide(_) | Intent::FilesHideGlob(_) => "files.hide",
        Intent::State(_) => "state",
        Intent::NetNone => "net.none",
        Intent::NetLoopback => "net.loopback",
        Intent::NetAll | Intent::NetPasta => "net.all",
        Intent::NetReach(rule) if matches!(rule.what, What::Cidr(_)) => "net.cidr",
        Intent::NetReach(_) => "net.host",
        Intent::NetDeny(_) => "net.deny",
        Intent::NetAsk => "net.ask",
        Intent::NetListen(_) => "net.listen",
        Intent::EnvPass(_) | Intent::EnvSet(..) => "env",
        Intent::Tty => "tty",
        Intent::Gpu => "gpu",
        Intent::Camera => "camera",
        Intent::Usb => "usb",
        Intent::Gamepad => "gamepad",
        Intent::Fonts => "fonts",
        Intent::Themes => "themes",
        Intent::SshAgent => "ssh-agent",
        Intent::GpgAgent => "gpg-agent",
        Intent::Print => "print",
        Intent::Ptrace => "ptrace",
        Intent::NestedSandbox => "nested-sandbox",
        Intent::Kvm => "kvm",
        Intent::Bits32 => "32bit",
    }
}

/// The word of a way to access files.
pub fn access_name(access: Access) -> &'static str {
    match access {
        Access::Hide => "hide",
        Access::Ask => "ask",
        Access::ReadOnly => "ro",
        Access::Append => "append",
        Access::NoDelete => "no-delete",
        Access::Trash => "trash",
        Access::CopyOnWrite => "cow",
        Access::ReadWrite => "rw",
    }
}

/// The word of a place where files live.
pub fn state_name(state: State) -> &'static str {
    match state {
        State::Persist => "persist",
        State::Ephemeral => "ephemeral",
        State::Overlay => "overlay",
    }
}

fn doing(access: Access) -> &'static str {
    match access {
        Access::Hide => "hide",
        Access::ReadOnly => "read",
        Access::Append => "create and append to",
        Access::NoDelete => "write, but not delete, in",
        Access::Ask => "decided on when it is first wanted",
        Access::Trash => "read and write (deleted files are kept)",
        Access::CopyOnWrite => "write on a copy of",
        Access::ReadWrite => "read and write",
    }
}

/// What an intent allows, in words. Texts of others are in it as they are.
pub fn describe(intent: &Intent) -> String {
    match intent {
        Intent::FilesCwd(access) => format!("{} the working directory", doing(*access)),
        Intent::FilesArgs(access) => {
            format!("{} the files named on its command line", doing(*access))
        }
        Intent::FilesDir { path, access } => format!("{} {}", doing(*access), path.display()),
        Intent::FilesHide(path) => format!("hide {}", path.display()),
        Intent::FilesHideGlob(path) => format!("hide all that match {}", path.display()),
        Intent::State(State::Persist) => "keep files of its own from run to run".to_owned(),
        Intent::State(State::Ephemeral) => "files of its own, gone with the run".to_owned(),
        Intent::State(State::Overlay) => "changes that are gone with the run".to_owned(),
        Intent::NetPasta => "the host's network, without this machine's own localhost".to_owned(),
        Intent::NetReach(rule) => format!("connect to {}", network::describe(rule)),
        Intent::NetDeny(rule) => format!("never connect to {}", network::describe(rule)),
        Intent::NetListen(publish) => {
            format!("accept connections at its port {}, by {}", publish.port, publish.host)
        }
        Intent::EnvPass(name) => format!("read the environment variable {name}"),
        Intent::EnvSet(name, value) => format!("the environment variable {name}={value}"),
        other => word(name(other)).map_or("", |word| word.about).to_owned(),
    }
}

/// Why an intent is dangerous.
pub fn danger(intent: &Intent, env: &Environment) -> Option<String> {
    match intent {
        Intent::FilesDir { path, access } if *access != Access::ReadOnly => {
            broad(path, env).then(|| {
                "can change and remove everything in it, also what other programs run".to_owned()
            })
        }
        Intent::EnvPass(name) if secret(name) => {
            Some("the name looks like that of a secret".to_owned())
        }
        Intent::NetPasta => Some("reaches every host and the local network".to_owned()),
        Intent::NetReach(rule) => network::danger(rule).map(str::to_owned),
        Intent::NetListen(publish) => network::exposure(publish).map(str::to_owned),
        other => word(name(other)).and_then(|word| word.danger).map(str::to_owned),
    }
}

/// Directories directly below the home directory or another tree, and those that programs run from.
fn broad(path: &Path, env: &Environment) -> bool {
    match path.strip_prefix(&env.home) {
        Ok(below) => {
            let runs = [".local/bin", ".local/lib", ".config", ".local/share", "bin"];
            below.components().count() <= 1 || runs.iter().any(|tree| below.starts_with(tree))
        }
        Err(_) => path.components().count() <= 3,
    }
}

/// Whether a variable's name looks like that of a secret.
pub fn secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let parts =
        ["TOKEN", "SECRET", "PASSW", "PASSPHRASE", "CREDENTIAL", "APIKEY", "PRIVATE", "COOKIE"];
    parts.iter().any(|part| name.contains(part))
        || name.split('_').any(|word| matches!(word, "KEY" | "PAT" | "AUTH" | "PWD" | "DSN"))
            && name != "PWD"
}

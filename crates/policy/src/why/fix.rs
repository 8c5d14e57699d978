//! What allows something, as words of the command line and of profiles.

use crate::describe::{access_name, danger, name};
use crate::model::{Access, Intent};
use crate::paths::{Asker, Environment, Verdict, judge};
use crate::words::written;
use std::path::Path;
use swathe_netrules::Form;

/// What would allow something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fix {
    /// An intent.
    Intent(Intent),
    /// An intent for a directory that is not there yet, and has to be made on the host first.
    Make(Intent),
    /// Lifting protections, all of them.
    Unprotect(Vec<&'static str>),
    /// A greater limit.
    Limit {
        /// Its name in profiles.
        name: &'static str,
        /// A value that may do.
        value: &'static str,
    },
    /// Nothing of a sandbox: a command of swathe.
    Command(&'static str),
}

impl Fix {
    /// The option and its value for `swathe run`; none where only a profile can say it.
    #[must_use]
    pub fn option(&self) -> Option<(&'static str, Option<String>)> {
        Some(match self {
            Self::Intent(Intent::FilesCwd(Access::ReadWrite)) => ("--write", None),
            Self::Intent(Intent::NetReach(rule)) => ("--net", Some(rule.text(Form::Allow))),
            Self::Intent(intent) | Self::Make(intent) => ("--allow", Some(written(intent))),
            Self::Unprotect(names) => ("--unprotect", Some(names.join(","))),
            Self::Limit { .. } | Self::Command(_) => return None,
        })
    }

    /// The lines of a profile; none where a profile cannot say it.
    #[must_use]
    pub fn profile(&self) -> Option<String> {
        let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
        let path = |path: &Path| quoted(&path.to_string_lossy().replace('$', "$$"));
        Some(match self {
            Self::Intent(intent) | Self::Make(intent) => {
                let mut lines = format!("[[intent]]\nuse = \"{}\"\n", name(intent));
                match intent {
                    Intent::FilesCwd(access) => {
                        lines += &format!("access = \"{}\"\n", access_name(*access));
                    }
                    Intent::FilesDir { path: at, access } => {
                        let access = access_name(*access);
                        lines += &format!("path = {}\naccess = \"{access}\"\n", path(at));
                    }
                    Intent::NetReach(rule) => {
                        lines += &format!("to = {}\n", quoted(&rule.text(Form::Allow)));
                    }
                    Intent::EnvPass(name) => lines += &format!("pass = [{}]\n", quoted(name)),
                    _ => {}
                }
                lines
            }
            Self::Unprotect(names) => format!("unprotect = [\"{}\"]\n", names.join("\", \"")),
            Self::Limit { name, value } => {
                let number = value.bytes().all(|b| b.is_ascii_digit());
                let value = if number { (*value).to_owned() } else { quoted(value) };
                format!("[limits]\n{name} = {value}\n")
            }
            Self::Command(_) => return None,
        })
    }

    /// Why it is dangerous.
    #[must_use]
    pub fn danger(&self, env: &Environment) -> Option<String> {
        match self {
            Self::Intent(intent) | Self::Make(intent) => {
                let Intent::FilesDir { path, access } = intent else { return danger(intent, env) };
                if let Some(why) = service(path) {
                    return Some(why.to_owned());
                }
                match judge(path, *access != Access::ReadOnly, Asker::User, env) {
                    Verdict::Warn(why) | Verdict::Refuse(why) => Some(why),
                    Verdict::Fine => danger(intent, env),
                }
            }
            Self::Unprotect(_) => {
                Some("what it writes there, other programs run outside the sandbox".to_owned())
            }
            Self::Limit { .. } | Self::Command(_) => None,
        }
    }
}

/// Sockets and devices that are more than they look like.
fn service(path: &Path) -> Option<&'static str> {
    let name = path.file_name()?.to_str()?;
    match name {
        "docker.sock" | "podman.sock" | "containerd.sock" | "crio.sock" | "lxd.socket" => {
            Some("who talks to it starts containers with the whole machine in them, as root")
        }
        "libvirt-sock" | "system_bus_socket" | "bus" | "private" => {
            Some("who talks to it has other programs act outside the sandbox")
        }
        _ => None,
    }
}

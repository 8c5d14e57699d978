//! What a program in a sandbox did, or was kept from doing.

use crate::bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::time::{SystemTime, UNIX_EPOCH};

/// One thing that a program did or tried. One line of JSON in records and audit files; fields may
/// be added later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Microseconds since 1970, UTC.
    pub time: u64,
    /// The process, as the host numbers it.
    pub pid: u32,
    /// The file that it runs, as the sandbox names it; empty where it could not be read.
    pub program: Bytes,
    /// What it wanted.
    pub action: Action,
    /// On what: an absolute path inside the sandbox with links of directories followed, or an
    /// address (`unix:/path`, `unix:@name`, `tcp:1.2.3.4:80`, `tcp:[::1]:80`, `udp:…`). With a
    /// network by rules also a host (`tcp:github.com:443`), a name that was looked up (`dns:NAME`),
    /// a host that echoes were sent to (`echo:HOST`).
    pub object: Bytes,
    /// The other path of a rename or link. Of what is not visible and was named by a link of the host:
    /// that name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Bytes>,
    /// What came of it.
    pub outcome: Outcome,
    /// Who decided.
    pub layer: Layer,
    /// Why, in words, where there is more to say than the fields do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The rule over hosts that would allow it, as `--net` takes it; of a level, the path that has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
}

impl Event {
    /// A limit was reached, by its name in profiles. The process is the one that saw it.
    #[must_use]
    pub fn of_limit(name: &str, pid: u32) -> Self {
        Self {
            time: now(),
            pid,
            program: Bytes::default(),
            action: Action::Exceed,
            object: name.into(),
            to: None,
            outcome: Outcome::Denied(0),
            layer: Layer::Limit,
            reason: None,
            rule: None,
        }
    }
}

/// Microseconds since 1970.
#[must_use]
pub fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
}

/// What a program wanted to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Look at attributes, or whether it exists.
    Stat,
    /// Open to read, or list a directory.
    Read,
    /// Open an existing file to write.
    Write,
    /// Make a file, directory, link or node.
    Create,
    /// Remove a name.
    Remove,
    /// Rename, or link to another name.
    Rename,
    /// Make a file shorter.
    Truncate,
    /// Change mode, owner, times or extended attributes.
    Metadata,
    /// Run a program.
    Execute,
    /// Connect or send to a socket.
    Connect,
    /// Listen on an address.
    Bind,
    /// A system call that a filter refuses; the object is its name.
    Call,
    /// Use more than a limit allows; the object is the limit's name in profiles. Said when the run
    /// is over, as far as that shows from outside.
    Exceed,
}

impl Action {
    /// What it is called before its object, in comments and reports.
    #[must_use]
    pub const fn verb(self) -> &'static str {
        match self {
            Self::Stat => "look at",
            Self::Read => "read",
            Self::Write => "write",
            Self::Create => "create",
            Self::Remove => "remove",
            Self::Rename => "rename",
            Self::Truncate => "shorten",
            Self::Metadata => "change mode",
            Self::Execute => "run",
            Self::Connect => "connect to",
            Self::Bind => "listen on",
            Self::Call => "call",
            Self::Exceed => "exceed",
        }
    }
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It was done, or the kernel was told to go on.
    Allowed,
    /// It was done, and what it removed or replaced is in the trash.
    Kept,
    /// It failed with this number (errno(3)).
    Denied(i32),
}

/// What decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// What is mounted in the sandbox: not there, or read-only.
    Mount,
    /// The kernel's Landlock rules.
    Landlock,
    /// The system call filter.
    Filter,
    /// The network: no interface, no route, or a name that was not granted.
    Network,
    /// A limit on memory, processes, files or space.
    Limit,
    /// An access level of the sandbox (append, no-delete, trash, hide).
    Level,
    /// The user, asked.
    User,
    /// Nothing of the sandbox: the file's own mode, or what the program asked for.
    Other,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The form of a line is read by programs of others: it stays.
    #[test]
    fn form() {
        let event = Event {
            time: 1,
            pid: 2,
            program: "/usr/bin/cp".into(),
            action: Action::Write,
            object: Bytes(b"/home/u/a\n\xff".to_vec()),
            to: None,
            outcome: Outcome::Denied(13),
            layer: Layer::Landlock,
            reason: None,
            rule: None,
        };
        let line = serde_json::to_string(&event).expect("serializes");
        assert_eq!(
            line,
            r#"{"time":1,"pid":2,"program":"/usr/bin/cp","action":"write","object":"/home/u/a\\x0a\\xff","outcome":{"denied":13},"layer":"landlock"}"#
        );
        assert_eq!(serde_json::from_str::<Event>(&line).expect("reads"), event);
    }
}

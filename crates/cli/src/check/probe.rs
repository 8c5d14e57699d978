//! What a probe is.

use super::facts::Facts;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

/// What is lost when a probe is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Something outside is changed or controlled.
    Escape,
    /// Something outside is read.
    Leak,
    /// A part of the kernel is in reach that programs do not need and attackers do.
    Surface,
    /// The machine can be used up.
    Resource,
}

impl Class {
    /// As it is shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Escape => "escape",
            Self::Leak => "leak",
            Self::Surface => "surface",
            Self::Resource => "resource",
        }
    }
}

/// What contains a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// The program that makes the sandbox: what it passes on, and what it leaves behind.
    Launcher,
    /// What is mounted, and how.
    Mount,
    /// The filter of system calls.
    Seccomp,
    /// Landlock.
    Landlock,
    /// Namespaces of its own.
    Namespace,
    /// Upper bounds.
    Limits,
}

impl Layer {
    /// As it is shown.
    pub fn name(self) -> &'static str {
        match self {
            Self::Launcher => "launcher",
            Self::Mount => "mount",
            Self::Seccomp => "seccomp",
            Self::Landlock => "landlock",
            Self::Namespace => "namespace",
            Self::Limits => "limits",
        }
    }
}

/// What a probe found, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "state", content = "detail")]
pub enum Finding {
    /// It went through.
    Open(String),
    /// It did not.
    Closed(String),
    /// There was nothing to try on this machine.
    Absent(String),
    /// The probe's process was killed by this signal, without saying anything.
    Killed(i32),
    /// It took too long.
    Hung,
}

/// One probe.
pub struct Probe {
    /// Its name, as it is shown.
    pub id: &'static str,
    /// What is lost.
    pub class: Class,
    /// What contains it.
    pub layer: Layer,
    /// What it tries.
    pub what: &'static str,
    /// Tries it, in a process of its own.
    pub run: fn(&Facts) -> Finding,
    /// The end of the path of a file outside that then holds the secret: what says whether it
    /// worked, whatever the probe itself says. See [`super::stage`].
    pub effect: Option<&'static str>,
}

impl Probe {
    /// A probe whose success is seen outside.
    pub const fn seen(self, effect: &'static str) -> Self {
        Self { effect: Some(effect), ..self }
    }
}

/// One row of a table of probes.
pub const fn probe(
    id: &'static str,
    class: Class,
    layer: Layer,
    what: &'static str,
    run: fn(&Facts) -> Finding,
) -> Probe {
    Probe { id, class, layer, what, run, effect: None }
}

/// Found open.
pub fn open(detail: impl Into<String>) -> Finding {
    Finding::Open(detail.into())
}

/// Found closed.
pub fn closed(detail: impl Into<String>) -> Finding {
    Finding::Closed(detail.into())
}

/// Found nothing to try.
pub fn absent(detail: impl Into<String>) -> Finding {
    Finding::Absent(detail.into())
}

/// An error in words, without its number.
pub fn words(error: impl Into<std::io::Error>) -> String {
    let text = error.into().to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

/// Open when it worked.
pub fn tried<T>(result: Result<T, impl Into<std::io::Error>>) -> Finding {
    match result {
        Ok(_) => open("done"),
        Err(e) => closed(words(e)),
    }
}

/// Open when the call was let through, be it with an error about its arguments.
pub fn reached<T>(result: Result<T, Errno>) -> Finding {
    const CLOSED: [Errno; 6] = [
        Errno::PERM,
        Errno::ACCESS,
        Errno::NOSYS,
        Errno::AFNOSUPPORT,
        Errno::PROTONOSUPPORT,
        Errno::SOCKTNOSUPPORT,
    ];
    match result {
        Ok(_) => open("done"),
        Err(e) if CLOSED.contains(&e) => closed(words(e)),
        Err(e) => open(format!("let through: {}", words(e))),
    }
}

/// The first that is open; else the first that is closed; else the first.
pub fn any(findings: impl IntoIterator<Item = Finding>) -> Finding {
    let findings: Vec<Finding> = findings.into_iter().collect();
    let of = |wanted: fn(&Finding) -> bool| findings.iter().find(|found| wanted(found)).cloned();
    of(|found| matches!(found, Finding::Open(_)))
        .or_else(|| of(|found| matches!(found, Finding::Closed(_))))
        .or_else(|| findings.first().cloned())
        .unwrap_or_else(|| absent("there is none on this machine"))
}

//! What a run was denied, by whom, and the exact words that would allow it. Pure: events, what is
//! known of the run, and what the host has at a path come in.

mod advise;
mod errno;
mod fix;
mod group;
mod hosts;
mod purpose;
mod rank;

pub use fix::Fix;

use crate::paths::Environment;
use crate::resolve::Kind;
use std::path::Path;
use swathe_record::bytes::Bytes;
use swathe_record::event::{Action, Event, Layer, Outcome};

/// What is known of a run beside its events.
#[derive(Debug, Clone, Default)]
pub struct Run {
    /// Its exit status as a shell gives it; none if that is not known.
    pub status: Option<u8>,
    /// Limits that it ran into, by their names in profiles.
    pub limits: Vec<String>,
    /// Whether it had the host's network.
    pub online: bool,
    /// Whether it had none but a loopback interface.
    pub offline: bool,
    /// Its command line.
    pub command: Vec<Bytes>,
}

/// What is asked of the host.
pub trait Host {
    /// What is at a path, links not followed; none where nothing is.
    fn kind(&self, path: &Path) -> Option<Kind>;
}

/// One thing that a program was kept from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it wanted to do.
    pub action: Action,
    /// With what: a path, an address or the name of a call, as in events. The directory where it was
    /// several files in one. Empty where no event says what.
    pub object: Bytes,
    /// Who kept it from that.
    pub layer: Layer,
    /// The error's number.
    pub errno: Option<i32>,
    /// Its name.
    pub error: Option<&'static str>,
    /// How often, as far as was recorded.
    pub count: usize,
    /// The program that tried last, as the sandbox names its file.
    pub program: Bytes,
    /// Its process, as the host numbered it.
    pub pid: u32,
    /// When it tried last, in microseconds since 1970.
    pub time: u64,
    /// What it was probably doing: a verb and what follows, such as "read git's settings".
    pub purpose: String,
    /// Why it was denied, in one sentence.
    pub cause: String,
    /// What would allow it, the best first.
    pub fixes: Vec<Fix>,
    /// Why it cannot be allowed, where it cannot.
    pub never: Option<String>,
    /// How likely it is why the run failed; only to compare with others.
    pub weight: i32,
}

/// Findings, the most relevant first. What failed for want of a file that is nowhere is none of the
/// sandbox's, and left out.
#[must_use]
pub fn explain(run: &Run, events: &[Event], env: &Environment, host: &dyn Host) -> Vec<Finding> {
    let mut found: Vec<Finding> = group::groups(events, env, host)
        .into_iter()
        .map(|group| {
            let last = group.last;
            let errno = number(last);
            Finding {
                action: last.action,
                layer: last.layer,
                errno,
                error: errno.and_then(errno::name),
                count: group.count,
                program: last.program.clone(),
                pid: last.pid,
                time: last.time,
                purpose: purpose::purpose(last.action, &group.object, env),
                cause: advise::cause(last, &group.object),
                weight: rank::weight(run, &group, events, env),
                never: advise::never(last, &group, env, host),
                fixes: advise::fixes(run, &group, env, host),
                object: group.object,
            }
        })
        .collect();
    found.extend(run.limits.iter().filter_map(|name| advise::limit(name)));
    found.extend(advise::signal(run));
    found.extend(hosts::names(run, events));
    found.extend(hosts::loopback(run, events));
    found.sort_by_key(|one| std::cmp::Reverse((one.weight, one.time)));
    found
}

fn number(event: &Event) -> Option<i32> {
    match event.outcome {
        Outcome::Denied(errno) => Some(errno),
        Outcome::Allowed | Outcome::Kept => None,
    }
}

/// Whether an action changes something.
fn changes(action: Action) -> bool {
    use Action::{Bind, Create, Metadata, Remove, Rename, Truncate, Write};
    matches!(action, Write | Create | Remove | Rename | Truncate | Metadata | Bind)
}

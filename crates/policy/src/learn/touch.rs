//! Events by their objects.

use super::services::socket_path;
use super::{Evidence, Place};
use crate::paths::secrets;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use swathe_record::bytes::Bytes;
use swathe_record::event::{Action, Event, Layer, Outcome};

/// Programs that are told apart for one object.
const MAX_PROGRAMS: usize = 16;

/// What was done with one object.
#[derive(Debug, Clone, Default)]
pub struct Touch {
    /// What.
    pub actions: BTreeSet<Action>,
    /// By whom, how often.
    pub programs: BTreeMap<Bytes, u64>,
    /// Rules over hosts that would have allowed it.
    pub rules: BTreeSet<String>,
}

impl Touch {
    fn add(&mut self, action: Action, program: &Bytes) {
        self.actions.insert(action);
        if self.programs.len() < MAX_PROGRAMS || self.programs.contains_key(program) {
            *self.programs.entry(program.clone()).or_default() += 1;
        }
    }

    /// Whether it was done.
    pub fn did(&self, actions: &[Action]) -> bool {
        actions.iter().any(|action| self.actions.contains(action))
    }
}

/// All that a run touched.
#[derive(Debug, Default)]
pub struct Touched {
    /// Paths that it used.
    pub used: BTreeMap<PathBuf, Touch>,
    /// Paths that it was denied by the sandbox.
    pub denied: BTreeMap<PathBuf, Touch>,
    /// Names that led through links to what was used, and to what.
    pub names: BTreeMap<PathBuf, PathBuf>,
    /// What was used by its own name.
    pub direct: BTreeSet<PathBuf>,
    /// Paths that were not there before it.
    pub made: BTreeSet<PathBuf>,
    /// Addresses that it used.
    pub reached: BTreeMap<Bytes, Touch>,
    /// Addresses that it could not reach.
    pub unreached: BTreeMap<Bytes, Touch>,
    /// Programs that did anything. The command itself is executed before anything is recorded.
    pub programs: BTreeSet<Bytes>,
    /// System calls that were refused.
    pub calls: BTreeMap<Bytes, Touch>,
}

/// Gathers them.
pub fn gather(events: &[Event], place: &Place<'_>) -> Touched {
    let mut touched = Touched::default();
    let hidden = secrets(place.env);
    for event in events {
        let denied = match event.outcome {
            Outcome::Allowed | Outcome::Kept => false,
            Outcome::Denied(_) => true,
        };
        // Limits are no matter of what is allowed.
        if event.action == Action::Exceed {
            continue;
        }
        let program = &event.program;
        if !touched.programs.contains(program) {
            touched.programs.insert(program.clone());
        }
        if event.action == Action::Call {
            touched.calls.entry(event.object.clone()).or_default().add(event.action, program);
        } else if is_address(&event.object) {
            let by_sandbox = event.layer != Layer::Other;
            let to = match denied {
                false => &mut touched.reached,
                true if by_sandbox => &mut touched.unreached,
                true => continue,
            };
            let bound = socket_path(&event.object).filter(|_| event.action == Action::Bind);
            if let Some(path) = bound.filter(|path| !denied && place.files.kind(path).is_none()) {
                touched.made.insert(path);
            }
            let touch = to.entry(event.object.clone()).or_default();
            touch.add(event.action, program);
            if touch.rules.len() < MAX_PROGRAMS {
                touch.rules.extend(event.rule.clone());
            }
        } else {
            let object = event.object.as_path();
            if !object.is_absolute() {
                continue;
            }
            // Credentials are covered while recording, which looks like a mode of their own.
            let covered = || hidden.iter().any(|secret| object.starts_with(secret));
            if denied && event.layer == Layer::Other && !covered() {
                continue;
            }
            path(&mut touched, event, object, denied, place);
        }
    }
    touched
}

fn path(touched: &mut Touched, event: &Event, object: &Path, denied: bool, place: &Place<'_>) {
    let program = &event.program;
    let map = if denied { &mut touched.denied } else { &mut touched.used };
    map.entry(object.to_owned()).or_default().add(event.action, program);
    let two = matches!(event.action, Action::Rename | Action::Create);
    let to = event.to.as_ref().map(Bytes::as_path).filter(|to| two && to.is_absolute());
    if let Some(to) = to {
        map.entry(to.to_owned()).or_default().add(Action::Rename, program);
    }
    let name = event.to.as_ref().map(Bytes::as_path).filter(|to| !two && to.is_absolute());
    match name.filter(|_| !denied) {
        Some(name) => drop(touched.names.insert(name.to_owned(), object.to_owned())),
        None if !touched.direct.contains(object) => drop(touched.direct.insert(object.to_owned())),
        None => {}
    }
    let created = (event.action == Action::Create).then_some(object);
    for path in created.into_iter().chain(to).filter(|_| !denied) {
        // `mkdir -p` makes directories that are there.
        if !touched.made.contains(path) && place.files.kind(path).is_none() {
            touched.made.insert(path.to_owned());
        }
    }
}

/// Whether an object is no path.
fn is_address(object: &Bytes) -> bool {
    const KINDS: [&[u8]; 6] = [b"unix:", b"tcp:", b"udp:", b"dns:", b"echo:", b"listen:"];
    KINDS.iter().any(|kind| object.0.starts_with(kind))
}

/// Adds what was done with one object.
pub fn extend(evidence: &mut Evidence, object: &Bytes, touch: &Touch) {
    if evidence.objects == 0 {
        evidence.first = object.clone();
    }
    evidence.objects += 1;
    for action in &touch.actions {
        if !evidence.actions.contains(action) {
            evidence.actions.push(*action);
        }
    }
    for (program, count) in &touch.programs {
        if let Some((_, sum)) = evidence.programs.iter_mut().find(|(known, _)| known == program) {
            *sum += count;
        } else if evidence.programs.len() < MAX_PROGRAMS {
            evidence.programs.push((program.clone(), *count));
        }
    }
}

/// Most used first.
pub fn finish(evidence: &mut Evidence) {
    evidence.actions.sort_unstable();
    evidence.programs.sort_by(|a, b| (b.1, &a.0).cmp(&(a.1, &b.0)));
}

//! Several policies as one: defaults, the system's, an app's, the user's, the command line's.
//!
//! What is asked for twice is asked for by the later layer; within one layer the stricter wins. The
//! user's policy beats the app's: an app gets nothing below a path that its user hides, and no more
//! than its user's access below a path that its user names.
//!
//! Rules over hosts add up, and what denies holds whoever says so. A later layer that wants no
//! network, or a loopback interface alone, takes away what earlier ones open.

use crate::model::{Access, Declared, Intent, Limits, Policy, State};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Whose policy it is. A later one wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Layer {
    /// What holds for every run.
    Default,
    /// The system administrator's.
    System,
    /// An app's: what it declares and its user granted.
    App,
    /// The user's profiles.
    User,
    /// Words of the command line.
    CommandLine,
}

/// What an intent is about. Two about the same are not both in force.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Subject {
    Cwd,
    Args,
    Path(PathBuf),
    State,
    Net,
    Variable(String),
    Other(Intent),
}

fn subject(intent: &Intent) -> Subject {
    match intent {
        Intent::FilesCwd(_) => Subject::Cwd,
        Intent::FilesArgs(_) => Subject::Args,
        Intent::FilesDir { path, .. } | Intent::FilesHide(path) | Intent::FilesHideGlob(path) => {
            Subject::Path(path.clone())
        }
        Intent::State(_) => Subject::State,
        intent if is_base(intent) => Subject::Net,
        Intent::EnvPass(name) | Intent::EnvSet(name, _) => Subject::Variable(name.clone()),
        other => Subject::Other(other.clone()),
    }
}

/// How much it allows, for comparing two about the same subject.
fn breadth(intent: &Intent) -> u8 {
    match intent {
        Intent::FilesCwd(access) | Intent::FilesArgs(access) | Intent::FilesDir { access, .. } => {
            *access as u8
        }
        Intent::State(State::Ephemeral) | Intent::NetNone => 0,
        Intent::State(State::Overlay) | Intent::NetLoopback | Intent::EnvPass(_) => 1,
        Intent::State(State::Persist) | Intent::NetPasta => 2,
        Intent::NetAll => 3,
        _ => 0,
    }
}

/// One policy of several. Layers may come in any order; of one layer the later counts more. No two
/// intents of the result are about the same thing.
pub fn merge(policies: &[(Layer, Policy)]) -> Policy {
    let mut order: Vec<&(Layer, Policy)> = policies.iter().collect();
    order.sort_by_key(|(layer, _)| *layer);
    let mut result = Policy { limits: limits(&order), ..Policy::default() };
    let mut kept: Vec<Option<(Layer, Declared)>> = Vec::new();
    let mut index: HashMap<Subject, usize> = HashMap::new();
    for (layer, policy) in order {
        if policy.app.is_some() {
            result.app.clone_from(&policy.app);
        }
        if !policy.command.is_empty() {
            result.command.clone_from(&policy.command);
        }
        for name in &policy.unprotect {
            if !result.unprotect.contains(name) {
                result.unprotect.push(name.clone());
            }
        }
        let own = strictest(&policy.intents);
        let base = own.iter().map(|declared| &declared.intent).find(|intent| is_base(intent));
        let opens = own.iter().any(|declared| is_opening(&declared.intent));
        if matches!(base, Some(Intent::NetNone | Intent::NetLoopback)) {
            kept.iter_mut().for_each(|entry| clear(entry, is_opening));
        } else if opens {
            kept.iter_mut().for_each(|entry| clear(entry, |intent| *intent == Intent::NetNone));
        }
        let closed = base == Some(&Intent::NetNone);
        for declared in own {
            if closed && is_opening(&declared.intent) {
                continue;
            }
            let place = kept.len();
            if let Some(old) = index.insert(subject(&declared.intent), place) {
                kept[old] = None;
            }
            kept.push(Some((*layer, declared.clone())));
        }
    }
    let bounds = bounds(&kept);
    result.intents = kept
        .into_iter()
        .flatten()
        .filter_map(|(layer, declared)| match layer {
            Layer::App => under(&bounds, declared),
            _ => Some(declared),
        })
        .collect();
    result
}

/// Whether an intent says what there is of a network without rules.
fn is_base(intent: &Intent) -> bool {
    matches!(intent, Intent::NetNone | Intent::NetLoopback) || is_whole(intent)
}

/// Whether an intent wants the host's network, whole.
pub(crate) fn is_whole(intent: &Intent) -> bool {
    matches!(intent, Intent::NetAll | Intent::NetPasta)
}

/// Whether an intent lets something through that a network without it does not.
pub(crate) fn is_opening(intent: &Intent) -> bool {
    matches!(intent, Intent::NetReach(_) | Intent::NetAsk | Intent::NetListen(_))
}

/// Takes an entry away where it is one of those.
fn clear(entry: &mut Option<(Layer, Declared)>, those: impl Fn(&Intent) -> bool) {
    if entry.as_ref().is_some_and(|(_, declared)| those(&declared.intent)) {
        *entry = None;
    }
}

/// Of each subject the strictest; of equals the last.
fn strictest(intents: &[Declared]) -> Vec<&Declared> {
    let mut kept: Vec<Option<&Declared>> = Vec::new();
    let mut index: HashMap<Subject, usize> = HashMap::new();
    for declared in intents {
        let subject = subject(&declared.intent);
        if let Some(&old) = index.get(&subject) {
            let before = kept[old].map_or(u8::MAX, |old| breadth(&old.intent));
            if before < breadth(&declared.intent) {
                continue;
            }
            kept[old] = None;
        }
        index.insert(subject, kept.len());
        kept.push(Some(declared));
    }
    kept.into_iter().flatten().collect()
}

/// Paths that the system and the user have an opinion about.
fn bounds(kept: &[Option<(Layer, Declared)>]) -> HashMap<PathBuf, Access> {
    let mut result = HashMap::new();
    for (layer, declared) in kept.iter().flatten() {
        if !matches!(layer, Layer::System | Layer::User | Layer::CommandLine) {
            continue;
        }
        if let Some((path, access)) = at(&declared.intent) {
            result.insert(path.to_owned(), access);
        }
    }
    result
}

/// An app's intent, no broader than what its user says about the path.
fn under(bounds: &HashMap<PathBuf, Access>, mut declared: Declared) -> Option<Declared> {
    let Intent::FilesDir { path, access } = &mut declared.intent else { return Some(declared) };
    let bound = path.ancestors().find_map(|ancestor| bounds.get(ancestor));
    match bound {
        Some(Access::Hide) => None,
        Some(bound) => {
            *access = (*access).min(*bound);
            Some(declared)
        }
        None => Some(declared),
    }
}

/// Later layers replace, but an app's limits only lower what holds without it: they are no grant.
/// What the command line says holds.
fn limits(policies: &[&(Layer, Policy)]) -> Limits {
    let of = |wanted: fn(Layer) -> bool| {
        let own = policies.iter().filter(|(layer, _)| wanted(*layer)).map(|(_, p)| &p.limits);
        own.fold(Limits::default(), |old, new| each(&old, new, |old, new| new.or(old)))
    };
    let others = of(|layer| !matches!(layer, Layer::App | Layer::CommandLine));
    let app = of(|layer| layer == Layer::App);
    let least = each(&others, &app, |a, b| match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    });
    each(&least, &of(|layer| layer == Layer::CommandLine), |old, new| new.or(old))
}

fn each(a: &Limits, b: &Limits, pick: impl Fn(Option<u64>, Option<u64>) -> Option<u64>) -> Limits {
    Limits {
        memory: pick(a.memory, b.memory),
        processes: pick(a.processes, b.processes),
        tmpfs: pick(a.tmpfs, b.tmpfs),
        tmpfs_files: pick(a.tmpfs_files, b.tmpfs_files),
        open_files: pick(a.open_files, b.open_files),
        time: pick(a.time, b.time),
    }
}

/// The path of an intent that has one, and what may be done there.
fn at(intent: &Intent) -> Option<(&Path, Access)> {
    match intent {
        Intent::FilesDir { path, access } => Some((path, *access)),
        Intent::FilesHide(path) => Some((path, Access::Hide)),
        _ => None,
    }
}

/// What may be done at a path, and which intent says so: the most specific path wins, and on a tie
/// the stricter. Nothing where no intent names the path or a directory above it. `files.cwd` and
/// `files.args` are not considered: what they name is known to the caller.
pub fn access_at<'d>(intents: &'d [Declared], path: &Path) -> Option<(Access, &'d Declared)> {
    let mut best: Option<(usize, Access, &Declared)> = None;
    for declared in intents {
        let Some((at, access)) = at(&declared.intent).filter(|(at, _)| path.starts_with(at)) else {
            continue;
        };
        let depth = at.components().count();
        let better = match best {
            None => true,
            Some((most, strict, _)) => depth > most || (depth == most && access < strict),
        };
        if better {
            best = Some((depth, access, declared));
        }
    }
    best.map(|(_, access, declared)| (access, declared))
}

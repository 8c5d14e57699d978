//! Denials that are about the same.

use super::{Host, changes, errno, number};
use crate::paths::{Asker, Environment, Verdict, judge};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use swathe_record::bytes::Bytes;
use swathe_record::event::{Action, Event, Layer, Outcome};

/// So many files of one directory are taken together.
const SIBLINGS: usize = 4;

/// Denials about one object, or about several of one directory.
#[derive(Debug)]
pub struct Group<'a> {
    /// The object, or the directory.
    pub object: Bytes,
    /// Whether it stands for several.
    pub many: bool,
    /// The last of them.
    pub last: &'a Event,
    /// The number of its event.
    pub at: usize,
    /// How many.
    pub count: usize,
    /// Whether the same was to be changed, too: what allows that allows this.
    pub included: bool,
}

/// What distinguishes denials: the object, whether it was to be changed, and who decided.
type Key<'a> = (&'a Bytes, u8, Layer);

/// All denials that the sandbox, or the files themselves, are behind.
pub fn groups<'a>(events: &'a [Event], env: &Environment, host: &dyn Host) -> Vec<Group<'a>> {
    let mut found: BTreeMap<Key<'a>, Group<'a>> = BTreeMap::new();
    for (at, event) in events.iter().enumerate() {
        let Some(errno) = number(event) else { continue };
        // The run itself says which limits it ran into.
        if event.action == Action::Exceed {
            continue;
        }
        let nowhere = matches!(errno, errno::ENOENT | errno::ENOTDIR);
        // What has a reason is a host that does not answer.
        let own = event.layer == Layer::Other && event.reason.is_none();
        if own && (nowhere || errno::is_usual(errno)) {
            continue;
        }
        let key = (&event.object, class(event.action), event.layer);
        let count = found.get(&key).map_or(0, |group| group.count) + 1;
        let object = event.object.clone();
        found.insert(key, Group { object, many: false, last: event, at, count, included: false });
    }
    let changed: BTreeSet<(&Bytes, Layer)> =
        found.keys().filter(|key| key.1 == CHANGED).map(|key| (key.0, key.2)).collect();
    for ((object, class, layer), group) in &mut found {
        group.included = *class == 0 && changed.contains(&(*object, *layer));
    }
    siblings(found, env, host)
}

/// Changes that are no removal.
const CHANGED: u8 = 5;

/// Actions that the same words allow.
fn class(action: Action) -> u8 {
    match action {
        Action::Execute => 1,
        Action::Connect | Action::Bind => 2,
        Action::Call => 3,
        Action::Remove | Action::Rename => 4,
        action if changes(action) => CHANGED,
        _ => 0,
    }
}

/// Takes many files of one directory together, where that could be asked for.
fn siblings<'a>(
    found: BTreeMap<Key<'a>, Group<'a>>,
    env: &Environment,
    host: &dyn Host,
) -> Vec<Group<'a>> {
    type Place = (PathBuf, u8, Layer);
    let place = |(object, class, layer): &Key<'_>| -> Option<Place> {
        let parent = object.as_path().parent()?;
        let fits =
            matches!(*class, 0 | 4 | CHANGED) && matches!(layer, Layer::Mount | Layer::Level);
        (fits && object.0.starts_with(b"/")).then(|| (parent.to_owned(), *class, *layer))
    };
    let mut counts: BTreeMap<Place, usize> = BTreeMap::new();
    for at in found.keys().filter_map(place) {
        *counts.entry(at).or_default() += 1;
    }
    counts.retain(|(path, class, _), count| {
        *count >= SIBLINGS
            && host.kind(path).is_some()
            && judge(path, *class != 0, Asker::User, env) == Verdict::Fine
            && !super::advise::is_private(path, env)
    });
    let mut single = Vec::new();
    let mut merged: BTreeMap<Place, Group<'a>> = BTreeMap::new();
    for (key, group) in found {
        let Some(at) = place(&key).filter(|at| counts.contains_key(at)) else {
            single.push(group);
            continue;
        };
        let object = Bytes::from(at.0.as_path());
        let old = merged.remove(&at);
        let count = group.count + old.as_ref().map_or(0, |old| old.count);
        let later = old.filter(|old| old.at > group.at).unwrap_or(group);
        merged.insert(at, Group { object, many: true, count, ..later });
    }
    single.extend(merged.into_values());
    single
}

/// Whether an event is of the same thing, but went well.
pub fn went_well(event: &Event) -> bool {
    matches!(event.outcome, Outcome::Allowed | Outcome::Kept)
}

/// The last name of what an event is about.
pub fn file_name(event: &Event) -> Option<&Path> {
    event.object.as_path().file_name().map(Path::new)
}

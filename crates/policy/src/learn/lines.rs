//! Few lines instead of many paths.

use super::files::{Found, Left};
use super::touch::{Touch, extend, finish};
use super::{Class, Evidence, Learned, Line, MAX_BELOW, MAX_LINES, Need, Wanted};
use crate::model::{Access, Intent};
use crate::resolve::Kind;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use swathe_record::bytes::Bytes;

/// Subdirectories of one directory from which on that directory is named.
const MANY_DIRECTORIES: usize = 5;

/// A path that the run needs, before paths are drawn together.
pub struct Use<'t> {
    /// What a line has to permit.
    pub want: PathBuf,
    /// How, at least.
    pub access: Access,
    /// What was touched.
    pub object: PathBuf,
    /// And how.
    pub touch: &'t Touch,
}

impl<'t> Use<'t> {
    /// By a name that leads to it.
    pub fn by(name: &Path, access: Access, object: &Path, touch: &'t Touch) -> Self {
        Self { want: name.to_owned(), access, object: object.to_owned(), touch }
    }
}

type Lines = BTreeMap<PathBuf, Access>;

/// Adds the lines.
pub fn add(mut found: Found<'_, '_>, learned: &mut Learned) {
    let mut lines = Lines::new();
    for one in &found.uses {
        let access = lines.entry(one.want.clone()).or_insert(one.access);
        *access = one.access.max(*access);
    }
    siblings(&found, &mut lines);
    directories(&found, &mut lines);
    only_needed(&found, &mut lines);
    crowds(&found, &mut lines);
    only_needed(&found, &mut lines);
    let dropped: BTreeSet<PathBuf> = lines.keys().skip(MAX_LINES).cloned().collect();
    lines.retain(|path, _| !dropped.contains(path));
    in_force(&found, &lines, learned);
    if let Some((access, mut evidence)) = found.cwd.take() {
        finish(&mut evidence);
        let path = found.place.env.cwd.clone();
        learned.needs.push(Need::Path { path, access });
        let note = tighter(&evidence, access);
        let wanted = Wanted::Intent(Intent::FilesCwd(access));
        learned.lines.push(Line { wanted, class: Class::Needed, note, evidence });
    } else if let Some((access, mut evidence)) = found.cwd_denied.take() {
        finish(&mut evidence);
        let wanted = Wanted::Intent(Intent::FilesCwd(access));
        learned.lines.push(Line { wanted, class: Class::Tolerated, note: None, evidence });
    }
    left(found, learned);
}

/// Files beside each other become their directory.
fn siblings(found: &Found<'_, '_>, lines: &mut Lines) {
    let mut groups: BTreeMap<PathBuf, Vec<(PathBuf, Access)>> = BTreeMap::new();
    for (path, access) in lines.iter() {
        if found.place.files.kind(path) == Some(Kind::Directory) {
            continue;
        }
        if let Some(parent) = path.parent().filter(|parent| found.holds(parent, path)) {
            groups.entry(parent.to_owned()).or_default().push((path.clone(), *access));
        }
    }
    for (parent, files) in groups {
        merge_into(found, lines, &parent, &files, 2);
    }
}

/// Many directories beside each other become the one that holds them.
fn directories(found: &Found<'_, '_>, lines: &mut Lines) {
    let mut groups: BTreeMap<PathBuf, Vec<(PathBuf, Access)>> = BTreeMap::new();
    for (path, access) in lines.iter() {
        if let Some(parent) = path.parent().filter(|parent| found.holds(parent, path)) {
            groups.entry(parent.to_owned()).or_default().push((path.clone(), *access));
        }
    }
    for (parent, entries) in groups.into_iter().rev() {
        merge_into(found, lines, &parent, &entries, MANY_DIRECTORIES);
    }
}

/// The directory instead of its entries, where enough of them need the same.
fn merge_into(
    found: &Found<'_, '_>,
    lines: &mut Lines,
    parent: &Path,
    entries: &[(PathBuf, Access)],
    enough: usize,
) {
    let most = |least: Access| entries.iter().filter(|(_, access)| *access >= least).count();
    let levels: BTreeSet<Access> = entries.iter().map(|(_, access)| *access).collect();
    let Some(access) = levels.into_iter().rev().find(|level| most(*level) >= enough) else {
        return;
    };
    if found.permitted(parent, access).is_err() {
        return;
    }
    for (path, had) in entries {
        if *had <= access {
            lines.remove(path);
        }
    }
    let line = lines.entry(parent.to_owned()).or_insert(access);
    *line = access.max(*line);
}

/// Without what another line permits.
fn only_needed(found: &Found<'_, '_>, lines: &mut Lines) {
    let covered = |(path, access): (&PathBuf, &Access)| {
        let above = path.ancestors().skip(1).find_map(|above| lines.get_key_value(above));
        let serves = above.is_some_and(|(at, above)| above >= access && found.holds(at, path));
        serves.then(|| path.clone())
    };
    // The nearest line above may itself be covered by one further above, which permits as much.
    let dropped: Vec<PathBuf> = lines.iter().filter_map(covered).collect();
    for path in dropped {
        lines.remove(&path);
    }
}

/// Directories with too many lines below.
fn crowds(found: &Found<'_, '_>, lines: &mut Lines) {
    let mut holders: BTreeMap<PathBuf, usize> = BTreeMap::new();
    for path in lines.keys() {
        for above in path.ancestors().skip(1) {
            *holders.entry(above.to_owned()).or_default() += 1;
        }
    }
    holders.retain(|_, below| *below > MAX_BELOW);
    // The deepest first.
    for holder in holders.into_keys().rev() {
        let below: Vec<(PathBuf, Access)> = lines
            .range(holder.clone()..)
            .take_while(|(path, _)| path.starts_with(&holder))
            .filter(|(path, _)| found.holds(&holder, path))
            .map(|(path, access)| (path.clone(), *access))
            .collect();
        let Some(access) = below.iter().map(|(_, access)| *access).max() else { continue };
        if below.len() > MAX_BELOW && found.permitted(&holder, access).is_ok() {
            for (path, _) in &below {
                lines.remove(path);
            }
            lines.insert(holder, access);
        }
    }
}

fn in_force(found: &Found<'_, '_>, lines: &Lines, learned: &mut Learned) {
    let mut evidence: BTreeMap<&Path, Evidence> = BTreeMap::new();
    let mut lost = Evidence::default();
    for one in &found.uses {
        let object = Bytes::from(one.object.as_path());
        let serves = |above: &&Path| lines.contains_key(*above) && found.holds(above, &one.want);
        match one.want.ancestors().find(serves) {
            Some(line) => {
                extend(evidence.entry(line).or_default(), &object, one.touch);
                // By a name of links, what it leads to.
                let real = found.place.files.kind(&one.want) == Some(Kind::Link);
                let path = if real { &one.object } else { &one.want };
                learned.needs.push(Need::Path { path: path.clone(), access: one.access });
            }
            None => extend(&mut lost, &object, one.touch),
        }
    }
    for (path, access) in lines {
        let mut evidence = evidence.remove(path.as_path()).unwrap_or_default();
        finish(&mut evidence);
        let note = tighter(&evidence, *access);
        let intent = Intent::FilesDir { path: path.clone(), access: *access };
        let wanted = Wanted::Intent(intent);
        learned.lines.push(Line { wanted, class: Class::Needed, note, evidence });
    }
    if lost.objects > 0 {
        finish(&mut lost);
        let text = format!("more than {MAX_LINES} files and directories; the rest has no line");
        let wanted = Wanted::Nothing(text);
        let line = Line { wanted, class: Class::Withheld, note: None, evidence: lost };
        learned.lines.push(line);
    }
}

/// The level that would have done, where nothing was done that it refuses.
fn tighter(evidence: &Evidence, access: Access) -> Option<String> {
    use swathe_record::event::Action;
    let did = |actions: &[Action]| actions.iter().any(|action| evidence.actions.contains(action));
    if access != Access::ReadWrite || did(&[Action::Remove, Action::Rename, Action::Truncate]) {
        return None;
    }
    let level = if did(&[Action::Write]) { "no-delete" } else { "append" };
    Some(format!("access = \"{level}\" would have been enough for this run"))
}

/// What a person has to decide about, as comments.
fn left(found: Found<'_, '_>, learned: &mut Learned) {
    for (name, mut evidence) in found.protected {
        finish(&mut evidence);
        let wanted = Wanted::Unprotected(name);
        let note = Some("other programs run what lies there: see what the run changed".to_owned());
        learned.lines.push(Line { wanted, class: Class::Withheld, note, evidence });
    }
    for (path, Left { class, access, refused, mut evidence }) in found.left {
        finish(&mut evidence);
        let possible = refused.as_ref().is_none_or(|refused| refused.possible);
        let why = refused.map(|refused| refused.why);
        let wanted = if possible {
            Wanted::Intent(Intent::FilesDir { path, access })
        } else {
            Wanted::Nothing(format!("{}: {}", Bytes::from(path), why.clone().unwrap_or_default()))
        };
        let note = why.filter(|_| possible).map(|why| format!("careful: {why}"));
        learned.lines.push(Line { wanted, class, note, evidence });
    }
}

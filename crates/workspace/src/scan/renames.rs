//! Added files that are deleted ones under another name.

use super::Sides;
use super::compare::same_files;
use crate::change::{ChangeKind, Changeset};
use crate::dir::split;
use crate::meta::FileKind;
use std::collections::HashMap;
use swathe_record::bytes::Bytes;

/// How many candidates of one size and time are compared with one file.
const MOST: usize = 8;

/// Marks pairs of one root. A rename keeps size and time of last change; the content decides.
pub(super) fn find(root: usize, sides: &Sides, set: &mut Changeset) {
    let mut deleted: HashMap<(u64, (i64, u32)), Vec<usize>> = HashMap::new();
    for (index, change) in set.changes.iter().enumerate() {
        if let (true, ChangeKind::Deleted, Some(old)) =
            (change.root == root, change.kind, change.old)
            && old.kind == FileKind::File
            && old.size > 0
        {
            deleted.entry((old.size, old.mtime)).or_default().push(index);
        }
    }
    if deleted.is_empty() {
        return;
    }
    let mut pairs = Vec::new();
    for (index, change) in set.changes.iter().enumerate() {
        let Some(new) = change.new.filter(|new| new.kind == FileKind::File) else { continue };
        if change.root != root || change.kind != ChangeKind::Added {
            continue;
        }
        let Some(candidates) = deleted.get_mut(&(new.size, new.mtime)) else { continue };
        let same = |old: &usize| {
            let old = set.changes.get(*old)?;
            let (old_dir, old_name) = split(&old.path.0);
            let (dir, name) = split(&change.path.0);
            let old_dir = sides.lower.at(old_dir).ok()?;
            let dir = sides.upper.at(dir).ok()?;
            same_files((&old_dir, old_name), (&dir, name), new.size).ok().filter(|same| *same)
        };
        if let Some(at) = candidates.iter().take(MOST).position(|old| same(old).is_some()) {
            pairs.push((candidates.swap_remove(at), index));
        }
    }
    for (old, new) in pairs {
        let path = |index: usize| set.changes.get(index).map(|c| Bytes(c.path.0.clone()));
        let (from, to) = (path(old), path(new));
        if let Some(change) = set.changes.get_mut(old) {
            change.renamed_to = to;
        }
        if let Some(change) = set.changes.get_mut(new) {
            change.renamed_from = from;
        }
    }
}

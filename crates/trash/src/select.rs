//! Which things are meant.

use crate::entry::{Entry, Id, Kind};
use crate::store::Kept;
use std::collections::BTreeMap;
use std::path::Path;

/// What is looked for; nothing set: all.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filter<'a> {
    /// Of this run.
    pub run: Option<&'a str>,
    /// At this path or below.
    pub path: Option<&'a Path>,
    /// Removed before, in microseconds since 1970.
    pub before: Option<u64>,
    /// This one.
    pub id: Option<Id>,
}

impl Filter<'_> {
    pub(crate) fn id(&self, id: Id) -> bool {
        self.id.is_none_or(|wanted| wanted == id)
            && self.before.is_none_or(|before| id.time() < before)
    }

    pub(crate) fn entry(&self, entry: &Entry) -> bool {
        self.run.is_none_or(|run| entry.run == run)
            && self.path.is_none_or(|path| entry.path.as_path().starts_with(path))
    }
}

/// What was removed last at a path, with all that went with it where it was a directory: what the
/// same program removed below in the same run, since the directory was removed the last time before.
/// What was only replaced did not go. Where nothing was removed at the path itself, what was removed
/// below it last.
///
/// `kept` is what lies at the path and below, the newest first; the result is in the order that it
/// can be restored in.
#[must_use]
pub fn tree(kept: &[Kept], path: &Path) -> Vec<Kept> {
    let is_at = |one: &&Kept| one.entry.path.as_path() == path;
    let mut own = kept.iter().filter(is_at);
    let Some(last) = own.next().or_else(|| kept.iter().find(|one| !one.entry.replaced)) else {
        return Vec::new();
    };
    if is_at(&last) && last.entry.kind != Kind::Directory {
        return vec![last.clone()];
    }
    let since = own.find(|one| one.entry.kind == Kind::Directory).map(|one| one.id);
    let together = |one: &&Kept| {
        one.id <= last.id
            && since.is_none_or(|since| one.id > since)
            && !one.entry.replaced
            && (&one.entry.run, &one.entry.program) == (&last.entry.run, &last.entry.program)
    };
    let mut found: BTreeMap<&Path, &Kept> = BTreeMap::new();
    for one in kept.iter().filter(together) {
        // The newest comes first.
        found.entry(one.entry.path.as_path()).or_insert(one);
    }
    found.into_values().cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(time: u64, path: &str, kind: Kind, program: &str) -> Kept {
        let entry = Entry {
            path: path.into(),
            run: "run".to_owned(),
            program: program.into(),
            kind,
            replaced: false,
            size: 0,
            mode: 0o644,
            uid: 0,
            gid: 0,
            modified: (0, 0),
            device: (0, 0),
            inode: 1,
        };
        Kept { id: Id::of(time), entry, place: "/t".into() }
    }

    fn names(found: &[Kept]) -> Vec<(u64, String)> {
        found.iter().map(|one| (one.id.time(), one.entry.path.to_string())).collect()
    }

    #[test]
    fn a_file_is_the_newest() {
        let all = [kept(9, "/p/a", Kind::File, "vi"), kept(8, "/p/a", Kind::File, "rm")];
        assert_eq!(names(&tree(&all, Path::new("/p/a"))), [(9, "/p/a".to_owned())]);
    }

    #[test]
    fn a_directory_with_all_that_went_with_it() {
        let all = [
            kept(9, "/p", Kind::Directory, "rm"),
            kept(8, "/p/a", Kind::File, "rm"),
            kept(7, "/p/s", Kind::Directory, "rm"),
            kept(6, "/p/s/b", Kind::File, "rm"),
            kept(5, "/p/4913", Kind::File, "vim"),
            kept(4, "/p/a", Kind::File, "rm"),
            kept(3, "/p", Kind::Directory, "rm"),
            kept(2, "/p/old", Kind::File, "rm"),
        ];
        let found = names(&tree(&all, Path::new("/p")));
        let expected = [(9, "/p"), (8, "/p/a"), (7, "/p/s"), (6, "/p/s/b")];
        assert_eq!(found, expected.map(|(time, path)| (time, path.to_owned())));
    }

    #[test]
    fn below_a_directory_that_stayed() {
        let mut replaced = kept(9, "/p/c", Kind::File, "vi");
        replaced.entry.replaced = true;
        let all = [replaced, kept(8, "/p/b", Kind::File, "rm"), kept(7, "/p/a", Kind::File, "rm")];
        let found = names(&tree(&all, Path::new("/p")));
        assert_eq!(found, [(7, "/p/a".to_owned()), (8, "/p/b".to_owned())]);
        assert_eq!(tree(&[], Path::new("/p")), []);
    }
}

//! Random changes in a real overlay, then committed, must be what the same changes made directly are.

use crate::random::Random;
use crate::{dump, ops, say};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use swathe_workspace::{
    Change, ChangeKind, Changeset, CommitOptions, Held, Limits, Mark, Meta, New, NewRoot, Parts,
    ScanOptions, Selection, SnapshotOptions, Store, Take,
};

/// Runs sequences `first` to `first + count`. Panics at the first that fails.
pub fn run(bwrap: &Path, dir: &Path, first: u64, count: u64) {
    let mut sums = [0_u64; 3];
    for seed in first..first + count {
        let place = dir.join(format!("s{seed}"));
        fs::create_dir(&place).unwrap();
        let known = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            say(&format!("sequence {seed} fails"));
            known(info);
        }));
        let sum = Sequence::new(bwrap, &place, seed).run();
        let _ = std::panic::take_hook();
        for (all, one) in sums.iter_mut().zip(sum) {
            *all += one;
        }
        wipe(&place);
    }
    say(&format!(
        "{count} sequences: {} changes made, {} changes listed, {} of them left",
        sums[0], sums[1], sums[2]
    ));
}

pub fn wipe(place: &Path) {
    if fs::remove_dir_all(place).is_err() {
        Command::new("chmod").args(["-R", "u+rwx"]).arg(place).status().unwrap();
        fs::remove_dir_all(place).unwrap();
    }
}

struct Sequence<'a> {
    bwrap: &'a Path,
    place: &'a Path,
    root: PathBuf,
    direct: PathBuf,
    store: Store,
    random: Random,
    original: Tree,
    sums: [u64; 3],
}

type Tree = BTreeMap<String, String>;

impl<'a> Sequence<'a> {
    fn new(bwrap: &'a Path, place: &'a Path, seed: u64) -> Self {
        let store = Store::open(&place.join("store")).unwrap();
        let (root, direct) = (place.join("root"), place.join("direct"));
        let random = Random(seed);
        Self { bwrap, place, root, direct, store, random, original: Tree::new(), sums: [0; 3] }
    }

    fn run(mut self) -> [u64; 3] {
        fs::create_dir(&self.root).unwrap();
        fs::create_dir(&self.direct).unwrap();
        for _ in 0..80 {
            let op = ops::random(&mut self.random);
            // Names of one file below an overlay are split by it.
            if !op.starts_with("link") {
                let both = [&self.root, &self.direct].map(|root| ops::apply(&op, root).is_ok());
                assert_eq!(both[0], both[1], "{op:?} fails in one place");
            }
        }
        ops::age(&self.root);
        ops::age(&self.direct);
        let original = dump::tree(&self.root);
        dump::same("the copy", &dump::tree(&self.direct), &original);
        self.original.clone_from(&original);
        let held = self.create();
        self.change(&held);
        let wanted = dump::tree(&self.direct);
        dump::same("the host before a commit", &dump::tree(&self.root), &original);
        match self.random.below(6) {
            0 => self.commit_and_undo(&held, &original, &wanted),
            1 => self.discard(&held, &original),
            2 => self.in_parts(&held, &wanted),
            3 => self.again(&held),
            4 => self.copying(&held, &original, &wanted),
            _ => self.discard_some(&held, &original, &wanted),
        }
        held.remove(&self.store).unwrap();
        assert!(self.store.list().unwrap().is_empty());
        self.sums
    }

    fn create(&self) -> Held {
        let root = NewRoot { path: self.root.clone(), candidates: Vec::new() };
        let (roots, limits) = (vec![root], Limits::default());
        let new = New { id: "w", named: true, run: "test", roots, limits };
        self.store.create(&new).unwrap()
    }

    /// Makes random changes in the overlay, and those that succeed directly, too.
    fn change(&mut self, held: &Held) {
        held.snapshot(&SnapshotOptions::default()).unwrap();
        let ops: Vec<String> = (0..30).map(|_| ops::random(&mut self.random)).collect();
        let file = self.place.join("ops");
        fs::write(&file, ops.join("\x01")).unwrap();
        let area = &held.about().roots[0];
        let run = Command::new(self.bwrap)
            .args(["--dev-bind", "/", "/", "--overlay-src"])
            .arg(&self.root)
            .arg("--overlay")
            .args([area.upper(), area.work(), self.root.clone()])
            .arg(std::env::current_exe().unwrap())
            .arg("apply")
            .args([&file, &self.root])
            .status()
            .unwrap();
        assert!(run.success(), "the overlay's run fails");
        let done = fs::read_to_string(file.with_extension("done")).unwrap();
        for (op, _) in ops.iter().zip(done.chars()).filter(|(_, done)| *done == '1') {
            self.sums[0] += 1;
            ops::apply(op, &self.direct).unwrap_or_else(|e| panic!("{op:?} fails directly: {e}"));
        }
    }

    fn scan(&mut self, held: &Held) -> Changeset {
        let set = held.scan(&ScanOptions::default()).unwrap();
        self.sums[1] += set.changes.len() as u64;
        assert!(set.changes.iter().all(|change| change.conflict.is_none()), "a conflict: {set:?}");
        set
    }

    fn commit(&mut self, held: &Held, selection: &Selection, set: &Changeset) {
        let options = CommitOptions { copy: self.random.below(4) == 0, ..CommitOptions::default() };
        let done = held.commit(set, selection, &options).unwrap();
        self.sums[2] += done.left.len() as u64;
        assert!(done.left.is_empty(), "left: {:?}", done.left);
    }

    fn is(&self, wanted: &Tree) {
        let mut is = dump::tree(&self.root);
        for (path, line) in &mut is {
            // A directory in which nothing differs in the end keeps its time.
            let Some(wanted) = wanted
                .get(path)
                .filter(|wanted| line.starts_with("dir") && wanted.as_str() != line.as_str())
            else {
                continue;
            };
            if self.original.get(path) == Some(line) && loosened(line) == loosened(wanted) {
                line.clone_from(wanted);
            }
        }
        dump::same("the host", &is, wanted);
    }

    fn is_empty(&mut self, held: &Held) {
        let set = self.scan(held);
        assert!(set.changes.is_empty(), "still changed: {:?}", set.changes);
    }

    fn commit_and_undo(&mut self, held: &Held, original: &Tree, wanted: &Tree) {
        let set = self.scan(held);
        self.commit(held, &Selection::all(&set), &set);
        self.is(wanted);
        self.is_empty(held);
        let saved = held.saved().unwrap();
        if set.changes.is_empty() {
            assert!(saved.is_none());
            return;
        }
        let undone = held.undo().unwrap();
        assert!(undone.left.is_empty(), "left by the undo: {:?}", undone.left);
        self.is(original);
        let again = self.scan(held);
        assert_eq!(named_less_rights(&again), named_less_rights(&set));
        self.commit(held, &Selection::all(&again), &again);
        self.is(wanted);
    }

    fn discard(&mut self, held: &Held, original: &Tree) {
        if self.random.below(2) == 0 {
            held.discard_all().unwrap();
        } else {
            let set = self.scan(held);
            held.discard(&set, &Selection::all(&set), false).unwrap();
        }
        self.is(original);
        self.is_empty(held);
    }

    fn in_parts(&mut self, held: &Held, wanted: &Tree) {
        for _ in 0..3 {
            let set = self.scan(held);
            let mut some = Selection::new();
            for index in 0..set.changes.len() {
                if self.random.below(2) == 0 {
                    some.take(index, Take::Whole);
                }
            }
            self.commit(held, &some, &set);
        }
        let set = self.scan(held);
        self.commit(held, &Selection::all(&set), &set);
        self.is_empty(held);
        // Names that were committed apart are copies, and directories have the times of the last
        // part; everything else is the same.
        let loose =
            |tree: &Tree| -> Tree { tree.iter().map(|(p, t)| (p.clone(), loosened(t))).collect() };
        dump::same("the host", &loose(&dump::tree(&self.root)), &loose(wanted));
    }

    /// Runs twice in one workspace, with a commit of a part between.
    fn again(&mut self, held: &Held) {
        let set = self.scan(held);
        let mut some = Selection::new();
        for index in 0..set.changes.len() {
            // Links that are split would make the two sides differ.
            let top = set.changes[index].part_of.unwrap_or(index);
            let linked = set.changes[top].new.is_some_and(|new| new.nlink > 1);
            if self.random.below(2) == 0 && !linked {
                some.take(index, Take::Whole);
            }
        }
        some.complete(&set);
        self.commit(held, &some, &set);
        self.change(held);
        let set = self.scan(held);
        self.commit(held, &Selection::all(&set), &set);
        self.is_empty(held);
        let wanted = dump::tree(&self.direct);
        let loose =
            |tree: &Tree| -> Tree { tree.iter().map(|(p, t)| (p.clone(), loosened(t))).collect() };
        dump::same("the host", &loose(&dump::tree(&self.root)), &loose(&wanted));
    }

    fn copying(&mut self, held: &Held, original: &Tree, wanted: &Tree) {
        let set = self.scan(held);
        let options = CommitOptions { copy: true, ..CommitOptions::default() };
        let done = held.commit(&set, &Selection::all(&set), &options).unwrap();
        assert_eq!(done.moved, 0);
        self.is(wanted);
        self.is_empty(held);
        if !set.changes.is_empty() {
            held.undo().unwrap();
            self.is(original);
            assert_eq!(named(&self.scan(held)), named(&set));
        }
    }

    /// What is not discarded is what a commit makes of it.
    fn discard_some(&mut self, held: &Held, original: &Tree, wanted: &Tree) {
        let set = self.scan(held);
        let mut some = Selection::new();
        for index in 0..set.changes.len() {
            if self.random.below(2) == 0 {
                some.take(index, Take::Whole);
            }
        }
        held.discard(&set, &some, false).unwrap();
        self.is(original);
        let rest = self.scan(held);
        let before = named(&set);
        for change in named(&rest) {
            assert!(before.contains(&change), "{change:?} is new after a discard");
        }
        self.commit(held, &Selection::all(&rest), &rest);
        self.is_empty(held);
        let after = dump::tree(&self.root);
        for (path, line) in &after {
            let line = loosened(line);
            let known = [original, wanted]
                .iter()
                .any(|t| t.get(path).map(|l| loosened(l)) == Some(line.clone()));
            assert!(known, "{path}: {line} is neither old nor new");
        }
    }
}

/// A line without what names of the same file and the time say.
fn loosened(line: &str) -> String {
    let line = line.split(" same as").next().unwrap_or(line);
    if line.starts_with("dir") {
        let words: Vec<&str> = line.split(' ').collect();
        let kept = words.iter().enumerate().filter(|(n, _)| *n != 2).map(|(_, word)| *word);
        return kept.collect::<Vec<_>>().join(" ");
    }
    line.to_owned()
}

/// As [`named`], without files of which only set-user-ID or set-group-ID differs: a commit takes that
/// out of the workspace, too, so that it does not come back with an undo.
fn named_less_rights(set: &Changeset) -> Vec<(Vec<u8>, ChangeKind)> {
    let modes = Parts { mode: true, ..Parts::default() };
    let only_rights = |change: &&Change| {
        let bits = |meta: Option<Meta>| meta.map(|meta| meta.mode & 0o1777);
        change.parts == modes
            && change.marks.contains(&Mark::SetId)
            && bits(change.old) == bits(change.new)
    };
    let dropped: Vec<_> = set.changes.iter().filter(only_rights).map(|c| &c.path.0).collect();
    let mut all = named(set);
    all.retain(|(path, _)| !dropped.contains(&path));
    all
}

fn named(set: &Changeset) -> Vec<(Vec<u8>, ChangeKind)> {
    let mut all: Vec<_> = set.changes.iter().map(|c| (c.path.0.clone(), c.kind)).collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

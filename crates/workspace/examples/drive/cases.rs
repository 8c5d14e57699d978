//! Single behaviours: conflicts, choice, merges, locks, saved copies, collection.

use crate::{ops, say};
use rustix::fs::XattrFlags;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use swathe_workspace::{
    ChangeKind, Changeset, CommitOptions, Conflict, ErrorKind, GcOptions, Held, Limits, New,
    NewRoot, ScanOptions, Selection, SnapshotOptions, State, Store, Take, Why,
};

pub struct Place {
    pub dir: PathBuf,
    pub root: PathBuf,
    pub upper: PathBuf,
    pub store: Store,
}

impl Place {
    fn new(dir: &Path, texts: u64) -> (Self, Held) {
        let dir = dir.join("case");
        let root = dir.join("root");
        fs::create_dir_all(root.join("dir")).unwrap();
        for name in ["a", "b", "dir/c", "dir/d"] {
            fs::write(root.join(name), lines(&[])).unwrap();
        }
        ops::age(&root);
        let store = Store::open(&dir.join("store")).unwrap();
        let held = create(&store, "w", &root, true).unwrap();
        let seen = held.snapshot(&SnapshotOptions { texts, ..SnapshotOptions::default() }).unwrap();
        assert!(seen.whole && seen.entries == 5 && (seen.texts == 4) == (texts > 0), "{seen:?}");
        let upper = held.about().roots[0].upper();
        (Self { dir, root, upper, store }, held)
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.root.join(name)).unwrap()
    }

    pub fn program(&self, name: &str, text: &str) {
        if let Some(dir) = Path::new(name).parent() {
            fs::create_dir_all(self.upper.join(dir)).unwrap();
        }
        fs::write(self.upper.join(name), text).unwrap();
    }

    pub fn host(&self, name: &str, text: &str) {
        fs::write(self.root.join(name), text).unwrap();
    }
}

pub fn create(
    store: &Store,
    id: &str,
    root: &Path,
    named: bool,
) -> Result<Held, swathe_workspace::Error> {
    let root = NewRoot { path: root.to_owned(), candidates: Vec::new() };
    store.create(&New { id, named, run: "test", roots: vec![root], limits: Limits::default() })
}

pub fn lines(changed: &[(usize, &str)]) -> String {
    let line = |n: usize| {
        let known = changed.iter().find(|(at, _)| *at == n);
        known.map_or_else(|| format!("line {n}\n"), |(_, text)| format!("{text}\n"))
    };
    (0..40).map(line).collect()
}

pub fn scan(held: &Held) -> Changeset {
    held.scan(&ScanOptions::default()).unwrap()
}

pub fn at(set: &Changeset, path: &str) -> usize {
    set.find(0, path.as_bytes()).unwrap_or_else(|| panic!("{path} is no change: {set:?}"))
}

/// A case, with the workspace that it holds.
pub type Test = fn(&Place, Held);

pub fn run(dir: &Path) {
    let all: [(&str, u64, Test); 16] = [
        ("conflicts", 0, conflicts),
        ("despite", 0, despite),
        ("hunks", 0, hunks),
        ("merge", 1 << 20, merge),
        ("merge without a base", 0, merge_blind),
        ("dependencies", 0, dependencies),
        ("locks", 0, locks),
        ("another root", 0, another_root),
        ("saved", 0, saved),
        ("undo after a change", 0, undo_after_change),
        ("collection", 0, collection),
        ("dry run", 0, dry_run),
        ("kinds", 0, kinds),
        ("between runs", 0, between_runs),
        ("too many files", 0, too_many),
        ("access lists", 0, access_lists),
    ];
    for (name, texts, test) in
        all.into_iter().chain(crate::removed::ALL).chain(crate::undone::ALL).chain(crate::busy::ALL)
    {
        let (place, held) = Place::new(dir, texts);
        say(name);
        test(&place, held);
        crate::model::wipe(&place.dir);
    }
}

pub fn commit(held: &Held, set: &Changeset, chosen: &Selection) -> swathe_workspace::Committed {
    held.commit(set, chosen, &CommitOptions::default()).unwrap()
}

/// What both sides changed stays as the host has it, and stays in the workspace.
fn conflicts(p: &Place, held: Held) {
    p.program("a", "of the program\n");
    p.program("b", "of the program\n");
    p.program("new", "of the program\n");
    p.program("dir/c", "of the program\n");
    p.host("a", "of the host\n");
    fs::remove_file(p.root.join("b")).unwrap();
    p.host("new", "of the host\n");
    let set = scan(&held);
    for (path, conflict) in
        [("a", Conflict::Modified), ("b", Conflict::Deleted), ("new", Conflict::Created)]
    {
        assert_eq!(set.changes[at(&set, path)].conflict, Some(conflict), "{path}");
    }
    let mut all = Selection::new();
    (0..set.changes.len()).for_each(|index| all.take(index, Take::Whole));
    let done = commit(&held, &set, &all);
    let why: Vec<Why> = done.left.iter().map(|left| left.why).collect();
    assert_eq!(why.len(), 3, "{why:?}");
    assert_eq!((p.read("a"), p.read("new")), ("of the host\n".into(), "of the host\n".into()));
    assert!(!p.root.join("b").exists());
    assert_eq!(p.read("dir/c"), "of the program\n");
    assert_eq!(scan(&held).changes.len(), 3);
}

/// Who says so gets the program's version, and an undo brings the host's back.
fn despite(p: &Place, held: Held) {
    p.program("a", "of the program\n");
    p.host("a", "of the host\n");
    let set = scan(&held);
    let mut chosen = Selection::new();
    chosen.take_despite(at(&set, "a"), Take::Whole);
    assert!(commit(&held, &set, &chosen).left.is_empty());
    assert_eq!(p.read("a"), "of the program\n");
    held.undo().unwrap();
    assert_eq!(p.read("a"), "of the host\n");
    // It holds for the version that was shown, not for a later one.
    let set = scan(&held);
    p.host("a", "of the host, later\n");
    chosen = Selection::new();
    chosen.take_despite(at(&set, "a"), Take::Whole);
    assert_eq!(commit(&held, &set, &chosen).left.len(), 1);
    assert_eq!(p.read("a"), "of the host, later\n");
}

fn hunks(p: &Place, held: Held) {
    p.program("a", &lines(&[(3, "first"), (20, "second"), (35, "third")]));
    let set = scan(&held);
    let index = at(&set, "a");
    let hunks = held.hunks(&set.changes[index]).unwrap();
    assert_eq!(hunks.len(), 3);
    let mut chosen = Selection::new();
    chosen.take(index, Take::Hunks(vec![hunks[1].clone()]));
    commit(&held, &set, &chosen);
    assert_eq!(p.read("a"), lines(&[(20, "second")]));
    let set = scan(&held);
    let mut left = held.hunks(&set.changes[at(&set, "a")]).unwrap();
    assert_eq!(left.len(), 2);
    let mut chosen = Selection::new();
    left.truncate(1);
    chosen.take(at(&set, "a"), Take::Hunks(left));
    held.discard(&set, &chosen, false).unwrap();
    let set = scan(&held);
    commit(&held, &set, &Selection::all(&set));
    assert_eq!(p.read("a"), lines(&[(20, "second"), (35, "third")]));
    assert!(scan(&held).changes.is_empty());
    let mut bad = Selection::new();
    held.snapshot(&SnapshotOptions::default()).unwrap();
    p.program("a", &lines(&[(0, "again"), (20, "second"), (35, "third")]));
    let set = scan(&held);
    // Of the text that was there before.
    bad.take(at(&set, "a"), Take::Hunks(hunks));
    let error = held.commit(&set, &bad, &CommitOptions::default()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unusable, "{error}");
}

fn merge(p: &Place, held: Held) {
    p.program("a", &lines(&[(3, "of the program")]));
    p.host("a", &lines(&[(30, "of the host")]));
    p.program("b", &lines(&[(3, "of the program")]));
    p.host("b", &lines(&[(3, "of the host")]));
    let set = scan(&held);
    let merged = held.merge(&set.changes[at(&set, "a")]).unwrap();
    assert!(merged.three_way && !merged.conflicts);
    assert_eq!(merged.content, lines(&[(3, "of the program"), (30, "of the host")]).as_bytes());
    let clash = held.merge(&set.changes[at(&set, "b")]).unwrap();
    assert!(clash.three_way && clash.conflicts);
    let mut chosen = Selection::new();
    chosen.take_despite(at(&set, "a"), Take::Content(merged.content.clone()));
    assert!(commit(&held, &set, &chosen).left.is_empty());
    assert_eq!(p.read("a").as_bytes(), merged.content);
    assert_eq!(scan(&held).changes.len(), 1);
    held.undo().unwrap();
    assert_eq!(p.read("a"), lines(&[(30, "of the host")]));
    assert_eq!(scan(&held).changes.len(), 2);
    merge_modes(p, &held);
}

/// A mode that one side changed is that of the merge; where both did, there is none.
fn merge_modes(p: &Place, held: &Held) {
    let set_mode = |path: PathBuf, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let was = fs::metadata(p.root.join("dir/c")).unwrap().permissions().mode() & 0o777;
    p.program("dir/c", &lines(&[(3, "of the program")]));
    set_mode(p.root.join("dir/c"), 0o600);
    p.program("dir/d", &lines(&[(3, "of the program")]));
    p.host("dir/d", &lines(&[(30, "of the host")]));
    set_mode(p.upper.join("dir/c"), was);
    set_mode(p.upper.join("dir/d"), 0o640);
    p.program("a", &lines(&[]));
    p.host("a", &lines(&[]));
    set_mode(p.upper.join("a"), 0o640);
    set_mode(p.root.join("a"), 0o600);
    let set = scan(held);
    let merged = |name: &str| held.merge(&set.changes[at(&set, name)]).unwrap();
    assert_eq!((merged("a").mode, merged("a").conflicts), (None, false));
    let mut chosen = Selection::new();
    for (name, mode) in [("dir/c", 0o600), ("dir/d", 0o640)] {
        let merged = merged(name);
        assert_eq!((merged.mode, merged.conflicts), (Some(mode), false), "{name}");
        chosen.take_despite(at(&set, name), Take::Content(merged.content));
    }
    assert!(commit(held, &set, &chosen).left.is_empty());
    let mode = |name: &str| fs::metadata(p.root.join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("dir/c"), mode("dir/d")), (0o600, 0o640));
    assert_eq!(p.read("dir/c"), lines(&[(3, "of the program")]));
    held.undo().unwrap();
    assert_eq!((mode("dir/c"), mode("dir/d")), (0o600, was));
    assert_eq!(p.read("dir/c"), lines(&[]));
    assert!(held.scan(&ScanOptions::default()).unwrap().find(0, b"dir/c").is_some());
}

/// Without the text from before nothing is merged by itself.
fn merge_blind(p: &Place, held: Held) {
    p.program("a", &lines(&[(3, "of the program")]));
    p.host("a", &lines(&[(30, "of the host")]));
    let set = scan(&held);
    let merged = held.merge(&set.changes[at(&set, "a")]).unwrap();
    assert!(!merged.three_way && merged.conflicts);
    let text = String::from_utf8(merged.content).unwrap();
    assert_eq!(text.matches("<<<<<<< host").count(), 2, "{text}");
}

fn dependencies(p: &Place, held: Held) {
    p.program("new/deep/file", "x\n");
    p.program("new/other", "x\n");
    let set = scan(&held);
    let mut chosen = Selection::new();
    chosen.take(at(&set, "new/deep/file"), Take::Whole);
    let added = chosen.complete(&set);
    assert_eq!(added.len(), 2);
    commit(&held, &set, &chosen);
    assert_eq!(p.read("new/deep/file"), "x\n");
    assert!(!p.root.join("new/other").exists());
    let set = scan(&held);
    assert_eq!(set.changes.len(), 1);
    commit(&held, &set, &Selection::all(&set));
    assert_eq!(p.read("new/other"), "x\n");
    halves(p, &held);
}

fn whiteout(path: &Path) {
    let (kind, mode) = (rustix::fs::FileType::CharacterDevice, rustix::fs::Mode::empty());
    rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode, 0).unwrap();
}

/// Of a rename no half is committed without the other, unless it is chosen alone.
fn halves(p: &Place, held: &Held) {
    whiteout(&p.upper.join("dir"));
    for name in ["two/c", "two/d"] {
        p.program(name, &lines(&[]));
    }
    ops::age(&p.upper.join("two"));
    let crafted = p.upper.join("two");
    let name = "user.overlay.redirect";
    rustix::fs::lsetxattr(&crafted, name, b"y", XattrFlags::empty()).unwrap();
    p.program("b", "y\n");
    let set = scan(held);
    assert!(set.changes[at(&set, "two/c")].renamed_from.is_some());
    let done = commit(held, &set, &Selection::all(&set));
    assert_eq!(done.changes, 1, "{done:?}");
    let why: Vec<Why> = done.left.iter().map(|left| left.why).collect();
    assert!(why.contains(&Why::Half), "{:?}", done.left);
    assert_eq!((p.read("dir/c"), p.read("b")), (lines(&[]), "y\n".into()));
    let set = scan(held);
    let mut alone = Selection::new();
    assert!(alone.take_path(&set, 0, b"dir"));
    assert!(commit(held, &set, &alone).left.is_empty());
    assert!(!p.root.join("dir").exists() && !p.root.join("two").exists());
}

fn locks(p: &Place, held: Held) {
    p.program("a", "x\n");
    let found = || p.store.find("w").unwrap();
    assert_eq!(found().state(), State::InUse);
    assert_eq!(found().hold().unwrap_err().kind, ErrorKind::InUse);
    let set = found().scan(&ScanOptions::default()).unwrap();
    assert!(set.live);
    let error = held.commit(&set, &Selection::all(&set), &CommitOptions::default()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unusable);
    drop(held);
    assert_eq!(found().state(), State::Idle);
    let gone = p.store.find("none").unwrap_err();
    assert_eq!(gone.kind, ErrorKind::Gone);
    for bad in ["", "..", "a/b", ".hidden", "a b"] {
        assert!(p.store.find(bad).is_err(), "{bad}");
        assert!(create(&p.store, bad, &p.root, true).is_err(), "{bad}");
    }
    assert!(create(&p.store, "w", &p.root, true).is_err());
    // A store in its own root cannot be an overlay's upper, and one open to others is not ours.
    let inside = Store::open(&p.root.join("store")).unwrap();
    let error = create(&inside, "w", &p.root, true).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unusable, "{error}");
    assert!(inside.list().unwrap().is_empty());
    fs::set_permissions(p.root.join("store"), fs::Permissions::from_mode(0o777)).unwrap();
    assert_eq!(Store::open(&p.root.join("store")).unwrap_err().kind, ErrorKind::NotOurs);
}

/// The host's directory is moved away and replaced: nothing is done to the new one.
fn another_root(p: &Place, held: Held) {
    p.program("a", "x\n");
    let set = scan(&held);
    fs::rename(&p.root, p.dir.join("moved")).unwrap();
    assert!(held.scan(&ScanOptions::default()).is_err());
    fs::create_dir(&p.root).unwrap();
    let all = Selection::all(&set);
    let error = held.commit(&set, &all, &CommitOptions::default()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Gone, "{error}");
    assert!(error.fix.is_some() && fs::read_dir(&p.root).unwrap().next().is_none());
    fs::remove_dir(&p.root).unwrap();
    symlink(p.dir.join("moved"), &p.root).unwrap();
    commit(&held, &set, &all);
    assert_eq!(p.read("a"), "x\n");
}

/// Old versions are kept within a bound, one commit's at a time.
fn saved(p: &Place, held: Held) {
    let ino = fs::metadata(p.root.join("a")).unwrap().ino();
    p.program("a", "x\n");
    let set = scan(&held);
    let done = commit(&held, &set, &Selection::all(&set));
    assert!(done.saved && held.saved().unwrap().is_some());
    assert!(held.usage().unwrap().saved > 0);
    held.undo().unwrap();
    assert_eq!(fs::metadata(p.root.join("a")).unwrap().ino(), ino);
    assert_eq!(held.undo().unwrap_err().kind, ErrorKind::Gone);
    let set = scan(&held);
    let options = CommitOptions { most_saved: 3, ..CommitOptions::default() };
    let done = held.commit(&set, &Selection::all(&set), &options).unwrap();
    assert!(!done.saved && held.saved().unwrap().is_none());
    assert_eq!(held.usage().unwrap().saved, 0);
    assert_eq!(p.read("a"), "x\n");
}

/// What the user did after a commit is not undone with it.
fn undo_after_change(p: &Place, held: Held) {
    p.program("a", "x\n");
    p.program("b", "x\n");
    let set = scan(&held);
    commit(&held, &set, &Selection::all(&set));
    p.host("a", "edited since\n");
    let undone = held.undo().unwrap();
    assert_eq!(undone.left.len(), 1);
    assert_eq!(p.read("a"), "edited since\n");
    assert_eq!(p.read("b"), lines(&[]));
    assert!(held.saved().unwrap().is_some(), "what could not be put back is still kept");
    fs::remove_file(p.root.join("a")).unwrap();
    assert_eq!(held.undo().unwrap().left.len(), 1);
}

fn collection(p: &Place, held: Held) {
    p.program("a", "x\n");
    let set = scan(&held);
    commit(&held, &set, &Selection::all(&set));
    let gc = |options| p.store.gc(&options).unwrap();
    assert_eq!(gc(GcOptions::default()).tidied.len(), 0, "it is in use");
    drop(held);
    let old = GcOptions { saved_older: Some(0), ..GcOptions::default() };
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert_eq!(gc(GcOptions { dry_run: true, ..old }).tidied, ["w"]);
    assert!(p.store.find("w").unwrap().saved().unwrap().is_some());
    assert_eq!(gc(old).tidied, ["w"]);
    assert!(p.store.find("w").unwrap().saved().unwrap().is_none());
    drop(create(&p.store, "run1", &p.root, false).unwrap());
    let full = create(&p.store, "run2", &p.root, false).unwrap();
    fs::write(full.about().roots[0].upper().join("x"), "x").unwrap();
    drop(full);
    assert_eq!(gc(GcOptions::default()).removed, ["run1"]);
    let ids: Vec<String> = p.store.list().unwrap().into_iter().map(|listed| listed.id).collect();
    assert_eq!(ids, ["run2", "w"]);
}

fn dry_run(p: &Place, held: Held) {
    p.program("a", "x\n");
    p.program("new/b", "x\n");
    let before = crate::dump::tree(&p.dir);
    let set = scan(&held);
    let options = CommitOptions { dry_run: true, ..CommitOptions::default() };
    let done = held.commit(&set, &Selection::all(&set), &options).unwrap();
    assert_eq!((done.changes, done.moved), (3, 2), "{done:?}");
    let dropped = held.discard(&set, &Selection::all(&set), true).unwrap();
    assert_eq!(dropped.steps, 2);
    crate::dump::same("after dry runs", &crate::dump::tree(&p.dir), &before);
}

/// The kinds of a change, and a rename seen.
fn kinds(p: &Place, held: Held) {
    fs::create_dir(p.upper.join("dir")).unwrap();
    fs::copy(p.root.join("a"), p.upper.join("moved")).unwrap();
    ops::touch(&p.upper.join("moved"), 900_000_000).unwrap();
    let mode = rustix::fs::Mode::empty();
    let kind = rustix::fs::FileType::CharacterDevice;
    rustix::fs::mknodat(rustix::fs::CWD, p.upper.join("a"), kind, mode, 0).unwrap();
    let set = scan(&held);
    let (old, new) = (&set.changes[at(&set, "a")], &set.changes[at(&set, "moved")]);
    assert_eq!((old.kind, new.kind), (ChangeKind::Deleted, ChangeKind::Added));
    assert_eq!(new.renamed_from.as_ref().map(|path| &path.0[..]), Some(&b"a"[..]));
    assert_eq!(old.renamed_to.as_ref().map(|path| &path.0[..]), Some(&b"moved"[..]));
}

/// Before a second run the host's changes become known, but where the upper hides them.
fn between_runs(p: &Place, held: Held) {
    p.program("a", "of the program\n");
    fs::create_dir_all(p.upper.join("dir")).unwrap();
    let (mode, kind) = (rustix::fs::Mode::empty(), rustix::fs::FileType::CharacterDevice);
    rustix::fs::mknodat(rustix::fs::CWD, p.upper.join("dir/c"), kind, mode, 0).unwrap();
    for name in ["a", "b", "dir/c", "dir/d", "new"] {
        p.host(name, "of the host\n");
    }
    held.snapshot(&SnapshotOptions::default()).unwrap();
    p.program("b", "of the program\n");
    p.program("dir/d", "of the program\n");
    p.program("new", "of the program\n");
    let set = scan(&held);
    let conflict = |path: &str| set.changes[at(&set, path)].conflict;
    for path in ["a", "dir/c"] {
        assert_eq!(conflict(path), Some(Conflict::Modified), "{path}");
    }
    for path in ["b", "dir/d", "new"] {
        assert_eq!(conflict(path), None, "{path}");
    }
}

/// Where not every file is recorded, times tell what the host changed.
fn too_many(p: &Place, held: Held) {
    std::thread::sleep(std::time::Duration::from_millis(50));
    let few = SnapshotOptions { most: 3, ..SnapshotOptions::default() };
    assert!(!held.snapshot(&few).unwrap().whole);
    p.program("a", "of the program\n");
    p.program("b", "of the program\n");
    p.host("a", "of the host\n");
    let set = scan(&held);
    assert_eq!(set.changes[at(&set, "a")].conflict, Some(Conflict::Modified));
    assert_eq!(set.changes[at(&set, "b")].conflict, None);
}

/// A copy has the access list of the program's file, not what the host's directory would give it.
fn access_lists(place: &Place, held: Held) {
    let entry = |tag: u16, rights: u16, id: u32| {
        [&tag.to_le_bytes()[..], &rights.to_le_bytes(), &id.to_le_bytes()].concat()
    };
    let nobody = u32::MAX;
    // Owner, user 12345, group, mask, others.
    let entries = [(1, 7, nobody), (2, 7, 12345), (4, 5, nobody), (16, 7, nobody), (32, 5, nobody)];
    let mut list = 2_u32.to_le_bytes().to_vec();
    list.extend(entries.into_iter().flat_map(|(tag, rights, id)| entry(tag, rights, id)));
    let (flags, default) = (XattrFlags::empty(), "system.posix_acl_default");
    rustix::fs::lsetxattr(place.root.join("dir"), default, &list, flags).unwrap();
    place.program("dir/new", "text\n");
    let set = scan(&held);
    let options = CommitOptions { copy: true, ..CommitOptions::default() };
    held.commit(&set, &Selection::all(&set), &options).unwrap();
    assert_eq!(place.read("dir/new"), "text\n");
    let mut value = [0_u8; 256];
    let found =
        rustix::fs::lgetxattr(place.root.join("dir/new"), "system.posix_acl_access", &mut value);
    assert_eq!(found, Err(rustix::io::Errno::NODATA), "the copy has an access list");
}

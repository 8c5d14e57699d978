//! What is taken back, and what the workspace knows afterwards.

use crate::cases::{Place, Test, at, commit, lines, scan};
use rustix::fs::XattrFlags;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use swathe_workspace::{
    ChangeKind, CommitOptions, Conflict, ErrorKind, Held, Selection, SnapshotOptions, Take,
};

pub const ALL: [(&str, u64, Test); 9] = [
    ("a merge taken back", 1 << 20, merge),
    ("a choice taken back", 0, despite),
    ("a tree taken back", 0, tree),
    ("a directory's mode taken back", 0, mode),
    ("taken back in vain", 0, in_vain),
    ("taken back twice", 0, twice),
    ("taken back after another run", 0, after_another_run),
    ("a directory changed since", 0, directory),
    ("a root that is gone", 0, gone),
];

fn conflict(held: &Held, path: &str) -> Option<Conflict> {
    let set = scan(held);
    set.changes[at(&set, path)].conflict
}

/// Everything but what is in conflict.
fn commit_all(held: &Held) {
    let set = scan(held);
    commit(held, &set, &Selection::all(&set));
}

/// What both sides had changed they still have: a plain commit overwrites nothing.
fn merge(p: &Place, held: Held) {
    let host = lines(&[(30, "of the host")]);
    p.program("a", &lines(&[(3, "of the program")]));
    p.host("a", &host);
    let set = scan(&held);
    let merged = held.merge(&set.changes[at(&set, "a")]).unwrap();
    let mut chosen = Selection::new();
    chosen.take_despite(at(&set, "a"), Take::Content(merged.content));
    commit(&held, &set, &chosen);
    held.undo().unwrap();
    assert_eq!(conflict(&held, "a"), Some(Conflict::Modified));
    commit_all(&held);
    assert_eq!(p.read("a"), host);
}

fn despite(p: &Place, held: Held) {
    p.program("a", "of the program\n");
    p.program("new", "of the program\n");
    p.host("a", "of the host\n");
    p.host("new", "of the host\n");
    for copy in [false, true] {
        let set = scan(&held);
        let mut chosen = Selection::new();
        for path in ["a", "new"] {
            chosen.take_despite(at(&set, path), Take::Whole);
        }
        held.commit(&set, &chosen, &CommitOptions { copy, ..CommitOptions::default() }).unwrap();
        assert_eq!(p.read("new"), "of the program\n");
        held.undo().unwrap();
        assert_eq!(conflict(&held, "a"), Some(Conflict::Modified), "{copy}");
        assert_eq!(conflict(&held, "new"), Some(Conflict::Created), "{copy}");
        commit_all(&held);
        assert_eq!((p.read("a"), p.read("new")), ("of the host\n".into(), "of the host\n".into()));
    }
}

/// A directory that was deleted with what the host had changed in it.
fn tree(p: &Place, held: Held) {
    let (mode, kind) = (rustix::fs::Mode::empty(), rustix::fs::FileType::CharacterDevice);
    rustix::fs::mknodat(rustix::fs::CWD, p.upper.join("dir"), kind, mode, 0).unwrap();
    p.host("dir/c", "of the host\n");
    let before = scan(&held);
    let mut chosen = Selection::new();
    (0..before.changes.len()).for_each(|index| chosen.take_despite(index, Take::Whole));
    commit(&held, &before, &chosen);
    assert!(!p.root.join("dir").exists());
    held.undo().unwrap();
    assert_eq!(p.read("dir/c"), "of the host\n");
    let after = scan(&held);
    assert_eq!(after.changes.len(), before.changes.len());
    for (one, other) in after.changes.iter().zip(&before.changes) {
        assert_eq!((&one.path, one.conflict), (&other.path, other.conflict));
    }
    commit_all(&held);
    assert_eq!(p.read("dir/c"), "of the host\n");
}

/// A directory of which both sides had changed the mode.
fn mode(p: &Place, held: Held) {
    let set_mode = |path: &std::path::Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let (above, below) = (p.upper.join("dir"), p.root.join("dir"));
    let mode_of = |path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    fs::create_dir(&above).unwrap();
    set_mode(&above, 0o711);
    set_mode(&below, 0o750);
    let set = scan(&held);
    assert_eq!(conflict(&held, "dir"), Some(Conflict::Modified));
    let mut chosen = Selection::new();
    chosen.take_despite(at(&set, "dir"), Take::Whole);
    commit(&held, &set, &chosen);
    assert_eq!(mode_of(&below), 0o711);
    held.undo().unwrap();
    assert_eq!(mode_of(&below), 0o750);
    assert_eq!(conflict(&held, "dir"), Some(Conflict::Modified));
    commit_all(&held);
    assert_eq!(mode_of(&below), 0o750);
}

/// Where the host was changed after the commit nothing is taken back, and nothing forgotten.
fn in_vain(p: &Place, held: Held) {
    p.program("a", &lines(&[(3, "first"), (20, "second"), (35, "third")]));
    let set = scan(&held);
    let mut chosen = Selection::new();
    let mut hunks = held.hunks(&set.changes[at(&set, "a")]).unwrap();
    hunks.truncate(2);
    chosen.take(at(&set, "a"), Take::Hunks(hunks));
    commit(&held, &set, &chosen);
    let edited = lines(&[(3, "first"), (20, "second"), (39, "of the host")]);
    p.host("a", &edited);
    assert_eq!(held.undo().unwrap().left.len(), 1);
    assert_eq!(conflict(&held, "a"), Some(Conflict::Modified));
    commit_all(&held);
    assert_eq!(p.read("a"), edited);
}

/// What the host changed between two undos is its own.
fn twice(p: &Place, held: Held) {
    p.program("a", "of the program\n");
    p.program("b", "of the program\n");
    commit_all(&held);
    p.host("a", "of the host\n");
    assert_eq!(held.undo().unwrap().left.len(), 1);
    assert_eq!(p.read("b"), lines(&[]));
    p.host("b", "of the host\n");
    assert_eq!(held.undo().unwrap().left.len(), 2);
    assert_eq!(conflict(&held, "b"), Some(Conflict::Modified));
    commit_all(&held);
    assert_eq!(p.read("b"), "of the host\n");
}

/// What a later run made stays in the workspace, and the host has what it had.
fn after_another_run(p: &Place, held: Held) {
    for copy in [false, true] {
        p.program("a", "of the program\n");
        p.program("new", "of the program\n");
        let set = scan(&held);
        let options = CommitOptions { copy, ..CommitOptions::default() };
        held.commit(&set, &Selection::all(&set), &options).unwrap();
        held.snapshot(&SnapshotOptions::default()).unwrap();
        p.program("a", "of the program, later\n");
        p.program("new", "of the program, later\n");
        let undone = held.undo().unwrap();
        assert!(undone.left.is_empty() && undone.steps == 2, "{copy}: {undone:?}");
        assert_eq!(p.read("a"), lines(&[]));
        assert!(!p.root.join("new").exists());
        let set = scan(&held);
        for (path, kind) in [("a", ChangeKind::Modified), ("new", ChangeKind::Added)] {
            let change = &set.changes[at(&set, path)];
            assert_eq!((change.kind, change.conflict), (kind, None), "{copy} {path}");
            assert_eq!(fs::read_to_string(p.upper.join(path)).unwrap(), "of the program, later\n");
        }
    }
}

/// What the host did to a directory after the commit stays, and is said.
fn directory(p: &Place, held: Held) {
    fs::create_dir_all(p.upper.join("dir")).unwrap();
    fs::set_permissions(p.upper.join("dir"), fs::Permissions::from_mode(0o700)).unwrap();
    p.program("dir/c", "of the program\n");
    commit_all(&held);
    let flags = XattrFlags::empty();
    rustix::fs::setxattr(p.root.join("dir"), "user.host", b"mine", flags).unwrap();
    let undone = held.undo().unwrap();
    assert_eq!(undone.left.len(), 1, "{undone:?}");
    assert_eq!(p.read("dir/c"), lines(&[]));
    let mut value = [0_u8; 8];
    let length = rustix::fs::getxattr(p.root.join("dir"), "user.host", &mut value).unwrap();
    assert_eq!(&value[..length], b"mine");
}

/// Nothing is begun that cannot go on.
fn gone(p: &Place, held: Held) {
    p.program("a", "of the program\n");
    commit_all(&held);
    fs::rename(&p.root, p.dir.join("moved")).unwrap();
    assert_eq!(held.undo().unwrap_err().kind, ErrorKind::Gone);
    assert!(held.resume().unwrap().is_none(), "it is half done");
    fs::rename(p.dir.join("moved"), &p.root).unwrap();
    assert_eq!(held.undo().unwrap().steps, 1);
    assert_eq!(p.read("a"), lines(&[]));
}

//! Uppers as no program's own writes leave them: a commit stays inside and the list shows the truth.

mod kinds;
mod marks;
mod names;

use crate::{dump, ops, say};
use rustix::fs::{CWD, FileType, Mode, XattrFlags};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use swathe_workspace::diff::DiffOptions;
use swathe_workspace::{
    ChangeKind, Changeset, CommitOptions, Conflict, Held, Limits, Mark, New, NewRoot, ScanOptions,
    Selection, Sensitive, SnapshotOptions, Store, Take,
};

/// Where a case works.
struct Place {
    root: PathBuf,
    upper: PathBuf,
    outside: PathBuf,
}

/// What the list has to say of a path.
enum Says {
    Mark(&'static [u8], Mark),
    Unmarked(&'static [u8]),
    Kind(&'static [u8], ChangeKind),
    Conflict(&'static [u8], Conflict),
    Odd(&'static [u8]),
    Nothing,
}

use Says::{Conflict as Clash, Kind, Mark as Marked, Nothing, Odd, Unmarked};

struct Case {
    name: &'static str,
    /// Whether only root can make it.
    root: bool,
    make: fn(&Place),
    says: Vec<Says>,
    /// Paths that the host must have afterwards, and must not have.
    there: Vec<&'static [u8]>,
    gone: Vec<&'static [u8]>,
}

pub fn run(dir: &Path) {
    let is_root = rustix::process::geteuid().is_root();
    let mut count = 0;
    for case in cases() {
        if case.root && !is_root {
            continue;
        }
        for copy in [false, true] {
            let place = dir.join("case");
            one(&case, &place, copy);
            crate::model::wipe(&place);
        }
        count += 1;
    }
    say(&format!("{count} hostile uppers"));
}

fn one(case: &Case, dir: &Path, copy: bool) {
    let (place, store, held) = set_up(dir);
    (case.make)(&place);
    let outside = dump::tree(&place.outside);
    let sensitive = Sensitive { anywhere: vec![PathBuf::from(".envrc")], absolute: Vec::new() };
    let options = ScanOptions { sensitive, ..ScanOptions::default() };
    let set = held.scan(&options).unwrap_or_else(|e| panic!("{}: {e}", case.name));
    for says in &case.says {
        assert!(is_said(&set, says), "{}: {:?} is not said: {set:?}", case.name, words(says));
    }
    shown(case, &held, &set);
    let mut all = Selection::new();
    (0..set.changes.len()).for_each(|index| all.take(index, Take::Whole));
    let options = CommitOptions { copy, ..CommitOptions::default() };
    held.commit(&set, &all, &options).unwrap_or_else(|e| panic!("{}: commit: {e}", case.name));
    assert_eq!(dump::tree(&place.outside), outside, "{}: something outside changed", case.name);
    harmless(case, &place.root);
    let at = |path: &[u8]| place.root.join(OsStr::from_bytes(path));
    for path in &case.there {
        assert!(at(path).symlink_metadata().is_ok(), "{}: {:?}", case.name, at(path));
    }
    for path in &case.gone {
        assert!(at(path).symlink_metadata().is_err(), "{}: {:?}", case.name, at(path));
    }
    held.discard_all().unwrap_or_else(|e| panic!("{}: discard: {e}", case.name));
    assert_eq!(dump::tree(&place.outside), outside, "{}: something outside changed", case.name);
    assert!(held.scan(&ScanOptions::default()).unwrap().changes.is_empty(), "{}", case.name);
    held.remove(&store).unwrap_or_else(|e| panic!("{}: remove: {e}", case.name));
}

fn set_up(dir: &Path) -> (Place, Store, Held) {
    let (root, outside) = (dir.join("root"), dir.join("outside"));
    fs::create_dir_all(root.join("dir/sub")).unwrap();
    fs::create_dir_all(outside.join("sub")).unwrap();
    for file in ["file", "dir/a", "dir/sub/b"] {
        fs::write(root.join(file), "of the host\n").unwrap();
    }
    fs::write(outside.join("a"), "outside\n").unwrap();
    symlink("../outside", root.join("link")).unwrap();
    ops::age(&root);
    let store = Store::open(&dir.join("store")).unwrap();
    let new_root = NewRoot { path: root.clone(), candidates: Vec::new() };
    let (roots, limits) = (vec![new_root], Limits::default());
    let held = store.create(&New { id: "w", named: true, run: "test", roots, limits }).unwrap();
    held.snapshot(&SnapshotOptions::default()).unwrap();
    let upper = held.about().roots[0].upper();
    (Place { root, upper, outside }, store, held)
}

fn words(says: &Says) -> String {
    match says {
        Marked(path, mark) => format!("{} {mark:?}", path.escape_ascii()),
        Unmarked(path) => format!("{} without a mark", path.escape_ascii()),
        Kind(path, kind) => format!("{} {kind:?}", path.escape_ascii()),
        Clash(path, conflict) => format!("{} {conflict:?}", path.escape_ascii()),
        Odd(path) => format!("{} odd", path.escape_ascii()),
        Nothing => "no change".to_owned(),
    }
}

fn is_said(set: &Changeset, says: &Says) -> bool {
    let at = |path: &[u8]| set.find(0, path).and_then(|index| set.changes.get(index));
    match says {
        Marked(path, mark) => at(path).is_some_and(|change| change.marks.contains(mark)),
        Unmarked(path) => at(path).is_some_and(|change| change.marks.is_empty()),
        Kind(path, kind) => at(path).is_some_and(|change| change.kind == *kind),
        Clash(path, conflict) => at(path).is_some_and(|c| c.conflict == Some(*conflict)),
        Odd(path) => set.oddities.iter().any(|odd| odd.path.0 == *path),
        Nothing => set.changes.is_empty(),
    }
}

/// Neither the list nor the differences can steer a terminal.
fn shown(case: &Case, held: &Held, set: &Changeset) {
    let mut out = serde_json::to_vec(set).unwrap();
    for change in &set.changes {
        held.diff(change, &DiffOptions::default(), &mut out).unwrap();
    }
    let text = String::from_utf8(out).unwrap_or_else(|_| panic!("{}: not UTF-8", case.name));
    let steers = |c: char| c.is_control() && c != '\n' && c != '\t' || c == '\u{202e}';
    assert!(!text.chars().any(steers), "{}: {text:?}", case.name);
}

/// Nothing that a commit refuses or takes away is on the host.
fn harmless(case: &Case, at: &Path) {
    let meta = at.symlink_metadata().unwrap();
    let kind = meta.file_type();
    assert!(!kind.is_char_device() && !kind.is_block_device(), "{}: {at:?}", case.name);
    assert!(!kind.is_file() || meta.mode() & 0o6000 == 0, "{}: {at:?}", case.name);
    let mut list = [0_u8; 4096];
    let len = rustix::fs::llistxattr(at, &mut list[..]).unwrap_or(0);
    for name in list[..len].split(|b| *b == 0) {
        let bad = name.starts_with(b"user.overlay.")
            || name.starts_with(b"trusted.")
            || name == b"security.capability";
        assert!(!bad, "{}: {at:?} has {}", case.name, name.escape_ascii());
    }
    if kind.is_dir() {
        for entry in fs::read_dir(at).unwrap() {
            harmless(case, &entry.unwrap().path());
        }
    }
}

fn attribute(path: PathBuf, name: &str, value: &[u8]) {
    rustix::fs::lsetxattr(path, name, value, XattrFlags::empty()).unwrap();
}

fn whiteout(path: PathBuf) {
    rustix::fs::mknodat(CWD, path, FileType::CharacterDevice, Mode::empty(), 0).unwrap();
}

fn file(path: PathBuf) {
    fs::write(path, "of the program\n").unwrap();
}

fn directory(path: PathBuf) {
    fs::create_dir(path).unwrap();
}

fn chmod(path: PathBuf, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Makes so many directories, one in the other, without a path that the kernel would refuse.
fn deep(upper: &Path, levels: usize) {
    let flags = rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::CLOEXEC;
    let mut at = rustix::fs::open(upper, flags, Mode::empty()).unwrap();
    for _ in 0..levels {
        rustix::fs::mkdirat(&at, "deep-directory", Mode::from_raw_mode(0o755)).unwrap();
        at = rustix::fs::openat(&at, "deep-directory", flags, Mode::empty()).unwrap();
    }
}

fn case(name: &'static str, make: fn(&Place), says: Vec<Says>) -> Case {
    Case { name, root: false, make, says, there: Vec::new(), gone: Vec::new() }
}

impl Case {
    fn root(mut self) -> Self {
        self.root = true;
        self
    }

    fn there(mut self, path: &'static [u8]) -> Self {
        self.there.push(path);
        self
    }

    fn gone(mut self, path: &'static [u8]) -> Self {
        self.gone.push(path);
        self
    }
}

fn cases() -> Vec<Case> {
    let mut all = marks::whiteouts();
    all.extend(marks::attributes());
    all.extend(kinds::modes_and_kinds());
    all.extend(kinds::links());
    all.extend(names::names());
    all
}

//! What cannot be read, what cannot be ended, and what is removed while others look.

use crate::cases::{Place, Test, at, commit, create, scan};
use crate::ops;
use rustix::fs::XattrFlags;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::PathBuf;
use swathe_workspace::{ErrorKind, GcOptions, Held, Mark, Selection, SnapshotOptions, State, Take};

pub const ALL: [(&str, u64, Test); 4] = [
    ("unreadable", 0, unreadable),
    ("interrupted", 0, interrupted),
    ("removal", 0, removal),
    ("removal while others look", 0, removal_beside),
];

/// What its user cannot look into is marked and refused; the rest can be committed, and all of it
/// discarded.
fn unreadable(p: &Place, held: Held) {
    let user = !rustix::process::geteuid().is_root();
    let chmod = |path: PathBuf, mode: u32| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let attribute = |name: &str, attribute: &str| {
        let flags = XattrFlags::empty();
        rustix::fs::lsetxattr(p.upper.join(name), attribute, b"y", flags).unwrap();
    };
    for name in ["closed", "gone", "entered"] {
        fs::create_dir(p.root.join(name)).unwrap();
        fs::write(p.root.join(name).join("f"), "of the host\n").unwrap();
    }
    held.snapshot(&SnapshotOptions::default()).unwrap();
    // Directories made again, files, and directories that are new.
    for (name, mode) in [("dir", 0), ("write", 0o300), ("new/below", 0)] {
        fs::create_dir_all(p.upper.join(name)).unwrap();
        attribute(name, if name == "dir" { "user.overlay.opaque" } else { "user.x" });
        chmod(p.upper.join(name), mode);
    }
    for name in ["b", "added"] {
        p.program(name, "of the program\n");
        attribute(name, "user.x");
        chmod(p.upper.join(name), 0);
    }
    // Directories of the host's that are closed: made again, deleted, and written to.
    p.program("closed/g", "of the program\n");
    attribute("closed", "user.overlay.opaque");
    p.program("entered/g", "of the program\n");
    let (mode, kind) = (rustix::fs::Mode::empty(), rustix::fs::FileType::CharacterDevice);
    rustix::fs::mknodat(rustix::fs::CWD, p.upper.join("gone"), kind, mode, 0).unwrap();
    ["closed", "gone", "entered"].iter().for_each(|name| chmod(p.root.join(name), 0));
    p.program("a", "of the program\n");
    p.program("new/file", "of the program\n");
    let refused = ["added", "b", "closed", "dir", "entered", "gone", "new/below", "write"];
    let check = || {
        let set = scan(&held);
        for path in refused.iter().filter(|_| user) {
            let change = &set.changes[at(&set, path)];
            assert!(change.marks.contains(&Mark::Unreadable), "{change:?}");
        }
        set
    };
    let set = check();
    if user {
        let mut all = Selection::new();
        (0..set.changes.len()).for_each(|index| all.take(index, Take::Whole));
        assert_eq!(commit(&held, &set, &all).left.len(), refused.len());
        for path in ["a", "new/file"] {
            assert_eq!(p.read(path), "of the program\n", "{path}");
        }
        held.undo().unwrap();
        commit(&held, &check(), &all);
        held.snapshot(&SnapshotOptions::default()).unwrap();
        check();
    }
    for path in refused {
        let set = scan(&held);
        let mut chosen = Selection::new();
        assert!(chosen.take_path(&set, 0, path.as_bytes()), "{path}");
        held.discard(&set, &chosen, false).unwrap_or_else(|e| panic!("{path}: {e}"));
        assert!(scan(&held).find(0, path.as_bytes()).is_none(), "{path} is still there");
    }
    // The top itself.
    p.program("b", "of the program\n");
    chmod(p.upper.clone(), 0);
    let set = scan(&held);
    assert!(!user || set.changes.len() == 1 && set.changes[0].is_refused(), "{set:?}");
    held.snapshot(&SnapshotOptions::default()).unwrap();
    let mut chosen = Selection::new();
    chosen.take(at(&set, ""), Take::Whole);
    held.discard(&set, &chosen, false).unwrap();
    at(&scan(&held), "b");
    chmod(p.upper.clone(), 0);
    held.discard_all().unwrap();
    assert!(scan(&held).changes.is_empty());
    assert_eq!(fs::metadata(p.root.join("gone")).unwrap().mode() & 0o777, 0, "it was opened");
    ["closed", "gone", "entered"].iter().for_each(|name| chmod(p.root.join(name), 0o755));
}

/// Nothing is begun that cannot go on, and what can never be ended can be removed.
fn interrupted(p: &Place, held: Held) {
    let own = held.path().to_owned();
    let open = |task: &str| {
        let head = format!(
            "{{\"version\":1,\"task\":\"{task}\",\"id\":\"0123456789abcdef\",\"time\":1,\"saved\":true}}"
        );
        fs::write(own.join("journal"), format!("{head}\n{{\"planned\":0}}\n")).unwrap();
    };
    p.program("a", "x\n");
    let moved = p.dir.join("moved");
    let away = || fs::rename(&p.root, &moved).unwrap();
    away();
    assert_eq!(held.discard_all().unwrap_err().kind, ErrorKind::Gone);
    fs::create_dir(&p.root).unwrap();
    assert_eq!(held.discard_all().unwrap_err().kind, ErrorKind::Gone);
    assert_eq!(held.gives_up().unwrap(), None, "a discard was begun");
    // A commit is ended or taken back as long as that can be done.
    open("commit");
    assert!(held.resume().is_err());
    assert!(held.gives_up().unwrap().is_some_and(|text| text.contains("neither be ended")));
    fs::remove_dir(&p.root).unwrap();
    assert!(held.gives_up().unwrap().is_some());
    fs::rename(&moved, &p.root).unwrap();
    assert_eq!(held.gives_up().unwrap_err().kind, ErrorKind::HalfDone);
    // A discard changes nothing but the workspace.
    open("discard-all");
    assert!(held.gives_up().unwrap().is_some());
    open("commit");
    assert_eq!(held.remove(&p.store).unwrap_err().kind, ErrorKind::HalfDone);
    let held = p.store.find("w").unwrap().hold().unwrap();
    away();
    held.remove(&p.store).unwrap();
    assert!(!own.exists());
}

/// Who found a workspace that was removed since does not lock it, also where one of its name is there.
fn removal(p: &Place, held: Held) {
    let found = || p.store.find("w").unwrap();
    let (early, late) = (found(), found());
    held.remove(&p.store).unwrap();
    assert_eq!(early.hold().unwrap_err().kind, ErrorKind::Gone);
    assert!(p.store.list().unwrap().is_empty());
    let held = create(&p.store, "w", &p.root, true).unwrap();
    assert!(matches!(late.state(), State::Broken(_)));
    assert_eq!(late.hold().unwrap_err().kind, ErrorKind::Gone);
    // A look makes no lock.
    fs::remove_file(held.path().join("lock")).unwrap();
    assert!(matches!(held.state(), State::Broken(_)));
    assert!(!held.path().join("lock").exists());
    held.remove(&p.store).unwrap();
    // What was just being made or removed goes when it is old, and nobody holds it.
    let part = p.dir.join("store/.part-x");
    fs::create_dir(&part).unwrap();
    fs::set_permissions(&part, fs::Permissions::from_mode(0o700)).unwrap();
    let lock = fs::File::create(part.join("lock")).unwrap();
    let collected = || p.store.gc(&GcOptions::default()).unwrap().removed;
    assert!(collected().is_empty(), "it is young");
    ops::age(&part);
    lock.lock().unwrap();
    assert!(collected().is_empty(), "it is in use");
    drop(lock);
    assert_eq!(collected(), [".part-x"]);
    assert!(!part.exists() && p.store.list().unwrap().is_empty());
}

/// Others that list workspaces are in nobody's way, and see whole ones.
fn removal_beside(p: &Place, held: Held) {
    held.remove(&p.store).unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    let order = std::sync::atomic::Ordering::Relaxed;
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !done.load(order) {
                    for listed in p.store.list().unwrap() {
                        let state = listed.state;
                        assert!(!matches!(state, State::Broken(_)), "{state:?}");
                    }
                }
            });
        }
        let made = || {
            for _ in 0..100 {
                drop(create(&p.store, "w", &p.root, true)?);
                p.store.find("w")?.hold()?.remove(&p.store)?;
            }
            Ok::<_, swathe_workspace::Error>(())
        };
        let made = made();
        done.store(true, order);
        made.unwrap();
    });
    assert_eq!(fs::read_dir(p.dir.join("store")).unwrap().count(), 0);
}

//! Workspaces that are counted, looked at and collected while others are at work, or where half of
//! them is not there.

use crate::cases::{Place, Test, at, commit, create, scan};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicBool, Ordering};
use swathe_workspace::{ErrorKind, GcOptions, Held, ScanOptions, Selection, SnapshotOptions, Take};

pub const ALL: [(&str, u64, Test); 5] = [
    ("usage", 0, usage),
    ("looked at while it is written to", 0, live),
    ("a run in a half committed one", 0, half_committed),
    ("collection of what cannot be seen", 0, collection_unseen),
    ("hunks and modes", 0, hunks_and_modes),
];

/// Everything counts, however many directories lie beside each other, and however deep.
fn usage(p: &Place, held: Held) {
    for number in 0..600 {
        let dir = p.upper.join(format!("beside/{number}"));
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("f"), "x").unwrap();
    }
    assert_eq!(held.usage().unwrap().inodes, 1201);
    // Deeper than descriptors, and than the kernel takes a path.
    let mut at = rustix::fs::openat(
        rustix::fs::CWD,
        &p.upper,
        rustix::fs::OFlags::PATH,
        rustix::fs::Mode::empty(),
    )
    .unwrap();
    for _ in 0..1200 {
        rustix::fs::mkdirat(&at, "deeper", rustix::fs::Mode::RWXU).unwrap();
        let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::DIRECTORY;
        at = rustix::fs::openat(&at, "deeper", flags, rustix::fs::Mode::empty()).unwrap();
    }
    assert_eq!(held.usage().unwrap().inodes, 2401);
    held.discard_all().unwrap();
    assert_eq!(held.usage().unwrap().inodes, 0);
}

/// What vanishes under a look, or becomes something else, is no error of that look.
fn live(p: &Place, held: Held) {
    let stop = AtomicBool::new(false);
    let looked = p.store.find("w").unwrap();
    let upper = p.upper.clone();
    fs::create_dir(upper.join("here")).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                for name in ["here/a", "here/b", "here/c"] {
                    let path = upper.join(name);
                    fs::create_dir_all(path.join("below")).unwrap();
                    fs::write(path.join("below/f"), "x").unwrap();
                    fs::remove_dir_all(&path).unwrap();
                    fs::write(&path, "x").unwrap();
                    fs::remove_file(&path).unwrap();
                    std::os::unix::fs::symlink("x", &path).unwrap();
                    fs::remove_file(&path).unwrap();
                }
            }
        });
        let tried = (0..400).map(|_| looked.scan(&ScanOptions::default()));
        let failed = tried.filter_map(Result::err).next();
        stop.store(true, Ordering::Relaxed);
        assert!(failed.is_none(), "{failed:?}");
    });
    assert!(looked.scan(&ScanOptions::default()).unwrap().live);
    drop(held);
}

/// A commit that was interrupted goes on with what was looked at: no run writes to it before.
fn half_committed(p: &Place, held: Held) {
    p.program("a", "of the program\n");
    fs::write(held.path().join("journal"), "").unwrap();
    let error = held.snapshot(&SnapshotOptions::default()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::HalfDone, "{error}");
    fs::remove_file(held.path().join("journal")).unwrap();
    held.snapshot(&SnapshotOptions::default()).unwrap();
}

/// A collection takes nothing of which it does not know that nobody needs it.
fn collection_unseen(p: &Place, held: Held) {
    drop(held);
    let gc = || p.store.gc(&GcOptions::default()).unwrap();
    // Nothing but the directory itself is changed.
    let run = create(&p.store, "mode", &p.root, false).unwrap();
    let upper = run.about().roots[0].upper();
    let mode = fs::metadata(&upper).unwrap().permissions().mode();
    fs::set_permissions(&upper, fs::Permissions::from_mode(mode ^ 0o050)).unwrap();
    assert_eq!(scan(&run).changes.len(), 1);
    assert!(run.may_hold_changes());
    drop(run);
    assert_eq!(gc().removed, [""; 0]);
    let run = p.store.find("mode").unwrap().hold().unwrap();
    let set = scan(&run);
    commit(&run, &set, &Selection::all(&set));
    run.undo().unwrap();
    run.discard_all().unwrap();
    assert!(!run.may_hold_changes());
    drop(run);
    assert_eq!(gc().removed, ["mode"]);
    // A copy that a run worked on lies beside the upper.
    let run = create(&p.store, "copy", &p.root, false).unwrap();
    let copy = run.about().roots[0].upper().with_file_name("copy");
    fs::create_dir(&copy).unwrap();
    drop(run);
    assert_eq!(gc().removed, [""; 0]);
    fs::remove_dir(&copy).unwrap();
    assert_eq!(gc().removed, ["copy"]);
    // A disk that is not there has the directory and its changes.
    let (disk, away) = (p.dir.join("disk"), p.dir.join("away"));
    fs::create_dir_all(disk.join("root")).unwrap();
    fs::create_dir(disk.join("areas")).unwrap();
    fs::set_permissions(disk.join("areas"), fs::Permissions::from_mode(0o700)).unwrap();
    let root =
        swathe_workspace::NewRoot { path: disk.join("root"), candidates: vec![disk.join("areas")] };
    let new = swathe_workspace::New {
        id: "disk",
        named: false,
        run: "test",
        roots: vec![root],
        limits: swathe_workspace::Limits::default(),
    };
    let run = p.store.create(&new).unwrap();
    fs::write(run.about().roots[0].upper().join("f"), "x").unwrap();
    drop(run);
    fs::rename(&disk, &away).unwrap();
    assert_eq!(gc().removed, [""; 0]);
    fs::rename(&away, &disk).unwrap();
    let run = p.store.find("disk").unwrap().hold().unwrap();
    at(&scan(&run), "f");
    // But a removal that was interrupted is ended.
    let area = run.about().roots[0].area.as_path().to_owned();
    drop(run);
    fs::remove_dir_all(area).unwrap();
    assert_eq!(gc().removed, ["disk"]);
}

/// Parts of a file do not bring its mode along, the last one does.
fn hunks_and_modes(p: &Place, held: Held) {
    use crate::cases::lines;
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let host = mode(&p.root.join("a"));
    p.program("a", &lines(&[(3, "first"), (30, "second")]));
    fs::set_permissions(p.upper.join("a"), fs::Permissions::from_mode(0o711)).unwrap();
    let set = scan(&held);
    let mut hunks = held.hunks(&set.changes[at(&set, "a")]).unwrap();
    let mut chosen = Selection::new();
    chosen.take(at(&set, "a"), Take::Hunks(vec![hunks.remove(1)]));
    commit(&held, &set, &chosen);
    assert_eq!(p.read("a"), lines(&[(30, "second")]));
    assert_eq!(mode(&p.root.join("a")), host);
    let set = scan(&held);
    assert!(set.changes[at(&set, "a")].parts.mode);
    held.undo().unwrap();
    assert_eq!((p.read("a"), mode(&p.root.join("a"))), (lines(&[]), host));
    let set = scan(&held);
    commit(&held, &set, &Selection::all(&set));
    assert_eq!(mode(&p.root.join("a")), 0o711);
}

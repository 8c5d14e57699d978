//! How long things take with many files, beside `cp -a` and rsync.

use crate::say;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;
use swathe_workspace::diff::DiffOptions;
use swathe_workspace::{
    CommitOptions, Held, Limits, New, NewRoot, ScanOptions, Selection, SnapshotOptions, Store,
};

/// With a quarter, a half and all of so many files. `other` is on another file system.
pub fn run(bwrap: &Path, dir: &Path, other: &Path, files: usize) {
    for files in [files / 4, files / 2, files] {
        let place = dir.join(format!("m{files}"));
        say(&format!("{files} files"));
        one(bwrap, &place, files);
        say(&format!("{files} files, the workspace on another file system"));
        apart(bwrap, &place, &other.join(format!("m{files}")), files);
    }
}

/// Says how long it takes, and how much of a processor it and its children take: on a machine that
/// others use only the second can be compared.
fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let (start, used) = (Instant::now(), used());
    let result = work();
    let (all, own) = (start.elapsed().as_secs_f64(), self::used() - used);
    say(&format!("  {what}: {all:.2} s, processor {own:.2} s"));
    result
}

/// Processor time of the process and the children it has waited for, in seconds.
fn used() -> f64 {
    let text = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = text.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: f64 = fields[11..15].iter().map(|field| field.parse::<f64>().unwrap()).sum();
    ticks / 100.0
}

fn fill(root: &Path, files: usize, text: &str) {
    for file in 0..files {
        let dir = root.join(format!("d{}", file / 100));
        if file.is_multiple_of(100) && !dir.exists() {
            fs::create_dir(&dir).unwrap();
        }
        fs::write(dir.join(format!("f{file}")), format!("{text} {file}\n").repeat(100)).unwrap();
    }
}

fn sh(text: &str) {
    assert!(Command::new("sh").arg("-c").arg(text).status().unwrap().success(), "{text}");
}

fn changed(bwrap: &Path, root: &Path, store: &Path) -> Held {
    let root = root.to_owned();
    let store = Store::open(store).unwrap();
    let new_root = NewRoot { path: root.clone(), candidates: Vec::new() };
    let (roots, limits) = (vec![new_root], Limits::default());
    let held = store.create(&New { id: "w", named: true, run: "test", roots, limits }).unwrap();
    timed("snapshot", || held.snapshot(&SnapshotOptions::default()).unwrap());
    let area = &held.about().roots[0];
    let script = format!(
        "cd {} && for d in d*; do for f in $d/*; do echo more >>$f; done; done; sync -f .",
        root.display()
    );
    let run = Command::new(bwrap)
        .args(["--dev-bind", "/", "/", "--overlay-src"])
        .arg(&root)
        .arg("--overlay")
        .args([area.upper(), area.work(), root.clone()])
        .args(["sh", "-c", &script])
        .status()
        .unwrap();
    assert!(run.success());
    held
}

fn one(bwrap: &Path, place: &Path, files: usize) {
    let root = place.join("root");
    fs::create_dir_all(&root).unwrap();
    fill(&root, files, "a line of the host, number");
    let held = changed(bwrap, &root, &place.join("store"));
    let set = timed("scan, all modified", || held.scan(&ScanOptions::default()).unwrap());
    assert!(set.changes.len() >= files);
    let mut out = Vec::new();
    timed("diff", || {
        for change in &set.changes {
            held.diff(change, &DiffOptions::default(), &mut out).unwrap();
        }
    });
    let upper = held.about().roots[0].upper();
    let (p, u) = (place.display(), upper.display());
    sh(&format!("cp -a {}/. {p}/for-rsync; sync -f {p}", root.display()));
    timed("cp -a of the changed files", || sh(&format!("cp -a {u} {p}/copy")));
    timed("and sync", || sh(&format!("sync -f {p}")));
    timed("rsync of the changed files", || sh(&format!("rsync -a {u}/ {p}/for-rsync/")));
    timed("and sync", || sh(&format!("sync -f {p}")));
    let all = Selection::all(&set);
    let copy = CommitOptions { copy: true, most_saved: 1 << 40, ..CommitOptions::default() };
    timed("commit by copying", || held.commit(&set, &all, &copy).unwrap());
    timed("undo", || held.undo().unwrap());
    let set = held.scan(&ScanOptions::default()).unwrap();
    let all = Selection::all(&set);
    let moving = CommitOptions { most_saved: 1 << 40, ..CommitOptions::default() };
    timed("commit by renaming", || held.commit(&set, &all, &moving).unwrap());
    timed("undo", || held.undo().unwrap());
    timed("discard", || held.discard_all().unwrap());
    fs::create_dir(upper.join("new")).unwrap();
    fill(&upper.join("new"), files, "a new line, number");
    let set = timed("scan, all new", || held.scan(&ScanOptions::default()).unwrap());
    sh(&format!("sync -f {p}"));
    timed("cp -a", || sh(&format!("cp -a {u}/new {p}/new-copy")));
    timed("and sync", || sh(&format!("sync -f {p}")));
    timed("commit by copying", || held.commit(&set, &Selection::all(&set), &copy).unwrap());
    timed("undo", || held.undo().unwrap());
    let set = held.scan(&ScanOptions::default()).unwrap();
    timed("commit by renaming", || held.commit(&set, &Selection::all(&set), &moving).unwrap());
    drop(held);
    crate::model::wipe(place);
}

/// The same where nothing can be renamed.
fn apart(bwrap: &Path, place: &Path, store: &Path, files: usize) {
    let root = place.join("root");
    fs::create_dir_all(&root).unwrap();
    fill(&root, files, "a line of the host, number");
    let held = changed(bwrap, &root, store);
    let set = timed("scan, all modified", || held.scan(&ScanOptions::default()).unwrap());
    let p = place.display();
    let upper = held.about().roots[0].upper();
    timed("cp -a of the changed files", || sh(&format!("cp -a {} {p}/copy", upper.display())));
    let all = Selection::all(&set);
    let options = CommitOptions { most_saved: 1 << 40, ..CommitOptions::default() };
    timed("commit", || held.commit(&set, &all, &options).unwrap());
    timed("undo", || held.undo().unwrap());
    let set = held.scan(&ScanOptions::default()).unwrap();
    let options = CommitOptions { most_saved: 0, ..options };
    let all = Selection::all(&set);
    timed("commit, old versions not kept", || held.commit(&set, &all, &options).unwrap());
    drop(held);
    crate::model::wipe(place);
    crate::model::wipe(store);
}

//! A commit, an undo and a discard are killed at each system call, or the call fails with ENOSPC.
//! Afterwards the tree is the old one, the new one, or comes to be one of them by what the messages
//! tell the user to do; nothing is lost, nothing outside is touched, and nothing is left over.

use crate::{dump, ops, say};
use rustix::fs::{CWD, FileType, Mode, XattrFlags};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use swathe_fault::sys::{self, CallStop, Pid, Resume, Waited};
use swathe_workspace::{
    Change, ChangeKind, Changeset, CommitOptions, GcOptions, Held, Limits, New, NewRoot,
    ScanOptions, Selection, SnapshotOptions, Store, Take,
};

/// What is interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Task {
    Commit,
    Undo,
    Discard,
    DiscardAll,
}

/// In which setting.
#[derive(Debug, Clone, Copy)]
struct Case {
    task: Task,
    /// The workspace is on another file system than the host's directory.
    apart: bool,
    /// Files are copied.
    copy: bool,
    /// Only a part is chosen, and only one hunk of a file.
    part: bool,
    /// Old versions are kept.
    kept: bool,
}

const CASES: [Case; 12] = [
    Case { task: Task::Commit, apart: false, copy: false, part: false, kept: true },
    Case { task: Task::Commit, apart: false, copy: true, part: false, kept: true },
    Case { task: Task::Commit, apart: true, copy: false, part: false, kept: true },
    Case { task: Task::Commit, apart: false, copy: false, part: true, kept: true },
    Case { task: Task::Commit, apart: false, copy: false, part: false, kept: false },
    Case { task: Task::Commit, apart: true, copy: false, part: false, kept: false },
    Case { task: Task::Undo, apart: false, copy: false, part: false, kept: true },
    Case { task: Task::Undo, apart: true, copy: false, part: false, kept: true },
    Case { task: Task::Undo, apart: false, copy: false, part: true, kept: true },
    Case { task: Task::Discard, apart: false, copy: false, part: true, kept: true },
    Case { task: Task::Discard, apart: false, copy: false, part: false, kept: true },
    Case { task: Task::DiscardAll, apart: false, copy: false, part: false, kept: true },
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Kill,
    NoSpace,
}

type Tree = BTreeMap<String, String>;
type Named = Vec<(Vec<u8>, ChangeKind, Option<u32>)>;

/// Every `step`th call of every case, below two directories on different file systems.
pub fn run(dir: &Path, other: &Path, step: usize) {
    let mut points = 0;
    for (number, case) in CASES.iter().enumerate() {
        let wanted = Wanted::find(case, dir, other);
        let mut own = 0;
        for fault in [Fault::Kill, Fault::NoSpace] {
            let mut call = number % step;
            loop {
                let setting = Setting::make(case, dir, other);
                let hit = setting.strike(case, fault, call);
                setting.check(case, &wanted, &format!("{case:?} {fault:?} at call {call}"), call);
                setting.wipe();
                if !hit {
                    break;
                }
                own += 1;
                call += step;
            }
        }
        say(&format!("{case:?}: {own} points"));
        points += own;
    }
    say(&format!("{points} points"));
}

/// What is right.
struct Wanted {
    old: Tree,
    new: Tree,
    before: Named,
    after: Named,
}

impl Wanted {
    fn find(case: &Case, dir: &Path, other: &Path) -> Self {
        let setting = Setting::make(&Case { task: Task::Commit, ..*case }, dir, other);
        let old = dump::tree(&setting.root);
        let held = setting.hold();
        let before = named(&held);
        match case.task {
            Task::Commit | Task::Undo => commit(case, &held),
            Task::Discard | Task::DiscardAll => act(case, &held).unwrap(),
        }
        let (new, after) = (dump::tree(&setting.root), named(&held));
        assert_ne!(before, after);
        drop(held);
        setting.wipe();
        Self { old, new, before, after }
    }
}

/// A directory of the host, a workspace with changes of all sorts, and something outside.
struct Setting {
    place: PathBuf,
    root: PathBuf,
    store: PathBuf,
    outside: Tree,
}

fn write(path: PathBuf, text: &str) {
    fs::write(path, text).unwrap();
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn mark(path: &Path, name: &str, value: &[u8]) {
    rustix::fs::lsetxattr(path, name, value, XattrFlags::empty()).unwrap();
}

fn long(changed: &[usize]) -> String {
    let line = |n: usize| {
        if changed.contains(&n) { format!("changed {n}\n") } else { format!("line {n}\n") }
    };
    (0..60).map(line).collect()
}

impl Setting {
    fn make(case: &Case, dir: &Path, other: &Path) -> Self {
        let place = dir.join("place");
        let store = if case.apart { other.join("store") } else { place.join("store") };
        let root = place.join("root");
        fs::create_dir_all(place.join("outside")).unwrap();
        write(place.join("outside/file"), "outside\n");
        fs::create_dir(&root).unwrap();
        lower(&root);
        ops::age(&place);
        let outside = dump::tree(&place.join("outside"));
        let setting = Self { place, root, store, outside };
        let held = setting.create();
        upper(&held.about().roots[0].upper(), &setting.root);
        if case.task == Task::Undo {
            commit(case, &held);
        }
        setting
    }

    fn create(&self) -> Held {
        let store = Store::open(&self.store).unwrap();
        let root = NewRoot { path: self.root.clone(), candidates: Vec::new() };
        let (roots, limits) = (vec![root], Limits::default());
        let held = store.create(&New { id: "w", named: true, run: "test", roots, limits }).unwrap();
        held.snapshot(&SnapshotOptions::default()).unwrap();
        held
    }

    fn hold(&self) -> Held {
        Store::open(&self.store).unwrap().find("w").unwrap().hold().unwrap()
    }

    /// Does the task in a child with a fault at a call. Whether it made so many calls.
    fn strike(&self, case: &Case, fault: Fault, at: usize) -> bool {
        let (read, write_end) = sys::pipe(0).unwrap();
        let pid = sys::fork().unwrap();
        if pid == 0 {
            sys::wait_byte(read.as_raw_fd());
            let held = self.hold();
            let _ = rustix::process::kill_process(
                rustix::process::getpid(),
                rustix::process::Signal::STOP,
            );
            // What a user does who is told that it is half done is in `check`.
            let failed = act(case, &held).is_err();
            sys::exit_now(i32::from(failed));
        }
        sys::trace_seize(pid).unwrap();
        fs::File::from(write_end).write_all(b"x").unwrap();
        let hit = follow(pid, fault, at);
        if let (Fault::Kill, true) = (fault, hit.is_some()) {
            return true;
        }
        hit.is_some()
    }

    fn check(&self, case: &Case, wanted: &Wanted, what: &str, call: usize) {
        let held = self.hold();
        let is = || dump::tree(&self.root);
        let resumes = call.is_multiple_of(2) || case.task != Task::Commit;
        let state = if resumes {
            held.resume().unwrap_or_else(|e| panic!("{what}: resume fails: {e}")).is_some()
        } else {
            match held.undo() {
                Ok(undone) => {
                    assert!(undone.left.is_empty(), "{what}: {undone:?}");
                    true
                }
                // Nothing was begun, or there is no way back.
                Err(_) => held.resume().unwrap().is_some(),
            }
        };
        let after = named(&held);
        match case.task {
            Task::Commit => {
                let done = is() == wanted.new;
                assert!(!(resumes && state && !done), "{what}: resumed, but not done");
                if !done {
                    dump::same(what, &is(), &wanted.old);
                    assert_eq!(after, wanted.before, "{what}: the changes");
                    commit(case, &held);
                }
                dump::same(what, &is(), &wanted.new);
            }
            Task::Undo => {
                if is() != wanted.old {
                    dump::same(what, &is(), &wanted.new);
                    held.undo().unwrap();
                }
                dump::same(what, &is(), &wanted.old);
                assert_eq!(named(&held), wanted.before, "{what}: the changes");
            }
            Task::Discard | Task::DiscardAll => {
                dump::same(what, &is(), &wanted.old);
                if after != wanted.after {
                    assert_eq!(after, wanted.before, "{what}: the changes");
                    act(case, &held).unwrap();
                }
                assert_eq!(named(&held), wanted.after, "{what}: the changes");
            }
        }
        drop(held);
        dump::same(what, &dump::tree(&self.place.join("outside")), &self.outside);
        self.check_rest(what);
    }

    /// After a collection nothing is left over.
    fn check_rest(&self, what: &str) {
        let store = Store::open(&self.store).unwrap();
        store.gc(&GcOptions { saved_older: None, ..GcOptions::default() }).unwrap();
        let held = self.hold();
        let names = |path: &Path| -> Vec<String> {
            let entries = fs::read_dir(path).unwrap();
            entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
        };
        let known = ["base-0", "last", "lock", "patch-0", "r0", "texts-0", "workspace.json"];
        for name in names(held.path()) {
            assert!(known.contains(&name.as_str()), "{what}: {name} is left");
        }
        let saved = names(&held.path().join("r0/undo"));
        let kept = usize::from(held.saved().unwrap().is_some());
        assert_eq!(saved.len(), kept, "{what}: {saved:?} is left");
    }

    fn wipe(&self) {
        crate::model::wipe(&self.place);
        if self.store.exists() {
            crate::model::wipe(&self.store);
        }
    }
}

/// What lies below.
fn lower(root: &Path) {
    for dir in ["gone/deep", "kept", "was-dir/in", "again/old-dir", "mode", "closed", "opened"] {
        fs::create_dir_all(root.join(dir)).unwrap();
    }
    for file in [
        "same",
        "changed",
        "gone-file",
        "gone/a",
        "gone/deep/b",
        "kept/a",
        "kept/b",
        "was-dir/in/c",
        "was-file",
        "again/a",
        "again/b",
        "again/old-dir/c",
        "closed/a",
        "opened/a",
        "shut",
    ] {
        write(root.join(file), &format!("{file} of the host\n"));
    }
    write(root.join("long"), &long(&[]));
    symlink("same", root.join("link")).unwrap();
    // One that its owner may not write to gets no new parent without more.
    chmod(&root.join("closed"), 0o555);
    chmod(&root.join("opened"), 0o555);
}

/// What the program did.
fn upper(upper: &Path, root: &Path) {
    let whiteout = |name: &str| {
        let mode = Mode::empty();
        rustix::fs::mknodat(CWD, upper.join(name), FileType::CharacterDevice, mode, 0).unwrap();
    };
    for dir in ["new/deeper", "kept", "was-file", "again/old-dir", "mode", "closed", "shut"] {
        fs::create_dir_all(upper.join(dir)).unwrap();
    }
    whiteout("gone-file");
    whiteout("gone");
    whiteout("kept/b");
    for dir in ["new", "was-file", "again", "closed", "shut"] {
        mark(&upper.join(dir), "user.overlay.opaque", b"y");
    }
    for file in
        ["changed", "new-file", "new/a", "new/b", "new/deeper/c", "kept/a", "was-dir", "opened"]
    {
        write(upper.join(file), &format!("{file} of the program\n"));
    }
    for file in ["was-file/x", "again/a", "again/new", "again/old-dir/d", "closed/b", "shut/x"] {
        write(upper.join(file), &format!("{file} of the program\n"));
    }
    write(upper.join("long"), &long(&[2, 50]));
    fs::hard_link(upper.join("new-file"), upper.join("new-name")).unwrap();
    symlink("changed", upper.join("new-link")).unwrap();
    fs::copy(root.join("was-file"), upper.join("renamed")).unwrap();
    mark(&upper.join("new/a"), "user.test", b"value");
    chmod(&upper.join("new/a"), 0o4755);
    chmod(&upper.join("mode"), 0o700);
    chmod(&upper.join("closed"), 0o555);
    chmod(&upper.join("shut"), 0o555);
    let sparse = fs::File::create(upper.join("sparse")).unwrap();
    sparse.set_len(400_000).unwrap();
    for name in ["new/b", "changed", "sparse", "new/deeper/c"] {
        ops::touch(&upper.join(name), 1_000_000_000).unwrap();
    }
    // A part of it stays where nothing can be made.
    chmod(&upper.join("new/deeper"), 0o555);
    chmod(&upper.join("new"), 0o555);
}

fn select(case: &Case, held: &Held, set: &Changeset) -> Result<Selection, swathe_workspace::Error> {
    let mut chosen = Selection::all(set);
    if case.part {
        for path in ["new/b", "again/b", "new-name", "mode"] {
            chosen.leave(set.find(0, path.as_bytes()).unwrap());
        }
        let long = set.find(0, b"long").unwrap();
        let hunks = held.hunks(&set.changes[long])?;
        chosen.take(long, Take::Hunks(vec![hunks[1].clone()]));
    }
    Ok(chosen)
}

fn commit(case: &Case, held: &Held) {
    act(&Case { task: Task::Commit, ..*case }, held).unwrap();
}

fn act(case: &Case, held: &Held) -> Result<(), swathe_workspace::Error> {
    let scan = || held.scan(&ScanOptions::default());
    match case.task {
        Task::Commit => {
            let set = scan()?;
            let most_saved = if case.kept { 1 << 30 } else { 0 };
            let options = CommitOptions { copy: case.copy, most_saved, ..CommitOptions::default() };
            let done = held.commit(&set, &select(case, held, &set)?, &options)?;
            assert!(done.left.is_empty(), "left: {:?}", done.left);
        }
        Task::Undo => {
            held.undo()?;
        }
        Task::Discard => {
            let set = scan()?;
            held.discard(&set, &select(case, held, &set)?, false)?;
        }
        Task::DiscardAll => held.discard_all()?,
    }
    Ok(())
}

fn named(held: &Held) -> Named {
    let set = held.scan(&ScanOptions::default()).unwrap();
    let change = |c: &Change| (c.path.0.clone(), c.kind, c.new.map(|new| new.mode & 0o777));
    let mut all: Named = set.changes.iter().map(change).collect();
    assert!(set.changes.iter().all(|c| c.conflict.is_none()), "a conflict: {set:?}");
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}

/// Follows the child to its end. The call at which the fault came; none: there were fewer.
fn follow(pid: Pid, fault: Fault, at: usize) -> Option<u64> {
    let (mut begun, mut calls, mut hit, mut failing) = (false, 0, None, false);
    loop {
        let Ok(Some((who, what))) = sys::wait_any(true) else { continue };
        assert_eq!(who, pid);
        match what {
            Waited::Exited(code) => {
                assert!(code <= 1, "the child ends with {code}");
                return hit;
            }
            Waited::Signaled(signal) => {
                let memory = [libc::SYS_mmap, libc::SYS_brk, libc::SYS_mremap];
                let excused = hit.is_some_and(|nr| {
                    fault == Fault::Kill || memory.contains(&i64::try_from(nr).unwrap())
                });
                assert!(excused, "the child dies of signal {signal} after {hit:?}");
                return hit;
            }
            Waited::Stopped { signal, event: 0 } if signal == libc::SIGTRAP | 0x80 => {
                match sys::trace_call(pid).unwrap() {
                    CallStop::Entry(nr, _) if begun => {
                        if calls == at {
                            hit = Some(nr);
                            if fault == Fault::Kill {
                                sys::kill(pid, libc::SIGKILL);
                            } else if ![libc::SYS_close, libc::SYS_geteuid]
                                .contains(&i64::try_from(nr).unwrap())
                            {
                                // The first is done whatever it returns, the second cannot fail.
                                sys::trace_suppress(pid).unwrap();
                                failing = true;
                            }
                        }
                        calls += 1;
                    }
                    CallStop::Exit if failing => {
                        sys::trace_fail(pid, libc::ENOSPC).unwrap();
                        failing = false;
                    }
                    _ => {}
                }
                sys::trace_resume(pid, Resume::Syscall, 0);
            }
            Waited::Stopped { signal, .. } if signal == libc::SIGSTOP && !begun => {
                begun = true;
                sys::trace_resume(pid, Resume::Syscall, 0);
            }
            Waited::Stopped { signal, event } => {
                let signal = if event == 0 { signal } else { 0 };
                let how = if begun { Resume::Syscall } else { Resume::Cont };
                sys::trace_resume(pid, how, signal);
            }
        }
    }
}

//! Uppers as no program's own writes leave them: a commit stays inside and the list shows the truth.

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
    Kind(&'static [u8], ChangeKind),
    Conflict(&'static [u8], Conflict),
    Odd(&'static [u8]),
    Nothing,
}

use Says::{Conflict as Clash, Kind, Mark as Marked, Nothing, Odd};

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
    let mut all = whiteouts();
    all.extend(attributes());
    all.extend(modes_and_kinds());
    all.extend(links());
    all.extend(names());
    all
}

fn whiteouts() -> Vec<Case> {
    vec![
        case(
            "whiteout of nothing",
            |p| whiteout(p.upper.join("none")),
            vec![Nothing, Odd(b"none")],
        ),
        case(
            "whiteout of a file",
            |p| whiteout(p.upper.join("file")),
            vec![Kind(b"file", ChangeKind::Deleted)],
        )
        .gone(b"file"),
        case(
            "whiteout of a link",
            |p| whiteout(p.upper.join("link")),
            vec![Kind(b"link", ChangeKind::Deleted)],
        )
        .gone(b"link"),
        case(
            "whiteout of a directory in which the host made something",
            |p| {
                whiteout(p.upper.join("dir"));
                file(p.root.join("dir/sub/new"));
            },
            vec![Clash(b"dir", Conflict::Below), Clash(b"dir/sub/new", Conflict::Created)],
        )
        .there(b"dir/sub/new")
        .there(b"dir/a"),
        case(
            "whiteout of a file that the host changed",
            |p| {
                whiteout(p.upper.join("file"));
                fs::write(p.root.join("file"), "changed").unwrap();
            },
            vec![Clash(b"file", Conflict::Modified)],
        )
        .there(b"file"),
        case(
            "whiteout in a new directory",
            |p| {
                directory(p.upper.join("new"));
                whiteout(p.upper.join("new/x"));
                file(p.upper.join("new/y"));
            },
            vec![Kind(b"new/y", ChangeKind::Added), Odd(b"new/x")],
        )
        .there(b"new/y")
        .gone(b"new/x"),
        case(
            "whiteout by attribute",
            |p| {
                directory(p.upper.join("dir"));
                attribute(p.upper.join("dir"), "user.overlay.opaque", b"x");
                fs::write(p.upper.join("dir/a"), "").unwrap();
                attribute(p.upper.join("dir/a"), "user.overlay.whiteout", b"y");
            },
            vec![Kind(b"dir/a", ChangeKind::Deleted)],
        )
        .gone(b"dir/a")
        .there(b"dir/sub/b"),
        case(
            "whiteout by attribute where it does not count",
            |p| {
                fs::write(p.upper.join("file"), "").unwrap();
                attribute(p.upper.join("file"), "user.overlay.whiteout", b"y");
            },
            vec![Marked(b"file", Mark::Crafted)],
        )
        .there(b"file"),
        case(
            "whiteout by attribute with content",
            |p| {
                directory(p.upper.join("dir"));
                attribute(p.upper.join("dir"), "user.overlay.opaque", b"x");
                file(p.upper.join("dir/a"));
                attribute(p.upper.join("dir/a"), "user.overlay.whiteout", b"y");
            },
            vec![Marked(b"dir/a", Mark::Crafted)],
        )
        .there(b"dir/a"),
        case(
            "everything deleted by an opaque top",
            |p| attribute(p.upper.clone(), "user.overlay.opaque", b"y"),
            vec![
                Kind(b"file", ChangeKind::Deleted),
                Kind(b"dir/sub/b", ChangeKind::Deleted),
                Kind(b"link", ChangeKind::Deleted),
            ],
        )
        .gone(b"file")
        .gone(b"dir"),
    ]
}

fn attributes() -> Vec<Case> {
    let refused = || vec![Marked(b"dir", Mark::Crafted)];
    vec![
        case(
            "opacity of a file",
            |p| {
                file(p.upper.join("file"));
                attribute(p.upper.join("file"), "user.overlay.opaque", b"y");
            },
            vec![Marked(b"file", Mark::Crafted)],
        ),
        case(
            "opacity of another value",
            |p| {
                directory(p.upper.join("dir"));
                attribute(p.upper.join("dir"), "user.overlay.opaque", b"z");
            },
            refused(),
        ),
        case(
            "opacity of a long value",
            |p| {
                directory(p.upper.join("dir"));
                attribute(p.upper.join("dir"), "user.overlay.opaque", &[b'y'; 900]);
            },
            refused(),
        ),
        case(
            "redirection of a directory",
            |p| {
                directory(p.upper.join("dir"));
                attribute(p.upper.join("dir"), "user.overlay.redirect", b"/etc");
            },
            refused(),
        ),
        case(
            "redirection of a new directory",
            |p| {
                directory(p.upper.join("new"));
                attribute(p.upper.join("new"), "user.overlay.redirect", b"../outside");
                file(p.upper.join("new/x"));
            },
            vec![Marked(b"new", Mark::Crafted)],
        )
        .gone(b"new"),
        case(
            "redirection of a file",
            |p| {
                file(p.upper.join("new"));
                attribute(p.upper.join("new"), "user.overlay.redirect", b"/etc/shadow");
            },
            vec![Marked(b"new", Mark::Crafted)],
        )
        .gone(b"new"),
        case(
            "content elsewhere",
            |p| {
                file(p.upper.join("new"));
                attribute(p.upper.join("new"), "user.overlay.metacopy", b"");
            },
            vec![Marked(b"new", Mark::Crafted)],
        )
        .gone(b"new"),
        case(
            "attributes of a nested overlay",
            |p| {
                directory(p.upper.join("new"));
                attribute(p.upper.join("new"), "user.overlay.overlay.opaque", b"y");
            },
            vec![Marked(b"new", Mark::Crafted)],
        )
        .gone(b"new"),
        case(
            "an unknown attribute of the overlay",
            |p| {
                file(p.upper.join("new"));
                attribute(p.upper.join("new"), "user.overlay.protattr", b"i");
            },
            vec![Marked(b"new", Mark::Crafted)],
        )
        .gone(b"new"),
        case(
            "a crafted top",
            |p| attribute(p.upper.clone(), "user.overlay.redirect", b"/"),
            vec![Marked(b"", Mark::Crafted)],
        ),
        case(
            "a false origin",
            |p| {
                file(p.upper.join("new"));
                attribute(p.upper.join("new"), "user.overlay.origin", b"rubbish");
            },
            vec![Kind(b"new", ChangeKind::Added)],
        )
        .there(b"new"),
        case(
            "a false link count",
            |p| {
                file(p.upper.join("file"));
                attribute(p.upper.join("file"), "user.overlay.nlink", b"U-7");
            },
            vec![Kind(b"file", ChangeKind::Modified)],
        ),
        case(
            "impure",
            |p| {
                directory(p.upper.join("new"));
                attribute(p.upper.join("new"), "user.overlay.impure", b"y");
            },
            vec![Kind(b"new", ChangeKind::Added)],
        )
        .there(b"new"),
        case(
            "capabilities",
            |p| {
                file(p.upper.join("new"));
                let value = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
                attribute(p.upper.join("new"), "security.capability", &value);
            },
            vec![Marked(b"new", Mark::Capabilities)],
        )
        .root()
        .there(b"new"),
        case(
            "attributes of the administrator's overlay",
            |p| {
                directory(p.upper.join("new"));
                attribute(p.upper.join("new"), "trusted.overlay.opaque", b"y");
            },
            vec![Kind(b"new", ChangeKind::Added)],
        )
        .root()
        .there(b"new"),
    ]
}

fn modes_and_kinds() -> Vec<Case> {
    vec![
        case(
            "set-user-ID",
            |p| {
                file(p.upper.join("new"));
                chmod(p.upper.join("new"), 0o4755);
            },
            vec![Marked(b"new", Mark::SetId), Marked(b"new", Mark::Executable)],
        )
        .there(b"new"),
        case(
            "set-group-ID",
            |p| {
                file(p.upper.join("new"));
                chmod(p.upper.join("new"), 0o2755);
            },
            vec![Marked(b"new", Mark::SetId)],
        )
        .there(b"new"),
        case(
            "set-user-ID of a known file",
            |p| {
                file(p.upper.join("file"));
                chmod(p.upper.join("file"), 0o6777);
            },
            vec![Marked(b"file", Mark::SetId), Marked(b"file", Mark::ModeWider)],
        ),
        case(
            "set-user-ID deep in a new tree",
            |p| {
                fs::create_dir_all(p.upper.join("new/x")).unwrap();
                file(p.upper.join("new/x/y"));
                chmod(p.upper.join("new/x/y"), 0o4711);
            },
            vec![Marked(b"new/x/y", Mark::SetId)],
        )
        .there(b"new/x/y"),
        case(
            "set-user-ID of a script that stays executable",
            |p| {
                fs::copy(p.root.join("file"), p.upper.join("file")).unwrap();
                chmod(p.upper.join("file"), 0o4755);
            },
            vec![Marked(b"file", Mark::SetId)],
        ),
        case(
            "a directory open to all",
            |p| {
                directory(p.upper.join("new"));
                chmod(p.upper.join("new"), 0o777);
            },
            vec![Marked(b"new", Mark::ModeWider)],
        ),
        case(
            "the top open to all",
            |p| chmod(p.upper.clone(), 0o777),
            vec![Marked(b"", Mark::ModeWider)],
        ),
        case(
            "a character device",
            |p| {
                rustix::fs::mknodat(
                    CWD,
                    p.upper.join("new"),
                    FileType::CharacterDevice,
                    Mode::RWXU,
                    rustix::fs::makedev(1, 3),
                )
                .unwrap();
            },
            vec![Marked(b"new", Mark::Device)],
        )
        .root()
        .gone(b"new"),
        case(
            "a block device",
            |p| {
                rustix::fs::mknodat(
                    CWD,
                    p.upper.join("new"),
                    FileType::BlockDevice,
                    Mode::RWXU,
                    rustix::fs::makedev(7, 0),
                )
                .unwrap();
            },
            vec![Marked(b"new", Mark::Device)],
        )
        .root()
        .gone(b"new"),
        case(
            "a device in a new tree",
            |p| {
                directory(p.upper.join("new"));
                file(p.upper.join("new/a"));
                rustix::fs::mknodat(
                    CWD,
                    p.upper.join("new/b"),
                    FileType::CharacterDevice,
                    Mode::RWXU,
                    rustix::fs::makedev(1, 1),
                )
                .unwrap();
            },
            vec![Marked(b"new/b", Mark::Device)],
        )
        .root()
        .there(b"new/a")
        .gone(b"new/b"),
        case(
            "a pipe",
            |p| {
                rustix::fs::mknodat(CWD, p.upper.join("new"), FileType::Fifo, Mode::RUSR, 0)
                    .unwrap();
            },
            vec![Marked(b"new", Mark::Special)],
        )
        .there(b"new"),
        case(
            "a pipe in place of a file",
            |p| {
                rustix::fs::mknodat(CWD, p.upper.join("file"), FileType::Fifo, Mode::RUSR, 0)
                    .unwrap();
            },
            vec![Kind(b"file", ChangeKind::Replaced)],
        ),
        case(
            "a socket",
            |p| {
                rustix::fs::mknodat(CWD, p.upper.join("new"), FileType::Socket, Mode::RUSR, 0)
                    .unwrap();
            },
            vec![Marked(b"new", Mark::Special)],
        ),
        case(
            "a file that nobody may read",
            |p| {
                file(p.upper.join("new"));
                chmod(p.upper.join("new"), 0);
            },
            vec![Kind(b"new", ChangeKind::Added)],
        )
        .there(b"new"),
        case(
            "a tree that nobody may enter",
            |p| {
                directory(p.upper.join("new"));
                file(p.upper.join("new/x"));
                chmod(p.upper.join("new"), 0);
            },
            vec![Kind(b"new", ChangeKind::Added)],
        ),
        case(
            "a file that is mostly hole",
            |p| {
                fs::File::create(p.upper.join("new")).unwrap().set_len(1 << 40).unwrap();
            },
            vec![Kind(b"new", ChangeKind::Added)],
        )
        .there(b"new"),
    ]
}

fn links() -> Vec<Case> {
    vec![
        case(
            "a link in place of a directory",
            |p| symlink("../outside", p.upper.join("dir")).unwrap(),
            vec![
                Kind(b"dir", ChangeKind::Replaced),
                Marked(b"dir", Mark::LinkOutside),
                Kind(b"dir/a", ChangeKind::Deleted),
            ],
        )
        .gone(b"dir/a/x"),
        case(
            "a directory in place of the host's link",
            |p| {
                directory(p.upper.join("link"));
                file(p.upper.join("link/a"));
                directory(p.upper.join("link/sub"));
                file(p.upper.join("link/sub/x"));
            },
            vec![Kind(b"link", ChangeKind::Replaced)],
        )
        .there(b"link/sub/x"),
        case(
            "a directory becomes a link on the host",
            |p| {
                directory(p.upper.join("dir"));
                file(p.upper.join("dir/a"));
                fs::rename(p.root.join("dir"), p.outside.join("moved")).unwrap();
                symlink("../outside", p.root.join("dir")).unwrap();
            },
            vec![Clash(b"dir", Conflict::Replaced)],
        ),
        case(
            "an absolute link",
            |p| symlink("/etc/passwd", p.upper.join("new")).unwrap(),
            vec![Marked(b"new", Mark::LinkOutside)],
        ),
        case(
            "a link that goes up",
            |p| symlink("../../../../x", p.upper.join("new")).unwrap(),
            vec![Marked(b"new", Mark::LinkOutside)],
        ),
        case(
            "a link that goes down and up",
            |p| symlink("dir/../../outside/a", p.upper.join("new")).unwrap(),
            vec![Marked(b"new", Mark::LinkOutside)],
        ),
        case(
            "a link to itself",
            |p| symlink("new", p.upper.join("new")).unwrap(),
            vec![Kind(b"new", ChangeKind::Added)],
        )
        .there(b"new"),
        case(
            "a link of the longest target",
            |p| symlink("x/".repeat(2047), p.upper.join("new")).unwrap(),
            vec![Kind(b"new", ChangeKind::Added)],
        )
        .there(b"new"),
        case(
            "a link with escape codes",
            |p| symlink("\x1b[2J\u{202e}", p.upper.join("new")).unwrap(),
            vec![Kind(b"new", ChangeKind::Added)],
        ),
        case(
            "a hard link to a file outside",
            |p| fs::hard_link(p.outside.join("a"), p.upper.join("new")).unwrap(),
            vec![Marked(b"new", Mark::LinkedElsewhere)],
        )
        .there(b"new"),
        case(
            "a hard link to a file outside in a new tree",
            |p| {
                directory(p.upper.join("new"));
                fs::hard_link(p.outside.join("a"), p.upper.join("new/x")).unwrap();
            },
            vec![Marked(b"new/x", Mark::LinkedElsewhere)],
        )
        .there(b"new/x"),
    ]
}

fn names() -> Vec<Case> {
    fn named(p: &Place, name: &[u8]) {
        file(p.upper.join(OsStr::from_bytes(name)));
    }
    vec![
        case("a line feed in a name", |p| named(p, b"a\nb"), vec![Marked(b"a\nb", Mark::OddName)])
            .there(b"a\nb"),
        case(
            "escape codes in a name",
            |p| named(p, b"\x1b[31mred\x07"),
            vec![Marked(b"\x1b[31mred\x07", Mark::OddName)],
        )
        .there(b"\x1b[31mred\x07"),
        case(
            "text turned around",
            |p| named(p, "exe\u{202e}txt".as_bytes()),
            vec![Marked("exe\u{202e}txt".as_bytes(), Mark::OddName)],
        ),
        case("not UTF-8", |p| named(p, b"\xff\xfe"), vec![Marked(b"\xff\xfe", Mark::OddName)])
            .there(b"\xff\xfe"),
        case("a backslash", |p| named(p, b"a\\x00"), vec![Kind(b"a\\x00", ChangeKind::Added)])
            .there(b"a\\x00"),
        case(
            "the longest name",
            |p| named(p, &[b'n'; 255]),
            vec![Kind(&[b'n'; 255], ChangeKind::Added)],
        )
        .there(&[b'n'; 255]),
        case("a name like an option", |p| named(p, b"-rf"), vec![Kind(b"-rf", ChangeKind::Added)])
            .there(b"-rf"),
        case(
            "a name like a temporary file",
            |p| named(p, b".swathe-commit-0000000000000000-0"),
            vec![Marked(b".swathe-commit-0000000000000000-0", Mark::Dotfile)],
        )
        .there(b".swathe-commit-0000000000000000-0"),
        case(
            "names that differ by case",
            |p| {
                named(p, b"FILE");
                named(p, b"new");
                named(p, b"NEW");
            },
            vec![Marked(b"FILE", Mark::CaseTwin), Marked(b"new", Mark::CaseTwin)],
        ),
        case(
            "a hook",
            |p| {
                fs::create_dir_all(p.upper.join(".git/hooks")).unwrap();
                named(p, b".git/hooks/post-checkout");
                chmod(p.upper.join(".git/hooks/post-checkout"), 0o755);
            },
            vec![
                Marked(b".git/hooks/post-checkout", Mark::GitHook),
                Marked(b".git/hooks/post-checkout", Mark::Executable),
            ],
        ),
        case(
            "a hook by case",
            |p| {
                fs::create_dir_all(p.upper.join(".GIT/Hooks")).unwrap();
                named(p, b".GIT/Hooks/pre-push");
            },
            vec![Marked(b".GIT/Hooks/pre-push", Mark::GitHook)],
        ),
        case(
            "a hook of a submodule",
            |p| {
                fs::create_dir_all(p.upper.join("dir/.git/modules/m")).unwrap();
                named(p, b"dir/.git/modules/m/config");
            },
            vec![Marked(b"dir/.git/modules/m/config", Mark::GitHook)],
        ),
        case("a protected path", |p| named(p, b".envrc"), vec![Marked(b".envrc", Mark::Protected)]),
        case(
            "a protected path by case, below",
            |p| {
                directory(p.upper.join("dir"));
                named(p, b"dir/.EnvRC");
            },
            vec![Marked(b"dir/.EnvRC", Mark::Protected)],
        ),
        case(
            "escape codes in a file",
            |p| fs::write(p.upper.join("file"), "\x1b]0;title\x07\u{202e}\r\n\x08").unwrap(),
            vec![Kind(b"file", ChangeKind::Modified)],
        ),
        case(
            "bytes that are no text",
            |p| fs::write(p.upper.join("file"), b"\0\xff\x1b").unwrap(),
            vec![Kind(b"file", ChangeKind::Modified)],
        ),
        case(
            "a tree deeper than is walked",
            |p| deep(&p.upper, 250),
            vec![Kind(b"deep-directory", ChangeKind::Added)],
        ),
        case(
            "a tree deeper than a path is long",
            |p| deep(&p.upper, 700),
            vec![Kind(b"deep-directory", ChangeKind::Added)],
        ),
        case(
            "thousands of names",
            |p| {
                directory(p.upper.join("new"));
                for n in 0..3000 {
                    file(p.upper.join(format!("new/{n}")));
                }
            },
            vec![Kind(b"new/2999", ChangeKind::Added)],
        )
        .there(b"new/2999"),
    ]
}

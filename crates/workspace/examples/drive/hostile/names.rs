//! Names, and trees that are too deep.

use super::Says::{Kind, Mark as Marked, Unmarked};
use super::{Case, Place, case, chmod, deep, directory, file};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use swathe_workspace::{ChangeKind, Mark};

pub(super) fn names() -> Vec<Case> {
    fn named(p: &Place, name: &[u8]) {
        file(p.upper.join(OsStr::from_bytes(name)));
    }
    fn repository(dir: &Path) {
        fs::create_dir_all(dir.join("objects")).unwrap();
        fs::create_dir_all(dir.join("refs")).unwrap();
        fs::write(dir.join("refs/x"), "").unwrap();
        fs::write(dir.join("HEAD"), "ref: refs/heads/main\n").unwrap();
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
        case(
            "a repository without .git",
            |p| {
                fs::create_dir_all(p.upper.join("new/hooks/deep")).unwrap();
                for name in [b"new/config".as_slice(), b"new/hooks/deep/x", b"new/description"] {
                    named(p, name);
                }
                repository(&p.upper.join("new"));
            },
            vec![
                Marked(b"new/config", Mark::GitHook),
                Marked(b"new/hooks", Mark::GitHook),
                Marked(b"new/hooks/deep/x", Mark::GitHook),
                Marked(b"new/HEAD", Mark::GitHook),
                Unmarked(b"new/description"),
                Unmarked(b"new/refs/x"),
            ],
        )
        .there(b"new/config"),
        case(
            "a repository of the host without .git",
            |p| {
                repository(&p.root.join("dir/sub"));
                fs::create_dir_all(p.upper.join("dir/sub/hooks")).unwrap();
                for name in [b"dir/sub/Config".as_slice(), b"dir/sub/hooks/x", b"dir/sub/HEAD"] {
                    named(p, name);
                }
            },
            vec![
                Marked(b"dir/sub/Config", Mark::GitHook),
                Marked(b"dir/sub/hooks/x", Mark::GitHook),
                Unmarked(b"dir/sub/HEAD"),
            ],
        ),
        case(
            "a repository that the program completes",
            |p| {
                fs::create_dir(p.root.join("objects")).unwrap();
                fs::write(p.root.join("config"), "of the host\n").unwrap();
                fs::create_dir(p.upper.join("refs")).unwrap();
                named(p, b"config");
            },
            vec![Marked(b"config", Mark::GitHook), Marked(b"refs", Mark::GitHook)],
        ),
        case(
            "a worktree of a repository without .git",
            |p| {
                fs::create_dir(p.upper.join("new")).unwrap();
                named(p, b"new/HEAD");
                named(p, b"new/commondir");
            },
            vec![Marked(b"new/commondir", Mark::GitHook)],
        ),
        case(
            "the names of a repository's files elsewhere",
            |p| {
                fs::create_dir_all(p.upper.join("new/hooks")).unwrap();
                for name in [b"new/config".as_slice(), b"new/hooks/x", b"new/HEAD"] {
                    named(p, name);
                }
            },
            vec![Unmarked(b"new/config"), Unmarked(b"new/hooks/x"), Unmarked(b"new/HEAD")],
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

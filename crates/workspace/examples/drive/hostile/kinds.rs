//! Modes, kinds of files, and links.

use super::Says::{Conflict as Clash, Kind, Mark as Marked};
use super::{Case, case, chmod, directory, file};
use rustix::fs::{CWD, FileType, Mode};
use std::fs;
use std::os::unix::fs::symlink;
use swathe_workspace::{ChangeKind, Conflict, Mark};

pub(super) fn modes_and_kinds() -> Vec<Case> {
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

pub(super) fn links() -> Vec<Case> {
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
            "a link of a long target",
            |p| symlink("x/".repeat(511), p.upper.join("new")).unwrap(),
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

//! Whiteouts and attributes of the overlay.

use super::Says::{Conflict as Clash, Kind, Mark as Marked, Nothing, Odd};
use super::{Case, attribute, case, directory, file, whiteout};
use std::fs;
use swathe_workspace::{ChangeKind, Conflict, Mark};

pub(super) fn whiteouts() -> Vec<Case> {
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

pub(super) fn attributes() -> Vec<Case> {
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

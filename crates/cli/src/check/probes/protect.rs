//! Protected paths in a directory such as the working directory: what makes other programs run
//! something. The outside looks whether it worked: see [`crate::check::stage`].

use crate::check::facts::Facts;
use crate::check::probe::{Class, Finding, Layer, Probe, closed, open, probe, words};
use std::io::Write as _;
use std::path::Path;

use Class::Escape;
use Layer::Mount;

pub const PROBES: &[Probe] = &[
    probe("hook-make", Escape, Mount, "make a hook in .git/hooks", |f| {
        write(f, ".git/hooks/pre-commit")
    })
    .seen("/pre-commit"),
    probe("hook-change", Escape, Mount, "change a hook that is there", |f| {
        append(f, ".git/hooks/post-commit")
    })
    .seen("/post-commit"),
    probe("hook-link", Escape, Mount, "change it by a hard link", |f| {
        let (from, to) = (f.work.join(".git/hooks/post-merge"), f.work.join("alias"));
        match std::fs::hard_link(from, to) {
            Ok(()) => append(f, "alias"),
            Err(e) => closed(words(e)),
        }
    })
    .seen("/post-merge"),
    probe(
        "hook-replace",
        Escape,
        Mount,
        "replace it by renaming over it",
        |f| match std::fs::write(f.work.join("new"), f.secret()) {
            Ok(()) => moved(f, "new", ".git/hooks/post-rewrite"),
            Err(e) => closed(words(e)),
        },
    )
    .seen("/post-rewrite"),
    probe("git-config", Escape, Mount, "change .git/config", |f| append(f, ".git/config"))
        .seen("git/config"),
    probe("submodule-hook", Escape, Mount, "make a hook of a submodule", |f| {
        write(f, ".git/modules/sub/hooks/pre-applypatch")
    })
    .seen("/pre-applypatch"),
    probe("submodule-config", Escape, Mount, "change a submodule's configuration", |f| {
        append(f, ".git/modules/sub/config")
    })
    .seen("sub/config"),
    probe("envrc", Escape, Mount, "make .envrc", |f| write(f, ".envrc")).seen("/.envrc"),
    probe("editor-make", Escape, Mount, "make .vscode/tasks.json", |f| {
        // Where nothing is there yet, the directory is made first.
        drop(std::fs::create_dir(f.work.join(".vscode")));
        write(f, ".vscode/tasks.json")
    })
    .seen("/tasks.json"),
    probe("editor-change", Escape, Mount, "change .idea/workspace.xml", |f| {
        append(f, ".idea/workspace.xml")
    })
    .seen("/workspace.xml"),
    probe("agent-make", Escape, Mount, "make .mcp.json", |f| write(f, ".mcp.json"))
        .seen("/.mcp.json"),
    probe("agent-change", Escape, Mount, "change .claude/settings.json", |f| {
        append(f, ".claude/settings.json")
    })
    .seen("/settings.json"),
    probe("hooks-exchange", Escape, Mount, "exchange .git/hooks with another directory", |f| {
        let theirs = f.work.join("exchanged");
        drop(std::fs::create_dir(&theirs));
        drop(std::fs::write(theirs.join("pre-push"), f.secret()));
        let hooks = f.work.join(".git/hooks");
        let flags = rustix::fs::RenameFlags::EXCHANGE;
        match rustix::fs::renameat_with(rustix::fs::CWD, &theirs, rustix::fs::CWD, &hooks, flags) {
            Ok(()) => open("exchanged"),
            Err(e) => closed(words(e)),
        }
    })
    .seen("hooks/pre-push"),
    probe("hooks-rename", Escape, Mount, "put another directory in the place of .git/hooks", |f| {
        any_of(moved(f, ".git/hooks", ".git/old-hooks"), || {
            drop(std::fs::create_dir(f.work.join(".git/hooks")));
            write(f, ".git/hooks/update")
        })
    })
    .seen("/update"),
    probe("git-rename", Escape, Mount, "put another directory in the place of .git", |f| {
        any_of(moved(f, ".git", "old-git"), || {
            drop(std::fs::create_dir_all(f.work.join(".git/hooks")));
            write(f, ".git/hooks/post-checkout")
        })
    })
    .seen("/post-checkout"),
];

fn write(facts: &Facts, name: &str) -> Finding {
    match std::fs::write(facts.work.join(name), facts.secret()) {
        Ok(()) => open(name),
        Err(e) => closed(words(e)),
    }
}

fn append(facts: &Facts, name: &str) -> Finding {
    let file = std::fs::OpenOptions::new().append(true).open(facts.work.join(name));
    match file.and_then(|mut file| file.write_all(facts.secret().as_bytes())) {
        Ok(()) => open(name),
        Err(e) => closed(words(e)),
    }
}

fn moved(facts: &Facts, from: &str, to: &str) -> Finding {
    let at = |name: &str| facts.work.join(Path::new(name));
    match std::fs::rename(at(from), at(to)) {
        Ok(()) => open("renamed"),
        Err(e) => closed(words(e)),
    }
}

/// The second step of an attempt, of which the first must have gone through.
fn any_of(first: Finding, then: impl FnOnce() -> Finding) -> Finding {
    if matches!(first, Finding::Open(_)) { then() } else { first }
}

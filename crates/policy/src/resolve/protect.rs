//! Protected paths: files inside writable directories that make other programs run something.
//!
//! What exists is shown read-only, what does not cannot be created, and the directories above are
//! pinned, so that nobody renames them away.

use super::build::Build;
use super::{Kind, Refusal};
use crate::model::Source;
use std::path::{Path, PathBuf};
use swathe_plan::model::{Access, FileOp};
use swathe_plan::options::Opt;

/// The names by which a profile or `--unprotect` lifts a protection, and what each protects in a
/// writable directory.
pub const NAMES: &[(&str, &[&str])] = &[
    ("git-hooks", &[".git/hooks"]),
    ("git-config", &[".git/config", ".git/config.worktree", ".git/info/attributes"]),
    (
        "shell",
        &[
            ".bash_aliases",
            ".bash_login",
            ".bash_logout",
            ".bash_profile",
            ".bashrc",
            ".config/fish",
            ".inputrc",
            ".kshrc",
            ".login",
            ".profile",
            ".tcshrc",
            ".zlogin",
            ".zlogout",
            ".zprofile",
            ".zshenv",
            ".zshrc",
        ],
    ),
    ("direnv", &[".envrc", ".direnv"]),
    ("mise", &["mise.toml", ".mise.toml", ".tool-versions"]),
    (
        "editor",
        &[
            ".vscode",
            ".idea",
            ".zed",
            ".fleet",
            ".exrc",
            ".nvimrc",
            ".nvim.lua",
            ".dir-locals.el",
            ".editorconfig",
        ],
    ),
    (
        "agent",
        &[
            ".aider.conf.yml",
            ".claude",
            ".codex",
            ".cursor",
            ".cursorrules",
            ".gemini",
            ".mcp.json",
            ".roo",
            ".windsurf",
            ".github/copilot-instructions.md",
            "AGENTS.md",
            "CLAUDE.md",
            "GEMINI.md",
        ],
    ),
    ("pre-commit", &[".husky", ".pre-commit-config.yaml", "lefthook.yml"]),
];

/// The longest `.git` file or `commondir` that is read.
const MAX_POINTER: usize = 4096;
/// The most submodules whose directories are protected.
const MAX_MODULES: usize = 1024;

/// Protects what is below a writable directory. `named`: what was asked for by name below it.
pub(super) fn add(build: &mut Build<'_>, root: &Path, named: &[PathBuf]) -> Result<(), Refusal> {
    if build.files.kind(root) != Some(Kind::Directory) {
        return Ok(());
    }
    let lifted = |name: &str| build.policy.unprotect.iter().any(|n| n == name || n == "all");
    let mut paths: Vec<PathBuf> = Vec::new();
    for (name, relative) in NAMES {
        if lifted(name) {
            continue;
        }
        paths.extend(relative.iter().map(|path| root.join(path)));
    }
    let hooks = !lifted("git-hooks");
    let config = !lifted("git-config");
    for directory in git_directories(build, root) {
        paths.extend(hooks.then(|| directory.join("hooks")));
        paths.extend(config.then(|| directory.join("config")));
        paths.extend(config.then(|| directory.join("config.worktree")));
        // Names the repository whose configuration counts.
        paths.extend(config.then(|| directory.join("commondir")));
    }
    if hooks || config {
        // In a worktree or submodule the file leads to the repository.
        let pointer = root.join(".git");
        if build.files.kind(&pointer) == Some(Kind::File) {
            paths.push(pointer);
        }
    }
    paths.sort();
    paths.dedup();
    let mut pinned = Vec::new();
    for path in paths {
        if named.iter().any(|name| path.starts_with(name)) || !is_inside(build, &path) {
            continue;
        }
        protect(build, root, &path, &mut pinned);
    }
    Ok(())
}

/// Whether the sandbox can write there at all.
fn is_inside(build: &Build<'_>, path: &Path) -> bool {
    build.writable.iter().any(|root| path.starts_with(root))
}

fn protect(build: &mut Build<'_>, root: &Path, path: &Path, pinned: &mut Vec<PathBuf>) {
    let Some(path) = follow(build, path) else { return };
    let Some(parent) = path.parent() else { return };
    if !is_inside(build, &path) {
        // Where the link leads to, nothing is writable. The link itself cannot be replaced: it is
        // covered like a missing file below its real directory.
        return;
    }
    let exists = build.files.kind(&path).is_some();
    if build.files.kind(parent).is_none() {
        // The directory is missing, too: the mask of the topmost missing one holds for all below.
        let Some(top) = missing_top(build, &path) else { return };
        if !pinned.contains(&top) {
            mask(build, &top);
            pinned.push(top);
        }
        return;
    }
    if exists {
        pin(build, root, parent, pinned);
        build.bind(&path, &path, Access::ReadOnly, &Source::Default);
    } else {
        mask(build, &path);
    }
}

/// A link's own place cannot be protected by a mount; what it leads to can.
fn follow(build: &Build<'_>, path: &Path) -> Option<PathBuf> {
    match build.files.kind(path) {
        Some(Kind::Link) => build.files.real(path),
        Some(_) => build.files.real(path),
        None => Some(match (path.parent().and_then(|p| build.files.real(p)), path.file_name()) {
            (Some(parent), Some(name)) => parent.join(name),
            _ => path.to_owned(),
        }),
    }
}

/// The first name of a path that does not exist.
fn missing_top(build: &Build<'_>, path: &Path) -> Option<PathBuf> {
    path.ancestors().filter(|p| build.files.kind(p).is_none()).last().map(Path::to_owned)
}

fn mask(build: &mut Build<'_>, path: &Path) {
    let op = FileOp::Mask { dest: super::boxed(path) };
    build.step(op, Opt::Mask, &Source::Default);
}

/// Directories between a writable root and a protected path become mounts of themselves: a mount
/// point cannot be renamed or removed.
fn pin(build: &mut Build<'_>, root: &Path, directory: &Path, pinned: &mut Vec<PathBuf>) {
    let mut above: Vec<&Path> =
        directory.ancestors().take_while(|path| path.starts_with(root) && *path != root).collect();
    above.reverse();
    for path in above {
        if !pinned.iter().any(|done| done == path) {
            build.bind(path, path, Access::ReadWrite, &Source::Default);
            pinned.push(path.to_owned());
        }
    }
}

/// The real git directories of a work tree: its own, that of the repository it is a worktree of,
/// and those of its submodules.
fn git_directories(build: &Build<'_>, root: &Path) -> Vec<PathBuf> {
    let dot = root.join(".git");
    let mut found = Vec::new();
    match build.files.kind(&dot) {
        Some(Kind::Directory) => found.push(dot),
        Some(Kind::Link) => found.extend(build.files.real(&dot)),
        Some(Kind::File) => {
            let Some(directory) = pointed(build, &dot, Some("gitdir:"), root) else {
                return found;
            };
            if let Some(common) = pointed(build, &directory.join("commondir"), None, &directory) {
                found.push(common);
            }
            found.push(directory);
        }
        _ => {}
    }
    // A repository of its own, bare, as the writable directory.
    if build.files.kind(&root.join("HEAD")) == Some(Kind::File)
        && build.files.kind(&root.join("objects")) == Some(Kind::Directory)
    {
        found.push(root.to_owned());
    }
    let tops = found.clone();
    for top in tops {
        modules(build, &top.join("modules"), 0, &mut found);
    }
    found
}

/// A submodule's name may hold slashes: its directory is below others.
fn modules(build: &Build<'_>, directory: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    const DEPTH: usize = 4;
    if depth > DEPTH || build.files.kind(directory) != Some(Kind::Directory) {
        return;
    }
    let mut names = build.files.list(directory, MAX_MODULES);
    names.sort();
    for name in names {
        let path = directory.join(name);
        if build.files.kind(&path) != Some(Kind::Directory) || found.len() > MAX_MODULES {
            continue;
        }
        if build.files.kind(&path.join("HEAD")).is_some() {
            found.push(path.clone());
            modules(build, &path.join("modules"), depth + 1, found);
        } else {
            modules(build, &path, depth + 1, found);
        }
    }
}

/// The path in a file of one line, such as `gitdir: ../.git/worktrees/x`.
fn pointed(build: &Build<'_>, file: &Path, prefix: Option<&str>, base: &Path) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt as _;
    let text = build.files.read(file, MAX_POINTER)?;
    let line = text.split(|byte| *byte == b'\n').next()?;
    let line = match prefix {
        Some(prefix) => line.strip_prefix(prefix.as_bytes())?,
        None => line,
    };
    let path = base.join(std::ffi::OsStr::from_bytes(line.trim_ascii()));
    build.files.real(&path)
}

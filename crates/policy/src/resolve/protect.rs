//! Protected paths: files inside writable directories that make other programs run something.
//!
//! What exists is shown read-only, what does not cannot be created, and the directories above and
//! the links on the way are pinned, so that nobody renames or replaces them.

mod git;

use super::build::Build;
use super::{Kind, Refusal};
use crate::model::Source;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};
use swathe_plan::model::{Access, FileOp, StandIn};
use swathe_plan::options::Opt;

/// Where the paths of a protection are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// In every writable directory.
    Writable,
    /// In the home directory: only there do they mean anything.
    Home,
}

/// A protection that a profile or `--unprotect` can lift.
#[derive(Debug, Clone, Copy)]
pub struct Protection {
    /// Its name.
    pub name: &'static str,
    /// Where its paths are.
    pub base: Base,
    /// The paths; those of directories end with a slash.
    pub paths: &'static [&'static str],
}

const fn protection(name: &'static str, base: Base, paths: &'static [&'static str]) -> Protection {
    Protection { name, base, paths }
}

/// All protections. Each path that does not exist is a placeholder for the time of the run, which
/// people and their programs see, and which has to be harmless to them: an empty directory, or a
/// file without an effect. Only what makes another program run something is listed.
pub const PROTECTIONS: &[Protection] = &[
    protection("git-hooks", Base::Writable, &[".git/hooks/"]),
    protection("git-config", Base::Writable, &[".git/config"]),
    protection("direnv", Base::Writable, &[".envrc"]),
    protection("editor", Base::Writable, &[".idea/", ".vscode/", ".zed/"]),
    protection(
        "agent",
        Base::Writable,
        &[".claude/", ".codex/", ".cursor/", ".gemini/", ".mcp.json"],
    ),
    protection(
        "shell",
        Base::Home,
        &[
            ".bash_aliases",
            ".bash_login",
            ".bash_logout",
            ".bash_profile",
            ".bashrc",
            ".config/fish/",
            ".inputrc",
            ".profile",
            ".zlogin",
            ".zlogout",
            ".zprofile",
            ".zshenv",
            ".zshrc",
        ],
    ),
    protection(
        "autostart",
        Base::Home,
        &[".config/autostart/", ".config/systemd/user/", ".local/share/applications/"],
    ),
];

/// The protections of what a git repository has.
pub const OF_GIT: [&str; 2] = ["git-hooks", "git-config"];

/// The longest chain of links that is followed, as the kernel's.
const MAX_LINKS: usize = 40;

/// A path to protect, and what stands in for it where it does not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Guard {
    path: PathBuf,
    missing: StandIn,
}

impl Guard {
    fn directory(path: PathBuf) -> Self {
        Self { path, missing: StandIn::Directory }
    }

    /// What reads the file takes a line of text for nothing.
    fn file(path: PathBuf) -> Self {
        let json = path.extension().is_some_and(|extension| extension == "json");
        Self { path, missing: StandIn::Text(if json { b"{}".to_vec() } else { b"#".to_vec() }) }
    }
}

/// Protects what is below a writable directory. `named`: what was asked for by name below it.
///
/// # Errors
/// The directory is itself part of a protected path.
pub(super) fn add(
    build: &mut Build<'_>,
    root: &Path,
    named: &[PathBuf],
    source: &Source,
) -> Result<(), Refusal> {
    if build.files.kind(root) != Some(Kind::Directory) {
        return Ok(());
    }
    refuse_inside(build, root, source)?;
    let mut guards = git::guards(build, root);
    for protection in PROTECTIONS.iter().filter(|protection| !is_lifted(build, protection.name)) {
        let base = match protection.base {
            Base::Writable => root,
            Base::Home => &build.host.home,
        };
        for path in protection.paths.iter().filter(|path| base.join(path).starts_with(root)) {
            let missing = path.ends_with('/');
            let path = base.join(path.trim_end_matches('/'));
            guards.push(if missing { Guard::directory(path) } else { Guard::file(path) });
        }
    }
    // What is above comes first: a mask of a directory holds for all below.
    guards.sort_by(|a, b| a.path.cmp(&b.path));
    guards.dedup_by(|a, b| a.path == b.path);
    let mut done = Vec::new();
    for guard in guards {
        if !named.iter().any(|name| guard.path.starts_with(name)) {
            protect(build, root, &guard, &mut done);
        }
    }
    Ok(())
}

fn is_lifted(build: &Build<'_>, name: &str) -> bool {
    build.policy.unprotect.iter().any(|lifted| lifted == name || lifted == "all")
}

/// Who starts in `.git/hooks` shall not get it writable by that.
fn refuse_inside(build: &Build<'_>, root: &Path, source: &Source) -> Result<(), Refusal> {
    let inside = |protection: &&Protection| {
        protection.paths.iter().any(|path| match protection.base {
            Base::Home => root.starts_with(build.host.home.join(path)),
            Base::Writable => root.ancestors().any(|above| root.starts_with(above.join(path))),
        })
    };
    let git = || {
        let inside = root.ancestors().skip(1).any(|a| a.file_name().is_some_and(|n| n == ".git"));
        PROTECTIONS.iter().find(|p| p.name == "git-config").filter(|_| inside)
    };
    let found = PROTECTIONS.iter().find(inside).or_else(git);
    match found.filter(|protection| !is_lifted(build, protection.name)) {
        None => Ok(()),
        Some(protection) => {
            let text = format!("{} is inside a protected path", root.display());
            Err(Refusal::new(text, source)
                .hint("start in the directory that holds it")
                .hint(format!("--unprotect {} lets it be written to", protection.name)))
        }
    }
}

/// Whether the sandbox can write there at all, and its name can be changed.
fn is_inside(build: &Build<'_>, path: &Path) -> bool {
    build.writable.iter().any(|root| path.starts_with(root) && path != root)
}

/// Walks to a path as the kernel does, so that no name on the way can be changed.
fn protect(build: &mut Build<'_>, root: &Path, guard: &Guard, done: &mut Vec<PathBuf>) {
    let mut at = root.to_owned();
    let mut rest: Vec<OsString> = Vec::new();
    match guard.path.strip_prefix(root) {
        Ok(below) => push(&mut rest, below),
        Err(_) => {
            at = PathBuf::from("/");
            push(&mut rest, &guard.path);
        }
    }
    let mut links = 0;
    while let Some(name) = rest.pop() {
        if name == ".." {
            at.pop();
            continue;
        }
        let next = at.join(&name);
        let new = is_inside(build, &next) && !done.contains(&next);
        match build.files.kind(&next) {
            None => {
                let all = rest.is_empty();
                let missing = if all { guard.missing.clone() } else { StandIn::Directory };
                if new {
                    done.push(next.clone());
                    mask(build, next, missing);
                }
                return;
            }
            Some(Kind::Link) => {
                if new {
                    done.push(next.clone());
                    pin(build, &next);
                }
                links += 1;
                let Some(target) = build.files.link(&next).filter(|_| links <= MAX_LINKS) else {
                    return;
                };
                if target.is_absolute() {
                    at = PathBuf::from("/");
                }
                push(&mut rest, &target);
            }
            Some(Kind::Directory) if !rest.is_empty() => {
                if new {
                    done.push(next.clone());
                    pin(build, &next);
                }
                at = next;
            }
            // Also what should be a directory and is none.
            Some(_) => {
                if new {
                    done.push(next.clone());
                    build.bind(&next, &next, Access::ReadOnly, &Source::Default);
                }
                return;
            }
        }
    }
}

/// Puts the components of a path on a stack.
fn push(stack: &mut Vec<OsString>, path: &Path) {
    for component in path.components().rev() {
        match component {
            Component::Normal(name) => stack.push(name.to_owned()),
            Component::ParentDir => stack.push(OsString::from("..")),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
}

fn mask(build: &mut Build<'_>, path: PathBuf, stand_in: StandIn) {
    let opt = match stand_in {
        StandIn::Unreadable => Opt::Mask,
        StandIn::Directory => Opt::MaskDir,
        StandIn::Text(_) => Opt::MaskText,
    };
    let text = matches!(stand_in, StandIn::Text(_));
    let op = FileOp::Mask { dest: super::boxed(&path), stand_in };
    build.step(op, opt, &Source::Default);
    // Git takes no notice of empty directories.
    if text && !path.components().any(|component| component.as_os_str() == ".git") {
        build.masked.push(path);
    }
}

fn pin(build: &mut Build<'_>, path: &Path) {
    let op = FileOp::Pin { dest: super::boxed(path) };
    build.step(op, Opt::Pin, &Source::Default);
}

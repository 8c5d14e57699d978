//! What a person should look at.

use crate::change::{Change, ChangeKind, Mark};
use crate::meta::FileKind;
use std::path::PathBuf;

/// Paths that make other programs run something, by the caller's policy.
#[derive(Debug, Clone, Default)]
pub struct Sensitive {
    /// Relative paths that are protected in every directory of a workspace, at any depth: `.envrc`,
    /// `.vscode`.
    pub anywhere: Vec<PathBuf>,
    /// Absolute paths that are protected.
    pub absolute: Vec<PathBuf>,
}

/// The marks that can be told from a change alone, most dangerous first. `root`: the directory's
/// absolute path.
pub(crate) fn marks(change: &Change, root: &[u8], sensitive: &Sensitive) -> Vec<Mark> {
    let mut marks = change.marks.clone();
    let path = &change.path.0;
    let parts: Vec<&[u8]> = path.split(|b| *b == b'/').collect();
    if is_sensitive(&parts, root, path, sensitive) {
        marks.push(Mark::Protected);
    }
    let whole: Vec<&[u8]> = root.split(|b| *b == b'/').chain(parts.iter().copied()).collect();
    if is_git_hook(&whole) {
        marks.push(Mark::GitHook);
    }
    if parts.iter().any(|part| part.starts_with(b".")) {
        marks.push(Mark::Dotfile);
    }
    if is_odd(path) {
        marks.push(Mark::OddName);
    }
    if let Some(new) = &change.new {
        let old = change.old.filter(|old| old.kind == new.kind);
        let before = old.map_or(0, |old| old.mode);
        match new.kind {
            FileKind::File => {
                if new.mode & 0o111 != 0 && (before & 0o111 == 0 || change.parts.content) {
                    marks.push(Mark::Executable);
                }
                if new.mode & 0o6000 != 0 {
                    marks.push(Mark::SetId);
                }
            }
            FileKind::Device => marks.push(Mark::Device),
            FileKind::Fifo | FileKind::Socket => marks.push(Mark::Special),
            FileKind::Directory | FileKind::Symlink => {}
        }
        let known = old.map_or(0o755, |old| old.mode);
        if new.kind != FileKind::Symlink && new.mode & !known & 0o022 != 0
            || old.is_some() && new.kind != FileKind::Symlink && new.mode & !known & 0o077 != 0
        {
            marks.push(Mark::ModeWider);
        }
        if let Some(target) = &change.target
            && change.kind != ChangeKind::Deleted
            && leaves(path, &target.0, root)
        {
            marks.push(Mark::LinkOutside);
        }
    }
    marks.sort_unstable();
    marks.dedup();
    marks
}

fn is_sensitive(parts: &[&[u8]], root: &[u8], path: &[u8], sensitive: &Sensitive) -> bool {
    let anywhere = sensitive.anywhere.iter().any(|wanted| {
        let wanted: Vec<&[u8]> = crate::dir::bytes(wanted).split(|b| *b == b'/').collect();
        parts.windows(wanted.len()).any(|window| same(window, &wanted))
    });
    let full = [root, b"/", path].concat();
    anywhere
        || sensitive
            .absolute
            .iter()
            .any(|wanted| crate::change::is_at_or_below(&full, crate::dir::bytes(wanted)))
}

/// Letter case is passed over: some file systems do not tell it apart.
fn same(a: &[&[u8]], b: &[&[u8]]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.eq_ignore_ascii_case(b))
}

/// Hooks and configuration in a repository, its worktrees and submodules, and a `.git` that is new.
fn is_git_hook(parts: &[&[u8]]) -> bool {
    let Some(at) = parts.iter().position(|part| part.eq_ignore_ascii_case(b".git")) else {
        return parts.last().is_some_and(|name| {
            [b".gitmodules".as_slice(), b".gitattributes"]
                .iter()
                .any(|n| name.eq_ignore_ascii_case(n))
        });
    };
    let rest = parts.get(at + 1..).unwrap_or_default();
    rest.is_empty() || rest.iter().any(|part| runs(part))
}

/// Whether a name in a repository is one of those that name programs, or say where those lie.
pub(crate) fn runs(name: &[u8]) -> bool {
    [b"hooks".as_slice(), b"config", b"config.worktree", b"commondir", b"gitdir"]
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known))
}

/// The names by which git knows a repository that is in no `.git`.
pub(crate) const REPOSITORY: [&[u8]; 4] = [b"HEAD", b"objects", b"refs", b"commondir"];

/// Whether a directory with certain names can be a repository to git. `commondir` says that another
/// directory has the objects, the branches and the configuration: that one needs no `HEAD`.
pub(crate) fn is_repository(has: impl Fn(&[u8]) -> bool) -> bool {
    has(b"objects") && has(b"refs") || has(b"HEAD") && has(b"commondir")
}

/// Whether a name can matter in a repository.
pub(crate) fn is_of_git(name: &[u8]) -> bool {
    runs(name) || REPOSITORY.iter().any(|part| name.eq_ignore_ascii_case(part))
}

fn is_odd(path: &[u8]) -> bool {
    let shown = swathe_record::bytes::Bytes(path.to_vec()).to_string();
    shown.as_bytes() != path
}

/// Whether a symlink leads out of its root: by an absolute target that is not below it, or by going
/// up too far. What other links do on the way is not looked at.
fn leaves(path: &[u8], target: &[u8], root: &[u8]) -> bool {
    let (mut depth, target) = if target.starts_with(b"/") {
        match target.strip_prefix(root) {
            Some(rest) if rest.is_empty() || rest.starts_with(b"/") => (0_i64, rest),
            _ => return true,
        }
    } else {
        let above = path.iter().filter(|b| **b == b'/').count();
        (i64::try_from(above).unwrap_or(0), target)
    };
    for part in target.split(|b| *b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => depth -= 1,
            _ => depth += 1,
        }
        if depth < 0 {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_that_leave() {
        let root = b"/home/u/p";
        for (path, target, out) in [
            ("a", "b", false),
            ("a", "../x", true),
            ("d/a", "../x", false),
            ("d/a", "../../x", true),
            ("d/a", "x/../../../p", true),
            ("a", "/etc/passwd", true),
            ("a", "/home/u/p/x", false),
            ("a", "/home/u/pp", true),
            ("a", "/home/u/p/../q", true),
            ("a", ".", false),
        ] {
            assert_eq!(leaves(path.as_bytes(), target.as_bytes(), root), out, "{path} -> {target}");
        }
    }

    #[test]
    fn repositories() {
        for (names, repository) in [
            ("HEAD objects refs", true),
            ("objects refs", true),
            ("HEAD commondir", true),
            ("HEAD objects", false),
            ("config hooks", false),
        ] {
            let has = |name: &[u8]| names.split(' ').any(|known| known.as_bytes() == name);
            assert_eq!(is_repository(has), repository, "{names}");
        }
    }

    #[test]
    fn hooks_by_any_case() {
        for (path, hook) in [
            (".git/hooks/post-checkout", true),
            ("sub/.GIT/Hooks/x", true),
            (".git/modules/m/config", true),
            (".git/index", false),
            ("git/hooks/x", false),
            (".git", true),
            ("a/.gitmodules", true),
        ] {
            let parts: Vec<&[u8]> = path.as_bytes().split(|b| *b == b'/').collect();
            assert_eq!(is_git_hook(&parts), hook, "{path}");
        }
    }
}

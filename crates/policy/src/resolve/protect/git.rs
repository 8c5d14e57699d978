//! What of git repositories makes git run something, and where it is: in worktrees and submodules
//! elsewhere than one would think.

use super::{Guard, is_lifted};
use crate::resolve::Kind;
use crate::resolve::build::Build;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use swathe_plan::model::StandIn;

/// The longest `.git` file or `commondir` that is read.
const MAX_POINTER: usize = 4096;
/// The most of a configuration that is read.
const MAX_CONFIG: usize = 64 << 10;
/// How deep configurations may include others.
const MAX_INCLUDES: usize = 4;
/// The most repositories that are protected.
const MAX_REPOSITORIES: usize = 256;
/// How deep submodules may be nested, and slashes in their names.
const MAX_MODULE_DEPTH: usize = 8;
/// Repositories in a tree are looked for in so many directories, the upper ones first, and not
/// deeper than this: a run must not wait for a walk through everything. A look at one directory
/// costs less than a list of those in it, so that a run cannot hide a repository from the next one
/// by some hundreds of directories before it.
const MAX_DIRECTORIES: usize = 256;
const MAX_TREES: usize = 2048;
const MAX_DEPTH: usize = 3;
/// The most names of one of these.
const MAX_NAMES: usize = 1024;

/// What was found so far.
struct Search<'b, 'a> {
    build: &'b Build<'a>,
    hooks: bool,
    config: bool,
    guards: Vec<Guard>,
    /// Work trees and git directories that were looked at.
    seen: Vec<PathBuf>,
}

/// What a configuration says that matters here.
#[derive(Default)]
struct Config {
    hooks: Option<PathBuf>,
    worktree: Option<PathBuf>,
    own_config: bool,
    included: Vec<PathBuf>,
}

/// The guards of every repository that is found below a writable directory.
pub(super) fn guards(build: &Build<'_>, root: &Path) -> Vec<Guard> {
    let hooks = !is_lifted(build, "git-hooks");
    let config = !is_lifted(build, "git-config");
    if !hooks && !config {
        return Vec::new();
    }
    let mut search = Search { build, hooks, config, guards: Vec::new(), seen: Vec::new() };
    let kind = |name: &str| build.files.kind(&root.join(name));
    if kind("HEAD") == Some(Kind::File) && kind("objects") == Some(Kind::Directory) {
        // A repository of its own, bare; or the git directory of one.
        search.repository(root, None);
    } else if kind(".git").is_none() {
        // Nor shall it become one.
        search.guards.push(Guard::directory(root.join(".git")));
        search.guards.push(Guard::file(root.join("HEAD")));
    }
    search.below(root);
    search.guards
}

impl Search<'_, '_> {
    fn is_new(&mut self, path: &Path) -> bool {
        if self.seen.len() >= MAX_REPOSITORIES || self.seen.iter().any(|seen| seen == path) {
            return false;
        }
        self.seen.push(path.to_owned());
        true
    }

    /// Work trees in a tree.
    fn below(&mut self, root: &Path) {
        let mut level = vec![root.to_owned()];
        let (mut looked, mut listed) = (0, 0);
        for depth in 0..=MAX_DEPTH {
            let mut next = Vec::new();
            for directory in level {
                looked += 1;
                if looked > MAX_TREES {
                    return;
                }
                self.work_tree(&directory);
                if depth < MAX_DEPTH && listed < MAX_DIRECTORIES {
                    listed += 1;
                    next.extend(self.directories(&directory));
                }
            }
            level = next;
        }
    }

    fn directories(&self, directory: &Path) -> Vec<PathBuf> {
        let mut names = self.build.files.directories(directory, MAX_NAMES);
        names.sort();
        // Packages are many, and no repositories.
        let plain = |name: &OsString| name != ".git" && name != "node_modules";
        names.into_iter().filter(plain).map(|name| directory.join(name)).collect()
    }

    /// The repository that a work tree names, if it is one.
    fn work_tree(&mut self, tree: &Path) {
        let files = self.build.files;
        let dot = tree.join(".git");
        let Some(kind) = files.kind(&dot) else { return };
        if !self.is_new(&dot) {
            return;
        }
        let real = files.real(&dot);
        match real.as_deref().and_then(|real| files.kind(real)) {
            Some(Kind::Directory) => {
                // By the name that git uses, so that a link there is kept, too.
                self.repository(&dot, Some(tree));
            }
            Some(Kind::File) => {
                self.guards.push(Guard::file(dot.clone()));
                if let Some(directory) = self.pointed(&dot, Some("gitdir:"), tree) {
                    self.repository(&directory, Some(tree));
                }
            }
            // A link that leads nowhere.
            _ if kind == Kind::Link => self.guards.push(Guard::directory(dot)),
            _ => {}
        }
    }

    /// A git directory; `tree` is its work tree.
    fn repository(&mut self, directory: &Path, tree: Option<&Path>) {
        if !self.is_new(&directory.join("HEAD")) {
            return;
        }
        let common = self.pointed(&directory.join("commondir"), None, directory);
        if let Some(common) = &common {
            // A linked work tree's: hooks and configuration are the repository's.
            if self.config {
                self.guards.push(Guard::file(directory.join("commondir")));
                self.guards.push(Guard::file(directory.join("config.worktree")));
            }
            return self.repository(common, None);
        }
        let config = self.configuration(directory, tree);
        if self.hooks {
            self.guards.push(Guard::directory(directory.join("hooks")));
            self.guards.extend(config.hooks.map(Guard::directory));
        }
        if self.config {
            self.guards.push(Guard::file(directory.join("config")));
            self.guards.extend(config.included.into_iter().map(Guard::file));
            // It would name another repository, with another configuration. "." names this one.
            let missing = StandIn::Text(b".".to_vec());
            self.guards.push(Guard { path: directory.join("commondir"), missing });
            let own = directory.join("config.worktree");
            if config.own_config || self.build.files.kind(&own).is_some() {
                self.guards.push(Guard::file(own));
            }
        }
        self.worktrees(&directory.join("worktrees"));
        self.modules(&directory.join("modules"), 0);
    }

    /// Linked work trees of a repository.
    fn worktrees(&mut self, directory: &Path) {
        for name in self.names(directory) {
            let own = directory.join(name);
            if let Some(dot) = self.pointed(&own.join("gitdir"), None, &own)
                && let Some(tree) = dot.parent()
            {
                self.work_tree(tree);
            }
            self.repository(&own, None);
        }
    }

    /// Submodules: a name may hold slashes, so that its directory is below others.
    fn modules(&mut self, directory: &Path, depth: usize) {
        if depth > MAX_MODULE_DEPTH {
            return;
        }
        for name in self.names(directory) {
            let path = directory.join(name);
            if self.build.files.kind(&path.join("HEAD")).is_none() {
                self.modules(&path, depth + 1);
                continue;
            }
            let tree = self.configuration(&path, None).worktree;
            if let Some(tree) = tree.and_then(|tree| self.build.files.real(&tree)) {
                self.work_tree(&tree);
            }
            self.repository(&path, None);
        }
    }

    fn names(&self, directory: &Path) -> Vec<OsString> {
        let mut names = self.build.files.directories(directory, MAX_NAMES);
        names.sort();
        names
    }

    /// The path in a file of one line, such as `gitdir: ../.git/worktrees/x`.
    fn pointed(&self, file: &Path, prefix: Option<&str>, base: &Path) -> Option<PathBuf> {
        let text = self.build.files.read(file, MAX_POINTER)?;
        let line = text.split(|byte| *byte == b'\n').next()?;
        let line = match prefix {
            Some(prefix) => line.strip_prefix(prefix.as_bytes())?,
            None => line,
        };
        // A placeholder of another run names the directory itself, or nothing before it is written.
        let line = Some(line.trim_ascii()).filter(|line| !matches!(*line, b"" | b"."))?;
        self.build.files.real(&base.join(OsStr::from_bytes(line)))
    }

    /// What a repository's and the user's configuration say.
    fn configuration(&self, directory: &Path, tree: Option<&Path>) -> Config {
        let mut config = Config::default();
        let home = &self.build.host.home;
        let hooks_base = tree.unwrap_or(directory);
        for file in [home.join(".config/git/config"), home.join(".gitconfig")] {
            self.read(&file, hooks_base, 0, &mut config);
        }
        // What the user's own files include is no business of the repository's.
        config.included.clear();
        for name in ["config", "config.worktree"] {
            self.read(&directory.join(name), hooks_base, 0, &mut config);
        }
        config
    }

    fn read(&self, file: &Path, hooks_base: &Path, depth: usize, config: &mut Config) {
        let Some(text) = self.build.files.read(file, MAX_CONFIG).filter(|_| depth < MAX_INCLUDES)
        else {
            return;
        };
        let beside = file.parent().unwrap_or(file);
        for (section, key, value) in entries(&text) {
            let path = |base: &Path| match value.strip_prefix(b"~/") {
                Some(rest) => self.build.host.home.join(OsStr::from_bytes(rest)),
                None => base.join(OsStr::from_bytes(&value)),
            };
            match (section.as_str(), key.as_str()) {
                ("core", "hookspath") => config.hooks = Some(path(hooks_base)),
                ("core", "worktree") => config.worktree = Some(path(beside)),
                ("extensions", "worktreeconfig") => {
                    config.own_config = !value.eq_ignore_ascii_case(b"false");
                }
                ("include" | "includeif", "path") => {
                    let path = path(beside);
                    self.read(&path, hooks_base, depth + 1, config);
                    config.included.push(path);
                }
                _ => {}
            }
        }
    }
}

/// Section, key and value of each line of a configuration; names in lower case. Values that go on
/// in the next line are cut.
fn entries(text: &[u8]) -> Vec<(String, String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut section = String::new();
    for line in text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii) {
        let mut line = line;
        if let Some(rest) = line.strip_prefix(b"[") {
            let Some(end) = rest.iter().position(|byte| *byte == b']') else { continue };
            let name = rest[..end].split(|byte| *byte == b' ' || *byte == b'"').next();
            section = String::from_utf8_lossy(name.unwrap_or_default()).to_ascii_lowercase();
            line = rest[end + 1..].trim_ascii();
        }
        let mut parts = line.splitn(2, |byte| *byte == b'=');
        let key = parts.next().unwrap_or_default().trim_ascii();
        if key.is_empty() || matches!(key[0], b'#' | b';') {
            continue;
        }
        let key = String::from_utf8_lossy(key).to_ascii_lowercase();
        found.push((section.clone(), key, value(parts.next().unwrap_or(b"true").trim_ascii())));
    }
    found
}

/// A value without quotes, escapes and a comment.
fn value(text: &[u8]) -> Vec<u8> {
    let (mut plain, mut quoted, mut bytes) = (Vec::new(), false, text.iter().copied());
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => quoted = !quoted,
            b'\\' => plain.extend(bytes.next()),
            b'#' | b';' if !quoted => break,
            byte => plain.push(byte),
        }
    }
    plain.trim_ascii_end().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Quotes, comments and a key beside its section are read as git reads them.
    #[test]
    fn reads_configurations() {
        let text = b"[core] hooksPath = \"a \\\"b#\" # c\n ; no\n[includeIf \"x\"]\n\tPath=../y ;z\n[a]\nb";
        let entry = |s: &str, k: &str, v: &[u8]| (s.to_owned(), k.to_owned(), v.to_vec());
        assert_eq!(
            entries(text),
            [
                entry("core", "hookspath", b"a \"b#"),
                entry("includeif", "path", b"../y"),
                entry("a", "b", b"true")
            ]
        );
    }
}

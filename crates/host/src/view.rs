//! What a plan's sandbox shows at a path, worked out from the plan and the host.
//!
//! It follows the operations as the set-up would, without doing anything. It serves explanations,
//! never decisions: destinations below links made on the host are not followed.

use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use swathe_plan::Plan;
use swathe_plan::model::{BindSource, FileOp};

/// The most links followed in one path.
const MAX_LINKS: u32 = 40;

/// What is at a path of the sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// This file or directory of the host; links are followed.
    Host(PathBuf),
    /// Something that the sandbox made itself.
    Made,
    /// Nothing; the path, after links, that is missing.
    Missing(PathBuf),
}

/// The view of a plan's sandbox.
#[derive(Debug)]
pub struct View<'p> {
    plan: &'p Plan,
    dests: Vec<PathBuf>,
}

impl<'p> View<'p> {
    /// The view of this plan.
    pub fn new(plan: &'p Plan) -> Self {
        let dests = plan.steps.iter().map(|s| absolute(&s.op.dest().0)).collect();
        Self { plan, dests }
    }

    /// What is at `path`, which counts from the sandbox's root.
    pub fn look(&self, path: &Path) -> Seen {
        let at = match self.resolve(path) {
            Ok(at) => at,
            Err(missing) => return Seen::Missing(missing),
        };
        match self.at(&at) {
            Entry::Host(path) => Seen::Host(path),
            Entry::Made => Seen::Made,
            Entry::Link(_) | Entry::Missing => Seen::Missing(at),
        }
    }

    /// The path without links and ".."; the error is the path that is missing.
    fn resolve(&self, path: &Path) -> Result<PathBuf, PathBuf> {
        let mut left: Vec<Vec<u8>> = components(path.as_os_str().as_bytes());
        let mut at = PathBuf::from("/");
        let mut links = 0;
        while let Some(name) = left.pop() {
            match name.as_slice() {
                b"." => continue,
                b".." => {
                    at.pop();
                    continue;
                }
                _ => at.push(OsStr::from_bytes(&name)),
            }
            let target = match self.at(&at) {
                Entry::Link(target) => target,
                Entry::Missing => {
                    left.iter().rev().for_each(|c| at.push(OsStr::from_bytes(c)));
                    return Err(at);
                }
                _ => continue,
            };
            links += 1;
            if links > MAX_LINKS {
                return Err(at);
            }
            at.pop();
            if target.starts_with(b"/") {
                at = PathBuf::from("/");
            }
            left.extend(components(&target));
        }
        Ok(at)
    }

    /// The text of the link at `path`, whose parents are followed.
    pub fn link(&self, path: &Path) -> Option<Vec<u8>> {
        let dir = self.resolve(path.parent()?).ok()?;
        match self.at(&dir.join(path.file_name()?)) {
            Entry::Link(target) => Some(target),
            _ => None,
        }
    }

    /// The last operation that mounts something at `path` or above it.
    pub fn covering(&self, path: &Path) -> Option<usize> {
        (0..self.dests.len()).rev().find(|&i| self.covers(i, path))
    }

    /// Whether operation `index` mounts something at `path` or above it.
    pub fn covers(&self, index: usize, path: &Path) -> bool {
        is_mount(&self.plan.steps[index].op) && path.starts_with(&self.dests[index])
    }

    /// What is at a path without links in it.
    fn at(&self, path: &Path) -> Entry {
        let mount = self.covering(path);
        let after = mount.map_or(0, |m| m + 1);
        for i in (after..self.dests.len()).rev() {
            match &self.plan.steps[i].op {
                FileOp::Symlink { target, .. } if self.dests[i] == path => {
                    return Entry::Link(target.clone());
                }
                _ if self.dests[i].starts_with(path) => return Entry::Made,
                _ => {}
            }
        }
        let Some(mount) = mount else {
            return if path == Path::new("/") { Entry::Made } else { Entry::Missing };
        };
        let rest = path.strip_prefix(&self.dests[mount]).unwrap_or(Path::new(""));
        let sources: Vec<PathBuf> = match &self.plan.steps[mount].op {
            FileOp::Bind { source: BindSource::Path { path, .. }, .. } => vec![host(&path.0)],
            FileOp::Bind { source: BindSource::Fd(fd), .. } => {
                vec![PathBuf::from(format!("/proc/self/fd/{fd}"))]
            }
            FileOp::Overlay { layers, .. } => layers.iter().rev().map(|l| host(&l.0)).collect(),
            // A procfs or a /dev: its usual contents are there.
            FileOp::Proc { .. } | FileOp::Dev { .. } => return Entry::Made,
            _ if rest.as_os_str().is_empty() => return Entry::Made,
            _ => return Entry::Missing,
        };
        for source in sources {
            let source = source.canonicalize().unwrap_or(source);
            let file = if rest.as_os_str().is_empty() { source } else { source.join(rest) };
            match std::fs::symlink_metadata(&file) {
                Ok(meta) if meta.is_symlink() => {
                    if let Ok(target) = std::fs::read_link(&file) {
                        return Entry::Link(target.into_os_string().into_vec());
                    }
                }
                Ok(_) => return Entry::Host(file),
                Err(_) => {}
            }
        }
        Entry::Missing
    }
}

enum Entry {
    Host(PathBuf),
    Made,
    Link(Vec<u8>),
    Missing,
}

fn is_mount(op: &FileOp) -> bool {
    matches!(
        op,
        FileOp::Bind { .. }
            | FileOp::Overlay { .. }
            | FileOp::Proc { .. }
            | FileOp::Dev { .. }
            | FileOp::Tmpfs { .. }
            | FileOp::Mqueue { .. }
            | FileOp::BindData { .. }
            | FileOp::Mask { .. }
    )
}

/// Components in the order in which they are popped.
fn components(path: &[u8]) -> Vec<Vec<u8>> {
    path.split(|&b| b == b'/').rev().filter(|c| !c.is_empty()).map(<[u8]>::to_vec).collect()
}

fn absolute(dest: &[u8]) -> PathBuf {
    let mut path = PathBuf::from("/");
    for part in dest.split(|&b| b == b'/').filter(|c| !c.is_empty() && *c != b".") {
        if part == b".." {
            path.pop();
        } else {
            path.push(OsStr::from_bytes(part));
        }
    }
    path
}

fn host(path: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use swathe_plan::parse::{Request, parse};

    fn plan(words: &[&str]) -> Plan {
        let words: Vec<&[u8]> = words.iter().map(|w| w.as_bytes()).collect();
        match parse(&words, &mut |_| Err(String::new())) {
            Ok(parsed) => match parsed.request {
                Request::Run(plan) => *plan,
                other => panic!("{other:?}"),
            },
            Err(e) => panic!("{e:?}"),
        }
    }

    /// Binds, links made in the sandbox, links of the host, later mounts over earlier ones.
    #[test]
    fn follows_the_plan() {
        let dir = std::env::temp_dir().join(format!("swathe-view-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("lib")).expect("dir");
        std::fs::write(dir.join("lib/a"), "").expect("file");
        std::os::unix::fs::symlink("/u/lib/a", dir.join("l")).expect("link");
        let d = dir.to_str().expect("utf-8");
        let plan =
            plan(&["--ro-bind", d, "/u", "--symlink", "u/lib", "/lib", "--tmpfs", "/u/x", "t"]);
        let view = View::new(&plan);
        let host = |p: &str| Seen::Host(dir.canonicalize().expect("dir").join(p));
        assert_eq!(view.look(Path::new("/u/lib/a")), host("lib/a"));
        assert_eq!(view.look(Path::new("/lib/a")), host("lib/a"));
        assert_eq!(view.look(Path::new("/u/l")), host("lib/a"));
        assert_eq!(view.look(Path::new("/u/x")), Seen::Made);
        assert_eq!(view.look(Path::new("/lib/b/c")), Seen::Missing("/u/lib/b/c".into()));
        assert_eq!(view.look(Path::new("/v")), Seen::Missing("/v".into()));
        std::fs::remove_dir_all(&dir).expect("clean");
    }
}

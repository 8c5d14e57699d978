//! Which destinations are known to lie in file systems that the sandbox itself has made.
//!
//! There such a destination does not exist yet, and is made at once instead of being looked for
//! first. That is all it is used for: how a path is resolved does not depend on it, so that an error
//! here costs a system call and no more. It is worked out from the plan before anything runs.

use alloc::collections::BTreeMap;
use alloc::ffi::CString;
use alloc::vec::Vec;
use swathe_plan::model::{BindSource, FileOp, Step};

/// How a destination is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The path relative to the sandbox's root, "." for the root itself.
    pub path: CString,
    /// The directories to make first, relative to the root.
    pub parents: Vec<CString>,
    /// The mode of directories that have to be made on the way.
    pub parent_mode: u32,
    /// Whether the path most likely does not exist yet, while all above it, `parents` made, are
    /// directories of the sandbox's own file systems.
    pub fresh: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    /// A directory of our own making; what is in it is known.
    OwnDir,
    /// Anything else.
    Other,
}

/// The modes that bubblewrap gives to what an operation creates.
pub fn default_perms(op: &FileOp) -> Option<u32> {
    match op {
        FileOp::Tmpfs { perms, .. } | FileOp::Dir { perms, .. } => Some(perms.unwrap_or(0o755)),
        FileOp::File { perms, .. } => Some(perms.unwrap_or(0o666)),
        FileOp::BindData { perms, .. } => Some(perms.unwrap_or(0o600)),
        _ => None,
    }
}

/// Works out the targets of all steps. `own_root`: the sandbox's root starts as an empty tmpfs.
pub fn targets(steps: &[Step], own_root: bool) -> Vec<Target> {
    let mut layout = Layout { nodes: BTreeMap::new() };
    if own_root {
        layout.nodes.insert(Vec::new(), Node::OwnDir);
    }
    steps.iter().map(|step| layout.target(&step.op)).collect()
}

struct Layout {
    nodes: BTreeMap<Vec<u8>, Node>,
}

impl Layout {
    fn target(&mut self, op: &FileOp) -> Target {
        let raw = &op.dest().0;
        if let FileOp::Chmod { .. } = op {
            // It has to exist: its path means what it means to the kernel, a slash at the end too.
            let (parents, parent_mode) = (Vec::new(), 0o700);
            return Target { path: relative(raw), parents, parent_mode, fresh: false };
        }
        // What a class may not use at all, it need not reach either. Mount points and links get
        // parents for their owner only, as bubblewrap has it.
        let perms = default_perms(op).unwrap_or(0o700);
        let closed = |class: u32| if perms & class == 0 { class } else { 0 };
        let parent_mode = 0o755 & !(closed(0o070) | closed(0o007));
        let optional =
            matches!(op, FileOp::Bind { source: BindSource::Path { optional: true, .. }, .. });
        let Some(path) = normal(raw) else {
            // ".." may lead anywhere.
            self.forget();
            let path = relative(&without_dots(raw));
            return Target { path, parents: Vec::new(), parent_mode, fresh: false };
        };
        let (parents, fresh) = match op {
            FileOp::RemountReadOnly { .. }
            | FileOp::Chmod { .. }
            | FileOp::Mask { .. }
            | FileOp::Pin { .. } => (Vec::new(), false),
            _ => self.way(&path, optional),
        };
        self.record(op, &path, fresh);
        Target {
            path: relative(&path),
            parents: parents.into_iter().map(|p| relative(&p)).collect(),
            parent_mode,
            fresh,
        }
    }

    /// The directories missing above `path`, and whether it is fresh once they are made.
    fn way(&mut self, path: &[u8], optional: bool) -> (Vec<Vec<u8>>, bool) {
        if path.is_empty() || self.nodes.contains_key(path) || optional {
            return (Vec::new(), false);
        }
        let mut missing = Vec::new();
        let mut at = path;
        loop {
            at = parent(at);
            match self.nodes.get(at) {
                Some(Node::OwnDir) => break,
                Some(Node::Other) => return (Vec::new(), false),
                // An unknown path is missing only if all above it is known; the root ends the walk.
                None if at.is_empty() => return (Vec::new(), false),
                None => missing.push(at.to_vec()),
            }
        }
        missing.reverse();
        for dir in &missing {
            self.nodes.insert(dir.clone(), Node::OwnDir);
        }
        (missing, true)
    }

    fn record(&mut self, op: &FileOp, path: &[u8], fresh: bool) {
        let below = |known: &[u8]| {
            path.is_empty() || known.strip_prefix(path).is_some_and(|r| r.first() == Some(&b'/'))
        };
        let covers = !matches!(
            op,
            FileOp::Dir { .. } | FileOp::RemountReadOnly { .. } | FileOp::Chmod { .. }
        );
        if !fresh && covers {
            // What is covered is not known any more. (Below what is new there is nothing.)
            self.nodes.retain(|known, _| !below(known));
        }
        match op {
            FileOp::RemountReadOnly { .. } | FileOp::Chmod { .. } => return,
            FileOp::Tmpfs { .. } => {
                let own =
                    path.is_empty() || fresh || self.nodes.get(parent(path)) == Some(&Node::OwnDir);
                self.nodes.insert(path.to_vec(), if own { Node::OwnDir } else { Node::Other });
            }
            FileOp::Dir { .. } => {
                if fresh {
                    self.nodes.insert(path.to_vec(), Node::OwnDir);
                }
            }
            _ => {
                self.nodes.insert(path.to_vec(), Node::Other);
            }
        }
        let through_own = path.is_empty() || self.nodes.get(parent(path)) == Some(&Node::OwnDir);
        if !fresh && !through_own {
            // A link on the way may have led anywhere.
            self.forget();
        }
    }

    /// Takes nothing for our own any more but the root, if it is. What lies directly in it may have
    /// been made by other means then: `fresh` only says what to try first.
    fn forget(&mut self) {
        for (path, node) in &mut self.nodes {
            if !path.is_empty() {
                *node = Node::Other;
            }
        }
    }
}

fn parent(path: &[u8]) -> &[u8] {
    path.iter().rposition(|&b| b == b'/').map_or(&[], |slash| &path[..slash])
}

/// The path without empty components and ".", relative to the root. A "." at the end stays: what it
/// follows has to be a directory.
fn without_dots(raw: &[u8]) -> Vec<u8> {
    let parts = raw.split(|&b| b == b'/').filter(|c| !c.is_empty() && *c != b".");
    let mut parts: Vec<&[u8]> = parts.collect();
    if raw.ends_with(b"/.") && !parts.is_empty() {
        parts.push(b".");
    }
    parts.join(&b'/')
}

/// The same; `None` when it holds "..", whose meaning depends on links, or ends in ".".
fn normal(raw: &[u8]) -> Option<Vec<u8>> {
    let path = without_dots(raw);
    (!path.split(|&b| b == b'/').any(|c| c == b".." || c == b".")).then_some(path)
}

fn relative(path: &[u8]) -> CString {
    let start = path.iter().position(|&b| b != b'/').unwrap_or(path.len());
    let rest = &path[start..];
    // A plan holds no NUL: the parser has refused it.
    CString::new(if rest.is_empty() { b"." } else { rest }).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use swathe_plan::model::{Access, BoxPath, HostPath, Origin};
    use swathe_plan::options::Opt;

    fn step(op: FileOp) -> Step {
        Step { op, origin: Origin { opt: Opt::Bind, index: 1, args_fd: None } }
    }

    fn bind(dest: &str) -> Step {
        let source = BindSource::Path { path: HostPath(b"/src".to_vec()), optional: false };
        let dest = BoxPath(dest.as_bytes().to_vec());
        step(FileOp::Bind { source, dest, access: Access::ReadOnly })
    }

    fn tmpfs(dest: &str) -> Step {
        let dest = BoxPath(dest.as_bytes().to_vec());
        step(FileOp::Tmpfs { dest, perms: None, size: None, inodes: None })
    }

    fn fresh(steps: &[Step]) -> Vec<bool> {
        targets(steps, true).iter().map(|t| t.fresh).collect()
    }

    /// Below our own tmpfs all is known; below a bind mount nothing is.
    #[test]
    fn knows_its_own() {
        assert_eq!(
            fresh(&[bind("/usr"), bind("/a/b/c"), bind("/a/b/d"), bind("/usr/x")]),
            [true, true, true, false]
        );
        assert_eq!(fresh(&[bind("/"), bind("/usr")]), [false, false]);
        assert_eq!(fresh(&[bind("/m"), tmpfs("/m/t"), bind("/m/t/x")]), [true, false, false]);
        assert_eq!(fresh(&[tmpfs("/t"), tmpfs("/t/u"), bind("/t/u/x")]), [true, true, true]);
        assert_eq!(
            fresh(&[tmpfs("/t"), bind("/t/x"), tmpfs("/t"), bind("/t/x")]).last(),
            Some(&true)
        );
    }

    /// A destination that is there already, or that a symbolic link may stand for, is not fresh.
    #[test]
    fn doubts() {
        let link = step(FileOp::Symlink { target: b"a".to_vec(), dest: BoxPath(b"/l".to_vec()) });
        assert_eq!(fresh(&[link, bind("/l/x"), bind("/l")]), [true, false, false]);
        assert_eq!(fresh(&[bind("/a/b"), bind("/x/../usr"), bind("/a/c")]), [true, false, false]);
        assert_eq!(fresh(&[bind("/x"), bind("/x")]), [true, false]);
        assert!(targets(&[bind("/usr")], false).iter().all(|t| !t.fresh));
    }

    /// Parents are listed once, outermost first.
    #[test]
    fn parents_are_made_once() {
        let all = targets(&[bind("/a/b/c"), bind("/a/b/d/e")], true);
        let names = |t: &Target| {
            t.parents.iter().map(|p| p.to_string_lossy().into_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(&all[0]), ["a", "a/b"]);
        assert_eq!(names(&all[1]), ["a/b/d"]);
    }
}

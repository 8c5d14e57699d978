//! What a plan's sandbox shows at a path, worked out from the plan and the host.
//!
//! It follows the operations as the set-up would, without doing anything. It serves explanations,
//! never decisions: destinations below links of the host are not followed.

use crate::files::{self, Path, components, is_below, join};
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use swathe_plan::Plan;
use swathe_plan::model::{Access, BindSource, FileOp};
use swathe_sys::rustix::fs::FileType;

/// The most links followed in one path.
const MAX_LINKS: u32 = 40;

/// What is at a path of the sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// This file or directory of the host; links are followed.
    Host(Path),
    /// Something that the sandbox made itself.
    Made,
    /// Nothing; the path, after links, that is missing.
    Missing(Path),
}

/// The view of a plan's sandbox. All its paths start at the sandbox's root, "/".
#[derive(Debug)]
pub struct View<'p> {
    plan: &'p Plan,
    dests: Vec<Path>,
    /// The operations that make links.
    links: Vec<usize>,
}

enum Entry {
    Host(Path),
    Made,
    Link(Path),
    Missing,
}

impl<'p> View<'p> {
    /// The view of this plan.
    pub fn new(plan: &'p Plan) -> Self {
        let mut view = Self { plan, dests: Vec::with_capacity(plan.steps.len()), links: vec![] };
        for (i, step) in plan.steps.iter().enumerate() {
            let dest = view.place(&step.op.dest().0);
            view.dests.push(dest);
            if matches!(step.op, FileOp::Symlink { .. }) {
                view.links.push(i);
            }
        }
        view
    }

    /// A destination as a path from the sandbox's root. Links that the plan makes above it are
    /// followed, those of the host are not, and ".." is taken as it is written.
    pub fn place(&self, dest: &[u8]) -> Path {
        let mut left: Vec<Path> = components(dest).rev().map(<[u8]>::to_vec).collect();
        let mut at: Path = b"/".to_vec();
        let mut links = 0;
        while let Some(name) = left.pop() {
            match name.as_slice() {
                b"." => continue,
                b".." => {
                    at = files::parent(&at).to_vec();
                    continue;
                }
                _ => {}
            }
            let path = join(&at, &name);
            match self.made_link(&path).filter(|_| !left.is_empty() && links < MAX_LINKS) {
                Some(target) => {
                    links += 1;
                    left.extend(components(target).rev().map(<[u8]>::to_vec));
                    if target.starts_with(b"/") {
                        at = b"/".to_vec();
                    }
                }
                None => at = path,
            }
        }
        at
    }

    /// The text of the link that the plan makes at `path` and does not cover later.
    fn made_link(&self, path: &[u8]) -> Option<&'p Path> {
        let at = *self.links.iter().rev().find(|&&i| self.dests[i] == path)?;
        let FileOp::Symlink { target, .. } = &self.plan.steps[at].op else { return None };
        self.covering(path).is_none_or(|mount| mount < at).then_some(target)
    }

    /// What is at `path`.
    pub fn look(&self, path: &[u8]) -> Seen {
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

    /// The file of the host at `path`, if the sandbox cannot have changed it: it is shown by a
    /// read-only bind mount.
    pub fn look_fixed(&self, path: &[u8]) -> Option<Path> {
        let at = self.resolve(path).ok()?;
        let by = &self.plan.steps[self.covering(&at)?].op;
        let fixed = matches!(by, FileOp::Bind { access: Access::ReadOnly, .. });
        match self.at(&at) {
            Entry::Host(path) if fixed => Some(path),
            _ => None,
        }
    }

    /// The text of the link at `path`, whose parents are followed.
    pub fn link(&self, path: &[u8]) -> Option<Path> {
        let path = self.place(path);
        let dir = self.resolve(files::parent(&path)).ok()?;
        match self.at(&join(&dir, components(&path).next_back()?)) {
            Entry::Link(target) => Some(target),
            _ => None,
        }
    }

    /// The last operation that mounts something at `path` or above it.
    pub fn covering(&self, path: &[u8]) -> Option<usize> {
        (0..self.dests.len()).rev().find(|&i| self.covers(i, path))
    }

    /// Whether operation `index` mounts something at `path` or above it.
    pub fn covers(&self, index: usize, path: &[u8]) -> bool {
        is_mount(&self.plan.steps[index].op) && is_below(path, &self.dests[index])
    }

    /// The path without links and ".."; the error is the path that is missing.
    fn resolve(&self, path: &[u8]) -> Result<Path, Path> {
        let mut left: Vec<Path> = components(path).rev().map(<[u8]>::to_vec).collect();
        let mut at: Path = b"/".to_vec();
        let mut links = 0;
        while let Some(name) = left.pop() {
            let before = at.clone();
            match name.as_slice() {
                b"." => continue,
                b".." => {
                    at = files::parent(&at).to_vec();
                    continue;
                }
                _ => at = join(&at, &name),
            }
            let target = match self.at(&at) {
                Entry::Link(target) => target,
                Entry::Missing => {
                    return Err(left.iter().rev().fold(at, |at, c| join(&at, c)));
                }
                _ => continue,
            };
            links += 1;
            if links > MAX_LINKS {
                return Err(at);
            }
            at = if target.starts_with(b"/") { b"/".to_vec() } else { before };
            left.extend(components(&target).rev().map(<[u8]>::to_vec));
        }
        Ok(at)
    }

    /// What is at a path without links in it.
    fn at(&self, path: &[u8]) -> Entry {
        let mount = self.covering(path);
        let after = mount.map_or(0, |m| m + 1);
        // A link stays one: what is made below its name later is made where it leads.
        if let Some(target) = self.made_link(path) {
            return Entry::Link(target.clone());
        }
        if self.dests[after..].iter().any(|dest| is_below(dest, path)) {
            return Entry::Made;
        }
        let Some(mount) = mount else {
            return if path == b"/" { Entry::Made } else { Entry::Missing };
        };
        let rest = path.strip_prefix(&self.dests[mount][..]).unwrap_or_default();
        let rest = rest.strip_prefix(b"/").unwrap_or(rest);
        let sources: Vec<Path> = match &self.plan.steps[mount].op {
            FileOp::Bind { source: BindSource::Path { path, .. }, .. } => vec![path.0.clone()],
            FileOp::Bind { source: BindSource::Fd(fd), .. } => {
                vec![format!("/proc/self/fd/{fd}").into_bytes()]
            }
            FileOp::Overlay { layers, .. } => layers.iter().rev().map(|l| l.0.clone()).collect(),
            // A procfs or a /dev: its usual contents are there.
            FileOp::Proc { .. } | FileOp::Dev { .. } => return Entry::Made,
            _ if rest.is_empty() => return Entry::Made,
            _ => return Entry::Missing,
        };
        sources.into_iter().find_map(|source| on_host(source, rest)).unwrap_or(Entry::Missing)
    }
}

/// What the host has at `rest` below a source, whose own links are followed.
fn on_host(source: Path, rest: &[u8]) -> Option<Entry> {
    let source = files::real_path(&source).unwrap_or(source);
    let file = if rest.is_empty() { source } else { join(&source, rest) };
    match files::kind(&file)? {
        FileType::Symlink => files::read_link(&file).map(Entry::Link),
        _ => Some(Entry::Host(file)),
    }
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
        let words = format!(
            "--ro-bind {d} /u --symlink u/lib /lib --tmpfs /u/x --symlink u /w --dir /w/n/y \
             --symlink old /w/n/l t"
        );
        let plan = plan(&words.split_whitespace().collect::<Vec<_>>());
        let view = View::new(&plan);
        let real = dir.canonicalize().expect("dir");
        let host = |p: &str| Seen::Host(real.join(p).into_os_string().into_encoded_bytes());
        assert_eq!(view.look(b"/u/lib/a"), host("lib/a"));
        assert_eq!(view.look(b"/lib/a"), host("lib/a"));
        assert_eq!(view.look(b"/u/l"), host("lib/a"));
        assert_eq!(view.look(b"/u/x"), Seen::Made);
        assert_eq!(view.look(b"/lib/b/c"), Seen::Missing(b"/u/lib/b/c".to_vec()));
        assert_eq!(view.link(b"/w").as_deref(), Some(&b"u"[..]));
        assert_eq!(view.look(b"/w/lib/a"), host("lib/a"));
        assert_eq!(view.look(b"/u/n/y"), Seen::Made);
        assert_eq!(view.link(b"/w/n/../n/l").as_deref(), Some(&b"old"[..]));
        assert_eq!(view.look(b"/v"), Seen::Missing(b"/v".to_vec()));
        std::fs::remove_dir_all(&dir).expect("clean");
    }
}

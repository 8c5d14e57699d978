//! A file tree in memory on which the operations of a plan are carried out: each in the most careful
//! way there is, or by the short way that the set-up takes where it expects nothing but its own.
//!
//! It knows directories, files, links, mounts on top of each other, and who made what. Paths are
//! resolved as openat2(2) does with `RESOLVE_IN_ROOT`.

use std::collections::{BTreeMap, HashMap};
use swathe_exec::layout::Target;

/// Why something cannot be done, as far as the operations tell one from the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// A component does not exist.
    Missing,
    /// Anything else.
    Other,
}

mod operations;

type Result<T> = std::result::Result<T, Error>;
type Inode = usize;
type Mount = usize;

/// The most links in one path.
const MAX_LINKS: usize = 40;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Directory(BTreeMap<Vec<u8>, Inode>),
    File,
    Link(Vec<u8>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Node {
    kind: Kind,
    /// The directory that holds it; itself for the root of a file system.
    above: Inode,
    /// Whether it lies in a file system that only the set-up can write to.
    own: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct MountPoint {
    root: Inode,
    /// What it covers; nothing for the first one, and for each that has become the root.
    on: Option<Place>,
    read_only: bool,
}

/// An inode as seen through a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place {
    mount: Mount,
    inode: Inode,
}

/// The host's files and the sandbox's mounts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    nodes: Vec<Node>,
    mounts: Vec<MountPoint>,
    covered: HashMap<Place, Mount>,
    host: Place,
    root: Place,
    /// The short way of the operation that is being carried out.
    hint: Option<Target>,
    /// The directory that the short way has walked to last.
    last: Option<(Vec<u8>, Place)>,
}

impl Default for Tree {
    fn default() -> Self {
        Self::new()
    }
}

impl Tree {
    /// An empty host, and an empty root for the sandbox.
    pub fn new() -> Self {
        let mut tree = Self {
            nodes: Vec::new(),
            mounts: Vec::new(),
            covered: HashMap::new(),
            host: Place { mount: 0, inode: 0 },
            root: Place { mount: 1, inode: 1 },
            hint: None,
            last: None,
        };
        for own in [false, true] {
            let root = tree.file_system(own);
            tree.mounts.push(MountPoint { root, on: None, read_only: false });
        }
        tree
    }

    fn node(&mut self, kind: Kind, above: Inode, own: bool) -> Inode {
        self.nodes.push(Node { kind, above, own });
        self.nodes.len() - 1
    }

    /// The root directory of a new file system.
    fn file_system(&mut self, own: bool) -> Inode {
        let inode = self.nodes.len();
        self.node(Kind::Directory(BTreeMap::new()), inode, own)
    }

    fn add(&mut self, dir: Inode, name: &[u8], kind: Kind) -> Result<Inode> {
        let own = self.nodes[dir].own;
        let inode = self.nodes.len();
        match &mut self.nodes[dir].kind {
            Kind::Directory(entries) if !entries.contains_key(name) => {
                entries.insert(name.to_vec(), inode);
            }
            _ => return Err(Error::Other),
        }
        Ok(self.node(kind, dir, own))
    }

    /// Puts a directory on the host, below directory number `parent` of those made so far.
    pub fn host_directory(&mut self, parent: usize, name: &[u8]) {
        let dir = self.host_dir(parent);
        let _ = self.add(dir, name, Kind::Directory(BTreeMap::new()));
    }

    /// Puts a file on the host.
    pub fn host_file(&mut self, parent: usize, name: &[u8]) {
        let dir = self.host_dir(parent);
        let _ = self.add(dir, name, Kind::File);
    }

    /// Puts a link on the host.
    pub fn host_link(&mut self, parent: usize, name: &[u8], target: &[u8]) {
        let dir = self.host_dir(parent);
        let _ = self.add(dir, name, Kind::Link(target.to_vec()));
    }

    fn host_dir(&self, number: usize) -> Inode {
        let is_dir =
            |&i: &Inode| !self.nodes[i].own && matches!(self.nodes[i].kind, Kind::Directory(_));
        let all: Vec<Inode> = (0..self.nodes.len()).filter(is_dir).collect();
        all[number % all.len()]
    }

    /// What is mounted on top at a place.
    fn topmost(&self, mut place: Place) -> Place {
        while let Some(&mount) = self.covered.get(&place) {
            place = Place { mount, inode: self.mounts[mount].root };
        }
        place
    }

    fn above(&self, mut place: Place, root: Place) -> Place {
        loop {
            if place == root {
                return place;
            }
            if place.inode != self.mounts[place.mount].root {
                let inode = self.nodes[place.inode].above;
                return self.topmost(Place { inode, ..place });
            }
            match self.mounts[place.mount].on {
                Some(on) => place = on,
                None => return place,
            }
        }
    }

    fn child(&self, dir: Place, name: &[u8]) -> Result<Place> {
        let Kind::Directory(entries) = &self.nodes[dir.inode].kind else {
            return Err(Error::Other);
        };
        let &inode = entries.get(name).ok_or(Error::Missing)?;
        Ok(self.topmost(Place { inode, ..dir }))
    }

    /// Resolves a path beneath a root. A link at its end is followed when `follow`, or when a slash
    /// follows it.
    fn resolve_in(&self, root: Place, path: &[u8], follow: bool) -> Result<Place> {
        let follow = follow || path.ends_with(b"/");
        let mut at = root;
        let mut left: Vec<Vec<u8>> = reversed(path);
        let mut links = 0;
        while let Some(name) = left.pop() {
            if !matches!(self.nodes[at.inode].kind, Kind::Directory(_)) {
                return Err(Error::Other);
            }
            match name.as_slice() {
                b"." => continue,
                b".." => {
                    at = self.above(at, root);
                    continue;
                }
                _ => {}
            }
            let next = self.child(at, &name)?;
            let Kind::Link(target) = &self.nodes[next.inode].kind else {
                at = next;
                continue;
            };
            if left.is_empty() && !follow {
                return Ok(next);
            }
            links += 1;
            if links > MAX_LINKS {
                return Err(Error::Other);
            }
            if target.starts_with(b"/") {
                at = root;
            }
            left.extend(reversed(target));
        }
        if path.ends_with(b"/") && !self.is_directory(at) {
            return Err(Error::Other);
        }
        Ok(at)
    }

    fn resolve(&self, path: &[u8], follow: bool) -> Result<Place> {
        self.resolve_in(self.root, path, follow)
    }

    fn is_directory(&self, place: Place) -> bool {
        matches!(self.nodes[place.inode].kind, Kind::Directory(_))
    }

    fn is_link(&self, place: Place) -> bool {
        matches!(self.nodes[place.inode].kind, Kind::Link(_))
    }

    fn create(&mut self, dir: Place, name: &[u8], kind: Kind) -> Result<Place> {
        if self.mounts[dir.mount].read_only {
            return Err(Error::Other);
        }
        let inode = self.add(dir.inode, name, kind)?;
        Ok(Place { inode, ..dir })
    }

    fn directory(&mut self, path: &[u8]) -> Result<Place> {
        let is_directory =
            |tree: &Self, at: Place| if tree.is_directory(at) { Ok(at) } else { Err(Error::Other) };
        match self.resolve(path, true) {
            Err(Error::Missing) => {}
            other => return other.and_then(|at| is_directory(self, at)),
        }
        let mut dir = self.root;
        let mut so_far = Vec::new();
        for name in reversed(path).into_iter().rev() {
            so_far.extend_from_slice(&name);
            dir = match self.resolve(&so_far, true) {
                Err(Error::Missing) => {
                    // A link that leads nowhere is there already: then the second look fails.
                    let _ = self.create(dir, &name, Kind::Directory(BTreeMap::new()));
                    self.resolve(&so_far, true)?
                }
                other => other?,
            };
            is_directory(self, dir)?;
            so_far.push(b'/');
        }
        Ok(dir)
    }

    /// Walks to a directory by its plain path, on which there may be no link.
    fn plain(&mut self, path: &[u8]) -> Result<Place> {
        if path.is_empty() {
            return Ok(self.root);
        }
        if let Some((known, place)) = &self.last
            && known == path
        {
            return Ok(*place);
        }
        let mut at = self.root;
        for name in path.split(|&b| b == b'/') {
            at = self.child(at, name)?;
        }
        if !self.is_directory(at) {
            return Err(Error::Other);
        }
        self.last = Some((path.to_vec(), at));
        Ok(at)
    }

    /// The short way: the parents that are thought to be missing are made at once, and nothing on
    /// the way is followed. Nothing when something unexpected is there.
    fn short(&mut self) -> Option<(Place, Vec<u8>)> {
        let target = self.hint.clone().filter(|t| t.fresh)?;
        let split = |path: &[u8]| match path.iter().rposition(|&b| b == b'/') {
            Some(slash) => (path[..slash].to_vec(), path[slash + 1..].to_vec()),
            None => (Vec::new(), path.to_vec()),
        };
        for parent in &target.parents {
            let (dir, name) = split(parent.to_bytes());
            let dir = self.plain(&dir).ok()?;
            let _ = self.create(dir, &name, Kind::Directory(BTreeMap::new()));
        }
        let (dir, name) = split(target.path.to_bytes());
        Some((self.plain(&dir).ok()?, name))
    }

    /// The directory of a destination, and the name in it; no name when it has none.
    fn parent(&mut self, dest: &[u8]) -> Result<(Place, Vec<u8>)> {
        if let Some(found) = self.short() {
            return Ok(found);
        }
        let mut names: Vec<Vec<u8>> = reversed(dest).into_iter().rev().collect();
        match names.pop() {
            Some(last) if last != b"." && last != b".." => {
                Ok((self.directory(&names.join(&b'/'))?, last))
            }
            _ => Ok((self.resolve(dest, true)?, Vec::new())),
        }
    }

    /// Where to mount, created if need be.
    fn point(&mut self, dest: &[u8], directory: bool) -> Result<Place> {
        let kind = if directory { Kind::Directory(BTreeMap::new()) } else { Kind::File };
        if let Some((dir, name)) = self.short()
            && let Ok(at) = self.create(dir, &name, kind)
        {
            // A new name covers nothing: the directory walked to last is still the right one.
            return Ok(at);
        }
        self.last = None;
        let at = match self.resolve(dest, false) {
            Err(Error::Missing) => {
                let (dir, name) = self.parent(dest)?;
                let kind = if directory { Kind::Directory(BTreeMap::new()) } else { Kind::File };
                self.create(dir, &name, kind)?
            }
            other => other?,
        };
        if self.is_link(at) || self.is_directory(at) != directory {
            return Err(Error::Other);
        }
        Ok(at)
    }

    fn mount(&mut self, dest: &[u8], root: Inode, read_only: bool) -> Result<()> {
        let directory = matches!(self.nodes[root].kind, Kind::Directory(_));
        let at = self.point(dest, directory)?;
        self.mount_on(at, root, read_only);
        Ok(())
    }

    fn mount_on(&mut self, at: Place, root: Inode, read_only: bool) {
        let mount = self.mounts.len();
        if at == self.root {
            self.mounts.push(MountPoint { root, on: None, read_only });
            self.root = Place { mount, inode: root };
            self.last = None;
        } else {
            self.mounts.push(MountPoint { root, on: Some(at), read_only });
            self.covered.insert(at, mount);
        }
    }
}

/// What a destination names: "." and empty components say nothing.
fn named(dest: &[u8]) -> Vec<u8> {
    let names = dest.split(|&b| b == b'/').filter(|c| !c.is_empty() && *c != b".");
    names.collect::<Vec<_>>().join(&b'/')
}

fn reversed(path: &[u8]) -> Vec<Vec<u8>> {
    path.split(|&b| b == b'/').rev().filter(|c| !c.is_empty()).map(<[u8]>::to_vec).collect()
}

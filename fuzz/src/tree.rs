//! A file tree in memory on which the operations of a plan are carried out, each in the most
//! careful way there is: the reference for what the set-up may take for granted.
//!
//! It knows directories, files, links, mounts on top of each other, and who made what. Paths are
//! resolved as openat2(2) does with `RESOLVE_IN_ROOT`.

use std::collections::{BTreeMap, HashMap};
use swathe_plan::model::{Access, BindSource, FileOp, OverlayUpper};

/// Why something cannot be done, as far as the operations tell one from the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Error {
    /// A component does not exist.
    Missing,
    /// Anything else.
    Other,
}

type Result<T> = std::result::Result<T, Error>;
type Inode = usize;
type Mount = usize;

/// The most links in one path.
const MAX_LINKS: usize = 40;

#[derive(Debug, Clone)]
enum Kind {
    Directory(BTreeMap<Vec<u8>, Inode>),
    File,
    Link(Vec<u8>),
}

#[derive(Debug, Clone)]
struct Node {
    kind: Kind,
    /// The directory that holds it; itself for the root of a file system.
    above: Inode,
    /// Whether it is plain and lies in a file system that only the set-up can write to.
    own: bool,
}

#[derive(Debug, Clone)]
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
#[derive(Debug, Clone)]
pub struct Tree {
    nodes: Vec<Node>,
    mounts: Vec<MountPoint>,
    covered: HashMap<Place, Mount>,
    host: Place,
    root: Place,
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

    /// The directory of a destination, and the name in it; no name when it has none.
    fn parent(&mut self, dest: &[u8]) -> Result<(Place, Vec<u8>)> {
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
        } else {
            self.mounts.push(MountPoint { root, on: Some(at), read_only });
            self.covered.insert(at, mount);
        }
    }

    /// What an operation shows of the host; nothing when it is optional and missing.
    ///
    /// # Errors
    /// The host has nothing there.
    pub fn source(&self, op: &FileOp) -> Result<Option<Place>> {
        match op {
            FileOp::Bind { source: BindSource::Path { path, optional }, .. } => {
                match self.resolve_in(self.host, &path.0, true) {
                    Err(Error::Missing) if *optional => Ok(None),
                    other => other.map(Some),
                }
            }
            FileOp::Bind { source: BindSource::Fd(fd), .. } => {
                let theirs: Vec<Inode> =
                    (0..self.nodes.len()).filter(|&i| !self.nodes[i].own).collect();
                let inode = theirs[*fd as usize % theirs.len()];
                if matches!(self.nodes[inode].kind, Kind::Link(_)) {
                    return Err(Error::Other);
                }
                Ok(Some(Place { inode, ..self.host }))
            }
            FileOp::Overlay { layers, .. } => {
                let top = layers.last().ok_or(Error::Other)?;
                let place = self.resolve_in(self.host, &top.0, true)?;
                if self.is_directory(place) { Ok(Some(place)) } else { Err(Error::Other) }
            }
            _ => Ok(None),
        }
    }

    /// Carries out an operation, whose source was found before the first one.
    ///
    /// # Errors
    /// It fails; the tree may have changed.
    pub fn execute(&mut self, op: &FileOp, source: Option<Place>) -> Result<()> {
        let dest = named(&op.dest().0);
        match op {
            FileOp::Bind { access, .. } => match source {
                Some(source) => self.mount(dest, source.inode, *access == Access::ReadOnly),
                None => Ok(()),
            },
            // What lies in an overlay comes from its layers: here, from the topmost.
            FileOp::Overlay { upper, .. } => {
                let source = source.ok_or(Error::Other)?;
                let copy = self.copy(source.inode);
                self.mount(dest, copy, *upper == OverlayUpper::None)
            }
            FileOp::Tmpfs { .. } => {
                let root = self.file_system(true);
                self.mount(dest, root, false)
            }
            FileOp::Proc { .. } | FileOp::Mqueue { .. } => {
                let root = self.file_system(false);
                self.add(root, b"a", Kind::Link(b"b".to_vec()))?;
                self.add(root, b"b", Kind::Directory(BTreeMap::new()))?;
                self.mount(dest, root, false)
            }
            FileOp::Dev { .. } => {
                let root = self.file_system(true);
                self.add(root, b"a", Kind::File)?;
                self.add(root, b"b", Kind::Directory(BTreeMap::new()))?;
                self.add(root, b"c", Kind::Link(b"/a".to_vec()))?;
                self.mount(dest, root, false)
            }
            FileOp::BindData { read_only, .. } => {
                let file = self.node(Kind::File, 0, true);
                self.mount(dest, file, *read_only)
            }
            FileOp::Dir { .. } => self.make(dest, Kind::Directory(BTreeMap::new())),
            FileOp::File { .. } => self.make(dest, Kind::File),
            FileOp::Symlink { target, .. } => self.make(dest, Kind::Link(target.clone())),
            FileOp::Chmod { .. } => {
                let at = self.resolve(dest, false)?;
                if self.is_link(at) { Err(Error::Other) } else { Ok(()) }
            }
            FileOp::RemountReadOnly { .. } => {
                let at = self.resolve(dest, false)?;
                if self.mounts[at.mount].root != at.inode {
                    return Err(Error::Other);
                }
                self.mounts[at.mount].read_only = true;
                Ok(())
            }
            FileOp::Mask { .. } => self.mask(dest),
        }
    }

    /// Creates something by its name, or finds the same there already.
    fn make(&mut self, dest: &[u8], kind: Kind) -> Result<()> {
        let (dir, name) = self.parent(dest)?;
        let old = if name.is_empty() { Ok(dir) } else { self.child(dir, &name) };
        match (old, kind) {
            (Err(Error::Missing), kind) => self.create(dir, &name, kind).map(drop),
            (Err(e), _) => Err(e),
            (Ok(old), Kind::Directory(_)) if self.is_directory(old) => Ok(()),
            (Ok(old), Kind::File) if matches!(self.nodes[old.inode].kind, Kind::File) => {
                if self.mounts[old.mount].read_only { Err(Error::Other) } else { Ok(()) }
            }
            (Ok(old), Kind::Link(new)) => match &self.nodes[old.inode].kind {
                Kind::Link(target) if *target == new => Ok(()),
                _ => Err(Error::Other),
            },
            _ => Err(Error::Other),
        }
    }

    fn mask(&mut self, dest: &[u8]) -> Result<()> {
        let at = match self.resolve(dest, false) {
            Err(Error::Missing) => return Ok(()),
            other => other?,
        };
        let cover = match self.nodes[at.inode].kind {
            Kind::Link(_) => return Err(Error::Other),
            Kind::Directory(_) => self.file_system(false),
            Kind::File => self.node(Kind::File, 0, false),
        };
        self.mount_on(at, cover, true);
        Ok(())
    }

    fn copy(&mut self, inode: Inode) -> Inode {
        let kind = self.nodes[inode].kind.clone();
        let new = self.nodes.len();
        self.node(kind.clone(), new, false);
        if let Kind::Directory(entries) = kind {
            let mut copies = BTreeMap::new();
            for (name, entry) in entries {
                let copy = self.copy(entry);
                self.nodes[copy].above = new;
                copies.insert(name, copy);
            }
            self.nodes[new].kind = Kind::Directory(copies);
        }
        new
    }

    /// Whether a path, taken literally from the root, is missing and every directory above it is a
    /// plain one in a file system of our own; directories in `made` may be missing too.
    ///
    /// # Errors
    /// What is wrong.
    pub fn is_fresh(&self, path: &[u8], made: &[Vec<u8>]) -> std::result::Result<(), String> {
        let show = |path: &[u8]| String::from_utf8_lossy(path).into_owned();
        if path.is_empty() || path.starts_with(b"/") {
            return Err(format!("{:?} is no relative path", show(path)));
        }
        let names: Vec<&[u8]> = path.split(|&b| b == b'/').collect();
        let mut at = Ok(self.root);
        let mut missing = 0;
        for (i, name) in names.iter().enumerate() {
            let here = names[..i].join(&b'/');
            match at {
                Ok(dir) if !self.is_directory(dir) => {
                    return Err(format!("{:?} is no directory", show(&here)));
                }
                Ok(dir) if !self.nodes[dir.inode].own => {
                    return Err(format!("{:?} is not of our own making", show(&here)));
                }
                Ok(dir) => at = self.child(dir, name),
                Err(_) => {
                    if made.get(missing) != Some(&here) {
                        return Err(format!("{:?} is missing", show(&here)));
                    }
                    missing += 1;
                }
            }
            if matches!(*name, b"" | b"." | b"..") {
                return Err(format!("{:?} is not plain", show(path)));
            }
        }
        match at {
            Ok(_) => Err(format!("{:?} exists", show(path))),
            Err(_) if missing != made.len() => Err(format!("{:?} exist already", &made[missing..])),
            Err(_) => Ok(()),
        }
    }
}

/// What a destination names: slashes at its end say nothing, unless its components have to be
/// taken one by one.
fn named(dest: &[u8]) -> &[u8] {
    if dest.split(|&b| b == b'/').any(|name| matches!(name, b"." | b"..")) {
        return dest;
    }
    let end = dest.iter().rposition(|&b| b != b'/').map_or(0, |last| last + 1);
    &dest[..end]
}

fn reversed(path: &[u8]) -> Vec<Vec<u8>> {
    path.split(|&b| b == b'/').rev().filter(|c| !c.is_empty()).map(<[u8]>::to_vec).collect()
}

//! The operations of a plan on the tree.

use super::{Error, Inode, Kind, Mount, MountPoint, Place, Result, Tree, named, reversed};
use std::collections::BTreeMap;
use swathe_exec::layout::Target;
use swathe_plan::model::{Access, BindSource, FileOp, OverlayUpper};

impl Tree {
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

    /// Carries out an operation by the way that its target says; see [`Tree::execute`].
    ///
    /// # Errors
    /// It fails; the tree may have changed.
    pub fn execute_short(
        &mut self,
        op: &FileOp,
        source: Option<Place>,
        target: &Target,
    ) -> Result<()> {
        self.hint = Some(target.clone());
        let done = self.execute(op, source);
        self.hint = None;
        done
    }

    /// Whether both show the same.
    pub fn is_same(&self, other: &Self) -> bool {
        let plain = |tree: &Self| Self { last: None, hint: None, ..tree.clone() };
        plain(self) == plain(other)
    }

    /// Carries out an operation, whose source was found before the first one.
    ///
    /// # Errors
    /// It fails; the tree may have changed.
    pub fn execute(&mut self, op: &FileOp, source: Option<Place>) -> Result<()> {
        let dest = &named(&op.dest().0);
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
            FileOp::Pin { .. } => {
                self.last = None;
                self.resolve(dest, false).map(drop)
            }
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

    /// Covers what is there, or a placeholder for what is not; directories above it become mounts.
    fn mask(&mut self, dest: &[u8]) -> Result<()> {
        self.last = None;
        self.pin(dest)?;
        let at = match self.resolve(dest, false) {
            Err(Error::Missing) => match self.placeholder(dest) {
                Ok(at) => at,
                Err(_) => return Ok(()),
            },
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

    fn pin(&mut self, dest: &[u8]) -> Result<()> {
        for end in (0..dest.len()).filter(|&i| dest[i] == b'/') {
            let at = match self.resolve(&dest[..end], false) {
                Err(Error::Missing) => return Ok(()),
                other => other?,
            };
            if self.is_link(at) {
                return Err(Error::Other);
            }
            if !self.is_directory(at) {
                return Ok(());
            }
            let mount = self.mounts.len();
            self.mount_on(at, at.inode, self.mounts[at.mount].read_only);
            self.copy_mounts(at.mount, mount, mount);
        }
        Ok(())
    }

    /// Everything that is mounted in a mount, once more in a copy of it; mounts from `end` on are
    /// copies themselves.
    fn copy_mounts(&mut self, from: Mount, to: Mount, end: Mount) {
        let mut inside: Vec<(Place, Mount)> = self.covered.iter().map(|(p, m)| (*p, *m)).collect();
        inside.retain(|(on, mount)| on.mount == from && *mount < end);
        inside.sort_by_key(|(_, mount)| *mount);
        for (on, mount) in inside {
            let copy = self.mounts.len();
            let on = Place { mount: to, ..on };
            self.mounts.push(MountPoint { on: Some(on), ..self.mounts[mount].clone() });
            self.covered.insert(on, copy);
            self.copy_mounts(mount, copy, end);
        }
    }

    /// A file in the place of the first component that is missing.
    fn placeholder(&mut self, dest: &[u8]) -> Result<Place> {
        let mut dir = self.root;
        let mut so_far = Vec::new();
        for name in reversed(dest).into_iter().rev() {
            so_far.extend_from_slice(&name);
            match self.resolve(&so_far, true) {
                Err(Error::Missing) => return self.create(dir, &name, Kind::File),
                other => dir = other?,
            }
            so_far.push(b'/');
        }
        Err(Error::Other)
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
}

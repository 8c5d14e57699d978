//! The directories that a change works on.

use crate::dir::{Dir, split};
use crate::error::{Error, ErrorKind, Result, Step as _};
use crate::journal::{Journal, Op};
use crate::meta::{Id, Meta};
use crate::scan::Sides;
use crate::store::{Held, Workspace};
use rustix::io::Errno;
use std::cell::RefCell;
use std::rc::Rc;

/// Those of one root.
#[derive(Debug)]
pub(crate) struct Place {
    pub sides: Sides,
    /// The area's `undo`, where each change has a directory.
    pub undo: Dir,
    /// This change's.
    saved: Rc<Dir>,
    /// Whether files can be renamed between the host's directory and the area.
    pub moves: bool,
    lower: Cache,
    upper: Cache,
}

/// The directory that was used last: steps come in the order of the tree.
#[derive(Debug, Default)]
pub(crate) struct Cache(RefCell<Option<(Vec<u8>, Rc<Dir>)>>);

impl Cache {
    /// As [`Dir::find`].
    pub fn find(&self, root: &Dir, path: &[u8]) -> Result<Option<Rc<Dir>>> {
        let mut last = self.0.borrow_mut();
        if let Some((known, dir)) = last.as_ref()
            && known == path
        {
            return Ok(Some(Rc::clone(dir)));
        }
        let found = root.find(path).step("open", path)?.map(Rc::new);
        *last = found.as_ref().map(|dir| (path.to_vec(), Rc::clone(dir)));
        Ok(found)
    }

    /// To be called when directories were made or removed.
    pub fn forget(&self) {
        self.0.take();
    }
}

impl Place {
    /// A path on the host; none where its directory is not there.
    pub fn lower(&self, path: &[u8]) -> Result<Option<At>> {
        let (dir, name) = split(path);
        let found = self.lower.find(&self.sides.lower, dir)?;
        Ok(found.map(|dir| At { dir, name: name.to_vec() }))
    }

    /// A path in the upper; none where its directory is not there.
    pub fn upper(&self, path: &[u8]) -> Result<Option<At>> {
        let (dir, name) = split(path);
        let found = self.upper.find(&self.sides.upper, dir)?;
        Ok(found.map(|dir| At { dir, name: name.to_vec() }))
    }

    /// A name among the saved copies of this change.
    pub fn saved(&self, name: &str) -> At {
        At { dir: Rc::clone(&self.saved), name: name.as_bytes().to_vec() }
    }

    /// To be called when directories were made or removed.
    pub fn forget(&self) {
        self.lower.forget();
        self.upper.forget();
    }
}

/// Those of all roots.
#[derive(Debug)]
pub(crate) struct Work<'a> {
    pub workspace: &'a Workspace,
    pub places: Vec<Place>,
}

impl<'a> Work<'a> {
    pub fn open(held: &'a Held, journal: &Journal) -> Result<Self> {
        let mut places = Vec::new();
        for (number, root) in held.about.roots.iter().enumerate() {
            let sides = held.sides(number)?;
            let area = Dir::open(root.area.as_path()).step("open", &root.area.0)?;
            let undo = area.make(b"undo", 0o700).step("make a directory in", &root.area.0)?;
            let own = journal.head.id.as_bytes();
            let saved = undo.make(own, 0o700).step("make a directory in", &root.area.0)?;
            let at = |dir: &Dir| -> std::result::Result<_, Errno> {
                Ok((dir.meta()?.dev, crate::about::born_and_mount(dir)?.1))
            };
            let host = at(&sides.lower).step("look at", &root.path.0)?;
            let moves = host == at(&undo).step("look at", &root.area.0)?;
            let (lower, upper) = (Cache::default(), Cache::default());
            places.push(Place { sides, undo, saved: Rc::new(saved), moves, lower, upper });
        }
        Ok(Self { workspace: held, places })
    }

    pub fn place(&self, op: &Op) -> Result<&Place> {
        let lost = || Error::new(ErrorKind::Damaged, "the journal names no root".to_owned());
        self.places.get(op.root).ok_or_else(lost)
    }

    /// Writes everything to the disk.
    pub fn sync(&self) -> Result<()> {
        for (place, root) in self.places.iter().zip(&self.workspace.about.roots) {
            let host = place.sides.lower.readable().step("open", &root.path.0)?;
            rustix::fs::syncfs(host).step("write to the disk", &root.path.0)?;
            if !place.moves {
                let area = place.undo.readable().step("open", &root.area.0)?;
                rustix::fs::syncfs(area).step("write to the disk", &root.area.0)?;
            }
        }
        Ok(())
    }

    /// Removes what was saved by other changes than the one to keep.
    pub fn remove_saved(&self, keep: Option<&[u8]>) -> Result<()> {
        for (place, root) in self.places.iter().zip(&self.workspace.about.roots) {
            for name in place.undo.list().step("list", &root.area.0)? {
                if Some(name.as_slice()) != keep {
                    crate::remove::tree(&place.undo, &name).step("remove", &name)?;
                }
            }
        }
        Ok(())
    }

    /// Removes this change's own directories.
    pub fn remove_own(&self, journal: &Journal) -> Result<()> {
        for place in &self.places {
            let name = journal.head.id.as_bytes();
            crate::remove::tree(&place.undo, name).step("remove", name)?;
        }
        Ok(())
    }
}

/// A name in a directory.
#[derive(Debug)]
pub(crate) struct At {
    pub dir: Rc<Dir>,
    pub name: Vec<u8>,
}

impl At {
    /// None where the directory is not there.
    pub fn find(root: &Dir, path: &[u8]) -> Result<Option<Self>> {
        let (dir, name) = split(path);
        let found = root.find(dir).step("open", dir)?;
        Ok(found.map(|dir| Self { dir: Rc::new(dir), name: name.to_vec() }))
    }

    pub fn beside(&self, name: Vec<u8>) -> Self {
        Self { dir: Rc::clone(&self.dir), name }
    }

    pub fn meta(&self) -> Result<Option<Meta>> {
        self.dir.stat(&self.name).step("look at", &self.name)
    }

    pub fn id(&self) -> Result<Option<Id>> {
        Ok(self.meta()?.map(|meta| meta.id()))
    }

    /// Moves it; never over something. Whether it was there and the place was free.
    pub fn rename(&self, to: &Self) -> Result<bool> {
        match self.dir.rename(&self.name, &to.dir, &to.name) {
            Ok(()) => Ok(true),
            // A directory that its owner may not write to cannot get another parent.
            Err(Errno::ACCESS) if let Some(mode) = self.open()? => {
                let moved = self.rename(to)?;
                (if moved { to } else { self }).mode(mode)?;
                Ok(moved)
            }
            Err(Errno::EXIST | Errno::NOENT) => Ok(false),
            Err(errno) => Err(Error::system("rename", &self.name, errno)),
        }
    }

    /// Exchanges two names. Whether both were there.
    pub fn exchange(&self, other: &Self) -> Result<bool> {
        match self.dir.exchange(&self.name, &other.dir, &other.name) {
            Ok(()) => Ok(true),
            Err(Errno::ACCESS) if let Some(mode) = self.open()? => {
                let done = self.exchange(other)?;
                (if done { other } else { self }).mode(mode)?;
                Ok(done)
            }
            Err(Errno::ACCESS) if let Some(mode) = other.open()? => {
                let done = self.exchange(other)?;
                (if done { self } else { other }).mode(mode)?;
                Ok(done)
            }
            Err(Errno::NOENT) => Ok(false),
            Err(errno) => Err(Error::system("exchange", &self.name, errno)),
        }
    }

    /// Lets the owner write to a directory. Its mode before; none when that is not what it lacks.
    fn open(&self) -> Result<Option<u32>> {
        let Some(meta) = self.meta()? else { return Ok(None) };
        let own = meta.uid == rustix::process::geteuid().as_raw();
        if !meta.is_dir() || !own || meta.mode & 0o200 != 0 {
            return Ok(None);
        }
        self.mode(meta.mode | 0o200)?;
        Ok(Some(meta.mode))
    }

    fn mode(&self, mode: u32) -> Result<()> {
        self.dir.chmod(&self.name, mode).step("set the mode of", &self.name)
    }

    /// Gives a directory the mode that it has but for an interruption of a move.
    pub fn settle(&self, mode: Option<u32>) -> Result<()> {
        if mode.is_none() {
            return Ok(());
        }
        match (mode, self.meta()?) {
            (Some(mode), Some(meta)) if meta.is_dir() && meta.mode == mode | 0o200 => {
                if meta.mode == mode { Ok(()) } else { self.mode(mode) }
            }
            _ => Ok(()),
        }
    }

    /// Gives a directory the time of last change that it had before it was moved here.
    pub fn keep_time(&self, was: Option<Meta>) -> Result<()> {
        let Some(was) = was.filter(Meta::is_dir) else { return Ok(()) };
        if self.meta()?.is_none_or(|now| now.id() != was.id() || now.mtime == was.mtime) {
            return Ok(());
        }
        match self.dir.touch(&self.name, was.mtime) {
            // Somebody else's directory, which the user may move.
            Err(Errno::PERM) => Ok(()),
            other => other.step("set the time of", &self.name),
        }
    }

    pub fn remove(&self) -> Result<()> {
        crate::remove::tree(&self.dir, &self.name).step("remove", &self.name)
    }
}

/// Whether it is the same file, unchanged.
pub(crate) fn is(found: Option<Id>, wanted: &Id) -> bool {
    found.as_ref() == Some(wanted)
}

//! Moving things into the trash, for the supervisor of a sandbox.

use crate::copy::copy;
use crate::entry::{Entry, Id, Kind};
use crate::meta::{Meta, writable};
use crate::place;
use crate::quarantine::{Limits, Quarantine};
use crate::store::Store;
use rustix::fd::{AsFd as _, BorrowedFd};
use rustix::fs::{AtFlags, RenameFlags, linkat, renameat, renameat_with, unlinkat};
use rustix::io::{Errno, Result};
use std::collections::HashMap;
use std::ffi::CStr;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};
use swathe_record::bytes::Bytes;
use swathe_supervise::perform::{Removal, Trash};

/// Keeps what one run removes.
#[derive(Debug)]
pub struct Keeper {
    store: Store,
    run: String,
    limits: Limits,
    /// What the program sees: no trash is made there.
    seen: Vec<PathBuf>,
    /// The user's own trash first.
    places: Vec<Quarantine>,
    /// Which of them a mount's things are renamed to; none: nothing can be.
    mounts: HashMap<u64, Option<usize>>,
    last: u64,
}

impl Keeper {
    /// For this run. No trash is made in the trees `seen`, which are visible to the program.
    ///
    /// # Errors
    /// The store cannot be used, or the program sees it.
    pub fn new(store: Store, run: impl Into<String>, seen: Vec<PathBuf>) -> crate::Result<Self> {
        if let Some(tree) = seen.iter().find(|tree| store.base().starts_with(tree)) {
            let cause = format!("the program sees it, by {}", Bytes::from(tree.as_path()));
            return Err(crate::Error::because("use the trash", store.base(), cause));
        }
        let (limits, own) = (store.limits()?, store.own()?);
        let (places, mounts) = (vec![own], HashMap::new());
        Ok(Self { store, run: run.into(), limits, seen, places, mounts, last: 0 })
    }

    /// The trash that things of this directory can be renamed to.
    fn place(&mut self, dir: BorrowedFd<'_>) -> Result<Option<usize>> {
        let mount = Meta::of(dir)?.mount;
        if let Some(known) = self.mounts.get(&mount) {
            return Ok(*known);
        }
        let mut found = self.places.iter().position(|place| place.meta.mount == mount);
        if found.is_none()
            && let Some(made) = place::above(dir, &self.seen)?
        {
            // One that nothing leads to is not used.
            self.store.know(&made)?;
            self.places.push(made);
            found = Some(self.places.len() - 1);
        }
        self.mounts.insert(mount, found);
        Ok(found)
    }

    fn next(&mut self) -> Id {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |now| u64::try_from(now.as_micros()).unwrap_or(u64::MAX));
        self.last = now.max(self.last.saturating_add(1));
        Id::of(self.last)
    }

    fn begin(&mut self, place: usize, entry: &Entry, space: u64) -> Result<Id> {
        let first = self.next();
        let limits = self.limits;
        let quarantine = self.places.get_mut(place).ok_or(Errno::IO)?;
        let id = quarantine.begin(entry, space, &limits, first)?;
        self.last = id.time();
        Ok(id)
    }

    fn at(&self, place: usize) -> Result<&Quarantine> {
        self.places.get(place).ok_or(Errno::IO)
    }

    fn entry(&self, removal: &Removal<'_>, meta: &Meta, replaced: bool) -> Entry {
        let mut entry = Entry {
            path: Bytes::from(removal.path),
            run: self.run.clone(),
            program: removal.program.clone(),
            kind: meta.kind,
            replaced,
            size: 0,
            mode: 0,
            uid: 0,
            gid: 0,
            modified: (0, 0),
            device: (0, 0),
            inode: 0,
        };
        meta.describe(&mut entry);
        entry
    }

    /// An empty directory: the kernel sees that it is one when `done` removes or replaces it.
    fn empty_directory(
        &mut self,
        removal: &Removal<'_>,
        meta: &Meta,
        replaced: bool,
        done: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        let place = removal.host_dir.map_or(Ok(None), |dir| self.place(dir))?.unwrap_or(0);
        let entry = self.entry(removal, meta, replaced);
        let id = self.begin(place, &entry, 0)?;
        let result = done();
        if result.is_err() {
            self.at(place)?.forget(id);
        }
        result
    }

    fn keep_file(&mut self, removal: &Removal<'_>, meta: &Meta) -> Result<()> {
        let entry = self.entry(removal, meta, false);
        if let Some(dir) = removal.host_dir
            && let Some(place) = self.place(dir)?
        {
            let id = self.begin(place, &entry, meta.space)?;
            let moved = self.moved(place, id, dir, removal.name, entry.clone());
            if moved != Err(Errno::XDEV) {
                return moved;
            }
        }
        let (place, id) = self.copied(removal, meta, &entry)?;
        // Whatever has the name by now: only what was copied is removed.
        let same = Meta::at(removal.dir, removal.name).is_ok_and(|now| now.is_same_file(meta));
        let removed = if same {
            unlinkat(removal.dir, removal.name, AtFlags::empty())
        } else {
            Err(Errno::AGAIN)
        };
        self.settled(place, id, removed)
    }

    /// Renames it, and looks at what that was.
    fn moved(
        &self,
        place: usize,
        id: Id,
        dir: BorrowedFd<'_>,
        name: &CStr,
        mut entry: Entry,
    ) -> Result<()> {
        let quarantine = self.at(place)?;
        let new = Quarantine::name(id);
        if let Err(e) = rename_new(dir, name, quarantine.files.as_fd(), &new) {
            quarantine.forget(id);
            return Err(e);
        }
        let meta = quarantine.held(id)?;
        if (meta.device, meta.inode) == (entry.device, entry.inode) {
            return Ok(());
        }
        // Something else got the name meanwhile.
        if meta.kind == Kind::Directory {
            let files = quarantine.files.as_fd();
            if rename_new(files, &new, dir, name).is_ok() {
                quarantine.forget(id);
                return Err(Errno::ISDIR);
            }
        }
        meta.describe(&mut entry);
        quarantine.correct(id, &entry)
    }

    /// Copies it into the user's own trash.
    fn copied(&mut self, removal: &Removal<'_>, meta: &Meta, entry: &Entry) -> Result<(usize, Id)> {
        let id = self.begin(0, entry, meta.space)?;
        let quarantine = self.at(0)?;
        let (files, name) = (quarantine.files.as_fd(), Quarantine::name(id));
        match copy(removal.dir, removal.name, meta, files, &name) {
            Ok(()) => Ok((0, id)),
            Err(e) => {
                quarantine.forget(id);
                Err(e)
            }
        }
    }

    /// What was not removed in the end is not in the trash either.
    fn settled(&self, place: usize, id: Id, done: Result<()>) -> Result<()> {
        if done.is_err() {
            let quarantine = self.at(place)?;
            let _ = unlinkat(&quarantine.files, Quarantine::name(id), AtFlags::empty());
            quarantine.forget(id);
        }
        done
    }

    /// Gives what will be replaced a second name, in the trash.
    fn linked(&mut self, removal: &Removal<'_>, meta: &Meta) -> Result<(usize, Id)> {
        let entry = self.entry(removal, meta, true);
        if let Some(dir) = removal.host_dir
            && let Some(place) = self.place(dir)?
        {
            let id = self.begin(place, &entry, meta.space)?;
            let quarantine = self.at(place)?;
            let (files, name) = (&quarantine.files, Quarantine::name(id));
            match linkat(dir, removal.name, files, &name, AtFlags::empty()) {
                Ok(()) => {
                    let same = quarantine.held(id).is_ok_and(|held| held.is_same_file(meta));
                    let result = if same { Ok(()) } else { Err(Errno::AGAIN) };
                    return self.settled(place, id, result).map(|()| (place, id));
                }
                Err(e) => {
                    quarantine.forget(id);
                    // A file that may not be linked to, since it is somebody else's, or has enough
                    // names; or a file system without links.
                    let copies = [Errno::XDEV, Errno::PERM, Errno::MLINK, Errno::OPNOTSUPP];
                    if !copies.contains(&e) {
                        return Err(e);
                    }
                }
            }
        }
        self.copied(removal, meta, &entry)
    }
}

impl Trash for Keeper {
    fn keep(&mut self, removal: &Removal<'_>) -> Result<()> {
        writable(removal.dir)?;
        let meta = Meta::at(removal.dir, removal.name)?;
        match (meta.kind, removal.directory) {
            (Kind::Directory, false) => Err(Errno::ISDIR),
            (Kind::Directory, true) => self.empty_directory(removal, &meta, false, || {
                unlinkat(removal.dir, removal.name, AtFlags::REMOVEDIR)
            }),
            (_, true) => Err(Errno::NOTDIR),
            (Kind::Socket, false) => unlinkat(removal.dir, removal.name, AtFlags::empty()),
            (_, false) => self.keep_file(removal, &meta),
        }
    }

    fn replace(&mut self, dir: BorrowedFd<'_>, name: &CStr, replaced: &Removal<'_>) -> Result<()> {
        writable(replaced.dir)?;
        let meta = Meta::at(replaced.dir, replaced.name)?;
        let rename = || renameat(dir, name, replaced.dir, replaced.name);
        match (Meta::at(dir, name)?.kind == Kind::Directory, meta.kind) {
            (false, Kind::Directory) => Err(Errno::ISDIR),
            (true, Kind::Directory) => self.empty_directory(replaced, &meta, true, rename),
            (true, _) => Err(Errno::NOTDIR),
            (false, Kind::Socket) => rename(),
            (false, _) => {
                let (place, id) = self.linked(replaced, &meta)?;
                self.settled(place, id, rename())
            }
        }
    }
}

/// Renames to a name that nothing has.
pub fn rename_new(from: BorrowedFd<'_>, name: &CStr, to: BorrowedFd<'_>, new: &CStr) -> Result<()> {
    match renameat_with(from, name, to, new, RenameFlags::NOREPLACE) {
        // Not every file system knows that flag: a link is never made over a name either.
        Err(Errno::INVAL) => {
            linkat(from, name, to, new, AtFlags::empty())?;
            unlinkat(from, name, AtFlags::empty())
        }
        done => done,
    }
}

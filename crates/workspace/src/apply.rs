//! Changes the host, step by step. Every step can be repeated.

use crate::base::Entry;
use crate::copy::{Copier, Filter};
use crate::dir::{Dir, join, split};
use crate::error::{Error, Result, Step as _};
use crate::journal::{DirData, Do, From, Journal, Op};
use crate::meta::Id;
use crate::work::{At, Place, Work, is};
use crate::xattr::Named;
use rustix::io::Errno;
use std::collections::{HashMap, HashSet};
use swathe_record::bytes::Bytes;

/// Does every step. Which were done: the others would have overwritten what the host made meanwhile.
/// `first`: none was done before, and this process has made what they need.
pub(crate) fn all(work: &Work<'_>, journal: &Journal, first: bool) -> Result<Vec<bool>> {
    crate::prepare::open_directories(work, journal, true)?;
    let mut done = Vec::with_capacity(journal.ops.len());
    for op in &journal.ops {
        let place = work.place(op)?;
        let step = Step { place, journal, op, first };
        done.push(match &op.act {
            Do::Put { from, old, .. } => step.put(from, old.as_ref())?,
            Do::Delete { old } => step.delete(old)?,
            Do::Directory { .. } | Do::Drop | Do::Rewrite => true,
        });
    }
    work.sync()?;
    Ok(done)
}

/// Removes what is beside the places of steps, then gives the host's directories their data: in one
/// that its owner may not write to nothing can be removed any more. `first`: as [`all`] was told.
pub(crate) fn tidy(work: &Work<'_>, journal: &Journal, done: &[bool], first: bool) -> Result<()> {
    for (op, done) in journal.ops.iter().zip(done) {
        remove_aside(work, journal, op, first && *done)?;
    }
    let changed: HashSet<(usize, &[u8])> = journal
        .ops
        .iter()
        .zip(done)
        .filter(|(op, done)| **done && !matches!(op.act, Do::Directory { .. }))
        .map(|(op, _)| (op.root, split(&op.path.0).0))
        .collect();
    // What is deeper comes later in the plan.
    for op in journal.ops.iter().rev() {
        let Do::Directory { old, new, .. } = &op.act else { continue };
        let own = new.mode != old.mode || new.xattrs.is_some();
        let any = own || changed.contains(&(op.root, op.path.0.as_slice()));
        let wanted = if any { new } else { old };
        directory(&work.place(op)?.sides.lower, &op.path.0, wanted, Some(old))?;
    }
    Ok(())
}

pub(crate) struct Step<'a> {
    pub place: &'a Place,
    pub journal: &'a Journal,
    pub op: &'a Op,
    /// Whether nothing of the step was done before.
    pub first: bool,
}

impl Step<'_> {
    /// Where the new version waits, and after an exchange the old one.
    pub fn waiting(&self, from: &From) -> Result<Option<At>> {
        let (dir, _) = split(&self.op.path.0);
        match from {
            From::Move => self.place.upper(&self.op.path.0),
            _ => self.place.lower(&join(dir, &self.journal.temporary(self.op.n))),
        }
    }

    pub fn is_new(&self, found: Option<Id>) -> bool {
        found.is_some_and(|found| self.journal.is_new(self.op, &found))
    }

    pub fn put(&self, from: &From, old: Option<&Id>) -> Result<bool> {
        let Some(at) = self.place.lower(&self.op.path.0)? else { return Ok(false) };
        let waiting = self.waiting(from)?;
        if !self.first {
            if self.is_new(at.id()?) {
                at.settle(self.op.modes.1)?;
                return match waiting.zip(old) {
                    Some((waiting, old)) => self.after_exchange(&at, &waiting, old),
                    None => Ok(true),
                };
            }
            let there = match &waiting {
                Some(waiting) => self.is_new(waiting.id()?),
                None => false,
            };
            if !there {
                return Ok(false);
            }
        }
        let Some(waiting) = waiting else { return Ok(false) };
        let Some(old) = old else {
            let done = waiting.rename(&at)?;
            at.settle(self.op.modes.1.filter(|_| done))?;
            return Ok(done);
        };
        if !is(at.id()?, old) || !self.exchange(&waiting, &at)? {
            return Ok(false);
        }
        let done = self.after_exchange(&at, &waiting, old)?;
        at.settle(self.op.modes.1.filter(|_| done))?;
        Ok(done)
    }

    /// Exchanges two names. Directories keep their times: XFS changes them with a new parent.
    pub fn exchange(&self, one: &At, other: &At) -> Result<bool> {
        if self.op.modes == (None, None) {
            return one.exchange(other);
        }
        let (was_one, was_other) = (one.meta()?, other.meta()?);
        let done = one.exchange(other)?;
        if done {
            one.keep_time(was_other)?;
            other.keep_time(was_one)?;
        }
        Ok(done)
    }

    /// Saves what came out of an exchange. Where the host was quicker it gets back what it made.
    fn after_exchange(&self, at: &At, waiting: &At, old: &Id) -> Result<bool> {
        match waiting.id()? {
            Some(found) if found == *old => self.save(waiting).map(|()| true),
            Some(_) => self.exchange(waiting, at).map(|_| false),
            None => Ok(true),
        }
    }

    pub fn delete(&self, old: &Id) -> Result<bool> {
        let Some(at) = self.place.lower(&self.op.path.0)? else {
            return Ok(true);
        };
        let aside = at.beside(self.journal.temporary(self.op.n));
        let saved = self.place.saved(&self.op.n.to_string());
        if !self.first {
            if is(aside.id()?, old) {
                return self.save(&aside).map(|()| true);
            }
            if self.place.moves && is(saved.id()?, old) {
                return Ok(true);
            }
        }
        let now = at.id()?;
        if !is(now, old) {
            return Ok(now.is_none());
        }
        let target = if self.place.moves { &saved } else { &aside };
        if !at.rename(target)? {
            return Ok(false);
        }
        if !is(target.id()?, old) {
            target.rename(&at)?;
            return Ok(false);
        }
        if self.place.moves { Ok(true) } else { self.save(&aside).map(|()| true) }
    }

    /// Takes an old version into the area. Where nothing is saved it stays, to be removed at the end.
    fn save(&self, old: &At) -> Result<()> {
        let name = self.op.n.to_string();
        let saved = self.place.saved(&name);
        if self.place.moves {
            old.rename(&saved)?;
            return Ok(());
        }
        if !self.journal.head.saved {
            return Ok(());
        }
        if saved.id()?.is_none() {
            let part = self.place.saved(&format!("{name}.part"));
            part.remove()?;
            let root = part.dir.at(b"").step("open", &part.name)?;
            Copier::new(true, root)
                .tree((&old.dir, &old.name), &part.dir, &part.name, &Filter::All)
                .step("save", &self.op.path.0)?;
            part.rename(&saved)?;
        }
        old.remove()
    }
}

fn named(xattrs: &[(Bytes, Bytes)]) -> Vec<Named> {
    xattrs.iter().map(|(name, value)| (name.0.clone(), value.0.clone())).collect()
}

fn sorted(mut xattrs: Vec<Named>) -> Vec<Named> {
    xattrs.sort();
    xattrs
}

/// Gives a directory its data; whether it has it. One that is not there any more is no error. One
/// whose data are neither the known nor the wanted ones (the mode as it is or opened for its owner)
/// was changed by somebody else, and is left.
pub(crate) fn directory(
    root: &Dir,
    path: &[u8],
    wanted: &DirData,
    known: Option<&DirData>,
) -> Result<bool> {
    let Some(dir) = root.find(path).step("open", path)? else { return Ok(false) };
    let set = || -> std::result::Result<bool, Errno> {
        let meta = dir.meta()?;
        let xattrs = match (known, &wanted.xattrs) {
            (Some(_), Some(_)) => Some(sorted(crate::xattr::kept(&dir, b"")?)),
            _ => None,
        };
        let mine = |data: &DirData| {
            let mode = meta.mode == data.mode || meta.mode == data.mode | 0o300;
            let named = data.xattrs.as_deref().map(|xattrs| sorted(named(xattrs)));
            let same = xattrs.as_ref().zip(named).is_none_or(|(is, data)| *is == data);
            mode && same && (meta.uid, meta.gid) == (data.uid, data.gid)
        };
        if !known.is_none_or(|known| mine(known) || mine(wanted)) {
            return Ok(false);
        }
        if (meta.uid, meta.gid) != (wanted.uid, wanted.gid) {
            dir.chown(b".", wanted.uid, wanted.gid)?;
        }
        if let Some(xattrs) = &wanted.xattrs {
            crate::xattr::assign(&dir, b"", &named(xattrs))?;
        }
        if meta.mode != wanted.mode || wanted.xattrs.is_some() {
            dir.chmod(b"", wanted.mode)?;
        }
        if meta.mtime != wanted.mtime {
            dir.touch(b"", wanted.mtime)?;
        }
        Ok(true)
    };
    match set() {
        // A directory of somebody else's in which the user may make names.
        Err(Errno::PERM) => Ok(true),
        other => other.step("set mode and time of", path),
    }
}

/// Takes what was committed out of the workspace, and notes what lies below it now. `first`: as
/// [`all`] was told.
pub(crate) fn settle(work: &Work<'_>, journal: &Journal, done: &[bool], first: bool) -> Result<()> {
    let mut patches: Vec<Vec<(Vec<u8>, Option<Entry>)>> = Vec::new();
    patches.resize_with(work.places.len(), Vec::new);
    for (op, _) in journal.ops.iter().zip(done).filter(|(_, done)| **done) {
        let step = Step { place: work.place(op)?, journal, op, first };
        step.clear()?;
        if let Some(patches) = patches.get_mut(op.root) {
            step.patches(patches)?;
        }
    }
    for (number, patches) in patches.iter().enumerate() {
        crate::snapshot::patch(work.workspace, number, patches)?;
    }
    prune_all(work, journal)?;
    work.sync()
}

/// Removes what is beside a step's place: new versions that found none, and old ones that are not
/// kept. `done`: by this process, which has taken old versions away where they are kept.
fn remove_aside(work: &Work<'_>, journal: &Journal, op: &Op, done: bool) -> Result<()> {
    if matches!(op.act, Do::Put { from: From::Move, .. } | Do::Directory { .. }) {
        return Ok(());
    }
    let place = work.place(op)?;
    if done && (place.moves || journal.head.saved) {
        return Ok(());
    }
    let aside = join(split(&op.path.0).0, &journal.temporary(op.n));
    let Some(at) = place.lower(&aside)? else { return Ok(()) };
    let id = at.id()?;
    if !journal.head.saved || id.is_some_and(|id| journal.is_new(op, &id)) {
        return at.remove();
    }
    // The host was quicker, and it is the version before that.
    match &op.act {
        Do::Put { old: Some(old), .. } | Do::Delete { old } if is(id, old) => {
            Step { place, journal, op, first: false }.save(&at)
        }
        _ => Ok(()),
    }
}

impl Step<'_> {
    /// Takes out of the upper what is on the host now. It is kept as long as the old versions are.
    fn clear(&self) -> Result<()> {
        let path = &self.op.path.0;
        match &self.op.act {
            Do::Put { from: From::Copy | From::Staged { keep: false }, .. } | Do::Delete { .. } => {
                self.put_away(path, &format!("up-{}", self.op.n))
            }
            Do::Put { from: From::Part { paths, trees }, .. } => {
                self.open_part(paths)?;
                for (index, tree) in trees.iter().enumerate() {
                    self.put_away(&join(path, &tree.0), &format!("up-{}-{index}", self.op.n))?;
                }
                let below = paths.iter().map(|below| join(path, &below.0));
                for path in below.rev().chain(std::iter::once(path.clone())) {
                    let found = self.place.sides.upper.find(&path).step("open", &path)?;
                    if let Some(dir) = found {
                        crate::opaque::clear(&dir, b"").step("change", &path)?;
                    }
                    self.remove_empty(&path)?;
                }
                let host = self.place.sides.lower.find(path).step("open", path)?;
                host.map_or(Ok(()), |host| self.close_part(paths, &host))?;
                self.place.forget();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn put_away(&self, path: &[u8], name: &str) -> Result<()> {
        // Where it was put away before, what is there is not ours.
        if let Some(at) = self.place.upper(path)? {
            let saved = self.place.saved(name);
            if at.rename(&saved)? && *path == *self.op.path.0 {
                saved.settle(self.op.modes.1)?;
            }
        }
        Ok(())
    }

    /// The directories of a part that the upper has, the outermost first.
    fn part<'p>(&self, paths: &'p [Bytes]) -> Result<Vec<(&'p [u8], Dir)>> {
        let mut found = Vec::new();
        for below in std::iter::once(&b""[..]).chain(paths.iter().map(|path| &path.0[..])) {
            let path = if below.is_empty() {
                self.op.path.0.clone()
            } else {
                join(&self.op.path.0, below)
            };
            let dir = self.place.sides.upper.find(&path).step("open", &path)?;
            found.extend(dir.map(|dir| (below, dir)));
        }
        Ok(found)
    }

    /// Lets names be moved out of and into the directories of a part.
    pub fn open_part(&self, paths: &[Bytes]) -> Result<()> {
        for (below, dir) in self.part(paths)? {
            let meta = dir.meta().step("look at", below)?;
            let own = meta.uid == rustix::process::geteuid().as_raw();
            if own && meta.mode & 0o300 != 0o300 {
                dir.chmod(b"", meta.mode | 0o300).step("set the mode of", below)?;
            }
        }
        Ok(())
    }

    /// Gives the directories of a part the modes that those of `model` have.
    pub fn close_part(&self, paths: &[Bytes], model: &Dir) -> Result<()> {
        for (below, dir) in self.part(paths)?.into_iter().rev() {
            let Some(like) = model.find(below).step("open", below)? else { continue };
            let (is, wanted) = (dir.meta(), like.meta());
            let (is, wanted) = (is.step("look at", below)?, wanted.step("look at", below)?);
            if is.mode != wanted.mode {
                dir.chmod(b"", wanted.mode).step("set the mode of", below)?;
            }
        }
        Ok(())
    }

    fn remove_empty(&self, path: &[u8]) -> Result<()> {
        let Some(at) = At::find(&self.place.sides.upper, path)? else { return Ok(()) };
        match at.dir.rmdir(&at.name) {
            Ok(()) | Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => Ok(()),
            Err(errno) => Err(Error::system("remove", path, errno)),
        }
    }

    fn patches(&self, all: &mut Vec<(Vec<u8>, Option<Entry>)>) -> Result<()> {
        let path = &self.op.path.0;
        let lower = &self.place.sides.lower;
        let mut note = |path: Vec<u8>| -> Result<()> {
            let entry = crate::snapshot::entry(lower, &path)?;
            all.push((path, entry));
            Ok(())
        };
        match &self.op.act {
            Do::Put { from: From::Staged { .. }, .. } => note(path.clone()),
            Do::Put { from: From::Part { paths, .. }, .. } => {
                note(path.clone())?;
                paths.iter().try_for_each(|below| note(join(path, &below.0)))
            }
            Do::Directory { new, .. } if new.xattrs.is_some() => note(path.clone()),
            _ => Ok(()),
        }
    }
}

/// The modes that directories of the upper get back, by root and path: while a change goes on they
/// are open for their owner.
pub(crate) type Modes<'a> = HashMap<(usize, &'a [u8]), u32>;

pub(crate) fn modes(journal: &Journal) -> Modes<'_> {
    let mode = |op: &'_ Op| match &op.act {
        Do::Directory { upper: Some(upper), .. } => Some(upper.mode),
        _ => None,
    };
    let of = |op| mode(op).map(|mode| ((op.root, op.path.0.as_slice()), mode));
    journal.ops.iter().filter_map(of).collect()
}

/// Prunes all directories of a journal.
pub(crate) fn prune_all(work: &Work<'_>, journal: &Journal) -> Result<()> {
    let modes = modes(journal);
    for op in journal.ops.iter().rev() {
        if let Do::Directory { upper: Some(upper), .. } = &op.act {
            prune(work.place(op)?, (op.root, &op.path.0), upper, &modes)?;
        }
    }
    Ok(())
}

/// Removes a directory of the upper that says nothing any more, and those above it. One that stays
/// gets its data back.
pub(crate) fn prune(
    place: &Place,
    (root, path): (usize, &[u8]),
    upper: &DirData,
    modes: &Modes<'_>,
) -> Result<()> {
    directory(&place.sides.upper, path, upper, None)?;
    place.forget();
    let mut at = path;
    while !at.is_empty() {
        let above = place.sides.upper.find(at).step("open", at)?;
        let below = place.sides.lower.find(at).step("open", at)?;
        let (Some(above), Some(below)) = (above, below) else { return Ok(()) };
        let same = || -> std::result::Result<bool, Errno> {
            let (a, b) = (above.meta()?, below.meta()?);
            let mode = modes.get(&(root, at)).copied().unwrap_or(a.mode);
            Ok((mode, a.uid, a.gid) == (b.mode, b.uid, b.gid)
                && crate::xattr::kept(&above, b"")? == crate::xattr::kept(&below, b"")?
                && !crate::opaque::is(&above)?)
        };
        if !same().step("compare", at)? {
            return Ok(());
        }
        let (dir, name) = split(at);
        let parent = place.sides.upper.at(dir).step("open", dir)?;
        let mtime = parent.meta().step("look at", dir)?.mtime;
        match parent.rmdir(name) {
            Ok(()) => parent.touch(b"", mtime).step("set the time of", dir)?,
            Err(Errno::NOTEMPTY | Errno::EXIST | Errno::ACCESS) => return Ok(()),
            Err(errno) => return Err(Error::system("remove", at, errno)),
        }
        at = dir;
    }
    Ok(())
}

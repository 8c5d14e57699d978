//! The walk through one upper directory, beside the host's.

use super::compare::{Side, conflict, parts};
use super::{ScanOptions, Sides};
use crate::base::Base;
use crate::change::{Change, ChangeKind, Changeset, Conflict, Mark, Oddity, Parts};
use crate::danger;
use crate::dir::{Dir, join};
use crate::error::{Error, ErrorKind, Result, Step as _};
use crate::meta::{FileKind, Meta};
use crate::store::Workspace;
use crate::xattr::{Overlay, Xattrs};
use rustix::io::Errno;
use std::collections::{HashMap, HashSet};
use swathe_record::bytes::Bytes;

/// The longest relative path, in bytes, so that the kernel takes it in one call.
const LONGEST_PATH: usize = 4000;

/// The most oddities that are listed.
const MOST_ODDITIES: usize = 1000;

pub(super) struct Walk<'a> {
    number: usize,
    root: &'a [u8],
    /// Device numbers of the host's side and of the upper.
    pub(super) devices: (u64, u64),
    pub(super) base: Option<&'a Base>,
    options: &'a ScanOptions,
    pub(super) set: &'a mut Changeset,
    /// Of files with several names: how many were seen, and the changes with them.
    pub(super) links: HashMap<u64, (u64, Vec<usize>)>,
}

/// A directory of the upper on the way.
pub(super) struct Here<'a> {
    upper: &'a Dir,
    pub(super) lower: Option<&'a Dir>,
    path: &'a [u8],
    /// What the host has here is deleted unless the upper has it.
    opaque: bool,
    /// Files with a certain attribute stand for deleted ones.
    whiteouts: bool,
    pub(super) depth: usize,
    git: Git,
}

/// Whether a directory is a repository without a `.git` around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Git {
    No,
    /// It is one on the host.
    Is,
    /// It is one with what the program made.
    Becomes,
    /// It is in the hooks of one.
    Hooks,
}

/// Adds the changes of one root.
pub(super) fn root(
    workspace: &Workspace,
    number: usize,
    sides: &Sides,
    base: Option<&Base>,
    options: &ScanOptions,
    set: &mut Changeset,
) -> Result<()> {
    let root = workspace.about.roots.get(number).map_or(&[][..], |root| &root.path.0);
    let (upper, lower) = (&sides.upper, &sides.lower);
    let look = || -> Result<_, Errno> {
        let (old, new) =
            (Side { dir: lower, meta: lower.meta()? }, Side { dir: upper, meta: upper.meta()? });
        if open(upper, b"")?.is_none() {
            let differs = Parts { mode: old.meta.mode != new.meta.mode, ..Parts::default() };
            return Ok((Overlay { unknown: true, ..Overlay::default() }, differs, old, new));
        }
        let xattrs = Xattrs::read(upper, b"")?;
        let mut overlay = xattrs.overlay(upper, b"")?;
        let both = pair(old, new, b"", xattrs)?;
        overlay.unknown |= both.is_none();
        Ok((overlay, parts(old, new, b"", both)?, old, new))
    };
    let (overlay, mut differs, old, new) = look().step("look at", root)?;
    let devices = (old.meta.dev, new.meta.dev);
    let links = HashMap::new();
    let mut walk = Walk { number, root, devices, base, options, set, links };
    // The upper of somebody else's directory is its user's all the same.
    let euid = rustix::process::geteuid();
    differs.owner &= euid.is_root() || new.meta.uid != euid.as_raw();
    if differs.any() || overlay.crafted || overlay.unknown {
        let mut change = walk.change(b"", ChangeKind::Modified, Some(old.meta), Some(new.meta));
        change.parts = differs;
        change.conflict = conflict(base, b"", Some(old), b"", true).step("compare", root)?;
        if overlay.crafted {
            change.marks.push(Mark::Crafted);
        }
        if overlay.unknown {
            change.marks.push(Mark::Unreadable);
        }
        walk.push(change)?;
    }
    if overlay.unknown {
        return Ok(());
    }
    let (opaque, whiteouts) = (overlay.opaque, overlay.whiteouts);
    let git = Git::No;
    let mut here = Here { upper, lower: Some(lower), path: b"", opaque, whiteouts, depth: 0, git };
    walk.directory(&mut here)?;
    walk.join_links();
    Ok(())
}

impl Walk<'_> {
    pub(super) fn change(
        &self,
        path: &[u8],
        kind: ChangeKind,
        old: Option<Meta>,
        new: Option<Meta>,
    ) -> Change {
        Change {
            root: self.number,
            path: Bytes(path.to_vec()),
            kind,
            parts: Parts::default(),
            old,
            new,
            old_target: None,
            target: None,
            marks: Vec::new(),
            part_of: None,
            renamed_from: None,
            renamed_to: None,
            linked_to: None,
            conflict: None,
        }
    }

    pub(super) fn push(&mut self, mut change: Change) -> Result<usize> {
        if self.set.changes.len() >= self.options.most {
            let text = format!("there are more than {} changes", self.options.most);
            return Err(Error::new(ErrorKind::TooMuch, text)
                .fix("discard what is not needed, or raise the bound"));
        }
        change.marks = danger::marks(&change, self.root, &self.options.sensitive);
        self.set.changes.push(change);
        Ok(self.set.changes.len() - 1)
    }

    pub(super) fn odd(&mut self, path: &[u8], text: &str) {
        if self.set.oddities.len() < MOST_ODDITIES {
            let (root, path) = (self.number, Bytes(path.to_vec()));
            self.set.oddities.push(Oddity { root, path, text: text.to_owned() });
        }
    }

    /// Whether an error only says that something vanished, or is another thing now, while a run
    /// that goes on changes it: what is there at another moment is as good.
    fn has_gone(&self, error: &Error) -> bool {
        let gone = [Errno::NOENT, Errno::NOTDIR, Errno::LOOP, Errno::INVAL];
        self.set.live && gone.iter().any(|errno| error.kind == ErrorKind::System(*errno))
    }

    fn directory(&mut self, here: &mut Here<'_>) -> Result<()> {
        let names = match here.upper.list().step("list", here.path) {
            Err(error) if self.has_gone(&error) => return Ok(()),
            names => names?,
        };
        here.look_for_git(&names).step("look at", here.path)?;
        let here = &*here;
        let mut added = Vec::new();
        for name in &names {
            let path = join(here.path, name);
            if path.len() > LONGEST_PATH {
                self.odd(here.path, "a name makes its path too long: it is left out");
                continue;
            }
            let before = self.set.changes.len();
            match self.name(here, name, &path) {
                Err(error) if self.has_gone(&error) => {}
                other => other?,
            }
            let own = self.set.changes.get(before).filter(|c| c.path.0 == path);
            if own.is_some_and(|change| change.kind == ChangeKind::Added) {
                added.push((name.as_slice(), before));
            }
        }
        let mut all: HashSet<Vec<u8>> = names.iter().cloned().collect();
        if let Some(lower) = here.lower
            && (here.opaque || !added.is_empty())
        {
            let below = match lower.list() {
                Err(Errno::ACCESS) if !here.opaque => Vec::new(),
                other => other.step("list", here.path)?,
            };
            for name in &below {
                if here.opaque && !all.contains(name) {
                    self.deleted(here, name, &join(here.path, name), true)?;
                }
            }
            all.extend(below);
        }
        self.twins(&added, &all);
        Ok(())
    }

    fn name(&mut self, here: &Here<'_>, name: &[u8], path: &[u8]) -> Result<()> {
        // It can vanish while a run is going on.
        let Some(new) = here.upper.stat(name).step("look at", path)? else { return Ok(()) };
        if new.dev != self.devices.1 {
            self.odd(path, "another file system is mounted there: it is left out");
            return Ok(());
        }
        if new.is_whiteout() {
            return self.deleted(here, name, path, false);
        }
        let xattrs = Xattrs::read(here.upper, name).step("read attributes of", path)?;
        let overlay = xattrs.overlay(here.upper, name).step("read attributes of", path)?;
        if overlay.whiteout && here.whiteouts && new.kind == FileKind::File && new.size == 0 {
            return self.deleted(here, name, path, false);
        }
        let old = match here.lower {
            Some(lower) => lower.stat(name).step("look at", path)?,
            None => None,
        };
        let mut marks = Vec::new();
        let odd_opaque = !new.is_dir() && (overlay.opaque || overlay.whiteouts);
        if overlay.crafted || overlay.whiteout || odd_opaque {
            marks.push(Mark::Crafted);
        }
        if xattrs.stripped.iter().any(|name| name == b"security.capability") {
            marks.push(Mark::Capabilities);
        }
        let readable = xattrs.are_readable(here.upper, name).step("read attributes of", path)?;
        if overlay.unknown || !readable {
            marks.push(Mark::Unreadable);
        }
        let low = here.lower.zip(old).map(|(dir, meta)| Side { dir, meta });
        let top = Side { dir: here.upper, meta: new };
        let mut own = self.compared(path, name, low, top, xattrs)?;
        own.marks.extend(marks);
        self.settle(&mut own, path, name, low, overlay.opaque)?;
        if new.is_dir() {
            self.below(here, name, own, low, (overlay.opaque, overlay.whiteouts))
        } else {
            self.file(here, own, low)
        }
    }

    /// The change of a path that the upper has; of what is the same, one without parts.
    fn compared(
        &mut self,
        path: &[u8],
        name: &[u8],
        low: Option<Side<'_>>,
        top: Side<'_>,
        attributes: Xattrs,
    ) -> Result<Change> {
        let kind = match low {
            None => ChangeKind::Added,
            Some(low) if low.meta.kind != top.meta.kind => ChangeKind::Replaced,
            Some(_) => ChangeKind::Modified,
        };
        let old = low.map(|low| low.meta);
        let mut own = self.change(path, kind, old, Some(top.meta));
        if let (ChangeKind::Modified, Some(low)) = (kind, low) {
            let both = pair(low, top, name, attributes).step("read attributes of", path)?;
            if both.is_none() {
                own.marks.push(Mark::Unreadable);
            }
            own.parts = parts(low, top, name, both).step("compare", path)?;
            // Whether another of its names is a change shows at the end.
            own.parts.links = !own.parts.any() && !top.meta.is_dir() && top.meta.nlink > 1;
        }
        let target = |side: Side<'_>| {
            (side.meta.kind == FileKind::Symlink).then(|| side.dir.link(name).ok().map(Bytes))
        };
        own.target = target(top).flatten();
        own.old_target = low.and_then(target).flatten();
        Ok(own)
    }

    /// Says whether the host has changed what this changes.
    fn settle(
        &self,
        own: &mut Change,
        path: &[u8],
        name: &[u8],
        low: Option<Side<'_>>,
        opaque: bool,
    ) -> Result<()> {
        let both = own.is_dir() && low.is_some_and(|low| low.meta.is_dir());
        if own.kind == ChangeKind::Modified && !own.parts.any() {
            return Ok(());
        }
        own.conflict = conflict(self.base, path, low, name, both).step("compare", path)?;
        // Two directories of one name become one, and a directory that the program deleted and made
        // again does not miss the one that the host deleted.
        let fresh = both && own.conflict == Some(Conflict::Created);
        let again = own.is_dir() && opaque && own.conflict == Some(Conflict::Deleted);
        if fresh || again {
            own.conflict = None;
        }
        if low.is_some_and(|low| low.meta.dev != self.devices.0) {
            own.conflict = Some(Conflict::Mounted);
        }
        Ok(())
    }

    fn file(&mut self, here: &Here<'_>, mut own: Change, low: Option<Side<'_>>) -> Result<()> {
        let (nlink, ino) = own.new.map_or((1, 0), |new| (new.nlink, new.ino));
        let kept = own.kind != ChangeKind::Modified || own.parts.any() || !own.marks.is_empty();
        let path = own.path.0.clone();
        here.mark(&mut own);
        let gone = low.filter(|low| low.meta.is_dir() && own.kind == ChangeKind::Replaced);
        let index = if kept { Some(self.push(own)?) } else { None };
        if nlink > 1 {
            let (seen, indices) = self.links.entry(ino).or_default();
            *seen += 1;
            indices.extend(index);
        }
        if let (Some(low), Some(index)) = (gone, index) {
            let name = crate::dir::split(&path).1;
            self.gone_below(low.dir, name, &path, index, here.depth)?;
        }
        Ok(())
    }

    fn below(
        &mut self,
        here: &Here<'_>,
        name: &[u8],
        mut own: Change,
        low: Option<Side<'_>>,
        (opaque, whiteouts): (bool, bool),
    ) -> Result<()> {
        let path = own.path.0.clone();
        let deep = here.depth >= self.options.deepest.min(400);
        // Whether it hides what is below it is not known where its attributes are not.
        let unknown = own.marks.contains(&Mark::Unreadable);
        let opened =
            if deep || unknown { None } else { open(here.upper, name).step("open", &path)? };
        let opaque = opaque || here.opaque;
        let lower = match low.filter(|low| low.meta.is_dir()) {
            None => Ok(None),
            Some(low) => low.dir.at(name).and_then(|dir| seen(&dir, opaque).and(Ok(Some(dir)))),
        };
        if deep {
            own.marks.push(Mark::TooDeep);
        } else if opened.is_none() || matches!(lower, Err(Errno::ACCESS)) {
            own.marks.push(Mark::Unreadable);
        }
        if own.kind != ChangeKind::Modified || own.parts.any() || !own.marks.is_empty() {
            here.mark(&mut own);
            self.push(own)?;
        }
        let Some(upper) = opened else { return Ok(()) };
        let lower = match lower {
            Ok(lower) => lower,
            Err(Errno::ACCESS) => return Ok(()),
            Err(Errno::XDEV) => {
                self.odd(&path, "a file system is mounted there on the host");
                return Ok(());
            }
            Err(errno) => return Err(Error::system("open", &path, errno)),
        };
        let depth = here.depth + 1;
        let git = if here.is_hooks(name) { Git::Hooks } else { Git::No };
        let (upper, lower, path) = (&upper, lower.as_ref(), path.as_slice());
        self.directory(&mut Here { upper, lower, path, opaque, whiteouts, depth, git })
    }
}

impl Here<'_> {
    /// Looks whether what both sides have here makes it a repository. `names`: those of the upper.
    fn look_for_git(&mut self, names: &[Vec<u8>]) -> std::result::Result<(), Errno> {
        let counts = self.opaque || names.iter().any(|name| danger::is_of_git(name));
        // Below a `.git` the path tells.
        let told = self.path.split(|b| *b == b'/').any(|part| part.eq_ignore_ascii_case(b".git"));
        if self.git == Git::Hooks || !counts || told {
            return Ok(());
        }
        let mut low = HashSet::new();
        for name in danger::REPOSITORY {
            let there = match self.lower {
                Some(lower) => lower.stat(name)?.is_some(),
                None => false,
            };
            if there {
                low.insert(name);
            }
        }
        let has = |wanted: &[u8]| names.iter().any(|name| name.eq_ignore_ascii_case(wanted));
        if danger::is_repository(|name| low.contains(name)) {
            self.git = Git::Is;
        } else if danger::is_repository(|name| low.contains(name) || has(name)) {
            self.git = Git::Becomes;
        }
        Ok(())
    }

    fn is_hooks(&self, name: &[u8]) -> bool {
        match self.git {
            Git::No => false,
            Git::Is | Git::Becomes => name.eq_ignore_ascii_case(b"hooks"),
            Git::Hooks => true,
        }
    }

    /// Marks a change of what is here where it belongs to such a repository.
    pub(super) fn mark(&self, own: &mut Change) {
        let name = crate::dir::split(&own.path.0).1;
        let marked = match self.git {
            Git::No => false,
            Git::Is => danger::runs(name),
            Git::Becomes => {
                danger::runs(name)
                    || own.kind != ChangeKind::Deleted
                        && danger::REPOSITORY.iter().any(|part| name.eq_ignore_ascii_case(part))
            }
            Git::Hooks => true,
        };
        if marked {
            own.marks.push(Mark::GitHook);
        }
    }
}

/// Whether what a directory of the host has can be told: of one that is hidden all names.
fn seen(lower: &Dir, hidden: bool) -> std::result::Result<(), Errno> {
    if hidden { lower.readable().map(drop) } else { lower.at(b"").map(drop) }
}

/// The attributes of both sides; none where those of one cannot be read.
fn pair(
    low: Side<'_>,
    top: Side<'_>,
    name: &[u8],
    new: Xattrs,
) -> std::result::Result<Option<(Xattrs, Xattrs)>, Errno> {
    let old = Xattrs::read(low.dir, name)?;
    let readable = old.are_readable(low.dir, name)? && new.are_readable(top.dir, name)?;
    Ok(readable.then_some((old, new)))
}

/// Opens a directory of the upper; none when its owner may not.
fn open(upper: &Dir, name: &[u8]) -> std::result::Result<Option<Dir>, Errno> {
    match upper.at(name).and_then(|dir| dir.readable().and(Ok(dir))) {
        Ok(dir) => Ok(Some(dir)),
        Err(Errno::ACCESS) => Ok(None),
        Err(errno) => Err(errno),
    }
}

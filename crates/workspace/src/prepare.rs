//! Makes what a commit puts in place, before anything of the host is changed.

use crate::base::{Base, Found};
use crate::copy::{Copier, Filter, clean};
use crate::dir::{join, split};
use crate::error::{Error, ErrorKind, Result, Step as _};
use crate::journal::{Do, From, Journal, Op};
use crate::meta::{FileKind, Id};
use crate::work::{At, Place, Work};
use rustix::fs::OFlags;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::fs::File;

/// Makes all temporary files, copies old versions that cannot be moved to the saved ones, and cleans
/// what is to be moved. What was made, by step.
/// `fresh`: the plan was written just now, so that nothing can be there.
pub(crate) fn all(work: &Work<'_>, journal: &Journal, fresh: bool) -> Result<HashMap<usize, Id>> {
    let copiers = |exact| -> Result<Vec<Copier>> {
        let roots = work.places.iter().map(|place| place.sides.lower.at(b""));
        roots.map(|root| Ok(Copier::new(exact, root.step("open", b"")?))).collect()
    };
    let (mut copiers, mut savers) = (copiers(false)?, copiers(true)?);
    let mut made = HashMap::new();
    open_directories(work, journal, true)?;
    spread(work, journal)?;
    for op in &journal.ops {
        let place = work.place(op)?;
        if let Some(copier) = savers.get_mut(op.root).filter(|_| journal.head.saved) {
            save(place, op, copier, fresh)?;
        }
        if let Do::Put { from, .. } = &op.act
            && let Some(copier) = copiers.get_mut(op.root)
        {
            let id = new_version(work, journal, (op, from), copier, fresh)?;
            made.extend(id.map(|id| (op.n, id)));
        }
    }
    Ok(made)
}

/// Copies the file that a step replaces or deletes to the saved ones, unless it can be moved there.
/// A directory is copied when its step comes: what the host makes in it until then is saved, too.
fn save(place: &Place, op: &Op, copier: &mut Copier, fresh: bool) -> Result<()> {
    let (Do::Put { old: Some(old), .. } | Do::Delete { old }) = &op.act else { return Ok(()) };
    if place.moves || old.kind == FileKind::Directory {
        return Ok(());
    }
    let saved = place.saved(&op.n.to_string());
    if !fresh {
        saved.remove()?;
    }
    let Some(at) = place.lower(&op.path.0)? else { return Ok(()) };
    // One that the host has changed is not replaced.
    let Some(meta) = at.meta()?.filter(|meta| meta.id() == *old) else { return Ok(()) };
    let to = (&*saved.dir, saved.name.as_slice());
    copier.single((&at.dir, &at.name, &meta), to).step("save", &op.path.0)?;
    Ok(())
}

/// Makes what a step puts in place; none where it is moved.
fn new_version(
    work: &Work<'_>,
    journal: &Journal,
    (op, from): (&Op, &From),
    copier: &mut Copier,
    fresh: bool,
) -> Result<Option<Id>> {
    let place = work.place(op)?;
    let gone = || Error::new(ErrorKind::Gone, format!("the directory of {} is gone", op.path));
    let source = place.upper(&op.path.0)?.ok_or_else(gone)?;
    if *from == From::Move {
        clean(&source.dir, &source.name).step("clean", &op.path.0)?;
        return Ok(None);
    }
    let path = join(split(&op.path.0).0, &journal.temporary(op.n));
    let target = place.lower(&path)?.ok_or_else(gone)?;
    if !fresh {
        target.remove()?;
    }
    let from_upper = (&*source.dir, source.name.as_slice());
    let copied = match from {
        From::Copy => copier.tree(from_upper, &target.dir, &path, &Filter::All),
        From::Part { paths, .. } => {
            let wanted: HashSet<Vec<u8>> = paths.iter().map(|path| path.0.clone()).collect();
            copier.tree(from_upper, &target.dir, &path, &Filter::Only(&wanted))
        }
        From::Staged { keep } => {
            // What is left of a file keeps the program's mode and attributes.
            let host = place.lower(&op.path.0)?.filter(|_| *keep);
            staged(work, journal, op, host.as_ref().unwrap_or(&source), &target)?;
            return target.id();
        }
        From::Move => return Ok(None),
    };
    copied.map(Some).step("copy", &op.path.0)
}

/// Turns opacity of the plan's directories into single whiteouts, so that each stands for itself.
pub(crate) fn spread(work: &Work<'_>, journal: &Journal) -> Result<()> {
    let mut bases: HashMap<usize, Option<Base>> = HashMap::new();
    for op in journal.ops.iter().filter(|op| matches!(op.act, Do::Directory { .. })) {
        let place = work.place(op)?;
        let path = &op.path.0;
        let upper = place.sides.upper.find(path).step("open", path)?;
        let lower = place.sides.lower.find(path).step("open", path)?;
        let (Some(upper), Some(lower)) = (upper, lower) else { continue };
        if !crate::opaque::is(&upper).step("look at", path)? {
            continue;
        }
        let base = match bases.entry(op.root) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(free) => free.insert(work.workspace.base(op.root)?),
        };
        // What the host made meanwhile was not deleted.
        let made = |name: &[u8]| {
            base.as_ref().is_some_and(|base| base.find(&join(path, name)) == Found::Absent)
        };
        crate::opaque::spread(&upper, &lower, made).step("write whiteouts in", path)?;
    }
    Ok(())
}

/// Lets names be made in the directories of the plan, on the `host`, too. Their modes come back at
/// the end.
pub(crate) fn open_directories(work: &Work<'_>, journal: &Journal, host: bool) -> Result<()> {
    for op in &journal.ops {
        if !matches!(op.act, Do::Directory { .. }) {
            continue;
        }
        let place = work.place(op)?;
        let upper = std::iter::once(&place.sides.upper);
        for root in upper.chain(host.then_some(&place.sides.lower)) {
            let Some(at) = At::find(root, &op.path.0)? else { continue };
            let Some(meta) = at.meta()? else { continue };
            let own = meta.uid == rustix::process::geteuid().as_raw();
            if meta.is_dir() && own && meta.mode & 0o300 != 0o300 {
                at.dir.chmod(&at.name, meta.mode | 0o300).step("set the mode of", &op.path.0)?;
            }
        }
    }
    Ok(())
}

/// Content that was put together, with the mode and attributes of another file.
fn staged(work: &Work<'_>, journal: &Journal, op: &Op, like: &At, target: &At) -> Result<()> {
    let content = crate::commit::staged(&work.workspace.dir, journal, op.n)?;
    write_staged(content, like, target).step("write", &op.path.0)
}

pub(crate) fn write_staged(mut content: File, like: &At, target: &At) -> std::io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
    let mut file = File::from(target.dir.file(&target.name, flags, 0o600)?);
    std::io::copy(&mut content, &mut file)?;
    if let Some(meta) = like.dir.stat(&like.name)? {
        let kept = crate::xattr::kept(&like.dir, &like.name)?;
        crate::xattr::assign(&target.dir, &target.name, &kept)?;
        target.dir.chmod(&target.name, meta.safe_mode())?;
    }
    Ok(())
}

/// Removes the temporary files of a commit that did not begin, and gives directories their modes.
pub(crate) fn remove(work: &Work<'_>, journal: &Journal) -> Result<()> {
    for op in &journal.ops {
        let place = work.place(op)?;
        match &op.act {
            Do::Put { .. } => {
                let path = join(split(&op.path.0).0, &journal.temporary(op.n));
                if let Some(at) = At::find(&place.sides.lower, &path)? {
                    at.remove()?;
                }
            }
            Do::Directory { old, upper, .. } => {
                crate::apply::directory(&place.sides.lower, &op.path.0, old, None)?;
                if let Some(upper) = upper {
                    crate::apply::directory(&place.sides.upper, &op.path.0, upper, None)?;
                }
            }
            Do::Delete { .. } | Do::Drop | Do::Rewrite => {}
        }
    }
    Ok(())
}

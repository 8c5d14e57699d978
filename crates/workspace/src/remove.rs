//! Removing trees whatever is in them.

use crate::dir::Dir;
use crate::error::{Result as Done, Step as _};
use rustix::io::Errno;

/// Directories that are open at once.
const DEEPEST: usize = 64;

/// How names begin under which directories of a store are made and removed: no list shows them.
pub(crate) const HIDDEN: &[u8] = b".part-";

/// Such a name that nobody else uses.
pub(crate) fn hidden() -> Done<Vec<u8>> {
    Ok([HIDDEN, crate::journal::random()?.as_bytes()].concat())
}

/// Removes a directory of a store: it is gone from lists at once, whole as it is.
pub(crate) fn away(store: &Dir, name: &[u8]) -> Done<()> {
    let hidden = hidden()?;
    match rustix::fs::renameat(store, name, store, hidden.as_slice()) {
        Err(Errno::NOENT) => return Ok(()),
        // An overlay renames no directory that lies below it.
        Err(Errno::XDEV) => return remains(store, name),
        other => other.step("remove", name)?,
    }
    remains(store, &hidden)
}

/// Removes what is left of a directory of a store. Others may be removing it, too.
pub(crate) fn remains(store: &Dir, name: &[u8]) -> Done<()> {
    for _ in 0..16 {
        match tree(store, name) {
            Err(Errno::NOENT) => {}
            other => return other.step("remove", name),
        }
    }
    Ok(())
}

/// Removes a name of a directory with all that is below it. Directories that their owner cannot
/// enter are made enterable, trees of any depth are taken apart, and mounts are not entered. What
/// is not there is no error.
pub(crate) fn tree(dir: &Dir, name: &[u8]) -> Result<(), Errno> {
    match dir.unlink(name) {
        Err(Errno::ISDIR | Errno::PERM) => {}
        other => return other,
    }
    let mut stack = vec![(enter(dir, name)?, name.to_vec())];
    let mut moved = 0_u32;
    while let Some((here, _)) = stack.last() {
        let mut below = None;
        for name in here.list()? {
            match here.unlink(&name) {
                Ok(()) => {}
                Err(Errno::ISDIR | Errno::PERM) => match here.rmdir(&name) {
                    Ok(()) => {}
                    Err(Errno::NOTEMPTY | Errno::EXIST) => below = Some(name),
                    Err(errno) => return Err(errno),
                },
                Err(errno) => return Err(errno),
            }
            if below.is_some() {
                break;
            }
        }
        match (below, stack.first()) {
            (Some(name), Some((top, _))) if stack.len() >= DEEPEST => {
                // Too deep to hold every directory open: it goes on from the top.
                moved += 1;
                match here.rename(&name, top, format!("deep-{moved}").as_bytes()) {
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(errno) => return Err(errno),
                }
            }
            (Some(name), _) => {
                let next = enter(here, &name)?;
                stack.push((next, name));
            }
            (None, _) => {
                if let Some((_, name)) = stack.pop() {
                    stack.last().map_or(dir, |(above, _)| above).rmdir(&name)?;
                }
            }
        }
    }
    Ok(())
}

/// Opens a directory so that it can be listed and changed.
fn enter(dir: &Dir, name: &[u8]) -> Result<Dir, Errno> {
    let meta = dir.stat(name)?.ok_or(Errno::NOENT)?;
    if meta.is_dir() && meta.mode & 0o700 != 0o700 {
        dir.chmod(name, meta.mode | 0o700)?;
    }
    dir.at(name)
}

//! Says by single whiteouts what an opaque directory says at once.

use crate::dir::Dir;
use crate::meta::Meta;
use crate::xattr::{self, Xattrs};
use rustix::fs::{FileType, Mode};
use rustix::io::Errno;

const OPAQUE: &[u8] = b"user.overlay.opaque";

/// Makes a whiteout; one that is there is no error.
pub(crate) fn whiteout(dir: &Dir, name: &[u8]) -> Result<(), Errno> {
    match rustix::fs::mknodat(dir, name, FileType::CharacterDevice, Mode::empty(), 0) {
        Err(Errno::EXIST) => Ok(()),
        other => other,
    }
}

/// Whether a directory hides what the host has in it.
pub(crate) fn is(upper: &Dir) -> Result<bool, Errno> {
    let overlay = Xattrs::read(upper, b"")?.overlay(upper, b"")?;
    if overlay.unknown { Err(Errno::ACCESS) } else { Ok(overlay.opaque) }
}

/// Replaces a directory's opacity by a whiteout for each name of the host's that the upper does not
/// have, and by opacity of the directories that both have. It means the same at every moment: what
/// takes the opacity's place comes first. `keeps` says which names of the host are not deleted.
pub(crate) fn spread(
    upper: &Dir,
    lower: &Dir,
    mut keeps: impl FnMut(&[u8]) -> bool,
) -> Result<(), Errno> {
    let mtime = upper.meta()?.mtime;
    for name in lower.list()? {
        let both = |meta: &Meta| meta.is_dir();
        match upper.stat(&name)? {
            None if keeps(&name) => {}
            None => whiteout(upper, &name)?,
            Some(meta) if both(&meta) && lower.stat(&name)?.is_some_and(|m| m.is_dir()) => {
                set(upper, &name, meta.mode)?;
            }
            Some(_) => {}
        }
    }
    clear(upper, b"")?;
    upper.touch(b"", mtime)
}

/// Makes a directory opaque, also one that its owner may not write to.
fn set(dir: &Dir, name: &[u8], mode: u32) -> Result<(), Errno> {
    match xattr::set(dir, name, OPAQUE, b"y") {
        Err(Errno::ACCESS) if mode & 0o200 == 0 => {
            dir.chmod(name, mode | 0o200)?;
            let done = xattr::set(dir, name, OPAQUE, b"y");
            dir.chmod(name, mode)?;
            done
        }
        other => other,
    }
}

/// Takes a directory's opacity away.
pub(crate) fn clear(dir: &Dir, name: &[u8]) -> Result<(), Errno> {
    xattr::remove(dir, name, OPAQUE)
}

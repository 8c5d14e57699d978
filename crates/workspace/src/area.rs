//! The area of a root: the directory that holds its upper, the overlay's work directory and the saved
//! copies. It lies in the workspace or, where a commit can rename only from there, elsewhere.

use crate::about::{Root, born_and_mount};
use crate::dir::{Dir, bytes};
use crate::error::{Error, ErrorKind, Result, Step as _};
use crate::store::{NewRoot, check_ours};
use rustix::fs::OFlags;
use rustix::io::Errno;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use swathe_record::bytes::Bytes;

/// The name of an area outside the store. The store's path is not in it: two stores with a
/// workspace of one name collide there, and the second is refused.
pub(crate) fn name(id: &str, number: usize) -> String {
    format!("swathe-{id}-{number}")
}

/// Where the upper directory of a root lies, and whether a commit can rename.
pub(crate) fn choose(
    root: &Dir,
    roots: &[Dir],
    wanted: &NewRoot,
    own: &Dir,
    own_path: &Path,
) -> Result<(PathBuf, bool)> {
    let shown = || Bytes::from(wanted.path.as_path());
    let mount =
        |dir: &Dir| -> Result<(u64, u64), Errno> { Ok((dir.meta()?.dev, born_and_mount(dir)?.1)) };
    let goal = mount(root).step("look at", bytes(&wanted.path))?;
    for path in &wanted.candidates {
        // A candidate that does not fit is no error: the store is always one.
        let Ok(dir) = Dir::open(path) else { continue };
        let fits = check_ours(&dir, path).is_ok() && !is_within(&dir, roots);
        if fits && mount(&dir) == Ok(goal) {
            return Ok((path.clone(), true));
        }
    }
    if is_within(own, roots) {
        let text = format!(
            "what is written below {} would lie inside it, in {}: an overlay cannot do that",
            shown(),
            Bytes::from(own_path)
        );
        return Err(Error::new(ErrorKind::Unusable, text)
            .fix("name a directory outside it for workspaces, best on the same file system"));
    }
    Ok((own_path.to_owned(), mount(own) == Ok(goal)))
}

/// Whether a directory is one of these or below one.
fn is_within(dir: &Dir, roots: &[Dir]) -> bool {
    let key = |dir: &Dir| dir.meta().map(|m| (m.dev, m.ino)).ok();
    let roots: Vec<_> = roots.iter().map(key).collect();
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let up = |dir: BorrowedFd<'_>| {
        rustix::fs::openat(dir, c"..", flags, rustix::fs::Mode::empty()).map(Dir)
    };
    let mut at = key(dir);
    let mut next = up(dir.as_fd());
    // Path components are bounded by the kernel; the root is its own parent.
    for _ in 0..4096 {
        if roots.contains(&at) {
            return true;
        }
        let Ok(above) = next else { return at.is_none() };
        let key = key(&above);
        if key == at {
            return false;
        }
        at = key;
        next = up(above.as_fd());
    }
    true
}

/// Makes the directories of a root's area.
pub(crate) fn make(root: &Root) -> Result<()> {
    let path = root.area.as_path();
    rustix::fs::mkdir(path, 0o700.into()).step("make", bytes(path))?;
    let filled = fill(root);
    if filled.is_err() {
        let _ = remove(root);
    }
    filled
}

/// Removes a root's area with all that is in it. One that is gone is no error.
pub(crate) fn remove(root: &Root) -> Result<()> {
    let path = root.area.as_path();
    let (Some(above), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
    let dir = match Dir::open(above) {
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
        other => other.step("open", &root.area.0)?,
    };
    let name = name.as_bytes();
    let Some(area) = dir.find(name).step("open", &root.area.0)? else { return Ok(()) };
    check_ours(&area, path)?;
    crate::remove::tree(&dir, name).step("remove", &root.area.0)
}

fn fill(root: &Root) -> Result<()> {
    let path = root.area.as_path();
    let area = Dir::open(path).step("open", bytes(path))?;
    for name in [b"upper".as_slice(), b"work", b"undo"] {
        area.mkdir(name, 0o700).step("make a directory in", bytes(path))?;
    }
    // The upper's own attributes are those that the root shows in the overlay.
    let host = Dir::open(root.path.as_path()).step("open", &root.path.0)?;
    let meta = host.meta().step("look at", &root.path.0)?;
    match area.chown(b"upper", meta.uid, meta.gid) {
        // Somebody else's directory, or a group that the user is not in.
        Ok(()) | Err(Errno::PERM) => {}
        Err(errno) => {
            return Err(Error::system("set the owner of the upper in", bytes(path), errno));
        }
    }
    area.chmod(b"upper", meta.mode).step("set the mode of the upper in", bytes(path))?;
    let kept = crate::xattr::kept(&host, b"").step("read attributes of", &root.path.0)?;
    crate::xattr::assign(&area, b"upper", &kept).step("set attributes in", bytes(path))?;
    area.touch(b"upper", meta.mtime).step("set the time of the upper in", bytes(path))
}

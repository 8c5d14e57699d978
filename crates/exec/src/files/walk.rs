//! openat2(2) with `RESOLVE_IN_ROOT` for kernels before 5.6: a walk by hand.
//!
//! Each component is opened by its name alone, without following links; a link's target is put in
//! front of what is left. ".." goes back along the directories that were walked, never to what the
//! file system says is above, so that a directory that is moved meanwhile leads nowhere else.

use alloc::ffi::CString;
use alloc::vec;
use alloc::vec::Vec;
use core::ffi::CStr;
use swathe_sys::Errno;
use swathe_sys::rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use swathe_sys::rustix::fs::{self, FileType, Mode, OFlags};

/// The most links followed in one path, as the kernel has it.
const MAX_LINKS: u32 = 40;

/// Magic links of procfs lie on file systems of this type; their text is not where they lead.
const PROC_SUPER_MAGIC: u64 = 0x9fa0;

/// Opens `path` beneath `root`, which is "/" for it and for every link on the way.
///
/// # Errors
/// As openat2(2): ELOOP also for a link of procfs other than `self` and `thread-self`.
pub fn open_in_root(root: BorrowedFd<'_>, path: &CStr, flags: OFlags) -> Result<OwnedFd, Errno> {
    let step = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut stack: Vec<OwnedFd> = vec![fs::openat(root, c".", step, Mode::empty())?];
    let mut left: Vec<Vec<u8>> = components(path.to_bytes());
    let wants_directory = path.to_bytes().ends_with(b"/");
    let mut links = 0;
    while let Some(name) = left.pop() {
        let Some(dir) = stack.last() else { return Err(Errno::NOENT) };
        match name.as_slice() {
            b"." => continue,
            b".." => {
                if stack.len() > 1 {
                    stack.pop();
                }
                continue;
            }
            _ => {}
        }
        let name = CString::new(name).map_err(|_| Errno::INVAL)?;
        let next = fs::openat(dir, &name, step, Mode::empty())?;
        let is_link = FileType::from_raw_mode(fs::fstat(&next)?.st_mode) == FileType::Symlink;
        let last = left.is_empty();
        if !is_link || (last && flags.contains(OFlags::NOFOLLOW) && !wants_directory) {
            stack.push(next);
            continue;
        }
        links += 1;
        if links > MAX_LINKS || is_magic(next.as_fd(), &name)? {
            return Err(Errno::LOOP);
        }
        let target = fs::readlinkat(&next, c"", Vec::new())?;
        if target.to_bytes().starts_with(b"/") {
            stack.truncate(1);
        }
        left.extend(components(target.to_bytes()));
    }
    let Some(found) = stack.pop() else { return Err(Errno::NOENT) };
    finish(found, flags, wants_directory)
}

/// Opens a directory on whose path below `root` there is no link and no "..".
///
/// # Errors
/// ELOOP or ENOTDIR for a link; those of openat(2).
pub fn open_plain(root: BorrowedFd<'_>, path: &CStr) -> Result<OwnedFd, Errno> {
    let step = OFlags::PATH | OFlags::NOFOLLOW | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut at = fs::openat(root, c".", step, Mode::empty())?;
    for name in components(path.to_bytes()).iter().rev() {
        if name == b".." {
            return Err(Errno::LOOP);
        }
        let name = CString::new(name.as_slice()).map_err(|_| Errno::INVAL)?;
        at = fs::openat(&at, &name, step, Mode::empty())?;
    }
    Ok(at)
}

/// A link of procfs that leads by other means than its text.
fn is_magic(link: BorrowedFd<'_>, name: &CStr) -> Result<bool, Errno> {
    let plain = matches!(name.to_bytes(), b"self" | b"thread-self" | b"mounts" | b"net");
    Ok(!plain && fs::fstatfs(link)?.f_type as u64 == PROC_SUPER_MAGIC)
}

fn components(path: &[u8]) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> =
        path.split(|&b| b == b'/').filter(|c| !c.is_empty()).map(<[u8]>::to_vec).collect();
    all.reverse();
    all
}

/// Opens what was found with the flags asked for.
fn finish(found: OwnedFd, flags: OFlags, wants_directory: bool) -> Result<OwnedFd, Errno> {
    let kind = FileType::from_raw_mode(fs::fstat(&found)?.st_mode);
    let directory = flags.contains(OFlags::DIRECTORY) || wants_directory;
    if directory && kind != FileType::Directory {
        return Err(Errno::NOTDIR);
    }
    if flags.contains(OFlags::PATH) {
        return Ok(found);
    }
    if kind == FileType::Directory {
        return fs::openat(&found, c".", flags - OFlags::NOFOLLOW, Mode::empty());
    }
    // Callers open only directories and O_PATH this way.
    Err(Errno::NOTDIR)
}

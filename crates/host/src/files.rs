//! Looking at files of the host, by bytes.

use alloc::ffi::CString;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use swathe_sys::Errno;
use swathe_sys::rustix::fd::{AsRawFd, OwnedFd};
use swathe_sys::rustix::fs::{self, AtFlags, CWD, FileType, Mode, OFlags};
use swathe_sys::rustix::io::{pread, read as read_fd};

/// A path as bytes.
pub type Path = Vec<u8>;

fn c_path(path: &[u8]) -> Option<CString> {
    CString::new(path).ok()
}

fn open(path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    let path = c_path(path).ok_or(Errno::INVAL)?;
    // A FIFO or a device that lies there must not hold us.
    let flags = flags | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    fs::openat(CWD, &path, flags, Mode::empty())
}

fn open_regular(path: &[u8]) -> Result<OwnedFd, Errno> {
    let file = open(path, OFlags::RDONLY)?;
    if FileType::from_raw_mode(fs::fstat(&file)?.st_mode) != FileType::RegularFile {
        return Err(Errno::INVAL);
    }
    Ok(file)
}

/// A regular file of which parts are read.
#[derive(Debug)]
pub struct Ranges(OwnedFd);

impl Ranges {
    /// Opens it.
    ///
    /// # Errors
    /// Those of open(2); EINVAL for what is no regular file.
    pub fn open(path: &[u8]) -> Result<Self, Errno> {
        open_regular(path).map(Self)
    }

    /// Reads at most `most` bytes from `offset` on; fewer at the file's end.
    ///
    /// # Errors
    /// Those of pread(2).
    pub fn read(&self, offset: u64, most: usize) -> Result<Vec<u8>, Errno> {
        let mut data = vec![0; most];
        let mut len = 0;
        while len < most {
            match pread(&self.0, &mut data[len..], offset.saturating_add(len as u64)) {
                Ok(0) => break,
                Ok(n) => len += n,
                Err(Errno::INTR) => {}
                Err(e) => return Err(e),
            }
        }
        data.truncate(len);
        Ok(data)
    }
}

/// Reads a regular file, or one of procfs or sysfs: at most `most` bytes of it.
///
/// # Errors
/// Those of open(2) and read(2); EINVAL for what is no regular file.
pub fn read(path: &[u8], most: usize) -> Result<Vec<u8>, Errno> {
    let file = open_regular(path)?;
    let mut data = Vec::new();
    // On the stack: some allocators map and unmap anything of this size.
    let mut buffer = [0; 4 << 10];
    while data.len() < most {
        let want = buffer.len().min(most - data.len());
        match read_fd(&file, &mut buffer[..want]) {
            Ok(0) => break,
            Ok(n) => data.extend_from_slice(&buffer[..n]),
            Err(Errno::INTR) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(data)
}

/// The kind of what is at a path, without following a link there.
pub fn kind(path: &[u8]) -> Option<FileType> {
    let stat = fs::statat(CWD, &c_path(path)?, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    Some(FileType::from_raw_mode(stat.st_mode))
}

/// Whether something is at a path, links followed.
pub fn exists(path: &[u8]) -> bool {
    c_path(path).is_some_and(|path| fs::stat(&path).is_ok())
}

/// Whether a regular file is at a path, links followed.
pub fn is_file(path: &[u8]) -> bool {
    let stat = c_path(path).and_then(|path| fs::stat(&path).ok());
    stat.is_some_and(|s| FileType::from_raw_mode(s.st_mode) == FileType::RegularFile)
}

/// The text of a link.
pub fn read_link(path: &[u8]) -> Option<Path> {
    Some(fs::readlinkat(CWD, &c_path(path)?, Vec::new()).ok()?.into_bytes())
}

/// The path without links, if it leads somewhere.
pub fn real_path(path: &[u8]) -> Option<Path> {
    let file = open(path, OFlags::PATH).ok()?;
    let real = read_link(format!("/proc/self/fd/{}", file.as_raw_fd()).as_bytes())?;
    real.starts_with(b"/").then_some(real)
}

/// `path` below `dir`; a path from the root stands alone.
pub fn join(dir: &[u8], path: &[u8]) -> Path {
    if path.starts_with(b"/") {
        return path.to_vec();
    }
    match dir.last() {
        Some(b'/') | None => [dir, path].concat(),
        _ => [dir, b"/", path].concat(),
    }
}

/// The components of a path, without empty ones.
pub fn components(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|&b| b == b'/').filter(|c| !c.is_empty())
}

/// The directory that holds what is at a path: "/" for the root and what lies in it.
pub fn parent(path: &[u8]) -> &[u8] {
    match path.iter().rposition(|&b| b == b'/') {
        Some(0) | None => b"/",
        Some(slash) => &path[..slash],
    }
}

/// Whether `path` is `dir` or below it; both from the root, without empty components.
pub fn is_below(path: &[u8], dir: &[u8]) -> bool {
    dir == b"/"
        || path.strip_prefix(dir).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

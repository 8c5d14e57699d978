//! Extended attributes, and what those of the overlay mean.

use crate::dir::Dir;
use rustix::fs::{XattrFlags, lgetxattr, llistxattr, lremovexattr, lsetxattr};
use rustix::io::Errno;

/// The most bytes of names, and of one value, that Linux gives.
const LONGEST: usize = 64 * 1024;

/// Name and value.
pub(crate) type Named = (Vec<u8>, Vec<u8>);

const OVERLAY: &[u8] = b"user.overlay.";

/// The attributes of one file that matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Xattrs {
    /// Names of those that a commit carries, sorted.
    pub kept: Vec<Vec<u8>>,
    /// Names of those that a commit takes away.
    pub stripped: Vec<Vec<u8>>,
}

/// What the overlay's attributes say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Overlay {
    /// The directory hides what is below it.
    pub opaque: bool,
    /// The directory may hold files that stand for deleted ones.
    pub whiteouts: bool,
    /// The file stands for a deleted one, in such a directory.
    pub whiteout: bool,
    /// Attributes that the kernel never writes for a program here.
    pub crafted: bool,
}

impl Xattrs {
    pub fn read(dir: &Dir, name: &[u8]) -> Result<Self, Errno> {
        let path = dir.proc_path(name);
        let mut small = [0_u8; 1024];
        let list = match llistxattr(path.as_slice(), &mut small[..]) {
            Ok(len) => small.get(..len).unwrap_or_default().to_vec(),
            Err(Errno::RANGE) => {
                let mut large = vec![0; LONGEST];
                let len = llistxattr(path.as_slice(), &mut large[..])?;
                large.truncate(len);
                large
            }
            Err(Errno::OPNOTSUPP) => Vec::new(),
            Err(errno) => return Err(errno),
        };
        let mut found = Self::default();
        for name in list.split(|b| *b == 0).filter(|name| !name.is_empty()) {
            if is_stripped(name) {
                found.stripped.push(name.to_vec());
            } else if is_kept(name) {
                found.kept.push(name.to_vec());
            }
        }
        found.kept.sort_unstable();
        Ok(found)
    }

    /// What those of the overlay say.
    pub fn overlay(&self, dir: &Dir, name: &[u8]) -> Result<Overlay, Errno> {
        let mut found = Overlay::default();
        for attribute in &self.stripped {
            match attribute.strip_prefix(OVERLAY) {
                Some(b"opaque") => match get(dir, name, attribute)?.as_slice() {
                    b"y" => found.opaque = true,
                    b"x" => found.whiteouts = true,
                    _ => found.crafted = true,
                },
                Some(b"whiteout") => found.whiteout = true,
                Some(b"origin" | b"impure" | b"nlink" | b"uuid" | b"upper" | b"index") => {}
                Some(_) => found.crafted = true,
                None => {}
            }
        }
        Ok(found)
    }
}

/// Attributes that a program may set and that mean something to its user.
fn is_kept(name: &[u8]) -> bool {
    name.starts_with(b"user.")
        || name == b"system.posix_acl_access"
        || name == b"system.posix_acl_default"
}

/// Attributes that must not come out of a workspace: the overlay's own, which would mean something
/// to another overlay, and those that give rights.
fn is_stripped(name: &[u8]) -> bool {
    name.starts_with(OVERLAY) || name.starts_with(b"trusted.") || name == b"security.capability"
}

/// A value; empty when there is none.
pub(crate) fn get(dir: &Dir, name: &[u8], attribute: &[u8]) -> Result<Vec<u8>, Errno> {
    let path = dir.proc_path(name);
    let mut value = vec![0; 256];
    loop {
        match lgetxattr(path.as_slice(), attribute, value.as_mut_slice()) {
            Ok(len) => {
                value.truncate(len);
                return Ok(value);
            }
            Err(Errno::RANGE) if value.len() < LONGEST => value.resize(LONGEST, 0),
            Err(Errno::NODATA | Errno::OPNOTSUPP) => return Ok(Vec::new()),
            Err(errno) => return Err(errno),
        }
    }
}

pub(crate) fn set(dir: &Dir, name: &[u8], attribute: &[u8], value: &[u8]) -> Result<(), Errno> {
    lsetxattr(dir.proc_path(name).as_slice(), attribute, value, XattrFlags::empty())
}

/// What is not there is no error.
pub(crate) fn remove(dir: &Dir, name: &[u8], attribute: &[u8]) -> Result<(), Errno> {
    match lremovexattr(dir.proc_path(name).as_slice(), attribute) {
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(()),
        other => other,
    }
}

/// Names and values of those that a commit carries.
pub(crate) fn kept(dir: &Dir, name: &[u8]) -> Result<Vec<Named>, Errno> {
    let names = Xattrs::read(dir, name)?.kept;
    names.into_iter().map(|n| get(dir, name, &n).map(|value| (n, value))).collect()
}

/// Gives a file exactly these attributes of those that a commit carries. Where the file system
/// knows none, they are lost.
pub(crate) fn assign(dir: &Dir, name: &[u8], wanted: &[Named]) -> Result<(), Errno> {
    for old in Xattrs::read(dir, name)?.kept {
        if !wanted.iter().any(|(n, _)| *n == old) {
            remove(dir, name, &old)?;
        }
    }
    for (attribute, value) in wanted {
        match set(dir, name, attribute, value) {
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::PERM) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

//! Extended attributes, and what those of the overlay mean.

use crate::dir::Dir;
use rustix::fs::{
    XattrFlags, fgetxattr, flistxattr, fremovexattr, fsetxattr, lgetxattr, llistxattr,
    lremovexattr, lsetxattr,
};
use rustix::io::Errno;
use std::os::fd::OwnedFd;

/// The most bytes of names, and of one value, that Linux gives.
const LONGEST: usize = 64 * 1024;

/// Name and value.
pub(crate) type Named = (Vec<u8>, Vec<u8>);

const OVERLAY: &[u8] = b"user.overlay.";

/// A file whose attributes are asked for or set.
#[derive(Debug, Clone, Copy)]
enum Of<'a> {
    /// By its name in a directory; empty: the directory itself.
    Name(&'a Dir, &'a [u8]),
    /// Open: many times cheaper.
    Open(&'a OwnedFd),
}

impl Of<'_> {
    fn list(self, names: &mut [u8]) -> Result<usize, Errno> {
        match self {
            Self::Name(dir, name) => llistxattr(dir.proc_path(name).as_slice(), names),
            Self::Open(file) => flistxattr(file, names),
        }
    }

    fn get(self, attribute: &[u8], value: &mut [u8]) -> Result<usize, Errno> {
        match self {
            Self::Name(dir, name) => lgetxattr(dir.proc_path(name).as_slice(), attribute, value),
            Self::Open(file) => fgetxattr(file, attribute, value),
        }
    }

    fn set(self, attribute: &[u8], value: &[u8]) -> Result<(), Errno> {
        let flags = XattrFlags::empty();
        match self {
            Self::Name(dir, name) => {
                lsetxattr(dir.proc_path(name).as_slice(), attribute, value, flags)
            }
            Self::Open(file) => fsetxattr(file, attribute, value, flags),
        }
    }

    /// What is not there is no error.
    fn remove(self, attribute: &[u8]) -> Result<(), Errno> {
        let removed = match self {
            Self::Name(dir, name) => lremovexattr(dir.proc_path(name).as_slice(), attribute),
            Self::Open(file) => fremovexattr(file, attribute),
        };
        match removed {
            Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(()),
            other => other,
        }
    }

    fn xattrs(self) -> Result<Xattrs, Errno> {
        let mut small = [0_u8; 1024];
        let list = match self.list(&mut small) {
            Ok(len) => small.get(..len).unwrap_or_default().to_vec(),
            Err(Errno::RANGE) => {
                let mut large = vec![0; LONGEST];
                let len = self.list(&mut large)?;
                large.truncate(len);
                large
            }
            Err(Errno::OPNOTSUPP) => Vec::new(),
            Err(errno) => return Err(errno),
        };
        let mut found = Xattrs::default();
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

    /// A value; empty when there is none.
    fn value(self, attribute: &[u8]) -> Result<Vec<u8>, Errno> {
        let mut value = vec![0; 256];
        loop {
            match self.get(attribute, &mut value) {
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

    fn named(self, names: Vec<Vec<u8>>) -> Result<Vec<Named>, Errno> {
        names.into_iter().map(|name| self.value(&name).map(|value| (name, value))).collect()
    }

    fn assign(self, wanted: &[Named]) -> Result<(), Errno> {
        for old in self.xattrs()?.kept {
            if !wanted.iter().any(|(name, _)| *name == old) {
                self.remove(&old)?;
            }
        }
        for (attribute, value) in wanted {
            match self.set(attribute, value) {
                Ok(()) | Err(Errno::OPNOTSUPP | Errno::PERM) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }
}

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
    /// One of them cannot be read: none of this is certain.
    pub unknown: bool,
}

impl Xattrs {
    pub fn read(dir: &Dir, name: &[u8]) -> Result<Self, Errno> {
        Of::Name(dir, name).xattrs()
    }

    /// What those of the overlay say.
    pub fn overlay(&self, dir: &Dir, name: &[u8]) -> Result<Overlay, Errno> {
        let mut found = Overlay::default();
        for attribute in &self.stripped {
            match attribute.strip_prefix(OVERLAY) {
                Some(b"opaque") => match Of::Name(dir, name).value(attribute) {
                    Ok(value) => match value.as_slice() {
                        b"y" => found.opaque = true,
                        b"x" => found.whiteouts = true,
                        _ => found.crafted = true,
                    },
                    Err(Errno::ACCESS) => found.unknown = true,
                    Err(errno) => return Err(errno),
                },
                Some(b"whiteout") => found.whiteout = true,
                Some(b"origin" | b"impure" | b"nlink" | b"uuid" | b"upper" | b"index") => {}
                Some(_) => found.crafted = true,
                None => {}
            }
        }
        Ok(found)
    }

    /// Whether its user can read the values of those that a commit carries.
    pub fn are_readable(&self, dir: &Dir, name: &[u8]) -> Result<bool, Errno> {
        // What holds for one holds for all: it takes the right to read the file.
        let own = self.kept.iter().find(|attribute| attribute.starts_with(b"user."));
        match own.map(|attribute| Of::Name(dir, name).value(attribute)) {
            Some(Err(Errno::ACCESS)) => Ok(false),
            Some(Err(errno)) => Err(errno),
            Some(Ok(_)) | None => Ok(true),
        }
    }

    /// Names and values of those that a commit carries. The file must be the one that was read.
    pub fn values(self, dir: &Dir, name: &[u8]) -> Result<Vec<Named>, Errno> {
        Of::Name(dir, name).named(self.kept)
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

pub(crate) fn set(dir: &Dir, name: &[u8], attribute: &[u8], value: &[u8]) -> Result<(), Errno> {
    Of::Name(dir, name).set(attribute, value)
}

/// What is not there is no error.
pub(crate) fn remove(dir: &Dir, name: &[u8], attribute: &[u8]) -> Result<(), Errno> {
    Of::Name(dir, name).remove(attribute)
}

/// Names and values of those that a commit carries.
pub(crate) fn kept(dir: &Dir, name: &[u8]) -> Result<Vec<Named>, Errno> {
    Xattrs::read(dir, name)?.values(dir, name)
}

/// Gives a file exactly these attributes of those that a commit carries. Where the file system
/// knows none, they are lost.
pub(crate) fn assign(dir: &Dir, name: &[u8], wanted: &[Named]) -> Result<(), Errno> {
    Of::Name(dir, name).assign(wanted)
}

/// As [`assign`], with those of another file, both open.
pub(crate) fn copy(from: &OwnedFd, to: &OwnedFd) -> Result<(), Errno> {
    let from = Of::Open(from);
    Of::Open(to).assign(&from.named(from.xattrs()?.kept)?)
}

//! One trash: a directory that holds things, and what is known of them.

use crate::entry::{Entry, Id};
use crate::meta::Meta;
use crate::{Error, Result};
use rustix::fd::{AsFd as _, OwnedFd};
use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags, mkdirat, openat, unlinkat};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

/// The longest file of `info` that is read: two paths, each byte of them escaped, and more.
const MAX_INFO: u64 = 64 << 10;
/// How many ids are tried, one after the other, when others take them meanwhile.
const MAX_TRIES: u64 = 10_000;

/// Upper bounds of one trash. When one is reached nothing can be removed any more: nothing goes
/// away by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Things.
    pub entries: u64,
    /// Bytes on the disk.
    pub bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { entries: 1_000_000, bytes: 16 << 30 }
    }
}

/// What a trash holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Usage {
    entries: u64,
    bytes: u64,
}

/// One trash.
#[derive(Debug)]
pub struct Quarantine {
    path: PathBuf,
    info: OwnedFd,
    pub files: OwnedFd,
    pub meta: Meta,
    used: Option<Usage>,
}

const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Opens a directory of the user's alone, or fails with EPERM.
pub fn open_own(dir: impl rustix::fd::AsFd, name: &CStr) -> rustix::io::Result<OwnedFd> {
    let fd = openat(dir, name, OFlags::RDONLY | DIRECTORY, Mode::empty())?;
    let meta = Meta::of(&fd)?;
    let own = meta.uid == rustix::process::geteuid().as_raw() && meta.mode & 0o077 == 0;
    if own { Ok(fd) } else { Err(Errno::PERM) }
}

/// As [`open_own`], and makes it where it is not there.
pub fn make_own(dir: impl rustix::fd::AsFd, name: &CStr) -> rustix::io::Result<OwnedFd> {
    match mkdirat(&dir, name, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => open_own(dir, name),
        Err(e) => Err(e),
    }
}

impl Quarantine {
    /// The one in this directory, which is the user's alone; made if need be.
    ///
    /// # Errors
    /// It cannot be made, or is somebody else's.
    pub fn make(dir: &OwnedFd, path: &Path) -> Result<Self> {
        let open = |name| make_own(dir, name).map_err(|e| Error::new("make a trash in", path, e));
        Self::with(open(c"info")?, open(c"files")?, path)
    }

    /// The one in this directory; none is made.
    ///
    /// # Errors
    /// It is not there, or is somebody else's.
    pub fn open(path: &Path) -> Result<Self> {
        let failed = |e| Error::new("open the trash", path, e);
        let name = CString::new(path.as_os_str().as_encoded_bytes());
        let dir = open_own(CWD, &name.map_err(|_| failed(Errno::INVAL))?).map_err(failed)?;
        let open = |name| open_own(&dir, name).map_err(failed);
        Self::with(open(c"info")?, open(c"files")?, path)
    }

    fn with(info: OwnedFd, files: OwnedFd, path: &Path) -> Result<Self> {
        let meta = Meta::of(&files).map_err(|e| Error::new("look at", path, e))?;
        Ok(Self { path: path.to_owned(), info, files, meta, used: None })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The name of a thing in `files`.
    pub fn name(id: Id) -> CString {
        CString::new(id.to_string()).unwrap_or_default()
    }

    fn info_name(id: Id) -> CString {
        CString::new(format!("{id}.json")).unwrap_or_default()
    }

    /// Writes down what will be moved here, before it is. Its id is `first` or a later one.
    ///
    /// # Errors
    /// EDQUOT: there is no room within the limits; or the file cannot be written.
    pub fn begin(
        &mut self,
        entry: &Entry,
        space: u64,
        limits: &Limits,
        first: Id,
    ) -> rustix::io::Result<Id> {
        self.reserve(space, limits)?;
        let text = serde_json::to_vec(entry).map_err(|_| Errno::IO)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        for more in 0..MAX_TRIES {
            let id = Id::of(first.time().saturating_add(more));
            match openat(&self.info, Self::info_name(id), flags, Mode::RUSR | Mode::WUSR) {
                Ok(file) => {
                    let written = File::from(file).write_all(&text);
                    return match written {
                        Ok(()) => Ok(id),
                        Err(e) => {
                            self.forget(id);
                            Err(Errno::from_io_error(&e).unwrap_or(Errno::IO))
                        }
                    };
                }
                Err(Errno::EXIST) => {}
                Err(e) => return Err(e),
            }
        }
        Err(Errno::AGAIN)
    }

    /// Counts something that comes.
    fn reserve(&mut self, space: u64, limits: &Limits) -> rustix::io::Result<()> {
        let fits = |used: &Usage| {
            used.entries < limits.entries
                && used.bytes.checked_add(space).is_some_and(|all| all <= limits.bytes)
        };
        // What others removed from it is seen only by counting again.
        let mut used = match self.used {
            Some(used) if fits(&used) => used,
            _ => self.count()?,
        };
        if !fits(&used) {
            self.used = Some(used);
            return Err(Errno::DQUOT);
        }
        used.entries += 1;
        used.bytes = used.bytes.saturating_add(space);
        self.used = Some(used);
        Ok(())
    }

    fn count(&self) -> rustix::io::Result<Usage> {
        let mut used = Usage { entries: self.ids()?.len() as u64, bytes: 0 };
        for entry in Dir::read_from(&self.files)? {
            let entry = entry?;
            if let Ok(meta) = Meta::at(&self.files, entry.file_name()) {
                used.bytes = used.bytes.saturating_add(meta.space);
            }
        }
        Ok(used)
    }

    /// Writes down something else of a thing that is here.
    pub fn correct(&self, id: Id, entry: &Entry) -> rustix::io::Result<()> {
        let text = serde_json::to_vec(entry).map_err(|_| Errno::IO)?;
        let flags = OFlags::WRONLY | OFlags::TRUNC | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&self.info, Self::info_name(id), flags, Mode::empty())?;
        File::from(file).write_all(&text).map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))
    }

    /// Removes what is known of a thing that is not here, or no longer.
    pub fn forget(&self, id: Id) {
        let _ = unlinkat(&self.info, Self::info_name(id), AtFlags::empty());
    }

    /// The ids of all that is known, in no order.
    pub fn ids(&self) -> rustix::io::Result<Vec<Id>> {
        let mut ids = Vec::new();
        for entry in Dir::read_from(&self.info)? {
            let entry = entry?;
            let id = entry.file_name().to_str().ok().and_then(|name| name.strip_suffix(".json"));
            ids.extend(id.and_then(Id::parse));
        }
        Ok(ids)
    }

    /// What is known of a thing; none if that cannot be read.
    pub fn read(&self, id: Id) -> Option<Entry> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = openat(&self.info, Self::info_name(id), flags, Mode::empty()).ok()?;
        let mut text = Vec::with_capacity(1024);
        File::from(file).take(MAX_INFO).read_to_end(&mut text).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Attributes of the thing itself.
    pub fn held(&self, id: Id) -> rustix::io::Result<Meta> {
        Meta::at(&self.files, &Self::name(id))
    }

    /// Destroys a thing.
    ///
    /// # Errors
    /// It cannot be removed; it stays known.
    pub fn destroy(&self, id: Id) -> Result<()> {
        let name = Self::name(id);
        let path = || self.path.join("files").join(id.to_string());
        match unlinkat(&self.files, &name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(Errno::ISDIR) => {
                // Std follows no link on the way down.
                use rustix::fd::AsRawFd as _;
                let fd = self.files.as_fd().as_raw_fd();
                std::fs::remove_dir_all(format!("/proc/self/fd/{fd}/{id}"))
                    .map_err(|e| Error::because("remove", &path(), e.to_string()))?;
            }
            Err(e) => return Err(Error::new("remove", &path(), e)),
        }
        self.forget(id);
        Ok(())
    }
}

//! What a run has changed in a copy of a directory, brought to the upper in the form that an overlay
//! would have left.

use super::copy::{Copied, DEEPEST, Entry, OPAQUE, attributes, list, remove, stamp, xattrs};
use crate::out::{Failure, shown};
use rustix::fs::{CWD, FileType, Mode, XattrFlags};
use std::collections::{HashMap, HashSet};
use std::ffi::{CString, OsStr};
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Brings what a run has changed in a copy to the upper directory, and removes the copy.
///
/// # Errors
/// Something cannot be moved; the copy is kept then.
pub fn collect(copied: &Copied, host: &Path, upper: &Path, tree: &Path) -> Result<(), Failure> {
    // Its program may have taken its own rights away: of directories these are given back, in the
    // copy alone, and a directory that was not entered has kept its contents.
    let mut children: HashMap<&Path, Vec<&PathBuf>> = HashMap::new();
    for path in copied.entries.keys() {
        children.entry(path.parent().unwrap_or(path)).or_default().push(path);
    }
    let mut collector = Collector { copied, children, host, upper, tree };
    collector.directory(Path::new(""), 0)?;
    remove(tree)
}

fn failed(what: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("cannot {what} {}: {error}", shown(&path.to_string_lossy())))
}

struct Collector<'p> {
    copied: &'p Copied,
    /// What was copied, by its directory.
    children: HashMap<&'p Path, Vec<&'p PathBuf>>,
    host: &'p Path,
    upper: &'p Path,
    tree: &'p Path,
}

impl Collector<'_> {
    /// Compares one directory that was there before and is there now.
    fn directory(&mut self, path: &Path, depth: usize) -> Result<(), Failure> {
        let here = self.tree.join(path);
        let meta = fs::symlink_metadata(&here).map_err(|e| failed("look at", &here, &e))?;
        let mode = meta.mode() & 0o7777;
        if mode & 0o700 != 0o700 {
            let opened = fs::Permissions::from_mode(mode | 0o700);
            fs::set_permissions(&here, opened).map_err(|e| failed("enter", &here, &e))?;
        }
        if depth > DEEPEST {
            let error = io::Error::other("the run made it too deep to be kept");
            return Err(failed("keep", &here, &error));
        }
        let names = list(&here).map_err(|e| failed("read", &here, &e))?;
        for name in &names {
            self.entry(&path.join(name), depth)?;
        }
        let names: HashSet<&OsStr> = names.iter().map(std::ffi::OsString::as_os_str).collect();
        for gone in self.children.get(path).into_iter().flatten() {
            let there = gone.file_name().is_some_and(|name| names.contains(name));
            if let Some(entry) = self.copied.entries.get(*gone).filter(|_| !there) {
                self.deleted(gone, entry)?;
            }
        }
        let other = self.copied.entries.get(path).is_some_and(|was| was.stamp.0 != meta.ino());
        if other || self.differs(path, mode) {
            self.parents(path)?;
            let to = self.upper.join(path);
            make_directory(&to)?;
            for name in xattrs(&to).into_keys() {
                let _ = rustix::fs::lremovexattr(&to, &name);
            }
            attributes(&here, &to).map_err(|e| failed("copy", &here, &e))?;
            let _ = fs::set_permissions(&to, fs::Permissions::from_mode(mode));
        }
        Ok(())
    }

    /// Whether a directory of the copy has another mode or other attributes than the one that it
    /// was made of.
    fn differs(&self, path: &Path, mode: u32) -> bool {
        let (above, below) = (self.upper.join(path), self.host.join(path));
        let model = if fs::symlink_metadata(&above).is_ok() { above } else { below };
        let before = fs::symlink_metadata(&model).map_or(0, |meta| meta.mode() & 0o7777);
        // Of others the system keeps its own on each side.
        let own = |name: &CString| {
            let name = name.as_bytes();
            name.starts_with(b"user.") || name.starts_with(b"system.posix_acl_")
        };
        let of = |path: &Path| -> Vec<_> {
            xattrs(path).into_iter().filter(|(name, _)| own(name)).collect()
        };
        mode != before || of(&self.tree.join(path)) != of(&model)
    }

    fn entry(&mut self, path: &Path, depth: usize) -> Result<(), Failure> {
        let here = self.tree.join(path);
        let meta = fs::symlink_metadata(&here).map_err(|e| failed("look at", &here, &e))?;
        let known = self.copied.entries.get(path).copied();
        let same = known.is_some_and(|known| known.stamp.0 == meta.ino());
        if meta.is_dir() && same && known.is_some_and(|known| known.directory) {
            return self.directory(path, depth + 1);
        }
        if known.is_some_and(|known| known.stamp == stamp(&meta)) {
            return Ok(());
        }
        // New, written to, or another than before.
        self.parents(path)?;
        let to = self.upper.join(path);
        clear(&to)?;
        fs::rename(&here, &to).map_err(|e| failed("keep", &here, &e))?;
        if meta.is_dir() && known.is_some_and(|known| known.below) {
            rustix::fs::lsetxattr(&to, OPAQUE, b"y", XattrFlags::empty())
                .map_err(|e| failed("mark", &to, &e.into()))?;
        }
        Ok(())
    }

    /// What the run has deleted: a mark where the host has something, else nothing.
    fn deleted(&self, path: &Path, entry: &Entry) -> Result<(), Failure> {
        let to = self.upper.join(path);
        if entry.own {
            clear(&to)?;
        }
        if entry.below {
            self.parents(path)?;
            clear(&to)?;
            let mode = Mode::from_raw_mode(0);
            rustix::fs::mknodat(CWD, &to, FileType::CharacterDevice, mode, 0)
                .map_err(|e| failed("mark as deleted", &to, &e.into()))?;
        }
        Ok(())
    }

    /// Makes the directories above in the upper, as they are in the copy.
    fn parents(&self, path: &Path) -> Result<(), Failure> {
        let Some(above) = path.parent().filter(|above| !above.as_os_str().is_empty()) else {
            return Ok(());
        };
        self.parents(above)?;
        let to = self.upper.join(above);
        if fs::symlink_metadata(&to).is_ok_and(|meta| meta.is_dir()) {
            return Ok(());
        }
        make_directory(&to)?;
        let model = self.tree.join(above);
        attributes(&model, &to).map_err(|e| failed("copy", &model, &e))
    }
}

fn make_directory(path: &Path) -> Result<(), Failure> {
    match fs::create_dir(path) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(failed("make", path, &e)),
        _ => Ok(()),
    }
}

/// Removes what an earlier run left in the upper.
fn clear(path: &Path) -> Result<(), Failure> {
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => remove(path),
        Ok(_) => fs::remove_file(path).map_err(|e| failed("remove", path, &e)),
        Err(_) => Ok(()),
    }
}

//! Directories of a test's own.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory of mode 0755 below the system's temporary directory, removed on drop with all that
/// is in it. What its methods make belongs to the directory's owner.
#[derive(Debug)]
pub struct TempDir {
    path: PathBuf,
    owner: u32,
}

impl TempDir {
    /// Makes an empty one for `owner`.
    ///
    /// # Panics
    ///
    /// When the directory cannot be made or given to the owner.
    #[must_use]
    pub fn new(owner: u32) -> Self {
        Self::below(&std::env::temp_dir(), owner)
    }

    /// Makes an empty one for `owner` on a file system in memory, where writing takes no time.
    ///
    /// # Panics
    ///
    /// As [`TempDir::new`].
    #[must_use]
    pub fn in_memory(owner: u32) -> Self {
        Self::below(Path::new("/dev/shm"), owner)
    }

    fn below(base: &Path, owner: u32) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let (pid, count) = (std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        // A path without symlinks, so that it can be compared with what a payload sees.
        let base = base.canonicalize().expect("a temporary directory");
        let path = base.join(format!("swathe-test-{pid}-{count}"));
        fs::create_dir(&path).expect("make a temporary directory");
        let dir = Self { path, owner };
        dir.adopt(Path::new(""));
        fs::set_permissions(&dir.path, Permissions::from_mode(0o755)).expect("open it to all");
        dir
    }

    /// Its absolute path, free of symlinks.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The absolute path of `name` in it, as text.
    #[must_use]
    pub fn at(&self, name: &str) -> String {
        format!("{}/{name}", self.path.display())
    }

    /// Makes a directory of mode 0755, and its parents.
    ///
    /// # Panics
    ///
    /// When that fails.
    pub fn dir(&self, name: &str) -> String {
        for part in Path::new(name).ancestors().collect::<Vec<_>>().iter().rev() {
            let path = self.path.join(part);
            if !path.exists() {
                fs::create_dir(&path).expect("make a directory");
                fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("set its mode");
                self.adopt(part);
            }
        }
        self.at(name)
    }

    /// Makes a file of mode 0644 with this content.
    ///
    /// # Panics
    ///
    /// When that fails.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        fs::write(self.path.join(name), content).expect("write a file");
        self.mode(name, 0o644);
        self.adopt(Path::new(name));
        self.at(name)
    }

    /// Makes a symlink.
    ///
    /// # Panics
    ///
    /// When that fails.
    pub fn link(&self, target: &str, name: &str) -> String {
        symlink(target, self.path.join(name)).expect("make a symlink");
        self.at(name)
    }

    /// Sets the mode of something in it.
    ///
    /// # Panics
    ///
    /// When that fails.
    pub fn mode(&self, name: &str, mode: u32) {
        let path = self.path.join(name);
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("set a mode");
    }

    /// The mode bits of something in it, without its kind; none when it does not exist.
    #[must_use]
    pub fn mode_of(&self, name: &str) -> Option<u32> {
        let found = self.path.join(name).symlink_metadata().ok()?;
        Some(found.permissions().mode() & 0o7777)
    }

    /// The content of a file in it; none when it cannot be read.
    #[must_use]
    pub fn read(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.path.join(name)).ok()
    }

    /// The names in one of its directories, sorted.
    ///
    /// # Panics
    ///
    /// When it cannot be read.
    #[must_use]
    pub fn list(&self, name: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path.join(name)).expect("list a directory");
        let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
        let mut names: Vec<String> = entries.flatten().map(name).collect();
        names.sort();
        names
    }

    fn adopt(&self, name: &Path) {
        if crate::binary::is_root() {
            let path = self.path.join(name);
            chown(path, Some(self.owner), Some(self.owner)).expect("give to the test's user");
        }
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        // A test may leave directories that even their owner cannot enter.
        if fs::remove_dir_all(&self.path).is_err() {
            let _ =
                std::process::Command::new("chmod").arg("-R").arg("u+rwx").arg(&self.path).status();
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

//! A record of the world's own files, to see what a launch left behind and to put it back.

use crate::{escape, os};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Longest file that is kept for restoring, in bytes; longer ones never change (they are programs).
const LONGEST: u64 = 4096;

/// A file as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    mode: u32,
    owner: (u32, u32),
    size: u64,
    body: Vec<u8>,
    kind: char,
}

/// Every file of the world by path.
#[derive(Default)]
pub struct Snapshot(BTreeMap<PathBuf, Node>);

/// Directories that are not the world's own.
const FOREIGN: [&str; 3] = ["/usr", "/proc", "/opt"];

impl Snapshot {
    /// Reads the tree. Directories that may not be listed count as empty.
    pub fn take(foreign: &[PathBuf]) -> Self {
        let mut out = Self::default();
        out.walk(Path::new("/"), foreign);
        out
    }

    fn walk(&mut self, path: &Path, foreign: &[PathBuf]) {
        let Ok(data) = fs::symlink_metadata(path) else {
            return;
        };
        let kind = data.file_type();
        let mut node = Node {
            mode: data.mode(),
            owner: (data.uid(), data.gid()),
            size: 0,
            body: vec![],
            kind: 'd',
        };
        if kind.is_symlink() {
            node.kind = 'l';
            node.body = fs::read_link(path).map_or(vec![], |t| t.as_os_str().as_bytes().to_vec());
        } else if kind.is_file() {
            node.kind = 'f';
            node.size = data.len();
            if data.len() <= LONGEST {
                node.body = fs::read(path).unwrap_or_default();
            }
        } else if kind.is_fifo() {
            node.kind = 'p';
        } else if kind.is_char_device() {
            node.kind = 'c';
            node.size = data.rdev();
        } else if !kind.is_dir() {
            node.kind = 'o';
        }
        let list = kind.is_dir();
        self.0.insert(path.to_path_buf(), node);
        if list
            && !FOREIGN.iter().any(|f| path == Path::new(f))
            && !foreign.iter().any(|f| f == path)
        {
            for entry in fs::read_dir(path).into_iter().flatten().flatten() {
                self.walk(&entry.path(), foreign);
            }
        }
    }

    /// What differs in `later`, one line for each path.
    pub fn changes(&self, later: &Self) -> Vec<String> {
        let show = |path: &Path, what: &str, node: &Node| {
            let name = escape::line(path.as_os_str().as_bytes());
            let (uid, gid) = node.owner;
            let body = escape::line(&node.body[..node.body.len().min(80)]);
            format!("{what} {name} {} {:04o} {uid}:{gid} \"{body}\"", node.kind, node.mode & 0o7777)
        };
        let mut out = vec![];
        for (path, node) in &later.0 {
            match self.0.get(path) {
                None => out.push(show(path, "created", node)),
                Some(old) if old != node => out.push(show(path, "changed", node)),
                Some(_) => {}
            }
        }
        for (path, node) in &self.0 {
            if !later.0.contains_key(path) {
                out.push(show(path, "removed", node));
            }
        }
        out
    }

    /// Makes the tree that is now `later` what it was in `self`.
    pub fn restore(&self, later: &Self) -> io::Result<()> {
        // Directories first, new ones too: without their permission bits nothing below them can be
        // removed.
        for (path, now) in later.0.iter().filter(|(_, now)| now.kind == 'd') {
            let mode = match self.0.get(path) {
                Some(node) if node.mode == now.mode => continue,
                Some(node) => node.mode & 0o7777,
                None => 0,
            };
            let open = fs::Permissions::from_mode(mode | 0o700);
            fs::set_permissions(path, open).map_err(|e| named(path, &e))?;
        }
        for path in later.0.keys().rev() {
            if !self.0.contains_key(path) {
                remove(path).map_err(|e| named(path, &e))?;
            }
        }
        for (path, node) in &self.0 {
            match later.0.get(path) {
                Some(now) if now == node => continue,
                Some(now) if now.kind != node.kind || now.body != node.body => {
                    remove(path).map_err(|e| named(path, &e))?
                }
                _ => {}
            }
            make(path, node).map_err(|e| named(path, &e))?;
        }
        Ok(())
    }
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("restoring {}: {error}", path.display()))
}

/// Removes whatever is at `path`, also directories without permission bits.
fn remove(path: &Path) -> io::Result<()> {
    let Ok(data) = fs::symlink_metadata(path) else {
        return Ok(());
    };
    if data.is_dir() {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
        for entry in fs::read_dir(path)? {
            remove(&entry?.path())?;
        }
        return fs::remove_dir(path);
    }
    fs::remove_file(path)
}

/// Creates the device or pipe that `node` describes.
fn node_at(path: &Path, node: &Node) -> io::Result<()> {
    let path = os::cstr(path.as_os_str().as_bytes())?;
    // SAFETY: a valid C string and integers.
    os::check(unsafe { libc::mknod(path.as_ptr(), node.mode, node.size) }.into()).map(|_| ())
}

/// Creates the file that `node` describes, or corrects its mode and owner.
fn make(path: &Path, node: &Node) -> io::Result<()> {
    if fs::symlink_metadata(path).is_err() {
        match node.kind {
            'd' => fs::create_dir(path)?,
            'f' => fs::write(path, &node.body)?,
            'c' | 'p' => node_at(path, node)?,
            'l' => std::os::unix::fs::symlink(OsStr::from_bytes(&node.body), path)?,
            _ => return Err(io::Error::other(format!("cannot make {} again", path.display()))),
        }
    }
    let now = fs::symlink_metadata(path)?;
    if (now.uid(), now.gid()) != node.owner {
        std::os::unix::fs::lchown(path, Some(node.owner.0), Some(node.owner.1))?;
    }
    if node.kind != 'l' && now.mode() != node.mode {
        fs::set_permissions(path, fs::Permissions::from_mode(node.mode & 0o7777))?;
    }
    Ok(())
}

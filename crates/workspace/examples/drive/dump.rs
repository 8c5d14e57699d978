//! A tree as text, to be compared.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

/// Times after this are "now": they differ from one application of a change to the other.
const NOW: i64 = 1_500_000_000;

/// Every path below a directory, and what is there. Names of one file share a number. Bits that a
/// commit takes away are left out.
pub fn tree(root: &Path) -> BTreeMap<String, String> {
    let (mut all, mut links) = (BTreeMap::new(), BTreeMap::new());
    walk(root, root, &mut all, &mut links);
    all
}

fn walk(
    root: &Path,
    at: &Path,
    all: &mut BTreeMap<String, String>,
    links: &mut BTreeMap<u64, String>,
) {
    let meta = fs::symlink_metadata(at).unwrap();
    let name = at.strip_prefix(root).unwrap().display().to_string();
    let kind = meta.file_type();
    let mode = meta.mode() & if kind.is_dir() { 0o3777 } else { 0o1777 };
    let mut text = if kind.is_file() {
        let content = match fs::read(at) {
            Ok(content) if content.len() < 64 => {
                format!("{:?}", content.escape_ascii().to_string())
            }
            Ok(content) => {
                let sum = content.iter().fold(7_u64, |sum, b| sum.wrapping_mul(31) + u64::from(*b));
                format!("{} bytes {sum:x}", content.len())
            }
            Err(_) => format!("{} bytes unread", meta.len()),
        };
        format!("file {content}")
    } else if kind.is_dir() {
        "dir".to_owned()
    } else if kind.is_symlink() {
        format!("link {:?}", fs::read_link(at).unwrap())
    } else if kind.is_fifo() {
        "fifo".to_owned()
    } else if kind.is_socket() {
        "socket".to_owned()
    } else {
        "device".to_owned()
    };
    if !kind.is_symlink() {
        text += &format!(" {mode:o}");
    }
    let time = if meta.mtime() > NOW { "now".to_owned() } else { meta.mtime().to_string() };
    text += &format!(" {time}");
    text += &xattrs(at);
    if !kind.is_dir() && meta.nlink() > 1 {
        let first = links.entry(meta.ino()).or_insert_with(|| name.clone());
        text += &format!(" same as {first:?}");
    }
    all.insert(name, text);
    if kind.is_dir() {
        let mut names: Vec<_> = fs::read_dir(at).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        for name in names {
            walk(root, &at.join(name), all, links);
        }
    }
}

fn xattrs(at: &Path) -> String {
    let mut list = [0_u8; 4096];
    let len = rustix::fs::llistxattr(at, &mut list[..]).unwrap_or(0);
    let mut names: Vec<&[u8]> = list[..len].split(|b| *b == 0).filter(|n| !n.is_empty()).collect();
    names.sort_unstable();
    let mut text = String::new();
    for name in names
        .into_iter()
        .filter(|name| name.starts_with(b"user.") || name.starts_with(b"system.posix"))
    {
        let mut value = [0_u8; 1024];
        let len = rustix::fs::lgetxattr(at, name, &mut value[..]).unwrap_or(0);
        text += &format!(" {}={}", name.escape_ascii(), value[..len].escape_ascii());
    }
    text
}

/// Panics with the lines that differ.
pub fn same(what: &str, is: &BTreeMap<String, String>, wanted: &BTreeMap<String, String>) {
    if is == wanted {
        return;
    }
    let mut text = format!("{what}:");
    for (path, line) in is {
        if wanted.get(path) != Some(line) {
            text += &format!("\n  is     {path}: {line}");
        }
    }
    for (path, line) in wanted {
        if is.get(path) != Some(line) {
            text += &format!("\n  wanted {path}: {line}");
        }
    }
    panic!("{text}");
}

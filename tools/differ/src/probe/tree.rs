//! The mount table and the file tree as seen from inside.

use crate::Report;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use swathe_differ::{PROC_FD, escape, os};

/// Most entries listed; a tree with more is cut, and the report says so.
const MOST: usize = 4000;
/// Longest file content reported, in bytes; of longer files only the size.
const CONTENT: u64 = 300;

/// Reports mounts, then the tree, not listing directories on the devices of `skip`.
pub fn report(out: &mut Report, skip: &[&str]) {
    let table = os::slurp_at(PROC_FD, "self/mountinfo").unwrap_or_default();
    for line in table.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
        out.bytes("mountinfo", line);
    }
    let mut left = MOST;
    walk(out, Path::new("/"), skip, &mut left);
    if left == 0 {
        out.add("tree", "cut: too many entries");
    }
}

fn walk(out: &mut Report, path: &Path, skip: &[&str], left: &mut usize) {
    if *left == 0 {
        return;
    }
    *left -= 1;
    let name = escape::line(path.as_os_str().as_bytes());
    let data = match std::fs::symlink_metadata(path) {
        Ok(data) => data,
        Err(e) => return out.add("tree", &format!("{name} ? {e}")),
    };
    let kind = data.file_type();
    let device = format!("{}:{}", libc::major(data.dev()), libc::minor(data.dev()));
    let (letter, detail) = if kind.is_symlink() {
        let target = std::fs::read_link(path).unwrap_or_default();
        ("link", escape::line(target.as_os_str().as_bytes()))
    } else if kind.is_dir() {
        ("dir", String::new())
    } else if kind.is_file() {
        ("file", content(path, data.len()))
    } else if kind.is_char_device() || kind.is_block_device() {
        ("device", format!("{}:{}", libc::major(data.rdev()), libc::minor(data.rdev())))
    } else {
        (if kind.is_fifo() { "fifo" } else { "socket" }, String::new())
    };
    let procfs = kind.is_dir() && is_procfs(path);
    // The mode of a procfs root and its owner are fixed; its entries vary with every process.
    out.add(
        "tree",
        &format!(
            "{name} {letter} {:04o} {}:{} access={} dev={device} {detail}",
            data.mode() & 0o7777,
            data.uid(),
            data.gid(),
            access(path)
        ),
    );
    if kind.is_dir() && !procfs && !skip.contains(&device.as_str()) {
        match std::fs::read_dir(path) {
            Ok(entries) => {
                let mut names: Vec<_> = entries.flatten().map(|e| e.file_name()).collect();
                names.sort();
                for entry in names {
                    walk(out, &path.join::<&OsStr>(&entry), skip, left);
                }
            }
            Err(e) => out.add("tree", &format!("{name}/ {e}")),
        }
    }
}

fn content(path: &Path, size: u64) -> String {
    if size > CONTENT {
        return format!("size {size}");
    }
    match std::fs::read(path) {
        Ok(bytes) => format!("\"{}\"", escape::line(&bytes)),
        Err(e) => format!("size {size} {e}"),
    }
}

/// What the process may do with the entry itself: read, write, execute or search.
fn access(path: &Path) -> String {
    let Ok(path) = os::cstr(path.as_os_str().as_bytes()) else {
        return "?".into();
    };
    [(libc::R_OK, 'r'), (libc::W_OK, 'w'), (libc::X_OK, 'x')]
        .iter()
        .map(|(mode, letter)| {
            let flags = libc::AT_EACCESS | libc::AT_SYMLINK_NOFOLLOW;
            // SAFETY: a valid C string and integers. Raw, since C libraries emulate the flags.
            let r = unsafe {
                libc::syscall(libc::SYS_faccessat2, libc::AT_FDCWD, path.as_ptr(), *mode, flags)
            };
            if r == 0 { *letter } else { '-' }
        })
        .collect()
}

fn is_procfs(path: &Path) -> bool {
    let Ok(path) = os::cstr(path.as_os_str().as_bytes()) else {
        return false;
    };
    // SAFETY: statfs is plain data that the call fills.
    unsafe {
        let mut info = std::mem::zeroed::<libc::statfs>();
        libc::statfs(path.as_ptr(), &raw mut info) == 0 && info.f_type as i64 == 0x9fa0
    }
}

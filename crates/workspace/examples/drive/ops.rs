//! Random changes of a tree, as lines of text, so that the same can be done twice.

use crate::random::Random;
use rustix::fs::{CWD, RenameFlags, Timespec, Timestamps, XattrFlags};
use std::fs::{self, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::path::Path;

const NAMES: [&str; 5] = ["a", "b", "c", ".d", "e\nf"];

fn path(random: &mut Random) -> String {
    let depth = 1 + random.below(3);
    (0..depth).map(|_| *random.pick(&NAMES)).collect::<Vec<_>>().join("/")
}

/// One change, its words separated by NUL.
pub fn random(random: &mut Random) -> String {
    let p = path(random);
    let number = random.below(1000);
    let words: Vec<String> = match random.below(24) {
        0..=2 => vec!["write".into(), p, format!("text {number}\n")],
        3 => vec!["write".into(), p, "long line\n".repeat(100 + number)],
        4 => vec!["append".into(), p, format!("more {number}\n")],
        5 | 6 | 20..=23 => vec!["mkdir".into(), p],
        7 | 8 => vec!["rename".into(), p, path(random)],
        9 => vec!["exchange".into(), p, path(random)],
        10 => vec!["link".into(), p, path(random)],
        11 => vec!["symlink".into(), random.pick(&["a", "../b", "none"]).to_string(), p],
        12 | 13 => vec!["unlink".into(), p],
        14 => vec!["rmtree".into(), p],
        15 => {
            let mode = random.pick(&["755", "700", "644", "600", "444", "555", "4755", "640"]);
            vec!["chmod".into(), p, (*mode).to_owned()]
        }
        16 => vec!["xattr".into(), p, format!("v{number}")],
        17 => vec!["retype".into(), p, format!("was a directory {number}\n")],
        18 => vec!["sparse".into(), p],
        _ => match random.below(3) {
            0 => vec!["fifo".into(), p],
            1 => vec!["remake".into(), p],
            _ => vec!["touch".into(), p, (1_000_000_000 + number).to_string()],
        },
    };
    words.join("\0")
}

pub fn apply_file(ops: &Path, root: &Path) {
    let text = fs::read_to_string(ops).unwrap();
    let mut done = String::new();
    for op in text.split('\x01').filter(|op| !op.is_empty()) {
        done.push(if apply(op, root).is_ok() { '1' } else { '0' });
    }
    fs::write(ops.with_extension("done"), done).unwrap();
}

/// Does one change.
pub fn apply(op: &str, root: &Path) -> std::io::Result<()> {
    let words: Vec<&str> = op.split('\0').collect();
    let at = |p: &str| root.join(p);
    let open = |p: &str| {
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let mut options = OpenOptions::new();
        options.write(true).custom_flags(flags);
        let meta = fs::symlink_metadata(at(p));
        if meta.is_ok_and(|meta| !meta.is_file()) {
            return Err(std::io::ErrorKind::InvalidInput.into());
        }
        options.create(true).open(at(p))
    };
    match words.as_slice() {
        ["write", p, text] => {
            let mut file = open(p)?;
            file.set_len(0)?;
            file.write_all(text.as_bytes())
        }
        ["append", p, text] => {
            let mut file = open(p)?;
            file.seek(SeekFrom::End(0))?;
            file.write_all(text.as_bytes())
        }
        ["sparse", p] => {
            let mut file = open(p)?;
            file.set_len(1 << 20)?;
            file.seek(SeekFrom::Start(300_000))?;
            file.write_all(b"island")
        }
        ["mkdir", p] => fs::create_dir(at(p)),
        ["rename", a, b] => fs::rename(at(a), at(b)),
        ["exchange", a, b] => {
            Ok(rustix::fs::renameat_with(CWD, at(a), CWD, at(b), RenameFlags::EXCHANGE)?)
        }
        ["link", a, b] => fs::hard_link(at(a), at(b)),
        ["symlink", target, p] => symlink(target, at(p)),
        ["unlink", p] => fs::remove_file(at(p)),
        ["rmtree", p] => remove(&at(p)),
        ["chmod", p, mode] => {
            let mut mode = u32::from_str_radix(mode, 8).unwrap();
            let meta = fs::symlink_metadata(at(p))?;
            if meta.is_symlink() {
                return Err(std::io::ErrorKind::InvalidInput.into());
            }
            if meta.is_dir() {
                // A directory that its owner cannot read, and a bit that a commit takes away and an
                // undo does not bring back, are other matters.
                mode = mode & 0o3777 | 0o500;
            }
            fs::set_permissions(at(p), fs::Permissions::from_mode(mode))
        }
        ["xattr", p, value] => {
            let flags = XattrFlags::empty();
            Ok(rustix::fs::lsetxattr(at(p), "user.test", value.as_bytes(), flags)?)
        }
        ["retype", p, text] => {
            remove(&at(p))?;
            fs::write(at(p), text)
        }
        ["remake", p] => {
            remove(&at(p))?;
            fs::create_dir(at(p))?;
            fs::write(at(p).join("a"), "in a new directory\n")
        }
        ["fifo", p] => {
            let mode = rustix::fs::Mode::from_raw_mode(0o600);
            Ok(rustix::fs::mknodat(CWD, at(p), rustix::fs::FileType::Fifo, mode, 0)?)
        }
        ["touch", p, time] => touch(&at(p), time.parse().unwrap()),
        other => panic!("unknown change {other:?}"),
    }
}

/// Removes a directory as a whole or not at all.
fn remove(path: &Path) -> std::io::Result<()> {
    let parent = path.parent().unwrap();
    rustix::fs::access(parent, rustix::fs::Access::WRITE_OK)?;
    // By a link the path can lead through what is removed.
    if parent.canonicalize()? != parent {
        return Err(std::io::ErrorKind::InvalidInput.into());
    }
    if fs::symlink_metadata(path)?.is_dir() {
        open_up(path)?;
    }
    fs::remove_dir_all(path)
}

fn open_up(path: &Path) -> std::io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            open_up(&entry.path())?;
        }
    }
    Ok(())
}

/// Sets the time of last change, of a symlink its own.
pub fn touch(path: &Path, time: i64) -> std::io::Result<()> {
    let time = Timespec { tv_sec: time, tv_nsec: 0 };
    let times = Timestamps { last_access: time, last_modification: time };
    Ok(rustix::fs::utimensat(CWD, path, &times, rustix::fs::AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Gives everything below a directory an old time, the innermost first.
pub fn age(root: &Path) {
    if fs::symlink_metadata(root).unwrap().is_dir() {
        for entry in fs::read_dir(root).unwrap() {
            age(&entry.unwrap().path());
        }
    }
    touch(root, 900_000_000).unwrap();
}

//! /proc/self/mountinfo (proc_pid_mountinfo(5)), for kernels without mount_setattr(2) only.

use alloc::vec;
use alloc::vec::Vec;
use swathe_sys::Errno;
use swathe_sys::rustix::fd::BorrowedFd;
use swathe_sys::rustix::fs::{self, Mode, OFlags};

/// The most bytes of a mount table that are read: some 500,000 mounts.
const MAX_TABLE: usize = 64 << 20;

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    id: u64,
    parent: u64,
    /// Where it is mounted.
    pub point: Vec<u8>,
    /// Its flags, as mount(2) takes them.
    pub flags: u64,
}

/// The mount at `point` (the topmost one there) first, then all mounts below it.
///
/// # Errors
/// EINVAL: nothing is mounted exactly there. Others as of reading the table.
pub fn tree(proc_fd: BorrowedFd<'_>, point: &[u8]) -> Result<Vec<Entry>, Errno> {
    beneath(&parse(&read(proc_fd)?), point)
}

/// The same for a table that was read.
///
/// # Errors
/// EINVAL: nothing is mounted exactly there.
#[doc(hidden)]
pub fn beneath(table: &[Entry], point: &[u8]) -> Result<Vec<Entry>, Errno> {
    // Later lines lie on top of earlier ones.
    let top = table.iter().rev().find(|e| e.point == point).ok_or(Errno::INVAL)?;
    let mut found = vec![top.clone()];
    let mut at = 0;
    // The kernel's table is a tree. Were it not, this would still end.
    while at < found.len() && found.len() <= table.len() {
        let id = found[at].id;
        found.extend(table.iter().filter(|e| e.parent == id && e.id != id).cloned());
        at += 1;
    }
    Ok(found)
}

fn read(proc_fd: BorrowedFd<'_>) -> Result<Vec<u8>, Errno> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = fs::openat(proc_fd, c"self/mountinfo", flags, Mode::empty())?;
    let mut table = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let n = swathe_sys::rustix::io::read(&file, &mut buffer)?;
        if n == 0 {
            return Ok(table);
        }
        table.extend_from_slice(&buffer[..n]);
        if table.len() > MAX_TABLE {
            return Err(Errno::TOOBIG);
        }
    }
}

/// Reads a table; lines that are none are left out.
#[doc(hidden)]
pub fn parse(table: &[u8]) -> Vec<Entry> {
    table.split(|&b| b == b'\n').filter_map(entry).collect()
}

fn entry(line: &[u8]) -> Option<Entry> {
    let mut fields = line.split(|&b| b == b' ');
    let mut number = || core::str::from_utf8(fields.next()?).ok()?.parse().ok();
    let (id, parent) = (number()?, number()?);
    let point = unescape(fields.nth(2)?);
    let mut flags = 0;
    for option in fields.next()?.split(|&b| b == b',') {
        flags |= match option {
            b"ro" => 1,
            b"nosuid" => 2,
            b"nodev" => 4,
            b"noexec" => 8,
            b"nosymfollow" => 256,
            b"noatime" => 1024,
            b"nodiratime" => 2048,
            b"relatime" => 1 << 21,
            _ => 0,
        };
    }
    Some(Entry { id, parent, point, flags })
}

/// Octal escapes of blanks and backslashes.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, tail)) = rest.split_first() {
        let octal =
            tail.get(..3).filter(|d| first == b'\\' && d.iter().all(|b| (b'0'..=b'7').contains(b)));
        match octal {
            Some(d) => {
                out.push(d.iter().fold(0u8, |n, b| n.wrapping_mul(8).wrapping_add(b - b'0')));
                rest = &tail[3..];
            }
            None => {
                out.push(first);
                rest = tail;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fields, escapes and flags are read as proc_pid_mountinfo(5) has them.
    #[test]
    fn parses_lines() {
        let table = parse(b"36 35 98:0 / /a\\040b\\134c rw,noatime,nosuid master:1 - ext3 /dev/x rw\n37 36 0:5 / /t ro - tmpfs t rw\nrubbish\n");
        assert_eq!(table.len(), 2);
        assert_eq!(table[0].point, b"/a b\\c");
        assert_eq!(table[0].flags, 1024 | 2);
        assert_eq!((table[1].parent, table[1].flags), (36, 1));
    }
}

//! Which file systems are the host's. Nothing is created in those.

use rustix::fs::{Dev, fstat, fstatfs, major, makedev, minor};
use rustix::io::{Errno, pread};
use std::collections::BTreeSet;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};

/// `TMPFS_MAGIC`.
const TMPFS: u64 = 0x0102_1994;

/// The most bytes that are read of a mount table.
const MAX_TABLE: usize = 16 << 20;

/// The device numbers of the file systems that the host has, or had.
pub struct HostDevices {
    /// The table of the helper's own mounts, whichever namespace it is in.
    table: File,
    known: BTreeSet<Dev>,
}

impl HostDevices {
    /// `table`: `/proc/self/mountinfo`, opened among the helper's own mounts.
    pub fn new(table: File) -> Result<Self, Errno> {
        let mut devices = Self { table, known: BTreeSet::new() };
        devices.update()?;
        Ok(devices)
    }

    /// Adds those that have come since.
    pub fn update(&mut self) -> Result<(), Errno> {
        let text = read(&self.table)?;
        for line in text.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
            // ID PARENT MAJOR:MINOR ...
            let field = line.split(|&byte| byte == b' ').nth(2).unwrap_or_default();
            let device = std::str::from_utf8(field).ok().and_then(|text| text.split_once(':'));
            let number = |text: &str| text.parse().ok();
            let device = device.and_then(|(a, b)| Some(makedev(number(a)?, number(b)?)));
            self.known.insert(device.ok_or(Errno::INVAL)?);
        }
        Ok(())
    }

    /// Whether a directory is in a temporary file system that the sandbox has made for itself.
    pub fn is_sandbox_tmpfs(&self, fd: BorrowedFd<'_>) -> Result<bool, Errno> {
        let device = fstat(fd)?.st_dev;
        let device = makedev(major(device), minor(device));
        Ok(fstatfs(fd)?.f_type as u64 == TMPFS && !self.known.contains(&device))
    }
}

/// All of a mount table.
fn read(table: &File) -> Result<Vec<u8>, Errno> {
    let mut text = Vec::new();
    let mut part = [0; 1 << 14];
    loop {
        match pread(table.as_fd(), &mut part, text.len() as u64) {
            Ok(0) => return Ok(text),
            Ok(n) => text.extend_from_slice(part.get(..n).unwrap_or_default()),
            Err(Errno::INTR) => {}
            Err(e) => return Err(e),
        }
        if text.len() > MAX_TABLE {
            return Err(Errno::FBIG);
        }
    }
}

//! Sets of rights on files, as Landlock has them.

use crate::tables::{FILE_RIGHTS, FileRight};
use core::fmt;
use core::ops::{BitAnd, BitOr, BitOrAssign};

/// A set of the rights in [`FILE_RIGHTS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FileRights(u64);

impl FileRights {
    /// Executing a file.
    pub const EXECUTE: Self = Self(1);
    /// Opening a file to write.
    pub const WRITE_FILE: Self = Self(1 << 1);
    /// Opening a file to read.
    pub const READ_FILE: Self = Self(1 << 2);
    /// Listing a directory.
    pub const READ_DIR: Self = Self(1 << 3);
    /// Removing an empty directory, or renaming one.
    pub const REMOVE_DIR: Self = Self(1 << 4);
    /// Removing a file, or renaming one.
    pub const REMOVE_FILE: Self = Self(1 << 5);
    /// Making, linking or renaming a character device.
    pub const MAKE_CHAR: Self = Self(1 << 6);
    /// Making or renaming a directory.
    pub const MAKE_DIR: Self = Self(1 << 7);
    /// Making, linking or renaming a regular file.
    pub const MAKE_REG: Self = Self(1 << 8);
    /// Making, linking or renaming a UNIX socket.
    pub const MAKE_SOCK: Self = Self(1 << 9);
    /// Making, linking or renaming a FIFO.
    pub const MAKE_FIFO: Self = Self(1 << 10);
    /// Making, linking or renaming a block device.
    pub const MAKE_BLOCK: Self = Self(1 << 11);
    /// Making, linking or renaming a symbolic link.
    pub const MAKE_SYM: Self = Self(1 << 12);
    /// Linking or renaming a file from or to another directory.
    pub const REFER: Self = Self(1 << 13);
    /// Truncating a file.
    pub const TRUNCATE: Self = Self(1 << 14);
    /// ioctl(2) on a device.
    pub const IOCTL_DEV: Self = Self(1 << 15);

    /// The rights that a list of names, with commas, stands for.
    ///
    /// # Errors
    /// The first word that is no name; an empty list has an empty word.
    pub fn parse(list: &[u8]) -> Result<Self, &[u8]> {
        list.split(|&b| b == b',').try_fold(Self::default(), |all, word| {
            let bit = FILE_RIGHTS.iter().position(|right| right.name.as_bytes() == word);
            bit.map(|bit| Self(all.0 | 1 << bit)).ok_or(word)
        })
    }

    /// The bits, by the positions in [`FILE_RIGHTS`]: those of `LANDLOCK_ACCESS_FS_*`.
    pub fn bits(self) -> u64 {
        self.0
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether all of these are among them.
    pub fn contains(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    /// Those that a file has which is no directory.
    #[must_use]
    pub fn of_files(self) -> Self {
        let each = self.positions().filter(|(_, right)| right.file);
        Self(each.fold(0, |bits, (at, _)| bits | 1 << at))
    }

    /// The first one that a Landlock of this ABI lacks: its position in [`FILE_RIGHTS`].
    pub fn beyond(self, abi: u32) -> Option<usize> {
        self.positions().find(|(_, right)| right.abi > abi).map(|(at, _)| at)
    }

    fn positions(self) -> impl Iterator<Item = (usize, &'static FileRight)> {
        FILE_RIGHTS.iter().enumerate().filter(move |(at, _)| self.0 & 1 << at != 0)
    }
}

impl BitOr for FileRights {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for FileRights {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl BitAnd for FileRights {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl fmt::Display for FileRights {
    /// The list that [`FileRights::parse`] takes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (_, right)) in self.positions().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            f.write_str(right.name)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString as _;

    /// Names stand for the kernel's bits, alone and in lists of any order; other words for nothing.
    #[test]
    fn lists_of_names() {
        let named = [
            (FileRights::EXECUTE, "execute"),
            (FileRights::WRITE_FILE, "write-file"),
            (FileRights::READ_FILE, "read-file"),
            (FileRights::READ_DIR, "read-dir"),
            (FileRights::REMOVE_DIR, "remove-dir"),
            (FileRights::REMOVE_FILE, "remove-file"),
            (FileRights::MAKE_CHAR, "make-char"),
            (FileRights::MAKE_DIR, "make-dir"),
            (FileRights::MAKE_REG, "make-reg"),
            (FileRights::MAKE_SOCK, "make-sock"),
            (FileRights::MAKE_FIFO, "make-fifo"),
            (FileRights::MAKE_BLOCK, "make-block"),
            (FileRights::MAKE_SYM, "make-sym"),
            (FileRights::REFER, "refer"),
            (FileRights::TRUNCATE, "truncate"),
            (FileRights::IOCTL_DEV, "ioctl-dev"),
        ];
        for (at, (right, name)) in named.iter().enumerate() {
            assert_eq!(FileRights::parse(name.as_bytes()), Ok(*right));
            assert_eq!((right.bits(), right.to_string()), (1 << at, (*name).to_string()));
        }
        let both = FileRights::TRUNCATE | FileRights::EXECUTE;
        assert_eq!(FileRights::parse(b"truncate,execute,truncate"), Ok(both));
        assert_eq!(both.to_string(), "execute,truncate");
        for (list, unknown) in [
            (&b""[..], &b""[..]),
            (b"execute,", b""),
            (b"Execute", b"Execute"),
            (b"read-file,read", b"read"),
            (b"write_file", b"write_file"),
            (b"execute read-dir", b"execute read-dir"),
        ] {
            assert_eq!(FileRights::parse(list), Err(unknown));
        }
    }

    /// The oldest ABI that has all of some rights, and what is left of them for a file.
    #[test]
    fn kernels_and_files() {
        let rights = FileRights::READ_DIR | FileRights::TRUNCATE | FileRights::IOCTL_DEV;
        let lacks = |abi| rights.beyond(abi).map(|at| FILE_RIGHTS[at].name);
        assert_eq!(lacks(0), Some("read-dir"));
        assert_eq!((lacks(1), lacks(2)), (Some("truncate"), Some("truncate")));
        assert_eq!((lacks(3), lacks(4), lacks(5)), (Some("ioctl-dev"), Some("ioctl-dev"), None));
        assert_eq!(FileRights::REFER.beyond(1), Some(13));
        assert_eq!(FileRights::REFER.beyond(2), None);
        assert_eq!(rights.of_files(), FileRights::TRUNCATE | FileRights::IOCTL_DEV);
        assert!(FileRights::REFER.of_files().is_empty());
        assert!(rights.contains(rights.of_files()) && !rights.of_files().contains(rights));
        assert_eq!(rights & FileRights::READ_DIR, FileRights::READ_DIR);
    }
}

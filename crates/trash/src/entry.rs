//! What is known of a thing in the trash.

use serde::{Deserialize, Serialize};
use std::fmt;
use swathe_record::bytes::Bytes;

/// The name of a thing in the trash: when it was removed, in microseconds since 1970, as 13
/// hexadecimal digits. Later ones are greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(u64);

/// Digits of an id.
const DIGITS: usize = 13;

impl Id {
    /// The one of this moment, which must be before the year 2112.
    #[must_use]
    pub fn of(micros: u64) -> Self {
        Self(micros & ((1 << (4 * DIGITS)) - 1))
    }

    /// Reads one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let fine = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() != DIGITS || !text.bytes().all(fine) {
            return None;
        }
        u64::from_str_radix(text, 16).ok().map(Self)
    }

    /// When it was removed, in microseconds since 1970.
    #[must_use]
    pub fn time(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0DIGITS$x}", self.0)
    }
}

/// What a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A file.
    File,
    /// A symbolic link.
    Link,
    /// An empty directory.
    Directory,
    /// A named pipe.
    Pipe,
    /// A socket. It is not kept.
    Socket,
    /// A device.
    Device,
}

/// A thing in the trash: one file of JSON. Fields may be added later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Where it was: an absolute path on the host.
    pub path: Bytes,
    /// The run that removed it.
    pub run: String,
    /// The program that removed it, as the sandbox names its file.
    pub program: Bytes,
    /// What it is.
    pub kind: Kind,
    /// Whether something else was put in its place.
    #[serde(default)]
    pub replaced: bool,
    /// Bytes.
    pub size: u64,
    /// Its mode without its kind.
    pub mode: u32,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// When it was last changed: seconds since 1970, and nanoseconds.
    pub modified: (i64, u32),
    /// The device that it was on.
    pub device: (u32, u32),
    /// Its inode.
    pub inode: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids() {
        let id = Id::of(1_795_817_595_123_456);
        assert_eq!(id.to_string().len(), DIGITS);
        assert_eq!(Id::parse(&id.to_string()), Some(id));
        assert!(Id::of(2) > Id::of(1) && Id::of(2).to_string() > Id::of(1).to_string());
        for bad in ["", "..", "0000000000001x", "000000000000A", "+000000000001", "../../../../.."]
        {
            assert_eq!(Id::parse(bad), None, "{bad}");
        }
    }
}

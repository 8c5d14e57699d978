//! Bytes from a program, as text that can be read and turned back.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

/// A path, a word or an address in the program's own bytes. As text, a backslash, control
/// characters and what is not UTF-8 become `\xNN` each byte, so that nothing in it can steer a
/// terminal or end a line, and it can be read back without loss.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Bytes(pub Vec<u8>);

impl Bytes {
    /// The bytes as a path.
    #[must_use]
    pub fn as_path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.0))
    }

    /// Reads back what [`fmt::Display`] wrote.
    ///
    /// # Errors
    /// A backslash that `xNN` does not follow.
    pub fn parse(text: &str) -> Result<Self, BadEscape> {
        let mut out = Vec::with_capacity(text.len());
        let mut rest = text.as_bytes();
        while let Some((&first, after)) = rest.split_first() {
            rest = after;
            if first != b'\\' {
                out.push(first);
                continue;
            }
            let digits = after.strip_prefix(b"x").and_then(|d| d.get(..2)).ok_or(BadEscape)?;
            let [high, low] = [digits[0], digits[1]].map(|d| char::from(d).to_digit(16));
            let value = high.zip(low).map(|(high, low)| high * 16 + low).ok_or(BadEscape)?;
            out.push(u8::try_from(value).map_err(|_| BadEscape)?);
            rest = after.get(3..).unwrap_or_default();
        }
        Ok(Self(out))
    }
}

/// A backslash without `xNN` after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadEscape;

impl fmt::Display for BadEscape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a backslash that is not followed by x and two hexadecimal digits")
    }
}

impl std::error::Error for BadEscape {}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                if c == '\\' || c.is_control() || is_steering(c) {
                    let mut buffer = [0; 4];
                    for byte in c.encode_utf8(&mut buffer).bytes() {
                        write!(f, "\\x{byte:02x}")?;
                    }
                } else {
                    write!(f, "{c}")?;
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// Characters that change the direction or the place of what follows.
fn is_steering(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

impl From<&Path> for Bytes {
    fn from(path: &Path) -> Self {
        Self(path.as_os_str().as_bytes().to_vec())
    }
}

impl From<PathBuf> for Bytes {
    fn from(path: PathBuf) -> Self {
        Self(path.into_os_string().into_vec())
    }
}

impl From<Bytes> for OsString {
    fn from(bytes: Bytes) -> Self {
        Self::from_vec(bytes.0)
    }
}

impl From<&str> for Bytes {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Most stand as they are.
        let is_plain = |&b: &u8| matches!(b, b' '..=b'~') && b != b'\\';
        match std::str::from_utf8(&self.0) {
            Ok(text) if self.0.iter().all(is_plain) => serializer.serialize_str(text),
            _ => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Every byte comes back, and nothing in the text can steer a terminal.
        #[test]
        fn round_trip(bytes: Vec<u8>) {
            let text = Bytes(bytes.clone()).to_string();
            prop_assert!(!text.chars().any(char::is_control));
            prop_assert_eq!(Bytes::parse(&text), Ok(Bytes(bytes)));
        }

        /// Any text is read or refused.
        #[test]
        fn any_text(text: String) {
            let _ = Bytes::parse(&text);
        }
    }

    #[test]
    fn bad_escapes() {
        for text in ["\\", "\\x", "\\x1", "\\xg0", "\\n", "\\x+1"] {
            assert_eq!(Bytes::parse(text), Err(BadEscape), "{text:?}");
        }
    }
}

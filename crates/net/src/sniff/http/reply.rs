//! Whether a server switches to another protocol (RFC 9110, 15.2.2).

use super::head::LONGEST_HEAD;

/// Reads the heads of a server's answer until one is final.
#[derive(Debug)]
pub(super) struct Switch {
    /// What has come of the current head.
    head: Vec<u8>,
    /// Bytes of all heads.
    read: usize,
}

impl Switch {
    pub fn new() -> Self {
        Self { head: Vec::new(), read: 0 }
    }

    /// Whether the server switches, once that is known. What is no HTTP, or does not come to an end
    /// within [`LONGEST_HEAD`], does not.
    pub fn push(&mut self, new: &[u8]) -> Option<bool> {
        for byte in new {
            if self.read >= LONGEST_HEAD {
                return Some(false);
            }
            self.read += 1;
            self.head.push(*byte);
            match self.head.len() {
                13 => match interim(&self.head) {
                    Some(101) => return Some(true),
                    Some(_) => {}
                    None => return Some(false),
                },
                14.. if self.head.ends_with(b"\r\n\r\n") => self.head.clear(),
                _ => {}
            }
        }
        None
    }
}

/// The status of a head that begins with these 13 bytes, if it is one that another head follows.
fn interim(start: &[u8]) -> Option<u16> {
    let digits = start.strip_prefix(b"HTTP/1.1 ")?;
    match digits {
        [b'1', tens @ b'0'..=b'9', ones @ b'0'..=b'9', b' ' | b'\r'] => {
            Some(100 + u16::from(tens - b'0') * 10 + u16::from(ones - b'0'))
        }
        _ => None,
    }
}

//! Bytes as one line of printable text and back, and as words for a shell.

/// Printable ASCII as is, except the backslash; everything else as `\xNN`.
pub fn line(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for &b in bytes {
        if (b' '..=b'~').contains(&b) && b != b'\\' {
            out.push(b as char);
        } else {
            out.push_str(&format!("\\x{b:02x}"));
        }
    }
    out
}

/// A word for bash: bare where that is safe, else in `$'…'`.
pub fn shell(bytes: &[u8]) -> String {
    let safe = |b: &u8| b.is_ascii_alphanumeric() || b"/._-+=:,@%".contains(b);
    if !bytes.is_empty() && bytes.iter().all(safe) {
        return String::from_utf8_lossy(bytes).into_owned();
    }
    let mut out = String::from("$'");
    for &b in bytes {
        match b {
            b'\'' => out.push_str("\\'"),
            b'\\' => out.push_str("\\\\"),
            b'\n' => out.push_str("\\n"),
            b'\t' => out.push_str("\\t"),
            b' '..=b'~' => out.push(b as char),
            _ => out.push_str(&format!("\\x{b:02x}")),
        }
    }
    out.push('\'');
    out
}

/// Undoes the `\NNN` of the kernel's tables.
pub fn unoctal(text: &[u8]) -> Vec<u8> {
    let mut out = vec![];
    let mut at = 0;
    while at < text.len() {
        let digits =
            text.get(at + 1..at + 4).filter(|d| d.iter().all(|c| (b'0'..=b'7').contains(c)));
        match (text[at], digits) {
            (b'\\', Some(d)) => {
                out.push(d.iter().fold(0u8, |sum, c| sum.wrapping_mul(8).wrapping_add(c - b'0')));
                at += 4;
            }
            (byte, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{line, shell, unoctal};

    /// Proves that odd bytes neither break a report line nor a printed command.
    #[test]
    fn odd_bytes_stay_on_one_line() {
        assert_eq!(line(b"a\n\\\xff"), "a\\x0a\\x5c\\xff");
        assert_eq!(shell(b"/a b\n'\\\xff"), "$'/a b\\n\\'\\\\\\xff'");
        assert_eq!(shell(b"--dir"), "--dir");
        assert_eq!(shell(b""), "$''");
    }

    /// Proves that mount points with odd bytes are found again.
    #[test]
    fn octal_escapes_are_undone() {
        assert_eq!(unoctal(b"/a\\040b\\134\\0"), b"/a b\\\\0");
    }
}

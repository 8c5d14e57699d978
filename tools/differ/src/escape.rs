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

#[cfg(test)]
mod tests {
    use super::{line, shell};

    /// Proves that odd bytes neither break a report line nor a printed command.
    #[test]
    fn odd_bytes_stay_on_one_line() {
        assert_eq!(line(b"a\n\\\xff"), "a\\x0a\\x5c\\xff");
        assert_eq!(shell(b"/a b\n'\\\xff"), "$'/a b\\n\\'\\\\\\xff'");
        assert_eq!(shell(b"--dir"), "--dir");
        assert_eq!(shell(b""), "$''");
    }
}

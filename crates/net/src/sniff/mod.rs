//! What a connection speaks, told by its first bytes, and the names that it says itself: the server
//! name of TLS, the host of HTTP. A connection belongs to one name already; these are a second
//! check.

pub mod http;
pub mod tls;

/// How many bytes without a line's end are waited for.
const LONGEST_LINE: usize = 8192;

/// What a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Spoken {
    /// It may still become HTTP or TLS.
    NeedMore,
    /// TLS: see [`tls::client_hello`].
    Tls,
    /// HTTP, or what a lenient server takes for it: see [`http::Checker`], which is strict.
    Http,
    /// Neither: nothing in it names a host.
    Other,
}

/// Tells from the first bytes of a client what it speaks. A verdict other than
/// [`Spoken::NeedMore`] does not change with further bytes.
///
/// Bytes are held back only while they can be the start of a TLS record or of a line of HTTP. Since
/// a server may take more for HTTP than the standard does, everything that starts like a method, or
/// with empty lines, and has `HTTP/` in its first line counts, as does a first line that is longer
/// than 8 KiB and otherwise good. Waiting must not end in [`Spoken::Other`] when time runs out:
/// a slow client would pass the check.
#[must_use]
pub fn classify(bytes: &[u8]) -> Spoken {
    match bytes {
        [] | [0x16] => return Spoken::NeedMore,
        [0x16, 3, ..] => return Spoken::Tls,
        _ => {}
    }
    // Servers skip empty lines before a request, some also blanks.
    let skipped = bytes.iter().take_while(|byte| b"\r\n\t ".contains(byte)).count();
    if skipped > LONGEST_LINE {
        return Spoken::Http;
    }
    let rest = &bytes[skipped..];
    let line_end = rest.iter().take(LONGEST_LINE).position(|byte| *byte == b'\n');
    let line = &rest[..line_end.unwrap_or(rest.len().min(LONGEST_LINE))];
    if !like_http(line) {
        return Spoken::Other;
    }
    match line_end {
        Some(_) if says_http(line) => Spoken::Http,
        Some(_) => Spoken::Other,
        None if rest.len() < LONGEST_LINE => Spoken::NeedMore,
        None => Spoken::Http,
    }
}

/// Whether a line, or its beginning, is a method of any length, a space and text.
fn like_http(line: &[u8]) -> bool {
    let method = line.iter().take_while(|byte| is_token(**byte)).count();
    match line.get(method) {
        None => true,
        // Servers are lenient with controls. Protocols whose clients wait for an answer after a
        // zero, such as git's, do not begin with a word of letters.
        Some(b' ' | b'\t') => {
            let word = line[..method].iter().all(u8::is_ascii_alphabetic);
            method > 0 && (word || !line.contains(&0))
        }
        Some(_) => false,
    }
}

fn says_http(line: &[u8]) -> bool {
    line.windows(5).any(|part| part.eq_ignore_ascii_case(b"HTTP/"))
}

/// Characters of a token (RFC 9110, 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn first_bytes() {
        let long = [b"GET /".as_slice(), &[b'a'; 9000]].concat();
        let lines = vec![b'\n'; 9000];
        for (bytes, spoken) in [
            (&b""[..], Spoken::NeedMore),
            (b"\x16", Spoken::NeedMore),
            (b"\x16\x03", Spoken::Tls),
            (b"\x16\x04", Spoken::Other),
            (b"\x80\x2e\x01\x00\x02", Spoken::Other),
            (b"G", Spoken::NeedMore),
            (b"GET / HTTP/1.1\r", Spoken::NeedMore),
            (b"GET / HTTP/1.1\r\n", Spoken::Http),
            (b"GET / HTTP/1.1\n", Spoken::Http),
            (b"get\t/  http/1.0\n", Spoken::Http),
            (b"\r\n\r\nGET / HTTP/1.1\r\n", Spoken::Http),
            (b"PRI * HTTP/2.0\r\n", Spoken::Http),
            (b"GET /\r\n", Spoken::Other),
            (b"SSH-2.0-client", Spoken::NeedMore),
            (b"SSH-2.0-client\r\n", Spoken::Other),
            (b"NICK somebody\r\n", Spoken::Other),
            (b"OPTIONS rtsp://a RTSP/1.0\r\n", Spoken::Other),
            (b"0032git-upload-pack /a\0host=b\0", Spoken::Other),
            (b"\0\0\0\x08\x04\xd2\x16\x2f", Spoken::Other),
            (b"*1\r\n$4\r\nPING\r\n", Spoken::Other),
            (b"{\"a\":1}", Spoken::Other),
            (b" GET / HTTP/1.1\r\n", Spoken::Http),
            (b"GET /\x01\x0c HTTP/1.1\r\n", Spoken::Http),
            (b"GET /\0", Spoken::NeedMore),
            (b"GET /\0 HTTP/1.1\r\n", Spoken::Http),
            (b"AN-ODD-METHOD-THAT-IS-OF-MORE-THAN-32-LETTERS / HTTP/1.1\r\n", Spoken::Http),
            (b"\xff\xfd\x01", Spoken::Other),
            (&long, Spoken::Http),
            (&lines, Spoken::Http),
        ] {
            assert_eq!(classify(bytes), spoken, "{:?}", bytes.escape_ascii().to_string());
        }
    }

    proptest! {
        /// A verdict stays what it is, whatever follows.
        #[test]
        fn verdicts_stay(bytes in "([A-Z]{1,3}|\r|\n| |HTTP/|/|\u{16}\u{3}|\0){0,20}", cut in 0usize..40) {
            let bytes = bytes.as_bytes();
            let part = classify(&bytes[..cut.min(bytes.len())]);
            if part != Spoken::NeedMore {
                prop_assert_eq!(part, classify(bytes));
            }
        }
    }
}

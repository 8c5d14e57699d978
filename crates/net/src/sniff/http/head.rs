//! The head of an HTTP/1.x request, read strictly: what servers read differently is refused.

use super::refusal::{Refusal, quoted};

/// The longest head (request line and headers), and the longest trailer, in bytes.
pub const LONGEST_HEAD: usize = 64 * 1024;
/// The most headers of one request.
pub const MOST_HEADERS: usize = 100;

/// How long a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    /// So many bytes; 0 where nothing says that there is one.
    Known(u64),
    /// Chunks, and a trailer.
    Chunked,
}

/// A head that means the same to every server.
#[derive(Debug)]
pub(crate) struct Head<'a> {
    pub method: &'a str,
    pub target: &'a str,
    /// The minor number of the version: 0 or 1.
    pub minor: u8,
    pub headers: Vec<httparse::Header<'a>>,
    pub host: Option<&'a [u8]>,
    pub body: Length,
    /// It asks for another protocol, one that is no other form of HTTP or TLS.
    pub upgrade: bool,
}

/// The length of the head at the start of `bytes`, if its end is there. `scanned` is how many bytes
/// are known to have no end, so that each is looked at once; bare ends of lines are refused.
pub(crate) fn end_of_head(bytes: &[u8], scanned: &mut usize) -> Result<Option<usize>, Refusal> {
    let most = bytes.len().min(LONGEST_HEAD);
    while *scanned < most {
        let at = *scanned;
        match bytes[at] {
            0 => return Err(Refusal::bad("a head with a NUL")),
            b'\n' if at == 0 || bytes[at - 1] != b'\r' => {
                return Err(Refusal::bad("a line that ends in a line feed alone"));
            }
            b'\n' if at == 1 => return Err(Refusal::bad("an empty line before a request")),
            b'\n' if at >= 3 && bytes[at - 3..at].ends_with(b"\r\n\r") => return Ok(Some(at + 1)),
            byte if byte != b'\n' && at > 0 && bytes[at - 1] == b'\r' => {
                return Err(Refusal::bad("a carriage return within a line"));
            }
            _ => *scanned += 1,
        }
    }
    if bytes.len() > LONGEST_HEAD {
        return Err(Refusal::new(431, "the head is longer than 64 KiB"));
    }
    Ok(None)
}

impl<'a> Head<'a> {
    /// Reads a whole head.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Refusal> {
        let mut headers = vec![httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        match request.parse(bytes) {
            Ok(httparse::Status::Complete(length)) if length == bytes.len() => {}
            Ok(_) => return Err(Refusal::bad("no whole request")),
            Err(httparse::Error::TooManyHeaders) => {
                return Err(Refusal::new(431, "more than 100 headers"));
            }
            Err(httparse::Error::Version) => {
                return Err(Refusal::new(505, "a version other than HTTP/1.0 and 1.1"));
            }
            Err(error) => return Err(Refusal::bad(format!("no HTTP request: {error}"))),
        }
        let (Some(method), Some(target), Some(minor)) =
            (request.method, request.path, request.version)
        else {
            return Err(Refusal::bad("no whole request"));
        };
        let count = request.headers.len();
        headers.truncate(count);
        let mut head = Self {
            method,
            target,
            minor,
            headers,
            host: None,
            body: Length::Known(0),
            upgrade: false,
        };
        head.check_names()?;
        head.host = head.single("host")?;
        head.body = head.length()?;
        head.upgrade = head.asks_for_upgrade();
        head.check_expectation()?;
        Ok(head)
    }

    /// The values of a header.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.headers.iter().filter(move |h| h.name.eq_ignore_ascii_case(name)).map(|h| h.value)
    }

    /// The members of a header that is a list.
    pub fn list(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.values(name).flat_map(|value| value.split(|b| *b == b',')).map(<[u8]>::trim_ascii)
    }

    fn single(&self, name: &str) -> Result<Option<&'a [u8]>, Refusal> {
        let mut values = self.values(name);
        let first = values.next();
        match values.next() {
            None => Ok(first),
            Some(_) => Err(Refusal::bad(format!("the header `{name}` is there twice"))),
        }
    }

    /// Names that some servers take for those that say how long a body is, or whose it is.
    fn check_names(&self) -> Result<(), Refusal> {
        for header in &self.headers {
            let known = ["content_length", "transfer_encoding"];
            if known.iter().any(|name| header.name.eq_ignore_ascii_case(name)) {
                return Err(Refusal::bad(format!(
                    "the header `{}`, which some servers take for another",
                    quoted(header.name.as_bytes())
                )));
            }
        }
        Ok(())
    }

    fn length(&self) -> Result<Length, Refusal> {
        let length = self.single("content-length")?;
        let Some(coding) = self.single("transfer-encoding")? else {
            return length.map_or(Ok(Length::Known(0)), content_length);
        };
        if length.is_some() {
            return Err(Refusal::bad("both `Content-Length` and `Transfer-Encoding`"));
        }
        if self.minor == 0 {
            return Err(Refusal::bad("`Transfer-Encoding` in HTTP/1.0"));
        }
        if !coding.eq_ignore_ascii_case(b"chunked") {
            return Err(Refusal::new(501, "a transfer coding other than `chunked`"));
        }
        Ok(Length::Chunked)
    }

    fn asks_for_upgrade(&self) -> bool {
        let mut protocols = self.list("upgrade").filter(|protocol| !protocol.is_empty()).peekable();
        self.minor == 1
            && self.list("connection").any(|option| option.eq_ignore_ascii_case(b"upgrade"))
            && protocols.peek().is_some()
            && !protocols.any(|protocol| {
                let protocol = protocol.to_ascii_lowercase();
                [&b"h2"[..], b"h3", b"http", b"tls"].iter().any(|p| protocol.starts_with(p))
            })
    }

    /// A body that is announced and not sent is where servers disagree most: only the one known
    /// expectation goes on.
    fn check_expectation(&self) -> Result<(), Refusal> {
        match self.single("expect")? {
            None => Ok(()),
            Some(value) if self.minor == 1 && value.eq_ignore_ascii_case(b"100-continue") => Ok(()),
            Some(_) => Err(Refusal::new(417, "an expectation other than `100-continue`")),
        }
    }
}

fn content_length(value: &[u8]) -> Result<Length, Refusal> {
    // 18 digits are an exabyte, and less than any server's number overflows at.
    let digits = value.len() <= 18 && value.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(value).ok().filter(|_| digits).and_then(|v| v.parse().ok());
    number
        .map(Length::Known)
        .ok_or_else(|| Refusal::bad(format!("the content length `{}` is no number", quoted(value))))
}

//! The body of an HTTP/1.x request: how many of the bytes that come belong to it.

use super::head::{LONGEST_HEAD, Length};
use super::refusal::Refusal;

/// The longest line with a chunk's size, with extensions.
const LONGEST_SIZE_LINE: usize = 256;

/// How far a body has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body(State);

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// So many bytes are left.
    Bytes(u64),
    /// A line with a chunk's size comes.
    Size,
    /// So many bytes of a chunk are left.
    Chunk(u64),
    /// The end of line behind a chunk comes.
    ChunkEnd,
    /// Lines of a trailer, as many bytes of which have been.
    Trailer(usize),
}

impl Body {
    pub(crate) fn new(length: Length) -> Self {
        Self(match length {
            Length::Known(bytes) => State::Bytes(bytes),
            Length::Chunked => State::Size,
        })
    }

    /// Whether it has come to its end.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.0 == State::Bytes(0)
    }

    /// How many of the bytes that follow it so far belong to it. The others are either behind its
    /// end ([`Body::ended`]), or a part of a line whose rest has to come first.
    ///
    /// # Errors
    /// What comes next is not as chunks have to be. What is good before it is used first.
    pub fn push(&mut self, pending: &[u8]) -> Result<usize, Refusal> {
        let mut used = 0;
        while !self.ended() {
            match self.step(&pending[used..]) {
                Ok(0) => break,
                Ok(step) => used += step,
                Err(refusal) if used == 0 => return Err(refusal),
                Err(_) => break,
            }
        }
        Ok(used)
    }

    /// One part: the bytes of it that are there, 0 if none are, or not enough.
    fn step(&mut self, bytes: &[u8]) -> Result<usize, Refusal> {
        match &mut self.0 {
            State::Bytes(left) => Ok(take(left, bytes)),
            State::Chunk(left) => {
                let taken = take(left, bytes);
                if *left == 0 {
                    self.0 = State::ChunkEnd;
                }
                Ok(taken)
            }
            State::ChunkEnd => match bytes {
                [] | [b'\r'] => Ok(0),
                [b'\r', b'\n', ..] => {
                    self.0 = State::Size;
                    Ok(2)
                }
                _ => Err(Refusal::bad("a chunk is longer than its size")),
            },
            State::Size => {
                let Some(line) = line(bytes, LONGEST_SIZE_LINE)? else { return Ok(0) };
                self.0 = match chunk_size(line)? {
                    0 => State::Trailer(0),
                    size => State::Chunk(size),
                };
                Ok(line.len() + 2)
            }
            State::Trailer(been) => {
                let Some(line) = line(bytes, LONGEST_HEAD - *been)? else { return Ok(0) };
                *been = (*been + line.len() + 2).min(LONGEST_HEAD);
                if line.is_empty() {
                    self.0 = State::Bytes(0);
                } else {
                    trailer(line)?;
                }
                Ok(line.len() + 2)
            }
        }
    }
}

/// Takes what is there of so many bytes.
fn take(left: &mut u64, bytes: &[u8]) -> usize {
    let taken = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
    *left -= taken as u64;
    taken
}

/// The line at the start, without its end, of at most `most` bytes with it.
fn line(bytes: &[u8], most: usize) -> Result<Option<&[u8]>, Refusal> {
    let within = &bytes[..bytes.len().min(most)];
    match within.iter().position(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
        Some(at) if within[at..].starts_with(b"\r\n") => Ok(Some(&within[..at])),
        Some(at) if within[at..] == *b"\r" && bytes.len() <= most => Ok(None),
        Some(_) => Err(Refusal::bad("a line among chunks that does not end in CR LF")),
        None if bytes.len() > most => Err(Refusal::bad("a line among chunks that is too long")),
        None => Ok(None),
    }
}

/// `size[;extensions]`: hexadecimal digits, at most 15. Extensions go on, since nobody reads them;
/// blanks before them do not, since some servers stop there.
fn chunk_size(line: &[u8]) -> Result<u64, Refusal> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (size, rest) = line.split_at(digits);
    let size = std::str::from_utf8(size).ok().filter(|size| size.len() <= 15);
    match (size.and_then(|size| u64::from_str_radix(size, 16).ok()), rest.first()) {
        (Some(size), None | Some(b';')) => Ok(size),
        _ => Err(Refusal::bad("a chunk's size is no hexadecimal number")),
    }
}

/// A line of a trailer: a header, no continuation.
fn trailer(line: &[u8]) -> Result<(), Refusal> {
    let name = line.iter().take_while(|byte| crate::sniff::is_token(**byte)).count();
    if name == 0 || line.get(name) != Some(&b':') {
        return Err(Refusal::bad("a trailer with a line that is no header"));
    }
    Ok(())
}

//! The first message of a TLS client (RFC 8446, 4.1.2; RFC 6066, 3; RFC 7301).
//!
//! Read by hand: a ClientHello is lengths and bytes, five levels deep. Crates that know all of TLS
//! take what a server would refuse (names twice, lengths that leave something over), do not put
//! fragments together, and bring many times this code.

use swathe_netrules::name::Name;

/// The largest ClientHello, with its header of four bytes.
pub const LARGEST_HELLO: usize = 64 * 1024;
/// The most records that a ClientHello may come in.
pub const MOST_RECORDS: usize = 64;
/// The most protocols that are remembered of a list; the others are skipped.
pub const MOST_PROTOCOLS: usize = 16;

const RECORD_HEADER: usize = 5;
const LARGEST_RECORD: usize = 1 << 14;
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;
/// Encrypted ClientHello (RFC 9849), and the draft's before it.
const ECH: [u16; 2] = [0xfe0d, 0xffce];

/// What the first bytes of a connection are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sniffed {
    /// A ClientHello that is not here as a whole.
    NeedMore,
    /// No TLS. Neither is a hello in the form of SSL 2, which has no server name.
    NotTls,
    /// A ClientHello.
    Hello(Hello),
    /// A ClientHello that no server should take; what is wrong with it.
    Malformed(&'static str),
}

/// What a ClientHello says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hello {
    /// The server that is asked for.
    pub server: ServerName,
    /// Protocols that the client offers above TLS, at most [`MOST_PROTOCOLS`].
    pub alpn: Vec<Vec<u8>>,
    /// Whether there is an Encrypted ClientHello, or the likeness of one that browsers always send:
    /// `server` is then the outer name, which need not be the one that is asked for.
    pub ech: bool,
}

/// The server name of a ClientHello.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ServerName {
    /// There is none.
    #[default]
    Absent,
    /// A host's name, in canonical form.
    Name(Name),
    /// Something that is no name of a host, such as an address.
    Invalid(Vec<u8>),
}

/// Reads a ClientHello at the start of a connection, from all bytes that are there so far. A result
/// other than [`Sniffed::NeedMore`] does not change with further bytes.
#[must_use]
pub fn client_hello(bytes: &[u8]) -> Sniffed {
    match bytes {
        [] | [HANDSHAKE] => return Sniffed::NeedMore,
        [HANDSHAKE, 3, ..] => {}
        _ => return Sniffed::NotTls,
    }
    match fragments(bytes) {
        Ok(None) => Sniffed::NeedMore,
        Ok(Some(message)) => match hello(&message) {
            Ok(hello) => Sniffed::Hello(hello),
            Err(reason) => Sniffed::Malformed(reason),
        },
        Err(reason) => Sniffed::Malformed(reason),
    }
}

/// The body of the first handshake message, put together from its records.
fn fragments(bytes: &[u8]) -> Result<Option<Vec<u8>>, &'static str> {
    let mut message = Vec::new();
    let mut rest = bytes;
    for _ in 0..MOST_RECORDS {
        let Some((header, after)) = rest.split_first_chunk::<RECORD_HEADER>() else {
            return record_start(rest).map(|()| None);
        };
        record_start(header)?;
        let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
        if length == 0 || length > LARGEST_RECORD {
            return Err("a record's length is zero or more than 16384");
        }
        let (part, behind) = after.split_at(length.min(after.len()));
        message.extend_from_slice(part);
        // Judged as soon as it is here, so that bytes that come later change nothing.
        let wanted = match message.get(..4) {
            None => None,
            Some(&[CLIENT_HELLO, a, b, c]) => Some(4 + u32::from_be_bytes([0, a, b, c]) as usize),
            Some(_) => return Err("the first message is not a ClientHello"),
        };
        if let Some(wanted) = wanted {
            if wanted > LARGEST_HELLO {
                return Err("the ClientHello is longer than 64 KiB");
            }
            if message.len() - part.len() + length > wanted {
                return Err("something follows the ClientHello in its record");
            }
            if message.len() == wanted {
                message.drain(..4);
                return Ok(Some(message));
            }
        }
        if part.len() < length {
            return Ok(None);
        }
        rest = behind;
    }
    Err("the ClientHello is in more than 64 records")
}

/// The start of a record's header, as far as it is there.
fn record_start(bytes: &[u8]) -> Result<(), &'static str> {
    match bytes {
        [] | [HANDSHAKE] | [HANDSHAKE, 3, ..] => Ok(()),
        _ => Err("another record comes before the end of the ClientHello"),
    }
}

/// What is not read yet. Each method takes a part from its front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, count: usize) -> Result<&'a [u8], &'static str> {
        let (part, rest) = self.0.split_at_checked(count).ok_or("a length is wrong")?;
        self.0 = rest;
        Ok(part)
    }

    fn u8(&mut self) -> Result<u8, &'static str> {
        self.bytes(1).map(|byte| byte[0])
    }

    fn u16(&mut self) -> Result<u16, &'static str> {
        self.bytes(2).map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// Bytes behind a length of one byte.
    fn short(&mut self) -> Result<&'a [u8], &'static str> {
        let length = self.u8()?;
        self.bytes(length.into())
    }

    /// Bytes behind a length of two bytes.
    fn long(&mut self) -> Result<&'a [u8], &'static str> {
        let length = self.u16()?;
        self.bytes(length.into())
    }

    fn end(&self) -> Result<(), &'static str> {
        if self.0.is_empty() { Ok(()) } else { Err("a length leaves bytes over") }
    }
}

fn hello(body: &[u8]) -> Result<Hello, &'static str> {
    let mut reader = Reader(body);
    if reader.u16()? >> 8 != 3 {
        return Err("the version is none of TLS");
    }
    reader.bytes(32)?;
    if reader.short()?.len() > 32 {
        return Err("the session's id is longer than 32 bytes");
    }
    let ciphers = reader.long()?.len();
    if ciphers == 0 || ciphers % 2 != 0 {
        return Err("the list of ciphers has a wrong length");
    }
    if reader.short()?.is_empty() {
        return Err("the list of compressions is empty");
    }
    let mut hello = Hello::default();
    if reader.0.is_empty() {
        return Ok(hello);
    }
    let mut extensions = Reader(reader.long()?);
    reader.end()?;
    let mut seen = Vec::new();
    while !extensions.0.is_empty() {
        let kind = extensions.u16()?;
        let data = extensions.long()?;
        match kind {
            SERVER_NAME => hello.server = server_name(data)?,
            ALPN => hello.alpn = protocols(data)?,
            kind => hello.ech |= ECH.contains(&kind),
        }
        seen.push(kind);
    }
    seen.sort_unstable();
    if seen.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err("an extension is there twice");
    }
    Ok(hello)
}

fn server_name(data: &[u8]) -> Result<ServerName, &'static str> {
    const HOST_NAME: u8 = 0;
    let mut extension = Reader(data);
    let mut list = Reader(extension.long()?);
    extension.end()?;
    if list.u8()? != HOST_NAME {
        return Err("the server name is of an unknown kind");
    }
    let host = list.long()?;
    if !list.0.is_empty() {
        return Err("there is more than one server name");
    }
    if host.is_empty() {
        return Err("the server name is empty");
    }
    // Only what is ASCII already: a server does not see what other text would become.
    Ok(match Name::parse(host) {
        Ok(name) if host.is_ascii() => ServerName::Name(name),
        _ => ServerName::Invalid(host.to_vec()),
    })
}

fn protocols(data: &[u8]) -> Result<Vec<Vec<u8>>, &'static str> {
    let mut extension = Reader(data);
    let mut list = Reader(extension.long()?);
    extension.end()?;
    let mut found = Vec::new();
    while !list.0.is_empty() {
        let protocol = list.short()?;
        if protocol.is_empty() {
            return Err("a protocol's name is empty");
        }
        if found.len() < MOST_PROTOCOLS {
            found.push(protocol.to_vec());
        }
    }
    if found.is_empty() {
        return Err("the list of protocols is empty");
    }
    Ok(found)
}

//! Messages with their length before them, as DNS has them over TCP (RFC 1035, section 4.2.2).

use std::io::{self, ErrorKind};
use tokio::net::TcpStream;

/// Sends one.
///
/// # Errors
/// It is longer than a length can say, or the connection is over.
pub async fn send(stream: &TcpStream, message: &[u8]) -> io::Result<()> {
    let length = u16::try_from(message.len()).map_err(|_| ErrorKind::InvalidInput)?;
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.extend_from_slice(message);
    write_all(stream, &bytes).await
}

/// Receives one; none at an orderly end.
///
/// # Errors
/// It is longer than `most`, or the connection ended within it.
pub async fn receive(stream: &TcpStream, most: usize) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 2];
    if !read_exact(stream, &mut length).await? {
        return Ok(None);
    }
    let length = usize::from(u16::from_be_bytes(length));
    if length > most {
        return Err(ErrorKind::InvalidData.into());
    }
    let mut message = vec![0; length];
    match read_exact(stream, &mut message).await? {
        true => Ok(Some(message)),
        false if length == 0 => Ok(Some(message)),
        false => Err(ErrorKind::UnexpectedEof.into()),
    }
}

/// Writes all of it.
///
/// # Errors
/// The connection is over.
pub async fn write_all(stream: &TcpStream, bytes: &[u8]) -> io::Result<()> {
    let mut left = bytes;
    while !left.is_empty() {
        stream.writable().await?;
        match stream.try_write(left) {
            Ok(n) => left = left.get(n..).unwrap_or_default(),
            Err(e) if e.kind() == ErrorKind::WouldBlock => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// False at an end before the first byte.
async fn read_exact(stream: &TcpStream, into: &mut [u8]) -> io::Result<bool> {
    let mut done = 0;
    while let Some(rest) = into.get_mut(done..).filter(|rest| !rest.is_empty()) {
        stream.readable().await?;
        match stream.try_read(rest) {
            Ok(0) if done == 0 => return Ok(false),
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(n) => done += n,
            Err(e) if e.kind() == ErrorKind::WouldBlock => {}
            Err(e) => return Err(e),
        }
    }
    Ok(true)
}

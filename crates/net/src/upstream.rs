//! The host's own proxy, where everything has to go through one: it is asked by name.

use crate::connect::{connect_reply, connect_request};
use crate::framed::write_all;
use crate::judge;
use crate::judge::Wish;
use crate::protocol::Upstream;
use crate::socks::{Client, ClientStep};
use crate::target::Target;
use std::io::{self, ErrorKind};
use tokio::net::TcpStream;

/// The longest answer of a proxy that is waited for.
const LONGEST: usize = 32 << 10;

/// A connection through the proxy.
///
/// # Errors
/// It does not make one, or says nothing that can be understood.
pub async fn connect(proxy: &Upstream, wish: &Wish) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(proxy.address).await?;
    let target = match &wish.target {
        judge::Target::Name(name) => Target::Name(name.clone()),
        judge::Target::Address(address) => Target::Address(*address),
    };
    match proxy.socks {
        true => over_socks(proxy, &stream, &target, wish.port).await?,
        false => over_http(proxy, &stream, &target, wish.port).await?,
    }
    Ok(stream)
}

async fn over_http(
    proxy: &Upstream,
    stream: &TcpStream,
    target: &Target,
    port: u16,
) -> io::Result<()> {
    write_all(stream, &connect_request(target, port, proxy.login.as_deref())).await?;
    let mut pending = Vec::new();
    loop {
        read_one(stream, &mut pending).await?;
        if connect_reply(&pending).map_err(|e| io::Error::other(e.to_string()))?.is_some() {
            return Ok(());
        }
    }
}

async fn over_socks(
    proxy: &Upstream,
    stream: &TcpStream,
    target: &Target,
    port: u16,
) -> io::Result<()> {
    let login = proxy.login.as_deref().map(|login| login.split_once(':').unwrap_or((login, "")));
    let other = |e: crate::socks::ClientError| io::Error::other(e.to_string());
    let mut client = Client::new(target, port, login).map_err(other)?;
    write_all(stream, &client.greeting()).await?;
    let mut pending = Vec::new();
    loop {
        match client.push(&pending).map_err(other)? {
            ClientStep::NeedMore => read_one(stream, &mut pending).await?,
            ClientStep::Say { used, bytes } => {
                pending.drain(..used.min(pending.len()));
                write_all(stream, &bytes).await?;
            }
            ClientStep::Open { .. } => return Ok(()),
        }
    }
}

/// One byte: what is behind the proxy's answer is from the host, and stays in the socket.
async fn read_one(stream: &TcpStream, pending: &mut Vec<u8>) -> io::Result<()> {
    if pending.len() >= LONGEST {
        return Err(io::Error::other("it says too much"));
    }
    let mut byte = [0];
    loop {
        stream.readable().await?;
        match stream.try_read(&mut byte) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(_) => {
                pending.extend_from_slice(&byte);
                return Ok(());
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => {}
            Err(e) => return Err(e),
        }
    }
}

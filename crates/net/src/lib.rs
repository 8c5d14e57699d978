//! The network of a sandbox by host name: a resolver, relays and proxies that hold to the rules.
//!
//! All of it runs in a helper process of its own, since it reads what hostile programs and servers
//! send. The helper is in the host's network and in no file system, and has no rights but those of a
//! list of system calls. It is given sockets that were made in the sandbox's network: programs there
//! connect to them, and it dials for them what the rules allow. See `docs/adr/0041-network-by-name.md`.
//!
//! [`Helper`] is the client. [`serve`] is what the helper runs: the program that uses this crate
//! executes itself with the word [`COMMAND`], and calls [`serve`] before it starts a thread.
#![forbid(unsafe_code)]

mod client;
mod confine;
pub mod connect;
mod control;
pub mod dns;
mod echo;
mod framed;
mod guard;
mod helper;
mod judge;
mod names;
mod pool;
pub mod protocol;
mod proxy;
mod publish;
mod relay;
mod resolve;
pub mod sniff;
pub mod socks;
mod state;
pub mod target;
mod tcp;
mod udp;
mod upstream;

pub use client::{Helper, Link};

use crate::protocol::{Config, Report};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use swathe_sys::process::{adopt_fd, close_range};

/// The word with which the helper's program is executed.
pub const COMMAND: &str = "__net";

/// Where the helper finds its end of the socket, and what it is to do.
const SOCKET: i32 = 100;
const CONFIG: i32 = 101;
/// The longest description of what it is to do.
const MAX_CONFIG: u64 = 16 << 20;

/// Runs the helper to its end, which comes with that of whoever started it. Returns the exit status:
/// 0, or 1 when it was not started by a [`Helper`] or could not begin.
///
/// To be called before the process has a second thread, or anything of value in its memory.
#[must_use]
pub fn serve() -> u8 {
    let Some((socket, config)) = descriptors() else { return 1 };
    match begin(socket, config) {
        Ok(()) => 0,
        Err(_) => 1,
    }
}

fn descriptors() -> Option<(OwnedFd, OwnedFd)> {
    let (socket, config) = (adopt_fd(SOCKET).ok()?, adopt_fd(CONFIG).ok()?);
    close_range(u32::try_from(CONFIG).ok()? + 1, u32::MAX, false).ok()?;
    Some((socket, config))
}

fn begin(socket: OwnedFd, config: OwnedFd) -> io::Result<()> {
    let mut text = Vec::new();
    File::from(config).take(MAX_CONFIG).read_to_end(&mut text)?;
    let config: Config = serde_json::from_slice(&text)?;
    drop(text);
    if let Err((step, errno)) = confine::cut_off() {
        return trouble(&socket, step, errno);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if let Err((step, errno)) = confine::load_filter() {
        return trouble(&socket, step, errno);
    }
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, helper::run(config, socket))
}

/// Whoever started it is told why it does not begin.
fn trouble(socket: &OwnedFd, step: &str, errno: rustix::io::Errno) -> io::Result<()> {
    let report =
        Report::Trouble(format!("cannot confine the helper for the network: {step}: {errno}"));
    let bytes = protocol::encode(&report).unwrap_or_default();
    rustix::net::send(socket, &bytes, rustix::net::SendFlags::NOSIGNAL)?;
    Err(errno.into())
}

//! The helper's own filter: the system calls that it makes once the network is made, and no others.

use rustix::io::Errno;
use swathe_helper::serve::{Test, allow};

/// What makes a socket; sockets of which kind, [`KINDS`] says.
const CALLS: &[&str] = &["bind", "listen", "setsockopt"];

/// `AF_INET` and `AF_INET6`.
const KINDS: &[&[Test]] = &[&[Test::int(0, 2)], &[Test::int(0, 10)]];

/// Loads it. The process may make no other call from now on: the kernel ends it.
pub fn load() -> Result<(), Errno> {
    allow(CALLS, &[("socket", KINDS)])
}

//! What the helper processes of a running sandbox have in common.
//!
//! A helper joins namespaces of a sandbox to change something there that cannot be changed from
//! outside. It is in the host's pid namespace, so that nothing in the sandbox can name it; it
//! executes nothing, and it parses nothing that comes from the sandbox. Its client talks to it over
//! a `SOCK_SEQPACKET` pair: one message for a request, and one or more for the reply.
//!
//! [`Link`] is the client's side; [`serve`] is the helper's.
#![forbid(unsafe_code)]

mod link;
pub mod serve;

pub use link::{Broken, Link, Stage};

/// The most descriptors that one message carries: `SCM_MAX_FD` of the kernel.
pub const MAX_FDS: usize = 253;

/// Descriptors that a helper is started with: its socket, the namespace that it is about, and two
/// that become readable when the client or the sandbox has ended.
pub const SOCKET: i32 = 3;
/// See [`SOCKET`].
pub const NAMESPACE: i32 = 4;
/// See [`SOCKET`].
pub const CLIENT: i32 = 5;
/// See [`SOCKET`].
pub const SANDBOX: i32 = 6;

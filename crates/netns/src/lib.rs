//! Makes the network of a sandbox from outside, without privileges: routes that bring whatever its
//! programs send to sockets of ours, and those sockets.
//!
//! A sandbox with a network namespace of its own has a loopback interface and nothing else. A helper
//! process joins the user namespace that owns that network namespace, and then the network
//! namespace. There it makes every address local by a route, so that a connection to any address
//! arrives at a socket that listens in the namespace; where the kernel has nftables rules bring the
//! connections to all ports to one socket. See `docs/adr/0020-network-made-outside.md`. The sockets are sent out to the client: what serves them
//! runs outside, on the host's network, and no process of ours is inside.
//!
//! [`Inside`] is the client. [`serve`] is what the helper runs: the program that uses this crate
//! executes itself with the word [`COMMAND`], and calls [`serve`] before it starts a thread.
//!
//! [`pasta`] is another way, for sandboxes that reach all that the host does.
//!
//! Everything is to be made before the sandbox's program starts, and the program must not have
//! CAP_NET_ADMIN in the user namespace that owns the network: it could undo it then. That gains it
//! nothing, since there is no other way out, but it could keep its own children from the network.
#![forbid(unsafe_code)]

mod client;
mod error;
pub mod pasta;
mod protocol;
mod serve;

pub use client::{Inside, Made};
pub use error::Error;
pub use protocol::{MAX_PORTS, Request, Role, Step, Way};
pub use serve::serve;

/// The word with which the helper's program is executed.
pub const COMMAND: &str = "__netns";

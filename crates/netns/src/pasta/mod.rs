//! The network of a sandbox by pasta(1), a program of the package passt: a tap device inside, and a
//! process outside that makes connections of its own for what comes out of that.
//!
//! pasta runs on the host's network and enters the sandbox's for a moment at a time. For that it has
//! to be in the user namespace that owns the sandbox's network namespace, which is neither the
//! host's nor always that of the sandbox's processes (`NS_GET_USERNS`). Asked to join it itself, it
//! takes it from a process, which may have another; and as root it has made itself `nobody` before,
//! who may not. So a short-lived process of ours, what [`serve`] is, joins the user namespace with
//! two capabilities and executes pasta there. The namespaces are never named by a process: pasta
//! finds the network at its standard input, the one descriptor that all its versions keep.
//!
//! What the sandbox sends is read by pasta alone. It gives its root directory up and loads a filter
//! before it reads any of it.

mod client;
mod serve;

pub use client::{Error, Pasta};
pub use serve::serve;

/// The word with which the program is executed that calls [`serve`].
pub const COMMAND: &str = "__pasta";

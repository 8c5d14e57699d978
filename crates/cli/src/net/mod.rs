//! The network by rules, from outside.

use crate::out::Failure;
use swathe_policy::resolve::Sandbox;

/// Whether a sandbox's rules over hosts are kept. Without somebody outside who keeps them nothing
/// runs.
///
/// # Errors
/// There are rules, and nobody keeps them.
pub fn enforced(sandbox: &Sandbox) -> Result<(), Failure> {
    if sandbox.network.is_none() {
        return Ok(());
    }
    Err(Failure::new("rules over hosts and published ports cannot be enforced yet")
        .hint("leave --net, --publish and the intents net.* out")
        .hint("--allow net.all reaches every host"))
}

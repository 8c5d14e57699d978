//! All probes, by what they are about.

mod files;
mod home;
mod limits;
mod nested;
mod network;
mod process;
mod protect;
mod sockets;
mod surface;

use super::probe::Probe;

/// All probes, in the order in which they are tried and shown.
pub fn all() -> impl Iterator<Item = &'static Probe> {
    [
        home::PROBES,
        files::PROBES,
        files::SET_ID,
        protect::PROBES,
        process::PROBES,
        network::PROBES,
        sockets::PROBES,
        surface::PROBES,
        nested::PROBES,
        limits::PROBES,
        // These send signals to whoever can be reached.
        process::LAST,
    ]
    .into_iter()
    .flatten()
}

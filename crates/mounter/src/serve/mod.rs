//! The helper: one thread, no memory of what it was told but the mounts that it has made.
//!
//! It is in the user namespace that owns the sandbox's mounts, where it keeps the two capabilities
//! that mounting needs, and in a mount namespace of its own. It is in the host's pid namespace, so
//! that nothing in the sandbox can name it. It enters the sandbox's mounts for one change at a time,
//! executes nothing there, and resolves no path there but beneath the sandbox's root, without links.

mod filter;
mod isolate;
mod mounts;
mod own;
mod place;

use crate::protocol::{MAX_REQUEST, Refusal, Reply, Request, Step, at, encode_reply};
use mounts::Mounts;
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use swathe_helper::serve::{self as helper, Descriptors, Heard};

/// Runs the helper to its end, which comes with that of its client or of the sandbox. Returns the
/// exit status: 0, or 1 when it was not started by a [`Mounter`](crate::Mounter) or could not get
/// ready.
///
/// To be called before the process has a second thread, or anything of value in its memory.
#[must_use]
pub fn serve() -> u8 {
    let Some(fds) = Descriptors::adopt() else { return 1 };
    match isolate::get_ready(fds.namespace) {
        Ok(mounts) => {
            let _ = reply(&fds.socket, Ok(0));
            run(mounts, &fds.socket, &fds.client, &fds.sandbox);
            0
        }
        Err(refusal) => {
            let _ = reply(&fds.socket, Err(refusal));
            1
        }
    }
}

fn run(mut mounts: Mounts, socket: &OwnedFd, client: &OwnedFd, sandbox: &OwnedFd) {
    let mut buffer = vec![0; MAX_REQUEST + 1];
    while helper::asked(socket, client, sandbox) && answer(&mut mounts, socket, &mut buffer) {}
}

/// Answers the next request; false at the end of file.
fn answer(mounts: &mut Mounts, socket: &OwnedFd, buffer: &mut [u8]) -> bool {
    let (length, object) = match helper::hear(socket, buffer) {
        Heard::Nothing => return true,
        Heard::End => return false,
        Heard::Message(length, object) => (length, object),
    };
    let done = match (buffer.get(..length).and_then(Request::decode), object) {
        (Some(Request::Show { host, path, access }), Some(object)) => {
            mounts.show(host, path, access, &object)
        }
        (Some(Request::Thaw { path }), Some(object)) => mounts.thaw(path, &object),
        (Some(Request::Hide { path }), None) => mounts.hide(path),
        (Some(Request::Cover { path }), Some(object)) => mounts.cover(path, &object),
        (Some(Request::Undo { id }), None) => mounts.undo(id).map(|()| 0),
        _ => Err(Refusal::found(Step::Request)),
    };
    reply(socket, done)
}

/// Whether there is anybody to take the reply. The socket holds many: this never waits.
fn reply(socket: &OwnedFd, reply: Reply) -> bool {
    helper::reply(socket, &encode_reply(reply), &[], false)
}

/// `map_err(refuse(step))` for calls of the file system.
fn refuse<T>(step: Step, result: Result<T, Errno>) -> Result<T, Refusal> {
    result.map_err(at(step))
}

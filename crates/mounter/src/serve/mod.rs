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

use crate::protocol::{
    CLIENT, MAX_REQUEST, NAMESPACE, Refusal, Reply, Request, SANDBOX, SOCKET, Step, at,
    encode_reply,
};
use mounts::Mounts;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{Errno, IoSliceMut};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendFlags, recvmsg, send,
};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use swathe_sys::process::adopt_fd;

/// The descriptors that the helper is started with.
struct Descriptors {
    socket: OwnedFd,
    namespace: OwnedFd,
    client: OwnedFd,
    sandbox: OwnedFd,
}

/// Runs the helper to its end, which comes with that of its client or of the sandbox. Returns the
/// exit status: 0, or 1 when it was not started by a [`Mounter`](crate::Mounter) or could not get
/// ready.
///
/// To be called before the process has a second thread, or anything of value in its memory.
#[must_use]
pub fn serve() -> u8 {
    let Some(fds) = descriptors() else { return 1 };
    match isolate::get_ready(fds.namespace) {
        Ok(mounts) => {
            reply(&fds.socket, Ok(0));
            run(mounts, &fds.socket, &fds.client, &fds.sandbox);
            0
        }
        Err(refusal) => {
            reply(&fds.socket, Err(refusal));
            1
        }
    }
}

fn descriptors() -> Option<Descriptors> {
    let adopt = |number| adopt_fd(number).ok();
    let fds = Descriptors {
        socket: adopt(SOCKET)?,
        namespace: adopt(NAMESPACE)?,
        client: adopt(CLIENT)?,
        sandbox: adopt(SANDBOX)?,
    };
    let last = [SOCKET, NAMESPACE, CLIENT, SANDBOX].into_iter().max()?;
    let others = u32::try_from(last).ok()? + 1;
    swathe_sys::process::close_range(others, u32::MAX, false).ok()?;
    Some(fds)
}

fn run(mut mounts: Mounts, socket: &OwnedFd, client: &OwnedFd, sandbox: &OwnedFd) {
    let mut buffer = vec![0; MAX_REQUEST + 1];
    loop {
        let mut fds = [socket, client, sandbox].map(|fd| PollFd::new(fd, PollFlags::IN));
        match poll(&mut fds, None) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(_) => return,
        }
        let [asked, client, sandbox] = fds.map(|fd| !fd.revents().is_empty());
        if client || sandbox {
            return;
        }
        if asked && !answer(&mut mounts, socket, &mut buffer) {
            return;
        }
    }
}

/// Answers the next request; false at the end of file.
fn answer(mounts: &mut Mounts, socket: &OwnedFd, buffer: &mut [u8]) -> bool {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    let parts = &mut [IoSliceMut::new(buffer)];
    let message = match recvmsg(socket, parts, &mut control, flags) {
        Ok(message) => message,
        Err(Errno::INTR | Errno::AGAIN) => return true,
        Err(_) => return false,
    };
    let mut object = None;
    for part in control.drain() {
        if let RecvAncillaryMessage::ScmRights(fds) = part {
            object = fds.last().or(object);
        }
    }
    if message.bytes == 0 && object.is_none() {
        return false;
    }
    let whole = !message.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC);
    let text = buffer.get(..message.bytes).filter(|_| whole);
    let done = match (text.and_then(Request::decode), object) {
        (Some(Request::Show { host, path, access }), Some(object)) => {
            mounts.show(host, path, access, &object)
        }
        (Some(Request::Thaw { path }), Some(object)) => mounts.thaw(path, &object),
        (Some(Request::Hide { path }), None) => mounts.hide(path),
        (Some(Request::Undo { id }), None) => mounts.undo(id).map(|()| 0),
        _ => Err(Refusal::found(Step::Request)),
    };
    reply(socket, done)
}

/// Whether there is anybody to take the reply. The socket holds many: this never waits.
fn reply(socket: &OwnedFd, reply: Reply) -> bool {
    let message = encode_reply(reply);
    loop {
        match send(socket, &message, SendFlags::NOSIGNAL | SendFlags::DONTWAIT) {
            Err(Errno::INTR) => {}
            other => return other.is_ok(),
        }
    }
}

/// `map_err(refuse(step))` for calls of the file system.
fn refuse<T>(step: Step, result: Result<T, Errno>) -> Result<T, Refusal> {
    result.map_err(at(step))
}

//! Who is at the other end of a UNIX socket, and a descriptor for it or from it. Rustix has types for
//! the first that cannot hold the pid 0 by which the kernel names a process of another pid namespace.

use crate::{Errno, Result, check};
use core::mem::MaybeUninit;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::io::{IoSlice, IoSliceMut};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// A process at the other end, as the calling process's namespaces see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its pid; 0 when it is in none of the pid namespaces that this process can see.
    pub pid: i32,
    /// Its user id; the overflow id when this user namespace does not map it.
    pub uid: u32,
}

/// Who connected (`SO_PEERCRED`, unix(7)): on an accepted socket, the process that called
/// connect(2), also when it has ended or passed its end on.
///
/// # Errors
/// Those of getsockopt(2).
pub fn peer(socket: impl AsFd) -> Result<Peer> {
    let mut found = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut len = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes, which is the size of `found`.
    let done = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut found).cast(),
            &raw mut len,
        )
    };
    check(done.into())?;
    if len as usize != size_of::<libc::ucred>() {
        return Err(Errno::INVAL);
    }
    Ok(Peer { pid: found.pid, uid: found.uid })
}

/// Receives one message from a socket that has `SO_PASSCRED` set: how many bytes, and the pid of
/// the process that sent it (0: not known, or not to be seen). Descriptors that come with it are
/// closed, unseen. No more than `into` holds is returned.
///
/// # Errors
/// Those of recvmsg(2).
pub fn receive(socket: impl AsFd, into: &mut [u8]) -> Result<(usize, i32)> {
    /// Room for the credentials alone, aligned as the kernel's headers are.
    #[repr(align(8))]
    struct Control([MaybeUninit<u8>; 64]);
    let mut control = Control([MaybeUninit::uninit(); 64]);
    let mut part = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
    // SAFETY: a zeroed msghdr is valid; the fields that matter are set below.
    let mut header: libc::msghdr = unsafe { core::mem::zeroed() };
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    header.msg_control = control.0.as_mut_ptr().cast();
    // The size of a header and of the credentials: whatever comes beside them is cut off, and the
    // kernel closes descriptors that do not fit.
    // SAFETY: CMSG_SPACE only computes.
    header.msg_controllen = unsafe { libc::CMSG_SPACE(size_of::<libc::ucred>() as u32) } as _;
    let flags = libc::MSG_CMSG_CLOEXEC;
    // SAFETY: the header describes two live buffers of the lengths given.
    let n =
        check(unsafe { libc::recvmsg(socket.as_fd().as_raw_fd(), &raw mut header, flags) } as _)?;
    let mut sender = 0;
    // SAFETY: the kernel has written `msg_controllen` bytes of well-formed messages, which the
    // macros walk within that length; what a message holds is copied by its own length.
    unsafe {
        let mut message = libc::CMSG_FIRSTHDR(&raw const header);
        while !message.is_null() {
            let kind = ((*message).cmsg_level, (*message).cmsg_type);
            let whole = (*message).cmsg_len as usize
                >= libc::CMSG_LEN(size_of::<libc::ucred>() as u32) as usize;
            let data = libc::CMSG_DATA(message);
            if kind == (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) && whole {
                sender = data.cast::<libc::ucred>().read_unaligned().pid;
            } else if kind == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
                let len = (*message).cmsg_len as usize - (data as usize - message as usize);
                for i in 0..len / size_of::<i32>() {
                    crate::process::close_fd(data.cast::<i32>().add(i).read_unaligned());
                }
            }
            message = libc::CMSG_NXTHDR(&raw const header, message);
        }
    }
    Ok((n as usize, sender))
}

/// Sends a copy of a descriptor, with one byte, by one system call; one more after a signal.
///
/// # Errors
/// Those of sendmsg(2). EPIPE: the other end is closed.
pub fn send_descriptor(socket: BorrowedFd<'_>, fd: BorrowedFd<'_>) -> Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let fds = [fd];
    ancillary.push(SendAncillaryMessage::ScmRights(&fds));
    loop {
        match sendmsg(socket, &[IoSlice::new(&[1])], &mut ancillary, SendFlags::NOSIGNAL) {
            Err(Errno::INTR) => {}
            other => return other.map(drop),
        }
    }
}

/// Waits for a message, and takes the descriptor that came with it, if one did. None at the end of
/// the connection, too.
///
/// # Errors
/// Those of recvmsg(2).
pub fn receive_descriptor(socket: impl AsFd) -> Result<Option<OwnedFd>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    recvmsg(socket, &mut [IoSliceMut::new(&mut byte)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    Ok(ancillary.drain().find_map(|part| match part {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    }))
}

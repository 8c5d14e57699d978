//! Seccomp notifications (seccomp_unotify(2)): receiving a system call that a filter traps, looking
//! at its process, answering it.

use crate::{Errno, Result, check};
use core::ffi::c_ulong;
use core::mem::zeroed;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// A trapped system call (`struct seccomp_notif`). Its process waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Notification {
    /// Which; unique for a listener.
    pub id: u64,
    /// The thread, in the pid namespace of the receiver; 0 if it is not in there.
    pub pid: u32,
    /// The call's number.
    pub nr: i32,
    /// The machine that it was made for (`AUDIT_ARCH_*`).
    pub arch: u32,
    /// Its arguments.
    pub args: [u64; 6],
}

const fn request(direction: c_ulong, number: c_ulong, size: usize) -> c_ulong {
    (direction << 30) | ((size as c_ulong) << 16) | ((b'!' as c_ulong) << 8) | number
}

const RECV: c_ulong = request(3, 0, size_of::<libc::seccomp_notif>());
const SEND: c_ulong = request(3, 1, size_of::<libc::seccomp_notif_resp>());
const ID_VALID: c_ulong = request(1, 2, size_of::<u64>());
const ADDFD: c_ulong = request(1, 3, size_of::<libc::seccomp_notif_addfd>());
const SET_FLAGS: c_ulong = request(1, 4, size_of::<u64>());

/// Waits for a notification, or takes the one that poll(2) announced.
///
/// # Errors
/// ENOENT: its process was ended meanwhile. EINTR: a signal.
pub fn receive(listener: impl AsFd) -> Result<Notification> {
    // SAFETY: integers only; the kernel insists on zeroes.
    let mut found: libc::seccomp_notif = unsafe { zeroed() };
    // SAFETY: the request's size is that of `found`, which the kernel fills.
    check(unsafe { libc::ioctl(listener.as_fd().as_raw_fd(), RECV as _, &raw mut found) }.into())?;
    Ok(Notification {
        id: found.id,
        pid: found.pid,
        nr: found.data.nr,
        arch: found.data.arch,
        args: found.data.args,
    })
}

fn respond(listener: impl AsFd, answer: libc::seccomp_notif_resp) -> Result<()> {
    let mut answer = answer;
    let fd = listener.as_fd().as_raw_fd();
    // SAFETY: the request's size is that of `answer`, which outlives the call.
    check(unsafe { libc::ioctl(fd, SEND as _, &raw mut answer) }.into()).map(drop)
}

/// Lets the kernel run the call as the process made it. The process can change what its pointers
/// lead to before that: not for what was decided by memory.
///
/// # Errors
/// ENOENT: the call is over.
pub fn proceed(listener: impl AsFd, id: u64) -> Result<()> {
    const CONTINUE: u32 = 1;
    respond(listener, libc::seccomp_notif_resp { id, val: 0, error: 0, flags: CONTINUE })
}

/// The call returns `value`.
///
/// # Errors
/// ENOENT: the call is over.
pub fn succeed(listener: impl AsFd, id: u64, value: i64) -> Result<()> {
    respond(listener, libc::seccomp_notif_resp { id, val: value, error: 0, flags: 0 })
}

/// The call fails.
///
/// # Errors
/// ENOENT: the call is over.
pub fn refuse(listener: impl AsFd, id: u64, errno: Errno) -> Result<()> {
    let error = -errno.raw_os_error();
    respond(listener, libc::seccomp_notif_resp { id, val: 0, error, flags: 0 })
}

/// Whether the call still waits. Asked after something of the process was read: its pid may have
/// been given to another before.
#[must_use]
pub fn is_waiting(listener: impl AsFd, id: u64) -> bool {
    let fd = listener.as_fd().as_raw_fd();
    // SAFETY: the kernel reads one u64.
    check(unsafe { libc::ioctl(fd, ID_VALID as _, &raw const id) }.into()).is_ok()
}

/// Gives the process a copy of a descriptor and lets the call return its number, in one step.
///
/// # Errors
/// ENOENT: the call is over. EMFILE: no room in the process. Others of seccomp_unotify(2).
pub fn inject(listener: impl AsFd, id: u64, fd: BorrowedFd<'_>, cloexec: bool) -> Result<()> {
    const SEND_TOO: u32 = 2;
    add(listener, id, fd, cloexec, SEND_TOO).map(drop)
}

/// As [`inject`], but ours is closed before the call returns: what the process finds when it closes
/// its own does not depend on when we come to close ours. Only where nothing but a signal that
/// kills can interrupt the call between the two steps ([`crate::seccomp::load_listener`]).
///
/// # Errors
/// As [`inject`].
pub fn inject_last(listener: impl AsFd, id: u64, fd: OwnedFd, cloexec: bool) -> Result<()> {
    let listener = listener.as_fd();
    let number = add(listener, id, fd.as_fd(), cloexec, 0)?;
    drop(fd);
    succeed(listener, id, number.into())
}

fn add(listener: impl AsFd, id: u64, fd: BorrowedFd<'_>, cloexec: bool, flags: u32) -> Result<i32> {
    let newfd_flags = if cloexec { libc::O_CLOEXEC as u32 } else { 0 };
    let srcfd = fd.as_raw_fd() as u32;
    let add = libc::seccomp_notif_addfd { id, flags, srcfd, newfd: 0, newfd_flags };
    let listener = listener.as_fd().as_raw_fd();
    // SAFETY: the request's size is that of `add`, which outlives the call.
    let number = check(unsafe { libc::ioctl(listener, ADDFD as _, &raw const add) }.into())?;
    i32::try_from(number).map_err(|_| Errno::BADF)
}

/// Asks the kernel to wake the two sides on one processor (Linux 6.6), or not to: several times
/// faster where each waits for the other, slower where others wait meanwhile.
///
/// # Errors
/// EINVAL: an older kernel.
pub fn wake_in_turn(listener: impl AsFd, in_turn: bool) -> Result<()> {
    const SYNC_WAKE_UP: c_ulong = 1;
    let flags = if in_turn { SYNC_WAKE_UP } else { 0 };
    let fd = listener.as_fd().as_raw_fd();
    // SAFETY: the argument is an integer.
    check(unsafe { libc::ioctl(fd, SET_FLAGS as _, flags) }.into()).map(drop)
}

/// Reads memory of another process (process_vm_readv(2)); returns how much there was, which is less
/// than asked for where the mapping ends. The process may write at the same time: what is decided
/// is decided by this copy.
///
/// # Errors
/// EFAULT: nothing is mapped there. EPERM, ESRCH.
pub fn read_memory(pid: u32, address: u64, into: &mut [u8]) -> Result<usize> {
    let pid = i32::try_from(pid).map_err(|_| Errno::SRCH)?;
    let address = usize::try_from(address).map_err(|_| Errno::FAULT)?;
    let local = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
    let remote =
        libc::iovec { iov_base: core::ptr::without_provenance_mut(address), iov_len: into.len() };
    // SAFETY: `local` is a valid buffer; the kernel checks the address in the other process.
    let read =
        check(
            unsafe { libc::process_vm_readv(pid, &raw const local, 1, &raw const remote, 1, 0) }
                as libc::c_long,
        )?;
    usize::try_from(read).map_err(|_| Errno::FAULT)
}

/// A copy of a descriptor of another process (pidfd_getfd(2)): the same open file.
///
/// # Errors
/// EBADF: it has none of that number. EPERM, ESRCH.
pub fn take_fd(process: BorrowedFd<'_>, fd: i32) -> Result<OwnedFd> {
    // SAFETY: integers only.
    let taken = check(unsafe { libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), fd, 0) })?;
    // SAFETY: the kernel just made this descriptor, and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(taken as i32) })
}

/// Opens a thread, not only a process (`PIDFD_THREAD`, Linux 6.9); on older kernels its process.
///
/// # Errors
/// ESRCH: it has ended. Those of pidfd_open(2).
pub fn open_thread(pid: u32) -> Result<OwnedFd> {
    const THREAD: u32 = libc::O_EXCL as u32;
    let pid = i32::try_from(pid).map_err(|_| Errno::SRCH)?;
    let open = |flags: u32| {
        // SAFETY: integers only.
        check(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, flags) })
    };
    let fd = match open(THREAD) {
        Err(Errno::INVAL) => open(0)?,
        other => other?,
    };
    // SAFETY: the kernel just made this descriptor, and nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

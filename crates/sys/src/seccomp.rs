//! seccomp(2): loading filters.

use crate::{Errno, Result, check};
use alloc::vec::Vec;
use rustix::fd::{FromRawFd as _, OwnedFd};

/// One instruction of classic BPF (`struct sock_filter`).
pub type Instruction = libc::sock_filter;

/// Size of an [`Instruction`] in bytes, the granularity of a filter blob.
pub const INSTRUCTION_SIZE: usize = size_of::<Instruction>();

/// The most instructions that the kernel takes in one filter (`BPF_MAXINSNS`).
pub const MAX_INSTRUCTIONS: usize = 4096;

/// Reads a blob of instructions in native byte order, as `seccomp_export_bpf` of libseccomp writes
/// it. Returns `None` when its length is 0, no multiple of 8, or above [`MAX_INSTRUCTIONS`].
/// Allocates.
pub fn parse(blob: &[u8]) -> Option<Vec<Instruction>> {
    let count = blob.len() / INSTRUCTION_SIZE;
    if blob.is_empty() || !blob.len().is_multiple_of(INSTRUCTION_SIZE) || count > MAX_INSTRUCTIONS {
        return None;
    }
    let read = |i: &[u8]| Instruction {
        code: u16::from_ne_bytes([i[0], i[1]]),
        jt: i[2],
        jf: i[3],
        k: u32::from_ne_bytes([i[4], i[5], i[6], i[7]]),
    };
    Some(blob.chunks_exact(INSTRUCTION_SIZE).map(read).collect())
}

/// Loads a filter on the calling thread (`PR_SET_SECCOMP`, as bubblewrap does: filters of nested
/// sandboxes and of containers allow prctl more often than seccomp(2)).
///
/// # Errors
/// EINVAL: the kernel has no filters, or this is no valid program. EACCES: no_new_privs is not set.
pub fn load(program: &[Instruction]) -> Result<()> {
    let len = u16::try_from(program.len()).map_err(|_| Errno::INVAL)?;
    let prog = libc::sock_fprog { len, filter: program.as_ptr().cast_mut() };
    // SAFETY: `prog` describes a valid slice; the kernel copies it and writes nothing.
    check(
        unsafe {
            libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const prog, 0, 0)
        }
        .into(),
    )
    .map(drop)
}

/// The prctl(2) option that a program with a listener has to trap, so that it shows before anything
/// depends on it that somebody listens. No kernel knows it.
pub const PROBE: u32 = u32::from_be_bytes(*b"SWAT");

/// The value with which whoever listens answers [`PROBE`], and no error.
pub const PROBE_ANSWER: libc::c_long = 1;

/// Loads a filter on the calling thread by seccomp(2), with a listener to which what it traps
/// (`SECCOMP_RET_USER_NOTIF`) is told (seccomp_unotify(2)). The listener is closed on exec. Once a
/// call is told, only a signal that kills interrupts it, where the kernel can do that (Linux 5.19).
///
/// # Errors
/// EBUSY: a filter of this thread has a listener already. EINVAL: no valid program, or a kernel
/// before Linux 5.0. EACCES: no_new_privs is not set. EMFILE: no descriptor is left.
pub fn load_listener(program: &[Instruction]) -> Result<OwnedFd> {
    let flags = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER;
    match load_with(program, flags | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV) {
        Err(Errno::INVAL) => load_with(program, flags),
        other => other,
    }
}

fn load_with(program: &[Instruction], flags: libc::c_ulong) -> Result<OwnedFd> {
    let len = u16::try_from(program.len()).map_err(|_| Errno::INVAL)?;
    let prog = libc::sock_fprog { len, filter: program.as_ptr().cast_mut() };
    // SAFETY: `prog` describes a valid slice; the kernel copies it and writes nothing.
    let fd = check(unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const prog)
    })?;
    // SAFETY: a new descriptor, which nothing else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Asks whoever listens whether it does; whether the answer was [`PROBE_ANSWER`].
///
/// # Errors
/// EINVAL: no filter traps the call, or it was let go on. ENOSYS: nobody listens any more. Others:
/// whatever a filter or who listens says.
pub fn probe_listener() -> Result<bool> {
    loop {
        // SAFETY: integers only; no kernel has an option of this number.
        match check(unsafe { libc::syscall(libc::SYS_prctl, PROBE, 0, 0, 0, 0) }) {
            Err(Errno::INTR) => {}
            other => return other.map(|answer| answer == PROBE_ANSWER),
        }
    }
}

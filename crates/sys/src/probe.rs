//! Calls that `swathe check` tries: what a program that wants out of a sandbox would try.
//!
//! None of them changes anything of the machine: [`reach`] makes calls with arguments that the
//! kernel refuses after it has asked for permission, so that the error tells whether the call was
//! let through; the others concern objects that the caller made for the purpose.

use crate::{Errno, Result, check};
use alloc::vec::Vec;
use core::ffi::{CStr, c_char, c_int, c_long, c_void};
use core::ptr::{null, null_mut};
use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

mod reach;

pub use reach::{Reach, reach};

/// getpid(2) by the 32-bit table of x86. `None` on other machines.
///
/// # Errors
/// ENOSYS: the kernel has no such table, or a filter says so. A kernel without it may send SIGSEGV.
pub fn getpid_32() -> Option<Result<i32>> {
    #[cfg(target_arch = "x86_64")]
    {
        const GETPID: usize = 20;
        let answer: usize;
        // SAFETY: getpid takes nothing and writes no memory; int 0x80 may clobber r8 to r11.
        unsafe {
            core::arch::asm!(
                "int 0x80",
                inlateout("rax") GETPID => answer,
                out("r8") _, out("r9") _, out("r10") _, out("r11") _,
            );
        }
        let answer = answer as u32 as i32;
        Some(if answer < 0 { Err(Errno::from_raw_os_error(-answer)) } else { Ok(answer) })
    }
    #[cfg(not(target_arch = "x86_64"))]
    None
}

/// getpid(2) by the x32 table. `None` on other machines than x86_64.
///
/// # Errors
/// ENOSYS: the kernel has no such table, or a filter says so.
pub fn getpid_x32() -> Option<Result<i32>> {
    #[cfg(target_arch = "x86_64")]
    {
        const X32: c_long = 0x4000_0000;
        // SAFETY: getpid takes nothing.
        Some(check(unsafe { libc::syscall(X32 | libc::SYS_getpid) }).map(|pid| pid as i32))
    }
    #[cfg(not(target_arch = "x86_64"))]
    None
}

/// Makes a process in new namespaces by clone3(2) that ends at once, and waits for it.
///
/// # Errors
/// Those of clone3(2).
pub fn clone3(flags: u32) -> Result<()> {
    let mut args = [0u64; 8];
    args[0] = u64::from(flags);
    args[4] = libc::SIGCHLD as u64;
    // SAFETY: the first version's structure of 64 bytes; no stack and no CLONE_VM: the child runs
    // on a copy of this stack, and does nothing but end. The caller has one thread.
    let pid = check(unsafe { libc::syscall(libc::SYS_clone3, args.as_ptr(), size_of_val(&args)) })?;
    if pid == 0 {
        crate::process::exit(0);
    }
    let mut status = 0;
    // SAFETY: `status` outlives the call.
    check(unsafe { libc::waitpid(pid as i32, &raw mut status, 0) }.into()).map(drop)
}

/// Ignores a signal.
///
/// # Errors
/// EINVAL: there is no such signal.
pub fn ignore(signal: c_int) -> Result<()> {
    // SAFETY: SIG_IGN runs no code.
    let old = unsafe { libc::signal(signal, libc::SIG_IGN) };
    if old == libc::SIG_ERR { Err(crate::last_errno()) } else { Ok(()) }
}

/// PTRACE_SEIZE: becomes the tracer of a process without stopping it, until the caller ends.
///
/// # Errors
/// Those of ptrace(2).
pub fn seize(pid: c_int) -> Result<()> {
    // SAFETY: no address is read or written.
    check(unsafe {
        libc::ptrace(libc::PTRACE_SEIZE, pid, null_mut::<c_void>(), null_mut::<c_void>())
    })
    .map(drop)
}

/// PTRACE_TRACEME of the calling process.
///
/// # Errors
/// Those of ptrace(2).
pub fn trace_me() -> Result<()> {
    // SAFETY: no address is read or written.
    check(unsafe {
        libc::ptrace(libc::PTRACE_TRACEME, 0, null_mut::<c_void>(), null_mut::<c_void>())
    })
    .map(drop)
}

/// process_vm_readv(2) of one byte at an address that no process has: EFAULT when the caller may
/// read that process's memory.
///
/// # Errors
/// Always one.
pub fn read_memory(pid: c_int) -> Result<()> {
    let mut byte = 0u8;
    let local = libc::iovec { iov_base: (&raw mut byte).cast(), iov_len: 1 };
    let remote = libc::iovec { iov_base: null_mut::<c_void>().wrapping_byte_add(1), iov_len: 1 };
    // SAFETY: the local vector is one byte of this frame; the remote one is never dereferenced here.
    let read = unsafe { libc::process_vm_readv(pid, &raw const local, 1, &raw const remote, 1, 0) };
    check(read as c_long).map(drop)
}

/// A tty's ioctl that a filter should refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TtyCall {
    /// TIOCSTI of one space.
    Push,
    /// TIOCSTI with a bit above the 32 that the kernel looks at.
    PushWide,
    /// TIOCLINUX, an unknown subcode.
    Linux,
    /// TIOCSETD to the discipline that every terminal has.
    Discipline,
}

/// Makes it.
///
/// # Errors
/// Those of ioctl_tty(2).
pub fn tty_call(fd: BorrowedFd<'_>, call: TtyCall) -> Result<()> {
    const TIOCLINUX: usize = 0x541c;
    let request = match call {
        TtyCall::Push => libc::TIOCSTI as usize,
        TtyCall::PushWide => libc::TIOCSTI as usize | 1 << (usize::BITS - 8),
        TtyCall::Linux => TIOCLINUX,
        TtyCall::Discipline => libc::TIOCSETD as usize,
    };
    let value: c_int = match call {
        TtyCall::Push | TtyCall::PushWide => c_int::from_ne_bytes([b' '; 4]),
        TtyCall::Linux => -1,
        TtyCall::Discipline => 0,
    };
    // SAFETY: each of these reads at most one int at the pointer, which outlives the call.
    check(unsafe { libc::syscall(libc::SYS_ioctl, fd.as_raw_fd(), request, &raw const value) })
        .map(drop)
}

/// Makes or finds a segment of SysV shared memory of one page, for this user alone.
///
/// # Errors
/// Those of shmget(2); ENOENT: there is none of this key.
pub fn shared_memory(key: i32, create: bool) -> Result<i32> {
    const SIZE: usize = 4096;
    let flags = if create { libc::IPC_CREAT | libc::IPC_EXCL | 0o600 } else { 0 };
    // SAFETY: integers only.
    check(unsafe { libc::shmget(key, SIZE, flags) }.into()).map(|id| id as i32)
}

/// Removes a segment.
///
/// # Errors
/// Those of shmctl(2).
pub fn remove_shared_memory(id: i32) -> Result<()> {
    // SAFETY: IPC_RMID reads no buffer.
    check(unsafe { libc::shmctl(id, libc::IPC_RMID, null_mut()) }.into()).map(drop)
}

/// Opens a POSIX message queue, or makes one for this user alone.
///
/// # Errors
/// Those of mq_open(3); ENOENT: there is none of this name.
pub fn message_queue(name: &CStr, create: bool) -> Result<OwnedFd> {
    let flags =
        libc::O_RDWR | libc::O_CLOEXEC | if create { libc::O_CREAT | libc::O_EXCL } else { 0 };
    // SAFETY: the name ends with NUL and outlives the call; null attributes are the defaults; the
    // new descriptor is nobody else's.
    unsafe {
        let fd = check(libc::syscall(
            libc::SYS_mq_open,
            name.as_ptr(),
            flags,
            0o600usize,
            null::<u8>(),
        ))?;
        Ok(OwnedFd::from_raw_fd(fd as c_int))
    }
}

/// Removes a message queue.
///
/// # Errors
/// Those of mq_unlink(3).
pub fn remove_message_queue(name: &CStr) -> Result<()> {
    // SAFETY: the name ends with NUL and outlives the call.
    check(unsafe { libc::syscall(libc::SYS_mq_unlink, name.as_ptr()) }).map(drop)
}

const KEY_SPEC_SESSION_KEYRING: isize = -3;
const USER: &CStr = c"user";

/// Puts a key into the session's keyring.
///
/// # Errors
/// Those of add_key(2).
pub fn add_key(description: &CStr, data: &[u8]) -> Result<i32> {
    // SAFETY: both strings end with NUL, the data is of the size passed, and all outlive the call.
    let id = check(unsafe {
        libc::syscall(
            libc::SYS_add_key,
            USER.as_ptr(),
            description.as_ptr(),
            data.as_ptr(),
            data.len(),
            KEY_SPEC_SESSION_KEYRING,
        )
    })?;
    Ok(id as i32)
}

/// Finds a key of the session's keyring.
///
/// # Errors
/// Those of keyctl(2); ENOKEY: there is none of this description.
pub fn find_key(description: &CStr) -> Result<i32> {
    const KEYCTL_SEARCH: usize = 10;
    // SAFETY: both strings end with NUL and outlive the call.
    let id = check(unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            KEYCTL_SEARCH,
            KEY_SPEC_SESSION_KEYRING,
            USER.as_ptr(),
            description.as_ptr(),
            0usize,
        )
    })?;
    Ok(id as i32)
}

/// Takes a key out of the session's keyring.
///
/// # Errors
/// Those of keyctl(2).
pub fn remove_key(id: i32) -> Result<()> {
    const KEYCTL_UNLINK: usize = 9;
    // SAFETY: integers only.
    check(unsafe {
        libc::syscall(libc::SYS_keyctl, KEYCTL_UNLINK, id as isize, KEY_SPEC_SESSION_KEYRING)
    })
    .map(drop)
}

/// The largest file handle that the kernel makes (`MAX_HANDLE_SZ`), and the head before it.
const HANDLE: usize = 128;
const HEAD: usize = 8;

#[repr(C, align(8))]
struct Handle([u8; HEAD + HANDLE]);

/// The handle of a file (name_to_handle_at(2)), as bytes that only [`open_handle`] understands.
/// Allocates.
///
/// # Errors
/// Those of the call; EOPNOTSUPP: the file system has none.
pub fn file_handle(path: &CStr) -> Result<Vec<u8>> {
    let mut handle = Handle([0; HEAD + HANDLE]);
    handle.0[..4].copy_from_slice(&(HANDLE as u32).to_ne_bytes());
    let mut mount: c_int = 0;
    // SAFETY: the handle's size says how much room is behind its head; all outlive the call.
    check(unsafe {
        libc::syscall(
            libc::SYS_name_to_handle_at,
            libc::AT_FDCWD,
            path.as_ptr(),
            handle.0.as_mut_ptr(),
            &raw mut mount,
            0usize,
        )
    })?;
    Ok(handle.0.to_vec())
}

/// Opens a file for reading by its handle; `mount` is any file of the same file system.
///
/// # Errors
/// Those of open_by_handle_at(2); EINVAL also when these are not the bytes of a handle.
pub fn open_handle(mount: BorrowedFd<'_>, bytes: &[u8]) -> Result<OwnedFd> {
    let bytes = bytes.try_into().map_err(|_| Errno::INVAL)?;
    let mut handle = Handle(bytes);
    let [a, b, c, d, ..] = handle.0;
    if u32::from_ne_bytes([a, b, c, d]) as usize > HANDLE {
        return Err(Errno::INVAL);
    }
    let flags = libc::O_RDONLY | libc::O_CLOEXEC;
    // SAFETY: the size in the handle's head is no larger than the room behind it (just checked);
    // the new descriptor is nobody else's.
    unsafe {
        let fd = check(libc::syscall(
            libc::SYS_open_by_handle_at,
            mount.as_raw_fd(),
            handle.0.as_mut_ptr(),
            flags,
        ))?;
        Ok(OwnedFd::from_raw_fd(fd as c_int))
    }
}

/// Whether so many bytes of memory of the process's own can be had. They are given back untouched.
///
/// # Errors
/// ENOMEM: they cannot.
pub fn reserve(bytes: usize) -> Result<()> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: a new mapping where the kernel likes, which nobody but the unmapping uses.
    unsafe {
        let start = libc::mmap(null_mut(), bytes, access, flags, -1, 0);
        if start == libc::MAP_FAILED {
            return Err(crate::last_errno());
        }
        check(libc::munmap(start, bytes).into()).map(drop)
    }
}

/// Asks for real-time scheduling of the calling thread (`SCHED_FIFO`, the lowest priority).
///
/// # Errors
/// EPERM: it is not allowed.
pub fn real_time() -> Result<()> {
    // SAFETY: a zeroed structure is valid.
    let mut parameters: libc::sched_param = unsafe { core::mem::zeroed() };
    parameters.sched_priority = 1;
    // SAFETY: the structure outlives the call. By number: musl's wrapper always says ENOSYS.
    check(unsafe {
        libc::syscall(libc::SYS_sched_setscheduler, 0, libc::SCHED_FIFO, &raw const parameters)
    })
    .map(drop)
}

/// socket(2) of any family, type and protocol; closed at once.
///
/// # Errors
/// Those of socket(2).
pub fn socket(family: i32, kind: i32, protocol: i32) -> Result<()> {
    // SAFETY: integers only.
    let fd = check(unsafe { libc::socket(family, kind | libc::SOCK_CLOEXEC, protocol) }.into())?;
    crate::process::close_fd(fd as c_int);
    Ok(())
}

/// fchmodat2(2) (Linux 6.6).
///
/// # Errors
/// Those of the call.
pub fn chmod_at_2(path: &CStr, mode: u32) -> Result<()> {
    const SYS_FCHMODAT2: c_long = 452;
    // SAFETY: the path ends with NUL and outlives the call.
    check(unsafe {
        libc::syscall(SYS_FCHMODAT2, libc::AT_FDCWD, path.as_ptr().cast::<c_char>(), mode, 0usize)
    })
    .map(drop)
}

//! System calls for the floor: one raw entry, and the few shapes it needs.
//!
//! A failure ends the program with status 97 after naming the step: there is nothing to clean up,
//! since a measurement that failed is thrown away.

use core::ffi::{CStr, c_int, c_long, c_void};
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicU32, Ordering};

/// Set by whoever knows the payload's exit status: `LEFT | status`. The launcher waits on it.
pub static STATUS: AtomicU32 = AtomicU32::new(0);
/// Marks `STATUS` as written.
pub const LEFT: u32 = 0x100;

/// Makes system call `nr`; the error is the errno.
pub fn raw(nr: c_long, a: [usize; 6]) -> Result<usize, i32> {
    // SAFETY: every caller passes, for this call's number, descriptors, flags, and addresses of
    // objects that are alive for the whole call; none of them gives up memory Rust relies on.
    let r = unsafe { libc::syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]) };
    if r >= 0 { Ok(r as usize) } else { Err(errno()) }
}

fn errno() -> i32 {
    // SAFETY: the C library's errno location is always valid for the calling thread.
    unsafe { *libc::__errno_location() }
}

/// Makes a call that must succeed.
pub fn must(what: &CStr, nr: c_long, a: [usize; 6]) -> usize {
    match raw(nr, a) {
        Ok(v) => v,
        Err(e) => die(what, e),
    }
}

/// Reports the failed step and its errno on standard error and ends every process of the launch.
pub fn die(what: &CStr, errno: i32) -> ! {
    let mut digits = [0u8; 12];
    for part in [
        b"floor: ".as_slice(),
        what.to_bytes(),
        b" errno ",
        decimal(&mut digits, errno as u32),
        b"\n",
    ] {
        let _ = raw(libc::SYS_write, [2, part.as_ptr() as usize, part.len(), 0, 0, 0]);
    }
    leave(97);
    loop {
        let _ = raw(libc::SYS_exit_group, [97, 0, 0, 0, 0, 0]);
    }
}

/// Tells the launcher, which shares this memory, that the launch is over with `status`.
pub fn leave(status: u32) {
    STATUS.store(LEFT | status, Ordering::Release);
    let _ = raw(libc::SYS_futex, [STATUS.as_ptr() as usize, libc::FUTEX_WAKE as usize, 1, 0, 0, 0]);
}

/// Writes `n` in decimal into `buf` and returns the digits.
pub fn decimal(buf: &mut [u8; 12], mut n: u32) -> &[u8] {
    let mut i = buf.len();
    loop {
        i -= 1;
        buf[i] = b'0' + (n % 10) as u8;
        n /= 10;
        if n == 0 {
            return &buf[i..];
        }
    }
}

/// Opens `path` and writes `bytes` in one call.
pub fn write_file(path: &CStr, bytes: &[u8]) {
    let flags = (libc::O_WRONLY | libc::O_CLOEXEC) as usize;
    let fd = must(path, libc::SYS_openat, [at(libc::AT_FDCWD), p(path), flags, 0, 0, 0]);
    must(path, libc::SYS_write, [fd, bytes.as_ptr() as usize, bytes.len(), 0, 0, 0]);
    close(fd);
}

/// Closes a descriptor; a failure cannot matter here.
pub fn close(fd: usize) {
    let _ = raw(libc::SYS_close, [fd, 0, 0, 0, 0, 0]);
}

/// The address of a NUL-terminated string as a call argument.
pub fn p(s: &CStr) -> usize {
    s.as_ptr() as usize
}

/// A directory descriptor (negative ones too) as a call argument.
pub fn at(fd: c_int) -> usize {
    fd as isize as usize
}

/// Starts `f(arg)` in a new process on `stack`, with the clone flags and exit signal in `flags`;
/// returns its pid or dies.
///
/// # Safety
/// `flags` holds `CLONE_VM`: `stack` must not be used for anything else until that process has
/// ended or executed another program, and `arg` must be valid for as long as `f` uses it.
pub unsafe fn clone_on(
    stack: &mut [MaybeUninit<u128>],
    flags: c_int,
    f: extern "C" fn(*mut c_void) -> c_int,
    arg: *mut c_void,
) -> usize {
    let top = stack.as_mut_ptr_range().end;
    // SAFETY: the caller keeps stack and argument alive; u128 gives the alignment the ABI wants.
    let pid = unsafe { libc::clone(f, top.cast(), flags, arg) };
    if pid < 0 {
        die(c"clone", errno());
    }
    pid as usize
}

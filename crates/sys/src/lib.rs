//! The only unsafe code of the project: system calls that rustix lacks, typed.
//!
//! Everything else is reached through [`rustix`], which this crate re-exports so that there is one
//! version of it. Each `unsafe` block states the invariant it relies on and who upholds it.
//!
//! Nothing here allocates unless its documentation says so, and nothing here prints.
#![cfg_attr(not(test), no_std)]

extern crate alloc;
#[cfg(all(feature = "std", not(test)))]
extern crate std;

pub use rustix;
pub use rustix::io::Errno;

pub mod arena;
pub mod datagram;
#[cfg(feature = "std")]
pub mod early;
pub mod entry;
pub mod landlock;
pub mod mount;
pub mod net;
pub mod notify;
pub mod presence;
pub mod probe;
pub mod process;
pub mod seccomp;
pub mod signal;
pub mod socket;
pub mod terminal;

// Without the standard library nobody else asks for the C library.
// SAFETY: the block declares nothing.
#[link(name = "c")]
unsafe extern "C" {}

/// The result of a system call.
pub type Result<T> = core::result::Result<T, Errno>;

/// Turns the return value of a `libc` wrapper (−1 and `errno`) into a [`Result`].
fn check(ret: libc::c_long) -> Result<libc::c_long> {
    if ret == -1 { Err(last_errno()) } else { Ok(ret) }
}

/// The calling thread's `errno`.
fn last_errno() -> Errno {
    // SAFETY: __errno_location returns a valid pointer to this thread's errno, always.
    Errno::from_raw_os_error(unsafe { *libc::__errno_location() })
}

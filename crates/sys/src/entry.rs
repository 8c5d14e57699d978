//! Start of a program without the standard library.
//!
//! `std`'s runtime ignores SIGPIPE, opens `/dev/null` on closed standard descriptors and installs
//! handlers for stack overflow before `main`. A launcher must not: the program that it starts
//! inherits all of that instead of what its caller set. [`entry!`](crate::entry!) defines the C
//! `main` symbol itself.

use alloc::format;
use alloc::vec::Vec;
use core::ffi::{CStr, c_char, c_int};
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

static ARGV: AtomicPtr<*const c_char> = AtomicPtr::new(core::ptr::null_mut());
static ARGC: AtomicUsize = AtomicUsize::new(0);

/// Defines the program's entry point: `entry!(run)` with `fn run() -> i32`.
///
/// The crate that uses it is `#![no_main]`. A panic is printed as an internal error and ends the
/// process with status 1, never with a status that could be taken for the payload's.
#[macro_export]
macro_rules! entry {
    ($run:path) => {
        const _: () = {
            #[unsafe(no_mangle)]
            extern "C" fn main(
                argc: ::core::ffi::c_int,
                argv: *const *const ::core::ffi::c_char,
            ) -> ::core::ffi::c_int {
                $crate::entry::start(argc, argv, $run)
            }

            $crate::on_panic!();
        };
    };
}

/// What [`entry!`](crate::entry!) needs to end the process after a panic.
#[cfg(not(feature = "std"))]
#[doc(hidden)]
#[macro_export]
macro_rules! on_panic {
    () => {
        // The precompiled alloc crate was built with unwinding and names these two. Nothing
        // unwinds here: a panic ends the process in its handler.
        #[unsafe(no_mangle)]
        extern "C" fn _Unwind_Resume() -> ! {
            $crate::process::exit(1)
        }
        #[unsafe(no_mangle)]
        extern "C" fn rust_eh_personality() {}

        #[panic_handler]
        fn panic(info: &::core::panic::PanicInfo<'_>) -> ! {
            $crate::entry::panicked(info)
        }
    };
}

/// Cargo builds a dependency once for all programs of one build. When one of them has the standard
/// library, the others are linked with it too, and it brings these definitions itself. That is how
/// `cargo build --workspace` works; a release is built alone.
#[cfg(feature = "std")]
#[doc(hidden)]
#[macro_export]
macro_rules! on_panic {
    () => {
        extern crate std as _;
    };
}

/// Ends the process after a panic. Called by [`entry!`](crate::entry!) only.
#[doc(hidden)]
pub fn panicked(info: &core::panic::PanicInfo<'_>) -> ! {
    let text = format!("bwrap: internal error, this is a bug: {info}\n");
    if let Ok(stderr) = crate::process::borrow_fd(2) {
        let _ = rustix::io::write(stderr, text.as_bytes());
    }
    crate::process::exit(1);
}

/// Records the argument vector and runs `run`. Called by [`entry!`](crate::entry!) only.
#[doc(hidden)]
pub fn start(argc: c_int, argv: *const *const c_char, run: fn() -> i32) -> c_int {
    ARGC.store(usize::try_from(argc).unwrap_or(0), Ordering::Relaxed);
    ARGV.store(argv.cast_mut(), Ordering::Relaxed);
    run()
}

/// The argument vector of the process, as the kernel gave it; empty before [`entry!`](crate::entry!)
/// ran.
pub fn args() -> Vec<&'static CStr> {
    let argv = ARGV.load(Ordering::Relaxed);
    if argv.is_null() {
        return Vec::new();
    }
    (0..ARGC.load(Ordering::Relaxed))
        // SAFETY: the C runtime passes `argc` valid pointers to NUL-terminated strings which live,
        // unmoved, until the process ends; only `wipe_args` writes to them, in a forked child.
        .map(|i| unsafe { CStr::from_ptr(*argv.add(i)) })
        .collect()
}

/// The environment of the process as the kernel gave it: `NAME=value` strings.
pub fn env() -> Vec<&'static CStr> {
    unsafe extern "C" {
        static environ: *const *const c_char;
    }
    let mut out = Vec::new();
    // SAFETY: `environ` is a NULL-terminated array of NUL-terminated strings; nothing in this
    // project calls setenv or putenv, so neither the array nor the strings move.
    unsafe {
        let mut p = environ;
        while !p.is_null() && !(*p).is_null() {
            out.push(CStr::from_ptr(*p));
            p = p.add(1);
        }
    }
    out
}

/// Overwrites the strings of the argument vector and the environment with zeros, so that
/// `/proc/PID/cmdline` and `/proc/PID/environ` of this process show nothing of the caller's.
///
/// Every `&CStr` of [`args`] and [`env`] reads as garbage or as empty afterwards: the caller of
/// this function, a forked child that has become pid 1 of a sandbox, must not use them again.
pub fn wipe_args() {
    for list in [args(), env()] {
        for s in list {
            let len = s.to_bytes().len();
            // SAFETY: the strings lie in the writable initial stack of the process, `len` bytes
            // before their NUL; the process is single-threaded and holds no other live reference.
            unsafe { core::ptr::write_bytes(s.as_ptr().cast_mut(), 0, len) };
        }
    }
}

/// Whether the kernel started this process in secure-execution mode: set-user-ID, set-group-ID or
/// file capabilities on the executable (`AT_SECURE`, getauxval(3)).
pub fn is_secure_exec() -> bool {
    // SAFETY: getauxval only reads the auxiliary vector.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// Whether real and effective ids differed at the start: a set-user-ID or set-group-ID executable.
pub fn has_two_ids() -> bool {
    // SAFETY: getauxval only reads the auxiliary vector.
    unsafe {
        libc::getauxval(libc::AT_UID) != libc::getauxval(libc::AT_EUID)
            || libc::getauxval(libc::AT_GID) != libc::getauxval(libc::AT_EGID)
    }
}

//! The payload of every measured launch: the smallest program that is still an ordinary static one.
//!
//! Without arguments it exits with status 0 at once. With an argument it writes one byte to its
//! standard output and waits for the end of its standard input, so that memory can be read while
//! "the payload sleeps". It has a C `main` of its own because Rust's run-time start-up (signal
//! handlers, an alternate stack, a poll of the standard descriptors) would be measured otherwise.
#![no_main]

use std::ffi::{c_char, c_int};

/// Entry point; `argc` above 1 asks for the sleeping form. Returns the exit status, always 0.
#[unsafe(no_mangle)]
pub extern "C" fn main(argc: c_int, _argv: *const *const c_char) -> c_int {
    if argc > 1 {
        let mut byte = b'R';
        // SAFETY: both calls get a pointer to one live byte and the length one.
        unsafe {
            libc::write(1, (&raw const byte).cast(), 1);
            while libc::read(0, (&raw mut byte).cast(), 1) > 0 {}
        }
    }
    0
}

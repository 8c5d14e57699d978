//! The payload of differential runs: writes what it can see and what it is to a memory file.
//!
//! `differ-probe END SKIP` where END is `exit:N`, `signal:N` or `orphan:N` (leave a child behind
//! that ends a little later) and SKIP is a comma-separated list of `major:minor` whose directories
//! are not listed. Report lines are `label<TAB>text`, text escaped.
#![no_main]
#![allow(unsafe_code)]
// Rust's own start-up would open missing standard descriptors and ignore SIGPIPE, and both are
// things to be reported. So `main` is the C one, and the queries are raw system calls.

mod net;
mod own;
mod process;
mod tree;

use std::ffi::{CStr, c_char, c_int};
use swathe_differ::{REPORT_FD, escape, os};

/// Collects the lines of the report.
pub struct Report(String);

impl Report {
    /// Adds one line under `label`; `text` is printable already.
    pub fn add(&mut self, label: &str, text: &str) {
        self.0.push_str(label);
        self.0.push('\t');
        self.0.push_str(text);
        self.0.push('\n');
    }

    /// Adds one line under `label`, escaping `bytes`.
    pub fn bytes(&mut self, label: &str, bytes: &[u8]) {
        self.add(label, &escape::line(bytes));
    }
}

/// Where the process starts.
///
/// # Safety
///
/// Called by the C library only, with `argc` valid strings in `argv`.
// SAFETY: the only symbol of this name in a program without Rust's own `main`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
    let args: Vec<&[u8]> = (0..argc.max(0) as usize)
        // SAFETY: the kernel and libc pass argc valid C strings that live as long as the process.
        .map(|i| unsafe { CStr::from_ptr(*argv.add(i)) }.to_bytes())
        .collect();
    let mut report = Report(String::with_capacity(64 << 10));
    own::report(&mut report, &args);
    process::report(&mut report);
    net::report(&mut report);
    let skip = String::from_utf8_lossy(args.get(2).copied().unwrap_or_default()).into_owned();
    tree::report(&mut report, &skip.split(',').collect::<Vec<_>>());
    report.add("end", "complete");
    if os::write_all(REPORT_FD, report.0.as_bytes()).is_err() {
        return 98;
    }
    end(&String::from_utf8_lossy(args.get(1).copied().unwrap_or(b"exit:0")))
}

/// Ends the process the way that was asked for; returns an exit status where it may still return.
fn end(how: &str) -> c_int {
    let (kind, number) = how.split_once(':').unwrap_or((how, "0"));
    let number: c_int = number.parse().unwrap_or(97);
    match kind {
        "signal" => raise(number),
        "orphan" => {
            if let Ok(None) = os::fork() {
                std::thread::sleep(std::time::Duration::from_millis(30));
                os::exit_now(0);
            }
            number
        }
        _ => number,
    }
}

/// Sends the signal to itself with its default effect; survives only as pid 1 (status 77).
fn raise(signal: c_int) -> c_int {
    let limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structures are valid and initialised, the rest are integers.
    unsafe {
        libc::setrlimit(libc::RLIMIT_CORE, &raw const limit);
        libc::signal(signal, libc::SIG_DFL);
        let mut set = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, signal);
        libc::sigprocmask(libc::SIG_UNBLOCK, &raw const set, std::ptr::null_mut());
        libc::kill(libc::getpid(), signal);
    }
    77
}

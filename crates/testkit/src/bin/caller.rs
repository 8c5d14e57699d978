//! Makes system calls by number and prints what they answer.
//!
//! `swathe-caller CALL...`, each `NUMBER[:ARGUMENT]...`: numbers as Rust writes them. A call that
//! starts with `i386/` is made by the 32-bit interface, on x86_64. Each call is made in a process of
//! its own, and answered by one line: the number it returned, `-` and the error, or `signal` and
//! what ended that process.
//!
//! It uses only std, because it is compiled on its own, and there is no Rust main, so that little
//! happens besides the calls.
#![allow(unsafe_code)]
#![no_main]

use std::ffi::{CStr, c_char, c_int, c_long};
use std::io::Write as _;

unsafe extern "C" {
    fn fork() -> c_int;
    fn getpid() -> c_int;
    fn _exit(status: c_int) -> !;
    fn waitpid(pid: c_int, status: *mut c_int, options: c_int) -> c_int;
    fn syscall(number: c_long, ...) -> c_long;
}

/// Where the C library starts the program.
///
/// # Safety
///
/// `argv` points to `argc` C strings, as the C library passes them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn main(argc: i32, argv: *const *const c_char) -> i32 {
    let mut good = true;
    for at in 1..usize::try_from(argc).unwrap_or(0) {
        // SAFETY: by this function's own contract.
        let word = unsafe { CStr::from_ptr(*argv.add(at)) };
        good &= parse(&word.to_string_lossy()).is_some_and(|(narrow, words)| run(narrow, words));
    }
    i32::from(!good)
}

/// Whether the call is a 32-bit one, its number and its arguments.
fn parse(word: &str) -> Option<(bool, [u64; 7])> {
    let (narrow, word) = match word.strip_prefix("i386/") {
        Some(rest) => (true, rest),
        None => (false, word),
    };
    let mut words = [0; 7];
    for (at, text) in word.split(':').enumerate() {
        let value = match text.get(..2) {
            Some("0x") => u64::from_str_radix(&text[2..], 16),
            Some("0o") => u64::from_str_radix(&text[2..], 8),
            _ => text.parse(),
        };
        *words.get_mut(at)? = value.ok()?;
    }
    Some((narrow, words))
}

/// Makes the call in a child, whose exit only says that it went on.
fn run(narrow: bool, words: [u64; 7]) -> bool {
    // SAFETY: there is one thread.
    let child = unsafe { fork() };
    if child == 0 {
        // SAFETY: no arguments.
        let own = unsafe { getpid() };
        let answer = call(narrow, words);
        // What a fork or clone has made says nothing.
        // SAFETY: as above.
        if unsafe { getpid() } == own {
            let _ = std::io::stdout().write_all(format!("{answer}\n").as_bytes());
        }
        // SAFETY: ends the process.
        unsafe { _exit(0) }
    }
    let mut status = 0;
    // SAFETY: the pointer is to an int.
    if child < 0 || unsafe { waitpid(child, &raw mut status, 0) } != child {
        return false;
    }
    if status & 0x7f != 0 {
        let line = format!("signal {}\n", status & 0x7f);
        return std::io::stdout().write_all(line.as_bytes()).is_ok();
    }
    true
}

/// The result as the kernel gives it: errors are negative.
fn call(narrow: bool, words: [u64; 7]) -> i64 {
    if narrow {
        return narrow_call(words);
    }
    let [number, args @ ..] = words.map(u64::cast_signed);
    // SAFETY: the words ask for calls that cannot hurt this process, which ends right after.
    let result = unsafe { syscall(number, args[0], args[1], args[2], args[3], args[4], args[5]) };
    match result {
        -1 => -i64::from(std::io::Error::last_os_error().raw_os_error().unwrap_or(0)),
        result => result,
    }
}

#[cfg(target_arch = "x86_64")]
fn narrow_call(words: [u64; 7]) -> i64 {
    let mut result = words[0];
    // SAFETY: as `call`; the kernel changes rax, and on old ones r8 to r11.
    unsafe {
        core::arch::asm!(
            "xchg rbx, {first}", "int 0x80", "xchg rbx, {first}",
            first = inout(reg) words[1] => _, inout("rax") result,
            in("rcx") words[2], in("rdx") words[3], in("rsi") words[4], in("rdi") words[5],
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    #[allow(clippy::cast_possible_truncation)] // 32 bits are the result
    i64::from(result as i32)
}

#[cfg(not(target_arch = "x86_64"))]
fn narrow_call(_: [u64; 7]) -> i64 {
    0
}

//! Prints what a payload sees, one `key value` line per fact.
//!
//! `swathe-probe` prints everything; `swathe-probe WORD...` only the facts whose key is a WORD or
//! starts with `WORD.`. With `--sleep` last it then waits for end-of-file on standard input.
//! Asked for by the word `pid1`, it first of all, as fast as it can, looks for descriptors of pid 1.
//! Asked for by the word `tiocsti`, and only then, it tries to push a byte into the terminal on
//! standard input. Facts that need /proc are left out where there is none. Bytes that would break a
//! line, and bytes that are not ASCII, are printed as `\xNN`.
//!
//! It uses only std, because it is compiled on its own, and declares the few C functions it calls.
//! There is no Rust main: what std does before one, ignoring SIGPIPE and filling closed standard
//! descriptors, would change what is to be seen.
#![allow(unsafe_code)]
#![no_main]

use std::ffi::{CStr, OsString};
use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::MetadataExt as _;

mod c {
    use std::ffi::{c_char, c_int, c_long, c_ulong};
    unsafe extern "C" {
        pub fn getresuid(r: *mut u32, e: *mut u32, s: *mut u32) -> c_int;
        pub fn getresgid(r: *mut u32, e: *mut u32, s: *mut u32) -> c_int;
        pub fn getgroups(size: c_int, list: *mut u32) -> c_int;
        pub fn getpid() -> c_int;
        pub fn getppid() -> c_int;
        pub fn getsid(pid: c_int) -> c_int;
        pub fn getpgid(pid: c_int) -> c_int;
        pub fn tcgetpgrp(fd: c_int) -> c_int;
        pub fn isatty(fd: c_int) -> c_int;
        pub fn umask(mask: u32) -> u32;
        pub fn gethostname(name: *mut c_char, len: usize) -> c_int;
        pub fn prctl(option: c_int, a: c_ulong, b: c_ulong, c: c_ulong, d: c_ulong) -> c_int;
        pub fn fcntl(fd: c_int, cmd: c_int, ...) -> c_int;
        pub fn getrlimit(resource: c_int, limit: *mut [u64; 2]) -> c_int;
        pub fn ioctl(fd: c_int, request: c_ulong, ...) -> c_int;
        pub fn syscall(number: c_long, ...) -> c_long;
    }
}

#[cfg(target_arch = "x86_64")]
const SYS: (i64, i64, i64) = (125, 14, 13);
#[cfg(not(target_arch = "x86_64"))]
const SYS: (i64, i64, i64) = (90, 135, 134);
const TIOCSTI: u64 = 0x5412;
const F_GETFD: i32 = 1;
const F_GETFL: i32 = 3;
const PR_GET_DUMPABLE: i32 = 3;
const PR_GET_SECCOMP: i32 = 21;
const PR_CAPBSET_READ: i32 = 23;
const PR_GET_NO_NEW_PRIVS: i32 = 39;
const PR_CAP_AMBIENT: i32 = 47;
const PR_CAP_AMBIENT_IS_SET: u64 = 1;

/// Where the C library starts the program.
///
/// # Safety
///
/// `argv` points to `argc` C strings, as the C library passes them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn main(argc: i32, argv: *const *const std::ffi::c_char) -> i32 {
    let words: Vec<OsString> = (0..usize::try_from(argc).unwrap_or(0))
        // SAFETY: by this function's own contract.
        .map(|at| unsafe { CStr::from_ptr(*argv.add(at)) })
        .map(|word| OsString::from_vec(word.to_bytes().to_vec()))
        .collect();
    let mut only = words.get(1..).unwrap_or_default().to_vec();
    let sleep = only.last().is_some_and(|word| word == "--sleep");
    if sleep {
        only.pop();
    }
    let mut out = Lines { only, text: String::new() };
    if out.only.iter().any(|word| word == "pid1") {
        for fd in 0..64 {
            if let Ok(link) = fs::read_link(format!("/proc/1/fd/{fd}")) {
                out.put(&format!("pid1.fd.{fd}"), link.as_os_str().as_bytes());
            }
        }
    }
    if out.only.iter().any(|word| word == "tiocsti") {
        // Also with high bits that the kernel ignores: a filter must compare 32 bits only.
        for (key, high) in [("tiocsti.plain", 0), ("tiocsti.high", 1 << 32)] {
            // SAFETY: the request reads one byte from the pointer.
            let done = unsafe { c::ioctl(0, TIOCSTI | high, c"x".as_ptr()) };
            out.put(key, if done == 0 { "pushed" } else { "refused" });
        }
    }
    ids(&mut out);
    capabilities(&mut out);
    process(&mut out);
    signals(&mut out);
    descriptors(&mut out);
    environment(&mut out, &words);
    from_proc(&mut out);
    let mut stdout = std::io::stdout();
    let written = stdout.write_all(out.text.as_bytes()).and_then(|()| stdout.flush());
    if sleep {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
    }
    if written.is_ok() { 0 } else { 2 }
}

/// The report, filtered by the words of the command line.
struct Lines {
    only: Vec<OsString>,
    text: String,
}

impl Lines {
    fn put(&mut self, key: &str, value: impl AsRef<[u8]>) {
        let wanted = |word: &OsString| {
            let (word, key) = (word.as_bytes(), key.as_bytes());
            key.starts_with(word) && (key.len() == word.len() || key[word.len()] == b'.')
        };
        if !self.only.is_empty() && !self.only.iter().any(wanted) {
            return;
        }
        let _ = writeln!(self.text, "{key} {}", escape(value.as_ref()));
    }
}

fn escape(bytes: &[u8]) -> String {
    let mut text = String::new();
    for &byte in bytes {
        match byte {
            b' '..=b'~' if byte != b'\\' => text.push(byte as char),
            _ => {
                let _ = write!(text, "\\x{byte:02x}");
            }
        }
    }
    text
}

fn ids(out: &mut Lines) {
    let mut ids = [0_u32; 3];
    let [real, effective, saved] = &mut ids;
    // SAFETY: three valid pointers to u32, which the call fills.
    unsafe { c::getresuid(real, effective, saved) };
    out.put("uid", format!("{} {} {}", ids[0], ids[1], ids[2]));
    let [real, effective, saved] = &mut ids;
    // SAFETY: as above.
    unsafe { c::getresgid(real, effective, saved) };
    out.put("gid", format!("{} {} {}", ids[0], ids[1], ids[2]));
    let mut groups = vec![0_u32; 65536];
    // SAFETY: the buffer holds as many entries as its size says, the kernel's maximum.
    let count = unsafe { c::getgroups(65536, groups.as_mut_ptr()) };
    groups.truncate(usize::try_from(count).unwrap_or(0));
    groups.sort_unstable();
    let groups: Vec<String> = groups.iter().map(u32::to_string).collect();
    out.put("groups", groups.join(" "));
}

fn capabilities(out: &mut Lines) {
    // Version 3 of the header: two 32-bit halves of {effective, permitted, inheritable}.
    let mut header = [0x2008_0522_u32, 0];
    let mut data = [0_u32; 6];
    // SAFETY: both pointers are to arrays of the size that version 3 defines.
    unsafe { c::syscall(SYS.0, header.as_mut_ptr(), data.as_mut_ptr()) };
    for (at, key) in ["cap.effective", "cap.permitted", "cap.inheritable"].iter().enumerate() {
        let set = u64::from(data[at]) | u64::from(data[at + 3]) << 32;
        out.put(key, format!("{set:016x}"));
    }
    let (mut bounding, mut ambient) = (0_u64, 0_u64);
    for cap in 0..64_u64 {
        // SAFETY: these two operations take numbers only and change nothing.
        let set = unsafe {
            (
                c::prctl(PR_CAPBSET_READ, cap, 0, 0, 0),
                c::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, cap, 0, 0),
            )
        };
        bounding |= u64::from(set.0 == 1) << cap;
        ambient |= u64::from(set.1 == 1) << cap;
    }
    out.put("cap.bounding", format!("{bounding:016x}"));
    out.put("cap.ambient", format!("{ambient:016x}"));
}

fn process(out: &mut Lines) {
    // SAFETY: none of these calls takes a pointer.
    unsafe {
        out.put("pid", c::getpid().to_string());
        out.put("ppid", c::getppid().to_string());
        out.put("sid", c::getsid(0).to_string());
        out.put("pgrp", c::getpgid(0).to_string());
        out.put("foreground", c::tcgetpgrp(0).to_string());
        out.put("isatty", (0..3).map(|fd| c::isatty(fd).to_string()).collect::<String>());
        out.put("dumpable", c::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0).to_string());
        out.put("nnp", c::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0).to_string());
        out.put("seccomp.mode", c::prctl(PR_GET_SECCOMP, 0, 0, 0, 0).to_string());
        let mask = c::umask(0o22);
        c::umask(mask);
        out.put("umask", format!("{mask:04o}"));
    }
    out.put("tty", if fs::File::open("/dev/tty").is_ok() { "yes" } else { "no" });
    let mut name = [0_u8; 256];
    // SAFETY: the buffer is as long as said; one byte stays 0 as the end.
    unsafe { c::gethostname(name.as_mut_ptr().cast(), 255) };
    let end = name.iter().position(|&byte| byte == 0).unwrap_or(255);
    out.put("hostname", &name[..end]);
    match std::env::current_dir() {
        Ok(cwd) => out.put("cwd", cwd.as_os_str().as_bytes()),
        Err(error) => out.put("cwd.error", error.to_string()),
    }
    for resource in 0..16 {
        let mut limit = [0_u64; 2];
        // SAFETY: rlimit is two 64-bit numbers on the 64-bit targets this is built for.
        unsafe { c::getrlimit(resource, &raw mut limit) };
        out.put(&format!("rlimit.{resource}"), format!("{} {}", limit[0], limit[1]));
    }
}

/// Blocked and ignored signals, asked of the kernel: both C libraries hide some numbers.
fn signals(out: &mut Lines) {
    let mut blocked = 0_u64;
    // SAFETY: no new mask; the old one is 8 bytes, as the last argument says.
    unsafe { c::syscall(SYS.1, 0_i64, 0_i64, &raw mut blocked, 8_i64) };
    out.put("signal.blocked", format!("{blocked:016x}"));
    let mut ignored = 0_u64;
    for number in 1..=64_i64 {
        // The kernel's sigaction: handler, flags, restorer, mask.
        let mut action = [0_u64; 4];
        // SAFETY: no new action; the old one fits in 32 bytes with a mask of 8.
        unsafe { c::syscall(SYS.2, number, 0_i64, action.as_mut_ptr(), 8_i64) };
        ignored |= u64::from(action[0] == 1) << (number - 1);
    }
    out.put("signal.ignored", format!("{ignored:016x}"));
}

fn descriptors(out: &mut Lines) {
    for fd in 0..4096 {
        // SAFETY: only asks for flags of a descriptor, which may be closed.
        let (flags, status) = unsafe { (c::fcntl(fd, F_GETFD), c::fcntl(fd, F_GETFL)) };
        if flags < 0 {
            continue;
        }
        let link = fs::read_link(format!("/proc/self/fd/{fd}"));
        let link = link.map_or_else(|_| b"?".to_vec(), |path| path.as_os_str().as_bytes().into());
        let mut text = format!("{status:o} ").into_bytes();
        text.extend(link);
        out.put(&format!("fd.{fd}"), text);
    }
}

fn environment(out: &mut Lines, words: &[OsString]) {
    for (name, value) in std::env::vars_os() {
        let mut text = name.as_bytes().to_vec();
        text.push(b'=');
        text.extend(value.as_bytes());
        out.put("env", text);
    }
    for (at, word) in words.iter().enumerate() {
        out.put(&format!("argv.{at}"), word.as_bytes());
    }
}

fn from_proc(out: &mut Lines) {
    if let Ok(entries) = fs::read_dir("/proc/self/ns") {
        let mut names: Vec<OsString> = entries.flatten().map(|entry| entry.file_name()).collect();
        names.sort();
        for name in names {
            if let Ok(found) = fs::metadata(format!("/proc/self/ns/{}", name.to_string_lossy())) {
                out.put(&format!("ns.{}", name.to_string_lossy()), found.ino().to_string());
            }
        }
    }
    for map in ["uid_map", "gid_map", "setgroups"] {
        for line in fs::read_to_string(format!("/proc/self/{map}")).unwrap_or_default().lines() {
            out.put(map, line.split_whitespace().collect::<Vec<_>>().join(" "));
        }
    }
    for line in fs::read_to_string("/proc/self/status").unwrap_or_default().lines() {
        if let Some(count) = line.strip_prefix("Seccomp_filters:") {
            out.put("seccomp.filters", count.trim());
        }
    }
    for line in fs::read("/proc/self/mountinfo").unwrap_or_default().split(|&byte| byte == b'\n') {
        if let Some(mount) = mount(&String::from_utf8_lossy(line)) {
            out.put("mount", mount);
        }
    }
}

/// `POINT ROOT FLAGS PROPAGATION TYPE SOURCE SUPERFLAGS`, free of numbers that vary between runs.
fn mount(line: &str) -> Option<String> {
    let fields: Vec<&str> = line.split(' ').collect();
    let dash = fields.iter().position(|&field| field == "-")?;
    let mut tags: Vec<&str> = fields.get(6..dash)?.iter().map(|tag| tag_name(tag)).collect();
    if tags.is_empty() {
        tags.push("private");
    }
    let (point, root, flags) = (fields.get(4)?, fields.get(3)?, fields.get(5)?);
    let rest = fields.get(dash + 1..)?.join(" ");
    Some(format!("{point} {root} {flags} {} {rest}", tags.join(",")))
}

fn tag_name(tag: &str) -> &str {
    match tag.split(':').next() {
        Some("master") => "slave",
        Some(name) => name,
        None => tag,
    }
}

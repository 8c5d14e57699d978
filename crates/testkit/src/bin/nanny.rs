//! Starts one command for a test, and sees to it that nothing of it stays behind.
//!
//! `swathe-nanny CONTROL TIMEOUT_MS GRACE_MS UID -- COMMAND...`
//!
//! It becomes the reaper of the command's orphans, starts the command in a session of its own as
//! UID (and the group of that number, without other groups; 0 changes nothing), and waits. CONTROL
//! is a socket to the test. The nanny writes lines to it: `pid N`; then `exit N` or `signal N` of
//! the command, or `timeout` when it ran longer than TIMEOUT_MS; last `left N`, the number of
//! processes that still existed GRACE_MS after it had ended, which are killed, as is everything
//! when the test closes its end; and `mounts N`, the number of mounts that are there and were not
//! before, or the other way round.
//!
//! As root it first takes a mount namespace of its own with private mounts: a program under test
//! that forgets to do so must not mount on the machine, where a test's clean-up would then delete
//! through the mount.
//!
//! It uses only std, because it is compiled on its own, and declares the few C functions it calls.
#![allow(unsafe_code)]

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

mod c {
    use std::ffi::{c_char, c_int, c_uint, c_ulong};
    #[repr(C)]
    pub struct Pollfd {
        pub fd: c_int,
        pub events: i16,
        pub revents: i16,
    }
    unsafe extern "C" {
        pub fn prctl(option: c_int, a: c_ulong, b: c_ulong, c: c_ulong, d: c_ulong) -> c_int;
        pub fn fcntl(fd: c_int, cmd: c_int, ...) -> c_int;
        pub fn geteuid() -> c_uint;
        pub fn unshare(flags: c_int) -> c_int;
        pub fn mount(
            source: *const c_char,
            target: *const c_char,
            kind: *const c_char,
            flags: c_ulong,
            data: *const c_char,
        ) -> c_int;
        pub fn setsid() -> c_int;
        pub fn setgroups(size: usize, list: *const c_uint) -> c_int;
        pub fn setresgid(r: c_uint, e: c_uint, s: c_uint) -> c_int;
        pub fn setresuid(r: c_uint, e: c_uint, s: c_uint) -> c_int;
        pub fn waitpid(pid: c_int, status: *mut c_int, options: c_int) -> c_int;
        pub fn kill(pid: c_int, signal: c_int) -> c_int;
        pub fn poll(fds: *mut Pollfd, count: c_ulong, timeout: c_int) -> c_int;
        pub fn dup2(from: c_int, to: c_int) -> c_int;
        pub fn close(fd: c_int) -> c_int;
    }
}

const CLONE_NEWNS: i32 = 0x0002_0000;
const MS_REC: u64 = 0x4000;
const MS_PRIVATE: u64 = 0x4_0000;
const PR_SET_CHILD_SUBREAPER: i32 = 36;
const F_SETFD: i32 = 2;
const FD_CLOEXEC: i32 = 1;
const WNOHANG: i32 = 1;
const SIGKILL: i32 = 9;
const POLLIN: i16 = 1;

fn main() {
    let words: Vec<OsString> = std::env::args_os().skip(1).collect();
    if let Err(error) = run(&words) {
        let _ = writeln!(io::stderr(), "swathe-nanny: {error}");
        std::process::exit(99);
    }
}

fn number(words: &[OsString], at: usize) -> io::Result<i32> {
    let word = words.get(at).and_then(|word| word.to_str());
    word.and_then(|word| word.parse().ok()).ok_or_else(|| io::Error::other("bad usage"))
}

fn run(words: &[OsString]) -> io::Result<()> {
    let control = number(words, 0)?;
    let (timeout, grace) = (number(words, 1)?, number(words, 2)?);
    let uid = u32::try_from(number(words, 3)?).map_err(io::Error::other)?;
    let program = words.get(5).ok_or_else(|| io::Error::other("no command"))?;
    // SAFETY: CONTROL is ours by the usage; the other two calls take numbers only.
    let mut control = unsafe {
        c::fcntl(control, F_SETFD, FD_CLOEXEC);
        c::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
        File::from_raw_fd(control)
    };
    protect_the_machine()?;
    let before = fs::read_to_string("/proc/self/mountinfo")?;
    let mut command = Command::new(program);
    command.args(&words[6..]);
    // SAFETY: system calls only, on the numbers captured.
    unsafe {
        command.pre_exec(move || {
            c::setsid();
            let dropped = uid == 0
                || c::setgroups(0, std::ptr::null()) == 0
                    && c::setresgid(uid, uid, uid) == 0
                    && c::setresuid(uid, uid, uid) == 0;
            if dropped { Ok(()) } else { Err(io::Error::last_os_error()) }
        });
    }
    let child = command.spawn()?;
    let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
    let_go_of_descriptors(&control)?;
    writeln!(control, "pid {pid}")?;
    let ended = wait_for(pid, &control, Duration::from_millis(timeout.unsigned_abs().into()));
    writeln!(control, "{ended}")?;
    let left = wait_for_rest(&control, Duration::from_millis(grace.unsigned_abs().into()));
    writeln!(control, "left {left}")?;
    let after = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    writeln!(control, "mounts {}", difference(&before, &after))
}

/// As root, takes a mount namespace from which nothing reaches the machine's.
fn protect_the_machine() -> io::Result<()> {
    // SAFETY: C strings and null pointers, where the call takes none.
    unsafe {
        if c::geteuid() != 0 {
            return Ok(());
        }
        let none = std::ptr::null();
        let root = c"/".as_ptr();
        if c::unshare(CLONE_NEWNS) != 0
            || c::mount(none, root, none, MS_REC | MS_PRIVATE, none) != 0
        {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// How many lines are in one text only.
fn difference(one: &str, two: &str) -> usize {
    let missing = |from: &str, other: &str| {
        let known: std::collections::BTreeSet<&str> = other.lines().collect();
        from.lines().filter(|line| !known.contains(line)).count()
    };
    missing(one, two) + missing(two, one)
}

/// Keeps only the control socket, so that end-of-file reaches whoever waits for it.
fn let_go_of_descriptors(control: &File) -> io::Result<()> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    let open: Vec<i32> = fs::read_dir("/proc/self/fd")?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    for fd in open {
        // SAFETY: every descriptor but the two Files here is nobody's in this process; the one
        // that listed them is closed already, and closing it again only fails.
        unsafe {
            if fd < 3 {
                c::dup2(null.as_raw_fd(), fd);
            } else if fd != control.as_raw_fd() && fd != null.as_raw_fd() {
                c::close(fd);
            }
        }
    }
    Ok(())
}

/// Waits for `pid` to end, reaping orphans meanwhile; the line to report.
fn wait_for(pid: i32, control: &File, timeout: Duration) -> String {
    let start = Instant::now();
    loop {
        while let Some((ended, status)) = reap() {
            if ended == pid {
                let signal = status & 0x7f;
                return match signal {
                    0 => format!("exit {}", status >> 8 & 0xff),
                    _ => format!("signal {signal}"),
                };
            }
        }
        if start.elapsed() > timeout || closed(control) {
            // SAFETY: the child is not reaped yet, so the number is its own.
            unsafe { c::kill(pid, SIGKILL) };
            return "timeout".to_owned();
        }
    }
}

/// Waits for all orphans to end, then kills what is left; how many there were.
fn wait_for_rest(control: &File, grace: Duration) -> usize {
    let start = Instant::now();
    let mut left = 0;
    loop {
        while reap().is_some() {}
        let children = children();
        if children.is_empty() {
            return left;
        }
        if start.elapsed() > grace || closed(control) {
            left = left.max(children.len());
            for pid in children {
                // SAFETY: only this thread reaps, so these are our children still.
                unsafe { c::kill(pid, SIGKILL) };
            }
        }
    }
}

fn reap() -> Option<(i32, i32)> {
    let mut status = 0;
    // SAFETY: `status` is a valid place for the status.
    let pid = unsafe { c::waitpid(-1, &raw mut status, WNOHANG) };
    (pid > 0).then_some((pid, status))
}

fn children() -> Vec<i32> {
    let text = fs::read_to_string("/proc/thread-self/children").unwrap_or_default();
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// Sleeps a millisecond; true when the test has closed its end of the socket.
fn closed(control: &File) -> bool {
    let mut poll = c::Pollfd { fd: control.as_raw_fd(), events: POLLIN, revents: 0 };
    // SAFETY: one entry, as the count says.
    unsafe { c::poll(&raw mut poll, 1, 1) > 0 }
}

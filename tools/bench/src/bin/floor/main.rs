//! The floor: the least work the kernel needs for a sandbox of bwrap's shape.
//!
//! It takes the part of bwrap's options that the measured profiles use and makes as few system
//! calls as it can for them. **It is a ruler, not a sandbox**: it recovers from nothing, its pid 1
//! shares memory with the launcher, and it leaves out checks a real launcher owes its user (masks
//! in `/proc`, flags of mounts below a bind, races with a hostile host). Never run anything in it.
//!
//! It has a C `main` of its own and, in release builds, no standard library: neither Rust's run-time
//! start-up nor the pages of what it does not use are part of the floor. (A build that unwinds needs
//! the standard library for its panics.)
#![no_main]
#![cfg_attr(panic = "abort", no_std)]

mod mounts;
mod sys;
mod words;

use core::ffi::{CStr, c_char, c_int, c_void};
use core::mem::MaybeUninit;
use core::sync::atomic::Ordering;

use sys::{STATUS, clone_on, die, must, p, raw, write_file};
use words::Plan;

/// Words of 16 bytes on the stack of a process that shares memory: 128 KiB.
const STACK: usize = 8192;

/// Everything the processes of one launch share.
struct Launch {
    plan: Plan,
    argv: *const *const c_char,
    envp: *const *const c_char,
}

/// Entry point: parses, launches, returns the payload's status as a shell would show it.
///
/// # Safety
/// The C start-up code calls it with the kernel's argument vector, whose strings live as long as
/// the process.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn main(
    argc: c_int,
    argv: *const *const c_char,
    envp: *const *const c_char,
) -> c_int {
    let mut next = 1;
    let mut word = || {
        if next >= argc as usize {
            return None;
        }
        next += 1;
        // SAFETY: argv has argc NUL-terminated strings that are never changed or freed.
        Some(unsafe { CStr::from_ptr(*argv.add(next - 1)) })
    };
    let mut plan = words::parse(&mut word);
    plan.command = plan.command.wrapping_add(next);
    if plan.command >= argc as usize {
        die(c"no command", 0);
    }
    // SAFETY: `command` is below argc.
    let argv = unsafe { argv.add(plan.command) };
    let mut launch = Launch { plan, argv, envp };
    let flags = launch.plan.namespaces;
    if flags & libc::CLONE_NEWPID == 0 {
        // Nobody needs to stay beside the payload: this very process becomes it.
        must(c"unshare", libc::SYS_unshare, [flags as usize, 0, 0, 0, 0, 0]);
        set_up(&launch);
        execute(&launch);
    }
    let mut stack = [const { MaybeUninit::uninit() }; STACK];
    let arg = (&raw mut launch).cast();
    // SAFETY: stack and launch live until this function returns, which ends the process; whoever
    // still runs on them then holds its own reference to the address space.
    let pid =
        unsafe { clone_on(&mut stack, flags | libc::CLONE_VM | libc::SIGCHLD, first_process, arg) };
    if launch.plan.as_pid_1 {
        return wait_for(pid as isize);
    }
    loop {
        let seen = STATUS.load(Ordering::Acquire);
        if seen & sys::LEFT != 0 {
            let _ = raw(libc::SYS_exit_group, [(seen & 0xff) as usize, 0, 0, 0, 0, 0]);
        }
        // The bound is for a first process that died without a word.
        let bound = libc::timespec { tv_sec: 1, tv_nsec: 0 };
        let wait = libc::FUTEX_WAIT as usize;
        let a = [STATUS.as_ptr() as usize, wait, seen as usize, &raw const bound as usize, 0, 0];
        // Its word is looked for again: it may have ended right after giving it.
        let late = raw(libc::SYS_futex, a) == Err(libc::ETIMEDOUT);
        if late && gone(pid) && STATUS.load(Ordering::Acquire) == seen {
            die(c"first process", 0);
        }
    }
}

/// Whether child `pid` has ended.
fn gone(pid: usize) -> bool {
    let flags = (libc::__WALL | libc::WNOHANG) as usize;
    raw(libc::SYS_wait4, [pid, 0, flags, 0, 0, 0]) != Ok(0)
}

/// The first process of the sandbox: sets up, starts the payload, reaps.
extern "C" fn first_process(arg: *mut c_void) -> c_int {
    // SAFETY: the launcher passes its `Launch`, alive as long as this process.
    let launch = unsafe { &*arg.cast::<Launch>() };
    set_up(launch);
    if launch.plan.as_pid_1 {
        execute(launch);
    }
    let mut stack = [const { MaybeUninit::uninit() }; STACK / 4];
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: with CLONE_VFORK this process stands still until the other has left the stack.
    let payload = unsafe { clone_on(&mut stack, flags, payload_process, arg) };
    let status = wait_for(payload as isize);
    sys::leave(status as u32);
    while wait_for(-1) >= 0 {}
    status
}

extern "C" fn payload_process(arg: *mut c_void) -> c_int {
    // SAFETY: as above.
    execute(unsafe { &*arg.cast::<Launch>() })
}

/// Waits for `pid` (or any child, -1); its status as a shell shows it, or -1 when there is none.
fn wait_for(pid: isize) -> c_int {
    let mut status: c_int = 0;
    match raw(
        libc::SYS_wait4,
        [pid as usize, &raw mut status as usize, libc::__WALL as usize, 0, 0, 0],
    ) {
        Err(libc::EINTR) => wait_for(pid),
        Err(_) => -1,
        Ok(_) if libc::WIFSIGNALED(status) => 128 + libc::WTERMSIG(status),
        Ok(_) => libc::WEXITSTATUS(status),
    }
}

/// Everything between the new namespaces and exec.
fn set_up(launch: &Launch) {
    let plan = &launch.plan;
    let (uid, gid) = plan.ids;
    let first = if plan.devpts() { (0, 0) } else { (uid, gid) };
    maps(first, (uid, gid));
    if plan.namespaces & libc::CLONE_NEWNET != 0 {
        loopback();
    }
    mounts::set_up(plan);
    if plan.devpts() {
        must(c"unshare user", libc::SYS_unshare, [libc::CLONE_NEWUSER as usize, 0, 0, 0, 0, 0]);
        maps((uid, gid), (0, 0));
    }
    if plan.new_session {
        let _ = raw(libc::SYS_setsid, [0; 6]);
    }
    must(c"no_new_privs", libc::SYS_prctl, [libc::PR_SET_NO_NEW_PRIVS as usize, 1, 0, 0, 0, 0]);
    let header = [0x2008_0522u32, 0];
    let none = [0u32; 6];
    must(
        c"capset",
        libc::SYS_capset,
        [header.as_ptr() as usize, none.as_ptr() as usize, 0, 0, 0, 0],
    );
    if let Some(dir) = plan.chdir {
        must(dir, libc::SYS_chdir, [p(dir), 0, 0, 0, 0, 0]);
    }
}

/// Maps `inside` to `outside`, one id of each kind.
fn maps(inside: (u32, u32), outside: (u32, u32)) {
    let mut line = [0u8; 32];
    write_file(c"/proc/self/uid_map", map_line(&mut line, inside.0, outside.0));
    write_file(c"/proc/self/setgroups", b"deny");
    write_file(c"/proc/self/gid_map", map_line(&mut line, inside.1, outside.1));
}

fn map_line(line: &mut [u8; 32], inside: u32, outside: u32) -> &[u8] {
    let mut end = 0;
    let mut digits = [0u8; 12];
    for n in [inside, outside, 1] {
        let text = sys::decimal(&mut digits, n);
        line[end..end + text.len()].copy_from_slice(text);
        end += text.len();
        line[end] = b' ';
        end += 1;
    }
    &line[..end - 1]
}

/// Brings the loopback interface up; the kernel gives it 127.0.0.1 by itself then.
fn loopback() {
    let flags = (libc::SOCK_DGRAM | libc::SOCK_CLOEXEC) as usize;
    let socket = must(c"socket", libc::SYS_socket, [libc::AF_INET as usize, flags, 0, 0, 0, 0]);
    let mut request = [0u8; 40];
    request[..2].copy_from_slice(b"lo");
    request[16..18].copy_from_slice(&((libc::IFF_UP | libc::IFF_RUNNING) as u16).to_ne_bytes());
    must(
        c"lo",
        libc::SYS_ioctl,
        [socket, libc::SIOCSIFFLAGS as usize, request.as_ptr() as usize, 0, 0, 0],
    );
    sys::close(socket);
}

/// Loads the filter and becomes the payload.
fn execute(launch: &Launch) -> ! {
    if let Some(fd) = launch.plan.seccomp {
        filter(fd);
    }
    // SAFETY: the vector has a word at `command`, so its first pointer is a valid string.
    let path = unsafe { CStr::from_ptr(*launch.argv) };
    let r = raw(libc::SYS_execve, [p(path), launch.argv as usize, launch.envp as usize, 0, 0, 0]);
    die(path, r.err().unwrap_or(0))
}

/// Loads the program behind `fd`; apart from its caller so that only filtered launches pay for the
/// buffer.
#[inline(never)]
fn filter(fd: usize) {
    let mut program = [0u64; 1024];
    let n = must(
        c"filter",
        libc::SYS_read,
        [fd, program.as_mut_ptr() as usize, size_of_val(&program), 0, 0, 0],
    );
    sys::close(fd);
    let filter = libc::sock_fprog { len: (n / 8) as u16, filter: program.as_mut_ptr().cast() };
    must(c"seccomp", libc::SYS_seccomp, [1, 0, &raw const filter as usize, 0, 0, 0]);
}

// The standard library would have named it.
#[cfg(panic = "abort")]
#[link(name = "c")]
unsafe extern "C" {}

// A debug build links a core library that was made with unwinding and names these two.
#[cfg(panic = "abort")]
// SAFETY: the program has no other symbols of these names, and nothing in it unwinds.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    die(c"unwinding", 0)
}
#[cfg(panic = "abort")]
// SAFETY: as above.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

/// Nothing here panics knowingly; if it does, the measurement is void.
#[cfg(panic = "abort")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    die(c"panic", 0)
}

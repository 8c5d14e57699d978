//! Starting and waiting for one launch with as little of our own work as possible.
//!
//! The child is made like vfork's: it shares memory and the parent stands still until it executes,
//! so the cost does not grow with this program's size.
#![allow(unsafe_code)] // process creation, credentials and waiting have no safe form in std

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::time::Instant;

/// A command ready to be executed many times: no allocation is left to do.
pub struct Command {
    program: CString,
    files: Vec<(CString, c_int)>,
    // Keeps the strings behind `argv` and `envp` alive.
    _words: Vec<CString>,
    argv: Vec<*const c_char>,
    envp: Vec<*const c_char>,
    dir: Option<CString>,
}

/// What the child does besides executing.
#[derive(Clone, Copy, Default)]
pub struct Options {
    /// Ask to be traced by the parent.
    pub traced: bool,
    /// Become this user and group first (needs root).
    pub user: Option<u32>,
    /// Descriptors to put on 0, 1 and 2.
    pub stdio: Option<[c_int; 3]>,
}

/// The environment of a launch: fixed, so that runs compare.
const ENVIRONMENT: [&CStr; 2] = [c"PATH=/usr/bin:/bin", c"HOME=/"];

struct Start<'a> {
    command: &'a Command,
    options: Options,
}

impl Command {
    /// `program` with `words` after its name; each of `files` is opened for reading on its number
    /// at every launch, so that each launch reads it from the start.
    pub fn new(program: CString, words: Vec<CString>, files: Vec<(CString, c_int)>) -> Self {
        let mut argv = vec![program.as_ptr()];
        argv.extend(words.iter().map(|w| w.as_ptr()));
        argv.push(std::ptr::null());
        let envp = ENVIRONMENT.map(CStr::as_ptr).into_iter().chain([std::ptr::null()]).collect();
        Command { program, files, _words: words, argv, envp, dir: None }
    }

    /// The same in the directory `dir`, with `env` (`NAME=value`) instead of the usual environment.
    pub fn within(mut self, dir: CString, env: Vec<CString>) -> Self {
        self.envp = env.iter().map(|v| v.as_ptr()).chain([std::ptr::null()]).collect();
        self._words.extend(env);
        self.dir = Some(dir);
        self
    }

    /// Starts it; returns its pid.
    pub fn spawn(&self, options: Options) -> io::Result<c_int> {
        let start = Start { command: self, options };
        let mut stack = [const { MaybeUninit::<u128>::uninit() }; 2048];
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
        let arg = (&raw const start).cast_mut().cast();
        // SAFETY: with CLONE_VFORK this thread stands still until the child has executed or ended,
        // so stack and `start` outlive the child's use of them.
        let pid = unsafe { libc::clone(child, stack.as_mut_ptr_range().end.cast(), flags, arg) };
        if pid < 0 { Err(io::Error::last_os_error()) } else { Ok(pid) }
    }

    /// One launch: wall time from before the start to after the wait, in µs, and the raw status.
    pub fn time(&self) -> io::Result<(f64, c_int)> {
        let start = Instant::now();
        let pid = self.spawn(Options::default())?;
        let status = wait(pid)?;
        Ok((start.elapsed().as_nanos() as f64 / 1000.0, status))
    }
}

// SAFETY: the pointers in `argv` and `envp` lead into strings the value owns and never changes.
unsafe impl Sync for Command {}
// SAFETY: as above; moving the value does not move the strings' bytes.
unsafe impl Send for Command {}

/// Runs in the child, on memory shared with the stopped parent: only system calls.
extern "C" fn child(arg: *mut c_void) -> c_int {
    // SAFETY: `spawn` passes a `Start` that is alive until exec; every pointer below comes from it
    // and is NUL-terminated. Raw calls are used for the ids because the C library's wrappers would
    // change every thread of the process whose memory this is.
    unsafe {
        let start = &*arg.cast::<Start<'_>>();
        if let Some(fds) = start.options.stdio {
            for (to, from) in fds.iter().enumerate() {
                libc::dup2(*from, to as c_int);
            }
        }
        if let Some(dir) = &start.command.dir {
            libc::chdir(dir.as_ptr());
        }
        for (path, to) in &start.command.files {
            let fd = libc::open(path.as_ptr(), libc::O_RDONLY);
            libc::dup2(fd, *to);
            libc::close(fd);
        }
        if let Some(id) = start.options.user {
            libc::syscall(libc::SYS_setgroups, 0, std::ptr::null::<u32>());
            libc::syscall(libc::SYS_setresgid, id, id, id);
            libc::syscall(libc::SYS_setresuid, id, id, id);
        }
        if start.options.traced {
            libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0);
        }
        libc::execve(
            start.command.program.as_ptr(),
            start.command.argv.as_ptr(),
            start.command.envp.as_ptr(),
        );
        libc::_exit(127)
    }
}

/// Waits for `pid`; returns its raw status.
pub fn wait(pid: c_int) -> io::Result<c_int> {
    let mut status = 0;
    loop {
        // SAFETY: the status is a live integer; no usage is asked for.
        let r = unsafe { libc::wait4(pid, &mut status, libc::__WALL, std::ptr::null_mut()) };
        if r == pid {
            return Ok(status);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Waits for `pid` at most 10 s; kills it then, which is an error.
pub fn wait_bounded(pid: c_int) -> io::Result<c_int> {
    let start = Instant::now();
    loop {
        let mut status = 0;
        // SAFETY: as in `wait`.
        let r = unsafe { libc::waitpid(pid, &mut status, libc::__WALL | libc::WNOHANG) };
        match r {
            _ if r == pid => return Ok(status),
            0 if start.elapsed().as_secs() < 10 => {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            0 => {
                // SAFETY: our own child, not waited for yet, so the number is still its.
                unsafe { libc::kill(pid, libc::SIGKILL) };
                wait(pid)?;
                return Err(io::Error::other("did not end within 10 s"));
            }
            _ => return Err(io::Error::last_os_error()),
        }
    }
}

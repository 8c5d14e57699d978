//! The kernel calls of the tool: thin wrappers, each with its own reasoning.
//!
//! Unsafe code is confined to this file and to the probe's `raw` module. It is a test tool that forks, traces and kills, which no
//! safe interface covers. Every process that calls into it has a single thread, except the parent
//! of the workers, which only waits and reads pipes.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_int, c_void};
use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// A process id.
pub type Pid = libc::pid_t;

/// Turns a return value of -1 into the error of the call.
fn check<T: Into<i64> + Copy>(ret: T) -> io::Result<T> {
    if ret.into() == -1 { Err(io::Error::last_os_error()) } else { Ok(ret) }
}

/// Forks. Returns 0 in the child.
///
/// # Errors
/// Those of fork(2): EAGAIN, ENOMEM.
pub fn fork() -> io::Result<Pid> {
    // SAFETY: callers have one thread, so no lock can be held by a thread that the child lacks.
    check(unsafe { libc::fork() })
}

/// Ends the calling process at once, without running destructors or flushing anything.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: takes an integer and does not return.
    unsafe { libc::_exit(code) }
}

/// What a wait call reported about one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// Ended with this exit status.
    Exited(i32),
    /// Ended by this signal.
    Signaled(i32),
    /// A traced process stopped: the signal (with bit 0x80 for system calls), and the trace event.
    Stopped {
        /// Signal number of the stop.
        signal: i32,
        /// `PTRACE_EVENT_*`, or 0.
        event: i32,
    },
}

/// Waits for any child or traced process. `None`: nothing to report (only with `block` unset).
///
/// # Errors
/// ECHILD when there is nothing to wait for, EINTR when the tick timer fired.
pub fn wait_any(block: bool) -> io::Result<Option<(Pid, Waited)>> {
    let flags = libc::__WALL | if block { 0 } else { libc::WNOHANG };
    let mut status: c_int = 0;
    // SAFETY: `status` outlives the call.
    let pid = check(unsafe { libc::waitpid(-1, &raw mut status, flags) })?;
    if pid == 0 {
        return Ok(None);
    }
    let what = if libc::WIFEXITED(status) {
        Waited::Exited(libc::WEXITSTATUS(status))
    } else if libc::WIFSIGNALED(status) {
        Waited::Signaled(libc::WTERMSIG(status))
    } else {
        Waited::Stopped { signal: libc::WSTOPSIG(status), event: status >> 16 }
    };
    Ok(Some((pid, what)))
}

/// Sends a signal; a process that is gone already is not an error.
pub fn kill(pid: Pid, signal: i32) {
    // SAFETY: plain integers. A negative or zero pid would address groups: never passed here.
    debug_assert!(pid > 0);
    if pid > 0 {
        // SAFETY: as above.
        unsafe { libc::kill(pid, signal) };
    }
}

/// `prctl` with one argument.
///
/// # Errors
/// Those of prctl(2).
pub fn prctl(option: c_int, value: u64) -> io::Result<i32> {
    let zero: libc::c_ulong = 0;
    // SAFETY: only options whose arguments are integers are passed here.
    check(unsafe { libc::prctl(option, value, zero, zero, zero) })
}

/// Starts the timer that interrupts blocking waits every `period`, so that deadlines are seen.
///
/// # Errors
/// Those of sigaction(2) and setitimer(2).
pub fn start_tick(period: Duration) -> io::Result<()> {
    extern "C" fn nothing(_: c_int) {}
    // SAFETY: an all-zero sigaction is valid; the handler touches nothing.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = nothing as *const () as usize;
        check(libc::sigaction(libc::SIGALRM, &raw const action, std::ptr::null_mut()))?;
        let tv = libc::timeval {
            tv_sec: 0,
            tv_usec: i64::from(u32::try_from(period.as_micros()).unwrap_or(999_999).min(999_999)),
        };
        let timer = libc::itimerval { it_interval: tv, it_value: tv };
        check(libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut()))?;
    }
    Ok(())
}

/// Sets the disposition of `signal` back to the default.
pub fn default_signal(signal: i32) {
    // SAFETY: SIG_DFL is a valid disposition for every signal number given here.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
}

/// A mount namespace of its own for the calling process, all of whose mounts are shared, as on a
/// host run by systemd: what a launcher lets slip into its caller's namespace is seen here and
/// does not reach the host.
///
/// # Errors
/// Those of unshare(2) and mount(2); EPERM for an ordinary user.
pub fn own_shared_mounts() -> io::Result<()> {
    // SAFETY: constant strings and null pointers, as mount(2) allows for propagation changes.
    unsafe {
        check(libc::unshare(libc::CLONE_NEWNS))?;
        for kind in [libc::MS_PRIVATE, libc::MS_SHARED] {
            check(libc::mount(
                c"none".as_ptr(),
                c"/".as_ptr(),
                std::ptr::null(),
                libc::MS_REC | kind,
                std::ptr::null(),
            ))?;
        }
    }
    Ok(())
}

/// An anonymous file holding `content`, positioned at its start, closed on exec.
///
/// # Errors
/// Those of memfd_create(2) and write(2).
pub fn memfd(content: &[u8]) -> io::Result<File> {
    // SAFETY: a constant name; the returned descriptor is new and owned here.
    let mut file = unsafe {
        let fd = check(libc::memfd_create(c"fault".as_ptr(), libc::MFD_CLOEXEC))?;
        File::from_raw_fd(fd)
    };
    if !content.is_empty() {
        file.write_all(content)?;
        file.rewind()?;
    }
    Ok(file)
}

/// A pipe, closed on exec: (reading end, writing end).
///
/// # Errors
/// Those of pipe2(2): EMFILE, ENFILE.
pub fn pipe(extra_flags: c_int) -> io::Result<(OwnedFd, OwnedFd)> {
    let mut fds = [0 as RawFd; 2];
    // SAFETY: the array has room for two descriptors, which are new and owned here.
    unsafe {
        check(libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC | extra_flags))?;
        Ok((OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1])))
    }
}

/// Removes `O_NONBLOCK` from a descriptor.
///
/// # Errors
/// Those of fcntl(2).
pub fn set_blocking(fd: &OwnedFd) -> io::Result<()> {
    // SAFETY: integers only.
    unsafe {
        let flags = check(libc::fcntl(fd.as_raw_fd(), libc::F_GETFL))?;
        check(libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags & !libc::O_NONBLOCK))?;
    }
    Ok(())
}

/// Raises the soft limit of open files to the hard one, as far as that is possible.
pub fn raise_file_limit() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` outlives both calls.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        }
    }
}

/// The calling process's effective user id.
pub fn euid() -> u32 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::geteuid() }
}

/// A new session for the calling process.
pub fn setsid() {
    // SAFETY: takes nothing; fails only for a group leader, which a forked child is not.
    unsafe { libc::setsid() };
}

/// Memory shared with forked children: a counter that hands out job numbers.
#[derive(Clone, Copy)]
pub struct SharedCounter(*const std::sync::atomic::AtomicUsize);

impl SharedCounter {
    /// A counter at 0.
    ///
    /// # Errors
    /// Those of mmap(2).
    pub fn new() -> io::Result<Self> {
        // SAFETY: a fresh anonymous mapping, page aligned, never unmapped.
        let page = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                4096,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if page == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self(page.cast()))
    }

    /// The next number, starting at 0.
    pub fn next(&self) -> usize {
        // SAFETY: the mapping lives as long as the process, is aligned, and zero is a valid value.
        unsafe { &*self.0 }.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
    }
}

/// What a launched process does between fork and exec. Made before the fork: the child allocates
/// nothing.
pub struct ExecPlan {
    path: CString,
    argv: Vec<CString>,
    env: Vec<CString>,
    cwd: CString,
    /// (source, target number) of every descriptor the program gets, 0 to 2 included.
    fds: Vec<(RawFd, RawFd)>,
    user: Option<u32>,
    nofile: Option<u64>,
}

impl ExecPlan {
    /// Bundles the parts. `user` sets all user and group ids and drops supplementary groups;
    /// `nofile` sets both limits of open files, last of all.
    ///
    /// # Errors
    /// `InvalidInput` for an empty command or a word with a NUL in it.
    pub fn new(
        argv: &[Vec<u8>],
        env: &[Vec<u8>],
        cwd: &[u8],
        fds: Vec<(RawFd, RawFd)>,
        user: Option<u32>,
        nofile: Option<u64>,
    ) -> io::Result<Self> {
        let word = |w: &[u8]| CString::new(w).map_err(io::Error::from);
        let argv: Vec<CString> = argv.iter().map(|w| word(w)).collect::<io::Result<_>>()?;
        let path = argv.first().cloned().ok_or(io::ErrorKind::InvalidInput)?;
        let env = env.iter().map(|w| word(w)).collect::<io::Result<_>>()?;
        Ok(Self { path, argv, env, cwd: word(cwd)?, fds, user, nofile })
    }

    /// Becomes the program. Only returns by exiting with 126 when a step fails.
    pub fn run(&self) -> ! {
        let pointers = |list: &[CString]| -> Vec<*const libc::c_char> {
            list.iter().map(|w| w.as_ptr()).chain([std::ptr::null()]).collect()
        };
        let (argv, env) = (pointers(&self.argv), pointers(&self.env));
        // SAFETY: the child of a single-threaded process; every pointer comes from a live CString
        // and both lists end in null.
        unsafe {
            libc::signal(libc::SIGPIPE, libc::SIG_DFL);
            // Everything of ours above 2 goes at exec; sources are lifted out of the way of targets.
            libc::syscall(
                libc::SYS_close_range,
                3 as c_int,
                c_int::MAX,
                libc::CLOSE_RANGE_CLOEXEC as c_int,
            );
            let mut lifted = [(0, 0); 64];
            for (slot, &(source, target)) in lifted.iter_mut().zip(&self.fds) {
                *slot = (libc::fcntl(source, libc::F_DUPFD_CLOEXEC, 200), target);
            }
            for &(source, target) in lifted.iter().take(self.fds.len()) {
                if source < 0 || libc::dup2(source, target) < 0 {
                    libc::_exit(126);
                }
            }
            if let Some(id) = self.user
                && (libc::setgroups(0, std::ptr::null()) != 0
                    || libc::setresgid(id, id, id) != 0
                    || libc::setresuid(id, id, id) != 0)
            {
                libc::_exit(126);
            }
            if libc::chdir(self.cwd.as_ptr()) != 0 {
                libc::_exit(126);
            }
            if let Some(limit) = self.nofile {
                let limit = libc::rlimit { rlim_cur: limit, rlim_max: limit };
                libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
            }
            libc::execve(self.path.as_ptr(), argv.as_ptr(), env.as_ptr());
            libc::_exit(126)
        }
    }
}

/// Blocks until the other end of a pipe is written to or closed.
pub fn wait_byte(fd: RawFd) {
    let mut byte = 0u8;
    // SAFETY: one byte of room; the result does not matter.
    while unsafe { libc::read(fd, (&raw mut byte).cast(), 1) } < 0
        && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
    {}
}

/// Changes the owner of a path. Symbolic links are not followed.
///
/// # Errors
/// Those of lchown(2).
pub fn lchown(path: &CStr, id: u32) -> io::Result<()> {
    // SAFETY: a valid C string.
    check(unsafe { libc::lchown(path.as_ptr(), id, id) })?;
    Ok(())
}

/// One raw ptrace request.
fn ptrace(request: u32, pid: Pid, addr: usize, data: usize) -> io::Result<i64> {
    // SAFETY: callers pass either integers or pointers to buffers that outlive the call.
    check(unsafe {
        libc::syscall(libc::SYS_ptrace, i64::from(request), i64::from(pid), addr, data)
    })
}

/// Attaches to a process; all its descendants will be attached too, and all of them die with us.
///
/// # Errors
/// EPERM, ESRCH.
pub fn trace_seize(pid: Pid) -> io::Result<()> {
    let options = libc::PTRACE_O_TRACESYSGOOD
        | libc::PTRACE_O_TRACEFORK
        | libc::PTRACE_O_TRACEVFORK
        | libc::PTRACE_O_TRACECLONE
        | libc::PTRACE_O_TRACEEXEC
        | libc::PTRACE_O_EXITKILL;
    ptrace(0x4206, pid, 0, usize::try_from(options).unwrap_or(0)).map(drop)
}

/// How a stopped process goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// To the next system call stop.
    Syscall,
    /// To the next event or signal.
    Cont,
    /// Stays in its group stop.
    Listen,
}

/// Lets a stopped process go on, delivering `signal` (0 for none). A process that was killed
/// meanwhile is not an error.
pub fn trace_resume(pid: Pid, how: Resume, signal: i32) {
    let request = match how {
        Resume::Syscall => 24,
        Resume::Cont => 7,
        Resume::Listen => 0x4208,
    };
    let _ = ptrace(request, pid, 0, usize::try_from(signal).unwrap_or(0));
}

/// The pid of the new process, at a fork, vfork or clone event.
///
/// # Errors
/// ESRCH when the process was killed meanwhile.
pub fn trace_message(pid: Pid) -> io::Result<Pid> {
    let mut message: libc::c_ulong = 0;
    ptrace(0x4201, pid, 0, &raw mut message as usize)?;
    Pid::try_from(message).map_err(|_| io::ErrorKind::InvalidData.into())
}

/// Which side of a system call a process is stopped at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallStop {
    /// Before the call: its number and first two arguments.
    Entry(u64, [u64; 2]),
    /// After the call.
    Exit,
}

/// Reads the kind of a system call stop.
///
/// # Errors
/// ESRCH when the process was killed meanwhile.
pub fn trace_call(pid: Pid) -> io::Result<CallStop> {
    let mut info = [0u64; 16];
    ptrace(0x420e, pid, size_of_val(&info), info.as_mut_ptr() as usize)?;
    // First byte: 1 entry, 2 exit. Number and arguments follow after 24 bytes of header.
    match info[0] & 0xff {
        1 => Ok(CallStop::Entry(info[3], [info[4], info[5]])),
        _ => Ok(CallStop::Exit),
    }
}

/// Registers of a stopped process, changed by `edit`.
#[cfg(target_arch = "x86_64")]
fn edit_registers(pid: Pid, edit: impl Fn(&mut libc::user_regs_struct)) -> io::Result<()> {
    // SAFETY: integers only, for which zero is valid; the kernel fills the struct.
    let mut regs: libc::user_regs_struct = unsafe { std::mem::zeroed() };
    ptrace(12, pid, 0, (&raw mut regs).cast::<c_void>() as usize)?;
    edit(&mut regs);
    ptrace(13, pid, 0, (&raw mut regs).cast::<c_void>() as usize).map(drop)
}

/// At an entry stop: the call will not be executed.
///
/// # Errors
/// ESRCH when the process was killed meanwhile; ENOSYS off x86_64.
pub fn trace_suppress(pid: Pid) -> io::Result<()> {
    #[cfg(target_arch = "x86_64")]
    return edit_registers(pid, |r| r.orig_rax = u64::MAX);
    #[cfg(not(target_arch = "x86_64"))]
    return Err(io::Error::from_raw_os_error(libc::ENOSYS + 0 * pid));
}

/// At an exit stop: the call returns `-errno`.
///
/// # Errors
/// ESRCH when the process was killed meanwhile; ENOSYS off x86_64.
pub fn trace_fail(pid: Pid, errno: i32) -> io::Result<()> {
    #[cfg(target_arch = "x86_64")]
    return edit_registers(pid, |r| r.rax = (-i64::from(errno)).cast_unsigned());
    #[cfg(not(target_arch = "x86_64"))]
    return Err(io::Error::from_raw_os_error(libc::ENOSYS + 0 * pid * errno));
}

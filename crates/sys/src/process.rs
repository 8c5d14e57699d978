//! Processes: clone, exec, exit, capabilities that rustix has no call for.

use crate::{Errno, Result, check};
use alloc::vec::Vec;
use core::ffi::{CStr, c_char, c_int, c_void};
use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// Flags of clone(2) and unshare(2) for new namespaces.
pub mod ns {
    /// Mount namespace.
    pub const MOUNT: u32 = libc::CLONE_NEWNS as u32;
    /// User namespace.
    pub const USER: u32 = libc::CLONE_NEWUSER as u32;
    /// Pid namespace.
    pub const PID: u32 = libc::CLONE_NEWPID as u32;
    /// Network namespace.
    pub const NET: u32 = libc::CLONE_NEWNET as u32;
    /// IPC namespace.
    pub const IPC: u32 = libc::CLONE_NEWIPC as u32;
    /// UTS namespace.
    pub const UTS: u32 = libc::CLONE_NEWUTS as u32;
    /// Cgroup namespace.
    pub const CGROUP: u32 = libc::CLONE_NEWCGROUP as u32;
}

/// Which side of a [`fork`] this is.
#[derive(Debug)]
pub enum Fork {
    /// The parent; the child's pid as the parent sees it.
    Parent(i32),
    /// The child.
    Child,
}

/// Ends the process at once, without destructors or exit handlers.
pub fn exit(code: i32) -> ! {
    // SAFETY: _exit has no preconditions.
    unsafe { libc::_exit(code) }
}

/// clone(2) as a fork: a copy of this process, in new namespaces by `flags` ([`ns`]), its death
/// signalled to the parent by SIGCHLD. With `sibling`, the parent of the new process is the
/// caller's parent (`CLONE_PARENT`).
///
/// # Errors
/// Those of clone(2).
pub fn fork(flags: u32, sibling: bool) -> Result<Fork> {
    let parent = if sibling { libc::CLONE_PARENT as libc::c_ulong } else { 0 };
    let flags = libc::c_ulong::from(flags) | libc::SIGCHLD as libc::c_ulong | parent;
    // SAFETY: no stack and no CLONE_VM: the child runs on its own copy of this stack. All programs
    // of this project are single-threaded when they call it, so no lock can be held elsewhere.
    let pid = check(unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) })?;
    Ok(if pid == 0 { Fork::Child } else { Fork::Parent(pid as i32) })
}

/// [`fork`] into the cgroup (version 2) whose directory `cgroup` is (`CLONE_INTO_CGROUP`).
///
/// # Errors
/// Those of clone3(2): ENOSYS before Linux 5.3, E2BIG before 5.7, EACCES without the right to move a
/// process there, EBUSY for a cgroup whose controllers are delegated to those below it.
pub fn fork_into(cgroup: BorrowedFd<'_>, flags: u32, sibling: bool) -> Result<Fork> {
    /// `struct clone_args` up to the field that 5.7 brought.
    #[repr(C)]
    #[derive(Default)]
    struct CloneArgs {
        flags: u64,
        pidfd: u64,
        child_tid: u64,
        parent_tid: u64,
        exit_signal: u64,
        stack: u64,
        stack_size: u64,
        tls: u64,
        set_tid: u64,
        set_tid_size: u64,
        cgroup: u64,
    }
    const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
    let parent = if sibling { libc::CLONE_PARENT as u64 } else { 0 };
    let mut args = CloneArgs {
        flags: u64::from(flags) | CLONE_INTO_CGROUP | parent,
        // A sibling's end is signalled as that of its maker; the kernel wants no other word on it.
        exit_signal: if sibling { 0 } else { libc::SIGCHLD as u64 },
        cgroup: u64::try_from(cgroup.as_raw_fd()).map_err(|_| Errno::BADF)?,
        ..CloneArgs::default()
    };
    // SAFETY: as in `fork`; the kernel reads as many bytes of `args` as the size says.
    let pid =
        check(unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of::<CloneArgs>()) })?;
    Ok(if pid == 0 { Fork::Child } else { Fork::Parent(pid as i32) })
}

/// Runs `child` in a new process that shares this one's memory, and suspends the caller until that
/// process executes a program or ends (`CLONE_VM | CLONE_VFORK`): three times cheaper than a copy.
///
/// What `child` returns becomes its exit status. Returns the new process's pid.
///
/// # Errors
/// Those of clone(2).
pub fn vfork(child: &mut dyn FnMut() -> i32) -> Result<i32> {
    vfork_with(child, libc::SIGCHLD)
}

fn vfork_with(child: &mut dyn FnMut() -> i32, end_signal: c_int) -> Result<i32> {
    /// In the program's data: only what is used of it becomes memory.
    const STACK_SIZE: usize = 256 * 1024;
    #[repr(align(16))]
    struct Stack(core::cell::UnsafeCell<[u8; STACK_SIZE]>);
    // SAFETY: the caller is suspended while the child uses it, and there is one thread.
    unsafe impl Sync for Stack {}
    extern "C" fn trampoline(arg: *mut c_void) -> c_int {
        // SAFETY: `arg` points at the fat reference below, which outlives the call because the
        // parent is suspended until this process has gone or executed another program.
        let child = unsafe { &mut *arg.cast::<&mut dyn FnMut() -> i32>() };
        exit(child());
    }
    static STACK: Stack = Stack(core::cell::UnsafeCell::new([0; STACK_SIZE]));
    let stack = STACK.0.get().cast::<c_void>();
    let mut child = child;
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | end_signal;
    // SAFETY: the stack is aligned, grows down and is used by one child at a time; the parent is
    // suspended while the child runs (CLONE_VFORK), so the shared memory has one user.
    let pid = unsafe {
        libc::clone(
            trampoline,
            stack.byte_add(STACK_SIZE),
            flags,
            (&raw mut child).cast::<c_void>(),
        )
    };
    check(libc::c_long::from(pid)).map(|pid| pid as i32)
}

/// [`vfork`] that gives the memory back that the child has allocated. Nothing of it may be
/// reachable for the caller afterwards: the child only leaves numbers behind. [`end_before_exec`]
/// tells whether it has become another program.
///
/// # Errors
/// Those of clone(2).
pub fn vfork_and_forget(child: &mut dyn FnMut() -> i32) -> Result<i32> {
    let mark = crate::arena::mark();
    let made = vfork_with(child, 0);
    crate::arena::release(mark);
    made
}

/// Sends `signal` to the calling process after `milliseconds`, unless it has executed a program or
/// ended before (timer_create(2)).
///
/// # Errors
/// Those of timer_create(2) and timer_settime(2).
pub fn alarm_until_exec(signal: i32, milliseconds: u32) -> Result<()> {
    /// `struct sigevent`: 64 bytes, of which a plain signal uses these.
    #[repr(C, align(8))]
    struct Event {
        value: u64,
        signal: i32,
        /// `SIGEV_SIGNAL`.
        notify: i32,
        rest: [u64; 6],
    }
    let event = Event { value: 0, signal, notify: 0, rest: [0; 6] };
    let mut timer: c_int = 0;
    let (seconds, nanoseconds) = (milliseconds / 1000, milliseconds % 1000 * 1_000_000);
    // `struct itimerspec`: no interval, then the time.
    let time: [libc::c_long; 4] = [0, 0, seconds.into(), nanoseconds.into()];
    // SAFETY: the kernel reads a whole sigevent and writes one integer.
    check(unsafe {
        libc::syscall(
            libc::SYS_timer_create,
            libc::CLOCK_MONOTONIC,
            &raw const event,
            &raw mut timer,
        )
    })?;
    // SAFETY: the kernel reads two timespecs of 64-bit fields; the old time is not asked for.
    check(unsafe {
        let none = core::ptr::null_mut::<u8>();
        libc::syscall(libc::SYS_timer_settime, timer, 0, time.as_ptr(), none)
    })
    .map(drop)
}

/// Waits for the end of a child of [`vfork_and_forget`], unless it has executed a program: then
/// `None`, at once, whatever has become of it. The status is that of wait(2).
///
/// # Errors
/// None in practice; a filter may refuse the call.
pub fn end_before_exec(pid: i32) -> Result<Option<i32>> {
    let mut status: c_int = 0;
    loop {
        // Such a child sends no signal at its end until exec gives it SIGCHLD: that is what this
        // flag asks for.
        // SAFETY: writes one integer.
        match check(unsafe { libc::waitpid(pid, &raw mut status, libc::__WCLONE) }.into()) {
            Ok(_) => return Ok(Some(status)),
            Err(Errno::CHILD) => return Ok(None),
            Err(Errno::INTR) => {}
            Err(e) => return Err(e),
        }
    }
}

/// Whether the file lives in memory alone, so that reading it never waits for anybody (`F_GET_SEALS`
/// knows such files only).
pub fn is_in_memory(fd: BorrowedFd<'_>) -> bool {
    // SAFETY: asks for a number.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GET_SEALS) }.into()).is_ok()
}

/// A NULL-terminated array of pointers to strings, for execve(2). Borrows the strings.
#[derive(Debug)]
pub struct StringArray<'a> {
    pointers: Vec<*const c_char>,
    strings: core::marker::PhantomData<&'a CStr>,
}

impl<'a> StringArray<'a> {
    /// Collects the strings. Allocates.
    pub fn new(strings: impl IntoIterator<Item = &'a CStr>) -> Self {
        let mut pointers: Vec<_> = strings.into_iter().map(CStr::as_ptr).collect();
        pointers.push(core::ptr::null());
        Self { pointers, strings: core::marker::PhantomData }
    }

    /// Replaces string `index`, which must exist. Returns whether it did.
    pub fn set(&mut self, index: usize, string: &'a CStr) -> bool {
        if index + 1 >= self.pointers.len() {
            return false;
        }
        self.pointers[index] = string.as_ptr();
        true
    }
}

/// execve(2). Returns only when it failed.
pub fn execve(path: &CStr, argv: &StringArray<'_>, envp: &StringArray<'_>) -> Errno {
    // SAFETY: both arrays are NULL-terminated and borrow strings that outlive the call.
    unsafe { libc::execve(path.as_ptr(), argv.pointers.as_ptr(), envp.pointers.as_ptr()) };
    crate::last_errno()
}

/// execveat(2) of the file behind `fd` itself (`AT_EMPTY_PATH`). Returns only when it failed.
pub fn fexecve(fd: BorrowedFd<'_>, argv: &StringArray<'_>, envp: &StringArray<'_>) -> Errno {
    // SAFETY: as in `execve`; the path is the empty string.
    unsafe {
        libc::syscall(
            libc::SYS_execveat,
            fd.as_raw_fd(),
            c"".as_ptr(),
            argv.pointers.as_ptr(),
            envp.pointers.as_ptr(),
            libc::AT_EMPTY_PATH,
        )
    };
    crate::last_errno()
}

/// Takes ownership of a descriptor known by its number only, such as one named in an option.
/// The caller makes sure that nothing else in the process owns it.
///
/// # Errors
/// EBADF when no such descriptor is open.
pub fn adopt_fd(fd: RawFd) -> Result<OwnedFd> {
    borrow_fd(fd)?;
    // SAFETY: it is open (just checked), and the caller passes each number once.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Borrows a descriptor known by its number only, for as long as the process runs.
///
/// # Errors
/// EBADF when no such descriptor is open.
pub fn borrow_fd(fd: RawFd) -> Result<BorrowedFd<'static>> {
    if fd < 0 {
        return Err(Errno::BADF);
    }
    // SAFETY: F_GETFD only asks whether the number is open.
    check(unsafe { libc::fcntl(fd, libc::F_GETFD) }.into())?;
    // SAFETY: the descriptor is open; it was inherited, so no owner in this process closes it
    // behind the borrower's back but `close_fd`, whose callers do so last.
    Ok(unsafe { BorrowedFd::borrow_raw(fd) })
}

/// Closes an inherited descriptor by number; an error (already closed) is of no consequence.
pub fn close_fd(fd: RawFd) {
    // SAFETY: closing a number invalidates no memory; the callers own the inherited descriptors.
    unsafe { libc::close(fd) };
}

/// dup2(2) to a number: what was open there is closed, and the copy stays open over execve(2). The
/// caller makes sure that nothing of this process owns the number.
///
/// # Errors
/// Those of dup2(2).
pub fn dup_to(fd: BorrowedFd<'_>, number: RawFd) -> Result<()> {
    // SAFETY: integers only; by the caller's word no owner loses its descriptor.
    check(unsafe { libc::dup2(fd.as_raw_fd(), number) }.into()).map(drop)
}

/// close_range(2): closes, or with `cloexec` only marks, every descriptor in `first..=last`.
///
/// # Errors
/// ENOSYS before Linux 5.9 (EINVAL for `cloexec` before 5.11).
pub fn close_range(first: u32, last: u32, cloexec: bool) -> Result<()> {
    const CLOSE_RANGE_CLOEXEC: u32 = 4;
    let flags = if cloexec { CLOSE_RANGE_CLOEXEC } else { 0 };
    // SAFETY: as for `close_fd`.
    check(unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) }).map(drop)
}

/// PR_CAPBSET_DROP: removes a capability from the calling thread's bounding set.
///
/// # Errors
/// EINVAL: the kernel knows no capability of this number. EPERM: CAP_SETPCAP is missing.
pub fn drop_bounding(capability: u32) -> Result<()> {
    // SAFETY: prctl with integers only.
    check(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) }.into()).map(drop)
}

/// Whether the kernel knows a capability of this number (`PR_CAPBSET_READ`).
pub fn knows_capability(capability: u32) -> bool {
    // SAFETY: prctl with integers only.
    check(unsafe { libc::prctl(libc::PR_CAPBSET_READ, capability, 0, 0, 0) }.into()).is_ok()
}

/// PR_CAP_AMBIENT_RAISE.
///
/// # Errors
/// EINVAL: unknown capability or a kernel without ambient capabilities. EPERM: it is not both
/// permitted and inheritable.
pub fn raise_ambient(capability: u32) -> Result<()> {
    let (op, raise) = (libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE);
    // SAFETY: prctl with integers only.
    check(unsafe { libc::prctl(op, raise, capability, 0, 0) }.into()).map(drop)
}

/// The three capability sets of a thread, as bit masks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Caps {
    /// Effective set.
    pub effective: u64,
    /// Permitted set.
    pub permitted: u64,
    /// Inheritable set.
    pub inheritable: u64,
}

const CAP_V3: u32 = 0x2008_0522;

#[repr(C)]
struct CapHeader {
    version: u32,
    pid: i32,
}

/// capget(2) of the calling thread.
///
/// # Errors
/// Those of capget(2).
pub fn caps() -> Result<Caps> {
    let mut header = CapHeader { version: CAP_V3, pid: 0 };
    let mut data = [[0u32; 3]; 2];
    // SAFETY: version 3 reads one header and writes two data elements.
    check(unsafe { libc::syscall(libc::SYS_capget, &raw mut header, data.as_mut_ptr()) })?;
    let wide = |i: usize| u64::from(data[0][i]) | u64::from(data[1][i]) << 32;
    Ok(Caps { effective: wide(0), permitted: wide(1), inheritable: wide(2) })
}

/// capset(2) of the calling thread.
///
/// # Errors
/// EPERM: a capability that is not permitted.
pub fn set_caps(caps: Caps) -> Result<()> {
    let mut header = CapHeader { version: CAP_V3, pid: 0 };
    let half = |shift: u32| {
        [caps.effective, caps.permitted, caps.inheritable].map(|set| (set >> shift) as u32)
    };
    let data = [half(0), half(32)];
    // SAFETY: version 3 reads one header and two data elements.
    check(unsafe { libc::syscall(libc::SYS_capset, &raw mut header, data.as_ptr()) }).map(drop)
}

/// umask(2); returns the old mask.
pub fn umask(mask: u32) -> u32 {
    // SAFETY: umask has no preconditions and cannot fail.
    unsafe { libc::umask(mask) }
}

/// setuid(2) and setgid(2) of the calling (only) thread, by raw calls.
///
/// # Errors
/// Those of the calls.
pub fn set_ids(uid: Option<u32>, gid: Option<u32>) -> Result<()> {
    if let Some(uid) = uid {
        // SAFETY: integers only; the process has one thread.
        check(unsafe { libc::syscall(libc::SYS_setuid, uid) })?;
    }
    if let Some(gid) = gid {
        // SAFETY: integers only; the process has one thread.
        check(unsafe { libc::syscall(libc::SYS_setgid, gid) })?;
    }
    Ok(())
}

/// A POSIX record lock for reading on the whole file, without waiting (fcntl(2), `F_SETLK`).
///
/// # Errors
/// EACCES or EAGAIN: a conflicting lock is held.
pub fn read_lock(fd: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: a zeroed flock is valid: whole file from the start.
    let mut lock: libc::flock = unsafe { core::mem::zeroed() };
    lock.l_type = libc::F_RDLCK as _;
    lock.l_whence = libc::SEEK_SET as _;
    // SAFETY: `lock` lives over the call.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETLK, &raw const lock) }.into()).map(drop)
}

/// unshare(2) of namespaces.
///
/// # Errors
/// Those of unshare(2).
pub fn unshare(flags: rustix::thread::UnshareFlags) -> Result<()> {
    // SAFETY: rustix marks it unsafe for CLONE_FILES, with which another thread's descriptors
    // could change under a borrow; the programs of this project have one thread.
    unsafe { rustix::thread::unshare_unsafe(flags) }
}

/// Gives the calling thread a working directory, root and umask of its own (`CLONE_FS`).
///
/// # Errors
/// ENOMEM.
pub fn unshare_fs() -> Result<()> {
    // SAFETY: rustix marks it unsafe for CLONE_FILES; this flag leaves descriptors as they are.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::FS) }
}

/// The user namespace that owns the namespace behind `fd` (`NS_GET_USERNS`, ioctl_nsfs(2)).
///
/// # Errors
/// EPERM: it is neither the caller's own nor one below it. ENOTTY: no namespace.
pub fn owning_user_namespace(fd: BorrowedFd<'_>) -> Result<OwnedFd> {
    const NS_GET_USERNS: libc::c_ulong = 0xb701;
    // SAFETY: the request takes no argument and returns a new descriptor.
    let found = check(unsafe { libc::ioctl(fd.as_raw_fd(), NS_GET_USERNS as _) }.into())?;
    // SAFETY: the kernel just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(found as i32) })
}

/// getsid(2): the session of a process, 0 for the caller's own pid; the result is 0 for a session
/// that began outside this pid namespace.
///
/// # Errors
/// ESRCH: there is no such process.
pub fn session_of(pid: i32) -> Result<i32> {
    // SAFETY: integers only.
    check(unsafe { libc::getsid(pid) }.into()).map(|sid| sid as i32)
}

/// The real user and group id of the process, as the kernel passed them at its start (auxv).
pub fn start_ids() -> (u32, u32) {
    // SAFETY: getauxval only reads the auxiliary vector.
    unsafe { (libc::getauxval(libc::AT_UID) as u32, libc::getauxval(libc::AT_GID) as u32) }
}

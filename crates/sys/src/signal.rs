//! Signals: dispositions, masks, reading them from a descriptor.

use crate::{Result, check};
use rustix::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

/// Gives SIGCHLD its default action. A caller that ignores SIGCHLD would otherwise make wait(2)
/// return nothing.
///
/// # Errors
/// None in practice.
pub fn reset_sigchld() -> Result<()> {
    // SAFETY: a zeroed sigaction is SIG_DFL with an empty mask.
    let action: libc::sigaction = unsafe { core::mem::zeroed() };
    // SAFETY: the structure is valid and outlives the call; the default action runs no code.
    check(
        unsafe { libc::sigaction(libc::SIGCHLD, &raw const action, core::ptr::null_mut()) }.into(),
    )
    .map(drop)
}

/// A set of signals.
#[derive(Clone, Copy)]
pub struct SignalSet(libc::sigset_t);

impl core::fmt::Debug for SignalSet {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("SignalSet")
    }
}

impl SignalSet {
    /// The set of the given signals; numbers that the kernel does not know are left out.
    pub fn new(signals: &[i32]) -> Self {
        // SAFETY: sigemptyset initialises the whole set, sigaddset refuses bad numbers.
        unsafe {
            let mut set: libc::sigset_t = core::mem::zeroed();
            libc::sigemptyset(&raw mut set);
            for &signal in signals {
                libc::sigaddset(&raw mut set, signal);
            }
            Self(set)
        }
    }

    /// Blocks these signals in the calling thread; returns the mask that was in force.
    ///
    /// # Errors
    /// None in practice.
    pub fn block(&self) -> Result<Self> {
        let mut old = Self::new(&[]);
        // SAFETY: both sets are valid.
        let done = unsafe { libc::sigprocmask(libc::SIG_BLOCK, &raw const self.0, &raw mut old.0) };
        check(done.into())?;
        Ok(old)
    }

    /// This set without some.
    #[must_use]
    pub fn without(mut self, signals: &[i32]) -> Self {
        for &signal in signals {
            // SAFETY: the set is initialised; bad numbers are refused.
            unsafe { libc::sigdelset(&raw mut self.0, signal) };
        }
        self
    }

    /// Makes this the calling thread's signal mask.
    ///
    /// # Errors
    /// None in practice.
    pub fn set_mask(&self) -> Result<()> {
        // SAFETY: the set is valid; the old mask is not asked for.
        check(
            unsafe {
                libc::sigprocmask(libc::SIG_SETMASK, &raw const self.0, core::ptr::null_mut())
            }
            .into(),
        )
        .map(drop)
    }

    /// signalfd(2): a close-on-exec, non-blocking descriptor from which these signals are read.
    ///
    /// # Errors
    /// Those of signalfd(2).
    pub fn descriptor(&self) -> Result<OwnedFd> {
        let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
        // SAFETY: the set is valid; −1 asks for a new descriptor, which is then ours.
        unsafe {
            let fd = check(libc::signalfd(-1, &raw const self.0, flags).into())?;
            Ok(OwnedFd::from_raw_fd(fd as i32))
        }
    }
}

/// A signal that was read from a descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// Its number.
    pub signal: i32,
    /// The sender's pid, 0 when the kernel sent it (as for a terminal's keys).
    pub sender: u32,
}

/// Reads one signal; `None` when there is none waiting.
pub fn receive(fd: impl AsFd) -> Option<Received> {
    let mut info = [0u8; size_of::<libc::signalfd_siginfo>()];
    let n = rustix::io::read(fd.as_fd(), &mut info).ok()?;
    if n != info.len() {
        return None;
    }
    let word = |at: usize| u32::from_ne_bytes([info[at], info[at + 1], info[at + 2], info[at + 3]]);
    // ssi_signo is the first word, ssi_pid the fourth (signalfd(2)).
    Some(Received { signal: word(0) as i32, sender: word(12) })
}

/// Sends `signal` to the process behind the pidfd (pidfd_send_signal(2)).
///
/// # Errors
/// ESRCH: it is gone. EPERM. ENOSYS before Linux 5.1.
pub fn send_pidfd(pidfd: impl AsFd, signal: i32) -> Result<()> {
    send(pidfd.as_fd().as_raw_fd(), signal, 0)
}

/// Sends `signal` to the process group that the process behind the pidfd leads.
///
/// # Errors
/// As [`send_pidfd`]. EINVAL before Linux 6.9.
pub fn send_pidfd_group(pidfd: impl AsFd, signal: i32) -> Result<()> {
    const PIDFD_SIGNAL_PROCESS_GROUP: libc::c_uint = 4;
    send(pidfd.as_fd().as_raw_fd(), signal, PIDFD_SIGNAL_PROCESS_GROUP)
}

fn send(pidfd: libc::c_int, signal: i32, flags: libc::c_uint) -> Result<()> {
    let info = core::ptr::null::<u8>();
    // SAFETY: a null siginfo asks for the one that kill(2) would send.
    check(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd, signal, info, flags) })
        .map(drop)
}

/// kill(2).
///
/// # Errors
/// ESRCH, EPERM, EINVAL.
pub fn kill(pid: i32, signal: i32) -> Result<()> {
    // SAFETY: integers only.
    check(unsafe { libc::kill(pid, signal) }.into()).map(drop)
}

/// Ignores SIGPIPE: writes to a pipe that nobody reads then fail with EPIPE.
///
/// # Errors
/// None in practice.
pub fn ignore_sigpipe() -> Result<()> {
    // SAFETY: a zeroed sigaction is valid; SIG_IGN is a handler that runs no code.
    let mut action: libc::sigaction = unsafe { core::mem::zeroed() };
    action.sa_sigaction = libc::SIG_IGN;
    // SAFETY: as in `reset_sigchld`.
    check(
        unsafe { libc::sigaction(libc::SIGPIPE, &raw const action, core::ptr::null_mut()) }.into(),
    )
    .map(drop)
}

/// Whether SIGPIPE is ignored now.
pub fn is_sigpipe_ignored() -> bool {
    // SAFETY: a zeroed sigaction is valid to be written to; no new action is given.
    unsafe {
        let mut old: libc::sigaction = core::mem::zeroed();
        libc::sigaction(libc::SIGPIPE, core::ptr::null(), &raw mut old) == 0
            && old.sa_sigaction == libc::SIG_IGN
    }
}

/// Gives SIGPIPE its default action again, unless it was `ignored` by the caller.
///
/// # Errors
/// None in practice.
pub fn restore_sigpipe(ignored: bool) -> Result<()> {
    if ignored {
        return Ok(());
    }
    // SAFETY: as in `reset_sigchld`.
    let action: libc::sigaction = unsafe { core::mem::zeroed() };
    // SAFETY: as in `reset_sigchld`.
    check(
        unsafe { libc::sigaction(libc::SIGPIPE, &raw const action, core::ptr::null_mut()) }.into(),
    )
    .map(drop)
}

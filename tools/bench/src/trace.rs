//! Counting the system calls of a launch with ptrace.
//!
//! Counted are the calls of every process of the launch from the launcher's own exec to the
//! payload's (the successful exec is the last), and after that the launcher's until it exits. The
//! payload's own calls are never counted, nor are those of a pid 1 left waiting for it.
#![allow(unsafe_code)] // ptrace has no safe form

use std::collections::BTreeSet;
use std::io;

use libc::{c_int, c_void};

use crate::launch::{Command, Options};

const OPTIONS: c_int = libc::PTRACE_O_TRACESYSGOOD
    | libc::PTRACE_O_TRACEFORK
    | libc::PTRACE_O_TRACEVFORK
    | libc::PTRACE_O_TRACECLONE
    | libc::PTRACE_O_TRACEEXEC
    | libc::PTRACE_O_EXITKILL;
const SYSCALL_STOP: c_int = libc::SIGTRAP | 0x80;
const AT_ENTRY: u8 = 1;

/// What a traced launch showed.
pub struct Trace {
    /// Calls counted.
    pub calls: usize,
    /// Those of them before the first exec that followed the launcher's own.
    pub before: usize,
    /// Processes of the launch until the payload ran, with it; threads of the launcher are none.
    pub processes: usize,
    /// Raw wait status of the launcher.
    pub status: c_int,
}

/// Launches `command` traced and counts. The payload's exec is the `execs`-th after the launcher's
/// own: 1 for a launcher, 2 for a program that starts one.
///
/// # Errors
/// When tracing is not permitted, or a process can no longer be traced.
pub fn count(command: &Command, execs: usize) -> io::Result<Trace> {
    let launcher = command.spawn(Options { traced: true, ..Options::default() })?;
    let mut seen = BTreeSet::new();
    let mut trace = Trace { calls: 0, before: 0, processes: 0, status: 0 };
    let (mut seen_execs, mut payload_runs, mut threads) = (0, false, 0);
    loop {
        let mut status = 0;
        // SAFETY: the status is a live integer.
        let pid = unsafe { libc::waitpid(-1, &mut status, libc::__WALL) };
        if pid < 0 {
            let error = io::Error::last_os_error();
            match error.raw_os_error() {
                Some(libc::EINTR) => continue,
                Some(libc::ECHILD) => return Ok(trace),
                _ => return Err(error),
            }
        }
        if !libc::WIFSTOPPED(status) {
            if pid == launcher {
                trace.status = status;
            }
            continue;
        }
        let signal = libc::WSTOPSIG(status);
        let event = status >> 16;
        let mut request = libc::PTRACE_SYSCALL;
        let mut deliver = 0;
        if seen.insert(pid) {
            // A first stop: the launcher after its exec, others before their first instruction.
            if pid == launcher {
                set_options(pid)?;
            } else if std::path::Path::new(&format!("/proc/{launcher}/task/{pid}")).exists() {
                threads += 1;
            }
        } else if event == libc::PTRACE_EVENT_EXEC {
            seen_execs += 1;
            if seen_execs == 1 {
                trace.before = trace.calls;
            }
            if seen_execs == execs {
                trace.processes = seen.len() - threads;
                payload_runs = true;
                request = libc::PTRACE_DETACH;
            }
        } else if signal == SYSCALL_STOP {
            let counted = !payload_runs || pid == launcher;
            trace.calls += usize::from(counted && at_entry(pid));
        } else if event == 0 {
            deliver = signal;
        }
        // SAFETY: the process is stopped and ours to resume; it may have been killed meanwhile,
        // which the next wait reports.
        unsafe { libc::ptrace(request, pid, std::ptr::null_mut::<c_void>(), deliver as usize) };
    }
}

fn set_options(pid: c_int) -> io::Result<()> {
    // SAFETY: a traced, stopped child; the options are an integer.
    let r = unsafe { libc::ptrace(libc::PTRACE_SETOPTIONS, pid, 0usize, OPTIONS as usize) };
    if r < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Whether the stop is at a call's entry rather than its exit.
fn at_entry(pid: c_int) -> bool {
    let mut info = [0u64; 16];
    let size = size_of_val(&info);
    // SAFETY: the kernel writes at most `size` bytes into the live array.
    let n = unsafe { libc::ptrace(libc::PTRACE_GET_SYSCALL_INFO, pid, size, info.as_mut_ptr()) };
    n > 0 && info[0].to_ne_bytes()[0] == AT_ENTRY
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CString;

    fn calls(script: &str) -> usize {
        let words = ["-c", script].map(|w| CString::new(w).unwrap_or_default());
        let shell = Command::new(c"/bin/sh".to_owned(), words.to_vec(), Vec::new());
        let trace = count(&shell, 1).unwrap_or_else(|e| panic!("{script}: {e}"));
        assert_eq!(trace.status, 0, "{script}");
        trace.calls
    }

    /// What the payload does is not counted, whether the launcher becomes it or waits for it; what
    /// the launcher does is, before the payload starts and while and after it runs. One test,
    /// because counting waits for every child of this process.
    #[test]
    fn counts_the_launcher_only() {
        let plain = calls("exec /bin/true >/dev/null");
        assert!(plain > 0);
        assert_eq!(plain, calls("exec /bin/ls / >/dev/null"));
        assert!(calls("cd /; exec /bin/true >/dev/null") > plain);
        let waited = calls("/bin/true >/dev/null; cd /; cd /");
        assert!(waited > plain, "{waited} {plain}");
        let words =
            ["-c", "/bin/sh -c '/bin/true; :'; :"].map(|w| CString::new(w).unwrap_or_default());
        let shell = Command::new(c"/bin/sh".to_owned(), words.to_vec(), Vec::new());
        let trace = count(&shell, 2).unwrap_or_else(|e| panic!("{e}"));
        assert!(trace.before > 0 && trace.before < trace.calls);
        assert_eq!(trace.processes, 3);
        assert!(calls("/bin/ls / >/dev/null; :").abs_diff(calls("/bin/true >/dev/null; :")) <= 2);
    }
}

//! What a run gets as its standard streams, and the signals that are meant for it.

use crate::ask::pause::Pause;
use crate::out::Failure;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FileType, OFlags};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, waitid};
use std::fs::File;
use std::io::{ErrorKind, PipeReader, PipeWriter};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};
use swathe::Child;
use swathe_sys::signal::{self, SignalSet};

/// Signals that are passed on to the engine, which passes them on to the program.
const PASSED: [Signal; 7] = [
    Signal::HUP,
    Signal::INT,
    Signal::QUIT,
    Signal::USR1,
    Signal::USR2,
    Signal::ALARM,
    Signal::TERM,
];

/// Refuses streams through which the program would get out: a directory's descriptor leads to the
/// directories above it.
pub fn check() -> Result<(), Failure> {
    let streams = [
        ("input", std::io::stdin().as_fd().try_clone_to_owned()),
        ("output", std::io::stdout().as_fd().try_clone_to_owned()),
        ("error", std::io::stderr().as_fd().try_clone_to_owned()),
    ];
    for (name, stream) in streams {
        if stream.is_ok_and(|stream| kind(stream.as_fd()) == Some(FileType::Directory)) {
            return Err(Failure::new(format!(
                "standard {name} is a directory, which would lead the program to all others"
            ))
            .hint("give it a file: </dev/null"));
        }
    }
    Ok(())
}

fn kind(fd: BorrowedFd<'_>) -> Option<FileType> {
    Some(FileType::from_raw_mode(rustix::fs::fstat(fd).ok()?.st_mode))
}

/// A standard input whose contents come through a pipe.
#[derive(Debug)]
pub struct Relay {
    from: File,
    to: PipeWriter,
}

/// The standard input, where it cannot be passed on as it is: whoever has a file open for reading
/// and may write to it can open it again for that, by `/proc/self/fd`.
pub fn input() -> Result<Option<(PipeReader, Relay)>, Failure> {
    let stdin = std::io::stdin();
    if kind(stdin.as_fd()) != Some(FileType::RegularFile) {
        return Ok(None);
    }
    let reads = rustix::fs::fcntl_getfl(&stdin).is_ok_and(|f| f & OFlags::RWMODE == OFlags::RDONLY);
    let again = File::options().append(true).open("/proc/self/fd/0");
    // Without procfs nobody can tell: as if it could be written to.
    let closed = again.is_err_and(|e| {
        matches!(e.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem)
    });
    if !reads || closed {
        return Ok(None);
    }
    let cannot = |e| Failure::new(format!("cannot relay standard input: {e}"));
    let from = File::from(stdin.as_fd().try_clone_to_owned().map_err(cannot)?);
    let (read, to) = std::io::pipe().map_err(cannot)?;
    Ok(Some((read, Relay { from, to })))
}

impl Relay {
    /// Begins. It ends with the input, with the program's end of the pipe, or with this process.
    pub fn start(mut self) -> Result<(), Failure> {
        std::thread::Builder::new()
            .name("input".to_owned())
            .spawn(move || drop(std::io::copy(&mut self.from, &mut self.to)))
            .map(drop)
            .map_err(|e| Failure::new(format!("cannot relay standard input: {e}")))
    }
}

/// Stops when the engine has stopped, as it does with its program: a shell waits for this process.
/// Who continues the job continues the engine, which is of the same process group.
fn stop_with(child: &Child, pause: &Pause) {
    pause.unless_held(|| stop_if_stopped(child));
}

fn stop_if_stopped(child: &Child) {
    let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) else { return };
    let options = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG;
    if matches!(waitid(WaitId::Pid(pid), options), Ok(Some(status)) if status.stopped()) {
        // It cannot fail: nobody may not stop himself.
        let _ = rustix::process::kill_process(rustix::process::getpid(), Signal::STOP);
    }
}

/// Signals that are held for the program.
#[derive(Debug)]
pub struct Signals {
    held: Option<OwnedFd>,
    pause: Arc<Pause>,
}

impl Signals {
    /// From here on they no longer end this process, nor reach threads that are made later. The
    /// engine, which inherits that they are blocked, unblocks them for the program.
    pub fn hold() -> Self {
        let held = [&PASSED.map(Signal::as_raw)[..], &[Signal::CHILD.as_raw()]].concat();
        let set = SignalSet::new(&held);
        // Without a descriptor they keep their effect, which ends the sandbox, too.
        let descriptor = set.descriptor().ok();
        Self { held: descriptor.filter(|_| set.block().is_ok()), pause: Arc::default() }
    }

    /// By which the engine can be stopped without this process stopping with it.
    pub fn pause(&self) -> Arc<Pause> {
        Arc::clone(&self.pause)
    }

    /// Passes them on until the sandbox ends; false when it has not ended in this time.
    pub fn pass_on(&self, child: &Child, time: Option<Duration>) -> bool {
        let start = Instant::now();
        let (Some(signals), Some(end)) = (&self.held, child.pidfd()) else { return true };
        loop {
            let rest = time.map(|time| time.saturating_sub(start.elapsed()));
            let timeout = rest.map(|rest| Timespec {
                tv_sec: i64::try_from(rest.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: rest.subsec_nanos().into(),
            });
            let mut fds =
                [PollFd::new(signals, PollFlags::IN), PollFd::from_borrowed_fd(end, PollFlags::IN)];
            match poll(&mut fds, timeout.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(_) => return true,
            }
            let ended = !fds[1].revents().is_empty();
            if !ended {
                stop_with(child, &self.pause);
            }
            while let Some(received) = signal::receive(signals) {
                // The kernel sends the terminal's to the whole group, in which the engine is.
                let sent = PASSED.into_iter().find(|s| s.as_raw() == received.signal);
                if let Some(sent) = sent.filter(|_| received.sender != 0) {
                    // It may have ended meanwhile.
                    drop(child.signal(sent));
                }
            }
            if ended {
                return true;
            }
            if rest.is_some_and(|rest| rest.is_zero()) {
                return false;
            }
        }
    }
}

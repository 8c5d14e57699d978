//! The launcher's life while the sandbox runs.

use crate::documents;
use crate::failure::{At, Failure, Message, Result, Stage};
use crate::launch::Outcome;
use crate::prepare::Prepared;
use crate::relay::Signals;
use crate::wait::{Channel, Heard, close_all, ready, status_code};
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use swathe_sys::rustix::event::PollFlags;
use swathe_sys::rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use swathe_sys::rustix::process::{Pid, PidfdFlags, WaitOptions, getppid, pidfd_open, waitpid};
use swathe_sys::{Errno, process, rustix, signal};

/// The process that started the launcher, watched for `--die-with-parent`.
#[derive(Debug)]
pub struct Caller(Option<OwnedFd>);

impl Caller {
    /// Nobody.
    pub fn none() -> Self {
        Self(None)
    }

    /// The parent process as a whole: unlike the death signal, which the end of the parent's
    /// *thread* sends, a pidfd tells of the process.
    pub fn find() -> Result<Self> {
        let Some(parent) = getppid() else {
            // The parent is outside this pid namespace: only the signal is left.
            crate::child::die_with_parent(true)?;
            return Ok(Self(None));
        };
        let gone = || Failure::found(Stage::CallerGone);
        if is_orphan(parent.as_raw_nonzero().get()) {
            return Err(gone());
        }
        let fd = match pidfd_open(parent, PidfdFlags::empty()) {
            Ok(fd) => fd,
            Err(Errno::NOSYS) => {
                // Linux before 5.3.
                crate::child::die_with_parent(true)?;
                return if getppid() == Some(parent) { Ok(Self(None)) } else { Err(gone()) };
            }
            Err(Errno::SRCH) => return Err(gone()),
            Err(e) => return Err(e).at(Stage::CallerGone),
        };
        // A stopped launcher cannot look at a pidfd. Where the caller has one thread, its end is the
        // caller's: the death signal is right too. (A directory has two links and one for each of
        // the directories in it.)
        let tasks = format!("/proc/{}/task", parent.as_raw_nonzero());
        if is_own_procfs() && rustix::fs::stat(tasks).is_ok_and(|s| s.st_nlink == 3) {
            crate::child::die_with_parent(true)?;
        }
        if getppid() != Some(parent) {
            return Err(gone());
        }
        Ok(Self(Some(fd)))
    }

    /// The process, if there is one to watch.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.0.as_ref().map(AsFd::as_fd)
    }
}

/// Whether `parent` is not the process that started this one, but init or a subreaper that has
/// taken its place before it could be asked for.
///
/// A real parent shares our session, unless one of the two has made a new one after the fork. If we
/// have, nothing can be told. If the parent has, its session is younger than ours; that of a reaper
/// is older.
fn is_orphan(parent: i32) -> bool {
    let (Ok(ours), Ok(theirs)) = (process::session_of(0), process::session_of(parent)) else {
        // The parent has gone in this moment.
        return true;
    };
    let own = rustix::process::getpid().as_raw_nonzero().get();
    if ours == theirs || ours == own || ours == 0 {
        return false;
    }
    // An init that has never made a session: who has that of nobody did not start a process that has
    // one, and did not make it.
    if theirs == 0 {
        return true;
    }
    if !is_own_procfs() {
        return parent == 1;
    }
    match (start_time(ours), start_time(theirs)) {
        (Some(ours), Some(theirs)) => theirs < ours,
        // The leader of our session has gone: the caller, most likely.
        (None, _) => true,
        (Some(_), None) => parent == 1,
    }
}

/// Whether /proc is that of this pid namespace, so that pids mean the same there.
fn is_own_procfs() -> bool {
    let own = rustix::process::getpid().as_raw_nonzero().get();
    let link = rustix::fs::readlinkat(rustix::fs::CWD, c"/proc/self", Vec::new());
    link.is_ok_and(|text| text.to_bytes() == format!("{own}").as_bytes())
}

/// When a process has started, in clock ticks (field 22 of /proc/PID/stat).
fn start_time(pid: i32) -> Option<u64> {
    let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC;
    let path = format!("/proc/{pid}/stat");
    let file = rustix::fs::open(path, flags, rustix::fs::Mode::empty()).ok()?;
    let mut text = [0; 1024];
    let n = rustix::io::read(&file, &mut text).ok()?;
    // The second field, in parentheses, may hold anything.
    let rest = &text[..n][text[..n].iter().rposition(|&b| b == b')')? + 2..];
    let field = rest.split(|&b| b == b' ').nth(19)?;
    core::str::from_utf8(field).ok()?.parse().ok()
}

/// A launched sandbox.
#[derive(Debug)]
pub struct Sandbox<'p> {
    /// What was launched.
    pub prepared: &'p Prepared<'p>,
    /// Its first process.
    pub pid: i32,
    /// The way to it.
    pub channel: Channel,
    /// Whose end ends it.
    pub caller: Caller,
    /// Signals to pass on.
    pub signals: Option<Signals>,
}

/// How the sandbox's first process gets on.
pub enum Life {
    /// The command has ended with this status.
    Exited(i32),
    /// A step failed.
    Failed(Failure),
    /// The first process has ended without a word on the command; `ready`: it was the command or
    /// about to become it.
    Ended { ready: bool },
    /// The caller has gone.
    Abandoned,
}

impl Sandbox<'_> {
    /// Writes the documents, releases the sandbox and waits for it.
    pub fn run(self, proc_fd: OwnedFd, go: bool, cgroup: bool) -> Outcome {
        let outcome = match self.release(proc_fd, go, cgroup) {
            Ok(()) => self.watch(),
            Err(failure) => {
                self.kill();
                Outcome::failed(failure)
            }
        };
        if let (Outcome::Exited(code), Some(fd)) =
            (outcome, self.prepared.plan.lifecycle.json_status_fd)
        {
            let text = format!("{{ \"exit-code\": {code} }}\n");
            // The command has run: its status counts, also when nobody reads about it. But that it
            // could not be said is said.
            if let Err(failure) = documents::write(fd, &text, None) {
                return Outcome::Unsaid { code, failure };
            }
        }
        outcome
    }

    fn release(&self, proc_fd: OwnedFd, go: bool, cgroup: bool) -> Result<()> {
        let life = &self.prepared.plan.lifecycle;
        if go {
            signal::ignore_sigpipe().at(Stage::WriteInfo)?;
            self.documents(cgroup)?;
            if let Some(fd) = life.userns_block_fd {
                self.wait_for_maps(fd)?;
            }
            crate::maps::write_ranges(self.prepared, self.pid)?;
            crate::launch::no_new_privs()?;
            self.channel.go()?;
        }
        drop(proc_fd);
        let mut keep = vec![self.channel.as_raw_fd()];
        keep.extend(self.caller.fd().map(|fd| fd.as_raw_fd()));
        keep.extend(self.signals.as_ref().map(|s| s.fd().as_raw_fd()));
        let terminal = self.prepared.pty.iter().flat_map(|pty| pty.fds());
        keep.extend(terminal.map(|fd| fd.as_raw_fd()));
        keep.extend(life.json_status_fd);
        keep.extend(self.prepared.plan.json_errors_fd);
        close_all(&keep, false).at(Stage::CloseFds)
    }

    fn documents(&self, cgroup: bool) -> Result<()> {
        let life = &self.prepared.plan.lifecycle;
        if life.info_fd.is_none() && life.json_status_fd.is_none() {
            return Ok(());
        }
        let ids = documents::named(self.channel.hear_ids()?, cgroup);
        if let Some(fd) = life.info_fd {
            let text = documents::info(self.pid, &ids);
            documents::write(fd, &text, self.caller.fd()).map_err(|f| f.about(0))?;
            process::close_fd(fd);
        }
        if let Some(fd) = life.json_status_fd {
            let text = documents::status(self.pid, &ids);
            documents::write(fd, &text, self.caller.fd()).map_err(|f| f.about(1))?;
        }
        Ok(())
    }

    /// Waits until somebody has mapped the ids: a byte, or the end of file.
    fn wait_for_maps(&self, number: i32) -> Result<()> {
        let fd = process::borrow_fd(number).at(Stage::Block)?;
        let signals = self.signals.as_ref().map(|s| s.fd().as_fd());
        while self.caller.fd().is_some() || signals.is_some() {
            let waits = [Some(fd), self.caller.fd(), signals];
            let [mapped, gone, signal] = ready(waits, [PollFlags::IN; 3]);
            if gone {
                return Err(Failure::found(Stage::CallerGone));
            }
            if let Some(signals) = self.signals.as_ref().filter(|_| signal) {
                signals.end_if_asked();
            }
            if mapped {
                break;
            }
        }
        let mut byte = [0];
        while rustix::io::read(fd, &mut byte) == Err(Errno::INTR) {}
        process::close_fd(number);
        Ok(())
    }

    fn watch(&self) -> Outcome {
        let life = match &self.signals {
            Some(signals) => crate::relay::run(self, signals),
            None => self.life(),
        };
        match life {
            Life::Exited(code) => {
                if self.prepared.plan.lifecycle.serve.is_some() {
                    // The end of the command is that of the sandbox here: nothing is left after it.
                    self.reap();
                }
                Outcome::Exited(code)
            }
            Life::Failed(failure) => {
                self.kill();
                Outcome::failed(failure)
            }
            Life::Ended { ready } => match (self.reap(), ready) {
                (Some(code), true) => Outcome::Exited(code),
                // A first process that only reaps says how the command ended before it ends: it
                // was killed, and the sandbox with it.
                (Some(code), false)
                    if self.reaped() && code != 1 && !self.prepared.is_watched() =>
                {
                    Outcome::Exited(code)
                }
                _ => Outcome::failed(Failure::found(Stage::Died)),
            },
            Life::Abandoned => {
                self.kill();
                Outcome::failed(Failure::found(Stage::CallerGone))
            }
        }
    }

    fn reaped(&self) -> bool {
        self.prepared.shape == crate::prepare::Shape::Reaped
    }

    fn life(&self) -> Life {
        let mut is_ready = false;
        loop {
            if self.caller.fd().is_some() {
                let fds = [Some(self.channel.as_fd()), self.caller.fd()];
                let [heard, gone] = ready(fds, [PollFlags::IN; 2]);
                if gone && !heard {
                    return Life::Abandoned;
                }
                if !heard {
                    continue;
                }
            }
            match self.channel.hear() {
                Heard::Message(Message::Ready) => is_ready = true,
                Heard::Message(Message::Stopped) => {}
                Heard::Message(Message::Exited(code)) => return Life::Exited(code),
                Heard::Message(Message::Failed(failure)) => return Life::Failed(failure),
                Heard::End if is_ready && self.caller.fd().is_some() => {
                    return self.watch_command();
                }
                Heard::End => return Life::Ended { ready: is_ready },
            }
        }
    }

    /// The command has been started in place of the first process, which closed the channel.
    fn watch_command(&self) -> Life {
        let pid = Pid::from_raw(self.pid);
        let Some(Ok(fd)) = pid.map(|pid| pidfd_open(pid, PidfdFlags::empty())) else {
            return Life::Ended { ready: true };
        };
        loop {
            let [ended, gone] = ready([Some(fd.as_fd()), self.caller.fd()], [PollFlags::IN; 2]);
            if ended {
                return Life::Ended { ready: true };
            }
            if gone {
                return Life::Abandoned;
            }
        }
    }

    /// Waits for the first process; its status as an exit code.
    fn reap(&self) -> Option<i32> {
        let pid = Pid::from_raw(self.pid)?;
        loop {
            match waitpid(Some(pid), WaitOptions::empty()) {
                Err(Errno::INTR) => {}
                Ok(Some((_, status))) => return Some(status_code(status)),
                _ => return None,
            }
        }
    }

    /// Ends the sandbox and waits for its first process: nothing is left when this returns, where
    /// it has a pid namespace.
    fn kill(&self) {
        const SIGKILL: i32 = 9;
        let _ = signal::kill(self.pid, SIGKILL);
        self.reap();
    }
}

/// The pid of the one child that this process has, without waiting for its end.
pub fn only_child() -> core::result::Result<i32, Errno> {
    let path = format!("/proc/self/task/{}/children", rustix::thread::gettid().as_raw_nonzero());
    let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC;
    let file = rustix::fs::open(path, flags, rustix::fs::Mode::empty())?;
    let mut text = [0; 256];
    let n = rustix::io::read(&file, &mut text)?;
    let word = text[..n].split(|&b| b == b' ').rfind(|w| !w.is_empty()).ok_or(Errno::CHILD)?;
    core::str::from_utf8(word).ok().and_then(|w| w.trim().parse().ok()).ok_or(Errno::CHILD)
}

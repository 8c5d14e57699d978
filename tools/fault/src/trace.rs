//! The tracer: follows every process of one launch from system call to system call.
//!
//! A process is named by its place in the tree: `L` is the launcher, `L.1` its first child, `L.1.1`
//! that one's first. Its calls are numbered from 0, the first call after the launcher's own exec,
//! up to the exec of the payload.

use std::collections::HashMap;
use std::io;
use std::time::{Duration, Instant};

use crate::launch::Running;
use crate::sys::{self, CallStop, Pid, Resume, Waited};

/// How long processes may outlive the launcher before they count as survivors.
pub const GRACE: Duration = Duration::from_millis(1500);

/// A system call stop that is about to be passed.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// The process.
    pub role: &'a str,
    /// Number of the call within the process.
    pub index: u32,
    /// Number of the system call.
    pub nr: u64,
}

/// What to do at a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Execute it and stop again at the next.
    Pass,
    /// Execute it; this process need not stop at its later calls.
    PassAll,
    /// Do not execute it, return this error, and do not stop again anywhere.
    Fail(i32),
    /// Hold the process here for this long while the others go on, then kill the victim and let
    /// the rest run.
    Kill(Victim, Duration),
    /// Hold the process here for this long while the others go on, then let it run.
    Stall(Duration),
}

/// Whom to kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Victim {
    /// The launcher.
    Launcher,
    /// The process that spawned the launcher.
    Caller,
    /// The launcher's first child.
    Init,
    /// The process that makes the call.
    Own,
}

/// How one traced launch went.
#[derive(Debug, Default)]
pub struct Traced {
    /// How the launcher ended; `None` when it had to be killed at the time limit.
    pub launcher: Option<Waited>,
    /// Roles of processes that outlived it, or the caller, by [`GRACE`].
    pub survivors: Vec<String>,
    /// The time limit was reached.
    pub hang: bool,
    /// The wanted call was reached and the fault or kill took place.
    pub hit: bool,
    /// The payload was executed.
    pub payload: bool,
}

/// When the tracer may stop waiting for the launcher.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The whole launch, from its start.
    pub total: Duration,
    /// With a payload that sleeps: this long after its exec the launch counts as settled, and
    /// `at_rest` decides.
    pub rest: Option<(Duration, AtRest)>,
    /// The payload may outlive the launcher: once it was executed there are no survivors.
    pub payload_may_stay: bool,
    /// This long after its start a launch that has not ended is killed, as if by its caller.
    pub idle: Option<(Duration, Victim)>,
}

/// What happens to a settled launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtRest {
    /// It has served its purpose: everything is ended.
    End,
    /// The victim is killed, and everybody else must go too.
    Kill(Victim),
}

#[derive(Debug)]
struct Proc {
    role: String,
    children: u32,
    calls: u32,
    /// It need not stop at calls.
    quiet: bool,
    /// It is, or descends from, the payload.
    payload: bool,
    failing: Option<i32>,
}

impl Proc {
    fn new(role: String) -> Self {
        Self { role, children: 0, calls: 0, quiet: false, payload: false, failing: None }
    }
}

/// One traced launch under way.
struct Session<'a, F> {
    running: &'a Running,
    hook: F,
    procs: HashMap<Pid, Proc>,
    /// New processes that stopped before their parent reported them.
    early: HashMap<Pid, Instant>,
    /// A process held at a call, until when, and whom to kill then.
    held: Option<(Pid, Option<Victim>, Instant)>,
    /// Nobody stops at calls any more.
    draining: bool,
    started: bool,
    exec_at: Option<Instant>,
    /// When the launcher ended or the victim was killed: survivors are counted from here.
    ended_at: Option<Instant>,
    result: Traced,
}

/// Runs one launch under the tracer. `hook` is asked at every call before the payload's exec.
///
/// On return no process of the launch is left.
///
/// # Errors
/// Those of attaching to the launcher and of waiting.
pub fn trace<F>(running: &mut Running, limits: Limits, hook: F) -> io::Result<Traced>
where
    F: FnMut(Call<'_>) -> Action,
{
    let launcher = running.launcher;
    sys::trace_seize(launcher)?;
    running.go()?;
    let mut session = Session {
        running,
        hook,
        procs: HashMap::from([(launcher, Proc::new("L".into()))]),
        early: HashMap::new(),
        held: None,
        draining: false,
        started: false,
        exec_at: None,
        ended_at: None,
        result: Traced::default(),
    };
    let start = Instant::now();
    loop {
        match sys::wait_any(true) {
            Ok(Some((pid, what))) => session.event(pid, what),
            Ok(None) => {}
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) if e.raw_os_error() == Some(libc::ECHILD) => break,
            Err(e) => return Err(e),
        }
        session.deadlines(start, limits);
    }
    Ok(session.result)
}

impl<F> Session<'_, F>
where
    F: FnMut(Call<'_>) -> Action,
{
    fn victim(&self, victim: Victim, at: Option<Pid>) -> Option<Pid> {
        match victim {
            Victim::Own => at,
            Victim::Launcher => Some(self.running.launcher),
            Victim::Caller => self.running.caller,
            Victim::Init => self.procs.iter().find(|(_, p)| p.role == "L.1").map(|(pid, _)| *pid),
        }
    }

    /// Kills `victim`, from when on nobody may live for long. `at`: the process that made the call.
    fn strike(&mut self, victim: Victim, at: Option<Pid>) {
        self.draining = true;
        let alive = self.victim(victim, at);
        if let Some(pid) = alive {
            sys::kill(pid, libc::SIGKILL);
            self.result.hit = true;
            self.ended_at.get_or_insert_with(Instant::now);
        }
    }

    /// Ends every process that is left.
    fn kill_all(&mut self) {
        self.draining = true;
        for pid in self.procs.keys().chain(self.early.keys()).copied().chain(self.running.caller) {
            sys::kill(pid, libc::SIGKILL);
        }
    }

    fn deadlines(&mut self, start: Instant, limits: Limits) {
        let now = Instant::now();
        // A parent that was killed at its fork event can no longer name its child.
        let late = |at: &Instant| now >= *at + Duration::from_millis(50);
        let unnamed: Vec<Pid> =
            self.early.iter().filter(|(_, at)| late(at)).map(|(pid, _)| *pid).collect();
        for pid in unnamed {
            self.early.remove(&pid);
            self.procs.insert(pid, Proc::new("L.?".into()));
            self.resume(pid, 0);
        }
        if let Some((pid, victim, at)) = self.held
            && now >= at
        {
            self.held = None;
            if let Some(victim) = victim {
                self.strike(victim, Some(pid));
            }
            sys::trace_resume(pid, Resume::Cont, 0);
        }
        if let (Some((rest, then)), Some(at), None) = (limits.rest, self.exec_at, self.ended_at)
            && now >= at + rest
        {
            match then {
                AtRest::End => {
                    self.ended_at = Some(now);
                    self.kill_all();
                }
                AtRest::Kill(victim) => self.strike(victim, None),
            }
            if self.ended_at.is_none() {
                self.kill_all();
            }
        }
        if let (Some((idle, victim)), None) = (limits.idle, self.ended_at)
            && now >= start + idle
        {
            self.strike(victim, None);
        }
        if limits.payload_may_stay
            && self.result.payload
            && self.ended_at.is_some_and(|at| now >= at + Duration::from_millis(20))
        {
            self.kill_all();
        } else if self.ended_at.is_some_and(|at| now >= at + GRACE) {
            if self.result.survivors.is_empty() {
                self.result.survivors = self.procs.values().map(|p| p.role.clone()).collect();
                self.result.survivors.sort();
            }
            self.kill_all();
        } else if now >= start + limits.total {
            self.result.hang |= self.ended_at.is_none();
            self.kill_all();
        }
    }

    fn event(&mut self, pid: Pid, what: Waited) {
        match what {
            Waited::Exited(_) | Waited::Signaled(_) => {
                self.procs.remove(&pid);
                self.early.remove(&pid);
                if pid == self.running.launcher && self.result.launcher.is_none() {
                    if !self.result.hang {
                        self.result.launcher = Some(what);
                    }
                    self.ended_at.get_or_insert_with(Instant::now);
                }
                if self.held.is_some_and(|(held, _, _)| held == pid) {
                    self.held = None;
                }
            }
            Waited::Stopped { signal, event } => self.stopped(pid, signal, event),
        }
    }

    fn stopped(&mut self, pid: Pid, signal: i32, event: i32) {
        if !self.procs.contains_key(&pid) {
            self.early.entry(pid).or_insert_with(Instant::now);
            return;
        }
        match event {
            libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK | libc::PTRACE_EVENT_CLONE => {
                if let Ok(child) = sys::trace_message(pid) {
                    self.adopt(pid, child);
                }
                self.resume(pid, 0);
            }
            libc::PTRACE_EVENT_EXEC => {
                if self.started {
                    self.result.payload = true;
                    self.exec_at.get_or_insert_with(Instant::now);
                    if let Some(proc) = self.procs.get_mut(&pid) {
                        (proc.quiet, proc.payload) = (true, true);
                    }
                }
                self.started = true;
                self.resume(pid, 0);
            }
            libc::PTRACE_EVENT_STOP => {
                let group = [libc::SIGSTOP, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];
                if group.contains(&signal) {
                    sys::trace_resume(pid, Resume::Listen, 0);
                } else {
                    self.resume(pid, 0);
                }
            }
            0 if signal == libc::SIGTRAP | 0x80 => self.call(pid),
            0 => self.resume(pid, signal),
            _ => self.resume(pid, 0),
        }
    }

    /// Names a new process after its parent and lets it go when it has stopped already.
    fn adopt(&mut self, parent: Pid, child: Pid) {
        let Some(proc) = self.procs.get_mut(&parent) else { return };
        proc.children += 1;
        let role = format!("{}.{}", proc.role, proc.children);
        let mut new = Proc::new(role);
        (new.quiet, new.payload) = (proc.payload, proc.payload);
        self.procs.insert(child, new);
        if self.early.remove(&child).is_some() {
            self.resume(child, 0);
        }
    }

    fn resume(&self, pid: Pid, signal: i32) {
        let quiet = self.draining || self.procs.get(&pid).is_none_or(|p| p.quiet);
        let failing = self.procs.get(&pid).is_some_and(|p| p.failing.is_some());
        let how = if quiet && !failing { Resume::Cont } else { Resume::Syscall };
        sys::trace_resume(pid, how, signal);
    }

    fn call(&mut self, pid: Pid) {
        let Some(proc) = self.procs.get_mut(&pid) else { return };
        match sys::trace_call(pid) {
            Ok(CallStop::Entry(nr, _)) if !proc.quiet && !self.draining => {
                let index = proc.calls;
                proc.calls += 1;
                match (self.hook)(Call { role: &proc.role, index, nr }) {
                    Action::Pass => {}
                    Action::PassAll => proc.quiet = true,
                    Action::Fail(errno) => {
                        // Linux frees the descriptor whatever close(2) returns.
                        let executed = i64::try_from(nr) == Ok(libc::SYS_close);
                        if executed || sys::trace_suppress(pid).is_ok() {
                            proc.failing = Some(errno);
                            self.result.hit = true;
                        }
                        self.draining = true;
                    }
                    Action::Stall(hold) => {
                        self.held = Some((pid, None, Instant::now() + hold));
                        self.result.hit = true;
                        self.draining = true;
                        return;
                    }
                    Action::Kill(victim, hold) => {
                        if !hold.is_zero() {
                            self.held = Some((pid, Some(victim), Instant::now() + hold));
                            self.draining = true;
                            return;
                        }
                        self.strike(victim, Some(pid));
                    }
                }
            }
            Ok(CallStop::Exit) => {
                if let Some(errno) = proc.failing.take() {
                    let _ = sys::trace_fail(pid, errno);
                }
            }
            _ => {}
        }
        self.resume(pid, 0);
    }
}

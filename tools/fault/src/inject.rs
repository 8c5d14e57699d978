//! Modes `inject` and `stall`: each system call of a launch fails once, or takes very long.

use std::cell::RefCell;
use std::io;
use std::time::Duration;

use crate::args::{ERRNOS, Options};
use crate::launch::{Payload, Setting};
use crate::report::Report;
use crate::survey::{self, Point, Sandbox, Survey};
use crate::trace::{self, Action, Limits};
use crate::verdict::{Verdict, judge_fault};
use crate::{pool, rng};

/// What is done to a call.
#[derive(Clone, Copy)]
enum Kind {
    /// It fails with this error.
    Errno(&'static str, i32),
    /// It takes [`STALL`], while the other processes of the launch go on.
    Stall,
}

/// One fault to be made.
struct Fault<'a> {
    sandbox: &'a Sandbox,
    survey: &'a Survey,
    point: &'a Point,
    kind: Kind,
}

impl Fault<'_> {
    /// The fault in words.
    fn label(&self) -> String {
        let name = match self.kind {
            Kind::Errno(name, _) => name,
            Kind::Stall => "stalled",
        };
        format!("{} {} {name}", self.sandbox.label(), self.point)
    }
}

/// Longer than the probe waits for pid 1: what pid 1 has not done by then, the payload sees missing.
const STALL: Duration = Duration::from_millis(400);

/// Calls that make a process.
const FORKS: [i64; 4] = [libc::SYS_clone, libc::SYS_clone3, libc::SYS_fork, libc::SYS_vfork];

/// Calls that cannot fail, or (brk) do not return an error: one tells nothing about the launcher.
/// arch_prctl is the C library's first call; without it there is no thread pointer and no program.
const NEVER_FAIL: [i64; 16] = [
    libc::SYS_brk,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_rt_sigreturn,
    libc::SYS_arch_prctl,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_gettid,
    libc::SYS_getpgrp,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_umask,
    libc::SYS_set_tid_address,
    libc::SYS_sched_yield,
];

/// Runs mode `inject`.
///
/// # Errors
/// Those of making files and workers.
pub fn run(options: &Options, setting: &Setting, report: &mut Report) -> io::Result<()> {
    run_mode(options, setting, report, "inject")
}

/// Runs mode `stall`: does the payload start before the processes beside it are ready?
///
/// # Errors
/// Those of making files and workers.
pub fn run_stall(options: &Options, setting: &Setting, report: &mut Report) -> io::Result<()> {
    run_mode(options, setting, report, "stall")
}

fn run_mode(
    options: &Options,
    setting: &Setting,
    report: &mut Report,
    mode: &str,
) -> io::Result<()> {
    let scratch = survey::Scratch::new()?;
    let sandboxes = survey::sandboxes(options, &scratch)?;
    let before = crate::profile::snapshot(scratch.path())?;
    let surveys = survey::survey(options, setting, &sandboxes, &[], None)?;
    let mut faults = Vec::new();
    for (sandbox, survey) in sandboxes.iter().zip(&surveys) {
        match survey {
            Ok(survey) => {
                let calls = survey.points.len();
                report.line(&format!("{}: {calls} calls ({})", sandbox.label(), survey.counts()));
                if mode == "stall" {
                    faults.extend(stalls_of(options, sandbox, survey));
                } else {
                    faults.extend(faults_of(options, sandbox, survey));
                }
            }
            Err(error) => report.broken(&sandbox.label(), error),
        }
    }
    let total = faults.len();
    if let Some(n) = options.sample {
        faults = rng::sample(faults, n, options.seed, Fault::label);
    }
    report.line(&format!("{} of {total} faults, seed {}", faults.len(), options.seed));
    let mounts = RefCell::new(None);
    let work = |job: usize| -> Vec<u8> {
        let Some(fault) = faults.get(job) else { return Vec::new() };
        let mut mounts = mounts.borrow_mut();
        if mounts.is_none() {
            survey::mount_leak(&mut mounts);
        }
        let verdict = inject(options, setting, fault).unwrap_or_else(|e| Verdict::broken(&e));
        survey::mount_leak(&mut mounts).unwrap_or(verdict).encode()
    };
    pool::run(faults.len(), options.jobs, &work, |job, bytes| {
        if let Some(fault) = faults.get(job) {
            let verdict = Verdict::decode(&bytes);
            let errno = match fault.kind {
                Kind::Errno(name, _) => format!(" --errno {name}"),
                Kind::Stall => String::new(),
            };
            let point = format!("{}:{}", fault.point.role, fault.point.index);
            let again = format!("fault {mode} {} --at {point}{errno}", fault.sandbox.selector());
            report.verdict(&fault.label(), &again, &verdict);
        }
    })?;
    report.unchanged(&before, &crate::profile::snapshot(scratch.path())?);
    Ok(())
}

/// All faults of one sandbox that the options allow.
fn faults_of<'a>(
    options: &'a Options,
    sandbox: &'a Sandbox,
    survey: &'a Survey,
) -> impl Iterator<Item = Fault<'a>> {
    survey
        .points
        .iter()
        .filter(|p| !NEVER_FAIL.contains(&i64::try_from(p.nr).unwrap_or(-1)))
        .filter(|p| options.wants(&p.role, p.index))
        .flat_map(move |point| {
            ERRNOS
                .iter()
                .filter(|(name, _)| options.errno.as_deref().is_none_or(|e| e == *name))
                .map(move |&(name, errno)| Fault {
                    sandbox,
                    survey,
                    point,
                    kind: Kind::Errno(name, errno),
                })
        })
}

/// All stalls of one sandbox that the options allow: calls that follow a process's first fork.
fn stalls_of<'a>(options: &Options, sandbox: &'a Sandbox, survey: &'a Survey) -> Vec<Fault<'a>> {
    let forks = |p: &&Point| FORKS.contains(&i64::try_from(p.nr).unwrap_or(-1));
    let first = |role: &str| {
        let of_role = survey.points.iter().filter(|p| p.role == role);
        of_role.filter(forks).map(|p| p.index).min()
    };
    let points = survey.points.iter().filter(|p| options.wants(&p.role, p.index));
    points
        .filter(|p| first(&p.role).is_some_and(|f| p.index > f))
        .map(|point| Fault { sandbox, survey, point, kind: Kind::Stall })
        .collect()
}

/// Makes one launch with one fault and judges it.
fn inject(options: &Options, setting: &Setting, fault: &Fault<'_>) -> io::Result<Verdict> {
    let mut running = fault.sandbox.launch(setting, Payload::Probe).spawn()?;
    let limits = Limits { total: options.timeout, rest: None, payload_may_stay: false, idle: None };
    let point = fault.point;
    let traced = trace::trace(&mut running, limits, |call| {
        if call.role != point.role {
            Action::PassAll
        } else if call.index == point.index {
            match fault.kind {
                Kind::Errno(_, errno) => Action::Fail(errno),
                Kind::Stall => Action::Stall(STALL),
            }
        } else {
            Action::Pass
        }
    })?;
    Ok(judge_fault(&fault.survey.expected, &traced, &running.output()?))
}

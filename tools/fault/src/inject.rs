//! Mode `inject`: each system call of a launch fails once, with each error.

use std::cell::RefCell;
use std::io;

use crate::args::{ERRNOS, Options};
use crate::launch::{Payload, Setting};
use crate::report::Report;
use crate::survey::{self, Point, Sandbox, Survey};
use crate::trace::{self, Action, Limits};
use crate::verdict::{Verdict, judge_fault};
use crate::{pool, rng};

/// One fault to be made.
struct Fault<'a> {
    sandbox: &'a Sandbox,
    survey: &'a Survey,
    point: &'a Point,
    errno: (&'static str, i32),
}

/// Calls that cannot fail: an error from them tells nothing about the launcher.
const NEVER_FAIL: [i64; 14] = [
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_rt_sigreturn,
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

/// Runs the mode.
///
/// # Errors
/// Those of making files and workers.
pub fn run(options: &Options, setting: &Setting, report: &mut Report) -> io::Result<()> {
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
                faults.extend(faults_of(options, sandbox, survey));
            }
            Err(error) => report.broken(&sandbox.label(), error),
        }
    }
    let total = faults.len();
    if let Some(n) = options.sample {
        faults = rng::sample(faults, n, options.seed);
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
            let (name, _) = fault.errno;
            let label = format!("{} {} {name}", fault.sandbox.label(), fault.point);
            let point = format!("{}:{}", fault.point.role, fault.point.index);
            let again =
                format!("fault inject {} --at {point} --errno {name}", fault.sandbox.selector());
            report.verdict(&label, &again, &verdict);
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
                .map(move |&errno| Fault { sandbox, survey, point, errno })
        })
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
            Action::Fail(fault.errno.1)
        } else {
            Action::Pass
        }
    })?;
    Ok(judge_fault(&fault.survey.expected, &traced, &running.output()?))
}

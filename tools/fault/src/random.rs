//! Modes `random-kill` and `thread`: undisturbed speed, and the death of the launcher, of its caller,
//! or of the caller's thread.

use std::io;
use std::time::{Duration, Instant};

use crate::args::Options;
use crate::launch::{Payload, Setting, Spawner};
use crate::report::Report;
use crate::survey::{self, Sandbox};
use crate::sys;
use crate::trace::GRACE;
use crate::untraced;
use crate::verdict::{Class, Verdict};
use crate::{pool, rng};

/// The latest moment of a kill, from the launcher's exec on, in microseconds.
const SPAN: usize = 6000;

/// Runs the mode.
///
/// # Errors
/// Those of making files and workers.
pub fn run(options: &Options, setting: &Setting, report: &mut Report) -> io::Result<()> {
    let scratch = survey::Scratch::new()?;
    let sandboxes = survey::sandboxes(options, &scratch)?;
    let victims: Vec<&str> =
        ["launcher", "caller"].into_iter().filter(|v| options.wants_victim(v)).collect();
    let kinds: Vec<(&Sandbox, &str)> =
        sandboxes.iter().flat_map(|s| victims.iter().map(move |v| (s, *v))).collect();
    report.line(&format!("{} random kills, seed {}", options.kills, options.seed));
    let mut rng = rng::Rng::new(options.seed);
    let jobs: Vec<(&Sandbox, &str, u64)> = kinds
        .iter()
        .cycle()
        .take(if kinds.is_empty() { 0 } else { options.kills })
        .map(|(sandbox, victim)| {
            let after = options.after.unwrap_or_else(|| rng.below(SPAN) as u64);
            (*sandbox, *victim, after)
        })
        .collect();
    let work = |job: usize| -> Vec<u8> {
        let Some(&(sandbox, victim, after)) = jobs.get(job) else { return Vec::new() };
        let after = Duration::from_micros(after);
        strike(setting, sandbox, victim, after).unwrap_or_else(|e| Verdict::broken(&e)).encode()
    };
    let mut survivors = std::collections::BTreeMap::new();
    pool::run(jobs.len(), options.jobs, &work, |job, bytes| {
        if let Some((sandbox, victim, after)) = jobs.get(job) {
            let verdict = Verdict::decode(&bytes);
            let count: &mut (u64, u64) = survivors.entry(*victim).or_default();
            count.0 += u64::from(verdict.class.bad());
            count.1 += 1;
            let label = format!("{} kill {victim} after {after} µs", sandbox.label());
            let again = format!(
                "fault random-kill 100 {} --victim {victim} --after {after}",
                sandbox.selector()
            );
            report.verdict(&label, &again, &verdict);
        }
    })?;
    for (victim, (bad, all)) in survivors {
        report.line(&format!("{victim} killed: survivors in {bad} of {all}"));
    }
    Ok(())
}

/// One launch, one kill.
fn strike(
    setting: &Setting,
    sandbox: &Sandbox,
    victim: &str,
    after: Duration,
) -> io::Result<Verdict> {
    let mut launch = sandbox.launch(setting, Payload::Sleep);
    launch.extra = &["--die-with-parent"];
    launch.by = Spawner::Caller;
    let mut running = launch.spawn()?;
    running.go()?;
    std::thread::sleep(after);
    let target = if victim == "launcher" { Some(running.launcher) } else { running.caller };
    if let Some(pid) = target {
        sys::kill(pid, libc::SIGKILL);
    }
    let ended = untraced::wait_all(GRACE)?;
    let ran = if running.payload_ran() { "payload ran" } else { "payload never ran" };
    if ended.survivors.is_empty() {
        Ok(Verdict::new(Class::Gone, ran))
    } else {
        let who = ended.survivors.join("\n");
        Ok(Verdict::new(Class::Orphan, format!("{ran}; left:\n{who}")))
    }
}

/// How long after the fork the spawning thread ends, in milliseconds: before the launcher looks at
/// its parent, and when the payload runs.
const THREAD_ENDS: [u64; 3] = [0, 2, 100];

/// Runs mode `thread`: with `--die-with-parent` the sandbox belongs to the process that spawned it,
/// not to the thread.
///
/// # Errors
/// Those of making files and workers.
pub fn run_thread(options: &Options, setting: &Setting, report: &mut Report) -> io::Result<()> {
    let scratch = survey::Scratch::new()?;
    let sandboxes = survey::sandboxes(options, &scratch)?;
    let jobs: Vec<(&Sandbox, u64)> =
        sandboxes.iter().flat_map(|s| THREAD_ENDS.map(|ms| (s, ms))).collect();
    let work = |job: usize| -> Vec<u8> {
        let Some(&(sandbox, ms)) = jobs.get(job) else { return Vec::new() };
        let verdict = thread_ends(options, setting, sandbox, Duration::from_millis(ms));
        verdict.unwrap_or_else(|e| Verdict::broken(&e)).encode()
    };
    pool::run(jobs.len(), options.jobs, &work, |job, bytes| {
        if let Some((sandbox, ms)) = jobs.get(job) {
            let label = format!("{} thread ends after {ms} ms", sandbox.label());
            let again = format!("fault thread {}", sandbox.selector());
            report.verdict(&label, &again, &Verdict::decode(&bytes));
        }
    })
}

/// One launch by a thread that ends; afterwards its process is killed.
fn thread_ends(
    options: &Options,
    setting: &Setting,
    sandbox: &Sandbox,
    delay: Duration,
) -> io::Result<Verdict> {
    let mut launch = sandbox.launch(setting, Payload::Sleep);
    launch.extra = &["--die-with-parent"];
    launch.by = Spawner::Thread(delay);
    let mut running = launch.spawn()?;
    running.go()?;
    let start = Instant::now();
    while !running.payload_ran() && start.elapsed() < options.timeout.min(GRACE * 2) {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(delay + Duration::from_millis(100));
    // The caller ends only when its launcher has ended.
    let caller = running.caller.unwrap_or(0);
    let alive = running.payload_ran()
        && untraced::descendants()
            .iter()
            .any(|(pid, about)| *pid == caller && !about.contains("[Z]"));
    sys::kill(caller, libc::SIGKILL);
    let ended = untraced::wait_all(GRACE)?;
    if !ended.survivors.is_empty() {
        return Ok(Verdict::new(Class::Orphan, ended.survivors.join("\n")));
    }
    let class = if alive { Class::Gone } else { Class::Lost };
    Ok(Verdict::new(class, running.output()?.stderr))
}

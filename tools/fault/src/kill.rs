//! Mode `kill`: the launcher, its first child, or its caller is killed at each system call.

use std::io;
use std::time::Duration;

use crate::args::Options;
use crate::launch::{Payload, Setting, Spawner};
use crate::report::Report;
use crate::survey::{self, Point, Sandbox, Survey};
use crate::sys::Waited;
use crate::trace::{self, Action, AtRest, Limits, Traced, Victim};
use crate::verdict::{Class, Verdict};
use crate::{pool, rng};

/// How long after the payload's exec a launch counts as settled.
const REST: Duration = Duration::from_millis(40);

/// The option whose promise is tested.
const BOUND: [&str; 1] = ["--die-with-parent"];

/// One kill to be made.
struct Kill<'a> {
    sandbox: &'a Sandbox,
    /// `None`: when the payload runs and everything else waits.
    point: Option<&'a Point>,
    victim: Victim,
    /// Whether the sandbox is to die with its caller. Without it the payload may outlive the
    /// launcher, but nobody may be left waiting for it.
    bound: bool,
}

impl Kill<'_> {
    /// The kill in words.
    fn label(&self) -> String {
        let place = self.point.map_or("at rest".to_owned(), Point::to_string);
        let unbound = if self.bound { "" } else { ", without --die-with-parent" };
        format!("{} kill {} at {place}{unbound}", self.sandbox.label(), name(self.victim))
    }
}

/// The name of a victim on the command line.
fn name(victim: Victim) -> &'static str {
    match victim {
        Victim::Launcher => "launcher",
        Victim::Caller => "caller",
        Victim::Init => "init",
        Victim::Own => "self",
    }
}

/// Runs the mode.
///
/// # Errors
/// Those of making files and workers.
pub fn run(options: &Options, setting: &Setting, report: &mut Report) -> io::Result<()> {
    let scratch = survey::Scratch::new()?;
    let sandboxes = survey::sandboxes(options, &scratch)?;
    let surveys = survey::survey(options, setting, &sandboxes, &BOUND, Some(REST))?;
    let mut kills = Vec::new();
    for (sandbox, survey) in sandboxes.iter().zip(&surveys) {
        match survey {
            Ok(survey) => {
                let calls = survey.points.len();
                report.line(&format!("{}: {calls} calls ({})", sandbox.label(), survey.counts()));
                kills.extend(kills_of(options, sandbox, survey));
            }
            Err(error) => report.broken(&sandbox.label(), error),
        }
    }
    let total = kills.len();
    if let Some(n) = options.sample {
        kills = rng::sample(kills, n, options.seed, Kill::label);
    }
    report.line(&format!("{} of {total} kills, seed {}", kills.len(), options.seed));
    let work = |job: usize| -> Vec<u8> {
        let Some(kill) = kills.get(job) else { return Vec::new() };
        strike(options, setting, kill).unwrap_or_else(|e| Verdict::broken(&e)).encode()
    };
    pool::run(kills.len(), options.jobs, &work, |job, bytes| {
        if let Some(kill) = kills.get(job) {
            let victim = name(kill.victim);
            let at = kill
                .point
                .map_or(" --at rest:0".to_owned(), |p| format!(" --at {}:{}", p.role, p.index));
            let again = format!("fault kill {}{at} --victim {victim}", kill.sandbox.selector());
            report.verdict(&kill.label(), &again, &Verdict::decode(&bytes));
        }
    })
}

/// All kills of one sandbox that the options allow.
fn kills_of<'a>(options: &Options, sandbox: &'a Sandbox, survey: &'a Survey) -> Vec<Kill<'a>> {
    let has_init = survey.points.iter().any(|p| p.role == "L.1");
    let mut places: Vec<Option<&Point>> =
        survey.points.iter().filter(|p| options.wants(&p.role, p.index)).map(Some).collect();
    if options.wants("rest", 0) {
        places.push(None);
    }
    let mut kills = Vec::new();
    for point in places {
        let role = point.map_or("", |p| p.role.as_str());
        for victim in [Victim::Launcher, Victim::Caller, Victim::Init, Victim::Own] {
            let makes_sense = match victim {
                Victim::Launcher | Victim::Caller => true,
                Victim::Init => has_init && role != "L",
                Victim::Own => !["", "L", "L.1"].contains(&role),
            };
            if makes_sense && options.wants_victim(name(victim)) {
                kills.push(Kill { sandbox, point, victim, bound: true });
            }
        }
        if point.is_some() && has_init && options.wants_victim("launcher") {
            kills.push(Kill { sandbox, point, victim: Victim::Launcher, bound: false });
        }
    }
    kills
}

/// Makes one launch with one kill and judges it.
fn strike(options: &Options, setting: &Setting, kill: &Kill<'_>) -> io::Result<Verdict> {
    let mut launch = kill.sandbox.launch(setting, Payload::Sleep);
    launch.by = Spawner::Caller;
    if kill.bound {
        launch.extra = &BOUND;
    }
    let mut running = launch.spawn()?;
    let then = if kill.point.is_some() { AtRest::End } else { AtRest::Kill(kill.victim) };
    let limits = Limits {
        total: options.timeout,
        rest: Some((REST, then)),
        payload_may_stay: !kill.bound,
        idle: None,
    };
    let traced = trace::trace(&mut running, limits, |call| match kill.point {
        Some(point) if call.role == point.role && call.index == point.index => {
            Action::Kill(kill.victim, options.hold)
        }
        Some(point) if call.role == point.role => Action::Pass,
        _ => Action::PassAll,
    })?;
    Ok(judge(kill, &traced, &running.output()?.stderr))
}

/// Judges what was left after a kill.
fn judge(kill: &Kill<'_>, traced: &Traced, stderr: &str) -> Verdict {
    let message = stderr.lines().next().unwrap_or_default();
    if !traced.survivors.is_empty() {
        let who = traced.survivors.join(" ");
        let ran = if traced.payload { "payload was executed" } else { "payload never ran" };
        return Verdict::new(Class::Orphan, format!("left: {who}; {ran}; message: {message}"));
    }
    if traced.hang {
        return Verdict::new(Class::Hang, message);
    }
    if !traced.hit {
        return Verdict::new(Class::Missed, message);
    }
    if matches!(kill.victim, Victim::Init | Victim::Own)
        && traced.launcher == Some(Waited::Exited(0))
    {
        return Verdict::new(Class::FalseSuccess, message);
    }
    Verdict::new(Class::Gone, message)
}

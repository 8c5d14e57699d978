//! Mode `status-fd`: descriptors that cannot take the documents, and too few descriptors.

use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

use crate::args::Options;
use crate::launch::{Output, Payload, Setting};
use crate::pool;
use crate::probe;
use crate::profile::{Feed, Profile};
use crate::report::Report;
use crate::survey::{self, Sandbox};
use crate::sys::Waited;
use crate::trace::{self, Action, Limits, Traced, Victim};
use crate::verdict::{Class, Expected, Verdict, judge_fault};

/// The descriptor that the options under test name.
const FD: RawFd = 30;

/// The largest limit of open files to be tried; the smallest is 0.
const MOST_FILES: u64 = 32;

/// One way to disturb a launch.
#[derive(Clone, Debug)]
enum Disturbance {
    /// The option names a descriptor with this behind it; `None`: nothing.
    Document(&'static str, Option<Feed>),
    /// A limit of open files.
    Files(u64),
}

/// Runs the mode.
///
/// # Errors
/// Those of making files and workers.
pub fn run(options: &Options, setting: &Setting, report: &mut Report) -> io::Result<()> {
    let scratch = survey::Scratch::new()?;
    let sandboxes = survey::sandboxes(options, &scratch)?;
    let surveys = survey::survey(options, setting, &sandboxes, &[], None)?;
    let mut cases = Vec::new();
    for (sandbox, survey) in sandboxes.iter().zip(&surveys) {
        match survey {
            Ok(survey) => {
                cases.extend(disturbances().into_iter().map(|d| (sandbox, &survey.expected, d)));
            }
            Err(error) => report.broken(&sandbox.label(), error),
        }
    }
    let work = |job: usize| -> Vec<u8> {
        let Some((sandbox, expected, disturbance)) = cases.get(job) else { return Vec::new() };
        let verdict = match disturbance {
            Disturbance::Document(option, feed) => {
                document(options, setting, sandbox, option, feed.as_ref())
            }
            Disturbance::Files(limit) => files(options, setting, sandbox, expected, *limit),
        };
        verdict.unwrap_or_else(|e| Verdict::broken(&e)).encode()
    };
    pool::run(cases.len(), options.jobs, &work, |job, bytes| {
        if let Some((sandbox, _, disturbance)) = cases.get(job) {
            let what = match disturbance {
                Disturbance::Document(option, feed) => {
                    format!(
                        "{option} {}",
                        feed.as_ref().map_or("closed".into(), |f| format!("{f:?}"))
                    )
                }
                Disturbance::Files(limit) => format!("{limit} open files"),
            };
            let label = format!("{} {what}", sandbox.label());
            let again = format!("fault status-fd {}", sandbox.selector());
            report.verdict(&label, &again, &Verdict::decode(&bytes));
        }
    })
}

/// All disturbances.
fn disturbances() -> Vec<Disturbance> {
    let feeds = [
        None,
        Some(Feed::Null),
        Some(Feed::Full),
        Some(Feed::BrokenPipe),
        Some(Feed::FullPipe),
        Some(Feed::BlockingPipe),
    ];
    let options = ["--info-fd", "--json-status-fd"];
    let documents =
        options.into_iter().flat_map(|o| feeds.clone().map(|f| Disturbance::Document(o, f)));
    documents.chain((0..=MOST_FILES).map(Disturbance::Files)).collect()
}

/// A document that cannot be written: the launcher must end with status 1 and say so.
fn document(
    options: &Options,
    setting: &Setting,
    sandbox: &Sandbox,
    option: &str,
    feed: Option<&Feed>,
) -> io::Result<Verdict> {
    let mut profile: Profile = sandbox.profile.clone();
    profile.words.extend([option.as_bytes().to_vec(), FD.to_string().into_bytes()]);
    profile.fds.extend(feed.map(|f| (FD, f.clone())));
    let sandbox = Sandbox { profile, user: sandbox.user, id: sandbox.id };
    let mut running = sandbox.launch(setting, Payload::Probe).spawn()?;
    // A launcher that blocks on its caller's pipe does as it should; it is killed while it does.
    let blocks = feed == Some(&Feed::BlockingPipe);
    let rest = Duration::from_millis(300);
    let limits = Limits {
        total: options.timeout,
        rest: None,
        payload_may_stay: false,
        idle: blocks.then_some((rest, Victim::Launcher)),
    };
    let traced = trace::trace(&mut running, limits, |_| Action::PassAll)?;
    Ok(judge_document(&traced, &running.output()?, blocks))
}

/// Judges a launch whose document could not be written.
fn judge_document(traced: &Traced, output: &Output, blocks: bool) -> Verdict {
    let message = output.stderr.lines().next().unwrap_or_default();
    let ran = output.stdout.contains(probe::BEGIN);
    if traced.hang {
        return Verdict::new(Class::Hang, message);
    }
    if !traced.survivors.is_empty() {
        let who = traced.survivors.join(" ");
        return Verdict::new(Class::Orphan, format!("left: {who}; message: {message}"));
    }
    if ran {
        return Verdict::new(Class::Document, format!("the payload ran; message: {message}"));
    }
    match traced.launcher {
        Some(Waited::Signaled(libc::SIGKILL)) if blocks => Verdict::new(Class::Gone, ""),
        Some(Waited::Exited(1)) if message.is_empty() => Verdict::new(Class::Silent, "status 1"),
        Some(Waited::Exited(1)) => Verdict::new(Class::Refused, message),
        Some(Waited::Exited(0)) => Verdict::new(Class::FalseSuccess, message),
        Some(Waited::Signaled(signal)) => Verdict::new(Class::Crash, format!("signal {signal}")),
        other => Verdict::new(Class::Silent, format!("{other:?}; message: {message}")),
    }
}

/// A launch with few descriptors: the same sandbox, or none.
fn files(
    options: &Options,
    setting: &Setting,
    sandbox: &Sandbox,
    expected: &Expected,
    limit: u64,
) -> io::Result<Verdict> {
    let mut launch = sandbox.launch(setting, Payload::Probe);
    launch.nofile = Some(limit);
    let mut running = launch.spawn()?;
    let limits = Limits { total: options.timeout, rest: None, payload_may_stay: false, idle: None };
    let mut traced = trace::trace(&mut running, limits, |_| Action::PassAll)?;
    traced.hit = true;
    let mut output = running.output()?;
    // The limit itself is in the report, and too low a one keeps the probe from reading files: then
    // the payload has run, but cannot tell where.
    let report = |text: &str| -> String {
        let kept = text.lines().filter(|l| !l.starts_with("rlimit 7 "));
        kept.map(|l| format!("{l}\n")).collect()
    };
    let expected = Expected { report: report(&expected.report), ..expected.clone() };
    output.stdout = report(&output.stdout);
    Ok(judge_fault(&expected, &traced, &output))
}

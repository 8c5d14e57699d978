//! The undisturbed launches: which calls there are to disturb, and what the payload should see.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::args::Options;
use crate::launch::{Launch, Payload, Setting, Spawner};
use crate::probe;
use crate::profile::{self, Profile};
use crate::sys::{self, Waited};
use crate::trace::{self, Action, AtRest, Limits};
use crate::verdict::{Expected, Verdict, difference, plain_documents};
use crate::{names, pool};

/// A profile to be launched by one user.
pub struct Sandbox {
    /// The profile.
    pub profile: Profile,
    /// The user to become; `None` when the tool runs as that user already.
    pub user: Option<u32>,
    /// The user's id, also when it is the tool's own.
    pub id: u32,
}

impl Sandbox {
    /// `PROFILE as ID`, for reports.
    pub fn label(&self) -> String {
        let who = if self.id == 0 { "root".to_owned() } else { self.id.to_string() };
        format!("{} as {who}", self.profile.name)
    }

    /// The options that select this sandbox alone.
    pub fn selector(&self) -> String {
        let who =
            if self.id == 0 { "--as root".into() } else { format!("--as user --user {}", self.id) };
        format!("--profile {} {who}", self.profile.name)
    }

    /// A launch of it.
    pub fn launch<'a>(&'a self, setting: &'a Setting, payload: Payload) -> Launch<'a> {
        Launch {
            setting,
            profile: &self.profile,
            extra: &[],
            payload,
            user: self.user,
            nofile: None,
            by: Spawner::Worker,
            stdin: None,
        }
    }
}

/// A directory that is removed, with everything in it, when dropped.
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes one below the system's directory for temporary files.
    ///
    /// # Errors
    /// Those of mkdir(2).
    pub fn new() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("swathe-fault-{}", std::process::id()));
        std::fs::create_dir(&path)?;
        let scratch = Self(path);
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&scratch.0, mode)?;
        Ok(scratch)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The sandboxes that the options ask for.
///
/// # Errors
/// Those of making the files that the profiles bind.
pub fn sandboxes(options: &Options, scratch: &Scratch) -> io::Result<Vec<Sandbox>> {
    let mut list = Vec::new();
    for &id in &options.users {
        let tree = profile::make_tree(scratch.path(), id)?;
        for name in &options.profiles {
            let user = (id != sys::euid()).then_some(id);
            list.push(Sandbox { profile: profile::build(name, &tree)?, user, id });
        }
    }
    Ok(list)
}

/// A call that can be disturbed: one process's call of this number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Point {
    /// The process.
    pub role: String,
    /// Number of the call within the process.
    pub index: u32,
    /// Number of the system call.
    pub nr: u64,
}

impl std::fmt::Display for Point {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{} {}", self.role, self.index, names::syscall_name(self.nr))
    }
}

/// What the undisturbed launches of one sandbox showed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// All calls up to the payload's exec.
    pub points: Vec<Point>,
    /// What the payload saw.
    pub expected: Expected,
}

/// Separates the parts of an encoded survey; occurs in no report.
const PART: char = '\x1e';

impl Survey {
    fn encode(&self) -> Vec<u8> {
        let points: Vec<String> =
            self.points.iter().map(|p| format!("{} {} {}", p.role, p.index, p.nr)).collect();
        let Expected { report, documents } = &self.expected;
        format!("{}{PART}{report}{PART}{documents}", points.join("\n")).into_bytes()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(bytes);
        let mut parts = text.split(PART);
        let mut points = Vec::new();
        for line in parts.next()?.lines() {
            let mut words = line.split(' ');
            points.push(Point {
                role: words.next()?.to_owned(),
                index: words.next()?.parse().ok()?,
                nr: words.next()?.parse().ok()?,
            });
        }
        let (report, documents) = (parts.next()?.to_owned(), parts.next()?.to_owned());
        Some(Self { points, expected: Expected { report, documents } })
    }

    /// How many calls each process makes, for the report.
    pub fn counts(&self) -> String {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for point in &self.points {
            *counts.entry(&point.role).or_default() += 1;
        }
        counts.iter().map(|(role, n)| format!("{role} {n}")).collect::<Vec<_>>().join(", ")
    }
}

/// Launches `sandbox` twice, undisturbed, and notes what happens.
fn observe(launch: &Launch<'_>, timeout: Duration, rest: Option<Duration>) -> io::Result<Survey> {
    let mut survey: Option<Survey> = None;
    for _ in 0..2 {
        let mut points = Vec::new();
        let mut running = launch.spawn()?;
        let limits = Limits {
            total: timeout,
            rest: rest.map(|r| (r, AtRest::End)),
            payload_may_stay: false,
            idle: None,
        };
        let traced = trace::trace(&mut running, limits, |call| {
            points.push(Point { role: call.role.to_owned(), index: call.index, nr: call.nr });
            Action::Pass
        })?;
        let output = running.output()?;
        let fine = match launch.payload {
            Payload::Sleep => traced.payload,
            _ => traced.launcher == Some(Waited::Exited(0)) && output.stdout.ends_with(probe::END),
        };
        if !fine || !traced.survivors.is_empty() {
            let stderr = output.stderr.trim();
            return Err(io::Error::other(format!(
                "the undisturbed launch fails: {:?}, hang {}, left {:?}, message: {stderr}",
                traced.launcher, traced.hang, traced.survivors,
            )));
        }
        let documents = plain_documents(&output);
        let expected = Expected { report: output.stdout, documents };
        match &mut survey {
            None => survey = Some(Survey { points, expected }),
            Some(first) if first.expected == expected || launch.payload == Payload::Sleep => {
                // What only the second launch did can be disturbed too.
                points.retain(|p| !first.points.contains(p));
                first.points.extend(points);
            }
            Some(first) => {
                let report = difference(&first.expected.report, &expected.report);
                let documents = difference(&first.expected.documents, &expected.documents);
                return Err(io::Error::other(format!(
                    "two undisturbed launches differ:\n{report}\n{documents}"
                )));
            }
        }
    }
    survey.ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// Surveys every sandbox; an error takes the place of a survey that could not be made. With `rest`
/// the payload sleeps, and the survey ends that long after its exec.
///
/// # Errors
/// Those of the pool of workers.
pub fn survey(
    options: &Options,
    setting: &Setting,
    sandboxes: &[Sandbox],
    extra: &[&str],
    rest: Option<Duration>,
) -> io::Result<Vec<Result<Survey, String>>> {
    let work = |job: usize| -> Vec<u8> {
        let Some(sandbox) = sandboxes.get(job) else { return Vec::new() };
        let payload = if rest.is_some() { Payload::Sleep } else { Payload::Probe };
        let mut launch = sandbox.launch(setting, payload);
        launch.extra = extra;
        if rest.is_some() {
            launch.by = Spawner::Caller;
        }
        match observe(&launch, options.timeout, rest) {
            Ok(survey) => [b"+", survey.encode().as_slice()].concat(),
            Err(error) => format!("-{error}").into_bytes(),
        }
    };
    let mut surveys = vec![Err("no answer".to_owned()); sandboxes.len()];
    pool::run(sandboxes.len(), options.jobs, &work, |job, bytes| {
        let result = match bytes.split_first() {
            Some((b'+', rest)) => Survey::decode(rest).ok_or_else(|| "unreadable".to_owned()),
            Some((_, rest)) => Err(String::from_utf8_lossy(rest).into_owned()),
            None => Err("empty".to_owned()),
        };
        if let Some(slot) = surveys.get_mut(job) {
            *slot = result;
        }
    })?;
    Ok(surveys)
}

/// A verdict on a worker's mount table: whether a launch changed it.
///
/// Each worker has a mount namespace of its own when started as root, so the change is no other
/// program's.
pub fn mount_leak(before: &mut Option<String>) -> Option<Verdict> {
    if sys::euid() != 0 {
        return None;
    }
    let now = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let leak = before
        .as_ref()
        .filter(|b| **b != now)
        .map(|b| Verdict::new(crate::verdict::Class::MountLeak, difference(b, &now)));
    *before = Some(now);
    leak
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A survey survives the pipe from worker to parent.
    #[test]
    fn surveys_round_trip() {
        let survey = Survey {
            points: vec![Point { role: "L.1".into(), index: 3, nr: 165 }],
            expected: Expected { report: "a\nb\n".into(), documents: "fd N".into() },
        };
        assert_eq!(Survey::decode(&survey.encode()), Some(survey));
    }
}

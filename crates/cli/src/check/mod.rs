//! `swathe check`: probes a sandbox from inside, and the same outside.

mod answering;
mod facts;
mod places;
mod probe;
mod probes;
mod report;
mod runner;
mod stage;
mod staged;

pub use staged::hidden;

use crate::cow::Keep;
use crate::out::{Failure, Printer, shown};
use crate::wanted::{self, Ask, Options};
use probe::Finding;
use report::{Row, Verdict};
use runner::Line;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::pty::OpenptFlags;
use stage::Stage;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Something is open.
const OPEN: u8 = 1;
/// The check could not be made.
const NOT_RUN: u8 = 2;
/// How long all probes of one side may take together.
const PATIENCE: Duration = Duration::from_secs(120);
/// The most that they may say.
const MAX_SAID: usize = 4 << 20;

/// Options of `swathe check`.
#[derive(clap::Args)]
#[command(after_help = "Exit status: 0 everything is contained, 1 something is open, 2 the check \
                        could not be made.")]
pub struct Arguments {
    #[command(flatten)]
    options: Options,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Say what each probe tried and found
    #[arg(short, long)]
    verbose: bool,
}

/// Runs it.
pub fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let rows = check(&arguments.options).map_err(|failure| Failure { code: NOT_RUN, ..failure })?;
    let mut out = Printer::stdout();
    if arguments.json {
        report::json(&mut out, &rows)?;
    } else {
        report::table(&mut out, &rows, arguments.verbose);
    }
    out.finish().map_err(|failure| Failure { code: NOT_RUN, ..failure })?;
    let bad = rows.iter().any(|row| matches!(row.verdict, Verdict::Open | Verdict::Unclear));
    Ok(if bad { OPEN } else { 0 })
}

fn check(options: &Options) -> Result<Vec<Row>, Failure> {
    let host = crate::host::probe(&swathe_host::layers::Quick::probe())?;
    let program = std::env::current_exe()
        .map_err(|e| Failure::new(format!("cannot find the program itself: {e}")))?;
    // What is wrong with the options is said before anything is planted.
    let command = [program.clone().into_os_string(), "__probe".into()];
    let wanted = wanted::resolve(options, &command, "check", Ask::Yes, Keep::No)?;
    let writable = wanted.sandbox.writable.contains(&host.cwd);
    let outside = side(&program, None, &host.home, writable)?;
    let inside = side(&program, Some(options), &host.home, writable)?;
    let absent = || Finding::Killed(0);
    let find =
        |side: &BTreeMap<String, Finding>, id: &str| side.get(id).cloned().unwrap_or_else(absent);
    Ok(probes::all()
        .map(|probe| Row::new(probe, find(&inside, probe.id), find(&outside, probe.id)))
        .collect())
}

/// Tries all probes: in the sandbox of the options, or without one.
fn side(
    program: &Path,
    options: Option<&Options>,
    home: &Path,
    writable: bool,
) -> Result<BTreeMap<String, Finding>, Failure> {
    let stage = Stage::new(home, options.is_some(), writable)?;
    let facts = serde_json::to_string(&stage.facts).map_err(|e| Failure::new(e.to_string()))?;
    let mut words: Vec<OsString> = vec![program.into()];
    if let Some(options) = options {
        words.push("run".into());
        words.extend(options.words());
        words.push("--allow".into());
        words.push(directory(&stage.path("work"), if writable { "rw" } else { "ro" }));
        words.push("--allow".into());
        words.push(directory(&stage.path("shown"), "ro"));
        words.push("--".into());
        words.push(program.into());
    }
    words.push("__probe".into());
    let (said, status) = start(program, &stage, &facts, &words)?;
    let lines = said.split(|byte| *byte == b'\n');
    let mut found: BTreeMap<String, Finding> = lines
        .filter_map(|line| serde_json::from_slice::<Line>(line).ok())
        .map(|line| (line.id, line.finding))
        .collect();
    if found.is_empty() {
        return Err(not_started(&stage, status));
    }
    for probe in probes::all() {
        let (Some(suffix), Some(finding)) = (probe.effect, found.get_mut(probe.id)) else {
            continue;
        };
        *finding = judged(&stage, suffix, finding.clone());
    }
    Ok(found)
}

/// What the outside says about a probe that must be seen there.
fn judged(stage: &Stage, suffix: &str, finding: Finding) -> Finding {
    let said_open = matches!(finding, Finding::Open(_));
    // A signal is answered when the planted process gets to run.
    let end = Instant::now() + Duration::from_millis(if said_open { 500 } else { 0 });
    loop {
        if stage.has_effect(suffix) {
            return Finding::Open("seen outside".to_owned());
        }
        if Instant::now() >= end {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    match finding {
        Finding::Open(_) => Finding::Closed("nothing of it is seen outside".to_owned()),
        Finding::Killed(_) | Finding::Hung => Finding::Closed(
            "it did not survive the attempt, and nothing is seen outside".to_owned(),
        ),
        finding => finding,
    }
}

fn directory(path: &Path, access: &str) -> OsString {
    let mut word = OsString::from("files.dir=");
    word.push(path);
    word.push(format!(":{access}"));
    word
}

/// Starts the probes with everything planted around them; what they said, and how it ended.
fn start(
    program: &Path,
    stage: &Stage,
    facts: &str,
    words: &[OsString],
) -> Result<(Vec<u8>, ExitStatus), Failure> {
    let cannot = |e: std::io::Error| Failure::new(format!("cannot start the probes: {e}"));
    let terminal = terminal();
    let errors = File::create(stage.path("errors")).map_err(cannot)?;
    let mut command = Command::new(program);
    command.arg("__stage");
    if let Some((_, path)) = &terminal {
        command.arg("--terminal").arg(path);
    }
    command.arg("--facts").arg(facts).arg("--").args(words);
    let secret = stage.facts.secret();
    command.env("SWATHE_CANARY_TOKEN", &secret);
    command.envs(stage::SECRETS.iter().map(|name| (name, &secret)));
    command.stdin(File::open(stage.path("input")).map_err(cannot)?);
    command.stdout(Stdio::piped()).stderr(errors);
    inherit(&stage.leaked, true)?;
    let started = command.spawn();
    inherit(&stage.leaked, false)?;
    let mut child = started.map_err(cannot)?;
    let said = child.stdout.take().map(|out| read(out.into())).unwrap_or_default();
    if said.is_none() {
        // The kernel ends what it started, too.
        drop(child.kill());
    }
    let status = child.wait().map_err(cannot)?;
    let said = said.ok_or_else(|| Failure::new("the probes took too long, or said too much"))?;
    Ok((said, status))
}

/// Whether programs that are started get this descriptor.
fn inherit(fd: &OwnedFd, yes: bool) -> Result<(), Failure> {
    let flags = if yes { rustix::io::FdFlags::empty() } else { rustix::io::FdFlags::CLOEXEC };
    rustix::io::fcntl_setfd(fd, flags)
        .map_err(|e| Failure::new(format!("cannot pass a descriptor on: {e}")))
}

/// A terminal of the check's own, for probes to attack; the master, and the other end's path.
fn terminal() -> Option<(OwnedFd, PathBuf)> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = rustix::pty::openpt(flags).ok()?;
    rustix::pty::grantpt(&master).ok()?;
    rustix::pty::unlockpt(&master).ok()?;
    let name = rustix::pty::ptsname(&master, Vec::new()).ok()?;
    Some((master, PathBuf::from(OsString::from_vec(name.into_bytes()))))
}

/// Reads to the end, for as long as patience lasts.
fn read(out: OwnedFd) -> Option<Vec<u8>> {
    rustix::fs::fcntl_setfl(&out, OFlags::NONBLOCK).ok()?;
    let mut out = File::from(out);
    let end = Instant::now() + PATIENCE;
    let mut said = Vec::new();
    let mut buffer = [0; 1 << 14];
    loop {
        let left = end.checked_duration_since(Instant::now())?;
        let timeout = Timespec::try_from(left).ok()?;
        match poll(&mut [PollFd::new(&out, PollFlags::IN)], Some(&timeout)) {
            Ok(0) => return None,
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(_) => return None,
        }
        match out.read(&mut buffer) {
            Ok(0) => return Some(said),
            Ok(count) => said.extend_from_slice(&buffer[..count]),
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return None,
        }
        if said.len() > MAX_SAID {
            return None;
        }
    }
}

/// No probe ran: the reason is what was said instead.
fn not_started(stage: &Stage, status: ExitStatus) -> Failure {
    const MOST: usize = 20;
    let text = std::fs::read_to_string(stage.path("errors")).unwrap_or_default();
    let failure = Failure::new(format!("no probe could be run: the sandbox ended with {status}"));
    text.lines().take(MOST).fold(failure, |failure, line| {
        failure.hint(shown(line.strip_prefix("swathe: ").unwrap_or(line)))
    })
}

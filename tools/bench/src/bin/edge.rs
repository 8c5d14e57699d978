//! What watching and mediating costs: jobs bare, in `swathe run`, with levels, recorded, with
//! questions, and under `strace -f`.
//!
//! What the rows mean is in docs/benchmarks.md. Every way is run once a round, in a new order each.
//! Exit status: 0, or 2 when something could not be run.
#![forbid(unsafe_code)]

#[path = "../shared/room.rs"]
mod room;

use room::{User, build_of_60, median, say};
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const HELP: &str = "usage: edge --swathe FILE --bwrap FILE [--dir DIR] [--rounds N] [--files N] [--user UID]\n\
    DIR: where to work, below /tmp by default; --files: how many are read, 50000 by default\n";

struct Args {
    swathe: PathBuf,
    bwrap: PathBuf,
    dir: PathBuf,
    rounds: usize,
    files: usize,
    user: u32,
}

/// A job: its name, the shell's words, and whether it removes files.
const JOBS: [(&str, &str, bool); 5] = [
    ("true", "true", false),
    ("grep -r", "grep -r nothing-of-this many | wc -l", false),
    ("find -newer", "find many -type f -newer Makefile | wc -l", false),
    ("build", "make -s clean; make -s -j2", true),
    ("git status", "cd clone && git status --short", false),
];

/// A way to run one: its name, and the words before the shell.
fn ways(swathe: &str) -> Vec<(&'static str, Vec<String>)> {
    let run = |options: &[&str]| {
        let mut words = vec![swathe.to_owned(), "run".to_owned()];
        words.extend(options.iter().map(|word| (*word).to_owned()));
        words.push("--".to_owned());
        words
    };
    let strace = ["strace", "-f", "-o", "/dev/null"].map(str::to_owned).to_vec();
    vec![
        ("bare", Vec::new()),
        ("run -w", run(&["-w"])),
        ("no-delete", run(&["--allow", "files.cwd=no-delete"])),
        ("trash", run(&["--allow", "files.cwd=trash"])),
        ("append", run(&["--allow", "files.cwd=append"])),
        ("record", run(&["-w", "--record"])),
        ("strace", strace),
    ]
}

fn main() -> ExitCode {
    match parse(std::env::args().skip(1)).and_then(|args| bench(&args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = io::stderr().write_all(format!("edge: {error}\n{HELP}").as_bytes());
            ExitCode::from(2)
        }
    }
}

fn parse(mut words: impl Iterator<Item = String>) -> io::Result<Args> {
    let mut args = Args {
        swathe: PathBuf::new(),
        bwrap: PathBuf::new(),
        dir: std::env::temp_dir(),
        rounds: 7,
        files: 50_000,
        user: 1000,
    };
    while let Some(word) = words.next() {
        let wrong = || io::Error::other(format!("{word}: a value is missing or wrong"));
        let value = words.next().ok_or_else(wrong)?;
        match word.as_str() {
            "--swathe" => args.swathe = value.into(),
            "--bwrap" => args.bwrap = value.into(),
            "--dir" => args.dir = value.into(),
            "--rounds" => args.rounds = value.parse().map_err(|_| wrong())?,
            "--files" => args.files = value.parse().map_err(|_| wrong())?,
            "--user" => args.user = value.parse().map_err(|_| wrong())?,
            _ => return Err(wrong()),
        }
    }
    if args.swathe.as_os_str().is_empty() || args.bwrap.as_os_str().is_empty() {
        return Err(io::Error::other("--swathe and --bwrap are needed"));
    }
    Ok(args)
}

/// A directory with a home and a project, removed at the end.
struct Room<'a> {
    args: &'a Args,
    path: PathBuf,
    user: User,
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

impl<'a> Room<'a> {
    fn new(args: &'a Args) -> io::Result<Self> {
        let name = format!("swathe-bench-edge-{}", std::process::id());
        let path = args.dir.canonicalize()?.join(name);
        let engine = path.join(args.bwrap.file_name().unwrap_or_default());
        let user = User { id: args.user, room: path.clone(), engine, env: Vec::new() };
        let room = Self { args, path, user };
        for name in ["", "home", "run", "project"] {
            let path = room.path.join(name);
            fs::create_dir_all(&path)?;
            // Without the right to give it away it is the caller's, who is then the user.
            let _ = chown(&path, Some(args.user), Some(args.user));
        }
        fs::set_permissions(room.path.join("run"), fs::Permissions::from_mode(0o700))?;
        for program in [&args.swathe, &args.bwrap] {
            fs::copy(program, room.path.join(program.file_name().unwrap_or_default()))?;
        }
        room.fill()?;
        Ok(room)
    }

    /// The files that are read, a build of 60 units, and a repository of 2,000 files.
    fn fill(&self) -> io::Result<()> {
        let many = format!(
            "mkdir many; for d in $(seq 0 499); do mkdir many/$d; done; \
             seq 1 {} | awk '{{ f = \"many/\" ($1 % 500) \"/\" $1; \
             for (i = 0; i < 20; i++) print \"a line of text\", i >f; close(f) }}'",
            self.args.files
        );
        build_of_60(&self.path.join("project"))?;
        let git = "mkdir clone; cd clone; git init -q .; for i in $(seq 1 2000); do \
             echo $i >f$i; done; git add .; \
             git -c user.name=a -c user.email=a@b commit -q -m a";
        for text in [many.as_str(), git] {
            self.time(&["sh".into(), "-c".into(), text.into()])?;
        }
        Ok(())
    }

    fn program(&self, program: &Path) -> String {
        self.path.join(program.file_name().unwrap_or_default()).display().to_string()
    }

    fn time(&self, words: &[String]) -> io::Result<f64> {
        self.user.time(words, &self.path.join("project"))
    }
}

fn bench(args: &Args) -> io::Result<()> {
    let room = Room::new(args)?;
    let swathe = room.program(&args.swathe);
    let mut ways = ways(&swathe);
    if !Path::new("/usr/bin/strace").exists() {
        say("strace is not installed: its column is left out\n")?;
        ways.retain(|(name, _)| *name != "strace");
    }
    let mut head = format!("{:14}", "job, seconds");
    ways.iter().for_each(|(name, _)| head += &format!("{name:>11}"));
    say(&(head + "\n"))?;
    let mut launches: Vec<f64> = Vec::new();
    for (name, text, removes) in JOBS {
        let mut times = vec![Vec::new(); ways.len()];
        for round in 0..args.rounds {
            for step in 0..ways.len() {
                // Another first one each round, and the other way round every second time.
                let index = if round % 2 == 0 { step } else { ways.len() - 1 - step };
                let index = (index + round / 2) % ways.len();
                let (way, before) = &ways[index];
                if removes && matches!(*way, "no-delete" | "append") {
                    continue;
                }
                let shell = ["sh", "-c", text].map(str::to_owned);
                times[index].push(room.time(&[&before[..], &shell[..]].concat())?);
            }
        }
        let medians: Vec<f64> = times.iter().cloned().map(median).collect();
        if launches.is_empty() {
            launches.clone_from(&medians);
        }
        let cell = |value: f64, digits: usize| match value.is_nan() {
            true => "-".to_owned(),
            false => format!("{value:.digits$}"),
        };
        row(name, &medians, |i| cell(medians[i], 3))?;
        if name == "true" {
            continue;
        }
        // By pairs of one round, and without what starting the sandbox takes.
        let ratio = |i: usize| {
            let start = launches[i] - launches[0];
            let pairs = times[i].iter().zip(&times[0]).map(|(way, bare)| (way - start) / bare);
            median(pairs.collect())
        };
        row("  x bare", &medians, |i| cell(ratio(i), 2))?;
    }
    Ok(())
}

fn row(name: &str, of: &[f64], cell: impl Fn(usize) -> String) -> io::Result<()> {
    let mut line = format!("{name:14}");
    (0..of.len()).for_each(|i| line += &format!("{:>11}", cell(i)));
    say(&(line + "\n"))
}

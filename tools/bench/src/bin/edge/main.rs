//! What watching and mediating costs: jobs bare, in `swathe run`, with levels, recorded, with
//! questions, and under `strace -f`.
//!
//! What the rows mean is in docs/benchmarks.md. Every way is run once a round, in a new order each.
//! Exit status: 0, or 2 when something could not be run.
#![forbid(unsafe_code)]

mod floor;
mod opens;
mod way;

#[path = "../../shared/room.rs"]
mod room;

use room::{Told, User, build_of_60, ended, median, say, set, told};
use std::fs;
use std::io;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use way::{Way, ways};

const HELP: &str = "usage: edge --swathe FILE --bwrap FILE [--dir DIR] [--rounds N] [--files N] [--user UID]\n\
    DIR: where to work, below /tmp by default; --files: how many are read, 50000 by default\n";

struct Args {
    told: Told,
    dir: PathBuf,
    files: usize,
}

/// A job: its name, the shell's words, and whether it removes files.
const JOBS: [(&str, &str, bool); 5] = [
    ("true", "true", false),
    ("grep -r", "grep -r nothing-of-this many | wc -l", false),
    ("find -newer", "find many -type f -newer Makefile | wc -l", false),
    ("build", "make -s clean; make -s -j2", true),
    ("git status", "cd clone && git status --short", false),
];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = match floor::asked(&words).or_else(|| opens::asked(&words)) {
        Some(done) => done,
        None => parse(words.into_iter()).and_then(|args| bench(&args)),
    };
    ended("edge", HELP, done)
}

fn parse(words: impl Iterator<Item = String>) -> io::Result<Args> {
    let (mut dir, mut files) = (std::env::temp_dir(), 50_000);
    let told = told(words, 7, |name, value| match name {
        "--dir" => set(&mut dir, value),
        "--files" => set(&mut files, value),
        _ => None,
    })?;
    Ok(Args { told, dir, files })
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
        let engine = path.join(args.told.bwrap.file_name().unwrap_or_default());
        let user = User { id: args.told.user, room: path.clone(), engine, env: Vec::new() };
        let room = Self { args, path, user };
        for name in ["", "home", "run", "project"] {
            let path = room.path.join(name);
            fs::create_dir_all(&path)?;
            // Without the right to give it away it is the caller's, who is then the user.
            let _ = chown(&path, Some(args.told.user), Some(args.told.user));
        }
        fs::set_permissions(room.path.join("run"), fs::Permissions::from_mode(0o700))?;
        for program in [&args.told.swathe, &args.told.bwrap] {
            fs::copy(program, room.path.join(program.file_name().unwrap_or_default()))?;
        }
        fs::copy(std::env::current_exe()?, room.path.join("project/opens"))?;
        room.fill()?;
        Ok(room)
    }

    /// The files that are read, a build of 60 units, and a repository of as many files.
    fn fill(&self) -> io::Result<()> {
        let many = format!(
            "mkdir many; for d in $(seq 0 499); do mkdir many/$d; done; \
             seq 1 {} | awk '{{ f = \"many/\" ($1 % 500) \"/\" $1; \
             for (i = 0; i < 20; i++) print \"a line of text\", i >f; close(f) }}'",
            self.args.files
        );
        build_of_60(&self.path.join("project"))?;
        let git = "cp -r many clone; cd clone; git init -q .; git add .; \
             git -c user.name=a -c user.email=a@b commit -q -m a";
        for text in [many.as_str(), git, "echo line >log"] {
            self.time(&Way::bare(), &["sh", "-c", text])?;
        }
        Ok(())
    }

    fn program(&self, program: &Path) -> String {
        self.path.join(program.file_name().unwrap_or_default()).display().to_string()
    }

    /// Seconds that a command takes.
    fn time(&self, way: &Way, words: &[&str]) -> io::Result<f64> {
        Ok(way.run(&self.user, &self.path.join("project"), words)?.0)
    }
}

fn bench(args: &Args) -> io::Result<()> {
    let room = Room::new(args)?;
    let swathe = room.program(&args.told.swathe);
    let mut ways = ways(&swathe);
    if !Path::new("/usr/bin/strace").exists() {
        say("strace is not installed: its column is left out\n")?;
        ways.retain(|way| way.name != "strace");
    }
    let mut head = format!("{:14}", "job, seconds");
    ways.iter().for_each(|way| head += &format!("{:>11}", way.name));
    say(&(head + "\n"))?;
    let mut launches: Vec<f64> = Vec::new();
    for (name, text, removes) in JOBS {
        let mut times = vec![Vec::new(); ways.len()];
        for round in 0..args.told.rounds {
            for index in turn(round, ways.len()) {
                let way = &ways[index];
                let cannot = removes && matches!(way.name, "no-delete" | "append");
                if cannot {
                    continue;
                }
                times[index].push(room.time(way, &["sh", "-c", text])?);
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
    for (name, words) in opens::ROWS {
        let mut times = vec![Vec::new(); ways.len()];
        for round in 0..args.told.rounds {
            for index in turn(round, ways.len()) {
                times[index].push(opens::measure(&room, &ways[index], words)?);
            }
        }
        let medians: Vec<f64> = times.into_iter().map(median).collect();
        row(name, &medians, |i| format!("{:.2}", medians[i]))?;
    }
    Ok(())
}

/// Another first one each round, and the other way round every second time.
fn turn(round: usize, ways: usize) -> impl Iterator<Item = usize> {
    (0..ways).map(move |step| {
        let index = if round.is_multiple_of(2) { step } else { ways - 1 - step };
        (index + round / 2) % ways
    })
}

fn row(name: &str, of: &[f64], cell: impl Fn(usize) -> String) -> io::Result<()> {
    let mut line = format!("{name:14}");
    (0..of.len()).for_each(|i| line += &format!("{:>11}", cell(i)));
    say(&(line + "\n"))
}

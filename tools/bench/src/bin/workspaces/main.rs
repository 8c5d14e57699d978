//! What copy-on-write costs: jobs in `swathe run --cow` beside the same without a sandbox and with
//! `-w`; review, commit and undo of many changed files are in `changes`.
//!
//! What the rows mean is in docs/benchmarks.md. Everything runs as an ordinary user, in a directory
//! that is removed at the end. Exit status: 0, or 2 when something could not be run.
#![forbid(unsafe_code)]

mod changes;
#[path = "../../shared/room.rs"]
mod room;

use room::{Told, User, build_of_60, ended, median, say, set, timed, told};
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const HELP: &str = "usage: workspaces --swathe FILE --bwrap FILE [--dir DIR] [--other DIR] [--rounds N] \
    [--pairs N] [--files N] [--user UID] [--repository DIR]\n\
    DIR: where to work, below /tmp by default; --other: another file system, for commits that copy; \
    --rounds, --pairs: how often jobs and changed files are measured, 0: not\n";

struct Args {
    told: Told,
    dir: PathBuf,
    other: PathBuf,
    repository: PathBuf,
    pairs: usize,
    files: usize,
}

fn main() -> ExitCode {
    let done = parse(std::env::args().skip(1)).and_then(|args| bench(&args));
    ended("workspaces", HELP, done)
}

fn parse(words: impl Iterator<Item = String>) -> io::Result<Args> {
    let (mut dir, mut other) = (std::env::temp_dir(), PathBuf::from("/dev/shm"));
    let (mut repository, mut pairs, mut files) = (PathBuf::from("."), 3, 100_000);
    let told = told(words, 5, |name, value| match name {
        "--dir" => set(&mut dir, value),
        "--other" => set(&mut other, value),
        "--repository" => set(&mut repository, value),
        "--pairs" => set(&mut pairs, value),
        "--files" => set(&mut files, value),
        _ => None,
    })?;
    Ok(Args { told, dir, other, repository, pairs, files })
}

/// A directory of our own with a home, removed at the end.
struct Room<'a> {
    args: &'a Args,
    path: PathBuf,
    state: PathBuf,
    user: User,
    /// Files in the places of workspaces.
    blocked: Vec<PathBuf>,
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
        let _ = fs::remove_dir_all(&self.state);
        for path in &self.blocked {
            let _ = fs::remove_file(path);
        }
    }
}

impl<'a> Room<'a> {
    /// `elsewhere`: workspaces are on the other file system.
    fn new(args: &'a Args, elsewhere: bool) -> io::Result<Self> {
        let name = format!("swathe-bench-{}-{}", std::process::id(), u8::from(elsewhere));
        let path = args.dir.canonicalize()?.join(&name);
        let state =
            if elsewhere { args.other.join(format!("{name}-state")) } else { path.join("state") };
        let engine = path.join(args.told.bwrap.file_name().unwrap_or_default());
        let env = vec![("XDG_STATE_HOME", state.clone())];
        let user = User { id: args.told.user, room: path.clone(), engine, env };
        let mut room = Self { args, path, state, user, blocked: Vec::new() };
        for dir in [&room.path, &room.state, &room.path.join("home"), &room.path.join("run")] {
            room.directory(dir)?;
        }
        if elsewhere {
            room.block()?;
        }
        fs::set_permissions(room.path.join("run"), fs::Permissions::from_mode(0o700))?;
        for program in [&args.told.swathe, &args.told.bwrap] {
            let name = program.file_name().unwrap_or_default();
            fs::copy(program, room.path.join(name))?;
        }
        Ok(room)
    }

    /// Takes the names that swathe would use for workspaces on the file system of the room.
    fn block(&mut self) -> io::Result<()> {
        let device = fs::metadata(&self.path)?.dev();
        let name = format!(".swathe-{}", self.args.told.user);
        let path = self.path.clone();
        for dir in path.ancestors().chain([Path::new("/var/tmp"), Path::new("/tmp")]) {
            let taken = dir.join(&name);
            if fs::metadata(dir)?.dev() == device && !self.blocked.contains(&taken) {
                let taken = taken.display();
                let error = |e| io::Error::other(format!("{taken}: {e}: choose another --user"));
                fs::File::create_new(dir.join(&name)).map_err(error)?;
                self.blocked.push(dir.join(&name));
            }
        }
        Ok(())
    }

    fn directory(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)?;
        // Without the right to give it away it is the caller's, who is then the user.
        let _ = chown(path, Some(self.args.told.user), Some(self.args.told.user));
        Ok(())
    }

    fn swathe(&self) -> PathBuf {
        self.path.join(self.args.told.swathe.file_name().unwrap_or_default())
    }

    fn time(&self, words: &[&str], cwd: &Path) -> io::Result<f64> {
        Ok(timed(&mut self.user.command(words, cwd))?.0)
    }
}

fn bench(args: &Args) -> io::Result<()> {
    if args.told.rounds > 0 {
        jobs(args)?;
    }
    if args.pairs > 0 { changes::bench(args) } else { Ok(()) }
}

/// Jobs: name, words of the shell. Each is run bare, with `-w`, and with `--cow`.
const JOBS: [(&str, &str); 4] = [
    ("git status", "git status --short"),
    ("build", "make -s clean; make -s -j2"),
    (
        "50,000 files",
        "rm -rf many; mkdir many; cd many; for d in $(seq 1 100); do mkdir $d; done; seq -f '%.0f' 1 50000 | awk '{ f = ($1 % 100 + 1) \"/\" $1; print $1 >f; close(f) }'",
    ),
    ("read 50,000 files", "grep -r nothing-of-this many | wc -l"),
];

fn jobs(args: &Args) -> io::Result<()> {
    let room = Room::new(args, false)?;
    let project = room.path.join("project");
    room.directory(&project)?;
    let clone = room.path.join("clone");
    let from = args.repository.canonicalize()?;
    let from = from.display().to_string();
    let to = clone.display().to_string();
    let cloned =
        Command::new("git").args(["clone", "-q", "--no-hardlinks", &from, &to]).status()?;
    // As the caller, who may read it, and then the user's.
    let owner = format!("{0}:{0}", args.told.user);
    let given = Command::new("chown").args(["-R", &owner, &to]).status();
    if !cloned.success() || !given?.success() {
        return Err(io::Error::other(format!("{from} cannot be cloned")));
    }
    makefile(&room, &project)?;
    let program = room.swathe().display().to_string();
    say(&format!(
        "{:20}{:>9}{:>9}{:>9}{:>12}{:>12}\n",
        "job, seconds", "bare", "-w", "--cow", "cow/bare", "less launch"
    ))?;
    for (name, text) in JOBS {
        let cwd = if name == "git status" { &clone } else { &project };
        let bench = format!("bench-{}", if name == "git status" { "clone" } else { "project" });
        let mut times: [Vec<f64>; 5] = Default::default();
        let options: [(&[&str], &str); 5] = [
            (&[], text),
            (&[&program, "run", "-w", "--"], text),
            (&[&program, "run", "--cow", "--workspace", &bench, "--"], text),
            (&[], "true"),
            (&[&program, "run", "--cow", "--workspace", &bench, "--"], "true"),
        ];
        for _ in 0..args.told.rounds {
            for (index, (before, text)) in options.iter().enumerate() {
                let words = [before, &["sh", "-c", text][..]].concat();
                times[index].push(room.time(&words, cwd)?);
            }
            // What one round changed is not the next one's beginning; its reading needs the files.
            if !name.starts_with("read") {
                // One without changes is gone already.
                let _ = room.time(&[program.as_str(), "workspace", "rm", bench.as_str()], cwd);
            }
        }
        let [bare, write, cow, nothing, launch] = times.map(median);
        say(&format!(
            "{name:20}{bare:>9.3}{write:>9.3}{cow:>9.3}{:>12.2}{:>12.2}\n",
            cow / bare,
            (cow - (launch - nothing)) / bare
        ))?;
    }
    Ok(())
}

/// A build of 60 units.
fn makefile(room: &Room<'_>, project: &Path) -> io::Result<()> {
    build_of_60(project)?;
    for entry in fs::read_dir(project)? {
        let _ = chown(entry?.path(), Some(room.args.told.user), Some(room.args.told.user));
    }
    Ok(())
}

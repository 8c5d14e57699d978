//! What copy-on-write costs: jobs in `swathe run --cow` beside the same without a sandbox and with
//! `-w`, and review, commit and undo of many changed files beside `cp -a` and rsync.
//!
//! What the rows mean is in docs/benchmarks.md. Everything runs as an ordinary user, in a directory
//! that is removed at the end. Exit status: 0, or 2 when something could not be run.
#![forbid(unsafe_code)]

#[path = "../shared/room.rs"]
mod room;

use room::{User, build_of_60, median, say};
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

const HELP: &str = "usage: workspaces --swathe FILE --bwrap FILE [--dir DIR] [--other DIR] [--rounds N] \
    [--files N] [--user UID] [--repository DIR]\n\
    DIR: where to work, below /tmp by default; --other: on another file system, for commits that copy; --rounds 0: \\
    no jobs, only changed files\n";

/// Sizes of the change sets beside the whole: a quarter and a half, to see whether costs are linear.
const PARTS: [usize; 3] = [4, 2, 1];

/// Files in one directory of a change set.
const IN_DIRECTORY: usize = 500;

struct Args {
    swathe: PathBuf,
    bwrap: PathBuf,
    dir: PathBuf,
    other: PathBuf,
    repository: PathBuf,
    rounds: usize,
    files: usize,
    user: u32,
}

fn main() -> ExitCode {
    match parse(std::env::args().skip(1)).and_then(|args| bench(&args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = io::stderr().write_all(format!("workspaces: {error}\n{HELP}").as_bytes());
            ExitCode::from(2)
        }
    }
}

fn parse(mut words: impl Iterator<Item = String>) -> io::Result<Args> {
    let mut args = Args {
        swathe: PathBuf::new(),
        bwrap: PathBuf::new(),
        dir: std::env::temp_dir(),
        other: PathBuf::from("/dev/shm"),
        repository: PathBuf::from("."),
        rounds: 5,
        files: 100_000,
        user: 1000,
    };
    while let Some(word) = words.next() {
        let wrong = || io::Error::other(format!("{word}: a value is missing or wrong"));
        let value = words.next().ok_or_else(wrong)?;
        match word.as_str() {
            "--swathe" => args.swathe = value.into(),
            "--bwrap" => args.bwrap = value.into(),
            "--dir" => args.dir = value.into(),
            "--other" => args.other = value.into(),
            "--repository" => args.repository = value.into(),
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

/// A directory of our own with a home, removed at the end.
struct Room<'a> {
    args: &'a Args,
    path: PathBuf,
    state: PathBuf,
    user: User,
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
        let _ = fs::remove_dir_all(&self.state);
    }
}

impl<'a> Room<'a> {
    /// `elsewhere`: workspaces are kept on the other file system.
    fn new(args: &'a Args, elsewhere: bool) -> io::Result<Self> {
        let name = format!("swathe-bench-{}-{}", std::process::id(), u8::from(elsewhere));
        let path = args.dir.canonicalize()?.join(&name);
        let state =
            if elsewhere { args.other.join(format!("{name}-state")) } else { path.join("state") };
        let engine = path.join(args.bwrap.file_name().unwrap_or_default());
        let env = vec![("XDG_STATE_HOME", state.clone())];
        let user = User { id: args.user, room: path.clone(), engine, env };
        let room = Self { args, path, state, user };
        for dir in [&room.path, &room.state, &room.path.join("home"), &room.path.join("run")] {
            room.directory(dir)?;
        }
        fs::set_permissions(room.path.join("run"), fs::Permissions::from_mode(0o700))?;
        for program in [&args.swathe, &args.bwrap] {
            let name = program.file_name().unwrap_or_default();
            fs::copy(program, room.path.join(name))?;
        }
        Ok(room)
    }

    fn directory(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)?;
        // Without the right to give it away it is the caller's, who is then the user.
        let _ = chown(path, Some(self.args.user), Some(self.args.user));
        Ok(())
    }

    fn swathe(&self) -> PathBuf {
        self.path.join(self.args.swathe.file_name().unwrap_or_default())
    }

    fn time(&self, words: &[&str], cwd: &Path) -> io::Result<f64> {
        self.user.time(words, cwd)
    }
}

fn bench(args: &Args) -> io::Result<()> {
    if args.rounds > 0 {
        jobs(args)?;
    }
    say("\nchanged files: seconds\n")?;
    say(&format!("{:>8}  {:34}{:>9}{:>9}{:>9}\n", "files", "", "swathe", "cp -a", "rsync"))?;
    for part in PARTS {
        changes(args, args.files / part, false)?.iter().try_for_each(Row::print)?;
    }
    changes(args, args.files, true)?.iter().try_for_each(Row::print)
}

impl Row {
    fn print(&self) -> io::Result<()> {
        let other = |seconds: Option<f64>| seconds.map_or("-".to_owned(), |s| format!("{s:.2}"));
        let (cp, rsync) = (other(self.cp), other(self.rsync));
        let line =
            format!("{:>8}  {:34}{:>9.2}{cp:>9}{rsync:>9}\n", self.files, self.name, self.swathe);
        say(&line)
    }
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
    let owner = format!("{0}:{0}", args.user);
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
        for _ in 0..args.rounds {
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
        let _ = chown(entry?.path(), Some(room.args.user), Some(room.args.user));
    }
    Ok(())
}

struct Row {
    files: usize,
    name: String,
    swathe: f64,
    cp: Option<f64>,
    rsync: Option<f64>,
}

/// Review and commit of so many files, of which half are new and half were changed.
fn changes(args: &Args, files: usize, elsewhere: bool) -> io::Result<Vec<Row>> {
    let room = Room::new(args, elsewhere)?;
    let project = room.path.join("project");
    room.directory(&project)?;
    let program = room.swathe().display().to_string();
    let make = |kind: &str, word: &str| {
        format!(
            "for d in $(seq 0 {}); do mkdir -p {kind}/$d; done; seq 0 {} | awk '{{ f = \"{kind}/\" int($1 / {IN_DIRECTORY}) \"/\" $1; print \"{word}\", $1 >f; close(f) }}'",
            files / 2 / IN_DIRECTORY,
            files / 2 - 1
        )
    };
    room.time(&["sh", "-c", &make("old", "before")], &project)?;
    let run = [&program, "run", "--cow", "--workspace", "w", "--", "sh", "-c"];
    let inside = format!("{}; {}", make("old", "after"), make("new", "new"));
    room.time(&[&run[..], &[&inside]].concat(), &project)?;
    // Two copies of the state before, for the others, and the changed files as a tree of theirs.
    let copy = |to: &str| room.time(&["cp", "-a", "project", to], &room.path);
    copy("cp")?;
    copy("rsync")?;
    let upper = find_upper(&room.state.join("swathe/workspaces"))
        .ok_or_else(|| io::Error::other("the workspace has no upper"))?;
    let upper = format!("{}/.", upper.display());
    let where_ = if elsewhere { ", another file system" } else { "" };
    let stat = room.time(&[&program, "diff", "--stat", "w"], &project)?;
    let cp = room.time(&["cp", "-a", &upper, "cp"], &room.path)?;
    let rsync = Path::new("/usr/bin/rsync").exists();
    let rsync =
        if rsync { Some(room.time(&["rsync", "-a", &upper, "rsync"], &room.path)?) } else { None };
    let commit = room.time(&[&program, "commit", "w"], &project)?;
    let check = room.time(&["diff", "-rq", "project", "cp"], &room.path);
    check.map_err(|e| io::Error::other(format!("the commit is not what cp made: {e}")))?;
    let undo = room.time(&[&program, "commit", "--undo", "w"], &project)?;
    let row = |name: &str, swathe, cp, rsync| Row {
        files,
        name: format!("{name}{where_}"),
        swathe,
        cp,
        rsync,
    };
    Ok(vec![
        row("diff --stat", stat, None, None),
        row("commit", commit, Some(cp), rsync),
        row("commit --undo", undo, None, None),
    ])
}

/// The first directory `upper` below a store.
fn find_upper(store: &Path) -> Option<PathBuf> {
    for entry in fs::read_dir(store).ok()?.flatten() {
        let path = entry.path();
        if path.file_name().is_some_and(|name| name == "upper") {
            return Some(path);
        }
        if path.is_dir()
            && let Some(found) = find_upper(&path)
        {
            return Some(found);
        }
    }
    None
}

//! Review, commit and undo of many changed files, beside `cp -a` and rsync of the same files onto a
//! copy of the same tree. All are measured in turns, each after the disk has come to rest.

use crate::room::{median, say};
use crate::{Args, Room};
use std::io;
use std::path::{Path, PathBuf};

/// Sizes of the change sets beside the whole: a quarter and a half, to see whether costs are linear.
const PARTS: [usize; 3] = [4, 2, 1];

/// Files in one directory of a change set.
const IN_DIRECTORY: usize = 500;

/// Steps of a round.
const STEPS: [&str; 5] = ["diff --stat", "cp -a", "rsync -a", "commit", "commit --undo"];

/// Seconds by the clock, and of processors.
#[derive(Clone, Copy)]
struct Spent {
    wall: f64,
    processor: f64,
}

/// Prints a row for each size and step: medians of seconds, and of the ratios of each round.
pub fn bench(args: &Args) -> io::Result<()> {
    let head = ["files", "step", "seconds", "processor", "x cp -a", "processor", "x rsync"];
    say(&format!("\nchanged files, {} rounds\n", args.pairs))?;
    let [files, step, seconds, processor, cp, cp_processor, rsync] = head;
    say(&format!(
        "{files:>8}  {step:36}{seconds:>9}{processor:>11}{cp:>9}{cp_processor:>11}{rsync:>9}\n"
    ))?;
    for part in PARTS {
        changes(args, args.files / part, false)?;
    }
    for part in PARTS {
        changes(args, args.files / part, true)?;
    }
    Ok(())
}

/// Changes so many files in a workspace, half of them new, and measures what becomes of them.
fn changes(args: &Args, files: usize, elsewhere: bool) -> io::Result<()> {
    let room = Room::new(args, elsewhere)?;
    let project = room.path.join("project");
    room.directory(&project)?;
    let program = room.swathe().display().to_string();
    room.time(&["sh", "-c", &make(files, "old", "before")], &project)?;
    let inside = format!("{}; {}", make(files, "old", "after"), make(files, "new", "new"));
    let run = [&program, "run", "--cow", "--workspace", "w", "--", "sh", "-c", &inside];
    room.time(&run, &project)?;
    let upper = find_upper(&room.state.join("swathe/workspaces"))
        .ok_or_else(|| io::Error::other("the workspace has no upper"))?;
    let upper = format!("{}/.", upper.display());
    let mut rounds = Vec::new();
    for _ in 0..args.pairs {
        rounds.push(round(&room, &project, &program, &upper)?);
    }
    for (number, name) in STEPS.iter().enumerate() {
        let there = if elsewhere { ", another file system" } else { "" };
        row(files, &format!("{name}{there}"), &rounds, number)?;
    }
    Ok(())
}

/// The words of a shell that writes half of the files.
fn make(files: usize, kind: &str, word: &str) -> String {
    format!(
        "for d in $(seq 0 {}); do mkdir -p {kind}/$d; done; seq 0 {} | awk '{{ f = \"{kind}/\" int($1 / {IN_DIRECTORY}) \"/\" $1; print \"{word}\", $1 >f; close(f) }}'",
        files / 2 / IN_DIRECTORY,
        files / 2 - 1
    )
}

/// One round of all steps, at the end of which everything is as before.
fn round(room: &Room<'_>, project: &Path, program: &str, upper: &str) -> io::Result<[Spent; 5]> {
    for copy in ["cp", "rsync"] {
        room.time(&["cp", "-a", "project", copy], &room.path)?;
    }
    let timed = |words: &[&str], cwd: &Path| -> io::Result<Spent> {
        room.time(&["sync", "-f", "."], &room.path)?;
        let before = processor()?;
        let wall = room.time(words, cwd)?;
        Ok(Spent { wall, processor: processor()? - before })
    };
    let diff = timed(&[program, "diff", "--stat", "w"], project)?;
    let cp = timed(&["cp", "-a", upper, "cp"], &room.path)?;
    let rsync = timed(&["rsync", "-a", upper, "rsync"], &room.path)?;
    let commit = timed(&[program, "commit", "w"], project)?;
    let check = room.time(&["diff", "-rq", "project", "cp"], &room.path);
    check.map_err(|e| io::Error::other(format!("the commit is not what cp made: {e}")))?;
    let undo = timed(&[program, "commit", "--undo", "w"], project)?;
    room.time(&["rm", "-r", "cp", "rsync"], &room.path)?;
    Ok([diff, cp, rsync, commit, undo])
}

/// Seconds that processors worked for the programs that have ended.
fn processor() -> io::Result<f64> {
    let text = std::fs::read_to_string("/proc/self/stat")?;
    let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: f64 = fields.skip(13).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
    Ok(ticks / 100.0)
}

fn row(files: usize, name: &str, rounds: &[[Spent; 5]], number: usize) -> io::Result<()> {
    let of = |value: &dyn Fn(&[Spent; 5]) -> f64| median(rounds.iter().map(value).collect());
    let (cp, rsync) = (1, 2);
    let seconds = of(&|round| round[number].wall);
    let processor = of(&|round| round[number].processor);
    let mut line = format!("{files:>8}  {name:36}{seconds:>9.2}{processor:>11.2}");
    if number > rsync {
        let by_cp = of(&|round| round[number].wall / round[cp].wall);
        let work = of(&|round| round[number].processor / round[cp].processor);
        let by_rsync = of(&|round| round[number].wall / round[rsync].wall);
        line += &format!("{by_cp:>9.2}{work:>11.2}{by_rsync:>9.2}");
    }
    say(&format!("{line}\n"))
}

/// The first directory `upper` below a store.
fn find_upper(store: &Path) -> Option<PathBuf> {
    for entry in std::fs::read_dir(store).ok()?.flatten() {
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

//! The launch benchmark: our `bwrap` beside bubblewrap and beside the floor, and `swathe` beside our
//! `bwrap`, each in one interleaved run.
//!
//! What each row means, and how to read the table, is in docs/benchmarks.md. Exit status: 0, or 1
//! when `--quick` finds a target missed that does not depend on the machine, or 2 when the run
//! itself could not be done.

mod args;
mod fixture;
mod host;
mod launch;
mod memory;
mod rate;
mod report;
mod rows;
mod run;
mod stats;
mod swathe_part;
mod trace;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use args::Args;
use fixture::Fixture;
use rows::{ROWS, Row};
use run::{Bench, Who};

fn main() -> ExitCode {
    if let Some(into) = std::env::var_os(swathe_part::RECORD) {
        return swathe_part::record(Path::new(&into));
    }
    let args = match args::parse(std::env::args().skip(1)) {
        Ok(args) => args,
        Err(message) => {
            run::eprint_line(&message);
            return ExitCode::from(2);
        }
    };
    match bench(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            run::eprint_line(&error.to_string());
            ExitCode::from(2)
        }
    }
}

/// Does what the arguments ask; false when a gate failed.
fn bench(args: &Args) -> io::Result<bool> {
    let mut out = io::stdout();
    if args.help {
        out.write_all(args::HELP.as_bytes())?;
        return Ok(true);
    }
    if args.list {
        let names: Vec<&str> = ROWS.iter().map(|r| r.name).collect();
        writeln!(out, "{}", names.join("\n"))?;
        return Ok(true);
    }
    let files = Files::find(args)?;
    let root = host::is_root();
    let user = if root { args.user } else { host::uid() };
    let fixture = Fixture::new(&args.dir, user, &files.payload)?;
    // Copies: all on one file system, and readable whoever owns the workspace.
    let ours = fixture.program(&files.ours, Who::Ours.name())?;
    let user_to_be = root.then_some(user);
    let mut failed: Vec<&str> = Vec::new();
    let mut lines = Vec::new();
    if args.launches() {
        let mut programs = BTreeMap::from([(Who::Ours, ours.clone())]);
        programs.insert(Who::Floor, fixture.program(&files.floor, Who::Floor.name())?);
        match &files.oracle {
            Some(path) => _ = programs.insert(Who::Oracle, fixture.program(path, "bubblewrap")?),
            None => run::eprint_line("no bubblewrap to compare with: set BWRAP_ORACLE or --oracle"),
        }
        let rows = selected(&args.rows);
        let bench = Bench { args, fixture: &fixture, programs, user: user_to_be };
        let samples = bench.measure(&rows)?;
        lines = report::lines(&rows, &samples);
        out.write_all(report::table(&lines).as_bytes())?;
    }
    failed.extend(lines.iter().filter(|l| l.fails()).map(|l| l.row.name));
    let mut swathe = Vec::new();
    if let Some(program) = &files.swathe {
        let program = fixture.program(program, "swathe")?;
        let part = swathe_part::Part::new(args, &fixture, program, ours, user_to_be, workspace())?;
        swathe = part.measure()?;
        out.write_all(swathe_part::table(&swathe).as_bytes())?;
    }
    failed.extend(swathe.iter().filter(|l| l.fails()).map(|l| l.row.name));
    if let Some(path) = &args.json {
        let swathe: Vec<String> = swathe.iter().map(swathe_part::Line::json).collect();
        std::fs::write(path, report::json(&facts(args, user), &lines, &swathe))?;
    }
    if !failed.is_empty() {
        run::eprint_line(&format!(
            "over a limit that does not depend on the machine: {}",
            failed.join(", ")
        ));
    }
    Ok(failed.is_empty() || !args.quick)
}

/// The rows named, in the table's order, with those that computed rows need; all without names.
fn selected(names: &[String]) -> Vec<&'static Row> {
    let named = |name: &str| names.iter().any(|n| n == name);
    let needed = |name: &str| ROWS.iter().any(|r| named(r.name) && r.sources().contains(&name));
    ROWS.iter().filter(|r| names.is_empty() || named(r.name) || needed(r.name)).collect()
}

/// What the figures depend on besides the programs.
fn facts(args: &Args, user: u32) -> Vec<(&'static str, String)> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    vec![
        ("kernel", read("/proc/sys/kernel/osrelease")),
        ("cpus", std::thread::available_parallelism().map_or(0, usize::from).to_string()),
        ("rounds", args.rounds.to_string()),
        ("gap_us", args.gap.to_string()),
        ("seed", args.seed.to_string()),
        ("user", user.to_string()),
        ("mounts", read("/proc/self/mountinfo").lines().count().to_string()),
        ("quick", args.quick.to_string()),
    ]
}

/// The programs of a run, as found or built.
struct Files {
    ours: PathBuf,
    /// Where its part is asked for.
    swathe: Option<PathBuf>,
    oracle: Option<PathBuf>,
    floor: PathBuf,
    payload: PathBuf,
}

impl Files {
    fn find(args: &Args) -> io::Result<Self> {
        // Each on its own: built together, bwrap would be linked with what the others need of
        // their common libraries.
        let or = |given: &Option<PathBuf>, words: &[&str], name: &str| match given {
            Some(path) => Ok(path.clone()),
            None => build(words).map(|built| built.join(name)),
        };
        let helpers = ["-p", "swathe-bench", "--bin", "floor", "--bin", "strue"];
        let beside = workspace().map(|w| w.join(".oracle/usr/bin/bwrap")).filter(|p| p.exists());
        let from_environment = std::env::var_os("BWRAP_ORACLE").map(PathBuf::from);
        let swathe = args.swathe_part();
        Ok(Files {
            ours: or(&args.ours, &["-p", "swathe-bwrap", "--bin", "bwrap"], "bwrap")?,
            swathe: swathe
                .then(|| or(&args.swathe, &["-p", "swathe-cli", "--bin", "swathe"], "swathe"))
                .transpose()?,
            oracle: args.oracle.clone().or(from_environment).or(beside),
            floor: or(&args.floor, &helpers, "floor")?,
            payload: or(&args.payload, &helpers, "strue")?,
        })
    }
}

/// The workspace's directory: the nearest one above the current directory with a lock file.
fn workspace() -> Option<PathBuf> {
    let here = std::env::current_dir().ok()?;
    here.ancestors().find(|d| d.join("Cargo.lock").exists()).map(Path::to_path_buf)
}

/// Builds static release programs; returns the directory they are in.
fn build(words: &[&str]) -> io::Result<PathBuf> {
    let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    let root = workspace()
        .ok_or_else(|| io::Error::other("run it in the workspace, or name all programs"))?;
    let mut cargo = std::process::Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    cargo.current_dir(&root).args(["build", "--release", "--target", &target]).args(words);
    if !cargo.status()?.success() {
        return Err(io::Error::other("the programs to measure could not be built"));
    }
    let base = std::env::var_os("CARGO_TARGET_DIR").map_or(root.join("target"), PathBuf::from);
    Ok(root.join(base).join(target).join("release"))
}

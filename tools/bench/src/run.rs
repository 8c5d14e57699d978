//! The measuring itself: every row against every program, interleaved, in helpers that have the
//! privileges and mounts the rows want. Results come back as lines of text.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::time::Duration;

use crate::args::Args;
use crate::fixture::Fixture;
use crate::host;
use crate::launch::{self, Command, Options};
use crate::rows::{Kind, Profile, Row};
use crate::stats::Rng;
use crate::{memory, rate, trace};

/// The three programs of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// Our bwrap.
    Ours,
    /// bubblewrap.
    Oracle,
    /// The floor.
    Floor,
}

impl Who {
    /// All of them, in the order of the columns.
    pub const ALL: [Who; 3] = [Who::Ours, Who::Oracle, Who::Floor];

    /// Its name in tables and files.
    pub fn name(self) -> &'static str {
        match self {
            Who::Ours => "ours",
            Who::Oracle => "bubblewrap",
            Who::Floor => "floor",
        }
    }
}

/// Measured values, in order of rounds, by row and program; and what went wrong instead.
#[derive(Default)]
pub struct Samples {
    /// Values in the row's unit.
    pub values: BTreeMap<(String, Who), Vec<f64>>,
    /// A reason why a row or one of its cells has no figure.
    pub failures: BTreeMap<(String, Who), String>,
}

/// One cell: a row's command line for one program.
struct Cell {
    row: &'static Row,
    who: Who,
    command: Command,
}

/// What all measurements share.
pub struct Bench<'a> {
    /// The run's options.
    pub args: &'a Args,
    /// Its files.
    pub fixture: &'a Fixture,
    /// The programs there are.
    pub programs: BTreeMap<Who, PathBuf>,
    /// The user to measure as, when started as root.
    pub user: Option<u32>,
}

impl Bench<'_> {
    /// Measures `rows` (computed ones are left out here).
    pub fn measure(&self, rows: &[&'static Row]) -> io::Result<Samples> {
        let mut samples = Samples::default();
        let of = |want: fn(&Kind) -> Option<usize>, n: usize| -> Vec<&'static Row> {
            rows.iter().copied().filter(|r| want(&r.kind) == Some(n)).collect()
        };
        let launches = |kind: &Kind| match kind {
            Kind::Time(_, mounts) | Kind::Calls(_, mounts) => Some(*mounts),
            Kind::Rate(_) => Some(0),
            _ => None,
        };
        for mounts in [0, 500, 2000] {
            let group = of(launches, mounts);
            if group.is_empty() {
                continue;
            }
            if mounts > 0 && !host::is_root() {
                for row in group {
                    samples.fail(row.name, Who::Ours, "skipped: more host mounts need root");
                }
                continue;
            }
            eprint_line(&format!("measuring {} rows with {mounts} more host mounts", group.len()));
            let text = host::in_child(|out| self.group(&group, mounts, out))?;
            samples.read(&text);
        }
        for row in rows {
            match row.kind {
                Kind::Memory(profile) => self.memory(row, profile, &mut samples),
                Kind::Size => self.sizes(row, &mut samples),
                _ => {}
            }
        }
        Ok(samples)
    }

    /// One helper's work: times, then counts, then rates, as an ordinary user.
    fn group(&self, rows: &[&'static Row], mounts: usize, out: &mut dyn Write) -> io::Result<()> {
        if mounts > 0 {
            host::add_mounts(&self.fixture.path("mounts"), mounts)?;
        }
        let log = self.fixture.path("errors");
        let log_file = fs::File::create(&log)?;
        if let Some(user) = self.user {
            host::drop_to(user)?;
        }
        host::silence()?;
        host::end_after(1800);
        let mut cells = Vec::new();
        for row in rows {
            let (Kind::Time(p, _) | Kind::Calls(p, _) | Kind::Rate(p)) = row.kind else { continue };
            for (who, program) in &self.programs {
                let command = self.fixture.command(program, p, &[]);
                match try_once(&command, log_file.as_raw_fd(), &log) {
                    Ok(()) => cells.push(Cell { row, who: *who, command }),
                    Err(e) => writeln!(out, "fail\t{}\t{}\t{e}", row.name, who.name())?,
                }
            }
        }
        let is =
            |want: fn(&Kind) -> bool| cells.iter().filter(move |c| want(&c.row.kind)).collect();
        self.times(is(|k| matches!(k, Kind::Time(..))), out)?;
        counts(is(|k| matches!(k, Kind::Calls(..))), out)?;
        self.rates(is(|k| matches!(k, Kind::Rate(_))), out)
    }

    fn times(&self, mut cells: Vec<&Cell>, out: &mut dyn Write) -> io::Result<()> {
        let gap = Duration::from_micros(self.args.gap);
        let mut rng = Rng::new(self.args.seed);
        for round in 0..self.args.warm + self.args.rounds {
            rng.shuffle(&mut cells);
            for cell in &cells {
                let (us, status) = cell.command.time()?;
                if status != 0 {
                    writeln!(
                        out,
                        "fail\t{}\t{}\tstatus {status:#x}",
                        cell.row.name,
                        cell.who.name()
                    )?;
                } else if round >= self.args.warm {
                    writeln!(out, "value\t{}\t{}\t{us}", cell.row.name, cell.who.name())?;
                }
                if !gap.is_zero() {
                    std::thread::sleep(gap);
                }
            }
        }
        Ok(())
    }

    fn rates(&self, mut cells: Vec<&Cell>, out: &mut dyn Write) -> io::Result<()> {
        let slice = Duration::from_millis(self.args.slice);
        let mut rng = Rng::new(self.args.seed);
        for _ in 0..self.args.slices {
            rng.shuffle(&mut cells);
            for cell in &cells {
                let (row, who) = (cell.row.name, cell.who.name());
                match rate::measure(&cell.command, slice) {
                    Ok(rate) => writeln!(out, "value\t{row}\t{who}\t{rate}")?,
                    Err(e) => writeln!(out, "fail\t{row}\t{who}\t{e}")?,
                }
                // Network namespaces are taken down in the background; the next must not pay.
                std::thread::sleep(slice / 4);
            }
        }
        Ok(())
    }

    fn memory(&self, row: &Row, profile: Profile, samples: &mut Samples) {
        for (who, program) in &self.programs {
            let command = self.fixture.command(program, profile, &["hold"]);
            for _ in 0..3 {
                match memory::beside_payload(&command, self.user) {
                    Ok(kb) => samples.value(row.name, *who, kb),
                    Err(e) => samples.fail(row.name, *who, &e.to_string()),
                }
            }
        }
    }

    fn sizes(&self, row: &Row, samples: &mut Samples) {
        for (who, program) in &self.programs {
            match fs::read(program) {
                Ok(bytes) if *who == Who::Ours && has_interpreter(&bytes) => {
                    samples.fail(row.name, *who, "not static: the file names an interpreter");
                }
                Ok(bytes) => samples.value(row.name, *who, bytes.len() as f64 / 1024.0),
                Err(e) => samples.fail(row.name, *who, &e.to_string()),
            }
        }
    }
}

/// Counts do not vary with load, only with races between processes: three launches show that.
fn counts(cells: Vec<&Cell>, out: &mut dyn Write) -> io::Result<()> {
    for cell in cells {
        let (row, who) = (cell.row.name, cell.who.name());
        for _ in 0..3 {
            match trace::count(&cell.command, 1) {
                Ok(t) if t.status == 0 => writeln!(out, "value\t{row}\t{who}\t{}", t.calls)?,
                Ok(t) => writeln!(out, "fail\t{row}\t{who}\ttraced: status {:#x}", t.status)?,
                Err(e) => writeln!(out, "fail\t{row}\t{who}\ttraced: {e}")?,
            }
        }
    }
    Ok(())
}

/// How much of a failed command's complaints is repeated, in characters.
const MOST_SAID: usize = 400;

/// Launches once with its complaints in `log`; the error is what it said.
pub fn try_once(command: &Command, log_fd: i32, log: &std::path::Path) -> io::Result<()> {
    let before = fs::metadata(log)?.len() as usize;
    let options = Options { stdio: Some([0, 1, log_fd]), ..Options::default() };
    let status = launch::wait_bounded(command.spawn(options)?)?;
    if status == 0 {
        return Ok(());
    }
    let said = fs::read(log)?;
    let said =
        String::from_utf8_lossy(said.get(before..).unwrap_or_default()).replace(['\n', '\t'], " ");
    let said: String = said.chars().take(MOST_SAID).collect();
    Err(io::Error::other(format!("status {status:#x}: {said}")))
}

/// Whether an ELF file has a PT_INTERP segment, that is, needs a dynamic loader (64-bit, own byte
/// order; anything else counts as not having one).
fn has_interpreter(elf: &[u8]) -> bool {
    let word = |at: usize, n: usize| -> usize {
        let bytes = elf.get(at..at + n).unwrap_or_default();
        bytes.iter().rev().fold(0, |v, b| v << 8 | usize::from(*b))
    };
    let (table, size, count) = (word(32, 8), word(54, 2), word(56, 2));
    (0..count).any(|i| word(table + i * size, 4) == 3)
}

impl Samples {
    fn value(&mut self, row: &str, who: Who, value: f64) {
        self.values.entry((row.to_owned(), who)).or_default().push(value);
    }

    fn fail(&mut self, row: &str, who: Who, why: &str) {
        self.failures.insert((row.to_owned(), who), why.to_owned());
    }

    fn read(&mut self, text: &str) {
        for line in text.lines() {
            let fields: Vec<&str> = line.splitn(4, '\t').collect();
            let [what, row, who, value] = fields[..] else { continue };
            let Some(who) = Who::ALL.into_iter().find(|w| w.name() == who) else { continue };
            match (what, value.parse()) {
                ("value", Ok(v)) => self.value(row, who, v),
                _ => self.fail(row, who, value),
            }
        }
    }
}

/// Tells the person at the terminal how far the run is.
pub fn eprint_line(text: &str) {
    let _ = writeln!(io::stderr(), "bench: {text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A dynamic program is recognised by its interpreter, so a file that lost its static linking
    /// cannot pass the size row; a header cut short is no reason to fail.
    #[test]
    fn recognises_dynamic_programs() {
        let segment = |kind: u8| {
            let mut elf = vec![0u8; 64 + 56];
            elf[..4].copy_from_slice(b"\x7fELF");
            (elf[32], elf[54], elf[56], elf[64]) = (64, 56, 1, kind);
            elf
        };
        assert!(has_interpreter(&segment(3)));
        assert!(!has_interpreter(&segment(1)));
        assert!(!has_interpreter(&segment(3)[..60]));
        assert!(!has_interpreter(b"#!/bin/sh"));
    }

    /// A helper's lines come back as the values, in order, and the reasons it wrote.
    #[test]
    fn reads_what_helpers_write() {
        let mut samples = Samples::default();
        samples
            .read("value\tmin\tours\t2.5\nvalue\tmin\tours\t3\nfail\tstd\tfloor\tstatus 0x100\n");
        assert_eq!(samples.values[&("min".to_owned(), Who::Ours)], [2.5, 3.0]);
        assert_eq!(samples.failures[&("std".to_owned(), Who::Floor)], "status 0x100");
    }
}

//! The rows of the table: what is measured, and the target each must meet.

/// What a profile asks of the program; each is written down in docs/benchmarks.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Profile {
    /// `--ro-bind / /`
    Min,
    /// All namespaces, /usr, links, proc, dev, tmpfs.
    Std,
    /// `Std` with the host's network.
    HostNet,
    /// `/` read-only, a workspace, ten read-only files inside it.
    Agent,
    /// 60 binds, 40 links, 30 directories, files, a filter; words in a file.
    Flatpak,
    /// `Std` and this many more read-only binds.
    Binds(usize),
}

/// What a row measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Wall time of a whole launch, µs, with this many more mounts on the host.
    Time(Profile, usize),
    /// System calls of a launch.
    Calls(Profile, usize),
    /// Private memory beside the payload, kB.
    Memory(Profile),
    /// Launches per second with 8 at once.
    Rate(Profile),
    /// Size of the file, KiB.
    Size,
    /// Bend of the launch time over three sizes (see `stats::bend`).
    TimeBend(&'static [&'static str; 3]),
    /// Bend of the system calls over three sizes.
    CallsBend(&'static [&'static str; 3]),
}

/// One row: its name, kind, and the targets from docs/benchmarks.md.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The name `--rows` takes.
    pub name: &'static str,
    /// What it measures.
    pub kind: Kind,
    /// Must reach: at most this ratio to bubblewrap (times), at least (rates), at most this figure
    /// (the rest). `None`: recorded only.
    pub must: Option<f64>,
    /// Aim for, in the same sense.
    pub aim: Option<f64>,
}

impl Row {
    /// Whether the target speaks of a figure that does not depend on the machine, so that missing
    /// it fails the run.
    pub fn gates(&self) -> bool {
        match self.kind {
            Kind::Calls(..) | Kind::Size | Kind::TimeBend(_) | Kind::CallsBend(_) => {
                self.must.is_some()
            }
            Kind::Time(..) | Kind::Memory(_) | Kind::Rate(_) => false,
        }
    }

    /// Whether a larger figure is the better one.
    pub fn more_is_better(&self) -> bool {
        matches!(self.kind, Kind::Rate(_))
    }

    /// Whether the target is a ratio to bubblewrap rather than a figure of ours.
    pub fn is_relative(&self) -> bool {
        matches!(self.kind, Kind::Time(..) | Kind::Rate(_))
    }

    /// Unit of the figures.
    pub fn unit(&self) -> &'static str {
        match self.kind {
            Kind::Time(..) => "us",
            Kind::Calls(..) => "calls",
            Kind::Memory(_) => "kB",
            Kind::Rate(_) => "1/s",
            Kind::Size => "KiB",
            Kind::TimeBend(_) | Kind::CallsBend(_) => "bend",
        }
    }

    /// Names of the rows this one is computed from.
    pub fn sources(&self) -> &'static [&'static str] {
        match self.kind {
            Kind::TimeBend(names) | Kind::CallsBend(names) => names.as_slice(),
            _ => &[],
        }
    }

    /// How many binds or host mounts a time or call row has beyond its profile.
    pub fn extent(&self) -> usize {
        match self.kind {
            Kind::Time(p, mounts) | Kind::Calls(p, mounts) => match p {
                Profile::Binds(n) => n,
                _ => mounts,
            },
            _ => 0,
        }
    }
}

const fn row(name: &'static str, kind: Kind, must: f64, aim: f64) -> Row {
    Row { name, kind, must: Some(must), aim: Some(aim) }
}

const fn record(name: &'static str, kind: Kind) -> Row {
    Row { name, kind, must: None, aim: None }
}

use Kind::{Calls, CallsBend, Memory, Rate, Size, Time, TimeBend};
use Profile::{Agent, Binds, Flatpak, HostNet, Min, Std};

/// Growth beyond this bend is not linear: noise stays below it, a quadratic cost far above.
const BEND: f64 = 2.0;

/// Every row, in the order of the table.
pub const ROWS: &[Row] = &[
    row("min", Time(Min, 0), 0.40, 0.27),
    row("std", Time(Std, 0), 0.60, 0.48),
    row("hostnet", Time(HostNet, 0), 0.50, 0.36),
    row("agent", Time(Agent, 0), 0.60, 0.47),
    row("flatpak", Time(Flatpak, 0), 0.50, 0.38),
    row("binds-100", Time(Binds(100), 0), 0.50, 0.38),
    row("binds-300", Time(Binds(300), 0), 0.50, 0.38),
    row("binds-1000", Time(Binds(1000), 0), 0.50, 0.38),
    row("min-mounts-500", Time(Min, 500), 0.55, 0.38),
    row("min-mounts-2000", Time(Min, 2000), 0.55, 0.38),
    row("agent-mounts-500", Time(Agent, 500), 0.55, 0.38),
    row("agent-mounts-2000", Time(Agent, 2000), 0.55, 0.38),
    row("linear-binds", TimeBend(&["std", "binds-300", "binds-1000"]), BEND, 1.2),
    row("linear-min-mounts", TimeBend(&["min", "min-mounts-500", "min-mounts-2000"]), BEND, 1.2),
    row(
        "linear-agent-mounts",
        TimeBend(&["agent", "agent-mounts-500", "agent-mounts-2000"]),
        BEND,
        1.2,
    ),
    row("calls-min", Calls(Min, 0), 80.0, 45.0),
    row("calls-std", Calls(Std, 0), 200.0, 150.0),
    record("calls-hostnet", Calls(HostNet, 0)),
    row("calls-agent", Calls(Agent, 0), 280.0, 210.0),
    row("calls-flatpak", Calls(Flatpak, 0), 900.0, 700.0),
    record("calls-binds-300", Calls(Binds(300), 0)),
    record("calls-binds-1000", Calls(Binds(1000), 0)),
    record("calls-min-mounts-500", Calls(Min, 500)),
    record("calls-min-mounts-2000", Calls(Min, 2000)),
    record("calls-agent-mounts-500", Calls(Agent, 500)),
    record("calls-agent-mounts-2000", Calls(Agent, 2000)),
    row(
        "linear-calls-binds",
        CallsBend(&["calls-std", "calls-binds-300", "calls-binds-1000"]),
        1.1,
        1.0,
    ),
    row(
        "linear-calls-min-mounts",
        CallsBend(&["calls-min", "calls-min-mounts-500", "calls-min-mounts-2000"]),
        1.1,
        1.0,
    ),
    row(
        "linear-calls-agent-mounts",
        CallsBend(&["calls-agent", "calls-agent-mounts-500", "calls-agent-mounts-2000"]),
        1.1,
        1.0,
    ),
    row("memory-std", Memory(Std), 200.0, 140.0),
    row("memory-min", Memory(Min), 200.0, 0.0),
    row("rate-std", Rate(Std), 1.3, 1.6),
    row("rate-hostnet", Rate(HostNet), 1.8, 2.3),
    row("rate-min", Rate(Min), 2.5, 4.0),
    row("size", Size, 600.0, 450.0),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Names are unique, and every computed row names rows that exist, in growing extent.
    #[test]
    fn table_is_consistent() {
        for (i, row) in ROWS.iter().enumerate() {
            assert!(ROWS[..i].iter().all(|r| r.name != row.name), "{} twice", row.name);
            let extents: Vec<usize> = row
                .sources()
                .iter()
                .map(|name| ROWS.iter().find(|r| r.name == *name).map(Row::extent))
                .collect::<Option<_>>()
                .unwrap_or_else(|| panic!("{} names a row that is not there", row.name));
            assert!(extents.is_sorted_by(|a, b| a < b), "{}: {extents:?}", row.name);
        }
    }

    /// No target that depends on the machine's speed can fail a run.
    #[test]
    fn ratios_never_gate() {
        assert!(ROWS.iter().all(|r| !(r.gates() && r.is_relative())));
        assert!(ROWS.iter().any(Row::gates));
    }
}

//! Runs tables of attempts, and judges them by what arrived.
#![allow(dead_code)] // each test file uses a part

pub mod tables;
pub mod talk;

use crate::common::Place;
use crate::common::world::World;
use std::collections::BTreeMap;

/// The functions that attempts are made of.
pub const ATTEMPT: &str = include_str!("../common/world/attempt.py");

/// A table of attempts: names, and expressions over the functions of `attempt.py`.
pub struct Attempts(Vec<(String, String)>);

/// What came back, by the names of the attempts.
pub type Results = BTreeMap<String, String>;

impl Attempts {
    /// Those of this table.
    pub fn new<N: ToString, E: ToString>(rows: impl IntoIterator<Item = (N, E)>) -> Self {
        let rows: Vec<_> =
            rows.into_iter().map(|(name, text)| (name.to_string(), text.to_string())).collect();
        let names: std::collections::BTreeSet<&String> =
            rows.iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), rows.len(), "two attempts of one name");
        Self(rows)
    }

    /// The others than those whose names begin so.
    pub fn without(&self, starts: &[&str]) -> Self {
        let other = |row: &&(String, String)| !starts.iter().any(|start| row.0.starts_with(start));
        Self(self.0.iter().filter(other).cloned().collect())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Writes the table into the project, and gives the command that runs it.
    fn command(&self, place: &Place) -> String {
        let text: String = self.0.iter().map(|(name, text)| format!("{name}\t{text}\n")).collect();
        place.dir.file("project/attempt.py", ATTEMPT);
        place.dir.file("project/attempts", text);
        "python3 attempt.py attempts".to_owned()
    }

    /// Makes them in a sandbox.
    #[track_caller]
    pub fn inside(&self, world: &World<'_>, options: &str) -> Results {
        let command = self.command(world.place);
        self.results(&world.inside(options, &command).prints())
    }

    /// Makes them on the host.
    #[track_caller]
    pub fn outside(&self, world: &World<'_>) -> Results {
        let command = self.command(world.place);
        self.results(&world.outside(&command).prints())
    }

    #[track_caller]
    fn results(&self, text: &str) -> Results {
        let results: Results = text
            .lines()
            .filter_map(|line| line.split_once('\t'))
            .map(|(name, result)| (name.to_owned(), result.to_owned()))
            .collect();
        assert_eq!(results.len(), self.len(), "{text}");
        results
    }
}

/// Whether something was reached.
pub fn reached(result: &str) -> bool {
    result.contains("says hello") || result.contains("answered")
}

/// None of them has reached anything.
#[track_caller]
pub fn none_reached(results: &Results) {
    let bad: Vec<_> = results.iter().filter(|(_, result)| reached(result)).collect();
    assert!(bad.is_empty(), "reached: {bad:#?}");
}

/// All of them have, but for those whose names begin so: the control.
#[track_caller]
pub fn all_reached(results: &Results, but: &[&str]) {
    let excused = |name: &str| but.iter().any(|start| name.starts_with(start));
    let bad: Vec<_> =
        results.iter().filter(|(name, result)| !excused(name) && !reached(result)).collect();
    assert!(bad.is_empty(), "the control did not reach: {bad:#?}");
}

/// Every event of a log begins with one of these.
#[track_caller]
pub fn only(log: &str, allowed: &[&str]) {
    let bad: Vec<&str> =
        log.lines().filter(|line| !allowed.iter().any(|start| line.starts_with(start))).collect();
    assert!(bad.is_empty(), "arrived: {bad:#?}");
}

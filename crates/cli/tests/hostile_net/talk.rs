//! A program in a sandbox that is talked with while it runs, and what its user does meanwhile.

use crate::common::world::World;
use std::io::{BufRead as _, BufReader};
use std::time::Duration;
use swathe_testkit::{Running, pipe};

/// Something in a sandbox that says what it does, line by line.
pub struct Talk {
    pub running: Running,
    pub lines: std::io::Lines<BufReader<std::fs::File>>,
}

impl Talk {
    pub fn start(world: &World<'_>, options: &str, text: &str) -> Self {
        let (read, write) = pipe();
        let text = format!("exec 3>&1 1>&2\n{text}");
        let run = world.inside(options, &text).fd(1, write).may_leave(Duration::from_secs(5));
        Self { running: run.start(), lines: BufReader::new(read).lines() }
    }

    /// The next line; nothing at its end.
    pub fn next(&mut self) -> String {
        self.lines.next().and_then(Result::ok).unwrap_or_default()
    }

    #[track_caller]
    pub fn says(&mut self, text: &str) {
        let line = self.next();
        assert!(line.starts_with(text), "it says {line:?} and not {text:?}");
    }

    /// The process that relays for it.
    pub fn helper(&self) -> i32 {
        descendants(self.running.pid)
            .into_iter()
            .find(|pid| {
                let path = format!("/proc/{pid}/cmdline");
                let line = std::fs::read(path).unwrap_or_default();
                line.split(|byte| *byte == 0).any(|word| word == b"__net")
            })
            .expect("a helper")
    }
}

pub fn descendants(pid: i32) -> Vec<i32> {
    let mut all = vec![pid];
    let mut at = 0;
    while let Some(pid) = all.get(at) {
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        for task in tasks {
            let children = std::fs::read_to_string(task.path().join("children"));
            let children = children.unwrap_or_default();
            all.extend(children.split_whitespace().filter_map(|word| word.parse::<i32>().ok()));
        }
        at += 1;
    }
    all
}

pub fn kill(pid: i32) {
    let pid = rustix::process::Pid::from_raw(pid).expect("a process");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("killed");
}

/// What `swathe` prints on this host.
#[track_caller]
pub fn swathe(world: &World<'_>, words: &str) -> String {
    world.on_host(world.place.swathe(words)).prints()
}

/// The only run's name.
pub fn run_of(world: &World<'_>) -> String {
    let listed = swathe(world, "ps --json");
    let listed: serde_json::Value = serde_json::from_str(&listed).expect("JSON");
    listed[0]["id"].as_str().expect("one run").to_owned()
}

//! What a single open costs: this program, as a job, opens one file many times.

use super::Room;
use super::floor::FLOOR;
use super::room::say;
use super::way::Way;
use std::fs::OpenOptions;
use std::io;
use std::time::Instant;

/// This program, as it is called in the project's directory.
pub const PROGRAM: &str = "./opens";
/// How often.
const TIMES: u32 = 20_000;
/// Under a tracer each takes a hundred times as long.
const TIMES_TRACED: u32 = 2_000;

/// A row: its name, and the words before the program. On one core the supervisor runs where the
/// program waits; on two they wake each other across.
pub const ROWS: [(&str, &[&str]); 4] = [
    ("read, us", &["", "read"]),
    ("  one core", &["taskset -c 0", "read"]),
    ("append, us", &["", "append"]),
    ("  one core", &["taskset -c 0", "append"]),
];

/// The program's part, if its words ask for it.
pub fn asked(words: &[String]) -> Option<io::Result<()>> {
    let [first, file, how, times] = words else { return None };
    (first == "--opens").then(|| {
        let times: u32 = times.parse().map_err(|_| io::Error::other("not a number"))?;
        let mut options = OpenOptions::new();
        if how == "read" {
            options.read(true)
        } else {
            options.append(true)
        };
        let start = Instant::now();
        for _ in 0..times {
            options.open(file)?;
        }
        let micros = start.elapsed().as_secs_f64() * 1e6 / f64::from(times);
        say(&format!("{micros:.3}\n"))
    })
}

/// Microseconds of one open and close.
pub fn measure(room: &Room<'_>, way: &Way, words: &[&str]) -> io::Result<f64> {
    let (pin, how) = (words.first().unwrap_or(&""), words.get(1).unwrap_or(&""));
    let times = if way.name == "strace" { TIMES_TRACED } else { TIMES };
    let command = format!("exec ./opens --opens log {how} {times}");
    let shell = ["sh", "-c", &command];
    let pinned: Vec<&str> = pin.split_whitespace().collect();
    let performing = Way::performing("log");
    let way = if way.name == FLOOR && *how == "append" { &performing } else { way };
    let (_, said) = way.pinned(&pinned).run(&room.user, &room.path.join("project"), &shell)?;
    said.trim().parse().map_err(|_| io::Error::other(format!("not a number: {said}")))
}

//! What a single open costs: this program, as a job, opens one file many times.

use super::Room;
use super::room::say;
use super::way::Way;
use std::fs::OpenOptions;
use std::io;
use std::sync::mpsc::channel;
use std::time::Instant;
use swathe_sys::rustix::fd::OwnedFd;
use swathe_sys::rustix::thread::set_no_new_privs;
use swathe_sys::{notify, seccomp};

/// How often.
const TIMES: u32 = 20_000;
/// The way in which what watches does no more than the kernel needs.
pub const FLOOR: &str = "floor";
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
    let [first, file, how, times, way] = words else { return None };
    (first == "--opens").then(|| {
        let times: u32 = times.parse().map_err(|_| io::Error::other("not a number"))?;
        let mut options = OpenOptions::new();
        if how == "read" {
            options.read(true)
        } else {
            options.append(true)
        };
        if way == FLOOR {
            let opens = (how != "read").then(|| (options.clone(), file.clone()));
            watch(opens)?;
        }
        let start = Instant::now();
        for _ in 0..times {
            options.open(file)?;
        }
        let micros = start.elapsed().as_secs_f64() * 1e6 / f64::from(times);
        say(&format!("{micros:.3}\n"))
    })
}

/// Traps every open of the calling thread. Another one lets it go on; or it hands over what it opens
/// itself, knowing beforehand what that is, and closes its own before the call returns.
fn watch(opens: Option<(OpenOptions, String)>) -> io::Result<()> {
    const LOAD_NUMBER: [u8; 8] = [0x20, 0, 0, 0, 0, 0, 0, 0];
    const NOTIFY: [u8; 8] = [0x06, 0, 0, 0, 0, 0, 0xc0, 0x7f];
    const ALLOW: [u8; 8] = [0x06, 0, 0, 0, 0, 0, 0xff, 0x7f];
    let [low, high, ..] = libc::SYS_openat.to_le_bytes();
    let skip_unless_open = [0x15, 0, 0, 1, low, high, 0, 0];
    let program = [LOAD_NUMBER, skip_unless_open, NOTIFY, ALLOW].concat();
    let program = seccomp::parse(&program).ok_or_else(|| io::Error::other("no program"))?;
    let (sender, receiver) = channel::<OwnedFd>();
    std::thread::spawn(move || {
        let Ok(listener) = receiver.recv() else { return };
        while let Ok(call) = notify::receive(&listener) {
            // What is not answered shows: the program hangs.
            let _ = match opens.as_ref().map(|(options, path)| options.open(path)) {
                None => notify::proceed(&listener, call.id),
                Some(Ok(file)) => notify::inject_last(&listener, call.id, file.into(), true),
                Some(Err(_)) => notify::refuse(&listener, call.id, swathe_sys::Errno::IO),
            };
        }
    });
    set_no_new_privs(true)?;
    let listener = seccomp::load_listener(&program)?;
    notify::wake_in_turn(&listener, true)?;
    sender.send(listener).map_err(io::Error::other)
}

/// Microseconds of one open and close.
pub fn measure(room: &Room<'_>, way: &Way, words: &[&str]) -> io::Result<f64> {
    let (pin, how) = (words.first().unwrap_or(&""), words.get(1).unwrap_or(&""));
    let times = if way.name == "strace" { TIMES_TRACED } else { TIMES };
    let command = format!("exec ./opens --opens log {how} {times} '{}'", way.name);
    let shell = ["sh", "-c", &command];
    let pinned: Vec<&str> = pin.split_whitespace().collect();
    let (_, said) = way.pinned(&pinned).run(&room.user, &room.path.join("project"), &shell)?;
    said.trim().parse().map_err(|_| io::Error::other(format!("not a number: {said}")))
}

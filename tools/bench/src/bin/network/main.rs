//! What a network by rules costs: one stream, new connections and many open ones, in
//! `swathe run --net` beside none at all, bridges of socat, slirp4netns and pasta.
//!
//! What the rows mean is in docs/benchmarks.md. Clients run as an ordinary user; the server is on
//! this machine. What is not installed is left out, and said. Exit status: 0, or 2 when something
//! could not be run.
#![forbid(unsafe_code)]

mod load;
// The other benchmarks have more use for it.
#[allow(dead_code)]
#[path = "../../shared/room.rs"]
mod room;
mod ways;

use room::{Told, User, ended, median, say, set, told};
use std::fs;
use std::io;
use std::net::{IpAddr, TcpListener, UdpSocket};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::PathBuf;
use std::process::ExitCode;
use ways::Held;

const HELP: &str = "usage: network --swathe FILE --bwrap FILE [--rounds N] [--seconds N] [--hold N] \
    [--rate SECONDS] [--user UID]\n\
    --seconds: of one stream; --hold: connections at the same time, 0: none; --rate: for how long \
    there are 1,000 new connections a second, 0: not at all\n";

/// New connections a second.
const RATE: u64 = 1000;
/// New connections of one measurement.
const CONNECTS: u64 = 500;

struct Args {
    told: Told,
    seconds: u64,
    hold: u64,
    rate: u64,
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let done = if words.first().is_some_and(|word| word == "client") {
        client(words.get(1..).unwrap_or_default())
    } else {
        parse(words.into_iter()).and_then(|args| bench(&args))
    };
    ended("network", HELP, done)
}

/// `client ADDRESS WHAT NUMBERS…`, inside of what is measured.
fn client(words: &[String]) -> io::Result<()> {
    let wrong = || io::Error::other("client ADDRESS WHAT NUMBERS");
    let (address, rest) = words.split_first().ok_or_else(wrong)?;
    let (what, numbers) = rest.split_first().ok_or_else(wrong)?;
    let address = address.parse().map_err(|_| wrong())?;
    let numbers: Vec<u64> = numbers.iter().filter_map(|word| word.parse().ok()).collect();
    say(&format!("{}\n", load::client(address, what, &numbers)?))
}

fn parse(words: impl Iterator<Item = String>) -> io::Result<Args> {
    let (mut seconds, mut hold, mut rate) = (3, 10_000, 60);
    let told = told(words, 5, |name, value| match name {
        "--seconds" => set(&mut seconds, value),
        "--hold" => set(&mut hold, value),
        "--rate" => set(&mut rate, value),
        _ => None,
    })?;
    Ok(Args { told, seconds, hold, rate })
}

/// A directory of our own with the programs, removed at the end.
pub struct Room {
    path: PathBuf,
    user: User,
    /// Of the server.
    port: u16,
    /// An address of this machine that is not a loopback address, if it has one.
    address: Option<IpAddr>,
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

impl Room {
    fn new(args: &Args) -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("swathe-net-{}", std::process::id()));
        let user = User {
            id: args.told.user,
            room: path.clone(),
            engine: path.join("bin/bwrap"),
            env: Vec::new(),
        };
        for dir in [&path, &path.join("home"), &path.join("run"), &path.join("bin")] {
            fs::create_dir_all(dir)?;
            // Without the right to give it away it is the caller's, who is then the user.
            let _ = chown(dir, Some(args.told.user), Some(args.told.user));
        }
        fs::set_permissions(path.join("run"), fs::Permissions::from_mode(0o700))?;
        let own = std::env::current_exe()?;
        for (from, name) in
            [(&args.told.swathe, "swathe"), (&args.told.bwrap, "bwrap"), (&own, "load")]
        {
            fs::copy(from, path.join("bin").join(name))?;
        }
        let listener = TcpListener::bind("0.0.0.0:0")?;
        // The backlog of the standard library is 128: enough for one client that waits.
        let port = listener.local_addr()?.port();
        load::serve(listener)?;
        Ok(Self { path, user, port, address: own_address() })
    }
}

/// The address from which this machine would speak to others; nothing is sent.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.88.99.1:9").ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_loopback() && !address.is_unspecified()).then_some(address)
}

fn bench(args: &Args) -> io::Result<()> {
    let room = Room::new(args)?;
    let mut ways = Vec::new();
    for way in ways::all(&room)? {
        match way.number(&room, &["connect", "1"]) {
            Ok(_) => ways.push(way),
            // What is compared with may not work here; what is measured must.
            Err(error) if !way.is_ours() => say(&format!("left out: {error}\n"))?,
            Err(error) => return Err(error),
        }
    }
    let seconds = args.seconds.to_string();
    let connects = CONNECTS.to_string();
    let mut streams = vec![Vec::new(); ways.len()];
    let mut opened = vec![Vec::new(); ways.len()];
    for round in 0..args.told.rounds {
        for at in 0..ways.len() {
            // Another one first in each round.
            let at = (at + round) % ways.len();
            streams[at].push(ways[at].number(&room, &["stream", &seconds])? / 1e9);
            opened[at].push(ways[at].number(&room, &["connect", &connects])?);
        }
    }
    say(&format!("{:22}{:>14}{:>14}\n", "", "Gbit/s", "connect, us"))?;
    for ((way, streams), opened) in ways.iter().zip(streams).zip(opened) {
        say(&format!("{:22}{:>14.2}{:>14.0}\n", way.name(), median(streams), median(opened)))?;
    }
    for way in ways.iter().filter(|way| way.is_ours()) {
        if args.hold > 0 {
            let Held { held, memory, sandboxes } = way.hold(&room, args.hold)?;
            let each = memory as f64 / args.hold as f64;
            say(&format!(
                "{}: {held} of {} connections of {sandboxes} sandboxes answer while all are open; \
                 {memory} KiB more of the helpers, {each:.2} KiB each\n",
                way.name(),
                args.hold
            ))?;
        }
        if args.rate > 0 {
            let words = ["rate", &RATE.to_string(), &args.rate.to_string()];
            let failed = way.number(&room, &words)?;
            say(&format!(
                "{}: {RATE} new connections a second for {} s: {failed} failed\n",
                way.name(),
                args.rate
            ))?;
        }
    }
    Ok(())
}

//! A network of a test's own: the host that `swathe` runs on, and an internet whose servers answer
//! at every address, in network namespaces that reach nothing else.
//!
//! The host has 93.184.0.2, 10.0.0.2 and 2600:1f00::2 beside its loopback interface, and asks the
//! resolver at 93.184.0.1. What the internet serves is told in `world/internet.py`, which names do what
//! in `world/names.py`.

use super::{Place, installed};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use swathe_testkit::{Run, notice};

/// The address of the servers behind ordinary names.
pub const PUBLIC: &str = "93.184.216.34";

const LAY_OUT: &str = include_str!("world/lay_out.sh");
const INTERNET: &str = include_str!("world/internet.py");
const NAMES: &str = include_str!("world/names.py");

/// Programs without which there is no such network.
const NEEDS: [&str; 5] = ["python3", "openssl", "ip", "unshare", "nsenter"];

/// Both sides. They end with it.
pub struct World<'p> {
    /// The user's machine, which is the host's side.
    pub place: &'p Place,
    internet: Side,
    host: Side,
    child: Child,
    is_root: bool,
}

/// The servers and the observer of one side.
struct Side {
    name: &'static str,
    input: Option<File>,
    output: Lines<BufReader<File>>,
}

impl<'p> World<'p> {
    /// One for the user of this place; none, after a notice, where it cannot be made.
    #[must_use]
    pub fn new(place: &'p Place) -> Option<Self> {
        // Every one is named before any is given up for.
        let missing = NEEDS.into_iter().filter(|program| !installed(program)).count();
        if missing > 0 {
            return None;
        }
        place.dir.dir("world");
        place.dir.file("world/lay_out.sh", LAY_OUT);
        place.dir.file("world/internet.py", INTERNET);
        place.dir.file("world/names.py", NAMES);
        place.dir.file("world/resolv.conf", "nameserver 93.184.0.1\n");
        place
            .dir
            .file("world/hosts", "127.0.0.1 localhost\n::1 localhost\n10.0.0.5 hosted.example\n");
        let dir = place.dir.at("world");
        let is_root = rustix::process::geteuid().is_root();
        let apart = |program: &[&str]| {
            let user: &[&str] = &["--user", "--map-current-user", "--keep-caps"];
            let mut command = Command::new("unshare");
            command.args(if is_root { &[] } else { user });
            command.args(["--net", "--mount"]).args(program);
            command
        };
        let tried = apart(&["true"]).output().expect("unshare runs");
        if !tried.status.success() {
            let why = String::from_utf8_lossy(&tried.stderr);
            notice(&format!("no network of a test's own can be made here: {why}"));
            return None;
        }
        let mut lay_out = apart(&["sh", &(dir.clone() + "/lay_out.sh"), &dir]);
        let errors = File::create(dir.clone() + "/internet.err").expect("a file");
        lay_out.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors);
        let mut child = lay_out.spawn().expect("started");
        let input: OwnedFd = child.stdin.take().expect("piped").into();
        let output: OwnedFd = child.stdout.take().expect("piped").into();
        let mut internet = Side::new("internet", input.into(), output.into());
        assert!(internet.says(&["laid out", "ready"]), "{}", internet.errors(&dir));
        let input = File::options().write(true).open(dir.clone() + "/host.in").expect("a pipe");
        let output = File::open(dir.clone() + "/host.out").expect("a pipe");
        let mut host = Side::new("host", input, output);
        assert!(host.says(&["ready"]), "{}", host.errors(&dir));
        place.host(&format!("cp {dir}/ca.pem ca.pem"));
        Some(Self { place, internet, host, child, is_root })
    }

    /// Has it run on this host.
    #[must_use]
    pub fn on_host(&self, run: Run) -> Run {
        // Whoever enters a mount namespace stands at its root.
        let project = format!("--wdns={}", self.place.project(""));
        let target = format!("--target={}", self.child.id());
        let user: &[&str] = if self.is_root { &[] } else { &["--user", "--preserve-credentials"] };
        let words = [&project, &target, "--net", "--mount"].into_iter().chain(user.iter().copied());
        run.through("nsenter", words.chain(["--"]))
    }

    /// `swathe run OPTIONS -- sh -c TEXT` on this host.
    #[must_use]
    pub fn inside(&self, options: &str, text: &str) -> Run {
        self.on_host(self.place.inside(options, text))
    }

    /// `sh -c TEXT` on this host, outside any sandbox.
    #[must_use]
    pub fn outside(&self, text: &str) -> Run {
        self.on_host(self.place.outside(text))
    }

    /// What has arrived on the internet so far, one event a line.
    #[must_use]
    pub fn internet(&mut self) -> String {
        self.internet.log(self.place)
    }

    /// What has arrived on the host's loopback interface so far, which is also how it reaches its
    /// other addresses.
    #[must_use]
    pub fn host(&mut self) -> String {
        self.host.log(self.place)
    }
}

impl Side {
    fn new(name: &'static str, input: File, output: File) -> Self {
        Self { name, input: Some(input), output: BufReader::new(output).lines() }
    }

    /// Whether it says these lines, in any order, and nothing else before.
    fn says(&mut self, lines: &[&str]) -> bool {
        let said: Vec<String> =
            self.output.by_ref().take(lines.len()).map_while(Result::ok).collect();
        said.len() == lines.len() && said.iter().all(|line| lines.contains(&line.as_str()))
    }

    fn errors(&self, dir: &str) -> String {
        std::fs::read_to_string(format!("{dir}/{}.err", self.name)).unwrap_or_default()
    }

    fn log(&mut self, place: &Place) -> String {
        let mut input = self.input.as_ref().expect("it runs");
        input.write_all(b"so far\n").expect("it runs");
        assert!(self.says(&["so far"]), "{}", self.errors(&place.dir.at("world")));
        let path = place.dir.at(&format!("world/{}.log", self.name));
        String::from_utf8_lossy(&std::fs::read(path).expect("a log")).into_owned()
    }
}

impl Drop for World<'_> {
    fn drop(&mut self) {
        drop((self.internet.input.take(), self.host.input.take()));
        let _ = self.child.wait();
    }
}

//! A network of a test's own: the host that `swathe` runs on, and an internet whose servers answer
//! at every address, in network namespaces that reach nothing else.
//!
//! The host has 93.184.0.2, 10.0.0.2 and 2600:1f00::2 beside its loopback interface, and asks the
//! resolver at 93.184.0.1. What the internet serves, and which names do what, is told in
//! `world/internet.py`.

use super::{Place, installed};
use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use swathe_testkit::{Run, notice};

/// The address of the servers behind ordinary names.
pub const PUBLIC: &str = "93.184.216.34";

const LAY_OUT: &str = include_str!("world/lay_out.sh");
const INTERNET: &str = include_str!("world/internet.py");

/// Programs without which there is no such network.
const NEEDS: [&str; 5] = ["python3", "openssl", "ip", "unshare", "nsenter"];

/// Both sides. They end with it.
pub struct World<'p> {
    /// The user's machine, which is the host's side.
    pub place: &'p Place,
    internet: Side,
    host: Side,
    holder: String,
    is_root: bool,
}

/// The servers and the observer of one side.
struct Side {
    name: &'static str,
    child: Child,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
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
        place.dir.file("world/resolv.conf", "nameserver 93.184.0.1\n");
        place
            .dir
            .file("world/hosts", "127.0.0.1 localhost\n::1 localhost\n10.0.0.5 hosted.example\n");
        let dir = place.dir.at("world");
        let is_root = rustix::process::geteuid().is_root();
        let mut lay_out = Command::new("unshare");
        if !is_root {
            lay_out.args(["--user", "--map-current-user", "--keep-caps"]);
        }
        lay_out.args(["--net", "--mount", "sh", &(dir.clone() + "/lay_out.sh"), &dir]);
        let mut internet = Side::start("internet", &mut lay_out, &dir);
        if !internet.says(&["laid out", "ready"]) {
            notice(&format!("no network of a test's own can be made: {}", internet.errors(&dir)));
            return None;
        }
        let holder = internet.child.id().to_string();
        let mut serve = Command::new("nsenter");
        serve.args(enter(&holder, is_root)).args(["python3", &(dir.clone() + "/internet.py")]);
        serve.args(["host", &dir]);
        let mut host = Side::start("host", &mut serve, &dir);
        assert!(host.says(&["ready"]), "{}", host.errors(&dir));
        place.host(&format!("cp {dir}/ca.pem ca.pem"));
        Some(Self { place, internet, host, holder, is_root })
    }

    /// Has it run on this host.
    #[must_use]
    pub fn on_host(&self, run: Run) -> Run {
        // Whoever enters a mount namespace stands at its root.
        let project = format!("--wdns={}", self.place.project(""));
        let words = enter(&self.holder, self.is_root);
        run.through("nsenter", [project].into_iter().chain(words))
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

/// The words of nsenter that lead to the host's side.
fn enter(holder: &str, is_root: bool) -> Vec<String> {
    let user: &[&str] = if is_root { &[] } else { &["--user", "--preserve-credentials"] };
    let words = ["--target", holder, "--net", "--mount"];
    words.iter().chain(user).chain(&["--"]).map(|word| (*word).to_owned()).collect()
}

impl Side {
    fn start(name: &'static str, command: &mut Command, dir: &str) -> Self {
        let errors = std::fs::File::create(format!("{dir}/{name}.err")).expect("a file");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors);
        let mut child = command.spawn().expect("started");
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().expect("piped")).lines();
        Self { name, child, input, output }
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

impl Drop for Side {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}

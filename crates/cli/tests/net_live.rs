//! Rules and published ports that are given and taken back while the program runs.

mod common;
mod hostile_net;

use common::Place;
use common::world::World;
use hostile_net::talk::{Talk, run_of, swathe};
use std::fmt::Write as _;
use std::io::Write as _;

/// A port that is published no more is closed: whoever was connected by it is not any more, whoever
/// comes finds nothing, and others may listen there.
fn unpublished(place: &Place) {
    let Some(world) = World::new(place) else { return };
    place.dir.file("project/page", "from the sandbox\n");
    let text = "python3 -m http.server --bind 0.0.0.0 3000 & \
        until curl -sf http://127.0.0.1:3000/page; do sleep 0.05; done; echo up >&3; sleep 300";
    let options = "--publish 18080:3000 --publish 0.0.0.0:18081:3000";
    let mut talk = Talk::start(&world, options, text);
    talk.says("up");
    let run = run_of(&world);
    let client = r#"
import os, socket, subprocess, sys
run = sys.argv[1]
def change(*words):
    return subprocess.run([os.environ["SWATHE"], *words], capture_output=True, text=True)
def fetch(port):
    try:
        with socket.create_connection(("127.0.0.1", port), 20) as s:
            s.sendall(b"GET /page HTTP/1.0\r\n\r\n")
            return "open" if b"from the sandbox" in s.makefile("rb").read() else "broken"
    except OSError as e:
        return e.strerror
for port, words in ((18080, "18080:3000"), (18081, "0.0.0.0:18081:3000")):
    print(fetch(port))
    held = socket.create_connection(("127.0.0.1", port), 60)
    held.sendall(b"GET /page HTTP/1.1\r\n")
    # It is one of the listed when it is relayed.
    while f":{port} " not in change("net", run).stdout:
        pass
    print(change("revoke", run, "net.listen=" + words).returncode)
    try:
        print("ended" if held.recv(1) == b"" else "goes on")
    except ConnectionResetError:
        print("ended")
    print(fetch(port))
    socket.create_server(("127.0.0.1", port)).close()
    print(change("grant", run, "net.listen=" + words).returncode)
    print(fetch(port))
    print(change("revoke", run, "net.listen=" + words.replace("18", "28")).stderr.split()[-3:])
    print(change("grant", run, "net.listen=" + words).returncode)
    print(fetch(port))
"#;
    place.dir.file("project/client.py", client);
    let said = world.outside(&format!("python3 client.py {run}")).prints();
    let each =
        "open\n0\nended\nConnection refused\n0\nopen\n['was', 'not', 'published']\n1\nopen\n";
    assert_eq!(said.trim(), each.repeat(2).trim());
    talk.running.kill(15);
    talk.running.wait();
}

/// A shell in a sandbox that is given one line after the other.
struct Shell<'w> {
    world: &'w World<'w>,
    talk: Talk,
    input: std::fs::File,
    run: String,
}

impl<'w> Shell<'w> {
    fn start(world: &'w World<'_>, options: &str) -> Self {
        world.place.host("rm -f lines; mkfifo lines");
        let text = "exec 4<lines; echo up >&3; \
            while read -r line <&4; do echo \"$(sh -c \"$line\" 2>&1 | tr '\\n' ' ')\" >&3; done";
        // Also to read, so that neither side waits for the other to open it.
        let lines = world.place.project("lines");
        let input = std::fs::File::options().read(true).write(true).open(lines).expect("a pipe");
        let mut talk = Talk::start(world, options, text);
        talk.says("up");
        Self { world, talk, input, run: run_of(world) }
    }

    /// What a line of the shell prints.
    fn ask(&mut self, line: &str) -> String {
        writeln!(self.input, "{line}").expect("it runs");
        self.talk.next()
    }

    /// Whether something can be fetched.
    fn fetches(&mut self, url: &str) -> bool {
        self.ask(&format!("curl -sSm 30 {url}")).contains("says hello")
    }

    /// Whether a datagram is answered.
    fn sends(&mut self, address: &str, port: u16) -> bool {
        let line = format!(
            "for n in 1 2 3 4 5; do python3 -c 'import socket; s = socket.socket(socket.AF_INET, 2); \
            s.settimeout(1); s.connect((\"{address}\", {port})); s.send(b\"hello\"); print(s.recv(99))' \
            2>/dev/null && break; done"
        );
        self.ask(&line).contains("hello")
    }

    /// Begins to fetch something without an end.
    fn streams(&mut self, url: &str) {
        let line = format!(
            "rm -f /tmp/came /tmp/code; (curl -sN {url} >/tmp/came; echo code $? >/tmp/code) >/dev/null 2>&1 & \
            until test -s /tmp/came; do sleep 0.05; done; echo streams"
        );
        assert_eq!(self.ask(&line).trim(), "streams");
    }

    /// Waits until that has ended.
    fn ends(&mut self) {
        let said = self.ask(
            "for n in $(seq 600); do test -s /tmp/code && break; sleep 0.05; done; cat /tmp/code",
        );
        assert!(said.starts_with("code "), "it goes on");
    }

    /// `swathe WORD RUN INTENT`; what is said about it.
    #[track_caller]
    fn change(&self, word: &str, intent: &str) -> String {
        let words = format!("{word} {} {intent}", self.run);
        self.world.on_host(self.world.place.swathe(&words)).exits(0).errors()
    }

    fn end(self) {
        self.talk.running.kill(15);
        self.talk.running.wait();
    }
}

/// What is taken back can be given again, by both protocols; and a port of this machine whose number
/// another rule has already.
fn again(place: &Place) {
    let Some(world) = World::new(place) else { return };
    for way in ["nft", "routes"] {
        let options = format!("--net good.example.com:80,10.0.0.5:7/udp --net-way {way}");
        let mut shell = Shell::start(&world, &options);
        for _ in 0..2 {
            assert!(shell.fetches("http://good.example.com/"), "{way}");
            shell.change("revoke", "net.host=good.example.com:80");
            assert!(!shell.fetches("http://good.example.com/"), "{way}");
            shell.change("grant", "net.host=good.example.com:80");
            assert!(shell.sends("10.0.0.5", 7), "{way}");
            shell.change("revoke", "net.cidr=10.0.0.5:7/udp");
            shell.change("grant", "net.cidr=10.0.0.5:7/udp");
        }
        assert!(!shell.fetches("http://localhost/"), "{way}");
        shell.change("grant", "net.host=localhost:80");
        assert!(shell.fetches("http://localhost/"), "{way}");
        shell.change("revoke", "net.host=localhost:80");
        assert!(!shell.fetches("http://localhost/"), "{way}");
        shell.end();
    }
}

/// An address that is denied, or whose block is taken back, is not connected to any more, also by a
/// name.
fn addresses(place: &Place) {
    let Some(world) = World::new(place) else { return };
    let options = "--net *.example.com:80,10.0.0.0/24:80";
    let mut shell = Shell::start(&world, options);
    shell.streams("http://v4-a.example.com/forever");
    shell.change("grant", "net.deny=93.184.216.34");
    shell.ends();
    assert!(!shell.fetches("http://v4-a.example.com/"));
    shell.streams("http://to-10-0-0-7.example.com/forever");
    shell.change("grant", "net.deny=10.0.0.9");
    assert!(shell.fetches("http://to-10-0-0-7.example.com/"), "it is another address");
    shell.change("revoke", "net.cidr=10.0.0.0/24:80");
    shell.ends();
    shell.end();
}

/// As many rules as there may be are changed as few are; and where a rule is left that allows the
/// same, that is said.
fn many_rules(place: &Place) {
    let Some(world) = World::new(place) else { return };
    let mut options = "--net good.example.com:80,*.example.com:80".to_owned();
    for file in 0..4 {
        let mut text = String::new();
        for number in 0..1000 {
            let name =
                format!("a-name-that-is-as-long-as-names-are-{number}.of-{file}.example.org");
            write!(text, "[[intent]]\nuse = \"net.host\"\nto = \"{name}\"\n").expect("a text");
        }
        place.dir.file(&format!("project/{file}.toml"), text);
        write!(options, " --profile ./{file}.toml").expect("a text");
    }
    let mut shell = Shell::start(&world, &options);
    let said = shell.change("revoke", "net.host=good.example.com:80");
    assert!(said.contains("it is still allowed, by *.example.com:80"), "{said}");
    shell.streams("http://good.example.com/forever");
    assert_eq!(shell.change("revoke", "net.host=*.example.com:80"), "");
    shell.ends();
    assert!(!shell.fetches("http://good.example.com/"));
    shell.change("grant", "net.host=good.example.com:80");
    assert!(shell.fetches("http://good.example.com/"));
    shell.end();
}

/// A program that goes on sending datagrams from one socket is answered when that is granted.
fn datagrams(place: &Place) {
    let Some(world) = World::new(place) else { return };
    place.dir.file(
        "project/sends.py",
        "import socket, sys\ns = socket.socket(socket.AF_INET, 2)\ns.settimeout(0.1)\n\
        s.connect((\"10.0.0.5\", 7))\n\
        def answered():\n try:\n  s.send(b'hello')\n  return s.recv(99)\n except OSError:\n  pass\n\
        for n in range(3): print(answered() or 'none', flush=True)\n\
        while True:\n if answered(): print('answered', flush=True); break\n",
    );
    let mut talk = Talk::start(&world, "--net 10.0.0.9:7/udp", "python3 sends.py >&3; sleep 300");
    for _ in 0..3 {
        talk.says("none");
    }
    swathe(&world, &format!("grant {} net.cidr=10.0.0.5:7/udp", run_of(&world)));
    talk.says("answered");
    talk.running.kill(15);
    talk.running.wait();
}

both! { unpublished, again, addresses, many_rules, datagrams }

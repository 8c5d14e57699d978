//! Questions on the terminal of a run: what is drawn, what counts as an answer, and that program and
//! question never have the terminal at once.
//!
//! The tests ask themselves: this program, started again by them as [`drill`], runs a program in a
//! sandbox as `swathe run` does, and asks what it finds in a directory.

mod common;

use common::screen::Screen;
use common::{Place, installed};
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use swathe_cli::ask::{self, Options, Run};
use swathe_cli::control;
use swathe_cli::streams::Signals;
use swathe_policy::Environment;
use swathe_record::ask::{Desk, Reply};
use swathe_record::question::Question;
use swathe_testkit::reachable;

both!(
    output_and_input_are_held,
    answers,
    refusals,
    interrupt,
    standing,
    withdrawn,
    continued,
    terminal_as_it_was,
    no_terminal,
    half_a_terminal,
    example_client,
    live_changes,
);

/// After so long without a key the next one counts.
const QUIET: Duration = Duration::from_millis(350);

/// Prints all the time, and says what it reads, until that is `stop`.
const TICKS: &str = "exec 3<&0; while read -r line; do echo \"heard<$line>\"; \
    [ \"$line\" = stop ] && kill $$; done <&3 & \
    n=0; while :; do n=$((n+1)); echo tick-$n; sleep 0.005; done";

/// What the drill is told to ask.
struct Asker<'p> {
    place: &'p Place,
    asked: u64,
}

impl Asker<'_> {
    /// Asks, without waiting for anything.
    fn ask(&mut self, pid: u32, action: &str, object: &str) -> u64 {
        self.asked += 1;
        let question = serde_json::json!({
            "id": self.asked, "pid": pid, "command": ["cat", "x\ny"], "action": action,
            "object": object, "directory": false,
        });
        self.put(&format!("ask-{:03}", self.asked), &question.to_string());
        self.asked
    }

    /// Whole or not at all.
    fn put(&self, name: &str, text: &str) {
        self.place.dir.file(&format!("questions/.{name}"), text);
        let path = |name: &str| self.place.dir.at("questions/") + name;
        std::fs::rename(path(&format!(".{name}")), path(name)).expect("renamed");
    }

    /// The reply to a question.
    #[track_caller]
    fn reply(&self, id: u64) -> String {
        let path = self.place.dir.at(&format!("questions/reply-{id}"));
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(60) {
            if let Ok(text) = std::fs::read_to_string(&path) {
                return text;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        panic!("no reply to {id}");
    }
}

/// A drill on a screen.
struct Drill<'p> {
    screen: Screen,
    asker: Asker<'p>,
}

impl<'p> Drill<'p> {
    /// Runs `sh -c TEXT` in a sandbox that asks.
    fn start(place: &'p Place, text: &str) -> Self {
        Self::with(place, text, "", "")
    }

    fn with(place: &'p Place, text: &str, before: &str, after: &str) -> Self {
        place.dir.dir("questions");
        let quoted = text.replace('\'', "'\\''");
        let screen = Screen::start(
            place,
            &format!(
                "{before} ASK_DIR='{}' ASK_TEXT='{quoted}' '{}' --exact drill --ignored --nocapture \
                 -q {after}",
                place.dir.at("questions"),
                reachable(&std::env::current_exe().expect("a program")).display(),
            ),
        );
        Self { screen, asker: Asker { place, asked: 0 } }
    }

    /// Waits for a question to be open, and until keys count.
    #[track_caller]
    fn open(&mut self) {
        self.screen.expect("[no] > ");
        std::thread::sleep(QUIET);
    }

    /// All that was printed, after the program's end.
    #[track_caller]
    fn end(self) -> String {
        let (outcome, seen) = self.screen.end();
        assert_eq!(outcome.ended.shell(), 0, "{seen}");
        seen
    }
}

/// What is on the screen while a question is open, from its first line on.
fn open_part<'s>(seen: &'s str, end: &str) -> &'s str {
    let start = seen.find("-- swathe asks").expect("a question");
    let rest = &seen[start..];
    &rest[..rest.find(end).expect("an end")]
}

/// While a question is open nothing of the program is printed and nothing reaches it. What was typed
/// before answers nothing; what is typed afterwards is the program's.
fn output_and_input_are_held(place: &Place) {
    let mut drill = Drill::start(place, TICKS);
    drill.screen.expect("tick-10\r\n").send("before\r");
    drill.screen.expect("heard<before>");
    drill.screen.send("o\r");
    let id = drill.asker.ask(7, "read", "/h/a");
    drill.screen.expect("[no] > ").send("o\r");
    std::thread::sleep(QUIET);
    drill.screen.send("r");
    drill.screen.expect("[no] > run").send("\r");
    drill.screen.expect("  allowed for this run\r\n");
    assert_eq!(drill.asker.reply(id), "yes Answered(Run) +Read:/h/a");
    drill.screen.expect("tick-").send("after\r");
    drill.screen.expect("heard<after>").send("stop\r");
    let seen = drill.end();
    let question = open_part(&seen, "  allowed for this run");
    assert!(!question.contains("tick"), "{question}");
    assert!(question.contains("process 7 wants to read the file\r\n  \"/h/a\"\r\n"), "{question}");
    assert!(question.contains("  command: \"cat x\\x0ay\"\r\n"), "{question}");
    assert!(!seen.contains("heard<r>"), "{seen}");
    // Every line of the program is there, in order.
    let ticks: Vec<u32> = seen
        .lines()
        .filter_map(|line| line.trim_end().strip_prefix("tick-")?.parse().ok())
        .collect();
    assert!(ticks.len() > 20 && ticks.windows(2).all(|two| two[1] == two[0] + 1), "{ticks:?}");
}

/// Each letter means what it says, and switches widen and narrow.
fn answers(place: &Place) {
    let mut drill = Drill::start(place, "read -r line");
    for (number, (keys, reply)) in [
        ("o\r", "yes Answered(Once)"),
        ("dr\r", "yes Answered(Run) +Write:/h1/..."),
        ("yr\r", "read Answered(Run) +Read:/h2/a -Write:/h2/a"),
        ("?xo\r\ro\x7f\rn\r", "no Answered(Once)"),
        ("v\r", "no Answered(Always) -Write:/h4/a"),
    ]
    .into_iter()
    .enumerate()
    {
        let id =
            drill.asker.ask(u32::try_from(number).expect("few"), "write", &format!("/h{number}/a"));
        drill.open();
        // Each key by itself: those behind an answer are thrown away.
        for key in keys.split_inclusive('\r') {
            drill.screen.send(key);
            if key.contains('x') {
                drill.screen.expect("no answer: type one letter, then Enter");
                break;
            }
        }
        if keys.contains('x') {
            drill.screen.send("\r");
        }
        assert_eq!(drill.asker.reply(id), reply, "{keys:?}");
    }
    // What holds for the run is not asked again.
    let id = drill.asker.ask(9, "create", "/h1/b");
    assert_eq!(drill.asker.reply(id), "yes Remembered");
    drill.screen.send("\r");
    let seen = drill.end();
    assert!(seen.contains("a  yes, now and in later runs of app the drill"), "{seen}");
}

/// Enter alone, end of input, and too many refusals.
fn refusals(place: &Place) {
    let mut drill = Drill::start(place, "read -r line");
    for key in ["\r", "\x04", "n\r", "\r", "\r"] {
        let id = drill.asker.ask(7, "read", "/h/a");
        drill.open();
        drill.screen.send(key);
        assert_eq!(drill.asker.reply(id), "no Answered(Once)");
    }
    let id = drill.asker.ask(7, "read", "/i/a");
    assert_eq!(drill.asker.reply(id), "no Storm");
    drill.screen.send("\r");
    drill.end();
}

/// The key that interrupts refuses, and interrupts the program.
fn interrupt(place: &Place) {
    let text = "trap 'echo caught-it; exit 0' INT; echo set-up; while :; do sleep 0.01; done";
    let mut drill = Drill::start(place, text);
    drill.screen.expect("set-up");
    let id = drill.asker.ask(7, "execute", "/h/a");
    drill.open();
    drill.screen.send("\x03");
    assert_eq!(drill.asker.reply(id), "no Answered(Once)");
    drill.screen.expect("caught-it");
    drill.end();
}

/// What was decided for always is listed, and holds in the next run until it is forgotten.
fn standing(place: &Place) {
    let mut drill = Drill::start(place, "read -r line");
    let id = drill.asker.ask(7, "read", "/h/a");
    drill.open();
    drill.screen.send("da\r");
    assert_eq!(drill.asker.reply(id), "yes Answered(Always) +Read:/h/...");
    let id = drill.asker.ask(7, "connect", "unix:/run/x\u{1b}");
    drill.open();
    drill.screen.send("v\r");
    assert_eq!(drill.asker.reply(id), "no Answered(Always) -Connect:unix:/run/x\\x1b");
    drill.screen.send("\r");
    drill.end();
    let listed = place.swathe("grants").prints();
    let lines: Vec<&str> = listed.lines().collect();
    assert!(lines[0].starts_with("app the drill") && lines.len() == 3, "{listed}");
    assert!(
        lines[1].ends_with("always read    /h/...") || lines[2].ends_with("/h/..."),
        "{listed}"
    );
    assert!(listed.contains("never  connect unix:/run/x\\x1b"), "{listed}");
    let mut drill = Drill::start(place, "read -r line");
    drill.asker.put("skip", "");
    drill.asker.asked = 10;
    let id = drill.asker.ask(8, "read", "/h/b/c");
    assert_eq!(drill.asker.reply(id), "yes Remembered");
    drill.screen.send("\r");
    drill.end();
    let json: serde_json::Value =
        serde_json::from_str(&place.swathe("grants --json").prints()).expect("JSON");
    let ids: Vec<&str> = json["decisions"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|decision| decision["id"].as_str().expect("text"))
        .collect();
    let errors = place.swathe(&format!("grants forget {} nothing", ids[0])).exits(1).errors();
    assert!(errors.contains("no decision has the id nothing"), "{errors}");
    place.swathe(&format!("grants forget {}", ids[0])).exits(0);
    assert_eq!(place.swathe("grants").prints().lines().count(), 2);
    place.swathe("grants forget --all").exits(0);
    assert_eq!(place.swathe("grants").prints(), "nothing was decided for always or never");
}

/// A question whose process has ended is taken from the screen, and the program goes on.
fn withdrawn(place: &Place) {
    let mut drill = Drill::start(place, "read -r line; echo got-$line");
    let id = drill.asker.ask(7, "read", "/h/a");
    drill.open();
    drill.asker.put(&format!("withdraw-{id}"), "");
    drill.screen.expect("  no longer asked\r\n");
    assert_eq!(drill.asker.reply(id), "no Withdrawn");
    drill.screen.send("it\r");
    drill.screen.expect("got-it");
    drill.end();
}

/// A job that somebody continues while it asks asks again, with the program held again.
fn continued(place: &Place) {
    let mut drill = Drill::start(place, "sleep 1000 & echo job-$$; read -r line; kill $!");
    drill.screen.expect("job-");
    let id = drill.asker.ask(7, "read", "/h/a");
    drill.open();
    drill.asker.put("continue", "");
    drill.screen.expect("-- swathe asks");
    drill.open();
    drill.screen.send("o\r");
    assert_eq!(drill.asker.reply(id), "yes Answered(Once)");
    drill.screen.expect("allowed once").send("\r");
    drill.end();
}

/// The terminal has the settings that it had, also where the run ends with a question open.
fn terminal_as_it_was(place: &Place) {
    for last in ["n\r", ""] {
        let before = "stty -g >../before;";
        let text = if last.is_empty() { "read -r line & exec sleep 3" } else { "read -r line" };
        let mut drill = Drill::with(place, text, before, "; stty -g >../after");
        let id = drill.asker.ask(7, "read", "/h/a");
        drill.open();
        if !last.is_empty() {
            drill.screen.send(last);
            drill.asker.reply(id);
            drill.screen.expect("  refused\r\n").send("\r");
        } else {
            drill.asker.put("kill", "");
            assert_eq!(drill.asker.reply(id), "no Gone");
        }
        drill.screen.end();
        assert_eq!(place.host("cat ../before"), place.host("cat ../after"));
        place.host("rm -r ../questions");
    }
}

/// Without a terminal nobody can be asked, and nothing runs.
fn no_terminal(place: &Place) {
    place.dir.dir("questions");
    let drill = reachable(&std::env::current_exe().expect("a program"));
    let text = format!(
        "ASK_DIR='{}' ASK_TEXT='echo ran' setsid -w '{}' --exact drill --ignored --nocapture -q",
        place.dir.at("questions"),
        drill.display()
    );
    let outcome = place.outside(&text).exits(1);
    assert!(outcome.errors().contains("--ask has no terminal to ask on"), "{outcome}");
    assert!(outcome.errors().contains("--ask-fd FD"), "{outcome}");
    assert!(!outcome.text().contains("ran"), "{outcome}");
}

/// A program of which only one stream is on the terminal is held, too.
fn half_a_terminal(place: &Place) {
    let text = "exec 1>&2; for n in $(seq 1000); do echo tick-$n; sleep 0.005; done";
    let mut drill = Drill::with(place, text, "", "</dev/null >/dev/null");
    drill.screen.expect("tick-10\r");
    let id = drill.asker.ask(7, "read", "/h/a");
    drill.open();
    drill.screen.send("o\r");
    drill.screen.expect("allowed once");
    assert_eq!(drill.asker.reply(id), "yes Answered(Once)");
    drill.screen.expect("tick-1000\r");
    let seen = drill.end();
    assert!(!open_part(&seen, "  allowed once").contains("tick"), "{seen}");
}

/// The example of the documentation answers by its lists, and with its end all is refused.
fn example_client(place: &Place) {
    if !installed("python3") {
        return;
    }
    place.dir.dir("questions");
    // In place of `swathe`, with the same option.
    let drill = reachable(&std::env::current_exe().expect("a program"));
    let script = format!(
        "#!/bin/sh\nfor word; do case $word in --ask-fd=*) ASK_FD=${{word#*=}};; esac; done\n\
         export ASK_FD\nexec '{}' --exact drill --ignored --nocapture -q\n",
        drill.display()
    );
    place.dir.file("swathe.sh", script);
    place.dir.mode("swathe.sh", 0o755);
    let client = include_str!("../../../examples/ask-client.py");
    place.dir.file("client.py", client);
    let stop = place.dir.at("questions/stop");
    let text = format!("echo running; while [ ! -e '{stop}' ]; do sleep 0.01; done; echo ended");
    let running = place
        .outside("exec python3 ../client.py --read /h/r --write /h/w -- sh")
        .env("SWATHE", place.dir.at("swathe.sh"))
        .env("ASK_DIR", place.dir.at("questions"))
        .env("ASK_TEXT", text)
        .start();
    let mut asker = Asker { place, asked: 0 };
    for (action, object, reply) in [
        ("read", "/h/r/a b", "yes Answered(Run) +Read:/h/r/a b"),
        ("write", "/h/r/a b", "no Answered(Run) -Write:/h/r/a b"),
        ("create", "/h/w/x", "yes Answered(Run) +Write:/h/w/x"),
        ("read", "/h/w/x", "yes Remembered"),
        ("read", "/h/rr", "no Answered(Run) -Read:/h/rr"),
        ("connect", "unix:/h/w/s", "no Answered(Run) -Connect:unix:/h/w/s"),
    ] {
        let id = asker.ask(7, action, object);
        assert_eq!(asker.reply(id), reply, "{action} {object}");
    }
    place.dir.file("questions/stop", "");
    let outcome = running.wait();
    assert_eq!(outcome.ended.shell(), 0, "{outcome}");
    assert!(outcome.text().contains("running\nended"), "{outcome}");
    assert!(outcome.errors().contains("refused: connect unix:/h/w/s"), "{outcome}");
}

/// Changes of a running sandbox reach who takes them, in full paths; others, wrong words and
/// sandboxes that take none are refused.
fn live_changes(place: &Place) {
    let errors = place.swathe("grant nothing gpu").exits(1).errors();
    assert!(errors.contains("no sandbox nothing is running"), "{errors}");
    let running = place.inside("", "while [ ! -e stop ]; do sleep 0.01; done").start();
    let id = place.host(
        "for n in $(seq 600); do id=$($SWATHE ps --json | sed -n 's/.*\"id\": \"\\(.*\\)\".*/\\1/p'); \
         [ -n \"$id\" ] && break; sleep 0.1; done; echo $id",
    );
    let errors = place.swathe(&format!("grant {id} gpu")).exits(1).errors();
    assert!(errors.contains("cannot be granted to what runs already"), "{errors}");
    let socket = place.dir.at(&format!("runtime/swathe/{id}.control"));
    // In the place of the one that takes them.
    std::fs::remove_file(&socket).expect("a socket of the run");
    let listener = control::listen(Path::new(&socket)).expect("a socket");
    place.dir.mode(&format!("runtime/swathe/{id}.control"), 0o777);
    let heard = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let (hears, served) = (heard.clone(), listener.try_clone().expect("a copy"));
    let server = std::thread::spawn(move || {
        control::serve(&served, |request| {
            hears.lock().expect("a list").push(request);
            control::Reply::Done(Some("as you say".to_owned()))
        })
    });
    let errors = place.swathe(&format!("grant {id} gpu files.dir=/etc:rx")).exits(1).errors();
    assert!(errors.contains("unknown access"), "{errors}");
    let outcome = place.swathe(&format!("grant {id} files.dir=../a:rw")).go();
    assert!(outcome.errors().contains("`..` in a path"), "{outcome}");
    let outcome = place.swathe(&format!("revoke {id} files.dir=sub:rw gpu")).go();
    let heard = std::mem::take(&mut *heard.lock().expect("a list"));
    if place.swathe.is_root() {
        assert!(outcome.errors().contains("note: as you say"), "{outcome}");
        let path = format!("files.dir={}:rw", place.project("sub"));
        let revoke = |text: &str| control::Request::Revoke(text.to_owned());
        assert_eq!(heard, [revoke(&path), revoke("gpu")]);
    } else {
        // The one who serves is another user, namely root.
        assert!(outcome.errors().contains("only the user of this sandbox may ask"), "{outcome}");
        assert_eq!(heard, []);
    }
    rustix::net::shutdown(&listener, rustix::net::Shutdown::Both).expect("shut");
    assert!(server.join().expect("an end").is_err());
    place.dir.file("project/stop", "");
    running.wait();
    assert_eq!(place.host("ls ../runtime/swathe"), "", "the sockets go with the record");
}

/// The program that asks; no test.
#[test]
#[ignore = "started by the other tests"]
fn drill() {
    let Some(directory) = std::env::var_os("ASK_DIR").map(PathBuf::from) else { return };
    if std::env::var_os("ASK_HELD").is_none() {
        // Signals are to be held in all threads, those of the test's own harness too.
        let held = Signals::hold();
        let error = std::process::Command::new(std::env::current_exe().expect("a program"))
            .args(std::env::args_os().skip(1))
            .env("ASK_HELD", "1")
            .exec();
        drop(held);
        panic!("{error}");
    }
    std::process::exit(run(&directory));
}

/// What `swathe run --ask` does.
fn run(directory: &Path) -> i32 {
    let ask_fd = std::env::var("ASK_FD").ok().map(|number| number.parse().expect("a number"));
    let options = Options { ask: ask_fd.is_none(), ask_fd, ask_timeout: 300 };
    let way = match ask::way(&options) {
        Ok(way) => way.expect("it is asked"),
        Err(failure) => {
            failure.print();
            return 1;
        }
    };
    let text = std::env::var_os("ASK_TEXT").expect("a text");
    let command = swathe::Command::new("/bin/sh").arg("-c").arg(text);
    let command = command.unshare_all().bind("/", "/").proc("/proc").dev("/dev");
    let mut plan = command.plan().clone();
    plan.lifecycle.new_session = true;
    plan.lifecycle.forward_signals = true;
    plan.lifecycle.die_with_parent = true;
    ask::adapt(&way, &mut plan).expect("can be held");
    let home = PathBuf::from(std::env::var_os("HOME").expect("a home"));
    let signals = Signals::hold();
    let settings = swathe_cli::terminal::Settings::keep();
    let mut child = swathe::Command::from_plan(plan).spawn().expect("started");
    let run = Run {
        id: "drill",
        subject: swathe_policy::standing::Subject::App("the drill".to_owned()),
        env: Environment::usual(home, "/"),
        child: &child,
        signals: &signals,
    };
    let asker = ask::start(&options, way, run).expect("a desk");
    let (desk, engine) = (asker.desk().clone(), child.id());
    let watched = directory.to_owned();
    std::thread::spawn(move || watch(&watched, &desk, engine));
    signals.pass_on(&child, None);
    drop(asker);
    drop(settings);
    child.wait().expect("an end");
    0
}

/// Does what files in the directory say.
fn watch(directory: &Path, desk: &Desk, engine: u32) {
    loop {
        std::thread::sleep(Duration::from_millis(2));
        let Ok(entries) = std::fs::read_dir(directory) else { return };
        let mut names: Vec<String> = entries
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        for name in names {
            let path = directory.join(&name);
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let signal = |signal, pid| {
                rustix::process::kill_process(pid, signal).expect("sent");
            };
            let pid = rustix::process::Pid::from_raw(i32::try_from(engine).expect("a pid"));
            match name.split_once('-').unwrap_or((&name, "")) {
                ("ask", _) => {
                    let question: Question = serde_json::from_str(&text).expect("a question");
                    let reply = directory.join(format!("reply-{}", question.id));
                    desk.ask(question, move |answered| tell(&reply, &answered));
                }
                ("withdraw", id) => desk.withdraw(|question| question.id.to_string() == id),
                ("continue", _) => signal(rustix::process::Signal::CONT, pid.expect("a pid")),
                ("kill", _) => signal(rustix::process::Signal::KILL, pid.expect("a pid")),
                _ => continue,
            }
            std::fs::remove_file(&path).expect("removed");
        }
    }
}

/// Writes a reply down, whole or not at all.
fn tell(path: &Path, reply: &Reply) {
    let said = match (reply.allow, reply.read_only) {
        (true, _) => "yes",
        (_, true) => "read",
        _ => "no",
    };
    let mut text = format!("{said} {:?}", reply.why);
    for rule in &reply.rules {
        let sign = if rule.allow { '+' } else { '-' };
        let below = if rule.directory { "/..." } else { "" };
        text.push_str(&format!(" {sign}{:?}:{}{below}", rule.want, rule.object));
    }
    let new = path.with_extension("new");
    let mut file = std::fs::File::create(&new).expect("made");
    file.write_all(text.as_bytes()).expect("written");
    std::fs::rename(&new, path).expect("renamed");
}

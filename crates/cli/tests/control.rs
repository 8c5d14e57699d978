//! Control of runs: the terminal and its jobs, `ps` and `kill`, and `explain`.

mod common;

use common::screen::Screen;
use common::{Place, installed, no_secret};
use std::io::Read as _;
use swathe_testkit::{Bwrap, Ended, Side, notice, pipe};

/// A shell with job control, on a terminal.
const BASH: &str = "export PS1='host> ' HISTFILE=; exec bash --norc --noprofile -i";

/// The program has a terminal of its own, with the caller's size, also when that changes.
fn terminal(place: &Place) {
    let text = "exec \"$SWATHE\" run -- bash --norc -c 'stty size; trap \"stty size; exit 3\" WINCH; \
        echo ready; while :; do sleep 0.1; done'";
    let mut screen = Screen::start(place, text);
    screen.expect("33 90").expect("ready");
    screen.resize(44, 111);
    screen.expect("44 111");
    let (ended, _) = screen.end();
    assert_eq!(ended.ended, Ended::Exit(3), "{ended}");
    // What the program does to its terminal is not done to the caller's.
    let text = "before=$(stty -g); \"$SWATHE\" run -- sh -c 'stty raw -echo; printf x'; \
        test \"$before\" = \"$(stty -g)\" && echo same; \"$SWATHE\" run -- sh -c 'kill -9 $$'; \
        test \"$before\" = \"$(stty -g)\" && echo still";
    let mut screen = Screen::start(place, text);
    screen.expect("same").expect("still");
    screen.end();
    // Keys that make signals reach the program, and it alone.
    let mut screen = Screen::start(
        place,
        "\"$SWATHE\" run -- sh -c 'trap \"echo interrupted; exit 4\" INT; echo up; while :; do sleep 0.1; done'; echo ended $?",
    );
    screen.expect("up");
    screen.send("\u{3}");
    screen.expect("interrupted").expect("ended 4");
    screen.end();
    let mut screen = Screen::start(place, "\"$SWATHE\" run -- cat; echo ended $?");
    screen.send("line\r");
    screen.expect("line\r\nline");
    screen.send("\u{4}");
    screen.expect("ended 0");
    screen.end();
    // Nothing can be typed into the caller's terminal.
    let text = "\"$SWATHE\" run -- python3 -c 'import fcntl, termios
for c in b\"echo in\" + b\"jected\\n\":
    fcntl.ioctl(0, termios.TIOCSTI, bytes([c]))'; echo over; read -t 0.3 x; echo \"[$x]\"";
    let mut screen =
        Screen::start(place, &text.replace("read -t 0.3 x", "x=$(timeout 0.3 head -n 1)"));
    screen.expect("over").expect("[]");
    let (_, seen) = screen.end();
    assert!(!seen.contains("[echo injected]"), "{seen}");
}

/// Waits until the program in the sandbox has stopped, whose text begins like this. A shell knows of
/// swathe alone, and a program that still waits for input takes what is typed for the shell.
fn has_stopped(place: &Place, text: &str) {
    place.host(&format!(
        "for n in $(seq 600); do \
            state=$(for process in /proc/[0-9]*; do \
                case \"$(tr '\\0' ' ' <$process/cmdline)\" in \
                    'sh -c {text};'*) cut -d ' ' -f 3 $process/stat;; esac; done 2>/dev/null); \
            test \"$state\" != T || exit 0; sleep 0.05; done; echo \"state: $state\" >&2; exit 1"
    ));
}

/// Stopping and going on, of swathe as a job of an interactive shell.
fn jobs(place: &Place) {
    for options in ["", "--no-pty"] {
        let mut screen = Screen::start(place, BASH);
        screen.expect("host> ");
        // Its own keyboard stop.
        let mark = format!(": {}", place.dir.at("job"));
        screen.send(&format!("\"$SWATHE\" run {options} -- sh -c '{mark}; echo up; while read l; do echo got $l; done; echo end'\r"));
        screen.expect("up\r\n");
        screen.send("one\r");
        screen.expect("got one");
        screen.send("\u{1a}");
        screen.expect("Stopped").expect("host> ");
        has_stopped(place, &mark);
        screen.send("echo $((40+2)); jobs\r");
        screen.expect("42").expect("Stopped").expect("host> ");
        screen.send("fg\r");
        screen.expect("SWATHE");
        screen.send("two\r");
        screen.expect("got two");
        screen.send("\u{4}");
        screen.expect("end").expect("host> ");
        // In the background, and to its end.
        screen.send(&format!(
            "\"$SWATHE\" run {options} -- sh -c 'exit 7' </dev/null & wait $!; echo status $?\r"
        ));
        screen.expect("status 7");
        screen.send("exit\r");
        let (ended, seen) = screen.end();
        assert_eq!(ended.ended, Ended::Exit(0), "{options}: {ended}\n{seen}");
    }
}

/// `swathe ps` lists what runs, `swathe kill` ends it: it is asked first, with `--now` not.
fn processes(place: &Place) {
    assert_eq!(place.swathe("ps --json").prints(), "[]");
    for (options, text, status) in [
        ("", "trap 'exit 9' TERM; echo up; while :; do sleep 0.05; done", 9),
        ("", "trap '' TERM; echo up; while :; do sleep 0.05; done", 137),
        ("--now", "trap 'exit 9' TERM; echo up; while :; do sleep 0.05; done", 137),
    ] {
        let (mut read, write) = pipe();
        let running = place.inside("", text).fd(1, write).start();
        read.read_exact(&mut [0; 3]).expect("it is up");
        let listed = place.swathe("ps").prints();
        assert!(listed.contains("sh-") && listed.contains("sh -c trap"), "{listed}");
        assert!(listed.lines().all(|line| line.chars().count() <= 80), "{listed}");
        let listed = place.swathe("ps --json").prints();
        let id = listed.split("\"id\": \"").nth(1).and_then(|rest| rest.split('"').next());
        let id = id.unwrap_or_else(|| panic!("{listed}"));
        place.swathe(&format!("kill {options} {id}")).exits(0);
        let ran = running.wait();
        assert_eq!(ran.ended.shell(), status, "{options} {text}: {ran}");
        assert_eq!(place.swathe("ps --json").prints(), "[]");
    }
    let ran = place.swathe("kill nothing").exits(1);
    assert!(ran.message().contains("no sandbox nothing is running"), "{ran}");
    // The sandbox itself sees no others, and cannot end them.
    assert!(!place.inside("", "ls /run/user/*/swathe 2>&1").go().text().contains("json"));
}

/// A run ends with swathe, and swathe with it.
fn ends_together(place: &Place) {
    let (mut read, write) = pipe();
    let running = place.inside("", "sleep 300 & sleep 300 & echo up; wait").fd(1, write).start();
    read.read_exact(&mut [0; 3]).expect("it is up");
    running.kill(9);
    assert_eq!(running.wait().ended, Ended::Signal(9));
    // What the command leaves running does not stay.
    let ran = place.inside("", "(setsid sleep 300 &) ; exit 5").go();
    assert_eq!(ran.ended, Ended::Exit(5), "{ran}");
}

/// `swathe explain` says what a run would see, runs nothing, and changes nothing.
fn explains(place: &Place) {
    place.repository();
    let before = place.tree();
    let tree = place.swathe("explain -w -- sh -c").arg("touch ran").exits(0);
    no_secret(&tree);
    for says in [
        "write   ",
        &place.project(""),
        ".git/hooks",
        ".envrc",
        "network",
        "none but",
        "environment",
        "HOME",
        "program",
    ] {
        assert!(tree.text().contains(says), "{says}: {tree}");
    }
    assert!(!tree.text().contains('\u{1b}') && tree.text().lines().count() > 20, "{tree}");
    let json = place.swathe("explain --json --allow files.dir=/usr/share:ro -- true").exits(0);
    no_secret(&json);
    let value: serde_json::Value = serde_json::from_slice(&json.out).expect("JSON");
    assert_eq!(value["network"], "none");
    let files = value["files"].as_array().expect("files");
    assert!(
        files.iter().any(|f| f["path"] == place.project("") && f["access"] == "read"),
        "{json}"
    );
    assert_eq!(place.tree(), before);
    // It refuses what a run refuses.
    for words in ["nosuchprogram", "-w --allow nonsense -- true"] {
        place.swathe(&format!("explain {words}")).exits(1);
    }
}

/// Levels are said as they were asked for, not as the mounts below them.
fn explains_levels(place: &Place) {
    place.host("mkdir -p log keep plans secret");
    let at =
        |name: &str, access: &str| format!("--allow files.dir={}:{access}", place.project(name));
    let options = [
        "--allow files.cwd=trash".to_owned(),
        at("log", "append"),
        at("keep", "no-delete"),
        at("plans", "ask"),
        format!("--allow files.hide={}/**/*.key", place.project("")),
    ]
    .join(" ");
    let tree = place.swathe(&format!("explain {options} -- true")).exits(0).text();
    let row = |access: &str, name: &str| {
        let path = place.project(name);
        let mut rows = tree.lines().filter_map(|line| line.trim().split_once(' '));
        assert!(
            rows.any(|(word, what)| word == access && what.trim().starts_with(&path)),
            "{access} {path}: {tree}"
        );
    };
    row("trash", "");
    row("append", "log");
    row("no-delete", "keep");
    row("ask", "plans");
    row("hidden", "**/*.key");
    assert!(tree.contains("a supervisor does the rest"), "{tree}");
    let json = place.swathe(&format!("explain --json {options} -- true")).exits(0).text();
    for access in ["append", "no-delete", "trash"] {
        assert!(json.contains(&format!("\"access\": \"{access}\"")), "{access}: {json}");
    }
}

/// The command that `explain` prints runs the same program in the same sandbox.
fn explained_command(place: &Place) {
    if !installed("bash") {
        return;
    }
    place.repository();
    place.host("echo it\\'s >\"odd name\"");
    let text = "pwd; id -un; cat file 'odd name' /etc/hosts ~/.gitconfig; env | grep -v SWATHE_RUN | sort; \
        ls -a / /etc ~ /tmp; cut -d ' ' -f 5-6 /proc/self/mountinfo | sort; grep -E 'Cap|NoNew|Seccomp' /proc/self/status";
    for options in ["", "-w"] {
        let direct = place.inside(options, text).go();
        let save =
            place.swathe(&format!("explain --format bwrap {options} -- sh -c")).arg(text).exits(0);
        place.dir.file("command", &save.out);
        place.host("mkdir -p ../path; ln -sf \"$SWATHE_BWRAP\" ../path/bwrap");
        let ran = place.outside("PATH=$PWD/../path:$PATH exec bash ../command").go();
        assert_eq!((ran.ended, ran.text()), (direct.ended, direct.text()), "{options}: {ran}");
        no_secret(&ran);
    }
}

/// Without the options that it names the command runs in the original bubblewrap, too.
fn explained_for_the_original(place: &Place) {
    if !installed("bash") {
        return;
    }
    let Some(original) = Bwrap::find(Side::Original, place.swathe.who, None) else {
        return notice("no bubblewrap: the command that explain prints is not tried with it");
    };
    place.repository();
    let text = "pwd; cat file; id -un; test ! -e ~/.ssh; git log --oneline | grep -c one; node -e 'console.log(1)' || true";
    let printed = place.swathe("explain --format bwrap -- sh -c").arg(text).exits(0).text();
    let unknown: Vec<&str> =
        printed.lines().filter_map(|line| line.strip_prefix("#   ")).map(str::trim).collect();
    assert!(unknown.contains(&"--scope-signals"), "{printed}");
    let known = |line: &&str| {
        let word = line.split_whitespace().next().unwrap_or_default();
        !line.starts_with('#') && !unknown.contains(&word)
    };
    let common: Vec<&str> = printed.lines().filter(known).collect();
    place.dir.file("command", common.join("\n"));
    place.host("mkdir -p ../path");
    place.dir.link(&original.path.display().to_string(), "path/bwrap");
    let ran = place.outside("PATH=$PWD/../path:$PATH exec bash ../command").go();
    let direct = place.inside("", text).go();
    assert_eq!((ran.ended, ran.text()), (direct.ended, direct.text()), "{ran}\n{direct}");
}

both! {
    terminal,
    jobs,
    processes,
    ends_together,
    explains,
    explains_levels,
    explained_command,
    explained_for_the_original,
}

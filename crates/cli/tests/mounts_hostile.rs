//! Changes of mounts in a sandbox that does its worst meanwhile, in one that is in a Landlock domain,
//! and in one of `swathe run`.

mod common;
mod mounting;

use landlock::{
    ABI, Access as _, AccessFs, PathBeneath, PathFd, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _,
};
use mounting::{Sandbox, mounts};
use std::fs;
use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::{Duration, Instant};
use swathe::Command;
use swathe_mounter::{Access, Error, Mounter};
use swathe_testkit::{Bwrap, reachable};

/// Set for what this program does inside a sandbox.
const INSIDE: &str = "SWATHE_TEST_INSIDE";

/// How often something is shown while it is raced.
const ROUNDS: usize = 10_000;

/// With this program at `/self`.
fn with_self(command: Command) -> Command {
    let own = reachable(&std::env::current_exe().expect("a running test has a path"));
    command.ro_bind(own, "/self").env(INSIDE, "1").env("RUST_BACKTRACE", "0")
}

/// The command that lets this program do one of the things below.
fn inside(name: &str) -> String {
    format!("/self --exact {name} --ignored --nocapture --test-threads 1")
}

fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

fn exchange(a: &str, b: &str) {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    let _ = renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE);
}

/// Swaps what is below a directory, and the directory itself, as fast as it can.
#[test]
#[ignore = "runs in the sandbox of another test"]
fn inside_race() {
    if !is_inside() {
        return;
    }
    let base = std::env::var("SWATHE_TEST_RACE").expect("a directory");
    let path = |name: &str| format!("{base}/{name}");
    let (dir, other, link) = (path("dir"), path("other"), path("link"));
    let (target, name) = (path("dir/target"), path("dir/link"));
    loop {
        exchange(&dir, &link);
        exchange(&dir, &link);
        exchange(&dir, &other);
        let _ = fs::remove_dir(&target);
        let _ = std::os::unix::fs::symlink("/victim", &name);
        exchange(&target, &name);
        exchange(&target, &name);
        let _ = fs::remove_file(&target);
        let _ = fs::remove_file(&name);
        let _ = fs::rename(&dir, path("away"));
        let _ = fs::rename(path("away"), &dir);
        let _ = fs::create_dir(&target);
    }
}

/// The places of mounts in a process's namespace whose root is `root`.
fn places(pid: u32, root: &str) -> Vec<String> {
    let table = fs::read_to_string(format!("/proc/{pid}/mountinfo")).expect("it runs");
    let fields = table.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    fields.filter(|line| line[3].ends_with(root)).map(|line| line[4].to_owned()).collect()
}

/// Two processes in the sandbox swap directories, links and names of the place; what is shown lands
/// below the directory that they can change, or nowhere, and never on the host. The mount at the end
/// of each success can be taken away, and nothing is left.
fn races_against_show(b: &Bwrap) {
    let (temp, before) = (b.temp(), mounts());
    temp.dir("planted-data");
    temp.file("planted-data/one", "text of one\n");
    temp.dir("victim/target");
    let victim = temp.path().join("victim");
    let more = |command: Command| {
        with_self(command).ro_bind(&victim, "/victim").env("SWATHE_TEST_RACE", "/tmp/race")
    };
    let mut sandbox = Sandbox::with(b, more, |_| ());
    sandbox.ask("mkdir -p /tmp/race/dir /tmp/race/other; ln -s /victim /tmp/race/link");
    let start = sandbox.ask("sort /proc/self/mountinfo");
    let race = inside("inside_race");
    sandbox.ask(&format!("{race} >/dev/null & {race} >/dev/null &"));
    let pid = sandbox.pid();
    let data = temp.path().join("planted-data");
    let (mut shown, mut steps) = (0, std::collections::BTreeMap::new());
    let (mut rounds, began) = (0, Instant::now());
    while rounds < ROUNDS || shown == 0 && began.elapsed() < Duration::from_secs(60) {
        rounds += 1;
        let path = Path::new("/tmp/race/dir/target");
        let result = sandbox.mounter.show(&data, path, Access::ReadOnly);
        for place in places(pid, "planted-data") {
            assert!(place.starts_with("/tmp/race/"), "{place}");
        }
        match result {
            Ok(id) => {
                shown += 1;
                sandbox.undo(id);
            }
            Err(Error::Refused { step, errno, .. }) => {
                *steps.entry(format!("{step:?} {errno:?}")).or_insert(0) += 1;
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert!(shown > 0 && shown < rounds, "nothing was raced: {steps:?}");
    assert_eq!(sandbox.ask("sort /proc/self/mountinfo"), start);
    assert_eq!(temp.list("victim"), ["target"]);
    assert_eq!(temp.list("victim/target"), [""; 0]);
    assert_eq!(mounts(), before);
}

/// The same against hiding, in a directory of the host's: what is covered is below that directory,
/// and when it says that the path is hidden, what is read there is nothing.
fn races_against_hide(b: &Bwrap) {
    let (temp, before) = (b.temp(), mounts());
    for dir in ["work/dir/target", "work/other/target", "victim/target"] {
        temp.dir(dir);
    }
    let (work, victim) = (temp.path().join("work"), temp.path().join("victim"));
    let more = |command: Command| {
        let command = with_self(command).bind(&work, "/work").ro_bind(&victim, "/victim");
        command.env("SWATHE_TEST_RACE", "/work")
    };
    let mut sandbox = Sandbox::with(b, more, |_| ());
    sandbox.ask("ln -s /victim /work/link");
    let race = inside("inside_race");
    sandbox.ask(&format!("{race} >/dev/null & {race} >/dev/null &"));
    let pid = sandbox.pid();
    // Where the processors are few the race is in its way for long: it must be won now and then.
    let (mut hidden, mut rounds, start) = (0, 0, Instant::now());
    while rounds < ROUNDS / 10 || hidden == 0 && start.elapsed() < Duration::from_secs(60) {
        rounds += 1;
        match sandbox.mounter.hide(Path::new("/work/dir/target")) {
            Ok(id) => {
                hidden += 1;
                sandbox.undo(id);
            }
            Err(Error::Refused { .. }) => {}
            Err(other) => panic!("{other}"),
        }
        for place in places(pid, "/directory") {
            assert!(place.starts_with("/work/"), "{place}");
        }
    }
    assert!(hidden > 0, "nothing was hidden");
    assert_eq!(temp.list("victim"), ["target"]);
    assert_eq!(mounts(), before);
}

/// In a Landlock domain that handles writing: says what it may do below what is shown meanwhile.
#[test]
#[ignore = "runs in the sandbox of another test"]
fn inside_landlock() {
    use std::io::Write as _;
    if !is_inside() {
        return;
    }
    let mut ready = fs::File::create("/tmp/ready").expect("before the domain");
    let rule = |path: &str, access| PathBeneath::new(PathFd::new(path).expect(path), access);
    let handled = AccessFs::from_all(ABI::V3);
    let reading = AccessFs::from_read(ABI::V3);
    let rules = Ruleset::default().handle_access(handled).expect("handled").create();
    let rules = rules.expect("a ruleset").add_rule(rule("/", reading)).expect("a rule");
    let rules = rules.add_rule(rule("/tmp/free", handled)).expect("a rule");
    rules.restrict_self().expect("a domain");
    ready.write_all(b"ready").expect("a descriptor from before");
    let end = Instant::now() + Duration::from_secs(20);
    while !Path::new("/tmp/free/last").exists() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(5));
    }
    let said = |result: std::io::Result<()>| match result {
        Ok(()) => "yes".to_owned(),
        Err(e) => e.raw_os_error().unwrap_or(0).to_string(),
    };
    for dir in ["/shown", "/tmp/bound", "/tmp/free/bound"] {
        let read = said(fs::read(format!("{dir}/one")).map(drop));
        let write = said(fs::write(format!("{dir}/new"), "new"));
        let list = said(fs::read_dir(dir).map(drop));
        let line = format!("\n{dir} {read} {list} {write}\n");
        std::io::stdout().write_all(line.as_bytes()).expect("print");
    }
}

/// A command in a Landlock domain sees what is shown after it has entered, with the rights that its
/// rules give at that place: reading by a rule on the root, writing only by one further below.
fn a_landlock_domain(b: &Bwrap) {
    let temp = b.temp();
    temp.dir("data");
    temp.file("data/one", "text of one\n");
    temp.file("last", "");
    let mut sandbox = Sandbox::with(b, with_self, |_| ());
    sandbox.ask("mkdir -p /tmp/free");
    sandbox.ask(&format!("{} >/tmp/out 2>&1 &", inside("inside_landlock")));
    sandbox.ask("until [ -s /tmp/ready ]; do sleep 0.02; done");
    let data = temp.path().join("data");
    for path in ["/shown", "/tmp/bound", "/tmp/free/bound"] {
        sandbox.show(&data, path, Access::ReadWrite);
    }
    sandbox.show(temp.at("last"), "/tmp/free/last", Access::ReadOnly);
    let out = sandbox.ask("wait; cat /tmp/out");
    let lines: Vec<_> = out.lines().filter(|line| line.starts_with('/')).collect();
    let expected = ["/shown yes yes 13", "/tmp/bound yes yes 13", "/tmp/free/bound yes yes yes"];
    assert_eq!(lines, expected, "{out}");
    assert_eq!(temp.list("data"), ["new", "one"]);
}

/// A sandbox of `swathe run`: what is shown in its home, at its root and over a protected path.
fn swathe_run(b: &Bwrap) {
    let Some(place) = common::Place::new(b.who) else { return };
    place.host("mkdir -p ../data; echo shown >../data/one; echo secret >.env; echo x >file");
    let script = "cat file .env; touch /tmp/seen; until [ -e /srv/last ]; do sleep 0.02; done; \
        cat ~/data/one /srv/data/one; cat .env; touch ~/data/x /srv/data/x; echo more >>~/data/one";
    let run = place.inside("--write", script).start();
    let end = Instant::now() + Duration::from_secs(20);
    let namespace = loop {
        let seen = |pid: &i32| Path::new(&format!("/proc/{pid}/root/tmp/seen")).exists();
        if let Some((_, found)) = shell_of(run.pid).filter(|(pid, _)| seen(pid)) {
            break found;
        }
        assert!(Instant::now() < end, "no shell in the sandbox");
        std::thread::sleep(Duration::from_millis(10));
    };
    let pidfd = rustix::process::Pid::from_raw(run.pid).expect("a pid");
    let pidfd = rustix::process::pidfd_open(pidfd, rustix::process::PidfdFlags::empty());
    let pidfd = pidfd.expect("it runs");
    let mounter = Mounter::start(&mounting::program(), namespace.as_fd(), pidfd.as_fd());
    let mut mounter = mounter.unwrap_or_else(|e| panic!("{e}"));
    // Its masks stay in force, and their janitor waits, as long as anybody has it open.
    drop(namespace);
    let data = place.dir.path().join("data");
    let home = place.home("data");
    let show = |mounter: &mut Mounter, path: &str, access| {
        mounter.show(&data, Path::new(path), access).unwrap_or_else(|e| panic!("{e}"));
    };
    show(&mut mounter, &home, Access::ReadWrite);
    show(&mut mounter, "/srv/data", Access::ReadOnly);
    mounter.hide(Path::new(&place.project(".env"))).unwrap_or_else(|e| panic!("{e}"));
    show(&mut mounter, "/srv/last", Access::ReadOnly);
    let outcome = run.wait();
    assert_eq!(outcome.text(), "x\nsecret\nshown\nshown", "{outcome}");
    assert!(outcome.errors().contains(".env: Permission denied"), "{outcome}");
    assert!(outcome.errors().contains("'/srv/data/x': Read-only file system"), "{outcome}");
    assert_eq!(place.host("cat ../data/one; ls ../data; cat .env"), "shown\nmore\none\nx\nsecret");
}

/// The shell below a process that is in other mounts than this one.
fn shell_of(ancestor: i32) -> Option<(i32, fs::File)> {
    use std::os::unix::fs::MetadataExt as _;
    let children = |pid: i32| {
        let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let text = text.unwrap_or_default();
        text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<i32>>()
    };
    let own = fs::metadata("/proc/self/ns/mnt").ok()?.ino();
    let mut todo = vec![ancestor];
    while let Some(pid) = todo.pop() {
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        if words.starts_with(b"sh\0-c\0")
            && let Ok(file) = fs::File::open(format!("/proc/{pid}/ns/mnt"))
            && file.metadata().is_ok_and(|m| m.ino() != own)
        {
            return Some((pid, file));
        }
        todo.extend(children(pid));
    }
    None
}

as_each_user! {
    races_against_show,
    races_against_hide,
    a_landlock_domain,
    swathe_run,
}

//! What is learned from a run: enough, no more, and never what a person has to decide.

mod any;
#[path = "../learn/mod.rs"]
mod common;
mod merging;

use common::{Made, World};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use swathe_policy::learn::{Change, Class, Grade, Learned, Shown, Wanted, merge};
use swathe_policy::paths::{Asker, CREDENTIALS, Verdict, judge};
use swathe_policy::resolve::Kind;
use swathe_policy::{Access, Intent, Policy, SourceText};
use swathe_record::bytes::Bytes;
use swathe_record::event::{Action, Event, Layer, Outcome};

fn event(action: Action, object: &str) -> Event {
    Event {
        time: 0,
        pid: 1,
        program: "/usr/bin/tool".into(),
        action,
        object: object.into(),
        to: None,
        outcome: Outcome::Allowed,
        layer: Layer::Other,
        reason: None,
        rule: None,
    }
}

fn denied(action: Action, object: &str, layer: Layer) -> Event {
    Event { outcome: Outcome::Denied(2), layer, ..event(action, object) }
}

fn reach(rule: &str) -> Intent {
    let rule = swathe_netrules::Rule::parse(rule, swathe_netrules::Form::Allow);
    Intent::NetReach(rule.expect("a rule"))
}

fn world(paths: &[&str]) -> World {
    World::new(Made::new(paths), "/home/user/project")
}

/// The lines in force, as words of `--allow`.
fn lines(learned: &Learned) -> Vec<String> {
    learned.intents().map(swathe_policy::words::written).collect()
}

/// The other lines: the class, and what it would allow.
fn comments(learned: &Learned) -> Vec<(Class, String)> {
    let shown = |wanted: &Wanted| match wanted {
        Wanted::Intent(intent) => swathe_policy::words::written(intent),
        Wanted::Unprotected(name) => format!("unprotect {name}"),
        Wanted::Nothing(why) => why.clone(),
    };
    let others = learned.lines.iter().filter(|line| line.class > Class::Given);
    others.map(|line| (line.class, shown(&line.wanted))).collect()
}

/// What is learned from these events, checked.
fn learned(world: &World, events: &[Event]) -> Learned {
    let learned = world.learn(events);
    world.check(&learned);
    learned
}

/// Events of real programs give the profiles that lie beside them. `SWATHE_BLESS=1` writes them
/// anew. None has a line for what holds credentials, or for everything.
#[test]
fn recorded_programs() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/learn");
    let mut count = 0;
    for entry in std::fs::read_dir(&directory).expect("fixtures") {
        let path = entry.expect("fixtures").path();
        if path.extension().is_none_or(|extension| extension != "events") {
            continue;
        }
        let name = path.file_stem().expect("a name").to_str().expect("UTF-8").to_owned();
        let text = std::fs::read_to_string(&path).expect("a fixture");
        let mut made = Made::new(&[&format!("/home/user/project/{name}/")]);
        let mut events = Vec::new();
        for line in text.lines() {
            match line.split_at(2) {
                ("d ", path) => made.put(Path::new(path), Kind::Directory),
                ("f ", path) => made.put(Path::new(path), Kind::File),
                ("l ", path) => made.put(Path::new(path), Kind::Link),
                ("s ", path) => made.put(Path::new(path), Kind::Other),
                _ => events.push(serde_json::from_str(line).expect("an event")),
            }
        }
        let mut world = World::new(made, &format!("/home/user/project/{name}"));
        match name.as_str() {
            "curl" => world.given.push(Intent::NetAll),
            "hosts" => world.given.extend(["*:*", "localhost:6379"].map(reach)),
            "cargo" => {
                let path = "/home/user/.rustup/toolchains/stable/bin:/usr/bin";
                world.vars.push(("PATH".into(), path.into()));
            }
            _ => {}
        }
        let learned = world.learn(&events);
        let policy = world.check(&learned);
        never(&world, &policy);
        let text = world.text(&learned);
        let beside = path.with_extension("toml");
        if std::env::var_os("SWATHE_BLESS").is_some() {
            std::fs::write(&beside, &text).expect("written");
        }
        assert_eq!(text, std::fs::read_to_string(&beside).unwrap_or_default(), "{name}");
        count += 1;
    }
    assert!(count >= 12, "{count} fixtures");
}

/// No line in force shows a credential, the home directory, or everything.
fn never(world: &World, policy: &Policy) {
    let shown = Shown::of(&world.sandbox(policy.clone()).0);
    for name in CREDENTIALS {
        let path = world.env.home.join(name);
        let grade = shown.at(&path);
        assert!(!matches!(grade, Some(Grade::Host(_))), "{} is shown", path.display());
    }
    for declared in &policy.intents {
        if let Intent::FilesDir { path, access } = &declared.intent {
            let write = *access != Access::ReadOnly;
            let verdict = judge(path, write, Asker::User, &world.env);
            assert_eq!(verdict, Verdict::Fine, "{}", path.display());
            for private in ["", ".cache", ".config", ".local", ".local/share", ".local/state"] {
                assert_ne!(*path, world.env.home.join(private));
            }
        }
    }
}

/// What every run has needs no line: the system, the working directory, the private `/tmp`, what
/// the run made itself in its own home.
#[test]
fn what_every_run_has() {
    let world = world(&["/usr/lib/libc.so", "/home/user/project/a", "/home/user/.gitconfig"]);
    let events = [
        event(Action::Read, "/usr/lib/libc.so"),
        event(Action::Execute, "/usr/bin/tool"),
        event(Action::Read, "/home/user/project/a"),
        event(Action::Stat, "/home/user"),
        event(Action::Create, "/tmp/x"),
        event(Action::Write, "/tmp/x"),
        event(Action::Remove, "/tmp/x"),
        event(Action::Read, "/proc/self/maps"),
        event(Action::Write, "/dev/null"),
        event(Action::Create, "/home/user/.tool"),
        event(Action::Create, "/home/user/.tool/state"),
        event(Action::Rename, "/home/user/.tool/state"),
        event(Action::Connect, "tcp:127.0.0.1:80"),
        event(Action::Bind, "tcp:0.0.0.0:80"),
        denied(Action::Read, "/home/user/gone", Layer::Other),
    ];
    assert_eq!(lines(&learned(&world, &events)), [""; 0]);
    assert_eq!(comments(&world.learn(&events)), []);
}

/// Who binds a socket makes a name in its directory.
#[test]
fn sockets_that_are_bound() {
    let world = world(&["/home/user/run/", "/home/user/project/a"]);
    let bound = event(Action::Bind, "unix:/home/user/run/s");
    let joined = event(Action::Connect, "unix:/home/user/run/s");
    assert_eq!(lines(&learned(&world, &[bound, joined])), ["files.dir=/home/user/run:rw"]);
    let below = event(Action::Bind, "unix:/home/user/project/s");
    assert_eq!(lines(&learned(&world, &[below])), ["files.cwd=rw"]);
    let own =
        [event(Action::Create, "/home/user/.own"), event(Action::Bind, "unix:/home/user/.own/s")];
    assert_eq!(lines(&learned(&world, &own)), [""; 0]);
    assert_eq!(comments(&world.learn(&own)), []);
}

/// A file of the home directory itself that is read and replaced has no line: a run begins without
/// it, which is said.
#[test]
fn files_that_begin_anew() {
    let world = world(&["/home/user/.counter"]);
    let saved = [
        event(Action::Read, "/home/user/.counter"),
        Event {
            to: Some("/home/user/.counter".into()),
            ..event(Action::Rename, "/home/user/.counter.tmp")
        },
    ];
    let result = learned(&world, &saved);
    assert_eq!(lines(&result), [""; 0]);
    assert!(world.text(&result).contains("a run begins without it"), "{}", world.text(&result));
    // Without having been read it is of no importance.
    assert_eq!(comments(&world.learn(&saved[1..])), []);
}

/// Of git's settings a run has the name and the address. What else is in them is left to a person.
#[test]
fn settings_of_git() {
    let mut world = world(&["/home/user/.gitconfig"]);
    let read = [event(Action::Read, "/home/user/.gitconfig")];
    for (text, said) in [
        ("# mine\n[user]\n\tname = A\n\temail=a@b\n", false),
        ("[user]\nname = A\n[alias]\nst = status\n", true),
    ] {
        let path = PathBuf::from("/home/user/.gitconfig");
        world.files.0.insert(path, (Kind::File, text.as_bytes().to_vec()));
        let result = learned(&world, &read);
        assert_eq!(lines(&result), [""; 0]);
        let expected = (Class::Withheld, "files.dir=/home/user/.gitconfig:ro".to_owned());
        assert_eq!(comments(&result), Vec::from_iter(said.then_some(expected)), "{text}");
    }
}

/// Who opens the home directory can read in it from there, which is not seen: that is said.
#[test]
fn the_home_as_a_whole() {
    let world = world(&["/home/user/d/a"]);
    let result = learned(&world, &[event(Action::Read, "/home/user")]);
    assert_eq!(lines(&result), [""; 0]);
    assert!(world.text(&result).contains("what was read from there is not recorded"));
}

/// A file is one line; two of a directory are the directory; a third that is written stays apart.
#[test]
fn siblings_are_their_directory() {
    let world = world(&["/home/user/d/a", "/home/user/d/b", "/home/user/d/c", "/srv/x/y"]);
    let a = event(Action::Read, "/home/user/d/a");
    let b = event(Action::Read, "/home/user/d/b");
    let c = event(Action::Write, "/home/user/d/c");
    let one = learned(&world, std::slice::from_ref(&a));
    assert_eq!(lines(&one), ["files.dir=/home/user/d/a:ro"]);
    let two = learned(&world, &[a.clone(), b.clone()]);
    assert_eq!(lines(&two), ["files.dir=/home/user/d:ro"]);
    let three = learned(&world, &[a, b, c]);
    assert_eq!(lines(&three), ["files.dir=/home/user/d:ro", "files.dir=/home/user/d/c:rw"]);
}

/// What a directory's line permits needs no line of its own, unless it needs more.
#[test]
fn no_line_within_another() {
    let world = world(&["/home/user/d/s/t/a", "/home/user/d/s/w/b"]);
    let events = [
        event(Action::Read, "/home/user/d"),
        event(Action::Read, "/home/user/d/s/t/a"),
        event(Action::Write, "/home/user/d/s/w/b"),
    ];
    let expected = ["files.dir=/home/user/d:ro", "files.dir=/home/user/d/s/w/b:rw"];
    assert_eq!(lines(&learned(&world, &events)), expected);
}

/// A program's own directory below `~/.cache` and its like is named as a whole, and no more.
#[test]
fn directories_of_programs() {
    let world = world(&["/home/user/.cache/tool/a/b/c", "/home/user/.config/tool.conf"]);
    let events = [
        event(Action::Read, "/home/user/.cache/tool/a/b/c"),
        event(Action::Create, "/home/user/.cache/tool/new"),
        event(Action::Create, "/home/user/.cache/other"),
        event(Action::Create, "/home/user/.cache/other/x"),
        event(Action::Read, "/home/user/.config/tool.conf"),
    ];
    let expected =
        ["files.dir=/home/user/.cache/tool:rw", "files.dir=/home/user/.config/tool.conf:ro"];
    assert_eq!(lines(&learned(&world, &events)), expected);
}

/// What is made in a directory that every program shares, and that an empty home lacks, is left to a
/// person, unless the program makes the directory itself.
#[test]
fn directories_that_an_empty_home_lacks() {
    let world = world(&["/home/user/.cache/tool/a"]);
    let made = event(Action::Create, "/home/user/.cache/file");
    let read = event(Action::Read, "/home/user/.cache");
    let left = [(Class::Withheld, "files.dir=/home/user/.cache:rw".to_owned())];
    assert_eq!(comments(&learned(&world, &[read, made.clone()])), left);
    // Where it is a directory of its own, that can be named once it is there.
    let own = event(Action::Create, "/home/user/.cache/new");
    let below = event(Action::Create, "/home/user/.cache/new/a");
    let text = world.text(&learned(&world, &[own, below]));
    assert!(text.contains("after `mkdir -p /home/user/.cache/new`, a line for that"), "{text}");
    let directory = event(Action::Create, "/home/user/.cache");
    assert_eq!(comments(&learned(&world, &[directory, made])), []);
    assert_eq!(comments(&learned(&world, &[event(Action::Create, "/home/user/.file")])), []);
}

/// Access to the working directory: the least that there is a word for, where that is asked for.
#[test]
fn levels() {
    let mut world = world(&["/home/user/project/log"]);
    let made = event(Action::Create, "/home/user/project/new");
    let written = event(Action::Write, "/home/user/project/log");
    let removed = event(Action::Remove, "/home/user/project/log");
    for (strict, events, access) in [
        (false, vec![made.clone()], "rw"),
        (true, vec![made.clone()], "append"),
        (true, vec![made.clone(), written.clone()], "no-delete"),
        (true, vec![made, written, removed], "rw"),
    ] {
        world.strict = strict;
        assert_eq!(lines(&learned(&world, &events)), [format!("files.cwd={access}")]);
    }
}

/// Credentials are comments, whether they were read or, covered as they are, not.
#[test]
fn credentials_are_left_to_a_person() {
    let mut world = world(&[
        "/home/user/.ssh/config",
        "/home/user/.aws/credentials",
        "/home/user/.config/gh/hosts.yml",
        "/home/user/.mozilla/p/cookies",
        "/home/user/notes",
    ]);
    world.vars.push(("SSH_AUTH_SOCK".into(), "/tmp/ssh-x/agent.1".into()));
    let events = [
        event(Action::Read, "/home/user/.ssh/config"),
        denied(Action::Read, "/home/user/.aws/credentials", Layer::Other),
        event(Action::Read, "/home/user/.config/gh/hosts.yml"),
        event(Action::Write, "/home/user/.mozilla/p/cookies"),
        event(Action::Read, "/etc/shadow"),
        event(Action::Create, "/home/user/.config/swathe/profiles/x.toml"),
    ];
    let result = learned(&world, &events);
    assert_eq!(lines(&result), [""; 0]);
    let comments = comments(&result);
    for path in [".ssh/config:ro", ".config/gh/hosts.yml:ro", ".mozilla/p/cookies:rw"] {
        let expected = (Class::Withheld, format!("files.dir=/home/user/{path}"));
        assert!(comments.contains(&expected), "{comments:?}");
    }
    let expected = (Class::Tolerated, "files.dir=/home/user/.aws/credentials:ro".to_owned());
    assert!(comments.contains(&expected), "{comments:?}");
    let text = world.text(&result);
    assert!(text.contains("# careful: it holds keys, tokens or passwords"), "{text}");
    assert!(text.lines().all(|line| line.is_empty() || line.starts_with('#')), "{text}");
}

/// Sockets, devices, addresses and calls become the words that open them, where there are any.
#[test]
fn services() {
    let mut world =
        world(&["/usr/bin/old", "/dev/dri/card0", "/run/cups/cups.sock", "/run/user/1000/bus"]);
    let header = [&b"\x7fELF\x01"[..], &[0; 13], &[3, 0]].concat();
    world.files.0.insert("/usr/bin/old".into(), (Kind::File, header));
    world.vars.push(("SSH_AUTH_SOCK".into(), "/tmp/agent".into()));
    world.given = vec![Intent::NetAll, Intent::Ptrace, Intent::EnvPass("TOKEN".into())];
    let events = [
        event(Action::Connect, "unix:/tmp/agent"),
        event(Action::Connect, "unix:/run/cups/cups.sock"),
        event(Action::Connect, "unix:/run/user/1000/bus"),
        event(Action::Connect, "unix:@/tmp/.X11-unix/X0"),
        event(Action::Write, "/dev/dri/card0"),
        event(Action::Connect, "tcp:192.0.2.1:443"),
        Event { program: "/usr/bin/old".into(), ..event(Action::Stat, "/usr/bin/tool") },
        event(Action::Call, "unshare"),
        denied(Action::Write, "/dev/kvm", Layer::Mount),
    ];
    let result = learned(&world, &events);
    let expected = ["32bit", "gpu", "net.all", "print", "ssh-agent", "env=TOKEN", "ptrace"];
    assert_eq!(lines(&result), expected);
    let comments = comments(&result);
    assert!(comments.contains(&(Class::Tolerated, "nested-sandbox".into())), "{comments:?}");
    assert!(comments.contains(&(Class::Tolerated, "kvm".into())), "{comments:?}");
    for word in ["dbus.talk", "display.x11"] {
        let found = comments
            .iter()
            .any(|(class, text)| *class == Class::Withheld && text.starts_with(word));
        assert!(found, "{word}: {comments:?}");
    }
    let text = world.text(&result);
    assert!(text.contains("reaches every host, not only 192.0.2.1:443"), "{text}");
}

/// A server on the host's loopback needs the host's network; one that the run started does not.
#[test]
fn loopback() {
    let mut world = world(&[]);
    let connect = event(Action::Connect, "tcp:127.0.0.1:8080");
    assert_eq!(lines(&learned(&world, std::slice::from_ref(&connect))), [""; 0]);
    world.given.push(Intent::NetAll);
    assert_eq!(lines(&world.learn(std::slice::from_ref(&connect))), ["net.all"]);
    // By pasta the loopback interface is the sandbox's own, and the rest is not.
    world.given = vec![Intent::NetPasta];
    let elsewhere = event(Action::Connect, "tcp:192.0.2.1:443");
    assert_eq!(lines(&world.learn(std::slice::from_ref(&connect))), [""; 0]);
    assert_eq!(lines(&world.learn(&[elsewhere])), ["net.all=pasta"]);
    let bound = event(Action::Bind, "tcp:127.0.0.1:8080");
    assert_eq!(lines(&learned(&world, &[bound, connect])), [""; 0]);
}

/// What other programs run is not made writable because a run wrote there.
#[test]
fn protected_paths() {
    let world = world(&["/home/user/project/.git/config", "/home/user/project/.git/hooks/"]);
    let events = [
        event(Action::Create, "/home/user/project/.git/hooks/pre-commit"),
        event(Action::Create, "/home/user/project/new/.git/config"),
        event(Action::Create, "/home/user/project/.envrc"),
    ];
    let result = learned(&world, &events);
    assert_eq!(lines(&result), ["files.cwd=rw"]);
    let text = world.text(&result);
    assert!(text.contains("\n# unprotect = [\"git-hooks\"]\n"), "{text}");
    assert!(text.contains("\n# unprotect = [\"direnv\"]\n"), "{text}");
}

/// A file that is replaced by renaming cannot be mounted by itself: the run makes its own.
#[test]
fn replaced_files_of_the_home() {
    let world = world(&["/home/user/.viminfo", "/home/user/.vimrc"]);
    let mut renamed = event(Action::Rename, "/home/user/.viminfo.tmp");
    renamed.to = Some("/home/user/.viminfo".into());
    let events = [
        event(Action::Read, "/home/user/.vimrc"),
        event(Action::Read, "/home/user/.viminfo"),
        event(Action::Create, "/home/user/.viminfo.tmp"),
        renamed,
    ];
    assert_eq!(lines(&learned(&world, &events)), ["files.dir=/home/user/.vimrc:ro"]);
}

/// Names that cannot be written, or that a profile takes for globs, are their directory.
#[test]
fn names_of_all_kinds() {
    let mut world = world(&["/home/user/d/", "/home/user/e/a$b \"c\\", "/home/user/f/x*"]);
    let bad = PathBuf::from(std::ffi::OsStr::from_bytes(b"/home/user/d/\xff"));
    world.files.put(&bad, Kind::File);
    let events = [
        Event { object: Bytes::from(bad), ..event(Action::Read, "") },
        event(Action::Read, "/home/user/e/a$b \"c\\"),
        event(Action::Read, "/home/user/f/x*"),
    ];
    let result = learned(&world, &events);
    let paths: Vec<Intent> = result.intents().cloned().collect();
    let ro = |path: &str| Intent::FilesDir { path: path.into(), access: Access::ReadOnly };
    assert_eq!(paths, [ro("/home/user/d"), ro("/home/user/e/a$b \"c\\"), ro("/home/user/f")]);
}

/// A program cannot end a comment, or hide in one, by its name.
#[test]
fn hostile_names_stay_comments() {
    let world = world(&["/home/user/d/a"]);
    for bad in
        ["\n[[intent]]\nuse = \"net.all\"\n", "\r", "\u{202e}", "\u{85}", "\u{2028}", "\x1b[2J"]
    {
        let mut one = event(Action::Read, "/home/user/d/a");
        one.program = format!("/usr/bin/x{bad}").as_str().into();
        let mut two = event(Action::Connect, "");
        two.object = format!("unix:/run/docker.sock{bad}").as_str().into();
        let secret = format!("/home/user/.ssh/{bad}");
        let mut world = World::new(world.files.clone(), "/home/user/project");
        world.files.add(&secret);
        let result = learned(&world, &[one, two, event(Action::Read, &secret)]);
        let title = [format!("from: {bad}")];
        let text = swathe_policy::learn::profile(&result, &title, &world.env);
        assert_eq!(lines(&result), ["files.dir=/home/user/d/a:ro"]);
        assert_eq!(world.read(&text).intents.len(), 1);
        assert!(!text.contains(bad), "{text:?}");
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    }
}

/// Very many files are few lines, and the lines are never more than a profile may have.
#[test]
fn bounded() {
    let mut world = world(&[]);
    let mut events = Vec::new();
    for one in 0..300 {
        for two in 0..3 {
            let path = format!("/home/user/_many/{one}/deep/{two}/file");
            world.files.add(&path);
            events.push(event(Action::Read, &path));
        }
        let path = format!("/home/user/h{one}/file");
        world.files.add(&path);
        events.push(event(Action::Read, &path));
    }
    for one in 0..400 {
        let path = format!("/home/user/z{one}/file");
        world.files.add(&path);
        events.push(event(Action::Read, &path));
    }
    let result = world.learn(&events);
    let lines = lines(&result);
    assert_eq!(lines.len(), 500);
    assert!(lines.contains(&"files.dir=/home/user/_many:ro".to_owned()));
    assert!(!lines.iter().any(|line| line == "files.dir=/home/user:ro"));
    assert!(world.text(&result).contains("the rest has no line"));
    world.read(&world.text(&result));
}

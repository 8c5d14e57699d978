//! What is concluded from a run's denials: thirty failures and more, one for each layer and kind.

mod cases;

use cases::cases;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use swathe_netrules::{Form, Rule};
use swathe_policy::paths::Asker;
use swathe_policy::resolve::Kind;
use swathe_policy::why::{Finding, Fix, Host, Run, explain};
use swathe_policy::{Environment, Intent, SourceText};
use swathe_record::event::{Action, Event, Layer, Outcome};

const HOME: &str = "/home/u";
const CWD: &str = "/home/u/work/p";

fn env() -> Environment {
    let mut env = Environment::usual(HOME, CWD);
    env.runtime = Some("/run/user/1000".into());
    env
}

/// A host that has these paths; those with a slash at the end are directories.
struct Made(BTreeMap<PathBuf, Kind>);

impl Made {
    fn new() -> Self {
        let mut all = BTreeMap::new();
        for path in [
            "/home/u/work/p/",
            "/home/u/work/p/.git/hooks/",
            "/home/u/main/.git/HEAD",
            "/home/u/main/.git/objects/",
            "/home/u/main/.git/worktrees/p/HEAD",
            "/home/u/data/",
            "/home/u/data/in.csv",
            "/home/u/links/current",
            "/home/u/.ssh/",
            "/home/u/.ssh/id_ed25519",
            "/home/u/.aws/",
            "/home/u/.aws/credentials",
            "/home/u/.cache/",
            "/home/u/.cache/pip/",
            "/home/u/.gitconfig",
            "/home/u/.config/",
            "/home/u/.config/gh/",
            "/home/u/.config/gh/hosts.yml",
            "/home/u/bin/",
            "/home/u/bin/tool",
            "/home/u/.npmrc",
            "/var/run/",
            "/run/docker.sock",
            "/run/cups/cups.sock",
            "/dev/dri/card0",
            "/dev/kvm",
            "/dev/fuse",
            "/dev/sda",
            "/run/user/1000/bus",
            "/run/user/1000/wayland-0",
            "/srv/models/",
            "/srv/models/a.bin",
            "/opt/tool/",
            "/opt/tool/lib/",
            "/tmp/shared/",
            "/home/u/.local/share/",
            "/usr/share/",
            "/etc/app/",
            "/home/u/.bashrc",
            "/home/u/a b'c/",
        ] {
            let kind = if path.ends_with('/') { Kind::Directory } else { Kind::File };
            for above in Path::new(path).ancestors().skip(1) {
                all.insert(above.to_owned(), Kind::Directory);
            }
            all.insert(PathBuf::from(path.trim_end_matches('/')), kind);
        }
        Self(all)
    }
}

impl Host for Made {
    fn kind(&self, path: &Path) -> Option<Kind> {
        self.0.get(path).copied()
    }
}

fn event(action: Action, object: &str, outcome: Outcome, layer: Layer) -> Event {
    Event {
        time: 0,
        pid: 10,
        program: "/usr/bin/prog".into(),
        action,
        object: object.into(),
        to: None,
        outcome,
        layer,
        reason: None,
        rule: None,
    }
}

/// What every run does first, and what it does without.
fn usual() -> Vec<Event> {
    let mut all = vec![
        event(Action::Execute, "/usr/bin/prog", Outcome::Allowed, Layer::Other),
        event(Action::Stat, "/etc/ld.so.preload", Outcome::Denied(2), Layer::Other),
        event(Action::Read, "/usr/lib/libc.so.6", Outcome::Allowed, Layer::Other),
        event(Action::Read, "/usr/share/locale/en/x.mo", Outcome::Denied(2), Layer::Mount),
        event(Action::Stat, "/home/u/.bashrc", Outcome::Denied(2), Layer::Mount),
        event(Action::Stat, "/home/u/work/.git", Outcome::Denied(2), Layer::Mount),
        event(Action::Stat, "/home/u/.config/app", Outcome::Denied(2), Layer::Mount),
        event(Action::Execute, "/home/u/bin/cc", Outcome::Denied(2), Layer::Mount),
        event(Action::Execute, "/usr/bin/cc", Outcome::Allowed, Layer::Other),
        event(Action::Create, "/home/u/work/p/out", Outcome::Denied(17), Layer::Other),
    ];
    for n in 0..20 {
        let path = format!("/usr/lib/python/{n}.py");
        all.push(event(Action::Read, &path, Outcome::Allowed, Layer::Other));
    }
    all
}

fn after() -> Vec<Event> {
    let mut all =
        vec![event(Action::Read, "/usr/share/prog/errors", Outcome::Allowed, Layer::Other)];
    all[0].pid = 11;
    all
}

fn found(run: &Run, middle: Vec<Event>) -> Vec<Finding> {
    let mut events = usual();
    events.extend(middle);
    events.extend(after());
    for (time, event) in (1..).zip(&mut events) {
        event.time = time;
    }
    explain(run, &events, &env(), &Made::new())
}

fn failed() -> Run {
    Run { status: Some(1), ..Run::default() }
}

fn words(fix: &Fix) -> String {
    match fix.option() {
        Some((option, Some(value))) => format!("{option} {value}"),
        Some((option, None)) => option.to_owned(),
        None => fix.profile().unwrap_or_else(|| match fix {
            Fix::Command(command) => (*command).to_owned(),
            _ => String::new(),
        }),
    }
}

/// The right cause comes first, with the right words.
#[test]
fn causes() {
    let (mut wrong, cases) = (Vec::new(), cases());
    assert!(cases.len() >= 30);
    for case in cases {
        let denied = case.events.iter().find(|event| event.outcome != Outcome::Allowed);
        let object = denied.map(|event| event.object.to_string()).unwrap_or_default();
        let found = found(&case.run, case.events);
        let Some(first) = found.first() else {
            wrong.push(format!("{object}: nothing found"));
            continue;
        };
        let fix = first.fixes.first().map(words).unwrap_or_default();
        let danger = first.fixes.first().and_then(|fix| fix.danger(&env())).unwrap_or_default();
        let warning = danger + first.never.as_deref().unwrap_or_default();
        if first.object.to_string() != object
            || fix != case.fix
            || !first.purpose.contains(case.purpose)
            || !warning.contains(case.warning)
        {
            wrong.push(format!("{object}:\n  {first:?}\n  fix {fix:?}, warning {warning:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What a link of the host leads to is shown by the link's name.
#[test]
fn by_a_link() {
    let mut read = event(Action::Read, "/home/u/data/in.csv", Outcome::Denied(2), Layer::Mount);
    read.to = Some("/home/u/links/current".into());
    let found = found(&failed(), vec![read]);
    let fix = found.first().and_then(|first| first.fixes.first()).map(words);
    assert_eq!(fix.as_deref(), Some("--allow files.dir=/home/u/links/current:ro"), "{found:?}");
}

/// A program that looks `localhost` up and connects to it wants what listens there.
#[test]
fn a_service_of_the_machine() {
    let hosts = event(Action::Read, "/etc/hosts", Outcome::Allowed, Layer::Other);
    let connect = event(Action::Connect, "tcp:127.0.0.1:5432", Outcome::Allowed, Layer::Network);
    let memory = event(
        Action::Read,
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        Outcome::Denied(2),
        Layer::Mount,
    );
    let run = Run { offline: true, ..failed() };
    let found = found(&run, vec![memory, hosts, connect]);
    let fix = found.first().and_then(|first| first.fixes.first()).map(words);
    assert_eq!(fix.as_deref(), Some("--net localhost:5432"), "{found:?}");
}

/// Whatever is advised is understood by what reads options and profiles, and means the same.
#[test]
fn advice_can_be_followed() {
    let (env, mut count) = (env(), 0);
    for case in cases() {
        for finding in found(&case.run, case.events) {
            for fix in &finding.fixes {
                count += 1;
                if let Some((option, value)) = fix.option() {
                    match (option, value) {
                        ("--write", None) => {}
                        ("--unprotect", Some(names)) => {
                            let known =
                                |name| swathe_policy::profile::protections().any(|p| p == name);
                            assert!(names.split(',').all(known), "{names}");
                        }
                        ("--net", Some(rule)) => {
                            let rule = Rule::parse(&rule, Form::Allow).expect("a rule");
                            assert_eq!(*fix, Fix::Intent(Intent::NetReach(rule)));
                        }
                        ("--allow", Some(word)) => {
                            let read = swathe_policy::words::parse(word.as_ref(), &env);
                            let read = read.unwrap_or_else(|e| panic!("{word}: {e:?}"));
                            match fix {
                                Fix::Intent(intent) | Fix::Make(intent) => {
                                    assert_eq!(read, *intent)
                                }
                                other => panic!("{other:?}"),
                            }
                        }
                        other => panic!("{other:?}"),
                    }
                }
                if let Some(text) = fix.profile() {
                    let source = Arc::new(SourceText::file("why.toml", text.clone()));
                    let read = swathe_policy::profile::read(&source, Asker::User, &env);
                    assert!(read.is_ok(), "{text}: {read:?}");
                }
            }
        }
    }
    assert!(count > 30, "{count}");
}

/// Several files of one directory are one thing, and what programs do without comes last.
#[test]
fn grouped() {
    let read = |n: usize| {
        let path = format!("/home/u/data/{n}.csv");
        event(Action::Read, &path, Outcome::Denied(2), Layer::Mount)
    };
    let found = found(&failed(), (0..9).map(read).collect());
    let first = found.first().expect("a finding");
    assert_eq!((first.object.to_string().as_str(), first.count), ("/home/u/data", 9));
    assert_eq!(words(&first.fixes[0]), "--allow files.dir=/home/u/data:ro");
    let last: Vec<String> = found.iter().skip(1).map(|one| one.object.to_string()).collect();
    for noise in ["/home/u/.bashrc", "/home/u/work/.git", "/home/u/bin/cc", "/home/u/.config/app"] {
        assert!(last.iter().any(|object| object == noise), "{noise}: {last:?}");
        let noise = found.iter().find(|one| one.object.to_string() == noise).expect("there");
        assert!(noise.weight < 40 && first.weight > 60, "{noise:?}");
    }
    // What is nowhere is none of the sandbox's.
    assert!(!found.iter().any(|one| one.object.to_string() == "/etc/ld.so.preload"));
}

/// What comes last is likelier than what came before, and what was found elsewhere is not.
#[test]
fn last_is_likelier() {
    let denied = |path: &str| event(Action::Read, path, Outcome::Denied(2), Layer::Mount);
    let mut events = vec![denied("/home/u/data/in.csv")];
    for n in 0..30 {
        let path = format!("/usr/lib/more/{n}");
        events.push(event(Action::Read, &path, Outcome::Allowed, Layer::Other));
    }
    events.push(denied("/srv/models/a.bin"));
    let objects: Vec<String> =
        found(&failed(), events).iter().map(|one| one.object.to_string()).collect();
    assert_eq!(objects[..2], ["/srv/models/a.bin", "/home/u/data/in.csv"]);
}

/// Any bytes and any number of events: no panic, and nothing is advised that cannot be written.
#[test]
fn any_bytes() {
    let mut events = Vec::new();
    for (n, bytes) in [&b""[..], b"/", b"unix:", b"unix:/", b"tcp:", b":", b"/\xff\n", b"..", b"\\"]
        .into_iter()
        .enumerate()
    {
        for layer in [Layer::Mount, Layer::Level, Layer::Network, Layer::Filter, Layer::Limit] {
            for action in [Action::Read, Action::Rename, Action::Connect, Action::Call] {
                let outcome = Outcome::Denied(i32::try_from(n).expect("small"));
                let object = swathe_record::bytes::Bytes(bytes.to_vec());
                events.push(Event { object, ..event(action, "", outcome, layer) });
            }
        }
    }
    for finding in explain(&failed(), &events, &env(), &Made::new()) {
        for (_, word) in finding.fixes.iter().filter_map(Fix::option) {
            assert!(
                word.is_none_or(|word| {
                    swathe_policy::words::parse(word.as_ref(), &env()).is_ok()
                })
            );
        }
    }
    assert!(explain(&Run::default(), &[], &env(), &Made::new()).is_empty());
}

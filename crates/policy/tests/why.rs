//! What is concluded from a run's denials: thirty failures and more, one for each layer and kind.

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

/// One failure: what was denied, and of the first finding the best fix, a part of what it was about,
/// and a part of the warning or of why it cannot be.
struct Case {
    events: Vec<Event>,
    run: Run,
    fix: &'static str,
    purpose: &'static str,
    warning: &'static str,
}

fn case(
    layer: Layer,
    action: Action,
    object: &str,
    errno: i32,
    fix: &'static str,
    purpose: &'static str,
    warning: &'static str,
) -> Case {
    let events = vec![event(action, object, Outcome::Denied(errno), layer)];
    Case { events, run: failed(), fix, purpose, warning }
}

/// What the helper of a network by rules says: an object, why it was refused, and the rule that it
/// names.
fn refused(
    object: &str,
    (reason, rule): (&str, &str),
    fix: &'static str,
    purpose: &'static str,
    warning: &'static str,
) -> Case {
    let mut case = case(Layer::Network, Action::Connect, object, 111, fix, purpose, warning);
    for event in &mut case.events {
        event.reason = Some(reason.to_owned());
        event.rule = (!rule.is_empty()).then(|| rule.to_owned());
    }
    case
}

/// Failures of a network by rules, and of sandboxes without one.
fn hosts() -> Vec<Case> {
    let mut all = vec![
        refused(
            "tcp:github.com:22",
            ("github.com is allowed, but not port 22", "github.com:22"),
            "--net github.com:22",
            "SSH",
            "",
        ),
        refused(
            "dns:example.org",
            ("example.org is allowed by no rule", "example.org:443"),
            "--net example.org:443",
            "resolve a host name",
            "",
        ),
        refused(
            "tcp:ads.example:443",
            ("ads.example is denied by the rule `ads.example:*`", ""),
            "",
            "web server",
            "a rule that denies",
        ),
        refused(
            "tcp:db.example:5432",
            (
                "db.example leads to 10.0.0.5, a private address, which no rule names",
                "10.0.0.5:5432",
            ),
            "--net 10.0.0.5:5432",
            "PostgreSQL",
            "local network",
        ),
        refused(
            "tcp:169.254.169.254:80",
            ("169.254.169.254 is for credentials, which no rule names", "169.254.169.254:80"),
            "--net 169.254.169.254:80",
            "web server",
            "credentials",
        ),
        refused(
            "tcp:127.0.0.1:6379",
            ("127.0.0.1 is this machine, which no rule names", "localhost:6379"),
            "--net localhost:6379",
            "Redis",
            "this machine",
        ),
        refused(
            "udp:time.example:123",
            ("time.example is allowed, but not port 123 by UDP", "time.example:123/udp"),
            "--net time.example:123/udp",
            "the time",
            "",
        ),
        refused(
            "tcp:github.com:443",
            ("its TLS greeting is for evil.example, and not for github.com", ""),
            "",
            "web server",
            "meant for it",
        ),
    ];
    // The host itself, and its name.
    for (object, reason) in [
        ("tcp:github.com:443", "140.82.0.1:443: connection refused"),
        ("dns:nowhere.example", "there is no host nowhere.example"),
    ] {
        let mut case = refused(object, (reason, ""), "", "host", "no option");
        case.events.iter_mut().for_each(|event| event.layer = Layer::Other);
        case.purpose = if object.starts_with("dns") { "resolve" } else { "web server" };
        all.push(case);
    }
    // Without a network: only the command line says what was meant.
    let read = event(Action::Read, "/etc/hosts", Outcome::Allowed, Layer::Other);
    for (word, fix) in [
        ("https://github.com/o/r", "--net github.com:443"),
        ("git@github.com:o/r.git", "--net github.com:22"),
        ("fetch", "swathe learn -- CMD"),
    ] {
        let command = vec!["tool".into(), word.into()];
        let run = Run { offline: true, command, ..failed() };
        let events = vec![read.clone()];
        all.push(Case { events, run, fix, purpose: "resolve a host name", warning: "" });
    }
    all
}

fn cases() -> Vec<Case> {
    use Action::*;
    use Layer::*;
    let mut all = vec![
        // Mounts: hidden.
        case(
            Mount,
            Read,
            "/home/u/data/in.csv",
            2,
            "--allow files.dir=/home/u/data/in.csv:ro",
            "read it",
            "",
        ),
        case(Mount, Read, "/home/u/data", 2, "--allow files.dir=/home/u/data:ro", "read it", ""),
        case(
            Mount,
            Read,
            "/home/u/.ssh/id_ed25519",
            2,
            "--allow files.dir=/home/u/.ssh/id_ed25519:ro",
            "SSH keys",
            "keys, tokens or passwords",
        ),
        case(
            Mount,
            Read,
            "/home/u/.aws/credentials",
            2,
            "--allow files.dir=/home/u/.aws/credentials:ro",
            "credentials of AWS",
            "keys, tokens",
        ),
        case(
            Mount,
            Read,
            "/home/u/.config/gh/hosts.yml",
            2,
            "--allow files.dir=/home/u/.config/gh/hosts.yml:ro",
            "GitHub",
            "keys, tokens",
        ),
        case(
            Mount,
            Read,
            "/home/u/.gitconfig",
            2,
            "--allow files.dir=/home/u/.gitconfig:ro",
            "git's settings",
            "",
        ),
        case(
            Mount,
            Execute,
            "/home/u/bin/tool",
            2,
            "--allow files.dir=/home/u/bin/tool:ro",
            "run the program tool",
            "",
        ),
        case(
            Mount,
            Read,
            "/srv/models/a.bin",
            2,
            "--allow files.dir=/srv/models/a.bin:ro",
            "read it",
            "",
        ),
        case(
            Mount,
            Create,
            "/home/u/.cache/pip/http/1",
            2,
            "--allow files.dir=/home/u/.cache/pip:rw",
            "a cache",
            "",
        ),
        // What has to be made first, since what is there is too much.
        case(
            Mount,
            Create,
            "/home/u/.cache/tool/x",
            2,
            "--allow files.dir=/home/u/.cache/tool:rw",
            "a cache",
            "",
        ),
        case(
            Mount,
            Read,
            "/home/u/a b'c/x$y",
            2,
            "--allow files.dir=/home/u/a b'c:ro",
            "read it",
            "",
        ),
        // Mounts: read-only.
        case(
            Mount,
            Create,
            "/home/u/work/p/target/x.o",
            30,
            "--write",
            "write in the working directory",
            "",
        ),
        case(Mount, Remove, "/home/u/work/p/old", 30, "--write", "remove", ""),
        case(Mount, Metadata, "/home/u/work/p/run.sh", 30, "--write", "mode", ""),
        case(
            Mount,
            Write,
            "/home/u/data/in.csv",
            30,
            "--allow files.dir=/home/u/data/in.csv:rw",
            "write it",
            "",
        ),
        // Where there is no repository yet.
        case(
            Mount,
            Create,
            "/home/u/work/p/new/.git/description",
            30,
            "--unprotect git-hooks,git-config",
            "",
            "outside",
        ),
        // Hidden by words of the user's.
        case(Mount, Read, "/home/u/work/p/secret", 13, "", "read it", "files.hide"),
        case(
            Mount,
            Create,
            "/home/u/work/p/.git/hooks/pre-commit",
            30,
            "--unprotect git-hooks",
            "write",
            "outside the sandbox",
        ),
        case(Mount, Write, "/home/u/work/p/.envrc", 30, "--unprotect direnv", "write", "outside"),
        case(Mount, Create, "/usr/share/new", 30, "", "write it", "belongs to the system"),
        case(Mount, Create, "/home/u/new-file", 30, "", "write it", ""),
        // Sockets and devices.
        case(
            Mount,
            Connect,
            "unix:/run/docker.sock",
            2,
            "--allow files.dir=/run/docker.sock:ro",
            "Docker",
            "as root",
        ),
        case(
            Mount,
            Connect,
            "unix:/tmp/ssh-xyz/agent.77",
            2,
            "--allow ssh-agent",
            "SSH agent",
            "log in as you",
        ),
        case(
            Mount,
            Connect,
            "unix:/run/user/1000/gnupg/S.gpg-agent",
            2,
            "--allow gpg-agent",
            "GnuPG",
            "sign and decrypt",
        ),
        case(Mount, Connect, "unix:/run/cups/cups.sock", 2, "--allow print", "print", ""),
        case(Mount, Connect, "unix:/run/user/1000/bus", 2, "", "session bus", "desktop proxy"),
        case(Mount, Connect, "unix:/run/user/1000/wayland-0", 2, "", "window", "desktop proxy"),
        case(Mount, Read, "/dev/dri/card0", 2, "--allow gpu", "graphics", "graphics driver"),
        case(Mount, Read, "/dev/kvm", 2, "--allow kvm", "virtual machine", "hypervisor"),
        case(Mount, Read, "/dev/sda", 2, "", "device", ""),
        // Landlock.
        case(Landlock, Connect, "unix:@/tmp/.X11-unix/X0", 1, "", "window", "by name"),
        case(
            Landlock,
            Remove,
            "/home/u/data/in.csv",
            13,
            "--allow files.dir=/home/u/data:rw",
            "remove",
            "change",
        ),
        // The filter.
        case(Filter, Call, "ptrace", 1, "--allow ptrace", "debuggers", "escape"),
        case(
            Filter,
            Call,
            "unshare",
            1,
            "--allow nested-sandbox",
            "sandbox or container",
            "escapes",
        ),
        case(Filter, Call, "io_uring_setup", 38, "", "io_uring", "no sandbox allows it"),
        case(Filter, Call, "keyctl", 1, "", "keyring", "no sandbox allows it"),
        // The network.
        case(
            Network,
            Connect,
            "tcp:93.184.216.34:443",
            101,
            "--net 93.184.216.34:443",
            "web server",
            "",
        ),
        case(Network, Connect, "udp:192.0.2.53:53", 101, "swathe learn -- CMD", "resolve", ""),
        case(Network, Connect, "tcp:127.0.0.1:5432", 97, "--allow net.loopback", "PostgreSQL", ""),
        // Limits.
        case(Limit, Create, "/tmp/big", 28, "[limits]\ntmpfs = \"8G\"\n", "write it", ""),
        case(Limit, Read, "/usr/lib/x", 24, "[limits]\nopen-files = 65536\n", "read it", ""),
        // Levels.
        case(Level, Remove, "/home/u/work/p/a", 13, "--allow files.cwd=trash", "remove", ""),
        case(Level, Rename, "/home/u/work/p/a", 13, "--allow files.cwd=trash", "renaming", ""),
        case(
            Level,
            Write,
            "/home/u/data/in.csv",
            13,
            "--allow files.dir=/home/u/data:trash",
            "write it",
            "change",
        ),
        case(
            Level,
            Remove,
            "/home/u/work/p/a",
            122,
            "swathe trash limits --size 64G --entries 4000000",
            "remove",
            "",
        ),
        // The user, and nobody.
        case(
            User,
            Read,
            "/home/u/data/in.csv",
            13,
            "--allow files.dir=/home/u/data/in.csv:ro",
            "read it",
            "",
        ),
        case(Other, Read, "/home/u/work/p/private", 13, "", "read it", "no option"),
    ];
    for (status, limits, fix, purpose) in [
        (137, vec!["memory"], "[limits]\nmemory = \"8G\"\n", "memory"),
        (124, vec!["time"], "[limits]\ntime = \"12h\"\n", "run on"),
        (1, vec!["processes"], "[limits]\nprocesses = 8192\n", "process or thread"),
        (137, vec![], "[limits]\nmemory = \"8G\"\n", "memory"),
        (159, vec![], "--allow 32bit", "filter"),
    ] {
        let limits = limits.into_iter().map(str::to_owned).collect();
        let run = Run { status: Some(status), limits, ..Run::default() };
        all.push(Case { events: Vec::new(), run, fix, purpose, warning: "" });
    }
    all.extend(hosts());
    all
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

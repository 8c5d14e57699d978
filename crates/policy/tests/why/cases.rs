//! Failures, what is to be concluded from each, and what allows it.

use super::{event, failed};
use swathe_policy::why::Run;
use swathe_record::event::{Action, Event, Layer, Outcome};

/// One failure: what was denied, and of the first finding the best fix, a part of what it was about,
/// and a part of the warning or of why it cannot be.
pub struct Case {
    pub events: Vec<Event>,
    pub run: Run,
    pub fix: &'static str,
    pub purpose: &'static str,
    pub warning: &'static str,
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

/// A program that falls back to reading, again and again.
fn read_after_writing() -> Case {
    let (path, fix) = ("/home/u/data/in.csv", "--allow files.dir=/home/u/data/in.csv:rw");
    let mut case = case(Layer::Mount, Action::Write, path, 2, fix, "write it", "");
    let read = || event(Action::Read, path, Outcome::Denied(2), Layer::Mount);
    case.events.extend([read(), read(), read()]);
    case
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

pub fn cases() -> Vec<Case> {
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
        // A linked worktree: its repository is elsewhere.
        case(
            Mount,
            Read,
            "/home/u/main/.git/worktrees/p/HEAD",
            2,
            "--allow files.dir=/home/u/main/.git:ro",
            "read it",
            "",
        ),
        case(
            Mount,
            Create,
            "/home/u/main/.git/worktrees/p/index.lock",
            30,
            "--allow files.dir=/home/u/main/.git:rw",
            "write it",
            "",
        ),
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
            Bind,
            "unix:/home/u/data/new.sock",
            2,
            "--allow files.dir=/home/u/data:rw",
            "offer a socket",
            "",
        ),
        case(
            User,
            Read,
            "/home/u/data/in.csv",
            2,
            "--allow files.dir=/home/u/data/in.csv:ro",
            "read it",
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
        case(
            Mount,
            Create,
            "/home/u/.local/share/app",
            2,
            "--allow files.dir=/home/u/.local/share/app:rw",
            "data that it keeps",
            "",
        ),
        case(Mount, Create, "/home/u/.local/share/app.db", 2, "", "data that it keeps", ""),
        read_after_writing(),
        // What begins a mount.
        case(Other, Remove, "/home/u/work/p/.envrc", 16, "--unprotect direnv", "remove", "outside"),
        case(Other, Rename, "/home/u/data/in.csv", 16, "", "move it", "what was named itself"),
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

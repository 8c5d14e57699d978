//! Programs as a new user tries them: in a project of theirs, with no options but those named. Each
//! works, and none of them finds a secret.

mod common;

use common::screen::Screen;
use common::{LOOK, Place, installed, no_secret};

/// Makes the project.
const PROJECT: &str = r#"
git init -q -b main . && echo one >file && git add file && git commit -q -m one
printf '#include <stdio.h>\nint main(void) { puts("from C"); return 0; }\n' >hello.c
printf 'hello: hello.c\n\tcc -o hello hello.c\n' >Makefile
printf '#!/usr/bin/env python3\nprint("from a script")\n' >script.py; chmod +x script.py
printf '#!/usr/bin/env bash\nset -euo pipefail\necho "from ${0##*/}"\n' >script.sh; chmod +x script.sh
printf '{"name":"x","version":"1.0.0","scripts":{"test":"node test.js"}}' >package.json
printf 'require("assert").strictEqual(1, 1); console.log("tested");' >test.js
mkdir -p src && printf '[package]\nname = "small"\nversion = "0.1.0"\nedition = "2021"\n' >Cargo.toml
printf 'fn main() { println!("from Rust"); }\n' >src/main.rs
printf 'package main\nfunc main() { println("from Go") }\n' >main.go; printf 'module x\n' >go.mod
"#;

struct Row {
    /// It must be installed.
    program: &'static str,
    options: &'static str,
    text: &'static str,
    /// Is printed.
    says: &'static str,
}

const fn row(
    program: &'static str,
    options: &'static str,
    text: &'static str,
    says: &'static str,
) -> Row {
    Row { program, options, text, says }
}

const ROWS: &[Row] = &[
    row("git", "", "git status", "On branch main"),
    row("git", "", "git log", "one"),
    row("git", "", "git diff HEAD; git show", "+one"),
    row("bash", "", "bash -c 'echo $BASH_VERSION; [[ -r file ]] && cat <(cat file)'", "one"),
    row("bash", "", "bash -lc 'echo login $HOME'", "login"),
    row(
        "python3",
        "",
        "python3 -c 'import json, ssl, sqlite3, subprocess; \
        print(subprocess.run([\"cat\", \"file\"], capture_output=True).stdout)'",
        "one",
    ),
    row("python3", "", "./script.py", "from a script"),
    row(
        "python3",
        "",
        "python3 -c 'import multiprocessing as m; print(m.Pool(2).map(abs, [-7]))'",
        "[7]",
    ),
    row(
        "python3",
        "-w",
        "/usr/bin/python3 -m venv --without-pip v && v/bin/python -c 'import sys; print(sys.prefix)'",
        "/v",
    ),
    row("bash", "", "./script.sh", "from script.sh"),
    row(
        "node",
        "",
        "node -e 'console.log(require(\"fs\").readFileSync(\"file\", \"utf8\"))'",
        "one",
    ),
    row("npm", "", "npm test", "tested"),
    row("npm", "-w", "npm test", "tested"),
    row("perl", "", "perl -MPOSIX -e 'print \"perl \", floor(2.5), `cat file`'", "perl 2one"),
    row("gcc", "", "gcc -o /tmp/hello hello.c && /tmp/hello", "from C"),
    row("gcc", "-w", "gcc -O2 -static -o static hello.c && ./static", "from C"),
    row("make", "-w", "make -s && ./hello", "from C"),
    row("less", "", "less file", "one"),
    row("top", "", "top -b -n 1", "COMMAND"),
    row("busybox", "", "busybox echo from busybox", "from busybox"),
    row("go", "-w", "go build -o gobin . && ./gobin 2>&1", "from Go"),
    row("tar", "-w", "tar czf x.tgz file && tar tzf x.tgz", "file"),
    row("sed", "-w", "cp file copy; sed -i s/one/two/ copy; cat copy", "two"),
    row("find", "", "find . -name '*.c' | xargs ls -la", "hello.c"),
    row("ps", "", "ps aux", "ps aux"),
    row("id", "", "id -un; whoami; hostname", "sandbox"),
    row("date", "", "TZ=Asia/Tokyo date +%Z; locale 2>&1; date", "JST"),
    row(
        "nproc",
        "",
        "nproc; df -h . >/dev/null; free >/dev/null; uptime >/dev/null; echo fine",
        "fine",
    ),
    row("strings", "", "strings -n 1 file; nm --version", "GNU"),
    row("man", "", "man --version", "man"),
    row(
        "curl",
        "",
        "curl -sS --max-time 2 http://127.0.0.1:9 2>&1 || echo no network",
        "no network",
    ),
    row("getent", "", "getent passwd $(id -u); getent hosts localhost", "localhost"),
    row(
        "mktemp",
        "",
        "mktemp && mktemp -p /var/tmp && mktemp -p $HOME && mktemp -p $XDG_RUNTIME_DIR && echo made",
        "made",
    ),
    row("sort", "", "seq 200000 | sort -R | sort -n | tail -n 1", "200000"),
    row("flock", "", "flock /tmp/l echo locked", "locked"),
    row(
        "dd",
        "",
        "dd if=/dev/zero of=/dev/shm/x bs=1M count=8 2>/dev/null && echo shared memory",
        "shared memory",
    ),
];

fn works(place: &Place) {
    place.host(PROJECT);
    let mut wrong = Vec::new();
    for row in ROWS.iter().filter(|row| installed(row.program)) {
        let ran = place.inside(row.options, row.text).go();
        if ran.ended.shell() != 0 || !ran.text().contains(row.says) {
            wrong.push(format!("{}\n{ran}", row.text));
        }
        // The same program, and whoever starts it, finds no secret.
        let ran = place.inside(row.options, &format!("{}; {LOOK}", row.text)).go();
        no_secret(&ran);
    }
    assert!(wrong.is_empty(), "{} do not work:\n{}", wrong.len(), wrong.join("\n----\n"));
}

/// The control of the look for secrets: outside it finds them.
fn secrets_are_there_outside(place: &Place) {
    let ran = place.outside(LOOK).go();
    assert!(ran.text().matches(common::SECRET).count() > 10, "{ran}");
}

/// Interpreters look for secrets themselves, too.
fn interpreters_find_no_secret(place: &Place) {
    for (program, text) in [
        (
            "python3",
            r#"python3 -c 'import os, pathlib
for d, _, n in os.walk(os.environ["HOME"]):
    for f in n: print(pathlib.Path(d, f).read_text())
print(dict(os.environ)); print(os.listdir(os.environ["HOME"]))
import socket; s = socket.socket(socket.AF_UNIX)
try: s.connect(os.environ.get("SSH_AUTH_SOCK", "X/runtime/agent.sock")); print("PLANTED-" + "SECRET")
except OSError as e: print(e)'"#,
        ),
        (
            "node",
            r#"node -e 'const fs = require("fs"), h = process.env.HOME + "/";
for (const f of [".ssh/id_ed25519", ".netrc", ".npmrc", ".aws/credentials"])
  try { console.log(fs.readFileSync(h + f, "utf8")) } catch (e) { console.log(e.code) }
console.log(process.env)'"#,
        ),
        (
            "perl",
            r#"perl -e 'for (glob "$ENV{HOME}/.*/*") { open F, $_ and print <F> } print %ENV'"#,
        ),
        (
            "find",
            "find / -name id_ed25519 -exec cat {} + 2>/dev/null; \
            cat /proc/*/environ /proc/*/root/home/*/.ssh/* 2>/dev/null | tr '\\0' '\\n'",
        ),
    ] {
        if installed(program) {
            let text = text.replace('X', &place.dir.path().display().to_string());
            for options in ["", "-w"] {
                no_secret(&place.inside(options, &text).go());
            }
        }
    }
}

/// What appears, and what is typed then.
type Step = (&'static str, &'static str);

/// Programs that draw on a terminal: the program that must be installed, the words, and steps: what
/// appears, and what is typed then.
const TERMINAL: &[(&str, &str, &[Step])] = &[
    ("vim", "run -w -- vim -u NONE file", &[("one", "otwo\u{1b}:wq\r")]),
    ("vi", "run -w -- vi file", &[("one", "otwo\u{1b}:wq\r")]),
    ("nano", "run -w -- nano file", &[("one", "two\u{18}"), ("ave", "y"), ("ile", "\r")]),
    ("less", "run -- less file", &[("one", "q")]),
    ("top", "run -- top", &[("COMMAND", "q")]),
    ("bash", "run -- bash", &[("project", "echo a$((1+1))b\r"), ("a2b", "exit\r")]),
    ("python3", "run -- python3 -q", &[(">>> ", "print(6*7)\r"), ("42", "exit()\r")]),
    ("node", "run -- node", &[("> ", "6*7\r"), ("42", ".exit\r")]),
    ("git", "run -- git -c core.pager=less log -1", &[("one", "q")]),
    ("man", "run -- sh -c 'stty size; tty; echo over'", &[("33 90", ""), ("/dev/", "")]),
    (
        "tmux",
        "shell",
        &[
            ("project", "tmux\r"),
            ("[0]", "echo t$((40+2))x\r"),
            ("t42x", "exit\r"),
            ("exited", "exit\r"),
        ],
    ),
    (
        "bash",
        "shell",
        &[("project", "sleep 99 | cat & jobs; kill %1; echo d$((1+2))\r"), ("d3", "exit\r")],
    ),
];

fn on_a_terminal(place: &Place) {
    for (program, words, steps) in TERMINAL {
        if !installed(program) {
            continue;
        }
        place.host("git init -q -b main .; echo one >file; git add file; git commit -q --allow-empty -m one");
        let start = format!("export SHELL=/bin/bash PS1='$ '; exec \"$SWATHE\" {words}");
        let mut screen = Screen::start(place, &start);
        for (appears, typed) in *steps {
            screen.expect(appears);
            screen.send(typed);
        }
        let (ended, seen) = screen.end();
        assert_eq!(ended.ended.shell(), 0, "{words}: {ended}\n{seen:?}");
        let written = place.dir.read("project/file").unwrap_or_default();
        assert_eq!(written.contains("two"), words.contains("-w"), "{words}: {written:?}\n{seen:?}");
    }
}

both! {
    works,
    secrets_are_there_outside,
    interpreters_find_no_secret,
    on_a_terminal,
}

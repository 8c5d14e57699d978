//! The filter of `swathe run` in a running sandbox: the kernel decides as the table says, and
//! ordinary programs work under it.

use std::path::Path;

use swathe_plan::filter::{
    Action, Arch, Case, Data, FilterOptions, Table, Test, assemble, base, errno, interpret, rules,
};
use swathe_testkit::{Bwrap, caller, contract, data, notice};

/// The sandbox of these tests.
const BOX: &str = "--ro-bind / / --dev /dev --proc /proc --unshare-all --cap-drop ALL";

/// Added to each error of a filter: no error of the kernel is that high.
const MARK: u16 = 1000;

/// The same filter with marked errors, so that a refusal of the filter cannot be taken for one of
/// the kernel.
fn marked(program: &[u8]) -> Vec<u8> {
    let mut program = program.to_vec();
    for instruction in program.as_chunks_mut::<8>().0 {
        let k =
            u32::from_le_bytes([instruction[4], instruction[5], instruction[6], instruction[7]]);
        if instruction[0] == 6 && k >> 16 == 5 {
            instruction[4..].copy_from_slice(&(k + u32::from(MARK)).to_le_bytes());
        }
    }
    program
}

/// What the calls answer under the filter, one line each.
fn answers(b: &Bwrap, program: Vec<u8>, calls: &[String]) -> Vec<String> {
    let run = b.run(BOX).words("--add-seccomp-fd 9").arg(caller()).args(calls);
    let text = run.fd(9, data(program)).prints();
    let lines: Vec<String> = text.lines().map(String::from).collect();
    assert_eq!(lines.len(), calls.len(), "{calls:?}\n{text}");
    lines
}

/// A call in the words of the caller.
fn word(number: u32, args: &[u64]) -> String {
    args.iter().fold(number.to_string(), |text, arg| format!("{text}:{arg:#x}"))
}

/// The kernel decides as the interpreter does, with all kinds of tests and actions, over calls that
/// take no arguments and so run with any.
fn the_kernel_agrees(b: &Bwrap) {
    let arch = Arch::native().expect("a table");
    let big = 0x1234_5678_9abc_def0;
    let tests = [
        vec![Test::Equal { arg: 0, mask: u64::MAX, value: big }],
        vec![Test::Equal { arg: 1, mask: 0xff00_0000_00ff, value: 0x1200_0000_0034 }],
        vec![Test::int(2, 7), Test::any(3, 0x30)],
        vec![Test::Any { arg: 4, mask: 1 << 40 | 1 }],
        vec![Test::Low { arg: 5, from: 3, to: 1 << 31 }],
        vec![Test::Range { arg: 0, from: big - 1, to: big + (1 << 34) }],
    ];
    let actions = [7, 8, 9, 10].map(|number| Action::Errno(number + MARK));
    let names = ["getuid", "geteuid", "getgid", "getegid", "getppid", "getsid"];
    let mut table = Table {
        arch,
        calls: arch.calls().map(|(_, number)| (number, Vec::new())).collect(),
        others: Action::Errno(errno::ENOSYS + MARK),
    };
    for (at, name) in names.iter().enumerate() {
        let case = |n: usize, action| Case { tests: &tests[(at + n) % tests.len()], action };
        let end = if at % 2 == 0 { Action::Kill } else { Action::Notify };
        let cases = vec![
            case(0, actions[at % 4]),
            case(1, actions[(at + 1) % 4]),
            case(2, Action::Allow),
            case(3, end),
            case(4, actions[(at + 2) % 4]),
        ];
        table.calls.insert(arch.number(name).expect("a call"), cases);
    }
    let program = assemble(&[table], Action::Kill).expect("a program");
    let values = [
        0,
        1,
        3,
        7,
        0x10,
        1 << 31,
        1 << 40,
        0x1200_0000_0034,
        big,
        big + (1 << 34),
        big + (1 << 34) + 1,
        big - 2,
        u64::MAX,
    ];
    let mut seed = 1_u64;
    let mut pick = |count: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).expect("31 bits") % count
    };
    let (mut calls, mut expected) = (Vec::new(), Vec::new());
    for _ in 0..300 {
        let number = arch.number(names[pick(names.len())]).expect("a call");
        let args = [(); 6].map(|()| values[pick(values.len())]);
        let call = Data { number, arch: arch.audit(), address: 0, args };
        calls.push(word(number, &args));
        expected.push(match interpret(&program, &call).expect("a sound program") {
            0x8000_0000 => "signal 31".into(),
            0x7fc0_0000 => format!("-{}", errno::ENOSYS),
            0x7fff_0000 => "allowed".into(),
            value => format!("-{}", value & 0xffff),
        });
    }
    for kind in ["signal 31", "-38", "allowed", "-1007", "-1008", "-1009", "-1010"] {
        assert!(expected.iter().any(|line| line == kind), "none of them is {kind}");
    }
    let found = answers(b, program, &calls);
    for ((call, expected), found) in calls.iter().zip(expected).zip(found) {
        // getsid of a number that is no process is an error of the kernel's own.
        let allowed = !found.starts_with('-') || found == "-3";
        let found = if allowed && !found.starts_with("signal") { "allowed".into() } else { found };
        assert_eq!(found, expected, "{call}");
    }
}

/// Every call that the table refuses without a condition is refused by the filter, not merely by
/// the kernel, with the error that the table names.
fn refused_calls(b: &Bwrap) {
    let options = FilterOptions::default();
    let arch = options.arch.expect("a table");
    let (mut calls, mut expected) = (Vec::new(), Vec::new());
    for rule in rules(&options).filter(|rule| rule.tests.is_empty()) {
        let Action::Errno(error) = rule.action else { continue };
        for name in rule.calls {
            // The last row of a call with conditions needs its own arguments.
            let first = rules(&options).find(|rule| rule.calls.contains(name));
            let Some(number) = arch.number(name).filter(|_| first == Some(rule)) else { continue };
            calls.push(word(number, &[u64::MAX; 6]));
            expected.push((*name, format!("-{}", error + MARK)));
        }
    }
    assert!(calls.len() > 50, "{}", calls.len());
    let found = answers(b, marked(&base(&options).expect("a filter")), &calls);
    for (found, (name, expected)) in found.iter().zip(expected) {
        assert_eq!(*found, expected, "{name}");
    }
}

/// Conditions hold in the kernel as well: what is refused and what passes, by the error.
fn refused_arguments(b: &Bwrap) {
    const FD: u64 = 0xffff_ffff;
    let high = 1 << 32;
    let cases: &[(&str, &[u64], i32)] = &[
        ("ioctl", &[FD, 0x5412], 1001),
        ("ioctl", &[FD, 0x5412 | high], 1001),
        ("ioctl", &[FD, 0x541c | high], 1001),
        ("ioctl", &[FD, 0x5423], 1001),
        ("ioctl", &[FD, 0x5401], libc::EBADF),
        ("unshare", &[0x1000_0000], 1001),
        ("unshare", &[0x0002_0000], 1001),
        ("unshare", &[0x80], 1001),
        ("unshare", &[0x200], 0),
        ("clone", &[0x1000_0011], 1001),
        ("clone", &[0x4000_0011 | high], 1001),
        ("fchmod", &[FD, 0o4755], 1001),
        ("fchmod", &[FD, 0o2755], 1001),
        ("fchmod", &[FD, 0o1755], libc::EBADF),
        ("fchmodat", &[FD, 0, 0o4755], 1001),
        ("fchmodat2", &[FD, 0, 0o4755], 1001),
        ("openat", &[FD, 1, 0o101, 0o4755], 1001),
        ("openat", &[FD, 1, 0o20_200_002, 0o4755], 1001),
        ("openat", &[FD, 1, 0o2, 0o4755], libc::EFAULT),
        ("mknodat", &[FD, 1, 0o020_600, 0x103], 1001),
        ("mknodat", &[FD, 1, 0o060_600, 0x103], 1001),
        ("mknodat", &[FD, 1, 0o010_600, 0], libc::EFAULT),
        ("personality", &[0x40_0000], 1001),
        ("personality", &[0x4_0000], 1001),
        ("personality", &[FD], 0),
        ("prctl", &[35, 1, 0, 0, 0], 1001),
        ("kcmp", &[1, 1, 1], 1001),
        ("socket", &[40, 1, 0], 1097),
        ("socket", &[40 | high, 1, 0], 1097),
        ("socket", &[38, 5, 0], 1097),
        ("socket", &[17, 3, 0], 1097),
        ("socket", &[16, 3, 12], 1093),
        ("socket", &[2, 1, 262], 1093),
        ("socket", &[2, 5, 132], 1094),
    ];
    let arch = Arch::native().expect("a table");
    let number = |name| arch.number(name).expect("a call");
    let mut calls: Vec<String> =
        cases.iter().map(|&(name, args, _)| word(number(name), args)).collect();
    for args in [[1, 1, 0], [2, 1, 0], [2, 2, 17], [10, 1, 6], [16, 3, 0]] {
        calls.push(word(number("socket"), &args));
    }
    calls.extend(["470", "500"].map(String::from));
    let program = marked(&base(&FilterOptions::default()).expect("a filter"));
    let found = answers(b, program, &calls);
    for ((name, args, expected), found) in cases.iter().zip(&found) {
        let expected = if *expected == 0 { "0".into() } else { format!("-{expected}") };
        assert_eq!(*found, expected, "{name} {args:x?}");
    }
    for (call, found) in calls.iter().zip(&found).skip(cases.len()).take(5) {
        // Without IPv6 in the kernel that family is refused by the kernel itself.
        assert!(!found.starts_with('-') || found == "-97", "{call}: {found}");
    }
    assert_eq!(found[calls.len() - 2..], ["-1038", "-1038"], "calls without a name");
}

/// The other ways into an x86_64 kernel: i386 calls are refused, by the intent under the same rules,
/// and x32 calls always.
fn other_tables(b: &Bwrap) {
    if Arch::native() != Some(Arch::X86_64) {
        return notice("not x86_64: the tests of i386 and x32 calls are left out");
    }
    // getpid, keyctl, add_key, bpf, unshare(CLONE_NEWUSER), open("", O_CREAT, 04755); x32 getpid.
    let calls = [
        "i386/20",
        "i386/288:0",
        "i386/286",
        "i386/357",
        "i386/310:0x10000000",
        "i386/5:1:0o101:0o4755",
        "0x40000027",
        "0x40000000",
    ];
    let calls = calls.map(String::from);
    let options = FilterOptions::default();
    let found = answers(b, marked(&base(&options).expect("a filter")), &calls);
    assert_eq!(found, ["-1038"; 8]);
    let both = FilterOptions { bits32: true, ..options };
    let found = answers(b, marked(&base(&both).expect("a filter")), &calls);
    let own: i64 = found[0].parse().expect("a number");
    if own == -i64::from(libc::ENOSYS) {
        return notice("this kernel runs no 32-bit programs: half of a test is left out");
    }
    assert!(own > 0, "{found:?}");
    assert_eq!(found[1..], ["-1038", "-1038", "-1001", "-1001", "-1001", "-1038", "-1038"]);
}

/// With the intent, a sandbox can be made inside; without, it cannot.
fn nested(b: &Bwrap) {
    let words = format!(
        "{BOX} --uid 1000 --gid 1000 --add-seccomp-fd 9 {} --ro-bind / / \
        --unshare-all --tmpfs /tmp echo inside",
        b.path.display()
    );
    let options = FilterOptions { nested_sandbox: true, ..FilterOptions::default() };
    let run = |options| b.run(&words).fd(9, data(base(options).expect("a filter")));
    assert_eq!(run(&options).prints(), "inside");
    run(&FilterOptions::default()).exits(1);
}

/// A program that has to be installed, what is run, and what it prints.
const PROGRAMS: &[(&str, &str, &str)] = &[
    ("bash", r#"x=$(echo a | cat); (sleep 0.01 & wait); exec 3<>/dev/null; cat <(echo $x)"#, "a"),
    (
        "python3",
        r#"python3 -c '
import asyncio, multiprocessing, socket, subprocess, tempfile, threading
thread = threading.Thread(target=lambda: None); thread.start(); thread.join()
assert subprocess.check_output(["echo", "a"]) == b"a\n"
with multiprocessing.get_context("fork").Pool(2) as pool: assert pool.map(abs, [-1, 2]) == [1, 2]
socket.create_server(("127.0.0.1", 0)).close()
asyncio.run(asyncio.create_subprocess_exec("true"))
with tempfile.TemporaryDirectory(): print("fine")'"#,
        "fine",
    ),
    (
        "node",
        r#"node -e '
const fs = require("fs"), os = require("os"), { Worker } = require("worker_threads");
fs.writeFileSync("x", "y"); os.networkInterfaces();
require("child_process").execSync("true");
new Worker("1", { eval: true }).on("exit", () => fs.promises.readFile("x", "utf8").then(console.log))'"#,
        "y",
    ),
    ("perl", r#"perl -e 'open(my $p, "-|", "echo a") or die; print <$p>'"#, "a"),
    (
        "sqlite3",
        r#"sqlite3 x.db "pragma journal_mode=wal; create table t(a); insert into t values(3); select a from t""#,
        "wal\n3",
    ),
    (
        "git",
        r#"export HOME=$PWD; git config --global user.name a; git config --global user.email a@b
git init -q r; cd r; echo a >a; git add a; git commit -qm first; git gc -q; git clone -q . ../s
git worktree add -q ../w 2>&1; git switch -q -c next; git log --format=%s"#,
        "first",
    ),
    (
        "gcc",
        r#"echo 'int main(void) { return 7; }' >m.c; gcc -O2 -pthread -o m m.c; ./m; echo $?"#,
        "7",
    ),
    ("make", r#"printf 'all: a b\na b:\n\t@echo x\n' >Makefile; make -s -j2"#, "x\nx"),
    (
        "tar",
        r#"mkdir -p d/e; echo a >d/e/f; tar czf d.tgz d; mkdir o; tar xpzf d.tgz -C o; cp -a o p; cat p/d/e/f"#,
        "a",
    ),
    (
        "tmux",
        r#"export TMUX_TMPDIR=$PWD; tmux -f /dev/null new-session -d 'sleep 9' && tmux ls -F '#{session_windows}'; tmux kill-server"#,
        "1",
    ),
    ("strace", r#"strace -o /dev/null true 2>/dev/null || echo refused"#, "refused"),
];

/// Ordinary programs do their work under the filter.
fn ordinary_programs(b: &Bwrap) {
    for (program, script, expected) in PROGRAMS {
        let installed = ["/usr/local/bin", "/usr/bin", "/bin"];
        if !installed.iter().any(|dir| Path::new(dir).join(program).exists()) {
            notice(&format!("{program} is not installed: not run under the filter"));
            continue;
        }
        let temp = b.temp();
        let dir = temp.dir("work");
        let words = format!("{BOX} --bind {dir} {dir} --chdir {dir} --add-seccomp-fd 9");
        let program = base(&FilterOptions::default()).expect("a filter");
        let run = b.run(&words).words("bash -c").arg(script).env("TMPDIR", &dir);
        assert_eq!(run.fd(9, data(program)).prints(), *expected, "{script}");
    }
}

/// Cargo builds a crate offline. As root only: other users cannot read root's tool chain.
fn cargo(b: &Bwrap) {
    let home =
        std::env::var("CARGO_HOME").or_else(|_| std::env::var("HOME").map(|h| h + "/.cargo"));
    let Ok(home) = home.map(|home| format!("{home}/bin")) else { return notice("no HOME") };
    let cargo = env!("CARGO");
    if !b.is_root() {
        return;
    }
    let temp = b.temp();
    temp.dir("work/src");
    let dir = temp.at("work");
    temp.file("work/Cargo.toml", "[package]\nname = \"a\"\nedition = \"2024\"\n[workspace]\n");
    temp.file("work/src/main.rs", "fn main() { std::process::exit(5) }\n");
    let words = format!("{BOX} --bind {dir} {dir} --chdir {dir} --add-seccomp-fd 9 {cargo}");
    let bin = Path::new(cargo).parent().expect("a directory").display();
    let path = format!("{bin}:{home}:/usr/local/bin:/usr/bin:/bin");
    let program = base(&FilterOptions::default()).expect("a filter");
    let run = b.run(&words).words("run -q --offline").env("PATH", path).env("HOME", &dir);
    run.fd(9, data(program)).exits(5);
}

/// A set-user-ID file cannot be made in a directory that stays, in any of the usual ways.
fn no_set_user_id_files(b: &Bwrap) {
    let temp = b.temp();
    let dir = temp.dir("work");
    let words = format!("{BOX} --bind {dir} {dir} --chdir {dir} --add-seccomp-fd 9 sh -c");
    let script = "cp /bin/true t; chmod u+s t; chmod g+s t; chmod 6755 t; install -m 4755 t u; \
        perl -e 'use Fcntl; umask 0; sysopen(F, \"v\", O_CREAT|O_WRONLY, 04755)'; chmod 755 t";
    b.run(&words).arg(script).fd(9, data(base(&FilterOptions::default()).expect("a filter"))).go();
    assert_eq!(temp.mode_of("work/t"), Some(0o755));
    for name in temp.list("work") {
        let mode = temp.mode_of(&format!("work/{name}"));
        assert_eq!(mode.map(|mode| mode & 0o6000), Some(0), "{name}");
    }
    // The control: without the filter it can be made.
    let words = format!("{BOX} --bind {dir} {dir} --chdir {dir} chmod u+s t");
    b.run(&words).exits(0);
    assert_eq!(temp.mode_of("work/t"), Some(0o4755));
}

contract! {
    the_kernel_agrees,
    refused_calls,
    refused_arguments,
    other_tables,
    nested,
    ordinary_programs,
    cargo,
    no_set_user_id_files,
}

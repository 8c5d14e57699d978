//! The special file systems: /proc, /dev, overlays.

use std::path::Path;
use swathe_testkit::{Bwrap, TempDir, Terminal, contract, usr};

fn mounts(b: &Bwrap, options: &str) -> Vec<String> {
    let probe = swathe_testkit::probe();
    let words = format!("--ro-bind {} /probe {options} /probe mount", probe.display());
    b.run(&words).exits(0).all("mount")
}

/// --proc is the host's procfs without a pid namespace, and a new one with it.
fn proc_of_the_pid_namespace(b: &Bwrap) {
    let own = std::process::id();
    let script = format!("test -d /proc/{own} && echo host; cat /proc/1/comm");
    let seen = b.run(&format!("{} --proc /proc", usr())).sh(&script).prints();
    assert!(seen.starts_with("host\n"), "{seen}");
    let script = "ls -d /proc/[0-9]* | wc -l; readlink /proc/self > /dev/null && echo self";
    let words = format!("{} --unshare-pid --proc /proc --dev /dev", usr());
    let seen = b.run(&words).sh(script).prints();
    let count: u32 = seen.lines().next().unwrap_or_default().trim().parse().expect("a count");
    assert!(count <= 6 && seen.ends_with("self"), "{seen}");
    // Elsewhere too.
    let words = format!("{} --unshare-pid --proc /a/b cat /a/b/sys/kernel/ostype", usr());
    assert_eq!(b.run(&words).prints(), "Linux");
}

/// A new procfs is nosuid, nodev and noexec; what root could change of the machine through either
/// kind is covered read-only.
fn proc_flags_and_covers(b: &Bwrap) {
    for options in ["--proc /proc", "--unshare-pid --proc /proc"] {
        let mounts = mounts(b, options);
        let line = mounts.iter().find(|line| line.starts_with("/proc / ")).expect("/proc");
        assert!(line.contains("nosuid,nodev"), "{mounts:?}");
        assert_eq!(line.contains("noexec"), options.contains("pid") || host_noexec(), "{mounts:?}");
        for name in ["sys", "sysrq-trigger", "irq", "bus"] {
            let path = format!("/proc/{name}");
            let covered = mounts.iter().find(|line| line.starts_with(&format!("{path} ")));
            if let Some(line) = covered {
                assert!(
                    line.split(' ').nth(2).is_some_and(|flags| flags.starts_with("ro,")),
                    "{line}"
                );
            } else if Path::new(&path).exists() {
                // Not covered means that it cannot be written anyway.
                let script = format!("test -w {path} && echo writable || echo not");
                let words = format!("{} {options}", usr());
                assert_eq!(b.run(&words).sh(&script).prints(), "not", "{path}");
            }
        }
    }
}

fn host_noexec() -> bool {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("mountinfo");
    mounts.lines().any(|line| line.contains(" /proc ") && line.contains("noexec"))
}

/// --dev makes exactly the devices, links and directories that programs need.
fn dev(b: &Bwrap) {
    let words = format!("{} --proc /proc --dev /dev sh -c", usr());
    let script = "cd /dev; for n in *; do if [ -L $n ]; then echo \"$n -> $(readlink $n)\"; \
        else stat -c '%n %F %a %t:%T' $n; fi; done";
    let seen = b.run(&words).arg(script).prints();
    let expected = "core -> /proc/kcore
fd -> /proc/self/fd
full character special file 666 1:7
null character special file 666 1:3
ptmx -> pts/ptmx
pts directory 755 0:0
random character special file 666 1:8
shm directory 755 0:0
stderr -> /proc/self/fd/2
stdin -> /proc/self/fd/0
stdout -> /proc/self/fd/1
tty character special file 666 5:0
urandom character special file 666 1:9
zero character special file 666 1:5";
    assert_eq!(seen, expected);
    let script = "echo x > /dev/null && echo ok; head -c 2 /dev/zero | od -An -tx1; touch \
        /dev/shm/x \
        && touch /dev/x && echo made; stat -c %a /dev";
    assert_eq!(b.run(&words).arg(script).prints(), "ok\n 00 00\nmade\n755");
}

/// The mounts of --dev: a tmpfs, the host's devices one by one, and a devpts of its own.
fn dev_mounts(b: &Bwrap) {
    let mounts = mounts(b, "--proc /proc --dev /dev");
    let find = |point: &str| {
        let found = mounts.iter().find(|line| line.starts_with(&format!("{point} ")));
        found.unwrap_or_else(|| panic!("{point} in {mounts:?}")).clone()
    };
    assert!(find("/dev").contains("nosuid,nodev") && find("/dev").contains(" tmpfs tmpfs "));
    for name in ["null", "zero", "full", "random", "urandom", "tty"] {
        let line = find(&format!("/dev/{name}"));
        let flags = line.split(' ').nth(2).unwrap_or_default();
        assert!(flags.contains("nosuid") && !flags.contains("nodev"), "{line}");
    }
    let line = find("/dev/pts");
    let flags = line.split(' ').nth(2).unwrap_or_default();
    assert!(
        flags.contains("nosuid") && flags.contains("noexec") && !flags.contains("nodev"),
        "{line}"
    );
    assert!(line.contains(" devpts ") && line.contains("mode=620,ptmxmode=666"), "{line}");
}

/// A payload can open pseudo-terminals in its --dev, whatever user it is.
fn dev_pts(b: &Bwrap) {
    for options in ["", "--unshare-user --uid 5 --gid 6", "--unshare-user --uid 0"] {
        let words = format!("{} --proc /proc --dev /dev {options} script -qec", usr());
        let outcome = b.run(&words).arg("tty").arg("/dev/null").exits(0);
        assert!(outcome.text().contains("/dev/pts/0"), "{outcome}");
    }
}

/// `console` is there when standard output is a terminal, and is that terminal.
fn dev_console(b: &Bwrap) {
    let words = format!("{} --proc /proc --dev /dev sh -c", usr());
    let terminal = Terminal::open(b);
    let mut own = terminal.outer.try_clone().expect("a descriptor");
    let script = "test -c /dev/console && echo hello > /dev/console; ls -d /dev/console >&2";
    let outcome =
        b.run(&words).arg(script).fd(0, terminal.inner()).fd(1, terminal.inner()).exits(0);
    assert_eq!(outcome.errors(), "/dev/console\n");
    let mut seen = [0; 100];
    let count = std::io::Read::read(&mut own, &mut seen).expect("output");
    assert!(String::from_utf8_lossy(&seen[..count]).contains("hello"), "{seen:?}");
    let outcome = b.run(&words).arg("test -e /dev/console").go();
    assert_eq!(outcome.ended.shell(), 1, "{outcome}");
}

/// Directories to stack: `lo` with a and b, `hi` with a, and empty `up` and `work`.
fn layers(b: &Bwrap) -> TempDir {
    let temp = b.temp();
    for dir in ["lo", "hi", "up", "work"] {
        temp.dir(dir);
    }
    temp.file("lo/a", "low\n");
    temp.file("lo/b", "low\n");
    temp.file("hi/a", "high\n");
    temp
}

/// The last --overlay-src is the topmost; --ro-overlay cannot be written.
fn ro_overlay(b: &Bwrap) {
    let temp = layers(b);
    let words = format!(
        "{} --overlay-src {} --overlay-src {} --ro-overlay /o",
        usr(),
        temp.at("lo"),
        temp.at("hi")
    );
    let outcome = b.run(&words).sh("cat /o/a /o/b; touch /o/new").exits(1);
    assert_eq!(outcome.text(), "high\nlow");
    assert_eq!(temp.list("lo"), ["a", "b"]);
    assert_eq!(temp.list("hi"), ["a"]);
}

/// --tmp-overlay can be written, and forgets.
fn tmp_overlay(b: &Bwrap) {
    let temp = layers(b);
    let words = format!("{} --overlay-src {} --tmp-overlay /o", usr(), temp.at("lo"));
    let script = "echo new > /o/a; rm /o/b; mkdir /o/c; cat /o/a; ls /o; ls -A / | grep -c overlay";
    let outcome = b.run(&words).sh(script).go();
    assert_eq!(outcome.text(), "new\na\nc\n0");
    assert_eq!(temp.read("lo/a").as_deref(), Some("low\n"));
    assert_eq!(temp.list("lo"), ["a", "b"]);
    // Two of them do not share what is written.
    let words = format!(
        "{} --overlay-src {1} --tmp-overlay /o --overlay-src {1} --tmp-overlay /p",
        usr(),
        temp.at("lo")
    );
    assert_eq!(b.run(&words).sh("echo x > /o/x; ls /p").prints(), "a\nb");
}

/// --overlay keeps what is written in its directory.
fn overlay(b: &Bwrap) {
    let temp = layers(b);
    let words = format!(
        "{} --overlay-src {} --overlay-src {} --overlay {} {} /o",
        usr(),
        temp.at("lo"),
        temp.at("hi"),
        temp.at("up"),
        temp.at("work")
    );
    let script = "cat /o/a; echo new > /o/new; rm /o/b; ls /o";
    assert_eq!(b.run(&words).sh(script).prints(), "high\na\nnew");
    assert_eq!(temp.list("up"), ["b", "new"]);
    assert_eq!(temp.list("lo"), ["a", "b"]);
    assert_eq!(b.run(&words).sh("ls /o").prints(), "a\nnew");
}

/// Overlays are nosuid and nodev, and keep their attributes in the user's name space.
fn overlay_flags(b: &Bwrap) {
    let temp = layers(b);
    let options = format!("--proc /proc --overlay-src {} --tmp-overlay /o", temp.at("lo"));
    let mounts = mounts(b, &options);
    let line = mounts.iter().find(|line| line.starts_with("/o ")).expect("/o");
    assert!(line.contains("nosuid,nodev") && line.contains("userxattr"), "{line}");
}

/// Directories that overlap are an error that says so; missing ones are named.
fn bad_overlays(b: &Bwrap) {
    let temp = layers(b);
    let (lo, up, work) = (temp.at("lo"), temp.at("up"), temp.at("work"));
    let all = temp.path().display();
    for options in [
        format!("--overlay-src {up} --overlay {up} {work} /o"),
        format!("--overlay-src {lo} --overlay-src {lo} --ro-overlay /o"),
        format!("--overlay-src {lo} --overlay-src {all} --ro-overlay /o"),
    ] {
        let outcome = b.run(&format!("{} {options} true", usr())).exits(1);
        let message = outcome.message();
        assert!(message.starts_with("bwrap: Can't make overlay mount on "), "{message}");
        assert!(message.contains(" with options "), "{message}");
        assert!(message.ends_with(": Overlay directories may not overlap"), "{message}");
    }
    let none = temp.at("none");
    for options in [
        format!("--overlay-src {none} --tmp-overlay /o"),
        format!("--overlay-src {lo} --overlay {none} {work} /o"),
        format!("--overlay-src {lo} --overlay {up} {none} /o"),
    ] {
        b.run(&format!("{} {options} true", usr()))
            .fails(&format!("Can't find source path {none}: No such file or directory"));
    }
    let file = temp.at("lo/a");
    for options in [
        format!("--overlay-src {lo} --overlay {up} {up} /o"),
        format!("--overlay-src {file} --tmp-overlay /o"),
        format!("--overlay-src {lo} --overlay-src {file} --ro-overlay /o"),
        format!("--overlay-src {lo} --overlay {file} {work} /o"),
    ] {
        let message = b.run(&format!("{} {options} true", usr())).exits(1).message();
        assert!(message.starts_with("bwrap: Can't make overlay mount on "), "{message}");
        assert!(message.ends_with(": Invalid argument"), "{message}");
    }
    // All of the error is on the first line, whatever the names.
    let odd = temp.dir("odd\nname");
    let run = b.run(usr()).arg("--overlay-src").arg(&odd).arg("--overlay-src").arg(&odd);
    let message = run.words("--ro-overlay /o true").exits(1).message();
    assert!(message.ends_with(": Overlay directories may not overlap"), "{message}");
}

/// An overlay's message names where it was to be mounted.
fn overlay_messages_name_the_place(b: &Bwrap) {
    let temp = layers(b);
    let lo = temp.at("lo");
    let words = format!("{} --overlay-src {lo} --overlay-src {lo} --ro-overlay /o true", usr());
    b.original_differs("overlay-destination", || {
        let message = b.run(&words).exits(1).message();
        assert!(message.contains("/o with options"), "{message}");
    });
}

/// Colons, commas, backslashes, spaces and newlines in the names of layers are taken as they are.
fn odd_names_in_overlays(b: &Bwrap) {
    let temp = b.temp();
    for odd in ["a:b", "a,b", "a\\b", "a b", "a\nb", "a\\,:b", "lowerdir=x,", "\u{e4}"] {
        for name in ["lo", "lo2", "up", "work"] {
            temp.dir(&format!("{odd}/{name}"));
        }
        temp.file(&format!("{odd}/lo/a"), "low");
        let at = |name: &str| temp.at(&format!("{odd}/{name}"));
        let base = || b.run(usr()).arg("--overlay-src").arg(at("lo"));
        let seen = base().words("--tmp-overlay /o cat /o/a").prints();
        assert_eq!(seen, "low", "{odd}");
        let run = base().arg("--overlay-src").arg(at("lo2")).words("--ro-overlay /o cat /o/a");
        assert_eq!(run.prints(), "low", "{odd}");
        let run = base().arg("--overlay").arg(at("up")).arg(at("work")).words("/o sh -c");
        assert_eq!(run.arg("cat /o/a; echo > /o/new").prints(), "low", "{odd}");
        assert_eq!(temp.list(&format!("{odd}/up")), ["new"]);
    }
}

contract! {
    proc_of_the_pid_namespace,
    proc_flags_and_covers,
    dev,
    dev_mounts,
    dev_pts,
    dev_console,
    ro_overlay,
    tmp_overlay,
    overlay,
    overlay_flags,
    bad_overlays,
    overlay_messages_name_the_place,
    odd_names_in_overlays,
}

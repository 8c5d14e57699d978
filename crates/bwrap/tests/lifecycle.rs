//! Who waits for whom: pid 1, the monitor, locks, and what dies with whom.

use std::io::Read as _;
use std::time::{Duration, Instant};
use swathe_testkit::{Bwrap, contract, data, pipe, usr};

/// Waits until `done` holds, for at most ten seconds.
#[track_caller]
fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(10), "{what}: not within ten seconds");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// pid 1 exists when a pid namespace, a lock file or a sync descriptor is asked for, and is then
/// the payload's parent; with --as-pid-1 the payload itself is.
fn pid_1(b: &Bwrap) {
    let base = "--ro-bind / / --proc /proc --dev /dev --unshare-pid";
    assert_eq!(b.run(base).sh("echo $$ $PPID").prints(), "2 1");
    assert_eq!(b.run(&format!("{base} --as-pid-1")).sh("echo $$ $PPID").prints(), "1 0");
    assert_eq!(b.run(&format!("{base} --sync-fd 0")).sh("echo $$ $PPID").prints(), "2 1");
    assert_eq!(
        b.run(&format!("{base} --sync-fd 0 --as-pid-1")).sh("echo $$ $PPID").prints(),
        "1 0"
    );
    for options in ["--sync-fd 0", "--lock-file /usr"] {
        let script = "cat /proc/$PPID/comm; cut -d\" \" -f4 /proc/$PPID/stat; echo $P";
        let text = format!("exec \"$BWRAP\" --bind / / {options} sh -c '{script}'");
        let seen = b.script(&format!("export P=$$; {text}")).prints();
        let lines: Vec<&str> = seen.lines().collect();
        assert_eq!(lines[1], lines[2], "the payload's parent is a child of ours: {seen}");
    }
}

/// pid 1 has no capability, whatever the payload has, and no descriptor of the caller's.
fn pid_1_holds_nothing(b: &Bwrap) {
    let script =
        "grep -h Cap[IPEA] /proc/1/status | cut -f2; ls /proc/1/fd; grep NoNewPrivs /proc/1/status";
    let words = "--ro-bind / / --unshare-pid --proc /proc --cap-add ALL";
    let outcome = b.run(words).sh(script).fd(7, data("")).fd(33, data("")).go();
    let text = outcome.text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..4], ["0000000000000000"; 4], "{outcome}");
    assert!(!lines.contains(&"33") && !lines.contains(&"7"), "{outcome}");
    assert!(text.ends_with('1'), "{outcome}");
}

/// A second look at pid 1 shows neither memory nor command line nor environment of the caller's.
fn pid_1_tells_nothing(b: &Bwrap) {
    b.original_differs("pid-1-is-private", || {
        let words = "--ro-bind / / --unshare-pid --proc /proc --clearenv sh -c";
        let script = "cat /proc/1/cmdline /proc/1/environ | tr -d '\\0'; head -c 1 /proc/1/mem \
            && echo mem; \
            readlink /proc/1/exe; ls /proc/1/fd; true";
        let outcome = b.run(words).arg(script).env("SECRET", "hunter2").exits(0);
        assert!(!outcome.text().contains("hunter2"), "{outcome}");
        assert!(!outcome.text().contains("--ro-bind"), "{outcome}");
    });
}

/// pid 1 reaps what is orphaned in the sandbox, so that no zombie stays.
fn pid_1_reaps(b: &Bwrap) {
    let script = "for i in 1 2 3 4 5; do (sh -c 'true' & true); done; i=0;
        until [ $(cat /proc/[0-9]*/status 2> /dev/null | grep -c '^State:.Z') = 0 ]; do
            sleep 0.05; i=$((i+1)); [ $i -lt 200 ] || exit 1;
        done";
    b.run("--ro-bind / / --unshare-pid --proc /proc --dev /dev").sh(script).exits(0);
}

/// We return when the first payload process ends, with its status; a process that it left in the
/// pid namespace runs on, since pid 1 waits for it.
fn leftover_processes(b: &Bwrap) {
    let (input, hold) = pipe();
    let (mut output, write) = pipe();
    let words = "--ro-bind / / --unshare-pid --proc /proc --dev /dev";
    let script = "(read x <&8; echo late >&9) > /dev/null 2>&1 & exit 5";
    let text = format!("\"$BWRAP\" {words} sh -c '{script}'; echo \"ended $?\" >&9; exec 9>&-");
    let running = b.script(&text).fd(8, input).fd(9, write).start();
    let mut line = [0; 8];
    output.read_exact(&mut line).expect("we have returned");
    assert_eq!(&line, b"ended 5\n");
    drop(hold);
    let mut rest = String::new();
    output.read_to_string(&mut rest).expect("end of file");
    assert_eq!(rest, "late\n");
    running.wait();
}

/// The monitor forwards no signal: when it dies by one, the payload lives.
fn the_monitor_forwards_nothing(b: &Bwrap) {
    let temp = b.temp();
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGKILL] {
        let ready = temp.at("ready");
        let (input, hold) = pipe();
        let script = format!("echo $$ > {ready}; read x; echo survived > {ready}");
        let words = format!("--bind / / --json-status-fd 2 --bind {0} {0}", temp.path().display());
        let running =
            b.run(&words).sh(&script).stdin(input).may_leave(Duration::from_secs(5)).start();
        eventually("the payload starts", || {
            temp.read("ready").is_some_and(|text| text.ends_with('\n'))
        });
        running.kill(signal);
        std::thread::sleep(Duration::from_millis(50));
        drop(hold);
        let outcome = running.wait();
        assert_eq!(outcome.ended, swathe_testkit::Ended::Signal(signal), "{outcome}");
        assert_eq!(temp.read("ready").as_deref(), Some("survived\n"));
        std::fs::remove_file(ready).expect("remove");
    }
}

/// With --die-with-parent everything dies when we do, however deep.
fn die_with_us(b: &Bwrap) {
    for options in [
        "",
        "--unshare-pid",
        "--unshare-pid --as-pid-1",
        "--sync-fd 0",
        "--lock-file /usr",
        "--dev /dev --unshare-user --uid 5",
    ] {
        let (input, hold) = pipe();
        let (mut output, write) = pipe();
        let words = format!("--bind / / --die-with-parent {options}");
        let running = b.run(&words).sh("echo ready >&9; read x").stdin(input).fd(9, write).start();
        let mut ready = [0; 6];
        output.read_exact(&mut ready).expect("the payload says that it runs");
        running.kill(libc::SIGKILL);
        // The payload holds descriptor 9 until it is dead, and would wait for input for ever.
        let mut rest = Vec::new();
        output.read_to_end(&mut rest).expect("end of file");
        assert_eq!(running.wait().left, 0);
        drop(hold);
    }
}

/// … and when our parent does.
fn die_with_parent(b: &Bwrap) {
    for options in ["", "--unshare-pid", "--unshare-all", "--unshare-pid --as-pid-1", "--sync-fd 0"]
    {
        let (input, hold) = pipe();
        let (mut output, write) = pipe();
        let text = format!(
            "\"$BWRAP\" --ro-bind / / --die-with-parent {options} sh -c 'echo ready >&9; read \
                x'; true"
        );
        let running = b.script(&text).stdin(input).fd(9, write).start();
        let mut ready = [0; 6];
        output.read_exact(&mut ready).expect("the payload says that it runs");
        running.kill(libc::SIGKILL);
        let mut rest = Vec::new();
        output.read_to_end(&mut rest).expect("end of file");
        assert_eq!(running.wait().left, 0);
        drop(hold);
    }
}

/// Without --die-with-parent the sandbox outlives us and our parent.
fn outlive_parent(b: &Bwrap) {
    let temp = b.temp();
    let (input, hold) = pipe();
    let (mut output, write) = pipe();
    let words = format!(
        "\"$BWRAP\" --bind / / sh -c 'echo ready >&9; read x; echo survived > {}'; true",
        temp.at("f")
    );
    let running = b.script(&words).stdin(input).fd(9, write).start();
    let mut ready = [0; 6];
    output.read_exact(&mut ready).expect("the payload says that it runs");
    running.kill(libc::SIGKILL);
    drop(hold);
    running.wait();
    assert_eq!(temp.read("f").as_deref(), Some("survived\n"));
}

/// A launch whose launcher is killed before it released the payload leaves nothing that waits. The
/// launcher is kept from releasing it by --userns-block-fd.
fn death_before_release(b: &Bwrap) {
    let (info, write) = pipe();
    let (block, _hold) = pipe();
    let words = "--ro-bind / / --unshare-user --info-fd 8 --userns-block-fd 9 true";
    let running =
        b.run(words).fd(8, write).fd(9, block).may_leave(Duration::from_millis(500)).start();
    let mut first = [0; 2];
    (&info).read_exact(&mut first).expect("the info document");
    running.kill(libc::SIGKILL);
    let outcome = running.wait();
    b.original_differs("waiting-child", || assert_eq!(outcome.left, 0, "{outcome}"));
}

/// A lock file is held with a read lock on the whole file for as long as the sandbox lives.
fn lock_file(b: &Bwrap) {
    let temp = b.temp();
    let (lock, other) = (temp.file("lock", "content"), temp.file("other", ""));
    for options in ["", "--unshare-pid"] {
        let (input, hold) = pipe();
        let (mut output, write) = pipe();
        let words = format!("--bind / / {options} --lock-file {lock} --lock-file {other}");
        let running = b.run(&words).sh("echo ready >&9; read x").stdin(input).fd(9, write).start();
        let mut ready = [0; 6];
        output.read_exact(&mut ready).expect("the payload says that it runs");
        for path in [&lock, &other] {
            // The original starts the command before it has taken all locks.
            eventually("the lock is taken", || write_lock(path).is_some());
            assert_eq!(write_lock(path), Some((libc::F_RDLCK, 0, 0)), "{path}");
        }
        drop(hold);
        running.wait();
        for path in [&lock, &other] {
            assert_eq!(write_lock(path), None, "{path}");
        }
    }
}

/// The lock in the way of a write lock on all of a file: kind, start, length.
fn write_lock(path: &str) -> Option<(i32, i64, i64)> {
    let file = std::fs::File::open(path).expect("open");
    // SAFETY: all bits zero is a valid flock, and the call fills in the one it is given.
    let lock = unsafe {
        let mut lock: libc::flock = std::mem::zeroed();
        lock.l_type = libc::F_WRLCK as i16;
        let fd = std::os::fd::AsRawFd::as_raw_fd(&file);
        assert_eq!(libc::fcntl(fd, libc::F_GETLK, &raw mut lock), 0);
        lock
    };
    let kind = i32::from(lock.l_type);
    (kind != libc::F_UNLCK).then_some((kind, lock.l_start, lock.l_len))
}

/// A lock file is a path inside the sandbox; one that cannot be opened is an error.
fn bad_lock_file(b: &Bwrap) {
    let temp = b.temp();
    temp.file("lock", "");
    b.run(&format!("{} --bind {} /l --lock-file /l/lock true", usr(), temp.path().display()))
        .exits(0);
    let words = format!("{} --lock-file {} true", usr(), temp.at("lock"));
    let outcome = b.run(&words).may_leave(Duration::from_secs(2)).exits(1);
    let expected =
        format!("bwrap: Unable to open lock file {}: No such file or directory", temp.at("lock"));
    assert_eq!(outcome.message(), expected);
    assert_eq!(outcome.left, 0);
}

/// The right to set up a sandbox does not open a lock file that its owner has closed to everybody.
fn closed_lock_file(b: &Bwrap) {
    let temp = b.temp();
    let path = temp.file("lock", "");
    temp.mode("lock", 0);
    let words = format!("--bind / / --lock-file {path} true");
    let outcome = b.run(&words).may_leave(Duration::from_secs(2)).exits(1);
    let expected = format!("bwrap: Unable to open lock file {path}: Permission denied");
    assert!(outcome.errors().contains(&expected), "{outcome}");
}

/// Two sandboxes may hold the same lock.
fn shared_lock(b: &Bwrap) {
    let lock = b.temp();
    let path = lock.file("lock", "");
    let inner = format!("{} --ro-bind / / --lock-file {path} echo both", b.path.display());
    let words = format!("--bind / / --proc /proc --dev /dev --lock-file {path} {inner}");
    assert_eq!(b.run(&words).prints(), "both");
}

/// Sync descriptors are open as long as the sandbox lives, and not in the payload.
fn sync_fd(b: &Bwrap) {
    for options in ["", "--unshare-pid"] {
        let (mut first, write) = pipe();
        let (mut second, write2) = pipe();
        let (input, hold) = pipe();
        let words = format!("--bind / / --proc /proc --dev /dev {options} --sync-fd 8 --sync-fd 9");
        let script = "\"$PROBE\" fd; read x; (sleep 0.3 > /dev/null 2>&1 &) ; exit 0";
        let running = b.run(&words).sh(script).fd(8, write).fd(9, write2).stdin(input).start();
        let waits = |file: &std::fs::File| {
            let mut poll = libc::pollfd {
                fd: std::os::fd::AsRawFd::as_raw_fd(file),
                events: libc::POLLIN,
                revents: 0,
            };
            // SAFETY: one entry, as the count says.
            unsafe { libc::poll(&raw mut poll, 1, 100) == 0 }
        };
        assert!(waits(&first) && waits(&second), "closed before the end");
        drop(hold);
        let outcome = running.wait();
        let keys = outcome.text();
        let keys: Vec<&str> = keys.lines().filter_map(|line| line.split(' ').next()).collect();
        assert_eq!(keys, ["fd.0", "fd.1", "fd.2"], "{outcome}");
        let mut rest = Vec::new();
        first.read_to_end(&mut rest).expect("end of file");
        second.read_to_end(&mut rest).expect("end of file");
        assert!(rest.is_empty());
    }
}

/// A sync descriptor that is closed is a mistake of the caller's: nobody would be told of the end.
fn closed_sync_fd(b: &Bwrap) {
    b.original_differs("closed-descriptors", || {
        b.run("--ro-bind / / --sync-fd 987 true").fails("Can't use fd 987: Bad file descriptor");
    });
}

/// Many launches leave nothing: the harness counts processes and mounts after each run, and no file
/// shows up in a directory that was bound.
fn nothing_is_left(b: &Bwrap) {
    let temp = b.temp();
    for _ in 0..10 {
        let words = format!(
            "--unshare-all {} --proc /proc --dev /dev --tmpfs /t --bind {} /q --overlay-src /usr \
             --tmp-overlay /o true",
            usr(),
            temp.path().display()
        );
        b.run(&words).exits(0);
    }
    assert_eq!(temp.list(""), [""; 0]);
}

contract! {
    pid_1,
    pid_1_holds_nothing,
    pid_1_tells_nothing,
    pid_1_reaps,
    leftover_processes,
    the_monitor_forwards_nothing,
    die_with_us,
    die_with_parent,
    outlive_parent,
    death_before_release,
    lock_file,
    bad_lock_file,
    closed_lock_file,
    shared_lock,
    sync_fd,
    closed_sync_fd,
    nothing_is_left,
}

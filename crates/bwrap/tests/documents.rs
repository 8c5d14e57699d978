//! What is told to the caller on descriptors, and what the caller can hold back.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::time::Duration;
use swathe_testkit::{Bwrap, contract, data, pipe, probe};

const ALL: [&str; 6] = ["cgroup", "ipc", "mnt", "net", "pid", "uts"];

/// The numbers of `"key": N` pairs in a document, in order.
fn pairs(text: &str) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    for part in text.split(['{', '}', ',', '\n']) {
        if let Some((key, value)) = part.trim().split_once("\": ") {
            let value = value.parse().expect("a number");
            found.push((key.trim_start_matches('"').to_owned(), value));
        }
    }
    found
}

/// The info document, byte for byte: the child's process id, then the new namespaces in alphabetic
/// order, with the numbers that the payload itself sees. Then the descriptor is closed.
fn info_document(b: &Bwrap) {
    for (options, names) in [
        ("", &["mnt"][..]),
        ("--unshare-user", &["mnt"]),
        ("--unshare-uts --unshare-ipc", &["ipc", "mnt", "uts"]),
        ("--unshare-all", &ALL),
        ("--unshare-all --share-net", &["cgroup", "ipc", "mnt", "pid", "uts"]),
        ("--unshare-pid --as-pid-1", &["mnt", "pid"]),
    ] {
        let (mut read, write) = pipe();
        let (input, hold) = pipe();
        let words = format!(
            "--ro-bind / / --proc /proc {options} --info-fd 9 {} ns --sleep",
            probe().display()
        );
        let running = b.run(&words).fd(9, write).stdin(input).start();
        let mut text = String::new();
        // End-of-file comes while the payload still runs.
        read.read_to_string(&mut text).expect("the document");
        drop(hold);
        let outcome = running.wait();
        let mut expected = String::from("{\n");
        let pairs = pairs(&text);
        let (key, child) = pairs.first().expect("the first pair");
        assert_eq!(key, "child-pid");
        expected += &format!("    \"child-pid\": {child}");
        for name in names {
            let inode = outcome.one(&format!("ns.{name}"));
            expected += &format!(",\n    \"{name}-namespace\": {inode}");
        }
        expected += "\n}\n";
        assert_eq!(text, expected, "{options}");
    }
}

/// The child of the info document is a process of the sandbox whose namespaces can be opened while
/// it runs: callers enter by it.
fn the_child_can_be_entered(b: &Bwrap) {
    for options in [
        "",
        "--unshare-pid",
        "--unshare-all",
        "--unshare-all --die-with-parent",
        "--unshare-pid --as-pid-1",
        "--lock-file /usr",
    ] {
        let (read, write) = pipe();
        let (input, hold) = pipe();
        let (mut ready, ready_write) = pipe();
        let words = format!("--ro-bind / / --proc /proc --tmpfs /tmp {options} --json-status-fd 9");
        let script = "touch /tmp/inside; echo ready >&8; readlink /proc/self/ns/mnt; read x";
        let running = b.run(&words).sh(script).fd(8, ready_write).fd(9, write).stdin(input).start();
        let mut line = String::new();
        BufReader::new(&read).read_line(&mut line).expect("the first line");
        let child = pairs(&line).first().expect("the child").1;
        ready.read_exact(&mut [0; 6]).expect("the payload says that it runs");
        let look = format!("readlink /proc/{child}/ns/mnt && ls /proc/{child}/root/tmp");
        let seen = b.script(&look).go();
        drop(hold);
        let outcome = running.wait();
        assert_eq!(seen.text(), format!("{}\ninside", outcome.text()), "{options}: {seen}");
    }
}

/// The status document: one object per line; the second when the payload has ended.
fn status_document(b: &Bwrap) {
    for (options, names) in [("", &["mnt"][..]), ("--unshare-all", &ALL)] {
        let (mut read, write) = pipe();
        let words = format!("--ro-bind / / {options} --json-status-fd 9");
        b.run(&words).sh("exit 7").fd(9, write).exits(7);
        let mut text = String::new();
        read.read_to_string(&mut text).expect("the document");
        let numbers: Vec<u64> = pairs(&text).into_iter().map(|(_, number)| number).collect();
        let mut expected = format!("{{ \"child-pid\": {}", numbers[0]);
        for (at, name) in names.iter().enumerate() {
            expected += &format!(", \"{name}-namespace\": {}", numbers[at + 1]);
        }
        expected += " }\n{ \"exit-code\": 7 }\n";
        assert_eq!(text, expected);
    }
}

/// A payload killed by a signal has 128+N as its exit code; what could not be executed has none.
fn exit_codes(b: &Bwrap) {
    let status = |options: &str, command: &[&str]| {
        let (mut read, write) = pipe();
        b.run(&format!("--ro-bind / / {options} --json-status-fd 9"))
            .args(command)
            .fd(9, write)
            .go();
        let mut text = String::new();
        read.read_to_string(&mut text).expect("the document");
        text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>()
    };
    for options in ["", "--unshare-pid", "--unshare-pid --as-pid-1"] {
        assert_eq!(status(options, &["sh", "-c", "exit 1"]), ["{ \"exit-code\": 1 }"]);
        assert_eq!(status(options, &["/nonexistent"]), [""; 0], "{options}");
        assert_eq!(status(&format!("{options} --bind /nonexistent /x"), &["true"]), [""; 0]);
    }
    for options in ["", "--unshare-pid"] {
        assert_eq!(status(options, &["sh", "-c", "kill -9 $$"]), ["{ \"exit-code\": 137 }"]);
    }
}

/// Both documents may be asked for, each on its own descriptor.
fn both_documents(b: &Bwrap) {
    let ((mut info, info_write), (mut status, status_write)) = (pipe(), pipe());
    b.run("--ro-bind / / --unshare-uts --info-fd 8 --json-status-fd 9 true")
        .fd(8, info_write)
        .fd(9, status_write)
        .exits(0);
    let (mut one, mut two) = (String::new(), String::new());
    info.read_to_string(&mut one).expect("the info document");
    status.read_to_string(&mut two).expect("the status document");
    assert_eq!(pairs(&one), pairs(&two)[..3]);
}

/// A descriptor that cannot be written is an error: no payload runs, nothing waits.
fn bad_descriptors(b: &Bwrap) {
    let temp = b.temp();
    for option in ["info-fd", "json-status-fd"] {
        for open in [false, true] {
            let words = format!("--bind / / --{option} 9 touch {}", temp.at("ran"));
            let mut run = b.run(&words).may_leave(Duration::from_millis(500));
            if open {
                run = run.fd(9, File::open("/").expect("open"));
            }
            let outcome = run.exits(1);
            assert_eq!(outcome.message(), "bwrap: Write to info_fd: Bad file descriptor");
            b.original_differs("waiting-child", || assert_eq!(outcome.left, 0, "{outcome}"));
            assert_eq!(temp.list(""), [""; 0]);
        }
    }
}

/// --block-fd holds the payload back until something can be read, or is closed; all else is set up.
fn block_fd(b: &Bwrap) {
    for close in [false, true] {
        let temp = b.temp();
        let (info, info_write) = pipe();
        let (block, mut release) = pipe();
        let words = format!("--bind / / --info-fd 8 --block-fd 9 touch {}", temp.at("ran"));
        let running = b.run(&words).fd(8, info_write).fd(9, block).start();
        BufReader::new(&info).read_line(&mut String::new()).expect("the document");
        std::thread::sleep(Duration::from_millis(150));
        assert_eq!(temp.list(""), [""; 0]);
        if !close {
            release.write_all(b"x").expect("write");
        }
        drop(release);
        assert_eq!(running.wait().ended.shell(), 0);
        assert_eq!(temp.list(""), ["ran"]);
    }
    b.original_differs("closed-descriptors", || {
        b.run("--ro-bind / / --block-fd 987 true").fails("Can't use fd 987: Bad file descriptor");
    });
}

/// --userns-block-fd holds back before the maps are written, so that the caller writes them.
fn userns_block_fd(b: &Bwrap) {
    let (info, info_write) = pipe();
    let (block, mut release) = pipe();
    let words = format!(
        "--ro-bind / / --proc /proc --unshare-user --info-fd 8 --userns-block-fd 9 {} \
         uid uid_map gid_map",
        probe().display()
    );
    let running = b.run(&words).fd(8, info_write).fd(9, block).start();
    let mut text = String::new();
    (&info).read_to_string(&mut text).expect("the document");
    let child = pairs(&text)[0].1;
    std::thread::sleep(Duration::from_millis(50));
    let maps = std::fs::read_to_string(format!("/proc/{child}/uid_map")).expect("the map");
    assert_eq!(maps, "");
    let own = b.uid();
    let write = format!(
        "echo 0 {own} 1 > /proc/{child}/uid_map && echo deny > /proc/{child}/setgroups && \
         echo 0 {own} 1 > /proc/{child}/gid_map"
    );
    let wrote = b.script(&write).go();
    release.write_all(b"x").expect("write");
    drop(release);
    let outcome = running.wait();
    assert_eq!(wrote.ended.shell(), 0, "{wrote}");
    assert_eq!(outcome.one("uid_map"), format!("0 {own} 1"), "{outcome}");
    assert_eq!(outcome.one("gid_map"), format!("0 {own} 1"), "{outcome}");
}

/// Where the maps were not written, the launch fails, with what is left of it gone.
fn userns_block_fd_without_maps(b: &Bwrap) {
    let outcome = b
        .run("--ro-bind / / --unshare-user --info-fd 8 --userns-block-fd 9 true")
        .fd(8, data(""))
        .fd(9, data(""))
        .go();
    assert_eq!(outcome.ended.shell(), 1, "{outcome}");
    assert!(outcome.message().starts_with("bwrap: "), "{outcome}");
    // What is wrong with a source is found before.
    b.run("--bind /nowhere / --unshare-user --info-fd 8 --userns-block-fd 9 true")
        .fd(8, data(""))
        .fd(9, data(""))
        .fails("Can't find source path /nowhere: No such file or directory");
}

/// What is no user namespace is refused before a document says that there is a sandbox.
fn bad_userns2_before_documents(b: &Bwrap) {
    let by_path = File::options().read(true).custom_flags(libc::O_PATH).open("/");
    let by_path = by_path.expect("a descriptor that is only a path");
    for (fd, reason) in [(data(""), "Invalid argument"), (by_path.into(), "Bad file descriptor")] {
        let (info, info_write) = pipe();
        let outcome = b
            .run("--ro-bind / / --info-fd 8 --userns2 9 true")
            .fd(8, info_write)
            .fd(9, fd)
            .may_leave(Duration::from_millis(1000))
            .exits(1);
        let message = format!("bwrap: Setting userns2 failed: {reason}");
        assert_eq!(outcome.message(), message, "{outcome}");
        let mut text = String::new();
        (&info).read_to_string(&mut text).expect("the document");
        assert_eq!(text, "");
    }
}

/// The child-pid is of the caller's pid namespace.
fn child_pid_of_the_caller(b: &Bwrap) {
    let (read, write) = pipe();
    let (input, hold) = pipe();
    let running = b
        .run("--ro-bind / / --unshare-pid --json-status-fd 9 cat")
        .fd(9, write)
        .stdin(input)
        .start();
    let mut line = String::new();
    BufReader::new(&read).read_line(&mut line).expect("the first line");
    let child = pairs(&line)[0].1;
    let status =
        std::fs::read_to_string(format!("/proc/{child}/status")).expect("the child's status");
    let line = status.lines().find(|line| line.starts_with("NSpid:")).expect("its ids");
    assert!(line.ends_with("\t1"), "{line}");
    let own = std::fs::metadata(format!("/proc/{child}")).expect("the child").uid();
    assert!(own == b.uid() || own == 0, "{own}");
    drop(hold);
    running.wait();
}

contract! {
    info_document,
    the_child_can_be_entered,
    status_document,
    exit_codes,
    both_documents,
    bad_descriptors,
    block_fd,
    userns_block_fd,
    userns_block_fd_without_maps,
    bad_userns2_before_documents,
    child_pid_of_the_caller,
}

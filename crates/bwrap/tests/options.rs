//! How options combine: repetition, conflicts, modifiers, and options from a file.

use std::time::Duration;
use swathe_testkit::{Bwrap, contract, data};

const DANGLING_SOURCE: &str = "--overlay-src must be followed by another --overlay-src or one of \
                               --overlay, --tmp-overlay, or --ro-overlay";

/// Runs with `/` read-only; the options must fail as said.
fn refused(b: &Bwrap, options: &str, message: &str) {
    b.run(&format!("--ro-bind / / {options} true")).fails(message);
}

/// The warnings of a run that must succeed.
fn warnings(b: &Bwrap, options: &str) -> Vec<String> {
    let outcome = b.run(&format!("--ro-bind / / {options} true")).exits(0);
    outcome.errors().lines().map(str::to_owned).collect()
}

/// Options of which the last one wins say so, once per repetition.
fn the_last_one_wins(b: &Bwrap) {
    let cases = [
        ("chdir", "/", "/tmp", ""),
        ("hostname", "a", "b", "--unshare-uts"),
        ("uid", "0", "1", "--unshare-user"),
        ("gid", "0", "1", "--unshare-user"),
        ("block-fd", "0", "0", ""),
    ];
    for (option, first, last, rest) in cases {
        let line = format!("bwrap: Only the last --{option} option will take effect");
        let twice = format!("--{option} {first} --{option} {last} {rest}");
        assert_eq!(warnings(b, &twice), [line.as_str()]);
        let thrice = format!("--{option} {first} {twice}");
        assert_eq!(warnings(b, &thrice), [line.as_str(), &line]);
    }
    let cwd = b.run("--ro-bind / / --chdir /usr --chdir /etc readlink /proc/self/cwd").prints();
    assert_eq!(cwd, "/etc");
    let name = b.run("--ro-bind / / --unshare-uts --hostname a --hostname b uname -n").prints();
    assert_eq!(name, "b");
    let uid = b.run("--ro-bind / / --unshare-user --uid 7 --uid 8 id -u").prints();
    assert_eq!(uid, "8");
    let gid = b.run("--ro-bind / / --unshare-user --gid 7 --gid 8 id -g").prints();
    assert_eq!(gid, "8");
}

/// The same for options whose value is a descriptor; the first one is not used.
fn the_last_descriptor_wins(b: &Bwrap) {
    for option in ["info-fd", "json-status-fd"] {
        let line = format!("bwrap: Only the last --{option} option will take effect\n");
        let outcome = b.run(&format!("--ro-bind / / --{option} 2 --{option} 1 true")).exits(0);
        assert_eq!(outcome.errors(), line, "{outcome}");
        assert!(outcome.text().contains("child-pid"), "{outcome}");
    }
    for (option, rest) in [("userns", ""), ("userns2", ""), ("pidns", ""), ("seccomp", "")] {
        let words = format!("--ro-bind / / --{option} 0 --{option} 0 {rest} true");
        let outcome = b.run(&words).may_leave(Duration::ZERO).exits(1);
        let line = format!("bwrap: Only the last --{option} option will take effect");
        assert_eq!(outcome.message(), line, "{outcome}");
    }
    let outcome = b
        .run("--ro-bind / / --unshare-user --info-fd 1 --userns-block-fd 0")
        .words("--userns-block-fd 0 true")
        .go();
    let line = "bwrap: Only the last --userns-block-fd option will take effect";
    assert_eq!(outcome.message(), line, "{outcome}");
}

/// Flags and accumulating options may be repeated without a word.
fn repetition_without_warning(b: &Bwrap) {
    let flags = "--unshare-user --unshare-ipc --unshare-pid --unshare-net --unshare-uts \
        --unshare-user-try --unshare-cgroup-try --unshare-all --share-net --new-session \
        --die-with-parent --clearenv --not-a-security-boundary";
    assert_eq!(warnings(b, &format!("{flags} {flags}")), [""; 0]);
    let rest = "--setenv A 1 --setenv A 2 --unsetenv B --unsetenv B --cap-drop ALL \
        --cap-drop ALL --lock-file /tmp --lock-file /etc --sync-fd 0 --sync-fd 1 --tmpfs /tmp \
        --tmpfs /tmp --dir /tmp/a --dir /tmp/a --chmod 755 /tmp/a --chmod 755 /tmp/a";
    assert_eq!(warnings(b, rest), [""; 0]);
}

/// Options that may be used once only.
fn once_only(b: &Bwrap) {
    refused(b, "--argv0 a --argv0 b", "--argv0 used multiple times");
    refused(b, "--argv0 a --argv0 a", "--argv0 used multiple times");
}

/// Options that need another one, and options that exclude each other.
fn conflicts(b: &Bwrap) {
    refused(b, "--hostname a", "Specifying --hostname requires --unshare-uts");
    refused(b, "--as-pid-1", "Specifying --as-pid-1 requires --unshare-pid");
    let message = "Specifying --as-pid-1 and --lock-file is not permitted";
    refused(b, "--unshare-pid --as-pid-1 --lock-file /tmp", message);
    let message = "--userns is not compatible with --unshare-user";
    refused(b, "--userns 0 --unshare-user", message);
    let message = "--userns is not compatible with --unshare-user-try";
    refused(b, "--userns 0 --unshare-user-try", message);
    refused(b, "--userns 0 --unshare-all", message);
    let message = "--disable-userns requires --unshare-user";
    for options in ["", "--unshare-all", "--unshare-user-try", "--userns 0"] {
        refused(b, &format!("{options} --disable-userns"), message);
    }
    refused(b, "--userns-block-fd 0", "--userns-block-fd requires --unshare-user");
    let message = "--userns-block-fd requires --info-fd";
    refused(b, "--unshare-user --userns-block-fd 0", message);
    let message = "--add-seccomp-fd cannot be combined with --seccomp";
    refused(b, "--seccomp 0 --add-seccomp-fd 0", message);
    let message = "--seccomp cannot be combined with --add-seccomp-fd";
    refused(b, "--add-seccomp-fd 0 --seccomp 0", message);
    refused(
        b,
        "--overlay-src / --ro-overlay /tmp",
        "--ro-overlay requires at least two --overlay-src",
    );
    refused(b, "--ro-overlay /tmp", "--ro-overlay requires at least two --overlay-src");
    refused(b, "--tmp-overlay /tmp", "--tmp-overlay requires at least one --overlay-src");
    refused(b, "--overlay a b c", "--overlay requires at least one --overlay-src");
}

/// Ids can only be changed with a user namespace; for an ordinary user one is implied. Asking
/// for the ids that one has is no change.
fn ids_need_a_user_namespace(b: &Bwrap) {
    for id in ["uid", "gid"] {
        if b.is_root() {
            let message = format!("Specifying --{id} requires --unshare-user or --userns");
            refused(b, &format!("--{id} 1"), &message);
            assert_eq!(warnings(b, &format!("--{id} 0")), [""; 0]);
        } else {
            let flag = &id[..1];
            let seen = b.run(&format!("--ro-bind / / --{id} 1 id -{flag}")).prints();
            assert_eq!(seen, "1");
        }
    }
}

/// The order of the checks decides which message a caller sees first.
fn the_first_conflict_is_reported(b: &Bwrap) {
    let all = "--as-pid-1 --hostname a --disable-userns --userns-block-fd 0";
    refused(b, all, "--userns-block-fd requires --unshare-user");
    let message = "--disable-userns requires --unshare-user";
    refused(b, "--as-pid-1 --hostname a --disable-userns", message);
    let message = "Specifying --hostname requires --unshare-uts";
    refused(b, "--as-pid-1 --hostname a", message);
    refused(b, "--hostname a --pidns 0 --unshare-pid", message);
    refused(b, "--bind /nonexistent /a --hostname a", message);
    refused(b, "--seccomp 987 --hostname a", message);
    let message = "--userns is not compatible with --unshare-user";
    refused(b, "--hostname a --userns 0 --unshare-user", message);
    refused(b, "--hostname a --nope", "Unknown option --nope");
    refused(b, "--hostname a --overlay-src /", DANGLING_SOURCE);
}

/// --perms and --size act on the next operation only, in either order, and not on another kind.
fn modifiers(b: &Bwrap) {
    let size = "stat -f -c %b /tmp";
    let words = "--ro-bind / / --perms 0710 --size 1048576 --tmpfs /tmp --tmpfs /var";
    let seen = b.run(words).sh(&format!("stat -c %a /tmp /var; {size}")).prints();
    assert_eq!(seen, "710\n755\n256");
    let words = "--ro-bind / / --size 1048576 --perms 0710 --tmpfs /tmp";
    assert_eq!(b.run(words).sh(&format!("stat -c %a /tmp; {size}")).prints(), "710\n256");
    refused(b, "--perms 1 --perms 1 --tmpfs /tmp", "--perms given twice for the same action");
    refused(b, "--size 1 --size 1 --tmpfs /tmp", "--size given twice for the same action");
    let others = [
        "--bind / /",
        "--symlink a /tmp/a",
        "--proc /proc",
        "--dev /dev",
        "--remount-ro /",
        "--chmod 700 /tmp",
        "--mqueue /tmp",
        "--overlay-src /",
        "--unshare-user",
        "--setenv a b",
        "--hostname a",
        "--bind-fd 0 /tmp",
        "--ro-bind-try / /",
        "--level-prefix",
    ];
    for other in others {
        let message = "--perms must be followed by an option that creates a file";
        let prefix = if other == "--level-prefix" { continue } else { "--tmpfs /tmp" };
        refused(b, &format!("{prefix} --perms 700 {other}"), message);
        let message = "--size must be followed by --tmpfs";
        refused(b, &format!("{prefix} --size 700 {other}"), message);
    }
    let files =
        ["--dir /tmp/q", "--file 0 /tmp/f", "--bind-data 0 /tmp/f", "--ro-bind-data 0 /tmp/f"];
    for file in files {
        refused(
            b,
            &format!("--tmpfs /tmp --size 700 {file}"),
            "--size must be followed by --tmpfs",
        );
        assert_eq!(warnings(b, &format!("--tmpfs /tmp --perms 700 {file}")), [""; 0]);
    }
}

/// A modifier at the very end of the options modifies nothing; that is no error.
fn a_last_modifier_is_ignored(b: &Bwrap) {
    assert_eq!(warnings(b, "--perms 700"), [""; 0]);
    assert_eq!(warnings(b, "--size 700"), [""; 0]);
    assert_eq!(warnings(b, "--size 700 --perms 700 --"), [""; 0]);
}

/// An overlay's sources must be followed by the overlay, also at the end of the options.
fn dangling_overlay_sources(b: &Bwrap) {
    for rest in ["", "--tmpfs /tmp", "--dir /tmp", "--unshare-user", "--setenv a b", "--perms 700"]
    {
        refused(b, &format!("--overlay-src / {rest}"), DANGLING_SOURCE);
    }
}

/// Words of a file act where --args stands, and options go on after it.
fn options_from_a_file(b: &Bwrap) {
    let run = |words: &str, content: &[u8]| {
        b.run(words).fd(9, data(content)).sh("readlink /proc/self/cwd; echo \"A=$A\"")
    };
    for content in [&b"--chdir\0/etc"[..], b"--chdir\0/etc\0", b"--setenv\0A\0\0--chdir\0/etc\0"] {
        assert_eq!(run("--ro-bind / / --args 9", content).prints(), "/etc\nA=");
    }
    let seen =
        run("--ro-bind / / --setenv A 1 --args 9 --setenv A 3", b"--setenv\0A\x002").prints();
    assert_eq!(seen, "/\nA=3");
    let seen = run("--ro-bind / / --setenv A 1 --args 9", b"--setenv\0A\x002").prints();
    assert_eq!(seen, "/\nA=2");
    assert_eq!(run("--ro-bind / / --args 9", b"").prints(), "/\nA=");
    assert_eq!(run("--ro-bind / / --args 9", b"\0").prints(), "/\nA=");
}

/// Several files may be read, also from pipes; each descriptor is closed afterwards.
fn options_from_several_files(b: &Bwrap) {
    let (read, mut write) = swathe_testkit::pipe();
    std::io::Write::write_all(&mut write, b"--setenv\0B\x002\0").expect("room in a pipe");
    drop(write);
    let outcome = b
        .run("--ro-bind / / --args 8 --args 9 sh -c")
        .arg("echo $A $B; ls /proc/self/fd")
        .fd(8, data("--setenv\0A\x001"))
        .fd(9, read)
        .exits(0);
    let text = outcome.text();
    assert!(text.starts_with("1 2\n"), "{outcome}");
    assert!(!text.lines().any(|line| line == "8" || line == "9"), "{outcome}");
}

/// `--` or a command word inside a file ends that file silently; it cannot supply the command.
fn a_file_cannot_supply_the_command(b: &Bwrap) {
    for content in ["--\0--nope", "echo\0no", "--setenv\0A\0no\0--\0echo\0no", "echo\0--nope"] {
        let run = b.run("--ro-bind / / --args 9 echo yes").fd(9, data(content));
        assert_eq!(run.prints(), "yes");
    }
    for content in ["--ro-bind\0/\0/\0echo\0no", "--ro-bind\0/\0/\0--\0echo\0no"] {
        let outcome = b.run("--args 9").fd(9, data(content)).exits(1);
        assert!(outcome.message().starts_with("usage: "), "{outcome}");
    }
}

/// Errors in a file read as they do on the command line; files do not nest, and an unfinished
/// option does not go on after the file.
fn errors_in_a_file(b: &Bwrap) {
    let cases = [
        ("--nope", "Unknown option --nope"),
        ("--dir", "--dir takes an argument"),
        ("--setenv\0a", "--setenv takes two arguments"),
        ("--dir\0", "--dir takes an argument"),
        ("--args\x003", "--args not supported in arguments file"),
        ("--chdir\0/\0--args\x009", "--args not supported in arguments file"),
        ("--perms\x00700", "--perms must be followed by an option that creates a file"),
        ("--overlay-src\0/", DANGLING_SOURCE),
    ];
    for (content, message) in cases {
        b.run("--ro-bind / / --args 9 --tmpfs /tmp true").fd(9, data(content)).fails(message);
    }
}

/// There may be at least 9,000 words in all; ours takes many more, and has a limit as well.
fn many_words(b: &Bwrap) {
    let words = |count: usize| data("--clearenv\0".repeat(count));
    b.run("--ro-bind / / --args 9 /bin/true").fd(9, words(8_900)).exits(0);
    b.original_differs("word-limit", || {
        b.run("--ro-bind / / --args 9 /bin/true").fd(9, words(60_000)).exits(0);
    });
    let outcome = b.run("--ro-bind / / --args 9 /bin/true").fd(9, words(5_000_000)).exits(1);
    let message = outcome.message();
    assert!(message.starts_with("bwrap: Exceeded maximum number of arguments"), "{message}");
}

/// --share-net takes back the network part of --unshare-all, in that order only.
fn share_net(b: &Bwrap) {
    let net =
        |words: &str| b.run(&format!("--ro-bind / / {words} readlink /proc/self/ns/net")).prints();
    let host = std::fs::read_link("/proc/self/ns/net").expect("a network namespace");
    let host = host.to_string_lossy();
    assert_eq!(net("--unshare-all --share-net"), host);
    assert_ne!(net("--unshare-all"), host);
    assert_ne!(net("--share-net --unshare-net"), host);
    assert_ne!(net("--share-net --unshare-all"), host);
    assert_eq!(net("--unshare-net --share-net"), host);
}

contract! {
    the_last_one_wins,
    the_last_descriptor_wins,
    repetition_without_warning,
    once_only,
    conflicts,
    ids_need_a_user_namespace,
    the_first_conflict_is_reported,
    modifiers,
    a_last_modifier_is_ignored,
    dangling_overlay_sources,
    options_from_a_file,
    options_from_several_files,
    a_file_cannot_supply_the_command,
    errors_in_a_file,
    many_words,
    share_net,
}

//! How options are read: what is missing, malformed, empty or unknown, and where options end.

use swathe_testkit::{Bwrap, contract, data};

/// Options with one argument whose absence has the common message.
const ONE: &[&str] = &[
    "args",
    "userns",
    "userns2",
    "pidns",
    "uid",
    "gid",
    "hostname",
    "unsetenv",
    "lock-file",
    "sync-fd",
    "tmp-overlay",
    "ro-overlay",
    "exec-label",
    "file-label",
    "proc",
    "dev",
    "tmpfs",
    "mqueue",
    "dir",
    "perms",
    "size",
    "seccomp",
    "add-seccomp-fd",
    "block-fd",
    "userns-block-fd",
    "info-fd",
    "json-status-fd",
    "cap-add",
    "cap-drop",
];

/// Options with two arguments.
const TWO: &[&str] = &[
    "setenv",
    "bind",
    "dev-bind",
    "ro-bind",
    "bind-try",
    "dev-bind-try",
    "ro-bind-try",
    "bind-fd",
    "file",
    "bind-data",
    "ro-bind-data",
    "symlink",
    "chmod",
];

/// Options whose first argument is a descriptor, with what else they need to be complete.
const DESCRIPTORS: &[(&str, &str)] = &[
    ("args", ""),
    ("userns", ""),
    ("userns2", ""),
    ("pidns", ""),
    ("sync-fd", ""),
    ("seccomp", ""),
    ("add-seccomp-fd", ""),
    ("block-fd", ""),
    ("userns-block-fd", ""),
    ("info-fd", ""),
    ("json-status-fd", ""),
    ("bind-fd", "/x"),
    ("ro-bind-fd", "/x"),
    ("file", "/x"),
    ("bind-data", "/x"),
    ("ro-bind-data", "/x"),
];

/// Each option that lacks arguments says so, in words that callers may match.
fn missing_arguments(b: &Bwrap) {
    for option in ONE {
        b.run(&format!("--{option}")).fails(&format!("--{option} takes an argument"));
    }
    for option in ["argv0", "chdir", "remount-ro"] {
        b.run(&format!("--{option}")).fails(&format!("--{option} takes one argument"));
    }
    for option in TWO {
        let message = format!("--{option} takes two arguments");
        b.run(&format!("--{option}")).fails(&message);
        b.run(&format!("--{option} 9")).fails(&message);
    }
    for words in ["--overlay", "--overlay a", "--overlay a b"] {
        b.run(words).fails("--overlay takes three arguments");
    }
}

/// A lone --overlay-src is an error, and so is --ro-bind-fd without arguments, whatever option
/// its message names.
fn missing_arguments_of_odd_options(b: &Bwrap) {
    b.run("--overlay-src").exits(1);
    let outcome = b.run("--ro-bind-fd 9").exits(1);
    assert!(outcome.message().ends_with("bind-fd takes two arguments"), "{outcome}");
}

/// Only exact option words are options: no `=`, no abbreviation, no short option, no bare dash.
fn unknown_options(b: &Bwrap) {
    for word in ["--nope", "--bind=x", "-h", "-", "--ro-bin", "--unshare", "---", "--bind ", "-v"] {
        b.run("--ro-bind / /").arg(word).arg("true").fails(&format!("Unknown option {word}"));
    }
}

/// Paths must not be empty, sources and destinations alike.
fn empty_paths(b: &Bwrap) {
    let cases: &[&[&str]] = &[
        &["--bind", "", "/a"],
        &["--bind", "/tmp", ""],
        &["--ro-bind", "", ""],
        &["--dev-bind", "", "/a"],
        &["--bind-try", "", "/a"],
        &["--ro-bind-try", "", "/a"],
        &["--dev-bind-try", "/", ""],
        &["--bind-fd", "0", ""],
        &["--tmpfs", ""],
        &["--dir", ""],
        &["--proc", ""],
        &["--dev", ""],
        &["--mqueue", ""],
        &["--remount-ro", ""],
        &["--symlink", "", "/a"],
        &["--symlink", "a", ""],
        &["--file", "0", ""],
        &["--bind-data", "0", ""],
        &["--ro-bind-data", "0", ""],
        &["--chmod", "700", ""],
        &["--overlay-src", "", "--tmp-overlay", "/a"],
        &["--lock-file", ""],
        &["--chdir", ""],
    ];
    for words in cases {
        let message = format!("{} does not take an empty path argument", words[0]);
        b.run("--ro-bind / /").args(*words).arg("true").fails(&message);
    }
    b.run("--ro-bind / / --overlay-src / --tmp-overlay")
        .arg("")
        .arg("true")
        .fails("--tmp-overlay does not take an empty path argument");
    for rest in [["", "/w", "/d"], ["/u", "", "/d"], ["/u", "/w", ""]] {
        b.run("--ro-bind / / --overlay-src / --overlay")
            .args(rest)
            .arg("true")
            .fails("--overlay does not take an empty path argument");
    }
}

/// A descriptor is a decimal number that is not negative; anything else is refused by name.
fn malformed_descriptors(b: &Bwrap) {
    for (option, rest) in DESCRIPTORS {
        for number in ["x", "-1", "", "1x", "0x1", "2147483648", "1.0"] {
            b.run(&format!("--ro-bind / / --{option}"))
                .arg(number)
                .words(rest)
                .arg("true")
                .fails(&format!("Invalid fd: {number}"));
        }
    }
}

/// A descriptor or an id that does not fit is refused, not cut to one that does: 2^32 would
/// be standard input, or root.
fn numbers_do_not_wrap(b: &Bwrap) {
    b.original_differs("numbers-wrap", || {
        for (option, rest) in DESCRIPTORS {
            for number in ["4294967296", "4294967297", "99999999999", "18446744073709551616"] {
                b.run(&format!("--ro-bind / / --{option} {number} {rest} true"))
                    .may_leave(std::time::Duration::ZERO)
                    .fails(&format!("Invalid fd: {number}"));
            }
        }
    });
    for id in ["uid", "gid"] {
        b.original_differs("numbers-wrap", || {
            for number in ["4294967296", "8589934592", "99999999999999999999"] {
                b.run(&format!("--ro-bind / / --unshare-user --{id} {number} true"))
                    .fails(&format!("Invalid {id}: {number}"));
            }
        });
    }
}

/// An id is a decimal number up to 2^31-1.
fn malformed_ids(b: &Bwrap) {
    for id in ["uid", "gid"] {
        for number in ["x", "-1", "", "1x", "0x10", "2147483648", "4294967295"] {
            b.run(&format!("--ro-bind / / --unshare-user --{id}"))
                .arg(number)
                .arg("true")
                .fails(&format!("Invalid {id}: {number}"));
        }
        b.run(&format!("--ro-bind / / --unshare-user --{id} 2147483647 true")).exits(0);
    }
}

/// Modes are octal and at most 07777.
fn malformed_modes(b: &Bwrap) {
    for mode in ["", "x", "8", "0x7", "10000", "-1", "7x", "99999999999"] {
        b.run("--ro-bind / / --perms")
            .arg(mode)
            .words("--tmpfs /tmp true")
            .fails("--perms takes an octal argument <= 07777");
        b.run("--ro-bind / / --tmpfs /tmp --chmod")
            .arg(mode)
            .words("/tmp true")
            .fails("--chmod takes an octal argument <= 07777");
    }
    for mode in ["0", "07777", "7777", "00755"] {
        b.run(&format!("--ro-bind / / --perms {mode} --tmpfs /tmp --chmod {mode} /tmp true"))
            .exits(0);
    }
}

/// Sizes are decimal, octal or hexadecimal, at least 1 and at most what the kernel can count.
fn malformed_sizes(b: &Bwrap) {
    for size in ["", "x", "0", "-1", "1k", "08", "18446744073709551616"] {
        b.run("--ro-bind / / --size")
            .arg(size)
            .words("--tmpfs /tmp true")
            .fails("--size takes a non-zero number of bytes");
    }
    b.run("--ro-bind / / --size 9223372036854775808 --tmpfs /tmp true")
        .fails("--size (for tmpfs) is limited to 9223372036854775807");
    for size in ["1", "010", "0x10", "0X10", "4096", "9223372036854775807"] {
        b.run(&format!("--ro-bind / / --size {size} --tmpfs /tmp true")).exits(0);
    }
}

/// Capabilities have names of the form CAP_X in any case, ALL, or a number below 64.
fn unknown_capabilities(b: &Bwrap) {
    for option in ["cap-add", "cap-drop"] {
        for name in ["x", "", "CAP_FOO", "sys_admin", "64", "99", "-1", "cap_5"] {
            b.run(&format!("--ro-bind / / --{option}"))
                .arg(name)
                .arg("true")
                .fails(&format!("unknown cap: {name}"));
        }
    }
    for name in ["all", "ALL", "All", "cap_sys_admin", "CAP_sys_Admin", "5", "40"] {
        b.run(&format!("--ro-bind / / --cap-drop {name} true")).exits(0);
    }
}

/// The environment refuses names that it cannot hold.
fn malformed_variables(b: &Bwrap) {
    for name in ["", "a=b", "="] {
        b.run("--ro-bind / / --setenv").arg(name).words("x true").fails("setenv failed");
        b.run("--ro-bind / / --unsetenv").arg(name).arg("true").fails("unsetenv failed");
    }
    b.run("--ro-bind / / --setenv A").arg("").words("true").exits(0);
}

/// SELinux labels without SELinux are an error when parsed, whatever follows.
fn labels_without_selinux(b: &Bwrap) {
    if std::path::Path::new("/sys/fs/selinux/enforce").exists() {
        swathe_testkit::notice("SELinux is on: labels do not fail here");
        return;
    }
    for option in ["exec-label", "file-label"] {
        for rest in ["--nope true", "--level-prefix true", "--help", "", "--chdir / --chdir / true"]
        {
            b.run(&format!("--ro-bind / / --{option} a {rest}"))
                .fails("labeling not supported on this system");
        }
        let outcome = b.run(&format!("--level-prefix --{option} a true")).exits(1);
        assert!(outcome.message().starts_with("<3>bwrap: labeling"), "{outcome}");
    }
}

/// Without a command, usage goes to standard error and the status is 1; also when a cross-check
/// would have failed, but not when the options themselves are wrong.
fn no_command(b: &Bwrap) {
    for words in ["", "--", "--ro-bind / /", "--ro-bind / / --", "--hostname a", "--as-pid-1"] {
        let outcome = b.run(words).exits(1);
        assert!(outcome.message().starts_with("usage: "), "{outcome}");
        assert!(outcome.out.is_empty(), "{outcome}");
    }
    b.run("--hostname a --overlay-src /").fails(DANGLING_SOURCE);
    b.run("--hostname a --nope").fails("Unknown option --nope");
}

/// --help and --version print to standard output at once, whatever follows.
fn help_and_version(b: &Bwrap) {
    let outcome = b.run("--help --nope").exits(0);
    let text = outcome.text();
    assert!(text.starts_with("usage: "), "{outcome}");
    for word in ["--perms", "--as-pid-1", "--argv0", "--disable-userns", "--bind-fd"] {
        assert!(text.contains(word), "{word} missing in {outcome}");
    }
    let outcome = b.run("--version --nope").exits(0);
    assert_eq!(outcome.text().lines().next(), Some("bubblewrap 0.13.1"), "{outcome}");
    b.run("--nope --version").fails("Unknown option --nope");
}

/// The second line of --version names the product, for whoever wants to know.
fn version_names_the_product(b: &Bwrap) {
    b.original_differs("version-line", || {
        let text = b.run("--version").prints();
        let line = text.lines().nth(1).unwrap_or_default().to_owned();
        assert!(line.to_lowercase().contains("swathe"), "{text}");
    });
}

/// Every option is in the help.
fn help_is_complete(b: &Bwrap) {
    let text = b.run("--help").prints();
    let flags = "help version level-prefix unshare-all share-net unshare-user unshare-user-try \
        unshare-ipc unshare-pid unshare-net unshare-uts unshare-cgroup unshare-cgroup-try \
        disable-userns assert-userns-disabled clearenv new-session die-with-parent as-pid-1 \
        overlay overlay-src argv0 chdir remount-ro";
    for option in flags.split_whitespace().chain(ONE.iter().copied()).chain(TWO.iter().copied()) {
        let listed = |line: &str| {
            line.split_whitespace().next().is_some_and(|word| word == format!("--{option}"))
        };
        assert!(text.lines().any(listed), "--{option} missing in {text}");
    }
}

/// The first word without a dash, or `--`, ends the options; what follows is the command's own,
/// even when it looks like one of our options.
fn the_command_is_never_parsed(b: &Bwrap) {
    let echo = "echo --ro-bind /nonexistent /x --nope -- --version";
    let said = "--ro-bind /nonexistent /x --nope -- --version";
    assert_eq!(b.run(&format!("--ro-bind / / {echo}")).prints(), said);
    assert_eq!(b.run(&format!("--ro-bind / / -- {echo}")).prints(), said);
    b.run("--ro-bind / / -- --version").fails("execvp --version: No such file or directory");
    b.run("--ro-bind / / -- -- true").fails("execvp --: No such file or directory");
}

/// --level-prefix prepends the syslog level to the messages after it.
fn level_prefix(b: &Bwrap) {
    let first = |words: &str| b.run(words).go().message();
    assert_eq!(first("--level-prefix --nope true"), "<3>bwrap: Unknown option --nope");
    assert_eq!(first("--nope --level-prefix true"), "bwrap: Unknown option --nope");
    let warning = "bwrap: Only the last --chdir option will take effect";
    let base = "--ro-bind / / --chdir / --chdir /";
    assert_eq!(first(&format!("--level-prefix {base} true")), format!("<4>{warning}"));
    assert_eq!(first(&format!("{base} --level-prefix true")), warning);
    let message = first("--level-prefix --ro-bind / / --ro-bind /nonexistent /x true");
    let expected = "<3>bwrap: Can't find source path /nonexistent: No such file or directory";
    assert_eq!(message, expected);
    let message = first("--level-prefix --ro-bind / / /nonexistent");
    assert_eq!(message, "<3>bwrap: execvp /nonexistent: No such file or directory");
}

/// Errors carry a second line that says what to do where we know it.
fn errors_have_hints(b: &Bwrap) {
    b.original_differs("hints", || {
        let errors = b.run("--ro-bind / / --hostname a true").exits(1).errors();
        assert!(errors.lines().count() >= 2, "{errors}");
    });
}

/// A closed descriptor for --args, or one that cannot be read, is an error.
fn unreadable_arguments(b: &Bwrap) {
    b.run("--ro-bind / / --args 9 true").fails("Can't read --args data: Bad file descriptor");
    let dir = std::fs::File::open("/").expect("the root directory");
    b.run("--ro-bind / / --args 9 true").fd(9, dir).fails("Can't read --args data: Is a directory");
    b.run("--ro-bind / / --args 9 --args 9 true")
        .fd(9, data("--chdir\0/"))
        .fails("Can't read --args data: Bad file descriptor");
}

const DANGLING_SOURCE: &str = "--overlay-src must be followed by another --overlay-src or one of \
                               --overlay, --tmp-overlay, or --ro-overlay";

contract! {
    missing_arguments,
    missing_arguments_of_odd_options,
    unknown_options,
    empty_paths,
    malformed_descriptors,
    numbers_do_not_wrap,
    malformed_ids,
    malformed_modes,
    malformed_sizes,
    unknown_capabilities,
    malformed_variables,
    labels_without_selinux,
    no_command,
    help_and_version,
    version_names_the_product,
    help_is_complete,
    the_command_is_never_parsed,
    level_prefix,
    errors_have_hints,
    unreadable_arguments,
}

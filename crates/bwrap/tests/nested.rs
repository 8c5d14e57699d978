//! Sandboxes in sandboxes, and sandboxes where something is missing.

use swathe_testkit::{Bwrap, contract, data, usr};

/// A sandbox works inside another one that gives it a /proc and the programs: mounts, namespaces
/// and ids again, for root and for a user.
fn a_sandbox_in_a_sandbox(b: &Bwrap) {
    let path = b.path.display();
    let inner = format!(
        "{path} --ro-bind / / --dev /dev --proc /proc --tmpfs /mnt --dir /mnt/a --unshare-user \
        --unshare-ipc --unshare-uts --hostname inner --uid 7 --gid 8 --die-with-parent sh -c"
    );
    for options in [
        "",
        "--unshare-user",
        "--unshare-user --uid 5 --dev /dev",
        "--unshare-ipc --unshare-net --unshare-uts",
    ] {
        let words = format!("--ro-bind / / --proc /proc --dev /dev --tmpfs /mnt {options} {inner}");
        assert_eq!(
            b.run(&words).arg("id -u; id -g; uname -n; ls /mnt").prints(),
            "7\n8\ninner\na",
            "{options}"
        );
    }
}

/// Three deep, each with a root of its own to pivot into.
fn three_deep(b: &Bwrap) {
    // The binary and its libraries are wherever the host has them.
    let one = format!(
        "{} --ro-bind / / --proc /proc --dev /dev --tmpfs /mnt --unshare-user",
        b.path.display()
    );
    let words = format!("--bind / / --proc /proc --dev /dev {one} {one} echo deep");
    assert_eq!(b.run(&words).prints(), "deep");
}

/// An inner sandbox can have a /proc of its own when the outer one did not cover parts of /proc;
/// where it did, the message has the words that callers look for.
fn proc_in_a_sandbox(b: &Bwrap) {
    let path = b.path.display();
    let inner =
        format!("{path} --unshare-user --unshare-pid --ro-bind / / --dev /dev --proc /proc sh -c");
    // A tmpfs over a part of /proc forbids a fresh procfs below.
    let outer = "--ro-bind / / --proc /proc --dev /dev --tmpfs /proc/fs --unshare-user";
    let run = b.run(&format!("{outer} {inner}")).arg("true");
    b.original_differs("proc-message", || {
        run.fails("Can't mount proc on /newroot/proc: Operation not permitted");
    });
    if !b.is_root() {
        let outer = "--ro-bind / / --proc /proc --dev /dev --unshare-user --unshare-pid";
        let outcome = b.run(&format!("{outer} {inner}")).arg("echo $PPID").exits(0);
        assert_eq!(outcome.text(), "1", "{outcome}");
    }
}

/// Without user namespaces left, the message says so in the words that callers look for.
fn no_user_namespaces_left(b: &Bwrap) {
    let path = b.path.display();
    let words = format!(
        "--ro-bind / / --proc /proc --dev /dev --unshare-user --disable-userns {path} --ro-bind \
            / / --unshare-user true"
    );
    let message = "Creating new namespace failed: nesting depth or \
        /proc/sys/user/max_*_namespaces exceeded (ENOSPC)";
    b.run(&words).fails(message);
}

/// --unshare-user-try is for kernels without user namespaces: a limit that is reached is an error.
fn a_limit_is_an_error(b: &Bwrap) {
    let path = b.path.display();
    let outer =
        "--ro-bind / / --proc /proc --dev /dev --unshare-user --disable-userns --cap-add ALL";
    for option in ["--unshare-user", "--unshare-user-try", "--unshare-all --share-net"] {
        let words = format!("{outer} --uid 0 {path} --ro-bind / / {option} true");
        let message = b.run(&words).exits(1).message();
        assert!(message.starts_with("bwrap: Creating new namespace failed: "), "{message}");
    }
}

/// Where a filter forbids what we need, it is an error with the kernel's reason, and nothing runs.
fn refused_by_a_filter(b: &Bwrap) {
    let path = b.path.display();
    // clone and clone3 with a namespace cannot be told apart by number: mounts and pivots can.
    for call in [libc::SYS_mount, libc::SYS_pivot_root] {
        let mut program = Vec::new();
        for (code, jt, jf, k) in [
            (0x20_u16, 0_u8, 0_u8, 0_u32),
            (0x15, 0, 1, u32::try_from(call).expect("small")),
            (0x06, 0, 0, 0x0005_0001),
            (0x06, 0, 0, 0x7fff_0000),
        ] {
            program.extend(code.to_ne_bytes());
            program.extend([jt, jf]);
            program.extend(k.to_ne_bytes());
        }
        let words = format!(
            "--ro-bind / / --proc /proc --dev /dev --seccomp 9 {path} {} --tmpfs /t echo ran",
            usr()
        );
        let outcome = b.run(&words).fd(9, data(&program)).go();
        if outcome.ended.shell() != 0 {
            assert_eq!(outcome.ended.shell(), 1, "{outcome}");
            assert!(outcome.out.is_empty(), "{outcome}");
            assert!(outcome.message().ends_with("Operation not permitted"), "{outcome}");
        }
    }
}

contract! {
    a_sandbox_in_a_sandbox,
    three_deep,
    proc_in_a_sandbox,
    no_user_namespaces_left,
    a_limit_is_an_error,
    refused_by_a_filter,
}

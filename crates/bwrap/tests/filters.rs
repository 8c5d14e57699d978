//! Seccomp filters given by descriptor.

use swathe_testkit::{Bwrap, contract, data, pipe, probe};

const ALLOW: u32 = 0x7fff_0000;
const ERRNO: u32 = 0x0005_0000;

/// A filter: each of the system calls fails with its error, the rest is allowed.
fn denying(calls: &[(i64, i32)]) -> Vec<u8> {
    let mut program = Vec::new();
    let mut put = |code: u16, jt: u8, jf: u8, k: u32| {
        program.extend(code.to_ne_bytes());
        program.extend([jt, jf]);
        program.extend(k.to_ne_bytes());
    };
    put(0x20, 0, 0, 0);
    for &(call, error) in calls {
        put(0x15, 0, 1, u32::try_from(call).expect("a small number"));
        put(0x06, 0, 0, ERRNO | u32::try_from(error).expect("a small number"));
    }
    put(0x06, 0, 0, ALLOW);
    program
}

/// mkdir and mkdirat fail with this error.
fn no_mkdir(error: i32) -> Vec<u8> {
    let mut calls = vec![(libc::SYS_mkdirat, error)];
    #[cfg(target_arch = "x86_64")]
    calls.push((libc::SYS_mkdir, error));
    denying(&calls)
}

/// --seccomp loads one filter, from a file or a pipe, and the payload feels it.
fn one_filter(b: &Bwrap) {
    for piped in [false, true] {
        let run = b.run("--ro-bind / / --tmpfs /tmp --seccomp 9 mkdir /tmp/x");
        let run = if piped {
            let (read, mut write) = pipe();
            std::io::Write::write_all(&mut write, &no_mkdir(libc::ENOTTY)).expect("room in a pipe");
            run.fd(9, read)
        } else {
            run.fd(9, data(no_mkdir(libc::ENOTTY)))
        };
        let outcome = run.exits(1);
        assert!(outcome.errors().contains("Inappropriate ioctl"), "{outcome}");
    }
    let words = format!("--ro-bind / / --proc /proc --seccomp 9 {} seccomp", probe().display());
    let seen = b.run(&words).fd(9, data(no_mkdir(1))).exits(0);
    assert_eq!(seen.one("seccomp.mode"), "2");
}

/// Filters do not act on the set-up of the sandbox, only on what runs in it: here no mount, no
/// directory and no unshare would be possible.
fn filters_come_last(b: &Bwrap) {
    let program = denying(&[
        (libc::SYS_mount, 1),
        (libc::SYS_mkdirat, 1),
        (libc::SYS_unshare, 1),
        (libc::SYS_setsid, 1),
        (libc::SYS_clone3, libc::ENOSYS),
        (libc::SYS_move_mount, 1),
        (libc::SYS_prctl, 1),
        (libc::SYS_capset, 1),
        (libc::SYS_umount2, 1),
        (libc::SYS_pivot_root, 1),
    ]);
    let words =
        "--ro-bind / / --dev /dev --proc /proc --tmpfs /tmp --dir /tmp/a --seccomp 9 ls /tmp";
    assert_eq!(b.run(words).fd(9, data(program)).prints(), "a");
}

/// --add-seccomp-fd loads several filters in their order; all of them act, and of those that
/// disagree the strictest.
fn several_filters(b: &Bwrap) {
    let words =
        "--ro-bind / / --proc /proc --tmpfs /tmp --add-seccomp-fd 8 --add-seccomp-fd 9 sh -c";
    let script = "mkdir /tmp/x; kill -0 $$; grep Seccomp_filters /proc/self/status";
    let outcome = b
        .run(words)
        .arg(script)
        .fd(8, data(no_mkdir(libc::ENOTTY)))
        .fd(9, data(denying(&[(libc::SYS_kill, libc::ENOTBLK)])))
        .go();
    let errors = outcome.errors();
    assert!(errors.contains("Inappropriate ioctl") && errors.contains("Block device"), "{outcome}");
    let own = std::fs::read_to_string("/proc/self/status").expect("status");
    let own = own.lines().find_map(|line| line.strip_prefix("Seccomp_filters:"));
    let own: u32 = own.map_or(0, |count| count.trim().parse().expect("a number"));
    assert_eq!(outcome.text(), format!("Seccomp_filters:\t{}", own + 2));
}

/// pid 1 and the payload are under the same filters.
fn pid_1_is_filtered(b: &Bwrap) {
    let words =
        "--ro-bind / / --unshare-pid --proc /proc --add-seccomp-fd 8 --add-seccomp-fd 9 sh -c";
    let script = "grep -h ^Seccomp /proc/1/status /proc/self/status | sort | uniq -c | sed 's/ \
        *\\([0-9]*\\) .*/\\1/'";
    let outcome =
        b.run(words).arg(script).fd(8, data(no_mkdir(1))).fd(9, data(no_mkdir(2))).exits(0);
    assert_eq!(outcome.text(), "2\n2", "{outcome}");
}

/// A blob whose length is no multiple of 8, or that is empty or no program, is an error, and
/// nothing runs.
fn bad_blobs(b: &Bwrap) {
    let good = denying(&[]);
    let mut long = good.clone();
    long.push(0);
    for option in ["seccomp", "add-seccomp-fd"] {
        let words = format!("--ro-bind / / --{option} 9 echo ran");
        for blob in [&b"1"[..], &good[..good.len() - 1], &long] {
            b.run(&words).fd(9, data(blob)).fails("Invalid seccomp data, must be multiple of 8");
        }
        for blob in [vec![], vec![0xff; 8], good.repeat(3000)] {
            let outcome = b.run(&words).fd(9, data(blob)).exits(1);
            assert!(outcome.out.is_empty(), "{outcome}");
            assert!(outcome.message().starts_with("bwrap: "), "{outcome}");
        }
        b.run(&words).fails("Can't read seccomp data: Bad file descriptor");
        b.run(&words)
            .fd(9, std::fs::File::open("/").expect("open"))
            .fails("Can't read seccomp data: Is a directory");
    }
}

/// An empty blob is refused before anything is set up.
fn an_empty_blob_is_refused_early(b: &Bwrap) {
    b.original_differs("early-filters", || {
        let temp = b.temp();
        let words = format!("--bind / / --dir {} --seccomp 9 true", temp.at("made"));
        b.run(&words).fd(9, data("")).exits(1);
        assert_eq!(temp.list(""), [""; 0]);
    });
}

/// Filters do not keep --json-status-fd, --block-fd and pid 1 from their work, also strict ones.
fn filters_and_documents(b: &Bwrap) {
    let (block, release) = pipe();
    drop(release);
    let words = "--ro-bind / / --unshare-pid --json-status-fd 2 --block-fd 8 --seccomp 9 sh -c";
    let program = denying(&[(libc::SYS_socket, 1), (libc::SYS_ptrace, 1)]);
    let outcome = b.run(words).arg("exit 3").fd(8, block).fd(9, data(program)).exits(3);
    assert!(outcome.errors().ends_with("{ \"exit-code\": 3 }\n"), "{outcome}");
}

contract! {
    one_filter,
    filters_come_last,
    several_filters,
    pid_1_is_filtered,
    bad_blobs,
    an_empty_blob_is_refused_early,
    filters_and_documents,
}

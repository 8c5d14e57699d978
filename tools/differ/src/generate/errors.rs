//! Vectors that both programs must refuse, with the same first line.

// Without the explicit `*`, inference takes the unsized element type.
#![allow(clippy::explicit_auto_deref)]

use crate::rng::Rng;
use crate::vector::{FdSpec, Item, Vector};

/// Single items that are wrong by themselves, or next to nearly anything.
const WRONG: [&[&str]; 103] = [
    &["--unknown"],
    &["-h"],
    &["-"],
    &["--bind=x"],
    &["--unshare"],
    &["--help", "x"],
    &["--help"],
    &["--version"],
    &["--bind", "", "/x"],
    &["--bind", "/h", ""],
    &["--tmpfs", ""],
    &["--dir", ""],
    &["--proc", ""],
    &["--dev", ""],
    &["--chdir", ""],
    &["--symlink", "", "/x"],
    &["--symlink", "x", ""],
    &["--bind", "/h/missing", "/x"],
    &["--ro-bind", "/h/src/a/x", "/x"],
    &["--bind", "/h/src/lnk-loop", "/x"],
    &["--bind", "/h/src/lnk-dangling", "/x"],
    &["--dev-bind", "/h/noperm/x", "/x"],
    &["--chmod", "0755", "/missing"],
    &["--chmod", "8", "/"],
    &["--chmod", "", "/"],
    &["--chmod", "10000", "/"],
    &["--chmod", "-1", "/"],
    &["--chmod", "0x1", "/"],
    &["--perms", "0755"],
    &["--perms", "9", "--dir", "/x"],
    &["--perms", "0755", "--perms", "0755", "--dir", "/x"],
    &["--perms", "0755", "--bind", "/h", "/x"],
    &["--perms", "0755", "--proc", "/x"],
    &["--perms", "0755", "--symlink", "a", "/x"],
    &["--perms", "", "--dir", "/x"],
    &["--perms", "07777777", "--dir", "/x"],
    &["--perms", "rwx", "--dir", "/x"],
    &["--size", "4096"],
    &["--size", "4096", "--dir", "/x"],
    &["--size", "0", "--tmpfs", "/x"],
    &["--size", "-1", "--tmpfs", "/x"],
    &["--size", "1k", "--tmpfs", "/x"],
    &["--size", "", "--tmpfs", "/x"],
    &["--size", "99999999999999999999999", "--tmpfs", "/x"],
    &["--size", "9223372036854775808", "--tmpfs", "/x"],
    &["--size", "1", "--size", "1", "--tmpfs", "/x"],
    &["--uid", "-1"],
    &["--uid", "x"],
    &["--uid", ""],
    &["--uid", "4294967296"],
    &["--uid", "4294967295"],
    &["--uid", "1 "],
    &["--gid", " 1"],
    &["--gid", "-1"],
    &["--gid", "0x10"],
    &["--gid", "99999999999999999999"],
    &["--uid", "1000"],
    &["--gid", "1000"],
    &["--hostname", "x"],
    &["--share-net"],
    &["--disable-userns"],
    &["--assert-userns-disabled"],
    &["--as-pid-1"],
    &["--unshare-pid", "--as-pid-1", "--lock-file", "/opt/differ/probe"],
    &["--lock-file", "/missing"],
    &["--lock-file", "/opt"],
    &["--chdir", "/missing"],
    &["--chdir", "/opt/differ/probe"],
    &["--argv0", "a", "--argv0", "b"],
    &["--cap-add", "CAP_NOTHING"],
    &["--cap-drop", ""],
    &["--cap-add", "99"],
    &["--cap-add", "-1"],
    &["--cap-drop", "64"],
    &["--cap-add", "SYS_ADMIN"],
    &["--setenv", "", "x"],
    &["--setenv", "A=B", "x"],
    &["--unsetenv", ""],
    &["--unsetenv", "A=B"],
    &["--overlay-src", "/h/low"],
    &["--ro-overlay", "/x"],
    &["--overlay-src", "/h/low", "--ro-overlay", "/x"],
    &["--tmp-overlay", "/x"],
    &["--overlay", "/h/up", "/h/work", "/x"],
    &["--overlay-src", "/h/low", "--overlay", "/h/low", "/h/work", "/x"],
    &["--overlay-src", "/h/low", "--dir", "/y"],
    &["--overlay-src", "/h/src", "--overlay-src", "/h/src/d1", "--ro-overlay", "/x"],
    &["--overlay-src", "/h/src/a", "--tmp-overlay", "/x"],
    &["--overlay-src", "/h/missing", "--tmp-overlay", "/x"],
    &["--overlay-src", "", "--tmp-overlay", "/x"],
    &["--remount-ro", "/missing"],
    &["--remount-ro", "/opt/differ/probe"],
    &["--dir", "/opt/differ/probe"],
    &["--tmpfs", "/opt/differ/probe"],
    &["--bind", "/h/src/a", "/opt"],
    &["--bind", "/h/src/d1", "/opt/differ/probe"],
    &["--dir", "/opt/differ/probe/x"],
    &["--symlink", "x", "/opt"],
    &["--tmpfs", "/tmp/l", "--symlink", "/opt", "/tmp/l/s", "--tmpfs", "/tmp/l/s"],
    &["--tmpfs", "/tmp/l", "--symlink", "gone", "/tmp/l/s", "--dir", "/tmp/l/s"],
    &["--exec-label", "x"],
    &["--file-label", "x"],
    &["--args", "x"],
];

/// Options that take a descriptor, with the words after it.
const WITH_FD: [(&str, &[&str]); 18] = [
    ("--args", &[]),
    ("--userns", &[]),
    ("--userns2", &[]),
    ("--pidns", &[]),
    ("--sync-fd", &[]),
    ("--bind-fd", &["/x"]),
    ("--ro-bind-fd", &["/x"]),
    ("--file", &["/x"]),
    ("--bind-data", &["/x"]),
    ("--ro-bind-data", &["/x"]),
    ("--seccomp", &[]),
    ("--add-seccomp-fd", &[]),
    ("--block-fd", &[]),
    ("--userns-block-fd", &[]),
    ("--info-fd", &[]),
    ("--json-status-fd", &[]),
    ("--file", &["/opt"]),
    ("--bind-data", &["/opt"]),
];

/// Options that take arguments, for leaving them out.
const TAKING: [&str; 12] = [
    "--bind",
    "--tmpfs",
    "--symlink",
    "--file",
    "--setenv",
    "--uid",
    "--perms",
    "--size",
    "--args",
    "--chdir",
    "--overlay",
    "--cap-add",
];

/// Makes `vector` wrong in one way.
pub(super) fn spoil(rng: &mut Rng, vector: &mut Vector) {
    let at = rng.below(vector.items.len() + 1);
    match rng.below(20) {
        0..10 => vector.items.insert(at, Item::new(*rng.pick(&WRONG))),
        10..12 => bad_descriptor(rng, vector, at),
        12 => {
            // Arguments that end early: the last option loses what follows it.
            vector.items.push(Item::new(&[*rng.pick(&TAKING)]));
            vector.command.clear();
            vector.dashes = false;
        }
        13 => {
            vector.command.clear();
            if rng.chance(30) {
                vector.items.clear();
            }
        }
        14 => bad_filter(rng, vector, at),
        15 => bad_args(rng, vector, at),
        16 => {
            vector.command[0] = rng
                .pick(&[&b""[..], b"/", b"/h/src/a", b"/missing", b"./probe", b"-x", b"probe"])
                .to_vec()
        }
        17 => {
            let item = Item::with_fd::<&str>(
                *rng.pick(&["--seccomp", "--add-seccomp-fd"]),
                FdSpec::Data(super::options::filter(None)),
                &[],
            );
            vector.items.insert(at, item);
            let other = Item::with_fd::<&str>(
                *rng.pick(&["--seccomp", "--add-seccomp-fd"]),
                FdSpec::Data(super::options::filter(None)),
                &[],
            );
            vector.items.push(other);
        }
        18 => {
            let words: &[&str] = *rng.pick(&[
                &["--unshare-user", "--userns", "20"][..],
                &["--userns2", "20"],
                &["--share-net", "--unshare-net"],
                &["--unshare-user-try", "--disable-userns"],
            ]);
            vector.items.insert(0, Item::new(words));
        }
        _ => {
            // A word with bytes of any kind where an option is expected.
            vector.items.insert(at, Item::new(&[&b"--\xff\n%s"[..]]));
        }
    }
}

fn bad_descriptor(rng: &mut Rng, vector: &mut Vector, at: usize) {
    let (option, rest) = *rng.pick(&WITH_FD);
    let item = match rng.below(6) {
        0 | 1 => Item::with_fd(option, FdSpec::Closed, rest),
        2 => {
            let mut words = vec![
                option,
                *rng.pick(&[
                    "-1",
                    "x",
                    "",
                    "1x",
                    "4294967296",
                    "99999999999",
                    " 5",
                    "+5",
                    "2147483648",
                ]),
            ];
            words.extend(rest);
            Item::new(&words)
        }
        3 => Item::with_fd(option, FdSpec::Path(b"/h/src".to_vec(), libc::O_RDONLY), rest),
        4 => Item::with_fd(option, FdSpec::Path(b"/h/src/a".to_vec(), libc::O_PATH), rest),
        _ => Item::with_fd(option, FdSpec::Path(b"/dev/null".to_vec(), libc::O_RDWR), rest),
    };
    vector.items.insert(at, item);
}

fn bad_filter(rng: &mut Rng, vector: &mut Vector, at: usize) {
    let good = super::options::filter(None);
    let blob = match rng.below(5) {
        0 => vec![],
        1 => good[..7].to_vec(),
        2 => [good.clone(), vec![0]].concat(),
        3 => vec![0xff; 16],
        _ => good.repeat(5000),
    };
    let option = *rng.pick(&["--seccomp", "--add-seccomp-fd"]);
    vector.items.insert(at, Item::with_fd::<&str>(option, FdSpec::Data(blob), &[]));
}

fn bad_args(rng: &mut Rng, vector: &mut Vector, at: usize) {
    let data: &[u8] = *rng.pick(&[
        &b"--args\x0020"[..],
        b"--dir",
        b"--dir\0",
        b"--dir\0\0",
        b"",
        b"\0",
        b"--\0--unknown",
        b"word\0--unknown",
        b"--unknown",
        b"--dir\0/made\0--\0--dir\0/not-made",
        b"--bind\0/h",
    ]);
    vector.items.insert(at, Item::with_fd::<&str>("--args", FdSpec::Data(data.to_vec()), &[]));
}

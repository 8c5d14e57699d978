//! Which calls are trapped, and what their numbers mean.

use super::*;
use swathe_plan::filter::{Data, interpret};

const ALLOW: u32 = 0x7fff_0000;
const TRAP: u32 = 0x7fc0_0000;

fn answer(wanted: Wanted, call: &str, args: [u64; 6]) -> u32 {
    let arch = Arch::native().expect("a machine with a table");
    let program = program(wanted).expect("assembles");
    let number = arch.number(call).expect("a call of this machine");
    let data = Data { number, arch: arch.audit(), address: 0, args };
    interpret(&program, &data).expect("a valid program")
}

/// Reading is not trapped where only levels are kept, whatever the flags that do not write.
#[test]
fn reads_go_on() {
    let levels = Wanted { removes: true, writes: true, append: true, ..Wanted::default() };
    for flags in [0, 0o2_000_000, 0o200_000, 0o4000] {
        assert_eq!(answer(levels, "openat", [0, 0, flags, 0, 0, 0]), ALLOW, "{flags:o}");
    }
    for call in ["newfstatat", "execve", "read", "write", "mkdirat", "connect"] {
        assert_eq!(answer(levels, call, [0; 6]), ALLOW, "{call}");
    }
}

/// What writes is trapped, with whatever else is in the high halves.
#[test]
fn writes_are_trapped() {
    let levels = Wanted { removes: true, writes: true, append: true, ..Wanted::default() };
    for flags in [1, 2, 3, 0o100, 0o1000, 0o20_200_000, 1 | 1 << 40] {
        assert_eq!(answer(levels, "openat", [0, 0, flags, 0, 0, 0]), TRAP, "{flags:o}");
    }
    for call in ["openat2", "unlinkat", "renameat2", "linkat", "truncate", "ftruncate"] {
        assert_eq!(answer(levels, call, [0; 6]), TRAP, "{call}");
    }
    assert_eq!(answer(levels, "fcntl", [0, 4, 0, 0, 0, 0]), TRAP);
    assert_eq!(answer(levels, "fcntl", [0, 4, 0o2000, 0, 0, 0]), ALLOW);
    assert_eq!(answer(levels, "fcntl", [0, 3, 0, 0, 0, 0]), ALLOW);
    assert_eq!(answer(levels, "pwritev2", [0, 0, 0, 0, 0, 0x20]), EOPNOTSUPP.value());
    assert_eq!(answer(levels, "pwritev2", [0, 0, 0, 0, 0, 0]), ALLOW);
    for mode in [2, 3, 8, 16, 32, 64] {
        assert_eq!(answer(levels, "fallocate", [0, mode, 0, 0, 0, 0]), EOPNOTSUPP.value());
    }
    assert_eq!(answer(levels, "ioctl", [0, 0x4030_582b, 0, 0, 0, 0]), EOPNOTSUPP.value());
    assert_eq!(answer(levels, "ioctl", [0, 0xc028_660f, 0, 0, 0, 0]), EOPNOTSUPP.value());
    assert_eq!(answer(levels, "ioctl", [0, 0x5401, 0, 0, 0, 0]), ALLOW);
    for call in ["landlock_create_ruleset", "landlock_restrict_self"] {
        assert_eq!(answer(levels, call, [0; 6]), EOPNOTSUPP.value());
        let watched = Wanted { observe: true, below: true, ..Wanted::default() };
        assert_eq!(answer(watched, call, [0; 6]), ALLOW);
    }
    let kept = Wanted { removes: true, ..Wanted::default() };
    let cut = Wanted { removes: true, writes: true, ..Wanted::default() };
    assert_eq!(answer(kept, "fallocate", [0, 8, 0, 0, 0, 0]), ALLOW);
    assert_eq!(answer(cut, "fallocate", [0, 8, 0, 0, 0, 0]), EOPNOTSUPP.value());
    assert_eq!(answer(cut, "fallocate", [0, 1, 0, 0, 0, 0]), ALLOW);
    for request in [0x4028_5881, 0x4058_5883, 0xc0c0_586d, 0xc020_f509, 0xf501, 0xf519] {
        let refused = answer(cut, "ioctl", [0, request, 0, 0, 0, 0]);
        assert_eq!(refused, EOPNOTSUPP.value(), "{request:x}");
        assert_eq!(answer(kept, "ioctl", [0, request, 0, 0, 0, 0]), ALLOW);
    }
    for request in [0x5000_940f, 0x5000_943f] {
        assert_eq!(answer(kept, "ioctl", [0, request, 0, 0, 0, 0]), EOPNOTSUPP.value());
    }
}

/// The probe is trapped always, other operations of prctl never.
#[test]
fn probe() {
    for wanted in [Wanted::default(), Wanted { observe: true, ..Wanted::default() }] {
        assert_eq!(answer(wanted, "prctl", [PROBE.into(), 0, 0, 0, 0, 0]), TRAP);
        assert_eq!(answer(wanted, "prctl", [38, 1, 0, 0, 0, 0]), ALLOW);
    }
}

/// What the engine does between loading the filter and the command is not trapped, nor is what
/// serves commands afterwards: it would wait for itself.
#[test]
fn the_engine_goes_on() {
    let all = Wanted {
        removes: true,
        writes: true,
        append: true,
        observe: true,
        below: true,
        bits32: true,
    };
    for call in ["sendmsg", "recvmsg", "close", "clone", "wait4", "ppoll", "exit_group"] {
        assert_eq!(answer(all, call, [0; 6]), ALLOW, "{call}");
    }
}

/// Who remembers working directories hears of each change of one.
#[test]
fn changes_of_the_directory() {
    let recorded = Wanted { observe: true, ..Wanted::default() };
    assert_eq!(answer(recorded, "fchdir", [3, 0, 0, 0, 0, 0]), TRAP);
    assert_eq!(answer(recorded, "chdir", [3, 0, 0, 0, 0, 0]), TRAP);
    assert_eq!(answer(recorded, "readlink", [3, 0, 0, 0, 0, 0]), ALLOW);
    let asked = Wanted { below: true, ..recorded };
    assert_eq!(answer(asked, "fchdir", [3, 0, 0, 0, 0, 0]), ALLOW);
}

/// High halves of ints do not make another call of it.
#[test]
fn decoded() {
    let arch = Arch::native().expect("a machine with a table");
    let nr = arch.number("openat").expect("a call") as i32;
    let args = [0xdead_0000_ffff_ff9c, 7, 0o101 | 1 << 32, 0o600, 0, 0];
    let told = Notification { id: 0, pid: 1, nr, arch: arch.audit(), args };
    let call = Decoder::default().decode(&told);
    let at = At { dir: CWD, path: 7, follow: true, empty: false };
    assert_eq!(call, Call::Open(at, 0o101, 0o600));
}

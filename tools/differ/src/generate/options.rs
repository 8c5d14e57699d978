//! Options that are not file-system operations.

use super::Gen;
use crate::vector::{FdSpec, Item, Prepared};

/// Namespaces and what depends on them.
pub(super) fn namespaces(g: &mut Gen) -> Vec<Item> {
    let mut out: Vec<Item> = vec![];
    let one = |words: &[&str]| Item::new(words);
    let mut uts = false;
    if g.rng.chance(18) {
        out.push(one(&["--unshare-all"]));
        (g.pid, g.ipc, g.user, uts) = (true, true, true, true);
        if g.rng.chance(40) {
            out.push(one(&["--share-net"]));
        }
    } else {
        for (name, percent) in [
            ("user", 35),
            ("pid", 40),
            ("ipc", 25),
            ("net", 15),
            ("uts", 25),
            ("cgroup", 12),
            ("user-try", 8),
            ("cgroup-try", 8),
        ] {
            if g.rng.chance(percent) {
                out.push(one(&[&format!("--unshare-{name}")]));
                match name {
                    "user" => g.user = true,
                    "pid" => g.pid = true,
                    "ipc" => g.ipc = true,
                    "uts" => uts = true,
                    _ => {}
                }
            }
        }
    }
    let explicit = out.iter().any(|i| i.name() == "--unshare-user");
    if !g.user && g.rng.chance(12) {
        out.push(Item::with_fd::<&str>("--userns", FdSpec::Ns(Prepared::User), &[]));
        out.retain(|i| i.name() != "--unshare-user-try");
        g.user = true;
        if g.rng.chance(40) {
            out.push(Item::with_fd::<&str>("--userns2", FdSpec::Ns(Prepared::UserBelow), &[]));
        }
        if g.rng.chance(40) {
            out.push(Item::with_fd::<&str>("--pidns", FdSpec::Ns(Prepared::PidBelow), &[]));
        }
    } else if g.rng.chance(4) {
        let kind = *g.rng.pick(&[Prepared::Pid, Prepared::PidBelow]);
        out.push(Item::with_fd::<&str>("--pidns", FdSpec::Ns(kind), &[]));
    }
    if g.user {
        for option in ["--uid", "--gid"] {
            if g.rng.chance(18) {
                let id = *g.rng.pick(&["0", "0", "1", "1000", "65534", "2147483647", "01000"]);
                out.push(one(&[option, id]));
            }
        }
    }
    let disable = explicit && g.rng.chance(18);
    if disable {
        out.push(one(&["--disable-userns"]));
    }
    if g.rng.chance(if disable { 40 } else { 1 }) {
        out.push(one(&["--assert-userns-disabled"]));
    }
    if uts && g.rng.chance(50) {
        let name = *g.rng.pick(&[
            "box",
            "a.b.c",
            "x-1",
            "",
            "ünï",
            "0123456789012345678901234567890123456789012345678901234567890123",
        ]);
        out.push(one(&["--hostname", name]));
    }
    if g.pid && g.rng.chance(12) {
        out.push(one(&["--as-pid-1"]));
    }
    out
}

/// Everything else.
pub(super) fn others(g: &mut Gen, spaces: &[Item]) -> Vec<Item> {
    let mut out = vec![];
    environment(g, &mut out);
    capabilities(g, &mut out);
    filters(g, &mut out);
    descriptors(g, spaces, &mut out);
    for (option, percent) in [
        ("--new-session", 20),
        ("--die-with-parent", 20),
        ("--level-prefix", 5),
        ("--not-a-security-boundary", 4),
    ] {
        if g.rng.chance(percent) {
            out.push(Item::new(&[option]));
        }
    }
    if g.rng.chance(12) {
        out.push(Item::new(&["--argv0", *g.rng.pick(&["renamed", "", "-sh", "a b"])]));
    }
    if g.rng.chance(20) {
        let list = ["/", "/tmp", "/opt/differ", "/opt/../opt", "/h/src/d1", "tmp", "/var/run", "."];
        let known = g.model.dirs.clone();
        let dir = if !known.is_empty() && g.rng.chance(60) {
            g.rng.pick(&known).clone()
        } else {
            (*g.rng.pick(&list)).into()
        };
        out.push(Item::new(&["--chdir", &dir]));
    }
    out
}

fn environment(g: &mut Gen, out: &mut Vec<Item>) {
    while g.rng.chance(25) {
        let variable = *g.rng.pick(&["A", "PATH", "HOME", "PWD", "NEW", "LANG", "OLDPWD", "ünï"]);
        out.push(match g.rng.below(8) {
            0 => Item::new(&["--clearenv"]),
            1 | 2 => Item::new(&["--unsetenv", variable]),
            _ => Item::new(&[
                "--setenv",
                variable,
                *g.rng.pick(&["", "1", "/tmp", "a b\n", "/nowhere", "=", "/opt/differ"]),
            ]),
        });
    }
}

fn capabilities(g: &mut Gen, out: &mut Vec<Item>) {
    const CAPS: [&str; 12] = [
        "ALL",
        "CAP_SYS_ADMIN",
        "cap_net_admin",
        "CAP_CHOWN",
        "Cap_Setuid",
        "CAP_MKNOD",
        "CAP_SYS_PTRACE",
        "all",
        "CAP_DAC_OVERRIDE",
        "CAP_CHECKPOINT_RESTORE",
        "CAP_KILL",
        "5",
    ];
    if !g.rng.chance(if g.plain && !g.user { 8 } else { 30 }) {
        return;
    }
    for _ in 0..1 + g.rng.below(3) {
        let option = *g.rng.pick(&["--cap-add", "--cap-drop"]);
        out.push(Item::new(&[option, *g.rng.pick(&CAPS)]));
    }
}

/// A filter that allows everything, or answers `call` with `error`.
pub(super) fn filter(call: Option<(u32, u16)>) -> Vec<u8> {
    let mut out = vec![];
    let mut add = |code: u16, jt: u8, jf: u8, k: u32| {
        out.extend_from_slice(&code.to_ne_bytes());
        out.extend_from_slice(&[jt, jf]);
        out.extend_from_slice(&k.to_ne_bytes());
    };
    if let Some((number, error)) = call {
        add(0x20, 0, 0, 0); // load the number of the call
        add(0x15, 0, 1, number);
        add(0x06, 0, 0, 0x0005_0000 | u32::from(error));
    }
    add(0x06, 0, 0, 0x7fff_0000);
    out
}

fn filters(g: &mut Gen, out: &mut Vec<Item>) {
    if !g.rng.chance(22) {
        return;
    }
    let calls = [libc::SYS_getpriority, libc::SYS_sched_getscheduler, libc::SYS_sync_file_range];
    let several = g.rng.chance(60);
    for _ in 0..if several { 1 + g.rng.below(3) } else { 1 + usize::from(g.rng.chance(15)) } {
        let call = (*g.rng.pick(&calls) as u32, 1 + g.rng.below(90) as u16);
        let blob = filter(g.rng.chance(75).then_some(call));
        let spec = if g.rng.chance(30) { FdSpec::Pipe(blob) } else { FdSpec::Data(blob) };
        let option = if several { "--add-seccomp-fd" } else { "--seccomp" };
        out.push(Item::with_fd::<&str>(option, spec, &[]));
    }
}

fn descriptors(g: &mut Gen, spaces: &[Item], out: &mut Vec<Item>) {
    let none: &[&str] = &[];
    for (option, label) in [("--info-fd", "info"), ("--json-status-fd", "json")] {
        if g.rng.chance(18) {
            out.push(Item::with_fd(option, FdSpec::Collect(label), none));
        }
    }
    let user = spaces.iter().any(|i| i.name() == "--unshare-user");
    for option in ["--block-fd", "--userns-block-fd"] {
        if g.rng.chance(6) && (option == "--block-fd" || user || g.rng.chance(10)) {
            if option == "--userns-block-fd" {
                out.push(Item::with_fd("--info-fd", FdSpec::Collect("info"), none));
            }
            let data = if g.rng.chance(70) { b"x".to_vec() } else { vec![] };
            out.push(Item::with_fd(option, FdSpec::Pipe(data), none));
        }
    }
    for _ in 0..2 {
        if g.rng.chance(8) {
            out.push(Item::with_fd("--sync-fd", FdSpec::Pipe(vec![]), none));
        }
    }
    if g.rng.chance(8) {
        let files: Vec<&str> = g.model.files.iter().map(String::as_str).collect();
        let file = if files.is_empty() || g.rng.chance(30) {
            "/opt/differ/probe"
        } else {
            *g.rng.pick(&files)
        };
        out.push(Item::new(&["--lock-file", file]));
    }
}

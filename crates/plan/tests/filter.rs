//! The filter of a sandbox: its tables of system calls, and what it refuses.

use std::collections::BTreeMap;

use swathe_plan::filter::errno::{
    EAFNOSUPPORT, ENOSYS, EPERM, EPROTONOSUPPORT, ESOCKTNOSUPPORT, name,
};
use swathe_plan::filter::{
    ALL, Action, Arch, Data, FilterError, FilterOptions, MAX_INSTRUCTIONS, base, docs, interpret,
    rules,
};

const ALLOW: u32 = Action::Allow.value();

fn options(arch: Arch) -> FilterOptions {
    FilterOptions { arch: Some(arch), ..FilterOptions::default() }
}

/// Every combination of intents.
fn combinations(arch: Arch) -> Vec<FilterOptions> {
    let bit = |n: u32, at: u32| n >> at & 1 == 1;
    let make = |n| FilterOptions {
        arch: Some(arch),
        nested_sandbox: bit(n, 0),
        ptrace: bit(n, 1),
        bits32: bit(n, 2),
        inet: bit(n, 3),
    };
    (0..16).map(make).collect()
}

fn raw(options: &FilterOptions, arch: u32, number: u32, given: &[u64]) -> u32 {
    let program = base(options).expect("a filter");
    let mut args = [0; 6];
    args[..given.len()].copy_from_slice(given);
    interpret(&program, &Data { number, arch, address: 0, args }).expect("a sound program")
}

fn error(number: u16) -> u32 {
    Action::Errno(number).value()
}

/// Asserts what the filter for `options` answers to a call of its machine.
#[track_caller]
fn answers(options: &FilterOptions, call: &str, args: &[u64], expected: u32) {
    let arch = options.arch.expect("given");
    let number = arch.number(call).unwrap_or_else(|| panic!("no {call} on {arch:?}"));
    let found = raw(options, arch.audit(), number, args);
    assert_eq!(found, expected, "{call} {args:x?} on {arch:?}: {found:#x}, not {expected:#x}");
}

/// The table has the numbers that the C library's headers have.
#[test]
fn numbers_are_the_kernels() {
    let arch = Arch::native().expect("tests run where there is a table");
    macro_rules! check {
        ($($name:ident $constant:ident),* $(,)?) => {
            $(assert_eq!(arch.number(stringify!($name)).map(i64::from), Some(libc::$constant.into()),
                stringify!($name));)*
        };
    }
    check! {
        read SYS_read, ioctl SYS_ioctl, socket SYS_socket, socketpair SYS_socketpair,
        clone SYS_clone, clone3 SYS_clone3, unshare SYS_unshare, setns SYS_setns, mount SYS_mount,
        umount2 SYS_umount2, pivot_root SYS_pivot_root, chroot SYS_chroot, openat SYS_openat,
        openat2 SYS_openat2, fchmod SYS_fchmod, fchmodat SYS_fchmodat, mknodat SYS_mknodat,
        bpf SYS_bpf, perf_event_open SYS_perf_event_open, io_uring_setup SYS_io_uring_setup,
        io_uring_enter SYS_io_uring_enter, io_uring_register SYS_io_uring_register,
        userfaultfd SYS_userfaultfd, fanotify_init SYS_fanotify_init, ptrace SYS_ptrace,
        fanotify_mark SYS_fanotify_mark, personality SYS_personality, keyctl SYS_keyctl,
        add_key SYS_add_key, request_key SYS_request_key, kcmp SYS_kcmp, prctl SYS_prctl,
        process_vm_readv SYS_process_vm_readv, process_vm_writev SYS_process_vm_writev,
        process_madvise SYS_process_madvise, pidfd_getfd SYS_pidfd_getfd,
        open_by_handle_at SYS_open_by_handle_at, fsopen SYS_fsopen, fsmount SYS_fsmount,
        fsconfig SYS_fsconfig, fspick SYS_fspick, move_mount SYS_move_mount,
        open_tree SYS_open_tree, mount_setattr SYS_mount_setattr, syslog SYS_syslog,
        kexec_load SYS_kexec_load, init_module SYS_init_module, reboot SYS_reboot,
        finit_module SYS_finit_module, delete_module SYS_delete_module, swapon SYS_swapon,
        swapoff SYS_swapoff, settimeofday SYS_settimeofday, clock_settime SYS_clock_settime,
        acct SYS_acct, quotactl SYS_quotactl, quotactl_fd SYS_quotactl_fd, exit_group SYS_exit_group,
        execve SYS_execve, execveat SYS_execveat, futex SYS_futex, statx SYS_statx, rseq SYS_rseq,
        close_range SYS_close_range, fchmodat2 SYS_fchmodat2, mseal SYS_mseal,
        landlock_create_ruleset SYS_landlock_create_ruleset, seccomp SYS_seccomp,
    }
    #[cfg(target_arch = "x86_64")]
    check! {
        open SYS_open, chmod SYS_chmod, creat SYS_creat, mknod SYS_mknod, fork SYS_fork,
        vfork SYS_vfork, modify_ldt SYS_modify_ldt, iopl SYS_iopl, ioperm SYS_ioperm,
        uselib SYS_uselib, sysfs SYS_sysfs, ustat SYS_ustat,
    }
}

/// Each machine's numbers are distinct, names are sorted (they are searched for), and calls from
/// 424 on have the same number everywhere.
#[test]
fn tables_are_sound() {
    for arch in Arch::ALL {
        let numbers: BTreeMap<u32, &str> =
            arch.calls().map(|(name, number)| (number, name)).collect();
        assert_eq!(numbers.len(), arch.calls().count(), "{arch:?}: a number twice");
        assert!(numbers.len() > 300);
        let names: Vec<&str> = arch.calls().map(|(name, _)| name).collect();
        assert!(names.is_sorted_by(|a, b| a < b), "{arch:?}");
        for (name, number) in arch.calls() {
            assert_eq!((arch.number(name), arch.call(number)), (Some(number), Some(name)));
            if (424..0x1000).contains(&number) {
                for other in Arch::ALL {
                    let same = other.number(name);
                    assert!(same.is_none_or(|same| same == number), "{name} on {other:?}");
                }
            }
        }
        // The last ones of Linux 6.18, and none of a later kernel.
        assert_eq!(arch.call(469), Some("file_setattr"));
        assert_eq!(arch.call(470), None);
        assert_eq!(arch.number("no_such_call"), None);
    }
}

/// Every row of the table can be reached: its names exist on some machine, the words of its
/// condition fit its tests, it has a reason, and no earlier unconditional row is about its calls.
#[test]
fn every_row_counts() {
    for (at, rule) in ALL.iter().enumerate() {
        assert!(!rule.calls.is_empty() && !rule.why.is_empty() && !rule.topic.is_empty());
        for call in rule.calls {
            let known = Arch::ALL.iter().any(|arch| arch.number(call).is_some());
            assert!(known, "{call} is on no machine");
            let hidden = ALL[..at].iter().any(|earlier| {
                earlier.calls.contains(call)
                    && earlier.tests.is_empty()
                    && (earlier.when == rule.when
                        || earlier.when == swathe_plan::filter::When::Always)
            });
            assert!(!hidden, "{call}: row {at} is never reached");
        }
        assert!(rule.tests.is_empty() || !rule.condition.is_empty(), "{:?}", rule.calls);
        if let Action::Errno(number) = rule.action {
            assert!(name(number).is_some(), "{number} has no name");
        }
        // The table is printed as Markdown.
        assert!(
            !format!("{}{}{}", rule.topic, rule.condition, rule.why).contains(['|', '\n', '`'])
        );
    }
}

/// With any intents on any machine there is a program that the kernel's limit allows, with room
/// for more rules, and the same options give the same bytes.
#[test]
fn every_combination_has_a_filter() {
    for options in Arch::ALL.into_iter().flat_map(combinations) {
        let program = base(&options).expect("a filter");
        assert!(program.len() / 8 < MAX_INSTRUCTIONS / 4, "{options:?}: {}", program.len() / 8);
        assert_eq!(base(&options).as_ref(), Ok(&program));
    }
    let nowhere = FilterOptions { arch: None, ..FilterOptions::default() };
    assert_eq!(base(&nowhere), Err(FilterError::Machine));
}

/// On each machine every unconditional row in force is answered as it says, and every call without
/// a row is allowed.
#[test]
fn rows_are_in_the_program() {
    for options in Arch::ALL.into_iter().flat_map(combinations) {
        let arch = options.arch.expect("given");
        let program = base(&options).expect("a filter");
        for (call, number) in arch.calls() {
            let mut about = rules(&options).filter(|rule| rule.calls.contains(&call));
            let expected = match about.next() {
                None => ALLOW,
                Some(rule) if rule.tests.is_empty() => rule.action.value(),
                Some(_) => continue,
            };
            let data = Data { number, arch: arch.audit(), address: 0, args: [7; 6] };
            assert_eq!(interpret(&program, &data), Ok(expected), "{call} with {options:?}");
        }
    }
}

/// Numbers that have no name fail as on an older kernel; so do x32 calls, and 32-bit ones without
/// the intent; with it they are under the same rules. Another machine's calls kill.
#[test]
fn unknown_calls_and_machines() {
    let o = options(Arch::X86_64);
    let (x86_64, x86) = (Arch::X86_64.audit(), Arch::X86.audit());
    for number in [337, 400, 470, 471, 1000, 0x4000_0000, 0x4000_0001, 0x4000_0200, u32::MAX] {
        assert_eq!(raw(&o, x86_64, number, &[]), error(ENOSYS), "{number:#x}");
    }
    for number in [0, 1, 4, 20, 288, 1000] {
        assert_eq!(raw(&o, x86, number, &[]), error(ENOSYS), "{number}");
    }
    let both = FilterOptions { bits32: true, ..o };
    assert_eq!(raw(&both, x86, 4, &[]), ALLOW);
    for (call, answer) in [("keyctl", ENOSYS), ("bpf", EPERM), ("umount", EPERM), ("ptrace", EPERM)]
    {
        let number = Arch::X86.number(call).expect("a call of i386");
        assert_eq!(raw(&both, x86, number, &[]), error(answer), "{call}");
    }
    assert_eq!(raw(&both, x86, 1000, &[]), error(ENOSYS));
    // The high half of a register is not part of a 32-bit argument.
    let open = Arch::X86.number("open").expect("a call of i386");
    assert_eq!(raw(&both, x86, open, &[0, 0o101 | 1 << 40, 0o4755 | 1 << 33]), error(EPERM));
    assert_eq!(raw(&o, Arch::Aarch64.audit(), 0, &[]), Action::Kill.value());
    assert_eq!(raw(&options(Arch::Aarch64), Arch::Arm.audit(), 1, &[]), error(ENOSYS));
    assert_eq!(raw(&options(Arch::Arm), Arch::Arm.audit(), 0xf0005, &[]), ALLOW, "set_tls");
}

/// Conditions on arguments: what they refuse, what they leave, and that high bits which the kernel
/// ignores do not dodge them.
#[test]
fn conditions() {
    const HIGH: u64 = 0xdead_beef << 32;
    let (no, o) = (error(EPERM), options(Arch::X86_64));
    for request in [0x5412, 0x541c, 0x5423] {
        answers(&o, "ioctl", &[0, request], no);
        answers(&o, "ioctl", &[0, request | HIGH], no);
        answers(&o, "ioctl", &[request, request + 1], ALLOW);
    }
    let namespaces = [0x2_0000_u64, 0x200_0000, 0x400_0000, 0x800_0000, 1 << 28, 1 << 29, 1 << 30];
    for flag in namespaces {
        answers(&o, "clone", &[flag | 17], no);
        answers(&o, "clone", &[flag | HIGH], no);
        answers(&o, "unshare", &[flag], no);
        answers(&o, "unshare", &[flag | 0x200], no);
    }
    for flags in [17, 0x4111, 0x003d_0f00, 0x0120_0011, 0x80] {
        answers(&o, "clone", &[flags], ALLOW);
    }
    for flags in [0, 0x200, 0x400, 0x600, 0x4_0000] {
        answers(&o, "unshare", &[flags], ALLOW);
    }
    for flags in [0x80, 0x10_0000, 1 << 35] {
        answers(&o, "unshare", &[flags], no);
    }
    for mode in [0o4755, 0o2755, 0o6000, 0o4000 | HIGH] {
        for (call, at) in [
            ("chmod", 1),
            ("fchmod", 1),
            ("fchmodat", 2),
            ("fchmodat2", 2),
            ("creat", 1),
            ("mknod", 1),
            ("mknodat", 2),
        ] {
            let mut args = [0; 4];
            args[at] = mode;
            answers(&o, call, &args, no);
            args[at] = 0o1777;
            answers(&o, call, &args, ALLOW);
        }
        answers(&o, "open", &[0, 0o101, mode], no);
        answers(&o, "openat", &[0, 0, 0o20_200_002, mode], no);
        answers(&o, "openat", &[0, 0, 0o100 | HIGH, mode], no);
        // Without a file being made, the register holds anything.
        answers(&o, "open", &[0, 0o200_000, mode], ALLOW);
        answers(&o, "openat", &[0, 0, 0o2001, mode], ALLOW);
        answers(&o, "mkdir", &[0, mode], ALLOW);
    }
    for (kind, answer) in [(0o020_000, no), (0o060_000, no), (0o010_000, ALLOW), (0o140_000, ALLOW)]
    {
        answers(&o, "mknod", &[0, kind | 0o600, 0x103], answer);
        answers(&o, "mknodat", &[0, 0, kind | 0o600 | HIGH, 0x103], answer);
    }
    for (value, answer) in [
        (0, ALLOW),
        (0xffff_ffff, ALLOW),
        (8, no),
        (0x4_0000, no),
        (0x40_0000, no),
        (0x40_0000 | HIGH, no),
        (HIGH, ALLOW),
        (u64::MAX, ALLOW),
    ] {
        answers(&o, "personality", &[value], answer);
    }
    answers(&o, "prctl", &[35], no);
    answers(&o, "prctl", &[35 | HIGH], no);
    answers(&o, "prctl", &[22], ALLOW);
    answers(&o, "kcmp", &[1, 1, 0], ALLOW);
    answers(&o, "kcmp", &[1, 1, 1], no);
}

/// Which sockets there are, with internet sockets and without.
#[test]
fn sockets() {
    let o = options(Arch::Aarch64);
    let off = FilterOptions { inet: false, ..o };
    let (family, kind, protocol) =
        (error(EAFNOSUPPORT), error(ESOCKTNOSUPPORT), error(EPROTONOSUPPORT));
    let cloexec = 0o2_000_000;
    for call in ["socket", "socketpair"] {
        for args in [[1, 1, 0], [1, 5 | cloexec, 0], [1 | 1 << 32, 2, 0], [16, 3 | cloexec, 0]] {
            answers(&o, call, &args, ALLOW);
            answers(&off, call, &args, ALLOW);
        }
        for args in [[2, 1, 0], [2, 1 | cloexec, 6], [2, 2, 17], [2, 2, 1], [10, 1, 6], [10, 2, 58]]
        {
            answers(&o, call, &args, ALLOW);
            answers(&off, call, &args, family);
        }
        // MPTCP, SCTP, UDP-Lite, L2TP, ICMP of the other family; netfilter, audit, device events.
        for args in [
            [2, 1, 262],
            [2, 1, 132],
            [10, 2, 136],
            [10, 2, 115],
            [10, 2, 1],
            [2, 2, 58],
            [16, 3, 12],
            [16, 3, 9],
            [16, 2, 15],
            [16, 3, 16],
            [16, 3, 16 | 1 << 32],
        ] {
            answers(&o, call, &args, protocol);
        }
        for args in [[2, 5, 0], [2, 6, 0], [10, 5 | cloexec, 132], [2, 10, 3]] {
            answers(&o, call, &args, kind);
        }
        for other in
            [0, 3, 4, 9, 11, 15, 17, 21, 29, 30, 31, 38, 40, 41, 44, 45, 1000, 40 | 1 << 32]
        {
            answers(&o, call, &[other, 1, 0], family);
            answers(&off, call, &[other, 1, 0], family);
        }
    }
}

/// What each intent opens, and that it opens nothing else.
#[test]
fn intents() {
    let o = options(Arch::X86_64);
    let nested = FilterOptions { nested_sandbox: true, ..o };
    for call in [
        "mount",
        "umount2",
        "pivot_root",
        "chroot",
        "clone3",
        "setns",
        "fsopen",
        "fsmount",
        "move_mount",
        "open_tree",
        "open_tree_attr",
        "mount_setattr",
        "sethostname",
    ] {
        answers(&nested, call, &[], ALLOW);
    }
    answers(&nested, "unshare", &[0x7e02_0080], ALLOW);
    answers(&nested, "clone", &[0x7e02_0011], ALLOW);
    answers(&nested, "mknod", &[0, 0o020_000, 0], ALLOW);
    answers(&nested, "mknod", &[0, 0o020_000, 0x103], error(EPERM));
    answers(&nested, "openat2", &[], ALLOW);
    answers(&o, "openat2", &[], error(ENOSYS));
    answers(&nested, "ptrace", &[], error(EPERM));
    let traced = FilterOptions { ptrace: true, ..o };
    for call in ["ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd", "kcmp"] {
        answers(&traced, call, &[1, 1, 1], ALLOW);
    }
    answers(&traced, "personality", &[0x4_0000], ALLOW);
    answers(&traced, "personality", &[0x44_0000], error(EPERM));
    answers(&traced, "mount", &[], error(EPERM));
    let both = FilterOptions { bits32: true, ..o };
    answers(&both, "personality", &[8], ALLOW);
    answers(&both, "modify_ldt", &[], ALLOW);
    answers(&o, "modify_ldt", &[], error(ENOSYS));
    answers(&both, "mount", &[], error(EPERM));
}

/// docs/filter.md is what the table says.
#[test]
fn the_page_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/filter.md");
    let page = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        page == docs::page(),
        "docs/filter.md is not current: run \"cargo run -p swathe-docs\""
    );
}

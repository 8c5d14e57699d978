//! The value of one option: the data's first byte says which, the rest are its words, separated by
//! NUL. What the parser accepts is compared with a second opinion, written without it.

use crate::argv::{round_trip, words};
use swathe_plan::Plan;
use swathe_plan::model::CapOp;
use swathe_plan::options::{Kind, Opt, Spec, TABLE};
use swathe_plan::parse::{Request, parse};

/// Parses one option; checks whether it should be accepted, and the value.
pub fn run(data: &[u8]) {
    let Some((&which, rest)) = data.split_first() else { return };
    let spec = &TABLE[usize::from(which) % TABLE.len()];
    let values = words(rest);
    let Some(values) = values.get(..spec.arguments.len()) else { return };
    if matches!(spec.opt, Opt::Help | Opt::Version | Opt::Args) {
        return;
    }
    let parsed = parse(&line(spec, values), &mut |_| Err(String::new()));
    let good = spec.arguments.iter().zip(values).all(|(a, v)| accepts(spec.opt, a.kind, v))
        && together(spec.opt, values);
    assert_eq!(parsed.is_ok(), good, "{} {values:?}", spec.name);
    if let Ok(parsed) = parsed
        && let Request::Run(plan) = parsed.request
    {
        read_as_meant(&plan, spec.opt, values);
        round_trip(&plan);
    }
}

/// A complete command line around the option.
fn line<'w>(spec: &Spec, values: &[&'w [u8]]) -> Vec<&'w [u8]> {
    let before: &[&[u8]] = match spec.opt {
        Opt::Overlay | Opt::TmpOverlay | Opt::RoOverlay => {
            &[b"--overlay-src", b"/l", b"--overlay-src", b"/m"]
        }
        _ => &[],
    };
    let after: &[&[u8]] = match spec.opt {
        Opt::Perms | Opt::Size | Opt::Inodes => &[b"--tmpfs", b"/t"],
        Opt::OverlaySrc => &[b"--tmp-overlay", b"/t"],
        _ => &[],
    };
    [before, &[spec.name.as_bytes()], values, after, &[b"true"]].concat()
}

/// The number that digits stand for; nothing when there are none, others, or more than 128 bits.
fn digits(word: &[u8], radix: u128) -> Option<u128> {
    let digit = |b: u8| match b.to_ascii_lowercase() {
        b @ b'0'..=b'9' => Some(u128::from(b - b'0')),
        b @ b'a'..=b'f' => Some(u128::from(b - b'a') + 10),
        _ => None,
    };
    if word.is_empty() {
        return None;
    }
    word.iter().try_fold(0u128, |n, &b| {
        let d = digit(b).filter(|&d| d < radix)?;
        n.checked_mul(radix)?.checked_add(d)
    })
}

fn c_digits(word: &[u8]) -> Option<u128> {
    if word.len() > 2 && word[0] == b'0' && word[1].eq_ignore_ascii_case(&b'x') {
        return digits(&word[2..], 16);
    }
    digits(word, if word.first() == Some(&b'0') { 8 } else { 10 })
}

const INT: u128 = i32::MAX as u128;
const LONG: u128 = i64::MAX as u128;

fn accepts(opt: Opt, kind: Kind, word: &[u8]) -> bool {
    let within =
        |n: Option<u128>, least: u128, most: u128| n.is_some_and(|n| n >= least && n <= most);
    match (opt, kind) {
        (_, Kind::Fd) => within(digits(word, 10), 0, INT),
        (_, Kind::HostPath | Kind::BoxPath) => !word.is_empty(),
        (Opt::Perms | Opt::Chmod, _) => within(digits(word, 8), 0, 0o7777),
        (Opt::Size | Opt::DefaultTmpfsSize, _) => within(c_digits(word), 1, LONG),
        (Opt::Inodes | Opt::DefaultTmpfsInodes, _) => within(digits(word, 10), 1, LONG),
        (Opt::PidMax, _) => within(digits(word, 10), 301, 1 << 22),
        (Opt::UserLimit, Kind::Number) => within(digits(word, 10), 0, INT - 1),
        (Opt::UserLimit, _) => user_limit(word),
        (Opt::LandlockHandle | Opt::LandlockAllow, Kind::Text) => file_rights(word).is_some(),
        (_, Kind::Number) => within(digits(word, 10), 0, INT),
        (Opt::CapAdd | Opt::CapDrop, _) => capability(word).is_some(),
        (Opt::AssumeKernel, _) => {
            let parts: Vec<&[u8]> = word.split(|&b| b == b'.').collect();
            parts.len() == 2 && parts.iter().all(|p| within(digits(p, 10), 0, u32::MAX.into()))
        }
        (Opt::Symlink, _) => !word.is_empty(),
        _ => true,
    }
}

/// What one word alone does not show.
fn together(opt: Opt, values: &[&[u8]]) -> bool {
    match opt {
        Opt::Setenv | Opt::Unsetenv => !values[0].is_empty() && !values[0].contains(&b'='),
        Opt::UidRange | Opt::GidRange => {
            let n: Vec<u128> = values.iter().filter_map(|v| digits(v, 10)).collect();
            matches!(n[..], [a, b, count] if count > 0 && a.max(b) + count <= INT + 1)
        }
        Opt::Rlimit => resource(values[0]).is_some() && limit(values[1]).is_some(),
        _ => true,
    }
}

/// Whether it is the name of a file of /proc/sys/user (namespaces(7)).
fn user_limit(word: &[u8]) -> bool {
    let namespaces = ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"];
    let watches = ["inotify_instances", "inotify_watches", "fanotify_groups", "fanotify_marks"];
    let names = namespaces.iter().map(|name| format!("max_{name}_namespaces"));
    names.chain(watches.map(|name| format!("max_{name}"))).any(|name| name.as_bytes() == word)
}

/// The bits of landlock.h for a list of rights.
fn file_rights(list: &[u8]) -> Option<u64> {
    let names = "execute write-file read-file read-dir remove-dir remove-file make-char make-dir \
                 make-reg make-sock make-fifo make-block make-sym refer truncate ioctl-dev";
    let bit = |word: &[u8]| names.split(' ').position(|n| n.as_bytes() == word).map(|at| 1 << at);
    list.split(|&b| b == b',').map(bit).try_fold(0, |all, bit| Some(all | bit?))
}

fn capability(word: &[u8]) -> Option<u64> {
    let name = String::from_utf8(word.to_ascii_uppercase()).ok()?;
    // Some of capabilities(7), by number.
    let known = [("CAP_CHOWN", 0), ("CAP_KILL", 5), ("CAP_SYS_ADMIN", 21), ("CAP_SETFCAP", 31)];
    if name == "ALL" {
        return Some(u64::MAX);
    }
    if let Some((_, bit)) = known.iter().find(|(n, _)| *n == name) {
        return Some(1 << bit);
    }
    if name.starts_with("CAP_") {
        // The rest is the table's own word.
        return swathe_plan::tables::capability(word);
    }
    digits(word, 10).filter(|&n| n < 64).map(|n| 1 << n)
}

fn resource(word: &[u8]) -> Option<usize> {
    // The numbers of RLIMIT_* in the kernel's resource.h.
    let names = "cpu fsize data stack core rss nproc nofile memlock as locks sigpending msgqueue \
                 nice rtprio rttime";
    names.split(' ').position(|n| n.as_bytes() == word)
}

fn limit(word: &[u8]) -> Option<(Option<u64>, Option<u64>)> {
    let value = |word: &[u8]| match word {
        b"unlimited" => Some(u128::from(u64::MAX)),
        _ => digits(word, 10).filter(|&n| n < u64::MAX.into()),
    };
    let parts: Vec<&[u8]> = word.split(|&b| b == b':').collect();
    let (soft, hard) = match parts[..] {
        [both] => (value(both)?, value(both)?),
        [soft, hard] => (value(soft)?, value(hard)?),
        _ => return None,
    };
    let finite = |n: u128| u64::try_from(n).ok().filter(|&n| n != u64::MAX);
    (soft <= hard).then_some((finite(soft), finite(hard)))
}

/// The plan holds the value that the words mean.
fn read_as_meant(plan: &Plan, opt: Opt, values: &[&[u8]]) {
    let number = |at: usize| digits(values[at], 10).unwrap_or_default();
    match opt {
        Opt::Uid => assert_eq!(plan.uid.map(u128::from), Some(number(0))),
        Opt::PidMax => {
            assert_eq!(plan.namespaces.pid_max.map(u128::from), Some(number(0)));
        }
        Opt::UserLimit => {
            assert_eq!(u128::from(plan.namespaces.user_limits[0].count), number(1));
        }
        Opt::Gid => assert_eq!(plan.gid.map(u128::from), Some(number(0))),
        Opt::UidRange => {
            let range = plan.uid_ranges[0];
            let all = [range.inside, range.outside, range.count].map(u128::from);
            assert_eq!(all, [number(0), number(1), number(2)]);
        }
        Opt::DefaultTmpfsSize => {
            assert_eq!(plan.default_tmpfs_size.map(u128::from), c_digits(values[0]));
        }
        Opt::CapAdd => assert_eq!(plan.caps, [CapOp::Add(capability(values[0]).unwrap_or(0))]),
        Opt::CapDrop => assert_eq!(plan.caps, [CapOp::Drop(capability(values[0]).unwrap_or(0))]),
        Opt::Rlimit => {
            let l = plan.limits[0];
            assert_eq!(Some(l.resource as usize), resource(values[0]));
            assert_eq!(Some((l.soft, l.hard)), limit(values[1]));
        }
        Opt::LandlockHandle => {
            assert_eq!(Some(plan.handled_rights.bits()), file_rights(values[0]));
        }
        Opt::LandlockAllow => {
            let allowance = &plan.allowances[0];
            assert_eq!(Some(allowance.rights.bits()), file_rights(values[0]));
            assert_eq!(allowance.path.0, values[1]);
        }
        Opt::SeccompListener => {
            let listener = plan.listener.map(|l| [l.filter, l.socket].map(|fd| fd as u128));
            assert_eq!(listener, Some([number(0), number(1)]));
        }
        Opt::Userns => {
            assert_eq!(plan.namespaces.join_user.map(|n| n as u128), Some(number(0)));
        }
        _ => {}
    }
}

//! Names and numbers: capabilities (capability.h), resource limits (setrlimit(2)), rights on files
//! (landlock(7)).

use crate::model::KernelVersion;

/// Names of capabilities; the position is the number.
pub const CAPABILITIES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// The bit mask of every capability, those of future kernels included.
pub const ALL_CAPABILITIES: u64 = u64::MAX;

/// The bit mask of the capabilities in [`CAPABILITIES`].
pub const KNOWN_CAPABILITIES: u64 = (1 << CAPABILITIES.len()) - 1;

/// The bit mask of one capability by its name in any case, its number, or of all by `ALL`.
pub fn capability(word: &[u8]) -> Option<u64> {
    if word.eq_ignore_ascii_case(b"ALL") {
        return Some(ALL_CAPABILITIES);
    }
    let by_name = CAPABILITIES.iter().position(|name| name.as_bytes().eq_ignore_ascii_case(word));
    let number = by_name.or_else(|| decimal(word).and_then(|n| usize::try_from(n).ok()))?;
    // Numbers above the last known one are accepted, as by bubblewrap; the kernel ignores them.
    (number < 64).then(|| 1 << number)
}

/// Resource names as prlimit(1) spells them; the position is the number of `RLIMIT_*` on Linux
/// (mips and sparc, which number some otherwise, are not supported).
pub const RESOURCES: [&str; 16] = [
    "cpu",
    "fsize",
    "data",
    "stack",
    "core",
    "rss",
    "nproc",
    "nofile",
    "memlock",
    "as",
    "locks",
    "sigpending",
    "msgqueue",
    "nice",
    "rtprio",
    "rttime",
];

/// The number of a resource.
pub fn resource(name: &[u8]) -> Option<u32> {
    let at = RESOURCES.iter().position(|r| r.as_bytes() == name)?;
    u32::try_from(at).ok()
}

/// What is counted per user and user namespace: the files of `/proc/sys/user` (namespaces(7),
/// inotify(7), fanotify(7)). A kernel may lack some.
pub const USER_LIMITS: [&str; 12] = [
    "max_cgroup_namespaces",
    "max_fanotify_groups",
    "max_fanotify_marks",
    "max_inotify_instances",
    "max_inotify_watches",
    "max_ipc_namespaces",
    "max_mnt_namespaces",
    "max_net_namespaces",
    "max_pid_namespaces",
    "max_time_namespaces",
    "max_user_namespaces",
    "max_uts_namespaces",
];

/// The highest count of a user limit: the kernel's bound is one more, and a namespace of the
/// sandbox itself is counted too.
pub const MAX_USER_LIMIT: u32 = i32::MAX as u32 - 1;

/// What `kernel.pid_max` of a namespace can be (proc_sys_kernel(5)): the kernel keeps 300 ids back.
pub const PID_MAX: core::ops::RangeInclusive<u32> = 301..=4_194_304;

/// The position of a name in [`USER_LIMITS`].
pub fn user_limit(name: &[u8]) -> Option<u32> {
    let at = USER_LIMITS.iter().position(|known| known.as_bytes() == name)?;
    u32::try_from(at).ok()
}

/// A right on files that Landlock knows (`LANDLOCK_ACCESS_FS_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileRight {
    /// Its name: the kernel's, in lower case and with dashes.
    pub name: &'static str,
    /// The Landlock ABI that brought it, from 1.
    pub abi: u32,
    /// Whether a file that is no directory has it.
    pub file: bool,
}

const fn right(name: &'static str, abi: u32, file: bool) -> FileRight {
    FileRight { name, abi, file }
}

/// All rights; the position is the number of the bit.
pub const FILE_RIGHTS: [FileRight; 16] = [
    right("execute", 1, true),
    right("write-file", 1, true),
    right("read-file", 1, true),
    right("read-dir", 1, false),
    right("remove-dir", 1, false),
    right("remove-file", 1, false),
    right("make-char", 1, false),
    right("make-dir", 1, false),
    right("make-reg", 1, false),
    right("make-sock", 1, false),
    right("make-fifo", 1, false),
    right("make-block", 1, false),
    right("make-sym", 1, false),
    right("refer", 2, false),
    right("truncate", 3, true),
    right("ioctl-dev", 5, true),
];

const fn version(major: u32, minor: u32) -> KernelVersion {
    KernelVersion { major, minor }
}

/// The Linux versions that brought Landlock's ABIs, from ABI 1 on, as far as something here needs
/// them.
pub const LANDLOCK_ABIS: [KernelVersion; 6] =
    [version(5, 13), version(5, 19), version(6, 2), version(6, 7), version(6, 10), version(6, 12)];

/// The Landlock ABI of a Linux version: 0 before Landlock, and 6 at the most.
pub fn landlock_abi(version: KernelVersion) -> u32 {
    LANDLOCK_ABIS.iter().filter(|since| version >= **since).count() as u32
}

/// A decimal number of digits only; `None` when it does not fit.
pub fn decimal(word: &[u8]) -> Option<u64> {
    number(word, 10)
}

/// A number of digits of `radix` only; `None` when it does not fit.
pub fn number(word: &[u8], radix: u32) -> Option<u64> {
    if word.is_empty() || !word.iter().all(|&b| char::from(b).is_digit(radix)) {
        return None;
    }
    u64::from_str_radix(core::str::from_utf8(word).ok()?, radix).ok()
}

/// A number in C's notation: decimal, octal after `0`, hexadecimal after `0x`.
pub fn c_number(word: &[u8]) -> Option<u64> {
    match word {
        [b'0', b'x' | b'X', hex @ ..] => number(hex, 16),
        [b'0', octal @ ..] if !octal.is_empty() => number(octal, 8),
        _ => decimal(word),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names in any case, numbers, ALL; nothing else.
    #[test]
    fn capabilities_by_name_and_number() {
        assert_eq!(capability(b"cap_chown"), Some(1));
        assert_eq!(capability(b"CAP_SYS_ADMIN"), Some(1 << 21));
        assert_eq!(capability(b"21"), Some(1 << 21));
        assert_eq!(capability(b"all"), Some(ALL_CAPABILITIES));
        for bad in [&b"sys_admin"[..], b"64", b"-1", b"", b"99999999999999999999", b"1 "] {
            assert_eq!(capability(bad), None, "{bad:?}");
        }
    }

    /// Each version has the ABI that it brought, those between that of the one before.
    #[test]
    fn landlock_abis() {
        let cases = [
            ((4, 18), 0),
            ((5, 12), 0),
            ((5, 13), 1),
            ((5, 18), 1),
            ((5, 19), 2),
            ((6, 0), 2),
            ((6, 2), 3),
            ((6, 9), 4),
            ((6, 11), 5),
            ((6, 12), 6),
            ((7, 0), 6),
        ];
        for ((major, minor), abi) in cases {
            assert_eq!(landlock_abi(KernelVersion { major, minor }), abi, "{major}.{minor}");
        }
        assert!(FILE_RIGHTS.iter().all(|r| (1..=6).contains(&r.abi)));
    }

    /// The three notations, and overflow.
    #[test]
    fn c_numbers() {
        assert_eq!(c_number(b"16"), Some(16));
        assert_eq!(c_number(b"020"), Some(16));
        assert_eq!(c_number(b"0x10"), Some(16));
        assert_eq!(c_number(b"0"), Some(0));
        for bad in [&b""[..], b"0x", b"08", b"1k", b"-1", b"+1", b"18446744073709551616"] {
            assert_eq!(c_number(bad), None, "{bad:?}");
        }
    }
}

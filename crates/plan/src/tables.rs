//! Names and numbers: capabilities (capability.h) and resource limits (setrlimit(2)).

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

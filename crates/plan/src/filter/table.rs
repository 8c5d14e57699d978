//! The one table of what is refused, and of what is allowed although others refuse it.
//!
//! Errors are chosen for what programs do next: ENOSYS where they have a second way or treat the
//! feature as one that this kernel lacks, EPERM where they would otherwise try something else, and
//! for sockets the error of a kernel built without the protocol.

use super::compile::{Action, Test};

/// The errors that rules answer with.
pub mod errno {
    /// Operation not permitted.
    pub const EPERM: u16 = 1;
    /// Function not implemented.
    pub const ENOSYS: u16 = 38;
    /// Protocol not supported.
    pub const EPROTONOSUPPORT: u16 = 93;
    /// Socket type not supported.
    pub const ESOCKTNOSUPPORT: u16 = 94;
    /// Address family not supported by protocol.
    pub const EAFNOSUPPORT: u16 = 97;

    /// The name of one of these.
    #[must_use]
    pub const fn name(number: u16) -> Option<&'static str> {
        Some(match number {
            EPERM => "EPERM",
            ENOSYS => "ENOSYS",
            EPROTONOSUPPORT => "EPROTONOSUPPORT",
            ESOCKTNOSUPPORT => "ESOCKTNOSUPPORT",
            EAFNOSUPPORT => "EAFNOSUPPORT",
            _ => return None,
        })
    }
}

/// A field of [`super::FilterOptions`] that rules depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Switch {
    /// The intent `nested-sandbox`.
    NestedSandbox,
    /// The intent `ptrace`.
    Ptrace,
    /// The intent `32bit`.
    Bits32,
    /// Any network.
    Inet,
}

/// When a rule is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum When {
    /// In every sandbox.
    Always,
    /// Where this is granted.
    With(Switch),
    /// Where this is not granted.
    Without(Switch),
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// What it is about, in a few words; rows about the same stand together.
    pub topic: &'static str,
    /// Names of system calls. Not every machine has all of them.
    pub calls: &'static [&'static str],
    /// The condition, in words; empty where there is none.
    pub condition: &'static str,
    /// The condition: all of these hold.
    pub tests: &'static [Test],
    /// What happens then.
    pub action: Action,
    /// When the rule is in force.
    pub when: When,
    /// Why.
    pub why: &'static str,
}

const REFUSED: Action = Action::Errno(errno::EPERM);
const ABSENT: Action = Action::Errno(errno::ENOSYS);

const FAMILY: Action = Action::Errno(errno::EAFNOSUPPORT);
const TYPE: Action = Action::Errno(errno::ESOCKTNOSUPPORT);
const PROTOCOL: Action = Action::Errno(errno::EPROTONOSUPPORT);

const AF_UNIX: u32 = 1;
const AF_INET: u32 = 2;
const AF_INET6: u32 = 10;
const AF_NETLINK: u32 = 16;

const S_IFMT: u32 = 0o170_000;
const S_IFCHR: u32 = 0o020_000;
const S_IFBLK: u32 = 0o060_000;
const SET_ID: u32 = 0o6000;
/// `O_CREAT` and the bit of `O_TMPFILE` that is its own.
const O_CREATE: u32 = 0o100 | 0o20_000_000;

/// The flags of clone(2) that make namespaces. Its lowest byte is a signal.
const CLONE_NEW: u32 = 0x7e02_0000;
/// The flags of unshare(2) that share less of the process itself: VM, FS, FILES, SIGHAND, THREAD,
/// SYSVSEM. The rest makes namespaces, now or in a later kernel.
const UNSHARE_OWN: u64 = 0x0005_0f00;

const PER_LINUX32: u32 = 8;
const ADDR_NO_RANDOMIZE: u32 = 0x0004_0000;

const TIOCSTI: u32 = 0x5412;
const TIOCLINUX: u32 = 0x541c;
const TIOCSETD: u32 = 0x5423;

const PR_SET_MM: u32 = 35;
const KCMP_FILE: u32 = 0;

/// Shorthand for a row: topic, calls, (condition, tests), action, when, why.
const fn row(
    topic: &'static str,
    calls: &'static [&'static str],
    (condition, tests): (&'static str, &'static [Test]),
    action: Action,
    when: When,
    why: &'static str,
) -> Rule {
    Rule { topic, calls, condition, tests, action, when, why }
}

const NO_CONDITION: (&str, &[Test]) = ("", &[]);
const UNLESS_NESTED: When = When::Without(Switch::NestedSandbox);
const UNLESS_PTRACE: When = When::Without(Switch::Ptrace);

/// All rows, also those that are not in force. See [`super::rules`].
#[rustfmt::skip]
pub static ALL: &[Rule] = &[
    // Terminal.
    row("terminal", &["ioctl"], ("request is TIOCSTI", &[Test::int(1, TIOCSTI)]), REFUSED, When::Always,
        "types into the terminal, and so runs commands outside after the sandbox has ended. The request is compared on 32 bits, as the kernel does: high bits do not dodge it"),
    row("terminal", &["ioctl"], ("request is TIOCLINUX", &[Test::int(1, TIOCLINUX)]), REFUSED, When::Always,
        "pastes into a virtual console what was selected there, which is typing"),
    row("terminal", &["ioctl"], ("request is TIOCSETD", &[Test::int(1, TIOCSETD)]), REFUSED, When::Always,
        "loads line disciplines, old drivers for serial lines that many exploits went through"),
    row("terminal", &["vhangup"], NO_CONDITION, REFUSED, When::Always,
        "hangs up the terminal for everybody; a login program's call"),

    // Keys.
    row("keyrings", &["add_key", "request_key", "keyctl"], NO_CONDITION, ABSENT, When::Always,
        "keyrings belong to the user and the session, not to a namespace: keys of programs outside could be read and replaced. Programs that use them go on as on a kernel without keyrings"),

    // Namespaces.
    row("namespaces", &["unshare"], ("any flag but CLONE_FILES, CLONE_FS, CLONE_SIGHAND, CLONE_SYSVSEM, CLONE_THREAD, CLONE_VM", &[Test::Any { arg: 0, mask: !UNSHARE_OWN }]), REFUSED, UNLESS_NESTED,
        "a user namespace of its own makes a program root there, and opens most of what only root could reach in the kernel"),
    row("namespaces", &["clone"], ("a CLONE_NEW flag", &[Test::any(0, CLONE_NEW)]), REFUSED, UNLESS_NESTED,
        "as unshare"),
    row("namespaces", &["clone3"], NO_CONDITION, ABSENT, UNLESS_NESTED,
        "its flags are in memory, where a filter cannot see them; C libraries and runtimes fall back to clone"),
    row("namespaces", &["setns"], NO_CONDITION, REFUSED, UNLESS_NESTED,
        "enters namespaces of other processes"),
    row("namespaces", &["sethostname", "setdomainname"], NO_CONDITION, REFUSED, UNLESS_NESTED,
        "needs to be root of the host name's namespace"),

    // Mounts.
    row("mounts", &["mount", "umount", "umount2", "pivot_root", "chroot"], NO_CONDITION, REFUSED, UNLESS_NESTED,
        "what is visible is the sandbox; only root of a namespace may change it anyway"),
    row("mounts", &["open_tree", "open_tree_attr", "move_mount", "fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr"], NO_CONDITION, ABSENT, UNLESS_NESTED,
        "as mount; programs that know these calls fall back to the old ones, or to none"),
    row("mounts", &["swapon", "swapoff", "quotactl", "quotactl_fd"], NO_CONDITION, REFUSED, When::Always,
        "administration of the host's disks"),
    row("files by handle", &["open_by_handle_at"], NO_CONDITION, REFUSED, When::Always,
        "opens any file of a file system by its number, past all that hides it"),

    // Set-user-ID, devices.
    row("set-user-ID files", &["chmod", "fchmod"], ("mode has set-user-ID or set-group-ID", &[Test::any(1, SET_ID)]), REFUSED, When::Always,
        "such a file, left in a directory of the host, would later lend the user's identity to whoever runs it. Directories are refused too, since a filter cannot tell them apart; a directory made in a set-group-ID directory inherits the bit without any of these calls"),
    row("set-user-ID files", &["fchmodat", "fchmodat2"], ("mode has set-user-ID or set-group-ID", &[Test::any(2, SET_ID)]), REFUSED, When::Always,
        "as chmod"),
    row("set-user-ID files", &["creat", "mknod"], ("mode has set-user-ID or set-group-ID", &[Test::any(1, SET_ID)]), REFUSED, When::Always,
        "as chmod"),
    row("set-user-ID files", &["mknodat"], ("mode has set-user-ID or set-group-ID", &[Test::any(2, SET_ID)]), REFUSED, When::Always,
        "as chmod"),
    row("set-user-ID files", &["open"], ("O_CREAT or O_TMPFILE, and mode has set-user-ID or set-group-ID", &[Test::any(1, O_CREATE), Test::any(2, SET_ID)]), REFUSED, When::Always,
        "as chmod"),
    row("set-user-ID files", &["openat"], ("O_CREAT or O_TMPFILE, and mode has set-user-ID or set-group-ID", &[Test::any(2, O_CREATE), Test::any(3, SET_ID)]), REFUSED, When::Always,
        "as chmod"),
    row("set-user-ID files", &["openat2"], NO_CONDITION, ABSENT, UNLESS_NESTED,
        "its mode is in memory, where a filter cannot see it; programs fall back to openat. Not so bubblewrap, which distributions build for kernels that have the call: with nested sandboxes it is allowed, and set-user-ID files can be made with it"),
    row("set-user-ID files", &["mkdir", "mkdirat"], NO_CONDITION, Action::Allow, When::Always,
        "the kernel ignores these bits in mkdir"),
    row("device nodes", &["mknod"], ("a character device 0:0", &[Test::bits(1, S_IFMT, S_IFCHR), Test::int(2, 0)]), Action::Allow, When::With(Switch::NestedSandbox),
        "the whiteout of overlay file systems, no device"),
    row("device nodes", &["mknodat"], ("a character device 0:0", &[Test::bits(2, S_IFMT, S_IFCHR), Test::int(3, 0)]), Action::Allow, When::With(Switch::NestedSandbox),
        "as mknod"),
    row("device nodes", &["mknod"], ("a character device", &[Test::bits(1, S_IFMT, S_IFCHR)]), REFUSED, When::Always,
        "only root may make devices, and a device is a way around everything"),
    row("device nodes", &["mknod"], ("a block device", &[Test::bits(1, S_IFMT, S_IFBLK)]), REFUSED, When::Always,
        "as a character device"),
    row("device nodes", &["mknodat"], ("a character device", &[Test::bits(2, S_IFMT, S_IFCHR)]), REFUSED, When::Always,
        "as mknod"),
    row("device nodes", &["mknodat"], ("a block device", &[Test::bits(2, S_IFMT, S_IFBLK)]), REFUSED, When::Always,
        "as mknod"),

    // Sockets.
    row("sockets", &["socket", "socketpair"], ("family is AF_UNIX", &[Test::int(0, AF_UNIX)]), Action::Allow, When::Always,
        "between processes that see the same socket"),
    row("sockets", &["socket", "socketpair"], ("family is AF_INET, type above SOCK_RAW", &[Test::int(0, AF_INET), Test::any(1, 0xc)]), TYPE, When::With(Switch::Inet),
        "SCTP, DCCP and raw packets: rarely used, and loaded on demand"),
    row("sockets", &["socket", "socketpair"], ("family is AF_INET6, type above SOCK_RAW", &[Test::int(0, AF_INET6), Test::any(1, 0xc)]), TYPE, When::With(Switch::Inet),
        "as AF_INET"),
    row("sockets", &["socket", "socketpair"], ("family is AF_INET, protocol is 0 or ICMP", &[Test::int(0, AF_INET), Test::Low { arg: 2, from: 0, to: 1 }]), Action::Allow, When::With(Switch::Inet),
        "the usual network; which one is decided by the network's namespace"),
    row("sockets", &["socket", "socketpair"], ("family is AF_INET, protocol is TCP", &[Test::int(0, AF_INET), Test::int(2, 6)]), Action::Allow, When::With(Switch::Inet),
        "as above"),
    row("sockets", &["socket", "socketpair"], ("family is AF_INET, protocol is UDP", &[Test::int(0, AF_INET), Test::int(2, 17)]), Action::Allow, When::With(Switch::Inet),
        "as above"),
    row("sockets", &["socket", "socketpair"], ("family is AF_INET6, protocol is 0", &[Test::int(0, AF_INET6), Test::int(2, 0)]), Action::Allow, When::With(Switch::Inet),
        "as above"),
    row("sockets", &["socket", "socketpair"], ("family is AF_INET6, protocol is TCP", &[Test::int(0, AF_INET6), Test::int(2, 6)]), Action::Allow, When::With(Switch::Inet),
        "as above"),
    row("sockets", &["socket", "socketpair"], ("family is AF_INET6, protocol is UDP", &[Test::int(0, AF_INET6), Test::int(2, 17)]), Action::Allow, When::With(Switch::Inet),
        "as above"),
    row("sockets", &["socket", "socketpair"], ("family is AF_INET6, protocol is ICMPv6", &[Test::int(0, AF_INET6), Test::int(2, 58)]), Action::Allow, When::With(Switch::Inet),
        "as above"),
    row("sockets", &["socket", "socketpair"], ("family is AF_INET, another protocol", &[Test::int(0, AF_INET)]), PROTOCOL, When::With(Switch::Inet),
        "MPTCP, SCTP, DCCP, L2TP, UDP-Lite and others: kernel code that few programs use and many exploits did. Programs that prefer MPTCP fall back to TCP"),
    row("sockets", &["socket", "socketpair"], ("family is AF_INET6, another protocol", &[Test::int(0, AF_INET6)]), PROTOCOL, When::With(Switch::Inet),
        "as AF_INET"),
    row("sockets", &["socket", "socketpair"], ("family is AF_NETLINK, protocol is NETLINK_ROUTE", &[Test::int(0, AF_NETLINK), Test::int(2, 0)]), Action::Allow, When::Always,
        "how C libraries and runtimes list addresses and interfaces"),
    row("sockets", &["socket", "socketpair"], ("family is AF_NETLINK, another protocol", &[Test::int(0, AF_NETLINK)]), PROTOCOL, When::Always,
        "netfilter, audit, device events, crypto, XFRM and the like: the kernel's administration. Programs go on as on a kernel without it"),
    row("sockets", &["socket", "socketpair"], ("any other family", &[]), FAMILY, When::Always,
        "AF_VSOCK reaches the virtual machine's host past every network namespace; AF_ALG, AF_PACKET, AF_XDP, AF_BLUETOOTH, AF_CAN, AF_TIPC, AF_RDS, AF_KCM and the like are rarely used and often attacked"),
    row("sockets", &["socketcall"], NO_CONDITION, Action::Allow, When::With(Switch::Bits32),
        "how 32-bit C libraries make sockets; the family is in memory, where a filter cannot see it: with 32-bit programs every family of sockets is open, and the network's namespace is what is left"),

    // The kernel's dangerous corners.
    row("kernel interfaces", &["bpf"], NO_CONDITION, REFUSED, When::Always,
        "programs that run in the kernel"),
    row("kernel interfaces", &["perf_event_open"], NO_CONDITION, REFUSED, When::Always,
        "watches other processes and the kernel, with a long list of faults"),
    row("kernel interfaces", &["io_uring_setup", "io_uring_enter", "io_uring_register"], NO_CONDITION, ABSENT, When::Always,
        "performs system calls that no filter sees; programs fall back to ordinary calls"),
    row("kernel interfaces", &["userfaultfd"], NO_CONDITION, REFUSED, When::Always,
        "stops the kernel in the middle of a copy for as long as the program likes: the tool that makes races winnable"),
    row("kernel interfaces", &["fanotify_init", "fanotify_mark"], NO_CONDITION, REFUSED, When::Always,
        "watches whole file systems, also outside of the sandbox; inotify is allowed"),
    row("kernel interfaces", &["modify_ldt"], NO_CONDITION, ABSENT, When::Without(Switch::Bits32),
        "segments for 16-bit and old 32-bit code, often attacked"),
    row("kernel interfaces", &["vm86", "vm86old"], NO_CONDITION, ABSENT, When::Always,
        "16-bit code on old processors"),
    row("kernel interfaces", &["iopl", "ioperm", "pciconfig_iobase", "pciconfig_read", "pciconfig_write"], NO_CONDITION, REFUSED, When::Always,
        "access to hardware: ports, configuration of devices"),
    row("kernel interfaces", &["migrate_pages", "move_pages"], NO_CONDITION, REFUSED, When::Always,
        "moves the memory of other processes, and tells where pages are"),
    row("kernel interfaces", &["syslog"], NO_CONDITION, REFUSED, When::Always,
        "the kernel's log: addresses, devices, what other programs did"),
    row("personality", &["personality"], ("PER_LINUX", &[Test::int(0, 0)]), Action::Allow, When::Always,
        "the usual one"),
    row("personality", &["personality"], ("0xffffffff", &[Test::int(0, u32::MAX)]), Action::Allow, When::Always,
        "only asks"),
    row("personality", &["personality"], ("PER_LINUX32", &[Test::int(0, PER_LINUX32)]), Action::Allow, When::With(Switch::Bits32),
        "names the machine a 32-bit one, for builds"),
    row("personality", &["personality"], ("ADDR_NO_RANDOMIZE", &[Test::int(0, ADDR_NO_RANDOMIZE)]), Action::Allow, When::With(Switch::Ptrace),
        "debuggers want the same addresses in each run"),
    row("personality", &["personality"], ("any other value", &[]), REFUSED, When::Always,
        "emulations of old systems, rarely used, and READ_IMPLIES_EXEC, which makes data executable"),

    // Other processes.
    row("other processes", &["ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "pidfd_getfd"], NO_CONDITION, REFUSED, UNLESS_PTRACE,
        "reads and changes other processes of the sandbox: one that was granted less is not to use one that was granted more"),
    row("other processes", &["kcmp"], ("type is KCMP_FILE", &[Test::int(2, KCMP_FILE)]), Action::Allow, When::Always,
        "whether two descriptors are one: graphics drivers ask it of their own process"),
    row("other processes", &["kcmp"], ("any other type", &[]), REFUSED, UNLESS_PTRACE,
        "compares the kernel's objects of processes"),
    row("other processes", &["prctl"], ("option is PR_SET_MM", &[Test::int(0, PR_SET_MM)]), REFUSED, When::Always,
        "changes what /proc says about the process, for checkpoint programs"),

    // The machine as a whole.
    row("administration", &["init_module", "finit_module", "delete_module"], NO_CONDITION, REFUSED, When::Always,
        "loads code into the kernel"),
    row("administration", &["kexec_load", "kexec_file_load", "reboot"], NO_CONDITION, REFUSED, When::Always,
        "starts the machine anew"),
    row("administration", &["settimeofday", "stime", "clock_settime", "clock_settime64"], NO_CONDITION, REFUSED, When::Always,
        "sets the machine's clock, which no namespace holds"),
    row("administration", &["acct"], NO_CONDITION, REFUSED, When::Always,
        "process accounting of the whole machine"),
    row("obsolete", &["_sysctl", "afs_syscall", "bdflush", "create_module", "get_kernel_syms", "lookup_dcookie", "nfsservctl", "query_module", "sysfs", "uselib", "ustat"], NO_CONDITION, ABSENT, When::Always,
        "not used by any program of today; most kernels do not have them"),

    // What is allowed although some refuse it.
    row("allowed on purpose", &["landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self", "seccomp"], NO_CONDITION, Action::Allow, When::Always,
        "with these a program restricts itself further, as browsers and many tools do; where access levels are in force, Landlock answers EOPNOTSUPP"),
    row("allowed on purpose", &["mbind", "set_mempolicy", "get_mempolicy", "set_mempolicy_home_node"], NO_CONDITION, Action::Allow, When::Always,
        "about the caller's own memory; databases, Java and numerical programs place theirs"),
    row("allowed on purpose", &["adjtimex", "clock_adjtime", "clock_adjtime64"], NO_CONDITION, Action::Allow, When::Always,
        "mostly reads how good the clock is; to set it needs a capability that no sandbox has"),
    row("allowed on purpose", &["name_to_handle_at"], NO_CONDITION, Action::Allow, When::Always,
        "tells two mounts apart; what opens a file by its handle is refused"),
    row("allowed on purpose", &["memfd_create", "memfd_secret"], NO_CONDITION, Action::Allow, When::Always,
        "memory as a file, within the sandbox's limits"),
    row("allowed on purpose", &["uretprobe", "uprobe"], NO_CONDITION, Action::Allow, When::Always,
        "never made by a program: the kernel plants them where an administrator traces it, and refusing them would crash the program"),
];

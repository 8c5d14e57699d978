//! The plan of a sandbox, as pure data.

use crate::options::Opt;
pub use crate::rights::FileRights;
use alloc::vec::Vec;

/// Bytes as the caller gave them: paths, names and environment need not be UTF-8.
pub type Bytes = Vec<u8>;

/// A path on the host, not empty, without NUL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPath(pub Bytes);

/// A path inside the sandbox, not empty, without NUL. Relative ones start at the sandbox's root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoxPath(pub Bytes);

/// The number of a descriptor that the caller passes.
pub type FdNumber = i32;

/// Which words asked for something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// The option.
    pub opt: Opt,
    /// Position of the option's word, counted from 1, among the arguments of the command line, or
    /// among the words read by `--args`.
    pub index: u32,
    /// The descriptor given to `--args` when the words came from there.
    pub args_fd: Option<FdNumber>,
}

/// How the user namespace is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UserNamespace {
    /// As the caller's privileges require: a new one unless root.
    #[default]
    Implied,
    /// A new one where the system allows it.
    Try,
    /// A new one.
    New,
}

/// How the cgroup namespace is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CgroupNamespace {
    /// The caller's.
    #[default]
    Keep,
    /// A new one where the kernel has them.
    Try,
    /// A new one.
    New,
}

/// The namespaces of the sandbox. The mount namespace is always new.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Namespaces {
    /// User namespace to make.
    pub user: UserNamespace,
    /// IPC namespace: new.
    pub ipc: bool,
    /// Pid namespace: new.
    pub pid: bool,
    /// Network namespace: new.
    pub net: bool,
    /// UTS namespace: new.
    pub uts: bool,
    /// Cgroup namespace to make.
    pub cgroup: CgroupNamespace,
    /// User namespace to join before the set-up.
    pub join_user: Option<FdNumber>,
    /// User namespace to join after the set-up.
    pub join_user_after: Option<FdNumber>,
    /// Pid namespace to join.
    pub join_pid: Option<FdNumber>,
    /// Network namespace to join.
    pub join_net: Option<FdNumber>,
    /// Forbid further user namespaces.
    pub disable_user: bool,
    /// Check that further user namespaces are forbidden.
    pub assert_user_disabled: bool,
    /// Limits of what the sandbox's users can have (namespaces(7), `/proc/sys/user`).
    pub user_limits: Vec<UserLimit>,
    /// Upper bound of process ids in the new pid namespace (`kernel.pid_max`).
    pub pid_max: Option<u32>,
    /// The cgroup to start in.
    pub start_cgroup: Option<FdNumber>,
}

/// How much of something that is counted per user the sandbox can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserLimit {
    /// What is counted: an index into [`crate::tables::USER_LIMITS`].
    pub kind: u32,
    /// How many, beside the sandbox's own namespaces; at most [`crate::tables::MAX_USER_LIMIT`].
    pub count: u32,
}

/// A range of ids for newuidmap(1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdRange {
    /// First id inside.
    pub inside: u32,
    /// First id outside.
    pub outside: u32,
    /// How many; at least 1.
    pub count: u32,
}

/// What a bind mount shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BindSource {
    /// A path; `optional`: left out when it does not exist.
    Path {
        /// The path.
        path: HostPath,
        /// Whether it may be missing.
        optional: bool,
    },
    /// The inode behind a descriptor.
    Fd(FdNumber),
}

/// What can be done through a bind mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Read only.
    ReadOnly,
    /// Read and write.
    ReadWrite,
    /// Read, write, and use device files.
    Device,
}

/// Where the writes of an overlay go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OverlayUpper {
    /// A directory on the host, and its work directory.
    Host {
        /// The upper directory.
        upper: HostPath,
        /// The work directory.
        work: HostPath,
    },
    /// A tmpfs of the sandbox.
    Tmp,
    /// Nowhere: read-only.
    None,
}

/// One operation on the sandbox's file tree.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)] // the fields are the options' arguments
pub enum FileOp {
    Bind {
        source: BindSource,
        dest: BoxPath,
        access: Access,
    },
    RemountReadOnly {
        dest: BoxPath,
    },
    /// `layers` from the lowest to the topmost.
    Overlay {
        layers: Vec<HostPath>,
        upper: OverlayUpper,
        dest: BoxPath,
    },
    Proc {
        dest: BoxPath,
    },
    Dev {
        dest: BoxPath,
    },
    Tmpfs {
        dest: BoxPath,
        perms: Option<u32>,
        size: Option<u64>,
        inodes: Option<u64>,
    },
    Mqueue {
        dest: BoxPath,
    },
    Dir {
        dest: BoxPath,
        perms: Option<u32>,
    },
    File {
        fd: FdNumber,
        dest: BoxPath,
        perms: Option<u32>,
    },
    BindData {
        fd: FdNumber,
        dest: BoxPath,
        perms: Option<u32>,
        read_only: bool,
    },
    Symlink {
        target: Bytes,
        dest: BoxPath,
    },
    Chmod {
        mode: u32,
        path: BoxPath,
    },
    Mask {
        dest: BoxPath,
        /// What stands in for it meanwhile where it does not exist.
        stand_in: StandIn,
    },
    /// Keeps a name from being removed, renamed or replaced.
    Pin {
        dest: BoxPath,
    },
}

/// The longest text of [`StandIn::Text`], in bytes.
pub const MAX_STAND_IN: usize = 63;

/// What a mask puts where nothing is. Programs of the host see it, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StandIn {
    /// An unreadable file.
    Unreadable,
    /// An empty directory.
    Directory,
    /// A readable file with this text and a line break.
    Text(Bytes),
}

/// Permission bits of stand-ins, which no other files are likely to have.
const UNREADABLE_MODE: u32 = 0o1000;
const DIRECTORY_MODE: u32 = 0o1555;
const TEXT_MODE: u32 = 0o1444;

impl StandIn {
    /// Its permission bits.
    pub fn mode(&self) -> u32 {
        match self {
            Self::Unreadable => UNREADABLE_MODE,
            Self::Directory => DIRECTORY_MODE,
            Self::Text(_) => TEXT_MODE,
        }
    }

    /// Whether a file of this kind, these permission bits and this size is one, of whatever
    /// sandbox.
    pub fn is(directory: bool, mode: u32, size: u64) -> bool {
        match (directory, mode) {
            (true, DIRECTORY_MODE) => true,
            (false, UNREADABLE_MODE) => size == 0,
            // With the line break.
            (false, TEXT_MODE) => size <= MAX_STAND_IN as u64 + 1,
            _ => false,
        }
    }
}

impl FileOp {
    /// The path inside the sandbox that the operation is about.
    pub fn dest(&self) -> &BoxPath {
        match self {
            Self::Bind { dest, .. }
            | Self::RemountReadOnly { dest }
            | Self::Overlay { dest, .. }
            | Self::Proc { dest }
            | Self::Dev { dest }
            | Self::Tmpfs { dest, .. }
            | Self::Mqueue { dest }
            | Self::Dir { dest, .. }
            | Self::File { dest, .. }
            | Self::BindData { dest, .. }
            | Self::Symlink { dest, .. }
            | Self::Chmod { path: dest, .. }
            | Self::Mask { dest, .. }
            | Self::Pin { dest } => dest,
        }
    }
}

/// An operation and the words that asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What to do.
    pub op: FileOp,
    /// What asked for it.
    pub origin: Origin,
}

/// A change of the environment; they apply in order.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum EnvOp {
    Clear,
    Set { name: Bytes, value: Bytes },
    Unset { name: Bytes },
}

/// A change of the capabilities that the command gets; they apply in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CapOp {
    /// Add this bit mask.
    Add(u64),
    /// Remove this bit mask.
    Drop(u64),
}

/// The value of a resource limit; `None` is unlimited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// Number of the resource (`RLIMIT_*`).
    pub resource: u32,
    /// Soft limit.
    pub soft: Option<u64>,
    /// Hard limit.
    pub hard: Option<u64>,
}

/// Rights on a file, or on a directory and all below.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Allowance {
    /// Which; at least one.
    pub rights: FileRights,
    /// Where.
    pub path: BoxPath,
}

/// A seccomp filter that asks somebody outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listener {
    /// What the program is read from.
    pub filter: FdNumber,
    /// The connected socket over which the listener is sent.
    pub socket: FdNumber,
}

/// A value that the last option of its kind decides, and which option that was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given<T> {
    /// The value.
    pub value: T,
    /// What asked for it.
    pub origin: Origin,
}

/// How the sandbox starts, lives and ends.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lifecycle {
    /// `setsid` before the command.
    pub new_session: bool,
    /// End with the caller.
    pub die_with_parent: bool,
    /// The command is pid 1.
    pub as_pid_1: bool,
    /// End all processes when the command ends.
    pub end_with_command: bool,
    /// Pass signals on.
    pub forward_signals: bool,
    /// A terminal of its own.
    pub pty: bool,
    /// Descriptors that pid 1 keeps.
    pub sync_fds: Vec<FdNumber>,
    /// Files inside on which pid 1 holds a read lock.
    pub lock_files: Vec<BoxPath>,
    /// Wait for this before the command.
    pub block_fd: Option<FdNumber>,
    /// Wait for this before mapping ids.
    pub userns_block_fd: Option<FdNumber>,
    /// Document at start.
    pub info_fd: Option<FdNumber>,
    /// Documents at start and end.
    pub json_status_fd: Option<FdNumber>,
    /// Do not pass inherited descriptors on, but `keep_fds`.
    pub close_fds: bool,
    /// Exceptions of `close_fds`.
    pub keep_fds: Vec<FdNumber>,
    /// Listening socket over which further commands are asked for. With it there may be no first
    /// one.
    pub serve: Option<FdNumber>,
}

/// A version of Linux.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KernelVersion {
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
}

/// Everything about one sandbox. It does no I/O and owns no descriptor; it names those that the
/// caller passes by number.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// Namespaces.
    pub namespaces: Namespaces,
    /// User id inside.
    pub uid: Option<u32>,
    /// Group id inside.
    pub gid: Option<u32>,
    /// More user ids.
    pub uid_ranges: Vec<IdRange>,
    /// More group ids.
    pub gid_ranges: Vec<IdRange>,
    /// Host name inside.
    pub hostname: Option<Bytes>,
    /// The file tree, in order.
    pub steps: Vec<Step>,
    /// Limits of every tmpfs without its own: bytes.
    pub default_tmpfs_size: Option<u64>,
    /// Limits of every tmpfs without its own: inodes.
    pub default_tmpfs_inodes: Option<u64>,
    /// Changes of the environment.
    pub env: Vec<EnvOp>,
    /// Changes of the capabilities.
    pub caps: Vec<CapOp>,
    /// Descriptors of seccomp filters, in order.
    pub filters: Vec<Given<FdNumber>>,
    /// The filter that asks somebody outside, loaded after those.
    pub listener: Option<Listener>,
    /// SELinux label of the command.
    pub exec_label: Option<Bytes>,
    /// SELinux label of made files.
    pub file_label: Option<Bytes>,
    /// Landlock: no signals to outside.
    pub scope_signals: bool,
    /// Landlock: no abstract sockets of outside.
    pub scope_abstract_sockets: bool,
    /// Landlock: rights on files that are taken away.
    pub handled_rights: FileRights,
    /// Landlock: where they are given after all.
    pub allowances: Vec<Allowance>,
    /// Resource limits.
    pub limits: Vec<Limit>,
    /// Start, life and end.
    pub lifecycle: Lifecycle,
    /// Some failures are warnings.
    pub not_a_security_boundary: bool,
    /// Diagnostics carry a level.
    pub level_prefix: bool,
    /// Errors only as JSON.
    pub quiet_errors: bool,
    /// Errors as JSON.
    pub json_errors_fd: Option<FdNumber>,
    /// Working directory inside.
    pub chdir: Option<BoxPath>,
    /// What the command gets as argv\[0\].
    pub argv0: Option<Bytes>,
    /// The command and its arguments; empty only with [`Lifecycle::serve`].
    pub command: Vec<Bytes>,
    /// Use no system calls that came after this version.
    pub assume_kernel: Option<KernelVersion>,
}

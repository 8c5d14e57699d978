//! The option table: the one place where an option is described.
//!
//! The parser, the renderer, `--help`, the manual page and the completions are all made from it.

/// Names of all options. The table says what they take and mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)] // each is described in TABLE
pub enum Opt {
    Help,
    Version,
    Args,
    Argv0,
    LevelPrefix,
    UnshareAll,
    ShareNet,
    UnshareUser,
    UnshareUserTry,
    UnshareIpc,
    UnsharePid,
    UnshareNet,
    UnshareUts,
    UnshareCgroup,
    UnshareCgroupTry,
    Userns,
    Userns2,
    DisableUserns,
    AssertUsernsDisabled,
    Pidns,
    Uid,
    Gid,
    Hostname,
    Chdir,
    Clearenv,
    Setenv,
    Unsetenv,
    LockFile,
    SyncFd,
    Bind,
    BindTry,
    DevBind,
    DevBindTry,
    RoBind,
    RoBindTry,
    BindFd,
    RoBindFd,
    RemountRo,
    OverlaySrc,
    Overlay,
    TmpOverlay,
    RoOverlay,
    ExecLabel,
    FileLabel,
    Proc,
    Dev,
    Tmpfs,
    Mqueue,
    Dir,
    File,
    BindData,
    RoBindData,
    Symlink,
    Seccomp,
    AddSeccompFd,
    BlockFd,
    UsernsBlockFd,
    InfoFd,
    JsonStatusFd,
    NewSession,
    DieWithParent,
    AsPid1,
    CapAdd,
    CapDrop,
    Perms,
    Size,
    Chmod,
    NotASecurityBoundary,
    JsonErrors,
    ForwardSignals,
    Pty,
    Mask,
    MaskDir,
    MaskText,
    Pin,
    Rlimit,
    Inodes,
    DefaultTmpfsSize,
    DefaultTmpfsInodes,
    CloseFds,
    KeepFd,
    ScopeSignals,
    ScopeAbstractSockets,
    LandlockHandle,
    LandlockAllow,
    UidRange,
    GidRange,
    Netns,
    EndWithCommand,
    UserLimit,
    PidMax,
    Cgroup,
    Serve,
    SeccompListener,
    QuietErrors,
    AssumeKernel,
}

/// What an argument of an option is, for validation and completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A descriptor number that the caller passes on.
    Fd,
    /// A path on the host; relative ones start at the caller's working directory.
    HostPath,
    /// A path inside the sandbox; relative ones start at its root.
    BoxPath,
    /// A number.
    Number,
    /// Any other text.
    Text,
}

/// One argument of an option: its name in the help, and what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argument {
    /// The word that stands for it in help and manual.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
}

/// What a second use of an option does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// A flag: nothing more.
    Flag,
    /// Each use counts, in order.
    Each,
    /// The last one wins, with a warning.
    Last,
    /// It is an error.
    Once,
    /// Modifies the next operation and must be used by it.
    Modifier,
}

/// The heading below which the help and the manual list an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Section {
    /// Help, version, words from elsewhere.
    General,
    /// Namespaces and ids.
    Namespaces,
    /// Working directory and environment.
    Environment,
    /// What the sandbox sees of files.
    Files,
    /// Capabilities, filters, labels.
    Privileges,
    /// Start, end, documents.
    Lifecycle,
    /// What bubblewrap does not have.
    Extensions,
}

impl Section {
    /// All, in the order of help and manual.
    pub const ALL: [Self; 7] = [
        Self::General,
        Self::Namespaces,
        Self::Environment,
        Self::Files,
        Self::Privileges,
        Self::Lifecycle,
        Self::Extensions,
    ];

    /// The heading.
    pub fn title(self) -> &'static str {
        match self {
            Self::General => "General",
            Self::Namespaces => "Namespaces and ids",
            Self::Environment => "Working directory and environment",
            Self::Files => "Files, in the order given",
            Self::Privileges => "Privileges",
            Self::Lifecycle => "Start, end and status",
            Self::Extensions => "Extensions (not in bubblewrap)",
        }
    }
}

/// One option.
#[derive(Debug, Clone, Copy)]
pub struct Spec {
    /// Which.
    pub opt: Opt,
    /// The exact word, with its dashes.
    pub name: &'static str,
    /// What follows it.
    pub arguments: &'static [Argument],
    /// What a second use does.
    pub repeat: Repeat,
    /// Where it is listed.
    pub section: Section,
    /// One line for the help.
    pub help: &'static str,
    /// More for the manual; may be empty.
    pub manual: &'static str,
}

const fn arg(name: &'static str, kind: Kind) -> Argument {
    Argument { name, kind }
}

const NONE: &[Argument] = &[];
const FD: &[Argument] = &[arg("FD", Kind::Fd)];
const DEST: &[Argument] = &[arg("DEST", Kind::BoxPath)];
const SRC_DEST: &[Argument] = &[arg("SRC", Kind::HostPath), arg("DEST", Kind::BoxPath)];
const FD_DEST: &[Argument] = &[arg("FD", Kind::Fd), arg("DEST", Kind::BoxPath)];
const NUMBER: &[Argument] = &[arg("N", Kind::Number)];
const BYTES: &[Argument] = &[arg("BYTES", Kind::Number)];
const RANGE: &[Argument] =
    &[arg("INSIDE", Kind::Number), arg("OUTSIDE", Kind::Number), arg("COUNT", Kind::Number)];

macro_rules! table {
    ($($section:ident { $($opt:ident $name:literal $arguments:expr, $repeat:ident, $help:literal, $manual:literal;)* })*) => {
        /// Every option, in the order of the help.
        pub const TABLE: &[Spec] = &[$($(Spec {
            opt: Opt::$opt,
            name: $name,
            arguments: $arguments,
            repeat: Repeat::$repeat,
            section: Section::$section,
            help: $help,
            manual: $manual,
        },)*)*];
    };
}

table! {
General {
    Help "--help" NONE, Flag, "show this text and exit", "";
    Version "--version" NONE, Flag, "show the version and exit",
        "The first line names the bubblewrap release whose interface this is; the second names this program.";
    Args "--args" FD, Each, "read further options from FD, separated by NUL",
        "The descriptor is read to its end and closed. A NUL after the last word may be left out. The words may not contain another --args and cannot give the command: a \"--\" or a word that is no option ends them. At most 64 MiB.";
    Argv0 "--argv0" &[arg("VALUE", Kind::Text)], Once, "pass VALUE to the command as its argv[0]", "";
    LevelPrefix "--level-prefix" NONE, Flag, "start each diagnostic line with <3> (error) or <4> (warning)",
        "As sd-daemon(3) defines, for systemd-cat and logger.";
}
Namespaces {
    UnshareAll "--unshare-all" NONE, Flag, "new namespaces of every kind below",
        "Like --unshare-user-try, --unshare-ipc, --unshare-pid, --unshare-net, --unshare-uts and --unshare-cgroup-try. A later --share-net takes the network back.";
    ShareNet "--share-net" NONE, Flag, "keep the caller's network after all", "Undoes an earlier --unshare-net or the network part of --unshare-all.";
    UnshareUser "--unshare-user" NONE, Flag, "new user namespace",
        "Implied when an ordinary user runs bwrap without --userns.";
    UnshareUserTry "--unshare-user-try" NONE, Flag, "new user namespace where the system allows it", "";
    UnshareIpc "--unshare-ipc" NONE, Flag, "new IPC namespace", "";
    UnsharePid "--unshare-pid" NONE, Flag, "new pid namespace",
        "A small process becomes pid 1, reaps orphans and ends when no process is left, unless --as-pid-1 is given.";
    UnshareNet "--unshare-net" NONE, Flag, "new network namespace with only a loopback interface", "";
    UnshareUts "--unshare-uts" NONE, Flag, "new UTS namespace (host name)", "";
    UnshareCgroup "--unshare-cgroup" NONE, Flag, "new cgroup namespace", "";
    UnshareCgroupTry "--unshare-cgroup-try" NONE, Flag, "new cgroup namespace where the kernel has them", "";
    Userns "--userns" FD, Last, "join the user namespace behind FD", "Not with --unshare-user.";
    Userns2 "--userns2" FD, Last, "join this user namespace after the set-up",
        "It must be a descendant of the one that the set-up runs in.";
    DisableUserns "--disable-userns" NONE, Flag, "forbid further user namespaces inside (needs --unshare-user)",
        "The limit of user namespaces is set to 1 in an outer namespace, which the sandbox cannot undo; then it is checked that one more cannot be made.";
    AssertUsernsDisabled "--assert-userns-disabled" NONE, Flag, "fail if user namespaces can be made inside", "";
    Pidns "--pidns" FD, Last, "join the pid namespace behind FD",
        "With --unshare-pid the new pid namespace is made below it.";
    Uid "--uid" NUMBER, Last, "user id inside (needs a user namespace)", "";
    Gid "--gid" NUMBER, Last, "group id inside (needs a user namespace)", "";
    Hostname "--hostname" &[arg("NAME", Kind::Text)], Last, "host name inside (needs --unshare-uts)", "";
}
Environment {
    Chdir "--chdir" &[arg("DIR", Kind::BoxPath)], Last, "start the command in DIR",
        "Without it: in the caller's working directory if that exists inside, else in $HOME, else in /.";
    Clearenv "--clearenv" NONE, Flag, "start from an empty environment",
        "PWD is set in any case.";
    Setenv "--setenv" &[arg("VAR", Kind::Text), arg("VALUE", Kind::Text)], Each, "set VAR to VALUE", "";
    Unsetenv "--unsetenv" &[arg("VAR", Kind::Text)], Each, "remove VAR from the environment", "";
}
Files {
    Bind "--bind" SRC_DEST, Each, "show the host's SRC at DEST, writable",
        "Always with everything mounted below SRC, nosuid and nodev. SRC's symbolic links are followed on the host; DEST's parents are made if need be and resolved inside the sandbox. DEST itself must not be a symbolic link.";
    BindTry "--bind-try" SRC_DEST, Each, "the same, left out if SRC does not exist", "";
    DevBind "--dev-bind" SRC_DEST, Each, "show SRC at DEST, device files usable", "";
    DevBindTry "--dev-bind-try" SRC_DEST, Each, "the same, left out if SRC does not exist", "";
    RoBind "--ro-bind" SRC_DEST, Each, "show SRC at DEST, read-only",
        "Every mount below SRC is read-only too, and what the host mounts there later does not appear.";
    RoBindTry "--ro-bind-try" SRC_DEST, Each, "the same, left out if SRC does not exist", "";
    BindFd "--bind-fd" FD_DEST, Each, "show what FD refers to at DEST, writable",
        "Exactly that inode is shown, or the start fails.";
    RoBindFd "--ro-bind-fd" FD_DEST, Each, "show what FD refers to at DEST, read-only", "";
    RemountRo "--remount-ro" DEST, Each, "make the mount at DEST read-only, not those below it", "";
    OverlaySrc "--overlay-src" &[arg("SRC", Kind::HostPath)], Each, "a layer of the following overlay",
        "The last one given is the topmost.";
    Overlay "--overlay" &[arg("RWSRC", Kind::HostPath), arg("WORKDIR", Kind::HostPath), arg("DEST", Kind::BoxPath)], Each,
        "an overlay at DEST whose writes go to RWSRC",
        "WORKDIR is an empty directory on the same file system as RWSRC.";
    TmpOverlay "--tmp-overlay" DEST, Each, "an overlay at DEST whose writes vanish with the sandbox", "";
    RoOverlay "--ro-overlay" DEST, Each, "a read-only overlay at DEST, of two layers or more", "";
    Proc "--proc" DEST, Each, "a procfs at DEST",
        "A new one where there is a pid namespace, else the host's. Parts that could change the system are read-only.";
    Dev "--dev" DEST, Each, "a minimal /dev at DEST",
        "A tmpfs with null, zero, full, random, urandom, tty, the usual links, shm, its own pts, and console when stdout is a terminal.";
    Tmpfs "--tmpfs" DEST, Each, "an empty tmpfs at DEST", "Mode 0755 unless --perms says otherwise; --size limits it.";
    Mqueue "--mqueue" DEST, Each, "a POSIX message queue file system at DEST", "Needs --unshare-ipc when not root.";
    Dir "--dir" DEST, Each, "a directory at DEST", "Mode 0755 unless --perms says otherwise.";
    File "--file" FD_DEST, Each, "a file at DEST with what FD yields", "Mode 0666 unless --perms says otherwise.";
    BindData "--bind-data" FD_DEST, Each, "what FD yields, mounted at DEST",
        "Mode 0600 unless --perms says otherwise. The file has no other name.";
    RoBindData "--ro-bind-data" FD_DEST, Each, "what FD yields, mounted read-only at DEST", "";
    Symlink "--symlink" &[arg("TARGET", Kind::Text), arg("DEST", Kind::BoxPath)], Each, "a symbolic link at DEST to TARGET",
        "An existing link with the same target is left as it is.";
    Chmod "--chmod" &[arg("OCTAL", Kind::Number), arg("PATH", Kind::BoxPath)], Each, "change the mode of PATH, which must exist", "";
    Perms "--perms" &[arg("OCTAL", Kind::Number)], Modifier, "mode of what the next operation creates", "At most 07777.";
    Size "--size" BYTES, Modifier, "size limit of the next --tmpfs", "At least 1; decimal, octal (0...) or hexadecimal (0x...).";
}
Privileges {
    CapAdd "--cap-add" &[arg("CAP", Kind::Text)], Each, "keep a capability (CAP_..., its number, or ALL)", "Capabilities only count inside the sandbox's user namespace, if it has one. Processed in order with --cap-drop.";
    CapDrop "--cap-drop" &[arg("CAP", Kind::Text)], Each, "drop a capability", "An ordinary user's sandbox starts with none, root's with all.";
    Seccomp "--seccomp" FD, Last, "load the seccomp filter read from FD",
        "A classic BPF program as libseccomp's seccomp_export_bpf writes it: a multiple of 8 bytes. It is loaded as the last thing before the command. Not with --add-seccomp-fd.";
    AddSeccompFd "--add-seccomp-fd" FD, Each, "load one more seccomp filter from FD, in order", "";
    ExecLabel "--exec-label" &[arg("LABEL", Kind::Text)], Last, "SELinux label of the command", "";
    FileLabel "--file-label" &[arg("LABEL", Kind::Text)], Last, "SELinux label of files made for the sandbox", "";
    NotASecurityBoundary "--not-a-security-boundary" NONE, Flag, "let some set-up steps fail with a warning",
        "Only where the sandbox is there for its view of files, not for protection.";
}
Lifecycle {
    BlockFd "--block-fd" FD, Last, "wait for FD before the command starts", "For one byte or the end of file.";
    UsernsBlockFd "--userns-block-fd" FD, Last, "wait for FD before the ids are mapped",
        "Somebody else writes the maps meanwhile. Needs --unshare-user and --info-fd.";
    InfoFd "--info-fd" FD, Last, "write the sandbox's pid and namespaces to FD",
        "One JSON object; then FD is closed.";
    JsonStatusFd "--json-status-fd" FD, Last, "write status as JSON, one object a line, to FD",
        "First the pid and namespaces; when a command that could be started has ended, its exit code.";
    SyncFd "--sync-fd" FD, Each, "keep FD open in pid 1 while the sandbox runs", "The command does not get it.";
    LockFile "--lock-file" DEST, Each, "hold a read lock on the sandbox's DEST", "A POSIX record lock on the whole file, held by pid 1.";
    NewSession "--new-session" NONE, Flag, "give the command a session of its own",
        "It can then not push input into the caller's terminal (TIOCSTI), and job control of that terminal does not reach it. See --pty for a terminal of its own.";
    DieWithParent "--die-with-parent" NONE, Flag, "end everything when bwrap or its caller ends",
        "The caller is the process that started bwrap, not its thread.";
    AsPid1 "--as-pid-1" NONE, Flag, "let the command be pid 1 itself (needs --unshare-pid)", "";
}
Extensions {
    JsonErrors "--json-errors" FD, Last, "write each error as a JSON object to FD",
        "Standard error stays the command's. One object a line with the members message, step, option, argument, errno, cause and fix.";
    Mask "--mask" DEST, Each, "hide a file or directory, and keep it from being created",
        "What exists is covered by something empty and unreadable. What does not exist cannot be created by the sandbox; what the host creates there later, where the sandbox cannot write, is visible. Links are followed. The directories above cannot be renamed inside, and are file systems of their own to rename(2) and link(2). Nothing is left behind on the host. A second bind mount of the same directory shows the path again: mask it there too.";
    MaskDir "--mask-dir" DEST, Each, "as --mask, but what is missing is an empty directory",
        "What exists is covered by an empty directory or file that can be read. While the sandbox lives the host has an empty directory there, too.";
    MaskText "--mask-text" &[arg("TEXT", Kind::Text), arg("DEST", Kind::BoxPath)], Each, "as --mask, but what is missing is a file of one line",
        "What exists is covered by a readable file that holds TEXT, of at most 63 bytes, and a line break. While the sandbox lives the host has such a file there, too: programs of the host that look for it find something harmless.";
    Pin "--pin" DEST, Each, "keep a name from being removed, renamed or replaced",
        "What is at DEST is mounted on itself; a symbolic link is not followed. The contents of a directory or file can still change.";
    ForwardSignals "--forward-signals" NONE, Flag, "pass signals sent to bwrap on to the command",
        "HUP, INT, QUIT, TERM, USR1, USR2, WINCH, CONT, TSTP, TTIN, TTOU and ALRM. The command starts with none of them blocked. When the command stops, bwrap stops too, so that a shell's job control works.";
    Pty "--pty" NONE, Flag, "give the command a terminal of its own",
        "Input, output and window size are relayed; the caller's terminal is out of reach. Implies a session of its own. When standard input or output is no terminal, that one is passed on as it is.";
    Rlimit "--rlimit" &[arg("NAME", Kind::Text), arg("SOFT[:HARD]", Kind::Text)], Each, "limit a resource, as setrlimit(2)",
        "NAME is as in prlimit(1): as, core, cpu, data, fsize, locks, memlock, msgqueue, nice, nofile, nproc, rss, rtprio, rttime, sigpending, stack. Values are numbers in the resource's unit or \"unlimited\".";
    Inodes "--inodes" NUMBER, Modifier, "limit of files in the next --tmpfs", "";
    DefaultTmpfsSize "--default-tmpfs-size" BYTES, Last, "size limit of every tmpfs that is made without one",
        "The sandbox's root and /dev included.";
    DefaultTmpfsInodes "--default-tmpfs-inodes" NUMBER, Last, "limit of files of every tmpfs that is made without one", "";
    CloseFds "--close-fds" NONE, Flag, "do not pass inherited descriptors on", "Only 0, 1, 2 and those named by --keep-fd.";
    KeepFd "--keep-fd" FD, Each, "with --close-fds: pass FD on", "";
    ScopeSignals "--scope-signals" NONE, Flag, "no signals to processes outside (Landlock)", "Needs Linux 6.12; refused where it cannot be enforced.";
    ScopeAbstractSockets "--scope-abstract-sockets" NONE, Flag, "no abstract UNIX sockets of outside (Landlock)", "Needs Linux 6.12; refused where it cannot be enforced.";
    LandlockHandle "--landlock-handle" &[arg("RIGHTS", Kind::Text)], Each, "take away rights on files (Landlock)",
        "RIGHTS is a list, with commas, of: execute, write-file, read-file, read-dir, remove-dir, remove-file, make-char, make-dir, make-reg, make-sock, make-fifo, make-block, make-sym, refer, truncate, ioctl-dev (see landlock(7)). Several options add up. The command has these rights where --landlock-allow gives them and nowhere else, whatever the files' modes; its program and libraries need execute and read-file, too. As soon as one right is named, mount(2), umount(2) and pivot_root(2) are forbidden inside, and so is moving or linking a file to another directory, unless refer is named and allowed for both. What is open already stays usable. Needs Linux 5.13 with Landlock enabled, for refer 5.19, for truncate 6.2, for ioctl-dev 6.10; refused where it cannot be enforced.";
    LandlockAllow "--landlock-allow" &[arg("RIGHTS", Kind::Text), arg("PATH", Kind::BoxPath)], Each, "allow RIGHTS at PATH and below after all",
        "Only rights that a --landlock-handle names. PATH is looked up in the finished sandbox, as the command's user, and its links are followed; it must exist. A file gets those of the rights that files have: execute, write-file, read-file, truncate, ioctl-dev.";
    UidRange "--uid-range" RANGE, Each, "map COUNT user ids by newuidmap(1)", "OUTSIDE must be delegated in /etc/subuid. The own id is mapped as well.";
    GidRange "--gid-range" RANGE, Each, "map COUNT group ids by newgidmap(1)", "OUTSIDE must be delegated in /etc/subgid.";
    Netns "--netns" FD, Last, "join the network namespace behind FD", "Not with a new network namespace.";
    EndWithCommand "--end-with-command" NONE, Flag, "end all processes of the sandbox when the command ends", "Needs --unshare-pid.";
    UserLimit "--user-limit" &[arg("NAME", Kind::Text), arg("N", Kind::Number)], Each, "limit namespaces, watches and the like inside",
        "NAME is a file of /proc/sys/user: max_cgroup_namespaces, max_fanotify_groups, max_fanotify_marks, max_inotify_instances, max_inotify_watches, max_ipc_namespaces, max_mnt_namespaces, max_net_namespaces, max_pid_namespaces, max_time_namespaces, max_user_namespaces, max_uts_namespaces (see namespaces(7)). N, at most 2147483646, is how many each user inside can have beside the sandbox's own namespaces. The limit is set in an outer user namespace, which the sandbox cannot undo. Needs a new user namespace.";
    PidMax "--pid-max" NUMBER, Last, "let process ids inside be less than N, which bounds their count",
        "Sets kernel.pid_max of the new pid namespace: processes and threads of all users inside, root's too, whom --rlimit nproc does not bind. N is from 301 to 4194304; the first 300 ids are used once. Needs Linux 6.14, --unshare-pid and a new user namespace; user 0 of that namespace can raise it where it can write to /proc/sys.";
    Cgroup "--cgroup" FD, Last, "start the sandbox in the cgroup behind FD",
        "A directory of a cgroup v2 file system, which the caller may move processes to. No process of the sandbox ever is elsewhere, and a new cgroup namespace starts there. Needs Linux 5.7 (CLONE_INTO_CGROUP); refused where it is not possible.";
    Serve "--serve" FD, Last, "run more commands in the sandbox, asked for over the socket FD",
        "A listening UNIX socket of type SOCK_SEQPACKET. Processes of the same user outside the sandbox connect to it, and pid 1 runs what they ask for, with the capabilities, limits, Landlock domain, filters and environment of the first command; nobody inside can. The command may be left out: the sandbox then lasts until it is told to stop. It ends with bwrap, and bwrap's exit status comes at its end. pid 1 is under the filters too: docs/serve.md says which system calls they have to allow, and has the protocol. Needs --unshare-pid; not with --as-pid-1, --lock-file and uid 65534.";
    SeccompListener "--seccomp-listener" &[arg("FILTER-FD", Kind::Fd), arg("SOCKET-FD", Kind::Fd)], Last, "load a filter whose listener goes out over SOCKET-FD",
        "FILTER-FD yields a program as with --seccomp; it is loaded after all others, with SECCOMP_FILTER_FLAG_NEW_LISTENER. SOCKET-FD is a connected UNIX socket of type SOCK_STREAM or SOCK_SEQPACKET: one byte goes over it, with the listener (SCM_RIGHTS; see seccomp_unotify(2)). Then prctl(0x53574154, 0, 0, 0, 0) is called, which the program has to trap (SECCOMP_RET_USER_NOTIF) and whoever listens has to answer with the value 1; on any other answer the command is not started. So the program must not trap sendmsg, close, write, exit_group and other calls of prctl; execve can be trapped. Filters before it have to allow seccomp, sendmsg, close and prctl. The command does not get either descriptor. With --serve pid 1 does this, once for all commands, and is under the filter itself (docs/serve.md). Needs Linux 5.0, and that no filter before it has a listener.";
    QuietErrors "--quiet-errors" NONE, Flag, "do not write errors to standard error as well (needs --json-errors)",
        "For programs that say it in their own words. What is wrong with the command line itself is still written.";
    AssumeKernel "--assume-kernel" &[arg("VERSION", Kind::Text)], Last, "do as on an older kernel, for tests",
        "System calls that are newer than VERSION (such as 4.18 or 5.4) are not used. The result is as strict.";
}
}

/// The option of exactly this name.
pub fn find(name: &[u8]) -> Option<&'static Spec> {
    TABLE.iter().find(|spec| spec.name.as_bytes() == name)
}

/// The table's entry for an option.
pub fn spec(opt: Opt) -> &'static Spec {
    match TABLE.iter().find(|spec| spec.opt == opt) {
        Some(spec) => spec,
        // Every variant has a row: checked by a test.
        None => &TABLE[0],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every option has one row, so that `spec` never falls back, and names are unique.
    #[test]
    fn each_option_has_one_row() {
        for spec in TABLE {
            assert_eq!(TABLE.iter().filter(|s| s.name == spec.name).count(), 1, "{}", spec.name);
            assert_eq!(TABLE.iter().filter(|s| s.opt == spec.opt).count(), 1, "{}", spec.name);
            assert_eq!(super::spec(spec.opt).name, spec.name);
        }
        assert_eq!(TABLE.len(), Opt::AssumeKernel as usize + 1);
    }

    /// The help fits a terminal of 80 columns.
    #[test]
    fn help_lines_are_short() {
        for spec in TABLE {
            assert!(spec.help.len() <= 72, "{}", spec.name);
            assert!(!spec.help.ends_with('.'), "{}", spec.name);
        }
    }
}

//! Which system calls are trapped, and what the numbers of one mean.

use std::collections::{BTreeMap, HashMap};
use swathe_plan::filter::{Action, Arch, Case, FilterError, Table, Test, assemble};
use swathe_sys::notify::Notification;
use swathe_sys::seccomp::PROBE;

/// What the trapped calls are needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wanted {
    /// Names are removed and renamed by the supervisor.
    pub removes: bool,
    /// Files are opened to write, and made shorter, by the supervisor.
    pub writes: bool,
    /// Files are opened to append: what gets around that on an open file is refused.
    pub append: bool,
    /// What touches a path or an address is looked at and goes on. What is read below a directory
    /// that was opened before is not: it is where the directory is, and trees are walked so.
    pub observe: bool,
    /// That, too.
    pub below: bool,
    /// 32-bit programs run.
    pub bits32: bool,
}

/// O_ACCMODE, O_CREAT, O_TRUNC and the bit of O_TMPFILE: the flags of a call that changes something.
const WRITING: u32 = 0o3 | 0o100 | 0o1000 | 0o20_000_000;
/// `O_APPEND`.
const APPEND: u32 = 0o2000;
const F_SETFL: u32 = 4;
const RWF_NOAPPEND: u32 = 0x20;
const FALLOC_FL_KEEP_SIZE: u32 = 1;
const FALLOC_FL_COLLAPSE_RANGE: u32 = 8;
/// Contents of two files exchanged, of any length; files of f2fs moved, cut and replaced by calls of
/// its own; subvolumes of btrfs removed. None of them asks Landlock.
const XFS_IOC_EXCHANGE_RANGE: u32 = 0x4028_5881;
const XFS_IOC_COMMIT_RANGE: u32 = 0x4058_5883;
const XFS_IOC_SWAPEXT: u32 = 0xc0c0_586d;
const BTRFS_IOC_SNAP_DESTROY: u32 = 0x5000_940f;
const BTRFS_IOC_SNAP_DESTROY_V2: u32 = 0x5000_943f;
/// Blocks of two files exchanged, whatever `O_APPEND` says of the other one.
const EXT4_IOC_MOVE_EXT: u32 = 0xc028_660f;
const IOC_TYPE: u32 = 0xff00;
const F2FS: u32 = 0xf500;
const EOPNOTSUPP: Action = Action::Errno(95);
const ENOSYS: Action = Action::Errno(38);

const NOTIFY: &[Case<'static>] = &[Case { tests: &[], action: Action::Notify }];

/// Removing and renaming.
const REMOVES: &[&str] =
    &["unlink", "unlinkat", "rmdir", "rename", "renameat", "renameat2", "link", "linkat"];

/// A domain that the program made for itself would not hold for what the supervisor does in its
/// place. It is told what it would be where Landlock is switched off.
const DOMAINS: &[&str] = &["landlock_create_ruleset", "landlock_restrict_self"];

/// What removes and asks nobody.
const REMOVING: &[Case<'static>] = &[
    Case { tests: &refused(BTRFS_IOC_SNAP_DESTROY), action: EOPNOTSUPP },
    Case { tests: &refused(BTRFS_IOC_SNAP_DESTROY_V2), action: EOPNOTSUPP },
];

/// Opening to write, and making shorter.
const WRITES: &[(&str, &[Case<'static>])] = &[
    ("open", &[Case { tests: &[Test::any(1, WRITING)], action: Action::Notify }]),
    ("openat", &[Case { tests: &[Test::any(2, WRITING)], action: Action::Notify }]),
    ("openat2", NOTIFY),
    ("creat", NOTIFY),
    ("truncate", NOTIFY),
    ("truncate64", NOTIFY),
    ("ftruncate", NOTIFY),
    ("ftruncate64", NOTIFY),
    ("fallocate", &[Case { tests: &[Test::any(1, FALLOC_FL_COLLAPSE_RANGE)], action: EOPNOTSUPP }]),
    (
        "ioctl",
        &[
            Case { tests: &refused(XFS_IOC_EXCHANGE_RANGE), action: EOPNOTSUPP },
            Case { tests: &refused(XFS_IOC_COMMIT_RANGE), action: EOPNOTSUPP },
            Case { tests: &refused(XFS_IOC_SWAPEXT), action: EOPNOTSUPP },
            Case { tests: &[Test::bits(1, IOC_TYPE, F2FS)], action: EOPNOTSUPP },
        ],
    ),
];

const fn refused(cmd: u32) -> [Test; 1] {
    [Test::int(1, cmd)]
}

/// Ways around `O_APPEND` on an open file. The ioctls are the old forms of fallocate(2).
const APPENDING: &[(&str, &[Case<'static>])] = &[
    (
        "fcntl",
        &[Case {
            tests: &[Test::int(1, F_SETFL), Test::bits(2, APPEND, 0)],
            action: Action::Notify,
        }],
    ),
    ("pwritev2", &[Case { tests: &[Test::any(5, RWF_NOAPPEND)], action: EOPNOTSUPP }]),
    ("io_setup", &[Case { tests: &[], action: ENOSYS }]),
    ("io_submit", &[Case { tests: &[], action: ENOSYS }]),
    ("io_uring_setup", &[Case { tests: &[], action: ENOSYS }]),
    ("fallocate", &[Case { tests: &[Test::any(1, !FALLOC_FL_KEEP_SIZE)], action: EOPNOTSUPP }]),
    (
        "ioctl",
        &[
            Case { tests: &refused(EXT4_IOC_MOVE_EXT), action: EOPNOTSUPP },
            Case { tests: &refused(0x4030_5828), action: EOPNOTSUPP },
            Case { tests: &refused(0x4030_5829), action: EOPNOTSUPP },
            Case { tests: &refused(0x4030_582a), action: EOPNOTSUPP },
            Case { tests: &refused(0x4030_582b), action: EOPNOTSUPP },
            Case { tests: &refused(0x4030_5839), action: EOPNOTSUPP },
        ],
    ),
];

/// What only looks, and can start at a descriptor.
const LOOKS: &[&str] = &["newfstatat", "fstatat64", "statx", "faccessat", "faccessat2"];

/// What reads a link. Compilers do it for each directory of each name, to find out what a file is
/// really called, and open the file: that is what a record is for. Questions come before anything.
const LINKS: &[&str] = &["readlink", "readlinkat"];

/// From the working directory, or to write.
const FROM_CWD: &[Case<'static>] =
    &[Case { tests: &[Test::int(0, CWD as u32)], action: Action::Notify }];
const TO_WRITE: &[Case<'static>] =
    &[Case { tests: &[Test::any(2, WRITING)], action: Action::Notify }];

/// What else is looked at.
const OBSERVED: &[&str] = &[
    "open",
    "openat2",
    "creat",
    "stat",
    "stat64",
    "lstat",
    "lstat64",
    "access",
    "execve",
    "execveat",
    "chdir",
    "connect",
    "bind",
    "mkdir",
    "mkdirat",
    "symlink",
    "symlinkat",
    "mknod",
    "mknodat",
    "chmod",
    "fchmodat",
    "fchmodat2",
    "chown",
    "chown32",
    "lchown",
    "lchown32",
    "fchownat",
    "utimensat",
    "truncate",
    "truncate64",
];

/// A datagram to an address, not one on a connection.
const ADDRESSED: &[Case<'static>] =
    &[Case { tests: &[Test::Any { arg: 4, mask: u64::MAX }], action: Action::Notify }];

/// The filter's program, for the engine's `--seccomp-listener`.
///
/// # Errors
/// There is no table of this machine's system calls.
pub fn program(wanted: Wanted) -> Result<Vec<u8>, FilterError> {
    let arch = Arch::native().ok_or(FilterError::Machine)?;
    let mut tables = vec![table(arch, wanted)];
    // Without the intent, the base filter refuses them.
    tables.extend(arch.narrow().filter(|_| wanted.bits32).map(|arch| table(arch, wanted)));
    assemble(&tables, Action::Allow)
}

fn table(arch: Arch, wanted: Wanted) -> Table<'static> {
    const PROBED: &[Case<'static>] =
        &[Case { tests: &[Test::int(0, PROBE)], action: Action::Notify }];
    let mut calls: BTreeMap<u32, Vec<Case<'static>>> = BTreeMap::new();
    let mut add = |name: &str, cases: &[Case<'static>]| {
        if let Some(number) = arch.number(name) {
            calls.entry(number).or_default().extend_from_slice(cases);
        }
    };
    add("prctl", PROBED);
    if wanted.append {
        APPENDING.iter().for_each(|(name, cases)| add(name, cases));
    }
    if wanted.removes || wanted.observe {
        REMOVES.iter().for_each(|name| add(name, NOTIFY));
    }
    if wanted.removes {
        add("ioctl", REMOVING);
        DOMAINS.iter().for_each(|name| add(name, &[Case { tests: &[], action: EOPNOTSUPP }]));
    }
    if wanted.writes {
        WRITES.iter().for_each(|(name, cases)| add(name, cases));
    }
    if wanted.observe {
        OBSERVED.iter().for_each(|name| add(name, NOTIFY));
        let looks = if wanted.below { NOTIFY } else { FROM_CWD };
        LOOKS.iter().for_each(|name| add(name, looks));
        add("openat", looks);
        add("openat", TO_WRITE);
        add("sendto", ADDRESSED);
        if wanted.below {
            LINKS.iter().for_each(|name| add(name, NOTIFY));
        } else {
            // The working directory is remembered.
            add("fchdir", NOTIFY);
        }
    }
    Table { arch, calls, others: Action::Allow }
}

/// `AT_FDCWD`.
pub const CWD: i32 = -100;
/// `AT_SYMLINK_NOFOLLOW`, `AT_REMOVEDIR` (its other meaning), `AT_SYMLINK_FOLLOW`, `AT_EMPTY_PATH`.
const NOFOLLOW: u32 = 0x100;
const REMOVEDIR: u32 = 0x200;
const FOLLOW: u32 = 0x400;
const EMPTY_PATH: u32 = 0x1000;
const O_NOFOLLOW: u32 = 0o400_000;
const O_EXCL: u32 = 0o200;
const O_CREAT: u32 = 0o100;
const O_TRUNC: u32 = 0o1000;
const O_PATH: u32 = 0o10_000_000;

/// A path as a call names it: a descriptor to start from, and where the text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At {
    /// A descriptor's number or [`CWD`].
    pub dir: i32,
    /// The address of the text.
    pub path: u64,
    /// Whether a link that is the last component is followed.
    pub follow: bool,
    /// Whether an empty text means the descriptor itself.
    pub empty: bool,
}

/// What a call asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// The engine's test.
    Probe,
    /// open, openat, creat.
    Open(At, u32, u32),
    /// openat2: the addresses of `struct open_how`, and its size.
    Open2(At, u64, u64),
    /// unlink, rmdir, unlinkat; whether it is a directory.
    Unlink(At, bool),
    /// rename and its kin, with the flags of renameat2.
    Rename(At, At, u32),
    /// link, linkat.
    Link(At, At),
    /// truncate to this length.
    Truncate(At, u64),
    /// ftruncate of this descriptor to this length.
    TruncateOpen(i32, u64),
    /// fcntl with `F_SETFL`: a descriptor and flags.
    SetFlags(i32, u32),
    /// Looks at attributes.
    Stat(At),
    /// chdir.
    Enter(At),
    /// fchdir.
    EnterOpen,
    /// Changes attributes.
    Metadata(At),
    /// mkdir, symlink, mknod.
    Make(At),
    /// execve, execveat.
    Execute(At),
    /// connect, or sendto with an address: descriptor, address, its length.
    Connect(i32, u64, u32),
    /// bind: descriptor, address, its length.
    Bind(i32, u64, u32),
    /// Nothing that is looked at.
    Other,
}

/// Tells what notifications are about.
#[derive(Debug, Default)]
pub struct Decoder {
    /// The names of calls that were trapped before. A filter traps few.
    names: HashMap<(u32, i32), &'static str>,
}

impl Decoder {
    /// What a notification is about.
    pub fn decode(&mut self, notification: &Notification) -> Call {
        let &Notification { arch, nr, .. } = notification;
        let name = self.names.entry((arch, nr)).or_insert_with(|| {
            let arch = Arch::ALL.into_iter().find(|known| known.audit() == arch);
            let number = u32::try_from(nr).ok();
            arch.zip(number).and_then(|(arch, number)| arch.call(number)).unwrap_or_default()
        });
        decode(name, notification)
    }
}

fn decode(name: &str, notification: &Notification) -> Call {
    let a = notification.args;
    // The kernel takes ints and 32-bit flags: it does not look at the high halves.
    let int = |i: usize| a[i] as u32 as i32;
    let word = |i: usize| a[i] as u32;
    let at = |dir: i32, path: usize, follow: bool| At { dir, path: a[path], follow, empty: false };
    let flagged = |dir: usize, path: usize, flags: usize| At {
        dir: int(dir),
        path: a[path],
        follow: word(flags) & NOFOLLOW == 0,
        empty: word(flags) & EMPTY_PATH != 0,
    };
    let open = |at: At, flags: u32, mode: u32| {
        let exclusive = flags & O_CREAT != 0 && flags & O_EXCL != 0;
        let follow = flags & O_NOFOLLOW == 0 && !exclusive;
        Call::Open(At { follow, ..at }, flags, mode)
    };
    match name {
        "prctl" if word(0) == PROBE => Call::Probe,
        "open" => open(at(CWD, 0, true), word(1), word(2)),
        "openat" => open(at(int(0), 1, true), word(2), word(3)),
        "creat" => open(at(CWD, 0, true), 0o1101, word(1)),
        "openat2" => Call::Open2(at(int(0), 1, true), a[2], a[3]),
        "unlink" => Call::Unlink(at(CWD, 0, false), false),
        "rmdir" => Call::Unlink(at(CWD, 0, false), true),
        // The kernel refuses other flags, whatever the path.
        "unlinkat" if word(2) & !REMOVEDIR != 0 => Call::Other,
        "linkat" if word(4) & !(FOLLOW | EMPTY_PATH) != 0 => Call::Other,
        "unlinkat" => Call::Unlink(at(int(0), 1, false), word(2) & REMOVEDIR != 0),
        "rename" => Call::Rename(at(CWD, 0, false), at(CWD, 1, false), 0),
        "renameat" => Call::Rename(at(int(0), 1, false), at(int(2), 3, false), 0),
        "renameat2" => Call::Rename(at(int(0), 1, false), at(int(2), 3, false), word(4)),
        "link" => Call::Link(at(CWD, 0, false), at(CWD, 1, false)),
        "linkat" => {
            let follow = word(4) & FOLLOW != 0;
            let empty = word(4) & EMPTY_PATH != 0;
            let from = At { dir: int(0), path: a[1], follow, empty };
            Call::Link(from, at(int(2), 3, false))
        }
        "truncate" => Call::Truncate(at(CWD, 0, true), a[1]),
        "truncate64" => Call::Truncate(at(CWD, 0, true), a[1] & 0xffff_ffff | a[2] << 32),
        "ftruncate" => Call::TruncateOpen(int(0), a[1]),
        "ftruncate64" => Call::TruncateOpen(int(0), a[1] & 0xffff_ffff | a[2] << 32),
        "fcntl" => Call::SetFlags(int(0), word(2)),
        "chdir" => Call::Enter(at(CWD, 0, true)),
        "fchdir" => Call::EnterOpen,
        "stat" | "stat64" | "access" => Call::Stat(at(CWD, 0, true)),
        "lstat" | "lstat64" | "readlink" => Call::Stat(at(CWD, 0, false)),
        "newfstatat" | "fstatat64" => Call::Stat(flagged(0, 1, 3)),
        "statx" => Call::Stat(flagged(0, 1, 2)),
        "faccessat" => Call::Stat(at(int(0), 1, true)),
        "faccessat2" => Call::Stat(flagged(0, 1, 3)),
        "readlinkat" => Call::Stat(at(int(0), 1, false)),
        "execve" => Call::Execute(at(CWD, 0, true)),
        "execveat" => Call::Execute(flagged(0, 1, 4)),
        "mkdir" | "mknod" => Call::Make(at(CWD, 0, false)),
        "symlink" => Call::Make(at(CWD, 1, false)),
        "mkdirat" | "mknodat" => Call::Make(at(int(0), 1, false)),
        "symlinkat" => Call::Make(at(int(1), 2, false)),
        "chmod" | "chown" | "chown32" => Call::Metadata(at(CWD, 0, true)),
        "lchown" | "lchown32" => Call::Metadata(at(CWD, 0, false)),
        "fchmodat" => Call::Metadata(at(int(0), 1, true)),
        "fchmodat2" => Call::Metadata(flagged(0, 1, 3)),
        "fchownat" => Call::Metadata(flagged(0, 1, 4)),
        "utimensat" if a[1] != 0 => Call::Metadata(flagged(0, 1, 3)),
        "connect" => Call::Connect(int(0), a[1], word(2)),
        "bind" => Call::Bind(int(0), a[1], word(2)),
        "sendto" if a[4] != 0 => Call::Connect(int(0), a[4], word(5)),
        _ => Call::Other,
    }
}

/// The flags and mode of a `struct open_how`, and its restrictions of the way.
#[must_use]
pub fn open_how(bytes: &[u8; 24]) -> Option<(u32, u32, u64)> {
    let word = |i: usize| {
        let mut word = [0; 8];
        word.copy_from_slice(bytes.get(i..i + 8)?);
        Some(u64::from_ne_bytes(word))
    };
    Some((u32::try_from(word(0)?).ok()?, u32::try_from(word(8)?).ok()?, word(16)?))
}

/// Whether an open makes a file shorter without being one to write: Landlock's right to write says
/// nothing about it (open(2) leaves it undefined; Linux does it).
#[must_use]
pub const fn only_truncates(flags: u32) -> bool {
    let writable = matches!(flags & 0o3, 0o1 | 0o2);
    flags & O_TRUNC != 0 && flags & O_PATH == 0 && !writable
}

/// Whether an open changes something.
#[must_use]
pub const fn writes(flags: u32) -> bool {
    flags & WRITING != 0 && flags & O_PATH == 0
}

#[cfg(test)]
mod tests;

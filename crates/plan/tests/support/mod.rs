//! Arbitrary plans and words, made from bytes: the property tests and the fuzz targets share them.
//!
//! Every plan made here is one that the parser can make: what it could not is left out by
//! construction (an empty path, a bind of a descriptor with device access, a NUL).
#![allow(dead_code)] // each test uses a part of it

use swathe_plan::Plan;
use swathe_plan::model::{
    Access, Allowance, BindSource, BoxPath, Bytes, CapOp, CgroupNamespace, EnvOp, FileOp,
    FileRights, Given, HostPath, IdRange, KernelVersion, Lifecycle, Limit, Listener, Namespaces,
    Origin, OverlayUpper, StandIn, Step, UserLimit, UserNamespace,
};
use swathe_plan::options::{Opt, TABLE};
use swathe_plan::tables::{ALL_CAPABILITIES, FILE_RIGHTS, MAX_USER_LIMIT, RESOURCES, USER_LIMITS};

/// Choices read from bytes; after their end every choice is the first one.
#[derive(Debug)]
pub struct Source<'a> {
    data: &'a [u8],
}

/// Paths that mean something to a parser or a resolver, and plain ones.
const PATHS: [&[u8]; 16] = [
    b"/",
    b"/a",
    b"/a/b",
    b"a",
    b"/usr",
    b"/usr/lib",
    b"/tmp/x/",
    b"//a//b",
    b"/a/../b",
    b"..",
    b".",
    b"/proc",
    b"/dev",
    b"-",
    b"--",
    b"/a b\n\\,:\xff",
];

/// Words that a parser may take for something.
const WORDS: [&[u8]; 8] = [b"", b"--", b"-", b"--bind", b"0", b"ALL", b"a=b", b"\xff\n"];

impl<'a> Source<'a> {
    /// Choices from `data`.
    pub fn new(data: &'a [u8]) -> Self {
        Self { data }
    }

    /// Whether no byte is left.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// What is left.
    pub fn rest(&self) -> &'a [u8] {
        self.data
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.data.split_first() else { return 0 };
        self.data = rest;
        first
    }

    /// A number below `bound`, which is 1 to 256.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound
    }

    /// Yes or no.
    pub fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    /// One of several.
    pub fn pick<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())].clone()
    }

    /// A number of any size up to `most`: small, at the bound, or anything between.
    pub fn number(&mut self, most: u64) -> u64 {
        match self.below(4) {
            0 => u64::from(self.byte()).min(most),
            1 => most - u64::from(self.byte()).min(most),
            _ => {
                let value = (0..8).fold(0, |n: u64, _| n << 8 | u64::from(self.byte()));
                if most == u64::MAX { value } else { value % (most + 1) }
            }
        }
    }

    /// Something or nothing.
    pub fn option<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if self.flag() { Some(make(self)) } else { None }
    }

    /// Up to `most` of something.
    pub fn list<T>(&mut self, most: usize, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let count = self.below(most + 1);
        (0..count).map(|_| make(self)).collect()
    }

    /// A word without NUL; it may be empty.
    pub fn word(&mut self) -> Bytes {
        match self.below(4) {
            0 => self.pick(&WORDS).to_vec(),
            1 => self.pick(&PATHS).to_vec(),
            _ => self.list(12, |s| s.byte().max(1)),
        }
    }

    /// A path: not empty, without NUL.
    pub fn path(&mut self) -> Bytes {
        let word = if self.flag() { self.word() } else { Bytes::new() };
        if word.is_empty() { self.pick(&PATHS).to_vec() } else { word }
    }

    fn dest(&mut self) -> BoxPath {
        BoxPath(self.path())
    }

    fn host(&mut self) -> HostPath {
        HostPath(self.path())
    }

    fn fd(&mut self) -> i32 {
        self.number(i32::MAX as u64) as i32
    }

    fn id(&mut self) -> u32 {
        self.number(i32::MAX as u64) as u32
    }

    fn perms(&mut self) -> Option<u32> {
        self.option(|s| s.number(0o7777) as u32)
    }

    fn size(&mut self) -> Option<u64> {
        self.option(|s| s.number(i64::MAX as u64).max(1))
    }
}

/// Where nothing stands: the origin of everything made here.
pub const NOWHERE: Origin = Origin { opt: Opt::Args, index: 0, args_fd: None };

/// The same plan without the positions of the words that asked for it.
pub fn without_origins(mut plan: Plan) -> Plan {
    plan.steps.iter_mut().for_each(|s| s.origin = NOWHERE);
    for filter in &mut plan.filters {
        filter.origin = Origin { opt: filter.origin.opt, ..NOWHERE };
    }
    plan
}

/// A plan.
pub fn plan(s: &mut Source<'_>) -> Plan {
    Plan {
        steps: s.list(12, |s| Step { op: file_op(s), origin: NOWHERE }),
        namespaces: namespaces(s),
        uid: s.option(Source::id),
        gid: s.option(Source::id),
        uid_ranges: s.list(2, range),
        gid_ranges: s.list(2, range),
        hostname: s.option(Source::word),
        default_tmpfs_size: s.size(),
        default_tmpfs_inodes: s.size(),
        env: s.list(4, env_op),
        caps: s.list(4, cap_op),
        filters: filters(s),
        exec_label: s.option(Source::word),
        file_label: s.option(Source::word),
        scope_signals: s.flag(),
        scope_abstract_sockets: s.flag(),
        handled_rights: s.option(file_rights).unwrap_or_default(),
        allowances: s.list(3, |s| Allowance { rights: file_rights(s), path: s.dest() }),
        listener: s.option(|s| Listener { filter: s.fd(), socket: s.fd() }),
        limits: s.list(3, limit),
        lifecycle: lifecycle(s),
        not_a_security_boundary: s.flag(),
        level_prefix: s.flag(),
        quiet_errors: s.flag(),
        json_errors_fd: s.option(Source::fd),
        chdir: s.option(Source::dest),
        argv0: s.option(Source::word),
        command: {
            let first = s.word();
            std::iter::once(first).chain(s.list(3, Source::word)).collect()
        },
        assume_kernel: s.option(|s| KernelVersion {
            major: s.number(u32::MAX.into()) as u32,
            minor: s.number(u32::MAX.into()) as u32,
        }),
    }
}

/// One operation on the file tree.
pub fn file_op(s: &mut Source<'_>) -> FileOp {
    match s.below(15) {
        0 => FileOp::Bind {
            source: BindSource::Path { path: s.host(), optional: s.flag() },
            dest: s.dest(),
            access: s.pick(&[Access::ReadOnly, Access::ReadWrite, Access::Device]),
        },
        1 => FileOp::Bind {
            source: BindSource::Fd(s.fd()),
            dest: s.dest(),
            access: s.pick(&[Access::ReadOnly, Access::ReadWrite]),
        },
        2 => FileOp::RemountReadOnly { dest: s.dest() },
        3 => overlay(s),
        4 => FileOp::Proc { dest: s.dest() },
        5 => FileOp::Dev { dest: s.dest() },
        6 => FileOp::Tmpfs { dest: s.dest(), perms: s.perms(), size: s.size(), inodes: s.size() },
        7 => FileOp::Mqueue { dest: s.dest() },
        8 => FileOp::Dir { dest: s.dest(), perms: s.perms() },
        9 => FileOp::File { fd: s.fd(), dest: s.dest(), perms: s.perms() },
        10 => {
            let (fd, dest, perms, read_only) = (s.fd(), s.dest(), s.perms(), s.flag());
            FileOp::BindData { fd, dest, perms, read_only }
        }
        11 => FileOp::Symlink { target: s.path(), dest: s.dest() },
        12 => FileOp::Chmod { mode: s.number(0o7777) as u32, path: s.dest() },
        13 => FileOp::Pin { dest: s.dest() },
        _ => {
            let stand_in = match s.below(3) {
                0 => StandIn::Unreadable,
                1 => StandIn::Directory,
                _ => StandIn::Text(b".".to_vec()),
            };
            FileOp::Mask { dest: s.dest(), stand_in }
        }
    }
}

fn overlay(s: &mut Source<'_>) -> FileOp {
    let mut layers = s.list(3, Source::host);
    let upper = match s.below(3) {
        0 => OverlayUpper::Host { upper: s.host(), work: s.host() },
        1 => OverlayUpper::Tmp,
        _ => OverlayUpper::None,
    };
    let least = if upper == OverlayUpper::None { 2 } else { 1 };
    while layers.len() < least {
        layers.push(HostPath(b"/layer".to_vec()));
    }
    FileOp::Overlay { layers, upper, dest: s.dest() }
}

fn namespaces(s: &mut Source<'_>) -> Namespaces {
    Namespaces {
        user: s.pick(&[UserNamespace::Implied, UserNamespace::Try, UserNamespace::New]),
        ipc: s.flag(),
        pid: s.flag(),
        net: s.flag(),
        uts: s.flag(),
        cgroup: s.pick(&[CgroupNamespace::Keep, CgroupNamespace::Try, CgroupNamespace::New]),
        join_user: s.option(Source::fd),
        join_user_after: s.option(Source::fd),
        join_pid: s.option(Source::fd),
        join_net: s.option(Source::fd),
        disable_user: s.flag(),
        assert_user_disabled: s.flag(),
        pid_max: s.option(|s| 301 + s.number(1000) as u32),
        user_limits: s.list(2, |s| UserLimit {
            kind: s.below(USER_LIMITS.len()) as u32,
            count: s.number(MAX_USER_LIMIT.into()) as u32,
        }),
        start_cgroup: s.option(Source::fd),
    }
}

fn range(s: &mut Source<'_>) -> IdRange {
    let (inside, outside) = (s.id(), s.id());
    // Both ends lie below 2^31.
    let most = (1 << 31) - inside.max(outside);
    IdRange { inside, outside, count: s.number(most.min(i32::MAX as u32).into()).max(1) as u32 }
}

fn env_name(s: &mut Source<'_>) -> Bytes {
    let name: Bytes = s.word().into_iter().filter(|&b| b != b'=').collect();
    if name.is_empty() { b"VAR".to_vec() } else { name }
}

fn env_op(s: &mut Source<'_>) -> EnvOp {
    match s.below(3) {
        0 => EnvOp::Clear,
        1 => EnvOp::Set { name: env_name(s), value: s.word() },
        _ => EnvOp::Unset { name: env_name(s) },
    }
}

fn cap_op(s: &mut Source<'_>) -> CapOp {
    let number = s.below(65);
    let mask = if number == 64 { ALL_CAPABILITIES } else { 1 << number };
    if s.flag() { CapOp::Add(mask) } else { CapOp::Drop(mask) }
}

fn filters(s: &mut Source<'_>) -> Vec<Given<i32>> {
    let (most, opt) = if s.flag() { (1, Opt::Seccomp) } else { (3, Opt::AddSeccompFd) };
    s.list(most, |s| Given { value: s.fd(), origin: Origin { opt, ..NOWHERE } })
}

/// At least one right.
fn file_rights(s: &mut Source<'_>) -> FileRights {
    let names: Vec<&str> = FILE_RIGHTS.iter().map(|r| r.name).filter(|_| s.flag()).collect();
    let names = if names.is_empty() {
        FILE_RIGHTS[s.below(FILE_RIGHTS.len())].name.into()
    } else {
        names.join(",")
    };
    FileRights::parse(names.as_bytes()).expect("names of the table")
}

fn limit(s: &mut Source<'_>) -> Limit {
    // u64::MAX is what "unlimited" stands for.
    let value = |s: &mut Source<'_>| s.option(|s| s.number(u64::MAX - 1));
    let (a, b) = (value(s), value(s));
    let above = a.unwrap_or(u64::MAX) > b.unwrap_or(u64::MAX);
    let (soft, hard) = if above { (b, a) } else { (a, b) };
    Limit { resource: s.below(RESOURCES.len()) as u32, soft, hard }
}

fn lifecycle(s: &mut Source<'_>) -> Lifecycle {
    Lifecycle {
        new_session: s.flag(),
        die_with_parent: s.flag(),
        as_pid_1: s.flag(),
        end_with_command: s.flag(),
        forward_signals: s.flag(),
        pty: s.flag(),
        sync_fds: s.list(2, Source::fd),
        lock_files: s.list(2, Source::dest),
        block_fd: s.option(Source::fd),
        userns_block_fd: s.option(Source::fd),
        info_fd: s.option(Source::fd),
        json_status_fd: s.option(Source::fd),
        close_fds: s.flag(),
        keep_fds: s.list(2, Source::fd),
        serve: s.option(Source::fd),
    }
}

/// A command line: mostly options with as many words as they take, mostly plausible.
pub fn command_line(s: &mut Source<'_>) -> Vec<Bytes> {
    let mut words = Vec::new();
    while !s.is_empty() && words.len() < 64 {
        if s.below(8) == 0 {
            words.push(s.word());
            continue;
        }
        let spec = &TABLE[s.below(TABLE.len())];
        words.push(spec.name.into());
        for _ in spec.arguments {
            let word = match s.below(4) {
                0 => s.number(u64::MAX).to_string().into_bytes(),
                1 => s.number(0o7777).to_string().into_bytes(),
                2 => s.path(),
                _ => s.word(),
            };
            words.push(word);
        }
    }
    words
}

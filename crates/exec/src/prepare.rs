//! Everything that can be worked out before the first process is made.

use crate::failure::{At, Failure, Result, Stage};
use crate::janitor::Janitor;
use crate::layout::{self, Target};
use crate::restrictions::{self, Listener};
use crate::terminal::Pty;
use alloc::borrow::Cow;
use alloc::ffi::CString;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::Cell;
use core::ffi::CStr;
use swathe_plan::check::{self, Caller};
use swathe_plan::model::{
    Access, BindSource, CgroupNamespace, FileOp, FileRights, KernelVersion, OverlayUpper, Plan,
    Step, UserLimit,
};
use swathe_plan::tables;
use swathe_sys::rustix::fd::AsFd;
use swathe_sys::rustix::fs::{self, CWD};
use swathe_sys::rustix::io::{FdFlags, fcntl_setfd};
use swathe_sys::rustix::process::Rlimit;
use swathe_sys::rustix::termios::isatty;
use swathe_sys::seccomp::Instruction;
use swathe_sys::{Errno, process, signal};

/// More operations than this may need more descriptors than a process can have.
const MANY: usize = 200;

/// What the new root starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// An empty tmpfs.
    Own,
    /// The first operation's source, which covers the root.
    Bound,
    /// The mount namespace's own copy of the host's tree: the first operation shows "/" at "/".
    InPlace(Access),
}

/// The terminal that standard output is.
#[derive(Debug)]
pub struct Terminal {
    /// Its name.
    pub path: CString,
    /// File system, inode and device number: another instance of devpts has the same names.
    pub identity: (u64, u64, u64),
}

/// What makes a terminal's file the one that it is.
pub fn identity(stat: &fs::Stat) -> (u64, u64, u64) {
    (stat.st_dev, stat.st_ino, stat.st_rdev)
}

/// How many processes a launch needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// None beside the command: the launcher becomes the command.
    Direct,
    /// A monitor outside.
    Monitored,
    /// A monitor outside and a reaper inside.
    Reaped,
}

/// A plan, ready to be executed.
#[derive(Debug)]
pub struct Prepared<'p> {
    /// The plan.
    pub plan: &'p Plan,
    /// Who starts it.
    pub caller: Caller,
    /// Whether a user namespace is made.
    pub new_user_ns: bool,
    /// Whether the sandbox has a pid namespace of its own (made or joined).
    pub own_pid_ns: bool,
    /// Ids in the namespace in which the set-up runs.
    pub first_ids: (u32, u32),
    /// Ids of the command.
    pub ids: (u32, u32),
    /// Whether a second user namespace is made after the set-up.
    pub second_user_ns: bool,
    /// Files of `/proc/sys/user` below procfs, and what is written there.
    pub user_limits: Vec<(CString, Vec<u8>)>,
    /// What `kernel.pid_max` is set to.
    pub pid_max: Option<Vec<u8>>,
    /// Whether the cgroup namespace is made by the sandbox's first process: one made by its clone
    /// would start where the launcher is, not in the cgroup that was asked for.
    pub late_cgroup_ns: bool,
    /// Where each operation goes.
    pub targets: Vec<Target>,
    /// The host path of each operation, or a link's text; empty where there is none.
    pub sources: Vec<CString>,
    /// What the root starts from.
    pub base: Base,
    /// Whether something needs a hidden tmpfs.
    pub needs_scratch: bool,
    /// For /dev/console.
    pub tty: Option<Terminal>,
    /// Capabilities of the command; `None`: those of the caller, untouched.
    pub caps: Option<u64>,
    /// Capabilities that stay in the bounding set; `None`: it is left alone.
    pub bounding: Option<u64>,
    /// Filters, in order.
    pub filters: Vec<Vec<Instruction>>,
    /// The filter that asks somebody outside.
    pub listener: Option<Listener>,
    /// The Landlock ABI to be used; 0: there is none.
    pub landlock_abi: u32,
    /// What Landlock gives back, at paths from the sandbox's root.
    pub allowances: Vec<(FileRights, CString)>,
    /// How many processes.
    pub shape: Shape,
    /// The command.
    pub command: Command,
    /// The limit of descriptors to put back before the command.
    pub limit: Cell<Option<Rlimit>>,
    /// Who removes the placeholders of masks.
    pub janitor: Option<Janitor>,
    /// The sandbox's own terminal.
    pub pty: Option<Pty>,
    /// Whether the caller ignores SIGPIPE, and so the command shall.
    pub sigpipe_ignored: bool,
}

impl Prepared<'_> {
    /// Whether somebody outside asked for the pid of the sandbox's first process, to look at it.
    pub fn is_watched(&self) -> bool {
        let life = &self.plan.lifecycle;
        life.info_fd.is_some() || life.json_status_fd.is_some()
    }

    /// Whether the sandbox's first process has to let itself be looked at. Not where it runs
    /// commands for others: it has what they have then, and nothing is to be got from it.
    pub fn is_open(&self) -> bool {
        self.is_watched() && self.plan.lifecycle.serve.is_none()
    }

    /// Whether the ids of the user namespace are mapped from outside.
    pub fn maps_are_external(&self) -> bool {
        self.new_user_ns
            && (self.plan.lifecycle.userns_block_fd.is_some() || check::has_ranges(self.plan))
    }
}

/// The command as execve(2) takes it.
#[derive(Debug)]
pub struct Command {
    /// The file names to try, in order.
    pub candidates: Vec<CString>,
    /// argv.
    pub argv: Vec<CString>,
    /// The environment without PWD.
    pub env: Vec<CString>,
    /// Working directories to try, in order, with the PWD that goes with each.
    pub directories: Vec<(CString, CString)>,
}

/// The text for `kernel.pid_max`. Kernels before 6.14 have one for the whole machine, which real root
/// can write from any namespace: they must not be asked.
fn pid_max(plan: &Plan) -> Result<Option<Vec<u8>>> {
    let Some(number) = plan.namespaces.pid_max else { return Ok(None) };
    let version = plan.assume_kernel.or_else(running_kernel);
    if version.is_none_or(|version| version < (KernelVersion { major: 6, minor: 14 })) {
        return Err(Failure::found(Stage::PidMaxKernel));
    }
    Ok(Some(number.to_string().into_bytes()))
}

fn running_kernel() -> Option<KernelVersion> {
    let name = swathe_sys::rustix::system::uname();
    let mut parts = name.release().to_bytes().split(|byte| !byte.is_ascii_digit());
    let mut next = || tables::decimal(parts.next()?).and_then(|n| u32::try_from(n).ok());
    Some(KernelVersion { major: next()?, minor: next()? })
}

/// Bytes as a C string.
pub fn c_string(bytes: &[u8]) -> CString {
    // Everything from argv, the environment and --args is free of NUL.
    CString::new(bytes).unwrap_or_default()
}

/// Works out everything for a plan that passed [`check::check`] and [`take_descriptors`].
///
/// `initial_caps`: the effective capabilities of the caller if it is root, else 0.
///
/// # Errors
/// A filter that is none, a terminal that cannot be opened.
pub fn prepare<'p>(
    plan: &'p Plan,
    caller: Caller,
    initial_caps: u64,
    env: &[&[u8]],
) -> Result<Prepared<'p>> {
    let ns = &plan.namespaces;
    let new_user_ns = check::makes_user_namespace(plan, caller);
    let ids = (plan.uid.unwrap_or(caller.uid), plan.gid.unwrap_or(caller.gid));
    let external_maps = plan.lifecycle.userns_block_fd.is_some();
    let ranges = check::has_ranges(plan);
    let needs_devpts = plan.steps.iter().any(|s| matches!(s.op, FileOp::Dev { .. }));
    // devpts can only be mounted where uid 0 is mapped. Newuidmap maps what it was told to.
    let first_ids =
        if new_user_ns && needs_devpts && !external_maps && !ranges { (0, 0) } else { ids };
    let second_user_ns = new_user_ns
        && !external_maps
        && (first_ids != ids || ns.disable_user || !ns.user_limits.is_empty());
    let caps = check::grantable(plan, caller, initial_caps);
    let in_user_ns = new_user_ns || ns.join_user.is_some();
    // Root that asks for what it does not have itself, such as ALL in a container, keeps what it has.
    let wanted = check::capabilities(plan, initial_caps) & tables::KNOWN_CAPABILITIES;
    let untouched = !in_user_ns && wanted & !initial_caps != 0 && caps == initial_caps;
    let base = match base(&plan.steps) {
        // An overlay's layers are looked up on the host's mounts, which must stay as they are; so
        // are the sources of very many mounts, which cannot all be opened before. A scratch tmpfs
        // lies over "/": a destination with ".." must not lead into it.
        Base::InPlace(_)
            if plan.steps.len() > MANY
                || plan
                    .steps
                    .iter()
                    .any(|s| matches!(s.op, FileOp::Overlay { .. }) || needs_scratch(&s.op)) =>
        {
            Base::Bound
        }
        base => base,
    };
    let env = check::environment(plan, env);
    let pty = if plan.lifecycle.pty { Some(Pty::open()?) } else { None };
    let shape = shape(plan, base);
    let landlock_abi = restrictions::landlock_abi(plan)?;
    Ok(Prepared {
        plan,
        caller,
        new_user_ns,
        own_pid_ns: ns.pid || ns.join_pid.is_some(),
        first_ids,
        ids,
        second_user_ns,
        pid_max: pid_max(plan)?,
        user_limits: ns.user_limits.iter().map(|limit| user_limit(plan, *limit)).collect(),
        late_cgroup_ns: ns.start_cgroup.is_some() && ns.cgroup != CgroupNamespace::Keep,
        targets: layout::targets(&plan.steps, base == Base::Own),
        sources: plan.steps.iter().map(source).collect(),
        base,
        needs_scratch: plan.steps.iter().any(|s| needs_scratch(&s.op)),
        tty: if needs_devpts { terminal(pty.as_ref())? } else { None },
        // Root's sandbox without a word on capabilities keeps what root has.
        caps: (caller.uid != 0 || !(plan.caps.is_empty() || untouched)).then_some(caps),
        bounding: in_user_ns.then_some(caps),
        filters: restrictions::filters(plan)?,
        listener: restrictions::listener(plan)?,
        landlock_abi,
        allowances: restrictions::allowances(plan),
        shape,
        limit: Cell::new(None),
        janitor: if has_masks(plan) { Some(Janitor::start()?) } else { None },
        pty,
        command: command(plan, &env)?,
        sigpipe_ignored: shape == Shape::Reaped && signal::is_sigpipe_ignored(),
    })
}

/// The file that sets a limit, and its text. The sandbox's own namespaces, which are made in the
/// user namespace that the limit counts for, come on top of what was asked for.
fn user_limit(plan: &Plan, limit: UserLimit) -> (CString, Vec<u8>) {
    let ns = &plan.namespaces;
    let name = tables::USER_LIMITS.get(limit.kind as usize).copied().unwrap_or_default();
    let own = match name {
        "max_mnt_namespaces" | "max_user_namespaces" => true,
        "max_pid_namespaces" => ns.pid,
        "max_net_namespaces" => ns.net,
        "max_ipc_namespaces" => ns.ipc,
        "max_uts_namespaces" => ns.uts,
        "max_cgroup_namespaces" => ns.cgroup != CgroupNamespace::Keep,
        _ => false,
    };
    let count = limit.count.saturating_add(u32::from(own));
    (c_string(&[b"sys/user/", name.as_bytes()].concat()), count.to_string().into_bytes())
}

fn base(steps: &[Step]) -> Base {
    let Some(Step { op: FileOp::Bind { source, dest, access }, .. }) = steps.first() else {
        return Base::Own;
    };
    if dest.0.iter().any(|&b| b != b'/') {
        return Base::Own;
    }
    match source {
        BindSource::Path { optional: true, .. } => Base::Own,
        BindSource::Path { path, .. } if path.0.iter().all(|&b| b == b'/') => {
            Base::InPlace(*access)
        }
        _ => Base::Bound,
    }
}

fn source(step: &Step) -> CString {
    match &step.op {
        FileOp::Bind { source: BindSource::Path { path, .. }, .. } => c_string(&path.0),
        FileOp::Symlink { target, .. } => c_string(target),
        _ => CString::default(),
    }
}

fn needs_scratch(op: &FileOp) -> bool {
    matches!(
        op,
        FileOp::BindData { .. }
            | FileOp::Mask { .. }
            | FileOp::Overlay { upper: OverlayUpper::Tmp, .. }
    )
}

fn has_masks(plan: &Plan) -> bool {
    plan.steps.iter().any(|s| matches!(s.op, FileOp::Mask { .. }))
}

/// A launch needs no process beside the command when nobody waits for anything but its end, and
/// when the host is visible as a whole, so that no missing part has to be explained afterwards.
fn shape(plan: &Plan, base: Base) -> Shape {
    let life = &plan.lifecycle;
    // Masks end with the process that holds them.
    let held = !life.lock_files.is_empty() || !life.sync_fds.is_empty() || has_masks(plan);
    let reaper = !life.as_pid_1 && (plan.namespaces.pid || held);
    if reaper {
        return Shape::Reaped;
    }
    let watched = plan.namespaces.pid
        || plan.namespaces.join_pid.is_some()
        || life.info_fd.is_some()
        || life.json_status_fd.is_some()
        || life.userns_block_fd.is_some()
        || life.die_with_parent
        || life.forward_signals
        // Only a process that leads no group can start a session.
        || life.new_session
        || life.pty
        // Only a process that is made can be made in a cgroup.
        || plan.namespaces.start_cgroup.is_some()
        || check::has_ranges(plan)
        || !matches!(base, Base::InPlace(_));
    if watched { Shape::Monitored } else { Shape::Direct }
}

/// Every descriptor that an option names, with the failure that it is if it is closed: in the words
/// of the step that would use it.
fn named(plan: &Plan) -> Vec<(i32, Failure)> {
    let (ns, life) = (&plan.namespaces, &plan.lifecycle);
    let single = [
        (ns.join_user, Stage::JoinUser),
        (ns.join_user_after, Stage::JoinUserAfter),
        (ns.join_pid, Stage::JoinPid),
        (ns.join_net, Stage::JoinNet),
        (ns.start_cgroup, Stage::Descriptor),
        (life.block_fd, Stage::Descriptor),
        (life.userns_block_fd, Stage::Descriptor),
        (life.info_fd, Stage::WriteInfo),
        (life.json_status_fd, Stage::WriteInfo),
        (life.serve, Stage::Descriptor),
        (plan.json_errors_fd, Stage::Descriptor),
    ];
    let mut all: Vec<(i32, Failure)> = Vec::new();
    let mut add = |number: i32, stage: Stage, op: Option<usize>| {
        let failure = Failure::found(stage).about(number.cast_unsigned());
        all.push((number, op.map_or(failure, |op| failure.in_op(op))));
    };
    for (number, stage) in single {
        if let Some(number) = number {
            add(number, stage, None);
        }
    }
    plan.filters.iter().for_each(|f| add(f.value, Stage::SeccompData, None));
    if let Some(listener) = plan.listener {
        add(listener.filter, Stage::SeccompData, None);
        add(listener.socket, Stage::Descriptor, None);
    }
    if !life.as_pid_1 {
        life.sync_fds.iter().for_each(|&fd| add(fd, Stage::Descriptor, None));
    }
    for (i, step) in plan.steps.iter().enumerate() {
        match step.op {
            FileOp::Bind { source: BindSource::Fd(fd), .. } => add(fd, Stage::Source, Some(i)),
            FileOp::File { fd, .. } | FileOp::BindData { fd, .. } => {
                add(fd, Stage::CopyData, Some(i));
            }
            _ => {}
        }
    }
    all
}

/// Makes sure that every named descriptor is open, before a descriptor of our own can take its
/// number, and that the command does not inherit it.
///
/// # Errors
/// A descriptor that is not open.
pub fn take_descriptors(plan: &Plan) -> Result<()> {
    for (number, failure) in named(plan) {
        let fd = process::borrow_fd(number);
        let marked = fd.and_then(|fd| fcntl_setfd(fd, FdFlags::CLOEXEC));
        // A closed source of a bind mount is a path of procfs that does not exist.
        let error = |e: Errno| if failure.stage == Stage::Source { Errno::NOENT } else { e };
        marked.map_err(|e| Failure { errno: error(e).raw_os_error(), ..failure })?;
    }
    let life = &plan.lifecycle;
    let kept = life.keep_fds.iter().chain(life.sync_fds.iter().filter(|_| life.as_pid_1));
    for &number in kept {
        let open = process::borrow_fd(number).at(Stage::Descriptor);
        open.map_err(|f| f.about(number.cast_unsigned()))?;
    }
    Ok(())
}

/// The terminal behind standard output, if it is one whose name leads back to it.
fn terminal(pty: Option<&Pty>) -> Result<Option<Terminal>> {
    let Ok(stdout) = process::borrow_fd(1) else { return Ok(None) };
    if !isatty(stdout.as_fd()) {
        return Ok(None);
    }
    if let Some(pty) = pty {
        return Ok(Some(Terminal { path: pty.path.clone(), identity: pty.identity }));
    }
    let path = fs::readlinkat(CWD, c"/proc/self/fd/1", Vec::new()).at(Stage::OpenProc)?;
    let own = identity(&fs::fstat(stdout).at(Stage::OpenProc)?);
    let named = fs::stat(&path).is_ok_and(|s| identity(&s) == own);
    Ok(named.then_some(Terminal { path, identity: own }))
}

fn command(plan: &Plan, env: &[Cow<'_, [u8]>]) -> Result<Command> {
    let name = plan.command.first().map_or(&[][..], Vec::as_slice);
    let mut argv: Vec<CString> = plan.command.iter().map(|w| c_string(w)).collect();
    if let (Some(first), Some(argv0)) = (argv.first_mut(), &plan.argv0) {
        *first = c_string(argv0);
    }
    let candidates = candidates(name, check::variable(env, "PATH"));
    let mut directories = Vec::new();
    let mut add = |dir: &[u8]| {
        directories.push((c_string(dir), c_string(&[b"PWD=", dir].concat())));
    };
    match &plan.chdir {
        Some(dir) => add(&dir.0),
        None => {
            if let Some(cwd) = working_directory(env) {
                add(&cwd);
            }
            if let Some(home) = check::variable(env, "HOME") {
                add(home);
            }
            add(b"/");
        }
    }
    let env = env.iter().filter(|e| !e.starts_with(b"PWD=")).map(|e| c_string(e)).collect();
    Ok(Command { candidates, argv, env, directories })
}

/// The file names that a command's name stands for, as execvp(3) has it.
pub fn candidates(name: &[u8], path: Option<&[u8]>) -> Vec<CString> {
    if name.contains(&b'/') || name.is_empty() {
        return vec![c_string(name)];
    }
    // The default is glibc's.
    let path = path.unwrap_or(b"/bin:/usr/bin");
    let join = |dir: &[u8]| match dir {
        b"" => c_string(name),
        dir => c_string(&[dir, b"/", name].concat()),
    };
    path.split(|&b| b == b':').map(join).collect()
}

/// The caller's working directory, by the name that PWD gives it if that is right (so that links
/// in it survive), else by the kernel's.
fn working_directory(env: &[Cow<'_, [u8]>]) -> Option<Vec<u8>> {
    if let Some(pwd) = check::variable(env, "PWD") {
        let here = fs::statat(CWD, c".", fs::AtFlags::empty());
        let named: &CStr = &c_string(pwd);
        let there = fs::statat(CWD, named, fs::AtFlags::empty());
        if let (Ok(a), Ok(b)) = (here, there)
            && (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino)
            && !pwd.is_empty()
        {
            return Some(pwd.to_vec());
        }
    }
    let cwd = swathe_sys::rustix::process::getcwd(Vec::new()).ok()?;
    // A directory that is not below "/" has a name that starts with "(unreachable)".
    cwd.to_bytes().starts_with(b"/").then(|| cwd.into_bytes())
}

//! The launcher: from the plan to the running sandbox.

use crate::child;
use crate::failure::{At, Failure, Result, Stage};
use crate::kernel::Kernel;
use crate::monitor::{self, Caller as CallerProcess};
use crate::prepare::{Prepared, Shape, prepare, take_descriptors};
use crate::relay::Signals;
use crate::wait::Channel;
use alloc::ffi::CString;
use alloc::format;
use alloc::vec::Vec;
use swathe_plan::check::{self, Caller};
use swathe_plan::model::{CgroupNamespace, KernelVersion, Plan};
use swathe_sys::process::{self, Fork, ns};
use swathe_sys::rustix::fd::OwnedFd;
use swathe_sys::rustix::fs;
use swathe_sys::rustix::process::{DumpableBehavior, WaitOptions, set_dumpable_behavior, waitpid};
use swathe_sys::rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use swathe_sys::{Errno, rustix, signal};

/// How a launch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The command was started and this is its exit status.
    Exited(i32),
    /// The same, but the status document could not be written.
    Unsaid {
        /// The exit status.
        code: i32,
        /// What went wrong.
        failure: Failure,
    },
    /// It was not started, or a step after its start failed and everything was ended.
    Failed {
        /// The step.
        failure: Failure,
        /// Whether this process is inside the sandbox now, under its filters.
        inside: bool,
    },
}

impl Outcome {
    /// A failure, seen from outside.
    pub fn failed(failure: Failure) -> Self {
        Self::Failed { failure, inside: false }
    }
}

/// Secures the launcher itself: first thing of all, before a word is looked at.
///
/// # Errors
/// When the executable is set-user-ID or the like.
pub fn secure() -> Result<()> {
    if swathe_sys::entry::has_two_ids() {
        return Err(Failure::found(Stage::Credentials));
    }
    if swathe_sys::entry::is_secure_exec() {
        return Err(Failure::found(Stage::FileCapabilities));
    }
    signal::reset_sigchld().at(Stage::NoNewPrivs)
}

/// No privileges by execve, for this process and all that it starts. Where ids are mapped by a
/// set-user-ID tool, the launcher runs that first.
pub(crate) fn no_new_privs() -> Result<()> {
    rustix::thread::set_no_new_privs(true).at(Stage::NoNewPrivs)
}

/// The capabilities that a sandbox of this caller starts from.
///
/// # Errors
/// When an ordinary user has capabilities: file capabilities on the executable, once.
pub fn initial_caps(uid: u32) -> Result<u64> {
    let caps = process::caps().at(Stage::Capabilities)?;
    match uid {
        0 => Ok(caps.effective),
        _ if caps.permitted != 0 => Err(Failure::found(Stage::FileCapabilities)),
        _ => Ok(0),
    }
}

/// Launches a sandbox and waits for its end. Where nothing has to wait, this process becomes the
/// command, and the function returns only a failure.
pub fn launch(plan: &Plan, caller: Caller, caps: u64, env: &[&[u8]]) -> Outcome {
    // Before any descriptor of ours: one of those named may be closed, and its number free.
    let early = if check::has_ranges(plan) { Ok(()) } else { no_new_privs() };
    let proc_fd = early.and_then(|()| take_descriptors(plan)).and_then(|()| child::open_proc());
    let ready = proc_fd.and_then(|fd| Ok((fd, prepare(plan, caller, caps, env)?)));
    let (proc_fd, prepared) = match ready {
        Ok(ready) => ready,
        Err(failure) => return Outcome::failed(failure),
    };
    if prepared.shape == Shape::Direct {
        let inside = !prepared.filters.is_empty() || prepared.listener.is_some();
        return Outcome::Failed { failure: direct(&prepared, proc_fd), inside };
    }
    let outcome = monitored(&prepared, proc_fd).unwrap_or_else(Outcome::failed);
    // The monitor has closed by number what it does not need: nothing of it may be closed again.
    core::mem::forget(prepared);
    outcome
}

/// Namespaces that the new process gets by its clone.
fn flags(prepared: &Prepared<'_>, cgroup: bool) -> u32 {
    let namespaces = &prepared.plan.namespaces;
    let wanted = [
        (true, ns::MOUNT),
        (prepared.new_user_ns, ns::USER),
        (namespaces.pid, ns::PID),
        (namespaces.net, ns::NET),
        (namespaces.ipc, ns::IPC),
        (namespaces.uts, ns::UTS),
        (
            cgroup && namespaces.cgroup != CgroupNamespace::Keep && !prepared.late_cgroup_ns,
            ns::CGROUP,
        ),
    ];
    wanted.iter().filter(|(on, _)| *on).fold(0, |all, (_, flag)| all | flag)
}

/// Calls `make` with the namespaces to make; once more without the cgroup namespace where that one
/// was only to be tried. Returns whether it has been made.
fn with_namespaces<T>(
    prepared: &Prepared<'_>,
    mut make: impl FnMut(u32) -> core::result::Result<T, Errno>,
) -> Result<(T, bool)> {
    let first = make(flags(prepared, true));
    if first.as_ref().is_err_and(|e| *e == Errno::INVAL)
        && prepared.plan.namespaces.join_pid.is_some()
    {
        // A pid namespace can only have one below it that belongs to a user namespace below its
        // own.
        return first.map(|made| (made, true)).at(Stage::BelowPid);
    }
    let optional = prepared.plan.namespaces.cgroup == CgroupNamespace::Try;
    match first {
        // Not for another reason: whether the kernel has the kind can be seen.
        Err(Errno::INVAL) if optional && !has_cgroup_namespaces() => {
            make(flags(prepared, false)).map(|made| (made, false)).at(Stage::Clone)
        }
        other => {
            other.map(|made| (made, true)).at(Stage::Clone).map_err(|f| in_cgroup(prepared, f))
        }
    }
}

/// A clone into a cgroup fails for reasons of its own: those that a clone into namespaces does not
/// know.
fn in_cgroup(prepared: &Prepared<'_>, failure: Failure) -> Failure {
    let own = [
        Errno::NOSYS,
        Errno::TOOBIG,
        Errno::ACCESS,
        Errno::BUSY,
        Errno::NODEV,
        Errno::NOENT,
        Errno::OPNOTSUPP,
        Errno::BADF,
    ];
    match failure.error() {
        Some(error) if prepared.plan.namespaces.start_cgroup.is_some() && own.contains(&error) => {
            Failure { stage: Stage::Cgroup, ..failure }
        }
        _ => failure,
    }
}

/// The first process of the sandbox, in its namespaces and, where one was asked for, in its cgroup.
fn make(prepared: &Prepared<'_>, flags: u32, sibling: bool) -> core::result::Result<Fork, Errno> {
    match prepared.plan.namespaces.start_cgroup {
        Some(number) => process::fork_into(process::borrow_fd(number)?, flags, sibling),
        None => process::fork(flags, sibling),
    }
}

/// Makes sure that the descriptor for the sandbox's cgroup is a directory of cgroup v2, on a kernel
/// that can start a process there.
fn check_cgroup(plan: &Plan) -> Result<()> {
    const CGROUP2_SUPER_MAGIC: u64 = 0x6367_7270;
    const CLONE_INTO_CGROUP: KernelVersion = KernelVersion { major: 5, minor: 7 };
    let Some(number) = plan.namespaces.start_cgroup else { return Ok(()) };
    if plan.assume_kernel.is_some_and(|version| version < CLONE_INTO_CGROUP) {
        return Err(Errno::NOSYS).at(Stage::Cgroup);
    }
    let fd = process::borrow_fd(number).at(Stage::Cgroup)?;
    let found = rustix::fs::fstatfs(fd).at(Stage::Cgroup)?;
    if found.f_type as u64 != CGROUP2_SUPER_MAGIC {
        return Err(Failure::found(Stage::CgroupKind).about(number.cast_unsigned()));
    }
    Ok(())
}

fn has_cgroup_namespaces() -> bool {
    rustix::fs::stat("/proc/self/ns/cgroup").err() != Some(Errno::NOENT)
}

/// Joins what has to be joined before the clone.
fn join(prepared: &Prepared<'_>, proc_fd: &OwnedFd) -> Result<()> {
    let namespaces = &prepared.plan.namespaces;
    if namespaces.join_user.is_some() {
        // Others who are in that namespace, with capabilities, must not take over a process that
        // still has the host's root and descriptors (CVE-2016-9962). Execve ends this.
        set_dumpable_behavior(DumpableBehavior::NotDumpable).at(Stage::Dumpable)?;
    }
    let joins = [
        (namespaces.join_user, LinkNameSpaceType::User, Stage::JoinUser),
        (namespaces.join_net, LinkNameSpaceType::Network, Stage::JoinNet),
        (namespaces.join_pid, LinkNameSpaceType::ProcessID, Stage::JoinPid),
    ];
    for (number, kind, stage) in joins {
        if let Some(number) = number {
            let fd = process::borrow_fd(number).at(stage)?;
            move_into_link_name_space(fd, Some(kind)).at(stage)?;
        }
    }
    check_last(prepared, proc_fd)
}

/// The last user namespace is joined from inside, when all else is done. A descriptor that is none
/// is refused here, before anything is changed or said in a document.
fn check_last(prepared: &Prepared<'_>, proc_fd: &OwnedFd) -> Result<()> {
    let Some(number) = prepared.plan.namespaces.join_user_after else { return Ok(()) };
    let fd = process::borrow_fd(number).at(Stage::JoinUserAfter)?;
    // The errors are those of setns(2).
    if fs::fcntl_getfl(fd).is_ok_and(|flags| flags.contains(fs::OFlags::PATH)) {
        return Err(Errno::BADF).at(Stage::JoinUserAfter);
    }
    let link = CString::new(format!("self/fd/{number}")).unwrap_or_default();
    let name = fs::readlinkat(proc_fd, &link, Vec::new()).at(Stage::JoinUserAfter)?;
    if !name.to_bytes().starts_with(b"user:[") {
        return Err(Errno::INVAL).at(Stage::JoinUserAfter);
    }
    Ok(())
}

fn direct(prepared: &Prepared<'_>, proc_fd: OwnedFd) -> Failure {
    let run = || {
        join(prepared, &proc_fd)?;
        with_namespaces(prepared, child::unshare)?;
        child::set_up(prepared, proc_fd, Kernel::probe(prepared.plan.assume_kernel))
    };
    match run() {
        Ok(()) => child::run_command(prepared, child::Inherited::Nothing),
        Err(failure) => failure,
    }
}

fn monitored(prepared: &Prepared<'_>, proc_fd: OwnedFd) -> Result<Outcome> {
    let life = &prepared.plan.lifecycle;
    let caller = if life.die_with_parent { CallerProcess::find()? } else { CallerProcess::none() };
    check_cgroup(prepared.plan)?;
    crate::serve::check(prepared.plan)?;
    let (ours, theirs) = Channel::pair()?;
    // The sandbox's first process waits where somebody has to act, or read, before it goes on.
    let go = life.info_fd.is_some()
        || life.json_status_fd.is_some()
        || life.userns_block_fd.is_some()
        || swathe_plan::check::has_ranges(prepared.plan);
    let relayed = life.forward_signals || life.pty;
    let signals = if relayed { Some(Signals::hold()?) } else { None };
    if relayed {
        ours.tell_senders()?;
    }
    join(prepared, &proc_fd)?;
    let nested = prepared.plan.namespaces.join_pid.is_some() && prepared.plan.namespaces.pid;
    let (made, cgroup) = if nested {
        clone_below(prepared)?
    } else {
        with_namespaces(prepared, |flags| make(prepared, flags, false))?
    };
    match made {
        Fork::Child => {
            drop(ours);
            child::main(prepared, theirs, proc_fd, go, signals)
        }
        Fork::Parent(pid) => {
            drop(theirs);
            let sandbox = monitor::Sandbox { prepared, pid, channel: ours, caller, signals };
            Ok(sandbox.run(proc_fd, go, cgroup))
        }
    }
}

/// A pid namespace below a joined one: whoever makes it must be in the joined one already, so a
/// process in between makes it, as our child (`CLONE_PARENT`), says its pid and ends.
fn clone_below(prepared: &Prepared<'_>) -> Result<(Fork, bool)> {
    let between = match process::fork(0, false).at(Stage::Clone)? {
        Fork::Parent(pid) => pid,
        Fork::Child => {
            let made = with_namespaces(prepared, |flags| make(prepared, flags, true));
            match made {
                Ok((Fork::Child, cgroup)) => return Ok((Fork::Child, cgroup)),
                // The pid is one of the joined namespace; the launcher finds its own name for it.
                Ok((Fork::Parent(_), cgroup)) => process::exit(if cgroup { 0 } else { 2 }),
                Err(failure) => {
                    process::exit(3 + failure.errno.clamp(0, 200));
                }
            }
        }
    };
    let pid = rustix::process::Pid::from_raw(between);
    let status = loop {
        match waitpid(pid, WaitOptions::empty()) {
            Err(Errno::INTR) => {}
            other => break other.at(Stage::Wait)?,
        }
    };
    let code = status.and_then(|(_, status)| status.exit_status()).unwrap_or(3);
    if code >= 3 {
        let errno = code - 3;
        let stage =
            if errno == Errno::INVAL.raw_os_error() { Stage::BelowPid } else { Stage::Clone };
        return Err(in_cgroup(prepared, Failure { stage, errno, op: None, detail: 0 }));
    }
    let pid = monitor::only_child().at(Stage::Wait)?;
    Ok((Fork::Parent(pid), code == 0))
}

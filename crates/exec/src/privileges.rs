//! Capabilities, limits, the Landlock domain, filters: what is taken away last.

use crate::failure::{At, Failure, Result, Stage};
use crate::prepare::{Prepared, Shape};
use crate::restrictions::Listener;
use core::ffi::CStr;
use swathe_plan::model::FileRights;
use swathe_sys::landlock::Ruleset;
use swathe_sys::process::{
    Caps, borrow_fd, close_fd, drop_bounding, knows_capability, raise_ambient, set_caps,
};
use swathe_sys::rustix::fd::{AsFd as _, BorrowedFd};
use swathe_sys::rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat};
use swathe_sys::rustix::process::{
    DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit,
};
use swathe_sys::socket::send_descriptor;
use swathe_sys::{Errno, landlock, seccomp};

/// One more than the highest capability number that capset(2) can express.
const MAX_CAPABILITIES: u32 = 64;

/// Removes what the command may not have from the bounding set of a new user namespace, which
/// starts full. Needs CAP_SETPCAP.
pub fn limit_bounding(prepared: &Prepared<'_>) -> Result<()> {
    let Some(keep) = prepared.bounding else { return Ok(()) };
    for cap in (0..MAX_CAPABILITIES).filter(|cap| keep & (1 << cap) == 0) {
        match drop_bounding(cap) {
            Ok(()) => {}
            // The kernel knows no capability of this number, nor any above.
            Err(Errno::INVAL) if !knows_capability(cap) => break,
            Err(e) => return Err(e).at(Stage::Bounding).map_err(|f| f.about(cap)),
        }
    }
    Ok(())
}

/// Gives the calling process exactly the command's capabilities.
pub fn command_caps(prepared: &Prepared<'_>) -> Result<()> {
    let Some(caps) = prepared.caps else { return Ok(()) };
    set_caps(Caps { effective: caps, permitted: caps, inheritable: caps })
        .at(Stage::Capabilities)?;
    for cap in (0..MAX_CAPABILITIES).filter(|cap| caps & (1 << cap) != 0) {
        match raise_ambient(cap) {
            Ok(()) => {}
            // Unknown to this kernel, as are those above; or forbidden by securebits.
            Err(Errno::INVAL) if !knows_capability(cap) => break,
            Err(Errno::PERM) => {}
            Err(e) => return Err(e).at(Stage::Ambient).map_err(|f| f.about(cap)),
        }
    }
    Ok(())
}

/// A capability that means nothing outside the initial user namespace.
const CAP_AUDIT_READ: u64 = 1 << 37;

/// Drops all capabilities, for processes of ours that need none. Some old containers forbid
/// capset(2) to root; that is no reason to go on where the sandbox is there for protection.
///
/// One stays where somebody outside asked for this process's pid, to look at its namespaces, and so
/// it cannot be made undumpable: CAP_AUDIT_READ, permitted only, which means nothing outside the
/// initial user namespace. By cap_ptrace_access_check() a process may look into another only if it
/// has all capabilities that the other is permitted; the command lacks this one. The owner of the
/// user namespace, outside, has CAP_SYS_PTRACE over it and is not hindered.
pub fn no_caps(prepared: &Prepared<'_>) -> Result<()> {
    let permitted =
        if prepared.is_open() && prepared.bounding.is_some() { CAP_AUDIT_READ } else { 0 };
    match set_caps(Caps { permitted, ..Caps::default() }) {
        Err(Errno::PERM) if prepared.plan.not_a_security_boundary => Ok(()),
        other => other.at(Stage::Capabilities),
    }
}

/// Makes the capabilities of this process ineffective for a while; returns what [`take_up`] needs.
pub fn set_aside(prepared: &Prepared<'_>) -> Result<Caps> {
    let caps = swathe_sys::process::caps().at(Stage::Capabilities)?;
    match set_caps(Caps { effective: 0, ..caps }) {
        Err(Errno::PERM) if prepared.plan.not_a_security_boundary => Ok(caps),
        other => other.at(Stage::Capabilities).map(|()| caps),
    }
}

/// Makes them effective again. Where they could not be set aside, they are in effect already.
pub fn take_up(caps: Caps) -> Result<()> {
    match set_caps(caps) {
        Err(Errno::PERM) if swathe_sys::process::caps().is_ok_and(|now| now == caps) => Ok(()),
        other => other.at(Stage::Capabilities),
    }
}

/// Puts the limit of descriptors back that the set-up raised, and sets those asked for.
pub fn limits(prepared: &Prepared<'_>) -> Result<()> {
    if let Some(limit) = prepared.limit.get() {
        setrlimit(Resource::Nofile, limit).at(Stage::Rlimit).map_err(|f| f.about(7))?;
    }
    for limit in &prepared.plan.limits {
        let Some(resource) = RESOURCES.get(limit.resource as usize) else { continue };
        let value = Rlimit { current: limit.soft, maximum: limit.hard };
        setrlimit(*resource, value).at(Stage::Rlimit).map_err(|f| f.about(limit.resource))?;
    }
    Ok(())
}

/// By the numbers of `swathe_plan::tables::RESOURCES`.
const RESOURCES: [Resource; 16] = [
    Resource::Cpu,
    Resource::Fsize,
    Resource::Data,
    Resource::Stack,
    Resource::Core,
    Resource::Rss,
    Resource::Nproc,
    Resource::Nofile,
    Resource::Memlock,
    Resource::As,
    Resource::Locks,
    Resource::Sigpending,
    Resource::Msgqueue,
    Resource::Nice,
    Resource::Rtprio,
    Resource::Rttime,
];

/// Enters a Landlock domain that has the scopes and the rights on files asked for, and nothing
/// else.
pub fn domain(prepared: &Prepared<'_>) -> Result<()> {
    let plan = prepared.plan;
    let mut scopes = 0;
    if plan.scope_signals {
        scopes |= landlock::SCOPE_SIGNAL;
    }
    if plan.scope_abstract_sockets {
        scopes |= landlock::SCOPE_ABSTRACT_UNIX_SOCKET;
    }
    if scopes == 0 && plan.handled_rights.is_empty() {
        return private_pid_1(prepared);
    }
    if scopes != 0 && prepared.landlock_abi < landlock::ABI_SCOPES {
        return Err(Errno::OPNOTSUPP).at(Stage::Landlock);
    }
    let rules = Ruleset::new(plan.handled_rights.bits(), scopes).at(Stage::Landlock)?;
    for (i, (rights, path)) in prepared.allowances.iter().enumerate() {
        allow(&rules, *rights, path).at(Stage::LandlockPath).map_err(|f| f.about(i as u32))?;
    }
    rules.enter().at(Stage::Landlock)
}

fn allow(rules: &Ruleset, rights: FileRights, path: &CStr) -> core::result::Result<(), Errno> {
    let place = openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    let directory = FileType::from_raw_mode(fstat(&place)?.st_mode) == FileType::Directory;
    let rights = if directory { rights } else { rights.of_files() };
    // The kernel refuses a rule that gives nothing.
    if rights.is_empty() { Ok(()) } else { rules.allow(rights.bits(), place.as_fd()) }
}

/// Keeps a command that has capabilities from looking into a pid 1 that somebody outside wants to
/// look at: the capability that pid 1 keeps is no hurdle then (see [`no_caps`]). A process in a
/// Landlock domain cannot look into one outside of it, whatever its capabilities; the scope of
/// signals concerns pid 1 alone, which takes none. Only where the kernel has it.
fn private_pid_1(prepared: &Prepared<'_>) -> Result<()> {
    let capable = prepared.caps.is_none_or(|caps| caps & CAP_AUDIT_READ != 0);
    let concerned = prepared.is_open()
        && prepared.shape == Shape::Reaped
        && prepared.plan.namespaces.pid
        && prepared.bounding.is_some();
    if !capable || !concerned || landlock::abi() < landlock::ABI_SCOPES {
        return Ok(());
    }
    let rules = Ruleset::new(0, landlock::SCOPE_SIGNAL).at(Stage::Landlock)?;
    rules.enter().at(Stage::Landlock)
}

/// Loads the filters, in order. Nothing but execve may follow.
pub fn filters(prepared: &Prepared<'_>) -> Result<()> {
    for (i, program) in prepared.filters.iter().enumerate() {
        seccomp::load(program).at(Stage::Seccomp).map_err(|f: Failure| f.about(i as u32))?;
    }
    Ok(())
}

/// Loads all filters, that of the listener last. Nothing but execve may follow.
pub fn all_filters(prepared: &Prepared<'_>) -> Result<()> {
    let Some(listener) = &prepared.listener else { return filters(prepared) };
    let socket = borrow_fd(listener.socket).at(Stage::ListenerSend)?;
    filters(prepared)?;
    listen(listener, socket)
}

/// Loads the filter that asks somebody outside, gives that one its listener, and makes sure that it
/// listens: from then on what the filter traps is done only if it is answered. What is called here
/// in between is what the filter must not trap.
fn listen(listener: &Listener, socket: BorrowedFd<'_>) -> Result<()> {
    let fd = seccomp::load_listener(&listener.program).at(Stage::Listener)?;
    let sent = send_descriptor(socket, fd.as_fd()).at(Stage::ListenerSend);
    // A copy here would keep up the appearance that somebody listens.
    drop(fd);
    close_fd(listener.socket);
    sent?;
    // Who answers wants to look at the finished tree, /proc/PID/root, which needs a process that is
    // dumpable. Nothing that could make use of it runs in the sandbox yet.
    set_dumpable_behavior(DumpableBehavior::Dumpable).at(Stage::Dumpable)?;
    let answered = seccomp::probe_listener();
    set_dumpable_behavior(DumpableBehavior::NotDumpable).at(Stage::Dumpable)?;
    match answered.at(Stage::ListenerProbe)? {
        true => Ok(()),
        false => Err(Failure::found(Stage::ListenerProbe)),
    }
}

/// The SELinux label that execve gives to the command (`/proc/self/attr/exec`).
pub fn exec_label(label: &[u8]) -> Result<()> {
    write_attribute(c"/proc/self/attr/exec", label, Stage::Label)
}

/// The SELinux label of what this process creates from now on; none: the policy's choice again.
pub fn file_label(label: &[u8]) -> Result<()> {
    write_attribute(c"/proc/self/attr/fscreate", label, Stage::FileLabel)
}

fn write_attribute(path: &CStr, label: &[u8], stage: Stage) -> Result<()> {
    let file = openat(CWD, path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()).at(stage)?;
    swathe_sys::rustix::io::write(&file, label).map(drop).at(stage)
}

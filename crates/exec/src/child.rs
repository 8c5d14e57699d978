//! The set-up, inside the new namespaces, up to the command.

use crate::failure::{At, Failure, Message, Result, Stage};
use crate::files::mounts::Mounter;
use crate::kernel::Kernel;
use crate::prepare::{Command, Prepared, Shape};
use crate::relay::Signals;
use crate::terminal::Pty;
use crate::wait::Channel;
use crate::{files, ids, privileges};
use core::ffi::CStr;
use swathe_sys::process::{StringArray, borrow_fd, execve, ns, set_ids, umask};
use swathe_sys::rustix::fd::{AsFd, AsRawFd, OwnedFd};
use swathe_sys::rustix::fs::{self, CWD, Mode, OFlags};
use swathe_sys::rustix::process::{Signal, chdir, set_parent_process_death_signal, setsid};
use swathe_sys::rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use swathe_sys::{Errno, net, rustix};

/// Where the command starts: an index into the prepared directories.
pub type Directory = usize;

/// Unshares namespaces from the calling process (unshare(2)); one thread, so nothing else changes.
pub fn unshare(flags: u32) -> core::result::Result<(), Errno> {
    let flags = rustix::thread::UnshareFlags::from_bits_retain(flags);
    // The one flag with which unshare can break memory safety, CLONE_FILES, is not among ours.
    swathe_sys::process::unshare(flags)
}

/// The set-up of a process that is in its new namespaces. `umask` is the caller's.
pub fn set_up(prepared: &Prepared<'_>, proc_fd: OwnedFd, kernel: Kernel) -> Result<()> {
    let plan = prepared.plan;
    let mounter = Mounter::new(kernel, proc_fd);
    map_ids(prepared, &mounter)?;
    if plan.namespaces.join_user.is_some() {
        let (uid, gid) = (prepared.ids.0, prepared.ids.1);
        let gid = (gid != prepared.caller.gid).then_some(gid);
        let uid = (uid != prepared.caller.uid).then_some(uid);
        // The group first: a change of the user may take the right to change the group.
        let group = set_ids(None, gid).at(Stage::SwitchIds);
        set_ids(uid, None).at(Stage::SwitchIds).map_err(|f| f.about(1))?;
        group?;
    }
    if plan.namespaces.net {
        net::loopback_up().at(Stage::Loopback)?;
    }
    if let Some(name) = &plan.hostname {
        rustix::system::sethostname(name).at(Stage::Hostname)?;
    }
    if let Some(text) = &prepared.pid_max {
        // Of the namespace that this process is in, whichever procfs it is written through.
        ids::write_proc(mounter.proc_fd(), c"sys/kernel/pid_max", text).at(Stage::PidMax)?;
    }
    let mask = umask(0);
    if let Some(label) = &plan.file_label {
        privileges::file_label(label)?;
    }
    files::set_up(&mounter, prepared)?;
    umask(mask);
    last_user_namespace(prepared, &mounter)?;
    if plan.namespaces.disable_user || plan.namespaces.assert_user_disabled {
        assert_user_namespaces_disabled()?;
    }
    privileges::limit_bounding(prepared)?;
    if let Some(fd) = plan.lifecycle.block_fd {
        block(fd)?;
    }
    if plan.lifecycle.new_session && !plan.lifecycle.pty {
        setsid().at(Stage::Setsid)?;
    }
    Ok(())
}

fn map_ids(prepared: &Prepared<'_>, mounter: &Mounter) -> Result<()> {
    if !prepared.new_user_ns {
        return Ok(());
    }
    if prepared.maps_are_external() {
        // That somebody has done it is checked before anything is made.
        return Ok(());
    }
    let outside = (prepared.caller.uid, prepared.caller.gid);
    ids::map_self(mounter.proc_fd(), prepared.first_ids, outside, true)
}

/// The namespace that the command runs in, where it is another than that of the set-up.
fn last_user_namespace(prepared: &Prepared<'_>, mounter: &Mounter) -> Result<()> {
    let plan = prepared.plan;
    if let Some(fd) = plan.namespaces.join_user_after {
        let fd = borrow_fd(fd).at(Stage::JoinUserAfter)?;
        move_into_link_name_space(fd, Some(LinkNameSpaceType::User)).at(Stage::JoinUserAfter)?;
    }
    if !prepared.second_user_ns {
        return Ok(());
    }
    if plan.namespaces.disable_user {
        // The limit counts namespaces below this one: the sandbox's own uses it up, and it cannot
        // raise a limit of an outer one.
        ids::write_proc(mounter.proc_fd(), c"sys/user/max_user_namespaces", b"1")
            .at(Stage::UserLimit)?;
    }
    for (i, (path, text)) in prepared.user_limits.iter().enumerate() {
        ids::write_proc(mounter.proc_fd(), path, text)
            .at(Stage::UserLimit)
            .map_err(|f| f.about(i as u32 + 1))?;
    }
    unshare(ns::USER).at(Stage::UnshareUser)?;
    // setgroups is denied in the namespace above already, which is inherited.
    ids::map_self(mounter.proc_fd(), prepared.ids, prepared.first_ids, false)
}

fn assert_user_namespaces_disabled() -> Result<()> {
    match unshare(ns::USER) {
        Ok(()) => Err(Failure::found(Stage::UserNotDisabled)),
        Err(_) => Ok(()),
    }
}

/// Waits for a byte or the end of file.
fn block(number: i32) -> Result<()> {
    let fd = borrow_fd(number).at(Stage::Block)?;
    let mut byte = [0];
    loop {
        match rustix::io::read(fd, &mut byte) {
            Err(Errno::INTR) => {}
            other => return other.map(drop).at(Stage::Block),
        }
    }
}

fn enter_directory(command: &Command) -> Result<Directory> {
    // A relative name counts from the root, also where the old working directory was kept.
    let directories = &command.directories;
    if directories.iter().any(|(dir, _)| !dir.to_bytes().starts_with(b"/")) {
        chdir(c"/").at(Stage::Chdir)?;
    }
    let mut last = Errno::NOENT;
    for (i, (dir, _)) in directories.iter().enumerate() {
        match chdir(dir) {
            Ok(()) => return Ok(i),
            Err(e) => last = e,
        }
    }
    Err(last).at(Stage::Chdir)
}

/// Arms, or with `false` disarms, the signal that kills this process when its parent ends.
pub fn die_with_parent(on: bool) -> Result<()> {
    set_parent_process_death_signal(on.then_some(Signal::KILL)).at(Stage::DeathSignal)
}

/// What of the last steps the process has done from which this one was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Inherited {
    /// Nothing.
    Nothing,
    /// It has the command's capabilities.
    Capabilities,
    /// It is in the command's Landlock domain, too.
    Domain,
    /// It is under the filters, too.
    Filters,
    /// And it has no descriptor but what the command gets and what is
    /// closed on exec.
    Everything,
}

/// The last steps of the process that becomes the command, then the command.
/// Returns only what failed.
pub fn run_command(prepared: &Prepared<'_>, inherited: Inherited) -> Failure {
    match last_steps(prepared, &prepared.command, inherited) {
        Ok(directory) => exec(&prepared.command, directory),
        Err(failure) => failure,
    }
}

/// Everything but the exec of a command, which may be another one than the plan's.
pub fn last_steps(
    prepared: &Prepared<'_>,
    command: &Command,
    inherited: Inherited,
) -> Result<Directory> {
    if let Some(label) = &prepared.plan.exec_label {
        crate::privileges::exec_label(label)?;
    }
    if inherited < Inherited::Capabilities {
        privileges::command_caps(prepared)?;
    }
    // Not before: a directory that the command may not enter is not one to start it in.
    let directory = enter_directory(command)?;
    if prepared.plan.lifecycle.close_fds && inherited < Inherited::Everything {
        let keep = &prepared.plan.lifecycle.keep_fds;
        crate::wait::close_all(keep, true).at(Stage::CloseFds)?;
    }
    if inherited < Inherited::Domain {
        privileges::domain(prepared)?;
    }
    // Not before: a limit of descriptors must not hinder the steps above.
    privileges::limits(prepared)?;
    if inherited < Inherited::Filters {
        privileges::all_filters(prepared)?;
    }
    Ok(directory)
}

/// execvp(3), with the strings prepared: each candidate in turn, a file of unknown format by the
/// shell.
pub fn exec(command: &Command, directory: Directory) -> Failure {
    let pwd = &command.directories[directory].1;
    let env = StringArray::new(command.env.iter().chain([pwd]).map(|s| s.as_c_str()));
    let argv = StringArray::new(command.argv.iter().map(|s| s.as_c_str()));
    let mut result = Errno::NOENT;
    let mut denied = false;
    for path in &command.candidates {
        let mut error = execve(path, &argv, &env);
        if error == Errno::NOEXEC {
            let rest = command.argv.iter().skip(1).map(|s| s.as_c_str());
            let words = [c"/bin/sh", path.as_c_str()].into_iter().chain(rest);
            error = execve(c"/bin/sh", &StringArray::new(words), &env);
        }
        match error {
            Errno::ACCESS => denied = true,
            Errno::NOENT | Errno::STALE | Errno::NOTDIR | Errno::NODEV | Errno::TIMEDOUT => {}
            _ => {
                result = error;
                denied = false;
                break;
            }
        }
        result = error;
    }
    if denied {
        result = Errno::ACCESS;
    }
    Failure { stage: Stage::Exec, errno: result.raw_os_error(), op: None, detail: 0 }
}

/// The child of a monitored launch: everything from the first instruction in the new namespaces.
/// Never returns.
pub fn main(
    prepared: &Prepared<'_>,
    channel: Channel,
    proc_fd: OwnedFd,
    go: bool,
    signals: Option<Signals>,
) -> ! {
    let relayed = match &signals {
        Some(signals) => signals.release(),
        None => Ok(()),
    };
    let terminal = || prepared.pty.as_ref().map_or(Ok(()), Pty::give_to_command);
    let done =
        relayed.and_then(|()| terminal()).and_then(|()| start(prepared, &channel, proc_fd, go));
    let failure = match done {
        Err(failure) => failure,
        Ok(()) => match prepared.shape {
            Shape::Reaped => crate::init::main(prepared, &channel),
            _ => become_command(prepared, &channel),
        },
    };
    channel.send(Message::Failed(failure));
    swathe_sys::process::exit(1)
}

fn start(prepared: &Prepared<'_>, channel: &Channel, proc_fd: OwnedFd, go: bool) -> Result<()> {
    // Readers of the documents wait for the end of file.
    let life = &prepared.plan.lifecycle;
    for number in [life.info_fd, life.json_status_fd].into_iter().flatten() {
        swathe_sys::process::close_fd(number);
    }
    if swathe_plan::check::has_ranges(prepared.plan) {
        crate::launch::no_new_privs()?;
    }
    // From the first moment on: without its launcher this process must not go on.
    die_with_parent(true)?;
    if prepared.late_cgroup_ns {
        unshare(ns::CGROUP).at(Stage::Clone)?;
    }
    if prepared.is_watched() {
        channel.send_ids(crate::documents::own_namespaces(prepared, &proc_fd)?)?;
    }
    if go {
        if !channel.wait_for_go() {
            swathe_sys::process::exit(1);
        }
    } else {
        leave_if_alone(channel);
    }
    set_up(prepared, proc_fd, Kernel::probe(prepared.plan.assume_kernel))?;
    // A change of user ids disarms the signal.
    die_with_parent(true)?;
    leave_if_alone(channel);
    Ok(())
}

/// Ends this process if the launcher has gone: the death signal is only sent for a parent that
/// ends after it was armed.
pub fn leave_if_alone(channel: &Channel) {
    if !channel.has_peer() {
        swathe_sys::process::exit(1);
    }
}

fn become_command(prepared: &Prepared<'_>, channel: &Channel) -> Failure {
    let life = &prepared.plan.lifecycle;
    if life.pty
        && let Err(failure) = own_terminal()
    {
        return failure;
    }
    if let Err(failure) = die_with_parent(life.die_with_parent) {
        return failure;
    }
    channel.send(Message::Ready);
    run_command(prepared, Inherited::Nothing)
}

/// Makes the terminal on standard input, output or error the controlling one of a new session.
pub fn own_terminal() -> Result<()> {
    setsid().at(Stage::Setsid)?;
    for number in 0..3 {
        let Ok(fd) = borrow_fd(number) else { continue };
        if rustix::termios::isatty(fd) {
            return swathe_sys::terminal::set_controlling(fd).at(Stage::Terminal);
        }
    }
    Ok(())
}

/// Opens the host's procfs, and checks that it is one: ids are written through it.
pub fn open_proc() -> Result<OwnedFd> {
    const PROC_SUPER_MAGIC: u64 = 0x9fa0;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let path: &CStr = c"/proc";
    let mut fd = fs::openat(CWD, path, flags, Mode::empty()).at(Stage::OpenProc)?;
    while fd.as_raw_fd() <= 2 {
        // A standard stream is closed. Its number must not become that of a descriptor of ours. It
        // gets something that can neither be written to nor leads anywhere, and that the command
        // does not see: it is closed on exec.
        drop(fd);
        let plug = rustix::event::epoll::create(rustix::event::epoll::CreateFlags::CLOEXEC);
        crate::files::mounts::leave_open(plug.at(Stage::OpenProc)?);
        fd = fs::openat(CWD, path, flags, Mode::empty()).at(Stage::OpenProc)?;
    }
    if fs::fstatfs(fd.as_fd()).at(Stage::OpenProc)?.f_type as u64 != PROC_SUPER_MAGIC {
        return Err(Failure::found(Stage::OpenProc));
    }
    Ok(fd)
}

/// Makes the command a job of pid 1's session, in the foreground of its terminal. A process group
/// without a parent of its own session would not be stopped by the terminal's key.
pub fn own_job() -> core::result::Result<(), Errno> {
    const SIGTTOU: i32 = 22;
    let own = rustix::process::getpid();
    rustix::process::setpgid(None, None)?;
    // Whoever is not yet in the foreground is stopped when it asks to be.
    let before = swathe_sys::signal::SignalSet::new(&[SIGTTOU]).block()?;
    for number in 0..3 {
        if let Ok(fd) = borrow_fd(number)
            && rustix::termios::tcgetpgrp(fd).is_ok()
        {
            rustix::termios::tcsetpgrp(fd, own)?;
            break;
        }
    }
    before.set_mask()
}

//! The helper's side: what it is started with, how it cuts itself off, and how it waits.

use crate::{CLIENT, MAX_FDS, NAMESPACE, SANDBOX, SOCKET};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, fstat, fstatfs, openat, statat};
use rustix::io::{Errno, IoSliceMut};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit, setsid,
};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space, set_no_new_privs};
use std::collections::BTreeMap;
use std::io::IoSlice;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
pub use swathe_plan::filter::Test;
use swathe_plan::filter::{Action, Arch, Case, Table, assemble};
use swathe_sys::process::{self, Caps, adopt_fd};
use swathe_sys::seccomp;

/// `PROC_SUPER_MAGIC`.
pub const PROC: u64 = 0x9fa0;

/// The descriptors that the helper is started with.
#[derive(Debug)]
pub struct Descriptors {
    /// Where it is asked.
    pub socket: OwnedFd,
    /// What it is about.
    pub namespace: OwnedFd,
    /// Readable when the client has ended.
    pub client: OwnedFd,
    /// Readable when the sandbox has ended.
    pub sandbox: OwnedFd,
}

impl Descriptors {
    /// Takes them, and closes all others but the first three. `None`: this process was not started
    /// as a helper. To be called once.
    #[must_use]
    pub fn adopt() -> Option<Self> {
        let adopt = |number| adopt_fd(number).ok();
        let fds = Self {
            socket: adopt(SOCKET)?,
            namespace: adopt(NAMESPACE)?,
            client: adopt(CLIENT)?,
            sandbox: adopt(SANDBOX)?,
        };
        let last = [SOCKET, NAMESPACE, CLIENT, SANDBOX].into_iter().max()?;
        let others = u32::try_from(last).ok()? + 1;
        process::close_range(others, u32::MAX, false).ok()?;
        Some(fds)
    }
}

/// Waits for a request. False: the client or the sandbox has ended.
#[must_use]
pub fn asked(socket: &OwnedFd, client: &OwnedFd, sandbox: &OwnedFd) -> bool {
    loop {
        let mut fds = [socket, client, sandbox].map(|fd| PollFd::new(fd, PollFlags::IN));
        match poll(&mut fds, None) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(_) => return false,
        }
        let [asked, client, sandbox] = fds.map(|fd| !fd.revents().is_empty());
        if client || sandbox {
            return false;
        }
        if asked {
            return true;
        }
    }
}

/// What a client sent.
#[derive(Debug)]
pub enum Heard {
    /// Nothing yet.
    Nothing,
    /// It will send nothing more.
    End,
    /// A message: its length, which is 0 for one that does not fit, and the descriptor, if one came
    /// with it.
    Message(usize, Option<OwnedFd>),
}

/// The request that waits. More than one descriptor makes no message.
#[must_use]
pub fn hear(socket: &OwnedFd, into: &mut [u8]) -> Heard {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    let message = match recvmsg(socket, &mut [IoSliceMut::new(into)], &mut control, flags) {
        Ok(message) => message,
        Err(Errno::INTR | Errno::AGAIN) => return Heard::Nothing,
        Err(_) => return Heard::End,
    };
    let mut object = None;
    for part in control.drain() {
        if let RecvAncillaryMessage::ScmRights(fds) = part {
            object = fds.last().or(object);
        }
    }
    if message.bytes == 0 && object.is_none() {
        return Heard::End;
    }
    let whole = !message.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC);
    Heard::Message(if whole { message.bytes } else { 0 }, object)
}

/// Sends a message, with at most [`MAX_FDS`] descriptors; whether there is anybody to take it. With
/// `wait` it waits until there is room; a client that asks and does not listen is not worth that.
#[must_use]
pub fn reply(socket: &OwnedFd, message: &[u8], fds: &[BorrowedFd<'_>], wait: bool) -> bool {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
        return false;
    }
    let flags = SendFlags::NOSIGNAL | if wait { SendFlags::empty() } else { SendFlags::DONTWAIT };
    loop {
        match sendmsg(socket, &[IoSlice::new(message)], &mut control, flags) {
            Err(Errno::INTR) => {}
            other => return other.is_ok(),
        }
    }
}

/// Nothing looks into this process, and it starts nothing and writes no files.
///
/// # Errors
/// Those of the calls.
pub fn isolate() -> Result<(), Errno> {
    set_no_new_privs(true)?;
    // Before the user namespace is joined: others may have capabilities in it.
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    // Away from the keys of the terminal. It fails for the leader of a session, which is away.
    let _ = setsid();
    process::umask(0o022);
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    for resource in [Resource::Nproc, Resource::Core, Resource::Fsize] {
        setrlimit(resource, none)?;
    }
    // Descriptors stay open for what is made.
    let most = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most })
}

/// Opens `/proc`, and makes sure that it is that.
///
/// # Errors
/// Those of the calls. EINVAL: it is something else.
pub fn open_proc() -> Result<OwnedFd, Errno> {
    let path = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let proc = openat(CWD, "/proc", path, Mode::empty())?;
    if fstatfs(&proc)?.f_type as u64 == PROC { Ok(proc) } else { Err(Errno::INVAL) }
}

/// Whether `namespace` is this process's own, which is `self/ns/NAME` in `proc`.
///
/// # Errors
/// Those of stat(2).
pub fn is_own(namespace: &OwnedFd, proc: &OwnedFd, name: &str) -> Result<bool, Errno> {
    let ours = statat(proc, format!("self/ns/{name}"), AtFlags::empty())?;
    let theirs = fstat(namespace)?;
    Ok((ours.st_dev, ours.st_ino) == (theirs.st_dev, theirs.st_ino))
}

/// Joins the user namespace that owns a namespace of the sandbox. False if this process is in it
/// already: root's sandboxes may have none of their own.
///
/// # Errors
/// EPERM: the caller is not its owner. Those of the calls.
pub fn join_owner(namespace: &OwnedFd, proc: &OwnedFd) -> Result<bool, Errno> {
    let owner = process::owning_user_namespace(namespace.as_fd())?;
    if is_own(&owner, proc, "user")? {
        return Ok(false);
    }
    move_into_link_name_space(owner.as_fd(), Some(LinkNameSpaceType::User))?;
    Ok(true)
}

/// Keeps these capabilities, of those that the process has, and no others.
///
/// # Errors
/// Those of capset(2).
pub fn keep_caps(keep: u64) -> Result<(), Errno> {
    let keep = process::caps()?.permitted & keep;
    process::set_caps(Caps { effective: keep, permitted: keep, inheritable: 0 })
}

/// Loads a filter: only these system calls, and of those in `only` those that pass the tests. For
/// any other the kernel ends the process. Names that this machine does not have are left out; where
/// a machine has two calls for one thing, name both, as the C library uses either.
///
/// # Errors
/// ENOSYS: no table of this machine's calls. Those of prctl(2).
pub fn allow(calls: &[&str], only: &[(&str, &[&[Test]])]) -> Result<(), Errno> {
    let arch = Arch::native().ok_or(Errno::NOSYS)?;
    let names = calls.iter().chain(BASE);
    let numbers = names.filter_map(|name| arch.number(name));
    let mut table: BTreeMap<_, _> = numbers.map(|number| (number, Vec::new())).collect();
    for (name, allowed) in only {
        let Some(number) = arch.number(name) else { continue };
        let mut cases: Vec<_> =
            allowed.iter().map(|&tests| Case { tests, action: Action::Allow }).collect();
        cases.push(Case { tests: &[], action: Action::Kill });
        table.insert(number, cases);
    }
    let table = Table { arch, calls: table, others: Action::Kill };
    let program = assemble(&[table], Action::Kill).map_err(|_| Errno::INVAL)?;
    seccomp::load(&seccomp::parse(&program).ok_or(Errno::INVAL)?)
}

/// What every helper does: it is asked and answers, closes, has memory, and ends.
const BASE: &[&str] = &[
    // Asking and answering.
    "poll",
    "ppoll",
    "recvmsg",
    "sendmsg",
    // Files.
    "close",
    "fcntl",
    "fcntl64",
    // Memory.
    "brk",
    "madvise",
    "mmap",
    "mmap2",
    "mremap",
    "munmap",
    // The end, and going on after a signal.
    "exit",
    "exit_group",
    "restart_syscall",
    "rt_sigreturn",
    "sigaltstack",
];

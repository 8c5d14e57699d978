//! Removes from the host what masks of missing paths had to create there.
//!
//! A path that does not exist can only be covered once it does. The set-up creates a placeholder,
//! covers it, and hands it to a process that was started before, outside of the sandbox and in a
//! session of its own. That process waits for the end of the sandbox, however it comes: the end of
//! file of a socket whose other end only pid 1 holds. Then it removes the placeholders.
//!
//! Sandboxes that mask the same path share a placeholder: each holds a shared lock on it (flock(2)),
//! and who gets the exclusive one in the end removes it. A removal takes a mount away with it, so it
//! must not happen while another sandbox needs the mask.

use crate::failure::{At, Result, Stage};
use crate::wait::close_all;
use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::CStr;
use core::mem::MaybeUninit;
use swathe_plan::model::StandIn;
use swathe_sys::process::{self, Fork};
use swathe_sys::rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use swathe_sys::rustix::fs::{self, AtFlags, FileType, FlockOperation};
use swathe_sys::rustix::io::{IoSlice, IoSliceMut};
use swathe_sys::rustix::net::{
    self, AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use swathe_sys::{Errno, rustix};

/// Nanoseconds between two looks at whether the sandbox is gone: from the first, doubling.
const FIRST_PAUSE: i64 = 1_000_000;
/// The longest.
const LONGEST_PAUSE: i64 = 200_000_000;

/// The longest name of a file.
const MAX_NAME: usize = 255;

/// The sandbox's end of the way to the janitor.
#[derive(Debug)]
pub struct Janitor(OwnedFd);

/// A file to remove: the directory, its name, and the locked file itself.
struct Task {
    dir: OwnedFd,
    name: CString,
    file: OwnedFd,
}

impl Janitor {
    /// Starts the process.
    pub fn start() -> Result<Self> {
        let flags = SocketFlags::CLOEXEC;
        let (ours, theirs) =
            net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
                .at(Stage::Mask)?;
        match process::fork(0, false).at(Stage::Mask)? {
            Fork::Parent(_) => Ok(Self(ours)),
            Fork::Child => {
                drop(ours);
                run(&theirs)
            }
        }
    }

    /// Hands over a placeholder. `file` holds a shared lock.
    pub fn take(&self, dir: BorrowedFd<'_>, name: &CStr, file: BorrowedFd<'_>) -> Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let fds = [dir, file];
        if !ancillary.push(SendAncillaryMessage::ScmRights(&fds)) {
            return Err(Errno::NOBUFS).at(Stage::Mask);
        }
        let text = [IoSlice::new(name.to_bytes())];
        net::sendmsg(&self.0, &text, &mut ancillary, SendFlags::NOSIGNAL).map(drop).at(Stage::Mask)
    }
}

impl AsRawFd for Janitor {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// The process. It keeps nothing of the caller's open, so that nobody waits for it.
fn run(socket: &OwnedFd) -> ! {
    // Who looks for the sandbox's command among command lines must not find, and kill, this.
    swathe_sys::entry::wipe_args();
    let _ = rustix::process::setsid();
    let _ = close_all(&[socket.as_raw_fd()], false);
    for number in 0..3 {
        if number != socket.as_raw_fd() {
            process::close_fd(number);
        }
    }
    let mut tasks = Vec::new();
    while let Some(task) = receive(socket) {
        tasks.extend(task);
    }
    // Pid 1 closes its end before what is left of the sandbox is gone. While a mask is still in
    // force the placeholder must stay; so this waits.
    let mut pause = FIRST_PAUSE;
    loop {
        tasks.retain(|task| !remove(task));
        if tasks.is_empty() {
            process::exit(0)
        }
        let time = rustix::thread::Timespec { tv_sec: 0, tv_nsec: pause };
        let _ = rustix::thread::nanosleep(&time);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// The next task; `None` at the end of file, `Some(None)` for a message that is none.
fn receive(socket: &OwnedFd) -> Option<Option<Task>> {
    let mut name = [0; MAX_NAME];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let len = loop {
        let mut into = [IoSliceMut::new(&mut name)];
        match net::recvmsg(socket, &mut into, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
            Ok(received) => break received.bytes,
            Err(Errno::INTR) => {}
            Err(_) => return None,
        }
    };
    if len == 0 {
        return None;
    }
    let fds: Vec<OwnedFd> = ancillary
        .drain()
        .filter_map(|m| match m {
            RecvAncillaryMessage::ScmRights(fds) => Some(fds),
            _ => None,
        })
        .flatten()
        .collect();
    let mut fds = fds.into_iter();
    let task = (fds.next(), fds.next(), CString::new(&name[..len]));
    Some(match task {
        (Some(dir), Some(file), Ok(name)) => Some(Task { dir, name, file }),
        _ => None,
    })
}

/// Removes a placeholder, if it is still the one that was made and nobody else needs it. Returns
/// false when it has to be tried again: it is covered.
fn remove(task: &Task) -> bool {
    match is_there(task) {
        Ok(true) => {}
        // Covered by a mask; or replaced by something else, and then it has no name any more. The
        // shared lock stays: nobody may remove it before, and others may still use it.
        Ok(false) => return fs::fstat(&task.file).is_ok_and(|made| made.st_nlink == 0),
        Err(_) => return true,
    }
    // Who asks for it in vain loses the shared one, and leaves the removal to the others.
    if fs::flock(&task.file, FlockOperation::NonBlockingLockExclusive).is_err() {
        return true;
    }
    // Another may have removed it before the lock was ours, and a third made its own.
    if let (Ok(true), Ok(made)) = (is_there(task), fs::fstat(&task.file))
        && is_placeholder(&made)
    {
        let directory = FileType::from_raw_mode(made.st_mode) == FileType::Directory;
        // A directory that somebody has put something into stays.
        let flags = if directory { AtFlags::REMOVEDIR } else { AtFlags::empty() };
        let _ = fs::unlinkat(&task.dir, &task.name, flags);
    }
    true
}

/// Whether its name still leads to the placeholder.
fn is_there(task: &Task) -> core::result::Result<bool, Errno> {
    let here = fs::statat(&task.dir, &task.name, AtFlags::SYMLINK_NOFOLLOW)?;
    let made = fs::fstat(&task.file)?;
    Ok((here.st_dev, here.st_ino) == (made.st_dev, made.st_ino))
}

/// Whether a file is a placeholder, of this sandbox or of another.
pub fn is_placeholder(stat: &fs::Stat) -> bool {
    let size = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => StandIn::is(true, stat.st_mode & 0o7777, size),
        FileType::RegularFile => StandIn::is(false, stat.st_mode & 0o7777, size),
        _ => false,
    }
}

/// Locks a placeholder for as long as it is open.
pub fn share(file: impl AsFd) -> core::result::Result<(), Errno> {
    fs::flock(file, FlockOperation::NonBlockingLockShared)
}

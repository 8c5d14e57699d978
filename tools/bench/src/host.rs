//! What is done to the process itself: forked helpers, dropped privileges, more mounts.
#![allow(unsafe_code)] // fork, credentials and mounts have no safe form in std

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

fn check(r: libc::c_int) -> io::Result<libc::c_int> {
    if r < 0 { Err(io::Error::last_os_error()) } else { Ok(r) }
}

/// Whether this process may change ids and mounts.
pub fn is_root() -> bool {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// The real user id.
pub fn uid() -> u32 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::getuid() }
}

/// Becomes user and group `id` for good, with no other groups.
pub fn drop_to(id: u32) -> io::Result<()> {
    // SAFETY: plain integers; an empty list of groups needs no pointer.
    unsafe {
        check(libc::setgroups(0, std::ptr::null()))?;
        check(libc::setresgid(id, id, id))?;
        check(libc::setresuid(id, id, id))?;
    }
    Ok(())
}

/// A pipe, both ends closed on exec: (read, write).
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut fds = [-1; 2];
    // SAFETY: the array has room for two descriptors, which are new and owned by nobody else.
    unsafe {
        check(libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC))?;
        Ok((OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1])))
    }
}

/// Runs `work` in a forked process and returns the text it wrote.
///
/// The process is single-threaded here, so the copy is a whole one. An error of `work` becomes an
/// error here, with its text.
pub fn in_child(work: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<String> {
    let (read, write) = pipe()?;
    // SAFETY: no other thread exists whose locks the copy could inherit.
    let pid = check(unsafe { libc::fork() })?;
    if pid == 0 {
        drop(read);
        let mut out = io::BufWriter::new(File::from(write));
        let result = work(&mut out).and_then(|()| out.flush());
        let code = match result {
            Ok(()) => 0,
            Err(e) => {
                let _ = writeln!(out, "error\t{e}");
                let _ = out.flush();
                1
            }
        };
        // SAFETY: ends the copy without running the original's exit handlers.
        unsafe { libc::_exit(code) }
    }
    drop(write);
    let mut text = String::new();
    File::from(read).read_to_string(&mut text)?;
    let status = crate::launch::wait(pid)?;
    match text.lines().rev().find_map(|l| l.strip_prefix("error\t")) {
        Some(message) => Err(io::Error::other(message.to_owned())),
        None if status != 0 => {
            Err(io::Error::other(format!("helper ended with status {status:#x}")))
        }
        None => Ok(text),
    }
}

/// Puts /dev/null on the standard descriptors, so that no measured program meets a terminal.
pub fn silence() -> io::Result<()> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    for fd in 0..3 {
        // SAFETY: both are open descriptors.
        check(unsafe { libc::dup2(null.as_raw_fd(), fd) })?;
    }
    Ok(())
}

/// Enters a mount namespace of its own and makes `n` mounts there, one on each of `dir/0` …
pub fn add_mounts(dir: &Path, n: usize) -> io::Result<()> {
    let flags = libc::MS_REC | libc::MS_PRIVATE;
    // SAFETY: strings are NUL-terminated and live; unused arguments may be null.
    unsafe {
        check(libc::unshare(libc::CLONE_NEWNS))?;
        check(libc::mount(
            std::ptr::null(),
            c"/".as_ptr(),
            std::ptr::null(),
            flags,
            std::ptr::null(),
        ))?;
    }
    let source = CString::new(dir.as_os_str().as_bytes())?;
    for i in 0..n {
        let target = CString::new(dir.join(i.to_string()).as_os_str().as_bytes())?;
        let none = std::ptr::null();
        // SAFETY: as above.
        unsafe {
            check(libc::mount(source.as_ptr(), target.as_ptr(), none, libc::MS_BIND, none.cast()))?
        };
    }
    Ok(())
}

/// Has a signal end this process after `seconds`, so that a launch that hangs cannot hang the run.
pub fn end_after(seconds: u32) {
    // SAFETY: takes an integer; the default action of the signal is wanted.
    unsafe { libc::alarm(seconds) };
}

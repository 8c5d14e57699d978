//! The system calls of the runner and of the probe that the standard library lacks.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// `bytes` with a final NUL; bytes after an inner NUL are an error.
pub fn cstr(bytes: &[u8]) -> io::Result<CString> {
    CString::new(bytes).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

/// Turns the -1 of a system call into the error behind it.
pub fn check(result: i64) -> io::Result<i64> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// The number of the last error.
pub fn errno() -> i32 {
    io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// Opens `path` relative to `dir`; close-on-exec is added to `flags`.
pub fn open_at(dir: RawFd, path: &[u8], flags: i32) -> io::Result<OwnedFd> {
    let path = cstr(path)?;
    // SAFETY: the path is a valid C string for the whole call; the result is checked before use.
    let fd = unsafe { libc::openat(dir, path.as_ptr(), flags | libc::O_CLOEXEC, 0o600) };
    check(fd.into())?;
    // SAFETY: the descriptor was just returned by the kernel and has no other owner.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// All bytes from the present offset of `fd` on.
pub fn read_all(fd: RawFd) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut buffer = [0u8; 65536];
    loop {
        // SAFETY: the buffer is valid for writes of its own length.
        let n = unsafe { libc::read(fd, buffer.as_mut_ptr().cast(), buffer.len()) };
        match check(n as i64) {
            Ok(0) => return Ok(out),
            Ok(n) => out.extend_from_slice(&buffer[..n as usize]),
            Err(e) if e.raw_os_error() == Some(libc::EINTR) => {}
            Err(e) => return Err(e),
        }
    }
}

/// The content of the file `path` below `dir`.
pub fn slurp_at(dir: RawFd, path: &str) -> io::Result<Vec<u8>> {
    let fd = open_at(dir, path.as_bytes(), libc::O_RDONLY)?;
    read_all(fd.as_raw_fd())
}

/// The target of the link `path` below `dir`.
pub fn readlink_at(dir: RawFd, path: &[u8]) -> io::Result<Vec<u8>> {
    let path = cstr(path)?;
    let mut buffer = [0u8; 4096];
    // SAFETY: path and buffer are valid for the call, and the length is the buffer's own.
    let n =
        unsafe { libc::readlinkat(dir, path.as_ptr(), buffer.as_mut_ptr().cast(), buffer.len()) };
    check(n as i64)?;
    Ok(buffer[..n as usize].to_vec())
}

/// Writes everything, or says why not.
pub fn write_all(fd: RawFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        // SAFETY: the slice is valid for reads of its own length.
        let n = unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) };
        match check(n as i64) {
            Ok(n) => bytes = &bytes[n as usize..],
            Err(e) if e.raw_os_error() == Some(libc::EINTR) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// An anonymous file with `content`, its offset at the start.
pub fn memfd(name: &str, content: &[u8]) -> io::Result<OwnedFd> {
    let name = cstr(name.as_bytes())?;
    // SAFETY: the name is a valid C string.
    let fd = unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC) };
    check(fd.into())?;
    // SAFETY: the descriptor was just returned by the kernel and has no other owner.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    write_all(fd.as_raw_fd(), content)?;
    rewind(fd.as_raw_fd())?;
    Ok(fd)
}

/// Sets the offset of `fd` to its start.
pub fn rewind(fd: RawFd) -> io::Result<()> {
    // SAFETY: plain integers.
    check(unsafe { libc::lseek(fd, 0, libc::SEEK_SET) }).map(|_| ())
}

/// A pipe, reading end first, both close-on-exec.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut fds = [0; 2];
    // SAFETY: the array has room for the two descriptors.
    check(unsafe { libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC) }.into())?;
    // SAFETY: both descriptors are new and have no other owner.
    Ok(unsafe { (OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1])) })
}

/// A copy of `fd` numbered `least` or higher, close-on-exec.
pub fn dup_above(fd: RawFd, least: i32) -> io::Result<OwnedFd> {
    // SAFETY: plain integers.
    let new = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, least) };
    check(new.into())?;
    // SAFETY: the descriptor is new and has no other owner.
    Ok(unsafe { OwnedFd::from_raw_fd(new) })
}

/// `mount(2)`; empty strings stand for null pointers.
pub fn mount(source: &str, target: &[u8], kind: &str, flags: u64, data: &str) -> io::Result<()> {
    let (source, target) = (cstr(source.as_bytes())?, cstr(target)?);
    let (kind, data) = (cstr(kind.as_bytes())?, cstr(data.as_bytes())?);
    let or_null = |s: &CString| if s.is_empty() { std::ptr::null() } else { s.as_ptr() };
    // SAFETY: every pointer is null or a C string that lives until after the call.
    check(
        unsafe {
            libc::mount(
                or_null(&source),
                target.as_ptr(),
                or_null(&kind),
                flags as _,
                or_null(&data).cast(),
            )
        }
        .into(),
    )
    .map(|_| ())
}

/// The kernel's `struct mount_attr`.
#[repr(C)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    userns_fd: u64,
}

/// Sets mount attributes (`MOUNT_ATTR_*` bits) and optionally a propagation type on the mount at
/// `path`, with all mounts below it when `recursive`.
pub fn mount_setattr(path: &[u8], set: u64, propagation: u64, recursive: bool) -> io::Result<()> {
    let path = cstr(path)?;
    // The choice of access times is a field of three bits, which must be cleared as a whole.
    let clear = if set & 0x70 != 0 { 0x70 } else { 0 };
    let attr = MountAttr { set, clear, propagation, userns_fd: 0 };
    let flags = if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: path and attr outlive the call and the size is that of attr.
    check(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            path.as_ptr(),
            flags,
            &raw const attr,
            size_of::<MountAttr>(),
        )
    } as i64)
    .map(|_| ())
}

/// Makes `new_root` the root and drops the old one. The working directory becomes `/`.
pub fn pivot_into(new_root: &[u8]) -> io::Result<()> {
    std::env::set_current_dir(std::ffi::OsStr::new(&*String::from_utf8_lossy(new_root)))?;
    // SAFETY: constant C strings.
    unsafe {
        check(libc::syscall(libc::SYS_pivot_root, c".".as_ptr(), c".".as_ptr()) as i64)?;
        check(libc::umount2(c".".as_ptr(), libc::MNT_DETACH).into())?;
    }
    std::env::set_current_dir("/")
}

/// `unshare(2)`.
pub fn unshare(flags: i32) -> io::Result<()> {
    // SAFETY: plain integers; callers are single-threaded.
    check(unsafe { libc::unshare(flags) }.into()).map(|_| ())
}

/// `fork(2)`: `None` in the child. The caller must be single-threaded.
pub fn fork() -> io::Result<Option<i32>> {
    // SAFETY: the programs of this package never start a thread before forking.
    let pid = unsafe { libc::fork() };
    check(pid.into())?;
    Ok((pid != 0).then_some(pid))
}

/// Leaves at once, without destructors. For children of [`fork`].
pub fn exit_now(code: i32) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::_exit(code) }
}

/// Waits for `pid` (-1: any child). `Ok(None)` when `nohang` and none has ended.
pub fn wait(pid: i32, nohang: bool) -> io::Result<Option<(i32, i32)>> {
    let mut status = 0;
    loop {
        // SAFETY: the status is a valid place for the result.
        let got =
            unsafe { libc::waitpid(pid, &raw mut status, if nohang { libc::WNOHANG } else { 0 }) };
        match check(got.into()) {
            Ok(0) => return Ok(None),
            Ok(pid) => return Ok(Some((pid as i32, status))),
            Err(e) if e.raw_os_error() == Some(libc::EINTR) => {}
            Err(e) => return Err(e),
        }
    }
}

/// Sends SIGKILL to one process.
pub fn kill(pid: i32) {
    // SAFETY: plain integers. The result does not matter: the process may be gone.
    unsafe { libc::kill(pid, libc::SIGKILL) };
}

/// Waits up to `ms` for `fd` to become readable.
pub fn readable(fd: RawFd, ms: i32) -> bool {
    let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: one valid pollfd.
    unsafe { libc::poll(&raw mut poll, 1, ms) > 0 }
}

/// A descriptor that becomes readable when `pid` ends.
pub fn pidfd(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: plain integers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    check(fd as i64)?;
    // SAFETY: the descriptor is new and has no other owner.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// `prctl(2)` with one argument.
pub fn prctl(option: i32, value: u64) -> io::Result<i64> {
    // SAFETY: options used here take integers only.
    check(unsafe { libc::prctl(option, value, 0, 0, 0) }.into())
}

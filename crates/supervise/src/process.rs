//! The process whose call waits: its memory, and how it sees the file system.

use std::cell::OnceCell;
use std::ffi::CString;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt as _;
use swathe_record::bytes::Bytes;
use swathe_sys::notify;
use swathe_sys::rustix::fd::OwnedFd;
use swathe_sys::rustix::fs::{CWD, Mode, OFlags, openat, readlinkat};
use swathe_sys::{Errno, Result};

/// The longest path that the kernel takes, with its NUL (`PATH_MAX`).
const PATH_MAX: usize = 4096;
/// No page is smaller, so that no read crosses from mapped to unmapped memory.
const PAGE: u64 = 4096;
/// ERESTARTSYS: a process that a signal waits for never sees it. The kernel calls the handler, and
/// makes of it EINTR or the same call once more, as the handler was set up.
const RESTART: Errno = Errno::from_raw_os_error(512);
/// How much is read of a file of procfs.
const MAX_STATUS: u64 = 16 << 10;
/// How much of a command line is kept.
const MAX_COMMAND: u64 = 4096;

/// A thread whose call waits.
#[derive(Debug)]
pub struct Caller {
    /// Its id in the supervisor's pid namespace.
    pub pid: u32,
    /// Its directory in procfs. It stays the thread's: of one that has ended everything in it fails.
    proc: OnceCell<OwnedFd>,
}

/// What `/proc/PID/status` says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Status {
    /// The thread's umask.
    pub umask: u32,
    /// The process.
    pub process: u32,
    /// The process and the thread as the innermost pid namespace numbers them.
    pub inner: (u32, u32),
}

const WAY: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

impl Caller {
    /// Who looks at it has to ask afterwards whether its call still waits: before, the number can
    /// have become that of another.
    #[must_use]
    pub const fn new(pid: u32) -> Self {
        Self { pid, proc: OnceCell::new() }
    }

    /// Its directory in procfs, opened when it is needed first.
    fn proc(&self) -> Result<&OwnedFd> {
        if let Some(proc) = self.proc.get() {
            return Ok(proc);
        }
        let path = format!("/proc/{}", self.pid);
        let proc = openat(CWD, path, WAY | OFlags::DIRECTORY, Mode::empty())?;
        Ok(self.proc.get_or_init(|| proc))
    }

    fn entry(&self, name: &str, flags: OFlags) -> Result<OwnedFd> {
        openat(self.proc()?, name, flags | WAY, Mode::empty())
    }

    /// Its root directory.
    ///
    /// # Errors
    /// It has ended.
    pub fn root(&self) -> Result<OwnedFd> {
        self.entry("root", OFlags::DIRECTORY)
    }

    /// Where a path of it starts: its working directory or one of its descriptors.
    ///
    /// # Errors
    /// EBADF.
    pub fn start(&self, dir: i32) -> Result<OwnedFd> {
        if dir == crate::trap::CWD {
            return self.entry("cwd", OFlags::DIRECTORY);
        }
        let dir = u32::try_from(dir).map_err(|_| Errno::BADF)?;
        self.entry(&format!("fd/{dir}"), OFlags::empty()).map_err(|e| match e {
            Errno::NOENT => Errno::BADF,
            other => other,
        })
    }

    /// The path, as the sandbox names it, of where a path of it starts.
    #[must_use]
    pub fn place(&self, dir: i32) -> Option<Vec<u8>> {
        let name = match dir {
            crate::trap::CWD => "cwd".to_owned(),
            dir => format!("fd/{}", u32::try_from(dir).ok()?),
        };
        readlinkat(self.proc().ok()?, name, Vec::new()).ok().map(CString::into_bytes)
    }

    /// Copies a path out of its memory. The bytes are the supervisor's own from then on.
    ///
    /// # Errors
    /// EFAULT; ENAMETOOLONG.
    pub fn path(&self, address: u64) -> Result<Vec<u8>> {
        // Most paths are short.
        const PART: u64 = 256;
        let mut path = Vec::new();
        let mut buffer = [0; PART as usize];
        let mut at = address;
        while path.len() < PATH_MAX {
            let want = (PAGE - at % PAGE).min(PART);
            let part = buffer.get_mut(..want as usize).ok_or(Errno::FAULT)?;
            let read = notify::read_memory(self.pid, at, part)?;
            let part = part.get(..read).filter(|part| !part.is_empty()).ok_or(Errno::FAULT)?;
            if let Some(end) = part.iter().position(|&b| b == 0) {
                path.extend_from_slice(part.get(..end).unwrap_or_default());
                return if path.len() < PATH_MAX { Ok(path) } else { Err(Errno::NAMETOOLONG) };
            }
            path.extend_from_slice(part);
            at = at.checked_add(read as u64).ok_or(Errno::FAULT)?;
        }
        Err(Errno::NAMETOOLONG)
    }

    /// Copies as many bytes as `into` holds.
    ///
    /// # Errors
    /// EFAULT: not all of them are there.
    pub fn bytes(&self, address: u64, into: &mut [u8]) -> Result<()> {
        let mut done = 0;
        while done < into.len() {
            let at = address.checked_add(done as u64).ok_or(Errno::FAULT)?;
            let room = usize::try_from(PAGE - at % PAGE).map_err(|_| Errno::FAULT)?;
            let end = into.len().min(done + room);
            let part = into.get_mut(done..end).ok_or(Errno::FAULT)?;
            match notify::read_memory(self.pid, at, part)? {
                0 => return Err(Errno::FAULT),
                read => done += read,
            }
        }
        Ok(())
    }

    /// Its umask and numbers.
    ///
    /// # Errors
    /// It has ended; EIO: procfs says something else than it should.
    pub fn status(&self) -> Result<Status> {
        let text = self.read("status", MAX_STATUS)?;
        let text = String::from_utf8_lossy(&text);
        let mut status = Status::default();
        let mut found = 0;
        for line in text.lines() {
            let Some((name, value)) = line.split_once(':') else { continue };
            let last = value.split_ascii_whitespace().next_back().unwrap_or_default();
            let number = || last.parse::<u32>().map_err(|_| Errno::IO);
            match name {
                "Umask" => {
                    status.umask = u32::from_str_radix(last, 8).map_err(|_| Errno::IO)?;
                }
                "Tgid" => status.process = number()?,
                "NStgid" => status.inner.0 = number()?,
                "NSpid" => status.inner.1 = number()?,
                _ => continue,
            }
            found += 1;
        }
        if found == 4 { Ok(status) } else { Err(Errno::IO) }
    }

    /// The longest file that it may make, in bytes (`RLIMIT_FSIZE`).
    ///
    /// # Errors
    /// It has ended; EIO: procfs says something else than it should.
    pub fn file_limit(&self) -> Result<u64> {
        let text = self.read("limits", MAX_STATUS)?;
        let text = String::from_utf8_lossy(&text);
        let line = text.lines().find_map(|line| line.strip_prefix("Max file size"));
        match line.and_then(|line| line.split_ascii_whitespace().next()) {
            Some("unlimited") => Ok(u64::MAX),
            Some(soft) => soft.parse().map_err(|_| Errno::IO),
            None => Err(Errno::IO),
        }
    }

    /// Whether a signal waits until its call is over: how the call has to end then, none if there
    /// is no such signal.
    ///
    /// # Errors
    /// It has ended.
    pub fn interruption(&self) -> Result<Option<Errno>> {
        let text = self.read("status", MAX_STATUS)?;
        let text = String::from_utf8_lossy(&text);
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.unwrap_or_default().trim()
        };
        let set = |name| u64::from_str_radix(field(name), 16).unwrap_or_default();
        let heeded = !(set("SigBlk") | set("SigIgn"));
        if set("SigPnd") & heeded != 0 || set("ShdPnd") & heeded != 0 && field("Threads") == "1" {
            return Ok(Some(RESTART));
        }
        // Another thread may take it.
        Ok((set("ShdPnd") & heeded != 0).then_some(Errno::INTR))
    }

    /// The file that it runs, as the sandbox names it; empty where it cannot be read.
    #[must_use]
    pub fn program(&self) -> Bytes {
        let link = || readlinkat(self.proc()?, "exe", Vec::new());
        link().map(|link: CString| Bytes(link.into_bytes())).unwrap_or_default()
    }

    /// Its command line, as much as is of interest.
    #[must_use]
    pub fn command(&self) -> Vec<Bytes> {
        let text = self.read("cmdline", MAX_COMMAND).unwrap_or_default();
        let text = text.strip_suffix(b"\0").unwrap_or(&text);
        text.split(|&b| b == 0).take(64).map(|word| Bytes(word.to_vec())).collect()
    }

    fn read(&self, name: &str, most: u64) -> Result<Vec<u8>> {
        let fd = openat(self.proc()?, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        let mut text = Vec::new();
        std::fs::File::from(fd).take(most).read_to_end(&mut text).map_err(|_| Errno::IO)?;
        Ok(text)
    }
}

/// The path of what a descriptor refers to, in the mount namespace that it is from.
///
/// # Errors
/// Those of readlink(2).
pub fn path_of(fd: &OwnedFd) -> Result<Vec<u8>> {
    use swathe_sys::rustix::fd::AsRawFd as _;
    let link = std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd()));
    link.map(|path| path.as_os_str().as_bytes().to_vec()).map_err(|_| Errno::IO)
}

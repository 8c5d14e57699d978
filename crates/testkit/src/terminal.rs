//! A pseudo-terminal for a payload that wants one.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::{FromRawFd as _, OwnedFd};
use std::time::{Duration, Instant};

use crate::binary::Bwrap;

/// Both ends of a new pseudo-terminal.
#[derive(Debug)]
pub struct Terminal {
    /// The side of the terminal emulator. Reads do not block.
    pub outer: File,
    /// The side of the program.
    pub inner: OwnedFd,
}

impl Terminal {
    /// Opens one that belongs to the user of `b`.
    ///
    /// # Panics
    ///
    /// When there is none to be had.
    #[must_use]
    pub fn open(b: &Bwrap) -> Self {
        let (mut outer, mut inner) = (0, 0);
        let null = std::ptr::null_mut();
        // SAFETY: two valid places for descriptors; the name and the settings are not asked for.
        // The new descriptors belong to nobody else.
        unsafe {
            let done =
                libc::openpty(&raw mut outer, &raw mut inner, null, null.cast(), null.cast());
            assert_eq!(done, 0, "openpty: {}", std::io::Error::last_os_error());
            libc::fchown(inner, b.uid(), u32::MAX);
            libc::fcntl(outer, libc::F_SETFL, libc::O_NONBLOCK);
            for fd in [outer, inner] {
                libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC);
            }
            Self { outer: File::from_raw_fd(outer), inner: OwnedFd::from_raw_fd(inner) }
        }
    }

    /// Another descriptor of the program's side.
    ///
    /// # Panics
    ///
    /// When no descriptor is left.
    #[must_use]
    pub fn inner(&self) -> OwnedFd {
        self.inner.try_clone().expect("a descriptor")
    }

    /// What has been printed so far, waiting for `needle` for at most ten seconds.
    pub fn read_until(&mut self, needle: &str) -> String {
        let (start, mut seen) = (Instant::now(), Vec::new());
        while start.elapsed() < Duration::from_secs(10) {
            let mut buffer = [0; 4096];
            match self.outer.read(&mut buffer) {
                Ok(count) => seen.extend_from_slice(&buffer[..count]),
                Err(_) => std::thread::sleep(Duration::from_millis(2)),
            }
            if String::from_utf8_lossy(&seen).contains(needle) {
                break;
            }
        }
        String::from_utf8_lossy(&seen).into_owned()
    }
}

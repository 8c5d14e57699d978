//! Landlock (landlock(7)): rights on files, scopes of signals and abstract sockets.

use crate::{Result, check};
use rustix::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

/// Restricts connections to abstract UNIX sockets to those of the own domain (ABI 6, Linux 6.12).
pub const SCOPE_ABSTRACT_UNIX_SOCKET: u64 = 1;
/// Restricts signals to processes of the own domain (ABI 6, Linux 6.12).
pub const SCOPE_SIGNAL: u64 = 2;
/// The ABI that brought the scopes.
pub const ABI_SCOPES: u32 = 6;

/// `struct landlock_ruleset_attr` as of ABI 6.
#[repr(C)]
struct RulesetAttr {
    handled_access_fs: u64,
    handled_access_net: u64,
    scoped: u64,
}

/// `struct landlock_path_beneath_attr`.
#[repr(C, packed)]
struct PathBeneath {
    allowed_access: u64,
    parent_fd: i32,
}

/// The kernel's Landlock ABI; 0 when it has none or it is disabled.
pub fn abi() -> u32 {
    const VERSION: u32 = 1;
    // SAFETY: with this flag the kernel reads no memory.
    let abi = check(unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, core::ptr::null::<u8>(), 0, VERSION)
    });
    abi.ok().and_then(|abi| u32::try_from(abi).ok()).unwrap_or(0)
}

/// Rules for a new domain.
#[derive(Debug)]
pub struct Ruleset(OwnedFd);

impl Ruleset {
    /// Rules that take these rights on files away (bits of `LANDLOCK_ACCESS_FS_*`) and have these
    /// scopes; not both may be 0.
    ///
    /// # Errors
    /// EINVAL or E2BIG: a kernel without one of them. ENOSYS or EOPNOTSUPP: no Landlock.
    pub fn new(files: u64, scopes: u64) -> Result<Self> {
        let attr = RulesetAttr { handled_access_fs: files, handled_access_net: 0, scoped: scopes };
        // As much of it as the oldest kernel knows that has what is asked for.
        let size = if scopes == 0 { size_of::<u64>() } else { size_of::<RulesetAttr>() };
        // SAFETY: `attr` is at least of the size passed and outlives the call.
        let fd = check(unsafe {
            libc::syscall(libc::SYS_landlock_create_ruleset, &raw const attr, size, 0)
        })?;
        // SAFETY: a new descriptor (closed on exec), which nothing else owns.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd as i32) }))
    }

    /// Gives rights on a file, or on a directory and all below; `place` can be opened with `O_PATH`.
    ///
    /// # Errors
    /// EINVAL: a right that the rules do not take away, or that only directories have. ENOMSG: no
    /// right. EBADFD: a place that has no path.
    pub fn allow(&self, rights: u64, place: BorrowedFd<'_>) -> Result<()> {
        const PATH_BENEATH: u32 = 1;
        let rule = PathBeneath { allowed_access: rights, parent_fd: place.as_raw_fd() };
        // SAFETY: `rule` is of the type that goes with its number and outlives the call.
        let done = unsafe {
            libc::syscall(
                libc::SYS_landlock_add_rule,
                self.0.as_raw_fd(),
                PATH_BENEATH,
                &raw const rule,
                0,
            )
        };
        check(done).map(drop)
    }

    /// Puts the calling thread and its future children into a new domain with these rules. Needs
    /// no_new_privs.
    ///
    /// # Errors
    /// E2BIG: 16 nested domains already.
    pub fn enter(self) -> Result<()> {
        // SAFETY: integers only.
        let done =
            unsafe { libc::syscall(libc::SYS_landlock_restrict_self, self.0.as_raw_fd(), 0) };
        check(done).map(drop)
    }
}

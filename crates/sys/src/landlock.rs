//! Landlock (landlock(7)): scopes of signals and abstract sockets.

use crate::{Result, check};

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

/// The kernel's Landlock ABI; 0 when it has none or it is disabled.
pub fn abi() -> u32 {
    const VERSION: u32 = 1;
    // SAFETY: with this flag the kernel reads no memory.
    let abi = check(unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, core::ptr::null::<u8>(), 0, VERSION)
    });
    abi.ok().and_then(|abi| u32::try_from(abi).ok()).unwrap_or(0)
}

/// Puts the calling thread and its future children into a new domain that only has `scopes`.
/// Needs no_new_privs.
///
/// # Errors
/// EINVAL or E2BIG: a kernel without scopes. E2BIG of the second call: 16 nested domains already.
/// ENOSYS or EOPNOTSUPP: no Landlock.
pub fn restrict_scopes(scopes: u64) -> Result<()> {
    let attr = RulesetAttr { handled_access_fs: 0, handled_access_net: 0, scoped: scopes };
    // SAFETY: `attr` is of the size passed and outlives the call.
    let fd = check(unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            &raw const attr,
            size_of::<RulesetAttr>(),
            0,
        )
    })?;
    // SAFETY: integers only.
    let done = check(unsafe { libc::syscall(libc::SYS_landlock_restrict_self, fd, 0) });
    crate::process::close_fd(fd as i32);
    done.map(drop)
}

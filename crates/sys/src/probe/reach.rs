//! Calls with arguments that the kernel refuses after it has asked for permission.

#[cfg(not(target_arch = "x86_64"))]
use crate::Errno;
use crate::{Result, check};
use core::ffi::{c_int, c_long};

/// A call with arguments that do nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // each is the call of its name
pub enum Reach {
    Acct,
    AddKey,
    Bpf,
    DeleteModule,
    FanotifyInit,
    FinitModule,
    InitModule,
    IoUringSetup,
    IoUringEnter,
    IoUringRegister,
    Ioperm,
    Iopl,
    Kcmp,
    KexecFileLoad,
    KexecLoad,
    Keyctl,
    LookupDcookie,
    MigratePages,
    ModifyLdt,
    MountSetattr,
    MoveMount,
    MovePages,
    PerfEventOpen,
    PersonalityExec,
    PersonalityNoRandom,
    PrctlSetMm,
    ProcessMadvise,
    Quotactl,
    Reboot,
    RequestKey,
    Sethostname,
    Setns,
    SetTime,
    Swapoff,
    Swapon,
    Syslog,
    Userfaultfd,
    Ustat,
    Vhangup,
}

/// Makes the call; a descriptor that it returns is closed.
///
/// # Errors
/// Those of the call. ENOSYS also where this machine's table has no such call.
pub fn reach(call: Reach) -> Result<()> {
    /// No address of user space: reading it is EFAULT.
    const NOWHERE: usize = 1;
    const UFFD_USER_MODE_ONLY: usize = 1;
    const FAN_REPORT_FID: usize = 0x200;
    const READ_IMPLIES_EXEC: usize = 0x0040_0000;
    const ADDR_NO_RANDOMIZE: usize = 0x0004_0000;
    const SYSLOG_ACTION_SIZE_BUFFER: usize = 10;
    const KEYCTL_GET_KEYRING_ID: usize = 0;
    const KEY_SPEC_SESSION_KEYRING: isize = -3;
    let bad = usize::MAX >> 1;
    // What is changed at all is the calling process's own: its personality and its permission to use
    // ports. kexec_load gets flags and a number of segments that are refused (0 segments would
    // unload), acct a bad address (null would switch accounting off), reboot no magic number,
    // settimeofday neither time nor zone, vhangup has nothing to hang up but the caller's own
    // terminal, which the caller has given up.
    // SAFETY: every pointer is null or an address that no process has, of which the kernel makes
    // EFAULT; sizes are 0.
    let result = unsafe {
        match call {
            Reach::Acct => libc::syscall(libc::SYS_acct, NOWHERE),
            Reach::AddKey => {
                libc::syscall(libc::SYS_add_key, NOWHERE, NOWHERE, 0usize, 0usize, 0usize)
            }
            Reach::Bpf => libc::syscall(libc::SYS_bpf, 0usize, NOWHERE, 0usize),
            Reach::DeleteModule => libc::syscall(libc::SYS_delete_module, NOWHERE, 0usize),
            Reach::FanotifyInit => {
                descriptor(libc::syscall(libc::SYS_fanotify_init, FAN_REPORT_FID, 0usize))
            }
            Reach::FinitModule => libc::syscall(libc::SYS_finit_module, -1isize, NOWHERE, bad),
            Reach::InitModule => libc::syscall(libc::SYS_init_module, NOWHERE, 0usize, NOWHERE),
            Reach::IoUringSetup => libc::syscall(libc::SYS_io_uring_setup, 0usize, NOWHERE),
            Reach::IoUringEnter => libc::syscall(
                libc::SYS_io_uring_enter,
                -1isize,
                0usize,
                0usize,
                bad,
                0usize,
                0usize,
            ),
            Reach::IoUringRegister => {
                libc::syscall(libc::SYS_io_uring_register, -1isize, 0usize, 0usize, 0usize)
            }
            #[cfg(target_arch = "x86_64")]
            Reach::Ioperm => libc::syscall(libc::SYS_ioperm, 0x80usize, 1usize, 1usize),
            #[cfg(target_arch = "x86_64")]
            Reach::Iopl => libc::syscall(libc::SYS_iopl, 3usize),
            #[cfg(target_arch = "x86_64")]
            Reach::ModifyLdt => libc::syscall(libc::SYS_modify_ldt, 0usize, NOWHERE, 0usize),
            #[cfg(target_arch = "x86_64")]
            Reach::Ustat => libc::syscall(libc::SYS_ustat, 0usize, NOWHERE),
            #[cfg(not(target_arch = "x86_64"))]
            Reach::Ioperm | Reach::Iopl | Reach::ModifyLdt | Reach::Ustat => {
                return Err(Errno::NOSYS);
            }
            Reach::Kcmp => {
                let pid = libc::getpid();
                libc::syscall(libc::SYS_kcmp, pid, pid, 1usize, 0usize, 0usize)
            }
            Reach::KexecFileLoad => {
                libc::syscall(libc::SYS_kexec_file_load, -1isize, -1isize, 0usize, NOWHERE, bad)
            }
            Reach::KexecLoad => libc::syscall(libc::SYS_kexec_load, 0usize, bad, NOWHERE, bad),
            Reach::Keyctl => libc::syscall(
                libc::SYS_keyctl,
                KEYCTL_GET_KEYRING_ID,
                KEY_SPEC_SESSION_KEYRING,
                0usize,
            ),
            Reach::LookupDcookie => {
                libc::syscall(libc::SYS_lookup_dcookie, 0usize, NOWHERE, 0usize)
            }
            Reach::MigratePages => {
                libc::syscall(libc::SYS_migrate_pages, 0usize, 0usize, 0usize, 0usize)
            }
            Reach::MountSetattr => {
                // The smallest size there is, at a bad address.
                libc::syscall(libc::SYS_mount_setattr, -1isize, NOWHERE, 0usize, NOWHERE, 32usize)
            }
            Reach::MoveMount => {
                libc::syscall(libc::SYS_move_mount, -1isize, NOWHERE, -1isize, NOWHERE, 0usize)
            }
            Reach::MovePages => {
                libc::syscall(libc::SYS_move_pages, 0usize, 0usize, 0usize, 0usize, 0usize, 0usize)
            }
            Reach::PerfEventOpen => {
                libc::syscall(libc::SYS_perf_event_open, NOWHERE, 0usize, -1isize, -1isize, 0usize)
            }
            Reach::PersonalityExec => libc::syscall(libc::SYS_personality, READ_IMPLIES_EXEC),
            Reach::PersonalityNoRandom => libc::syscall(libc::SYS_personality, ADDR_NO_RANDOMIZE),
            Reach::PrctlSetMm => libc::prctl(libc::PR_SET_MM, 0, NOWHERE, 0, 0).into(),
            Reach::ProcessMadvise => {
                libc::syscall(libc::SYS_process_madvise, -1isize, 0usize, 0usize, 0usize, 0usize)
            }
            Reach::Quotactl => libc::syscall(libc::SYS_quotactl, bad, NOWHERE, 0usize, NOWHERE),
            Reach::Reboot => libc::syscall(libc::SYS_reboot, 0usize, 0usize, 0usize, 0usize),
            Reach::RequestKey => {
                libc::syscall(libc::SYS_request_key, NOWHERE, NOWHERE, 0usize, 0usize)
            }
            Reach::Sethostname => libc::syscall(libc::SYS_sethostname, NOWHERE, -1isize),
            Reach::Setns => libc::syscall(libc::SYS_setns, -1isize, 0usize),
            Reach::SetTime => libc::syscall(libc::SYS_settimeofday, 0usize, 0usize),
            Reach::Swapoff => libc::syscall(libc::SYS_swapoff, NOWHERE),
            Reach::Swapon => libc::syscall(libc::SYS_swapon, NOWHERE, 0usize),
            Reach::Syslog => {
                libc::syscall(libc::SYS_syslog, SYSLOG_ACTION_SIZE_BUFFER, 0usize, 0usize)
            }
            Reach::Userfaultfd => descriptor(libc::syscall(
                libc::SYS_userfaultfd,
                UFFD_USER_MODE_ONLY | libc::O_CLOEXEC as usize,
            )),
            Reach::Vhangup => libc::syscall(libc::SYS_vhangup),
        }
    };
    check(result).map(drop)
}

/// Closes what a call returned.
fn descriptor(result: c_long) -> c_long {
    if let Ok(fd) = c_int::try_from(result)
        && fd > 2
    {
        crate::process::close_fd(fd);
    }
    result
}

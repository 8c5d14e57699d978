//! What the tests of the library share.

use swathe_testkit::{Bwrap, Side, Who};

/// Runs a test as each user: in a thread of its own, which alone becomes that user.
pub fn as_each_user(test: fn(&Bwrap)) {
    for who in [Who::Root, Who::User] {
        let Some(b) = Bwrap::find(Side::Ours, who, None) else { continue };
        let thread = std::thread::spawn(move || {
            let uid = b.uid();
            // SAFETY: numbers only. The kernel keeps ids for each thread; the C library's calls,
            // which change those of all, are not used.
            unsafe {
                if libc::geteuid() != uid {
                    assert_eq!(libc::syscall(libc::SYS_setresgid, uid, uid, uid), 0);
                    assert_eq!(libc::syscall(libc::SYS_setresuid, uid, uid, uid), 0);
                }
            }
            test(&b);
        });
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    }
}

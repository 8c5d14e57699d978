//! The documents for callers: `--info-fd` and `--json-status-fd`.

use crate::failure::{At, Result, Stage};
use crate::prepare::Prepared;
use crate::wait::ready;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ffi::CStr;
use core::fmt::Write as _;
use swathe_plan::model::CgroupNamespace;
use swathe_sys::rustix::event::PollFlags;
use swathe_sys::rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use swathe_sys::rustix::fs;
use swathe_sys::{Errno, process, rustix};

/// How many kinds of namespaces the documents tell of.
pub const KINDS: usize = 6;

/// The kinds, in the documents' order.
const NAMES: [&CStr; KINDS] = [
    c"self/ns/cgroup",
    c"self/ns/ipc",
    c"self/ns/mnt",
    c"self/ns/net",
    c"self/ns/pid",
    c"self/ns/uts",
];

/// The inode numbers of the calling process's namespaces; 0 for those that are not the sandbox's
/// own. The process says them itself: others may not be allowed to look.
pub fn own_namespaces(prepared: &Prepared<'_>, proc_fd: &OwnedFd) -> Result<[u64; KINDS]> {
    let ns = &prepared.plan.namespaces;
    let cgroup = ns.cgroup != CgroupNamespace::Keep;
    let own = [cgroup, ns.ipc, true, ns.net, ns.pid, ns.uts];
    let mut ids = [0; KINDS];
    for i in (0..KINDS).filter(|&i| own[i]) {
        let stat = fs::statat(proc_fd, NAMES[i], fs::AtFlags::empty()).at(Stage::WriteInfo)?;
        ids[i] = stat.st_ino;
    }
    Ok(ids)
}

/// The numbers with the names that the documents use.
pub fn named(ids: [u64; KINDS], cgroup: bool) -> Vec<(&'static str, u64)> {
    let names = ["cgroup", "ipc", "mnt", "net", "pid", "uts"];
    let all = names.into_iter().zip(ids);
    all.filter(|&(name, id)| id != 0 && (cgroup || name != "cgroup")).collect()
}

/// The text of `--info-fd`.
pub fn info(pid: i32, ids: &[(&str, u64)]) -> String {
    let mut text = format!("{{\n    \"child-pid\": {pid}");
    for (name, id) in ids {
        let _ = write!(text, ",\n    \"{name}-namespace\": {id}");
    }
    text.push_str("\n}\n");
    text
}

/// The first line of `--json-status-fd`.
pub fn status(pid: i32, ids: &[(&str, u64)]) -> String {
    let mut text = format!("{{ \"child-pid\": {pid}");
    for (name, id) in ids {
        let _ = write!(text, ", \"{name}-namespace\": {id}");
    }
    text.push_str(" }\n");
    text
}

/// Writes a document. A reader that does not read must not keep this process from noticing that
/// its caller has ended.
pub fn write(number: i32, text: &str, caller: Option<BorrowedFd<'_>>) -> Result<()> {
    let fd = process::borrow_fd(number).at(Stage::WriteInfo)?;
    let mut rest = text.as_bytes();
    // Only where the caller is watched meanwhile does it matter whether a write would wait.
    let blocks = match caller {
        Some(_) => !fs::fcntl_getfl(fd).at(Stage::WriteInfo)?.contains(fs::OFlags::NONBLOCK),
        None => true,
    };
    while !rest.is_empty() {
        if caller.is_some() && blocks {
            let flags = [PollFlags::OUT, PollFlags::IN];
            let [_, gone] = ready([Some(fd.as_fd()), caller], flags);
            if gone {
                return Err(Errno::SRCH).at(Stage::CallerGone);
            }
        }
        match rustix::io::write(fd, rest) {
            Ok(n) => rest = &rest[n..],
            Err(Errno::INTR) => {}
            Err(e) => return Err(e).at(Stage::WriteInfo),
        }
    }
    Ok(())
}

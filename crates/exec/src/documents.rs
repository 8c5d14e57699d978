//! The documents for callers: `--info-fd` and `--json-status-fd`.

use crate::failure::{At, Result, Stage};
use crate::prepare::Prepared;
use crate::wait::ready;
use alloc::ffi::CString;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;
use swathe_plan::model::CgroupNamespace;
use swathe_sys::rustix::event::PollFlags;
use swathe_sys::rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use swathe_sys::rustix::fs;
use swathe_sys::{Errno, process, rustix};

/// The inode numbers of the namespaces that are the sandbox's own, in the documents' order.
pub fn namespaces(
    prepared: &Prepared<'_>,
    proc_fd: &OwnedFd,
    pid: i32,
    cgroup: bool,
) -> Result<Vec<(&'static str, u64)>> {
    let ns = &prepared.plan.namespaces;
    let own = [
        ("cgroup", cgroup && ns.cgroup != CgroupNamespace::Keep),
        ("ipc", ns.ipc),
        ("mnt", true),
        ("net", ns.net),
        ("pid", ns.pid),
        ("uts", ns.uts),
    ];
    let mut ids = Vec::new();
    for (name, _) in own.into_iter().filter(|&(_, own)| own) {
        let path = CString::new(format!("{pid}/ns/{name}")).unwrap_or_default();
        let stat = fs::statat(proc_fd, &path, fs::AtFlags::empty()).at(Stage::WriteInfo)?;
        ids.push((name, stat.st_ino));
    }
    Ok(ids)
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
    let blocks = !fs::fcntl_getfl(fd).at(Stage::WriteInfo)?.contains(fs::OFlags::NONBLOCK);
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

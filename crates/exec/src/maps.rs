//! Ranges of ids, mapped by newuidmap(1) and newgidmap(1).

use crate::failure::{At, Failure, Result, Stage};
use crate::prepare::Prepared;
use alloc::ffi::CString;
use alloc::string::ToString;
use alloc::vec::Vec;
use swathe_plan::model::IdRange;
use swathe_sys::Errno;
use swathe_sys::process::{self, StringArray};
use swathe_sys::rustix::process::{Pid, WaitOptions, waitpid};

/// Where the tools are: they are set-user-ID, so no other place is trusted.
const UID_TOOL: [&str; 2] = ["/usr/bin/newuidmap", "/bin/newuidmap"];
const GID_TOOL: [&str; 2] = ["/usr/bin/newgidmap", "/bin/newgidmap"];

/// Maps the ranges of a plan, and the caller's own id, into the namespace of process `pid`.
pub fn write_ranges(prepared: &Prepared<'_>, pid: i32) -> Result<()> {
    let plan = prepared.plan;
    if !swathe_plan::check::has_ranges(plan) {
        return Ok(());
    }
    let own = |inside: u32, outside: u32| IdRange { inside, outside, count: 1 };
    let ids = prepared.first_ids;
    run(&UID_TOOL, pid, own(ids.0, prepared.caller.uid), &plan.uid_ranges, 0)?;
    run(&GID_TOOL, pid, own(ids.1, prepared.caller.gid), &plan.gid_ranges, 1)
}

fn run(paths: &[&str], pid: i32, own: IdRange, ranges: &[IdRange], which: u32) -> Result<()> {
    let words: Vec<CString> = core::iter::once(pid.to_string())
        .chain(
            core::iter::once(own)
                .chain(ranges.iter().copied())
                .flat_map(|r| [r.inside.to_string(), r.outside.to_string(), r.count.to_string()]),
        )
        .map(|w| CString::new(w).unwrap_or_default())
        .collect();
    let env = StringArray::new([c"PATH=/usr/sbin:/usr/bin:/sbin:/bin"]);
    let mut error = Errno::NOENT;
    let paths: Vec<CString> = paths.iter().map(|p| CString::new(*p).unwrap_or_default()).collect();
    let child = process::vfork(&mut || {
        for path in &paths {
            let argv = [path.as_c_str()].into_iter().chain(words.iter().map(|w| w.as_c_str()));
            error = process::execve(path, &StringArray::new(argv), &env);
        }
        127
    })
    .at(Stage::MapTool)?;
    let status = loop {
        match waitpid(Pid::from_raw(child), WaitOptions::empty()) {
            Err(Errno::INTR) => {}
            other => break other.at(Stage::MapTool)?,
        }
    };
    match status.and_then(|(_, s)| s.exit_status()) {
        Some(0) => Ok(()),
        Some(127) => Err(error).at(Stage::MapTool).map_err(|f| f.about(which)),
        _ => Err(Failure::found(Stage::Map).about(which)),
    }
}

//! Filters and rights on files: what can be read and checked of them before the first process is
//! made.

use crate::failure::{At, Failure, Result, Stage};
use crate::prepare::c_string;
use alloc::ffi::CString;
use alloc::vec;
use alloc::vec::Vec;
use swathe_plan::model::{FdNumber, FileRights, Plan};
use swathe_plan::tables;
use swathe_sys::rustix::net::{AddressFamily, SocketType, getpeername, sockopt};
use swathe_sys::seccomp::{self, Instruction};
use swathe_sys::{Errno, landlock, process};

/// A filter that asks somebody outside.
#[derive(Debug)]
pub struct Listener {
    /// Its program.
    pub program: Vec<Instruction>,
    /// The connected socket over which the listener is sent.
    pub socket: FdNumber,
}

/// The programs of the filters, in order.
pub fn filters(plan: &Plan) -> Result<Vec<Vec<Instruction>>> {
    let each = plan.filters.iter().enumerate();
    each.map(|(i, filter)| program(filter.value).map_err(|f| f.about(i as u32))).collect()
}

/// The program that a descriptor yields.
fn program(number: FdNumber) -> Result<Vec<Instruction>> {
    let blob = read_filter(number).at(Stage::SeccompData)?;
    seccomp::parse(&blob).ok_or(Failure::found(Stage::SeccompBlob))
}

/// Makes sure that the socket is one that a listener can be sent over.
pub fn listener(plan: &Plan) -> Result<Option<Listener>> {
    let Some(given) = plan.listener else { return Ok(None) };
    let socket = process::borrow_fd(given.socket).at(Stage::ListenerSocket)?;
    let kind = sockopt::socket_type(socket).at(Stage::ListenerSocket)?;
    let right = sockopt::socket_domain(socket).at(Stage::ListenerSocket)? == AddressFamily::UNIX
        && (kind == SocketType::STREAM || kind == SocketType::SEQPACKET);
    if !right {
        return Err(Failure::found(Stage::ListenerSocket));
    }
    getpeername(socket).at(Stage::ListenerSocket)?;
    Ok(Some(Listener { program: program(given.filter)?, socket: given.socket }))
}

/// The Landlock ABI, which has to have the rights on files that are asked for.
pub fn landlock_abi(plan: &Plan) -> Result<u32> {
    let known = if wants_landlock(plan) { landlock::abi() } else { 0 };
    let abi = plan.assume_kernel.map_or(known, |version| known.min(tables::landlock_abi(version)));
    match plan.handled_rights.beyond(abi) {
        // Position and ABI are small numbers.
        Some(right) => Err(Failure::found(Stage::LandlockKernel).about((right as u32) << 8 | abi)),
        None => Ok(abi),
    }
}

fn wants_landlock(plan: &Plan) -> bool {
    plan.scope_signals || plan.scope_abstract_sockets || !plan.handled_rights.is_empty()
}

/// What Landlock gives back, at paths from the sandbox's root.
pub fn allowances(plan: &Plan) -> Vec<(FileRights, CString)> {
    let path = |path: &[u8]| match path {
        [b'/', ..] => c_string(path),
        // Whatever the working directory is by then.
        _ => c_string(&[b"/", path].concat()),
    };
    plan.allowances.iter().map(|a| (a.rights, path(&a.path.0))).collect()
}

/// Reads a blob, one byte more at most than the largest that can be loaded.
fn read_filter(number: i32) -> core::result::Result<Vec<u8>, Errno> {
    let fd = process::borrow_fd(number)?;
    let most = seccomp::MAX_INSTRUCTIONS * seccomp::INSTRUCTION_SIZE + 1;
    let mut blob = vec![0; most];
    let mut len = 0;
    while len < most {
        match swathe_sys::rustix::io::read(fd, &mut blob[len..]) {
            Ok(0) => break,
            Ok(n) => len += n,
            Err(Errno::INTR) => {}
            Err(e) => return Err(e),
        }
    }
    blob.truncate(len);
    Ok(blob)
}

//! seccomp(2): loading filters.

use crate::{Errno, Result, check};
use alloc::vec::Vec;

/// One instruction of classic BPF (`struct sock_filter`).
pub type Instruction = libc::sock_filter;

/// Size of an [`Instruction`] in bytes, the granularity of a filter blob.
pub const INSTRUCTION_SIZE: usize = size_of::<Instruction>();

/// The most instructions that the kernel takes in one filter (`BPF_MAXINSNS`).
pub const MAX_INSTRUCTIONS: usize = 4096;

/// Reads a blob of instructions in native byte order, as `seccomp_export_bpf` of libseccomp writes
/// it. Returns `None` when its length is 0, no multiple of 8, or above [`MAX_INSTRUCTIONS`].
/// Allocates.
pub fn parse(blob: &[u8]) -> Option<Vec<Instruction>> {
    let count = blob.len() / INSTRUCTION_SIZE;
    if blob.is_empty() || !blob.len().is_multiple_of(INSTRUCTION_SIZE) || count > MAX_INSTRUCTIONS {
        return None;
    }
    let read = |i: &[u8]| Instruction {
        code: u16::from_ne_bytes([i[0], i[1]]),
        jt: i[2],
        jf: i[3],
        k: u32::from_ne_bytes([i[4], i[5], i[6], i[7]]),
    };
    Some(blob.chunks_exact(INSTRUCTION_SIZE).map(read).collect())
}

/// Loads a filter on the calling thread (`PR_SET_SECCOMP`, as bubblewrap does: filters of nested
/// sandboxes and of containers allow prctl more often than seccomp(2)).
///
/// # Errors
/// EINVAL: the kernel has no filters, or this is no valid program. EACCES: no_new_privs is not set.
pub fn load(program: &[Instruction]) -> Result<()> {
    let len = u16::try_from(program.len()).map_err(|_| Errno::INVAL)?;
    let prog = libc::sock_fprog { len, filter: program.as_ptr().cast_mut() };
    // SAFETY: `prog` describes a valid slice; the kernel copies it and writes nothing.
    check(
        unsafe {
            libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const prog, 0, 0)
        }
        .into(),
    )
    .map(drop)
}

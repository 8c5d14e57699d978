//! What a program answers to a system call, without a kernel: for tests, and to explain a filter.

use super::code::{AND, JA, JEQ, JGE, JGT, JSET, LD_ABS, MAX_INSTRUCTIONS, RET};

/// What a filter sees of a system call (`struct seccomp_data`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Data {
    /// Its number.
    pub number: u32,
    /// The machine, as [`super::Arch::audit`] says.
    pub arch: u32,
    /// Where in the program it was made.
    pub address: u64,
    /// Its arguments.
    pub args: [u64; 6],
}

impl Data {
    /// The 32 bits at this offset.
    fn word(&self, offset: u32) -> Option<u32> {
        if !offset.is_multiple_of(4) {
            return None;
        }
        let wide = match offset {
            0 => return Some(self.number),
            4 => return Some(self.arch),
            8 | 12 => self.address,
            _ => *self.args.get((offset as usize / 8).checked_sub(2)?)?,
        };
        #[allow(clippy::cast_possible_truncation)] // one half
        Some(if offset.is_multiple_of(8) { wide as u32 } else { (wide >> 32) as u32 })
    }
}

/// Why a program is none, or none that this can read; the number is the instruction's, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Its length is no multiple of 8 bytes, or it is empty or too long.
    Length,
    /// An instruction that [`super::assemble`] never makes.
    Instruction(usize),
    /// A load from outside of the call's data.
    Load(usize),
    /// The end was passed.
    End(usize),
}

/// What the program returns for a call: an action and its data, see [`super::Action::value`].
/// Always ends, since jumps only go forward.
///
/// # Errors
///
/// When the program is not one of those that [`super::assemble`] makes.
pub fn interpret(program: &[u8], data: &Data) -> Result<u32, Fault> {
    let (code, rest) = program.as_chunks::<8>();
    if !rest.is_empty() || code.is_empty() || code.len() > MAX_INSTRUCTIONS {
        return Err(Fault::Length);
    }
    let (mut at, mut a) = (0, 0_u32);
    loop {
        let &[op0, op1, yes, no, k0, k1, k2, k3] = code.get(at).ok_or(Fault::End(at))?;
        let k = u32::from_le_bytes([k0, k1, k2, k3]);
        let truth = match u16::from_le_bytes([op0, op1]) {
            RET => return Ok(k),
            LD_ABS => {
                a = data.word(k).ok_or(Fault::Load(at))?;
                at += 1;
                continue;
            }
            AND => {
                a &= k;
                at += 1;
                continue;
            }
            JA => {
                at = at.saturating_add(1).saturating_add(k as usize);
                continue;
            }
            JEQ => a == k,
            JGT => a > k,
            JGE => a >= k,
            JSET => a & k != 0,
            _ => return Err(Fault::Instruction(at)),
        };
        at += 1 + usize::from(if truth { yes } else { no });
    }
}

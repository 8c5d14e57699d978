//! Machines, and what their system calls are called.

use super::calls::{CALLS, NO};

/// A machine's table of system calls. All of them are little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Arch {
    /// 64-bit x86.
    X86_64,
    /// 32-bit x86.
    X86,
    /// 64-bit ARM.
    Aarch64,
    /// 32-bit ARM.
    Arm,
}

impl Arch {
    /// Every machine there is a table for.
    pub const ALL: [Self; 4] = [Self::X86_64, Self::X86, Self::Aarch64, Self::Arm];

    /// The machine this was compiled for; none where there is no table for it.
    #[must_use]
    pub const fn native() -> Option<Self> {
        if cfg!(all(target_arch = "x86_64", target_pointer_width = "64")) {
            Some(Self::X86_64)
        } else if cfg!(target_arch = "x86") {
            Some(Self::X86)
        } else if cfg!(all(target_arch = "aarch64", target_endian = "little")) {
            Some(Self::Aarch64)
        } else if cfg!(all(target_arch = "arm", target_endian = "little")) {
            Some(Self::Arm)
        } else {
            None
        }
    }

    /// The machine whose 32-bit programs this one runs too.
    #[must_use]
    pub const fn narrow(self) -> Option<Self> {
        match self {
            Self::X86_64 => Some(Self::X86),
            Self::Aarch64 => Some(Self::Arm),
            Self::X86 | Self::Arm => None,
        }
    }

    /// The name that people use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::X86 => "i386",
            Self::Aarch64 => "aarch64",
            Self::Arm => "arm",
        }
    }

    /// The kernel's number of it, `AUDIT_ARCH_*` in linux/audit.h.
    #[must_use]
    pub const fn audit(self) -> u32 {
        match self {
            Self::X86_64 => 0xc000_003e,
            Self::X86 => 0x4000_0003,
            Self::Aarch64 => 0xc000_00b7,
            Self::Arm => 0x4000_0028,
        }
    }

    /// Whether an argument of a system call has 64 bits.
    #[must_use]
    pub const fn is_wide(self) -> bool {
        matches!(self, Self::X86_64 | Self::Aarch64)
    }

    /// The number of a system call; none where the machine has none of that name.
    #[must_use]
    pub fn number(self, name: &str) -> Option<u32> {
        let at = CALLS.binary_search_by_key(&name, |(known, _)| known).ok()?;
        Some(CALLS.get(at)?.1[self as usize]).filter(|&number| number != NO)
    }

    /// The name of a system call; none for a number that Linux 6.18 does not know.
    #[must_use]
    pub fn call(self, number: u32) -> Option<&'static str> {
        self.calls().find(|&(_, known)| known == number).map(|(name, _)| name)
    }

    /// All system calls with their numbers, in the order of the names.
    pub fn calls(self) -> impl Iterator<Item = (&'static str, u32)> {
        CALLS
            .iter()
            .map(move |(name, numbers)| (*name, numbers[self as usize]))
            .filter(|&(_, number)| number != NO)
    }
}

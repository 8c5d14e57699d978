//! The seccomp filter of a sandbox: which system calls are refused, how, and why.
//!
//! [`rules`] is the one table of it; [`base`] makes the program for the kernel from it, and
//! docs/filter.md is printed from it. Everything that has a name is allowed but what the table
//! refuses. A call without a name, which is one that came after Linux 6.18, fails as on a kernel
//! that does not have it: nobody has looked at what it can do.
//!
//! A filter sees numbers, never memory. Calls whose dangerous part is in memory, like clone3, are
//! refused as a whole, in the way that makes programs fall back to one that can be judged.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

mod arch;
mod calls;
mod code;
mod compile;
pub mod docs;
mod interpret;
mod table;

pub use arch::Arch;
pub use code::MAX_INSTRUCTIONS;
pub use compile::{Action, Case, Table, Test, assemble};
pub use interpret::{Data, Fault, interpret};
pub use table::{ALL, Rule, Switch, When, errno};

/// What a sandbox needs beyond what every program needs. Each field is an intent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FilterOptions {
    /// The machine; none is one without a table of system calls.
    pub arch: Option<Arch>,
    /// Make namespaces and mount in them: sandboxes inside the sandbox.
    pub nested_sandbox: bool,
    /// Trace processes and read their memory.
    pub ptrace: bool,
    /// Run 32-bit programs. It opens more than their calls: see docs/filter.md.
    pub bits32: bool,
    /// Make IPv4 and IPv6 sockets; which network they reach is decided elsewhere.
    pub inet: bool,
}

impl Default for FilterOptions {
    /// For this machine, only with [`Self::inet`].
    fn default() -> Self {
        Self {
            arch: Arch::native(),
            nested_sandbox: false,
            ptrace: false,
            bits32: false,
            inet: true,
        }
    }
}

impl FilterOptions {
    /// Whether the rule is in force.
    #[must_use]
    pub fn has(&self, rule: &Rule) -> bool {
        let on = |switch| match switch {
            Switch::NestedSandbox => self.nested_sandbox,
            Switch::Ptrace => self.ptrace,
            Switch::Bits32 => self.bits32,
            Switch::Inet => self.inet,
        };
        match rule.when {
            When::Always => true,
            When::With(switch) => on(switch),
            When::Without(switch) => !on(switch),
        }
    }
}

/// Why there is no filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilterError {
    /// There is no table of this machine's system calls.
    Machine,
    /// The program would have this many instructions or more, and 4096 is the kernel's limit.
    Length(usize),
    /// A system call has no argument of this number.
    Argument(u8),
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Machine => f.write_str(
                "cannot make a filter of system calls: there is no table of this machine's \
                 (there are those of x86_64 and aarch64)",
            ),
            Self::Length(length) => write!(
                f,
                "cannot make a filter of system calls: {length} instructions are too many, the \
                 kernel takes {MAX_INSTRUCTIONS}"
            ),
            Self::Argument(number) => write!(
                f,
                "cannot make a filter of system calls: a rule is about argument {number}, and they \
                 are numbered 0 to 5"
            ),
        }
    }
}

impl core::error::Error for FilterError {}

/// The rules in force, in their order: of those about one call the first whose condition holds
/// counts, and a call about which there is none is allowed.
pub fn rules(options: &FilterOptions) -> impl Iterator<Item = &'static Rule> + use<> {
    let options = *options;
    ALL.iter().filter(move |rule| options.has(rule))
}

/// The filter as the kernel takes it, an array of `struct sock_filter` for bwrap's
/// `--add-seccomp-fd`. Pure: the same options give the same bytes.
///
/// # Errors
///
/// [`FilterError::Machine`]; the others only if the table of rules has a fault.
pub fn base(options: &FilterOptions) -> Result<Vec<u8>, FilterError> {
    let arch = options.arch.ok_or(FilterError::Machine)?;
    let mut tables = Vec::from([table(arch, options)]);
    if let Some(narrow) = arch.narrow() {
        tables.push(if options.bits32 {
            table(narrow, options)
        } else {
            let others = Action::Errno(errno::ENOSYS);
            Table { arch: narrow, calls: BTreeMap::new(), others }
        });
    }
    assemble(&tables, Action::Kill)
}

/// What the rules say for one machine.
fn table(arch: Arch, options: &FilterOptions) -> Table<'static> {
    let mut calls: BTreeMap<u32, Vec<Case<'static>>> = BTreeMap::new();
    for (_, number) in arch.calls() {
        calls.insert(number, Vec::new());
    }
    for rule in rules(options) {
        for number in rule.calls.iter().filter_map(|name| arch.number(name)) {
            let case = Case { tests: rule.tests, action: rule.action };
            calls.entry(number).or_default().push(case);
        }
    }
    // An x32 call has a number above 0x40000000: it is none of these.
    Table { arch, calls, others: Action::Errno(errno::ENOSYS) }
}

//! From what is to be decided to a program that decides it.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::FilterError;
use super::arch::Arch;
use super::code::{AND, Code, JEQ, JGE, JGT, JSET, LD_ABS, MAX_INSTRUCTIONS, Node};

/// What happens to a system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// It runs.
    Allow,
    /// It fails with this number, 1 to 4095, and does nothing.
    Errno(u16),
    /// The process ends by SIGSYS, with all of its threads.
    Kill,
    /// The program that watches the sandbox decides; without one it fails with ENOSYS.
    Notify,
}

impl Action {
    /// What a filter returns for it, `SECCOMP_RET_*` in seccomp(2).
    #[must_use]
    pub const fn value(self) -> u32 {
        match self {
            Self::Allow => 0x7fff_0000,
            Self::Errno(number) => 0x0005_0000 | (number as u32 & 0xfff),
            Self::Kill => 0x8000_0000,
            Self::Notify => 0x7fc0_0000,
        }
    }
}

/// A question about one argument, counted from 0. The argument is its low 32 bits on a 32-bit
/// machine, where the kernel does not look at the rest either. On a 64-bit machine, where the
/// kernel takes an `int`, the question has to be about the low half only, or high bits dodge it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Test {
    /// These bits of it have this value.
    Equal {
        /// Which argument.
        arg: u8,
        /// Which bits.
        mask: u64,
        /// Their value.
        value: u64,
    },
    /// One of these bits is set.
    Any {
        /// Which argument.
        arg: u8,
        /// Which bits.
        mask: u64,
    },
    /// Its low half is at least `from` and at most `to`.
    Low {
        /// Which argument.
        arg: u8,
        /// The least.
        from: u32,
        /// The greatest.
        to: u32,
    },
    /// All of it is at least `from` and at most `to`.
    Range {
        /// Which argument.
        arg: u8,
        /// The least.
        from: u64,
        /// The greatest.
        to: u64,
    },
}

impl Test {
    /// The argument is an `int` of this value.
    #[must_use]
    pub const fn int(arg: u8, value: u32) -> Self {
        Self::Equal { arg, mask: 0xffff_ffff, value: value as u64 }
    }

    /// These bits of an `int` have this value.
    #[must_use]
    pub const fn bits(arg: u8, mask: u32, value: u32) -> Self {
        Self::Equal { arg, mask: mask as u64, value: value as u64 }
    }

    /// One of these bits of an `int` is set.
    #[must_use]
    pub const fn any(arg: u8, mask: u32) -> Self {
        Self::Any { arg, mask: mask as u64 }
    }

    const fn arg(self) -> u8 {
        match self {
            Self::Equal { arg, .. }
            | Self::Any { arg, .. }
            | Self::Low { arg, .. }
            | Self::Range { arg, .. } => arg,
        }
    }
}

/// An action under conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Case<'a> {
    /// All have to hold.
    pub tests: &'a [Test],
    /// What happens then.
    pub action: Action,
}

/// The decisions for one machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table<'a> {
    /// The machine.
    pub arch: Arch,
    /// The numbers that are known, each with its cases: the first that holds counts. Where none
    /// does, the call is allowed.
    pub calls: BTreeMap<u32, Vec<Case<'a>>>,
    /// What happens to other numbers.
    pub others: Action,
}

/// The program, as an array of `struct sock_filter`, for calls of these machines; the first table
/// of a machine counts. What another machine's call gets is `others`.
///
/// # Errors
///
/// When the program is longer than [`MAX_INSTRUCTIONS`] or a test is about an argument above 5.
pub fn assemble(tables: &[Table<'_>], others: Action) -> Result<Vec<u8>, FilterError> {
    let mut code = Code::default();
    let mut start = code.ret(others.value());
    for table in tables.iter().rev() {
        let tree = tree(&mut code, &spans(table))?;
        let numbers = code.then(LD_ABS, 0, tree);
        start = code.branch(JEQ, table.arch.audit(), numbers, start);
    }
    code.then(LD_ABS, 4, start);
    if code.len() > MAX_INSTRUCTIONS {
        return Err(FilterError::Length(code.len()));
    }
    Ok(code.bytes())
}

/// Numbers from here to the next span, which are all treated the same.
struct Span<'a> {
    from: u32,
    cases: &'a [Case<'a>],
    last: Action,
    wide: bool,
}

/// All numbers, as few spans as possible.
fn spans<'a>(table: &'a Table<'_>) -> Vec<Span<'a>> {
    let wide = table.arch.is_wide();
    let mut spans: Vec<Span<'a>> = Vec::new();
    let mut add = |from: u32, cases: &'a [Case<'a>], last: Action| match spans.last() {
        Some(before) if before.cases == cases && before.last == last => {}
        _ => spans.push(Span { from, cases, last, wide }),
    };
    let mut next = Some(0);
    for (&number, cases) in &table.calls {
        if let Some(from) = next.filter(|&from| from < number) {
            add(from, &[], table.others);
        }
        add(number, cases, Action::Allow);
        next = number.checked_add(1);
    }
    if let Some(from) = next {
        add(from, &[], table.others);
    }
    spans
}

/// A search among the spans, with the number in the accumulator. The kernel runs a filter once for
/// every number when it is loaded, to learn which are always allowed: a tree keeps that short.
fn tree(code: &mut Code, spans: &[Span<'_>]) -> Result<Node, FilterError> {
    let (left, right) = match spans {
        [] => return Ok(code.ret(Action::Kill.value())),
        [one] => return leaf(code, one),
        _ => spans.split_at(spans.len() / 2),
    };
    let from = right.first().map_or(0, |span| span.from);
    if code.len() > MAX_INSTRUCTIONS {
        return Err(FilterError::Length(code.len()));
    }
    let right = tree(code, right)?;
    let left = tree(code, left)?;
    Ok(code.branch(JGE, from, right, left))
}

/// The cases of one call.
fn leaf(code: &mut Code, span: &Span<'_>) -> Result<Node, FilterError> {
    let mut otherwise = code.ret(span.last.value());
    for case in span.cases.iter().rev() {
        let mut holds = code.ret(case.action.value());
        for &test in case.tests.iter().rev() {
            if test.arg() > 5 {
                return Err(FilterError::Argument(test.arg()));
            }
            holds = ask(code, test, span.wide, holds, otherwise);
        }
        otherwise = holds;
    }
    Ok(otherwise)
}

/// One test. Each half of an argument is loaded anew, so that this can be jumped to from anywhere.
fn ask(code: &mut Code, test: Test, wide: bool, yes: Node, no: Node) -> Node {
    let low = 16 + 8 * u32::from(test.arg());
    let high = low + 4;
    match test {
        Test::Equal { mask, value, .. } => {
            let (mask_high, mask_low) = halves(mask);
            let (value_high, value_low) = halves(value);
            let (mask_high, impossible) =
                if wide { (mask_high, 0) } else { (0, value_high & mask_high) };
            if value & !mask != 0 || impossible != 0 {
                return no;
            }
            let yes = equal(code, low, mask_low, value_low, yes, no);
            equal(code, high, mask_high, value_high, yes, no)
        }
        Test::Any { mask, .. } => {
            let (mask_high, mask_low) = halves(mask);
            let no = any(code, low, mask_low, yes, no);
            any(code, high, if wide { mask_high } else { 0 }, yes, no)
        }
        Test::Low { from, to, .. } => between(code, low, from, to, yes, no),
        Test::Range { from, to, .. } if !wide => match (halves(from), halves(to)) {
            ((0, from), (0, to)) => between(code, low, from, to, yes, no),
            ((0, from), _) => between(code, low, from, u32::MAX, yes, no),
            _ => no,
        },
        Test::Range { from, to, .. } => {
            let yes = at_most(code, low, to, yes, no);
            at_least(code, low, from, yes, no)
        }
    }
}

/// The high and the low half.
fn halves(number: u64) -> (u32, u32) {
    #[allow(clippy::cast_possible_truncation)] // that is what a half is
    ((number >> 32) as u32, number as u32)
}

fn equal(code: &mut Code, at: u32, mask: u32, value: u32, yes: Node, no: Node) -> Node {
    if mask == 0 || yes == no {
        return yes;
    }
    let mut next = code.branch(JEQ, value, yes, no);
    if mask != u32::MAX {
        next = code.then(AND, mask, next);
    }
    code.then(LD_ABS, at, next)
}

fn any(code: &mut Code, at: u32, mask: u32, yes: Node, no: Node) -> Node {
    if mask == 0 || yes == no {
        return no;
    }
    let next = code.branch(JSET, mask, yes, no);
    code.then(LD_ABS, at, next)
}

fn between(code: &mut Code, at: u32, from: u32, to: u32, yes: Node, no: Node) -> Node {
    if from > to || yes == no {
        return no;
    }
    let below = code.branch(JGT, to, no, yes);
    let next = code.branch(JGE, from, below, no);
    code.then(LD_ABS, at, next)
}

fn at_least(code: &mut Code, low: u32, bound: u64, yes: Node, no: Node) -> Node {
    let (bound_high, bound_low) = halves(bound);
    let last = code.branch(JGE, bound_low, yes, no);
    let last = code.then(LD_ABS, low, last);
    let same = code.branch(JEQ, bound_high, last, no);
    let next = code.branch(JGT, bound_high, yes, same);
    code.then(LD_ABS, low + 4, next)
}

fn at_most(code: &mut Code, low: u32, bound: u64, yes: Node, no: Node) -> Node {
    let (bound_high, bound_low) = halves(bound);
    let last = code.branch(JGT, bound_low, no, yes);
    let last = code.then(LD_ABS, low, last);
    let same = code.branch(JEQ, bound_high, last, yes);
    let next = code.branch(JGT, bound_high, no, same);
    code.then(LD_ABS, low + 4, next)
}

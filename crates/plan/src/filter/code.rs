//! The instructions of a program, placed from the last to the first.
//!
//! Jumps of a filter only go forward, so a program that grows at its front always knows where its
//! jumps lead: a [`Node`] is a label and the code at it. What a conditional jump cannot reach, 255
//! instructions at most, it reaches over an unconditional one, for which a place is made right
//! there. The same code with the same continuation is placed once.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

/// The longest program that the kernel accepts, in instructions (`BPF_MAXINSNS`).
pub const MAX_INSTRUCTIONS: usize = 4096;

pub(super) const LD_ABS: u16 = 0x20;
pub(super) const AND: u16 = 0x54;
pub(super) const JA: u16 = 0x05;
pub(super) const JEQ: u16 = 0x15;
pub(super) const JGT: u16 = 0x25;
pub(super) const JGE: u16 = 0x35;
pub(super) const JSET: u16 = 0x45;
pub(super) const RET: u16 = 0x06;

/// A place in the program: how many instructions were placed before, which come after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Node(usize);

#[derive(Debug, Clone, Copy)]
struct Instruction {
    code: u16,
    yes: u8,
    no: u8,
    k: u32,
}

/// A program under construction.
#[derive(Debug, Default)]
pub(super) struct Code {
    /// The last first.
    placed: Vec<Instruction>,
    known: BTreeMap<(u16, u32, Node, Node), Node>,
}

impl Code {
    /// The end of the program with this value.
    pub fn ret(&mut self, k: u32) -> Node {
        let key = (RET, k, Node(0), Node(0));
        match self.known.get(&key) {
            Some(&node) if self.distance(node) < 200 => node,
            _ => {
                let node = self.place(RET, 0, 0, k);
                self.known.insert(key, node);
                node
            }
        }
    }

    /// An instruction that is no jump, and then `next`.
    pub fn then(&mut self, code: u16, k: u32, next: Node) -> Node {
        let key = (code, k, next, next);
        if let Some(&node) = self.known.get(&key) {
            return node;
        }
        if self.distance(next) != 0 {
            self.bridge(next);
        }
        let node = self.place(code, 0, 0, k);
        self.known.insert(key, node);
        node
    }

    /// A conditional jump.
    pub fn branch(&mut self, code: u16, k: u32, yes: Node, no: Node) -> Node {
        if yes == no {
            return yes;
        }
        let key = (code, k, yes, no);
        if let Some(&node) = self.known.get(&key) {
            return node;
        }
        // A bridge for one moves the other away by one.
        let yes = if self.distance(yes) < 254 { yes } else { self.bridge(yes) };
        let no = if self.distance(no) < 255 { no } else { self.bridge(no) };
        let (to_yes, to_no) = (self.short(yes), self.short(no));
        let node = self.place(code, to_yes, to_no, k);
        self.known.insert(key, node);
        node
    }

    /// How many instructions were placed.
    pub fn len(&self) -> usize {
        self.placed.len()
    }

    /// The program as the kernel takes it: an array of `struct sock_filter`.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.placed.len() * 8);
        for i in self.placed.iter().rev() {
            bytes.extend(i.code.to_le_bytes());
            bytes.extend([i.yes, i.no]);
            bytes.extend(i.k.to_le_bytes());
        }
        bytes
    }

    /// How many instructions an instruction placed now would have to skip.
    fn distance(&self, node: Node) -> usize {
        self.placed.len() - 1 - node.0
    }

    /// A distance that [`Self::branch`] has made short enough.
    fn short(&self, node: Node) -> u8 {
        u8::try_from(self.distance(node)).unwrap_or(u8::MAX)
    }

    /// A stand-in for what is too far away, right here.
    fn bridge(&mut self, to: Node) -> Node {
        match self.placed.get(to.0) {
            Some(&Instruction { code: RET, k, .. }) => {
                let node = self.place(RET, 0, 0, k);
                self.known.insert((RET, k, Node(0), Node(0)), node);
                node
            }
            _ => {
                let distance = u32::try_from(self.distance(to)).unwrap_or(u32::MAX);
                self.place(JA, 0, 0, distance)
            }
        }
    }

    fn place(&mut self, code: u16, yes: u8, no: u8, k: u32) -> Node {
        self.placed.push(Instruction { code, yes, no, k });
        Node(self.placed.len() - 1)
    }
}

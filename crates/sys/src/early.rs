//! An allocator for programs that live shortly, or wait: the first megabytes come from one block and
//! are not used again, the rest from the system.
//!
//! musl's own maps and unmaps memory for the small vectors that come and go while a plan is made:
//! a third of all system calls of such a program.
#![allow(unsafe_code)]

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::alloc::System;

/// Bytes of the block; only the pages that are used take memory.
const SIZE: usize = 2 << 20;

#[repr(align(4096))]
struct Block(UnsafeCell<[u8; SIZE]>);

/// The allocator. What is freed in the block is used again only if it was the newest there.
pub struct Early {
    block: Block,
    /// Where the block's free part begins.
    next: AtomicUsize,
}

// SAFETY: pieces of the block are handed out once, by an atomic exchange; nothing else is shared.
unsafe impl Sync for Early {}

impl Early {
    /// One whose block is unused.
    #[must_use]
    pub const fn new() -> Self {
        Self { block: Block(UnsafeCell::new([0; SIZE])), next: AtomicUsize::new(0) }
    }

    fn base(&self) -> *mut u8 {
        self.block.0.get().cast()
    }

    /// How far into the block something lies that lies in it.
    fn offset(&self, at: *mut u8) -> Option<usize> {
        at.addr().checked_sub(self.base().addr()).filter(|offset| *offset < SIZE)
    }

    /// A piece of the block, if there is room.
    fn take(&self, layout: Layout) -> Option<*mut u8> {
        if layout.align() > align_of::<Block>() {
            return None;
        }
        let mut next = self.next.load(Ordering::Relaxed);
        loop {
            let start = next.checked_next_multiple_of(layout.align())?;
            let end = start.checked_add(layout.size()).filter(|end| *end <= SIZE)?;
            match self.next.compare_exchange_weak(next, end, Ordering::Relaxed, Ordering::Relaxed) {
                // SAFETY: `start` is at most `SIZE`, so the result is in the block or at its end.
                Ok(_) => return Some(unsafe { self.base().add(start) }),
                Err(now) => next = now,
            }
        }
    }

    /// Moves the end of the newest piece; false where it is not the newest, or there is no room.
    fn resize(&self, start: usize, size: usize, new_size: usize) -> bool {
        let Some(end) = start.checked_add(new_size).filter(|end| *end <= SIZE) else {
            return false;
        };
        let (old, order) = (start + size, Ordering::Relaxed);
        self.next.compare_exchange(old, end, order, order).is_ok()
    }
}

impl Default for Early {
    fn default() -> Self {
        Self::new()
    }
}

// SAFETY: pieces are disjoint, aligned as asked for, and live as long as the allocator, which as a
// global one is a static; the rest is the system's allocator, which gets back only what is its own.
unsafe impl GlobalAlloc for Early {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise about the layout is passed on.
        self.take(layout).unwrap_or_else(|| unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        match self.take(layout) {
            Some(piece) => {
                // Another may have had it.
                // SAFETY: the piece has that many bytes and is nobody else's.
                unsafe { piece.write_bytes(0, layout.size()) };
                piece
            }
            // SAFETY: as in `alloc`.
            None => unsafe { System.alloc_zeroed(layout) },
        }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        match self.offset(at) {
            Some(start) => _ = self.resize(start, layout.size(), 0),
            // SAFETY: what is not of the block is the system's, with this layout.
            None => unsafe { System.dealloc(at, layout) },
        }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let Some(start) = self.offset(at) else {
            // SAFETY: as in `dealloc`.
            return unsafe { System.realloc(at, layout, new_size) };
        };
        if self.resize(start, layout.size(), new_size) || new_size <= layout.size() {
            return at;
        }
        // SAFETY: the caller promises a size that is valid with the alignment; the new piece is
        // another than the old one, and both have at least the old size.
        unsafe {
            let new = self.alloc(Layout::from_size_align_unchecked(new_size, layout.align()));
            if !new.is_null() {
                new.copy_from_nonoverlapping(at, layout.size());
            }
            new
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).expect("valid")
    }

    /// Pieces are aligned and disjoint, keep their contents when they grow, are used again only when
    /// they were the newest, and are zero where that was asked for.
    #[test]
    fn pieces() {
        static EARLY: Early = Early::new();
        let early = &EARLY;
        // SAFETY: each piece is used within its layout, and only while it is allocated.
        unsafe {
            let a = early.alloc(layout(3, 1));
            let b = early.alloc(layout(8, 8));
            assert_eq!(b.addr() % 8, 0);
            assert!(b.addr() >= a.addr() + 3);
            b.write_bytes(7, 8);
            assert_eq!(early.realloc(b, layout(8, 8), 64), b, "the newest grows where it is");
            let c = early.alloc(layout(1, 1));
            assert!(c.addr() >= b.addr() + 64);
            let moved = early.realloc(b, layout(64, 8), 128);
            assert_ne!(moved, b);
            assert_eq!(core::slice::from_raw_parts(moved, 8), [7; 8]);
            moved.write_bytes(9, 128);
            early.dealloc(moved, layout(128, 8));
            let zeroed = early.alloc_zeroed(layout(128, 8));
            assert_eq!(zeroed, moved, "the newest is used again");
            assert_eq!(core::slice::from_raw_parts(zeroed, 128), [0; 128]);
            early.dealloc(a, layout(3, 1));
            assert_ne!(early.alloc(layout(3, 1)), a, "an older one is not");
        }
    }

    /// What does not fit comes from the system, and goes back there.
    #[test]
    fn falls_back() {
        static EARLY: Early = Early::new();
        let early = &EARLY;
        // SAFETY: as above.
        unsafe {
            let all = early.alloc(layout(SIZE - 16, 1));
            assert!(early.offset(all).is_some());
            let more = early.alloc(layout(32, 8));
            assert!(early.offset(more).is_none());
            more.write_bytes(5, 32);
            let more = early.realloc(more, layout(32, 8), 4096);
            assert_eq!(core::slice::from_raw_parts(more, 32), [5; 32]);
            early.dealloc(more, layout(4096, 8));
            let large = early.alloc(layout(8, 8192));
            assert_eq!((large.addr() % 8192, early.offset(large)), (0, None));
            early.dealloc(large, layout(8, 8192));
            let grown = early.realloc(all, layout(SIZE - 16, 1), SIZE + 1);
            assert!(early.offset(grown).is_none());
            early.dealloc(grown, layout(SIZE + 1, 1));
        }
    }

    /// Threads get pieces of their own.
    #[test]
    fn threads() {
        static EARLY: Early = Early::new();
        let early = &EARLY;
        let taken = std::thread::scope(|scope| {
            let work = || {
                // SAFETY: the pieces are not used.
                (0..1000).map(|_| unsafe { early.alloc(layout(16, 16)).addr() }).collect::<Vec<_>>()
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(work)).collect();
            threads.into_iter().flat_map(|t| t.join().expect("a thread")).collect::<Vec<_>>()
        });
        let distinct: std::collections::BTreeSet<usize> = taken.iter().copied().collect();
        assert_eq!(distinct.len(), 4000);
    }
}

//! An allocator for processes that live for a launch: it takes memory and hardly gives any back.
//!
//! musl's allocator makes a system call or two for every large block; a launch would make thirty.
//! Here a block is the next piece of a chunk. Freeing, or resizing, the newest block takes it back,
//! so that loops with a temporary do not grow; anything else stays until the process ends or
//! becomes the command.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;

/// Bytes of the first chunk, in the program's own data.
const FIRST: usize = 64 << 10;
/// Bytes of a further chunk, at least.
const CHUNK: usize = 1 << 20;

/// The allocator. For single-threaded programs only.
#[derive(Debug)]
pub struct Arena {
    next: Cell<usize>,
    end: Cell<usize>,
    /// Where the chunk begins.
    chunk: Cell<usize>,
}

// SAFETY: the programs that make this their global allocator never start a second thread (the
// crates that they are made of have no call that does).
unsafe impl Sync for Arena {}

#[repr(align(16))]
struct First(core::cell::UnsafeCell<[u8; FIRST]>);

// SAFETY: only `Arena` touches it, and that has one user.
unsafe impl Sync for First {}

static FIRST_CHUNK: First = First(core::cell::UnsafeCell::new([0; FIRST]));

impl Arena {
    /// An arena that has nothing yet.
    pub const fn new() -> Self {
        Self { next: Cell::new(0), end: Cell::new(0), chunk: Cell::new(0) }
    }

    /// Makes room for `size` bytes; false when there is no memory.
    #[cold]
    fn grow(&self, size: usize) -> bool {
        if self.end.get() == 0 && size <= FIRST {
            let start = FIRST_CHUNK.0.get() as usize;
            self.next.set(start);
            self.chunk.set(start);
            self.end.set(start + FIRST);
            return true;
        }
        let Some(want) = size.checked_next_multiple_of(CHUNK) else { return false };
        // SAFETY: a fresh private mapping, referred to by nothing else.
        let chunk = unsafe {
            libc::mmap(
                core::ptr::null_mut(),
                want,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if chunk == libc::MAP_FAILED {
            return false;
        }
        self.next.set(chunk as usize);
        self.chunk.set(chunk as usize);
        self.end.set(chunk as usize + want);
        true
    }

    fn is_newest(&self, ptr: *mut u8, size: usize) -> bool {
        ptr as usize + size == self.next.get()
    }
}

/// Where an arena stood.
#[derive(Debug, Clone, Copy)]
pub struct Mark {
    next: usize,
    end: usize,
}

/// The arena that a program makes its global allocator by [`Global`].
static PROGRAM: Arena = Arena::new();

/// [`PROGRAM`] as a global allocator.
#[derive(Debug)]
pub struct Global;

// SAFETY: as that of the arena, which it is.
unsafe impl GlobalAlloc for Global {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: by this function's own contract.
        unsafe { PROGRAM.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: by this function's own contract.
        unsafe { PROGRAM.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: by this function's own contract.
        unsafe { PROGRAM.realloc(ptr, layout, new_size) }
    }
}

impl Arena {
    fn mark(&self) -> Mark {
        Mark { next: self.next.get(), end: self.end.get() }
    }

    /// Takes back all blocks since the mark. Where a new chunk was begun meanwhile, that one stays,
    /// empty, so that doing the same again needs no other.
    fn release(&self, mark: Mark) {
        if self.end.get() == mark.end {
            self.next.set(mark.next);
        } else {
            self.next.set(self.chunk.get());
        }
    }
}

/// Where the program's arena stands.
pub(crate) fn mark() -> Mark {
    PROGRAM.mark()
}

/// Takes back what was allocated since: nothing of it may be used any more.
pub(crate) fn release(mark: Mark) {
    PROGRAM.release(mark);
}

impl Default for Arena {
    fn default() -> Self {
        Self::new()
    }
}

// SAFETY: blocks are disjoint pieces of chunks that are never unmapped, aligned as asked for; a
// block is handed out again only after it was freed as the newest one.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        loop {
            let start = self.next.get().next_multiple_of(layout.align());
            match start.checked_add(layout.size()) {
                Some(end) if self.end.get() != 0 && end <= self.end.get() => {
                    self.next.set(end);
                    return start as *mut u8;
                }
                _ => {}
            }
            // Room for the alignment too, so that the second round succeeds.
            let Some(size) = layout.size().checked_add(layout.align()) else {
                return core::ptr::null_mut();
            };
            if !self.grow(size) {
                return core::ptr::null_mut();
            }
        }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        if self.is_newest(ptr, layout.size()) {
            self.next.set(ptr as usize);
        }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        if self.is_newest(ptr, layout.size()) {
            match (ptr as usize).checked_add(new_size) {
                Some(end) if end <= self.end.get() => {
                    self.next.set(end);
                    return ptr;
                }
                _ => {}
            }
        }
        let Ok(new) = Layout::from_size_align(new_size, layout.align()) else {
            return core::ptr::null_mut();
        };
        // SAFETY: `new` is a valid layout; the two blocks are disjoint and as large as copied.
        unsafe {
            let to = self.alloc(new);
            if !to.is_null() {
                core::ptr::copy_nonoverlapping(ptr, to, layout.size().min(new_size));
            }
            to
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Blocks are aligned, disjoint, keep their contents when they grow, and the newest is reused.
    #[test]
    fn hands_out_disjoint_blocks() {
        let arena = Arena::new();
        let layout = |size, align| Layout::from_size_align(size, align).expect("valid");
        // SAFETY: each block is written within its bounds; the arena is used by this test alone.
        unsafe {
            let a = arena.alloc(layout(10, 1));
            let b = arena.alloc(layout(100, 64));
            assert_eq!(b as usize % 64, 0);
            assert!(b as usize >= a as usize + 10);
            std::ptr::write_bytes(b, 7, 100);
            let c = arena.alloc(layout(1, 1));
            let b2 = arena.realloc(b, layout(100, 64), 3 << 20);
            assert_eq!(*b2.add(99), 7);
            std::ptr::write_bytes(b2, 8, 3 << 20);
            assert_ne!(c, b2);
            let d = arena.alloc(layout(64, 8));
            arena.dealloc(d, layout(64, 8));
            assert_eq!(arena.alloc(layout(64, 8)), d);
        }
    }

    /// What was allocated since a mark is handed out again; a chunk that was begun is kept.
    #[test]
    fn goes_back_to_a_mark() {
        let arena = Arena::new();
        let layout = |size| Layout::from_size_align(size, 8).expect("valid");
        // SAFETY: the blocks are not used after they were taken back.
        unsafe {
            let kept = arena.alloc(layout(8));
            *kept = 7;
            let mark = arena.mark();
            let first = arena.alloc(layout(100));
            arena.release(mark);
            assert_eq!(arena.alloc(layout(100)), first);
            arena.release(mark);
            let large = arena.alloc(layout(2 << 20));
            arena.release(mark);
            let mark = arena.mark();
            for _ in 0..10 {
                assert_eq!(arena.alloc(layout(2 << 20)), large);
                arena.release(mark);
            }
            assert_eq!(*kept, 7);
        }
    }
}

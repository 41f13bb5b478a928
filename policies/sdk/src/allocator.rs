//! Memory for many short texts: a question of real size has more than a hundred.
//!
//! Pieces of up to [`LARGEST`] bytes are cut from blocks, and those that come back are kept by size for the next of their
//! size, which takes a tenth of the instructions of a general allocator. Everything else, and the blocks, is the
//! business of the allocator behind it. A block is never given back: an instance is thrown away soon.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::ptr;

/// Sizes are rounded up to a multiple of this, which is what a piece is aligned to.
const STEP: usize = 16;
const LARGEST: usize = 256;
const BLOCK: usize = 4096;

/// An allocator for one thread.
pub(crate) struct Pieces<A> {
    behind: A,
    state: UnsafeCell<State>,
}

struct State {
    /// By size: the first piece that came back, which holds the address of the next.
    free: [*mut u8; LARGEST / STEP],
    /// What is left of the block at hand.
    next: *mut u8,
    left: usize,
}

// SAFETY: a component has one thread, and so has each test that makes one.
unsafe impl<A> Sync for Pieces<A> {}

impl<A> Pieces<A> {
    pub(crate) const fn before(behind: A) -> Self {
        let state = State { free: [ptr::null_mut(); LARGEST / STEP], next: ptr::null_mut(), left: 0 };
        Self { behind, state: UnsafeCell::new(state) }
    }
}

/// Returns the number of a size, if that is one of pieces.
fn class(layout: Layout) -> Option<usize> {
    (layout.size() <= LARGEST && layout.align() <= STEP).then(|| layout.size().saturating_sub(1) / STEP)
}

// SAFETY: pieces of one size are as large as that size, apart from each other and aligned to `STEP`, since blocks are; what
// is larger or aligned otherwise comes from the allocator behind, and goes back there by the same rule.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Pieces<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some(class) = class(layout) else {
            // SAFETY: as the caller promises.
            return unsafe { self.behind.alloc(layout) };
        };
        // SAFETY: nobody else holds it, since there is one thread and nothing here calls back.
        let state = unsafe { &mut *self.state.get() };
        let first = state.free[class];
        if !first.is_null() {
            // SAFETY: a piece that came back holds the address of the next, or null.
            state.free[class] = unsafe { first.cast::<*mut u8>().read() };
            return first;
        }
        let size = (class + 1) * STEP;
        if state.left < size {
            // SAFETY: neither size is zero, and the alignment is a power of two.
            let block = unsafe { self.behind.alloc(Layout::from_size_align_unchecked(BLOCK, STEP)) };
            if block.is_null() {
                return block;
            }
            (state.next, state.left) = (block, BLOCK);
        }
        let piece = state.next;
        // SAFETY: so much is left of the block.
        state.next = unsafe { piece.add(size) };
        state.left -= size;
        piece
    }

    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        let Some(class) = class(layout) else {
            // SAFETY: it came from there.
            return unsafe { self.behind.dealloc(piece, layout) };
        };
        // SAFETY: as in `alloc`; a piece has room for an address and is aligned for one.
        unsafe {
            let state = &mut *self.state.get();
            piece.cast::<*mut u8>().write(state.free[class]);
            state.free[class] = piece;
        }
    }

    unsafe fn realloc(&self, piece: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises that the size is not too large for this alignment.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (class(layout), class(wanted)) {
            // SAFETY: it came from there, and stays there.
            (None, None) => unsafe { self.behind.realloc(piece, layout, size) },
            (before, after) if before == after => piece,
            // SAFETY: both are as large as what is copied.
            _ => unsafe {
                let other = self.alloc(wanted);
                if !other.is_null() {
                    ptr::copy_nonoverlapping(piece, other, layout.size().min(size));
                    self.dealloc(piece, layout);
                }
                other
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::alloc::System;
    use std::vec::Vec;

    use super::*;

    /// A piece with what was written all over it.
    struct Held {
        piece: *mut u8,
        layout: Layout,
        mark: u8,
    }

    impl Held {
        fn check(&self) {
            assert_eq!(self.piece as usize % self.layout.align(), 0);
            // SAFETY: the allocator said so.
            let bytes = unsafe { core::slice::from_raw_parts(self.piece, self.layout.size()) };
            assert!(bytes.iter().all(|byte| *byte == self.mark), "somebody else wrote into {:?}", self.layout);
        }
    }

    /// What is held is never given to anybody else, whatever is asked for and given back meanwhile.
    #[test]
    fn pieces_are_apart_and_keep_what_is_written_into_them() {
        let allocator = Pieces::before(System);
        let mut held: Vec<Held> = Vec::new();
        let mut random = 0x2545_f491_4f6c_dd1d_u64;
        let mut below = |limit: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random as usize % limit
        };
        let mut reused = 0;
        let mut seen = std::collections::BTreeSet::new();
        for round in 0..20_000_usize {
            let mark = round as u8;
            let most = if below(4) == 0 { 2000 } else { 300 };
            let size = 1 + below(most);
            match below(3) {
                0 if !held.is_empty() => {
                    let gone = held.swap_remove(below(held.len()));
                    gone.check();
                    // SAFETY: it is held, with this layout.
                    unsafe { allocator.dealloc(gone.piece, gone.layout) };
                }
                1 if !held.is_empty() => {
                    let place = below(held.len());
                    let one = &mut held[place];
                    one.check();
                    let kept = one.layout.size().min(size);
                    // SAFETY: it is held, with this layout.
                    one.piece = unsafe { allocator.realloc(one.piece, one.layout, size) };
                    one.layout = Layout::from_size_align(size, one.layout.align()).unwrap();
                    // SAFETY: so much was kept of it.
                    let bytes = unsafe { core::slice::from_raw_parts_mut(one.piece, size) };
                    assert!(bytes[..kept].iter().all(|byte| *byte == one.mark));
                    bytes.fill(one.mark);
                }
                _ => {
                    let layout = Layout::from_size_align(size, 1 << below(6)).unwrap();
                    // SAFETY: the size is not zero.
                    let piece = unsafe { allocator.alloc(layout) };
                    reused += usize::from(!seen.insert(piece));
                    // SAFETY: the allocator said so.
                    unsafe { ptr::write_bytes(piece, mark, size) };
                    held.push(Held { piece, layout, mark });
                }
            }
        }
        held.iter().for_each(Held::check);
        assert!(reused > 1000, "{reused} pieces were given out again");
    }
}

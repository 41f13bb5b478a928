//! An allocator and a panic handler: what `core` and `alloc` lack, so that a component needs no `std`.

use core::panic::PanicInfo;

use crate::allocator::Pieces;

#[global_allocator]
static ALLOCATOR: Pieces<dlmalloc::GlobalDlmalloc> = Pieces::before(dlmalloc::GlobalDlmalloc);

/// Ends the instance; the host reports a trap.
#[panic_handler]
fn trap(_: &PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

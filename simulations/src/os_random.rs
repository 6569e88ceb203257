//! Takes the operating system's randomness away from this process: the binary of the simulations only.
//!
//! tokio draws the slot of each waiter of a `watch` channel from a generator of its own, std draws the keys of
//! its hash maps; both are seeded through the C library's `getrandom`, and neither can be seeded from outside
//! (tokio's seed needs `--cfg tokio_unstable`). Who wakes first, and how a hash map is walked, would differ from
//! process to process. This definition stands before the library's own, so that they do not.
//!
//! It is not linked into a node: `lib.rs` does not name this file. Whoever runs worlds in a process of their own
//! gets everything else from the seed, but not this.

#![expect(unsafe_code, reason = "the C library's function is defined anew, and its buffer is a bare pointer")]

use std::sync::atomic::{AtomicU64, Ordering};

use synod::node::domain::chance::Chance;

static DRAWN: AtomicU64 = AtomicU64::new(0);

/// Fills the buffer with the same numbers in every process.
///
/// # Safety
/// As the C library's: `buffer` is valid for writing `length` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn getrandom(buffer: *mut u8, length: usize, _flags: u32) -> isize {
    for place in 0..length {
        let byte = Chance::new(DRAWN.fetch_add(1, Ordering::Relaxed)).draw().to_le_bytes()[0];
        // SAFETY: the caller promises `length` bytes.
        unsafe { buffer.add(place).write(byte) };
    }
    isize::try_from(length).unwrap_or(isize::MAX)
}

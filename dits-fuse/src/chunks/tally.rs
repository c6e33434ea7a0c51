//! How much remotes brought on behalf of a thread: whoever asks for chunks is answered on the same one.

use std::cell::Cell;

thread_local! {
    static BYTES: Cell<u64> = const { Cell::new(0) };
}

/// So much was brought.
pub(super) fn add(bytes: u64) {
    BYTES.set(BYTES.get() + bytes);
}

/// What was brought since this was asked last.
pub(crate) fn take() -> u64 {
    BYTES.take()
}

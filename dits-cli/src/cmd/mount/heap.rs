//! How a daemon's memory is handed out.
#![allow(unsafe_code)]

/// Has all threads share one heap. By itself the C library gives every few threads a heap of their own: what one thread brought
/// and another one let go can then be used by neither, and the daemon takes nearly twice the memory that its content has.
pub fn share() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: it changes a number of the allocator, under the allocator's own lock, and no memory of this program.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

//! The mount's logic without a kernel, and a session with one.

//! The state machines of both ends of a transfer, without I/O or clock.

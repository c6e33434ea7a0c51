//! Tests of the protocol between two real ends.

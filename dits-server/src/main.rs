//! `dits-server`: hosts dits repositories.

fn main() {}

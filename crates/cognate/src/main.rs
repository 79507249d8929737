//! The `cognate` program.

fn main() {}

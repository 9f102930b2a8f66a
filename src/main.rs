//! The program: runtime and exit code.

fn main() {}

//! Moves records between a topic and a pipe.
fn main() {}

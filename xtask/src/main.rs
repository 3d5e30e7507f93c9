//! Project tasks: `cargo xtask run|test|ci|bench|tidy`.
fn main() {}

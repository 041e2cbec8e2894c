//! Tests, benchmarks and services of the workspace.
fn main() {}

//! The fuzz targets of `tollgate-dialect` under libFuzzer, one program for each of them: `cargo fuzz` finds inputs by the
//! code that they reach.
//!
//! What must hold is in `crates/dialect/tests/fuzz/targets`, which runs on a stable toolchain as well; here is only the
//! way in. The name of the program is the name of its target.

#![no_main]

#[path = "../../tests/fuzz/targets/mod.rs"]
#[allow(clippy::expect_used, clippy::panic, reason = "a property that does not hold says so by failing")]
mod targets;

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let name = env!("CARGO_BIN_NAME");
    let target = targets::TARGETS.iter().find(|target| target.name == name);
    match target {
        Some(target) => (target.check)(input),
        None => panic!("no target is called {name}"),
    }
});

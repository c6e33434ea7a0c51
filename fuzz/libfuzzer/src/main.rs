//! One libFuzzer program for all targets: `DITS_FUZZ_TARGET` names the one to run.

#![no_main]

use std::sync::LazyLock;

static TARGET: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let name = std::env::var("DITS_FUZZ_TARGET").expect("DITS_FUZZ_TARGET names the target");
    dits_fuzz::target(&name).expect("a target of the table in fuzz/src/lib.rs")
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| TARGET(data));

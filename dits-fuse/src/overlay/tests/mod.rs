//! An overlay against a model of it, through random changes, kills of the daemon, and power cuts.

#![allow(clippy::unwrap_used)]
// A pick that is chosen from, not a number with multiples.
#![allow(clippy::manual_is_multiple_of)]

mod model;
pub(super) mod rig;
mod world;

use proptest::prelude::*;

use world::{World, steps};

fn is_long() -> bool {
    std::env::var_os(dits_testkit::LONG).is_some_and(|value| value == "1")
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if is_long() { 3_000 } else { 40 },
        max_shrink_iters: 2_000,
        ..ProptestConfig::default()
    })]

    #[test]
    fn an_overlay_is_what_was_done_to_it(steps in steps(if is_long() { 400 } else { 150 })) {
        let mut world = World::new();
        steps.into_iter().for_each(|step| world.take(step));
        world.compare();
    }
}

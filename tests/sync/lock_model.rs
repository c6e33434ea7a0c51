//! The embedded lock store under the model of `tests/lock_model`.

use std::path::Path;

use dits_sync::locks::{EmbeddedLocks, LockStore};
use dits_testkit::long;

#[path = "../lock_model/mod.rs"]
mod model;

fn store(folder: &Path) -> Box<dyn LockStore> {
    Box::new(EmbeddedLocks::new(folder))
}

#[test]
fn each_request_is_answered_as_the_model_says() {
    for seed in 0..2 {
        model::in_order(&store, seed, 250);
    }
    if long("ten_thousand_requests_are_answered_as_the_model_says") {
        model::in_order(&store, 99, 10_000);
    }
}

#[test]
fn no_two_hold_a_file_at_once() {
    model::at_once(&store, 40);
}

//! The model of the vBucket: random operations on it and on a naive model, side by side.
//!
//! These must agree (C21 to C23): accepted and refused operations, the state committed with each
//! batch, the resume point, and the branches of the history.
//!
//! A subscriber follows all the while. Whenever it is idle, it must have exactly the vBucket's items
//! (C24), also when it resumes on another history than it left (C28, C29). `PROPTEST_CASES` sets the
//! number of sequences.

use proptest::prelude::*;

mod compare;
mod naive;
mod ops;
mod store;
mod subscriber;
mod world;

use world::World;

const CASES_DEFAULT: u32 = 600;

#[test]
#[cfg_attr(miri, ignore = "too many steps")]
fn vbucket_answers_match_the_naive_model() {
    let cases = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|text| text.parse().ok());
    let config = ProptestConfig {
        cases: cases.unwrap_or(CASES_DEFAULT),
        failure_persistence: None,
        max_shrink_iters: 20_000,
        ..ProptestConfig::default()
    };
    proptest!(config, |(state in ops::state(), ops in ops::ops())| {
        let mut world = World::new(state);
        world.compare()?;
        for op in &ops {
            world.step(op)?;
            world.compare()?;
        }
        world.poll()?;
    });
}

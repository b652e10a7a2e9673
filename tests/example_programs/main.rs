//! The examples of the persistence crate, which a newcomer copies: each ends without an error.

use std::error::Error;
use std::process::Command;

#[path = "../../persistence/examples/async_follower.rs"]
mod async_follower;
#[path = "../../persistence/examples/background_jobs.rs"]
mod background_jobs;
#[path = "../../persistence/examples/change_feed.rs"]
mod change_feed;
#[path = "../../persistence/examples/custom_engine.rs"]
mod custom_engine;
#[path = "../../persistence/examples/failing_disk.rs"]
mod failing_disk;
#[path = "../../persistence/examples/indexer_that_restarts.rs"]
mod indexer_that_restarts;
#[path = "../../persistence/examples/kv_store.rs"]
mod kv_store;

fn run(main: fn() -> Result<(), Box<dyn Error>>) {
    main().expect("the example runs");
}

#[test]
fn example_of_a_task_that_follows_runs() {
    run(async_follower::main);
}

#[test]
fn example_of_background_jobs_runs() {
    run(background_jobs::main);
}

#[test]
fn example_of_a_change_feed_runs() {
    run(change_feed::main);
}

#[test]
fn example_of_a_custom_engine_runs() {
    run(custom_engine::main);
}

#[test]
fn example_of_a_failing_disk_runs() {
    run(failing_disk::main);
}

#[test]
fn example_of_an_indexer_that_restarts_runs() {
    run(indexer_that_restarts::main);
}

#[test]
fn example_of_a_key_value_store_runs() {
    run(kv_store::main);
}

/// It starts itself, so that it is a program of its own here, too.
#[test]
fn example_of_two_processes_runs() {
    let program = env!("CARGO_BIN_EXE_two-processes-replicate");
    let output = Command::new(program).output().expect("it starts");
    assert!(output.status.success(), "{output:?}");
}

//! Cursors that the checkpoint manager refuses: the connection closes with the reason, and no stream
//! goes on without a cursor.

use lowtide_checkpoint::CheckpointError;

use super::backfill::{live, open, with_a_past};
use super::*;

/// Gives each stream a cursor name that the manager refuses, as a bug would.
fn spoil_cursor_names(rig: &mut Rig) {
    for stream in rig.producer.streams.values_mut() {
        stream.take_reserved_cursor_name();
    }
}

fn is_reported(error: &ProducerError) {
    assert!(
        matches!(
            error,
            ProducerError::Checkpoint {
                vb: VB,
                source: CheckpointError::InvalidArgument(_)
            }
        ),
        "{error:?}"
    );
}

#[test]
fn cursor_refused_when_a_scan_opens_closes_the_connection() {
    let mut rig = with_a_past();
    open(&mut rig, live(0));
    rig.poll(usize::MAX);
    let [step] = <[_; 1]>::try_from(rig.producer.take_backfills()).expect("one step");
    let outcome = step.run(&rig.node.engine);
    spoil_cursor_names(&mut rig);
    let error = rig.producer.backfilled(outcome, &rig.node);
    is_reported(&error.expect_err("it has no cursor"));
}

#[test]
fn cursor_refused_after_the_last_one_was_dropped_closes_the_connection() {
    let mut rig = rig();
    rig.set("a");
    open(&mut rig, live(0));
    assert_eq!(rig.sent(), ["marker 0-1", "mutation @1"]);
    for key in ["b", "c"] {
        rig.set(key);
        rig.node.flush();
    }
    let recovered = rig.node.vbucket.manager().recover_memory(usize::MAX);
    assert_eq!(recovered.cursors_dropped.len(), 1);
    spoil_cursor_names(&mut rig);
    rig.set("d");
    let error = rig.producer.poll(&rig.node, usize::MAX);
    is_reported(&error.expect_err("it has no cursor"));
}

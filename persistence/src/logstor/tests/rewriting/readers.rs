//! Snapshots and readers while their segments are rewritten.

use super::stores::{compact, fresh, overwritten};
use crate::contract::Engine;
use crate::logstor::tests::support::{A, B, audit, commit, contents_of, noise, run, set};
use crate::logstor::vbucket::{ReadBuffer, read_rows};

#[test]
fn snapshot_is_unchanged_by_rewriting() {
    let (_, engine) = fresh();
    let [before, _] = overwritten(&engine);
    let pinned = engine.snapshot(A).expect("there");
    let batch: Vec<_> = (0..20)
        .map(|n| set(300 + n, &format!("key-{n}-1"), b"new"))
        .collect();
    commit(&engine, A, &batch).expect("committed");
    engine.drop_vbucket(B).expect("dropped");
    run(compact(&engine, A)).expect("done");
    audit(&engine, true);
    assert_eq!(contents_of(&*pinned), before);
    engine.drop_vbucket(A).expect("dropped");
    engine.create(A).expect("created");
    run(compact(&engine, A)).expect("done");
    assert_eq!(
        contents_of(&*pinned),
        before,
        "also of a vBucket that is gone"
    );
    audit(&engine, true);
    drop(pinned);
    run(compact(&engine, A)).expect("done");
    assert_eq!(engine.stats()["live-records"], 0);
}

#[test]
fn reader_keeps_the_segment_it_reads() {
    let (_, engine) = fresh();
    let [expected, _] = overwritten(&engine);
    let vbucket = engine.store.registry.loaded(A).expect("there");
    let rows = vbucket.rows(&vbucket.view(), 0, u64::MAX, 1000);
    run(compact(&engine, A)).expect("done");
    run(compact(&engine, B)).expect("done");
    // A segment reused too early would hold other records now.
    for n in 0..40_u64 {
        commit(&engine, B, &[set(1000 + n, "filler", &noise(n, 50_000))]).expect("committed");
    }
    let mut items = Vec::new();
    let context = &engine.store.context;
    read_rows(&rows, context, &mut ReadBuffer::default(), &mut items).expect("readable");
    assert_eq!(items, expected.into_values().collect::<Vec<_>>());
    let held = engine.stats()["free-segments"];
    drop(rows);
    run(compact(&engine, A)).expect("done");
    assert!(
        engine.stats()["free-segments"] > held,
        "no reader holds them any more"
    );
}

//! Failed flushes: nothing is lost, and the next flush writes it all.

use super::*;

#[test]
fn failed_flush_is_repeated_with_later_changes() {
    let mut rig = rig();
    rig.set("a", "one");
    rig.disk.fail_write(1, Fault::Eio);
    let flushed = rig.flush();
    assert!(
        flushed
            .first()
            .is_some_and(|flushed| flushed.result.is_err()),
        "{flushed:?}"
    );
    assert_eq!(rig.flusher.persisted_seqno(VB), Some(Seqno::ZERO));
    rig.set("b", "two");
    let flushed = rig.flush();
    assert_eq!(
        persisted(&flushed).map(|persisted| (persisted.seqno, persisted.items)),
        Some((Seqno(2), 2))
    );
    assert_eq!(rig.stored("a"), Some((1, Bytes::from_static(b"one"))));
}

#[test]
fn dropped_group_counts_as_failed() {
    let mut rig = rig();
    rig.set("a", "one");
    drop(rig.flusher.begin([&rig.vbucket]).expect("no other flush"));
    let committed = rig
        .flusher
        .begin([&rig.vbucket])
        .expect("the first has ended")
        .commit(&rig.engine, 1);
    drop(committed);
    let flushed = rig.flush();
    // The engine has it already and refuses seqnos it has; the host would attach the vBucket again.
    // Nothing was lost.
    assert!(
        flushed
            .first()
            .is_some_and(|flushed| flushed.result.is_err()),
        "{flushed:?}"
    );
    let info = rig.engine.info(VB).expect("there");
    let state = rig
        .engine
        .snapshot(VB)
        .expect("there")
        .state()
        .cloned()
        .expect("committed");
    rig.flusher.attach(VB, state, info.high);
    rig.set("b", "two");
    assert_eq!(
        persisted(&rig.flush()).map(|persisted| persisted.items),
        Some(1),
        "only what was not there"
    );
    assert_eq!(
        (rig.stored("a").is_some(), rig.stored("b").is_some()),
        (true, true)
    );
}

#[test]
fn poisoned_store_refuses_flushes_until_it_is_reopened() {
    let mut rig = rig();
    rig.set("a", "one");
    rig.disk.fail_sync(1);
    assert!(persisted(&rig.flush()).is_none());
    let again = rig.flush();
    let error = again
        .first()
        .and_then(|flushed| flushed.result.as_ref().err())
        .map(EngineError::kind);
    assert_eq!(error, Some("poisoned"));

    let Rig {
        disk,
        engine,
        vbucket,
        mut flusher,
    } = rig;
    drop(engine);
    let engine = open(&disk);
    let info = engine.info(VB).expect("there");
    let state = engine.snapshot(VB).expect("there").state().cloned();
    flusher.attach(
        VB,
        state.unwrap_or_else(|| VBucketState::new(State::Active, vbucket.failover_log())),
        info.high,
    );
    let mut rig = Rig {
        disk,
        engine,
        vbucket,
        flusher,
    };
    rig.set("b", "two");
    assert_eq!(
        persisted(&rig.flush()).map(|persisted| persisted.seqno),
        Some(Seqno(2))
    );
    assert_eq!(
        (rig.stored("a").is_some(), rig.stored("b").is_some()),
        (true, true)
    );
}

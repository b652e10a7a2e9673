//! Ends of streams, and their reasons.

use super::backfill::{live, open, with_a_past};
use super::*;

/// Guards S3 on disk: the snapshot that contains the requested end is sent whole.
#[test]
fn stream_ends_at_the_end_of_a_snapshot_on_disk() {
    let mut rig = with_a_past();
    open(&mut rig, request(1, 2, (1, 1)));
    assert_eq!(
        rig.sent(),
        ["disk marker 1-3", "mutation @2", "mutation @3", "end ok"]
    );
    assert_eq!(rig.cursors(), 0);
}

#[test]
fn disk_only_stream_ends_at_the_persisted_seqno_without_a_cursor() {
    let mut rig = with_a_past();
    let wanted = StreamRequest {
        flags: StreamRequestFlags::DISK_ONLY,
        ..live(0)
    };
    open(&mut rig, wanted.clone());
    assert_eq!(rig.cursors(), 0);
    assert_eq!(
        rig.sent(),
        [
            "disk marker 0-3",
            "mutation @1",
            "mutation @2",
            "mutation @3",
            "end ok"
        ]
    );
    assert_eq!(
        rig.ask(
            VB,
            Command::StreamRequest(StreamRequest {
                start: Seqno(4),
                snapshot_start: Seqno(4),
                snapshot_end: Seqno(4),
                ..wanted
            })
        ),
        [Status::RANGE]
    );
}

#[test]
fn latest_is_the_high_seqno_at_the_request() {
    let mut rig = with_a_past();
    open(
        &mut rig,
        StreamRequest {
            flags: StreamRequestFlags::TO_LATEST,
            ..live(3)
        },
    );
    rig.node.vbucket.manager().close();
    rig.set("e");
    assert_eq!(rig.sent(), ["marker 3-4", "mutation @4", "end ok"]);
    open(
        &mut rig,
        StreamRequest {
            flags: StreamRequestFlags::FROM_LATEST,
            uuid: VbUuid(0),
            ..live(0)
        },
    );
    rig.set("f");
    assert_eq!(rig.sent(), ["marker 5-6", "mutation @6"]);
}

/// Guards S13: each cause has its reason, and releases cursor and scan.
#[test]
fn stream_ends_with_the_reason_of_its_cause() {
    let after = |cause: &mut dyn FnMut(&mut Rig)| {
        let mut rig = with_a_past();
        open(&mut rig, live(1));
        rig.poll(usize::MAX);
        cause(&mut rig);
        let sent = rig.sent();
        assert_eq!(rig.cursors(), 0, "{sent:?}");
        assert!(rig.producer.streams.is_empty());
        sent.last().expect("an end").clone()
    };
    assert_eq!(
        after(&mut |rig| {
            rig.producer
                .end_streams(VB, StreamEndReason::Rollback, &rig.node);
        }),
        "end rollback"
    );
    assert_eq!(
        after(&mut |rig| rig
            .producer
            .end_all(StreamEndReason::Disconnected, &rig.node)),
        "end disconnected"
    );
    assert_eq!(
        after(&mut |rig| rig
            .node
            .vbucket
            .set_state(State::Dead, None)
            .expect("it may die")),
        "end state-changed",
        "also when nobody says so"
    );
    let failed = |rig: &mut Rig| {
        let [step] = <[_; 1]>::try_from(rig.producer.take_backfills()).expect("one step");
        let error = lowtide_persistence::EngineError::UnknownVBucket { vb: VB };
        rig.producer
            .backfilled(step.failed(error), &rig.node)
            .expect("only the stream ends");
    };
    assert_eq!(after(&mut |rig| failed(rig)), "end backfill-failed");
}

/// Guards S13 for tombstones: a client that missed purged ones must roll back, unless it starts at
/// 0 or ignores them.
#[test]
fn purge_beyond_a_stream_in_backfill_ends_it() {
    let ends = |wanted: StreamRequest| {
        let mut rig = rig();
        for key in ["a", "b"] {
            rig.set(key);
        }
        let item = Item::deletion(Key::new(b"b"));
        rig.node.vbucket.write(item, 1).expect("active");
        rig.set("c");
        rig.node.flush();
        open(&mut rig, wanted);
        rig.node.engine.purge(VB, Seqno(3)).expect("sound");
        rig.sent().pop().expect("something is sent")
    };
    assert_eq!(ends(live(1)), "end rollback");
    assert_eq!(ends(live(0)), "mutation @4");
    let ignores = StreamRequestFlags::IGNORE_PURGED_TOMBSTONES;
    assert_eq!(
        ends(StreamRequest {
            flags: ignores,
            ..live(1)
        }),
        "mutation @4"
    );
}

/// Guards against an endless loop when neither disk nor memory has the missing items.
#[test]
fn items_missing_on_disk_and_in_memory_end_the_stream() {
    let mut rig = rig();
    rig.set("a");
    rig.node
        .vbucket
        .manager()
        .begin_flush(ReadLimit::NONE)
        .expect("no other")
        .commit();
    rig.node.vbucket.manager().expel();
    open(&mut rig, live(0));
    assert_eq!(rig.sent(), ["end backfill-failed"]);
}

/// Guards S9 against a vBucket that was rolled back without notice: nothing of the other history is
/// sent.
#[test]
fn rolled_back_vbucket_ends_its_stream() {
    let mut rig = rig_of(State::Replica, "consumer", OpenFlags::PRODUCER);
    rig.receive(1, 4, &[1, 2, 3, 4]);
    open(&mut rig, live(0));
    assert_eq!(rig.sent().len(), 5);
    let back = VBucketState::new(State::Replica, FailoverLog::new(UUID));
    rig.node
        .vbucket
        .rollback(Seqno(2), &back)
        .expect("a replica");
    rig.receive(3, 6, &[3]);
    rig.producer.notify(VB);
    assert_eq!(rig.sent(), ["end rollback"]);
}

#[test]
fn stream_request_during_the_first_snapshot_fails_temporarily() {
    let mut rig = rig_of(State::Replica, "consumer", OpenFlags::PRODUCER);
    let marker = lowtide_checkpoint::SnapshotMarker {
        high_completed_seqno: Some(Seqno::ZERO),
        ..lowtide_checkpoint::SnapshotMarker::new(SnapshotType::InitialDisk, Seqno(0), Seqno(2))
    };
    rig.node.vbucket.receive_marker(marker).expect("sound");
    rig.receive_more(&[1]);
    assert_eq!(
        rig.ask(VB, Command::StreamRequest(live(0))),
        [Status::TEMPORARY_FAILURE]
    );
    rig.receive_more(&[2]);
    open(&mut rig, live(0));
}

/// Guards S31: the scan of a client that takes nothing for long is ended. Time of the engine, and
/// time with progress, do not count.
#[test]
fn backfill_whose_client_takes_nothing_ends() {
    let mut rig = rig();
    rig.producer.limits.standstill_nanos = 100;
    for number in 0..2_500 {
        rig.set(&format!("{number}"));
    }
    rig.node.flush();
    assert_eq!(
        rig.control("connection_buffer_size", "100"),
        [Status::SUCCESS]
    );
    open(&mut rig, live(0));
    rig.poll(usize::MAX);
    let [step] = <[_; 1]>::try_from(rig.producer.take_backfills()).expect("one step");
    for now in [0, 200, 400] {
        rig.producer
            .tick(now, &rig.node)
            .expect("not silent for long");
    }
    let outcome = step.run(&rig.node.engine);
    rig.producer
        .backfilled(outcome, &rig.node)
        .expect("the engine took its time");
    for now in [500, 599] {
        rig.sent();
        rig.producer
            .tick(now, &rig.node)
            .expect("not silent for long");
    }
    rig.tell(Vbid(0), Command::BufferAck(60)).expect("sound");
    assert!(!rig.sent().is_empty());
    for now in [600, 699] {
        rig.producer
            .tick(now, &rig.node)
            .expect("not silent for long");
        assert_eq!(rig.cursors(), 1, "it moves");
    }
    rig.producer
        .tick(700, &rig.node)
        .expect("not silent for long");
    assert_eq!((rig.cursors(), rig.producer.streams.len()), (0, 0));
    rig.tell(Vbid(0), Command::BufferAck(1_000)).expect("sound");
    assert_eq!(rig.sent(), ["end too-slow"]);
    open(&mut rig, live(0));
}

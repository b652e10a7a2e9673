//! Snapshots that a stream or a disk has in part: cut short, committed in part, completed later.

use super::backfill::{live, open};
use super::snapshots::repeating;
use super::*;
use crate::wire::Opcode;

/// Guards S14: a snapshot in part on a replica's disk is announced whole, and memory has the rest.
#[test]
fn partial_snapshot_on_disk_is_completed_from_memory() {
    let mut rig = rig_of(State::Replica, "consumer", OpenFlags::PRODUCER);
    rig.receive(1, 5, &[1, 2]);
    rig.node.flush();
    open(&mut rig, live(0));
    assert_eq!(
        rig.sent(),
        ["disk repeating marker 0-5", "mutation @1", "mutation @2"]
    );
    rig.receive_more(&[4, 5]);
    assert_eq!(rig.sent(), ["mutation @4", "mutation @5"]);
    rig.receive(6, 6, &[6]);
    assert_eq!(rig.sent(), ["marker 6-6", "mutation @6"]);
}

/// Guards S28 when a replica's stream loses its cursor inside a snapshot. The client has nothing of
/// it complete, so the next marker starts where that one did.
#[test]
fn cut_snapshot_is_announced_again_from_its_start() {
    let mut rig = rig_of(State::Replica, "consumer", OpenFlags::PRODUCER);
    rig.receive(1, 5, &[1, 2]);
    open(&mut rig, live(0));
    assert_eq!(rig.sent(), ["marker 0-5", "mutation @1", "mutation @2"]);
    rig.receive_more(&[3]);
    rig.lose_cursor();
    rig.receive_more(&[5]);
    assert_eq!(
        rig.sent(),
        ["disk repeating marker 0-5", "mutation @3", "mutation @5"]
    );
    rig.receive(6, 6, &[6]);
    assert_eq!(rig.sent(), ["marker 6-6", "mutation @6"], "it is whole now");
}

/// Guards S28 when that happens more than once, at first before the disk has new items.
#[test]
fn snapshot_cut_twice_keeps_its_start() {
    let mut rig = rig_of(State::Replica, "consumer", OpenFlags::PRODUCER);
    rig.receive(1, 3, &[1, 3]);
    open(&mut rig, live(0));
    rig.receive(4, 9, &[4]);
    assert_eq!(rig.sent().last().map(String::as_str), Some("mutation @4"));
    for seqno in [5, 7] {
        rig.receive_more(&[seqno]);
        rig.lose_cursor();
        assert_eq!(
            rig.sent(),
            [
                "disk repeating marker 4-9".to_owned(),
                format!("mutation @{seqno}")
            ]
        );
    }
    rig.receive_more(&[9]);
    assert_eq!(rig.sent(), ["mutation @9"]);
}

/// Guards S3 when the snapshot with the requested end is cut short: it is still sent whole.
#[test]
fn stream_does_not_end_inside_a_cut_snapshot() {
    let mut rig = rig_of(State::Replica, "consumer", OpenFlags::PRODUCER);
    rig.receive(1, 5, &[1, 2]);
    open(&mut rig, request(0, 2, (0, 0)));
    assert_eq!(rig.sent(), ["marker 0-5", "mutation @1", "mutation @2"]);
    rig.receive_more(&[3]);
    rig.lose_cursor();
    rig.receive_more(&[5]);
    assert_eq!(
        rig.sent(),
        [
            "disk repeating marker 0-5",
            "mutation @3",
            "mutation @5",
            "end ok"
        ]
    );
}

/// Guards S28 for a filter that hides the rest of the cut snapshot, and for a client that does not
/// learn of hidden items.
#[test]
fn cut_snapshot_with_a_hidden_rest_ends_with_the_next_message() {
    let mut rig = rig_of(State::Replica, "consumer", OpenFlags::PRODUCER);
    rig.receive(1, 5, &[1, 2]);
    let filter = Bytes::from_static(b"{\"collections\":[\"0\"]}");
    open(&mut rig, StreamRequest { filter, ..live(0) });
    assert_eq!(rig.sent(), ["marker 0-5", "mutation @1", "mutation @2"]);
    rig.receive_in(8, &[4, 5]);
    rig.lose_cursor();
    assert_eq!(rig.sent(), ["disk repeating marker 0-5", "advanced @5"]);
}

/// Guards S16 when a snapshot is cut short: it is answered once, with its rest.
#[test]
fn takeover_waits_for_one_answer_to_a_cut_snapshot() {
    let mut rig = rig_of(State::Replica, "consumer", OpenFlags::PRODUCER);
    rig.receive(1, 5, &[1, 2]);
    open(
        &mut rig,
        StreamRequest {
            flags: StreamRequestFlags::TAKEOVER,
            ..live(0)
        },
    );
    assert_eq!(rig.sent().len(), 3);
    rig.receive_more(&[3]);
    rig.lose_cursor();
    rig.receive_more(&[5]);
    assert_eq!(
        rig.sent(),
        ["disk repeating marker 0-5", "mutation @3", "mutation @5"]
    );
    let answered = Response::status(Opcode::DCP_SNAPSHOT_MARKER, 77, Status::SUCCESS);
    let mut bytes = Vec::new();
    answered.encode(&mut bytes).expect("sendable");
    rig.producer.receive(&bytes, &rig.node).expect("sound");
    assert_eq!(rig.sent(), ["set pending"]);
}

/// Guards S28 on a replica that received the rest of a snapshot as part of another one.
#[test]
fn snapshot_continued_by_another_one_is_announced_to_the_end_of_that() {
    let mut rig = rig_of(State::Replica, "consumer", OpenFlags::PRODUCER);
    rig.receive(1, 5, &[1, 2]);
    open(&mut rig, live(0));
    assert_eq!(rig.sent(), ["marker 0-5", "mutation @1", "mutation @2"]);
    rig.receive(1, 8, &[4, 6, 8]);
    assert_eq!(
        rig.sent(),
        [
            "repeating marker 0-8",
            "mutation @4",
            "mutation @6",
            "mutation @8"
        ]
    );
    rig.receive(9, 9, &[9]);
    assert_eq!(rig.sent(), ["marker 9-9", "mutation @9"]);
}

/// A promoted copy with two items of a snapshot of five on disk, and the rest in memory.
fn half_flushed_and_promoted() -> Rig {
    let mut rig = rig_of(State::Replica, "consumer", OpenFlags::PRODUCER);
    rig.receive(1, 5, &[1, 2]);
    rig.node.flush();
    rig.node.vbucket.manager().expel();
    rig.receive_more(&[4, 5]);
    rig.receive(6, 6, &[6]);
    rig.node
        .vbucket
        .set_state(State::Active, Some(VbUuid(77)))
        .expect("a branch");
    rig
}

/// Guards S14 for a client of the disk alone: it stays inside the snapshot and does not learn that
/// it is complete.
#[test]
fn partial_snapshot_on_a_promoted_copys_disk_is_incomplete_for_a_disk_only_stream() {
    let mut rig = half_flushed_and_promoted();
    let flags = StreamRequestFlags::DISK_ONLY;
    open(&mut rig, StreamRequest { flags, ..live(0) });
    assert_eq!(
        rig.sent(),
        [
            "disk repeating marker 0-5",
            "mutation @1",
            "mutation @2",
            "end ok"
        ]
    );
}

/// Guards S14 on a promoted copy: its disk has a part of a snapshot, and memory has the rest.
#[test]
fn partial_snapshot_on_a_promoted_copys_disk_is_announced_with_its_rest() {
    let mut rig = half_flushed_and_promoted();
    open(&mut rig, live(0));
    let expected = [
        "disk repeating marker 0-5",
        "mutation @1",
        "mutation @2",
        "mutation @4",
        "mutation @5",
    ];
    let mut sent = rig.sent();
    assert_eq!(sent.split_off(5), ["marker 6-6", "mutation @6"]);
    assert_eq!(sent, expected);
}

/// Guards S32 when the snapshot that a replica receives was itself cut short, and continues to the
/// announced end.
#[test]
fn snapshot_cut_on_the_way_to_a_replica_is_cut_for_the_replicas_client() {
    let mut rig = rig_of(State::Replica, "consumer", OpenFlags::PRODUCER);
    rig.receive(1, 5, &[1, 3]);
    open(&mut rig, live(0));
    assert_eq!(rig.sent(), ["marker 0-5", "mutation @1", "mutation @3"]);
    rig.node
        .vbucket
        .receive_marker(repeating(1, 5, SnapshotType::Memory))
        .expect("it goes on");
    rig.receive_more(&[5]);
    assert_eq!(rig.sent(), ["repeating marker 0-5", "mutation @5"]);
    rig.receive(6, 6, &[6]);
    assert_eq!(rig.sent(), ["marker 6-6", "mutation @6"]);
}

/// Guards against hostile seed 164 on a log. Memory recovery dropped the cursor of a stream that
/// read from disk, and memory still had the rest. The stream waited for a write that never came.
#[test]
fn stream_with_a_dropped_cursor_continues_at_once_if_memory_has_the_rest() {
    let mut rig = rig_of(State::Replica, "consumer", OpenFlags::PRODUCER);
    rig.receive(1, 2, &[1, 2]);
    open(&mut rig, live(0));
    assert_eq!(rig.sent(), ["marker 0-2", "mutation @1", "mutation @2"]);
    rig.receive(3, 4, &[3, 4]);
    // A registration under a cursor's name replaces it.
    let name = format!("test:{VB}");
    rig.node
        .vbucket
        .manager()
        .register(&name, Seqno(2), CursorOptions::new())
        .expect("it is there");
    assert_eq!(rig.sent(), ["marker 3-4", "mutation @3", "mutation @4"]);
}

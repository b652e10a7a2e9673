//! Snapshots of which a stream or a disk has a part: cut short, committed in part, completed later.

use super::backfill::{live, open};
use super::snapshots::repeating;
use super::*;
use crate::wire::Opcode;

/// Guards S14: half a snapshot on a replica's disk is announced whole, and memory brings the rest.
#[test]
fn half_a_snapshot_from_disk_is_completed_from_memory() {
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

/// Guards S28 where a replica's stream loses its cursor in the middle of a snapshot: of what was announced the client has
/// nothing whole, so the next marker starts where that one did.
#[test]
fn a_snapshot_cut_short_is_announced_anew() {
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

/// Guards S28 where that happens more than once, at first before the disk has anything new.
#[test]
fn a_snapshot_cut_short_twice_keeps_its_start() {
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

/// Guards S3 where the snapshot that has the wanted end is cut short: it is sent whole all the same.
#[test]
fn a_stream_does_not_end_in_the_middle_of_a_snapshot_that_was_cut_short() {
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

/// Guards S28 for a filter that hides the rest of what was cut short, and for a client that is not told of what it hides.
#[test]
fn a_snapshot_cut_short_whose_rest_is_hidden_ends_with_the_next_thing_that_is_told() {
    let mut rig = rig_of(State::Replica, "consumer", OpenFlags::PRODUCER);
    rig.receive(1, 5, &[1, 2]);
    let filter = Bytes::from_static(b"{\"collections\":[\"0\"]}");
    open(&mut rig, StreamRequest { filter, ..live(0) });
    assert_eq!(rig.sent(), ["marker 0-5", "mutation @1", "mutation @2"]);
    rig.receive_in(8, &[4, 5]);
    rig.lose_cursor();
    assert_eq!(rig.sent(), ["disk repeating marker 0-5", "advanced @5"]);
}

/// Guards S16 where a snapshot is cut short: it is answered once, with the rest of it.
#[test]
fn a_takeover_waits_for_one_answer_to_a_snapshot_that_was_cut_short() {
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

/// Guards S28 on a replica that was sent the rest of a snapshot as a part of another one.
#[test]
fn what_was_taken_in_by_another_snapshot_is_announced_to_its_end() {
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

/// A promoted copy: of a snapshot of five its disk has two, its memory the rest.
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

/// Guards S14 where the client wants no memory: it is left inside the snapshot, not told that it has all of it.
#[test]
fn half_a_snapshot_on_a_promoted_copys_disk_is_no_whole_for_a_stream_of_the_disk_alone() {
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

/// Guards S14 on a copy that was promoted: its disk still has half a snapshot, of which memory has the rest.
#[test]
fn half_a_snapshot_on_a_promoted_copys_disk_is_not_announced_as_a_whole() {
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

/// Guards S32 where what a replica receives was cut short itself, and goes on to the end that was announced before.
#[test]
fn a_snapshot_that_is_cut_short_on_its_way_to_a_replica_is_cut_short_for_the_replicas_client() {
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

/// Found by a foreign client in hostile seed 164 on a log: memory recovery took the cursor of its stream while that read from
/// disk, memory had the rest still, and the stream waited for a write that never came.
#[test]
fn a_stream_whose_cursor_is_dropped_goes_on_at_once_where_memory_has_the_rest() {
    let mut rig = rig_of(State::Replica, "consumer", OpenFlags::PRODUCER);
    rig.receive(1, 2, &[1, 2]);
    open(&mut rig, live(0));
    assert_eq!(rig.sent(), ["marker 0-2", "mutation @1", "mutation @2"]);
    rig.receive(3, 4, &[3, 4]);
    // Whoever registers under a cursor's name takes its place.
    let name = format!("test:{VB}");
    rig.node
        .vbucket
        .manager()
        .register(&name, Seqno(2), lowtide_checkpoint::CursorOptions::new())
        .expect("it is there");
    assert_eq!(rig.sent(), ["marker 3-4", "mutation @3", "mutation @4"]);
}

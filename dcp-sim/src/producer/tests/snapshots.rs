//! Where snapshots begin and end when a node has only a part of them, or a client is inside one.

use super::backfill::{live, open};
use super::*;
use crate::wire::Opcode;

impl Rig {
    pub(super) fn receive(&mut self, start: u64, end: u64, seqnos: &[u64]) {
        let marker =
            lowtide_checkpoint::SnapshotMarker::new(SnapshotType::Memory, Seqno(start), Seqno(end));
        self.node.vbucket.receive_marker(marker).expect("sound");
        self.receive_more(seqnos);
    }

    pub(super) fn receive_more(&mut self, seqnos: &[u64]) {
        self.receive_in(0, seqnos);
    }

    pub(super) fn receive_in(&mut self, collection: u32, seqnos: &[u64]) {
        for &seqno in seqnos {
            let key = Key::in_collection(collection, format!("k{seqno}").as_bytes());
            let item = Item {
                seqno: Seqno(seqno),
                ..Item::mutation(key, Bytes::from_static(b"v"))
            };
            self.node.vbucket.receive(item).expect("in the snapshot");
        }
        self.producer.notify(VB);
    }

    /// Everything becomes durable, and memory recovery takes the stream's cursor.
    fn lose_cursor(&mut self) {
        while self.node.persisted_seqno(VB) < self.node.vbucket.high_seqno() {
            self.node.flush();
        }
        assert_eq!(
            self.node
                .vbucket
                .manager()
                .recover(usize::MAX)
                .cursors_dropped
                .len(),
            1
        );
    }
}

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

/// Found by the property test: a client inside a snapshot was told that it had everything at the disk's end, though what
/// was replaced in its snapshot, and came later again, it lacked.
#[test]
fn a_client_inside_a_snapshot_is_whole_only_at_its_end() {
    let mut rig = rig();
    for key in ["a", "b", "c"] {
        rig.set(key);
    }
    let flush = rig
        .node
        .flusher
        .begin([&rig.node.vbucket])
        .expect("no other");
    rig.set("a");
    let _done = rig.node.flusher.finish(flush.commit(&rig.node.engine, 1));
    // The client has had b of a snapshot without the first a.
    rig.node.vbucket.manager().expel();
    open(&mut rig, request(2, u64::MAX, (0, 4)));
    rig.set("d");
    let expected = [
        "disk repeating marker 0-5",
        "mutation @3",
        "mutation @4",
        "mutation @5",
    ];
    assert_eq!(
        rig.sent(),
        expected,
        "the checkpoint goes on, and the snapshot with it"
    );
    rig.set("e");
    assert_eq!(rig.sent(), ["marker 6-6", "mutation @6"]);
}

/// Guards S20 in memory, on a node whose checkpoints are not those of the node where the client was.
#[test]
fn checkpoints_inside_the_clients_snapshot_are_joined() {
    let mut rig = rig_of(State::Replica, "consumer", OpenFlags::PRODUCER);
    for (start, end) in [(1, 2), (3, 4), (5, 8), (9, 9)] {
        rig.receive(start, end, &(start..=end).collect::<Vec<_>>());
    }
    open(&mut rig, request(1, u64::MAX, (0, 6)));
    let mut sent = rig.sent();
    assert_eq!(sent.remove(0), "repeating marker 0-8");
    assert_eq!(sent.split_off(7), ["marker 9-9", "mutation @9"]);
    assert_eq!(
        sent,
        (2..=8)
            .map(|seqno| format!("mutation @{seqno}"))
            .collect::<Vec<_>>()
    );
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

pub(super) fn repeating(
    start: u64,
    end: u64,
    snapshot_type: SnapshotType,
) -> lowtide_checkpoint::SnapshotMarker {
    let high_completed_seqno = snapshot_type.is_disk().then_some(Seqno::ZERO);
    lowtide_checkpoint::SnapshotMarker {
        may_repeat_keys: true,
        high_completed_seqno,
        ..lowtide_checkpoint::SnapshotMarker::new(snapshot_type, Seqno(start), Seqno(end))
    }
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

/// Guards S32 where one snapshot that may repeat keys lies in several checkpoints, and where it does not repeat any.
#[test]
fn a_snapshot_in_two_checkpoints_of_a_replica_is_one_for_its_client() {
    let mut rig = rig_of(State::Replica, "consumer", OpenFlags::PRODUCER);
    rig.node
        .vbucket
        .receive_marker(repeating(1, 5, SnapshotType::Disk))
        .expect("sound");
    rig.receive_more(&[1, 3]);
    open(&mut rig, live(0));
    assert_eq!(
        rig.sent(),
        ["disk repeating marker 0-5", "mutation @1", "mutation @3"]
    );
    rig.node.vbucket.manager().close();
    rig.receive_more(&[4, 5]);
    assert_eq!(rig.sent(), ["mutation @4", "mutation @5"]);
    rig.receive(6, 9, &[6, 7]);
    assert_eq!(rig.sent(), ["marker 6-9", "mutation @6", "mutation @7"]);
    rig.node.vbucket.manager().close();
    rig.receive_more(&[9]);
    assert_eq!(rig.sent(), ["mutation @9"]);
}

/// Guards S32 where a replica's snapshot was extended before its client had read it, and has not come yet: found by the drawn
/// cluster of seed 422.
#[test]
fn an_extended_snapshot_that_is_half_there_may_repeat_keys_for_a_client_that_lacks_its_beginning() {
    let mut rig = rig_of(State::Replica, "consumer", OpenFlags::PRODUCER);
    rig.receive(1, 2, &[1, 2]);
    open(&mut rig, live(0));
    assert_eq!(rig.sent(), ["marker 0-2", "mutation @1", "mutation @2"]);
    let extend = |rig: &mut Rig, start: u64, end: u64, seqnos: &[u64]| {
        let marker =
            lowtide_checkpoint::SnapshotMarker::new(SnapshotType::Memory, Seqno(start), Seqno(end));
        let extended = lowtide_checkpoint::SnapshotMarker {
            extend: true,
            ..marker
        };
        rig.node
            .vbucket
            .receive_marker(extended)
            .expect("it was whole");
        rig.receive_more(seqnos);
    };
    extend(&mut rig, 3, 4, &[3, 4]);
    extend(&mut rig, 5, 9, &[5]);
    assert_eq!(
        rig.sent(),
        [
            "repeating marker 3-9 on",
            "mutation @3",
            "mutation @4",
            "mutation @5"
        ]
    );
    rig.receive_more(&[9]);
    extend(&mut rig, 10, 12, &[10]);
    assert_eq!(
        rig.sent(),
        ["repeating marker 3-12", "mutation @9", "mutation @10"]
    );
}

/// A replica that has the first two items of a history, which another copy has up to a branch at 5: a client from there is inside
/// the snapshot 0 to 5.
pub(super) fn behind_its_client(mut rig: Rig, is_on_disk: bool) -> Rig {
    let mut log = rig.node.vbucket.failover_log();
    log.branch(VbUuid(0xdef), Seqno(5)).expect("it goes on");
    rig.node.vbucket.set_failover_log(log);
    rig.receive(1, 1, &[1]);
    rig.receive(2, 2, &[2]);
    if is_on_disk {
        rig.node.flush();
        rig.node.flush();
    }
    rig
}

/// Guards S20 where a replica has not come to the end of its client's snapshot: found by a foreign client in hostile seed 826,
/// which was whole, it was told, where that replica was.
#[test]
fn a_replica_that_is_behind_the_clients_snapshot_announces_it_to_its_end() {
    for (start, is_on_disk) in [(1, false), (2, false), (1, true)] {
        let rig = rig_of(State::Replica, "consumer", OpenFlags::PRODUCER);
        let mut rig = behind_its_client(rig, is_on_disk);
        open(&mut rig, request(start, u64::MAX, (0, 5)));
        let disk = if is_on_disk { "disk " } else { "" };
        let marker = format!("{disk}repeating marker 0-5");
        let first = [marker.as_str(), "mutation @2"];
        assert_eq!(rig.sent(), &first[..if start == 2 { 0 } else { 2 }]);
        rig.receive(3, 3, &[3]);
        let then = ["repeating marker 0-5", "mutation @3"];
        assert_eq!(rig.sent(), &then[if start == 2 { 0 } else { 1 }..]);
        rig.receive(4, 6, &[4, 6]);
        assert_eq!(
            rig.sent(),
            ["repeating marker 0-6", "mutation @4", "mutation @6"]
        );
    }
}

/// Found by the drawn cluster of seed 1015: memory recovery closed the checkpoint that held the whole first snapshot. From then on
/// every stream request was refused as temporary failure.
#[test]
fn a_first_snapshot_is_whole_though_its_checkpoint_was_closed() {
    let mut rig = rig_of(State::Replica, "consumer", OpenFlags::PRODUCER);
    let marker = lowtide_checkpoint::SnapshotMarker {
        high_completed_seqno: Some(Seqno::ZERO),
        ..lowtide_checkpoint::SnapshotMarker::new(SnapshotType::InitialDisk, Seqno(0), Seqno(2))
    };
    rig.node.vbucket.receive_marker(marker).expect("sound");
    rig.receive_more(&[1]);
    rig.node.vbucket.manager().close();
    assert_eq!(
        rig.ask(VB, Command::StreamRequest(live(0))),
        [Status::TEMPORARY_FAILURE]
    );
    rig.receive_more(&[2]);
    rig.node.vbucket.manager().close();
    open(&mut rig, live(0));
}

/// Guards S28 and S32: what was received in two parts, under two markers, is announced once where both are there, and says that a
/// key may come twice. Found by hostile seed 421: a replica was told of one snapshot again in the middle of it.
#[test]
fn what_was_received_in_parts_is_announced_once() {
    for (kind, state) in [
        (SnapshotType::Memory, State::Replica),
        (SnapshotType::Memory, State::Active),
        (SnapshotType::Disk, State::Active),
    ] {
        let mut rig = rig_of(State::Replica, "consumer", OpenFlags::PRODUCER);
        let reader = rig
            .node
            .vbucket
            .manager()
            .register(
                "reader",
                Seqno::ZERO,
                lowtide_checkpoint::CursorOptions::new(),
            )
            .expect("valid")
            .cursor;
        for seqnos in [[1, 3], [4, 5]] {
            let marker = lowtide_checkpoint::SnapshotMarker {
                may_repeat_keys: false,
                ..repeating(1, 5, kind)
            };
            rig.node.vbucket.receive_marker(marker).expect("sound");
            rig.receive_more(&seqnos);
        }
        rig.node
            .vbucket
            .set_state(state, None)
            .expect("it is whole");
        open(&mut rig, live(0));
        rig.node
            .vbucket
            .manager()
            .unregister(reader)
            .expect("registered");
        let disk = if kind.is_disk() { "disk " } else { "" };
        let marker = format!("{disk}repeating marker 0-5");
        assert_eq!(
            rig.sent(),
            [
                &marker,
                "mutation @1",
                "mutation @3",
                "mutation @4",
                "mutation @5"
            ]
        );
    }
}

/// Found by the drawn cluster of seed 12927: a replica was told that its snapshot goes on, and its active lost the rest. The replica
/// was whole where it stood, and its clients were promised an end that never came.
#[test]
fn an_extension_of_which_nothing_came_is_promised_to_nobody() {
    let mut rig = rig_of(State::Replica, "consumer", OpenFlags::PRODUCER);
    rig.receive(1, 2, &[1, 2]);
    let extension =
        lowtide_checkpoint::SnapshotMarker::new(SnapshotType::Memory, Seqno(3), Seqno(4));
    let extension = lowtide_checkpoint::SnapshotMarker {
        extend: true,
        ..extension
    };
    rig.node
        .vbucket
        .receive_marker(extension)
        .expect("from where it ended");
    open(&mut rig, live(0));
    assert_eq!(rig.sent(), ["marker 0-2", "mutation @1", "mutation @2"]);
    rig.receive_more(&[3, 4]);
    assert_eq!(rig.sent(), ["marker 3-4 on", "mutation @3", "mutation @4"]);
}

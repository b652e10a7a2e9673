//! Where snapshots begin and end when a node has only a part of them, or a client is inside one.

use super::backfill::{live, open};
use super::*;

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
    pub(super) fn lose_cursor(&mut self) {
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

//! Start and end of snapshots when a node has several parts of one, or a client is inside one.

use super::backfill::{live, open};
use super::*;

impl Rig {
    pub(super) fn receive(&mut self, start: u64, end: u64, seqnos: &[u64]) {
        let marker = SnapshotMarker::new(SnapshotType::Memory, Seqno(start), Seqno(end));
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

    /// Flushes everything and drops the stream's cursor by memory recovery.
    pub(super) fn lose_cursor(&mut self) {
        while self.node.persisted_seqno(VB) < self.node.vbucket.high_seqno() {
            self.node.flush();
        }
        assert_eq!(
            self.node
                .vbucket
                .manager()
                .recover_memory(usize::MAX)
                .cursors_dropped
                .len(),
            1
        );
    }
}

/// Guards against a bug that the property test found. A client inside a snapshot was informed that
/// it was complete at the disk's end. It lacked an item that was replaced in its snapshot.
#[test]
fn client_inside_a_snapshot_is_complete_only_at_its_end() {
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
    // The client has b of a snapshot without the first a.
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

/// Guards S20 in memory, on a node with other checkpoints than the client's previous node.
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

pub(super) fn repeating(start: u64, end: u64, snapshot_type: SnapshotType) -> SnapshotMarker {
    let high_completed_seqno = snapshot_type.is_disk().then_some(Seqno::ZERO);
    SnapshotMarker {
        may_repeat_keys: true,
        high_completed_seqno,
        ..SnapshotMarker::new(snapshot_type, Seqno(start), Seqno(end))
    }
}

/// Guards S32 for a snapshot with repeated keys in several checkpoints, and for one without
/// repeated keys.
#[test]
fn snapshot_in_two_checkpoints_of_a_replica_is_announced_as_one() {
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

/// Guards S32 against drawn cluster 422: a replica's snapshot was extended before its client had
/// read it, and the extension had not arrived.
#[test]
fn partially_received_extension_may_repeat_keys_for_a_client_without_its_beginning() {
    let mut rig = rig_of(State::Replica, "consumer", OpenFlags::PRODUCER);
    rig.receive(1, 2, &[1, 2]);
    open(&mut rig, live(0));
    assert_eq!(rig.sent(), ["marker 0-2", "mutation @1", "mutation @2"]);
    let extend = |rig: &mut Rig, start: u64, end: u64, seqnos: &[u64]| {
        let marker = SnapshotMarker::new(SnapshotType::Memory, Seqno(start), Seqno(end));
        let extended = SnapshotMarker {
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

/// A replica with the first two items of a history that another copy has up to a branch at 5. A
/// client from that copy is inside the snapshot 0 to 5.
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

/// Guards S20 against hostile seed 826: a replica had not reached the end of its client's snapshot,
/// and informed the client that it was complete.
#[test]
fn replica_behind_the_clients_snapshot_announces_it_to_its_end() {
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

/// Guards against drawn cluster 1015: memory recovery closed the checkpoint with the whole first
/// snapshot. From then on every stream request failed temporarily.
#[test]
fn first_snapshot_is_complete_after_its_checkpoint_was_closed() {
    let mut rig = rig_of(State::Replica, "consumer", OpenFlags::PRODUCER);
    let marker = SnapshotMarker {
        high_completed_seqno: Some(Seqno::ZERO),
        ..SnapshotMarker::new(SnapshotType::InitialDisk, Seqno(0), Seqno(2))
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

/// Guards S28 and S32 against hostile seed 421. A snapshot received in two parts, under two
/// markers, is announced once if both parts are present, and says that a key may repeat.
#[test]
fn snapshot_received_in_parts_is_announced_once() {
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
            .register("reader", Seqno::ZERO, CursorOptions::new())
            .expect("valid")
            .cursor;
        for seqnos in [[1, 3], [4, 5]] {
            let marker = SnapshotMarker {
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

/// Guards against drawn cluster 12927: a replica's snapshot was extended, and its active lost the
/// extension. The replica was complete, and its clients waited for an end that never came.
#[test]
fn extension_without_items_is_not_announced() {
    let mut rig = rig_of(State::Replica, "consumer", OpenFlags::PRODUCER);
    rig.receive(1, 2, &[1, 2]);
    let extension = SnapshotMarker::new(SnapshotType::Memory, Seqno(3), Seqno(4));
    let extension = SnapshotMarker {
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

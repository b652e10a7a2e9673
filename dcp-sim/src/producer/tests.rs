use bytes::Bytes;
use lowtide_checkpoint::{
    CheckpointConfig, CursorOptions, FailoverEntry, FailoverLog, Item, Key, ReadLimit, Seqno,
    SnapshotMarker, SnapshotType, State, VBucket, VBucketState, VbUuid, Vbid,
};
use lowtide_persistence::Engine;

use super::backfill::BackfillStep;
use super::connection::Producer;
use super::error::ProducerError;
use super::event::ProducerEvent;
use super::partitions::Partitions;
use super::session::ProducerLimits;
use super::stream_key::StreamKey;
use crate::wire::{
    Command, Control, Message, Open, OpenFlags, Reply, Request, Response, Status, StreamEndReason,
    StreamRequest, StreamRequestFlags,
};
use rig::{Home, Rig, UUID, VB, in_short, request, rig, rig_of};

mod backfill;
mod bare;
mod connection;
mod cursors;
mod filters;
mod partial_snapshots;
mod rig;
mod snapshots;
mod stream_ends;
mod takeover;
mod unseen;
mod visible;

#[test]
fn stream_begins_with_a_marker_and_continues_after_it() {
    let mut rig = rig();
    rig.set("a");
    rig.set("b");
    assert_eq!(
        rig.ask(VB, Command::StreamRequest(request(0, u64::MAX, (0, 0)))),
        [Status::SUCCESS]
    );
    assert_eq!(rig.sent(), ["marker 0-2", "mutation @1", "mutation @2"]);
    rig.set("a");
    assert_eq!(
        rig.sent(),
        ["marker 3-3 on", "mutation @3"],
        "the same checkpoint goes on"
    );
    rig.node.vbucket.manager().close();
    rig.set("c");
    assert_eq!(
        rig.sent(),
        ["marker 4-4", "mutation @4"],
        "a new checkpoint begins"
    );
    assert_eq!(rig.producer.sent_seqno(VB), Some(Seqno(4)));
}

#[test]
fn replaced_revision_is_not_sent_and_leaves_no_gap_in_the_markers() {
    let mut rig = rig();
    for key in ["a", "b", "a"] {
        rig.set(key);
    }
    rig.ask(VB, Command::StreamRequest(request(0, u64::MAX, (0, 0))));
    assert_eq!(rig.sent(), ["marker 0-3", "mutation @2", "mutation @3"]);
}

#[test]
fn first_marker_starts_at_the_clients_snapshot() {
    let mut rig = rig();
    for key in ["a", "b", "c", "d"] {
        rig.set(key);
    }
    rig.ask(VB, Command::StreamRequest(request(2, u64::MAX, (1, 3))));
    assert_eq!(rig.sent(), ["marker 1-4", "mutation @3", "mutation @4"]);
}

#[test]
fn stream_ends_at_the_end_of_the_snapshot_that_contains_the_requested_end() {
    let mut rig = rig();
    // Without it the closed checkpoint would be removed at once.
    let reader = rig
        .node
        .vbucket
        .manager()
        .register("reader", Seqno::ZERO, CursorOptions::new())
        .expect("valid")
        .cursor;
    for key in ["a", "b", "c"] {
        rig.set(key);
    }
    rig.node.vbucket.manager().close();
    rig.set("d");
    rig.ask(VB, Command::StreamRequest(request(1, 2, (1, 1))));
    assert_eq!(
        rig.sent(),
        ["marker 1-3", "mutation @2", "mutation @3", "end ok"]
    );
    assert_eq!(rig.cursors(), 1, "its cursor is gone");
    rig.node
        .vbucket
        .manager()
        .unregister(reader)
        .expect("registered");
    rig.ask(VB, Command::StreamRequest(request(4, 4, (4, 4))));
    assert_eq!(rig.sent(), ["end ok"], "nothing was wanted");
}

#[test]
fn stream_request_defects_are_reported_in_order() {
    let mut rig = rig();
    rig.set("a");
    let mut status = |vb, wanted: StreamRequest| rig.ask(vb, Command::StreamRequest(wanted));
    assert_eq!(
        status(Vbid(6), request(9, 1, (0, 0))),
        [Status::NOT_MY_VBUCKET]
    );
    assert_eq!(status(VB, request(2, 1, (2, 2))), [Status::RANGE]);
    assert_eq!(status(VB, request(1, 9, (2, 3))), [Status::RANGE]);
    assert_eq!(
        status(
            VB,
            StreamRequest {
                uuid: VbUuid(1),
                ..request(1, 9, (1, 1))
            }
        ),
        [Status::ROLLBACK]
    );
    assert_eq!(
        status(VB, request(7, 9, (7, 7))),
        [Status::ROLLBACK],
        "it has more than there is"
    );
    assert_eq!(status(VB, request(1, 9, (1, 1))), [Status::SUCCESS]);
    assert_eq!(status(VB, request(1, 9, (1, 1))), [Status::EXISTS]);
    let of_another = StreamRequest {
        uuid: VbUuid(1),
        ..request(1, 9, (1, 1))
    };
    assert_eq!(
        status(VB, of_another),
        [Status::EXISTS],
        "also where it would have to go back"
    );
}

#[test]
fn stream_request_without_memory_is_refused() {
    let mut rig = rig();
    rig.set("a");
    rig.node.is_full = true;
    assert_eq!(
        rig.ask(VB, Command::StreamRequest(request(0, 9, (0, 0)))),
        [Status::OUT_OF_MEMORY]
    );
    assert_eq!(
        rig.ask(VB, Command::StreamRequest(request(5, 9, (5, 5)))),
        [Status::ROLLBACK],
        "that is first"
    );
    assert_eq!(rig.cursors(), 0, "nothing is left behind");
    rig.node.is_full = false;
    assert_eq!(
        rig.ask(VB, Command::StreamRequest(request(0, 9, (0, 0)))),
        [Status::SUCCESS]
    );
}

#[test]
fn accepted_stream_request_returns_the_failover_log() {
    let mut rig = rig();
    rig.tell(VB, Command::StreamRequest(request(0, u64::MAX, (0, 0))))
        .expect("sound");
    let expected = Reply::StreamAccepted(vec![FailoverEntry {
        uuid: UUID,
        seqno: Seqno::ZERO,
    }]);
    assert!(
        matches!(&rig.poll(0)[..], [Message::Response(response)] if response.reply == expected)
    );
}

#[test]
fn flow_control_stops_messages_until_they_are_acknowledged() {
    let mut rig = rig();
    assert_eq!(
        rig.control("connection_buffer_size", "1"),
        [Status::SUCCESS]
    );
    for key in ["a", "b"] {
        rig.set(key);
    }
    rig.ask(VB, Command::StreamRequest(request(0, u64::MAX, (0, 0))));
    let mut sent = rig.sent();
    assert_eq!(sent, ["marker 0-2"], "one message passes any buffer");
    while sent.len() < 3 {
        assert!(!rig.producer.has_more());
        let bytes =
            u32::try_from(rig.producer.flow_control().unacknowledged_bytes()).expect("small");
        rig.tell(Vbid(0), Command::BufferAck(bytes)).expect("sound");
        sent.extend(rig.sent());
    }
    assert_eq!(sent, ["marker 0-2", "mutation @1", "mutation @2"]);
}

#[test]
fn notify_returns_true_once_per_change_from_idle_to_busy() {
    let mut rig = rig();
    rig.ask(VB, Command::StreamRequest(request(0, u64::MAX, (0, 0))));
    assert_eq!(rig.sent(), [""; 0]);
    assert!(
        !rig.producer.has_more(),
        "a stream with nothing to send is idle"
    );
    assert!(rig.producer.notify(VB));
    assert!(!rig.producer.notify(VB), "it is awake already");
    assert!(!rig.producer.notify(Vbid(9)), "nobody streams that");
}

#[test]
fn closed_stream_unregisters_its_cursor() {
    let mut rig = rig();
    assert_eq!(
        rig.control("send_stream_end_on_client_close_stream", "true"),
        [Status::SUCCESS]
    );
    assert_eq!(rig.ask(VB, Command::CloseStream), [Status::NOT_FOUND]);
    rig.ask(VB, Command::StreamRequest(request(0, u64::MAX, (0, 0))));
    assert_eq!(rig.cursors(), 1);
    rig.tell(VB, Command::CloseStream).expect("sound");
    assert_eq!(rig.sent(), ["response 0x00", "end closed"]);
    assert_eq!(rig.cursors(), 0);
}

#[test]
fn unknown_option_is_refused_and_changes_nothing() {
    let mut rig = rig();
    assert_eq!(
        rig.control("enable_ext_metadata", "true"),
        [Status::INVALID]
    );
    assert_eq!(
        rig.control("connection_buffer_size", "many"),
        [Status::INVALID]
    );
    assert_eq!(rig.control("max_marker_version", "2.1"), [Status::INVALID]);
}

#[test]
fn open_request_is_accepted_once_and_required_first() {
    let mut rig = rig();
    let open = Open {
        flags: OpenFlags::PRODUCER,
        name: Bytes::from_static(b"again"),
        options: Bytes::new(),
    };
    assert_eq!(rig.ask(Vbid(0), Command::Open(open)), [Status::INVALID]);
    rig.producer = Producer::new("other");
    assert!(matches!(
        rig.tell(VB, Command::CloseStream),
        Err(ProducerError::Unexpected { .. })
    ));
}

#[test]
fn slow_stream_does_not_hold_other_cursors_back() {
    let mut rig = rig();
    let other = rig
        .node
        .vbucket
        .manager()
        .register("other", Seqno::ZERO, CursorOptions::new())
        .expect("valid")
        .cursor;
    rig.set("a");
    rig.ask(VB, Command::StreamRequest(request(0, u64::MAX, (0, 0))));
    assert_eq!(rig.sent().len(), 2);
    let batch = rig
        .node
        .vbucket
        .manager()
        .read(other, ReadLimit::NONE)
        .expect("registered");
    assert_eq!(batch.items().count(), 1);
    assert_eq!(
        batch.ranges().first().map(|range| range.snapshot_type),
        Some(SnapshotType::Memory)
    );
}

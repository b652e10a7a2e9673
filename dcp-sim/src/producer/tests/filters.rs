//! Filtered streams, and several streams of one vBucket.

use super::*;
use crate::wire::{Event, StreamId, SystemEvent};

fn filtered(json: &'static str) -> StreamRequest {
    StreamRequest {
        filter: Bytes::from_static(json.as_bytes()),
        ..request(0, u64::MAX, (0, 0))
    }
}

impl Rig {
    pub(super) fn set_in(&mut self, collection: u32, key: &str) {
        let key = Key::in_collection(collection, key.as_bytes());
        self.node
            .vbucket
            .write(Item::mutation(key, Bytes::from_static(b"v")), 1)
            .expect("active");
        self.producer.notify(VB);
    }
}

/// Guards S18: items that do not pass the filter leave no trace except the end of the snapshot.
#[test]
fn filter_passes_only_the_requested_collections() {
    let mut rig = rig();
    for (collection, key) in [(0, "a"), (8, "b"), (9, "c")] {
        rig.set_in(collection, key);
    }
    assert_eq!(
        rig.ask(
            VB,
            Command::StreamRequest(filtered("{\"collections\":[\"8\"]}"))
        ),
        [Status::SUCCESS]
    );
    assert_eq!(rig.sent(), ["marker 0-3", "mutation @2", "advanced @3"]);
    rig.set_in(9, "d");
    assert_eq!(rig.sent(), ["marker 4-4 on", "advanced @4"]);
    rig.set_in(8, "e");
    assert_eq!(rig.sent(), ["marker 5-5 on", "mutation @5"]);
}

#[test]
fn filter_applies_to_items_from_disk() {
    let mut rig = rig();
    for (collection, key) in [(0, "a"), (8, "b"), (9, "c")] {
        rig.set_in(collection, key);
    }
    rig.node.flush();
    rig.ask(VB, Command::StreamRequest(filtered("{\"scope\":\"0\"}")));
    assert_eq!(
        rig.sent(),
        ["disk marker 0-3", "mutation @1", "advanced @3"]
    );
}

/// Guards S18: after the last collection was dropped no item can pass.
#[test]
fn filter_whose_last_collection_is_dropped_ends_the_stream() {
    let mut rig = rig();
    rig.ask(
        VB,
        Command::StreamRequest(filtered("{\"collections\":[\"8\"]}")),
    );
    rig.set_in(8, "a");
    let event = Event::CollectionDropped {
        manifest_uid: 2,
        scope: 0,
        collection: 8,
    };
    let item = SystemEvent {
        seqno: Seqno(2),
        event,
    }
    .to_item()
    .expect("no buffer");
    rig.node
        .vbucket
        .write(
            Item {
                seqno: Seqno::ZERO,
                ..item
            },
            1,
        )
        .expect("active");
    rig.producer.notify(VB);
    let sent = rig.sent();
    assert_eq!(sent.last().expect("an end"), "end filter-empty");
    assert!(sent.contains(&"system-event @2".to_owned()), "{sent:?}");
}

#[test]
fn filter_of_unknown_or_dropped_ids_is_refused() {
    let mut rig = rig();
    let mut status = |json| rig.ask(VB, Command::StreamRequest(filtered(json)));
    assert_eq!(status("{}"), [Status::INVALID]);
    assert_eq!(
        status("{\"collections\":[\"1\"]}"),
        [Status::UNKNOWN_COLLECTION]
    );
    assert_eq!(status("{\"scope\":\"9\"}"), [Status::UNKNOWN_SCOPE]);
    assert_eq!(
        status("{\"sid\":1}"),
        [Status::STREAM_ID_INVALID],
        "they are not enabled"
    );
    assert_eq!(rig.control("enable_sync_writes", "true"), [Status::SUCCESS]);
    let mut status = |json| rig.ask(VB, Command::StreamRequest(filtered(json)));
    assert_eq!(
        status("{\"collections\":[\"8\"]}"),
        [Status::NOT_SUPPORTED],
        "a replica must have everything"
    );
    assert_eq!(status("{\"uid\":\"0\"}"), [Status::SUCCESS]);
}

/// Guards S19: streams with different ids are independent.
#[test]
fn vbucket_has_an_independent_stream_for_each_id() {
    let mut rig = rig();
    assert_eq!(rig.control("enable_stream_id", "true"), [Status::SUCCESS]);
    assert_eq!(
        rig.ask(VB, Command::StreamRequest(request(0, 9, (0, 0)))),
        [Status::STREAM_ID_INVALID]
    );
    assert_eq!(
        rig.ask(VB, Command::StreamRequest(filtered("{\"sid\":1}"))),
        [Status::SUCCESS]
    );
    assert_eq!(
        rig.ask(VB, Command::StreamRequest(filtered("{\"sid\":1}"))),
        [Status::EXISTS]
    );
    let second = filtered("{\"sid\":2,\"collections\":[\"8\"]}");
    assert_eq!(
        rig.ask(VB, Command::StreamRequest(second)),
        [Status::SUCCESS]
    );
    rig.set_in(0, "a");
    rig.set_in(8, "b");
    let mut seen = Vec::new();
    while rig.producer.has_more() {
        for message in rig.poll(usize::MAX) {
            let Message::Request(request) = &message else {
                panic!("{message:?}")
            };
            seen.push((
                request.stream_id.expect("each says whose it is").0,
                in_short(&message),
            ));
        }
    }
    seen.sort_by_key(|(id, _)| *id);
    let seen: Vec<_> = seen.iter().map(|(id, what)| (*id, what.as_str())).collect();
    let expected = [
        (1, "marker 0-2"),
        (1, "mutation @1"),
        (1, "mutation @2"),
        (2, "marker 0-2"),
        (2, "mutation @2"),
    ];
    assert_eq!(seen, expected);
    assert_eq!(rig.cursors(), 2);

    assert_eq!(
        rig.ask(VB, Command::CloseStream),
        [Status::STREAM_ID_INVALID]
    );
    let close = Request::new(VB, 5, Command::CloseStream).with_stream_id(StreamId(1));
    let mut bytes = Vec::new();
    close.encode(&mut bytes).expect("sendable");
    rig.producer.receive(&bytes, &rig.node).expect("sound");
    assert_eq!(rig.sent(), ["response 0x00"]);
    assert_eq!(rig.cursors(), 1);
    rig.set_in(8, "c");
    assert_eq!(
        rig.sent(),
        ["marker 3-3 on", "mutation @3"],
        "the other goes on"
    );
}

/// Guards a client that states the purge seqno it knows: it has seen the purged tombstones.
#[test]
fn client_that_knows_the_purge_seqno_is_not_rolled_back() {
    let mut rig = rig();
    for key in ["a", "b"] {
        rig.set(key);
    }
    rig.node
        .vbucket
        .write(Item::deletion(Key::new(b"b")), 1)
        .expect("active");
    rig.set("c");
    rig.node.flush();
    rig.node.engine.purge(VB, Seqno(3)).expect("sound");
    let from = |json: &'static str| StreamRequest {
        filter: Bytes::from_static(json.as_bytes()),
        ..request(1, 9, (1, 1))
    };
    assert_eq!(
        rig.ask(VB, Command::StreamRequest(from(""))),
        [Status::ROLLBACK]
    );
    assert_eq!(
        rig.ask(VB, Command::StreamRequest(from("{\"purge_seqno\":\"2\"}"))),
        [Status::ROLLBACK]
    );
    assert_eq!(
        rig.ask(VB, Command::StreamRequest(from("{\"purge_seqno\":\"3\"}"))),
        [Status::SUCCESS]
    );
    assert_eq!(rig.sent(), ["disk marker 1-4", "mutation @4"]);
}

/// Three collections: k1 and k2 in 8, a purged deletion of k3 in 9, and k4 in 9.
fn purged_elsewhere() -> Rig {
    let mut rig = rig();
    for (collection, key) in [(8, "k1"), (8, "k2"), (9, "k3")] {
        rig.set_in(collection, key);
    }
    rig.node
        .vbucket
        .write(Item::deletion(Key::in_collection(9, b"k3")), 1)
        .expect("active");
    rig.set_in(9, "k4");
    rig.node.flush();
    rig.node.engine.purge(VB, Seqno(4)).expect("sound");
    rig.know_collections(&[(8, 2), (9, 5)]);
    rig
}

impl Rig {
    /// Sets the highest seqno of each collection that the host knows.
    fn know_collections(&mut self, highs: &[(u32, u64)]) {
        let item = |&(collection, high)| Item {
            seqno: Seqno(high),
            ..Item::mutation(Key::in_collection(collection, b"k"), Bytes::new())
        };
        let items: Vec<_> = highs.iter().map(item).collect();
        self.node.collections = Some(items.iter().collect());
    }
}

fn of_8(start: u64) -> StreamRequest {
    StreamRequest {
        start: Seqno(start),
        snapshot_start: Seqno(start),
        snapshot_end: Seqno(start),
        ..filtered("{\"collections\":[\"8\"]}")
    }
}

/// Guards S24 in the backfill: it accepts what the stream request accepted.
#[test]
fn filtered_client_with_all_of_its_collections_continues_below_the_purge() {
    let mut rig = purged_elsewhere();
    assert_eq!(
        rig.ask(VB, Command::StreamRequest(of_8(2))),
        [Status::SUCCESS]
    );
    assert_eq!(rig.sent(), ["disk marker 2-5", "advanced @5"]);
    rig.set_in(8, "k5");
    assert_eq!(rig.sent(), ["marker 6-6", "mutation @6"]);
}

/// Guards S24 when the collection is written to before the snapshot is pinned: the client has
/// everything up to the purge.
#[test]
fn filtered_client_is_not_rolled_back_for_writes_after_the_purge() {
    let mut rig = purged_elsewhere();
    assert_eq!(
        rig.ask(VB, Command::StreamRequest(of_8(2))),
        [Status::SUCCESS]
    );
    rig.set_in(8, "k5");
    rig.node.flush();
    rig.know_collections(&[(8, 6), (9, 5)]);
    assert_eq!(rig.sent(), ["disk marker 2-6", "mutation @6"]);
}

/// Guards S24 when that write may be purged, too, before the snapshot is pinned.
#[test]
fn purge_of_its_own_collection_ends_a_filtered_stream() {
    let mut rig = purged_elsewhere();
    assert_eq!(
        rig.ask(VB, Command::StreamRequest(of_8(2))),
        [Status::SUCCESS]
    );
    rig.node
        .vbucket
        .write(Item::deletion(Key::in_collection(8, b"k1")), 1)
        .expect("active");
    rig.set_in(8, "k6");
    rig.node.flush();
    rig.node.engine.purge(VB, Seqno(6)).expect("sound");
    rig.know_collections(&[(8, 7), (9, 5)]);
    assert_eq!(rig.sent(), ["end rollback"]);
}

/// Guards S30: a scan over many hidden items reports its progress, inside a snapshot that is
/// complete only at its end.
#[test]
fn backfill_over_many_hidden_items_reports_its_progress() {
    let hidden = |limits| {
        let mut rig = rig();
        rig.producer.limits = limits;
        rig.set_in(8, "a");
        (0..9).for_each(|number| rig.set_in(9, &format!("{number}")));
        rig.node.flush();
        rig
    };
    let few_items = ProducerLimits {
        hidden_items: 3,
        ..ProducerLimits::default()
    };
    let few_bytes = ProducerLimits {
        hidden_bytes: 9,
        ..ProducerLimits::default()
    };
    for limits in [few_items, few_bytes] {
        let mut rig = hidden(limits);
        rig.ask(VB, Command::StreamRequest(of_8(0)));
        assert_eq!(
            rig.sent(),
            [
                "disk marker 0-10",
                "mutation @1",
                "advanced @4",
                "advanced @7",
                "advanced @10"
            ]
        );
    }
    let mut rig = hidden(few_items);
    let inside = StreamRequest {
        start: Seqno(4),
        snapshot_end: Seqno(12),
        ..of_8(0)
    };
    rig.set_in(8, "b");
    rig.set_in(8, "c");
    rig.ask(VB, Command::StreamRequest(inside));
    let expected = [
        "disk repeating marker 0-12",
        "advanced @7",
        "advanced @10",
        "mutation @11",
        "mutation @12",
    ];
    assert_eq!(rig.sent(), expected, "who resumes there is inside it still");
}

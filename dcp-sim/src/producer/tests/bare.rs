//! Connections that did not negotiate Collections.

use super::visible::durable_writes;
use super::*;
use crate::wire::{Event, KeyForm, MarkerForm, SystemEvent};

fn bare_rig() -> Rig {
    bare_rig_of(State::Active)
}

pub(super) fn bare_rig_of(state: State) -> Rig {
    let mut rig = rig_of(state, "bare", OpenFlags::PRODUCER);
    rig.producer.close(&rig.node);
    rig.producer = Producer::without_collections("bare");
    let open = Open {
        flags: OpenFlags::PRODUCER,
        name: Bytes::from_static(b"bare"),
        options: Bytes::new(),
    };
    assert_eq!(rig.ask(Vbid(0), Command::Open(open)), [Status::SUCCESS]);
    rig
}

fn live() -> Command {
    Command::StreamRequest(request(0, u64::MAX, (0, 0)))
}

impl Rig {
    fn drop_collection(&mut self, collection: u32) {
        let event = Event::CollectionDropped {
            manifest_uid: 2,
            scope: 0,
            collection,
        };
        let seqno = self.node.vbucket.high_seqno().next();
        let item = SystemEvent { seqno, event }.to_item().expect("no buffer");
        self.node.collections.get_or_insert_default().record(&item);
        self.node
            .vbucket
            .write(
                Item {
                    seqno: Seqno::ZERO,
                    ..item
                },
                1,
            )
            .expect("active");
        self.producer.notify(VB);
    }
}

#[test]
fn bare_connection_gets_bare_keys_and_the_first_form_of_deletions_and_markers() {
    let mut rig = bare_rig();
    assert_eq!(
        rig.control("max_marker_version", "2.2"),
        [Status::NOT_SUPPORTED]
    );
    rig.set("a");
    rig.node
        .vbucket
        .write(Item::deletion(Key::new(b"b")), 1)
        .expect("active");
    rig.tell(VB, live()).expect("sound");
    let messages = rig.poll(usize::MAX);
    let requests = messages.iter().filter_map(|message| match message {
        Message::Request(request) => Some(&request.command),
        Message::Response(_) => None,
    });
    let requests: Vec<_> = requests.collect();
    let [
        Command::SnapshotMarker(marker),
        Command::Mutation(set),
        Command::Deletion(deletion),
    ] = requests[..]
    else {
        panic!("{requests:?}");
    };
    assert_eq!(marker.form, MarkerForm::V1);
    assert_eq!((&set.key[..], &deletion.key[..]), (&b"a"[..], &b"b"[..]));
    let item = Request::new(VB, 0, requests[2].clone())
        .to_item(KeyForm::Bare)
        .expect("a deletion");
    assert_eq!((item.key, item.expiry), (Key::new(b"b"), 0));
}

/// Guards S25: a client that does not learn of hidden items completes each snapshot with its last
/// visible item.
#[test]
fn bare_snapshot_ends_with_the_last_visible_item() {
    for is_on_disk in [false, true] {
        let mut rig = bare_rig();
        for (collection, key) in [(0, "a"), (8, "b"), (0, "c"), (9, "d")] {
            rig.set_in(collection, key);
        }
        let disk = if is_on_disk { "disk " } else { "" };
        if is_on_disk {
            rig.node.flush();
        }
        rig.ask(VB, live());
        assert_eq!(
            rig.sent(),
            [&format!("{disk}marker 0-3"), "mutation @1", "mutation @3"]
        );
        rig.set_in(9, "e");
        assert_eq!(rig.sent(), [""; 0], "nothing to be seen is not announced");
        rig.set_in(0, "f");
        let goes_on = if is_on_disk { "" } else { " on" };
        assert_eq!(rig.sent(), [&format!("marker 4-6{goes_on}"), "mutation @6"]);
    }
}

#[test]
fn hidden_items_on_disk_are_skipped() {
    let mut rig = bare_rig();
    rig.set_in(8, "a");
    rig.set_in(8, "b");
    rig.node.flush();
    rig.ask(VB, live());
    assert_eq!(rig.sent(), [""; 0]);
    rig.set_in(0, "c");
    assert_eq!(rig.sent(), ["marker 0-3", "mutation @3"]);
}

/// The scan is read in slices, twice. A client that asked for no initial deletions must not be
/// promised one.
#[test]
fn long_scan_is_surveyed_before_it_is_sent() {
    let mut rig = bare_rig();
    rig.producer.options.flags =
        OpenFlags::PRODUCER.with(OpenFlags::SKIP_DELETES_IN_INITIAL_BACKFILL);
    for number in 0..2_500 {
        rig.set(&format!("{number:05}"));
    }
    rig.node
        .vbucket
        .write(Item::deletion(Key::new(b"00000")), 1)
        .expect("active");
    rig.node.flush();
    rig.ask(VB, live());
    let sent = rig.sent();
    assert_eq!(
        (sent[0].as_str(), sent.len()),
        ("disk marker 0-2500", 2_500)
    );
    assert_eq!(sent.last().map(String::as_str), Some("mutation @2500"));
}

#[test]
fn prepares_are_hidden_without_an_advance() {
    for is_on_disk in [false, true] {
        let mut rig = bare_rig();
        durable_writes(&rig);
        if is_on_disk {
            rig.node.flush();
        }
        rig.ask(VB, live());
        let disk = if is_on_disk { "disk " } else { "" };
        assert_eq!(rig.sent(), [&format!("{disk}marker 0-2"), "mutation @2"]);
    }
}

#[test]
fn dropped_default_collection_is_unknown_and_ends_streams_with_ok() {
    let mut rig = bare_rig();
    rig.ask(VB, live());
    rig.set("a");
    rig.drop_collection(0);
    assert_eq!(rig.sent(), ["marker 0-1", "mutation @1", "end ok"]);
    assert_eq!(rig.ask(VB, live()), [Status::UNKNOWN_COLLECTION]);
    assert_eq!(rig.cursors(), 0);
}

#[test]
fn bare_client_is_not_sent_the_reason_of_lost_privileges() {
    let mut rig = bare_rig();
    rig.ask(VB, live());
    rig.producer
        .end_streams(VB, StreamEndReason::LostPrivileges, &rig.node);
    assert_eq!(rig.sent(), ["end ok"]);
}

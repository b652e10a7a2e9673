use bytes::Bytes;
use lowtide_checkpoint::{FailoverEntry, Seqno, SnapshotMarker, SnapshotType, VbUuid, Vbid};

use super::position::Manners;
use super::*;
use crate::wire::{
    Command, Marker, MarkerFlags, Message, Opcode, Reply, Request, Response, Status,
    StreamEndReason, StreamRequestFlags,
};
use rig::{NODE, Rig, VB, broken, seen, temper};

mod rig;

/// Guards W20: a stream request has the client's branch, last seqno, and range of the last marker.
#[test]
fn client_resumes_with_branch_seqno_and_range_of_its_stream() {
    let mut rig = Rig::inside(temper());
    rig.tell(Command::StreamEnd(StreamEndReason::StateChanged));
    assert_eq!(
        rig.asked(),
        (7, (6, 9), 0xb),
        "inside a snapshot it names that"
    );
    rig.reply(Reply::StreamAccepted(vec![FailoverEntry {
        uuid: VbUuid(0xb),
        seqno: Seqno(4),
    }]));
    rig.marker(6, 9);
    rig.set(9, "c");
    rig.tell(Command::StreamEnd(StreamEndReason::Ok));
    assert_eq!(
        rig.asked(),
        (9, (9, 9), 0xb),
        "at the end of one it names its seqno"
    );
}

/// Guards against hostile seeds 84, 227 and 242: the revisions that were replaced in the snapshot
/// are missing, and a copy on the branch before has them. Guards against the drawn cluster of seed
/// 2317: an active lost the last item of a snapshot of two, and nothing was written afterwards. The
/// client had the first item, which was everything that existed, and counted as incomplete.
#[test]
fn client_at_the_first_seqno_of_a_snapshot_is_complete() {
    let mut rig = Rig::new(temper());
    rig.open(&[(0xabc, 0)]);
    rig.marker(1, 2);
    rig.set(1, "a");
    rig.set(2, "b");
    rig.marker(3, 5);
    let seen = seen(rig.set(3, "a"));
    assert!(
        matches!(
            seen.last(),
            Some(Seen::Whole {
                seqno: Seqno(3),
                ..
            })
        ),
        "{seen:?}"
    );
    assert!(
        rig.client
            .standing(VB)
            .is_ok_and(|standing| standing.is_whole)
    );
    rig.set(4, "b");
    assert!(
        rig.client
            .standing(VB)
            .is_ok_and(|standing| !standing.is_whole)
    );
}

#[test]
fn client_inside_a_snapshot_names_the_branch_of_its_end() {
    let mut rig = Rig::new(temper());
    rig.open(&[(0xb, 4), (0xa, 0)]);
    rig.marker(0, 6);
    rig.set(2, "a");
    rig.tell(Command::StreamEnd(StreamEndReason::StateChanged));
    assert_eq!(rig.asked(), (2, (0, 6), 0xb));
    rig.reply(Reply::Rollback(Seqno(0)));
    assert_eq!(rig.asked(), (0, (0, 0), 0));
}

#[test]
fn client_that_names_its_range_names_it_when_complete_too() {
    let manners = Manners {
        names_newest: true,
        names_range: true,
    };
    let mut rig = Rig::inside(Temper {
        manners,
        ..temper()
    });
    rig.set(9, "c");
    rig.marker(10, 12);
    rig.tell(Command::StreamEnd(StreamEndReason::StateChanged));
    assert_eq!(
        rig.asked(),
        (9, (6, 9), 0xb),
        "of the marker without items it knows nothing"
    );
}

/// Guards W19: a state is complete at the end of a received snapshot, and before the start of a
/// marker.
#[test]
fn client_concludes_completeness_at_ends_and_before_markers() {
    let mut rig = Rig::inside(temper());
    let news = seen(rig.set(9, "c"));
    assert!(
        matches!(
            news[..],
            [
                Seen::Item { .. },
                Seen::Whole {
                    seqno: Seqno(9),
                    ..
                }
            ]
        ),
        "{news:?}"
    );
    let news = seen(rig.marker(12, 15));
    assert!(
        matches!(
            news[..],
            [Seen::Concluded {
                upto: Seqno(11),
                ..
            }]
        ),
        "{news:?}"
    );
    let news = seen(rig.tell(Command::SeqnoAdvanced(Seqno(15))));
    assert!(
        matches!(
            news[..],
            [Seen::Whole {
                seqno: Seqno(15),
                ..
            }]
        ),
        "{news:?}"
    );
    assert_eq!(rig.asked(), (15, (15, 15), 0xb));
}

#[test]
fn client_rolls_back_to_its_last_complete_state() {
    let mut rig = Rig::inside(temper());
    rig.tell(Command::StreamEnd(StreamEndReason::Rollback));
    assert_eq!(rig.asked().0, 7);
    let news = rig.reply(Reply::Rollback(Seqno(6)));
    assert!(!broken(&news), "{news:?}");
    assert_eq!(
        (rig.asked(), rig.documents()),
        ((5, (5, 5), 0xb), 2),
        "6 is no state that it ever had"
    );
    rig.reply(Reply::Rollback(Seqno(4)));
    assert_eq!(
        rig.asked(),
        (2, (2, 2), 0xa),
        "inside its snapshot, and on the branch before"
    );
    rig.reply(Reply::Rollback(Seqno(0)));
    assert_eq!((rig.asked(), rig.documents()), ((0, (0, 0), 0), 0));
}

#[test]
fn client_without_a_journal_starts_over() {
    let mut rig = Rig::inside(Temper {
        keeps: 0,
        ..temper()
    });
    rig.tell(Command::StreamEnd(StreamEndReason::Rollback));
    rig.asked();
    rig.reply(Reply::Rollback(Seqno(6)));
    assert_eq!((rig.asked(), rig.documents()), ((0, (0, 0), 0), 0));
}

#[test]
fn rollback_to_the_own_seqno_is_a_violation() {
    let mut rig = Rig::inside(temper());
    rig.tell(Command::StreamEnd(StreamEndReason::StateChanged));
    rig.asked();
    assert!(broken(&rig.reply(Reply::Rollback(Seqno(7)))));
    let mut strict = Rig::new(Temper {
        strict_uuid: true,
        ..temper()
    });
    strict.open(&[(0xa, 0)]);
    strict.tell(Command::StreamEnd(StreamEndReason::StateChanged));
    assert_eq!(strict.asked(), (0, (0, 0), 0xa));
    assert!(
        strict
            .asked
            .as_ref()
            .is_some_and(|asked| asked.flags == StreamRequestFlags::STRICT_VB_UUID)
    );
    assert!(
        !broken(&strict.reply(Reply::Rollback(Seqno(0)))),
        "its branch is unknown there"
    );
    assert_eq!(strict.asked(), (0, (0, 0), 0));
}

#[test]
fn invalid_markers_are_violations() {
    let marker = |start, end| {
        let mut rig = Rig::inside(temper());
        broken(&rig.marker(start, end))
    };
    assert!(!marker(6, 12), "what was cut goes on");
    assert!(!marker(8, 12), "wrong, but only its documents show it");
    assert!(
        marker(7, 12),
        "it starts inside what the client has in part"
    );
    assert!(marker(6, 7), "it brings nothing");
    let mut first = Rig::new(temper());
    first.open(&[(0xa, 0)]);
    assert!(
        broken(&first.marker(1, 2)),
        "the first one starts where the client's snapshot does"
    );
    let mut second = Rig::new(temper());
    second.open(&[(0xa, 0)]);
    second.marker(0, 1);
    second.set(1, "a");
    assert!(broken(&second.marker(1, 3)), "the one before ended there");
}

#[test]
fn invalid_items_are_violations() {
    let item = |seqno, key: &str| broken(&Rig::inside(temper()).set(seqno, key));
    assert!(item(7, "x") && item(10, "x") && item(8, "b"));
    assert!(!item(8, "x"));
    let mut joined = Rig::inside(temper());
    let snapshot = SnapshotMarker::new(SnapshotType::Memory, Seqno(6), Seqno(9));
    let mut marker = Marker::from_snapshot(&snapshot);
    marker.flags = marker.flags.with(MarkerFlags::MAY_DUPLICATE_KEYS);
    joined.tell(Command::SnapshotMarker(marker));
    joined.set(8, "x");
    assert!(
        !broken(&joined.set(9, "x")),
        "a joined snapshot may have a key twice"
    );
}

#[test]
fn client_acknowledges_every_counted_byte_and_reports_excess() {
    let temper = Temper {
        buffer_bytes: 100,
        acknowledges_permille: 800,
        ..temper()
    };
    let mut rig = Rig::new(temper);
    rig.open(&[(0xa, 0)]);
    rig.sent.clear();
    rig.marker(0, 9);
    assert_eq!(rig.sent, [], "44 bytes are not enough");
    rig.set(1, "a");
    let acknowledged = |message: &Message| match message {
        Message::Request(Request {
            command: Command::BufferAck(bytes),
            ..
        }) => Some(*bytes),
        _ => None,
    };
    let bytes = rig.sent.iter().filter_map(acknowledged).collect::<Vec<_>>();
    assert_eq!(bytes, [44 + 55 + 3]);

    // A client that acknowledges too late reports the bytes beyond the buffer.
    let mut deaf = Rig::new(Temper {
        acknowledges_permille: 5_000,
        ..temper
    });
    deaf.open(&[(0xa, 0)]);
    deaf.marker(0, 9);
    assert!(!broken(&deaf.set(1, "a")), "one message may pass it");
    assert!(broken(&deaf.set(2, "b")));
}

#[test]
fn client_answers_noops() {
    let mut rig = Rig::new(temper());
    rig.sent.clear();
    rig.say(Request::new(Vbid(0), 9, Command::Noop).into());
    assert_eq!(
        rig.sent,
        [Response::status(Opcode::DCP_NOOP, 9, Status::SUCCESS).into()]
    );
}

#[test]
fn close_that_crosses_the_stream_end_is_no_violation() {
    let close = |end_on_close| {
        let mut rig = Rig::inside(Temper {
            end_on_close,
            ..temper()
        });
        let stream = rig.opaque;
        assert!(rig.client.close(VB) && !rig.client.close(VB));
        rig.listen();
        let Some(Message::Request(Request { opaque, .. })) = rig.sent.last() else {
            panic!("a close")
        };
        (*opaque, stream, rig)
    };
    let answer =
        |opaque, status| Message::from(Response::status(Opcode::DCP_CLOSE_STREAM, opaque, status));
    let closed = [News::Detached(VB, StreamEndReason::Closed)];

    let (opaque, _, mut rig) = close(false);
    assert_eq!(rig.set(8, "x"), [], "what is under way is nothing to it");
    assert_eq!(rig.say(answer(opaque, Status::SUCCESS)), closed);
    let (opaque, _, mut rig) = close(true);
    assert_eq!(rig.say(answer(opaque, Status::SUCCESS)), []);
    assert_eq!(
        rig.tell(Command::StreamEnd(StreamEndReason::Closed)),
        closed
    );
    // The stream had ended; flow control holds its stream end back.
    let (opaque, stream, mut rig) = close(true);
    assert_eq!(rig.say(answer(opaque, Status::NOT_FOUND)), closed);
    rig.asked();
    rig.reply(Reply::StreamAccepted(vec![FailoverEntry {
        uuid: VbUuid(0xb),
        seqno: Seqno(4),
    }]));
    let late = Request::new(
        VB,
        stream,
        Command::StreamEnd(StreamEndReason::StateChanged),
    );
    assert_eq!(rig.say(late.into()), []);
}

#[test]
fn invalid_refusal_is_a_violation() {
    for (status, is_wrong) in [
        (Status::NOT_MY_VBUCKET, false),
        (Status::TEMPORARY_FAILURE, false),
        (Status::OUT_OF_MEMORY, false),
        (Status::RANGE, false),
        (Status::EXISTS, true),
        (Status::INVALID, true),
    ] {
        let mut rig = Rig::new(temper());
        rig.asked();
        let news = rig.reply(Reply::Status {
            opcode: Opcode::DCP_STREAM_REQ,
            status,
            body: Bytes::new(),
        });
        assert_eq!(broken(&news), is_wrong, "{status}");
        assert_eq!(rig.client.detached(), [VB]);
    }
}

#[test]
fn message_without_a_stream_makes_a_connection_unusable() {
    let mut rig = Rig::new(temper());
    assert!(broken(&rig.marker(0, 5)));
    let mut rig = Rig::inside(temper());
    rig.opaque += 1;
    assert!(broken(&rig.set(8, "x")));
    assert!(rig.client.disconnected(NODE) && !rig.client.disconnected(NODE));
    assert_eq!(rig.client.detached(), [VB]);
}

//! Clients that do not learn of hidden items, and snapshots that a node has in part (S33).

use super::backfill::{live, open};
use super::bare::bare_rig_of;
use super::snapshots::{behind_its_client, repeating};
use super::*;

/// Guards S33: a client without Collections gets a replica's snapshot once it is complete, up to
/// the last visible item.
#[test]
fn bare_client_waits_for_a_replicas_complete_snapshot() {
    let mut rig = bare_rig_of(State::Replica);
    rig.receive(1, 5, &[1, 2]);
    open(&mut rig, live(0));
    assert_eq!(rig.sent(), [""; 0]);
    rig.receive_in(8, &[4, 5]);
    assert_eq!(rig.sent(), ["marker 0-2", "mutation @1", "mutation @2"]);
    rig.receive(6, 7, &[6, 7]);
    assert_eq!(rig.sent(), ["marker 3-7", "mutation @6", "mutation @7"]);
}

/// Guards S33 for a snapshot in part on disk, against drawn cluster 1324: a client waited for ever
/// for an announced end that it could not see.
#[test]
fn bare_client_waits_for_the_rest_of_a_partial_snapshot_on_disk() {
    for (rest, expected) in [
        (None, "disk marker 0-2"),
        (Some(4), "disk repeating marker 0-4"),
    ] {
        let mut rig = bare_rig_of(State::Replica);
        rig.receive(1, 5, &[1, 2]);
        rig.node.flush();
        open(&mut rig, live(0));
        assert_eq!(rig.sent(), [""; 0]);
        rig.receive_in(8, &[3]);
        assert_eq!(rig.sent(), [""; 0]);
        rig.receive_more(rest.as_slice());
        rig.receive_in(8, &[5]);
        let sent = rig.sent();
        assert_eq!(sent[..3], [expected, "mutation @1", "mutation @2"]);
        assert_eq!(sent.get(3).map(String::as_str), rest.map(|_| "mutation @4"));
        rig.receive(6, 7, &[6, 7]);
        let next = rest.map_or("marker 3-7", |_| "marker 5-7");
        assert_eq!(rig.sent(), [next, "mutation @6", "mutation @7"]);
    }
}

/// Guards S33 when the second scan, too, ends inside a snapshot: the next one.
#[test]
fn bare_client_waits_again_if_the_next_scan_ends_inside_a_snapshot() {
    let mut rig = bare_rig_of(State::Replica);
    rig.receive(1, 5, &[1, 2]);
    rig.node.flush();
    open(&mut rig, live(0));
    assert_eq!(rig.sent(), [""; 0]);
    rig.receive_in(8, &[5]);
    rig.poll(usize::MAX);
    let [step] = <[_; 1]>::try_from(rig.producer.take_backfills()).expect("one step");
    rig.receive(6, 9, &[6]);
    rig.node.flush();
    rig.node.flush();
    let outcome = step.run(&rig.node.engine);
    rig.producer
        .backfilled(outcome, &rig.node)
        .expect("the connection stays");
    assert_eq!(rig.sent(), [""; 0]);
    rig.receive_in(8, &[9]);
    assert_eq!(
        rig.sent(),
        [
            "disk marker 0-6",
            "mutation @1",
            "mutation @2",
            "mutation @6"
        ]
    );
    assert_eq!(rig.cursors(), 1);
}

/// Guards S33 when a node restarts with a part of a snapshot on disk and has not received the rest.
#[test]
fn bare_client_waits_after_a_restart_with_a_partial_snapshot() {
    let mut rig = bare_rig_of(State::Replica);
    rig.receive(1, 5, &[1, 2]);
    rig.node.flush();
    rig.node.restart();
    open(&mut rig, live(0));
    assert_eq!(rig.sent(), [""; 0]);
    rig.receive(1, 5, &[]);
    rig.receive_in(8, &[5]);
    assert_eq!(
        rig.sent(),
        ["disk marker 0-2", "mutation @1", "mutation @2"]
    );
}

/// Guards S33 against seed 1100 of clusters with moves. Memory's first item after the disk's part
/// was a change of state, and the client was informed that half a snapshot was complete.
#[test]
fn change_of_state_does_not_complete_a_partial_snapshot_for_a_bare_client() {
    let mut rig = bare_rig_of(State::Replica);
    let marker = repeating(1, 5, SnapshotType::Disk);
    rig.node.vbucket.receive_marker(marker).expect("sound");
    rig.receive_more(&[1, 2]);
    rig.node.flush();
    rig.node.restart();
    rig.node
        .vbucket
        .queue_current_state()
        .expect("it takes one");
    rig.node.vbucket.receive_marker(marker).expect("sound");
    rig.receive_more(&[4]);
    rig.receive_in(8, &[5]);
    open(&mut rig, live(0));
    let expected = [
        "disk repeating marker 0-4",
        "mutation @1",
        "mutation @2",
        "mutation @4",
    ];
    assert_eq!(rig.sent(), expected);
}

/// Guards S33 when a replica's snapshot is in several checkpoints: the last visible item may be in
/// any of them.
#[test]
fn bare_client_gets_the_end_of_a_snapshot_in_several_checkpoints() {
    for (rest, expected) in [(None, "marker 0-2"), (Some(4), "marker 0-4")] {
        let mut rig = bare_rig_of(State::Replica);
        rig.node
            .vbucket
            .receive_marker(repeating(1, 5, SnapshotType::Disk))
            .expect("sound");
        rig.receive_more(&[1, 2]);
        open(&mut rig, live(0));
        rig.node.vbucket.manager().close();
        rig.receive_more(rest.as_slice());
        rig.receive_in(8, &[5]);
        let sent = rig.sent();
        assert_eq!(
            sent[..3],
            [
                format!("disk repeating {expected}").as_str(),
                "mutation @1",
                "mutation @2"
            ]
        );
        assert_eq!(sent.get(3).map(String::as_str), rest.map(|_| "mutation @4"));
    }
}

/// Guards S33 for streams of the disk alone: a part of a snapshot on disk is not sent to such a
/// client.
#[test]
fn partial_snapshot_on_disk_is_not_sent_to_a_bare_disk_only_client() {
    let mut rig = bare_rig_of(State::Replica);
    rig.receive(1, 5, &[1, 2]);
    rig.node.flush();
    let disk_only = |start| StreamRequest {
        flags: StreamRequestFlags::DISK_ONLY,
        ..live(start)
    };
    open(&mut rig, disk_only(0));
    assert_eq!(rig.sent(), ["end backfill-failed"]);
    rig.receive_in(8, &[5]);
    open(&mut rig, disk_only(0));
    assert_eq!(
        rig.sent(),
        ["end backfill-failed"],
        "the rest is in memory only"
    );
    rig.node.flush();
    open(&mut rig, disk_only(0));
    assert_eq!(
        rig.sent(),
        ["disk marker 0-2", "mutation @1", "mutation @2", "end ok"]
    );
    assert_eq!(rig.cursors(), 0);
}

/// Guards S33 when a replica has not reached the end of its client's snapshot.
#[test]
fn bare_client_waits_for_a_replica_that_is_behind_it() {
    for is_on_disk in [false, true] {
        let mut rig = behind_its_client(bare_rig_of(State::Replica), is_on_disk);
        open(&mut rig, request(1, u64::MAX, (0, 5)));
        assert_eq!(rig.sent(), [""; 0]);
        rig.receive(3, 3, &[3]);
        assert_eq!(rig.sent(), [""; 0]);
        rig.receive(4, 6, &[4]);
        rig.receive_in(8, &[6]);
        let disk = if is_on_disk { "disk " } else { "" };
        let marker = format!("{disk}repeating marker 0-4");
        assert_eq!(
            rig.sent(),
            [&marker, "mutation @2", "mutation @3", "mutation @4"]
        );
    }
}

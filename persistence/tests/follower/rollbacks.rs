//! Exact sequences of events around rollbacks and branches.

use lowtide_checkpoint::State;

use crate::engines::Kind;
use crate::reader::Reader;
use crate::world::World;

fn replica(kind: Kind) -> World {
    World::new(State::Replica, kind)
}

/// Writes an item and lets the replica have it, as a snapshot.
fn receive(world: &mut World, key: u8) {
    world.write(key, true);
    world.feed(false, false);
}

/// Guards S37.
#[test]
fn rollback_is_reported_before_the_history_that_follows() {
    let mut world = replica(Kind::Couchstore);
    let mut reader = Reader::new();
    for key in 0..4 {
        receive(&mut world, key);
        world.flush();
        reader.settle(&world);
    }
    reader.events.clear();
    world.fail_over(2);
    receive(&mut world, 9);
    reader.settle(&world);
    assert_eq!(
        reader.events,
        [
            "back to 2",
            "now replica",
            "2 to 3",
            "memory to 3",
            "whole at 3"
        ]
    );
}

/// Guards S37: items that were not delivered are nothing to go back for.
#[test]
fn rollback_above_the_reader_is_not_reported() {
    let mut world = replica(Kind::Couchstore);
    let mut reader = Reader::new();
    for key in 0..2 {
        receive(&mut world, key);
        world.flush();
    }
    reader.settle(&world);
    reader.events.clear();
    receive(&mut world, 2);
    world.flush();
    receive(&mut world, 3);
    world.fail_over(1);
    reader.settle(&world);
    assert_eq!(
        reader.events,
        ["2 to 3", "disk to 3", "whole at 3", "now replica"]
    );
}

/// Guards S37: what the snapshot has is not of this history.
#[test]
fn rollback_during_a_backfill_delivers_nothing_of_the_old_disk() {
    let mut world = replica(Kind::Couchstore);
    for key in 0..4 {
        receive(&mut world, key);
        world.flush();
    }
    world.close_checkpoint();
    world.expel();
    let mut reader = Reader::new();
    // The snapshot is pinned, and its outcome on its way.
    reader.turn(&world);
    reader.run_step(&world);
    world.fail_over(3);
    receive(&mut world, 9);
    reader.take_outcome();
    reader.settle(&world);
    reader.check_end(&world);
    assert!(
        !reader.events.iter().any(|event| event.contains('4')),
        "{:?}",
        reader.events
    );
}

/// Guards S37: the branch begins where the copy was whole, and so does the reader's next snapshot.
#[test]
fn promotion_inside_a_snapshot_sends_the_reader_back_to_where_it_was_whole() {
    let mut world = replica(Kind::Logstor);
    receive(&mut world, 0);
    let mut reader = Reader::new();
    reader.settle(&world);
    for key in 1..4 {
        world.write(key, true);
    }
    world.feed(false, false);
    reader.settle(&world);
    reader.events.clear();
    world.promote();
    world.write(5, true);
    reader.settle(&world);
    reader.check_end(&world);
    assert_eq!(reader.events.first().map(String::as_str), Some("back to 1"));
}

/// Guards S37.
#[test]
fn follower_ends_when_its_vbucket_stops_being_active() {
    let mut world = World::new(State::Active, Kind::Logstor);
    world.write(0, true);
    let mut reader = Reader::new();
    reader.settle(&world);
    reader.events.clear();
    world.demote();
    reader.settle(&world);
    assert_eq!(reader.events, ["ended: replica", "now replica"]);
}

//! Exact sequences of events: from memory, from disk, and from one to the other.

use lowtide_checkpoint::{Seqno, State};

use crate::engines::{Kind, VB};
use crate::reader::Reader;
use crate::world::World;

fn active() -> World {
    World::new(State::Active, Kind::Logstor)
}

/// Returns a reader that has everything, and forgets how it got it.
fn reader_of(world: &World) -> Reader {
    let mut reader = Reader::new();
    reader.settle(world);
    reader.events.clear();
    reader
}

/// Guards S36: each checkpoint is a snapshot, and a later read of it extends the snapshot.
#[test]
fn items_from_memory_come_in_snapshots() {
    let mut world = active();
    let mut reader = Reader::new();
    for key in 0..2 {
        world.write(key, true);
    }
    reader.settle(&world);
    assert_eq!(reader.events, ["0 to 2", "memory to 2", "whole at 2"]);
    reader.events.clear();
    world.write(2, true);
    world.close_checkpoint();
    world.write(2, true);
    reader.settle(&world);
    let events = [
        "3 to 3",
        "memory to 3",
        "whole at 3",
        "4 to 4",
        "memory to 4",
        "whole at 4",
    ];
    assert_eq!(reader.events, events);
}

/// Guards S35.
#[test]
fn items_that_left_memory_come_from_disk_and_memory_continues() {
    let mut world = active();
    for key in 0..3 {
        world.write(key, true);
    }
    world.flush();
    world.expel();
    world.write(0, true);
    let mut reader = Reader::new();
    reader.settle(&world);
    let events = [
        "0 to 3",
        "disk to 2",
        "disk to 3",
        "whole at 3",
        "4 to 4",
        "memory to 4",
        "whole at 4",
    ];
    assert_eq!(reader.events, events);
}

/// Guards S35: the cursor holds back what is written while the disk is read.
#[test]
fn items_written_during_a_backfill_follow_it() {
    let mut world = active();
    for key in 0..3 {
        world.write(key, true);
    }
    world.flush();
    world.expel();
    let mut reader = Reader::new();
    // The scan is opened, and its first slice requested.
    for _ in 0..3 {
        reader.turn(&world);
        reader.run_step(&world);
        reader.take_outcome();
    }
    for key in 0..3 {
        world.write(key, true);
    }
    world.flush();
    world.expel();
    reader.settle(&world);
    reader.check_end(&world);
    let from_disk = reader.events.iter().filter(|event| event.contains("disk"));
    assert_eq!(from_disk.count(), 2, "{:?}", reader.events);
}

/// Guards S35: recovering memory costs a slow reader only a detour.
#[test]
fn dropped_cursor_sends_the_reader_to_disk() {
    let mut world = active();
    world.write(0, true);
    let mut reader = reader_of(&world);
    for key in 0..3 {
        world.write(key, true);
    }
    world.flush();
    world.recover_memory();
    reader.settle(&world);
    assert_eq!(
        reader.events,
        ["2 to 4", "disk to 3", "disk to 4", "whole at 4"]
    );
}

/// Guards S36: the rest of a partial snapshot comes from memory.
#[test]
fn partial_snapshot_on_a_replicas_disk_ends_with_its_rest() {
    let mut world = World::new(State::Replica, Kind::Logstor);
    for key in 0..4 {
        world.write(key, true);
    }
    for _ in 0..2 {
        world.feed(false, false);
    }
    world.flush();
    world.close_checkpoint();
    world.expel();
    let mut reader = Reader::new();
    reader.settle(&world);
    assert_eq!(reader.events, ["0 to 4", "disk to 2"]);
    reader.events.clear();
    world.finish();
    reader.settle(&world);
    assert_eq!(reader.events, ["0 to 4", "memory to 4", "whole at 4"]);
}

/// Guards S37: a tombstone that is gone cannot be delivered.
#[test]
fn reader_that_lacks_purged_tombstones_starts_again() {
    let mut world = active();
    world.write(0, true);
    let mut reader = reader_of(&world);
    world.write(0, false);
    world.write(1, true);
    world.flush();
    world.recover_memory();
    world.engine.purge(VB, Seqno(2)).expect("a sound store");
    reader.settle(&world);
    assert_eq!(
        reader.events,
        ["back to 0", "0 to 3", "disk to 3", "whole at 3"]
    );
}

/// Guards S35.
#[test]
fn failed_step_is_tried_again_from_the_readers_place() {
    let mut world = active();
    for key in 0..4 {
        world.write(key, true);
    }
    world.flush();
    world.expel();
    let mut reader = Reader::new();
    for _ in 0..12 {
        reader.turn(&world);
        if reader.events.len() < 2 {
            reader.run_step(&world);
        } else {
            reader.fail_step();
        }
        reader.take_outcome();
    }
    reader.settle(&world);
    assert_eq!(
        reader.events,
        ["0 to 4", "disk to 2", "0 to 4", "disk to 4", "whole at 4"]
    );
}

#[test]
fn released_snapshot_is_pinned_again_at_the_readers_place() {
    let mut world = active();
    for key in 0..4 {
        world.write(key, true);
    }
    world.flush();
    world.expel();
    let mut reader = Reader::new();
    while reader.events.len() < 2 {
        reader.turn(&world);
        reader.run_step(&world);
        reader.take_outcome();
    }
    reader.release_disk();
    reader.settle(&world);
    assert_eq!(
        reader.events,
        ["0 to 4", "disk to 2", "0 to 4", "disk to 4", "whole at 4"]
    );
}

/// Guards S35: a change of state has its place between the items.
#[test]
fn change_of_state_comes_between_the_items() {
    let mut world = World::new(State::Replica, Kind::Logstor);
    world.write(0, true);
    world.finish();
    world
        .vbucket
        .set_state(State::Pending, None)
        .expect("valid");
    world.write(1, true);
    world.feed(false, true);
    let mut reader = Reader::new();
    reader.settle(&world);
    let events = [
        "0 to 2",
        "memory to 1",
        "now pending",
        "memory to 2",
        "whole at 2",
    ];
    assert_eq!(reader.events, events);
}

//! Random lives of a store against plain maps: contents, pinned snapshots, rollbacks and purges,
//! with rewriting, power losses and reopenings in between, and the audit after each.

mod action;
mod unloaded;
mod world;

use proptest::prelude::*;

use self::action::{Action, actions};
use self::world::World;
use crate::disk::PowerLoss;
use crate::logstor::LogstorConfig;
use crate::logstor::tests::support::{IMAGES, SMALL};

fn play(config: LogstorConfig, actions: &[Action]) {
    let mut world = World::new(config);
    for action in actions {
        world.apply(action);
        world.check();
    }
    world.disk.crash(PowerLoss::DropUnsynced);
    world.reopen();
    world.check();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn engine_matches_a_map(actions in actions()) {
        play(SMALL, &actions);
    }

    #[test]
    fn engine_short_of_space_matches_a_map(actions in actions()) {
        play(LogstorConfig { file_bytes: 64 << 10, disk_bytes: 34 * (64 << 10), ..SMALL }, &actions);
    }

    #[test]
    fn engine_with_images_at_every_opportunity_matches_a_map(actions in actions()) {
        play(IMAGES, &actions);
    }
}

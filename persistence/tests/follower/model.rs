//! Random lives of a vBucket and its follower, against plain lists of everything ever written.
//!
//! The history is de-duplicated, flushed, expelled, dropped, read from disk, rolled back and continued
//! on other branches. The vBucket is promoted, demoted and restarted, and its follower is interrupted
//! at every place. Whenever the follower says that its reader is whole, its documents are exactly those
//! of the branch's history.

use lowtide_checkpoint::State;
use proptest::prelude::*;

use crate::engines::Kind;
use crate::reader::Reader;
use crate::world::World;

#[derive(Clone, Copy, Debug)]
enum Op {
    Set(u8),
    Delete(u8),
    Durable(u8, bool),
    CloseCheckpoint,
    Feed { from_disk: bool, extend: bool },
    BeginFlush,
    EndFlush { is_good: bool },
    Flush,
    Expel,
    RecoverMemory,
    FailOver { lost: usize },
    Promote,
    Demote,
    Crash,
    Turn,
    RunStep,
    FailStep,
    TakeOutcome,
    ReleaseDisk,
    Restart { from_saved: bool },
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (0..6u8).prop_map(Op::Set),
        2 => (0..6u8).prop_map(Op::Delete),
        3 => (0..3u8, any::<bool>()).prop_map(|(key, is_commit)| Op::Durable(key, is_commit)),
        2 => Just(Op::CloseCheckpoint),
        10 => (any::<bool>(), any::<bool>())
            .prop_map(|(from_disk, extend)| Op::Feed { from_disk, extend }),
        2 => Just(Op::BeginFlush),
        2 => prop::bool::weighted(0.8).prop_map(|is_good| Op::EndFlush { is_good }),
        2 => Just(Op::Flush),
        3 => Just(Op::Expel),
        2 => Just(Op::RecoverMemory),
        1 => (0..6usize).prop_map(|lost| Op::FailOver { lost }),
        1 => Just(Op::Promote),
        1 => Just(Op::Demote),
        1 => Just(Op::Crash),
        16 => Just(Op::Turn),
        6 => Just(Op::RunStep),
        1 => Just(Op::FailStep),
        6 => Just(Op::TakeOutcome),
        1 => Just(Op::ReleaseDisk),
        1 => any::<bool>().prop_map(|from_saved| Op::Restart { from_saved }),
    ]
}

fn play(state: State, kind: Kind, ops: &[Op]) {
    let (mut world, mut reader) = (World::new(state, kind), Reader::new());
    for op in ops {
        match *op {
            Op::Set(key) => world.write(key, true),
            Op::Delete(key) => world.write(key, false),
            Op::Durable(key, is_commit) => world.durable(key, is_commit),
            Op::CloseCheckpoint => world.close_checkpoint(),
            Op::Feed { from_disk, extend } => world.feed(from_disk, extend),
            Op::BeginFlush => world.begin_flush(),
            Op::EndFlush { is_good } => world.end_flush(is_good),
            Op::Flush => world.flush(),
            Op::Expel => world.expel(),
            Op::RecoverMemory => world.recover_memory(),
            Op::FailOver { lost } => world.fail_over(lost),
            Op::Promote => world.promote(),
            Op::Demote => world.demote(),
            Op::Crash => {
                world.crash();
                reader.restart(false);
            }
            Op::Turn => {
                reader.turn(&world);
            }
            Op::RunStep => reader.run_step(&world),
            Op::FailStep => reader.fail_step(),
            Op::TakeOutcome => reader.take_outcome(),
            Op::ReleaseDisk => reader.release_disk(),
            Op::Restart { from_saved } => reader.restart(from_saved),
        }
    }
    world.finish();
    reader.settle(&world);
    // After a promotion and a demotion between two turns, the end comes with the next event only.
    reader.check_items(&world);
}

fn config() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    /// Guards S35 to S38, on a vBucket that begins as an active.
    #[test]
    fn follower_of_an_active_has_its_history(
        ops in prop::collection::vec(op(), 1..200),
        is_log: bool,
    ) {
        play(State::Active, if is_log { Kind::Logstor } else { Kind::Couchstore }, &ops);
    }

    /// Guards S35 to S38, on a vBucket that begins as a replica.
    #[test]
    fn follower_of_a_replica_has_its_history(
        ops in prop::collection::vec(op(), 1..200),
        is_log: bool,
    ) {
        play(State::Replica, if is_log { Kind::Logstor } else { Kind::Couchstore }, &ops);
    }
}

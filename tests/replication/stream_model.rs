//! A producer over random histories, against a naive model: a plain list of everything ever
//! written.
//!
//! The history is de-duplicated, flushed, expelled, dropped and read from disk, bytes are cut and
//! connections lost. Whenever the client has a snapshot whole, its documents are exactly those of
//! the history up to its end.

use proptest::prelude::*;

mod client;
mod source;

use client::Client;
use source::Source;

/// Events of a run.
#[derive(Clone, Copy, Debug)]
enum Op {
    Set(u8),
    Delete(u8),
    /// The first half of a durable write, or its second.
    Durable(u8),
    CloseCheckpoint,
    /// A replica receives the next item, or the next snapshot, of its active.
    Feed {
        from_disk: bool,
    },
    BeginFlush,
    EndFlush {
        good: bool,
    },
    Expel,
    Recover,
    /// The producer is asked for a number of bytes.
    Poll(u16),
    /// The engine runs a step.
    RunStep,
    /// The outcome of a step arrives.
    Outcome,
    /// A number of bytes arrives at the client.
    Deliver(u16),
    Acknowledge,
    Reconnect,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => (0..6u8).prop_map(Op::Set),
        2 => (0..6u8).prop_map(Op::Delete),
        2 => (0..3u8).prop_map(Op::Durable),
        2 => Just(Op::CloseCheckpoint),
        8 => any::<bool>().prop_map(|from_disk| Op::Feed { from_disk }),
        3 => Just(Op::BeginFlush),
        3 => prop::bool::weighted(0.8).prop_map(|good| Op::EndFlush { good }),
        4 => Just(Op::Expel),
        2 => Just(Op::Recover),
        6 => (1..600u16).prop_map(Op::Poll),
        4 => Just(Op::RunStep),
        4 => Just(Op::Outcome),
        8 => (1..300u16).prop_map(Op::Deliver),
        4 => Just(Op::Acknowledge),
        1 => Just(Op::Reconnect),
    ]
}

fn run(source: Source, client: Client, ops: &[Op]) -> Result<(), TestCaseError> {
    let (mut source, mut client) = (source, client);
    client.connect(&mut source);
    for op in ops {
        match *op {
            Op::Set(key) => source.write(key, true),
            Op::Delete(key) => source.write(key, false),
            Op::Durable(key) => source.durable(key),
            Op::CloseCheckpoint => source.close_checkpoint(),
            Op::Feed { from_disk } => source.feed(from_disk),
            Op::BeginFlush => source.begin_flush(),
            Op::EndFlush { good } => source.end_flush(good),
            Op::Expel => source.expel(),
            Op::Recover => source.recover(),
            Op::Poll(bytes) => client.poll(&source, usize::from(bytes)),
            Op::RunStep => client.run_step(&source),
            Op::Outcome => client.outcome(&source),
            Op::Deliver(bytes) => client.deliver(&source, usize::from(bytes))?,
            Op::Acknowledge => client.acknowledge(&source),
            Op::Reconnect => client.connect(&mut source),
        }
        if source.take_news() {
            client.notify();
        }
    }
    source.finish();
    client.notify();
    client.settle(&source)?;
    client.check_end(&source)
}

/// Returns half as many cases as usual, because each is long.
fn config() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig {
        cases: usual.cases / 2,
        failure_persistence: None,
        ..usual
    }
}

proptest! {
    #![proptest_config(config())]

    /// Guards S1 to S4, S9 to S11 and S17 for clients of an active.
    #[test]
    fn client_of_an_active_has_its_history(
        ops in prop::collection::vec(op(), 1..150),
        buffer in 1..2_000u32,
        sync_writes: bool,
    ) {
        run(Source::active(), Client::new(buffer, sync_writes), &ops)?;
    }

    /// Guards the same and S14 for clients of a replica, which has parts of snapshots in memory and
    /// on disk.
    #[test]
    fn client_of_a_replica_has_its_history(
        ops in prop::collection::vec(op(), 1..150),
        buffer in 1..2_000u32,
    ) {
        run(Source::replica(), Client::new(buffer, false), &ops)?;
    }

    /// Guards S25 and S33: a client without Collections is never left inside a snapshot by items
    /// that it does not see.
    #[test]
    fn client_without_collections_has_its_history(
        ops in prop::collection::vec(op(), 1..150),
        buffer in 1..2_000u32,
        is_active: bool,
    ) {
        run(if is_active { Source::active() } else { Source::replica() }, Client::bare(buffer), &ops)?;
    }
}

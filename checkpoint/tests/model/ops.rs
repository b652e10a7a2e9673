//! Random operations of the manager's model.
//!
//! They name seqnos by their distance from the high seqno, so that a sequence stays valid after
//! shrinking has removed a part of it.

use lowtide_checkpoint::{
    CheckpointConfig, Operation, ReadLimit, Role, Seqno, SnapshotType, State,
};
use proptest::prelude::*;

/// The manager that a sequence starts with.
#[derive(Clone, Debug)]
pub struct Setup {
    pub config: CheckpointConfig,
    pub high: Seqno,
}

/// A seqno, relative to the high seqno.
#[derive(Clone, Copy, Debug)]
pub enum At {
    /// Correct for the role: assigned on an active, that far above the next seqno on a replica. A
    /// marker is sent first if the open snapshot has no room for it.
    Right(u64),
    /// Missing on a replica, present on an active.
    Wrong,
    /// That far below the high seqno.
    Below(u64),
    /// That far above the high seqno, announced or not.
    Above(u64),
}

#[derive(Clone, Debug)]
pub enum Op {
    Queue {
        operation: Operation,
        key: u8,
        size: usize,
        history: bool,
        at: At,
        disk: bool,
        /// Distance of a completion's prepare from the high seqno; `None` names no prepare.
        prepare: Option<i64>,
    },
    VBucketState {
        state: State,
        with_seqno: bool,
    },
    Close,
    Marker {
        kind: SnapshotType,
        skip: i64,
        length: i64,
        visible: Option<i64>,
        hcs: bool,
        hps: Option<i64>,
        purge: bool,
        extend: bool,
        history: bool,
    },
    Register {
        name: u8,
        after: i64,
        droppable: bool,
    },
    Unregister {
        name: u8,
    },
    Read {
        name: u8,
        limit: ReadLimit,
        keep: bool,
    },
    Stale,
    FlushBegin {
        limit: ReadLimit,
        /// Whether the flush stops at the last whole snapshot.
        to_boundary: bool,
    },
    FlushEnd {
        which: usize,
        success: bool,
    },
    Expel,
    Recover {
        bytes: usize,
    },
    Clear {
        to: i64,
    },
    Role(Role),
    DropBatches,
}

pub fn setup() -> impl Strategy<Value = Setup> {
    let role = prop_oneof![3 => Just(Role::Active), 2 => Just(Role::Replica)];
    let max_bytes = prop_oneof![
        3 => Just(None),
        1 => (1usize..5000).prop_map(Some),
        1 => Just(Some(1)),
    ];
    let high = prop_oneof![Just(0), 1u64..2000];
    (role, max_bytes, any::<bool>(), high).prop_map(|(role, max_bytes, persistence, high)| Setup {
        config: CheckpointConfig::in_memory()
            .with_role(role)
            .with_max_bytes(max_bytes)
            .with_persistence(persistence),
        high: Seqno(high),
    })
}

/// Returns sequences of operations.
///
/// Most mix all operations. Some have few keys, much history, and little that prevents expelling:
/// restrictions of an expelled item show only when its key is queued again in the same checkpoint.
pub fn ops() -> impl Strategy<Value = Vec<Op>> {
    prop_oneof![
        4 => prop::collection::vec(op(), 1..120),
        1 => prop::collection::vec(expelling_op(), 1..60),
    ]
}

fn expelling_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        10 => queue(0u8..2, 0.4),
        1 => Just(Op::Register { name: 0, after: 0, droppable: true }),
        3 => Just(Op::Read { name: 0, limit: ReadLimit::NONE, keep: false }),
        2 => Just(Op::FlushBegin { limit: ReadLimit::NONE, to_boundary: false }),
        3 => any::<usize>().prop_map(|which| Op::FlushEnd { which, success: true }),
        6 => Just(Op::Expel),
        1 => Just(Op::Close),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        // Mostly the same few keys. Sometimes many, so that the key index grows and is swept.
        32 => queue(prop_oneof![5 => 0u8..6, 2 => any::<u8>()], 0.08),
        2 => (state(), prop::bool::weighted(0.1))
            .prop_map(|(state, with_seqno)| Op::VBucketState { state, with_seqno }),
        4 => Just(Op::Close),
        5 => marker(),
        6 => (name(), -12i64..3, any::<bool>())
            .prop_map(|(name, after, droppable)| Op::Register { name, after: after.min(1), droppable }),
        2 => name().prop_map(|name| Op::Unregister { name }),
        12 => (name(), limit(), prop::bool::weighted(0.3))
            .prop_map(|(name, limit, keep)| Op::Read { name, limit, keep }),
        1 => Just(Op::Stale),
        6 => (limit(), any::<bool>()).prop_map(|(limit, to_boundary)| Op::FlushBegin { limit, to_boundary }),
        6 => (any::<usize>(), any::<bool>()).prop_map(|(which, success)| Op::FlushEnd { which, success }),
        8 => Just(Op::Expel),
        2 => prop_oneof![1 => Just(0usize), 3 => 1..2000usize, 1 => Just(usize::MAX)]
            .prop_map(|bytes| Op::Recover { bytes }),
        1 => (-12i64..3).prop_map(|to| Op::Clear { to }),
        1 => prop_oneof![Just(Role::Active), Just(Role::Replica)].prop_map(Op::Role),
        2 => Just(Op::DropBatches),
    ]
}

fn queue(key: impl Strategy<Value = u8>, history: f64) -> impl Strategy<Value = Op> {
    let operation = prop_oneof![
        12 => Just(Operation::Mutation),
        3 => Just(Operation::Deletion),
        1 => Just(Operation::Expiration),
        3 => Just(Operation::Prepare),
        2 => Just(Operation::Commit),
        1 => Just(Operation::Abort),
        1 => Just(Operation::SystemEvent),
    ];
    // The largest values close a chunk early.
    let size =
        prop_oneof![6 => Just(0usize), 4 => 1..200usize, 1 => Just(2000), 1 => Just(150_000)];
    let at = prop_oneof![
        30 => (0u64..3).prop_map(|gap| At::Right(gap / 2)),
        1 => Just(At::Wrong),
        1 => (0u64..4).prop_map(At::Below),
        1 => (1u64..15).prop_map(At::Above),
    ];
    let prepare = prop_oneof![1 => Just(None), 3 => (-6i64..1).prop_map(Some)];
    (
        operation,
        key,
        size,
        prop::bool::weighted(history),
        at,
        prop::bool::weighted(0.3),
        prepare,
    )
        .prop_map(
            |(operation, key, size, history, at, disk, prepare)| Op::Queue {
                operation,
                key,
                size,
                history,
                at,
                disk,
                prepare,
            },
        )
}

fn marker() -> impl Strategy<Value = Op> {
    let kind = prop_oneof![
        4 => Just(SnapshotType::Memory),
        2 => Just(SnapshotType::Disk),
        1 => Just(SnapshotType::InitialDisk),
    ];
    let visible = prop_oneof![3 => Just(None), 1 => (-4i64..2).prop_map(Some)];
    let skip = prop_oneof![6 => Just(1i64), 1 => -3i64..4];
    let rare = || prop::bool::weighted(0.2);
    let hps = prop_oneof![2 => Just(None), 1 => (-4i64..3).prop_map(Some)];
    let durable = (prop::bool::weighted(0.9), hps, prop::bool::weighted(0.1));
    (
        kind,
        skip,
        -1i64..9,
        visible,
        durable,
        prop::bool::weighted(0.4),
        rare(),
    )
        .prop_map(
            |(kind, skip, length, visible, (hcs, hps, purge), extend, history)| Op::Marker {
                kind,
                skip,
                length,
                visible,
                hcs,
                hps,
                purge,
                extend,
                history,
            },
        )
}

fn limit() -> impl Strategy<Value = ReadLimit> {
    let items = || prop_oneof![20 => Just(usize::MAX), 10 => 1usize..6, 1 => Just(0)];
    let bytes = prop_oneof![20 => Just(usize::MAX), 10 => 1usize..1500, 1 => Just(0)];
    (items(), bytes).prop_map(|(items, bytes)| ReadLimit::NONE.with_items(items).with_bytes(bytes))
}

/// Returns a few cursor names, and rarely the persistence cursor's.
fn name() -> impl Strategy<Value = u8> {
    prop_oneof![12 => 0u8..3, 1 => Just(3u8)]
}

fn state() -> impl Strategy<Value = State> {
    prop_oneof![
        Just(State::Active),
        Just(State::Replica),
        Just(State::Pending),
        Just(State::Dead)
    ]
}

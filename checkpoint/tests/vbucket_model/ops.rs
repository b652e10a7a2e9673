//! Random operations of the vBucket's model, with seqnos relative to the current ones.

use lowtide_checkpoint::{Operation, ReadLimit, SnapshotType, State};
use proptest::prelude::*;

#[derive(Clone, Copy, Debug)]
pub enum Uuid {
    None,
    New,
    Known,
    Zero,
}

#[derive(Clone, Copy, Debug)]
pub struct Change {
    pub operation: Operation,
    pub key: u8,
    /// Prepare of a commit or abort, relative to the highest completed one.
    pub prepare: i64,
}

#[derive(Clone, Debug)]
pub enum Op {
    Write(Change),
    /// An item received that far above the high seqno.
    Receive(Change, i64),
    Marker {
        kind: SnapshotType,
        skip: i64,
        length: i64,
        completed: i64,
        prepared: Option<i64>,
        purge: bool,
    },
    SetState(State, Uuid),
    /// A rollback to that far below the seqno on disk, if the store has it.
    Rollback(u64),
    Flush(ReadLimit, bool),
    Restart,
    Poll,
    Close,
    Expel,
    Recover,
}

pub fn ops() -> impl Strategy<Value = Vec<Op>> {
    prop::collection::vec(op(), 1..80)
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        10 => change().prop_map(Op::Write),
        18 => (change(), prop_oneof![12 => Just(1i64), 3 => Just(2), 1 => -1i64..5])
            .prop_map(|(change, above)| Op::Receive(change, above)),
        8 => marker(),
        4 => (state(), uuid()).prop_map(|(state, uuid)| Op::SetState(state, uuid)),
        2 => prop_oneof![4 => 0u64..6, 1 => Just(u64::MAX)].prop_map(Op::Rollback),
        9 => (limit(), prop::bool::weighted(0.8)).prop_map(|(limit, success)| Op::Flush(limit, success)),
        1 => Just(Op::Restart),
        8 => Just(Op::Poll),
        2 => Just(Op::Close),
        2 => Just(Op::Expel),
        1 => Just(Op::Recover),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    let operation = prop_oneof![
        5 => Just(Operation::Mutation),
        2 => Just(Operation::Deletion),
        3 => Just(Operation::Prepare),
        2 => Just(Operation::Commit),
        2 => Just(Operation::Abort),
    ];
    let prepare = prop_oneof![5 => 1i64..3, 1 => -1i64..6];
    (operation, 0u8..4, prepare).prop_map(|(operation, key, prepare)| Change {
        operation,
        key,
        prepare,
    })
}

fn marker() -> impl Strategy<Value = Op> {
    let kind = prop_oneof![
        4 => Just(SnapshotType::Memory),
        2 => Just(SnapshotType::Disk),
        1 => Just(SnapshotType::InitialDisk),
    ];
    let skip = prop_oneof![8 => Just(1i64), 1 => -2i64..3];
    let completed = prop_oneof![5 => 0i64..3, 1 => Just(-1i64)];
    let prepared = prop_oneof![1 => Just(None), 1 => (-3i64..1).prop_map(Some)];
    (kind, skip, -1i64..5, completed, prepared, any::<bool>()).prop_map(
        |(kind, skip, length, completed, prepared, purge)| Op::Marker {
            kind,
            skip,
            length,
            completed,
            prepared,
            purge,
        },
    )
}

fn limit() -> impl Strategy<Value = ReadLimit> {
    let items = prop_oneof![3 => Just(usize::MAX), 2 => 1usize..4];
    items.prop_map(|items| ReadLimit::NONE.with_items(items))
}

pub fn state() -> impl Strategy<Value = State> {
    prop_oneof![
        3 => Just(State::Active),
        3 => Just(State::Replica),
        1 => Just(State::Pending),
        1 => Just(State::Dead),
    ]
}

fn uuid() -> impl Strategy<Value = Uuid> {
    prop_oneof![6 => Just(Uuid::New), 3 => Just(Uuid::None), 1 => Just(Uuid::Known), 1 => Just(Uuid::Zero)]
}

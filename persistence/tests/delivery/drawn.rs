//! Drawn events.

use bytes::Bytes;
use lowtide_checkpoint::{
    Cas, Datatype, DurabilityLevel, FailoverEntry, FailoverLog, Item, Key, Operation, ResumePoint,
    Seqno, SnapshotMarker, SnapshotType, State, VbUuid,
};
use lowtide_persistence::{FollowerEvent, FollowerItems};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::{option, sample::select};

fn state() -> impl Strategy<Value = State> {
    select(vec![
        State::Active,
        State::Replica,
        State::Pending,
        State::Dead,
    ])
}

fn item() -> impl Strategy<Value = Item> {
    let operation = select(vec![
        Operation::Mutation,
        Operation::Deletion,
        Operation::Expiration,
        Operation::Prepare,
        Operation::Commit,
        Operation::Abort,
        Operation::SystemEvent,
    ]);
    let level = select(vec![
        DurabilityLevel::Majority,
        DurabilityLevel::MajorityAndPersistOnMaster,
        DurabilityLevel::PersistToMajority,
    ]);
    let key = (any::<u32>(), vec(any::<u8>(), 0..40));
    let value = option::of(vec(any::<u8>(), 0..60));
    let numbers = (any::<u64>(), any::<u64>(), any::<u64>());
    let small = (any::<u32>(), any::<u32>(), any::<u8>());
    let bits = (any::<bool>(), any::<bool>());
    (
        operation,
        option::of(level),
        key,
        value,
        numbers,
        small,
        bits,
    )
        .prop_map(
            |(operation, durability, key, value, numbers, small, bits)| Item {
                durability,
                value: value.map(Bytes::from),
                cas: Cas(numbers.0),
                rev_seqno: numbers.1,
                prepare_seqno: Seqno(numbers.2),
                flags: small.0,
                expiry: small.1,
                datatype: Datatype(small.2),
                deleted: bits.0,
                history: bits.1,
                ..Item::new(operation, Key::in_collection(key.0, &key.1))
            },
        )
}

pub(crate) fn items() -> impl Strategy<Value = FollowerItems> {
    let steps = vec((item(), 1..1_u64 << 40), 0..8);
    (steps, any::<bool>()).prop_map(|(steps, are_from_disk)| {
        let mut last = 0;
        let items = steps.into_iter().map(|(item, step)| {
            last += step;
            let seqno = Seqno(last);
            Item { seqno, ..item }
        });
        FollowerItems::new(items.collect(), are_from_disk).expect("in order")
    })
}

fn marker() -> impl Strategy<Value = SnapshotMarker> {
    let types = select(vec![
        SnapshotType::Memory,
        SnapshotType::Disk,
        SnapshotType::InitialDisk,
    ]);
    let optional = [(); 4].map(|()| option::of(any::<u64>().prop_map(Seqno)));
    let bits = (any::<bool>(), any::<bool>(), any::<bool>());
    (types, any::<(u64, u64)>(), optional, bits).prop_map(
        |(snapshot_type, range, optional, bits)| {
            let [
                visible,
                high_completed_seqno,
                high_prepared_seqno,
                purge_seqno,
            ] = optional;
            SnapshotMarker {
                visible,
                high_completed_seqno,
                high_prepared_seqno,
                purge_seqno,
                extend: bits.0,
                history: bits.1,
                may_repeat_keys: bits.2,
                ..SnapshotMarker::new(snapshot_type, Seqno(range.0), Seqno(range.1))
            }
        },
    )
}

fn log() -> impl Strategy<Value = FailoverLog> {
    vec((1..u64::MAX, any::<u64>()), 1..=FailoverLog::ENTRIES_MAX).prop_map(|mut branches| {
        branches.sort_by_key(|&(_, seqno)| std::cmp::Reverse(seqno));
        let entries = branches.into_iter().map(|(uuid, seqno)| FailoverEntry {
            uuid: VbUuid(uuid),
            seqno: Seqno(seqno),
        });
        FailoverLog::from_entries(entries.collect()).expect("in order")
    })
}

fn point() -> impl Strategy<Value = ResumePoint> {
    any::<(u64, [u64; 3])>().prop_map(|(uuid, mut seqnos)| {
        seqnos.sort_unstable();
        let [start, seqno, end] = seqnos.map(Seqno);
        ResumePoint {
            snapshot_start: start,
            snapshot_end: end,
            ..ResumePoint::whole(VbUuid(uuid), seqno)
        }
    })
}

pub(crate) fn event() -> impl Strategy<Value = FollowerEvent> {
    prop_oneof![
        log().prop_map(FollowerEvent::Branches).boxed(),
        marker().prop_map(FollowerEvent::Snapshot).boxed(),
        items().prop_map(FollowerEvent::Items).boxed(),
        point().prop_map(FollowerEvent::SnapshotEnd).boxed(),
        any::<u64>()
            .prop_map(|to| FollowerEvent::RolledBack { to: Seqno(to) })
            .boxed(),
        state().prop_map(FollowerEvent::StateChanged).boxed(),
        state().prop_map(FollowerEvent::Ended).boxed(),
    ]
}
